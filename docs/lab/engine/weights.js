// Los pesos: de safetensors en 16 bits a la memoria en la que trabaja el núcleo, en 32 y en el orden que le conviene.

import { LabError, require } from "./errors.js";

export const PANEL = 8; // columnas de la matriz que el núcleo calcula a la vez

/** Qué significa cada uno de los 65 536 números de 16 bits. */
function halves() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else table[bits] = sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
  }
  return table;
}

/** Lee un archivo safetensors: da `tensor(nombre, forma)`, que comprueba la forma y da un índice → número. */
export function openTensors(bytes) {
  const broken = (what) => new LabError("altered", `model.safetensors está dañado: ${what}. Recarga la página.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw broken(`solo tiene ${bytes.length} bytes`);
  const length = Number(view.getBigUint64(0, true));
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  } catch {
    throw broken("no se entiende su cabecera");
  }
  const table = halves();
  return function tensor(name, shape) {
    const entry = header[name];
    if (!entry) throw broken(`le falta «${name}»`);
    if (String(entry.shape) !== String(shape)) throw broken(`«${name}» mide ${entry.shape} y debería medir ${shape}`);
    const [from, to] = entry.data_offsets.map((offset) => 8 + length + offset);
    const size = shape.reduce((product, side) => product * side, 1);
    if (to > bytes.length || to - from !== size * (entry.dtype === "F32" ? 4 : 2)) throw broken(`«${name}» está cortado`);
    require(["F16", "F32"].includes(entry.dtype), "unsupported", `«${name}» es ${entry.dtype}: el laboratorio lee F16 y F32.`);
    const own = bytes.slice(from, to).buffer; // una copia: el original puede no estar alineado
    if (entry.dtype === "F32") return new Float32Array(own);
    const values = new Float32Array(size);
    const packed = new Uint16Array(own);
    for (let i = 0; i < size; i++) values[i] = table[packed[i]];
    return values;
  };
}

/** Copia una matriz (entradas, salidas) en bandas de 8 columnas: el núcleo la recorre entera, en orden, una vez. */
export function packMatrix(target, matrix, inputs, outputs) {
  let at = 0;
  for (let first = 0; first < outputs; first += PANEL) {
    for (let i = 0; i < inputs; i++) {
      for (let column = 0; column < PANEL; column++) target[at++] = matrix[i * outputs + first + column];
    }
  }
}

/** Lo mismo con la matriz traspuesta, (salidas, entradas): así está guardado el vocabulario. */
export function packTransposed(target, matrix, inputs, outputs) {
  let at = 0;
  for (let first = 0; first < outputs; first += PANEL) {
    for (let i = 0; i < inputs; i++) {
      for (let column = 0; column < PANEL; column++) target[at++] = matrix[(first + column) * inputs + i];
    }
  }
}
