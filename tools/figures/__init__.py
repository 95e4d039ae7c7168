"""Hace las figuras de las diapositivas con los modelos incluidos: ``python -m tools.figures`` (o solo las de «03»).

Cada función ``session_NN.py: nombre()`` dibuja con ``course_utils.plots`` y devuelve el ``Axes`` o la ``Figure``; aquí
se guarda como ``slides/figuras/NN_nombre.png``. Las semillas son fijas: hacerlas dos veces da lo mismo, y una prueba
compara las guardadas con otras recién hechas.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["CURSO_PERFIL"] = "mini"

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from tqdm import tqdm

from .. import ROOT

FOLDER = ROOT / "slides" / "figuras"
STYLE = {
    "font.size": 17,
    "axes.titlesize": 19,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "savefig.dpi": 130,
    "svg.hashsalt": "curso",
}


def functions() -> dict:
    """De «NN_nombre» a la función que dibuja esa figura, de todas las sesiones."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("session_[a0-9][0-9].py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                found[f"{path.stem[-2:].upper()}_{name}"] = function
    return found


def draw(function, path: Path) -> None:
    """Dibuja y guarda una figura, sin dejar cambiado el estilo de nadie."""
    with plt.style.context(["course_utils.curso", STYLE]):
        drawn = function()
        figure = drawn if isinstance(drawn, plt.Figure) else drawn.get_figure()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, bbox_inches="tight", pad_inches=0.1, metadata={"Software": None})
        plt.close("all")


def main(arguments: list[str] | None = None) -> int:
    """La orden: sin argumentos, todas; con ellos, las que empiecen así («03», «03_temperatura»)."""
    parser = argparse.ArgumentParser(description="Hace las figuras de las diapositivas con los modelos incluidos.")
    parser.add_argument("prefixes", nargs="*", help="solo las que empiecen así, p. ej. 03 o 02_top")
    parser.add_argument("--output", type=Path, default=FOLDER, help="carpeta donde se guardan")
    options = parser.parse_args(arguments)
    every = functions()
    chosen = {n: f for n, f in every.items() if not options.prefixes or n.startswith(tuple(options.prefixes))}
    if not chosen:
        print(f"✗ Ninguna figura empieza por {options.prefixes}; hay: {', '.join(every)}.", file=sys.stderr)
        return 1
    for name, function in tqdm(chosen.items(), unit="figura", disable=None):
        draw(function, options.output / f"{name}.png")
    return 0
