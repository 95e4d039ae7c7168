"""Un aula entera en un espacio propio: publica el curso con los pasos de la imagen, arranca un hub y le mete una clase.

    unshare --mount --pid --fork --kill-child --mount-proc python tests/support/aula.py CARPETA

Lo llama tests/nightly/test_hub.py. Dentro, /etc, /home y /srv son copias de usar y tirar (las cuentas que se crean no
son de la máquina) y, una vez instalado el curso, la red solo es el bucle local. Al salir no queda ningún proceso. El
informe queda en CARPETA/informe.json. La configuración del hub es la de tools/deploy; aquí solo se le dice quién entra
(cuentas del sistema con su contraseña, que dan un aislamiento de verdad) y dónde escucha.
"""

import contextlib
import filecmp
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import psutil  # noqa: E402
import requests  # noqa: E402
from alumnado import Student, printed  # noqa: E402
from dockerfile import build  # noqa: E402

from tools import offline  # noqa: E402
from tools.deploy.measure import MB, memory  # noqa: E402

PROXY_API = "http://127.0.0.1:8001/api/routes"
URL = "http://127.0.0.1:8000"
SHARED = Path("/srv/curso")
NOTEBOOK = "02_bucle_de_generacion.ipynb"
CONFIG = """\
load_subconfig({config!r})  # la de las recetas, sin cambiar nada
c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.service = "aula"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.JupyterHub.bind_url = {url!r}
c.JupyterHub.hub_bind_url = "http://127.0.0.1:8081"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:8001"
c.JupyterHub.db_url = "sqlite:///{state}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{state}/cookie"
"""


class Room:
    """El hub, su proxy y la clase."""

    def __init__(self, folder, students, cells):
        self.folder, self.count, self.cells = folder, students, cells
        self.state, self.report, self.hub = folder / "estado", {}, None
        self.secret = secrets.token_hex(32)

    # ------------------------------------------------------------ los discos, la imagen y las cuentas
    def prepare_disks(self):
        for name in ("etc", "home", "srv"):
            copy = self.folder / name
            shutil.copytree("/etc", copy, symlinks=True, dirs_exist_ok=True) if name == "etc" else copy.mkdir()
            subprocess.run(["mount", "--bind", copy, f"/{name}"], check=True)
        people = {user.pw_name for user in pwd.getpwall() if 1000 <= user.pw_uid < 60000}
        for name in ("passwd", "shadow", "group", "gshadow"):  # solo las cuentas del sistema, como en la imagen base
            path = Path("/etc", name)
            kept = [line for line in path.read_text().splitlines() if line.split(":")[0] not in people]
            path.write_text("\n".join(kept) + "\n")
        self.state.mkdir(mode=0o700)
        os.chmod(self.folder, 0o711)

    def publish(self):
        """Los pasos del Dockerfile, y lo que queda de ellos."""
        start = time.monotonic()
        image = build(ROOT / "tools" / "deploy" / "Dockerfile", ROOT)
        found = [(path, path.lstat()) for path in SHARED.rglob("*")]
        names = {path.relative_to(SHARED).as_posix() for path, _ in found}
        private = re.compile(r"(notebooks/(soluciones|fuente)|slides|tests)/")
        freeze = [SHARED / ".venv/bin/python", "-m", "pip", "freeze"]
        self.report["imagen"] = {
            "segundos": round(time.monotonic() - start),
            "usuario": image.user,
            "ordenes": image.ran,
            "pesos": sorted(name for name in names if name.endswith(".safetensors")),
            "gb": round(sum(stat.st_size for path, stat in found if path.is_file()) / 1000**3, 2),
            "soluciones": sorted(name for name in names if ".venv" not in name and private.match(name)),
            "escribibles": [str(path) for path, stat in found if stat.st_mode & 0o22 and not path.is_symlink()],
            "versiones": subprocess.run(freeze, capture_output=True, text=True, check=True).stdout.splitlines(),
            "clon": os.path.exists("/srv/clon"),
        }
        return image

    def try_image(self, image):
        """La orden de arranque de la imagen, con su usuario, y la de salud, que antes de arrancar tiene que fallar."""
        uid, gid = map(int, image.user.split(":"))
        identity = dict(user=uid, group=gid, extra_groups=[], cwd=image.workdir, env=image.env)
        healthy = lambda: subprocess.run(image.health, capture_output=True, check=False, **identity).returncode  # noqa: E731
        before = healthy()
        with (self.folder / "imagen.log").open("wb") as log:
            server = subprocess.Popen(image.cmd, stdout=log, stderr=log, **identity)
        try:
            code = wait_for(lambda: healthy() == 0, 120)
            given = sorted(os.listdir("/home/jovyan/curso"))
        finally:
            server.terminate()
            server.wait(30)
        self.report["imagen"] |= {"salud_antes": before, "salud": code, "repartidos": given}

    def make_accounts(self):
        Path("/etc/pam.d/aula").write_text("auth required pam_unix.so\naccount required pam_unix.so\n")
        names = [f"alumna-{number:02}" for number in range(1, self.count + 1)] + ["profe"]
        self.students = []
        for name in names:
            password = secrets.token_urlsafe(12)
            subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
            subprocess.run(["chpasswd"], input=f"{name}:{password}", text=True, check=True)
            os.chmod(f"/home/{name}", 0o700)
            self.students.append(Student(URL, name, password))
        self.teacher = self.students.pop()

    # ------------------------------------------------------------ el hub
    def start_proxy(self):
        order = [os.environ["CURSO_PROXY"], "--ip=127.0.0.1", "--port=8000", "--api-ip=127.0.0.1", "--api-port=8001"]
        order += ["--default-target=http://127.0.0.1:8081", "--error-target=http://127.0.0.1:8081/hub/error"]
        env = {"PATH": os.environ["PATH"], "CONFIGPROXY_AUTH_TOKEN": self.secret}
        with (self.folder / "proxy.log").open("wb") as log:
            self.proxy = subprocess.Popen(order, env=env, stdout=log, stderr=log)

    def start_hub(self, idle=3600):
        config = self.state / "jupyterhub_config.py"
        own = ROOT / "tools" / "deploy" / "jupyterhub_config.py"
        config.write_text(CONFIG.format(config=str(own), url=URL, state=self.state), encoding="utf-8")
        env = {"PATH": f"{SHARED}/.venv/bin:{os.environ['PATH']}", "CONFIGPROXY_AUTH_TOKEN": self.secret}
        env |= {"CURSO_INACTIVIDAD": str(idle), "CURSO_DOCENTES": "profe", "LANG": "C.UTF-8"}
        order = [SHARED / ".venv/bin/python", "-m", "jupyterhub", "--config", config]
        with (self.folder / "hub.log").open("ab") as log:
            self.hub = subprocess.Popen(order, cwd=self.state, env=env, stdout=log, stderr=log, start_new_session=True)
        start = time.monotonic()
        wait_for(lambda: self.hub_answers() or self.hub.poll() is not None, 300)
        assert self.hub.poll() is None, (self.folder / "hub.log").read_text("utf-8")[-2000:]
        return round(time.monotonic() - start, 1)

    def hub_answers(self):
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{URL}/hub/api/", timeout=10).status_code == 200
        return False

    def kill_hub(self):
        """Sin aviso, con todo lo que ha arrancado para sí (el que apaga lo que no se usa), como en un apagón."""
        os.killpg(self.hub.pid, signal.SIGKILL)
        self.hub.wait(30)

    # ------------------------------------------------------------ la clase
    def attend(self, student, row, start):
        """Lo que hace cada estudiante: entrar, abrir la sesión 02, ejecutarla celda a celda y guardar."""
        clock = lambda: round(time.monotonic() - start, 1)  # noqa: E731
        try:
            assert student.login() == 302, "no ha entrado"
            row["entra"] = clock()
            student.ask_token()
            student.start_server()
            row["servidor"] = clock()
            notebook = student.open(NOTEBOOK)
            cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"][: self.cells or None]
            for cell in cells:
                cell["outputs"], cell["execution_count"] = student.run(cell["source"])
                row["errores"] += [
                    f"{cell['id']}: {o['evalue']}" for o in cell["outputs"] if o["output_type"] == "error"
                ]
                row.setdefault("primera_celda", clock())
                row["celdas"] += 1
                if row["celdas"] % 10 == 0:
                    student.save(NOTEBOOK, notebook)
            student.save(NOTEBOOK, notebook)
            row["acaba"] = clock()
        except Exception:
            row["errores"].append(traceback.format_exc(limit=3))

    def hold_class(self):
        """Todos a la vez; cuando todos llevan tres celdas, el hub muere; con él muerto siguen; después vuelve."""
        rows = {s.name: {"celdas": 0, "errores": [], "mb": 0} for s in self.students}
        start = time.monotonic()
        threads = [threading.Thread(target=self.attend, args=(s, rows[s.name], start)) for s in self.students]
        for thread in threads:
            thread.start()
        going = lambda: any(thread.is_alive() for thread in threads)  # noqa: E731
        stop = threading.Event()
        sampler = threading.Thread(target=self.sample, args=(rows, stop))
        sampler.start()
        middle = max(1, min(3, self.cells // 2)) if self.cells else 3
        wait_for(lambda: not going() or all(row["celdas"] >= middle or row["errores"] for row in rows.values()), 3600)
        done = lambda: sum(row["celdas"] for row in rows.values())  # noqa: E731
        servers, before = self.servers(), done()
        self.kill_hub()
        down = time.monotonic()
        time.sleep(20)
        during, answers = done(), self.hub_answers()
        took = self.start_hub()
        outage = round(time.monotonic() - down, 1)
        for thread in threads:
            thread.join()
        stop.set()
        sampler.join()
        self.report["alumnado"] = rows
        self.report["reinicio"] = {
            "celdas_antes": before,
            "celdas_con_el_hub_muerto": during - before,
            "contestaba_muerto": answers,
            "segundos_sin_hub": outage,
            "segundos_en_arrancar": took,
            "mismos_servidores": servers == self.servers() and len(servers) == self.count,
            "celdas_por_hacer": self.count * (self.cells or len(published_cells())) - before,
        }

    def servers(self):
        """El proceso del servidor de cada estudiante."""
        found = {}
        for process in psutil.process_iter(["username", "cmdline"]):
            if "jupyterhub.singleuser" in (process.info["cmdline"] or []):
                found[process.info["username"]] = process.pid
        return found

    def sample(self, rows, stop):
        """Cada poco, la memoria de cada estudiante (la suya y la compartida que le toca) y la del hub."""
        total = 0
        while not stop.wait(5):
            shared = 0
            for name, pid in self.servers().items():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(pid)
                    rows[name]["mb"] = max(rows[name]["mb"], round(memory(process) / MB))
                    shared += memory(process, "pss")
            total = max(total, shared)
            with contextlib.suppress(psutil.NoSuchProcess, KeyError):
                hub = sum(psutil.Process(p.pid).memory_full_info().uss for p in (self.hub, self.proxy))
                self.report["hub_mb"] = max(self.report.get("hub_mb", 0), round(hub / MB))
            self.report["clase_mb"] = round(total / MB)

    def check_work(self):
        """Lo guardado en el disco, fuera del hub: entero, suyo, y con las salidas del cuaderno publicado."""
        wrong = []
        reference = {cell["id"]: cell for cell in published_cells()}
        for student in self.students:
            path = Path("/home", student.name, "curso", NOTEBOOK)
            cells = [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
            if path.stat().st_uid != pwd.getpwnam(student.name).pw_uid:
                wrong.append(f"{student.name}: no es suyo")
            for number, cell in enumerate(cells[: self.cells or None], 1):
                expected = reference[cell["id"]]
                if cell["execution_count"] != number:
                    wrong.append(f"{student.name}: {cell['id']} lleva el número {cell['execution_count']}")
                random = "nbval-ignore-output" in expected["metadata"].get("tags", [])
                if not random and printed(cell["outputs"]) != printed(expected["outputs"]):
                    wrong.append(f"{student.name}: {cell['id']} no dice lo mismo")
        self.report["trabajo"] = wrong

    # ------------------------------------------------------------ lo que no se puede
    def try_to_peek(self):
        """Todo lo que una estudiante intenta con lo de otra; cada intento, con lo que contesta el sistema."""
        ana, beto = self.students[0], self.students[1]
        home = f"/home/{beto.name}"
        server = psutil.Process(self.servers()[beto.name])
        port = next(c.laddr.port for c in server.net_connections("tcp") if c.status == "LISTEN")
        attempts = {
            "leer la carpeta de otra": f"os.listdir({home!r})",
            "leer el cuaderno de otra": f"open({f'{home}/curso/{NOTEBOOK}'!r}).read()",
            "escribir en la carpeta de otra": f"open({f'{home}/x'!r}, 'w')",
            "leer las variables de otra, con su testigo": f"open('/proc/{server.pid}/environ').read()",
            "parar el servidor de otra": f"os.kill({server.pid}, 15)",
            "escribir en el curso": f"open('{SHARED}/notebooks/{NOTEBOOK}', 'a')",
            "borrar un modelo": f"os.remove('{SHARED}/course_utils/checkpoints/decoder/model.safetensors')",
            "cambiar el paquete": f"open('{SHARED}/course_utils/checks/__init__.py', 'a')",
            "añadir al entorno": f"open('{SHARED}/.venv/x.pth', 'w')",
            "leer la base de datos del hub": f"open('{self.state}/hub.sqlite', 'rb').read()",
            "leer el secreto de las cookies": f"open('{self.state}/cookie', 'rb').read()",
        }
        code = "import os\ntry:\n    {}\n    print('SE PUEDE')\nexcept OSError as e:\n    print(type(e).__name__)"
        found = {name: printed(ana.run(code.format(attempt))[0]).strip() for name, attempt in attempts.items()}
        own = printed(ana.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")[0]).strip()
        found["leer las soluciones"] = printed(
            ana.run(f"print(os.path.exists('{SHARED}/notebooks/soluciones'))")[0]
        ).strip()

        def status(*arguments, **options):
            return ana.api(*arguments, **options).status_code

        peek = f"/user/{beto.name}/api/contents/{NOTEBOOK}"
        found |= {
            "listar la clase sin testigo": status("/hub/api/users", token=""),
            "listar la clase con un testigo inventado": status("/hub/api/users", token="0" * 32),
            "listar la clase con el suyo": status("/hub/api/users"),
            "listar la clase con el de su servidor": status("/hub/api/users", token=own),
            "ver a otra": status(f"/hub/api/users/{beto.name}"),
            "apagar el servidor de otra": status(f"/hub/api/users/{beto.name}/server", "DELETE"),
            "pedir un testigo de otra": status(f"/hub/api/users/{beto.name}/tokens", "POST", json={}),
            "hacerse administradora": status(f"/hub/api/users/{ana.name}", "PATCH", json={"admin": True}),
            "apagar el hub": status("/hub/api/shutdown", "POST"),
            "el cuaderno de otra con su testigo": status(peek),
            "el cuaderno de otra con el de su servidor": status(peek, token=own),
            "el cuaderno de otra sin testigo": status(peek, token=""),
            "el cuaderno de otra con su sesión del navegador": ana.web.get(f"{URL}{peek}", timeout=60).status_code,
            "un núcleo en el servidor de otra": status(f"/user/{beto.name}/api/kernels", "POST", json={}),
            "llamar a la puerta del servidor de otra": requests.get(
                f"http://127.0.0.1:{port}{peek}", headers={"Authorization": f"token {own}"}, timeout=60
            ).status_code,
            "las rutas del proxy sin su secreto": requests.get(
                "http://127.0.0.1:8001/api/routes", timeout=60
            ).status_code,
            "entrar como otra con su contraseña": Student(URL, ana.name, ana.password).login(name=beto.name),
            "entrar como root": Student(URL, "root", "").login(),
        }
        own_ones = {  # lo mismo, con lo suyo, sí: si no, lo de arriba no probaría nada
            "leer su cuaderno": printed(ana.run(f"print(len(open('{NOTEBOOK}').read()) > 1000)")[0]).strip(),
            "leer el curso": printed(ana.run(f"print(len(os.listdir('{SHARED}/notebooks')) > 10)")[0]).strip(),
            "verse": status(f"/hub/api/users/{ana.name}"),
            "su cuaderno": status(f"/user/{ana.name}/api/contents/{NOTEBOOK}"),
            "entrar": Student(URL, ana.name, ana.password).login(),
        }
        self.report["intentos"], self.report["propios"] = found, own_ones

    def try_the_teacher(self):
        """Quien enseña ve la clase y apaga servidores; no lee los archivos de nadie ni administra."""
        profe, ana, beto = self.teacher, self.students[0], self.students[1]
        assert profe.login() == 302
        profe.ask_token()
        status = lambda *a, **o: profe.api(*a, **o).status_code  # noqa: E731
        self.report["docente"] = {
            "ve la clase": len([u for u in profe.api("/hub/api/users").json() if u["name"].startswith("alumna-")]),
            "lee un cuaderno": status(f"/user/{ana.name}/api/contents/{NOTEBOOK}"),
            "pide un testigo de otra": status(f"/hub/api/users/{ana.name}/tokens", "POST", json={}),
            "borra una cuenta": status(f"/hub/api/users/{ana.name}", "DELETE"),
            "apaga un servidor": status(f"/hub/api/users/{beto.name}/server", "DELETE"),
        }

    def collect(self):
        """Recoger como root, con trampas: un enlace al cuaderno de otra, su carpeta entera, una tubería y nada."""
        link, folder, pipe, nothing = (Path("/home", s.name, "curso") for s in self.students[-4:])
        victim = Path("/home", self.students[0].name, "curso")
        for place in (link, pipe, nothing):
            (place / NOTEBOOK).unlink()
        (link / NOTEBOOK).symlink_to(victim / NOTEBOOK)
        os.mkfifo(pipe / NOTEBOOK, 0o666)
        shutil.rmtree(folder)
        folder.symlink_to(victim)
        target = self.folder / "entregas"
        order = [sys.executable, "-m", "tools.deploy.collect", "02", target, "--prefix", "alumna-"]
        done = subprocess.run(order, cwd=ROOT, capture_output=True, text=True, check=False)
        found = sorted(path.parent.name for path in target.glob(f"*/{NOTEBOOK}"))
        same = all(filecmp.cmp(target / n / NOTEBOOK, f"/home/{n}/curso/{NOTEBOOK}", shallow=False) for n in found)
        tricked = [s.name for s in self.students[-4:]]
        self.report["recogida"] = {"codigo": done.returncode, "dice": done.stdout, "de": found, "iguales": same}
        self.report["recogida"] |= {"tramposas": tricked, "error": done.stderr}

    def cull(self):
        """Con el plazo en quince segundos, los servidores que nadie usa se apagan, y lo guardado sigue."""
        for student in self.students:
            if student.socket:
                student.socket.close()
        before = len(self.servers())
        self.kill_hub()
        self.start_hub(idle=15)
        wait_for(lambda: not self.servers(), 180)
        self.report["inactivos"] = {"antes": before, "despues": len(self.servers())}


def published_cells():
    notebook = json.loads((SHARED / "notebooks" / NOTEBOOK).read_text("utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def wait_for(condition, seconds):
    """Espera a que se cumpla, y dice si se ha cumplido."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.3)
    return False


def main():
    folder = Path(sys.argv[1])
    room = Room(folder, int(os.environ.get("CURSO_ALUMNADO", "20")), int(os.environ.get("CURSO_CELDAS", "0")))
    room.report |= {"estudiantes": room.count, "nucleos": os.cpu_count(), "celdas": room.cells}
    try:
        room.prepare_disks()
        image = room.publish()
        offline.isolate()  # desde aquí no hay más red que el bucle local
        room.try_image(image)
        room.make_accounts()
        room.start_proxy()
        room.start_hub()
        room.report["carga"] = round(os.getloadavg()[0], 1)
        room.hold_class()
        room.check_work()
        for step in (room.try_to_peek, room.try_the_teacher, room.collect, room.cull):
            step()
    except Exception:
        room.report["fallo"] = traceback.format_exc()
    finally:
        (folder / "informe.json").write_text(json.dumps(room.report, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
