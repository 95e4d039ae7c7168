"""Figuras de la sesión 08: las del cuaderno. Lo de Gemma está guardado; lo del mini se ejecuta una vez."""

import matplotlib.pyplot as plt

from course_utils import drawing
from course_utils.illustrations import session_08

from . import cells

SETUP = [
    "plantillas",
    "margenes",
    "intervalos-dibujo",
    "calibrar",
    "sin-mascara",
    "permitidos-dibujo",
    "tachado-dibujo",
    "turnos-dibujo",
    "cuentas",
    "buscar-bm25",
    "preguntas",
]


def _drawn(cell: str):
    """La figura de una celda del cuaderno, con lo que las de antes dejaron a mano."""
    names = cells.prepared("08", "importar", *SETUP)
    cells.run("08", [cell], names)
    return plt.gcf()


def portada():
    """Prompt, modelo, respuestas y medida, sobre el azul de la portada."""
    return drawing.night(session_08.cover())


def intervalos():
    """Aciertos de cada prompt, con su intervalo."""
    return _drawn("intervalos-dibujo")


def mania():
    """Cuántas veces dice «positiva», tal cual y calibrado."""
    return _drawn("mania-dibujo")


def parejas():
    """Diferencia con el primero, por parejas."""
    return _drawn("parejas-dibujo")


def permitidos():
    """Qué quería escribir el modelo, y qué le dejan."""
    return _drawn("permitidos-dibujo")


def tachado():
    """Cuánta probabilidad tacha la máscara en cada paso."""
    return _drawn("tachado-dibujo")


def turnos():
    """El modelo pide, Python calcula."""
    return _drawn("turnos-dibujo")


def cuentas():
    """Aciertos, según el problema y la manera de pedirlo."""
    return _drawn("cuentas-dibujo")


def buscar():
    """Una pregunta y lo que encuentra."""
    return _drawn("buscar-dibujo")


def preguntas():
    """Qué hace con las que tienen respuesta y con las que no."""
    return _drawn("preguntas-dibujo")


def intruso():
    """La orden escondida."""
    return _drawn("intruso-dibujo")
