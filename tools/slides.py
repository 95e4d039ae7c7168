"""Convierte las diapositivas en HTML y PDF, y pone en la guía docente el plan minuto a minuto que sale de sus notas.

De cada ``slides/NN_tema.md`` (Marp) salen ``slides/dist/NN_tema.html`` y ``.pdf``. El HTML lleva dentro la letra y las
figuras: un solo archivo que se abre sin red en cualquier máquina. Hacen falta Node.js y un navegador de la familia de
Chromium. La primera vez se descarga Marp con npm, en la versión que fija ``slides/package-lock.json``; después no hace
falta red.

Cada diapositiva lleva una nota para quien la enseña:

    <!--
    Minutos: 4 (2)
    Cuaderno: 2. Buscar el texto más probable
    Di: …
    Pregunta: …
    -->

«Minutos» da los de la sesión de 60 minutos y, entre paréntesis, los de la de 40 (0: se salta); suman 60 y 40.
«Cuaderno», si está, es el apartado del cuaderno que se abre.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import mimetypes
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from course_utils.runner import in_order

from . import ROOT, browser, exit_code, write_if_changed

FIELDS = ("Minutos", "Cuaderno", "Di", "Pregunta")
NO_NODE = (
    "No encuentro Node.js (node y npm), que convierte las diapositivas.\n"
    "Cómo seguir: instala la versión 18 o una posterior (en Debian y Ubuntu, «sudo apt install nodejs npm»; en macOS,\n"
    "«brew install node»; en Windows, el instalador de nodejs.org)."
)


@dataclass(frozen=True)
class Slide:
    """Una diapositiva: lo que se ve (``body``) y lo que dice su nota; los minutos, en 60 y en 40."""

    number: int
    body: str
    minutes: int
    short_minutes: int
    notebook: str
    say: str
    ask: str

    @property
    def title(self) -> str:
        heading = re.search(r"^#{1,3} +(.+)$", self.body, re.M)
        return re.sub(r"[*`]", "", heading[1]).strip() if heading else ""


def read_deck(path: Path) -> list[Slide]:
    """Las diapositivas de un archivo de Marp, con sus notas.

    Raises
    ------
    ValueError
        Si falta la cabecera o una nota, o si una nota no está completa (dice en qué diapositiva y qué falta).
    """
    text = path.read_text(encoding="utf-8")
    front = re.match(r"---\n(.*?)\n---\n", text, re.S)
    if not front or "marp: true" not in front[1]:
        raise ValueError(f"{path.name}: falta la cabecera de Marp (---, marp: true, theme: curso, ---).")
    slides = []
    for number, chunk in enumerate(split_slides(text[front.end() :]), 1):
        where = f"{path.name}, diapositiva {number}"
        comments = re.findall(r"<!--(.*?)-->", chunk, re.S)
        notes = [c for c in comments if re.search(r"^\s*Minutos:", c, re.M)]
        if len(notes) != 1:
            raise ValueError(f"{where}: tiene {len(notes)} notas; cada diapositiva lleva una, con «Minutos:».")
        slides.append(Slide(number, re.sub(r"<!--.*?-->", "", chunk, flags=re.S).strip(), **read_note(notes[0], where)))
    return slides


def split_slides(text: str) -> list[str]:
    """Parte por las líneas ``---`` que no están dentro de un bloque de código."""
    chunks, fenced = [[]], False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        if line == "---" and not fenced:
            chunks.append([])
        else:
            chunks[-1].append(line)
    return ["\n".join(chunk) for chunk in chunks]


def read_note(note: str, where: str) -> dict:
    """Los campos de una nota; lanza ``ValueError`` si falta alguno."""
    parts = re.split(rf"^\s*({'|'.join(FIELDS)}): *", note, flags=re.M)
    fields = {name: " ".join(value.split()) for name, value in zip(parts[1::2], parts[2::2], strict=True)}
    minutes = re.fullmatch(r"(\d+) \((\d+)\)", fields.get("Minutos", ""))
    if not minutes or not fields.get("Di") or not fields.get("Pregunta"):
        raise ValueError(f"{where}: la nota necesita «Minutos: 4 (2)», «Di: …» y «Pregunta: …»; tiene {fields}.")
    return {
        "minutes": int(minutes[1]),
        "short_minutes": int(minutes[2]),
        "notebook": fields.get("Cuaderno", ""),
        "say": fields["Di"],
        "ask": fields["Pregunta"],
    }


def unwrap_notes(text: str) -> str:
    """Cada campo de una nota, en una sola línea: la vista del presentador respeta los saltos, y partían las frases."""
    wrapped = rf"\n[ \t]*(?=\S)(?!(?:{'|'.join(FIELDS)}):|-->)"
    return re.sub(r"<!--\s*Minutos:.*?-->", lambda m: re.sub(wrapped, " ", m[0]), text, flags=re.S)


# --- El plan de la guía docente ---------------------------------------------------------------------


def plan_table(slides: list[Slide]) -> str:
    """El plan minuto a minuto de una sesión, en Markdown, con los minutos acumulados de las dos duraciones."""
    rows = ["| 60 min | 40 min | Diapositiva | Se abre en el cuaderno |", "|---|---|---|---|"]
    long, short = 0, 0
    for slide in slides:
        brief = f"{short}–{short + slide.short_minutes}" if slide.short_minutes else "se salta"
        title = slide.title.replace("|", r"\|")
        row = (f"{long}–{long + slide.minutes}", brief, f"{slide.number} · {title}", slide.notebook or "")
        rows.append("| " + " | ".join(row) + " |")
        long, short = long + slide.minutes, short + slide.short_minutes
    return "\n".join(rows)


def fill_guide(text: str, decks: dict[str, list[Slide]]) -> str:
    """La guía con los planes al día: cada uno, entre ``<!-- plan: 03 -->`` y ``<!-- fin del plan -->``.

    Raises
    ------
    ValueError
        Si una sesión no tiene sitio en la guía.
    """
    for session, slides in decks.items():
        pattern = rf"(<!-- plan: {session} -->\n).*?(<!-- fin del plan -->)"
        if not re.search(pattern, text, re.S):
            raise ValueError(f"A GUIA_DOCENTE.md le falta «<!-- plan: {session} -->» … «<!-- fin del plan -->».")
        text = re.sub(pattern, lambda m, s=slides: f"{m[1]}\n{plan_table(s)}\n\n{m[2]}", text, flags=re.S)
    return text


# --- HTML y PDF -------------------------------------------------------------------------------------

# Lo que Marp escribe en sus mandos y en la vista del presentador, que no se puede pedir en otro idioma.
SPANISH = {
    "Previous slide": "Diapositiva anterior",
    "Next slide": "Diapositiva siguiente",
    "Toggle fullscreen": "Pantalla completa",
    "Toggle fullscreen (f)": "Pantalla completa (f)",
    "Toggle overview view": "Todas, en pequeño",
    "Toggle overview view (o)": "Todas, en pequeño (o)",
    "Open presenter view": "Vista del presentador",
    "Open presenter view (p)": "Vista del presentador (p)",
    "Close overview": "Cerrar",
    "[Overview]": "[Todas]",
    "[Presenter view]": "[Vista del presentador]",
    "Smaller notes font size": "Notas, más pequeñas",
    "Bigger notes font size": "Notas, más grandes",
    "Current time": "Hora",
    "Timer": "Cronómetro",
}


def in_spanish(page: str) -> str:
    """La página de un mazo con los mandos de Marp en español; lo que dicen las diapositivas no se toca."""
    for english, spanish in SPANISH.items():
        page = page.replace(f'"{english}"', f'"{spanish}"').replace(f">{english}</button>", f">{spanish}</button>")
    for english, spanish in {"Previous": "Anterior", "Next": "Siguiente"}.items():
        page = page.replace(f'title:"{english}"}},"{english}"', f'title:"{spanish}"}},"{spanish}"')
    return re.sub(r"`Page (\$\{[^}]*\}) of (\$\{[^}]*\})`", r"`\1 de \2`", page)


def data_uri(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or ("font/woff2" if path.suffix == ".woff2" else "image/png")
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def inline(text: str, folder: Path, pattern: str) -> str:
    """Cambia cada archivo local que nombra ``pattern`` (grupo 2) por su contenido."""

    def replace(match: re.Match) -> str:
        file = folder / match[2]
        if not file.is_file():
            raise ValueError(f"No existe {match[2]}. Si es una figura, hazla con «python -m tools.figures».")
        return match[1] + data_uri(file) + match[3]

    return re.sub(pattern, replace, text)


def install_node_modules(folder: Path) -> Path:
    """Instala con npm lo que fija ``package-lock.json``, la primera vez o cuando cambia; devuelve ``node_modules``.

    Raises
    ------
    ValueError
        Si no hay Node.js o la instalación no termina.
    """
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        raise ValueError(NO_NODE)
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    modules = folder / "node_modules"
    stamp = modules / ".curso"
    if not stamp.is_file() or stamp.read_text() != lock:
        print("Instalo Marp y el diccionario con npm (solo la primera vez)…", flush=True)
        install = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            reason = "\n".join(done.stderr.strip().splitlines()[-4:])
            raise ValueError(f"npm no ha podido instalar Marp:\n{reason}\nCómo seguir: mira la red y repite la orden.")
        stamp.write_text(lock)
    return modules


def build(root: Path, decks: list[Path], output: Path) -> None:
    """Escribe el HTML y el PDF de cada mazo en ``output``.

    Raises
    ------
    ValueError
        Si falta una herramienta o una figura, o si Marp no termina bien.
    """
    folder = root / "slides"
    chrome = browser.find_browser()
    if chrome is None:
        raise ValueError(browser.MISSING)
    marp = install_node_modules(folder) / "@marp-team" / "marp-cli" / "marp-cli.js"
    command = [shutil.which("node"), str(marp), "--no-config-file"]
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        theme = inline((folder / "tema.css").read_text(encoding="utf-8"), folder, r'(url\(")([^":]+)("\))')
        (work / "tema.css").write_text(theme, encoding="utf-8")
        for deck in decks:
            text = unwrap_notes(deck.read_text(encoding="utf-8"))
            text = inline(text, folder, r"(!\[[^\]]*\]\()([^):]+)(\))")
            (work / deck.name).write_text(text, encoding="utf-8")
        options = ["--theme-set", "tema.css", "--html", "--browser", "chrome", "--browser-path", chrome]
        inputs = [deck.name for deck in decks]
        for kind in ([], ["--pdf", "--pdf-outlines"]):
            run = [*command, *options, *kind, "--browser-timeout", "120", "--no-parallel", *inputs]
            done = subprocess.run(
                run, cwd=work, capture_output=True, text=True, encoding="utf-8", stdin=subprocess.DEVNULL
            )
            made = [work / f"{deck.stem}{'.pdf' if kind else '.html'}" for deck in decks]
            if done.returncode or not all(file.is_file() for file in made):
                raise ValueError(f"Marp no ha podido convertir las diapositivas:\n{done.stderr.strip()[-1500:]}")
            for file in made:
                if not kind:
                    file.write_text(in_spanish(file.read_text(encoding="utf-8")), encoding="utf-8")
                shutil.copy(file, output / file.name)


def main(arguments: list[str] | None = None) -> int:
    """La orden; devuelve 0, o 1 si algo no se pudo hacer o la guía no está al día (con ``--check``)."""
    parser = argparse.ArgumentParser(description="Convierte las diapositivas en HTML y PDF y pone al día la guía.")
    parser.add_argument("sessions", nargs="*", help="solo estas, p. ej. 02 03 (por defecto, todas)")
    parser.add_argument("--output", type=Path, default=ROOT / "slides" / "dist", help="carpeta de los HTML y PDF")
    parser.add_argument("--check", action="store_true", help="solo comprueba las notas y la guía; no escribe nada")
    options = parser.parse_args(arguments)

    def work() -> list[str]:
        paths = in_order((ROOT / "slides").glob("[A0-9][0-9]_*.md"))
        decks = {path.stem[:2]: read_deck(path) for path in paths}
        if unknown := set(options.sessions) - set(decks):
            raise ValueError(f"No hay diapositivas de la sesión {sorted(unknown)}; hay de {sorted(decks)}.")
        guide = ROOT / "slides" / "GUIA_DOCENTE.md"
        text = guide.read_text(encoding="utf-8")
        filled = fill_guide(text, decks)
        if options.check:
            return [] if filled == text else ["El plan de GUIA_DOCENTE.md no es el de las notas."]
        write_if_changed(guide, filled)
        chosen = [path for path in paths if not options.sessions or path.stem[:2] in options.sessions]
        build(ROOT, chosen, options.output)
        print(f"Listas {len(chosen)} presentaciones, en HTML y en PDF, en {options.output.name}/")
        return []

    return exit_code(work, "Ejecuta «make slides».")


if __name__ == "__main__":
    sys.exit(main())
