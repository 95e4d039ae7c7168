"""El navegador con el que se hacen los PDF y se prueban las páginas: Chromium, Chrome o Edge, el que ya haya."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge")
FIXED = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
        r"%LocalAppData%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
    ),
}
MISSING = (
    "No encuentro Chromium, Chrome ni Edge.\n"
    "Cómo seguir: instala uno (en Debian y Ubuntu, «sudo apt install chromium»; en macOS, «brew install --cask\n"
    "google-chrome»; en Windows ya viene Edge) o di dónde está con la variable CHROME_PATH."
)
# Ni actualizaciones ni servicios de fondo: el navegador solo abre lo que se le pide, también sin red.
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
if hasattr(os, "geteuid") and os.geteuid() == 0:
    ARGUMENTS.append("--no-sandbox")  # Chromium no arranca de otro modo como administrador


def find_browser() -> str | None:
    """La ruta de un navegador de la familia de Chromium, o ``None``.

    Raises
    ------
    ValueError
        Si ``CHROME_PATH`` señala algo que no es un archivo.
    """
    chosen = os.environ.get("CHROME_PATH")
    if chosen:
        if not Path(chosen).is_file():
            raise ValueError(f"CHROME_PATH dice {chosen!r}, que no existe. Corrígela o quítala.")
        return chosen
    fixed = (os.path.expandvars(path) for path in FIXED.get(sys.platform, ()))
    return next((found for name in NAMES if (found := shutil.which(name))), None) or next(
        (path for path in fixed if Path(path).is_file()), None
    )
