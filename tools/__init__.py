"""Las herramientas de quien mantiene el curso: construir, comprobar, empaquetar y entrenar.

Se llaman desde la raíz del repositorio con ``python -m tools.NOMBRE``, o con ``make``. Quien solo usa el curso no las
necesita: lo suyo está en ``python -m course_utils``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from course_utils._files import atomic_write

ROOT = Path(__file__).resolve().parents[1]


def write_if_changed(path: Path, text: str) -> bool:
    """Escribe un texto de una vez y solo si cambia; dice si lo ha escrito."""
    data = text.rstrip("\n").encode() + b"\n"
    if path.is_file() and path.read_bytes() == data:
        return False
    atomic_write(path, data)
    return True


def exit_code(work: Callable[[], list[str]], remedy: str) -> int:
    """Hace el trabajo de una orden y cuenta en stderr los problemas que devuelve, o su error; 0 si no hay ninguno."""
    try:
        problems = work()
    except ValueError as error:
        problems, remedy = [f"Error: {error}"], ""
    if problems:
        print(*problems, remedy, sep="\n", file=sys.stderr)
    return int(bool(problems))
