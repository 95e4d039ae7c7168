"""Lo que comparten los esquemas de las diapositivas: un lienzo en pulgadas, fichas de token, flechas y cajas."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from . import plots

# Fondos claros de los colores del curso: encima se lee tinta negra desde la última fila.
PALE = {plots.BLUE: "#D9E9F5", plots.ORANGE: "#FBE8BF", plots.GREEN: "#CFEDE3", plots.RED: "#FADFCE"}
PALE[plots.GREY] = "#EEEEEE"
SIZE = 18


def canvas(width: float, height: float) -> Axes:
    """Un lienzo sin ejes en el que las coordenadas son pulgadas, con el origen abajo a la izquierda."""
    figure = plt.figure(figsize=(width, height))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return ax


def box(ax: Axes, x: float, y: float, width: float, height: float, text="", color=plots.BLUE, **style) -> None:
    """Una caja de esquinas redondas, con su esquina inferior izquierda en (x, y) y el texto en el centro."""
    line = {"linewidth": style.pop("linewidth", 2.2), "linestyle": style.pop("linestyle", "-")}
    shape = f"round,pad=0,rounding_size={style.pop('rounding', 0.12)}"
    fill = style.pop("facecolor", PALE[color])
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, facecolor=fill, edgecolor=color, **line))
    label(ax, x + width / 2, y + height / 2, text, **style)


def label(ax: Axes, x: float, y: float, text: str, **style) -> None:
    """Un texto centrado (o como diga ``style``), sin interpretar «$» como fórmula."""
    style = {"ha": "center", "va": "center", "fontsize": SIZE, "parse_math": False} | style
    ax.text(x, y, text, **style)


def arrow(ax: Axes, tail: tuple, head: tuple, bend: float = 0.0, color="black", width: float = 2.5, **style) -> None:
    """Una flecha de ``tail`` a ``head``, recta o curvada."""
    style = {"arrowstyle": "-|>", "mutation_scale": 22, "shrinkA": 0, "shrinkB": 0} | style
    style |= {"color": color, "lw": width, "connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", head, tail, arrowprops=style)


def chips(ax: Axes, x: float, y: float, tokens, colors=plots.BLUE, size=SIZE, gap=0.08, height=0.46, **style) -> list:
    """Una fila de fichas de token desde (x, y); devuelve el centro en x y el ancho de cada una."""
    colors = [colors] * len(tokens) if isinstance(colors, str) else colors
    places = []
    for token, color in zip(tokens, colors, strict=True):
        width = 0.602 * size / 72 * max(len(token), 1) + 0.2  # la letra de ancho fijo mide 0,602 veces su cuerpo
        box(ax, x, y, width, height, token, color, fontsize=size, family="monospace", **style)
        places.append((x + width / 2, width))
        x += width + gap
    return places
