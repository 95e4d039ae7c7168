"""Los enlaces del curso: los externos, escritos una vez en enlaces.toml, y los del propio repositorio.

Lo usan los programas que construyen los cuadernos y las páginas, el que comprueba los enlaces y el que cambia el curso
de repositorio.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import ROOT

DATA = "notebooks/fuente/enlaces.toml"
TOURS = "docs/lab/tours"
COLAB = "https://colab.research.google.com"
SLUG = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}?"
FIELDS = {"title": str, "url": str, "arxiv": str, "doi": str, "journal": str}
FIELDS |= {"authors": list, "others": bool, "year": int, "book": bool}
KINDS = {str: "un texto, entre comillas", list: "una lista de textos", bool: "true o false", int: "un número entero"}
SKIPPED_FOLDERS = {"__pycache__", "build", "dist", "corpus", "node_modules"}
CODE = r"(?P<code>```.*?```|~~~.*?~~~|(?P<ticks>`+)(?!`)(?:(?!\n\n).)+?(?<!`)(?P=ticks)(?!`))"
_REFERENCE = re.compile(CODE + r"|\[(?P<text>[^\[\]]*)\]\((?P<kind>enlace|recorrido):(?P<key>[^)\s]*)\)", re.DOTALL)
_URL = re.compile(r"https?://[^\s<>\"'`\\)\]}»|]+")


@dataclass(frozen=True)
class Link:
    """Una entrada de enlaces.toml. Con ``authors`` y ``year`` es un artículo o un libro."""

    key: str
    title: str
    url: str
    authors: tuple[str, ...] = ()
    others: bool = False
    year: int | None = None
    journal: str = ""
    book: bool = False
    arxiv: str = ""
    doi: str = ""

    @property
    def is_paper(self) -> bool:
        return bool(self.authors)

    def cite(self) -> str:
        """Como se cita en un cuaderno: «A. Fan, M. Lewis y Y. Dauphin, [título](dirección) (2018)»."""
        linked = f"[{self.title}]({self.url})"
        if not self.is_paper:
            return linked
        names = [short_name(author) for author in self.authors]
        if self.others or len(names) > 3:
            signed = f"{names[0]} et al."
        else:
            signed = " y ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        return f"{signed}, {linked} ({self.year})"


def short_name(author: str) -> str:
    """«Chang, Ming-Wei» → «M.-W. Chang»; una organización se queda igual."""
    family, _, given = author.partition(", ")
    initials = ["-".join(f"{part[0]}." for part in name.split("-")) for name in given.split()]
    return " ".join([*initials, family])


# --- Los externos -----------------------------------------------------------------------------------


def load_links(root: Path = ROOT) -> dict[str, Link]:
    """Lee y comprueba ``enlaces.toml``.

    Raises
    ------
    ValueError
        Si el archivo no se puede leer, a una entrada le falta o le sobra algo, o dos llevan la misma dirección.
    """
    try:
        data = tomllib.loads((root / DATA).read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(f"falta {DATA}, con las direcciones de los enlaces.") from None
    except ValueError as error:  # ni TOML ni, quizá, UTF-8
        raise ValueError(f"{DATA} no es TOML válido: {error}") from None
    links, owners = {}, {}
    for key, fields in data.items():
        links[key] = link = _read(key, fields)
        first = owners.setdefault(link.url.rstrip("/").lower(), key)
        if first != key:
            raise ValueError(f"{DATA}: «{first}» y «{key}» llevan la misma dirección, {link.url}. Deja una.")
    return links


def _read(key: str, fields: dict) -> Link:
    def problem(text: str) -> ValueError:
        return ValueError(f"{DATA}, [{key}]: {text}")

    if not re.fullmatch(r"[a-z0-9-]+", key) or not isinstance(fields, dict):
        raise problem("la clave va en minúsculas, sin tildes, como vaswani2017 o gpt-2.")
    if unknown := sorted(set(fields) - set(FIELDS)):
        raise problem(f"no conozco «{unknown[0]}». Vale: {', '.join(sorted(FIELDS))}.")
    for name, value in fields.items():
        if type(value) is not FIELDS[name] or (name == "authors" and not all(isinstance(one, str) for one in value)):
            raise problem(f"{name} debe ser {KINDS[FIELDS[name]]}, y es {value!r}.")
    places = [name for name in ("url", "arxiv", "doi") if name in fields]
    if not fields.get("title") or len(places) != 1:
        raise problem(f"hacen falta title y solo una de url, arxiv o doi; tiene {sorted(fields)}.")
    patterns = {"url": r"https?://[\w.-]+\.\w+(/\S*)?", "arxiv": r"\d{4}\.\d{4,5}", "doi": r"10\.\d{4,9}/\S+"}
    value = fields[places[0]]
    if not re.fullmatch(patterns[places[0]], value):
        raise problem(f"{places[0]} no puede ser «{value}».")
    if ("authors" in fields) != ("year" in fields) or fields.get("authors", ["x"]) == []:
        raise problem("un artículo lleva authors y year; otra página, ninguno de los dos.")
    prefix = {"url": "", "arxiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}[places[0]]
    url = prefix + value.replace("(", "%28").replace(")", "%29")  # un paréntesis cerraría el enlace de Markdown
    return Link(key, **fields | {"url": url, "authors": tuple(fields.get("authors", ()))})


def find_link(links: dict[str, Link], key: str) -> Link:
    """La entrada de una clave; si no existe, un ``ValueError`` con las que se le parecen."""
    if key in links:
        return links[key]
    near = difflib.get_close_matches(key, links, n=3)
    hint = f"¿Querías decir {' o '.join(near)}? Si es nuevo" if near else "Si es nuevo"
    raise ValueError(f"no hay ningún enlace «{key}». {hint}, añádelo a {DATA}.")


def resolve(text: str, root: Path = ROOT) -> str:
    """Cambia ``[texto](enlace:clave)`` y ``[](enlace:clave)`` por enlaces de verdad; el código no se toca.

    ``[texto](recorrido:03)`` lleva a ese recorrido del laboratorio.

    Raises
    ------
    ValueError
        Si una clave no está en ``enlaces.toml``, o no hay tal recorrido: dice en qué línea del texto.
    """
    if not re.search(r"\]\((?:enlace|recorrido):", text):
        return text
    links = load_links(root)

    def replace(match: re.Match) -> str:
        if match["code"]:
            return match[0]
        try:
            if match["kind"] == "recorrido":
                return f"[{match['text']}]({tour(match['key'], root)})"
            link = find_link(links, match["key"])
        except ValueError as error:
            line = text.count("\n", 0, match.start("key")) + 1
            raise ValueError(f"línea {line}: {error}") from None
        return f"[{match['text']}]({link.url})" if match["text"].strip() else link.cite()

    return _REFERENCE.sub(replace, text)


def find_urls(text: str) -> list[str]:
    """Las direcciones http(s) que hay en un texto, sin la puntuación que las sigue."""
    return [url.rstrip(".,;:!?*_") for url in _URL.findall(text)]


# --- El propio repositorio --------------------------------------------------------------------------


def repository_slug(root: Path = ROOT) -> str:
    """«dueño/nombre», de [project.urls] en pyproject.toml.

    Raises
    ------
    ValueError
        Si no está o no es una dirección de GitHub.
    """
    try:
        text = (root / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(rf'^Repositorio = "https://github\.com/({SLUG})(?:\.git)?/?"', text, re.MULTILINE)
    if found is None:
        raise ValueError(
            "falta la dirección del repositorio: escribe Repositorio = "
            '"https://github.com/dueño/nombre" en [project.urls] de pyproject.toml.'
        )
    return found[1]


def site(root: Path = ROOT) -> str:
    """La dirección del sitio del curso, la que GitHub Pages da al repositorio."""
    owner, name = repository_slug(root).split("/")
    return f"https://{owner}.github.io/{name}/"


def tour(session: str, root: Path = ROOT) -> str:
    """La dirección del recorrido de una sesión en el laboratorio del sitio.

    Raises
    ------
    ValueError
        Si esa sesión no tiene recorrido.
    """
    if not (root / TOURS / f"{session}.json").is_file():
        known = ", ".join(sorted(path.stem for path in (root / TOURS).glob("*.json")))
        raise ValueError(f"no hay ningún recorrido «{session}» en {TOURS}. Hay: {known or 'ninguno'}.")
    return f"{site(root)}lab/?recorrido={session}"


def colab_badge(notebook: str, root: Path = ROOT) -> str:
    """El distintivo que abre en Colab un cuaderno, dado por su ruta desde la raíz."""
    image = f"[![Abrir en Colab]({COLAB}/assets/colab-badge.svg)]"
    return f"{image}({COLAB}/github/{repository_slug(root)}/blob/main/{notebook})"


def tracked_files(root: Path = ROOT) -> list[Path]:
    """Los archivos que sigue git; sin git (un ZIP descargado), los de la carpeta, salvo entornos y cachés."""
    try:
        # «.git» en la propia raíz: si el curso está copiado dentro de otro repositorio, ese no es el suyo.
        if (root / ".git").exists():
            listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
            names = sorted(os.fsdecode(name) for name in listed.split(b"\0") if name)
            return [root / name for name in names if (root / name).is_file() and not (root / name).is_symlink()]
    except (OSError, subprocess.CalledProcessError):
        pass  # git no está, o no puede leer el repositorio
    found = []
    for folder, children, names in os.walk(root):
        children[:] = sorted(
            name
            for name in children
            if name not in SKIPPED_FOLDERS
            and not name.endswith(".egg-info")
            and (name in (".ci", ".github") or name[0] != ".")
        )
        found += [Path(folder, name) for name in sorted(names) if not Path(folder, name).is_symlink()]
    return found
