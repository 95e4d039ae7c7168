"""El curso en un JupyterHub de verdad: la imagen, una clase de veinte a la que se le cae el hub, y lo que no se puede.

Los pasos del Dockerfile se hacen uno a uno en una carpeta nueva; con lo que dejan se arranca JupyterHub, con la
configuración de tools/deploy y su proxy, y veinte personas con cuenta propia ejecutan entera la sesión 02. Hace falta
ser root en Linux (las cuentas son del sistema, en un espacio que se tira) y red para instalar; la clase corre sin ella.
En dos núcleos libres tarda unos quince minutos. CURSO_CELDAS=6 hace menos celdas y CURSO_ALUMNADO=4, menos personas;
CURSO_INFORME=archivo guarda lo medido.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from absent import missing

from tools.pins import parse_pins

ROOT = Path(__file__).resolve().parents[2]
PROXY = "configurable-http-proxy@5.3.0"
SPACE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
pytestmark = pytest.mark.timeout(3 * 3600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("aula")


@pytest.fixture(scope="module")
def report(folder):
    """Lo que pasó en el aula; todas las pruebas de este archivo miran el mismo informe."""
    if not hasattr(os, "geteuid") or os.geteuid() or not shutil.which("unshare"):
        missing("hace falta ser root en Linux: las cuentas de la clase son cuentas del sistema")
    if subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        missing("el sistema no deja crear un espacio propio de discos y procesos (unshare)")
    if not shutil.which("npm"):
        missing("sin npm, que trae el proxy de JupyterHub")
    order = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder / "npm", PROXY]
    if subprocess.run(order, capture_output=True, check=False).returncode:
        missing(f"npm no ha podido instalar {PROXY}: ¿hay red?")
    probe = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder / "pip", "jupyterhub-idle-culler<2"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        missing("sin red no se pueden instalar los paquetes del curso")
    env = os.environ | {"CURSO_PROXY": str(folder / "npm" / "node_modules" / ".bin" / "configurable-http-proxy")}
    for name in ("PYTHONPATH", "CURSO_PERFIL", "LLM", "OMP_NUM_THREADS", "CI"):
        env.pop(name, None)
    room = folder / "dentro"
    room.mkdir()
    subprocess.run([*SPACE, sys.executable, ROOT / "tests" / "support" / "aula.py", room], env=env, check=False)
    found = json.loads((room / "informe.json").read_text(encoding="utf-8"))
    if where := os.environ.get("CURSO_INFORME"):
        keep = ("estudiantes", "nucleos", "celdas", "carga", "alumnado", "reinicio", "hub_mb", "clase_mb")
        text = json.dumps({name: found.get(name) for name in keep}, ensure_ascii=False, indent=1)
        Path(where).write_text(text, encoding="utf-8")
    assert "fallo" not in found, found["fallo"]
    return found


def test_the_image(report):
    """Lo que dejan los pasos: sin soluciones ni clon, una copia de los pesos, de root, y las versiones fijadas."""
    image = report["imagen"]
    assert image["usuario"] == "1000:100" and image["salud"] and image["salud_antes"]
    assert not image["soluciones"] and not image["escribibles"] and not image["clon"]
    weights = (ROOT / "course_utils").rglob("*.safetensors")
    assert image["pesos"] == sorted(path.relative_to(ROOT).as_posix() for path in weights)
    assert {"02_bucle_de_generacion.ipynb", "profundiza", "quizzes"} <= set(image["repartidos"])
    installed = parse_pins("\n".join(line.partition("+")[0] for line in image["versiones"] if "==" in line))
    pins = parse_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert {"torch", "jupyterhub", "jupyterlab"} <= set(installed)
    assert {name: pins.get(name) for name in installed if name != "pip"} == {
        name: version for name, version in installed.items() if name != "pip"
    }


def test_everyone_finishes(report):
    rows = report["alumnado"]
    assert len(rows) == report["estudiantes"]
    assert {name: row["errores"] for name, row in rows.items() if row["errores"]} == {}
    assert len({row["celdas"] for row in rows.values()}) == 1 and all("acaba" in row for row in rows.values())
    assert report["trabajo"] == []


def test_the_hub_dies_and_nothing_is_lost(report):
    """La caída fue de verdad (no contestaba), en mitad de la clase, y la clase no se enteró."""
    restart = report["reinicio"]
    assert not restart["contestaba_muerto"] and restart["mismos_servidores"]
    assert restart["celdas_por_hacer"] > 0 and restart["celdas_con_el_hub_muerto"] > 0


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ("leer la carpeta de otra", "PermissionError"),
        ("leer el cuaderno de otra", "PermissionError"),
        ("escribir en la carpeta de otra", "PermissionError"),
        ("leer las variables de otra, con su testigo", "PermissionError"),
        ("parar el servidor de otra", "PermissionError"),
        ("escribir en el curso", "PermissionError"),
        ("borrar un modelo", "PermissionError"),
        ("cambiar el paquete", "PermissionError"),
        ("añadir al entorno", "PermissionError"),
        ("leer la base de datos del hub", "PermissionError"),
        ("leer el secreto de las cookies", "PermissionError"),
        ("leer las soluciones", "False"),
        ("listar la clase sin testigo", 403),
        ("listar la clase con un testigo inventado", 403),
        ("listar la clase con el suyo", 403),
        ("listar la clase con el de su servidor", 403),
        ("ver a otra", 404),
        ("apagar el servidor de otra", 404),
        ("pedir un testigo de otra", 403),
        ("hacerse administradora", 403),
        ("apagar el hub", 403),
        ("el cuaderno de otra con su testigo", 403),
        ("el cuaderno de otra con el de su servidor", 403),
        ("el cuaderno de otra sin testigo", 403),
        ("el cuaderno de otra con su sesión del navegador", 403),
        ("un núcleo en el servidor de otra", 403),
        ("llamar a la puerta del servidor de otra", 403),
        ("las rutas del proxy sin su secreto", 403),
        ("entrar como otra con su contraseña", 403),
        ("entrar como root", 403),
    ],
)
def test_what_a_student_cannot_do(report, attempt, expected):
    assert report["intentos"][attempt] == expected


def test_with_what_is_theirs_they_can(report):
    """Si esto fallara, los intentos de arriba no probarían nada."""
    assert report["propios"] == {
        "leer su cuaderno": "True",
        "leer el curso": "True",
        "verse": 200,
        "su cuaderno": 200,
        "entrar": 302,
    }


def test_what_a_teacher_sees(report):
    teacher = report["docente"]
    assert teacher["ve la clase"] == report["estudiantes"] and teacher["apaga un servidor"] in (202, 204)
    assert (teacher["lee un cuaderno"], teacher["pide un testigo de otra"], teacher["borra una cuenta"]) == (
        403,
        403,
        403,
    )


def test_collecting_as_root_takes_from_each_only_what_is_theirs(report):
    collected = report["recogida"]
    assert collected["codigo"] == 0, collected["error"]
    everyone = set(report["alumnado"])
    assert set(collected["de"]) == everyone - set(collected["tramposas"]) and collected["iguales"]
    assert all(f"  {name}: " in collected["dice"] for name in collected["tramposas"])


def test_what_nobody_uses_is_turned_off(report):
    assert report["inactivos"]["antes"] >= report["estudiantes"] - 1 and report["inactivos"]["despues"] == 0
