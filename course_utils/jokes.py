"""Los datos de la sesión 04: chistes sin casi repetidos y partidos siempre igual, y prosa para medir el olvido."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from . import _validate as valid
from ._jsonl import DATA, as_dataset, read_jsonl
from .models import Profile, download, get_profile

_TYPES = {"id": int, "text": str, "keywords": str, "funny": int, "category": str}
COLUMNS = tuple(_TYPES)
NEAR = 0.4  # parecido a partir del cual dos textos se tienen por el mismo
_SHARES = {"test": 0.15, "validation": 0.15}  # el resto, para entrenar
_SEED = 2026


def load_jokes(profile: str | Profile | None = None):
    """Los chistes en tres particiones, siempre las mismas y sin casi repetidos en ninguna parte.

    Parameters
    ----------
    profile : str or Profile, optional
        «mini»: los que vienen con el curso; «completo»: ``mrm8488/CHISTES_spanish_jokes``, del Hub. En uno tuyo,
        ``sources["jokes"]`` es un repositorio del Hub o un fichero ``.jsonl`` con un objeto por línea: basta con
        ``text``; sin ``id``, se numeran, y lo demás queda en ``None``.

    Returns
    -------
    datasets.DatasetDict
        ``train``, ``validation`` y ``test`` (70, 15 y 15 %), con ``id``, ``text``, ``keywords``, ``funny`` (puede ser
        ``None``) y ``category``. De cada grupo de textos casi iguales queda solo el primero.

    Raises
    ------
    ValueError
        Si el fichero está dañado o no se puede descargar (dice por qué y qué hacer).

    Notes
    -----
    Se enseña en la sesión 04.
    """
    from datasets import DatasetDict

    chosen = get_profile(profile)
    source = os.fspath(chosen.sources.get("jokes", DATA / "chistes.jsonl"))
    ours = source.endswith(".jsonl") or Path(source).is_file()
    rows = read_jsonl(Path(source), _TYPES) if ours else _from_hub(source, chosen.revisions.get("jokes"))
    rows = [row for row in rows if (row["text"] or "").strip()]
    valid.require(bool(rows), f"En {source} no hay ningún chiste: todos los textos están vacíos.")
    repeated = {j for _, j, _ in near_duplicates([row["text"] for row in rows])}
    kept = [row for i, row in enumerate(rows) if i not in repeated]
    order = np.random.default_rng(_SEED).permutation(len(kept))
    parts, start = {}, 0
    for name, share in [*_SHARES.items(), ("train", 1.0)]:
        chosen = [kept[i] for i in order[start : start + round(share * len(kept))]]
        parts[name] = as_dataset(chosen, _TYPES)
        start += len(chosen)
    return DatasetDict({name: parts[name] for name in ("train", "validation", "test")})


def load_literary() -> list[str]:
    """Prosa a la manera del siglo XIX, escrita para el curso: sirve para medir lo que el ajuste fino hace olvidar.

    Raises
    ------
    ValueError
        Si el fichero está dañado.

    Notes
    -----
    Se enseña en las sesiones 04 y 05.
    """
    return [row["text"] for row in read_jsonl(DATA / "literarios.jsonl", _TYPES)]


def near_duplicates(texts: Iterable[str], threshold: float = NEAR) -> list[tuple[int, int, float]]:
    """Parejas de textos iguales o casi: comparten al menos ``threshold`` de sus trozos de cinco letras (Jaccard).

    No cuentan mayúsculas, tildes ni espacios; la puntuación y los emojis, solo en un texto que no tenga otra cosa.

    Returns
    -------
    list of (int, int, float)
        ``(i, j, parecido)`` con ``i < j`` y el parecido entre ``threshold`` y 1.

    Raises
    ------
    ValueError
        Si ``threshold`` no está en (0, 1] o ``texts`` no son textos.

    Notes
    -----
    Lee et al. (2022), arXiv:2107.06499, muestran por qué conviene quitar repetidos. Se enseña en la sesión 04.
    """
    valid.require(
        valid.is_number(threshold) and 0 < threshold <= 1,
        f"threshold es un parecido entre 0 y 1 (sin el 0) y he recibido {threshold!r}.",
    )
    pieces = [_pieces(text) for text in valid.texts(texts, 0)]
    seen: dict[str, list[int]] = defaultdict(list)  # trozo → textos anteriores que lo tienen
    pairs = []
    for j, mine in enumerate(pieces):
        shared = Counter(i for piece in mine for i in seen[piece])
        for i, common in sorted(shared.items()):
            likeness = common / (len(mine) + len(pieces[i]) - common)
            if likeness >= threshold:
                pairs.append((i, j, likeness))
        for piece in mine:
            seen[piece].append(j)
    return pairs


def _pieces(text: str) -> set[str]:
    plain = unicodedata.normalize("NFD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    letters = re.sub(r"[\W_]", "", plain) or re.sub(r"\s", "", plain)
    return {letters[i : i + 5] for i in range(max(len(letters) - 4, 1))}


def _from_hub(name: str, revision: str | None) -> list[dict]:
    from datasets import load_dataset

    folder = download(name, revision, kind="dataset")
    try:
        data = load_dataset(str(folder), split="train")
    except Exception as error:  # cada formato estropeado llega con su propia clase
        raise ValueError(
            f"No he podido leer los datos de {name!r} ({type(error).__name__}: {error}). Borra la carpeta "
            f"{folder.parents[1]} y repite: se descargarán otra vez."
        ) from error
    missing = [column for column in COLUMNS if column not in data.column_names]
    if missing:
        raise ValueError(f"A {name!r} le faltan las columnas {missing}: ha cambiado desde que se escribió el curso.")
    return data.select_columns(list(COLUMNS)).to_list()
