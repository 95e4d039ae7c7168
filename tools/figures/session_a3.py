"""Figuras de la sesión A3: las del cuaderno, con los pesos incluidos. Solo «aprender» entrena, y una vez."""

import matplotlib.pyplot as plt

from course_utils import drawing, illustrations
from course_utils.illustrations import session_a3

from . import cells

SETUP = [
    "bytes",
    "entrenar-bpe",
    "codificar",
    "mismos-ids",
    "pesos",
    "vecinos",
    "pieza-atencion",
    "pieza-bloque",
    "pieza-gpt",
    "contar-lineas",
    "cargar",
    "escribir",
]


def _drawn(*names: str) -> plt.Figure:
    """La figura de la última de esas celdas, con lo que el cuaderno tiene a mano antes."""
    cells.run("A3", list(names), cells.prepared("A3", "importar", *SETUP))
    return plt.gcf()


def portada():
    """La apuesta, sobre el azul de la portada."""
    return drawing.night(session_a3.cover())


def apuesta():
    """Un programa y unos pesos: ¿cuántas líneas, y qué parte es atención?"""
    return session_a3.cover()


def uniones():
    """El trabalenguas, con 0, 2, 5 y 12 uniones."""
    return _drawn("uniones-dibujo")


def puestos():
    """Cuánto se parecen los vectores de los puestos."""
    return _drawn("puestos-dibujo")


def torre():
    """Una capa del GPT, de cerca: entera, la torre no se lee en una pantalla apaisada."""
    ax = illustrations.tower()
    low, high = 1.55, 5.55
    for text in list(ax.texts):
        if not low < text.get_position()[1] < high:
            text.remove()
    ax.plot([1.6, 1.6], [low, high - 0.3], color=drawing.GREY, lw=5, zorder=0.5)
    drawing.arrow(ax, (1.6, high - 0.35), (1.6, high), color=drawing.GREY, width=5)
    ax.set_ylim(low, high + 0.05)
    ax.figure.set_size_inches(6.6, high - low)
    return ax


def lente():
    """El token favorito tras cada capa."""
    return _drawn("lente-dibujo")


def parametros():
    """En qué se gastan los números."""
    return _drawn("parametros-dibujo")


def sin_piezas():
    """La pérdida sin cada pieza."""
    return _drawn("sin-piezas", "sin-piezas-dibujo")


def aprender():
    """La pérdida de un GPT pequeño que aprende con chistes."""
    return _drawn("preparar-chistes", "entrenar-gpt", "aprender", "aprender-dibujo")


def giros():
    """Lo que puntúa la misma palabra en 64 puestos, con tabla y con RoPE."""
    return _drawn("rope", "puestos-y-giros-dibujo")


def gqa():
    """Ocho cabezas que guardan, y ocho que comparten."""
    return illustrations.shared_heads(8, 2)
