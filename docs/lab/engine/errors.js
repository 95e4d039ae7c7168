// Los errores del laboratorio: qué ha pasado, con el valor recibido, y qué se puede hacer. Siempre en español.

/**
 * Un fallo que se le cuenta a quien usa la página.
 * `code`: "missing", "altered", "memory", "network", "unsupported", "context" o "settings".
 */
export class LabError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = "LabError";
    this.code = code;
  }
}

/** Lanza un `LabError` si no se cumple la condición. */
export function require(condition, code, message) {
  if (!condition) throw new LabError(code, message);
}

/** Bytes como los lee una persona: «17,6 MB». */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1).replace(".", ",")}\u00a0MB`;
}
