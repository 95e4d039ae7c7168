"""Lo que comparten las pruebas de los dibujos: se cierran al acabar y se lee lo que dicen."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def close_figures():
    """Cierra los dibujos de cada prueba y comprueba que ninguno ha cambiado la configuración de matplotlib."""
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


def texts(ax) -> list[str]:
    """Lo que está escrito en un dibujo, en orden."""
    return [text.get_text() for text in ax.texts]
