"""Corregir la entrega de una persona y guardar lo que sale: es lo que permite cortar y seguir."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import reading
from .course import Exercise, edition, normal
from .gather import File, Submission
from .judging import Verdict, judge
from .sandbox import Sandbox

MISSING = Verdict(0, "falta")
_NOT_THERE = "Ejecuta esa celda en tu cuaderno: la función tiene que quedar definida y llamarse como pide el enunciado."


@dataclass
class Result:
    """Lo corregido de una persona: cuadernos, veredicto y código de cada ejercicio, y avisos con su archivo."""

    student: str
    ident: str = ""
    books: list[str] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0


def grade(submission: Submission, exercises: Mapping[str, Exercise], sandbox: Sandbox) -> Result:
    """Corrige todos los cuadernos de una persona. De cada ejercicio queda la mejor de sus respuestas."""
    start = time.perf_counter()
    result, seen = Result(submission.student, submission.ident), {}
    if not any(file.raw is not None for file in submission.files):
        result.notes.append(("", "no hay ningún cuaderno que se pueda corregir"))
    for file in submission.files:
        notebook = _notebook(file, exercises, result)
        for number, attempt in notebook.attempts.items():
            if number in seen:
                result.notes.append((file.path, f"{number}: está también en otro de sus cuadernos; cuenta el mejor"))
            seen[number] = file.path
            verdict = _verdict(sandbox, attempt, exercises[number])
            if number not in result.verdicts or verdict.points > result.verdicts[number].points:
                result.verdicts[number], result.sources[number] = verdict, attempt.source
            result.notes += [(file.path, note) for note in attempt.notes]
            if verdict.kind == "cortado":
                result.notes.append((file.path, f"{number}: {verdict.received}"))
        result.books = sorted({*result.books, *notebook.books})
    result.seconds = time.perf_counter() - start
    return result


def _notebook(file: File, exercises, result: Result) -> reading.Notebook:
    if file.raw is None:
        result.notes.append((file.path, file.why))
        return reading.Notebook()
    try:
        notebook = reading.read(reading.from_bytes(file.raw), exercises)
    except reading.Unreadable as error:
        result.notes.append((file.path, str(error)))
        return reading.Notebook()
    except RecursionError:
        result.notes.append((file.path, "su código está anidado sin fin"))
        return reading.Notebook()
    result.notes += [(file.path, note) for note in notebook.notes]
    return notebook


def _verdict(sandbox: Sandbox, attempt: reading.Attempt, exercise: Exercise) -> Verdict:
    """El veredicto; sin ejecutar nada si no hay función o es el hueco tal cual."""
    if not attempt.cells:
        return Verdict(0, "sin resolver", received=attempt.notes[-1].partition(": ")[2], hint=_NOT_THERE)
    if normal(attempt.source, attempt.function) == normal(exercise.stub, exercise.function):
        return Verdict(0, "pendiente")
    return judge(sandbox, exercise.number, list(attempt.cells), attempt.function)


# ---------------------------------------------------------------- guardar
def key(submission: Submission, settings: str) -> str:
    """La huella de una entrega, de las reglas y de los límites: si no cambia, no hace falta corregirla otra vez."""
    found = hashlib.sha256(f"{edition()}|{settings}|{submission.student}|{submission.ident}".encode())
    for file in submission.files:
        found.update(f"|{file.path}|{file.why}|".encode())
        found.update(hashlib.sha256(file.raw or b"").digest())
    return found.hexdigest()[:40]


def save(folder: Path, name: str, result: Result) -> None:
    """Guarda un resultado de una vez: o está entero o no está."""
    temporary = folder / f"{name}.{os.getpid()}.tmp"
    try:
        temporary.write_text(json.dumps(asdict(result), ensure_ascii=False), encoding="utf-8")
        os.replace(temporary, folder / f"{name}.json")
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def saved(folder: Path, name: str) -> Result | None:
    """El resultado guardado, o ``None``."""
    try:
        found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        verdicts = {k: Verdict(**v | {"problems": tuple(v["problems"])}) for k, v in found.pop("verdicts").items()}
        notes = [tuple(note) for note in found.pop("notes")]
        return Result(**found, verdicts=verdicts, notes=notes)
    except (OSError, ValueError, KeyError, TypeError):
        return None
