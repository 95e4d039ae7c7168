"""Ilustraciones de la sesión 01: un Transformer por dentro, que reaparece al empezar cada sesión con «estás aquí».

Aquí no se carga ningún modelo: los números llegan como argumentos. Los que vienen puestos son los del decodificador del
curso con «El rey y la», y una prueba los vuelve a calcular.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

from .. import drawing, plots

STAGES = {
    "tokens": ("Tokens", "el texto,\na trozos"),
    "embeddings": ("Vectores", "uno por\ntoken"),
    "attention": ("Atención", "cada uno mira\na los de antes"),
    "mlp": ("MLP", "y piensa\na solas"),
    "logits": ("Logits", "una puntuación\npor token → %"),
    "choice": ("Elección", "uno se elige\ny se añade"),
}
LEARNING = ("Lo que venía", "y con eso\nse compara")
_HERE, _WIRE, _FAINT, _SHARE = "#FFF1C9", "#555555", "#C9C9C9", "#7A5300"
_SMALL = 13


@dataclass(frozen=True)
class Journey:
    """Los números de un paso por el decodificador, para dibujarlos.

    Attributes
    ----------
    tokens : tuple of str
        Lo que dice cada token del *prompt*, (T,).
    vectors : tuple of tuple of float
        Los primeros números del vector con que cada uno entra en las capas, (T, n).
    final : tuple of float
        Los mismos números del último token al salir de las capas, (n,).
    attention : tuple of float
        Cómo reparte su atención el último token en la última capa, en la primera cabeza, (T,).
    choices : tuple of (str, float)
        Las candidatas favoritas a venir después, con su probabilidad.
    chosen : int
        Cuál de ellas se elige.
    layers, vocabulary : int
        Cuántas capas y cuántos tokens tiene el modelo.
    """

    tokens: tuple[str, ...]
    vectors: tuple[tuple[float, ...], ...]
    final: tuple[float, ...]
    attention: tuple[float, ...]
    choices: tuple[tuple[str, float], ...]
    chosen: int
    layers: int
    vocabulary: int


THE_KING = Journey(
    tokens=("El", "␣rey", "␣y", "␣la"),
    vectors=(
        (-0.10, 0.16, -0.26, 0.60, -0.18, 0.00, -0.89, 0.12),
        (0.15, -0.30, -0.22, 0.44, -0.40, -0.25, -0.37, -0.15),
        (-0.23, -0.00, -0.08, 0.20, -0.19, 0.00, -0.23, -0.23),
        (-0.15, 0.12, -0.21, 0.25, -0.12, 0.27, -0.49, -0.19),
    ),
    final=(0.78, -0.30, -0.25, 0.29, 0.30, -0.28, -0.68, -0.04),
    attention=(0.404, 0.568, 0.011, 0.017),
    choices=(("␣corte", 0.196), ("␣reina", 0.122), ("␣duquesa", 0.064), ("␣princesa", 0.032)),
    chosen=1,
    layers=6,
    vocabulary=4096,
)


def inside_transformer(
    here: str | None = None, *, journey: Journey = THE_KING, vertical: bool = False, learning: bool = False
) -> Axes:
    """Un Transformer por dentro: una frase, desde sus tokens hasta el que viene después.

    Cada token recorre su propio cable (la corriente residual). En cada capa, la atención trae a un cable lo que hay en
    los anteriores y el MLP trabaja con cada cable por separado; los dos **suman** lo suyo a lo que ya iba por él. Al
    final, el último cable da una puntuación a cada token del vocabulario.

    Parameters
    ----------
    here : str, optional
        Dónde poner «estás aquí»: ``"tokens"``, ``"embeddings"``, ``"attention"``, ``"mlp"``, ``"logits"`` o
        ``"choice"``.
    journey : Journey, optional
        Los números que se dibujan; los del decodificador del curso con «El rey y la».
    vertical : bool, optional
        De arriba abajo, para una pantalla estrecha.
    learning : bool, optional
        Al entrenar: en lugar de elegir un token y añadirlo, se compara con el que venía y la corrección vuelve.

    Raises
    ------
    ValueError
        Si ``here`` no es una de las seis etapas, o se pide ``learning`` de arriba abajo.

    Notes
    -----
    Se enseña en la sesión 01 y abre todas las demás.
    """
    if here is not None and here not in STAGES:
        raise ValueError(f"here es una de las etapas ({', '.join(STAGES)}) o None, y es {here!r}.")
    if learning and vertical:
        raise ValueError(
            "Lo que se aprende (learning=True) se dibuja solo de izquierda a derecha: quita vertical=True."
        )
    sketch = _Down(journey) if vertical else _Across(journey)
    stages = STAGES | ({"choice": LEARNING} if learning else {})
    for stage, words in stages.items():
        sketch.heading(stage, words, stage == here)
    sketch.layers()
    sketch.wires()
    sketch.tokens()
    sketch.attention()
    sketch.mlp()
    sketch.logits()
    if learning:
        sketch.correction()
    else:
        sketch.choice()
    if here is None and not vertical:  # sin señal no hace falta sitio para ella
        sketch.ax.figure.set_size_inches(sketch.size[0], 4.35)
        sketch.ax.set_ylim(0, 4.35)
    return sketch.ax


class _Sketch:
    """Lo que comparten las dos orientaciones: se dibuja en (a lo largo, a lo ancho) y ``at`` lo pasa a (x, y)."""

    size: tuple[float, float]
    stops: ClassVar[dict[str, tuple[float, float]]]  # etapa → dónde empieza y dónde acaba, a lo largo
    lanes: tuple[float, float]  # a lo ancho: el primer cable y la separación entre cables

    def __init__(self, journey: Journey):
        self.journey, self.ax = journey, drawing.canvas(*self.size)

    def at(self, along: float, across: float) -> tuple[float, float]:
        raise NotImplementedError

    def lane(self, i: int) -> float:
        return self.lanes[0] + i * self.lanes[1]

    def middle(self, stage: str) -> float:
        return sum(self.stops[stage]) / 2

    def line(self, *points, color=_WIRE, width=2.0, **style) -> None:
        x, y = zip(*(self.at(*point) for point in points), strict=True)
        self.ax.plot(x, y, color=color, linewidth=width, solid_capstyle="round", **style)

    def rectangle(self, along, across, **style) -> None:
        (x0, y0), (x1, y1) = self.at(along[0], across[0]), self.at(along[1], across[1])
        corner, width, height = (min(x0, x1), min(y0, y1)), abs(x1 - x0), abs(y1 - y0)
        shape = f"round,pad=0,rounding_size={style.pop('rounding', 0.1)}"
        self.ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, **style))

    def chip(self, x: float, y: float, text: str, color: str, size: float = _SMALL) -> None:
        """Una ficha centrada en (x, y)."""
        width = drawing.chips_width([text], size)
        drawing.chips(self.ax, x - width / 2, y - 0.18, [text], color, size=size, height=0.36)

    def strip(self, along: float, across: float, numbers) -> None:
        """Un vector: sus números en colores, rojo si es positivo y azul si es negativo, cada tira a su escala."""
        drawing.strip(self.ax, *self.at(along, across), numbers, side=0.105, vertical=not self.flat, zorder=3)

    def plus(self, along: float, across: float) -> None:
        """El «⊕» de la corriente residual: aquí se suma."""
        x, y = self.at(along, across)
        self.ax.add_patch(Circle((x, y), 0.095, facecolor="white", edgecolor=_WIRE, linewidth=1.6, zorder=4))
        for dx, dy in ((0.055, 0), (0, 0.055)):
            self.ax.plot([x - dx, x + dx], [y - dy, y + dy], color=_WIRE, linewidth=1.6, zorder=5)

    def pill(self, x: float, y: float, down: bool) -> None:
        """«estás aquí», con su pico hacia lo señalado."""
        width = 0.98
        self.ax.add_patch(
            FancyBboxPatch(
                (x - width / 2, y - 0.15), width, 0.3, boxstyle="round,pad=0,rounding_size=0.15", facecolor="black"
            )
        )
        tip = [(x - 0.1, y - 0.14), (x + 0.1, y - 0.14), (x, y - 0.28)]
        if not down:
            tip = [(x - width / 2 + 0.02, y - 0.1), (x - width / 2 + 0.02, y + 0.1), (x - width / 2 - 0.14, y)]
        self.ax.add_patch(Polygon(tip, facecolor="black"))
        drawing.label(self.ax, x, y - 0.01, "estás aquí", color="white", fontsize=_SMALL, fontweight="bold")

    def wires(self) -> None:
        end = self.stops["mlp"][1]
        last = len(self.journey.tokens) - 1
        for i in range(len(self.journey.tokens)):
            stop = self.stops["logits"][0] + (0.1 if i == last else -0.04)
            self.line((self.stops["tokens"][1] - 0.1, self.lane(i)), (max(end, stop), self.lane(i)), zorder=1)

    def tokens(self) -> None:
        for i, (token, vector) in enumerate(zip(self.journey.tokens, self.journey.vectors, strict=True)):
            self.chip(*self.at(self.token_place, self.lane(i)), token, plots.BLUE)
            self.strip(self.middle("embeddings"), self.lane(i), vector)

    def attention(self) -> None:
        start, stop = self.stops["attention"]
        last = len(self.journey.tokens) - 1
        for reader in range(last):  # los demás también miran hacia atrás: en gris, para no estorbar
            for i in range(reader):
                self.curve((start + self.lead, self.lane(i)), (stop - 0.3, self.lane(reader)), _FAINT, 1.2)
        for i, weight in enumerate(self.journey.attention):
            if i < last:
                self.curve(
                    (start + self.lead, self.lane(i)), (stop - 0.3, self.lane(last)), plots.ORANGE, 1 + 12 * weight
                )
            self.share(i, weight)
        for i in range(last + 1):
            self.plus(stop - 0.2, self.lane(i))

    def curve(self, start, stop, color, width) -> None:
        t = np.linspace(0, 1, 40)
        ease = t * t * (3 - 2 * t)
        points = zip(start[0] + (stop[0] - start[0]) * t, start[1] + (stop[1] - start[1]) * ease, strict=True)
        self.line(*points, color=color, width=width, zorder=2)

    def mlp(self) -> None:
        middle, stop = self.middle("mlp") - 0.08, self.stops["mlp"][1]
        for i in range(len(self.journey.tokens)):
            t = np.linspace(0, np.pi, 30)
            reach = stop - 0.2 - (self.stops["mlp"][0] + 0.02)
            bypass = zip(stop - 0.2 - reach * (1 + np.cos(t)) / 2, self.lane(i) - 0.24 * np.sin(t) ** 0.6, strict=True)
            self.line(*bypass, width=1.2, zorder=1)
            self.rectangle(
                (middle - 0.2, middle + 0.2),
                (self.lane(i) - 0.13, self.lane(i) + 0.13),
                facecolor="white",
                edgecolor="black",
                linewidth=1.8,
                rounding=0.06,
                zorder=3,
            )
            self.plus(stop - 0.2, self.lane(i))

    def bars(self, x: float, y: float, step: float, room: float) -> None:
        best = max(p for _, p in self.journey.choices)
        letter = drawing._monospaced_width() * _SMALL / 72  # noqa: SLF001
        left = x + letter * max(len(name) for name, _ in self.journey.choices) + 0.08
        for k, (name, p) in enumerate(self.journey.choices):
            height = y - k * step
            drawing.label(self.ax, left - 0.07, height, name, ha="right", fontsize=_SMALL, family=drawing.monospaced())
            color = plots.ORANGE if k == self.journey.chosen else plots.BLUE
            self.ax.add_patch(Rectangle((left, height - 0.1), room * p / best, 0.2, facecolor=color))
            text = drawing.percent(p, 0)
            drawing.label(self.ax, left + room * p / best + 0.06, height, text, ha="left", fontsize=_SMALL)
        rest = self.journey.vocabulary - len(self.journey.choices)
        drawing.label(self.ax, left - 0.07, y - len(self.journey.choices) * step, "…", ha="right", fontsize=_SMALL)
        count = drawing.number(rest, 0)
        drawing.label(
            self.ax, left, y - len(self.journey.choices) * step, f"y otros {count}", ha="left", fontsize=_SMALL,
            color="#444444",
        )  # fmt: skip


class _Across(_Sketch):
    """De izquierda a derecha: cada token, una fila."""

    size, flat, lead, token_place = (8.6, 4.75), True, 0.5, 0.52
    stops: ClassVar = {
        "tokens": (0.06, 1.0),
        "embeddings": (1.0, 2.06),
        "attention": (2.06, 3.7),
        "mlp": (3.7, 4.63),
        "logits": (4.63, 7.1),
        "choice": (7.1, 8.54),
    }
    lanes = (3.28, -0.62)

    def at(self, along, across):
        return along, across

    def heading(self, stage, words, here):
        (start, stop), (title, caption) = self.stops[stage], words
        if here:
            self.rectangle((start + 0.02, stop - 0.02), (0.52, 4.28), facecolor=_HERE, edgecolor="none", zorder=0)
            self.pill(max(self.middle(stage), 0.56), 4.55, down=True)
        drawing.label(self.ax, self.middle(stage), 4.07, title, fontweight="bold", fontsize=15)
        for k, line in enumerate(caption.split("\n")):
            drawing.label(self.ax, self.middle(stage), 0.9 - 0.24 * k, line, fontsize=_SMALL)

    def layers(self):
        along = (self.stops["attention"][0] + 0.05, self.stops["mlp"][1] - 0.02)
        style = {"facecolor": "none", "edgecolor": plots.GREY, "linewidth": 1.6, "linestyle": (0, (3, 2))}
        self.rectangle(along, (1.08, 3.84), zorder=0, **style)
        x = self.stops["mlp"][1] - 0.12
        drawing.label(self.ax, x, 3.68, f"× {self.journey.layers} capas", ha="right", fontsize=_SMALL, style="italic")

    def share(self, i, weight):
        x, y = self.stops["attention"][0] + 0.12, self.lane(i) + 0.15
        drawing.label(self.ax, x, y, drawing.percent(weight, 0), ha="left", fontsize=12, color=_SHARE)

    def logits(self):
        start, last = self.stops["logits"][0], self.lane(len(self.journey.tokens) - 1)
        self.strip(start + 0.56, last, self.journey.final)
        drawing.arrow(self.ax, (start + 0.56, last + 0.17), (start + 0.56, 2.05), width=1.8, mutation_scale=13)
        self.bars(start + 0.04, 3.55, 0.3, 0.75)

    def choice(self):
        middle, y = self.middle("choice"), 3.55 - 0.3 * self.journey.chosen
        drawing.arrow(self.ax, (middle - 0.8, y), (middle - 0.5, y), width=1.8, mutation_scale=13)
        self.chip(middle, y, self.journey.choices[self.journey.chosen][0], plots.ORANGE)
        line = {"color": plots.ORANGE, "width": 2, "linestyle": (0, (4, 2))}
        self.line((middle, y - 0.24), (middle, 1.1), **line)
        self.line((middle, 0.5), (middle, 0.27), (0.52, 0.27), **line)
        drawing.arrow(self.ax, (0.52, 0.27), (0.52, 0.5), color=plots.ORANGE, width=2, mutation_scale=13)
        back = "se añade al texto, y vuelta a empezar"
        drawing.label(self.ax, 4.3, 0.27, back, fontsize=_SMALL, backgroundcolor="white")

    def correction(self):
        middle, y = self.middle("choice"), 3.55 - 0.3 * self.journey.chosen
        self.chip(middle, y, self.journey.choices[self.journey.chosen][0], plots.ORANGE)
        drawing.arrow(self.ax, (middle - 0.5, y), (middle - 0.8, y), color=plots.RED, width=3, mutation_scale=15)
        start, stop = self.middle("logits"), self.middle("embeddings")
        line = {"color": plots.RED, "width": 3, "linestyle": (0, (4, 2))}
        self.line((start, 0.5), (start, 0.27), (stop, 0.27), **line)
        drawing.arrow(self.ax, (stop, 0.27), (stop, 0.52), color=plots.RED, width=3, mutation_scale=15)
        for stage in ("mlp", "attention"):
            drawing.arrow(self.ax, (self.middle(stage), 0.27), (self.middle(stage), 0.52), color=plots.RED, width=3,
                          mutation_scale=15)  # fmt: skip
        label = "la corrección vuelve"
        drawing.label(self.ax, start + 0.12, 0.2, label, ha="left", fontsize=_SMALL, fontweight="bold", color="#8A3C00")


class _Down(_Sketch):
    """De arriba abajo: cada token, una columna; los rótulos, a la derecha."""

    size, flat, lead, token_place = (4.4, 9.1), False, 0.5, 0.62
    stops: ClassVar = {
        "tokens": (0.1, 1.2),
        "embeddings": (1.2, 2.4),
        "attention": (2.4, 4.1),
        "mlp": (4.1, 5.3),
        "logits": (5.3, 7.95),
        "choice": (7.95, 9.0),
    }
    lanes = (0.58, 0.625)

    def at(self, along, across):
        return across, self.size[1] - along

    def heading(self, stage, words, here):
        (start, stop), (title, caption) = self.stops[stage], words
        x, y = 3.0, self.size[1] - start - 0.26
        if here:
            self.rectangle((start + 0.02, stop - 0.02), (0.03, 4.37), facecolor=_HERE, edgecolor="none", zorder=0)
            self.pill(3.65, y - 0.74, down=False)
        drawing.label(self.ax, x, y, title, ha="left", fontweight="bold", fontsize=15)
        for k, line in enumerate(caption.split("\n")):
            drawing.label(self.ax, x, y - 0.25 - 0.21 * k, line, ha="left", fontsize=_SMALL)

    def layers(self):
        along = (self.stops["attention"][0] + 0.06, self.stops["mlp"][1] - 0.06)
        style = {"facecolor": "none", "edgecolor": plots.GREY, "linewidth": 1.6, "linestyle": (0, (3, 2))}
        self.rectangle(along, (0.3, 2.92), zorder=0, **style)
        x, y = self.at(sum(along) / 2, 0.15)
        text = f"× {self.journey.layers} capas"
        drawing.label(self.ax, x, y, text, rotation=90, fontsize=_SMALL, style="italic")

    def share(self, i, weight):
        x, y = self.at(self.stops["attention"][0] + 0.27, self.lane(i) + 0.05)
        drawing.label(self.ax, x, y, drawing.percent(weight, 0), ha="left", fontsize=12, color=_SHARE)

    def logits(self):
        start, last = self.stops["logits"][0], self.lane(len(self.journey.tokens) - 1)
        self.strip(start + 0.56, last, self.journey.final)
        (x, y), (_, end) = self.at(start + 1.04, last), self.at(start + 1.24, last)
        drawing.arrow(self.ax, (x, y), (x, end), width=1.8, mutation_scale=13)
        self.bars(0.12, self.size[1] - start - 1.42, 0.28, 0.75)

    def choice(self):
        (x, y), top = self.at(self.middle("choice"), 1.4), self.size[1] - self.stops["logits"][0] - 1.42
        top -= 0.28 * self.journey.chosen
        self.line((self.size[1] - top, 2.55), (self.size[1] - top, 2.75), (self.middle("choice"), 2.75), color="black")
        drawing.arrow(self.ax, (2.75, y), (x + 0.5, y), width=2, mutation_scale=13)
        self.chip(x, y, self.journey.choices[self.journey.chosen][0], plots.ORANGE)


def qkv_strips(tokens, query, keys, values, weights, *, scores, result) -> Axes:
    """Q, K y V como tiras de números: la consulta del último token, frente a las claves y los valores de todos.

    Parameters
    ----------
    tokens : sequence of str
        Los tokens que puede mirar el último, (T,).
    query : sequence of float
        La consulta del último token, (n,): los primeros números, los que se dibujan.
    keys, values : sequence of sequence of float
        La clave y el valor de cada token, (T, n).
    weights : sequence of float
        El reparto que sale de softmax, (T,).
    scores : sequence of float
        Las puntuaciones de antes de softmax, (T,).
    result : sequence of float
        La media de los valores con ese reparto, (n,).

    Raises
    ------
    ValueError
        Si no hay una clave, un valor, una puntuación y un peso por token.

    Notes
    -----
    Se enseña en la sesión 01.
    """
    counts = [len(keys), len(values), len(weights), len(scores)]
    if set(counts) != {len(tokens)}:
        raise ValueError(f"Hay {len(tokens)} tokens, y claves, valores, pesos y puntuaciones son {counts}.")
    step, height = 0.56, 0.56 * len(tokens) + 1.95
    ax = drawing.canvas(6.9, height)
    key_x, value_x, score_x, bar_x = 1.75, 6.05, 3.05, 3.6
    top = height - 0.5
    drawing.label(ax, 0.1, top, "Busca:", ha="left", fontweight="bold", fontsize=14)
    drawing.chips(ax, 1.02 - 0.28, top - 0.18, [tokens[-1]], plots.ORANGE, size=_SMALL, height=0.36)
    drawing.strip(ax, 1.75 + 0.35, top, query)
    drawing.label(ax, 2.95, top, "su consulta, q", ha="left", fontsize=_SMALL)
    titles = [(key_x, "claves, k"), (score_x, "q · k / √D"), (bar_x + 0.45, "reparto"), (value_x, "valores, v")]
    for x, text in titles:
        drawing.label(ax, x, top - 0.62, text, fontweight="bold", fontsize=14)
    strongest = max(weights)
    rows = [top - 1.1 - step * i for i in range(len(tokens))]
    for y, token, key, value, score, weight in zip(rows, tokens, keys, values, scores, weights, strict=True):
        width = drawing.chips_width([token], _SMALL)
        drawing.chips(ax, 0.46 - width / 2, y - 0.18, [token], plots.BLUE, size=_SMALL, height=0.36)
        drawing.strip(ax, key_x, y, key)
        drawing.label(ax, score_x, y, drawing.number(score), fontsize=_SMALL)
        ax.add_patch(Rectangle((bar_x, y - 0.12), 0.9 * weight / strongest, 0.24, facecolor=plots.ORANGE))
        drawing.label(
            ax, bar_x + 0.9 * weight / strongest + 0.06, y, drawing.percent(weight, 0), ha="left", fontsize=_SMALL
        )
        drawing.strip(ax, value_x, y, value, strength=0.15 + 0.85 * weight / strongest)
    end = rows[-1] - 0.62
    drawing.strip(ax, value_x - 0.02, end, result)
    text = "la media de los valores, según el reparto:\neso es lo que se lleva «la»".replace(
        "«la»", f"«{tokens[-1].strip('␣')}»"
    )
    drawing.label(ax, value_x - 0.85, end, text, ha="right", fontsize=_SMALL)
    return ax


def who_moved(results, *, title: str | None = None):
    """Cuánto se ha movido cada vector al cambiar un token: un panel por modelo, los dos con la misma escala.

    Parameters
    ----------
    results : mapping of str to (tokens, moved, changed)
        Por cada modelo, sus tokens, lo que se ha movido el vector de cada uno y la posición del que se ha cambiado.
    title : str, optional
        Lo que se lee encima.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        Si algún modelo no trae una distancia por token.

    Notes
    -----
    Se enseña en la sesión 01.
    """
    for name, (tokens, moved, _) in results.items():
        if len(tokens) != len(moved):
            raise ValueError(f"{name}: hay {len(tokens)} tokens y {len(moved)} distancias.")
    longest = max(len(tokens) for tokens, _, _ in results.values())
    top = max(float(max(moved)) for _, moved, _ in results.values())
    fig, axes = plt.subplots(1, len(results), figsize=(8, 0.31 * longest + 0.8), layout="constrained", squeeze=False)
    for ax, (name, (tokens, moved, changed)) in zip(axes[0], results.items(), strict=True):
        own = drawing.DECODER if name.startswith("Deco") else drawing.ENCODER
        for i, distance in enumerate(map(float, moved)):
            color = drawing.CHOSEN if i == changed else own
            ax.barh(i, distance, color=color, height=0.72)
            mark = drawing.number(distance) + (" ◀ cambio" if i == changed else "")
            ax.text(distance + 0.02 * top, i, mark, va="center", fontsize=_SMALL)
        ax.set_yticks(range(len(tokens)), tokens, family=drawing.monospaced(), fontsize=_SMALL, parse_math=False)
        ax.set(xlim=(0, 1.75 * top), ylim=(longest - 0.4, -0.6), xticks=[])
        ax.set_title(name, fontsize=15, fontweight="bold")
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        ax.tick_params(length=0)
    if title:
        fig.suptitle(title, fontsize=15)
    return fig


def changed_word(tokens, changed: int, new: str, *, vertical: bool = False) -> Axes:
    """La apuesta: la misma frase con un token cambiado, y una interrogación debajo de cada uno.

    Parameters
    ----------
    tokens : sequence of str
        La frase.
    changed : int
        El token que se cambia.
    new : str
        Por cuál.
    vertical : bool, optional
        En dos renglones, para una pantalla estrecha.

    Raises
    ------
    ValueError
        Si ``changed`` no es una posición de la frase.

    Notes
    -----
    Se enseña en la sesión 01.
    """
    if not 0 <= changed < len(tokens):
        raise ValueError(f"changed es una posición de la frase, de 0 a {len(tokens) - 1}, y es {changed!r}.")
    size = 14 if vertical else 15
    widths = [drawing.chips_width([token], size) for token in tokens]
    old, widths[changed] = widths[changed], max(widths[changed], drawing.chips_width([new], size))
    lines = [range(changed + 1), range(changed + 1, len(tokens))] if vertical else [range(len(tokens))]
    total = max(sum(widths[i] + 0.08 for i in line) for line in lines) + 0.12
    ax = drawing.canvas(total, 1.95 + 1.75 * (len(lines) - 1))
    for row, line in enumerate(lines):
        x, y = 0.1, 0.75 + 1.6 * (len(lines) - 1 - row)
        for i in line:
            text, color = (new, plots.ORANGE) if i == changed else (tokens[i], plots.BLUE)
            middle = x + widths[i] / 2
            own = drawing.chips_width([text], size)
            drawing.chips(ax, middle - own / 2, y, [text], color, size=size, height=0.42)
            if i == changed:
                style = {"facecolor": "white", "linestyle": "--"}
                drawing.chips(ax, middle - old / 2, y + 0.74, [tokens[i]], plots.GREY, size=size, height=0.42, **style)
                drawing.arrow(ax, (middle, y + 0.72), (middle, y + 0.46), color=plots.ORANGE, mutation_scale=15)
            drawing.label(ax, middle, y - 0.3, "!" if i == changed else "?", fontsize=19, fontweight="bold")
            x += widths[i] + 0.08
    return ax


def cover() -> Axes:
    """La portada de la sesión 01: cambia una palabra, ¿quién se entera?"""
    tokens = ("El", "␣rey", "␣y", "␣la", "␣reina", "␣viv", "ían", "␣en", "␣un", "␣palacio", ".")
    return changed_word(tokens, 4, "␣noche")


LANES = {"codificador": drawing.ENCODER, "codificador-decodificador": "black", "decodificador": drawing.DECODER}


def families(models, *, vertical: bool = False) -> Axes:
    """Las familias en el tiempo: un carril por familia y una ficha por modelo, en su año.

    Parameters
    ----------
    models : sequence of (str, int, str)
        Nombre, año y familia: «codificador», «codificador-decodificador» o «decodificador».
    vertical : bool, optional
        El tiempo va siempre hacia abajo; con ``True``, más estrecho.

    Raises
    ------
    ValueError
        Si una familia no es de las tres.

    Notes
    -----
    Se enseña en la sesión 01.
    """
    wrong = sorted({family for _, _, family in models if family not in LANES})
    if wrong:
        raise ValueError(f"Las familias son {', '.join(LANES)}, y hay {', '.join(wrong)}.")
    years = sorted({year for _, year, _ in models})
    cells = {(year, lane): [n for n, y, f in models if (y, f) == (year, lane)] for year in years for lane in LANES}
    rows = {year: max(len(cells[year, lane]) for lane in LANES) for year in years}
    step, width = 0.36, 5.2 if vertical else 8.0
    ax = drawing.canvas(width, step * sum(rows.values()) + 0.14 * len(years) + 0.85)
    lane_width = (width - 0.75) / 3
    size = 12 if vertical else _SMALL
    heads = {"codificador": "Codificador", "codificador-decodificador": "Los dos", "decodificador": "Decodificador"}
    y = step * sum(rows.values()) + 0.14 * len(years) + 0.1
    for j, (lane, color) in enumerate(LANES.items()):
        drawing.label(
            ax, 0.75 + lane_width * (j + 0.5), y + 0.5, heads[lane], fontweight="bold", fontsize=15, color=color
        )
        see = {"codificador": "ve los dos lados", "decodificador": "ve su izquierda"}.get(lane, "atención cruzada")
        drawing.label(ax, 0.75 + lane_width * (j + 0.5), y + 0.2, see, fontsize=size, style="italic")
    for year in years:
        ax.plot([0.05, width - 0.05], [y, y], color="#DDDDDD", linewidth=1)
        drawing.label(ax, 0.36, y - 0.07 - step / 2, str(year), fontsize=_SMALL, fontweight="bold")
        for j, (lane, color) in enumerate(LANES.items()):
            for k, name in enumerate(cells[year, lane]):
                x = 0.75 + lane_width * (j + 0.5)
                low = y - 0.07 - step * (k + 1) + 0.04
                drawing.box(
                    ax,
                    x - lane_width / 2 + 0.1,
                    low,
                    lane_width - 0.2,
                    step - 0.08,
                    name,
                    color,
                    fontsize=size,
                    rounding=0.08,
                    facecolor=drawing.PALE.get(color, "white"),
                )
        y -= step * rows[year] + 0.14
    return ax
