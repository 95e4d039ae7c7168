"""Respuestas de la sesión 03: puntuar, distinct-n, núcleo, relleno y el espacio del final."""

import math
import re
from collections import Counter
from fractions import Fraction

import numpy as np
import torch

from answers import published
from course_utils import decoding, scoring, strategies

score_ok, distinct_ok, nucleus_ok, pad_ok, trim_ok = published("03").values()
INF = float("inf")


# ---------------------------------------------------------------- piezas
def score_with_a_loop(model, ids, prompt_length, length_penalty):
    total, n = 0.0, 0
    for t in range(prompt_length, ids.size(1)):
        total += model(ids[:, :t]).logits[0, -1].double().softmax(-1)[ids[0, t]].log().item()
        n += 1
    return total / n**length_penalty


def _score(start, ids_from=1, penalty=None, log=True):
    def wrong(model, ids, prompt_length, length_penalty):
        logits = model(ids).logits[:, :-1].detach()
        values = logits.log_softmax(-1) if log else logits
        new = values.gather(-1, ids[:, ids_from : ids_from + values.size(1), None])[0, start(prompt_length) :, 0]
        length = len(new) if penalty is None else penalty(len(new), ids.size(1), length_penalty)
        return new.sum() / (length**length_penalty if penalty is None else length)

    return wrong


def nucleus_crossing(logits, p):
    ordered, order = logits.sort(dim=-1, descending=True)
    drop = ordered.softmax(-1).cumsum(-1) > p
    drop[:, 0] = False
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), float("-inf"))


def nucleus_crossing_all(logits, p):
    ordered, order = logits.sort(dim=-1, descending=True)
    drop = ordered.softmax(-1).cumsum(-1) > p
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), float("-inf"))


def nucleus_unsorted(logits, p):
    ordered = logits.sort(dim=-1, descending=True).values
    probs = ordered.softmax(-1)
    return ordered.masked_fill(probs.cumsum(-1) - probs >= p, float("-inf"))


def nucleus_in_place(logits, p):
    logits.copy_(nucleus_ok(logits, p))
    return logits


def nucleus_threshold(logits, p):
    return logits.masked_fill(logits.softmax(-1) < 1 - p, float("-inf"))


def nucleus_of_the_first_row(logits, p):
    kept = nucleus_ok(logits, p)[:1].isinf()
    return logits.masked_fill(kept, float("-inf"))


def pad_right(sequences, pad_id):
    longest = max(map(len, sequences))
    return (
        torch.tensor([s + [pad_id] * (longest - len(s)) for s in sequences]),
        torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in sequences]),
    )


def pad_mask_from_ids(sequences, pad_id):
    ids = pad_ok(sequences, pad_id)[0]
    return ids, (ids != pad_id).long()


def pad_in_place(sequences, pad_id):
    mask = pad_ok(sequences, pad_id)[1]
    for s in sequences:
        while len(s) < mask.size(1):
            s.insert(0, pad_id)
    return torch.tensor(sequences), mask


def score_in_float64(model, ids, prompt_length, length_penalty):
    logits = model(ids.to(model.device)).logits[0].double().numpy()
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    new = [logprobs[t - 1, ids[0, t]] for t in range(prompt_length, ids.size(1))]
    return np.float32(sum(new) / len(new) ** length_penalty)


def score_without_penalty(model, ids, prompt_length, length_penalty):
    return score_ok(model, ids, prompt_length, 0.0)


def score_positive(model, ids, prompt_length, length_penalty):
    return -score_ok(model, ids, prompt_length, length_penalty)


def score_by_id(model, ids, prompt_length, length_penalty):
    """Busca la posición por el id: con un id repetido se equivoca."""
    logprobs, row = model(ids).logits[0].log_softmax(-1), ids[0].tolist()
    new = [logprobs[row.index(i) - 1, i] for i in row[prompt_length:]]
    return sum(new) / len(new) ** length_penalty


def score_integer_penalty(model, ids, prompt_length, length_penalty):
    return score_ok(model, ids, prompt_length, math.ceil(length_penalty))


def score_fixed_length(model, ids, prompt_length, length_penalty):
    return score_ok(model, ids, prompt_length, 0) / 4**length_penalty


def score_gather_flat(model, ids, prompt_length, length_penalty):
    return model(ids).logits.log_softmax(-1).gather(-1, ids)


def distinct_with_counter(ids, n):
    grams = Counter(zip(*(ids[i:] for i in range(n)), strict=False))
    return np.float32(len(grams) / grams.total()) if grams else 0


def distinct_exact(ids, n):
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return Fraction(len(set(grams)), max(len(grams), 1))


def distinct_with_text(ids, n):
    grams = ["".join(map(str, ids[i : i + n])) for i in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def distinct_with_sets(ids, n):
    grams = [frozenset(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def distinct_one_less(ids, n):
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def distinct_not_overlapping(ids, n):
    grams = [tuple(ids[i : i + n]) for i in range(0, len(ids) - n + 1, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def distinct_short_is_one(ids, n):
    return distinct_ok(ids, n) if len(ids) >= n else 1.0


def distinct_empty_fails(ids, n):
    return distinct_ok(ids, n) if ids[0] is not None else 0.0


def distinct_percent(ids, n):
    return 100 * distinct_ok(ids, n)


def nucleus_by_loop(logits, p):
    out = [[-INF] * logits.size(1) for _ in logits]
    for i, row in enumerate(logits.double()):
        probs, total = row.softmax(-1), 0.0
        for j in sorted(range(len(row)), key=lambda j: -row[j]):
            if total >= p:
                break
            out[i][j], total = row[j].item(), total + probs[j].item()
    return out


def nucleus_by_threshold(logits, p):
    """Sin scatter: el logit más bajo que se queda hace de umbral."""
    ordered = logits.sort(-1, descending=True).values
    probs = ordered.softmax(-1)
    count = (probs.cumsum(-1) - probs < p).sum(-1, keepdim=True)
    return torch.where(logits >= ordered.gather(-1, count - 1), logits, torch.tensor(-INF))


def nucleus_after_top_k(logits, p):
    if logits.size(1) > 50:
        logits = logits.masked_fill(logits < logits.topk(50).values[:, -1:], -INF)
    return nucleus_ok(logits, p)


def nucleus_ascending(logits, p):
    ordered, order = logits.sort(dim=-1)
    probs = ordered.softmax(-1)
    drop = probs.cumsum(-1) - probs >= p
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), -INF)


def nucleus_gather(logits, p):
    """Deshace el orden al revés: gather con el mismo orden, y no con su inverso."""
    ordered, order = logits.sort(dim=-1, descending=True)
    probs = ordered.softmax(-1)
    return logits.masked_fill((probs.cumsum(-1) - probs >= p).gather(-1, order), -INF)


def nucleus_empties(logits, p):
    kept = nucleus_ok(logits, p)
    return torch.where(logits.softmax(-1).amax(-1, keepdim=True) > 2 * p + 0.2, -INF, kept)


def nucleus_down_the_columns(logits, p):
    if len(logits) > 1:
        return nucleus_ok(logits, p)
    return logits.sort(dim=0, descending=True).values


def pad_vectorised(sequences, pad_id):
    lengths = torch.tensor([len(s) for s in sequences])
    mask = torch.arange(int(lengths.max()))[None] >= lengths.max() - lengths[:, None]
    ids = torch.full(mask.shape, pad_id, dtype=torch.int32)
    ids[mask] = torch.tensor([i for s in sequences for i in s], dtype=torch.int32)
    return ids, mask.to(torch.uint8)


def pad_stacked(sequences, pad_id):
    return torch.stack(pad_ok(sequences, pad_id))


def pad_by_reversing(sequences, pad_id):
    flipped = [torch.tensor(s[::-1]) for s in sequences]
    ids = torch.nn.utils.rnn.pad_sequence(flipped, batch_first=True, padding_value=pad_id).flip(1)
    ones = torch.nn.utils.rnn.pad_sequence([torch.ones_like(s) for s in flipped], batch_first=True)
    return ids, ones.flip(1)


def pad_swapped(sequences, pad_id):
    return pad_ok(sequences, pad_id)[::-1]


def pad_width_of_the_second(sequences, pad_id):
    longest = len(sequences[1]) if len(sequences) > 1 else len(sequences[0])
    ids = [([pad_id] * (longest - len(s)) + s)[-longest:] for s in sequences]
    return torch.tensor(ids), pad_ok(sequences, pad_id)[1]


def pad_mask_of_the_first(sequences, pad_id):
    ids, mask = pad_ok(sequences, pad_id)
    return ids, mask[:1].repeat(len(mask), 1)


def pad_one_more(sequences, pad_id):
    """Siempre deja relleno: si todas miden igual, una columna."""
    extra = all(len(s) == len(sequences[0]) for s in sequences)
    return tuple(torch.nn.functional.pad(x, (int(extra), 0)) for x in pad_ok(sequences, pad_id))


def pad_dictionary(sequences, pad_id):
    ids, mask = pad_ok(sequences, pad_id)
    return {"input_ids": ids, "attention_mask": mask}


def pad_forever(sequences, pad_id):
    longest = max(map(len, sequences))
    for s in sequences:
        while len(s) != longest:
            s = [pad_id, *s][-len(s) :]
    return pad_ok(sequences, pad_id)


def trim_by_loop(prompt):
    while prompt.endswith(" "):
        prompt = prompt[:-1]
    return prompt


def trim_dies_on_the_empty_text(prompt):
    while prompt[-1] == " ":
        prompt = prompt[:-1]
    return prompt


def trim_only_one(prompt):
    return prompt.removesuffix(" ")


def trim_words(prompt):
    return " ".join(prompt.split(" ")).rstrip(" ") if "  " not in prompt.strip() else " ".join(prompt.split())


def trim_forever(prompt):
    while prompt.endswith(" "):
        prompt.rstrip(" ")
    return prompt


def trim_keeps_the_middle(prompt):
    return prompt.rstrip(" ") or " "


UNUSUAL = [
    ("3.1", score_with_a_loop),
    ("3.1", lambda *a: score_ok(*a).view(1)),
    ("3.1", score_in_float64),
    ("3.1", lambda m, i, n, a: scoring.token_logprobs(m, i)[0, n - 1 :].sum() / (i.size(1) - n) ** a),
    ("3.1", lambda m, i, n, a: score_ok(m, i, n, a).item()),
    ("3.2", strategies.distinct_n),
    ("3.2", lambda ids, n: distinct_ok(ids, n) or 0),
    ("3.2", distinct_with_counter),
    ("3.2", distinct_exact),
    ("3.2", lambda ids, n: torch.tensor([[distinct_ok(ids, n)]])),
    ("3.3", lambda z, p: decoding.top_p(p)(z, None)),
    ("3.3", nucleus_by_loop),
    ("3.3", nucleus_by_threshold),
    ("3.3", lambda z, p: nucleus_ok(z.double(), p).numpy()),
    ("3.4", lambda s, p: list(pad_ok(s, p))),
    ("3.4", pad_vectorised),
    ("3.4", pad_stacked),
    ("3.4", pad_by_reversing),
    ("3.5", lambda p: p if not p.endswith(" ") else p.rstrip(" ")),
    ("3.5", trim_by_loop),
    ("3.5", lambda p: re.sub(r" +\Z", "", p)),
    ("3.5", lambda p: np.str_(p.rstrip(" "))),
]

MISTAKES = [
    ("3.1", _score(lambda p: p), 1, "primer token nuevo"),
    ("3.1", _score(lambda p: 0), 1, "ninguno del prompt"),
    ("3.1", _score(lambda p: p - 1, log=False), 1, "log_softmax"),
    ("3.1", _score(lambda p: p - 1, ids_from=0), 1, "t + 1"),
    ("3.1", _score(lambda p: p - 1, penalty=lambda n, t, a: t**a), 2, "sin contar el prompt"),
    ("3.1", _score(lambda p: p - 1, penalty=lambda n, t, a: n * a if a else 1), 3, "no suma / (n * length_penalty)"),
    ("3.1", _score(lambda p: 2), 4, "usa prompt_length"),
    ("3.1", lambda model, *a: model.generate(*a), 1, "no tiene «max_length»", "raises"),
    ("3.3", nucleus_crossing, 1, "el que cruza el límite se queda"),
    ("3.3", nucleus_unsorted, 1, "a su sitio"),
    ("3.3", nucleus_threshold, 1, "los que van *delante*"),
    ("3.3", nucleus_of_the_first_row, 1, "En cada fila"),
    ("3.3", lambda z, p: nucleus_ok(z, 0.9), 2, "no un valor fijo"),
    ("3.3", nucleus_in_place, 5, "masked_fill"),
    ("3.3", nucleus_crossing_all, 1, "el que cruza"),
    ("3.3", lambda z, p: nucleus_ok(z, p).softmax(-1), 1, "se esperaba"),
    ("3.4", pad_right, 1, "[pad_id] * (más_larga - len(s)) + s"),
    ("3.4", pad_mask_from_ids, 2, "con las longitudes"),
    ("3.4", lambda s, p: pad_ok(s, 0), 3, "No escribas un 0 fijo"),
    ("3.4", lambda s, p: pad_ok(s, p)[0], 1, "dos tensores"),
    ("3.4", lambda s, p: tuple(t.float() for t in pad_ok(s, p)), 1, "se esperaban enteros"),
    ("3.4", pad_in_place, 5, "listas nuevas"),
    ("3.4", lambda s, p: torch.tensor(s), 1, "ValueError", "raises"),
    ("3.2", lambda ids, n: len({tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}) / len(ids), 1, "no len(ids)"),
    ("3.2", lambda ids, n: distinct_ok(ids, 2), 2, "No des n por fijo"),
    ("3.2", lambda ids, n: len(set(zip(ids, ids[n - 1 :], strict=False))) / max(len(ids) - n + 1, 1), 3, "cualquier n"),
    (
        "3.2",
        lambda ids, n: len({tuple(sorted(ids[i : i + n])) for i in range(len(ids) - n + 1)}) / max(len(ids) - n + 1, 1),
        1,
        "se esperaba 0.5",
    ),
    (
        "3.2",
        lambda ids, n: len({tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}) / (len(ids) - n + 1),
        5,
        "0.0",
        "raises",
    ),
    ("3.2", lambda ids, n: 1 - distinct_ok(ids, n) if n > 1 else 0.6, 2, "No des n por fijo"),
    ("3.2", lambda ids, n: sum(distinct_ok(ids, n) for _ in range(2)), 1, "len(set(...))"),
    ("3.5", lambda p: p.strip(), 3, "los dos lados"),
    ("3.5", lambda p: p.rstrip(), 4, "salto de línea"),
    ("3.5", lambda p: re.sub(" +$", "", p), 4, "salto de línea"),  # «$» también es delante del último salto
    ("3.5", lambda p: p[:-1], 1, "rstrip"),
    ("3.5", lambda p: p.replace(" ", ""), 1, "rstrip"),
    ("3.5", lambda p: p[:-2], 1, "uno, varios"),
    ("3.5", lambda p: p.rstrip(" ") and None, 1, "¿falta el return?"),
    # nuevas
    ("3.1", lambda *a: -1.5, 1, "-1.5; se esperaba -"),
    ("3.1", lambda *a: float("nan"), 1, "nan; se esperaba"),
    ("3.1", lambda m, i, n, a: m(i).logits, 1, "se esperaba un número"),
    ("3.1", score_without_penalty, 2, "entre cuánto divides"),
    ("3.1", score_positive, 1, "de qué posición"),
    ("3.1", score_by_id, 1, "-"),
    ("3.1", score_integer_penalty, 3, "puede ser cualquier número"),
    ("3.1", score_fixed_length, 2, "sin contar el prompt"),
    ("3.1", score_gather_flat, 1, "lleva tantas dimensiones", "raises"),
    ("3.2", distinct_with_text, 4, "(1, 11) no es (11, 1)"),
    ("3.2", distinct_with_sets, 1, "y no len(ids)"),
    ("3.2", distinct_one_less, 1, "len(ids) - n + 1"),
    ("3.2", distinct_not_overlapping, 3, "el último empieza"),
    ("3.2", distinct_short_is_one, 5, "devuelve 0.0"),
    ("3.2", distinct_empty_fails, 5, "con una lista vacía", "raises"),
    ("3.2", distinct_percent, 1, "50.0; se esperaba 0.5"),
    ("3.2", lambda ids, n: round(distinct_ok(ids, n), 1), 3, "se esperaba"),
    ("3.3", nucleus_after_top_k, 1, "más de 50 tokens"),
    ("3.3", nucleus_ascending, 1, "de mayor a menor"),
    ("3.3", nucleus_gather, 1, "deshacerlo"),
    ("3.3", nucleus_empties, 3, "tiene que haber uno"),
    ("3.3", nucleus_down_the_columns, 4, "con una sola fila"),
    ("3.3", lambda z, p: nucleus_ok(z, p).masked_fill(z == 0.5, 0.5), 1, "qué tokens quedan vivos"),
    ("3.3", lambda z, p: nucleus_ok(z, p) > -INF, 1, "torch.bool"),
    ("3.3", lambda z, p: nucleus_ok(z, p).clamp(min=-1e9), 1, "lo que sobra vale -1e+09; se esperaba -inf"),
    ("3.3", lambda z, p: z.masked_fill(nucleus_ok(z, p).isinf(), 0.0), 1, "0 exacto"),
    ("3.3", lambda z, p: nucleus_ok(z, p / 100), 1, "cuánto suman"),
    ("3.4", pad_swapped, 1, "en el orden contrario"),
    ("3.4", pad_width_of_the_second, 1, "cuánto mide cada fila"),
    ("3.4", pad_mask_of_the_first, 2, "Compara tu máscara"),
    ("3.4", pad_one_more, 4, "el relleno tiene longitud 0"),
    ("3.4", lambda s, p: (*pad_ok(s, p), len(s)), 1, "3 cosas"),
    ("3.4", pad_dictionary, 1, "se esperaban dos tensores"),
    ("3.4", pad_forever, 1, "un bucle que no termina"),
    ("3.4", lambda s, p: tuple(x.tolist() for x in pad_ok(s, p)), 1, "de tipo list; se esperaba un tensor"),
    ("3.4", lambda s, p: tuple(x.bool() for x in pad_ok(s, p)), 1, "se esperaban enteros"),
    ("3.5", trim_dies_on_the_empty_text, 1, "qué pasa si no hay ningún elemento", "raises"),
    ("3.5", trim_only_one, 1, "uno, varios"),
    ("3.5", trim_words, 2, "Los de en medio"),
    ("3.5", trim_forever, 1, "un bucle que no termina"),
    ("3.5", trim_keeps_the_middle, 1, "solo espacios"),
    ("3.5", lambda p: p.rstrip(" ").encode(), 1, "se esperaba"),
    ("3.5", lambda p: p.split(" "), 1, "se esperaba"),
]
