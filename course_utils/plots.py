"""Dibujos del curso: cada función recibe datos, dibuja en ``ax`` (o en uno nuevo) y devuelve el ``Axes``.

Los colores y la letra son los de ``_look``; los textos y las tablas para leer, los de ``cards``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from ._look import BLUE, GREEN, GREY, ORANGE, RED, monospaced, number, percent, register, tint, with_comma
from .cards import show_table, show_text  # noqa: F401 (los cuadernos los toman de aquí)

register()


def _axes(ax: Axes | None, width: float = 8, height: float = 4) -> Axes:
    return with_comma(ax if ax is not None else plt.subplots(figsize=(width, height), layout="constrained")[1])


def plot_distribution(
    probs: Mapping[str, float],
    *,
    highlight: str | None = None,
    xmax: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Barras horizontales con la probabilidad de cada candidata, en el orden dado (la primera, arriba).

    Parameters
    ----------
    probs : mapping of str to float
        Texto del token → probabilidad (entre 0 y 1).
    highlight : str, optional
        La candidata elegida: va en naranja y con «◀».
    xmax : float, optional
        Probabilidad en que acaba el eje, para comparar varios dibujos con la misma escala.

    Raises
    ------
    ValueError
        Si no hay nada que dibujar o alguna probabilidad no está en [0, 1].

    Notes
    -----
    Se enseña en las sesiones 02 y 03.
    """
    probs = dict(probs)
    if not probs or not all(0 <= p <= 1 for p in probs.values()):
        raise ValueError(f"Hace falta al menos una probabilidad y todas en [0, 1]; he recibido {probs!r}.")
    labels, values = list(probs), list(probs.values())
    ax = _axes(ax, height=0.34 * len(labels) + 1)
    y = np.arange(len(labels))
    bars = ax.barh(y, values, color=[ORANGE if label == highlight else BLUE for label in labels])
    marks = [percent(p) + (" ◀" if label == highlight else "") for label, p in probs.items()]
    ax.bar_label(bars, marks, padding=4)
    ax.set(yticks=y, xlim=(0, 1.18 * max(xmax or max(values), 1e-9)), xlabel="Probabilidad", title=title)
    ax.set_yticklabels(labels, fontfamily=monospaced(), parse_math=False)  # «$» es un token más
    ax.invert_yaxis()
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_trace(
    choices: Sequence[Sequence[tuple[str, float]]],
    *,
    chosen: Sequence[str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """La traza como mapa de calor: una fila por paso, una columna por candidata, más oscuro cuanto más probable.

    Parameters
    ----------
    choices : sequence of sequence of (str, float)
        Por cada paso, las candidatas con su probabilidad (``Generation.choices``).
    chosen : sequence of str, optional
        Lo elegido en cada paso: si está entre las candidatas, lleva marco rojizo; si no, se anota a la derecha.

    Raises
    ------
    ValueError
        Si no hay pasos o no todos tienen el mismo número de candidatas.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    if not choices or len({len(step) for step in choices}) != 1 or not choices[0]:
        raise ValueError(
            f"Cada paso debe traer las mismas candidatas (al menos una); recibo {[len(s) for s in choices]}."
        )
    if chosen is not None and len(chosen) != len(choices):
        raise ValueError(f"chosen debe traer un token por paso ({len(choices)}); he recibido {len(chosen)}.")
    probs = np.array([[p for _, p in step] for step in choices])  # (N, n)
    ax = _axes(ax, width=1.7 * probs.shape[1] + 1.5, height=0.42 * len(probs) + 1)
    ax.imshow(probs, cmap="Blues", vmin=0, vmax=probs.max(), aspect="auto")
    for row, step in enumerate(choices):
        for column, (label, p) in enumerate(step):
            ink = "white" if p > 0.6 * probs.max() else "black"
            ax.text(
                column,
                row,
                f"{label}  {percent(p, 0)}",
                ha="center",
                va="center",
                color=ink,
                fontsize=13,
                parse_math=False,
            )
        picked = chosen[row] if chosen is not None else None
        if picked in (labels := [label for label, _ in step]):
            corner = (labels.index(picked) - 0.47, row - 0.45)
            ax.add_patch(plt.Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=RED, linewidth=2.5))
        elif picked is not None:
            ax.text(
                len(step) - 0.4,
                row,
                f"← {picked}",
                va="center",
                color=RED,
                fontsize=13,
                clip_on=False,
                parse_math=False,
            )
    ax.set_xticks(range(probs.shape[1]), [f"Opción {i + 1}" for i in range(probs.shape[1])])
    ax.set_yticks(range(len(probs)), range(1, len(probs) + 1))
    ax.set(ylabel="Paso", title=title)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    return ax


def plot_epsilon_sweep(
    epsilons: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    ylabel: str,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Una o varias medidas frente a ε, de explotar siempre (0) a explorar siempre (1).

    Parameters
    ----------
    epsilons : sequence of float
        Valores de ε, (E,).
    series : mapping of str to sequence of float
        Nombre de la medida → sus E valores.

    Raises
    ------
    ValueError
        Si una medida no tiene tantos valores como ``epsilons``.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    return _lines(epsilons, series, xlabel="ε (probabilidad de explorar)", ylabel=ylabel, title=title, ax=ax)


def plot_times(
    lengths: Sequence[int], series: Mapping[str, Sequence[float]], *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Tiempo (segundos) de generar frente a los tokens generados; una línea por método. Se enseña en la sesión 02.

    Raises
    ------
    ValueError
        Si una serie no tiene tantos valores como ``lengths``.
    """
    return _lines(lengths, series, xlabel="Tokens generados", ylabel="Tiempo (s)", title=title, ax=ax)


def _lines(x, series, *, xlabel, ylabel, title, ax) -> Axes:
    wrong = {name: len(y) for name, y in series.items() if len(y) != len(x)}
    if wrong or not series or not len(x):
        raise ValueError(
            f"Cada serie necesita {len(x)} valores, uno por punto del eje x; he recibido {wrong or 'ninguna'}."
        )
    ax = _axes(ax)
    styles = cycle(zip([BLUE, RED, GREEN, ORANGE, GREY], ["o-", "s--", "^-.", "D:", "v-"], strict=True))
    for (name, y), (color, style) in zip(series.items(), styles, strict=False):
        ax.plot(x, y, style, color=color, linewidth=2, markersize=6, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if min(min(y) for y in series.values()) >= 0:
        ax.set_ylim(bottom=0)
    if all(float(v).is_integer() for v in x):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        _name_lines(ax)
    return ax


def _name_lines(ax: Axes) -> None:
    """Escribe el nombre de cada línea junto a su final, con su color, y separa los que se pisarían."""
    ax.get_ylim()  # los límites, al día
    lines = [line for line in ax.lines if not line.get_label().startswith("_")]
    ends = [
        ax.transLimits.transform((0, ax.yaxis.get_transform().transform([line.get_ydata()[-1]])[0])) for line in lines
    ]
    height = -1.0
    for line, (_, end) in sorted(zip(lines, ends, strict=True), key=lambda pair: pair[1][1]):
        height = max(end, height + 0.09)
        ax.text(
            1.02, height, line.get_label(), transform=ax.transAxes, va="center", color=line.get_color(),
            fontweight="bold", parse_math=False,
        )  # fmt: skip


# ---------------------------------------------------------------- sesión 01: mapas y máscaras
def plot_attention(
    weights: Sequence[Sequence[float]], tokens: Sequence[str], *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Un mapa de atención (o una máscara): la fila es quien mira; la columna, a quién; más oscuro, más atención.

    Parameters
    ----------
    weights : (T, T) array
        Pesos entre 0 y 1. Si es booleana es una máscara y cada casilla lleva «✓» (puede atender) o «·» (no puede).
    tokens : sequence of str
        Los T tokens.

    Raises
    ------
    ValueError
        Si ``weights`` no es cuadrada, no tiene el tamaño de ``tokens`` o hay valores fuera de [0, 1].

    Notes
    -----
    Se enseña en la sesión 01.
    """
    weights = np.asarray(weights)
    if weights.shape != (len(tokens),) * 2 or not weights.size or not (0 <= weights.min() <= weights.max() <= 1 + 1e-4):
        raise ValueError(
            f"Con {len(tokens)} tokens hace falta una matriz cuadrada de ese lado con valores entre 0 y 1; "
            f"la recibida tiene forma {weights.shape}."
        )
    ax = _axes(ax, width=0.5 * len(tokens) + 2, height=0.5 * len(tokens) + 2)
    ax.imshow(weights.astype(float), cmap="Blues", vmin=0, vmax=1.6 if weights.dtype == bool else weights.max())
    if weights.dtype == bool:
        for (row, column), sees in np.ndenumerate(weights):
            ax.text(column, row, "✓" if sees else "·", ha="center", va="center", fontsize=12)
    ax.set(xlabel="a quién atiende", ylabel="quién mira", title=title)
    ticks = range(len(tokens))
    ax.set_xticks(ticks, tokens, rotation=60, ha="right", rotation_mode="anchor", parse_math=False)
    ax.set_yticks(ticks, tokens, parse_math=False)
    ax.set_xticks(np.arange(len(tokens) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(tokens) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="both", length=0)
    return ax


# ---------------------------------------------------------------- sesión 04: relleno y curvas
def plot_padding(
    rows: Sequence[Sequence[int]],
    width: int,
    *,
    xmax: int | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Un lote visto desde arriba: cada fila, sus textos (azul) y el relleno que se paga sin aprender (gris rayado).

    Parameters
    ----------
    rows : sequence of sequence of int
        Por fila, los tokens de cada texto que lleva (uno solo si no se juntan).
    width : int
        Tokens de cada fila con su relleno.
    xmax : int, optional
        Donde acaba el eje, para comparar lotes.

    Raises
    ------
    ValueError
        Si no hay filas o alguna no cabe en ``width``.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    if not rows or max(map(sum, rows)) > width:
        raise ValueError(f"Las filas deben caber en {width} tokens y miden {[sum(row) for row in rows]}.")
    ax = _axes(ax, height=0.3 * len(rows) + 1)
    for y, row in enumerate(rows):
        starts = np.cumsum([0, *row])
        ax.barh([y] * len(row), row, left=starts[:-1], color=BLUE, edgecolor="white", height=0.85)
        ax.barh(y, width - starts[-1], left=starts[-1], color="#DDDDDD", edgecolor=GREY, hatch="///", height=0.85)
    ax.set(xlim=(0, xmax or width), xlabel="Tokens", ylabel="Fila del lote", title=title, yticks=[])
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_learning_curves(
    train: Sequence[float] | None,
    validation: Sequence[float],
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Pérdida por época (nats por token) en entrenamiento y validación, con la mejor época y el sobreajuste marcados.

    Parameters
    ----------
    train, validation : sequence of float
        Un valor por época. Sin ``train`` (``None``) se ve de cerca la de validación, con sus valores.

    Raises
    ------
    ValueError
        Si no hay valores o no son tantos en una como en otra.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    if not len(validation) or (train is not None and len(train) != len(validation)):
        found = "ninguno" if train is None else len(train)
        raise ValueError(
            f"Hace falta un valor por época; recibo {found} de entrenamiento y {len(validation)} de validación."
        )
    ax = _axes(ax)
    epochs = list(range(1, len(validation) + 1))
    best = epochs[int(np.argmin(validation))]
    if train is not None:
        ax.plot(epochs, train, "s--", color=ORANGE, linewidth=2, label="entrenamiento")
    ax.plot(epochs, validation, "o-", color=BLUE, linewidth=2, label="validación")
    ax.plot(best, min(validation), "*", color=RED, markersize=20, zorder=3)
    above, side = (-1 if train is None else 1), ("left" if best <= len(epochs) / 2 else "right")
    ax.annotate(
        f"la mejor: época {best}", (best, min(validation)), (0, 18 * above), textcoords="offset points", color=RED,
        ha=side if train is not None else "center", va="bottom" if above > 0 else "top",
    )  # fmt: skip
    if train is None:
        for epoch, value in zip(epochs, validation, strict=True):
            ax.annotate(
                number(value, 3), (epoch, value), (0, 13), textcoords="offset points", ha="center", fontsize=11,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )  # fmt: skip
    if best < len(epochs):
        ax.axvspan(best, len(epochs), color=RED, alpha=0.08)
        ax.text(
            (best + len(epochs)) / 2, 0.98, "sobreajuste", transform=ax.get_xaxis_transform(), ha="center", va="top"
        )
    ax.set(xlabel="Época", ylabel="Pérdida (nats por token)", title=title)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(y=0.25)
    if train is not None:
        _name_lines(ax)
    return ax


# ---------------------------------------------------------------- sesión 05: sorpresa, barras, parejas y ventanas
@dataclass(frozen=True)
class Surprise:
    """Un texto con la sorpresa de cada token (bits): se muestra con color y número, y sin HTML se lee como texto.

    Parameters
    ----------
    tokens : sequence of str
        Los T tokens, como los deja ``decoding.show_token``.
    bits : sequence of float
        La sorpresa de cada uno, ``-log2 P``, (T,).

    Raises
    ------
    ValueError
        Si no hay tantos bits como tokens, o no hay ninguno.

    Notes
    -----
    Se enseña en la sesión 05.
    """

    tokens: Sequence[str]
    bits: Sequence[float]

    def __post_init__(self):
        if not len(self.tokens) or len(self.tokens) != len(self.bits):
            raise ValueError(f"Hace falta un número por token; recibo {len(self.tokens)} y {len(self.bits)} bits.")

    def __repr__(self) -> str:
        return " ".join(f"{token}({number(bits)})" for token, bits in zip(self.tokens, self.bits, strict=True))

    def _repr_html_(self) -> str:
        style = "display:inline-block;margin:1px;padding:2px 4px;color:#000;text-align:center;font-family:monospace"
        pieces = []
        for token, bits in zip(self.tokens, self.bits, strict=True):
            said = f"{escape(token)}<br><small>{number(bits)}</small>"
            pieces.append(f'<span style="{style};background:{tint(bits)}">{said}</span>')
        return f'<div style="line-height:1.3">{"".join(pieces)}</div>'


def plot_bars(
    values: Mapping[str, float],
    *,
    xlabel: str,
    highlight: str | None = None,
    reference: tuple[str, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Barras horizontales con su número, en el orden dado (la primera, arriba).

    Parameters
    ----------
    values : mapping of str to float
        Nombre → valor, 0 o mayor.
    highlight : str, optional
        La que se pinta de naranja.
    reference : (str, float), optional
        Una raya vertical con su nombre, por ejemplo el azar.

    Raises
    ------
    ValueError
        Si no hay valores o alguno es negativo.

    Notes
    -----
    Se enseña en la sesión 05.
    """
    if not values or min(values.values()) < 0:
        raise ValueError(f"Hace falta al menos un valor y ninguno negativo; he recibido {dict(values)!r}.")
    ax = _axes(ax, width=9, height=0.5 * len(values) + 1.3)
    colors = [ORANGE if name == highlight else BLUE for name in values]
    bars = ax.barh(list(values), list(values.values()), color=colors, height=0.7)
    ax.bar_label(bars, [number(v, 2 if v < 10 else 0) for v in values.values()], padding=4, fontsize=12)
    ax.set(xlim=(0, 1.14 * max([*values.values(), 1e-9])), ylim=(len(values) - 0.5, -0.5))
    if reference is not None:
        ax.set_ylim(top=-1.1)
        ax.axvline(reference[1], color=RED, linestyle="--", linewidth=2)
        ax.text(reference[1], -0.75, f" {reference[0]}", color=RED, va="center", fontsize=12)
    ax.set_title(title, fontsize=13)
    ax.set_xlabel(xlabel, fontsize=12)
    ax.tick_params(labelsize=12)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_pairs(
    columns: Mapping[str, Sequence[float]], *, ylabel: str, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """La misma medida en varias versiones de cada caso: una línea por caso, y la mediana en naranja con su número.

    Parameters
    ----------
    columns : mapping of str to sequence of float
        Nombre de la versión → un valor positivo por caso, en el mismo orden en todas. El eje es logarítmico.

    Raises
    ------
    ValueError
        Si hay menos de dos versiones, no tienen los mismos casos o algún valor no es positivo.

    Notes
    -----
    Se enseña en la sesión 05.
    """
    sizes = {name: len(values) for name, values in columns.items()}
    if len(sizes) < 2 or len(set(sizes.values())) != 1 or not all(v > 0 for vs in columns.values() for v in vs):
        raise ValueError(f"Hacen falta dos versiones o más, con los mismos casos y positivos; he recibido {sizes}.")
    table = np.array(list(columns.values()))  # (versiones, casos)
    ax = _axes(ax, width=2.4 * len(table) + 1)
    x = np.arange(len(table))
    ax.plot(x, table, "o-", color=BLUE, alpha=0.35, markersize=4, linewidth=1)
    middle = np.median(table, axis=1)
    ax.plot(x, middle, "D--", color=RED, markersize=9, linewidth=3)
    for i, value in enumerate(middle):
        box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        ax.text(
            i - 0.07, value, f"mediana {number(value, 0)}", color=RED, ha="right", va="center", fontsize=12, bbox=box
        )
    ax.set(yscale="log", ylabel=ylabel, title=title, xlim=(-0.75, len(table) - 0.7))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))  # 1, 3, 10, 30…: también si no llega a una década
    ax.yaxis.set_major_formatter(lambda value, _: number(value, 0))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(x, list(columns), fontsize=12)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_intervals(
    rows: Mapping[str, tuple[float, float, float] | None],
    *,
    xlabel: str,
    reference: tuple[str, float] | None = None,
    styles: Mapping[str, tuple[str, str]] | None = None,
    ends: tuple[str, str] = ("", ""),
    limits: tuple[float, float] | None = None,
    digits: int = 1,
    sign: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Un punto por fila con su número y la raya de su intervalo; lo que está por ver lleva un «?».

    Parameters
    ----------
    rows : mapping of str to (float, float, float) or None
        Nombre → valor, extremo de abajo y extremo de arriba, de arriba abajo.
    xlabel : str
        Qué se mide, con su unidad.
    reference : (str, float), optional
        Una raya vertical con su nombre. El intervalo que no la toca va en naranja, y el que la toca, en gris.
    styles : mapping of str to (str, str), optional
        Nombre → color y marca, en vez de esos.
    ends : (str, str), optional
        Qué quiere decir caer a la izquierda y a la derecha.
    limits : (float, float), optional
        Los extremos del eje.
    digits, sign : int, bool
        Cifras detrás de la coma, y si el número lleva siempre su signo.

    Raises
    ------
    ValueError
        Si no hay filas o un intervalo no contiene su valor.

    Notes
    -----
    Se enseña en las sesiones 06 a 09.
    """
    wrong = {name: v for name, v in rows.items() if v is not None and not v[1] <= v[0] <= v[2]}
    if not rows or wrong:
        raise ValueError(f"De cada fila, (valor, de, a), con el valor dentro; he recibido {wrong or 'ninguna'}.")
    ax = _axes(ax, 8.6, 0.62 * len(rows) + 1.5)
    for place, (name, values) in enumerate(rows.items()):
        if values is None:
            ax.text(0.6, place, "?", transform=ax.get_yaxis_transform(), fontsize=22, ha="center", va="center")
            continue
        middle, low, high = map(float, values)
        apart = reference is None or not low <= reference[1] <= high
        color, mark = (styles or {}).get(name, (BLUE if reference is None else ORANGE if apart else GREY, "o"))
        ax.plot([low, high], [place, place], color=color, linewidth=4, alpha=0.55, solid_capstyle="round")
        ax.plot(middle, place, mark, color=color, markersize=11, markeredgewidth=2.5)
        ax.text(middle, place - 0.24, number(middle, digits, sign=sign), ha="center", va="bottom", fontsize=13,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
    if reference is not None:
        ax.axvline(reference[1], color="black", linewidth=1.2, linestyle=":")
        ax.text(reference[1], -0.85, f" {reference[0]}", va="center", fontsize=13)
    ax.set_yticks(range(len(rows)), rows, fontsize=15, parse_math=False)
    ax.set(xlim=limits, ylim=(len(rows) - 0.5, -1.05 if reference and reference[0] else -0.7), xlabel=xlabel)
    ax.set_title(f"← {ends[0]}" if ends[0] else "", loc="left", fontsize=13)
    ax.set_title(f"{ends[1]} →" if ends[1] else "", loc="right", fontsize=13)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    return ax


def plot_windows(
    windows: Sequence[int], series: Mapping[str, Sequence[float]], *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Perplejidad frente al tamaño de la ventana (eje logarítmico); una línea por avance. Se enseña en la sesión 05.

    Raises
    ------
    ValueError
        Si una serie no tiene tantos valores como ``windows``.
    """
    ax = _lines(windows, series, xlabel="Ventana (tokens)", ylabel="Perplejidad", title=title, ax=ax)
    ax.set_xscale("log", base=2)
    ax.set_xticks(windows, windows)
    return ax
