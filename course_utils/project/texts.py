"""Los textos de un trabajo: trocearlos, repartirlos con semilla y mirar los casi repetidos."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from .. import _validate
from .._files import fingerprint
from ..jokes import NEAR, near_duplicates
from .evidence import Evidence, evidence

SHARES = {"test": 0.15, "validation": 0.15}  # el resto, para entrenar


def pieces(text: str, chars: int = 600) -> list[str]:
    """Un texto largo, en trozos de frases enteras de hasta ``chars`` caracteres.

    Cada párrafo, en su línea. Una frase más larga que ``chars`` queda sola en su trozo.

    Raises
    ------
    ValueError
        Si el texto está vacío o ``chars`` no es un entero positivo.

    Notes
    -----
    Se usa en el trabajo final.
    """
    _validate.require(isinstance(text, str) and bool(text.strip()), f"Esperaba un texto y he recibido {text!r:.60}.")
    _validate.count("chars", chars)
    done, current = [], ""
    for paragraph in filter(str.strip, text.splitlines()):
        for k, sentence in enumerate(re.split(r"(?<=[.!?…])\s+(?=[¡¿—«A-ZÁÉÍÓÚÑ])", paragraph.strip())):
            if current and len(current) + 1 + len(sentence) > chars:
                done, current = [*done, current], ""
            current += ("" if not current else " " if k else "\n") + sentence
    return [*done, current]


def split(texts: Sequence[str], *, seed: int) -> dict[str, list[str]]:
    """Reparte los textos al azar: 70 % para entrenar, 15 % para validar y 15 % para probar; los casi iguales, fuera.

    De cada grupo de casi iguales queda el primero. Dentro de cada parte se conserva el orden.

    Raises
    ------
    ValueError
        Si hay menos de diez textos o la semilla no es un entero desde 0.

    Notes
    -----
    Se usa en el trabajo final.
    """
    texts = _validate.texts(texts, 0)
    _validate.count("seed", seed, 0)
    repeated = {j for _, j, _ in near_duplicates(texts)}
    kept = [text for i, text in enumerate(texts) if i not in repeated]
    _validate.require(
        len(kept) >= 10,
        f"Quedan {len(kept)} textos sin casi repetidos, y para repartir hacen falta 10. Trocea los largos.",
    )
    order, chosen, start = np.random.default_rng(int(seed)).permutation(len(kept)), {}, 0
    for name, share in [*SHARES.items(), ("train", 1.0)]:
        places = sorted(order[start : start + round(share * len(kept))])
        chosen[name] = [kept[i] for i in places]
        start += len(places)
    return {name: chosen[name] for name in ("train", "validation", "test")}


def parts(texts: Mapping[str, Sequence[str]], *, seed: int | None) -> Evidence:
    """La evidencia de un reparto, el de ``split`` o el tuyo: tamaños, semilla y casi repetidos entre partes y dentro.

    Parameters
    ----------
    texts : mapping of str to sequence of str
        De cada parte («train», «validation», «test»), sus textos. Sin entrenar basta «test».
    seed : int or None
        La semilla con que se repartió; ``None`` si no se repartió al azar.

    Raises
    ------
    ValueError
        Si una parte está vacía o no son textos.

    Notes
    -----
    Se usa en el trabajo final.
    """
    _validate.require(bool(texts), "Hace falta al menos una parte, «test»; he recibido ninguna.")
    named = [(name, text) for name, part in texts.items() for text in _validate.texts(part)]
    pairs = [(named[i][0], named[j][0]) for i, j, _ in near_duplicates([text for _, text in named])]
    across, within = sum(a != b for a, b in pairs), sum(a == b for a, b in pairs)
    sizes = {name: {"texts": len(part), "chars": sum(map(len, part))} for name, part in texts.items()}
    rows = {name: f"{size['texts']} textos, {size['chars']} caracteres" for name, size in sizes.items()}
    rows |= {"semilla": seed, f"casi repetidos (parecido de {str(NEAR).replace('.', ',')} o más)": ""}
    rows |= {"  de una parte a otra": across, "  dentro de una parte": within}
    prints = {name: fingerprint(list(part)) for name, part in texts.items()}
    values = {"sizes": sizes, "seed": seed, "across": across, "within": within, "threshold": NEAR}
    return evidence("split", rows=rows, caption="El reparto", **values, fingerprints=prints)
