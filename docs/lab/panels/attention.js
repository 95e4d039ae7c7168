// La atención del texto de la página: a quién mira un token, en cada capa y en cada cabeza.

import { percent } from "../format.js";
import { el, heard, say, table } from "../ui/dom.js";
import { attention, ranking } from "./measures.js";
import { whenSeen } from "./seen.js";

const NOTE =
  "Un peso de atención dice de dónde toma información esa cabeza en esa capa; no dice por qué el modelo contesta lo " +
  "que contesta, ni cuánto pesa cada palabra en la respuesta. Y si una cabeza no busca nada, deja casi todo en el " +
  "primer token, su sumidero: se ve en la sesión 01.";

export function mount(container, app) {
  const view = { layer: null, head: 0, from: null, path: [] };
  const parts = {
    chips: el("div", { class: "chips-row", role: "group", "aria-label": "Elige la ficha que mira" }),
    said: el("p", { class: "panel-said", role: "status" }),
    grid: el("div", { class: "heads", role: "radiogroup", "aria-label": "Capa y cabeza" }),
    table: el("details", { class: "panel-table" }, el("summary", { text: "El reparto, en una tabla" })),
  };
  parts.grid.addEventListener("keydown", (event) => moveInGrid(event, view, app, draw));
  const hint = "Elige quién mira y con qué cabeza. Cuanto más oscura una ficha, más se lleva; debajo, cuánto.";
  container.append(el("h2", { text: "Atención: quién mira a quién" }), el("p", { text: hint }), parts.chips, parts.said, parts.grid, el("p", { class: "panel-note", text: NOTE }), parts.table);

  function draw() {
    if (!app.state.node) return;
    const { n_layer: layers, n_head: heads } = app.engine.config;
    view.layer = Math.min(view.layer ?? layers - 1, layers - 1);
    view.path = app.state.node.path();
    const from = Math.min(view.from ?? Infinity, view.path.length - 1);
    const looker = view.path[from];
    const weights = attention(looker, view.layer, view.head, heads);
    const names = view.path.map((node) => app.engine.tokenizer.show(node.token));
    drawChips(parts.chips, names, weights, from, (position) => {
      view.from = position;
      draw();
      parts.chips.children[position]?.focus();
    });
    drawGrid(parts.grid, looker, names, view, app.engine.config, draw);
    say(parts.said, sentence(names, weights, from, view, heads));
    const rows = names.slice(0, from + 1).map((name, k) => [`${k + 1}. ${name}`, percent(weights[k], 2)]);
    parts.table.querySelector("table")?.remove();
    parts.table.append(table(`A quién mira «${names[from]}». ${place(view, heads)}`, ["Ficha", "Se lleva"], rows));
  }

  const refresh = whenSeen(container, draw);
  app.on("node", () => {
    view.from = null; // la última, que es la que acaba de llegar
    refresh();
  });
  if (app.state.node) refresh();
  return {
    /** Enseña una capa y una cabeza (desde 1) y, si se pide, el token que mira (desde 1). */
    show({ layer, head, from = null }) {
      Object.assign(view, { layer: layer - 1, head: head - 1, from: from && from - 1 });
      draw();
    },
  };
}

const place = (view, heads) =>
  `Capa ${view.layer + 1}, ${view.head === heads ? "media de las cabezas" : `cabeza ${view.head + 1}`}`;

/** «Capa 6, cabeza 1: «␣la» mira a «␣rey» (56,8 %), a «El» (40,4 %)…» */
function sentence(names, weights, from, view, heads) {
  const best = ranking(weights).slice(0, 3).filter((k) => weights[k] >= 0.005);
  const list = best.map((k) => `a ${k === from ? "sí misma" : `«${names[k]}»`} (${percent(weights[k])})`).join(", ");
  return `${place(view, heads)}: la ficha «${names[from]}» mira ${list}.`;
}

function drawChips(row, names, weights, from, choose) {
  row.replaceChildren(
    ...names.map((name, k) => {
      const seen = k <= from;
      const share = seen ? weights[k] : 0;
      const label = seen ? percent(share, 0) : "no la ve";
      const kind = k === from ? "looker" : seen ? "seen" : "unseen";
      const chip = el("button", { type: "button", class: `att-chip ${kind}`, "aria-pressed": String(k === from), onclick: () => choose(k) },
        el("span", { class: "att-token", text: name }), " ",
        el("span", { class: "att-share" }, k === from && el("span", { "aria-hidden": "true", text: "▲ " }), label),
        k === from && heard(" a sí misma: es la que mira"));
      chip.style.setProperty("--share", share.toFixed(4));
      return chip;
    }),
  );
}

/** La cuadrícula: una fila por capa; una columna por cabeza y la de la media. */
function drawGrid(grid, looker, names, view, config, draw) {
  const { n_layer: layers, n_head: heads } = config;
  const columns = Array.from({ length: heads + 1 }, (_, head) => (head === heads ? "media" : `cabeza ${head + 1}`));
  const held = grid.contains(document.activeElement);
  const cells = [el("span", { class: "heads-corner", "aria-hidden": "true" }), ...columns.map((name) => el("span", { class: "heads-name", "aria-hidden": "true", text: name }))];
  for (let layer = 0; layer < layers; layer++) {
    cells.push(el("span", { class: "heads-name", "aria-hidden": "true", text: `capa ${layer + 1}` }));
    for (let head = 0; head <= heads; head++) {
      const weights = attention(looker, layer, head, heads);
      const best = ranking(weights)[0];
      const chosen = layer === view.layer && head === view.head;
      const label = `Capa ${layer + 1}, ${columns[head]}: sobre todo a ${names[best]}, ${percent(weights[best], 0)}`;
      cells.push(
        el("button", { type: "button", role: "radio", "aria-checked": String(chosen), "aria-label": label, title: label,
          tabindex: chosen ? "0" : "-1", class: "head", data: { layer, head },
          onclick: () => { Object.assign(view, { layer, head }); draw(); grid.querySelector("[aria-checked=true]").focus(); } },
          thumbnail(weights)),
      );
    }
  }
  grid.style.setProperty("--columns", heads + 1);
  grid.replaceChildren(...cells);
  if (held) grid.querySelector("[aria-checked=true]").focus();
}

/** Las barras de un reparto, en pequeño: una por ficha, tan alta como lo que se lleva. */
function thumbnail(weights) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const room = Math.max(weights.length, 6);
  svg.setAttribute("viewBox", `0 0 ${room} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const bars = document.createElementNS("http://www.w3.org/2000/svg", "path");
  bars.setAttribute("d", Array.from(weights, (w, k) => `M${k + 0.1} 1V${(1 - w).toFixed(3)}h.8V1z`).join(""));
  svg.append(bars);
  return svg;
}

/** Con las flechas se va de una cabeza a otra; al final de una fila se queda. */
function moveInGrid(event, view, app, draw) {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  const { n_layer: layers, n_head: heads } = app.engine.config;
  view.layer = Math.min(Math.max(view.layer + move[0], 0), layers - 1);
  view.head = Math.min(Math.max(view.head + move[1], 0), heads);
  draw();
  event.currentTarget.querySelector("[aria-checked=true]").focus();
}
