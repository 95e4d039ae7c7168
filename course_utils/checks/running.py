"""Ejecutar la respuesta de un estudiante: sus errores son suyos, sus bucles acaban y lo que toca queda como estaba."""

from __future__ import annotations

import dis
import functools
import inspect
import random
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np
import torch

from .errors import describe, explain, place
from .values import Diagnosis, show

MAX_LINES = 100_000  # líneas de la respuesta en una llamada; ninguna buena llega a la décima parte
ENDLESS_HINTS = (
    "Mira qué cambia en cada vuelta del bucle, y si la condición de salida llega a cumplirse.",
    "Algo tiene que avanzar en todas las vueltas, también dentro de un if o un else.",
    "Escribe el avance al final del bucle, o recorre un range, que siempre acaba.",
)
NOTHING_HINTS = ("Tu función no devuelve nada: la última línea tiene que ser un return.",)


class Refused(Exception):
    """La respuesta usa algo que el enunciado no permite; ``diagnosis`` dice qué."""

    def __init__(self, received: str, *hints: str):
        super().__init__(received)
        self.diagnosis = Diagnosis(received, hints)


class Endless(BaseException):
    """Un bucle que no termina. No es un ``Exception`` para que un ``except Exception`` del estudiante no lo calle."""


class Stopped(Exception):
    """La respuesta no ha llegado a contestar: ``diagnosis`` dice por qué y ``error`` es la causa, si la hay."""

    def __init__(self, diagnosis: Diagnosis, error: BaseException | None = None):
        super().__init__(diagnosis.received)
        self.diagnosis, self.error = diagnosis, error


class Answer:
    """La función de un estudiante: se llama igual, y todo lo que falla dentro sale como ``Stopped``.

    Así un error en una regla, que es nuestro, no se confunde con uno suyo.

    Parameters
    ----------
    function : Callable
        La respuesta.
    forbidden : Mapping[str, str]
        Funciones que el enunciado pide no usar: de su nombre completo, con el módulo, al que conoce el estudiante.

    Raises
    ------
    Stopped
        Al llamarla, si no llega a contestar.
    """

    def __init__(self, function: Callable, forbidden: Mapping[str, str] = MappingProxyType({})):
        self.function, self.forbidden = function, forbidden
        self.names = _global_names(function)

    def __call__(self, *arguments):
        call = _shown_call(arguments)
        try:
            with watched(self.names, self.forbidden):
                result = self.function(*arguments)
        except Endless as error:
            raise Stopped(Diagnosis(f"{place(error, self.names)}{error}", ENDLESS_HINTS), error) from error
        except Refused as error:
            raise Stopped(error.diagnosis, error) from error
        except (Exception, SystemExit) as error:  # el código es del estudiante: cualquier error se comenta
            text = f"un error al ejecutar tu código{call}, {describe(error, self.names)}"
            raise Stopped(Diagnosis(text, (explain(error),)), error) from error
        if result is None:
            raise Stopped(Diagnosis(f"None{call} (¿falta el return?)", NOTHING_HINTS))
        return result

    @property
    def untouched(self) -> bool:
        """Si es un valor ``...`` o ``None``, o una función cuyo cuerpo es solo ``...``."""
        answer = self.function
        try:
            answer = inspect.unwrap(answer) if callable(answer) else answer  # @torch.no_grad() lo envuelve
        except Exception:  # un objeto tan raro que ni eso admite: no es el hueco
            return False
        if not isinstance(answer, types.FunctionType):
            return answer is None or answer is ...
        empty = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
        steps = list(dis.get_instructions(answer))
        return all(i.opname in empty and (i.argval in (None, ...) or "CONST" not in i.opname) for i in steps)


def _global_names(function) -> dict | None:
    """Los nombres globales del módulo o cuaderno donde se escribió; ``None`` si no es código de Python."""
    try:
        plain = inspect.unwrap(function)  # @torch.no_grad() lo envuelve
        while isinstance(plain, functools.partial):
            plain = plain.func
        plain = getattr(plain, "__func__", plain)
        return getattr(plain if hasattr(plain, "__globals__") else type(plain).__call__, "__globals__", None)
    except Exception:  # un objeto tan raro que no se deja mirar
        return None


def _shown_call(arguments) -> str:
    """« con (3, 'a')» si los argumentos son valores que caben en una línea."""
    if not all(isinstance(x, int | float | str | list) for x in arguments):
        return ""
    text = f" con ({', '.join(map(show, arguments))})"
    return text if len(text) <= 80 else ""


@contextmanager
def watched(names: dict | None, forbidden: Mapping[str, str]) -> Iterator[None]:
    """Cuenta las líneas que ejecuta el código de ``names``, y no deja llamar a ``forbidden``.

    Cuenta líneas y no segundos, así que da lo mismo en cualquier máquina y vale en todos los sistemas y en cualquier
    hilo. Lo de PyTorch va a su velocidad: solo se siguen las funciones de la respuesta. Con un depurador puesto no hace
    nada, porque quitaría el suyo; y un ``except:`` sin tipo dentro del bucle puede callarlo.

    Raises
    ------
    Endless
        A las ``MAX_LINES`` líneas.
    Refused
        Si se llama a una de ``forbidden``.
    """
    if sys.gettrace() is not None:
        yield
        return
    short, left = {name.rpartition(".")[2] for name in forbidden}, MAX_LINES

    def on_line(frame, event, arg):
        nonlocal left
        left -= event == "line"
        if left < 0:
            raise Endless(f"un bucle que no termina: van {MAX_LINES} líneas ejecutadas")
        return on_line

    def refuse(function):
        name = forbidden.get(function)
        if name is not None:
            raise Refused(f"una llamada a {name}", f"El enunciado pide que lo escribas tú, sin {name}.")

    def on_call(frame, event, arg):
        if frame.f_code.co_name in short:
            refuse(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}")
        return on_line if frame.f_globals is names else None

    def on_call_to_c(frame, event, function):
        if event == "c_call" and function.__name__ in short:
            refuse(f"{function.__module__}.{function.__name__}")

    profiler = sys.getprofile()
    sys.settrace(on_call)
    if short and profiler is None:  # las que no son de Python, solo así se ven
        sys.setprofile(on_call_to_c)
    try:
        yield
    finally:
        sys.settrace(None)
        sys.setprofile(profiler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Deja como estaban el azar, la precisión por defecto y los gradientes, y mientras tanto los fija.

    Así ni una respuesta descuidada cambia el cuaderno, ni lo que haya en el cuaderno cambia la comprobación.
    """
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])  # noqa: NPY002
