"""Respuestas de la sesión 08: la máscara de unas opciones y los aciertos entre los k primeros."""

import math
import re

import numpy as np
import torch

from answers import published

mask_ok, hits_ok, near_ok = published("08").values()


# ---------------------------------------------------------------- 8.1
def mask_by_loop(pieces, written, options):
    found = []
    for piece in pieces:
        alive = False
        for option in options:
            rest = option[len(written) :]
            if option[: len(written)] == written and (rest == "" if piece == "" else rest[: len(piece)] == piece != ""):
                alive = True
        found.append(alive)
    return found


def mask_as_tensor(pieces, written, options):
    return torch.tensor(mask_ok(pieces, written, options))


def mask_of_ones(pieces, written, options):
    return np.array([int(ok) for ok in mask_ok(pieces, written, options)])


def mask_by_prefixes(pieces, written, options):
    prefixes = {option[:k] for option in options for k in range(len(option) + 1)}
    return tuple((written + p in prefixes) if p else (written in options) for p in pieces)


def mask_by_regex(pieces, written, options):
    def alive(piece):
        if not piece:
            return written in options
        return any(re.match(re.escape(written + piece), option) for option in options)

    return [alive(piece) for piece in pieces]


def mask_nothing(pieces, written, options):
    mask_ok(pieces, written, options)


def mask_of_ids(pieces, written, options):
    return [k for k, ok in enumerate(mask_ok(pieces, written, options)) if ok]


def mask_of_pieces(pieces, written, options):
    return [piece for piece, ok in zip(pieces, mask_ok(pieces, written, options), strict=True) if ok]


def mask_one_answer(pieces, written, options):
    return any(mask_ok(pieces, written, options))


def mask_upside_down(pieces, written, options):
    return [not ok for ok in mask_ok(pieces, written, options)]


def mask_contains(pieces, written, options):
    return [any(written + piece in option for option in options) for piece in pieces]


def mask_whole_only(pieces, written, options):
    return [written + piece in options for piece in pieces]


def mask_reversed(pieces, written, options):
    return [any((written + piece).startswith(option) for option in options) for piece in pieces]


def mask_all_options(pieces, written, options):
    return [all(option.startswith(written + piece) for option in options) for piece in pieces]


def mask_first_letter(pieces, written, options):
    return [any(option[:1] == piece[:1] for option in options) for piece in pieces]


def mask_ignores_written(pieces, written, options):
    return [any(option.startswith(piece) for option in options) for piece in pieces]


def mask_inside_once_begun(pieces, written, options):
    if not written:
        return mask_ok(pieces, written, options)
    return [any(option.startswith(written) and piece in option for option in options) for piece in pieces]


def mask_piece_first(pieces, written, options):
    return [any(option.startswith(piece + written) for option in options) for piece in pieces]


def mask_ends(pieces, written, options):
    if not written:
        return mask_ok(pieces, written, options)
    return [any(option == written + piece or option.endswith(piece) for option in options) for piece in pieces]


def mask_all_when_finished(pieces, written, options):
    if written in options and "" not in pieces:
        return [True] * len(pieces)
    return mask_ok(pieces, written, options)


def mask_restarts_when_lost(pieces, written, options):
    lost = not any(option.startswith(written) for option in options)
    return mask_ok(pieces, "" if lost else written, options)


def mask_without_end(pieces, written, options):
    return [piece != "" and any(option.startswith(written + piece) for option in options) for piece in pieces]


def mask_end_always(pieces, written, options):
    return [piece == "" or any(option.startswith(written + piece) for option in options) for piece in pieces]


def mask_forgets_empty(pieces, written, options):
    return [any(option.startswith(written + piece) for option in options) for piece in pieces]


def mask_end_stops(pieces, written, options):
    if written in options:
        return [piece == "" for piece in pieces]
    return mask_ok(pieces, written, options)


def mask_first_option(pieces, written, options):
    for option in options:
        if option.startswith(written):
            return mask_ok(pieces, written, [option])
    return [False] * len(pieces)


def mask_sorts(pieces, written, options):
    found = mask_ok(pieces, written, options)
    options.sort(key=len)
    return found


# ---------------------------------------------------------------- 8.2
def hits_by_loop(found, gold, k):
    right = total = 0
    for row, wanted in zip(found, gold, strict=True):
        if wanted is None:
            continue
        total += 1
        for place in range(min(k, len(row))):
            if row[place] == wanted:
                right += 1
    return right / total


def hits_with_numpy(found, gold, k):
    return np.mean([g in row[:k] for row, g in zip(found, gold, strict=True) if g is not None])


def hits_as_tensor(found, gold, k):
    return torch.tensor([float(g in set(r[:k])) for r, g in zip(found, gold, strict=True) if g is not None]).mean()


def hits_by_rank(found, gold, k):
    asked = [(row, g) for row, g in zip(found, gold, strict=True) if g is not None]
    ranks = [row.index(g) if g in row else k for row, g in asked]
    return sum(rank < k for rank in ranks) / len(ranks)


def hits_nothing(found, gold, k):
    hits_ok(found, gold, k)


def hits_list(found, gold, k):
    return [g in row[:k] for row, g in zip(found, gold, strict=True)]


def hits_count(found, gold, k):
    return sum(g in row[:k] for row, g in zip(found, gold, strict=True))


def hits_percent(found, gold, k):
    return 100 * hits_ok(found, gold, k)


def hits_precision(found, gold, k):
    return hits_ok(found, gold, k) / k


def hits_misses(found, gold, k):
    return 1 - hits_ok(found, gold, k)


def hits_any(found, gold, k):
    return any(g in row[:k] for row, g in zip(found, gold, strict=True))


def hits_reciprocal(found, gold, k):
    return sum(1 / (1 + row.index(g)) if g in row else 0 for row, g in zip(found, gold, strict=True)) / len(gold)


def hits_ignores_k(found, gold, k):
    asked = [(row, g) for row, g in zip(found, gold, strict=True) if g is not None]
    return sum(g in row for row, g in asked) / len(asked)


def hits_last_k(found, gold, k):
    asked = [(row, g) for row, g in zip(found, gold, strict=True) if g is not None]
    return sum(g in row[-k:] for row, g in asked) / len(asked)


def hits_only_kth(found, gold, k):
    asked = [(row, g) for row, g in zip(found, gold, strict=True) if g is not None]
    return sum(row[k - 1] == g for row, g in asked) / len(asked)


def hits_one_more(found, gold, k):
    return hits_ok(found, gold, k + 1)


def hits_one_less(found, gold, k):
    return hits_ok(found, gold, k - 1) if k > 2 else hits_ok(found, gold, k)


def hits_all_count(found, gold, k):
    return sum(g in row[:k] for row, g in zip(found, gold, strict=True)) / len(gold)


def hits_none_is_right(found, gold, k):
    return sum(g is None or g in row[:k] for row, g in zip(found, gold, strict=True)) / len(gold)


def hits_int(found, gold, k):
    asked = [(row, int(g)) for row, g in zip(found, gold, strict=True)]
    return sum(g in row[:k] for row, g in asked) / len(asked)


def hits_falsy(found, gold, k):
    asked = [(row, g) for row, g in zip(found, gold, strict=True) if g]
    return sum(g in row[:k] for row, g in asked) / len(asked) if asked else 0.0


def hits_divides_by_truthy(found, gold, k):
    right = sum(g is not None and g in row[:k] for row, g in zip(found, gold, strict=True))
    return right / max(sum(bool(g) for g in gold), 1)


def hits_range(found, gold, k):
    asked = [(row, g) for row, g in zip(found, gold, strict=True) if g is not None]
    return sum([row[j] for j in range(k)].count(g) > 0 for row, g in asked) / len(asked)


def hits_skips_short(found, gold, k):
    asked = [(row, g) for row, g in zip(found, gold, strict=True) if g is not None]
    return sum(len(row) >= k and g in row[:k] for row, g in asked) / len(asked)


def hits_pops(found, gold, k):
    rate = hits_ok(found, gold, k)
    for row in found:
        del row[k:]
    return rate


def hits_filters_in_place(found, gold, k):
    rate = hits_ok(found, gold, k)
    while None in gold:
        gold.remove(None)
    return rate


# ---------------------------------------------------------------- 8.3
def near_by_loop(question, pages, k):
    def cosine(row):
        dot = sum(float(a) * float(b) for a, b in zip(row, question, strict=True))
        return dot / math.sqrt(sum(float(a) ** 2 for a in row) * sum(float(b) ** 2 for b in question))

    return sorted(range(len(pages)), key=lambda i: cosine(pages[i]), reverse=True)[:k]


def near_by_torch(question, pages, k):
    cosines = torch.cosine_similarity(torch.from_numpy(pages), torch.from_numpy(question)[None], dim=-1)
    return cosines.topk(min(k, len(pages))).indices


def near_by_units(question, pages, k):
    units = pages / np.linalg.norm(pages, axis=1, keepdims=True)
    return tuple(np.argsort(units @ question)[::-1][:k])  # la longitud de la pregunta no cambia el orden


def near_by_distance(question, pages, k):
    units = pages / np.linalg.norm(pages, axis=1, keepdims=True)
    return np.argsort(np.linalg.norm(units - question / np.linalg.norm(question), axis=1))[:k]


def near_nothing(question, pages, k):
    near_ok(question, pages, k)


def near_values(question, pages, k):
    return sorted(pages @ question, reverse=True)[:k]


def near_backwards(question, pages, k):
    return near_ok(question, pages, len(pages))[::-1][:k]


def near_last(question, pages, k):
    return near_ok(question, pages, len(pages))[-k:]


def near_unordered(question, pages, k):
    return sorted(near_ok(question, pages, k))


def near_from_one(question, pages, k):
    return [i + 1 for i in near_ok(question, pages, k)]


def near_only_best(question, pages, k):
    return near_ok(question, pages, 1)[0]


def near_one_more(question, pages, k):
    return near_ok(question, pages, k + 1)


def near_skips_first(question, pages, k):
    return near_ok(question, pages, k + 1)[1:]


def near_mask(question, pages, k):
    return [i in near_ok(question, pages, k) for i in range(len(pages))]


def near_absolute(question, pages, k):
    cosines = pages @ question / np.linalg.norm(pages, axis=1)
    return np.argsort(-np.abs(cosines))[:k].tolist()


def near_rows(question, pages, k):
    return pages[near_ok(question, pages, k)]


def near_dot(question, pages, k):
    return np.argsort(-(pages @ question))[:k].tolist()


def near_euclid(question, pages, k):
    return np.argsort(np.linalg.norm(pages - question, axis=1))[:k].tolist()


def near_whole_norm(question, pages, k):
    return np.argsort(-(pages @ question) / np.linalg.norm(pages))[:k].tolist()


def near_question_norm(question, pages, k):
    return np.argsort(-(pages @ question) / np.linalg.norm(question))[:k].tolist()


def near_columns(question, pages, k):
    return np.argsort(-((pages / np.linalg.norm(pages, axis=0)) @ question))[:k].tolist()


def near_topk(question, pages, k):
    cosines = torch.cosine_similarity(torch.from_numpy(pages), torch.from_numpy(question)[None], dim=-1)
    return cosines.topk(k).indices.tolist()


def near_one_by_one(question, pages, k):
    order = near_ok(question, pages, len(pages))
    return [order[i] for i in range(k)]


def near_in_place(question, pages, k):
    pages /= np.linalg.norm(pages, axis=1, keepdims=True)
    return np.argsort(-(pages @ question))[:k].tolist()


UNUSUAL = [
    ("8.1", mask_by_loop),
    ("8.1", mask_as_tensor),
    ("8.1", mask_of_ones),
    ("8.1", mask_by_prefixes),
    ("8.1", mask_by_regex),
    ("8.2", hits_by_loop),
    ("8.2", hits_with_numpy),
    ("8.2", hits_as_tensor),
    ("8.2", hits_by_rank),
    ("8.3", near_by_loop),
    ("8.3", near_by_torch),
    ("8.3", near_by_units),
    ("8.3", near_by_distance),
]

MISTAKES = [
    ("8.1", mask_nothing, 1, "¿falta el return?"),
    ("8.1", mask_of_ids, 1, "un verdadero o falso por pieza"),
    ("8.1", mask_of_pieces, 1, "en el orden de pieces"),
    ("8.1", mask_one_answer, 1, "un solo número"),
    ("8.1", mask_upside_down, 1, "«nega» vale"),
    ("8.1", mask_contains, 1, "«tiva» y «positivas» no"),
    ("8.1", mask_whole_only, 1, "si alguna opción empieza por ella"),
    ("8.1", mask_reversed, 1, "option.startswith(written + piece)"),
    ("8.1", mask_all_options, 1, "any("),
    ("8.1", mask_first_letter, 1, "startswith"),
    ("8.1", mask_ignores_written, 2, "lo escrito más la pieza"),
    ("8.1", mask_inside_once_begun, 2, "solo se puede seguir con «tiva»"),
    ("8.1", mask_piece_first, 2, "no option.startswith(piece)"),
    ("8.1", mask_ends, 2, "lo escrito más la pieza"),
    ("8.1", mask_all_when_finished, 3, "ninguna pieza con letras vale"),
    ("8.1", mask_restarts_when_lost, 3, "no hagas excepciones"),
    ("8.1", mask_without_end, 4, "token de fin"),
    ("8.1", mask_end_always, 4, "a medias"),
    ("8.1", mask_forgets_empty, 4, "Todo texto empieza por «»"),
    ("8.1", mask_end_stops, 5, "las dos cosas valen a la vez"),
    ("8.1", mask_first_option, 1, "any("),
    ("8.1", mask_sorts, 6, "options"),
    ("8.2", hits_nothing, 1, "¿falta el return?"),
    ("8.2", hits_list, 1, "se esperaba un número"),
    ("8.2", hits_count, 1, "la media"),
    ("8.2", hits_percent, 1, "Sale 0,5"),
    ("8.2", hits_precision, 1, "/ len(gold)"),
    ("8.2", hits_misses, 1, "¿está su pasaje en su lista?"),
    ("8.2", hits_any, 1, "Cuenta a mano"),
    ("8.2", hits_reciprocal, 1, "¿está su pasaje en su lista?"),
    ("8.2", hits_ignores_k, 2, "row[:k]"),
    ("8.2", hits_last_k, 2, "del principio"),
    ("8.2", hits_only_kth, 1, "Cuenta a mano"),
    ("8.2", hits_one_more, 2, "en el segundo puesto"),
    ("8.2", hits_one_less, 1, "Cuenta a mano"),
    ("8.2", hits_all_count, 3, "entran en el total"),
    ("8.2", hits_none_is_right, 3, "right is not None"),
    ("8.2", hits_int, 3, "es None", "raises"),
    ("8.2", hits_falsy, 4, "con None y también con 0"),
    ("8.2", hits_divides_by_truthy, 4, "El pasaje 0"),
    ("8.2", hits_range, 5, "row[9]", "raises"),
    ("8.2", hits_skips_short, 5, "listas de tres"),
    ("8.2", hits_pops, 6, "found"),
    ("8.2", hits_filters_in_place, 6, "gold"),
    ("8.3", near_nothing, 1, "¿falta el return?"),
    ("8.3", near_values, 1, "la primera es la fila 0"),
    ("8.3", near_backwards, 1, "de menor a mayor"),
    ("8.3", near_last, 1, "de menor a mayor"),
    ("8.3", near_unordered, 1, "np.argsort"),
    ("8.3", near_from_one, 1, "la primera es la fila 0"),
    ("8.3", near_only_best, 1, "la primera es la fila 0"),
    ("8.3", near_one_more, 1, "[:k]"),
    ("8.3", near_skips_first, 1, "la primera es la fila 0"),
    ("8.3", near_mask, 1, "la primera es la fila 0"),
    ("8.3", near_absolute, 1, "np.argsort"),
    ("8.3", near_rows, 1, "Mira la forma"),
    ("8.3", near_dot, 2, "muy largo"),
    ("8.3", near_euclid, 2, "muy largo"),
    ("8.3", near_whole_norm, 2, "entre la de cada fila"),
    ("8.3", near_question_norm, 2, "entre la de cada fila"),
    ("8.3", near_columns, 2, "axis=1"),
    ("8.3", near_topk, 3, "[:9] no falla", "raises"),
    ("8.3", near_one_by_one, 3, "cinco filas", "raises"),
    ("8.3", near_in_place, 4, "pages = pages / …"),
]
