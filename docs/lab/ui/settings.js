// Los mandos: qué valores valen, cuáles apagan cada filtro y con cuáles se empieza.

export const CONTEXT = 256; // lo confirma el modelo al cargarse

/** nombre → límites; `off` es el valor que lo apaga y `integer`, que no admite decimales. */
export const RANGES = {
  temperature: { label: "Temperatura", min: 0, max: 5, off: 1, initial: 0.8 },
  topK: { label: "Top-k", min: 0, max: 4096, off: 0, initial: 40, integer: true },
  topP: { label: "Top-p", min: 0.01, max: 1, off: 1, initial: 1 },
  minP: { label: "Min-p", min: 0, max: 1, off: 0, initial: 0 },
  repetitionPenalty: { label: "Penalización", min: 1, max: 3, off: 1, initial: 1 },
  seed: { label: "Semilla", min: 0, max: 2 ** 31 - 1, initial: 0, integer: true },
  maxNewTokens: { label: "Cuántos tokens", min: 1, max: CONTEXT, initial: 40, integer: true },
};

export const INITIAL = Object.freeze(
  Object.fromEntries(Object.entries(RANGES).map(([name, range]) => [name, range.initial])),
);

/** Los mismos mandos con los filtros apagados y sin tocar la semilla ni la longitud. */
export const OFF = Object.freeze({ temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 });

/** `partial` si todo vale; si algo no, lo dice con el valor y lo que se puede poner. */
export function validate(partial, fail = (message) => new RangeError(message)) {
  for (const [name, value] of Object.entries(partial)) {
    const range = RANGES[name];
    if (!range) throw fail(`No hay ningún mando que se llame «${name}». Hay: ${Object.keys(RANGES).join(", ")}.`);
    const fits = typeof value === "number" && value >= range.min && value <= range.max;
    if (!fits || (range.integer && !Number.isInteger(value))) {
      const kind = range.integer ? "un número entero" : "un número";
      const [least, most] = [range.min, range.max].map((limit) => String(limit).replace(".", ","));
      throw fail(`${range.label} vale «${value}», y tiene que ser ${kind} entre ${least} y ${most}.`);
    }
  }
  return partial;
}
