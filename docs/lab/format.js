// Cómo se escriben los números para quien lee: las mismas reglas que course_utils/_look.py.

const THIN = "\u202f"; // el espacio fino que no deja partir la línea

/** «12 345,7», «−0,96», «1549» (cuatro cifras no se separan), «∞», «—» si no hay número. */
export function number(value, digits = 1) {
  if (Number.isNaN(value) || value === null || value === undefined) return "—";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const rounded = Number(value.toFixed(digits)) + 0; // −0,0 es 0,0
  const [whole, decimals] = Math.abs(rounded).toFixed(digits).split(".");
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, THIN) : whole;
  return (rounded < 0 ? "−" : "") + grouped + (decimals ? `,${decimals}` : "");
}

/** Una probabilidad, entre 0 y 1, como tanto por ciento: «12,1 %»; lo que no llega a verse, «< 0,1 %». */
export function percent(probability, digits = 1) {
  const least = 10 ** -digits;
  const shown = 100 * probability;
  if (shown > 0 && shown < least / 2) return `<${THIN}${number(least, digits)}${THIN}%`;
  return `${number(shown, digits)}${THIN}%`;
}

/** Bytes como megabytes, los de los fabricantes y las tarifas: un millón. «17,9 MB». */
export function megabytes(bytes) {
  return `${number(bytes / 1e6, 1)}${THIN}MB`;
}

/** «1 token», «3 tokens»: el número y la palabra que le toca. */
export function count(value, one, many) {
  return `${number(value, 0)} ${value === 1 ? one : many}`;
}
