// Lo justo para hacer elementos sin escribir HTML: lo que alguien teclea o escribe el modelo entra siempre como texto.

/**
 * Un elemento con sus atributos y lo que lleva dentro (textos o nodos; lo vacío se salta).
 * `on…` es un manejador, `class`, `text` y `data` son lo que dicen, y lo demás va tal cual como atributo.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * Lo que se oye y no se ve. Un botón se llama como lo que se ve en él, y esto va detrás: quien habla a su teléfono lo
 * pulsa diciendo lo que lee, y con un `aria-label` que dijera otra cosa no podría.
 */
export const heard = (text = "") => el("span", { class: "hidden-visually", text });

/** El elemento con ese id. */
export const byId = (id) => document.getElementById(id);

/** Cambia el texto solo si es otro: así un lector de pantalla no repite lo que ya ha dicho. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Deja en `list` esos elementos moviendo solo lo que cambia: quitar y volver a poner uno le quitaría el foco. */
export function sync(list, items) {
  items.forEach((item, place) => {
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  });
  while (list.children.length > items.length) list.lastChild.remove();
}

/** Una tabla de verdad: su título, sus columnas y sus filas (arrays de textos; la primera celda encabeza la fila). */
export function table(caption, columns, rows) {
  const head = el("tr", {}, columns.map((name) => el("th", { scope: "col", text: name })));
  const body = rows.map(([first, ...rest]) =>
    el("tr", {}, el("th", { scope: "row", text: first }), rest.map((value) => el("td", { text: value }))),
  );
  return el("table", {}, el("caption", { text: caption }), el("thead", {}, head), el("tbody", {}, body));
}
