"""Las reseñas del curso: textos cortos, con su etiqueta, para clasificar. Se usan en las sesiones A1 y 06."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ._jsonl import DATA, as_dataset, read_jsonl
from .models import Profile, get_profile

_TYPES = {"id": int, "text": str, "label": str, "topic": str, "country": str, "difficulty": str}
COLUMNS = tuple(_TYPES)
LABELS = ("negativa", "positiva")  # en la columna label, 0 y 1
_SHARES = {"test": 0.2, "validation": 0.1}  # el resto, para entrenar
_SEED = 2026


def load_reviews(profile: str | Profile | None = None):
    """Las reseñas en tres particiones, siempre las mismas y con la misma mezcla de etiquetas, temas y dificultades.

    Parameters
    ----------
    profile : str or Profile, optional
        Todos los perfiles usan las del curso: en el Hub no hay otras con estos campos.

    Returns
    -------
    datasets.DatasetDict
        ``train``, ``validation`` y ``test`` (unos 70, 10 y 20 %), con ``id``, ``text``, ``label`` (0, negativa; 1,
        positiva), ``topic``, ``country`` (código ISO de dos letras) y ``difficulty`` (directa, negación, ironía o
        mixta).

    Raises
    ------
    ValueError
        Si el perfil no existe o el fichero está dañado (dice qué línea y qué hacer).

    Notes
    -----
    Se enseña en las sesiones A1 y 06.
    """
    from datasets import ClassLabel, DatasetDict

    get_profile(profile)
    parts = _split(read_jsonl(DATA / "resenas.jsonl", _TYPES))
    label = ClassLabel(names=list(LABELS))
    return DatasetDict({name: as_dataset(rows, _TYPES, label=label) for name, rows in parts.items()})


def _split(rows: list[dict]) -> dict[str, list[dict]]:
    """Las tres particiones: de cada grupo con la misma etiqueta, tema y dificultad, la misma parte a cada una."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["label"], row["topic"], row["difficulty"]].append(row)
    rng = np.random.default_rng(_SEED)
    parts = {name: [] for name in ("train", "validation", "test")}
    for group in groups.values():
        order, start = rng.permutation(len(group)), 0
        for name, share in [*_SHARES.items(), ("train", 1.0)]:
            size = round(share * len(group))
            parts[name] += [group[i] for i in order[start : start + size]]
            start += size
    return {name: [part[i] for i in rng.permutation(len(part))] for name, part in parts.items()}
