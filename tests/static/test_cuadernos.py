"""Pruebas sobre los cuadernos, las fuentes y los cuestionarios que están en el repositorio.

No ejecutan nada (eso lo hace nbval): comprueban que los cuadernos salen de sus fuentes, que no llevan
soluciones ni rutas de un ordenador, que nbval compara sus salidas y que siguen el plan común.
"""

import ast
import itertools
import json
import re
import textwrap
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from tools import notebooks as build

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
STUDENT = sorted(NOTEBOOKS.glob("*.ipynb"))
SOLVED = sorted((NOTEBOOKS / "soluciones").glob("*.ipynb"))
SOURCES = sorted((NOTEBOOKS / "fuente").glob("*.md"))
QUIZZES = sorted((NOTEBOOKS / "quizzes").glob("*.json"))
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}
MAX_BYTES = 3_000_000
MIN_COMPARED = 0.8


def name(path: Path) -> str:
    return path.relative_to(NOTEBOOKS).as_posix()


student_notebooks = pytest.mark.parametrize("path", STUDENT, ids=name)
all_notebooks = pytest.mark.parametrize("path", STUDENT + SOLVED, ids=name)
all_sources = pytest.mark.parametrize("path", SOURCES, ids=name)
all_quizzes = pytest.mark.parametrize("path", QUIZZES, ids=name)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def prose(path: Path) -> str:
    """El texto del cuaderno sin los bloques ni los trozos de código."""
    text = "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    return re.sub(r"```.*?```|~~~.*?~~~|(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)", "", text, flags=re.DOTALL)


def tags(cell) -> set:
    return set(cell.metadata.get("tags", []))


def texts(value) -> list[str]:
    """Todas las cadenas de una estructura, salvo las imágenes codificadas."""
    if isinstance(value, dict):
        return [t for key, v in value.items() if key not in ("image/png", "image/jpeg") for t in texts(v)]
    if isinstance(value, list):
        return [t for v in value for t in texts(v)]
    return [value] if isinstance(value, str) else []


def calls(cell, function: str) -> list[ast.Call]:
    """Las llamadas a una función que hay en una celda (las órdenes de IPython se pasan por alto)."""
    python = re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)
    found = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)]
    return [call for call in found if ast.unparse(call.func).split(".")[-1] == function]


def checks(cell) -> list[str]:
    """Los ejercicios que comprueba una celda: ["2.1"]."""
    found = [call.args[0] for call in calls(cell, "check") if call.args]
    return [a.value for a in found if isinstance(a, ast.Constant) and re.fullmatch(r"\d\.\d", str(a.value))]


# --- Que existan y salgan de sus fuentes -----------------------------------------------------------


def test_session_02_exists():
    for path in ("02_bucle_de_generacion.ipynb", "soluciones/02_bucle_de_generacion.ipynb"):
        assert (NOTEBOOKS / path).exists(), f"falta notebooks/{path}: {build.REMEDY}"


def test_every_session_has_both_variants_and_both_quizzes():
    stems = [path.stem for path in SOURCES]
    assert stems and stems == [p.stem for p in STUDENT] == [p.stem for p in SOLVED]
    expected = {f"{stem[:2]}_{when}" for stem in stems for when in ("antes", "despues")}
    assert {path.stem for path in QUIZZES} == expected


def test_notebooks_are_what_their_sources_generate():
    assert build.check_all(ROOT) == []


@all_notebooks
def test_notebook_is_valid_and_small(path):
    nbformat.validate(read(path))
    assert path.stat().st_size < MAX_BYTES, f"{path.stat().st_size} bytes: reduce las figuras"


# --- Que no se escape nada --------------------------------------------------------------------------


def solution_blocks(path: Path) -> list[str]:
    """Los bloques de solución de una fuente, leídos sin ayuda del programa que construye."""
    blocks = re.findall(r"^[ \t]*# <solución>\n(.*?)^[ \t]*# </solución>$", path.read_text("utf-8"), re.M | re.S)
    assert "solución>" not in "".join(blocks)
    return [re.sub(r"^[ \t]*#\| stub:.*\n", "", block, flags=re.M) for block in blocks]


@all_sources
def test_no_solution_leaks_to_the_student(path):
    notebook = read(NOTEBOOKS / f"{path.stem}.ipynb")
    everything = "\n".join(texts(notebook))
    assert not re.search(r"</?\s*soluci[oó]n\s*>", everything) and "#| stub" not in everything
    blocks = solution_blocks(path)
    assert blocks, "la fuente no tiene ningún ejercicio"
    dense = re.sub(r"\s", "", everything)  # sin espacios: la sangría no puede esconder nada
    for block in blocks:
        assert re.sub(r"\s", "", block) not in dense, f"se ve la solución:\n{block}"
    # Línea a línea: lo que en la fuente solo está dentro de bloques no puede estar en el cuaderno.
    outside = path.read_text("utf-8")
    for block in re.findall(r"^[ \t]*# <solución>\n.*?^[ \t]*# </solución>$", outside, re.M | re.S):
        stub = "\n".join(re.findall(r"^[ \t]*#\| stub:(.*)$", block, re.M))
        outside = outside.replace(block, stub)
    shown = {line.strip() for text in texts(notebook) for line in text.splitlines()}
    public = {line.strip() for line in outside.splitlines()}
    secret = {line.strip() for block in blocks for line in block.splitlines()}
    secret = {line for line in secret - public if len(line) > 5}  # «else:» no delata nada
    assert not secret & shown


@all_sources
def test_the_solution_is_in_the_solution(path):
    code = "\n\n".join(cell.source for cell in code_cells(NOTEBOOKS / "soluciones" / f"{path.stem}.ipynb"))
    for block in solution_blocks(path):
        assert textwrap.dedent(block).strip() in textwrap.dedent(code) or block.rstrip() in code


@all_notebooks
def test_no_errors_nor_warnings(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", cell.id
            assert output.get("name") != "stderr", f"{cell.id}: {output.get('text')}"


@all_notebooks
def test_no_paths_of_a_machine(path):
    local = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users)/|\b[A-Z]:\\+Users|site-packages")
    for cell in read(path).cells:
        for text in texts(dict(cell)):
            found = local.search(text)
            assert not found, f"{cell.id}: {text[max(0, found.start() - 40) : found.end() + 40]}"


# --- Que nbval compare ------------------------------------------------------------------------------


def prints(cell) -> bool:
    """Dice si una celda muestra texto: de una figura, nbval solo compara «<Figure …>»."""
    shown = [text for output in cell.outputs for text in texts(output.get("data", output.get("text", "")))]
    return any(text.strip() and not text.startswith("<Figure ") for text in shown)


@all_notebooks
def test_nbval_compares_most_printing_cells(path):
    printing = [cell for cell in code_cells(path) if prints(cell)]
    compared = [cell for cell in printing if not tags(cell) & NOT_COMPARED]
    assert printing
    ratio = len(compared) / len(printing)
    assert ratio >= MIN_COMPARED, f"nbval compara {len(compared)} de {len(printing)} celdas ({ratio:.0%})"


@all_notebooks
def test_every_figure_is_stored(path):
    # nbval no mira las imágenes: sin esta prueba, un cuaderno sin figuras pasaría.
    for cell in code_cells(path):
        for output in cell.outputs:
            if output.get("data", {}).get("text/plain", "").startswith("<Figure "):
                assert {"image/png", "image/svg+xml"} & set(output.data), f"{cell.id}: falta la imagen"


@all_notebooks
def test_cells_not_compared_assert_what_the_text_claims(path):
    for cell in code_cells(path):
        assert not re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)_", cell.source), f"{cell.id}: usa etiquetas, no comentarios"
        assert not tags(cell) & {"nbval-skip", "raises-exception", "skip-execution"}, cell.id
        if tags(cell) & NOT_COMPARED:
            tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.M))
            assert any(isinstance(node, ast.Assert) for node in ast.walk(tree)), f"{cell.id}: falta un assert"


# --- El plan común (anatomía) ---------------------------------------------------------------------

OPENING = ["Qué sabrás hacer", "Preparación", "Antes de empezar: cuestionario"]
CLOSING = [
    "Errores comunes",
    "Resumen",
    "Después de la sesión: cuestionario",
    "Recursos y artículos",
    "Siguiente sesión",
]


@student_notebooks
def test_headings_follow_the_plan(path):
    headings = re.findall(r"^## +(.+?) *$", prose(path), re.M)
    assert headings[: len(OPENING)] == OPENING
    assert headings[-len(CLOSING) :] == CLOSING
    sections = headings[len(OPENING) : -len(CLOSING)]
    assert len(sections) >= 2
    assert len(set(headings)) == len(headings)
    assert len(re.findall(r"^# ", prose(path), re.M)) == 1


@all_notebooks
def test_first_cell_has_title_and_its_own_colab_badge(path):
    first = read(path).cells[0].source
    assert first.startswith("# ")
    badge = rf"\[!\[Abrir en Colab\]\([^)]+\)\]\(https://colab\.[^)]+/blob/main/notebooks/{re.escape(name(path))}\)"
    assert re.search(badge, first)


@all_notebooks
def test_each_quiz_is_shown_and_written_out(path):
    folder = "../quizzes" if path in SOLVED else "quizzes"
    code = "\n".join(cell.source for cell in code_cells(path))
    shown = list(dict.fromkeys(re.findall(r"[\"']([\w./]*quizzes)/(\w+)\.json", code)))
    assert shown == [(folder, f"{path.stem[:2]}_antes"), (folder, f"{path.stem[:2]}_despues")]
    assert prose(path).count("<summary>Respuestas</summary>") == 2


@student_notebooks
def test_three_to_five_exercises_each_with_its_check(path):
    numbers = [number for cell in code_cells(path) for number in checks(cell)]
    session = int(path.stem[:2])
    assert 3 <= len(numbers) <= 5
    assert numbers == [f"{session}.{i}" for i in range(1, len(numbers) + 1)]


@all_sources
def test_every_exercise_is_followed_by_a_check(path):
    marked = build.jupytext.reads(path.read_text("utf-8"), fmt="md:myst").cells
    kinds = []
    for cell, rendered in zip(marked, read(NOTEBOOKS / f"{path.stem}.ipynb").cells, strict=True):
        if cell.cell_type == "code":
            kinds += ["ejercicio"] if "# <solución>" in cell.source else []
            kinds += ["check"] * len(checks(rendered))
    assert kinds and kinds[0] == "ejercicio" and kinds[-1] == "check"
    assert ("check", "check") not in set(itertools.pairwise(kinds)), "hay un check sin ejercicio delante"


@student_notebooks
def test_untouched_stubs_are_pending(path):
    for cell in code_cells(path):
        if checks(cell):
            shown = "".join(output.get("text", "") for output in cell.outputs)
            assert shown.count("pendiente") == len(checks(cell)), f"{cell.id}: {shown}"
            assert "✅" not in shown and "❌" not in shown


@pytest.mark.parametrize("path", SOLVED, ids=name)
def test_solutions_pass_their_strict_checks(path):
    numbers = []
    for cell in code_cells(path):
        if checks(cell):
            numbers += checks(cell)
            shown = "".join(output.get("text", "") for output in cell.outputs)
            assert "✅" in shown and "❌" not in shown and "pendiente" not in shown, f"{cell.id}: {shown}"
            for call in calls(cell, "check"):
                strict = [ast.unparse(k.value) for k in call.keywords if k.arg == "strict"]
                assert strict == ["True"], cell.id
    assert len(numbers) >= 3


# --- Enlaces e imágenes ----------------------------------------------------------------------------


@all_notebooks
def test_every_image_has_alt_text(path):
    text = prose(path)
    assert not re.search(r"!\[\s*\]", text)
    for tag in re.findall(r"<img\b[^>]*>", text):
        assert re.search(r"\balt=([\"'])\s*[^\s\"'].*?\1", tag), tag


@all_notebooks
def test_every_relative_link_leads_to_a_file(path):
    text = prose(path)
    links = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"\b(?:src|href)=[\"']([^\"']+)", text)
    links += re.findall(r"^ {0,3}\[[^\]\n]+\]:\s*<?([^\s>]+)", text, re.M)
    for link in links:
        if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|#", link):
            continue
        assert not link.startswith("/"), f"«{link}» no es relativo"
        goal = (path.parent / unquote(re.split(r"[?#]", link)[0])).resolve()
        assert goal.exists() and goal.is_relative_to(ROOT), f"«{link}» no lleva a ningún archivo"


# --- Cuestionarios ----------------------------------------------------------------------------------

ENGLISH = re.compile(r"\b(the|is|not|you|your|correct|incorrect|wrong|right|answer|yes|because|it's)\b", re.I)


@all_quizzes
def test_quiz_is_complete(path):
    questions = json.loads(path.read_text(encoding="utf-8"))
    assert len(questions) == {"antes": 3, "despues": 5}[path.stem.split("_")[1]]
    assert len({question["question"] for question in questions}) == len(questions)
    for question in questions:
        answers, where = question["answers"], question["question"]
        assert set(question) == {"question", "type", "answers"}, where
        assert question["question"].strip()
        right = sum(answer["correct"] for answer in answers)
        assert all(isinstance(answer["correct"], bool) for answer in answers), where
        assert right < len(answers), f"{where}: falta una respuesta incorrecta"
        # jupyterquiz admite varias correctas solo si hay más de una: el tipo debe decir la verdad.
        if question["type"] == "multiple_choice":
            assert right == 1, where
        else:
            assert question["type"] == "many_choice" and right >= 2, where
        assert len({answer["answer"] for answer in answers}) == len(answers), where
        for answer in answers:
            assert set(answer) == {"answer", "correct", "feedback"}, where
            assert answer["answer"].strip(), where
            feedback = answer["feedback"]
            assert len(feedback.strip()) >= 10 and feedback.rstrip()[-1] in ".!?»)", f"{where}: «{feedback}»"
            assert not ENGLISH.search(feedback), f"{where}: «{feedback}» no parece español"


@all_quizzes
def test_quiz_text_is_safe_html(path):
    # jupyterquiz inserta los textos como HTML: un «<mask>» sin escapar desaparece de la pantalla.
    for text in texts(json.loads(path.read_text(encoding="utf-8"))):
        assert not re.search(r"<[a-zA-Z/!?]", text), f"escribe &lt; en lugar de «<»: {text}"
