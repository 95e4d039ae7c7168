"""Ilustraciones de la sesión 03: el núcleo como escalera, el haz que crece y la generación asistida como diálogo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import drawing
from .._validate import require

OUTSIDE = {"facecolor": "#DDDDDD", "edgecolor": drawing.PRUNED, "hatch": "///"}  # lo que no entra en el sorteo


# ---------------------------------------------------------------- el núcleo, como una escalera
def nucleus_staircase(
    panels: Mapping[str, Mapping[str, float]],
    *,
    k: int = 5,
    p: float = 0.5,
    min_p: float = 0.2,
    vertical: bool = True,
) -> Figure:
    """Los tres cortes sobre las mismas barras: cada una empieza donde acaba la anterior, y avanza hacia el 1.

    A la derecha, quién se queda con cada corte. Todas las escaleras tienen la misma escala, de 0 a 1.

    Parameters
    ----------
    panels : mapping of str to mapping of str to float
        Título → las candidatas de mayor a menor, con su probabilidad. Bastan las primeras.
    k, p, min_p : int, float, float
        Lo que se pide a top-k, a top-p y a min-p.
    vertical : bool
        Una escalera debajo de otra, para una pantalla estrecha; si no, al lado.

    Raises
    ------
    ValueError
        Si no hay ninguna escalera, alguna no va de mayor a menor, o top-p o min-p dejarían más candidatas de las dadas.

    Notes
    -----
    Se enseña en la sesión 03. Con las mismas reglas que ``decoding.top_k``, ``top_p`` y ``min_p``.
    """
    require(bool(panels), f"Hace falta al menos una distribución y he recibido {panels!r}.")
    kept = {title: _kept(title, list(bars.values()), k, p, min_p) for title, bars in panels.items()}
    rows = max(map(len, panels.values()))
    count = len(panels)
    size = (8, count * (0.42 * rows + 1.5)) if vertical else (6.4 * count, 0.42 * rows + 1.5)
    shape = {"nrows": count} if vertical else {"ncols": count}
    figure, axes = plt.subplots(**shape, figsize=size, squeeze=False, layout="constrained")
    for ax, (title, bars) in zip(axes.flat, panels.items(), strict=True):
        _staircase(ax, title, bars, kept[title], (k, p, min_p), rows)
    return figure


def _kept(title: str, probs: list[float], k: int, p: float, min_p: float) -> tuple[list[bool], ...]:
    """Por cada corte, si se queda cada candidata."""
    require(
        bool(probs) and probs == sorted(probs, reverse=True),
        f"Las candidatas de «{title}» deben ir de mayor a menor; son {probs!r}.",
    )
    before = [sum(probs[:i]) for i in range(len(probs))]
    require(
        before[-1] + probs[-1] >= p and (probs[-1] < min_p * probs[0] or sum(probs) > 1 - min_p * probs[0]),
        f"A «{title}» le faltan candidatas: con las {len(probs)} recibidas no se sabe dónde corta top-p o min-p.",
    )
    return [i < k for i in range(len(probs))], [b < p for b in before], [x >= min_p * probs[0] for x in probs]


def _staircase(ax: Axes, title: str, bars: Mapping[str, float], kept, asked, rows: int) -> None:
    k, p, min_p = asked
    labels, probs = list(bars), list(bars.values())
    starts = [sum(probs[:i]) for i in range(len(probs))]
    for y, (start, prob) in enumerate(zip(starts, probs, strict=True)):
        look = {"color": drawing.CHOSEN} if kept[1][y] else OUTSIDE
        ax.barh(y, prob, left=start, height=0.78, **look)
        left = start + prob > 0.86 or (start > 0.15 and start + prob <= p < start + prob + 0.17)  # que no tape la raya
        beside, ha = (start - 0.015, "right") if left else (start + prob + 0.015, "left")
        back = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        ax.text(beside, y, drawing.percent(prob), ha=ha, va="center", fontsize=13, bbox=back, zorder=4)
        for column in range(3):
            stays = kept[column][y]
            mark = {"color": drawing.WRITTEN if stays else "#767676", "weight": "bold" if stays else "normal"}
            ax.text(1.1 + 0.16 * column, y, "✓" if stays else "✗", ha="center", va="center", fontsize=16, **mark)
    ax.axvline(p, color="black", linestyle="--", linewidth=2, zorder=3)
    names = (f"top-k\n{k}", f"top-p\n{drawing.number(p)}", f"min-p\n{drawing.number(min_p)}")
    for column, name in enumerate(names):
        ax.text(1.1 + 0.16 * column, -0.75, name, ha="center", va="bottom", fontsize=13)
        total = sum(kept[column])
        ax.text(1.1 + 0.16 * column, len(probs) - 0.35, str(total), ha="center", va="top", fontsize=14, weight="bold")
    ax.text(1.0, len(probs) - 0.35, "quedan", ha="right", va="top", fontsize=13)
    ax.set_yticks(range(len(labels)), labels, fontsize=14, fontfamily=drawing.monospaced(), parse_math=False)
    ax.set_xticks([0, p, 1], ["0", f"p = {drawing.number(p)}", "1"], fontsize=13)
    ax.set(xlim=(0, 1.5), ylim=(rows + 0.3, -0.6))
    ax.set_title(title, loc="left", fontsize=15, pad=44, parse_math=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


# ---------------------------------------------------------------- el haz, paso a paso
def beam_frames(
    tree: Sequence,
    label: Callable[[int], str],
    *,
    root: str,
    greedy: Sequence[int] = (),
    pruned: int = 2,
    frames: Sequence[int] | None = None,
    vertical: bool = True,
) -> Figure:
    """La búsqueda en haz, una viñeta por paso: se alargan las ramas vivas, se ordena y lo que no cabe se poda.

    Cada ficha lleva la probabilidad de todo su camino. En verde, lo que sigue; en gris, con «✗», lo podado, que en la
    viñeta siguiente ya no está; en naranja, con «★», la que gana.

    Parameters
    ----------
    tree : sequence of BeamNode
        ``Generation.tree`` de una sola fila.
    label : callable
        De un id al texto de su token: ``partial(show_token, tokenizer)``.
    root : str
        El *prompt*.
    greedy : sequence of int
        Los ids de la búsqueda voraz, para señalar su camino.
    pruned : int
        Cuántas podadas se dibujan en cada viñeta: las mejores.
    frames : sequence of int, optional
        Qué pasos se dibujan, desde 0; por defecto, todos.
    vertical : bool
        Una viñeta debajo de otra; si no, de dos en dos.

    Raises
    ------
    ValueError
        Si el árbol está vacío, es de más de un *prompt* o no tiene alguno de los pasos pedidos.

    Notes
    -----
    Se enseña en la sesión 03.
    """
    nodes = {i: node for i, node in enumerate(tree) if node.total > -1e8}  # sin las ramas que no existen
    rows = sorted({node.row for node in nodes.values()})
    require(
        len(rows) == 1, f"Hace falta el árbol de un solo prompt, con dos haces o más; he recibido las filas {rows}."
    )
    steps = max(node.step for node in nodes.values()) + 1
    frames = range(steps) if frames is None else list(frames)
    require(
        len(frames) > 0 and all(0 <= step < steps for step in frames),
        f"El árbol tiene los pasos 0 a {steps - 1} y se piden {list(frames)}.",
    )
    columns = 1 if vertical else 2
    lines = -(-len(frames) // columns)
    tall = max(len(_column(nodes, step, pruned)) for step in frames)
    size = (8 * columns, lines * (0.62 * tall + 0.5))
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for step, ax in zip(frames, axes.flat, strict=False):
        _frame(ax, nodes, label, step, root=root, greedy=greedy, pruned=pruned, steps=steps, tall=tall)
    return figure


def _column(nodes: Mapping, step: int, pruned: int) -> list[int]:
    """Los nodos de un paso, de mayor a menor: los que siguen y las mejores podadas."""
    here = sorted((i for i, node in nodes.items() if node.step == step), key=lambda i: -nodes[i].total)
    losers = [i for i in here if nodes[i].status == "podada"]
    return [i for i in here if i not in losers[pruned:]]


def _path(nodes: Mapping, i: int) -> list[int]:
    path = [i]
    while nodes[path[-1]].parent in nodes:
        path.append(nodes[path[-1]].parent)
    return path[::-1]


def _frame(ax: Axes, nodes: Mapping, label, step: int, *, root, greedy, pruned, steps, tall) -> None:
    last = step == steps - 1
    new = _column(nodes, step, pruned)
    kept = [i for i in new if nodes[i].status != "podada"]
    winner = max(kept, key=lambda i: nodes[i].score) if last else None
    alive = {j for i in new for j in _path(nodes, i)[:-1]}  # de lo de antes, solo aquello de lo que se tira
    places = {-1: (0.0, (tall - 1) / 2)}
    for s in range(step):
        line = [i for i in _column(nodes, s, pruned) if i in alive]
        line.sort(key=lambda i: places[nodes[i].parent if nodes[i].parent in nodes else -1][1])
        places |= {i: (s + 1.0, (tall - len(line)) / 2 + y) for y, i in enumerate(line)}
    places |= {i: (step + 1.0, (tall - len(new)) / 2 + y) for y, i in enumerate(new)}
    on_path = set(_path(nodes, winner)) if last else set()
    text = {"ha": "left", "va": "center", "parse_math": False}
    ends = {}  # la ficha de cada nodo: de ella salen los trazos de sus hijas
    for i, (x, y) in places.items():
        if i == -1:
            box = {"boxstyle": "round,pad=0.35", "facecolor": drawing.PALE[drawing.PROMPT], "edgecolor": drawing.PROMPT}
            ends[i] = ax.text(x - 0.4, y, root, fontsize=15, bbox=box | {"linewidth": 2}, **text)
            continue
        node = nodes[i]
        gone = node.status == "podada"
        color = drawing.PRUNED if gone else drawing.CHOSEN if i in on_path else drawing.WRITTEN
        mark = " ✗" if gone else " ★" if i == winner else ""
        box = {"boxstyle": "round,pad=0.3", "facecolor": drawing.PALE[color], "edgecolor": color, "linewidth": 2}
        ink = "#555555" if gone else "black"
        name = f"{label(node.token_id)}{mark}"
        if i in new:
            name += f"  {drawing.percent(exp(node.total), 2)}"
        ends[i] = ax.text(x, y, name, fontsize=14, color=ink, bbox=box, family=drawing.monospaced(), **text)
        line = {"arrowstyle": "-", "linestyle": "--" if gone else "-", "color": color, "lw": 2 + (i in on_path)}
        origin = ends[node.parent if node.parent in nodes else -1]
        tail = {"xycoords": origin, "textcoords": ax.transData, "zorder": 0}
        ax.annotate("", (1, 0.5), (x, y), arrowprops=line | {"shrinkA": 6, "shrinkB": 5}, **tail)
        ids = [nodes[j].token_id for j in _path(nodes, i)]
        if i in new and greedy and ids == list(greedy[: len(ids)]):
            beside = {"xycoords": ends[i], "textcoords": "offset points", "fontsize": 13, "style": "italic"}
            ax.annotate("← voraz", (1, 0.5), (12, 0), va="center", **beside)
    ax.set(xlim=(-0.45, steps + 1.75), ylim=(tall - 0.4, -0.6))
    ax.set_title(f"Paso {step + 1}", loc="left", fontsize=14)


# ---------------------------------------------------------------- el corte escondido y la rama podada
def top_k_cut(probs: Sequence[float], k: int, *, ranks: int = 100, title: str | None = None) -> Axes:
    """Las candidatas de mayor a menor: las ``k`` que entran en el sorteo y la cola que se queda fuera.

    Parameters
    ----------
    probs : sequence of float
        La distribución entera, (V,), en cualquier orden.
    k : int
        Cuántas entran.
    ranks : int
        Cuántas se dibujan.
    title : str, optional
        Lo que va encima.

    Raises
    ------
    ValueError
        Si ``k`` no está entre 1 y ``ranks`` - 1, o hay menos candidatas que ``ranks``.

    Notes
    -----
    Se enseña en la sesión 03.
    """
    require(
        0 < k < ranks <= len(probs),
        f"Hace falta 0 < k < ranks <= {len(probs)} candidatas; k es {k} y ranks, {ranks}.",
    )
    ordered = sorted(probs, reverse=True)
    inside = sum(ordered[:k])
    _, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
    ax.bar(range(1, k + 1), ordered[:k], color=drawing.CHOSEN, width=0.9)
    ax.bar(range(k + 1, ranks + 1), ordered[k:ranks], width=0.9, **OUTSIDE)
    ax.axvline(k + 0.5, color="black", linestyle="--", linewidth=2)
    top = ordered[0]
    ax.text(k / 2, 0.5 * top, f"los {k} mejores\nsuman {drawing.percent(inside)}", ha="center", fontsize=16)
    others = f"los otros {drawing.number(len(ordered) - k, 0)}\nsuman {drawing.percent(1 - inside)}"
    ax.text((k + ranks) / 2, 0.5 * top, others, ha="center", fontsize=16)
    ax.text(k + 1.5, 0.95 * top, "aquí corta", va="center", fontsize=15)
    ax.set_yticks([0, top], ["0", drawing.percent(top)])
    ax.set(xlabel="Puesto del token", title=title, xlim=(0, ranks + 1))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def pruned_too_soon(greedy: Sequence[float], tree: Sequence, *, title: str | None = None) -> Axes:
    """Lo que suma la rama voraz en cada paso, y las dos mejores del haz: dónde se podó y dónde habría remontado.

    Parameters
    ----------
    greedy : sequence of float
        La suma de log-probabilidades (nats) de la búsqueda voraz, tras cada paso.
    tree : sequence of BeamNode
        ``Generation.tree`` de la búsqueda en haz, con los mismos pasos y una sola fila.
    title : str, optional
        Lo que va encima.

    Raises
    ------
    ValueError
        Si la rama voraz no llega a podarse.

    Notes
    -----
    Se enseña en la sesión 03.
    """
    steps = len(greedy)
    alive = [[n.total for n in tree if n.step == step and n.status != "podada"] for step in range(steps)]
    cut = [step for step in range(steps) if not alive[step] or greedy[step] < min(alive[step]) - 1e-3]
    require(bool(cut), f"La rama voraz, con sumas {greedy!r}, sigue siempre en el haz: no hay poda que señalar.")
    best = [max(totals) for totals in alive]
    _, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
    x = range(1, steps + 1)
    ax.plot(x, greedy, "o:", color=drawing.PRUNED, linewidth=3, markersize=8)
    ax.plot(x, best, "s-", color=drawing.CHOSEN, linewidth=3, markersize=8)
    end = {"fontsize": 14, "va": "center", "ha": "left"}
    ax.text(steps + 0.25, greedy[-1], f"voraz\n{drawing.number(greedy[-1], 2)}", color="#555555", **end)
    ax.text(steps + 0.25, best[-1], f"haz\n{drawing.number(best[-1], 2)}", **end)
    place = (cut[0] + 1, greedy[cut[0]])
    arrow = {"arrowstyle": "-|>", "color": "black", "lw": 2}
    ax.annotate(f"paso {cut[0] + 1}: aquí se poda", place, (1, greedy[-1] - 2), fontsize=15, arrowprops=arrow)
    ax.set(
        xlabel="Paso",
        ylabel="Suma de log P (nats)",
        title=title,
        xlim=(0.6, steps + 1.9),
        ylim=(min(*greedy, *best) - 3, 0),
    )
    ax.set_xticks(list(x))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


# ---------------------------------------------------------------- la generación asistida, como un diálogo
def speculative_dialogue(rounds: Sequence[tuple[Sequence[str], int, str]], *, prompt: str = "") -> Axes:
    """La generación asistida como una conversación: el asistente propone y el modelo acepta hasta el primer fallo.

    Parameters
    ----------
    rounds : sequence of (sequence of str, int, str)
        Por cada vuelta, lo que propone el asistente, cuántos tokens acepta el modelo y el que pone él.
    prompt : str
        De dónde se parte.

    Raises
    ------
    ValueError
        Si no hay vueltas o se aceptan más tokens de los propuestos.

    Notes
    -----
    Se enseña en la sesión 03, en «Profundiza».
    """
    wrong = [accepted for proposed, accepted, _ in rounds if not 0 <= accepted <= len(proposed)]
    require(
        bool(rounds) and not wrong, f"De lo propuesto se acepta una parte; he recibido {wrong or 'ninguna vuelta'}."
    )
    height = 1.75 * len(rounds) + (0.9 if prompt else 0.2)
    ax = drawing.canvas(8, height)
    y = height - 0.15
    if prompt:
        drawing.label(ax, 0.1, y - 0.25, "«" + prompt + "»", ha="left", fontsize=15, color=drawing.PROMPT)
        y -= 0.75
    for number, (proposed, accepted, own) in enumerate(rounds, 1):
        drawing.label(ax, 0.1, y - 0.3, f"{number}. asistente", ha="left", fontsize=14, color="#555555")
        drawing.chips(ax, 1.75, y - 0.53, proposed, drawing.PRUNED, size=15, linestyle="--")
        marks = [*proposed[:accepted], own]
        colors = [drawing.WRITTEN] * accepted + [drawing.CHOSEN]
        drawing.label(ax, 0.1, y - 1.0, "modelo", ha="left", fontsize=14)
        places = drawing.chips(ax, 1.75, y - 1.23, marks, colors, size=15)
        x = places[-1][0] + places[-1][1] / 2 + 0.15
        verdict = "✓ todo, y sigue" if accepted == len(proposed) else f"✓ {accepted}, y corrige"
        drawing.label(ax, x, y - 1.0, verdict, ha="left", fontsize=14)
        y -= 1.75
    return ax


# ---------------------------------------------------------------- lotes y mandos
def left_padded(rows: Sequence[Sequence[str]], lengths: Sequence[int], prompt_length: int) -> Axes:
    """Un lote con el relleno a la izquierda: las casillas de cada fila, y la raya donde empieza lo nuevo.

    Parameters
    ----------
    rows : sequence of sequence of str
        Los tokens de cada fila, relleno incluido, todas igual de largas.
    lengths : sequence of int
        Los tokens de verdad del *prompt* de cada fila.
    prompt_length : int
        Las columnas del *prompt* con su relleno.

    Raises
    ------
    ValueError
        Si las filas no miden lo mismo o no hay una longitud por fila.

    Notes
    -----
    Se enseña en la sesión 03, en «Profundiza».
    """
    width = max(map(len, rows), default=0)
    require(
        width > 0 and all(len(row) == width for row in rows) and len(lengths) == len(rows),
        f"Hacen falta filas igual de largas y una longitud por fila; son {[len(row) for row in rows]} y {lengths}.",
    )
    shown = [0.125 * max(len(row[column]) for row in rows) + 0.22 for column in range(width)]
    edges = [0.1 + sum(shown[:column]) for column in range(width + 1)]
    ax = drawing.canvas(max(8, edges[-1] + 0.1), 0.62 * len(rows) + 0.7)
    for y, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        bottom = 0.62 * (len(rows) - 1 - y) + 0.15
        for column, token in enumerate(row):
            padding = column < prompt_length - length
            color = drawing.PADDING if padding else drawing.PROMPT if column < prompt_length else drawing.WRITTEN
            place = (edges[column] + 0.03, bottom, shown[column] - 0.06, 0.5)
            text = "–" if padding else token
            drawing.box(ax, *place, text, color, fontsize=13, family=drawing.monospaced(), rounding=0.05)
    line = edges[prompt_length]
    ax.plot([line, line], [0.05, 0.62 * len(rows) + 0.1], "--", color="black", linewidth=2)
    drawing.label(ax, line + 0.08, 0.62 * len(rows) + 0.35, "lo nuevo", ha="left", fontsize=14)
    drawing.label(ax, 0.1, 0.62 * len(rows) + 0.35, "–  relleno", ha="left", fontsize=14, color="#555555")
    return ax


def knob_curves(
    curves: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float], str]]], *, xlabel: str, ylabel: str
) -> Axes:
    """Dos medidas de varios mandos, cada uno en varias posiciones, con el intervalo del 95 % de la media.

    Parameters
    ----------
    curves : mapping of str to sequence of (sequence of float, sequence of float, str)
        Mando → por cada posición, sus medidas en x, sus medidas en y (una por comienzo) y lo que se escribe al lado.
    xlabel, ylabel : str
        Los ejes.

    Raises
    ------
    ValueError
        Si no hay ningún mando o más de cuatro.

    Notes
    -----
    Se enseña en la sesión 03, en «Profundiza».
    """
    looks = [(drawing.CHOSEN, "o-"), (drawing.WRITTEN, "s--"), (drawing.PROMPT, "^:"), (drawing.DECODER, "D-.")]
    require(0 < len(curves) <= len(looks), f"Se dibujan de uno a {len(looks)} mandos y he recibido {list(curves)}.")
    _, ax = plt.subplots(figsize=(8, 5.2), layout="constrained")
    offsets = [(6, -34), (-42, 6), (12, -16), (10, 6)]
    places = dict(zip(curves, offsets, strict=False))
    for (name, points), (color, style) in zip(curves.items(), looks, strict=False):
        ink = {drawing.CHOSEN: "#7A5300", drawing.WRITTEN: "#00664B"}.get(color, color)
        x, y = ([_middle(point[axis]) for point in points] for axis in (0, 1))
        errors = {"xerr": [e for _, e in x], "yerr": [e for _, e in y]}
        x, y = [m for m, _ in x], [m for m, _ in y]
        ax.errorbar(x, y, **errors, fmt=style, color=color, linewidth=2, markersize=8, capsize=3, label=name)
        for (a, b), (*_, label) in zip(zip(x, y, strict=True), points, strict=True):
            ax.annotate(label, (a, b), places[name], textcoords="offset points", fontsize=13, color=ink)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(x=0.12, y=0.12)
    ax.legend(frameon=False, loc="lower right", fontsize=14)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """La media y la mitad de su intervalo del 95 %, con la aproximación normal."""
    values = list(values)
    mean = sum(values) / len(values)
    spread = sum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1)
    return mean, 1.96 * (spread / len(values)) ** 0.5


def cover() -> Axes:
    """La portada: una mesa de mezclas con los mandos de la generación."""
    ax = drawing.canvas(8, 3)
    drawing.chips(ax, 0.3, 2.25, ["Había", "␣una", "␣vez"], drawing.PROMPT, size=20, height=0.55)
    drawing.chips(ax, 4.6, 2.25, ["?"], drawing.CHOSEN, size=20, height=0.55)
    drawing.arrow(ax, (3.55, 2.52), (4.45, 2.52))
    knobs = [("τ", 0.45), ("top-k", 0.8), ("top-p", 0.7), ("min-p", 0.15), ("haces", 0.3)]
    for column, (name, level) in enumerate(knobs):
        x = 0.9 + 1.5 * column
        ax.plot([x, x], [0.55, 1.85], color=drawing.PRUNED, linewidth=6, solid_capstyle="round", zorder=0)
        drawing.box(ax, x - 0.32, 0.55 + 1.3 * level - 0.13, 0.64, 0.26, "", drawing.CHOSEN, rounding=0.06)
        drawing.label(ax, x, 0.22, name, fontsize=17)
    return ax
