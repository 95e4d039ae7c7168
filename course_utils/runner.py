"""Ejecuta los cuadernos del curso, de arriba abajo y en una carpeta temporal: el repositorio queda como estaba."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Report:
    """Cómo fue un cuaderno: segundos, celdas de código ejecutadas y los fallos, cada uno con su celda."""

    name: str
    seconds: float
    cells: int
    failures: tuple[str, ...] = ()


def find_notebooks(
    sessions: Sequence[str] = (), *, folder: str | Path | None = None, solutions: bool = False
) -> list[Path]:
    """Los cuadernos por ejecutar.

    Parameters
    ----------
    sessions : sequence of str
        Números de sesión («02» o «2»); si no hay ninguno, todas.
    folder : str or Path, optional
        Dónde están los cuadernos; por defecto, en ``notebooks/``, junto al paquete.
    solutions : bool
        Los resueltos, que están en ``soluciones/``, en vez de los del alumnado.

    Raises
    ------
    ValueError
        Si no hay cuadernos en la carpeta o falta el de alguna sesión pedida.
    """
    base = Path(folder or _ROOT / "notebooks").resolve()
    found = {path.name[:2]: path for path in sorted((base / ("soluciones" * solutions)).glob("[0-9][0-9]_*.ipynb"))}
    if not found:
        raise ValueError(f"No hay cuadernos en {base}. Usa un clon del curso o di dónde están: --notebooks CARPETA.")
    wanted = [str(session).zfill(2) for session in sessions] or list(found)
    if unknown := [session for session in wanted if session not in found]:
        raise ValueError(f"No hay cuaderno de la sesión {', '.join(unknown)}. Hay: {', '.join(found)}.")
    return [found[session] for session in wanted]


def run_all(paths: Sequence[Path], *, timeout: int = 600) -> list[Report]:
    """Ejecuta copias de los cuadernos con este mismo Python y una barra de progreso.

    Parameters
    ----------
    paths : sequence of Path
        Los cuadernos, como los da ``find_notebooks``.
    timeout : int
        Segundos por celda, como mucho.

    Raises
    ------
    ValueError
        Si falta nbclient, un cuaderno no se puede leer o no hay dónde escribir las copias.
    """
    try:
        import nbclient  # noqa: F401
        import nbformat
        from tqdm import tqdm
    except ImportError as error:
        raise ValueError(f"Falta {error.name} para ejecutar los cuadernos. Repite «make env».") from error
    notebooks = {}
    for path in paths:
        try:
            notebooks[path] = nbformat.read(path, as_version=4)
        except Exception as error:
            raise ValueError(f"{path} no es un cuaderno válido. Restáuralo: «git checkout -- {path}».") from error
    total = sum(cell.cell_type == "code" for notebook in notebooks.values() for cell in notebook.cells)
    try:
        with tempfile.TemporaryDirectory() as folder, tqdm(total=total, unit="celda", disable=None) as bar:
            if _ROOT in Path(folder).resolve().parents:  # tempfile, si no hay otro sitio, usa la carpeta actual
                raise OSError("la carpeta temporal está en el repositorio")
            return [_run(path, notebook, Path(folder), timeout, bar) for path, notebook in notebooks.items()]
    except OSError as error:
        raise ValueError(f"No hay dónde ejecutar ({error}). Libera espacio o elige una carpeta con TMPDIR.") from error


def _run(path: Path, notebook, folder: Path, timeout: int, bar) -> Report:
    """Ejecuta un cuaderno ya leído; sigue tras un error, para contarlos todos."""
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    class ThisInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())

    solved = path.parent.name == "soluciones"
    quizzes = path.parents[solved] / "quizzes"  # lo único que un cuaderno lee de su carpeta
    if quizzes.is_dir():
        shutil.copytree(quizzes, folder / "quizzes", dirs_exist_ok=True)
    cwd = folder / ("soluciones" * solved)
    cwd.mkdir(exist_ok=True)
    python_path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))  # el paquete, este mismo
    # Nada en la carpeta personal, que puede estar llena: ni el perfil de IPython ni el fichero de conexión.
    env = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": python_path, "IPYTHONDIR": str(folder / "ipython")}
    seen, failures, start = ["antes de empezar"], [], time.perf_counter()

    def on_start(cell, cell_index):
        if cell.cell_type == "code":
            seen.append(cell.get("id", f"celda {cell_index + 1}"))
            bar.update()

    def fail(what: str) -> None:
        failures.append(f"{seen[-1]}: {what.strip().splitlines()[0][:300]}")

    bar.set_description(path.stem)
    places = {"kernel_spec_manager": ThisInterpreter(), "connection_file": str(folder / f"{path.stem}.json")}
    manager = AsyncKernelManager(kernel_name="python3", **places)
    client = NotebookClient(notebook, km=manager, timeout=timeout, startup_timeout=180, allow_errors=True)
    client.on_cell_start = on_start
    client.on_cell_error = lambda execute_reply, **_: fail("{ename}: {evalue}".format(**execute_reply["content"]))
    try:
        client.execute(cleanup_kc=True, env=os.environ | env, cwd=str(cwd), stderr=DEVNULL)
    except TimeoutError:
        fail(f"tarda más de {timeout} s. Alarga el plazo con --timeout.")
    except RuntimeError as error:
        fail(f"el núcleo se ha parado (¿falta memoria?): {error}")
    name = f"soluciones/{path.name}" if solved else path.name
    return Report(name, time.perf_counter() - start, len(seen) - 1, tuple(failures))


def render(reports: Sequence[Report]) -> str:
    """El resumen: una línea por cuaderno y, debajo, sus fallos."""
    lines = []
    for report in reports:
        mark, count = ("❌", f", {len(report.failures)} con fallos") if report.failures else ("✅", "")
        lines.append(f"{mark} {report.name}: {report.seconds:.0f} s, {report.cells} celdas{count}")
        lines += [f"   {failure}" for failure in report.failures]
    good = sum(not report.failures for report in reports)
    return "\n".join([*lines, "", f"Cuadernos sin fallos: {good} de {len(reports)}."])
