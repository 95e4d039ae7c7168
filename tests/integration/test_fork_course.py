"""Pruebas de tools/fork.py: una sola orden pasa el curso entero a otro repositorio."""

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


@pytest.fixture
def course(tmp_path):
    """Los archivos que sigue git, en otra carpeta; de los pesos, que son binarios, basta un trozo."""
    target = tmp_path / "mi curso, añadido"
    for path in links.tracked_files(ROOT):
        copied = target / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(path.read_bytes()[: 4096 if path.suffix == ".safetensors" else None])
    return target


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "pyproject.toml").write_text('Repositorio = "https://github.com/a/b"\n', encoding="utf-8")
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_whole_course_changes_in_step_and_comes_back_byte_for_byte(course, capsys):
    old, before = links.repository_slug(course), contents(course)
    assert fork_course.main([NEW], course) == 0
    after = contents(course)
    said = capsys.readouterr().out.splitlines()
    assert sorted(said[: said.index("")]) == sorted(name for name in after if after[name] != before[name])
    for name, data in after.items():
        for form in (old, old.replace("/", "%2F"), old.replace("/", r"\/")):
            assert form.lower().encode() not in data.lower(), f"{name} sigue diciendo {form}"
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for place in (f"notebooks/{path.name}", f"notebooks/soluciones/{path.name}"):
            text = after[place].decode()
            assert f"colab.research.google.com/github/{NEW}/blob/main/{place}" in text
            assert f"git clone -q --depth 1 https://github.com/{NEW} " in text
    lab = "https://ana-ruiz.github" + ".io/Curso_de.texto/lab/?recorrido=02"  # partida: al volver también cambiaría
    for place in ("notebooks/02_bucle_de_generacion.ipynb", "slides/02_bucle_de_generacion.md"):
        assert lab in after[place].decode()
    for name in ("README.md", "pyproject.toml", "CITATION.cff"):
        assert f"https://github.com/{NEW}" in after[name].decode()
    # Lo generado sigue siendo lo que sale de sus fuentes.
    assert build_notebooks.check_all(course) == [] and build_pages.check_all(course) == []
    assert fork_course.fork(NEW, course) == [] and contents(course) == after
    assert fork_course.main([old], course) == 0
    assert contents(course) == before


def test_an_interrupted_fork_is_finished_by_repeating_it(toy, monkeypatch):
    for name in "xyz":
        (toy / f"{name}.md").write_text("https://github.com/a/b", encoding="utf-8")
    real = Path.write_bytes

    def interrupted(path, data):
        if path.name == "y.md":
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fork_course.fork(NEW, toy)
    monkeypatch.undo()
    assert fork_course.fork(NEW, toy) == ["y.md", "z.md", "pyproject.toml"]
    assert all(b"a/b" not in data for data in contents(toy).values())


@pytest.mark.parametrize(
    "slug",
    [
        "", "curso", "ana/", "/curso", "ana/curso/otro", "ana ruiz/curso", "añá/curso", "ana/cursó", "-ana/curso",
        "ana-/curso", "a--b/curso", "ana/..", "ana/.", "ana/curso.git", "https://github.com/ana/curso",
        f"{'a' * 40}/curso", f"ana/{'c' * 101}", "ana_r/curso", "ana/curso\n",
    ],
)  # fmt: skip
def test_a_bad_name_is_an_error_in_spanish_and_changes_nothing(toy, slug, capsys):
    before = contents(toy)
    assert fork_course.main([slug], toy) == 1
    assert f"«{slug}» no es el nombre de un repositorio. Escribe dueño/nombre" in capsys.readouterr().err
    assert contents(toy) == before


@pytest.mark.parametrize("slug", ["x/y", "x-1/b.c-d_e", f"{'x' * 39}/{'c' * 100}", "ana/0"])
def test_good_names(toy, slug):
    assert fork_course.fork(slug, toy) == ["pyproject.toml"]
    assert links.repository_slug(toy) == slug


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("https://github.com/a/b", True), ("git@github.com:a/b.git", True), ("github.com/a/b.", True),
        ("x/github/a/b/blob/main", True), ("mybinder.org/v2/gh/a/b/HEAD", True), ("(https://github.com/a/b)", True),
        ("a/b", False), ("data/a/b", False), ("https://github.com/a/b-c", False), ("https://github.com/a/b.c", False),
        ("https://a.github.io/b-c/", False), ("https://za.github.io/b", False), ("https://a.github.io/c", False),
        ("https://github.com/a/bc", False), ("https://x.es/a/b", False), ("https://github.com/za/b", False),
    ],
)  # fmt: skip
def test_only_addresses_of_the_repository_change_and_line_endings_stay(toy, text, changes):
    page = toy / "página.md"
    page.write_bytes(f"1\r\n{text}\r\n".encode())
    assert (page.name in fork_course.fork("x-y/z.w", toy)) == changes
    assert page.read_bytes().decode() == f"1\r\n{text.replace('a/b', 'x-y/z.w') if changes else text}\r\n"


def test_the_site_changes_too_and_comes_back(toy):
    page = toy / "página.md"
    page.write_text(
        "(https://a.github.io/b/lab/?recorrido=02) https://a.github.io/b. https://a.github.io/b", encoding="utf-8"
    )
    before = page.read_bytes()
    fork_course.fork("x-y/z.w", toy)
    site = "https://x-y.github.io/z.w"
    assert page.read_text(encoding="utf-8") == f"({site}/lab/?recorrido=02) {site}. {site}"
    fork_course.fork("a/b", toy)
    assert page.read_bytes() == before


def test_what_git_does_not_follow_stays(toy):
    git = shutil.which("git")
    if not git:
        pytest.skip("sin git")
    for arguments in (["init", "-q"], ["add", "-A"]):
        subprocess.run([git, *arguments], cwd=toy, check=True)
    (toy / "mis notas.md").write_text("https://github.com/a/b", encoding="utf-8")
    assert fork_course.fork(NEW, toy) == ["pyproject.toml"]


def test_as_a_command_without_a_name_it_says_what_to_write():
    command = [sys.executable, "-m", "tools.fork", ""]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert result.returncode == 1 and "dueño/nombre" in result.stderr
