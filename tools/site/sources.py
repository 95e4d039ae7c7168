"""Escribe las fuentes del sitio en una carpeta que Sphinx entiende, sin tocar las del curso.

Solo se escribe lo que cambia, así que Sphinx solo rehace lo que ha cambiado.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .. import ROOT, lab, pages, write_if_changed
from . import pages as site_pages
from . import paths
from .facts import count_facts
from .lessons import Lesson, render_lesson
from .tables import render_tables


def built_slides(root: Path = ROOT) -> set[str]:
    """Los mazos que están hechos, en HTML y en PDF."""
    dist = root / "slides" / "dist"
    return {path.stem for path in dist.glob("[A0-9][0-9]_*.html") if path.with_suffix(".pdf").is_file()}


def fill(text: str, facts: dict[str, str], where: str) -> str:
    """Cambia cada ``{{nombre}}`` por su cifra.

    Raises
    ------
    ValueError
        Si no hay ninguna cifra con ese nombre.
    """

    def replace(match: re.Match) -> str:
        if match[1] not in facts:
            raise ValueError(f"{where}: no hay ninguna cifra «{match[1]}». Vale: {', '.join(sorted(facts))}.")
        return facts[match[1]]

    return re.sub(r"\{\{(\w+)\}\}", replace, text)


def written_pages(root: Path = ROOT) -> dict[str, str]:
    """Las páginas de ``docs/``, con sus cifras y sus enlaces."""
    facts, found = count_facts(root) | render_tables(root), {}
    for path in sorted((root / "docs").glob("*.md")):
        text = fill(path.read_text(encoding="utf-8"), facts, path.name)
        found[path.name] = paths.to_site(text, f"docs/{path.name}", root)
    return found


def lessons(root: Path = ROOT) -> list[Lesson]:
    trains, sessions = pages.read_map(root)["ejercicios"], pages.read_sessions(root)
    return [
        Lesson(session, deep, trains, root, following)
        for session, following in zip(sessions, [*sessions[1:], None], strict=True)
        for deep in ([False, True] if session.deep else [False])
    ]


def write_parts(folder: Path, root: Path = ROOT) -> None:
    """Lo que no son páginas: la letra, si npm la ha traído, y lo que da vida a la portada."""
    letter = folder / "static" / "letra"
    letter.mkdir(parents=True, exist_ok=True)
    write_if_changed(letter / "letra.css", "".join(lab.copy_fonts(letter)) or "/* sin letra propia: la del sistema */")
    for name in ("portada.js", "portada.css"):
        shutil.copy2(root / "docs" / name, folder / "extra" / name)


def alive(root: Path = ROOT) -> str:
    """Lo vivo de la portada, con sus datos dentro de la página: así funciona también desde un archivo."""
    data = (root / "docs" / "portada.json").read_text(encoding="utf-8").strip().replace("<", "\\u003c")
    return (
        f'```{{raw}} html\n<script type="application/json" id="portada-datos">{data}</script>\n'
        '<script defer src="portada.js"></script>\n```\n'
    )


def write_sources(folder: Path, root: Path = ROOT) -> list[Path]:
    """Escribe todo en ``folder`` y quita lo que sobra; devuelve los archivos que hay."""
    figures = folder / "extra" / "figuras"
    figures.mkdir(parents=True, exist_ok=True)
    built = built_slides(root)
    texts = written_pages(root) | site_pages.render_guide(root, built)
    write_parts(folder, root)
    texts["index.md"] += f"\n{alive(root)}\n{site_pages.render_toctrees(root)}"
    texts |= {
        "sesiones/index.md": site_pages.render_map(root),
        "glosario.md": site_pages.render_glossary(root),
        "bibliografia.md": site_pages.render_bibliography(root),
    }
    for lesson in lessons(root):
        name = lesson.notebook.removeprefix("notebooks/")
        texts[name if lesson.deep else f"sesiones/{name}"] = render_lesson(lesson, figures, built)
    written = []
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_if_changed(path, text)
        written.append(path)
    for figure in re.findall(r'"figuras/([\w.-]+\.png)"', texts["index.md"]):
        shutil.copy2(root / paths.FIGURES / figure, figures / figure)
    for path in folder.rglob("*"):
        if path.suffix in (".md", ".ipynb") and path not in written:
            path.unlink()
    return written
