"""Figuras de la sesión 02: el bucle, los logits, el azar, los trozos de letra y la caché, como en el cuaderno."""

import itertools
import textwrap
from functools import cache

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Arc, Circle, Rectangle

from course_utils import decoding, plots
from course_utils.drawing import arrow, box, canvas, chips, label
from course_utils.models import load_model

BLUE, ORANGE, GREEN, RED, GREY = plots.BLUE, plots.ORANGE, plots.GREEN, plots.RED, plots.GREY
PROMPT, NIGHT = "Había una vez", "La noche estaba oscura y"


@cache
def _decoder():
    return load_model("decoder")


def _ids(text=PROMPT):
    return _decoder()[1](text, return_tensors="pt").input_ids


def _show(ids):
    return [decoding.show_token(_decoder()[1], i) for i in ids]


@cache
def _logits(text=PROMPT):
    with torch.no_grad():
        return _decoder()[0](_ids(text)).logits


@cache
def _greedy(n, top_n=0):
    return decoding.generate(_decoder()[0], _ids(), max_new_tokens=n, top_n=top_n)


def _distinct_2(ids):
    """Proporción de bigramas distintos, como en el cuaderno."""
    bigrams = list(itertools.pairwise(ids))
    return len(set(bigrams)) / len(bigrams)


def _step(n):
    """El paso n del bucle voraz: el prompt entra, el modelo da candidatas y la elegida se añade."""
    trace = _greedy(3, top_n=4)
    tokens = _show(trace.sequences[0].tolist())
    written, choices = tokens[: 3 + n], trace.choices(_decoder()[1])[n - 1]
    ax = canvas(11.4, 4.9)
    label(ax, 0.2, 4.6, f"prompt {n}", ha="left", fontweight="bold")
    colors = [BLUE] * 4 + [GREEN] * (n - 1)
    chips(ax, 0.2, 3.85, written, colors, size=20)
    arrow(ax, (1.5, 3.8), (1.5, 3.2))
    box(ax, 0.2, 1.95, 2.6, 1.2, "decodificador", RED, fontsize=20)
    label(ax, 1.5, 1.65, "1. preguntar", style="italic")
    arrow(ax, (2.9, 2.55), (3.7, 2.55))
    bars = ax.inset_axes((5.2, 1.75, 4.6, 1.75), transform=ax.transData)
    plots.plot_distribution(dict(choices), highlight=choices[0][0], ax=bars)
    bars.set(xlabel="", xticks=[])
    bars.tick_params(labelsize=18)
    for text in bars.texts:
        text.set_fontsize(18)
    label(ax, 7.2, 1.5, "2. elegir la de más probabilidad (◀)", style="italic")
    label(ax, 0.2, 0.95, f"prompt {n + 1}", ha="left", fontweight="bold")
    *_, (x, width) = chips(ax, 0.2, 0.2, tokens[: 4 + n], [*colors, ORANGE], size=20)
    arrow(ax, (x + 3.4, 0.43), (x + width / 2 + 0.1, 0.43))
    label(ax, x + 3.5, 0.43, "3. añadir", style="italic", ha="left")
    return ax


def paso_1():
    """Primer paso: «Había una vez» entra y la predicción se añade."""
    return _step(1)


def paso_2():
    """Segundo paso: el prompt ya lleva la predicción de antes."""
    return _step(2)


def hasta_el_fin():
    """El texto crece, paso a paso, hasta que el modelo escribe el final de párrafo."""
    model, tokenizer = _decoder()
    newline = tokenizer.encode("\n")[-1]
    ids = _ids(NIGHT)
    out = decoding.generate(model, ids, max_new_tokens=60, eos_token_id=newline)
    new = out.new_ids[0].tolist()
    ax = canvas(9.9, 5.1)
    for row, n in enumerate([1, 2, 3, None, len(new) - 2, len(new) - 1, len(new)]):
        y = 4.55 - 0.7 * row
        if n is None:
            label(ax, 4.5, y + 0.22, "· · ·", fontsize=24)
            continue
        text = tokenizer.decode(ids[0].tolist() + new[: n - 1])
        text = text if len(text) < 46 else "…" + text[-45:]
        last = n == len(new)
        label(ax, 0.1, y + 0.22, f"paso {n}", ha="left", fontweight="bold")
        (x, width), *_ = chips(ax, 1.35, y, [text], BLUE)
        token = "↵ fin" if last else _show([new[n - 1]])[0]
        chips(ax, x + width / 2 + 0.1, y, [token], RED if last else ORANGE, linewidth=4 if last else 2.2)
    return ax


def logits_bsv():
    """Los logits de «Había una vez»: una fila por posición, una columna por token del vocabulario."""
    ax = canvas(11.4, 5)
    logits, ids = _logits()[0], _ids()[0].tolist()
    (_, s, v), written = _logits().shape, _show(ids)
    for shift in (0.24, 0.12):
        ax.add_patch(Rectangle((1.5 + shift, 0.6 + shift), 5, 3.4, facecolor="#F3F3F3", edgecolor=GREY))
    shown = torch.cat([logits[:, :9], logits[:, -1:]], dim=1)
    low, high = shown.min().item(), shown.max().item()
    for row in range(s):
        y = 3.15 - 0.85 * row
        for column in range(10):
            share = (shown[row, column].item() - low) / (high - low)
            face = plt.get_cmap("Blues")(0.08 + 0.6 * share)
            hole = column == 8
            box(
                ax,
                1.5 + 0.5 * column,
                y,
                0.5,
                0.85,
                "…" if hole else "",
                GREY,
                rounding=0.02,
                linewidth=1,
                facecolor="white" if hole else face,
            )
        label(ax, 1.35, y + 0.42, written[row], ha="right", family="monospace", fontsize=19)
        predicted = _show([logits[row].argmax().item()])[0]
        label(ax, 7.75, y + 0.42, predicted, ha="left", family="monospace", fontsize=19)
        coming = "?" if row == s - 1 else written[row + 1]
        label(ax, 9.95, y + 0.42, coming, ha="left", family="monospace", fontsize=19)
    ax.add_patch(Rectangle((1.47, 0.57), 5.06, 0.91, fill=False, edgecolor=RED, linewidth=5))
    arrow(ax, (6.85, 1.02), (7.6, 1.02), color=RED)
    label(ax, 4, 4.6, f"v = {v} notas por posición", fontsize=19)
    label(ax, 1.35, 4.6, f"s = {s}", ha="right", fontsize=19)
    label(ax, 7.75, 4.6, "predice", ha="left", fontweight="bold")
    label(ax, 9.95, 4.6, "venía", ha="left", fontweight="bold")
    label(ax, 4, 0.25, "la última: logits[:, -1]", color="#8A3C00", fontweight="bold", family="monospace")
    label(ax, 6.85, 3.9, "b", fontsize=20, style="italic", ha="left")
    return ax


def softmax():
    """De las notas a las probabilidades: las seis candidatas mejores y todo lo que queda fuera."""
    z = _logits()[0, -1]
    top = z.topk(6)
    names, probs = _show(top.indices.tolist()), z.softmax(-1)[top.indices].tolist()
    fig, (left, right) = plt.subplots(1, 2, figsize=(11.4, 4), layout="constrained", gridspec_kw={"wspace": 0.22})
    bars = left.barh(range(6), top.values.tolist(), color=GREY)
    left.bar_label(bars, [f"{value:.2f}" for value in top.values.tolist()], padding=4)
    left.set_yticks(range(6), names, family="monospace", parse_math=False)
    left.set(title="logits (notas)", xlim=(0, 6.4), xticks=[])
    left.invert_yaxis()
    left.spines[["top", "right"]].set_visible(False)
    plots.plot_distribution(dict(zip(names, probs, strict=True)), highlight=names[0], title="probabilidades", ax=right)
    right.set(xlabel=f"las otras {len(z) - 6} se reparten el {100 - 100 * sum(probs):.1f} %", xticks=[])
    style = {"arrowstyle": "-|>", "lw": 4, "color": "black", "mutation_scale": 26}
    right.annotate("", (-0.36, 0.5), (-0.58, 0.5), xycoords="axes fraction", arrowprops=style)
    label(right, -0.47, 0.6, "softmax", transform=right.transAxes, fontweight="bold")
    return fig


def voraz():
    """Los 40 tokens de la búsqueda voraz, con lo que se repite en un marco."""
    text = _decoder()[1].decode(_greedy(40).sequences[0].tolist())
    lines, loop = textwrap.wrap(text, 46), "la calle de la Paz"
    flat = "\n".join(lines)
    size, step = 23, 0.602 * 23 / 72
    ax = canvas(9.9, 0.75 * len(lines) + 1)
    top = 0.75 * len(lines) + 0.55
    found = [m for m in range(len(flat)) if flat[m:].replace("\n", " ").startswith(loop)]
    for i, line in enumerate(lines):
        start = sum(len(before) + 1 for before in lines[:i])
        for m in found:
            a, b = max(m - start, 0), min(m + len(loop) - start, len(line))
            if a < b:
                box(ax, 0.4 + a * step, top - 0.75 * i - 0.27, (b - a) * step, 0.55, "", ORANGE, rounding=0.05)
        for j, letter in enumerate(line):
            label(ax, 0.4 + (j + 0.5) * step, top - 0.75 * i, letter, family="monospace", fontsize=size)
    value = _distinct_2(_greedy(200).sequences[0].tolist())
    note = f"con 200 tokens, bigramas distintos: {value:.2f} (1 sería «nada repetido»)"
    label(ax, 4.95, 0.35, note, fontsize=20)
    return ax


def muestreo():
    """Diez mil tiradas frente a la probabilidad, y cuánto se repite un texto voraz y uno muestreado."""
    probs = _logits()[0, -1].softmax(-1)
    top = probs.topk(5)
    torch.manual_seed(0)
    draws = torch.multinomial(probs, 10_000, replacement=True)
    seen = [(draws == i).float().mean().item() for i in top.indices]
    fig, (left, right) = plt.subplots(1, 2, figsize=(11.6, 4.7), layout="constrained", width_ratios=[3, 2])
    series = [("lo que dice el modelo", top.values.tolist(), BLUE, ""), ("10 000 tiradas", seen, ORANGE, "//")]
    for shift, (name, values, color, hatch) in zip([-0.2, 0.2], series, strict=True):
        places = [i + shift for i in range(5)]
        bars = left.barh(places, values, 0.38, color=color, hatch=hatch, edgecolor="white", label=name)
        left.bar_label(bars, [f"{100 * value:.1f} %" for value in values], padding=4, fontsize=16)
    left.set_yticks(range(5), _show(top.indices.tolist()), family="monospace", parse_math=False)
    left.set(title="El dado respeta las probabilidades", xlim=(0, 0.15), xticks=[])
    left.invert_yaxis()
    left.legend(frameon=False, loc="lower right", fontsize=16)
    torch.manual_seed(0)
    sampled = decoding.generate(_decoder()[0], _ids(), select=decoding.sample, max_new_tokens=200)
    both = {
        name: _distinct_2(out.sequences[0].tolist()) for name, out in [("voraz", _greedy(200)), ("muestreo", sampled)]
    }
    bars = right.bar(list(both), list(both.values()), color=[GREY, ORANGE], width=0.6)
    right.bar_label(bars, [f"{value:.2f}" for value in both.values()], padding=3, fontsize=20)
    right.set(title="Bigramas distintos", ylim=(0, 1.15), yticks=[])
    right.tick_params(labelsize=18)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    return fig


def epsilon():
    """La misma medida del cuaderno: al explorar, textos menos probables y más variados."""
    epsilons, likelihood, variety = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [], []
    for value in epsilons:
        torch.manual_seed(0)
        select = decoding.epsilon_greedy(value)
        out = decoding.generate(_decoder()[0], _ids().repeat(16, 1), select=select, max_new_tokens=60)
        likelihood.append(out.logprobs.mean().item())
        variety.append(sum(_distinct_2(row) for row in out.new_ids.tolist()) / 16)
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 4.4), layout="constrained")
    panels = [
        ("Menos probable…", "Log-prob. por token (nats)", likelihood),
        ("…y más variado", "Bigramas distintos", variety),
    ]
    for ax, (title, ylabel, values) in zip(axes, panels, strict=True):
        plots.plot_epsilon_sweep(epsilons, {"modelo": values}, ylabel=ylabel, title=title, ax=ax)
        ax.set_ylim((0, 1.08) if values is variety else (-4.5, -1))
        for i, name in [(0, "voraz"), (-1, "muestreo")]:
            above = values is likelihood and i == 0
            ax.annotate(
                f"{name}: {values[i]:.2f}",
                (epsilons[i], values[i]),
                (0, 12 if above else -24),
                textcoords="offset points",
                ha="right" if i else "left",
                va="bottom" if above else "top",
            )
    return fig


def medio_token():
    """Los quince tokens de un texto con Ñ, Ú y un emoji: hay letras que ocupan dos y un dibujo que ocupa cuatro."""
    ax = canvas(11.4, 4.3)
    pieces = _decoder()[1]("¡Un ÑANDÚ! 🙂").input_ids
    shown = _show(pieces)
    parts = [1 if "⟨" in text else 0 for text in shown]
    label(ax, 0.15, 2.95, f"{len(shown)} tokens:", ha="left", fontweight="bold")
    places = chips(ax, 0.15, 2.15, shown, [ORANGE if part else BLUE for part in parts], size=19, gap=0.05)
    label(ax, 0.15, 1.65, "uno a uno:", ha="left", fontweight="bold")
    for i, (middle, _) in zip(pieces, places, strict=True):
        alone = _decoder()[1].decode([i])
        label(ax, middle, 1.15, "\ufffd" if "\ufffd" in alone else alone, fontsize=22)
    label(ax, 0.15, 0.35, "juntos:   ¡Un ÑANDÚ!", ha="left", fontweight="bold", fontsize=20)
    _smile(ax, 3.85, 0.36)
    groups, start = [], None
    for i, part in enumerate([*parts, 0]):
        start = i if part and start is None else start
        if start is not None and not part:
            groups.append((start, i - 1))
            start = None
    for (a, b), letter in zip(groups, ["Ñ", "Ú", None], strict=True):
        left, right = places[a][0] - places[a][1] / 2, places[b][0] + places[b][1] / 2
        ax.plot([left, left, right, right], [3.22, 3.37, 3.37, 3.22], color="black", linewidth=2)
        middle = (left + right) / 2
        label(ax, middle, 3.78, letter or "", fontsize=28, fontweight="bold")
        if letter is None:
            _smile(ax, middle, 3.8)
    return ax


def _smile(ax, x, y, r=0.22):
    ax.add_patch(Circle((x, y), r, facecolor="#FBE8BF", edgecolor="black", linewidth=2))
    for side in (-1, 1):
        ax.add_patch(Circle((x + side * r / 3, y + r / 4), r / 9, color="black"))
    ax.add_patch(Arc((x, y), r, r, theta1=200, theta2=340, linewidth=2))


def contexto():
    """La tabla de posiciones se acaba: lo que cabe y lo que no."""
    ax = canvas(11.4, 3.4)
    size, prompt = _decoder()[0].config.max_position_embeddings, _ids().size(1)
    names = [*range(prompt), "…", size - 2, size - 1, size, size + 1, "…", prompt + size - 1]
    for i, name in enumerate(names):
        kind = (
            BLUE if i < prompt else GREEN if (name == "…" and i < 6) or (isinstance(name, int) and name < size) else RED
        )
        dashed = {"linestyle": "--"} if kind == RED else {}
        box(ax, 0.25 + i, 1.3, 0.92, 0.9, str(name), kind, fontsize=20, **dashed)
    for a, b, text in [
        (0, 3, f"prompt: {prompt}"),
        (4, 6, f"nuevos: hasta {size - prompt}"),
        (7, 10, "no hay vector de posición"),
    ]:
        ax.plot([0.25 + a, 0.25 + a, b + 1.17, b + 1.17], [2.35, 2.5, 2.5, 2.35], color="black", linewidth=2)
        label(ax, (a + b + 1.42) / 2, 2.85, text, fontweight="bold")
    ax.plot([7.21, 7.21], [0.75, 2.65], color="black", linewidth=5)
    label(ax, 7.21, 0.45, f"contexto = {size} posiciones", fontsize=20)
    return ax


def cache_cuadros():
    """Qué pasa por el modelo en cada paso, sin caché y con caché: un cuadro por token."""
    ax = canvas(11.4, 5.1)
    prompt, steps = 4, 6
    for left, cached, name in [(0.6, False, "Sin caché"), (6.5, True, "Con caché")]:
        count = 0
        for step in range(steps):
            for column in range(prompt + step):
                new = not cached or step == 0 or column == prompt + step - 1
                count += new
                x, y = left + 0.5 * column, 3.55 - 0.58 * step
                box(ax, x, y, 0.46, 0.52, "●" if new else "·", ORANGE if new else GREY, rounding=0.04, fontsize=16)
            label(ax, left - 0.15, 3.8 - 0.58 * step, str(step + 1), ha="right")
        label(ax, left - 0.3, 4.75, f"{name}: {count} tokens", fontweight="bold", fontsize=22, ha="left")
        label(ax, left - 0.3, 4.3, "paso ↓   posición →", ha="left", style="italic")
    label(ax, 5.7, 0.25, "●  pasa por el modelo      ·  su clave y su valor ya estaban guardados", fontsize=19)
    return ax


def cache_cuenta():
    """Tokens que pasan por el modelo según los que se escriben: cuadrático frente a lineal."""
    lengths, prompt = [25, 50, 100, 200], _ids().size(1)
    work = {
        "sin caché": [sum(prompt + i for i in range(n)) for n in lengths],
        "con caché": [prompt + n - 1 for n in lengths],
    }
    _, ax = plt.subplots(figsize=(11.4, 4.9), layout="constrained")
    plots.plot_times(lengths, work, ax=ax)
    ax.set(
        ylabel="Tokens por el modelo",
        xlabel="Tokens nuevos",
        xlim=(10, 210),
        ylim=(-2600, 23000),
        xticks=lengths,
        yticks=range(0, 20001, 5000),
    )
    for name, values in work.items():
        for x, y in zip(lengths, values, strict=True):
            above = name == "sin caché"
            ax.annotate(
                f"{y}",
                (x, y),
                (-4 if above else 0, 8 if above else -10),
                textcoords="offset points",
                ha="right" if above else "center",
                va="bottom" if above else "top",
            )
    return ax
