"""Servidores de esta máquina para mirar el curso en un navegador: una carpeta, o los cuadernos en JupyterLab."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlunsplit

from . import ROOT

PATIENCE = 120  # segundos: lo que tarda en arrancar, como mucho, en una máquina ocupada


def address(port: int, path: str = "") -> str:
    return urlunsplit(("http", f"127.0.0.1:{port}", path, "", ""))


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".woff2": "font/woff2",
    }

    def __init__(self, *args, headers=None, **kwargs):
        self.extra_headers = headers or {}
        super().__init__(*args, **kwargs)

    def end_headers(self):
        for name, value in self.extra_headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(folder: Path, headers: dict | None = None) -> Iterator[str]:
    """Sirve una carpeta en un puerto libre de esta máquina; da su URL, acabada en «/»."""
    handler = functools.partial(_Handler, directory=str(folder), headers=headers)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield address(server.server_port, "/")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class JupyterLab:
    """Un JupyterLab como el de ``make lab`` sobre una copia de los cuadernos, con sus ajustes aparte.

    Es un gestor de contexto: al entrar espera a que conteste, y al salir apaga los núcleos y se cierra.
    """

    def __init__(self, folder: Path, environment: dict[str, str] | None = None):
        self.notebooks, self.log = folder / "notebooks", folder / "jupyterlab.log"
        ignored = shutil.ignore_patterns("fuente", ".ipynb_checkpoints")
        shutil.copytree(ROOT / "notebooks", self.notebooks, ignore=ignored)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.token, self.url, self.runtime = secrets.token_hex(16), address(port), folder / "runtime"
        own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        own |= {
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "spaces"),
        }
        own |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_TOKEN": self.token}
        command = [sys.executable, "-m", "jupyterlab", "--ServerApp.root_dir=notebooks", "--no-browser"]
        command += [f"--port={port}", "--ServerApp.port_retries=0"]
        command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        env = (os.environ if environment is None else environment) | own
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)

    def api(self, path: str, method: str = "GET"):
        """Lo que contesta JupyterLab a una petición."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/{path}", method=method, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (es de esta máquina)
            text = answer.read()
        return json.loads(text) if text else None

    def __enter__(self) -> JupyterLab:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.api("api/status")
                return self
            except OSError:
                time.sleep(0.2)
        self._close()
        raise ValueError(f"JupyterLab no arranca:\n{self.log.read_text('utf-8', 'replace')[-3000:]}")

    def __exit__(self, *_) -> None:
        try:
            if self.process.poll() is None:
                self.stop_kernels()
        finally:
            self._close()

    def stop_kernels(self) -> None:
        for kernel in self.api("api/kernels"):
            self.api(f"api/kernels/{kernel['id']}", "DELETE")

    def _close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
