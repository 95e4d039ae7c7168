"""Figuras de la sesión 06: las del cuaderno, con lo medido y guardado."""

from functools import cache

import matplotlib.pyplot as plt

from course_utils import drawing
from course_utils.illustrations import session_06

from . import cells

SETUP = (
    *("importar", "datos", "muestra", "suelos", "suelos-medidos", "pliegues", "pliegues-medidos", "lstm-de-cero"),
    *("codificador", "vectores", "congelado", "congelado-medido", "llm-guardado", "llm-medido", "los-seis-medidos"),
    *("escalera", "vecinos", "curva-dibujo", "dificultad-dibujo"),
)


@cache
def _setup() -> dict:
    """Lo que el cuaderno tiene a mano después de esas celdas."""
    return cells.prepared("06", *SETUP)


def _drawn(name: str):
    cells.run("06", [name], dict(_setup()))
    return plt.gcf()


def portada():
    """De fichas a un vector, sobre el azul de la portada."""
    cells.run("06", ["media-dibujo"], dict(_setup()))
    return drawing.night(plt.gca())


def apuesta():
    """Los seis, antes de saber nada."""
    return session_06.cover()


def pesos():
    """Lo que ha aprendido la bolsa."""
    return _drawn("pesos-dibujo")


def media():
    """De fichas a un vector."""
    return _drawn("media-dibujo")


def palabras():
    """Lo que espera el LLM detrás de una reseña."""
    return _drawn("llm-dibujo")


def escalera():
    """Los seis, medidos."""
    return _drawn("escalera")


def vecinos():
    """Cada peldaño, comparado con el anterior."""
    return _drawn("vecinos")


def curva():
    """La curva de aprendizaje."""
    return _drawn("curva-dibujo")


def dificultad():
    """Aciertos por dificultad."""
    return _drawn("dificultad-dibujo")
