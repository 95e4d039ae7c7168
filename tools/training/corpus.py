"""Reconstruye el corpus de preentrenamiento desde sus fuentes públicas y lo comprueba fichero a fichero.

    python -m tools.training.corpus --output corpus                   # descarga, convierte y comprueba
    python -m tools.training.corpus --output corpus --sources fuentes # con lo que ya descargaste, sin red
    python -m tools.training.corpus --output corpus --check           # solo comprueba lo que hay en corpus/

Fuentes: 90 novelas de ELTeC-spa (TEI, nivel 1; textos de dominio público, marcado CC BY 4.0, editor Borja
Navarro Colorado) en una versión fija, y *Don Quijote* (Project Gutenberg 2000). `manifiesto.csv`, junto a este
programa, dice qué obra va en qué partición y con qué SHA-256 debe quedar cada texto: un párrafo por línea,
espacios plegados, UTF-8 y NFC. Un fichero que no coincide no se escribe, y se dice cuál es y qué hash tiene.

En `--sources` valen el ZIP de ELTeC-spa o sus ficheros TEI sueltos (SPA….xml), y el texto de Gutenberg
(pg2000.txt), en cualquier subcarpeta; lo que falte se queda sin hacer y se dice.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import shutil
import sys
import unicodedata
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from pathlib import Path

from tqdm.auto import tqdm

from course_utils._files import atomic, atomic_write

MANIFEST = Path(__file__).with_name("manifiesto.csv")
ELTEC_COMMIT = "83e2a22d5ef66f96e59f47f7ef810358c4236322"
DOWNLOADS = {
    "eltec-spa.zip": f"https://github.com/COST-ELTeC/ELTeC-spa/archive/{ELTEC_COMMIT}.zip",
    "pg2000.txt": "https://www.gutenberg.org/cache/epub/2000/pg2000.txt",
}
TEI = "{http://www.tei-c.org/ns/1.0}"


# ---------------------------------------------------------------- de la fuente al texto
def fold(text: str) -> str:
    """Espacios y saltos plegados a un espacio, en NFC."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def tei_to_text(data: bytes) -> str:
    """Los elementos `p` y `l` del cuerpo, en orden, uno por línea.

    Portada, prólogos y notas finales (`front` y `back`) quedan fuera.
    """
    body = ET.fromstring(data).find(f"{TEI}text/{TEI}body")
    if body is None:
        raise ValueError("no es TEI: no tiene text/body")
    lines = [fold("".join(element.itertext())) for element in body.iter() if element.tag in (TEI + "p", TEI + "l")]
    return "".join(f"{line}\n" for line in lines if line)


def gutenberg_to_text(data: bytes) -> str:
    """El *Quijote* de Project Gutenberg desde la tasa hasta «Fin», un párrafo por línea.

    Vale con la edición de 2010 (Latin-1, guiones «-») y con la de 2021 (UTF-8, rayas «—»), que además trae un
    soneto que a la otra le faltaba: se deshacen las dos diferencias para que el resultado sea el mismo.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = text.replace("\r\n", "\n")
    found = re.search(r"^TASA\n.*?^Fin$", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError("no es el texto de Project Gutenberg 2000: no va de «TASA» a «Fin»")
    text = re.sub(r"(?<!\S)— ", "-", found.group()).replace("—", "-")
    text = re.sub(r"^Sancho Panza es asqueste.*?en sueño!$", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = (fold(paragraph) for paragraph in re.split(r"\n\s*\n", text))
    return "".join(f"{line}\n" for line in lines if line)


# ---------------------------------------------------------------- manifiesto y comprobación
def read_manifest(file: Path = MANIFEST) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def verify(name: str, data: bytes, expected: str) -> None:
    """Compara el SHA-256 con el del manifiesto.

    Raises
    ------
    ValueError
        Si no coincide: dice qué fichero, qué hash tiene y cuál debería tener.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ValueError(
            f"{name}: su SHA-256 es {found} y el manifiesto dice {expected} ({len(data)} bytes). "
            "La fuente es otra versión o está dañada."
        )


# ---------------------------------------------------------------- fuentes
def find_sources(folder: Path) -> dict[str, Callable[[], bytes]]:
    """De cada identificador del manifiesto (SPA1001…, 2000) a la función que lee su fuente."""
    found: dict[str, Callable[[], bytes]] = {}
    for archive in sorted(folder.rglob("*.zip")):
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                if match := re.search(r"level1/(SPA\d{4})_[^/]*\.xml$", name):
                    found[match[1]] = lambda archive=archive, name=name: zipfile.ZipFile(archive).read(name)
    for file in sorted(folder.rglob("SPA*.xml")):  # un fichero suelto manda más que el ZIP
        if match := re.match(r"SPA\d{4}", file.name):
            found[match[0]] = file.read_bytes
    for file in sorted(folder.rglob("pg2000*.txt")):
        found["2000"] = file.read_bytes
    return found


def download(folder: Path) -> None:
    """Descarga a `folder` lo que falte; una descarga cortada no deja un fichero a medias."""
    for name, url in DOWNLOADS.items():
        target = folder / name
        if target.is_file():
            continue
        request = urllib.request.Request(url, headers={"User-Agent": "curso-generacion-texto"})
        try:
            with atomic(target) as partial, urllib.request.urlopen(request, timeout=60) as answer:
                total, received = int(answer.headers.get("Content-Length") or 0), 0
                bar = tqdm(total=total or None, desc=name, unit="B", unit_scale=True, disable=None)
                with partial.open("wb") as out, bar:
                    while block := answer.read(1 << 16):
                        out.write(block)
                        received += len(block)
                        bar.update(len(block))
                if total and received != total:
                    raise urllib.error.URLError(f"llegaron {received} de {total} bytes")
        except (OSError, urllib.error.URLError) as error:
            raise ValueError(
                f"No he podido descargar {url} ({error}). Repite la orden o bájalo por otro medio y usa --sources."
            ) from error


def build(rows: list[dict[str, str]], sources: Path, output: Path) -> list[str]:
    """Convierte y comprueba cada obra; devuelve un mensaje por cada una que no se ha podido hacer."""
    found, problems = find_sources(sources), []
    for row in tqdm(rows, desc="convertir", disable=None):
        name, identifier = row["fichero"], row["identificador"]
        if identifier not in found:
            problems.append(f"{name}: falta su fuente ({row['fuente']} {identifier}) en {sources}.")
            continue
        try:
            convert = gutenberg_to_text if row["fuente"] == "Project Gutenberg" else tei_to_text
            text = convert(found[identifier]()).encode("utf-8")
            verify(name, text, row["sha256"])
        except (ValueError, ET.ParseError, zipfile.BadZipFile) as error:
            problems.append(str(error) if str(error).startswith(name) else f"{name}: {error}.")
            continue
        atomic_write(output / name, text)
    return problems


def check(rows: list[dict[str, str]], output: Path) -> list[str]:
    """Comprueba los textos que ya están en `output`, sin fuentes."""
    problems = []
    for row in rows:
        file = output / row["fichero"]
        if not file.is_file():
            problems.append(f"{file.name}: no está en {output}.")
            continue
        try:
            verify(file.name, file.read_bytes(), row["sha256"])
        except ValueError as error:
            problems.append(str(error))
    return problems


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="directorio del corpus (git no lo sigue)")
    parser.add_argument("--sources", type=Path, help="usa estas fuentes y no descargues nada")
    parser.add_argument("--check", action="store_true", help="solo comprueba los textos que hay en --output")
    args = parser.parse_args(argv)
    rows = read_manifest()
    if args.check:
        problems = check(rows, args.output)
    else:
        args.output.mkdir(parents=True, exist_ok=True)
        sources = args.sources or args.output / "fuentes"
        try:
            if args.sources is None:
                sources.mkdir(exist_ok=True)
                download(sources)
            elif not sources.is_dir():
                raise ValueError(f"No existe el directorio {sources}. Indica en --sources dónde están las fuentes.")
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
        problems = build(rows, sources, args.output)
        shutil.copyfile(MANIFEST, args.output / MANIFEST.name)
    for problem in problems:
        print(f"✗ {problem}", file=sys.stderr)
    print(f"{len(rows) - len(problems)} de {len(rows)} textos correctos en {args.output}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
