// Un enlace que lo lleva todo: prompt, mandos e ids escritos. Va detrás de «#», que el navegador no manda a nadie.
//
// Los nombres son los de Python. Un enlace es texto ajeno: se mira entero antes de usar nada.

import { CONTEXT, RANGES, validate } from "./settings.js";

const NAMES = {
  temperature: "temperature", topK: "top_k", topP: "top_p", minP: "min_p",
  repetitionPenalty: "repetition_penalty", seed: "seed", maxNewTokens: "max_new_tokens",
};
const LONGEST = 5000; // caracteres de prompt: de sobra para 256 tokens

/** `#prompt=…&temperature=0.8&…&ids=12.34` de un texto y sus mandos. */
export function encode({ prompt, settings, written }) {
  const fields = new URLSearchParams({ prompt });
  for (const [name, key] of Object.entries(NAMES)) fields.set(key, String(settings[name]));
  if (written.length) fields.set("ids", written.join("."));
  return `#${fields}`;
}

/** Si lo que hay tras «#» es uno de estos enlaces. */
export const isPermalink = (hash) => /^#(?:[^#]*&)?prompt=/.test(hash);

/**
 * Lo contrario de `encode`: {prompt, settings, written}. Lo que falte en `settings` no está.
 * Lanza un error con lo que está mal, el valor que trae y qué hacer.
 */
export function decode(hash, vocabulary) {
  const fields = new URLSearchParams(hash.slice(1));
  const prompt = fields.get("prompt") ?? "";
  if (prompt.length > LONGEST) throw broken(`el principio tiene ${prompt.length} caracteres y aquí caben ${LONGEST}`);
  const settings = {};
  for (const [name, key] of Object.entries(NAMES)) {
    if (!fields.has(key)) continue;
    const text = fields.get(key);
    if (!/^-?\d{1,10}(\.\d{1,17})?(e-\d{1,2})?$/.test(text)) throw broken(`${RANGES[name].label} vale «${shorten(text)}», que no es un número`);
    settings[name] = Number(text);
  }
  validate(settings, (message) => broken(message.replace(/\.$/, "")));
  return { prompt, settings, written: readIds(fields.get("ids"), vocabulary) };
}

function readIds(text, vocabulary) {
  if (!text) return [];
  const ids = text.slice(0, 10 * CONTEXT).split(".").map((one) => (/^\d{1,6}$/.test(one) ? Number(one) : NaN));
  const wrong = ids.findIndex((id) => !(id < vocabulary));
  if (wrong >= 0) throw broken(`entre los ids hay uno, el ${wrong + 1}.º, que no es de los ${vocabulary} del modelo`);
  if (text.length > 10 * CONTEXT || ids.length > CONTEXT) throw broken(`trae más de ${CONTEXT} ids, y no caben`);
  return ids;
}

const shorten = (text) => (text.length > 20 ? `${text.slice(0, 20)}…` : text);

const broken = (what) =>
  new RangeError(`Este enlace está estropeado: ${what}. Pide otra vez el enlace; mientras, aquí tienes el laboratorio como al principio.`);
