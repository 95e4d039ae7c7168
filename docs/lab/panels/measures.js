// Lo que se mide de un texto ya leído por el modelo: probabilidades, sorpresa, repeticiones. Funciones puras, sin página.
// «Texto» es siempre un camino de nodos del motor, del primer token al último.

import { applyAll, pipeline, softmax } from "../engine/decoding.js";

/** El id de un token escrito como se ve en una ficha («␣que»); «EOS» es el de fin de texto. */
export function tokenId(engine, shown) {
  if (shown === "EOS") return engine.config.eos;
  for (let id = 0; id < engine.config.vocab_size; id++) if (engine.tokenizer.show(id) === shown) return id;
  throw new Error(`Ningún token se ve como «${shown}». Escríbelo como en su ficha, con «␣» si lleva espacio delante.`);
}

/** Las probabilidades del siguiente token según el modelo, sin filtros. */
export const nextProbs = (node) => softmax(node.logits);

/** Los logits del siguiente token tras los filtros de `settings`; lo que queda fuera vale −∞. */
export function filtered(engine, node, settings) {
  const greedy = settings.temperature === 0;
  return applyAll(pipeline(greedy ? { ...settings, temperature: 1 } : settings), node.logits, engine.ids(node));
}

/** Cuántos tokens pueden salir con esos filtros. */
export const kept = (logits) => logits.reduce((total, logit) => total + (logit > -Infinity ? 1 : 0), 0);

/** Los ids de mayor a menor valor; con empate, antes el menor, como en torch. */
export const ranking = (values) => Array.from(values, (_, id) => id).sort((a, b) => values[b] - values[a] || a - b);

/** El puesto de un token, contando desde 1. */
export const rankOf = (values, id) =>
  1 + values.reduce((before, value, other) => before + (value > values[id] || (value === values[id] && other < id)), 0);

/** Sorpresa: −log₂ P, en bits. */
export const bits = (probability) => -Math.log2(probability);

/** La sorpresa de cada token del camino que tiene algo delante, en bits. */
export const surprises = (path) => path.filter((node) => node.depth > 1).map((node) => -node.logprob / Math.LN2);

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => sum(values) / values.length;

/** La perplejidad de un camino: 2 elevado a sus bits por token. */
export const perplexity = (path) => 2 ** mean(surprises(path));

/** Parte de las parejas de tokens seguidos que son distintas, de 0 a 1. */
export function distinctPairs(ids) {
  const pairs = ids.slice(1).map((id, k) => `${ids[k]} ${id}`);
  return new Set(pairs).size / pairs.length;
}

/** El reparto de atención de un token: el de una cabeza o, si `head` es `n_head`, la media de todas. */
export function attention(node, layer, head, heads) {
  if (head < heads) return node.attention(layer, head);
  const all = Array.from({ length: heads }, (_, k) => node.attention(layer, k));
  return all[0].map((_, position) => mean(all.map((weights) => weights[position])));
}

/** El camino que sigue la búsqueda voraz, sin filtros: sus nodos nuevos. */
export async function greedyPath(engine, node, steps, { eos = null, signal } = {}) {
  const path = [];
  for (let here = node; path.length < steps && (eos === null || path.at(-1)?.token !== eos); path.push(here)) {
    here = await engine.extend(here, [ranking(here.logits)[0]], { signal });
  }
  return path;
}

/** La suma de log P de unos nodos, en nats. */
export const logP = (path) => sum(path.map((node) => node.logprob));
