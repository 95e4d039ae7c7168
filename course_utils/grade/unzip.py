"""Abrir un zip ajeno sin fiarse: nada sale de la carpeta, nada se enlaza y nada ocupa más de lo que se permite."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

MAX_FILES, MAX_TOTAL, MAX_RATIO = 5000, 500 * 2**20, 200
_SKIPPED = re.compile(r"(^|/)(__MACOSX|\.ipynb_checkpoints|\.git)(/|$)")


class Refused(ValueError):
    """Un zip que no se abre; el mensaje dice por qué."""


def members(source, biggest: int) -> Iterator[tuple[PurePosixPath, bytes | None, str]]:
    """Lo que hay en un zip: (ruta, contenido, aviso). El contenido es ``None`` si no se lee, y el aviso dice por qué.

    De lo que no se puede seguir, la ruta es la vacía. Nunca escribe en el disco. ``biggest`` es el tope de cada
    archivo, contado al descomprimir y no según el índice.

    Raises
    ------
    Refused
        Si no es un zip, está cifrado entero o tiene demasiado.
    """
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Refused("no es un zip o está cortado") from error
    with archive:
        entries = archive.infolist()
        if len(entries) > MAX_FILES:
            raise Refused(f"tiene {len(entries)} archivos; el tope son {MAX_FILES}")
        total = 0
        for entry in entries:
            if entry.is_dir() or _SKIPPED.search(entry.filename):
                continue
            path = _path(entry)
            if path is None:
                yield PurePosixPath(), None, "lleva dentro una ruta que sale de la carpeta"
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                yield path, None, "lleva dentro un enlace"
                continue
            if path.suffix.lower() not in (".ipynb", ".zip"):
                continue
            content, why = _content(archive, entry, min(biggest, MAX_TOTAL - total))
            total += len(content or b"")
            yield path, content, why


def _path(entry: zipfile.ZipInfo) -> PurePosixPath | None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or re.match(r"^[A-Za-z]:", entry.filename)
    return None if outside or "\0" in entry.filename else path


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, biggest: int) -> tuple[bytes | None, str]:
    if entry.flag_bits & 1:
        return None, "está cifrado"
    if entry.file_size > MAX_RATIO * max(entry.compress_size, 1024):
        return None, "se hincha demasiado al descomprimirse"
    try:
        with archive.open(entry) as file:
            content = file.read(biggest + 1)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error):
        return None, "está estropeado dentro del zip"
    if len(content) > biggest:
        return None, "ocupa demasiado"
    return content, ""
