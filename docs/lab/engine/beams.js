// Búsqueda en haz: en cada paso siguen vivas las continuaciones de mayor log-probabilidad acumulada.
//
// La misma cuenta que course_utils.decoding.beam_search y que `model.generate(num_beams=…, early_stopping=False)`.

import { require } from "./errors.js";

/**
 * Busca desde `node`. Da cada paso según lo termina (los candidatos de ese paso) y devuelve `{ tree, best }`.
 *
 * tree: `{ index, parent, token, node, step, total, score, status }`; `parent` es un índice de la lista (−1: el prompt),
 * `node` el nodo del motor si ya se ha leído, `total` la suma de log-probabilidades (nats), `score` esa suma entre
 * longitud ** lengthPenalty y `status` «viva», «podada» o «terminada». best: `{ ids, score }`, de mejor a peor, con los
 * ids nuevos. Los nodos se quedan en el árbol del motor: quien ya no los quiera, que llame a `engine.keep`.
 */
export async function* beamSearch(engine, node, options = {}) {
  const { numBeams = 3, maxNewTokens = 10, lengthPenalty = 1, eos = engine.config.eos, signal } = options;
  check(engine, node, numBeams, maxNewTokens, lengthPenalty);
  const tree = [];
  let live = [{ node, total: 0, index: -1, ids: [] }];
  let done = []; // { ids, score }, de mejor a peor, numBeams como mucho

  for (let step = 0; step < maxNewTokens; step++) {
    const last = step + 1 === maxNewTokens;
    const norm = (total) => total / (step + 1) ** lengthPenalty;
    // Cada rama puede gastar un candidato en acabar: con el doble siempre quedan numBeams que siguen.
    const candidates = expand(live, 2 * numBeams).map(({ parent, token, total }, rank) => {
      const ends = last || token === eos;
      const status = ends && rank < numBeams ? "terminada" : "podada"; // de momento
      const entry = { index: tree.length, parent: parent.index, token, node: null, step, total, score: norm(total), status };
      tree.push(entry);
      return { entry, ends, ids: [...parent.ids, token], from: parent.node };
    });
    const finished = candidates.filter(({ entry }) => entry.status === "terminada");
    done = [...done, ...finished.map(({ ids, entry }) => ({ ids, score: entry.score }))];
    done = done.sort((a, b) => b.score - a.score).slice(0, numBeams);
    const alive = candidates.filter(({ ends }) => !ends).slice(0, numBeams);
    for (const { entry } of alive) entry.status = "viva";

    // ¿Puede alguna rama viva, a esta longitud, superar a la peor terminada?
    const full = done.length === numBeams;
    const over = last || (full && norm(alive[0].entry.total) <= done.at(-1).score) || (numBeams === 1 && full);
    if (!over) {
      for (const one of alive) one.entry.node = await engine.extend(one.from, [one.entry.token], { signal });
      live = alive.map(({ entry, ids }) => ({ node: entry.node, total: entry.total, index: entry.index, ids }));
    }
    yield candidates.map(({ entry }) => entry);
    if (over) break;
  }
  return { tree, best: done };
}

function check(engine, node, numBeams, maxNewTokens, lengthPenalty) {
  const positive = (value) => Number.isInteger(value) && value >= 1;
  const most = engine.config.vocab_size / 2;
  require(positive(numBeams) && numBeams <= most, "settings", `Los haces deben ser un entero entre 1 y ${most} y son ${numBeams}.`);
  require(positive(maxNewTokens), "settings", `Los tokens nuevos deben ser un entero, 1 o más, y son ${maxNewTokens}.`);
  const valid = Number.isFinite(lengthPenalty) && Math.abs(lengthPenalty) <= 100;
  require(valid, "settings", `La penalización por longitud debe estar entre −100 y 100 y es ${lengthPenalty}; lo normal es de 0 a 2.`);
  require(node, "settings", "Para buscar hace falta un nodo del que partir: lee antes el prompt con extend.");
  const { n_positions } = engine.config;
  const room = n_positions - node.depth;
  require(
    maxNewTokens <= room,
    "context",
    `${node.depth} tokens leídos y ${maxNewTokens} nuevos no caben en los ${n_positions} del modelo: pide ${room} como mucho.`,
  );
}

/** Las `count` mejores continuaciones de todas las ramas vivas, `{ parent, token, total }`, de mejor a peor. */
function expand(live, count) {
  const all = live.flatMap((parent) => {
    const logSum = parent.node.logSum;
    const tokens = best(parent.node.logits, count);
    return tokens.map((token) => ({ parent, token, total: parent.total + parent.node.logits[token] - logSum }));
  });
  return all.sort((a, b) => b.total - a.total).slice(0, count); // estable: los empates, por rama y por id
}

/** Los ids de los `count` mayores, de mayor a menor. */
function best(logits, count) {
  const least = logits.slice().sort()[Math.max(logits.length - count, 0)];
  const ids = [];
  logits.forEach((logit, id) => logit >= least && ids.push(id));
  return ids.sort((a, b) => logits[b] - logits[a] || a - b).slice(0, count);
}
