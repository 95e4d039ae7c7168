"""``python -m course_utils run``: ejecuta copias, cuenta lo que falla y no toca el repositorio."""

import builtins
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from machine import ROOT, namespace, tree
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

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


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- Lo que ejecuta y lo que cuenta -------------------------------------------------------------------


def test_all_notebooks_run_and_nothing_is_left(course):
    before, temporary = files(course.parent), set(os.listdir(tempfile.gettempdir()))
    result = run("--notebooks", course)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("✅ 01_bien.ipynb: ") and lines[0].endswith(" s, 3 celdas")
    assert lines[1].startswith("❌ 02_mal.ipynb: ") and lines[1].endswith(" s, 4 celdas, 2 con fallos")
    assert lines[2:4] == ["   celda-003: ValueError: qué", "   celda-005: NameError: name 'b' is not defined"]
    assert lines[-1] == "Cuadernos sin fallos: 1 de 2."
    assert files(course.parent) == before
    left = {name for name in set(os.listdir(tempfile.gettempdir())) - temporary if name.startswith("tmp")}
    assert not [name for name in left if Path(tempfile.gettempdir(), name, "quizzes").exists()]


def test_sessions_and_solutions_can_be_chosen(course):
    result = run("1", "--notebooks", course)
    assert result.returncode == 0 and result.stdout.endswith("Cuadernos sin fallos: 1 de 1.\n")
    result = run("--solutions", "--notebooks", "notebooks", cwd=course.parent)
    assert result.returncode == 0 and result.stdout.startswith("✅ soluciones/01_bien.ipynb: ")


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


def test_slow_cell_and_dead_kernel_are_failures_with_their_cell(course):
    for name, source in {
        "03_lento.ipynb": "import time; time.sleep(60)",
        "04_muere.ipynb": "import os; os._exit(1)",
    }.items():
        nbformat.write(
            new_notebook(cells=[new_code_cell("1", id="uno"), new_code_cell(source, id="dos")]), course / name
        )
    slow, dead = runner.run_all(runner.find_notebooks(["3", "4"], folder=course), timeout=3)
    assert slow.failures == ("dos: tarda más de 3 s. Alarga el plazo con --timeout.",) and slow.seconds < 40
    assert dead.failures[0].startswith("dos: el núcleo se ha parado") and dead.cells == 2


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


def test_a_real_session_passes_and_the_repository_does_not_change():
    def status():
        options = {"capture_output": True, "text": True, "check": True}
        return subprocess.run(["git", "status", "--porcelain", "--ignored"], cwd=ROOT, **options).stdout

    before, git = tree(), status()
    result = run("1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("✅ 01_encoder_y_decoder.ipynb: ")
    assert tree() == before and status() == git


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
    result = run("1", "--notebooks", course, prefix=prefix, HOME=str(home))
    assert result.returncode == 0, result.stdout + result.stderr
    result = run("1", "--notebooks", course, prefix=prefix, HOME=str(home), TMPDIR=str(home))
    assert result.returncode == 0, result.stdout + result.stderr  # tempfile busca otra carpeta
