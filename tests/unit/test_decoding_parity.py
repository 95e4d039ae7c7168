"""La especificación: mismos ids que model.generate, token por token."""

import inspect
from functools import partial

import pytest
import torch
from conftest import tiny_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from measuring import peak_of_tensors
from transformers import GenerationMixin

from course_utils import decoding as d

# Desde la 5.2x, la penalización de Hugging Face no cuenta el relleno; antes, el id de relleno contaba como visto.
HF_IGNORES_PADDING = "padding_lengths" in inspect.getsource(GenerationMixin._get_logits_processor)
SETTINGS = partial(
    settings, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
VOCAB = 23


@st.composite
def prompts(draw):
    """Modelo, ids y máscara: lotes de 1 o de 3 con relleno a la izquierda (con un id que también puede ser normal)."""
    model = tiny_model(draw(st.integers(0, 5)))
    rows = draw(st.sampled_from([1, 3]))
    lengths = [draw(st.integers(1, 8)) for _ in range(rows)]
    pad = draw(st.integers(0, VOCAB - 1))
    width = max(lengths)
    ids, mask = torch.full((rows, width), pad), torch.zeros(rows, width, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, width - length :] = torch.tensor(
            draw(st.lists(st.integers(0, VOCAB - 1), min_size=length, max_size=length))
        )
        mask[row, width - length :] = 1
    return model, ids, mask


def optional(strategy):
    return st.one_of(st.none(), strategy)


processors = {
    "repetition_penalty": (d.repetition_penalty, st.sampled_from([0.7, 1.3, 2.0])),
    "no_repeat_ngram_size": (d.no_repeat_ngram, st.integers(1, 4)),
}
warpers = {
    "temperature": (d.temperature, st.floats(0.2, 3)),
    "top_k": (d.top_k, st.integers(1, 30)),
    "top_p": (d.top_p, st.floats(0.05, 1)),
    "min_p": (d.min_p, st.floats(0.01, 1)),
}


@st.composite
def combinations(draw, names):
    """Un subconjunto de transformaciones: (las nuestras, en el orden de Hugging Face; los argumentos de generate)."""
    known = processors | warpers
    chosen = {name: draw(known[name][1]) for name in names if draw(st.booleans())}
    return [known[name][0](value) for name, value in chosen.items()], chosen


def hf_kwargs(ids, mask, new, eos, pad, **kwargs):
    """Argumentos de generate sin sus valores por defecto: top_k=50 está activo al muestrear."""
    off = {"top_k": 0, "temperature": 1.0, "top_p": 1.0}
    return (
        {
            "input_ids": ids,
            "attention_mask": mask,
            "max_new_tokens": new,
            "eos_token_id": eos,
            "pad_token_id": pad if pad is not None else eos,
        }
        | (off if kwargs.get("do_sample") else {})
        | kwargs
    )


def comparable(hf, mask):
    return HF_IGNORES_PADDING or bool(mask.all()) or "repetition_penalty" not in hf


@SETTINGS(max_examples=150)
@given(
    prompts(), combinations(list(processors)), st.integers(1, 12), optional(st.integers(0, VOCAB - 1)), st.booleans()
)
def test_greedy_equals_hugging_face(prompt, transforms, new, eos, use_cache):
    model, ids, mask = prompt
    ours, hf = transforms
    if not comparable(hf, mask):
        return
    expected = model.generate(**hf_kwargs(ids, mask, new, eos, None, do_sample=False, use_cache=use_cache, **hf))
    result = d.generate(
        model, ids, attention_mask=mask, transforms=ours, max_new_tokens=new, eos_token_id=eos, use_cache=use_cache
    )
    assert result.sequences.tolist() == expected.tolist()


@SETTINGS(max_examples=200)
@given(
    prompts(),
    combinations([*processors, *warpers]),
    st.integers(1, 12),
    optional(st.integers(0, VOCAB - 1)),
    optional(st.integers(0, VOCAB - 1)),
    st.integers(0, 2**31),
)
def test_sampling_equals_hugging_face_with_the_same_seed(prompt, transforms, new, eos, pad, seed):
    model, ids, mask = prompt
    ours, hf = transforms
    if not comparable(hf, mask):
        return
    torch.manual_seed(seed)
    expected = model.generate(**hf_kwargs(ids, mask, new, eos, pad, do_sample=True, **hf))
    torch.manual_seed(seed)
    result = d.generate(
        model,
        ids,
        attention_mask=mask,
        transforms=ours,
        select=d.sample,
        max_new_tokens=new,
        eos_token_id=eos,
        pad_token_id=pad,
    )
    assert result.sequences.tolist() == expected.tolist()


@pytest.mark.parametrize("name", [*processors, *warpers])
@SETTINGS(max_examples=15)
@given(data=st.data(), prompt=prompts(), seed=st.integers(0, 2**31))
def test_each_transform_alone(name, data, prompt, seed):
    model, ids, mask = prompt
    factory, values = (processors | warpers)[name]
    value = data.draw(values)
    if not comparable({name: value}, mask):
        return
    torch.manual_seed(seed)
    expected = model.generate(**hf_kwargs(ids, mask, 10, None, 0, do_sample=True, **{name: value}))
    torch.manual_seed(seed)
    result = d.generate(
        model, ids, attention_mask=mask, transforms=[factory(value)], select=d.sample, max_new_tokens=10
    )
    assert result.sequences.tolist() == expected.tolist()


@SETTINGS(max_examples=200)
@given(
    prompts(),
    st.integers(1, 6),
    st.floats(0, 2),
    combinations(list(processors)),
    st.integers(1, 12),
    st.sampled_from([None, 0, 5, 17, [3, 11]]),
    optional(st.integers(0, VOCAB - 1)),
    st.data(),
)
def test_beam_search_equals_hugging_face(prompt, beams, penalty, transforms, new, eos, pad, data):
    model, ids, mask = prompt
    ours, hf = transforms
    if not comparable(hf, mask):
        return
    returned = data.draw(st.integers(1, beams))
    default_pad = pad if pad is not None else eos[0] if isinstance(eos, list) else eos
    expected = model.generate(
        **hf_kwargs(ids, mask, new, eos, default_pad, do_sample=False, num_beams=beams, **hf),
        length_penalty=penalty,
        num_return_sequences=returned,
        return_dict_in_generate=True,
        output_scores=True,
    )
    result = d.beam_search(
        model,
        ids,
        num_beams=beams,
        max_new_tokens=new,
        attention_mask=mask,
        eos_token_id=eos,
        pad_token_id=pad,
        length_penalty=penalty,
        transforms=ours,
        num_return_sequences=returned,
    )
    assert result.sequences.tolist() == expected.sequences.tolist()
    if beams > 1 and not hf:
        torch.testing.assert_close(result.scores, expected.sequences_scores)


@SETTINGS(max_examples=120)
@given(
    prompts(),
    st.integers(2, 3),
    st.floats(0.5, 2),
    st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=8, unique=True),
    st.integers(12, 30),
)
def test_beam_search_stops_when_hugging_face_stops(prompt, beams, penalty, eos, new):
    """Con muchos EOS y textos largos, cuándo se deja de buscar cambia el resultado."""
    model, ids, mask = prompt
    kwargs = {"num_beams": beams, "length_penalty": penalty, "eos_token_id": eos, "max_new_tokens": new}
    expected = model.generate(ids, attention_mask=mask, pad_token_id=eos[0], do_sample=False, **kwargs)
    assert d.beam_search(model, ids, attention_mask=mask, **kwargs).sequences.tolist() == expected.tolist()


@SETTINGS(max_examples=120)
@given(st.integers(0, 5), st.integers(2, 5), st.integers(1, 2), st.floats(-1, 2), st.integers(4, 10), st.data())
def test_beam_search_when_bans_exhaust_the_vocabulary(seed, beams, n, penalty, new, data):
    """Con siete tokens y n-gramas prohibidos, a veces no queda con qué seguir."""
    model = tiny_model(seed, vocab=7)
    ids = torch.tensor([data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))])
    eos, returned = data.draw(st.sampled_from([None, 2, [1, 4]])), data.draw(st.integers(1, beams))
    kwargs = {"num_beams": beams, "length_penalty": penalty, "max_new_tokens": new, "num_return_sequences": returned}
    pad = {} if eos is None else {"pad_token_id": 3}
    expected = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        eos_token_id=eos,
        no_repeat_ngram_size=n,
        do_sample=False,
        **pad,
        **kwargs,
    )
    mask = torch.ones_like(ids)
    result = d.beam_search(
        model, ids, attention_mask=mask, eos_token_id=eos, transforms=[d.no_repeat_ngram(n)], **pad, **kwargs
    )
    assert result.sequences.tolist() == expected.tolist()


def test_masks_with_holes_follow_hugging_face(model):
    ids, mask = torch.tensor([[7, 7, 4, 9, 2]]), torch.tensor([[0, 1, 0, 1, 1]])
    kwargs = {"attention_mask": mask, "max_new_tokens": 8}
    expected = model.generate(ids, **kwargs, eos_token_id=None, pad_token_id=0, do_sample=False, repetition_penalty=1.7)
    result = d.generate(model, ids, **kwargs, transforms=[d.repetition_penalty(1.7)])
    assert not HF_IGNORES_PADDING or result.sequences.tolist() == expected.tolist()


def test_padding_is_inferred_from_pad_token_id_as_in_hugging_face(model):
    ids = torch.tensor([[7, 7, 4, 9], [3, 5, 6, 2]])
    expected = model.generate(ids, pad_token_id=7, eos_token_id=1, max_new_tokens=8, do_sample=False)
    result = d.generate(model, ids, pad_token_id=7, eos_token_id=1, max_new_tokens=8)
    assert result.sequences.tolist() == expected.tolist()


@pytest.mark.parametrize("eos", [None, "primero"])
def test_mini_model_equals_hugging_face(mini, eos):
    model, tokenizer = mini
    batch = tokenizer(["Había una vez", "El caballero subió a la torre y"], return_tensors="pt", padding=True)
    eos = None if eos is None else tokenizer.encode(".")[0]
    kwargs = dict(max_new_tokens=60, pad_token_id=tokenizer.pad_token_id, eos_token_id=eos)
    for seed in range(3):
        torch.manual_seed(seed)
        expected = model.generate(**batch, **kwargs, do_sample=True, temperature=0.8, top_k=40, top_p=0.95)
        torch.manual_seed(seed)
        transforms = [d.temperature(0.8), d.top_k(40), d.top_p(0.95)]
        result = d.generate(model, **batch, **kwargs, transforms=transforms, select=d.sample)
        assert result.sequences.tolist() == expected.tolist()
    expected = model.generate(**batch, **kwargs, do_sample=False, num_beams=4, no_repeat_ngram_size=3)
    result = d.beam_search(model, **batch, **kwargs, num_beams=4, transforms=[d.no_repeat_ngram(3)])
    assert result.sequences.tolist() == expected.tolist()


def test_no_more_memory_than_hugging_face(mini):
    model, _ = mini
    ids = torch.arange(5, 21)[None]
    ours = peak_of_tensors(lambda: d.generate(model, ids, max_new_tokens=40))
    theirs = peak_of_tensors(
        lambda: model.generate(ids, max_new_tokens=40, do_sample=False, eos_token_id=None, pad_token_id=1)
    )
    assert 0 < ours <= theirs
