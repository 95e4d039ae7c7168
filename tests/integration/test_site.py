"""El sitio entero, construido una vez: sus páginas, sus enlaces, lo que pesan y lo que se hace en ellas.

Las páginas se recorren aquí, con un analizador propio, y no con lo que Sphinx dice de sí mismo. Los enlaces externos no
se piden: de `make enlaces` se prueba lo que cuenta, con un servidor de esta misma máquina.
"""

import json
import re
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from absent import missing

pytest.importorskip("sphinx", reason="sin las herramientas del sitio: instala «.[site]»")

from tools import ROOT
from tools.site import __main__ as site_main
from tools.site import linkcheck, paths
from tools.site import pages as site_pages
from tools.site.finish import finish_html

LIMIT = 3e6  # bytes de una página con todo lo que carga
SESSIONS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
DEEP = sorted(path.stem for path in (ROOT / "notebooks" / "profundiza").glob("*.ipynb"))
WRITTEN = ["index", "laboratorio", "glosario", "bibliografia", "descargas", "aula", "verificacion", "licencias"]
KINDS = {
    "portada": "index.html",
    "sesión": "sesiones/05_perplejidad.html",
    "mapa": "sesiones/index.html",
    "glosario": "glosario.html",
    "guía": "guia/02.html",
    "búsqueda": "search.html?q=perplejidad",
    "texto": "verificacion.html",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """El sitio de verdad, con el laboratorio y sin diapositivas; un solo aviso de Sphinx lo echa abajo."""
    output = tmp_path_factory.mktemp("sitio") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.site.sources.built_slides", lambda _: set())  # aunque las haya dejado hechas «make slides»
        assert site_main.build(output, output.parent / "trabajo") == 0
    site_main.lab.assemble(output / "lab")
    return output


class Page(HTMLParser):
    """Lo que una página enlaza, lo que carga y los nombres a los que se puede llegar en ella."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.loads, self.ids, self.headings, self.images = [], [], set(), [], []
        self.lang = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.lang = found.get("lang") if tag == "html" else self.lang
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(found["href"])
        if tag in ("script", "img", "iframe") and found.get("src"):
            self.loads.append(found["src"])
        if tag == "img":
            self.images.append(found)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {
        path: Page(path) for path in site.rglob("*.html") if path.relative_to(site).parts[0] not in ("lab", "_static")
    }


def broken(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    """¿Este enlace de una página no lleva a ninguna parte del sitio?"""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not goal.is_file():
        return True
    page = pages.get(goal)
    return bool(parts.fragment and page and unquote(parts.fragment) not in page.ids)


def test_there_is_a_page_for_everything(site):
    names = [f"sesiones/{name}" for name in SESSIONS] + [f"profundiza/{name}" for name in DEEP] + WRITTEN
    names += [f"guia/{name[:2]}" for name in SESSIONS] + ["sesiones/index", "guia/index", "search", "lab/index"]
    assert [name for name in names if not (site / f"{name}.html").is_file()] == []


def test_no_internal_link_is_broken(pages, tmp_path):
    found = [(path.name, link) for path, page in pages.items() for link in page.links if broken(path, link, pages)]
    assert found == []
    wrong = tmp_path / "x.html"  # que los rotos se ven
    wrong.write_text('<h1 id="sí">x</h1><a href="no.html">a</a><a href="#no">b</a><a href="#s%C3%AD">c</a>', "utf-8")
    page = Page(wrong)
    assert [broken(wrong, link, {wrong: page}) for link in page.links] == [True, True, False]


def test_what_is_linked_on_github_is_in_the_repository(pages):
    found = re.compile(rf"{re.escape(paths.github())}/(?:blob|tree)/main/([^#?]+)")
    for path, page in pages.items():
        linked = [unquote(match[1]) for link in page.links if (match := found.match(link))]
        assert [name for name in linked if not (ROOT / name).exists()] == [], path.name


def test_the_evening_starts_in_the_lab_from_the_map_and_from_the_front_page(site):
    for name, link in (("sesiones/index", "../lab/index.html"), ("index", "lab/index.html")):
        assert f'href="{link}?recorrido=02"' in (site / f"{name}.html").read_text(encoding="utf-8"), name
    evening = (site / "index.html").read_text(encoding="utf-8").split('id="tarde"')[1].split("</section>")[0]
    assert re.findall(r'href="sesiones/(\d\d)_[^"]*"', evening) == ["01", "02", "03"]  # y después, lo que dice


def test_the_structure_of_every_page(pages):
    for path, page in pages.items():
        assert page.lang == "es", path.name
        steps = [after - before for before, after in zip(page.headings, page.headings[1:], strict=False)]
        assert max(steps, default=0) <= 1, (path.name, page.headings)
        assert all(image.get("alt") for image in page.images), path.name
        assert all(image.get("loading") == "lazy" for image in page.images), path.name
        assert "main-content" in page.ids and "#main-content" in page.links, path.name


def test_no_page_loads_anything_from_outside_or_weighs_too_much(site, pages):
    fonts = sum(path.stat().st_size for path in (site / "_static").rglob("*.woff2"))
    for path, page in pages.items():
        local = [urlsplit(load) for load in page.loads]
        assert not any(part.netloc for part in local), path.name
        files = {(path.parent / part.path).resolve() for part in local if part.path}
        weight = path.stat().st_size + fonts + sum(file.stat().st_size for file in files)
        assert weight < LIMIT, f"{path.name}: {weight / 1e6:.2f} MB"


def test_the_theme_says_nothing_in_english(pages):
    english = re.compile(
        r'(?:title|aria-label|placeholder)="[^"]*\b(?:Toggle|Search|Page|Main|Link to|Permalink|Next|Download|Copy)\b'
    )
    for path in pages:
        assert english.findall(path.read_text(encoding="utf-8")) == [], path.name


def test_formulas_are_mathml_and_terms_lead_to_the_glossary(site):
    text = (site / "sesiones" / "05_perplejidad.html").read_text(encoding="utf-8")
    assert text.count("<math") >= 5 and "MathJax" not in text and "$$" not in text
    assert re.search(r'<a class="termino reference internal" href="\.\./glosario\.html#term-perplejidad"', text)
    assert text.count('href="../glosario.html#term-perplejidad"') == 1  # solo la primera vez


def test_what_only_looks_like_a_term_is_not_linked(site):
    """Ni la unión de BPE es la Europea, ni la puerta de una LSTM es la que cerró el rey."""
    for name, words in (
        ("sesiones/09_etica_y_sociedad", ["Unión Europea", "Estados Unidos"]),
        ("sesiones/03_generate", ["«␣puerta»"]),
        ("profundiza/04_ajuste_fino", ["punto de control"]),
        ("verificacion", ["herramienta de accesibilidad"]),
    ):
        text = " ".join((site / f"{name}.html").read_text(encoding="utf-8").split())
        assert [one for one in words if one not in text] == [] and 'class="termino' in text, name


def test_the_figures_are_counted(site):
    """Contra otra cuenta: los ejercicios, por sus títulos en las fuentes; las celdas, leídas con nbformat."""
    import nbformat

    sources = (ROOT / "notebooks" / "fuente").rglob("*.md")
    exercises = sum(len(re.findall(r"^#### Ejercicio ", path.read_text("utf-8"), re.M)) for path in sources)
    solved = [nbformat.read(path, 4) for path in (ROOT / "notebooks" / "soluciones").rglob("*.ipynb")]
    code = [cell for notebook in solved for cell in notebook.cells if cell.cell_type == "code"]
    compared = sum("nbval-ignore-output" not in cell.metadata.get("tags", []) for cell in code)
    rows = re.sub("[\u202f\u2009]", "", (site / "verificacion.html").read_text(encoding="utf-8"))
    assert f"<p>{exercises}</p>" in rows and f"<p>{compared}</p>" in rows


# --- Con un navegador -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [(word, "núcleo") for word in ("núcleo", "nucleo")]
    + [(word, "caché") for word in ("caché", "cache", "CACHÉ")]
    + [("perplejidad", "perplejidad")],
)
def test_search_finds_it_with_and_without_accents(site, serve, open_page, typed, wanted):
    page, seen = open_page(serve(site) + f"search.html?q={typed}")
    page.wait_for_function("document.querySelectorAll('#search-results li p.context').length >= 5")
    titles = page.locator("#search-results li a").all_inner_texts()
    assert any("Glosario" in title or wanted in title for title in titles), titles
    assert any(wanted in text.lower() for text in page.locator("p.context").all_inner_texts())
    seen.assert_clean()


def test_a_quiz_is_answered_with_the_keyboard(site, serve, open_page):
    quiz = json.loads((ROOT / "notebooks/quizzes/02_antes.json").read_text(encoding="utf-8"))
    right = [answer["correct"] for answer in quiz[0]["answers"]].index(True)
    wrong = (right + 1) % len(quiz[0]["answers"])
    page, seen = open_page(serve(site) + "sesiones/02_bucle_de_generacion.html")
    form = page.locator("form.cuestionario").first
    first = form.locator("fieldset").first
    said = first.locator(".respuesta")
    first.locator("input").first.focus()
    page.keyboard.press("Space")
    for _ in range(wrong):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "Todavía no" in said.inner_text() and quiz[0]["answers"][wrong]["feedback"] in said.text_content()
    explanations = first.locator(".explicacion")
    assert [explanations.nth(i).is_visible() for i in range(len(quiz[0]["answers"]))].count(True) == 1
    while not first.locator("input").nth(right).is_checked():
        page.keyboard.press("ArrowDown")
    assert said.inner_text() == ""  # al cambiar de respuesta, lo dicho se borra
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "Ahora sí" in said.inner_text() and quiz[0]["answers"][right]["feedback"] in said.text_content()
    seen.assert_clean()


@pytest.mark.parametrize("kind", KINDS)
def test_accessibility_and_width(site, serve, open_page, kind):
    axe = ROOT / "slides" / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        missing("sin axe-core: «npm ci» en slides/")
    page, seen = open_page(serve(site) + KINDS[kind], color_scheme="light")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload(wait_until="networkidle")  # lo que se desplaza de lado lo mira la página al abrirse
        page.evaluate(axe.read_text(encoding="utf-8"))
        page.add_style_tag(content="* { transition: none !important; }")  # a medio cambio, el color no es ninguno
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (kind, width)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            serious = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in BAD]
            assert serious == [], (kind, scheme, width)
    seen.assert_clean()


BAD = ("serious", "critical")


def test_no_page_is_wider_than_a_phone(site, serve, open_page):
    page, seen = open_page(serve(site) + "index.html", viewport={"width": 390, "height": 844})
    wide = {}
    for path in sorted(site.glob("**/*.html")):
        name = path.relative_to(site).as_posix()
        if name.split("/")[0] not in ("lab", "_static", "diapositivas"):
            page.goto(serve(site) + name)
            wide[name] = page.evaluate("document.documentElement.scrollWidth")
    assert {name: width for name, width in wide.items() if width > 390} == {}
    seen.assert_clean()


def test_on_a_phone_the_tables_of_the_guide_are_read_without_scrolling_sideways(site, serve, open_page):
    page, seen = open_page(serve(site) + "guia/index.html", viewport={"width": 390, "height": 844})
    for code in ("index", *(name[:2] for name in SESSIONS)):
        page.goto(serve(site) + f"guia/{code}.html")
        hidden = page.locator("table.table").evaluate_all(
            "all => all.filter(one => one.parentElement.scrollWidth > one.parentElement.clientWidth).length"
        )
        assert hidden == 0, code
    page.goto(serve(site) + "guia/09.html")
    row = page.get_by_role("row", name="innocents")  # deja de pintarse como tabla, pero lo sigue siendo
    assert "2 puntos" in row.get_by_role("cell").nth(2).evaluate("td => getComputedStyle(td, '::before').content")
    page.set_viewport_size({"width": 1280, "height": 800})
    assert row.get_by_role("cell").nth(2).evaluate("td => getComputedStyle(td, '::before').content") == "none"
    seen.assert_clean()


def test_a_review_that_one_is_asked_to_read_is_read_without_scrolling_sideways(site, serve, open_page):
    page, seen = open_page(serve(site) + "sesiones/06_clasificacion.html")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        tables = page.locator(".cell_output table").filter(has=page.get_by_text("reseña", exact=True))
        assert tables.count() == 2
        assert tables.evaluate_all("all => all.map(one => one.scrollWidth > one.clientWidth + 1)") == [False, False]
    seen.assert_clean()


def test_a_table_is_prepared_once_and_only_if_it_has_three_long_columns():
    def page(*rows):
        body = "".join(f"<tr>{''.join(f'<td><p>{cell}</p></td>' for cell in row)}</tr>" for row in rows)
        head = "".join(f'<th class="head"><p>{name}</p></th>' for name in ("Qué &amp; quién", "B", "C"))
        return f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'

    long, short = "una frase que no cabe en cien píxeles", "7"
    finished = finish_html(page((long, long, long), (short, short, short)), "x")
    labels = re.findall(r'<td role="cell" data-columna="([^"]*)">', finished)
    assert labels == ["Qué &amp; quién", "B", "C"] * 2
    assert '<table role="table" class="table fichas">' in finished and finish_html(finished, "x") == finished
    assert finish_html(page((long, long, short)), "x") == page((long, long, short))
    assert '<td class="minutos"><p>24–27</p>' in finish_html(page(("24–27", short, long)), "x")


def test_the_guide_of_a_session_leads_to_what_is_opened_in_class(site):
    for name in SESSIONS:
        article = (site / "guia" / f"{name[:2]}.html").read_text(encoding="utf-8").split("<article")[1]
        assert f"../sesiones/{name}.html" in article and f"soluciones/{name}.ipynb" in article
        assert "diapositivas/" not in article  # no están hechas
        made = site_pages.render_guide(ROOT, {name})[f"guia/{name[:2]}.md"]
        assert f'href="../diapositivas/{name}.html"' in made and f'href="../diapositivas/{name}.pdf"' in made


def test_from_a_session_one_goes_deeper_and_from_there_to_the_next_session(site):
    for name in DEEP:
        session = (site / "sesiones" / f"{name}.html").read_text(encoding="utf-8")
        deep = (site / "profundiza" / f"{name}.html").read_text(encoding="utf-8")
        order = [one for code in ("A", "0") for one in SESSIONS if one.startswith(code)]
        after = order[order.index(name) + 1]
        assert f'href="../profundiza/{name}.html">Para ir más lejos: ' in session
        assert f'href="../sesiones/{after}.html">La sesión siguiente: ' in deep


def test_the_lab_weighs_the_same_wherever_it_is_said(site):
    said = re.search(r'id="size">([\d,]+)', (site / "lab" / "index.html").read_text(encoding="utf-8"))[1]
    assert f"unos {said} MB" in (site / "laboratorio.html").read_text(encoding="utf-8")


def test_whoever_arrives_at_the_lab_can_go_to_the_course(site, serve, open_page):
    page, seen = open_page(serve(site) + "lab/index.html", viewport={"width": 390, "height": 844})
    page.get_by_role("link", name="El curso").click()
    page.get_by_role("heading", level=1, name="Generar texto en español").wait_for()
    seen.assert_clean()


def test_it_also_works_from_a_file(site, open_page):
    """Como en el paquete del aula: sin servidor se busca, se contesta y se llega al laboratorio de un solo archivo."""
    page, seen = open_page((site / "search.html").as_uri() + "?q=nucleo")
    page.locator("#search-results li a").nth(3).wait_for()
    page.goto((site / "sesiones" / "02_bucle_de_generacion.html").as_uri())
    page.locator("form.cuestionario input").first.check()
    page.locator("form.cuestionario button").first.click()
    assert page.locator("form.cuestionario .respuesta").first.inner_text()
    link = page.locator(".ficha a", has_text="laboratorio").get_attribute("href")
    assert link == (site.parent / "laboratorio.html").as_uri() + "?recorrido=02"
    page.goto((site / "index.html").as_uri())
    page.locator("#portada-viva ol button").first.click()
    seen.assert_clean()


# --- make enlaces ---------------------------------------------------------------------------------------


class Answers(BaseHTTPRequestHandler):
    """Contesta con el número que lleva su dirección; un 3xx manda a /200."""

    def do_GET(self):
        code = int(re.search(r"\d{3}", self.path)[0])
        self.send_response(code)
        if 300 <= code < 400:
            self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Pasa `make enlaces` por una página con estas direcciones; devuelve el problema, si lo hay, y lo que se dice."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()

    def run(*urls):
        base = f"http://127.0.0.1:{server.server_address[1]}"
        urls = [url if "//" in url else base + url for url in urls]
        (tmp_path / "fuente").mkdir(exist_ok=True)
        (tmp_path / "fuente" / "index.md").write_text("# Inicio\n\n" + "\n".join(f"<{u}>" for u in urls), "utf-8")
        monkeypatch.setattr(linkcheck, "write_sources", lambda folder, root: None)
        monkeypatch.setattr(linkcheck, "every_link", lambda root: "")
        return linkcheck.check_external(tmp_path), capsys.readouterr().out.replace(base, "")

    yield run
    server.shutdown()
    server.server_close()


def test_the_external_links_are_told_in_spanish(check):
    problems, out = check("/200", "/a-301", "/x-404", "/x-403", "/x-503")
    assert problems and "enlaces.toml" in problems[0]
    assert "✗ /x-404\n    el servidor contesta 404" in out and "⚠️ /x-403\n    el servidor contesta 403" in out
    assert "⚠️ /x-503" in out and "↪ /a-301\n    se ha mudado a " in out
    assert "2 responden (1 desde otra dirección), 2 dudosos y 1 rotos." in out


def test_without_broken_links_or_without_a_network_it_is_not_an_error(check):
    problems, out = check("/200", "/x-403")
    assert problems == [] and "1 responden (0 desde otra dirección), 1 dudosos y 0 rotos." in out
    problems, out = check("http://no-existe.invalid/")
    assert problems == [] and "Sin red" in out
