"""Lo que comparte todo lo que se dibuja o se enseña: los colores, con su significado, la letra y los números.

Los colores son de la paleta de Okabe e Ito (2008), que se distingue con daltonismo; nada se dice solo con color.
``drawing`` lo vuelve a exportar: los demás módulos y los cuadernos lo toman de allí.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files

import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
# Fondos claros de los colores del curso: encima se lee tinta negra desde la última fila.
PALE = {BLUE: "#D9E9F5", ORANGE: "#FBE8BF", GREEN: "#CFEDE3", RED: "#FADFCE", GREY: "#EEEEEE"}
# Lo que quiere decir cada color, siempre acompañado de otra señal: el borde, una trama, una marca o un rótulo.
PROMPT = ENCODER = BLUE
DECODER = RED
CHOSEN = ORANGE
WRITTEN = CACHED = GREEN
MASKED = PADDING = PRUNED = GREY
# Con cada letra del curso, la de matplotlib que pone los signos que le faltan: →, ε, √, ␣…
SANS = ["Atkinson Hyperlegible", "DejaVu Sans"]
MONO = ["Atkinson Hyperlegible Mono", "DejaVu Sans Mono"]
THIN = "\u202f"  # el espacio fino que no deja partir la línea


# ---------------------------------------------------------------- números
def number(value: float, decimals: int = 1, *, sign: bool = False) -> str:
    """Un número como se escribe en español: coma decimal, menos de verdad y espacio fino entre millares.

    Parameters
    ----------
    value : float
        Cualquier número, también de numpy o de torch.
    decimals : int, optional
        Cifras tras la coma.
    sign : bool, optional
        Pone también el «+».

    Returns
    -------
    str
        «12 345,7», «−0,96», «1549» (cuatro cifras no se separan), «∞».
    """
    value = float(value)
    if not math.isfinite(value):
        return "—" if math.isnan(value) else "∞" if value > 0 else "−∞"
    value = round(value, decimals) + 0.0  # −0,0 es 0,0
    text = f"{value:{'+' if sign else ''}{',' if abs(value) >= 10_000 else ''}.{decimals}f}"
    return text.translate(str.maketrans({",": THIN, ".": ",", "-": "−"}))


def percent(probability: float, decimals: int = 1) -> str:
    """Una probabilidad, entre 0 y 1, como tanto por ciento: «12,1 %»."""
    return f"{number(100 * float(probability), decimals)} %"


def check_mark(right: bool) -> str:
    """«✓» o «✗»: se distinguen por la forma y no necesitan una letra de emojis."""
    return "✓" if right else "✗"


class Comma(ScalarFormatter):
    """Los números de un eje, con coma decimal."""

    def __call__(self, x, pos=None):
        return super().__call__(x, pos).replace(".", ",")


def with_comma(ax: Axes) -> Axes:
    """Los ejes de ``ax`` escriben sus números con coma; uno de nombres, logarítmico o con rótulos suyos, no cambia."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(Comma())
        axis.isDefault_majfmt = True  # que una escala o unos nombres pongan después el suyo
    return ax


# ---------------------------------------------------------------- letra
def fonts() -> dict[str, list[str]]:
    """La letra del curso, para dibujar con ella: ``with plt.rc_context(drawing.fonts()): …``.

    Los archivos vienen con el curso (``data/letras``), así que se ve igual en cualquier máquina. Fuera del ``with`` no
    cambia nada: matplotlib los conoce, pero no los usa si no se le piden. La hoja de estilo ``course_utils.curso`` ya
    los pide.

    Returns
    -------
    dict
        Ajustes de matplotlib: la letra corriente y la de ancho fijo.
    """
    register()
    return {"font.family": SANS, "font.monospace": MONO}


def monospaced() -> str | list[str]:
    """La ``family`` de un texto de ancho fijo con la letra en uso; la del curso, con otra detrás para lo que no tiene.

    Un «monospace» a secas no basta: matplotlib lo cambia por una sola letra, y «␣» saldría como un hueco.
    """
    return MONO if plt.rcParams["font.monospace"] == MONO else "monospace"


@cache
def register() -> None:
    """Da a conocer a matplotlib los archivos de letra del curso."""
    for font in (files(__package__) / "data" / "letras").iterdir():
        if font.name.endswith(".ttf"):
            font_manager.fontManager.addfont(str(font))


# ---------------------------------------------------------------- sorpresa
def tint(bits: float) -> str:
    """De blanco (0 bits de sorpresa) a naranja (16 o más): el fondo de un token."""
    share = min(max(bits, 0) / 16, 1)
    return "#" + "".join(f"{round(255 + share * (int(ORANGE[i : i + 2], 16) - 255)):02X}" for i in (1, 3, 5))
