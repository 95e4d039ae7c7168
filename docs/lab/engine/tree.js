// El árbol de lo leído: cada token sabe de quién viene y guarda lo suyo. Volver atrás, o probar otra rama, no cuesta nada.

import { require } from "./errors.js";

/** log Σ exp(x): lo que hay que restar a un logit para que sea una log-probabilidad (nats). */
export function logSumExp(logits) {
  let top = -Infinity;
  for (const value of logits) if (value > top) top = value;
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - top);
  return top + Math.log(sum);
}

/** Un token leído, con lo que el modelo calculó al leerlo. */
export class Node {
  #tree;
  #logSum; // se calcula la primera vez que hace falta

  constructor(tree, parent, token, logits, state) {
    this.#tree = tree;
    this.id = tree.nextId++;
    this.parent = parent;
    this.token = token;
    this.depth = parent ? parent.depth + 1 : 1; // tokens desde el principio, con este
    this.children = new Map(); // token → Node
    this.logits = logits; // (V,), los del modelo, sin tocar
    this.state = state; // (capas, 3, E): consulta, clave y valor; null cuando se ha soltado
    this.logprob = parent ? parent.logits[token] - parent.logSum : NaN; // nats
    this.used = this.id; // cuándo se usó por última vez: los ids que había dados
    (parent ? parent.children : tree.roots).set(token, this);
    tree.nodes++;
  }

  /** log Σ exp(logits): con ella, `logits[id] - logSum` es la log-probabilidad (nats) de cada continuación. */
  get logSum() {
    return (this.#logSum ??= logSumExp(this.logits));
  }

  /** Los nodos desde el principio hasta este. */
  path() {
    const nodes = [];
    for (let node = this; node; node = node.parent) nodes.push(node);
    return nodes.reverse();
  }

  /** Cuánto atiende este token a cada uno de los anteriores y a sí mismo: Float32Array(depth), que suma 1. */
  attention(layer, head) {
    const { n_layer: layers, n_head: heads, n_embd: size } = this.#tree.config;
    const valid = Number.isInteger(layer) && layer >= 0 && layer < layers && Number.isInteger(head) && head >= 0 && head < heads;
    require(valid, "settings", `No hay capa ${layer}, cabeza ${head}: hay ${layers} capas y ${heads} cabezas, desde 0.`);
    alive(this);
    const width = size / heads;
    const [q, k] = [0, 1].map((part) => (3 * layer + part) * size + head * width);
    const weights = new Float32Array(this.depth);
    for (let node = this; node; node = node.parent) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += this.state[q + i] * node.state[k + i];
      weights[node.depth - 1] = sum / Math.sqrt(width);
    }
    const total = logSumExp(weights);
    return weights.map((weight) => Math.exp(weight - total));
  }
}

/** Que no se use un nodo que ya se ha soltado. */
export function alive(node) {
  require(node.state, "settings", `El nodo ${node.id} ya se había soltado con release o keep: vuelve a leer sus ids con extend.`);
}

/** Suelta un nodo y todo lo que cuelga de él; devuelve cuántos eran. */
export function release(tree, node) {
  if (!node.state) return 0;
  (node.parent ? node.parent.children : tree.roots).delete(node.token);
  const pending = [node];
  let released = 0;
  while (pending.length) {
    const next = pending.pop();
    pending.push(...next.children.values());
    next.children.clear();
    next.state = next.logits = null;
    released++;
  }
  tree.nodes -= released;
  return released;
}

/** Apunta que se usan ahora ese nodo y sus antepasados: ninguno es más viejo que los que cuelgan de él. */
export function touch(tree, node) {
  for (; node; node = node.parent) node.used = tree.nextId;
}

/** Si hay más de `limit` nodos, suelta la mitad que lleva más tiempo sin usarse; nunca esos ni sus antepasados. */
export function trim(tree, limit, nodes) {
  if (tree.nodes <= limit) return 0;
  for (const node of nodes) touch(tree, node);
  const all = [...tree.roots.values()];
  for (let i = 0; i < all.length; i++) all.push(...all[i].children.values());
  const newest = all.map((node) => node.used).sort((a, b) => b - a);
  const from = newest[limit >> 1];
  return all.reduce((released, node) => released + (node.used < from ? release(tree, node) : 0), 0);
}

/** Suelta todo menos esos nodos y sus antepasados; devuelve cuántos ha soltado. */
export function keep(tree, nodes) {
  const kept = new Set();
  for (let node of nodes) for (; node && !kept.has(node); node = node.parent) kept.add(node);
  let released = 0;
  const sweep = (children) => {
    for (const child of [...children.values()]) {
      if (!kept.has(child)) released += release(tree, child);
    }
  };
  sweep(tree.roots);
  for (const node of kept) sweep(node.children);
  return released;
}
