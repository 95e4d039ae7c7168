// El modelo: GPT-2, que lee tokens nuevos detrás de un camino ya leído.
//
// T tokens nuevos, E ancho del modelo, V vocabulario. Todo vive en la memoria del núcleo; las posiciones son números.

import { require } from "./errors.js";
import { createKernel } from "./kernel.js";
import { breather } from "./pause.js";
import { openTensors, packMatrix, packTransposed, PANEL } from "./weights.js";

// Tokens que pasan juntos por cada capa al leer un prompt. Con SIMD, de cuatro en cuatro se lee menos memoria; sin él no se
// gana nada, y con pocos se cede el paso más a menudo.
const ROWS = 16;
const ROWS_WITHOUT_SIMD = 4;
const SUPPORTED = { model_type: "gpt2", activation_function: "gelu_pytorch_tanh", n_inner: null, tie_word_embeddings: true };
const ALSO = { activation_function: ["gelu_new"] }; // otra manera de llamar a la misma función

/** Lo que hace falta saber del modelo, comprobado. */
export function readConfig(config) {
  for (const [name, value] of Object.entries(SUPPORTED)) {
    const right = config[name] === value || ALSO[name]?.includes(config[name]);
    require(right, "unsupported", `config.json dice ${name} = ${config[name]}, y el laboratorio solo sabe ${value}.`);
  }
  const { n_layer, n_head, n_embd, n_positions, vocab_size, eos_token_id: eos, layer_norm_epsilon: epsilon } = config;
  require(
    n_embd % (4 * n_head) === 0 && n_embd % PANEL === 0 && vocab_size % PANEL === 0,
    "unsupported",
    `El laboratorio necesita un ancho y un vocabulario múltiplos de ${PANEL}, y son ${n_embd} y ${vocab_size}.`,
  );
  return Object.freeze({ n_layer, n_head, n_embd, n_positions, vocab_size, eos, epsilon });
}

/** Dónde va cada cosa en la memoria: una lista de la compra antes de pedirla. */
function layout({ n_layer, n_embd: E, n_positions, vocab_size: V }) {
  let size = 0;
  const take = (floats) => (size += 4 * Math.ceil(floats / 4)) - 4 * Math.ceil(floats / 4); // alineado a 16 bytes
  const linear = (inputs, outputs) => ({ inputs, outputs, w: take(inputs * outputs), b: take(outputs) });
  const norm = () => ({ w: take(E), b: take(E) });
  const layers = Array.from({ length: n_layer }, () => ({
    norm1: norm(),
    qkv: linear(E, 3 * E),
    out: linear(E, E),
    norm2: norm(),
    up: linear(E, 4 * E),
    down: linear(4 * E, E),
    keys: take(n_positions * E), // del camino que se está leyendo
    values: take(n_positions * E),
  }));
  const place = { layers, positions: take(n_positions * E), norm: norm(), head: linear(E, V) };
  Object.assign(place, { x: take(ROWS * E), h: take(ROWS * E), wide: take(ROWS * 4 * E), logits: take(ROWS * V) });
  return Object.assign(place, { attention: take(n_positions), size });
}

/** Copia los pesos a su sitio, cediendo el paso entre uno y otro. */
async function fill(heap, place, config, tensor, breathe) {
  const { n_embd: E, n_positions, vocab_size: V } = config;
  const copy = (at, name, shape) => heap.set(tensor(`transformer.${name}`, shape), at);
  const norm = ({ w, b }, name) => {
    copy(w, `${name}.weight`, [E]);
    copy(b, `${name}.bias`, [E]);
  };
  const linear = async ({ inputs, outputs, w, b }, name) => {
    const matrix = tensor(`transformer.${name}.weight`, [inputs, outputs]);
    packMatrix(heap.subarray(w, w + inputs * outputs), matrix, inputs, outputs);
    copy(b, `${name}.bias`, [outputs]);
    await breathe();
  };
  for (const [i, layer] of place.layers.entries()) {
    norm(layer.norm1, `h.${i}.ln_1`);
    await linear(layer.qkv, `h.${i}.attn.c_attn`);
    await linear(layer.out, `h.${i}.attn.c_proj`);
    norm(layer.norm2, `h.${i}.ln_2`);
    await linear(layer.up, `h.${i}.mlp.c_fc`);
    await linear(layer.down, `h.${i}.mlp.c_proj`);
  }
  copy(place.positions, "wpe.weight", [n_positions, E]);
  norm(place.norm, "ln_f");
  const { w } = place.head; // la misma matriz da el vector de entrada de cada token y su logit a la salida
  packTransposed(heap.subarray(w, w + E * V), tensor("transformer.wte.weight", [V, E]), E, V);
}

/** Deja cada fila con media 0 y varianza 1, y le aplica su escala y su desplazamiento. */
function layerNorm(heap, from, to, rows, E, { w, b }, epsilon) {
  for (let row = 0; row < rows; row++, from += E, to += E) {
    let [mean, variance] = [0, 0];
    for (let i = 0; i < E; i++) mean += heap[from + i];
    mean /= E;
    for (let i = 0; i < E; i++) variance += (heap[from + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(variance / E + epsilon);
    for (let i = 0; i < E; i++) heap[to + i] = (heap[from + i] - mean) * scale * heap[w + i] + heap[b + i];
  }
}

/** GELU con la tangente hiperbólica, la de GPT-2; tanh(u) = 1 − 2 / (e^2u + 1). */
function gelu(heap, at, count) {
  const twice = 2 * Math.sqrt(2 / Math.PI);
  for (let i = at; i < at + count; i++) {
    const x = heap[i];
    heap[i] = x - x / (Math.exp(twice * (x + 0.044715 * x * x * x)) + 1);
  }
}

function softmax(heap, at, count, scale) {
  let top = -Infinity;
  for (let i = at; i < at + count; i++) if (heap[i] > top) top = heap[i];
  let sum = 0;
  for (let i = at; i < at + count; i++) sum += heap[i] = Math.exp((heap[i] - top) * scale);
  for (let i = at; i < at + count; i++) heap[i] /= sum;
}

/** El modelo con sus pesos: `read` lee tokens detrás de un camino. */
export class Model {
  #kernel;
  #place;
  #path = []; // los nodos cuyas claves y valores están ahora en la memoria del núcleo, por posición

  static async create(bytes, config, { simd, signal }) {
    const place = layout(config);
    const tensor = openTensors(bytes);
    const model = new Model(config, createKernel(place.size, simd), place);
    await fill(model.#kernel.heap, place, config, tensor, breather(signal));
    return model;
  }

  constructor(config, kernel, place) {
    this.config = config;
    this.#kernel = kernel;
    this.#place = place;
  }

  get simd() {
    return this.#kernel.simd;
  }

  /** Cuántos tokens lee de una vez, como mucho. */
  get rows() {
    return this.simd ? ROWS : ROWS_WITHOUT_SIMD;
  }

  /** Bytes de la memoria del núcleo: los pesos y el sitio de trabajo. */
  get bytes() {
    return this.#kernel.heap.byteLength;
  }

  /**
   * Lee hasta `rows` tokens detrás del camino `path` (nodos): de cada uno, sus logits (V,) y su estado.
   * `breathe` se llama a menudo, para ceder el paso.
   */
  async read(path, tokens, breathe) {
    const { heap, matmul } = this.#kernel;
    const { n_embd: E, vocab_size: V, epsilon } = this.config;
    const { x, h, wide, layers, norm, head, logits } = this.#place;
    const T = tokens.length;
    const states = tokens.map(() => new Float32Array(3 * layers.length * E));
    const linear = (from, { w, b, inputs, outputs }, to) => matmul(from, w, b, to, T, inputs, outputs);
    const add = () => {
      for (let i = 0; i < T * E; i++) heap[x + i] += heap[h + i];
    };
    this.#restore(path);
    this.#embed(tokens, path.length);
    for (const [i, layer] of layers.entries()) {
      layerNorm(heap, x, h, T, E, layer.norm1, epsilon);
      linear(h, layer.qkv, wide);
      this.#attend(layer, i, path.length, states);
      linear(h, layer.out, wide);
      heap.copyWithin(h, wide, wide + T * E);
      add();
      layerNorm(heap, x, h, T, E, layer.norm2, epsilon);
      linear(h, layer.up, wide);
      gelu(heap, wide, T * 4 * E);
      linear(wide, layer.down, h);
      add();
      await breathe();
    }
    layerNorm(heap, x, h, T, E, norm, epsilon);
    linear(h, head, logits);
    return states.map((state, row) => ({ state, logits: heap.slice(logits + row * V, logits + (row + 1) * V) }));
  }

  /** x = el vector de cada token más el de su posición. */
  #embed(tokens, start) {
    const { heap } = this.#kernel;
    const { x, head, positions } = this.#place;
    const E = this.config.n_embd;
    tokens.forEach((token, row) => {
      const from = head.w + (token - (token % PANEL)) * E + (token % PANEL); // su columna, dentro de su banda
      const place = positions + (start + row) * E;
      for (let i = 0; i < E; i++) heap[x + row * E + i] = heap[from + PANEL * i] + heap[place + i];
    });
  }

  /** De consultas, claves y valores (en `wide`) a lo que recoge cada token nuevo de los anteriores (en `h`). */
  #attend(layer, index, start, states) {
    const { heap, scores, mix } = this.#kernel;
    const { h, wide, attention } = this.#place;
    const { n_embd: E, n_head } = this.config;
    const width = E / n_head;
    states.forEach((state, row) => {
      const from = wide + row * 3 * E;
      const at = (start + row) * E;
      state.set(heap.subarray(from, from + 3 * E), 3 * index * E);
      heap.copyWithin(layer.keys + at, from + E, from + 2 * E);
      heap.copyWithin(layer.values + at, from + 2 * E, from + 3 * E);
      const count = start + row + 1; // se atiende a sí mismo y a lo anterior, nunca a lo que viene
      for (let first = 0; first < E; first += width) {
        scores(from + first, layer.keys + first, attention, count, width, E);
        softmax(heap, attention, count, 1 / Math.sqrt(width));
        mix(attention, layer.values + first, h + row * E + first, count, width, E);
      }
    });
  }

  /** Pone en la memoria del núcleo las claves y los valores de un camino: solo los que no estaban ya. */
  #restore(path) {
    const { heap } = this.#kernel;
    const E = this.config.n_embd;
    path.forEach((node, position) => {
      if (this.#path[position] === node) return;
      this.#place.layers.forEach(({ keys, values }, i) => {
        heap.set(node.state.subarray((3 * i + 1) * E, (3 * i + 2) * E), keys + position * E);
        heap.set(node.state.subarray((3 * i + 2) * E, (3 * i + 3) * E), values + position * E);
      });
    });
    this.#path = path.slice();
  }

  /** Los nodos recién creados ya están en la memoria del núcleo, detrás del último camino. */
  remember(nodes) {
    this.#path.push(...nodes);
  }
}
