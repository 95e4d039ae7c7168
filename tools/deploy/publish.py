"""Pone en una carpeta que lee toda la clase lo que necesita quien estudia: cuadernos, paquete, modelos y entorno.

    sudo python3 -m tools.deploy.publish /srv/curso          en la raíz de un clon; repetirlo lo pone al día
    sudo LLM=1 python3 -m tools.deploy.publish /srv/curso    también el LLM del perfil mediano, ya convertido

No van las soluciones, las fuentes (que las llevan dentro), las pruebas ni la guía. Cada archivo se cambia de una vez:
quien esté trabajando sigue con el que tenía abierto. PIP_ARGS lleva opciones para pip, como en `make lab`. Lo llaman la
imagen (Dockerfile) y la receta de The Littlest JupyterHub; solo usa la biblioteca estándar.
"""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
from pathlib import Path

from course_utils._files import atomic_write

from .. import ROOT

GIVEN = (
    "LICENSE",
    "README.md",
    "constraints.txt",
    "course_utils",
    "notebooks",
    "pyproject.toml",
    "tools/deploy/start.py",
    "tools/environment.py",
)
HIDDEN = ("notebooks/fuente", "notebooks/soluciones")
PREPARE_LLM = "from course_utils.models import checkpoint; checkpoint('decoder', 'mediano')"


def given_files(root: Path = ROOT) -> set[str]:
    """Lo que se publica, con rutas relativas a la raíz del clon."""
    found = set()
    for name in GIVEN:
        place = root / name
        paths = place.rglob("*") if place.is_dir() else [place]
        found |= {path.relative_to(root).as_posix() for path in paths if path.is_file()}
    return {name for name in found if "__pycache__" not in name and not name.startswith(tuple(f"{h}/" for h in HIDDEN))}


def check_target(target: Path, root: Path = ROOT) -> None:
    """Que la carpeta sirva.

    Raises
    ------
    ValueError
        Si está dentro del clon (se copiaría a sí misma) o tiene otras cosas, que se podrían borrar.
    """
    if target.is_relative_to(root) or root.is_relative_to(target):
        raise ValueError(f"«{target}» y el clon, «{root}», están uno dentro del otro. Elige otra carpeta: /srv/curso.")
    if target.exists() and not target.is_dir():
        raise ValueError(f"«{target}» no es una carpeta. Elige una nueva: /srv/curso.")
    if target.is_dir() and any(target.iterdir()) and not (target / "constraints.txt").is_file():
        raise ValueError(f"«{target}» no está vacía ni es un curso ya publicado. Elige una carpeta nueva: /srv/curso.")


def copy(target: Path, root: Path = ROOT) -> int:
    """Deja en la carpeta los archivos publicados, y solo ellos; dice cuántos han cambiado."""
    names, changed = given_files(root), 0
    for name in sorted(names):
        path = target / name
        if path.is_file() and filecmp.cmp(root / name, path, shallow=False):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, (root / name).read_bytes())
        path.chmod(0o644)
        changed += 1
    for folder in ("course_utils", "notebooks"):
        for path in (target / folder).rglob("*"):
            name = path.relative_to(target).as_posix()
            if path.is_file() and "__pycache__" not in name and name not in names:
                path.unlink()
                changed += 1
    return changed


def prepare(target: Path) -> int:
    """El entorno de la carpeta, con las versiones fijadas, y el LLM si se ha pedido; devuelve el código de salida."""
    env = os.environ | {"CURSO_EXTRAS": "hub", "PYTHONUTF8": "1"}
    orders = [[sys.executable, target / "tools" / "environment.py"]]
    python = target / ".venv" / "bin" / "python"
    orders.append([python, "-m", "compileall", "-q", target / "course_utils"])  # cada estudiante no podría guardarlo
    if os.environ.get("LLM") == "1":
        orders.append([python, "-c", PREPARE_LLM])
        env["CURSO_CACHE"] = str(target / "modelos")
    return next((code for order in orders if (code := subprocess.call(order, env=env, cwd=target))), 0)


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    target = Path(arguments[0]).resolve()
    os.umask(0o022)  # lo leen todos y solo lo escribe quien publica
    try:
        check_target(target)
        target.mkdir(parents=True, exist_ok=True)
        print(f"Archivos que han cambiado en {target}: {copy(target)}.", flush=True)
    except (ValueError, OSError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    return prepare(target)


if __name__ == "__main__":
    sys.exit(main())
