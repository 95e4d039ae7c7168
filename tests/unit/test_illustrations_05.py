"""Los dados, la cadena, las fichas, el duelo y las ventanas: lo que se ve es la cuenta, y lo que no vale se dice."""

import math
import re

import matplotlib.pyplot as plt
import pytest
from dibujos import close_figures, texts  # noqa: F401
from matplotlib.colors import to_hex

from course_utils import drawing
from course_utils.illustrations import chain, duel, perplexity_die, session_05, sliding_windows, surprise_chips


@pytest.mark.parametrize("vertical", [False, True])
def test_a_die_has_a_dot_per_face_and_one_is_chosen(vertical):
    faces = {"moneda": 2, "dado": 6, "modelo": 58.6, "unigrama": 830.6, "nada": 4096}
    ax = perplexity_die(faces, vertical=vertical)
    dots = {}
    for dot in ax.collections:
        dots.setdefault(to_hex(dot.get_facecolor()[0]), []).append(len(dot.get_offsets()))
    assert dots[drawing.CHOSEN.lower()] == [1] * 5
    assert [n + 1 for n in dots[drawing.BLUE.lower()]] == [2, 6, 59, 831, 4096]
    assert {"59", "831", "4096", *faces} <= set(texts(ax))


def test_the_dots_of_a_die_are_inside_its_front():
    ax = perplexity_die({"modelo": 59})
    front = ax.patches[2].get_xy()
    for dot in ax.collections:
        assert (dot.get_offsets() > front.min(0)).all() and (dot.get_offsets() < front.max(0)).all()


@pytest.mark.parametrize("vertical", [False, True])
def test_the_bars_of_a_chain_are_as_long_as_its_surprise(vertical):
    probs = [0.5, 0.125, 0.001]
    ax = chain(["uno", "dos", "tres"], probs, vertical=vertical)
    sides = [bar.get_width() if vertical else bar.get_height() for bar in ax.patches if isinstance(bar, plt.Rectangle)]
    assert [side / sides[0] for side in sides] == pytest.approx([-math.log2(p) for p in probs])
    assert {"1,0", "3,0", "0,5", "0,001"} <= set(texts(ax))


def test_chips_say_their_bits_and_the_mean_and_wrap_when_narrow():
    row = {"texto": (["Hab", "ía", "␣una"] * 4, [12.0, 0.5, 8.5] * 4)}
    wide, narrow = surprise_chips(row), surprise_chips(row, width=3)
    for ax in (wide, narrow):
        assert "texto · 7,0 bits de media" in texts(ax) and texts(ax).count("12,0") == 4
        assert max(chip.get_x() + chip.get_width() for chip in ax.patches) <= ax.get_xlim()[1]
    assert len({chip.get_y() for chip in wide.patches}) == 1 < len({chip.get_y() for chip in narrow.patches})


def test_the_winner_of_a_duel_is_in_bold():
    ax = duel({"corrientes": (59, 831), "letras": (4037, 1233)})
    bold = {text.get_text() for text in ax.texts if text.get_fontweight() == "bold"}
    assert bold == {"59", "1233"}


@pytest.mark.parametrize(("n", "window", "stride"), [(17, 8, 4), (9, 8, 4), (5, 8, 8), (30, 7, 6)])
def test_each_token_is_scored_once_in_the_drawn_windows(n, window, stride):
    ax = sliding_windows(n, window, stride)
    signs = texts(ax)
    assert signs.count("✓") == n - 1 and len([s for s in signs if re.fullmatch(r"ventana \d+", s)]) >= 1
    scored = [round(text.get_position()[0], 3) for text in ax.texts if text.get_text() == "✓"]
    assert len(set(scored)) == n - 1


def test_the_cover_is_three_dice():
    assert len(session_05.cover().collections) == 6


@pytest.mark.parametrize(
    "call",
    [
        lambda: perplexity_die({}),
        lambda: perplexity_die({"imposible": 0.5}),
        lambda: chain(["uno"], [0.5, 0.5]),
        lambda: chain(["uno"], [0.0]),
        lambda: surprise_chips({}),
        lambda: surprise_chips({"texto": (["uno"], [-1.0])}),
        lambda: duel({"grupo": (0.2, 3)}),
        lambda: sliding_windows(17, 8, 9),
        lambda: sliding_windows(1, 8, 4),
    ],
)
def test_bad_data_is_refused(call):
    with pytest.raises(ValueError, match=r"ace falta|acen falta|No hay"):
        call()
