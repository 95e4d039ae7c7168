"""Reglas de los ejercicios de la sesión 04: etiquetas, lotes, curvas y memorización."""

from __future__ import annotations

import torch

from .rules import Rule, expect, show

EOS = 0  # en estas pruebas el relleno y el EOS son el mismo token, como en GPT-2
IDS = torch.tensor([[EOS, 7, 3, 11, EOS, EOS, EOS], [EOS, 5, 9, 4, 2, 8, EOS]])  # (B, T)
MASK = torch.tensor([[1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1]])
LABELS = torch.tensor([[EOS, 7, 3, 11, EOS, -100, -100], [EOS, 5, 9, 4, 2, 8, EOS]])


# ---------------------------------------------------------------- ejercicio 4.1: etiquetas
def _labels(ids, mask, expected):
    return lambda answer: expect(answer(ids.clone(), mask.clone()), expected)


def _keeps_ids(answer) -> str | None:
    ids = IDS.clone()
    answer(ids, MASK.clone())
    return None if torch.equal(ids, IDS) else f"los input_ids cambiados: {show(ids)}"


# ---------------------------------------------------------------- ejercicio 4.2: hacer un lote
ROWS = [[EOS, 7, EOS], [EOS, 5, 9, 4, EOS], [EOS, EOS]]
BATCH = {
    "input_ids": torch.tensor([[EOS, 7, EOS, 6, 6], [EOS, 5, 9, 4, EOS], [EOS, EOS, 6, 6, 6]]),
    "attention_mask": torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]),
    "labels": torch.tensor([[EOS, 7, EOS, -100, -100], [EOS, 5, 9, 4, EOS], [EOS, EOS, -100, -100, -100]]),
}


def _batch(key: str, pad: int = 6):
    def test(answer):
        received = answer([list(row) for row in ROWS], pad)
        if not hasattr(received, "keys") or set(received.keys()) != set(BATCH):
            keys = sorted(received.keys()) if hasattr(received, "keys") else show(received)
            return f"{keys}; se esperaba un diccionario con {', '.join(BATCH)}"
        expected = BATCH[key]
        if key == "input_ids":
            expected = torch.where(BATCH["attention_mask"] == 1, expected, pad)
        if isinstance(received[key], torch.Tensor) and received[key].is_floating_point():
            return f"{key} de tipo {received[key].dtype}; se esperaban enteros"
        return expect(received[key], expected)

    return test


def _keeps_rows(answer) -> str | None:
    rows = [list(row) for row in ROWS]
    answer(rows, 6)
    return None if rows == ROWS else f"las listas de entrada cambiadas: {rows}"


# ---------------------------------------------------------------- ejercicios 4.3 y 4.4: valores
def _values(expected, *arguments):
    def test(answer):
        received = answer(*[list(a) if isinstance(a, list) else a for a in arguments])
        same = tuple(received) == expected if isinstance(received, list | tuple) else received == expected
        call = ", ".join(map(repr, arguments))
        return None if same else f"con ({call}), {show(received)}; se esperaba {expected!r}"

    return test


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "4.1": (
        Rule(
            "El relleno lleva −100 y todo lo demás, su id",
            _labels(IDS, MASK, LABELS),
            "Copia los ids y pon −100 donde la máscara vale 0: input_ids.masked_fill(attention_mask == 0, -100). Si "
            "miras qué ids son el relleno, el EOS de verdad también se borra: aquí tienen el mismo id.",
        ),
        Rule(
            "Sin relleno, las etiquetas son los ids",
            _labels(IDS[1:], MASK[1:], LABELS[1:]),
            "No desplaces nada: transformers compara por dentro la posición t con la etiqueta t + 1.",
        ),
        Rule(
            "También con el relleno a la izquierda",
            _labels(IDS.flip(1), MASK.flip(1), LABELS.flip(1)),
            "No cuentes desde el final: usa la máscara, que dice dónde está el relleno.",
        ),
        Rule(
            "No modifica los ids que recibe",
            _keeps_ids,
            "Usa masked_fill (sin guion bajo final) o trabaja sobre input_ids.clone().",
        ),
    ),
    "4.2": (
        Rule(
            "Rellena por la derecha hasta la fila más larga",
            _batch("input_ids"),
            "Devuelve un diccionario con input_ids, attention_mask y labels, de enteros. Cada fila es "
            "row + [pad_id] * (ancho - len(row)), con ancho = la fila más larga de *este* lote.",
        ),
        Rule(
            "La máscara vale 0 solo en el relleno",
            _batch("attention_mask"),
            "Hazla con las longitudes: [1] * len(row) + [0] * (ancho - len(row)).",
        ),
        Rule(
            "Las etiquetas conservan el EOS y llevan −100 en el relleno",
            _batch("labels"),
            "Las etiquetas son los ids con −100 donde la máscara es 0, como en el ejercicio anterior.",
        ),
        Rule(
            "Funciona aunque el relleno y el EOS sean el mismo token",
            _batch("labels", pad=EOS),
            "Compara con la máscara y no con pad_id: si pad_id es el EOS, borras el final de los chistes.",
        ),
        Rule(
            "No modifica las filas que recibe",
            _keeps_rows,
            "Crea listas nuevas con row + […] en lugar de row.append(…) o row += […].",
        ),
    ),
    "4.3": (
        Rule(
            "La mejor época es la de menor pérdida, contando desde 1",
            _values((3, 5), [4.0, 3.5, 3.2, 3.3, 3.4, 3.1], 2),
            "Recorre las pérdidas en orden y guarda la mejor y su época. Con paciencia 2 se para tras dos épocas "
            "seguidas sin mejorar, y lo que venga después ya no se ve.",
        ),
        Rule(
            "La paciencia se reinicia al mejorar",
            _values((4, 6), [4.0, 3.0, 3.1, 2.9, 3.0, 3.2, 2.0], 2),
            "Cada vez que una época mejora la mejor, el contador vuelve a 0.",
        ),
        Rule(
            "Si nunca empeora, se llega al final",
            _values((4, 4), [4.0, 3.0, 2.5, 2.4], 2),
            "Si no se agota la paciencia, la última época es len(losses).",
        ),
        Rule(
            "Con paciencia 1 se para a la primera",
            _values((1, 2), [3.0, 3.1, 2.0], 1),
            "Usa patience: el número de épocas seguidas sin mejorar que se toleran.",
        ),
        Rule(
            "Igualar no es mejorar",
            _values((2, 4), [3.0, 2.5, 2.5, 2.5, 2.0], 2),
            "Mejora solo quien baja: loss < best, estrictamente.",
        ),
    ),
    "4.4": (
        Rule(
            "Cuenta las palabras seguidas que están igual en el texto",
            _values(4, "un pato entra en la consulta", "ayer un pato entra en el cine"),
            "Prueba cada trozo de la muestra, words[i:j], y quédate con el más largo que aparezca en el texto.",
        ),
        Rule(
            "No distingue mayúsculas ni puntuación",
            _values(3, "¡Buenos días, doctor!", "—buenos DÍAS doctor —dijo."),
            r're.findall(r"\w+", text.lower()) da las palabras en minúscula y sin puntuación.',
        ),
        Rule(
            "Las palabras tienen que ir seguidas y en orden",
            _values(1, "perro gato ratón", "ratón gato perro"),
            "No basta con tener las mismas palabras: el trozo tiene que aparecer tal cual.",
        ),
        Rule(
            "Compara palabras enteras",
            _values(0, "sol", "girasol y soledad"),
            "Compara listas de palabras, no cadenas: «sol» está dentro de «girasol», pero no es la misma palabra.",
        ),
        Rule(
            "Sin nada en común es 0, y copiar todo es la longitud de la muestra",
            _values(5, "el loro habla por teléfono", "Dice que el loro habla por teléfono cada tarde."),
            "El último trozo posible acaba en len(words): el final de words[i:j] no se incluye.",
        ),
    ),
}
