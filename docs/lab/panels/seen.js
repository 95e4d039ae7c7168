// Dibujar solo lo que se ve: un panel plegado o fuera de la pantalla no gasta nada hasta que aparece.

/** Devuelve `refresh()`: dibuja en el próximo cuadro si el contenedor se ve; si no, cuando se vea. */
export function whenSeen(container, draw) {
  let visible = false;
  let pending = false;
  let asked = 0;
  const paint = () => {
    asked = 0;
    if (pending && visible) {
      pending = false;
      draw();
    }
  };
  new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting;
    paint();
  }).observe(container);
  return () => {
    pending = true;
    asked ||= requestAnimationFrame(paint);
  };
}
