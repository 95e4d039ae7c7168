"""El lenguaje de los esquemas: cada cosa, donde se pide y del tamaño que se pide, y con la letra del curso."""

import itertools
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from dibujos import close_figures  # noqa: F401
from matplotlib import font_manager

from course_utils import drawing, plots


def inches(ax, artist):
    """Lo que ocupa de verdad al dibujarse, en pulgadas: x0, y0, x1, y1."""
    ax.figure.canvas.draw()
    return artist.get_window_extent().get_points().ravel() / ax.figure.dpi


def test_a_canvas_is_measured_in_inches():
    ax = drawing.canvas(4, 3)
    drawing.box(ax, 1, 0.5, 2, 1, "$hola$", linewidth=0)
    (patch,), (text,) = ax.patches, ax.texts
    assert inches(ax, patch) == pytest.approx([1, 0.5, 3, 1.5], abs=0.02)
    x0, y0, x1, y1 = inches(ax, text)
    assert text.get_text() == "$hola$" and ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((2, 1), abs=0.05)
    drawing.label(ax, 2, 2, "hola")
    assert x1 - x0 > 1.3 * np.diff(inches(ax, ax.texts[1])[[0, 2]])[0]  # los dólares se ven: no es una fórmula


def test_a_box_is_filled_with_the_pale_of_its_colour():
    ax = drawing.canvas(2, 2)
    for color in drawing.PALE:
        drawing.box(ax, 0, 0, 1, 1, color=color)
    drawing.box(ax, 0, 0, 1, 1, color="black", facecolor="white")
    fills = [matplotlib.colors.to_hex(patch.get_facecolor()).upper() for patch in ax.patches]
    assert fills == [*drawing.PALE.values(), "#FFFFFF"]
    assert set(drawing.PALE) == {plots.BLUE, plots.ORANGE, plots.GREEN, plots.RED, plots.GREY}
    for pale in drawing.PALE.values():  # tinta negra encima: contraste de sobra
        channels = np.array(matplotlib.colors.to_rgb(pale))
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        assert (linear @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.05 > 14


def test_an_arrow_goes_from_tail_to_head():
    ax = drawing.canvas(4, 2)
    drawing.arrow(ax, (1, 1), (3, 1))
    drawing.arrow(ax, (1, 1), (3, 1), bend=0.5)
    straight, bent = (inches(ax, annotation.arrow_patch) for annotation in ax.texts)
    assert straight[[0, 2]] == pytest.approx([1, 3], abs=0.15) and straight[3] - straight[1] < 0.3
    assert bent[3] - bent[1] > 0.4


@pytest.mark.parametrize("letter", [{}, "la del curso"])
def test_chips_are_as_wide_as_their_text_and_do_not_touch(letter):
    with plt.rc_context(drawing.fonts() if letter else {}):
        ax = drawing.canvas(8, 1)
        tokens, colors = ["Había", "␣una", "", "␣vez"], [plots.BLUE, plots.RED, plots.GREY, plots.BLUE]
        places = drawing.chips(ax, 0.5, 0.2, tokens, colors, size=20, gap=0.1, linewidth=0)
        boxes = [inches(ax, patch) for patch in ax.patches]
        for (centre, width), found, text in zip(places, boxes, ax.texts, strict=True):
            assert found[[0, 2]] == pytest.approx([centre - width / 2, centre + width / 2], abs=0.02)
            if text.get_text():
                x0, _, x1, _ = inches(ax, text)
                assert found[0] + 0.04 < x0 and x1 < found[2] - 0.04  # cabe, con aire
                assert width - (x1 - x0) < 0.45  # y no sobra
        assert boxes[0][0] == pytest.approx(0.5, abs=0.02)
        assert [right[0] - left[2] for left, right in itertools.pairwise(boxes)] == pytest.approx([0.1] * 3)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: drawing.canvas(0, 2), "width son pulgadas.* y es 0"),
        (lambda ax: drawing.canvas(2, "3"), "height son pulgadas.* y es '3'"),
        (lambda ax: drawing.canvas(2, float("nan")), "height son pulgadas.* y es nan"),
        (lambda ax: drawing.box(ax, 0, 0, 1, 1, color="pink"), "De 'pink' no hay un fondo claro"),
        (lambda ax: drawing.chips(ax, 0, 0, ["a", "b"], [plots.BLUE]), "hay 2 y 1 colores"),
    ],
)
def test_mistakes_are_explained_before_drawing(draw, message):
    ax = drawing.canvas(2, 2)
    with pytest.raises(ValueError, match=message):
        draw(ax)
    assert not ax.patches and len(plt.get_fignums()) == 1


# --- La letra ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "file"),
    [
        ({}, "AtkinsonHyperlegible-Regular.ttf"),
        ({"weight": "bold"}, "AtkinsonHyperlegible-Bold.ttf"),
        ({"style": "italic"}, "AtkinsonHyperlegible-Italic.ttf"),
        ({"family": "monospace"}, "AtkinsonHyperlegibleMono-Regular.ttf"),
        ({"family": "monospace", "weight": "bold"}, "AtkinsonHyperlegibleMono-Bold.ttf"),
    ],
)
def test_the_letter_of_the_course_is_used_inside_the_context_and_only_there(style, file):
    def used():
        return Path(font_manager.findfont(font_manager.FontProperties(**style))).name

    outside = used()
    with plt.rc_context(drawing.fonts()):
        assert used() == file
    assert used() == outside != file


def test_asking_twice_adds_nothing():
    drawing.fonts()
    before = len(font_manager.fontManager.ttflist)
    drawing.fonts()
    assert len(font_manager.fontManager.ttflist) == before


@pytest.mark.filterwarnings("error")  # matplotlib avisa de cada signo que no encuentra en ninguna letra
def test_every_sign_of_the_course_can_be_drawn():
    signs = "áéíóúüñÁÉÍÓÚÜÑ¿¡«»—–−·×…→←ετσαΣ√≥≤▢␣◀⁻¹²₁½%ºª€"
    for settings in ({}, drawing.fonts()):
        with plt.rc_context(settings):
            ax = drawing.canvas(9, 1)
            drawing.label(ax, 4, 0.5, signs)
            drawing.label(ax, 4, 0.2, signs, family=drawing.monospaced())
            ax.figure.canvas.draw()


def test_the_fonts_come_with_their_licence_and_have_our_letters():
    folder = Path(drawing.__file__).parent / "data" / "letras"
    assert "SIL OPEN FONT LICENSE Version 1.1" in (folder / "OFL.txt").read_text(encoding="utf-8")
    for path in folder.glob("*.ttf"):
        known = font_manager.get_font(path).get_charmap()
        missing = [c for c in "áéíóúüñÁÉÍÓÚÜÑ¿¡«»—–·×…%€0123456789" if ord(c) not in known]
        assert not missing, f"{path.name}: {missing}"


def test_at_night_what_is_over_the_background_turns_white_and_what_is_over_a_chip_stays():
    ax = drawing.canvas(6, 2)
    drawing.chips(ax, 0.2, 0.5, ["Había"], drawing.PROMPT)
    drawing.label(ax, 4, 0.7, "fuera")
    drawing.label(ax, 4, 1.4, "de color", color=drawing.RED)
    drawing.label(ax, 5, 1.4, "de gris", color="#666666")
    drawing.arrow(ax, (2, 0.7), (3, 0.7))
    drawing.arrow(ax, (2, 0.9), (3, 0.9), color=drawing.ENCODER)
    drawing.arrow(ax, (2, 1.1), (3, 1.1), color=drawing.ORANGE)
    assert drawing.night(ax) is ax
    assert {text.get_text(): text.get_color() for text in ax.texts if text.get_text()} == {
        "Había": "black", "fuera": "white", "de color": drawing.RED, "de gris": "white",
    }  # fmt: skip
    white, orange = (1, 1, 1, 1), matplotlib.colors.to_rgba(drawing.ORANGE)
    shafts = [text.arrow_patch.get_edgecolor() for text in ax.texts if hasattr(text, "arrow_patch")]
    assert shafts == [white, white, orange]  # el azul de las flechas no se ve sobre el de la portada
    assert ax.figure.get_facecolor()[:3] == matplotlib.colors.to_rgb(drawing.NIGHT)
