"""Textos para preguntar a un detector de «escrito por una máquina» a quién acusa: de quién son, y en qué grupo van."""

from __future__ import annotations

import re

from . import _validate as valid
from . import recordings
from ._jsonl import DATA, read_jsonl
from .jokes import load_jokes
from .reviews import load_reviews

_TYPES = {"id": int, "text": str, "group": str}
_RECORDED = ("temperatura", "nucleo", "voces", "unicornios", "quijote", "chistes")
SHORTEST = 25  # palabras: con menos, la perplejidad de un texto dice poco


def fragments(text: str, words: int = SHORTEST) -> list[str]:
    """Un texto, en trozos de frases enteras y al menos ``words`` palabras; lo que sobra al final, no.

    Raises
    ------
    ValueError
        Si ``words`` no es una cuenta de palabras.

    Notes
    -----
    Se enseña en la sesión 09.
    """
    valid.count("words", words)
    found: list[str] = []
    for paragraph in text.split("\n"):
        for sentence in filter(str.strip, re.split(r"(?<=[.!?…])\s+", paragraph)):
            if found and len(found[-1].split()) < words:
                found[-1] += " " + sentence
            else:
                found.append(sentence)
    return [part for part in found if len(part.split()) >= words]


def load_plain(group: str) -> list[str]:
    """Textos llanos escritos para el curso: «sencillo» (lectura fácil) o «aprendiz» (imitan a quien aprende español).

    Raises
    ------
    ValueError
        Si el grupo no existe o el fichero está dañado.
    """
    rows = read_jsonl(DATA / "llanos.jsonl", _TYPES)
    groups = sorted({row["group"] for row in rows})
    valid.require(group in groups, f"No conozco el grupo {group!r}. Los que hay son: {', '.join(groups)}.")
    return [row["text"] for row in rows if row["group"] == group]


def load_groups() -> dict[str, list[str]]:
    """Los textos, por grupo. Solo «novela» lo escribió una persona; los demás, modelos de lenguaje.

    «chistes» y «reseñas» son los de prueba, hasta 40; «LLM» es lo que grabó el perfil mediano con temperatura de 1 o
    menos, con su principio delante. Todos, de 20 palabras o más.
    """
    long = [text for text in load_jokes("mini")["test"]["text"] if len(text.split()) >= 20]
    reviews = [text for text in load_reviews("mini")["test"]["text"] if len(text.split()) >= 20]
    taped = [r for name in _RECORDED for r in recordings.load(name) if r.recipe is None and _sampled(r.settings)]
    written = dict.fromkeys(r.prompt + r.text for r in taped)
    return {
        "novela": fragments((DATA / "novela.txt").read_text(encoding="utf-8")),
        "sencillo": load_plain("sencillo"),
        "aprendiz": load_plain("aprendiz"),
        "chistes": long[:40],
        "reseñas": reviews[:40],
        "LLM": [text for text in written if len(text.split()) >= 20],
    }


def _sampled(settings) -> bool:
    return bool(settings.get("do_sample")) and settings.get("temperature", 1.0) <= 1
