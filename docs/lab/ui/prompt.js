// La casilla del principio: el modelo lee mientras se escribe, sin esperar a ningún botón.

import { LabError } from "../engine/index.js";
import { number } from "../format.js";
import { byId, say } from "./dom.js";

const PAUSE = 250; // ms sin teclear: lo justo para no leer palabra a medias

const EMPTY = "Vacío: el modelo empieza de cero, como al abrir una novela.";
const SPACE = "Acaba en un espacio, y eso despista al modelo: en sus tokens el espacio va delante de la palabra. Bórralo y compara.";
const tooLong = (used, limit) =>
  `Son ${number(used, 0)} tokens y al modelo le caben ${limit}: quita ${number(used - limit, 0)}. No corto nada por ti; mientras, lo que ves es tu texto de antes.`;

export function mountPrompt(app) {
  const box = byId("prompt");
  const note = byId("prompt-note");
  const hint = byId("prompt-hint");
  let timer = null;

  function read() {
    clearTimeout(timer);
    timer = null;
    if (!app.engine || box.value === app.state.prompt && app.state.node) return Promise.resolve();
    return app.setPrompt(box.value);
  }

  function onInput() {
    grow();
    clearTimeout(timer);
    if (!app.engine) return;
    const fits = tell();
    if (fits) timer = setTimeout(read, PAUSE);
  }

  /** Avisa de lo que pasa y dice si cabe. Lo que no cabe no se lee: cortarlo sin más sería contestar a otra pregunta. */
  function tell() {
    const limit = app.engine.config.n_positions;
    const used = app.encode(box.value).length;
    const fits = used <= limit;
    box.setAttribute("aria-invalid", String(!fits));
    note.classList.toggle("message", !fits);
    say(note, !fits ? tooLong(used, limit) : box.value === "" ? EMPTY : / $/.test(box.value) ? SPACE : "");
    note.hidden = note.textContent === "";
    hint.hidden = !note.hidden; // en el mismo sitio: al avisar no se mueve nada
    return fits;
  }

  function grow() {
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight + 2, 0.4 * innerHeight)}px`;
  }

  box.addEventListener("input", onInput);
  addEventListener("resize", grow);
  app.on("prompt", (text) => {
    // Mientras se teclea manda lo tecleado; si el cambio viene de otro sitio (una rama, un enlace), se enseña.
    if (box.value !== text && timer === null) box.value = text;
    grow();
    tell();
  });

  return {
    /** Lee lo tecleado que esperaba. Si lo que hay en la casilla no cabe, lo dice y da `false`: seguir sería con otro texto. */
    flush() {
      if (timer !== null) read();
      const limit = app.engine.config.n_positions;
      const used = app.encode(box.value).length;
      if (used > limit) app.fail(new LabError("context", tooLong(used, limit)));
      return used <= limit;
    },
    set(text) {
      box.value = text;
      grow();
      if (app.engine) {
        tell();
        read();
      }
    },
    get value() {
      return box.value;
    },
  };
}
