"""Lo que la sesión 07 escribe a mano: las etiquetas, frente a hacerlas por turnos; el redondeo, a probarlo todo."""

import numpy as np
import pytest
import torch
from answers import published
from hypothesis import given, settings
from hypothesis import strategies as st

TURNS = st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 30), max_size=5)), max_size=6)


@settings(max_examples=100, deadline=None)
@given(turns=TURNS)
def test_the_labels_are_those_of_each_turn(turns):
    """La conversación se hace turno a turno, y con ella sus etiquetas: sin recorrer los ids."""
    ids, labels = [], []
    for answering, words in turns:
        ids += [41 if answering else 40, *words, 42]
        labels += [-100, *words, 42] if answering else [-100] * (len(words) + 2)
    assert list(published("07")["7.1"](ids, 41, 42)) == labels


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 4), size=st.integers(1, 8), bits=st.integers(2, 8), seed=st.integers(0, 50))
def test_no_step_is_nearer_than_the_chosen_one(rows, size, bits, seed):
    weights = torch.tensor(np.random.default_rng(seed).normal(size=(rows, size)))
    found = published("07")["7.2"](weights, bits)
    top = 2 ** (bits - 1) - 1
    for row, rounded in zip(weights, found, strict=True):
        grid = torch.arange(-top, top + 1) * row.abs().max() / top
        nearest = (row[:, None] - grid).abs().min(1).values
        torch.testing.assert_close((row - rounded).abs(), nearest, atol=1e-9, rtol=0)
        assert rounded.abs().max().item() == pytest.approx(row.abs().max().item())
