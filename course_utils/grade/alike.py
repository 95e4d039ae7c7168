"""Respuestas iguales o casi iguales, como hecho y no como acusación: a un mismo ejercicio corto se llega igual."""

from __future__ import annotations

import ast
import io
import itertools
import keyword
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .course import normal

LONGEST = 50_000  # letras; una respuesta así no es una respuesta
SHORTEST = 45  # piezas de código; con menos, coincidir no dice nada
NEAR = 0.85  # parte de los grupos de cinco piezas que comparten


@dataclass(frozen=True)
class Pair:
    """Dos personas, el ejercicio y cuánto se parecen: 1 es iguales, salvo nombres, comentarios y espacios."""

    exercise: str
    first: str
    second: str
    share: float


def pairs(exercise: str, answers: Mapping[str, str], known: Sequence[str], function: str) -> list[Pair]:
    """Las parejas que se parecen, de las respuestas a un ejercicio, por persona.

    Parameters
    ----------
    known : sequence of str
        El hueco y la solución publicada: quienes coinciden con ellos no cuentan, que eso se dice aparte.
    """
    published = {normal(code, function) for code in known}
    groups = {}
    for student, source in sorted(answers.items()):
        pieces = _pieces(source)
        if not trivial(source) and normal(source, function) not in published:
            groups[student] = normal(source, function), {tuple(pieces[i : i + 5]) for i in range(len(pieces) - 4)}
    found = []
    for (first, (one, a)), (second, (two, b)) in itertools.combinations(groups.items(), 2):
        share = 1.0 if one == two and one else min(len(a & b) / len(a | b), 0.99)
        if share >= NEAR:
            found.append(Pair(exercise, first, second, share))
    return found


def trivial(source: str) -> bool:
    """Si es tan corta que escribirla igual que otra persona, o que la solución, no dice nada."""
    return len(_pieces(source)) < SHORTEST or _single(source)


def _single(source: str) -> bool:
    """Si la función es una sola línea."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return False
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    real = [n for f in functions for n in f.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return len(functions) == 1 and len(real) <= 1


def _pieces(source: str) -> list[str]:
    """Las piezas del código, con los nombres propios en el orden en que aparecen."""
    if len(source) > LONGEST:
        return []
    names: dict[str, str] = {}
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    found, dotted = [], False
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in skipped:
                continue
            text = token.string
            if token.type == tokenize.NAME and not keyword.iskeyword(text) and not dotted:
                text = names.setdefault(text, f"n{len(names)}")
            found.append(text)
            dotted = token.string == "."
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return []
    return found
