"""La orden: ``python -m tools.site``."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

from .. import ROOT, environment, exit_code, lab, slides
from .linkcheck import check_external
from .sources import built_slides, write_sources

REMEDY = "Corrige lo que dice Sphinx y repite la orden."


def make_slides() -> None:
    """Hace las diapositivas que faltan o se han quedado viejas, si se puede; si no, el sitio lo dice."""
    decks = sorted((ROOT / "slides").glob("[A0-9][0-9]_*.md"))
    dist = ROOT / "slides" / "dist"
    old = [deck for deck in decks if not fresh(deck, dist / f"{deck.stem}.pdf")]
    if not old:
        return
    try:
        print(f"Hago {len(old)} presentaciones…", flush=True)
        slides.build(ROOT, old, dist)
    except ValueError as error:
        print(f"Aviso: el sitio irá sin las diapositivas que faltan.\n{error}", file=sys.stderr)


def fresh(source: Path, made: Path) -> bool:
    return made.is_file() and made.stat().st_mtime >= source.stat().st_mtime


def build(output: Path, work: Path) -> int:
    """Escribe las fuentes y llama a Sphinx, para el que un aviso es un error; devuelve su código de salida."""
    write_sources(work / "fuente")
    options = ["-W", "--keep-going", "-q", "-j", "auto", "-d", str(work / "doctrees")]
    options += ["-D", f"html_extra_path={work / 'fuente' / 'extra'}"]
    options += ["-D", f"html_static_path={ROOT / 'docs' / '_static'},{work / 'fuente' / 'static'}"]
    return sphinx_build(["-b", "html", "-c", str(ROOT / "docs"), *options, str(work / "fuente"), str(output)])


def add_parts(output: Path) -> None:
    """Lo que no hace Sphinx: las diapositivas y el laboratorio."""
    for stem in built_slides():
        for suffix in (".html", ".pdf"):
            target = output / "diapositivas" / (stem + suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / "slides" / "dist" / target.name, target)
    lab.assemble(output / "lab")
    try:
        lab.single(output.parent / "laboratorio.html")
    except ValueError as error:
        print(f"Aviso: no se hace el laboratorio en un solo archivo.\n{error}", file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    parser = argparse.ArgumentParser(description="Construye el sitio del curso.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site", help="dónde (build/site)")
    parser.add_argument("--no-slides", action="store_true", help="no hace las diapositivas que falten")
    parser.add_argument("--linkcheck", action="store_true", help="solo prueba los enlaces externos, con red")
    options = parser.parse_args(argv)
    output = options.output.resolve()
    work = output.parent / f"{output.name}-trabajo"
    if options.linkcheck:
        return exit_code(lambda: check_external(work), "")

    def site() -> list[str]:
        started = time.monotonic()
        if not options.no_slides:
            make_slides()
        if build(output, work):
            return ["El sitio tiene avisos: están arriba."]
        add_parts(output)
        seconds = environment.decimal(time.monotonic() - started)
        print(f"Hecho el sitio, en {seconds} s. Ábrelo: {output / 'index.html'}")
        return []

    return exit_code(site, REMEDY)


if __name__ == "__main__":
    sys.exit(main())
