// La búsqueda en haz del texto de la página: su árbol, con las ramas podadas, y la búsqueda voraz al lado.

import { beamSearch } from "../engine/beams.js";
import { number, percent } from "../format.js";
import { el, heard, say, table } from "../ui/dom.js";
import { drawTree, SIGNS } from "./beam-tree.js";
import { greedyPath, logP, tokenId } from "./measures.js";

const ENDINGS = { none: "solo al final", line: "en el salto de línea", eos: "en el fin de texto" };
const LIMITS = {
  numBeams: { label: "Haces", value: 2, min: 2, max: 6, step: 1, note: "ramas que se guardan" },
  depth: { label: "Profundidad", value: 4, min: 1, max: 20, step: 1, note: "tokens nuevos" },
  lengthPenalty: { label: "Penalización", value: 1, min: -2, max: 4, step: 0.5, note: "log P ÷ longitud elevada a esto" },
};

export function mount(container, app) {
  const view = { controller: null, clean: () => {} };
  const fields = Object.fromEntries(Object.entries(LIMITS).map(([name, limit]) => [name, field(name, limit)]));
  const ending = el("select", { id: "beam-ending" }, Object.entries(ENDINGS).map(([value, text]) => el("option", { value, text })));
  const parts = {
    go: el("button", { type: "submit", class: "primary", text: "Buscar" }),
    stop: el("button", { type: "button", text: "Parar", hidden: true, onclick: () => view.controller?.abort() }),
    said: el("p", { class: "panel-said", role: "status" }),
    result: el("div", { class: "beam-result" }),
    board: el("div", { class: "beam-scroll", role: "region", "aria-label": "Árbol de la búsqueda", tabindex: "0", hidden: true }),
    table: el("details", { class: "panel-table", hidden: true }, el("summary", { text: "El árbol, en una tabla" })),
  };
  const form = el("form", { class: "panel-form", novalidate: true }, Object.values(fields),
    el("p", { class: "field" }, el("label", { for: "beam-ending", text: "Una rama acaba" }), ending, el("span", { class: "soft small", text: "o al llegar a la profundidad" })),
    el("p", { class: "row" }, parts.go, parts.stop));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search(read(form, ending));
  });
  container.append(
    el("h2", { text: "Búsqueda en haz" }),
    el("p", { text: "Sin azar y sin filtros: en cada paso se alargan todas las ramas con todo el vocabulario y se guardan las mejores. Lo podado no vuelve." }),
    form, parts.said, parts.result, parts.board, legend(), parts.table);

  async function search(options) {
    view.controller?.abort();
    const controller = (view.controller = new AbortController());
    const { signal } = controller;
    const base = app.state.node;
    view.clean();
    view.clean = cleaner(app, base);
    parts.stop.hidden = false;
    parts.said.textContent = "Buscando…";
    try {
      const eos = options.ending === "none" ? null : tokenId(app.engine, options.ending === "line" ? "⏎" : "EOS");
      const found = await explore(app.engine, base, { ...options, eos, signal }, (tree) => show(base, tree, options));
      if (view.controller !== controller) return null;
      show(base, found.tree, options, found);
      return found;
    } catch (error) {
      if (view.controller !== controller) return null;
      say(parts.said, signal.aborted ? "Parado: lo que se ve es hasta donde ha llegado." : error.message);
      return null;
    } finally {
      if (view.controller === controller) {
        view.controller = null;
        parts.stop.hidden = true;
      }
    }
  }

  function show(base, tree, options, found = null) {
    const names = (ids) => ids.map((id) => app.engine.tokenizer.show(id));
    const write = async (ids) => app.setNode(await app.engine.extend(null, [...app.engine.ids(base), ...ids]));
    parts.board.hidden = parts.table.hidden = false;
    drawTree(parts.board, { tree, found, names, write, root: lastWords(app, base) });
    parts.table.querySelector("table")?.remove();
    parts.table.append(treeTable(tree, names));
    parts.result.replaceChildren(...(found ? [line("Haz", found.beam, names, write), line("Voraz", found.greedy, names, write)] : []));
    if (found) say(parts.said, verdict(found, options));
  }

  return {
    /** Busca con esas opciones y espera al resultado. */
    async show(options) {
      for (const [name, value] of Object.entries(options)) if (name in fields) form.elements[name].value = value;
      ending.value = options.ending ?? "none";
      return search(read(form, ending));
    },
  };
}

/** Busca en haz y, con la misma longitud, por búsqueda voraz; avisa del árbol en cada nivel. */
export async function explore(engine, base, { numBeams, depth, lengthPenalty, eos, signal }, onLevel = () => {}) {
  const levels = beamSearch(engine, base, { numBeams, maxNewTokens: depth, lengthPenalty, eos, signal });
  let step = await levels.next();
  for (const tree = []; !step.done; step = await levels.next()) {
    tree.push(...step.value);
    onLevel(tree);
  }
  const { tree, best } = step.value;
  const greedy = await greedyPath(engine, base, depth, { eos, signal });
  const last = await engine.extend(base, best[0].ids, { signal });
  const beam = last.path().slice(base.depth);
  const describe = (path) => ({ ids: path.map((node) => node.token), logP: logP(path) });
  return { tree, beam: { ...describe(beam), score: best[0].score }, greedy: describe(greedy) };
}

/** Suelta los nodos que abrió una búsqueda y no están en el texto de la página. */
function cleaner(app, base) {
  const known = new Set(base.children.keys());
  return () => {
    const written = new Set(app.state.node.path());
    for (const [token, child] of [...base.children]) {
      if (!known.has(token) && !written.has(child)) app.engine.release(child);
    }
  };
}

function field(name, { label, value, min, max, step, note }) {
  const id = `beam-${name}`;
  return el("p", { class: "field" }, el("label", { for: id, text: label }),
    el("input", { id, name, type: "number", inputmode: "decimal", value, min, max, step, "aria-describedby": `${id}-note` }),
    el("span", { id: `${id}-note`, class: "soft small", text: note }));
}

/** Lo que dicen los campos; lo que se sale se lleva al límite más cercano y se ve corregido. */
function read(form, ending) {
  const options = { ending: ending.value };
  for (const [name, { value, min, max, step }] of Object.entries(LIMITS)) {
    const typed = Number(form.elements[name].value);
    const inside = Number.isFinite(typed) ? Math.min(Math.max(typed, min), max) : value;
    options[name] = step === 1 ? Math.round(inside) : inside;
    form.elements[name].value = options[name];
  }
  return options;
}

function legend() {
  return el("p", { class: "panel-note" }, ...Object.entries(SIGNS).map(([status, sign]) => el("span", { class: `beam-key ${status}`, text: `${sign} ${status}` })),
    el("span", { class: "beam-key", text: "V voraz" }), el("span", { class: "beam-key", text: "★ la que gana" }),
    el("span", { text: "Pulsa una rama y se escribe en tu texto. El número es log P del camino entero, en nats: más cerca de 0, más probable." }));
}

const lastWords = (app, base) => {
  const text = app.engine.tokenizer.decode(app.engine.ids(base), { skipSpecial: false });
  return text.length > 24 ? `…${text.slice(-23)}` : text;
};

/** «Haz: ␣de ␣la ␣Man cha · log P −2,60 nats · P 7,41 %», que al pulsarlo se escribe. */
function line(name, { ids, logP: total }, names, write) {
  const chips = names(ids).map((token) => el("span", { class: "beam-word", text: token }));
  return el("p", { class: "beam-line" }, el("b", { text: `${name}: ` }), ...chips,
    el("span", { text: ` log P = ${number(total, 2)} nats, P = ${percent(Math.exp(total), 2)} ` }),
    el("button", { type: "button", class: "quiet", onclick: () => write(ids) }, "Escribirla", heard(` (la rama de la búsqueda ${name === "Haz" ? "en haz" : "voraz"})`)));
}

/** Quién gana, por cuánto y, si la voraz se quedó por el camino, dónde. */
export function verdict({ beam, greedy, tree }, { numBeams }) {
  const gap = beam.logP - greedy.logP;
  const lengths = beam.ids.length === greedy.ids.length ? "" : ` (no miden lo mismo: ${beam.ids.length} y ${greedy.ids.length} tokens)`;
  if (Math.abs(gap) < 1e-4) return `Con ${numBeams} haces sale lo mismo que con la búsqueda voraz${lengths}.`;
  const times = number(Math.exp(Math.abs(gap)), Math.abs(gap) < 2.3 ? 1 : 0);
  if (gap > 0) return `Gana el haz por ${number(gap, 2)} nats: su texto es ${times} veces más probable que el voraz${lengths}.`;
  const lost = prunedAt(tree, greedy.ids);
  const where = lost ? ` La rama voraz se podó en el paso ${lost}, y lo podado no vuelve.` : "";
  return `Pierde el haz por ${number(-gap, 2)} nats: el texto voraz es ${times} veces más probable${lengths}.${where}`;
}

/** El paso, desde 1, en que la rama de esos ids deja de estar viva; 0 si llega al final. */
export function prunedAt(tree, ids) {
  let parent = -1;
  for (const [step, id] of ids.entries()) {
    const node = tree.find((one) => one.step === step && one.parent === parent && one.token === id);
    if (!node || node.status === "podada") return step + 1;
    parent = node.index;
  }
  return 0;
}

function treeTable(tree, names) {
  const branch = (node) => (node.parent === -1 ? [node.token] : [...branch(tree[node.parent]), node.token]);
  const rows = tree.map((node) => [`${node.step + 1}`, names(branch(node)).join(" "), number(node.total, 2), number(node.score, 2), node.status]);
  return table("Todas las ramas que se han mirado", ["Paso", "Rama", "log P (nats)", "Puntuación", "Estado"], rows);
}
