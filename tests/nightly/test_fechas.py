"""Las cifras guardadas de la sesión A2 salen de volver a entrenar: una semilla de cada red."""

import json

import pytest
import torch

from course_utils.jokes import DATA
from tools.training import dates

STORED = json.loads((DATA / "fechas.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def names():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield dates.notebook_names()
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", STORED["runs"])
def test_one_seed_of_each_network_is_trained_again(names, name):
    stored = STORED["runs"][name][1]
    found = dates.measure(names, name, 1)
    assert found["right"] == pytest.approx(stored["right"], abs=0.04)  # otra máquina redondea de otra manera
    assert found["by_length"] == pytest.approx(stored["by_length"], abs=0.1)


@pytest.mark.parametrize("order", STORED["orders"])
def test_one_seed_of_each_order_is_trained_again(names, order):
    stored = STORED["orders"][order][1]
    found = dates.measure_order(names, order, 1)
    assert found == pytest.approx(stored, abs=0.15)
