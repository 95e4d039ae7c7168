"""Los cuadernos como los miran las pruebas: sus rutas, sus celdas por nombre, y lo que dicen, llaman y muestran."""

import ast
import re
from functools import cache
from pathlib import Path

import nbformat

from course_utils.runner import in_order

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
SESSIONS = in_order(NOTEBOOKS.glob("*.ipynb"))
DEEP = in_order((NOTEBOOKS / "profundiza").glob("*.ipynb"))
STUDENT = SESSIONS + DEEP
SOLVED = [NOTEBOOKS / "soluciones" / path.relative_to(NOTEBOOKS) for path in STUDENT]
SOURCES = [(NOTEBOOKS / "fuente" / path.relative_to(NOTEBOOKS)).with_suffix(".md") for path in STUDENT]
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}


def name(path: Path) -> str:
    return path.relative_to(NOTEBOOKS).as_posix()


@cache  # nadie los cambia
def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def session(code: int | str) -> Path:
    """El cuaderno del alumnado de una sesión: la 4 o la «A1»."""
    (path,) = (path for path in SESSIONS if path in both(code))
    return path


def both(code: int | str) -> list[Path]:
    """El de una sesión y, si lo tiene, el de su profundiza."""
    return [path for path in STUDENT if path.name.startswith(f"{code:0>2}_")]


def code_cells(path: Path) -> list:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def code(number: int | str, *names: str) -> list[str]:
    """El código de las celdas de una sesión, o de su profundiza, que se llaman así; si están en los dos, la primera."""
    found = {cell.id: cell.source for path in reversed(both(number)) for cell in code_cells(path)}
    return [found[name] for name in names]


def markdown(path: Path) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def prose(path: Path) -> str:
    """El texto del cuaderno sin los bloques ni los trozos de código."""
    pattern = r"```.*?```|~~~.*?~~~|(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)"
    return re.sub(pattern, "", markdown(path), flags=re.DOTALL)


def headings(path: Path) -> set[str]:
    """Los títulos de apartados y ejercicios, sin marcas de formato."""
    return {plain(title) for title in re.findall(r"^#{2,4} +(.+?) *$", markdown(path), re.M)}


def plain(title: str) -> str:
    return re.sub(r"[*`$]", "", title).strip()


def tags(cell) -> set:
    return set(cell.metadata.get("tags", []))


def texts(value) -> list[str]:
    """Todas las cadenas de una estructura, salvo las imágenes codificadas."""
    if isinstance(value, dict):
        return [t for key, v in value.items() if key not in ("image/png", "image/jpeg") for t in texts(v)]
    if isinstance(value, list):
        return [t for v in value for t in texts(v)]
    return [value] if isinstance(value, str) else []


def shown(cell) -> str:
    """Lo que una celda muestra en texto, seguido."""
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def parse(cell) -> ast.Module:
    """El código de una celda; las órdenes de IPython se pasan por alto."""
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE))


def calls(cell, function: str) -> list[ast.Call]:
    """Las llamadas a una función que hay en una celda."""
    found = [node for node in ast.walk(parse(cell)) if isinstance(node, ast.Call)]
    return [call for call in found if ast.unparse(call.func).split(".")[-1] == function]
