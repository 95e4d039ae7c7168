"""Busca fallos de seguridad conocidos en las versiones de constraints.txt, con pip-audit.

    python -m tools.audit    (o `make audit`)

pip-audit se instala en una carpeta desechable: no entra en el entorno del curso. Necesita red. Un paquete del que la
base de datos no sabe nada no cuenta como sano: si falta alguno, la orden acaba en error y lo dice.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from . import ROOT

NO_TOOL = "No se pudo instalar pip-audit: comprueba la conexión y repite la orden."
NO_DATABASE = (
    "No se pudo consultar la base de datos de fallos: comprueba la conexión y repite la orden. No se auditó nada."
)


def summarise(report: str) -> tuple[int, str]:
    """Código de salida y mensaje para un informe de pip-audit en JSON: 0 solo si todo se miró y nada tiene fallos."""
    try:
        found = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        found = []
    skipped = [item["name"] for item in found if "skip_reason" in item]
    if len(skipped) == len(found):
        return 2, NO_DATABASE
    lines = [
        f"  {item['name']} {item['version']}: {flaw['id']} (arreglo: {', '.join(flaw['fix_versions']) or '—'})"
        for item in found
        for flaw in item.get("vulns", ())
    ]
    if lines:
        return 1, "\n".join(
            ["Hay fallos conocidos:", *lines, "Sube esas versiones en constraints.txt y pasa `make test`."]
        )
    if skipped:
        return 2, f"Sin fallos en {len(found) - len(skipped)} paquetes, pero no se pudo mirar: {', '.join(skipped)}."
    return 0, f"Sin fallos conocidos en {len(found)} paquetes."


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        if subprocess.run([python, "-m", "pip", "install", "-q", "pip-audit"], check=False).returncode:
            print(f"✗ {NO_TOOL}", file=sys.stderr)
            return 2
        options = ["--no-deps", "--disable-pip", "-f", "json", "--progress-spinner", "off"]
        command = [python, "-m", "pip_audit", "-r", ROOT / "constraints.txt", *options]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    status, message = summarise(result.stdout)
    print(f"✗ {message}" if status else message, file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
