"""Métricas locales para ``evaluate``: cada una es un programa dentro de una carpeta con su nombre."""

from __future__ import annotations

from pathlib import Path

from .._files import writable


def path(name: str) -> str:
    """La carpeta de una métrica del curso, para ``evaluate.load(path("perplejidad"))``; no hace falta red.

    Raises
    ------
    ValueError
        Si no existe (el mensaje enumera las que hay) o si ``evaluate`` no va a poder escribir la copia que hace.

    Notes
    -----
    Se enseña en la sesión 05.
    """
    here = Path(__file__).parent
    known = sorted(p.stem for p in here.glob("*/*.py") if p.stem == p.parent.name)
    if name not in known:
        raise ValueError(f"No conozco la métrica {name!r}. Las que hay son: {', '.join(known)}.")
    from evaluate.config import HF_MODULES_CACHE

    try:
        Path(HF_MODULES_CACHE).mkdir(parents=True, exist_ok=True)
        writable(HF_MODULES_CACHE)
    except OSError as error:
        raise ValueError(
            f"evaluate copia la métrica en {HF_MODULES_CACHE} y ahí no se puede escribir ({error.strerror}). Libera "
            "espacio, o elige otra carpeta con la variable HF_HOME y reinicia el núcleo."
        ) from error
    return str(here / name)
