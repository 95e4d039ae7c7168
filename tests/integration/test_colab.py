"""Colab: la celda de preparación y lo que instalar el curso añade allí.

Aquí no hay un Colab: se le imita. La celda se ejecuta en IPython con un `google.colab` de mentira y un repositorio
local en lugar del de GitHub; y pip resuelve, sin instalar nada, en un entorno que dice tener las versiones de Colab.
`make colab` completa la prueba: pasa las pruebas y los cuadernos con esas versiones.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
from pathlib import Path

import jupytext
import pytest
from absent import missing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import colab as colab_tool
from tools import environment
from tools.pins import parse_pins

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "notebooks" / "fuente").rglob("*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repositorio"]
VERSIONS = ROOT / "tools" / "colab_versions.txt"
COLAB_PYTHON = "3.13"
MAX_MEGABYTES = 20  # lo que se descarga además del curso; hoy son unos 6
PUBLISHED = ("course_utils", "notebooks", "pyproject.toml", "README.md", "LICENSE")


def colab_versions():
    """Paquete (nombre canónico) -> versión: solo lo que trae Colab, no lo que `make colab` necesita además."""
    return parse_pins(VERSIONS.read_text(encoding="utf-8").split("# Lo que esas versiones piden")[0])


# --- Los rangos ---------------------------------------------------------------------------------------


def test_ranges_admit_what_colab_has():
    versions = colab_versions()
    assert {"torch", "transformers", "datasets", "numpy", "ipywidgets", "ipython"} <= set(versions)
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        found = versions.get(canonicalize_name(requirement.name))
        assert found is None or found in requirement.specifier, f"{requirement} echa de Colab la versión {found}"
    assert COLAB_PYTHON in Requirement("python" + PROJECT["requires-python"]).specifier


# --- La celda de preparación --------------------------------------------------------------------------


def setup_cell(source):
    """La primera celda de código de una fuente, que ha de ser la única que mira si esto es Colab."""
    cells = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    assert [i for i, cell in enumerate(cells) if "google.colab" in cell] == [0], source.name
    return cells[0]


AFTER = '"/content/curso[despues]"', "/content/curso"  # solo quien usa lo que Colab no trae


def test_all_notebooks_share_the_setup_cell():
    assert len(SOURCES) >= 5
    assert len({setup_cell(source).replace(*AFTER) for source in SOURCES}) == 1
    assert REPOSITORY in setup_cell(SOURCES[0])


def test_only_the_setup_cell_installs_and_it_installs_only_the_course():
    for source in SOURCES:
        orders = re.findall(r"\b(?:pip3?|conda|mamba|uv) +install\b.*", source.read_text(encoding="utf-8"))
        text = source.read_text(encoding="utf-8")
        more = re.search("^(?:import|from) (?:bm25s|langchain)", text, re.M)
        assert orders[0] == f"pip install -q {AFTER[0 if more else 1]}"
        assert not [order for order in orders[1:] if f"%{order}" in source.read_text(encoding="utf-8")], source.name


RUNNER = """
import importlib.util, json, os, sys, types
from IPython.core.interactiveshell import InteractiveShell
cell, runs, colab = json.loads(sys.stdin.read())
if colab:
    sys.modules["google.colab"] = types.ModuleType("google.colab")
shell = InteractiveShell.instance(colors="NoColor")
# Como en Colab, cuyo %pip llama a pip y no añade la nota en inglés de IPython sobre reiniciar el núcleo.
shell.register_magic_function(lambda line: shell.system(f"{sys.executable} -m pip {line}"), "line", "pip")
errors = []
for _ in range(runs):
    print("--- celda", flush=True)
    error = shell.run_cell(cell).error_in_exec
    errors.append(error and f"{type(error).__name__}: {error}")
found = importlib.util.find_spec("course_utils")
print("--- final", json.dumps([errors, os.getcwd(), found and found.origin]), flush=True)
"""


def git(folder, *arguments):
    command = ["git", "-c", "user.name=prueba", "-c", "user.email=prueba@localhost", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Un repositorio git con lo que se publica, que hace de GitHub."""
    if not shutil.which("git"):
        missing("no hay git")
    folder = tmp_path_factory.mktemp("publicado") / "repositorio"
    folder.mkdir()
    for name in PUBLISHED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_*"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for path in folder.rglob("*"):  # los pesos no hacen falta, y empaquetarlos tarda: basta con que estén
        if path.is_file() and path.stat().st_size > 100_000:
            path.write_bytes(b"")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "curso")
    return folder


@pytest.fixture
def runtime(tmp_path):
    """Un entorno desechable con todo menos el curso: su Python ve los paquetes de este por enlaces simbólicos."""
    if os.name == "nt":
        pytest.skip("Colab es Linux; en Windows, crear enlaces simbólicos pide permisos")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    for scheme in ("purelib", "platlib"):
        for entry in Path(sysconfig.get_path(scheme)).iterdir():
            ours = re.match(r"(__editable__\W*)?course[-_]utils", entry.name) or entry.suffix == ".pth"
            if not ours and not (site / entry.name).exists():
                (site / entry.name).symlink_to(entry)
    (tmp_path / "content").mkdir()
    return tmp_path


def run_setup_cell(runtime, origin, *, runs=1, colab=True):
    """Ejecuta la celda `runs` veces; devuelve (salida de cada vez, errores, carpeta final, dónde está el paquete)."""
    cell = setup_cell(SOURCES[0]).replace("/content", str(runtime / "content"))
    # El propio resolvedor se prueba abajo: aquí pip solo construye y copia el curso, sin red.
    cell = cell.replace("pip install -q", "pip install -q --no-build-isolation --no-deps --no-index")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{origin}.insteadOf",
        "GIT_CONFIG_VALUE_0": REPOSITORY,
        "IPYTHONDIR": str(runtime / "ipython"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    result = subprocess.run(
        [runtime / "venv" / "bin" / "python", "-c", RUNNER],
        input=json.dumps([cell, runs, colab]),
        cwd=runtime / "content",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    *printed, final = re.split(r"^--- (?:celda\n|final )", result.stdout, flags=re.M)[1:]
    return printed, *json.loads(final)


def test_setup_cell_installs_quietly_and_once(published, runtime):
    printed, errors, folder, origin = run_setup_cell(runtime, published, runs=2)
    assert errors == [None, None]
    assert printed == ["", ""]  # ni avisos ni la barra de pip; y la segunda vez ni siquiera llama a pip
    assert Path(folder) == (runtime / "content" / "curso" / "notebooks").resolve()
    package = Path(origin).parent
    assert "site-packages" in package.parts and not package.is_symlink()  # instalado, no editable: sin reiniciar
    for path in (p for p in (ROOT / "course_utils").rglob("*") if p.is_file() and p.suffix != ".pyc"):
        assert (package / path.relative_to(ROOT / "course_utils")).is_file(), path


def test_setup_cell_repairs_a_clone_left_half_way(published, runtime):
    half = runtime / "content" / "curso" / ".git"
    half.mkdir(parents=True)
    (half / "HEAD").write_text("ref: refs/heads/ma")
    _, errors, folder, origin = run_setup_cell(runtime, published)
    assert errors == [None] and origin and folder.endswith("notebooks")


def test_setup_cell_without_network_says_how_to_go_on(published, runtime):
    printed, errors, folder, origin = run_setup_cell(runtime, runtime / "no existe")
    assert errors == ["RuntimeError: El curso no se ha instalado. Comprueba la conexión y ejecuta otra vez esta celda."]
    assert origin is None and Path(folder) == (runtime / "content").resolve()
    assert "fatal:" in printed[0]  # la causa, tal como la cuenta git, queda a la vista
    _, errors, _, origin = run_setup_cell(runtime, published)  # volvió la conexión
    assert errors == [None] and origin


def test_setup_cell_does_nothing_outside_colab(runtime):
    printed, errors, folder, origin = run_setup_cell(runtime, runtime / "no existe", colab=False)
    assert (printed, errors, origin) == ([""], [None], None)
    assert Path(folder) == (runtime / "content").resolve()
    assert not list((runtime / "content").iterdir())


# --- Lo que pip cambiaría allí ------------------------------------------------------------------------


def colab_interpreter():
    """Un Python como el de Colab, si lo hay; si no, este."""
    name = f"python{COLAB_PYTHON}"
    try:
        works = subprocess.run([name, "-c", "import venv"], capture_output=True, check=False).returncode == 0
    except OSError:
        works = False
    return name if works else sys.executable


class Environment:
    """Un entorno que dice tener paquetes (solo su ficha, `METADATA`), para que pip resuelva contra ellos."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run([colab_interpreter(), "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.site = Path(subprocess.check_output([self.python, "-c", code], text=True).strip())
        self.installed = {}

    def pretend(self, name, version, requires=(), extras=()):
        info = self.site / f"{re.sub(r'[-.]+', '_', name)}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {text}" for text in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (info / "INSTALLER").write_text("pip\n", encoding="utf-8")
        (info / "RECORD").write_text("", encoding="utf-8")
        self.installed[canonicalize_name(name)] = version

    def would_install(self, *arguments):
        """Lo que `pip install` instalaría o cambiaría: [(nombre, versión, ficha, dirección), …]."""
        report = self.folder / "informe.json"
        pip("--python", self.python, "install", "--dry-run", "--report", report, *arguments)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
        metadata = [(item["metadata"], item["download_info"]["url"]) for item in found]
        return [(canonicalize_name(data["name"]), data["version"], data, url) for data, url in metadata]


def pip(*arguments):
    result = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, arguments), "-q", "--retries", "1"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    if result.returncode and re.search(environment.NO_NETWORK, result.stderr):
        missing("pip no llega a la red: no se puede resolver")
    assert result.returncode == 0, result.stderr[-3000:]


def megabytes(url):
    """Lo que ocupa un archivo que pip descargaría, sin descargarlo."""
    if url.startswith("file:"):
        return Path(urllib.request.url2pathname(url.removeprefix("file://"))).stat().st_size / 1e6
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as answer:
        return int(answer.headers["Content-Length"]) / 1e6


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """Un Colab de mentira: sus versiones y las de todo lo que ellas necesitan, sin descargar ningún paquete.

    Algunos van sin sus dependencias, que Colab ya tiene y que el curso no nombra: las de torch son varios GB de CUDA;
    las de ipywidgets e IPython, todo Jupyter. Que los demás los encuentren instalados es lo único que cuenta aquí.
    """
    environment = Environment(tmp_path_factory.mktemp("colab") / "venv")
    versions = colab_versions()
    for name in ("torch", "ipywidgets", "ipython", "matplotlib", "numpy", "pandas"):
        environment.pretend(name, versions.pop(name))
    for name, version, data, _ in environment.would_install(*(f"{n}=={v}" for n, v in versions.items())):
        environment.pretend(name, version, data.get("requires_dist", ()), data.get("provides_extra", ()))
    assert versions.items() <= environment.installed.items()
    return environment


@pytest.fixture(scope="module")
def wheel(published):
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", published / "dist", published)
    return next((published / "dist").glob("course_utils-*.whl"))


def test_installing_the_course_changes_nothing_colab_has(colab, wheel):
    found = colab.would_install(wheel)
    changed = {name: (colab.installed[name], version) for name, version, *_ in found if name in colab.installed}
    assert not changed, f"instalar el curso cambiaría en Colab: {changed}"
    added = {name: version for name, version, *_ in found if name != "course-utils"}
    assert {"evaluate", "jupyterquiz", "sacrebleu"} <= set(added)
    sizes = {f"{name} {version}": megabytes(url) for name, version, _, url in found if name in added}
    table = "\n".join(f"  {size:6.2f} MB  {name}" for name, size in sorted(sizes.items()))
    total = sum(sizes.values())
    print(f"\nCon {colab_interpreter()} y {len(colab.installed)} paquetes, se añaden {total:.1f} MB:\n{table}")
    assert total < MAX_MEGABYTES, f"{total:.1f} MB, y el límite son {MAX_MEGABYTES}:\n{table}"
    # Y hay un archivo ya construido de cada uno para el Python de Colab: nada que compilar allí.
    pip(
        *("install", "--dry-run", "--no-deps", "--ignore-installed", "--target", colab.folder / "destino"),
        *("--python-version", COLAB_PYTHON, "--only-binary=:all:"),
        *(f"--platform={tag}_x86_64" for tag in ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "linux")),
        *(f"{name}=={version}" for name, version in added.items()),
    )


# --- make colab -----------------------------------------------------------------------------------------


def test_make_colab_uses_the_versions_of_colab_and_ours_for_the_rest():
    pins, ours = parse_pins(colab_tool.merged()), parse_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert pins["torch"] == ours["torch"] and pins["pytest"] == ours["pytest"]
    assert colab_versions().items() - {("torch", "2.11.0")} <= pins.items()
    assert set(ours) <= set(pins)
