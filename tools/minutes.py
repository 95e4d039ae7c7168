"""Cuántos minutos pide un cuaderno, contados en su fuente: lo que se lee, lo que se teclea y lo que se mira.

Los minutos de una sesión caben en su hora, y los que dice el cuaderno son estos. Solo pide la biblioteca estándar.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

END = "Recursos y artículos"
HIDDEN, PROOF = "hide-input", "verifica"
WORDS, LINE, EXERCISE, LOOK = 130, 0.12, 10, 0.75  # palabras por minuto; minutos por línea, ejercicio, y por mirar
_CELL = re.compile(r"^```\{code-cell\}.*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PICTURE = re.compile(r"\bplt\.show\(|\b(?:show_text|show_surprise|recordings\.show)\(")


@dataclass(frozen=True)
class Load:
    """Lo que pide un cuaderno: palabras, líneas de código a la vista, ejercicios, dibujos y preguntas."""

    words: int
    lines: int
    exercises: int
    pictures: int
    questions: int

    @property
    def minutes(self) -> float:
        looks = self.pictures + self.questions
        return self.words / WORDS + LINE * self.lines + EXERCISE * self.exercises + LOOK * looks

    def __str__(self) -> str:
        return f"{math.ceil(self.minutes)} minutos"


def measure(source: Path) -> Load:
    """Lo que pide la fuente de un cuaderno, tal como la ve quien estudia: sin soluciones y con lo plegado plegado.

    Raises
    ------
    ValueError
        Si nombra un cuestionario que no se puede leer.
    """
    text = source.read_text(encoding="utf-8")
    cells = [match[1] for match in _CELL.finditer(text)]
    prose = _CELL.sub("", text).partition(f"\n## {END}\n")[0].split("\n---\n", 1)[-1]  # sin la cabecera de jupytext
    quizzes = re.findall(r"<!-- cuestionario: (\w+) -->", text)
    code = [cell for cell in cells if PROOF not in _tags(cell)]
    seen = [_as_seen(cell) for cell in code if HIDDEN not in _tags(cell)]
    return Load(
        words=_words(prose),
        lines=sum(len(lines) for lines in seen),
        exercises=sum("# <solución>" in cell for cell in code),
        pictures=sum(bool(_PICTURE.search(cell)) for cell in code) + len(re.findall(r"!\[[^\]]+\]\((?!http)", prose)),
        questions=sum(_questions(source, name) for name in quizzes),
    )


def _tags(cell: str) -> list[str]:
    found = re.search(r"^:tags: \[(.*)\]$", cell, re.MULTILINE)
    return re.split(r",\s*", found[1]) if found else []


def _as_seen(cell: str) -> list[str]:
    """Las líneas de una celda que no están en blanco; de un ejercicio, el hueco y no la solución."""

    def stub(block: re.Match) -> str:
        return "\n".join(re.findall(r"^\s*#\| stub: ?(.*)$", block[1], re.MULTILINE) or ["# Escribe", "..."]) + "\n"

    body = re.sub(r"^[ \t]*# <solución>\n(.*?)^[ \t]*# </solución>\n", stub, cell, flags=re.DOTALL | re.MULTILINE)
    return [line for line in body.split("\n") if line.strip() and not re.match(r":\w+: |\s*# alt: ", line)]


def _words(prose: str) -> int:
    prose = re.sub(r"<!--.*?-->|^\+\+\+[^\n]*$", "", prose, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    return sum(bool(re.search(r"\w", word)) for word in prose.split())


def _questions(source: Path, name: str) -> int:
    folder = next(parent for parent in source.parents if parent.name == "fuente").parent
    try:
        return len(json.loads((folder / "quizzes" / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise ValueError(f"{source.name}: no se puede leer el cuestionario «{name}», en quizzes/.") from None
