"""Figuras de la sesión A1: las del cuaderno, dibujadas con sus mismas celdas."""

import matplotlib.pyplot as plt

from course_utils import drawing
from course_utils.illustrations import session_a1

from . import cells

SETUP = ["modelos", "rnn-a-mano", "hacia-atras", "medir-el-olvido", "leer-dos-veces"]


def _setup() -> dict:
    """Lo que el cuaderno tiene a mano después de esas celdas."""
    return cells.prepared("A1", "importar", *SETUP)


def _cell(*names: str) -> plt.Figure:
    """Lo que dibuja la última de esas celdas, tras las de preparar."""
    cells.run("A1", list(names), _setup())
    return plt.gcf()


def portada():
    """El mismo párrafo dos veces, sobre el azul de la portada."""
    return drawing.night(session_a1.cover())


def apuesta():
    """El mismo párrafo dos veces."""
    return session_a1.cover()


def mochila():
    """La misma red en cada paso y un estado que no crece."""
    return _cell("mochila-dibujo")


def olvido():
    """El gradiente según la distancia, en una RNN."""
    return _cell("olvido-dibujo")


def cinta():
    """Una LSTM por dentro."""
    return session_a1.conveyor(forget=0.98, write=0.02, show=0.5)


def olvido_lstm():
    """El gradiente según la distancia, en una LSTM."""
    return _cell("olvido-dibujo", "olvido-lstm-dibujo")


def memoria():
    """Lo que guarda cada modelo según lo leído."""
    return _cell("memoria-dibujo")


def segun_lo_leido():
    """Bits por carácter según los tokens leídos."""
    return _cell("segun-lo-leido-dibujo")


def dos_veces():
    """Lo que ahorra cada modelo la segunda vez."""
    return _cell("dos-veces-dibujo")
