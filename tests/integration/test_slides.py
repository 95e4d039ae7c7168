"""Las diapositivas: sus notas, su código, sus figuras y que se conviertan. En un navegador las mira ``nightly``."""

import ast
import contextlib
import io
import re

import pytest
from cuadernos import NOTEBOOKS, ROOT, SESSIONS, both, headings, plain
from diapositivas import DECKS, every_deck, redrawn, tools_or_missing
from pypdf import PdfReader

from tools import figures
from tools import slides as build_slides
from tools.figures import cells

# --- Lo que está escrito ----------------------------------------------------------------------------


def test_there_is_one_deck_per_session_with_the_name_of_its_notebook():
    assert [path.stem for path in DECKS] == [path.stem for path in SESSIONS]


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
    opened = {plain(slide.notebook) for slide in build_slides.read_deck(path) if slide.notebook}
    assert len(opened) >= 3
    assert not opened - set().union(*map(headings, both(path.stem[:2])))


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
    monkeypatch.chdir(NOTEBOOKS)
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


# Las que cambian al reconstruir un cuaderno, porque leen lo que quedó impreso en él; todas, en nightly.
@pytest.mark.parametrize("name", ["04_copia", "04_curvas", "04_duelo", "04_olvido"])
def test_stored_figures_say_what_the_notebook_prints(name, tmp_path):
    assert redrawn(name, tmp_path) is None


@pytest.mark.parametrize("name", ["celda-que-no-hay", "portada"])
def test_a_figure_that_looks_for_a_missing_cell_says_so(name):
    for lookup in (lambda: cells.printed("04", name, "x"), lambda: cells.run("04", [name], {})):
        with pytest.raises(ValueError, match=f"El cuaderno 04 no tiene ninguna celda de código «{name}»"):
            lookup()
    with pytest.raises(ValueError, match=r"La celda «curvas-dibujo» del cuaderno 04 ya no imprime 'nada de esto'"):
        cells.printed("04", "curvas-dibujo", "nada de esto")


# --- HTML y PDF --------------------------------------------------------------------------------------


def test_a_deck_becomes_html_with_everything_inside_and_pdf(tmp_path):
    """Un mazo, para saber que la conversión va; todos, mirados en un navegador, en ``tests/nightly/test_slides.py``."""
    tools_or_missing()
    deck = DECKS[0]
    build_slides.build(ROOT, [deck], tmp_path / "diapositivas en español")
    html = (tmp_path / "diapositivas en español" / f"{deck.stem}.html").read_text(encoding="utf-8")
    assert len(re.findall('class="bespoke-marp-note"', html)) == len(build_slides.read_deck(deck))
    assert html.count("data:image/png;base64,") >= len(shown(deck)) and "data:font/woff2;base64," in html
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]+", re.sub(r"<a [^>]*>", "", html))
    words = "Previous|Next|Toggle|Open|Close|Bigger|Smaller|Current|Timer|Page|Overview|Presenter"
    assert not re.findall(rf"(?:title[:=]|`|>)\"?\[?(?:{words})\b", html)  # los mandos de Marp, en español
    assert "`${t+1} de ${" in html
    pdf = tmp_path / "diapositivas en español" / f"{deck.stem}.pdf"
    assert len(PdfReader(pdf).pages) == len(build_slides.read_deck(deck))


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
