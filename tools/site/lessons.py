"""De un cuaderno, la página de su sesión: lo mismo que se lee en Jupyter, con lo que en una página hace falta."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from .. import ROOT, pages
from . import paths
from .quizzes import quiz_form

WITH_TOUR = {"01", "02", "03", "04", "05"}  # las sesiones con recorrido en el laboratorio


@dataclass(frozen=True)
class Lesson:
    """Un cuaderno y lo que su página dice de él: la sesión, si profundiza, qué entrena cada ejercicio y qué sigue."""

    session: pages.Session
    deep: bool
    trains: dict[str, str]
    root: Path = ROOT
    following: pages.Session | None = None

    @property
    def notebook(self) -> str:
        return f"notebooks/{'profundiza/' if self.deep else ''}{self.session.stem}.ipynb"

    @property
    def exercises(self) -> tuple[pages.Exercise, ...]:
        return self.session.deep.exercises if self.deep else self.session.exercises


def render_lesson(lesson: Lesson, figures: Path, built_slides: set[str]) -> str:
    """El cuaderno que Sphinx convierte en la página; escribe sus imágenes en ``figures``."""
    notebook = json.loads((lesson.root / lesson.notebook).read_text(encoding="utf-8"))
    cells = [new for cell in notebook["cells"] for new in render_cell(cell, lesson, figures)]
    cells.insert(1, markdown("ficha", raw(summary_card(lesson, built_slides))))
    if link := way_on(lesson):
        cells.append(markdown("sigue", raw(f'<p class="acciones">{link}</p>')))
    notebook["metadata"]["language_info"]["pygments_lexer"] = "ipython3"  # conoce «!pip» y «%cd»
    return json.dumps(notebook | {"cells": cells}, ensure_ascii=False)


def markdown(name: str, text: str) -> dict:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def raw(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```"


def render_cell(cell: dict, lesson: Lesson, figures: Path) -> list[dict]:
    """Una celda tal como se ve en la página: puede dar varias, o ninguna."""
    source, name = "".join(cell["source"]), cell["id"]
    if cell["cell_type"] == "markdown":
        text = re.sub(r"^#### (?=Ejercicio)", "### ", source, flags=re.MULTILINE)  # los títulos, sin saltos
        return [cell | {"source": paths.to_site(text, lesson.notebook, lesson.root)}]
    if quiz := re.search(r"quizzes/(\w+)\.json", source):
        path = lesson.root / "notebooks" / "quizzes" / f"{quiz[1]}.json"
        when = "antes de empezar" if quiz[1].endswith("antes") else "al acabar"
        return [markdown(name, raw(quiz_form(path, f"Cuestionario: {when}")))]
    shown = cell | {"outputs": [reach_table(show_image(output, figures)) for output in cell["outputs"]]}
    if title := re.match(r"# @title (.+)\n", source):
        prompts = {"code_prompt_show": f"Ver el código: {title[1]}", "code_prompt_hide": f"Esconder: {title[1]}"}
        shown |= {"source": source[title.end() :], "metadata": cell["metadata"] | {"mystnb": prompts}}
    return [shown, *([markdown(f"{name}-donde", raw(where_to_try(lesson)))] if name.startswith("comprueba-") else [])]


def show_image(output: dict, figures: Path) -> dict:
    """Una salida con la imagen en un archivo aparte, que se carga al llegar a ella, con su descripción y su tamaño."""
    data = output.get("data", {}).get("image/png")
    if data is None:
        return output
    content = base64.b64decode("".join(data))
    width, height = struct.unpack(">II", content[16:24])  # la cabecera de un PNG
    name = hashlib.sha256(content).hexdigest()[:16] + ".png"
    (figures / name).write_bytes(content)
    alt = html.escape(output["metadata"].get("image/png", {}).get("alt", ""))
    image = f'<img class="figura" src="../figuras/{name}" alt="{alt}" width="{width}" height="{height}" loading="lazy">'
    return output | {"data": {"text/html": image}, "metadata": {}}


def reach_table(output: dict) -> dict:
    """Una salida cuyas tablas, que pueden no caber a lo ancho, se desplazan también con el teclado."""
    page = "".join(output.get("data", {}).get("text/html", ""))
    if "<table" not in page:
        return output
    return output | {"data": output["data"] | {"text/html": page.replace("<table", '<table tabindex="0"')}}


def where_to_try(lesson: Lesson) -> str:
    """Debajo de cada ejercicio: dónde se hace. La comprobación y las pistas son Python, y aquí no lo hay."""
    return (
        '<p class="donde">Se escribe y se comprueba con Python, que es quien da las pistas: '
        f'<a href="{paths.colab(lesson.notebook, lesson.root)}">ábrelo en Colab</a> o, en tu equipo, con '
        "<code>make lab</code>.</p>"
    )


def summary_card(lesson: Lesson, built_slides: set[str]) -> str:
    """La ficha de la página: cuánto dura, dónde se abre, ejercicios, laboratorio y diapositivas."""
    session, root = lesson.session, lesson.root
    solved = f"{paths.github(root)}/blob/main/notebooks/soluciones/{lesson.notebook.removeprefix('notebooks/')}"
    tour = f"?recorrido={session.code}" if session.code in WITH_TOUR else ""
    duration = session.deep.duration if lesson.deep else session.duration
    parts = [
        f'<p class="acciones"><a class="boton" href="{paths.colab(lesson.notebook, root)}">Abrir en Colab</a>\n'
        f'<a class="boton secundario" href="../lab/index.html{tour}">Probar en el laboratorio</a></p>',
        f"<dl>\n<dt>Duración</dt><dd>{duration}</dd>",
        f"<dt>Ejercicios</dt><dd>{exercise_links(lesson)}</dd>",
    ]
    if lesson.deep:
        parts.append(
            f'<dt>La sesión</dt><dd><a href="../sesiones/{session.stem}.html">{html.escape(session.heading)}</a></dd>'
        )
    elif session.deep:
        parts.append(
            f'<dt>Para ir más lejos</dt><dd><a href="../profundiza/{session.stem}.html">Profundiza: '
            f"{inline(session.deep.title)}</a></dd>"
        )
    parts.append(
        f'<dt>El cuaderno</dt><dd><a href="{paths.github(root)}/blob/main/{lesson.notebook}">en GitHub</a> · '
        f'<a href="{solved}">resuelto</a></dd>\n</dl>'
    )
    if not lesson.deep:
        parts.append(slides_box(session, built_slides))
    body = "\n".join(parts)
    return f'<aside class="ficha" aria-label="Ficha de la sesión">\n{body}\n</aside>'


def way_on(lesson: Lesson) -> str:
    """Al acabar: de una sesión, a lo que la profundiza; de lo que la profundiza, a la sesión siguiente."""
    session, following = lesson.session, lesson.following
    if lesson.deep and following:
        where, text = f"../sesiones/{following.stem}.html", f"La sesión siguiente: {inline(following.heading)}"
    elif session.deep and not lesson.deep:
        where, text = f"../profundiza/{session.stem}.html", f"Para ir más lejos: {inline(session.deep.title)}"
    else:
        return ""
    return f'<a class="boton secundario" href="{where}">{text}</a>'


def exercise_links(lesson: Lesson) -> str:
    found = [
        f'<a href="#ejercicio-{e.number.lower().replace(".", "-")}" title="{html.escape(lesson.trains[e.number])}">'
        f"{e.number}</a> {inline(lesson.trains[e.number])}"
        for e in lesson.exercises
    ]
    return "<br>".join(found) or "ninguno: es para leer y mirar"


def inline(text: str) -> str:
    """El poco Markdown que llevan los títulos: cursiva y código."""
    text = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", html.escape(text))
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def slides_box(session: pages.Session, built: set[str]) -> str:
    """Las diapositivas, que no se cargan hasta que se abren; si no están hechas, se dice."""
    if session.stem not in built:
        return (
            '<p class="nota">Las diapositivas no están en esta copia del sitio: las hace <code>make slides</code>.</p>'
        )
    where, title = f"../diapositivas/{session.stem}", re.sub("[`*]", "", session.heading)
    return (
        f'<details class="diapositivas"><summary>Ver las diapositivas</summary>\n<iframe src="{where}.html" '
        f'loading="lazy" title="Diapositivas: {html.escape(title)}"></iframe>\n</details>\n'
        f'<p class="acciones"><a href="{where}.html">A pantalla completa</a> · <a href="{where}.pdf">En PDF</a></p>'
    )
