"""Las diapositivas en un navegador de verdad: que todo se lea desde la última fila; y todas sus figuras, rehechas.

Lo que solo ve esta prueba: un texto que se sale, letra pequeña o con poco contraste, una figura que ya no es la que da
el modelo. Lo demás (notas, código, enlaces y una conversión) está en ``tests/integration/test_slides.py``.
"""

from pathlib import Path

import pytest
from cuadernos import ROOT
from diapositivas import DECKS, every_deck, redrawn, tools_or_missing
from pypdf import PdfReader

from tools import browser, figures
from tools import slides as build_slides


@pytest.mark.parametrize("name", figures.functions())
def test_stored_figures_are_the_ones_that_the_models_give(name, tmp_path):
    assert redrawn(name, tmp_path) is None


# --- En el navegador --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    tools_or_missing()
    folder = tmp_path_factory.mktemp("diapositivas en español")
    build_slides.build(ROOT, DECKS, folder)
    return folder


@pytest.fixture(scope="module")
def page(built):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=browser.find_browser(), args=browser.ARGUMENTS)
        context = chrome.new_context(viewport={"width": 1280, "height": 720}, offline=True)
        yield context.new_page()
        chrome.close()


# Todo lo que una persona de la última fila no podría leer; se mira cada elemento de cada diapositiva.
LOOK = """
() => {
  const problems = [];
  const channel = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const background = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  document.querySelectorAll("svg[data-marpit-svg] section").forEach((section, i) => {
    const text = node => (node.textContent || node.alt || "").trim().slice(0, 50);
    const say = (what, node) => problems.push(
      `diapositiva ${i + 1}: ${what}: <${node.tagName.toLowerCase()}> ${text(node)}`);
    const scale = section.getBoundingClientRect().width / section.offsetWidth;
    const frame = section.getBoundingClientRect();
    const bottom = frame.bottom - 50 * scale;  // el pie y el número
    if (!frame.width) { say("no se ve", section); return; }
    const [inside, room] = [[section.scrollWidth, section.scrollHeight], [section.clientWidth, section.clientHeight]];
    if (inside[0] > room[0] + 1 || inside[1] > room[1] + 1)
      say(`desborda (${inside.join("×")} en ${room.join("×")})`, section);
    section.querySelectorAll("*").forEach(node => {
      if (node.closest("svg") !== section.closest("svg") || node.closest("mjx-assistive-mml")) return;
      const box = node.getBoundingClientRect();
      if (!box.width || !box.height) {
        if (node.textContent.trim() || node.tagName === "IMG") say("sin tamaño", node);
        return;
      }
      if (node.tagName === "FOOTER" || node.closest("footer")) return;
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 ||
          box.bottom > bottom + 1)
        say("se sale de la diapositiva", node);
      if (node.scrollWidth > node.clientWidth + 2 && node.clientWidth && getComputedStyle(node).display !== "inline")
        say("tiene contenido cortado a lo ancho", node);
      const own = [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
      if (own) {
        const style = getComputedStyle(node);
        if (parseFloat(style.fontSize) < 24) say(`letra de ${style.fontSize}`, node);
        const [a, b] = [light(parse(style.color)), light(background(node))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) say(`contraste de ${((a + 0.05) / (b + 0.05)).toFixed(1)}`, node);
      }
      if (node.tagName === "IMG") {
        if (!node.complete || !node.naturalWidth) say("imagen rota", node);
        const shown = Math.min(box.width / node.naturalWidth, box.height / node.naturalHeight) / scale;
        if (shown < 0.6) say(`figura reducida al ${Math.round(100 * shown)} %`, node);
      }
    });
  });
  return problems;
}
"""


def show_all(page, html: Path) -> None:
    """Abre un mazo y deja todas sus diapositivas a la vista, una debajo de otra, como en el PDF."""
    page.goto(html.as_uri())
    page.add_style_tag(
        content="html, body { overflow: visible !important; height: auto !important } "
        "svg[data-marpit-svg] { display: block !important; position: static !important; "
        "visibility: visible !important; opacity: 1 !important; content-visibility: visible !important; "
        "width: 1280px !important; height: 720px !important; pointer-events: auto !important }"
    )
    page.evaluate("document.fonts.ready")


@every_deck
def test_nothing_is_cut_off_nor_too_small(path, built, page):
    show_all(page, built / f"{path.stem}.html")
    assert page.locator("svg[data-marpit-svg] section").count() == len(build_slides.read_deck(path))
    assert page.evaluate("document.fonts.check('16px Curso') && document.fonts.check('16px \"Curso Mono\"')")
    assert page.evaluate(LOOK) == []


def test_the_look_sees_what_is_wrong(built, page):
    """La prueba anterior puede fallar: con cada defecto puesto a propósito, lo ve."""
    show_all(page, built / f"{DECKS[0].stem}.html")
    for css, what in [
        ("section h2 { margin-top: 700px !important }", "se sale de la diapositiva"),
        ("section { font-size: 16px !important }", "letra de"),
        ("section li, section p { color: #999 !important }", "contraste de"),
        ("section li, section p { white-space: nowrap !important; letter-spacing: 2em }", "a lo ancho"),
        ("section img { width: 200px !important }", "figura reducida"),
    ]:
        handle = page.add_style_tag(content=css)
        assert any(what in problem for problem in page.evaluate(LOOK)), what
        handle.evaluate("node => node.remove()")
    assert page.evaluate(LOOK) == []


@every_deck
def test_html_carries_notes_and_figures_and_asks_for_nothing(path, built, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((built / f"{path.stem}.html").as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    notes = page.locator(".bespoke-marp-note").all_text_contents()
    slides = build_slides.read_deck(path)
    assert len(notes) == len(slides)
    for note, slide in zip(notes, slides, strict=True):
        assert "Di:" in note and "Pregunta:" in note and f"Minutos: {slide.minutes} ({slide.short_minutes})" in note
        assert slide.say in note and slide.ask in note  # sin saltos de línea en medio de las frases


@every_deck
def test_pdf_has_one_page_per_slide(path, built):
    assert len(PdfReader(built / f"{path.stem}.pdf").pages) == len(build_slides.read_deck(path))
