"""La máquina en la que corren las pruebas: lo que hay en el repositorio y cómo darle a una orden sus propios discos."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from absent import missing

ROOT = Path(__file__).resolve().parents[2]


def tree():
    """Cada fichero del repositorio con su huella, salvo lo que Python y pytest guardan para ir más deprisa."""
    skipped = {".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis", ".benchmarks"}
    files = {}
    for parent, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in skipped]
        for name in [*folders, *names]:
            path = Path(parent, name)
            files[path] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return files


def namespace():
    """La orden que ejecuta otra con sus propios discos, o salta la prueba; en la integración continua, falla."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        probe = [*command, "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"]
        if shutil.which("unshare") and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return command
    return missing("hace falta poder montar discos en un espacio de nombres (unshare)")
