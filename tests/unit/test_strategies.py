"""Medidas y comparación de estrategias: valores a mano, el azar de los demás intacto y errores antes de calcular."""

import pytest
import torch

from course_utils import decoding, strategies


def test_distinct_n_by_hand():
    assert strategies.distinct_n([1, 2, 1, 2, 1], 1) == 0.4
    assert strategies.distinct_n([1, 2, 1, 2, 1], 2) == 0.5
    assert strategies.distinct_n([1, 2, 3], 3) == 1
    assert strategies.distinct_n([1], 2) == 0 == strategies.distinct_n([], 1)
    for n in (0, 1.5, True, "2"):
        with pytest.raises(ValueError, match="mayor o igual que 1"):
            strategies.distinct_n([1, 2], n)


def test_self_bleu_goes_from_identical_to_unrelated():
    same = strategies.self_bleu(["el rey mandó abrir la puerta"] * 3)
    other = strategies.self_bleu(["el rey mandó abrir la puerta", "llueve mucho esta tarde en Cali", "no sé nada más"])
    assert same == pytest.approx(100) and other < 15
    for texts in (["uno"], [], "una cadena"):
        with pytest.raises(ValueError, match="al menos dos"):
            strategies.self_bleu(texts)


def test_measures_are_those_of_the_generation(mini):
    model, tokenizer = mini
    options = {"select": decoding.sample, "transforms": [decoding.top_k(5)]}
    plans = {"a": {}, "b": {"num_beams": 2}, "c": options}
    before = torch.get_rng_state()
    table = strategies.compare_strategies(model, tokenizer, "El rey", plans, samples=3, max_new_tokens=8, seed=4)
    again = strategies.compare_strategies(model, tokenizer, "El rey", plans, samples=3, max_new_tokens=8, seed=4)
    assert torch.equal(before, torch.get_rng_state())  # el azar global no se toca
    assert table.drop(columns="tokens/s").equals(again.drop(columns="tokens/s"))
    assert list(table.index) == ["a", "b", "c"] and (table["tokens/s"] > 0).all()

    ids = tokenizer("El rey", return_tensors="pt").input_ids
    greedy = decoding.generate(model, ids, max_new_tokens=8)
    new = greedy.new_ids[0].tolist()
    assert table.loc["a", "log-prob. por token"] == pytest.approx(greedy.logprobs.mean().item(), abs=1e-4)
    assert table.loc["a", "distinct-1"] == strategies.distinct_n(new, 1)
    assert table.loc["a", "repetición"] == pytest.approx(1 - strategies.distinct_n(new, 4))
    assert table.loc["a", "self-BLEU"] == pytest.approx(100)
    assert table.attrs["textos"]["a"] == [tokenizer.decode(new)] * 3

    beam = decoding.beam_search(model, ids, num_beams=2, max_new_tokens=8)
    assert table.loc["b", "log-prob. por token"] == pytest.approx(beam.logprobs.mean().item(), abs=1e-4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        sampled = decoding.generate(model, ids.repeat(3, 1), max_new_tokens=8, **options)
    assert table.attrs["textos"]["c"] == [tokenizer.decode(row) for row in sampled.new_ids.tolist()]
    assert table.loc["c", "self-BLEU"] < 100


def test_texts_end_at_the_eos_and_padding_does_not_count(mini):
    model, tokenizer = mini
    ids = tokenizer("El rey", return_tensors="pt").input_ids
    new = decoding.generate(model, ids, max_new_tokens=8).new_ids[0].tolist()
    eos = new[4]
    length = new.index(eos) + 1
    table = strategies.compare_strategies(
        model, tokenizer, "El rey", {"a": {}}, samples=2, max_new_tokens=8, eos_token_id=eos
    )
    assert table.attrs["textos"]["a"] == [tokenizer.decode(new[:length])] * 2
    assert table.loc["a", "distinct-1"] == strategies.distinct_n(new[:length], 1)


def test_named_strategies_are_valid(mini):
    model, tokenizer = mini
    table = strategies.compare_strategies(model, tokenizer, "El rey", samples=2, max_new_tokens=5)
    assert list(table.index) == list(strategies.STRATEGIES)
    one = strategies.compare_strategies(model, tokenizer, "El rey", "voraz", samples=2, max_new_tokens=5)
    assert list(one.index) == ["voraz"]


@pytest.mark.parametrize(
    ("plans", "message"),
    [
        (["voraz", "hazz"], r"'hazz'.*Las que hay son: voraz, haz"),
        ([], "No conozco"),
        ({}, "No hay estrategias"),
        ({"mía": {"top_k": 5}}, r"'top_k'.*transforms, select"),
        ({"mía": decoding.sample}, "Las opciones que hay"),
        ({"mía": {"transforms": decoding.top_k(5)}}, "lista de transformaciones"),
        ({"mía": {"transforms": [5]}}, "lista de transformaciones"),
        ({"mía": {"select": "sample"}}, "select debe ser una función"),
        ({"mía": {"num_beams": 0}}, "num_beams un entero"),
        ({"mía": {"num_beams": 2, "length_penalty": "1"}}, "length_penalty un número"),
        ({"mía": {"num_beams": 2, "select": decoding.sample}}, "no van juntas"),
        ({"mía": {"length_penalty": 2.0}}, "no van juntas"),
        ({"buena": {}, "mala": {"num_beams": 1.5}}, "mala"),
    ],
)
def test_bad_strategies_fail_before_computing(mini, plans, message):
    class Untouchable:
        device = torch.device("cpu")

        def __call__(self, *args, **kwargs):
            raise AssertionError("no debía llegar a calcular")

    with pytest.raises(ValueError, match=message):
        strategies.compare_strategies(Untouchable(), mini[1], "El rey", plans)


@pytest.mark.parametrize(
    "bad", [{"samples": 1}, {"samples": 2.0}, {"seed": -1}, {"seed": None}, {"prompt": ""}, {"max_new_tokens": 10_000}]
)
def test_bad_arguments_fail_before_computing(mini, bad):
    arguments = {"prompt": "El rey", "samples": 2, "max_new_tokens": 3} | bad
    with pytest.raises(ValueError, match=r"debe|contexto"):
        strategies.compare_strategies(*mini, arguments.pop("prompt"), "voraz", **arguments)
