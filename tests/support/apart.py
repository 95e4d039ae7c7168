"""Paquetes que piden unas pruebas, con sus versiones, en una carpeta: el entorno del curso se queda como estaba."""

import subprocess
import sys
from pathlib import Path

from absent import missing

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def install(folder: Path, versions: str, what: str) -> Path:
    """Instala en ``folder`` lo que dice ``tools/{versions}``."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder]
    done = subprocess.run([*pip, "-r", TOOLS / versions], capture_output=True, check=False)
    return folder if done.returncode == 0 else missing(f"hace falta red para instalar {what}")
