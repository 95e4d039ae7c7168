"""Las tareas de nbgrader, como metadatos y texto. Que nbgrader las corrija, en tests/nightly/test_nbgrader.py."""

import json
import re

import nbformat
import pytest
from cuadernos import NOTEBOOKS, ROOT
from packaging.version import Version

from course_utils.checks import EXERCISES
from tools import nbgrader as tool
from tools.notebooks import STUB, Target, find_targets
from tools.pins import parse_pins

pytestmark = pytest.mark.slow  # lee y convierte las fuentes de todos los cuadernos

# Lo que dice el formato 3 de nbgrader de los metadatos de una celda.
FIELDS = {"schema_version": int, "grade": bool, "locked": bool, "solution": bool, "task": bool, "grade_id": str}


@pytest.fixture(scope="module")
def tasks():
    made = {t: tool.assignment(t) for t in find_targets(ROOT) if not t.solved}
    return {t: notebook for t, notebook in made.items() if tool.points(notebook)}


def released(code: str) -> str:
    """Lo que queda de una celda cuando nbgrader quita soluciones y pruebas ocultas; escrito aquí, sin él."""
    code = re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS\n", "", code, flags=re.S)
    pattern = r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION"
    return re.sub(pattern, lambda m: "\n".join(m[1] + line for line in STUB), code, flags=re.S | re.M)


def test_each_exercise_of_the_course_is_worth_two_points_once(tasks):
    graded = []
    for notebook in tasks.values():
        tests = [c for c in notebook.cells if c.metadata.nbgrader.grade]
        graded += [re.search(r'check\("(\S+)"', c.source)[1] for c in tests]
        assert tool.points(notebook) == 2 * len(tests) == sum(c.metadata.nbgrader.points for c in tests)
    assert sorted(graded) == sorted(EXERCISES)


def test_names_of_tasks_are_unique_and_what_nbgrader_admits(tasks):
    names = [tool.assignment_name(target) for target in tasks]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A0-9]\d(_profundiza)?", name) for name in names)


def test_every_cell_carries_valid_metadata_and_a_name_of_its_own(tasks):
    for notebook in tasks.values():
        nbformat.validate(notebook)
        ids = [cell.metadata.nbgrader.grade_id for cell in notebook.cells]
        assert len(set(ids)) == len(ids) and ids == [cell.id for cell in notebook.cells]
        for cell in notebook.cells:
            kind = dict(cell.metadata.nbgrader)
            points = kind.pop("points", None)
            assert {key: type(value) for key, value in kind.items()} == FIELDS
            assert kind["schema_version"] == 3 and kind["task"] is False
            assert re.fullmatch(r"[a-zA-Z0-9_\-]+", kind["grade_id"])
            assert points == (2 if kind["grade"] else None)
            role = cell.id.partition("-")[0] if cell.cell_type == "code" else ""
            assert kind["solution"] is (role == "ejercicio") and kind["locked"] is not kind["solution"]
            assert kind["grade"] is (role == "comprueba")


def test_what_is_handed_out_is_the_published_notebook_and_nothing_else(tasks):
    for target, notebook in tasks.items():
        place = "profundiza" if target.source.parent.name == "profundiza" else ""
        published = nbformat.read(NOTEBOOKS / place / target.path.name, as_version=4)
        assert [c.id for c in notebook.cells] == [c.id for c in published.cells]
        for mine, theirs in zip(notebook.cells, published.cells, strict=True):
            if mine.metadata.nbgrader.grade:
                assert theirs.source in released(mine.source)
                assert "sys.modules" in mine.source and "sys.modules" not in released(mine.source)
            elif mine.cell_type == "code":
                assert released(mine.source) == re.sub(r"(\.\./)+quizzes/", "quizzes/", theirs.source)
            assert "verifica" not in mine.metadata.get("tags", []) and not mine.get("outputs")


def test_the_solution_that_is_marked_is_the_published_one(tasks):
    for target, notebook in tasks.items():
        place = NOTEBOOKS / "soluciones" / ("profundiza" if target.source.parent.name == "profundiza" else "")
        theirs = {cell.id: cell.source for cell in nbformat.read(place / target.path.name, as_version=4).cells}
        for cell in notebook.cells:
            if cell.metadata.nbgrader.solution:
                assert re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", cell.source, flags=re.M).strip() == theirs[cell.id]


def test_no_link_leads_to_a_file_that_does_not_travel_nor_to_another_copy_in_colab(tasks):
    for notebook in tasks.values():
        text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
        for link in re.findall(r"\]\(\s*<?([^)\s>]+)|(?:src|href)=\"([^\"]+)", text):
            assert re.match(r"https?://|#|data:", "".join(link)), link
        assert tool.NOTICE in text and "colab-badge" not in text
        for path in re.findall(r"blob/main/(\S+?)\)", text):
            assert (ROOT / path).is_file(), path


def test_source_folder_is_complete_and_the_second_time_changes_nothing(tmp_path, capsys):
    def run():
        assert tool.main(["02", "--source-only", "--output", str(tmp_path / "curso")]) == 0
        return {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.ipynb")}

    first = run()
    assert {p.relative_to(tmp_path / "curso" / "source").parts[0] for p in first} == {"02", "02_profundiza"}
    notebook = nbformat.read(tmp_path / "curso/source/02/02_bucle_de_generacion.ipynb", as_version=4)
    for quiz in re.findall(r'Path\("(\S+?)"\)', "".join(c.source for c in notebook.cells if c.cell_type == "code")):
        assert json.loads((tmp_path / "curso/source/02" / quiz).read_text("utf-8"))
    config = tmp_path / "curso" / "nbgrader_config.py"
    compile(config.read_text("utf-8"), config.name, "exec")
    config.write_text("# mío\n", "utf-8")
    assert run() == first and config.read_text("utf-8") == "# mío\n"
    assert "2 tareas, 8 puntos" in capsys.readouterr().out
    assert "8:" in (tmp_path / "curso" / "LÉEME.txt").read_text("utf-8")


def test_configuration_is_what_it_says(monkeypatch):
    class Settings(dict):
        def __getattr__(self, name):
            return self.setdefault(name, Settings())

        def __setattr__(self, name, value):
            self[name] = value

    c = Settings()
    monkeypatch.setenv("CURSO_PERFIL", "mediano")
    exec(compile(tool.CONFIG, "nbgrader_config.py", "exec"), {"get_config": lambda: c})
    assert c.ClearSolutions.code_stub == {"python": "\n".join(STUB)}
    assert c.OverwriteCells.add_missing_cells is True and c.Execute.timeout >= 600
    assert re.search(c.IgnorePattern.pattern, "UserWarning\n") and c.IgnorePattern.enabled
    assert c.OverwriteCells.missing_cell_notification.format(cell_id="x").endswith("\n\n")


CELL = "<!-- id: a -->\n# T\n\n```{{code-cell}} ipython3\n:id: ejercicio-2-1\n\n{code}\n```\n\n"
CELL += "```{{code-cell}} ipython3\n:id: {name}\n\n{check}\n```\n"
GOOD = "def f():\n    # <solución>\n    return 1\n    # </solución>"


@pytest.mark.parametrize(
    ("code", "name", "check", "message"),
    [
        (GOOD, "comprueba-2-2", 'check("2.1", f)', "delante no está su ejercicio, sino «ejercicio-2-1»"),
        (GOOD, "comprueba-2-1", 'check("2.1", f)\nprint(1)', "tiene que ser solo check"),
        (f"{GOOD}\n\n{GOOD}", "comprueba-2-1", 'check("2.1", f)', "una solución y solo una"),
        (GOOD.replace("return", "#| stub: pass\n    return"), "comprueba-2-1", 'check("2.1", f)', "sin «#| stub:»"),
        ("def f():\n    return 1", "comprueba-2-1", 'check("2.1", f)', "una solución y solo una"),
    ],
)
def test_an_exercise_that_cannot_be_graded_is_an_error(tmp_path, code, name, check, message):
    folder = tmp_path / "notebooks" / "fuente"
    folder.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('Repositorio = "https://github.com/a/b"\n', "utf-8")
    source = folder / "02_x.md"
    header = "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n---\n"
    source.write_text(header + CELL.format(code=code, name=name, check=check), "utf-8")
    with pytest.raises(ValueError, match=re.escape(message)):
        tool.assignment(Target(source, tmp_path / "notebooks" / "02_x.ipynb", False, tmp_path))


def test_without_nbgrader_it_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tool, "find_spec", lambda name: None)
    assert tool.main(["02", "--output", str(tmp_path / "curso")]) == 1
    error = capsys.readouterr().err
    assert "falta nbgrader" in error and "tools/nbgrader_versions.txt" in error
    assert not (tmp_path / "curso").exists()


def test_extra_versions_change_none_of_the_course():
    extra = parse_pins((ROOT / "tools" / "nbgrader_versions.txt").read_text("utf-8"))
    ours = parse_pins((ROOT / "constraints.txt").read_text("utf-8"))
    assert "nbgrader" in extra and all(ours.get(name, pin) == pin for name, pin in extra.items())
    # notebook va a la par de JupyterLab: la 7.5, con la 4.5.
    assert Version(extra["notebook"]).minor == Version(ours["jupyterlab"]).minor
