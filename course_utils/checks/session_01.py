"""Reglas de los ejercicios de la sesión 01: máscara causal, pesos de atención, quién ve el futuro y huecos."""

from __future__ import annotations

import functools

import torch

from .rules import Rule, expect, show, toy_model

MASK_ID = 2
IDS = torch.tensor([[7, 3, 11, 5, 19, 8]])  # (1, T)


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
def _square_and_boolean(answer) -> str | None:
    mask = answer(4)
    if not isinstance(mask, torch.Tensor):
        return f"{show(mask)}, de tipo {type(mask).__name__}; se esperaba un tensor"
    if mask.shape != (4, 4) or mask.dtype != torch.bool:
        return f"un tensor de forma {tuple(mask.shape)} y tipo {mask.dtype}; se esperaba (4, 4) y torch.bool"
    return None


def _region(inside, value: bool, size: int = 4):
    """Prueba que en las casillas (fila, columna) que cumplen ``inside`` la máscara vale ``value``."""

    def test(answer) -> str | None:
        mask = answer(size).tolist()
        wrong = [(i, j) for i in range(size) for j in range(size) if inside(i, j) and mask[i][j] is not value]
        return (
            f"{not value} en la fila {wrong[0][0]}, columna {wrong[0][1]}, de tu máscara de {size}" if wrong else None
        )

    return test


def _any_size(answer) -> str | None:
    return next((r for t in (1, 7) if (r := expect(answer(t), torch.ones(t, t).tril().bool()))), None)


# ---------------------------------------------------------------- ejercicio 1.2: pesos de atención
def _truth(q, k, mask=None) -> torch.Tensor:
    """Los pesos, sin pasar por ``course_utils``: la atención de PyTorch con la identidad como valores."""
    identity = torch.eye(k.size(-2)).expand(*k.shape[:-1], k.size(-2))
    return torch.nn.functional.scaled_dot_product_attention(q, k, identity, attn_mask=mask)


def _weights(shape: tuple[int, ...], causal: bool):
    q, k = _random(*shape), _random(*shape[:-1], shape[-1]).flip(-2) + 0.3
    mask = torch.ones(shape[-2], shape[-2]).tril().bool() if causal else torch.ones(shape[-2], shape[-2]).bool()
    return lambda answer: expect(answer(q.clone(), k.clone(), mask.clone()), _truth(q, k, mask))


def _rows_add_up(answer) -> str | None:
    q, k = _random(1, 4, 8), _random(1, 4, 8) + 0.5
    weights = answer(q, k, torch.ones(4, 4).bool())
    if not isinstance(weights, torch.Tensor) or weights.shape != (1, 4, 4):
        return expect(weights, torch.zeros(1, 4, 4))
    sums = weights.sum(-1)
    return None if torch.allclose(sums, torch.ones(1, 4), atol=1e-5) else f"filas que suman {show(sums)}"


def _keeps_q_and_k(answer) -> str | None:
    q, k, mask = _random(1, 4, 8), _random(1, 4, 8), torch.ones(4, 4).tril().bool()
    before = [x.clone() for x in (q, k, mask)]
    answer(q, k, mask)
    names = [n for n, a, b in zip(("q", "k", "mask"), before, (q, k, mask), strict=True) if not torch.equal(a, b)]
    return f"{' y '.join(names)} con otros valores después de llamar a tu función" if names else None


# ---------------------------------------------------------------- ejercicio 1.3: qué se mueve
def _moves(model, position: int, new_id: int, expected: list[int]):
    def test(answer) -> str | None:
        ids = IDS.clone()
        received = answer(model(), ids, position, new_id)
        if not torch.equal(ids, IDS):
            return f"los ids de entrada cambiados: {show(ids)}"
        if not isinstance(received, list):
            return f"{show(received)}, de tipo {type(received).__name__}; se esperaba la lista {expected}"
        return None if received == expected else f"{received}; se esperaba {expected}"

    return test


# ---------------------------------------------------------------- ejercicio 1.4: rellenar un hueco
def _fills(position: int, k: int):
    def test(answer) -> str | None:
        ids = IDS.clone()
        ids[0, position] = MASK_ID
        with torch.no_grad():
            truth = toy_encoder()(ids).logits[0, position].topk(k).indices
            received = answer(toy_encoder(), ids.clone(), MASK_ID, k)
        if isinstance(received, list) and received and all(isinstance(i, int) for i in received):
            received = torch.tensor(received)
        if isinstance(received, torch.Tensor) and received.is_floating_point():
            return f"{show(received)}, que no son ids; se esperaba {show(truth)}"
        return expect(received, truth)

    return test


_MOVES_HINT = (
    "Llama al modelo dos veces, con los ids y con una copia cambiada, y compara posición por posición los vectores "
    "de la última capa: (después - antes).abs().amax(-1) > 1e-4 dice cuáles se mueven."
)

EXERCISES: dict[str, tuple[Rule, ...]] = {
    "1.1": (
        Rule(
            "Devuelve un tensor booleano (t, t)",
            _square_and_boolean,
            "Parte de torch.ones(t, t, dtype=torch.bool), o convierte con .bool(), y devuelve el resultado.",
        ),
        Rule(
            "Cada posición se ve a sí misma",
            _region(lambda i, j: i == j, True),
            "La diagonal también es True: un token puede atenderse a sí mismo.",
        ),
        Rule(
            "Ninguna posición ve lo que viene después",
            _region(lambda i, j: j > i, False),
            "La fila es quien mira y la columna, a quién: True solo si columna <= fila. Eso es el triángulo de abajo, "
            "tril, y no el de arriba, triu.",
        ),
        Rule(
            "Cada posición ve todo lo anterior",
            _region(lambda i, j: j < i, True),
            "Todas las columnas a la izquierda de la diagonal son True, no solo la anterior.",
        ),
        Rule("Vale para cualquier tamaño", _any_size, "Usa t en lugar de un tamaño fijo."),
    ),
    "1.2": (
        Rule(
            "Cada fila suma 1",
            _rows_add_up,
            "Multiplica q por la traspuesta de k, (…, T, T), y aplica softmax por filas, dim=-1: cada posición reparte "
            "su atención. Si tapas después del softmax, las filas dejan de sumar 1.",
        ),
        Rule(
            "Sin nada tapado, son softmax(q · kᵀ / √D)",
            _weights((1, 4, 8), False),
            "Divide los productos entre la raíz cuadrada de D, que es q.size(-1), antes del softmax. Y recuerda que "
            "mask es True donde sí se puede atender: solo se tapa lo contrario, ~mask.",
        ),
        Rule(
            "Con máscara causal, lo tapado pesa 0 y las filas siguen sumando 1",
            _weights((1, 4, 8), True),
            "Tapa antes del softmax, con scores.masked_fill(~mask, float('-inf')): así no entra en el reparto. "
            "Con 0 en lugar de -inf, e⁰ = 1 seguiría contando.",
        ),
        Rule(
            "Funciona con lote y cabezas, (B, H, T, D)",
            _weights((2, 3, 5, 8), True),
            "Traspón solo las dos últimas dimensiones, k.transpose(-2, -1), y toma D de la última, q.size(-1).",
        ),
        Rule(
            "No modifica lo que recibe",
            _keeps_q_and_k,
            "Usa operaciones que crean tensores nuevos: q / x en vez de q /= x, y masked_fill sin guion bajo final.",
        ),
    ),
    "1.3": (
        Rule(
            "En un decodificador se mueven la posición cambiada y las siguientes",
            _moves(toy_model, 2, 20, [2, 3, 4, 5]),
            _MOVES_HINT + " Devuelve una lista de posiciones, con .tolist() si es un tensor, y no cambies los ids que "
            "recibes: trabaja sobre ids.clone().",
        ),
        Rule(
            "Si cambia el último token, solo se mueve el último",
            _moves(toy_model, 5, 20, [5]),
            _MOVES_HINT,
        ),
        Rule(
            "En un codificador se mueven todas",
            _moves(toy_encoder, 2, 20, [0, 1, 2, 3, 4, 5]),
            "No des por hecho cuáles se mueven: compáralo. Y usa algo que tengan las dos familias, como "
            "model(ids, output_hidden_states=True).hidden_states[-1].",
        ),
        Rule(
            "Si el token nuevo es el que ya estaba, no se mueve ninguna",
            _moves(toy_encoder, 2, 11, []),
            "Compara los vectores de antes y de después: sin cambio, la lista queda vacía.",
        ),
    ),
    "1.4": (
        Rule(
            "Encuentra el favorito para el hueco",
            _fills(2, 1),
            "Busca dónde está el hueco, (ids[0] == mask_token_id).nonzero().item(), y mira los logits de esa misma "
            "posición: en un codificador, la respuesta sale donde está la pregunta. Devuelve ids, topk(k).indices.",
        ),
        Rule(
            "Devuelve los k mejores, del mejor al peor",
            _fills(2, 5),
            "logits[0, posición].topk(k).indices los da ya ordenados de mayor a menor.",
        ),
        Rule(
            "El hueco puede estar en cualquier posición",
            _fills(4, 3),
            "No escribas la posición a mano: búscala en los ids.",
        ),
    ),
}
