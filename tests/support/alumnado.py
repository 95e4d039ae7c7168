"""Estudiantes de mentira para un hub de verdad: entran con su contraseña y ejecutan un cuaderno por la API."""

import json
import time
import uuid

import requests
import websocket

PATIENCE = 1800  # segundos: en dos núcleos, veinte a la vez


class Student:
    """Una persona ante el hub: su sesión del navegador, su testigo (token) de API y su núcleo."""

    def __init__(self, url, name, password):
        self.url, self.name, self.password = url, name, password
        self.web, self.token, self.socket = requests.Session(), "", None

    def login(self, name=None):
        """Rellena el formulario, como haría una persona; devuelve el código de la respuesta."""
        page = self.web.get(f"{self.url}/hub/login", timeout=PATIENCE)
        form = {"username": name or self.name, "password": self.password, "_xsrf": self.web.cookies.get("_xsrf")}
        answer = self.web.post(page.url, data=form, allow_redirects=False, timeout=PATIENCE)
        return answer.status_code

    def ask_token(self):
        """Pide un testigo propio con la sesión del navegador, como el botón de su página."""
        self.web.get(f"{self.url}/hub/token", timeout=PATIENCE)
        answer = self.web.post(
            f"{self.url}/hub/api/users/{self.name}/tokens",
            headers={"X-XSRFToken": self.xsrf(), "Referer": f"{self.url}/hub/token"},
            json={"expires_in": 86400},
            timeout=PATIENCE,
        )
        answer.raise_for_status()
        self.token = answer.json()["token"]

    def xsrf(self):
        return next(c.value for c in self.web.cookies if c.name == "_xsrf" and c.path == "/hub/")

    def api(self, path, method="GET", token=None, **options):
        """Una petición con el testigo (o con otro: «» es ninguno); no falla, devuelve la respuesta."""
        token = self.token if token is None else token
        headers = {"Authorization": f"token {token}"} if token else {}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=PATIENCE, **options)

    def start_server(self):
        answer = self.api(f"/hub/api/users/{self.name}/server", "POST")
        assert answer.status_code in (201, 202), answer.text
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            server = self.api(f"/hub/api/users/{self.name}").json()["servers"].get("", {})
            if server.get("ready"):
                return
            assert server.get("pending") or server, "el servidor no ha arrancado"
            time.sleep(0.5)
        raise TimeoutError(f"{self.name}: el servidor no está listo")

    def open(self, path):
        """Lee un cuaderno, le arranca un núcleo y se conecta a él."""
        base = f"/user/{self.name}/api"
        answer = self.api(f"{base}/contents/{path}")
        answer.raise_for_status()
        notebook = answer.json()["content"]
        session = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        answer = self.api(f"{base}/sessions", "POST", json=session)
        answer.raise_for_status()
        self.connect(answer.json()["kernel"]["id"])
        return notebook

    def connect(self, kernel):
        address = f"{self.url.replace('http', 'ws', 1)}/user/{self.name}/api/kernels/{kernel}/channels"
        self.socket = websocket.create_connection(
            address, timeout=PATIENCE, header=[f"Authorization: token {self.token}"]
        )

    def run(self, code):
        """Ejecuta código en su núcleo; devuelve (salidas, número de ejecución)."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": self.name, "version": "5.3"}
        header |= {"session": "aula", "date": ""}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self.socket.send(json.dumps(message))
        outputs, count, idle = [], None, False
        while count is None or not idle:
            answer = json.loads(self.socket.recv())
            if answer.get("parent_header", {}).get("msg_id") != header["msg_id"]:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind == "execute_reply":
                count = content["execution_count"]
            elif kind == "status" and content["execution_state"] == "idle":
                idle = True
            elif kind in ("stream", "display_data", "execute_result", "error"):
                outputs.append({"output_type": kind, **{k: v for k, v in content.items() if k != "transient"}})
        return outputs, count

    def save(self, path, notebook):
        model = {"type": "notebook", "format": "json", "content": notebook}
        self.api(f"/user/{self.name}/api/contents/{path}", "PUT", json=model).raise_for_status()


def printed(outputs):
    """Lo que una celda escribe en texto, para comparar dos ejecuciones."""
    return "".join("".join(o["text"]) for o in outputs if o["output_type"] == "stream" and o["name"] == "stdout")
