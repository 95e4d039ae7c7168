"""Comprobación de los ejercicios: ``check("2.1", respuesta)`` contesta ✅, ❌ con una pista o ⏳ pendiente.

Cada ejercicio es una lista de reglas (qué se pide, prueba, pista). La prueba devuelve ``None`` si se cumple y, si no,
lo que ha recibido, para que el mensaje lo nombre. La verdad con que se compara es ``decoding``.
"""

from __future__ import annotations

import dis
import functools
import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass

import torch

from . import decoding

MAX_CALLS = 60  # llamadas al modelo antes de dar por infinito un bucle


@dataclass(frozen=True)
class Rule:
    """Una condición: ``test(respuesta)`` da ``None`` si se cumple y, si no, un texto con lo recibido."""

    description: str
    test: Callable[[object], str | None]
    hint: str


@dataclass(frozen=True)
class Outcome:
    """El resultado de una regla; ``received`` es ``None`` si se cumple."""

    rule: Rule
    received: str | None


def check(exercise: str, answer, *, strict: bool = False) -> None:
    """Comprueba la respuesta a un ejercicio y escribe el resultado; nunca lanza una excepción salvo con ``strict``.

    Parameters
    ----------
    exercise : str
        Número del ejercicio, por ejemplo ``"2.1"``.
    answer : object
        Lo que pide el enunciado: una función o un valor. Sin tocar (``...``) sale «⏳ pendiente».
    strict : bool
        Lanza ``AssertionError`` si la respuesta no es correcta. Lo usan los cuadernos resueltos.

    Raises
    ------
    ValueError
        Si el ejercicio no existe.

    Notes
    -----
    Se usa en todas las sesiones.
    """
    outcomes = review(exercise, answer)
    if outcomes is None:
        report = (
            f"⏳ Ejercicio {exercise}: pendiente. Sustituye los puntos suspensivos por tu código y vuelve a ejecutar."
        )
    else:
        lines = []
        for outcome in outcomes:
            lines.append(f"{'✅' if outcome.received is None else '❌'} {outcome.rule.description}")
            if outcome.received is not None:
                lines += [f"   He recibido: {outcome.received}", f"   Pista: {outcome.rule.hint}"]
        solved = all(outcome.received is None for outcome in outcomes)
        lines.append(
            f"¡Ejercicio {exercise} resuelto!" if solved else f"Ejercicio {exercise}: casi; corrige y prueba otra vez."
        )
        report = "\n".join(lines)
    if strict and (outcomes is None or any(outcome.received is not None for outcome in outcomes)):
        raise AssertionError(report)
    print(report)


def review(exercise: str, answer) -> list[Outcome] | None:
    """Aplica las reglas en orden hasta la primera que falla; ``None`` si la respuesta está sin tocar.

    Raises
    ------
    ValueError
        Si el ejercicio no existe: el mensaje enumera los que hay.
    """
    if not isinstance(exercise, str) or exercise not in EXERCISES:
        raise ValueError(f"No conozco el ejercicio {exercise!r}. Los que hay son: {', '.join(EXERCISES)}.")
    if _untouched(answer):
        return None
    outcomes = []
    for rule in EXERCISES[exercise]:
        try:
            received = rule.test(answer)
        except (
            Exception,
            SystemExit,
        ) as error:  # el código es del estudiante: cualquier error es una respuesta que comentar
            message = str(error).split("\n")[0][:200]
            received = f"un error al ejecutar tu código, {type(error).__name__}: {message}"
        outcomes.append(Outcome(rule, received))
        if received is not None:
            break
    return outcomes


def _untouched(answer) -> bool:
    """Un valor ``...`` o ``None``, o una función cuyo cuerpo es solo ``...``."""
    answer = inspect.unwrap(answer) if callable(answer) else answer  # @torch.no_grad() lo envuelve
    if not isinstance(answer, types.FunctionType):
        return answer is None or answer is ...
    empty = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    steps = list(dis.get_instructions(answer))
    return all(i.opname in empty and (i.argval in (None, ...) or "CONST" not in i.opname) for i in steps)


# ---------------------------------------------------------------- herramientas de las pruebas
LOGITS = torch.tensor([[2.0, 1.0, 0.5, -1.0, 3.0], [10.0, 14.0, 11.0, 12.5, 8.0]])  # (B, V): sin empates, a otra altura


def _expect(received, expected: torch.Tensor, atol: float = 1e-5) -> str | None:
    if not isinstance(received, torch.Tensor):
        return f"{_show(received)}, de tipo {type(received).__name__}; se esperaba un tensor"
    if received.shape != expected.shape:
        return f"un tensor de forma {tuple(received.shape)}; se esperaba {tuple(expected.shape)}"
    same = torch.equal(received, expected) or torch.allclose(received.float(), expected.float(), atol=atol)
    return None if same else f"{_show(received)}; se esperaba {_show(expected)}"


def _show(value) -> str:
    if isinstance(value, torch.Tensor):
        return str([[round(x, 3) for x in row] if isinstance(row, list) else row for row in value.tolist()])
    return "None (¿falta el return?)" if value is None else repr(value)[:120]


@functools.cache
def _toy_model():
    """Un GPT-2 diminuto de pesos al azar: decide siempre igual y responde en milisegundos."""
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(21)  # su búsqueda voraz no entra en bucle y escribe el id 0
        config = GPT2Config(
            vocab_size=29,
            n_positions=64,
            n_embd=16,
            n_layer=2,
            n_head=2,
            initializer_range=0.6,
            bos_token_id=None,
            eos_token_id=None,
        )
        return GPT2LMHeadModel(config).eval()


class _Spy:
    """Se comporta como el modelo y anota cuántos tokens le llegan en cada llamada."""

    def __init__(self):
        self.model, self.lengths = _toy_model(), []
        self.config, self.device = self.model.config, self.model.device

    def __call__(self, input_ids=None, **kwargs):
        if len(self.lengths) >= MAX_CALLS:
            raise RuntimeError(f"el modelo ya va por {MAX_CALLS} llamadas y el bucle no termina")
        self.lengths.append(input_ids.size(1))
        with torch.no_grad():
            return self.model(input_ids=input_ids, **kwargs)

    def __getattr__(self, name):
        if name in ("eval", "parameters"):
            return getattr(self.model, name)
        raise AttributeError(f"en este ejercicio el modelo se usa llamándolo, model(ids); no hace falta model.{name}")


PROMPT = torch.tensor([[7, 3, 11]])  # (1, T)


def _greedy(prompt: torch.Tensor, n: int) -> torch.Tensor:
    return decoding.generate(_toy_model(), prompt, max_new_tokens=n).sequences


def _eos_and_position() -> tuple[int, int]:
    """Un token que la búsqueda voraz escribe por primera vez en mitad del texto: servirá de EOS."""
    new = _greedy(PROMPT, 12)[0, PROMPT.size(1) :].tolist()
    position = next(i for i in range(3, 12) if new[i] not in new[:i] and new[i] not in PROMPT)
    return new[position], position


def _keeps_inputs(function, *arguments) -> str | None:
    before = arguments[0].clone()
    function(*arguments)
    return None if torch.equal(arguments[0], before) else f"los logits de entrada cambiados: {_show(arguments[0])}"


# ---------------------------------------------------------------- ejercicio 2.1: temperatura
def _temperature(t: float):
    truth = decoding.temperature(t)(LOGITS, None).softmax(-1)
    return lambda answer: _expect(answer(LOGITS.clone(), t), truth)


def _rows_add_up(answer) -> str | None:
    probs = answer(LOGITS.clone(), 1.0)
    if not isinstance(probs, torch.Tensor) or probs.shape != LOGITS.shape:
        return _expect(probs, LOGITS)
    sums = probs.float().sum(-1)
    return None if torch.allclose(sums, torch.ones(2), atol=1e-5) else f"filas que suman {_show(sums)}"


# ---------------------------------------------------------------- ejercicio 2.2: top-k
def _top_k(k: int, logits: torch.Tensor = LOGITS):
    return lambda answer: _expect(answer(logits.clone(), k), decoding.top_k(k)(logits, None))


# ---------------------------------------------------------------- ejercicios 2.3 y 2.4: bucles
def _stops_at_eos(answer) -> str | None:
    eos, position = _eos_and_position()
    spy = _Spy()
    received = _expect(answer(spy, PROMPT.clone(), eos, 12), _greedy(PROMPT, position + 1))
    if received is None and len(spy.lengths) > position + 1:
        return f"los ids correctos, pero con {len(spy.lengths)} llamadas al modelo cuando bastaban {position + 1}"
    return received


def _stops_at_zero(answer) -> str | None:
    expected = _greedy(PROMPT, 10)
    length = PROMPT.size(1) + expected[0, PROMPT.size(1) :].tolist().index(0) + 1
    return _expect(answer(_Spy(), PROMPT.clone(), 0, 10), expected[:, :length])


def _respects_limit(answer) -> str | None:
    unreachable = next(i for i in range(29) if i not in _greedy(PROMPT, MAX_CALLS))
    return _expect(answer(_Spy(), PROMPT.clone(), unreachable, 5), _greedy(PROMPT, 5))


def _ignores_prompt_eos(answer) -> str | None:
    eos = PROMPT[0, -1].item()
    new = _greedy(PROMPT, 5)
    expected = next((new[:, : i + 1] for i in range(3, 8) if new[0, i] == eos), new)
    return _expect(answer(_Spy(), PROMPT.clone(), eos, 5), expected)


def _cached_ids(n: int):
    return lambda answer: _expect(answer(_Spy(), PROMPT.clone(), n), _greedy(PROMPT, n))


def _feeds_one_token(answer) -> str | None:
    spy = _Spy()
    answer(spy, PROMPT.clone(), 8)
    if len(spy.lengths) < 8:
        return f"{len(spy.lengths)} llamadas al modelo para escribir 8 tokens"
    return None if sum(spy.lengths) <= PROMPT.size(1) + 8 else f"llamadas al modelo con {spy.lengths} tokens cada una"


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "2.1": (
        Rule(
            "Devuelve una distribución: cada fila suma 1",
            _rows_add_up,
            "Aplica softmax sobre el vocabulario, dim=-1, y devuelve el resultado.",
        ),
        Rule(
            "Con temperatura 1 no cambia nada",
            _temperature(1.0),
            "Con t = 1 el resultado es softmax(logits): no toques los logits de ninguna otra forma.",
        ),
        Rule(
            "Con temperatura 0.5 la distribución se afila",
            _temperature(0.5),
            "La temperatura divide los logits, y los divide antes del softmax: softmax(z / t).",
        ),
        Rule(
            "Con temperatura 2 la distribución se aplana",
            _temperature(2.0),
            "La temperatura divide los logits, y los divide antes del softmax: softmax(z / t).",
        ),
        Rule(
            "No modifica los logits que recibe",
            lambda f: _keeps_inputs(f, LOGITS.clone(), 0.5),
            "Escribe logits / t, que crea un tensor nuevo, en lugar de logits /= t.",
        ),
    ),
    "2.2": (
        Rule(
            "Con k = 2 deja vivos los dos mejores de cada fila",
            _top_k(2),
            "Compara cada logit con el k-ésimo mayor de su propia fila, topk(k).values[:, -1:], y pon -inf en los "
            "menores estrictos (<): el k-ésimo se queda.",
        ),
        Rule(
            "Con k = 1 solo queda el mejor",
            _top_k(1),
            "El umbral es el último de los k valores que da topk, no el primero ni una posición fija.",
        ),
        Rule(
            "Con k = V no quita ninguno",
            _top_k(5),
            "Con k = V el umbral es el menor de cada fila y nada queda por debajo: comprueba que el índice no se sale.",
        ),
        Rule(
            "Funciona con una sola fila",
            _top_k(3, LOGITS[:1]),
            "Deja las operaciones en la última dimensión y conserva la forma (B, V).",
        ),
        Rule(
            "No modifica los logits que recibe",
            lambda f: _keeps_inputs(f, LOGITS.clone(), 2),
            "Usa masked_fill (sin guion bajo final) o trabaja sobre logits.clone().",
        ),
    ),
    "2.3": (
        Rule(
            "Para en cuanto escribe el EOS, que queda al final",
            _stops_at_eos,
            "Añade el token a los ids y, después, si es igual a eos_token_id, sal del bucle con break.",
        ),
        Rule(
            "También si el EOS es el id 0",
            _stops_at_zero,
            "Un 0 cuenta como falso en un if: compara solo el token nuevo con eos_token_id, con ==.",
        ),
        Rule(
            "Sin EOS escribe max_new_tokens tokens",
            _respects_limit,
            "Recorre range(max_new_tokens): el EOS puede no llegar nunca.",
        ),
        Rule(
            "Un EOS dentro del prompt no detiene nada",
            _ignores_prompt_eos,
            "Compara el EOS solo con el token que acabas de elegir, nunca con los ids del prompt.",
        ),
    ),
    "2.4": (
        Rule(
            "Escribe lo mismo que sin caché",
            _cached_ids(8),
            "En cada paso pasa la caché del anterior, past_key_values=salida.past_key_values, y solo el token "
            "nuevo: lo demás ya está en ella. Devuelve el prompt y los n tokens nuevos.",
        ),
        Rule(
            "También si se pide un solo token",
            _cached_ids(1),
            "La primera llamada, con el prompt entero, ya da los logits del primer token nuevo.",
        ),
        Rule(
            "Tras el prompt, cada llamada recibe un solo token",
            _feeds_one_token,
            "A partir de la segunda llamada pasa solo el token nuevo, de forma (1, 1), junto con past_key_values.",
        ),
    ),
}
