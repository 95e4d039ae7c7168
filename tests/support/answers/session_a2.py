"""Respuestas de la sesión A2: la atención de producto, con relleno, y la aditiva, de Bahdanau."""

import numpy as np
import torch

from answers import published

attend_ok, additive_ok = published("A2").values()


def softmax(scores):
    grown = np.exp(scores - scores.max())
    return grown / grown.sum()


# ---------------------------------------------------------------- A2.1
def attend_with_torch(query, keys, values, real):
    q, k, v = (torch.tensor(part)[None] for part in (query[None], keys, values))
    mask = torch.tensor(real)[None, None]
    context = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)[0, 0]
    return context, torch.tensor(keys @ query).masked_fill(~torch.tensor(real), -torch.inf).softmax(-1)


def attend_only_the_real(query, keys, values, real):
    weights = np.zeros(len(keys))
    weights[real] = softmax(keys[real] @ query)
    return weights[real] @ values[real], weights


def attend_by_loop(query, keys, values, real):
    scores = [sum(a * b for a, b in zip(query, key, strict=True)) for key in keys]
    top = max(score for score, ok in zip(scores, real, strict=True) if ok)
    grown = [float(np.exp(score - top)) if ok else 0.0 for score, ok in zip(scores, real, strict=True)]
    weights = [value / sum(grown) for value in grown]
    return sum(weight * value for weight, value in zip(weights, values, strict=True)), weights


def attend_adding(query, keys, values, real):
    weights = softmax(np.einsum("sd,d->s", keys, query) + np.where(real, 0.0, -1e30))
    return [np.einsum("s,se->e", weights, values), weights]


def attend_only_context(query, keys, values, real):
    return attend_ok(query, keys, values, real)[0]


def attend_only_weights(query, keys, values, real):
    return attend_ok(query, keys, values, real)[1]


def attend_nothing(query, keys, values, real):
    attend_ok(query, keys, values, real)


def attend_three(query, keys, values, real):
    context, weights = attend_ok(query, keys, values, real)
    return context, weights, keys @ query


def attend_swapped(query, keys, values, real):
    context, weights = attend_ok(query, keys, values, real)
    return weights, context


def attend_raw(query, keys, values, real):
    scores = keys @ query * real
    return scores @ values, scores


def attend_normalised(query, keys, values, real):
    scores = keys @ query * real
    weights = scores / scores.sum()
    return weights @ values, weights


def attend_scaled(query, keys, values, real):
    return attend_ok(query / len(query) ** 0.5, keys, values, real)


def attend_cosine(query, keys, values, real):
    return attend_ok(query, keys / np.linalg.norm(keys, axis=1, keepdims=True), values, real)


def attend_sigmoid(query, keys, values, real):
    weights = real / (1 + np.exp(-(keys @ query)))
    return weights @ values, weights


def attend_hardest(query, keys, values, real):
    weights = np.zeros(len(keys))
    weights[np.where(real, keys @ query, -np.inf).argmax()] = 1.0
    return weights @ values, weights


def attend_unmasked(query, keys, values, real):
    return attend_ok(query, keys, values, np.ones_like(real))


def attend_inverted(query, keys, values, real):
    return attend_ok(query, keys, values, real if real.all() else ~real)


def attend_masked_late(query, keys, values, real):
    weights = softmax(keys @ query) * real
    return weights @ values, weights


def attend_zero_scores(query, keys, values, real):
    weights = softmax(np.where(real, keys @ query, 0.0))
    return weights @ values, weights


def attend_multiplied_by_infinity(query, keys, values, real):
    weights = softmax(keys @ query * np.where(real, 1.0, -np.inf))
    return weights @ values, weights


def attend_small_number(query, keys, values, real):
    weights = softmax(np.where(real, keys @ query, -10.0))
    return weights @ values, weights


def attend_transposed(query, keys, values, real):
    weights = softmax(np.where(real, query @ keys, -np.inf))
    return weights @ values, weights


def attend_cut(query, keys, values, real):
    return attend_ok(query, keys[: real.sum()], values[: real.sum()], real[: real.sum()])


def attend_mixes_keys(query, keys, values, real):
    weights = attend_ok(query, keys, values, real)[1]
    return weights @ keys, weights


def attend_mean(query, keys, values, real):
    return values[real].mean(0), attend_ok(query, keys, values, real)[1]


def attend_best_value(query, keys, values, real):
    weights = attend_ok(query, keys, values, real)[1]
    return values[weights.argmax()], weights


def attend_overflows(query, keys, values, real):
    scores = np.exp(np.where(real, keys @ query, -np.inf))
    weights = scores / scores.sum()
    return weights @ values, weights


def attend_in_place(query, keys, values, real):
    found = attend_ok(query, keys, values, real)
    keys[~real] = 0
    return found


# ---------------------------------------------------------------- A2.2
def additive_by_loop(s, states, W, U, v):
    scores = np.array([v @ np.tanh(W @ s + U @ h) for h in states])
    weights = softmax(scores)
    return sum(w * h for w, h in zip(weights, states, strict=True)), weights


def additive_with_torch(s, states, W, U, v):
    s, states, W, U, v = (torch.tensor(part) for part in (s, states, W, U, v))
    weights = (torch.tanh(s @ W.T + states @ U.T) @ v).softmax(0)
    return weights @ states, weights


def additive_glued(s, states, W, U, v):
    both = np.concatenate([np.tile(s, (len(states), 1)), states], axis=1)
    weights = softmax(np.tanh(both @ np.concatenate([W, U], axis=1).T) @ v)
    return (weights[:, None] * states).sum(0), weights


def additive_in_float32(s, states, W, U, v):
    return additive_ok(*(part.astype(np.float32) for part in (s, states, W, U, v)))


def additive_only_context(s, states, W, U, v):
    return additive_ok(s, states, W, U, v)[0]


def additive_nothing(s, states, W, U, v):
    additive_ok(s, states, W, U, v)


def additive_stacked(s, states, W, U, v):
    context, weights = additive_ok(s, states, W, U, v)
    return np.concatenate([context, weights])


def additive_swapped(s, states, W, U, v):
    context, weights = additive_ok(s, states, W, U, v)
    return weights, context


def additive_without_tanh(s, states, W, U, v):
    weights = softmax((W @ s + states @ U.T) @ v)
    return weights @ states, weights


def additive_tanh_last(s, states, W, U, v):
    weights = softmax(np.tanh((W @ s + states @ U.T) @ v))
    return weights @ states, weights


def additive_two_tanh(s, states, W, U, v):
    weights = softmax((np.tanh(W @ s) + np.tanh(states @ U.T)) @ v)
    return weights @ states, weights


def additive_relu(s, states, W, U, v):
    weights = softmax(np.maximum(W @ s + states @ U.T, 0) @ v)
    return weights @ states, weights


def additive_ignores_s(s, states, W, U, v):
    return additive_ok(0 * s, states, W, U, v)


def additive_crossed(s, states, W, U, v):
    return additive_ok(s, states, U, W, v)


def additive_minus(s, states, W, U, v):
    return additive_ok(-s, states, W, U, v)


def additive_without_softmax(s, states, W, U, v):
    scores = np.tanh(W @ s + states @ U.T) @ v
    return scores @ states, scores


def additive_product(s, states, W, U, v):
    weights = softmax((states @ U.T) @ (W @ s))
    return weights @ states, weights


def additive_states_across(s, states, W, U, v):
    weights = softmax(np.tanh(W @ s + U @ states.T) @ v)
    return weights @ states, weights


def additive_adds_s(s, states, W, U, v):
    context, weights = additive_ok(s, states, W, U, v)
    return context + s, weights


def additive_mixes_keys(s, states, W, U, v):
    weights = additive_ok(s, states, W, U, v)[1]
    return weights @ (states @ U.T), weights


def additive_mean(s, states, W, U, v):
    return states.mean(0), additive_ok(s, states, W, U, v)[1]


def additive_last(s, states, W, U, v):
    return states[-1], additive_ok(s, states, W, U, v)[1]


def additive_untransposed_when_square(s, states, W, U, v):
    return additive_ok(s, states, W, U.T if len(U) == U.shape[1] == len(states) else U, v)


def additive_fixed_length(s, states, W, U, v):
    scores = np.array([np.tanh(W @ s + U @ states[k]) @ v for k in range(4 if len(states) > 3 else len(states))])
    weights = softmax(scores)
    return weights @ states[: len(weights)], weights


def additive_overflows(s, states, W, U, v):
    scores = np.exp(np.tanh(W @ s + states @ U.T) @ v)
    weights = scores / scores.sum()
    return weights @ states, weights


def additive_in_place(s, states, W, U, v):
    found = additive_ok(s, states, W, U, v)
    states *= found[1][:, None]
    return found


def additive_changes_s(s, states, W, U, v):
    found = additive_ok(s, states, W, U, v)
    s += 1
    return found


UNUSUAL = [
    ("A2.1", attend_with_torch),
    ("A2.1", attend_only_the_real),
    ("A2.1", attend_by_loop),
    ("A2.1", attend_adding),
    ("A2.2", additive_by_loop),
    ("A2.2", additive_with_torch),
    ("A2.2", additive_glued),
    ("A2.2", additive_in_float32),
]

MISTAKES = [
    ("A2.1", attend_only_context, 1, "dos cosas"),
    ("A2.1", attend_only_weights, 1, "dos cosas"),
    ("A2.1", attend_nothing, 1, "¿falta el return?"),
    ("A2.1", attend_three, 1, "return context, weights"),
    ("A2.1", attend_swapped, 2, "se esperaba"),
    ("A2.1", attend_raw, 2, "entre la suma de todas"),
    ("A2.1", attend_normalised, 2, "exp de cada nota"),
    ("A2.1", attend_scaled, 2, "por la consulta"),
    ("A2.1", attend_cosine, 2, "por la consulta"),
    ("A2.1", attend_sigmoid, 2, "Suma tus pesos"),
    ("A2.1", attend_hardest, 2, "np.exp(scores)"),
    ("A2.1", attend_unmasked, 3, "-np.inf"),
    ("A2.1", attend_inverted, 3, "donde real es False"),
    ("A2.1", attend_masked_late, 3, "ya no suman 1"),
    ("A2.1", attend_zero_scores, 3, "e⁰ es 1"),
    ("A2.1", attend_cut, 3, "(3,)"),
    ("A2.1", attend_multiplied_by_infinity, 3, "nan"),
    ("A2.1", attend_small_number, 3, "donde real es False"),
    ("A2.1", attend_transposed, 1, "mira el orden", "raises"),
    ("A2.1", attend_mixes_keys, 4, "y no las claves"),
    ("A2.1", attend_mean, 4, "por su peso"),
    ("A2.1", attend_best_value, 4, "weights @ values"),
    ("A2.1", attend_overflows, 5, "nan"),
    ("A2.1", attend_in_place, 6, "keys"),
    ("A2.2", additive_only_context, 1, "dos cosas"),
    ("A2.2", additive_nothing, 1, "¿falta el return?"),
    ("A2.2", additive_stacked, 1, "return context, weights"),
    ("A2.2", additive_swapped, 2, "se esperaba"),
    ("A2.2", additive_without_tanh, 2, "pasan por la tangente"),
    ("A2.2", additive_tanh_last, 2, "np.tanh(W @ s + states @ U.T) @ v"),
    ("A2.2", additive_two_tanh, 2, "se suman, pasan por la tangente"),
    ("A2.2", additive_relu, 2, "la tangente"),
    ("A2.2", additive_ignores_s, 2, "W va con s"),
    ("A2.2", additive_crossed, 2, "U con cada estado"),
    ("A2.2", additive_minus, 2, "pieza por pieza"),
    ("A2.2", additive_without_softmax, 2, "Y softmax"),
    ("A2.2", additive_product, 2, "la fórmula"),
    ("A2.2", additive_states_across, 1, "una traspuesta", "raises"),
    ("A2.2", additive_adds_s, 3, "qué mezclas"),
    ("A2.2", additive_mixes_keys, 3, "sin pasar por U"),
    ("A2.2", additive_mean, 3, "qué mezclas"),
    ("A2.2", additive_last, 3, "weights @ states"),
    ("A2.2", additive_untransposed_when_square, 4, "Aquí todo mide 3"),
    ("A2.2", additive_fixed_length, 4, "no escribas ninguno"),
    ("A2.2", additive_overflows, 5, "nan"),
    ("A2.2", additive_in_place, 6, "states"),
    ("A2.2", additive_changes_s, 6, "s"),
]
