"""Figuras de la sesión 04. Lo que sale de entrenar no se repite aquí: se lee de las salidas del cuaderno ejecutado."""

import re
from functools import cache
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Rectangle
from transformers import AutoTokenizer, DataCollatorForLanguageModeling
from transformers.trainer_pt_utils import get_length_grouped_indices

from course_utils import decoding, finetuning, plots
from course_utils.jokes import load_jokes, near_duplicates
from course_utils.models import checkpoint

from . import cells

CONTEXT, PALE = 256, "#DDDDDD"
BEFORE, AFTER, REAL = plots.GREY, plots.BLUE, plots.ORANGE


@cache
def _jokes():
    return load_jokes()


@cache
def _tokenizer():
    return AutoTokenizer.from_pretrained(checkpoint("decoder"))


@cache
def _tokens():
    return finetuning.tokenize(_jokes()["train"]["text"], _tokenizer(), max_length=CONTEXT)


def _canvas(width=11.5, height=5.0, **kwargs):
    return plt.subplots(figsize=(width, height), layout="constrained", **kwargs)


def _box(ax, x, y, text, color, *, size=17, **kwargs):
    box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": color, "linewidth": 2.5}
    return ax.text(x, y, text, ha="center", va="center", fontsize=size, bbox=box, **kwargs)


def _arrow(ax, tail, head, **kwargs):
    ax.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 2.5} | kwargs)


def camino():
    """Los cuatro pasos de la sesión y lo que se mira en cada uno."""
    steps = {
        "datos": "repetidos,\nparticiones",
        "tokens": "EOS, −100,\nrelleno",
        "entrenar": "curvas,\nparar a tiempo",
        "medir": "cambio,\nolvido, copia",
    }
    fig, ax = _canvas(height=2.4)
    for i, (name, what) in enumerate(steps.items()):
        _box(ax, 3 * i, 0.6, name, plots.BLUE, size=21)
        ax.text(3 * i, -0.1, what, ha="center", va="top", fontsize=19, linespacing=1.3)
        if i:
            _arrow(ax, (3 * i - 2, 0.6), (3 * i - 1, 0.6))
    ax.set(xlim=(-1.3, 10.3), ylim=(-1.2, 1.1))
    ax.axis("off")
    return fig


def aplicaciones():
    """Un modelo preentrenado y seis usos del ajuste fino, cada uno con los ejemplos que pide."""
    uses = [
        ("un estilo", "chistes, versos, tu prosa"),
        ("clasificar", "opinión → positiva o negativa"),
        ("resumir", "noticia → dos frases"),
        ("traducir", "frase → la misma en quechua"),
        ("seguir instrucciones", "petición → buena respuesta"),
        ("otra materia", "leyes, medicina, código"),
    ]
    fig, ax = _canvas(height=5.2)
    _box(ax, 0.7, 0, "modelo\npreentrenado\n\nmillones\nde textos", "black", linespacing=1.3)
    for i, (name, data) in enumerate(uses):
        y = 2.5 - i
        _arrow(ax, (1.75, 0.13 * (2.5 - i)), (3.1, y))
        ax.text(3.25, y + 0.03, name, va="center", fontsize=19, fontweight="bold", color="#00507d")
        ax.text(6.45, y + 0.03, data, va="center", fontsize=19)
    ax.set(xlim=(-0.3, 10.7), ylim=(-3.0, 3.4))
    ax.text(3.25, 3.2, "ajuste fino para…", va="center", fontsize=17, style="italic")
    ax.text(6.45, 3.2, "con ejemplos de…", va="center", fontsize=17, style="italic")
    ax.axis("off")
    return fig


def longitudes():
    """Las palabras de los chistes de entrenamiento."""
    lengths = [len(re.findall(r"\w+", text)) for text in _jokes()["train"]["text"]]
    fig, ax = _canvas(11, 4.3)
    plots.plot_histogram(lengths, xlabel="Palabras del chiste", ylabel="Chistes", ax=ax)
    for note in ax.texts:
        note.set_fontsize(19)
    ax.text(0.97, 0.6, f"{len(lengths)} chistes de entrenamiento\nde {min(lengths)} a {max(lengths)} palabras",
            transform=ax.transAxes, ha="right", fontsize=19)  # fmt: skip
    return fig


def repetidos():
    """Los 80 textos de prueba del experimento del cuaderno: cuáles tienen su copia en el entrenamiento."""
    everything = [text for part in _jokes().values() for text in part["text"]]
    dirty = everything[:300] + [text.upper() for text in everything[:100]]
    test = set(np.random.default_rng(0).permutation(len(dirty))[:80].tolist())
    pairs = near_duplicates(dirty)
    seen = {k for i, j, _ in pairs if (i in test) != (j in test) for k in (i, j) if k in test}
    fig, ax = _canvas(11, 3.9)
    for n in range(80):
        x, y = divmod(n, 5)
        copied = n < len(seen)
        look = {"facecolor": "#F6C9AE", "hatch": "////"} if copied else {"facecolor": "#CFE3F1"}
        ax.add_patch(Rectangle((x + 0.05, -y), 0.9, 0.88, edgecolor=plots.RED if copied else plots.BLUE, **look))
    ax.text(0, 1.25, f"rayado: {len(seen)} tienen su copia en el entrenamiento", color="#8a3c00", fontsize=19)
    ax.text(16, -4.75, f"liso: {80 - len(seen)} de verdad nuevos", ha="right", color="#00507d", fontsize=19)
    ax.set(xlim=(-0.05, 16.05), ylim=(-5.0, 1.9))
    ax.axis("off")
    return fig


def etiquetas():
    """El final de un chiste rellenado con el EOS: la etiqueta del colador habitual y la del curso."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("decoder"))
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "right"
    pair = [{"input_ids": _tokens()[i]["input_ids"]} for i in (1, 2)]
    usual = DataCollatorForLanguageModeling(tokenizer, mlm=False)(pair)
    ours = finetuning.collator(tokenizer.pad_token_id)(pair)
    row = min(range(2), key=lambda i: len(pair[i]["input_ids"]))
    n = len(pair[row]["input_ids"])
    part = slice(n - 4, n + 3)
    names = [decoding.show_token(tokenizer, i) for i in usual["input_ids"][row, part].tolist()]
    fig, ax = _canvas(height=4.6)
    lines = {"token": names, "habitual": usual["labels"][row, part].tolist(), "la nuestra": ours["labels"][row, part]}
    for line, (name, values) in enumerate(lines.items()):
        y = 2 - line
        ax.text(-0.15, 1.3 * y + 0.42, name, ha="right", va="center", fontsize=19)
        for x, value in enumerate(values):
            value = value if line == 0 else int(value)
            hidden = value == -100
            look = {"facecolor": PALE, "hatch": "////"} if hidden else {"facecolor": "white"}
            wrong = x == 3 and line
            edge, width = ((plots.RED if hidden else plots.GREEN), 5) if wrong else (plots.GREY, 1.5)
            ax.add_patch(Rectangle((1.5 * x + 0.08, 1.3 * y), 1.34, 0.85, edgecolor=edge, linewidth=width, **look))
            text = "EOS" if str(value).startswith("<|") else str(value).replace("-", "−")
            back = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"} if hidden else None
            ax.text(1.5 * x + 0.75, 1.3 * y + 0.42, text, ha="center", va="center", fontsize=19, bbox=back)
            if wrong:
                mark = "✗ no se aprende" if hidden else "✓ se aprende"
                ax.text(1.5 * x + 1.4, 1.3 * y - 0.26, mark, ha="right", fontsize=18, color=edge, va="center")
    ax.text(5.9, 3.7, "el EOS de verdad", ha="right", fontsize=18)
    ax.text(6.1, 3.7, "relleno (también EOS)", fontsize=18)
    ax.plot([6.0, 6.0], [-0.1, 3.9], color="black", linestyle=":", linewidth=2)
    ax.set(xlim=(-2.0, 10.6), ylim=(-0.5, 4.1))
    ax.axis("off")
    return fig


def relleno():
    """Un lote de cada clase, con lo que se paga en relleno en todo el entrenamiento."""
    tokens = _tokens()["length"]
    order = np.random.default_rng(0).permutation(len(tokens)).tolist()
    grouped = get_length_grouped_indices(tokens, 8, generator=torch.Generator().manual_seed(0))
    batches = {name: [o[i : i + 8] for i in range(0, len(o), 8)] for name, o in {"az": order, "len": grouped}.items()}
    packed = finetuning.pack(_tokens(), CONTEXT)
    first = batches["az"][0]
    longest = max(tokens[i] for i in first)
    alike = min(batches["len"], key=lambda batch: abs(max(tokens[i] for i in batch) - longest))
    starts = [[i for i, p in enumerate(row) if p == 0] + [len(row)] for row in packed["position_ids"][:8]]
    every = [list(range(i, min(i + 8, len(packed)))) for i in range(0, len(packed), 8)]
    share = finetuning.padding_share
    panels = [
        ("siempre 512", [[tokens[i]] for i in first], 512, share(tokens, batches["az"], pad_to=512)),
        ("hasta el más largo", [[tokens[i]] for i in first], longest, share(tokens, batches["az"])),
        ("agrupando", [[tokens[i]] for i in alike], max(tokens[i] for i in alike), share(tokens, batches["len"])),
        ("juntando", [np.diff(r).tolist() for r in starts], CONTEXT, share(packed["length"], every, pad_to=CONTEXT)),
    ]
    fig, axes = _canvas(height=5.2, nrows=2, ncols=2)
    for ax, (name, rows, width, wasted) in zip(axes.flat, panels, strict=True):
        plots.plot_padding(rows, width, xmax=512, title=f"{name}: {100 * wasted:.1f} % relleno", ax=ax)
        ax.set(ylabel="", xlabel="", xticks=[0, 128, 256, 384, 512])
    return fig


def bucle():
    """Una época y lo que pasa entre época y época."""
    fig, ax = _canvas(height=4.9)
    steps = ["lote de\n8 chistes", "modelo", "pérdida", "gradiente", "pesos\nnuevos"]
    for i, text in enumerate(steps):
        _box(ax, 2.2 * i, 2, text, plots.BLUE, size=19)
        if i:
            _arrow(ax, (2.2 * i - 1.33 if i > 1 else 1.0, 2), (2.2 * i - 0.85, 2))
    ax.plot([8.8, 8.8, 0, 0], [2.5, 3.05, 3.05, 2.9], color="black", linewidth=2.5, zorder=0)
    _arrow(ax, (0, 3.07), (0, 2.55))
    ax.text(4.4, 3.15, "otro lote, hasta acabar la época", ha="center", va="bottom", fontsize=19)
    _arrow(ax, (8.8, 1.45), (8.8, 0.62))
    _box(ax, 8.3, 0.15, "pérdida de\nvalidación", plots.GREEN, size=19)
    _box(ax, 4.4, 0.6, "✓ la mejor: se guarda", plots.GREEN, size=19)
    _box(ax, 4.4, -0.35, "✗ tres sin mejorar: se para", plots.RED, size=19)
    _arrow(ax, (7.25, 0.3), (6.3, 0.55))
    _arrow(ax, (7.25, 0.0), (6.6, -0.3))
    ax.set(xlim=(-1, 9.9), ylim=(-0.8, 3.6))
    ax.axis("off")
    return fig


def curvas():
    """Las pérdidas por época del entrenamiento del cuaderno."""
    table = cells.table("04", "entrenamiento")
    train, validation = list(table["Training Loss"].values()), list(table["Nll"].values())
    fig, axes = _canvas(height=4.9, ncols=2)
    plots.plot_learning_curves(train, validation, title="Las dos", ax=axes[0])
    plots.plot_learning_curves(None, validation, title="De cerca: la de validación", ax=axes[1])
    for note in axes[1].texts:
        note.set_fontsize(15)
    axes[1].set_ylabel("")
    axes[0].legend(frameon=False, fontsize=15, loc="lower left")
    axes[1].legend(frameon=False, fontsize=15, loc="center")
    return fig


def antes_despues():
    """Lo que escriben los dos modelos con el mismo principio y la misma semilla."""
    texts = {
        "antes": cells.printed("04", "medidas-despues", r"^\[antes\] (.*?)\n\n\[después\]")[0],
        "después": cells.printed("04", "medidas-despues", r"^\[después\] (.*?)\n+<")[0],
    }
    fig, axes = _canvas(height=5.0, ncols=2)
    for ax, (name, text) in zip(axes, texts.items(), strict=True):
        lines = "\n".join(fill(line, 40) for line in text.strip().splitlines())
        ax.set_title(f"[{name}]", loc="left")
        shown = lines.split("\n")
        ax.text(0, 1, "\n".join(shown[:12]) + ("…" if len(shown) > 12 else ""), va="top", fontsize=17, linespacing=1.3)
        ax.axis("off")
    ended = cells.table("04", "medidas-despues")["acaban solos (%)"]
    axes[0].text(0, -0.02, f"acaban solos: {ended['antes']:.0f} % de 50", fontsize=19, color="#8a3c00", va="bottom")
    axes[1].text(0, -0.02, f"acaban solos: {ended['después']:.0f} % de 50", fontsize=19, color="#00507d", va="bottom")
    return fig


def medidas():
    """Las mismas medidas antes y después: la forma, los chistes nuevos y la prosa."""
    style = cells.table("04", "medidas-despues")["empiezan con raya o pregunta (%)"]
    panels = {"Empiezan con raya\no pregunta (%)": {"antes": style["antes"], "después": style["después"]}}
    for name, title in [("chistes", "Perplejidad en\nchistes de prueba"), ("prosa", "Perplejidad en\nprosa literaria")]:
        old, new, change = cells.printed(
            "04", "medidas-despues", rf"^perplejidad en {name}: ([\d.]+) → ([\d.]+) \(([-+]\d+) %\)"
        )
        panels[title] = {"antes": float(old), f"después\n({change.replace('-', '−')} %)": float(new)}
    fig, axes = _canvas(height=4.5, ncols=3)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        bars = ax.bar(list(values), list(values.values()), color=[BEFORE, AFTER], width=0.6)
        bars[0].set_hatch("//")
        ax.bar_label(bars, [f"{v:.1f}" for v in values.values()], fontsize=19, padding=3)
        ax.set(ylim=(0, 1.15 * max(values.values())), yticks=[], title=title)
        ax.spines[["top", "right", "left"]].set_visible(False)
    return fig


def copia():
    """El chiste que recita el modelo entrenado de más, y cuánto copia cada uno."""
    words, text = cells.printed("04", "entrenado-de-mas", r"^El que más copia, (\d+) palabras seguidas:\n(.*?)\n+<")
    longest = cells.table("04", "entrenado-de-mas")["trozo más largo"]
    fig, (left, right) = _canvas(height=4.8, ncols=2, width_ratios=[5, 6])
    lines = "\n".join(fill(line, 36) for line in text.strip().splitlines())
    left.set_title(f"Recita {words} palabras seguidas", loc="left")
    left.text(0, 0.97, lines, va="top", fontsize=17, linespacing=1.4, color="#8a3c00")
    left.axis("off")
    bars = right.bar(["el mejor", "entrenado\nde más", "chistes\nde prueba"], list(longest.values()), width=0.6,
                     color=[AFTER, plots.RED, REAL])  # fmt: skip
    bars[1].set_hatch("//")
    right.bar_label(bars, [f"{v:.0f}" for v in longest.values()], fontsize=19, padding=3)
    right.set(ylim=(0, 1.15 * max(longest.values())), yticks=[])
    right.set_title("Trozo copiado más largo (palabras)")
    right.spines[["top", "right", "left"]].set_visible(False)
    return fig


def lora():
    """LoRA: la matriz quieta y dos pequeñas que se entrenan; y lo medido con los dos ajustes."""
    (share,) = cells.printed("04", "lora-parametros", r"parámetros: el ([\d.]+) %")
    memory = cells.table("04", "lora-entrenamiento")
    fig, (left, right) = _canvas(height=4.9, ncols=2, width_ratios=[5, 6])
    blocks = [(0, 0, 3, 3, PALE, "W\n\nquieta"), (4.2, 0, 0.6, 3, "#CFE3F1", "B"), (5.2, 2.4, 3, 0.6, "#CFE3F1", "A")]
    for x, y, width, height, face, text in blocks:
        left.add_patch(Rectangle((x, y), width, height, facecolor=face, edgecolor="black", linewidth=2))
        left.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=19)
    left.text(3.6, 1.5, "+", ha="center", va="center", fontsize=28)
    note = f"se entrenan\nsolo B y A:\nel {share} %"
    left.text(6.7, 1.35, note, ha="center", va="center", fontsize=19, color="#00507d")
    left.set(xlim=(-0.2, 8.4), ylim=(-0.6, 3.8))
    left.axis("off")
    rows = ["gradientes y Adam (MB)", "perplejidad en chistes", "perplejidad en prosa"]
    for i, name in enumerate(rows):
        values = list(memory[name].values())
        for j, (value, look) in enumerate(zip(values, [{"color": AFTER}, {"color": REAL, "hatch": "//"}], strict=True)):
            y = 3 * i + 0.85 * j
            right.barh(y, value / max(values), height=0.78, **look)
            who = ["entero", "LoRA"][j]
            right.text(value / max(values) + 0.02, y, f"{value:.1f} · {who}", va="center", fontsize=17)
        right.text(0, 3 * i - 0.85, name, va="center", fontsize=17, fontweight="bold")
    right.set(xlim=(0, 1.5), ylim=(7.5, -1.5))
    right.axis("off")
    return fig
