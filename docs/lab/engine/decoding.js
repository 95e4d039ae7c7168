// De los logits al siguiente token, con funciones puras que se componen, en el orden y con las cuentas de Hugging Face.
//
// Una transformación es (logits (V,), ids) → logits nuevos, con −Infinity en lo que queda fuera. Como en PyTorch, las
// cuentas intermedias se redondean a 32 bits (`Math.fround`): en un empate, o justo en el límite, se queda lo mismo.

import { require } from "./errors.js";

const { fround } = Math;
const OUT = -Infinity;

/** Divide los logits entre `t`: por debajo de 1 afila la distribución y por encima la aplana. */
export function temperature(t) {
  require(Number.isFinite(t) && t > 0, "settings", `La temperatura debe ser un número mayor que 0 y es ${t}. Con 0, usa pipeline: es la búsqueda voraz.`);
  return (logits) => logits.map((logit) => logit / fround(t));
}

/** Deja los `k` logits mayores, y sus empates. */
export function topK(k) {
  require(Number.isInteger(k) && k >= 1, "settings", `top-k debe ser un entero mayor o igual que 1 y es ${k}. Con 0, pipeline no filtra.`);
  return (logits) => {
    const least = logits.slice().sort()[Math.max(logits.length - k, 0)]; // sort de Float32Array compara números
    return logits.map((logit) => (logit < least ? OUT : logit));
  };
}

/** Muestreo de núcleo: deja el menor conjunto de tokens cuya probabilidad suma al menos `p`. */
export function topP(p) {
  require(Number.isFinite(p) && p > 0 && p <= 1, "settings", `top-p debe estar en (0, 1] y es ${p}. Con 1 no filtra.`);
  return (logits) => {
    if (p === 1) return logits.slice();
    const order = ascending(logits);
    const probs = softmax(logits);
    const kept = logits.slice();
    let sum = 0;
    for (const id of order.subarray(0, -1)) { // el más probable se queda siempre
      sum += probs[id];
      if (fround(sum) > fround(1 - p)) break;
      kept[id] = OUT;
    }
    return kept;
  };
}

/** Los ids, del menor logit al mayor; los empates, por id. */
function ascending(logits) {
  return Uint32Array.from(logits, (_, id) => id).sort((a, b) => logits[a] - logits[b] || a - b);
}

/** Quita los tokens con probabilidad menor que `p` veces la del más probable. */
export function minP(p) {
  require(Number.isFinite(p) && p > 0 && p <= 1, "settings", `min-p debe estar en (0, 1] y es ${p}. Con 0, pipeline no filtra.`);
  return (logits) => {
    const probs = softmax(logits);
    const top = argmax(probs);
    const least = fround(fround(p) * probs[top]);
    return logits.map((logit, id) => (probs[id] < least && probs[id] < probs[top] ? OUT : logit));
  };
}

/** Aleja de lo ya escrito: divide entre `r` los logits positivos ya vistos y multiplica los negativos. */
export function repetitionPenalty(r) {
  require(Number.isFinite(r) && r > 0, "settings", `La penalización debe ser un número mayor que 0 y es ${r}. Con 1 no cambia nada.`);
  return (logits, ids) => {
    const penalised = logits.slice();
    for (const id of new Set(ids)) penalised[id] = logits[id] < 0 ? logits[id] * fround(r) : logits[id] / fround(r);
    return penalised;
  };
}

/**
 * Las transformaciones de unos ajustes, `[{ name, apply }]`, en el orden de `generate`. No están las que no hacen nada:
 * temperatura 1, top-k 0, top-p 1, min-p 0 y penalización 1. Con temperatura 0 (voraz), solo la penalización.
 */
export function pipeline({ temperature: t = 1, topK: k = 0, topP: p = 1, minP: m = 0, repetitionPenalty: r = 1 } = {}) {
  const transforms = [];
  const add = (name, apply) => transforms.push({ name, apply });
  const all = [k === 0 || topK(k), topP(p), m === 0 || minP(m), t === 0 || temperature(t), repetitionPenalty(r)]; // comprueba
  const [filterK, filterP, filterM, divide, penalise] = all;
  if (r !== 1) add("repetitionPenalty", penalise);
  if (t === 0) return transforms;
  if (t !== 1) add("temperature", divide);
  if (k !== 0) add("topK", filterK);
  if (p !== 1) add("topP", filterP);
  if (m !== 0) add("minP", filterM);
  return transforms;
}

/** Aplica una lista de transformaciones, una detrás de otra, a una copia de los logits. */
export function applyAll(transforms, logits, ids) {
  return transforms.reduce((current, { apply }) => apply(current, ids), Float32Array.from(logits));
}

/** Probabilidades, (V,), a partir de logits; −Infinity da 0. */
export function softmax(logits) {
  let top = OUT;
  for (const logit of logits) if (logit > top) top = logit;
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - top));
  let sum = 0;
  for (const power of powers) sum += power;
  return Float32Array.from(powers, (power) => power / sum);
}

/** Entropía de una distribución, en bits: cuánta duda hay. */
export function entropy(probs) {
  let bits = 0;
  for (const p of probs) if (p > 0) bits -= p * Math.log2(p);
  return bits;
}

/** El índice del mayor; si empatan, el primero. */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Un dado con semilla, () → [0, 1): el mismo número en cualquier navegador. No es el de PyTorch. (SplitMix32.) */
export function rng(seed) {
  require(Number.isSafeInteger(seed) && seed >= 0, "settings", `La semilla debe ser un entero, 0 o mayor, y es ${seed}.`);
  let state = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Elige un id al azar según sus probabilidades: `random` es un dado, () → [0, 1). */
export function sample(probs, random) {
  let total = 0;
  for (const p of probs) total += p;
  require(total > 0, "settings", "No se puede muestrear: no queda ningún token posible. Suaviza los filtros.");
  let left = random() * total;
  let last = 0;
  for (let id = 0; id < probs.length; id++) {
    if (probs[id] === 0) continue;
    last = id;
    left -= probs[id];
    if (left < 0) break;
  }
  return last; // el último posible, si los redondeos se comen el final
}
