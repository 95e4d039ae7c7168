"""Escribe LICENCIAS.md: la licencia de cada paquete de constraints.txt y qué parte del curso lo usa.

    python -m tools.licences

Lee lo que los paquetes instalados dicen de sí mismos, así que hay que llamarlo en el entorno de `make env`. Una
licencia que no se conoce o que no deja repartir el curso es un error: se mira a mano y se añade aquí, o se cambia de
paquete.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from . import ROOT

OUTPUT = ROOT / "LICENCIAS.md"
WHERE = {"": "el paquete", "lab": "JupyterLab", "dev": "pruebas y mantenimiento"}

PERMISSIVE = {
    *("MIT", "MIT-0", "MIT-CMU", "BSD", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "Zlib", "CC0-1.0", "BSL-1.0"),
    *("Apache-2.0", "Apache-2.0 WITH LLVM-exception", "PSF-2.0", "CNRI-Python", "Unlicense"),
}
WEAK_COPYLEFT = {"MPL-1.1", "MPL-2.0", "LGPL-2.1-or-later", "LGPL-3.0-or-later"}  # el porqué, en INTRODUCTION

# Nombres que no son de SPDX, tal como los escriben los paquetes: (expresión regular, identificador).
SPELLINGS = (
    (r"MIT( License)?", "MIT"),
    (r"(The )?Apache([ -]Software)?( License)?(, Version)?[ -]*(2(\.0)?)?( License)?", "Apache-2.0"),
    (r"(New |Modified )?BSD[ -]3[ -]Clause( License)?", "BSD-3-Clause"),
    (r"BSD[ -]2[ -]Clause( License)?", "BSD-2-Clause"),
    (r"BSD( License)?", "BSD"),
    (r"ISC( License)?( \(ISCL\))?", "ISC"),
    (r"PSFL?(-2\.0)?|Python Software Foundation License", "PSF-2.0"),
    (r"Mozilla Public License 2\.0 \(MPL 2\.0\)", "MPL-2.0"),
    (r"MPL-2\.0 AND MIT", "MPL-2.0 AND MIT"),
    (r"MIT \+ MPL 1\.1/GPL 2\.0/LGPL 2\.1", "MIT AND (MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later)"),
)

INTRODUCTION = """\
# Licencias de las dependencias

El curso no copia el código de ningún otro paquete: los instala. Esta lista sirve para repartirlo con ellos dentro (en
una memoria USB o en una imagen, por ejemplo): dice la licencia de cada paquete de `constraints.txt` y qué parte lo usa.
La del curso está en [LICENSE](LICENSE), y las de los modelos y los datos, en sus fichas.

Casi todas son permisivas (MIT, BSD, Apache 2.0, ISC, PSF y parecidas): se pueden repartir conservando el aviso de
autoría, que viaja dentro de cada paquete. Hay dos familias con condiciones, y se cumplen porque los paquetes se
reparten enteros y sin cambios:

- **MPL**: si se modifica uno de *sus* archivos, ese archivo se publica con la misma licencia. No alcanza a lo demás.
- **LGPL**: se puede usar como biblioteca desde código con otra licencia, siempre que quien lo reciba pueda sustituirla
  por otra versión. Con un paquete de Python basta `pip install`.

Donde un paquete deja elegir («OR»), vale cualquiera de las opciones. Ninguno obliga a lo que exige la GPL.

Lo que solo existe en algún sistema no está en `constraints.txt` ni aquí. En Linux importa un caso: el torch con CUDA
trae bibliotecas de NVIDIA con licencia propietaria. Para repartir el curso con sus paquetes, usa el torch de CPU.

Esta lista la escribe `tools/licences.py` a partir de lo que declaran los paquetes: no se edita a mano.

| Paquete | Versión | Licencia | Lo usa |
|---|---|---|---|
"""


def pins() -> dict[str, str]:
    """Las versiones de constraints.txt, por nombre."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def acceptable(expression: str) -> bool:
    """¿Deja esta expresión de SPDX repartir el paquete, sin cambios, junto al curso?"""
    group = re.search(r"\(([^()]*)\)", expression)
    if group:
        return acceptable(expression.replace(group[0], "MIT" if acceptable(group[1]) else "ninguna"))
    accepted = PERMISSIVE | WEAK_COPYLEFT
    return any(all(term.strip() in accepted for term in side.split(" AND ")) for side in expression.split(" OR "))


def spdx(name: str, fields: Mapping) -> str:
    """La licencia de un paquete como expresión de SPDX, según su ficha.

    Manda `License-Expression`; si falta, el campo libre `License`, y si no dice nada útil, los clasificadores.

    Raises
    ------
    ValueError
        Si nada de lo que declara se reconoce.
    """
    if fields.get("License-Expression"):
        return fields["License-Expression"]
    text = (fields.get("License") or "").strip()
    classifiers = fields.get("Classifier") or []
    candidates = [text.partition("\n")[0], *(c.split(" :: ")[-1] for c in classifiers if c.startswith("License ::"))]
    if "Neither the name" in text:
        candidates.insert(0, "BSD-3-Clause")
    for candidate in candidates:
        for pattern, identifier in ((re.escape(i), i) for i in PERMISSIVE | WEAK_COPYLEFT):
            if re.fullmatch(pattern, candidate):
                return identifier
        for pattern, identifier in SPELLINGS:
            if re.fullmatch(pattern, candidate, re.IGNORECASE):
                return identifier
    raise ValueError(
        f"No sé qué licencia tiene {name}: declara {candidates}. Mírala en su página y añádela a tools/licences.py."
    )


def fields_of(name: str) -> dict:
    found = metadata(name)
    single = {field: found.get(field) for field in ("License-Expression", "License")}
    return single | {"Classifier": found.get_all("Classifier") or []}


def closure(requirements: list[str]) -> set[str]:
    """Los nombres de los paquetes instalados a los que se llega desde unos requisitos, con sus extras."""

    def walk(texts: list[str], extras: frozenset) -> Iterator[tuple[str, frozenset]]:
        for requirement in map(Requirement, texts):
            marker = requirement.marker
            if not marker or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
                yield canonicalize_name(requirement.name), frozenset(requirement.extras)

    seen, pending = set(), list(walk(requirements, frozenset()))
    while pending:
        item = pending.pop()
        if item not in seen:
            seen.add(item)
            try:
                pending += walk(requires(item[0]) or [], item[1])
            except PackageNotFoundError:
                continue  # de otro sistema
    return {name for name, _ in seen}


def render() -> str:
    """El texto de LICENCIAS.md."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    package, lab = closure(project["dependencies"]), closure(extras["lab"])
    lines = []
    for name, pin in sorted(pins().items(), key=lambda item: canonicalize_name(item[0])):
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            found = None
        if found != pin:
            raise ValueError(
                f"Hace falta {name} {pin} y este entorno tiene {found}. Prepara el entorno con `make env`."
            )
        licence = spdx(name, fields_of(name))
        if not acceptable(licence):
            raise ValueError(f"La licencia de {name} no deja repartirlo: {licence}. Busca otro paquete.")
        key = canonicalize_name(name)
        where = WHERE["" if key in package else "lab" if key in lab else "dev"]
        lines.append(f"| {name} | {pin} | {licence} | {where} |\n")
    return INTRODUCTION + "".join(lines)


def main() -> int:
    try:
        text = render()
    except ValueError as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    OUTPUT.write_text(text, encoding="utf-8", newline="\n")
    print(f"Escrito {OUTPUT.name}: {len(pins())} paquetes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
