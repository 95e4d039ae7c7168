"""¿Ha memorizado el modelo? Cuánto de lo que escribe está, palabra por palabra, en los textos con que se entrenó."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from . import _validate

_WORD = re.compile(r"\w+")


def longest_shared(training: Sequence[str], samples: Sequence[str]) -> list[int]:
    """De cada muestra, cuántas palabras seguidas tiene su trozo más largo que está igual en el entrenamiento.

    No distingue mayúsculas y se salta la puntuación. Un trozo no puede pasar de un texto de entrenamiento al siguiente.

    Parameters
    ----------
    training, samples : sequence of str
        Los textos de entrenamiento y las muestras.

    Returns
    -------
    list of int
        Una cuenta de palabras por muestra.

    Raises
    ------
    ValueError
        Si lo recibido no son textos.

    Notes
    -----
    Carlini et al. (2022), arXiv:2202.07646, discuten qué cuenta como memorizar. Se enseña en la sesión 04.
    """
    training, samples = (_validate.texts([t] if isinstance(t, str) else t, 0) for t in (training, samples))
    numbers: dict[str, int] = {}
    # Entre textos, un número que no es de ninguna palabra (impar: si no, dos seguidos se anularían en el hash).
    border = np.array([0xD1B54A32D192ED03], dtype=np.uint64)
    texts = [[numbers.setdefault(w, len(numbers) + 1) for w in _WORD.findall(text.lower())] for text in training]
    source = np.concatenate([part for ids in texts for part in (np.array(ids, dtype=np.uint64), border)] or [border])
    rows = [np.array([numbers.get(w, 0) for w in _WORD.findall(s.lower())], dtype=np.uint64) for s in samples]
    base, longest, n = np.uint64(0x9E3779B97F4A7C15), [0] * len(samples), 0
    source_hash, row_hashes = np.zeros_like(source), [np.zeros_like(row) for row in rows]
    alive = set(range(len(rows)))
    while alive:
        n += 1

        def extend(hashes, values, n=n):  # hash de cada n-grama a partir del de n − 1: módulo 2⁶⁴
            return hashes[: max(len(values) - n + 1, 0)] * base + values[n - 1 :]

        source_hash = extend(source_hash, source)
        row_hashes = [extend(h, r) for h, r in zip(row_hashes, rows, strict=True)]
        wanted = np.unique(np.concatenate([row_hashes[i] for i in alive]))
        if not len(wanted):
            break
        place = np.searchsorted(wanted, source_hash).clip(max=len(wanted) - 1)
        found = np.unique(wanted[place[wanted[place] == source_hash]])
        for i in sorted(alive):
            if np.isin(row_hashes[i], found).any():
                longest[i] = n
            else:
                alive.remove(i)
    return longest
