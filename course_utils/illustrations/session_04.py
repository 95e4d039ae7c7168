"""Ilustraciones de la sesión 04: las etiquetas corridas con su −100, y LoRA a escala.

Aquí no se carga ningún modelo: los tokens y las medidas de las matrices llegan como argumentos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .. import _validate, drawing

IGNORED = "−100"
_TEXT, _NOTE = 15, 14
_BLANK = 270  # entre una matriz y otra, en números de una matriz: cabe su nombre
_DARK = {drawing.RED: "#8A3C00", drawing.GREEN: "#00573F", drawing.GREY: "#444444"}


def labels_shifted(tokens: Sequence[str], length: int, *, vertical: bool = False) -> Axes:
    """Lo que el modelo lee y lo que tiene que adivinar: las etiquetas, corridas un lugar, con dos recetas para el −100.

    Con la primera lleva −100 todo lo que tiene el id del relleno, y el final de verdad también lo tiene; con la
    segunda, solo lo que la máscara dice que es relleno.

    Parameters
    ----------
    tokens : sequence of str
        Los de una fila del lote, relleno incluido, (T,).
    length : int
        Cuántos son de verdad: el último de ellos es el EOS, y el relleno se escribe igual.
    vertical : bool, optional
        Una posición por fila, para una pantalla estrecha.

    Raises
    ------
    ValueError
        Si no hay al menos un token de relleno y dos de verdad, o el relleno no se escribe como el EOS.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    tokens = list(tokens)
    _validate.count("length", length, 2)
    eos = tokens[length - 1] if length < len(tokens) else None
    _validate.require(
        eos is not None and set(tokens[length:]) == {eos},
        f"Detrás del token {length} hace falta relleno igual que él (el EOS); he recibido {tokens!r}.",
    )
    targets = tokens[1:]
    recipes = {
        "por el id": [target != eos for target in targets],
        "por la máscara": [t + 1 < length for t in range(len(targets))],
    }
    sketch = _labels_down if vertical else _labels_across
    return sketch(tokens[:-1], targets, recipes, length)


def _target(ax, x, y, width, token, counts, end):
    """Una etiqueta: el token, o −100 rayado. La del final, con un borde que dice si se aprende."""
    color = (drawing.GREEN if counts else drawing.RED) if end else drawing.GREY
    if counts:
        drawing.box(ax, x, y, width, 0.46, token, color, facecolor="white", linewidth=3.5 if end else 1.6,
                    fontsize=_TEXT, family=drawing.monospaced())  # fmt: skip
    else:
        style = {"facecolor": "#EEEEEE", "edgecolor": color, "hatch": "////", "linewidth": 3.5 if end else 1.2}
        ax.add_patch(Rectangle((x, y), width, 0.46, **style))
        back = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"}
        drawing.label(ax, x + width / 2, y + 0.23, IGNORED, fontsize=_NOTE, bbox=back)


def _verdict(counts: bool) -> tuple[str, str]:
    text = "se aprende" if counts else "no se aprende"
    return f"{drawing.check_mark(counts)} {text}", _DARK[drawing.GREEN if counts else drawing.RED]


def _labels_across(read, targets, recipes, length) -> Axes:
    width = max(0.72, *(drawing.chips_width([token], _TEXT) for token in [*read, *targets]))
    left, step = 1.62, width + 0.12
    ax = drawing.canvas(left + step * len(read) + 0.1, 3.55)
    drawing.label(ax, left - 0.15, 3.0, "el modelo lee", ha="right", fontsize=_NOTE)
    for t, token in enumerate(read):
        pad = t >= length
        x = left + t * step
        drawing.box(ax, x, 2.77, width, 0.46, token, drawing.PADDING if pad else drawing.PROMPT, fontsize=_TEXT,
                    family=drawing.monospaced())  # fmt: skip
        drawing.arrow(ax, (x + width / 2, 2.72), (x + width / 2, 2.2), width=1.6, mutation_scale=14)
    edge = left + (length - 1) * step - 0.06
    ax.plot([edge + step, edge + step], [0.05, 3.45], color="black", linestyle=":", linewidth=1.6)
    drawing.label(ax, edge + step + 0.08, 3.42, "relleno", ha="left", fontsize=_NOTE)
    for row, (name, counts) in enumerate(recipes.items()):
        y = 1.7 - 1.05 * row
        drawing.label(ax, left - 0.15, y + 0.33, "y su etiqueta,", ha="right", fontsize=_NOTE)
        drawing.label(ax, left - 0.15, y + 0.1, name, ha="right", fontsize=_NOTE, fontweight="bold")
        for t, target in enumerate(targets):
            _target(ax, left + t * step, y, width, target, counts[t], t + 2 == length)
        text, color = _verdict(counts[length - 2])
        x = left + (length - 2) * step + width
        drawing.label(ax, x, y - 0.2, text, ha="right", fontsize=_NOTE, color=color, fontweight="bold")
    return ax


def _labels_down(read, targets, recipes, length) -> Axes:
    width, step, mono = 1.05, 0.6, drawing.monospaced()
    height = step * len(read) + 1.0
    ax = drawing.canvas(4.2, height)
    columns = [0.1, 1.75, 3.05]
    for x, name in zip(columns, ["lee", "por\nel id", "por\nla máscara"], strict=True):
        style = {"fontsize": _NOTE - 1, "va": "top", "linespacing": 1.0, "fontweight": "bold"}
        drawing.label(ax, x + width / 2, height - 0.22, name, **style)
    for t, (token, target) in enumerate(zip(read, targets, strict=True)):
        y, middle = height - 1.25 - t * step, height - 1.02 - t * step
        color = drawing.PADDING if t >= length else drawing.PROMPT
        drawing.box(ax, columns[0], y, width, 0.46, token, color, fontsize=_TEXT - 1, family=mono)
        drawing.arrow(ax, (1.2, middle), (1.69, middle), width=1.6, mutation_scale=14)
        for x, counts in zip(columns[1:], recipes.values(), strict=True):
            _target(ax, x, y, width, target, counts[t], t + 2 == length)
        if t + 1 == length:
            ax.plot([0.05, 4.15], [y - 0.07, y - 0.07], color="black", linestyle=":", linewidth=1.6)
    return ax


def lora_to_scale(matrices: Mapping[str, tuple[int, int]], rank: int, *, vertical: bool = False) -> Axes:
    """Las matrices de un bloque y sus correcciones de LoRA, todas a la misma escala: un número, la misma superficie.

    Cada matriz W, quieta, es un rectángulo gris; a su izquierda y encima, las dos tiras que se entrenan: B, de
    ``rank`` columnas, y A, de ``rank`` filas.

    Parameters
    ----------
    matrices : mapping of str to (int, int)
        Nombre → (filas, columnas) de cada matriz.
    rank : int
        El rango r.
    vertical : bool, optional
        Una matriz por fila, para una pantalla estrecha.

    Raises
    ------
    ValueError
        Si no hay matrices, o una medida no es un entero positivo.

    Notes
    -----
    Hu et al. (2021), arXiv:2106.09685. Se enseña en la sesión 04.
    """
    _validate.count("rank", rank)
    _validate.require(bool(matrices), "Hace falta al menos una matriz; no he recibido ninguna.")
    for name, shape in matrices.items():
        for size in shape:
            _validate.count(f"La medida de «{name}»", size)
    # Las altas, en una columna a la derecha; las demás, por renglones tan anchos como la mayor.
    tall = [name for name, (rows, columns) in matrices.items() if rows > columns and not vertical]
    wide = [name for name in matrices if name not in tall]
    limit = 0 if vertical else max((matrices[name][1] for name in wide), default=0)
    lines = []
    for name in wide:
        used = sum(matrices[other][1] + _BLANK for other in lines[-1]) if lines else 0
        if not lines or used + matrices[name][1] > limit + _BLANK:
            lines.append([])
        lines[-1].append(name)
    places, y, right = {}, 0.0, 0.0
    for line in lines:
        x = 0.0
        for name in line:
            places[name] = (x, y)
            x += matrices[name][1] + _BLANK
        y, right = y + max(matrices[name][0] for name in line) + _BLANK, max(right, x)
    for name in tall:
        places[name] = (right, 0.0)
        right, y = right + matrices[name][1] + _BLANK, max(y, matrices[name][0] + _BLANK)
    width = 4.2 if vertical else 8.0
    inch = (width - 0.35) / right
    ax = drawing.canvas(width, y * inch + 0.45)
    for name, (x, down) in places.items():
        _matrix(ax, 0.45 + x * inch, y * inch - down * inch, name, matrices[name], rank, inch)
    return ax


def _matrix(ax, left, top, name, shape, rank, inch) -> None:
    """Una matriz quieta, con la esquina de arriba en (left, top), y sus dos tiras, que se entrenan."""
    (rows, columns), gap = shape, 0.09
    width, height, thin = columns * inch, rows * inch, rank * inch
    ax.add_patch(
        Rectangle((left, top - height), width, height, facecolor="#E4E4E4", edgecolor=drawing.GREY, hatch="..")
    )
    for corner, w, h in [((left - gap - thin, top - height), thin, height), ((left, top + gap), width, thin)]:
        ax.add_patch(Rectangle(corner, w, h, facecolor=drawing.RED, edgecolor="none"))
    ink = {"color": _DARK[drawing.RED], "fontweight": "bold", "fontsize": _TEXT}
    drawing.label(ax, left - gap - thin - 0.14, top - height / 2, "B", **ink)
    drawing.label(ax, left + width / 2, top + gap + thin + 0.15, "A", **ink)
    share = 100 * rank * (rows + columns) / (rows * columns)
    drawing.label(ax, left + width / 2, top - height - 0.17, name, fontsize=_NOTE)
    drawing.label(ax, left + width / 2, top - height - 0.43, f"{drawing.number(share)} %", **ink | {"fontsize": _NOTE})


def side_by_side(
    panels: Mapping[str, Mapping[str, float]],
    colors: Sequence[str],
    units: Sequence[str],
    *,
    full: Sequence[float | None] | None = None,
) -> Figure:
    """Varias medidas de los mismos modelos, un panel por medida: barras con su número, y la primera, rayada.

    Parameters
    ----------
    panels : mapping of str to mapping of str to float
        Medida → {modelo: valor}, con los mismos modelos en todas.
    colors : sequence of str
        El color de cada modelo.
    units : sequence of str
        Lo que va detrás del número en cada panel.
    full : sequence of float or None, optional
        Lo que más puede valer cada medida, si tiene tope: se marca con una raya y la escala llega hasta ahí.

    Raises
    ------
    ValueError
        Si los paneles no tienen los mismos modelos, o no hay un color por modelo y una unidad y un tope por panel.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    names = [list(values) for values in panels.values()]
    full = [None] * len(names) if full is None else list(full)
    sizes = (len(colors), len(units), len(full))
    right = bool(names) and all(n == names[0] for n in names) and sizes == (len(names[0]), len(names), len(names))
    _validate.require(right, f"Los modelos deben ser los mismos en todos los paneles; he recibido {names}.")
    figure, axes = plt.subplots(
        1, len(panels), figsize=(8, 0.55 * len(colors) + 1.1), sharey=True, layout="constrained", squeeze=False
    )
    for ax, (title, values), unit, limit in zip(axes[0], panels.items(), units, full, strict=True):
        bars = ax.barh(list(values), list(values.values()), color=list(colors), height=0.68)
        bars[0].set_hatch("//")
        told = [f"{drawing.number(value, 0)} {unit}" for value in values.values()]
        back = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # que la raya del tope no tache el número
        ax.bar_label(bars, told, padding=5, bbox=back)
        if limit is not None:
            ax.axvline(limit, color=drawing.GREY, linestyle=":", linewidth=1.5, zorder=0)
        ax.set(xlim=(0, 1.7 * max([*values.values(), 1, limit or 0])), xticks=[], title=title)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
    axes[0][0].invert_yaxis()
    return figure


def forgetting(change: Mapping[str, tuple[float, float]]) -> Axes:
    """La perplejidad antes y después de ajustar, una flecha por clase de texto: verde si baja y roja si sube.

    Lo que apenas cambia es un punto gris.

    Parameters
    ----------
    change : mapping of str to (float, float)
        Clase de texto → (antes, después).

    Raises
    ------
    ValueError
        Si no hay ninguna, o una perplejidad no es mayor que cero.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    good = bool(change) and all(value > 0 for pair in change.values() for value in pair)
    _validate.require(good, f"Hacen falta parejas de perplejidades mayores que cero; he recibido {dict(change)!r}.")
    top = max(max(pair) for pair in change.values())
    _, ax = plt.subplots(figsize=(8, 0.75 * len(change) + 0.9), layout="constrained")
    for y, (old, new) in enumerate(change.values()):
        still = abs(new - old) < 0.02 * top  # una flecha tan corta no se entiende
        color = drawing.GREY if still else drawing.GREEN if new < old else drawing.RED
        style = {"arrowstyle": "-|>", "linewidth": 5, "mutation_scale": 26, "color": color, "shrinkA": 0, "shrinkB": 0}
        if still:
            ax.plot(new, y, "o", markersize=13, color=color)
        else:
            ax.annotate("", (new, y), (old, y), arrowprops=style)
        ax.plot([old, old], [y - 0.24, y + 0.24], color="black", linewidth=2)
        told = (
            f"{drawing.number(old)} → {drawing.number(new)} ({drawing.number(100 * (new / old - 1), 0, sign=True)} %)"
        )
        ax.text(max(old, new) + 0.04 * top, y, told, va="center", color=_DARK[color], fontweight="bold")
    ax.set(yticks=range(len(change)), yticklabels=list(change), xlabel="Perplejidad (menos es mejor)")
    ax.set(ylim=(len(change) - 0.5, -0.5), xlim=(0.8 * min(map(min, change.values())), 1.6 * top))
    ax.set_xticks([tick for tick in ax.get_xticks() if 0.8 * min(map(min, change.values())) <= tick <= 1.05 * top])
    return ax


def cover() -> Axes:
    """La sesión en un dibujo: antes, un texto que no se acaba; después, un chiste con su final."""
    ax = drawing.canvas(8, 2.9)
    endless = ["y", "␣dijo", "␣que", "␣la", "␣niña", "␣y", "␣su", "␣tía", "␣y", "␣el"]
    joke = ["—", "¿Y", "␣el", "␣final?", "\\n", "—", "Este."]
    for y, name, tokens in [(1.75, "antes", endless), (0.3, "después", joke)]:
        drawing.label(ax, 0.1, y + 0.72, name, ha="left", fontsize=_TEXT, fontweight="bold")
        places = drawing.chips(ax, 0.1, y, tokens, drawing.WRITTEN, size=_TEXT)
        if name == "después":
            x = places[-1][0] + places[-1][1] / 2 + 0.08
            drawing.chips(ax, x, y, ["EOS"], drawing.CHOSEN, size=_TEXT, linewidth=4)
            drawing.label(ax, x + 0.9, y + 0.23, "y se calla", ha="left", fontsize=_TEXT)
        else:
            drawing.label(ax, places[-1][0] + places[-1][1] / 2 + 0.15, y + 0.23, "y sigue…", ha="left", fontsize=_TEXT)
    return ax
