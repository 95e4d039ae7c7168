// Los diálogos: ayuda y teclado, el modelo y sus límites, y el código en Python.

import { copyButton } from "./clipboard.js";
import { byId, el } from "./dom.js";
import { markdown } from "./markdown.js";
import { snippets } from "./python.js";

/** Un diálogo con su título y su botón de cerrar; Escape y el fondo también lo cierran. */
function dialog(id, title, ...children) {
  const close = el("button", { type: "button", class: "quiet close", "aria-label": "Cerrar", text: "✕", onclick: () => box.close() });
  const box = el("dialog", { id, "aria-labelledby": `${id}-title` },
    el("div", { class: "dialog-head" }, el("h2", { id: `${id}-title`, text: title }), close),
    el("div", { class: "dialog-body", tabindex: "0", role: "region", "aria-labelledby": `${id}-title` }, ...children));
  box.addEventListener("click", (event) => event.target === box && box.close());
  document.body.append(box);
  return box;
}

export function mountHelp() {
  const keys = [
    [["Ctrl", "Intro"], "que el modelo siga escribiendo; si ya escribe, que pare"],
    [["Ctrl", "Mayús", "Intro"], "un solo paso"],
    [["Esc"], "parar, cerrar el globo de una ficha o un diálogo"],
    [["←"], ["→"], "ir de ficha en ficha; al llegar a una, su globo dice id, probabilidad y bits"],
    [["Intro"], "en una ficha, entrar en su globo; en una candidata, escribirla"],
    [["↑"], ["↓"], "ir de candidata en candidata y mover un mando"],
    [["Tab"], "pasar a lo siguiente; la fila de fichas cuenta como una parada"],
  ];
  const press = (combination) => combination.flatMap((key, place) => [place ? " + " : "", el("kbd", { text: key })]);
  const rows = keys.map((row) => el("tr", {},
    el("th", { scope: "row" }, row.slice(0, -1).flatMap((one, place) => [place ? " " : "", ...press(one)])),
    el("td", { text: row.at(-1) })));
  const box = dialog("help", "Cómo se usa",
    el("p", { text: "Escribe un principio: el modelo lo parte en tokens y da una probabilidad a cada uno de los 4096 que podrían seguir. «Un paso» añade uno; «Escribir», muchos seguidos; y si pulsas una candidata, la añades tú." }),
    el("p", { text: "Toca una ficha para ver cuánto la esperaba el modelo, seguir desde ella o cambiarla. Lo que dejes atrás queda en «Ramas»." }),
    el("p", { text: "En un Mac, ⌘ vale por Ctrl. En la casilla del texto, Intro hace una línea nueva, que también es un token." }),
    el("table", { class: "keys" }, el("caption", { text: "Con el teclado" }), el("tbody", {}, rows)));
  byId("open-help").addEventListener("click", () => box.showModal());
}

export function mountCard(readCard) {
  const fact = (name, text) => [el("dt", { text: name }), el("dd", { text })];
  const whole = el("div", { class: "card-text" });
  const details = el("details", {}, el("summary", { text: "La ficha completa" }), whole);
  const box = dialog("card", "El modelo y sus límites",
    el("dl", { class: "card-facts" },
      fact("Qué es", "Un decodificador con arquitectura GPT-2, pequeño y de verdad: 8,79 millones de parámetros, 6 capas, 4096 tokens de vocabulario y 256 de contexto. Es el mismo de los cuadernos."),
      fact("Qué ha leído", "87 obras: 86 novelas españolas de 1840–1920 y el Quijote. Nada más. De internet, de buses y de computadores no sabe nada."),
      fact("Qué hace mal", "Pierde el hilo en pocas frases, confunde personajes e inventa palabras. No sabe hechos ni sigue instrucciones, y casi nunca da un texto por terminado."),
      fact("Cuidado", "Repite lo que las novelas de entonces decían de las mujeres, las clases, las razas o la religión: puede escribir frases ofensivas. Es para aprender, y para nada más."),
      fact("Fecha y licencia", "Entrenado en 2026 con textos de dominio público. Pesos y tokenizador, CC0 1.0.")),
    details);
  details.addEventListener("toggle", async () => {
    if (!details.open || whole.childElementCount) return;
    try {
      whole.replaceChildren(...markdown(await readCard()));
    } catch {
      whole.replaceChildren(el("p", { class: "message", text: "No encuentro la ficha (modelo/README.md). Recarga la página o vuelve a montar el laboratorio." }));
    }
  });
  byId("open-card").addEventListener("click", () => box.showModal());
}

export function createPythonDialog(app) {
  const blocks = [0, 1].map(() => {
    const [title, code] = [el("h3"), el("code")];
    const copy = copyButton("Copiar", () => code.textContent);
    return { title, code, box: el("div", { class: "snippet" }, el("div", { class: "snippet-head" }, title, copy), el("pre", { tabindex: "0" }, code)) };
  });
  const choice = (value, label, checked) => el("label", { class: "choice" }, el("input", { type: "radio", name: "python-start", value, checked }), label);
  const whole = choice("text", "Desde lo que hay escrito");
  const from = el("fieldset", {}, el("legend", { text: "Empezar" }), choice("prompt", "Desde tu principio", true), whole);
  const note = el("p", { class: "hint" });
  const box = dialog("python", "Lo mismo, en Python",
    el("p", { text: "Los dos programas escriben lo mismo. Pégalos en un cuaderno del curso." }), from, ...blocks.map((one) => one.box), note);

  function render() {
    const { prompt, promptNode, node, settings } = app.state;
    const fromText = box.querySelector("input:checked").value === "text";
    const start = fromText ? node : promptNode;
    const room = app.engine.config.n_positions - start.depth;
    const found = snippets({ prompt, settings, room, ids: fromText ? app.engine.ids(start) : null });
    for (const [place, { title, code }] of found.entries()) {
      blocks[place].title.textContent = title;
      blocks[place].code.textContent = code;
    }
    const greedy = settings.temperature === 0;
    note.textContent = room === 0
      ? "El contexto ya está lleno: no queda sitio para ningún token nuevo, y Python lo diría con un error."
      : greedy
        ? "Con temperatura 0 escriben, letra por letra, lo que «Escribir» desde el mismo sitio."
        : "La semilla no es la misma: torch tira otro dado. Las probabilidades y los filtros sí son los de aquí, así que cambian las tiradas y no el reparto.";
  }

  from.addEventListener("change", render);
  return () => {
    whole.hidden = app.state.node === app.state.promptNode;
    if (whole.hidden) box.querySelector("input").checked = true;
    render();
    box.showModal();
  };
}
