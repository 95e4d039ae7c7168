"""Reglas de los ejercicios de la sesión 07: qué cuenta en la pérdida de una conversación, y redondear pesos."""

from __future__ import annotations

import copy

import torch

from ..finetuning import IGNORED
from .rules import Rule, agrees, every, hinted, unchanged
from .values import Diagnosis, as_tensor, expect, prefixed, show


# ---------------------------------------------------------------- ejercicio 7.1: las etiquetas de una conversación
def _labels(ids, assistant, end):
    labels, inside = [], False
    for token in ids:
        labels.append(token if inside else IGNORED)
        inside = token == assistant or (inside and token != end)
    return labels


USER, ASSISTANT, END = 40, 41, 42
ONE = ([USER, 7, 8, 9, END, ASSISTANT, 5, 6, END], ASSISTANT, END)
TWO = ([USER, 7, END, ASSISTANT, 5, END, USER, 8, 8, END, ASSISTANT, 6, 6, 5, END], ASSISTANT, END)
NEVER = ([USER, 7, 8, END], ASSISTANT, END)
CUT = ([USER, 7, END, ASSISTANT, 5, 6], ASSISTANT, END)
OTHERS = ([3, 11, 2, 1, 12, 0, 2], 1, 2)  # otros ids, y un 0 que es una palabra
SILENT = ([USER, 7, END, ASSISTANT, END], ASSISTANT, END)


def _shape(case):
    """Que haya una etiqueta por token, y que sean enteros."""

    def test(answer):
        received = answer(*copy.deepcopy(case))
        found = as_tensor(received)
        if found is None:
            return (
                f"{show(received)}, de tipo {type(received).__name__}; se esperaba una lista de {len(case[0])} enteros"
            )
        problem = expect(received, case[0], integers=True)  # los valores no se miran aún: solo la forma y el tipo
        same = found.shape == (len(case[0]),) and not found.is_floating_point() and found.dtype != torch.bool
        return None if same else problem

    return test


def _places(case, asked: bool):
    """Que lleven −100 las de la orden (``asked``) o que no lo lleven las de la respuesta."""

    def test(answer):
        received, truth = as_tensor(answer(*copy.deepcopy(case))), _labels(*case)
        for place, (token, label) in enumerate(zip(case[0], truth, strict=True)):
            if (label == IGNORED) == asked and received[place].item() != label:
                return f"en la posición {place}, la del token {token}, {received[place].item()}; se esperaba {label}"
        return None

    return test


# ---------------------------------------------------------------- ejercicio 7.2: redondear a pocos bits
def _rounded(weights, bits):
    top = 2 ** (bits - 1) - 1
    scale = weights.abs().amax(1, keepdim=True) / top
    return (weights / scale.clamp_min(1e-12)).round() * scale


def _weights(rows: int, size: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ROW, ROWS = _weights(1, 6, 0), _weights(3, 5, 1) * torch.tensor([[1.0], [0.01], [30.0]], dtype=torch.float64)
EMPTY = torch.stack([_weights(1, 4, 2)[0], torch.zeros(4, dtype=torch.float64)])


def _not_integers(answer):
    """Que vuelva a la escala de los pesos: lo más corriente es devolver los enteros."""
    received = answer(ROW.clone(), 4)
    found = as_tensor(received)
    if found is not None and found.shape == ROW.shape and (found.double() - found.double().round()).abs().max() == 0:
        return Diagnosis(
            f"solo números enteros, {show(received)}",
            (
                "Mira en qué escala está lo que devuelves, y en cuál estaban los pesos.",
                "Los enteros son lo que se guarda; el modelo calcula con ellos multiplicados por la escala.",
                "Acaba con q * scale.",
            ),
        )
    return prefixed("", problem) if (problem := _size_problem(received)) else None


def _size_problem(received):
    found = as_tensor(received)
    return None if found is not None and found.shape == ROW.shape else expect(received, ROW)


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "7.1": (
        Rule(
            "Una etiqueta por token, y todas enteras",
            _shape(ONE),
            (
                "Cuenta cuántas etiquetas devuelves, y cuántos ids recibes.",
                "Ni se quitan tokens ni se desplaza nada: el modelo ya compara cada posición con la siguiente.",
                "Una lista con un id o un −100 por cada token recibido.",
            ),
        ),
        Rule(
            "La orden no cuenta",
            _places(ONE, asked=True),
            (
                "Mira qué etiqueta llevan los tokens de quien pregunta, y las marcas.",
                "La orden lleva −100 entera, con su marca de apertura y su cierre; la marca del asistente, también: no "
                "la escribe el modelo, la pone la plantilla.",
                "Solo se cuenta lo que va detrás de la marca assistant.",
            ),
            symptoms=(ValueError, IndexError),
        ),
        Rule(
            "La respuesta cuenta, con su cierre",
            _places(ONE, asked=False),
            (
                "Mira los tokens que hay detrás de la marca del asistente, hasta el último.",
                "La etiqueta es el propio id, sin desplazar; y el cierre cuenta, o el modelo no aprenderá a parar.",
                "Deja de contar después del cierre, y no antes: primero se añade y luego se mira si es end.",
            ),
        ),
        Rule(
            "Vale para cualquier conversación",
            every(
                hinted(
                    agrees(_labels, TWO, integers=True),
                    "Prueba con dos preguntas y dos respuestas.",
                    "Cuentan todas las respuestas, y entre una y otra se vuelve a dejar de contar.",
                    "Recorre los ids con un interruptor: se enciende tras assistant y se apaga tras end.",
                ),
                agrees(_labels, OTHERS, NEVER, CUT, SILENT, integers=True),
            ),
            (
                "Prueba sin respuesta, con una a medias y con otros ids.",
                "Las marcas son las que llegan como argumentos; puede faltar la del asistente, o el cierre.",
                "Recorre los ids con un interruptor: se enciende tras assistant y se apaga tras end.",
            ),
            symptoms=(ValueError, IndexError),
        ),
        Rule(
            "No modifica los ids que recibe",
            unchanged("ids", case=TWO),
            (
                "Imprime los ids antes y después de llamar a tu función.",
                "Otro nombre para la misma lista no es una copia.",
                "Empieza por labels = list(ids).",
            ),
        ),
    ),
    "7.2": (
        Rule(
            "Devuelve pesos, en su escala",
            _not_integers,
            (
                "Mira la forma de lo que devuelves, y si son pesos.",
                "Sale una tabla como la que entra.",
            ),
        ),
        Rule(
            "Una fila, con cuatro bits",
            agrees(_rounded, (ROW, 4)),
            (
                "Compara el mayor de tus pesos, sin signo, con el de la fila: tiene que ser el mismo.",
                "Con cuatro bits, los enteros van de −7 a 7: el mayor de la fila es el 7 o el −7, y los demás se "
                "redondean al más cercano.",
                "scale = weights.abs().amax(1, keepdim=True) / 7; después, (weights / scale).round() * scale.",
            ),
        ),
        Rule(
            "Con los bits que se pidan",
            agrees(_rounded, (ROW, 8), (ROW, 3), (ROW, 2)),
            (
                "Prueba con ocho bits y con dos.",
                "Con b bits, el mayor entero es 2 elevado a b − 1, menos uno: 127 con ocho y 1 con dos.",
                "top = 2 ** (bits - 1) - 1",
            ),
        ),
        Rule(
            "Cada fila, con su escala",
            agrees(_rounded, (ROWS, 4)),
            (
                "Prueba con dos filas: una de pesos grandes y otra de pesos pequeños.",
                "Con una sola escala, la fila pequeña se queda en ceros. El máximo es el de cada fila.",
                "weights.abs().amax(dim=1, keepdim=True)",
            ),
            symptoms=(ValueError, RuntimeError),
        ),
        Rule(
            "Una fila de ceros sigue siendo de ceros",
            agrees(_rounded, (EMPTY, 4)),
            (
                "Prueba con una fila en la que todo vale cero.",
                "Cero entre cero no es un número. La escala no puede ser cero.",
                "scale.clamp_min(1e-12)",
            ),
            symptoms=(ZeroDivisionError,),
        ),
        Rule(
            "No modifica los pesos que recibe",
            unchanged("weights", case=(ROWS, 4)),
            (
                "Imprime los pesos antes y después de llamar a tu función.",
                "Las operaciones que acaban en raya baja, y /= o *=, cambian el mismo objeto.",
                "Usa las que hacen otro: weights / scale, .round().",
            ),
        ),
    ),
}
