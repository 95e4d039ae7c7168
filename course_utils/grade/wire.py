"""Lo que viaja entre quien juzga y la respuesta: mensajes que solo llevan datos, en JSON y safetensors.

Nada de lo que llega se ejecuta ni se evalúa, y todo tiene tope. Un objeto que no es un dato viaja como su nombre y su
retrato: quien juzga ve lo mismo que vería ``check``, y no puede llamarlo.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction

import numpy as np
import safetensors.torch
import torch

from ..checks.values import show

MAX_BYTES = 32 * 2**20  # de un mensaje
MAX_ITEMS, MAX_DEPTH, MAX_TEXT = 200_000, 40, 1_000_000
_HEADER = struct.Struct("<II")
_EXACT = re.compile(r"-?[0-9]{1,2000}([./][0-9]{1,2000})?|-?(NaN|Infinity)")
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_KINDS = _FLOATS | {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


class Broken(Exception):
    """Al otro lado no hay nadie, o lo que dice no es un mensaje."""


class TooBig(ValueError):
    """Lo que se quiere mandar no cabe en un mensaje."""


class Opaque:
    """Algo que no es un dato: se ve, y nada más."""

    shown = ""

    def __repr__(self) -> str:
        return self.shown


class ArrayLike(Opaque):
    """Algo que no es un array, pero se lee como si lo fuera: una columna de pandas, por ejemplo."""

    def __init__(self, values: np.ndarray):
        self.values = values

    def __array__(self, *args, **kwargs):
        return self.values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place):
        return self.values[place]


# ---------------------------------------------------------------- mandar y recibir
def send(channel, message) -> None:
    """Manda un mensaje.

    Raises
    ------
    Broken, TimeoutError, TooBig
        Si al otro lado no hay nadie, si no lo recoge a tiempo o si no cabe.
    """
    tree, tensors = message
    head, body = json.dumps(tree).encode(), pack(tensors)
    if len(head) + len(body) > MAX_BYTES:
        raise TooBig(f"{len(head) + len(body)} bytes; caben {MAX_BYTES}")
    try:
        channel.sendall(_HEADER.pack(len(head), len(body)) + head + body)
    except TimeoutError:
        raise
    except OSError as error:
        raise Broken(str(error)) from error


def pack(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Los tensores de un mensaje."""
    return safetensors.torch.save(dict(tensors)) if tensors else b""


def receive(channel):
    """Recibe un mensaje: el árbol y sus tensores.

    Raises
    ------
    Broken, TimeoutError
        Si se corta o no es un mensaje, o si no llega a tiempo.
    """
    head, body = _HEADER.unpack(_exactly(channel, _HEADER.size))
    if head + body > MAX_BYTES:
        raise Broken(f"un mensaje de {head + body} bytes")
    text, raw = _exactly(channel, head), _exactly(channel, body)
    try:
        return json.loads(text), safetensors.torch.load(raw) if raw else {}
    except (ValueError, RecursionError, safetensors.SafetensorError) as error:
        raise Broken("un mensaje que no se entiende") from error


def _exactly(channel, size: int) -> bytes:
    parts = []
    while size:
        try:
            part = channel.recv(min(size, 2**20))
        except TimeoutError:
            raise
        except OSError as error:
            raise Broken(str(error)) from error
        if not part:
            raise Broken("se ha cortado")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


# ---------------------------------------------------------------- escribir
class Writer:
    """Convierte valores en un mensaje. ``other`` se ocupa de lo que no es un dato, o devuelve ``None``.

    Raises
    ------
    TooBig
        Al escribir, si tiene demasiados elementos.
    """

    def __init__(self, other: Callable | None = None):
        self.tensors: dict[str, torch.Tensor] = {}
        self.other, self.left = other or (lambda writer, value: None), MAX_ITEMS

    def tensor(self, value: torch.Tensor) -> str:
        name = str(len(self.tensors))
        made = value.detach().cpu().to_dense().contiguous().clone()
        if type(made) is not torch.Tensor:  # se hace pasar por uno
            raise TypeError("no es un tensor")
        self.tensors[name] = made
        return name

    def write(self, value, depth: int = 0):
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise TooBig("demasiados elementos")
        if value is None:
            return None
        try:
            found = self._data(value, depth)
        except (TooBig, RecursionError):
            raise
        except Exception:  # un objeto raro, que no se deja leer
            found = None
        if found is None:
            found = self.other(self, value)
        return found if found is not None else _portrait(value)

    def _data(self, value, depth: int):
        if isinstance(value, bool):
            return value
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, np.str_):
            return {"is": "np.str_", "of": str(value)}
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value, depth)
        if isinstance(value, str | int | float):
            return _number_or_text(value)
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return {"is": kind, "of": [self.write(x, depth + 1) for x in value], **_named(value, list, tuple)}
        if isinstance(value, set | frozenset):
            return {"is": "set", "of": sorted((self.write(x, depth + 1) for x in value), key=repr)}
        if isinstance(value, Mapping):
            pairs = [[self.write(k, depth + 1), self.write(value[k], depth + 1)] for k in value]
            return {"is": "dict", "of": pairs, **_named(value, dict)}
        if isinstance(value, range):
            return {"is": "range", "of": [value.start, value.stop, value.step]}
        if isinstance(value, Fraction | Decimal):
            text = f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else str(value)
            return {"is": type(value).__name__, "of": text} if _EXACT.fullmatch(text) else None
        if isinstance(value, complex):
            return {"is": "complex", "of": [value.real, value.imag]}
        if value is ...:
            return {"is": "..."}
        if hasattr(value, "__array__") and not isinstance(value, type):
            values = self.write(np.asarray(value), depth + 1)
            return {"is": "like", "of": values, "name": type(value).__name__, "shown": show(value)}
        return None

    def _tensor(self, value: torch.Tensor):
        named = _named(value, torch.Tensor)
        if value.is_complex():
            return {"is": "complex tensor", "of": self.tensor(torch.view_as_real(value.detach().resolve_conj()))}
        if value.dtype not in _KINDS:
            return None
        return {"is": "tensor", "of": self.tensor(value), "grad": value.requires_grad, **named}

    def _array(self, value, depth: int):
        scalar = isinstance(value, np.generic)
        array = np.asarray(value)
        if array.dtype.kind in "OUS":
            cells = [self.write(x.item() if isinstance(x, np.generic) else x, depth + 1) for x in array.reshape(-1)]
            return {"is": "cells", "of": cells, "shape": list(array.shape), "dtype": array.dtype.str[:8]}
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            array = array.astype(np.float64)
        elif array.dtype.kind == "u" and array.dtype.itemsize > 1:  # safetensors no lleva los demás sin signo
            array = array.astype(np.int64)
        tensor = torch.from_numpy(np.array(array))  # otro, contiguo
        dtype = np.asarray(value).dtype.str
        return {"is": "scalar" if scalar else "array", "of": self.tensor(tensor), "dtype": dtype}


def _number_or_text(value):
    if isinstance(value, str):
        text = str.encode(value, "utf-8", "surrogatepass").decode("utf-8", "replace")
        if len(text) > MAX_TEXT:
            raise TooBig("un texto larguísimo")
        return {"is": "str", "of": text, **named} if (named := _named(value, str)) else text
    if isinstance(value, int):
        return int(value) if value.bit_length() < 10_000 else None
    return {"is": "float", "of": float(value), **named} if (named := _named(value, float)) else value


def _named(value, *bases: type) -> dict:
    return {} if type(value) in bases else {"name": type(value).__name__[:80]}


def _portrait(value) -> dict:
    name = type(value).__name__[:80]
    return {"is": "object", "name": name, "shown": show(value)}


# ---------------------------------------------------------------- leer
class Reader:
    """Lo contrario. Lo que no es un dato, según ``other(reader, árbol)``.

    Raises
    ------
    Broken
        Si no es lo que escribe ``Writer``, o es demasiado.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], other: Callable | None = None):
        self.tensors, self.other, self.left = tensors, other, 2 * MAX_ITEMS
        for tensor in tensors.values():  # sin ningún número también se puede ocupar mucho: (10**12, 0)
            if math.prod(max(n, 1) for n in tensor.shape) > MAX_BYTES:
                raise Broken("un tensor imposible")

    def read(self, tree):
        """El valor; ``Broken`` si no lo es."""
        try:
            return self._read(tree)
        except Broken:
            raise
        except Exception as error:
            raise Broken("un mensaje que no se entiende") from error

    def _read(self, tree):
        self.left -= 1
        if self.left < 0:
            raise Broken("demasiados elementos")
        if not isinstance(tree, dict):
            if isinstance(tree, list):
                raise Broken("una lista sin su nombre")
            return tree
        kind, inside = tree["is"], tree.get("of")
        if kind in ("list", "tuple", "set"):
            items = [self._read(x) for x in inside]
            return _rename({"list": list, "tuple": tuple, "set": set}[kind], tree)(items)
        if kind == "dict":
            return _rename(dict, tree)([(self._read(k), self._read(v)) for k, v in inside])
        if kind == "str":
            return _rename(str, tree)(inside)
        if kind == "np.str_":
            return np.str_(inside)
        if kind == "float":
            return _rename(float, tree)(inside)
        if kind in ("tensor", "complex tensor", "array", "scalar"):
            return self._numbers(kind, tree)
        if kind == "cells":
            cells = [self._read(x) for x in inside]
            array = np.empty(len(cells), dtype=object)
            array[:] = cells
            text = all(isinstance(x, str) for x in cells) and tree["dtype"][1:2] == "U"
            return (array.astype(str) if text else array).reshape([int(n) for n in tree["shape"]])
        if kind == "range":
            return range(*inside)
        if kind in ("Fraction", "Decimal"):
            if not _EXACT.fullmatch(inside):  # un exponente enorme no acabaría nunca
                raise Broken("un número raro")
            return {"Fraction": Fraction, "Decimal": Decimal}[kind](inside)
        if kind == "complex":
            return complex(*inside)
        if kind == "...":
            return ...
        if kind == "like":
            return _rename(ArrayLike, tree)(np.asarray(self._read(inside)))
        if kind == "object":
            return _rename(Opaque, tree)()
        if self.other is None:
            raise Broken(f"un {kind!r}")
        return self.other(self, tree)

    def _numbers(self, kind: str, tree: Mapping):
        tensor = self.tensors[tree["of"]]
        if kind == "complex tensor":
            return torch.view_as_complex(tensor)
        if kind == "tensor":
            return tensor.requires_grad_() if tree.get("grad") and tensor.dtype in _FLOATS else tensor
        array = tensor.numpy().copy()
        wanted = np.dtype(tree["dtype"])
        if wanted.kind in "fiub" and wanted != array.dtype:
            array = array.astype(wanted)
        return array[()] if kind == "scalar" else array


def _rename(base: type, tree: Mapping) -> type:
    """La clase, o una igual con el nombre que tenía al otro lado: los mensajes lo dicen."""
    name = tree.get("name")
    if not isinstance(name, str):
        return base
    shown = str(tree.get("shown", ""))[:400]
    return type(name.replace("\0", ""), (base,), {"shown": shown} if issubclass(base, Opaque) else {})


# ---------------------------------------------------------------- lo que se cambia en el sitio
def copy_into(original, changed) -> None:
    """Pone en un argumento lo que la respuesta le ha hecho al suyo, sin que deje de ser el mismo objeto."""
    if isinstance(original, torch.Tensor) and isinstance(changed, torch.Tensor):
        original.data = changed.detach()
        if original.is_leaf and original.is_floating_point():
            original.requires_grad_(changed.requires_grad)
    elif isinstance(original, np.ndarray) and isinstance(changed, np.ndarray):
        if original.shape == changed.shape:
            np.copyto(original, changed, casting="unsafe")
    elif isinstance(original, list) and isinstance(changed, list):
        original[:] = changed
    elif isinstance(original, dict) and isinstance(changed, dict):
        original.clear()
        original.update(changed)
    elif isinstance(original, tuple) and isinstance(changed, tuple):
        for before, after in zip(original, changed, strict=False):
            copy_into(before, after)
