"""Ilustraciones de la sesión 09: un par mínimo, intervalos frente al cero, un umbral, una clase y unas fechas.

Aquí no se carga ningún modelo: los números llegan como argumentos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from .. import _validate, drawing, plots
from ..pairs import SLOT

_NOTE, _WORD = 14, 15


def minimal_pair(text: str, a: str, b: str, bits: tuple[float, float] | None = None) -> Axes:
    """Dos frases que se diferencian en una ficha, la naranja; con ``bits``, lo que cuesta lo demás en cada una.

    Parameters
    ----------
    text : str
        La frase, con un hueco ``{x}``.
    a, b : str
        Lo que va en el hueco de cada una.
    bits : (float, float), optional
        La sorpresa de lo que comparten, en bits, tras ``a`` y tras ``b``.

    Raises
    ------
    ValueError
        Si el texto no tiene un hueco, y solo uno.

    Notes
    -----
    Se enseña en la sesión 09.
    """
    if text.count(SLOT) != 1:
        raise ValueError(f"Hace falta una frase con un hueco {SLOT}, y es {text!r}.")
    before, after = (part.split() for part in text.split(SLOT))
    rows = [([*before, slot, *after], len(before)) for slot in (a, b)]
    wide = max(drawing.chips_width(words, _WORD) for words, _ in rows)
    ax = drawing.canvas(wide + 0.4 + (1.5 if bits else 0), 1.9)
    for k, (words, place) in enumerate(rows):
        y = 1.15 - 0.8 * k
        colors = [drawing.CHOSEN if i == place else drawing.PROMPT for i in range(len(words))]
        drawing.chips(ax, 0.2, y, words, colors, size=_WORD)
        if bits:
            drawing.label(ax, wide + 1.05, y + 0.23, f"{drawing.number(bits[k])} bits", fontsize=16, fontweight="bold")
    return ax


def strips(groups: Mapping[str, Sequence[float]], threshold: float, *, xlabel: str = "perplejidad") -> Axes:
    """Un punto por texto, en una fila por grupo; lo que cae a la izquierda del umbral se acusa, y va en naranja.

    Parameters
    ----------
    groups : mapping of str to sequence of float
        De cada grupo, la perplejidad de sus textos.
    threshold : float
        Por debajo, «lo ha escrito una máquina».
    xlabel : str, optional
        Qué se mide.

    Raises
    ------
    ValueError
        Si no hay grupos, alguno está vacío o un número no es mayor que cero.

    Notes
    -----
    Se enseña en la sesión 09.
    """
    values = [value for group in groups.values() for value in group]
    if not all(map(len, groups.values())) or not values or min([threshold, *values]) <= 0:
        raise ValueError("Hace falta al menos un grupo, con textos, y perplejidades y umbral mayores que cero.")
    ax = plots._axes(None, 7.2, 0.62 * len(groups) + 1.4)  # noqa: SLF001
    for k, group in enumerate(groups.values()):
        group = np.asarray(group, dtype=float)
        spread = 0.16 * np.sin(7.0 * np.arange(len(group)))  # que no se tapen, y siempre igual
        colors = np.where(group < threshold, drawing.ORANGE, drawing.BLUE)
        ax.scatter(group, spread - k, s=46, c=colors, edgecolors="white", linewidths=0.6, zorder=3)
    ax.axvline(threshold, color="black", linewidth=2, linestyle="--")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: drawing.number(x, 0)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks([t for t in (2, 5, 10, 20, 50, 100, 200, 500) if min(values) <= t <= max(values)])
    ax.set_yticks(-np.arange(len(groups)), groups, fontsize=_NOTE)
    ax.set_ylim(-len(groups) + 0.4, 0.6)
    ax.set_xlabel(xlabel, fontsize=_NOTE)
    ax.set_title("← acusado", loc="left", fontsize=_NOTE)
    ax.grid(visible=False, axis="y")
    return ax


def classroom(innocent: int, accused: int, caught: int, missed: int) -> Axes:
    """Una clase, persona a persona: quién copió y a quién acusa el detector.

    Parameters
    ----------
    innocent, accused, caught, missed : int
        Inocentes en paz, inocentes acusados, culpables descubiertos y culpables que se escapan.

    Raises
    ------
    ValueError
        Si no son cuentas o no hay nadie.

    Notes
    -----
    Se enseña en la sesión 09.
    """
    counts = (innocent, accused, caught, missed)
    if not all(_validate.is_count(n, 0) for n in counts) or not sum(counts):
        raise ValueError(f"Son cuatro cuentas de personas, y alguna hay; he recibido {counts}.")
    names = ("inocente", "inocente acusado", "culpable descubierto", "culpable que se escapa")
    looks = ((drawing.BLUE, ""), (drawing.ORANGE, "!"), (drawing.RED, "!"), (drawing.GREY, ""))
    columns = 10
    rows = -(-sum(counts) // columns)
    ax = drawing.canvas(6.6, 0.62 * rows + 1.7)
    people = [look for look, n in zip(looks, counts, strict=True) for _ in range(n)]
    top = 0.62 * rows + 1.35
    for k, (color, mark) in enumerate(people):
        _person(ax, 0.5 + 0.62 * (k % columns), top - 0.62 * (k // columns), color, mark)
    for k, (name, (color, mark), n) in enumerate(zip(names, looks, counts, strict=True)):
        x, y = 0.3 + 3.1 * (k % 2), 0.72 - 0.46 * (k // 2)
        _person(ax, x, y, color, mark, 0.14)
        drawing.label(ax, x + 0.28, y, f"{n} · {name}", ha="left", fontsize=13)
    return ax


def _person(ax: Axes, x: float, y: float, color: str, mark: str, radius: float = 0.23) -> None:
    ax.add_patch(plt.Circle((x, y), radius, facecolor=color, edgecolor="black", linewidth=1.3))
    if mark:
        drawing.label(ax, x, y - 0.01, mark, fontsize=85 * radius, fontweight="bold")


def energy_scale(rows: Mapping[str, tuple[float, float]], *, xlabel: str = "Wh por respuesta") -> Axes:
    """Energías, de menos a más, en una escala en la que cada paso multiplica por diez; si son un intervalo, una barra.

    Parameters
    ----------
    rows : mapping of str to (float, float)
        De cada una, entre cuánto y cuánto; iguales, si se publicó una sola cifra.
    xlabel : str, optional
        La unidad.

    Raises
    ------
    ValueError
        Si no hay ninguna o un intervalo no es de números mayores que cero, de menor a mayor.

    Notes
    -----
    Se enseña en la sesión 09.
    """
    if not rows or not all(0 < low <= high for low, high in rows.values()):
        raise ValueError(f"Cada fila es (entre cuánto, y cuánto), mayores que cero; he recibido {dict(rows)!r}.")
    ax = plots._axes(None, 7.2, 0.6 * len(rows) + 1.2)  # noqa: SLF001
    for k, (low, high) in enumerate(rows.values()):
        color = drawing.BLUE if low < high else drawing.ORANGE
        ax.plot([low, high], [-k, -k], color=color, linewidth=9, solid_capstyle="round", zorder=2)
        if low == high:
            ax.plot(low, -k, "o", color=color, markeredgecolor="black", markersize=11, zorder=3)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace(".", ",")))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yticks(-np.arange(len(rows)), rows, fontsize=13)
    ax.set_ylim(-len(rows) + 0.4, 0.6)
    ax.set_xlabel(xlabel, fontsize=_NOTE)
    ax.grid(visible=False, axis="y")
    return ax


def timeline(events: Sequence[tuple[str, str, bool]]) -> Axes:
    """Fechas de una ley, de arriba abajo: en verde lo que ya se aplica y en gris lo que falta.

    Parameters
    ----------
    events : sequence of (fecha, qué, ya)
        En orden.

    Raises
    ------
    ValueError
        Si no hay ninguna.

    Notes
    -----
    Se enseña en la sesión 09.
    """
    if not events:
        raise ValueError("Hace falta alguna fecha.")
    high = 0.62 * len(events) + 0.2
    ax = drawing.canvas(7.4, high)
    y = [high - 0.4 - 0.62 * k for k in range(len(events))]
    ax.plot([1.75, 1.75], [y[0], y[-1]], color="#BBBBBB", linewidth=4, zorder=1)
    for place, (date, what, done) in zip(y, events, strict=True):
        color = drawing.GREEN if done else drawing.GREY
        ax.add_patch(plt.Circle((1.75, place), 0.14, facecolor=color, edgecolor="black", linewidth=1.4, zorder=2))
        drawing.label(ax, 1.5, place, date, ha="right", fontsize=14)
        drawing.label(ax, 2.05, place, what, ha="left", fontsize=14, linespacing=0.95)
    return ax


def cover() -> Axes:
    """La portada de la sesión 09: dos frases, y una sola ficha distinta."""
    return minimal_pair("{x} mandaba un regimiento.", "Mi hermana", "Mi hermano")
