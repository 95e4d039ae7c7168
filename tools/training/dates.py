"""Mide las tres redes de la sesión A2 con tres semillas, y lo guarda donde lo lee el cuaderno.

    python -m tools.training.dates

Ejecuta las celdas del cuaderno, por su nombre: lo que se mide es lo que se enseña. Tarda un cuarto de hora.
"""

from __future__ import annotations

import json

import torch

from course_utils._files import atomic_write
from course_utils.jokes import DATA

from ..figures import cells

CELLS = ["fabrica", "traductor", "entrenar", "atencion-bahdanau", "atencion-cruzada", "transformer-pequeno"]
LENGTHS = {"5–9": (5, 9), "10–14": (10, 14), "15–19": (15, 19), "20 o más": (20, 99)}  # palabras de la frase
LONGER = 8  # cuántas veces más largo es el estudio de repaso


def networks(names: dict) -> dict:
    """Cómo se hace cada red: con el mismo estudio, y la del resumen con más parámetros que la de Bahdanau."""
    return {
        "resumen": lambda: names["Translator"](84),
        "bahdanau": lambda: names["Translator"](64, names["Bahdanau"](64)),
        "transformer": lambda: names["SmallTransformer"](),
    }


def measure(names: dict, name: str, seed: int, steps: int = 400) -> dict:
    """Aciertos en el examen, en total y según cuántas palabras tiene la frase."""
    torch.manual_seed(seed)
    hits = names["right"](names["study"](networks(names)[name](), seed, steps, name=f"{name}, semilla {seed}"))
    length = names["EXAM"][1]
    by_length = [hits[(length >= low) & (length <= high)].mean().item() for low, high in LENGTHS.values()]
    return {"seed": seed, "right": round(hits.mean().item(), 4), "by_length": [round(v, 4) for v in by_length]}


FIELDS = {"año": slice(0, 4), "mes": slice(5, 7), "día": slice(8, 10)}
# qué se cambia en una fecha, (palabras, escrita): ¿cuenta lo último que se lee o lo primero que se escribe?
ORDERS = {
    "como siempre": lambda words, written: (words, written),
    "lee al revés": lambda words, written: (words[::-1], written),
    "escribe DD-MM-AAAA": lambda words, written: (words, "-".join(written.split("-")[::-1])),
}


def measure_order(names: dict, order: str, seed: int) -> dict:
    """Cuántos años, meses y días enteros acierta la red del resumen si se lee o se escribe en otro orden."""
    read = names["study"].__globals__
    usual = read["COURSE"]
    read["COURSE"] = names["as_batch"]([ORDERS[order](*date) for date in names["course"]])
    try:
        torch.manual_seed(seed)
        model = names["study"](networks(names)["resumen"](), seed, name=f"{order}, semilla {seed}")
    finally:
        read["COURSE"] = usual
    exam = names["as_batch"]([ORDERS[order](*date) for date in names["exam"]])
    with torch.no_grad():
        hits = model(*exam[:2])[0].argmax(-1) == exam[2]  # (600, 10)
    day_first = ORDERS[order](*names["exam"][0])[1][2] == "-"
    places = {"año": slice(6, 10), "mes": slice(3, 5), "día": slice(0, 2)} if day_first else FIELDS
    return {
        "seed": seed,
        **{name: round(hits[:, part].all(1).float().mean().item(), 4) for name, part in places.items()},
    }


def notebook_names() -> dict:
    """Lo que definen las celdas del cuaderno."""
    return cells.run("A2", ["importar", *CELLS], {})


def main() -> None:
    names = notebook_names()
    runs = {name: [measure(names, name, seed) for seed in range(3)] for name in networks(names)}
    longer = {"steps": 400 * LONGER, **measure(names, "resumen", 0, 400 * LONGER)}
    orders = {order: [measure_order(names, order, seed) for seed in range(2)] for order in ORDERS}
    report = {
        "recipe": "python -m tools.training.dates: las celdas de A2_atencion, 400 tandas de 64 fechas, examen de 600",
        "lengths": list(LENGTHS),
        "runs": runs,
        "longer": longer,
        "orders": orders,
    }
    atomic_write(DATA / "fechas.json", json.dumps(report, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
