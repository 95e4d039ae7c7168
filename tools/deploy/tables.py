"""Las tablas de recursos del README y de la guía, y las cuentas que salen de tools/deploy/medidas.json.

Se escriben entre marcas, ``<!-- medidas: NOMBRE -->`` y ``<!-- fin de las medidas -->``, con
``python -m tools.deploy.measure --tables``. Las pruebas comprueban que lo escrito es lo que dicen las medidas.
"""

from __future__ import annotations

import math
import re

from .. import ROOT, write_if_changed

PAGES = (ROOT / "tools" / "deploy" / "README.md", ROOT / "slides" / "GUIA_DOCENTE.md")
MARK = re.compile(r"(<!-- medidas: (\w+) -->\n).*?(<!-- fin de las medidas -->)", re.S)
MACHINES = (8, 16, 32, 64)  # GB
SYSTEM_MB = 1000  # el sistema operativo, sus servicios y los archivos que todos leen, en la caché del disco
HEADROOM = 0.9  # la memoria que se reparte: con la otra décima se atienden los picos
HOUR = 3600
CORE = ("01", "02", "03", "04", "05")


def heaviest(stored: dict, sessions=None, profile: str = "mini") -> int:
    """MB del núcleo que más ocupa en su momento peor."""
    rows = stored["sesiones"][profile]
    return max(row["pico_mb"] for name, row in rows.items() if sessions is None or name in sessions)


def per_student(stored: dict, kernel_mb: float) -> float:
    """MB de una persona con un cuaderno abierto: su servidor y su núcleo."""
    return stored["servidor"]["reposo_mb"] + kernel_mb


def room(stored: dict, memory_gb: float, kernel_mb: float) -> int:
    """Cuántas personas caben a la vez en esa memoria, con un cuaderno abierto cada una."""
    free = memory_gb * 1000 * HEADROOM - SYSTEM_MB - stored["aula"]["hub_mb"]
    return max(0, math.floor(free / per_student(stored, kernel_mb)))


def table(head: list[str], rows: list[list]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def number(value: float, decimals: int = 1) -> str:
    """Con coma y, si pasa de diez mil, un espacio que no se parte."""
    return f"{value:,.{decimals}f}".replace(",", "\u00a0").replace(".", ",")


def sessions_table(stored: dict) -> str:
    """Por sesión: procesador, memoria en el peor momento y en reposo."""
    lines = [
        [name, profile, number(row["cpu_s"], 0), row["pico_mb"], row["reposo_mb"]]
        for profile, rows in stored["sesiones"].items()
        for name, row in rows.items()
    ]
    lines += [[name, "mini", *["sin medir"] * 3] for name in unmeasured(stored)]
    return table(["Sesión", "Perfil", "Procesador (s)", "Pico (MB)", "En reposo (MB)"], lines)


def unmeasured(stored: dict) -> list[str]:
    """Las sesiones que faltan por medir con el perfil mini."""
    names = {path.name[:2] for path in (ROOT / "notebooks").glob("[A0-9][0-9]_*.ipynb")}
    return sorted(names - set(stored["sesiones"]["mini"]))


def capacity_table(stored: dict) -> str:
    """Cuántas personas caben en cada máquina, según lo que hagan."""
    cases = {
        "la sesión 02": heaviest(stored, ("02",)),
        "la que más ocupa del corazón": heaviest(stored, CORE),
        "la que más ocupa de las medidas": heaviest(stored),
    }
    if "mediano" in stored["sesiones"]:
        cases["el perfil mediano"] = heaviest(stored, profile="mediano")
    lines = [[f"{gb} GB", *(room(stored, gb, kernel) for kernel in cases.values())] for gb in MACHINES]
    return table(["Con esta memoria caben, a la vez, haciendo…", *cases], lines)


def cores_table(stored: dict) -> str:
    """Para que una clase de una hora quepa en su hora, y cuánto se espera si todos ejecutan todo de golpe."""
    rows = stored["sesiones"]["mini"]
    worst = max(rows, key=lambda name: rows[name]["cpu_s"])
    lines = []
    for name in ("02", worst):
        for people, cores in ((30, 4), (100, 8), (300, 32)):
            total = people * rows[name]["cpu_s"]
            lines.append([name, people, number(total / HOUR), cores, number(total / cores / 60)])
    head = ["Sesión", "Personas", "Núcleos de media en una hora", "Con estos núcleos", "todo de golpe tarda (min)"]
    return table(head, lines)


def class_table(stored: dict) -> str:
    """La clase de prueba."""
    rows = list(stored["aula"]["alumnado"].values())
    lines = []
    for title, column in (
        ("entrar", "entra"),
        ("servidor listo", "servidor"),
        ("primera celda", "primera_celda"),
        ("acabar y guardar", "acaba"),
    ):
        values = sorted(row[column] for row in rows)
        lines.append([f"segundos hasta {title}", *(number(v, 0) for v in (values[0], median(values), values[-1]))])
    values = sorted(row["mb"] for row in rows)
    lines.append(
        ["memoria de cada persona, en su pico (MB)", *map(str, (values[0], round(median(values)), values[-1]))]
    )
    what = f"{stored['aula']['celdas']} celdas" if stored["aula"]["celdas"] else "la sesión entera"
    return table([f"{len(rows)} personas a la vez, {what}", "la primera", "en medio", "la última"], lines)


def median(values: list[float]) -> float:
    half = len(values) // 2
    return (values[half] + values[~half]) / 2


def weights_table(stored: dict) -> str:
    """Lo que se copia al cargar los pesos."""
    if "pesos" not in stored:
        return "Sin medir todavía: `python -m tools.deploy.measure --weights`.\n"
    lines = [
        [name, *(number(row[key]) for key in ("archivo", "tensores", "copiado", "proyectado"))]
        for name, row in stored["pesos"].items()
    ]
    head = ["Modelo", "En el disco (MB)", "En float32 (MB)", "Copiado por persona (MB)", "Sigue en el archivo (MB)"]
    return table(head, lines)


TABLES = {
    "sesiones": sessions_table,
    "capacidad": capacity_table,
    "nucleos": cores_table,
    "aula": class_table,
    "pesos": weights_table,
}


def fill(text: str, stored: dict) -> str:
    """El texto con sus tablas al día."""
    return MARK.sub(lambda found: f"{found[1]}\n{TABLES[found[2]](stored)}\n{found[3]}", text)


def write(stored: dict) -> None:
    """Pone al día las páginas, si ya están medidos el servidor y la clase, de los que dependen las cuentas."""
    if {"servidor", "aula"} <= set(stored):
        for page in PAGES:
            write_if_changed(page, fill(page.read_text(encoding="utf-8"), stored))
