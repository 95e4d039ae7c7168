"""Lo que la sesión A2 escribe a mano, frente a PyTorch, y su fábrica de fechas, frente a quien sabe leerlas."""

import datetime
import json

import numpy as np
import pytest
import torch
from answers import published
from cuadernos import code
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.jokes import DATA
from tools.training import dates

SIZES = st.integers(1, 6)


@pytest.fixture(scope="module")
def names():
    """Lo que definen las celdas del cuaderno."""
    found = {"torch": torch, "np": np, "random": __import__("random"), "__name__": "a2"}
    for cell in code("A2", "fabrica", "traductor", "atencion-bahdanau", "atencion-cruzada"):
        exec(cell, found)
    return found


# ---------------------------------------------------------------- las tres atenciones
@settings(max_examples=60, deadline=None)
@given(size=SIZES, length=SIZES, out=SIZES, seed=SIZES, scale=st.sampled_from([1.0, 50.0]), data=st.data())
def test_the_one_of_products_is_the_one_of_torch(size, length, out, seed, scale, data):
    rng = np.random.default_rng(seed)
    query, keys, values = scale * rng.normal(size=size), rng.normal(size=(length, size)), rng.normal(size=(length, out))
    real = np.array(data.draw(st.lists(st.booleans(), min_size=length, max_size=length).filter(any)))
    context, weights = published("A2")["A2.1"](query, keys, values, real)
    q, k, v = (torch.tensor(part)[None] for part in (query[None], keys, values))
    theirs = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=torch.tensor(real)[None, None], scale=1.0
    )
    np.testing.assert_allclose(context, theirs[0, 0], atol=1e-9)
    assert weights.sum() == pytest.approx(1) and (weights[~real] == 0).all()


@settings(max_examples=40, deadline=None)
@given(hidden=SIZES, length=SIZES, seed=SIZES)
def test_the_additive_one_is_the_module(names, hidden, length, seed):
    torch.manual_seed(seed)
    module, states, s = (
        names["Bahdanau"](hidden).double(),
        torch.randn(1, length, hidden).double(),
        torch.randn(1, hidden).double(),
    )
    with torch.no_grad():
        theirs = module(s, states, torch.ones(1, length).bool())
        given_ = (part.numpy() for part in (s[0], states[0], module.W.weight, module.U.weight, module.v.weight[0]))
        ours = published("A2")["A2.2"](*given_)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other[0], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    heads=st.integers(1, 4), wide=st.integers(1, 4), batch=SIZES, letters=SIZES, words=SIZES, seed=SIZES, data=st.data()
)
def test_the_crossed_one_is_multihead_attention(names, heads, wide, batch, letters, words, seed, data):
    torch.manual_seed(seed)
    size = heads * wide
    mine, theirs = names["CrossAttention"](size, heads), torch.nn.MultiheadAttention(size, heads, batch_first=True)
    counts = torch.tensor(data.draw(st.lists(st.integers(1, words), min_size=batch, max_size=batch)))
    real = torch.arange(words) < counts[:, None]
    x, memory = torch.randn(batch, letters, size), torch.randn(batch, words, size)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([mine.q.weight, mine.k.weight, mine.v.weight]))
        theirs.in_proj_bias.copy_(torch.cat([mine.q.bias, mine.k.bias, mine.v.bias]))
        theirs.out_proj.load_state_dict(mine.out.state_dict())
        for ours, other in zip(mine(x, memory, real), theirs(x, memory, memory, key_padding_mask=~real), strict=True):
            torch.testing.assert_close(ours, other, atol=2e-6, rtol=0)


# ---------------------------------------------------------------- la fábrica de fechas
VALUES = {"primero": 1, "cien": 100, "ciento": 100}


def _value(words, names):
    """El número que dicen unas palabras, leyéndolas al revés de como se hicieron."""
    if all(word.isdigit() for word in words):
        return int("".join(words))
    known = dict(VALUES) | {word: k for k, word in enumerate(names["SMALL"])}
    known |= {word: 10 * k for k, word in enumerate(names["TENS"], 3)}
    known |= {word: 100 * k for k, word in enumerate(names["HUNDREDS"], 1)}
    total = 0
    for word in words:
        total = max(total, 1) * 1000 if word == "mil" else total + (0 if word == "y" else known[word])
    return total


def test_numbers_are_read_back(names):
    assert [_value(names["spelled"](n), names) for n in range(1, 2100)] == list(range(1, 2100))
    assert " ".join(names["spelled"](1605)) == "mil seiscientos cinco" and names["spelled"](2000) == ["dos", "mil"]


def test_every_date_exists_says_its_month_and_its_day(names):
    for words, written in names["exam"]:
        date = datetime.date.fromisoformat(written)
        month = names["MONTHS"][date.month - 1]
        assert [word for word in words if word in names["MONTHS"]] == [month]
        place = words.index(month)
        numbers = {*names["SMALL"], *names["TENS"], "y", "primero"}
        before, after = (
            [word for word in near if word.isdigit() or word in numbers]
            for near in (words[max(0, place - 8) : place], words[place + 1 : place + 5])
        )
        tails = [before[-k:] for k in range(1, 4)] + [after[:k] for k in range(1, 4)]
        tails = [tail for tail in tails if len({word.isdigit() for word in tail}) == 1 and tail != ["y"]]
        assert date.day in [_value(tail, names) for tail in tails], words


def test_the_exam_is_not_studied(names):
    assert not {written for _, written in names["exam"]} & {written for _, written in names["course"]}


# ---------------------------------------------------------------- lo medido con tres semillas
def test_the_stored_figures_are_whole():
    stored = json.loads((DATA / "fechas.json").read_text(encoding="utf-8"))
    for name, runs in stored["runs"].items():
        assert [run["seed"] for run in runs] == [0, 1, 2], name
        assert all(len(run["by_length"]) == len(stored["lengths"]) for run in runs)
        assert all(min(run["by_length"]) <= run["right"] <= max(run["by_length"]) for run in runs)


@pytest.mark.parametrize("order", dates.ORDERS)
def test_each_field_is_looked_for_where_that_order_writes_it(order):
    """Con una red que lo copia todo menos los treses, que aquí solo están en el día."""

    def as_batch(made):
        truth = torch.tensor([[ord(letter) for letter in written] for _, written in made])
        return torch.where(truth == ord("3"), 0, truth), None, truth

    names = {"COURSE": "la de siempre", "as_batch": as_batch, "Translator": lambda size: None}
    names |= {"course": [], "exam": [(["trece", "de", "abril"], "1605-04-13")] * 2}
    exec("def study(*_, **__): return lambda read, count: (torch.nn.functional.one_hot(read, 128), None)", names)
    names["torch"] = torch
    names["course"] = names["exam"]
    assert dates.measure_order(names, order, 5) == {"seed": 5, "año": 1.0, "mes": 1.0, "día": 0.0}
    assert names["COURSE"] == "la de siempre"
