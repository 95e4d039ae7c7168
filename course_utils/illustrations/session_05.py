"""Ilustraciones de la sesión 05: el dado de la perplejidad, la sorpresa de cada token y el duelo con el unigrama."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from .. import _validate, drawing, plots
from .._look import tint

# Los puntos de las dos caras que todo el mundo conoce, en veces el lado; las demás van en cuadrícula.
PIPS = {
    2: [(0.28, 0.72), (0.72, 0.28)],
    6: [(x, y) for x in (0.28, 0.72) for y in (0.8, 0.5, 0.2)],
}
DEEP = 0.16  # lo que se ve de los lados del dado, en pulgadas


def perplexity_die(faces: Mapping[str, float], *, vertical: bool = False) -> Axes:
    """La perplejidad como un dado de tantas caras: todos del mismo tamaño, con un punto por cara y uno elegido.

    Parameters
    ----------
    faces : mapping of str to float
        Quién duda → su perplejidad, de 1 en adelante; se dibuja el entero más cercano.
    vertical : bool, optional
        Un dado debajo de otro, con lo que dice al lado: para una pantalla estrecha.

    Raises
    ------
    ValueError
        Si no hay ninguno o alguna perplejidad es menor que 1.

    Notes
    -----
    Se enseña en la sesión 05.
    """
    if not faces or not all(_validate.is_number(value) and value >= 1 for value in faces.values()):
        raise ValueError(f"Hace falta algún dado, y de una cara por lo menos; he recibido {dict(faces)!r}.")
    side, step = (1.15, 1.6) if vertical else (1.2, 1.58)
    long = step * len(faces) + 0.1
    ax = drawing.canvas(4.6, long) if vertical else drawing.canvas(long, 2.55)
    for k, (name, value) in enumerate(faces.items()):
        x, y = (0.2, long - 1.5 - step * k) if vertical else (0.15 + step * k, 1.0)
        _die(ax, x, y, side, round(value))
        shown = drawing.number(round(value), 0)
        if vertical:
            drawing.label(ax, x + side + 0.4, y + 0.78, shown, ha="left", fontsize=20, fontweight="bold")
            drawing.label(ax, x + side + 0.4, y + 0.36, name, ha="left", fontsize=16)
        else:
            drawing.label(ax, x + side / 2, y - 0.25, shown, fontsize=19, fontweight="bold")
            drawing.label(ax, x + side / 2, y - 0.46, name, va="top", fontsize=14, linespacing=0.9)
    return ax


def _die(ax: Axes, x: float, y: float, side: float, faces: int) -> None:
    """Un dado visto de frente, con un punto por cara; el elegido va más grande, en naranja y con borde."""
    top = [(x, y + side), (x + DEEP, y + side + DEEP), (x + side + DEEP, y + side + DEEP), (x + side, y + side)]
    right = [(x + side, y), (x + side + DEEP, y + DEEP), (x + side + DEEP, y + side + DEEP), (x + side, y + side)]
    front = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
    for corners, color in ((top, "#EEEEEE"), (right, "#D5D5D5"), (front, "white")):
        ax.add_patch(
            Polygon(corners, closed=True, facecolor=color, edgecolor="black", linewidth=1.6, joinstyle="round")
        )
    places = PIPS.get(faces) or _grid(faces)
    size = 0.2 if faces in PIPS else 0.62 / math.ceil(math.sqrt(faces))
    chosen = len(places) // 3
    points = 72 * side * size
    for mine, color, edge in ((False, plots.BLUE, "none"), (True, plots.ORANGE, "black")):
        some = [place for k, place in enumerate(places) if (k == chosen) is mine]
        area = max(points, 7.0 if mine else 0.0) ** 2
        xs, ys = zip(*some, strict=True) if some else ((), ())
        ax.scatter(
            [x + side * value for value in xs],
            [y + side * value for value in ys],
            s=area,
            c=color,
            edgecolors=edge,
            linewidths=1.2,
            zorder=3 + mine,
        )


def _grid(count: int) -> list[tuple[float, float]]:
    """Los centros de ``count`` puntos en cuadrícula, en veces el lado; la última fila, centrada."""
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    step = 0.9 / max(columns, rows)
    places = []
    for row in range(rows):
        here = min(columns, count - row * columns)
        places += [(0.5 + (k - (here - 1) / 2) * step, 0.5 + ((rows - 1) / 2 - row) * step) for k in range(here)]
    return places


def chain(tokens: Sequence[str], probs: Sequence[float], *, vertical: bool = False) -> Axes:
    """La regla de la cadena: las probabilidades se multiplican; las sorpresas, en barras, se suman.

    Parameters
    ----------
    tokens : sequence of str
        Los T tokens de la frase.
    probs : sequence of float
        La probabilidad de cada uno dados los anteriores, (T,), mayor que 0.
    vertical : bool, optional
        Un token por línea y las barras tumbadas: para una pantalla estrecha.

    Raises
    ------
    ValueError
        Si no hay una probabilidad por token o alguna no está en (0, 1].

    Notes
    -----
    Se enseña en la sesión 05.
    """
    tokens, probs = list(tokens), [float(p) for p in probs]
    if not tokens or len(tokens) != len(probs) or not all(0 < p <= 1 for p in probs):
        raise ValueError(f"Hace falta una probabilidad en (0, 1] por token; he recibido {tokens} y {probs}.")
    bits = [-math.log2(p) for p in probs]
    return (_chain_down if vertical else _chain_across)(tokens, probs, bits)


def _chain_across(tokens, probs, bits) -> Axes:
    step, tall = 0.98, 1.9
    ax = drawing.canvas(1.05 + step * len(tokens), 3.9)
    for name, y in (("token", 3.55), ("P", 2.95), ("sorpresa\n(bits)", 1.2)):
        drawing.label(ax, 0.05, y, name, ha="left", fontsize=14, linespacing=0.9)
    for k, (token, p, b) in enumerate(zip(tokens, probs, bits, strict=True)):
        x, height = 1.5 + step * k, tall * b / max(bits)
        _chip(ax, x, 3.32, token)
        drawing.label(ax, x, 2.95, power(p), fontsize=14)
        ax.add_patch(plt.Rectangle((x - 0.33, 0.15), 0.66, height, color=tint(b), ec="black", lw=1.2))
        drawing.label(ax, x, 0.15 + height + 0.2, drawing.number(b, 1), fontsize=15, fontweight="bold")
        if k:
            drawing.label(ax, x - step / 2, 2.95, "×", fontsize=16)
            drawing.label(ax, x - step / 2, 0.35, "+", fontsize=18)
    return ax


def _chain_down(tokens, probs, bits) -> Axes:
    step, wide = 0.58, 1.6
    high = step * len(tokens) + 0.6
    ax = drawing.canvas(4.9, high)
    for name, x, ha in (("token", 0.7, "center"), ("P", 1.75, "center"), ("sorpresa (bits)", 2.55, "left")):
        drawing.label(ax, x, high - 0.25, name, ha=ha, fontsize=14)
    for k, (token, p, b) in enumerate(zip(tokens, probs, bits, strict=True)):
        y, length = high - 0.85 - step * k, wide * b / max(bits)
        _chip(ax, 0.7, y - 0.2, token)
        drawing.label(ax, 1.75, y, power(p), fontsize=14)
        ax.add_patch(plt.Rectangle((2.55, y - 0.17), length, 0.34, color=tint(b), ec="black", lw=1.2))
        drawing.label(ax, 2.62 + length, y, drawing.number(b, 1), ha="left", fontsize=15, fontweight="bold")
    return ax


def _chip(ax: Axes, x: float, y: float, token: str) -> None:
    """Una ficha centrada en ``x``: como la de ``drawing.chips``, que las pone una detrás de otra."""
    width = 0.14 * max(len(token), 1) + 0.22
    drawing.box(ax, x - width / 2, y, width, 0.42, token, fontsize=15, family=drawing.monospaced())


def surprise_chips(rows: Mapping[str, tuple[Sequence[str], Sequence[float]]], *, width: float = 8.0) -> Axes:
    """Textos token a token: cada ficha, más naranja y con más bits cuanto más sorprende; al lado, la media.

    Parameters
    ----------
    rows : mapping of str to (sequence of str, sequence of float)
        Nombre → los tokens de un texto y la sorpresa de cada uno, en bits.
    width : float, optional
        Las pulgadas de ancho: los textos que no caben siguen en otra línea. Con 4,5 se lee en un teléfono.

    Raises
    ------
    ValueError
        Si no hay textos, uno no tiene un número por token o alguna sorpresa es negativa.

    Notes
    -----
    Se enseña en la sesión 05.
    """
    for name, (tokens, bits) in rows.items():
        if not len(tokens) or len(tokens) != len(bits) or min(bits) < 0:
            raise ValueError(f"{name}: hace falta una sorpresa por token, de 0 en adelante; recibo {list(bits)!r}.")
    if not rows:
        raise ValueError("No hay ningún texto que dibujar.")
    letter, gap, chip, line = 0.123, 0.05, 0.62, 0.7
    placed = {}
    for name, (tokens, bits) in rows.items():
        x, lines = 0.1, [[]]
        for token, b in zip(tokens, bits, strict=True):
            wide = letter * max(len(token), 3) + 0.12
            if x + wide > width - 0.1 and lines[-1]:
                x, lines = 0.1, [*lines, []]
            lines[-1].append((x, wide, token, b))
            x += wide + gap
        placed[name] = lines
    high = sum(0.42 + line * len(lines) for lines in placed.values()) + 0.05
    ax = drawing.canvas(width, high)
    y = high
    for name, lines in placed.items():
        bits = [b for row in lines for *_, b in row]
        mean = drawing.number(sum(bits) / len(bits), 1)
        drawing.label(ax, 0.1, y - 0.22, f"{name} · {mean} bits de media", ha="left", fontsize=14, fontweight="bold")
        y -= 0.42
        for row in lines:
            for x, wide, token, b in row:
                ax.add_patch(plt.Rectangle((x, y - chip), wide, chip, facecolor=tint(b), edgecolor="#777777"))
                middle = x + wide / 2
                drawing.label(ax, middle, y - 0.2, token, fontsize=14, family=drawing.monospaced())
                drawing.label(ax, middle, y - 0.46, drawing.number(b, 1), fontsize=13, fontweight="bold")
            y -= line
    return ax


def power(p: float) -> str:
    """Una probabilidad con dos cifras: 0,0015; 3,4·10⁻⁵."""
    digits, _, exponent = f"{float(p):.2g}".replace(".", ",").partition("e-")
    raised = exponent.lstrip("0").translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits}·10⁻{raised}" if raised else digits


def duel(groups: Mapping[str, tuple[float, float]], *, ax: Axes | None = None) -> Axes:
    """El modelo y el unigrama en los mismos textos, en escala logarítmica: gana el de menos perplejidad.

    Parameters
    ----------
    groups : mapping of str to (float, float)
        Textos → la perplejidad del modelo y la del unigrama.

    Raises
    ------
    ValueError
        Si no hay grupos o alguna perplejidad es menor que 1.

    Notes
    -----
    Se enseña en la sesión 05.
    """
    if not groups or not all(value >= 1 for pair in groups.values() for value in pair):
        raise ValueError(f"Hacen falta dos perplejidades, de 1 en adelante, por grupo; recibo {dict(groups)!r}.")
    ax = ax or plt.subplots(figsize=(8, 0.85 * len(groups) + 1.2), layout="constrained")[1]
    for y, pair in enumerate(groups.values()):
        ax.plot(pair, [y, y], color="#777777", linewidth=3, zorder=1)
        for value, other, marker, color in zip(pair, pair[::-1], "os", (plots.ORANGE, plots.GREY), strict=True):
            ax.plot(value, y, marker, color=color, markersize=13, markeredgecolor="black", zorder=2)
            side, ha = (-12, "right") if value <= other else (12, "left")
            weight = "bold" if value <= other else "normal"
            ax.annotate(
                drawing.number(value, 0), (value, y), (side, 0), textcoords="offset points", ha=ha, va="center",
                fontsize=15, fontweight=weight,
            )  # fmt: skip
    low, high = min(map(min, groups.values())), max(map(max, groups.values()))
    ax.set(xscale="log", xlim=(low / 2.6, high * 2.6), ylim=(len(groups) - 0.5, -0.95), xlabel="Perplejidad")
    ax.set_yticks(range(len(groups)), list(groups))
    first = next(iter(groups.values()))
    for value, name in zip(first, ("modelo", "unigrama"), strict=True):
        ax.annotate(name, (value, 0), (0, 14), textcoords="offset points", ha="center", va="bottom", fontsize=14)
    ax.set_xticks([10, 100, 1000, 10_000], [drawing.number(v, 0) for v in (10, 100, 1000, 10_000)])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def sliding_windows(n: int, window: int, stride: int) -> Axes:
    """La ventana deslizante sobre ``n`` tokens: qué se lee, qué se puntúa y cuántas veces cada token.

    Parameters
    ----------
    n : int
        Los tokens, con el inicial (el 0), que no se puntúa.
    window, stride : int
        Lo que ve la ventana y lo que avanza, con ``stride`` entre 1 y ``window``.

    Raises
    ------
    ValueError
        Si ``n`` es menor que 2 o el avance no está entre 1 y la ventana.

    Notes
    -----
    Se enseña en la sesión 05.
    """
    sizes = {"n": n, "window": window, "stride": stride}
    if not all(map(_validate.is_count, sizes.values())) or n < 2 or stride > window:
        raise ValueError(f"Hacen falta dos tokens o más y un avance entre 1 y la ventana; he recibido {sizes}.")
    found, begin, seen = [], 0, 1
    while seen < n:
        end = min(begin + window, n)
        found.append((begin, end, seen))
        begin, seen = begin + stride, end
    cell, left = 0.37, 1.45
    high = 0.5 * len(found) + 1.55
    ax = drawing.canvas(left + cell * n + 0.15, high)
    drawing.label(ax, left - 0.15, high - 0.28, "token", ha="right", fontsize=14)
    for t in range(n):
        drawing.label(ax, left + cell * (t + 0.45), high - 0.28, str(t), fontsize=13)
    for k, (begin, end, new) in enumerate(found):
        y = high - 0.98 - 0.5 * k
        drawing.label(ax, left - 0.15, y + 0.2, f"ventana {k}", ha="right", fontsize=14)
        for t in range(begin, end):
            face, sign, ink = ("white", "·", "black") if t < new else (plots.BLUE, "✓", "white")
            place = (left + cell * t, y)
            ax.add_patch(plt.Rectangle(place, 0.9 * cell, 0.4, facecolor=face, edgecolor="black", linewidth=1.2))
            drawing.label(ax, place[0] + 0.45 * cell, y + 0.2, sign, color=ink, fontsize=14, fontweight="bold")
    y = high - 1.05 - 0.5 * len(found) + 0.15
    drawing.label(ax, left - 0.15, y + 0.2, "se puntúa", ha="right", fontsize=14, fontweight="bold")
    for t in range(n):
        times = sum(new <= t < end for _, end, new in found)
        drawing.label(ax, left + cell * (t + 0.45), y + 0.2, str(times) if t else "–", fontsize=13, fontweight="bold")
    drawing.label(
        ax, left, 0.2, "· se lee: es contexto      ✓ se puntúa      el 0 es el inicial", ha="left", fontsize=13
    )
    return ax


def cover() -> Axes:
    """La portada: tres dados, cada uno con más caras."""
    return perplexity_die({"un dado": 6, "nuestro modelo": 26, "no saber nada": 4096})
