"""Pasa el curso a otro repositorio.

    python -m tools.fork DUEÑO/NOMBRE        # o bien: make fork REPO=DUEÑO/NOMBRE

El nombre del repositorio lo dice pyproject.toml. De ahí lo toman los programas que escriben las páginas, los enlaces al
laboratorio y los distintivos de Colab; aquí se cambia en las direcciones de todos los archivos que sigue git, fuentes y
generados a la vez, y así no hay que reconstruir nada. Repetir la orden no cambia nada, y con el nombre de antes todo
vuelve a quedar como estaba.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from . import links
from .links import ROOT

PROJECT = "pyproject.toml"  # se cambia el último: un corte se arregla repitiendo la orden


def fork(new: str, root: Path = ROOT) -> list[str]:
    """Cambia el repositorio y devuelve los archivos que han cambiado.

    Raises
    ------
    ValueError
        Si GitHub no admite ese nombre.
    """
    if not re.fullmatch(links.SLUG, new) or new.endswith((".git", "/.", "/..")):
        raise ValueError(
            f"«{new}» no es el nombre de un repositorio. Escribe dueño/nombre, como sale en su dirección de GitHub: "
            "letras sin tilde, cifras, puntos y guiones. Por ejemplo, ana-ruiz/curso-de-texto."
        )
    old = re.escape(links.repository_slug(root))
    # De GitHub, de Colab o de Binder; que «curso» no cambie «curso-2» ni «curso.old».
    end = r"(?=(?:\.git)?\.?(?![\w.-]))"
    address = re.compile(rf"(github\.com[/:]|/github/|/gh/){old}{end}".encode())
    old_site = re.compile((re.escape(links.site(root).rstrip("/")) + end).encode())  # el sitio, en GitHub Pages
    new_site = "https://{}.github.io/{}".format(*new.split("/")).encode()
    changed = []
    for path in sorted(links.tracked_files(root), key=lambda path: path == root / PROJECT):
        data = path.read_bytes()
        text = old_site.sub(new_site, address.sub(rb"\g<1>" + new.encode(), data))
        if text != data:
            path.write_bytes(text)
            changed.append(path.relative_to(root).as_posix())
    return changed


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    slug = " ".join(sys.argv[1:] if argv is None else argv)  # sin argparse: «-ana/curso» también es un nombre malo
    try:
        changed = fork(slug, root)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print("\n".join(changed))
    print(f"\n{len(changed)} archivos cambiados: el curso es ahora de {slug}.")
    print("Sigue así: mira «git diff», pasa «make test» y súbelo. Quienes firman el curso están en CITATION.cff.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
