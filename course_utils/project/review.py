"""Revisa un trabajo final: criterio a criterio de la rúbrica, qué hay, qué falta y qué solo puede juzgar una persona.

No pone nota y no ejecuta nada del cuaderno, salvo que se le pida repetirlo.
"""

from __future__ import annotations

from collections.abc import Sequence

from .looks import NO, PERSON, YES, Look
from .reading import Book
from .rules_numbers import data_rules, decoding_rules, measure_rules
from .rules_words import honesty_rules, presentation_rules, reading_rules

RULES = {
    "Datos": data_rules,
    "Decodificación": decoding_rules,
    "Medida": measure_rules,
    "Lectura": reading_rules,
    "Honradez": honesty_rules,
    "Presentación": presentation_rules,
}


def review(book: Book) -> list[Look]:
    """Todo lo que se mira, en el orden de la rúbrica.

    Parameters
    ----------
    book : Book
        Un cuaderno, de ``reading.read``.

    Notes
    -----
    Se usa en el trabajo final.
    """
    return [look for rules in RULES.values() for look in rules(book)]


def missing(looks: Sequence[Look]) -> list[Look]:
    """Lo que falta."""
    return [look for look in looks if look.mark == NO]


def render(looks: Sequence[Look]) -> str:
    """La revisión como texto: por criterio y, al final, la cuenta. Nunca una nota."""
    lines = []
    for criterion in RULES:
        lines.append(f"── {criterion} ──")
        for look in looks:
            if look.criterion == criterion:
                lines.append(f"{look.mark} {look.text}")
                lines += [f"   → {look.remedy}"] if look.remedy else []
    counts = {mark: sum(look.mark == mark for look in looks) for mark in (YES, NO, PERSON)}
    end = f"Está: {counts[YES]}. Falta: {counts[NO]}. Lo juzga una persona: {counts[PERSON]}."
    return "\n".join([*lines, "", f"{end} La nota no la pone un programa."])
