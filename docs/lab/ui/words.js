// Lo que hace cada mando, dicho con palabras y con los números de ahora.

import { count, number } from "../format.js";

const NAMES = {
  repetitionPenalty: "Penalización",
  temperature: "Temperatura",
  topK: "Top-k",
  topP: "Top-p",
  minP: "Min-p",
};

/** El nombre y el valor de un mando, como «Top-k 40». */
export const labelOf = (name, settings) => `${NAMES[name]} ${number(settings[name], decimals(settings[name]))}`;

/** Los decimales que hacen falta para decir un número entero, como están: 0,85; 1,2; 40. */
export function decimals(value) {
  return Math.min(String(value).split(".")[1]?.length ?? 0, 4);
}

/** Qué ha hecho cada mando, en el orden en que actúan: una frase por cada uno de los encendidos. */
export function describeStages({ stages, greedy }, settings, ids) {
  const lines = stages.map((stage) => `${labelOf(stage.name, settings)}: ${deed(stage, settings, ids)}`);
  if (greedy) lines.push("Temperatura 0, voraz: se escribe siempre la primera. No hay dado ni filtros.");
  else if (!lines.length) lines.push("Ningún mando encendido: se tira el dado con todas, tal como las da el modelo.");
  return lines;
}

function deed({ name, removed, kept, entropies: [before, after] }, settings, ids) {
  if (name === "repetitionPenalty") {
    const seen = new Set(ids).size;
    return `aleja ${count(seen, "token que ya ha salido", "tokens que ya han salido")}; no quita ninguno.`;
  }
  if (name === "temperature") {
    const verb = settings.temperature < 1 ? "afila" : "aplana";
    return `${verb} el reparto, de ${number(before, 2)} a ${number(after, 2)} bits; no quita ninguna.`;
  }
  if (removed === 0) return "no quita ninguna más.";
  return `quita ${number(removed, 0)} y ${kept === 1 ? "queda 1" : `quedan ${number(kept, 0)}`}.`;
}
