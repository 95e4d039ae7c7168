"""Lo que a Sphinx le falta para este sitio. La carga ``docs/conf.py``.

- Las fórmulas, en MathML: el navegador las dibuja sin JavaScript y un lector de pantalla las lee.
- El primer uso en cada página de un término del glosario enlaza a su entrada.
- Buscar «nucleo» encuentra «núcleo»: el índice y lo que se escribe pierden las tildes, no la eñe.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.search.es import SearchSpanish

from .. import pages
from .finish import finish_html

TILDES = str.maketrans("áéíóúüàèìòù", "aeiouuaeiou")
NOT_LINKED = ("glosario", "bibliografia", "licencias", "index", "search", "genindex")
OTHER = re.compile(r"punto\s+de\s+control|herramienta\s+de\s+accesibilidad")  # palabras de un término, sin serlo
OPAQUE = (nodes.literal, nodes.literal_block, nodes.title, nodes.reference, nodes.math, nodes.math_block, nodes.raw)
OPAQUE += (nodes.term, nodes.rubric, addnodes.pending_xref, nodes.image, nodes.comment)


# --- Fórmulas ---------------------------------------------------------------------------------------


def visit_math(self, node: nodes.math) -> None:
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self, node: nodes.math_block) -> None:
    self.body.append(f'<div class="formula" tabindex="0">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


# --- Buscar -----------------------------------------------------------------------------------------


class SearchWithoutAccents(SearchSpanish):
    """El buscador de Sphinx en español, que no distingue si las tildes están puestas."""

    def stem(self, word: str) -> str:
        return super().stem(word.lower().translate(TILDES))


# --- Glosario ---------------------------------------------------------------------------------------


def term_pattern(term: str) -> str:
    """Cómo se escribe un término en un texto corrido: sin cursivas ni paréntesis, en singular o en plural."""
    plain = re.sub(r"\s*\([^)]*\)", "", term.replace("*", ""))
    return r"\s+".join(re.escape(word) + r"(?:e?s)?" for word in plain.split())


@cache
def glossary() -> tuple[re.Pattern, dict[str, dict]]:
    """La expresión que encuentra cualquier término, los más largos primero, y la entrada de cada uno."""
    entries: dict[str, dict] = {}
    for entry in pages.read_map()["glosario"]:
        entries.setdefault(term_pattern(entry["term"]), entry)
    longest = sorted(entries, key=len, reverse=True)
    names = {f"t{number}": pattern for number, pattern in enumerate(longest)}
    anything = "|".join(f"(?P<{name}>{pattern})" for name, pattern in names.items())
    return re.compile(rf"(?<![\w-])(?:{anything})(?![\w-])", re.IGNORECASE), {n: entries[p] for n, p in names.items()}


def link_terms(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Enlaza con el glosario el primer uso de cada término de una página."""
    if docname in NOT_LINKED or docname.startswith("guia/") or app.builder.format != "html":
        return
    pattern, entries = glossary()
    objects = app.env.domains["std"].get_objects()
    targets = {name.lower(): anchor for name, _, kind, _, anchor, _ in objects if kind == "term"}
    base, linked = app.builder.get_relative_uri(docname, "glosario"), set()
    for text in list(doctree.findall(nodes.Text)):
        if any(isinstance(parent, OPAQUE) for parent in ancestors(text)):
            continue
        pieces, done = [], 0
        for match in pattern.finditer(text):
            entry = entries[match.lastgroup]
            anchor = targets.get(entry["term"].replace("*", "").lower())
            if entry["term"] in linked or anchor is None or is_something_else(match, entry["term"]):
                continue
            linked.add(entry["term"])
            options = {"internal": True, "classes": ["termino"], "reftitle": entry["definition"]}
            link = nodes.reference("", match[0], refuri=f"{base}#{anchor}", **options)
            pieces += [nodes.Text(text[done : match.start()]), link]
            done = match.end()
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(text[done:])])


def is_something_else(match: re.Match, term: str) -> bool:
    """¿Es un nombre propio, como la «Unión» Europea, un token que se cita, como «␣puerta», o parte de otra expresión?

    De un nombre propio se sabe por la mayúscula que el término no lleva, si no está empezando una frase.
    """
    text, start = match.string, match.start()
    before = text[:start].rstrip(" \n«“(")
    proper = match[0][0].isupper() and not term[0].isupper() and before != "" and before[-1] not in ".?!…¿¡:"
    other = any(found.start() <= start < found.end() for found in OTHER.finditer(text))
    return proper or other or text[:start].endswith("␣")


def ancestors(node: nodes.Node):
    while node := node.parent:
        yield node


# --- El último repaso -------------------------------------------------------------------------------


def finish_all(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            if path.relative_to(app.outdir).parts[0] not in ("lab", "diapositivas", "_static"):
                path.write_text(finish_html(path.read_text(encoding="utf-8"), path.stem), encoding="utf-8")
        for path in list(Path(app.outdir, "_static").rglob("*")):
            if path.suffix == ".map" or path.name.endswith(("fontawesome.js", "-macros.html")):
                path.unlink()  # lo trae el tema y ninguna página lo carga


def setup(app: Sphinx) -> dict:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_search_language(SearchWithoutAccents)
    app.connect("doctree-resolved", link_terms)
    app.connect("build-finished", finish_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
