// El núcleo: las tres cuentas en las que se va el tiempo. En JavaScript, aquí; en WebAssembly SIMD, en kernel.wat.
//
// Las dos versiones trabajan sobre una memoria `heap` (Float32Array) y reciben posiciones en ella, no matrices.
// El orden de las sumas no es el mismo, así que los resultados difieren en la última cifra de un número de 32 bits.

import { LabError, megabytes, require } from "./errors.js";
import { KERNEL } from "./kernel_bytes.js";
import { PANEL } from "./weights.js";

const PAGE = 65536; // bytes: WebAssembly pide la memoria por páginas

/** ¿Sabe este navegador WebAssembly con SIMD? Se le pregunta al propio núcleo. */
function simdModule() {
  try {
    return new WebAssembly.Module(Uint8Array.from(atob(KERNEL), (c) => c.charCodeAt(0)));
  } catch {
    return null;
  }
}

/**
 * Un núcleo con sitio para `floats` números. `simd`: "auto" (WebAssembly si se puede), true (o error) o false.
 * Da `{ simd, heap, matmul, scores, mix }`.
 */
export function createKernel(floats, simd = "auto") {
  require(["auto", true, false].includes(simd), "settings", `simd debe ser "auto", true o false, y es ${String(simd)}.`);
  const module = simd === false ? null : simdModule();
  require(
    module || simd !== true,
    "unsupported",
    "Este navegador no tiene WebAssembly con SIMD. Actualízalo, o usa simd: \"auto\", que calcula con JavaScript, más despacio.",
  );
  try {
    return module ? wasmKernel(module, floats) : javascriptKernel(floats);
  } catch (cause) {
    const need = megabytes(4 * floats);
    throw new LabError(
      "memory",
      `No hay memoria: el modelo necesita ${need} y el navegador no los da. Cierra otras pestañas y recarga la página.`,
      { cause },
    );
  }
}

function wasmKernel(module, floats) {
  const memory = new WebAssembly.Memory({ initial: Math.ceil((4 * floats) / PAGE) });
  const { matmul, scores, mix } = new WebAssembly.Instance(module, { env: { memory } }).exports;
  return {
    simd: true,
    heap: new Float32Array(memory.buffer),
    // WebAssembly cuenta en bytes
    matmul: (x, w, b, y, rows, inputs, outputs) => matmul(4 * x, 4 * w, 4 * b, 4 * y, rows, inputs, outputs),
    scores: (q, k, out, count, size, stride) => scores(4 * q, 4 * k, 4 * out, count, size, stride),
    mix: (p, v, out, count, size, stride) => mix(4 * p, 4 * v, 4 * out, count, size, stride),
  };
}

/** Una fila por una banda: ocho sumas a la vez, en variables sueltas para que el navegador las tenga en registros. */
function panel(heap, x, w, b, y, inputs) {
  let [a0, a1, a2, a3] = [heap[b], heap[b + 1], heap[b + 2], heap[b + 3]];
  let [a4, a5, a6, a7] = [heap[b + 4], heap[b + 5], heap[b + 6], heap[b + 7]];
  for (const end = x + inputs; x < end; x++, w += PANEL) {
    const value = heap[x];
    a0 += value * heap[w];
    a1 += value * heap[w + 1];
    a2 += value * heap[w + 2];
    a3 += value * heap[w + 3];
    a4 += value * heap[w + 4];
    a5 += value * heap[w + 5];
    a6 += value * heap[w + 6];
    a7 += value * heap[w + 7];
  }
  [heap[y], heap[y + 1], heap[y + 2], heap[y + 3]] = [a0, a1, a2, a3];
  [heap[y + 4], heap[y + 5], heap[y + 6], heap[y + 7]] = [a4, a5, a6, a7];
}

function javascriptKernel(floats) {
  const heap = new Float32Array(floats);
  return {
    simd: false,
    heap,

    /** y = x · w + b. x (filas, entradas), w en bandas de 8 columnas, b (salidas), y (filas, salidas). */
    matmul(x, w, b, y, rows, inputs, outputs) {
      for (let j = 0; j < outputs; j += PANEL, w += PANEL * inputs) {
        for (let row = 0; row < rows; row++) panel(heap, x + row * inputs, w, b + j, y + row * outputs + j, inputs);
      }
    },

    /** out[p] = q · k[p]: cuánto casa una consulta con cada clave. Las claves están cada `stride` números. */
    scores(q, k, out, count, size, stride) {
      for (let p = 0; p < count; p++, k += stride) {
        let sum = 0;
        for (let i = 0; i < size; i++) sum += heap[q + i] * heap[k + i];
        heap[out + p] = sum;
      }
    },

    /** out = Σ p[i] · v[i]: la mezcla de los valores, con los pesos de la atención. */
    mix(p, v, out, count, size, stride) {
      heap.fill(0, out, out + size);
      for (let position = 0; position < count; position++, v += stride) {
        const weight = heap[p + position];
        for (let i = 0; i < size; i++) heap[out + i] += weight * heap[v + i];
      }
    },
  };
}
