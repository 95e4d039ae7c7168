"""Los archivos: saber si en una carpeta se puede escribir, escribir uno de una vez y trabajar de uno en uno."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def writable(folder: str | Path) -> int:
    """Bytes libres de una carpeta en la que se puede escribir: lo comprueba escribiendo, y no deja nada.

    Los permisos no bastan para saberlo: un disco puede estar lleno, ser de solo lectura o tener cuota. El archivo de
    prueba no tiene nombre, o es uno que nadie más usa: varios procesos pueden mirar a la vez.

    Raises
    ------
    OSError
        Si no existe o no se puede escribir en ella.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x" * 4096)
        file.flush()
    return shutil.disk_usage(folder).free


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Una ruta provisional en la que escribir un archivo; si no hay ningún fallo, al salir ocupa el sitio de ``path``.

    Quien lea el archivo nunca encuentra una mitad, ni aunque se corte la escritura. Si el archivo ya existía, conserva
    sus permisos. La carpeta debe existir.

    Raises
    ------
    OSError
        Si no se puede escribir; el archivo de antes sigue como estaba.
    """
    path = Path(path).resolve()  # de un enlace se cambia el archivo al que apunta, no el enlace
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")  # de nadie más, aunque escriban varios
    try:
        yield temporary
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Escribe un archivo entero o no lo toca, como ``atomic``. El texto va en UTF-8 y con sus saltos de línea tal cual.

    Raises
    ------
    OSError
        Si no se puede escribir; el archivo de antes sigue como estaba.
    """
    with atomic(path) as temporary, temporary.open("xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


_BUSY = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}  # lo tiene otro; lo demás: aquí no hay candados


@contextlib.contextmanager
def exclusive(path: str | Path, waiting: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Un solo proceso a la vez: si otro tiene el candado, llama a ``waiting`` una vez y espera a que lo suelte.

    El sistema lo suelta aunque el proceso muera. Da ``True`` con el candado puesto y ``False`` en un disco que no sabe
    de candados (algunos de red): allí, quien lo use tiene que dejarlo todo bien aunque trabajen dos a la vez.

    Raises
    ------
    OSError
        Si el archivo del candado no se puede crear.
    """
    with Path(path).open("a") as file:
        first = True
        while (state := _try_lock(file)) is None:
            if first:
                waiting()
            first = False
            time.sleep(0.2)
        yield state


def _try_lock(file) -> bool | None:
    """``True`` si el candado es nuestro, ``None`` si lo tiene otro y ``False`` si en este disco no los hay."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _BUSY else False
    return True


def sha256(file: Path) -> str:
    """SHA-256 de un fichero, en hexadecimal."""
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(value) -> str:
    """Una huella corta de lo que cabe en JSON, la misma en cualquier orden de las claves: 16 cifras hexadecimales."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
