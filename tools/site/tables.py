"""Las dos tablas de la página de verificación, hechas con las fuentes: una fila por cuaderno y otra por modelo."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from safetensors import safe_open

from course_utils._look import number, percent
from course_utils.runner import in_order

from .. import ROOT, minutes, pages
from ..intervals import wilson

CHECKPOINTS, ADAPTERS = "course_utils/checkpoints", "course_utils/grabaciones/proyecto"


def render_tables(root: Path = ROOT) -> dict[str, str]:
    """Lo que se puede escribir entre ``{{`` y ``}}`` en ``docs/`` y es una tabla."""
    return {"tabla_cuadernos": notebook_table(root), "tabla_modelos": model_table(root)}


def table(*rows: list[str]) -> str:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *rest])


# --- Los cuadernos ----------------------------------------------------------------------------------


def compared_cells(notebook: Path) -> int:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    return sum("nbval-ignore-output" not in cell["metadata"].get("tags", []) for cell in code)


def notebook_table(root: Path = ROOT) -> str:
    """De cada cuaderno, lo que pide y lo que se compara; los segundos, de las sesiones que se han medido."""
    book, sources = root / "notebooks", root / "notebooks" / "fuente"
    measured = json.loads((root / "tools/deploy/medidas.json").read_text(encoding="utf-8"))["sesiones"]["mini"]
    works = {name: title for title, name in re.findall(r"\[([^\]]+)\]\((proyecto/\w+)\.ipynb\)", pages.PROJECT)}
    rows = [["Cuaderno", "Min", "Seg", "Dib", "Ej", "Preg", "Comp"]]
    for folder in ("", "profundiza", "proyecto"):
        for source in in_order((sources / folder).glob("*.md")):
            load, name = minutes.measure(source), f"{folder}/{source.stem}".lstrip("/")
            solved = book / "soluciones" / f"{name}.ipynb"
            title = works.get(name) or f"{folder} {source.stem.split('_')[0]}".lstrip()
            seconds = (
                "—" if folder or source.stem[:2] not in measured else number(measured[source.stem[:2]]["cpu_s"], 0)
            )
            compared = str(compared_cells(solved)) if solved.is_file() else "—"
            counts = map(str, (load.pictures, load.exercises, load.questions))
            rows.append(
                [f"[{title}](../notebooks/{name}.ipynb)", str(math.ceil(load.minutes)), seconds, *counts, compared]
            )
    return table(*rows)


# --- Los modelos ------------------------------------------------------------------------------------


def parameters(weights: Path) -> int:
    """Cuántos números hay en un safetensors; solo se lee su cabecera."""
    with safe_open(weights, framework="np") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (no es un dict)


def licence_of(card: Path) -> str:
    """La licencia que dice la cabecera de una ficha, como se lee."""
    name = re.search(r"^license: (.+)$", card.read_text(encoding="utf-8"), re.MULTILINE)[1]
    return {"cc0-1.0": "CC0", "gemma": "la de Gemma"}[name]


def model_table(root: Path = ROOT) -> str:
    """De cada modelo, su tamaño, lo que mide con su intervalo, su licencia y su ficha."""
    folder = root / CHECKPOINTS
    report = json.loads((folder / "evaluacion.json").read_text(encoding="utf-8"))
    last, hits = report["segun_lo_leido"][-1], report["aciertos"]
    low, high = (
        percent(bound) for bound in wilson(round(hits["encoder"]["top1"] * hits["posiciones"]), hits["posiciones"])
    )
    accuracy = f"{percent(hits['encoder']['top1'])} de aciertos ({low}–{high}) con el 15 % tapado"
    rows = [["Modelo", "MB", "Números", "Lo que mide", "Licencia"]]
    for role, name in (("decoder", "decodificador"), ("encoder", "codificador"), ("lstm", "LSTM")):
        weights, card = folder / role / "model.safetensors", folder / role / "README.md"
        if role == "encoder":
            said = accuracy
        else:
            whole = number(report["bits_por_caracter"][role], 3)
            middle, low, high = (number(value, 2) for value in last[role])
            said = f"{whole} bits por carácter; con {last['tramo'][0]} tokens leídos o más, {middle} ({low}–{high})"
        size = (number(weights.stat().st_size / 1e6, 1), number(parameters(weights) / 1e6, 2))
        rows.append([f"[{name}](../{CHECKPOINTS}/{role}/README.md)", *size, said, licence_of(card)])
    rows.append(large_model(folder / "mediano.md"))
    return table(*rows, *adapters(root))


def adapters(root: Path) -> list[list[str]]:
    """Las filas de los dos adaptadores del trabajo final, con lo que miden antes y después en su novela."""
    rows = []
    for recipe in sorted((root / ADAPTERS).glob("*/receta.json")):
        name, weights = recipe.parent.name, recipe.parent / "adapter_model.safetensors"
        data = json.loads(recipe.read_text(encoding="utf-8"))
        before, after = (number(data[when][name], 3) for when in ("before", "after"))
        licence = re.search(r"^\| Licencia \| (CC0)", (root / ADAPTERS / "README.md").read_text(encoding="utf-8"), re.M)
        rows.append(
            [
                f"[adaptador `{name}`](../{ADAPTERS}/README.md)",
                number(weights.stat().st_size / 1e6, 2),
                number(parameters(weights) / 1e6, 2),
                f"de {before} a {after} bits por carácter en su novela, sin intervalo",
                licence[1],
            ]
        )
    return rows


def large_model(card: Path) -> list[str]:
    """La fila de Gemma, que no viene dentro: lo que dice su ficha, leído de ella."""
    text = card.read_text(encoding="utf-8")

    def found(pattern: str) -> str:
        match = re.search(pattern, text, re.MULTILINE)
        if match is None:
            raise ValueError(f"{card.name}: no encuentro «{pattern}», que hace falta para la tabla de modelos.")
        return match[1]

    return [
        f"[Gemma 3 270M](../{CHECKPOINTS}/{card.name}), que se descarga",
        found(r"^\| Instalarlo \| (\d+) MB"),
        found(r"^\| Parámetros \| (\d+) millones"),
        f"{found(r'^. novela del XIX .*. ([0-9,]+) .$')} bits por carácter en una novela del XIX, sin intervalo",
        licence_of(card),
    ]
