"""¿Está esta máquina lista para la clase? Cada comprobación devuelve un ``Result``; escribirlo es cosa aparte.

``python -m course_utils doctor`` lo enseña y, con ``--json``, lo da para programas. Los rangos de versiones se leen de
los metadatos del paquete instalado, que salen de ``pyproject.toml``: no están escritos en ningún otro sitio.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from . import mediano
from ._files import writable
from ._machine import free_memory, in_gb
from .models import PROFILES, checkpoint, sha256

OK, WARNING, ERROR = "ok", "warning", "error"
MARKS = {OK: "✅", WARNING: "⚠️", ERROR: "❌"}
TITLES = {"python": "Python", "temporary": "Carpeta temporal", "home": "Carpeta personal", "memory": "Memoria"}
TITLES |= {
    "models": "Modelos",
    "mediano": "Perfil mediano",
    "data": "Datos",
    "kernel": "Núcleo de Jupyter",
    "hub": "Hub",
    "device": "Cálculo",
}
SECONDS = 6.0  # de plazo para cada comprobación; de los paquetes que no dé tiempo a importar solo se mira la versión
_DATA = Path(__file__).parent / "data"
_INSTALL = "En la carpeta del curso, repite «make env» o «python -m pip install -e .»."
# En otro proceso: un torch roto puede tumbar el intérprete entero, y entonces no habría informe.
_IMPORT = """
import importlib, json, sys
for name in sys.argv[1:]:
    try:
        module, error = importlib.import_module(name), ""
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
    print("\\n=", json.dumps([name, error]), flush=True)
    if name == "torch" and not error:
        gpus = [module.cuda.get_device_name(i) for i in range(module.cuda.device_count())]
        gpus += ["MPS"] * module.backends.mps.is_available()
        print("\\n=", json.dumps(["device", [module.get_num_threads(), *gpus]]), flush=True)
"""
_ASK_HUB = """
from huggingface_hub import constants, utils
print("no" if constants.HF_HUB_OFFLINE else utils.get_session().head(constants.ENDPOINT).status_code)
"""


@dataclass(frozen=True)
class Result:
    """Lo visto: ``status`` es «ok», «warning» (la clase se puede dar) o «error» (no); ``remedy``, qué hacer."""

    key: str
    status: str
    detail: str
    remedy: str = ""


def _judge(key: str, good: bool, detail: str, remedy: str, bad: str = ERROR) -> Result:
    return Result(key, OK, detail) if good else Result(key, bad, detail, remedy)


def diagnose() -> tuple[Result, ...]:
    """Todas las comprobaciones, a la vez: ninguna lanza errores ni deja nada escrito."""
    try:
        course, needed = importlib.metadata.metadata("course-utils"), importlib.metadata.requires("course-utils") or []
    except importlib.metadata.PackageNotFoundError:
        course, needed = None, []
    names = {"torch", *(re.match(r"[\w.-]+", text)[0] for text in needed if ";" not in text)}
    installed = {d.name: d.version for d in reversed([*importlib.metadata.distributions()]) if d.name}
    with ThreadPoolExecutor() as pool:
        imports = pool.submit(try_imports, sorted(names, key=lambda name: (name != "torch", name)))
        checks = {
            "python": lambda: [check_python(course)],
            "packages": lambda: check_packages(needed, installed, imports.result()),
            "device": lambda: [check_device(imports.result())],
            "memory": lambda: [check_memory()],
            "temporary": lambda: [check_folder("temporary", Path(tempfile.gettempdir()), 500)],  # lo que escribe la 04
            "home": lambda: [check_folder("home", Path.home(), 50)],
            "models": lambda: [check_models()],
            "mediano": lambda: [check_mediano()],
            "data": lambda: [check_data()],
            "kernel": lambda: [check_kernel()],
            "hub": lambda: [check_hub()],
        }
        return tuple(result for results in pool.map(_guarded, checks, checks.values()) for result in results)


def _guarded(key: str, check) -> list[Result]:
    try:
        return check()
    except Exception as error:  # también que se rompa una comprobación es algo que contar
        return [Result(key, ERROR, f"no se ha podido comprobar ({type(error).__name__}: {error})", _INSTALL)]


def check_python(course: Mapping | None, version: Sequence[int] = sys.version_info) -> Result:
    """La versión de Python, frente a la que pide el curso (sus metadatos) y a las que se han probado."""
    found, where = ".".join(map(str, version[:3])), sys.executable
    if course is None:
        return Result("python", ERROR, f"{found}, pero el curso no está instalado en {where}", _INSTALL)
    from packaging.specifiers import SpecifierSet

    wanted, tested = course["Requires-Python"], re.findall(r":: (3\.\d+)\b", str(course.get_all("Classifier")))
    detail = f"{found} en {where} (hace falta {wanted}; probado con {', '.join(tested)})"
    remedy = "Instala uno de los probados y repite «make lab PYTHON=python3.12», o la versión que sea."
    fits = found in SpecifierSet(wanted)
    return _judge("python", fits and found.rpartition(".")[0] in tested, detail, remedy, WARNING if fits else ERROR)


def check_packages(
    requirements: Iterable[str], installed: Mapping[str, str], imports: Mapping[str, str]
) -> list[Result]:
    """Cada paquete: si está, si su versión vale y si se deja importar. Los de JupyterLab solo dan avisos."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    versions, results = {canonicalize_name(name): version for name, version in installed.items()}, []
    for needed in map(Requirement, requirements):
        if needed.marker and not needed.marker.evaluate({"extra": "lab"}):
            continue  # es de quien mantiene el curso
        found, problem = versions.get(canonicalize_name(needed.name)), imports.get(needed.name)
        fits = found is not None and needed.specifier.contains(found, prereleases=True)
        detail = (found or "no está instalado") + (f" (hace falta {needed.specifier})" if needed.specifier else "")
        detail += f", pero no se puede importar: {problem}"[:200] if found and problem else ""
        again = "--force-reinstall " if fits else ""
        remedy = f'Repite «make env» o «python -m pip install {again}"{needed.name}{needed.specifier}"».'
        bad = WARNING if needed.marker else ERROR
        results.append(_judge(f"package.{needed.name}", fits and not problem, detail, remedy, bad))
    return results


def try_imports(names: Sequence[str]) -> dict:
    """De cada paquete que dio tiempo a importar, su error («» si no hay); y en «device», los hilos y GPU de torch."""
    output, code = _output(sys.executable, _IMPORT, *names)
    told = dict(json.loads(line[2:]) for line in output.splitlines() if line.startswith("= "))
    pending = [name for name in names if name not in told]
    return told | ({pending[0]: f"se cae (código {code})"} if code and pending else {})


def check_device(imports: Mapping) -> Result:
    """Dónde se va a calcular. El curso no necesita GPU, pero con un solo hilo los cuadernos van despacio."""
    if "device" not in imports:
        slow = f"tarda más de {SECONDS:.0f} s en cargarse (la primera vez es la más lenta)"
        detail, remedy = f"torch {imports.get('torch') or slow}", "Si torch falla, arréglalo antes; si tarda, repite."
        return _judge("device", False, detail, remedy, ERROR if imports.get("torch") else WARNING)
    threads, *gpus = imports["device"]
    detail = f"{', '.join([*gpus, 'CPU'])} ({threads} de {os.cpu_count()} hilos)"
    return _judge("device", threads > 1, detail, "Irá despacio. Si has fijado OMP_NUM_THREADS, quítala.", WARNING)


def check_memory(needed: float = 2.0) -> Result:
    """La memoria libre, en GB: la sesión 04, que es la que más ocupa, y algo para el navegador."""
    try:
        free = free_memory()
    except Exception as error:
        detail = f"no se ha podido leer ({type(error).__name__})"
        return Result("memory", WARNING, detail, f"Comprueba que hay {needed:.0f} GB libres.")
    detail = f"{in_gb(free)} libres (hacen falta {in_gb(1e9 * needed)})"
    return _judge("memory", free >= 1e9 * needed, detail, "Cierra programas y pestañas, o usa Colab.", WARNING)


def check_folder(key: str, folder: Path, needed: int) -> Result:
    """Si en una carpeta se puede escribir y quedan ``needed`` MB."""
    try:
        free, why = writable(folder) // 10**6, ""
    except OSError as error:
        free, why = 0, f", y no se puede escribir ({error.strerror})"
    remedy = {
        "temporary": "Libera espacio o elige otra carpeta con la variable TMPDIR.",
        "home": "Libera espacio: sin él, Jupyter no puede abrir cuadernos.",
    }[key]
    return _judge(key, free >= needed, f"{free} MB libres en {folder}{why} (hacen falta {needed})", remedy)


def check_models() -> Result:
    """Los modelos del perfil mini, fichero a fichero (SHA-256)."""
    try:
        return Result("models", OK, f"{len([checkpoint(role, 'mini') for role in PROFILES['mini'].sources])}, enteros")
    except ValueError as error:
        return Result("models", ERROR, *str(error).rsplit(". ", 1))  # el mensaje acaba en el remedio


def check_mediano() -> Result:
    """El LLM opcional: si está instalado, si está entero y si ya se ha preparado. Sin él, el curso se da igual."""
    folder, model = mediano.ready_folder(), mediano.GEMMA
    ready = mediano.is_ready(folder)
    if not ready and not mediano.is_installed():
        return Result("mediano", OK, "no está instalado; es opcional (make llm, 238 MB)")
    try:
        checkpoint("decoder", "mediano") if ready else mediano.check_installed()
    except ValueError as error:
        return Result("mediano", WARNING, *str(error).split(". ", 1))
    if ready:
        return Result("mediano", OK, f"preparado y entero, en {folder}")
    needs = f"hacen falta {in_gb(model.disk)} de disco y {in_gb(model.memory)} de memoria"
    return Result("mediano", OK, f"instalado; se preparará en {folder} la primera vez que se use ({needs})")


def check_data(folder: Path = _DATA) -> Result:
    """Los textos que vienen con el curso (SHA-256)."""
    hashes = json.loads((folder / "sha256.json").read_text(encoding="utf-8"))
    wrong = [name for name in hashes if not (folder / name).is_file() or sha256(folder / name) != hashes[name]]
    remedy = "Restáuralos con «git checkout -- course_utils/data» o vuelve a instalar el paquete."
    detail = f"faltan o están alterados: {', '.join(wrong)}" if wrong else f"{len(hashes)}, enteros"
    return _judge("data", not wrong, detail, remedy)


def check_kernel() -> Result:
    """Si el núcleo «python3», el que piden los cuadernos, arranca y es este mismo Python."""
    from jupyter_client.manager import KernelManager

    remedy = "Abre el curso con «make lab» o registra este Python: «python -m ipykernel install --sys-prefix»."
    python = KernelManager(kernel_name="python3").format_kernel_cmd()[0]
    prefix, code = _output(python, "import ipykernel, sys; print(sys.prefix)")
    same = Path(prefix.strip()) == Path(sys.prefix)
    detail = f"«python3» {'no arranca' if code != 0 else 'es este Python' if same else 'es otro Python'}: {python}"
    return _judge("kernel", code == 0 and same, detail, remedy, WARNING if code == 0 else ERROR)


def check_hub() -> Result:
    """Si se llega al Hub: solo hace falta con el perfil completo, así que como mucho es un aviso."""
    answer, code = _output(sys.executable, _ASK_HUB)
    if answer.strip() == "no":  # con qué valores cuenta como puesta lo sabe huggingface_hub
        return Result("hub", OK, "no se consulta: HF_HUB_OFFLINE está puesta")
    reached = code == 0 and answer.strip() < "5"  # 5xx: contesta, pero no sirve
    remedy = "El curso funciona sin él. Para el perfil completo, mira la conexión o el proxy."
    return _judge("hub", reached, "se llega" if reached else "no se llega", remedy, WARNING)


def _output(python: str, code: str, *arguments: str) -> tuple[str, int | None]:
    """Lo que escribe otro Python y su código de salida, o ``None`` si no arranca o no acaba a tiempo."""
    utf8 = os.environ | {"PYTHONIOENCODING": "utf-8"}  # que una tilde en una ruta no lo pare
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": SECONDS, "env": utf8}
    try:
        done = subprocess.run([python, "-c", code, *arguments], **options)
        return done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace"), None
    except OSError:
        return "", None


def ready(results: Iterable[Result]) -> bool:
    """Si no hay ningún error."""
    return all(result.status != ERROR for result in results)


def render(results: Sequence[Result]) -> str:
    """El informe para leer: una línea por comprobación y, debajo, qué hacer."""
    lines = []
    for result in results:
        title = TITLES.get(result.key, result.key.removeprefix("package."))
        lines.append(f"{MARKS[result.status]} {title}: {result.detail}")
        lines += [f"   Qué hacer: {result.remedy}"] if result.remedy else []
    return "\n".join([*lines, "", "Todo listo." if ready(results) else "Arregla lo que lleva ❌ antes de la clase."])


def to_json(results: Sequence[Result]) -> str:
    """El informe para programas: un objeto con ``ok`` y ``checks``, solo con caracteres ASCII."""
    return json.dumps({"ok": ready(results), "checks": [asdict(result) for result in results]}, indent=2)
