"""`make bench`: lo que los cuadernos cuentan del reloj, medido con sus mismas celdas en una máquina tranquila.

En los cuadernos solo se imprime: a quien estudia en una máquina ocupada no le puede fallar una celda por ir despacio.
"""

import matplotlib
import pytest

matplotlib.use("Agg")

from tools.figures import cells


def growth(times):
    """Los nombres, del que más crece al que menos."""
    return sorted(times, key=lambda name: times[name][0] / times[name][-1])


CLAIMS = {
    "con la caché se tarda menos, pero se ahorra menos que en la cuenta; sin ella, el tiempo crece más deprisa": (
        "02",
        ["importar", "cargar-modelo", "logits", "ahorro-contado", "ahorro-reloj"],
        lambda n: 1 < n["ratio"] < n["work"]["veces más"].iloc[-1] and growth(n["times"]) == ["sin caché", "con caché"],
    ),
    "un asistente casi tan grande como el modelo no compensa": (
        "03",
        ["importar-profundiza", "cargar-profundiza", "asistente", "asistentes", "asistida-reloj"],
        lambda n: n["clock"]["sin la última capa"] > n["clock"]["sin asistente"],
    ),
    "rellenar hasta el contexto cuesta tiempo": (
        "04",
        [
            "importar",
            "cargar-chistes",
            "tokenizar",
            "tokens-por-chiste",
            "relleno-contado",
            "relleno-dibujo",
            "relleno-reloj",
        ],
        lambda n: n["slow"] > 1.2 * n["fast"],
    ),
}


@pytest.mark.parametrize(("session", "names", "holds"), CLAIMS.values(), ids=CLAIMS)
def test_what_a_notebook_says_of_the_clock_holds(session, names, holds, monkeypatch):
    monkeypatch.setenv("CURSO_PERFIL", "mini")
    assert holds(cells.run(session, names, {}))
