"""Reglas de los ejercicios de la sesión 06: la media sin relleno y la diferencia emparejada, con remuestreo."""

from __future__ import annotations

import copy

import numpy as np
import torch

from .rules import Rule, agrees, every, hinted, unchanged
from .values import as_tensor, expect, show


# ---------------------------------------------------------------- ejercicio 6.1: la media de los de verdad
def _mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Fila a fila, con los vectores que la máscara señala y nada más."""
    return torch.stack([row[real.bool()].double().mean(0) for row, real in zip(states, mask, strict=True)])


def _batch(*rows: str, hidden: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Estados al azar, enormes donde hay relleno, y la máscara que dice cada fila: «1110»."""
    mask = torch.tensor([[int(mark) for mark in row] for row in rows])
    generator = torch.Generator().manual_seed(sum(map(len, rows)) + hidden)
    states = torch.randn(*mask.shape, hidden, generator=generator)
    return torch.where(mask.bool()[..., None], states, 50 * states + 7), mask


def _one_per_row(answer) -> str | None:
    states, mask = _batch("1111", "1111")
    received = answer(states, mask)
    found = as_tensor(received)
    if found is not None and tuple(found.shape) == (2, 3):
        return None
    if found is not None and found.dim():
        return f"algo de forma {tuple(found.shape)}; se esperaba (2, 3): un vector por fila"
    return f"{show(received)}, de tipo {type(received).__name__}; se esperaba un tensor de forma (2, 3)"


# ---------------------------------------------------------------- ejercicio 6.2: la diferencia emparejada
def _interval(hits_a, hits_b, draws) -> tuple[float, float]:
    """Examen a examen: los aciertos de cada uno, su resta, y los cuantiles de las restas."""
    gaps = sorted(
        sum(int(hits_b[i]) for i in exam) / len(exam) - sum(int(hits_a[i]) for i in exam) / len(exam)
        for exam in np.asarray(draws).tolist()
    )
    found = []
    for share in (0.025, 0.975):
        place = share * (len(gaps) - 1)
        low = int(place)
        found.append(gaps[low] + (place - low) * (gaps[min(low + 1, len(gaps) - 1)] - gaps[low]))
    return found[0], found[1]


def _exam(size: int, rounds: int, seed: int, shares=(0.5, 0.7), kind=float, noise=0.15):
    """Aciertos de dos sistemas que se parecen, más cuanto menos ruido, y los exámenes sorteados."""
    rng = np.random.default_rng(seed)
    hard = rng.random(size)
    hits_a, hits_b = ((hard + noise * rng.random(size) < share).astype(kind) for share in shares)
    return hits_a, hits_b, rng.integers(size, size=(rounds, size))


REVIEWS, BOOLEANS, WORSE = _exam(40, 300, 0), _exam(40, 300, 1, (0.8, 0.9), bool, 0.8), _exam(30, 250, 2, (0.8, 0.5))


def _two(answer) -> str | None:
    received = answer(*copy.deepcopy(REVIEWS))
    if isinstance(received, tuple | list) and len(received) == 2:
        return None
    found = as_tensor(received)
    if found is not None and tuple(found.shape) == (2,):
        return None
    return f"{show(received)}, de tipo {type(received).__name__}; se esperaban dos números, low y high"


def _ends(*cases: tuple):
    """Que los dos extremos sean los que tocan, con cualquier manera corriente de interpolar el cuantil."""

    def test(answer):
        for case in cases:
            received = answer(*copy.deepcopy(case))
            problem = expect(received, list(_interval(*case)))
            if problem is None:
                continue
            found = as_tensor(received)
            if found is not None and found.shape == (2,) and found.dtype.is_floating_point:
                near = 1.01 / len(case[0])  # el cuantil, entre dos diferencias vecinas
                low, high = _interval(*case)
                if abs(found[0] - low) < 0.5 * near and abs(found[1] - high) < 0.5 * near and found[0] < found[1]:
                    continue
            return problem
        return None

    return test


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "6.1": (
        Rule(
            "Devuelve un vector por fila, (B, D)",
            _one_per_row,
            (
                "Mira la forma de lo que devuelves: de cada fila del lote, un solo vector.",
                "states es (B, T, D). La media se hace a lo largo de T, que es la dimensión 1, y esa desaparece.",
                "states.sum(1) es (B, D). La máscara, que es (B, T), se hace (B, T, 1) con mask[..., None].",
            ),
            symptoms=(RuntimeError,),
        ),
        Rule(
            "Sin relleno, es la media",
            agrees(_mean, _batch("1111", "1111"), _batch("11111", "11111", "11111", hidden=2)),
            (
                "Prueba con una máscara de unos: tiene que salir la media de siempre.",
                "Suma los vectores de cada fila y divide entre cuántos son, no entre cuántas filas ni cuántos números.",
                "Sin relleno es states.mean(1).",
            ),
        ),
        Rule(
            "El relleno no cuenta, ni en la suma ni al dividir",
            agrees(_mean, _batch("1110", "1111"), _batch("11000", "11110", "10000")),
            (
                "Mira qué pasa en una fila con relleno: sus vectores no son cero.",
                "Hay que quitarlos de la suma, y dividir entre los tokens de verdad de esa fila, no entre T.",
                "weights = mask[..., None]; (states * weights).sum(1) / weights.sum(1)",
            ),
        ),
        Rule(
            "El relleno puede ir a la izquierda, y el lote ser de cualquier tamaño",
            every(
                agrees(_mean, _batch("0011", "0111")),
                hinted(
                    agrees(_mean, _batch("01", hidden=1), _batch("1", hidden=4), _batch("101", "011", "111", "110")),
                    "Prueba con una fila sola, con un token solo y con D = 1.",
                    "No des por hecho ningún tamaño: ni squeeze() ni números escritos.",
                    "(states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)",
                ),
            ),
            (
                "Prueba con el relleno a la izquierda.",
                "No cuentes tokens desde el principio: la máscara dice cuáles son, estén donde estén.",
                "Multiplica por mask[..., None] en lugar de cortar states[:, :n].",
            ),
            symptoms=(RuntimeError, IndexError, ValueError),
        ),
        Rule(
            "Vale con una máscara de síes y noes",
            agrees(lambda s, m: _mean(s, m.long()), (_batch("1100", "1111")[0], _batch("1100", "1111")[1].bool())),
            (
                "Prueba con mask.bool().",
                "Con una máscara booleana, sumar y dividir también tienen que dar cuentas, no síes y noes.",
                "Conviértela al principio: mask.to(states.dtype).",
            ),
            symptoms=(RuntimeError, TypeError),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("states", "mask", case=_batch("1110", "1111")),
            (
                "Imprime states antes y después de llamar a tu función.",
                "Asignar dentro, como states[mask == 0] = 0, o usar *=, cambia el tensor que recibes.",
                "Multiplica: states * mask[..., None] hace otro.",
            ),
        ),
    ),
    "6.2": (
        Rule(
            "Devuelve dos números: low y high",
            _two,
            (
                "Mira cuántas cosas devuelves: son dos números, los extremos del intervalo.",
                "De cada examen sorteado sale una diferencia; de las R diferencias, dos cuantiles.",
                "Acaba con return low, high.",
            ),
            symptoms=(IndexError, ValueError),
        ),
        Rule(
            "Es la diferencia de aciertos, B menos A, en cada examen sorteado",
            every(_ends(WORSE), _ends(REVIEWS)),
            (
                "Mira el signo, el orden y el tamaño: si B acierta menos que A, los dos extremos son negativos.",
                "Los dos van al mismo examen: la misma fila de draws para A y para B, y se restan sus medias. Los "
                "cuantiles son 0,025 y 0,975.",
                "gap = hits_b - hits_a; low, high = np.quantile(gap[draws].mean(1), [0.025, 0.975])",
            ),
            symptoms=(IndexError, ValueError),
        ),
        Rule(
            "Vale con síes y noes",
            _ends(BOOLEANS),
            (
                "Prueba con aciertos booleanos, que es lo que da comparar con las etiquetas.",
                "numpy no resta síes y noes, y sumados dan más síes. Conviértelos antes en números.",
                "np.asarray(hits_b, dtype=float) - np.asarray(hits_a, dtype=float)",
            ),
            symptoms=(TypeError,),
        ),
        Rule(
            "Vale para otros tamaños",
            _ends(_exam(12, 100, 3), _exam(25, 80, 4), _exam(6, 400, 5)),
            (
                "Prueba con otro número de reseñas y de exámenes.",
                "Toma los tamaños de lo que recibes: N de los aciertos y R de draws. Y no sortees tú: usa draws.",
            ),
            symptoms=(IndexError, ValueError),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("hits_a", "hits_b", "draws", case=REVIEWS),
            (
                "Imprime lo que recibe tu función antes y después de llamarla.",
                "Las operaciones como -= y el método sort() cambian el array que reciben. Usa las que hacen otro.",
            ),
        ),
    ),
}
