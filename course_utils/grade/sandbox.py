"""Dónde se ejecuta una entrega: un sistema de archivos de solo lectura, sin red y en el que no hay nada de nadie.

Lo prepara bubblewrap (``bwrap``), el mismo programa que aísla las aplicaciones de Flatpak; los límites los pone el
sistema, y lo que queda, el filtro de ``seccomp``. Dentro se ve Python, sus bibliotecas y este paquete sin sus reglas;
no están la carpeta personal, ni el repositorio, ni las demás entregas, y no hay ningún sitio donde escribir.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import seccomp
from .inside import STATUS

_PACKAGE = Path(__file__).resolve().parents[1]
_COURSE, _EMPTY = "/curso", "/trabajo"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_SEEN = ("running.py", "errors.py", "values.py")  # de checks, lo que no dice ninguna respuesta
_STARTUP = 300  # segundos para cargar PyTorch en una máquina ocupada


@dataclass(frozen=True)
class Limits:
    """Lo que puede gastar un ejercicio: segundos de procesador, y memoria por encima de la de PyTorch.

    Los de reloj son para quien no gasta y tampoco acaba; con holgura, que la nota no dependa de lo ocupada que esté la
    máquina.
    """

    cpu: int = 30
    memory: int = 2**30

    @property
    def wall(self) -> float:
        return 5 * self.cpu + 30.0


@dataclass(frozen=True)
class Ending:
    """Cómo acabó el proceso de una respuesta: estado de ``wait``, KiB y segundos de procesador."""

    status: int
    kib: int
    seconds: float


@functools.cache
def why_not() -> str:
    """Por qué no se puede aislar aquí una entrega; vacío si se puede. Lo prueba."""
    if sys.platform != "linux":
        return "el aislamiento usa bubblewrap, que solo existe en Linux; en Windows, corrige dentro de WSL"
    if not seccomp.available():
        return f"no hay filtro de llamadas al sistema para el procesador {os.uname().machine}"
    if not shutil.which("bwrap"):
        return "falta bubblewrap: instálalo con «sudo apt install bubblewrap» o como se llame en tu sistema"
    probe = [*_bubblewrap(()), "/usr/bin/env", "true"]
    tried = subprocess.run(probe, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if tried.returncode:
        reason = (tried.stderr.strip().splitlines() or ["no dice por qué"])[-1][:200]
        return f"bubblewrap no arranca ({reason}): mira si tu sistema deja crear espacios de nombres de usuario"
    return ""


def _python() -> tuple[Path, list[Path]]:
    """El programa de Python y las carpetas que necesita, sin enlaces por medio."""
    prefixes = [Path(p).resolve() for p in dict.fromkeys((sys.prefix, sys.base_prefix))]
    program = prefixes[0] / Path(sys.executable).relative_to(Path(sys.prefix))
    found, place = [*prefixes], program
    while place.is_symlink():  # .venv/bin/python suele ser un enlace a otro, y ese a otro
        place = Path(os.path.normpath(place.parent / os.readlink(place)))
        found.append(place.parent)
    return program, [p for p in dict.fromkeys(found) if not p.is_relative_to("/usr")]


def _bubblewrap(extra: tuple[Path, ...]) -> list[str]:
    """La orden, hasta el programa. El orden importa: lo de después tapa lo de antes."""
    _, folders = _python()
    order = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--as-pid-1"]
    order += ["--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "curso", "--clearenv"]
    for path in _SYSTEM:
        order += ["--ro-bind-try", path, path]
    for folder in (*folders, *extra):
        order += ["--ro-bind", str(folder), str(folder)]
    if any(_PACKAGE.is_relative_to(folder) for folder in (*folders, *extra, Path("/usr"))):
        order += ["--tmpfs", str(_PACKAGE)]  # instalado junto a las bibliotecas: se tapa, que lleva las reglas
    rules = f"{_COURSE}/course_utils/checks"
    order += ["--ro-bind", str(_PACKAGE), f"{_COURSE}/course_utils", "--tmpfs", rules]
    for name in _SEEN:
        order += ["--ro-bind", str(_PACKAGE / "checks" / name), f"{rules}/{name}"]
    order += ["--ro-bind", str(_PACKAGE / "grade" / "stub_checks.py"), f"{rules}/__init__.py", "--remount-ro", rules]
    order += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--dir", "/tmp", "--dir", _EMPTY]  # noqa: S108
    order += ["--remount-ro", "/", "--chdir", _EMPTY]
    for name, value in _environment([_COURSE, *map(str, extra)], _EMPTY).items():
        order += ["--setenv", name, value]
    return order


def _environment(paths: list[str], home: str) -> dict[str, str]:
    """Las variables, todas: las de quien corrige pueden llevar claves."""
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "CURSO_PERFIL": "mini", "MPLBACKEND": "Agg"}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONUTF8"), "1")
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "TORCHINDUCTOR_CACHE_DIR": home,  # si no, torch haría otra carpeta al cargarse, y aquí no se puede
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **quiet,
        **one,
    }


class Sandbox:
    """Un proceso preparado para correr respuestas, una detrás de otra, cada una en su copia.

    Parameters
    ----------
    isolated : bool
        Con ``False`` no se usa bubblewrap: quedan los límites y, en Linux, el filtro.
    extra : tuple of Path
        Carpetas que también se ven, y de las que se puede importar. Solo para las pruebas.

    Raises
    ------
    ValueError
        Al pedir la primera copia, si el proceso no arranca.
    """

    def __init__(self, limits: Limits = Limits(), *, isolated: bool = True, extra: tuple[Path, ...] = ()):
        self.limits, self.isolated, self.extra = limits, isolated, extra
        self.process = self.control = self.folder = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Mata lo que quede."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.control.close()
        if self.folder is not None:
            self.folder.cleanup()
        self.process = self.control = self.folder = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        program = _python()[0] if self.isolated else sys.executable
        inside = ["-m", "course_utils.grade.inside", str(theirs.fileno())]
        order = [str(program), "-s", "-P", *inside, str(self.limits.memory), str(self.limits.cpu)]
        options = {"pass_fds": [theirs.fileno()], "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        if self.isolated:
            order = [*_bubblewrap(self.extra), *order]
        else:
            self.folder = tempfile.TemporaryDirectory(prefix="corregir-", ignore_cleanup_errors=True)
            paths = [str(_PACKAGE.parent), *map(str, self.extra)]
            options |= {"cwd": self.folder.name, "env": _environment(paths, self.folder.name)}
        self.process = subprocess.Popen(order, stderr=subprocess.DEVNULL, start_new_session=True, **options)
        theirs.close()
        ours.settimeout(_STARTUP)
        self.control = ours
        if ours.recv(16) != b"listo":
            self.close()
            raise ValueError("El proceso aislado no arranca. Mira «python -m course_utils doctor».")

    def fork(self) -> socket.socket:
        """El canal con una copia nueva."""
        if self.process is None or self.process.poll() is not None:
            self.close()
            self._start()
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self.control, [b"fork"], [theirs.fileno()])
        finally:
            theirs.close()
        return ours

    def end(self) -> Ending:
        """Mata la copia, si vive, y dice cómo acabó."""
        try:
            self.control.sendall(b"kill")
            parts = b""
            while len(parts) < STATUS.size:
                part = self.control.recv(STATUS.size - len(parts))
                if not part:
                    raise OSError("se ha cortado")
                parts += part
            return Ending(*STATUS.unpack(parts))
        except OSError:  # ha caído con ella: la próxima empieza de cero
            with contextlib.suppress(OSError):
                self.close()
            return Ending(9, 0, 0.0)
