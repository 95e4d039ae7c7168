// Cuánto sorprende un texto: las mismas cuentas que course_utils.scoring.perplexity, con add_start_token=False.

/** Los nodos de un camino, del primero al último. */
export function path(node) {
  const nodes = [];
  for (let current = node; current; current = current.parent) nodes.push(current);
  return nodes.reverse();
}

/** La sorpresa de un token, en bits: −log₂ P. El primero de todos no tiene: nadie lo predijo. */
export const bits = (node) => -node.logprob / Math.LN2;

/** Caracteres como los cuenta Python: un emoji es uno, no dos. */
export const characters = (text) => [...text].length;

/**
 * @returns {{tokens, bits, perplexity, bitsPerCharacter}} de unos nodos y de los caracteres que son; `tokens` son los
 *   que se han podido puntuar, y sin ninguno las medidas son NaN.
 */
export function measure(nodes, length) {
  const scored = nodes.filter((node) => !Number.isNaN(node.logprob));
  const total = scored.reduce((sum, node) => sum + bits(node), 0);
  const some = scored.length > 0;
  return {
    tokens: scored.length,
    bits: total,
    perplexity: some ? 2 ** (total / scored.length) : NaN,
    bitsPerCharacter: some && length > 0 ? total / length : NaN,
  };
}

/** En qué puesto estaba un token entre los del modelo: 1 es el favorito. */
export function rank(logits, token) {
  return 1 + logits.reduce((above, value) => above + (value > logits[token]), 0);
}
