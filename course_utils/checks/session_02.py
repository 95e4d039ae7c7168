"""Reglas de los ejercicios de la sesión 02: temperatura, top-k, EOS y caché."""

from __future__ import annotations

import functools

import torch

from .. import decoding
from .rules import LOGITS, THREE, Rule, agrees, counted, toy_model, unchanged
from .values import Diagnosis, as_tensor, expect, show

PROMPT = torch.tensor([[7, 3, 11]])  # (1, T)
OTHER = torch.tensor([[4, 4, 9, 1, 20]])
_LOOPS = {f"course_utils.decoding.{name}": f"decoding.{name}" for name in ("generate", "stream", "beam_search")}
_LOOPS["transformers.generation.utils.generate"] = "model.generate"
FORBIDDEN = {"2.3": _LOOPS, "2.4": _LOOPS}


# ---------------------------------------------------------------- ejercicio 2.1: temperatura
def _tempered(logits: torch.Tensor, t: float) -> torch.Tensor:
    return decoding.temperature(t)(logits, None).softmax(-1)


def _rows_add_up(answer):
    probs = answer(LOGITS.clone(), 1.0)
    problem, found = expect(probs, LOGITS.softmax(-1)), as_tensor(probs)
    if problem is None or found is None or found.shape != LOGITS.shape:
        return problem
    sums = found.double().sum(-1)
    return None if torch.allclose(sums, torch.ones(2).double(), atol=1e-2) else f"filas que suman {show(sums)}"


# ---------------------------------------------------------------- ejercicio 2.2: top-k
def _top_k(logits: torch.Tensor, k: int) -> torch.Tensor:
    return decoding.top_k(k)(logits, None)


# ---------------------------------------------------------------- ejercicios 2.3 y 2.4: bucles
@functools.cache
def _greedy(prompt: tuple[int, ...], n: int) -> torch.Tensor:
    return decoding.generate(toy_model(), torch.tensor([prompt]), max_new_tokens=n).sequences.clone()


def _new(prompt: torch.Tensor, n: int) -> list[int]:
    return _greedy(tuple(prompt[0].tolist()), n)[0, prompt.size(1) :].tolist()


def _eos_and_position() -> tuple[int, int]:
    """Un token que la búsqueda voraz escribe por primera vez en mitad del texto: servirá de EOS."""
    new = _new(PROMPT, 12)
    position = next(i for i in range(3, 12) if new[i] not in new[:i] and new[i] not in PROMPT)
    return new[position], position


def _written(received, prompt: torch.Tensor, n: int):
    """Que sea el prompt y los ``n`` primeros tokens de la búsqueda voraz."""
    whole = torch.cat([prompt, torch.tensor([_new(prompt, n)])], dim=1)
    problem, found = expect(received, whole, integers=True), as_tensor(received)
    if problem is None or found is None or found.dim() != 2 or len(found) != 1:
        return problem
    if found[0, : prompt.size(1)].tolist() != prompt[0].tolist():
        return Diagnosis(
            f"{show(received)}, que no empieza por el prompt, {show(prompt)}",
            (
                "Mira cómo empieza lo que devuelves.",
                "Devuelve el prompt y los n tokens nuevos, en ese orden y en un solo tensor, (1, s + n).",
                "Une cada token nuevo a los ids con torch.cat, por la dimensión 1, y devuelve los ids.",
            ),
        )
    first = found[0, prompt.size(1) :][:1].tolist()
    if first and first != _new(prompt, 1):
        return Diagnosis(
            f"{show(received)}, y el primer token nuevo de la búsqueda voraz es {_new(prompt, 1)[0]}",
            (
                "Ya el primer token nuevo es otro. Mira de qué posición lees los logits y cómo eliges.",
                "El token siguiente se decide en la última posición del texto que llevas, y la búsqueda voraz toma el "
                "de mayor logit.",
                "Es logits[:, -1].argmax(-1, keepdim=True), de forma (1, 1).",
            ),
        )
    return f"{show(received)}; se esperaba {show(whole)}"


def _until(answer, prompt: torch.Tensor, eos: int, limit: int, n: int):
    """Que con ese EOS y ese tope escriba ``n`` tokens, y con ``n`` llamadas al modelo."""
    model, calls = counted()
    problem = _written(answer(model, prompt.clone(), eos, limit), prompt, n)
    if problem is None and len(calls) > n:
        return Diagnosis(
            f"los ids correctos, pero con {len(calls)} llamadas al modelo cuando bastaban {n}",
            (
                "Cuenta cuántas veces llamas al modelo.",
                "No basta con recortar al final: en cuanto sale el EOS, el bucle se acaba.",
                "Sal del bucle con break (o con return) en la vuelta en que sale el EOS.",
            ),
        )
    return problem


def _stops_at_eos(answer):
    eos, position = _eos_and_position()
    return _until(answer, PROMPT, eos, 12, position + 1)


def _stops_at_zero(answer):
    return _until(answer, PROMPT, 0, 10, _new(PROMPT, 10).index(0) + 1)


def _respects_limit(answer):
    for prompt, limit in ((PROMPT, 5), (OTHER, 7), (PROMPT, 1)):
        unreachable = next(i for i in range(29) if i not in _new(prompt, 64 - prompt.size(1)) and i not in prompt)
        problem = _until(answer, prompt, unreachable, limit, limit)
        if problem is not None:
            return problem
    return None


def _ignores_prompt_eos(answer):
    for prompt, eos in ((PROMPT, PROMPT[0, -1].item()), (PROMPT, PROMPT[0, 0].item()), (OTHER, 4)):
        new = _new(prompt, 5)
        problem = _until(answer, prompt, eos, 5, new.index(eos) + 1 if eos in new else 5)
        if problem is not None:
            return problem
    return None


def _cached(*cases: tuple[torch.Tensor, int]):
    def test(answer):
        for prompt, n in cases:
            problem = _written(answer(counted()[0], prompt.clone(), n), prompt, n)
            if problem is not None:
                return problem
        return None

    return test


def _feeds_one_token(answer):
    model, calls = counted()
    answer(model, PROMPT.clone(), 8)
    if len(calls) < 8:
        return f"{len(calls)} llamadas al modelo para escribir 8 tokens"
    ok = calls[0] == PROMPT.size(1) and set(calls[1:]) == {1}
    return None if ok else f"llamadas al modelo con {show(calls)} tokens cada una"


_DIVIDES = (
    "Mira dónde entra t en tu fórmula: con qué operación y antes o después de qué.",
    "La temperatura divide los logits, y los divide antes del softmax.",
    "La temperatura divide los logits: es softmax(z / t), por filas.",
)

EXERCISES: dict[str, tuple[Rule, ...]] = {
    "2.1": (
        Rule(
            "Devuelve una distribución: cada fila suma 1",
            _rows_add_up,
            (
                "Suma cada fila de lo que devuelves, .sum(-1): son probabilidades.",
                "Lo que convierte logits en probabilidades es softmax, a lo largo del vocabulario, la última "
                "dimensión.",
                "Aplica softmax sobre el vocabulario, dim=-1, y devuelve el resultado.",
            ),
        ),
        Rule(
            "Con temperatura 1 no cambia nada",
            agrees(_tempered, (LOGITS, 1.0), (THREE, 1)),
            (
                "Con t = 1 son las probabilidades del modelo. Mira qué más haces con los logits.",
                "Con t = 1 el resultado es softmax(logits): no toques los logits de ninguna otra forma.",
            ),
        ),
        Rule("Con temperatura 0.5 la distribución se afila", agrees(_tempered, (LOGITS, 0.5), (THREE, 0.5)), _DIVIDES),
        Rule("Con temperatura 2 la distribución se aplana", agrees(_tempered, (LOGITS, 2.0), (THREE, 3)), _DIVIDES),
        Rule(
            "No modifica los logits que recibe",
            unchanged("logits", case=(LOGITS, 0.5)),
            (
                "Imprime los logits antes y después de llamar a tu función.",
                "Las operaciones como /= y las que acaban en guion bajo cambian el tensor que reciben.",
                "Escribe logits / t, que crea un tensor nuevo, en lugar de logits /= t.",
            ),
        ),
    ),
    "2.2": (
        Rule(
            "Con k = 2 deja vivos los dos mejores de cada fila",
            agrees(_top_k, (LOGITS, 2), (THREE, 2)),
            (
                "Mira, fila por fila, qué queda vivo y cuánto vale lo demás.",
                "El umbral es el k-ésimo mayor de su propia fila; él se queda, y lo que sea menor vale -inf.",
                "Compara cada logit con topk(k).values[:, -1:], y pon -inf en los menores estrictos (<).",
            ),
        ),
        Rule(
            "Con k = 1 solo queda el mejor",
            agrees(_top_k, (LOGITS, 1), (THREE, 1)),
            (
                "Mira con qué comparas cada logit cuando k = 1.",
                "El umbral es el último de los k valores que da topk, no el primero ni una posición fija.",
            ),
        ),
        Rule(
            "Con k = V no quita ninguno",
            agrees(_top_k, (LOGITS, 5), (THREE, 4)),
            (
                "Prueba con k igual al tamaño del vocabulario.",
                "Con k = V el umbral es el menor de cada fila y nada queda por debajo: comprueba que el índice no se "
                "sale.",
            ),
            symptoms=(IndexError,),
        ),
        Rule(
            "Funciona con una sola fila",
            agrees(_top_k, (LOGITS[:1], 3), (THREE[1:2], 2)),
            (
                "Prueba con una sola fila, de forma (1, v).",
                "Trabaja en la última dimensión y conserva la forma (B, V).",
            ),
        ),
        Rule(
            "No modifica los logits que recibe",
            unchanged("logits", case=(LOGITS, 2)),
            (
                "Imprime los logits antes y después de llamar a tu función.",
                "Asignar en logits[…] y las operaciones que acaban en guion bajo cambian el tensor que reciben.",
                "Usa masked_fill (sin guion bajo final) o trabaja sobre logits.clone().",
            ),
        ),
    ),
    "2.3": (
        Rule(
            "Para en cuanto escribe el EOS, que queda al final",
            _stops_at_eos,
            (
                "Mira dónde acaba lo que devuelves y dónde está el EOS.",
                "En cada vuelta: se elige el token, se añade a los ids y, después, se mira si era el EOS.",
                "Añade el token a los ids y, después, si es igual a eos_token_id, sal del bucle con break.",
            ),
        ),
        Rule(
            "También si el EOS es el id 0",
            _stops_at_zero,
            (
                "Aquí eos_token_id vale 0. Mira cómo lo usas en tus condiciones.",
                "Un 0 cuenta como falso en un if: compara solo el token nuevo con eos_token_id, con ==.",
            ),
        ),
        Rule(
            "Sin EOS escribe max_new_tokens tokens",
            _respects_limit,
            (
                "Cuenta cuántos tokens nuevos escribes cuando el EOS no sale.",
                "El EOS puede no llegar nunca: el tope es max_new_tokens, y no cuenta los del prompt.",
                "Recorre range(max_new_tokens).",
            ),
        ),
        Rule(
            "Un EOS dentro del prompt no detiene nada",
            _ignores_prompt_eos,
            (
                "Aquí el prompt ya contiene el EOS. Mira con qué lo comparas.",
                "Compara el EOS solo con el token que acabas de elegir, nunca con los ids del prompt.",
            ),
        ),
    ),
    "2.4": (
        Rule(
            "Escribe lo mismo que sin caché",
            _cached((PROMPT, 8), (OTHER, 6), (PROMPT[:, :1], 4)),
            (
                "Mira qué recibe el modelo en la segunda llamada: los ids y la caché.",
                "La caché de cada paso se pasa en el siguiente, y con ella solo el token nuevo: lo demás ya está "
                "dentro.",
                "En cada paso pasa past_key_values=salida.past_key_values y solo el token nuevo, de forma (1, 1). "
                "Devuelve el prompt y los n tokens nuevos.",
            ),
        ),
        Rule(
            "También si se pide un solo token",
            _cached((PROMPT, 1)),
            (
                "Prueba con max_new_tokens = 1.",
                "La primera llamada, con el prompt entero, ya da los logits del primer token nuevo.",
            ),
        ),
        Rule(
            "Tras el prompt, cada llamada recibe un solo token",
            _feeds_one_token,
            (
                "Imprime la forma de lo que pasas al modelo en cada llamada.",
                "La primera llamada lleva el prompt entero; todas las demás, una sola columna.",
                "A partir de la segunda llamada pasa solo el token nuevo, de forma (1, 1), junto con past_key_values.",
            ),
        ),
    ),
}
