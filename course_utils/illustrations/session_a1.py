"""Ilustraciones de la sesión A1: la mochila de una red recurrente, la cinta de una LSTM y un párrafo leído dos veces.

Aquí no se carga ningún modelo: los números llegan como argumentos.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch

from .. import drawing

_NOTE, _CELLS = 13, 8
WINDOW = ("La", "␣ventana", "␣daba", "␣al", "␣mar", ".")


def unrolled(tokens, states) -> Axes:
    """Una red recurrente, paso a paso: entra un token, y el estado que sale mide lo mismo que el que entró.

    Parameters
    ----------
    tokens : sequence of str
        Lo que se lee, (T,).
    states : sequence of sequence of float
        Los primeros números del estado tras leer cada token, (T, n).

    Raises
    ------
    ValueError
        Si no hay un estado por token.

    Notes
    -----
    Se enseña en la sesión A1.
    """
    if len(tokens) != len(states):
        raise ValueError(f"Hace falta un estado por token, y hay {len(tokens)} tokens y {len(states)} estados.")
    ax = drawing.canvas(8.0, 0.62 * len(tokens) + 0.75)
    chip_x, cell, state_x = 1.75, (2.35, 3.75), 5.3
    top = 0.62 * len(tokens) + 0.35
    for x, text in ((1.0, "lee"), (sum(cell) / 2, "mezcla"), (state_x, "estado")):
        drawing.label(ax, x, top, text, fontweight="bold", fontsize=15)
    for i, (token, state) in enumerate(zip(tokens, states, strict=True)):
        y = top - 0.52 - 0.62 * i
        drawing.chips(
            ax, chip_x - drawing.chips_width([token], 14), y - 0.19, [token], drawing.PROMPT, size=14, height=0.38
        )
        drawing.arrow(ax, (chip_x + 0.08, y), (cell[0] - 0.04, y), width=1.8, mutation_scale=13)
        drawing.box(ax, cell[0], y - 0.2, cell[1] - cell[0], 0.4, "la misma red", drawing.DECODER, fontsize=_NOTE)
        drawing.arrow(ax, (cell[1] + 0.04, y), (state_x - 0.75, y), width=1.8, mutation_scale=13)
        drawing.strip(ax, state_x, y, state, side=1.3 / len(state))
        if i < len(tokens) - 1:  # y la mochila pasa al renglón siguiente
            start, stop = (state_x, y - 0.16), (cell[1] - 0.3, y - 0.39)
            drawing.arrow(ax, start, stop, bend=-0.12, color=drawing.CHOSEN, width=2.4, mutation_scale=15)
    y = top - 0.52
    drawing.label(ax, 6.15, y, "un token cabe aquí", ha="left", fontsize=_NOTE)
    drawing.label(ax, 6.15, y - 0.62 * (len(tokens) - 1), "y la frase entera", ha="left", fontsize=_NOTE)
    return ax


def conveyor(*, forget: float, write: float, show: float) -> Axes:
    """Una LSTM por dentro: una cinta que sigue recta y tres grifos que deciden qué se borra, qué se añade y qué se ve.

    Parameters
    ----------
    forget, write, show : float
        Lo abierto que está cada grifo, de 0 a 1: cuánto se queda de lo que había, cuánto entra de lo nuevo y cuánto se
        enseña.

    Raises
    ------
    ValueError
        Si alguno no está entre 0 y 1.

    Notes
    -----
    Se enseña en la sesión A1.
    """
    for name, value in {"forget": forget, "write": write, "show": show}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} va de 0 (cerrado) a 1 (abierto), y es {value!r}.")
    ax = drawing.canvas(8.4, 4.5)
    belt, low = 3.35, 0.6
    ax.add_patch(FancyBboxPatch((1.1, 1.15), 6.0, 2.75, boxstyle="round,pad=0,rounding_size=0.2", facecolor="#F7F7F7",
                                edgecolor=drawing.DECODER, linewidth=2))  # fmt: skip
    ax.plot([0.3, 7.4], [belt, belt], color=drawing.CHOSEN, linewidth=9, solid_capstyle="butt", zorder=2)
    drawing.arrow(ax, (7.2, belt), (8.2, belt), color=drawing.CHOSEN, width=7, mutation_scale=28)
    drawing.label(ax, 0.62, belt + 0.3, "la cinta, c", fontsize=_NOTE, fontweight="bold")
    _joint(ax, 2.2, belt, "×")
    _joint(ax, 4.0, belt, "+")
    _joint(ax, 6.1, 2.3, "×")
    _tap(ax, 2.2, 1.75, "olvidar", forget, (2.2, belt - 0.2))
    _joint(ax, 4.0, 2.5, "×")
    _tap(ax, 3.4, 1.75, "escribir", write, (3.86, 2.36))
    drawing.box(ax, 4.15, 1.55, 0.95, 0.42, "lo nuevo", drawing.PROMPT, fontsize=_NOTE)
    drawing.arrow(ax, (4.6, 2.0), (4.14, 2.36), width=1.8, mutation_scale=13)
    drawing.arrow(ax, (4.0, 2.7), (4.0, belt - 0.2), width=1.8, mutation_scale=13)
    drawing.arrow(ax, (6.1, belt - 0.05), (6.1, 2.52), width=1.8, mutation_scale=13)
    drawing.label(ax, 6.2, 2.9, "tanh", ha="left", fontsize=_NOTE)
    _tap(ax, 6.1, 1.75, "enseñar", show, (6.1, 2.12))
    drawing.arrow(ax, (6.3, 2.3), (8.2, 2.3), width=2.4, mutation_scale=16)
    drawing.label(ax, 7.62, 2.55, "el estado, h", fontsize=_NOTE, fontweight="bold")
    drawing.chips(ax, 1.65, low - 0.2, ["␣mar"], drawing.PROMPT, size=14, height=0.4)
    text = "el token y el estado de antes, h, mueven los grifos y dan lo nuevo"
    drawing.label(ax, 2.5, low, text, ha="left", fontsize=_NOTE)
    drawing.arrow(ax, (2.0, low + 0.22), (2.0, 1.12), width=1.8, mutation_scale=13)
    return ax


def _joint(ax, x: float, y: float, sign: str) -> None:
    """Donde algo se multiplica o se suma."""
    ax.add_patch(Circle((x, y), 0.19, facecolor="white", edgecolor="black", linewidth=1.8, zorder=4))
    drawing.label(ax, x, y - 0.01, sign, fontsize=19, fontweight="bold", zorder=5)


def _tap(ax, x: float, y: float, name: str, opened: float, target: tuple[float, float]) -> None:
    """Un grifo con su nombre y lo abierto que está, y su flecha hasta donde actúa."""
    drawing.box(ax, x - 0.5, y - 0.2, 1.0, 0.42, name, drawing.WRITTEN, fontsize=_NOTE)
    drawing.label(ax, x, y - 0.4, f"{drawing.percent(opened, 0)}", fontsize=_NOTE)
    drawing.arrow(ax, (x, y + 0.24), target, color=drawing.WRITTEN, width=1.8, mutation_scale=13)


def read_twice(tokens=WINDOW, *, vertical: bool = False) -> Axes:
    """La apuesta: el mismo texto dos veces; una LSTM lo lleva en su mochila y un Transformer puede volver a mirarlo.

    Parameters
    ----------
    tokens : sequence of str
        El texto.
    vertical : bool, optional
        La segunda lectura, debajo de la primera.

    Notes
    -----
    Se enseña en la sesión A1.
    """
    width, gap = drawing.chips_width(tokens, 14, 0.06), 0.4
    total = width + 0.4 if vertical else 2 * width + gap + 0.3
    ax = drawing.canvas(total, 2.4 if vertical else 2.5)
    starts = [(0.2, 1.75), (0.2, 0.5)] if vertical else [(0.15, 1.0), (0.15 + width + gap, 1.0)]
    for (x, y), text in zip(starts, ("la primera vez", "y otra vez"), strict=True):
        drawing.chips(ax, x, y - 0.2, tokens, drawing.PROMPT, size=14, gap=0.06, height=0.4)
        drawing.label(ax, x + width / 2, y + 0.42, text, fontsize=15, fontweight="bold")
    if not vertical:
        middle = total / 2
        drawing.arrow(ax, (starts[1][0] + width * 0.75, 1.75), (starts[0][0] + width * 0.75, 1.75), bend=0.16,
                      color=drawing.CHOSEN, width=2.4, mutation_scale=18)  # fmt: skip
        drawing.label(ax, middle, 2.33, "¿mira atrás?", fontsize=15)
        drawing.arrow(ax, (starts[0][0], 0.4), (total - 0.15, 0.4), color=drawing.WRITTEN, width=6, mutation_scale=24)
        drawing.label(ax, middle, 0.13, "¿o le basta lo que lleva en la mochila?", fontsize=15)
    return ax


def cover() -> Axes:
    """La portada de la sesión A1: el mismo párrafo, dos veces."""
    return read_twice()
