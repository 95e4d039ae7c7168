// Los mandos a la vista: un deslizador, una casilla para el número exacto y una frase que dice qué hace.

import { number } from "../format.js";
import { el, say } from "./dom.js";
import { INITIAL, OFF, RANGES, validate } from "./settings.js";
import { decimals } from "./words.js";

const range = (first, last, step) =>
  Array.from({ length: Math.round((last - first) / step) + 1 }, (_, k) => Number((first + k * step).toFixed(4)));

/** De 0, voraz, a 5, en pasos iguales de multiplicar (20 por cada vez diez), redondeados para leerlos bien. */
const TEMPERATURES = [0, ...range(-20, 14, 1).map((k) => {
  const value = 10 ** (k / 20);
  const unit = value < 0.5 ? 0.01 : 0.05;
  return Number((Math.round(value / unit) * unit).toFixed(2));
})];
const COUNTS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 65, 80, 100, 150, 200, 300, 500, 1000, 2000, 4096];

const CONTROLS = [
  { name: "temperature", stops: TEMPERATURES, help: "Por debajo de 1 afila el reparto; por encima lo aplana. En 0, voraz: siempre la primera." },
  { name: "topK", stops: [0, ...COUNTS], help: "Se queda con las k más probables." },
  { name: "topP", stops: range(0.05, 1, 0.01), help: "Se queda con las primeras que suman p." },
  { name: "minP", stops: [0, 0.005, ...range(0.01, 0.1, 0.01), ...range(0.15, 1, 0.05)], help: "Quita las que no llegan a esa parte de la favorita." },
  { name: "repetitionPenalty", stops: range(1, 3, 0.05), help: "Aleja los tokens que ya han salido." },
  { name: "maxNewTokens", stops: COUNTS.filter((k) => k <= 200).concat(256), help: "Los que añade «Escribir» de una vez." },
  { name: "seed", help: "La misma semilla y los mismos mandos escriben lo mismo. El dado es de esta página, no el de torch." },
];

export function mountControls(container, app) {
  const controls = CONTROLS.map((one) => control(one, app));
  const preset = (label, values) =>
    el("button", { type: "button", class: "preset", text: label, onclick: () => app.setSettings(values) });
  const { seed, maxNewTokens, ...filters } = INITIAL; // la semilla y la longitud no son maneras de elegir
  container.append(
    el("h2", { id: "controls-title", text: "Mandos" }),
    el("div", { class: "presets", role: "group", "aria-label": "Combinaciones" },
      preset("Voraz", { ...OFF, temperature: 0 }), preset("Solo el dado", OFF),
      preset("Como al principio", filters)),
    el("div", { class: "controls" }, controls.map((one) => one.box)),
  );
  const render = () => {
    for (const one of controls) one.render(app.state.settings);
    const greedy = app.state.settings.temperature === 0;
    for (const [place, { name }] of CONTROLS.entries()) {
      controls[place].box.classList.toggle("asleep", greedy && ["topK", "topP", "minP", "seed"].includes(name));
    }
  };
  app.on("settings", render);
  render();
}

const GREEDY = "Voraz: siempre la primera. No hay dado, y top-k, top-p, min-p y la semilla no cambian nada.";

/** «0,8» y «0.8» valen lo mismo; lo que no es un número, NaN. */
export const parse = (text) => (/^\s*-?\d*[.,]?\d+\s*$/.test(text) ? Number(text.trim().replace(",", ".")) : NaN);

function control({ name, stops, help }, app) {
  const { label, off } = RANGES[name];
  const ids = { box: `set-${name}`, help: `help-${name}`, error: `error-${name}` };
  const box = el("input", { id: ids.box, type: "text", inputmode: "decimal", autocomplete: "off", "aria-describedby": `${ids.help} ${ids.error}` });
  const slider = stops && el("input", { type: "range", min: 0, max: stops.length - 1, step: 1, "aria-label": `${label}, deslizador`, data: { setting: name } });
  const state = el("span", { class: "state" });
  const error = el("p", { class: "message", id: ids.error, role: "alert", hidden: true });
  const helper = el("p", { class: "hint", id: ids.help, text: help });
  const dice = name === "seed" && el("button", { type: "button", class: "dice", text: "Otra semilla", onclick: () => apply(nextSeed(app.state.settings.seed)) });

  function apply(value) {
    try {
      validate({ [name]: value }, (message) => new RangeError(message));
    } catch (problem) {
      const typed = Number.isNaN(value) ? problem.message.replace("«NaN»", `«${box.value}»`) : problem.message;
      say(error, typed.replace(`«${value}»`, `«${box.value}»`));
      error.hidden = false;
      box.setAttribute("aria-invalid", "true");
      return;
    }
    clear();
    app.setSettings({ [name]: value });
    box.value = shown(value);
  }

  function clear() {
    error.hidden = true;
    box.removeAttribute("aria-invalid");
  }

  box.addEventListener("change", () => apply(parse(box.value)));
  slider?.addEventListener("input", () => apply(stops[Number(slider.value)]));

  return {
    box: el("div", { class: `control control-${name}` },
      el("div", { class: "control-head" }, el("label", { for: ids.box, text: label }), state, box),
      slider, dice, helper, error),
    render(settings) {
      const value = settings[name];
      if (document.activeElement !== box || parse(box.value) !== value) box.value = shown(value);
      clear();
      say(helper, name === "temperature" && value === 0 ? GREEDY : help);
      const word = name === "temperature" ? (value === 0 ? "voraz" : value === 1 ? "la del modelo" : "") : value === off ? "sin usar" : "";
      say(state, word);
      if (!slider) return;
      slider.value = nearest(stops, value);
      slider.setAttribute("aria-valuetext", `${box.value}${word ? `, ${word}` : ""}`);
    },
  };
}

/** Un valor como se escribe en su casilla: con coma y sin espacios. */
const shown = (value) => number(value, decimals(value)).replaceAll("\u202f", "");

const nearest = (stops, value) => stops.reduce((best, stop, k) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? k : best), 0);

/** Otra semilla, distinta: la siguiente. Así se puede repetir una clase entera: 0, 1, 2… */
const nextSeed = (seed) => (seed >= RANGES.seed.max ? 0 : seed + 1);
