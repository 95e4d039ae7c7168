"""Pruebas de tools/notebooks.py con fuentes mínimas."""

import contextlib
import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output

from tools import minutes
from tools import notebooks as build

HEADER = "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n---\n"
QUIZ = [
    {
        "question": "¿Qué es &lt;mask&gt; & qué no?",
        "type": "multiple_choice",
        "answers": [
            {"answer": "Un token <b>raro</b>", "correct": True, "feedback": "Sí: 1 < 2."},
            {"answer": "Nada", "correct": False, "feedback": "No: es un token."},
        ],
    }
]
SOURCE = """<!-- id: portada -->
# Título

<!-- enlace-colab -->

Mira la [guía](../README.md#uso), [otra](03_otra.ipynb "t"), [web](https://x.es), [aquí](#a), `[no](toques)`
y ![una figura](figuras/a.png) o <img src="figuras/b.png" alt="b">.

<!-- cuestionario: 09_antes -->

```{code-cell} ipython3
:id: al-azar
:tags: [nbval-ignore-output, otra]

import json, random
print(random.random())
assert json.load(open("quizzes/09_antes.json", encoding="utf-8"))
```

```{code-cell} ipython3
:id: ejercicio-9-1

def check(name, value, strict=False):
    print("hecho" if value == 42 else "pendiente", strict)

def f(x):
    if x:
        # <solución>
        #| stub: y = ...
        y = 6 * 7  # secreto uno
        # </solución>
    else:
        y = 0
    # <solución>
    secreto_dos = y
    # </solución>
    return y
```

```{code-cell} ipython3
:id: comprueba-9-1

check("9.1", f(True))
print("a"); print("b")
f(False)
```
"""


def write_source(root: Path, text: str, name: str = "09_prueba") -> Path:
    (root / "notebooks" / "fuente").mkdir(parents=True, exist_ok=True)
    quizzes = root / "notebooks" / "quizzes"
    quizzes.mkdir(exist_ok=True)
    (quizzes / "09_antes.json").write_text(json.dumps(QUIZ, ensure_ascii=False), encoding="utf-8")
    (root / "pyproject.toml").write_text('[project.urls]\nRepositorio = "https://github.com/ana/curso"\n')
    path = root / "notebooks" / "fuente" / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER + text, encoding="utf-8")
    return path


def target(root: Path, *, solved: bool, name: str = "09_prueba") -> "build.Target":
    return build.find_targets(root, [name])[solved]


def code_cell(code: str, name: str = "codigo", tags: str = "") -> str:
    return f"```{{code-cell}} ipython3\n:id: {name}\n:tags: [{tags}]\n\n{code}\n```\n"


PROSE = "<!-- id: prosa -->\nHola\n\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Un repositorio mínimo con su cuaderno construido: la única ejecución larga de estas pruebas."""
    root = tmp_path_factory.mktemp("un curso así")
    write_source(root, SOURCE)
    assert build.main([], root) == 0
    return root


@pytest.fixture
def copy(built, tmp_path):
    """Copia del repositorio construido, para poder estropearla."""
    return Path(shutil.copytree(built, tmp_path / "copia"))


def read(root: Path, solved: bool) -> nbformat.NotebookNode:
    return nbformat.read(target(root, solved=solved).path, as_version=4)


# --- Marcadores ---------------------------------------------------------------------------------

BLOCKS = """def f(x):
    a = 1
    # <solución>
    a = secreta(x)

    if a: otra()
    # </solución>
    return a
# <solución>
#| stub: respuesta = ...
#| stub:
#| stub:     # con sangría
respuesta = f(2)
# </solución>"""


def test_student_gets_stubs_at_the_same_indentation():
    assert build.render_code(BLOCKS, solved=False, where="x") == (
        "def f(x):\n    a = 1\n    # Escribe aquí tu código\n    ...\n    return a\n"
        "respuesta = ...\n\n    # con sangría"
    )


def test_solution_loses_only_markers_and_stubs():
    assert build.render_code(BLOCKS, solved=True, where="x") == (
        "def f(x):\n    a = 1\n    a = secreta(x)\n\n    if a: otra()\n    return a\nrespuesta = f(2)"
    )


@pytest.mark.parametrize("solved", [False, True])
@pytest.mark.parametrize(
    ("code", "line", "word"),
    [
        ("# <solución>\nx = 1", 1, "sin «# </solución>»"),
        ("x = 1\n    # </solución>", 2, "sin «# <solución>»"),
        ("# <solución>\n  # <solución>\n# </solución>\n# </solución>", 2, "anidado"),
        ("#| stub: x = 1", 1, "dentro de un bloque"),
        ("# <solución>\n#|stub: x = 1\n# </solución>", 2, "no vale"),
        *(
            (f"y = 0\n{bad}\nx = 1\n# </solución>", 2, "mal escrito")
            for bad in (
                "# <solucion>", "#<solución>", "# <Solución>", "# < solución >", "## <solución>", "# <solución",
                "# solución>", "# <solución> aquí", "x = 2  # <solución>", "# <soluciones>", "# <soución>",
                "# [solución]", "# <solution>", "# solución", "# --- solución ---", "# <\\solución>", "# <solución/>",
                "# <solucio\N{COMBINING ACUTE ACCENT}n>", "    # <SOLUCIÓN>", "# <!-- solución -->",
            )
        ),
        ("# <solución>\nx = 1\n# <\\solución>", 3, "mal escrito"),
        ("# <solución>\nx = 1\n# </ solución>", 3, "mal escrito"),
    ],
)  # fmt: skip
def test_bad_markers_stop_the_build(code, line, word, solved):
    with pytest.raises(ValueError, match=word) as error:
        build.render_code(code, solved=solved, where="09_x.md, celda 3")
    assert str(error.value).startswith(f"09_x.md, celda 3, línea {line}: ")


@pytest.mark.parametrize(
    "line", ["# La solución es x", "# tokens <s> y <mask>", "# x[evaluacion]", "# f(solución) -> g", "solucion = 1"]
)
def test_ordinary_comments_are_not_markers(line):
    assert build.render_code(line, solved=False, where="x") == line


def test_marker_in_prose_stops_the_build(tmp_path):
    write_source(tmp_path, PROSE + "    # <solución>\n    x = 1\n")
    with pytest.raises(ValueError, match=r"fuente/09_prueba\.md, prosa, línea 4: .*celda de código"):
        build.generate(target(tmp_path, solved=False))


# --- check estricto -----------------------------------------------------------------------------


def test_check_calls_become_strict():
    code = 'x = 1\ncheck("2.1", f(x))\ndef check(name, value): ...\nrecheck(1)'
    assert build.add_strict(code, where="x") == code.replace("f(x))", "f(x), strict=True)")


@pytest.mark.parametrize(
    "line", ['check("2.1", f)  # nota', "for e in a: check(e, f)", 'check(\n"2.1", f)', "x.check(1)"]
)
def test_a_check_that_would_not_be_strict_stops_the_build(line):
    with pytest.raises(ValueError, match="09, comprueba-2-1: cada llamada a check va sola"):
        build.add_strict(f'check("2.2", g)\n{line}', where="09, comprueba-2-1")


# --- Nombres de las celdas ----------------------------------------------------------------------


def ids(root: Path) -> list[str]:
    notebooks = [build.generate(target(root, solved=solved)) for solved in (False, True)]
    assert [c.id for c in notebooks[0].cells] == [c.id for c in notebooks[1].cells]
    nbformat.validate(notebooks[0])
    assert not any("id" in c.metadata or "id:" in c.source for c in notebooks[0].cells)
    return [c.id for c in notebooks[0].cells]


def test_an_inserted_cell_changes_no_other_id(tmp_path):
    parts = [PROSE, code_cell("1", "uno"), "Texto suelto\n\n+++\n\nY otro\n\n", code_cell("2", "dos"), "Fin\n"]
    write_source(tmp_path, "".join(parts))
    before = ids(tmp_path)
    assert before == ["prosa", "uno", "uno-texto", "uno-texto-2", "dos", "dos-texto"]
    for place, new, name in [(1, code_cell("3", "tres"), "tres"), (3, "+++\n\n<!-- id: otra -->\n## Otra\n\n", "otra")]:
        write_source(tmp_path, "".join([*parts[:place], new, *parts[place:]]))
        assert [i for i in ids(tmp_path) if i != name] == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hola\n", r"celda 1 \(«Hola»\): le falta el nombre"),
        (PROSE + "```{code-cell} ipython3\nx = 1\n```\n", r"celda 2 \(«x = 1»\): le falta el nombre"),
        (PROSE + "+++\n\n### Título\n", r"celda 2 .*le falta el nombre"),
        (PROSE + code_cell("1", "Ñandú"), "«Ñandú» no vale"),
        (PROSE + code_cell("1", "a b"), "«a b» no vale"),
        (PROSE + code_cell("1", "21"), "«21» no vale"),  # YAML lee un número
        (PROSE + code_cell("1", "x" * 65), "no vale"),
        (PROSE + code_cell("1", "x" * 60) + "Hola\n", "texto» no vale"),
        (PROSE + code_cell("1", "prosa"), "celda 2 .*«prosa» ya es el de la celda 1"),
        (PROSE + "<!-- id: tarde -->\n", "09_prueba.md, prosa, línea 4: no entiendo"),
        (PROSE + "+++\n\n<!--id: junto-->\n", "prosa-texto, línea 1: no entiendo"),
    ],
)
def test_a_missing_repeated_or_bad_name_stops_the_build(tmp_path, capsys, text, message):
    write_source(tmp_path, text)
    assert build.main([], tmp_path) == 1
    shown = capsys.readouterr().err
    assert re.search(message, shown) and "notebooks/fuente/09_prueba.md, " in shown
    assert not list(tmp_path.rglob("*.ipynb"))


# --- Texto --------------------------------------------------------------------------------------


def test_links_of_the_solution_stay_valid():
    text = '[a](../R.md#u) [b](03.ipynb "t") [c](https://x.es) [d](#a) [e](/r) `[f](g)` ![h](i.png)\n[j]: k.md\n'
    assert build.deepen_links(text) == (
        '[a](../../R.md#u) [b](../03.ipynb "t") [c](https://x.es) [d](#a) [e](/r) `[f](g)` ![h](../i.png)\n'
        "[j]: ../k.md\n"
    )
    assert build.deepen_links("```\n[a](b)\n```\n[a](soluciones/b)") == "```\n[a](b)\n```\n[a](../soluciones/b)"
    assert build.deepen_links('<img src="a.png"> [x](mailto:a@b.es)') == '<img src="../a.png"> [x](mailto:a@b.es)'


def test_quiz_text_is_escaped_once_and_answers_are_nested(tmp_path):
    write_source(tmp_path, PROSE + "<!-- cuestionario: 09_antes -->\n")
    text = build.generate(target(tmp_path, solved=False)).cells[0].source
    asked, answers = text.split("<summary>Respuestas</summary>")
    assert "¿Qué es &lt;mask&gt; &amp; qué no?" in asked
    assert "a) Un token &lt;b&gt;raro&lt;/b&gt;" in asked
    assert "1 &lt; 2" not in asked and "✅" not in asked
    assert "a) ✅ Sí: 1 &lt; 2." in answers and "b) ❌ No: es un token." in answers
    assert text.count("<details>") == text.count("</details>") == 2
    assert "\n\n" not in text.removeprefix("Hola\n\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- cuestionario: 77_antes -->", "no existe el cuestionario 77_antes.json"),
        ("<!-- cuestionario 09_antes -->", "no entiendo"),
        ("<!-- enlace-Colab -->", "no entiendo"),
        ("<!-- cuestionario: malo -->", "malo.json no es válido"),
        ("<!-- cuestionario: tipo -->", "numeric"),
    ],
)
def test_bad_directives_stop_the_build(tmp_path, text, message):
    write_source(tmp_path, f"{PROSE}{text}\n")
    (tmp_path / "notebooks/quizzes/malo.json").write_text("[{]")
    (tmp_path / "notebooks/quizzes/tipo.json").write_text('[{"question": "", "type": "numeric", "answers": []}]')
    with pytest.raises(ValueError, match=message) as error:
        build.generate(target(tmp_path, solved=False))
    assert "09_prueba.md, prosa, línea 4" in str(error.value)


@pytest.mark.parametrize("toml", [None, "[project]\n", '[project.urls]\nRepositorio = "https://example.org"\n'])
def test_missing_repository_is_an_error(tmp_path, toml):
    write_source(tmp_path, PROSE + "<!-- enlace-colab -->\n")
    (tmp_path / "pyproject.toml").unlink()
    if toml:
        (tmp_path / "pyproject.toml").write_text(toml)
    with pytest.raises(ValueError, match=r"\[project.urls\]"):
        build.generate(target(tmp_path, solved=False))


def test_keys_of_links_are_resolved_in_both_variants(tmp_path):
    write_source(tmp_path, PROSE + "[texto](enlace:web), `[no](enlace:web)`\n")
    data = tmp_path / "notebooks" / "fuente" / "enlaces.toml"
    data.write_text('[web]\ntitle = "La web"\nurl = "https://x.es/a"\n', encoding="utf-8")
    for solved in (False, True):
        text = build.generate(target(tmp_path, solved=solved)).cells[0].source
        assert text.endswith("[texto](https://x.es/a), `[no](enlace:web)`")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            '[web]\ntitle = "La web"\nurl = "https://x.es/a"\n',
            "prosa, línea 4: no hay ningún enlace «wev». ¿Querías decir web?",
        ),
        ('[wev]\ntitle = "A"\narxiv = 1706.03762\n', "[wev]: arxiv debe ser un texto, entre comillas, y es 1706.03762"),
        ("[wev", "enlaces.toml no es TOML válido"),
    ],
)
@pytest.mark.parametrize("option", [[], ["--check"]])
def test_a_wrong_link_stops_the_build_before_executing(tmp_path, capsys, toml, message, option):
    write_source(tmp_path, PROSE + "[texto](enlace:wev)\n\n" + code_cell("1 / 0"))
    (tmp_path / "notebooks" / "fuente" / "enlaces.toml").write_text(toml, encoding="utf-8")
    assert build.main(option, tmp_path) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Error: notebooks/fuente/09_prueba.md, prosa, ") and message in shown
    assert not list(tmp_path.rglob("*.ipynb"))


# --- Salidas ------------------------------------------------------------------------------------


def test_consecutive_streams_are_merged_and_widget_views_dropped():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "a1"}, "text/plain": "Caja()"}
    tidy = build.tidy_outputs(
        [
            new_output("stream", name="stdout", text="a"),
            new_output("stream", name="stdout", text="b"),
            new_output("display_data", data=view),
            new_output("stream", name="stdout", text="c"),
            new_output("execute_result", data={"text/plain": "1"}, execution_count=9),
        ],
        4,
    )
    assert [o.get("text") for o in tidy] == ["ab", None, "c", None]
    assert dict(tidy[1].data) == {"text/plain": "Caja()"}
    assert tidy[3].execution_count == 4


def test_local_paths_and_addresses_are_found(tmp_path):
    def problem(text, mime="text/html"):
        return build.output_problem([new_output("display_data", data={mime: text})], tmp_path)

    assert "ruta" in problem(f"<a>\n{tmp_path}/x</a>")
    assert "ruta" in problem(f"en '{Path.home()}'")
    assert "memoria" in problem("<f at 0x7f3a5c0d1e20>", "text/plain")
    assert problem(f"https://x.es{Path.home()}") is None
    assert problem(str(tmp_path), "image/png") is None


@pytest.mark.parametrize("solved", [False, True])
def test_built_notebook_is_normal(built, solved):
    notebook = read(built, solved)
    nbformat.validate(notebook)
    assert [c.id for c in notebook.cells] == ["portada", "al-azar", "ejercicio-9-1", "comprueba-9-1"]
    assert notebook.metadata == build.METADATA
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert [c.execution_count for c in code] == [1, 2, 3]
    assert code[0].metadata == {"tags": ["nbval-ignore-output", "otra"]}
    assert code[2].outputs[0].text == ("hecho True" if solved else "pendiente False") + "\na\nb\n"
    assert code[2].outputs[1].execution_count == 3
    assert target(built, solved=solved).path.read_bytes().endswith(b"}\n")


def test_variants_differ_where_they_must(built):
    student, solution = read(built, False), read(built, True)
    text = json.dumps(student, ensure_ascii=False)
    assert "secreto" not in text and "solución" not in text and "6 * 7" not in text
    assert "secreto_dos = y" in solution.cells[2].source and "solución>" not in solution.cells[2].source
    assert 'open("quizzes/' in student.cells[1].source and 'open("../quizzes/' in solution.cells[1].source
    colab = "https://colab.research.google.com/github/ana/curso/blob/main/notebooks"
    assert "[![Abrir en Colab](" in student.cells[0].source
    assert f"]({colab}/09_prueba.ipynb)" in student.cells[0].source
    assert f"]({colab}/soluciones/09_prueba.ipynb)" in solution.cells[0].source
    assert "(../README.md#uso)" in student.cells[0].source and "(../../README.md#uso)" in solution.cells[0].source


def test_second_build_changes_nothing_and_keeps_ignored_outputs(copy):
    paths = [t.path for t in build.find_targets(copy)]
    before = [(p.read_bytes(), p.stat().st_mtime_ns) for p in paths]
    assert build.build_all(copy) == []
    assert [(p.read_bytes(), p.stat().st_mtime_ns) for p in paths] == before
    assert sorted(os.listdir(copy / "notebooks")) == ["09_prueba.ipynb", "fuente", "quizzes", "soluciones"]


def test_text_only_changes_the_prose_and_keeps_every_output(copy, monkeypatch):
    monkeypatch.setattr(build, "execute", None)  # si ejecuta algo, falla
    before = {solved: read(copy, solved) for solved in (False, True)}
    assert build.build_all(copy, text_only=True) == []
    write_source(copy, SOURCE.replace("# Título", "# Otro título\n\n+++\n\nMás prosa"))
    assert len(build.build_all(copy, text_only=True)) == 2
    assert build.check_all(copy) == []
    for solved, old in before.items():
        new = read(copy, solved)
        assert new.cells[0].source == "# Otro título" and len(new.cells) == len(old.cells) + 1
        assert [c.outputs for c in new.cells[2:]] == [c.outputs for c in old.cells[1:]]


@pytest.mark.parametrize(
    "change", [("6 * 7", "7 * 6"), ('print("a"); print("b")', 'print("a")'), ("f(False)\n```", "```")]
)
def test_text_only_refuses_code_that_has_changed(copy, capsys, change):
    write_source(copy, SOURCE.replace(*change).replace("# Título", "# Otro título"))
    paths = [t.path for t in build.find_targets(copy)]
    before = [p.read_bytes() for p in paths]
    assert build.main(["--text-only"], copy) == 1
    assert "ha cambiado el código. Constrúyelo sin --text-only" in capsys.readouterr().err
    # Aunque la solución de un ejercicio solo esté en la variante resuelta, no se escribe ninguna de las dos.
    assert [p.read_bytes() for p in paths] == before


@pytest.mark.parametrize(("text", "problem"), [(None, "no existe"), ("{}", "no es un cuaderno válido")])
def test_text_only_needs_a_built_notebook(tmp_path, capsys, text, problem):
    write_source(tmp_path, code_cell("1"))
    if text:
        target(tmp_path, solved=False).path.write_text(text)
    assert build.main(["--text-only"], tmp_path) == 1
    assert f"notebooks/09_prueba.ipynb: {problem}. Constrúyelo sin --text-only." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        (lambda cells: None, True),
        (lambda cells: cells[1].update(source="otro código"), False),
        (lambda cells: cells[3].update(source="otro código", outputs=[]), True),
        (lambda cells: cells[3].update(outputs=[]), False),
    ],
    ids=["nada", "su código", "el código de otra", "lo que muestra otra"],
)
def test_ignored_output_is_kept_while_the_rest_shows_the_same(built, edit, kept):
    """Con otros pesos cambia lo que se compara: lo que no se compara no puede quedarse con los números de antes."""
    notebook, where = read(built, False), target(built, solved=False)
    stored, notebook.cells[1].outputs = notebook.cells[1].outputs, [new_output("stream", text="nueva\n")]
    edit(notebook.cells)
    build.keep_outputs(notebook, where)
    assert (notebook.cells[1].outputs == stored) is kept


class FakeClient:
    """Un núcleo de mentira: devuelve las salidas pedidas sin arrancar nada."""

    outputs = ()

    def __init__(self, *args, **kwargs): ...

    def setup_kernel(self, **kwargs):
        FakeClient.started = kwargs
        return contextlib.nullcontext()

    def execute_cell(self, cell, index, **kwargs):
        cell.outputs = list(self.outputs)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"output_type": "stream", "name": "stderr", "text": "¡aviso raro!"}, "stderr:\n¡aviso raro!"),
        ({"output_type": "stream", "name": "stdout", "text": "{root}/x"}, "ruta de este ordenador: {root}"),
        ({"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[1mtraza\x1b[0m"]}, "error:\ntraza"),
    ],
)
def test_bad_outputs_stop_the_build_and_write_nothing(tmp_path, monkeypatch, capsys, output, message):
    write_source(tmp_path, code_cell("codigo_culpable()", tags="raises-exception"))
    output = {k: v.format(root=tmp_path) if k == "text" else v for k, v in output.items()}
    monkeypatch.setattr("nbclient.NotebookClient", FakeClient)
    monkeypatch.setattr(FakeClient, "outputs", [nbformat.from_dict(output)])
    assert build.main([], tmp_path) == 1
    shown = capsys.readouterr().err
    assert message.format(root=tmp_path) in shown
    assert "notebooks/09_prueba.ipynb, codigo" in shown and "codigo_culpable()" in shown
    assert not list(tmp_path.rglob("*.ipynb*"))


def test_a_real_error_shows_code_and_traceback(tmp_path, capsys):
    write_source(tmp_path, code_cell("x = 0\n1 / x", tags="raises-exception"))
    assert build.main(["09"], tmp_path) == 1
    shown = capsys.readouterr().err
    assert "notebooks/09_prueba.ipynb, codigo: la celda da un error" in shown
    assert "ZeroDivisionError" in shown and "--- código ---\nx = 0\n1 / x" in shown
    assert "\x1b" not in shown


def test_kernel_does_not_depend_on_the_terminal(tmp_path, monkeypatch):
    write_source(tmp_path, code_cell("1"))
    monkeypatch.setattr("nbclient.NotebookClient", FakeClient)
    for variable in ("MPLBACKEND", "CURSO_PERFIL", "TQDM_DISABLE", "PYTHONHASHSEED"):
        monkeypatch.setenv(variable, "7")
    build.build_all(tmp_path)
    env = FakeClient.started["env"]
    assert not {"MPLBACKEND", "CURSO_PERFIL", "TQDM_DISABLE"} & set(env)
    assert (env["PYTHONHASHSEED"], env["HF_HUB_OFFLINE"], env["TOKENIZERS_PARALLELISM"]) == ("0", "1", "false")
    assert FakeClient.started["cwd"] == str(tmp_path / "notebooks" / "soluciones")


def test_a_slow_cell_stops_the_build(tmp_path, capsys):
    write_source(tmp_path, code_cell("import time\ntime.sleep(30)"))
    assert build.main(["--timeout", "1"], tmp_path) == 1
    assert "codigo: la celda tarda más de 1 s" in capsys.readouterr().err


# --- --check y selección -------------------------------------------------------------------------


def test_check_accepts_what_was_built(copy):
    assert build.main(["--check"], copy) == 0


def _edit(change):
    def edit(root, solved):
        notebook = read(root, solved)
        change(notebook)
        nbformat.write(notebook, target(root, solved=solved).path)

    return edit


def _overwrite(text):
    return lambda root, solved: target(root, solved=solved).path.write_text(text)


BROKEN = ["{<<<", "", "{}", "[]", '"x"', '{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}']


@pytest.mark.parametrize("solved", [False, True])
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_edit(lambda nb: nb.cells[1].update(source="pass")), "al-azar: «source»"),
        (_edit(lambda nb: nb.cells[0].update(source="Hola")), "portada: «source»"),
        (_edit(lambda nb: nb.cells[1].metadata.update(tags=[])), "al-azar: «metadata»"),
        (_edit(lambda nb: nb.cells[2].update(id="otra")), "ejercicio-9-1: «id»"),
        (_edit(lambda nb: nb.cells.pop()), "comprueba-9-1: falta"),
        (_edit(lambda nb: nb.cells.append(nbformat.from_dict(nb.cells[0] | {"id": "z"}))), "z: sobra"),
        (_edit(lambda nb: nb.cells[3].update(execution_count=None)), "comprueba-9-1: no se ha ejecutado"),
        (_edit(lambda nb: nb.metadata.update(language_info={"name": "python", "version": "3"})), "metadatos"),
        (lambda root, solved: target(root, solved=solved).path.unlink(), "no existe"),
        *((_overwrite(text), "no es un cuaderno válido") for text in BROKEN),
    ],
)
def test_check_finds_the_first_difference(copy, capsys, edit, message, solved):
    edit(copy, solved)
    assert build.main(["--check"], copy) == 1
    shown = capsys.readouterr().err
    assert message in shown and "make notebooks" in shown
    assert target(copy, solved=solved).label in shown


@pytest.mark.parametrize("folder", ["notebooks", "notebooks/soluciones"])
def test_check_finds_a_notebook_without_source(copy, capsys, folder):
    (copy / folder / "08_huerfano.ipynb").write_text("{}")
    assert build.main(["--check"], copy) == 1
    assert f"{folder}/08_huerfano.ipynb: no tiene fuente" in capsys.readouterr().err


def test_names_select_sessions(tmp_path, capsys):
    for name in ("01_uno", "02_dos"):
        write_source(tmp_path, PROSE, name)
    assert {t.source.stem for t in build.find_targets(tmp_path)} == {"01_uno", "02_dos"}
    for name in ("02", "02_dos", "02_dos.md"):
        assert {t.source.stem for t in build.find_targets(tmp_path, [name])} == {"02_dos"}
    assert build.main(["07"], tmp_path) == 1
    assert "«07»" in capsys.readouterr().err
    write_source(tmp_path, PROSE, "sin_numero")
    with pytest.raises(ValueError, match="sin_numero"):
        build.find_targets(tmp_path)


# --- Plegar, probar, describir y medir ---------------------------------------------------------------


DRAWING = """import base64
from IPython.display import Image, display
dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
for _ in range(2):
    display(Image(base64.b64decode(dot)))
# alt: un punto
# alt: otro punto"""


def test_a_deep_dive_is_built_in_its_own_folder(tmp_path):
    write_source(tmp_path, SOURCE)
    write_source(tmp_path, SOURCE, "profundiza/09_prueba")
    targets = build.find_targets(tmp_path, ["09"])
    folders = ["", "soluciones/", "profundiza/", "soluciones/profundiza/"]
    assert [t.label for t in targets] == [f"notebooks/{folder}09_prueba.ipynb" for folder in folders]
    deepest = build.generate(targets[3])
    assert "(../../../README.md#uso)" in deepest.cells[0].source and "(../../03_otra.ipynb" in deepest.cells[0].source
    assert 'open("../../quizzes/' in deepest.cells[1].source
    assert "/blob/main/notebooks/soluciones/profundiza/09_prueba.ipynb)" in deepest.cells[0].source


def test_a_project_has_one_variant_and_any_name(tmp_path):
    write_source(tmp_path, PROSE + code_cell("x = 1", "codigo"))
    write_source(tmp_path, PROSE + code_cell("x = 2", "codigo"), "proyecto/plantilla")
    assert [t.label for t in build.find_targets(tmp_path, ["plantilla"])] == ["notebooks/proyecto/plantilla.ipynb"]
    assert len(build.find_targets(tmp_path)) == 3
    (tmp_path / "notebooks" / "proyecto").mkdir()
    (tmp_path / "notebooks" / "proyecto" / "huerfano.ipynb").write_text("{}", encoding="utf-8")
    assert "notebooks/proyecto/huerfano.ipynb: no tiene fuente." in build.check_all(tmp_path)


def test_proofs_are_only_in_the_solved_variant(tmp_path):
    write_source(tmp_path, PROSE + code_cell("x = 1", "codigo") + code_cell("assert x == 1", "prueba", "verifica"))
    student, solved = (build.generate(target(tmp_path, solved=solved)) for solved in (False, True))
    assert [cell.id for cell in student.cells] == ["prosa", "codigo"]
    assert [cell.id for cell in solved.cells] == ["prosa", "codigo", "prueba"]


def test_folded_code_says_what_it_does(tmp_path):
    write_source(tmp_path, PROSE + code_cell("# @title Lo que hace\nx = 1", tags="hide-input"))
    metadata = build.generate(target(tmp_path, solved=False)).cells[1].metadata
    assert metadata.jupyter.source_hidden and metadata.cellView == "form" and metadata.tags == ["hide-input"]
    write_source(tmp_path, PROSE + code_cell("x = 1", tags="hide-input"))
    with pytest.raises(ValueError, match=r"prueba\.md, codigo: .*# @title"):
        build.generate(target(tmp_path, solved=False))


def test_each_image_carries_its_description(tmp_path, capsys):
    write_source(tmp_path, PROSE + code_cell(DRAWING))
    assert build.main([], tmp_path) == 0
    cell = read(tmp_path, False).cells[1]
    assert "alt:" not in cell.source
    assert [output.metadata["image/png"] for output in cell.outputs] == [{"alt": "un punto"}, {"alt": "otro punto"}]
    write_source(tmp_path, PROSE + code_cell(DRAWING.replace("otro punto", "un borrón")))
    assert build.main(["--text-only"], tmp_path) == 0
    assert read(tmp_path, False).cells[1].outputs[1].metadata["image/png"] == {"alt": "un borrón"}
    write_source(tmp_path, PROSE + code_cell(DRAWING + "\n# alt: y un tercero"))
    assert build.main(["--text-only"], tmp_path) == 1
    assert "hay 3 descripciones" in capsys.readouterr().err


MEASURED = (
    "<!-- id: portada -->\n# Título uno\n\n<!-- duracion -->\n\nTres palabras [más](../R.md#no) — `y código`.\n\n"
    "<!-- cuestionario: 09_antes -->\n\n+++ {}\n\n"
    + code_cell("import a\n\nplt.show()", "vista")
    + code_cell("# @title Plegada\nplots.show_text(x)", "plegada", "hide-input")
    + code_cell("assert plt.show()", "prueba", "verifica")
    + code_cell(
        "def f():\n    # <solución>\n    #| stub: y = ...\n    x = 1\n    y = 2\n    # </solución>\n    return y", "e"
    )
    + "\n<!-- id: fin -->\n## Recursos y artículos\n\nEsto ya no se cuenta.\n"
)


def test_minutes_are_counted_as_a_student_sees_the_notebook(tmp_path, capsys):
    path = write_source(tmp_path, MEASURED)
    # Palabras: Título uno · Tres palabras más y código. Líneas: import, show; def, el hueco, return.
    load = minutes.measure(path)
    assert load == minutes.Load(words=7, lines=5, exercises=1, pictures=2, questions=1)
    assert load.minutes == pytest.approx(7 / 130 + 0.12 * 5 + 10 + 0.75 * 3)
    assert "**Duración:** 13 minutos." in build.generate(target(tmp_path, solved=False)).cells[0].source
    assert build.main(["--minutes"], tmp_path) == 0
    assert capsys.readouterr().out.startswith("09_prueba.md: 12.9 minutos = 7 palabras, 5 líneas")
