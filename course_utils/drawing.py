"""Un solo lenguaje para los esquemas: un lienzo en pulgadas, fichas de token, flechas y cajas, y la letra del curso.

Lo usan las figuras de las diapositivas. Los dibujos de datos (barras, curvas, mapas) están en ``plots``.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch, Rectangle

from . import _validate
from ._look import (  # noqa: F401 (de aquí los toman los demás)
    BLUE,
    CACHED,
    CHOSEN,
    DECODER,
    ENCODER,
    GREEN,
    GREY,
    MASKED,
    MONO,
    ORANGE,
    PADDING,
    PALE,
    PROMPT,
    PRUNED,
    RED,
    SANS,
    WRITTEN,
    check_mark,
    fonts,
    monospaced,
    number,
    percent,
    register,
    with_comma,
)

register()

SIZE = 18
NIGHT = "#00395A"  # el fondo de las portadas de las diapositivas


def canvas(width: float, height: float) -> Axes:
    """Un lienzo sin ejes en el que las coordenadas son pulgadas, con el origen abajo a la izquierda.

    Raises
    ------
    ValueError
        Si una medida no es un número mayor que cero.
    """
    for name, value in (("width", width), ("height", height)):
        if not _validate.is_number(value) or value <= 0:
            raise ValueError(f"{name} son pulgadas, un número mayor que cero, y es {value!r}.")
    figure = plt.figure(figsize=(width, height))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return ax


def box(ax: Axes, x: float, y: float, width: float, height: float, text="", color=BLUE, **style) -> None:
    """Una caja de esquinas redondas con el texto en el centro.

    Parameters
    ----------
    ax : Axes
        De ``canvas``, o cualquiera con la misma escala en los dos ejes.
    x, y : float
        La esquina inferior izquierda, en las unidades de ``ax``.
    width, height : float
        Lo que mide.
    text : str, optional
        Lo que dice.
    color : str, optional
        El del borde; el fondo es el mismo, más claro.
    **style
        ``facecolor``, ``linewidth``, ``linestyle`` y ``rounding`` (radio de las esquinas); lo demás es del texto.

    Raises
    ------
    ValueError
        Si el color no es de los del curso y no se da ``facecolor``.
    """
    if "facecolor" not in style and color not in PALE:
        raise ValueError(f"De {color!r} no hay un fondo claro: usa uno de {', '.join(PALE)} o da facecolor.")
    line = {"linewidth": style.pop("linewidth", 2.2), "linestyle": style.pop("linestyle", "-")}
    shape = f"round,pad=0,rounding_size={style.pop('rounding', 0.12)}"
    fill = style.pop("facecolor", PALE.get(color))
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, facecolor=fill, edgecolor=color, **line))
    label(ax, x + width / 2, y + height / 2, text, **style)


def label(ax: Axes, x: float, y: float, text: str, **style) -> None:
    """Un texto centrado en (x, y), o como diga ``style``, sin interpretar «$» como fórmula."""
    style = {"ha": "center", "va": "center", "fontsize": SIZE, "parse_math": False} | style
    ax.text(x, y, text, **style)


def arrow(ax: Axes, tail: tuple, head: tuple, bend: float = 0.0, color="black", width: float = 2.5, **style) -> None:
    """Una flecha de ``tail`` a ``head``, puntos (x, y); recta, o curvada si ``bend`` no es cero."""
    style = {"arrowstyle": "-|>", "mutation_scale": 22, "shrinkA": 0, "shrinkB": 0} | style
    style |= {"color": color, "lw": width, "connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", head, tail, arrowprops=style)


def chips(ax: Axes, x: float, y: float, tokens, colors=BLUE, size=SIZE, gap=0.08, height=0.46, **style) -> list:
    """Una fila de fichas de token, cada una tan ancha como su texto.

    Parameters
    ----------
    ax : Axes
        De ``canvas``: lo que mide una letra solo se sabe en pulgadas.
    x, y : float
        La esquina inferior izquierda de la primera, en pulgadas.
    tokens : lista de str
        Lo que dice cada una.
    colors : str o lista de str, optional
        El de todas o el de cada una.
    size : float, optional
        El cuerpo de la letra, en puntos.
    gap, height : float, optional
        La separación entre fichas y su altura, en pulgadas.
    **style
        Lo mismo que en ``box``.

    Returns
    -------
    lista de (float, float)
        De cada ficha, la x de su centro y su ancho.

    Raises
    ------
    ValueError
        Si no hay un color por ficha.
    """
    colors = [colors] * len(tokens) if isinstance(colors, str) else list(colors)
    if len(colors) != len(tokens):
        raise ValueError(f"Hace falta un color por ficha o uno para todas: hay {len(tokens)} y {len(colors)} colores.")
    family, places = monospaced(), []
    for token, color in zip(tokens, colors, strict=True):
        width = chips_width([token], size)
        box(ax, x, y, width, height, token, color, fontsize=size, family=family, **style)
        places.append((x + width / 2, width))
        x += width + gap
    return places


def chips_width(tokens, size=SIZE, gap=0.08) -> float:
    """Lo que ocupa una fila de ``chips``, en pulgadas."""
    letter = _monospaced_width() * size / 72
    return sum(letter * max(len(token), 1) + 0.2 for token in tokens) + gap * (len(tokens) - 1)


def strip(
    ax: Axes, x: float, y: float, numbers, strength: float = 1.0, side: float = 0.085, *, vertical=False, zorder=1
) -> None:
    """Un vector como una tira de casillas centrada en (x, y): roja si es positivo y azul si es negativo.

    Cuanto más lejos de cero, más color; el mayor de la tira lo lleva todo, rebajado por ``strength`` (0 a 1). Tapa lo
    que tenga debajo. Se usa en las sesiones A1 y 01.
    """
    values = [float(value) for value in numbers]
    top, half = max(map(abs, values)), len(values) * side / 2

    def cells(first: int, count: int, **style) -> Rectangle:
        start, length = first * side - half, count * side
        spot = ((x - 0.13, y - start - length), 0.26, length) if vertical else ((x + start, y - 0.13), length, 0.26)
        return ax.add_patch(Rectangle(*spot, **style))

    cells(0, len(values), facecolor="white", edgecolor="none", zorder=zorder)
    for k, value in enumerate(values):
        cells(k, 1, facecolor=RED if value > 0 else BLUE, alpha=strength * abs(value) / top, zorder=zorder)
    cells(0, len(values), fill=False, edgecolor="#555555", linewidth=1.2, zorder=zorder + 0.5)


def night(ax: Axes) -> Axes:
    """El mismo dibujo sobre el azul de las portadas: pasa a blanco lo que no se distinguiría de él.

    Lo que está encima de una figura (el texto de una ficha) se queda como estaba.
    """
    ax.figure.set_facecolor(NIGHT)
    for text in ax.texts:
        place = ax.transData.transform(text.get_position())
        if _lost_at_night(text.get_color()) and not any(shape.contains_point(place) for shape in ax.patches):
            text.set_color("white")
        shaft = getattr(text, "arrow_patch", None)
        if shaft is not None and _lost_at_night(shaft.get_edgecolor()):
            shaft.set_color("white")
    return ax


def _lost_at_night(color) -> bool:
    """¿Contrasta menos de 3 a 1, lo que piden las WCAG de un dibujo, con el azul de las portadas?"""

    def luminance(rgb) -> float:
        weights = (0.2126, 0.7152, 0.0722)
        return sum(
            w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for w, c in zip(weights, rgb, strict=True)
        )

    return (luminance(to_rgb(color)) + 0.05) / (luminance(to_rgb(NIGHT)) + 0.05) < 3


def _monospaced_width() -> float:
    """Lo que mide cada letra de la familia de ancho fijo en uso, en veces su cuerpo: 0,602 en la de matplotlib."""
    font = font_manager.get_font(font_manager.findfont("monospace"))
    return round(font.get_sfnt_table("hhea")["advanceWidthMax"] / font.units_per_EM, 3)
