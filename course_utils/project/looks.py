"""Lo que dice la revisión de cada cosa que mira: está, falta o lo juzga una persona."""

from __future__ import annotations

from dataclasses import dataclass

from .evidence import PENDING

YES, NO, PERSON = "✅", "❌", "👁"


@dataclass(frozen=True)
class Look:
    """Una cosa que se mira: su criterio, si está (✅), falta (❌) o la juzga una persona (👁), y qué hacer."""

    criterion: str
    mark: str
    text: str
    remedy: str = ""


def look(criterion: str, good: bool, yes: str, no: str, remedy: str) -> Look:
    """Lo que está, con ``yes``; lo que falta, con ``no`` y su remedio."""
    return Look(criterion, YES, yes) if good else Look(criterion, NO, no, remedy)


def is_written(value) -> bool:
    """Si es un texto y no un hueco de la plantilla."""
    return isinstance(value, str) and bool(value.strip()) and not value.strip().startswith((PENDING, "…", "..."))


def short(value, width: int = 90) -> str:
    """En una línea, y no muy larga."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else f"{text[:width]}…"


def comma(value: float, digits: int = 2) -> str:
    """Un número con coma decimal, sin cargar lo que dibuja."""
    return f"{value:.{digits}f}".replace(".", ",")
