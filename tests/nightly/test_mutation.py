"""El sorteo de los mutantes, con cosmic-ray en su versión fijada. Que maten o no, en tests/unit/test_mutation.py."""

import json
import os
import subprocess
import sys

import apart
import pytest

from tools import ROOT

CODE = """\
def f(x: int | None, y=(1, 2)) -> int | None:
    if x in y and not x < 2:
        raise ValueError(x)
    z = x * 3
    z += 1
    return z
"""
RUN = """\
import json, sys
from tools.mutation import draw, sites
code = sys.argv[1]
found = {seed: [[m.name, m.line, m.source] for m in draw("f.py", code, seed)] for seed in range(40)}
again = [[m.name, m.line, m.source] for m in draw("f.py", code, 7)] == found[7]
print(json.dumps([len(sites(code)), again, list(found.values())]))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return apart.install(tmp_path_factory.mktemp("paquetes"), "mutation_versions.txt", "cosmic-ray")


def test_the_draw_is_fair_and_can_be_repeated(packages):
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)])}
    command = [sys.executable, "-c", RUN, CODE]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    places, again, drawn = json.loads(done.stdout)
    assert again  # con la misma semilla, los mismos y en el mismo orden
    seen = {}
    for mutants in drawn:
        assert len({name for name, *_ in mutants}) == len(mutants) <= places
        seen |= {source: line for _, line, source in mutants}
    for source in seen:
        compile(source, "f.py", "exec")
        assert source.startswith("def f(x: int | None, y=(") and ") -> int | None:" in source  # las anotaciones no
    changes = {
        "if x not in y and not x < 2:": 2,
        "if x in y or not x < 2:": 2,
        "if x in y and not x <= 2:": 2,
        "if x in y and  x < 2:": 2,
        "        pass\n    z = x * 3": 3,
        "z = x / 3": 4,
        "z = x * 4": 4,
        "    pass\n    return z": 5,
        "z += 1\n    pass\n": 6,
    }
    for change, line in changes.items():
        assert [n for source, n in seen.items() if change in source] == [line], change
