# -*- coding: utf-8 -*-
"""Prepara el entorno del curso: crea `.venv` e instala las versiones de constraints.txt.

    python3 tools/environment.py                  prepara el entorno (no hace nada si ya está listo)
    python3 tools/environment.py --clean          borra el entorno y las cachés
    python tools/environment.py --lab-settings    solo pone JupyterLab en español, en el entorno activo (conda, Binder)

Si al lado hay una carpeta `wheels` (la del paquete que hace `make bundle`), instala de ella y no usa la red.

Lo llaman `make lab` y `make test`; sin make (Windows) se llama a mano. Solo usa la biblioteca estándar
y una sintaxis antigua a propósito: un Python viejo tiene que poder leer este archivo entero para decir
con palabras claras que es viejo. Por eso no hay aquí f-strings ni anotaciones.

Estados de `.venv`, según el sello `.venv/curso.sello` que se escribe al terminar bien:
  sello al día           -> no se toca nada
  sello de otras versiones o de otra carpeta (clon movido) -> se actualiza sobre lo que hay
  sin sello (instalación interrumpida) o de otro Python    -> se rehace desde cero
"""

from __future__ import print_function, unicode_literals

import errno
import hashlib
import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "curso.sello")
LOCK = os.path.join(ROOT, ".venv.lock")
LOG = os.path.join(ROOT, "instalacion.log")
WHEELS = os.path.join(ROOT, "wheels")
WHEELS_INFO = "para.json"  # para qué Python y qué sistema son
PINNED_FILES = ("pyproject.toml", "constraints.txt")

MIN_PYTHON = (3, 11)
TESTED_PYTHONS = ("3.11", "3.12", "3.13")  # 3.11 primero: es el que ejecuta la integración continua

GB = 1000.0**3
FRESH_GB = 3.0  # .venv ocupa 1,8 GB con el torch de CPU; el resto es para las descargas
UPDATE_GB = 0.5
CUDA_GB = 10.0  # en Linux, el torch que pip elige por sí solo trae las bibliotecas de CUDA

LAB_SETTINGS = {
    "@jupyterlab/translation-extension:plugin": {"locale": "es_ES"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}

NO_SPACE = (
    "No space left on device",
    "Errno 28",
    "not enough space on the disk",
    "WinError 112",
    "Disk quota exceeded",
)
NO_NETWORK = (
    "NewConnectionError",
    "Failed to establish a new connection",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Name or service not known",
    "nodename nor servname",
    "getaddrinfo failed",
    "Network is unreachable",
    "ConnectTimeout",
    "Read timed out",
    "ReadTimeoutError",
    "ConnectionResetError",
    "Connection refused",
    "IncompleteRead",
    "ProxyError",
    "Max retries exceeded",
    "CERTIFICATE_VERIFY_FAILED",
)
NO_VERSION = ("No matching distribution found", "ResolutionImpossible", "Requires-Python")


class SetupError(Exception):
    """Algo que la persona puede arreglar: el texto dice qué pasó y cómo seguir."""


class PipError(SetupError):
    """pip falló. `disk_full`: por falta de sitio; `untouched`: antes de tocar los paquetes instalados."""

    def __init__(self, lines):
        SetupError.__init__(self, explain_pip_failure(lines))
        self.disk_full = any(text in line for text in NO_SPACE for line in lines)
        self.untouched = not any(line.startswith("Installing collected packages") for line in lines)


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


# --- Python ---------------------------------------------------------------------------------------


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
    return {
        "python": "{}.{}".format(*sys.version_info[:2]),
        "system": "{} {}".format(sys.platform, platform.machine()),
    }


def wheels_python():
    """Para qué Python y qué sistema son los paquetes de wheels/, o None si no los hay o no lo dicen."""
    try:
        with io.open(os.path.join(WHEELS, WHEELS_INFO), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, IOError, ValueError):
        return None


def wheels_error():
    """Mensaje si los paquetes de wheels/ no valen para este Python, o None."""
    made = wheels_python()
    if made is None or made == this_python():
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
    versions = [wheels_python()["python"]] if wheels_python() else TESTED_PYTHONS
    candidates = [["python" + version] for version in versions]
    if os.name == "nt":
        candidates = [["py", "-" + version] for version in versions]
    probe = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] < {!r})".format(MIN_PYTHON)
    for command in candidates:
        try:
            with open(os.devnull, "w") as null:
                if subprocess.call(command + ["-c", probe], stdout=null, stderr=null) == 0:
                    return command
        except OSError:
            continue  # no está en el PATH
    return None


def check_venv_module():
    """Debian y Ubuntu reparten `ensurepip` en un paquete aparte, que puede faltar."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        raise SetupError(
            "A tu Python le falta el módulo «{}», que crea los entornos virtuales.\n"
            "Cómo seguir: en Debian o Ubuntu, instálalo con\n"
            "    sudo apt install python{}.{}-venv\n"
            "En otro sistema, reinstala Python desde https://www.python.org/downloads/. Y repite la orden.".format(
                getattr(error, "name", None) or "venv", *sys.version_info[:2]
            )
        )


# --- disco ----------------------------------------------------------------------------------------


def free_gb():
    return shutil.disk_usage(ROOT).free / GB


def disk_error(needed_gb):
    return (
        "No hay sitio en el disco: quedan {} GB libres en «{}» y hacen falta {} GB.\n"
        "Cómo seguir: libera espacio (la papelera, las descargas viejas, `python3 -m pip cache purge`) o lleva el\n"
        "clon a un disco con más sitio, y repite la orden. Sin instalar nada: abre los cuadernos en Colab (README)."
    ).format(decimal(free_gb()), ROOT, decimal(needed_gb))


def check_disk(needed_gb):
    if free_gb() < needed_gb:
        raise SetupError(disk_error(needed_gb))


def warn_about_cuda():
    """No se puede parar aquí: qué torch llega depende de cómo esté configurado pip."""
    if os.path.isdir(WHEELS):
        return  # lo que llega es lo que hay ahí
    if sys.platform.startswith("linux") and not os.environ.get("PIP_ARGS") and free_gb() < CUDA_GB:
        say(
            "Aviso: quedan {} GB libres. En Linux, pip suele traer el torch con CUDA, que pide unos {} GB; sin GPU,\n"
            "el de CPU cabe en {} GB: mira «Solo CPU» en el README.".format(
                decimal(free_gb()), decimal(CUDA_GB), decimal(FRESH_GB)
            )
        )


# --- estado de .venv ------------------------------------------------------------------------------


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


def fingerprint():
    """De qué depende el entorno: Python, carpeta, paquetes, versiones fijadas y ajustes de JupyterLab."""
    digest = hashlib.sha256(json.dumps(LAB_SETTINGS, sort_keys=True).encode())
    for name in PINNED_FILES:
        with io.open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read().replace(b"\r\n", b"\n"))
    return {"python": venv_version(), "carpeta": VENV, "curso": course(), "versiones": digest.hexdigest()}


def course():
    """Lo que se instala: para dar clase sin red, sin las herramientas de las pruebas."""
    return ".[lab]" if os.path.isdir(WHEELS) else ".[dev]"


def read_stamp():
    try:
        with io.open(STAMP, encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, IOError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_text(path, text):
    """Escribe de una vez: un corte deja el archivo viejo o el nuevo, nunca medio."""
    with io.open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".tmp", path)


def is_ready():
    stamp = read_stamp()
    return bool(stamp.get("python")) and stamp == fingerprint()


def needs_rebuild():
    """¿Hay que empezar de cero? Sin sello no se sabe qué quedó a medias; otro Python no ve los paquetes."""
    minor = (venv_version() or "").rpartition(".")[0]
    return not minor or read_stamp().get("python", "").rpartition(".")[0] != minor


# --- instalación ----------------------------------------------------------------------------------


def child_environment():
    environment = dict(os.environ, PYTHONUTF8="1", PYTHONUNBUFFERED="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    environment["PIP_USER"] = "0"  # un `user = true` en la configuración de pip no vale dentro de un entorno
    # Descargas y compilaciones van al mismo disco que .venv: así basta con mirar un disco, y /tmp puede ser pequeño.
    for name in ("TMPDIR", "TEMP", "TMP"):
        environment[name] = os.path.join(VENV, "tmp")
    environment.pop("PYTHONHOME", None)
    return environment


def progress_line(line):
    """Traduce las pocas líneas de pip que interesan a quien espera; None para las demás."""
    download = re.match(r"\s*Downloading (\S+?)-\d\S* \(([\d.]+) (MB|GB)\)", line)
    if download and (download.group(3) == "GB" or float(download.group(2)) >= 5):
        return "  descargando {} ({} {})…".format(
            download.group(1), download.group(2).replace(".", ","), download.group(3)
        )
    if line.startswith("Installing collected packages:") and "," in line:
        return "  instalando {} paquetes…".format(line.count(",") + 1)
    return None


def explain_pip_failure(lines):
    """De la salida de pip, qué pasó y cómo seguir."""
    output = "\n".join(lines)
    if any(text in output for text in NO_SPACE):
        message = "El disco se llenó a media instalación. " + disk_error(FRESH_GB)
        if sys.platform.startswith("linux"):
            message += "\nCon CUDA hacen falta unos {} GB: sin GPU, mira «Solo CPU» en el README.".format(
                decimal(CUDA_GB)
            )
        return message
    if any(text in output for text in NO_NETWORK):
        return (
            "No se pudieron descargar los paquetes: pip no llega a la red.\n"
            "Cómo seguir: comprueba la conexión (¿hay un proxy?, ¿una wifi que pide identificarse?) y repite la\n"
            "orden; lo ya descargado no se pierde. La red solo hace falta la primera vez: después el curso va sin ella."
        )
    if any(text in output for text in NO_VERSION) and os.path.isdir(WHEELS):
        return (
            "A la carpeta «wheels» le falta algún paquete:\n{}\n"
            "Cómo seguir: descomprime otra vez el zip entero y repite la orden; si vuelve a pasar, pide otro zip.\n"
            "Con red, borra la carpeta «wheels» y repite la orden: los paquetes se descargan."
        ).format("\n".join("    " + line for line in lines if line.startswith("ERROR"))[-800:])
    if any(text in output for text in NO_VERSION):
        return (
            "pip no encuentra alguna de las versiones de constraints.txt para Python {} en este sistema:\n{}\n"
            "Cómo seguir: usa un Python de 64 bits de los probados ({}), p. ej. `make lab PYTHON=python3.12`.\n"
            "Sin instalar nada: abre los cuadernos en Colab (README)."
        ).format(
            "{}.{}".format(*sys.version_info[:2]),
            "\n".join("    " + line for line in lines if line.startswith("ERROR"))[-800:],
            ", ".join(TESTED_PYTHONS),
        )
    return (
        "pip no pudo instalar los paquetes. Sus últimas líneas:\n{}\n"
        "Cómo seguir: repite la orden; si vuelve a pasar, `make clean` y otra vez. La salida completa está en\n"
        "«{}»: adjúntala si abres una incidencia."
    ).format("\n".join("    " + line for line in lines[-12:]), os.path.basename(LOG))


def run(command):
    """Ejecuta y devuelve (código de salida, líneas de salida), contando el avance en español."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = []
    for raw in iter(process.stdout.readline, b""):
        lines.append(raw.decode("utf-8", "replace").rstrip())
        message = progress_line(lines[-1])
        if message:
            say(message)
    return process.wait(), lines


def pip_install(*requirements):
    command = [venv_python(), "-m", "pip", "install", "--progress-bar", "off", "-c", "constraints.txt"]
    if os.path.isdir(WHEELS):
        command += ["--no-index", "--find-links", WHEELS]
    command += shlex.split(os.environ.get("PIP_ARGS", ""), posix=os.name != "nt")
    status, lines = run(command + list(requirements))
    if status == 0:
        return
    try:
        write_text(LOG, "\n".join(lines) + "\n")
    except OSError:
        pass  # el registro es una ayuda: sin él, el mensaje vale igual
    raise PipError(lines)


def create_venv():
    status, lines = run([sys.executable, "-m", "venv", VENV])
    if status == 0:
        return
    if PipError(lines).disk_full:
        raise PipError(lines)
    raise SetupError(
        "No se pudo crear el entorno virtual «.venv» con Python {}.{}:\n{}\n"
        "Cómo seguir: en Debian o Ubuntu, `sudo apt install python{}.{}-venv`; en otros, reinstala Python.".format(
            sys.version_info[0],
            sys.version_info[1],
            "\n".join("    " + line for line in lines[-6:]),
            sys.version_info[0],
            sys.version_info[1],
        )
    )


def configure_lab(prefix):
    """JupyterLab en español y sin preguntas de bienvenida; quien elija otra cosa en sus ajustes, manda."""
    folder = os.path.join(prefix, "share", "jupyter", "lab", "settings")
    os.makedirs(folder, exist_ok=True)
    write_text(os.path.join(folder, "overrides.json"), json.dumps(LAB_SETTINGS, indent=2) + "\n")


def install():
    start = time.time()
    check_venv_module()
    if needs_rebuild():
        if os.path.isdir(VENV):
            say("Hay un entorno a medias o de otro Python: lo rehago desde cero…")
            shutil.rmtree(VENV)
        check_disk(FRESH_GB)
        warn_about_cuda()
        say(
            "Preparo el entorno del curso en .venv con Python {}.{} (solo la primera vez; unos minutos)…".format(
                *sys.version_info[:2]
            )
        )
    else:
        check_disk(UPDATE_GB)
        say("Pongo al día el entorno del curso (.venv)…")
    previous = read_stamp()
    if previous:
        os.remove(STAMP)  # desde aquí y hasta el final, el entorno está a medias
    os.makedirs(os.path.join(VENV, "tmp"), exist_ok=True)
    try:
        create_venv()
        # setuptools, fijado y dentro del entorno: así instalar el paquete del curso no descarga nada más.
        pip_install("setuptools")
        pip_install("--no-build-isolation", "-e", course())
    except PipError as error:
        shutil.rmtree(os.path.join(VENV, "tmp"), ignore_errors=True)
        if previous and error.untouched:  # el entorno de antes sigue entero: la próxima vez se pone al día
            write_text(STAMP, json.dumps(previous))
        elif error.disk_full:
            shutil.rmtree(VENV, ignore_errors=True)  # a medias no sirve, y el sitio hace falta
        raise
    configure_lab(VENV)
    shutil.rmtree(os.path.join(VENV, "tmp"), ignore_errors=True)
    if os.path.exists(LOG):
        os.remove(LOG)
    write_text(STAMP, json.dumps(fingerprint(), indent=2) + "\n")
    seconds = int(time.time() - start)
    say("Entorno listo en {} min {} s.".format(seconds // 60, seconds % 60))


class Lock(object):
    """Un solo instalador a la vez; el sistema suelta el candado aunque el proceso muera."""

    def __enter__(self):
        self.file = open(LOCK, "a")
        try:
            self._acquire(wait=False)
        except (OSError, IOError):
            say("Otra orden está preparando el entorno: espero a que termine…")
            self._acquire(wait=True)
        return self

    def _acquire(self, wait):
        if os.name == "nt":
            import msvcrt

            while True:
                try:
                    self.file.seek(0)
                    return msvcrt.locking(self.file.fileno(), msvcrt.LK_NBLCK, 1)
                except OSError:
                    if not wait:
                        raise
                    time.sleep(1)
        import fcntl

        fcntl.flock(self.file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    def __exit__(self, *error):
        self.file.close()


def clean():
    """Borra lo que se puede volver a hacer; nunca un archivo tuyo."""
    for name in (
        ".venv",
        ".venv-colab",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".benchmarks",
        "build",
        "course_utils.egg-info",
    ):
        shutil.rmtree(os.path.join(ROOT, name), ignore_errors=True)
    for path in (LOCK, LOG):
        if os.path.exists(path):
            os.remove(path)
    for folder in ("course_utils", "tools", "tests"):
        for parent, children, _ in os.walk(os.path.join(ROOT, folder)):
            if "__pycache__" in children:
                shutil.rmtree(os.path.join(parent, "__pycache__"), ignore_errors=True)
    say("Borrados el entorno (.venv) y las cachés.")


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


def main(arguments):
    try:
        if "--clean" in arguments:
            clean()
            return 0
        if "--lab-settings" in arguments:
            configure_lab(sys.prefix)
            say("JupyterLab empezará en español en el entorno «{}».".format(sys.prefix))
            return 0
        if is_ready():
            return 0
        problem = python_error(sys.version_info) or wheels_error()
        if problem:
            newer = None if "--only-this-python" in arguments else find_newer_python()
            if newer is None:
                raise SetupError(problem)
            say(
                "Tu Python es el {}.{}, que aquí no sirve: sigo con {}, que también está instalado.".format(
                    sys.version_info[0], sys.version_info[1], " ".join(newer)
                )
            )
            return subprocess.call(newer + [os.path.abspath(__file__), "--only-this-python"] + arguments)
        if "{}.{}".format(*sys.version_info[:2]) not in TESTED_PYTHONS:
            say(
                "Aviso: el curso está probado con Python {}; con el tuyo ({}.{}) puede faltar algún paquete.".format(
                    ", ".join(TESTED_PYTHONS), *sys.version_info[:2]
                )
            )
        with Lock():
            if not is_ready():  # quizá lo acaba de preparar otra orden
                install()
        return 0
    except SetupError as error:
        say("\n✗ " + error.args[0], sys.stderr)
    except KeyboardInterrupt:
        say("\n✗ Instalación interrumpida. La próxima vez que llames a make se repara sola.", sys.stderr)
        return 130
    except (OSError, IOError) as error:
        say("\n✗ " + explain_os_error(error), sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
