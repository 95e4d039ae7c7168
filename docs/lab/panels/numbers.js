// Las cifras de los recorridos: «{p:␣que}» en un texto se cambia por lo que diga el modelo en ese momento.
//
// Una cifra es {nombre:argumentos|texto}; sin texto, se mide el de la página. Ninguna está escrita a mano.

import { number, percent } from "../format.js";
import { softmax } from "../engine/decoding.js";
import { explore } from "./beams.js";
import { diceBits, modelBits } from "./guess-game.js";
import { loadJson } from "./load-json.js";
import * as measures from "./measures.js";

const PLACEHOLDER = /\{([^{}|]+)(?:\|([^{}]*))?\}/g;
const START = "⟨EOS⟩"; // en una cifra, el token de fin de texto, que también hace de señal de salida

/** Parte un texto en trozos: textos sueltos y cifras `{key, name, args, text}`. */
export function parse(template) {
  const pieces = [];
  let from = 0;
  for (const match of template.matchAll(PLACEHOLDER)) {
    if (match.index > from) pieces.push(template.slice(from, match.index));
    const [name, ...args] = match[1].split(":");
    pieces.push({ key: match[1], name, args, text: match[2] ?? null });
    from = match.index + match[0].length;
  }
  if (from < template.length) pieces.push(template.slice(from));
  return pieces;
}

/** El valor de una cifra, como se escribe. */
export async function fill(app, { name, args, text }) {
  const { engine, state } = app;
  if (!(name in FIGURES)) throw new Error(`No sé medir «${name}». Hay: ${Object.keys(FIGURES).join(", ")}.`);
  const node = text === null ? state.node : await read(app, text);
  const path = node.path();
  const promptDepth = text === null ? state.promptNode.depth : node.depth;
  return FIGURES[name]({ app, engine, node, path, written: path.slice(promptDepth), settings: state.settings, args });
}

const read = (app, text) => app.engine.extend(null, app.encode(text.replace(START, app.engine.tokenizer.decode([app.engine.config.eos], { skipSpecial: false }))));
const id = (engine, shown) => measures.tokenId(engine, shown);
const top = ({ node, args }) => measures.ranking(node.logits)[Number(args[0]) - 1];
const share = (context, count) => measures.sum(measures.ranking(context.node.logits).slice(0, count).map((one) => measures.nextProbs(context.node)[one]));
const changed = (settings, change) => {
  const [name, value] = change.split("=");
  return { ...settings, temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, [name]: Number(value) };
};
const after = ({ engine, node, settings }) => softmax(measures.filtered(engine, node, settings));
const searched = (context, beams, depth) => explore(context.engine, context.node, { numBeams: beams, depth, lengthPenalty: 1, eos: null });
const words = (engine, ids) => engine.tokenizer.decode(ids);

/** «una vez de cada 46,7 millones»: lo que se entiende de una probabilidad diminuta. */
export function oneIn(probability) {
  const times = 1 / probability;
  return times >= 1e6 ? `una vez de cada ${number(times / 1e6, 1)} millones` : `una vez de cada ${number(times, 0)}`;
}

const FIGURES = {
  p: ({ engine, node, args }) => percent(measures.nextProbs(node)[id(engine, args[0])]),
  q: (context) => percent(after(context)[id(context.engine, context.args[0])]),
  at: (context) => percent(after({ ...context, settings: changed(context.settings, context.args[0]) })[id(context.engine, context.args[1])]),
  one: ({ engine, node, args }) => oneIn(measures.nextProbs(node)[id(engine, args[0])]),
  rank: ({ engine, node, args }) => number(measures.rankOf(node.logits, id(engine, args[0])), 0),
  top: (context) => context.engine.tokenizer.show(top(context)),
  ptop: (context) => percent(measures.nextProbs(context.node)[top(context)]),
  sum: (context) => percent(share(context, Number(context.args[0]))),
  tail: (context) => percent(1 - share(context, Number(context.args[0]))),
  kept: ({ engine, node, settings, args }) => number(measures.kept(measures.filtered(engine, node, args[0] ? changed(settings, args[0]) : settings)), 0),
  att: ({ engine, path, args: [layer, head, seen, from] }) => {
    // Por lo que pone en la ficha o, con «#1», por su puesto.
    const place = (shown) => (shown[0] === "#" ? shown.slice(1) - 1 : path.findIndex((one) => engine.tokenizer.show(one.token) === shown));
    const looker = from ? path[place(from)] : path.at(-1);
    return percent(looker.attention(layer - 1, head - 1)[place(seen)]);
  },
  maps: ({ engine }) => number(engine.config.n_layer * engine.config.n_head, 0),
  vocab: ({ engine }) => number(engine.config.vocab_size, 0),
  dice: ({ engine }) => number(diceBits(engine.config.vocab_size), 0),
  n: ({ path }) => number(path.length, 0),
  scored: ({ path }) => number(path.length - 1, 0),
  new: ({ written }) => number(written.length, 0),
  tok: ({ engine, path, args }) => engine.tokenizer.show(path[args[0] - 1].token),
  last: ({ engine, node }) => engine.tokenizer.show(node.token),
  plast: ({ node }) => percent(Math.exp(node.logprob)),
  blast: ({ node }) => number(-node.logprob / Math.LN2),
  brest: ({ path }) => number(measures.mean(measures.surprises(path.slice(0, -1)))),
  total: ({ path }) => number(measures.sum(measures.surprises(path))),
  mean: ({ path }) => number(measures.mean(measures.surprises(path)), 2),
  ppl: ({ path }) => number(measures.perplexity(path), 0),
  bpc: ({ engine, path }) => number(measures.sum(measures.surprises(path)) / [...words(engine, path.map((one) => one.token))].length, 2),
  ratio: async ({ app, path, args }) => {
    const other = await read(app, args[0]);
    return number(measures.perplexity(path) / measures.perplexity(other.path()), 0);
  },
  distinct: ({ written }) => percent(measures.distinctPairs(written.map((one) => one.token)), 0),
  count: ({ engine, written, args }) => number(words(engine, written.map((one) => one.token)).split(args[0]).length - 1, 0),
  highest: ({ engine, written, args }) => oneIn(Math.max(...written.map((one) => measures.nextProbs(one.parent)[id(engine, args[0])]))),
  seed: ({ settings }) => number(settings.seed, 0),
  beam: async (context) => number((await searched(context, ...context.args.map(Number))).beam.logP, 2),
  beamp: async (context) => percent(Math.exp((await searched(context, ...context.args.map(Number))).beam.logP), 2),
  beamtext: async (context) => words(context.engine, (await searched(context, ...context.args.map(Number))).beam.ids),
  greedy: async ({ engine, node, args }) => number(measures.logP(await measures.greedyPath(engine, node, Number(args[0]))), 2),
  greedyp: async ({ engine, node, args }) => percent(Math.exp(measures.logP(await measures.greedyPath(engine, node, Number(args[0])))), 2),
  greedytext: async ({ engine, node, args }) => words(engine, (await measures.greedyPath(engine, node, Number(args[0]))).map((one) => one.token)),
  novel: async ({ engine, args }) => {
    const passages = await loadJson("panels/passages.json");
    return number(measures.mean(await modelBits(engine, passages[Number(args[0]) - 1])), 2);
  },
};
