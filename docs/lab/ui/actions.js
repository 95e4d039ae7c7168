// Los botones de escribir y, encima, lo que haya que decir: cuántos caben, qué ha pasado, qué no se puede.

import { count, number, percent } from "../format.js";
import { byId, el, say } from "./dom.js";

export function mountActions(container, app, { ready }) {
  const message = el("p", { class: "message", id: "message", role: "alert", hidden: true });
  const room = el("p", { class: "room" });
  const meter = el("span", { class: "meter", "aria-hidden": "true" }, el("span"));
  const back = button("Atrás", () => app.back(), { id: "back" });
  const step = button("Un paso", () => !app.state.running && ready() && app.step(), { id: "step" });
  const run = button("Escribir", () => (app.state.running ? app.stop() : ready() && app.run()), { id: "run", class: "primary" });
  container.append(message, el("div", { class: "row" }, back, step, run), el("div", { class: "room-row" }, meter, room));

  function button(text, onclick, attributes) {
    return el("button", { type: "button", text, onclick, ...attributes });
  }

  function render() {
    const { node, promptNode, running, settings } = app.state;
    if (!node) return;
    const left = app.room();
    // aria-disabled y no disabled: el botón que se acaba de pulsar no puede perder el foco.
    back.setAttribute("aria-disabled", String(node === promptNode && !running));
    step.setAttribute("aria-disabled", String(running));
    const many = Math.min(settings.maxNewTokens, left);
    say(run, running ? "Parar" : left ? `Escribir ${number(many, 0)}` : "Escribir");
    say(room, roomText(node.depth, left, settings.maxNewTokens, app.engine.config.n_positions));
    meter.firstChild.style.width = `${(100 * node.depth) / app.engine.config.n_positions}%`;
    container.classList.toggle("tight", left < settings.maxNewTokens);
  }

  app.on("error", (error) => {
    message.hidden = !error;
    say(message, error ? error.message : "");
  });
  for (const event of ["node", "settings", "busy"]) app.on(event, render);

  // Lo que oye quien no mira: cada paso y, de una tirada, el texto entero al acabar.
  let start = null;
  app.on("busy", () => {
    if (app.state.running && start === null) start = app.state.node.depth;
    else if (!app.state.running && start !== null) {
      const ids = app.engine.ids(app.state.node).slice(start);
      start = null;
      announce(`${ids.at(-1) === app.engine.config.eos ? "El modelo ha terminado. " : ""}Escrito: ${app.engine.tokenizer.decode(ids)}`);
    }
  });
  app.on("node", (node) => {
    if (app.state.running || !node.parent) return;
    const prompt = node === app.state.promptNode;
    announce(prompt ? `Leídos ${count(node.depth, "token", "tokens")}` : `${app.engine.tokenizer.show(node.token)}, ${percent(Math.exp(node.logprob))}`);
  });
}

const announce = (text) => say(byId("announcer"), text);

function roomText(used, left, wanted, limit) {
  const base = `${number(used, 0)} de ${number(limit, 0)} tokens`;
  if (left === 0) return `${base}: el contexto está lleno. Vuelve atrás o acorta tu principio para seguir.`;
  if (left < wanted) return `${base}: caben ${number(left, 0)} más, y ahí paro.`;
  return base;
}
