"""Prepara `.venv-colab`, un entorno con las versiones de Colab, para pasar en él las pruebas y los cuadernos.

    python -m tools.colab    (o `make colab`, que además los pasa)

Las versiones son las de constraints.txt, salvo las que diga tools/colab_versions.txt. De Colab se apartan dos cosas:
torch, que se queda en la de constraints.txt porque otra serían varios GB, y Python, que es el de quien llama.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from . import ROOT
from .environment import course
from .pins import parse_pins

VENV = ROOT / ".venv-colab"
OURS = {"torch"}  # lo que no se toma de Colab


def merged(root: Path = ROOT) -> str:
    """El texto de un archivo de restricciones: las versiones de Colab y, para lo demás, las nuestras."""
    ours, colab = (
        parse_pins((root / name).read_text(encoding="utf-8"))
        for name in ("constraints.txt", "tools/colab_versions.txt")
    )
    pins = ours | {name: pin for name, pin in colab.items() if name not in OURS}
    return "".join(f"{name}=={pin}\n" for name, pin in sorted(pins.items()))


def main() -> int:
    wanted, stamp = merged(), VENV / "versiones.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return 0
    print("Preparo .venv-colab con las versiones de Colab (unos minutos)…", flush=True)
    venv.create(VENV, clear=True, with_pip=True)
    python = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    constraints = VENV / "pedidas.txt"
    constraints.write_text(wanted, encoding="utf-8")
    pip = [python, "-m", "pip", "install", "-q", "-c", constraints]
    for arguments in (["setuptools"], ["--no-build-isolation", "-e", course()]):
        status = subprocess.run([*pip, *arguments], cwd=ROOT, check=False).returncode
        if status:
            print("✗ pip no pudo instalar esas versiones: arriba dice por qué. ¿Hay conexión?", file=sys.stderr)
            return status
    constraints.replace(stamp)  # lo último: una instalación a medias se rehace
    return 0


if __name__ == "__main__":
    sys.exit(main())
