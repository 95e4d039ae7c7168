"""Quién entrega qué: de una carpeta con cuadernos, subcarpetas, zips o lo que descarga Moodle o Classroom."""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from . import unzip
from .reading import MAX_FILE

_MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+_?(?P<rest>.*)$", re.DOTALL)
_MOODLE_FOLDER = re.compile(r"^(?:.*[/:])?[^/:]*_\d+_assignsubmission_[a-z]+_?/?", re.DOTALL)
_CLASSROOM = re.compile(r"^(?P<name>[^\d].*?) - (?P<rest>.+\.ipynb)$", re.DOTALL | re.IGNORECASE)
_COPY = re.compile(r"^(copia de|copy of)\s*|[\s_]*\(\d+\)$|[\s_-]+(copia|copy)\d*$", re.IGNORECASE)
_SKIPPED = re.compile(r"__MACOSX|\..+|Thumbs\.db|desktop\.ini|.+\.(csv|ods|xlsx?)", re.IGNORECASE)  # nadie los entrega
MAX_NESTED = 3


@dataclass(frozen=True)
class File:
    """Un archivo entregado: dónde está (dentro de un zip, con su ruta) y su contenido, o por qué no se ha leído."""

    path: str
    raw: bytes | None
    why: str = ""


@dataclass
class Submission:
    """Lo que entrega una persona. ``ident`` es su número en Moodle, si se sabe."""

    student: str
    ident: str = ""
    files: list[File] = field(default_factory=list)


@dataclass(frozen=True)
class _Found:
    """Un archivo y las carpetas por las que se llega a él."""

    parts: tuple[str, ...]
    file: File


def gather(
    folder: str | Path, looks_like: Callable[[bytes], Sequence[str]], stems: Sequence[str] = ()
) -> list[Submission]:
    """Las entregas de una carpeta o de un zip, por orden de nombre.

    Parameters
    ----------
    looks_like : callable
        De un cuaderno, las sesiones cuyos ejercicios tiene: sirve para distinguir a una persona con varios cuadernos
        de un grupo de personas con el mismo.
    stems : sequence of str
        Los nombres de los cuadernos del curso, que no son de nadie.

    Raises
    ------
    ValueError
        Si no existe, no se puede leer o no hay nada que corregir.
    """
    base = Path(folder)
    if not base.exists():
        raise ValueError(f"No existe {base}. Di la carpeta con las entregas, o el zip que se descarga de Moodle.")
    if not base.is_dir() and base.suffix.lower() != ".zip":
        raise ValueError(f"{base} no es una carpeta ni un zip. Pon las entregas en una carpeta y di cuál.")
    if not os.access(base, os.R_OK | (os.X_OK if base.is_dir() else 0)):
        raise ValueError(f"No hay permiso para leer {base}. Mira de quién es con «ls -ld».")
    found = list(_walk(base) if base.is_dir() else _inside(base.read_bytes(), (), base.name, 0))
    if not found:
        raise ValueError(f"En {base} no hay ningún cuaderno ni ningún zip. Busca archivos .ipynb o .zip.")
    return sorted(_people(_owners(found, looks_like, stems)), key=lambda s: (_plain(s.student), s.student))


def _people(owned) -> list[Submission]:
    """Una entrega por persona. En Moodle, el número distingue a quienes se llaman igual: sale detrás de su nombre."""
    people: dict[tuple[str, str], Submission] = {}
    for student, ident, file in owned:
        people.setdefault((student, ident), Submission(student, ident)).files.append(file)
    for student, ident in list(people):
        same = [other for name, other in people if name == student and other]
        if len(same) > 1 and ident:
            people[student, ident].student = f"{student} ({ident})"
        elif len(same) == 1 and not ident:  # lo mismo, una vez con número y otra sin él
            people[student, same[0]].files += people.pop((student, "")).files
    return list(people.values())


# ---------------------------------------------------------------- recorrer
def _walk(base: Path, parts: tuple[str, ...] = ()):
    """Los cuadernos y los zips, sin seguir ningún enlace."""
    try:
        entries = sorted(os.scandir(base), key=lambda entry: entry.name)
    except OSError:
        yield _Found((*parts, ""), File("/".join(parts), None, "no hay permiso para abrir la carpeta"))
        return
    for entry in entries:
        here, path = (*parts, _printable(entry.name)), Path(entry.path)
        if _SKIPPED.fullmatch(entry.name) and not _MOODLE.match(entry.name):
            continue
        if entry.is_symlink():
            yield _Found(here, File("/".join(here), None, "es un enlace a otro sitio, y no se sigue"))
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(path, here)
        elif not entry.is_file(follow_symlinks=False):
            yield _Found(here, File("/".join(here), None, "no es un archivo corriente"))
        elif path.suffix.lower() == ".zip":
            yield from _zip(path, here)
        elif path.suffix.lower() == ".ipynb":
            yield _Found(here, _read(path, "/".join(here)))
        else:
            yield _Found(here, File("/".join(here), None, "no es un cuaderno"))


def _read(path: Path, name: str) -> File:
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            return File(name, None, f"ocupa {size / 2**20:.0f} MB y no se abre; el tope son {MAX_FILE // 2**20}")
        if not os.access(path, os.R_OK) or not path.stat().st_mode & 0o444:  # a root nada le está vedado
            raise PermissionError
        return File(name, path.read_bytes())
    except PermissionError:
        return File(name, None, "no hay permiso para leerlo")
    except OSError as error:
        return File(name, None, f"no se puede leer ({error.strerror})")


def _zip(path: Path, here: tuple[str, ...]):
    if path.stat().st_size > unzip.MAX_TOTAL:
        yield _Found(here, File("/".join(here), None, "el zip ocupa demasiado y no se abre"))
        return
    try:
        raw = path.read_bytes()
    except OSError:
        yield _Found(here, File("/".join(here), None, "no hay permiso para leerlo"))
        return
    yield from _inside(raw, (*here[:-1], here[-1][:-4]), "/".join(here), 0)


def _inside(raw: bytes, parts: tuple[str, ...], name: str, depth: int):
    """Lo de dentro de un zip, y de los zips que lleve dentro."""
    if depth >= MAX_NESTED:
        yield _Found((*parts, ""), File(name, None, "zips dentro de zips: se deja"))
        return
    count = 0
    try:
        for path, content, why in unzip.members(io.BytesIO(raw), MAX_FILE):
            count += 1
            inner = tuple(map(_printable, path.parts))
            where = f"{name}:{'/'.join(inner)}" if inner else name
            if content is not None and path.suffix.lower() == ".zip":
                yield from _inside(content, (*parts, *inner[:-1], inner[-1][:-4]), where, depth + 1)
            else:
                yield _Found((*parts, *(inner or ("",))), File(where, content, why))
    except unzip.Refused as error:
        yield _Found((*parts, ""), File(name, None, str(error)))
        return
    if not count:
        yield _Found((*parts, ""), File(name, None, "el zip no tiene ningún cuaderno"))


def _printable(name: str) -> str:
    """Un nombre que se puede escribir: los bytes que no son texto y los saltos de línea se cambian."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "�" for c in unicodedata.normalize("NFC", text))


# ---------------------------------------------------------------- de quién es cada uno
def _owners(found: list[_Found], looks_like, stems):
    """(persona, número, archivo) de cada uno."""
    rest = []
    for item in found:
        owner = _signed(item.parts)
        if owner is None:
            rest.append(item)
        else:
            yield *owner, replace(item.file, path=_MOODLE_FOLDER.sub("", item.file.path) or item.file.path)
    yield from _split(rest, (), looks_like, stems)


def _signed(parts: tuple[str, ...]) -> tuple[str, str] | None:
    """Quién firma una ruta al modo de Moodle o de Classroom."""
    for part in parts:
        if match := _MOODLE.match(part):
            return match["name"].strip(), match["id"]
    if match := _CLASSROOM.match(parts[-1]):
        name = match["name"].strip()
        if not _COPY.match(name) and not re.match(r"[A\d]\d_", name):
            return name, ""
    return None


def _split(found: list[_Found], parts: tuple[str, ...], looks_like, stems):
    """Reparte una carpeta: es de una persona si ninguna sesión se repite en dos de sus subcarpetas."""
    depth = len(parts)
    folders: dict[str, list[_Found]] = {}
    for item in found:
        if len(item.parts) > depth + 1:
            folders.setdefault(item.parts[depth], []).append(item)
        else:
            yield _stem(item, parts, stems), "", item.file
    for name, inside in folders.items():
        here = (*parts, name)
        if _one_person(inside, depth + 1, looks_like):
            for item in inside:
                yield "/".join(here), "", item.file
        else:
            yield from _split(inside, here, looks_like, stems)


def _one_person(inside: list[_Found], depth: int, looks_like) -> bool:
    owners: dict[str, set[str]] = {}
    for item in inside:
        below = item.parts[depth] if len(item.parts) > depth + 1 else ""
        for session in looks_like(item.file.raw) if item.file.raw else ():
            owners.setdefault(session, set()).add(below)
    return all(len(where) == 1 for where in owners.values())


def _stem(item: _Found, parts: tuple[str, ...], stems: Sequence[str]) -> str:
    """De un cuaderno suelto, su nombre sin el del cuaderno del curso: «garcia_02_bucle_de_generacion» es «garcia»."""
    name = item.parts[-1] or (item.parts[-2] if len(item.parts) > 1 else "")
    stem = short = PurePosixPath(name).stem if name.lower().endswith((".ipynb", ".zip")) else name
    for known in stems:
        short = re.sub(re.escape(known), "", short, flags=re.IGNORECASE)
    short = _COPY.sub("", short).strip(" _-.()")
    return "/".join((*parts, short or stem or "sin nombre"))


def _plain(name: str) -> str:
    """Para ordenar: sin tildes ni mayúsculas, y la eñe detrás de la ene."""
    plain = unicodedata.normalize("NFD", name.casefold().replace("ñ", "n\uffff"))
    return "".join(c for c in plain if not unicodedata.combining(c))
