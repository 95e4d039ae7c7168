"""Con qué se escriben las reglas de los ejercicios: qué se pide, cómo se prueba y qué pista se da."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch

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


LOGITS = torch.tensor([[2.0, 1.0, 0.5, -1.0, 3.0], [10.0, 14.0, 11.0, 12.5, 8.0]])  # (B, V): sin empates, a otra altura


def expect(received, expected: torch.Tensor, atol: float = 1e-5) -> str | None:
    """``None`` si es el tensor esperado; si no, qué se ha recibido y qué se esperaba."""
    if not isinstance(received, torch.Tensor):
        return f"{show(received)}, de tipo {type(received).__name__}; se esperaba un tensor"
    if received.shape != expected.shape:
        return f"un tensor de forma {tuple(received.shape)}; se esperaba {tuple(expected.shape)}"
    same = torch.equal(received, expected) or torch.allclose(received.float(), expected.float(), atol=atol)
    return None if same else f"{show(received)}; se esperaba {show(expected)}"


def show(value) -> str:
    """Un valor recibido, corto y legible."""
    if isinstance(value, torch.Tensor):
        return str([[round(x, 3) for x in row] if isinstance(row, list) else row for row in value.tolist()])
    return "None (¿falta el return?)" if value is None else repr(value)[:120]


@functools.cache
def toy_model():
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


class Spy:
    """Se comporta como el modelo y anota cuántos tokens le llegan en cada llamada.

    Raises
    ------
    RuntimeError
        A las ``MAX_CALLS`` llamadas: el bucle no termina.
    AttributeError
        Si se le pide algo que el ejercicio no necesita.
    """

    def __init__(self):
        self.model, self.lengths = toy_model(), []
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


def keeps_inputs(function, *arguments) -> str | None:
    """``None`` si la función deja como estaba su primer argumento."""
    before = arguments[0].clone()
    function(*arguments)
    return None if torch.equal(arguments[0], before) else f"los logits de entrada cambiados: {show(arguments[0])}"
