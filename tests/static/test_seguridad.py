"""Seguridad y licencias: nada ejecuta texto que llega de fuera, nada se lee con pickle y todo se puede repartir.

Se lee el código, sin ejecutarlo: el paquete, los programas de scripts/ y las celdas de los cuadernos.
"""

import ast
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jupytext
import pytest

from tools import licences

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "notebooks" / "fuente").glob("*.md"))
PYTHON = sorted(p for name in ("course_utils", "tools") for p in (ROOT / name).rglob("*.py"))
PYTHON = [path for path in PYTHON if "figures" not in path.parts]  # ejecutan celdas de nuestros cuadernos

EXECUTE = {"eval", "exec", "compile", "__import__"}
SHELL = {
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("get_ipython().system", "get_ipython().getoutput", "get_ipython().run_cell", "get_ipython().run_line_magic"),
}
PICKLE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
PICKLE_CALLS = {"torch.load", "torch.save", "torch.hub.load", "pandas.read_pickle", "pd.read_pickle", "yaml.load"}


def code_of(path):
    """El Python de un archivo o de las celdas de una fuente, y sus órdenes de IPython aparte."""
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8"), []
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    text = "\n".join(cells)
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", text, flags=re.M), re.findall(r"^\s*([%!].*)$", text, re.M)


def problems(code, magics=()):
    """Lo que no se admite en un código, en palabras."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            modules = names if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"importa {name}" for name in modules if name.split(".")[0] in PICKLE_MODULES]
            if isinstance(node, ast.ImportFrom):
                full = {f"{node.module}.{name}" for name in names}
                found += [f"importa {name}" for name in sorted(full & (SHELL | PICKLE_CALLS))]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in EXECUTE | SHELL | PICKLE_CALLS or name.endswith((".to_pickle", ".read_pickle")):
                found.append(f"llama a {name}")
            if name.startswith("subprocess.") and node.args and isinstance(node.args[0], ast.JoinedStr | ast.Constant):
                found.append(f"{name} recibe un texto en vez de una lista")
            for keyword in node.keywords:
                off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ("shell", "trust_remote_code", "allow_pickle") and not off:
                    found.append(f"{name}({keyword.arg}={ast.unparse(keyword.value)})")
                if keyword.arg in ("use_safetensors", "weights_only") and off:
                    found.append(f"{name}({keyword.arg}=False)")
    # En una orden de IPython, {algo} y $algo se sustituyen por variables: sería una orden hecha con datos.
    found += [f"orden con variables: {order}" for order in magics if re.search(r"[{$`]", order)]
    return found


@pytest.mark.parametrize("path", PYTHON + SOURCES, ids=lambda path: path.name)
def test_nothing_executes_or_unpickles_what_it_receives(path):
    assert problems(*code_of(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_notebooks_load_models_only_from_safetensors(path):
    for node in ast.walk(ast.parse(code_of(path)[0])):
        if isinstance(node, ast.Call) and re.match(r"AutoModel\w*\.from_pretrained$", ast.unparse(node.func)):
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert options.get("use_safetensors") == "True", ast.unparse(node)


@pytest.mark.parametrize(
    ("code", "magics", "expected"),
    [
        ("subprocess.run(f'ls {folder}', shell=True)", (), "shell=True"),
        ("subprocess.run(command, shell=flag)", (), "shell=flag"),
        ("subprocess.run(f'ls {folder}')", (), "en vez de una lista"),
        ("from os import system\nsystem(text)", (), "importa os.system"),
        ("os.system(text)", (), "llama a os.system"),
        ("eval(text)", (), "llama a eval"),
        ("import dill", (), "importa dill"),
        ("from pickle import loads", (), "importa pickle"),
        ("torch.load('pesos.pt')", (), "llama a torch.load"),
        ("np.load(path, allow_pickle=True)", (), "allow_pickle=True"),
        ("AutoModel.from_pretrained(name, trust_remote_code=True)", (), "trust_remote_code=True"),
        ("AutoModel.from_pretrained(name, use_safetensors=False)", (), "use_safetensors=False"),
        ("pass", ["!ls {folder}"], "orden con variables"),
        ("pass", ["%cd $folder"], "orden con variables"),
    ],
)
def test_each_danger_is_noticed(code, magics, expected):
    assert any(expected in problem for problem in problems(code, magics)), problems(code, magics)


def test_harmless_code_passes():
    assert problems("model.eval()\nre.compile('a')\nsubprocess.run(['ls', folder])\nf(trust_remote_code=False)") == []


# --- Licencias ----------------------------------------------------------------------------------------


def test_every_licence_allows_handing_the_course_out():
    """Sobre el archivo publicado, así que vale en cualquier entorno."""
    rows = re.findall(r"^\| ([\w.-]+) \| (\d\S*) \| (.+?) \| (.+?) \|$", licences.OUTPUT.read_text("utf-8"), re.M)
    assert {name: pin for name, pin, *_ in rows} == licences.pins()
    for name, _, licence, where in rows:
        assert licences.acceptable(licence), f"{name}: {licence}"
        assert where in licences.WHERE.values()


def test_licences_file_is_current():
    wrong = []
    for name, pin in licences.pins().items():
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            found = "no está"
        if found != pin:
            wrong.append(name)
    if wrong:
        pytest.skip(f"este entorno no tiene las versiones de constraints.txt: {', '.join(wrong)}")
    assert licences.OUTPUT.read_text("utf-8") == licences.render(), "ejecuta tools/licences.py"


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND (MPL-2.0 OR GPL-2.0-only)", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-2.0-only", False),
        ("MIT AND (AGPL-3.0-only OR GPL-2.0-only)", False),
        ("desconocida", False),
    ],
)
def test_acceptable_licences(expression, fine):
    assert licences.acceptable(expression) is fine


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License-Expression": "BSD-3-Clause AND Zlib"}, "BSD-3-Clause AND Zlib"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"License": "UNKNOWN", "Classifier": ["License :: OSI Approved :: ISC License (ISCL)"]}, "ISC"),
        ({"License": "BSD 3-Clause License\n\nCopyright", "Classifier": []}, "BSD-3-Clause"),
        ({"License": "Copyright…\nRedistributions…\n* Neither the name of…"}, "BSD-3-Clause"),
    ],
)
def test_licence_names_become_spdx(fields, expected):
    assert licences.spdx("prueba", fields) == expected


@pytest.mark.parametrize("fields", [{}, {"License": "Licencia de mi primo"}, {"License": "UNKNOWN"}])
def test_unknown_licence_is_an_error_that_says_what_to_do(fields):
    with pytest.raises(ValueError, match=r"prueba.*tools/licences\.py"):
        licences.spdx("prueba", fields)
