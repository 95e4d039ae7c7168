"""Las diapositivas como las miran las pruebas."""

import shutil

import pytest
from absent import missing
from cuadernos import ROOT
from matplotlib.testing.compare import compare_images

from course_utils.runner import in_order
from tools import browser, figures

DECKS = in_order((ROOT / "slides").glob("[A0-9][0-9]_*.md"))
every_deck = pytest.mark.parametrize("path", DECKS, ids=lambda path: path.stem)


def tools_or_missing() -> None:
    """Lo que hace falta para convertirlas."""
    browser.find_browser() or missing("sin navegador")
    shutil.which("npm") or missing("sin Node.js")


def redrawn(name: str, folder) -> str | None:
    """En qué se distingue una figura guardada de la que sale al dibujarla ahora; ``None`` si en nada."""
    figures.draw(figures.functions()[name], folder / f"{name}.png")
    tol = 40 if name == "A3_aprender" else 2  # la única que entrena: con otro procesador, otra curva
    difference = compare_images(str(figures.FOLDER / f"{name}.png"), str(folder / f"{name}.png"), tol=tol)
    return difference and f"{difference}\nRehazla con «python -m tools.figures {name}»."
