"""Pasa el curso a otro repositorio: cambia de una vez los distintivos de Colab, la celda que lo instala y sus enlaces.

    python -m tools.fork DUEÑO/NOMBRE        # o bien: make fork REPO=DUEÑO/NOMBRE

Cambia las direcciones del repositorio en todos los archivos de texto que sigue git, fuentes y generados a la vez, y
así no hay que reconstruir nada. Repetir la orden no cambia nada, y con el nombre de antes todo vuelve a quedar como
estaba. Solo pide Python 3.8 y su biblioteca estándar.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from . import links
from .links import ROOT

PROJECT = "pyproject.toml"  # dice cuál es el repositorio: se cambia el último, y así un corte se arregla repitiendo


def check_slug(slug: str, root: Path) -> str:
    """Comprueba un «dueño/nombre» de GitHub.

    Raises
    ------
    ValueError
        Si GitHub no lo admite o es el de un proyecto que el curso enlaza (no se podría deshacer).
    """
    name = slug.partition("/")[2]
    if not re.fullmatch(links.SLUG, slug) or len(slug) - len(name) > 40 or name in (".", "..") or name.endswith(".git"):
        raise ValueError(
            f"«{slug}» no es el nombre de un repositorio. Escribe dueño/nombre, como sale en su dirección de GitHub: "
            "letras sin tilde, cifras, puntos y guiones. Por ejemplo, ana-ruiz/curso-de-texto."
        )
    data = root / links.DATA
    if data.is_file() and address(slug).search(data.read_bytes()):
        raise ValueError(f"{slug} es un proyecto que el curso enlaza ({links.DATA}): no puede ser el del curso.")
    return slug


def address(slug: str) -> re.Pattern:
    """El nombre de un repositorio dentro de una dirección: de GitHub, de Colab, de Binder o de nbviewer."""
    name = re.escape(slug.encode())
    before = (rb"github\.com/", rb"github\.com:", rb"githubusercontent\.com/", rb"/github/", rb"/gh/")
    after = rb"(?=\.git\b|\.?(?![\w.-]))"
    # El nombre delante y lo que lo precede después: así se busca deprisa en los cuadernos, que llevan imágenes.
    return re.compile(name + rb"(?:" + rb"|".join(rb"(?<=" + text + name + rb")" for text in before) + rb")" + after)


def rewrite(data: bytes, old: str, new: str) -> bytes:
    """El contenido de un archivo con el repositorio cambiado; si es binario, igual."""
    if b"\0" in data:
        return data
    data = address(old).sub(new.encode(), data)
    # Tras clonar se entra en la carpeta, que se llama como el repositorio.
    folder, renamed = (slug.rpartition("/")[2].encode() for slug in (old, new))
    clone = rb"(git clone [^\n]*" + re.escape(new.encode()) + rb"(?:\.git)?[ \t]*\r?\n[ \t]*cd )" + re.escape(folder)
    return re.sub(clone + rb"(?![\w.-])", lambda match: match[1] + renamed, data)


def fork(new: str, root: Path = ROOT) -> list[str]:
    """Cambia el repositorio y devuelve los archivos que han cambiado."""
    old = links.repository_slug(root)
    check_slug(new, root)
    changed = []
    for path in sorted(links.tracked_files(root), key=lambda path: path == root / PROJECT):
        data = path.read_bytes()
        text = rewrite(data, old, new)
        if text != data:
            temporary = path.with_name(path.name + ".tmp")
            temporary.write_bytes(text)
            os.chmod(temporary, path.stat().st_mode)
            os.replace(temporary, path)
            changed.append(path.relative_to(root).as_posix())
    return changed


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    slug = " ".join(sys.argv[1:] if argv is None else argv)  # sin argparse: «-ana/curso» también es un nombre malo
    if slug in ("-h", "--help"):
        print(__doc__)
        return 0
    try:
        changed = fork(slug, root)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    if not changed:
        print(f"El curso ya es de {slug}: no cambia nada.")
        return 0
    print("\n".join(changed))
    print(f"\n{len(changed)} archivos cambiados: el curso es ahora de {slug}.")
    print("Sigue así: mira «git diff», pasa «make test» y súbelo. Quienes firman el curso están en CITATION.cff.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
