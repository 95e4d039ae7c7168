"""Figuras de la sesión 01: las familias, la autoatención, la máscara y la prueba, con los modelos del cuaderno."""

import re
from functools import cache

import matplotlib.pyplot as plt
import torch

from course_utils import plots
from course_utils.attention import capture_attention, causal_mask
from course_utils.decoding import show_token
from course_utils.drawing import arrow, box, canvas, chips, label
from course_utils.models import load_model

from . import cells

BLUE, ORANGE, GREEN, RED, GREY = plots.BLUE, plots.ORANGE, plots.GREEN, plots.RED, plots.GREY
TEXT = "El rey y la reina vivían en un palacio."
OTHER = "El rey y la noche vivían en un palacio."


@cache
def _load(role):
    return load_model(role)


def _ids(role, text=TEXT):
    return _load(role)[1](text, return_tensors="pt").input_ids


def _tokens(role, text=TEXT):
    return [show_token(_load(role)[1], i) for i in _ids(role, text)[0].tolist()]


@cache
def _states(role, text=TEXT):
    with torch.no_grad():
        return _load(role)[0](_ids(role, text), output_hidden_states=True).hidden_states


@cache
def _attention(role):
    """La primera capa, con la media de sus cabezas, como en el cuaderno: (T, T)."""
    return capture_attention(_load(role)[0], _ids(role))[0, 0].mean(0)


def traductor():
    """El Transformer de 2017: el codificador lee la frase y el decodificador escribe su traducción."""
    ax = canvas(11, 5)
    box(ax, 0.6, 1.75, 3.9, 1.5, "codificador\nlee la frase entera", BLUE, fontsize=20)
    box(ax, 6.5, 1.75, 3.9, 1.5, "decodificador\nescribe token a token", RED, fontsize=20)
    for x, words, color in [(1.05, ["the", "king", "sleeps"], BLUE), (7.35, ["el", "rey"], RED)]:
        for middle, _ in chips(ax, x, 0.72, words, color, size=20, gap=0.25):
            arrow(ax, (middle, 1.22), (middle, 1.7))
    (middle, _), *_ = chips(ax, 8.6, 3.85, ["duerme"], ORANGE, size=20)
    arrow(ax, (middle, 3.27), (middle, 3.82))
    arrow(ax, (4.55, 2.5), (6.45, 2.5), width=4)
    label(ax, 5.5, 2.95, "atención\ncruzada", style="italic")
    label(ax, 2.55, 0.35, "la frase original")
    label(ax, 8.45, 0.35, "lo que ya está escrito")
    label(ax, 9.2, 4.65, "el siguiente token")
    return ax


def familias():
    """Tres familias: de qué mitades se componen, para qué sirven y quiénes son."""
    ax = canvas(11.7, 5.1)
    columns = [
        ("Codificador-decodificador", "traducir · resumir\ncorregir · parafrasear", "Transformer, T5,\nM2M100"),
        ("Codificador", "clasificar · buscar\nrellenar huecos · etiquetar", "BERT, DistilBERT,\nRoBERTa"),
        ("Decodificador", "continuar · conversar\nprogramar · inventar", "GPT-1/2/3, CTRL,\nGPT-Neo, GPT-J"),
    ]
    blocks = {"lee a los\ndos lados": BLUE, "mira a la\nizquierda": RED}
    for i, (name, uses, models) in enumerate(columns):
        middle = 1.95 + 3.9 * i
        label(ax, middle, 4.8, name, fontweight="bold")
        chosen = list(blocks.items())[: 2 if i == 0 else 1] if i < 2 else list(blocks.items())[1:]
        for j, (text, color) in enumerate(chosen):
            x = middle + (j - (len(chosen) - 1) / 2) * 1.9
            box(ax, x - 0.72, 3.05, 1.44, 1.2, text, color)
        if len(chosen) == 2:
            arrow(ax, (middle - 0.22, 3.65), (middle + 0.22, 3.65), width=3)
        for top, title, text in [(2.65, "sirve para", uses), (1.15, "modelos", models)]:
            label(ax, middle, top, title, color="#444444", style="italic")
            label(ax, middle, top - 0.58, text)
        if i:
            ax.plot([3.9 * i] * 2, [0.15, 4.95], color=GREY, linewidth=1.5)
    return ax


def famosos():
    """Tres usos que hicieron historia: lo que se le da al modelo y lo que él continúa."""
    ax = canvas(11.4, 4.7)
    cards = [
        (
            "2019 · GPT-2",
            "Los unicornios",
            "dos frases: en los Andes\nhay unicornios que\nhablan inglés",
            "una noticia entera…\ny unicornios con\ncuatro cuernos",
            "decodificador",
        ),
        (
            "2020 · Meena",
            "La charla",
            "lo que se ha dicho\nhasta ahora en la\nconversación",
            "una respuesta\nsensata y que\nvenga a cuento",
            "codificador y decodificador",
        ),
        (
            "2021 · Codex",
            "Copilot",
            "un comentario y la\nprimera línea de\nuna función",
            "el resto del código:\nprogramar también\nes continuar",
            "decodificador",
        ),
    ]
    for i, (when, name, given, written, family) in enumerate(cards):
        x = 0.15 + 3.8 * i
        label(ax, x + 1.75, 4.45, name, fontweight="bold", fontsize=20)
        label(ax, x + 1.75, 4.05, when, color="#444444")
        box(ax, x, 2.5, 3.5, 1.25, given, BLUE)
        arrow(ax, (x + 1.75, 2.47), (x + 1.75, 1.95))
        box(ax, x, 0.65, 3.5, 1.25, written, ORANGE)
        label(ax, x + 1.75, 0.28, family, style="italic")
    return ax


def vectores():
    """Los dos modelos convierten cada token en un vector: los primeros números de la última capa."""
    ax = canvas(11.5, 5)
    for top, role, name in [(4.72, "encoder", "Codificador"), (2.22, "decoder", "Decodificador")]:
        states, tokens = _states(role)[-1], _tokens(role)
        shape = f"(b, s, d) = {tuple(states.shape)}"
        label(ax, 0.1, top, f"{name}: {states.size(1)} tokens → {states.size(1)} vectores   {shape}", ha="left")
        special = [GREY if token in ("<cls>", "<sep>") else BLUE for token in tokens]
        for column, (middle, _width) in enumerate(chips(ax, 0.1, top - 0.8, tokens, special)):
            numbers = (states[0, column, :12] / states[0].abs().max() * 2)[:, None].numpy()
            place = ax.inset_axes((middle - 0.2, top - 2.02, 0.4, 1.12), transform=ax.transData)
            place.imshow(numbers, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
            place.set(xticks=[], yticks=[])
    return ax


def autoatencion():
    """Hacia dónde mira «reina» en cada modelo: pesos reales de la primera capa, media de sus cabezas."""
    ax = canvas(11.5, 5.2)
    for base, role, name in [(3.05, "encoder", "Codificador"), (0.4, "decoder", "Decodificador")]:
        tokens, weights = _tokens(role), _attention(role)
        who = tokens.index("␣reina")
        sees = [weights[who, j].item() for j in range(len(tokens))]
        colors = [ORANGE if j == who else BLUE if w > 0 else GREY for j, w in enumerate(sees)]
        places = chips(ax, 0.1 if role == "encoder" else 1.05, base, tokens, colors)
        for j, ((middle, _), weight) in enumerate(zip(places, sees, strict=True)):
            label(ax, middle, base - 0.22, f"{100 * weight:.0f} %" if weight else "✗", fontsize=16)
            if weight and j != who:
                distance = middle - places[who][0]
                style = {"arrowstyle": "-|>", "mutation_scale": 14}
                bend = (0.95 if distance < 0 else -0.95) / (1 + abs(distance) / 2)
                start = (places[who][0], base + 0.5)
                arrow(ax, start, (middle, base + 0.5), bend, BLUE, 1 + 16 * weight, **style)
        label(ax, 0.1, base + 1.7, name, ha="left", fontweight="bold", fontsize=19)
    return ax


def mascaras():
    """Las dos máscaras, lado a lado: ✓ puede mirar, · no puede."""
    names = _tokens("decoder")
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 5.6), layout="constrained")
    masks = [torch.ones(len(names), len(names)).bool(), causal_mask(len(names))]
    for ax, mask, title in zip(
        axes, masks, ["Codificador: todos a todos", "Decodificador: solo la izquierda"], strict=True
    ):
        plots.plot_attention(mask, names, title=title, ax=ax)
        for text in ax.texts:
            text.set_fontsize(16)
        ax.title.set_fontsize(18)
    return fig


def menos_infinito():
    """Las mismas notas del cuaderno, la máscara y los pesos que quedan: cada fila suma 1."""
    ax = canvas(11.4, 4.7)
    generator = torch.Generator().manual_seed(1)
    q, k, _ = (torch.randn(3, 4, generator=generator) for _ in range(3))
    scores = q @ k.T / 4**0.5
    hidden = scores.masked_fill(~causal_mask(3), float("-inf"))
    panels = [("1. Notas", scores), ("2. Máscara: −∞", hidden), ("3. Softmax: pesos", hidden.softmax(-1))]
    for i, (title, values) in enumerate(panels):
        left = 0.55 + 3.85 * i
        label(ax, left + 1.5, 4.45, title, fontweight="bold", fontsize=20)
        for (row, column), value in [((r, c), values[r, c].item()) for r in range(3) for c in range(3)]:
            closed = column > row and i > 0
            text = "−∞" if value == float("-inf") else f"{value:.2f}".replace("-", "−")
            x, y = left + column, 2.85 - 0.95 * row
            box(ax, x + 0.04, y, 0.92, 0.87, text, GREY if closed else BLUE, fontsize=20, rounding=0.05)
        if i < 2:
            arrow(ax, (left + 3.1, 2.35), (left + 3.75, 2.35), width=4)
    for row in range(3):
        label(ax, 0.3, 3.28 - 0.95 * row, str(row + 1), fontsize=20)
    label(ax, 5.7, 0.45, "fila: quien mira · columna: a quién · cada fila de pesos suma 1", fontsize=19)
    return ax


def mapas():
    """Mapas de atención reales de la primera capa, media de las cabezas."""
    fig, axes = plt.subplots(1, 2, figsize=(11.8, 5.8), layout="constrained")
    for ax, role, title in zip(
        axes,
        ["encoder", "decoder"],
        ["Codificador: a los dos lados", "Decodificador: solo a la izquierda"],
        strict=True,
    ):
        plots.plot_attention(_attention(role), _tokens(role), title=title, ax=ax)
        ax.title.set_fontsize(18)
    return fig


def experimento():
    """El experimento: la misma frase con un token cambiado, «reina» por «noche»."""
    ax = canvas(11.2, 2.7)
    for y, text, name in [(2.0, TEXT, "antes"), (0.8, OTHER, "después")]:
        tokens = _tokens("decoder", text)
        changed = tokens.index("␣reina" if text == TEXT else "␣noche")
        label(ax, 0.1, y + 0.23, name, ha="left", fontweight="bold", fontsize=18)
        colors = [ORANGE if j == changed else BLUE for j in range(len(tokens))]
        places = chips(ax, 1.4, y, tokens, colors)
    arrow(ax, (places[changed][0], 1.95), (places[changed][0], 1.3), color=RED, width=4)
    for j, (middle, _) in enumerate(places):
        label(ax, middle, 0.35, "!" if j == changed else "?", fontsize=22, fontweight="bold")
    return ax


def prueba():
    """Cuánto se mueve el vector de cada posición (última capa) al cambiar «reina» por «noche»."""
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 5.7), layout="constrained")
    for ax, role, name in zip(
        axes, ["encoder", "decoder"], ["Codificador: se mueven todos", "Decodificador: nada antes"], strict=True
    ):
        tokens = _tokens(role)
        moved = (_states(role, OTHER)[-1] - _states(role)[-1])[0].norm(dim=-1).tolist()
        changed = tokens.index("␣reina")
        y = range(len(tokens))
        bars = ax.barh(y, moved, color=[ORANGE if j == changed else BLUE for j in y])
        marks = [f"{m:.2f}" + (" ◀ el cambio" if j == changed else "") for j, m in enumerate(moved)]
        ax.bar_label(bars, marks, padding=4, fontsize=16)
        ax.set(xlim=(0, 1.55 * max(moved)), title=name, xlabel="cuánto se mueve su vector")
        ax.set_yticks(y, tokens, family="monospace", fontsize=16, parse_math=False)
        ax.invert_yaxis()
        ax.spines[["top", "right"]].set_visible(False)
    return fig


def hueco():
    """La misma palabra, preguntada a los dos: rellenar el hueco frente a predecir el siguiente token."""
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 4.9), layout="constrained")
    encoder, tokenizer = _load("encoder")
    masked, gap = _ids("encoder").clone(), _tokens("encoder").index("␣rey")
    masked[0, gap] = tokenizer.mask_token_id
    before = _tokens("decoder").index("␣rey")
    with torch.no_grad():
        filled = encoder(masked).logits[0, gap]
        continued = _load("decoder")[0](_ids("decoder")[:, :before]).logits[0, -1]
    titles = ["Codificador\n«El ▢ y la reina vivían…»", "Decodificador\n«El ▢»"]
    for ax, role, logits, title in zip(axes, ["encoder", "decoder"], [filled, continued], titles, strict=True):
        best = logits.softmax(-1).topk(7)
        names = [show_token(_load(role)[1], i) for i in best.indices.tolist()]
        king = "␣rey" if "␣rey" in names else None
        plots.plot_distribution(dict(zip(names, best.values.tolist(), strict=True)), highlight=king, title=title, ax=ax)
        word = _ids(role)[0, _tokens(role).index("␣rey")]
        ax.set_xlabel(f"«rey» queda en el puesto {int((logits > logits[word]).sum()) + 1}", fontweight="bold")
    return fig


@cache
def _accuracy():
    (encoder, encoder_tokenizer), (decoder, decoder_tokenizer) = _load("encoder"), _load("decoder")
    namespace = {"torch": torch, "re": re, "encoder": encoder, "encoder_tokenizer": encoder_tokenizer}
    namespace |= {"decoder": decoder, "decoder_tokenizer": decoder_tokenizer}
    return cells.run("01", ["frases-de-prueba", "funciones-de-medida", "aciertos"], namespace)["accuracy"]


def aciertos():
    """Las 308 palabras tapadas del cuaderno: cuántas veces la verdadera está entre las cinco favoritas."""
    accuracy = {name.replace(", ", ",\n"): value for name, value in _accuracy().items()}
    _, ax = plt.subplots(figsize=(11, 3.9), layout="constrained")
    plots.plot_distribution(accuracy, highlight="codificador,\ncon los dos lados", ax=ax)
    ax.set_xlabel("Palabras acertadas (la verdadera, entre las cinco favoritas)")
    return ax
