// Las ramas: todo lo que se ha escrito y ya no está en pantalla, a un toque.

import { count } from "../format.js";
import { el } from "./dom.js";
import { isPrefix } from "./branches-store.js";

const SHOWN = 12;

export function mountBranches(container, app) {
  const list = el("ol", { class: "branches" });
  container.append(
    el("h2", { id: "branches-title", text: "Ramas" }),
    el("p", { class: "hint", text: "Nada de lo escrito se pierde: pulsa una para volver a ella." }),
    list,
  );

  function render() {
    const { items } = app.branches;
    const here = app.state.node ? app.engine.ids(app.state.node) : [];
    const others = items.filter((one) => !same(one, here));
    container.hidden = others.length === 0;
    const current = (one) => isPrefix(here, one.ids);
    list.replaceChildren(...others.slice(-SHOWN).reverse().map((one) => el("li", {}, button(one, current(one)))));
  }

  const same = (one, here) => one.ids.length === here.length && isPrefix(one.ids, here);

  function button(one, current) {
    const { tokenizer } = app.engine;
    const start = tokenizer.decode(one.ids.slice(0, one.length), { skipSpecial: false });
    const added = tokenizer.decode(one.ids, { skipSpecial: false }).slice(start.length);
    const go = () => app.restore({ prompt: one.prompt, written: one.ids.slice(one.length) });
    return el("button", { type: "button", class: `branch${current ? " ahead" : ""}`, onclick: go },
      el("span", { class: "given", dir: "auto", text: ending(start, 24) }),
      el("span", { class: "added", dir: "auto", text: beginning(added, 60) }),
      el("span", { class: "note", text: count(one.ids.length - one.length, "token", "tokens") }));
  }

  app.on("node", render);
  render();
}

const flat = (text) => text.replace(/\s+/g, " ");
const ending = (text, n) => (text.length > n ? `…${[...flat(text)].slice(-n).join("")}` : flat(text));
const beginning = (text, n) => (text.length > n ? `${[...flat(text)].slice(0, n).join("")}…` : flat(text));
