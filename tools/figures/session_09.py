"""Figuras de la sesión 09: las celdas del cuaderno se ejecutan aquí, así que los números son los suyos."""

import matplotlib.pyplot as plt

from course_utils import drawing, illustrations
from course_utils.illustrations import session_09

from . import cells

PAIRS = ("modelos", "intervalo", "sesgo", "flexion")
DETECTOR = ("modelos", "detector")


def _drawn(setup: tuple[str, ...], *names: str):
    """Lo que dibuja la última de esas celdas, con lo que necesita a mano."""
    cells.run("09", list(names), dict(cells.prepared("09", "importar", *setup)))
    return plt.gcf()


def portada():
    """Dos frases y una sola ficha distinta, sobre el azul de la portada."""
    return drawing.night(session_09.cover())


def par():
    """Un par mínimo, con lo que cuesta lo que comparten."""
    return _drawn(("modelos",), "un-par-dibujo")


def sesgo():
    """Los cuatro modelos, frente al cero."""
    return _drawn(PAIRS, "sesgo-dibujo")


def flexion():
    """La medida que engaña, con su control."""
    return _drawn(PAIRS, "flexion-dibujo")


def paises():
    """Lo que cuesta hablar como en cada país."""
    return _drawn(PAIRS, "paises")


def mini():
    """El detector con nuestro modelo."""
    return _drawn(DETECTOR, "detector-mini")


def llm():
    """El detector con un LLM."""
    return _drawn(DETECTOR, "detector-mini", "detector-llm")


def clase():
    """Una clase de 30."""
    return _drawn(DETECTOR, "detector-mini", "acusados", "clase")


def energia():
    """Lo publicado, lo que costó ajustar el LLM y un litro de agua; lo de este equipo cambia, y no está."""
    names = cells.prepared("09", "importar", "energia-tabla")
    tuned, kettle = tuple(names["tuned"]), names["kettle"]
    return illustrations.energy_scale(
        {
            "modelos abiertos\n(Luccioni, 2024)": (0.047, 0.047),
            "Gemini, mediana\n(Google, 2025)": (0.24, 0.24),
            "ChatGPT, «media»\n(OpenAI, 2025)": (0.34, 0.34),
            "ajustar el LLM (04)": tuned,
            "un litro de agua": (kettle, kettle),
        },
        xlabel="Wh",
    )


def fechas():
    """El reglamento europeo, por fechas."""
    return _drawn((), "fechas")
