"""Figuras de la sesión 05: las celdas del cuaderno se ejecutan aquí, así que los números son los suyos."""

import ast
import re
from functools import cache

import matplotlib.pyplot as plt

from course_utils import plots

from . import cells

# Las celdas que hacen falta, en el orden del cuaderno; se quitan las que tardan (el ajuste fino).
CELLS = (
    "importar",
    "regla-de-la-cadena",
    "producto-se-agota",
    "unigrama",
    "tres-formulas-tabla",
    "perplejidad-del-paquete",
    "niveles",
    "sorpresa-frase",
    "absurdas",
    "relleno-no-cuenta",
    "unigrama-por-trozo",
    "compresores",
    "voraz-o-muestreo",
    "examen",
    "examen-azar",
)
BOX = {"ha": "center", "va": "center", "parse_math": False}


@cache
def _after():
    """Por cada celda de ``CELLS``, los nombres que hay tras ejecutarla."""
    names, found = {}, {}
    with plt.rc_context():
        for name in CELLS:
            found[name] = dict(cells.run("05", [name], names))
    plt.close("all")
    return found


def _number(value, digits=0):
    """Con coma decimal y, desde cinco cifras, los miles separados: lo que se lee en una diapositiva."""
    text = f"{value:,.{digits}f}".replace(",", "\u202f" if value >= 10_000 else "")
    return text.replace(".", ",")


def _power(value):
    """Una probabilidad con dos cifras: 0,0015; 3,4·10⁻⁵."""
    digits, _, exponent = f"{float(value):.2g}".replace(".", ",").partition("e-")
    raised = exponent.lstrip("0").translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits}·10⁻{raised}" if raised else digits


def _bars(ax, values, *, digits, title, colors=plots.BLUE, marks=None):
    bars = ax.barh(list(values), list(values.values()), color=colors, height=0.68)
    ax.bar_label(bars, marks or [_number(v, digits) for v in values.values()], padding=5, fontweight="bold")
    ax.set(xlim=(0, 1.25 * max(values.values())), ylim=(len(values) - 0.5, -0.5), title=title, xticks=[])
    ax.spines[["top", "right", "bottom"]].set_visible(False)


def _canvas(width, height, xlim, ylim):
    ax = plt.subplots(figsize=(width, height), layout="constrained")[1]
    ax.set(xlim=xlim, ylim=ylim)
    ax.axis("off")
    return ax


def camino():
    """De un texto a sus dos medidas: la perplejidad, por token, y los bits por carácter."""
    ax = _canvas(11, 2.5, (0, 11), (0, 2.5))
    steps = [(0.75, 1.25, "texto"), (2.75, 1.25, "T tokens"), (5.3, 1.25, "sorpresa de\ncada uno: −log P")]
    ends = [(9.3, 1.95, "÷ tokens, exp:\nperplejidad"), (9.3, 0.55, "÷ caracteres:\nbits por carácter")]
    steps.append((7.4, 1.25, "suma"))
    for color, places in ((plots.BLUE, steps), (plots.RED, ends)):
        for x, y, text in places:
            mark = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": color, "linewidth": 3}
            ax.text(x, y, text, bbox=mark, **BOX)
    arrow = {"arrowstyle": "-|>", "linewidth": 2.5, "color": "black", "mutation_scale": 22}
    for tail, head in [((1.3, 1.25), (1.9, 1.25)), ((3.55, 1.25), (4.1, 1.25)), ((6.5, 1.25), (6.95, 1.25))]:
        ax.annotate("", head, tail, arrowprops=arrow)
    for y in (1.9, 0.6):
        ax.annotate("", (8.25, y), (7.8, 1.25), arrowprops=arrow)
    return ax


def cadena():
    """«Había una vez un rey.»: la probabilidad de cada token y, debajo, su sorpresa en bits."""
    names = _after()["regla-de-la-cadena"]
    ids = names["ids_of"](names["sentence"])
    tokens, logprobs = [names["show"](i) for i in ids], names["logprobs"]
    bits = (-logprobs / names["math"].log(2)).tolist()
    figure, (top, ax) = plt.subplots(2, 1, figsize=(11, 5), layout="constrained", height_ratios=(1, 1.5), sharex=True)
    top.axis("off")
    top.set_ylim(-0.1, 1.6)
    for i, (token, p) in enumerate(zip(tokens, logprobs.exp().tolist(), strict=True)):
        mark = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": plots.BLUE, "linewidth": 2.5}
        top.text(i, 1.15, token, bbox=mark, fontfamily="monospace", fontsize=20, **BOX)
        top.text(i, 0.2, _power(p), fontweight="bold", fontsize=16, **BOX)
        if i:
            top.text(i - 0.5, 0.2, "×", fontsize=22, **BOX)
    top.text(-1, 1.15, "token", **BOX)
    top.text(-1, 0.2, "P", style="italic", **BOX)
    bars = ax.bar(range(len(bits)), bits, color=[plots.ORANGE if b > 8 else plots.BLUE for b in bits], width=0.7)
    ax.bar_label(bars, [_number(b, 2) for b in bits], padding=3)
    for i in range(1, len(bits)):
        ax.text(i - 0.5, 0.9, "+", fontsize=22, **BOX)
    ax.text(-1, 5, "sorpresa\n(bits)", **BOX)
    ax.set(xlim=(-1.5, len(bits) - 0.4), ylim=(0, 1.2 * max(bits)), xticks=[], yticks=[])
    ax.spines[["top", "right", "left"]].set_visible(False)
    return figure


def niveles():
    """La perplejidad de las 24 frases con los tres modelos."""
    levels = _after()["niveles"]["levels"]
    who = {"uniforme": "no sabe nada", "unigrama": "sabe qué es frecuente", "modelo": "lee el contexto"}
    ax = plt.subplots(figsize=(11, 4.4), layout="constrained")[1]
    values = {f"{name}\n({who[name]})": value for name, value in levels.items()}
    _bars(ax, values, digits=0, title="Perplejidad: entre cuántos tokens se duda, de media")
    return ax


def sorpresa():
    """Cuatro textos, token a token, con su sorpresa en bits."""
    names = _after()["sorpresa-frase"]
    shown, cell, limit = names["surprise"], 0.155, 11
    rows = {
        "frase corriente": names["plausible"][3],
        "palabras barajadas": names["shuffled"][3],
        "pregunta rara": "¿Puede hacer qué?",
        "letras barajadas": names["nonsense"][3],
    }
    ax = _canvas(11, 5, (0, limit), (4 * 1.25, 0))
    for row, (name, text) in enumerate(rows.items()):
        y, x, result = row * 1.25, 0.05, shown(text)
        ax.text(x, y + 0.16, name, fontweight="bold", va="center", fontsize=16)
        for token, bits in zip(result.tokens, result.bits, strict=True):
            width = cell * max(len(token), 4) + 0.1
            if x + width > limit - 0.3:
                ax.text(x + 0.2, y + 0.75, "…", fontsize=20, **BOX)
                break
            share = min(max(bits, 0) / 16, 1)
            color = [1 + share * (int(plots.ORANGE[i : i + 2], 16) / 255 - 1) for i in (1, 3, 5)]
            ax.add_patch(plt.Rectangle((x, y + 0.36), width, 0.78, facecolor=color, edgecolor="#777777"))
            ax.text(x + width / 2, y + 0.56, token, fontfamily="monospace", fontsize=15, **BOX)
            ax.text(x + width / 2, y + 0.92, _number(bits, 1), fontsize=15, fontweight="bold", **BOX)
            x += width + 0.04
    return ax


def grupos():
    """La perplejidad de cada frase de los cuatro grupos, con la real más rara como referencia."""
    names = _after()["absurdas"]
    groups = {name: names["values_of"](result) for name, result in names["groups"].items()}
    limit = max(groups["reales"])
    ax = plt.subplots(figsize=(11, 5), layout="constrained")[1]
    for x, (values, marker) in enumerate(zip(groups.values(), "osD^", strict=True)):
        places = [x + 0.025 * (i % 9 - 4) for i in range(len(values))]
        ax.plot(places, values, marker, color=plots.BLUE, alpha=0.6, markersize=9)
        middle = names["statistics"].median(values)
        ax.plot([x - 0.2, x + 0.2], [middle, middle], color=plots.RED, linewidth=4)
        ax.text(x + 0.23, middle, _number(middle), color=plots.RED, fontweight="bold", va="center")
    ax.axhline(limit, color="black", linestyle="--")
    ax.text(3.55, limit * 0.93, f"la frase real más rara: {_number(limit)}", ha="right", va="top", fontsize=16)
    ax.set(yscale="log", xlim=(-0.4, 3.6), ylabel="Perplejidad", title="Cada punto, un texto; la raya, la mediana")
    ax.set_xticks(range(4), [f"{name}\n({len(values)})" for name, values in groups.items()])
    ax.set_yticks([20, 100, 1000, 10000], ["20", "100", "1000", "10 000"])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def relleno():
    """Un lote de dos textos: el corto lleva relleno; y la perplejidad del corto con tres cuentas."""
    names = _after()["relleno-no-cuenta"]
    rows, longest, wrong = names["rows"], names["longest"], names["table"].iloc[0]
    ax = _canvas(11, 3.5, (-0.2, longest), (5.6, -0.5))
    for y, row in enumerate(rows):
        for x in range(longest):
            real = x < len(row)
            color = (plots.GREY if x == 0 else plots.BLUE) if real else "white"
            look = {"facecolor": color, "edgecolor": "black" if real else plots.GREY, "hatch": None if real else "///"}
            ax.add_patch(plt.Rectangle((x, y - 0.4), 0.9, 0.8, **look))
            if real:
                sign = "▸" if x == 0 else "1"
                ax.text(x + 0.45, y, sign, color="black" if x == 0 else "white", fontweight="bold", **BOX)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 3}
    ax.text(longest / 2, 0, "relleno: no se puntúa", fontsize=18, bbox=white, **BOX)
    marks = ["✗", "✗", "✓"]
    for i, (name, mark) in enumerate(zip(wrong.index[:3], marks, strict=True)):
        y = 2.9 + 0.95 * i
        ax.text(0, y, f"{mark}  {name}", va="center", fontweight="bold" if mark == "✓" else None)
        ax.text(longest - 0.4, y, _number(wrong[name], 1), ha="right", va="center", fontweight="bold")
    ax.text(longest - 0.4, 1.95, "perplejidad de «No.»", ha="right", va="center", style="italic")
    return ax


def ventanas():
    """Las ventanas de 8 tokens con avance 4 sobre 17 tokens: qué se lee, qué se puntúa y cuántas veces."""
    n, window, stride = 17, 8, 4
    found, begin, seen = [], 0, 1
    while seen < n:  # lo que pide el ejercicio 5.4
        found.append((begin, min(begin + window, n), seen))
        begin, seen = begin + stride, min(begin + window, n)
    times = [sum(new <= t < end for _, end, new in found) for t in range(n)]
    ax = _canvas(11, 4.6, (-4.2, n), (len(found) + 2.2, -1.1))
    for t in range(n):
        ax.text(t + 0.45, -0.7, str(t), **BOX)
    ax.text(-0.4, -0.7, "token", ha="right", va="center")
    for y, (begin, end, new) in enumerate(found):
        ax.text(-0.4, y, f"ventana {y}", ha="right", va="center")
        for t in range(begin, end):
            color, sign, ink = ("white", "·", "black") if t < new else (plots.BLUE, "✓", "white")
            ax.add_patch(plt.Rectangle((t, y - 0.4), 0.9, 0.8, facecolor=color, edgecolor="black"))
            ax.text(t + 0.45, y, sign, color=ink, fontweight="bold", **BOX)
    y = len(found) + 0.25
    ax.text(-0.4, y, "se puntúa", ha="right", va="center", fontweight="bold")
    for t, count in enumerate(times):
        ax.text(t + 0.45, y, str(count) if t else "–", fontweight="bold", **BOX)
    ax.text(n / 2 - 2, y + 1.2, "· se lee: es contexto        ✓ se puntúa        el 0 es el token inicial", **BOX)
    return ax


def bits():
    """La misma novela: la perplejidad por trozo no se puede comparar; los bits por carácter, sí."""
    table, sizes = _after()["unigrama-por-trozo"]["table"], _after()["compresores"]["sizes"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    names = {"unigrama de letras": "unigrama\nde letras", "unigrama de tokens": "unigrama\nde tokens"}
    values = {names.get(name, "modelo"): row["perplejidad"] for name, row in table.iterrows()}
    _bars(left, values, digits=1, title="Perplejidad\n(por letra o por token: engaña)", colors=plots.GREY)
    chars = {names.get(name, "modelo"): row["bits por carácter"] for name, row in table.iterrows()}
    chars |= {name: sizes[name] for name in ("xz", "gzip")}
    chars = dict(sorted(chars.items(), key=lambda item: -item[1]))
    colors = [plots.ORANGE if name == "modelo" else plots.BLUE for name in chars]
    _bars(right, chars, digits=2, title="Bits por carácter\n(la misma vara para todos)", colors=colors)
    return figure


def usos():
    """Comparar modelos en textos de personas, sí; poner nota a textos, no."""
    change = ast.literal_eval(cells.printed("05", "antes-y-despues-medida", r"(\{.*\})")[0])
    table = _after()["voraz-o-muestreo"]["table"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.9), layout="constrained")
    title = "SÍ: comparar modelos\n(antes y después del ajuste)"
    names = {name.replace(", ", ",\n"): value for name, value in change.items()}
    colors = [plots.ORANGE if "después" in name else plots.BLUE for name in names]
    _bars(left, names, digits=0, title=title, colors=colors)
    texts = {"búsqueda\nvoraz": "voraz", "muestreo": "muestreo", "novela": "novela"}
    values = {label: table.loc[name, "perplejidad"] for label, name in texts.items()}
    distinct = [table.loc[name, "bigramas distintos"] for name in texts.values()]
    marks = [
        f"{_number(v, 1)}\n({_number(100 * d)} % distintos)" for v, d in zip(values.values(), distinct, strict=True)
    ]
    title = "NO: poner nota a textos\n(y bigramas distintos)"
    _bars(right, values, digits=1, title=title, colors=plots.GREY, marks=marks)
    right.set_xlim(0, 2 * max(values.values()))
    figure.get_layout_engine().set(wspace=0.08)
    return figure


def familia():
    """Año y parámetros de la familia GPT: con punto, lo publicado; con «?», lo que no se publicó."""
    (config,) = cells.printed("05", "familia-gpt-contada", r"(.*)")
    counted = {name: float(value) for name, value in re.findall(r"^(.+?) {2,}([\d.]+)$", config, re.M)}
    if len(counted) != 7:
        raise ValueError(f"La celda que cuenta parámetros imprime {len(counted)} modelos y debían ser 7.")
    ours = counted["el modelo de este cuaderno"]
    gpt2 = [value for name, value in counted.items() if name.startswith("GPT-2")]
    known = {  # millones; los que no salen de la celda son los de la tabla de la sección 8
        "GPT": (2018, [counted["GPT"]]),
        "GPT-2": (2019, gpt2),
        "GPT-3": (2020, [175_000]),
        "InstructGPT": (2022, [1300, 6000, 175_000]),
        "gpt-oss": (2025, [20_900, 116_800]),
    }
    ax = plt.subplots(figsize=(11, 5), layout="constrained")[1]
    for name, (year, sizes) in known.items():
        ax.plot([year] * len(sizes), sizes, "o-", color=plots.BLUE, markersize=12)
        ax.text(year, 1.6 * sizes[-1], name, ha="center", va="bottom")
    for name, year in [("GPT-3.5", 2022), ("GPT-4", 2023), ("GPT-4o", 2024), ("GPT-5", 2025)]:
        ax.text(year, 2.5e7, "?", color=plots.RED, fontsize=26, fontweight="bold", **BOX)
        ax.text(year, 5e6, name, **BOX)
    ax.text(2017.8, 2.5e7, "no publicado:", color=plots.RED, va="center", fontweight="bold")
    ax.axhline(ours, color=plots.GREEN, linestyle="--", linewidth=2)
    ax.text(2025.5, ours * 1.25, f"el modelo del curso: {_number(ours, 1)} millones", ha="right", va="bottom")
    ax.set(yscale="log", xlim=(2017.6, 2025.9), ylim=(3, 1e8), ylabel="Parámetros (millones)")
    ax.set_yticks([10, 1000, 100_000], ["10", "1000", "100 000"])
    ax.minorticks_off()
    ax.grid(axis="y", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def examen():
    """Aciertos de 20 en gramática, sentido y hechos: el modelo, el unigrama y el azar."""
    table = _after()["examen-azar"]["table"]
    ax = plt.subplots(figsize=(11, 4.6), layout="constrained")[1]
    for shift, who, color, hatch in [(-0.2, "modelo", plots.BLUE, None), (0.2, "unigrama", "#DDDDDD", "///")]:
        hits = [int(v) for v in table[who]]
        places = [i + shift for i in range(len(hits))]
        bars = ax.bar(places, hits, 0.36, color=color, hatch=hatch, edgecolor="black", label=who)
        ax.bar_label(bars, padding=3, fontweight="bold")
    ax.axhline(5, color=plots.RED, linestyle="--", linewidth=2.5)
    ax.text(2.95, 5.3, "azar: 5", color=plots.RED, ha="right", va="bottom", fontweight="bold")
    ax.set(xlim=(-0.5, 3), ylim=(0, 20), ylabel="Aciertos de 20")
    ax.set_xticks(range(3), [f"{name}\n(por suerte: {_power(table.loc[name, 'por suerte'])})" for name in table.index])
    ax.legend(frameon=False, loc="upper right")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
