"""Puntúa con el perfil mediano los pares mínimos y los textos del detector: ``course_utils/data/pares_mediano.json``.

    python -m tools.pairs

Necesita el modelo (`make llm`) y tarda unos minutos. Una prueba de integración lo puntúa otra vez y compara.
"""

from __future__ import annotations

import datetime
import json

import torch

from course_utils import detector, pairs
from course_utils._files import atomic_write, fingerprint
from course_utils._jsonl import DATA
from course_utils.models import load_model
from course_utils.scoring import perplexity

FILE = DATA / "pares_mediano.json"


def texts_hash() -> str:
    """Una huella de los pares y de los textos: si cambian, hay que volver a puntuar."""
    return fingerprint([pairs.load_pairs(), detector.load_groups()])


def measured(model, tokenizer, rows=None, groups=None) -> dict:
    """Lo que da el modelo: ``scores`` de cada par, en nats, y la perplejidad de cada texto, por grupo."""
    rows = pairs.load_pairs() if rows is None else rows
    groups = detector.load_groups() if groups is None else groups
    scores = pairs.score_pairs(model, tokenizer, rows)
    found = {
        name: [round(p.value, 3) for p in perplexity(model, tokenizer, texts).per_text]
        for name, texts in groups.items()
    }
    return {"scores": [[round(float(x), 4) for x in pair] for pair in scores], "perplexities": found}


def main() -> int:
    model, tokenizer = load_model("decoder", "mediano")
    recipe = {
        "command": "python -m tools.pairs",
        "model": "Gemma 3 270M (Q4_K_M, bfloat16), en float32",
        "texts": texts_hash(),
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }
    whole = json.dumps({"recipe": recipe} | measured(model, tokenizer), ensure_ascii=False, indent=1) + "\n"
    atomic_write(FILE, whole)
    print(f"{FILE.name}: {recipe}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
