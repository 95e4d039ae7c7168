"""Leer un cuaderno entregado: de quién son sus celdas, qué respuesta hay a cada ejercicio y qué tiene de raro."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .. import checks
from . import slicing
from .course import Exercise, cell

MAX_FILE = 20 * 2**20
MAX_CELLS, MAX_CODE = 5000, 2**20
_NAMED = re.compile(r"(ejercicio|comprueba)-(\w+)-(\d+)")
_CHECKED = re.compile(r"check\(\s*[\"'](\w+\.\d+)[\"']\s*,\s*(\w+)\s*[,)]")
_RISKY = {
    *("os", "subprocess", "socket", "shutil", "ctypes", "signal", "gc", "inspect", "threading", "multiprocessing"),
    *("importlib", "builtins", "atexit", "pty", "mmap", "resource", "faulthandler", "_thread", "asyncio"),
}


class Unreadable(ValueError):
    """Un archivo que no se puede leer como cuaderno; el mensaje dice por qué."""


@dataclass(frozen=True)
class Attempt:
    """La respuesta a un ejercicio: su código, con qué nombre queda y lo que hay que ejecutar para tenerla."""

    number: str
    source: str
    function: str
    cells: tuple[dict, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notebook:
    """Lo leído: las respuestas, por número, de qué cuadernos del curso son y lo que conviene saber."""

    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    books: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def from_bytes(raw: bytes) -> list[dict]:
    """Las celdas de código de lo que contiene un archivo, con ``id`` y ``source``.

    Raises
    ------
    Unreadable
        Si no es un cuaderno.
    """
    if not raw.strip():
        raise Unreadable("está vacío")
    try:
        found = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unreadable("no es texto") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable("no es un cuaderno o está cortado: su JSON no se entiende") from error
    cells = found.get("cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("no es un cuaderno de Jupyter: no tiene celdas")
    found = [_cell(cell) for cell in cells[:MAX_CELLS] if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    if sum(len(cell["source"]) for cell in found) > MAX_CODE:
        raise Unreadable("lleva más de un millón de letras de código, y no se mira")
    return found


def _cell(cell: dict) -> dict:
    """El nombre va en ``id``; Colab lo guarda en los metadatos."""
    source, data = cell.get("source", ""), cell.get("metadata")
    text = "".join(x for x in source if isinstance(x, str)) if isinstance(source, list) else str(source)
    names = [cell.get("id"), data.get("id") if isinstance(data, dict) else None]
    name = next((x for x in names if isinstance(x, str) and _NAMED.fullmatch(x)), "")
    return {"id": name, "source": slicing.plain(text)}


def read(cells: list[dict], exercises: Mapping[str, Exercise]) -> Notebook:
    """Busca la respuesta a cada ejercicio de los cuadernos del curso a los que se parece este."""
    sources = [cell["source"] for cell in cells]
    found = slicing.statements(sources)
    attempts, notes = {}, []
    for exercise in exercises.values():
        attempt = _attempt(cells, sources, found, exercise)
        if attempt is not None:
            attempts[exercise.number] = attempt
    books = {exercises[number].notebook for number in attempts}
    known, named = {cell(number) for number in checks.EXERCISES}, {c["id"] for c in cells}
    strange = sorted(name for name in named - known if name.startswith("ejercicio-"))
    if strange:
        notes.append(f"de otra edición del curso: tiene {', '.join(strange[:5])}, que ya no existe")
    if not attempts and named & known:
        notes.append("es de una sesión que ahora no se corrige")
    elif not attempts and not strange:
        notes.append("no es un cuaderno de este curso, o no le queda ningún ejercicio")
    for exercise in exercises.values():
        if exercise.notebook in books and exercise.number not in attempts:
            notes.append(f"{exercise.number}: falta su celda")
    return Notebook(attempts, tuple(sorted(books)), tuple(notes))


def _attempt(cells, sources, found, exercise: Exercise) -> Attempt | None:
    """La respuesta: la última celda, hasta su comprobación, que define la función pedida."""
    named = [k for k, cell in enumerate(cells) if cell["id"] == exercise.cell]
    checked = [k for k, text in enumerate(sources) for n, _ in _CHECKED.findall(text) if n == exercise.number]
    function, notes = exercise.function, []
    defined = sorted({s.cell for s in found if function in s.binds})
    if not defined:
        other = [f for k in checked for n, f in _CHECKED.findall(sources[k]) if n == exercise.number]
        other = [f for f in other if any(f in s.binds for s in found)]
        if other:
            function = other[-1]
            defined = sorted({s.cell for s in found if function in s.binds})
            notes.append(f"{exercise.number}: la función se llama {function} y no {exercise.function}")
    if not named and not defined:
        return None
    if not named:
        notes.append(f"{exercise.number}: su celda ha perdido el nombre; se ha encontrado por la función")
    if len(named) > 1 or len(defined) > 1:
        notes.append(f"{exercise.number}: hay {max(len(named), len(defined))} celdas; cuenta la última")
    if not defined:
        why = _broken(sources[named[-1]]) or "la celda no define la función pedida"
        return Attempt(exercise.number, sources[named[-1]], function, (), (*notes, f"{exercise.number}: {why}"))
    before = [k for k in defined if checked and k <= checked[-1]]
    last = (before or defined)[-1]
    chosen = slicing.needed(found, function, last)
    risky = sorted({name for s in chosen for name in s.needs & _RISKY} | _reached(sources[last]))
    if risky:
        notes.append(f"{exercise.number}: usa {', '.join(risky)}, que no hace falta para contestar: míralo")
    return Attempt(exercise.number, sources[last], function, _pieces(sources, chosen), tuple(notes))


def _broken(source: str) -> str:
    """En qué línea deja de ser Python; vacío si lo es."""
    try:
        ast.parse(source)
    except SyntaxError as error:
        return f"la celda no es Python válido: mira la línea {error.lineno or 1}"
    except (ValueError, RecursionError, MemoryError):
        return "la celda no es Python válido"
    return ""


def _reached(source: str) -> set[str]:
    """Otras señales de que el código mira donde no debe."""
    marks = ("settrace", "__globals__", "_getframe", "__subclasses__", "__builtins__", "course_utils.checks")
    marks += ("soluciones", "exec(", "eval(", "open(", "__import__", "notas.csv")
    imported = set()
    for node in (inner for statement in slicing.parse(source) or () for inner in ast.walk(statement)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    return imported & _RISKY | {mark.rstrip("(") for mark in marks if mark in source}


def _pieces(sources, chosen) -> tuple[dict, ...]:
    """Lo que se manda a ejecutar: las sentencias de cada celda, en el orden en que tocan."""
    pieces: list[dict] = []
    for statement in chosen:
        name = f"<celda {statement.cell + 1}>"
        if not pieces or pieces[-1]["name"] != name:
            pieces.append({"name": name, "source": sources[statement.cell], "keep": []})
        pieces[-1]["keep"].append(statement.place)
    return tuple(pieces)
