// Los recorridos guiados: uno por sesión, de cinco pasos. Cada paso pregunta, hace una cosa en la página y cuenta lo que
// ha salido, con las cifras del modelo de ese momento.

import { el, say } from "../ui/dom.js";
import { loadJson } from "./load-json.js";
import { fill, parse } from "./numbers.js";

const CODES = ["01", "02", "03", "04", "05"];
const PLAIN = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 }; // los filtros, apagados
const PANELS = ["attention", "beams", "guess"];

export async function mount(container, app) {
  const tours = await Promise.all(CODES.map((code) => loadJson(`tours/${code}.json`)));
  const dock = el("section", { class: "tour", "aria-labelledby": "tour-name", hidden: true });
  document.body.append(dock);
  const view = { tour: null, step: 0, bet: null, turn: 0, told: new Map(), opener: null };

  container.append(
    el("h2", { text: "Recorridos guiados" }),
    el("p", { text: "Cinco pasos por sesión: una apuesta, cuatro cosas que hacer y la respuesta. Las cifras las calcula el modelo según avanzas." }),
    el("ul", { class: "tour-list" }, tours.map((tour) =>
      el("li", {}, el("button", { type: "button", onclick: (event) => open(tour, event.currentTarget) }, el("b", { text: tour.session }), ` ${tour.title}`)))),
  );

  function open(tour, opener = null) {
    Object.assign(view, { tour, step: 0, bet: null, opener, told: new Map() });
    dock.hidden = false;
    document.documentElement.toggleAttribute("data-touring", true);
    keepInAddress(tour.session);
    go(0);
  }

  function close() {
    view.turn += 1;
    dock.hidden = true;
    document.documentElement.toggleAttribute("data-touring", false);
    keepInAddress(null);
    (view.opener ?? container.querySelector("button")).focus();
  }

  function go(step) {
    view.step = step;
    view.turn += 1;
    dock.replaceChildren(header(view, close, minimise), body());
    dock.querySelector("h3").focus({ preventScroll: true });
  }

  function minimise(event) {
    const small = dock.toggleAttribute("data-small");
    event.currentTarget.setAttribute("aria-expanded", String(!small));
    say(event.currentTarget, small ? "Abrir" : "Plegar");
  }

  function body() {
    const { title, ask, action } = view.tour.steps[view.step];
    const told = el("p", { class: "tour-told", role: "status" });
    const button = el("button", { type: "button", class: "primary tour-action", text: action.label, onclick: () => act(button, told) });
    if (view.told.has(view.step)) told.append(...view.told.get(view.step));
    const last = view.step === view.tour.steps.length - 1;
    return el("div", { class: "tour-body" },
      el("div", {},
        el("h3", { tabindex: "-1", text: title }),
        el("p", { text: ask }),
        view.step === 0 && options(view),
        el("p", {}, button)),
      told,
      el("p", { class: "row tour-nav" },
        el("button", { type: "button", disabled: view.step === 0, text: "Anterior", onclick: () => go(view.step - 1) }),
        last
          ? el("button", { type: "button", class: "tour-next", text: "Terminar", onclick: close })
          : el("button", { type: "button", class: "tour-next", text: "Siguiente", onclick: () => go(view.step + 1) }),
        last && sessionLink(view.tour)));
  }

  /** Hace lo que pide el paso y cuenta lo que ha salido; si mientras tanto se pasa a otro, se calla. */
  async function act(button, told) {
    const turn = ++view.turn;
    const { action, tell } = view.tour.steps[view.step];
    button.setAttribute("aria-busy", "true");
    say(told, "Un momento…");
    try {
      await perform(app, action);
      const pieces = [];
      for (const piece of parse(tell)) pieces.push(typeof piece === "string" ? piece : await live(app, view, piece));
      if (turn !== view.turn) return;
      view.told.set(view.step, pieces);
      told.replaceChildren(...pieces);
      told.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (turn === view.turn) say(told, error.message);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  const asked = tours.find(({ session }) => session === new URLSearchParams(location.search).get("recorrido"));
  if (asked) open(asked);
  return { open: (code) => open(tours.find(({ session }) => session === code)) };
}

function header({ tour, step }, close, minimise) {
  return el("header", { class: "tour-head" },
    el("h2", { id: "tour-name" }, el("b", { text: tour.session }), ` ${tour.title}`),
    el("span", { class: "soft small", text: `paso ${step + 1} de ${tour.steps.length}` }),
    el("button", { type: "button", class: "quiet", "aria-expanded": "true", text: "Plegar", onclick: minimise }),
    el("button", { type: "button", class: "quiet", "aria-label": "Cerrar el recorrido", text: "✕", onclick: close }));
}

function options(view) {
  return el("fieldset", { class: "tour-bet" }, el("legend", { text: "Tu apuesta" }), view.tour.bet.options.map((text, k) =>
    el("label", {}, el("input", { type: "radio", name: "tour-bet", checked: view.bet === k, onchange: () => { view.bet = k; } }), ` ${text}`)));
}

/** La página de la sesión en el sitio; el laboratorio de un solo archivo no la tiene al lado. */
const sessionLink = (tour) =>
  location.protocol !== "file:" && el("a", { href: `../sesiones/${tour.page}.html`, text: `Ir a la sesión ${tour.session}` });

/** Deja la página como pide un paso: texto, mandos, lo que haya que escribir, el panel que toque y, a la vista, lo que importa. */
async function perform(app, { prompt, settings = {}, run = 0, look = "candidates", surprise = false, ...more }) {
  app.setSettings({ ...PLAIN, ...settings, ...(run ? { maxNewTokens: run } : {}) });
  app.emit("surprise", surprise);
  await app.setPrompt(prompt);
  const name = PANELS.find((panel) => more[panel]);
  if (!name) reach(`#${look}`);
  if (run > 1) reach(".chip-group.written"); // antes de escribir: se ve salir
  if (run) await app.run();
  if (name) reach(`#panel-${name}`);
  if (name) await app.panels[name].show(more[name]);
  if (name === "beams") reach(".beam-result");
}

/** Lo lleva arriba: la mitad de abajo la tapa el recorrido. Lo que está escondido no se mueve. */
function reach(selector) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  document.querySelector(selector)?.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
}

/** Una cifra, con lo que mide: se ve al posarse y lo comprueban las pruebas. */
async function live(app, view, piece) {
  if (piece.name === "bet") return betText(view);
  const value = await fill(app, piece);
  return el("span", { class: "live", title: "Lo ha calculado el modelo ahora", data: { key: piece.key, text: piece.text ?? "" }, text: value });
}

function betText({ tour, bet }) {
  const options = tour.bet.options.map((text) => text.replace(/\.$/, ""));
  const right = options[tour.bet.right];
  if (bet === null) return `No llegaste a apostar; era «${right}».`;
  return bet === tour.bet.right ? `Apostaste «${right}»: acertaste.` : `Apostaste «${options[bet]}», y era «${right}».`;
}

/** Que copiar la dirección lleve a este recorrido. En algunos `file:` el navegador no deja tocarla, y no pasa nada. */
function keepInAddress(session) {
  const address = new URL(location.href);
  if (session) address.searchParams.set("recorrido", session);
  else address.searchParams.delete("recorrido");
  try {
    history.replaceState(history.state, "", address);
  } catch {
    // se queda como estaba
  }
}
