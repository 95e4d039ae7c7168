"""Ilustraciones de la sesión 08: el prompt como programa, lo que la máscara deja pasar, la herramienta y la búsqueda.

Aquí no se carga ningún modelo ni se busca nada: los números y los textos llegan como argumentos.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from .. import drawing, plots
from ..drawing import BLUE, CHOSEN, GREEN, GREY, ORANGE, PROMPT, RED

_SMALL = 13
OUTCOMES = {"acierta": (GREEN, ""), "no lo sé": (GREY, ".."), "se lo inventa": (RED, "//")}


def workshop() -> Axes:
    """La portada: se escribe un prompt, contesta el modelo, se mide y se vuelve a escribir.

    Notes
    -----
    Se enseña en la sesión 08.
    """
    ax = drawing.canvas(9.2, 3.3)
    boxes = (
        ("prompt", 0.2, PROMPT),
        ("modelo", 2.55, drawing.DECODER),
        ("respuestas", 4.9, CHOSEN),
        ("medida", 7.25, GREEN),
    )
    for text, x, color in boxes:
        drawing.box(ax, x, 1.75, 1.75, 0.9, text, color)
    for x in (1.98, 4.33, 6.68):
        drawing.arrow(ax, (x, 2.2), (x + 0.54, 2.2))
    drawing.arrow(ax, (8.12, 1.7), (1.08, 1.7), bend=-0.22, color="black")
    drawing.label(ax, 4.6, 0.42, "¿mejor que el de antes? Con las mismas preguntas", fontsize=16)
    return ax


def allowed_next(written: str, candidates: Sequence[tuple[str, float, bool]]) -> Axes:
    """Los tokens que el modelo prefería después de lo escrito: los que la máscara deja pasar y los que tacha.

    Parameters
    ----------
    written : str
        Lo escrito hasta ahora.
    candidates : sequence of (str, float, bool)
        Token, probabilidad (0 a 1) y si vale.

    Raises
    ------
    ValueError
        Si no hay candidatos.

    Notes
    -----
    Se enseña en la sesión 08.
    """
    if not candidates:
        raise ValueError("No hay ningún token que dibujar: pon al menos uno.")
    ax = plots._axes(None, 8, 0.46 * len(candidates) + 1.3)  # noqa: SLF001
    top = max(100 * p for _, p, _ in candidates)
    for place, (_, p, valid) in enumerate(candidates):
        ax.barh(
            place, 100 * p, color=GREEN if valid else GREY, alpha=0.9 if valid else 0.45, hatch="" if valid else "//"
        )
        said = f"{drawing.percent(p)} {'vale' if valid else 'fuera'}"
        ax.text(100 * p + 0.02 * top, place, said, va="center", fontsize=_SMALL)
    names = [token.replace(" ", "␣").replace("\n", "⏎") for token, _, _ in candidates]
    ax.set_yticks(range(len(names)), names, family=drawing.monospaced(), fontsize=14, parse_math=False)
    ax.set(xlim=(0, 1.3 * top), ylim=(len(names) - 0.4, -0.6), xticks=[])
    ax.set_title(f"después de  {written}", family=drawing.monospaced(), fontsize=14, loc="left", parse_math=False)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    return ax


def removed_mass(tokens: Sequence[str], removed: Sequence[float]) -> Axes:
    """Cuánta probabilidad tacha la máscara antes de cada token de un JSON.

    Parameters
    ----------
    tokens : sequence of str
        Los tokens escritos.
    removed : sequence of float
        De cada uno, la probabilidad (0 a 1) que se había llevado lo que no vale.

    Raises
    ------
    ValueError
        Si no hay un número por token.

    Notes
    -----
    Se enseña en la sesión 08.
    """
    if len(tokens) != len(removed) or not len(tokens):
        raise ValueError(f"Hace falta un número por token: hay {len(tokens)} tokens y {len(removed)} números.")
    ax = plots._axes(None, 9, 3.6)  # noqa: SLF001
    places = range(len(tokens))
    ax.bar(places, [100 * float(value) for value in removed], color=ORANGE, width=0.75)
    names = [token.replace(" ", "␣") for token in tokens]
    ax.set_xticks(places, names, family=drawing.monospaced(), rotation=60, ha="right", fontsize=12, parse_math=False)
    ax.set(ylabel="Tachado (%)", ylim=(0, 105))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def tool_turns(question: str, call: str, result: str) -> Axes:
    """Los tres pasos de una herramienta: el modelo escribe la llamada, Python la hace y el resultado vuelve.

    Parameters
    ----------
    question, call, result : str
        Lo que se pregunta, el JSON que escribe el modelo y lo que da Python.

    Notes
    -----
    Se enseña en la sesión 08.
    """
    ax = drawing.canvas(9.2, 3.0)
    drawing.box(ax, 0.1, 2.05, 9.0, 0.7, question, PROMPT, fontsize=15)
    steps = (("el modelo escribe", call, drawing.DECODER, 0.1, 4.1), ("Python calcula", result, GREEN, 5.2, 1.6))
    for name, text, color, x, width in steps:
        drawing.box(ax, x, 0.75, width, 0.7, text, color, fontsize=15, family=drawing.monospaced())
        drawing.label(ax, x + width / 2, 0.4, name, fontsize=14)
    drawing.box(ax, 7.8, 0.75, 1.3, 0.7, "respuesta", CHOSEN, fontsize=14)
    drawing.arrow(ax, (2.15, 2.0), (2.15, 1.5))
    drawing.arrow(ax, (4.25, 1.1), (5.15, 1.1))
    drawing.arrow(ax, (6.85, 1.1), (7.75, 1.1))
    return ax


def outcomes(rows: Mapping[str, Sequence[int]], names: Sequence[str] = tuple(OUTCOMES)) -> Axes:
    """Barras partidas: de cada manera de preguntar, cuántas acierta, cuántas calla y cuántas se inventa.

    Parameters
    ----------
    rows : mapping of str to sequence of int
        Nombre → cuántas de cada clase, en el orden de ``names``.
    names : sequence of str
        Las clases: las de ``OUTCOMES``.

    Raises
    ------
    ValueError
        Si una fila no tiene un número por clase o alguno es negativo.

    Notes
    -----
    Se enseña en la sesión 08.
    """
    ax = plots._axes(None, 8.5, 0.75 * len(rows) + 1.3)  # noqa: SLF001
    for place, (row, counts) in enumerate(rows.items()):
        if len(counts) != len(names) or min(counts) < 0:
            raise ValueError(f"De {row!r} hace falta un número, 0 o más, por clase ({', '.join(names)}): {counts!r}.")
        left = 0
        for name, count in zip(names, counts, strict=True):
            color, hatch = OUTCOMES[name]
            label = name if place == 0 else None
            ax.barh(place, count, left=left, color=color, alpha=0.75, hatch=hatch, edgecolor="white", label=label)
            if count:
                ax.text(left + count / 2, place, str(count), ha="center", va="center", fontsize=15,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85})  # fmt: skip
            left += count
    ax.set_yticks(range(len(rows)), rows)
    ax.set(ylim=(len(rows) - 0.5, -0.5), xticks=[])
    ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.45, -0.02), frameon=False, fontsize=14)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    return ax


def retrieved(question: str, passages: Sequence[tuple[str, float]], *, width: int = 84) -> Axes:
    """Una pregunta y los pasajes que ha encontrado la búsqueda, con su puntuación, de mejor a peor.

    Parameters
    ----------
    question : str
        Lo que se pregunta.
    passages : sequence of (str, float)
        Texto y puntuación.
    width : int
        Letras de cada pasaje que se enseñan.

    Raises
    ------
    ValueError
        Si no hay pasajes.

    Notes
    -----
    Se enseña en la sesión 08.
    """
    if not passages:
        raise ValueError("No hay ningún pasaje que dibujar: pon al menos uno.")
    height = 0.95 * len(passages) + 1.1
    ax = drawing.canvas(9.2, height)
    drawing.box(ax, 0.1, height - 0.8, 9.0, 0.62, question, PROMPT, fontsize=15)
    for k, (text, score) in enumerate(passages):
        y = height - 1.75 - 0.95 * k
        shown = "\n".join(textwrap.wrap(text, width, max_lines=2, placeholder=" …"))
        drawing.box(ax, 1.35, y, 7.75, 0.75, "", CHOSEN if k == 0 else BLUE)
        drawing.label(ax, 1.5, y + 0.375, shown, fontsize=12, ha="left")
        drawing.label(ax, 0.65, y + 0.375, f"[{k + 1}]  {drawing.number(score)}", fontsize=14)
    return ax


def hits_curve(series: Mapping[str, Sequence[float]], ks: Sequence[int]) -> Axes:
    """Aciertos entre los k primeros, según k, de cada buscador.

    Parameters
    ----------
    series : mapping of str to sequence of float
        Nombre → aciertos (0 a 1), uno por k.
    ks : sequence of int
        Los valores de k.

    Raises
    ------
    ValueError
        Si una serie no tiene un número por k.

    Notes
    -----
    Se enseña en la sesión 08.
    """
    ax = plots._axes(None, 8, 3.9)  # noqa: SLF001
    looks = ((BLUE, "o-"), (ORANGE, "s--"), (GREY, "^:"))
    for (name, values), (color, style) in zip(series.items(), looks, strict=False):
        if len(values) != len(ks):
            raise ValueError(f"{name!r} tiene {len(values)} valores y hay {len(ks)} k: hace falta uno por k.")
        ax.plot(range(len(ks)), [100 * v for v in values], style, color=color)
        ax.text(len(ks) - 0.9, 100 * values[-1], name, color=color, va="center", fontsize=14)
    ax.set_xticks(range(len(ks)), ks)
    ax.set(xlabel="k pasajes", ylabel="Preguntas con el suyo (%)", ylim=(0, 106), xlim=(-0.2, len(ks) + 0.9))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def intruder(passage: str, order: str, answer: str) -> Axes:
    """Un pasaje con una orden escondida, y lo que contesta el modelo.

    Parameters
    ----------
    passage, order, answer : str
        El pasaje, la orden que alguien le ha puesto detrás y la respuesta.

    Notes
    -----
    Se enseña en la sesión 08.
    """
    ax = drawing.canvas(9.2, 2.75)
    drawing.box(ax, 0.1, 1.15, 9.0, 1.45, "", BLUE)
    shown = "\n".join(textwrap.wrap(textwrap.shorten(passage, 150, placeholder=" …"), 82))
    drawing.label(ax, 0.3, 2.2, shown, fontsize=13, ha="left")
    drawing.label(ax, 0.3, 1.45, order, fontsize=14, ha="left", color=RED, weight="bold")
    drawing.arrow(ax, (1.0, 1.1), (1.0, 0.78), color=RED)
    drawing.label(ax, 0.3, 0.42, f"responde: {answer}", fontsize=15, ha="left", family=drawing.monospaced())
    return ax


def cover() -> Axes:
    """La portada de la sesión 08."""
    return workshop()
