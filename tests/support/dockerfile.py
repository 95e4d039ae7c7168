"""Leer el Dockerfile del curso y hacer sus pasos sin Docker, en el sistema de archivos en el que se esté."""

import fnmatch
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Image:
    """Lo que queda al final: usuario, variables, carpeta y órdenes de arranque y de salud."""

    user: str = "root"
    workdir: str = "/"
    env: dict = field(default_factory=dict)
    cmd: list = field(default_factory=list)
    health: list = field(default_factory=list)
    ran: list = field(default_factory=list)


def instructions(text):
    """Parejas (instrucción, resto), con las líneas partidas ya unidas."""
    lines, pending = [], ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pending += line.rstrip("\\").strip() + " "
        if not line.endswith("\\"):
            lines.append(pending.strip())
            pending = ""
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def admitted(ignore_text, name):
    """¿Entra un archivo (ruta relativa) en la imagen, según el .dockerignore? Decide la última regla que le toca."""
    inside = True
    for rule in ignore_text.splitlines():
        rule = rule.strip()
        if not rule or rule.startswith("#"):
            continue
        keep, pattern = rule.startswith("!"), rule.lstrip("!").strip("/")
        parts = name.split("/")
        if pattern.startswith("**/"):
            touched = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            depth = pattern.count("/") + 1
            touched = len(parts) >= depth and fnmatch.fnmatchcase("/".join(parts[:depth]), pattern)
        inside = keep if touched else inside
    return inside


def context(root, ignore_text):
    """Los archivos de la carpeta que Docker vería."""
    skipped = {".git", ".venv", "node_modules"}  # no entran, y recorrerlos tarda
    for parent, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in skipped]
        for file in files:
            path = Path(parent, file)
            if admitted(ignore_text, path.relative_to(root).as_posix()):
                yield path


def build(dockerfile, root):
    """Hace los pasos en este sistema de archivos (que debe ser de usar y tirar) y devuelve la imagen.

    Todas las etapas comparten los discos: de una anterior, lo que no se copia se borra.
    """
    # Lo que en Docker se da con --build-arg o pone el demonio: cómo llega esta máquina a los paquetes.
    given = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
    given["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ignore_text = Path(f"{dockerfile}.dockerignore").read_text(encoding="utf-8")
    image, made = Image(), set()
    for name, rest in instructions(Path(dockerfile).read_text(encoding="utf-8")):
        if name == "FROM":
            image = Image(env=dict(given), ran=image.ran)
        elif name in ("ARG", "ENV"):
            key, _, value = rest.partition("=")
            image.env[key] = given.get(key, value.strip('"')) if name == "ARG" else value
        elif name == "WORKDIR":
            image.workdir = rest
            if not os.path.isdir(rest):
                os.makedirs(rest)
                made.add(rest)
        elif name == "USER":
            image.user = rest
        elif name == "COPY" and rest.startswith("--from="):
            source, target = rest.split()[1:]
            assert source == target, rest
            for folder in made:  # es lo que no pasa de una etapa a otra
                assert not Path(target).is_relative_to(folder)
                shutil.rmtree(folder)
        elif name == "COPY":
            assert rest == ". .", rest
            for path in context(root, ignore_text):
                copy = Path(image.workdir, path.relative_to(root))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        elif name == "RUN":
            order = ["/bin/sh", "-ec", rest]
            done = subprocess.run(order, cwd=image.workdir, env=image.env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"RUN {rest}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            image.ran.append(rest)
        elif name == "HEALTHCHECK":
            image.health = json.loads(rest.partition("CMD ")[2])
        elif name == "CMD":
            image.cmd = json.loads(rest)
        else:
            assert name == "EXPOSE", f"no sé hacer {name}"
    return image
