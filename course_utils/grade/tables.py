"""Las notas en CSV: ``notas.csv`` para leer y ``moodle.csv`` para importar."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from .course import Exercise
from .results import Result

POINTS = 2  # de un ejercicio resuelto
MOODLE = ["Identificador", "Nombre completo", "Calificación", "Calificación máxima"]
MOODLE += ["Última modificación (calificación)", "Comentarios de retroalimentación"]


def total(result: Result, exercises: Sequence[Exercise]) -> int:
    """Los puntos de los ejercicios que cuentan: los de las sesiones con letra son optativos."""
    return sum(_points(result, e) for e in exercises if not e.optional)


def most(exercises: Sequence[Exercise]) -> int:
    """Los puntos que se pueden tener."""
    return POINTS * sum(not exercise.optional for exercise in exercises)


def _points(result: Result, exercise: Exercise) -> int:
    verdict = result.verdicts.get(exercise.number)
    return verdict.points if verdict else 0


def grades(results, exercises: Sequence[Exercise], notes: Mapping[str, Sequence[str]], *, comma: bool) -> str:
    """``notas.csv``: una fila por persona, una columna por ejercicio, el total, el porcentaje y los avisos.

    De lo que no se ha entregado, la casilla queda vacía; y el total, si no se ha podido corregir nada. Con ``comma``,
    los decimales llevan coma, y se separa con punto y coma, que es lo que espera una hoja de cálculo en español.
    """
    best = most(exercises)
    head = ["Estudiante", *(e.number for e in exercises), f"Total (de {best})", "Porcentaje", "Avisos"]
    rows = [head]
    for result in results:
        mine = total(result, exercises)
        cells = ["" if e.number not in result.verdicts else _points(result, e) for e in exercises]
        share = _decimal(100 * mine / best, comma) if best else ""
        whole = [mine, share] if result.verdicts else ["", ""]
        rows.append([result.student, *cells, *whole, " · ".join(notes[result.student])])
    return _written(rows, ";" if comma else ",")


def moodle(results, exercises: Sequence[Exercise], notes, *, comma: bool) -> str:
    """``moodle.csv``: la hoja de calificaciones de una tarea de Moodle en español, sobre 100.

    Los nombres de las columnas son los suyos: si falta la de la fecha, la rechaza entera. A quien no se le ha podido
    corregir nada no se le pone nota.
    """
    rows = [MOODLE]
    best = most(exercises)
    for result in results:
        share = 100 * total(result, exercises) / best if best else 0.0
        ident = f"Participante {result.ident}" if result.ident else ""
        mine = [f"{e.number}: {_points(result, e)} de {POINTS}" for e in exercises if e.number in result.verdicts]
        grade = _decimal(share, comma) if result.verdicts and best else ""
        rows.append([ident, result.student, grade, _decimal(100, comma), "", " · ".join(mine)])
    return _written(rows, ",")


def _decimal(value: float, comma: bool) -> str:
    text = f"{value:.2f}"
    return text.replace(".", ",") if comma else text


def _written(rows: Sequence[Sequence], separator: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows([[_safe(x) for x in row] for row in rows])
    return text.getvalue()


def _safe(value):
    """Una hoja de cálculo ejecuta lo que empieza así: con un apóstrofo delante es solo texto."""
    if not isinstance(value, str):
        return value
    value = " ".join(value.split())
    return f"'{value}" if value.startswith(("=", "+", "-", "@")) else value
