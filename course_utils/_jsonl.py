"""Los textos que viajan con el curso, un objeto JSON por línea: se leen enteros o se dice qué línea no vale."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import _validate as valid

DATA = Path(__file__).parent / "data"


def read_jsonl(file: Path, types: Mapping[str, type], *, needed: Sequence[str] = ("text",)) -> list[dict]:
    """Las líneas de un fichero, cada una con todas las columnas de ``types``; lo que falta, ``None``.

    Parameters
    ----------
    file : Path
        UTF-8, un objeto por línea, al menos con los textos de ``needed``.
    types : mapping of str to type
        De cada columna, ``int`` o ``str``. Sin ``id``, se numeran desde 0.
    needed : sequence of str
        Las columnas de texto sin las que una línea no vale.

    Raises
    ------
    ValueError
        Si falta, está vacío o dañado: dice la línea y qué hacer.
    """
    remedy = "Repasa esa línea, o el fichero."
    if file.is_relative_to(DATA):
        remedy = "Restáuralo con «git checkout -- course_utils/data» o vuelve a instalar el paquete."
    try:
        # No por splitlines, que también corta en signos que puede llevar un texto, como U+2028.
        lines = enumerate(file.read_text(encoding="utf-8-sig").split("\n"), 1)
        rows = [_row(line, number, types, needed) for number, line in lines if line.strip()]
        valid.require(bool(rows), "está vacío")
    except (OSError, ValueError) as error:
        reason = type(error).__name__ if isinstance(error, OSError | UnicodeError) else error
        raise ValueError(f"El fichero {file} falta o está dañado: {reason}. {remedy}") from error
    return rows


def as_dataset(rows: Sequence[Mapping], types: Mapping[str, type], **features):
    """Las filas, en un ``datasets.Dataset`` con las columnas de ``types``, en su orden.

    Parameters
    ----------
    rows : sequence of mapping
        Como las da ``read_jsonl``.
    types : mapping of str to type
        De cada columna, ``int`` o ``str``.
    **features
        La columna que no es un entero ni un texto a secas, por ejemplo ``label=ClassLabel(…)``.
    """
    from datasets import Dataset, Features, Value

    plain = {name: Value("int64" if kind is int else "string") for name, kind in types.items()}
    columns = {name: [row[name] for row in rows] for name in types}
    return Dataset.from_dict(columns, features=Features(plain | features))


def _row(line: str, number: int, types: Mapping[str, type], needed: Sequence[str]) -> dict:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    for name in needed:
        valid.require(
            isinstance(row, dict) and isinstance(row.get(name), str),
            f"la línea {number} no es un objeto JSON con un texto en «{name}»",
        )
    for name, kind in types.items():
        value = row.get(name)
        fits = value is None or (isinstance(value, kind) and not isinstance(value, bool))
        wanted = "un entero" if kind is int else "un texto"
        valid.require(fits, f"en la línea {number}, «{name}» debe ser {wanted} y es {value!r}")
    return {name: row.get(name) for name in types} | ({} if row.get("id") is not None else {"id": number - 1})
