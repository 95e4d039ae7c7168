"""Lo que se mira de la lectura, la honradez y la presentación."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .evidence import PENDING
from .looks import NO, PERSON, Look, is_written, look, short
from .reading import Book

TEXTS = 6  # los que se leen sin escoger
COMMENT = 40  # palabras que comentan lo leído


# ---------------------------------------------------------------- lectura
def reading_rules(book: Book) -> Iterator[Look]:
    """Lectura: seis textos sin escoger, lo que comparten con el entrenamiento y un comentario."""
    name, blocks = "Lectura", book.all("texts")
    block = max(blocks, key=lambda values: len(values.get("texts") or ()), default={})
    texts, seeds = block.get("texts") or [], block.get("seeds") or []
    remedy = f"project.read_texts(…, seeds=range({TEXTS})): los que salgan."
    enough = len(texts) >= TEXTS and len(texts) == len(seeds)
    yield look(name, enough, f"Hay {len(texts)} textos", f"Hay {len(texts)} textos y se piden {TEXTS}.", remedy)
    if texts:
        straight = bool(seeds) and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
        no = f"Las semillas no son seguidas ({short(seeds)}): parecen escogidos."
        yield look(name, straight, f"Sin escoger: semillas de {seeds[:1]} a {seeds[-1:]}", no, remedy)
    if book.generates and book.trains:
        shared = block.get("longest_shared")
        good = isinstance(shared, list) and len(shared) == len(texts) > 0
        yield look(
            name,
            good,
            f"Memoria, mirada: el que más comparte, {max(shared) if good else 0} palabras seguidas",
            "No se ha mirado cuánto copian del entrenamiento.",
            "read_texts(…, training=partes[«train»], held_out=partes[«test»]).",
        )
        copied = f"los de prueba, {block['reference'][1]}" if block.get("reference") else "sin referencia"
        yield Look(name, PERSON, f"¿Es mucho lo que comparten? ({copied})")
    cells = [cell for cell, values in book.found if values is block]
    words = sum(len(text.split()) for cell, text in book.prose if cells and cell > cells[0] and PENDING not in text)
    no = f"Tras los textos hay {words} palabras de comentario."
    yield look(name, words >= COMMENT, "Detrás de los textos hay comentario", no, "Di qué se lee en ellos, uno a uno.")
    yield Look(name, PERSON, "¿Dice el comentario lo que se lee en esos textos?")


# ---------------------------------------------------------------- honradez
def honesty_rules(book: Book) -> Iterator[Look]:
    """Honradez: los límites, y un resultado malo con su número."""
    name, values = "Honradez", book.last("finish")
    limits, bad = values.get("limits"), values.get("bad_result")
    remedy = "project.finish(limits=…, bad_result=…)."
    yes = f"Dice qué no demuestra: {short(limits)}"
    yield look(name, is_written(limits), yes, "No dice qué no demuestra.", remedy)
    counted = is_written(bad) and bool(re.search(r"\d", bad))
    no = "El resultado malo no lleva ningún número." if is_written(bad) else "No cuenta un resultado malo."
    yield look(name, counted, f"Cuenta un resultado malo: {short(bad)}", no, remedy)
    yield Look(name, PERSON, "¿Exagera? Cada «mejora» del informe, ¿lleva su número detrás?")


# ---------------------------------------------------------------- presentación
def presentation_rules(book: Book) -> Iterator[Look]:
    """Presentación: ejecutado en orden, sin huecos, y con lo que hace falta para repetirlo."""
    name = "Presentación"
    straight = bool(book.counts) and list(book.counts) == list(range(1, len(book.counts) + 1))
    fix = "Reinicia el núcleo, ejecútalo entero y guárdalo."
    no = "No se ha ejecutado entero, de arriba abajo y en un núcleo recién abierto."
    yield look(name, straight, "Ejecutado de arriba abajo", no, fix)
    if book.errors:
        yield Look(name, NO, f"Hay un error en las salidas: {book.errors[0]}", "Arréglalo y ejecuta otra vez.")
    if book.broken:
        yield Look(name, NO, f"Hay una evidencia que no se entiende: {book.broken[0][:80]}", "Es JSON, con su «kind».")
    blanks = [text for _, text in book.prose if PENDING in text]
    yield look(
        name,
        not blanks,
        "No quedan huecos en el texto",
        f"Quedan {len(blanks)} celdas de texto por escribir.",
        f"Busca «{PENDING}».",
    )
    if book.trains:
        made = book.last("training")
        seed, whole = made.get("seed"), is_written(made.get("how")) and is_written(made.get("model"))
        yes = f"Dice cómo se entrenó, con qué semilla ({seed}) y desde qué modelo"
        no = "No dice cómo se entrenó, con qué semilla o desde qué modelo."
        yield look(name, whole and isinstance(seed, int), yes, no, "project.training(seed=…, how=…, model=…).")
    yield Look(name, PERSON, "Que otra pareja lo repita con lo escrito. Con --repeat, lo ejecuta esta orden y compara.")
