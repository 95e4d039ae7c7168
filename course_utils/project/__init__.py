"""El trabajo final: funciones que miden y dejan su evidencia en el cuaderno, y la revisión que la lee.

Cada evidencia se ve como una tabla y lleva una línea ``evidencia: {…}`` que ``review`` entiende. Quien mide con lo
suyo puede escribir esa línea a mano: ``print(project.evidence("measure", …))``.
"""

from .evidence import Evidence, data, evidence, finish, plan
from .measures import choose, compare, measure, read_texts, write_texts
from .texts import parts, pieces, split
from .training import load_tuned, training, tune

__all__ = [
    "Evidence",
    "choose",
    "compare",
    "data",
    "evidence",
    "finish",
    "load_tuned",
    "measure",
    "parts",
    "pieces",
    "plan",
    "read_texts",
    "split",
    "training",
    "tune",
    "write_texts",
]
