"""Reglas de los ejercicios de la sesión 05: regla de la cadena, primer token, relleno, ventanas y bits por carácter."""

from __future__ import annotations

import math

import torch

from .. import scoring
from .rules import Rule, Spy, expect, show, toy_model

WORDS = ("el", "rey", "la", "reina", "vino", "tarde")
IDS = torch.tensor([[7, 3, 11, 4, 9, 2, 5]])  # (1, T)
LOGPROBS = torch.tensor([[-1.0, -2.0, -0.5, -3.0], [-0.25, -0.75, -9.0, -9.0], [-4.0, -9.0, -9.0, -9.0]])  # (B, T - 1)
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])  # (B, T): el −9 es relleno


def _number(received, expected: float, atol: float = 1e-4) -> str | None:
    """``None`` si es el número esperado: un float, un entero o un tensor de un elemento."""
    if isinstance(received, torch.Tensor) and received.numel() == 1:
        received = received.item()
    if isinstance(received, bool) or not isinstance(received, int | float):
        return f"{show(received)}, de tipo {type(received).__name__}; se esperaba un número"
    return None if abs(received - expected) < atol else f"{received:.4f}; se esperaba {expected:.4f}"


# ---------------------------------------------------------------- ejercicio 5.1: regla de la cadena
def next_probs(prefix) -> dict[str, float]:
    """P(palabra | todas las anteriores) de un modelo de juguete: depende del prefijo entero y de su orden.

    Raises
    ------
    TypeError
        Si el prefijo no es una lista o una tupla de palabras.
    """
    if not isinstance(prefix, tuple | list):
        raise TypeError(f"el prefijo debe ser una lista o una tupla de palabras y es {prefix!r}")
    seed = sum((i + 1) * (WORDS.index(word) + 1) for i, word in enumerate(prefix))
    weights = {word: 1 + (seed + 3 * i * i) % 7 for i, word in enumerate(WORDS)}
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def _chain(*words: str):
    def test(answer):
        expected = sum(math.log(next_probs(words[:i])[word]) for i, word in enumerate(words))
        return _number(answer(next_probs, list(words)), expected)

    return test


# ---------------------------------------------------------------- ejercicio 5.2: el primer token
def _nll(ids: torch.Tensor, start_id: int):
    def test(answer):
        whole = torch.cat([torch.full((1, 1), start_id), ids], dim=1)
        expected = -scoring.token_logprobs(toy_model(), whole).sum().item()
        return _number(answer(Spy(), ids.clone(), start_id), expected, atol=1e-3)

    return test


# ---------------------------------------------------------------- ejercicio 5.3: el relleno no cuenta
def _perplexities(logprobs: torch.Tensor, mask: torch.Tensor):
    def test(answer):
        rows = [row[: int(real.sum()) - 1] for row, real in zip(logprobs, mask, strict=True)]
        expected = torch.stack([(-row.mean()).exp() for row in rows])
        return expect(answer(logprobs.clone(), mask.clone()), expected, atol=1e-3)

    return test


# ---------------------------------------------------------------- ejercicio 5.4: ventana deslizante
def _windows(n: int, window: int, stride: int):
    def test(answer):
        begins = [0]
        while begins[-1] + window < n:
            begins.append(begins[-1] + stride)
        ends = [min(begin + window, n) for begin in begins]
        expected = [(b, e, e - s) for b, e, s in zip(begins, ends, [1, *ends], strict=False)]
        received = answer(n, window, stride)
        try:
            same = [tuple(map(int, w)) for w in received] == expected
        except TypeError:
            return f"{show(received)}; se esperaba una lista de ternas"
        return None if same else f"con n={n}, window={window}, stride={stride}: {received}; se esperaba {expected}"

    return test


# ---------------------------------------------------------------- ejercicio 5.5: bits por carácter
def _bits(logprobs: list[float], text: str):
    expected = -sum(logprobs) / math.log(2) / len(text)
    return lambda answer: _number(answer(torch.tensor(logprobs), text), expected)


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "5.1": (
        Rule(
            "La primera palabra también cuenta",
            _chain("rey"),
            "La primera palabra se predice sin nada delante: su prefijo es [], y su probabilidad entra en la cuenta. "
            "Devuelve un logaritmo natural (math.log), no una probabilidad.",
        ),
        Rule(
            "Con dos palabras, log P(w1) + log P(w2 | w1)",
            _chain("el", "rey"),
            "El prefijo de cada palabra son las que van delante, sin ella: words[:i]. Suma los logaritmos.",
        ),
        Rule(
            "El prefijo son todas las anteriores, en su orden",
            _chain("el", "rey", "vino", "tarde", "la", "reina"),
            "No basta con mirar la palabra de al lado ni las primeras: el prefijo de words[i] es words[:i], entero.",
        ),
        Rule(
            "Aguanta una frase muy larga",
            _chain(*WORDS * 200),
            "Multiplicar mil probabilidades da 0 en un ordenador: suma los logaritmos en lugar de tomar el logaritmo "
            "del producto.",
        ),
    ),
    "5.2": (
        Rule(
            "Suma la sorpresa de todos los tokens, el primero incluido",
            _nll(IDS, 1),
            "Pon start_id delante con torch.cat: así logits[:, :-1] tiene una posición por token de ids, la primera "
            "incluida. Con log_softmax y gather, toma lo que cada una da a su token y suma con el signo cambiado.",
        ),
        Rule(
            "Un texto de un solo token también tiene sorpresa",
            _nll(IDS[:, :1], 1),
            "Con el token inicial delante, un texto de un token tiene una posición que lo predice.",
        ),
        Rule(
            "Usa el token inicial que recibe",
            _nll(IDS, 13),
            "No des por fijo el token inicial: es el argumento start_id.",
        ),
    ),
    "5.3": (
        Rule(
            "Una perplejidad por texto, sin contar el relleno",
            _perplexities(LOGPROBS, MASK),
            "La columna t puntúa el token t + 1: su máscara es attention_mask[:, 1:]. Pon a 0 lo que no es de verdad, "
            "suma cada fila, divide entre sus tokens puntuados y aplica exp(-media).",
        ),
        Rule(
            "Sin relleno es la exponencial de la media",
            _perplexities(LOGPROBS[:1], MASK[:1]),
            "exp(-media de las log-probabilidades), con el signo menos.",
        ),
        Rule(
            "Lo que haya en el relleno da igual",
            _perplexities(LOGPROBS.where(MASK[:, 1:].bool(), torch.tensor(float("-inf"))), MASK),
            "En el relleno puede haber cualquier cosa, hasta -inf, y -inf * 0 no es 0: usa "
            "logprobs.masked_fill(mask == 0, 0.0).",
        ),
    ),
    "5.4": (
        Rule(
            "Un texto que cabe en la ventana es una sola",
            _windows(5, 8, 4),
            "Si n ≤ window hay una ventana, (0, n, n - 1): el token 0 no tiene nada delante y no se puntúa.",
        ),
        Rule(
            "Cada ventana puntúa solo los tokens que la anterior no vio",
            _windows(20, 8, 4),
            "Lleva la cuenta de hasta dónde has puntuado: new = end - seen, y después seen = end. La primera empieza "
            "con seen = 1.",
        ),
        Rule(
            "La última se corta donde acaba el texto, y no sobra ninguna",
            _windows(18, 8, 4),
            "end = min(begin + window, n), y en cuanto end llega a n se acaba: otra ventana no puntuaría nada.",
        ),
        Rule(
            "Con cualquier avance, cada token se puntúa una vez",
            _windows(53, 10, 3),
            "El principio avanza stride, no window ni otra cosa: begin += stride.",
        ),
    ),
    "5.5": (
        Rule(
            "Pasa de nats a bits y reparte entre los caracteres",
            _bits([-1.0, -2.0, -3.0], "no hay nada"),
            "Suma, cambia el signo, divide entre math.log(2) (un bit son 0,693 nats) y después entre len(text).",
        ),
        Rule(
            "Cuenta caracteres, no bytes",
            _bits([-2.5, -0.5], "ñandú"),
            "«ñ» y «ú» son un carácter cada una, aunque ocupen dos bytes: usa len(text), sin encode().",
        ),
        Rule(
            "No depende de en cuántos tokens se parta",
            _bits([-0.6] * 5, "ñandú"),
            "El número de tokens no entra en la cuenta: la sorpresa total, entre los caracteres.",
        ),
    ),
}
