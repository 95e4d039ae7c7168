"""Los archivos: saber si en una carpeta se puede escribir y escribir uno de una vez, nunca a medias."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
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


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Escribe un archivo entero o no lo toca: quien lo lea, o un corte a media escritura, nunca encuentra una mitad.

    El texto va en UTF-8 y con sus saltos de línea tal cual. Si el archivo ya existía, conserva sus permisos. La carpeta
    debe existir.

    Raises
    ------
    OSError
        Si no se puede escribir; el archivo de antes sigue como estaba.
    """
    path = Path(path).resolve()  # de un enlace se cambia el archivo al que apunta, no el enlace
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")  # de nadie más, aunque escriban varios
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
