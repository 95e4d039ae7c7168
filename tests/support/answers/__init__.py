"""Respuestas a los ejercicios, buenas y malas, en un módulo por sesión: con ellas se prueba a quien corrige.

Cada módulo tiene ``UNUSUAL``, (ejercicio, respuesta) que son correctas aunque no se parezcan a la solución, y
``MISTAKES``, (ejercicio, respuesta, regla en la que falla contando desde 1, algo que ha de decir la corrección), y
``"raises"`` al final si la respuesta falla con un error de Python. Las soluciones publicadas se leen de los cuadernos.
"""

import math
import re
from pathlib import Path

import torch

SOURCES = Path(__file__).resolve().parents[3] / "notebooks" / "fuente"


def published(session: str) -> dict:
    """De cada ejercicio de una sesión, la función que hay entre las marcas de solución del cuaderno."""
    (path,) = SOURCES.glob(f"{session}_*.md")
    text = path.read_text(encoding="utf-8")
    wanted = dict(re.findall(r'^check\("(\d\.\d)", (\w+)\)', text, re.M))
    names = {"torch": torch, "math": math, "re": re, "__name__": f"answers.published_{session}"}
    for cell in re.findall(r"^```\{code-cell\}.*\n((?:.*\n)*?)```$", text, re.M):
        if "# <solución>" in cell and cell.startswith(tuple(f"def {name}(" for name in wanted.values())):
            exec(compile(cell, path.name, "exec"), names)
    return {exercise: names[function] for exercise, function in wanted.items()}
