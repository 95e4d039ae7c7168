"""``python -m course_utils run``: ejecuta copias, cuenta lo que falla y no toca el repositorio."""

import builtins
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

import nbformat
import pytest
from machine import ROOT, namespace, tree
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import course_utils.__main__
from course_utils import runner

READS = "import json, pathlib\nassert json.loads(pathlib.Path('{}quizzes/a.json').read_text()) == [1]"
LEAVES = "pathlib.Path('salida.txt').write_text('rastro'); import course_utils.models"


@pytest.fixture
def course(tmp_path):
    """Un clon en miniatura: la sesión 01 va bien y la 02 tiene dos fallos; 01 está también resuelta."""
    folder = tmp_path / "clon con ñandú" / "notebooks"
    (folder / "quizzes").mkdir(parents=True)
    (folder / "quizzes" / "a.json").write_text("[1]")

    def write(name, *sources):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        cells = [new_markdown_cell("# Hola", id="titulo")]
        cells += [new_code_cell(source, id=f"celda-{n:03d}") for n, source in enumerate(sources, 2)]
        nbformat.write(new_notebook(cells=cells), path)

    write("01_bien.ipynb", READS.format(""), LEAVES, "import sys; assert sys.dont_write_bytecode")
    write("02_mal.ipynb", "a = 1", "raise ValueError('qué\\npasa')", "print(a)", "b")
    write("soluciones/01_bien.ipynb", READS.format("../"), LEAVES)
    return folder


def run(*arguments, cwd=ROOT, prefix=(), **environ):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "CURSO_PERFIL": "mini", **environ}
    command = [*prefix, sys.executable, "-B", "-m", "course_utils", "run", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "encoding": "utf-8", "check": False}
    return subprocess.run(command, cwd=cwd, env={**environ, "PYTHONUTF8": "1"}, **options)


def main(capsys, *arguments):
    """La orden, en este mismo proceso: arrancar otro Python tarda más que un cuaderno de estos."""
    code = course_utils.__main__.main(["run", *map(str, arguments)])
    return code, capsys.readouterr().out


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- Lo que ejecuta y lo que cuenta -------------------------------------------------------------------


def test_all_notebooks_run_and_nothing_is_left(course, tmp_path):
    temporary = tmp_path / "temporal"  # suyo: en el de todos deja cosas la prueba que corre al lado
    temporary.mkdir()
    before, repository = files(course.parent), tree()
    result = run("--notebooks", course, TMPDIR=str(temporary), TEMP=str(temporary), TMP=str(temporary))
    assert result.returncode == 1 and "Traceback" not in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("✅ 01_bien.ipynb: ") and lines[0].endswith(" s, 3 celdas")
    assert lines[1].startswith("❌ 02_mal.ipynb: ") and lines[1].endswith(" s, 4 celdas, 2 con fallos")
    assert lines[2:4] == ["   celda-003: ValueError: qué", "   celda-005: NameError: name 'b' is not defined"]
    assert lines[-1] == "Cuadernos sin fallos: 1 de 2."
    assert files(course.parent) == before and tree() == repository  # el paquete se importa de ahí
    assert not [*temporary.rglob("quizzes")]


def test_sessions_and_solutions_can_be_chosen(course, capsys, monkeypatch):
    code, shown = main(capsys, "1", "--notebooks", course)
    assert code == 0 and shown.startswith("✅ 01_bien.ipynb: ") and shown.endswith("Cuadernos sin fallos: 1 de 1.\n")
    monkeypatch.chdir(course.parent)
    code, shown = main(capsys, "--solutions", "--notebooks", "notebooks")
    assert code == 0 and shown.startswith("✅ soluciones/01_bien.ipynb: ") and " 1 de 1." in shown


def test_deep_dives_run_behind_their_session_if_asked(course, capsys):
    for place in ("profundiza", "soluciones/profundiza"):
        (course / place).mkdir()
        up = "../" * (place.count("/") + 1)
        write(course / place / "01_bien.ipynb", READS.format(up), LEAVES)
    found = runner.find_notebooks(["1"], folder=course, deep=True)
    assert [path.relative_to(course).as_posix() for path in found] == ["01_bien.ipynb", "profundiza/01_bien.ipynb"]
    code, shown = main(capsys, "1", "--profundiza", "--solutions", "--notebooks", course)
    assert code == 0 and "✅ soluciones/profundiza/01_bien.ipynb: " in shown and " 2 de 2." in shown
    assert len(runner.find_notebooks(folder=course)) == 2


@pytest.mark.parametrize("name", ["02_mi copia.ipynb", "02_mal-Copy1.ipynb", "02_aaa.ipynb"])
def test_a_copy_does_not_take_the_place_of_the_notebook(course, name):
    """Se ejecutaba una de las dos, y la otra no se veía."""
    shutil.copy(course / "01_bien.ipynb", course / name)
    found = runner.find_notebooks(["02"], folder=course)
    assert {path.name for path in found} == {"02_mal.ipynb", name} and len(found) == 2
    assert [path.name[:2] for path in runner.find_notebooks(folder=course)] == ["01", "02", "02"]
    assert [path.name for path in runner.find_notebooks(["2", "1"], folder=course)][-1] == "01_bien.ipynb"


def test_notebooks_use_this_package_and_leave_no_bytecode(course, tmp_path, monkeypatch):
    other = tmp_path / "otro"
    (other / "course_utils").mkdir(parents=True)
    (other / "course_utils" / "__init__.py").touch()
    (other / "vecino.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(other))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    code = f"import course_utils, vecino; assert course_utils.__path__[0] == {str(ROOT / 'course_utils')!r}"
    write(course / "05_paquete.ipynb", code)
    assert runner.run_all(runner.find_notebooks(["5"], folder=course))[0].failures == ()
    assert not list(other.rglob("__pycache__"))


def test_progress_bar_counts_cells(course, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, *, total, **_):
            self.total, self.done = total, 0
            bars.append(self)

        def update(self):
            self.done += 1

        def set_description(self, text):
            self.text = text

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *_: None  # noqa: E731

    monkeypatch.setattr("tqdm.tqdm", Bar)
    reports = runner.run_all(runner.find_notebooks(folder=course))
    assert [(bar.total, bar.done, bar.text) for bar in bars] == [(7, 7, "02_mal")]
    assert [report.cells for report in reports] == [3, 4]


def write(path, *sources):
    cells = [new_code_cell(source, id=f"celda-{n}") for n, source in enumerate(sources, 1)]
    nbformat.write(new_notebook(cells=cells), path)


def test_slow_cell_and_dead_kernel_are_failures_with_their_cell(course):
    write(course / "03_lento.ipynb", "1", "import time; time.sleep(600)", "no llega")
    write(course / "04_muere.ipynb", "1", "import os; os._exit(1)", "no llega")
    slow, dead = runner.run_all(runner.find_notebooks(["3", "4"], folder=course), timeout=2)
    assert slow.failures == ("celda-2: tarda más de 2 s. Alarga el plazo con --timeout.",) and slow.cells == 2
    assert (
        len(dead.failures) == 1 and dead.failures[0].startswith("celda-2: el núcleo se ha parado") and dead.cells == 2
    )


def test_a_kernel_that_does_not_start_is_a_failure_of_its_notebook(course, monkeypatch):
    broken = runner.this_python([sys.executable, "-c", "raise SystemExit(1)"])
    monkeypatch.setattr(runner, "this_python", lambda: broken)
    report = runner.run_all(runner.find_notebooks(["1"], folder=course))[0]
    assert report.cells == 0 and len(report.failures) == 1
    assert report.failures[0].startswith("antes de empezar: el núcleo de Python no arranca")


# --- El ejecutor -----------------------------------------------------------------------------------------


def execute(tmp_path, *sources, env=None, tags=()):
    notebook = new_notebook(cells=[new_code_cell(source, metadata={"tags": list(tags)}) for source in sources])
    env = os.environ if env is None else env
    return notebook, runner.execute(notebook, cwd=tmp_path, env=env, timeout=30)


def text(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def test_cells_are_given_one_by_one_with_their_outputs(tmp_path):
    notebook, cells = execute(tmp_path, "a = 1; print('uno')", "1 / 0", "print(a)", tags=["raises-exception"])
    got = list(cells)
    assert [cell for cell, _ in got] == notebook.cells and [text(cell) for cell, _ in got] == ["uno\n", "", "1\n"]
    assert [getattr(error, "ename", None) for _, error in got] == [None, "ZeroDivisionError", None]
    assert got[1][1].evalue == "division by zero" and "1 / 0" in got[1][1].traceback
    assert all("execution" not in cell.metadata for cell, _ in got)  # sin horas: construir dos veces da lo mismo


def test_leaving_stops_the_kernel_and_runs_nothing_more(tmp_path):
    _, cells = execute(tmp_path, "import os; print(os.getpid())", "open('segunda', 'w')")
    pid = int(text(next(cells)[0]))
    os.kill(pid, 0)
    cells.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not list(tmp_path.iterdir())


def test_where_a_cell_runs(tmp_path, monkeypatch):
    """El Python, la carpeta y las variables que se piden, y nada de la carpeta personal."""
    profile = tmp_path / "casa" / ".ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True)
    (profile / "00.py").write_text("mine = 1")
    env = {k: v for k, v in os.environ.items() if k not in ("IPYTHONDIR", "OMP_WAIT_POLICY")}
    env |= {"HOME": str(tmp_path / "casa"), "USERPROFILE": str(tmp_path / "casa"), "SOLO": "aquí"}
    monkeypatch.setenv("SOBRA", "1")
    code = "import os, sys\nprint(sys.executable, os.getcwd(), os.environ['SOLO'], os.environ.get('SOBRA'), sep='|')\n"
    code += "print(os.environ['OMP_WAIT_POLICY'], 'mine' in globals(), len(In))"
    _, cells = execute(tmp_path, "1", code, env=env)
    with contextlib.closing(cells):
        lines = [text(cell) for cell, _ in cells][1].splitlines()
    assert lines[0] == f"{sys.executable}|{tmp_path.resolve()}|aquí|None"
    assert lines[1] == "PASSIVE False 1"  # sin historia, como en nbval
    _, cells = execute(
        tmp_path, "import os; print(os.environ['OMP_WAIT_POLICY'])", env=env | {"OMP_WAIT_POLICY": "ACTIVE"}
    )
    assert [text(cell) for cell, _ in cells] == ["ACTIVE\n"]  # lo que alguien haya elegido se respeta


def test_what_the_kernel_itself_complains_about_is_not_shown(tmp_path, capfd):
    list(execute(tmp_path, "import os; os.write(2, b'queja del nucleo')")[1])
    assert "queja" not in capfd.readouterr().err


# --- Lo que no puede ser -------------------------------------------------------------------------------


def test_no_notebooks_or_unknown_session_is_an_error_in_spanish(course, tmp_path):
    with pytest.raises(ValueError, match=r"No hay cuadernos en .*vacía.*--notebooks CARPETA"):
        runner.find_notebooks(folder=tmp_path / "vacía")
    with pytest.raises(ValueError, match=r"sesión 07, 09\. Hay: 01, 02\."):
        runner.find_notebooks(["7", "1", "09"], folder=course)
    result = run("--notebooks", tmp_path / "vacía")
    assert result.returncode == 1 and result.stderr.startswith("Error: No hay cuadernos") and result.stdout == ""


def test_package_without_notebooks_asks_for_them(monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "_ROOT", tmp_path)  # instalado sin el clon
    with pytest.raises(ValueError, match="--notebooks CARPETA"):
        runner.find_notebooks()


def test_missing_nbclient_is_a_message(course, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "nbclient":
            raise ImportError("no está", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"Falta nbclient para ejecutar los cuadernos\. Repite «make env»"):
        runner.run_all(runner.find_notebooks(folder=course))


def test_broken_notebook_is_named_before_running_anything(course):
    (course / "03_roto.ipynb").write_text('{"cells": [')
    with pytest.raises(ValueError, match=r"03_roto\.ipynb no es un cuaderno válido.*git checkout"):
        runner.run_all(runner.find_notebooks(folder=course))


def test_never_runs_inside_the_repository(course, monkeypatch):
    monkeypatch.setattr(runner, "_ROOT", course.parent)
    monkeypatch.setattr(tempfile, "tempdir", str(course))  # lo que hace tempfile si no hay otro sitio donde escribir
    before = files(course)
    with pytest.raises(ValueError, match=r"en el repositorio.*TMPDIR"):
        runner.run_all(runner.find_notebooks(["1"]))
    assert files(course) == before


# --- En el repositorio de verdad ------------------------------------------------------------------------


def test_the_default_notebooks_are_those_of_the_repository():
    for solutions, folder in ((False, ROOT / "notebooks"), (True, ROOT / "notebooks" / "soluciones")):
        found = runner.find_notebooks(solutions=solutions)
        assert [path.stem[:2] for path in found][:4] == ["A1", "A2", "A3", "01"]
        assert set(found) == set(folder.glob("*.ipynb"))


def test_home_without_space_and_read_only_clone(course, tmp_path):
    home = tmp_path / "casa"
    home.mkdir()
    mounts = f"""
        mount --bind '{course}' '{course}'
        mount -o remount,ro,bind '{course}'
        mount -t tmpfs -o size=64k tmpfs '{home}'
        dd if=/dev/zero of='{home}/lleno' bs=4k 2>/dev/null || true
        exec "$@" """
    prefix = [*namespace(), "sh", "-ec", mounts, "sh"]
    result = run("1", "--notebooks", course, prefix=prefix, HOME=str(home), TMPDIR=str(home))
    assert result.returncode == 0, result.stdout + result.stderr  # tempfile busca otra carpeta
