"""Medidas y comparación de estrategias: valores a mano, el azar de los demás intacto y errores antes de calcular."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from course_utils import decoding, strategies


def test_distinct_n_by_hand():
    assert strategies.distinct_n([1, 2, 1, 2, 1], 1) == 0.4
    assert strategies.distinct_n([1, 2, 1, 2, 1], 2) == 0.5
    assert strategies.distinct_n([1, 2, 3], 3) == 1
    assert strategies.distinct_n([1], 2) == 0 == strategies.distinct_n([], 1)
    assert strategies.distinct_n([1, 2, 1, 2, 1], np.int64(2)) == 0.5
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


def test_speed_is_tokens_over_seconds(mini, monkeypatch):
    ticks = iter([10.0, 12.0, 20.0, 20.5])  # dos segundos la primera y medio la otra
    monkeypatch.setattr(strategies.time, "perf_counter", lambda: next(ticks))
    plans = {"a": {}, "b": {}}
    table = strategies.compare_strategies(*mini, "El rey", plans, samples=3, max_new_tokens=8)
    assert table["tokens/s"].tolist() == [3 * 8 / 2, 3 * 8 / 0.5]


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


@pytest.mark.parametrize("kind", [lambda i: [i], lambda i: [i, i], torch.tensor, lambda i: torch.tensor([i]), np.int64])
@pytest.mark.parametrize("options", [{"select": decoding.sample}, {"num_beams": 2}])
def test_lists_of_eos_measure_the_same_as_one(mini, kind, options):
    """Con una lista, el relleno que sigue al EOS contaba como texto."""
    model, tokenizer = mini
    eos = tokenizer.encode(",", add_special_tokens=False)[0]
    one, several = (
        strategies.compare_strategies(
            model, tokenizer, "El rey", {"a": options}, samples=6, max_new_tokens=20, eos_token_id=e
        )
        for e in (eos, kind(eos))
    )
    assert several.drop(columns="tokens/s").equals(one.drop(columns="tokens/s"))
    assert several.attrs == one.attrs and all(
        text.count(tokenizer.decode([eos])) <= 1 for text in one.attrs["textos"]["a"]
    )


def test_sampled_rows_that_end_at_different_times(mini):
    """Con muestreo cada fila acaba cuando acaba: se mide hasta su EOS, sea el que sea de la lista."""
    model, tokenizer = mini
    eos = [tokenizer.encode(c, add_special_tokens=False)[0] for c in (",", ".", " de", " que")]
    plan = {"a": {"select": decoding.sample}}
    table = strategies.compare_strategies(
        model, tokenizer, "El rey", plan, samples=6, max_new_tokens=30, eos_token_id=eos, seed=1
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        ids = tokenizer(["El rey"] * 6, return_tensors="pt").input_ids
        out = decoding.generate(model, ids, select=decoding.sample, max_new_tokens=30, eos_token_id=eos)
    lengths = torch.stack([~step.finished for step in out.steps], 1).sum(1).tolist()
    assert len(set(lengths)) > 2
    texts = [tokenizer.decode(row[:n]) for row, n in zip(out.new_ids.tolist(), lengths, strict=True)]
    assert table.attrs["textos"]["a"] == texts
    assert table.loc["a", "log-prob. por token"] == pytest.approx(out.logprobs.sum().item() / sum(lengths))


def test_transforms_may_be_none_or_a_generator(mini):
    model, tokenizer = mini
    plans = {
        "lista": {"transforms": [decoding.no_repeat_ngram(1)]},
        "generador": {"transforms": (decoding.no_repeat_ngram(n) for n in [1])},
        "nada": {},
        "None": {"transforms": None},
    }
    texts = strategies.compare_strategies(model, tokenizer, "El rey", plans, samples=2, max_new_tokens=12).attrs[
        "textos"
    ]
    assert texts["lista"] == texts["generador"] != texts["nada"] == texts["None"]


def test_a_prompt_that_begins_with_the_eos_is_text(mini):
    """Todas las filas son el mismo *prompt*: lo que lleve delante no es relleno."""
    model, tokenizer = mini
    prompt = "\n\nEl rey"
    eos = tokenizer.encode("\n", add_special_tokens=False)[0]
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    assert ids[0, :2].tolist() == [eos, eos]
    expected = decoding.generate(model, ids, max_new_tokens=6).text(tokenizer)[len(prompt) :]
    table = strategies.compare_strategies(
        model, tokenizer, prompt, "voraz", samples=2, max_new_tokens=6, eos_token_id=[eos, 4000]
    )
    assert expected.startswith(table.attrs["textos"]["voraz"][0])


def test_twenty_texts_of_forty_tokens_if_nothing_is_said(mini):
    model, tokenizer = mini
    options = {"select": decoding.sample, "transforms": [decoding.top_k(5)]}
    table = strategies.compare_strategies(model, tokenizer, "El rey", {"a": options})
    ids = tokenizer("El rey", return_tensors="pt").input_ids
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = decoding.generate(model, ids.repeat(20, 1), max_new_tokens=40, **options).new_ids
    assert table.attrs["textos"]["a"] == [tokenizer.decode(row) for row in expected.tolist()]


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


def test_only_decoders_are_compared(mini):
    encoder = BertForMaskedLM(BertConfig(vocab_size=5, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    for model, message in ((encoder, "BertForMaskedLM es un codificador"), (None, "Esperaba un modelo")):
        with pytest.raises(ValueError, match=message):
            strategies.compare_strategies(model, mini[1], "El rey", "voraz")
