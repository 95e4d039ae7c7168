"""Corregir de verdad: una docena de entregas, hostiles incluidas, y cortar a medias."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import absent
import entregas
import juzgadas
import pytest

from course_utils.grade import command, sandbox

if reason := sandbox.why_not():
    absent.missing(reason)


def inside(pid: int) -> bool:
    """Si ese proceso es de la caja."""
    try:
        return b"course_utils.grade.inside" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


ONLY = (
    *("resuelto02", "con_ayuda_antes", "de_colab", "modifica", "logits", "sin_tocar", "cortado"),
    *("h_parchea_check", "h_se_va", "h_no_acaba_en_c", "h_bomba_de_procesos", "h_lee_la_solucion", "h_borra"),
    *("h_red", "h_mata_al_padre", "h_escribe_en_el_canal"),
)


def graded(folder: Path, output: Path, **options) -> Path:
    command.run(command.Options(folder, output, timeout=4, **options))
    return output / "notas.csv"


def environment() -> dict[str, str]:
    """Las variables de entorno, salvo la que cambia pytest en cada prueba."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture(scope="module")
def class_of_twelve(tmp_path_factory):
    base = tmp_path_factory.mktemp("clase")
    expected = entregas.write(base / "entregas", ONLY)
    before = juzgadas.files(base, entregas.ROOT / "course_utils", entregas.ROOT / "notebooks"), environment()
    notes = graded(base / "entregas", base / "notas")
    after = juzgadas.files(entregas.ROOT / "course_utils", entregas.ROOT / "notebooks", base / "entregas")
    return base, expected, notes, before, after


def test_everyone_gets_what_they_should_and_nothing_is_touched(class_of_twelve):
    _, expected, notes, (files, variables), after = class_of_twelve
    assert len(expected) == len(ONLY) and juzgadas.disagreements(notes, expected) == []
    assert after == files
    assert environment() == variables and not any(map(inside, juzgadas.descendants()))


def test_killed_in_the_middle_and_resumed_it_writes_the_same(class_of_twelve):
    base, _, notes, *_ = class_of_twelve
    order = [
        sys.executable,
        "-m",
        "course_utils",
        "grade",
        base / "entregas",
        "--output",
        base / "otra",
        "--timeout",
        "8",
    ]
    with subprocess.Popen(order, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while len(list((base / "otra").glob(".corregido/*.json"))) < 3:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        started = juzgadas.descendants(process.pid)
        process.kill()  # solo a él, como haría el sistema cuando falta memoria
    done = len(list((base / "otra").glob(".corregido/*.json")))
    assert 3 <= done < len(ONLY) and not (base / "otra" / "notas.csv").exists()
    for _ in range(100):  # quien juzga y su caja mueren con quien los abrió
        if not any(Path(f"/proc/{pid}").exists() for pid in started):
            break
        time.sleep(0.1)
    assert started and not any(Path(f"/proc/{pid}").exists() for pid in started)
    assert graded(base / "entregas", base / "otra").read_bytes() == notes.read_bytes()
    texts = [{p.name: p.read_bytes() for p in (base / o).rglob("*.html")} for o in ("notas", "otra")]
    assert texts[0] == texts[1] and len(texts[0]) == len(ONLY) + 1


def test_interrupted_it_says_how_to_go_on(tmp_path):
    entregas.write(tmp_path / "entregas", ("con_listas", "h_no_acaba_en_c"))  # la segunda tarda lo suyo
    order = [sys.executable, "-m", "course_utils", "grade", tmp_path / "entregas"]
    heard = dict(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # en segundo plano no se oye Ctrl+C
    with subprocess.Popen(order, stderr=subprocess.PIPE, text=True, start_new_session=True, **heard) as process:
        while not list((tmp_path / "entregas-notas").glob(".corregido/*.json")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "la misma orden sigue donde iba" in said and "Traceback" not in said


def test_verdicts_in_the_box_are_those_of_check():
    """Dos sesiones, con modelos, funciones y datos; todas, en tests/nightly."""
    with sandbox.Sandbox(extra=juzgadas.EXTRA) as box:
        for session, some in (("02", slice(None, None, 3)), ("05", slice(None, None, 4))):
            assert juzgadas.differences(box, session, juzgadas.bank(session)[some]) == []
