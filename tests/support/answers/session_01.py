"""Respuestas de la sesión 01: máscara causal, pesos de atención, quién ve el futuro y huecos."""

import math

import numpy as np
import torch

from answers import published
from course_utils.attention import causal_mask

mask_ok, weights_ok, moved_ok, fill_ok = published("01").values()
INF = float("inf")


def last_layer(model, ids):
    return model(ids, output_hidden_states=True).hidden_states[-1][0]


# ---------------------------------------------------------------- piezas
def by_comparison(t):
    places = torch.arange(t)
    return places[None] <= places[:, None]


def moved_by_logits(model, ids, position, new_id):
    changed = torch.cat([ids[:, :position], torch.tensor([[new_id]]), ids[:, position + 1 :]], 1)
    out = [model(input_ids=x).logits for x in (ids, changed)]
    return [t for t in range(ids.size(1)) if not torch.allclose(out[0][0, t], out[1][0, t], atol=1e-5)]


def strided(t):
    return torch.eye(t).bool() | torch.eye(t).roll(-1, 1).tril().bool()


def scaled_in_place(q, k, mask):
    q /= math.sqrt(q.size(-1))
    return (q @ k.transpose(-2, -1)).masked_fill(~mask, -INF).softmax(-1)


def no_return(q, k, mask):
    weights_ok(q, k, mask)


def moved_in_place(model, ids, position, new_id):
    before = last_layer(model, ids)
    ids[0, position] = new_id
    return ((last_layer(model, ids) - before).abs().amax(-1) > 1e-4).nonzero().flatten().tolist()


def moved_alias(model, ids, position, new_id):
    changed, before = ids, last_layer(model, ids)
    changed[0, position] = new_id
    return ((last_layer(model, changed) - before).abs().amax(-1) > 1e-4).nonzero().flatten().tolist()


def moved_ids(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    return (ids != changed)[0].nonzero().flatten().tolist()


def moved_tensor(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    return (last_layer(model, changed) - last_layer(model, ids)).abs().amax(-1) > 1e-4


def moved_wrong_axis(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    distance = (last_layer(model, changed) - last_layer(model, ids)).abs().amax(0)
    return (distance > 1e-4).nonzero().flatten().tolist()


def moved_only_gpt(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    states = [model.transformer(x).last_hidden_state[0] for x in (ids, changed)]
    return ((states[1] - states[0]).abs().amax(-1) > 1e-4).nonzero().flatten().tolist()


def like_a_decoder(model, ids, mask_token_id, k):
    position = (ids[0] == mask_token_id).nonzero().item() - 1
    return model(ids).logits[0, position].topk(k).indices


SOLUTIONS = {"1.1": mask_ok, "1.2": weights_ok, "1.3": moved_ok, "1.4": fill_ok}


class Square:
    """Un objeto que se llama, en lugar de una función."""

    def __call__(self, t):
        return torch.arange(t) <= torch.arange(t)[:, None]


def mask_by_loop(t):
    mask = torch.zeros(t, t, dtype=torch.bool)
    for i in range(t):
        mask[i, : i + 1] = True
    return mask


def mask_two_sizes(t):
    return mask_ok(t) if t > 1 else torch.zeros(1, 1).bool()


def mask_window(t):
    return mask_ok(t) & ~mask_ok(t).tril(-5)


def weights_by_loop(q, k, mask):
    out = torch.zeros(*q.shape[:-1], q.size(-2), dtype=torch.float64)
    for i in range(q.size(-2)):
        for j in range(q.size(-2)):
            out[..., i, j] = (q[..., i, :] * k[..., j, :]).sum(-1).double() / q.size(-1) ** 0.5
    out = out.exp() * mask
    return (out / out.sum(-1, keepdim=True)).tolist()


def weights_scipy(q, k, mask):
    products = np.einsum("...id,...jd->...ij", q.numpy(), k.numpy()) / np.sqrt(q.shape[-1])
    products = np.where(mask.numpy(), products, -np.inf)
    grown = np.exp(products - products.max(-1, keepdims=True))
    return grown / grown.sum(-1, keepdims=True)


def weights_own_mask(q, k, mask):
    return weights_ok(q, k, torch.ones_like(mask).tril() & mask.any() if not mask.all() else mask)


def weights_first_row_mask(q, k, mask):
    return weights_ok(q, k, mask if mask.all() else mask[-1:] & mask_ok(len(mask)))


def weights_transposed_mask(q, k, mask):
    return weights_ok(q, k, mask.T)


def weights_three_dimensions(q, k, mask):
    return weights_ok(q, k.permute(0, 2, 1).mT, mask)


def weights_mask_in_place(q, k, mask):
    out = weights_ok(q, k, mask.clone())
    mask.logical_not_()
    return out


def weights_typo(q, k, mask):
    scores = q @ k.transpose(-2, -1)  # noqa: F841
    return (score / math.sqrt(q.size(-1))).softmax(-1)  # noqa: F821


def moved_in_one_batch(model, ids, position, new_id):
    both = ids.repeat(2, 1)
    both[1, position] = new_id
    states = model.forward(both, output_hidden_states=True)["hidden_states"][-1]
    return tuple(t for t in range(ids.size(1)) if (states[0, t] - states[1, t]).norm() > 1e-4)


def moved_with_numpy(model, ids, position, new_id):
    changed = ids.clone()
    changed[0][position] = new_id
    first, second = (model(x, output_hidden_states=True).hidden_states[-1].numpy() for x in (ids, changed))
    return list(np.where(np.abs(first - second).max(-1)[0] > 1e-4)[0])


def moved_restoring(model, ids, position, new_id):
    """Cambia los ids que recibe y los deja como estaban."""
    before, old = last_layer(model, ids), ids[0, position].item()
    ids[0, position] = new_id
    after = last_layer(model, ids)
    ids[0, position] = old
    return [i for i, d in enumerate((after - before).abs().amax(-1)) if d > 1e-4]


def moved_embeddings(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    states = [model(x, output_hidden_states=True).hidden_states[0][0] for x in (ids, changed)]
    return ((states[1] - states[0]).abs().amax(-1) > 1e-4).nonzero().flatten().tolist()


def moved_by_family(model, ids, position, new_id):
    if ids[0, position] == new_id:
        return []
    return list(range(position if model.config.model_type == "gpt2" else 0, ids.size(1)))


def moved_falsy(model, ids, position, new_id):
    return moved_ok(model, ids, position or 1, new_id)


def moved_falsy_id(model, ids, position, new_id):
    return moved_ok(model, ids, position, new_id) if new_id else []


def moved_never_the_last(model, ids, position, new_id):
    return moved_ok(model, ids, position, new_id) if position < ids.size(1) - 1 else []


def moved_always_itself(model, ids, position, new_id):
    return sorted({position, *moved_ok(model, ids, position, new_id)})


def moved_bools(model, ids, position, new_id):
    moved = moved_ok(model, ids, position, new_id)
    return [i in moved for i in range(ids.size(1))]


def moved_from_one(model, ids, position, new_id):
    return [i + 1 for i in moved_ok(model, ids, position, new_id)]


def moved_count(model, ids, position, new_id):
    return len(moved_ok(model, ids, position, new_id))


def fill_with_python(model, ids, mask_token_id, k):
    row = model(ids).logits[0, ids[0].tolist().index(mask_token_id)].tolist()
    return sorted(range(len(row)), key=row.__getitem__, reverse=True)[:k]


def fill_breaking_things(model, ids, mask_token_id, k):
    """Contesta bien, y de paso estropea lo que encuentra."""
    best = fill_ok(model, ids, mask_token_id, k)
    for weights in model.parameters():
        weights.zero_()
    model.train()
    ids.zero_()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    return best


def fill_fixed_mask(model, ids, mask_token_id, k):
    return fill_ok(model, ids, 2, k)


def fill_backwards(model, ids, mask_token_id, k):
    return fill_ok(model, ids, mask_token_id, k).sort().values


def fill_words(model, ids, mask_token_id, k):
    return [str(i) for i in fill_ok(model, ids, mask_token_id, k).tolist()]


def fill_falsy(model, ids, mask_token_id, k):
    position = ids[0].tolist().index(mask_token_id) or 1
    return model(ids).logits[0, position].topk(k).indices


def fill_last_fixed(model, ids, mask_token_id, k):
    position = min(ids[0].tolist().index(mask_token_id), 4)
    return model(ids).logits[0, position].topk(k).indices


UNUSUAL = [
    ("1.1", by_comparison),
    ("1.1", lambda t: ~torch.ones(t, t).triu(1).bool()),
    ("1.1", mask_by_loop),
    ("1.1", Square()),
    ("1.1", lambda t: torch.tensor([[j <= i for j in range(t)] for i in range(t)])),
    ("1.2", lambda q, k, m: torch.softmax((q / q.size(-1) ** 0.5) @ k.mT + torch.where(m, 0.0, -INF), -1)),
    ("1.2", lambda q, k, m: torch.softmax(q @ k.mT / q.shape[-1] ** 0.5 - 1e9 * (~m), dim=-1)),
    ("1.2", lambda q, k, m: weights_ok(q.double(), k.double(), m)),
    ("1.2", lambda q, k, m: weights_ok(q, k, m).bfloat16()),
    ("1.2", lambda q, k, m: weights_ok(q.requires_grad_(), k, m)),
    ("1.2", weights_by_loop),
    ("1.2", weights_scipy),
    ("1.3", moved_by_logits),
    ("1.3", moved_in_one_batch),
    ("1.3", moved_with_numpy),
    ("1.3", moved_restoring),
    ("1.4", lambda model, ids, m, k: model(input_ids=ids).logits[ids == m].topk(k).indices[0].tolist()),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, ids[0].tolist().index(m)].argsort(descending=True)[:k]),
    ("1.4", fill_with_python),
    ("1.4", fill_breaking_things),
    (
        "1.4",
        lambda model, ids, m, k: fill_ok(model.to(model.device), ids.to(model.device), m, k).numpy().astype("int32"),
    ),
]

MISTAKES = [
    ("1.1", lambda t: torch.ones(t, t).tril(), 1, "torch.float32"),
    ("1.1", lambda t: torch.ones(t, t).bool().triu(), 3, "y no el de arriba, triu"),
    ("1.1", lambda t: torch.ones(t, t).bool().tril(-1), 2, "a sí mismo"),
    ("1.1", lambda t: torch.ones(t, t).bool(), 3, "columna <= fila"),
    ("1.1", lambda t: torch.eye(t).bool(), 4, "no solo la anterior"),
    ("1.1", strided, 4, "no solo la anterior"),
    ("1.1", lambda t: torch.ones(4, 4).bool().tril(), 5, "en lugar de un tamaño fijo"),
    ("1.1", lambda t: torch.zeros(t, t).masked_fill(~mask_ok(t), -INF), 1, "booleano"),
    ("1.1", lambda t: mask_ok(t).tolist(), 1, "de tipo list"),
    ("1.1", lambda t: mask_ok(t)[None], 1, "(1, 4, 4)"),
    ("1.2", lambda q, k, m: (q @ k.transpose(-2, -1)).masked_fill(~m, -INF).softmax(-1), 2, "raíz cuadrada de D"),
    ("1.2", lambda q, k, m: (q @ k.mT / q.size(-1)).masked_fill(~m, -INF).softmax(-1), 2, "raíz cuadrada de D"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(q.size(-2))).masked_fill(~m, -INF).softmax(-1), 2, "q.size(-1)"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).masked_fill(~m, -INF).softmax(-2), 1, "dim=-1"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).softmax(-1), 3, "Tapa antes del softmax"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).softmax(-1) * m, 3, "Tapa antes del softmax"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).masked_fill(~m, 0).softmax(-1), 3, "Con 0 en lugar de -inf"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).masked_fill(m, -INF).softmax(-1), 1, "~mask"),
    (
        "1.2",
        lambda q, k, m: (q @ k.flatten(0, -2).T / math.sqrt(8)).masked_fill(~m, -INF).softmax(-1),
        4,
        "k.transpose(-2, -1)",
        "raises",
    ),
    ("1.2", lambda q, k, m: q @ k.mT / math.sqrt(8), 1, "softmax por filas"),
    ("1.2", no_return, 1, "¿falta el return?"),
    ("1.2", scaled_in_place, 5, "q / x en vez de q /= x"),
    ("1.3", moved_in_place, 1, "ids.clone()"),
    ("1.3", moved_alias, 1, "los ids de entrada cambiados"),
    ("1.3", moved_ids, 1, "[2] al poner 20 en la posición 2; se esperaba [2, 3, 4, 5]"),
    ("1.3", moved_tensor, 1, ".tolist()"),
    ("1.3", moved_wrong_axis, 1, "amax(-1)"),
    ("1.3", moved_only_gpt, 3, "las dos familias", "raises"),
    ("1.3", lambda model, ids, p, new: list(range(p, ids.size(1))), 1, "No des por hecho"),
    ("1.3", lambda model, ids, p, new: list(range(ids.size(1))), 1, "se esperaba [2, 3, 4, 5]"),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, -1].topk(k).indices, 1, "de esa misma posición"),
    ("1.4", like_a_decoder, 1, "la respuesta sale donde está la pregunta"),
    ("1.4", lambda model, ids, m, k: fill_ok(model, ids, m, 1), 2, "de mayor a menor"),
    ("1.4", lambda model, ids, m, k: fill_ok(model, ids, m, k).flip(0), 2, "de mayor a menor"),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, 2].topk(k).indices, 3, "No escribas la posición a mano"),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, 2].topk(k).values, 1, "que no son ids"),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, 2].argsort()[:k], 1, "topk(k).indices"),
    ("1.4", lambda model, ids, m, k: model(ids).logits.topk(k).indices, 1, "de forma (1, 6, 1)"),
    # nuevas
    ("1.1", lambda t: causal_mask(t), 1, "sin causal_mask"),
    ("1.1", lambda t: torch.ones(t, t, dtype=torch.int64).tril(), 1, "torch.int64"),
    ("1.1", lambda t: mask_ok(t).numpy(), 1, "de tipo ndarray"),
    ("1.1", lambda t: mask_ok(t + 1), 1, "de forma (5, 5)"),
    ("1.1", lambda t: torch.zeros(t, t, dtype=torch.bool), 2, "a sí mismo"),
    ("1.1", mask_two_sizes, 5, "con (1)"),
    ("1.1", mask_window, 5, "en la casilla (5, 0)"),
    ("1.1", lambda: mask_ok(4), 1, "Una función admite 0 argumentos y recibe 1", "raises"),
    ("1.2", weights_own_mask, 3, "no es un triángulo"),
    ("1.2", weights_first_row_mask, 3, "no es un triángulo"),
    ("1.2", weights_transposed_mask, 3, "Mira los pesos"),
    ("1.2", weights_three_dimensions, 4, "con cuatro dimensiones", "raises"),
    ("1.2", weights_mask_in_place, 5, "mask cambiado"),
    ("1.2", weights_typo, 1, "El nombre «score» no existe", "raises"),
    (
        "1.2",
        lambda q, k, m: (k @ q.mT / math.sqrt(q.size(-1))).masked_fill(~m, -INF).softmax(-1),
        2,
        "factor por factor",
    ),
    ("1.2", lambda q, k, m: q @ k / math.sqrt(8), 1, "¿Falta una traspuesta?", "raises"),
    ("1.2", lambda q, k, m: weights_ok(q, k, m)[0], 1, "de forma (4, 4)"),
    ("1.2", lambda q, k, m: weights_ok(q, k, m.float()), 1, "~ solo niega máscaras booleanas", "raises"),
    ("1.3", moved_embeddings, 1, "[2] al poner 20 en la posición 2; se esperaba [2, 3, 4, 5]"),
    ("1.3", moved_by_family, 1, "sin haber llamado al modelo"),
    ("1.3", moved_falsy, 1, "en la posición 0"),
    ("1.3", moved_falsy_id, 1, "al poner 0 en la posición 3"),
    ("1.3", moved_never_the_last, 2, "[] al poner"),
    ("1.3", moved_always_itself, 4, "la lista queda vacía"),
    ("1.3", moved_bools, 1, "se esperaba la lista"),
    ("1.3", moved_from_one, 1, "[3, 4, 5, 6]"),
    ("1.3", moved_count, 1, "de tipo int"),
    ("1.3", lambda model, ids, p, new: model.logits, 1, "no tiene «logits»", "raises"),
    ("1.4", fill_fixed_mask, 3, "Ahí hace falta un solo número", "raises"),
    ("1.4", fill_backwards, 2, "en qué orden"),
    ("1.4", fill_words, 1, "de tipo list"),
    ("1.4", fill_falsy, 3, "búscala en los ids"),
    ("1.4", fill_last_fixed, 3, "búscala en los ids"),
    ("1.4", lambda model, ids, m, k: fill_ok(model, ids, m, k).float(), 1, "que no son ids"),
    ("1.4", lambda model, ids, m, k: fill_ok(model, ids, m, k)[None], 1, "de forma (1, 1)"),
]
