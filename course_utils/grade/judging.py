"""Quien juzga: aplica las reglas de siempre, en su proceso, a una función que se llama en otro.

Las reglas son las de ``check``, sin cambiar ninguna; lo que cambia es la ``Answer`` que reciben. Sus argumentos viajan
como datos, y los modelos, como su configuración y sus pesos; lo que la regla cuenta o pregunta mientras tanto (cuántas
veces se llama al modelo, qué probabilidad tiene una palabra) se cuenta y se contesta aquí.
"""

from __future__ import annotations

import builtins
import os
import signal
import time
from dataclasses import dataclass, field

import torch

from .. import checks
from ..checks.running import Answer, Endless, Refused, Stopped
from ..checks.values import Diagnosis
from . import wire
from .sandbox import Ending, Sandbox

MAX_ASKED = 100_000  # preguntas en un ejercicio
_CELLS = ("input_size", "hidden_size", "num_layers", "batch_first", "bidirectional", "bias")


class Lost(BaseException):
    """La respuesta ya no contesta. No es un ``Exception``: las reglas no tienen que verlo."""

    late = False


@dataclass(frozen=True)
class Verdict:
    """Lo que sale de un ejercicio.

    Parameters
    ----------
    points : int
        2 si cumple todas las reglas; 1 si cumple la mitad o más; 0 si no.
    kind : str
        «resuelto», «a medias», «sin resolver», «pendiente», «falta» o «cortado».
    passed, rules : int
        Cuántas reglas cumple, hasta la primera que no, y cuántas hay.
    asked, received, hint : str
        De la primera que no se cumple: qué pide, qué se ha recibido y su primera pista.
    problems : tuple[str, ...]
        Lo que ha fallado al ejecutar sus celdas.
    """

    points: int
    kind: str
    passed: int = 0
    rules: int = 0
    asked: str = ""
    received: str = ""
    hint: str = ""
    problems: tuple[str, ...] = field(default=())


class _Until:
    """Un canal con un plazo para todo lo que pase por él."""

    def __init__(self, channel, seconds: float):
        self.channel, self.deadline = channel, time.monotonic() + seconds

    def _left(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.channel.settimeout(left)

    def sendall(self, data: bytes) -> None:
        self._left()
        self.channel.sendall(data)

    def recv(self, size: int) -> bytes:
        self._left()
        return self.channel.recv(size)


class Remote(Answer):
    """Una respuesta que está en otro proceso: se llama igual que las demás.

    Raises
    ------
    Stopped, Lost
        Al llamarla, si no llega a contestar: porque falla, o porque ya no hay con quien hablar.
    """

    def __init__(self, channel, told: dict, tensors: dict):
        self.channel = channel
        self.problems = tuple(str(x)[:300] for x in told.get("problems", ()))[:20]
        self._untouched = told.get("untouched") is True
        self.function = self if told.get("callable") is True else wire.Reader(tensors).read(told.get("value"))
        self.names, self.asked = None, 0

    @property
    def untouched(self) -> bool:
        return self._untouched

    def __call__(self, *arguments):
        handles: list = []
        writer = wire.Writer(lambda w, value: _handle(w, value, handles))
        order = {"do": "call", "arguments": [writer.write(value) for value in arguments]}
        try:
            wire.send(self.channel, (order, writer.tensors))
            while True:
                told, tensors = wire.receive(self.channel)
                if told["do"] != "ask":
                    break
                self._reply(told, tensors, handles)
            if told["do"] == "stopped":
                raise _stop(told)
            reader = wire.Reader(tensors)
            for place, tree in told["changed"]:
                wire.copy_into(arguments[int(place)], reader.read(tree))
            result = reader.read(told["value"])
        except Stopped:
            raise
        except Exception as error:  # no llega, o no habla como debe: algo ha tocado lo que no es suyo
            lost = Lost(f"{type(error).__name__}: {error}")
            lost.late = isinstance(error, TimeoutError)
            raise lost from error
        if result is None:
            raise Lost("un resultado imposible")
        return result

    def _reply(self, told: dict, tensors: dict, handles: list) -> None:
        """Contesta a la respuesta, que pregunta algo a una función o dice que usa un modelo."""
        self.asked += 1
        if self.asked > MAX_ASKED:
            raise wire.Broken("demasiadas preguntas")
        target = handles[int(told["handle"])]
        arguments = [wire.Reader(tensors).read(tree) for tree in told["arguments"]]
        writer = wire.Writer()
        try:
            value = _used(target, arguments) if isinstance(target, torch.nn.Module) else target(*arguments)
            reply = {"do": "value", "value": writer.write(value)}
        except Refused as error:
            received, hints = error.diagnosis
            reply = {"do": "refused", "text": received, "hints": list(hints)}
        except Endless as error:
            reply = {"do": "endless", "text": str(error)}
        except Exception as error:  # la ha llamado con lo que no es
            reply = {"do": "error", "error": type(error).__name__, "text": str(error)[:300]}
        wire.send(self.channel, (reply, writer.tensors))


def _used(model, arguments) -> None:
    """La respuesta pasa por el modelo: aquí se hace lo mismo, para que la regla lo cuente."""
    shape = [max(1, min(int(n), 4096)) for n in arguments[0]][-2:]
    model.get_input_embeddings()(torch.zeros([1] * (len(shape) - 1) + shape[-1:], dtype=torch.long))


def _handle(writer, value, handles: list):
    """Un modelo o una función de la regla: viaja su descripción, y se guarda aquí."""
    if not isinstance(value, torch.nn.Module) and not callable(value):
        return None
    handles.append(value)
    told = {"handle": len(handles) - 1}
    if not isinstance(value, torch.nn.Module):
        return told | {"is": "function", "name": getattr(value, "__name__", "función")}
    if hasattr(value, "config"):
        told |= {"kind": type(value).__name__, "config": value.config.to_dict()}
    else:
        told |= {"kind": type(value).__name__, "options": {name: getattr(value, name) for name in _CELLS}}
    state = [[name, writer.write(tensor)] for name, tensor in value.state_dict().items()]
    grad = any(p.requires_grad for p in value.parameters())
    return told | {"is": "model", "state": state, "grad": grad, "training": value.training}


def _stop(told: dict) -> Stopped:
    """Lo que ha parado a la respuesta, contado por ella: con eso nunca se cumple una regla."""
    hints = tuple(str(hint)[:1000] for hint in told["hints"][:3]) or (_NO_HINT,)
    error = None
    for name in told["error"][:20]:
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            error = kind.__new__(kind)
            break
    return Stopped(Diagnosis(str(told["received"])[:1000], hints), error)


_LATE, _SILENT = "no ha acabado a tiempo", "ha dejado de contestar"
_ENDLESS = "Busca un bucle que no termine: prueba tu función con un ejemplo pequeño e imprime en cada vuelta."
_GONE = "Tu función tiene que acabar con return: quita lo que cierre Python, como exit(), y lo que lea o escriba fuera."
_NO_HINT = "Prueba tu función en otra celda con un ejemplo pequeño."


# ---------------------------------------------------------------- un ejercicio
def judge(sandbox: Sandbox, exercise: str, cells: list[dict], function: str) -> Verdict:
    """Ejecuta las celdas en una copia nueva y aplica las reglas del ejercicio a su función.

    Parameters
    ----------
    cells : list of dict
        Lo que se ejecuta, en orden: ``name``, ``source`` y ``keep``, los puestos de sus sentencias.
    function : str
        Con qué nombre queda la respuesta.
    """
    outcomes, remote, reason = run_rules(sandbox, exercise, cells, function)
    count = len(checks.EXERCISES[exercise])
    problems = remote.problems if remote is not None else ()
    if reason:
        hint = _ENDLESS if reason == _LATE or reason.startswith("gastó") else _GONE
        return Verdict(0, "cortado", 0, count, received=reason, hint=hint, problems=problems)
    if outcomes is None:
        return Verdict(0, "pendiente", 0, count, problems=problems)
    passed = sum(outcome.received is None for outcome in outcomes)
    if passed == count:
        return Verdict(2, "resuelto", passed, count, problems=problems)
    last = outcomes[-1]
    half = 2 * passed >= count
    told = {"asked": last.rule.description, "received": last.received, "hint": last.hints[0]}
    return Verdict(int(half), "a medias" if half else "sin resolver", passed, count, **told, problems=problems)


def ask(channel, exercise: str, cells: list[dict], function: str) -> Remote:
    """La respuesta que queda al ejecutar esas celdas al otro lado de un canal."""
    order = {"do": "run", "cells": cells, "function": function, "forbidden": checks.FORBIDDEN.get(exercise, {})}
    wire.send(channel, (order, {}))
    return Remote(channel, *wire.receive(channel))


def run_rules(sandbox: Sandbox, exercise: str, cells: list[dict], function: str):
    """Los resultados de las reglas, la respuesta y, si se ha cortado, por qué."""
    channel, remote = sandbox.fork(), None
    outcomes, lost = None, ""
    until = _Until(channel, sandbox.limits.wall)
    try:
        remote = ask(until, exercise, cells, function)
        outcomes = checks.review(exercise, remote)
    except Lost as error:
        lost = _LATE if error.late else _SILENT
    except TimeoutError:
        lost = _LATE
    except (wire.Broken, AttributeError, KeyError, TypeError, ValueError):
        lost = _SILENT
    finally:
        channel.close()
        ending = sandbox.end()
    return outcomes, remote, lost and _why(lost, ending, sandbox.limits.cpu)


def _why(lost: str, ending: Ending, cpu: int) -> str:
    """Por qué se cortó, con lo que dice el sistema."""
    killed = os.WTERMSIG(ending.status) if os.WIFSIGNALED(ending.status) else 0
    if killed == signal.SIGXCPU or ending.seconds >= 0.8 * cpu:
        return f"gastó sus {cpu} segundos de procesador y no había acabado"
    if lost == _SILENT and os.WIFEXITED(ending.status):
        return f"el proceso se cerró a sí mismo, con el código {os.WEXITSTATUS(ending.status)}"
    return lost
