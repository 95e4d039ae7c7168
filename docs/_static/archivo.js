// Abierto desde un archivo (el paquete del aula), el laboratorio del sitio no puede cargar sus módulos: se abre el que va
// en un solo archivo, junto a la carpeta del sitio.
if (location.protocol === "file:") {
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href);
  const fix = (link) => {
    const [, rest] = link.getAttribute("href").split("lab/index.html");
    link.href = new URL(`../laboratorio.html${rest}`, root).href;
  };
  const wanted = 'a[href*="lab/index.html"]';
  document.querySelectorAll(wanted).forEach(fix);
  // El enlace de la portada cambia con cada palabra que se elige.
  document.addEventListener("pointerdown", (event) => event.target.closest?.(wanted) && fix(event.target.closest(wanted)));
  document.addEventListener("focusin", (event) => event.target.closest?.(wanted) && fix(event.target.closest(wanted)));
}
