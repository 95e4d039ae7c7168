"""El sitio del curso, con Sphinx. Se construye con `make site`, que escribe antes las fuentes (tools/site/)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import links  # noqa: E402

SLUG = links.repository_slug(ROOT)

project = "Generar texto en español con Transformers"
author = "quienes contribuyen al curso"
copyright = "quienes contribuyen al curso: el código, con licencia MIT; lo demás, con CC BY 4.0"
language = "es"
extensions = ["myst_nb", "tools.site.extension"]
exclude_patterns = ["extra", "static"]

# Los cuadernos se enseñan como están guardados: aquí no se ejecuta nada.
nb_execution_mode = "off"
nb_code_prompt_show = "Ver el código"
nb_code_prompt_hide = "Esconder el código"
nb_render_markdown_format = "myst"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "attrs_inline", "colon_fence", "deflist", "tasklist"]
myst_heading_anchors = 4
myst_heading_slug_func = "tools.pages.slugify"
suppress_warnings = ["mystnb.unknown_mime_type"]

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["letra/letra.css", "sitio.css"]
html_js_files = [(name, {"defer": "defer"}) for name in ("cuestionario.js", "archivo.js")]
html_favicon = "lab/icono.svg"
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
html_permalinks_icon = "#"
html_theme_options = {
    "repository_url": f"https://github.com/{SLUG}",
    "use_repository_button": False,
    "navbar_persistent": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": False,
    "show_navbar_depth": 1,
    "max_navbar_depth": 2,
    "toc_title": "En esta página",
    "search_bar_text": "Buscar en el curso",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# Un enlace cada vez y sin insistir. Los nuestros de GitHub existen si el repositorio está publicado: se prueba su
# portada, que está en la lista; los de Colab y Binder abren una aplicación.
linkcheck_workers = 1
linkcheck_retries = 2
linkcheck_timeout = 15
linkcheck_anchors = False
linkcheck_allow_unauthorized = False
linkcheck_rate_limit_timeout = 30
linkcheck_ignore = [
    rf"https://github\.com/{SLUG}/.+",
    r"https?://(colab\.research\.google\.com|mybinder\.org)/.*",
]
linkcheck_request_headers = {"*": {"User-Agent": "Mozilla/5.0 (compatible; comprueba los enlaces de un curso)"}}
