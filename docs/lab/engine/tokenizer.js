// El tokenizador: BPE de bytes, leído del mismo tokenizer.json que usa Python, con los mismos ids.
//
//   texto → trozos entre tokens especiales → NFC → palabras → bytes → uniones, de la más frecuente a la menos

import { LabError, require } from "./errors.js";

// Cómo parte GPT-2 un texto. `\p{White_Space}` y no `\s`: en JavaScript `\s` incluye U+FEFF y no U+0085.
const WORDS =
  /'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const REMEMBERED = 20000; // palabras ya partidas que se recuerdan

/** Los BPE de bytes escriben cada byte con un carácter que se ve: los que ya se ven, y para los demás, otros. */
function byteAlphabet() {
  const visible = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(visible(byte) ? byte : next++));
}

const escape = (text) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

export class Tokenizer {
  #symbols; // id → cómo se escribe en tokenizer.json
  #bytes; // id → sus bytes
  #special; // los ids de los tokens especiales
  #split; // la expresión que los encuentra en un texto
  #ids; // símbolo → id
  #byteId; // byte → id
  #merges = new Map(); // izquierda * V + derecha → [rango, id de la unión]
  #words = new Map(); // palabra → ids

  /** `json`: el contenido de tokenizer.json, ya leído. */
  constructor(json) {
    const { model, normalizer, pre_tokenizer: words, added_tokens: added = [] } = json ?? {};
    require(
      model?.type === "BPE" && normalizer?.type === "NFC" && words?.type === "ByteLevel" && !words.add_prefix_space &&
        added.every((token) => token.special && !token.lstrip && !token.rstrip && !token.single_word),
      "unsupported",
      "Este tokenizador no es un BPE de bytes con NFC, que es el que lee el laboratorio: usa el del curso.",
    );
    const alphabet = byteAlphabet();
    const byteOf = new Map(alphabet.map((symbol, byte) => [symbol, byte]));
    this.#ids = new Map([...Object.entries(model.vocab), ...added.map((token) => [token.content, token.id])]);
    this.#special = new Map(added.map((token) => [token.id, token.content]));
    this.#symbols = [];
    for (const [symbol, id] of this.#ids) this.#symbols[id] = symbol;
    this.#bytes = this.#symbols.map((symbol) =>
      [...symbol].every((c) => byteOf.has(c)) ? Uint8Array.from(symbol, (c) => byteOf.get(c)) : new TextEncoder().encode(symbol),
    );
    this.#byteId = alphabet.map((symbol) => this.#ids.get(symbol));
    this.#split = added.length ? new RegExp(`(${added.map((token) => escape(token.content)).join("|")})`) : /$^/;
    model.merges.forEach((merge, rank) => {
      const [left, right] = typeof merge === "string" ? merge.split(" ") : merge;
      this.#merges.set(this.#pair(this.#ids.get(left), this.#ids.get(right)), [rank, this.#ids.get(left + right)]);
    });
  }

  /** Cuántos tokens hay. */
  get size() {
    return this.#symbols.length;
  }

  #pair(left, right) {
    return left * this.#symbols.length + right;
  }

  /** Los ids de un texto. Los tokens especiales escritos en él cuentan como tales, como en Python. */
  encode(text) {
    const ids = [];
    text.split(this.#split).forEach((piece, i) => {
      if (i % 2) ids.push(this.#ids.get(piece)); // `split` alterna texto y token especial
      else for (const [word] of piece.normalize("NFC").matchAll(WORDS)) for (const id of this.#word(word)) ids.push(id);
    });
    return ids;
  }

  /** Los ids de una palabra: de sus bytes, uniendo cada vez la pareja que antes se aprendió. */
  #word(word) {
    let ids = this.#words.get(word);
    if (ids) return ids;
    ids = Array.from(new TextEncoder().encode(word), (byte) => this.#byteId[byte]);
    for (;;) {
      let best; // [rango, id]
      for (let i = 1; i < ids.length; i++) {
        const merge = this.#merges.get(this.#pair(ids[i - 1], ids[i]));
        if (merge && (!best || merge[0] < best[0])) best = merge;
      }
      if (!best) break;
      const merged = [];
      for (let i = 0; i < ids.length; i++) {
        const joins = i + 1 < ids.length && this.#merges.get(this.#pair(ids[i], ids[i + 1])) === best;
        merged.push(joins ? best[1] : ids[i]);
        if (joins) i++;
      }
      ids = merged;
    }
    if (this.#words.size >= REMEMBERED) this.#words.clear();
    this.#words.set(word, ids);
    return ids;
  }

  /** El texto de unos ids; lo que no es UTF-8 válido se ve como «\ufffd», igual que en Python. */
  decode(ids, { skipSpecial = true } = {}) {
    const kept = Array.from(ids).filter((id) => !(skipSpecial && this.#special.has(id)));
    const parts = kept.map((id) => this.#bytesOf(id));
    const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }

  #bytesOf(id) {
    const bytes = this.#bytes[id];
    if (!bytes) throw new LabError("settings", `No hay ningún token con el id ${id}: van de 0 a ${this.size - 1}.`);
    return bytes;
  }

  /** Un token que se deja ver, como `course_utils.decoding.show_token`: «␣» espacio, «⏎» fin de línea, «⟨C3⟩» un byte. */
  show(id) {
    if (this.#symbols[id] === undefined) return `⟨id ${id}⟩`;
    const text = this.decode([id], { skipSpecial: false });
    if (!text.includes("\ufffd")) return text.replaceAll(" ", "␣").replaceAll("\n", "⏎");
    const hex = (byte) => (byte === 0x20 ? "␣" : `⟨${byte.toString(16).toUpperCase().padStart(2, "0")}⟩`);
    return Array.from(this.#bytes[id], hex).join("");
  }
}
