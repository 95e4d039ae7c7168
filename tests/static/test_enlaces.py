"""Los enlaces: los externos, escritos una sola vez en enlaces.toml; los relativos, a archivos y títulos que existen."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from tools import links
from tools import pages as build_pages

ROOT = Path(__file__).resolve().parents[2]
FILES = links.tracked_files(ROOT)
SOURCES = sorted((ROOT / "notebooks" / "fuente").rglob("*.md"))
MARKDOWN = [p for p in FILES if p.suffix == ".md"]
NOTEBOOKS = [p for p in FILES if p.suffix == ".ipynb"]
# Direcciones que no son enlaces: espacios de nombres de XML, la propia máquina, ejemplos y comienzos de otras.
NOT_LINKS = ("http://www.w3.org/", "http://www.tei-c.org/ns/", "http://127.0.0.1", "http://localhost")
EXAMPLES = {"https://github.com/dueño/nombre", "https://github", "https://arxiv.org/abs/", "https://doi.org/"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def cells(path: Path, *kinds: str) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type in kinds]


# --- El archivo de datos ----------------------------------------------------------------------------

PAPER = 'title = "A"\nauthors = ["Ruiz, Ana"]\nyear = 2020\n'
GOOD = f'[ruiz2020]\n{PAPER}arxiv = "2001.00001"\n[web]\ntitle = "W"\nurl = "https://x.es/a"\n'


def write(root: Path, toml: str) -> Path:
    (root / "notebooks" / "fuente").mkdir(parents=True, exist_ok=True)
    (root / links.DATA).write_text(toml, encoding="utf-8")
    return root


def test_addresses_come_from_arxiv_doi_or_url(tmp_path):
    loaded = links.load_links(write(tmp_path, GOOD + f'[d]\n{PAPER}doi = "10.1207/s1_7"\n'))
    assert {key: link.url for key, link in loaded.items()} == {
        "ruiz2020": "https://arxiv.org/abs/2001.00001",
        "web": "https://x.es/a",
        "d": "https://doi.org/10.1207/s1_7",
    }
    assert [link.is_paper for link in loaded.values()] == [True, False, True]


def test_a_parenthesis_does_not_close_the_link(tmp_path):
    link = links.load_links(write(tmp_path, GOOD + f'[d]\n{PAPER}doi = "10.1016/S2589-7500(23)00023-7"\n'))["d"]
    assert link.url == "https://doi.org/10.1016/S2589-7500%2823%2900023-7"
    assert link.doi == "10.1016/S2589-7500(23)00023-7"  # en la bibliografía se lee entero


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (GOOD + '[otra]\ntitle = "O"\nurl = "https://X.es/a/"\n', "«web» y «otra» llevan la misma dirección"),
        (GOOD + '[otra]\ntitle = "O"\nurl = "https://arxiv.org/abs/2001.00001"\n', "«ruiz2020» y «otra»"),
        (GOOD + '[web]\ntitle = "O"\n', "no es TOML válido"),
        ('[a]\ntitle = "O"\nurl = "https://x.es"\nautor = "Ana"\n', r"\[a\]: no conozco «autor»"),
        ('[a]\nurl = "https://x.es"\n', r"\[a\]: hacen falta title"),
        ('[a]\ntitle = "O"\n', "solo una de url, arxiv o doi"),
        ('[a]\ntitle = "O"\nurl = "https://x.es"\ndoi = "10.1000/1"\n', "solo una de url, arxiv o doi"),
        ('[a]\ntitle = "O"\nurl = "x.es"\n', "url no puede ser «x.es»"),
        ('[a]\ntitle = "O"\narxiv = 1706.03762\n', r"\[a\]: arxiv debe ser un texto, entre comillas, y es 1706.03762"),
        ('[a]\ntitle = 1984\nurl = "https://x.es"\n', "title debe ser un texto, entre comillas, y es 1984"),
        ('[a]\ntitle = "O"\nurl = "https://x.es"\nauthors = "Ana"\nyear = 2020\n', "authors debe ser una lista"),
        ('[a]\ntitle = "O"\nurl = "https://x.es"\nauthors = [7]\nyear = 2020\n', "authors debe ser una lista"),
        ('[a]\ntitle = "O"\nurl = "https://x.es"\nauthors = ["A"]\nyear = "2020"\n', "year debe ser un número"),
        ('[a]\ntitle = "O"\nurl = "https://x.es"\nbook = 1\n', "book debe ser true o false, y es 1"),
        ('[a]\ntitle = "O"\narxiv = "arXiv:2001.00001"\n', "arxiv no puede ser"),
        ('[a]\ntitle = "O"\ndoi = "https://doi.org/10.1000/1"\n', "doi no puede ser"),
        ('[a]\ntitle = "O"\nyear = 2020\nurl = "https://x.es"\n', "authors y year"),
        ('[a]\ntitle = "O"\nauthors = []\nyear = 2020\nurl = "https://x.es"\n', "authors y year"),
        ('[Ñu]\ntitle = "O"\nurl = "https://x.es"\n'.replace("[Ñu]", '["Ñu"]'), "la clave va en minúsculas"),
    ],
)  # fmt: skip
def test_bad_data_is_an_error_in_spanish(tmp_path, toml, message):
    with pytest.raises(ValueError, match=message):
        links.load_links(write(tmp_path, toml))


def test_missing_data_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"falta notebooks/fuente/enlaces\.toml"):
        links.load_links(tmp_path)


@pytest.mark.parametrize(
    ("authors", "others", "signed"),
    [
        (["Graves, Alex"], False, "A. Graves"),
        (["Sutton, Richard S.", "Barto, Andrew G."], False, "R. S. Sutton y A. G. Barto"),
        (["Fan, Angela", "Lewis, Mike", "Dauphin, Yann"], False, "A. Fan, M. Lewis y Y. Dauphin"),
        (["Chang, Ming-Wei", "B, B", "C, C", "D, D"], False, "M.-W. Chang et al."),
        (["Biderman, Dan"], True, "D. Biderman et al."),
        (["OpenAI"], False, "OpenAI"),
    ],
)
def test_citation(authors, others, signed):
    link = links.Link("k", "Título", "https://x.es", tuple(authors), others, 2020)
    assert link.cite() == f"{signed}, [Título](https://x.es) (2020)"


def test_references_become_links_and_code_stays(tmp_path):
    write(tmp_path, GOOD)
    text = "- [](enlace:ruiz2020): algo.\n[`web`\ndos](enlace:web) `[](enlace:web)`\n```\n[a](enlace:nada)\n```\n"
    assert links.resolve(text, tmp_path) == (
        "- A. Ruiz, [A](https://arxiv.org/abs/2001.00001) (2020): algo.\n"
        "[`web`\ndos](https://x.es/a) `[](enlace:web)`\n```\n[a](enlace:nada)\n```\n"
    )


def test_an_unknown_key_names_the_line_and_the_likeliest(tmp_path):
    write(tmp_path, GOOD)
    with pytest.raises(ValueError, match=r"línea 3: no hay ningún enlace «ruiz2002»\. ¿Querías decir ruiz2020\?"):
        links.resolve("a\n\nb [](enlace:ruiz2002)", tmp_path)


def test_a_tour_is_at_the_site_of_this_repository(tmp_path):
    write(tmp_path, GOOD)
    (tmp_path / "pyproject.toml").write_text('Repositorio = "https://github.com/ana-ruiz/Curso"\n', encoding="utf-8")
    (tmp_path / links.TOURS).mkdir(parents=True)
    (tmp_path / links.TOURS / "03.json").write_text("{}", encoding="utf-8")
    lab = "https://ana-ruiz.github.io/Curso/lab/?recorrido=03"
    assert links.resolve("[a](recorrido:03) `[a](recorrido:03)`", tmp_path) == f"[a]({lab}) `[a](recorrido:03)`"
    with pytest.raises(ValueError, match=r"línea 2: no hay ningún recorrido «06» en docs/lab/tours\. Hay: 03\."):
        links.resolve("a\n[b](recorrido:06)", tmp_path)


def test_every_tour_has_a_link_in_its_notebook_and_in_its_deck():
    tours = sorted(path.stem for path in (ROOT / links.TOURS).glob("*.json"))
    assert tours == ["01", "02", "03", "04", "05"]
    for session in tours:
        for place in ("notebooks/*.ipynb", "slides/*.md"):
            told = {name(path) for path in ROOT.glob(place) if links.tour(session) in links.find_urls(texts(path))}
            assert len(told) == 1 and all(Path(one).name.startswith(session) for one in told), (session, place)


def test_find_urls():
    text = 'a (https://x.es/a_b), <http://y.es>; "https://z.es/?q=1#a". [t](https://w.es/p.pdf) «https://v.es»'
    assert links.find_urls(text) == [
        "https://x.es/a_b", "http://y.es", "https://z.es/?q=1#a", "https://w.es/p.pdf", "https://v.es",
    ]  # fmt: skip


# --- Cada dirección, una sola vez -------------------------------------------------------------------


def known(url: str) -> bool:
    slug = links.repository_slug(ROOT)
    own = (f"https://github.com/{slug}", f"https://mybinder.org/v2/gh/{slug}", links.COLAB, links.site(ROOT))
    addresses = {link.url for link in links.load_links(ROOT).values()}
    if "{" in url:  # una f-string: vale si así empieza alguna
        return any(address.startswith(url.partition("{")[0]) for address in addresses)
    return url in addresses | EXAMPLES or url.startswith(own + NOT_LINKS)


def texts(path: Path) -> str:
    if path.suffix == ".ipynb":  # las salidas no: son de las bibliotecas
        return "\n".join(cells(path, "markdown", "code"))
    if path.suffix == ".json":
        return json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False)
    return path.read_text(encoding="utf-8")


def has_links(path: Path) -> bool:
    """Los archivos que lee una persona y los programas; las pruebas usan direcciones inventadas."""
    if name(path).startswith("tests/") or path == ROOT / links.DATA:
        return False
    suffixes = {".md", ".ipynb", ".py", ".toml", ".yml", ".cff", ".css", ".js", ".mjs", ""}
    return path.suffix in suffixes or path.parent.name == "quizzes"


@pytest.mark.parametrize("path", [path for path in FILES if has_links(path)], ids=name)
def test_every_external_link_is_in_the_data_file(path):
    unknown = sorted({url for url in links.find_urls(texts(path)) if not known(url)})
    assert not unknown, f"{name(path)}: añade a {links.DATA} {unknown}"


def test_an_unknown_address_is_seen():
    assert not known("https://x.es/nueva") and not known("https://x.es/{nueva}")
    assert known("https://github.com/COST-ELTeC/ELTeC-spa/archive/{ELTEC_COMMIT}.zip")


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_sources_have_keys_and_not_addresses(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if re.search(r"https?://", line)]
    assert all("git clone" in line for line in lines), lines
    assert len(lines) <= 1


def test_every_entry_is_used():
    used = set(build_pages.cited_in(ROOT))
    everything = "\n".join(texts(path) for path in FILES if has_links(path) and path.suffix != ".ipynb")
    # Una f-string solo enseña el principio de su dirección.
    starts = {url.partition("{")[0] for url in links.find_urls(everything) if url not in EXAMPLES}
    for key, link in links.load_links(ROOT).items():
        assert key in used or any(link.url.startswith(start) for start in starts), f"nadie usa «{key}»: bórralo"


# --- Enlaces relativos ------------------------------------------------------------------------------

LINK = re.compile(
    links.CODE
    + r"|\]\(\s*<?(?P<a>[^)\s>]+)|\b(?:src|href)=[\"'](?P<b>[^\"']+)|^ {0,3}\[[^\]\n]+\]:\s*<?(?P<c>[^\s>]+)",
    re.DOTALL | re.MULTILINE,
)


def relative_links(text: str) -> list[str]:
    found = [match["a"] or match["b"] or match["c"] for match in LINK.finditer(text) if not match["code"]]
    return [link for link in found if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", link)]


def anchors(text: str) -> set[str]:
    """Los anclajes de un texto como los pone GitHub, repetidos incluidos, más los escritos con id= o name=."""
    prose = re.sub(r"^ *(```|~~~).*?^ *\1", "", text, flags=re.DOTALL | re.MULTILINE)
    found: dict[str, int] = {}
    for heading in re.findall(r"^ {0,3}#{1,6} +(.+?)(?: +#+)? *$", prose, re.MULTILINE):
        slug = build_pages.slugify(heading)
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found) | set(re.findall(r"\b(?:id|name)=[\"']([^\"']+)", prose))


def prose(path: Path) -> str:
    return "\n\n".join(cells(path, "markdown")) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")


def broken(path: Path, root: Path = ROOT) -> list[str]:
    """Los enlaces relativos de un archivo que no llevan a ninguna parte."""
    # Las fuentes de los cuadernos se escriben como si estuvieran en notebooks/.
    folder = root / "notebooks" if root / "notebooks" / "fuente" in path.parents else path.parent
    problems = []
    for link in relative_links(prose(path)):
        place, _, anchor = unquote(link).partition("#")
        place = place.partition("?")[0]
        goal = (folder / place).resolve() if place else path
        if place.startswith("/") or not goal.exists() or not goal.is_relative_to(root):
            problems.append(f"«{link}» no lleva a ningún archivo del curso")
        elif anchor and goal.suffix in (".md", ".ipynb") and anchor not in anchors(prose(goal)):
            problems.append(f"«{link}»: {goal.name} no tiene ese título")
    return problems


@pytest.mark.parametrize("path", MARKDOWN + NOTEBOOKS, ids=name)
def test_no_broken_relative_link(path):
    assert broken(path) == []


def test_broken_links_are_seen(tmp_path):
    (tmp_path / "otra.md").write_text("# Ya está: ¡sí! (`x`)\n## Igual\n## Igual\n```\n# no\n```\n", encoding="utf-8")
    good = "[a](otra.md) [b](otra.md#ya-está-sí-x) [c](otra.md#igual-1) [d](#aquí) `[e](no)`\n# Aquí\n[r]: otra.md\n"
    bad = '[a](nada.md) [b](otra.md#no) [c](#allí) <img src="x.png"> [d](/otra.md) [e](../fuera.md)\n\n[r]: falta.md\n'
    page = tmp_path / "página.md"
    page.write_text(good, encoding="utf-8")
    assert broken(page, tmp_path) == []
    page.write_text(bad, encoding="utf-8")
    assert len(broken(page, tmp_path)) == 7


def test_the_files_are_those_of_the_course():
    listed = {name(path) for path in FILES}
    assert {"README.md", "notebooks/README.md", "LICENSE"} <= listed
    assert not any(part in file for file in listed for part in (".venv/", "__pycache__", ".git/"))
