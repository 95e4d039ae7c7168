"""Las respuestas de tests/support/answers, juzgadas en otro proceso, y la máquina antes y después de ejecutar algo."""

import csv
import html
import importlib
import os
import re
from pathlib import Path

from answers import published
from cuadernos import NOTEBOOKS

from course_utils import checks
from course_utils.grade import judging

EXTRA = (Path(__file__).resolve().parent, NOTEBOOKS)  # lo que la caja deja ver, solo en estas pruebas


def bank(session: str) -> list[tuple]:
    """(ejercicio, respuesta, código que la da) de todas las de una sesión: publicadas, raras y malas."""
    table = importlib.import_module(f"answers.session_{session.lower()}")
    start = "from answers import published\n"
    found = [(e, a, f"{start}answer = published({session!r})[{e!r}]") for e, a in published(session).items()]
    for kind in ("UNUSUAL", "MISTAKES"):
        for place, case in enumerate(getattr(table, kind)):
            code = f"from answers import session_{session.lower()} as t\nanswer = t.{kind}[{place}][1]"
            found.append((case[0], case[1], code))
    return found


def differences(box, session: str, cases) -> list[str]:
    """De qué respuestas no se dice exactamente lo mismo aquí que en la caja: reglas, lo recibido y pistas."""
    channel, found = judging._Until(box.fork(), 900), []
    try:
        for exercise, answer, code in cases:
            here = checks.review(exercise, answer)
            cells = [{"name": "<celda>", "source": code, "keep": [0, 1]}]
            there = checks.review(exercise, judging.ask(channel, exercise, cells, "answer"))
            if _plain(here) != _plain(there):
                found.append(f"{exercise} {code.splitlines()[1]}: {_plain(here)} y {_plain(there)}")
    finally:
        channel.channel.close()
        box.end()
    return found


def _plain(outcomes):
    """Sin la dirección de memoria que enseñan algunos objetos."""
    plain = lambda text: text and re.sub(r" at 0x[0-9a-f]+", "", text)  # noqa: E731
    return outcomes and [(o.rule.description, plain(o.received), o.hints) for o in outcomes]


# ---------------------------------------------------------------- las notas
def disagreements(notes: Path, expected: dict) -> list[str]:
    """Lo que no es como se esperaba, persona a persona."""
    with notes.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["Estudiante"].lstrip("'"): row for row in csv.DictReader(file)}
    shown = [html.unescape(p.read_text(encoding="utf-8")) for p in (notes.parent / "paginas").glob("*.html")]
    found = [f"sobra {name}" for name in rows if name not in expected]
    for name, wanted in expected.items():
        row = rows[name]
        points = {k: int(v) for k, v in row.items() if k and k[-2:-1] == "." and v}
        if points != wanted.points:
            found.append(f"{name}: {points} y no {wanted.points}; {row['Avisos']}")
        if wanted.said not in row["Avisos"] and not any(f"<h1>{name}</h1>" in p and wanted.said in p for p in shown):
            found.append(f"{name}: no dice «{wanted.said}»; {row['Avisos']}")
    return found


# ---------------------------------------------------------------- la máquina
def files(*folders: Path) -> dict:
    """Los archivos, con su tamaño y su fecha; las cachés y git van a su aire."""
    found = {}
    for folder in folders:
        for place, inside, names in os.walk(folder):
            inside[:] = [n for n in inside if n not in (".git", ".venv", "__pycache__", "node_modules", ".ruff_cache")]
            for name in names:
                path = os.path.join(place, name)
                stat = os.lstat(path)
                found[path] = stat.st_size, stat.st_mtime_ns, stat.st_mode
    return found


def belongings() -> dict[str, object]:
    """Lo de este proceso que no debería cambiar: entorno, carpeta, descriptores, hilos y señales."""
    status = dict(x.split(":", 1) for x in Path("/proc/self/status").read_text().splitlines() if ":" in x)
    return {
        "entorno": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "carpeta": os.getcwd(),
        "descriptores": len(os.listdir("/proc/self/fd")),
        "hilos": int(status["Threads"]),
        "señales": [status[name].strip() for name in ("SigBlk", "SigIgn", "SigCgt")],
    }


def descendants(pid: int | None = None) -> dict[int, int]:
    """Los procesos que dependen de este, y la memoria de cada uno, en KiB."""
    parents, memory = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                lines = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines() if ":" in line)
            except OSError:
                continue
            if not lines["State"].strip().startswith("Z"):
                parents[int(entry.name)] = int(lines["PPid"])
                memory[int(entry.name)] = int(lines.get("VmRSS", "0 kB").split()[0])
    mine, fresh = set(), {pid or os.getpid()}
    while fresh:
        fresh = {p for p, parent in parents.items() if parent in fresh} - mine
        mine |= fresh
    return {p: memory[p] for p in mine}
