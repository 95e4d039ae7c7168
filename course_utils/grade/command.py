"""La orden ``grade``: lee las entregas, las corrige en paralelo, guarda lo que lleva y escribe las notas."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import json
import multiprocessing
import os
import re
import secrets
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from . import alike, course, gather, pages, reading, results, sandbox, tables
from .course import Exercise
from .gather import Submission
from .results import Result

_ISOLATED = "Cada ejercicio se ha ejecutado aislado: sin red, sin más archivos que Python y el curso, y con límites."
_LOOSE = (
    "SIN AISLAR: el código entregado se ha ejecutado con los permisos de quien corrige, que es lo que se pidió con "
    "--no-sandbox. Pudo leer sus archivos y las reglas."
)


_NAMES = "Antes de compartir esa carpeta, quita identidades.json y .corregido/: dicen quién es quién."
# Lo que se mira y se pregunta, y no se le escribe a nadie en su página.
_FOR_TEACHERS = re.compile(r"que no hace falta para contestar: míralo$|igual que la solución publicada$")


@dataclass(frozen=True)
class Options:
    """Lo que se pide: dónde están las entregas, dónde va lo que sale, y cómo."""

    folder: Path
    output: Path
    sessions: tuple[str, ...] = ()
    notebooks: Path | None = None
    workers: int = 1
    timeout: int = 30
    comma: bool = False
    moodle: bool = False
    anonymous: bool = False
    sandboxed: bool = True


def main(args) -> int:
    """Atiende ``python -m course_utils grade``; devuelve el código de salida."""
    folder = Path(args.carpeta)
    output = args.output or folder.resolve().with_name(f"{folder.resolve().stem}-notas")
    sessions = tuple(name for given in args.sessions or () for name in given.split(",") if name)
    options = Options(
        folder, output, sessions, args.notebooks, args.workers, args.timeout, args.decimal_comma,
        args.moodle, args.anonymous, not args.no_sandbox,
    )  # fmt: skip
    found = run(options)
    for line in found:
        print(line)
    return 0


def run(options: Options) -> list[str]:
    """Corrige y escribe; devuelve lo que hay que contar.

    Raises
    ------
    ValueError
        Si lo que se pide no se puede hacer: se dice antes de ejecutar nada.
    """
    _sensible(options)
    exercises = _chosen(course.load(options.notebooks), options.sessions)
    submissions = gather.gather(
        options.folder, _looks(exercises), sorted({Path(e.notebook).name for e in exercises.values()})
    )
    state = options.output / ".corregido"
    try:
        state.mkdir(parents=True, exist_ok=True)
        return _write(_all(submissions, exercises, options, state), exercises, options)
    except OSError as error:
        raise ValueError(_unwritable(options.output, error)) from error
    except KeyboardInterrupt:
        print("\nCortado. Lo corregido está guardado: la misma orden sigue donde iba.", file=sys.stderr)
        raise


def _unwritable(output: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"No queda sitio en el disco de {output}. Lo corregido hasta aquí está guardado: libera espacio y repite "
            "la misma orden, que sigue donde iba."
        )
    reason = {errno.EACCES: "no hay permiso", errno.EROFS: "ese disco es de solo lectura"}
    reason |= {errno.ENOTDIR: "hay un archivo que se llama así", errno.EEXIST: "hay un archivo que se llama así"}
    return f"No se puede escribir en {output}: {reason.get(error.errno, error.strerror)}. Elige otra con --output."


def _sensible(options: Options) -> None:
    if options.workers < 1:
        raise ValueError(f"--workers {options.workers}: tiene que haber uno por lo menos.")
    if options.timeout < 1:
        raise ValueError(f"--timeout {options.timeout}: tiene que ser un segundo por lo menos.")
    if os.name != "posix":
        raise ValueError("Corregir necesita Linux o macOS. En Windows, hazlo dentro de WSL.")
    if options.folder.is_dir() and options.output.resolve().is_relative_to(options.folder.resolve()):
        raise ValueError(
            "Las notas no pueden ir a la carpeta de las entregas ni dentro de ella: la próxima vez parecerían otra "
            "entrega. Elige otra con --output."
        )
    if options.moodle and options.anonymous:
        raise ValueError(
            "--moodle dice a Moodle de quién es cada nota, y --anonymous lo quita: pide una cosa o la otra."
        )
    if options.sandboxed and (reason := sandbox.why_not()):
        raise ValueError(
            f"No se puede aislar lo entregado, y sin aislar no se ejecuta: {reason}. Si te fías de todas las entregas, "
            "--no-sandbox sigue sin ello, y queda dicho en el informe."
        )


def _chosen(exercises: Mapping[str, Exercise], sessions: Sequence[str]) -> dict[str, Exercise]:
    if not sessions:
        return dict(exercises)
    wanted = {str(session).upper().zfill(2) for session in sessions}
    known = {e.session for e in exercises.values()}
    if unknown := sorted(wanted - known):
        raise ValueError(f"No hay ejercicios de la sesión {', '.join(unknown)}. Hay: {', '.join(sorted(known))}.")
    return {number: e for number, e in exercises.items() if e.session in wanted}


def _looks(exercises: Mapping[str, Exercise]):
    """De un cuaderno, los cuadernos del curso a los que se parece."""

    def looks(raw: bytes) -> list[str]:
        try:
            notebook = reading.read(reading.from_bytes(raw), exercises)
        except (reading.Unreadable, RecursionError):
            return []
        return sorted({exercises[number].notebook for number in notebook.attempts})

    return looks


# ---------------------------------------------------------------- corregir
def _all(submissions: Sequence[Submission], exercises, options: Options, state: Path) -> list[Result]:
    """Los resultados, en el orden de las entregas; los que ya estaban guardados no se repiten."""
    from tqdm import tqdm

    settings = f"{sorted(map(repr, exercises.values()))}|{options.timeout}|{options.sandboxed}"
    keys = [results.key(submission, settings) for submission in submissions]
    found = {k: results.saved(state, k) for k in keys}
    pending = {k: s for k, s in zip(keys, submissions, strict=True) if found[k] is None}
    with tqdm(total=len(keys), initial=len(keys) - len(pending), unit="entrega", disable=None) as bar:
        for name, result in _pool(pending, exercises, options):
            results.save(state, name, result)
            found[name] = result
            bar.update()
    return [found[k] for k in keys]


def _pool(pending: Mapping[str, Submission], exercises, options: Options):
    """(huella, resultado) según van acabando. Si cae un proceso de los que juzgan, lo suyo se repite a solas."""
    if not pending:
        return
    left, alone = dict(pending), False
    setup = (exercises, sandbox.Limits(options.timeout), options.sandboxed)
    context = multiprocessing.get_context("spawn")
    while left:
        batch = dict([next(iter(left.items()))]) if alone else dict(left)
        try:
            with _at_once(ProcessPoolExecutor(min(options.workers, len(batch)), context, _prepare, setup)) as pool:
                with _deaf():
                    futures = {pool.submit(_one, s): k for k, s in batch.items()}
                for future in as_completed(futures):
                    name, result = futures[future], future.result()
                    del left[name]
                    yield name, result
        except BrokenProcessPool:
            if alone:
                name, submission = next(iter(batch.items()))
                del left[name]
                note = ("", "no se ha podido corregir: ha tirado abajo el proceso que juzga")
                yield name, Result(submission.student, submission.ident, notes=[note])
            alone = True


@contextlib.contextmanager
def _at_once(pool: ProcessPoolExecutor):
    """Como ``with pool``, pero si se corta no espera a lo que queda."""
    with pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.kill()
            raise


@contextlib.contextmanager
def _deaf():
    """Los procesos que se abren aquí no oyen Ctrl+C: lo oye quien los abre, y los cierra."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_HERE: dict = {}


def _prepare(exercises, limits: sandbox.Limits, isolated: bool) -> None:
    """Lo que tiene cada proceso que juzga. Al morir él, muere su caja; y él, cuando muere quien lo abrió."""
    import torch

    threading.Thread(target=_follow, daemon=True).start()
    torch.set_num_threads(1)
    _HERE.update(exercises=exercises, box=sandbox.Sandbox(limits, isolated=isolated))


def _follow() -> None:
    """Se va con quien lo abrió, también si a ese lo mata el sistema: si no, se quedaría esperando para siempre."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _one(submission: Submission) -> Result:
    return results.grade(submission, _HERE["exercises"], _HERE["box"])


# ---------------------------------------------------------------- escribir
def _write(found: Sequence[Result], exercises: Mapping[str, Exercise], options: Options) -> list[str]:
    shown = _counted(found, exercises, asked=bool(options.sessions))
    similar = _alike(found, shown)
    if options.anonymous:
        found, similar = _hidden(found, similar, options.output)
    notes = {result.student: _notes(result, exercises, options) for result in found}
    isolation = _ISOLATED if options.sandboxed else _LOOSE
    _save(options.output / "notas.csv", "\ufeff" + tables.grades(found, shown, notes, comma=options.comma))
    (options.output / "moodle.csv").unlink(missing_ok=True)  # el de otra vez, con otras notas o con nombres
    if options.moodle:
        _save(options.output / "moodle.csv", tables.moodle(found, shown, notes, comma=options.comma))
    folder = options.output / "paginas"
    folder.mkdir(exist_ok=True)
    wanted = _names([result.student for result in found])
    for old in set(folder.glob("*.html")) - {folder / name for name in wanted.values()}:
        old.unlink()
    for result in found:
        told = [line for line in notes[result.student] if not _FOR_TEACHERS.search(line)]
        _save(folder / wanted[result.student], pages.feedback(result, shown, _once(result, told)))
    links = {student: f"{folder.name}/{name}" for student, name in wanted.items()}
    _save(options.output / "informe.html", pages.report(found, shown, notes, similar, isolation, links))
    books = {e.notebook: sum(e.notebook in result.books for result in found) for e in shown}
    lost = [result for result in found if not result.verdicts]
    spent = sorted(result.seconds for result in found)
    return [
        f"{len(found)} entregas, {len(shown)} ejercicios, {tables.most(shown)} puntos como mucho. Cuentan los de "
        f"{', '.join(f'{book} ({count})' for book, count in books.items()) or 'ningún cuaderno'}.",
        *([f"Sin nota, porque no se ha podido corregir nada: {len(lost)}. El aviso dice por qué."] if lost else []),
        f"Segundos por entrega: {_number(spent[len(spent) // 2])} de mediana y {_number(spent[-1])} la que más.",
        f"Con avisos: {sum(bool(lines) for lines in notes.values())}. Respuestas que se parecen: {len(similar)}.",
        f"Las notas están en {options.output / 'notas.csv'}; el informe, en informe.html; una página por persona, en "
        "paginas/.",
        *([_NAMES] if options.anonymous else []),
        *([] if options.sandboxed else [f"⚠ {_LOOSE}"]),
    ]


def _counted(found: Sequence[Result], exercises: Mapping[str, Exercise], *, asked: bool) -> list[Exercise]:
    """Los ejercicios que cuentan: los de los cuadernos que ha entregado alguien.

    De una sesión que se pidió y no ha entregado nadie, todos.
    """
    books = {book for result in found for book in result.books}
    sessions = {e.session for e in exercises.values() if e.notebook in books}
    return [e for e in exercises.values() if e.notebook in books or (asked and e.session not in sessions)]


def _once(result: Result, lines: Sequence[str]) -> list[str]:
    """Los avisos que la página no dice ya en su ejercicio."""
    said = {f"{number}: {verdict.received}" for number, verdict in result.verdicts.items()}
    return [line for line in lines if line not in said]


def _number(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")


def _alike(found: Sequence[Result], shown: Sequence[Exercise]) -> list[alike.Pair]:
    pairs = []
    for exercise in shown:
        mine = {r.student: r.sources[exercise.number] for r in found if exercise.number in r.sources}
        pairs += alike.pairs(exercise.number, mine, (exercise.stub, exercise.solution), exercise.function)
    return pairs


def _notes(result: Result, exercises: Mapping[str, Exercise], options: Options) -> list[str]:
    """Los avisos de una persona, con el archivo del que hablan; si no se puede saber quién es, sin su nombre."""
    lines = []
    files = list(dict.fromkeys(path for path, _ in result.notes if path))
    for path, text in result.notes:
        where = f"archivo {files.index(path) + 1}" if options.anonymous and path else path
        lines.append(f"{where}: {text}" if where and not re.match(r"^A?\d+\.\d", text) else text)
    for number, source in result.sources.items():
        exercise = exercises[number]
        same = course.normal(source, exercise.function) == course.normal(exercise.solution, exercise.function)
        if same and not alike.trivial(source):
            lines.append(f"{number}: igual que la solución publicada")
    if not options.sandboxed:
        lines.append("corregido sin aislar")
    return list(dict.fromkeys(lines))


def _names(students: Sequence[str]) -> dict[str, str]:
    """Un nombre de archivo seguro y distinto para cada persona."""
    found: dict[str, str] = {}
    for student in students:
        short = re.sub(r"[^\w]+", "_", student).strip("_")[:60] or "estudiante"
        if f"{short}.html".casefold() in {name.casefold() for name in found.values()}:
            short += "_" + hashlib.sha256(student.encode()).hexdigest()[:8]
        found[student] = f"{short}.html"
    return found


def _hidden(found: Sequence[Result], similar, output: Path) -> tuple[list[Result], list]:
    """Lo mismo, con seudónimos. La clave y quién es quién quedan aparte, en ``identidades.json``."""
    path = output / "identidades.json"
    try:
        secret = json.loads(path.read_text(encoding="utf-8"))["clave"]
    except (OSError, ValueError, KeyError, TypeError):
        secret = secrets.token_hex(16)
    names: dict[str, str] = {}
    for result in found:
        mark = hmac.new(secret.encode(), result.student.encode(), "sha256").hexdigest().upper()
        size = next(n for n in range(6, 65) if f"E-{mark[:n]}" not in names.values())
        names[result.student] = f"E-{mark[:size]}"
    people = {mark: student for student, mark in sorted(names.items())}
    _save(path, json.dumps({"clave": secret, "personas": people}, ensure_ascii=False, indent=1) + "\n")
    path.chmod(0o600)
    hidden = [replace(result, student=names[result.student], ident="") for result in found]
    pairs = [replace(p, first=names[p.first], second=names[p.second]) for p in similar]
    return sorted(hidden, key=lambda result: result.student), pairs


def _save(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8", "replace"))
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
