"""Ilustraciones de la sesión A3: las uniones de BPE, el GPT de abajo arriba y lo que ha cambiado desde entonces.

Aquí no se carga ningún modelo: los números llegan como argumentos.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from .. import drawing, plots
from ..drawing import number, percent

_NOTE, _WORD = 13, 14


def cover() -> Axes:
    """La portada de la sesión A3: ¿cuántas líneas hacen falta para que entren 8 791 040 números?"""
    ax = drawing.canvas(7.4, 2.6)
    drawing.box(ax, 0.2, 1.0, 2.9, 1.2, "tu programa:\n¿cuántas líneas?", drawing.CHOSEN, fontsize=16)
    drawing.box(ax, 4.3, 1.0, 2.9, 1.2, "pesos de verdad:\n8 791 040 números", drawing.DECODER, fontsize=16)
    drawing.arrow(ax, (4.2, 1.6), (3.2, 1.6))
    drawing.label(ax, 3.7, 0.45, "¿qué parte es atención?", fontsize=16)
    return ax


def merged(word: str, merges) -> list[str]:
    """Los trozos de una palabra tras aplicar unas uniones, en el orden en que se aprendieron.

    Parameters
    ----------
    word : str
        Una letra por byte, como las ve el tokenizador.
    merges : sequence of (str, str)
        Las parejas, de la primera a la última.

    Notes
    -----
    Se enseña en la sesión A3. Como la lista está ordenada y una unión solo usa trozos de las anteriores, una pasada
    por cada una equivale a buscar siempre la que se aprendió antes.
    """
    pieces = list(word)
    for pair in merges:
        out = []
        for piece in pieces:
            if out and (out[-1], piece) == tuple(pair):
                out[-1] += piece
            else:
                out.append(piece)
        pieces = out
    return pieces


def merging(steps) -> Axes:
    """Las mismas palabras en fichas, con cada vez más uniones: una fila por número de uniones.

    Parameters
    ----------
    steps : dict of int to sequence of str
        Cuántas uniones, y los trozos que quedan.

    Raises
    ------
    ValueError
        Si no hay ninguna fila.

    Notes
    -----
    Se enseña en la sesión A3.
    """
    if not steps:
        raise ValueError("No hay nada que dibujar: pasa al menos un número de uniones con sus trozos.")
    rows = {count: [piece.replace("Ġ", "␣") for piece in pieces] for count, pieces in steps.items()}
    widest = max(drawing.chips_width(pieces, _WORD) for pieces in rows.values())
    ax = drawing.canvas(1.75 + widest, 0.68 * len(rows) + 0.1)
    for k, (count, pieces) in enumerate(rows.items()):
        y = 0.68 * (len(rows) - 1 - k) + 0.15
        drawing.label(ax, 1.4, y + 0.23, f"{count} uniones", ha="right", fontsize=_NOTE)
        colors = [drawing.CHOSEN if len(piece.strip("␣")) > 1 else drawing.GREY for piece in pieces]
        drawing.chips(ax, 1.6, y, pieces, colors, size=_WORD)
    return ax


def tower(layers: int = 6) -> Axes:
    """El GPT de abajo arriba: un cable del que salen, y al que vuelven sumando, la atención y el MLP.

    Parameters
    ----------
    layers : int
        Cuántas veces se repite la capa.

    Notes
    -----
    Se enseña en la sesión A3.
    """
    ax = drawing.canvas(6.6, 7.4)
    cable = 1.6
    drawing.arrow(ax, (cable, 1.35), (cable, 6.3), color=drawing.GREY, width=5)
    drawing.box(ax, 0.4, 0.15, 2.4, 0.5, "ids", drawing.PROMPT, fontsize=15)
    drawing.box(ax, 0.4, 0.85, 2.4, 0.5, "wte + wpe", drawing.PROMPT, fontsize=15)
    drawing.arrow(ax, (cable, 0.66), (cable, 0.84), width=1.6, mutation_scale=12)
    drawing.label(ax, 3.0, 1.1, "el vector del token\ny el de su puesto", ha="left", fontsize=_NOTE)
    ax.add_patch(plt.Rectangle((0.95, 1.75), 5.4, 3.65, fill=False, ls="--", lw=1.4, ec=drawing.GREY))
    drawing.label(ax, 6.2, 5.2, f"× {layers} capas", ha="right", fontsize=_NOTE)
    for y, name, color, said in (
        (2.0, "atención", drawing.CHOSEN, "traer de los demás"),
        (3.7, "MLP", drawing.DECODER, "y pensarlo a solas"),
    ):
        drawing.box(ax, 2.9, y, 1.15, 0.5, "ln", drawing.GREY, fontsize=_WORD)
        drawing.box(ax, 4.45, y, 1.7, 0.5, name, color, fontsize=15)
        drawing.label(ax, 5.3, y + 0.78, said, fontsize=_NOTE)
        drawing.arrow(ax, (cable, y + 0.25), (2.88, y + 0.25), width=1.6, mutation_scale=12)
        drawing.arrow(ax, (4.07, y + 0.25), (4.43, y + 0.25), width=1.6, mutation_scale=12)
        ax.plot([5.3, 5.3], [y + 1.0, y + 1.18], color="black", lw=1.6)
        drawing.arrow(ax, (5.3, y + 1.18), (cable + 0.2, y + 1.18), width=1.6, mutation_scale=12)
        ax.plot([5.3, 5.3], [y + 0.5, y + 0.6], color="black", lw=1.6)
        drawing.label(ax, cable, y + 1.18, "⊕", fontsize=24, family="DejaVu Sans",
                      bbox={"boxstyle": "circle,pad=0.02", "fc": "white", "ec": "none"})  # fmt: skip
    drawing.box(ax, 0.4, 6.3, 2.4, 0.5, "ln_f · wteᵀ", drawing.PROMPT, fontsize=15)
    drawing.label(ax, 3.0, 6.55, "la misma tabla que a la entrada", ha="left", fontsize=_NOTE)
    drawing.arrow(ax, (cable, 6.82), (cable, 7.06), width=1.6, mutation_scale=12)
    drawing.label(ax, cable, 7.2, "logits", fontsize=15)
    return ax


def _bars(labels, values, texts, colors, *, height: float = 0.5, unit: str, top: float) -> Axes:
    """Barras horizontales, la primera arriba, cada una con lo que vale."""
    _, ax = plt.subplots(figsize=(8, height * len(labels) + 1.0), layout="constrained")
    drawing.with_comma(ax)
    rows = np.arange(len(labels))[::-1]
    ax.barh(rows, values, color=colors, height=0.72)
    for y, value, text in zip(rows, values, texts, strict=True):
        drawing.label(ax, value + 0.012 * top, y, text, ha="left", fontsize=_WORD)
    ax.set_yticks(rows, labels, fontsize=_WORD, parse_math=False)
    ax.set(xlim=(0, top), xlabel=unit)
    ax.grid(visible=False)
    return ax


def lens(said) -> Axes:
    """El token favorito tras cada capa, con su probabilidad, de la entrada (arriba) a la última.

    Parameters
    ----------
    said : sequence of (str, float)
        El de la entrada primero; la probabilidad, de 0 a 1.

    Notes
    -----
    Se enseña en la sesión A3. Fuente de la idea: nostalgebraist, «interpreting GPT: the logit lens» (2020).
    """
    names = ["entrada", *(f"capa {k}" for k in range(1, len(said)))]
    texts = [f"«{token}» {percent(p)}" for token, p in said]
    colors = [drawing.GREY] * (len(said) - 1) + [drawing.CHOSEN]
    ax = _bars(names, [p for _, p in said], texts, colors, unit="Probabilidad del favorito", top=1.25)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    return ax


def parameters(counted) -> Axes:
    """Cuántos números tiene cada parte, en barras con la misma escala, y su porcentaje.

    Parameters
    ----------
    counted : dict of str to int
        Los de cada parte.

    Notes
    -----
    Se enseña en la sesión A3.
    """
    total = sum(counted.values())
    millions = [count / 1e6 for count in counted.values()]
    digits = [1 if count / total < 0.005 else 0 for count in counted.values()]
    texts = [f"{percent(count / total, d)}" for count, d in zip(counted.values(), digits, strict=True)]
    colors = [drawing.CHOSEN if name == "atención" else drawing.DECODER for name in counted]
    top = 1.2 * max(millions)
    return _bars(list(counted), millions, texts, colors, unit="Millones de números", top=top)


def losses(measured, *, chance: float) -> Axes:
    """La pérdida con y sin cada pieza, y la raya de no saber nada.

    Parameters
    ----------
    measured : dict of str to float
        Nats por token; la primera, la del modelo entero.
    chance : float
        La pérdida de quien reparte por igual, en nats por token.

    Notes
    -----
    Se enseña en la sesión A3.
    """
    first = next(iter(measured))
    unit = "Pérdida (nats por token)"
    return plots.plot_bars(measured, xlabel=unit, highlight=first, reference=("al azar", chance))


def learning(curve, lines) -> Axes:
    """La pérdida de examen según los pasos, y rayas con nombre para comparar.

    Parameters
    ----------
    curve : sequence of (int, float)
        Paso y nats por token.
    lines : dict of str to float
        Nombre y altura de cada raya, en nats por token.

    Notes
    -----
    Se enseña en la sesión A3.
    """
    steps, values = zip(*curve, strict=True)
    _, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
    drawing.with_comma(ax)
    ax.plot(steps, values, "o-", color=drawing.DECODER)
    drawing.label(ax, steps[-1], values[-1] - 0.12, f"tu GPT: {number(values[-1], 2)}", ha="right", va="top",
                  color=drawing.DECODER, fontsize=_WORD)  # fmt: skip
    for name, height in lines.items():
        ax.axhline(height, color=drawing.GREY, ls="--", lw=1.6)
        drawing.label(ax, steps[-1], height + 0.06, f"{name}: {number(height, 2)}", ha="right", va="bottom",
                      fontsize=_WORD)  # fmt: skip
    ax.set(xlabel="Pasos", ylabel="Pérdida (nats por token)", ylim=(0, 1.12 * max(*values, *lines.values())))
    return ax


def by_place(scored) -> np.ndarray:
    """Lo que puntúa la misma palabra en cada par de puestos: un cuadrado por manera de decir el puesto.

    Parameters
    ----------
    scored : dict of str to (T, T) array
        Nombre y puntuaciones; fila, quien mira. Solo se dibuja lo que se puede mirar: la diagonal y lo de debajo.

    Notes
    -----
    Se enseña en la sesión A3. Los colores se reparten en cada cuadrado: se compara el dibujo, no la altura.
    """
    _, axes = plt.subplots(1, len(scored), figsize=(4.2 * len(scored), 4.4), layout="constrained", squeeze=False)
    for ax, (name, scores) in zip(axes[0], scored.items(), strict=True):
        scores = np.asarray(scores, dtype=float)
        seen = np.ma.masked_array(scores, mask=np.triu(np.ones(scores.shape, dtype=bool), 1))
        ax.imshow(seen, cmap="RdBu_r")
        ax.set(title=name, xlabel="Puesto mirado", ylabel="Puesto que mira" if ax is axes[0][0] else None)
        ax.grid(visible=False)
    return axes[0]


def shared_heads(queries: int, kept: int) -> Axes:
    """A la izquierda, cada cabeza guarda sus claves y valores; a la derecha, varias comparten los mismos.

    Parameters
    ----------
    queries : int
        Cuántas cabezas preguntan.
    kept : int
        Cuántas guardan, en el dibujo de la derecha.

    Raises
    ------
    ValueError
        Si no se reparten por igual.

    Notes
    -----
    Se enseña en la sesión A3. Fuente: Ainslie et al. (2023).
    """
    if kept < 1 or queries % kept:
        raise ValueError(f"{queries} cabezas no se reparten por igual entre {kept}: usa un divisor de {queries}.")
    step, gap = 0.52, 0.9
    width = 2 * queries * step + gap
    ax = drawing.canvas(width + 0.4, 2.75)
    for left, groups, title in (
        (0.2, queries, "una para cada una"),
        (0.2 + queries * step + gap, kept, f"{queries} preguntan, {kept} guardan"),
    ):
        share = queries // groups
        for k in range(queries):
            x = left + step * (k + 0.5)
            drawing.box(ax, x - 0.18, 1.75, 0.36, 0.42, "q", drawing.PROMPT, fontsize=_WORD)
            group = left + step * share * (k // share + 0.5)
            ax.plot([x, group], [1.73, 1.02], color=drawing.GREY, lw=1.8, zorder=0)
        for g in range(groups):
            x = left + step * share * (g + 0.5)
            drawing.box(ax, x - 0.21, 0.58, 0.42, 0.42, "k v", drawing.CACHED, fontsize=_NOTE - 1)
        drawing.label(ax, left + queries * step / 2, 0.22, title, fontsize=_NOTE)
    return ax
