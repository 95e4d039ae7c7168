"""Construye los cuadernos: de una fuente, la versión del alumnado y la resuelta.

De cada ``notebooks/fuente/NN_nombre.md`` (MyST Markdown) salen ``notebooks/NN_nombre.ipynb``
(ejercicios en blanco) y ``notebooks/soluciones/NN_nombre.ipynb`` (resueltos y con ``check`` estricto).
Lo mismo, en la subcarpeta ``profundiza`` de cada una. Los de ``fuente/proyecto/``, el trabajo final y sus ejemplos,
tienen el nombre que quieran y una sola versión, en ``notebooks/proyecto/``: no llevan ejercicios.
Los dos se ejecutan de arriba abajo y guardan sus salidas. Construir dos veces no cambia nada.
Con ``--text-only`` no se ejecuta nada: se pone al día el texto, y las salidas se quedan si el código es el mismo.

En la fuente:

- Cada celda tiene un nombre, su ``id`` en el cuaderno, que no cambia aunque se añadan otras: ``:id: voraz-bucle`` en
  las de código y ``<!-- id: busqueda-voraz -->``, en la primera línea, en las de texto con un título. Una de texto sin
  nombre toma el de la anterior que lo tiene: ``voraz-bucle-texto``.
- El código de un ejercicio va entre ``# <solución>`` y ``# </solución>``. Dentro, cada línea
  ``#| stub: código`` es una línea de lo que verá el alumnado; sin ninguna, verá un hueco con ``...``.
- ``<!-- cuestionario: 02_antes -->`` se sustituye por ``quizzes/02_antes.json`` como texto desplegable.
- ``<!-- enlace-colab -->`` se sustituye por el enlace a Colab de ese mismo cuaderno.
- ``[texto](enlace:clave)`` lleva a la dirección que tiene esa clave en ``enlaces.toml``; ``[](enlace:clave)`` escribe
  la cita entera: autores, título y año.
- ``<!-- duracion -->`` se sustituye por los minutos que pide el cuaderno (``tools.minutes``; ``--minutes`` los enseña).
- La etiqueta ``hide-input`` pliega el código de una celda, que empieza por ``# @title Lo que hace``. Las celdas
  ``verifica`` prueban lo que dice el texto: están en la variante resuelta, que es la que se compara, y no en la otra.
- ``# alt: lo que se ve``, en el código, es la descripción de la imagen de esa celda: una línea por imagen. No se queda
  en el código; acompaña a la imagen, para quien no la ve.
- Las rutas y los enlaces relativos se escriben como si la fuente estuviera en ``notebooks/``.
- Una celda ``nbval-ignore-output`` conserva su salida guardada mientras no cambien su código ni lo que muestran las
  demás que siguen igual (para renovarla, borra el cuaderno y constrúyelo de nuevo).
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import html
import itertools
import json
import os
import posixpath
import re
import sys
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tqdm import tqdm

from course_utils import runner

from . import ROOT, exit_code, links, write_if_changed
from .minutes import HIDDEN, PROOF, measure

OPEN, CLOSE = "# <solución>", "# </solución>"
STUB = ("# Escribe aquí tu código", "...")
KEEP_TAG = "nbval-ignore-output"
DEEP, PROJECT = "profundiza", "proyecto"
WITHOUT_JAVASCRIPT = "Cuestionario interactivo: ejecuta esta celda para contestar. Está escrito al final."
REMEDY = "Ejecuta «make notebooks»."
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# Lo que fija o cambia una salida no puede depender de la terminal de quien construye.
KERNEL_ENV = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
DROPPED_ENV = ("TQDM_DISABLE", "MPLBACKEND", "CURSO_PERFIL", "COLUMNS", "LINES")


@dataclass(frozen=True)
class Target:
    """Un cuaderno por construir: su fuente, su destino y si lleva las soluciones."""

    source: Path
    path: Path
    solved: bool
    root: Path

    @property
    def label(self) -> str:
        return self.path.relative_to(self.root).as_posix()

    @property
    def up(self) -> str:
        """De su carpeta a ``notebooks/``, donde se escriben las rutas de las fuentes: «», «../» o «../../»."""
        return "../" * (len(self.path.relative_to(self.root / "notebooks").parts) - 1)


# --- Código: bloques de solución y comprobaciones estrictas -----------------------------------


def looks_like_marker(line: str) -> bool:
    """Dice si el comentario de una línea parece un marcador de solución, bien o mal escrito."""
    if "#" not in line:
        return False
    text = unicodedata.normalize("NFD", line.split("#", 1)[1].casefold())
    text = "".join(c for c in text if not unicodedata.combining(c))
    alone = re.fullmatch(r"\W*(\w+)\W*", text)
    words = [alone[1]] if alone else []
    words += [a or b for a, b in re.findall(r"[<\[{][\s/\\!-]*(\w+)|(\w+)[\s/\\]*[>\]}]", text)]
    return any(difflib.get_close_matches(w, ("solucion", "solution"), cutoff=0.85) for w in words)


def render_code(source: str, *, solved: bool, where: str) -> str:
    """Resuelve los bloques de solución de una celda de código.

    Parameters
    ----------
    source : str
        Código de la celda, con marcadores.
    solved : bool
        ``True`` deja la solución y quita los marcadores; ``False`` pone el hueco en su lugar.
    where : str
        Fuente y celda, para el mensaje de error.

    Raises
    ------
    ValueError
        Si un marcador falta, sobra, está anidado o mal escrito.
    """
    lines: list[str] = []
    code: list[str] | None = None  # el bloque abierto; None fuera de él
    stub: list[str] = []
    indent, opened = "", 0
    for number, line in enumerate(source.split("\n"), 1):
        place = f"{where}, línea {number}"
        stub_line = re.fullmatch(r"\s*#\| stub:(?: (.*))?", line)
        if line.strip() == OPEN:
            if code is not None:
                raise ValueError(f"{place}: «{OPEN}» anidado en el bloque de la línea {opened}. Ciérralo antes.")
            code, stub, indent, opened = [], [], line[: line.index("#")], number
        elif line.strip() == CLOSE:
            if code is None:
                raise ValueError(f"{place}: «{CLOSE}» sin «{OPEN}» delante.")
            lines += code if solved else [(indent + text).rstrip() for text in stub or STUB]
            code = None
        elif looks_like_marker(line):
            raise ValueError(
                f"{place}: «{line.strip()}» parece un marcador mal escrito. Usa «{OPEN}» y «{CLOSE}», "
                "solos en su línea; si es un comentario, dilo con otras palabras."
            )
        elif stub_line and code is not None:
            stub.append(stub_line[1] or "")
        elif re.match(r"\s*#\s*\|\s*stub", line, re.IGNORECASE):
            raise ValueError(f"{place}: «{line.strip()}» no vale. Escribe «#| stub: código» dentro de un bloque.")
        else:
            (lines if code is None else code).append(line)
    if code is not None:
        raise ValueError(f"{where}, línea {opened}: «{OPEN}» sin «{CLOSE}».")
    return "\n".join(lines).strip("\n")


def add_strict(source: str, *, where: str) -> str:
    """Hace estricta la comprobación de un ejercicio, ``check("2.1", respuesta)``, que va sola en su línea."""
    strict, count = re.subn(r"^(check\(.+)\)$", r"\1, strict=True)", source, flags=re.MULTILINE)
    if count != len(re.findall(r"(?<!def )\bcheck\s*\(", source)):
        raise ValueError(f"{where}: cada llamada a check va sola en una línea, sin nada detrás.")
    return strict


def take_alt(source: str) -> tuple[str, list[str]]:
    """El código sin sus líneas ``# alt: …``, y lo que dicen: una descripción por imagen, en orden."""
    lines = source.split("\n")
    found = [re.match(r"\s*# alt: (.+)", line) for line in lines]
    code = [line for line, match in zip(lines, found, strict=True) if not match]
    return "\n".join(code).strip("\n"), [match[1].strip() for match in found if match]


def fold(source: str, metadata: dict, *, where: str) -> dict:
    """Lo que pliega el código de una celda ``hide-input`` en Jupyter y en Colab, o nada.

    Raises
    ------
    ValueError
        Si no empieza por su ``# @title``: plegada, no se sabría qué hace.
    """
    if HIDDEN not in metadata.get("tags", []):
        return {}
    if not re.match(r"# @title \S", source):
        raise ValueError(f"{where}: una celda «{HIDDEN}» empieza por «# @title Lo que hace».")
    return {"jupyter": {"source_hidden": True}, "cellView": "form"}


# --- Texto: cuestionarios, enlace a Colab y enlaces relativos ---------------------------------


def quiz_details(path: Path) -> str:
    """Un cuestionario de jupyterquiz como HTML desplegable que no necesita JavaScript."""
    try:
        questions = json.loads(path.read_text(encoding="utf-8"))
        asked, solved = "", ""
        for question in questions:
            if question["type"] not in ("multiple_choice", "many_choice"):
                raise ValueError(f"el tipo «{question['type']}» no es multiple_choice ni many_choice")
            options = [(chr(97 + i), answer) for i, answer in enumerate(question["answers"])]
            hint = " (varias respuestas)" if question["type"] == "many_choice" else ""
            asked += f"<li>{_plain(question['question'])}{hint}\n"
            asked += "".join(f"<br>{letter}) {_plain(a['answer'])}\n" for letter, a in options) + "</li>\n"
            solved += (
                "<li>\n"
                + "<br>\n".join(
                    f"{letter}) {'✅' if a['correct'] else '❌'} {_plain(a['feedback'])}" for letter, a in options
                )
                + "\n</li>\n"
            )
    except OSError:
        raise ValueError(f"no existe el cuestionario {path.name}. Créalo en notebooks/quizzes/.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"el cuestionario {path.name} no es válido: {error}") from None
    # Sin líneas en blanco: con una, Markdown daría por terminado el HTML.
    return (
        f"<details>\n<summary>El cuestionario como texto</summary>\n<ol>\n{asked}</ol>\n"
        f"<details>\n<summary>Respuestas</summary>\n<ol>\n{solved}</ol>\n</details>\n</details>"
    )


def _plain(text: str) -> str:
    # jupyterquiz trata el texto como HTML; deshacer y rehacer las entidades evita escapar dos veces.
    return html.escape(" ".join(html.unescape(text).split()), quote=False)


_LINK = re.compile(
    links.CODE + r"|(?P<before>\]\(\s*<?|\b(?:src|href)=[\"']|^ {0,3}\[[^\]\n]+\]:\s*<?)(?P<link>[^)\s>\"']+)",
    re.DOTALL | re.MULTILINE,
)


def deepen_links(text: str, up: str = "../") -> str:
    """Los enlaces relativos de un texto, vistos desde una carpeta más abajo, o desde las que diga ``up``."""

    def deepen(match: re.Match) -> str:
        link = match["link"]
        if match["code"] or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|[#/]", link):
            return match[0]
        return match["before"] + posixpath.normpath(posixpath.join(up, link))

    return _LINK.sub(deepen, text)


_NAME = re.compile(r"<!-- id: (.+) -->$", re.MULTILINE)


def name_cells(cells: list, source: str) -> list[str]:
    """El nombre de cada celda de una fuente: el suyo o, si es de texto, el de la anterior con ``-texto`` detrás.

    Raises
    ------
    ValueError
        Si a una celda de código o con un título le falta, no vale como ``id`` o se repite.
    """
    names: list[str] = []
    owner, unnamed = "", 0
    for position, cell in enumerate(cells, 1):
        where = f"{source}, celda {position} («{cell.source.strip().splitlines()[0] if cell.source.strip() else ''}»)"
        written = _NAME.match(cell.source) if cell.cell_type == "markdown" else None
        name = written[1] if written else cell.metadata.get("id")
        if name is None and (cell.cell_type == "code" or not owner or re.search(r"^ {0,3}#{1,6} ", cell.source)):
            raise ValueError(f"{where}: le falta el nombre. Escribe «:id: un-nombre» o «<!-- id: un-nombre -->».")
        if name is None:
            unnamed += 1
            name = f"{owner}-texto-{unnamed}".removesuffix("-1")
        else:
            owner, unnamed = name, 0
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > 64:
            raise ValueError(f"{where}: el nombre «{name}» no vale: minúsculas sin tildes y números, con guiones.")
        if name in names:
            raise ValueError(f"{where}: el nombre «{name}» ya es el de la celda {names.index(name) + 1}.")
        names.append(name)
    return names


def render_markdown(text: str, target: Target, *, where: str) -> str:
    """Sustituye las órdenes ``<!-- … -->`` de una celda de texto y ajusta sus enlaces."""
    try:
        text = links.resolve(text, target.root)
    except ValueError as error:
        raise ValueError(f"{where}, {error}") from None
    text = deepen_links(text, target.up)
    lines = text.split("\n")
    for i, line in enumerate(lines):
        quiz = re.fullmatch(r"<!-- cuestionario: (\w+) -->", line.strip())
        name = i == 0 and _NAME.match(text)
        try:
            if quiz:
                lines[i] = quiz_details(target.root / "notebooks" / "quizzes" / f"{quiz[1]}.json")
            elif line.strip() == "<!-- enlace-colab -->":
                lines[i] = links.colab_badge(target.label, target.root)
            elif line.strip() == "<!-- duracion -->":
                lines[i] = f"**Duración:** {measure(target.source)}."
            elif not name and re.search(r"<!--\s*(cuestionario|enlace|duraci|id\b)", line, re.IGNORECASE):
                raise ValueError(f"no entiendo «{line.strip()}».")
            elif "<" in line and looks_like_marker(line):
                raise ValueError("una solución solo puede estar en una celda de código.")
        except ValueError as error:
            raise ValueError(f"{where}, línea {i + 1}: {error}") from None
    return "\n".join(lines[1:] if _NAME.match(text) else lines)


# --- El cuaderno: generar, ejecutar y ordenar sus salidas -------------------------------------


def generate(target: Target) -> nbformat.NotebookNode:
    """El cuaderno que corresponde a una fuente, todavía sin ejecutar."""
    name = target.source.relative_to(target.root).as_posix()
    try:
        source = jupytext.reads(target.source.read_text(encoding="utf-8"), fmt="md:myst")
    except Exception as error:  # jupytext y YAML tienen cada uno los suyos
        raise ValueError(f"{name}: no se puede leer como MyST Markdown: {error}") from error
    cells = []
    for cell, identifier in zip(source.cells, name_cells(source.cells, name), strict=True):
        where = f"{name}, {identifier}"
        metadata = {key: value for key, value in cell.metadata.items() if key != "id"}
        if PROOF in metadata.get("tags", []) and not target.solved:
            continue
        if cell.cell_type == "code":
            code, alt = take_alt(render_code(cell.source, solved=target.solved, where=where))
            code = re.sub(r"([\"'])quizzes/", rf"\1{target.up}quizzes/", code)
            new = new_code_cell(add_strict(code, where=where) if target.solved else code)
            metadata |= fold(new.source, metadata, where=where) | ({"alt": alt} if alt else {})
        else:
            new = new_markdown_cell(render_markdown(cell.source, target, where=where))
        new.id, new.metadata = identifier, metadata
        cells.append(new)
    return new_notebook(cells=cells, metadata=METADATA)


def execute(notebook: nbformat.NotebookNode, target: Target, *, timeout: int, on_cell=lambda: None) -> None:
    """Ejecuta el cuaderno en su propia carpeta, como nbval, y le deja puestas las salidas."""
    env = {k: v for k, v in os.environ.items() if k not in DROPPED_ENV} | KERNEL_ENV
    cells = runner.execute(notebook, cwd=target.path.parent, env=env, timeout=timeout)
    with contextlib.closing(cells):
        for count, (cell, error) in enumerate(cells, 1):
            cell.outputs, cell.execution_count = tidy_outputs(cell.outputs, count), count
            problem = _explain(error, timeout) or output_problem(cell.outputs, target.root) or describe_images(cell)
            if problem:
                raise ValueError(f"{target.label}, {cell.id}: {problem}\n--- código ---\n{cell.source}")
            on_cell()


def _explain(error: Exception | None, timeout: int) -> str | None:
    """Un fallo del ejecutor, para quien construye; ``None`` si no lo hay."""
    if isinstance(error, TimeoutError):
        return f"la celda tarda más de {timeout} s. Aligérala o usa --timeout."
    if isinstance(error, RuntimeError):
        return "el núcleo ha muerto (¿falta memoria?)."
    return error and f"la celda da un error:\n{_no_colour(error.traceback)}"


def _no_colour(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def tidy_outputs(outputs: list, count: int) -> list:
    """Las salidas sin lo que cambia de una vez a otra: trozos de texto, estado de *widgets*, números."""
    tidy: list = []
    for output in outputs:
        if output.output_type == "stream" and tidy and tidy[-1].get("name") == output.name:
            tidy[-1].text += output.text
            continue
        if "data" in output:  # sin su estado, la vista de un widget solo da un mensaje de error
            output.data.pop("application/vnd.jupyter.widget-view+json", None)
            if "application/javascript" in output.data:  # lo que se lee donde no se ejecuta
                output.data["text/plain"] = WITHOUT_JAVASCRIPT
        if output.output_type == "execute_result":
            output.execution_count = count
        tidy.append(output)
    return tidy


def output_problem(outputs: list, root: Path) -> str | None:
    """Lo que impide publicar unas salidas, o ``None``: errores, avisos, rutas o direcciones de memoria."""
    places = {root, root.resolve(), Path.home(), Path(tempfile.gettempdir()), Path(sys.prefix)}
    names = {form for p in places if p != Path(p.anchor) for form in (str(p), repr(str(p))[1:-1], p.as_posix())}
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    local = re.compile(r"(?<![\w.])(?:" + "|".join(longest_first) + r")(?![\w-])")
    for output in outputs:
        if output.output_type == "error":
            return f"la salida es un error:\n{_no_colour(chr(10).join(output.traceback))}"
        if output.output_type == "stream" and output.name == "stderr":
            return f"la celda escribe en stderr:\n{output.text}"
        for text in _texts({k: v for k, v in output.items() if k != "metadata"}):
            if found := local.search(text):
                return f"la salida contiene una ruta de este ordenador: {found[0]}"
            if found := re.search(r"\bat 0x[0-9a-fA-F]{6,}", text):
                return (
                    f"la salida contiene una dirección de memoria, que cambia cada vez: {found[0]}. Acaba la celda "
                    "con plt.show() o guarda el valor (_ = …): nbval no hace caso del «;» final."
                )
    return None


def describe_images(cell: nbformat.NotebookNode) -> str | None:
    """Pone a cada imagen de una celda su descripción, donde la busca nbconvert; si no cuadran, lo dice."""
    images = [(output, kind) for output in cell.outputs for kind in output.get("data", {}) if kind.startswith("image/")]
    alt = cell.metadata.get("alt", [])
    if alt and len(alt) != len(images):
        return f"hay {len(alt)} descripciones («# alt: …») y {len(images)} imágenes."
    for (output, kind), text in zip(images, alt, strict=False):
        output.metadata[kind] = {"alt": text}
    return None


def _texts(value) -> list[str]:
    if isinstance(value, dict):
        return [t for key, v in value.items() if key not in ("image/png", "image/jpeg") for t in _texts(v)]
    if isinstance(value, list):
        return [t for v in value for t in _texts(v)]
    return [value] if isinstance(value, str) else []


def read_stored(target: Target) -> nbformat.NotebookNode:
    """El cuaderno guardado.

    Raises
    ------
    ValueError
        Si no existe o no es un cuaderno.
    """
    try:
        notebook = nbformat.read(target.path, as_version=4)
        nbformat.validate(notebook)
        return notebook
    except OSError:
        raise ValueError(f"{target.label}: no existe.") from None
    except Exception:  # nbformat lanza lo que le sale al paso: de un {}, un KeyError; de un [], un AttributeError…
        raise ValueError(f"{target.label}: no es un cuaderno válido.") from None


def code_cells(notebook: nbformat.NotebookNode) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def keep_outputs(notebook: nbformat.NotebookNode, target: Target) -> None:
    """Devuelve su salida guardada a las celdas ``nbval-ignore-output``, si las que no cambian muestran lo de antes."""
    try:
        stored = {cell.id: cell for cell in code_cells(read_stored(target))}
    except ValueError:
        return  # no hay nada que conservar
    pairs = [(cell, stored[cell.id]) for cell in code_cells(notebook) if cell.id in stored]
    pairs = [(new, old) for new, old in pairs if new.source == old.source]
    ignored = [KEEP_TAG in new.metadata.get("tags", []) for new, _ in pairs]
    if any(new.outputs != old.outputs for new, old in itertools.compress(pairs, [not i for i in ignored])):
        return  # otros pesos u otros datos: lo que no se compara tampoco puede quedarse con los números de antes
    for new, old in itertools.compress(pairs, ignored):
        outputs = tidy_outputs(old.outputs, new.execution_count)
        if outputs and output_problem(outputs, target.root) is None:
            new.outputs = outputs


def reuse_outputs(notebook: nbformat.NotebookNode, target: Target) -> None:
    """Pone en el cuaderno todas las salidas guardadas; vale si solo ha cambiado el texto.

    Raises
    ------
    ValueError
        Si el cuaderno no está construido o el código de una celda es otro: hay que ejecutarlo.
    """
    try:
        stored = code_cells(read_stored(target))
    except ValueError as error:
        raise ValueError(f"{error} Constrúyelo sin --text-only.") from None
    for new, old in itertools.zip_longest(code_cells(notebook), stored):
        if not new or not old or new.source != old.source:
            changed = (new or old).id
            raise ValueError(f"{target.label}, {changed}: ha cambiado el código. Constrúyelo sin --text-only.")
        new.outputs, new.execution_count = old.outputs, old.execution_count
        if problem := describe_images(new):
            raise ValueError(f"{target.label}, {new.id}: {problem}")


# --- Órdenes -----------------------------------------------------------------------------------


def find_targets(root: Path, names: list[str] = ()) -> list[Target]:
    """Los cuadernos por construir: todos, o los de las sesiones pedidas («02»)."""
    folder = root / "notebooks"
    places = (folder / "fuente", folder / "fuente" / DEEP, folder / "fuente" / PROJECT)
    sources = [source for place in places for source in runner.in_order(place.glob("*.md"))]
    if not sources:
        raise ValueError("no hay ninguna fuente en notebooks/fuente/.")
    for source in sources:
        if source.parent.name != PROJECT and not re.fullmatch(r"(A\d|\d\d)_\w+", source.stem):
            raise ValueError(f"{source.relative_to(root).as_posix()}: el nombre debe ser como 02_nombre.md.")
    chosen = [s for s in sources if not names or any(s.stem.startswith(Path(n).stem) for n in names)]
    for name in names:
        if not any(s.stem.startswith(Path(name).stem) for s in sources):
            raise ValueError(f"no hay ninguna fuente «{name}». Hay: {', '.join(s.stem for s in sources)}.")
    return [
        Target(source, where / source.parent.relative_to(folder / "fuente") / f"{source.stem}.ipynb", solved, root)
        for source in chosen
        for where, solved in ((folder, False), (folder / "soluciones", True))
        if not solved or source.parent.name != PROJECT
    ]


def difference(target: Target) -> str | None:
    """La primera diferencia entre un cuaderno guardado y lo que genera su fuente, o ``None``."""
    expected = generate(target)
    try:
        stored = read_stored(target)
    except ValueError as error:
        return str(error)
    for wanted, cell in itertools.zip_longest(expected.cells, stored.cells):
        if wanted is None or cell is None:
            return f"{target.label}, {(wanted or cell).id}: {'sobra' if wanted is None else 'falta'}."
        for field in ("id", "cell_type", "source", "metadata"):
            if wanted.get(field) != cell.get(field):
                return f"{target.label}, {wanted.id}: «{field}» no es lo que genera {target.source.name}."
    if stored.metadata != expected.metadata:
        return f"{target.label}: los metadatos del cuaderno no son los que genera {target.source.name}."
    for count, cell in enumerate(code_cells(stored), 1):
        if cell.execution_count != count:
            return f"{target.label}, {cell.id}: no se ha ejecutado en su orden."
    return None


def check_all(root: Path, names: list[str] = ()) -> list[str]:
    """Lo que no concuerda entre las fuentes y los cuadernos guardados; no ejecuta nada."""
    targets = find_targets(root, names)
    problems = [problem for target in targets if (problem := difference(target))]
    if not names:
        known = {target.path for target in targets}
        places = ("", DEEP, PROJECT, "soluciones", f"soluciones/{DEEP}")
        stored = {path for place in places for path in (root / "notebooks" / place).glob("*.ipynb")}
        problems += [f"{p.relative_to(root).as_posix()}: no tiene fuente." for p in sorted(stored - known)]
    return problems


def build_all(root: Path, names: list[str] = (), *, timeout: int = 300, text_only: bool = False) -> list[Path]:
    """Construye los cuadernos y devuelve los que han cambiado; con ``text_only``, sin ejecutar nada."""
    notebooks = [(target, generate(target)) for target in find_targets(root, names)]  # fallar antes de ejecutar
    total = sum(len(code_cells(notebook)) for _, notebook in notebooks)
    for target, notebook in notebooks if text_only else ():
        reuse_outputs(notebook, target)
    written = []
    with tqdm(total=total, unit="celda", disable=None) as bar:
        for target, notebook in notebooks:
            bar.set_description(target.label)
            target.path.parent.mkdir(parents=True, exist_ok=True)
            if not text_only:
                execute(notebook, target, timeout=timeout, on_cell=bar.update)
                keep_outputs(notebook, target)
            nbformat.validate(notebook)
            changed = write_if_changed(target.path, nbformat.writes(notebook))
            written += [target.path] if changed else []
            bar.write(f"{target.label}: {'escrito' if changed else 'sin cambios'}")
    return written


def render_minutes(root: Path, names: list[str] = ()) -> str:
    """Una línea por cuaderno: sus minutos y de qué salen."""
    sources = dict.fromkeys(target.source for target in find_targets(root, names))
    lines = []
    for source in sources:
        load = measure(source)
        lines.append(
            f"{source.relative_to(root / 'notebooks' / 'fuente')}: {load.minutes:.1f} minutos = {load.words} palabras, "
            f"{load.lines} líneas de código, {load.exercises} ejercicios, {load.pictures} dibujos y "
            f"{load.questions} preguntas"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    parser = argparse.ArgumentParser(description="Construye los cuadernos del curso a partir de notebooks/fuente/.")
    parser.add_argument("nombres", nargs="*", help="sesiones que construir, por ejemplo 02 (por defecto, todas)")
    parser.add_argument("--check", action="store_true", help="no ejecuta nada: compara los cuadernos con sus fuentes")
    parser.add_argument("--text-only", action="store_true", help="no ejecuta nada: pone al día solo los textos")
    parser.add_argument("--minutes", action="store_true", help="no construye nada: dice los minutos de cada cuaderno")
    parser.add_argument("--timeout", type=int, default=300, metavar="S", help="segundos por celda (por defecto, 300)")
    args = parser.parse_args(argv)

    def work() -> list[str]:
        if args.check:
            return check_all(root, args.nombres)
        if args.minutes:
            print(render_minutes(root, args.nombres))
            return []
        build_all(root, args.nombres, timeout=args.timeout, text_only=args.text_only)
        return []

    return exit_code(work, REMEDY)


if __name__ == "__main__":
    sys.exit(main())
