// Lo que hay escrito: fichas como las de los dibujos del curso, en dos grupos, lo que diste y lo que se ha añadido.

import { count, number, percent } from "../format.js";
import { copyButton } from "./clipboard.js";
import { el, heard, say, sync, table } from "./dom.js";
import { bits, characters, measure, path } from "./measures.js";
import { createPopover } from "./popover.js";
import { roving } from "./roving.js";

export function mountText(container, app, tools = []) {
  const popover = createPopover(app);
  const groups = { prompt: group("prompt", "Tu principio"), written: group("written", "Lo que sigue") };
  const chips = el("div", { class: "chips-area" }, groups.prompt.box, groups.written.box, popover.panel);
  const plain = el("p", { class: "plain", dir: "auto", hidden: true });
  const surprise = toggle("Sorpresa", "Colorea cada token según lo que sorprendió al modelo, en bits");
  const asText = toggle("Ver como texto", "Cambia las fichas por el texto corrido");
  const copyText = copyButton("Copiar texto", () => app.text());
  const tableBox = el("div", { class: "table-box" });
  const details = el("details", { class: "as-table" }, el("summary", { text: "Ver como tabla" }), tableBox);
  container.append(
    el("div", { class: "toolbar" }, surprise, asText, copyText, tools),
    el("p", { class: "hint legend", id: "legend", hidden: true }, legendParts()),
    chips, plain, details,
  );
  const known = new WeakMap(); // nodo → su ficha: al escribir uno más, los demás no se tocan
  const refreshRoving = roving(chips, ".chip-button");

  function group(kind, title) {
    const list = el("ol", { class: `chips ${kind}`, "aria-label": title });
    const facts = el("span", { class: "facts" });
    const box = el("div", { class: `chip-group ${kind}` }, el("p", { class: "chip-title" }, el("b", { text: title }), facts), list);
    return { box, list, facts };
  }

  function toggle(label, title) {
    const button = el("button", { type: "button", class: "toggle", "aria-pressed": "false", title, text: label });
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      popover.hide();
      render();
    });
    return button;
  }

  const pressed = (button) => button.getAttribute("aria-pressed") === "true";

  function chipFor(node) {
    let item = known.get(node);
    if (!item) {
      const shown = app.engine.tokenizer.show(node.token);
      const below = el("small", { text: node.parent ? number(bits(node)) : "—" });
      const face = el("bdi", { class: "mono", text: shown });
      const more = heard(node.parent ? ` bits, ${percent(Math.exp(node.logprob))}` : " es el primero");
      const button = el("button", { type: "button", class: "chip chip-button" }, face, " ", below, more);
      button.style.setProperty("--share", node.parent ? Math.min(bits(node) / 16, 1).toFixed(3) : "0");
      button.dataset.token = node.token;
      item = el("li", {}, button);
      if (shown.includes("⏎")) item.classList.add("breaks");
      known.set(node, item);
    }
    item.firstChild.node = node;
    return item;
  }

  function render() {
    const { node, promptNode } = app.state;
    if (!node) return;
    const nodes = path(node);
    const [given, added] = [nodes.slice(0, promptNode.depth), nodes.slice(promptNode.depth)];
    sync(groups.prompt.list, given.map(chipFor));
    sync(groups.written.list, added.map(chipFor));
    groups.written.box.classList.toggle("empty", added.length === 0);
    refreshRoving();
    const [before, after] = app.texts();
    say(groups.prompt.facts, facts(given, characters(app.state.prompt)));
    say(groups.written.facts, added.length ? facts(added, characters(after)) : "Nada todavía: pulsa «Un paso», «Escribir» o una candidata.");
    plain.replaceChildren(el("span", { class: "given", text: before }), el("span", { class: "added", text: after }));
    const textMode = pressed(asText);
    chips.hidden = textMode;
    plain.hidden = !textMode;
    chips.classList.toggle("surprise", pressed(surprise));
    container.querySelector("#legend").hidden = !pressed(surprise) || textMode;
    if (details.open) renderTable(nodes);
  }

  function facts(nodes, length) {
    const { tokens, perplexity, bitsPerCharacter } = measure(nodes, length);
    const size = count(nodes.length, "token", "tokens");
    if (!tokens) return size;
    return `${size} · perplejidad ${number(perplexity, perplexity < 100 ? 1 : 0)} · ${number(bitsPerCharacter, 2)} bits por carácter`;
  }

  function renderTable(nodes) {
    const start = app.state.promptNode.depth;
    const rows = nodes.map((node) => [
      app.engine.tokenizer.show(node.token), number(node.token, 0), node.depth <= start ? "tuyo" : "añadido",
      node.parent ? percent(Math.exp(node.logprob), 2) : "—", node.parent ? number(bits(node), 1) : "—",
    ]);
    tableBox.replaceChildren(table("El texto, token a token", ["Token", "Id", "De quién", "Probabilidad", "Bits"], rows));
  }

  chips.addEventListener("focusin", (event) => open(event.target));
  chips.addEventListener("click", (event) => {
    const chip = event.target.closest(".chip-button");
    if (!chip) return;
    if (event.detail === 0 && popover.open) popover.enter(); // con Intro o espacio: dentro
    else open(chip);
  });
  chips.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && popover.open) popover.hide({ focus: true });
  });
  const open = (target) => {
    const chip = target.closest(".chip-button");
    if (chip) popover.show(chip, chip.node);
  };

  details.addEventListener("toggle", render);
  app.on("node", () => {
    popover.hide();
    render();
  });
  app.on("surprise", (on) => {
    surprise.setAttribute("aria-pressed", String(on));
    render();
  });
}

/** Lo que va debajo de «Sorpresa»: de qué a qué va el color. */
function legendParts() {
  const swatch = (share) => {
    const one = el("span", { class: "swatch", "aria-hidden": "true" });
    one.style.setProperty("--share", share);
    return one;
  };
  return [
    "Debajo de cada token, su sorpresa en bits. ", swatch(0), " 0: lo daba por hecho. ", swatch(0.5), " 8: uno entre 256. ",
    swatch(1), " 16 o más: ni lo soñaba.",
  ];
}
