"""Las ilustraciones de la sesión 06: dicen los números que se les dan, y lo que no se puede dibujar se dice."""

import numpy as np
import pytest
from dibujos import close_figures, texts  # noqa: F401

from course_utils.illustrations import session_06 as drawn


def test_the_ladder_asks_before_it_answers():
    names = list(drawn.SYSTEMS)
    said = texts(drawn.cover())
    assert said.count("?") == len(names) and " una moneda" in said
    ax = drawn.ladder({"mayoría": (0.5, 0.46, 0.54), "LLM, ocho ejemplos": (0.7, 0.66, 0.74), "ajustado": None})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["mayoría", "LLM, ocho ejemplos", "ajustado"]
    ends = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 4]
    np.testing.assert_allclose(ends, [[46, 54], [66, 74]])
    assert {"50,0", "70,0"} <= set(texts(ax)) and texts(ax).count("?") == 1


def test_a_difference_carries_its_sign():
    ax = drawn.ladder({"ajustado\nmenos congelado": (-0.012, -0.05, 0.03)}, zero=("igual", 0), limits=(-10, 10))
    assert {"−1,2", " igual"} <= set(texts(ax))


@pytest.mark.parametrize("results", [{}, {"LLM": (0.9, 0.1, 0.2)}])
def test_a_ladder_with_nothing_or_upside_down_is_refused(results):
    with pytest.raises(ValueError, match="el valor dentro"):
        drawn.ladder(results)


def test_padding_does_not_enter_the_mean():
    vectors = np.array([[1.0, 0.0], [3.0, 2.0], [50.0, 50.0]])
    ax = drawn.pooled(["No", "sobra", "<pad>"], vectors, [True, True, False])
    said = texts(ax)
    assert "la media de 2: un vector por reseña" in said and said.count("no\ncuenta") == 1
    assert sum(text.arrow_patch is not None for text in ax.texts if hasattr(text, "arrow_patch")) == 2


@pytest.mark.parametrize("real", [[True, True], [False, False, False]])
def test_every_chip_has_its_vector_and_one_is_real(real):
    with pytest.raises(ValueError, match="un sí al menos"):
        drawn.pooled(["a", "b", "c"], np.zeros((3, 2)), real)


def test_the_most_likely_word_is_marked():
    said = texts(drawn.label_words("Reseña: qué bien\nOpinión:", {"negativa": 0.02, "positiva": 0.05}))
    assert "Reseña: qué bien\nOpinión: ____" in said and {"2,0 %", "5,0 % ◀"} <= set(said)
    with pytest.raises(ValueError, match="dos palabras o más"):
        drawn.label_words("x", {"positiva": 1.2, "negativa": 0.1})


def test_words_go_to_their_side():
    ax = drawn.word_weights({"bien": 0.5, "mal": -1.0})
    assert [round(bar.get_width(), 2) for bar in ax.patches] == [-1.0, 0.5] and {"bien", "mal"} <= set(texts(ax))
    with pytest.raises(ValueError, match="al menos una palabra"):
        drawn.word_weights({})


def test_the_diagonal_of_the_confusion_is_what_was_right():
    said = texts(drawn.confusion([[8, 2], [3, 7]], ("negativa", "positiva")))
    assert {"8 ✓", "7 ✓", "2", "3"} <= set(said)
    with pytest.raises(ValueError, match="cuadrada"):
        drawn.confusion([[1, 2, 3]], ("a", "b"))


def test_the_curve_joins_the_means():
    ax = drawn.learning_curve([8, 32], {"ajustado": [[0.5, 0.6], [0.7, 0.9]]}, level=("LLM", 0.75))
    lines = {line.get_label(): line.get_ydata() for line in ax.lines if not line.get_label().startswith("_")}
    np.testing.assert_allclose(lines["ajustado"], [55, 80])
    np.testing.assert_allclose(lines["LLM"], [75, 75])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["8", "32"]
    with pytest.raises(ValueError, match="2 medidas"):
        drawn.learning_curve([8, 32], {"ajustado": [[0.5]]})


def test_a_perfectly_calibrated_one_lies_on_the_line():
    probs, labels = [0.75] * 4 + [0.25] * 4, [1, 1, 1, 0, 0, 0, 0, 1]
    ax = drawn.reliability({"LLM": (probs, labels)}, bins=1)
    np.testing.assert_allclose([ax.lines[0].get_xdata(), ax.lines[0].get_ydata()], [[75], [75]])
    with pytest.raises(ValueError, match="2 probabilidades y 1 etiquetas"):
        drawn.reliability({"LLM": ([0.1, 0.2], [1])})


def test_every_system_has_its_row_in_every_kind():
    one = {"directa": (0.6, 0.5, 0.7), "ironía": (0.5, 0.4, 0.6)}
    ax = drawn.by_kind({"ajustado": one, "LLM": one})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["directa", "ironía"]
    assert sum(len(line.get_xdata()) == 1 for line in ax.lines) == 4
    with pytest.raises(ValueError, match="las mismas clases"):
        drawn.by_kind({"ajustado": one, "LLM": {"directa": (0.6, 0.5, 0.7)}})
