"""Con cualquier decodificador, los mismos ids que ``model.generate``; lo que no se puede, se dice antes de calcular."""

import copy
import functools
import inspect
import itertools
import zlib

import pytest
import torch
from architectures import ARCHITECTURES, VOCAB, tiny
from conftest import tiny_model
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    GenerationConfig,
    GenerationMixin,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    GPT2Model,
    Phi3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from course_utils import decoding as d

# Desde la 5.2x, la penalización de Hugging Face no cuenta el relleno; antes, el id de relleno contaba como visto.
HF_IGNORES_PADDING = "padding_lengths" in inspect.getsource(GenerationMixin._get_logits_processor)
NEUTRAL = {
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0,
}
# Hasta la 5.2x, al cambiar de frecuencias Hugging Face olvidaba la caché de Phi-3 y seguía solo con el último token.
HF_REREADS_PHI = "next_sequence_length" in inspect.getsource(Phi3ForCausalLM.prepare_inputs_for_generation)
SAMPLING = {"do_sample": True, "top_k": 0}  # Hugging Face filtra por defecto con top_k=50
WARPERS = {"temperature": 0.8, "top_k": 12, "top_p": 0.9, "min_p": 0.02}
BANS = {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2}
TRANSFORMS = {
    "repetition_penalty": d.repetition_penalty,
    "no_repeat_ngram_size": d.no_repeat_ngram,
    "temperature": d.temperature,
    "top_k": d.top_k,
    "top_p": d.top_p,
    "min_p": d.min_p,
}
# caso: (filas, con relleno, dtype, argumentos de model.generate)
BF16 = torch.bfloat16
CASES = {
    "voraz": (1, False, torch.float32, {}),
    "voraz sin caché": (1, False, torch.float32, {"use_cache": False}),
    "voraz, lote": (3, True, torch.float32, {"eos_token_id": [3, 11], "pad_token_id": 5}),
    "voraz, lote sin caché": (3, True, torch.float32, {"use_cache": False, "eos_token_id": 7}),
    "voraz, transformado": (2, True, torch.float32, BANS),
    "muestreo": (1, False, torch.float32, SAMPLING),
    "muestreo, lote": (3, True, torch.float32, SAMPLING | {"eos_token_id": [2, 9], "pad_token_id": 0}),
    "muestreo, transformado": (2, True, torch.float32, SAMPLING | WARPERS | BANS | {"eos_token_id": 4}),
    "muestreo sin caché": (2, True, torch.float32, SAMPLING | WARPERS | {"use_cache": False}),
    "haz": (1, False, torch.float32, {"num_beams": 3}),
    "haz, lote": (
        2,
        True,
        torch.float32,
        {"num_beams": 4, "eos_token_id": [3, 8], "length_penalty": 0.5, "num_return_sequences": 2},
    ),
    "haz, transformado": (2, True, torch.float32, BANS | {"num_beams": 3, "eos_token_id": 6, "pad_token_id": 1}),
    "bfloat16": (1, False, BF16, {}),
    "bfloat16 sin caché": (2, True, BF16, {"use_cache": False}),
    "bfloat16, muestreo": (3, True, BF16, SAMPLING | {"eos_token_id": 12}),
    "bfloat16, haz": (2, True, BF16, {"num_beams": 3, "eos_token_id": 10}),
}
HF_CANNOT_REORDER = ("RWKV", "GPT, sin caché")  # sus haces, en Hugging Face, solo sin caché


def prompt(rows: int, padded: bool, seed: int):
    """Ids y máscara: filas de distinto largo, con relleno a la izquierda (de un id que también es normal)."""
    generator = torch.Generator().manual_seed(seed)
    width = int(torch.randint(2, 8, (1,), generator=generator))
    ids = torch.randint(0, VOCAB, (rows, width), generator=generator)
    mask = torch.ones_like(ids)
    if padded:
        lengths = torch.randint(1, width + 1, (rows,), generator=generator)
        lengths[0] = 1
        mask = (torch.arange(width) >= width - lengths[:, None]).long()
        ids = torch.where(mask == 1, ids, 2)
    return ids, mask


def both(model, ids, mask, seed, **hf):
    """Los ids de Hugging Face y los nuestros, con los mismos argumentos y la misma semilla."""
    torch.manual_seed(seed)
    off = {"eos_token_id": None, "pad_token_id": None, "do_sample": False, "max_new_tokens": 10}
    expected = model.generate(ids, attention_mask=mask, **off | hf)
    ours = {k: hf[k] for k in ("eos_token_id", "pad_token_id") if k in hf}
    ours |= {"attention_mask": mask, "max_new_tokens": 10}
    ours["transforms"] = [make(hf[k]) for k, make in TRANSFORMS.items() if hf.get(k, NEUTRAL[k]) != NEUTRAL[k]]
    torch.manual_seed(seed)
    if hf.get("num_beams", 1) > 1:
        ours |= {k: hf[k] for k in ("num_beams", "length_penalty", "num_return_sequences") if k in hf}
        return expected.tolist(), d.beam_search(model, ids, **ours).sequences.tolist()
    select = d.sample if hf.get("do_sample") else d.greedy
    result = d.generate(model, ids, select=select, use_cache=hf.get("use_cache", True), **ours)
    return expected.tolist(), result.sequences.tolist()


# ---------------------------------------------------------------- la igualdad, arquitectura por arquitectura
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equals_hugging_face(name, case):
    rows, padded, dtype, hf = CASES[case]
    if padded and not HF_IGNORES_PADDING:
        hf = {k: v for k, v in hf.items() if k != "repetition_penalty"}
    if "num_beams" in hf and name in HF_CANNOT_REORDER:
        hf = hf | {"use_cache": False}
    if name.startswith("Phi-3") and not HF_REREADS_PHI and hf.get("use_cache", True):
        pytest.skip("esta versión de transformers se equivoca con Phi-3")
    for seed in (0, 1):
        ids, mask = prompt(rows, padded and name not in ("RWKV", "LSTM"), zlib.crc32(f"{name}{case}{seed}".encode()))
        expected, ours = both(tiny(name, seed, dtype), ids, mask, seed, **hf)
        assert ours == expected


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_these_models_would_notice(name):
    """Que la igualdad no sea fácil: el texto depende del orden del *prompt*, y no es siempre el mismo token."""
    prompts = [torch.tensor([ids]) for ids in itertools.permutations((3, 8, 17))]
    texts = [tuple(d.generate(tiny(name), p, max_new_tokens=12).new_ids[0].tolist()) for p in prompts]
    assert len(set(texts)) > 1 and max(len(set(text)) for text in texts) > 2


# ---------------------------------------------------------------- sin caché, o con otra
class WithoutCache(GPT2LMHeadModel):
    """Un modelo al que se le pide caché y no la devuelve."""

    def forward(self, *args, **kwargs):
        out = super().forward(*args, **kwargs)
        out.past_key_values = None
        return out


def test_a_model_that_returns_no_cache_writes_the_same(model):
    other = copy.deepcopy(model)
    other.__class__ = WithoutCache
    ids, mask = torch.tensor([[2, 2, 7], [4, 9, 1]]), torch.tensor([[0, 0, 1], [1, 1, 1]])
    for write in (d.generate, lambda *a, **k: d.beam_search(*a, num_beams=3, **k)):
        expected, ours = (write(m, ids, attention_mask=mask, max_new_tokens=9) for m in (model, other))
        assert torch.equal(ours.sequences, expected.sequences)
        torch.testing.assert_close(ours.logprobs, expected.logprobs, atol=1e-5, rtol=1e-5)


class Wrapper(torch.nn.Module):
    """Un modelo dentro de otro módulo, que no dice qué argumentos admite."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **kwargs):
        return self.model(**kwargs)


def test_a_wrapped_model_writes_the_same(model):
    ids, mask = torch.tensor([[2, 2, 7], [4, 9, 1]]), torch.tensor([[0, 0, 1], [1, 1, 1]])
    expected = d.generate(model, ids, attention_mask=mask, max_new_tokens=9)
    for other in (Wrapper(model), lambda **kwargs: model(**kwargs)):
        assert torch.equal(d.generate(other, ids, attention_mask=mask, max_new_tokens=9).sequences, expected.sequences)


@pytest.mark.slow  # cargar el compilador tarda
def test_a_compiled_model_writes_the_same(model):
    ids, mask = torch.tensor([[2, 2, 7], [4, 9, 1]]), torch.tensor([[0, 0, 1], [1, 1, 1]])
    expected = d.generate(model, ids, attention_mask=mask, max_new_tokens=9)
    compiled = torch.compile(model, backend="eager", dynamic=True)
    assert torch.equal(d.generate(compiled, ids, attention_mask=mask, max_new_tokens=9).sequences, expected.sequences)


def test_a_model_with_lora_equals_hugging_face_and_uses_its_cache(model):
    from peft import LoraConfig, get_peft_model

    ids, mask = torch.tensor([[2, 2, 7], [4, 9, 1]]), torch.tensor([[0, 0, 1], [1, 1, 1]])
    lora = get_peft_model(copy.deepcopy(model), LoraConfig(r=2, task_type="CAUSAL_LM", init_lora_weights=False)).eval()
    expected = lora.generate(input_ids=ids, attention_mask=mask, max_new_tokens=9, do_sample=False, pad_token_id=0)
    assert not torch.equal(expected, d.generate(model, ids, attention_mask=mask, max_new_tokens=9).sequences)
    seen = []
    lora.register_forward_pre_hook(lambda m, a, k: seen.append(k["input_ids"].size(1)), with_kwargs=True)
    assert torch.equal(d.generate(lora, ids, attention_mask=mask, max_new_tokens=9).sequences, expected)
    assert seen == [3] + [1] * 8


@pytest.mark.parametrize("name", ["Mamba", "RWKV", "LSTM", "Jamba"])
def test_a_recurrent_state_reads_each_token_once(name):
    model, seen = tiny(name), []
    hook = model.register_forward_pre_hook(lambda m, a, k: seen.append(k["input_ids"].size(1)), with_kwargs=True)
    try:
        d.generate(model, torch.tensor([[4, 9, 1]]), max_new_tokens=4)
    finally:
        hook.remove()
    assert seen == [3, 1, 1, 1]


# ---------------------------------------------------------------- lo que dice la configuración de generación
OWN = {
    "do_sample": True,
    "temperature": 0.3,
    "top_k": 2,
    "repetition_penalty": 1.9,
    "no_repeat_ngram_size": 1,
    "eos_token_id": [1, 2, 3, 4],
    "pad_token_id": 6,
    "num_beams": 2,
    "min_new_tokens": 4,
}


@pytest.mark.parametrize("asked", [{}, SAMPLING | {"top_p": 0.8}, {"eos_token_id": 5}, {"num_beams": 3}])
def test_what_is_not_asked_for_is_not_applied(asked, monkeypatch):
    model = tiny("Llama", 3)
    ids = torch.tensor([[7, 7, 4, 9, 2]])
    before = both(model, ids, torch.ones_like(ids), 0, **asked)[1]
    monkeypatch.setattr(model, "generation_config", GenerationConfig(**OWN))
    neutral = NEUTRAL | {"num_beams": 1, "min_new_tokens": 0}
    expected, ours = both(model, ids, torch.ones_like(ids), 0, **neutral | asked)
    assert ours == expected == before


# ---------------------------------------------------------------- lo que se rechaza antes de calcular
def refuse(model, monkeypatch, message, **kwargs):
    """Las tres maneras de escribir dicen lo mismo, y el modelo no llega a llamarse."""
    forward = functools.wraps(type(model).forward)(lambda *a, **k: pytest.fail("no debía calcular"))
    monkeypatch.setattr(type(model), "forward", forward)
    kwargs = {"input_ids": torch.tensor([[3, 4, 1]]), "max_new_tokens": 2} | kwargs
    for write in (d.stream, d.generate, lambda *a, **k: d.beam_search(*a, num_beams=2, **k)):
        with pytest.raises(ValueError, match=message):
            write(model, **kwargs)


SMALL = {"vocab_size": VOCAB, "d_model": 8, "pad_token_id": 0, "decoder_start_token_id": 0}
T5 = T5Config(**SMALL, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
BART = BartConfig(
    **SMALL,
    encoder_layers=1,
    decoder_layers=1,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    encoder_ffn_dim=8,
    decoder_ffn_dim=8,
)
BERT = BertConfig(vocab_size=VOCAB, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: T5ForConditionalGeneration(T5), "T5ForConditionalGeneration es un codificador-decodificador"),
        (lambda: BartForConditionalGeneration(BART), "BartForConditionalGeneration es un codificador-decodificador"),
        (lambda: BertForMaskedLM(BERT), "BertForMaskedLM es un codificador: mira también a la derecha"),
        (lambda: BertLMHeadModel(BERT), "BertLMHeadModel es un codificador"),
        (lambda: GPT2Model(tiny_model().config), "GPT2Model no da logits del vocabulario"),
        (lambda: GPT2ForSequenceClassification(tiny_model().config), "no da logits del vocabulario"),
    ],
)
def test_models_that_do_not_continue_a_text_are_refused(make, message, monkeypatch):
    refuse(make(), monkeypatch, message)


def test_models_that_read_in_another_way_are_refused(monkeypatch):
    from peft import PromptTuningConfig, get_peft_model
    from transformers import XLNetConfig, XLNetLMHeadModel

    xlnet = XLNetLMHeadModel(XLNetConfig(vocab_size=VOCAB, d_model=8, n_layer=1, n_head=2, d_inner=8)).eval()
    refuse(xlnet, monkeypatch, "XLNetLMHeadModel no lee el texto como los demás.*model.generate")
    tuning = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    virtual = get_peft_model(copy.deepcopy(tiny_model()), tuning)
    refuse(virtual, monkeypatch, "PeftModelForCausalLM no lee el texto como los demás")


def test_padding_that_the_model_would_read_as_text_is_refused(monkeypatch):
    padded = {"input_ids": torch.tensor([[2, 2, 1], [3, 4, 1]]), "attention_mask": torch.tensor([[0, 0, 1], [1, 1, 1]])}
    refuse(tiny("RWKV"), monkeypatch, "RwkvForCausalLM no mira attention_mask.*fila por fila", **padded)


def test_tokens_added_without_resizing_are_refused(monkeypatch):
    """El vocabulario es el de la tabla del modelo, no el que diga su configuración."""
    model = copy.deepcopy(tiny_model())
    model.resize_token_embeddings(VOCAB + 2)
    assert d.generate(model, torch.tensor([[VOCAB + 1]]), max_new_tokens=2).new_ids.shape == (1, 2)
    model.config.vocab_size = VOCAB + 9  # se añadieron al tokenizador y a la configuración, y no al modelo
    new = torch.tensor([[3, VOCAB + 2]])
    refuse(model, monkeypatch, r"fuera del vocabulario \(de 0 a 24\).*mayor 25.*resize_token_embeddings", input_ids=new)
    refuse(model, monkeypatch, r"eos_token_id.*\[25\].*resize_token_embeddings", eos_token_id=VOCAB + 2)


# ---------------------------------------------------------------- relleno que no se distingue del texto
PADDED = torch.tensor([[5, 5, 4, 9], [3, 8, 6, 2]])


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ({"pad_token_id": 5, "eos_token_id": 5}, None),
        ({"eos_token_id": [1, 5]}, None),
        ({"pad_token_id": 5, "eos_token_id": [1, 5]}, None),
        ({}, 5),  # lo dice el modelo
        ({"pad_token_id": 5, "eos_token_id": 5, "input_ids": torch.tensor([[5, 5, 4, 9]])}, None),
    ],
)
def test_padding_equal_to_the_eos_needs_a_mask(given, own, monkeypatch):
    model = copy.deepcopy(tiny_model())
    model.generation_config.pad_token_id = own
    given = {"input_ids": PADDED} | given
    ids, mask = given["input_ids"], (given["input_ids"] != 5).long()
    tokens = {"eos_token_id": None} | {k: given[k] for k in ("pad_token_id", "eos_token_id") if k in given}
    right = model.generate(ids, attention_mask=mask, max_new_tokens=8, do_sample=False, **tokens)
    read_as_text = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, **tokens)
    assert not torch.equal(right, read_as_text)  # callarse habría sido escribir otro texto
    assert torch.equal(d.generate(model, attention_mask=mask, max_new_tokens=8, **given).sequences, right)
    refuse(model, monkeypatch, r"No sé si el id 5,.* es relleno o texto \(delante hay \[2.*attention_mask", **given)


def test_padding_on_the_right_equal_to_the_eos_needs_a_mask(monkeypatch):
    model = copy.deepcopy(tiny_model())
    ids = {"input_ids": PADDED.flip(1)}
    refuse(model, monkeypatch, r"No sé si el id 5,.* y detrás \[2, 0\]\)", pad_token_id=5, eos_token_id=5, **ids)
    mask = (ids["input_ids"] != 5).long()
    refuse(
        model, monkeypatch, "El relleno está a la derecha", pad_token_id=5, eos_token_id=5, attention_mask=mask, **ids
    )


def test_a_start_token_that_is_also_the_eos_is_text(model):
    """Como en GPT-2: el mismo id empieza y acaba los textos. Uno por fila no es relleno; si es el EOS, ni varios."""
    for ids in (torch.tensor([[5, 4, 9], [5, 8, 6]]), torch.tensor([[5, 5, 9], [5, 5, 6]])):
        pad = {"pad_token_id": 5} if ids[0, 1] != 5 else {}
        expected = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, eos_token_id=5, pad_token_id=5
        )
        assert torch.equal(d.generate(model, ids, max_new_tokens=8, eos_token_id=5, **pad).sequences, expected)
