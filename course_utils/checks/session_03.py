"""Reglas de los ejercicios de la sesión 03: puntuar, distinct-n, núcleo, relleno y el espacio del final."""

from __future__ import annotations

import torch

from .. import decoding, scoring
from .rules import LOGITS, THREE, Rule, agrees, counted, every, hinted, toy_model, unchanged
from .values import Diagnosis, expect, show

IDS = torch.tensor([[7, 3, 11, 4, 9, 2, 5]])  # (1, T)
OTHER = torch.tensor([[4, 4, 20, 4, 0]])  # repite un id
LISTS = [[5, 6], [1, 0, 2, 3], [9]]  # con un 0, que también es el relleno, y un 1
WIDE = torch.stack([torch.linspace(0, 1, 80).roll(17), torch.linspace(1, 0, 80).roll(5)])  # (2, 80): casi plana


# ---------------------------------------------------------------- ejercicio 3.1: puntuación de una secuencia
def _score(*cases: tuple[torch.Tensor, int, float]):
    def test(answer):
        for ids, prompt_length, length_penalty in cases:
            logprobs = scoring.token_logprobs(toy_model(), ids)[0, prompt_length - 1 :].double()
            truth = logprobs.sum() / len(logprobs) ** length_penalty
            problem = expect(answer(counted()[0], ids.clone(), prompt_length, length_penalty), truth)
            if problem is not None:
                return problem
        return None

    return test


# ---------------------------------------------------------------- ejercicio 3.2: distinct-n
def _distinct(ids: list[int], n: int) -> float:
    grams = {" ".join(map(str, ids[i : i + n])) for i in range(len(ids) - n + 1)}
    return len(grams) / max(len(ids) - n + 1, 1)


# ---------------------------------------------------------------- ejercicio 3.3: muestreo de núcleo
def _top_p(logits: torch.Tensor, p: float) -> torch.Tensor:
    return decoding.top_p(p)(logits, None)


def _excluded(answer) -> str | None:
    """Que lo que sobra valga -inf y no otro valor puesto ahí; lo demás lo dicen las otras condiciones."""
    expected, received = _top_p(LOGITS, 0.9), answer(LOGITS.clone(), 0.9)
    if not isinstance(received, torch.Tensor) or received.shape != expected.shape:
        return None
    kept = expected.isfinite()
    put = ~kept & received.isfinite() & (received != LOGITS)
    if not put.any() or not torch.allclose(received[kept].double(), expected[kept].double()):
        return None
    return f"lo que sobra vale {show(received[put][0].item())}; se esperaba -inf"


# ---------------------------------------------------------------- ejercicio 3.4: relleno a la izquierda
def _padded(sequences, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, sequences))
    ids = torch.tensor([[pad] * (longest - len(s)) + s for s in sequences])
    return ids, torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences])


def _pads(*parts: int, pad: int = 0, sequences=(LISTS,)):
    """Que salgan bien ``input_ids`` (parte 0), ``attention_mask`` (parte 1) o los dos."""

    def test(answer):
        for lists in sequences:
            received = answer([list(s) for s in lists], pad)
            if not isinstance(received, tuple | list) and not (isinstance(received, torch.Tensor) and received.dim()):
                return f"{show(received)}; se esperaban dos tensores, input_ids y attention_mask"
            if len(received) != 2:
                return f"{len(received)} cosas; se esperaban dos tensores, input_ids y attention_mask"
            for part in parts:
                problem = expect(received[part], _padded(lists, pad)[part], integers=True, tensor=True)
                if problem is not None:
                    return _swapped(received, _padded(lists, pad)) or problem
        return None

    return test


def _swapped(received, expected) -> Diagnosis | None:
    if expect(received[0], expected[1]) is None and expect(received[1], expected[0]) is None:
        text = "los dos tensores en el orden contrario"
        return Diagnosis(text, ("Mira en qué orden los devuelves: primero input_ids y después attention_mask.",))
    return None


# ---------------------------------------------------------------- ejercicio 3.5: el espacio del final
def _trims(*prompts: str):
    def test(answer):
        for prompt in prompts:
            received, expected = answer(prompt), prompt.rstrip(" ")
            if not isinstance(received, str) or received != expected:
                return f"con {prompt!r}: {show(received)}; se esperaba {expected!r}"
        return None

    return test


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "3.1": (
        Rule(
            "Sin normalizar (α = 0) suma las log-probabilidades de todos los tokens nuevos",
            _score((IDS, 3, 0.0), (OTHER, 3, 0.0)),
            (
                "Mira qué tokens entran en tu suma, y de qué posición sale la log-probabilidad de cada uno.",
                "La posición t predice el token t + 1, y lo que se suma son log-probabilidades, no logits. Entran "
                "todos los tokens nuevos, también el primero, y ninguno del prompt.",
                "Aplica log_softmax a logits[:, :-1], toma los ids[:, 1:] con gather y suma desde la columna "
                "prompt_length - 1. Así entra el primer token nuevo y no entra ninguno del prompt.",
            ),
        ),
        Rule(
            "Con α = 1 es la media por token nuevo",
            _score((IDS, 3, 1.0), (OTHER, 3, 1.0)),
            (
                "Mira entre cuánto divides la suma.",
                "La n de la fórmula es el número de tokens nuevos, sin contar el prompt.",
                "Divide la suma entre n ** length_penalty.",
            ),
        ),
        Rule(
            "Con α = 2 favorece a las largas",
            _score((IDS, 3, 2.0), (OTHER, 3, 0.5)),
            (
                "Mira dónde está α en la fórmula.",
                "length_penalty es un exponente, y puede ser cualquier número.",
                "Es suma / n ** length_penalty, no suma / (n * length_penalty).",
            ),
        ),
        Rule(
            "Funciona con otro prompt",
            _score((IDS, 1, 1.0), (IDS, 6, 2.0), (OTHER, 1, 1.0)),
            (
                "Prueba con un prompt más corto y con otro más largo.",
                "No des por fijo el número de tokens del prompt: usa prompt_length.",
            ),
        ),
    ),
    "3.2": (
        Rule(
            "Cuenta los bigramas distintos",
            agrees(_distinct, ([1, 2, 1, 2, 1], 2)),
            (
                "Escribe en un papel todos los bigramas de esta lista: cuántos hay y cuántos son distintos.",
                "Hay 4 bigramas y solo 2 son distintos; el denominador es cuántos bigramas hay, y no len(ids).",
                "Es len(set(...)) entre el número de n-gramas, que es len(ids) - n + 1 y no len(ids).",
            ),
        ),
        Rule(
            "Con n = 1 cuenta tokens",
            agrees(_distinct, ([1, 2, 1, 2, 1], 1), ([7], 1)),
            (
                "Con n = 1 cada token es un 1-grama. Mira qué pasa con n en tu código.",
                "Son 2 distintos de 5. No des n por fijo.",
            ),
        ),
        Rule(
            "Sirve para cualquier n",
            agrees(
                _distinct,
                ([1, 2, 1, 3, 1, 2, 1], 3),
                ([1, 2, 1, 2, 1], 3),
                ([1, 2, 1, 3, 1, 2, 1, 3], 4),
                ([5, 6, 5], 3),
            ),
            (
                "Prueba con trigramas, y con un n igual a la longitud de la lista.",
                "Un n-grama son n ids seguidos, y el último empieza en len(ids) - n.",
                "Un n-grama es tuple(ids[i : i + n]), con i desde 0 hasta len(ids) - n incluido.",
            ),
        ),
        Rule(
            "El orden importa: (1, 2) no es (2, 1)",
            every(
                agrees(_distinct, ([1, 2, 1], 2), ([1, 1, 2, 2], 3)),
                hinted(
                    agrees(_distinct, ([1, 11, 1], 2)),
                    "(1, 11) no es (11, 1). Mira cómo los distingues.",
                    "Si pegas los números en un texto, «1» y «11» se confunden con «11» y «1»: usa tuplas.",
                ),
            ),
            (
                "Mira si tu código distingue dos n-gramas con los mismos ids en otro orden o repetidos.",
                "Usa tuplas, que guardan el orden y las repeticiones; un conjunto o una lista ordenada los pierde.",
            ),
        ),
        Rule(
            "Un texto más corto que n da 0",
            agrees(_distinct, ([1], 2), ([], 1), ([1, 2], 5)),
            (
                "Prueba con una lista vacía y con una más corta que n.",
                "Sin ningún n-grama la división sería entre cero: trata ese caso aparte.",
                "Si no hay ningún n-grama, devuelve 0.0.",
            ),
            symptoms=(ZeroDivisionError, IndexError, ValueError),
        ),
    ),
    "3.3": (
        Rule(
            "Con p = 0.9 deja el menor conjunto que suma al menos 0.9",
            every(
                hinted(
                    _excluded,
                    "Los que se quedan son los buenos. Mira qué valor llevan los demás: con él, ¿pueden salir?",
                    'Lo que no está en el núcleo vale float("-inf"), que al pasar por softmax es 0 exacto.',
                ),
                agrees(_top_p, (LOGITS, 0.9), (THREE, 0.9)),
                hinted(
                    agrees(_top_p, (WIDE, 0.9)),
                    "Esta distribución es casi plana y su núcleo tiene más de 50 tokens. Mira cuántos quedan en la "
                    "tuya.",
                    "El muestreo de núcleo puro no pone tope al número de tokens: quita cualquier otro filtro.",
                ),
            ),
            (
                "Mira, fila por fila, qué tokens quedan vivos, cuánto suman y si cada logit sigue en su sitio.",
                "Se ordena de mayor a menor y se quita un token si los que van *delante* ya suman p: el que cruza el "
                "límite se queda. Y ordenar cambia las posiciones: hay que deshacerlo.",
                "En cada fila: sort, softmax y cumsum - probabilidad >= p dice cuáles sobran. Con scatter, ese sí o "
                "no vuelve a su sitio, y masked_fill pone los -inf.",
            ),
        ),
        Rule(
            "Con p = 0.5 quedan menos",
            agrees(_top_p, (LOGITS, 0.5), (THREE, 0.7), (WIDE, 0.5)),
            (
                "Mira con qué comparas la suma acumulada.",
                "El umbral es p, no un valor fijo, y se compara con la suma acumulada de cada fila (dim=-1).",
            ),
        ),
        Rule(
            "Aunque p sea muy pequeño, la más probable se queda",
            agrees(_top_p, (LOGITS, 0.01), (THREE, 0.1)),
            (
                "Cuenta cuántos quedan vivos en cada fila: tiene que haber uno por lo menos.",
                "La primera tiene una suma delante de 0, que nunca llega a p: no la quites.",
            ),
        ),
        Rule(
            "Funciona con una sola fila",
            agrees(_top_p, (LOGITS[1:], 0.9), (THREE[:1], 0.6)),
            (
                "Prueba con una sola fila, de forma (1, v).",
                "Deja las operaciones en la última dimensión y conserva la forma (B, V).",
            ),
        ),
        Rule(
            "No modifica los logits que recibe",
            unchanged("logits", case=(LOGITS, 0.5)),
            (
                "Imprime los logits antes y después de llamar a tu función.",
                "Asignar en logits[…] y las operaciones que acaban en guion bajo cambian el tensor que reciben.",
                "Usa masked_fill (sin guion bajo final) o trabaja sobre logits.clone().",
            ),
        ),
    ),
    "3.4": (
        Rule(
            "El relleno va a la izquierda y cada fila mide lo que la más larga",
            _pads(0, sequences=(LISTS, [[1, 2, 3], [4]], [[4], [5, 5]])),
            (
                "Mira en qué lado está el relleno, cuánto mide cada fila y qué devuelves: son dos tensores de enteros.",
                "A cada lista le falta, por la izquierda, lo que mide menos que la más larga.",
                "Cada fila es [pad_id] * (más_larga - len(s)) + s, y con todas se hace un torch.tensor.",
            ),
        ),
        Rule(
            "La máscara vale 0 solo en el relleno",
            _pads(1, sequences=(LISTS, [[0, 0, 3], [0]])),
            (
                "Compara tu máscara con los ids: dónde hay texto y dónde relleno.",
                "Si la máscara sale de ids != pad_id, un token de verdad con el mismo id que el relleno desaparece.",
                "Haz la máscara con las longitudes, [0] * relleno + [1] * len(s).",
            ),
        ),
        Rule(
            "Usa el pad_id que recibe",
            _pads(0, 1, pad=7),
            (
                "Prueba con otro pad_id.",
                "No escribas un 0 fijo: el id de relleno es el argumento pad_id.",
            ),
        ),
        Rule(
            "Sin nada que rellenar no cambia nada",
            _pads(0, 1, sequences=([[4, 5], [6, 7]], [[0, 3]])),
            (
                "Prueba con listas de la misma longitud, y con una sola.",
                "Si todas miden igual, el relleno tiene longitud 0 y la máscara es toda de unos.",
            ),
        ),
        Rule(
            "No modifica las listas que recibe",
            unchanged("sequences", case=(LISTS, 0)),
            (
                "Imprime las listas antes y después de llamar a tu función.",
                "append, insert y += cambian la lista que reciben.",
                "Crea listas nuevas, [pad_id] * k + s, en lugar de s.insert(0, pad_id).",
            ),
        ),
    ),
    "3.5": (
        Rule(
            "Quita los espacios del final",
            _trims("Había una vez  ", "Había una vez ", "uno   ", "  "),
            (
                "Mira cómo acaba lo que devuelves: puede haber uno, varios o solo espacios.",
                "Los textos tienen métodos para quitar lo que sobra por un lado.",
                'Devuelve un texto sin espacios al final; mira rstrip(" ").',
            ),
        ),
        Rule(
            "Si no sobra nada, no cambia nada",
            _trims("El rey mandó", "El  rey mandó", "x", ""),
            (
                "Prueba con un texto que no acabe en espacio, y con uno vacío.",
                "No cortes por posición: puede que no haya ningún espacio que quitar, ni ninguna letra. Los de en "
                "medio se quedan.",
            ),
            symptoms=(IndexError,),
        ),
        Rule(
            "Los espacios del principio se quedan",
            _trims(" el caballero ", "  el rey"),
            (
                "Mira el principio de lo que devuelves.",
                "strip() quita por los dos lados; solo sobran los de la derecha.",
            ),
        ),
        Rule(
            "El salto de línea del final se queda",
            _trims("—Buenos días.\n", "—Buenos días.\n  ", "—Buenos días. \n"),
            (
                "Mira qué pasa con el salto de línea.",
                "rstrip() sin argumentos quita también el salto de línea, que es un final de párrafo.",
                'Di qué quieres quitar: rstrip(" ").',
            ),
        ),
    ),
}
