// El motor que usa la página: carga el modelo y lee tokens en un árbol.

import { LabError, require } from "./errors.js";
import { Model, readConfig } from "./forward.js";
import { breather } from "./pause.js";
import { fetchModel } from "./source.js";
import { Tokenizer } from "./tokenizer.js";
import { alive, keep, Node, release, touch, trim } from "./tree.js";

/**
 * Descarga (o saca de la caché), comprueba y prepara el modelo.
 *
 * base: la carpeta del modelo, relativa a la página. onProgress(recibidos, total): en bytes.
 * simd: "auto" (WebAssembly si se puede), true (o error) o false (JavaScript). signal: para cancelar.
 */
export async function load({ base = "modelo/", onProgress, simd = "auto", signal } = {}) {
  const { files, hash, bytes, cached } = await fetchModel({ base, onProgress, signal });
  const json = (name) => {
    try {
      return JSON.parse(new TextDecoder().decode(files.get(name)));
    } catch {
      throw new LabError("altered", `${base}${name} no es JSON: está cambiado. Recarga la página.`);
    }
  };
  const config = readConfig(json("config.json"));
  const tokenizer = new Tokenizer(json("tokenizer.json"));
  const model = await Model.create(files.get("model.safetensors"), config, { simd, signal });
  return new Engine(model, tokenizer, { hash: hash.slice(0, 8), bytes, cached });
}

export class Engine {
  #model;
  #tree;
  #turn = Promise.resolve(); // las lecturas, de una en una

  constructor(model, tokenizer, { hash, bytes, cached }) {
    this.#model = model;
    this.#tree = { config: model.config, roots: new Map(), nodes: 0, nextId: 0 };
    this.config = model.config;
    this.tokenizer = tokenizer;
    this.simd = model.simd; // ¿calcula WebAssembly?
    this.hash = hash; // qué versión del modelo es, en corto
    this.bytes = bytes; // lo que miden sus archivos
    this.cached = cached; // ¿estaba ya guardado? Entonces no se ha descargado nada
  }

  /** Cuántos nodos hay en el árbol. */
  get nodes() {
    return this.#tree.nodes;
  }

  /** Memoria que ocupa el motor: la fija (pesos y sitio de trabajo) y la de los nodos. */
  memory() {
    const { n_layer, n_embd, vocab_size } = this.config;
    const each = 4 * (3 * n_layer * n_embd + vocab_size);
    return { nodes: this.nodes, bytes: this.#model.bytes + this.nodes * each };
  }

  /** Los ids desde el principio hasta un nodo. */
  ids(node) {
    return node ? node.path().map(({ token }) => token) : [];
  }

  /**
   * Lee `ids` detrás de `node` (null: desde el principio) y da el último nodo. Lo que ya estaba leído no se calcula.
   * Sin nodo y sin ids empieza por el token de fin de texto, que es como empieza un texto para el modelo.
   */
  async extend(node, ids, { signal, onProgress = () => {} } = {}) {
    const tokens = node || ids.length ? Array.from(ids) : [this.config.eos];
    this.#check(node, tokens);
    const before = this.#turn;
    let done;
    this.#turn = new Promise((resolve) => (done = resolve));
    await before;
    try {
      signal?.throwIfAborted();
      return await this.#read(node, tokens, breather(signal), onProgress);
    } finally {
      done();
    }
  }

  #check(node, tokens) {
    const { n_positions, vocab_size } = this.config;
    const wrong = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab_size);
    require(wrong === undefined, "settings", `No hay ningún token con el id ${wrong}: van de 0 a ${vocab_size - 1}.`);
    const total = (node?.depth ?? 0) + tokens.length;
    require(
      total <= n_positions,
      "context",
      `Son ${total} tokens y el modelo lee ${n_positions} como mucho. Acorta el texto en ${total - n_positions} o más.`,
    );
  }

  async #read(node, tokens, breathe, onProgress) {
    if (node) alive(node);
    let done = 0;
    const known = () => (node ? node.children : this.#tree.roots).get(tokens[done]);
    for (let next; done < tokens.length && (next = known()); done++) node = next;
    touch(this.#tree, node);
    onProgress(done, tokens.length);
    while (done < tokens.length) {
      const batch = tokens.slice(done, done + this.#model.rows);
      const results = await this.#model.read(node ? node.path() : [], batch, breathe);
      if (node) alive(node); // por si lo han soltado mientras tanto
      const nodes = results.map(({ logits, state }, i) => (node = new Node(this.#tree, node, batch[i], logits, state)));
      this.#model.remember(nodes);
      done += batch.length;
      onProgress(done, tokens.length);
      await breathe();
    }
    touch(this.#tree, node);
    return node;
  }

  /** Suelta un nodo y lo que cuelga de él. */
  release(node) {
    release(this.#tree, node);
  }

  /** Suelta todo menos esos nodos y sus antepasados. */
  keep(nodes) {
    keep(this.#tree, nodes);
  }

  /** Si hay más de `limit` nodos, suelta los que llevan más tiempo sin usarse; nunca esos ni sus antepasados. */
  trim(limit, nodes) {
    trim(this.#tree, limit, nodes);
  }
}
