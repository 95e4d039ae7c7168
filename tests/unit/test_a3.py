"""Lo que la sesión A3 escribe a mano, tokenizador y GPT, frente a ``tokenizers``, PyTorch y Transformers."""

import json
import math
import sys
from collections import Counter
from pathlib import Path
from unicodedata import normalize

import pytest
import regex
import torch
from answers import published, session_a3
from cuadernos import code
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch.nn.functional import gelu, scaled_dot_product_attention
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from course_utils import checks
from course_utils.checks import running
from course_utils.models import checkpoint

SIZES = st.integers(1, 6)
FEW = st.text("ab ", max_size=60) | st.text("tres ñ\n1", max_size=60) | st.text("aé🙂'l!", max_size=30)
ANY = st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=30)  # lo que aún no es letra ni nada, no


@pytest.fixture(scope="module")
def names():
    """Lo que definen las celdas del cuaderno."""
    found = {"torch": torch, "nn": torch.nn, "gelu": gelu, "scaled_dot_product_attention": scaled_dot_product_attention}
    found |= {"json": json, "regex": regex, "Counter": Counter, "Path": Path, "normalize": normalize}
    found |= {"checkpoint": checkpoint, "math": math, "__name__": "a3"}
    cells = "bytes", "entrenar-bpe", "codificar", "pieza-atencion", "pieza-bloque", "pieza-gpt"
    for cell in code("A3", *cells):
        exec(cell, found)
    return found


@pytest.fixture(scope="module")
def official():
    return AutoTokenizer.from_pretrained(checkpoint("decoder"))


def trained(text, count):
    """El tokenizador que ``tokenizers`` aprende de ese texto, con ``count`` uniones si las hay."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + count, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([text], trainer)
    return made, [tuple(pair) for pair in json.loads(made.to_str())["model"]["merges"]]


# ---------------------------------------------------------------- el tokenizador
@settings(max_examples=150, deadline=None)
@given(text=FEW | ANY, count=st.integers(0, 40))
def test_it_learns_what_tokenizers_learns(names, text, count):
    theirs, merges = trained(text, count)
    ours, ids = names["train_bpe"](text, count)
    assert ours == merges and ids == theirs.get_vocab()


@settings(max_examples=150, deadline=None)
@given(text=FEW, other=FEW | ANY, count=st.integers(0, 40))
def test_the_merges_are_applied_as_tokenizers_does(names, text, other, count):
    theirs, merges = trained(text, count)
    ours = [piece for word in names["chunks"](other) for piece in published("A3")["A3.1"](list(word), merges)]
    assert ours == theirs.encode(other).tokens


@settings(max_examples=150, deadline=None)
@given(text=st.text("ab", max_size=60) | st.text("abc ", max_size=60), other=st.text("abc", max_size=25))
def test_rule_by_rule_or_one_at_a_time_is_the_same_for_learned_merges(names, text, other):
    """Por eso se dan por buenas: con uniones aprendidas, ninguna hace posible otra anterior."""
    merges, _ = names["train_bpe"](text, 30)
    expected = published("A3")["A3.1"](list(other), merges)
    assert list(session_a3.apply_rule_by_rule(list(other), merges)) == expected
    assert session_a3.apply_one_at_a_time(list(other), merges) == expected


def test_the_pieces_the_check_expects_are_those_of_tokenizers():
    """Las uniones que usa la comprobación, en un tokenizador hecho con ellas."""
    solution, seen = published("A3")["A3.1"], []

    def spy(pieces, merges):
        found = solution(pieces, merges)
        if all(len(piece) == 1 for piece in pieces):
            letters = dict.fromkeys([*pieces, *(part for pair in merges for part in pair), *map("".join, merges)])
            model = models.BPE(vocab={piece: k for k, piece in enumerate(letters)}, merges=list(merges))
            theirs = Tokenizer(model).encode("".join(pieces)).tokens
            seen.append((found, theirs))
        return found

    checks.check("A3.1", spy, strict=True)
    assert len(seen) > 15 and all(found == theirs for found, theirs in seen)


HOSTILE = [
    *["", " ", "  a  ", "\n\n", "\t\n  \n", "\u200b", "\ufeff", "\x00", "\xa0", "\x85", "e\u0301", "n\u0303andu\u0301"],
    *["\u00e9", "\ufb01", "\u1e9b\u0323", "\u00bd\u00b2", "\u0663\u0664", "\u4f60\u597d", "\u0627\u0644", "1234567"],
    *["\U0001f642", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "___", "¡¿—«»…", "a" * 500, "ja" * 200, " " * 70],
    *["<|endoftext|>", "<|endoftext|", "<pad>", "<mask><mask>", "a <|endoftext|> b", "'s 'll 'VE d'Artagnan"],
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_the_ids_of_hostile_texts_are_those_of_the_course(names, official, text):
    assert names["encode"](text) == official(text).input_ids


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(ANY | st.sampled_from(HOSTILE), max_size=4))
def test_the_ids_of_any_text_are_those_of_the_course(names, official, parts):
    assert names["encode"]("".join(parts)) == official("".join(parts)).input_ids


# ---------------------------------------------------------------- las cabezas
@settings(max_examples=80, deadline=None)
@given(batch=SIZES, length=SIZES, heads=SIZES, wide=SIZES, seed=SIZES, scale=st.sampled_from([1.0, 30.0]))
def test_the_heads_are_those_of_torch(batch, length, heads, wide, seed, scale):
    torch.manual_seed(seed)
    q, k, v = scale * torch.randn(3, batch, length, heads * wide, dtype=torch.float64)
    parts = (part.unflatten(-1, (heads, wide)).transpose(1, 2) for part in (q, k, v))
    theirs = scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).reshape(q.shape)
    torch.testing.assert_close(published("A3")["A3.2"](q, k, v, heads), theirs)


def test_the_forbidden_one_is_seen_however_it_is_reached(assert_hint):
    def through_the_module(q, k, v, heads):
        parts = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
        return torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).flatten(2)

    renamed = scaled_dot_product_attention

    def by_another_name(q, k, v, heads):
        parts = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
        return renamed(*parts, is_causal=True).transpose(1, 2).flatten(2)

    for answer in (through_the_module, by_another_name):
        assert_hint("A3.2", answer, "una llamada a scaled_dot_product_attention", rule=1)


def test_with_a_profiler_on_it_stays_on():
    """Quien mide su código lo sigue midiendo: entonces no se mira qué llama."""

    def profiler(*_):
        return None

    sys.setprofile(profiler)
    try:
        running.Answer(len, checks.FORBIDDEN["A3.2"])([1])
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    running.Answer(len, checks.FORBIDDEN["A3.2"])([1])
    assert sys.getprofile() is None


# ---------------------------------------------------------------- el GPT
@settings(max_examples=25, deadline=None)
@given(
    heads=st.integers(1, 4), wide=st.integers(1, 6), layers=st.integers(1, 3), vocabulary=st.integers(2, 40),
    context=st.integers(1, 12), batch=st.integers(1, 3), seed=SIZES, data=st.data(),
)  # fmt: skip
def test_the_gpt_is_gpt2(names, heads, wide, layers, vocabulary, context, batch, seed, data):
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=context, n_embd=heads * wide, n_layer=layers, n_head=heads,
        initializer_range=0.3, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for part in theirs.parameters():  # que también los sesgos y las normalizaciones cuenten
            part.add_(0.1 * torch.randn(part.shape))
    ours = names["GPT"](vocabulary, context, heads * wide, layers, heads).eval()
    weights = {}
    for name, part in theirs.transformer.state_dict().items():
        weights[name] = part.T if part.dim() == 2 and ".c_" in name else part
    ours.load_state_dict(weights)
    ids = torch.randint(vocabulary, (batch, data.draw(st.integers(1, context))))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)
    assert sum(p.numel() for p in ours.parameters()) == theirs.num_parameters()
