"""Ejecutar celdas de un cuaderno para dibujar lo mismo que él."""

from __future__ import annotations

import contextlib
import io
import re

from .. import ROOT

NOTEBOOKS = ROOT / "notebooks" / "fuente"


def run_cells(notebook: str, starts: list[str], namespace: dict) -> dict:
    """Ejecuta en ``namespace`` las celdas del cuaderno que empiezan así, para que la figura dé lo mismo que él.

    Raises
    ------
    ValueError
        Si una celda no está, o hay varias que empiezan igual.
    """
    (path,) = NOTEBOOKS.glob(f"{notebook}_*.md")
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)
    for start in starts:
        found = [cell for cell in cells if cell.lstrip().startswith(start)]
        if len(found) != 1:
            raise ValueError(f"{path.name} tiene {len(found)} celdas que empiezan por {start!r}; hace falta una.")
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(found[0], path.name, "exec"), namespace)
    return namespace
