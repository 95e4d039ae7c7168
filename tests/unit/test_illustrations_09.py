"""Las ilustraciones de la sesión 09: dicen lo que se les da, y lo que no se puede dibujar se dice."""

import numpy as np
import pytest
from dibujos import close_figures, texts  # noqa: F401
from matplotlib.colors import same_color

from course_utils import drawing
from course_utils.illustrations import session_09 as drawn


def test_a_pair_shows_both_sentences_and_what_they_cost():
    said = texts(drawn.minimal_pair("Ayer {x} llegó.", "ella", "él", (12.34, 9.0)))
    assert [word for word in said if word == "llegó."] == ["llegó."] * 2
    assert {"ella", "él", "12,3 bits", "9,0 bits"} <= set(said)
    assert not any("bits" in text for text in texts(drawn.minimal_pair("{x} llegó.", "Ella", "Él")))
    with pytest.raises(ValueError, match="un hueco"):
        drawn.minimal_pair("Ella llegó.", "a", "b")


def test_what_is_under_the_threshold_is_accused():
    groups = {"a": [5, 50], "b": [10.0, 20.0, 30.0]}
    ax = drawn.strips(groups, 15)
    for points, group in zip(ax.collections, groups.values(), strict=True):
        np.testing.assert_allclose(points.get_offsets()[:, 0], group)
        accused = [same_color(color, drawing.ORANGE) for color in points.get_facecolors()]
        assert accused == [value < 15 for value in group]
    for bad in ({}, {"a": []}, {"a": [0.0]}):
        with pytest.raises(ValueError, match="al menos un grupo"):
            drawn.strips(bad, 15)


def test_there_is_a_person_per_person():
    ax = drawn.classroom(24, 3, 2, 1)
    people = [patch for patch in ax.patches if patch.get_radius() > 0.2]
    assert len(people) == 30
    colors = [drawing.BLUE] * 24 + [drawing.ORANGE] * 3 + [drawing.RED] * 2 + [drawing.GREY]
    assert all(same_color(p.get_facecolor(), c) for p, c in zip(people, colors, strict=True))
    assert "3 · inocente acusado" in texts(ax)
    for bad in ((0, 0, 0, 0), (-1, 2, 0, 0), (1.5, 0, 0, 0)):
        with pytest.raises(ValueError, match="cuentas"):
            drawn.classroom(*bad)


def test_energies_go_on_a_scale_of_tens():
    ax = drawn.energy_scale({"una": (0.24, 0.24), "entre dos": (4.0, 18.0)})
    assert ax.get_xscale() == "log"
    bars = [tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2]
    assert bars == [(0.24, 0.24), (4.0, 18.0)]
    for bad in ({}, {"x": (0, 1)}, {"x": (2, 1)}):
        with pytest.raises(ValueError, match="mayores que cero"):
            drawn.energy_scale(bad)


def test_dates_go_in_order_and_the_past_is_green():
    ax = drawn.timeline([("2024", "vigor", True), ("2027", "alto riesgo", False)])
    assert texts(ax) == ["2024", "vigor", "2027", "alto riesgo"]
    assert [
        same_color(p.get_facecolor(), c) for p, c in zip(ax.patches, (drawing.GREEN, drawing.GREY), strict=True)
    ] == [True] * 2
    with pytest.raises(ValueError, match="alguna fecha"):
        drawn.timeline([])


def test_the_cover_is_a_pair():
    assert {"Mi hermana", "Mi hermano", "regimiento."} <= set(texts(drawn.cover()))
