"""Pruebas sobre los cuadernos, las fuentes y los cuestionarios que están en el repositorio.

No ejecutan nada (eso lo hace nbval): comprueban que los cuadernos salen de sus fuentes, que no llevan
soluciones ni rutas de un ordenador, que nbval compara sus salidas y que siguen el plan común.
"""

import ast
import html
import itertools
import json
import re
import textwrap
from pathlib import Path

import jupytext
import nbformat
import pytest
from cuadernos import (
    DEEP,
    NOT_COMPARED,
    NOTEBOOKS,
    ROOT,
    SESSIONS,
    SOLVED,
    SOURCES,
    STUDENT,
    calls,
    code_cells,
    name,
    parse,
    prose,
    read,
    shown,
    tags,
    texts,
)

from tools import notebooks as build
from tools.minutes import measure

QUIZZES = sorted((NOTEBOOKS / "quizzes").glob("*.json"))
MAX_BYTES = 3_000_000
MIN_COMPARED = 0.8
# Lo que sale de entrenar cambia de máquina a máquina: no se compara, y lo prueban sus celdas «verifica».
TRAINS = {
    "04_ajuste_fino.ipynb": 0.35,
    "profundiza/04_ajuste_fino.ipynb": 0.7,
    "profundiza/A1_recurrentes.ipynb": 0.6,
    "A2_atencion.ipynb": 0.35,
    "07_del_modelo_base_al_asistente.ipynb": 0.35,
    "09_etica_y_sociedad.ipynb": 0.75,  # no entrena: mide cuánto tarda, y eso también cambia
    "06_clasificacion.ipynb": 0.7,
}


sessions = pytest.mark.parametrize("path", SESSIONS, ids=name)
student_notebooks = pytest.mark.parametrize("path", STUDENT, ids=name)
all_notebooks = pytest.mark.parametrize("path", STUDENT + SOLVED, ids=name)
all_sources = pytest.mark.parametrize("path", SOURCES, ids=name)
all_quizzes = pytest.mark.parametrize("path", QUIZZES, ids=name)


def checks(cell) -> list[str]:
    """Los ejercicios que comprueba una celda: ["2.1"]."""
    found = [call.args[0] for call in calls(cell, "check") if call.args]
    return [a.value for a in found if isinstance(a, ast.Constant) and re.fullmatch(r"A?\d\.\d", str(a.value))]


# --- Que existan y salgan de sus fuentes -----------------------------------------------------------


def test_every_session_has_both_variants_and_both_quizzes():
    assert SESSIONS and all(path.is_file() for path in SOLVED + SOURCES)
    stems = [path.stem for path in SESSIONS]
    assert {path.stem for path in DEEP} <= set(stems)
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


def student(source: Path) -> Path:
    """El cuaderno del alumnado que sale de una fuente."""
    return (NOTEBOOKS / source.relative_to(NOTEBOOKS / "fuente")).with_suffix(".ipynb")


@all_sources
def test_no_solution_leaks_to_the_student(path):
    notebook = read(student(path))
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
    solved = NOTEBOOKS / "soluciones" / student(path).relative_to(NOTEBOOKS)
    code = "\n\n".join(cell.source for cell in code_cells(solved))
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
    enough = TRAINS.get(name(path).removeprefix("soluciones/"), MIN_COMPARED)
    assert ratio >= enough, f"nbval compara {len(compared)} de {len(printing)} celdas ({ratio:.0%})"


@all_notebooks
def test_every_figure_is_stored(path):
    # nbval no mira las imágenes: sin esta prueba, un cuaderno sin figuras pasaría.
    for cell in code_cells(path):
        for output in cell.outputs:
            if output.get("data", {}).get("text/plain", "").startswith("<Figure "):
                assert {"image/png", "image/svg+xml"} & set(output.data), f"{cell.id}: falta la imagen"


def asserts(cell) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(parse(cell)))


@pytest.mark.parametrize("path", SOLVED, ids=name)
def test_cells_not_compared_are_proved(path):
    """Lo que nbval no compara (un tiempo, un entrenamiento) lo prueba esa celda o la ``verifica`` que la sigue."""
    cells = code_cells(path)
    for cell, follows in zip(cells, [*cells[1:], None], strict=True):
        assert not re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)_", cell.source), f"{cell.id}: usa etiquetas, no comentarios"
        assert not tags(cell) & {"nbval-skip", "raises-exception", "skip-execution"}, cell.id
        if tags(cell) & NOT_COMPARED and not calls(cell, "display_quiz"):
            proved = asserts(cell) or (follows and "verifica" in tags(follows) and asserts(follows))
            assert proved, f"{cell.id}: falta un assert, en una celda «verifica» detrás"


@student_notebooks
def test_students_see_lessons_and_not_proofs(path):
    solved = read(path.parents[path in DEEP] / "soluciones" / path.relative_to(NOTEBOOKS))
    for cell in code_cells(path):
        assert "verifica" not in tags(cell) and not asserts(cell), f"{cell.id}: los assert van en celdas «verifica»"
        for line in shown(cell).splitlines():
            assert not re.search(r"\b(True|False)\b", line), f"{cell.id}: enseña el número, y no «{line}»"
    for cell in solved.cells:
        if "verifica" in tags(cell):
            assert asserts(cell) and not cell.outputs, cell.id


@student_notebooks
def test_every_drawing_is_described(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            for kind in [kind for kind in output.get("data", {}) if kind.startswith("image/")]:
                said = output.metadata.get(kind, {}).get("alt", "")
                assert len(said) > 20, f"{cell.id}: falta «# alt: lo que se ve»"


@sessions
def test_a_session_fits_its_hour(path):
    load = measure(NOTEBOOKS / "fuente" / f"{path.stem}.md")
    assert load.minutes <= 60, f"{load.minutes:.1f} minutos: {load}"
    assert load.pictures >= 8 and load.exercises == 2 and load.questions == 8
    assert f"**Duración:** {load}." in prose(path)


@student_notebooks
def test_pictures_are_counted_where_they_are(path):
    """La cuenta de los minutos mira el código: ha de dar los dibujos que hay."""
    source = (NOTEBOOKS / "fuente" / path.relative_to(NOTEBOOKS)).with_suffix(".md")
    drawn = [cell for cell in code_cells(path) if any("image/png" in o.get("data", {}) for o in cell.outputs)]
    assert measure(source).pictures >= len(drawn)


# --- Que la variante del alumnado sea la resuelta, sin resolver ----------------------------------------
# Con cada cambio se ejecutan y comparan los cuadernos resueltos; los del alumnado, solo de noche. Mientras, lo que no
# es un ejercicio tiene que ser igual en las dos variantes, código y salidas: si vale en una, vale en la otra.


def outline(cell):
    """De una celda, lo que no puede cambiar de una variante a otra; las rutas, vistas desde la misma carpeta."""
    source = re.sub(r"(\.\./)+|\bsoluciones/", "", cell.source)
    outputs = [] if tags(cell) & NOT_COMPARED else cell.get("outputs", [])
    return source, cell.metadata, [(o.output_type, texts(o), sorted(o.get("data", {}))) for o in outputs]


@student_notebooks
def test_the_variants_differ_only_in_the_exercises(path):
    student = read(path).cells
    solved = read(NOTEBOOKS / "soluciones" / path.relative_to(NOTEBOOKS)).cells
    solved = [cell for cell in solved if "verifica" not in tags(cell)]
    assert [(cell.id, cell.cell_type) for cell in student] == [(cell.id, cell.cell_type) for cell in solved]
    for mine, theirs in zip(student, solved, strict=True):
        if not mine.id.startswith(("ejercicio-", "comprueba-")):
            assert outline(mine) == outline(theirs), mine.id


# --- El plan común (anatomía) ---------------------------------------------------------------------

OPENING = ["Qué sabrás hacer", "Preparación", "Antes de empezar: cuestionario"]
CLOSING = [
    "Errores comunes",
    "Resumen",
    "La apuesta, contestada",
    "Después de la sesión: cuestionario",
    "Recursos y artículos",
    "Siguiente sesión",
    "Los cuestionarios, escritos",
]


@student_notebooks
def test_headings_follow_the_plan(path):
    headings = re.findall(r"^## +(.+?) *$", prose(path), re.M)
    opening, closing = (OPENING[:2], ["Resumen", "Recursos y artículos"]) if path in DEEP else (OPENING, CLOSING)
    assert headings[: len(opening)] == opening
    assert headings[-len(closing) :] == closing
    sections = headings[len(opening) : -len(closing)]
    assert len(sections) >= 2
    assert len(set(headings)) == len(headings)
    assert len(re.findall(r"^# ", prose(path), re.M)) == 1


@sessions
def test_a_session_opens_with_its_idea_and_a_bet(path):
    first = "\n\n".join(cell.source for cell in read(path).cells[:2])
    assert re.search(r"^\*\*Idea: ", first, re.M) and re.search(r"^\*\*La apuesta\.\*\*", first, re.M)


@all_notebooks
def test_first_cell_has_title_and_its_own_colab_badge(path):
    first = read(path).cells[0].source
    assert first.startswith("# ")
    badge = rf"\[!\[Abrir en Colab\]\([^)]+\)\]\(https://colab\.[^)]+/blob/main/notebooks/{re.escape(name(path))}\)"
    assert re.search(badge, first)


@pytest.mark.parametrize("path", [*SESSIONS, *SOLVED[: len(SESSIONS)]], ids=name)
def test_each_quiz_is_shown_and_written_out(path):
    folder = "../quizzes" if path in SOLVED else "quizzes"
    code = "\n".join(cell.source for cell in code_cells(path))
    shown = list(dict.fromkeys(re.findall(r"[\"']([\w./]*quizzes)/(\w+)\.json", code)))
    assert shown == [(folder, f"{path.stem[:2]}_antes"), (folder, f"{path.stem[:2]}_despues")]
    assert prose(path).count("<summary>Respuestas</summary>") == 2


@all_quizzes
def test_a_quiz_has_no_markdown(path):
    """Quien lo enseña, en el cuaderno y en el sitio, lo trata como HTML: los asteriscos se verían."""
    assert not re.findall(r"\*\w[^*]*\*|`", path.read_text(encoding="utf-8"))


@student_notebooks
def test_no_object_is_shown_by_its_constructor(path):
    """Lo que una celda deja en pantalla se lee: «Card(prompt='…', tokens=…)» es para quien programa."""
    for cell in code_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            if set(data) == {"text/plain"}:
                assert not re.match(r"[A-Z]\w+\(\w+=", data["text/plain"]), cell.id


@sessions
def test_three_to_five_exercises_each_with_its_check(path):
    """Entre la sesión y su profundiza, cada uno una vez."""
    books = [path, *(deep for deep in DEEP if deep.name == path.name)]
    numbers = [number for book in books for cell in code_cells(book) for number in checks(cell)]
    assert 2 <= len(numbers) <= 5
    assert sorted(numbers) == [f"{path.stem[:2].lstrip('0')}.{i}" for i in range(1, len(numbers) + 1)]


@all_sources
def test_every_exercise_is_followed_by_its_check(path):
    cells = jupytext.read(path, fmt="md:myst").cells
    code = {cell.metadata["id"]: cell.source for cell in cells if cell.cell_type == "code"}
    exercises = [key for key, source in code.items() if "# <solución>" in source]
    assert exercises and exercises == [key for key in code if key.startswith("ejercicio-")]
    checked = {key: follows for key, follows in itertools.pairwise(code) if key in exercises}
    assert checked == {key: key.replace("ejercicio", "comprueba") for key in exercises}
    assert [key for key in code if key.startswith("comprueba-")] == list(checked.values())
    for key in checked.values():
        number = key.removeprefix("comprueba-").replace("-", ".").upper()
        assert code[key].startswith(f'check("{number}", ')


@student_notebooks
def test_untouched_stubs_are_pending(path):
    for cell in code_cells(path):
        if checks(cell):
            text = shown(cell)
            assert text.count("pendiente") == len(checks(cell)), f"{cell.id}: {text}"
            assert "✅" not in text and "❌" not in text


@pytest.mark.parametrize("path", SOLVED, ids=name)
def test_solutions_pass_their_strict_checks(path):
    checking = [cell for cell in code_cells(path) if checks(cell)]
    assert checking
    for cell in checking:
        text = shown(cell)
        assert "✅" in text and "❌" not in text and "pendiente" not in text, f"{cell.id}: {text}"
        for call in calls(cell, "check"):
            assert [ast.unparse(k.value) for k in call.keywords if k.arg == "strict"] == ["True"], cell.id


# --- Enlaces e imágenes ----------------------------------------------------------------------------


@all_notebooks
def test_every_image_has_alt_text(path):
    text = prose(path)
    assert not re.search(r"!\[\s*\]", text)
    for tag in re.findall(r"<img\b[^>]*>", text):
        assert re.search(r"\balt=([\"'])\s*[^\s\"'].*?\1", tag), tag


# --- Sin JavaScript -------------------------------------------------------------------------------------
# La regla: una salida guardada que necesita JavaScript (un guion, o un widget, que al construir se queda en una frase)
# tiene al lado lo mismo sin él. Un cuestionario, todo su texto en la última celda; un explorador, un dibujo en la
# celda de código siguiente. GitHub, un PDF, Colab recién abierto y el Notebook 6 sin confianza no ejecutan nada.


def needs_javascript(output) -> bool:
    data = output.get("data", {})
    text = "".join(data.get("text/html", ""))
    return (
        "application/javascript" in data
        or any("widget" in mime for mime in data)
        or bool(re.search(r"<script|\son\w+\s*=|<iframe", text))
        or "aparece al ejecutar esta celda" in data.get("text/plain", "")
    )


def without_javascript(book, index: int) -> str | None:
    """Lo que le falta a una celda con JavaScript para leerse sin él, o ``None``."""
    source = book.cells[index].source
    for output in book.cells[index].outputs:
        if "application/javascript" in output.data and "cuestionario" not in output.data["text/plain"].lower():
            return f"se lee «{output.data['text/plain']}»"
    quiz = re.search(r"quizzes/(\w+\.json)", source)
    if quiz:
        questions = json.loads((NOTEBOOKS / "quizzes" / quiz[1]).read_text(encoding="utf-8"))
        end = html.unescape(book.cells[-1].source)
        said = [text for q in questions for a in q["answers"] for text in (q["question"], a["answer"], a["feedback"])]
        lost = [text for text in said if html.unescape(text) not in end]
        return f"el texto de la última celda no dice: {lost}" if lost or "<details>" not in end else None
    if re.search(r"\b(Explorer|EpochSlider|SentenceBox)\(", source):
        code = [cell for cell in book.cells[index + 1 :] if cell.cell_type == "code" and "verifica" not in tags(cell)]
        after = code[0] if code else {"outputs": []}
        shown = {kind for output in after["outputs"] for kind in output.get("data", {})}
        return None if shown & {"image/png", "text/html"} else "la celda de código siguiente no enseña lo mismo"
    return "no es un cuestionario ni un mando"


@all_notebooks
def test_nothing_needs_javascript_to_be_understood(path):
    book = read(path)
    found = [i for i, cell in enumerate(book.cells) if any(map(needs_javascript, cell.get("outputs", [])))]
    assert len(found) >= 2 or path.parent.name == "profundiza"  # los dos cuestionarios
    for index in found:
        problem = without_javascript(book, index)
        assert not problem, f"{book.cells[index].id}: sin JavaScript, {problem}"


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
