"""Ilustraciones de la sesión 02: el bucle, los logits, el eco, el final, la caché, media letra y el contexto."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from .. import drawing
from ..drawing import CACHED, CHOSEN, DECODER, PADDING, PROMPT, WRITTEN, arrow, box, canvas, chips, label

INK = "#555555"


def loop_frames(prompt: Sequence[str], steps: Sequence[Sequence[tuple[str, float]]], *, first: int = 1) -> Axes:
    """El bucle, una viñeta por vuelta: entra el texto, el modelo reparte probabilidades, se elige y se añade.

    Parameters
    ----------
    prompt : sequence of str
        Los tokens de partida.
    steps : sequence of sequence of (str, float)
        De cada vuelta, las candidatas con su probabilidad; la primera es la elegida.
    first : int, optional
        La vuelta por la que se empieza a dibujar.

    Raises
    ------
    ValueError
        Si ``first`` no es una de las vueltas, o alguna no tiene candidatas.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    if not 1 <= first <= len(steps) or not all(len(step) for step in steps):
        raise ValueError(f"first va de 1 a {len(steps)}, y cada vuelta tiene candidatas; first es {first!r}.")
    shown, bars, frame = list(range(first, len(steps) + 1)), max(map(len, steps)), 3.1
    ax = canvas(8, frame * len(shown) + 0.95)
    widest = max(p for step in steps for _, p in step)
    top = frame * len(shown) + 0.35
    chosen = [step[0][0] for step in steps]
    _row(ax, top, prompt, chosen[: first - 1], last=False)
    for n in shown:
        arrow(ax, (1.2, top - 0.06), (1.2, top - 0.72))
        label(ax, 1.32, top - 0.38, "1. preguntar", ha="left", fontsize=15, style="italic")
        box(ax, 0.1, top - 1.62, 2.3, 0.88, "modelo", DECODER, fontsize=19)
        arrow(ax, (2.45, top - 1.18), (3.55, top - 1.18))
        label(ax, 3.9, top - 0.38, "2. elegir la más probable", ha="left", fontsize=15, style="italic")
        for k, (token, p) in enumerate(steps[n - 1]):
            y = top - 0.62 - 0.4 * (k + 1) + (0.4 * (4 - bars) / 2)
            style = {"hatch": "//", "edgecolor": "black"} if k == 0 else {"edgecolor": "none"}
            width = 1.9 * p / widest
            ax.add_patch(Rectangle((4.75, y), width, 0.3, facecolor=CHOSEN if k == 0 else PADDING, **style))
            label(ax, 4.65, y + 0.15, token, ha="right", fontsize=16, family=drawing.monospaced())
            label(ax, 4.85 + width, y + 0.15, drawing.percent(p), ha="left", fontsize=15)
            if k == 0:  # de aquí sale la flecha de añadir
                start, height = 5.75 + width, y + 0.15
        top -= frame
        x, width = _row(ax, top, prompt, chosen[:n], last=True)
        ax.plot([start, 7.75, 7.75], [height, height, top + 0.23], color="black", linewidth=2)
        arrow(ax, (7.75, top + 0.23), (x + width / 2 + 0.08, top + 0.23))
        label(ax, 7.65, top + 0.48, "3. añadir", ha="right", fontsize=15, style="italic")
    return ax


def _row(ax: Axes, y: float, prompt: Sequence[str], written: Sequence[str], *, last: bool) -> tuple[float, float]:
    """La fila de fichas que entra o que queda; la última, si se acaba de elegir, en naranja y con borde grueso."""
    colors = [PROMPT] * len(prompt) + [WRITTEN] * len(written)
    if last:
        colors[-1] = CHOSEN
    *_, end = chips(ax, 0.1, y, [*prompt, *written], colors, size=16)
    if last:
        _mark(ax, *end, y)
    return end


def _mark(ax: Axes, x: float, width: float, y: float) -> None:
    """La segunda pista de la ficha recién elegida: dentro del color, un borde negro."""
    box(
        ax,
        x - width / 2 + 0.04,
        y + 0.04,
        width - 0.08,
        0.38,
        "",
        "black",
        facecolor="none",
        linewidth=2,
        rounding=0.08,
    )


def logits_grid(logits, tokens: Sequence[str], columns: Mapping[int, str]) -> Axes:
    """Los logits de un texto, en números: una fila por posición y unas cuantas columnas del vocabulario, con su nombre.

    Todas las casillas comparten la escala de color, y el mayor de cada fila va en negrita y con marco.

    Parameters
    ----------
    logits : (T, V) array
        Las puntuaciones: cuanto mayor, más oscura la casilla.
    tokens : sequence of str
        Los T tokens.
    columns : mapping of int to str
        Id → token de las columnas que se ven. Ha de estar el ganador de cada fila.

    Raises
    ------
    ValueError
        Si no hay una fila por token, o falta la columna de algún ganador.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    rows = [[float(value) for value in row] for row in logits]
    if not rows or len(tokens) != len(rows):
        raise ValueError(f"Hace falta una fila por token; recibo {len(rows)} filas y {len(tokens)} tokens.")
    winners = [max(range(len(row)), key=row.__getitem__) for row in rows]
    missing = sorted(set(winners) - set(columns))
    if missing:
        raise ValueError(f"Faltan las columnas de los ganadores {missing}; recibo {sorted(columns)}.")
    ids, mono = list(columns), drawing.monospaced()
    shown = [row[i] for row in rows for i in ids]
    low, high = min(shown), max(shown)
    left, tall = 1.2, 0.62
    wide = 5.1 / len(ids)
    ax = canvas(8, tall * len(rows) + 1.75)
    head, end = tall * len(rows) + 0.75, left + wide * len(ids)
    label(
        ax, left + 2.55, head + 0.55, f"logits: {len(ids)} de {drawing.number(len(rows[0]), 0)} columnas", fontsize=16
    )
    label(ax, 7.4, head + 0.55, "venía", fontsize=16, fontweight="bold")
    size = min(16, (wide - 0.08) / max(map(len, columns.values())) * 72 / 0.602)
    for k, name in enumerate(columns.values()):
        label(ax, left + wide * (k + 0.5), head, name, fontsize=size, family=mono)
    for row, values in enumerate(rows):
        y = head - 0.85 - tall * row
        label(ax, left - 0.12, y + 0.27, tokens[row], ha="right", family=mono, fontsize=17)
        for k, i in enumerate(ids):
            won = i == winners[row]
            face = plt.get_cmap("Blues")(0.03 + 0.52 * (values[i] - low) / (high - low or 1))
            box(ax, left + wide * k + 0.03, y, wide - 0.06, 0.54, "", "black" if won else PADDING, facecolor=face,
                rounding=0.04, linewidth=3 if won else 0.8)  # fmt: skip
            label(ax, left + wide * (k + 0.5), y + 0.27, drawing.number(values[i]), fontsize=16,
                  fontweight="bold" if won else "normal")  # fmt: skip
        label(ax, end + 0.22, y + 0.27, "…", fontsize=18)
        label(ax, 7.4, y + 0.27, tokens[row + 1] if row + 1 < len(rows) else "?", family=mono, fontsize=17)
    frame = {"fill": False, "edgecolor": DECODER, "linewidth": 4}
    ax.add_patch(Rectangle((left - 0.05, y - 0.06), end - left + 0.5, 0.66, **frame))
    label(ax, 0.1, y - 0.36, "la última fila, logits[:, -1], es la que escribe", ha="left", fontsize=16,
          fontweight="bold")  # fmt: skip
    return ax


def echo(groups: Mapping[str, Sequence[Sequence[float]]]) -> Axes:
    """Cuánto más probable es una frase según lo que lleva delante: una raya fina por frase y la media, gruesa.

    Parameters
    ----------
    groups : mapping of str to sequence of sequence of float
        Qué va delante → de cada frase, la probabilidad media de sus tokens con cero frases delante, con una, con dos…

    Raises
    ------
    ValueError
        Si no hay grupos, no tienen las mismas frases y medidas, o alguna probabilidad no es positiva.

    Notes
    -----
    Cada medida se divide por la de su frase sin nada delante; la media es la geométrica. Se enseña en la sesión 02.
    """
    rows = [values for group in groups.values() for values in group]
    same = len({len(group) for group in groups.values()}) == 1 == len({len(values) for values in rows})
    if not same or not all(p > 0 for values in rows for p in values):
        raise ValueError(f"Hacen falta grupos con las mismas frases y medidas, y positivas; recibo {dict(groups)!r}.")
    count = len(rows[0])
    ax = plt.subplots(figsize=(8, 4.9), layout="constrained")[1]
    looks = zip([CHOSEN, PROMPT], ["#8A5A00", "#005A94"], ["o-", "s--"], strict=True)
    for (name, group), (color, ink, style) in zip(groups.items(), looks, strict=False):
        ratios = [[p / values[0] for p in values] for values in group]
        for values in ratios:
            ax.plot(range(count), values, style[1:], color=color, linewidth=1.2, alpha=0.6)
        means = [statistics.geometric_mean(column) for column in zip(*ratios, strict=True)]
        ax.plot(range(count), means, style, color=color, linewidth=4, markersize=10)
        if count > 1:
            ax.annotate(f"× {drawing.number(means[1])}", (1, means[1]), (0, 12), textcoords="offset points",
                        ha="right", fontsize=16, fontweight="bold", color=ink)  # fmt: skip
        ax.text(count - 0.88, means[-1], f"{name}\n× {drawing.number(means[-1])}", va="center", fontsize=16,
                fontweight="bold", color=ink)  # fmt: skip
    ax.set(xlim=(-0.25, count + 0.75), xticks=range(count))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("Frases que lleva delante", fontsize=15)
    ax.set_ylabel("Probabilidad (sin nada delante = 1)", fontsize=15)
    ax.tick_params(labelsize=14)
    ax.yaxis.set_major_locator(plt.MaxNLocator(integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def variety_dots(groups: Mapping[str, Sequence[float]]) -> Axes:
    """Cuánto se repite cada texto: una fila por grupo, un punto por texto y una raya en la mediana, con su número.

    Parameters
    ----------
    groups : mapping of str to sequence of float
        Nombre del grupo → la parte de bigramas distintos de cada texto, de 0 a 1.

    Raises
    ------
    ValueError
        Si no hay grupos, alguno está vacío o una parte no está entre 0 y 1.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    if not groups or not all(len(values) and 0 <= min(values) <= max(values) <= 1 for values in groups.values()):
        raise ValueError(f"Hacen falta grupos con partes entre 0 y 1; recibo {dict(groups)!r}.")
    ax = plt.subplots(figsize=(8, 1.05 * len(groups) + 1.1), layout="constrained")[1]
    looks = zip([DECODER, CHOSEN, PROMPT, WRITTEN], "osD^", strict=True)
    for row, ((name, values), (color, marker)) in enumerate(zip(groups.items(), looks, strict=False)):
        spread = [row + 0.07 * (k % 3 - 1) for k in range(len(values))]
        ax.scatter(values, spread, s=85, color=color, marker=marker, alpha=0.75, edgecolors="black", linewidths=0.6)
        middle = statistics.median(values)
        ax.plot([middle, middle], [row - 0.3, row + 0.22], color="black", linewidth=3)
        ax.text(middle, row - 0.36, f"{name}: {drawing.number(middle, 2)}", fontsize=16, ha="center", va="bottom")
    ax.set(xlim=(-0.02, 1.14), ylim=(len(groups) - 0.6, -0.85), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    ax.set_xticklabels(["0", "", "0,5", "", "1"], fontsize=14)
    ax.set_xlabel("Bigramas distintos: 0, todo repetido; 1, nada", fontsize=15)
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def growing_text(texts: Sequence[str], tokens: Sequence[str], *, width: int = 33) -> Axes:
    """El texto crece de paso en paso hasta que sale la señal de parar, que es un token más.

    Parameters
    ----------
    texts, tokens : sequence of str
        Lo que entra en cada paso y el token que sale; el último es el final.
    width : int, optional
        Letras de ``texts`` que se ven, las últimas.

    Raises
    ------
    ValueError
        Si no hay un token por texto, o son menos de siete pasos.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    if len(texts) != len(tokens) or len(texts) < 7:
        raise ValueError(f"Hace falta un token por texto y siete pasos o más; recibo {len(texts)} y {len(tokens)}.")
    total = len(texts)
    rows = [1, 2, 3, None, total - 2, total - 1, total]
    ax = canvas(8, 0.62 * len(rows) + 0.2)
    for k, n in enumerate(rows):
        y = 0.62 * (len(rows) - 1 - k) + 0.15
        if n is None:
            label(ax, 3.8, y + 0.23, "· · ·", fontsize=24)
            continue
        text = texts[n - 1] if len(texts[n - 1]) <= width else "…" + texts[n - 1][1 - width :]
        label(ax, 0.05, y + 0.23, f"paso {n}", ha="left", fontsize=15)
        ((x, w),) = chips(ax, 1.05, y, [text], PROMPT, size=15)
        last = n == total
        end = "FIN" if last else tokens[n - 1]
        ((x, w),) = chips(ax, x + w / 2 + 0.1, y, [end], DECODER if last else CHOSEN, size=15)
        _mark(ax, x, w, y)
    return ax


def cache_frames(tokens: Sequence[str], prompt: int) -> Axes:
    """La caché en viñetas, una por paso: qué tokens pasan por el modelo y qué claves y valores estaban ya guardados.

    Parameters
    ----------
    tokens : sequence of str
        Los del *prompt* y los que se escriben menos el último, que ya no hace falta pasar.
    prompt : int
        Cuántos son del *prompt*: en el primer paso pasan todos; después, de uno en uno.

    Raises
    ------
    ValueError
        Si ``prompt`` no está entre 1 y el número de tokens.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    if not 1 <= prompt <= len(tokens):
        raise ValueError(f"prompt va de 1 a {len(tokens)}, y es {prompt!r}.")
    steps = len(tokens) - prompt + 1
    letters, gap, left, frame = sum(map(len, tokens)), 0.18, 0.9, 0.88
    size = min(15, (5.35 - gap * len(tokens)) / letters * 72 / 0.602)
    widths = [0.602 * size / 72 * len(token) + gap for token in tokens]
    starts = [left + sum(widths[:k]) for k in range(len(tokens))]
    ax = canvas(8, frame * steps + 1.5)
    mono, high = drawing.monospaced(), frame * steps + 0.55
    label(ax, 7.15, high + 0.6, "tokens que\nllevan pasados", fontsize=14)
    label(ax, 6.75, high + 0.08, "sin", fontsize=15, fontweight="bold")
    label(ax, 7.55, high + 0.08, "con", fontsize=15, fontweight="bold")
    without = cached = 0
    for step in range(steps):
        y, count = high - frame * (step + 1) + 0.2, prompt + step
        without, cached = without + count, cached + (prompt if step == 0 else 1)
        label(ax, 0.05, y + 0.4, f"paso {step + 1}", ha="left", fontsize=14)
        for column in range(count):
            new = step == 0 or column == count - 1
            x, width, kind = starts[column], widths[column], PROMPT if column < prompt else CHOSEN
            if new:
                box(ax, x + 0.02, y + 0.32, width - 0.04, 0.44, tokens[column], kind, fontsize=size, family=mono,
                    rounding=0.06)  # fmt: skip
            else:
                label(ax, x + width / 2, y + 0.54, tokens[column], fontsize=size, family=mono, color="#767676")
            _stored(ax, x + 0.04, y, width - 0.08, new)
        label(ax, 6.75, y + 0.4, str(without), fontsize=19, color=INK)
        label(ax, 7.55, y + 0.4, str(cached), fontsize=19, fontweight="bold")
    for x, text, new in ((0.05, "clave y valor recién calculados", True), (3.95, "ya guardados: la caché", False)):
        _stored(ax, x, 0.2, 0.45, new)
        label(ax, x + 0.58, 0.32, text, ha="left", fontsize=15)
    return ax


def _stored(ax: Axes, x: float, y: float, width: float, new: bool) -> None:
    """La clave y el valor de un token: borde grueso si se acaban de calcular; a rayas, si estaban en la caché."""
    pattern = {"linewidth": 2.8, "hatch": None} if new else {"linewidth": 1, "hatch": "///"}
    ax.add_patch(Rectangle((x, y), width, 0.24, facecolor="#CFEDE3", edgecolor=CACHED, **pattern))


def cache_count(lengths: Sequence[int], prompt: int) -> Axes:
    """Tokens que pasan por el modelo según los que se escriben: sin caché, un triángulo; con ella, una raya.

    Parameters
    ----------
    lengths : sequence of int
        Cuántos se escriben, de menor a mayor: van marcados.
    prompt : int
        Cuántos tokens tiene el *prompt*.

    Raises
    ------
    ValueError
        Si no hay longitudes, no van de menor a mayor o alguna cuenta no es positiva.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    lengths = list(lengths)
    if not lengths or sorted(set(lengths)) != lengths or lengths[0] < 1 or prompt < 1:
        raise ValueError(
            f"Hacen falta longitudes positivas de menor a mayor y un prompt; recibo {lengths} y {prompt!r}."
        )
    work = {"sin caché": lambda n: n * prompt + n * (n - 1) // 2, "con caché": lambda n: prompt + n - 1}
    ax = plt.subplots(figsize=(8, 4.4), layout="constrained")[1]
    every = range(1, lengths[-1] + 1)
    tallest = work["sin caché"](lengths[-1])
    for (name, count), color, style, up in zip(work.items(), (DECODER, CACHED), ("-", "--"), (1, -1), strict=True):
        ax.plot(every, [count(n) for n in every], style, color=color, linewidth=3)
        ax.plot(lengths, [count(n) for n in lengths], "o" if up > 0 else "s", color=color, markersize=9)
        for n in lengths:
            ax.annotate(
                drawing.number(count(n), 0), (n, count(n)), (-9 if up > 0 else 0, 7 * up), textcoords="offset points",
                ha="right" if up > 0 else "center", va="bottom" if up > 0 else "top", fontsize=15, color=INK,
            )  # fmt: skip
        spot = (0.72 * lengths[-1], 0.78 * tallest) if up > 0 else (0.72 * lengths[-1], 0.12 * tallest)
        ax.text(*spot, name, color=color, fontsize=17, fontweight="bold", ha="right" if up > 0 else "center")
    ax.set(xlim=(0, 1.06 * lengths[-1]), ylim=(-0.13 * tallest, 1.12 * tallest), yticks=[], xticks=lengths)
    ax.set_xlabel("Tokens que se escriben", fontsize=15)
    ax.set_ylabel("Tokens que pasan por el modelo", fontsize=15)
    ax.tick_params(labelsize=14)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def half_letter(tokens: Sequence[str], alone: Sequence[str], groups: Mapping[tuple[int, int], str]) -> Axes:
    """Los tokens de un texto, en varias filas; los que son media letra, en naranja y unidos por una llave.

    Parameters
    ----------
    tokens, alone : sequence of str
        Cada token como lo deja ``show_token``, y lo que se lee si se decodifica él solo.
    groups : mapping of (int, int) to str
        Del primero al último token de una letra partida → el nombre de esa letra.

    Raises
    ------
    ValueError
        Si no hay un ``alone`` por token.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    if not tokens or len(tokens) != len(alone):
        raise ValueError(f"Hace falta una lectura por token; recibo {len(tokens)} tokens y {len(alone)} lecturas.")
    inside = {i: key for key in groups for i in range(key[0], key[1] + 1)}
    rows, used = [[]], 0.0
    for i, token in enumerate(tokens):  # una letra partida no se parte otra vez al cambiar de fila
        width = _chip_width(token)
        ahead = sum(_chip_width(tokens[j]) for j in range(i, inside[i][1] + 1)) if i in inside else width
        if rows[-1] and used + ahead > 7.0 and inside.get(i, (i,))[0] == i:
            rows, used = [*rows, []], 0.0
        rows[-1].append(i)
        used += width
    ax = canvas(8, 1.75 * len(rows) + 0.1)
    for k, row in enumerate(rows):
        y = 1.75 * (len(rows) - 1 - k) + 0.75
        colors = [CHOSEN if i in inside else PROMPT for i in row]
        places = dict(zip(row, chips(ax, 0.95, y, [tokens[i] for i in row], colors, size=16), strict=True))
        label(ax, 0.05, y + 0.23, "tokens", ha="left", fontsize=14)
        label(ax, 0.05, y - 0.35, "solo", ha="left", fontsize=14)
        for i, (x, _) in places.items():
            label(ax, x, y - 0.35, alone[i], fontsize=19)
        for (a, b), name in groups.items():
            if a in places:
                begin, end = places[a][0] - places[a][1] / 2, places[b][0] + places[b][1] / 2
                ax.plot([begin, begin, end, end], [y + 0.53, y + 0.63, y + 0.63, y + 0.53], color="black", linewidth=2)
                label(ax, (begin + end) / 2, y + 0.81, name, fontsize=16, fontweight="bold")
    return ax


def _chip_width(token: str) -> float:
    return 0.602 * 16 / 72 * max(len(token), 1) + 0.28


def context_strip(size: int, prompt: int) -> Axes:
    """La tabla de posiciones: hasta dónde llega el *prompt*, cuánto cabe y dónde ya no hay vector.

    Parameters
    ----------
    size, prompt : int
        Posiciones del modelo y tokens del *prompt*.

    Raises
    ------
    ValueError
        Si el *prompt* no cabe o no deja sitio.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    if not 1 <= prompt < size - 3:
        raise ValueError(f"El prompt va de 1 a {size - 4} tokens, y tiene {prompt!r}.")
    ax = canvas(8, 3.0)
    names = [0, "…", prompt - 1, prompt, "…", size - 1, size, size + 1, "…"]
    kinds = [PROMPT] * 3 + [WRITTEN] * 3 + [PADDING] * 3
    for i, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        dashed = {"linestyle": "--", "facecolor": "white"} if kind == PADDING else {}
        box(ax, 0.2 + 0.85 * i, 1.1, 0.78, 0.75, str(name), kind, fontsize=16, **dashed)
    spans = [(0, "prompt", str(prompt)), (3, "nuevos", f"hasta {size - prompt}"), (6, "sin vector", "IndexError")]
    for i, above, more in spans:
        a, b = 0.2 + 0.85 * i, 0.2 + 0.85 * (i + 3) - 0.07
        ax.plot([a, a, b, b], [1.95, 2.05, 2.05, 1.95], color="black", linewidth=2)
        label(ax, (a + b) / 2, 2.55, f"{above}:\n{more}", fontsize=15, fontweight="bold", linespacing=1.1)
    wall = 0.2 + 0.85 * 6 - 0.035
    ax.plot([wall, wall], [0.7, 2.1], color="black", linewidth=5)
    label(ax, wall, 0.4, f"contexto: {size} posiciones", fontsize=16)
    return ax


def bet() -> Axes:
    """La apuesta: el principio del cuento y los doscientos tokens que faltan.

    Notes
    -----
    Se enseña en la sesión 02; es su portada.
    """
    ax = canvas(8, 3.0)
    place = chips(ax, 0.1, 2.3, ["Hab", "ía", "␣una", "␣vez"], PROMPT, size=18)[-1]
    blank = {"facecolor": "white", "linestyle": "--"}
    chips(ax, place[0] + place[1] / 2 + 0.12, 2.3, ["?"] * 8, CHOSEN, size=18, **blank)
    chips(ax, 0.1, 1.55, ["?"] * 15, CHOSEN, size=18, **blank)
    *_, place = chips(ax, 0.1, 0.8, ["?"] * 11, CHOSEN, size=18, **blank)
    label(ax, place[0] + place[1] / 2 + 0.2, 1.0, "… hasta 200", ha="left", fontsize=20, fontweight="bold")
    label(ax, 0.1, 0.25, "siempre el más probable", ha="left", fontsize=20, style="italic")
    return ax


def cover() -> Axes:
    """El disco rayado: el *prompt* entra por la aguja y el surco repite en lo que acaba la búsqueda voraz.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    ax, (x, y) = canvas(8, 4.1), (5.15, 2.05)
    ax.add_patch(Circle((x, y), 1.98, facecolor="#222222", edgecolor="black", linewidth=2))
    groove = "el último, "
    for radius in (1.72, 1.34, 0.96):
        for off in (-0.19, 0.19):
            ax.add_patch(Circle((x, y), radius + off, fill=False, edgecolor="#555555", linewidth=0.8))
        around = math.floor(2 * math.pi * radius / 0.135)
        text = (groove * 10)[: around // len(groove) * len(groove)] if around >= len(groove) else groove
        for k, letter in enumerate(text):
            angle = math.pi - 2 * math.pi * k / len(text)
            place = (x + radius * math.cos(angle), y + radius * math.sin(angle))
            label(ax, *place, letter, fontsize=15, color="#CFEDE3", rotation=math.degrees(angle) - 90,
                  family=drawing.monospaced(), rotation_mode="anchor")  # fmt: skip
    ax.add_patch(Circle((x, y), 0.7, facecolor=CHOSEN, edgecolor="black", linewidth=2))
    label(ax, x, y, "argmax", fontsize=16, fontweight="bold")
    for left, bottom, tokens in ((0.05, 2.25, ["Hab", "ía"]), (0.05, 1.65, ["␣una", "␣vez"])):
        chips(ax, left, bottom, tokens, PROMPT, size=18)
    arrow(ax, (1.85, 2.1), (3.05, 2.05))
    arm = [(7.75, 3.75), (7.35, 1.9), (6.55, 1.35)]
    ax.plot(*zip(*arm, strict=True), color="#767676", linewidth=6, solid_capstyle="round", solid_joinstyle="round")
    ax.add_patch(Circle(arm[0], 0.22, facecolor="#999999", edgecolor="black", linewidth=2))
    ax.add_patch(Circle(arm[-1], 0.09, facecolor=DECODER, edgecolor="black", linewidth=1.5))
    return ax
