"""Lo que devuelve un estudiante: leerlo como números, compararlo por su valor y enseñarlo en poco espacio."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

LONGEST = 160  # caracteres de un valor en un mensaje
WHOLE = 16  # hasta tantos números, se enseñan todos
INTEGER_HINTS = (
    "Mira el tipo (.dtype) de lo que devuelves: los ids, las etiquetas y las máscaras son enteros.",
    "Conviértelo con .long(), o constrúyelo desde el principio con enteros.",
)
SHAPE_HINTS = ("Mira la forma (.shape) de lo que devuelves, cuántas dimensiones tiene, y la que pide el enunciado.",)


class Diagnosis(NamedTuple):
    """Lo recibido, con unas pistas más a propósito que las de la regla."""

    received: str
    hints: tuple[str, ...]


def prefixed(prefix: str, problem: str | Diagnosis) -> str | Diagnosis:
    """Lo recibido, con algo delante que dice dónde."""
    if isinstance(problem, Diagnosis):
        return Diagnosis(prefix + problem.received, problem.hints)
    return prefix + problem


# ---------------------------------------------------------------- enseñar
def show(value, digits: int = 4) -> str:
    """Un valor cualquiera, corto y legible. Nunca falla."""
    try:
        text = _show(value, digits)
    except Exception:  # hay objetos que no se dejan ni mirar
        text = f"un objeto de tipo {type(value).__name__}"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _show(value, digits: int) -> str:
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        return _show_array(value, digits)
    if isinstance(value, float):
        text = f"{value:.{digits}g}"
        return text + ".0" if text.lstrip("-").isdigit() else text
    if isinstance(value, list | tuple):
        inside = [_show(x, digits) for x in value[:WHOLE]] + ["…"] * (len(value) > WHOLE)
        return f"[{', '.join(inside)}]" if isinstance(value, list) else f"({', '.join(inside)})"
    if isinstance(value, Mapping):
        return f"un diccionario con las claves {', '.join(map(str, value))}"
    if isinstance(value, type):
        return f"la clase {value.__name__}"
    return f"la función {value.__name__}" if hasattr(value, "__name__") and callable(value) else repr(value)


def _show_array(value, digits: int) -> str:
    """Entero si es pequeño; si no, su forma y cómo empieza."""
    value = value.detach().cpu() if isinstance(value, torch.Tensor) else np.asarray(value)
    size = value.numel() if isinstance(value, torch.Tensor) else value.size
    if size <= WHOLE:
        return _show(value.tolist(), digits)
    start = ", ".join(_show(x, digits) for x in value.reshape(-1)[:4].tolist())
    return f"un tensor de forma {tuple(value.shape)} que empieza por {start}…"


# ---------------------------------------------------------------- leer
def as_tensor(value) -> torch.Tensor | None:
    """Los números de un tensor, un array, un número o una lista de todo eso, sin gradiente y en la CPU.

    ``None`` si no son números reales o las filas no tienen la misma longitud.
    """
    try:
        found = _as_tensor(value)
    except Exception:  # lo que no se deja leer como números no lo es
        return None
    return None if found.is_complex() else found


def _as_tensor(value) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().to_dense()
    if isinstance(value, list | tuple):
        return torch.stack([_as_tensor(x) for x in value]) if value else torch.empty(0)
    if isinstance(value, numbers.Number):  # también Fraction y Decimal
        exact = isinstance(value, int | np.number | np.bool_)
        return torch.as_tensor(value if exact else float(value), dtype=None if exact else torch.float64)
    return torch.as_tensor(np.ascontiguousarray(value.__array__()))  # torch no admite un array del revés, [::-1]


# ---------------------------------------------------------------- comparar
def expect(received, expected, *, integers: bool = False, tensor: bool = False) -> str | Diagnosis | None:
    """``None`` si vale lo esperado; si no, qué se ha recibido y qué se esperaba.

    Se comparan valores, no tipos: sirve cualquier número, tensor, array o lista, con cualquier precisión.

    Parameters
    ----------
    integers, tensor : bool
        Lo que el enunciado sí fija: que sean números enteros, que sea un tensor de PyTorch.
    """
    wanted, expected = expected, _as_tensor(expected)
    found = as_tensor(received)
    kind = _kind(expected, tensor)
    if found is None or (tensor and not isinstance(received, torch.Tensor)):
        return f"{show(received)}, de tipo {type(received).__name__}; se esperaba {kind}"
    if expected.dim() == 0 and found.numel() == 1:
        found = found.reshape(())
    if found.shape != expected.shape:
        shown = show(received) if found.numel() <= WHOLE else "números"
        has_shape = hasattr(received, "shape")
        shape = f"de forma {tuple(found.shape)}" if has_shape or found.dim() else "un solo número"
        text = f"{shown}, {shape}; se esperaba {kind}"
        return Diagnosis(text, SHAPE_HINTS) if has_shape and 0 < expected.dim() != found.dim() else text
    if integers and (found.is_floating_point() or found.dtype == torch.bool):
        return Diagnosis(f"{show(received)}, de tipo {found.dtype}; se esperaban enteros", INTEGER_HINTS)
    if found.dtype == torch.bool != expected.dtype:
        return f"{show(received)}, de tipo torch.bool; se esperaba {show(expected)}"
    wrong = _wrong(found, expected)
    if not wrong.any():
        return None
    if expected.numel() <= WHOLE:
        return _contrast(received, wanted)
    place = tuple(wrong.nonzero()[0].tolist())
    return f"en la casilla {place}, {_contrast(found[place], expected[place])}"


def _kind(expected: torch.Tensor, tensor: bool) -> str:
    if expected.dim() == 0:
        return "un número"
    return f"{'un tensor' if tensor else 'un tensor o una lista'} de forma {tuple(expected.shape)}"


def _wrong(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Qué números no son los esperados, con la tolerancia de la precisión recibida."""
    precision = 2 * torch.finfo(found.dtype).resolution if found.is_floating_point() else 0
    return ~torch.isclose(found.double(), expected.double(), rtol=max(1e-4, precision), atol=max(1e-5, precision))


def _contrast(received, expected) -> str:
    """Los dos valores, con las cifras que hagan falta para que se vea la diferencia."""
    for digits in (4, 8, 17):
        texts = show(received, digits), show(expected, digits)
        if texts[0] != texts[1]:
            break
    return f"{texts[0]}; se esperaba {texts[1]}"
