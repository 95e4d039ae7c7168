"""Reglas de los ejercicios de la sesión 04: etiquetas, lotes, curvas y memorización."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from .rules import Rule, agrees, every, hinted, unchanged
from .values import expect, prefixed, show

EOS = 0  # en estas pruebas el relleno y el EOS son el mismo token, como en GPT-2
IDS = torch.tensor([[EOS, 7, 3, 11, EOS, EOS, EOS], [EOS, 5, 9, 4, 2, 8, EOS]])  # (B, T)
MASK = torch.tensor([[1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1]])
THREE = torch.tensor([[EOS, EOS, 3], [EOS, 6, EOS], [1, 2, EOS]])
THREE_MASK = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 1]])


# ---------------------------------------------------------------- ejercicio 4.1: etiquetas
def _labels(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.where(mask == 1, ids, -100)


# ---------------------------------------------------------------- ejercicio 4.2: hacer un lote
ROWS = [[EOS, 7, EOS], [EOS, 5, 9, 4, EOS], [EOS, EOS]]
KEYS = ("input_ids", "attention_mask", "labels")


def _collated(rows: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": _labels(ids, mask)}


def _batch(key: str, pad: int = 6, batches=(ROWS, [[EOS, 3, 1], [8]], [[5, 9, 7, EOS]])):
    def test(answer):
        for rows in batches:
            received = answer([list(row) for row in rows], pad)
            if not isinstance(received, Mapping) or set(received) != set(KEYS):
                return f"{show(received)}; se esperaba un diccionario con las claves {', '.join(KEYS)}"
            value = received[key]
            if key == "attention_mask" and getattr(value, "dtype", None) == torch.bool:
                value = value.long()  # también sirve como máscara
            problem = expect(value, _collated(rows, pad)[key], integers=True, tensor=True)
            if problem is not None:
                return prefixed(f"{key}: ", problem)
        return None

    return test


# ---------------------------------------------------------------- ejercicio 4.3: parada temprana
def _stopping(losses: list[float], patience: int) -> tuple[int, int]:
    """La última es la primera época en la que la mejor queda ``patience`` épocas atrás."""
    best = [losses.index(min(losses[:t])) + 1 for t in range(1, len(losses) + 1)]  # (t,): la mejor hasta cada época
    last = next((t for t, b in enumerate(best, 1) if t - b == patience), len(losses))
    return best[last - 1], last


# ---------------------------------------------------------------- ejercicio 4.4: memorización
def _value(expected: int, *arguments):
    return agrees(lambda *_: expected, arguments)


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "4.1": (
        Rule(
            "El relleno lleva −100 y todo lo demás, su id",
            agrees(_labels, (IDS[:1], MASK[:1]), (THREE[:2], THREE_MASK[:2]), integers=True, tensor=True),
            (
                "Compara tus etiquetas con los ids y con la máscara, casilla por casilla.",
                "−100 va donde la máscara vale 0. Si miras qué ids son el relleno, el EOS de verdad también se borra: "
                "aquí tienen el mismo id.",
                "Copia los ids y pon −100 donde la máscara vale 0: input_ids.masked_fill(attention_mask == 0, -100).",
            ),
        ),
        Rule(
            "Sin relleno, las etiquetas son los ids",
            agrees(_labels, (IDS[1:], MASK[1:]), (IDS, MASK), (THREE, THREE_MASK), integers=True, tensor=True),
            (
                "Aquí hay filas sin relleno. Mira qué has cambiado en ellas.",
                "No desplaces nada: transformers compara por dentro la posición t con la etiqueta t + 1.",
            ),
        ),
        Rule(
            "También con el relleno a la izquierda",
            agrees(
                _labels, (IDS.flip(1), MASK.flip(1)), (THREE.flip(1), THREE_MASK.flip(1)), integers=True, tensor=True
            ),
            (
                "Prueba con el relleno al principio de la fila.",
                "No cuentes desde el final: usa la máscara, que dice dónde está el relleno.",
            ),
        ),
        Rule(
            "No modifica los ids que recibe",
            unchanged("input_ids", "attention_mask", case=(IDS, MASK)),
            (
                "Imprime input_ids antes y después de llamar a tu función.",
                "labels = input_ids es el mismo tensor con otro nombre, y lo que acaba en guion bajo cambia lo que "
                "recibe.",
                "Usa masked_fill (sin guion bajo final) o trabaja sobre input_ids.clone().",
            ),
        ),
    ),
    "4.2": (
        Rule(
            "Rellena por la derecha hasta la fila más larga",
            _batch("input_ids"),
            (
                "Mira qué devuelves, de qué tipo y cuánto mide cada fila.",
                "Es un diccionario de tres tensores de enteros. El ancho es el de la fila más larga de *este* lote, y "
                "el relleno va detrás.",
                "Cada fila es row + [pad_id] * (ancho - len(row)), con ancho = la fila más larga de *este* lote.",
            ),
        ),
        Rule(
            "La máscara vale 0 solo en el relleno",
            _batch("attention_mask"),
            (
                "Compara la máscara con las filas que has recibido.",
                "Mira las longitudes y no los ids: un id de verdad puede ser 0, o el del relleno.",
                "Hazla con las longitudes: [1] * len(row) + [0] * (ancho - len(row)).",
            ),
        ),
        Rule(
            "Las etiquetas conservan el EOS y llevan −100 en el relleno",
            _batch("labels"),
            (
                "Compara las etiquetas con los ids y con la máscara.",
                "Las etiquetas son los ids con −100 donde la máscara es 0, como en el ejercicio anterior.",
            ),
        ),
        Rule(
            "Funciona aunque el relleno y el EOS sean el mismo token",
            every(_batch("labels", pad=EOS), _batch("attention_mask", pad=EOS), _batch("input_ids", pad=EOS)),
            (
                "Prueba con pad_id igual al EOS, que aquí es 0.",
                "Compara con la máscara y no con pad_id: si pad_id es el EOS, borras el final de los chistes.",
            ),
        ),
        Rule(
            "No modifica las filas que recibe",
            unchanged("rows", case=(ROWS, 6)),
            (
                "Imprime las filas antes y después de llamar a tu función.",
                "append, extend y += cambian la lista que reciben.",
                "Crea listas nuevas con row + […] en lugar de row.append(…) o row += […].",
            ),
        ),
    ),
    "4.3": (
        Rule(
            "La mejor época es la de menor pérdida, contando desde 1",
            agrees(_stopping, ([4.0, 3.5, 3.2, 3.3, 3.4, 3.1], 2), ([3.0, 3.5, 3.6, 2.0], 2)),
            (
                "Recorre las pérdidas con un papel: cuál es la mejor hasta cada época y cuándo se para. La primera es "
                "la 1.",
                "Con paciencia 2 se para tras dos épocas seguidas sin mejorar, y lo que venga después ya no se ve.",
                "Recorre las pérdidas en orden, guarda la mejor y su época, y devuelve la pareja (mejor, última).",
            ),
        ),
        Rule(
            "La paciencia se reinicia al mejorar",
            every(
                agrees(_stopping, ([4.0, 3.0, 3.1, 2.9, 3.0, 3.2, 2.0], 2), ([5.0, 5.1, 4.0, 4.1, 3.0, 3.1, 3.2], 2)),
                hinted(
                    agrees(_stopping, ([4.0, 3.0, 3.5, 3.4, 2.0], 2), ([4.0, 2.0, 3.0, 2.9, 2.8], 2)),
                    "Aquí la pérdida sube y vuelve a bajar. Mira con qué comparas cada época.",
                    "Bajar de la época anterior no es mejorar: hay que bajar de la mejor de todas.",
                ),
            ),
            (
                "Mira qué pasa con tu cuenta de épocas malas cuando la pérdida vuelve a mejorar.",
                "Cada vez que una época mejora la mejor, el contador vuelve a 0.",
            ),
        ),
        Rule(
            "Si nunca empeora, se llega al final",
            agrees(_stopping, ([4.0, 3.0, 2.5, 2.4], 2), ([900.0, 800.0, 700.0], 1), ([4.0, 3.0, 3.5], 5), ([2.0], 1)),
            (
                "Aquí no se para antes de tiempo. Mira qué devuelves, y con qué mejor pérdida empiezas.",
                "Si no se agota la paciencia, la última época es len(losses). La primera pérdida, por grande que sea, "
                "siempre mejora.",
            ),
        ),
        Rule(
            "Con paciencia 1 se para a la primera",
            agrees(_stopping, ([3.0, 3.1, 2.0], 1), ([3.0, 3.1, 3.2, 3.3, 2.0], 3)),
            (
                "Prueba con otra paciencia.",
                "Usa patience: el número de épocas seguidas sin mejorar que se toleran.",
            ),
        ),
        Rule(
            "Igualar no es mejorar",
            agrees(_stopping, ([3.0, 2.5, 2.5, 2.5, 2.0], 2), ([2.0, 2.0], 1)),
            ("Aquí hay pérdidas iguales. Mira tu comparación.", "Mejora solo quien baja: loss < best, estrictamente."),
        ),
    ),
    "4.4": (
        Rule(
            "Cuenta las palabras seguidas que están igual en el texto",
            every(
                _value(4, "un pato entra en la consulta", "ayer un pato entra en el cine"),
                _value(3, "hoy llueve en la ciudad", "en la ciudad hace sol"),
            ),
            (
                "Busca con un papel el trozo más largo: puede estar al principio, en medio o al final de los dos "
                "textos.",
                "Hay que probar todos los trozos de la muestra, empiecen donde empiecen, y contar palabras.",
                "Prueba cada trozo de la muestra, words[i:j], y quédate con el más largo que aparezca en el texto.",
            ),
        ),
        Rule(
            "No distingue mayúsculas ni puntuación",
            every(
                _value(3, "¡Buenos días, doctor!", "—buenos DÍAS doctor —dijo."),
                _value(2, "Ése NIÑO", "vino ése niño, ¿no?"),
                _value(0, "sí, papá", "si el papa viene"),
            ),
            (
                "Imprime las palabras que sacas de cada texto: hay mayúsculas, signos y tildes.",
                "Pasa los dos textos a minúscula y quédate solo con las palabras, con sus tildes y sus eñes.",
                r're.findall(r"\w+", text.lower()) da las palabras en minúscula y sin puntuación.',
            ),
        ),
        Rule(
            "Las palabras tienen que ir seguidas y en orden",
            every(
                _value(1, "perro gato ratón", "ratón gato perro"),
                _value(2, "el pato entra hoy", "el gato entra hoy"),
                _value(2, "un gran pato entra", "un pato entra"),
                _value(2, "un pato entra", "un gran pato entra"),
                _value(2, "no no no", "dijo no no"),
                _value(3, "la reina vino", "la reina la reina vino"),
            ),
            (
                "Mira si lo que cuentas va seguido en los dos textos, sin saltos y sin cambiar el orden.",
                "No basta con tener las mismas palabras: el trozo tiene que aparecer tal cual.",
            ),
        ),
        Rule(
            "Compara palabras enteras",
            every(_value(0, "sol", "girasol y soledad"), _value(1, "el girasol", "al sol del sol el sol")),
            (
                "Mira cómo buscas un trozo dentro del texto: con palabras o con letras.",
                "«sol» está dentro de «girasol», pero no es la misma palabra.",
                "Compara listas de palabras, no cadenas.",
            ),
        ),
        Rule(
            "Sin nada en común es 0, y copiar todo es la longitud de la muestra",
            every(
                _value(5, "el loro habla por teléfono", "Dice que el loro habla por teléfono cada tarde."),
                _value(0, "zorro", "un queso"),
                _value(0, "¡!", "un queso"),
                _value(0, "un queso", ""),
            ),
            (
                "Prueba con una muestra copiada entera, con dos textos que no comparten nada y con uno vacío.",
                "El último trozo posible acaba en len(words): el final de words[i:j] no se incluye. Sin ningún trozo, "
                "es 0.",
            ),
            symptoms=(ValueError, IndexError),
        ),
    ),
}
