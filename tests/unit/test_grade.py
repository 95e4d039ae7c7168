"""Corregir entregas, sin ejecutar ninguna: repartir, leer, escoger lo que hace falta y escribir las notas."""

import csv
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from entregas import session_02, zipped

from course_utils.__main__ import main
from course_utils.grade import (
    alike,
    command,
    course,
    gather,
    pages,
    reading,
    results,
    sandbox,
    seccomp,
    slicing,
    tables,
    unzip,
)
from course_utils.grade.judging import Verdict
from course_utils.grade.results import Result

EXERCISES = course.load()


def whose(folder, **files):
    """Reparte unos archivos: de cada persona, cuántos."""
    looks = command._looks(EXERCISES)
    found = gather.gather(folder, looks, sorted({Path(e.notebook).name for e in EXERCISES.values()}))
    return {s.student: len(s.files) for s in found}


def written(folder: Path, *names: str, made=None) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made or session_02()), encoding="utf-8")
    return folder


# ---------------------------------------------------------------- el curso
def test_every_exercise_has_its_stub_its_solution_and_its_function():
    from course_utils import checks

    assert set(EXERCISES) == set(checks.EXERCISES)
    assert [e.number for e in EXERCISES.values() if not e.optional][:2] == ["1.1", "1.2"]
    assert sum(not e.optional for e in EXERCISES.values()) == 31  # lo que dice la guía: 62 puntos
    for exercise in EXERCISES.values():
        assert f"def {exercise.function}(" in exercise.stub and "..." in exercise.stub
        assert f"def {exercise.function}(" in exercise.solution and exercise.stub != exercise.solution


def test_without_the_notebooks_of_the_course_it_says_so(tmp_path):
    with pytest.raises(ValueError, match="--notebooks"):
        course.load(tmp_path)


# ---------------------------------------------------------------- repartir
PEOPLE = ["Ángel", "nadia", "Nora", "ñu", "Zoe"]  # la eñe va detrás de la ene


@pytest.mark.parametrize(
    ("names", "people"),
    [
        (["ana.ipynb", "luis_02_bucle_de_generacion.ipynb"], {"ana": 1, "luis": 1}),
        (
            ["02_bucle_de_generacion_eva.ipynb", "02_bucle_de_generacion (1).ipynb"],
            {"02_bucle_de_generacion (1)": 1, "eva": 1},
        ),
        (["Ana/02.ipynb", "Luis/02.ipynb"], {"Ana": 1, "Luis": 1}),
        (["grupo A/Ana/02.ipynb", "grupo A/Luis/02.ipynb"], {"grupo A/Ana": 1, "grupo A/Luis": 1}),
        (
            ["Pérez Ana_12_assignsubmission_file_/x/02.ipynb", "Pérez Ana_12_assignsubmission_file_/b.ipynb"],
            {"Pérez Ana": 2},
        ),
        (["Pérez Ana_12_assignsubmission_file_02.ipynb"], {"Pérez Ana": 1}),
        (["Eva Ruiz - 02_bucle_de_generacion.ipynb", "Eva Ruiz - Copia de 02.ipynb"], {"Eva Ruiz": 2}),
        (["a; rm -rf x.ipynb", "-n.ipynb"], {"a; rm -rf x": 1, "n": 1}),
        # En Moodle hay quien se llama igual, y quien tiene un nombre que empieza por un punto.
        (
            ["Ana_12_assignsubmission_file_/02.ipynb", "Ana_13_assignsubmission_file_/02.ipynb"],
            {"Ana (12)": 1, "Ana (13)": 1},
        ),
        (["Ana_12_assignsubmission_file_/02.ipynb", "Ana - 02.ipynb"], {"Ana": 2}),
        ([".._Ander_12_assignsubmission_file_/02.ipynb", ".cache/02.ipynb"], {".._Ander": 1}),
        (["Zoe.ipynb", "ñu.ipynb", "Nora.ipynb", "nadia.ipynb", "Ángel.ipynb"], dict.fromkeys(PEOPLE, 1)),
    ],
)
def test_files_are_dealt_out_to_people(tmp_path, names, people):
    found = whose(written(tmp_path, *names))
    assert found == people and list(found) == list(people)


@pytest.mark.parametrize(
    ("parts", "stem"),
    [
        (("garcia_02_bucle_de_generacion.ipynb",), "garcia"),
        (("entregas", "Ana.zip", ""), "Ana"),
        (("Ana.v2", ""), "Ana.v2"),
        (("02_bucle_de_generacion.ipynb",), "02_bucle_de_generacion"),
        (("",), "sin nombre"),
    ],
)
def test_a_loose_notebook_is_called_by_what_is_left_of_its_name(parts, stem):
    found = gather._Found(parts, None)
    assert gather._stem(found, (), ["02_bucle_de_generacion"]) == stem
    assert gather._stem(found, ("grupo A",), ["02_bucle_de_generacion"]) == f"grupo A/{stem}"


def test_several_notebooks_of_one_person_make_one_row(tmp_path):
    other = json.loads((Path("notebooks") / "03_generate.ipynb").read_text(encoding="utf-8"))
    written(tmp_path, "Ana/dos/02.ipynb")
    assert whose(written(tmp_path, "Ana/tres/03.ipynb", made=other)) == {"Ana": 2}


def test_zips_are_read_inside_and_never_written(tmp_path):
    raw = json.dumps(session_02()).encode()
    folder = tmp_path / "entregas"
    folder.mkdir()
    (folder / "Ana.zip").write_bytes(
        zipped({"a/02.ipynb": raw, "../sale.ipynb": raw, "otro.zip": zipped({"b.ipynb": b"{}"})})
    )
    (found,) = gather.gather(folder, command._looks(EXERCISES))
    why = "lleva dentro una ruta que sale de la carpeta"
    assert found.student == "Ana" and sorted(f.why for f in found.files) == ["", "", why]
    assert [f.path for f in found.files if f.why] == ["Ana.zip"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["Ana.zip", "entregas"]


@pytest.mark.parametrize(("more", "why"), [(0, ""), (1, "zips dentro de zips: se deja")])
def test_zips_in_zips_are_opened_up_to_a_point(tmp_path, more, why):
    raw = zipped({"02.ipynb": json.dumps(session_02()).encode()})
    for _ in range(gather.MAX_NESTED - 1 + more):
        raw = zipped({"dentro.zip": raw})
    (tmp_path / "Ana.zip").write_bytes(raw)
    (found,) = gather.gather(tmp_path, command._looks(EXERCISES))
    assert [file.why for file in found.files] == [why]


def test_a_bomb_a_link_and_a_broken_zip_are_reported():
    with pytest.raises(unzip.Refused, match="no es un zip"):
        list(unzip.members(io.BytesIO(b"PK no"), 100))
    ((_, content, why),) = unzip.members(io.BytesIO(zipped({"a.ipynb": b"0" * 10**7})), 10**8)
    assert content is None and "se hincha" in why
    ((_, content, why),) = unzip.members(io.BytesIO(zipped({"a.ipynb": os.urandom(2000)})), 1000)
    assert content is None and "ocupa demasiado" in why
    link, raw = zipfile.ZipInfo("a.ipynb"), io.BytesIO()
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    ((_, content, why),) = unzip.members(raw, 1000)
    assert content is None and why == "lleva dentro un enlace"


def test_a_zip_with_too_much_is_not_opened(monkeypatch):
    raw = zipped({f"{n}.txt": b"" for n in range(5000)})
    assert list(unzip.members(io.BytesIO(raw), 1)) == []
    with pytest.raises(unzip.Refused, match="tiene 5001 archivos; el tope son 5000"):
        list(unzip.members(io.BytesIO(zipped({f"{n}.txt": b"" for n in range(5001)})), 1))
    raw = zipped({name: os.urandom(700) for name in ("a.ipynb", "b.ipynb", "c.ipynb")})
    for most, said in ((2100, ["", "", ""]), (2099, ["", "", "ocupa demasiado"])):  # entre todos
        monkeypatch.setattr(unzip, "MAX_TOTAL", most)
        assert [why for *_, why in unzip.members(io.BytesIO(raw), 700)] == said
    assert [why for *_, why in unzip.members(io.BytesIO(raw), 699)] == ["ocupa demasiado"] * 3


@pytest.mark.parametrize(("size", "why"), [(200 * 1024, ""), (200 * 1024 + 1, "se hincha demasiado al descomprimirse")])
def test_a_file_may_be_two_hundred_times_what_it_takes_compressed(size, why):
    ((path, content, said),) = unzip.members(io.BytesIO(zipped({"a.ipynb": b"0" * size})), 10**6)
    assert (path.name, said) == ("a.ipynb", why) and content == (None if why else b"0" * size)


def test_of_a_zip_only_notebooks_and_zips_are_read():
    names = ("__MACOSX/a.ipynb", "x/.git/a.ipynb", ".ipynb_checkpoints/a.ipynb", "a.txt", "b/C.IPYNB", "d.Zip")
    found = unzip.members(io.BytesIO(zipped(dict.fromkeys(names, b"{}"))), 2)
    assert [(str(path), content, why) for path, content, why in found] == [
        ("b/C.IPYNB", b"{}", ""),
        ("d.Zip", b"{}", ""),
    ]
    for name in ("../a.ipynb", "/a.ipynb", "C:/a.ipynb", "x\\..\\a.ipynb"):
        ((path, content, why),) = unzip.members(io.BytesIO(zipped({name: b"{}"})), 2)
        assert (str(path), content, why) == (".", None, "lleva dentro una ruta que sale de la carpeta")


def test_what_is_encrypted_or_damaged_inside_a_zip_is_told():
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("a.ipynb", b"entero")
    damaged = raw.getvalue().replace(b"entero", b"roto..", 1)
    index = raw.getvalue().index(b"PK\1\2") + 8  # donde el índice dice si está cifrado
    locked = raw.getvalue()[:index] + b"\1" + raw.getvalue()[index + 1 :]
    for content, why in ((damaged, "está estropeado dentro del zip"), (locked, "está cifrado")):
        ((_, nothing, said),) = unzip.members(io.BytesIO(content), 100)
        assert nothing is None and said == why


def test_a_link_is_never_followed_and_a_big_file_never_opened(tmp_path):
    outside = tmp_path / "fuera.ipynb"
    outside.write_text("{}")
    folder = tmp_path / "entregas"
    folder.mkdir()
    (folder / "ana.ipynb").symlink_to(outside)
    (folder / "carpeta").symlink_to(tmp_path)
    with (folder / "luis.ipynb").open("wb") as file:
        file.truncate(80 * 2**20)
    found = {s.student: s.files[0] for s in gather.gather(folder, command._looks(EXERCISES))}
    assert "enlace" in found["ana"].why and "enlace" in found["carpeta"].why and "80 MB" in found["luis"].why
    assert all(file.raw is None for file in found.values())


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_a_notebook_of_twenty_megas_is_opened_and_a_bigger_one_is_not(tmp_path):
    path = sparse(tmp_path / "a.ipynb", 20 * 2**20)
    assert len(gather._read(path, "a").raw) == 20 * 2**20
    sparse(path, 20 * 2**20 + 1)
    assert gather._read(path, "a") == gather.File("a", None, "ocupa 20 MB y no se abre; el tope son 20")


def test_a_huge_zip_is_not_opened(tmp_path, monkeypatch):
    said = lambda: [found.file.why for found in gather._walk(tmp_path)]  # noqa: E731
    path = sparse(tmp_path / "a.zip", 500 * 2**20 + 1)
    assert said() == ["el zip ocupa demasiado y no se abre"]
    path.write_bytes(zipped({"a.txt": b""}))
    monkeypatch.setattr(unzip, "MAX_TOTAL", path.stat().st_size)
    assert said() == ["el zip no tiene ningún cuaderno"]
    monkeypatch.setattr(unzip, "MAX_TOTAL", path.stat().st_size - 1)
    assert said() == ["el zip ocupa demasiado y no se abre"]


def fails(error):
    def fail(*_, **__):
        raise error

    return fail


def test_what_is_not_a_file_that_can_be_read_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    def said() -> dict:
        return {found.file.path: found.file.why for found in gather._walk(tmp_path)}

    written(tmp_path, "a.ipynb", "c/a.ipynb", "b.ipynb", ".cache/x.ipynb")
    for name in ("a.docx", "notas.csv"):
        (tmp_path / name).touch()
    (tmp_path / "d.zip").write_bytes(b"PK no")
    expected = {"a.ipynb": "", "c/a.ipynb": "", "b.ipynb": "", "a.docx": "no es un cuaderno"}
    assert said() == expected | {"d.zip": "no es un zip o está cortado"}
    if os.name == "posix":
        os.mkfifo(tmp_path / "e.ipynb")
        (tmp_path / "b.ipynb").chmod(0)
        there = said()
        assert (there["e.ipynb"], there["b.ipynb"]) == ("no es un archivo corriente", "no hay permiso para leerlo")
    monkeypatch.setattr(Path, "read_bytes", fails(OSError(5, "Input/output error")))
    assert said()["a.ipynb"] == "no se puede leer (Input/output error)"
    assert said()["d.zip"] == "no hay permiso para leerlo"
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: fails(PermissionError())() if path.name == "c" else scan(path))
    assert said()["c"] == "no hay permiso para abrir la carpeta" and "a.ipynb" in said()


def test_a_folder_without_permission_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, how: how == os.R_OK)  # se puede leer y no se puede entrar
    with pytest.raises(ValueError, match=r"No hay permiso para leer .*ls -ld"):
        gather.gather(tmp_path, lambda raw: ())


# ---------------------------------------------------------------- leer
def read(made) -> reading.Notebook:
    return reading.read(reading.from_bytes(json.dumps(made).encode()), EXERCISES)


@pytest.mark.parametrize(("code", "why"), [("def f(:", "no es Python válido"), ("x = 1", "no define la función")])
def test_a_cell_without_its_function_says_why(code, why):
    attempt = read({"cells": [{"cell_type": "code", "id": "ejercicio-2-1", "source": code}]}).attempts["2.1"]
    assert attempt.cells == () and attempt.source == code and why in attempt.notes[-1]


@pytest.mark.parametrize("raw", [b"", b" \n", b"{", b"[1]", b"\xff\xfe", b'{"cells": 3}', b"[" * 10**5])
def test_what_is_not_a_notebook_is_said_in_spanish(raw):
    with pytest.raises(reading.Unreadable, match=r"no es|está"):
        reading.from_bytes(raw)


def test_a_notebook_with_too_much_is_not_read():
    code = lambda *sources: json.dumps({"cells": [{"cell_type": "code", "source": s} for s in sources]}).encode()  # noqa: E731
    found = reading.from_bytes(code(*map(str, range(5001))))
    assert [cell["source"] for cell in found] == list(map(str, range(5000)))  # de las que sobran no se mira nada
    assert len(reading.from_bytes(code("x" * 2**19, "x" * 2**19))) == 2
    with pytest.raises(reading.Unreadable, match="más de un millón de letras de código, y no se mira"):
        reading.from_bytes(code("x" * 2**19, "x" * 2**19, "x"))


@pytest.mark.parametrize("why", [ValueError, RecursionError, MemoryError])
def test_code_that_python_cannot_even_read_is_not_python(monkeypatch, why):
    def read_it(*_):
        raise why

    monkeypatch.setattr(reading.ast, "parse", read_it)
    assert reading._broken("x = 1") == "la celda no es Python válido"


def test_a_notebook_of_another_session_is_not_of_another_edition():
    some = {number: e for number, e in EXERCISES.items() if e.session == "03"}
    found = reading.read(reading.from_bytes(json.dumps(session_02()).encode()), some)
    assert found.attempts == {} and found.notes == ("es de una sesión que ahora no se corrige",)


def test_code_that_is_not_python_says_in_which_line():
    found = read(session_02("x = 1\ndef apply_temperature(logits, t)\n    return 1\n")).attempts["2.1"]
    assert found.notes == ("2.1: la celda no es Python válido: mira la línea 2",)


@pytest.mark.parametrize(
    "cell", [3, {}, {"cell_type": "code"}, {"cell_type": "code", "source": [1, None], "metadata": 3}]
)
def test_strange_cells_are_survived(cell):
    assert read({"cells": [cell]}).attempts == {}


def test_the_exercises_that_are_gone_from_a_notebook_are_told():
    """Los de ese cuaderno y ninguno más."""
    found = read({"cells": [{"cell_type": "code", "id": "ejercicio-2-1", "source": "x = 1"}]})
    others = {n for n, e in EXERCISES.items() if e.notebook == EXERCISES["2.1"].notebook} - {"2.1"}
    assert set(found.notes) == {f"{n}: falta su celda" for n in others} and others
    assert found.books == (EXERCISES["2.1"].notebook,)


MINE = "def apply_temperature(logits, t):\n    return logits"


def book(*cells) -> dict:
    """Un cuaderno: cada celda, su nombre y su código."""
    return {"cells": [{"cell_type": "code", "id": name, "source": source} for name, source in cells]}


@pytest.mark.parametrize(
    ("cells", "notes"),
    [
        ([("ejercicio-2-1", MINE)], []),
        ([("", MINE)], ["su celda ha perdido el nombre; se ha encontrado por la función"]),
        ([("ejercicio-2-1", MINE), ("", MINE)], ["hay 2 celdas; cuenta la última"]),
        ([("ejercicio-2-1", "1"), ("ejercicio-2-1", MINE)], ["hay 2 celdas; cuenta la última"]),
        (
            [("ejercicio-2-1", "def mia(x): pass"), ("", 'check("2.1", otra)\ncheck("2.2", que)\ncheck("2.1", mia)')],
            ["la función se llama mia y no apply_temperature"],
        ),
        ([("ejercicio-2-1", "def mia(x): pass"), ("", 'check("2.2", mia)')], ["la celda no define la función pedida"]),
        (
            [("", "import os"), ("ejercicio-2-1", MINE + "\n    os.abort()")],
            ["usa os, que no hace falta para contestar: míralo"],
        ),
        (
            [("ejercicio-2-1", "import gc.x as y\nfrom ctypes.util import z\n" + MINE + "\n    exec(eval('1'))")],
            ["usa ctypes, eval, exec, gc, que no hace falta para contestar: míralo"],
        ),
    ],
)
def test_what_is_odd_about_an_answer_is_noted(cells, notes):
    assert read(book(*cells)).attempts["2.1"].notes == tuple(f"2.1: {note}" for note in notes)


def test_the_answer_that_counts_is_the_last_before_its_check():
    first, second, third = (f"{MINE} + {k}" for k in range(3))
    cells = [("ejercicio-2-1", first), ("", second), ("", 'check("2.1", apply_temperature)'), ("", third)]
    assert read(book(*cells)).attempts["2.1"].source == second
    assert read(book(*cells[:2], *cells[3:])).attempts["2.1"].source == third  # nunca lo comprobó
    assert read(book(*cells[2:])).attempts["2.1"].source == third  # lo comprobó antes


@pytest.mark.parametrize(
    ("names", "note"),
    [
        ((), "no es un cuaderno de este curso, o no le queda ningún ejercicio"),
        (("comprueba-9-9",), "no es un cuaderno de este curso, o no le queda ningún ejercicio"),
        (("ejercicio-2-77",), "de otra edición del curso: tiene ejercicio-2-77, que ya no existe"),
        (
            [f"ejercicio-2-7{k}" for k in range(6)],
            f"de otra edición del curso: tiene {', '.join(f'ejercicio-2-7{k}' for k in range(5))}, que ya no existe",
        ),
    ],
)
def test_a_notebook_of_somewhere_else_is_told(names, note):
    assert read(book(*((name, "x = 1") for name in names))).notes == (note,)


def test_names_of_cells_come_from_colab_too():
    made = session_02("def apply_temperature(logits, t):\n    return 1\n")
    for cell in made["cells"]:
        cell["metadata"]["id"] = cell.pop("id")
    assert set(read(made).attempts) == {"2.1", "2.3"} and read(made).notes == ()


# ---------------------------------------------------------------- lo que hace falta
def run(function: str, last: int, *cells: str) -> list[str]:
    found = slicing.needed(slicing.statements(cells), function, last)
    return [cells[s.cell].splitlines()[s.place] for s in found]


def test_only_what_the_function_needs_is_run():
    cells = (
        "import math\nimport os\nslow = load()",
        "K = 3\nother = slow + 1\ndef helper(x): return math.exp(x) + K",
        "def f(x): return helper(x)\nprint(f(1))\nos.abort()",
    )
    assert run("f", 2, *cells) == [
        "import math",
        "K = 3",
        "def helper(x): return math.exp(x) + K",
        "def f(x): return helper(x)",
    ]


def test_the_sentences_go_with_their_cell():
    made = {"cells": [{"cell_type": "code", "source": "import math\nprint(1)\nK = 2"}]}
    code = "print(2)\ndef apply_temperature(logits, t):\n    return math.exp(K)"
    made["cells"].append({"cell_type": "code", "id": "ejercicio-2-1", "source": code})
    cells = read(made).attempts["2.1"].cells
    assert [(c["name"], c["keep"]) for c in cells] == [("<celda 1>", [0, 2]), ("<celda 2>", [1])]
    assert [c["source"] for c in cells] == [made["cells"][0]["source"], code]


def test_local_names_are_not_needed_and_what_comes_later_is_found():
    cells = ("model = load()\nx = 1", "def f(model): x = model; return x + after()", "def after(): return 2")
    assert run("f", 1, *cells) == [cells[1], cells[2]]


def test_what_changes_a_value_in_place_goes_with_it():
    cells = ("table = {}\ntable['a'] = 1\ntable.update(b=2)\nprint(table)\nother.update(c=3)", "def f(): return table")
    assert run("f", 1, *cells) == ["table = {}", "table['a'] = 1", "table.update(b=2)", "def f(): return table"]


@pytest.mark.parametrize(
    "line",
    [
        *("import K.x", "import a.b as K", "from a import b as K", "K = 1", "K += 1", "K: int = 1", "a, *K = c"),
        *("K.a = 1", "K[0].a = 1", "del K[0]", "K.a.append(1)", "for K in c: pass", "with c as K: pass"),
        *("if c:\n def K(): pass", "try: c\nexcept E as K: pass", "(K := 1)", "class K: pass", "async def K(): pass"),
        *("from a import *", "if c: K().a = 1"),
    ],
)
def test_what_gives_a_name_its_value_is_needed(line):
    found = slicing.needed(slicing.statements([line, "def f(): return K"]), "f", 1)
    assert [(s.cell, s.place) for s in found] == [(0, 0), (1, 0)]


@pytest.mark.parametrize(
    "line", ["print(K)", "a = K", "K", "K()", "a[K] = 1", "g(K).a()", "lambda: (K := 1)", "import a as b"]
)
def test_what_only_looks_at_a_name_is_not(line):
    found = slicing.needed(slicing.statements([line, "def f(): return K"]), "f", 1)
    assert [(s.cell, s.place) for s in found] == [(1, 0)]


def test_names_of_a_function_within_another_are_needed_too():
    cells = (
        "A = 1\nB = 2\nC = 3\nx = 4",
        "def f(x=A):\n    def g(): return lambda: B + x\n    class H: c = C\n    return g",
    )
    assert run("f", 1, *cells) == ["A = 1", "B = 2", "C = 3", "def f(x=A):"]
    assert slicing.statements(["x = (", "\0", "y = 1"])[0].cell == 2  # lo que no es Python se pasa por alto


def test_magics_do_not_move_the_lines():
    assert slicing.plain("%time\n!ls\nx = 1") == "pass\npass\nx = 1"
    assert slicing.plain("%%time\nx = 1") == "\nx = 1" and slicing.plain("%%bash\nrm -rf /") == ""
    assert slicing.plain("\n%%capture out\n%ls\n  ?x\ny") == "\npass\n  pass\ny" and slicing.plain("%%timeit") == "\n"


# ---------------------------------------------------------------- parecidos
LONG = """
def f(ids, n):
    seen = set()
    total = 0
    for i in range(len(ids) - n + 1):
        gram = tuple(ids[i : i + n])
        if gram not in seen:
            seen.add(gram)
        total += 1
    return len(seen) / max(total, 1)
"""


def test_answers_are_compared_without_names_comments_or_layout():
    other = LONG.replace("seen", "vistos").replace("gram", "trozo").replace("total = 0", "total = 0  # cuenta\n")
    (pair,) = alike.pairs("3.2", {"Ana": LONG, "Luis": other}, (), "f")
    assert (pair.first, pair.second, pair.share) == ("Ana", "Luis", 1.0)
    assert alike.pairs("3.2", {"Ana": LONG, "Luis": other}, (LONG,), "f") == []  # las dos son la publicada
    nearly = LONG.replace("max(total, 1)", "max(total, 2)")
    (pair,) = alike.pairs("3.2", {"Ana": LONG, "Luis": nearly}, (), "f")
    assert alike.NEAR <= pair.share < 1


def test_names_are_numbered_and_what_hangs_from_them_is_not():
    code = "def f(ids, n):  # cuenta\n    return ids.sum(n) if n else ids\n"
    said = "def n0 ( n1 , n2 ) : return n1 . sum ( n2 ) if n2 else n1"
    assert alike._pieces(code) == said.split() and alike._pieces("f('") == []


def test_a_short_answer_says_nothing_and_neither_does_a_single_line():
    code = lambda n: "def f(a):\n    b = a\n    return a" + " + a" * n  # noqa: E731
    assert [(len(alike._pieces(code(n))), alike.trivial(code(n))) for n in (15, 16)] == [(41, True), (43, True)]
    assert [len(alike._pieces(text)) for text in (code(17), "f\n" + code(16))] == [45, 44]
    assert not alike.trivial(code(17)) and alike.trivial("f\n" + code(16))
    assert alike.trivial("def f(a): return " + " + ".join(f"g(a, {k})" for k in range(99)))
    assert alike.trivial("def f(a):\n    'Dice.'\n    return " + " + ".join(f"g(a, {k})" for k in range(99)))
    assert not alike.trivial("def g(): pass\ndef f(a): return " + " + ".join(f"g(a, {k})" for k in range(99)))


def test_an_endless_answer_is_not_an_answer():
    assert len(alike._pieces("x\n" * 25_000)) == 25_000 and alike._pieces("x\n" * 25_000 + " ") == []
    assert alike._pieces("if x:\n  y\n z") == alike._pieces("(") == []


def test_how_alike_they_must_be_to_be_told(monkeypatch):
    nearly = LONG.replace("max(total, 1)", "max(total, 2)")
    a, b = ({tuple(p[i : i + 5]) for i in range(len(p) - 4)} for p in map(alike._pieces, (LONG, nearly)))
    share = len(a & b) / len(a | b)
    for near, found in ((share, [share]), (share + 1e-9, [])):
        monkeypatch.setattr(alike, "NEAR", near)
        pairs = alike.pairs("3.2", {"Luis": nearly, "Ana": LONG}, (), "f")
        assert [pair.share for pair in pairs] == found and all((p.first, p.second) == ("Ana", "Luis") for p in pairs)


SAME = "def f(x, *y, z=1, **w):\n    a = x\n    return [lambda b: b + a, y, z, w, other]"


@pytest.mark.parametrize(
    ("code", "same"),
    [
        (SAME.replace("f(", "respuesta("), True),
        ("'Dice.'\n" + SAME, False),  # fuera de una función no es su documentación
        (SAME.replace(":\n", ":\n    'Dice.'\n", 1), True),
        (SAME.replace("(x", "(x: int").replace("):", ") -> list:"), True),
        (SAME.replace("x", "q").replace("y", "r").replace("z", "s").replace("w", "t").replace("a", "u"), False),
        (re.sub(r"\b([xyzwab])\b", r"n_\1", SAME), True),
        (SAME.replace("other", "another"), False),
        (SAME.replace("z=1", "z=2"), False),
        (SAME.replace("x, *y", "x, /, *y"), False),
        ("def f(:", False),
        ("\0", False),
    ],
)
def test_the_normal_form_keeps_what_the_code_does(code, same):
    function = "respuesta" if "respuesta" in code else "f"
    assert (course.normal(code, function) == course.normal(SAME, "f") != "") == same


def test_the_normal_form_of_a_class_and_of_a_function_that_is_only_its_docstring():
    assert course.normal("class A:\n    'Dice.'\n    x = 1") == course.normal("class B:\n    y = 1") != ""
    assert course.normal("def f():\n    'Dice.'") != course.normal("def f():\n    'Otra.'")
    assert course.normal("def f(:") == course.normal("\0") == ""
    assert course.normal("async def f(x): await x", "f") == course.normal("async def g(y): await y", "g") != ""


def test_a_line_that_anyone_would_write_is_not_a_fact():
    one = "def f(a, b, c):\n    '''Doc.'''\n    return " + " + ".join(f"g(a, b, c, {k})" for k in range(20)) + "\n"
    assert alike.pairs("2.1", {"Ana": one, "Luis": one}, (), "f") == []


def test_a_notebook_of_the_course_that_cannot_be_read_has_no_cells(tmp_path):
    (tmp_path / "roto.ipynb").write_text("{", encoding="utf-8")
    (tmp_path / "otro.ipynb").write_text('{"cells": [{"cell_type": "code", "id": "a"}]}', encoding="utf-8")
    assert [course._cells(tmp_path / f"{name}.ipynb") for name in ("no_está", "roto", "otro")] == [{}, {}, {}]


@pytest.mark.parametrize("letter", ["\ud800", "\0"])
def test_what_python_cannot_read_is_compared_piece_by_piece(letter):
    """Medio carácter o un carácter nulo: en un cuaderno caben, y ``ast`` no los admite."""
    odd = LONG + f"    # {letter}\n"
    assert not alike.trivial(odd)
    (pair,) = alike.pairs("3.2", {"Ana": odd, "Luis": odd}, (), "f")
    assert pair.share == 0.99


# ---------------------------------------------------------------- una entrega
def test_of_each_exercise_the_best_answer_counts_and_everything_odd_is_told(tmp_path, monkeypatch):
    """Sin ejecutar nada: el veredicto lo da un juez de mentira, que puntúa por la respuesta."""
    exercises = {n: EXERCISES[n] for n in ("2.1", "2.2")}
    points = {"bien": Verdict(2, "resuelto"), "mal": Verdict(0, "cortado", received="tarda más de 5 s")}
    said = lambda cells: next(v for k, v in points.items() if k in cells[-1]["source"])  # noqa: E731
    monkeypatch.setattr(results, "judge", lambda sandbox, number, cells, function: said(cells))

    def book(path, *answers):
        cells = [{"cell_type": "code", "id": f"ejercicio-{n.replace('.', '-')}", "source": s} for n, s in answers]
        return gather.File(path, json.dumps({"cells": cells}).encode())

    def answer(number, word):
        return number, f"def {exercises[number].function}(*args):\n    return {word!r}"

    files = [
        gather.File("roto.zip", None, "no se puede abrir"),
        gather.File("b.ipynb", b"[1]"),
        book("c.ipynb", answer("2.1", "mal"), ("2.2", exercises["2.2"].stub)),
        book("d.ipynb", answer("2.1", "bien")),
    ]
    found = results.grade(gather.Submission("Ana", "7", files), exercises, sandbox=None)
    assert (found.student, found.ident) == ("Ana", "7")
    assert found.books == sorted(e.notebook for e in exercises.values())  # el del 2.1 y el del 2.2
    assert {n: v.kind for n, v in found.verdicts.items()} == {"2.1": "resuelto", "2.2": "pendiente"}
    assert "bien" in found.sources["2.1"]
    notes = dict(found.notes)
    assert notes["roto.zip"] == "no se puede abrir" and "no es un cuaderno" in notes["b.ipynb"]
    assert ("c.ipynb", "2.1: tarda más de 5 s") in found.notes and "cuenta el mejor" in notes["d.ipynb"]
    results.save(tmp_path, "ana", found)
    assert results.saved(tmp_path, "ana") == found and [p.name for p in tmp_path.iterdir()] == ["ana.json"]
    assert results.saved(tmp_path, "luis") is None
    (tmp_path / "ana.json").write_text("{", encoding="utf-8")
    assert results.saved(tmp_path, "ana") is None
    nothing = results.grade(gather.Submission("Eva", "", files[:1]), exercises, sandbox=None)
    assert ("", "no hay ningún cuaderno que se pueda corregir") in nothing.notes and nothing.verdicts == {}


def test_what_is_nested_without_end_or_defines_nothing_is_told(monkeypatch):
    monkeypatch.setattr(results, "judge", lambda *_: pytest.fail("ha ejecutado algo"))
    file = gather.File("a.ipynb", json.dumps(book(("ejercicio-2-1", "x = 1"))).encode())
    some = {"2.1": EXERCISES["2.1"]}
    found = results.grade(gather.Submission("Ana", "", [file]), some, sandbox=None)
    hint = "Ejecuta esa celda en tu cuaderno: la función tiene que quedar definida y llamarse como pide el enunciado."
    why = "la celda no define la función pedida"
    assert found.verdicts == {"2.1": Verdict(0, "sin resolver", received=why, hint=hint)}
    assert found.notes == [("a.ipynb", f"2.1: {why}")] and found.seconds < 60
    monkeypatch.setattr(reading, "read", fails(RecursionError()))
    found = results.grade(gather.Submission("Ana", "", [file]), some, sandbox=None)
    assert found.notes == [("a.ipynb", "su código está anidado sin fin")] and found.verdicts == {} == found.sources


def test_of_two_answers_worth_the_same_the_first_stays(monkeypatch):
    monkeypatch.setattr(results, "judge", lambda *_: Verdict(1, "a medias"))
    files = [gather.File(f"{k}.ipynb", json.dumps(book(("ejercicio-2-1", f"{MINE} + {k}"))).encode()) for k in range(2)]
    found = results.grade(gather.Submission("Ana", "", files), {"2.1": EXERCISES["2.1"]}, sandbox=None)
    assert found.sources == {"2.1": f"{MINE} + 0"}
    assert found.notes == [("1.ipynb", "2.1: está también en otro de sus cuadernos; cuenta el mejor")]


def test_an_answer_that_changes_is_graded_again_and_one_that_does_not_is_not():
    def key(raw=b"a", path="a.ipynb", why="", student="Ana", ident="1", settings="x"):
        return results.key(gather.Submission(student, ident, [gather.File(path, raw, why)]), settings)

    others = [key(b"b"), key(path="b.ipynb"), key(why="x"), key(student="Eva"), key(ident="2"), key(settings="y")]
    assert key() == key() and len({key(), key(None), *others}) == 8


# ---------------------------------------------------------------- notas y páginas
NAME = '<img src=x onerror="alert(1)">'


def sample(name=NAME) -> Result:
    wrong = Verdict(0, "sin resolver", 1, 5, "Pide <b>", "He <script>", "Mira <i>")
    return Result(
        name,
        "77",
        ["02_bucle_de_generacion"],
        {"2.1": Verdict(2, "resuelto", 5, 5), "2.3": wrong},
        {},
        [("a.ipynb", "<u>")],
    )


def test_pages_escape_everything_and_say_the_first_hint():
    shown = [e for e in EXERCISES.values() if e.session == "02"]
    text = pages.feedback(sample(), shown, ["<u>"])
    assert "2.2" not in text and "1 de 2 ejercicios resueltos, 2 puntos de 4." in text  # el 2.2 es de otro cuaderno
    assert not re.search(r"<(img|script|b|i|u)\b", text) and "Mira &lt;i&gt;" in text and "Cumple 1 de 5" in text
    pairs, links = [alike.Pair("2.1", NAME, "b", 1.0)], {NAME: 'paginas/"a".html'}
    report = pages.report([sample()], shown, {NAME: ["<u>"]}, pairs, "x", links)
    assert not re.search(r"<(img|script|u)\b", report) and "iguales" in report
    titles = ["Personas", "Ejercicios", "Respuestas que se parecen"]
    assert re.findall("<h2>(.*?)</h2>", report)[:3] == titles and "de las que entregaron su cuaderno.</p>" in report
    assert 'href="paginas/&quot;a&quot;.html"' in report and "2 de 6" not in report
    assert "<td>2.1</td><td>02_bucle_de_generacion (1)</td><td>1</td><td>0</td>" in report


def test_grades_have_a_row_a_student_and_nothing_a_spreadsheet_runs():
    shown = [EXERCISES[n] for n in ("A1.1", "2.1", "2.2", "2.3")]
    found = [sample("=1+1"), sample("Ñ;a")]
    notes = {"=1+1": ["@x"], "Ñ;a": ["uno", "dos"]}
    rows = list(csv.reader(io.StringIO(tables.grades(found, shown, notes, comma=True)), delimiter=";"))
    assert rows[0] == ["Estudiante", "A1.1", "2.1", "2.2", "2.3", "Total (de 6)", "Porcentaje", "Avisos"]
    assert rows[1] == ["'=1+1", "", "2", "", "0", "2", "33,33", "'@x"] and rows[2][-1] == "uno · dos"
    rows = list(csv.reader(io.StringIO(tables.moodle(found, shown, notes, comma=False))))
    assert rows[2] == ["Participante 77", "Ñ;a", "33.33", "100.00", "", "2.1: 2 de 2 · 2.3: 0 de 2"]
    (_, row) = csv.reader(io.StringIO(tables.moodle([Result("-Eva\n2", "")], shown, notes, comma=True)))
    assert row == ["", "'-Eva 2", "", "100,00", "", ""]
    (_, row) = csv.reader(io.StringIO(tables.grades([sample("=1+1")], shown[:1], notes, comma=True)), delimiter=";")
    assert row == ["'=1+1", "", "0", "", "'@x"]  # solo de las optativas no hay porcentaje
    # Los que busca Moodle, en español (mod/assign/feedback/offline): sin el de la fecha, rechaza la hoja.
    assert {"Identificador", "Calificación", "Última modificación (calificación)"} < set(rows[0])
    assert len({len(row) for row in rows}) == 1 and rows[1][4] == ""


def test_whoever_could_not_be_graded_gets_no_grade_and_is_told_kindly():
    shown, lost = [EXERCISES["2.1"]], Result("Ana", "7", notes=[("a.ipynb", "está vacío")])
    (_, row) = csv.reader(io.StringIO(tables.grades([lost], shown, {"Ana": ["x"]}, comma=False)))
    assert row == ["Ana", "", "", "", "x"]
    (_, row) = csv.reader(io.StringIO(tables.moodle([lost], shown, {"Ana": ["x"]}, comma=False)))
    assert row[:3] == ["Participante 7", "Ana", ""]
    text = pages.feedback(lost, shown, ["a.ipynb: está vacío"])
    assert "No quiere decir que esté mal" in text and "entrégalo otra vez" in text and "tu función" not in text
    assert "sin corregir" in pages.report([lost], shown, {"Ana": []}, [], "x", {"Ana": "a.html"})


def test_the_total_is_that_of_the_notebooks_somebody_handed_in():
    zero, books = Verdict(0, "pendiente"), ["02_bucle_de_generacion"]
    found = [Result("Ana", books=books, verdicts={"2.1": zero}), Result("Luis")]
    numbers = lambda exercises, asked: [e.number for e in command._counted(found, exercises, asked=asked)]  # noqa: E731
    assert numbers(EXERCISES, False) == ["2.1", "2.3"]
    some = {number: e for number, e in EXERCISES.items() if e.session in ("02", "05")}
    assert numbers(some, True) == ["2.1", "2.3", *(e.number for e in some.values() if e.session == "05")]


def test_a_page_does_not_say_what_is_for_the_teacher(tmp_path, monkeypatch):
    found = sample("Ana")
    found.verdicts["2.3"] = Verdict(0, "cortado", received="no ha acabado a tiempo", hint="Busca un bucle.")
    found.sources = {"2.3": EXERCISES["2.3"].solution}
    risky = "2.1: usa os, que no hace falta para contestar: míralo"
    found.notes = [("a.ipynb", risky), ("a.ipynb", "2.3: no ha acabado a tiempo"), ("b.docx", "no es un cuaderno")]
    said = command._write([found], EXERCISES, command.Options(tmp_path, tmp_path, anonymous=True))
    assert any("identidades.json" in line for line in said)
    report = (tmp_path / "informe.html").read_text("utf-8")
    (page,) = (path.read_text("utf-8") for path in (tmp_path / "paginas").glob("*.html"))
    for text in (risky, "2.3: igual que la solución publicada", "2.3: no ha acabado a tiempo"):
        assert text in report and text not in page
    assert "archivo 2: no es un cuaderno" in page and "Qué ha pasado: no ha acabado a tiempo." in page
    assert not re.search(r"\bAna\b", report + page + (tmp_path / "notas.csv").read_text("utf-8"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [("pendiente", "Escribe tu respuesta"), ("falta", "cópiala"), ("resuelto", "¡Enhorabuena!"), ("cortado", "acabar")],
)
def test_each_state_says_what_to_do(kind, said):
    points = 2 * (kind == "resuelto")
    found = Result("Ana", books=["02_bucle_de_generacion"], verdicts={"2.1": Verdict(points, kind)})
    text = pages.feedback(found, [EXERCISES["2.1"]], [])
    assert said in text and f"<p>{points // 2} de 1 ejercicio resuelto, {points} puntos de 2." in text


def paragraphs(page: str) -> list[str]:
    return re.findall(r"<p>(.*?)</p>", page)


@pytest.mark.parametrize(
    ("verdict", "lines"),
    [
        (
            Verdict(1, "a medias", 3, 4, "que sume 1", "0.5", "Mira la suma.", ("p1", "p2", "p3", "p4")),
            [
                "<strong>A medias.</strong> 1 de 2 puntos.",
                "Cumple 3 de 4 reglas. La siguiente pide: que sume 1.",
                "Se ha recibido: 0.5",
                "<strong>Pista:</strong> Mira la suma.",
                *(f"Al ejecutar tu celda: <code>p{k}</code>" for k in (1, 2, 3)),
            ],
        ),
        (
            Verdict(0, "cortado", received="tarda mucho…"),
            ["<strong>No se pudo acabar de comprobar.</strong> 0 de 2 puntos.", "Qué ha pasado: tarda mucho…"],
        ),
        (
            Verdict(0, "sin resolver", 0, 4, "¿suma 1?"),
            [
                "<strong>Sin resolver todavía.</strong> 0 de 2 puntos.",
                "Cumple 0 de 4 reglas. La siguiente pide: ¿suma 1?",
            ],
        ),
    ],
)
def test_a_page_tells_what_happened_with_an_answer(verdict, lines):
    assert paragraphs(pages._exercise(EXERCISES["2.1"], verdict)) == lines


def test_a_page_of_optional_exercises_or_with_notes_or_hints():
    one = EXERCISES["A1.1"]
    page = pages.feedback(Result("Ana", books=[one.notebook], verdicts={"A1.1": Verdict(2, "resuelto")}), [one], [])
    assert paragraphs(page)[0] == "1 de 1 ejercicio resuelto. Son optativos: no cuentan en la nota. ¡Enhorabuena!"
    assert "La pista es la primera" not in page and "Avisos" not in page and f"<h2>{one.notebook}.ipynb</h2>" in page
    page = pages.feedback(sample(), [EXERCISES["2.3"]], ["uno", "dos"])
    assert "La pista es la primera" in page and "<h2>Avisos</h2>\n<ul>\n<li>uno</li>\n<li>dos</li>\n</ul>" in page


def test_the_report_has_a_row_a_person_and_the_pairs():
    shown, found = [EXERCISES["2.1"]], [sample("Ana"), Result("Eva", books=["02_bucle_de_generacion"])]
    pairs = [alike.Pair("2.1", "Ana", "Eva", 1.0), alike.Pair("2.1", "Ana", "Luis", 0.876)]
    page = pages.report(found, shown, {"Ana": ["a", "b"], "Eva": []}, pairs, "aislado", {"Ana": "a", "Eva": "e"})
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert rows == [
        ["Estudiante", "Total", "Avisos"],
        ['<a href="a">Ana</a>', "2 de 2", "a<br>b"],
        ['<a href="e">Eva</a>', "sin corregir", ""],
        ["Ejercicio", "Cuaderno", "Resuelto", "A medias", "Sin resolver", "Pendiente", "Falta"],
        ["2.1", "02_bucle_de_generacion (2)", "1", "0", "0", "0", "1"],
        ["Ejercicio", "Una", "Otra", "Se parecen"],
        ["2.1", "Ana", "Eva", "iguales"],
        ["2.1", "Ana", "Luis", "88 %"],
    ]
    assert paragraphs(page)[:2] == [
        "aislado",
        "El total es sobre 2: los puntos de los cuadernos que ha entregado alguien.",
    ]
    assert "<p>Ninguna.</p>" in pages.report(found, shown, {"Ana": [], "Eva": []}, [], "", {"Ana": "a", "Eva": "e"})


def test_a_page_has_the_exercises_of_its_notebooks_and_those_that_were_graded():
    shown = [EXERCISES[n] for n in ("2.1", "2.3", "3.3")]
    graded = {"2.1": Verdict(2, "resuelto")}
    for books, found in (
        ([], {"2.1"}),
        (["02_bucle_de_generacion"], {"2.1", "2.3"}),
        (["03_generate"], {"2.1", "3.3"}),
    ):
        text = pages.feedback(Result("Ana", books=books, verdicts=graded), shown, [])
        assert set(re.findall(r"<h3>Ejercicio ([\d.]+)", text)) == found


def test_pages_have_safe_and_different_names():
    names = command._names(["../../etc/passwd", "a b", "a_b", "A-b", ";", "Ñandú"])
    assert len({n.casefold() for n in names.values()}) == 6
    assert all(re.fullmatch(r"\w+\.html", name) for name in names.values())


def test_pseudonyms_are_stable_and_their_key_is_apart(tmp_path):
    first, _ = command._hidden([sample("Ana"), sample("Luis")], [], tmp_path)
    again, _ = command._hidden([sample("Luis"), sample("Ana"), sample("Eva")], [], tmp_path)
    assert {r.student for r in first} < {r.student for r in again} and not {"Ana", "Luis"} & {r.student for r in again}
    path = tmp_path / "identidades.json"
    assert set(json.loads(path.read_text())["personas"].values()) == {"Ana", "Luis", "Eva"}
    assert os.name != "posix" or path.stat().st_mode & 0o077 == 0


# ---------------------------------------------------------------- la orden
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no_existe"], "No existe"),
        (["vacia"], "no hay ningún cuaderno"),
        (["texto.txt"], "no es una carpeta ni un zip"),
        (["llena", "--workers", "0"], "--workers 0"),
        (["llena", "--timeout", "0"], "--timeout 0"),
        (["llena", "--sessions", "77"], "No hay ejercicios de la sesión 77"),
        (["llena", "--output", "llena"], "no pueden ir a la carpeta"),
        (["llena", "--output", "llena/notas"], "ni dentro de ella"),
        (["llena", "--output", "texto.txt"], "hay un archivo que se llama así"),
        (["llena", "--moodle", "--anonymous"], "pide una cosa o la otra"),
        ([""], "Falta la carpeta"),
        (["--sessions", "02"], "Falta la carpeta"),
        (["--sessions", "02,77", "llena"], "No hay ejercicios de la sesión 77"),
        (["llena", "--notebooks", "vacia"], "--notebooks"),
    ],
)
def test_bad_input_is_said_in_spanish_before_running_anything(tmp_path, monkeypatch, capsys, arguments, said):
    (tmp_path / "vacia").mkdir()
    (tmp_path / "texto.txt").write_text("x")
    written(tmp_path / "llena", "ana.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox, "why_not", lambda: "")
    monkeypatch.setattr(command, "_pool", lambda *_: pytest.fail("ha ejecutado algo"))
    assert main(["grade", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_the_folder_may_come_after_the_sessions(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "run", lambda options: seen.append((options.folder.name, options.sessions)) or [])
    for arguments in (["--sessions", "02", "03", "llena"], ["llena", "--sessions", "02,03"]):
        assert main(["grade", *arguments]) == 0
    assert seen == [("llena", ("02", "03"))] * 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "repite la misma orden"),
        (PermissionError(13, "Permission denied"), "no hay permiso"),
    ],
)
def test_a_disk_that_does_not_take_it_is_said_in_spanish(tmp_path, monkeypatch, capsys, error, said):
    def fails(*_):
        raise error

    monkeypatch.setattr(sandbox, "why_not", lambda: "")
    monkeypatch.setattr(command, "_pool", lambda pending, *_: ((key, Result("ana")) for key in pending))
    monkeypatch.setattr(Path, "write_bytes", fails)
    order = ["grade", str(written(tmp_path / "llena", "ana.ipynb"))]
    assert main(order) == 1
    assert said in capsys.readouterr().err
    monkeypatch.undo()
    assert not list((tmp_path / "llena-notas").rglob("*.tmp"))
    assert len(list((tmp_path / "llena-notas" / ".corregido").iterdir())) == 1


def test_without_isolation_it_refuses_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sandbox, "why_not", lambda: "falta bubblewrap")
    assert main(["grade", str(written(tmp_path / "llena", "ana.ipynb"))]) == 1
    error = capsys.readouterr().err
    assert "falta bubblewrap" in error and "--no-sandbox" in error
    assert not (tmp_path / "llena-notas").exists()


def test_the_help_is_in_spanish(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["grade", "--help"])
    assert stop.value.code == 0 and "Corrige las entregas" in capsys.readouterr().out


def test_correcting_does_not_change_where_temporary_files_go():
    code = "import tempfile, course_utils.grade.command; print(tempfile.gettempdir())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == tempfile.gettempdir()


# ---------------------------------------------------------------- el filtro
@pytest.mark.skipif(not seccomp.available(), reason="solo en Linux")
def test_the_numbers_of_the_filter_are_those_of_this_kernel():
    folders = [Path("/usr/include", f"{platform.machine()}-linux-gnu"), Path("/usr/include")]
    header = next((f / "asm/unistd_64.h" for f in folders if (f / "asm/unistd_64.h").exists()), None)
    if header is None:
        pytest.skip("faltan las cabeceras de Linux")
    numbers = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read_text()))
    column = 0 if platform.machine() == "x86_64" else 1
    checked = {name: pair[column] for name, pair in seccomp.DENIED.items() if name in numbers}
    assert len(checked) > 40 and checked == {name: int(numbers[name]) for name in checked}
