"""Las ilustraciones de la sesión A2: dicen lo que se les da, y lo que no se puede dibujar se dice."""

import numpy as np
import pytest
from dibujos import close_figures, texts  # noqa: F401

from course_utils.illustrations import session_a2 as drawn


def test_everything_goes_through_the_summary():
    said = texts(drawn.bottleneck(["tres", "de", "mayo"], "05-03", size=9))
    assert said[:3] == ["tres", "de", "mayo"] and "un resumen: 9 números" in said
    assert [text for text in said if len(text) == 1] == list("05-03")


def test_the_thickest_line_goes_to_the_word_with_most_attention():
    weights = [0.1, 0.7, 0.2]
    ax = drawn.looking_back(weights, ["a", "b", "c"], "16", asked="?")
    widths = [line.get_linewidth() for line in ax.lines]
    assert np.argsort(widths).tolist() == np.argsort(weights).tolist()
    said = texts(ax)
    assert [text for text in said if "%" in text] == ["10 %", "70 %", "20 %"] and said.count("?") == 1
    with pytest.raises(ValueError, match="2 palabras y 3 pesos"):
        drawn.looking_back(weights, ["a", "b"])


def test_the_map_has_a_row_per_word_and_a_column_per_letter():
    weights = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    ax = drawn.alignment(weights, ["tres", "de", "mayo"], "05-03")
    np.testing.assert_allclose(ax.images[0].get_array(), weights.T)
    assert [label.get_text() for label in ax.get_xticklabels()] == list("05-03")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["tres", "de", "mayo"]
    with pytest.raises(ValueError, match="5 letras y 2 palabras"):
        drawn.alignment(weights, ["tres", "de"], "05-03")
