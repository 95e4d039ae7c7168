"""Descuidos de clase que no piden un núcleo: respuestas que no son lo que se pide y un *prompt* de 5000 palabras."""

import os
import sys

import pytest
import torch

from course_utils import decoding, scoring, strategies
from course_utils.attention import capture_attention
from course_utils.checks import EXERCISES, check
from course_utils.models import load_model
from course_utils.widgets import Explorer

LONG = "Había una vez un rey que no sabía callar. " * 556  # 5004 palabras


# --- Respuestas raras -------------------------------------------------------------------------------


class Hostile:
    """Un objeto que no se deja ni mirar."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __call__(self, *args, **kwargs):
        raise KeyError("no")

    __repr__ = __eq__ = __bool__ = __call__
    __hash__ = None


def recursive(*args, **kwargs):
    return recursive(*args, **kwargs)


def looped(*args, **kwargs):
    return None


looped.__wrapped__ = looped
ODD = {
    "número": 3,
    "nan": float("nan"),
    "texto": "hola",
    "lista": [1, "a", None],
    "módulo": os,
    "clase": int,
    "tensor": torch.ones(2, 3),
    "generador": (i for i in "abc"),
    "hostil": Hostile(),
    "devuelve algo hostil": lambda *args, **kwargs: Hostile(),
    "recursiva": recursive,
    "envuelta en sí misma": looped,
    "cierra el intérprete": sys.exit,
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_check_answers_anything_without_raising(answer, capsys):
    for exercise in EXERCISES:
        check(exercise, answer)
        out = capsys.readouterr().out
        assert "❌" in out and "Pista: " in out and "pendiente" not in out


# --- Un prompt de 5000 palabras ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_prompt(mini):
    return mini[1](LONG, return_tensors="pt", verbose=False).input_ids


@pytest.mark.parametrize(
    "write",
    [
        lambda model, ids: decoding.generate(model, ids, max_new_tokens=5),
        lambda model, ids: decoding.stream(model, ids, max_new_tokens=5),
        lambda model, ids: decoding.beam_search(model, ids, num_beams=4, max_new_tokens=5),
        lambda model, ids: scoring.token_logprobs(model, ids),
        lambda model, ids: scoring.sequence_logprob(model, ids),
    ],
    ids=["generate", "stream", "beam_search", "token_logprobs", "sequence_logprob"],
)
def test_a_prompt_of_5000_words_is_refused_with_both_numbers(mini, long_prompt, write):
    context = mini[0].config.max_position_embeddings
    assert long_prompt.size(1) > 5000
    with pytest.raises(ValueError, match=rf"{long_prompt.size(1)} tokens.* {context}\. Ac[oó]rta"):
        write(mini[0], long_prompt)


def test_5000_words_can_be_scored_with_a_window(mini):
    model, tokenizer = mini
    result = scoring.perplexity(model, tokenizer, [LONG], batch_size=2)
    assert result.n_tokens == len(tokenizer(LONG, verbose=False).input_ids)
    assert 1 < result.value < 60


def test_strategies_and_explorer_say_that_5000_words_do_not_fit(mini, long_prompt):
    model, tokenizer = mini
    with pytest.raises(ValueError, match=f"{long_prompt.size(1)} tokens"):
        strategies.compare_strategies(model, tokenizer, LONG, ["voraz"], samples=2)
    explorer = Explorer(model, tokenizer)
    explorer.prompt.value = LONG
    assert f"{long_prompt.size(1)} tokens" in explorer.error and "acorta el «Prompt»" in explorer.message.value
    explorer.prompt.value = "Había una vez"
    assert not explorer.error
    explorer.best()
    assert not explorer.error


def test_attention_of_5000_words_is_refused_too():
    for role in ("decoder", "encoder"):
        model, tokenizer = load_model(role, "mini")
        inputs = tokenizer(LONG, return_tensors="pt", verbose=False)
        with pytest.raises(ValueError, match=str(model.config.max_position_embeddings)):
            capture_attention(model, inputs.input_ids)
