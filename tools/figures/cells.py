"""Las celdas de los cuadernos, por su nombre: se ejecutan o se lee lo que imprimieron, y la figura da lo mismo."""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import re
from functools import cache
from html import unescape

import matplotlib.pyplot as plt

from .. import ROOT

NOTEBOOKS = ROOT / "notebooks"


@cache
def _cells(session: str) -> dict[str, dict]:
    """Las de la sesión y, si no las tapan, las de su profundiza."""
    paths = sorted(NOTEBOOKS.glob(f"profundiza/{session}_*.ipynb")) + sorted(NOTEBOOKS.glob(f"{session}_*.ipynb"))
    return {cell["id"]: cell for path in paths for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}


def find(session: str, name: str) -> dict:
    """La celda de código con ese nombre, o un ``ValueError``."""
    cell = _cells(session).get(name)
    if cell is None or cell["cell_type"] != "code":
        raise ValueError(
            f"El cuaderno {session} no tiene ninguna celda de código «{name}». Si ahora se llama de otra manera, "
            f"cambia session_{session}.py; si es nueva, ejecuta «make notebooks»."
        )
    return cell


def run(session: str, names: list[str], namespace: dict) -> dict:
    """Ejecuta esas celdas en ``namespace``, sin dejar que impriman, y lo devuelve."""
    for name in names:
        code = "".join(find(session, name)["source"])
        where = f"{session}, {name}"
        linecache.cache[where] = len(code), None, code.splitlines(keepends=True), where  # para inspect.getsource
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, where, "exec"), namespace)
    return namespace


@cache
def prepared(session: str, *names: str) -> dict:
    """Lo que esas celdas dejan a mano, la primera vez; ni su estilo ni sus figuras salen de aquí."""
    with plt.rc_context():
        found = run(session, list(names), {})
    plt.close("all")
    return found


def printed(session: str, name: str, pattern: str) -> tuple[str, ...]:
    """Los grupos de la primera vez que la salida guardada de una celda da ``pattern``; las tablas son HTML.

    Raises
    ------
    ValueError
        Si no lo da.
    """
    found = []
    for output in find(session, name)["outputs"]:
        data = output.get("data", {})
        html = "".join(data.get("text/html", ""))
        found.append("".join(output.get("text") or (html if "<table" in html else data.get("text/plain", ""))))
    match = re.search(pattern, unescape("\n".join(found)), re.S | re.M)
    if match is None:
        raise ValueError(
            f"La celda «{name}» del cuaderno {session} ya no imprime {pattern!r}. Si ha cambiado, cambia "
            f"session_{session}.py; si no, ejecútala con «make notebooks»."
        )
    return match.groups()


def table(session: str, name: str) -> dict[str, dict[str, float]]:
    """La tabla que muestra una celda: {columna: {fila: número}}."""
    (body,) = printed(session, name, r"(<table.*?</table>)")
    head, *rows = re.findall(r"<tr.*?</tr>", body, re.S)
    columns = re.findall(r"<th>(.*?)</th>", head)
    values = [re.findall(r"<t[hd]>\s*(.*?)\s*</t[hd]>", row, re.S) for row in rows]
    return {column: {row[0]: float(row[i]) for row in values} for i, column in enumerate(columns) if i}
