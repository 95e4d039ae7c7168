"""Las pruebas de mutación, con un paquete de juguete y cambios hechos a mano. El sorteo, en tests/nightly."""

import json
import os
import subprocess
import sys

import pytest

from tools import ROOT
from tools.intervals import wilson
from tools.mutation import meaning, quotas

CODE = """\
def bigger(a, b):
    print("comparo", a)
    return a if a > b else b


def countdown(n):
    while n > 0:
        n -= 1
    return n


def cached(values=[7]):
    return values[0]
"""
TESTS = """\
import pytest
from juguete import cuenta

def test_bigger():
    assert cuenta.bigger(1, 2) == 2 and cuenta.bigger(3, 2) == 3

def test_countdown():
    assert cuenta.countdown(3) == 0

def test_cached():
    assert cuenta.cached() == 7

@pytest.mark.slow
def test_the_message(capsys):
    cuenta.bigger(1, 2)
    assert capsys.readouterr().out == "comparo 1\\n"
"""
# Antes, después y qué tiene que decir: se ve, no se ve (el mensaje solo lo mira una prueba lenta), no acaba, no se
# puede importar, y un valor que se calcula al importar, fuera de toda prueba.
CHANGES = [
    ("a > b", "a < b", "fallo"),
    ("a > b", "a >= b", "vivo"),
    ('"comparo"', '"miro"', "vivo"),
    ("n -= 1", "pass", "tiempo"),
    ("while n", "while n n", "fallo"),
    ("[7]", "[8]", "fallo"),
]
RUN = """\
import json, sys
from pathlib import Path
from tools.mutation import Bench, Mutant

root, folder = map(Path, sys.argv[1:3])
bench = Bench(root, folder, package="juguete", patience=3)
measured = {"tests/unit/test_cuenta.py": bench.measure("tests/unit/test_cuenta.py")}
code = (root / "juguete" / "cuenta.py").read_text()
found = []
for before, after in json.loads(sys.argv[3]):
    line = code[: code.index(before)].count("\\n") + 1
    mutant = Mutant("juguete/cuenta.py", "a mano", 0, line, code.replace(before, after))
    found.append(bench.judge(mutant, measured))
found.append(bench.judge(Mutant("juguete/sola.py", "a mano", 0, 1, "x = 2\\n"), measured))
left = (bench.copy / "juguete" / "cuenta.py").read_text() == code
print("\\n" + json.dumps([[r["outcome"] for r in found], found[0]["diff"], found[0]["near"], left]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="aquí no hay fork")
def test_a_mutant_dies_only_if_a_quick_test_sees_it(tmp_path):
    package, tests = tmp_path / "proyecto" / "juguete", tmp_path / "proyecto" / "tests" / "unit"
    package.mkdir(parents=True), tests.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cuenta.py").write_text(CODE, encoding="utf-8")
    (package / "sola.py").write_text("x = 1\n")
    (tests / "test_cuenta.py").write_text(TESTS, encoding="utf-8")
    changes = json.dumps([change[:2] for change in CHANGES])
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(tmp_path / "proyecto"), str(tmp_path), changes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcomes, diff, near, left = json.loads(done.stdout.splitlines()[-1])
    assert outcomes == [*(outcome for *_, outcome in CHANGES), "sin pruebas"]
    assert diff == ["-    return a if a > b else b", "+    return a if a < b else b"] and near == 1
    assert left  # la copia queda como estaba


def test_the_interval_is_the_one_in_the_books():
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert wilson(0, 20)[0] == pytest.approx(0, abs=1e-12) and wilson(20, 20)[1] == pytest.approx(1)


def test_each_file_gives_in_proportion_to_its_lines():
    assert quotas({"a": 50, "b": 30, "c": 20}, 10) == {"a": 5, "b": 3, "c": 2}
    assert quotas({"a": 1, "b": 1, "c": 1}, 5) == {"a": 2, "b": 2, "c": 1}


def test_a_change_in_an_annotation_is_not_a_change():
    assert meaning("def f(x: int | None) -> int:\n    y: int = 1") == meaning("def f(x: int & None):\n    y: str = 1")
    assert meaning("x = 1 | 2") != meaning("x = 1 & 2")
