"""Figuras de la sesión 04. Lo que sale de entrenar no se repite aquí: se lee de las salidas del cuaderno ejecutado."""

import re
from html import unescape

import matplotlib.pyplot as plt
from transformers import AutoTokenizer

from course_utils import decoding, drawing, illustrations, plots
from course_utils.illustrations.session_04 import cover
from course_utils.models import checkpoint

from . import cells


def _rows(name: str) -> list[list[str]]:
    """Las filas de la tabla que muestra una celda, la cabecera incluida, como texto."""
    (body,) = cells.printed("04", name, r"(<table.*?</table>)")
    rows = re.findall(r"<tr.*?</tr>", body, re.S)
    return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows]


def _value(text: str) -> float:
    return float(text.replace(",", ".").replace("\u202f", ""))


def portada():
    """Antes, un texto que no se acaba; después, un chiste con su final."""
    return drawing.night(cover())


def dentro():
    """Dónde estamos: en los logits, donde se compara lo que el modelo predice con lo que venía."""
    return illustrations.inside_transformer(here="logits", learning=True)


def etiquetas():
    """Las etiquetas de un chiste muy corto, con el −100 repartido por el id y por la máscara."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("decoder"))
    short = [decoding.show_token(tokenizer, i) for i in tokenizer("¡Achís!").input_ids]
    return illustrations.labels_shifted(["EOS", *short, "EOS", "EOS", "EOS"], length=len(short) + 2)


def bucle():
    """Una vuelta: de un lote a unos pesos nuevos, otra vez, y al acabar, el examen."""
    ax = drawing.canvas(11.5, 4.3)
    steps = ["lote de\n8 chistes", "predice", "pérdida", "gradiente", "pesos\nnuevos"]
    for i, text in enumerate(steps):
        drawing.box(ax, 0.2 + 2.3 * i, 2.3, 1.75, 1.05, text, drawing.BLUE, fontsize=21)
        if i:
            drawing.arrow(ax, (2.3 * i - 0.3, 2.82), (2.3 * i + 0.15, 2.82))
    ax.plot([10.3, 10.3, 1.07, 1.07], [3.4, 3.85, 3.85, 3.7], color="black", linewidth=2.5)
    drawing.arrow(ax, (1.07, 3.75), (1.07, 3.4))
    drawing.label(ax, 5.7, 4.08, "otro lote, hasta acabar los 390 chistes", fontsize=20)
    drawing.arrow(ax, (10.3, 2.25), (10.3, 1.35))
    drawing.box(ax, 6.9, 0.25, 4.4, 1.05, "examen con los\n84 de validación", drawing.GREEN, fontsize=21)
    drawing.label(ax, 6.7, 0.78, "y otra vuelta, si hace falta", ha="right", fontsize=20)
    return ax


def duelo():
    """Lo que hacen los modelos con el −100 repartido de las dos maneras, y el de antes."""
    head, *rows = _rows("medidas-despues")
    values = {row[0]: dict(zip(head[1:], map(_value, row[1:]), strict=True)) for row in rows}
    names = {"Con raya o pregunta": "empiezan con raya o pregunta", "Acaban solos": "acaban solos, de 50"}
    return illustrations.side_by_side(
        {title: values[name] for title, name in names.items()},
        colors=[drawing.GREY, drawing.RED, drawing.GREEN],
        units=["de 50", "de 50"],
        full=[50, 50],
    )


def curvas():
    """Las pérdidas, vuelta a vuelta, del modelo que repite 24 chistes."""
    _, *rows = _rows("entrenado-de-mas")
    train, validation = ([_value(row[column]) for row in rows] for column in (1, 2))
    _, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
    plots.plot_learning_curves(train, validation, title="24 chistes, doce vueltas", ax=ax)
    ax.set_ylim(0, 1.2 * max(validation))  # «sobreajuste», por encima de las curvas
    next(note for note in ax.texts if note.get_text().startswith("la mejor")).xyann = (0, 58)  # y esto, también
    return ax


def copia():
    """Cuánto copia cada modelo de los chistes del entrenamiento."""
    longest, share = {}, {}
    for name in ("chistes de prueba", "390 chistes, una vuelta", "24 chistes, doce vueltas"):
        pattern = rf"^{name}: el que más, (\d+) palabras; copian ocho o más, el (\d+) %$"
        longest[name], share[name] = map(int, cells.printed("04", "copias", pattern))
    return illustrations.side_by_side(
        {"El que más copia": longest, "Copian ocho o más": share},
        colors=[drawing.GREY, drawing.GREEN, drawing.RED],
        units=["palabras", "%"],
        full=[None, 100],
    )


def olvido():
    """La perplejidad antes y después en chistes, en la novela imitada y en la de verdad."""
    change = {}
    for name in ("chistes de prueba", "novela imitada", "novela de verdad"):
        change[name] = tuple(map(_value, cells.printed("04", "olvido", rf"^{name} +([\d,]+) → ([\d,]+) ")))
    return illustrations.forgetting(change)


def lora():
    """Las matrices de un bloque del decodificador y lo que LoRA entrena de ellas, a escala."""
    d = 320
    matrices = {"atención: Q, K, V": (d, 3 * d), "atención: salida": (d, d), "MLP: sube": (d, 4 * d)}
    return illustrations.lora_to_scale(matrices | {"MLP: baja": (4 * d, d)}, 8)
