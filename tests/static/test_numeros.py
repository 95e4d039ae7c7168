"""Una cantidad, una cifra: lo que se lee dice lo que dicen el código y los datos, y en todas partes lo mismo.

Cada cantidad tiene su valor, sacado de donde nace, y las frases que la dicen. Otra cifra en una de esas frases es un
error, y una cantidad que ya nadie dice, también: habría que quitarla de aquí. Dónde se dice cada una lo enseña
``python tests/static/test_numeros.py``. La historia de CONTRIBUTING.md no cuenta: es de cuando se escribió.
"""

import csv
import json
import re
import struct
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from course_utils.checks import EXERCISES
from course_utils.instructions import load_instructions
from course_utils.jokes import load_jokes

ROOT = Path(__file__).resolve().parents[2]
PLACES = (
    *("*.md", "Makefile", "notebooks/README.md", "notebooks/fuente/*.md", "notebooks/fuente/profundiza/*.md"),
    *("notebooks/quizzes/*.json", "slides/*.md", "course_utils/checkpoints/**/*.md", "course_utils/data/*.md"),
    *("docs/**/*.md", "tools/bundle.py"),
)
HISTORY = re.compile(r"^## Dónde se ha probado$.*", re.DOTALL | re.MULTILINE)
UNITS = "cero _ dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
WORDS = dict(zip((UNITS + "dieciocho diecinueve veinte").split(), range(21), strict=True))
WORDS |= {"treinta": 30, "cuarenta": 40, "cincuenta": 50, "sesenta": 60}
DIGITS = r"\d{1,3}(?:[ \u202f\u00a0]\d{3})+(?!\d)|\d+(?:[.,]\d+)?"
NUMBER = re.compile(rf"\*{{0,2}}(?<![\w.,])({DIGITS}|{'|'.join(WORDS)})(?![\w])\*{{0,2}}", re.IGNORECASE)
MARK = "\0"  # lo que hay en lugar de cada cifra mientras se buscan las frases


@dataclass(frozen=True)
class Quantity:
    """Una cantidad: cuánto vale, y las frases que la dicen, con ``{n}`` donde va la cifra y ``#`` en las demás cifras.

    Con ``value=None`` es una medida que no está en ningún archivo: basta con que todas las frases coincidan.
    """

    name: str
    value: float | None
    phrases: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """Un archivo, con cada párrafo en una línea, una marca en lugar de cada cifra y las cifras, en su orden."""

    masked: str
    numbers: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Text":
        text = re.sub(r"[ \n\t]+", " ", text)
        return cls(NUMBER.sub(MARK, text), tuple(match[1] for match in NUMBER.finditer(text)))


@dataclass(frozen=True)
class Statement:
    """Dónde se dice una cantidad: en qué archivo, con qué cifra y cuál es de las de ese archivo."""

    path: str
    written: str
    index: int


# --- De dónde sale cada una ---------------------------------------------------------------------------


def rows(name: str) -> list[dict]:
    lines = (ROOT / "course_utils" / "data" / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def checkpoint(role: str) -> Path:
    return ROOT / "course_utils" / "checkpoints" / role


def parameters(role: str) -> float:
    """Millones de números en los pesos, contados en la cabecera del safetensors: van en fp16, dos bytes cada uno."""
    with (checkpoint(role) / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    offsets = [tensor["data_offsets"] for name, tensor in header.items() if name != "__metadata__"]
    return sum(end - begin for begin, end in offsets) / 2 / 1e6


def questions(moment: str) -> int:
    paths = (ROOT / "notebooks" / "quizzes").glob(f"*_{moment}.json")
    (count,) = {len(json.loads(path.read_text("utf-8"))) for path in paths}  # los mismos en todas las sesiones
    return count


def course() -> Iterator[Quantity]:
    """Lo que se cuenta en el curso."""
    sources = list((ROOT / "notebooks" / "fuente").glob("*.md"))
    deep = list((ROOT / "notebooks" / "fuente" / "profundiza").glob("*.md"))
    tasks = [path for path in sources + deep if "# <solución>" in path.read_text("utf-8")]
    graded = [name for name in EXERCISES if name[0].isdigit()]  # las sesiones con letra no puntúan
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    q = _quantity
    yield q("sesiones", len(sources), "{n} sesiones, una por cuaderno", "los {n} cuadernos", "las {n} presentaciones")
    yield q("sesiones del corazón", 5, "{n} sesiones de una hora, desde la atención", "las {n} del corazón van de la #")
    yield q("ejercicios que puntúan", len(graded), "Son {n} ejercicios: # puntos")
    yield q("puntos", 2 * len(graded), "Son # ejercicios: {n} puntos", r"\| {n} puntos, según las tablas")
    yield q("tareas de nbgrader", len(tasks), "{n} tareas, una por cuaderno")
    yield q("preguntas de antes", questions("antes"), "cuaderno: {n} preguntas al empezar")
    yield q(
        "preguntas de después", questions("despues"), "preguntas al empezar y {n} al acabar", "{n} preguntas del final"
    )
    minimum = float(project["requires-python"].removeprefix(">="))
    yield q("Python", minimum, "Python {n} o posterior", "es anterior a la {n}")
    yield q("minutos de una sesión", None, "las sesiones de {n} minutos sin haber", "cabe en {n} minutos, contados")
    yield q("minutos de make check", None, r"pruebas rápidas (?:\(|\| ){n} minutos")
    resolved = r"cuadernos resueltos(?: \(|, ejecutados y comparados sin red \| ){n} minutos"
    yield q("minutos de make test", None, resolved)


def data() -> Iterator[Quantity]:
    """Lo que se cuenta en los datos."""
    jokes, orders, reviews = load_jokes("mini"), load_instructions(), rows("resenas")
    asked, pairs = rows("preguntas"), rows("pares")
    with (ROOT / "tools" / "training" / "manifiesto.csv").open(encoding="utf-8", newline="") as file:
        corpus = list(csv.DictReader(file))
    novels = [row for row in corpus if row["particion"] == "entrenamiento" and row["fuente"].startswith("ELTeC")]
    q = _quantity
    yield q("chistes", len(rows("chistes")), "{n} chistes en español", "que escribe {n} chistes se repite")
    yield q(
        *("chistes de entrenamiento", jokes["train"].num_rows, r"vuelta(?:\*\*)? a (?:los )?{n} chistes"),
        *("por dentro con {n} chistes", "con los {n} chistes", "parámetros y {n} chistes", "¿{n} chistes bastan"),
    )
    yield q("chistes de prueba", jokes["test"].num_rows, "Con {n} chistes de prueba", "Puntuar {n} chistes")
    yield q("reseñas", len(reviews), "{n} reseñas cortas en español", "{n} reseñas de cine", "- {n} reseñas: menos")
    yield q("reseñas de cuatro pliegues", len(reviews) * 4 / 5, "(?:vectores, |etiquetar ){n} reseñas")
    yield q("instrucciones", len(rows("instrucciones")), "{n} pares de orden y respuesta", "{n} pares, y quién los")
    yield q(
        *("instrucciones de entrenamiento", len(orders["train"]), "(?:con|tras) {n} pares y # vueltas"),
        *("los (?:mismos )?{n} pares, (?:de memoria|#)", "{n} pares no lo traen", "con {n} pares la segunda"),
    )
    yield q("pares mínimos", len(pairs), "{n} pares mínimos")
    yield q("pares de oficios", sum(r["kind"] == "oficio" for r in pairs), r"con {n} pares \*{0,2}no se (?:ve|dis)")
    yield q(
        *(
            "preguntas sobre el curso",
            len(asked),
            "{n} preguntas, escritas por un modelo",
            "{n} preguntas sobre las pág",
        ),
        *("De las {n} preguntas, # no tienen", "Con las {n} preguntas, por los # caminos"),
    )
    yield q("preguntas sin respuesta", sum(r["passage"] is None for r in asked), "{n} no t(?:ienen respuesta|ienen)")
    yield q("pasajes", len(rows("pasajes")), "curso: {n} pasajes", "y los {n} pasajes", "entre {n} pasajes")
    yield q("textos a la antigua", len(rows("literarios")), r"{n} textos (?:breves \(de #|a la manera del siglo)")
    yield q("textos llanos", len(rows("llanos")), "{n} textos breves y llanos")
    yield q("novelas del corpus", len(novels), "{n} novelas españolas de #")
    yield q("textos del corpus", len(corpus), "descarga, convierte y comprueba: {n} textos")


def models() -> Iterator[Quantity]:
    """Lo que mide cada modelo."""
    gpt = json.loads((checkpoint("decoder") / "config.json").read_text("utf-8"))
    measured = json.loads((checkpoint("") / "evaluacion.json").read_text("utf-8"))["bits_por_caracter"]
    q = _quantity
    yield q(
        *(
            "vocabulario",
            gpt["vocab_size"],
            "dado de {n} caras, (?:cargado|el vocabulario)",
            "los {n} tokens del vocab",
        ),
        *(r"vocabulario \| (?:el del decodificador: )?{n}, (?:BPE a|el del)", "{n} tokens de vocabulario"),
        *("vocabulario (?:tiene|pequeño, de) {n} tokens", "confianza entre {n} tokens", "¿Por qué {n} tokens y no más"),
        *("una lista de {n} trozos", "a cada uno de los {n} tokens"),
    )
    context = r"Contexto \| {n} tokens(?:, con | \| \| Vocabulario \| # ?, BPE a)"
    yield q("contexto", gpt["n_positions"], context, r"en el contexto \({n} tokens en el nuestro")
    layers = (
        "{n} capas, y las candidatas",
        r"este modelo \({n} capas",
        "sus {n} capas: #",
        "las {n} capas: la máscara",
    )
    yield q("capas", gpt["n_layer"], r"cabezas \| {n} × # × # \|", *layers)
    yield q("números de un vector", gpt["n_embd"], r"cabezas \| # × {n} × # \|", "posiciones, {n} números por vector")
    yield q("cabezas", gpt["n_head"], r"cabezas \| # × # × {n} \|", r"este modelo \(# capas, {n} en cada una")
    yield q(
        *("millones de parámetros del decodificador", parameters("decoder")),
        *(r"\| {n} millones de parámetros, sin \*dropout\*", "nuestro: {n} millones", r"el nuestro \({n} millones"),
        *(r"gemelos \(# y {n} millones", "casi {n} millones de números", "Quizá {n} millones de parámetros"),
        *("uno de {n} millones de pesos", r"Parámetros \| # millones \(el decodificador, {n}\)"),
    )
    encoder = (r"gemelos \({n} y # millones", "el codificador, de {n} millones")
    yield q("millones de parámetros del codificador", parameters("encoder"), *encoder)
    yield q("millones de parámetros de la LSTM", parameters("lstm"), r"Parámetros \| {n} millones \(el decodificador")
    weights = (checkpoint("decoder") / "model.safetensors").stat().st_size / 1e6
    yield q("MB de pesos", weights, r"{n} MB(?:\*\*)? de pesos", "los {n} MB compensan")
    card = r"\*\*este modelo\*\* \| {n}"
    yield q("bits por carácter del decodificador", measured["decoder"], card, "novelas: el modelo, {n}; PPMd")
    yield q("bits por carácter de PPMd", measured["ppmd_orden_8"], "novelas: el modelo, #; PPMd[^,]*, {n}")
    yield q("MB que se descargan de Gemma", None, r"\({n} MB(?: más|; con red)?\)", r"Instalarlo \| {n} MB")
    yield q("MB de Gemma con 32 bits", None, r"Gemma(?: 3 270M)?: {n} MB(?:\*\*)? con # bits", "270M: {n} MB con #")
    yield q("MB de Gemma con unos cuatro bits", None, r"{n} MB(?:\*\*)? con unos #", "con # y {n} en el fichero")


def _quantity(name: str, value: float | None, *phrases: str) -> Quantity:
    return Quantity(name, value, phrases)


@cache
def quantities() -> dict[str, Quantity]:
    return {quantity.name: quantity for group in (course(), data(), models()) for quantity in group}


# --- Dónde se dice ------------------------------------------------------------------------------------


@cache
def texts() -> dict[str, Text]:
    """Lo que se lee, por archivo."""
    paths = sorted({path for pattern in PLACES for path in ROOT.glob(pattern)})
    return {p.relative_to(ROOT).as_posix(): Text.of(HISTORY.sub("", p.read_text("utf-8"))) for p in paths}


def statements(quantity: Quantity, where: dict[str, Text]) -> Iterator[Statement]:
    for phrase in quantity.phrases:
        pattern = re.compile(phrase.replace("{n}", f"({MARK})").replace("#", MARK), re.IGNORECASE)
        for path, text in where.items():
            for match in pattern.finditer(text.masked):
                index = text.masked.count(MARK, 0, match.start(1))
                yield Statement(path, text.numbers[index], index)


def value_of(written: str) -> float:
    """La cifra de una frase: «4096», «131 000», «1,39» o «doce»."""
    word = written.lower()
    return WORDS[word] if word in WORDS else float(re.sub(r"\s", "", word).replace(",", "."))


def agrees(written: str, value: float) -> bool:
    """Una cifra vale si es la cantidad redondeada a sus decimales: 8,8 y nueve son 8,79."""
    decimals = re.search(r"(?:[.,](\d+))?$", written)[1] or ""
    return abs(value_of(written) - value) <= 0.5 * 10 ** -len(decimals) + 1e-9


def problems(where: dict[str, Text], wanted: Iterable[Quantity]) -> list[str]:
    """Las frases que no dicen lo que vale su cantidad, y las cantidades que nadie dice."""
    found = []
    for quantity in wanted:
        said = list(statements(quantity, where))
        if not said:
            found.append(f"{quantity.name}: no lo dice nadie.")
        elif quantity.value is None and len({value_of(one.written) for one in said}) > 1:
            found += [f"{quantity.name}: no coinciden; {one.path} dice «{one.written}»." for one in said]
        elif quantity.value is not None:
            wrong = [one for one in said if not agrees(one.written, quantity.value)]
            found += [f"{quantity.name}: {one.path} dice «{one.written}», y es {quantity.value:g}." for one in wrong]
    return found


def test_every_quantity_is_the_same_wherever_it_is_said():
    found = problems(texts(), quantities().values())
    assert not found, "\n".join(found)


def test_a_stale_number_is_found_wherever_it_is():
    """Se cambia cada cifra, de una en una, por otra: tiene que notarse, y decir en qué archivo está."""
    checked = 0
    for quantity in quantities().values():
        said = list(statements(quantity, texts()))
        for one in said if quantity.value is not None or len(said) > 1 else ():
            text = texts()[one.path]
            numbers = (*text.numbers[: one.index], "77", *text.numbers[one.index + 1 :])
            found = problems(texts() | {one.path: Text(text.masked, numbers)}, [quantity])
            assert any(f"{one.path} dice «77»" in problem for problem in found), (quantity.name, one)
            checked += 1
    assert checked > 100


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        ("Después se abre en español con los\ncinco cuadernos.", "sesiones: x.md dice «cinco», y es"),
        ("Casi gemelos (8,9 y **8,6** millones)", "millones de parámetros del decodificador: x.md dice «8,6», y es"),
        ("Es un dado de 50\u202f257 caras, el vocabulario", "vocabulario: x.md dice «50\u202f257», y es"),
        ("Con Python 3.10 o posterior", "Python: x.md dice «3.10», y es"),
        ("`make llm` lo instala (245 MB)", "MB que se descargan de Gemma: no coinciden; x.md dice «245»"),
    ],
)
def test_a_stale_sentence_is_found(sentence, problem):
    found = problems(texts() | {"x.md": Text.of(sentence)}, quantities().values())
    assert any(one.startswith(problem) for one in found), found


def test_numbers_are_read_as_they_are_written():
    read = Text.of("De 4096, 131 000 y 262\u202f144 a **1,39**: Doce, la 3.11 y el x2.").numbers
    assert [value_of(number) for number in read] == [4096, 131000, 262144, 1.39, 12, 3.11]
    assert agrees("8,8", 8.79) and agrees("nueve", 8.79) and agrees("3.11", 3.11)
    assert not agrees("8,7", 8.79) and not agrees("ocho", 8.79) and not agrees("3.10", 3.11)


if __name__ == "__main__":
    for quantity in quantities().values():
        print(f"{quantity.name}: {'medido' if quantity.value is None else f'{quantity.value:g}'}")
        for one in statements(quantity, texts()):
            print(f"    {one.path}: «{one.written}»")
