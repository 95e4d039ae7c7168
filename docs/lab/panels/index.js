// Los paneles que hay: nombre de su sección en index.html («panel-NOMBRE») → su módulo, con `mount(container, app)`.
// Se importan por su nombre y no probando suerte: pedir un archivo que no está es un error en la consola.

import * as attention from "./attention.js";
import * as beams from "./beams.js";
import * as guess from "./guess.js";
import * as tours from "./tours.js";

const modules = { guess, attention, beams, tours };

/** Lo que devuelve cada `mount` queda en `app.panels`: así un recorrido abre el panel que necesita. */
const mounted = (name, module) => ({
  mount: async (container, app) => {
    app.panels = { ...app.panels, [name]: module.mount(container, app) };
  },
});

export const panels = Object.fromEntries(Object.entries(modules).map(([name, module]) => [name, mounted(name, module)]));
