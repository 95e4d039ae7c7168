"""Escribe las páginas del curso que salen de otras fuentes: mapa, glosario, bibliografía y referencias para citar.

    python -m tools.pages            # las pone al día (lo hace `make notebooks`)
    python -m tools.pages --check    # dice si alguna no lo está (lo hace `make test`)

- ``notebooks/README.md``: el mapa, con una sección por sesión. Objetivos, duración, recursos y ejercicios se leen de
  ``notebooks/fuente/NN_….md``; qué entrena cada ejercicio, de ``mapa.toml``.
- ``notebooks/GLOSARIO.md``: de ``mapa.toml``.
- ``notebooks/BIBLIOGRAFIA.md`` y las referencias de ``CITATION.cff``: de ``enlaces.toml``. En ``CITATION.cff``, lo que
  va delante de las referencias se edita a mano.

No ejecuta nada y solo pide la biblioteca estándar. Escribir dos veces no cambia nada.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from course_utils.runner import in_order

from . import exit_code, links, write_if_changed
from .links import ROOT, Link
from .minutes import measure

SOURCES = "notebooks/fuente"
DEEP = "profundiza"
MAP, GLOSSARY, BIBLIOGRAPHY = "notebooks/README.md", "notebooks/GLOSARIO.md", "notebooks/BIBLIOGRAFIA.md"
CITATION, MARK = "CITATION.cff", "# --- Lo que sigue lo escribe tools/pages.py: no lo edites a mano. ---"
WARNING = "<!-- Página generada por tools/pages.py a partir de {}: no la edites a mano. -->\n\n"
REMEDY = "Ejecuta «make notebooks» o, si solo cambian las páginas, «python -m tools.pages»."
# Requisitos y usos que valen para todo el curso; los de cada sesión los dice su cuaderno.
REQUIREMENTS = """\
Hace falta leer código de Python y haber visto qué es una red neuronal; de Transformers, nada. Lo que pide cada sesión
está al principio de la suya."""
ROUTES = """\
| Si… | Haz, en este orden | Sáltate |
|---|---|---|
| tienes una tarde | el [recorrido 02]({tour}) del laboratorio; el apartado 1 de la \
[01](01_encoder_y_decoder.ipynb); la [02](02_bucle_de_generacion.ipynb) y la [03](03_generate.ipynb), \
enteras: unas {evening} horas y cuarto | lo demás |
| das clase | elige un [plan](../slides/GUIA_DOCENTE.md#elige-tu-plan), de tres horas a doce sesiones, y lee \
[el día antes](../slides/GUIA_DOCENTE.md#el-día-antes-de-cada-sesión) | lo que tu plan no nombra |
| lo quieres todo | de la A1 a la A3, de la 01 a la 09 y el [trabajo final](#trabajo-final): unas {all} horas y una \
tarde; cada Profundiza, tras su sesión: {deep} horas más | nada; con prisa, las de letra |

De las que siguen a la 05, escoge: la 06 pide la 01 y la 04; la 07, la 04 y la 05; la 08, la 03 y la 05; la 09, la
05. El trabajo final se puede empezar tras la 05."""
LICENCES = """\
- El código, con licencia MIT; la prosa, las figuras, los cuestionarios y las diapositivas, con [CC BY 4.0]({cc}):
  puedes copiarlos y cambiarlos, también para dar clase, si dices de dónde vienen. El texto, en [LICENSE](../LICENSE).
- Cada modelo y cada conjunto de datos tiene la suya, en su ficha: [decodificador][f1], [codificador][f2],
  [LSTM][f15], [Gemma 3 270M][f16], [chistes][f3], [textos literarios][f4], [novela][f5], [reseñas][f6],
  [instrucciones][f7], [preguntas y pasajes][f8], [pares][f9], [textos llanos][f10] y los del trabajo final:
  [*La Navidad en las montañas*][f11], [*El primer loco*][f12], [refranes][f13] y [adaptadores][f14].
- Para citar el curso, usa [CITATION.cff](../CITATION.cff): en GitHub, «Cite this repository».

[f1]: ../course_utils/checkpoints/decoder/README.md
[f2]: ../course_utils/checkpoints/encoder/README.md
[f3]: ../course_utils/data/chistes.md
[f4]: ../course_utils/data/literarios.md
[f5]: ../course_utils/data/novela.md
[f6]: ../course_utils/data/resenas.md
[f7]: ../course_utils/data/instrucciones.md
[f8]: ../course_utils/data/preguntas.md
[f9]: ../course_utils/data/pares.md
[f10]: ../course_utils/data/llanos.md
[f11]: ../course_utils/data/navidad.md
[f12]: ../course_utils/data/loco.md
[f13]: ../course_utils/data/refranes.md
[f14]: ../course_utils/grabaciones/proyecto/README.md
[f15]: ../course_utils/checkpoints/lstm/README.md
[f16]: ../course_utils/checkpoints/mediano.md"""
PROJECT = """\
Una tarde, en parejas: una pregunta que se contesta con un número, una medida decidida antes de mirar y dos páginas que
dicen qué salió y qué no se sabe. La [plantilla](proyecto/plantilla.ipynb) funciona tal como está, con textos de muestra
({badge}).

Hay tres hechos, cada uno con lo que le salió mal:

- [Un estilo](proyecto/ejemplo_estilo.ipynb): ajustar con Altamirano, con Rosalía de Castro de control.
- [Sin entrenar](proyecto/ejemplo_decodificacion.ipynb): elegir cómo decodificar el principio de un cuento.
- [Un conjunto de datos propio](proyecto/ejemplo_refranes.ipynb): ¿se sabe los refranes?

`python -m course_utils project CUADERNO` dice qué hay y qué falta en un trabajo, criterio a criterio; la rúbrica está
en la [guía docente](../slides/GUIA_DOCENTE.md#trabajo-final)."""
FORK = """\
Para dar el curso desde tu propio repositorio:

1. Haz una bifurcación (*fork*) en GitHub y clónala.
2. Una sola orden cambia los distintivos de Colab, la celda que instala el curso y los demás enlaces al repositorio:

   ```bash
   python -m tools.fork TU-USUARIO/TU-REPOSITORIO    # o bien: make fork REPO=TU-USUARIO/TU-REPOSITORIO
   ```

3. Mira lo que ha cambiado con `git diff`, pasa `make test` y súbelo. La orden se puede repetir y deshacer: con el
   nombre de antes, todo vuelve a quedar como estaba.

Los enlaces externos están en un solo archivo, [enlaces.toml](fuente/enlaces.toml), y `make enlaces` prueba que
responden."""


SHAPES = """\
**Las letras de las formas.** B: textos del lote; T: posiciones (S, las de lo que se lee, si T son las de lo que se
escribe); V: tokens del vocabulario; D: números de un vector (con cabezas delante, los de una cabeza); H: números del
estado de una red recurrente y, en la Profundiza de la 01, cabezas."""
COUNTS = ("Cero", "Una", "Dos", "Tres", "Cuatro", "Cinco", "Seis", "Siete", "Ocho", "Nueve", "Diez", "Once", "Doce")


@dataclass(frozen=True)
class Exercise:
    number: str
    function: str
    section: str


@dataclass(frozen=True)
class DeepDive:
    """De un cuaderno de ``profundiza``, lo que dice de él la página de su sesión."""

    title: str
    duration: str
    exercises: tuple[Exercise, ...]


@dataclass(frozen=True)
class Session:
    """Lo que una página necesita de un cuaderno, leído de su fuente."""

    stem: str
    code: str
    title: str
    intro: str
    objectives: str
    duration: str
    requirements: str
    resources: str
    following: str
    exercises: tuple[Exercise, ...]
    deep: DeepDive | None

    @property
    def heading(self) -> str:
        return f"{self.code} · {self.title}"


# --- Leer las fuentes -------------------------------------------------------------------------------


def slugify(heading: str) -> str:
    """El ancla que GitHub da a un título: minúsculas, sin signos y con guiones por espacios."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return "".join(c for c in text if c in "-_ " or unicodedata.category(c)[0] in "LMN").replace(" ", "-")


def _read(path: Path, root: Path) -> str:
    """El texto de una fuente, con los enlaces y la duración puestos."""
    try:
        text = links.resolve(path.read_text(encoding="utf-8"), root)
    except ValueError as error:
        raise ValueError(f"{path.relative_to(root).as_posix()}, {error}") from None
    return text.replace("<!-- duracion -->", f"**Duración:** {measure(path)}.") if "<!-- duracion" in text else text


def _exercises(text: str, found) -> tuple[Exercise, ...]:
    exercises, part = [], ""
    for block in re.split(r"^(?=#)", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), flags=re.M):
        if block.startswith("## "):
            part = block.splitlines()[0].removeprefix("## ")
        elif exercise := re.match(r"#### Ejercicio (A?\d\.\d)$", block, re.MULTILINE):
            name = found(r"`(\w+)\(", block, f"el nombre de la función del ejercicio {exercise[1]}")[1]
            exercises.append(Exercise(exercise[1], name, part))
    return tuple(exercises)


def _finder(path: Path, root: Path):
    def found(pattern: str, text: str, what: str) -> re.Match:
        match = re.search(pattern, text, re.DOTALL | re.MULTILINE)
        if match is None:
            raise ValueError(f"{path.relative_to(root).as_posix()}: falta {what}.")
        return match

    return found


def read_deep_dive(path: Path, root: Path = ROOT) -> DeepDive | None:
    """El ``profundiza`` de una sesión, dada la fuente de la sesión; ``None`` si no lo tiene."""
    path = path.parent / DEEP / path.name
    if not path.is_file():
        return None
    text, found = _read(path, root), _finder(path, root)
    return DeepDive(
        title=found(r"^# (?:A\d|\d\d) · Profundiza: ([^\n]+)$", text, "el título «# NN · Profundiza: título»")[1],
        duration=found(r"^\*\*Duración:\*\* (.+?)\.(?: |$)", text, "la duración")[1],
        exercises=_exercises(text, found),
    )


def read_session(path: Path, root: Path = ROOT) -> Session:
    """Lee una fuente, y la de su ``profundiza``.

    Raises
    ------
    ValueError
        Si le falta una de las partes que pide el plan común de los cuadernos.
    """
    text, found = _read(path, root), _finder(path, root)

    def section(name: str) -> str:
        return found(rf"^## {name}\n(.*?)(?=^\+\+\+$|^## |\Z)", text, f"la sección «{name}»")[1].strip()

    title = found(r"^# (A\d|\d\d) · ([^\n]+)$", text, "el título «# NN · Título»")
    intro = found(r"^<!-- enlace-colab -->\n\n(.*?)(?=\n\n|^\+\+\+)", text, "la presentación, tras el enlace a Colab")[
        1
    ]
    goals = section("Qué sabrás hacer")
    facts = found(
        r"^\*\*Duración:\*\* (.+?)\.\s+\*\*Antes conviene saber:\*\* (.+)\Z", goals, "la línea de duración y requisitos"
    )
    return Session(
        stem=path.stem,
        code=title[1],
        title=title[2],
        intro=intro.strip(),
        objectives=goals[: facts.start()].strip(),
        duration=facts[1],
        requirements=" ".join(facts[2].split()),
        resources=section("Recursos y artículos"),
        following=section("Siguiente sesión"),
        exercises=_exercises(text, found),
        deep=read_deep_dive(path, root),
    )


def read_sessions(root: Path = ROOT) -> list[Session]:
    return [read_session(path, root) for path in in_order((root / SOURCES).glob("*.md"))]


def read_map(root: Path = ROOT) -> dict:
    """Lo que entrena cada ejercicio y el glosario, de ``mapa.toml``.

    Raises
    ------
    ValueError
        Si el archivo no se puede leer, le falta una parte o a un término, algo.
    """
    where = f"{SOURCES}/mapa.toml"
    try:
        data = tomllib.loads((root / SOURCES / "mapa.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{where} no se puede leer: {error}") from None
    trains, terms = data.get("ejercicios"), data.get("glosario")
    if not isinstance(trains, dict) or not isinstance(terms, list):
        raise ValueError(f"{where}: hacen falta una tabla [ejercicios] y términos, cada uno en su [[glosario]].")
    if wrong := [f"{number} = {text!r}" for number, text in trains.items() if not isinstance(text, str)]:
        raise ValueError(f"{where}, [ejercicios]: {wrong[0]}: va un texto, entre comillas.")
    for entry in terms:
        if isinstance(entry.get("session"), int):  # 4 es la sesión 04
            entry["session"] = f"{entry['session']:02d}"
    fields = dict.fromkeys(("term", "english", "session", "definition"), str)
    if wrong := [entry for entry in terms if {name: type(value) for name, value in entry.items()} != fields]:
        raise ValueError(f"{where}, [[glosario]]: {wrong[0]}: lleva term, english, definition y session (4, o «A1»).")
    return data


def cited_in(root: Path = ROOT) -> dict[str, list[str]]:
    """De cada clave de enlaces.toml, las sesiones cuyo cuaderno la cita."""
    cited: dict[str, list[str]] = {}
    for path in in_order((root / SOURCES).rglob("*.md")):
        for key in sorted(set(re.findall(r"\]\(enlace:([\w-]+)\)", path.read_text(encoding="utf-8")))):
            cited.setdefault(key, []).append(path.stem[:2])
    return {key: list(dict.fromkeys(sessions)) for key, sessions in cited.items()}


# --- Escribir las páginas ---------------------------------------------------------------------------


def render_map(root: Path = ROOT) -> str:
    sessions, trains = read_sessions(root), read_map(root)["ejercicios"]
    written = {exercise.number for session in sessions for exercise in all_exercises(session)}
    if written != set(trains):
        raise ValueError(
            f"{SOURCES}/mapa.toml, [ejercicios]: los cuadernos y el mapa no dicen los mismos ejercicios; difieren en "
            f"{', '.join(sorted(written ^ set(trains)))}."
        )
    project = PROJECT.format(badge=links.colab_badge("notebooks/proyecto/plantilla.ipynb", root))
    lines = [
        WARNING.format(f"{SOURCES}/"),
        "# Mapa del curso\n\n",
        f"{COUNTS[len(sessions)]} sesiones, una por cuaderno, con ejercicios que te responden. Los cuadernos de esta "
        "carpeta llevan los ejercicios en blanco; los de [soluciones](soluciones/), resueltos.\n\n",
        "| Sesión | Duración | Cuaderno | En Colab |\n|---|---|---|---|\n",
    ]
    for session in sessions:
        notebook = f"{session.stem}.ipynb"
        lines.append(
            f"| [{session.heading}](#{slugify(session.heading)}) | {re.sub(r' [(].*', '', session.duration)} "
            f"| [{notebook}]({notebook}) | {links.colab_badge(f'notebooks/{notebook}', root)} |\n"
        )
    lines += [
        f"\n## Por dónde ir\n\n{render_routes(sessions, links.tour('02', root))}\n\n",
        "Además: [trabajo final](#trabajo-final) · [glosario](GLOSARIO.md) · [bibliografía](BIBLIOGRAFIA.md) · "
        "[licencias y cómo citar](#licencias-y-cómo-citar) · [haz tuyo el curso](#haz-tuyo-el-curso)\n\n",
        f"## Qué hace falta saber\n\n{REQUIREMENTS}\n\n",
        *(render_session(session, trains, root) for session in sessions),
        f"## Trabajo final\n\n{project}\n\n",
        f"## Licencias y cómo citar\n\n{LICENCES.format(cc=links.load_links(root)['cc-by'].url)}\n\n",
        f"## Haz tuyo el curso\n\n{FORK}\n",
    ]
    return "".join(lines)


def render_routes(sessions: list[Session], tour: str) -> str:
    """Por dónde ir según el tiempo que se tenga; las horas son las que suman los cuadernos.

    El cuarto de la tarde es el recorrido y el primer apartado de la 01, que no tienen cuenta propia.
    """

    def hours(durations: list[str]) -> str:
        return COUNTS[round(sum(int(text.split()[0]) for text in durations) / 60)].lower()

    return ROUTES.format(
        tour=tour,
        evening=hours([session.duration for session in sessions if session.code in ("02", "03")]),
        all=hours([session.duration for session in sessions]),
        deep=hours([session.deep.duration for session in sessions if session.deep]),
    )


def all_exercises(session: Session) -> tuple[Exercise, ...]:
    return session.exercises + (session.deep.exercises if session.deep else ())


def render_session(session: Session, trains: dict[str, str], root: Path) -> str:
    notebook, deck = f"{session.stem}.ipynb", f"slides/{session.stem}.md"
    slides = (
        f"- **Diapositivas:** [{deck}](../{deck}); con `make slides`, también `slides/dist/{session.stem}.html` y "
        f"`slides/dist/{session.stem}.pdf`.\n"
        if (root / deck).exists()
        else ""
    )
    rows = "".join(f"| {e.number} | `{e.function}` | {trains[e.number]} | {e.section} |\n" for e in session.exercises)
    deep = ""
    if session.deep:
        deep = (
            f"- **Para ir más lejos:** [{DEEP}/{notebook}]({DEEP}/{notebook}), {session.deep.title} "
            f"({session.deep.duration}); resuelto, [soluciones/{DEEP}/{notebook}](soluciones/{DEEP}/{notebook}).\n"
        )
        rows += "".join(
            f"| {e.number} | `{e.function}` | {trains[e.number]} | Profundiza, {e.section} |\n"
            for e in session.deep.exercises
        )
    return (
        f"## {session.heading}\n\n{session.intro}\n\n"
        f"{links.colab_badge(f'notebooks/{notebook}', root)}\n\n"
        f"- **Duración:** {session.duration}.\n"
        f"- **Antes conviene saber:** {session.requirements}\n"
        f"- **Cuaderno:** [{notebook}]({notebook}); resuelto, [soluciones/{notebook}](soluciones/{notebook}).\n{deep}"
        f"{slides}\n"
        f"**Qué sabrás hacer**\n\n{session.objectives}\n\n"
        f"**Ejercicios**\n\n| | Escribes | Qué entrena | Está en |\n|---|---|---|---|\n{rows}\n"
        f"**Recursos y artículos**\n\n{session.resources}\n\n"
        f"**Siguiente sesión.** {session.following}\n\n"
    )


def render_glossary(root: Path = ROOT) -> str:
    anchors = {session.code: slugify(session.heading) for session in read_sessions(root)}
    rows = []
    for entry in sorted(read_map(root)["glosario"], key=lambda entry: alphabetical(entry["term"])):
        session = entry["session"]
        if session not in anchors:
            raise ValueError(f"{SOURCES}/mapa.toml, [[glosario]]: {entry}: no hay ninguna sesión {session}.")
        rows.append(
            f"| {entry['term']} | *{entry['english']}* | {entry['definition']} "
            f"| [{session}](README.md#{anchors[session]}) |\n"
        )
    return (
        WARNING.format(f"{SOURCES}/mapa.toml") + "# Glosario\n\nLos términos del curso, en español y en inglés, con la "
        "sesión en que se explican. Volver al [mapa del curso](README.md).\n\n"
        f"{SHAPES}\n\n| Español | Inglés | Qué es | Sesión |\n|---|---|---|---|\n" + "".join(rows)
    )


def alphabetical(text: str) -> str:
    """Clave para ordenar sin que cuenten mayúsculas, tildes ni signos; la ñ va tras la n."""
    text = text.lower().replace("ñ", "n\uffff").replace("ε", "epsilon")
    plain = unicodedata.normalize("NFD", text)
    return "".join(c for c in plain if c.isalnum() or c in " \uffff")


def render_bibliography(root: Path = ROOT) -> str:
    cited = cited_in(root)
    everything = links.load_links(root).values()

    def where(link: Link) -> str:
        sessions = cited.get(link.key, [])
        return f" {'Sesión' if len(sessions) == 1 else 'Sesiones'} {', '.join(sessions)}." if sessions else ""

    papers = sorted(
        (link for link in everything if link.is_paper), key=lambda link: (alphabetical(link.authors[0]), link.year)
    )
    pages = [link for link in everything if not link.is_paper and link.key in cited]
    return (
        WARNING.format(links.DATA) + "# Bibliografía\n\nTodo lo que citan los cuadernos, con la sesión. Volver al "
        "[mapa del curso](README.md). Para citar el curso, usa [CITATION.cff](../CITATION.cff).\n\n"
        "## Artículos y libros\n\n"
        + "".join(f"- {reference(link)}{where(link)}\n" for link in papers)
        + "\n## Documentación, modelos y código\n\n"
        + "".join(f"- [{link.title}]({link.url}).{where(link)}\n" for link in pages)
    )


def reference(link: Link) -> str:
    """Una entrada de la bibliografía: autores, año, título con enlace, revista y arXiv o DOI."""
    names = list(link.authors)
    if link.others:
        signed = "; ".join(names) + " et al."
    else:
        signed = "; ".join(names) if len(names) == 1 else "; ".join(names[:-1]) + " y " + names[-1]
    end = "" if link.title.endswith(("?", "!")) else "."
    places = [link.journal, link.arxiv and f"arXiv:{link.arxiv}", link.doi and f"doi:{link.doi}"]
    return f"{signed} ({link.year}). [{link.title}]({link.url}){end}" + "".join(f" {p}." for p in places if p)


def render_citation(root: Path = ROOT) -> str:
    try:
        head, mark, _ = (root / CITATION).read_text(encoding="utf-8").partition(MARK)
    except OSError:
        raise ValueError(f"falta {CITATION}, con los datos del curso.") from None
    if not mark:
        raise ValueError(f"{CITATION}: falta la línea «{MARK}», que separa lo escrito a mano de las referencias.")
    cited = cited_in(root)
    papers = [link for link in links.load_links(root).values() if link.is_paper and link.key in cited]
    return head + mark + "\nreferences:\n" + "".join(map(cff_reference, papers))


def cff_reference(link: Link) -> str:
    # Una cadena JSON también es YAML: así no hay que pensar en dos puntos ni comillas.
    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    kind = "book" if link.book else "article" if link.arxiv or link.doi else "report"
    lines = [f"  - type: {kind}", f"    title: {quoted(link.title)}", f"    year: {link.year}", "    authors:"]
    for author in link.authors:
        family, _, given = author.partition(", ")
        if given:
            lines += [f"      - family-names: {quoted(family)}", f"        given-names: {quoted(given)}"]
        else:
            lines.append(f"      - name: {quoted(family)}")
    lines += ['      - name: "et al."'] if link.others else []
    lines += [f"    journal: {quoted(link.journal)}"] if link.journal else []
    doi = link.doi or (link.arxiv and f"10.48550/arXiv.{link.arxiv}")
    lines += [f"    doi: {quoted(doi)}"] if doi else []
    return "\n".join([*lines, f"    url: {quoted(link.url)}"]) + "\n"


# --- Órdenes ----------------------------------------------------------------------------------------

PAGES = {MAP: render_map, GLOSSARY: render_glossary, BIBLIOGRAPHY: render_bibliography, CITATION: render_citation}


def check_all(root: Path = ROOT) -> list[str]:
    """Las páginas que no son lo que sale de sus fuentes."""
    problems = []
    for name, render in PAGES.items():
        path = root / name
        if not path.is_file():
            problems.append(f"{name}: no existe.")
        elif path.read_text(encoding="utf-8") != render(root):
            problems.append(f"{name}: no está al día con sus fuentes.")
    return problems


def build_all(root: Path = ROOT) -> list[str]:
    """Escribe las páginas que han cambiado; devuelve los problemas que quedan: ninguno."""
    pages = {name: render(root) for name, render in PAGES.items()}  # fallar antes de escribir
    for name, text in pages.items():
        if write_if_changed(root / name, text):
            print(f"{name}: escrita")
    return []


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="no escribe nada: dice qué página no está al día")
    args = parser.parse_args(argv)
    return exit_code(lambda: check_all(root) if args.check else build_all(root), REMEDY)


if __name__ == "__main__":
    sys.exit(main())
