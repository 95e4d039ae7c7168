"""Lo que la revisión sabe de un cuaderno: sus evidencias, en orden, su prosa y si se ejecutó de arriba abajo."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat

from .evidence import MARK


@dataclass(frozen=True)
class Book:
    """Un cuaderno leído.

    Parameters
    ----------
    found : tuple of (int, mapping)
        Cada evidencia, con el número de la celda que la muestra.
    broken : tuple of str
        Las líneas de evidencia que no se entienden.
    prose : tuple of (int, str)
        Las celdas de texto.
    counts : tuple
        El número de ejecución de cada celda de código con algo escrito; ``None`` si no se ejecutó.
    errors : tuple of str
        Los errores que hay en las salidas.
    code : str
        Todo el código, seguido. Nadie lo ejecuta.
    """

    found: tuple[tuple[int, Mapping], ...]
    broken: tuple[str, ...]
    prose: tuple[tuple[int, str], ...]
    counts: tuple[int | None, ...]
    errors: tuple[str, ...]
    code: str

    def all(self, kind: str) -> list[Mapping]:
        """Las evidencias de una clase, en orden."""
        return [values for _, values in self.found if values["kind"] == kind]

    def last(self, kind: str) -> Mapping:
        """La última de una clase, o una vacía: lo que no está se ve en que le falta todo."""
        return (self.all(kind) or [{}])[-1]

    def first(self, *kinds: str) -> int | None:
        """En qué puesto está la primera evidencia de esas clases: puede haber varias en una celda."""
        return next((k for k, (_, values) in enumerate(self.found) if values["kind"] in kinds), None)

    @property
    def trains(self) -> bool:
        """Si entrena: lo dice su plan o, si no lo hay, lo delatan un entrenamiento o un «después»."""
        said = self.last("plan").get("trains")
        return bool(said) if said is not None else bool(self.all("training")) or len(self.all("measure")) > 1

    @property
    def generates(self) -> bool:
        """Si escribe textos; si el plan no dice lo contrario, sí."""
        return bool(self.last("plan").get("generates", True))


def read(path: str | Path) -> Book:
    """Lee un cuaderno, de cualquier versión 4 de nbformat.

    Raises
    ------
    ValueError
        Si no existe o no es un cuaderno.
    """
    try:
        return parse(nbformat.read(path, as_version=4))
    except OSError as error:
        raise ValueError(f"No puedo leer {path} ({type(error).__name__}). ¿Es esa su ruta?") from None
    except Exception as error:  # nbformat lanza lo que le sale al paso
        raise ValueError(f"{path} no es un cuaderno válido ({type(error).__name__}). Guárdalo otra vez.") from None


def parse(notebook) -> Book:
    """Lo que hay en un cuaderno ya leído."""
    found, broken, prose, counts, errors, code = [], [], [], [], [], []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            prose.append((number, _text(cell.source)))
        if cell.cell_type != "code" or not _text(cell.source).strip():
            continue
        counts.append(cell.get("execution_count"))
        code.append(_text(cell.source))
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                errors.append(f"{output.get('ename')}: {output.get('evalue')}".splitlines()[0][:120])
            for line in _evidence_lines(output):
                values = _values(line)
                (broken if values is None else found).append(line if values is None else (number, values))
    return Book(tuple(found), tuple(broken), tuple(prose), tuple(counts), tuple(errors), "\n".join(code))


def _text(source) -> str:
    return source if isinstance(source, str) else "".join(source)


def _evidence_lines(output) -> Iterator[str]:
    """Lo que sigue a la marca en cada línea que la lleva: impresa, como resultado o, si no hay otra cosa, en HTML."""
    shown = output.get("text") or output.get("data", {}).get("text/plain")
    if shown is None:
        shown = html.unescape(re.sub(r"<[^>]+>", "\n", _text(output.get("data", {}).get("text/html", ""))))
    for line in _text(shown).splitlines():
        before, mark, after = line.partition(MARK)
        if mark and not before.strip(" '\"(["):
            yield after.strip()


def _values(line: str) -> dict | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) and isinstance(values.get("kind"), str) else None
