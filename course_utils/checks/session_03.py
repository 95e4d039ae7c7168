"""Reglas de los ejercicios de la sesión 03: puntuar, distinct-n, núcleo, relleno y el espacio del final."""

from __future__ import annotations

import torch

from .. import decoding, scoring
from .rules import LOGITS, Rule, Spy, expect, keeps_inputs, show, toy_model

IDS = torch.tensor([[7, 3, 11, 4, 9, 2, 5]])  # (1, T)
LISTS = [[5, 6], [1, 0, 2, 3], [9]]  # con un 0, que también es el relleno, y un 1


# ---------------------------------------------------------------- ejercicio 3.1: nota de una secuencia
def _score(prompt_length: int, length_penalty: float):
    def test(answer):
        logprobs = scoring.token_logprobs(toy_model(), IDS)[0, prompt_length - 1 :]
        truth = logprobs.sum() / len(logprobs) ** length_penalty
        received = answer(Spy(), IDS.clone(), prompt_length, length_penalty)
        if isinstance(received, int | float):
            received = torch.tensor(float(received))
        if isinstance(received, torch.Tensor) and received.numel() == 1:
            received = received.detach().reshape(())
        return expect(received, truth, atol=1e-3)

    return test


# ---------------------------------------------------------------- ejercicio 3.3: muestreo de núcleo
def _top_p(p: float, logits: torch.Tensor = LOGITS):
    return lambda answer: expect(answer(logits.clone(), p), decoding.top_p(p)(logits, None))


# ---------------------------------------------------------------- ejercicio 3.4: relleno a la izquierda
def _pads(part: int, sequences=LISTS, pad: int = 0):
    def test(answer):
        longest = max(map(len, sequences))
        ids = torch.tensor([[pad] * (longest - len(s)) + s for s in sequences])
        mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences])
        received = answer([list(s) for s in sequences], pad)
        if not isinstance(received, tuple | list) or len(received) != 2:
            return f"{show(received)}; se esperaban dos tensores, input_ids y attention_mask"
        if isinstance(received[part], torch.Tensor) and received[part].is_floating_point():
            return f"un tensor de tipo {received[part].dtype}; se esperaban enteros"
        return expect(received[part], (ids, mask)[part])

    return test


def _keeps_lists(answer) -> str | None:
    lists = [list(s) for s in LISTS]
    answer(lists, 0)
    return None if lists == LISTS else f"las listas de entrada cambiadas: {lists}"


# ---------------------------------------------------------------- ejercicios 3.2 y 3.5: valores
def _equals(expected, *arguments):
    def test(answer):
        received = answer(*arguments)
        same = isinstance(received, type(expected)) and (
            abs(received - expected) < 1e-6 if isinstance(expected, float) else received == expected
        )
        if isinstance(expected, float) and isinstance(received, int) and received == expected:
            same = True
        call = ", ".join(map(repr, arguments))
        return None if same else f"con ({call}), {show(received)}; se esperaba {expected!r}"

    return test


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "3.1": (
        Rule(
            "Sin normalizar (α = 0) suma las log-probabilidades de todos los tokens nuevos",
            _score(3, 0.0),
            "La posición t predice el token t + 1: aplica log_softmax a logits[:, :-1], toma los ids[:, 1:] con gather "
            "y suma desde la columna prompt_length - 1. Así entra el primer token nuevo y no entra ninguno del prompt.",
        ),
        Rule(
            "Con α = 1 es la media por token nuevo",
            _score(3, 1.0),
            "Divide la suma entre n ** length_penalty, y n es el número de tokens nuevos, sin contar el prompt.",
        ),
        Rule(
            "Con α = 2 favorece a las largas",
            _score(3, 2.0),
            "length_penalty es un exponente: suma / n ** length_penalty, no suma / (n * length_penalty).",
        ),
        Rule(
            "Funciona con otro prompt",
            _score(1, 1.0),
            "No des por fijo el número de tokens del prompt: usa prompt_length.",
        ),
    ),
    "3.2": (
        Rule(
            "Cuenta los bigramas distintos",
            _equals(0.5, [1, 2, 1, 2, 1], 2),
            "Hay 4 bigramas y solo 2 son distintos: len(set(...)) entre el número de bigramas, que es len(ids) - n + 1 "
            "y no len(ids).",
        ),
        Rule(
            "Con n = 1 cuenta tokens",
            _equals(0.4, [1, 2, 1, 2, 1], 1),
            "Con n = 1 cada token es un 1-grama: 2 distintos de 5. No des n por fijo.",
        ),
        Rule(
            "Sirve para cualquier n",
            _equals(0.8, [1, 2, 1, 3, 1, 2, 1], 3),
            "Un n-grama es tuple(ids[i : i + n]), con i desde 0 hasta len(ids) - n incluido.",
        ),
        Rule(
            "El orden importa: (1, 2) no es (2, 1)",
            _equals(1.0, [1, 2, 1], 2),
            "Usa tuplas, que guardan el orden; un conjunto o una lista ordenada lo pierde.",
        ),
        Rule(
            "Un texto más corto que n da 0",
            _equals(0.0, [1], 2),
            "Sin ningún n-grama la división sería entre cero: devuelve 0.0 en ese caso.",
        ),
    ),
    "3.3": (
        Rule(
            "Con p = 0.9 deja el menor conjunto que suma al menos 0.9",
            _top_p(0.9),
            "En cada fila: ordena de mayor a menor, softmax, y quita un token si la suma de los que van *delante* "
            "(cumsum - probabilidad) ya llega a p: el que cruza el límite se queda. Después devuelve cada logit a su "
            "sitio con scatter o gather: ordenar cambia las posiciones.",
        ),
        Rule(
            "Con p = 0.5 quedan menos",
            _top_p(0.5),
            "El umbral es p, no un valor fijo, y se compara con la suma acumulada de cada fila (dim=-1).",
        ),
        Rule(
            "Aunque p sea muy pequeño, la más probable se queda",
            _top_p(0.01),
            "La primera tiene una suma delante de 0, que nunca llega a p: no la quites.",
        ),
        Rule(
            "Funciona con una sola fila",
            _top_p(0.9, LOGITS[1:]),
            "Deja las operaciones en la última dimensión y conserva la forma (B, V).",
        ),
        Rule(
            "No modifica los logits que recibe",
            lambda f: keeps_inputs(f, LOGITS.clone(), 0.5),
            "Usa masked_fill (sin guion bajo final) o trabaja sobre logits.clone().",
        ),
    ),
    "3.4": (
        Rule(
            "El relleno va a la izquierda y cada fila mide lo que la más larga",
            _pads(0),
            "Cada fila es [pad_id] * (más_larga - len(s)) + s, y con todas se hace un torch.tensor. Devuelve dos "
            "tensores de enteros, input_ids y attention_mask.",
        ),
        Rule(
            "La máscara vale 0 solo en el relleno",
            _pads(1),
            "Haz la máscara con las longitudes, [0] * relleno + [1] * len(s): si la haces con ids != pad_id, un token "
            "de verdad con el mismo id que el relleno desaparece.",
        ),
        Rule(
            "Usa el pad_id que recibe",
            _pads(0, pad=7),
            "No escribas un 0 fijo: el id de relleno es el argumento pad_id.",
        ),
        Rule(
            "Sin nada que rellenar no cambia nada",
            _pads(1, sequences=[[4, 5], [6, 7]]),
            "Si todas miden igual, el relleno tiene longitud 0 y la máscara es toda de unos.",
        ),
        Rule(
            "No modifica las listas que recibe",
            _keeps_lists,
            "Crea listas nuevas, [pad_id] * k + s, en lugar de s.insert(0, pad_id).",
        ),
    ),
    "3.5": (
        Rule(
            "Quita los espacios del final",
            _equals("Había una vez", "Había una vez  "),
            'Devuelve un texto sin espacios al final; mira rstrip(" ").',
        ),
        Rule(
            "Si no sobra nada, no cambia nada",
            _equals("El rey mandó", "El rey mandó"),
            "No cortes por posición (prompt[:-1]): puede que no haya ningún espacio que quitar, y los de en medio se "
            "quedan.",
        ),
        Rule(
            "Los espacios del principio se quedan",
            _equals(" el caballero", " el caballero "),
            "strip() quita por los dos lados; solo sobran los de la derecha.",
        ),
        Rule(
            "El salto de línea del final se queda",
            _equals("—Buenos días.\n", "—Buenos días.\n"),
            'rstrip() sin argumentos quita también el salto de línea, que es un final de párrafo: usa rstrip(" ").',
        ),
    ),
}
