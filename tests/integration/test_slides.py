"""Las diapositivas: sus notas, su código, sus figuras y, en un navegador de verdad, que todo se lea entero."""

import ast
import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest
from absent import missing
from matplotlib.testing.compare import compare_images
from pypdf import PdfReader

from tools import browser, figures
from tools import slides as build_slides

ROOT = Path(__file__).resolve().parents[2]
SLIDES = ROOT / "slides"
DECKS = sorted(SLIDES.glob("[0-9][0-9]_*.md"))
SESSIONS = ["01", "02", "03", "04", "05"]

every_deck = pytest.mark.parametrize("path", DECKS, ids=lambda p: p.stem)


# --- Lo que está escrito ----------------------------------------------------------------------------


def test_there_is_one_deck_per_session_with_the_name_of_its_notebook():
    assert [path.stem for path in DECKS] == [path.stem for path in sorted((ROOT / "notebooks").glob("0*.ipynb"))]
    assert [path.stem[:2] for path in DECKS] == SESSIONS


@every_deck
def test_every_slide_has_a_note_and_the_minutes_add_up(path):
    slides = build_slides.read_deck(path)
    assert 12 <= len(slides) <= 20
    assert sum(slide.minutes for slide in slides) == 60
    assert sum(slide.short_minutes for slide in slides) == 40
    for slide in slides:
        assert slide.title, f"la diapositiva {slide.number} no tiene título"
        assert slide.short_minutes <= slide.minutes
        assert len(slide.say) > 60 and len(slide.ask) > 15 and "¿" in slide.ask, slide.number


@every_deck
def test_the_notebook_section_that_a_note_opens_exists(path):
    text = (ROOT / "notebooks" / "fuente" / path.name).read_text(encoding="utf-8")
    headings = {re.sub(r"[*`$]", "", heading) for heading in re.findall(r"^#{2,4} +(.+?) *$", text, re.M)}
    opened = [re.sub(r"[*`$]", "", slide.notebook) for slide in build_slides.read_deck(path) if slide.notebook]
    assert len(opened) >= 3
    assert set(opened) <= headings, set(opened) - headings


def test_the_guide_has_the_plan_that_the_notes_say():
    assert build_slides.main(["--check"]) == 0


def test_a_note_that_lacks_something_is_named(tmp_path):
    deck = tmp_path / "09_prueba.md"
    note = "<!--\nMinutos: 60 (40)\nDi: hola\nPregunta: ¿qué?\n-->"
    deck.write_text(f"---\nmarp: true\n---\n# Uno\n{note}\n\n---\n\n# Dos\n", encoding="utf-8")
    with pytest.raises(ValueError, match="diapositiva 2: tiene 0 notas"):
        build_slides.read_deck(deck)
    deck.write_text(f"---\nmarp: true\n---\n# Uno\n{note.replace('Di: hola', '')}", encoding="utf-8")
    with pytest.raises(ValueError, match="diapositiva 1: la nota necesita"):
        build_slides.read_deck(deck)


def blocks(path):
    return re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)


@every_deck
def test_code_is_short_runs_and_prints_what_the_slide_shows(path, monkeypatch):
    """Los bloques «python» de un mazo se ejecutan seguidos; uno «text» detrás es lo que tiene que salir."""
    monkeypatch.chdir(ROOT / "notebooks")
    monkeypatch.setenv("CURSO_PERFIL", "mini")
    namespace, printed, count = {"__name__": "__main__"}, None, 0
    for language, code in blocks(path):
        assert language in {"python", "text"}, f"un bloque de código dice {language!r}"
        assert len(code.splitlines()) <= 8, code
        if language == "text":
            assert printed is not None, f"una salida sin código delante:\n{code}"
            assert printed.strip() == code.strip()
            printed = None
        else:
            count += 1
            ast.parse(code)
            assert max(map(len, code.splitlines())) <= 66, "una línea no cabe en la diapositiva"
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(code, path.name, "exec"), namespace)
            printed = output.getvalue()
    assert count >= 1


# --- Las figuras ------------------------------------------------------------------------------------


def shown(path):
    return re.findall(r"!\[([^\]]*)\]\(figuras/([\w-]+)\.png\)", path.read_text(encoding="utf-8"))


def test_every_figure_is_made_by_figures_py_and_shown():
    used = {name for path in DECKS for _, name in shown(path)}
    assert used == set(figures.functions()) == {path.stem for path in figures.FOLDER.glob("*.png")}
    for path in DECKS:
        links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
        assert len(links) == len(shown(path)) >= 3, "una imagen que no está en figuras/"
        assert all(len(alt) > 20 for alt, _ in shown(path)), "el texto alternativo dice qué se ve"


@pytest.mark.parametrize("name", figures.functions())
def test_stored_figures_are_the_ones_that_the_models_give(name, tmp_path):
    figures.draw(figures.functions()[name], tmp_path / f"{name}.png")
    stored = figures.FOLDER / f"{name}.png"
    difference = compare_images(str(stored), str(tmp_path / f"{name}.png"), tol=2)
    assert difference is None, f"{difference}\nRehazla con «python -m tools.figures {name}»."


# --- En el navegador --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    browser.find_browser() or missing("sin navegador")
    shutil.which("npm") or missing("sin Node.js")
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


def test_missing_tools_are_named_with_their_remedy(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(build_slides.shutil, "which", lambda name: None)
    monkeypatch.setattr(build_slides.browser, "find_browser", lambda: "/bin/true")
    assert build_slides.main(["--output", str(tmp_path)]) == 1
    assert "Node.js" in capsys.readouterr().err
    monkeypatch.setattr(build_slides.browser, "find_browser", lambda: None)
    assert build_slides.main(["--output", str(tmp_path)]) == 1
    assert "CHROME_PATH" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setenv("CHROME_PATH", str(tmp_path / "no está"))
    assert build_slides.main(["--output", str(tmp_path)]) == 1
    assert "no existe" in capsys.readouterr().err


def test_figures_that_read_the_notebook_say_what_is_missing():
    module = figures.session_04
    assert module._table("trozo más largo")["trozo más largo"]["el mejor"] >= 0
    for lookup in (lambda: module._printed("esto no lo imprime nadie"), lambda: module._table("columna inventada")):
        with pytest.raises(ValueError, match="ya no imprime"):
            lookup()
