// Las cuentas de «adivina»: qué token es una apuesta, cuántos bits gasta cada cual y cómo avanza una novela.

import { mean } from "./measures.js";

export const BETS = 10; // apuestas por partida
const KNOWN = 6; // palabras que se regalan al principio

/** Los bits de quien no sabe nada: reparte por igual entre todo el vocabulario. */
export const diceBits = (vocab) => Math.log2(vocab);

/** El primer token de una apuesta tras un texto, o null si no hay nada. Una palabra lleva su espacio delante. */
export function firstToken(tokenizer, context, typed) {
  const attached = context === "" || /[\s¿¡«(\-—]$/u.test(context);
  const text = /^[\p{L}\p{N}]/u.test(typed) && !attached ? ` ${typed}` : typed;
  return text.trim() === "" ? null : tokenizer.encode(text)[0];
}

/** Los bits de una persona: −log₂ de lo que dio a lo que vino. `confidence` null es repartir por igual entre todos. */
export function playerBits(vocab, { bet, truth, confidence }) {
  if (confidence === null) return diceBits(vocab);
  return -Math.log2(bet === truth ? confidence : (1 - confidence) / (vocab - 1));
}

/** El marcador: quién y sus bits de media, por apuesta. */
export function summary(rounds, vocab, mode) {
  if (!rounds.length) return [];
  const [player, model] = ["player", "model"].map((who) => mean(rounds.map((round) => round.scored[who])));
  return [["Tú", player], [mode === "own" ? "El modelo, con su favorita" : "El modelo", model], [`Un dado de ${vocab} caras`, diceBits(vocab)]];
}

/** Dónde empieza, en una lista de ids, cada palabra: los tokens que son un espacio y una letra. */
export function wordStarts(tokenizer, ids) {
  return ids.flatMap((id, place) => (/^␣\p{L}/u.test(tokenizer.show(id)) ? [place] : []));
}

/** Una partida con una novela: se regalan unas palabras y se apuestan las diez siguientes, por su primer token. */
export async function openGame(engine, { text, source }) {
  const ids = engine.tokenizer.encode(text);
  const starts = wordStarts(engine.tokenizer, ids);
  const asked = starts.filter((place) => place > 0).slice(KNOWN - 1, KNOWN - 1 + BETS);
  const game = { source, round: 0, places: asked, ids };
  game.node = await engine.extend(null, [engine.config.eos, ...ids.slice(0, asked[0])]);
  const wordEnd = () => starts.find((place) => place > asked[game.round]);
  Object.defineProperties(game, {
    truth: { get: () => ids[asked[game.round]] },
    word: { get: () => engine.tokenizer.decode(ids.slice(asked[game.round], wordEnd())).trim() },
  });
  game.read = () => engine.tokenizer.decode(engine.ids(game.node));
  game.advance = async () => {
    const [from, end] = [asked[game.round], wordEnd()];
    game.round += 1;
    game.node = await engine.extend(game.node, ids.slice(from, end));
  };
  return game;
}

/** Los bits que gasta el modelo en las diez apuestas de un pasaje: (10,). */
export async function modelBits(engine, passage) {
  const game = await openGame(engine, passage);
  const node = await engine.extend(null, [engine.config.eos, ...game.ids]);
  const path = node.path();
  return game.places.map((place) => -path[place + 1].logprob / Math.LN2);
}
