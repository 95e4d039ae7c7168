// De los logits de un nodo a lo que se puede elegir: la distribución del modelo, la que dejan los mandos y quién quitó qué.

import { argmax, entropy, pipeline, rng, sample, softmax } from "../engine/index.js";

/**
 * @returns {{before, after, stages, removedBy, kept, favourite, greedy, entropyBefore, entropyAfter}}
 *   `before` y `after` son (V,); `stages`, una por mando encendido, en el orden de Hugging Face; `removedBy[id]` es el
 *   lugar en `stages` de quien lo quitó, o -1.
 */
export function look(logits, ids, settings) {
  const before = softmax(logits);
  const greedy = settings.temperature === 0;
  const removedBy = new Int8Array(logits.length).fill(-1);
  const stages = [];
  let current = logits;
  for (const { name, apply } of pipeline(settings)) {
    const next = apply(current, ids);
    let removed = 0;
    for (let id = 0; id < next.length; id += 1) {
      if (next[id] === -Infinity && current[id] !== -Infinity) {
        removedBy[id] = stages.length;
        removed += 1;
      }
    }
    const entropies = [entropy(softmax(current)), entropy(softmax(next))];
    stages.push({ name, removed, kept: countAlive(next), entropies });
    current = next;
  }
  const favourite = argmax(current);
  const after = greedy ? oneHot(logits.length, favourite) : softmax(current);
  const kept = greedy ? 1 : countAlive(current);
  return {
    before, after, stages, removedBy, kept, favourite, greedy,
    entropyBefore: entropy(before), entropyAfter: entropy(after),
  };
}

/** El token siguiente: el favorito si la temperatura es 0 y, si no, lo que diga el dado. */
export function choose(app, node) {
  const { settings, promptNode } = app.state;
  const { after, favourite, greedy } = look(node.logits, app.engine.ids(node), settings);
  if (greedy) return favourite;
  // La tirada depende solo de la semilla y del lugar: volver atrás y seguir, o abrir un enlace, escribe lo mismo.
  const random = rng(settings.seed);
  let thrown = random();
  for (let place = promptNode.depth; place < node.depth; place += 1) thrown = random();
  return sample(after, () => thrown);
}

/** Los `n` ids con más probabilidad, de más a menos; con empates, el menor id. */
export function topIds(probabilities, n) {
  const ids = Array.from(probabilities.keys());
  return ids.sort((a, b) => probabilities[b] - probabilities[a] || a - b).slice(0, n);
}

const countAlive = (logits) => logits.reduce((total, value) => total + (value > -Infinity), 0);

function oneHot(length, place) {
  const result = new Float32Array(length);
  result[place] = 1;
  return result;
}
