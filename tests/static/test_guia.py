"""La guía docente: sus partes, y que lo que cita de los cuadernos exista y salga de verdad."""

import contextlib
import io
import re
import unicodedata
from functools import cache

import cuadernos
import pytest
import torch
from cuadernos import ROOT, plain

from course_utils.__main__ import main as course
from course_utils.checks import EXERCISES

GUIDE = (ROOT / "slides" / "GUIA_DOCENTE.md").read_text(encoding="utf-8")
SESSIONS = [path.stem[:2] for path in cuadernos.SESSIONS]
PARTS = (
    "Objetivo",
    "El día antes",
    "Plan minuto a minuto",
    "Programar en directo",
    "Preguntas probables",
    "Ideas equivocadas",
    "Ejercicios: cómo se corrigen",
    "Variante de 40 minutos",
    "Para la próxima sesión",
)
GENERAL = (
    "Índice",
    "Elige tu plan",
    "Usar la guía en diez minutos",
    "Preparación general",
    "Si algo falla",
    "Síntomas y remedios",
    "Calificar el curso",
    "Trabajo final",
    "Accesibilidad",
)
every_session = pytest.mark.parametrize("session", SESSIONS)


def cut(text: str, level: int, title: str) -> str:
    """Lo que hay bajo un título, hasta el siguiente de su nivel o mayor."""
    mark = "#" * level
    match = re.search(rf"^{mark} {re.escape(title)}$\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.M | re.S)
    assert match, f"la guía no tiene «{mark} {title}»"
    return match[1]


def part(session: str, name: str) -> str:
    return cut(cut(GUIDE, 2, f"Sesión {session}"), 3, f"{session} · {name}")


def rows(text: str) -> list[list[str]]:
    """Las filas de la primera tabla de un texto, sin la cabecera."""
    table = re.search(r"(?:^\|.*\n)+", text, re.M)
    assert table, "falta una tabla"
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table[0].strip().splitlines()]
    assert len({len(line) for line in lines}) == 1, "una fila no tiene tantas casillas como la cabecera"
    return [[cell.strip() for cell in line] for line in lines[2:]]


@cache
def notebook(number: str) -> tuple[set[str], str, str]:
    """Títulos, código y texto que imprimen el cuaderno de los estudiantes y su profundiza."""
    paths = cuadernos.both(number)
    cells = [cell for path in paths for cell in cuadernos.code_cells(path)]
    titles = set().union(*map(cuadernos.headings, paths))
    return titles, "\n".join(c.source for c in cells), "\n".join(map(cuadernos.shown, cells))


# --- Las partes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", GENERAL)
def test_general_part_is_there(title):
    assert len(cut(GUIDE, 2, title).strip()) > 200


@every_session
@pytest.mark.parametrize("name", PARTS)
def test_every_session_has_every_part(session, name):
    text = part(session, name)
    assert len(text.strip()) > 60
    if name == "Plan minuto a minuto":
        assert f"<!-- plan: {session} -->" in text and "<!-- fin del plan -->" in text


@every_session
def test_tables_are_rich_enough(session):
    assert len(rows(part(session, "Programar en directo"))) >= 5
    assert 6 <= len(rows(part(session, "Preguntas probables"))) <= 10
    assert len(rows(part(session, "Ideas equivocadas"))) >= 4
    for question, answer in rows(part(session, "Preguntas probables")):
        assert question.startswith("¿") or "¿" in question
        assert len(answer) > 20


def test_every_exercise_is_graded_with_its_function():
    graded = {}
    for session in SESSIONS:
        for name, *cells in rows(part(session, "Ejercicios: cómo se corrigen")):
            number, function = re.fullmatch(r"(\w+\.\d) `(\w+)`", name).groups()
            assert number not in graded and f"Ejercicio {number}" in notebook(session)[0]
            code = notebook(session)[1]
            assert f"def {function}(" in code and f'check("{number}", {function})' in code
            assert len(cells) == 5 and all(len(cell) > 10 for cell in cells)
            graded[number] = function
    assert set(graded) == set(EXERCISES)
    core = [number for number in graded if number[0].isdigit()]  # los de las sesiones con letra, optativas, no suman
    heart = [number for number in core if number[0] in "12345"]
    all_of_them, five = len(core), len(heart)
    said = f"Son {all_of_them} ejercicios: {2 * all_of_them} puntos; de la 01 a la 05, {five}: {2 * five} puntos"
    assert said in " ".join(GUIDE.split())


# --- Los planes -------------------------------------------------------------------------------------


def ends(session: str, column: int) -> list[tuple[int, int]]:
    """Los intervalos de una columna del plan de una sesión; lo que se salta no tiene."""
    cells = [row[column] for row in rows(part(session, "Plan minuto a minuto"))]
    return [tuple(map(int, cell.split("–"))) for cell in cells if cell != "se salta"]


@every_session
def test_both_columns_of_a_plan_fill_their_minutes(session):
    for column, total in ((0, 60), (1, 40)):
        spans = ends(session, column)
        assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])] and spans[-1][1] == total


def test_the_four_plans_add_up():
    """Los minutos de cada plan, con las sesiones que dice y su columna; los del taller, además, fila a fila."""
    plans = {name: cells for name, *cells in rows(cut(GUIDE, 2, "Elige tu plan"))}
    core = [session for session in SESSIONS if "01" <= session <= "05"]
    given = {"5 × 60": core, "5 × 40": core, "12 × 60": SESSIONS, "taller de tres horas": core[1:]}
    assert set(plans) == set(given)
    workshop = rows(cut(GUIDE, 3, "El taller, minuto a minuto"))
    spans = [tuple(map(int, span.split("–"))) for span, _ in workshop]
    for name, sessions in given.items():
        what, column, total = plans[name]
        edges = sorted(sessions, key=SESSIONS.index)
        assert f"de la {edges[0]} a la {edges[-1]}" in what
        if name == "taller de tres horas":
            assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
            minutes = spans[-1][1]
            lessons = [(what[3:5], end - start) for (start, end), (_, what) in zip(spans, workshop, strict=True)]
            lessons = [lesson for lesson in lessons if lesson[0].isdigit()]
            assert lessons == [(session, ends(session, 1)[-1][1]) for session in edges]
        else:
            minutes = sum(ends(session, ("«60 min»", "«40 min»").index(column))[-1][1] for session in edges)
            assert name == f"{len(edges)} × {minutes // len(edges)}"
        assert total == f"{minutes} minutos", name


def test_every_session_has_its_drawing_for_the_board():
    said = re.search(r"\*\*El dibujo para la pizarra.+?(?=\n\n)", GUIDE, re.S)[0]
    assert re.findall(r"\b(A\d|\d\d): ", said) == SESSIONS


# --- Lo que cita existe -----------------------------------------------------------------------------


@every_session
def test_quoted_notebook_headings_cells_and_outputs_exist(session):
    text = cut(GUIDE, 2, f"Sesión {session}")
    headings, code, printed = notebook(session)
    quoted = {plain(title) for title in re.findall(r"«cuaderno: (.+?)»", text)}
    assert len(quoted) >= 6 and quoted <= headings, quoted - headings
    cells = re.findall(r"«celda: `(.+?)`»", text)
    assert cells and all(cell in code for cell in cells), [cell for cell in cells if cell not in code]
    outputs = re.findall(r"«sale: `(.+?)`»", text)
    assert outputs and all(o in printed for o in outputs), [o for o in outputs if o not in printed]
    for kind, found in (("cuaderno", re.findall("«cuaderno:", text)), ("celda", cells), ("sale", outputs)):
        assert len(re.findall(f"«{kind}:", text)) == len(found), f"un «{kind}: …» mal escrito"


@every_session
def test_quoted_hints_are_what_the_check_answers(session):
    for name, *_, mistakes in rows(part(session, "Ejercicios: cómo se corrigen")):
        hints = " ".join(hint for rule in EXERCISES[name.split()[0]] for hint in rule.hints)
        quoted = re.findall(r"«pista: (.+?)»", mistakes)
        assert quoted and len(quoted) == mistakes.count("«pista:")
        assert all(hint in hints for hint in quoted), (name, [hint for hint in quoted if hint not in hints])


@every_session
def test_what_is_typed_in_class_runs_and_prints_what_the_guide_says(session, monkeypatch):
    """Los bloques «python» de una sesión se ejecutan seguidos; el «text» de detrás es lo que tiene que salir."""
    monkeypatch.setenv("CURSO_PERFIL", "mini")
    monkeypatch.chdir(ROOT / "notebooks")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", part(session, "Programar en directo"), re.M | re.S)
    assert len(found) >= 2 and [language for language, _ in found] == ["python", "text"] * (len(found) // 2)
    names = {"__name__": "__main__"}
    for (_, code), (_, expected) in zip(found[::2], found[1::2], strict=True):
        assert len(code.splitlines()) <= 16, "demasiado para teclearlo en clase"
        with contextlib.redirect_stdout(io.StringIO()) as output, torch.random.fork_rng(devices=[]):
            exec(compile(code, f"guía, sesión {session}", "exec"), names)
        assert [line.rstrip() for line in output.getvalue().strip("\n").splitlines()] == expected.rstrip().splitlines()


# --- Enlaces y órdenes ------------------------------------------------------------------------------


def slug(title: str) -> str:
    """El ancla que GitHub da a un título."""
    kept = [c for c in plain(title).lower() if c in " -_" or unicodedata.category(c)[0] in "LN"]
    return "".join(kept).replace(" ", "-")


def test_links_lead_somewhere():
    anchors = [slug(title) for title in re.findall(r"^#{1,4} (.+)$", re.sub(r"```.*?```", "", GUIDE, flags=re.S), re.M)]
    assert len(anchors) == len(set(anchors)), "dos títulos iguales"
    targets = re.findall(r"\]\(([^)]+)\)", GUIDE)
    inside = {target[1:] for target in targets if target.startswith("#")}
    assert inside <= set(anchors), inside - set(anchors)
    for session in SESSIONS:  # en el índice, a un clic del plan
        assert f"(#{session.lower()}--plan-minuto-a-minuto)" in cut(GUIDE, 2, "Índice")
    files = {target.split("#")[0] for target in targets if not target.startswith("#")}
    assert files and not any(re.match(r"\w+:", file) for file in files), "sin enlaces externos: están en el mapa"
    missing = [file for file in files if not (ROOT / "slides" / file).resolve().is_file()]
    assert not missing, missing
    assert "http" not in GUIDE


def test_commands_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.+)$", makefile, re.M)[1].split())
    used = set(re.findall(r"`make (\w+)", GUIDE)) | set(re.findall(r"^make (\w+)", GUIDE, re.M))
    assert used and used <= targets, used - targets
    for command in set(re.findall(r"-m course_utils (\w+)", GUIDE)):
        with pytest.raises(SystemExit) as ended, contextlib.redirect_stdout(io.StringIO()):
            course([command, "--help"])
        assert ended.value.code == 0, command
    for path in re.findall(r"`((?:tools|slides|notebooks)/[\w/]+\.\w+)`", GUIDE):
        assert (ROOT / path).is_file(), path


def test_every_table_is_well_formed():
    tables = re.findall(r"(?:^\|.*\n)+", GUIDE, re.M)
    assert len(tables) >= 25
    for table in tables:
        assert rows(table)
