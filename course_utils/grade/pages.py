"""Las páginas: una por estudiante, con lo resuelto y la primera pista de lo que no, y el informe de quien corrige.

No cargan nada de fuera, se leen con el fondo claro u oscuro, y el estado de cada ejercicio se dice con palabras.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from .alike import Pair
from .course import Exercise
from .results import MISSING, Result
from .tables import POINTS, most, total

_STYLE = """\
:root { color-scheme: light dark }
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
body.informe { max-width: 64rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2rem } h3 { font-size: 1.05rem; margin: .5rem 0 }
h1, h2, h3 { line-height: 1.3 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .35rem .6rem; vertical-align: top;
border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent) }
.n { white-space: nowrap } td:last-child { min-width: 14rem } .cuentas td:last-child { min-width: 0 }
article { border-left: .3rem solid #0072b2; padding: .1rem 1rem; margin: 1rem 0 }
article.resuelto { border-color: #009e73 } article.cortado, article.sin-resolver { border-color: #d55e00 }
article.falta, article.pendiente { border-color: #888 }
h1, h2, h3, p, li, td, code { overflow-wrap: anywhere } .scroll { overflow-x: auto }
"""
_SAID = {
    "resuelto": "Resuelto",
    "a medias": "A medias",
    "sin resolver": "Sin resolver todavía",
    "pendiente": "Pendiente: el hueco está tal como venía",
    "falta": "Su celda no está en lo que entregaste",
    "cortado": "No se pudo acabar de comprobar",
}
_TODO = {
    "pendiente": "Escribe tu respuesta en su celda; la comprobación que va debajo te dirá si vas bien.",
    "falta": "Quizá se borró sin querer: cópiala del cuaderno del curso, con su comprobación.",
}
_HOW = "Se ha corregido ejecutando tu función otra vez, y no con lo que imprimía tu cuaderno."
_HINTS = "La pista es la primera de la comprobación: ejecuta su celda en tu cuaderno y te dará las demás."
_NOTHING = (
    "No se ha podido corregir nada de esta entrega. No quiere decir que esté mal: quiere decir que no se ha encontrado "
    "ninguna respuesta. Debajo se dice por qué."
)
_AGAIN = (
    "Qué puedes hacer: abre tu cuaderno en Jupyter o en Colab, mira que estén tus respuestas, guárdalo como archivo "
    ".ipynb y entrégalo otra vez. Si lo ves bien y no entiendes qué pasa, pregunta."
)


# ---------------------------------------------------------------- quien estudia
def feedback(result: Result, exercises: Sequence[Exercise], notes: Sequence[str]) -> str:
    """La página de una persona."""
    mine = [e for e in exercises if e.notebook in result.books or e.number in result.verdicts]
    verdicts = {e.number: result.verdicts.get(e.number, MISSING) for e in mine}
    parts = [f"<h1>{_text(result.student)}</h1>", f"<p>{_summary(result, mine, verdicts) if mine else _NOTHING}</p>"]
    for book in dict.fromkeys(e.notebook for e in mine):
        parts.append(f"<h2>{_text(book)}.ipynb</h2>")
        parts += [_exercise(e, verdicts[e.number]) for e in mine if e.notebook == book]
    if notes:
        parts += ["<h2>Avisos</h2>", "<ul>", *(f"<li>{_text(note)}</li>" for note in notes), "</ul>"]
    hints = any(verdict.hint and verdict.asked for verdict in verdicts.values())
    parts.append(f"<p>{_HOW} {_HINTS if hints else ''}</p>" if mine else f"<p>{_AGAIN}</p>")
    return _page(f"Corrección: {result.student}", parts)


def _summary(result: Result, mine: Sequence[Exercise], verdicts: Mapping) -> str:
    solved, best = sum(verdict.kind == "resuelto" for verdict in verdicts.values()), most(mine)
    text = f"{solved} de {len(mine)} ejercicios resueltos" if len(mine) > 1 else f"{solved} de 1 ejercicio resuelto"
    text += f", {total(result, mine)} puntos de {best}." if best else ". Son optativos: no cuentan en la nota."
    return text + " ¡Enhorabuena!" * (solved == len(mine))


def _exercise(exercise: Exercise, verdict) -> str:
    head = f"Ejercicio {exercise.number}, <code>{_text(exercise.function)}</code>"
    lines = [f"<h3>{head}</h3>", f"<p><strong>{_SAID[verdict.kind]}.</strong> {verdict.points} de {POINTS} puntos.</p>"]
    if verdict.asked:
        asked = _text(_ended(verdict.asked))
        lines.append(f"<p>Cumple {verdict.passed} de {verdict.rules} reglas. La siguiente pide: {asked}</p>")
    if verdict.received:
        said = f"Se ha recibido: {verdict.received}" if verdict.asked else f"Qué ha pasado: {_ended(verdict.received)}"
        lines.append(f"<p>{_text(said)}</p>")
    if hint := verdict.hint or _TODO.get(verdict.kind):
        lines.append(f"<p><strong>Pista:</strong> {_text(hint)}</p>" if verdict.hint else f"<p>{hint}</p>")
    lines += [f"<p>Al ejecutar tu celda: <code>{_text(problem)}</code></p>" for problem in verdict.problems[:3]]
    return f'<article class="{verdict.kind.replace(" ", "-")}">{"".join(lines)}</article>'


def _ended(text: str) -> str:
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


# ---------------------------------------------------------------- quien corrige
def report(
    results: Sequence[Result],
    exercises: Sequence[Exercise],
    notes: Mapping[str, Sequence[str]],
    alike: Sequence[Pair],
    isolation: str,
    links: Mapping[str, str],
) -> str:
    """El informe de quien corrige: cómo se corrigió, las notas, los avisos y lo que se parece, como hechos.

    Parameters
    ----------
    links : mapping of str to str
        La página de cada persona.
    """
    best = most(exercises)
    parts = ["<h1>Corrección</h1>", f"<p>{_text(isolation)}</p>", "<h2>Personas</h2>"]
    parts.append(f"<p>El total es sobre {best}: los puntos de los cuadernos que ha entregado alguien.</p>")
    rows = []
    for r in results:
        mine = f"{total(r, exercises)} de {best}" if r.verdicts else "sin corregir"
        name = f'<a href="{_text(links[r.student])}">{_text(r.student)}</a>'
        rows.append(f'<td>{name}</td><td class="n">{mine}</td><td>{"<br>".join(map(_text, notes[r.student]))}</td>')
    parts.append(_table("Personas", ("Estudiante", "Total", "Avisos"), rows))
    parts += ["<h2>Ejercicios</h2>", "<p>A cuántas personas les ha salido, de las que entregaron su cuaderno.</p>"]
    counts = [_counts(e, results) for e in exercises]
    parts.append(_table("Ejercicios", ("Ejercicio", "Cuaderno", *_COUNTED), counts, "scroll cuentas"))
    parts.append("<h2>Respuestas que se parecen</h2>")
    parts.append(
        "<p>Es un hecho y no una acusación: se comparan sin nombres, comentarios ni espacios, y quedan fuera las de "
        "una línea, el hueco y la solución publicada. Quienes trabajan en pareja también salen aquí. Pregunta.</p>"
    )
    lines = [
        f"<td>{p.exercise}</td><td>{_text(p.first)}</td><td>{_text(p.second)}</td>"
        f"<td>{'iguales' if p.share == 1 else f'{100 * p.share:.0f} %'}</td>"
        for p in alike
    ]
    parts.append(_table("Parejas", ("Ejercicio", "Una", "Otra", "Se parecen"), lines) if lines else "<p>Ninguna.</p>")
    return _page("Corrección", parts, "informe")


_COUNTED = {"Resuelto": ("resuelto",), "A medias": ("a medias",), "Sin resolver": ("sin resolver", "cortado")}
_COUNTED |= {"Pendiente": ("pendiente",), "Falta": ("falta",)}


def _counts(exercise: Exercise, results: Sequence[Result]) -> str:
    """Una fila: de quienes entregaron el cuaderno, cuántas personas en cada estado."""
    kinds = [r.verdicts.get(exercise.number, MISSING).kind for r in results if exercise.notebook in r.books]
    cells = [str(sum(kind in wanted for kind in kinds)) for wanted in _COUNTED.values()]
    name = f"{exercise.notebook} ({len(kinds)})"
    return f"<td>{exercise.number}</td><td>{_text(name)}</td><td>{'</td><td>'.join(cells)}</td>"


def _table(label: str, head: Sequence[str], rows: Sequence[str], kind: str = "scroll") -> str:
    """Una tabla; lo ancho se desplaza dentro, y con el teclado también."""
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    reached = f'role="region" aria-label="{label}" tabindex="0"'
    return f'<div class="{kind}" {reached}><table><tr>{names}</tr>{lines}</table></div>'


def _page(title: str, parts: Sequence[str], kind: str = "persona") -> str:
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="es"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<style>{_STYLE}</style></head>\n<body class="{kind}"><main>\n{body}\n</main></body></html>\n'
    )


def _text(value: str) -> str:
    return html.escape(str(value), quote=True)
