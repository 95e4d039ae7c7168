"""Las ilustraciones de la sesión 07: dicen lo que se les da, y lo que no se puede dibujar se dice."""

import numpy as np
import pytest
from dibujos import close_figures, texts  # noqa: F401

from course_utils.illustrations import session_07 as drawn


def test_every_step_says_what_it_learns_from():
    said = texts(drawn.stages([("base", "libros"), ("asistente", "pares")]))
    assert said == ["base", "libros", "asistente", "pares", ""] or {"base", "libros", "asistente", "pares"} <= set(said)
    with pytest.raises(ValueError, match="al menos dos pasos y he recibido 1"):
        drawn.stages([("base", "libros")])
    assert "modelo base" in texts(drawn.cover())


def test_the_marks_have_a_thick_border():
    ax = drawn.conversation([("pregunta", "<u>", ["hola"], "<f>"), ("contesta", "<a>", ["qué", "tal"], "")])
    assert [t for t in texts(ax) if t] == ["pregunta", "<u>", "hola", "<f>", "contesta", "<a>", "qué", "tal"]
    assert [patch.get_linewidth() > 3 for patch in ax.patches] == [True, False, True, True, False, False]
    with pytest.raises(ValueError, match="al menos un turno"):
        drawn.conversation([])


def test_the_order_is_crossed_out_and_the_answer_is_not():
    tokens = ["EOS", "<u>", "di", "dos", "<f>", "<a>", "dos", "<f>"]
    said = texts(drawn.answer_mask(tokens, [False] * 6 + [True] * 2))
    assert said.count(drawn.IGNORED) == 6 and said.count("✓") == 2
    assert [text for text in said if text not in (drawn.IGNORED, "✓")] == tokens
    with pytest.raises(ValueError, match="8 tokens y 1 valores"):
        drawn.answer_mask(tokens, [True])


def test_a_long_example_takes_more_lines():
    few, many = (drawn.answer_mask(["palabra"] * n, [True] * n).figure.get_size_inches() for n in (3, 30))
    assert many[1] > 2 * few[1] and many[0] == few[0]


def test_the_preference_is_the_one_of_bradley_and_terry():
    ax = drawn.preference({"empate": 0, "log 3": np.log(3)})
    assert texts(ax) == ["empate: 50 %", "log 3: 75 %"]  # con log 3 de ventaja, tres a uno
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, 100 * np.exp(x) / (np.exp(x) + 1))


def test_every_weight_lands_on_a_step():
    weights = [0.7, -0.33, 0.04, -0.7]
    ax = drawn.rounding(weights, bits=(4, 2))
    four, two = (line.get_xdata() for line in ax.lines if line.get_marker() == "D")
    np.testing.assert_allclose(four, [0.7, -0.3, 0.0, -0.7], atol=1e-9)  # escalones de 0,1
    np.testing.assert_allclose(two, [0.7, 0.0, 0.0, -0.7], atol=1e-9)
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "los pesos",
        "4 bits: 15 escalones",
        "los pesos",
        "2 bits: 3 escalones",
    ]
    with pytest.raises(ValueError, match="distinto de cero"):
        drawn.rounding([0.0])


def test_the_perplexities_are_written_from_more_bits_to_fewer():
    ax = drawn.by_bits({2: 12000.0, 8: 26.2, 4: 29.0}, 26.2)
    assert texts(ax) == ["32 bits: 26,2", "26,2", "29,0", "12\u202f000"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["8", "4", "2"]
    with pytest.raises(ValueError, match="menor que 1"):
        drawn.by_bits({4: 0.5}, 26)


def test_the_curve_has_every_step_and_the_means():
    losses = [4.0, 2.0, 3.0, 1.0]
    ax = drawn.curve(losses, epoch=2, every=2)
    assert ax.lines[0].get_ydata().tolist() == losses and ax.lines[1].get_ydata().tolist() == [3.0, 2.0]
    assert ax.lines[2].get_xdata()[0] == 2.5
    with pytest.raises(ValueError, match="al menos 8 pasos"):
        drawn.curve([1.0], epoch=1)
