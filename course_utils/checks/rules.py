"""Con qué se escriben las reglas de los ejercicios: qué se pide, cómo se prueba y qué pistas se dan."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .running import Answer, Endless
from .values import Diagnosis, expect, prefixed, show

MAX_CALLS = 60  # llamadas al modelo antes de dar por infinito un bucle
Received = str | Diagnosis | None
Test = Callable[[Answer], Received]


@dataclass(frozen=True)
class Rule:
    """Una condición: ``test(respuesta)`` da ``None`` si se cumple y, si no, lo recibido.

    Parameters
    ----------
    hints : tuple[str, ...]
        Hasta tres, en orden: dónde mirar, qué mirar y cómo se hace.
    symptoms : tuple[type[Exception], ...]
        Errores con los que se nota justo lo que esta regla busca: sus pistas valen también para ellos.
    """

    description: str
    test: Test
    hints: tuple[str, ...]
    symptoms: tuple[type[Exception], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """El resultado de una regla; ``received`` es ``None`` si se cumple."""

    rule: Rule
    received: str | None
    hints: tuple[str, ...]


LOGITS = torch.tensor([[2.0, 1.0, 0.5, -1.0, 3.0], [10.0, 14.0, 11.0, 12.5, 8.0]])  # (B, V): sin empates, a otra altura
THREE = torch.tensor([[-3.0, -1.0, -2.0, -0.5], [0.0, 4.0, 2.0, 1.0], [7.0, 5.0, 6.5, 3.0]])  # (B, V): tres filas


# ---------------------------------------------------------------- combinar pruebas
def agrees(truth: Callable, *cases: tuple, **options) -> Test:
    """Que la respuesta valga lo que ``truth`` con cada caso, una tupla de argumentos; recibe copias."""

    def test(answer) -> Received:
        for case in cases:
            problem = expect(answer(*copy.deepcopy(case)), truth(*case), **options)
            if problem is not None:
                return prefixed(_shown_case(case), problem)
        return None

    return test


def _shown_case(case: tuple) -> str:
    """Con qué argumentos se ha llamado a la función."""
    shown = [f"tensor {tuple(x.shape)}" if isinstance(x, torch.Tensor) else show(x) for x in case]
    return f"con ({', '.join(shown)}): "


def every(*tests: Test) -> Test:
    """La primera prueba que no se cumpla."""
    return lambda answer: next((r for test in tests if (r := test(answer)) is not None), None)


def hinted(test: Test, *hints: str) -> Test:
    """Las mismas condiciones con otras pistas."""

    def hinted_test(answer) -> Received:
        received = test(answer)
        return Diagnosis(received, hints) if isinstance(received, str) else received

    return hinted_test


def unchanged(*names: str, case: tuple) -> Test:
    """Que los primeros argumentos, que se llaman ``names``, sigan valiendo lo mismo después de llamar a la función."""

    def test(answer) -> str | None:
        given = copy.deepcopy(case)
        answer(*given)
        changed = [
            f"{name} cambiado a {show(after)}"
            for name, before, after in zip(names, case, given, strict=False)
            if not _same(before, after)
        ]
        return " y ".join(changed) or None

    return test


def _same(before, after) -> bool:
    if isinstance(before, torch.Tensor):
        return torch.equal(before, after)
    return np.array_equal(before, after) if isinstance(before, np.ndarray) else before == after


# ---------------------------------------------------------------- modelos de juguete
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


def counted(model=None):
    """Una copia del modelo, para que la respuesta la maltrate si quiere, y la lista de tokens por fila de cada llamada.

    La copia no lleva gradientes: un ``.numpy()`` o un ``.item()`` sin ``no_grad`` valen igual.

    Raises
    ------
    Endless
        La copia, a las ``MAX_CALLS`` llamadas.
    """
    twin, lengths = copy.deepcopy(model or toy_model()).requires_grad_(False), []

    def count(_, args):
        if len(lengths) >= MAX_CALLS:
            raise Endless(f"un bucle que no termina: el modelo ya va por {MAX_CALLS} llamadas")
        lengths.append(args[0].size(-1))

    twin.get_input_embeddings().register_forward_pre_hook(count)  # por ahí pasa cualquier forma de llamarlo
    return twin, lengths
