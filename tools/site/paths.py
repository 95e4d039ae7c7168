"""A dónde lleva en el sitio cada ruta del repositorio: a una de sus páginas o, si no la tiene, a GitHub."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from .. import ROOT, links, pages
from ..notebooks import _LINK as LINK

FIGURES = "slides/figuras/"
GUIDE = "slides/GUIA_DOCENTE.md"
FIXED = {
    pages.MAP: "/sesiones/index.md",
    pages.GLOSSARY: "/glosario.md",
    pages.BIBLIOGRAPHY: "/bibliografia.md",
    GUIDE: "/guia/index.md",
}
_BADGE = re.compile(r"\[!\[[^\]]*\]\([^)]*colab-badge\.svg\)\]\([^)]*\)\n*")


@cache
def github(root: Path = ROOT) -> str:
    """La dirección del repositorio, de pyproject.toml."""
    return f"https://github.com/{links.repository_slug(root)}"


def colab(notebook: str, root: Path = ROOT) -> str:
    """La dirección que abre en Colab un cuaderno, dado por su ruta desde la raíz."""
    return f"{links.COLAB}/github/{links.repository_slug(root)}/blob/main/{notebook}"


def page_of(path: str, anchor: str, root: Path, anchors: Mapping[str, str]) -> str:
    """Lo que se escribe en el sitio para llegar a ``path``, una ruta desde la raíz del repositorio.

    ``anchors`` dice en qué página ha quedado cada título de los archivos que el sitio reparte en varias, con su ruta
    delante: ``slides/GUIA_DOCENTE.md#01--plan``.
    """
    end = f"#{anchor}" if anchor else ""
    if f"{path}#{anchor}" in anchors:
        page = anchors[f"{path}#{anchor}"]
        return page if path == pages.MAP else page + end
    if path in FIXED:
        return FIXED[path] + end
    if found := re.fullmatch(r"notebooks/(profundiza/)?([^/]+\.ipynb)", path):
        return f"/{found[1] or 'sesiones/'}{found[2]}{end}"
    if path.startswith("docs/lab/"):
        return path.removeprefix("docs")
    if path.startswith("docs/") and path.endswith(".md"):
        return path.removeprefix("docs") + end
    if path.startswith(FIGURES):
        return f"/figuras/{path.removeprefix(FIGURES)}"
    return f"{github(root)}/{'tree' if (root / path).is_dir() else 'blob'}/main/{path}{end}"


def in_html(page: str) -> str:
    """Lo mismo para un ``href`` o un ``src`` escrito en HTML, que Sphinx no toca; vale en las páginas de ``docs/``."""
    return re.sub(r"\.(?:ipynb|md)(?=#|$)", ".html", page.removeprefix("/"))


def to_site(text: str, path: str, root: Path = ROOT, anchors: Mapping[str, str] | None = None) -> str:
    """El Markdown de ``path`` (una ruta desde la raíz), sin distintivos de Colab y con los enlaces del sitio."""
    folder = posixpath.dirname(path)

    def replace(match: re.Match) -> str:
        link = match["link"]
        if match["code"] or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|/", link):
            return match[0]
        place, _, anchor = unquote(link).partition("#")
        target = posixpath.normpath(posixpath.join(folder, place)) if place else path
        if not place and f"{path}#{anchor}" not in (anchors or {}):
            return match[0]
        page = page_of(target, anchor, root, anchors or {})
        return match["before"] + (in_html(page) if "=" in match["before"] else page)

    return LINK.sub(replace, _BADGE.sub("", text))
