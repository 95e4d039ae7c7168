"""Los ejercicios del curso, tal como los dan sus cuadernos: con qué función se contestan, su hueco y su solución."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from .. import checks

_ROOT = Path(__file__).resolve().parents[2]
_CHECK = re.compile(r"check\(\s*[\"'](\w+\.\d+)[\"']\s*,\s*(\w+)")


@dataclass(frozen=True)
class Exercise:
    """Un ejercicio: su número («2.1»), la ruta de su cuaderno, su función, y el hueco y la solución publicados."""

    number: str
    notebook: str
    function: str
    stub: str
    solution: str

    @property
    def session(self) -> str:
        """La sesión, con dos letras: «02», «A1»."""
        return self.number.split(".")[0].zfill(2)

    @property
    def cell(self) -> str:
        """El nombre de su celda."""
        return cell(self.number)

    @property
    def optional(self) -> bool:
        """Si es de una sesión con letra: no cuenta en el total."""
        return self.session[0] == "A"


def load(folder: str | Path | None = None) -> dict[str, Exercise]:
    """Los ejercicios de los cuadernos del curso, por número y en el orden en que se siguen.

    Parameters
    ----------
    folder : str or Path, optional
        Los cuadernos; por defecto, ``notebooks/``, junto al paquete.

    Raises
    ------
    ValueError
        Si no están, o falta el de algún ejercicio que las reglas conocen.
    """
    base = Path(folder or _ROOT / "notebooks").resolve()
    found = {}
    for path in sorted([*base.glob("[A0-9][0-9]_*.ipynb"), *base.glob("profundiza/[A0-9][0-9]_*.ipynb")]):
        book = path.relative_to(base).with_suffix("").as_posix()
        mine, solved = _cells(path), _cells(base / "soluciones" / f"{book}.ipynb")
        for code in mine.values():
            for number, function in _CHECK.findall(code):
                if (name := cell(number)) in mine and name in solved:
                    found[number] = Exercise(number, book, function, mine[name], solved[name])
    if missing := [number for number in checks.EXERCISES if number not in found]:
        raise ValueError(
            f"En {base} no están los cuadernos de los ejercicios {', '.join(missing[:6])}{'…' * (len(missing) > 6)}. "
            "Usa un clon entero del curso o di dónde están: --notebooks CARPETA."
        )
    return dict(sorted(found.items(), key=lambda item: order(item[0])))


def cell(number: str) -> str:
    """El nombre de la celda de un ejercicio: de «A1.1», «ejercicio-a1-1»."""
    return f"ejercicio-{number.lower().replace('.', '-')}"


def order(number: str) -> tuple:
    """Para ordenar: primero las sesiones con letra, y dentro de cada una, por número."""
    session, place = number.split(".")
    return session[0] != "A", session.lstrip("A").zfill(2), int(place)


def edition() -> str:
    """La huella de las reglas y de quien corrige: si cambia, lo corregido antes ya no vale."""
    found = hashlib.sha256()
    for folder in ("checks", "grade"):
        for path in sorted((_ROOT / "course_utils" / folder).glob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _cells(path: Path) -> dict[str, str]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        return {c["id"]: "".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"}
    except (OSError, ValueError, KeyError):
        return {}


def normal(source: str, function: str = "") -> str:
    """El código sin nada de lo que no cambia lo que hace: comentarios, espacios, docstrings y nombres elegidos.

    Vacío si no es Python. ``function`` es el nombre de la respuesta, que puede ser otro.
    """
    try:
        return _normal(ast.parse(source), function)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


def _normal(tree: ast.Module, function: str) -> str:
    names: dict[str, str] = {function: "respuesta"} if function else {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1:
                node.body = node.body[1:]
            names.setdefault(node.name, f"n{len(names)}")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args
            given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            for argument in [*given, *filter(None, (arguments.vararg, arguments.kwarg))]:
                names.setdefault(argument.arg, f"n{len(names)}")
                argument.annotation = None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.setdefault(node.id, f"n{len(names)}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = names.get(node.arg, node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.name = names.get(node.name, node.name)
    return ast.dump(tree, annotate_fields=False)
