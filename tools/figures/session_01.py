"""Figuras de la sesión 01: las del cuaderno, dibujadas por sus mismas celdas, y las que solo necesita la clase."""

import warnings

import matplotlib.pyplot as plt
import torch

from course_utils import drawing, illustrations, plots
from course_utils.attention import capture_attention, causal_mask
from course_utils.drawing import arrow, box, canvas, label

from . import cells

BASE = ["importar", "cargar-modelos", "viaje-de-un-token"]


def _notebook() -> dict:
    """Lo que el cuaderno tiene a mano después de cargar los modelos."""
    return cells.prepared("01", *BASE)


def _drawn(*names: str) -> plt.Figure:
    """La figura que dibuja la última de esas celdas, ejecutadas seguidas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
        cells.run("01", list(names), _notebook())
    return plt.gcf()


def portada():
    """La frase con una palabra cambiada, sobre el azul de la portada."""
    return drawing.night(illustrations.session_01.cover())


def apuesta():
    """La frase con una palabra cambiada: ¿quién se entera?"""
    return illustrations.session_01.cover()


def dentro():
    """Un Transformer por dentro: de «El rey y la» a «reina»."""
    return illustrations.inside_transformer()


def mascaras():
    """Las dos máscaras, lado a lado: ✓ puede mirar, · no puede."""
    return _drawn("mascaras-dibujo")


def tiras():
    """La consulta de «la», frente a las claves y los valores, en una cabeza de la última capa."""
    return _drawn("tiras-dibujo")


def menos_infinito():
    """Puntuaciones, máscara y pesos que quedan, en la misma cabeza: cada fila suma 1."""
    space = cells.run("01", ["atencion-formula"], _notebook())
    raw = (space["q"] @ space["k"].T / 80**0.5).detach()
    hidden = raw.masked_fill(~causal_mask(4), float("-inf"))
    ax = canvas(11.4, 4.7)
    panels = [("1. Puntuaciones", raw), ("2. Máscara: −∞", hidden), ("3. Softmax: reparto", hidden.softmax(-1))]
    for i, (title, values) in enumerate(panels):
        left = 0.6 + 3.85 * i
        label(ax, left + 1.5, 4.45, title, fontweight="bold", fontsize=20)
        for row in range(4):
            for column in range(4):
                value, closed = values[row, column].item(), column > row and i > 0
                text = drawing.percent(value, 0) if i == 2 else drawing.number(value)
                color = plots.GREY if closed else plots.BLUE
                box(
                    ax,
                    left + 0.75 * column + 0.03,
                    3.2 - 0.75 * row,
                    0.69,
                    0.69,
                    text,
                    color,
                    fontsize=15,
                    rounding=0.05,
                )
        if i < 2:
            arrow(ax, (left + 3.1, 2.4), (left + 3.75, 2.4), width=4)
    for row, token in enumerate(["El", "rey", "y", "la"]):
        label(ax, 0.3, 3.55 - 0.75 * row, token, fontsize=17)
    label(ax, 5.7, 0.45, "fila: quien mira · columna: a quién · cada fila del reparto suma 100 %", fontsize=19)
    return ax


def mapas():
    """Los dos mapas del cuaderno, lado a lado y con la misma escala."""
    space = _notebook()
    fig, axes = plt.subplots(1, 2, figsize=(12.4, 6), layout="constrained")
    drawn = [
        ("encoder", 0, slice(None), "Codificador, capa 1"),
        ("decoder", -1, slice(1), "Decodificador, capa 6, cabeza 1"),
    ]
    for ax, (role, layer, heads, title) in zip(axes, drawn, strict=True):
        tokenizer = space[f"{role}_tokenizer"]
        inputs = tokenizer("El rey y la reina vivían en un palacio.", return_tensors="pt")
        names = [space["show_token"](tokenizer, i) for i in inputs.input_ids[0].tolist()]
        weights = capture_attention(space[role], inputs)[layer, 0, heads].mean(0)
        plots.plot_attention(weights, names, title=title, ax=ax)
        ax.images[0].set_clim(0, 0.5)
        ax.tick_params(labelsize=14)
    return fig


def prueba():
    """Cuánto se mueve el vector de cada posición (última capa) al cambiar «reina» por «noche», con la misma escala."""
    with torch.no_grad(), plt.rc_context():
        _drawn("mapas-dibujo")
        plt.close("all")
    return _drawn("reina-por-noche", "prueba-dibujo")


def hueco():
    """La misma palabra, preguntada a los dos, con la misma escala."""
    return _drawn("hueco-en-codigo", "hueco-dibujo")


def aciertos():
    """Las palabras tapadas del cuaderno: cuántas veces la verdadera está entre las cinco favoritas."""
    return _drawn("funciones-de-medida", "aciertos-dibujo")


def familias():
    """Las tres familias, año a año."""
    return _drawn("familias-dibujo")
