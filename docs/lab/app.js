// La página del laboratorio: la sesión (`app`), lo que se ve de ella y los paneles que haya.

import { load } from "./engine/index.js";
import { panels } from "./panels/index.js";
import { mountActions } from "./ui/actions.js";
import { mountBranches } from "./ui/branches.js";
import { mountCandidates } from "./ui/candidates.js";
import { copyButton } from "./ui/clipboard.js";
import { mountControls } from "./ui/controls.js";
import { createPythonDialog, mountCard, mountHelp } from "./ui/dialogs.js";
import { byId, el } from "./ui/dom.js";
import { mountExamples } from "./ui/examples.js";
import { decode, encode, isPermalink } from "./ui/permalink.js";
import { mountPrompt } from "./ui/prompt.js";
import { createSession } from "./ui/session.js";
import { mountStart } from "./ui/start.js";
import { mountText } from "./ui/text.js";

export const app = createSession();
const MINI = new URLSearchParams(location.search).has("mini"); // incrustado en otra página: solo lo esencial

byId("late").remove();
if (location.protocol === "file:") byId("course").remove(); // el archivo suelto no tiene el sitio al lado
document.documentElement.classList.toggle("mini", MINI);
const prompt = mountPrompt(app);
mountExamples(byId("examples"), (text) => {
  prompt.set(text);
  byId("prompt").focus({ preventScroll: true });
});
mountHelp();
mountCard(async () => (await fetch("modelo/README.md")).text());
mountText(byId("text"), app, MINI ? [] : [linkButton(), pythonButton()]);
mountActions(byId("actions"), app, { ready: prompt.flush });
mountCandidates(byId("candidates"), app);
mountControls(byId("controls"), app);
mountBranches(byId("branches"), app);
mountStart({ load, remembered: async () => (await caches.keys()).some((name) => name.startsWith("laboratorio-")), onReady: begin });

async function begin(engine) {
  app.engine = engine;
  const focused = byId("start").contains(document.activeElement);
  byId("start").remove();
  for (const part of document.querySelectorAll(".after-load")) if (part.id !== "branches") part.hidden = false;
  if (focused) byId("prompt").focus({ preventScroll: true });
  await open({ prompt: prompt.value }); // los paneles empiezan con algo que mirar
  for (const [name, panel] of MINI ? [] : Object.entries(panels)) {
    const section = byId(`panel-${name}`);
    section.hidden = false;
    panel.mount(section, app);
  }
  app.emit("ready", engine);
}

// ---------------------------------------------------------------- el enlace
/** Lo que diga la dirección o, si no dice nada o está mal, `otherwise`. */
function open(otherwise) {
  let start = otherwise;
  let problem = null;
  if (isPermalink(location.hash)) {
    try {
      start = decode(location.hash, app.engine.config.vocab_size);
      app.setSettings(start.settings);
    } catch (error) {
      problem = error;
    }
  }
  return app.restore(start).then(() => problem && app.fail(problem));
}

const link = () => encode({ prompt: app.state.prompt, settings: app.state.settings, written: app.written() });

let saving;
/** La dirección sigue a lo que se ve, sin llenar el historial: al recargar, todo está donde estaba. */
function save() {
  clearTimeout(saving);
  if (!MINI && app.state.node) saving = setTimeout(() => history.replaceState(null, "", link()), 500);
}
app.on("node", save);
app.on("settings", save);
addEventListener("hashchange", () => app.engine && isPermalink(location.hash) && open({ prompt: prompt.value }));

function linkButton() {
  return copyButton("Copiar enlace", () => new URL(link(), location.href).href, { id: "copy-link" });
}

function pythonButton() {
  const show = createPythonDialog(app);
  return el("button", { type: "button", id: "open-python", text: "Copiar como Python", onclick: show });
}

// ---------------------------------------------------------------- el teclado
document.addEventListener("keydown", (event) => {
  if (!app.engine || document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (app.state.running) app.stop();
    else if (prompt.flush()) (event.shiftKey ? app.step : app.run)();
  } else if (event.key === "Escape" && app.state.running) app.stop();
});
