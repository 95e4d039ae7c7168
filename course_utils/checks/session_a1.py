"""Reglas de los ejercicios de la sesión A1: el gradiente según la distancia y un paso de LSTM."""

from __future__ import annotations

import copy

import torch

from .rules import Rule, agrees, every, hinted, unchanged
from .values import Diagnosis, as_tensor, expect, show


def _seeded(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def _cell(kind, size: int, hidden: int, layers: int = 1):
    """Una capa recurrente de PyTorch con pesos siempre iguales, sin tocar el generador de nadie."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(size + hidden)
        return kind(size, hidden, layers, batch_first=True)


# ---------------------------------------------------------------- ejercicio A1.1: el gradiente según la distancia
CELLS = {
    "torch.nn.RNN": (_cell(torch.nn.RNN, 3, 4), _seeded(1, 6, 3)),
    "torch.nn.LSTM": (_cell(torch.nn.LSTM, 5, 4), _seeded(1, 7, 5)),
    "torch.nn.GRU": (_cell(torch.nn.GRU, 2, 6, 2), _seeded(1, 4, 2)),
}


def _numeric(cell, x: torch.Tensor) -> torch.Tensor:
    """Las normas, sin gradientes: moviendo cada número un poco hacia los dos lados, en float64."""
    cell, x, step = copy.deepcopy(cell).double(), x.double(), 1e-5
    slopes = torch.zeros_like(x[0])
    with torch.no_grad():
        for place in range(slopes.numel()):
            moved = torch.zeros(x[0].numel(), dtype=torch.double)
            moved[place] = step
            ends = [cell(x + sign * moved.view_as(x))[0][:, -1].sum() for sign in (1, -1)]
            slopes.view(-1)[place] = (ends[0] - ends[1]) / (2 * step)
    return slopes.norm(dim=-1).flip(0)


def _asked(answer, name: str):
    """Lo que contesta la función con una copia de esa capa, y lo que hay que contestar."""
    cell, x = CELLS[name]
    return answer(copy.deepcopy(cell), x.clone()), _numeric(cell, x)


def _one_per_token(answer):
    received, truth = _asked(answer, "torch.nn.RNN")
    found = as_tensor(received)
    problem = None if found is not None and found.shape == truth.shape else expect(received, truth)
    return problem.received if isinstance(problem, Diagnosis) else problem  # las pistas de la regla dicen más


def _right(name: str):
    def test(answer):
        received, truth = _asked(answer, name)
        problem, found = expect(received, truth), as_tensor(received)
        if problem is None or found is None or found.shape != truth.shape:
            return problem
        if expect(found.flip(0), truth) is None:
            return Diagnosis(
                f"{show(received)}, que es lo esperado del revés",
                (
                    "Mira a qué token corresponde el primer número.",
                    "El primero es el del último token, que está a 0 pasos; el último, el del principio del texto.",
                    "Dale la vuelta al final: .flip(0).",
                ),
            )
        return f"{show(received)} con {name}; se esperaba {show(truth)}"

    return test


def _same_input(answer):
    cell, x = CELLS["torch.nn.RNN"]
    given = x.clone()
    answer(copy.deepcopy(cell), given)
    if given.requires_grad:
        return "el x de entrada pidiendo gradiente, requires_grad=True"
    return None if torch.equal(given, x) else f"el x de entrada cambiado a {show(given)}"


# ---------------------------------------------------------------- ejercicio A1.2: un paso de LSTM
def _case(batch: int, size: int, hidden: int, scale: float = 1.0) -> tuple[torch.Tensor, ...]:
    """x, h, c, W, U y b."""
    shapes = (batch, size), (batch, hidden), (batch, hidden), (4 * hidden, size), (4 * hidden, hidden), (4 * hidden,)
    return tuple(_seeded(*shape, scale=scale) + 0.1 * k for k, shape in enumerate(shapes))


def _truth(x, h, c, W, U, b) -> torch.Tensor:
    """El estado y la cinta, (2, B, H), con la celda de PyTorch."""
    cell = torch.nn.LSTMCell(x.size(-1), h.size(-1))
    with torch.no_grad():
        for p, value in zip(cell.parameters(), (W, U, b, torch.zeros_like(b)), strict=True):
            p.copy_(value)
        return torch.stack(cell(x, (h, c)))


def _two_tensors(answer):
    case = _case(2, 3, 4)
    received, truth = answer(*copy.deepcopy(case)), _truth(*case)
    found = as_tensor(list(received)) if isinstance(received, tuple | list) else as_tensor(received)
    return None if found is not None and found.shape == truth.shape else expect(received, truth)


def _belt(answer):
    """Que la cinta, lo segundo que se devuelve, sea la que toca."""
    for case in (_case(2, 3, 4), _case(1, 5, 4, scale=2.0)):
        received, truth = answer(*copy.deepcopy(case)), _truth(*case)
        problem = expect(received[1], truth[1])
        if problem is None:
            continue
        if expect(received[0], truth[1]) is None:
            return Diagnosis(
                "la cinta en primer lugar y el estado en segundo",
                ("Mira en qué orden devuelves las dos cosas.", "Se pide primero el estado, h, y luego la cinta, c."),
            )
        return problem
    return None


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "A1.1": (
        Rule(
            "Devuelve T números, uno por token",
            _one_per_token,
            (
                "Mira la forma de lo que devuelves: x es (1, T, E) y se piden T números.",
                "El gradiente tiene la misma forma que x. De cada token quedan E números, y se pide su tamaño.",
                "gradient[0].norm(dim=-1) deja un número por token.",
            ),
        ),
        Rule(
            "Con una RNN, son los gradientes del último estado",
            _right("torch.nn.RNN"),
            (
                "Mira de qué es el gradiente: de la suma del último estado, y de nada más.",
                "outputs es (1, T, H). El último estado es outputs[:, -1], y su suma es la pérdida.",
                "Pide torch.autograd.grad(outputs[:, -1].sum(), x), con un x que lleve requires_grad_().",
            ),
        ),
        Rule(
            "Vale para una LSTM y para varias capas",
            every(_right("torch.nn.LSTM"), _right("torch.nn.GRU")),
            (
                "Prueba tu función con torch.nn.LSTM y con torch.nn.GRU.",
                "Lo segundo que devuelve la capa no es igual en todas: en la LSTM son dos cosas. Usa lo primero.",
                "Recoge la salida con outputs, _ = cell(x), y no mires el nombre de los pesos.",
            ),
            symptoms=(AttributeError, TypeError),
        ),
        Rule(
            "No cambia el x que recibe",
            _same_input,
            (
                "Mira x.requires_grad antes y después de llamar a tu función.",
                "Los métodos que acaban en guion bajo cambian el tensor que los recibe.",
                "Trabaja sobre x.detach().clone().requires_grad_().",
            ),
        ),
    ),
    "A1.2": (
        Rule(
            "Devuelve dos tensores (B, H)",
            _two_tensors,
            (
                "Mira cuántas cosas devuelves, y su forma.",
                "Son el estado y la cinta nuevos, los dos de la forma de h.",
                "Las cuentas salen (B, 4H): repártelas con .chunk(4, dim=-1) y acaba con return h, c.",
            ),
        ),
        Rule(
            "La cinta es f · c + i · g",
            _belt,
            (
                "Compara tu cinta con la fórmula, factor por factor.",
                "Los cuatro bloques van en el orden i, f, g, o. Los grifos, i y f, pasan por la sigmoide; lo nuevo, g, "
                "por la tangente hiperbólica.",
                "Es c = f.sigmoid() * c + i.sigmoid() * g.tanh().",
            ),
        ),
        Rule(
            "El estado es o · tanh(c)",
            agrees(_truth, _case(2, 3, 4), _case(1, 5, 4, scale=2.0)),
            (
                "La cinta está bien. Mira cómo sacas de ella el estado.",
                "El estado sale de la cinta nueva, no de la que llega, y antes pasa por la tangente hiperbólica.",
                "Es h = o.sigmoid() * c.tanh(), con la c nueva.",
            ),
        ),
        Rule(
            "Vale para cualquier lote y cualquier tamaño",
            every(
                agrees(_truth, _case(5, 2, 3), _case(1, 2, 1)),
                hinted(
                    agrees(_truth, _case(3, 4, 4)),
                    "Aquí E y H miden lo mismo. Mira qué matriz multiplica a qué vector.",
                    "W va con x y U con h, las dos traspuestas: x @ W.T + h @ U.T + b.",
                ),
            ),
            (
                "Prueba tu función con otros tamaños, también con un solo número.",
                "Toma los tamaños de los tensores que recibes, y reparte por la última dimensión.",
                ".chunk(4, dim=-1) vale para todos.",
            ),
            symptoms=(RuntimeError, IndexError, ValueError),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("x", "h", "c", "W", "U", "b", case=_case(2, 3, 4)),
            (
                "Imprime c antes y después de llamar a tu función.",
                "Las operaciones como *= y += cambian el tensor que reciben.",
                "Usa operaciones que crean tensores nuevos: c = f * c + i * g.",
            ),
        ),
    ),
}
