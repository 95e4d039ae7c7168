"""Ilustraciones de la sesión A2: un solo resumen, volver a mirar, y el mapa de quién ha mirado a quién.

Aquí no se carga ningún modelo: los números llegan como argumentos.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from .. import drawing, plots

_NOTE, _WORD = 13, 14
WORDS = ("tres", "de", "mayo", "de", "mil", "seiscientos", "cinco")


def _row(ax: Axes, words, y: float, middle: float, color) -> list[float]:
    """Una fila de fichas centrada en ``middle``, y dónde queda el centro de cada una."""
    left = middle - drawing.chips_width(words, _WORD) / 2
    return [center for center, _ in drawing.chips(ax, left, y - 0.2, words, color, size=_WORD, height=0.4)]


def bottleneck(words=WORDS, written: str = "1605-05-03", *, size: int = 84) -> Axes:
    """Un codificador que lo resume todo en un vector y un decodificador que escribe con él, y con nada más.

    Parameters
    ----------
    words : sequence of str
        Lo que se lee.
    written : str
        Lo que se escribe, letra a letra.
    size : int
        Cuántos números caben en el resumen.

    Notes
    -----
    Se enseña en la sesión A2.
    """
    width = max(drawing.chips_width(words, _WORD), drawing.chips_width(written, _WORD)) + 0.4
    ax = drawing.canvas(width, 3.9)
    middle = width / 2
    top = _row(ax, words, 3.55, middle, drawing.PROMPT)
    for x in top:
        drawing.arrow(ax, (x, 3.32), (middle + (x - middle) * 0.12, 2.42), color=drawing.ENCODER, width=1.6,
                      mutation_scale=11)  # fmt: skip
    text = f"un resumen: {size} números"
    drawing.box(ax, middle - 1.5, 1.9, 3.0, 0.46, text, drawing.CHOSEN, fontsize=15)
    low = _row(ax, written, 0.65, middle, drawing.DECODER)
    for x in low:
        drawing.arrow(ax, (middle + (x - middle) * 0.12, 1.86), (x, 0.9), color=drawing.DECODER, width=1.6,
                      mutation_scale=11)  # fmt: skip
    drawing.label(ax, middle, 0.16, "y a escribir, sin volver a mirar", fontsize=15)
    return ax


def looking_back(weights, words=WORDS, written: str = "1605-", *, asked: str = "?") -> Axes:
    """Antes de escribir la letra siguiente, se mira cada palabra un poco; el grosor dice cuánto.

    Parameters
    ----------
    weights : sequence of float
        Cuánta atención se lleva cada palabra, de 0 a 1.
    words : sequence of str
        Lo que se lee.
    written : str
        Lo escrito hasta ahora.
    asked : str
        Lo que se pone en el hueco que toca escribir.

    Raises
    ------
    ValueError
        Si no hay un peso por palabra.

    Notes
    -----
    Se enseña en la sesión A2.
    """
    if len(weights) != len(words):
        raise ValueError(f"Hace falta un peso por palabra, y hay {len(words)} palabras y {len(weights)} pesos.")
    bottom = [*written, asked]
    width = max(drawing.chips_width(words, _WORD), drawing.chips_width(bottom, _WORD)) + 0.4
    ax = drawing.canvas(width, 2.9)
    middle = width / 2
    top = _row(ax, words, 2.25, middle, drawing.PROMPT)
    colors = [drawing.WRITTEN] * len(written) + [drawing.CHOSEN]
    last = _row(ax, bottom, 0.35, middle, colors)[-1]
    for x, weight in zip(top, map(float, weights), strict=True):
        ax.plot([x, last], [2.02, 0.58], color=drawing.CHOSEN, linewidth=0.8 + 9 * weight, alpha=0.35 + 0.65 * weight,
                solid_capstyle="round", zorder=1)  # fmt: skip
        drawing.label(ax, x, 2.65, drawing.percent(weight, 0), fontsize=_NOTE)
    return ax


def alignment(weights, words, written: str, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """El mapa: una fila por palabra leída, una columna por letra escrita; más oscuro, más miró esa letra a la palabra.

    Parameters
    ----------
    weights : (letras, palabras) array
        Cada fila, un reparto que suma 1.
    words : sequence of str
        Lo que se ha leído.
    written : str
        Lo que se ha escrito.

    Raises
    ------
    ValueError
        Si ``weights`` no tiene una fila por letra y una columna por palabra.

    Notes
    -----
    Se enseña en la sesión A2.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.shape != (len(written), len(words)):
        raise ValueError(
            f"Con {len(written)} letras y {len(words)} palabras hace falta una tabla así, y es {weights.shape}."
        )
    ax = ax if ax is not None else plots._axes(None, 0.5 * len(written) + 2.6, 0.42 * len(words) + 1.2)  # noqa: SLF001
    ax.imshow(weights.T, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(written)), list(written), family=drawing.monospaced(), fontsize=15)
    ax.set_yticks(range(len(words)), words, fontsize=_WORD, parse_math=False)
    ax.set_xticks(np.arange(len(written) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(words) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="#DDDDDD", linewidth=1)
    ax.grid(which="major", visible=False)
    ax.tick_params(which="both", length=0)
    ax.xaxis.tick_top()
    for side in ax.spines.values():
        side.set_visible(False)
    if title:
        ax.set_title(title, fontsize=15)
    return ax


def cover() -> Axes:
    """La portada de la sesión A2: todo lo leído pasa por un resumen."""
    return bottleneck()
