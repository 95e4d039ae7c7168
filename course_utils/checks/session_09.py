"""Reglas de los ejercicios de la sesión 09: el sesgo por parejas, con su intervalo, y a cuántos inocentes se acusa."""

from __future__ import annotations

import copy
import math

import numpy as np

from .rules import Rule, every, hinted, unchanged
from .values import expect, prefixed, show


def _several(names: str, case: tuple):
    """Que se devuelvan tantas cosas como nombres."""
    count = len(names.split(", "))

    def test(answer):
        received = answer(*copy.deepcopy(case))
        try:
            whole = not isinstance(received, str | dict | set) and len(received) == count
        except Exception:  # no se deja contar
            whole = False
        if whole:
            return None
        return f"{show(received)}, de tipo {type(received).__name__}; se esperaban {count} números: {names}"

    return test


def _places(truth, *places_and_cases):
    """Que valgan lo que toca las cosas que se devuelven en esos sitios, con cada caso."""
    places, *cases = places_and_cases

    def test(answer):
        for case in cases:
            received, expected = answer(*copy.deepcopy(case)), truth(*case)
            for k in places:
                problem = expect(received[k], expected[k])
                if problem is not None:
                    return prefixed(_shown(case), problem)
        return None

    return test


def _shown(case: tuple) -> str:
    return "" if isinstance(case[0], np.ndarray) else f"con ({', '.join(show(x) for x in case)}): "


# ---------------------------------------------------------------- ejercicio 9.1: sesgo por parejas, con intervalo
def _bias(a, b, picks):
    gaps = (a - b) / math.log(2)
    means = gaps[picks].mean(axis=1)
    return gaps.mean(), np.quantile(means, 0.025), np.quantile(means, 0.975)


def _scores(seed: int, count: int, draws: int, *, alike: bool) -> tuple:
    """a, b y picks. Con ``alike``, a y b suben y bajan juntos, como dos frases casi iguales."""
    rng = np.random.default_rng(seed)
    base = -30 - 10 * rng.random(count)
    b = base if alike else np.full(count, -20.0)
    a = b + rng.normal(0.8, 1.0, count)
    return a, b, rng.integers(count, size=(draws, count))


FLAT, ALIKE = _scores(1, 12, 400, alike=False), _scores(2, 12, 400, alike=True)
SMALL, LARGE = _scores(3, 3, 50, alike=True), _scores(4, 40, 1000, alike=True)


# ---------------------------------------------------------------- ejercicio 9.2: inocentes acusados
def _accused(n, guilty, hits, alarms):
    innocent, caught = n * (1 - guilty) * alarms, n * guilty * hits
    return innocent, innocent / (innocent + caught) if innocent + caught else 0.0


CLASS, YEAR = (30, 0.1, 0.8, 0.05), (1200, 0.02, 0.9, 0.01)

EXERCISES: dict[str, tuple[Rule, ...]] = {
    "9.1": (
        Rule(
            "Devuelve tres números: la media y los dos extremos",
            _several("mean, low, high", FLAT),
            (
                "Mira cuántas cosas devuelves: son tres, en ese orden.",
                "La media es de los pares de verdad; los extremos, de las medias remuestreadas.",
                "Acaba con return mean, low, high.",
            ),
        ),
        Rule(
            "La media es la de las diferencias, en bits",
            _places(_bias, (0,), FLAT, ALIKE),
            (
                "Haz la cuenta a mano con dos pares: qué resta, con qué signo y en qué unidad.",
                "Positivo quiere decir que prefiere la primera: a menos b. Y un bit son 0,693 nats.",
                "gaps = (a - b) / math.log(2), y la media es gaps.mean().",
            ),
        ),
        Rule(
            "Los extremos son los percentiles 2,5 y 97,5 de las medias remuestreadas",
            every(
                hinted(
                    lambda answer: (
                        None
                        if (f := answer(*copy.deepcopy(FLAT)))[1] <= f[2]
                        else f"low, {show(f[1])}, mayor que high, {show(f[2])}"
                    ),
                    "El extremo de abajo sale mayor que el de arriba.",
                    "Primero el percentil 2,5 y después el 97,5.",
                ),
                _places(_bias, (1, 2), FLAT),
            ),
            (
                "Cada fila de picks son unos pares elegidos al azar, con repeticiones. Mira cuántas medias sacas.",
                "Una media por fila de picks, (R,); y de esas medias, lo que deja fuera el 2,5 % por cada lado.",
                "means = gaps[picks].mean(axis=1), y np.quantile(means, [0.025, 0.975]).",
            ),
        ),
        Rule(
            "Se remuestrean pares enteros, no frases sueltas",
            _places(_bias, (1, 2), ALIKE),
            (
                "Aquí las dos frases de cada par se parecen mucho, y tu intervalo no lo aprovecha.",
                "Primero se resta y después se elige: las dos frases de un par entran o salen juntas.",
                "Usa las mismas filas de picks para a y para b, o réstalas antes.",
            ),
        ),
        Rule(
            "Vale para otros tamaños",
            _places(_bias, (0, 1, 2), SMALL, LARGE),
            (
                "Prueba con tres pares y con cuarenta.",
                "Cuántos pares hay y cuántas veces se remuestrea lo dicen a y picks: no escribas ninguno.",
            ),
            symptoms=(IndexError, ValueError),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("a", "b", "picks", case=ALIKE),
            (
                "Imprime lo que recibe tu función antes y después de llamarla.",
                "Las operaciones como -= cambian el array que reciben. Usa las que hacen otro.",
            ),
        ),
    ),
    "9.2": (
        Rule(
            "Devuelve dos números: cuántos inocentes y qué parte",
            _several("count, share", CLASS),
            (
                "Mira cuántas cosas devuelves: son dos, en ese orden.",
                "Cuántos inocentes se acusan, y qué parte de los acusados son.",
                "Acaba con return count, share.",
            ),
        ),
        Rule(
            "Acusa a una parte de los inocentes",
            _places(_accused, (0,), CLASS, YEAR),
            (
                "Cuenta primero cuántos inocentes hay, que no son todos.",
                "Los inocentes son n · (1 − guilty), y de ellos se acusa a la parte que dice alarms.",
                "count = n * (1 - guilty) * alarms, sin redondear: es lo que se espera de media.",
            ),
        ),
        Rule(
            "La parte se reparte entre todos los acusados",
            _places(_accused, (1,), CLASS, YEAR),
            (
                "Haz a mano la clase de 30: a cuántos se acusa en total y cuántos no habían hecho nada.",
                "Los acusados son los inocentes acusados y los culpables descubiertos, n · guilty · hits.",
                "share = count / (count + n * guilty * hits).",
            ),
        ),
        Rule(
            "No pasa nada si no se acusa a nadie",
            _places(_accused, (0, 1), (30, 0.1, 0.0, 0.0), (30, 0.0, 0.9, 0.0)),
            (
                "Prueba con un detector que no acusa nunca.",
                "Si no hay acusados, la parte de inocentes es 0.0: no hay a quién haber hecho daño.",
                "Antes de dividir, mira si hay acusados.",
            ),
            symptoms=(ZeroDivisionError,),
        ),
        Rule(
            "Vale en los extremos",
            _places(
                _accused, (0, 1), (30, 0.0, 0.8, 0.05), (30, 1.0, 0.8, 0.05), (7, 0.5, 1.0, 1.0), (30, 0.1, 0.0, 0.05)
            ),
            (
                "Prueba con una clase sin tramposos y con una en la que todos lo son.",
                "Sin culpables, todos los acusados son inocentes: la parte es 1. Con todos culpables, es 0.",
            ),
        ),
    ),
}
