"""Prueba, con red, que los enlaces externos del curso responden.

    python -m tools.check_links        # o bien: make enlaces

Pide cada dirección de ``enlaces.toml`` y la del repositorio: primero solo la cabecera (HEAD) y, si el servidor no
quiere, la página (GET). Los sitios se visitan a la vez; las páginas de un mismo sitio, una tras otra y con una pausa,
que es lo que piden los archivos de artículos.

- ✗ rota: 404, 410 y otros errores 4xx, un certificado que no vale o un sitio que no existe. El programa acaba con 1.
- ⚠️ dudosa: el servidor no deja mirar (401, 403, 429), falla (5xx) o tarda. Ábrela en el navegador; no es un error.
- ↪ mudada: responde, pero desde otra dirección y para siempre (301, 308). No es un error.

Sin red lo dice y no comprueba nada.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from . import links
from .links import ROOT

OK, MOVED, DOUBTFUL, BROKEN, UNREACHABLE = "✅", "↪", "⚠️", "✗", "sin conexión"
REFUSED = {401, 403, 405, 407, 408, 425, 429}
NO_HEAD = {400, 403, 404, 405, 406, 501}  # hay servidores que solo contestan bien a GET
HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; curso-generacion-texto; comprueba sus enlaces)"}


@dataclass(frozen=True)
class Result:
    """Lo que ha pasado con una dirección."""

    url: str
    verdict: str
    detail: str


def get_session(retries: int) -> requests.Session:
    """Una sesión que repite los fallos pasajeros y espera un poco más cada vez."""
    session = requests.Session()
    session.headers.update(HEADERS)
    policy = Retry(
        total=retries,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,  # puede pedir horas
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=policy))
    return session


def check_url(session: requests.Session, url: str, timeout: float) -> Result:
    """Pide una dirección y dice qué ha pasado; no lanza errores de red."""
    try:
        answer = session.head(url, timeout=timeout, allow_redirects=True)
        if answer.status_code in NO_HEAD:
            answer = session.get(url, timeout=timeout, allow_redirects=True, stream=True)  # sin bajar la página
            answer.close()
    except requests.exceptions.SSLError as error:
        return Result(url, BROKEN, f"su certificado no vale ({_reason(error)})")
    except requests.exceptions.ReadTimeout:
        return Result(url, DOUBTFUL, f"tarda más de {timeout:g} s")
    except requests.exceptions.ConnectionError as error:
        if "Read timed out" in str(error):  # así lo cuenta requests tras repetir
            return Result(url, DOUBTFUL, f"tarda más de {timeout:g} s")
        return Result(url, UNREACHABLE, f"no se llega a su servidor ({_reason(error)})")
    except requests.exceptions.RequestException as error:
        return Result(url, BROKEN, _reason(error))
    status = answer.status_code
    if status in REFUSED or status >= 500:
        return Result(url, DOUBTFUL, f"el servidor contesta {status}")
    if status >= 400:
        return Result(url, BROKEN, f"el servidor contesta {status}")
    if answer.history and all(step.status_code in (301, 308) for step in answer.history):
        return Result(url, MOVED, f"se ha mudado a {answer.url}")
    return Result(url, OK, str(status))


def _reason(error: Exception) -> str:
    """El último motivo de un error de requests, que envuelve unos en otros."""
    while (inner := getattr(error, "reason", None) or (error.args[0] if error.args else None)) is not None:
        if not isinstance(inner, Exception):
            break
        error = inner
    return str(error).split(": ")[-1]


def check_host(urls: list[str], *, timeout: float, retries: int, pause: float) -> list[Result]:
    """Las direcciones de un mismo sitio, una tras otra; si no se llega a él, no insiste con las demás."""
    results: list[Result] = []
    with get_session(retries) as session:
        for url in urls:
            if results and results[-1].verdict == UNREACHABLE:
                results.append(Result(url, UNREACHABLE, results[-1].detail))
                continue
            if results:
                time.sleep(pause)
            results.append(check_url(session, url, timeout))
    return results


def check_urls(urls: list[str], *, timeout=15.0, retries=2, pause=0.5, workers=8) -> list[Result] | None:
    """Prueba las direcciones; ``None`` si no hay red.

    No hay red si no se llega a ningún sitio, o si todo lo que contesta es un intermediario que no deja pasar.
    """
    hosts = defaultdict(list)
    for url in urls:
        hosts[urlsplit(url).netloc].append(url)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        groups = pool.map(
            lambda group: check_host(group, timeout=timeout, retries=retries, pause=pause), hosts.values()
        )
        results = [result for group in groups for result in group]
    if any(r.verdict == UNREACHABLE for r in results) and all(r.verdict in (UNREACHABLE, DOUBTFUL) for r in results):
        return None
    return [Result(r.url, BROKEN, r.detail) if r.verdict == UNREACHABLE else r for r in results]


def places(root: Path = ROOT) -> dict[str, str]:
    """De cada dirección, dónde se escribe: su clave y los archivos que la usan."""
    loaded = links.load_links(root)
    keys = {link.url: key for key, link in loaded.items()}
    files = defaultdict(list)
    for path in links.tracked_files(root):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".md", ".py", "") or name.startswith("tests/"):
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        if "Página generada por" in text[:60]:
            continue
        for url, key in keys.items():
            if f"](enlace:{key})" in text or url in links.find_urls(text):
                files[url].append(name)
    own = {f"https://github.com/{links.repository_slug(root)}": "pyproject.toml, [project.urls]"}
    return {url: f"{key} · {', '.join(files[url]) or links.DATA}" for url, key in keys.items()} | own


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timeout", type=float, default=15, metavar="S", help="segundos por petición (15)")
    parser.add_argument("--retries", type=int, default=2, metavar="N", help="veces que se repite un fallo (2)")
    parser.add_argument("--workers", type=int, default=8, metavar="N", help="sitios que se visitan a la vez (8)")
    parser.add_argument("--pause", type=float, default=0.5, metavar="S", help="entre dos páginas de un sitio (0.5)")
    args = parser.parse_args(argv)
    try:
        where = places(root)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(f"Pruebo {len(where)} enlaces externos…")
    options = {"timeout": args.timeout, "retries": args.retries, "pause": args.pause, "workers": args.workers}
    results = check_urls(list(where), **options)
    if results is None:
        print("Sin red: no llego a ningún sitio, así que no compruebo los enlaces. Repite la orden con conexión.")
        return 0
    for verdict in (MOVED, DOUBTFUL, BROKEN):
        for result in results:
            if result.verdict == verdict:
                print(f"{verdict} {result.url}\n    {result.detail}\n    {where[result.url]}")
    count = {verdict: sum(r.verdict == verdict for r in results) for verdict in (OK, MOVED, DOUBTFUL, BROKEN)}
    print(
        f"{count[OK] + count[MOVED]} responden ({count[MOVED]} desde otra dirección), {count[DOUBTFUL]} dudosos y "
        f"{count[BROKEN]} rotos."
    )
    if count[BROKEN]:
        print(f"Corrige las direcciones rotas en {links.DATA} y donde se usan.", file=sys.stderr)
    return 1 if count[BROKEN] else 0


if __name__ == "__main__":
    sys.exit(main())
