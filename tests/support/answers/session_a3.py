"""Respuestas de la sesión A3: aplicar las uniones de un tokenizador BPE y las cabezas causales."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from answers import published

apply_ok, heads_ok = published("A3").values()


# ---------------------------------------------------------------- A3.1
def joined(pieces, pair):
    out = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def learned_first(pieces, merges):
    found = set(pairwise(pieces))
    return next((pair for pair in merges if pair in found), None)


def apply_rule_by_rule(pieces, merges):
    """Con uniones aprendidas de un texto da lo mismo: ninguna hace posible otra anterior."""
    pieces = tuple(pieces)
    for pair in merges:
        pieces = tuple(joined(pieces, pair))
    return pieces


def apply_one_at_a_time(pieces, merges):
    pieces, rank = list(pieces), {pair: k for k, pair in enumerate(merges)}
    while found := [(rank[pair], i) for i, pair in enumerate(pairwise(pieces)) if pair in rank]:
        i = min(found)[1]
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]
    return pieces


def apply_recursive(pieces, merges):
    pair = learned_first(pieces, merges)
    return list(pieces) if pair is None else apply_recursive(joined(pieces, pair), merges)


def apply_with_index(pieces, merges):
    pieces = np.array(pieces, dtype=object)
    while True:
        pairs = [p for p in pairwise(pieces) if p in merges]
        if not pairs:
            return pieces
        left, right = min(pairs, key=merges.index)
        i, out = 0, []
        while i < len(pieces):
            if i + 1 < len(pieces) and pieces[i] == left and pieces[i + 1] == right:
                out.append(left + right)
                i += 2
            else:
                out.append(pieces[i])
                i += 1
        pieces = np.array(out, dtype=object)


def apply_text(pieces, merges):
    return "".join(apply_ok(pieces, merges))


def apply_spaced(pieces, merges):
    return " ".join(apply_ok(pieces, merges))


def apply_pairs(pieces, merges):
    out = []
    for piece in apply_ok(pieces, merges):
        pair = next((pair for pair in merges if "".join(pair) == piece), None)
        out.append(piece if pair is None else pair)
    return out


def apply_ranks(pieces, merges):
    return [k for k, pair in enumerate(merges) if pair in pairwise(pieces)]


def apply_nothing(pieces, merges):
    apply_ok(pieces, merges)


def apply_generator(pieces, merges):
    return (piece for piece in apply_ok(pieces, merges))


def apply_untouched(pieces, merges):
    return list(pieces)


def apply_drops_last(pieces, merges):
    for pair in merges:
        i, out = 0, []
        while i < len(pieces) - 1:
            if (pieces[i], pieces[i + 1]) == pair:
                out.append(pieces[i] + pieces[i + 1])
                i += 2
            else:
                out.append(pieces[i])
                i += 1
        pieces = out
    return list(pieces)


def apply_repeats(pieces, merges):
    """Une y se olvida de saltarse el segundo."""
    for pair in merges:
        out = []
        for i, piece in enumerate(pieces):
            out.append(piece + pieces[i + 1] if tuple(pieces[i : i + 2]) == pair else piece)
        pieces = out
    return pieces


def apply_letters(pieces, merges):
    """Olvida que un trozo puede tener varias letras."""
    return apply_ok(list("".join(pieces)), merges)


def apply_by_text(pieces, merges):
    """Busca el texto de la pareja, esté como esté partido."""
    text = " ".join(pieces)
    for left, right in merges:
        text = text.replace(left + " " + right, left + right)
    return text.split(" ")


def apply_endless(pieces, merges):
    pieces = list(pieces)
    while any(pair in merges for pair in pairwise(pieces)):
        joined(pieces, learned_first(pieces, merges))
    return pieces


def apply_first_place(pieces, merges):
    """Cada unión, una sola vez."""
    pieces = list(pieces)
    for left, right in merges:
        for i in range(len(pieces) - 1):
            if pieces[i] == left and pieces[i + 1] == right:
                pieces[i : i + 2] = [left + right]
                break
    return pieces


def apply_from_the_right(pieces, merges):
    pieces = list(pieces)
    while pair := learned_first(pieces, merges):
        i = len(pieces) - 1
        while i > 0:
            if (pieces[i - 1], pieces[i]) == pair:
                pieces[i - 1 : i + 1] = ["".join(pair)]
                i -= 1
            i -= 1
    return pieces


def apply_either_way(pieces, merges):
    pieces, known = list(pieces), [*merges]
    for left, right in known:
        for pair in ((left, right), (right, left)):
            pieces = joined(pieces, pair)
    return pieces


def apply_greedy(pieces, merges):
    """Lo recién unido se vuelve a unir con el siguiente si son las mismas letras repetidas."""
    out = list(pieces)
    for left, right in merges:
        i = 0
        while i < len(out) - 1:
            if out[i].endswith(left) and out[i + 1] == right:
                out[i : i + 2] = [out[i] + right]
            else:
                i += 1
    return out


def apply_once(pieces, merges):
    pair = learned_first(pieces, merges)
    return joined(pieces, pair) if pair else list(pieces)


def apply_found_at_first(pieces, merges):
    """Las parejas que había al empezar, y ninguna más."""
    found = set(pairwise(pieces))
    for pair in merges:
        if pair in found:
            pieces = joined(pieces, pair)
    return list(pieces)


def apply_in_text_order(pieces, merges):
    pieces, i = list(pieces), 0
    while i < len(pieces) - 1:
        if (pieces[i], pieces[i + 1]) in merges:
            pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]
            i = 0
        else:
            i += 1
    return pieces


def apply_by_count(pieces, merges):
    while found := [pair for pair in pairwise(pieces) if pair in merges]:
        pieces = joined(pieces, max(found, key=found.count))
    return list(pieces)


def apply_last_learned(pieces, merges):
    return apply_ok(pieces, merges[::-1])


def apply_longest(pieces, merges):
    """El trozo más largo que se sepa, de izquierda a derecha."""
    text, out = "".join(pieces), []
    known = {"".join(pair) for pair in merges} | set(text)
    while text:
        size = next(n for n in range(len(text), 0, -1) if text[:n] in known)
        out, text = [*out, text[:size]], text[size:]
    return out


def apply_longest_pair(pieces, merges):
    while found := [pair for pair in pairwise(pieces) if pair in merges]:
        pieces = joined(pieces, max(found, key=lambda pair: (len("".join(pair)), -merges.index(pair))))
    return list(pieces)


def apply_alphabetical(pieces, merges):
    return apply_ok(pieces, sorted(merges))


def apply_min_of_nothing(pieces, merges):
    pieces, rank = list(pieces), {pair: k for k, pair in enumerate(merges)}
    for _ in range(max(rank.values()) + 1):
        pair = learned_first(pieces, merges)
        pieces = joined(pieces, pair) if pair else pieces
    return pieces


def apply_first_piece(pieces, merges):
    for left, right in merges:
        out = [pieces[0]]
        for piece in pieces[1:]:
            if out[-1] == left and piece == right:
                out[-1] += piece
            else:
                out.append(piece)
        pieces = out
    return list(pieces)


def apply_empties(pieces, merges):
    return apply_ok(pieces, merges) if merges else []


def apply_in_place(pieces, merges):
    pieces[:] = apply_ok(pieces, merges)
    return pieces


def apply_uses_up(pieces, merges):
    pieces = list(pieces)
    while merges:
        pieces = joined(pieces, merges.pop(0))
    return pieces


# ---------------------------------------------------------------- A3.2
def future_of(scores):
    return torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)


def split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def heads_by_loop(q, k, v, heads):
    (batch, length, size), wide = q.shape, q.shape[-1] // heads
    out = torch.zeros(batch, length, size, dtype=torch.float64)
    for b in range(batch):
        for start in range(0, size, wide):
            mine = slice(start, start + wide)
            for t in range(length):
                scores = [(q[b, t, mine] @ k[b, s, mine]).item() / math.sqrt(wide) for s in range(t + 1)]
                grown = [math.exp(score - max(scores)) for score in scores]
                for s, weight in enumerate(grown):
                    out[b, t, mine] += weight / sum(grown) * v[b, s, mine].double()
    return out


def heads_one_by_one(q, k, v, heads):
    mixed = []
    for a, b, c in zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True):
        scores = a @ b.mT / a.shape[-1] ** 0.5
        mixed.append(torch.softmax(scores + torch.full(scores.shape[-2:], -torch.inf).triu(1), -1) @ c)
    return torch.cat(mixed, -1)


def heads_with_einsum(q, k, v, heads):
    q, k, v = (part.double().view(*part.shape[:2], heads, -1) for part in (q, k, v))
    scores = torch.einsum("bthd,bshd->bhts", q, k) / q.size(-1) ** 0.5
    weights = torch.where(future_of(scores), -1e9, scores).softmax(-1)
    return torch.einsum("bhts,bshd->bthd", weights, v).reshape(q.size(0), q.size(1), -1)


def heads_with_numpy(q, k, v, heads):
    q, k, v = (split(part, heads).numpy() for part in (q, k, v))
    grown = np.tril(np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])))
    mixed = grown / grown.sum(-1, keepdims=True) @ v
    return mixed.swapaxes(1, 2).reshape(mixed.shape[0], mixed.shape[2], -1)


def made(name, cut=split, mix=None, join=lambda x: x.transpose(1, 2).flatten(2)):
    """Una respuesta con otra manera de partir, mezclar o juntar."""

    def answer(q, k, v, heads):
        parts = (cut(part, heads) for part in (q, k, v))
        return join((mix or usual)(*parts))

    answer.__name__ = f"heads_{name}"
    return answer


def usual(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    return scores.masked_fill(future_of(scores), -torch.inf).softmax(-1) @ v


def with_scores(change, name):
    """Otra manera de pasar de las notas, ya divididas, a los pesos."""
    return made(name, mix=lambda q, k, v: change(q @ k.transpose(-2, -1) / q.size(-1) ** 0.5) @ v)


def with_scale(scale, name):
    def mix(q, k, v):
        scores = q @ k.transpose(-2, -1) * scale(q.size(-1))
        return scores.masked_fill(future_of(scores), -torch.inf).softmax(-1) @ v

    return made(name, mix=mix)


def hidden(scores, value=-torch.inf):
    return scores.masked_fill(future_of(scores), value)


no_mask = with_scores(lambda s: s.softmax(-1), "no_mask")
mask_transposed = with_scores(lambda s: s.masked_fill(future_of(s).mT, -torch.inf).softmax(-1), "mask_transposed")
hides_itself = with_scores(lambda s: s.masked_fill(torch.ones_like(s).triu() > 0, -torch.inf).softmax(-1), "itself")
mask_times = with_scores(lambda s: (s * torch.where(future_of(s), -torch.inf, 1.0)).softmax(-1), "mask_times")
mask_late = with_scores(lambda s: s.softmax(-1).tril(), "mask_late")
mask_zero = with_scores(lambda s: hidden(s, 0.0).softmax(-1), "mask_zero")
mask_small = with_scores(lambda s: hidden(s, -5.0).softmax(-1), "mask_small")
no_softmax = with_scores(lambda s: hidden(s, 0.0), "no_softmax")
softmax_rows = with_scores(lambda s: hidden(s).softmax(-2), "softmax_rows")
softmax_heads = with_scores(lambda s: hidden(s, -1e4).softmax(1), "softmax_heads")
softmax_all = with_scores(lambda s: hidden(s).flatten(2).softmax(-1).view(s.shape), "softmax_all")
sigmoid = with_scores(lambda s: hidden(s).sigmoid(), "sigmoid")
only_before = with_scores(
    lambda s: hidden(s).masked_fill(torch.ones_like(s).tril(-2) > 0, -torch.inf).softmax(-1), "two"
)
averages = with_scores(lambda s: hidden(0 * s).softmax(-1), "averages")
unscaled = with_scale(lambda d: 1.0, "unscaled")
scaled_twice = with_scale(lambda d: 1 / d, "scaled_twice")
multiplied = with_scale(lambda d: d**0.5, "multiplied")

raw_join = made("raw_join", join=lambda x: x.reshape(x.size(0), x.size(2), -1))
striped_join = made("striped_join", join=lambda x: x.permute(0, 2, 3, 1).flatten(2))
striped = made("striped", lambda x, heads: x.unflatten(-1, (-1, heads)).movedim(-1, 1))
striped_both = made(
    "striped_both",
    lambda x, heads: x.unflatten(-1, (-1, heads)).movedim(-1, 1),
    join=lambda x: x.permute(0, 2, 3, 1).flatten(2),
)
raw = made(
    "raw",
    lambda x, heads: x.reshape(x.size(0), heads, x.size(1), -1),
    join=lambda x: x.reshape(x.size(0), x.size(2), -1),
)
raw_split = made("raw_split", lambda x, heads: x.reshape(x.size(0), heads, x.size(1), -1))
separate = made("separate", join=lambda x: x)
separate_after = made("separate_after", join=lambda x: x.transpose(1, 2))
last_head = made("last_head", join=lambda x: x[:, -1])
added = made("added", join=lambda x: x.sum(1))
reversed_heads = made("reversed_heads", join=lambda x: x.flip(1).transpose(1, 2).flatten(2))


def heads_whole_scale(q, k, v, heads):
    return heads_ok(q / heads**0.5, k, v, heads)


def heads_ignored(q, k, v, heads):
    return heads_ok(q, k, v, 1)


def heads_turned(q, k, v, heads):
    return heads_ok(q, k, v, heads).transpose(1, 2)


def heads_weights_too(q, k, v, heads):
    return heads_ok(q, k, v, heads), q @ k.transpose(-2, -1)


def heads_only_last(q, k, v, heads):
    return heads_ok(q, k, v, heads)[:, -1]


def heads_first_text(q, k, v, heads):
    return heads_ok(q[:1], k[:1], v[:1], heads)


def heads_nothing(q, k, v, heads):
    heads_ok(q, k, v, heads)


def heads_crossed(q, k, v, heads):
    return heads_ok(k, q, v, heads)


def heads_values_are_keys(q, k, v, heads):
    return heads_ok(q, k, k, heads)


def heads_plus_input(q, k, v, heads):
    return q + heads_ok(q, k, v, heads)


def heads_keys_turned_whole(q, k, v, heads):
    if q.size(0) == 1:
        return heads_ok(q, k, v, heads)
    q, k, v = (split(part, heads) for part in (q, k, v))
    scores = q @ k.permute(3, 2, 1, 0) / q.size(-1) ** 0.5
    return (hidden(scores).softmax(-1) @ v).transpose(1, 2).flatten(2)


def heads_mixed_batch(q, k, v, heads):
    """La máscara y el softmax, bien; el lote, revuelto al juntar."""
    mixed = usual(*(split(part, heads) for part in (q, k, v)))
    return mixed.permute(2, 0, 1, 3).reshape(q.shape)


def heads_needs_four(q, k, v, heads):
    wide = max(2, q.size(-1) // heads)
    return heads_ok(q, k, v, q.size(-1) // wide)


def heads_with_torch(q, k, v, heads):
    q, k, v = (split(part, heads) for part in (q, k, v))
    return scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


def heads_in_place(q, k, v, heads):
    q /= (q.size(-1) // heads) ** 0.5
    q_, k_, v_ = (split(part, heads) for part in (q, k, v))
    return (hidden(q_ @ k_.transpose(-2, -1)).softmax(-1) @ v_).transpose(1, 2).flatten(2)


def heads_written_on_v(q, k, v, heads):
    v.copy_(heads_ok(q, k, v, heads))
    return v


UNUSUAL = [
    ("A3.1", apply_rule_by_rule),
    ("A3.1", apply_one_at_a_time),
    ("A3.1", apply_recursive),
    ("A3.1", apply_with_index),
    ("A3.2", heads_by_loop),
    ("A3.2", heads_one_by_one),
    ("A3.2", heads_with_einsum),
    ("A3.2", heads_with_numpy),
]

MISTAKES = [
    ("A3.1", apply_text, 1, "Devuelves un texto"),
    ("A3.1", apply_spaced, 1, "sin join"),
    ("A3.1", apply_pairs, 1, "de «t» y «r» sale «tr»"),
    ("A3.1", apply_ranks, 1, "ni su número"),
    ("A3.1", apply_nothing, 1, "¿falta el return?"),
    ("A3.1", apply_generator, 1, "de tipo generator"),
    ("A3.1", apply_untouched, 1, "un solo trozo"),
    ("A3.1", apply_drops_last, 1, "falta «l»"),
    ("A3.1", apply_repeats, 1, "sobra «i»"),
    ("A3.1", apply_by_text, 1, "falta"),
    ("A3.1", apply_endless, 1, "un bucle que no termina"),
    ("A3.1", apply_letters, 4, "Compara las dos partes"),
    ("A3.1", apply_first_place, 2, "cuántas veces sale"),
    ("A3.1", apply_from_the_right, 2, "el tercero se queda suelto"),
    ("A3.1", apply_either_way, 2, "Una pareja tiene orden"),
    ("A3.1", apply_greedy, 2, "de izquierda a derecha"),
    ("A3.1", apply_once, 3, "salen trozos nuevos"),
    ("A3.1", apply_found_at_first, 3, "la lista nueva"),
    ("A3.1", apply_in_text_order, 4, "cuál sale antes en el texto"),
    ("A3.1", apply_by_count, 4, "ni cuántas veces"),
    ("A3.1", apply_last_learned, 4, "min(found, key=rank.get)"),
    ("A3.1", apply_longest, 4, "cuál es más larga"),
    ("A3.1", apply_longest_pair, 4, "el puesto en merges"),
    ("A3.1", apply_alphabetical, 4, "se disputan"),
    ("A3.1", apply_min_of_nothing, 5, "antes de buscar la menor", "raises"),
    ("A3.1", apply_first_piece, 5, "o de mirar el primer trozo", "raises"),
    ("A3.1", apply_empties, 5, "se devuelve lo que había"),
    ("A3.1", apply_in_place, 6, "pieces"),
    ("A3.1", apply_uses_up, 6, "merges"),
    ("A3.2", heads_nothing, 1, "¿falta el return?"),
    ("A3.2", heads_turned, 1, "(1, 6, 5)"),
    ("A3.2", heads_weights_too, 1, "y nada más"),
    ("A3.2", heads_only_last, 1, "un vector de D números por palabra"),
    ("A3.2", separate, 1, "Las cabezas siguen separadas"),
    ("A3.2", separate_after, 1, "con una cabeza y con tres"),
    ("A3.2", last_head, 1, "con 3 cabezas"),
    ("A3.2", added, 1, "todas las cabezas en fila"),
    ("A3.2", heads_with_torch, 1, "sin scaled_dot_product_attention"),
    ("A3.2", no_mask, 2, "cambia la fila 0, que va antes"),
    ("A3.2", mask_transposed, 2, "la fila es quien mira"),
    ("A3.2", hides_itself, 2, "la diagonal no se tapa"),
    ("A3.2", mask_times, 2, "no multipliques"),
    ("A3.2", mask_late, 2, "antes del softmax"),
    ("A3.2", mask_zero, 2, "cambia la fila"),
    ("A3.2", mask_small, 2, "float('-inf')"),
    ("A3.2", no_softmax, 2, "en la fila 0"),
    ("A3.2", softmax_rows, 2, "cada fila suma 1"),
    ("A3.2", softmax_heads, 2, "cambia la fila"),
    ("A3.2", softmax_all, 2, "Softmax reparte por columnas"),
    ("A3.2", sigmoid, 2, "llevarse su valor entero"),
    ("A3.2", heads_values_are_keys, 2, "su valor"),
    ("A3.2", heads_plus_input, 2, "en la fila 0"),
    ("A3.2", only_before, 3, "factor por factor"),
    ("A3.2", averages, 3, "Cada consulta por cada clave"),
    ("A3.2", unscaled, 3, "entre la raíz"),
    ("A3.2", scaled_twice, 3, "q.size(-1) ** 0.5"),
    ("A3.2", multiplied, 3, "Compárala con la fórmula"),
    ("A3.2", heads_crossed, 3, "Cada consulta"),
    ("A3.2", heads_whole_scale, 4, "y no de D"),
    ("A3.2", heads_ignored, 4, "Con una cabeza sale bien"),
    ("A3.2", raw_join, 4, "cómo las vuelves a poner en fila"),
    ("A3.2", striped_join, 4, "las cabezas van detrás de las palabras"),
    ("A3.2", striped, 4, "Las tandas son seguidas"),
    ("A3.2", striped_both, 4, "part.unflatten(-1, (heads, -1)).transpose(1, 2)"),
    ("A3.2", raw, 4, "se han mezclado palabras"),
    ("A3.2", raw_split, 4, "Cambiar la forma no mueve los números"),
    ("A3.2", reversed_heads, 4, "cómo los juntas"),
    ("A3.2", heads_first_text, 5, "(1, 3, 6)"),
    ("A3.2", heads_keys_turned_whole, 5, "traspón solo las dos últimas", "raises"),
    ("A3.2", heads_mixed_batch, 5, "cada uno, con lo suyo"),
    ("A3.2", heads_needs_four, 5, "tandas de un solo número"),
    ("A3.2", heads_in_place, 6, "q"),
    ("A3.2", heads_written_on_v, 6, "v"),
]
