"""Lo que el perfil mediano da a los pares y a los textos del detector se puntúa otra vez, con el modelo delante."""

import numpy as np
import pytest
from absent import missing

from course_utils import detector, mediano, pairs
from course_utils.models import load_model
from tools import pairs as tool

pytestmark = pytest.mark.xdist_group("mediano")  # que no se cargue en varios procesos
STORED = pairs.stored_scores()


@pytest.fixture(scope="module")
def llm():
    if not mediano.is_installed() and not mediano.is_ready(mediano.ready_folder()):
        missing("no está instalado el perfil mediano (make llm)")
    return load_model("decoder", "mediano")


def test_the_texts_are_the_ones_that_were_scored():
    """Si has cambiado un par o un texto a propósito: ``python -m tools.pairs``."""
    assert STORED["recipe"]["texts"] == tool.texts_hash() and STORED["recipe"]["command"] == "python -m tools.pairs"


def test_the_llm_gives_again_the_stored_scores(llm):
    again = tool.measured(*llm, groups={})
    np.testing.assert_allclose(again["scores"], STORED["scores"], atol=1e-2)


@pytest.mark.parametrize("group", ["novela", "sencillo", "aprendiz", "chistes", "reseñas", "LLM"])
def test_the_llm_gives_again_the_stored_perplexities(llm, group):
    again = tool.measured(*llm, rows=[], groups={group: detector.load_groups()[group]})
    np.testing.assert_allclose(again["perplexities"][group], STORED["perplexities"][group], rtol=1e-3)


def test_an_altered_score_is_seen(llm):
    rows = pairs.load_pairs()[:2]
    again = np.array(tool.measured(*llm, rows=rows, groups={})["scores"])
    altered = np.add(STORED["scores"][:2], [[0, 0], [0, 0.02]])
    assert np.abs(again - altered).max() > 1e-2
