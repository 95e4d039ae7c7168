"""Repetir un trabajo: ejecutarlo de nuevo, en una copia, y comparar los números de cada evidencia."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat

from .. import runner
from .looks import NO, PERSON, YES, Look
from .reading import Book, parse

TOLERANCE = 0.01  # de una máquina a otra, lo que sale de entrenar baila
BIGGEST = 50_000_000  # bytes de un fichero que se copia con el cuaderno
CRITERION = "Presentación"
SAMPLED = ("texts", "choice")  # con un modelo recién entrenado, un decimal cambia la palabra que sale


def repeat(path: str | Path, before: Book, *, timeout: int = 900) -> list[Look]:
    """Ejecuta una copia del cuaderno, con los ficheros de su carpeta al lado, y dice qué números cambian.

    Esto sí ejecuta el código del trabajo: solo si te fías de quien lo escribió.

    Parameters
    ----------
    path : str or Path
        El cuaderno.
    before : Book
        Lo que decía.
    timeout : int
        Segundos por celda, como mucho.

    Raises
    ------
    ValueError
        Si el núcleo no arranca.

    Notes
    -----
    Se usa en el trabajo final.
    """
    path = Path(path).resolve()
    notebook = nbformat.read(path, as_version=4)
    root = str(Path(__file__).resolve().parents[2])
    python_path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))  # este mismo paquete
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": python_path}
    with tempfile.TemporaryDirectory() as folder:
        for file in path.parent.iterdir():
            if file.is_file() and file != path and file.stat().st_size <= BIGGEST:
                shutil.copy(file, folder)
        with contextlib.closing(runner.execute(notebook, cwd=folder, env=env, timeout=timeout)) as cells:
            for cell, error in cells:
                if error:
                    where = cell.source.strip().splitlines()[0][:60]
                    text = f"Al repetirlo falla la celda «{where}»: {str(error).strip().splitlines()[-1][:120]}"
                    return [Look(CRITERION, NO, text, "Que no dependa de ficheros de tu equipo ni del orden.")]
    return compare(before, parse(notebook))


def compare(before: Book, after: Book) -> list[Look]:
    """Los números de las evidencias, uno a uno; los textos, si son los mismos."""
    kinds = [[values["kind"] for _, values in book.found] for book in (before, after)]
    if kinds[0] != kinds[1]:
        text = f"Al repetirlo no salen las mismas evidencias: había {len(kinds[0])} y salen {len(kinds[1])}."
        return [Look(CRITERION, NO, text, "Ejecútalo entero y guárdalo.")]
    pairs = list(zip(before.found, after.found, strict=True))
    changed = [(old["kind"], f"{old['kind']}.{where}") for (_, old), (_, new) in pairs for where in _changes(old, new)]
    places = ", ".join(where for _, where in changed[:5])
    if any(kind not in SAMPLED for kind, _ in changed):
        remedy = f"Fija cada semilla. (Se admite un {100 * TOLERANCE:.0f} % de diferencia)."
        return [Look(CRITERION, NO, f"Al repetirlo cambian {len(changed)} valores: {places}.", remedy)]
    if changed:
        text = f"Al repetirlo cambia lo muestreado ({places}): en la misma máquina, no debería; en otra, es normal."
        return [Look(CRITERION, PERSON, text)]
    return [Look(CRITERION, YES, f"Repetido: las {len(pairs)} evidencias dan lo mismo")]


def _changes(old, new, where: str = "") -> Iterator[str]:
    """Las rutas de los valores que no son los mismos."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _changes(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for k, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _changes(a, b, f"{where}[{k}]")
    elif _is_real(old) and _is_real(new):
        if not math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=TOLERANCE / 10):
            yield where
    elif old != new:
        yield where


def _is_real(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
