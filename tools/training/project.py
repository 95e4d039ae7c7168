"""Entrena los dos adaptadores del ejemplo de estilo: los de ``course_utils/grabaciones/proyecto/``.

    python -m tools.training.project            # los entrena y los guarda, con su receta
    python -m tools.training.project --check    # los entrena aparte y dice si miden lo mismo

Cada uno, LoRA de rango 4 con el texto de su autor. ``receta.json`` lleva la semilla, la huella de los pesos de los que
parte y lo que mide en los textos de prueba de los dos.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from course_utils import project
from course_utils.models import load_model
from course_utils.project.training import FOLDER, base_hash
from course_utils.scoring import perplexity

from .. import exit_code

WORKS = ("navidad", "loco")
SEED, OPTIONS = 0, {"lora_rank": 4, "epochs": 6, "learning_rate": 1e-3}
TOLERANCE = 0.01  # bits por carácter: lo que cambia de una máquina a otra


def load_parts() -> dict[str, dict[str, list[str]]]:
    """Los trozos de cada obra, repartidos."""
    texts = {name: (files("course_utils") / "data" / f"{name}.txt").read_text(encoding="utf-8") for name in WORKS}
    return {name: project.split(project.pieces(text), seed=SEED) for name, text in texts.items()}


def bits(model, tokenizer, parts) -> dict[str, float]:
    """Bits por carácter en los textos de prueba de cada obra."""
    return {name: round(perplexity(model, tokenizer, part["test"]).bits_per_char, 4) for name, part in parts.items()}


def train(name: str, parts, folder: Path) -> dict:
    """Entrena el adaptador de una obra, lo guarda en la carpeta y devuelve su receta."""
    base, tokenizer = load_model("decoder")
    project.tune(parts[name], seed=SEED, **OPTIONS, keep=folder / name, progress=False)
    recipe = {"model": base_hash(), "text": name, "seed": SEED, **OPTIONS}
    recipe["before"] = bits(base, tokenizer, parts)
    _write(folder, name, recipe)
    recipe["after"] = bits(project.load_tuned(name, folder), tokenizer, parts)  # con lo que se guarda, en float16
    _write(folder, name, recipe)
    return recipe


def _write(folder: Path, name: str, recipe: dict) -> None:
    text = json.dumps(recipe, ensure_ascii=False, indent=1) + "\n"
    (folder / name / "receta.json").write_text(text, encoding="utf-8")


def check(name: str, parts, stored: Path = FOLDER) -> list[str]:
    """Lo que cambia al entrenarlo otra vez."""
    recipe = json.loads((stored / name / "receta.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        again = train(name, parts, Path(folder))
    return [
        f"{name}, en {text}: {when}, medía {recipe[when][text]} y mide {again[when][text]}"
        for when in ("before", "after")
        for text in recipe[when]
        if abs(recipe[when][text] - again[when][text]) > TOLERANCE
    ]


def main(argv: list[str] | None = None) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    parser = argparse.ArgumentParser(description="Entrena los adaptadores del ejemplo de estilo.")
    parser.add_argument("--check", action="store_true", help="los entrena aparte y los compara con los guardados")
    args = parser.parse_args(argv)

    def work() -> list[str]:
        parts = load_parts()
        if args.check:
            return [problem for name in WORKS for problem in check(name, parts)]
        for name in WORKS:
            print(json.dumps(train(name, parts, FOLDER), ensure_ascii=False), flush=True)
        return []

    return exit_code(work, "Repasa la receta.")


if __name__ == "__main__":
    sys.exit(main())
