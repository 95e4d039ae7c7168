"""Lo que se mira de los datos, la decodificación y la medida."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .looks import NO, PERSON, Look, comma, is_written, look, short
from .reading import Book

ARITHMETIC = 0.005  # lo que pueden separarse dos cuentas que deben dar lo mismo


# ---------------------------------------------------------------- datos
def data_rules(book: Book) -> Iterator[Look]:
    """Datos: de dónde salen, cómo se reparten y qué se repite entre las partes."""
    values = book.last("data")
    names = {"licence": "la licencia", "author": "quién los escribió", "source": "de dónde salen"}
    for key, name in names.items():
        said = values.get(key)
        yield look(
            "Datos",
            is_written(said),
            f"Dice {name}: {short(said)}",
            f"De los textos no dice {name}.",
            f"project.data(…, {key}=…).",
        )
    yield from _split_rules(book)
    yield Look("Datos", PERSON, "¿Es esa la licencia, y deja hacer esto? ¿Hay en los textos algo privado?")


def _split_rules(book: Book) -> Iterator[Look]:
    split = book.last("split")
    if not split:
        yield Look("Datos", NO, "No se ve cómo se reparten los textos.", "project.parts(partes, seed=…).")
        return
    sizes = split.get("sizes") or {}
    if book.trains:
        whole = {"train", "test"} <= set(sizes)
        remedy = "Hacen falta «train» y «test», y mejor también «validation»."
        yield look("Datos", whole, f"Reparte en {', '.join(sizes)}", f"Todo está en {', '.join(sizes)}.", remedy)
        seed = split.get("seed")
        good = isinstance(seed, int) and not isinstance(seed, bool)
        yield look("Datos", good, f"Con semilla, {seed}", "El reparto no tiene semilla.", "project.parts(…, seed=0).")
    across = split.get("across")
    yield look(
        "Datos",
        across == 0,
        f"Casi repetidos, mirados: ninguno de una parte a otra, {split.get('within', 'sin mirar')} dentro",
        "No se han mirado los casi repetidos."
        if across is None
        else f"Hay {across} parejas de textos casi iguales en partes distintas: la prueba mide memoria.",
        "Quítalos antes de repartir: project.split lo hace.",
    )


# ---------------------------------------------------------------- decodificación (o elección)
def decoding_rules(book: Book) -> Iterator[Look]:
    """Decodificación: que se elija entre varias con una medida; quien no genera, que tenga control."""
    name, choices = "Decodificación", book.all("choice")
    if not book.generates and not choices:
        good = bool(book.all("compare"))
        yield look(
            name,
            good,
            "No genera textos: en lugar de la decodificación hay un control, medido igual",
            "No genera textos y tampoco hay un control: otra explicación, medida igual.",
            "project.compare(…) con el control.",
        )
        yield Look(name, PERSON, "¿Es ese control la explicación rival que había que descartar?")
        return
    if not choices:
        yield Look(name, NO, "No se ve que se comparen maneras de decodificar.", "project.choose(medida, …).")
        return
    choice = choices[-1]
    means, chosen, better = choice.get("means") or {}, choice.get("chosen"), choice.get("better")
    two = len(means) > 1 and chosen in means
    yield look(
        name,
        two,
        f"Compara {len(means)} con una medida ({choice.get('what')}) y elige «{chosen}»",
        "Para elegir hacen falta dos o más, medidas, y la elegida entre ellas.",
        "project.choose(medida, {…}, chosen=…).",
    )
    if two:
        best = (max if better == "mayor" else min)(means, key=means.get)
        tied = math.isclose(means[best], means[chosen], rel_tol=1e-9)
        reason = choice.get("reason")
        why = f"«{chosen}» es la mejor" if tied else f"no es la mejor, y dice por qué: {short(reason)}"
        yield look(
            name,
            tied or is_written(reason),
            f"La elección se sostiene: {why}",
            f"Según su medida gana «{best}», elige «{chosen}» y no dice por qué.",
            "Quédate con la mejor o da el motivo: reason=….",
        )
        read = [texts.get("strategy") for texts in book.all("texts")]
        yield look(
            name,
            chosen in read,
            "Los textos que se leen son de la elegida",
            f"La elegida es «{chosen}» y los textos que se leen son de {short(read)}.",
            "Escríbelos con la que elegiste.",
        )
    yield Look(name, PERSON, "¿Sirve esa medida para lo que se quería?")


# ---------------------------------------------------------------- medida
def measure_rules(book: Book) -> Iterator[Look]:
    """Medida: con un plan delante, lo mismo antes y después, y que las cuentas cuadren."""
    name = "Medida"
    plan, measured = book.first("plan"), book.first("measure", "compare", "choice", "texts")
    early = plan is not None and (measured is None or plan < measured)
    no = (
        "El plan está después de la primera medida: así se elige lo que sale bien."
        if plan is not None
        else "No hay plan."
    )
    yield look(name, early, "La medida se decide antes de mirar", no, "project.plan(…), delante de todo lo medido.")
    yield from _before_and_after(book) if book.trains else ()
    yield from (look for values in book.all("measure") for look in _arithmetic(values))
    gaps = book.all("compare")
    good = bool(gaps) and all(_has_interval(gap) for gap in gaps)
    yield look(
        name,
        good,
        "Cada diferencia lleva su intervalo, por parejas",
        "La diferencia no lleva intervalo, o no lo contiene."
        if gaps
        else "No se comparan las condiciones por parejas.",
        "project.compare(medida, {«antes»: …, «después»: …}).",
    )
    yield Look(name, PERSON, "¿Contesta esa medida a la pregunta? ¿Se dice lo que sale y no lo que se esperaba?")


def _before_and_after(book: Book) -> Iterator[Look]:
    name, measures = "Medida", book.all("measure")
    when = [str(m.get("when", "")).casefold() for m in measures]
    both = "antes" in when and any(w.startswith("desp") for w in when)
    remedy = "project.measure(…, when=«antes»), y otra vez con «después»."
    yield look(name, both, "Se mide antes y después", f"Falta el antes o el después: hay {when}.", remedy)
    if not both:
        return
    before = measures[when.index("antes")]
    after = next(m for m, w in zip(measures, when, strict=True) if w.startswith("desp"))
    ordered = when.index("antes") < measures.index(after)
    yield look(name, ordered, "El antes, antes", "El «antes» está detrás del «después».", "Mide antes de entrenar.")
    keys = ("fingerprint", "n_tokens", "n_chars")
    same = all(before.get(key) == after.get(key) for key in keys if key in before or key in after)
    known = any(key in before for key in keys)
    no = "El antes y el después no se miden en los mismos textos." if known else "No se sabe en qué textos se mide."
    yield look(name, same and known and _same_scale(before, after), "En los mismos textos", no, remedy)
    # Puede haber varios repartos: uno por conjunto de textos.
    prints = [pair for split in book.all("split") for pair in (split.get("fingerprints") or {}).items()]
    seen = sorted(part for part, value in prints if value == after.get("fingerprint"))
    if prints and not seen:
        text, fix = "Los textos medidos no son ninguna de las partes del reparto.", "Mide los de «test»."
        yield Look(name, NO, text, fix)
    else:
        where = "train" if "train" in seen else seen[0] if seen else after.get("part")
        fix = "Mide los de «test»: los que ni entrenan ni deciden."
        yield look(name, where != "train", f"Apartados: son los de «{where}»", "Se mide en los de entrenar.", fix)


def _same_scale(before, after) -> bool:
    """En los mismos textos, el logaritmo de la perplejidad y los bits por carácter crecen a la par."""
    try:
        scales = [math.log(m["perplexity"]) / m["bits_per_char"] for m in (before, after)]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return True  # lo dirá la aritmética
    return math.isclose(*scales, rel_tol=ARITHMETIC)


def _arithmetic(values) -> Iterator[Look]:
    name, when = "Medida", values.get("when")
    remedy = "perplejidad = exp(nll / tokens); bits por carácter = nll / ln 2 / caracteres."
    try:
        perplexity, bits = float(values["perplexity"]), float(values["bits_per_char"])
        tokens, chars = float(values["n_tokens"]), float(values["n_chars"])
        nll = float(values.get("nll", tokens * math.log(perplexity)))
        expected = math.exp(nll / tokens), nll / math.log(2) / chars
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        yield Look(
            name,
            NO,
            f"Faltan cuentas en la medida «{when}»: perplejidad, bits por carácter, tokens y caracteres.",
            remedy,
        )
        return
    good = all(math.isclose(*pair, rel_tol=ARITHMETIC) for pair in zip((perplexity, bits), expected, strict=True))
    said = f"perplejidad {comma(perplexity)} y {comma(bits, 3)} bits por carácter"
    due = f"las cuentas dan {comma(expected[0])} y {comma(expected[1], 3)}"
    yield look(name, good, f"«{when}»: {said}, que cuadran entre sí", f"«{when}»: {said} no cuadran: {due}.", remedy)


def _has_interval(gap) -> bool:
    try:
        return gap["low"] <= gap["difference"] <= gap["high"]
    except (KeyError, TypeError):
        return False
