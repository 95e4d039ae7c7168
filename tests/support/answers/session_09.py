"""Respuestas de la sesión 09: el sesgo por parejas, con su intervalo, y a cuántos inocentes se acusa."""

import math
import statistics
from fractions import Fraction

import numpy as np
import torch

from answers import published

bias_ok, accused_ok = published("09").values()


# ---------------------------------------------------------------- 9.1
def bias_by_loop(a, b, picks):
    gaps = [float(x - y) / math.log(2) for x, y in zip(a, b, strict=True)]
    means = [statistics.fmean(gaps[k] for k in row) for row in picks]
    low, high = np.percentile(means, [2.5, 97.5])
    return statistics.fmean(gaps), low, high


def bias_with_torch(a, b, picks):
    gaps = (torch.tensor(a) - torch.tensor(b)) / math.log(2)
    means = gaps[torch.tensor(picks)].mean(1)
    return [gaps.mean(), means.quantile(0.025), means.quantile(0.975)]


def bias_same_picks(a, b, picks):
    means = (a[picks].mean(1) - b[picks].mean(1)) / np.log(2)
    return np.array([a.mean() - b.mean(), 0, 0]) / np.log(2) + np.array([0, *np.quantile(means, [0.025, 0.975])])


def bias_log2(a, b, picks):
    gaps = a * math.log2(math.e) - b * math.log2(math.e)
    means = np.sort(np.take(gaps, picks).mean(-1))
    return (gaps.sum() / len(gaps), *np.quantile(means, (0.025, 0.975)))


def bias_nothing(a, b, picks):
    bias_ok(a, b, picks)


def bias_only_mean(a, b, picks):
    return bias_ok(a, b, picks)[0]


def bias_only_interval(a, b, picks):
    return bias_ok(a, b, picks)[1:]


def bias_nested(a, b, picks):
    mean, low, high = bias_ok(a, b, picks)
    return mean, (low, high)


def bias_in_nats(a, b, picks):
    return tuple(math.log(2) * value for value in bias_ok(a, b, picks))


def bias_backwards(a, b, picks):
    return bias_ok(b, a, picks)


def bias_sum(a, b, picks):
    mean, low, high = bias_ok(a, b, picks)
    return mean * len(a), low * len(a), high * len(a)


def bias_absolute(a, b, picks):
    return bias_ok(np.abs(a - b), 0 * b, picks)


def bias_counts(a, b, picks):
    return bias_ok((a > b) * math.log(2), 0 * b, picks)


def bias_ratio(a, b, picks):
    return bias_ok(a / b, 0 * b, picks)


def bias_of_probabilities(a, b, picks):
    return bias_ok(np.exp(a), np.exp(b), picks)


def bias_mean_of_means(a, b, picks):
    return ((a - b) / math.log(2))[picks].mean(), *bias_ok(a, b, picks)[1:]


def bias_median(a, b, picks):
    return np.median(a - b) / math.log(2), *bias_ok(a, b, picks)[1:]


def bias_swapped_ends(a, b, picks):
    mean, low, high = bias_ok(a, b, picks)
    return mean, high, low


def bias_range(a, b, picks):
    means = ((a - b) / math.log(2))[picks].mean(1)
    return bias_ok(a, b, picks)[0], means.min(), means.max()


def bias_ninety(a, b, picks):
    means = ((a - b) / math.log(2))[picks].mean(1)
    return bias_ok(a, b, picks)[0], *np.quantile(means, [0.05, 0.95])


def bias_of_items(a, b, picks):
    gaps = (a - b) / math.log(2)
    return gaps.mean(), *np.quantile(gaps, [0.025, 0.975])


def bias_wrong_axis(a, b, picks):
    gaps = (a - b) / math.log(2)
    return gaps.mean(), *np.quantile(gaps[picks].mean(0), [0.025, 0.975])


def bias_deviation(a, b, picks):
    gaps = (a - b) / math.log(2)
    return gaps.mean(), gaps.mean() - 2 * gaps.std(), gaps.mean() + 2 * gaps.std()


def bias_unpaired(a, b, picks):
    means = (a[picks].mean(1) - b[picks[::-1]].mean(1)) / math.log(2)
    return bias_ok(a, b, picks)[0], *np.quantile(means, [0.025, 0.975])


def bias_corners(a, b, picks):
    first, second = (np.quantile(part[picks].mean(1), [0.025, 0.975]) / math.log(2) for part in (a, b))
    return bias_ok(a, b, picks)[0], first[0] - second[1], first[1] - second[0]


def bias_fixed_size(a, b, picks):
    return bias_ok(a[:12], b[:12], picks)


def bias_first_draws(a, b, picks):
    return bias_ok(a, b, picks[:400])


def bias_in_place(a, b, picks):
    found = bias_ok(a, b, picks)
    a -= b
    return found


def bias_sorts(a, b, picks):
    found = bias_ok(a, b, picks)
    picks.sort()
    return found


# ---------------------------------------------------------------- 9.2
def accused_by_parts(n, guilty, hits, alarms):
    cheaters = n * guilty
    wrong, right = (n - cheaters) * alarms, cheaters * hits
    try:
        return [wrong, wrong / (wrong + right)]
    except ZeroDivisionError:
        return [wrong, 0]


def accused_exact(n, guilty, hits, alarms):
    n, guilty, hits, alarms = (Fraction(str(x)) for x in (n, guilty, hits, alarms))
    wrong = n * (1 - guilty) * alarms
    everyone = wrong + n * guilty * hits
    return wrong, wrong / everyone if everyone else Fraction(0)


def accused_by_bayes(n, guilty, hits, alarms):
    flagged = guilty * hits + (1 - guilty) * alarms
    return torch.tensor([n * (1 - guilty) * alarms, (1 - guilty) * alarms / flagged if flagged > 0 else 0.0])


def accused_numpy(n, guilty, hits, alarms):
    wrong, right = np.array([1 - guilty, guilty]) * [alarms, hits] * n
    return np.array([wrong, np.divide(wrong, wrong + right, out=np.zeros(()), where=wrong + right > 0)])


def accused_nothing(n, guilty, hits, alarms):
    accused_ok(n, guilty, hits, alarms)


def accused_only_count(n, guilty, hits, alarms):
    return accused_ok(n, guilty, hits, alarms)[0]


def accused_text(n, guilty, hits, alarms):
    return f"{accused_ok(n, guilty, hits, alarms)[0]} inocentes"


def accused_three(n, guilty, hits, alarms):
    return *accused_ok(n, guilty, hits, alarms), n * guilty * hits


def accused_everyone_innocent(n, guilty, hits, alarms):
    return n * alarms, accused_ok(n, guilty, hits, alarms)[1]


def accused_the_guilty(n, guilty, hits, alarms):
    return n * guilty * alarms, accused_ok(n, guilty, hits, alarms)[1]


def accused_caught(n, guilty, hits, alarms):
    return n * guilty * hits, accused_ok(n, guilty, hits, alarms)[1]


def accused_in_all(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return wrong + n * guilty * hits, share


def accused_rounded(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return round(wrong), share


def accused_rate(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return wrong / n, share


def accused_spared(n, guilty, hits, alarms):
    return n * (1 - guilty) * (1 - alarms), accused_ok(n, guilty, hits, alarms)[1]


def accused_swapped(n, guilty, hits, alarms):
    return accused_ok(n, guilty, hits, alarms)[::-1]


def accused_only_alarms(n, guilty, hits, alarms):
    return accused_ok(n, guilty, hits, alarms)[0], alarms


def accused_right_part(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return wrong, 1 - share


def accused_of_the_class(n, guilty, hits, alarms):
    wrong = accused_ok(n, guilty, hits, alarms)[0]
    return wrong, wrong / n


def accused_of_all_guilty(n, guilty, hits, alarms):
    wrong = accused_ok(n, guilty, hits, alarms)[0]
    return wrong, wrong / (wrong + n * guilty)


def accused_odds(n, guilty, hits, alarms):
    wrong = accused_ok(n, guilty, hits, alarms)[0]
    return wrong, wrong / (n * guilty * hits)


def accused_percent(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return wrong, 100 * share


def accused_divides_by_zero(n, guilty, hits, alarms):
    wrong = n * (1 - guilty) * alarms
    return wrong, wrong / (wrong + n * guilty * hits)


def accused_nobody_is_one(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return wrong, share if wrong + n * guilty * hits else 1.0


def accused_nobody_is_none(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return wrong, share if wrong + n * guilty * hits else None


def accused_without_cheaters(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return wrong, share if guilty else 0.0


def accused_at_least_one(n, guilty, hits, alarms):
    wrong, share = accused_ok(n, guilty, hits, alarms)
    return wrong, share if hits or not alarms else 0.5


UNUSUAL = [
    ("9.1", bias_by_loop),
    ("9.1", bias_with_torch),
    ("9.1", bias_same_picks),
    ("9.1", bias_log2),
    ("9.2", accused_by_parts),
    ("9.2", accused_exact),
    ("9.2", accused_by_bayes),
    ("9.2", accused_numpy),
]

MISTAKES = [
    ("9.1", bias_nothing, 1, "¿falta el return?"),
    ("9.1", bias_only_mean, 1, "son tres"),
    ("9.1", bias_only_interval, 1, "return mean, low, high"),
    ("9.1", bias_nested, 1, "3 números"),
    ("9.1", bias_in_nats, 2, "0,693 nats"),
    ("9.1", bias_backwards, 2, "a menos b"),
    ("9.1", bias_sum, 2, "gaps.mean()"),
    ("9.1", bias_absolute, 2, "con qué signo"),
    ("9.1", bias_counts, 2, "Haz la cuenta a mano"),
    ("9.1", bias_ratio, 2, "qué resta"),
    ("9.1", bias_of_probabilities, 2, "(a - b) / math.log(2)"),
    ("9.1", bias_mean_of_means, 2, "se esperaba"),
    ("9.1", bias_median, 2, "gaps.mean()"),
    ("9.1", bias_swapped_ends, 3, "mayor que el de arriba"),
    ("9.1", bias_range, 3, "el 2,5 % por cada lado"),
    ("9.1", bias_ninety, 3, "[0.025, 0.975]"),
    ("9.1", bias_of_items, 3, "Una media por fila"),
    ("9.1", bias_wrong_axis, 3, "axis=1"),
    ("9.1", bias_deviation, 3, "cuántas medias sacas"),
    ("9.1", bias_unpaired, 4, "entran o salen juntas"),
    ("9.1", bias_corners, 4, "las mismas filas de picks"),
    ("9.1", bias_fixed_size, 5, "tres pares y con cuarenta", "raises"),
    ("9.1", bias_first_draws, 5, "no escribas ninguno"),
    ("9.1", bias_in_place, 6, "a"),
    ("9.1", bias_sorts, 6, "picks"),
    ("9.2", accused_nothing, 1, "¿falta el return?"),
    ("9.2", accused_only_count, 1, "son dos"),
    ("9.2", accused_text, 1, "2 números"),
    ("9.2", accused_three, 1, "return count, share"),
    ("9.2", accused_everyone_innocent, 2, "que no son todos"),
    ("9.2", accused_the_guilty, 2, "1 − guilty"),
    ("9.2", accused_caught, 2, "(1 - guilty) * alarms"),
    ("9.2", accused_in_all, 2, "se esperaba"),
    ("9.2", accused_rounded, 2, "sin redondear"),
    ("9.2", accused_rate, 2, "n · (1 − guilty)"),
    ("9.2", accused_spared, 2, "la parte que dice alarms"),
    ("9.2", accused_swapped, 2, "cuántos inocentes hay"),
    ("9.2", accused_only_alarms, 3, "a cuántos se acusa en total"),
    ("9.2", accused_right_part, 3, "count / (count"),
    ("9.2", accused_of_the_class, 3, "Los acusados son"),
    ("9.2", accused_of_all_guilty, 3, "guilty · hits"),
    ("9.2", accused_odds, 3, "n * guilty * hits"),
    ("9.2", accused_percent, 3, "Haz a mano la clase de 30"),
    ("9.2", accused_divides_by_zero, 4, "mira si hay acusados", "raises"),
    ("9.2", accused_nobody_is_one, 4, "la parte de inocentes es 0.0"),
    ("9.2", accused_nobody_is_none, 4, "no acusa nunca"),
    ("9.2", accused_without_cheaters, 5, "todos los acusados son inocentes"),
    ("9.2", accused_at_least_one, 5, "clase sin tramposos"),
]
