"""Sesenta entregas inventadas y la nota que le toca a cada una: buenas, raras, malas, rotas y hostiles.

``write(folder)`` las escribe y devuelve lo esperado de cada persona: sus puntos por ejercicio y algo que ha de salir en
sus avisos o en lo que recibe. Casi todas contestan al 2.1, que es una función de una línea.
"""

import io
import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from cuadernos import NOTEBOOKS, SESSIONS

ROOT = NOTEBOOKS.parent
GOOD = "def apply_temperature(logits, t):\n    return torch.softmax(logits / t, dim=-1)\n"
WRONG = "    return logits\n"


@dataclass
class Expected:
    """Los puntos de lo entregado, y un trozo de lo que hay que decir."""

    points: dict = field(default_factory=dict)
    said: str = ""


def notebook(name: str) -> dict:
    path = next(p for p in (*SESSIONS, *(NOTEBOOKS / "soluciones").glob("*.ipynb")) if name in p.as_posix())
    return json.loads(path.read_text(encoding="utf-8"))


def session_02(code: str = "", *, before: str = "", after: str = "", second: str = "") -> dict:
    """El cuaderno 02 con esa celda en el 2.1 (y en el 2.3), y otras celdas delante o al final."""
    made = notebook("notebooks/02_")
    for cell in made["cells"]:
        if cell["id"] == "ejercicio-2-1" and code:
            cell["source"] = code
        if cell["id"] == "ejercicio-2-3" and second:
            cell["source"] = second
    extra = lambda k, text: {"id": k, "cell_type": "code", "metadata": {}, "outputs": [], "source": text}  # noqa: E731
    place = next(k for k, cell in enumerate(made["cells"]) if cell["id"] == "ejercicio-2-1")
    if before:
        made["cells"].insert(place, extra("antes", before))
    if after:
        made["cells"].append(extra("despues", after))
    return made


def _body(*lines: str, head: str = "", wrong: bool = True) -> str:
    inside = "".join(f"    {line}\n" for line in lines)
    return f"{head}\ndef apply_temperature(logits, t):\n{inside}{WRONG if wrong else ''}"


# ---------------------------------------------------------------- buenas, aunque no se parezcan a la solución
UNUSUAL = {
    "con_numpy": session_02(
        "import numpy as np\ndef apply_temperature(logits, t):\n    z = logits.numpy() / t\n"
        "    e = np.exp(z - z.max(-1, keepdims=True))\n    return e / e.sum(-1, keepdims=True)\n"
    ),
    "con_listas": session_02(
        "import math\ndef apply_temperature(logits, t):\n    rows = []\n    for row in logits.tolist():\n"
        "        grown = [math.exp(z / t) for z in row]\n        rows.append([x / sum(grown) for x in grown])\n"
        "    return rows\n"
    ),
    "con_lambda": session_02("apply_temperature = lambda logits, t: (logits / t).softmax(-1)\n"),
    "con_ayuda_antes": session_02(
        "def apply_temperature(logits, t):\n    return soft(logits / t)\n",
        before="AXIS = -1\ndef soft(z):\n    return z.softmax(AXIS)\n",
    ),
    "con_ayuda_despues": session_02(
        "def apply_temperature(logits, t):\n    return soft(logits / t)\n", after="soft = lambda z: z.softmax(-1)\n"
    ),
    "con_clase": session_02(
        "class Soften:\n    def __call__(self, logits, t):\n        return (logits / t).softmax(-1)\n\n"
        "apply_temperature = Soften()\n"
    ),
    "con_decorador": session_02("@torch.no_grad()\n" + GOOD),
    "celda_rota_antes": session_02(GOOD, before="esto no es (Python\n"),
    "celda_lenta_antes": session_02(GOOD, before="import time\ntime.sleep(3600)\n1 / 0\n"),
    "con_magia": session_02("%time\n" + GOOD + "!ls\n", before="%matplotlib inline\n"),
}


def _colab() -> dict:
    """Como lo guarda Colab: sin nombre en la celda, y con él en los metadatos."""
    made = session_02(GOOD)
    for cell in made["cells"]:
        cell["metadata"]["id"] = cell.pop("id")
    return made | {"nbformat_minor": 0}


UNUSUAL["de_colab"] = _colab()

# ---------------------------------------------------------------- malas, a medias y sin hacer
PARTLY = {  # (código, puntos)
    "multiplica": (_body("return (logits * t).softmax(-1)", wrong=False), 0),
    "logits": (_body(), 0),
    "sin_return": (_body("logits.softmax(-1)", wrong=False), 0),
    "con_error": (_body("return logitos / t", wrong=False), 0),
    "no_es_python": ("def apply_temperature(logits, t)\n    return 1\n", 0),
    "no_es_funcion": ("apply_temperature = 3\n", 0),
    "modifica": (_body("logits /= t", "return logits.softmax(-1)", wrong=False), 1),
    "solo_frio": (_body("return (logits / min(t, 1.0)).softmax(-1)", wrong=False), 1),
    "hueco_con_pass": (_body("pass", wrong=False), 0),
}

# ---------------------------------------------------------------- hostiles: (código, algo que se dice)
HOSTILE = {
    "h_parchea_check": (
        _body(head="import course_utils.checks as c\nc.check = lambda *a, **k: print('¡Ejercicio 2.1 resuelto!')\n"),
        "course_utils.checks",
    ),
    "h_parchea_reglas": (
        _body(head="import course_utils.checks.session_02 as s\ns.EXERCISES.clear()\ns.expect = lambda *a, **k: None"),
        "course_utils.checks",
    ),
    "h_parchea_torch": (
        _body(head="torch.isclose = lambda *a, **k: torch.tensor(True)\ntorch.Tensor.__eq__ = lambda *a: True"),
        "",
    ),
    "h_se_va": (_body("import os", "os._exit(0)"), "se cerró a sí mismo"),
    "h_no_acaba": (_body("while True:", "    pass"), "un bucle que no termina"),
    "h_no_acaba_en_c": (_body("sum(iter(int, 1))"), "de procesador"),
    "h_bomba_de_procesos": (_body("import os", "while True:", "    os.fork()"), "PermissionError"),
    "h_bomba_de_memoria": (_body("kept = []", "while True:", "    kept.append(bytearray(10**8))"), "MemoryError"),
    "h_llena_el_disco": (
        _body("for k in range(10**6):", "    open(f'/tmp/basura{k}', 'wb').write(b'x' * 10**8)"),
        "Read-only file system",
    ),
    "h_llena_la_memoria_del_disco": (_body("open('/dev/shm/x', 'wb').write(b'x' * 10**8)"), "Error"),
    "h_inunda": (_body("while True:", "    print('x' * 10**6)"), ""),  # según la máquina, por líneas o por tiempo
    "h_lee_las_reglas": (
        _body(
            "from course_utils.checks.session_02 import _tempered",
            "return _tempered(logits, t).softmax(-1)",
            wrong=False,
        ),
        "ModuleNotFoundError",
    ),
    "h_lee_la_solucion": (
        _body(
            "import json",
            f"book = json.load(open({str(NOTEBOOKS / 'soluciones' / '02_bucle_de_generacion.ipynb')!r}))",
            "exec(''.join(next(c['source'] for c in book['cells'] if c['id'] == 'ejercicio-2-1')), globals())",
            "return apply_temperature(logits, t)",
            wrong=False,
        ),
        "FileNotFoundError",
    ),
    "h_lee_otras_entregas": (
        _body(
            "import glob",
            "tops = ('CARPETA', '/tmp', '/home')",
            "seen = [x for top in tops for x in glob.glob(f'{top}/**/*.ipynb', recursive=True)]",
            "raise RuntimeError(f'he visto {len(seen)} cuadernos')",
        ),
        "he visto 0 cuadernos",
    ),
    "h_borra": (
        _body(
            "import os, pathlib, shutil",
            f"for place in (pathlib.Path.home(), {str(Path.home())!r}, {str(ROOT)!r}, 'CARPETA', '/tmp', '/curso'):",
            "    shutil.rmtree(place, ignore_errors=True)",
        ),
        "os, shutil",
    ),
    "h_red": (_body("import socket", "socket.create_connection(('192.0.2.1', 80), 5)"), "PermissionError"),
    "h_hilo": (
        _body("import threading", "threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()"),
        "can't start new thread",
    ),
    "h_al_morir": (
        _body(
            "import atexit, os",
            "atexit.register(lambda: os.system('touch /tmp/dentro'))",
            "class Last:",
            "    def __del__(self):",
            "        os.write(1, b'resuelto')",
            "        os._exit(0)",
            "global kept",
            "kept = Last()",
        ),
        "",
    ),
    "h_senales": (
        _body(
            "import signal",
            "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:",
            "    signal.signal(number, signal.SIG_IGN)",
            "sum(iter(int, 1))",
        ),
        "de procesador",
    ),
    "h_mata_al_padre": (
        _body("import os, signal", "os.kill(os.getppid(), signal.SIGKILL)"),
        "PermissionError",
    ),
    "h_depura_al_padre": (
        _body(
            "import ctypes, os",
            "libc = ctypes.CDLL(None, use_errno=True)",
            "for who in (1, os.getppid(), 0):",
            "    libc.ptrace(16, who, 0, 0)",
            "open('/proc/1/mem', 'r+b').write(b'x')",
        ),
        "PermissionError",
    ),
    "h_escribe_en_el_canal": (
        _body(
            "import os",
            "for number in range(3, 64):",
            "    try:",
            "        os.write(number, b'\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00{}' * 99)",
            "    except OSError:",
            "        pass",
        ),
        "ha dejado de contestar",
    ),
    "h_mira_los_marcos": (
        _body(
            "import gc, sys",
            "right = torch.softmax",
            "frame = sys._getframe()",
            "import collections",
            "kinds = {k.__name__ for k in collections.Counter(map(type, gc.get_objects()))}",
            'raise RuntimeError(f\'{len(kinds & {"Rule", "Outcome"})} reglas a la vista\')',
        ),
        "0 reglas a la vista",
    ),
    "h_devuelve_lo_imposible": (
        _body(
            "class Yes:",
            "    __class__ = torch.Tensor",
            "    def __getattr__(self, name): return self",
            "    def __call__(self, *a, **k): return self",
            "    def __eq__(self, other): return True",
            "    def __iter__(self): return iter([self] * 10)",
            "return Yes()",
            wrong=False,
        ),
        "",
    ),
    "h_devuelve_demasiado": (_body("return torch.zeros(1).expand(10**11)", wrong=False), ""),
}
assert len(HOSTILE) >= 16


def _stored() -> dict:
    """El hueco, y una salida guardada que dice que está resuelto."""
    made = session_02()
    for cell in made["cells"]:
        if cell["id"] == "comprueba-2-1":
            text = "✅ todo\n¡Ejercicio 2.1 resuelto!\n"
            cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": [text]}]
    return made


def _without(made: dict, name: str) -> dict:
    made["cells"] = [cell for cell in made["cells"] if cell["id"] != name]
    return made


def _renamed(made: dict, old: str, new: str) -> dict:
    for cell in made["cells"]:
        if cell.get("id") == old:
            cell["id"] = new
    return made


def _twice() -> dict:
    made = session_02(_body())
    place = next(k for k, cell in enumerate(made["cells"]) if cell["id"] == "ejercicio-2-1")
    made["cells"].insert(place + 1, dict(made["cells"][place], source=GOOD))
    return made


def _other_name() -> dict:
    made = session_02(GOOD.replace("apply_temperature", "mi_temperatura"))
    for cell in made["cells"]:
        if cell["id"] == "comprueba-2-1":
            cell["source"] = 'check("2.1", mi_temperatura)'
    return made


ZERO = {"2.1": 0, "2.3": 0}
ODD = {  # cuaderno y lo esperado
    "sin_tocar": (session_02(), Expected(ZERO)),
    "salida_falsa": (_stored(), Expected(ZERO)),
    "celda_sin_nombre": (_renamed(session_02(GOOD), "ejercicio-2-1", "abc"), Expected(ZERO | {"2.1": 2}, "perdido")),
    "otro_nombre": (_other_name(), Expected(ZERO | {"2.1": 2}, "se llama mi_temperatura")),
    "celda_repetida": (_twice(), Expected(ZERO | {"2.1": 2}, "hay 2 celdas")),
    "sin_una_celda": (_without(session_02(), "ejercicio-2-3"), Expected({"2.1": 0}, "2.3: falta su celda")),
    "otra_edicion": (
        _renamed(session_02(GOOD), "ejercicio-2-3", "ejercicio-2-9"),
        Expected({"2.1": 2, "2.3": 0}, "otra edición"),
    ),
    "de_otro_curso": (
        {"cells": [{"id": "x", "cell_type": "code", "metadata": {}, "source": "print(1)"}], "nbformat": 4},
        Expected({}, "no es un cuaderno de este curso"),
    ),
}


def write(folder: Path, only: tuple[str, ...] = ()) -> dict[str, Expected]:
    """Escribe las entregas, todas o algunas, en una carpeta nueva; y fuera, un archivo al que no hay que llegar."""
    expected: dict[str, Expected] = {}
    folder.mkdir(parents=True)

    def put(name: str, made, wanted: Expected) -> None:
        if only and name not in only:
            return
        text = made if isinstance(made, bytes) else json.dumps(made, ensure_ascii=False).encode()
        (folder / f"{name}.ipynb").write_bytes(text)
        expected[name] = wanted

    _put_right(put, folder)
    for name, made in UNUSUAL.items():
        put(name, made, Expected(ZERO | {"2.1": 2}))
    for name, (code, points) in PARTLY.items():
        put(name, session_02(code), Expected(ZERO | {"2.1": points}))
    for name, (code, said) in HOSTILE.items():
        put(name, session_02(code.replace("CARPETA", str(folder))), Expected(ZERO, said))
    for name, (made, wanted) in ODD.items():
        put(name, made, wanted)
    put("cortado", json.dumps(session_02(GOOD)).encode()[:5000], Expected({}, "su JSON no se entiende"))
    put("vacio", b"", Expected({}, "está vacío"))
    put("enorme", b" " * (80 * 2**20), Expected({}, "ocupa 80 MB"))
    if not only:
        _put_strange(put, folder, expected)
    return expected


def _put_right(put, folder: Path) -> None:
    """Los resueltos, tal como se publican."""
    for path in SESSIONS:
        made = json.loads((NOTEBOOKS / "soluciones" / path.name).read_text(encoding="utf-8"))
        numbers = [c["id"].removeprefix("ejercicio-") for c in made["cells"] if c["id"].startswith("ejercicio-")]
        points = {number.upper().replace("-", "."): 2 for number in numbers}
        said = "igual que la solución publicada" if path.stem[:2] in ("02", "03", "04") else ""
        put(f"resuelto{path.stem[:2]}", made, Expected(points, said))


def _put_strange(put, folder: Path, expected: dict) -> None:
    """Nombres raros, permisos, enlaces y zips."""
    good = Expected(ZERO | {"2.1": 2})
    for name in ("a; touch hola", "..", "-rf", "=1+1"):
        place = folder / (name if name != ".." else "puntos..")
        (place.parent / f"{place.name}.ipynb").write_text(json.dumps(session_02(GOOD)), encoding="utf-8")
        expected[place.name.strip(" _-.()") or name] = good
    outside = folder.parent / "fuera.ipynb"
    outside.write_text(json.dumps(session_02(GOOD)), encoding="utf-8")
    (folder / "enlace.ipynb").symlink_to(outside)
    expected["enlace"] = Expected({}, "es un enlace")
    put("sin_permiso", session_02(GOOD), Expected({}, "no hay permiso"))
    os.chmod(folder / "sin_permiso.ipynb", 0)
    raw = json.dumps(session_02(GOOD)).encode()
    moodle = folder / "García Pérez Ana_1234_assignsubmission_file_"
    moodle.mkdir()
    (moodle / "entrega.zip").write_bytes(zipped({"carpeta/02.ipynb": raw}))
    expected["García Pérez Ana"] = good
    (folder / "Luis Ñáñez - 02_bucle_de_generacion.ipynb").write_bytes(raw)
    expected["Luis Ñáñez"] = good
    (folder / "sale.zip").write_bytes(zipped({"../../fuera2.ipynb": raw, "/etc/fuera3.ipynb": raw}))
    expected["sale"] = Expected({}, "sale de la carpeta")
    (folder / "bomba.zip").write_bytes(zipped({"02.ipynb": b" " * (300 * 2**20)}))
    expected["bomba"] = Expected({}, "se hincha")


def zipped(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()
