"""Pares mínimos: dos frases que solo se diferencian en una cosa, y cuánto prefiere cada modelo una de ellas.

Viajan con el curso (``data/pares.jsonl``, con su ficha) y se puntúan con decodificadores, LSTM y codificadores.
"""

from __future__ import annotations

import json

import numpy as np
import torch

from . import _validate as valid
from ._jsonl import DATA, read_jsonl
from .scoring import token_logprobs

SLOT = "{x}"
KINDS = ("oficio", "oficio-control", "flexión", "flexión-control", "país", "rara")
SHARED = ("oficio", "oficio-control")  # solo se puntúa lo que comparten las dos frases
_TYPES = {"id": int, "text": str, "a": str, "b": str, "kind": str, "group": str}


def load_pairs(*kinds: str) -> list[dict]:
    """Los pares de esas clases, o todos: ``id``, ``text`` (con un hueco, ``{x}``), ``a``, ``b``, ``kind`` y ``group``.

    Raises
    ------
    ValueError
        Si una clase no existe o el fichero está dañado.

    Notes
    -----
    Se enseña en la sesión 09.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    valid.require(not unknown, f"No conozco la clase de pares {unknown}. Las que hay son: {', '.join(KINDS)}.")
    rows = read_jsonl(DATA / "pares.jsonl", _TYPES)
    return [row for row in rows if not kinds or row["kind"] in kinds]


def score_pairs(model, tokenizer, pairs) -> np.ndarray:
    """Log-probabilidad (nats) de las dos frases de cada par, (N, 2): la de ``a`` y la de ``b``.

    En las clases de ``SHARED`` solo cuentan los tokens que las dos frases comparten, dado lo que cambia: así no
    importan ni su frecuencia ni su longitud (la medida de Nangia et al. 2020, CrowS-Pairs). En las demás, todos.
    Un codificador se puntúa tapando los tokens uno a uno (pseudo-log-verosimilitud, Salazar et al. 2020).

    Parameters
    ----------
    model, tokenizer
        Un decodificador, o un codificador con ``<mask>``; en modo evaluación.
    pairs : sequence of dict
        Como los da ``load_pairs``.

    Raises
    ------
    ValueError
        Si un par no tiene un hueco, y solo uno.

    Notes
    -----
    Se enseña en la sesión 09.
    """
    for pair in pairs:
        valid.require(pair["text"].count(SLOT) == 1, f"Un par lleva un hueco {SLOT}, y este es {pair['text']!r}.")
    score = _masked if tokenizer.mask_token_id is not None and _is_encoder(model) else _causal
    return np.array([[score(model, tokenizer, pair, pair[side]) for side in ("a", "b")] for pair in pairs])


def stored_scores(name: str = "mediano") -> dict:
    """Lo que dio ``score_pairs`` con un modelo que no viaja con el curso: ``scores`` (N, 2) y ``recipe``."""
    found = json.loads((DATA / f"pares_{name}.json").read_text(encoding="utf-8"))
    return found | {"scores": np.array(found["scores"])}


def _is_encoder(model) -> bool:
    return "MaskedLM" in type(model).__name__


def _encoded(tokenizer, pair: dict, side: str, **options) -> tuple[list[int], list[tuple[int, int]], int, int]:
    """Los ids de la frase, el trozo de texto de cada uno y dónde empieza y acaba lo que cambia."""
    begin = pair["text"].index(SLOT)
    found = tokenizer(pair["text"].replace(SLOT, side), return_offsets_mapping=True, **options)
    return found.input_ids, found.offset_mapping, begin, begin + len(side)


def _causal(model, tokenizer, pair: dict, side: str) -> float:
    ids, spans, _, end = _encoded(tokenizer, pair, side, add_special_tokens=False)
    scores = token_logprobs(model, torch.tensor([[tokenizer.bos_token_id, *ids]]))[0].double()
    counts = torch.tensor([pair["kind"] not in SHARED or first >= end for first, _ in spans])
    return scores[counts].sum().item()


@torch.no_grad()
def _masked(model, tokenizer, pair: dict, side: str) -> float:
    ids, spans, begin, end = _encoded(tokenizer, pair, side)
    special = tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)
    places = [
        k
        for k, (first, last) in enumerate(spans)
        if not special[k] and (pair["kind"] not in SHARED or first >= end or last <= begin)
    ]
    rows = torch.tensor([ids] * len(places))
    rows[range(len(places)), places] = tokenizer.mask_token_id
    logits = model(input_ids=rows).logits[range(len(places)), places].double()
    return logits.log_softmax(-1)[range(len(places)), [ids[k] for k in places]].sum().item()
