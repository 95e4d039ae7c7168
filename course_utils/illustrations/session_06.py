"""Ilustraciones de la sesión 06: seis sistemas en una escalera, de fichas a un vector, puntuar palabras y fallos.

Aquí no se carga ningún modelo: los números llegan como argumentos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes

from .. import drawing, plots

_NOTE, _WORD = 13, 15
SYSTEMS = ("mayoría", "bolsa de palabras", "LSTM de cero", "congelado", "ajustado", "LLM")
COLORS = {
    "mayoría": drawing.GREY,
    "bolsa de palabras": drawing.GREEN,
    "LSTM de cero": drawing.GREY,
    "congelado": drawing.ENCODER,
    "ajustado": drawing.ENCODER,
    "LLM": drawing.DECODER,
}
_MARKS = {"mayoría": "x", "bolsa de palabras": "s", "LSTM de cero": "v", "congelado": "o", "ajustado": "D", "LLM": "^"}
_LINES = {"bolsa de palabras": "s-", "LSTM de cero": "v:", "congelado": "o--", "ajustado": "D-", "LLM": "^-."}


def _system(name: str) -> str:
    """El sistema que dice un nombre, que puede llevar más detrás: «LLM, ocho ejemplos»."""
    return next((system for system in SYSTEMS if name.startswith(system)), "mayoría")


def ladder(
    results: Mapping[str, tuple[float, float, float] | None],
    *,
    zero: tuple[str, float] = ("una moneda", 0.5),
    xlabel: str = "Aciertos (%), con su intervalo del 95 %",
    limits: tuple[float, float] = (40, 90),
) -> Axes:
    """Una fila por sistema, con su color y su marca: su acierto y su intervalo, o un «?» mientras no se sepa.

    Parameters
    ----------
    results : mapping of str to (float, float, float) or None
        Nombre → media y los dos extremos del intervalo, de 0 a 1; ``None`` si está por ver.
    zero : (str, float)
        La raya y su nombre: 0,5 para aciertos, 0 para diferencias.
    xlabel, limits : str, (float, float)
        Lo que se mide y los extremos del eje, en puntos.

    Raises
    ------
    ValueError
        Si no hay ningún sistema o un intervalo no contiene su media.

    Notes
    -----
    Se enseña en la sesión 06.
    """
    rows = {name: values and tuple(100 * float(value) for value in values) for name, values in results.items()}
    styles = {name: (COLORS[_system(name)], _MARKS[_system(name)]) for name in results}
    name, place = zero
    return plots.plot_intervals(
        rows, xlabel=xlabel, reference=(name, 100 * place), styles=styles, limits=limits, sign=place == 0
    )


def pooled(tokens: Sequence[str], vectors, real: Sequence[bool]) -> Axes:
    """De una fila de fichas a un vector: la media de los suyos, sin los del relleno.

    Parameters
    ----------
    tokens : sequence of str
        Las T fichas, relleno incluido.
    vectors : (T, D) array
        Unos cuantos números de cada una.
    real : sequence of bool
        Cuáles son de verdad.

    Raises
    ------
    ValueError
        Si no hay un vector y un sí o no por ficha, o ninguna es de verdad.

    Notes
    -----
    Se enseña en la sesión 06.
    """
    vectors, real = np.asarray(vectors, dtype=float), np.asarray(real, dtype=bool)
    if vectors.ndim != 2 or len(vectors) != len(tokens) or real.shape != (len(tokens),) or not real.any():
        raise ValueError(
            f"Hacen falta {len(tokens)} vectores y {len(tokens)} síes o noes, con un sí al menos; recibo formas "
            f"{vectors.shape} y {real.shape}."
        )
    width = drawing.chips_width(tokens, _WORD) + 0.6
    ax = drawing.canvas(width, 4.3)
    colors = [drawing.PROMPT if ok else drawing.PADDING for ok in real]
    places = drawing.chips(ax, 0.3, 3.7, tokens, colors, size=_WORD, height=0.44)
    middle = width / 2
    for (x, _), vector, ok in zip(places, vectors, real, strict=True):
        drawing.strip(ax, x, 2.95, vector, 1.0 if ok else 0.25, 0.14, vertical=True)
        if ok:
            start = 2.95 - 0.07 * len(vector) - 0.08
            drawing.arrow(ax, (x, start), (middle + 0.15 * (x - middle), 1.55), color=drawing.ENCODER, width=1.5,
                          mutation_scale=12)  # fmt: skip
        else:
            drawing.label(ax, x, 2.1, "no\ncuenta", fontsize=_NOTE, color="#666666")
    drawing.strip(ax, middle, 1.1, vectors[real].mean(0), 1.0, 0.3)
    drawing.label(ax, middle, 0.62, f"la media de {real.sum()}: un vector por reseña", fontsize=_WORD)
    drawing.label(ax, middle, 0.2, "y con él, una regresión logística", fontsize=_NOTE)
    return ax


def label_words(prompt: str, words: Mapping[str, float], *, width: int = 46) -> Axes:
    """Clasificar sin entrenar: el texto, el hueco, y cuánta probabilidad da el modelo a cada palabra que cabría ahí.

    Parameters
    ----------
    prompt : str
        Lo que lee el modelo; acaba donde va la palabra.
    words : mapping of str to float
        Palabra → probabilidad (de 0 a 1).
    width : int
        Letras por línea.

    Raises
    ------
    ValueError
        Si no hay dos palabras o más, o algo no es una probabilidad.

    Notes
    -----
    Se enseña en la sesión 06.
    """
    if len(words) < 2 or not all(0 <= p <= 1 for p in words.values()):
        raise ValueError(f"Hacen falta dos palabras o más, cada una con su probabilidad; recibo {dict(words)!r}.")
    lines = [line for part in prompt.split("\n") for line in (wrap(part, width) or [""])]
    lines[-1] += " ____"
    height = 0.36 * len(lines) + 0.5
    ax = drawing.canvas(9.4, height + 0.62 * len(words) + 0.5)
    top = ax.get_ylim()[1] - 0.15
    text = "\n".join(lines)
    drawing.box(ax, 0.3, top - height, 8.8, height, "", drawing.PROMPT)
    drawing.label(
        ax, 0.55, top - height / 2, text, ha="left", fontsize=15, family=drawing.monospaced(), linespacing=1.35
    )
    best = max(words, key=words.get)
    for row, (word, p) in enumerate(words.items()):
        y, color = top - height - 0.55 - 0.62 * row, drawing.CHOSEN if word == best else drawing.GREY
        drawing.label(ax, 2.35, y, word, ha="right", fontsize=16)
        drawing.box(ax, 2.5, y - 0.17, 0.04 + 4.6 * p / words[best], 0.34, "", color, rounding=0.04)
        mark = " ◀" if word == best else ""
        drawing.label(ax, 2.65 + 4.6 * p / words[best], y, drawing.percent(p) + mark, ha="left", fontsize=15)
    return ax


def word_weights(weights: Mapping[str, float], *, ax: Axes | None = None) -> Axes:
    """Lo que la bolsa ha aprendido de unas palabras: a la izquierda, huelen a mala reseña; a la derecha, a buena.

    Raises
    ------
    ValueError
        Si no hay ninguna.

    Notes
    -----
    Se enseña en la sesión 06.
    """
    if not weights:
        raise ValueError("Hace falta el peso de al menos una palabra, y no hay ninguna.")
    ax = plots._axes(ax, 8, 0.36 * len(weights) + 1.1)  # noqa: SLF001
    ordered = sorted(weights.items(), key=lambda pair: pair[1])
    top = max(abs(value) for _, value in ordered)
    for row, (word, value) in enumerate(ordered):
        color = drawing.GREEN if value > 0 else drawing.RED
        ax.barh(row, value, color=color, hatch="" if value > 0 else "//", alpha=0.75)
        side = -1 if value > 0 else 1
        ax.text(0.03 * top * side, row, word, ha="right" if side < 0 else "left", va="center", fontsize=_WORD,
                parse_math=False)  # fmt: skip
    ax.axvline(0, color="black", linewidth=1)
    ax.set(yticks=[], xlim=(-1.1 * top, 1.1 * top), xlabel="← negativa        peso        positiva →")
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def confusion(table, names: Sequence[str], *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """La matriz de confusión: en filas, lo que era; en columnas, lo que se dijo. En la diagonal, los aciertos.

    Raises
    ------
    ValueError
        Si no es cuadrada o no tiene un nombre por fila.

    Notes
    -----
    Se enseña en la sesión 06.
    """
    table = np.asarray(table)
    if table.shape != (len(names), len(names)):
        raise ValueError(f"Con {len(names)} nombres la matriz es cuadrada de ese lado, y la recibida es {table.shape}.")
    ax = ax if ax is not None else plots._axes(None, 4.6, 4.2)  # noqa: SLF001
    ax.imshow(table / table.sum(1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        ink = "white" if count > 0.6 * table[row].sum() else "black"
        mark = " " + drawing.check_mark(True) if row == column else ""
        ax.text(column, row, f"{count}{mark}", ha="center", va="center", fontsize=22, color=ink)
    ax.set_xticks(range(len(names)), names, fontsize=_WORD)
    ax.set_yticks(range(len(names)), names, fontsize=_WORD, rotation=90, va="center")
    ax.set(xlabel="dice", ylabel="era", title=title)
    ax.tick_params(length=0)
    return ax


def learning_curve(
    sizes: Sequence[int],
    series: Mapping[str, Sequence[Sequence[float]]],
    *,
    level: tuple[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Aciertos según las etiquetas con que se aprende: la media de cada sistema y, en pálido, cada sorteo.

    Parameters
    ----------
    sizes : sequence of int
        Cuántas etiquetas, de menos a más.
    series : mapping of str to sequence of sequence of float
        Sistema → por tamaño, los aciertos de cada sorteo, de 0 a 1.
    level : (str, float), optional
        Uno que no aprende con ellas, y lo que acierta: una raya.

    Raises
    ------
    ValueError
        Si una serie no tiene unos aciertos por tamaño.

    Notes
    -----
    Se enseña en la sesión 06.
    """
    wrong = {name: len(values) for name, values in series.items() if len(values) != len(sizes)}
    if wrong or not series:
        raise ValueError(f"Cada sistema necesita {len(sizes)} medidas, una por tamaño; recibo {wrong or 'ninguno'}.")
    ax = plots._axes(ax, 8.6, 4.6)  # noqa: SLF001
    places = np.arange(len(sizes))
    for k, (name, values) in enumerate(series.items()):
        color, line = COLORS[_system(name)], _LINES[_system(name)]
        for x, each in zip(places, values, strict=True):
            ax.plot([x + 0.09 * (k - 1)] * len(each), [100 * v for v in each], ".", color=color, alpha=0.35, label="_")
        ax.plot(places, [100 * float(np.mean(v)) for v in values], line, color=color, linewidth=2.5, label=name,
                markersize=8)  # fmt: skip
    if level is not None:
        ax.plot(places, [100 * level[1]] * len(sizes), "-.", color=drawing.DECODER, linewidth=2, label=level[0])
    ax.axhline(50, color="black", linewidth=1, linestyle=":")
    ax.set_xticks(places, sizes)
    ax.set(xlabel="Etiquetas para aprender", ylabel="Aciertos (%)")
    ax.spines[["top", "right"]].set_visible(False)
    plots._name_lines(ax)  # noqa: SLF001
    return ax


def reliability(
    series: Mapping[str, tuple[Sequence[float], Sequence[int]]], *, bins: int = 5, ax: Axes | None = None
) -> Axes:
    """¿Acierta tanto como presume? En cada tramo de confianza, la que dice y los aciertos que hay. La raya es cumplir.

    Parameters
    ----------
    series : mapping of str to (sequence of float, sequence of int)
        Sistema → probabilidad de «positiva», de 0 a 1, y la etiqueta, 0 o 1.
    bins : int
        En cuántos grupos con las mismas reseñas se reparten, de menos a más seguras.

    Raises
    ------
    ValueError
        Si no hay una etiqueta por probabilidad.

    Notes
    -----
    Guo y otros (2017). Se enseña en la sesión 06.
    """
    ax = plots._axes(ax, 6.4, 5.4)  # noqa: SLF001
    for name, (probs, labels) in series.items():
        probs, labels = np.asarray(probs, dtype=float), np.asarray(labels)
        if probs.shape != labels.shape or not probs.size:
            raise ValueError(f"De {name} recibo {probs.size} probabilidades y {labels.size} etiquetas.")
        sure, right = np.maximum(probs, 1 - probs), (probs > 0.5) == (labels == 1)
        groups = np.array_split(np.argsort(sure, kind="stable"), bins)
        claimed, found = ([100 * values[g].mean() for g in groups] for values in (sure, right))
        ax.plot(claimed, found, _LINES.get(_system(name), "x-"), color=COLORS[_system(name)], linewidth=2.5,
                markersize=9, label=name)  # fmt: skip
    ax.plot([50, 100], [50, 100], color="black", linestyle=":", linewidth=1.2, label="_")
    ax.text(93, 86, "presume\nlo justo", ha="left", va="center", fontsize=_NOTE)
    ax.set(xlim=(49, 101), ylim=(40, 101), xlabel="Confianza que dice (%)", ylabel="Aciertos que hay (%)")
    ax.legend(frameon=False, loc="upper left", fontsize=_NOTE)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def by_kind(results: Mapping[str, Mapping[str, tuple[float, float, float]]], *, ax: Axes | None = None) -> Axes:
    """Los aciertos de cada sistema en cada clase de reseña, con su intervalo.

    Parameters
    ----------
    results : mapping of str to mapping of str to (float, float, float)
        Sistema → clase → media y extremos del intervalo, de 0 a 1. Todos, con las mismas clases.

    Raises
    ------
    ValueError
        Si no todos llevan las mismas clases.

    Notes
    -----
    Se enseña en la sesión 06.
    """
    kinds = [list(values) for values in results.values()]
    if not kinds or any(these != kinds[0] for these in kinds):
        raise ValueError(f"Todos los sistemas llevan las mismas clases, en el mismo orden; recibo {kinds}.")
    ax = plots._axes(ax, 8.6, 1.1 * len(kinds[0]) + 1.3)  # noqa: SLF001
    for k, (name, values) in enumerate(results.items()):
        color, mark = COLORS[_system(name)], _MARKS[_system(name)]
        for row, found in enumerate(values.values()):
            middle, low, high = (100 * float(value) for value in found)
            height = row + 0.22 * (k - (len(results) - 1) / 2)
            ax.plot([low, high], [height, height], color=color, linewidth=3, alpha=0.6)
            ax.plot(middle, height, mark, color=color, markersize=9, label=name if row == 0 else None)
    ax.axvline(50, color="black", linewidth=1, linestyle=":")
    ax.set_yticks(range(len(kinds[0])), kinds[0], fontsize=_WORD)
    ax.set(ylim=(len(kinds[0]) - 0.45, -0.55), xlabel="Aciertos (%), con su intervalo del 95 %")
    ax.figure.legend(frameon=False, fontsize=_NOTE, loc="outside upper center", ncols=len(results))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def cover() -> Axes:
    """La portada de la sesión 06: los seis sistemas, antes de saber nada."""
    return ladder(dict.fromkeys(SYSTEMS), limits=(40, 90))
