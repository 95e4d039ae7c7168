"""Reglas de los ejercicios de la sesión 02: temperatura, top-k, EOS y caché."""

from __future__ import annotations

import torch

from .. import decoding
from .rules import LOGITS, MAX_CALLS, Rule, Spy, expect, keeps_inputs, show, toy_model

PROMPT = torch.tensor([[7, 3, 11]])  # (1, T)


def _greedy(prompt: torch.Tensor, n: int) -> torch.Tensor:
    return decoding.generate(toy_model(), prompt, max_new_tokens=n).sequences


def _eos_and_position() -> tuple[int, int]:
    """Un token que la búsqueda voraz escribe por primera vez en mitad del texto: servirá de EOS."""
    new = _greedy(PROMPT, 12)[0, PROMPT.size(1) :].tolist()
    position = next(i for i in range(3, 12) if new[i] not in new[:i] and new[i] not in PROMPT)
    return new[position], position


# ---------------------------------------------------------------- ejercicio 2.1: temperatura
def _temperature(t: float):
    truth = decoding.temperature(t)(LOGITS, None).softmax(-1)
    return lambda answer: expect(answer(LOGITS.clone(), t), truth)


def _rows_add_up(answer) -> str | None:
    probs = answer(LOGITS.clone(), 1.0)
    if not isinstance(probs, torch.Tensor) or probs.shape != LOGITS.shape:
        return expect(probs, LOGITS)
    sums = probs.float().sum(-1)
    return None if torch.allclose(sums, torch.ones(2), atol=1e-5) else f"filas que suman {show(sums)}"


# ---------------------------------------------------------------- ejercicio 2.2: top-k
def _top_k(k: int, logits: torch.Tensor = LOGITS):
    return lambda answer: expect(answer(logits.clone(), k), decoding.top_k(k)(logits, None))


# ---------------------------------------------------------------- ejercicios 2.3 y 2.4: bucles
def _stops_at_eos(answer) -> str | None:
    eos, position = _eos_and_position()
    spy = Spy()
    received = expect(answer(spy, PROMPT.clone(), eos, 12), _greedy(PROMPT, position + 1))
    if received is None and len(spy.lengths) > position + 1:
        return f"los ids correctos, pero con {len(spy.lengths)} llamadas al modelo cuando bastaban {position + 1}"
    return received


def _stops_at_zero(answer) -> str | None:
    expected = _greedy(PROMPT, 10)
    length = PROMPT.size(1) + expected[0, PROMPT.size(1) :].tolist().index(0) + 1
    return expect(answer(Spy(), PROMPT.clone(), 0, 10), expected[:, :length])


def _respects_limit(answer) -> str | None:
    unreachable = next(i for i in range(29) if i not in _greedy(PROMPT, MAX_CALLS))
    return expect(answer(Spy(), PROMPT.clone(), unreachable, 5), _greedy(PROMPT, 5))


def _ignores_prompt_eos(answer) -> str | None:
    eos = PROMPT[0, -1].item()
    new = _greedy(PROMPT, 5)
    expected = next((new[:, : i + 1] for i in range(3, 8) if new[0, i] == eos), new)
    return expect(answer(Spy(), PROMPT.clone(), eos, 5), expected)


def _cached_ids(n: int):
    return lambda answer: expect(answer(Spy(), PROMPT.clone(), n), _greedy(PROMPT, n))


def _feeds_one_token(answer) -> str | None:
    spy = Spy()
    answer(spy, PROMPT.clone(), 8)
    if len(spy.lengths) < 8:
        return f"{len(spy.lengths)} llamadas al modelo para escribir 8 tokens"
    return None if sum(spy.lengths) <= PROMPT.size(1) + 8 else f"llamadas al modelo con {spy.lengths} tokens cada una"


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "2.1": (
        Rule(
            "Devuelve una distribución: cada fila suma 1",
            _rows_add_up,
            "Aplica softmax sobre el vocabulario, dim=-1, y devuelve el resultado.",
        ),
        Rule(
            "Con temperatura 1 no cambia nada",
            _temperature(1.0),
            "Con t = 1 el resultado es softmax(logits): no toques los logits de ninguna otra forma.",
        ),
        Rule(
            "Con temperatura 0.5 la distribución se afila",
            _temperature(0.5),
            "La temperatura divide los logits, y los divide antes del softmax: softmax(z / t).",
        ),
        Rule(
            "Con temperatura 2 la distribución se aplana",
            _temperature(2.0),
            "La temperatura divide los logits, y los divide antes del softmax: softmax(z / t).",
        ),
        Rule(
            "No modifica los logits que recibe",
            lambda f: keeps_inputs(f, LOGITS.clone(), 0.5),
            "Escribe logits / t, que crea un tensor nuevo, en lugar de logits /= t.",
        ),
    ),
    "2.2": (
        Rule(
            "Con k = 2 deja vivos los dos mejores de cada fila",
            _top_k(2),
            "Compara cada logit con el k-ésimo mayor de su propia fila, topk(k).values[:, -1:], y pon -inf en los "
            "menores estrictos (<): el k-ésimo se queda.",
        ),
        Rule(
            "Con k = 1 solo queda el mejor",
            _top_k(1),
            "El umbral es el último de los k valores que da topk, no el primero ni una posición fija.",
        ),
        Rule(
            "Con k = V no quita ninguno",
            _top_k(5),
            "Con k = V el umbral es el menor de cada fila y nada queda por debajo: comprueba que el índice no se sale.",
        ),
        Rule(
            "Funciona con una sola fila",
            _top_k(3, LOGITS[:1]),
            "Deja las operaciones en la última dimensión y conserva la forma (B, V).",
        ),
        Rule(
            "No modifica los logits que recibe",
            lambda f: keeps_inputs(f, LOGITS.clone(), 2),
            "Usa masked_fill (sin guion bajo final) o trabaja sobre logits.clone().",
        ),
    ),
    "2.3": (
        Rule(
            "Para en cuanto escribe el EOS, que queda al final",
            _stops_at_eos,
            "Añade el token a los ids y, después, si es igual a eos_token_id, sal del bucle con break.",
        ),
        Rule(
            "También si el EOS es el id 0",
            _stops_at_zero,
            "Un 0 cuenta como falso en un if: compara solo el token nuevo con eos_token_id, con ==.",
        ),
        Rule(
            "Sin EOS escribe max_new_tokens tokens",
            _respects_limit,
            "Recorre range(max_new_tokens): el EOS puede no llegar nunca.",
        ),
        Rule(
            "Un EOS dentro del prompt no detiene nada",
            _ignores_prompt_eos,
            "Compara el EOS solo con el token que acabas de elegir, nunca con los ids del prompt.",
        ),
    ),
    "2.4": (
        Rule(
            "Escribe lo mismo que sin caché",
            _cached_ids(8),
            "En cada paso pasa la caché del anterior, past_key_values=salida.past_key_values, y solo el token "
            "nuevo: lo demás ya está en ella. Devuelve el prompt y los n tokens nuevos.",
        ),
        Rule(
            "También si se pide un solo token",
            _cached_ids(1),
            "La primera llamada, con el prompt entero, ya da los logits del primer token nuevo.",
        ),
        Rule(
            "Tras el prompt, cada llamada recibe un solo token",
            _feeds_one_token,
            "A partir de la segunda llamada pasa solo el token nuevo, de forma (1, 1), junto con past_key_values.",
        ),
    ),
}
