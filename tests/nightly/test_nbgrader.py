"""nbgrader de verdad: reparte las tareas, recoge entregas, las corrige y escribe sus páginas.

De cada tarea se entrega el cuaderno resuelto, que se lleva todos los puntos, y el que se reparte, que no se lleva
ninguno; de una tarea corta, con celdas de la 02, además, entregas que intentan engañar. Dos lo consiguen, y la guía
docente lo dice: nbgrader ejecuta lo entregado en el mismo Python que lo corrige. Si un cambio deja de dar los puntos
que tocan, solo se ve aquí.
"""

import csv
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import apart
import nbformat
import pytest
from nbformat.v4 import new_code_cell

from tools import ROOT
from tools import nbgrader as tool

SHORT = ("portada", "importar", "ejercicio-2-1", "comprueba-2-1", "ejercicio-2-3", "comprueba-2-3")
TASKS = [tool.assignment_name(t) for t in tool.find_targets(ROOT) if not t.solved and tool.points(tool.assignment(t))]


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return apart.install(tmp_path_factory.mktemp("paquetes"), "nbgrader_versions.txt", "nbgrader")


@pytest.fixture(scope="module")
def course(packages, tmp_path_factory):
    """El curso de nbgrader recién hecho, con su intercambio en una carpeta propia."""
    folder = tmp_path_factory.mktemp("curso")
    exchange = folder / "intercambio"
    exchange.mkdir(mode=0o777)
    course = Course(folder / "curso", exchange, packages)
    course.python("-m", "tools.nbgrader", "--output", str(course.folder), cwd=ROOT)
    short = course.read("source", "02")
    short.cells = [one for one in short.cells if one.id in SHORT]
    (course.folder / "source" / "corta").mkdir()
    nbformat.write(short, course.folder / "source" / "corta" / short.metadata.pop("nombre"))
    course.nbgrader("generate_assignment", "corta")
    config = course.folder / "nbgrader_config.py"
    config.write_text(config.read_text("utf-8") + f"\nc.Exchange.root = {str(exchange)!r}\n", "utf-8")
    return course


class Course:
    """Un curso de nbgrader en una carpeta y quienes entregan en él."""

    def __init__(self, folder: Path, exchange: Path, packages: Path):
        self.folder, self.exchange = folder, exchange
        path = [str(packages / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        self.env = os.environ | {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)]),
        }
        self.env |= {"JUPYTER_PREFER_ENV_PATH": "1", "IPYTHONDIR": str(exchange.parent / "ipython")}

    def python(self, *arguments: str, cwd: Path | None = None) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=self.env, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def nbgrader(self, *arguments: str, cwd: Path | None = None) -> str:
        return self.python("-m", "nbgrader", *arguments, cwd=cwd)

    def read(self, kind: str, task: str) -> nbformat.NotebookNode:
        (path,) = (self.folder / kind / task).glob("*.ipynb")
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["nombre"] = path.name
        return notebook

    def submit(self, student: str, task: str, notebook: nbformat.NotebookNode) -> None:
        """Deja una entrega donde las deja ``collect``."""
        folder = self.folder / "submitted" / student / task
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / notebook.metadata.nombre)

    def scores(self) -> dict:
        """Los puntos de cada entrega, de cuántos y los de la primera celda, según el propio nbgrader."""
        self.nbgrader("export")
        with (self.folder / "grades.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {(r["assignment"], r["student_id"]): (float(r["score"] or 0), float(r["max_score"])) for r in rows}


def cell(notebook, name: str):
    (found,) = (cell for cell in notebook.cells if cell.id == name)
    return found


def answers(course, task: str) -> dict[str, str]:
    """La solución de cada ejercicio, de la fuente de la tarea y sin marcas."""
    cells = [cell for cell in course.read("source", task).cells if cell.metadata.nbgrader.solution]
    return {cell.id: re.sub(r"^ *### (BEGIN|END) SOLUTION\n", "", cell.source, flags=re.M) for cell in cells}


def solve(course, task: str, only: int | None = None):
    notebook = course.read("release", task)
    for name, code in list(answers(course, task).items())[:only]:
        cell(notebook, name).source = code
    return notebook


# --- Lo que se reparte ------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_what_nbgrader_releases_is_the_students_notebook(course, task):
    """Celda a celda, con el cuaderno publicado: mismo hueco, sin soluciones ni ``verifica``, y lo demás bloqueado."""
    released = course.read("release", task)
    path = ROOT / "notebooks" / ("profundiza" if task.endswith("profundiza") else "") / released.metadata.nombre
    published = {c.id: c for c in nbformat.read(path, as_version=4).cells}
    assert [c.id for c in released.cells] == list(published)
    for one in released.cells:
        kind = one.metadata.nbgrader
        assert kind.schema_version == 3 and kind.grade_id == one.id and kind.checksum
        assert one.metadata.deletable is False and one.metadata.get("editable", True) is kind.solution
        assert kind.locked is not kind.solution and one.get("outputs", []) == []
        if one.cell_type == "code" and not kind.grade:
            assert one.source == re.sub(r"(\.\./)+quizzes/", "quizzes/", published[one.id].source)
        elif kind.grade:
            assert published[one.id].source in one.source and kind.points == 2
    assert not re.search(r"(BEGIN|END) (SOL|HID)|del sys\.modules", json.dumps([c.source for c in released.cells]))


# --- Corregir ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_a_solved_notebook_gets_every_point_and_a_blank_one_none(course, task, record_property):
    course.submit("resuelta", task, solve(course, task))
    course.submit("en_blanco", task, course.read("release", task))
    start = time.perf_counter()
    course.nbgrader("autograde", task)
    record_property("segundos_por_entrega", round((time.perf_counter() - start) / 2, 1))
    worth = 2 * len(answers(course, task))
    scores = course.scores()
    assert scores[task, "resuelta"] == (worth, worth)
    assert scores[task, "en_blanco"] == (0, worth)


REDEFINED = """
def check(*arguments, **options):
    print("¡Ejercicio 2.1 resuelto!")
points = lambda *arguments: 2
"""
PATCHED = """
import course_utils.checks
course_utils.checks.check = course_utils.checks.points = lambda *arguments, **options: 2
"""
EMPTIED = """
from course_utils.checks import EXERCISES, session_02
for exercise in ("2.1", "2.3"):
    EXERCISES[exercise] = session_02.EXERCISES[exercise] = ()
"""
TRANSFORMED = """
import ast
class Nothing(ast.NodeTransformer):
    def visit_Module(self, node):
        return ast.Module(body=[], type_ignores=[]) if "points" in ast.unparse(node) else node
get_ipython().ast_transformers.append(Nothing())
"""
NOISY = """
def apply_temperature(logits, t):
    import sys, warnings
    warnings.warn("un aviso")
    print("y algo más", file=sys.stderr)
    return torch.softmax(logits / t, dim=-1)
"""


def edited(course, change):
    notebook = course.read("release", "corta")
    change(notebook)
    return notebook


def before_the_first_test(code: str):
    def change(notebook):
        place = [c.id for c in notebook.cells].index("comprueba-2-1")
        notebook.cells.insert(place, new_code_cell(code))

    return change


def tests_say_pass(notebook):
    for name in ("comprueba-2-1", "comprueba-2-3"):
        cell(notebook, name).source = "pass"


def unlocked_and_dear(notebook):
    tests_say_pass(notebook)
    for name in ("comprueba-2-1", "comprueba-2-3"):
        cell(notebook, name).metadata.nbgrader.update(locked=False, points=100)


def without_tests(notebook):
    notebook.cells = [c for c in notebook.cells if not c.id.startswith("comprueba-")]


def written_outputs(notebook):
    output = nbformat.v4.new_output("stream", name="stdout", text="¡Ejercicio 2.1 resuelto!\n")
    cell(notebook, "comprueba-2-1").outputs = [output]


HALF = """
def apply_temperature(logits, t):
    logits /= t
    return torch.softmax(logits, dim=-1)
"""
DISPLAYED = """
def apply_temperature(logits, t):
    import sys
    sys.displayhook(2)
"""


def half(notebook):
    cell(notebook, "ejercicio-2-1").source = HALF


def displayed(notebook):
    cell(notebook, "ejercicio-2-1").source = DISPLAYED


def noisy(notebook):
    cell(notebook, "ejercicio-2-1").source = NOISY


def endless(notebook):
    cell(notebook, "ejercicio-2-1").source = "def apply_temperature(logits, t):\n    while True:\n        t += 1"


def leaves(notebook):
    cell(notebook, "ejercicio-2-1").source = "def apply_temperature(logits, t):\n    raise SystemExit"


TRICKS = {
    "comprobaciones_con_pass": (tests_say_pass, 0),
    "sin_bloquear_y_a_100_puntos": (unlocked_and_dear, 0),
    "sin_comprobaciones": (without_tests, 0),
    "salidas_escritas": (written_outputs, 0),
    "check_redefinido": (before_the_first_test(REDEFINED), 0),
    "modulo_parcheado": (before_the_first_test(PATCHED), 0),
    "reglas_vacias": (before_the_first_test(EMPTIED), 0),
    "bucle_sin_fin": (endless, 0),
    "sale_de_python": (leaves, 0),
    "con_avisos": (noisy, 2),
    "casi": (half, 1),
    # Lo que nbgrader no para: quien cambia el Python que corrige, o escribe en su salida, se pone la nota.
    "nucleo_trucado": (before_the_first_test(TRANSFORMED), 4),
    "nota_dictada": (displayed, 2),
}


@pytest.fixture(scope="module")
def short(course):
    """La tarea corta: repartida, entregada y recogida por el intercambio, corregida y con sus páginas."""
    course.nbgrader("release_assignment", "corta")
    student = course.exchange.parent / "estudiante"
    student.mkdir()
    config = f"c = get_config()\nc.Exchange.root = {str(course.exchange)!r}\n"
    config += 'c.CourseDirectory.course_id = "generar-texto-en-espanol"\n'
    (student / "nbgrader_config.py").write_text(config, "utf-8")
    course.nbgrader("fetch_assignment", "corta", cwd=student)
    solved = solve(course, "corta")
    nbformat.write(solved, student / "corta" / solved.metadata.nombre)
    course.nbgrader("submit", "corta", "--CourseDirectory.student_id=resuelta", cwd=student)
    course.nbgrader("collect", "corta")
    course.submit("en_blanco", "corta", course.read("release", "corta"))
    course.submit("a_medias", "corta", solve(course, "corta", only=1))
    for name, (change, _) in TRICKS.items():
        course.submit(name, "corta", edited(course, change))
    course.log = course.nbgrader("autograde", "corta")
    course.nbgrader("generate_feedback", "corta")
    return {student: score for (task, student), score in course.scores().items() if task == "corta"}


@pytest.mark.parametrize(
    ("student", "points"),
    [("resuelta", 4), ("en_blanco", 0), ("a_medias", 2), *((name, worth) for name, (_, worth) in TRICKS.items())],
)
def test_each_submission_gets_what_it_deserves(short, student, points):
    assert short[student] == (points, 4)


def test_feedback_is_written_for_each_student(course, short):
    for student in short:
        (page,) = (course.folder / "feedback" / student / "corta").glob("*.html")
        text = page.read_text("utf-8")
        assert f"Score: {short[student][0]}" in text
    blank = next((course.folder / "feedback" / "en_blanco" / "corta").glob("*.html")).read_text("utf-8")
    assert "pendiente" in blank and "sin puntos todavía" in blank


def test_validate_tells_the_student_the_truth(course, short):
    folder = course.exchange.parent / "validar"
    folder.mkdir()
    for name, notebook in (("mal", course.read("release", "corta")), ("bien", solve(course, "corta"))):
        nbformat.write(notebook, folder / f"{name}.ipynb")
    assert "VALIDATION FAILED ON 2 CELL(S)" in course.nbgrader("validate", str(folder / "mal.ipynb"))
    assert "Success" in course.nbgrader("validate", str(folder / "bien.ipynb"))
