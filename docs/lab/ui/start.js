// La bienvenida: qué es esto, cuánto ocupa, la descarga con su barra y su botón de parar.

import { megabytes } from "../format.js";
import { byId, say } from "./dom.js";

const KEY = "laboratorio: modelo descargado";

/** `load({onProgress, signal})` trae el modelo y `remembered()` dice si ya está en este dispositivo. */
export function mountStart({ load, remembered, onReady }) {
  const [go, stop, loading, bar, text, failure] = ["load", "load-stop", "loading", "load-bar", "load-text", "load-error"].map(byId);
  let controller = null;

  async function begin() {
    controller = new AbortController();
    const { signal } = controller;
    failure.hidden = true;
    loading.hidden = stop.hidden = false;
    go.hidden = true;
    say(text, "Empezando…");
    try {
      const engine = await load({ signal, onProgress });
      remember();
      onReady(engine);
    } catch (error) {
      if (signal.aborted) again("Seguir", "Parado. Lo descargado a medias no se guarda.");
      else again("Probar otra vez", "", error.message);
    }
  }

  function onProgress(received, total) {
    bar.max = total;
    bar.value = received;
    const done = received >= total;
    say(text, done ? "Descargado. Preparando el modelo…" : `${megabytes(received)} de ${megabytes(total)}`);
  }

  function again(label, note, error = "") {
    go.textContent = label;
    go.hidden = false;
    stop.hidden = true;
    bar.value = 0;
    loading.hidden = !note;
    say(text, note);
    failure.hidden = !error;
    say(failure, error);
    go.focus();
  }

  go.addEventListener("click", begin);
  stop.addEventListener("click", () => controller?.abort());
  go.disabled = false;
  if (noted()) remembered().then((there) => there && begin());
}

// Sin almacén (modo privado, otro origen) todo funciona igual: solo hay que pulsar el botón cada vez.
function noted() {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false;
  }
}

function remember() {
  try {
    localStorage.setItem(KEY, "1");
  } catch {
    // nada que hacer
  }
}
