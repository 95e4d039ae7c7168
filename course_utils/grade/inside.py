"""El proceso de dentro: ejecuta lo que hace falta de una entrega y llama a su función cuando quien juzga lo pide.

Arranca una vez, carga PyTorch y espera. Por cada ejercicio se copia (``fork``), y la copia, antes de leer nada de la
entrega, se pone los límites y el filtro del núcleo. Aquí no hay reglas ni nada que esperar de una respuesta: lo que
se consigue estropeando este proceso es contestar otra cosa, que ya se podía.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
import os
import signal
import socket
import struct
import sys
import tempfile
import types

if __name__ == "__main__":  # dentro no se puede escribir en ningún sitio, y dill, al cargarse, pide uno
    tempfile.tempdir = "/"
from . import seccomp, wire

STATUS = struct.Struct("<iQd")  # cómo acabó, memoria (KiB) y segundos de procesador


# ---------------------------------------------------------------- quien espera
def main(arguments: list[str]) -> None:
    """Atiende a quien juzga hasta que cierra: «fork» con un canal, y después «kill»."""
    control = socket.socket(fileno=int(arguments[0]))
    memory, seconds = int(arguments[1]), int(arguments[2])
    for descriptor in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    _load()
    with contextlib.suppress(OSError):  # fuera de Linux
        seccomp.hide_memory()
    control.sendall(b"listo")
    child = 0
    while True:
        order, channels, *_ = socket.recv_fds(control, 16, 1)
        if order == b"fork":
            child = os.fork()
            if child == 0:
                control.close()
                _answer(channels[0], memory, seconds)
                os._exit(0)
            os.close(channels[0])
        elif order == b"kill":
            os.kill(child, signal.SIGKILL)
            _, status, used = os.wait4(child, 0)
            control.sendall(STATUS.pack(status, used.ru_maxrss, used.ru_utime + used.ru_stime))
        else:
            return


def _load() -> None:
    """Lo que casi todas las respuestas usan, para que las copias no tengan que cargarlo."""
    import numpy
    import torch
    import transformers

    from ..checks import running

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for name in ("GPT2LMHeadModel", "BertForMaskedLM", "DynamicCache", "AutoTokenizer", "AutoModelForCausalLM"):
        getattr(transformers, name)
    del numpy, running


def _limits(memory: int, seconds: int) -> None:
    import resource

    pages = 0
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        pages = int(file.read().split()[0]) * resource.getpagesize()
    bounds = {"RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 64, "RLIMIT_NPROC": 0}
    if pages:
        bounds["RLIMIT_AS"] = pages + memory
    for name, value in bounds.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            hard = value + (name == "RLIMIT_CPU")  # primero avisa con una señal; un segundo después, mata
            resource.setrlimit(getattr(resource, name), (value, hard))


# ---------------------------------------------------------------- la copia
def _answer(descriptor: int, memory: int, seconds: int) -> None:
    """Una respuesta, de principio a fin."""
    _limits(memory, seconds)
    if seccomp.available():
        seccomp.install()
    channel = socket.socket(fileno=descriptor)
    student = Student(channel)
    while True:
        student.attend(*wire.receive(channel))


class Student:
    """Lo que se ha ejecutado de una entrega, y su función.

    Lo que se le pasa y está en el otro proceso lanza lo que allí se lance (Raises): es parte de la respuesta.
    """

    def __init__(self, channel):
        from ..checks import running

        self.channel, self.running = channel, running
        self.answer, self.calm = None, contextlib.ExitStack()

    def attend(self, order: dict, tensors: dict) -> None:
        if order["do"] == "run":
            self.run(order)
        elif order["do"] == "call":
            self.call(order, tensors)

    # ------------------------------------------------------------ ejecutar
    def run(self, order: dict) -> None:
        """Ejecuta las sentencias pedidas y dice qué ha quedado con el nombre de la función."""
        self.calm.close()
        names, problems = _notebook(), []
        for cell in order["cells"]:
            problems += _execute(cell, names)
        found = names.get(order["function"], ...)
        self.answer = self.running.Answer(found, order["forbidden"])
        writer = wire.Writer()
        told = {"problems": problems, "untouched": self.answer.untouched, "callable": callable(found)}
        told["value"] = None if told["callable"] else writer.write(found)
        self.calm.enter_context(self.running.undisturbed())
        wire.send(self.channel, (told, writer.tensors))

    # ------------------------------------------------------------ llamar
    def call(self, order: dict, tensors: dict) -> None:
        """Llama a la función y manda lo que devuelve, y lo que ha cambiado de lo que recibió."""
        arguments = [wire.Reader(tensors, self._rebuild).read(tree) for tree in order["arguments"]]
        before = [_frozen(value) for value in arguments]
        try:
            result = self.answer(*arguments)
        except self.running.Stopped as stop:
            wire.send(self.channel, (_stopped(stop), {}))
            return
        try:
            writer = wire.Writer()
            told = {"do": "result", "value": writer.write(result), "changed": []}
            for place, (value, was) in enumerate(zip(arguments, before, strict=True)):
                if was is not None and _frozen(value) != was:
                    told["changed"].append([place, writer.write(value)])
            wire.send(self.channel, (told, writer.tensors))
        except wire.TooBig as error:
            text = f"algo demasiado grande para comprobarlo ({error})"
            wire.send(self.channel, ({"do": "stopped", "received": text, "hints": [], "error": []}, {}))

    def _rebuild(self, reader, tree: dict):
        """Los modelos y las funciones que la regla pasa a la respuesta."""
        if tree["is"] == "function":
            return self._remote(tree["handle"], tree["name"])
        model = _model(reader, tree)
        if hasattr(model, "get_input_embeddings"):
            told = self._remote(tree["handle"], "forward")

            def count(_, given):
                told(list(given[0].shape))

            model.get_input_embeddings().register_forward_pre_hook(count)
        return model

    def _remote(self, handle: int, name: str):
        """Una función que está en el proceso de quien juzga."""
        channel, running = self.channel, self.running

        def remote(*arguments):
            writer = wire.Writer()
            asked = {"do": "ask", "handle": handle, "arguments": [writer.write(x) for x in arguments]}
            wire.send(channel, (asked, writer.tensors))
            told, tensors = wire.receive(channel)
            if told["do"] == "value":
                return wire.Reader(tensors).read(told["value"])
            if told["do"] == "refused":
                raise running.Refused(told["text"], *told["hints"])
            if told["do"] == "endless":
                raise running.Endless(told["text"])
            raise _exception(told["error"])(told["text"])

        remote.__name__ = remote.__qualname__ = name
        return remote


def _notebook() -> dict:
    """Los nombres de un cuaderno recién abierto."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    module.display = lambda *_, **__: None
    module.get_ipython = lambda: None
    return module.__dict__


def _execute(cell: dict, names: dict) -> list[str]:
    """Ejecuta unas sentencias de una celda; lo que falla se cuenta y se sigue."""
    name, source = cell["name"], cell["source"]
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    body, problems = ast.parse(source).body, []
    for place in cell["keep"]:
        try:
            exec(compile(ast.Module([body[place]], []), name, "exec"), names)  # noqa: S102 (para eso está la caja)
        except BaseException as error:
            problems.append(f"{type(error).__name__}: {str(error)[:200]}")
    return problems


def _frozen(value):
    """Cómo está un argumento, para saber si cambia; ``None`` si no es un dato."""
    refused = []
    writer = wire.Writer(lambda _, other: refused.append(other))
    try:
        tree = writer.write(value)
    except ValueError:
        return "enorme"
    if refused:
        return None
    return repr(tree), wire.pack(writer.tensors)


def _model(reader, tree: dict):
    """El mismo modelo, con los mismos pesos."""
    import torch
    import transformers

    state = {name: reader.read(value) for name, value in tree["state"]}
    with torch.random.fork_rng(devices=[]):
        if "config" in tree:
            kind = getattr(transformers, tree["kind"])
            model = kind(kind.config_class.from_dict(tree["config"]))
        else:
            model = getattr(torch.nn, tree["kind"])(**tree["options"])
    model.load_state_dict(state)
    model.requires_grad_(tree["grad"])
    return model.train(tree["training"])


def _stopped(stop) -> dict:
    kinds = [kind.__name__ for kind in type(stop.error).__mro__] if stop.error is not None else []
    received, hints = stop.diagnosis
    return {"do": "stopped", "received": received, "hints": list(hints), "error": kinds}


def _exception(name: str) -> type[BaseException]:
    import builtins

    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else RuntimeError


if __name__ == "__main__":
    main(sys.argv[1:])
