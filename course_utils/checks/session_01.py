"""Reglas de los ejercicios de la sesión 01: máscara causal, pesos de atención, quién ve el futuro y huecos."""

from __future__ import annotations

import functools

import torch

from .rules import Rule, agrees, counted, every, hinted, toy_model, unchanged
from .values import INTEGER_HINTS, Diagnosis, as_tensor, expect, show

IDS = torch.tensor([[7, 3, 11, 5, 19, 8]])  # (1, T)
FORBIDDEN = {"1.1": {"course_utils.attention.causal_mask": "causal_mask"}}


@functools.cache
def toy_encoder():
    """Un BERT diminuto de pesos al azar, con el vocabulario de ``toy_model``."""
    from transformers import BertConfig, BertForMaskedLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(14)  # su favorito cambia de una posición a otra
        config = BertConfig(
            vocab_size=29,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            initializer_range=0.3,
        )
        return BertForMaskedLM(config).eval()


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


# ---------------------------------------------------------------- ejercicio 1.1: máscara causal
def _triangle(t: int) -> torch.Tensor:
    return torch.ones(t, t, dtype=torch.bool).tril()


def _square_and_boolean(answer):
    mask = answer(4)
    if isinstance(mask, torch.Tensor) and mask.shape == (4, 4) and mask.dtype != torch.bool:
        return f"un tensor de tipo {mask.dtype}; se esperaba torch.bool"
    ok = isinstance(mask, torch.Tensor) and mask.shape == (4, 4)
    return None if ok else expect(mask, _triangle(4), tensor=True)


def _region(inside, value: bool, size: int = 4):
    """Prueba que en las casillas (fila, columna) que cumplen ``inside`` la máscara vale ``value``."""

    def test(answer) -> str | None:
        mask = answer(size).tolist()
        wrong = [(i, j) for i in range(size) for j in range(size) if inside(i, j) and mask[i][j] is not value]
        return (
            f"{not value} en la fila {wrong[0][0]}, columna {wrong[0][1]}, de tu máscara de {size}" if wrong else None
        )

    return test


# ---------------------------------------------------------------- ejercicio 1.2: pesos de atención
def _truth(q, k, mask) -> torch.Tensor:
    """Los pesos, sin pasar por ``course_utils``: la atención de PyTorch con la identidad como valores."""
    identity = torch.eye(k.size(-2)).expand(*k.shape[:-1], k.size(-2))
    return torch.nn.functional.scaled_dot_product_attention(q, k, identity, attn_mask=mask)


def _case(*shape: int, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
    q, k, t = _random(*shape), _random(*shape).flip(-2) + 0.3, shape[-2]
    return q, k, torch.ones(t, t).bool() if mask is None else mask


# Ni triangular ni simétrica, y ninguna fila tapada del todo.
HOLES = torch.tensor([[0, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 0, 1]]).bool()


def _rows_add_up(answer):
    q, k, mask = _case(1, 4, 8)
    weights = answer(q, k, mask)
    problem = expect(weights, _truth(q, k, mask))
    if problem is None or not isinstance(weights, torch.Tensor) or weights.shape != (1, 4, 4):
        return problem
    if weights.isnan().any():
        return Diagnosis(
            f"{show(weights[0, 0])} en la primera fila, con una máscara que es True en todas partes",
            (
                "Con esta máscara se puede mirar a todas partes. Mira qué ha tapado tu función.",
                "mask es True donde sí se puede mirar, y hay que tapar lo contrario.",
                "Lo contrario de mask es ~mask: es ahí donde los productos valen -inf antes del softmax.",
            ),
        )
    sums = weights.double().sum(-1)
    return None if torch.allclose(sums, torch.ones(1, 4).double(), atol=1e-2) else f"filas que suman {show(sums)}"


# ---------------------------------------------------------------- ejercicio 1.3: qué se mueve
_MOVES_HINTS = (
    "Compara, posición por posición, lo que el modelo da con los ids de antes y con los cambiados.",
    "Hacen falta dos llamadas al modelo, y de cada una los vectores de la última capa, (s, D): cada fila es una "
    "posición.",
    "Llama al modelo dos veces y no cambies los ids que recibes: trabaja sobre ids.clone(). Con los vectores de las "
    "dos, (después - antes).abs().amax(-1) > 1e-4 dice cuáles se mueven.",
)


def _moves(model, *cases: tuple[int, int, list[int]]):
    def test(answer):
        for position, new_id, expected in cases:
            problem = _moved(answer, model(), position, new_id, expected)
            if problem is not None:
                return problem
        return None

    return test


def _moved(answer, model, position: int, new_id: int, expected: list[int]):
    ids = IDS.clone()
    copy, calls = counted(model)
    received = answer(copy, ids, position, new_id)
    if not torch.equal(ids, IDS):
        return Diagnosis(
            f"los ids de entrada cambiados: {show(ids)}",
            (
                "Imprime tus ids antes y después de llamar a la función: no deben cambiar.",
                "nuevo = ids es el mismo tensor con otro nombre: si cambias uno, cambias los dos.",
                "Para cambiar uno sin tocar el otro, trabaja sobre ids.clone().",
            ),
        )
    found = as_tensor(list(received)) if isinstance(received, list | tuple) else None
    if found is None or found.dtype == torch.bool:
        return Diagnosis(
            f"{show(received)}, de tipo {type(received).__name__}; se esperaba la lista {expected}",
            (
                "Mira el tipo de lo que devuelves: se pide una lista de posiciones.",
                "Si tienes un tensor de True y False, .nonzero().flatten() da las posiciones, y .tolist() la lista.",
            ),
        )
    if sorted(found.tolist()) != expected:
        change = f"al poner {new_id} en la posición {position}"
        return f"{show(received)} {change}; se esperaba {expected}"
    if not calls:
        return Diagnosis(
            "la lista correcta, pero sin haber llamado al modelo",
            (
                "No des por hecho cuáles se mueven: compáralo.",
                "Tiene que servir para cualquier modelo. Hacen falta los vectores de antes y los de después.",
                _MOVES_HINTS[2],
            ),
        )
    return None


# ---------------------------------------------------------------- ejercicio 1.4: rellenar un hueco
def _fills(*cases: tuple[int, int, int]):
    """Con un hueco en ``position``, marcado con ``mask_id``, los ``k`` mejores."""

    def test(answer):
        for position, k, mask_id in cases:
            ids = IDS.clone()
            ids[0, position] = mask_id
            with torch.no_grad():
                truth = toy_encoder()(ids).logits[0, position].topk(k).indices
            problem = _best_ids(answer(counted(toy_encoder())[0], ids, mask_id, k), truth)
            if problem is not None:
                return problem
        return None

    return test


def _best_ids(received, truth):
    problem = expect(received, truth, integers=True)
    if isinstance(problem, Diagnosis) and problem.hints is INTEGER_HINTS:
        return f"{show(received)}, que no son ids; se esperaba {show(truth)}"
    return problem


EXERCISES: dict[str, tuple[Rule, ...]] = {
    "1.1": (
        Rule(
            "Devuelve un tensor booleano (t, t)",
            _square_and_boolean,
            (
                "Mira el tipo y la forma de lo que devuelves, .dtype y .shape.",
                "Se pide un tensor booleano de PyTorch, cuadrado y de dos dimensiones.",
                "Parte de torch.ones(t, t, dtype=torch.bool), o convierte con .bool(), y devuelve el resultado.",
            ),
        ),
        Rule(
            "Cada posición se ve a sí misma",
            _region(lambda i, j: i == j, True),
            (
                "Mira la diagonal de tu máscara.",
                "La diagonal también es True: un token puede atenderse a sí mismo.",
            ),
        ),
        Rule(
            "Ninguna posición ve lo que viene después",
            _region(lambda i, j: j > i, False),
            (
                "Mira la casilla que dice el mensaje: la fila es quien mira y la columna, a quién.",
                "Una posición solo mira hacia atrás: True si columna <= fila.",
                "El triángulo que se queda es el de abajo, tril, y no el de arriba, triu.",
            ),
        ),
        Rule(
            "Cada posición ve todo lo anterior",
            _region(lambda i, j: j < i, True),
            (
                "Mira la casilla que dice el mensaje: está a la izquierda de la diagonal.",
                "Todas las columnas a la izquierda de la diagonal son True, no solo la anterior.",
            ),
        ),
        Rule(
            "Vale para cualquier tamaño",
            agrees(_triangle, (1,), (2,), (7,), tensor=True),
            ("Prueba tu función con otros tamaños, grandes y pequeños.", "Usa t en lugar de un tamaño fijo."),
        ),
    ),
    "1.2": (
        Rule(
            "Cada fila suma 1",
            _rows_add_up,
            (
                "Suma cada fila de lo que devuelves con .sum(-1): es la atención que reparte una posición.",
                "Los productos son (…, T, T): la última dimensión son las claves, y es entre ellas donde se reparte.",
                "Multiplica q por la traspuesta de k y aplica softmax por filas, dim=-1.",
            ),
        ),
        Rule(
            "Sin nada tapado, son softmax(q · kᵀ / √D)",
            agrees(_truth, _case(1, 4, 8)),
            (
                "Compara tu fórmula con la del enunciado, factor por factor.",
                "Los productos se dividen antes del softmax, y D es la última dimensión de q, la de los vectores.",
                "Divide los productos de q por k.transpose(-2, -1) entre la raíz cuadrada de D, que es q.size(-1).",
            ),
        ),
        Rule(
            "Con máscara causal, lo tapado pesa 0 y las filas siguen sumando 1",
            every(
                agrees(_truth, _case(1, 4, 8, mask=_triangle(4))),
                hinted(
                    agrees(_truth, _case(1, 4, 8, mask=HOLES)),
                    "Esta máscara no es un triángulo. Mira si usas la que recibes.",
                    "mask dice, casilla por casilla, dónde se puede mirar: no la des por sabida ni la cambies de "
                    "forma.",
                ),
            ),
            (
                "Mira los pesos de las casillas en las que mask es False, y cuánto suma cada fila.",
                "Lo tapado no entra en el reparto. Si tapas después del softmax, las filas dejan de sumar 1. "
                "Con 0 en lugar de -inf, e⁰ = 1 seguiría contando.",
                "Tapa antes del softmax, con products.masked_fill(~mask, float('-inf')).",
            ),
        ),
        Rule(
            "Funciona con lote y cabezas, (B, H, T, D)",
            agrees(_truth, _case(2, 3, 5, 4, mask=_triangle(5))),
            (
                "Prueba tu función con cuatro dimensiones: delante van el lote y las cabezas.",
                "Solo se intercambian las dos últimas dimensiones de k, y D es la última de q.",
                "Traspón con k.transpose(-2, -1), y toma D con q.size(-1).",
            ),
            symptoms=(RuntimeError, IndexError, ValueError),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("q", "k", "mask", case=_case(1, 4, 8, mask=_triangle(4))),
            (
                "Imprime q, k y mask antes y después de llamar a tu función.",
                "Las operaciones como /= y las que acaban en guion bajo cambian el tensor que reciben.",
                "Usa operaciones que crean tensores nuevos: q / x en vez de q /= x, y masked_fill sin guion bajo "
                "final.",
            ),
        ),
    ),
    "1.3": (
        Rule(
            "En un decodificador se mueven la posición cambiada y las siguientes",
            _moves(toy_model, (2, 20, [2, 3, 4, 5]), (3, 0, [3, 4, 5]), (0, 20, [0, 1, 2, 3, 4, 5])),
            _MOVES_HINTS,
        ),
        Rule("Si cambia el último token, solo se mueve el último", _moves(toy_model, (5, 20, [5])), _MOVES_HINTS),
        Rule(
            "En un codificador se mueven todas",
            _moves(toy_encoder, (2, 20, [0, 1, 2, 3, 4, 5])),
            (
                "No des por hecho cuáles se mueven: compáralo.",
                "Usa algo que tengan las dos familias de modelos, y no el nombre de una parte de una de ellas.",
                "Los vectores de la última capa de cualquiera: model(ids, "
                "output_hidden_states=True).hidden_states[-1].",
            ),
            symptoms=(AttributeError,),
        ),
        Rule(
            "Si el token nuevo es el que ya estaba, no se mueve ninguna",
            every(_moves(toy_encoder, (2, 11, [])), _moves(toy_model, (2, 11, []))),
            (
                "Aquí no cambia nada. Mira qué devuelve tu función.",
                "Compara los vectores de antes y de después: sin cambio, la lista queda vacía.",
            ),
        ),
    ),
    "1.4": (
        Rule(
            "Encuentra el favorito para el hueco",
            _fills((2, 1, 2)),
            (
                "Mira de qué posición lees los logits.",
                "En un codificador, la respuesta sale donde está la pregunta: en la posición del hueco. Se piden ids, "
                "no logits ni probabilidades.",
                "Busca el hueco con (ids[0] == mask_token_id).nonzero().item() y devuelve ids, topk(k).indices, de los "
                "logits de esa misma posición.",
            ),
        ),
        Rule(
            "Devuelve los k mejores, del mejor al peor",
            _fills((2, 5, 2)),
            (
                "Mira cuántos ids devuelves y en qué orden.",
                "Son k, y el primero es el de mayor logit.",
                "logits[0, posición].topk(k).indices los da ya ordenados de mayor a menor.",
            ),
        ),
        Rule(
            "El hueco puede estar en cualquier posición",
            every(
                _fills((4, 3, 2), (0, 5, 2), (5, 5, 2)),
                hinted(
                    _fills((3, 3, 13)),
                    "Ahora el hueco se marca con otro id. Mira con cuál lo buscas.",
                    "El id del hueco es el argumento mask_token_id: no lo tomes del cuaderno.",
                ),
            ),
            (
                "Prueba tu función con el hueco en otro sitio.",
                "No escribas la posición a mano: búscala en los ids.",
            ),
        ),
    ),
}
