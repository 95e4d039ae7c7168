"""Figuras de la sesión 02: las del cuaderno, dibujadas con sus mismas celdas."""

import matplotlib.pyplot as plt

from course_utils import drawing, plots
from course_utils.drawing import number, percent
from course_utils.illustrations import session_02

from . import cells

SETUP = ["cargar-modelo", "prediccion-por-posicion", "softmax", "candidatas-dibujo", "bucle-dibujo"]


def _setup() -> dict:
    """Lo que el cuaderno tiene a mano después de esas celdas."""
    return cells.prepared("02", "importar", *SETUP)


def _cell(*names: str) -> plt.Figure:
    """Lo que dibuja la última de esas celdas, tras las de preparar."""
    cells.run("02", list(names), _setup())
    return plt.gcf()


def portada():
    """Los doscientos tokens que faltan, sobre el azul de la portada."""
    return drawing.night(session_02.bet())


def disco():
    """El disco rayado: en lo que acaba la búsqueda voraz."""
    return session_02.cover()


def logits():
    """Una fila de logits por posición."""
    return _cell("prediccion-por-posicion")


def candidatas():
    """Las diez candidatas tras «Había una vez»."""
    return _cell("candidatas-dibujo")


def bucle():
    """La segunda vuelta del bucle: entra lo que se escribió en la primera."""
    found = _setup()
    return session_02.loop_frames(found["shown"], found["first"].choices(found["tokenizer"])[:2], first=2)


def eco():
    """Lo que ya ha salido es más probable."""
    return _cell("eco-dibujo")


def variedad():
    """Cuánto se repiten los textos voraces, los muestreados y una novela."""
    return _cell("voraz-se-repite", "muestreo-varia")


def temperatura():
    """Las seis candidatas a tres temperaturas, con la misma escala."""
    found = cells.run("02", ["temperatura-dibujo"], _setup())
    plt.close("all")
    six, names = found["six"], found["names"]
    fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained", sharey=True)
    for ax, (t, p) in zip(axes, six.items(), strict=True):
        title = f"τ = {number(t)}: {percent(sum(p), 0)} entre las seis"
        bars = dict(zip(names, p, strict=False))
        plots.plot_distribution(bars, xmax=six[0.5][0], highlight=names[0], title=title, ax=ax)
        ax.set(xlabel="", xticks=[], xlim=(0, 1.6 * six[0.5][0]))
    axes[0].set_ylim(5.6, -0.6)
    return fig


def fin():
    """El texto crece hasta que sale el final de párrafo."""
    return _cell("parar-en-salto-de-linea")


def cache_vinetas():
    """La caché en seis viñetas."""
    return _cell("cache-vinetas")


def cache_cuenta():
    """Los tokens que pasan por el modelo, con caché y sin ella."""
    return _cell("ahorro-contado")
