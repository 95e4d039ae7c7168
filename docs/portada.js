// Lo vivo de la portada: se escribe pulsando candidatas, con las probabilidades de verdad, sin descargar el modelo.
//
// Las probabilidades están grabadas (portada.json, de `python -m tools.lab --portada`): tres pasos y seis candidatas. A
// partir de ahí sigue el laboratorio, en el mismo texto. Vale como módulo y como guion corriente.

(() => {
  const HOME = document.querySelector('script[src*="portada.js"]')?.src ?? document.baseURI;
  const place = document.getElementById("portada-viva");
  if (!place) return;

  const format = (value, digits) => value.toLocaleString("es", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const percent = (p) => (p < 0.0005 ? "<\u202f0,1\u202f%" : `${format(100 * p, 1)}\u202f%`);
  const asText = (shown) => shown.replaceAll("␣", " ").replaceAll("⏎", "\n");

  const el = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== false));
    return element;
  };

  /** El enlace del laboratorio que abre ese texto: el principio y los ids escritos. */
  const labLink = (tree, chosen) => {
    const fields = new URLSearchParams({ prompt: tree.prompt });
    if (chosen.length) fields.set("ids", chosen.map(([id]) => id).join("."));
    return `${place.dataset.lab ?? "lab/index.html"}#${fields}`;
  };

  const start = (data) => {
    const view = { tree: data.trees[0], chosen: [] };
    const text = el("p", { class: "pv-text" });
    const candidates = el("ol", { class: "pv-candidates", "aria-label": "Candidatas" });
    const said = el("p", { class: "pv-said", role: "status" });
    const back = el("button", { type: "button", onclick: () => undo(-1) }, "Atrás");
    const again = el("button", { type: "button", onclick: () => undo(0) }, "Otra vez");
    const lab = el("a", { class: "pv-go" }, `Sigue con el modelo de verdad (${format(data.bytes / 1e6, 1)}\u202fMB, una sola vez)`);
    const starts = data.trees.map((tree) => el("button", { type: "button", "aria-pressed": "false", onclick: () => begin(tree) }, tree.prompt));
    place.replaceChildren(
      el("h2", {}, "¿Qué viene después? Escríbelo tú"),
      el("div", { class: "pv-starts", role: "group", "aria-label": "Elige un principio" }, ...starts),
      text, candidates, said, el("div", { class: "pv-row" }, back, again, lab));
    place.classList.add("pv");

    const begin = (tree) => {
      Object.assign(view, { tree, chosen: [] });
      draw();
    };
    const undo = (end) => {
      view.chosen = view.chosen.slice(0, end);
      draw();
      candidates.querySelector("button")?.focus();
    };
    const choose = (one) => {
      view.chosen = [...view.chosen, one];
      draw();
      (candidates.querySelector("button") ?? lab).focus();
    };

    const bar = (one, most) => {
      const [id, p] = one;
      const shown = data.names[id];
      const fill = el("span", { class: "pv-bar", "aria-hidden": "true" });
      fill.style.setProperty("--part", (p / most).toFixed(3));
      return el("li", {}, el("button", { type: "button", "aria-label": `${shown.replace("␣", "")}, ${percent(p)}`, onclick: () => choose(one) },
        el("span", { class: "pv-token" }, shown), el("span", { class: "pv-track" }, fill), el("span", { class: "pv-share" }, percent(p))));
    };

    const draw = () => {
      const { tree, chosen } = view;
      const next = chosen.length ? chosen.at(-1)[2] : tree.next;
      starts.forEach((button, k) => button.setAttribute("aria-pressed", String(data.trees[k] === tree)));
      text.replaceChildren(el("span", { class: "pv-prompt" }, tree.prompt), ...chosen.map(([id]) => el("span", { class: "pv-written" }, asText(data.names[id]))), el("span", { class: "pv-caret", "aria-hidden": "true" }));
      candidates.hidden = !next;
      const rest = next && 1 - next.reduce((total, [, p]) => total + p, 0);
      candidates.replaceChildren(...(next ? [
        ...next.map((one) => bar(one, next[0][1])),
        el("li", { class: "pv-rest" }, `Las otras ${data.vocab - next.length} se reparten el ${percent(rest)}.`)] : []));
      back.disabled = again.disabled = chosen.length === 0;
      lab.href = labLink(tree, chosen);
      said.textContent = message(chosen, next);
    };

    const message = (chosen, next) => {
      if (!chosen.length) return "Son las probabilidades de nuestro modelo, que ha leído novelas de hace un siglo. Pulsa una.";
      const path = chosen.reduce((product, [, p]) => product * p, 1);
      const so = `Por ese camino iría una de cada ${format(1 / path, 0)} veces.`;
      return next ? so : `${so} Lo grabado acaba aquí; el modelo, no.`;
    };
    draw();
  };

  const sheet = el("link", { rel: "stylesheet", href: new URL("portada.css", HOME).href });
  document.head.append(sheet);
  // El sitio lleva el árbol dentro de la página, y así vale también desde un archivo.
  const inside = document.getElementById("portada-datos");
  (inside ? Promise.resolve(JSON.parse(inside.textContent)) : fetch(new URL("portada.json", HOME)).then((answer) => answer.json()))
    .then(start)
    .catch(() => place.replaceChildren()); // sin el árbol, la portada sigue valiendo
})();
