// La ficha del modelo está en Markdown; aquí, el poco que usa: títulos, párrafos, listas, tablas, citas y código.
// Cada trozo entra como texto: si la ficha trajera HTML, se vería y no se ejecutaría.

import { el } from "./dom.js";

/** Los elementos de un Markdown, sin su cabecera de metadatos ni su título. */
export function markdown(source) {
  const lines = source.replace(/^---\n.*?\n---\n/s, "").replaceAll("\r", "").split("\n");
  const out = [];
  while (lines.length) {
    if (!lines[0].trim()) lines.shift();
    else out.push(block(lines));
  }
  return out.filter((one) => one.tagName !== "H1");
}

/** Quita de `lines` el primer bloque y lo da hecho. */
function block(lines) {
  const take = (test) => {
    const end = lines.findIndex((line, place) => place > 0 && !test(line));
    return lines.splice(0, end < 0 ? lines.length : end);
  };
  const first = lines[0];
  const heading = /^(#{1,4}) (.*)/.exec(first);
  if (heading) {
    lines.shift();
    return el(`h${heading[1].length === 1 ? 1 : heading[1].length + 1}`, {}, inline(heading[2])); // el diálogo ya tiene h2
  }
  if (first.startsWith("```")) {
    lines.shift();
    const code = lines.splice(0, Math.max(lines.findIndex((line) => line.startsWith("```")), 0));
    lines.shift();
    return el("pre", { tabindex: "0" }, el("code", { text: code.join("\n") }));
  }
  if (first.startsWith("|")) return tableOf(take((line) => line.startsWith("|")));
  if (first.startsWith(">")) {
    const inside = take((line) => line.startsWith(">")).map((line) => line.replace(/^> ?/, ""));
    return el("blockquote", {}, markdown(inside.join("\n")));
  }
  if (/^- /.test(first)) {
    const items = take((line) => /^(- |  )/.test(line)).join("\n").split(/\n(?=- )/);
    return el("ul", {}, items.map((item) => el("li", {}, inline(item.replace(/^- /, "").replace(/\s+/g, " ")))));
  }
  return el("p", {}, inline(take((line) => line.trim() && !/^(#|```|\||>|- )/.test(line)).join(" ")));
}

/** `code`, **negrita** y *cursiva*; de un enlace queda su texto. */
function inline(text) {
  const pieces = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*|\[[^\]]+\]\([^)]+\))/);
  return pieces.filter(Boolean).map((piece) => {
    if (piece.startsWith("`")) return el("code", { text: piece.slice(1, -1) });
    if (piece.startsWith("**")) return el("strong", { text: piece.slice(2, -2) });
    if (piece.startsWith("*") && piece.length > 1) return el("em", { text: piece.slice(1, -1) });
    const link = /^\[([^\]]+)\]\([^)]+\)$/.exec(piece);
    return link ? link[1] : piece;
  });
}

function tableOf(lines) {
  // «|» separa celdas menos dentro de un `código` (los tokens especiales lo llevan).
  const cells = (line) => line.replace(/^\||\|\s*$/g, "").split(/\|(?=(?:[^`]*`[^`]*`)*[^`]*$)/).map((cell) => cell.trim());
  const [head, , ...body] = lines.map(cells);
  const rows = body.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, inline(first)), rest.map((cell) => el("td", {}, inline(cell)))));
  const titles = head.some(Boolean) && el("thead", {}, el("tr", {}, head.map((name) => (name ? el("th", { scope: "col" }, inline(name)) : el("td", {})))));
  return el("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Tabla de la ficha" }, el("table", {}, titles, el("tbody", {}, rows)));
}
