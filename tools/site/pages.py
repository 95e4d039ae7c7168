"""Las páginas que salen de otras fuentes: el mapa, el glosario, la bibliografía y la guía docente, una por sesión."""

from __future__ import annotations

import re
from pathlib import Path

from .. import ROOT, pages
from . import paths

PARTS = {
    "Antes": ("A", "Optativas: de dónde sale todo esto. Quien tenga prisa empieza por la 01."),
    "Corazón": ("01 02 03 04 05", "Cinco horas, en orden: de la atención escrita a mano a la perplejidad."),
    "Después": ("06 07 08 09", "Optativas también: clasificar, enseñar a contestar, usar y pensar lo que se usa."),
}


def part_of(session: pages.Session) -> str:
    return next(part for part, (codes, _) in PARTS.items() if session.code[0] == codes or session.code in codes.split())


def render_map(root: Path = ROOT) -> str:
    """El mapa del curso: una línea por sesión, con sus minutos, y los índices con los que el sitio se ordena."""
    sessions = pages.read_sessions(root)
    routes = paths.to_site(pages.render_routes(sessions, "/TOUR"), pages.MAP, root)
    routes = routes.replace("[recorrido 02](/TOUR)", '<a href="../lab/index.html?recorrido=02">recorrido 02</a>')
    text = f"# El mapa del curso\n\n{pages.REQUIREMENTS}\n\n## Por dónde ir\n\n{routes}\n\n"
    for part, (_, why) in PARTS.items():
        own = [session for session in sessions if part_of(session) == part]
        rows = "".join(
            f"| [{session.heading}](/sesiones/{session.stem}.ipynb) | {session.duration} "
            f"| {', '.join(e.number for e in session.exercises)} |\n"
            for session in own
        )
        text += f"## {part}\n\n{why}\n\n| Sesión | Duración | Ejercicios |\n|---|---|---|\n{rows}\n"
    deep = "".join(
        f"- [{session.code} · {session.deep.title}](/profundiza/{session.stem}.ipynb): {session.deep.duration}; "
        f"ejercicios {', '.join(e.number for e in session.deep.exercises)}\n"
        for session in sessions
        if session.deep
    )
    colab = f"[ábrela en Colab]({paths.colab('notebooks/proyecto/plantilla.ipynb', root)})"
    project = paths.to_site(pages.PROJECT.format(badge=colab), pages.MAP, root)
    return (
        text + f"## Profundiza\n\nLo que no cabe en su hora, en cuadernos que se sostienen solos.\n\n{deep}\n"
        f"## Trabajo final\n\n{project}\n"
    )


def render_toctrees(root: Path = ROOT) -> str:
    """Los índices de la barra lateral, escondidos en la portada."""
    sessions = pages.read_sessions(root)
    groups = {part: ["sesiones/" + session.stem for session in sessions if part_of(session) == part] for part in PARTS}
    groups["Corazón"].insert(0, "sesiones/index")
    groups["Profundiza"] = ["profundiza/" + session.stem for session in sessions if session.deep]
    groups["Para consultar"] = ["laboratorio", "glosario", "bibliografia", "descargas"]
    groups["Para dar clase"] = ["guia/index", "aula"]
    groups["El curso por dentro"] = ["verificacion", "licencias"]
    groups = {"Empieza": [groups["Corazón"].pop(0)], **groups}
    return "\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {part}\n\n" + "\n".join(names) + "\n```\n"
        for part, names in groups.items()
    )


def render_glossary(root: Path = ROOT) -> str:
    """El glosario, de mapa.toml, con el orden del de GitHub; cada término, en su sesión."""
    stems = {session.code: session.stem for session in pages.read_sessions(root)}
    entries = "".join(
        f"{entry['term']}\n  *{entry['english']}*. {entry['definition']} "
        f"[Sesión {entry['session']}](/sesiones/{stems[entry['session']]}.ipynb)\n\n"
        for entry in sorted(pages.read_map(root)["glosario"], key=lambda entry: pages.alphabetical(entry["term"]))
    )
    return (
        "# Glosario\n\nLos términos del curso, en español y en inglés, con la sesión en que se explican. En las "
        f"páginas de las sesiones, cada uno enlaza aquí la primera vez que sale.\n\n{pages.SHAPES}\n\n"
        f"```{{glossary}}\n{entries}```\n"
    )


def render_bibliography(root: Path = ROOT) -> str:
    text = pages.render_bibliography(root).split("-->\n\n", 1)[1]
    return paths.to_site(text, pages.BIBLIOGRAPHY, root)


def render_guide(root: Path = ROOT, built_slides: set[str] = frozenset()) -> dict[str, str]:
    """La guía docente: lo que vale para todas, en ``guia/index``, y una página por sesión; los enlaces, entre ellas.

    La de una sesión empieza por lo que se abre en clase: su página, sus diapositivas, si están hechas, y lo resuelto.
    """
    text = (root / paths.GUIDE).read_text(encoding="utf-8")
    head, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    sessions = {session.code: session for session in pages.read_sessions(root)}
    written, anchors = {"guia/index": head}, {}
    for section in sections:
        code = re.match(r"## Sesión (A\d|\d\d)\n", section)
        name = f"guia/{code[1]}" if code else "guia/index"
        for heading in re.findall(r"^#{1,6} (.+)$", section, re.MULTILINE):
            anchors[f"{paths.GUIDE}#{pages.slugify(heading)}"] = f"/{name}.md"
        if code:
            section = section.replace(code[0], f"# Guía de la sesión {sessions[code[1]].heading}\n", 1)
            section = re.sub(r"^#(#+ )", r"\1", section, flags=re.MULTILINE)  # un nivel menos: es otra página
        written[name] = written.get(name, "") + section
    codes = [name for name in written if name != "guia/index"]
    written["guia/index"] += "\n```{toctree}\n:hidden:\n\n" + "\n".join("/" + name for name in codes) + "\n```\n"
    texts = {name: paths.to_site(body, paths.GUIDE, root, anchors) for name, body in written.items()}
    for name in codes:
        session = sessions[name.removeprefix("guia/")]
        texts[name] = texts[name].replace("\n", f"\n\n{guide_links(session, root, session.stem in built_slides)}\n", 1)
    return {f"{name}.md": text for name, text in texts.items()}


def guide_links(session: pages.Session, root: Path, has_slides: bool) -> str:
    """Lo que quien da esta sesión abre en clase, en una línea."""
    links = [f'<a class="boton secundario" href="../sesiones/{session.stem}.html">La sesión</a>']
    if has_slides:
        deck = f"../diapositivas/{session.stem}"
        links.append(f'<a class="boton secundario" href="{deck}.html">Diapositivas</a> <a href="{deck}.pdf">en PDF</a>')
    solved = f"{paths.github(root)}/blob/main/notebooks/soluciones/{session.stem}.ipynb"
    links.append(f'<a href="{solved}">El cuaderno, resuelto</a>')
    return '```{raw} html\n<p class="acciones">' + "\n".join(links) + "</p>\n```\n"
