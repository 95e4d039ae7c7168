"""Saca de las páginas del curso los pasajes en los que busca la sesión 08: course_utils/data/pasajes.jsonl.

    python -m tools.training.passages

Son las definiciones del glosario y los párrafos de prosa de los cuadernos A1 a 05. Es una foto: las páginas siguen
cambiando, y lo que respondió el modelo respondió a estas.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator

from course_utils._files import atomic_write
from course_utils.jokes import DATA

from .. import ROOT

SESSIONS = ("A1", "A2", "01", "02", "03", "04", "05")
SHORTEST, LONGEST = 60, 600  # caracteres
_SOURCES = ROOT / "notebooks" / "fuente"
_BEFORE = {"recursos", "cuestionarios-escritos", "siguiente-sesion"}


def glossary() -> Iterator[dict]:
    """Una definición por pasaje."""
    terms = tomllib.loads((_SOURCES / "mapa.toml").read_text(encoding="utf-8"))["glosario"]
    for entry in sorted(terms, key=lambda entry: entry["term"].strip("*").casefold()):
        term, english = entry["term"], entry.get("english", "")
        text = f"{term} ({english}): {entry['definition']}" if english else f"{term}: {entry['definition']}"
        yield {"page": "glosario", "text": clean(text)}


def prose(session: str) -> Iterator[dict]:
    """Los párrafos de un cuaderno, sin código, títulos, tablas ni comentarios."""
    (path,) = _SOURCES.glob(f"{session}_*.md")
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for cell in text.split("+++"):
        name = re.search(r"<!-- id: (\S+) -->", cell)
        if name and name.group(1) in _BEFORE:
            return
        for block in re.split(r"\n\s*\n", re.sub(r"<!--.*?-->", "", cell, flags=re.DOTALL)):
            lines = [line for line in block.strip().splitlines() if not line.startswith(("#", "|", "$$", "---"))]
            found = clean(" ".join(lines))
            if SHORTEST <= len(found) <= LONGEST and "$" not in found and not found.startswith(("jupytext", "-", "1.")):
                yield {"page": session, "text": found}


def clean(text: str) -> str:
    """Sin marcas de Markdown ni enlaces."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\s+", " ", re.sub(r"[*`]", "", text)).strip()


def passages() -> list[dict]:
    found = [*glossary(), *(row for session in SESSIONS for row in prose(session))]
    unique = {row["text"]: row for row in reversed(found)}
    return [{"id": k, **row} for k, row in enumerate(reversed(unique.values()))]


def main() -> None:
    rows = passages()
    atomic_write(DATA / "pasajes.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    print(f"{len(rows)} pasajes, {sum(len(row['text']) for row in rows)} caracteres")


if __name__ == "__main__":
    main()
