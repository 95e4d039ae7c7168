"""Los flujos de GitHub: sin fallos a la vista (zizmor, sin red) y con órdenes que existen. No se han ejecutado."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml
from absent import missing

ROOT = Path(__file__).resolve().parents[2]
FLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def zizmor(*paths):
    program = shutil.which("zizmor", path=sysconfig.get_path("scripts")) or missing("zizmor no está instalado")
    command = [program, "--offline", "--strict-collection", "--persona=auditor", "--no-progress", "--color=never"]
    return subprocess.run([*command, *paths], capture_output=True, text=True, encoding="utf-8", check=False)


def test_zizmor_finds_nothing():
    done = zizmor(*FLOWS)
    assert len(FLOWS) >= 3 and done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (r"checkout@\w{40}.*", "checkout@v7", "unpinned-uses"),
        (r"permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("persist-credentials: false", "persist-credentials: true", "artipacked"),
        (r"run: \.ci/run", "run: echo ${{ github.event.pull_request.title }}", "template-injection"),
        ("steps:", "pasos:", "pasos"),
    ],
)
def test_each_flaw_is_seen(tmp_path, old, new, finding):
    text = re.sub(old, new, (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    (tmp_path / "test.yml").write_text(text, encoding="utf-8")
    done = zizmor(tmp_path / "test.yml")
    assert done.returncode != 0 and finding in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_the_orders_exist(path):
    """Las de make, en el Makefile; los archivos y carpetas que se nombran, en el repositorio."""
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1].split()
    steps = [step for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values() for step in job["steps"]]
    orders = "\n".join(step.get("run", "") for step in steps)
    assert orders.strip()
    assert set(re.findall(r"\bmake (\w+)", orders)) <= set(targets)
    for name in re.findall(r"(?<![\w/])((?:\.ci|tools|tests)/[\w./]+)", orders):
        assert (ROOT / name).exists(), name
