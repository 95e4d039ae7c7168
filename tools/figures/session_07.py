"""Figuras de la sesión 07. Lo que sale de entrenar no se repite aquí: se lee de las salidas del cuaderno ejecutado."""

import re

from course_utils import decoding, drawing, illustrations, instructions, plots, recordings
from course_utils.illustrations.session_07 import cover
from course_utils.models import load_model

from . import cells


def _value(text: str) -> float:
    return float(text.replace(",", ".").replace("\u202f", "").replace("−", "-"))


def portada():
    """De seguir texto a contestar, y de contestar a contestar mejor, sobre el azul de la portada."""
    return drawing.night(cover())


def conversacion():
    """Una pregunta y su respuesta, con las marcas de la plantilla."""
    return illustrations.conversation(
        [
            ("pregunta", "<|usuario|>", ["¿De", "qué", "color", "es", "el", "cielo?"], "<|fin|>"),
            ("contesta", "<|asistente|>", ["Azul", "."], "<|fin|>"),
        ]
    )


def mascara():
    """Un ejemplo corto, con −100 en la orden."""
    _, tokenizer = load_model("decoder", "mini")
    tokenizer.add_special_tokens({"additional_special_tokens": list(instructions.MARKS)})
    tokenizer.chat_template = instructions.TEMPLATE
    pair = {"instruction": "Di dos colores.", "answer": "Rojo y azul."}
    (example,) = instructions.chat_examples([pair], tokenizer, end=instructions.END)
    shown = ["EOS", *(decoding.show_token(tokenizer, i) for i in example["input_ids"][1:])]
    return illustrations.answer_mask(shown, [label != -100 for label in example["labels"]])


def _losses(what: str) -> dict[str, tuple[float, float, float]]:
    """De cada modelo, la media y el intervalo que imprimió el cuaderno."""
    found = {}
    for name in ("base", "solo respuestas", "todo"):
        found[name] = tuple(
            map(_value, cells.printed("07", "todo-dibujo", rf"^{what}, {name}: (\S+) / (\S+) / (\S+)$"))
        )
    return found


def ordenes():
    """La pérdida en las órdenes: solo baja de verdad la de quien las contó."""
    styles = {"base": (drawing.GREY, "s"), "solo respuestas": (drawing.GREEN, "o"), "todo": (drawing.ORANGE, "D")}
    label = "Pérdida en las órdenes (nats por token)"
    return plots.plot_intervals(_losses("órdenes"), xlabel=label, styles=styles, digits=2)


def curva():
    """La pérdida de Gemma, paso a paso."""
    recipe = recordings.load("asistente")[12].recipe
    return illustrations.curve([loss for _, loss in recipe["curve"]], epoch=32)


def preferir():
    """De la diferencia de puntuaciones a la probabilidad de preferir."""
    return illustrations.preference({"empate": 0, "un punto más": 1, "tres puntos más": 3})


def bits():
    """La perplejidad según los bits por peso, con los números que imprimió el cuaderno."""
    (text,) = cells.printed("07", "cuantizar", r"^(32 bits: .*)$")
    found = {int(b): _value(value) for b, value in re.findall(r"(\d+) bits: ([^;]+)", text)}
    return illustrations.by_bits({b: value for b, value in found.items() if b < 32}, found[32])
