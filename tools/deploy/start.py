"""Arranca el servidor de un estudiante: le da los cuadernos que le falten y llama a JupyterLab.

Lo ejecuta cada estudiante, con sus permisos y nada más: ni el reparto ni el arranque pueden tocar lo que no es suyo.
Dentro de un hub arranca el servidor del hub; fuera (``docker run -p 127.0.0.1:8888:8888 IMAGEN``), un JupyterLab. Las
opciones que se le den van detrás y mandan. Solo usa la biblioteca estándar.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2]
GIVEN = ("*.ipynb", "*.md", "profundiza/*.ipynb")
IDLE = 3600  # segundos sin usarse tras los que se cierra un núcleo, que es lo que ocupa memoria


def environment(shared: Path, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Las variables con las que corren los cuadernos, salvo las que ya diga el hub.

    Un hilo por núcleo concedido: si cada estudiante usara todos los de la máquina, se estorbarían. Los que esperan no
    giran. Nada sale a la red a buscar modelos.
    """
    threads = str(max(1, int(float(env.get("CPU_LIMIT") or 1))))
    chosen = {
        "HF_HUB_OFFLINE": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "OMP_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUTF8": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if (shared / "modelos").is_dir():  # el LLM del perfil mediano, ya convertido: uno para todos
        chosen["CURSO_CACHE"] = str(shared / "modelos")
    return {name: env.get(name, value) for name, value in chosen.items()}


def hand_out(source: Path, target: Path) -> list[str]:
    """Copia los cuadernos que falten y dice cuáles; los que ya están, aunque sean otros, no se tocan.

    Cada uno aparece entero o no aparece: si el disco se llena a medias, la próxima vez se copia.
    """
    given = []
    for path in sorted(path for pattern in GIVEN for path in source.glob(pattern)):
        copy = target / path.relative_to(source)
        if os.path.lexists(copy):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        half = copy.with_name(f".{copy.name}.a-medias")
        shutil.copyfile(path, half)
        half.replace(copy)
        given.append(copy.relative_to(target).as_posix())
    quizzes = target / "quizzes"  # no se escriben: basta un enlace
    if not os.path.lexists(quizzes):
        quizzes.symlink_to(source / "quizzes", target_is_directory=True)
    return given


def command(work: Path, env: Mapping[str, str], arguments: list[str]) -> list[str]:
    """La orden del servidor."""
    hub = "JUPYTERHUB_API_TOKEN" in env
    options = [
        f"--ServerApp.root_dir={work}",
        "--ServerApp.default_url=/lab",
        "--LabApp.extension_manager=readonly",
        f"--MappingKernelManager.cull_idle_timeout={IDLE}",
        "--MappingKernelManager.cull_interval=300",
        f"--TerminalManager.cull_inactive_timeout={IDLE}",
        # Con puertos, dos servidores que arrancan un núcleo a la vez se los quitan, y uno de los dos núcleos muere.
        "--KernelManager.transport=ipc",
    ]
    if not hub:
        options += ["--ServerApp.ip=0.0.0.0", "--ServerApp.open_browser=False"]
    said = {argument.partition("=")[0] for argument in arguments}  # dos veces la misma opción es un error
    options = [option for option in options if option.partition("=")[0] not in said]
    return [sys.executable, "-m", "jupyterhub.singleuser" if hub else "jupyterlab", *options, *arguments]


def main() -> None:
    work = Path.home() / "curso"
    try:
        work.mkdir(exist_ok=True)
        given = hand_out(SHARED / "notebooks", work)
        print(f"Cuadernos nuevos en {work}: {len(given)}.", flush=True)
    except OSError as error:  # con el disco lleno se arranca igual, para poder borrar
        print(f"No he podido repartir los cuadernos ({error}). Libera espacio y reinicia el servidor.", flush=True)
    os.environ.update(environment(SHARED))
    if "JUPYTER_RUNTIME_DIR" not in os.environ:  # de camino corto (el de un socket no pasa de 107) y solo de su dueño
        os.environ["JUPYTER_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="curso-")
    os.chdir(work if work.is_dir() else Path.home())
    order = command(work if work.is_dir() else Path.home(), os.environ, sys.argv[1:])
    os.execv(order[0], order)  # noqa: S606


if __name__ == "__main__":
    main()
