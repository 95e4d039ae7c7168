// La página del laboratorio: la sesión (`app`), lo que se ve de ella y los paneles que haya.

import { createSession } from "./ui/session.js";
import { panels } from "./panels/index.js";
import { byId } from "./ui/dom.js";

export const app = createSession();

app.on("ready", () => {
  for (const [name, panel] of Object.entries(panels)) {
    const section = byId(`panel-${name}`);
    section.hidden = false;
    panel.mount(section, app);
  }
});
