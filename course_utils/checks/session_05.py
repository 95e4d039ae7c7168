"""Reglas de los ejercicios de la sesión 05: regla de la cadena, primer token, relleno, ventanas y bits por carácter."""

from __future__ import annotations

import math

import torch

from .. import scoring
from .rules import Rule, agrees, counted, every, hinted, toy_model
from .running import Refused
from .values import expect, prefixed, show

WORDS = ("el", "rey", "la", "reina", "vino", "tarde")
IDS = torch.tensor([[7, 3, 11, 4, 9, 2, 5]])  # (1, T)
OTHER = torch.tensor([[13, 13, 1, 0]])  # repite un id, y lleva los iniciales
LOGPROBS = torch.tensor([[-1.0, -2.0, -0.5, -3.0], [-0.25, -0.75, -9.0, -9.0], [-4.0, -9.0, -9.0, -9.0]])  # (B, T - 1)
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])  # (B, T): el −9 es relleno


# ---------------------------------------------------------------- ejercicio 5.1: regla de la cadena
def next_probs(prefix) -> dict[str, float]:
    """P(palabra | todas las anteriores) de un modelo de juguete: depende del prefijo entero y de su orden.

    Raises
    ------
    Refused
        Si el prefijo no es una lista o una tupla de palabras.
    """
    if not isinstance(prefix, tuple | list) or not all(word in WORDS for word in prefix):
        raise Refused(
            f"una llamada a next_probs con {show(prefix)}; el prefijo debe ser una lista o una tupla de palabras",
            "Mira qué pasas a next_probs.",
            "El prefijo es un trozo de words, desde el principio; con una sola palabra también es una lista.",
            "El prefijo de words[i] es words[:i], que ya es una lista.",
        )
    seed = sum((i + 1) * (WORDS.index(word) + 1) for i, word in enumerate(prefix))
    weights = {word: 1 + (seed + 3 * i * i) % 7 for i, word in enumerate(WORDS)}
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def rare_probs(prefix) -> dict[str, float]:
    """Lo mismo entre mil millones de palabras posibles: con unas cuantas, el producto ya no cabe en un número."""
    return {word: p * 1e-9 for word, p in next_probs(prefix).items()} | {"…": 1 - 1e-9}


def _chain(*words: str, probs=next_probs):
    def test(answer):
        expected = math.fsum(math.log(probs(words[:i])[word]) for i, word in enumerate(words))
        return expect(answer(probs, list(words)), expected)

    return test


# ---------------------------------------------------------------- ejercicio 5.2: el primer token
def _nll(*cases: tuple[torch.Tensor, int]):
    def test(answer):
        for ids, start_id in cases:
            whole = torch.cat([torch.full((1, 1), start_id), ids], dim=1)
            expected = -scoring.token_logprobs(toy_model(), whole).double().sum()
            problem = expect(answer(counted()[0], ids.clone(), start_id), expected)
            if problem is not None:
                return problem
        return None

    return test


# ---------------------------------------------------------------- ejercicio 5.3: el relleno no cuenta
def _perplexities(logprobs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    rows = [row[: int(real.sum()) - 1] for row, real in zip(logprobs, mask, strict=True)]
    return torch.stack([(-row.mean()).exp() for row in rows])


# ---------------------------------------------------------------- ejercicio 5.4: ventana deslizante
def _windows(*cases: tuple[int, int, int]):
    def test(answer):
        for n, window, stride in cases:
            begins = range(0, max(n - window, 0) + stride, stride)  # la primera que llega al final es la última
            ends = [min(begin + window, n) for begin in begins]
            expected = [(b, e, e - seen) for b, e, seen in zip(begins, ends, [1, *ends], strict=False)]
            problem = expect(answer(n, window, stride), expected)
            if problem is not None:
                return prefixed(f"con n={n}, window={window}, stride={stride}: ", problem)
        return None

    return test


# ---------------------------------------------------------------- ejercicio 5.5: bits por carácter
def _bits(logprobs: list[float], text: str):
    return agrees(lambda *_: -sum(logprobs) / math.log(2) / len(text), (torch.tensor(logprobs), text))


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "5.1": (
        Rule(
            "La primera palabra también cuenta",
            _chain("rey"),
            (
                "Haz la cuenta a mano con una frase de una palabra: qué prefijo tiene y qué hay que devolver.",
                "La primera palabra se predice sin nada delante: su prefijo es [], y su probabilidad entra en la "
                "cuenta. Se pide un logaritmo natural, no una probabilidad.",
                "Recorre todas las palabras, desde la 0, y suma math.log de la probabilidad que next_probs da a cada "
                "una.",
            ),
        ),
        Rule(
            "Con dos palabras, log P(w1) + log P(w2 | w1)",
            _chain("el", "rey"),
            (
                "Mira el prefijo con el que preguntas por la segunda palabra.",
                "El prefijo de cada palabra son las que van delante, sin ella.",
                "El prefijo de words[i] es words[:i]. Suma los logaritmos.",
            ),
        ),
        Rule(
            "El prefijo son todas las anteriores, en su orden",
            every(
                _chain("el", "rey", "vino", "tarde", "la", "reina"),
                hinted(
                    _chain("el", "rey", "el", "rey", "la", "el"),
                    "Aquí hay palabras repetidas. Mira cómo sabes por cuál vas.",
                    "words.index(palabra) da siempre la primera: recorre las posiciones con enumerate.",
                ),
            ),
            (
                "Mira el prefijo con el que preguntas por la última palabra.",
                "No basta con mirar la palabra de al lado ni las primeras: son todas las de delante, y en su orden.",
                "El prefijo de words[i] es words[:i], entero.",
            ),
        ),
        Rule(
            "Aguanta una frase muy larga",
            _chain(*WORDS * 10, probs=rare_probs),
            (
                "Mira cuánto vale la probabilidad de una frase larga antes de tomar el logaritmo.",
                "Multiplicar mil probabilidades da 0 en un ordenador, y 0 no tiene logaritmo.",
                "Suma los logaritmos en lugar de tomar el logaritmo del producto.",
            ),
            symptoms=(ValueError,),
        ),
    ),
    "5.2": (
        Rule(
            "Suma la sorpresa de todos los tokens, el primero incluido",
            _nll((IDS, 1), (OTHER, 1)),
            (
                "Cuenta cuántos términos tiene tu suma, de qué posición sale cada uno y con qué signo.",
                "El primer token también tiene que tener algo delante, el inicial, y los logits de una posición "
                "puntúan el token siguiente. Es una suma, y positiva.",
                "Pon start_id delante con torch.cat: así logits[:, :-1] tiene una posición por token de ids, la "
                "primera incluida. Con log_softmax y gather, toma lo que cada una da a su token y suma con el signo "
                "cambiado.",
            ),
        ),
        Rule(
            "Un texto de un solo token también tiene sorpresa",
            _nll((IDS[:, :1], 1)),
            (
                "Prueba con un texto de un token.",
                "Con el token inicial delante, un texto de un token tiene una posición que lo predice.",
            ),
        ),
        Rule(
            "Usa el token inicial que recibe",
            _nll((IDS, 13), (IDS, 0), (OTHER, 13)),
            (
                "Prueba con otro token inicial, también con el 0.",
                "No des por fijo el token inicial: es el argumento start_id.",
            ),
        ),
    ),
    "5.3": (
        Rule(
            "Una perplejidad por texto, sin contar el relleno",
            agrees(_perplexities, (LOGPROBS, MASK), (LOGPROBS[1:], MASK[1:])),
            (
                "Haz a mano la segunda fila: qué columnas son de verdad, y entre cuántas se divide.",
                "La columna t puntúa el token t + 1: su máscara es attention_mask[:, 1:]. Cada fila se divide entre "
                "sus tokens puntuados, y la perplejidad es exp(-media).",
                "Pon a 0 lo que no es de verdad, suma cada fila, divide entre sus tokens puntuados y aplica "
                "exp(-media).",
            ),
        ),
        Rule(
            "Sin relleno es la exponencial de la media",
            agrees(_perplexities, (LOGPROBS[:1], MASK[:1]), (LOGPROBS[1:, :1], MASK[1:, :2])),
            (
                "Aquí no hay relleno. Mira la fórmula, el signo y la forma de lo que devuelves, (b,).",
                "exp(-media de las log-probabilidades), con el signo menos y una por fila.",
            ),
        ),
        Rule(
            "Lo que haya en el relleno da igual",
            agrees(
                _perplexities,
                (LOGPROBS.where(MASK[:, 1:].bool(), torch.tensor(float("-inf"))), MASK),
                (LOGPROBS.where(MASK[:, 1:].bool(), torch.tensor(1e6)), MASK),
            ),
            (
                "En el relleno puede haber cualquier cosa, hasta -inf. Mira qué hace tu código con eso.",
                "-inf * 0 no es 0: multiplicar por la máscara no basta.",
                "Sustituye en lugar de multiplicar: logprobs.masked_fill(mask == 0, 0.0).",
            ),
        ),
    ),
    "5.4": (
        Rule(
            "Un texto que cabe en la ventana es una sola",
            _windows((5, 8, 4), (8, 8, 4), (2, 8, 7)),
            (
                "Escribe en un papel la lista de ternas: aquí es una sola, con lo que ve la ventana y lo que puntúa.",
                "El token 0 no tiene nada delante y no se puntúa; con la primera que llega al final se acaba.",
                "Si n ≤ window hay una ventana, (0, n, n - 1).",
            ),
        ),
        Rule(
            "Cada ventana puntúa solo los tokens que la anterior no vio",
            _windows((20, 8, 4), (9, 8, 4)),
            (
                "Suma los new de todas tus ventanas: tiene que dar n - 1.",
                "Lleva la cuenta de hasta dónde has puntuado: lo nuevo de cada ventana es lo que pasa de ahí.",
                "new = end - seen, y después seen = end. La primera empieza con seen = 1.",
            ),
        ),
        Rule(
            "La última se corta donde acaba el texto, y no sobra ninguna",
            _windows((18, 8, 4)),
            (
                "Mira tu última ventana: hasta dónde llega y cuánto puntúa.",
                "Ninguna pasa de n, y en cuanto una llega a n se acaba: otra ventana no puntuaría nada.",
                "end = min(begin + window, n), y el bucle termina cuando end llega a n.",
            ),
        ),
        Rule(
            "Con cualquier avance, cada token se puntúa una vez",
            _windows((53, 10, 3), (30, 7, 6), (12, 5, 1)),
            (
                "Prueba con otros avances y mira dónde empieza cada ventana.",
                "El principio avanza stride, no window ni otra cosa.",
                "En cada vuelta, begin += stride.",
            ),
        ),
    ),
    "5.5": (
        Rule(
            "Pasa de nats a bits y reparte entre los caracteres",
            _bits([-1.0, -2.0, -3.0], "no hay nada"),
            (
                "Haz la cuenta a mano: cuántos nats hay en total, cuántos bits son y entre cuántos caracteres.",
                "Suma, cambia el signo y pasa a bits: un bit son 0,693 nats, el logaritmo de 2. Después, reparte.",
                "Suma, cambia el signo, divide entre math.log(2) y después entre len(text).",
            ),
        ),
        Rule(
            "Cuenta caracteres, no bytes",
            every(_bits([-2.5, -0.5], "ñandú"), _bits([-4.0], "¡Sí! 🙂\n")),
            (
                "Mira cuántos caracteres cuentas en un texto con eñes, tildes o espacios.",
                "«ñ» y «ú» son un carácter cada una, aunque ocupen dos bytes. También cuentan los espacios y los "
                "saltos.",
                "Usa len(text), sin encode().",
            ),
        ),
        Rule(
            "No depende de en cuántos tokens se parta",
            every(_bits([-0.6] * 5, "ñandú"), _bits([-0.1] * 30, "ñandú")),
            (
                "Aquí el mismo texto está partido en más tokens. Mira si eso cambia tu cuenta.",
                "El número de tokens no entra en la cuenta: la sorpresa total, entre los caracteres.",
            ),
        ),
    ),
}
