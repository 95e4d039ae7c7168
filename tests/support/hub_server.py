"""Un Hub de Hugging Face en miniatura, en 127.0.0.1, con averías a voluntad.

Habla lo que `huggingface_hub` usa para descargar: la ficha de una revisión, el árbol de ficheros (por páginas), los
ficheros (los grandes, con un salto al «almacén», como hace el de verdad) y, para la conversión a safetensors, la lista
de propuestas y de *commits*. Apunta cada petición en `requests`.
"""

import contextlib
import hashlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 3  # ficheros por página del árbol: los repositorios de las pruebas ocupan más de una
CODES = {401: "RepoNotFound", 403: "GatedRepo", 404: "RepoNotFound"}


@dataclass
class Repo:
    """Lo que hay en cada *commit* y a cuál apunta cada rama; en `pulls`, las propuestas (título, autor)."""

    commits: dict[str, dict[str, bytes]]  # del más nuevo al más viejo
    refs: dict[str, str]
    pulls: dict[int, tuple[str, str]] = field(default_factory=dict)


class Hub:
    """El servidor; `with Hub() as hub` lo enciende y lo apaga.

    `faults` es una lista de (expresión regular de «MÉTODO camino», avería): un número es el estado HTTP con el que
    contesta; «corta» anuncia el fichero entero, manda la mitad y cuelga; «de menos» anuncia y manda la mitad; «calla»
    no contesta hasta que se apaga; «portal» contesta con una página web, como la wifi de un hotel.
    """

    def __init__(self):
        self.repos: dict[str, Repo] = {}  # «models/dueño/nombre», «datasets/dueño/nombre»
        self.faults: list[tuple[str, int | str]] = []
        self.requests: list[str] = []
        self.connections: list[socket.socket] = []
        self.closing = threading.Event()

    def add(self, name: str, files: dict[str, bytes], ref: str = "main") -> str:
        """Añade un *commit* con esos ficheros, lo pone en la rama y devuelve su nombre."""
        repo = self.repos.setdefault(name, Repo({}, {}))
        sha = hashlib.sha1(repr((name, ref, sorted(files.items()), len(repo.commits))).encode()).hexdigest()
        repo.commits = {sha: files, **repo.commits}
        repo.refs[ref] = sha
        return sha

    def downloads(self) -> list[str]:
        """Los ficheros cuyo contenido se ha pedido."""
        return [line for line in self.requests if line.startswith("GET") and ("/resolve/" in line or "/cdn/" in line)]

    def __enter__(self):
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.store = f"http://localhost:{self.server.server_port}"  # otro nombre: lo que vale para el Hub no vale aquí
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:  # también las que el cliente guarda abiertas para otra vez
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.hub.connections.append(self.connection)

    def log_message(self, *_):
        pass

    def do_HEAD(self):  # el nombre lo pone http.server
        self.do_GET()

    def do_GET(self):
        line = f"{self.command} {unquote(self.path)}"
        self.hub.requests.append(line)
        fault = next((kind for pattern, kind in self.hub.faults if re.search(pattern, line)), None)
        if fault == "calla":
            self.close_connection = True
            self.hub.closing.wait()
        elif isinstance(fault, int):
            self.fail(fault, CODES.get(fault, ""))
        elif fault == "portal":
            self.send(b"<html>Acepta las condiciones</html>", {"Content-Type": "text/html"})
        else:
            self.route(fault)

    def fail(self, status: int, code: str):
        self.send_response(status)
        for name, value in {"X-Error-Code": code, "X-Error-Message": f"fallo {status}", "Content-Length": "0"}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def route(self, fault):
        url = urlsplit(self.path)
        query, path = parse_qs(url.query), url.path.strip("/")
        if not path:
            return self.send(b"{}")
        if path.startswith("cdn/"):
            commits = [files for repo in self.hub.repos.values() for files in repo.commits.values()]
            blobs = {sha256(data): data for files in commits for data in files.values()}
            return self.send(blobs[path[4:]], fault=fault)
        if match := re.fullmatch(r"api/(models|datasets)/([^/]+/[^/]+)(?:/(\w+)(?:/([^/]+))?)?", path):
            kind, name, what, revision = match.groups()
            return self.api(f"{kind}/{name}", what, unquote(revision or "main"), query)
        if match := re.fullmatch(r"(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            kind, name, revision, file = match.groups()
            return self.file(self.hub.repos.get((kind or "models/") + name), unquote(revision), unquote(file), fault)
        return self.fail(404, "")

    def commit(self, repo, revision):
        """El *commit* de una revisión, o nada si ya se ha contestado con un error."""
        if repo is None:
            return self.fail(401, "RepoNotFound")  # el de verdad no distingue lo que no existe de lo privado
        sha = repo.refs.get(revision, revision)
        return sha if sha in repo.commits else self.fail(404, "RevisionNotFound")

    def api(self, name, what, revision, query):
        repo = self.hub.repos.get(name)
        sha = self.commit(repo, revision)
        if sha is None:
            return None
        files, full_name = repo.commits[sha], name.split("/", 1)[1]
        if what in (None, "revision"):
            siblings = [{"rfilename": file} for file in files]
            return self.json({"id": full_name, "sha": sha, "private": False, "siblings": siblings, "tags": []})
        if what == "tree":
            start = int(query.get("cursor", ["0"])[0])
            page = list(files.items())[start : start + PAGE]
            entries = [{"type": "file", "path": p, "size": len(d), "oid": sha256(d)[:40], **lfs(p, d)} for p, d in page]
            more = f"{self.hub.url}/api/{name}/tree/{sha}?recursive=true&cursor={start + PAGE}"
            links = {"Link": f'<{more}>; rel="next"'} if start + PAGE < len(files) else {}
            return self.json(entries, links)
        if what == "commits":
            order = [sha, *(other for other in repo.commits if other != sha)]
            day = "2026-01-01T00:00:00.000Z"
            return self.json([{"id": s, "authors": [], "date": day, "title": "", "message": ""} for s in order])
        if what == "discussions":
            found = [
                {
                    "title": title,
                    "num": number,
                    "author": {"name": author},
                    "createdAt": "2026-01-01T00:00:00.000Z",
                    "status": "open",
                    "repo": {"name": full_name, "type": "model"},
                    "isPullRequest": True,
                }
                for number, (title, author) in repo.pulls.items()
            ]
            return self.json({"count": len(found), "start": 0, "discussions": found})
        return self.fail(404, "")

    def file(self, repo, revision, file, fault):
        sha = self.commit(repo, revision)
        if sha is None:
            return None
        data = repo.commits[sha].get(file)
        if data is None:
            return self.fail(404, "EntryNotFound")
        headers = {"X-Repo-Commit": sha, "ETag": f'"{sha256(data)[:40]}"'}
        if lfs(file, data):
            self.send_response(302)
            headers |= {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data)), "Content-Length": "0"}
            headers["Location"] = f"{self.hub.store}/cdn/{sha256(data)}"
            for name, value in headers.items():
                self.send_header(name, value)
            return self.end_headers()
        return self.send(data, headers, fault)

    def json(self, content, headers=()):
        return self.send(json.dumps(content).encode(), {"Content-Type": "application/json", **dict(headers)})

    def send(self, data: bytes, headers=(), fault=None):
        start = int(re.match(r"bytes=(\d+)", self.headers.get("Range", "bytes=0"))[1])
        total = len(data)
        data = data[: total // 2] if fault == "de menos" else data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        for name, value in {"Content-Length": str(len(data)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[: total // 2 - start] if fault == "corta" else data)
            self.close_connection = fault == "corta"


def lfs(path: str, data: bytes) -> dict:
    """Los ficheros binarios van al almacén grande."""
    if not path.endswith((".safetensors", ".parquet", ".bin")):
        return {}
    return {"lfs": {"oid": sha256(data), "size": len(data), "pointerSize": 134}}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
