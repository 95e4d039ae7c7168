"""El último repaso al HTML que escribe Sphinx: lo que el tema deja en inglés, mal traducido o de más."""

from __future__ import annotations

import html
import re

# Lo que el tema escribe sin pasar por sus traducciones, o con unas que no se entienden. Van con su contexto para no
# tocar el texto del curso.
SPANISH = {
    'title="Toggle primary sidebar"': 'title="Enseñar u ocultar el índice del curso" aria-label="Índice del curso"',
    'title="Toggle secondary sidebar"': 'title="Enseñar u ocultar el índice de la página" aria-label="En esta página"',
    'aria-label="Main"': 'aria-label="Índice del curso"',
    'aria-label="Page"': 'aria-label="Índice de la página"',
    'title="Imprimir en PDF"': 'title="Imprimir o guardar en PDF"',
    'title="Modo de pantalla completa"': 'title="Pantalla completa"',
    'aria-label="Download this page"': 'aria-label="Descargar esta página"',
    'title="siguiente página"': 'title="página siguiente"',
    '<summary aria-label="Toggle hidden content">': "<summary>",
    '<summary><span class="toctree-toggle"': '<summary aria-label="Ver sus páginas"><span class="toctree-toggle"',
    'pst-js-only" title="Búsqueda" aria-label="Búsqueda"': 'pst-js-only" title="Buscar"',
    ">Búsqueda</span>": ">Buscar</span>",
    "<h1>Búsqueda</h1>": "<h1>Buscar</h1>",
    'title="Permalink to this heading"': 'title="Enlace a este título"',
    'title="Link to this heading"': 'title="Enlace a este título"',
    'title="Link to this term"': 'title="Enlace a este término"',
}
# Los iconos llegan con la letra; el buscador, solo en su página: 1,5 MB menos en cada una.
UNUSED = ("scripts/fontawesome.js",)
ONLY_SEARCH = ("_static/searchtools.js", "_static/language_data.js", "searchindex.js")


def finish_html(text: str, name: str) -> str:
    """El HTML de la página ``name``, repasado. Repasarlo dos veces no cambia nada."""
    for old, new in SPANISH.items():
        text = text.replace(old, new)
    for script in UNUSED + (() if name == "search" else ONLY_SEARCH):
        text = re.sub(rf'[ \t]*<script[^>]*src="[^"]*{re.escape(script)}[^"]*"></script>\n?', "", text)
    text = re.sub(r'<table class="table">.*?</table>', lambda found: finish_table(found[0]), text, flags=re.DOTALL)
    text = re.sub(r"<td>(?=<p>(?:\d+–\d+|se salta)</p>)", '<td class="minutos">', text)
    if name == "search" and "buscar.js" not in text:
        text = text.replace("</body>", '<script src="_static/buscar.js"></script>\n</body>')
    return re.sub(r"<img (?![^>]*\bloading=)", '<img loading="lazy" ', text)


# --- Tablas -----------------------------------------------------------------------------------------

LONG = 25  # letras: una columna con una celda mayor no cabe, junto a otras dos así, en un teléfono
ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "th": "columnheader"}


def plain(cell: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", cell)).split())


def finish_table(text: str) -> str:
    """Una tabla con tres columnas o más de texto largo, preparada para leerse por fichas en una pantalla estrecha.

    Cada celda lleva el nombre de su columna y, como la hoja de estilo deja de pintarla como tabla, su papel.
    """
    names = [plain(cell) for cell in re.findall(r"<th\b[^>]*>(.*?)</th>", text, re.DOTALL)]
    cells = [plain(cell) for cell in re.findall(r"<td\b[^>]*>(.*?)</td>", text, re.DOTALL)]
    if not names or len(cells) % len(names):
        return text
    columns = [cells[first :: len(names)] for first in range(len(names))]
    if sum(max(map(len, column), default=0) > LONG for column in columns) < 3:
        return text
    labels = iter(names * (len(cells) // len(names)))
    text = re.sub(r"<td\b", lambda _: f'<td role="cell" data-columna="{html.escape(next(labels))}"', text)
    text = re.sub(r"<(table|thead|tbody|tr|th)\b", lambda tag: f'{tag[0]} role="{ROLES[tag[1]]}"', text)
    return text.replace('class="table"', 'class="table fichas"', 1)
