"""Respuestas de la sesión 07: las etiquetas de una conversación y el redondeo a pocos bits."""

import numpy as np
import torch

from answers import published

labels_ok, round_ok = published("07").values()


# ---------------------------------------------------------------- 7.1
def labels_with_tensor(ids, assistant, end):
    found = torch.full((len(ids),), -100)
    for place, token in enumerate(ids):
        before = ids[:place][::-1]  # lo más cercano, delante
        near = [mark for mark in before if mark in (assistant, end)]
        if near and near[0] == assistant:
            found[place] = token
    return found


def labels_by_pieces(ids, assistant, end):
    made, rest = [], list(ids)
    while assistant in rest:
        cut = rest.index(assistant) + 1
        made, rest = made + [-100] * cut, rest[cut:]
        cut = rest.index(end) + 1 if end in rest else len(rest)
        made, rest = made + rest[:cut], rest[cut:]
    return made + [-100] * len(rest)


def labels_with_numpy(ids, assistant, end):
    found, on = np.full(len(ids), -100), False
    for place, token in enumerate(ids):
        if on:
            found[place] = token
        if token == assistant:
            on = True
        elif token == end:
            on = False
    return found


def labels_as_tuple(ids, assistant, end):
    return tuple(labels_ok(ids, assistant, end))


def labels_nothing(ids, assistant, end):
    labels_ok(ids, assistant, end)


def labels_only_answers(ids, assistant, end):
    return [label for label in labels_ok(ids, assistant, end) if label != -100]


def labels_shifted(ids, assistant, end):
    return labels_ok(ids, assistant, end)[1:]


def labels_mask(ids, assistant, end):
    return [label != -100 for label in labels_ok(ids, assistant, end)]


def labels_as_floats(ids, assistant, end):
    return [float(label) for label in labels_ok(ids, assistant, end)]


def labels_two_things(ids, assistant, end):
    return ids, labels_ok(ids, assistant, end)


def labels_all(ids, assistant, end):
    return list(ids)


def labels_only_marks_hidden(ids, assistant, end):
    return [-100 if token == assistant else token for token in ids]


def labels_zeros(ids, assistant, end):
    return [0 if label == -100 else label for label in labels_ok(ids, assistant, end)]


def labels_with_the_opening(ids, assistant, end):
    labels = labels_ok(ids, assistant, end)
    return [token if token == assistant else label for token, label in zip(ids, labels, strict=True)]


def labels_with_every_end(ids, assistant, end):
    labels = labels_ok(ids, assistant, end)
    return [token if token == end else label for token, label in zip(ids, labels, strict=True)]


def labels_inverted(ids, assistant, end):
    labels = labels_ok(ids, assistant, end)
    return [token if label == -100 else -100 for token, label in zip(ids, labels, strict=True)]


def labels_minus_one(ids, assistant, end):
    return [-1 if label == -100 else label for label in labels_ok(ids, assistant, end)]


def labels_without_the_end(ids, assistant, end):
    return [-100 if label == end else label for label in labels_ok(ids, assistant, end)]


def labels_all_hidden(ids, assistant, end):
    return [-100] * len(ids)


def labels_rolled(ids, assistant, end):
    return [-100, *labels_ok(ids, assistant, end)[:-1]]


def labels_ones(ids, assistant, end):
    return [1 if label != -100 else label for label in labels_ok(ids, assistant, end)]


def labels_only_last(ids, assistant, end):
    if assistant not in ids:
        return [-100] * len(ids)
    last = len(ids) - 1 - ids[::-1].index(assistant)
    return [-100] * (last + 1) + labels_ok(ids, assistant, end)[last + 1 :]


def labels_from_the_first(ids, assistant, end):
    if assistant not in ids:
        return [-100] * len(ids)
    first = ids.index(assistant)
    return [-100] * (first + 1) + ids[first + 1 :]


def labels_only_first(ids, assistant, end):
    if assistant not in ids:
        return [-100] * len(ids)
    first = ids.index(assistant) + 1
    stop = ids.index(end, first) + 1 if end in ids[first:] else len(ids)
    return [-100] * first + ids[first:stop] + [-100] * (len(ids) - stop)


def labels_needs_an_answer(ids, assistant, end):
    first = ids.index(assistant)
    return labels_ok(ids, assistant, end) if first else None


def labels_needs_an_end(ids, assistant, end):
    labels = labels_ok(ids, assistant, end)
    return labels if ids[-1] == end else [-100] * len(ids)


def labels_fixed_marks(ids, assistant, end):
    return labels_ok(ids, 41, 42)


def labels_skips_zero(ids, assistant, end):
    return [label or -100 for label in labels_ok(ids, assistant, end)]


def labels_in_place(ids, assistant, end):
    ids[:] = labels_ok(ids, assistant, end)
    return ids


def labels_pops(ids, assistant, end):
    found = labels_ok(ids, assistant, end)
    while ids:
        ids.pop()
    return found


# ---------------------------------------------------------------- 7.2
def round_by_loop(weights, bits):
    rows = []
    for row in weights.tolist():
        scale = max(abs(value) for value in row) / (2 ** (bits - 1) - 1)
        rows.append([round(value / scale) * scale if scale else 0.0 for value in row])
    return torch.tensor(rows)


def round_with_numpy(weights, bits):
    values = weights.numpy()
    scale = np.abs(values).max(1, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.rint(values / np.where(scale == 0, 1, scale)) * scale


def round_in_float32(weights, bits):
    return round_ok(weights.float(), bits)


def round_nearest_step(weights, bits):
    top = 2 ** (bits - 1) - 1
    scale = weights.abs().max(1).values / top
    grid = torch.arange(-top, top + 1) * scale[:, None]  # (N, escalones)
    nearest = (weights[:, :, None] - grid[:, None, :]).abs().argmin(-1)
    return grid.gather(1, nearest)


def round_nothing(weights, bits):
    round_ok(weights, bits)


def round_integers(weights, bits):
    top = 2 ** (bits - 1) - 1
    return (weights / weights.abs().amax(1, keepdim=True).clamp_min(1e-12) * top).round()


def round_flat(weights, bits):
    return round_ok(weights, bits).flatten()


def round_pair(weights, bits):
    return round_ok(weights, bits), weights.abs().amax(1)


def round_the_scale(weights, bits):
    return weights.abs().amax(1) / (2 ** (bits - 1) - 1)


def round_untouched(weights, bits):
    return weights.clone()


def round_truncates(weights, bits):
    scale = weights.abs().amax(1, keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 1)
    return (weights / scale).trunc() * scale


def round_floor(weights, bits):
    scale = weights.abs().amax(1, keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 1)
    return (weights / scale).floor() * scale


def round_without_abs(weights, bits):
    scale = weights.amax(1, keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 1)
    return (weights / scale).round() * scale


def round_decimals(weights, bits):
    return weights.mul(10).round() / 10


def round_one_step_more(weights, bits):
    scale = weights.abs().amax(1, keepdim=True).clamp_min(1e-12) / 2 ** (bits - 1)
    return (weights / scale).round() * scale


def round_all_bits(weights, bits):
    scale = weights.abs().amax(1, keepdim=True).clamp_min(1e-12) / (2**bits - 1)
    return (weights / scale).round() * scale


def round_min_max(weights, bits):
    low, high = weights.amin(1, keepdim=True), weights.amax(1, keepdim=True)
    scale = ((high - low) / (2**bits - 1)).clamp_min(1e-12)
    return ((weights - low) / scale).round() * scale + low


def round_always_seven(weights, bits):
    return round_ok(weights, 4)


def round_linear_top(weights, bits):
    scale = weights.abs().amax(1, keepdim=True).clamp_min(1e-12) / (2 * bits - 1)
    return (weights / scale).round() * scale


def round_one_scale(weights, bits):
    scale = weights.abs().max().clamp_min(1e-12) / (2 ** (bits - 1) - 1)
    return (weights / scale).round() * scale


def round_by_columns(weights, bits):
    if len(weights) == 1:
        return round_ok(weights, bits)
    return round_ok(weights.T, bits).T


def round_first_scale(weights, bits):
    scale = weights[:1].abs().amax(1, keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 1)
    return (weights / scale).round() * scale


def round_zero_is_nan(weights, bits):
    scale = weights.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (weights / scale).round() * scale


def round_zero_is_one(weights, bits):
    found = round_ok(weights, bits)
    return torch.where(weights.abs().amax(1, keepdim=True) == 0, 1.0, found)


def round_in_place(weights, bits):
    weights.copy_(round_ok(weights, bits))
    return weights


def round_divides_in_place(weights, bits):
    scale = weights.abs().amax(1, keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 1)
    weights /= scale
    return weights.round() * scale


UNUSUAL = [
    ("7.1", labels_with_tensor),
    ("7.1", labels_by_pieces),
    ("7.1", labels_with_numpy),
    ("7.1", labels_as_tuple),
    ("7.2", round_by_loop),
    ("7.2", round_with_numpy),
    ("7.2", round_in_float32),
    ("7.2", round_nearest_step),
]

MISTAKES = [
    ("7.1", labels_nothing, 1, "¿falta el return?"),
    ("7.1", labels_only_answers, 1, "Cuenta cuántas etiquetas"),
    ("7.1", labels_shifted, 1, "ni se desplaza"),
    ("7.1", labels_mask, 1, "se esperaban enteros"),
    ("7.1", labels_as_floats, 1, "se esperaban enteros"),
    ("7.1", labels_two_things, 1, "un −100 por cada token"),
    ("7.1", labels_all, 2, "en la posición 0"),
    ("7.1", labels_only_marks_hidden, 2, "de quien pregunta"),
    ("7.1", labels_zeros, 2, "0; se esperaba -100"),
    ("7.1", labels_with_the_opening, 2, "la pone la plantilla"),
    ("7.1", labels_with_every_end, 2, "en la posición 4"),
    ("7.1", labels_inverted, 2, "en la posición 0"),
    ("7.1", labels_minus_one, 2, "-1; se esperaba -100"),
    ("7.1", labels_without_the_end, 3, "no aprenderá a parar"),
    ("7.1", labels_all_hidden, 3, "la del token 5"),
    ("7.1", labels_rolled, 3, "sin desplazar"),
    ("7.1", labels_ones, 3, "1; se esperaba 5"),
    ("7.1", labels_only_last, 4, "dos preguntas y dos respuestas"),
    ("7.1", labels_from_the_first, 4, "se vuelve a dejar de contar"),
    ("7.1", labels_only_first, 4, "Cuentan todas las respuestas"),
    ("7.1", labels_needs_an_answer, 4, "puede faltar", "raises"),
    ("7.1", labels_needs_an_end, 4, "el cierre"),
    ("7.1", labels_fixed_marks, 4, "como argumentos"),
    ("7.1", labels_skips_zero, 4, "con otros ids"),
    ("7.1", labels_in_place, 5, "ids cambiado"),
    ("7.1", labels_pops, 5, "labels = list(ids)"),
    ("7.2", round_nothing, 1, "¿falta el return?"),
    ("7.2", round_integers, 1, "q * scale"),
    ("7.2", round_flat, 1, "forma"),
    ("7.2", round_pair, 1, "se esperaba"),
    ("7.2", round_the_scale, 1, "forma"),
    ("7.2", round_untouched, 2, "redondean al más cercano"),
    ("7.2", round_truncates, 2, "al más cercano"),
    ("7.2", round_floor, 2, "redondean al más"),
    ("7.2", round_without_abs, 2, "sin signo"),
    ("7.2", round_decimals, 2, "de −7 a 7"),
    ("7.2", round_one_step_more, 2, "de −7 a 7"),
    ("7.2", round_all_bits, 2, "/ 7"),
    ("7.2", round_min_max, 2, "el mayor de la fila"),
    ("7.2", round_always_seven, 3, "127 con ocho"),
    ("7.2", round_linear_top, 3, "127 con ocho"),
    ("7.2", round_one_scale, 4, "se queda en ceros"),
    ("7.2", round_by_columns, 4, "dim=1"),
    ("7.2", round_first_scale, 4, "El máximo es el de cada fila"),
    ("7.2", round_zero_is_nan, 5, "no es un número"),
    ("7.2", round_zero_is_one, 5, "todo vale cero"),
    ("7.2", round_in_place, 6, "weights cambiado"),
    ("7.2", round_divides_in_place, 6, "weights"),
]
