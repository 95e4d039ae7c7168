// Las candidatas al token siguiente: lo que daba el modelo y lo que dejan los mandos, con la misma escala.

import { number, percent } from "../format.js";
import { look, topIds } from "./distribution.js";
import { el, heard, say, table } from "./dom.js";
import { roving } from "./roving.js";
import { describeStages, labelOf } from "./words.js";

const ROWS = 10;
const TABLE_ROWS = 40;
const SCALES = [0.1, 0.25, 0.5, 1]; // fijas: con una que se moviera a cada paso, las barras no se podrían comparar

export function mountCandidates(container, app) {
  const summary = el("p", { class: "summary" });
  const rows = Array.from({ length: ROWS }, () => candidate((token) => app.force(token)));
  const others = candidate(null);
  const list = el("ol", { class: "bars", "aria-label": "Candidatas: pulsa una para escribirla" }, rows.map((row) => row.item), others.item);
  const scale = el("p", { class: "scale", "aria-hidden": "true" }, el("span", { text: "0" }), el("span"));
  const stages = el("ul", { class: "stages" });
  const tableBox = el("div", { class: "table-box" });
  const details = el("details", { class: "as-table" }, el("summary", { text: "Ver como tabla" }), tableBox);
  container.append(
    el("h2", { id: "candidates-title", text: "Qué viene ahora" }), summary, list, scale,
    el("p", { class: "hint key" }, el("span", { class: "key-after", "aria-hidden": "true" }), " lo que queda, ",
      el("span", { class: "key-before", "aria-hidden": "true" }), " lo que daba el modelo. Pulsa una para escribirla."),
    el("h3", { text: "Qué ha hecho cada mando" }), stages, details,
  );
  const refreshRoving = roving(list, "button");

  function render() {
    const { node, settings } = app.state;
    if (!node) return;
    const ids = app.engine.ids(node);
    const seen = look(node.logits, ids, settings);
    const top = shownIds(seen);
    const rest = [seen.before, seen.after].map((probs) => Math.max(0, 1 - top.reduce((sum, id) => sum + probs[id], 0)));
    const most = Math.max(...top.flatMap((id) => [seen.before[id], seen.after[id]]), ...rest);
    const limit = SCALES.find((one) => most <= one) ?? 1;
    top.forEach((id, place) => {
      const cutter = seen.removedBy[id] >= 0 ? labelOf(seen.stages[seen.removedBy[id]].name, settings) : seen.greedy ? "voraz" : "";
      rows[place].update({
        name: app.engine.tokenizer.show(id), token: id, before: seen.before[id], after: seen.after[id], limit,
        favourite: id === seen.favourite, cutter: seen.after[id] > 0 ? "" : cutter,
      });
    });
    const alive = seen.kept - top.filter((id) => seen.after[id] > 0).length;
    const count = number(seen.before.length - ROWS, 0);
    others.update({ name: `las otras ${count}`, before: rest[0], after: alive ? rest[1] : 0, limit, alive });
    say(scale.lastChild, percent(limit, 0));
    say(summary, summarise(seen));
    container.dataset.kept = seen.kept;
    const lines = describeStages(seen, settings, ids);
    stages.replaceChildren(...lines.map((text) => el("li", { text })));
    refreshRoving();
    if (details.open) renderTable(seen);
  }

  function renderTable(seen) {
    const { settings } = app.state;
    const body = topIds(seen.before, TABLE_ROWS).map((id) => [
      app.engine.tokenizer.show(id), number(id, 0), percent(seen.before[id], 2), percent(seen.after[id], 2),
      seen.removedBy[id] >= 0 ? labelOf(seen.stages[seen.removedBy[id]].name, settings) : "—",
    ]);
    tableBox.replaceChildren(
      table(`Las ${TABLE_ROWS} más probables`, ["Token", "Id", "El modelo", "Con los mandos", "La quita"], body),
    );
  }

  details.addEventListener("toggle", render);
  app.on("node", render);
  app.on("settings", render);
}

/** Las diez del modelo, siempre en el mismo orden; si los mandos prefieren a otra, esa ocupa el último sitio. */
function shownIds({ before, favourite }) {
  const top = topIds(before, ROWS);
  return top.includes(favourite) ? top : [...top.slice(0, ROWS - 1), favourite];
}

function summarise({ kept, before, entropyBefore, entropyAfter }) {
  const left = `${kept === 1 ? "Queda" : "Quedan"} ${number(kept, 0)} de ${number(before.length, 0)}`;
  const [now, then] = [entropyAfter, entropyBefore].map((value) => number(value, 2));
  const same = now === then && kept === before.length;
  return `${left} · entropía ${now} bits${same ? "" : ` (daba ${then})`}`;
}

/** Una fila: la ficha, las dos barras y los números. Sin `force` no es un botón, sino la suma de las demás. */
function candidate(force) {
  let token = null;
  const name = el("bdi", { class: force ? "chip mono" : "rest" });
  const [after, before] = [el("span", { class: "after" }), el("span", { class: "before" })];
  const value = el("span", { class: "value" });
  const note = el("span", { class: "note" });
  const more = heard();
  const inside = [el("span", { class: "name" }, name), el("span", { class: "track", "aria-hidden": "true" }, after, before), " ", el("span", { class: "said" }, value, " ", note, more)];
  const row = force ? el("button", { type: "button", class: "bar", onclick: () => force(token) }, inside) : el("div", { class: "bar" }, inside);
  return {
    item: el("li", {}, row),
    update(now) {
      token = now.token;
      const cut = now.after === 0;
      const same = Math.abs(now.after - now.before) < 5e-4;
      say(name, now.name);
      say(value, cut ? (force ? "fuera" : "ninguna") : percent(now.after));
      say(note, cut && now.cutter ? now.cutter : same ? (now.alive ? `${number(now.alive, 0)} siguen` : "") : `${now.alive ? `${number(now.alive, 0)} siguen, ` : ""}daba ${percent(now.before)}`);
      after.style.width = `${(100 * Math.min(now.after / now.limit, 1)).toFixed(2)}%`;
      before.style.width = `${(100 * Math.min(now.before / now.limit, 1)).toFixed(2)}%`;
      row.classList.toggle("cut", cut);
      row.classList.toggle("favourite", Boolean(now.favourite));
      if (force) {
        row.dataset.token = now.token;
        say(more, extra(now, note.textContent));
      }
    },
  };
}

/** Lo que en la fila se ve sin palabras: lo que daba el modelo, si no está escrito, y que es la favorita. */
function extra({ before, favourite }, note) {
  return `${note.startsWith("daba") ? "" : ` y el modelo daba ${percent(before)}`}${favourite ? " y es la favorita" : ""}`;
}
