"""La forma del paquete: qué documenta y qué carga al importarse. (Quién importa a quién lo mira import-linter.)"""

import ast
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import course_utils
from tools.environment import MIN_PYTHON
from tools.pins import parse_pins

PACKAGE = Path(course_utils.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.stem)
def test_public_functions_are_documented_in_full(module):
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node)
            assert text, f"{module.name}: {node.name} no tiene docstring"
            raises = any(isinstance(n, ast.Raise) for n in ast.walk(node))
            assert not raises or "Raises" in text, f"{module.name}: {node.name} lanza errores que no documenta"


def test_import_is_light():
    code = (
        "import sys, course_utils; print({'torch', 'transformers', 'pandas'} & {m.split('.')[0] for m in sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_every_pin_installs_in_the_oldest_python():
    """Con el 3.11 de Debian 12, una versión que pide 3.11.5 deja a pip buscando otra durante una hora."""
    pins = parse_pins((PACKAGE.parent / "constraints.txt").read_text(encoding="utf-8"))
    oldest = ".".join(map(str, (*MIN_PYTHON, 0)))
    asked = {canonicalize_name(d.name): d.metadata["Requires-Python"] or "" for d in distributions()}
    assert len(asked.keys() & pins.keys()) > 200
    assert [name for name in pins if not SpecifierSet(asked.get(name, "")).contains(oldest)] == []
