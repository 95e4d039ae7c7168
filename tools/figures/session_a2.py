"""Figuras de la sesión A2: las del cuaderno. Las que enseñan un mapa estudian la red una vez."""

import matplotlib.pyplot as plt

from course_utils import drawing, illustrations
from course_utils.illustrations import session_a2

from . import cells

SETUP = [
    "fabrica",
    "traductor",
    "entrenar",
    "sin-atencion",
    "sin-atencion-escribe",
    "atencion-bahdanau",
    "con-atencion",
]


def _setup() -> dict:
    """Lo que el cuaderno tiene a mano después de esas celdas."""
    return cells.prepared("A2", "importar", *SETUP)


def portada():
    """Todo por un resumen, sobre el azul de la portada."""
    return drawing.night(session_a2.cover())


def apuesta():
    """Todo por un resumen."""
    return session_a2.cover()


def mirar():
    """Antes de escribir el mes, se mira «mayo»."""
    return illustrations.looking_back([0.03, 0.01, 0.9, 0.01, 0.02, 0.02, 0.01])


def letras():
    """Cuánto acierta la red del resumen en cada letra."""
    cells.run("A2", ["letra-a-letra"], _setup())
    return plt.gcf()


def mapa():
    """Qué palabra miraba la red al escribir cada letra, en una frase corta: se lee desde la última fila."""
    names, text = _setup(), "el jueves tres de mayo de mil seiscientos cinco"
    written, maps = names["write"](names["bahdanau"], text)
    return session_a2.alignment([weights[0].tolist() for weights in maps], text.split(), written)


def miradas():
    """Quién mira a quién en el Transformer."""
    cells.run("A2", ["tres-atenciones"], _setup())
    return plt.gcf()


def longitud():
    """Aciertos según lo larga que es la frase, con tres semillas."""
    cells.run("A2", ["que-acierta-el-resumen", "por-longitud-dibujo"], _setup())
    return plt.gcf()
