"""Hace, de las mismas fuentes, un curso de nbgrader: una tarea por cuaderno con ejercicios, y su versión de reparto.

    make nbgrader                                          en build/nbgrader
    python -m tools.nbgrader 02 05 --output mi_curso       solo esas sesiones, en otra carpeta
    python -m tools.nbgrader --source-only                 sin nbgrader: solo las fuentes de las tareas

Queda ``source/02/02_….ipynb`` (y ``source/02_profundiza/``), con la solución entre las marcas de nbgrader, y, hecho por
el propio nbgrader, ``release/02/02_….ipynb``, que es lo que se reparte. De cada ejercicio, la celda ``ejercicio-2-1``
es la respuesta y ``comprueba-2-1`` da los puntos; las demás celdas son de solo lectura, y las ``verifica`` no van.
La comprobación que puntúa es la del curso instalado, cargada de nuevo: de eso se encarga una parte que nbgrader solo
pone al corregir. El estudiante ve en ella lo de siempre, con sus pistas de menos a más, y «Validate» le dice la verdad.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat

from course_utils.runner import in_order

from . import ROOT, exit_code, links, write_if_changed
from .notebooks import CLOSE, DEEP, OPEN, STUB, Target, deepen_links, find_targets, generate

POINTS = 2  # por ejercicio, como en la guía docente
OUTPUT = ROOT / "build" / "nbgrader"
INSTALL = "python -m pip install -c constraints.txt -r tools/nbgrader_versions.txt"
NOTICE = (
    "**Tarea de nbgrader.** Escribe en las celdas de los ejercicios, que son las que cuentan. Las demás no se pueden "
    "cambiar: para probar otra cosa, añade una celda."
)
TEST = """\
### BEGIN HIDDEN TESTS
import sys
for module in [name for name in sys.modules if name.startswith("course_utils.checks")]:
    del sys.modules[module]
### END HIDDEN TESTS
# Los puntos del ejercicio {exercise}. La comprobación se importa otra vez: cuenta la del curso.
from course_utils.checks import check, points

check("{exercise}", {function})
earned = points("{exercise}", {function})
assert earned, "Ejercicio {exercise}: sin puntos todavía."
earned"""
CONFIG = f"""\
# Los ajustes de nbgrader para este curso. «make nbgrader» no los cambia si ya existen: son tuyos.
import os

os.environ["CURSO_PERFIL"] = "mini"  # los modelos que van dentro del curso
os.environ["HF_HUB_OFFLINE"] = "1"  # al corregir no se descarga nada

c = get_config()  # la pone nbgrader

c.CourseDirectory.course_id = "generar-texto-en-espanol"

# El hueco de los ejercicios es el del curso: mientras está, la comprobación contesta «pendiente».
c.ClearSolutions.code_stub = {{"python": {chr(10).join(STUB)!r}}}
c.ClearSolutions.text_stub = "Escribe aquí tu respuesta."

# La sesión 04 entrena: su celda más larga pide un par de minutos en dos núcleos, y más con la máquina ocupada.
c.Execute.timeout = 600
c.Execute.startup_timeout = 180
# Las tareas se corrigen con el núcleo «python3»: el de un Python con el curso instalado.

# Si alguien borra una comprobación, vuelve.
c.OverwriteCells.add_missing_cells = True
c.OverwriteCells.missing_cell_notification = "La celda {{cell_id}} no estaba: la ha repuesto nbgrader.\\n\\n"

# Para nbgrader, un aviso de Python al comprobar (en stderr) son 0 puntos. Aquí solo cuentan los errores.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"[\\s\\S]"
"""
README = """\
El curso «Generar texto en español con Transformers», para nbgrader
===================================================================

Para quien ya usa nbgrader. Esta carpeta es un curso suyo: nbgrader_config.py, las tareas (source/) y lo que se reparte
(release/). Hay una tarea por cuaderno con ejercicios; las que acaban en _profundiza son las de los cuadernos de
profundizar. Cada ejercicio vale {points} puntos; en total, {total}:

{table}

Corregir pide el curso instalado en el Python del núcleo «python3», y esta carpeta como carpeta de trabajo:

    nbgrader release_assignment 02        pone la tarea en el intercambio (o reparte tú release/02)
    nbgrader collect 02                   recoge las entregas (o ponlas en submitted/ESTUDIANTE/02/)
    nbgrader autograde 02                 las ejecuta y las puntúa
    nbgrader generate_feedback 02         una página por estudiante, en feedback/
    nbgrader export                       las notas, en grades.csv

Son 2 puntos si cumple todo lo que se pide, 1 si cumple la mitad o más, y 0 si no. Se cambian a mano en «Formgrader»,
dentro de JupyterLab: por ejemplo, si alguien no sabe explicar lo suyo.

Las entregas se ejecutan con tu cuenta y sin aislar: nbgrader no pone límites a lo que hace un cuaderno. Para código en
el que no confías usa un contenedor, o la orden del curso: python -m course_utils grade CARPETA.

No edites source/: se rehace con «make nbgrader». No repartas source/: lleva las soluciones.
"""


def assignment_name(target: Target) -> str:
    """La tarea de un cuaderno: «02», y «02_profundiza» el de profundizar."""
    return target.source.stem[:2] + f"_{DEEP}" * (target.source.parent.name == DEEP)


def graded(check_cell: str, *, where: str) -> tuple[str, str]:
    """El ejercicio y la función de una celda ``comprueba-…``, que es solo ``check("2.1", función)``.

    Raises
    ------
    ValueError
        Si la celda tiene algo más: lo que no sea eso no se sabría puntuar.
    """
    found = re.fullmatch(r'check\("([A-Z]?\d+\.\d+)", (\w+)\)', check_cell.strip())
    if not found:
        raise ValueError(f'{where}: la celda es «{check_cell}» y tiene que ser solo check("2.1", función).')
    return found[1], found[2]


def with_marks(code: str, *, where: str) -> str:
    """El código de un ejercicio con las marcas de nbgrader alrededor de la solución.

    Raises
    ------
    ValueError
        Si no hay una solución y solo una, o tiene un hueco propio (``#| stub:``), que nbgrader no sabría poner.
    """
    if code.count(OPEN) != 1 or code.count(CLOSE) != 1 or "#| stub:" in code:
        raise ValueError(f"{where}: nbgrader pide una solución y solo una, con el hueco de siempre, sin «#| stub:».")
    return code.replace(OPEN, "### BEGIN SOLUTION").replace(CLOSE, "### END SOLUTION").strip("\n")


def assignment(target: Target) -> nbformat.NotebookNode:
    """La fuente de la tarea de un cuaderno, sin ejecutar.

    Raises
    ------
    ValueError
        Si un ejercicio no tiene su comprobación detrás, o no se puede puntuar.
    """
    root, name = target.root, target.source.relative_to(target.root).as_posix()
    text = target.source.read_text(encoding="utf-8")
    student = Target(target.source, root / "notebooks" / target.path.name, False, root)  # las rutas, como en la fuente
    badge = links.colab_badge(student.label, root)
    notebook = generate(student)
    answer = ""
    for cell in notebook.cells:
        where, grade = f"{name}, {cell.id}", False
        solution = cell.cell_type == "code" and cell.id.startswith("ejercicio-")
        if cell.cell_type == "markdown":
            cell.source = absolute_links(cell.source, root).replace(badge, NOTICE)
        elif solution:
            written = re.search(rf"^:id: {cell.id}\n(?::.+\n)*(.*?)^```$", text, re.DOTALL | re.MULTILINE)
            cell.source, answer = with_marks(written[1], where=where), cell.id
        elif cell.id.startswith("comprueba-"):
            if cell.id != answer.replace("ejercicio", "comprueba"):
                raise ValueError(f"{where}: delante no está su ejercicio, sino «{answer}».")
            exercise, function = graded(cell.source, where=where)
            cell.source, grade = TEST.format(exercise=exercise, function=function), True
            cell.metadata["tags"] = ["raises-exception"]  # «Ejecutar todo» no se para en un ejercicio sin resolver
        marks = {"schema_version": 3, "grade_id": cell.id, "grade": grade, "solution": solution, "task": False}
        cell.metadata["nbgrader"] = marks | {"locked": not solution} | ({"points": POINTS} if grade else {})
    return notebook


def absolute_links(text: str, root: Path) -> str:
    """Los enlaces relativos de un texto llevan al repositorio: la tarea viaja sin el resto del curso."""
    return deepen_links(text, "/blob/main/notebooks/").replace(
        "](/blob/main/", f"](https://github.com/{links.repository_slug(root)}/blob/main/"
    )


def points(notebook: nbformat.NotebookNode) -> int:
    """Los puntos de una tarea."""
    return sum(cell.metadata.nbgrader.get("points", 0) for cell in notebook.cells)


def write_source(root: Path, output: Path, names: list[str] = ()) -> dict[str, int]:
    """Escribe ``source/`` y lo que la acompaña; devuelve los puntos de cada tarea que hay."""
    for target in find_targets(root, names):
        if target.solved or not points(notebook := assignment(target)):
            continue  # hay profundizas sin ejercicios
        folder = output / "source" / assignment_name(target)
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.validate(notebook)
        write_if_changed(folder / target.path.name, nbformat.writes(notebook))
        for quiz in re.findall(r"quizzes/(\w+\.json)", "".join(cell.source for cell in notebook.cells)):
            (folder / "quizzes").mkdir(exist_ok=True)
            shutil.copyfile(root / "notebooks" / "quizzes" / quiz, folder / "quizzes" / quiz)
    if not (output / "nbgrader_config.py").exists():
        write_if_changed(output / "nbgrader_config.py", CONFIG)
    folders = in_order((output / "source").iterdir())  # también las tareas de otras veces
    found = {path.parent.name: points(nbformat.read(path, as_version=4)) for f in folders for path in f.glob("*.ipynb")}
    table = "\n".join(f"    {name:<14}{value:>3} puntos" for name, value in found.items())
    write_if_changed(output / "LÉEME.txt", README.format(points=POINTS, total=sum(found.values()), table=table))
    return found


def nbgrader(*arguments: str, course: Path) -> subprocess.CompletedProcess:
    """Una orden de nbgrader en la carpeta de un curso. Por dentro llama a otra, alembic, que busca en el PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.run(
        command, cwd=course, env=os.environ | {"PATH": path}, capture_output=True, encoding="utf-8", check=False
    )


def release(output: Path) -> None:
    """Le pide a nbgrader la versión de reparto de todas las tareas.

    Raises
    ------
    ValueError
        Si nbgrader no quiere: con lo que ha contestado.
    """
    done = nbgrader("generate_assignment", "--force", "--assignment=*", course=output)
    if done.returncode:
        raise ValueError(f"nbgrader no ha podido preparar las tareas:\n{done.stderr.strip()}")


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    parser = argparse.ArgumentParser(description="Hace un curso de nbgrader con los ejercicios de los cuadernos.")
    parser.add_argument("nombres", nargs="*", help="sesiones, por ejemplo 02 (por defecto, todas)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="CARPETA", help="la carpeta del curso")
    parser.add_argument("--source-only", action="store_true", help="no llama a nbgrader: solo escribe las fuentes")
    args = parser.parse_args(argv)

    def work() -> list[str]:
        if not args.source_only and not find_spec("nbgrader"):
            raise ValueError(f"falta nbgrader. Instálalo con «{INSTALL}», o usa --source-only.")
        found = write_source(root, args.output, args.nombres)
        if not args.source_only:
            release(args.output)
        print(f"{len(found)} tareas, {sum(found.values())} puntos: {args.output}. Empieza por LÉEME.txt.")
        return []

    return exit_code(work, "")


if __name__ == "__main__":
    sys.exit(main())
