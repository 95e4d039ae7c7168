"""Reglas de los ejercicios de la sesión A2: la atención de producto, con relleno, y la aditiva, de Bahdanau."""

from __future__ import annotations

import copy
import functools

import numpy as np

from .rules import Rule, every, hinted, unchanged
from .values import Diagnosis, as_tensor, expect, show

_PAIR = (
    "Mira cuántas cosas devuelves: son dos, el contexto y los pesos, en ese orden.",
    "El contexto es la mezcla de los valores; los pesos, un número por palabra.",
    "Acaba con return context, weights.",
)


def _seeded(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def _shares(scores: np.ndarray) -> np.ndarray:
    """Softmax sin exponenciales enormes."""
    grown = np.exp(scores - scores.max())
    return grown / grown.sum()


def _pair(received):
    """Las dos cosas que se devuelven, o lo que se ha recibido en su lugar."""
    if isinstance(received, tuple | list) and len(received) == 2:
        return None
    return f"{show(received)}, de tipo {type(received).__name__}; se esperaban dos cosas, context y weights"


def _two(case: tuple):
    return lambda answer: _pair(answer(*copy.deepcopy(case)))


def _part(place: int, truth, *cases: tuple):
    """Que una de las dos cosas que se devuelven, el contexto (0) o los pesos (1), sea la que toca."""

    def test(answer):
        for case in cases:
            received, expected = answer(*copy.deepcopy(case)), truth(*case)[place]
            problem = _pair(received) or expect(received[place], expected)
            if problem is None:
                continue
            found = as_tensor(received[place])
            if found is not None and found.isnan().any():
                return Diagnosis(
                    f"nan en lo que devuelves: {show(received[place])}",
                    (
                        "Hay nan en lo que devuelves. Mira qué le das a la exponencial.",
                        "exp de un número muy grande es infinito, e infinito entre infinito, nan.",
                        "Resta a las notas la mayor antes de la exponencial: el reparto no cambia.",
                    ),
                )
            return problem
        return None

    return test


_context, _weights = functools.partial(_part, 0), functools.partial(_part, 1)


# ---------------------------------------------------------------- ejercicio A2.1: producto, con relleno
def _attend(query, keys, values, real):
    scores = np.where(real, keys @ query, -np.inf)
    weights = _shares(scores)
    return weights @ values, weights


def _case(size: int, length: int, out: int, hidden: tuple[int, ...] = (), scale: float = 1.0) -> tuple:
    """query, keys, values y real; en las posiciones ``hidden`` hay relleno con claves que llaman la atención."""
    query, keys, values = scale * _seeded(1, size), _seeded(2, length, size), _seeded(3, length, out)
    real = np.ones(length, dtype=bool)
    real[list(hidden)] = False
    if scale > 1:  # notas enormes, y positivas
        query, keys = np.abs(query), np.abs(keys)
    for place, row in enumerate(hidden):  # notas de los dos signos: por −∞ no se multiplica
        keys[row] = 3 * query if place % 2 == 0 else -3 * query
    return query, keys, values, real


WHOLE, PADDED = _case(3, 4, 2), _case(3, 5, 2, (3, 4))


# ---------------------------------------------------------------- ejercicio A2.2: aditiva
def _additive(s, states, W, U, v):
    scores = np.array([v @ np.tanh(W @ s + U @ h) for h in states])
    weights = _shares(scores)
    return weights @ states, weights


def _bahdanau(hidden: int, length: int, inside: int, scale: float = 1.0) -> tuple:
    """s, states, W, U y v."""
    shapes = (hidden,), (length, hidden), (inside, hidden), (inside, hidden), (inside,)
    s, states, W, U, v = (_seeded(k, *shape) for k, shape in enumerate(shapes))
    if scale > 1:  # notas enormes, y al menos una positiva
        v = np.sign(np.tanh(W @ s + U @ states[0])) * (1 + np.abs(v))
    return s, states, W, U, scale * v


NARROW, SQUARE = _bahdanau(3, 4, 2), _bahdanau(3, 3, 3)

EXERCISES: dict[str, tuple[Rule, ...]] = {
    "A2.1": (
        Rule("Devuelve dos cosas: el contexto y los pesos", _two(WHOLE), _PAIR),
        Rule(
            "Los pesos son el softmax de las notas",
            _weights(_attend, WHOLE),
            (
                "Suma tus pesos, y compara cada nota con la fórmula.",
                "La nota de una palabra es el producto de su clave por la consulta; softmax es exp de cada nota, entre "
                "la suma de todas.",
                "Con scores = keys @ query, los pesos son np.exp(scores) / np.exp(scores).sum().",
            ),
        ),
        Rule(
            "El relleno no se lleva nada",
            _weights(_attend, PADDED, _case(2, 3, 1, (0, 2))),
            (
                "Mira los pesos donde real es False, y cuánto suman los demás.",
                "Si se quita después del softmax, los pesos ya no suman 1; y una nota de 0 no es nada, que e⁰ es 1.",
                "Antes del softmax, pon -np.inf donde no hay palabra: np.where(real, scores, -np.inf).",
            ),
        ),
        Rule(
            "El contexto es la mezcla de los valores",
            _context(_attend, WHOLE, PADDED, _case(4, 3, 4)),
            (
                "Los pesos están bien. Mira qué mezclas con ellos.",
                "Se mezclan los valores, y no las claves: la suma de cada valor por su peso.",
                "Es weights @ values.",
            ),
            symptoms=(ValueError,),
        ),
        Rule(
            "Aguanta notas enormes",
            _weights(_attend, _case(3, 4, 2, (1,), scale=900.0)),
            (
                "Prueba con una consulta mil veces mayor.",
                "exp de 1000 no cabe en un número. El reparto no cambia si a todas las notas se les resta lo mismo.",
                "np.exp(scores - scores.max()).",
            ),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("query", "keys", "values", "real", case=PADDED),
            (
                "Imprime lo que recibe tu función antes y después de llamarla.",
                "Asignar dentro de un array, como keys[~real] = 0, lo cambia también fuera.",
                "Trabaja sobre una copia, o con np.where, que hace otro.",
            ),
        ),
    ),
    "A2.2": (
        Rule("Devuelve dos cosas: el contexto y los pesos", _two(NARROW), _PAIR),
        Rule(
            "Las notas son v · tanh(W s + U h)",
            _weights(_additive, NARROW),
            (
                "Compara una nota tuya con la fórmula, pieza por pieza.",
                "W va con s, U con cada estado; se suman, pasan por la tangente y se multiplican por v. Y softmax.",
                "scores = np.tanh(W @ s + states @ U.T) @ v",
            ),
        ),
        Rule(
            "El contexto es la mezcla de los estados",
            _context(_additive, NARROW),
            (
                "Los pesos están bien. Mira qué mezclas con ellos.",
                "Aquí los estados hacen de claves y de valores: se mezclan tal cual, sin pasar por U.",
                "Es weights @ states.",
            ),
            symptoms=(ValueError,),
        ),
        Rule(
            "Vale para otros tamaños",
            every(
                hinted(
                    _weights(_additive, SQUARE),
                    "Aquí todo mide 3. Mira si cada matriz va con lo suyo y por el lado que toca.",
                    "U multiplica a cada estado: en fila, states @ U.T, y no states @ U.",
                    "scores = np.tanh(W @ s + states @ U.T) @ v",
                ),
                _context(_additive, SQUARE, _bahdanau(2, 6, 5), _bahdanau(1, 1, 1)),
            ),
            (
                "Prueba con una sola palabra y con A distinto de H.",
                "Toma los tamaños de lo que recibes, y no escribas ninguno.",
            ),
            symptoms=(ValueError, IndexError),
        ),
        Rule(
            "Aguanta notas enormes",
            _weights(_additive, _bahdanau(3, 4, 2, scale=900.0)),
            (
                "Prueba con una v mil veces mayor.",
                "exp de 1000 no cabe en un número. Resta la mayor de las notas antes de la exponencial.",
                "np.exp(scores - scores.max()).",
            ),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("s", "states", "W", "U", "v", case=NARROW),
            (
                "Imprime lo que recibe tu función antes y después de llamarla.",
                "Las operaciones como += cambian el array que reciben. Usa las que hacen otro.",
            ),
        ),
    ),
}
