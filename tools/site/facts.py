"""Las cifras del curso, contadas en sus archivos cada vez que se construye el sitio: ninguna está escrita a mano."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from course_utils._look import number

from .. import ROOT, lab, links


def _cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def count_facts(root: Path = ROOT) -> dict[str, str]:
    """De cada nombre que se puede escribir entre ``{{`` y ``}}`` en ``docs/``, su cifra, para leerla."""
    notebooks = root / "notebooks"
    solved = [cell for path in sorted((notebooks / "soluciones").rglob("*.ipynb")) for cell in _cells(path)]
    code = [cell for cell in solved if cell["cell_type"] == "code"]
    proofs = ["".join(cell["source"]) for cell in code if "verifica" in _tags(cell)]
    compared = [cell for cell in code if "nbval-ignore-output" not in _tags(cell)]
    outputs = [output for cell in code for output in cell["outputs"]]
    quizzes = [json.loads(path.read_text(encoding="utf-8")) for path in (notebooks / "quizzes").glob("*.json")]
    tests = [path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py")]
    sources = tomllib.loads((notebooks / "fuente" / "mapa.toml").read_text(encoding="utf-8"))
    recorded = [json.loads(p.read_text(encoding="utf-8")) for p in (root / "course_utils/grabaciones").glob("*.json")]
    decoder = root / "course_utils/checkpoints/decoder"
    facts = {
        "sesiones": len(list(notebooks.glob("*.ipynb"))),
        "cuadernos": len(list(notebooks.glob("*.ipynb"))) + len(list((notebooks / "profundiza").glob("*.ipynb"))),
        "ejercicios": len(sources["ejercicios"]),
        "terminos": len(sources["glosario"]),
        "preguntas": sum(map(len, quizzes)),
        "pruebas": sum(len(re.findall(r"^ *def test_", text, re.MULTILINE)) for text in tests),
        "celdas": len(compared),
        "comprobaciones": len(proofs),
        "afirmaciones": sum(len(re.findall(r"^ *assert\b", text, re.MULTILINE)) for text in proofs),
        "figuras": sum("image/png" in output.get("data", {}) for output in outputs),
        "grabaciones": sum(map(len, recorded)),
        "enlaces": len(links.load_links(root)),
        "megas": (decoder / "model.safetensors").stat().st_size / 1e6,
        "descarga": sum((decoder / name).stat().st_size for name in lab.DOWNLOADED) / 1e6,
    }
    return {name: number(value, 1 if isinstance(value, float) else 0) for name, value in facts.items()}
