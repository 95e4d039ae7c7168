"""Lo que la sesión 06 escribe a mano, frente a numpy y a la normal; y lo medido y guardado, entero y de ahora."""

import json

import numpy as np
import pytest
import torch
from answers import published
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils._files import sha256
from course_utils.models import checkpoint
from course_utils.reviews import load_reviews
from tools.training import reviews as measured

SYSTEMS = json.loads(measured.SYSTEMS_FILE.read_text(encoding="utf-8"))
LLM = json.loads(measured.LLM_FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def names():
    """Lo que definen las celdas del cuaderno que no entrenan."""
    return measured.cells.run("06", ["importar", "datos", "suelos", "pliegues"], {})


# ---------------------------------------------------------------- los ejercicios
@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 5), tokens=st.integers(1, 7), hidden=st.integers(1, 5), data=st.data())
def test_the_mean_is_the_masked_array_of_numpy(rows, tokens, hidden, data):
    marks = st.lists(st.integers(0, 1), min_size=tokens, max_size=tokens).filter(any)
    mask = torch.tensor([data.draw(marks) for _ in range(rows)])
    states = torch.randn(rows, tokens, hidden)
    hidden_ones = np.repeat(mask.numpy()[..., None] == 0, hidden, axis=-1)
    theirs = np.ma.masked_array(states.numpy(), hidden_ones).mean(1)
    np.testing.assert_allclose(published("06")["6.1"](states, mask), theirs, atol=1e-5)


def test_the_paired_interval_is_the_one_of_a_normal_when_there_are_many_reviews():
    """Con muchas reseñas, el remuestreo de una media es casi normal: 1,96 errores típicos a cada lado."""
    rng = np.random.default_rng(0)
    hits_a, hits_b = rng.random(2000) < 0.6, rng.random(2000) < 0.65
    low, high = published("06")["6.2"](hits_a, hits_b, rng.integers(2000, size=(4000, 2000)))
    gap = hits_b.astype(float) - hits_a
    assert (low + high) / 2 == pytest.approx(gap.mean(), abs=0.002)
    assert high - low == pytest.approx(2 * 1.96 * gap.std() / 2000**0.5, rel=0.06)


# ---------------------------------------------------------------- los pliegues
def test_nobody_is_examined_on_what_was_studied(names):
    seen = np.concatenate([new for _, new in names["FOLDS"]])
    assert sorted(seen) == list(range(612))
    for known, new in names["FOLDS"]:
        assert not set(known) & set(new) and abs(names["y"][new].mean() - 0.5) < 0.02


def test_the_majority_and_the_bag_are_what_they_say(names):
    known, new = names["FOLDS"][0]
    assert len(set(names["majority"](known, new))) == 1
    probs = names["bag"](known, new)
    assert probs.shape == (len(new),) and 0 < probs.min() < 0.5 < probs.max() < 1


def test_few_labels_are_half_and_half_and_known(names):
    known, _ = names["FOLDS"][1]
    chosen = measured.few_labels(names, known, 8, seed=3)
    assert len(set(chosen)) == 8 and set(chosen) <= set(known) and names["y"][chosen].sum() == 4


# ---------------------------------------------------------------- lo guardado
def test_what_was_measured_is_of_these_reviews_and_of_this_encoder():
    assert SYSTEMS["encoder"] == sha256(checkpoint("encoder", "mini") + "/model.safetensors"), (
        "el codificador ha cambiado: python -m tools.training.reviews sistemas"
    )
    assert {name: len(runs) for name, runs in SYSTEMS["scores"].items()} == measured.SEEDS
    assert all(
        len(run) == 612 and 0 <= min(run) <= max(run) <= 1 for runs in SYSTEMS["scores"].values() for run in runs
    )
    assert SYSTEMS["curve"]["sizes"] == list(measured.SIZES)
    for name in measured.CURVE:
        found = SYSTEMS["curve"]["accuracy"][name]
        assert [len(each) for each in found] == [5] * len(measured.SIZES)


def test_the_stored_bag_is_the_bag_of_now(names):
    np.testing.assert_allclose(SYSTEMS["scores"]["bolsa de palabras"][0], names["crossed"](names["bag"]), atol=2e-3)
    for place, size in enumerate(measured.SIZES):
        assert measured.point(names, "bolsa de palabras", size, 0) == pytest.approx(
            SYSTEMS["curve"]["accuracy"]["bolsa de palabras"][place][0], abs=0.02
        )


def test_what_the_llm_scored_is_whole_and_its_examples_are_not_in_the_exam(names):
    assert (LLM["template"], tuple(LLM["words"])) == (measured.TEMPLATE, measured.WORDS)
    assert (len(LLM["zero"]["scores"]), len(LLM["few"]["scores"])) == (612, 120)
    assert all(value <= 0 for pair in LLM["zero"]["scores"] + LLM["few"]["scores"] for value in pair)
    assert LLM["few"]["examples"] == measured.examples(names) and set(LLM["few"]["examples"]) <= set(names["train"])


def test_the_reviews_are_in_the_order_of_the_notebook(names):
    parts = load_reviews()
    assert names["texts"].tolist() == [text for part in parts.values() for text in part["text"]]


def test_who_boasts_is_right_seven_or_eight_times_in_ten(names):
    """La quinta parte de las reseñas de la que más seguros están el ajustado y el LLM."""
    margins = np.diff(LLM["zero"]["scores"])[:, 0]
    llm = np.empty(612)
    for known, new in names["FOLDS"]:
        llm[new] = 1 / (1 + np.exp(np.median(margins[known]) - margins[new]))
    for probs in (np.array(SYSTEMS["scores"]["ajustado"][0]), llm):
        sure = np.maximum(probs, 1 - probs)
        top = np.argsort(sure, kind="stable")[-122:]
        assert sure[top].mean() > 0.9 and 0.65 < ((probs > 0.5) == names["y"])[top].mean() < 0.85


@pytest.mark.slow
def test_the_frozen_encoder_is_measured_again():
    names = measured.notebook_names()
    np.testing.assert_allclose(SYSTEMS["scores"]["congelado"][0], names["crossed"](names["frozen"]), atol=0.02)
    for place, size in enumerate(measured.SIZES):
        again = measured.point(names, "congelado", size, 0)
        assert again == pytest.approx(SYSTEMS["curve"]["accuracy"]["congelado"][place][0], abs=0.03)


@pytest.mark.slow
def test_a_fold_of_the_tuned_encoder_is_measured_again():
    """Entrenar cambia algo de una máquina a otra, y se deja un margen."""
    names = measured.notebook_names()
    known, new = names["FOLDS"][0]
    stored = np.array(SYSTEMS["scores"]["ajustado"][0])[new]
    again = names["fine_tune"](known, new, 0)
    hits, before = ((probs > 0.5) == names["y"][new] for probs in (again, stored))
    assert hits.mean() == pytest.approx(before.mean(), abs=0.09)
