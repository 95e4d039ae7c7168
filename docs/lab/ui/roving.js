// Una fila de botones en la que Tab entra una vez y las flechas recorren: doscientas fichas no son doscientas paradas.

const STEPS = {
  ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity,
};

/** Prepara `container`; hay que llamar a lo que devuelve cada vez que cambien sus botones. */
export function roving(container, selector) {
  const items = () => [...container.querySelectorAll(selector)];

  container.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const all = items();
    const place = all.indexOf(document.activeElement);
    if (step === undefined || place < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    all[Math.min(Math.max(place + step, 0), all.length - 1)].focus();
  });

  container.addEventListener("focusin", (event) => {
    const chosen = event.target.closest(selector);
    if (chosen) for (const item of items()) item.tabIndex = item === chosen ? 0 : -1;
  });

  return function refresh() {
    const all = items();
    const current = all.find((item) => item.tabIndex === 0) ?? all.at(-1);
    for (const item of all) item.tabIndex = item === current ? 0 : -1;
  };
}
