// La casilla del principio: el modelo lee mientras se escribe, sin esperar a ningún botón.

import { count, number } from "../format.js";
import { byId, say } from "./dom.js";

const PAUSE = 250; // ms sin teclear: lo justo para no leer palabra a medias

export function mountPrompt(app) {
  const box = byId("prompt");
  const counter = byId("prompt-count");
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

  /** Cuenta y avisa; dice si cabe. Lo que no cabe no se lee: cortarlo sin más sería contestar a otra pregunta. */
  function tell() {
    const limit = app.engine.config.n_positions;
    const used = app.encode(box.value).length;
    const fits = used <= limit;
    box.setAttribute("aria-invalid", String(!fits));
    counter.classList.toggle("message", !fits);
    if (!fits) say(counter, `Son ${number(used, 0)} tokens y al modelo le caben ${limit}: quita ${number(used - limit, 0)}. Mientras, lo de abajo es de tu texto de antes.`);
    else if (box.value === "") say(counter, "Vacío: el modelo empieza de cero, como al abrir una novela.");
    else if (/ $/.test(box.value)) say(counter, `${count(used, "token", "tokens")}. Acaba en un espacio, y eso despista al modelo: lo suyo es el espacio delante de la palabra. Bórralo y compara.`);
    else say(counter, `${count(used, "token", "tokens")} de ${limit}`);
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
    /** Lo tecleado y aún no leído, leído. Dice si lo que hay en la casilla es lo que se está usando. */
    flush() {
      if (timer !== null) read();
      return box.value === app.state.prompt || app.encode(box.value).length <= app.engine.config.n_positions;
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
