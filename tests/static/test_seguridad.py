"""Seguridad y licencias: lo que ruff no ve (`S` y los módulos prohibidos en pyproject.toml, también en los cuadernos).

Se lee el código, sin ejecutarlo: el paquete, las herramientas y las celdas de los cuadernos.
"""

import ast
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import hostil
import jupytext
import pytest

from tools import licences
from tools.pins import parse_pins

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "notebooks" / "fuente").glob("**/*.md"))
PYTHON = sorted(path for name in ("course_utils", "tools") for path in (ROOT / name).rglob("*.py"))


def code_of(path):
    """El Python de un archivo o de las celdas de una fuente, y sus órdenes de IPython aparte."""
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8"), []
    text = "\n".join(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code")
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", text, flags=re.M), re.findall(r"^\s*([%!].*)$", text, re.M)


def problems(code, magics=()):
    """Lo que no se admite en un código, en palabras."""
    found = []
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        name, options = ast.unparse(call.func), {option.arg: ast.unparse(option.value) for option in call.keywords}
        found += [
            f"{name}({k}={options[k]})"
            for k in ("trust_remote_code", "allow_pickle")
            if options.get(k, "False") != "False"
        ]
        found += [f"{name}({k}=False)" for k in ("use_safetensors", "weights_only") if options.get(k) == "False"]
        if re.fullmatch(r"(\w+\.)?AutoModel\w*\.from_pretrained", name) and options.get("use_safetensors") != "True":
            found.append(f"{name} sin use_safetensors=True")
        if name == "__import__" or name.startswith("get_ipython()."):
            found.append(f"llama a {name}")
    # En una orden de IPython, {algo} y $algo se sustituyen por variables: sería una orden hecha con datos.
    return found + [f"orden con variables: {order}" for order in magics if re.search(r"[{$`]", order)]


@pytest.mark.parametrize("path", PYTHON + SOURCES, ids=lambda path: path.name)
def test_nothing_executes_or_unpickles_what_it_receives(path):
    assert problems(*code_of(path)) == []


@pytest.mark.parametrize(
    ("code", "magics", "expected"),
    [
        ("np.load(path, allow_pickle=True)", (), "allow_pickle=True"),
        ("AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=flag)", (), "trust_remote_code=flag"),
        ("f(name, use_safetensors=False)", (), "use_safetensors=False"),
        ("f(name, weights_only=False)", (), "weights_only=False"),
        ("AutoModelForCausalLM.from_pretrained(name)", (), "sin use_safetensors"),
        ("get_ipython().system(text)", (), "get_ipython"),
        ("__import__(text)", (), "__import__"),
        ("pass", ["!ls {folder}"], "orden con variables"),
        ("pass", ["%cd $folder"], "orden con variables"),
    ],
)
def test_each_danger_is_noticed(code, magics, expected):
    assert any(expected in problem for problem in problems(code, magics)), problems(code, magics)


HTML = re.compile(r"_repr_\w*html_|\bHTML\(|to_html|\.style\b|Markdown\(|_repr_(?:markdown|javascript|svg|mimebundle)_")


@pytest.mark.parametrize("path", [p for p in PYTHON if "course_utils" in p.parts], ids=lambda path: path.name)
def test_everything_that_writes_html_is_shown_a_hostile_text(path):
    writes = bool(HTML.search(path.read_text(encoding="utf-8")))
    assert writes == (path.name in hostil.WRITERS), "tests/nightly/test_jupyterlab.py enseña las celdas de hostil.py"


def test_harmless_code_passes():
    assert (
        problems("f(trust_remote_code=False)\nAutoModel.from_pretrained(x, use_safetensors=True)", ["%cd -q a"]) == []
    )


@pytest.mark.parametrize(
    "code", ["import pickle", "torch.load(x)", "eval(text)", "os.system(text)", "f(x, shell=True)"]
)
def test_ruff_sees_the_cells_of_a_notebook(tmp_path, code):
    """Con nuestra configuración: la de los cuadernos solo deja las reglas de seguridad."""
    code = f"import os\nimport subprocess\n\nimport torch\n{code.replace('f(', 'subprocess.run(')}\n"
    (tmp_path / "notebooks").mkdir()
    jupytext.write(jupytext.reads(code, "py"), tmp_path / "notebooks" / "x.ipynb")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", ROOT / "pyproject.toml", "notebooks"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.search(r"TID251|S307|S605|S602", done.stdout), done.stdout


# --- Licencias ----------------------------------------------------------------------------------------


def pins():
    return parse_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))


def test_every_licence_allows_handing_the_course_out():
    """Sobre el archivo publicado, así que vale en cualquier entorno."""
    rows = re.findall(r"^\| ([\w.-]+) \| (\d\S*) \| (.+?) \| (.+?) \|$", licences.OUTPUT.read_text("utf-8"), re.M)
    software = {name: pin for name, pin in pins().items() if not name.startswith(licences.MODEL)}
    assert parse_pins("\n".join(f"{name}=={pin}" for name, pin, *_ in rows)) == software
    for name, _, licence, where in rows:
        assert licences.acceptable(licence) or name in licences.LOOKED_AT, f"{name}: {licence}"
        assert where in licences.WHERE.values()


def test_licences_file_is_current():
    wrong = []
    for name, pin in pins().items():
        if name.startswith(licences.MODEL):
            continue
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            found = "no está"
        if found != pin:
            wrong.append(name)
    if wrong:
        pytest.skip(f"este entorno no tiene las versiones de constraints.txt: {', '.join(wrong)}")
    assert licences.OUTPUT.read_text("utf-8") == licences.render(), "ejecuta python -m tools.licences"


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("BSD License", True),
        ("Apache License, Version 2.0", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("DFSG approved; MIT License", True),
        ("Apache-2.0 WITH LLVM-exception AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND (MPL-2.0 OR GPL-2.0-only)", True),
        ("LGPL-2.1-or-later", True),
        ("MIT AND (GPL-2.0-only OR AGPL-3.0-only)", False),
        ("GPL-3.0-only", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("MIT AND GPL-2.0-only", False),
        ("GPL-2.0-only AND (MIT OR GPL-3.0-only)", False),
        ("(MIT OR GPL-3.0-only) AND GPL-2.0-only", False),
        ("MIT License; Other/Proprietary License", False),
        ("MIT with Commons Clause", False),
        ("UNKNOWN", False),
    ],
)
def test_acceptable_licences(expression, fine):
    assert licences.acceptable(expression) is fine


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"License": "Licencia de mi primo"}, r"licencia de torch .*«Licencia de mi primo».*tools/licences\.py"),
        ({"Version": "1.0"}, r"Hace falta torch \S+ y la de este entorno es 1\.0.*make llm"),
    ],
)
def test_what_is_wrong_is_an_error_that_says_what_to_do(monkeypatch, change, message):
    rows = {name: {"Name": name, "Version": pin, "License": "MIT"} for name, pin in pins().items()}
    monkeypatch.setattr(licences, "installed", lambda: rows | {"torch": rows["torch"] | change})
    with pytest.raises(ValueError, match=message):
        licences.render()
