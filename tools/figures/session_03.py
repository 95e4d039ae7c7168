"""Figuras de la sesión 03, con los textos, las semillas y los números del cuaderno."""

from functools import cache, partial
from textwrap import fill

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle

from course_utils import decoding, plots
from course_utils.models import load_model
from course_utils.scoring import token_logprobs
from course_utils.strategies import compare_strategies

INK, PALE = "#333333", "#DDDDDD"


@cache
def _decoder():
    model, tokenizer = load_model("decoder")
    tokenizer.padding_side = "left"
    return model, tokenizer


def _ids(text):
    return _decoder()[1](text, return_tensors="pt").input_ids


def _show(token_id):
    return decoding.show_token(_decoder()[1], token_id)


@cache
def _probs(text):
    """La distribución del siguiente token tras un texto, (V,)."""
    with torch.no_grad():
        return _decoder()[0](_ids(text)).logits[0, -1].softmax(-1)


def _bars(text, n, probs=None):
    probs = _probs(text) if probs is None else probs
    best = probs.topk(n)
    return dict(zip(map(_show, best.indices.tolist()), best.values.tolist(), strict=True))


@cache
def _beams(text, beams, n):
    return decoding.beam_search(_decoder()[0], _ids(text), num_beams=beams, max_new_tokens=n)


def _canvas(width=11.0, height=5.0, **kwargs):
    return plt.subplots(figsize=(width, height), layout="constrained", **kwargs)


def _box(ax, x, y, text, color, *, width=2.5, size=17, ink="black", face="white", **kwargs):
    box = {"boxstyle": "round,pad=0.35", "facecolor": face, "edgecolor": color, "linewidth": width}
    return ax.text(x, y, text, ha="center", va="center", fontsize=size, color=ink, bbox=box, parse_math=False, **kwargs)


def mapa():
    """El bucle con sus mandos: qué se toca en cada parte."""
    fig, ax = _canvas(11.5, 2.7)
    boxes = [
        (0, "texto", "black"),
        (2.1, "modelo", "black"),
        (5.2, "transformar\nτ · top-k · top-p · min-p\nno repetir", plots.BLUE),
        (9.0, "elegir\nvoraz · muestreo\nhaz", plots.RED),
    ]
    for x, text, color in boxes:
        _box(ax, x, 0, text, color, linespacing=1.4)
    for tail, head in [(0.55, 1.35), (2.85, 3.55), (6.85, 7.75)]:
        ax.annotate("", (head, 0), (tail, 0), arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 2.5})
    ax.plot([9.0, 9.0, 0], [-0.7, -1.15, -1.15], color="black", linewidth=2.5, zorder=0)
    ax.annotate("", (0, -0.35), (0, -1.17), arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 2.5})
    ax.text(4.5, -1.25, "un token más, y otra vez", ha="center", va="top")
    ax.set(xlim=(-0.7, 10.4), ylim=(-1.85, 0.9))
    ax.axis("off")
    return fig


def top_50():
    """Los cien primeros candidatos tras «Había una vez»: los cincuenta que deja ``generate`` y los que quita."""
    probs = _probs("Había una vez").sort(descending=True).values.tolist()
    inside = sum(probs[:50])
    fig, ax = _canvas(height=4.6)
    ax.bar(range(1, 51), probs[:50], color=plots.BLUE, width=0.9)
    ax.bar(range(51, 101), probs[50:100], color=PALE, edgecolor=plots.GREY, hatch="////", width=0.9)
    ax.axvline(50.5, color=plots.RED, linestyle="--", linewidth=3)
    ax.text(27, 0.065, f"los 50 mejores\nsuman {100 * inside:.1f} %", ha="center", color=plots.BLUE, fontsize=20)
    others = len(probs) - 50
    ax.text(76, 0.065, f"los otros {others}\nsuman {100 - 100 * inside:.1f} %", ha="center", color=INK, fontsize=20)
    ax.text(51.5, 0.115, "aquí corta, sin que lo pidas", color=plots.RED, va="center")
    ax.set(xlabel="Puesto del token (los cien primeros)", ylabel="Probabilidad", title="Tras «Había una vez»")
    ax.set_xlim(0, 101)
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def voraz_pierde():
    """Un árbol de verdad, tras «Don Quijote»: el camino voraz y otro que empieza peor y acaba mejor."""
    model, tokenizer = _decoder()
    greedy = decoding.generate(model, _ids("Don Quijote"), max_new_tokens=3).new_ids[0].tolist()
    better = tokenizer(" de la Man").input_ids
    fig, ax = _canvas(11.5, 3.7)
    _box(ax, 0, 0, "Don Quijote", "black", size=20)
    for path, y, color, style, mark in [
        (greedy, 1, plots.BLUE, "-", "voraz"),
        (better, -1, plots.ORANGE, "--", "★ mejor"),
    ]:
        product, x, text = 1.0, 0.0, "Don Quijote"
        for step, token in enumerate(path, 1):
            p = _probs(text)[token].item()
            product, text = product * p, text + tokenizer.decode([token])
            start = (x, 0.0) if step == 1 else (x, y)
            ax.plot([start[0], step], [start[1], y], style, color=color, linewidth=4, zorder=0)
            middle = ((start[0] + step) / 2, (start[1] + y) / 2 + (0.2 if step > 1 else 0.32 * y))
            ax.text(*middle, f"{p:.2f}", ha="center", va="center", fontsize=20, color=INK)
            _box(ax, step, y, _show(token), color, size=20, family="monospace")
            x = step
        total = torch.tensor(product).log()
        ax.text(3.4, y, f"{mark}: P = {product:.4f}\nΣ log P = {total:.2f}", va="center", fontsize=20)
    ax.set(xlim=(-0.5, 4.75), ylim=(-1.5, 1.5))
    ax.set_title("El primer paso voraz es mejor (0.32 > 0.12); el camino entero, no")
    ax.axis("off")
    return fig


def _tree(text, beams, n, steps, ax, title):
    """El árbol de la búsqueda hasta un paso, con letra de proyector y solo la suma en cada nodo."""
    nodes = [node for node in _beams(text, beams, n).tree if node.step < steps]
    plots.plot_beam_tree(nodes, _show, root=text, title=title, ax=ax)
    for label in ax.texts:
        label.set_text(label.get_text().split("   nota")[0])
        label.set_fontsize(16)
    for line in ax.lines:  # las cajas, sin la nota, son más estrechas: que el trazo llegue a su centro
        line.set_xdata([round(x) for x in line.get_xdata()])
    ax.set_xticks(range(steps + 1), ["", *(f"Paso {step + 1}" for step in range(steps))], fontsize=16)
    return ax


def haz_pasos():
    """La búsqueda con dos haces tras «La marquesa», parada en el paso 1 y en el paso 2."""
    fig, axes = _canvas(11.5, 5, ncols=2, width_ratios=[2, 3])
    _tree("La marquesa", 2, 4, 1, axes[0], "Paso 1: quedan dos")
    _tree("La marquesa", 2, 4, 2, axes[1], "Paso 2: se alargan, y quedan dos")
    return fig


def haz_final():
    """La misma búsqueda, acabada: gana la rama que la búsqueda voraz deja."""
    _, ax = _canvas(11.5, 5)
    return _tree("La marquesa", 2, 4, 4, ax, "Azul, sigue; gris ✗, podada; verde ■, completa; naranja ★, la mejor")


def voraz_gana():
    """Las sumas de la rama voraz y de los dos haces, paso a paso, en un caso en que la búsqueda en haz pierde."""
    model = _decoder()[0]
    start, n = "La marquesa había", 12
    so_far = decoding.generate(model, _ids(start), max_new_tokens=n).logprobs[0].cumsum(0).tolist()
    beam = _beams(start, 2, n)
    alive = [
        sorted(node.total for node in beam.tree if node.step == step and node.status == "viva") for step in range(n - 1)
    ]
    pruned = next(s for s in range(n - 1) if so_far[s] < min(alive[s]) - 1e-3)
    final = beam.logprobs.sum().item()
    fig, ax = _canvas(height=4.7)
    steps = range(1, n + 1)
    ax.plot(steps, so_far, "o-", color=plots.BLUE, linewidth=3, markersize=8, label=f"voraz: acaba en {so_far[-1]:.2f}")
    best = [max(totals) for totals in alive] + [final]
    ax.plot(steps, best, "s--", color=plots.RED, linewidth=3, markersize=8, label=f"2 haces: acaba en {final:.2f}")
    ax.annotate(
        f"paso {pruned + 1}: la rama voraz suma {so_far[pruned]:.2f};\nlas dos que quedan, "
        f"{alive[pruned][1]:.2f} y {alive[pruned][0]:.2f}. Se poda",
        (pruned + 1, so_far[pruned]),
        (0.7, -23.5),
        fontsize=16,
        arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 2},
    )
    ax.set(xlabel="Paso", ylabel="Suma de log-prob. (nats)", title=f"Tras «{start}»: al final gana la voraz")
    ax.set_xticks(list(steps))
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return fig


def normalizar():
    """La nota de un mismo texto cortado a 5, 10, 20 y 40 tokens, con cuatro exponentes."""
    text = decoding.generate(_decoder()[0], _ids("Había una vez"), max_new_tokens=40)
    cuts = [5, 10, 20, 40]
    sums = [text.logprobs[0, :cut].sum().item() for cut in cuts]
    fig, axes = _canvas(height=4.0, ncols=4)
    for ax, alpha in zip(axes, (0.0, 0.5, 1.0, 2.0), strict=True):
        scores = [total / cut**alpha for total, cut in zip(sums, cuts, strict=True)]
        best = max(range(4), key=scores.__getitem__)
        ax.barh(range(4), scores, color=[plots.ORANGE if i == best else plots.BLUE for i in range(4)])
        for i, score in enumerate(scores):
            text = f"{score:.2f}{' ★' if i == best else ''} "
            ax.text(0.04, i, text, va="center", transform=ax.get_yaxis_transform(), fontsize=17,
                    bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"})  # fmt: skip
        ax.set_title(f"α = {alpha:g}")
        ax.set(xlim=(min(scores) * 1.9, 0), xticks=[])
        ax.set_yticks(range(4), [f"{cut} tokens" for cut in cuts] if ax is axes[0] else [""] * 4)
        ax.invert_yaxis()
        ax.spines[["top", "left", "bottom"]].set_visible(False)
        ax.tick_params(length=0)
    return fig


def repeticion():
    """El pozo (cada copia es más probable que la anterior) y el precio de prohibir 3-gramas."""
    model, tokenizer = _decoder()
    copy = tokenizer(" y el rey de Castilla,").input_ids
    logprobs = token_logprobs(model, torch.tensor([copy * 5]))[0]
    ends = [i * len(copy) - 1 for i in range(1, 6)]
    per_copy = [logprobs[a:b].mean().item() for a, b in zip([0, *ends], ends, strict=False)]
    fig, (left, right) = _canvas(11.5, 4.6, ncols=2)
    left.plot(range(1, 6), per_copy, "o-", color=plots.BLUE, linewidth=3, markersize=10)
    for i, value in enumerate(per_copy, 1):
        aside = (42, -8) if i == 1 else (0, 12)  # la primera, a la derecha de la línea
        left.annotate(f"{value:.2f}", (i, value), aside, textcoords="offset points", ha="center")
    left.set(xlabel="Copia de « y el rey de Castilla,»", ylabel="log-prob. por token", title="El pozo: repetir atrae")
    left.set(ylim=(-3.1, -1.05), xticks=range(1, 6), xlim=(0.6, 5.5))
    left.spines[["top", "right"]].set_visible(False)
    story = "El ingenioso hidalgo don Quijote de la Mancha salió al campo. Nadie conocía a don Quijote de la"
    ids = _ids(story)
    banned = decoding.no_repeat_ngram(3)(_probs(story).log()[None], ids).softmax(-1)[0]
    name = tokenizer.encode(" Mancha")[0]
    values = {"sin prohibir": _probs(story)[name].item(), "prohibiendo": banned[name].item()}
    bars = right.bar(list(values), list(values.values()), color=[plots.BLUE, plots.RED], width=0.55)
    right.bar_label(bars, [f"{v:.2f}" for v in values.values()], fontsize=19, padding=3)
    right.set(ylim=(0, 1.05), ylabel=f"P({_show(name)})", title="El precio: «…don Quijote de la»")
    right.spines[["top", "right"]].set_visible(False)
    return fig


def temperatura():
    """Las seis favoritas tras «Había una vez» con tres temperaturas, y la entropía de cada distribución."""
    logits = _probs("Había una vez").log()[None]
    panels = {t: decoding.temperature(t)(logits, None).softmax(-1)[0] for t in (0.5, 1.0, 2.0)}
    fig, axes = _canvas(11.5, 4.0, ncols=3)
    for ax, (t, probs) in zip(axes, panels.items(), strict=True):
        bars = _bars("Había una vez", 6, probs)
        entropy = torch.special.entr(probs).sum().item()
        plots.plot_distribution(
            bars, xmax=1.12 * panels[0.5].max().item(), title=f"τ = {t:g}   H = {entropy:.2f}", ax=ax
        )
        ax.set_xlabel("Probabilidad" if ax is axes[1] else "")
        ax.xaxis.set_major_locator(plt.MaxNLocator(3))
    return fig


def tres_cortes():
    """La misma distribución, tras «Don Quijote», cortada con top-k, top-p y min-p."""
    probs = _probs("Don Quijote")
    best = probs.topk(10)
    cuts = {
        "top-k = 8": (decoding.top_k(8), "cuenta: los 8 primeros"),
        "top-p = 0.6": (decoding.top_p(0.6), "suma: hasta llegar a 0.6"),
        "min-p = 0.2": (decoding.min_p(0.2), f"compara: ≥ 0.2 × {best.values[0]:.2f}"),
    }
    fig, axes = _canvas(11.5, 5.0, ncols=3, sharey=True)
    for ax, (name, (cut, rule)) in zip(axes, cuts.items(), strict=True):
        kept = cut(probs.log()[None], None).isfinite()[0]
        for y, (token, p) in enumerate(zip(best.indices.tolist(), best.values.tolist(), strict=True)):
            look = {"color": plots.BLUE} if kept[token] else {"color": PALE, "edgecolor": plots.GREY, "hatch": "////"}
            ax.barh(y, p, **look)
            ax.text(p + 0.008, y, f"{p:.2f}{'' if kept[token] else ' ✗'}", va="center", fontsize=16)
        ax.set_title(f"{name}: quedan {int(kept.sum())}")
        ax.set_xlabel(rule)
        ax.set(xlim=(0, 0.42), xticks=[])
        ax.spines[["top", "right", "bottom"]].set_visible(False)
    axes[0].set_yticks(range(10))
    axes[0].set_yticklabels(map(_show, best.indices.tolist()), family="monospace", parse_math=False)
    axes[0].invert_yaxis()
    return fig


def _cell(ax, x, y, text, face, *, hatch=None, ink="black", size=15):
    ax.add_patch(Rectangle((x + 0.04, y), 0.92, 0.8, facecolor=face, edgecolor=plots.GREY, hatch=hatch, linewidth=1.5))
    ax.text(x + 0.5, y + 0.4, text, ha="center", va="center", fontsize=size, color=ink, parse_math=False)


def _batch(ax):
    """Tres *prompts* en un lote, con el relleno a la izquierda, y los dos primeros tokens que se escriben."""
    model, tokenizer = _decoder()
    prompts = ["El rey", "La noche estaba oscura y", "Cuando llegó a la puerta del castillo"]
    batch = tokenizer(prompts, return_tensors="pt", padding=True)
    written = decoding.generate(model, **batch, max_new_tokens=2, pad_token_id=tokenizer.pad_token_id)
    width = batch.input_ids.size(1)
    for row in range(3):
        for x, token in enumerate(batch.input_ids[row].tolist()):
            real = batch.attention_mask[row, x].item()
            _cell(
                ax, x, 2 - row, _show(token) if real else "", "white" if real else PALE, hatch=None if real else "////"
            )
        for x, token in enumerate(written.new_ids[row].tolist(), width):
            _cell(ax, x + 0.15, 2 - row, _show(token), "#FFE3A8")
    ax.plot([width + 0.08] * 2, [-0.1, 2.9], color=plots.RED, linewidth=3)
    ax.text(width + 0.2, 2.95, "lo nuevo", va="bottom", color=plots.RED)
    ax.set(xlim=(0, width + 2.25), ylim=(-0.3, 3.1))
    ax.set_title("Un lote: el relleno (rayado), a la izquierda", loc="left")
    ax.axis("off")


def _assisted(ax):
    """Una comprobación: el asistente propone cuatro tokens y el modelo los lee en una llamada."""
    model = _decoder()[0]
    ids = _ids("Había una vez")
    expected = decoding.generate(model, ids, max_new_tokens=5, top_n=2)
    proposal = expected.new_ids[0, :4].clone()
    proposal[3] = expected.steps[3].top_ids[0, 1]  # la segunda mejor: un error a propósito
    with torch.no_grad():
        answers = model(torch.cat([ids, proposal[None]], dim=1)).logits[0, ids.size(1) - 1 :].argmax(-1)
    ax.text(2.9, 2.4, "propone el asistente", ha="right", va="center")
    ax.text(2.9, 0.4, "el modelo, en\nuna llamada", ha="right", va="center")
    for i, (mine, answer) in enumerate(zip(proposal.tolist(), answers[:4].tolist(), strict=True)):
        same = mine == answer
        _cell(ax, 3.2 + 1.6 * i, 2, _show(mine), "white")
        _cell(ax, 3.2 + 1.6 * i, 0, _show(answer), "#CFEDE3" if same else "#FFE3A8")
        mark, color = ("✓ aceptado", plots.GREEN) if same else ("✗ se cambia", plots.RED)
        ax.text(3.7 + 1.6 * i, 1.4, mark, ha="center", va="center", color=color)
    ax.set(xlim=(0, 9.25), ylim=(-0.2, 3))
    ax.set_title("Un asistente: comprobar es más barato que escribir", loc="left")
    ax.axis("off")


def mismo_texto():
    """Dos maneras de hacer más en cada llamada y escribir lo mismo: un lote y un asistente."""
    fig, axes = _canvas(11.5, 5.3, nrows=2)
    _batch(axes[0])
    _assisted(axes[1])
    return fig


def clasicos():
    """Lo que escribe el modelo mini tras el *prompt* de los unicornios y tras el principio del Quijote."""
    model, tokenizer = _decoder()
    prompts = {
        "Los unicornios (GPT-2, 2019)": "Un hallazgo asombroso: unos científicos han encontrado en los Andes una "
        "manada de unicornios. Y hay algo todavía más raro, porque los unicornios hablan español.",
        "A la manera del Quijote": "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo "
        "que vivía un hidalgo",
    }
    transforms = [decoding.temperature(0.8), decoding.no_repeat_ngram(3), decoding.top_p(0.9)]
    fig, axes = _canvas(11.5, 5.0, ncols=2)
    for ax, (title, prompt) in zip(axes, prompts.items(), strict=True):
        ids = _ids(prompt)
        generator = torch.Generator().manual_seed(8)
        select = partial(decoding.sample, generator=generator)
        out = decoding.generate(model, ids, transforms=transforms, select=select, max_new_tokens=80)
        new = tokenizer.decode(out.new_ids[0]).strip().replace("\n", " ").rpartition(" ")[0]
        head = fill(prompt, 36)
        ax.text(0, 1, head, va="top", fontsize=17, fontweight="bold", linespacing=1.35)
        top = 1 - 0.07 * (head.count("\n") + 1) - 0.01
        ax.text(0, top, fill("▶ " + new + "…", 40), va="top", fontsize=17, color="#00507d", linespacing=1.35)
        ax.set_title(title, loc="left")
        ax.axis("off")
    return fig


def estrategias():
    """Las ocho estrategias del cuaderno, medidas: lo probable frente a lo parecido."""
    model, tokenizer = _decoder()
    table = compare_strategies(model, tokenizer, "La noche", samples=20, max_new_tokens=40, seed=0)
    fig, ax = _canvas(11.5, 4.8)
    plots.plot_strategies(table, "self-BLEU", "log-prob. por token", ax=ax)
    ax.set_xlabel("self-BLEU (a la izquierda, textos distintos)")
    ax.set_ylabel("log-prob. por token\n(arriba, más probable)")
    return fig


def espacio_final():
    """Los candidatos tras el mismo *prompt*, sin espacio al final y con él."""
    clean = "El rey mandó abrir la"
    fig, axes = _canvas(11.5, 4.4, ncols=2)
    for ax, text, ending in zip(axes, (clean, clean + " "), ("sin espacio", "con espacio al final"), strict=True):
        plots.plot_distribution(_bars(text, 8), title=f"«…abrir la{text[len(clean) :]}», {ending}", ax=ax)
        ax.xaxis.set_major_locator(plt.MaxNLocator(3))
    return fig
