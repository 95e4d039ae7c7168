"""Reglas de los ejercicios de la sesión A1: el gradiente según la distancia, un paso de LSTM, y clasificar con ella."""

from __future__ import annotations

import copy
import functools

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
@functools.cache
def _cells() -> dict:
    """Tres capas y lo que leen; se hacen al comprobar, y no al importar."""
    return {
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
    cell, x = _cells()[name]
    return answer(copy.deepcopy(cell), x.clone()), _numeric(cell, x)


def _one_per_token(answer):
    received, truth = _asked(answer, "torch.nn.RNN")
    return _shape_only(received, tuple(truth.shape))


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
    cell, x = _cells()["torch.nn.RNN"]
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
    return _shape_only(list(received) if isinstance(received, tuple) else received, tuple(truth.shape))


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


def _shape_only(received, shape: tuple[int, ...]):
    """Que lo recibido tenga esa forma; lo que vale, lo miran otras reglas."""
    found = as_tensor(received)
    if found is not None and found.shape == shape:
        return None
    problem = expect(received, torch.zeros(shape))
    return problem.received if isinstance(problem, Diagnosis) else problem


# ---------------------------------------------------------------- ejercicio A1.3: el último estado de verdad
def _lasts(outputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return torch.stack([row[n - 1] for row, n in zip(outputs, lengths.tolist(), strict=True)])


def _states(*lengths: int, hidden: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Un lote de estados, todos distintos, con relleno hasta el más largo y uno más."""
    return _seeded(len(lengths), max(lengths) + 1, hidden), torch.tensor(lengths)


# ---------------------------------------------------------------- ejercicio A1.4: mezclar capas
def _mixed(layers: torch.Tensor, scores: torch.Tensor, scale) -> torch.Tensor:
    """La mezcla, con un producto en float64 y sin pasar por softmax."""
    grown = (scores.double() - scores.max()).exp()
    return scale * torch.einsum("k,kbth->bth", grown / grown.sum(), layers.double())


def _layers(count: int, *shape: int) -> torch.Tensor:
    return _seeded(count, *shape) + torch.arange(count)[:, None, None, None]


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
    "A1.3": (
        Rule(
            "Devuelve un estado por fila, (B, H)",
            lambda answer: _shape_only(answer(*_states(3, 5)), (2, 2)),
            (
                "Mira la forma de lo que devuelves: de cada fila, un solo estado.",
                "outputs es (B, T, H), y de los T pasos se elige uno en cada fila.",
                "Con outputs[torch.arange(len(outputs)), pasos] se elige un paso distinto en cada fila.",
            ),
        ),
        Rule(
            "Es el estado tras el último token de verdad",
            agrees(_lasts, _states(3, 5), _states(2, 2, 4)),
            (
                "Mira de qué paso es el estado que devuelves en la fila que falla.",
                "En la última columna hay relleno. Y los pasos se cuentan desde 0: si hay n tokens, el último está en "
                "el paso n − 1.",
                "Los pasos son lengths - 1, uno por fila.",
            ),
        ),
        Rule(
            "Vale para cualquier lote",
            every(agrees(_lasts, _states(1), _states(1, 6, 3, 2, hidden=5)), agrees(_lasts, _states(4, 4, 4, 4))),
            (
                "Prueba con una fila sola, con una de un token y con todas del mismo largo.",
                "Toma los largos de lengths, fila por fila, y no del tamaño de outputs.",
            ),
            symptoms=(RuntimeError, IndexError, ValueError),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("outputs", "lengths", case=_states(3, 5)),
            (
                "Imprime lengths antes y después de llamar a tu función.",
                "lengths -= 1 cambia el tensor que recibes; lengths - 1 hace otro.",
            ),
        ),
    ),
    "A1.4": (
        Rule(
            "Devuelve la mezcla, (B, T, H)",
            lambda answer: _shape_only(answer(_layers(2, 3, 4, 5), torch.zeros(2), 1.0), (3, 4, 5)),
            (
                "Mira la forma de lo que devuelves: las K capas se han juntado en una.",
                "Se suma por la dimensión de las capas, que es la primera.",
                "Suma con .sum(0) después de multiplicar cada capa por su parte.",
            ),
        ),
        Rule(
            "Con puntuaciones iguales, es la media de las capas",
            agrees(
                _mixed, (_layers(2, 1, 2, 3), torch.zeros(2), 1.0), (_layers(3, 1, 2, 2), torch.full((3,), 4.0), 1.0)
            ),
            (
                "Con las mismas puntuaciones, a cada capa le toca lo mismo, y las partes suman 1.",
                "Las puntuaciones no son el reparto: softmax las convierte en él.",
                "Las partes son scores.softmax(0), y cada una multiplica a su capa.",
            ),
        ),
        Rule(
            "Cada capa lleva su parte",
            agrees(
                _mixed,
                (_layers(2, 1, 2, 3), torch.tensor([2.0, -1.0]), 1.0),
                (_layers(3, 3, 3, 3), torch.tensor([0.5, 1.5, -2.0]), 1.0),
            ),
            (
                "Mira qué capa multiplica cada parte.",
                "La parte k va con layers[k], entera: con todas sus filas, sus pasos y sus números.",
                "Pon las partes en la primera dimensión, shares[:, None, None, None], y multiplica.",
            ),
            symptoms=(RuntimeError,),
        ),
        Rule(
            "Todo se multiplica por scale",
            agrees(
                _mixed,
                (_layers(2, 1, 2, 3), torch.tensor([2.0, -1.0]), 3.0),
                (_layers(2, 2, 1, 3), torch.tensor([0.0, 1.0]), -0.5),
            ),
            (
                "Prueba con un scale distinto de 1.",
                "scale multiplica la mezcla ya hecha, y no las puntuaciones.",
                "Es scale * (partes por capas).sum(0).",
            ),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("layers", "scores", case=(_layers(2, 1, 2, 3), torch.tensor([2.0, -1.0]), 2.0)),
            (
                "Imprime layers y scores antes y después de llamar a tu función.",
                "Las operaciones como *= cambian el tensor que reciben. Usa las que crean uno nuevo.",
            ),
        ),
    ),
}
