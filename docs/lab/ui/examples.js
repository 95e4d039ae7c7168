// Principios para empezar: de las dos orillas, y alguno que el siglo XIX no vio venir.

import { el } from "./dom.js";

export const EXAMPLES = [
  "Había una vez",
  "Don Quijote abrió el computador y",
  "Fue al mercado por arepas y",
  "Aquella noche, en la plaza de Soria,",
  "Querida suegra:",
  "Subió al bus en Cali y",
  "La inteligencia artificial es",
  "El gato miró al notario y le dijo:",
];

/** Llena `container` de botones; cada uno llama a `choose` con su texto. */
export function mountExamples(container, choose) {
  container.append(
    ...EXAMPLES.map((text) => el("button", { type: "button", class: "example", text, onclick: () => choose(text) })),
  );
}
