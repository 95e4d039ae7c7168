"""Mide lo que gasta un estudiante en cada sesión y escribe tools/deploy/medidas.json y las tablas que salen de él.

    python -m tools.deploy.measure                         las doce sesiones con el perfil mini, y el servidor en reposo
    python -m tools.deploy.measure 02 05                   solo esas
    python -m tools.deploy.measure --profile mediano 02    con el LLM
    python -m tools.deploy.measure --weights               cuánto se copia al cargar los pesos
    python -m tools.deploy.measure --class informe.json    añade el informe de tests/nightly/test_hub.py
    python -m tools.deploy.measure --tables                solo las tablas del README y de la guía

De cada proceso se miden dos cosas que no dependen de lo ocupada que esté la máquina: los segundos de procesador y la
memoria *suya* (USS: la que se libera si se cierra). Las bibliotecas y los archivos que comparten todos los procesos no
son suyos: para que eso se cumpla también al medir uno solo, al lado hay un testigo que los tiene cargados. Los hilos,
como los pone el hub (tools/deploy/start.py): uno por núcleo de Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from .. import ROOT, write_if_changed
from .start import environment

OUTPUT = ROOT / "tools" / "deploy" / "medidas.json"
MB = 1000.0**2
EVERY = 0.5  # segundos entre dos miradas
WITNESS = """
import sys, matplotlib.pyplot, pandas, datasets, sklearn, peft, evaluate, ipywidgets, torch, transformers
from course_utils.models import PROFILES, load_model
kept = [load_model(role) for role in PROFILES[sys.argv[1]].sources]
print("listo", flush=True)
sys.stdin.read()
"""
WEIGHTS = """
import json, os, sys, psutil, torch, transformers
from course_utils import recurrent
from course_utils.models import checkpoint, load_model
kept = load_model("decoder", "mini")  # lo que transformers carga una vez no es de los pesos; guardado, no deja hueco
def private():
    return psutil.Process().memory_full_info().uss
role, profile = sys.argv[1:]
before = private()
model, tokenizer = load_model(role, profile)
after = private()
mapped = [m for m in psutil.Process().memory_maps() if m.path.endswith(".safetensors")]
print(json.dumps({
    "archivo": os.path.getsize(os.path.join(checkpoint(role, profile), "model.safetensors")),
    "tensores": sum(p.numel() * p.element_size() for p in model.parameters()),
    "copiado": after - before,
    "proyectado": sum(m.rss for m in mapped),
}))
"""


def family(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def memory(process: psutil.Process, kind: str = "uss") -> int:
    """Bytes de un proceso y los que ha arrancado: «uss», los que son solo suyos; «pss», además su parte del resto."""
    total = 0
    for member in family(process):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += getattr(member.memory_full_info(), kind)
    return total


class Watch(threading.Thread):
    """Mira cada medio segundo el núcleo que ha arrancado este proceso: su máximo, lo último visto y su procesador."""

    def __init__(self, known: set[int]):
        super().__init__(daemon=True)
        self.known, self.peak, self.last, self.cpu = known, 0, 0, 0.0
        self.finished = threading.Event()

    def run(self):
        while not self.finished.wait(EVERY):
            self.look()

    def look(self):
        for kernel in (child for child in psutil.Process().children() if child.pid not in self.known):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = [member.cpu_times() for member in family(kernel)]
                ended = kernel.cpu_times()
                self.cpu = max(
                    self.cpu, sum(t.user + t.system for t in times) + ended.children_user + ended.children_system
                )
            if now := memory(kernel):
                self.last, self.peak = now, max(self.peak, now)


@contextlib.contextmanager
def witness(profile: str):
    """Un proceso que tiene cargado lo que todos comparten, para que no cuente como de uno solo."""
    env = os.environ | environment(ROOT) | {"CURSO_PERFIL": profile, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITNESS, profile]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True) as process:
        try:
            while process.stdout.readline().strip() not in ("listo", ""):
                pass
            yield process
        finally:
            process.kill()


def measure_session(path: Path, profile: str, known: set[int]) -> dict:
    """Ejecuta un cuaderno resuelto, sin las celdas que solo ven las pruebas, y devuelve lo que ha gastado su núcleo."""
    import nbformat

    from course_utils.runner import execute

    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "verifica" not in cell.metadata.get("tags", [])]
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    with tempfile.TemporaryDirectory() as base:
        os.symlink(ROOT / "notebooks" / "quizzes", Path(base, "quizzes"))
        folder = Path(base, "soluciones")
        folder.mkdir()
        env = os.environ | environment(ROOT) | {"CURSO_PERFIL": profile, "PYTHONPATH": str(ROOT)}
        watch, errors, start = Watch(known), [], time.perf_counter()
        watch.start()
        with contextlib.closing(execute(notebook, cwd=folder, env=env, timeout=3600)) as cells:
            for cell, error in cells:
                if error:
                    errors.append(f"{cell['id']}: {str(error)[-300:]}")
                if cell is last:
                    time.sleep(4 * EVERY)
                    watch.finished.set()
                    watch.join()
    if errors:
        print(*errors, sep="\n", file=sys.stderr)
    return {
        "cpu_s": round(watch.cpu, 1),
        "pico_mb": round(watch.peak / MB),
        "reposo_mb": round(watch.last / MB),
        "reloj_s": round(time.perf_counter() - start),
        "fallos": len(errors),
    }


def measure_server(folder: Path) -> dict:
    """El servidor de un estudiante sin ningún cuaderno abierto: JupyterLab recién arrancado y en reposo."""
    command = [sys.executable, ROOT / "tools" / "deploy" / "start.py", "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1"]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    servers = []
    try:
        for number in range(2):  # el primero es el testigo del segundo
            home = folder / str(number)
            home.mkdir()
            env = os.environ | {"HOME": str(home)}
            servers.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(45)
        measured = psutil.Process(servers[1].pid)
        times = measured.cpu_times()
        return {"cpu_s": round(times.user + times.system, 1), "reposo_mb": round(memory(measured) / MB)}
    finally:
        for server in servers:
            server.kill()
            server.wait()


def measure_weights() -> dict:
    """Cuánto se copia al cargar cada modelo, en un proceso nuevo."""
    found = {}
    for role, profile in (("decoder", "mini"), ("encoder", "mini"), ("lstm", "mini"), ("decoder", "mediano")):
        command = [sys.executable, "-c", WEIGHTS, role, profile]
        env = os.environ | environment(ROOT) | {"PYTHONPATH": str(ROOT)}
        answer = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
        found[f"{profile}: {role}"] = {
            name: round(value / MB, 1) for name, value in json.loads(answer.splitlines()[-1]).items()
        }
    return found


def machine() -> dict:
    """Dónde se ha medido y lo ocupada que estaba."""
    return {
        "nucleos": os.cpu_count(),
        "memoria_gb": round(psutil.virtual_memory().total / 1000**3, 1),
        "carga": round(os.getloadavg()[1], 1),
    }


def main(argv: list[str] | None = None) -> int:
    from course_utils.runner import find_notebooks

    from . import tables

    parser = argparse.ArgumentParser(prog="tools.deploy.measure", description=__doc__.partition("\n")[0])
    parser.add_argument("sessions", nargs="*", metavar="SESIÓN", help="todas, si no se dice ninguna")
    parser.add_argument("--profile", choices=("mini", "mediano"), default="mini", help="el perfil; por defecto, mini")
    parser.add_argument("--weights", action="store_true", help="solo mide lo que se copia al cargar los pesos")
    parser.add_argument("--class", dest="report", type=Path, metavar="ARCHIVO", help="el informe de la prueba del aula")
    parser.add_argument("--tables", action="store_true", help="solo rehace las tablas con lo que hay medido")
    options = parser.parse_args(argv)
    stored = json.loads(OUTPUT.read_text(encoding="utf-8")) if OUTPUT.is_file() else {"sesiones": {}}
    if options.report:
        stored["aula"] = json.loads(options.report.read_text(encoding="utf-8"))
    elif options.weights:
        stored["pesos"] = measure_weights()
    elif not options.tables:
        try:
            paths = find_notebooks(options.sessions, solutions=True)
        except ValueError as error:
            parser.error(str(error))
        stored["maquina"] = machine()
        if options.profile == "mini" and not options.sessions:
            with tempfile.TemporaryDirectory() as folder:
                stored["servidor"] = measure_server(Path(folder))
        with witness(options.profile) as loaded:
            for path in paths:
                measured = measure_session(path, options.profile, {loaded.pid})
                print(path.stem, measured, flush=True)
                stored["sesiones"].setdefault(options.profile, {})[path.name[:2]] = measured
                write(stored)
    write(stored)
    tables.write(stored)
    return 0


def write(stored: dict) -> None:
    stored["sesiones"] = {name: dict(sorted(rows.items(), key=key)) for name, rows in stored["sesiones"].items()}
    write_if_changed(OUTPUT, json.dumps(stored, indent=1, ensure_ascii=False))


def key(row) -> tuple:
    return (row[0][0] != "A", row[0])


if __name__ == "__main__":
    sys.exit(main())
