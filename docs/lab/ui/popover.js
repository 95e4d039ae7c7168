// El globo de una ficha: qué es, cuánto se esperaba y qué se puede hacer con ella.
//
// Sale al enfocarla o tocarla y no se lleva el foco: Intro entra en él, Escape vuelve. Está en el documento justo detrás
// de las fichas, así que también se llega con Tab.

import { number, percent } from "../format.js";
import { el } from "./dom.js";
import { bits, rank } from "./measures.js";

export function createPopover(app) {
  const panel = el("div", { class: "popover", role: "group", "aria-label": "Este token", hidden: true });
  let anchor = null;
  let returning = false; // al devolver el foco a la ficha, el globo no vuelve a salir

  function show(chip, node) {
    if (returning) return;
    anchor?.removeAttribute("aria-expanded");
    anchor = chip;
    anchor.setAttribute("aria-expanded", "true");
    panel.replaceChildren(...content(node));
    panel.hidden = false;
    place();
  }

  function hide({ focus = false } = {}) {
    if (panel.hidden) return;
    panel.hidden = true;
    anchor?.removeAttribute("aria-expanded");
    returning = true;
    if (focus) anchor?.focus({ preventScroll: true });
    returning = false;
    anchor = null;
  }

  /** Debajo de la ficha o, si no cabe, encima; sin salirse por los lados. */
  function place() {
    const parent = panel.offsetParent.getBoundingClientRect();
    const box = anchor.getBoundingClientRect();
    const left = Math.min(Math.max(box.left - parent.left, 0), parent.width - panel.offsetWidth);
    const below = box.bottom + panel.offsetHeight + 8 < document.documentElement.clientHeight - reserved();
    const fitsAbove = box.top - panel.offsetHeight - 8 > 0;
    const top = below || !fitsAbove ? box.bottom + 6 : box.top - panel.offsetHeight - 6;
    panel.style.left = `${left}px`;
    panel.style.top = `${top - parent.top}px`;
  }

  /** Lo que tapa la barra de botones pegada abajo, en un teléfono. */
  const reserved = () => {
    const bar = document.getElementById("actions");
    return bar && getComputedStyle(bar).position === "fixed" ? bar.offsetHeight : 0;
  };

  function content(node) {
    const shown = app.engine.tokenizer.show(node.token);
    const close = el("button", { type: "button", class: "quiet", "aria-label": "Cerrar", text: "✕", onclick: () => hide({ focus: true }) });
    const head = el("div", { class: "popover-head" }, el("bdi", { class: "popover-token mono", text: shown }),
      el("span", { class: "hint", text: `id ${number(node.token, 0)} · ${number(node.depth, 0)}.º de ${number(app.state.node.depth, 0)}` }), close);
    return [head, facts(node), el("div", { class: "popover-actions" }, actions(node))];
  }

  function facts(node) {
    if (!node.parent) return el("p", { class: "hint", text: "Es el primero: nadie lo predijo, así que no tiene sorpresa." });
    const place = rank(node.parent.logits, node.token);
    const all = [
      ["Probabilidad", percent(Math.exp(node.logprob), 2)],
      ["Sorpresa", `${number(bits(node), 1)} bits`],
      ["Puesto", place === 1 ? "el favorito" : `${number(place, 0)}.º`],
    ];
    return el("dl", {}, all.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }))));
  }

  function actions(node) {
    const button = (text, target, then) => el("button", { type: "button", text, onclick: async () => {
      hide({ focus: true });
      await app.setNode(target);
      then?.();
    } });
    const buttons = [];
    if (node !== app.state.node) buttons.push(button("Seguir desde aquí", node));
    // La ficha desaparece y lo que toca es elegir otra: el foco va a las candidatas.
    if (node.parent) buttons.push(button("Cambiar este token", node.parent, () => document.querySelector("#candidates .bar")?.focus()));
    return buttons;
  }

  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    hide({ focus: true });
  });
  document.addEventListener("pointerdown", (event) => {
    if (!panel.hidden && !panel.contains(event.target) && !anchor?.contains(event.target)) hide();
  });
  // Al salir con Tab de la ficha y del globo, el globo estorba.
  document.addEventListener("focusin", (event) => {
    if (!panel.hidden && !panel.contains(event.target) && event.target !== anchor) hide();
  });
  addEventListener("resize", () => panel.hidden || place());

  return {
    panel, show, hide,
    get open() { return !panel.hidden; },
    enter: () => panel.querySelector(".popover-actions button")?.focus(),
  };
}
