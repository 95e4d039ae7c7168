"""Textos de una letra por token, su tokenizador y la fuerza bruta con la que se compara todo lo que puntúa."""

from types import SimpleNamespace

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast


def brute_force(model, ids):
    """log P(y_t | y_<t) con una pasada del modelo por cada prefijo: (T,) -> (T - 1,)."""
    with torch.no_grad():
        return torch.stack([model(ids[None, :t]).logits[0, -1].log_softmax(-1)[ids[t]] for t in range(1, len(ids))])


LETTERS = "abcdefghijklmnopqrstuv"


def letters(padding_side="right", adds_start=False):
    """Un token por letra, 23 con el inicial, y sin token de relleno; si se pide, pone él mismo el inicial."""
    core = Tokenizer(models.WordLevel({"<s>": 0} | {c: i for i, c in enumerate(LETTERS, 1)}, unk_token="<s>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    if adds_start:
        core.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", padding_side=padding_side)


def text_of(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return "".join(LETTERS[i] for i in torch.randint(0, 22, (n,), generator=generator).tolist())


TEXTS = [text_of(n, seed=n) for n in (1, 90, 3, 47, 48, 49, 12, 12, 200, 5)]


def nothing_computed(**attributes):
    """Un modelo que falla si se le llama: la comprobación tiene que ir antes."""

    def model(*args, **kwargs):
        raise AssertionError("se ha calculado algo antes de validar")

    model.config = SimpleNamespace(vocab_size=23, max_position_embeddings=48)
    vars(model).update(attributes)
    return model


BAD_CORPUS = [
    ([], {}, r"al menos un texto.*\[\]"),
    (None, {}, r"al menos un texto.*None"),
    ("abc", {}, r"al menos un texto.*'abc'.*\[texto\]"),
    (["abc", 3], {}, r"al menos un texto"),
    ([1, 2], {}, r"al menos un texto.*\[1, 2\]"),
    (iter([]), {}, r"al menos un texto.*\[\]"),
    (["abc", "a\ud83d"], {}, r"texto 1, .*posición 1 .*Quítala"),
    (["abc", ""], {}, r"texto 1, '', da 0 tokens.*Quítalo\."),
    (["a"], {"add_start_token": False}, r"texto 0, 'a', da 1 tokens.*add_start_token=True"),
    (["abc"], {"window": 49}, r"window.*contexto del modelo, 48, y es 49"),
    (["abc"], {"window": 1}, r"window.*es 1"),
    (["abc"], {"window": 10, "stride": 11}, r"stride.*la ventana, 10.*Es 11"),
    (["abc"], {"stride": 49}, r"stride.*la ventana, 48.*Es 49"),
    (["abc"], {"stride": 0}, r"stride.*Es 0"),
    (["abc"], {"stride": 2.5}, r"stride.*Es 2\.5"),
    (["abc"], {"batch_size": 0}, r"batch_size.*es 0"),
    (["abc"], {"batch_size": True}, r"batch_size.*es True"),
    (
        ["abc"],
        {"add_start_token": False, "start_every_window": True},
        r"start_every_window=True.*add_start_token=False",
    ),
]
