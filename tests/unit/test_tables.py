"""Las tablas de la página de verificación: lo que dicen sale de las fuentes, contado aquí otra vez."""

import json
import math
import re

import nbformat
import pytest

from course_utils.models import load_model
from tools import ROOT, minutes
from tools.site import tables
from tools.site.facts import count_facts


def cells(text: str) -> dict[str, list[str]]:
    """Las filas de una tabla de Markdown, por su primera casilla sin el enlace."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]
    return {re.sub(r"\[(.+?)\]\(.*?\)", r"\1", name): rest for name, *rest in lines}


@pytest.fixture(scope="module")
def notebooks():
    return cells(tables.notebook_table())


def test_every_notebook_has_its_row_with_what_its_source_asks(notebooks):
    sources = sorted((ROOT / "notebooks" / "fuente").rglob("*.md"))
    assert len(notebooks) == len(sources)
    loads = [minutes.measure(source) for source in sources]
    for column, name in ((0, None), (2, "pictures"), (3, "exercises"), (4, "questions")):
        wanted = sorted(getattr(load, name) if name else math.ceil(load.minutes) for load in loads)
        assert sorted(int(row[column]) for row in notebooks.values()) == wanted


def test_the_columns_add_up_to_the_figures_of_the_site(notebooks):
    facts, total = count_facts(), [sum(int(row[i]) for row in notebooks.values() if row[i] != "—") for i in range(6)]
    assert [str(total[3]), str(total[4]), str(total[5])] == [facts["ejercicios"], facts["preguntas"], facts["celdas"]]


def test_compared_cells_are_those_nbval_compares(notebooks):
    book = nbformat.read(next((ROOT / "notebooks/soluciones").glob("02_*.ipynb")), 4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert notebooks["02"][5] == str(sum("nbval-ignore-output" not in cell.metadata.get("tags", []) for cell in code))


def test_the_seconds_are_the_measured_ones_and_what_is_not_measured_is_a_dash(notebooks):
    measured = json.loads((ROOT / "tools/deploy/medidas.json").read_text("utf-8"))["sesiones"]["mini"]
    for name, row in notebooks.items():
        assert row[1] == (str(round(measured[name]["cpu_s"])) if name in measured else "—")


def test_every_model_has_its_size_its_licence_and_its_interval():
    models = cells(tables.model_table())
    assert len(models) == 6
    for role, name in (("decoder", "decodificador"), ("encoder", "codificador"), ("lstm", "LSTM")):
        parameters = sum(p.numel() for p in load_model(role)[0].parameters()) / 1e6
        assert models[name][1] == f"{parameters:.2f}".replace(".", ",") and models[name][3] == "CC0"
    assert models["Gemma 3 270M, que se descarga"][:2] == ["238", "268"]
    for name, row in models.items():
        assert re.search(r"\(\d+,\d+(?:.%)?–\d+,\d+(?:.%)?\)", row[2]) or row[2].endswith("sin intervalo"), name


def test_wilson_by_hand():
    """8 de 10: el ejemplo de los libros, de 0,490 a 0,943."""
    assert tables.wilson(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)


def test_a_card_without_its_line_is_an_error(tmp_path):
    (tmp_path / "mediano.md").write_text("---\nlicense: gemma\n---\n")
    with pytest.raises(ValueError, match="no encuentro"):
        tables.large_model(tmp_path / "mediano.md")
