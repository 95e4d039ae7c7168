"""Pruebas de tools/fork.py: una sola orden pasa el curso entero a otro repositorio."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import fork as fork_course
from tools import links
from tools import notebooks as build_notebooks
from tools import pages as build_pages

ROOT = Path(__file__).resolve().parents[2]
NEW = "/".join(("ana-ruiz", "Curso_de.texto"))  # así no se encuentra a sí mismo en este archivo


def copy_course(target: Path) -> Path:
    """Los archivos que sigue git, en otra carpeta; de los pesos, que son binarios, basta un trozo."""
    for path in links.tracked_files(ROOT):
        copied = target / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            copied.write_bytes(path.read_bytes()[:4096])
        else:
            shutil.copy(path, copied)
    return target


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return copy_course(tmp_path_factory.mktemp("otra carpeta") / "un curso así")


@pytest.fixture
def course(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "mi curso, añadido"))


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_nothing_of_the_old_repository_is_left(course):
    old, before = links.repository_slug(course), contents(course)
    changed = fork_course.fork(NEW, course)
    after = contents(course)
    forms = [old, old.replace("/", "%2F"), old.replace("/", r"\/")]
    for name, data in after.items():
        for form in forms:
            assert form.lower().encode() not in data.lower(), f"{name} sigue diciendo {form}"
    assert sorted(changed) == sorted(name for name in after if after[name] != before[name])
    # Tantas veces como se decía el de antes se dice ahora el nuevo.
    assert sum(d.count(old.encode()) for d in before.values()) == sum(d.count(NEW.encode()) for d in after.values())
    stems = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    for stem in stems:
        for place in (f"notebooks/{stem}.ipynb", f"notebooks/soluciones/{stem}.ipynb"):
            text = after[place].decode()
            assert f"colab.research.google.com/github/{NEW}/blob/main/{place}" in text
            assert f"https://github.com/{NEW}" in text
    readme = after["README.md"].decode()
    assert f"git clone https://github.com/{NEW}\ncd {NEW.partition('/')[2]}\n" in readme
    assert f'"https://github.com/{NEW}"' in after["pyproject.toml"].decode()
    assert f"https://github.com/{NEW}" in after["CITATION.cff"].decode()


def test_sources_and_generated_files_change_in_step(course):
    fork_course.fork(NEW, course)
    assert build_notebooks.check_all(course) == []
    assert build_pages.check_all(course) == []


def test_twice_is_the_same_and_back_is_byte_for_byte(course, capsys):
    before, old = contents(course), links.repository_slug(course)
    assert fork_course.main([NEW], course) == 0
    once = contents(course)
    assert fork_course.main([NEW], course) == 0
    assert "no cambia nada" in capsys.readouterr().out and contents(course) == once != before
    assert fork_course.main([old], course) == 0
    assert contents(course) == before


def test_an_interrupted_fork_is_finished_by_repeating_it(course, monkeypatch):
    expected = Path(shutil.copytree(course, course.parent / "entera"))
    fork_course.fork(NEW, expected)
    real, calls = fork_course.os.replace, []

    def interrupted(*args):
        if len(calls) == 5:
            raise KeyboardInterrupt
        calls.append(args)
        real(*args)

    monkeypatch.setattr(fork_course.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fork_course.fork(NEW, course)
    monkeypatch.setattr(fork_course.os, "replace", real)
    for leftover in course.rglob("*.tmp"):
        leftover.unlink()
    fork_course.fork(NEW, course)
    assert contents(course) == contents(expected)


@pytest.mark.parametrize(
    "slug",
    [
        "", "curso", "ana/", "/curso", "ana/curso/otro", "ana ruiz/curso", "añá/curso", "ana/cursó", "-ana/curso",
        "ana-/curso", "a--b/curso", "ana/..", "ana/.", "ana/curso.git", "https://github.com/ana/curso",
        f"{'a' * 40}/curso", f"ana/{'c' * 101}", "ana_r/curso", "ana/curso\n",
    ],
)  # fmt: skip
def test_a_bad_name_is_an_error_in_spanish_and_changes_nothing(original, slug, capsys):
    before = contents(original)
    assert fork_course.main([slug], original) == 1
    error = capsys.readouterr().err
    assert f"«{slug}» no es el nombre de un repositorio. Escribe dueño/nombre" in error
    assert contents(original) == before


def test_the_name_of_a_linked_project_is_refused(course, capsys):
    before = contents(course)
    assert fork_course.main(["EleutherAI/gpt-neo"], course) == 1
    assert "es un proyecto que el curso enlaza" in capsys.readouterr().err
    assert contents(course) == before


@pytest.mark.parametrize("slug", ["a/b", "a-1/b.c-d_e", f"{'a' * 39}/{'c' * 100}", "ana/0"])
def test_good_names(original, slug):
    assert fork_course.check_slug(slug, original) == slug


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("https://github.com/a/b", True), ("git@github.com:a/b.git", True), ("github.com/a/b.", True),
        ("x/github/a/b/blob/main", True), ("mybinder.org/v2/gh/a/b/HEAD", True), ("(https://github.com/a/b)", True),
        ("raw.githubusercontent.com/a/b/main/x", True),
        ("a/b", False), ("data/a/b", False), ("https://github.com/a/b-c", False), ("https://github.com/a/b.c", False),
        ("https://github.com/a/bc", False), ("https://x.es/a/b", False), ("https://github.com/za/b", False),
    ],
)  # fmt: skip
def test_only_addresses_of_the_repository_change(text, changes):
    rewritten = fork_course.rewrite(text.encode(), "a/b", "x-y/z.w").decode()
    assert rewritten == (text.replace("a/b", "x-y/z.w") if changes else text)


def test_binary_files_and_line_endings_are_respected():
    assert fork_course.rewrite(b"\0 github.com/a/b", "a/b", "x/y") == b"\0 github.com/a/b"
    text = b"git clone https://github.com/a/b\r\ncd b\r\ncd b\r\n"
    assert fork_course.rewrite(text, "a/b", "x/y") == b"git clone https://github.com/x/y\r\ncd y\r\ncd b\r\n"


def test_what_git_does_not_follow_stays(course):
    git = shutil.which("git")
    if not git:
        pytest.skip("sin git")
    for arguments in (["init", "-q"], ["add", "-A"]):
        subprocess.run([git, *arguments], cwd=course, check=True)
    mine = course / "mis notas.md"
    mine.write_text(f"https://github.com/{links.repository_slug(course)}\n", encoding="utf-8")
    kept = mine.read_bytes()
    assert "README.md" in fork_course.fork(NEW, course)
    assert mine.read_bytes() == kept


def test_as_a_command_it_needs_nothing_installed(course):
    command = [sys.executable, "-E", "-S", str(course / "tools" / "fork_course.py"), NEW]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr
    assert f"el curso es ahora de {NEW}" in result.stdout
    assert re.search(rf"github\.com/{re.escape(NEW)}", (course / "README.md").read_text(encoding="utf-8"))
