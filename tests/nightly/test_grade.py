"""Corregir, con todo: más de sesenta entregas inventadas, y la máquina igual después de cada una de las hostiles."""

import json
import os
import shutil
import time
from pathlib import Path

import absent
import entregas
import juzgadas
import pytest

from course_utils.grade import command, course, gather, judging, results, sandbox

if reason := sandbox.why_not():
    absent.missing(reason)

SESSIONS = ["A1", "A2", "A3", "01", "02", "03", "05", "06", "07", "08", "09"]


@pytest.fixture(scope="module")
def box():
    with sandbox.Sandbox(extra=juzgadas.EXTRA) as opened:
        yield opened


@pytest.mark.parametrize("session", SESSIONS)
def test_every_answer_of_the_bank_gets_the_verdict_of_check(box, session):
    assert juzgadas.differences(box, session, juzgadas.bank(session)) == []


def test_also_those_that_look_at_the_rules_which_the_box_does_not_show():
    with sandbox.Sandbox(isolated=False, extra=juzgadas.EXTRA) as opened:
        assert juzgadas.differences(opened, "04", juzgadas.bank("04")) == []


def test_sixty_submissions_get_their_grade_and_twice_the_same(tmp_path):
    expected = entregas.write(tmp_path / "entregas")
    assert len(expected) >= 60
    said = command.run(command.Options(tmp_path / "entregas", tmp_path / "una", workers=2, timeout=8))
    print("\n".join(said))
    assert juzgadas.disagreements(tmp_path / "una" / "notas.csv", expected) == []
    assert not list(tmp_path.glob("fuera[23]*")) and not Path("/etc/fuera3.ipynb").exists()
    saved = sorted((tmp_path / "una" / ".corregido").glob("*.json"))
    shutil.copytree(tmp_path / "una", tmp_path / "otra")
    for path in (tmp_path / "otra" / ".corregido").glob("*.json"):  # la mitad, como si se hubiera cortado
        if path.name > saved[len(saved) // 2].name:
            path.unlink()
    command.run(command.Options(tmp_path / "entregas", tmp_path / "otra", timeout=8))
    assert (tmp_path / "una" / "notas.csv").read_bytes() == (tmp_path / "otra" / "notas.csv").read_bytes()


@pytest.fixture(scope="module")
def quick():
    """Una caja con cuatro segundos por ejercicio, ya arrancada."""
    with sandbox.Sandbox(sandbox.Limits(4)) as opened:
        opened.fork().close()
        opened.end()
        yield opened


# Lo que dejarían, si pudieran, las hostiles.
TRACES = ("/tmp/basura0", "/tmp/dentro", "/dev/shm/x", "/tmp/curso-prueba", "/dev/shm/curso-prueba")


@pytest.mark.parametrize("name", entregas.HOSTILE)
def test_the_machine_is_the_same_after_a_hostile_one(name, quick, tmp_path):
    exercises = course.load()
    entregas.write(tmp_path / "entregas", (name,))
    others = [Path.home() / ".curso-centinela", tmp_path / "de-otra-persona.ipynb", Path("/tmp/curso-centinela")]
    for path in others:
        path.write_text(json.dumps({"cells": []}))
    (submission,) = gather.gather(tmp_path / "entregas", lambda raw: [])
    watched = [tmp_path, entregas.ROOT / "course_utils", entregas.ROOT / "notebooks"]
    look = lambda: (juzgadas.files(*watched), juzgadas.belongings(), juzgadas.descendants())  # noqa: E731
    before, own = look(), juzgadas.descendants(os.getppid())[os.getpid()]
    start = time.perf_counter()
    result = results.grade(submission, exercises, quick)
    spent = time.perf_counter() - start
    after = look()
    try:
        assert all(verdict.points == 0 for verdict in result.verdicts.values()) and result.verdicts
        assert after[0] == before[0] and all(path.exists() for path in others)
        assert after[1] == before[1]
        assert set(after[2]) == set(before[2]), "ha quedado un proceso, o ha caído el que esperaba"
        assert not [trace for trace in TRACES if Path(trace).exists()]
        grown = sum(after[2].values()) - sum(before[2].values())
        mine = juzgadas.descendants(os.getppid())[os.getpid()] - own
        print(
            f"{name}: {spent:.1f} s; iguales {len(after[0])} archivos, {len(after[1]['entorno'])} variables, "
            f"{after[1]['descriptores']} descriptores y {len(after[2])} procesos; caja {grown / 1024:+.1f} MiB, "
            f"quien juzga {mine / 1024:+.1f} MiB"
        )
        assert grown < 64 * 1024 and mine < 64 * 1024
    finally:
        for path in others:
            path.unlink(missing_ok=True)


def test_what_a_submission_sees_is_nothing_of_anyone(monkeypatch):
    """Desde dentro: qué hay, qué se puede escribir y qué deja hacer el sistema."""
    code = """
import os, socket, ctypes, glob
def apply_temperature(logits, t):
    seen = {}
    seen["home"] = bool(set(os.listdir(HOME)) - {".pyenv"}) if os.path.exists(HOME) else False
    seen["repo"] = glob.glob(ROOT + "/*")
    seen["rules"] = sorted(os.listdir("/curso/course_utils/checks"))
    seen["here"] = os.listdir(".")
    seen["environment"] = sorted(k for k in os.environ if "SECRET" in k)
    seen["devices"] = len(os.listdir("/dev"))
    places = ["/", "/tmp", "/trabajo", "/dev", "/dev/shm", "/curso", "/usr", "/proc/self"]
    written = []
    for place in places:
        for make in (lambda p: os.mkdir(p), lambda p: open(p, "w").write("x"), lambda p: os.symlink("/", p)):
            try:
                make(place + "/curso-prueba")
                written.append(place)
            except OSError:
                pass
    seen["written"] = written
    for name, call in {
        "fork": os.fork, "socket": socket.socket, "kill": lambda: os.kill(1, 0),
        "exec": lambda: os.execv("/bin/true", ["x"]),
        "memory": lambda: open("/proc/1/mem", "rb").read(1), "own": lambda: open("/proc/self/mem", "r+b"),
        "pid1": lambda: [os.readlink("/proc/1/fd/" + n) for n in os.listdir("/proc/1/fd")],
    }.items():
        try:
            call()
            seen[name] = "puede"
        except OSError as error:
            seen[name] = type(error).__name__
    lines = [line.split() for line in open("/proc/self/status")]
    status = {line[0]: line[1] for line in lines if len(line) > 1}
    seen["status"] = [status[name + ":"] for name in ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd")]
    limits = {line[:25].strip(): line[26:46].strip() for line in open("/proc/self/limits")}
    names = ("Max cpu time", "Max file size", "Max core file size", "Max processes", "Max open files")
    seen["limits"] = [limits[name] for name in names]
    seen["memory limit"] = limits["Max address space"].isdigit() and int(limits["Max address space"]) < 2**36
    seen["network"] = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
    mounts = [line.split() for line in open("/proc/self/mountinfo")]
    kept = ("/proc", "/dev/")  # lo que pone el sistema, y cada dispositivo
    seen["writable"] = [m[4] for m in mounts if "ro" not in m[5].split(",") and not m[4].startswith(kept)]
    seen["others"] = [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid())]
    return seen
"""
    code = code.replace("HOME", repr(str(Path.home()))).replace("ROOT", repr(str(entregas.ROOT)))
    monkeypatch.setenv("CURSO_SECRET", "no")
    with sandbox.Sandbox() as opened:
        channel = judging._Until(opened.fork(), 120)
        cells = [{"name": "<celda>", "source": code, "keep": [0, 1]}]
        seen = judging.ask(channel, "2.1", cells, "apply_temperature")(1, 2)
        channel.channel.close()
        opened.end()
    allowed = {"seen": seen.pop("devices") < 20, "own": seen.pop("own")}
    assert allowed["seen"]
    assert seen == {
        "home": False,
        "repo": [],
        "rules": ["__init__.py", "errors.py", "running.py", "values.py"],
        "here": [],
        "environment": [],
        "written": [],
        "fork": "PermissionError",
        "socket": "PermissionError",
        "kill": "PermissionError",
        "exec": "PermissionError",
        "memory": "PermissionError",
        "pid1": "PermissionError",
        "status": ["1", "2", "0000000000000000", "0000000000000000"],
        "limits": ["30", "0", "0", "0", "64"],
        "memory limit": True,
        "network": ["lo"],
        "writable": [],
        "others": [],
    }
