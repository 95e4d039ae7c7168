"""Las páginas: una por estudiante, con lo resuelto y la primera pista de lo que no, y el informe de quien corrige."""

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
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .35rem .6rem; vertical-align: top;
border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent) }
article { border-left: .25rem solid #0072b2; padding: .1rem 1rem; margin: 1rem 0 }
article.resuelto { border-color: #009e73 } article.cortado, article.falta { border-color: #d55e00 }
code { overflow-wrap: anywhere } .scroll { overflow-x: auto } p, li, td { overflow-wrap: anywhere }
"""
_SAID = {
    "resuelto": "resuelto",
    "a medias": "a medias",
    "sin resolver": "sin resolver",
    "pendiente": "pendiente: está el hueco tal como venía",
    "falta": "no está en lo que entregaste",
    "cortado": "no se pudo acabar de comprobar",
}


def feedback(result: Result, exercises: Sequence[Exercise], notes: Sequence[str]) -> str:
    """La página de una persona."""
    mine = [e for e in exercises if e.session in result.sessions or e.number in result.verdicts]
    parts = [f"<h1>{_text(result.student)}</h1>"]
    if mine:
        parts.append(f"<p>{_summary(result, mine)}</p>")
    parts += [_exercise(e, result.verdicts.get(e.number, MISSING)) for e in mine]
    if notes:
        parts += ["<h2>Avisos</h2>", "<ul>", *(f"<li>{_text(note)}</li>" for note in notes), "</ul>"]
    parts.append(
        "<p>Se ha corregido ejecutando tu función otra vez, y no con lo que imprimía tu cuaderno. La pista es la "
        "primera de la comprobación: ejecuta la celda en tu cuaderno y te dará las demás.</p>"
    )
    return _page(f"Corrección: {result.student}", parts)


def _summary(result: Result, mine: Sequence[Exercise]) -> str:
    solved = sum(result.verdicts.get(e.number, MISSING).kind == "resuelto" for e in mine)
    text = f"{solved} de {len(mine)} ejercicios resueltos"
    best = most(mine)
    text += f", {total(result, mine)} puntos de {best}." if best else ". Son optativos: no cuentan en la nota."
    return text


def _exercise(exercise: Exercise, verdict) -> str:
    mark = "✅" if verdict.kind == "resuelto" else "⏳" if verdict.kind in ("pendiente", "falta") else "❌"
    head = f"{mark} Ejercicio {exercise.number}, <code>{_text(exercise.function)}</code>: {_SAID[verdict.kind]}"
    lines = [f"<h2>{head}. {verdict.points} de {POINTS}</h2>"]
    if verdict.asked:
        lines.append(
            f"<p>Cumple {verdict.passed} de {verdict.rules} reglas. La siguiente pide: {_text(verdict.asked)}.</p>"
        )
    if verdict.received:
        lines.append(f"<p>He recibido: {_text(verdict.received)}</p>")
    if verdict.hint:
        lines.append(f"<p><strong>Pista:</strong> {_text(verdict.hint)}</p>")
    lines += [f"<p>Al ejecutar tu celda: <code>{_text(problem)}</code></p>" for problem in verdict.problems[:3]]
    return f'<article class="{verdict.kind.replace(" ", "-")}">{"".join(lines)}</article>'


def report(results, exercises, notes: Mapping[str, Sequence[str]], alike: Sequence[Pair], isolation: str) -> str:
    """El informe de quien corrige: cómo se corrigió, las notas, los avisos y lo que se parece, como hechos."""
    best = most(exercises)
    parts = ["<h1>Corrección</h1>", f"<p>{_text(isolation)}</p>"]
    rows = [
        f"<tr><td>{_text(r.student)}</td><td>{total(r, exercises)} de {best}</td>"
        f"<td>{'<br>'.join(map(_text, notes[r.student]))}</td></tr>"
        for r in results
    ]
    head = "<tr><th>Estudiante</th><th>Total</th><th>Avisos</th></tr>"
    parts.append(f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>')
    parts.append("<h2>Respuestas que se parecen</h2>")
    parts.append(
        "<p>Es un hecho y no una acusación: se comparan sin nombres, comentarios ni espacios, y quedan fuera las de "
        "una línea, el hueco y la solución publicada. Quienes trabajan en pareja también salen aquí. Pregunta.</p>"
    )
    lines = [
        f"<tr><td>{p.exercise}</td><td>{_text(p.first)}</td><td>{_text(p.second)}</td>"
        f"<td>{'iguales' if p.share == 1 else f'{100 * p.share:.0f} %'}</td></tr>"
        for p in alike
    ]
    head = "<tr><th>Ejercicio</th><th>Una</th><th>Otra</th><th>Se parecen</th></tr>"
    parts.append(f'<div class="scroll"><table>{head}{"".join(lines)}</table></div>' if lines else "<p>Ninguna.</p>")
    return _page("Corrección", parts)


def _page(title: str, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="es"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _text(value: str) -> str:
    return html.escape(str(value), quote=True)
