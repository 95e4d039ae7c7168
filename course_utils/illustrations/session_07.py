"""Ilustraciones de la sesión 07: la plantilla, la máscara, la preferencia y los cuatro bits.

Aquí no se carga ningún modelo: los tokens y las medidas llegan como argumentos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from .. import _validate, drawing, plots

_TEXT, _NOTE = 15, 13
IGNORED = "−100"


def stages(taught: Sequence[tuple[str, str]]) -> Axes:
    """De modelo base a asistente: en cada paso, de qué aprende y qué aprende.

    Parameters
    ----------
    taught : sequence of (str, str)
        De cada paso, el nombre del modelo que sale y de qué ha aprendido.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    _validate.require(len(taught) >= 2, f"Hacen falta al menos dos pasos y he recibido {len(taught)}.")
    wide, gap = 2.7, 0.75
    ax = drawing.canvas(len(taught) * wide + (len(taught) - 1) * gap + 0.3, 2.0)
    colors = (drawing.GREY, drawing.BLUE, drawing.GREEN, drawing.ORANGE)
    for k, (name, source) in enumerate(taught):
        x = 0.15 + k * (wide + gap)
        drawing.box(ax, x, 0.95, wide, 0.85, name, colors[min(k, 3)], fontsize=_TEXT, fontweight="bold")
        drawing.label(ax, x + wide / 2, 0.42, source, fontsize=_NOTE)
        if k:
            drawing.arrow(ax, (x - gap + 0.06, 1.37), (x - 0.06, 1.37))
    return ax


def conversation(turns: Sequence[tuple[str, str, Sequence[str], str]]) -> Axes:
    """Una conversación con su plantilla: una fila por turno, las marcas con borde grueso y las palabras con borde fino.

    Parameters
    ----------
    turns : sequence of (str, str, sequence of str, str)
        De cada turno: quién habla, la marca que lo abre, sus tokens y la marca que lo cierra («» si no se ha cerrado).

    Notes
    -----
    Se enseña en la sesión 07.
    """
    _validate.require(bool(turns), "Una conversación tiene al menos un turno, y he recibido 0.")
    rows = [[opening, *tokens, *([closing] if closing else [])] for _, opening, tokens, closing in turns]
    left, step = 1.75, 0.85
    ax = drawing.canvas(left + max(drawing.chips_width(row, _TEXT) for row in rows) + 0.2, step * len(rows) + 0.2)
    for k, ((who, _, tokens, _), row) in enumerate(zip(turns, rows, strict=True)):
        y = step * (len(rows) - 1 - k) + 0.25
        drawing.label(ax, left - 0.2, y + 0.23, who, ha="right", fontsize=_NOTE)
        x, color = left, drawing.PROMPT if k % 2 == 0 else drawing.WRITTEN
        for place, token in enumerate(row):
            mark = place == 0 or place > len(tokens)
            drawing.chips(ax, x, y, [token], drawing.ORANGE if mark else color, size=_TEXT,
                          linewidth=3.2 if mark else 1.4)  # fmt: skip
            x += drawing.chips_width([token], _TEXT) + 0.08
    return ax


def answer_mask(tokens: Sequence[str], counts: Sequence[bool], *, width: float = 9.5) -> Axes:
    """Los tokens de un ejemplo: tachados, con −100, los que no cuentan en la pérdida, y enteros los que sí.

    Parameters
    ----------
    tokens : sequence of str
        Los del ejemplo, (T,).
    counts : sequence of bool
        Si cuenta cada uno, (T,).
    width : float
        Las pulgadas de una línea; lo que no cabe pasa a la siguiente.

    Raises
    ------
    ValueError
        Si no hay un valor por token.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    tokens, counts = list(tokens), list(counts)
    _validate.require(
        len(tokens) == len(counts) > 0,
        f"Hace falta saber de cada token si cuenta, y hay {len(tokens)} tokens y {len(counts)} valores.",
    )
    wide = [max(drawing.chips_width([token], _TEXT), 0.72) for token in tokens]
    places, x, line = [], 0.15, 0
    for size in wide:
        if x + size > width and x > 0.15:
            x, line = 0.15, line + 1
        places.append((x, line))
        x += size + 0.08
    height = 1.12 * (line + 1) + 0.1
    ax = drawing.canvas(width + 0.15, height)
    for token, count, size, (x, line) in zip(tokens, counts, wide, places, strict=True):
        y = height - 1.12 * line - 0.6
        color = drawing.GREEN if count else drawing.GREY
        drawing.box(ax, x, y, size, 0.46, token, color, fontsize=_TEXT, family=drawing.monospaced(),
                    linewidth=2.6 if count else 1.2)  # fmt: skip
        if count:
            drawing.label(ax, x + size / 2, y - 0.2, drawing.check_mark(True), fontsize=_NOTE, color="#00573F")
        else:
            ax.add_patch(Rectangle((x, y), size, 0.46, fill=False, hatch="//", edgecolor="#BBBBBB", linewidth=0))
            drawing.label(ax, x + size / 2, y - 0.2, IGNORED, fontsize=_NOTE, color="#555555")
    return ax


def preference(points: Mapping[str, float]) -> Axes:
    """Bradley y Terry: de la diferencia entre dos puntuaciones, la probabilidad de preferir la primera respuesta.

    Parameters
    ----------
    points : mapping of str to float
        Nombre → diferencia, de algunas parejas: se marcan en la curva.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    ax = plots._axes(None, 8, 4.2)  # noqa: SLF001
    reach = max([4.0, *(abs(value) + 2 for value in points.values())])
    x = np.linspace(-reach, reach, 201)
    ax.plot(x, 100 / (1 + np.exp(-x)), color=drawing.BLUE, linewidth=2.5)
    ax.axhline(50, color=drawing.GREY, linestyle=":")
    for name, value in points.items():
        share = 1 / (1 + np.exp(-value))
        ax.plot(value, 100 * share, "o", color=drawing.ORANGE, markersize=11, zorder=3)
        style, away = {"ha": "left", "va": "top"}, (12, -4)
        if value > 1.5:  # debajo, que la curva ya está casi plana
            style, away = {"ha": "center", "va": "top"}, (0, -28)
        text = f"{name}: {drawing.percent(share, 0)}"
        ax.annotate(text, (value, 100 * share), away, textcoords="offset points", fontsize=14, **style)
    ax.set(
        xlabel="Puntuación de la primera menos la de la segunda", ylabel="Se prefiere la primera (%)", ylim=(-4, 104)
    )
    ax.spines[["top", "right"]].set_visible(False)
    return drawing.with_comma(ax)


def rounding(weights: Sequence[float], bits: Sequence[int] = (4, 3)) -> Axes:
    """Unos pesos sobre una recta y, debajo, una rejilla por cada número de bits: adónde va a parar cada uno.

    Parameters
    ----------
    weights : sequence of float
        Un grupo de pesos; el mayor, sin signo, marca el final de la rejilla.
    bits : sequence of int
        De cuántos bits es cada rejilla: con b bits hay 2^b − 1 escalones, el cero en medio.

    Raises
    ------
    ValueError
        Si no hay pesos o todos valen cero.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    weights = np.asarray(weights, dtype=float)
    top = np.abs(weights).max() if len(weights) else 0.0
    _validate.require(top > 0, f"Hace falta algún peso distinto de cero y he recibido {weights.tolist()!r}.")
    ax = plots._axes(None, 9, 1.5 * len(bits) + 0.9)  # noqa: SLF001
    names, steps = [], []
    for row, count in enumerate(bits):
        limit = 2 ** (count - 1) - 1
        scale = top / limit
        y = -1.5 * row
        grid = np.arange(-limit, limit + 1) * scale
        landed = np.round(weights / scale) * scale
        ax.plot([grid[0], grid[-1]], [y, y], color=drawing.GREY, linewidth=1)
        ax.plot(grid, np.full(len(grid), y), "|", color="#555555", markersize=18)
        for start, end in zip(weights, landed, strict=True):
            ax.plot([start, end], [y + 0.75, y], color=drawing.ORANGE, linewidth=1.4)
        ax.plot(weights, np.full(len(weights), y + 0.75), "o", color=drawing.BLUE, markersize=9, zorder=3)
        ax.plot(landed, np.full(len(landed), y), "D", color=drawing.ORANGE, markersize=8, zorder=3)
        names += ["los pesos", f"{count} bits: {2 * limit + 1} escalones"]
        steps += [y + 0.75, y]
    ax.set_ylim(steps[-1] - 0.4, 1.05)
    drawing.with_comma(ax).set_yticks(steps, names)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("Valor del peso")
    return ax


def by_bits(perplexities: Mapping[int, float], whole: float) -> Axes:
    """La perplejidad según los bits por peso, en escala logarítmica, y la del modelo entero como referencia.

    Parameters
    ----------
    perplexities : mapping of int to float
        Bits por peso → perplejidad.
    whole : float
        La del modelo sin redondear.

    Raises
    ------
    ValueError
        Si alguna perplejidad es menor que 1.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    wrong = [value for value in [*perplexities.values(), whole] if not value >= 1]
    _validate.require(not wrong, f"Una perplejidad no puede ser menor que 1, y he recibido {wrong[:1]}.")
    ax = plots._axes(None, 8, 4.2)  # noqa: SLF001
    bits = sorted(perplexities, reverse=True)
    places = range(len(bits))
    ax.axhline(whole, color=drawing.GREY, linestyle="--")
    ax.annotate(f"32 bits: {drawing.number(whole, 1)}", (0, whole), (0, -8), textcoords="offset points", va="top",
                color="#555555", fontsize=14)  # fmt: skip
    ax.plot(places, [perplexities[b] for b in bits], "o-", color=drawing.DECODER, markersize=9)
    for place, b in zip(places, bits, strict=True):
        text = drawing.number(perplexities[b], 1 if perplexities[b] < 1000 else 0)
        style = {"ha": "right" if place >= len(bits) - 2 else "center", "va": "bottom"}
        away = (-10, -6) if place == len(bits) - 1 else (0, 10)
        ax.annotate(text, (place, perplexities[b]), away, textcoords="offset points", fontsize=14, **style)
    ax.set(yscale="log", xlabel="Bits por peso", ylabel="Perplejidad", xlim=(-0.4, len(bits) - 0.6))
    ax.set_ylim(0.3 * whole, 3 * max([whole, *perplexities.values()]))
    ticks = [t for t in (10, 100, 1000, 10_000, 100_000) if ax.get_ylim()[0] < t < ax.get_ylim()[1]]
    ax.set_yticks(ticks, [drawing.number(t, 0) for t in ticks])
    ax.minorticks_off()
    ax.set_xticks(places, [str(b) for b in bits])
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def curve(losses: Sequence[float], *, epoch: int, every: int = 8) -> Axes:
    """La pérdida paso a paso, con su media de ``every`` en ``every``, y una raya donde acaba la primera época.

    Parameters
    ----------
    losses : sequence of float
        Una por paso, en nats por token.
    epoch : int
        Cuántos pasos tiene una época.
    every : int
        De cuántos pasos es cada media.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    losses = np.asarray(losses, dtype=float)
    _validate.require(len(losses) >= every, f"Hacen falta al menos {every} pasos y he recibido {len(losses)}.")
    ax = plots._axes(None, 8, 4)  # noqa: SLF001
    steps = np.arange(1, len(losses) + 1)
    ax.plot(steps, losses, ".", color=drawing.GREY, markersize=7)
    usable = len(losses) // every * every
    means = [values[:usable].reshape(-1, every).mean(1) for values in (steps, losses)]
    ax.plot(*means, color=drawing.DECODER, linewidth=3)
    ax.axvline(epoch + 0.5, color="black", linestyle=":")
    near = {"textcoords": "offset points", "va": "top", "fontsize": 14}
    ax.annotate("segunda vuelta →", (epoch + 0.5, losses.max()), (6, -4), **near)
    ax.set(xlabel="Paso", ylabel="Pérdida (nats por token)", ylim=(0, None))
    ax.spines[["top", "right"]].set_visible(False)
    return drawing.with_comma(ax)


def cover() -> Axes:
    """La portada de la sesión 07: de continuar texto a contestar."""
    return stages(
        [
            ("modelo base", "texto de todas clases"),
            ("sabe contestar", "órdenes con su respuesta"),
            ("asistente", "preferencias entre respuestas"),
        ]
    )
