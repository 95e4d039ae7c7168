"""Ejecuta una orden donde no hay red, y falla si ella o cualquiera de sus procesos intenta salir.

    python -m tools.offline ORDEN ARGUMENTOS…

La orden corre en un espacio de nombres de red nuevo en el que solo existe el bucle local (127.0.0.1 y ::1), que
JupyterLab y los núcleos necesitan. El núcleo de Linux cuenta en él cada dirección a la que no supo llegar, la pida
Python, una biblioteca compilada o un programa como curl; las consultas a un DNS local, como el de systemd, se cuentan
como datagramas que nadie recoge. Al acabar se leen esos contadores: con un solo intento, el estado es 1 aunque la
orden diga que todo fue bien. Los procesos de Python apuntan además a quién llamaban y desde qué línea.

Donde no hay espacios de nombres (macOS, Windows, algunos contenedores) la orden se ejecuta sin más, con un aviso; con
CI=true eso es un error. No se vigilan los sockets Unix, que no salen de la máquina.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from . import ROOT

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
COUNTERS = {"IPv4": ("Ip:", "OutNoRoutes"), "IPv6": ("Ip6OutNoRoutes",), "DNS local": ("Udp:", "NoPorts")}
# Una dirección reservada para ejemplos (RFC 5737): no es de nadie.
NOWHERE = ("192.0.2.1", 9)

# Va a una carpeta del PYTHONPATH: así lo carga todo Python que arranque la orden, también los núcleos de Jupyter.
HOOK = """\
import importlib.machinery, importlib.util, ipaddress, os, sys, traceback

def _watch(event, args):
    if event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    try:
        target = args[1] if event in ("socket.connect", "socket.sendto") else args[:2]
        host = target[0].decode() if isinstance(target[0], bytes) else target[0]
        if not isinstance(target, tuple) or host in (None, "", "localhost"):
            return
        try:
            if ipaddress.ip_address(host.split("%")[0]).is_loopback or "get" in event:
                return
        except ValueError:
            pass
        stack = [f for f in reversed(traceback.extract_stack()) if f.filename != __file__]
        ours = [f for f in stack if not f.filename.startswith((os.path.dirname(os.__file__), sys.prefix, "<frozen"))]
        lines = [f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in [stack[0], *ours[:2]]]
        where = " < … < ".join(dict.fromkeys(lines))
        with open(os.environ["CURSO_SIN_RED"], "a", encoding="utf-8") as log:
            log.write(f"{event.split('.')[1]} {host}:{target[1] if len(target) > 1 else ''} | {where}\\n")
    except Exception:
        pass

sys.addaudithook(_watch)
others = [folder for folder in sys.path if folder != os.path.dirname(__file__)]
spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
if spec:  # el que habría sin este
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


def isolate() -> None:
    """Pasa este proceso a una red nueva con el bucle local encendido. No tiene vuelta atrás.

    Raises
    ------
    OSError
        Si el sistema no deja.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0 or libc.unshare(CLONE_NEWNET) != 0:
        # Quien no es administrador necesita antes un espacio de usuarios propio, en el que sigue siendo quien era.
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path("/proc/self", name).write_text(content)
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP_RUNNING))


def attempts() -> dict[str, int]:
    """Cuántas veces se ha intentado salir de esta red, según los contadores del núcleo."""
    files = [Path("/proc/self/net", name) for name in ("snmp", "snmp6")]
    rows = [line.split() for file in files if file.exists() for line in file.read_text().splitlines()]
    values = {(row[0],): int(row[1]) for row in rows if not row[0].endswith(":")}
    tables = [row for row in rows if row[0].endswith(":")]
    for names, numbers in zip(tables[::2], tables[1::2], strict=True):  # «Ip: …nombres», «Ip: …números»
        values |= {(names[0], name): int(number) for name, number in zip(names[1:], numbers[1:], strict=True)}
    return {kind: values.get(key, 0) for kind, key in COUNTERS.items()}


def why_not() -> str:
    """Por qué no se puede aislar aquí una orden; vacío si se puede. Lo prueba en un proceso aparte."""
    if sys.platform != "linux":
        return "este sistema no tiene espacios de nombres de red: hace falta Linux"
    code = "import socket; from tools import offline; offline.isolate()\n"
    code += "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    code += "try: s.sendto(b'', offline.NOWHERE)\nexcept OSError: pass\n"
    code += "assert offline.attempts()['IPv4'] == 1, 'el núcleo no cuenta los intentos'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["sin explicación"])[-1]


def run(command: list[str]) -> int:
    """Ejecuta la orden y devuelve su estado: 128 + n si la mató la señal n y 127 si no existe, como en la terminal."""
    try:
        sys.stdout.flush()  # lo ya escrito sale antes que lo de la orden
        process = subprocess.Popen(command)
    except OSError as error:
        print(f"No puedo ejecutar «{command[0]}»: {error.strerror}. ¿Está bien escrita la orden?", file=sys.stderr)
        return 127
    with process:
        for number in (signal.SIGINT, signal.SIGTERM):  # que decida la orden; aquí se espera a que acabe
            signal.signal(number, lambda n, _: process.send_signal(n) if n == signal.SIGTERM else None)
        status = process.wait()
    return status if status >= 0 else 128 - status


def main(command: list[str]) -> int:
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    if reason := why_not():
        print(f"No puedo quitarle la red a la orden ({reason}).", file=sys.stderr)
        if os.environ.get("CI") == "true":
            print("En integración continua es obligatorio: usa una máquina Linux que lo permita.", file=sys.stderr)
            return 1
        print("La ejecuto con red: si intenta salir, no lo sabré.", file=sys.stderr)
        return run(command)
    with tempfile.TemporaryDirectory(prefix="sin-red-") as folder:
        log = Path(folder, "intentos.txt")
        Path(folder, "sitecustomize.py").write_text(HOOK, encoding="utf-8")
        os.environ["CURSO_SIN_RED"] = str(log)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        # Un intermediario en 127.0.0.1 o una biblioteca avisada de que no hay red esconderían los intentos.
        for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.endswith("_OFFLINE")]:
            del os.environ[name]
        isolate()
        status = run(command)
        counted = attempts()
        seen = Counter(log.read_text(encoding="utf-8").splitlines()) if log.exists() else Counter()
    if not any(counted.values()):
        return status
    detail = ", ".join(f"{kind}: {n}" for kind, n in counted.items() if n)
    total = sum(counted.values())
    times = "1 vez" if total == 1 else f"{total} veces"
    print(f"\n✗ La orden intentó salir a la red {times} ({detail}).", file=sys.stderr)
    for line, count in seen.most_common(20):
        print(f"  {count} × {line}", file=sys.stderr)
    if not seen:
        print("  No fue el código de Python: mira qué programas o bibliotecas compiladas usa.", file=sys.stderr)
    return status or 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
