// Copiar también donde no hay portapapeles moderno: un aula sirve la página por http, y ahí el navegador no lo da.

import { el } from "./dom.js";

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Dentro del diálogo abierto, si lo hay: lo de fuera no se puede seleccionar mientras tanto.
    const place = document.querySelector("dialog[open]") ?? document.body;
    const before = document.activeElement;
    const area = el("textarea", { readonly: true, class: "hidden-visually", "aria-hidden": "true" });
    area.value = text;
    place.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    before?.focus();
    return done;
  }
}

/** Un botón que copia lo que dé `text()` y dice un momento, donde se mira, que ya está. */
export function copyButton(label, text, attributes = {}) {
  let timer;
  const face = el("span", { text: label });
  const done = el("span", { class: "done", role: "status" });
  const button = el("button", { type: "button", class: "copy", ...attributes, onclick: onClick }, face, done);
  async function onClick() {
    const copied = await copy(text());
    button.classList.add("copied");
    done.textContent = copied ? "Copiado ✓" : "No puedo copiar: selecciónalo tú";
    clearTimeout(timer);
    timer = setTimeout(() => {
      button.classList.remove("copied");
      done.textContent = "";
    }, 2000);
  }
  return button;
}
