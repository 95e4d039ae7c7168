"""Figuras de la sesión 05: las celdas del cuaderno se ejecutan aquí, así que los números son los suyos."""

from functools import cache

import matplotlib.pyplot as plt

from course_utils import drawing, illustrations, plots
from course_utils.illustrations import session_05

from . import cells

# Las celdas que hacen falta, en el orden del cuaderno.
CELLS = (
    "importar",
    "modelo",
    "sorpresa-frase",
    "cadena",
    "producto-o-suma",
    "niveles",
    "frases",
    "revolver",
    "unigrama",
    "duelo",
    "voraz-o-muestreo",
    "voraz-o-muestreo-dibujo",
    "compresores",
)


@cache
def _names():
    """Los nombres que hay tras ejecutar las celdas de ``CELLS``."""
    with plt.rc_context():
        names = cells.run("05", list(CELLS), {})
    plt.close("all")
    return names


def _surprise(*texts, width=8.0):
    names = _names()
    tokens = {
        text: [names["decoding"].show_token(names["tokenizer"], i) for i in names["ids_of"](text)] for text in texts
    }
    return illustrations.surprise_chips(
        {text: (tokens[text], names["surprise"](text).tolist()) for text in texts}, width=width
    )


def _lines(values):
    """Los nombres, en dos líneas."""
    return {name.replace(" ", "\n"): value for name, value in values.items()}


def _axes(height):
    return plt.subplots(figsize=(8, height), layout="constrained")[1]


def portada():
    """Tres dados, cada uno con más caras."""
    return drawing.night(session_05.cover())


def sorpresa():
    """Una frase y sus palabras revueltas, token a token."""
    return _surprise("Aquella noche nadie quiso volver a casa.", "Quiso volver nadie aquella a casa noche.")


def cadena():
    """«Había una vez un rey.»: probabilidades que se multiplican y sorpresas que se suman."""
    names = _names()
    text = names["sentence"]
    tokens = [names["decoding"].show_token(names["tokenizer"], i) for i in names["ids_of"](text)]
    return illustrations.chain(tokens, (2.0 ** -names["surprise"](text)).tolist())


def dado():
    """La perplejidad como un dado: moneda, dado, modelo, unigrama y no saber nada."""
    return illustrations.perplexity_die({"una\nmoneda": 2, "un\ndado": 6} | _names()["levels"])


def parejas():
    """Las 24 frases en sus cuatro versiones."""
    return plots.plot_pairs(_lines(_names()["values"]), ylabel="Perplejidad", ax=_axes(3.8))


def duelo():
    """El modelo y el unigrama en los cuatro grupos."""
    names = _names()
    pairs = {
        name: (names["perplexity"](names["model"], names["tokenizer"], texts).value, names["unigram_perplexity"](texts))
        for name, texts in names["groups"].items()
    }
    return illustrations.duel(_lines(pairs), ax=_axes(3.6))


def voraz():
    """Doce principios y tres maneras de seguir: voraz, muestreo y Alarcón."""
    return plots.plot_pairs(_names()["written"], ylabel="Perplejidad", ax=_axes(3.8))


def ladrillo():
    """El mar tranquilo y el ladrillo educado."""
    names = _names()
    return _surprise(names["plausible"][19], names["absurd"][19], width=10.6)


def compresores():
    """El modelo contra los compresores, en bits por carácter."""
    names = _names()
    sizes = {title: names["sizes"][name] for name, title in names["names"].items()}
    return plots.plot_bars(sizes, xlabel="Bits por carácter (menos es mejor)", highlight="el modelo", ax=_axes(3.6))


def apuesta():
    """Los cuatro textos de la apuesta, de menos a más sorprendente."""
    names = _names()
    words = names["groups"]["palabras revueltas"]
    repeated = "sí, sí, sí, sí, sí, sí, sí, sí, sí, sí."
    return _surprise(repeated, names["absurd"][19], names["plausible"][19], words[19], width=11.5)
