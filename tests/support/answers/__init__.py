"""Respuestas a los ejercicios, buenas y malas, en un módulo por sesión: con ellas se prueba a quien corrige.

Cada módulo tiene ``UNUSUAL``, (ejercicio, respuesta) que son correctas aunque no se parezcan a la solución, y
``MISTAKES``, (ejercicio, respuesta, regla en la que falla contando desde 1, algo que ha de decir la corrección), y
``"raises"`` al final si la respuesta falla con un error de Python. Las soluciones publicadas se leen de los cuadernos.
"""

import json
import math
import re
from pathlib import Path

import numpy as np
import torch

SOLVED = Path(__file__).resolve().parents[3] / "notebooks" / "soluciones"


def published(session: str) -> dict:
    """De cada ejercicio de una sesión y de su profundiza, la función que lo resuelve en el cuaderno resuelto."""
    found = {}
    for path in SOLVED.rglob(f"{session}_*.ipynb"):
        cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}
        names = {"torch": torch, "np": np, "math": math, "re": re, "__name__": f"answers.published_{session}"}
        for name, code in cells.items():
            if name.startswith("ejercicio-") and (checked := cells.get(name.replace("ejercicio", "comprueba"))):
                exec(compile(code, path.name, "exec"), names)
                exercise, function = re.search(r'check\("(\w+\.\d)", (\w+)', checked).groups()
                found[exercise] = names[function]
    return dict(sorted(found.items()))
