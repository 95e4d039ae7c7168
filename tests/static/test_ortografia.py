"""Ortografía de todo lo que se lee, con Hunspell, su diccionario de español y las palabras propias del curso.

El diccionario llega con npm junto a Marp (``slides/package.json``); Hunspell, con pip. Las palabras que no están en el
diccionario y valen se apuntan en ``tests/palabras.txt``; una que ya no haga falta también es un error.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import jupytext
import pytest
from absent import missing

from tools import slides as build_slides

hunspell = pytest.importorskip("hunspell", reason="sin chunspell")

ROOT = Path(__file__).resolve().parents[2]

WORD = re.compile(r"[^\W\d_]+(?:[-’'][^\W\d_]+)*")
NAMES = {"BIBLIOGRAFIA.md", "LICENCIAS.md"}  # sus listas son nombres de personas y de paquetes


def tracked(*patterns: str) -> list[Path]:
    """Los archivos de texto del curso: los de git, o los que hay, si esto no es un clon."""
    skipped = {"node_modules", ".venv", "build", "dist", "corpus"}
    files = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sorted(p for p in files if not skipped & set(p.relative_to(ROOT).parts))


def prose(markdown: str) -> str:
    """El texto de un Markdown: sin código, fórmulas, direcciones ni títulos en otro idioma de enlaces externos."""
    text = re.sub(r"\A---\n.*?\n---\n", "", markdown, flags=re.S)
    text = re.sub(r"^ *(```|~~~).*?^ *\1", "", text, flags=re.S | re.M)
    text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", " ", text, flags=re.S)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", " ", text, flags=re.S)
    # Los autores y el título de un artículo, el título de un enlace y los nombres de archivo no son español.
    text = re.sub(r"^( *- )[^\[\n]*\[[^\]]*\]\(https?:[^)]*\)", r"\1", text, flags=re.M)
    text = re.sub(r"\[[^\[\]]*\]\((?:https?:|enlace:)[^)]*\)", " ", text)
    text = re.sub(r"\]\([^)]*\)", "] ", text)
    text = re.sub(r"https?://\S+|[\w./-]+\.(?:py|md|toml|ipynb|cff|json|txt)\b|\w*_\w+", " ", text)
    marks = "cuestionario|enlace|id|plan|fin del plan|medidas|fin de las medidas|duracion|_class"  # no son notas
    text = re.sub(rf"<!-- *(?:{marks})[^\n]*?-->", " ", text)
    text = re.sub(r"</?[a-zA-Z][^>]*>", " ", text)
    return html.unescape(text)


def comments(code: str) -> str:
    """Los comentarios de una celda de código: también los lee quien estudia."""
    return "\n".join(re.findall(r"(?:^|\s)#(?! *<|\|| fmt:) *(?:@title |alt: )?(.*)$", code, re.M))


def texts() -> dict[str, str]:
    """Lo que se lee, por archivo."""
    found = {}
    for path in tracked(
        "*.md", "docs/**/*.md", "notebooks/*.md", "slides/*.md", "course_utils/**/*.md", "tools/**/*.md"
    ):
        text = path.read_text(encoding="utf-8")
        if path.name in NAMES:
            text = re.sub(r"^[-|].*$", "", text, flags=re.M)
        found[path.relative_to(ROOT).as_posix()] = prose(text)
    for path in tracked("notebooks/fuente/**/*.md"):
        cells = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst").cells
        read = [prose(c.source) if c.cell_type == "markdown" else comments(c.source) for c in cells]
        found[path.relative_to(ROOT).as_posix()] = "\n".join(read)
    for path in tracked("notebooks/quizzes/*.json"):
        questions = json.loads(path.read_text(encoding="utf-8"))
        read = [q["question"] for q in questions]
        read += [text for q in questions for a in q["answers"] for text in (a["answer"], a["feedback"])]
        found[path.relative_to(ROOT).as_posix()] = prose("\n".join(read))
    return found


def own_words() -> list[str]:
    lines = (ROOT / "tests" / "palabras.txt").read_text(encoding="utf-8").splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


@pytest.fixture(scope="module")
def speller():
    if not shutil.which("npm"):
        missing("sin npm, que trae el diccionario")
    try:
        folder = build_slides.install_node_modules(ROOT / "slides") / "dictionary-es"
    except ValueError as error:
        missing(str(error))
    return hunspell.Hunspell("index", hunspell_data_dir=str(folder))


def unknown(speller, text: str) -> list[str]:
    """Las palabras que el diccionario no conoce; de las compuestas con guion, cada parte por su lado."""
    words = {word for word in WORD.findall(text) if len(word) > 1}
    missing = {word for word in words if not speller.spell(word)}
    return sorted(w for w in missing if not ("-" in w and all(speller.spell(p) or len(p) == 1 for p in w.split("-"))))


def test_the_speller_finds_mistakes(speller):
    text = "La atencion mira ala izquierda, pero el vector que sigue vale: dáselo al ñandú."
    assert unknown(speller, text) == ["atencion"]
    assert unknown(speller, prose("Un `erorr` en $codigo$ y [A Tittle](https://x.y) y <b>negrita</b>")) == []
    assert unknown(speller, prose("[un textto](otro.md)")) == ["textto"]
    assert comments("x = 1  # aquí, la máscara\n# <solución>") == "aquí, la máscara"


def test_spelling(speller):
    own = set(own_words())
    found = {name: [w for w in unknown(speller, text) if w not in own] for name, text in texts().items()}
    wrong = {name: words for name, words in found.items() if words}
    assert not wrong, "\n".join(f"{name}: {', '.join(words)}" for name, words in wrong.items())


def test_no_word_of_the_list_is_left_over(speller):
    words = own_words()
    assert len(words) == len(set(words)), sorted(w for w in set(words) if words.count(w) > 1)
    used = {word for text in texts().values() for word in unknown(speller, text)}
    assert set(words) <= used, f"sobran en tests/palabras.txt: {sorted(set(words) - used)}"


def test_every_markdown_file_is_read():
    """Nadie añade un texto que esta prueba no mire."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no es un clon")
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = {line for line in listed.splitlines() if not line.startswith(("shared/", ".github/"))}
    assert names <= set(texts()), names - set(texts())
