"""Respuestas de la sesión 06: la media sin relleno y la diferencia emparejada."""

import numpy as np
import torch

from answers import published

pool_ok, paired_ok = published("06").values()


# ---------------------------------------------------------------- 6.1
def pool_by_loop(states, mask):
    return torch.stack([row[real.bool()].mean(0) for row, real in zip(states, mask, strict=True)])


def pool_einsum(states, mask):
    shares = mask / mask.sum(1, keepdim=True)
    return torch.einsum("bt,bth->bh", shares.to(states.dtype), states)


def pool_matmul_double(states, mask):
    mask = mask.double()
    return (mask[:, None] @ states.double())[:, 0] / mask.sum(1)[:, None]


def pool_with_lists(states, mask):
    found = []
    for row, real in zip(states.tolist(), mask.tolist(), strict=True):
        kept = [vector for vector, ok in zip(row, real, strict=True) if ok]
        found.append([sum(column) / len(kept) for column in zip(*kept, strict=True)])
    return found


def pool_nan(states, mask):
    return torch.where(mask.bool()[..., None], states, torch.nan).nanmean(1)


def pool_nothing(states, mask):
    pool_ok(states, mask)


def pool_of_the_batch(states, mask):
    return pool_ok(states, mask).mean(0)


def pool_masked_states(states, mask):
    return states * mask[..., None]


def pool_over_hidden(states, mask):
    return states.mean(-1)


def pool_unexpanded(states, mask):
    return (states * mask).sum(1) / mask.sum(1)


def pool_kept_dimension(states, mask):
    weights = mask[..., None].float()
    return (states * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)


def pool_sum(states, mask):
    return (states * mask[..., None]).sum(1)


def pool_max(states, mask):
    return states.masked_fill(mask[..., None] == 0, -torch.inf).amax(1)


def pool_cls(states, mask):
    return states[:, 0]


def pool_last(states, mask):
    return states[torch.arange(len(states)), mask.sum(1) - 1]


def pool_by_all(states, mask):
    return (states * mask[..., None]).sum(1) / mask.sum()


def pool_normalised(states, mask):
    return torch.nn.functional.normalize(pool_ok(states, mask), dim=-1)


def pool_unmasked(states, mask):
    return states.mean(1)


def pool_divides_by_t(states, mask):
    return (states * mask[..., None]).mean(1)


def pool_masks_only_below(states, mask):
    return states.sum(1) / mask.sum(1, keepdim=True)


def pool_inverted(states, mask):
    mask = mask if mask.bool().all() else 1 - mask
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def pool_shortest(states, mask):
    return states[:, : int(mask.sum(1).min())].mean(1)


def pool_prefix(states, mask):
    return torch.stack([row[:n].mean(0) for row, n in zip(states, mask.sum(1).tolist(), strict=True)])


def pool_squeezed(states, mask):
    return pool_ok(states, mask).squeeze()


def pool_hidden_three(states, mask):
    return pool_ok(states, mask)[:, :3] if len(states) < 4 else pool_ok(states, mask)[:3]


def pool_boolean_fails(states, mask):
    return (states * mask[..., None]).sum(1) / (mask.sum(1, keepdim=True) + (mask * 0 - mask + mask).sum() * 0)


def pool_int_mask_only(states, mask):
    return pool_ok(states, mask * (mask.dtype != torch.bool) + (mask.dtype == torch.bool))


def pool_in_place(states, mask):
    states[mask == 0] = 0
    return states.sum(1) / mask.sum(1, keepdim=True)


def pool_multiplies_in_place(states, mask):
    states *= mask[..., None]
    return states.sum(1) / mask.sum(1, keepdim=True)


# ---------------------------------------------------------------- 6.2
def paired_by_loop(hits_a, hits_b, draws):
    gaps = []
    for exam in draws:
        gaps.append(sum(float(hits_b[i]) - float(hits_a[i]) for i in exam) / len(exam))
    return [np.percentile(gaps, 2.5), np.percentile(gaps, 97.5)]


def paired_two_means(hits_a, hits_b, draws):
    gaps = hits_b[draws].mean(axis=1) - hits_a[draws].mean(axis=1)
    return np.quantile(gaps, 0.025), np.quantile(gaps, 0.975)


def paired_with_torch(hits_a, hits_b, draws):
    gap = torch.tensor(hits_b).double() - torch.tensor(hits_a).double()
    return gap[torch.tensor(draws)].mean(1).quantile(torch.tensor([0.025, 0.975]).double())


def paired_counting(hits_a, hits_b, draws):
    n = len(hits_a)
    counts = np.stack([np.bincount(exam, minlength=n) for exam in draws])
    gaps = counts @ (np.asarray(hits_b, float) - np.asarray(hits_a, float)) / n
    return np.quantile(gaps, [0.025, 0.975])


def paired_sorted_places(hits_a, hits_b, draws):
    gaps = np.sort((np.asarray(hits_b, float) - np.asarray(hits_a, float))[draws].mean(1))
    return np.quantile(gaps, 0.025, method="nearest"), np.quantile(gaps, 0.975, method="nearest")


def _gaps(hits_a, hits_b, draws):
    return (np.asarray(hits_b, float) - np.asarray(hits_a, float))[draws].mean(1)


def paired_nothing(hits_a, hits_b, draws):
    paired_ok(hits_a, hits_b, draws)


def paired_mean_only(hits_a, hits_b, draws):
    return _gaps(hits_a, hits_b, draws).mean()


def paired_all_gaps(hits_a, hits_b, draws):
    return _gaps(hits_a, hits_b, draws)


def paired_three(hits_a, hits_b, draws):
    low, high = paired_ok(hits_a, hits_b, draws)
    return low, _gaps(hits_a, hits_b, draws).mean(), high


def paired_says_better(hits_a, hits_b, draws):
    return bool(paired_ok(hits_a, hits_b, draws)[0] > 0)


def paired_backwards(hits_a, hits_b, draws):
    return paired_ok(hits_b, hits_a, draws)


def paired_swapped_ends(hits_a, hits_b, draws):
    low, high = paired_ok(hits_a, hits_b, draws)
    return high, low


def paired_unpaired(hits_a, hits_b, draws):
    gaps = hits_b[draws].mean(1) - hits_a[draws[::-1]].mean(1)
    return np.quantile(gaps, [0.025, 0.975])


def paired_ninety(hits_a, hits_b, draws):
    return np.quantile(_gaps(hits_a, hits_b, draws), [0.05, 0.95])


def paired_extremes(hits_a, hits_b, draws):
    gaps = _gaps(hits_a, hits_b, draws)
    return gaps.min(), gaps.max()


def paired_half_points(hits_a, hits_b, draws):
    return np.quantile(100 * _gaps(hits_a, hits_b, draws), [0.025, 0.975])


def paired_counts(hits_a, hits_b, draws):
    return np.quantile(len(hits_a) * _gaps(hits_a, hits_b, draws), [0.025, 0.975])


def paired_percentile_of_one(hits_a, hits_b, draws):
    return np.percentile(_gaps(hits_a, hits_b, draws), [0.025, 0.975])


def paired_absolute(hits_a, hits_b, draws):
    return np.quantile(np.abs(_gaps(hits_a, hits_b, draws)), [0.025, 0.975])


def paired_means_by_column(hits_a, hits_b, draws):
    gap = np.asarray(hits_b, float) - np.asarray(hits_a, float)
    return np.quantile(gap[draws].mean(0), [0.025, 0.975])


def paired_items_not_exams(hits_a, hits_b, draws):
    gap = np.asarray(hits_b, float) - np.asarray(hits_a, float)
    return np.quantile(gap, [0.025, 0.975])


def paired_only_a(hits_a, hits_b, draws):
    return np.quantile(hits_a[draws].mean(1), [0.025, 0.975])


def paired_boolean_minus(hits_a, hits_b, draws):
    return np.quantile((hits_b - hits_a)[draws].mean(1), [0.025, 0.975])


def paired_boolean_xor(hits_a, hits_b, draws):
    gap = hits_b ^ hits_a if hits_a.dtype == bool else hits_b - hits_a
    return np.quantile(gap[draws].mean(1), [0.025, 0.975])


def paired_fixed_size(hits_a, hits_b, draws):
    gap = np.asarray(hits_b, float) - np.asarray(hits_a, float)
    return np.quantile(gap[draws].sum(1) / (40 if len(gap) > 30 or len(gap) < 26 else 30), [0.025, 0.975])


def paired_draws_again(hits_a, hits_b, draws):
    if len(draws) in (300, 250):
        return paired_ok(hits_a, hits_b, draws)
    return paired_ok(hits_a, hits_b, np.random.default_rng(0).integers(len(hits_a), size=(7, 3)))


def paired_in_place(hits_a, hits_b, draws):
    found = paired_ok(hits_a, hits_b, draws)
    if hits_b.dtype == float:
        hits_b -= hits_a
    return found


def paired_sorts_draws(hits_a, hits_b, draws):
    draws.sort(axis=1)
    return paired_ok(hits_a, hits_b, draws)


UNUSUAL = [
    ("6.1", pool_by_loop),
    ("6.1", pool_einsum),
    ("6.1", pool_matmul_double),
    ("6.1", pool_with_lists),
    ("6.1", pool_nan),
    ("6.2", paired_by_loop),
    ("6.2", paired_two_means),
    ("6.2", paired_with_torch),
    ("6.2", paired_counting),
    ("6.2", paired_sorted_places),
]

MISTAKES = [
    ("6.1", pool_nothing, 1, "¿falta el return?"),
    ("6.1", pool_of_the_batch, 1, "(3,)"),
    ("6.1", pool_masked_states, 1, "(2, 4, 3)"),
    ("6.1", pool_over_hidden, 1, "dimensión 1"),
    ("6.1", pool_unexpanded, 1, "mask[..., None]", "raises"),
    ("6.1", pool_kept_dimension, 1, "(2, 1, 3)"),
    ("6.1", pool_sum, 2, "divide entre cuántos son"),
    ("6.1", pool_max, 2, "states.mean(1)"),
    ("6.1", pool_cls, 2, "máscara de unos"),
    ("6.1", pool_last, 2, "la media de siempre"),
    ("6.1", pool_by_all, 2, "no entre cuántas filas"),
    ("6.1", pool_normalised, 2, "Suma los vectores"),
    ("6.1", pool_unmasked, 3, "quitarlos de la suma"),
    ("6.1", pool_divides_by_t, 3, "no entre T"),
    ("6.1", pool_masks_only_below, 3, "no son cero"),
    ("6.1", pool_inverted, 3, "weights.sum(1)"),
    ("6.1", pool_shortest, 3, "fila con relleno"),
    ("6.1", pool_prefix, 4, "a la izquierda"),
    ("6.1", pool_squeezed, 4, "Mira la forma"),
    ("6.1", pool_hidden_three, 4, "fila sola"),
    ("6.1", pool_boolean_fails, 5, "mask.bool()", "raises"),
    ("6.1", pool_int_mask_only, 5, "síes y noes"),
    ("6.1", pool_in_place, 6, "states"),
    ("6.1", pool_multiplies_in_place, 6, "states"),
    ("6.2", paired_nothing, 1, "¿falta el return?"),
    ("6.2", paired_mean_only, 1, "dos números"),
    ("6.2", paired_all_gaps, 1, "dos cuantiles"),
    ("6.2", paired_three, 1, "return low, high"),
    ("6.2", paired_says_better, 1, "los extremos del intervalo"),
    ("6.2", paired_backwards, 2, "Mira el signo"),
    ("6.2", paired_swapped_ends, 2, "el orden"),
    ("6.2", paired_unpaired, 2, "mismo examen"),
    ("6.2", paired_ninety, 2, "0,025"),
    ("6.2", paired_extremes, 2, "np.quantile"),
    ("6.2", paired_half_points, 2, "el tamaño"),
    ("6.2", paired_counts, 2, "se restan sus medias"),
    ("6.2", paired_percentile_of_one, 2, "0,975"),
    ("6.2", paired_absolute, 2, "los dos extremos son negativos"),
    ("6.2", paired_means_by_column, 2, "gap[draws].mean(1)"),
    ("6.2", paired_items_not_exams, 2, "la misma fila"),
    ("6.2", paired_only_a, 2, "B menos A"),
    ("6.2", paired_boolean_minus, 3, "numpy no resta", "raises"),
    ("6.2", paired_boolean_xor, 3, "booleanos"),
    ("6.2", paired_fixed_size, 4, "Toma los tamaños"),
    ("6.2", paired_draws_again, 4, "no sortees tú"),
    ("6.2", paired_in_place, 5, "hits_b"),
    ("6.2", paired_sorts_draws, 5, "draws"),
]
