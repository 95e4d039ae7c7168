"""De un cuestionario (JSON de jupyterquiz), un formulario que se contesta en la página, sin Python.

Todo está en el HTML, también lo que se dice de cada respuesta, escondido; ``docs/_static/cuestionario.js`` lo enseña.
"""

from __future__ import annotations

import html
import json
from pathlib import Path

KINDS = {"multiple_choice": ("radio", ""), "many_choice": ("checkbox", " (varias respuestas)")}


def plain(text: str) -> str:
    """Un texto de jupyterquiz, que es HTML, escapado una sola vez."""
    return html.escape(" ".join(html.unescape(text).split()))


def quiz_form(path: Path, title: str) -> str:
    """El formulario de un cuestionario, sin líneas en blanco, para meterlo en Markdown.

    Raises
    ------
    ValueError
        Si el archivo no es un cuestionario que se sepa escribir.
    """
    try:
        questions = json.loads(path.read_text(encoding="utf-8"))
        asked = [question_fields(one, f"{path.stem}-{number}") for number, one in enumerate(questions, 1)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"el cuestionario {path.name} no se puede poner en el sitio: {error!r}.") from None
    return (
        f'<form class="cuestionario" aria-label="{html.escape(title)}">\n{"".join(asked)}'
        '<p class="marcador" role="status"></p>\n'
        "<noscript><p>Para contestar aquí hace falta JavaScript. Las preguntas y sus respuestas están escritas al "
        "final de la página.</p></noscript>\n</form>"
    )


def question_fields(question: dict, name: str) -> str:
    """Una pregunta: sus respuestas, cada una con lo que se dice si se elige, y el botón que las comprueba."""
    kind, hint = KINDS[question["type"]]
    answers = "".join(
        f'<li><label><input type="{kind}" name="{name}" value="{number}" '
        f'data-correcta="{"sí" if answer["correct"] else "no"}"> <span>{plain(answer["answer"])}</span></label>\n'
        f'<p class="explicacion" hidden>{"✅" if answer["correct"] else "❌"} {plain(answer["feedback"])}</p></li>\n'
        for number, answer in enumerate(question["answers"])
    )
    return (
        f"<fieldset>\n<legend>{plain(question['question'])}{hint}</legend>\n<ul>\n{answers}</ul>\n"
        '<button type="submit" hidden>Comprobar</button>\n<div class="respuesta" role="status"></div>\n</fieldset>\n'
    )
