"""Reglas de los ejercicios de la sesión 08: la máscara de unas opciones, los aciertos entre los k y los vecinos."""

from __future__ import annotations

import functools

import numpy as np

from .rules import Rule, agrees, every, hinted, unchanged

# ---------------------------------------------------------------- ejercicio 8.1: la máscara de unas opciones
PIECES = ["", "po", "posi", "sitiva", "tiva", "negativa", "nega", "n", "o", " lo", " sé", "s", "sí", " ", "positivas"]
LABELS, TANGLED = ["positiva", "negativa"], ["no", "no lo sé", "sí"]


def _allowed(pieces, written, options):
    whole = [written + piece for piece in pieces]
    return [
        written in options if piece == "" else any(option.startswith(text) for option in options)
        for piece, text in zip(pieces, whole, strict=True)
    ]


_mask = functools.partial(agrees, _allowed)


# ---------------------------------------------------------------- ejercicio 8.2: aciertos entre los k primeros
FOUND = [[4, 7, 1], [2, 0, 9], [5, 3, 8], [6, 1, 0], [3, 9, 4]]
GOLD = [4, 9, 2, None, 9]


def _hit_at_k(found, gold, k):
    asked = [(row, right) for row, right in zip(found, gold, strict=True) if right is not None]
    return sum(right in row[:k] for row, right in asked) / len(asked)


_rate = functools.partial(agrees, _hit_at_k)


# ---------------------------------------------------------------- ejercicio 8.3: los vectores más parecidos
ALIKE = np.array([[1.0, 0.1], [0.6, 0.8], [-1.0, 0.05], [0.9, -0.5]])
LONG = np.array([[0.3, 0.0], [2.0, 6.0], [-8.0, 0.5], [1.0, -0.4], [0.2, 0.1]])


def _nearest(question, pages, k):
    cosines = pages @ question / (np.linalg.norm(pages, axis=1) * np.linalg.norm(question))
    return np.argsort(-cosines)[:k].tolist()


_close = functools.partial(agrees, _nearest)

EXERCISES: dict[str, tuple[Rule, ...]] = {
    "8.1": (
        Rule(
            "Al principio, vale lo que empieza una opción",
            _mask((PIECES[1:], "", LABELS)),
            (
                "Devuelve un verdadero o falso por pieza, en el orden de pieces. Mira cuáles de las tuyas cambian.",
                "Una pieza vale si alguna opción empieza por ella: «nega» vale, «tiva» y «positivas» no.",
                "any(option.startswith(written + piece) for option in options)",
            ),
        ),
        Rule(
            "A medias, cuenta lo que ya está escrito",
            _mask((PIECES[1:], "posi", LABELS), (PIECES[1:], "nega", LABELS), (PIECES[1:], "p", LABELS)),
            (
                "Prueba con written igual a «posi»: solo se puede seguir con «tiva».",
                "Lo que tiene que ser el principio de una opción no es la pieza: es lo escrito más la pieza.",
                "Compara option.startswith(written + piece), y no option.startswith(piece).",
            ),
        ),
        Rule(
            "Cuando ya no se puede seguir, nada",
            _mask((PIECES[1:], "positiva", LABELS), (PIECES[1:], "pan", LABELS)),
            (
                "Prueba con written igual a «positiva»: ninguna pieza con letras vale.",
                "Ni lo que se pasa de la opción ni lo que sigue a algo que no es principio de ninguna.",
                "Con option.startswith(written + piece) sale solo: no hagas excepciones.",
            ),
        ),
        Rule(
            "La pieza vacía es el fin: solo con una opción entera",
            every(
                hinted(
                    _mask((PIECES, "", LABELS), (PIECES, "posi", LABELS)),
                    "Mira qué dice tu máscara de la pieza vacía cuando la opción está a medias.",
                    "Todo texto empieza por «», y startswith dice que sí. El fin solo vale si written es una opción.",
                    'written in options if piece == "" else any(…)',
                ),
                _mask((PIECES, "negativa", LABELS)),
            ),
            (
                "Prueba con written igual a «negativa» y la pieza vacía.",
                "La pieza vacía es el token de fin: vale cuando lo escrito ya es una de las opciones.",
                'written in options if piece == "" else any(…)',
            ),
        ),
        Rule(
            "Una opción puede ser el principio de otra",
            _mask((PIECES, "no", TANGLED), (PIECES, "n", TANGLED), (PIECES, "s", TANGLED), (PIECES, "no lo", TANGLED)),
            (
                "Prueba con las opciones «no» y «no lo sé», y written igual a «no».",
                "Ahí se puede acabar y también seguir: las dos cosas valen a la vez.",
                "No pares en la primera opción que encaje: any() las mira todas.",
            ),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("pieces", "written", "options", case=(PIECES, "no", TANGLED)),
            (
                "Imprime lo que recibe tu función antes y después de llamarla.",
                "Con .sort() o .remove() la lista cambia también fuera: usa sorted(), o haz otra.",
            ),
        ),
    ),
    "8.2": (
        Rule(
            "Devuelve qué parte de las preguntas tienen su pasaje entre los k",
            _rate(([[4, 7, 1], [2, 0, 9]], [4, 8], 3), ([[4, 7, 1], [2, 0, 9]], [1, 9], 3), ([[5]], [3], 1)),
            (
                "Cuenta a mano: dos preguntas, y el pasaje bueno está en una de las dos listas. Sale 0,5.",
                "Por cada pregunta, ¿está su pasaje en su lista? Y después, la media.",
                "sum(right in row[:k] for row, right in zip(found, gold)) / len(gold)",
            ),
        ),
        Rule(
            "Solo cuentan los k primeros",
            _rate(([[4, 7, 1], [2, 0, 9]], [1, 9], 1), ([[4, 7, 1], [2, 0, 9]], [7, 2], 2), ([[4, 7, 1]], [7], 1)),
            (
                "Prueba con k igual a 1 y el pasaje bueno en el segundo puesto: no cuenta.",
                "Recorta cada lista antes de mirar: del principio, k.",
                "row[:k]",
            ),
            symptoms=(IndexError,),
        ),
        Rule(
            "Las preguntas sin respuesta no cuentan",
            _rate((FOUND, GOLD, 1), (FOUND, GOLD, 2), (FOUND, GOLD, 3)),
            (
                "Hay preguntas cuyo pasaje es None: en las páginas no está. Mira qué haces con ellas.",
                "Ni suman aciertos ni entran en el total por el que divides.",
                "Quédate antes con las parejas en las que right is not None, y divide entre cuántas son.",
            ),
            symptoms=(TypeError,),
        ),
        Rule(
            "El pasaje 0 también es un pasaje",
            _rate(([[0, 3], [3, 1]], [0, 0], 2), ([[2, 0]], [0], 2)),
            (
                "Prueba con el pasaje número 0.",
                "if right: da falso con None y también con 0.",
                "if right is not None",
            ),
            symptoms=(ZeroDivisionError,),
        ),
        Rule(
            "k puede ser mayor que la lista",
            _rate((FOUND, GOLD, 10), ([[1], [2, 3]], [1, 3], 2)),
            ("Prueba con k igual a 10 y listas de tres.", "row[:10] no falla: se queda con lo que hay. row[9], sí."),
            symptoms=(IndexError,),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("found", "gold", case=(FOUND, GOLD, 2)),
            (
                "Imprime found y gold antes y después de llamar a tu función.",
                "Con .remove(), .pop() o del se cambia la lista de fuera. Haz otra.",
            ),
        ),
    ),
    "8.3": (
        Rule(
            "Devuelve los números de fila, del más parecido al menos",
            _close(
                (np.array([1.0, 0.0]), ALIKE, 3), (np.array([0.0, 1.0]), ALIKE, 4), (np.array([1.0, 0.0]), ALIKE, 1)
            ),
            (
                "Con [1, 0] y las filas [1, 0,1], [0,6, 0,8], [−1, 0,05] y [0,9, −0,5], la primera es la fila 0.",
                "Un coseno por fila, y se ordenan las filas: np.argsort ordena de menor a mayor.",
                "np.argsort(-cosines)[:k].tolist()",
            ),
        ),
        Rule(
            "Cuenta la dirección, no lo largo que es el vector",
            _close((np.array([1.0, 0.2]), LONG, 2), (np.array([0.5, 0.5]), LONG, 3), (np.array([3.0, -1.0]), LONG, 5)),
            (
                "Prueba con un vector muy largo que apunte a otro lado: no tiene que ganar.",
                "El producto escalar crece con la longitud: divídelo entre la de cada fila.",
                "pages @ question / (np.linalg.norm(pages, axis=1) * np.linalg.norm(question))",
            ),
        ),
        Rule(
            "k puede ser mayor que el número de filas",
            _close((np.array([1.0, 0.2]), LONG, 9), (np.array([1.0, 0.2]), LONG[:1], 2)),
            ("Prueba con k igual a 9 y cinco filas.", "[:9] no falla: se queda con lo que hay."),
            symptoms=(IndexError, RuntimeError, ValueError),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("question", "pages", case=(np.array([1.0, 0.2]), LONG, 2)),
            (
                "Imprime question y pages antes y después de llamar a tu función.",
                "pages /= … cambia la tabla de fuera; pages = pages / … hace otra.",
            ),
        ),
    ),
}
