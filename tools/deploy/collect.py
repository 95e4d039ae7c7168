"""Recoge el cuaderno de una sesión de cada cuenta del hub, en una carpeta con un nombre por estudiante.

    sudo python3 -m tools.deploy.collect 02 entregas                     las de The Littlest JupyterHub, jupyter-*
    sudo python3 -m tools.deploy.collect 02 entregas --prefix alumna-    otras cuentas

Hace falta ser root para leer las carpetas de todos, y justo por eso no se leen como root: cada archivo lo lee un
proceso con la identidad de su dueño. Un enlace de ana a la carpeta de beto da lo mismo que le daría a ana: nada.
Después, `python -m course_utils grade entregas`. Solo usa la biblioteca estándar.
"""

from __future__ import annotations

import argparse
import os
import pwd
import subprocess
import sys
from pathlib import Path

from course_utils._files import atomic_write

from .. import ROOT

LIMIT = 20_000_000  # bytes; el mayor del curso, ejecutado, no llega a dos millones
PATIENCE = 20  # segundos: una tubería en lugar de un archivo no acabaría nunca


def read_as(user: pwd.struct_passwd, path: Path) -> tuple[bytes, str]:
    """El contenido de un archivo, leído con los permisos de su dueño, y por qué no se ha podido («», si sí)."""
    order = ["head", f"--bytes={LIMIT + 1}", "--", str(path)]
    identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        done = subprocess.run(order, capture_output=True, timeout=PATIENCE, cwd="/", check=False, **identity)
    except subprocess.TimeoutExpired:
        return b"", "no es un archivo normal: no acaba de leerse"
    if done.returncode:
        return b"", "no está, o es un enlace a algo que no puede leer"
    if len(done.stdout) > LIMIT:
        return b"", f"ocupa más de {LIMIT // 1_000_000} MB"
    return done.stdout, ""


def collect(name: str, target: Path, users: list[pwd.struct_passwd], work: str = "curso") -> dict[str, str]:
    """Guarda en ``target/USUARIO/NOMBRE`` el cuaderno de cada uno; devuelve de quién no, y por qué."""
    problems = {}
    for user in users:
        content, problem = read_as(user, Path(user.pw_dir, work, name))
        if problem:
            problems[user.pw_name] = problem
            continue
        folder = target / user.pw_name
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / name, content)
    return problems


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools.deploy.collect", description=__doc__.partition("\n")[0])
    parser.add_argument("session", metavar="SESIÓN", help="02, A1…")
    parser.add_argument("target", metavar="CARPETA", type=Path, help="dónde se guardan")
    parser.add_argument("--prefix", default="jupyter-", help="por qué empiezan las cuentas (por defecto, jupyter-)")
    options = parser.parse_args(argv)
    names = [path.name for path in (ROOT / "notebooks").glob("[A0-9][0-9]_*.ipynb")]
    found = [name for name in names if name[:2] == options.session.upper().zfill(2)]
    if not found:
        parser.error(f"no hay ninguna sesión «{options.session}». Hay: {', '.join(sorted(n[:2] for n in names))}.")
    users = [user for user in pwd.getpwall() if user.pw_name.startswith(options.prefix) and user.pw_uid]
    if not users:
        parser.error(f"no hay cuentas que empiecen por «{options.prefix}». Di por qué empiezan con --prefix.")
    if os.geteuid():
        parser.error("hace falta ser root para leer las carpetas de todos: repite la orden con sudo.")
    problems = collect(found[0], options.target, users)
    print(f"{found[0]}: {len(users) - len(problems)} de {len(users)}, en {options.target}.")
    print(*(f"  {user}: {problem}" for user, problem in sorted(problems.items())), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
