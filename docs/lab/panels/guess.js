// «Adivina»: apuestas el siguiente token antes de ver la distribución. Con tu texto o, con una novela que el modelo no
// ha leído, tú contra él.

import { number, percent } from "../format.js";
import { el, say, table } from "../ui/dom.js";
import { loadJson } from "./load-json.js";
import { bits, nextProbs, ranking, rankOf } from "./measures.js";
import { BETS, firstToken, openGame, playerBits, summary } from "./guess-game.js";

const CONFIDENCE = [
  [0.9, `pondría la mano en el fuego (${percent(0.9, 0)})`],
  [0.5, `a cara o cruz (${percent(0.5, 0)})`],
  [0.1, `a ver si cuela (${percent(0.1, 0)})`],
  [null, "ni idea: reparto por igual entre todos"],
];
const MODES = { own: "Con tu texto: ¿piensas como el modelo?", novel: "Con una novela: tú contra el modelo" };

export function mount(container, app) {
  const view = { mode: "own", playing: false, rounds: [], game: null, passages: [], next: 0 };
  const parts = {
    modes: el("div", { class: "row guess-modes", role: "group", "aria-label": "A qué se juega" }),
    text: el("p", { class: "guess-text" }),
    form: el("form", { class: "panel-form guess-form", novalidate: true }),
    said: el("p", { class: "panel-said", role: "status" }),
    after: el("div", { class: "row" }),
    score: el("div", { class: "guess-score" }),
  };
  const bet = el("input", { id: "guess-bet", type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false", "aria-describedby": "guess-token" });
  const token = el("span", { id: "guess-token", class: "soft small", role: "status" });
  const clues = el("div", { class: "row guess-clues", role: "group", "aria-label": "Favoritas del modelo, por orden alfabético" });
  const trust = el("fieldset", { class: "guess-trust" }, el("legend", { text: "¿Cuánto te fías?" }), CONFIDENCE.map(([value, text], k) =>
    el("label", {}, el("input", { type: "radio", name: "trust", value: String(value), checked: k === 1 }), ` ${text}`)));
  parts.form.append(
    el("p", { class: "field" }, el("label", { for: "guess-bet", text: "¿Qué viene ahora?" }), bet, token),
    clues, trust,
    el("p", { class: "row" }, el("button", { type: "submit", class: "primary", text: "Apostar" }), el("button", { type: "button", text: "Dame pistas", onclick: showClues })));
  parts.form.addEventListener("submit", (event) => {
    event.preventDefault();
    place();
  });
  bet.addEventListener("input", preview);
  container.append(el("h2", { text: "Adivina" }), el("p", { text: "Apuesta el siguiente token antes de ver lo que espera el modelo. Diez apuestas hacen una partida." }), parts.modes, parts.text, parts.form, parts.said, parts.after, parts.score);

  const node = () => (view.mode === "novel" ? view.game?.node : app.state.node);
  app.inUse.push(() => view.game?.node);
  const context = () => app.engine.tokenizer.decode(app.engine.ids(node()));
  const shown = (id) => app.engine.tokenizer.show(id);

  function drawModes() {
    parts.modes.replaceChildren(...Object.entries(MODES).map(([mode, text]) =>
      el("button", { type: "button", "aria-pressed": String(view.playing && view.mode === mode), text, onclick: () => start(mode) })));
  }

  async function start(mode) {
    Object.assign(view, { mode, rounds: [], playing: true, game: null });
    if (mode === "novel") {
      if (!view.passages.length) view.passages = await loadJson("panels/passages.json");
      view.game = await openGame(app.engine, view.passages[view.next++ % view.passages.length]);
    }
    ask();
  }

  /** Prepara una apuesta. Con tu texto, las candidatas de la página se esconden hasta que apuestes. */
  function ask() {
    drawModes();
    const novel = view.mode === "novel";
    hideCandidates(view.playing && !novel);
    trust.hidden = !novel;
    parts.form.hidden = false;
    bet.value = token.textContent = parts.said.textContent = "";
    clues.replaceChildren();
    parts.after.replaceChildren(stopButton());
    parts.text.replaceChildren(...(novel ? novelText(view.game) : [context() || "(aquí empieza un texto)", gap()]));
    drawScore();
  }

  const stopButton = () => el("button", { type: "button", class: "quiet", text: "Dejar de jugar", onclick: quit });

  function quit() {
    Object.assign(view, { playing: false, rounds: [], game: null });
    hideCandidates(false);
    parts.form.hidden = true;
    for (const part of [parts.text, parts.said, parts.after, parts.score]) part.replaceChildren();
    drawModes();
  }

  function preview() {
    const id = firstToken(app.engine.tokenizer, context(), bet.value);
    const rest = id === null ? "" : app.engine.tokenizer.encode(continued()).length > 1 ? `. Lo demás no cuenta: se apuesta un token` : "";
    say(token, id === null ? "" : `Apuestas «${shown(id)}»${rest}.`);
  }
  const continued = () => (/^[\p{L}\p{N}]/u.test(bet.value) ? ` ${bet.value}` : bet.value);

  function showClues() {
    const best = ranking(nextProbs(node())).slice(0, 8).sort((a, b) => shown(a).localeCompare(shown(b), "es"));
    clues.replaceChildren(...best.map((id) => el("button", { type: "button", class: "att-chip", text: shown(id), onclick: () => place(id) })));
    say(parts.said, "Sus ocho favoritas, por orden alfabético. La buena puede no estar.");
  }

  async function place(id = firstToken(app.engine.tokenizer, context(), bet.value)) {
    const trusted = parts.form.elements.trust.value;
    const confidence = view.mode === "novel" && trusted !== "null" ? Number(trusted) : null;
    if (id === null && (view.mode === "own" || confidence !== null)) {
      say(parts.said, "Escribe primero tu apuesta, o pide pistas.");
      bet.focus();
      return;
    }
    const probs = nextProbs(node());
    const round = { bet: id, probs, best: ranking(probs)[0], confidence };
    if (view.mode === "novel") Object.assign(round, { truth: view.game.truth, word: view.game.word });
    round.scored = {
      model: bits(probs[view.mode === "novel" ? round.truth : round.best]),
      player: view.mode === "novel" ? playerBits(app.engine.config.vocab_size, round) : bits(probs[id]),
    };
    view.rounds.push(round);
    hideCandidates(false);
    parts.form.hidden = true;
    say(parts.said, told(round));
    await reveal(round);
  }

  async function reveal(round) {
    const over = view.rounds.length === BETS;
    if (view.mode === "novel") {
      await view.game.advance();
      parts.text.replaceChildren(...novelText(view.game, false));
    }
    const again = over
      ? el("button", { type: "button", class: "primary", text: "Otra partida", onclick: () => start(view.mode) })
      : el("button", { type: "button", class: "primary", text: "Siguiente apuesta", onclick: () => next(round) });
    parts.after.replaceChildren(again, stopButton());
    again.focus();
    drawScore();
  }

  /** Con tu texto, se escribe la favorita del modelo y se apuesta la que viene detrás. */
  async function next(round) {
    if (view.mode === "own") await app.force(round.best);
    ask();
    bet.focus();
  }

  function told(round) {
    const { probs, best, truth } = round;
    const mine = round.bet === null ? "" : `«${shown(round.bet)}»: puesto ${number(rankOf(probs, round.bet), 0)}, P = ${percent(probs[round.bet])}, ${number(bits(probs[round.bet]))} bits. `;
    const model = `Su favorita era «${shown(best)}», con un ${percent(probs[best])}.`;
    if (view.mode === "own") return `${round.bet === best ? "✓ Piensas como él. " : ""}${mine}${model}`;
    const right = round.bet === truth ? "✓ Acertaste. " : `Venía «${round.word}», por «${shown(truth)}». `;
    return `${right}Tú gastas ${number(round.scored.player)} bits; el modelo, que le daba un ${percent(probs[truth])}, ${number(round.scored.model)}. ${round.bet === truth ? "" : mine}${model}`;
  }

  function drawScore() {
    const rows = summary(view.rounds, app.engine.config.vocab_size, view.mode);
    parts.score.replaceChildren(...(rows.length ? [
      table(`Bits de media en ${view.rounds.length} de ${BETS} apuestas (menos es mejor)`, ["Quién", "Bits"], rows.map(([who, value]) => [who, number(value, 2)])),
      el("p", { class: "panel-note", text: view.mode === "own"
        ? "Los bits son lo que se sorprendería el modelo si viniera ese token. El dado de 4096 caras no sabe nada: cualquier token le cuesta lo mismo."
        : "Tus bits salen de lo que te fías: lo que das a tu apuesta y, a partes iguales, el resto a los demás tokens. Fallar muy convencido sale más caro que el dado." }),
    ] : []));
  }

  drawModes();
  parts.form.hidden = true;
  app.on("node", () => {
    if (view.playing && view.mode === "own" && !parts.form.hidden) ask();
  });
  return {
    /** Abre una partida: «own» o «novel». */
    show: ({ mode = "novel" } = {}) => start(mode),
  };
}

const gap = () => el("span", { class: "guess-gap", "aria-label": "lo que hay que adivinar", role: "img", text: "?" });

function novelText(game, asking = true) {
  return [el("span", { text: game.read() }), asking ? gap() : " …", el("cite", { class: "soft small", text: ` ${game.source}` })];
}

/** Mientras se apuesta, las candidatas de la página no se ven ni se leen: lab.css esconde lo que diga esta marca. */
function hideCandidates(hidden) {
  document.documentElement.toggleAttribute("data-guessing", hidden);
}

