"""Las páginas generadas: mapa del curso, glosario, bibliografía y referencias para citar."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

import course_utils
from tools import links, pages
from tools.minutes import measure

ROOT = Path(__file__).resolve().parents[2]
SESSIONS = pages.read_sessions(ROOT)
MAP = pages.read_map(ROOT)


@pytest.fixture
def copy(tmp_path):
    """Lo que las páginas necesitan, en otra carpeta, para poder estropearlo."""
    root = tmp_path / "un curso así"
    shutil.copytree(ROOT / pages.SOURCES, root / pages.SOURCES)
    shutil.copytree(ROOT / "notebooks" / "quizzes", root / "notebooks" / "quizzes")
    shutil.copytree(ROOT / "docs" / "lab" / "tours", root / "docs" / "lab" / "tours")
    for file in ("pyproject.toml", pages.CITATION, pages.MAP, pages.GLOSSARY, pages.BIBLIOGRAPHY):
        shutil.copyfile(ROOT / file, root / file)
    if (ROOT / "slides").is_dir():
        shutil.copytree(ROOT / "slides", root / "slides", ignore=shutil.ignore_patterns("node_modules", "dist"))
    return root


def test_pages_are_up_to_date():
    assert pages.check_all(ROOT) == []


def test_building_twice_changes_nothing(copy):
    assert pages.main([], copy) == 0
    files = [copy / name for name in pages.PAGES]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    assert pages.main([], copy) == 0
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before


@pytest.mark.parametrize("name", pages.PAGES)
def test_an_edited_or_missing_page_is_seen_and_restored(copy, name, capsys):
    good = (copy / name).read_bytes()
    (copy / name).write_bytes(good + b"\na mano\n")
    assert pages.main(["--check"], copy) == 1
    assert f"{name}: no está al día" in capsys.readouterr().err
    assert pages.main([], copy) == 0 and (copy / name).read_bytes() == good
    if name != pages.CITATION:
        (copy / name).unlink()
        assert pages.main(["--check"], copy) == 1 and f"{name}: no existe" in capsys.readouterr().err


@pytest.mark.parametrize("name", [pages.MAP, pages.GLOSSARY, pages.BIBLIOGRAPHY])
def test_pages_say_that_they_are_generated(name):
    assert (ROOT / name).read_text(encoding="utf-8").startswith("<!-- Página generada por tools/pages.py")


# --- El mapa ----------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    text = (ROOT / pages.MAP).read_text(encoding="utf-8")
    return dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))


def test_the_routes_add_up_and_ask_for_what_each_session_asks():
    """Las horas, sumadas otra vez con lo que mide cada fuente; lo que pide cada sesión de después, en su línea."""
    text = " ".join(sections()["Por dónde ir"].split())

    def hours(*patterns: str) -> float:
        found = {path for pattern in patterns for path in (ROOT / pages.SOURCES).glob(pattern)}
        return sum(measure(path).minutes for path in found) / 60

    words = {2: "dos", 6: "seis", 12: "doce"}
    assert f"enteras: unas {words[round(hours('02_*.md', '03_*.md'))]} horas" in text
    assert f"unas {words[round(hours('*.md'))]} horas y una tarde" in text
    assert f"tras su sesión: {words[round(hours('profundiza/*.md'))]} horas más" in text
    for session in SESSIONS:
        if "06" <= session.code <= "09":
            asked = [f"la {code}" for code in re.findall(r"\b0\d\b", session.requirements)]
            assert re.search(rf"la {session.code}(?: pide|,) {' y '.join(asked)}[;.]", text), session.code


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.stem)
def test_each_session_has_its_page(session):
    page = sections()[session.heading]
    assert f"blob/main/notebooks/{session.stem}.ipynb)" in page and f"(soluciones/{session.stem}.ipynb)" in page
    assert f"**Duración:** {measure(ROOT / pages.SOURCES / f'{session.stem}.md')}" in page
    assert "**Antes conviene saber:** " in page
    assert len(re.findall(r"^- ", session.objectives, re.M)) in (3, 4) and session.objectives in page
    assert session.resources in page and session.following in page and session.intro in page
    assert "enlace:" not in page and "+++" not in page
    assert len(session.exercises) == 2 and (session.deep is None or session.deep.exercises)
    for where, exercises in (("", session.exercises), ("Profundiza, ", session.deep.exercises if session.deep else ())):
        for exercise in exercises:
            trains = MAP["ejercicios"][exercise.number]
            assert f"| {exercise.number} | `{exercise.function}` | {trains} | {where}{exercise.section} |" in page
            assert re.match(r"\d+\. ", exercise.section)
    assert (f"(profundiza/{session.stem}.ipynb)" in page) == (session.deep is not None)
    assert session.deep is None or f"({session.deep.duration})" in page
    deck = ROOT / "slides" / f"{session.stem}.md"
    assert (f"(../slides/{deck.name})" in page) == deck.exists()


def test_slides_are_linked_when_they_exist(copy):
    (copy / "slides").mkdir(exist_ok=True)
    (copy / "slides" / f"{SESSIONS[0].stem}.md").write_text("# Hola\n", encoding="utf-8")
    text = pages.render_map(copy)
    assert f"[slides/{SESSIONS[0].stem}.md](../slides/{SESSIONS[0].stem}.md)" in text
    assert f"`slides/dist/{SESSIONS[0].stem}.pdf`" in text


def test_the_readme_links_every_session_to_its_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for session in SESSIONS:
        assert f"](notebooks/README.md#{pages.slugify(session.heading)})" in readme
    for name in (pages.GLOSSARY, pages.BIBLIOGRAPHY):
        assert f"]({name})" in readme


def test_the_map_ends_with_licences_and_how_to_fork():
    found = sections()
    assert "MIT" in found["Licencias y cómo citar"] and "CC BY 4.0" in found["Licencias y cómo citar"]
    assert "python -m tools.fork" in found["Haz tuyo el curso"] and "make fork REPO=" in found["Haz tuyo el curso"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("## Siguiente sesión", "## Otra cosa", "falta la sección «Siguiente sesión»"),
        ("<!-- duracion -->", "", "la línea de duración"),
        ("<!-- enlace-colab -->", "", "la presentación"),
        ("](enlace:vaswani2017)", "](enlace:vaswani2071)", r"línea \d+: no hay ningún enlace «vaswani2071»"),
        ("#### Ejercicio 1.3", "#### Ejercicio 1.9", r"\[ejercicios\].* difieren en 1\.3, 1\.9"),
    ],
)
def test_a_source_without_its_parts_stops_the_build(copy, old, new, message, capsys):
    path = copy / pages.SOURCES / "01_encoder_y_decoder.md"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    before = (copy / pages.MAP).read_bytes()
    assert pages.main([], copy) == 1
    assert re.search(message, capsys.readouterr().err)
    assert (copy / pages.MAP).read_bytes() == before


TERM = '[[glosario]]\nterm = "a"\nenglish = "b"\nsession = 1\ndefinition = "C."\n'


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("", "hacen falta una tabla"),
        ("ejercicios = 3\n", "hacen falta una tabla"),
        ("[ejercicios]\n" + TERM.replace("[[glosario]]", "[glosario]"), "hacen falta una tabla"),
        ("[ejercicios]\n'1.1' = 7\n" + TERM, "1.1 = 7: va un texto"),
        ("[ejercicios]\n" + TERM.replace('"a"', "7"), "lleva term, english"),
        ("[ejercicios]\n" + TERM.replace("session = 1\n", ""), "lleva term, english"),
        ("[ejercicios]\n" + TERM.replace("session = 1", "session = 77"), "no hay ninguna sesión 77"),
        ("[ejercicios\n", "no se puede leer"),
    ],
)
def test_a_wrong_map_is_an_error_in_spanish(copy, toml, message):
    (copy / pages.SOURCES / "mapa.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        pages.render_glossary(copy)


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("01 · Codificador y decodificador", "01--codificador-y-decodificador"),
        ("¿Qué *es* `generate`, de Hugging Face?", "qué-es-generate-de-hugging-face"),
        ("Un [enlace](x.md) y a_b", "un-enlace-y-a_b"),
    ],
)
def test_anchors_are_those_of_github(heading, anchor):
    assert pages.slugify(heading) == anchor


# --- Glosario ---------------------------------------------------------------------------------------

GLOSSARY = MAP["glosario"]


def plain(text: str) -> str:
    return re.sub(r"[_\s-]+", " ", re.sub(r"[*`]", "", text)).casefold()


def test_glossary_is_complete_and_in_order():
    assert 80 <= len(GLOSSARY) <= 120  # doce sesiones
    terms = [plain(entry["term"]) for entry in GLOSSARY]
    assert len(set(terms)) == len(terms)
    for entry in GLOSSARY:
        assert set(entry) == {"term", "english", "session", "definition"}, entry
        assert entry["definition"][0].isupper() and entry["definition"].endswith("."), entry
        assert len(entry["definition"]) <= 130 and "|" not in entry["definition"], entry
    rows = re.findall(r"^\| (.+?) \| \*", (ROOT / pages.GLOSSARY).read_text(encoding="utf-8"), re.M)
    assert len(rows) == len(terms) and rows == sorted(rows, key=pages.alphabetical)
    assert sorted(["zeta", "ñu", "nuez", "Árbol", "arco"], key=pages.alphabetical) == [
        "Árbol", "arco", "nuez", "ñu", "zeta",
    ]  # fmt: skip


@pytest.mark.parametrize("entry", GLOSSARY, ids=lambda entry: entry["term"])
def test_each_term_is_in_its_session(entry):
    paths = (ROOT / pages.SOURCES).rglob(f"{entry['session']}_*.md")  # o en su profundiza
    text = plain("\n".join(path.read_text(encoding="utf-8") for path in paths))
    words = re.findall(r"\w{4,}", plain(entry["term"])) or [plain(entry["term"])]
    assert all(word in text for word in words) or plain(entry["english"]) in text


@pytest.mark.parametrize(
    "english",
    [
        "token", "prompt", "prompt engineering", "decoding", "greedy search", "beam search", "sampling", "batch",
        "padding", "fine-tuning", "attention mask", "causal mask", "hidden state", "embedding", "loss",
        "cross-entropy", "perplexity", "overfitting", "checkpoint", "hallucination",
    ],
)  # fmt: skip
def test_the_fixed_terms_are_in_the_glossary(english):
    assert english in {entry["english"] for entry in GLOSSARY}


# --- Bibliografía y citas ---------------------------------------------------------------------------


def test_bibliography_has_every_paper_with_its_identifier():
    text = (ROOT / pages.BIBLIOGRAPHY).read_text(encoding="utf-8")
    papers = [link for link in links.load_links(ROOT).values() if link.is_paper]
    assert len(papers) >= 40
    for link in papers:
        line = next(line for line in text.splitlines() if f"]({link.url})" in line)
        assert link.title in line and str(link.year) in line and re.search(r"Sesi(ón|ones) [A0]\d", line)
        assert f"arXiv:{link.arxiv}" in line if link.arxiv else not link.doi or f"doi:{link.doi}" in line
    assert sum(bool(link.arxiv or link.doi) for link in papers) >= len(papers) - 4  # tres informes y un libro
    assert "Sesiones 02, 03, 05." in next(line for line in text.splitlines() if "Neural Text Degeneration" in line)


def test_citation_file_is_valid():
    data = yaml.safe_load((ROOT / pages.CITATION).read_text(encoding="utf-8"))
    assert data["cff-version"] == "1.2.0" and data["message"] and data["title"] and data["authors"]
    assert data["version"] == course_utils.__version__
    url = f"https://github.com/{links.repository_slug(ROOT)}"
    assert data["repository-code"] == data["preferred-citation"]["url"] == url
    assert data["license"] == "MIT" and data["preferred-citation"]["license"] == "CC-BY-4.0"
    cited = pages.cited_in(ROOT)
    papers = [link for key, link in links.load_links(ROOT).items() if link.is_paper and key in cited]
    assert [entry["title"] for entry in data["references"]] == [link.title for link in papers]
    for entry, link in zip(data["references"], papers, strict=True):
        assert entry["type"] in ("article", "book", "report") and entry["year"] == link.year
        assert len(entry["authors"]) == len(link.authors) + link.others
        assert all({"name"} == set(a) or {"family-names", "given-names"} == set(a) for a in entry["authors"])
        assert bool(entry.get("doi")) == bool(link.arxiv or link.doi)
        assert re.fullmatch(r"10\.\d{4,9}/\S+", entry.get("doi", "10.1000/x"))
