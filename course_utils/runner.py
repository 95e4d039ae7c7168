"""Ejecuta cuadernos de arriba abajo, con este mismo Python.

``execute`` es el único sitio del curso donde se ejecuta un cuaderno. Lo usan la orden ``run``, que trabaja con copias
en una carpeta temporal y deja el repositorio como estaba, y quien construye los cuadernos.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

_ROOT = Path(__file__).resolve().parents[1]
DEEP = "profundiza"


@dataclass(frozen=True)
class Report:
    """Cómo fue un cuaderno: segundos, celdas de código ejecutadas y los fallos, cada uno con su celda."""

    name: str
    seconds: float
    cells: int
    failures: tuple[str, ...] = ()


def find_notebooks(
    sessions: Sequence[str] = (), *, folder: str | Path | None = None, solutions: bool = False, deep: bool = False
) -> list[Path]:
    """Los cuadernos por ejecutar. De una sesión puede haber varios: las copias que alguien haya hecho también cuentan.

    Parameters
    ----------
    sessions : sequence of str
        Las sesiones («02», «2» o «A1»); si no hay ninguna, todas.
    folder : str or Path, optional
        Dónde están los cuadernos; por defecto, en ``notebooks/``, junto al paquete.
    solutions : bool
        Los resueltos, que están en ``soluciones/``, en vez de los del alumnado.
    deep : bool
        También los de ``profundiza/``, cada uno detrás del de su sesión.

    Raises
    ------
    ValueError
        Si no hay cuadernos en la carpeta o falta el de alguna sesión pedida.
    """
    base = Path(folder or _ROOT / "notebooks").resolve()
    found: dict[str, list[Path]] = {}
    variant = base / ("soluciones" * solutions)
    for place in (variant, *([variant / DEEP] if deep else [])):
        for path in in_order(place.glob("[A0-9][0-9]_*.ipynb")):
            found.setdefault(path.name[:2], []).append(path)
    if not found:
        raise ValueError(f"No hay cuadernos en {base}. Usa un clon del curso o di dónde están: --notebooks CARPETA.")
    wanted = [str(session).upper().zfill(2) for session in sessions] or list(found)
    if unknown := [session for session in wanted if session not in found]:
        raise ValueError(f"No hay cuaderno de la sesión {', '.join(unknown)}. Hay: {', '.join(found)}.")
    return [path for session in wanted for path in found[session]]


def in_order(paths: Iterable[Path]) -> list[Path]:
    """En el orden en que se siguen: primero las de antes de empezar (A1, A2…) y después 01, 02…"""
    return sorted(paths, key=lambda path: (path.name[0] != "A", path.name))


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
    notebooks = next(parent for parent in path.parents if parent.name not in ("soluciones", DEEP))
    inside = path.relative_to(notebooks)
    quizzes = notebooks / "quizzes"  # lo único que un cuaderno lee de su carpeta
    if quizzes.is_dir():
        shutil.copytree(quizzes, folder / "quizzes", dirs_exist_ok=True)
    cwd = folder / inside.parent
    cwd.mkdir(parents=True, exist_ok=True)
    python_path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))  # el paquete, este mismo
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": python_path}
    bar.set_description(path.stem)
    count, failures, start = 0, [], time.perf_counter()
    try:
        with contextlib.closing(execute(notebook, cwd=cwd, env=env, timeout=timeout)) as cells:
            for count, (cell, error) in enumerate(cells, 1):
                bar.update()
                if error:
                    failures.append(f"{cell.get('id', f'celda de código {count}')}: {_explain(error, timeout)}")
    except ValueError as error:
        failures.append(f"antes de empezar: {error}")
    return Report(inside.as_posix(), time.perf_counter() - start, count, tuple(failures))


def _explain(error: Exception, timeout: int) -> str:
    """Un fallo de ``execute``, en una línea."""
    if isinstance(error, TimeoutError):
        return f"tarda más de {timeout} s. Alarga el plazo con --timeout."
    if isinstance(error, RuntimeError):
        return f"el núcleo se ha parado (¿falta memoria?): {error}"
    return f"{error.ename}: {error.evalue}".splitlines()[0][:300]


def execute(notebook, *, cwd: str | Path, env: Mapping[str, str], timeout: int) -> Iterator[tuple]:
    """Ejecuta las celdas de código y les deja puestas sus salidas; entrega cada una al acabar, con su fallo o ``None``.

    Quien recorre decide: si sigue tras un fallo, se ejecuta la celda siguiente; si lo deja, el núcleo se apaga. Como en
    nbval, las celdas no guardan historia, y un error es un error aunque la celda lleve la etiqueta que los permite.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        El cuaderno; es el que recibe las salidas.
    cwd : str or Path
        La carpeta en la que se ejecuta.
    env : mapping
        Las variables de entorno, todas.
    timeout : int
        Segundos por celda, como mucho.

    Yields
    ------
    (cell, error)
        ``error`` es un ``CellExecutionError`` de nbclient, con ``ename``, ``evalue`` y ``traceback``, o bien, y
        entonces ya no hay más celdas, un ``TimeoutError`` o un ``RuntimeError`` (el núcleo ha muerto).

    Raises
    ------
    ValueError
        Si el núcleo no arranca.
    """
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as private, contextlib.ExitStack() as kernel:
        # El perfil de IPython no es el de la carpeta personal: puede estar llena, o cambiar lo que hace el cuaderno.
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=this_python())
        # Con PASSIVE, los hilos que esperan no ocupan el procesador: con varios núcleos a la vez es mucho más rápido.
        env = {"OMP_WAIT_POLICY": "PASSIVE", **env, "IPYTHONDIR": private}
        options = {"timeout": timeout, "startup_timeout": 180, "force_raise_errors": True, "record_timing": False}
        client = NotebookClient(notebook, km=manager, **options)
        try:
            kernel.enter_context(client.setup_kernel(env=env, cwd=str(cwd), stderr=DEVNULL, cleanup_kc=True))
        except RuntimeError as error:
            raise ValueError(
                f"el núcleo de Python no arranca ({error}). Mira «python -m course_utils doctor»."
            ) from error
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            problem = None
            try:
                client.execute_cell(cell, index, store_history=False)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                problem = error
            yield cell, problem
            if problem and not isinstance(problem, CellExecutionError):
                return


def this_python(prefix: Sequence[str] = ()):
    """Un gestor de núcleos en el que «python3» es este mismo Python, esté registrado el que esté.

    ``prefix`` es una orden que se antepone a la suya, por ejemplo para prepararle unos discos.
    """
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    kernel = get_kernel_dict()
    kernel["argv"] = [*prefix, *kernel["argv"]]

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            return KernelSpec(resource_dir=RESOURCES, **kernel)

    return ThisPython()


def render(reports: Sequence[Report]) -> str:
    """El resumen: una línea por cuaderno y, debajo, sus fallos."""
    lines = []
    for report in reports:
        mark, count = ("❌", f", {len(report.failures)} con fallos") if report.failures else ("✅", "")
        lines.append(f"{mark} {report.name}: {report.seconds:.0f} s, {report.cells} celdas{count}")
        lines += [f"   {failure}" for failure in report.failures]
    good = sum(not report.failures for report in reports)
    return "\n".join([*lines, "", f"Cuadernos sin fallos: {good} de {len(reports)}."])
