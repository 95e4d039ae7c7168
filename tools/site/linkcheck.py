"""Prueba, con red, que los enlaces externos del curso responden: el linkcheck de Sphinx, contado en español.

Se prueban los de todas las páginas del sitio y todos los de enlaces.toml, de uno en uno para no molestar a nadie.

- ✗ rota: 404, 410 y otros errores 4xx, un certificado que no vale o un sitio que no existe. La orden acaba con 1.
- ⚠️ dudosa: el servidor no deja mirar (401, 403, 429), falla (5xx) o tarda. Ábrela en el navegador; no es un error.
- ↪ mudada: responde, pero desde otra dirección y para siempre (301, 308). No es un error.

Sin red lo dice y no comprueba nada.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

from .. import ROOT, links
from .sources import write_sources

OK, MOVED, DOUBTFUL, BROKEN, UNREACHABLE = "✅", "↪", "⚠️", "✗", "sin conexión"
REFUSED = {"401", "403", "405", "407", "408", "425", "429"}
NO_HOST = (
    "NameResolutionError",
    "NewConnectionError",
    "ConnectTimeout",
    "ProxyError",
    "Connection refused",
    "unreachable",
)
PAGE = "enlaces-externos"


def verdict(result: dict) -> str:
    """Qué se dice de una dirección, según lo que cuenta de ella Sphinx."""
    status, code, info = result["status"], str(result.get("code", 0)), result.get("info", "")
    said = re.search(r"\b([45]\d\d)\b (?:Client|Server) Error", info)
    if status == "ignored" and info:  # un 503: el servidor está, pero hoy no atiende
        return DOUBTFUL
    if status in ("working", "ignored", "unchecked", "local"):
        return OK
    if status == "redirected":
        return MOVED if code in ("301", "308") else OK
    if status in ("timeout", "rate-limited") or "Read timed out" in info:
        return DOUBTFUL
    if said:
        return DOUBTFUL if said[1] in REFUSED or said[1][0] == "5" else BROKEN
    return UNREACHABLE if any(sign in info for sign in NO_HOST) else BROKEN


def reason(info: str) -> str:
    """Por qué, en español; de lo que no se conoce, lo que dice la biblioteca."""
    if said := re.search(r"\b([45]\d\d)\b (?:Client|Server) Error", info):
        return f"el servidor contesta {said[1]}"
    if info == "service unavailable":
        return "el servidor contesta 503"
    if "timed out" in info:
        return "tarda demasiado"
    if any(sign in info for sign in NO_HOST):
        return "no se llega a su servidor"
    return f"se ha mudado a {info}" if info.startswith("http") else info


def summarize(results: list[dict]) -> tuple[list[str], list[str]]:
    """Lo que se cuenta, línea a línea, y las direcciones rotas. De cada dirección, una vez.

    No hay red si no se llega a ningún sitio, o si lo único que contesta es un intermediario que no deja pasar.
    """
    places: dict[str, list[str]] = {}
    for result in results:
        places.setdefault(result["uri"], []).append(result["filename"])
    found = {result["uri"]: (verdict(result), result.get("info", "")) for result in results}
    kinds = {kind for kind, _ in found.values()}
    if UNREACHABLE in kinds and kinds <= {UNREACHABLE, DOUBTFUL}:
        return ["Sin red: no llego a ningún sitio, así que no compruebo los enlaces. Repite la orden con conexión."], []
    found = {uri: (BROKEN if kind == UNREACHABLE else kind, info) for uri, (kind, info) in found.items()}
    told = [
        f"{sign} {uri}\n    {reason(info)}\n    {', '.join(sorted(set(places[uri])))}"
        for sign in (MOVED, DOUBTFUL, BROKEN)
        for uri, (kind, info) in found.items()
        if kind == sign
    ]
    count = Counter(kind for kind, _ in found.values())
    told.append(
        f"{count[OK] + count[MOVED]} responden ({count[MOVED]} desde otra dirección), {count[DOUBTFUL]} dudosos y "
        f"{count[BROKEN]} rotos."
    )
    return told, [uri for uri, (kind, _) in found.items() if kind == BROKEN]


def every_link(root: Path = ROOT) -> str:
    """Los de enlaces.toml, también los que solo usan una ficha o un programa, y la portada del repositorio."""
    every = [(link.url, key) for key, link in links.load_links(root).items()]
    every.append((f"https://github.com/{links.repository_slug(root)}", "pyproject.toml"))
    return "".join(f"- <{url}> ({key})\n" for url, key in every)


def check_external(work: Path, root: Path = ROOT) -> list[str]:
    """Pasa el linkcheck de Sphinx y cuenta lo que ha visto; devuelve un problema si hay enlaces rotos."""
    source = work / "fuente"
    write_sources(source, root)
    (source / f"{PAGE}.md").write_text(f"---\norphan: true\n---\n\n# Enlaces\n\n{every_link(root)}", encoding="utf-8")
    print("Pruebo los enlaces externos, de uno en uno: unos minutos…", flush=True)
    output = work / "linkcheck"
    options = ["-q", "-Q", "-d", str(work / "doctrees-linkcheck"), "-c", str(root / "docs")]
    sphinx_build(["-b", "linkcheck", *options, str(source), str(output)])
    lines = (output / "output.json").read_text(encoding="utf-8").splitlines()
    told, broken = summarize([json.loads(line) for line in lines])
    print(*told, sep="\n")
    return [f"Corrige las direcciones rotas en {links.DATA} y donde se usan."] if broken else []
