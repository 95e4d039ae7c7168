"""Respuestas de la sesión 05: regla de la cadena, primer token, relleno, ventanas y bits por carácter."""

import math
from decimal import Decimal

import numpy as np
import torch

from answers import published

chain_ok, nll_ok, perplexities_ok, windows_ok, bits_ok = published("05").values()


# ---------------------------------------------------------------- piezas
def nll_with_a_loop(model, ids, start_id):
    total, so_far = 0.0, [start_id]
    for token in ids[0].tolist():
        total -= model(torch.tensor([so_far])).logits[0, -1].double().softmax(-1)[token].log().item()
        so_far.append(token)
    return torch.tensor(total)


def nll_without_start(model, ids, start_id):
    logprobs = model(ids).logits[:, :-1].log_softmax(-1)
    return -logprobs.gather(-1, ids[:, 1:, None]).sum().item()


def nll_not_shifted(model, ids, start_id):
    with_start = torch.cat([torch.tensor([[start_id]]), ids], dim=1)
    return -model(with_start).logits[:, 1:].log_softmax(-1).gather(-1, ids[..., None]).sum().item()


def nll_of_the_start_too(model, ids, start_id):
    with_start = torch.cat([torch.tensor([[start_id]] * 2).T, ids], dim=1)
    logprobs = model(with_start).logits[:, :-1].log_softmax(-1)
    return -logprobs.gather(-1, with_start[:, 1:, None]).sum().item()


def windows_double(n, window, stride):
    return [(b, e, e - b - 1) for b, e, _ in windows_ok(n, window, stride)]


def windows_extra(n, window, stride):
    found, seen = [], 1
    for begin in range(0, n, stride):
        end = min(begin + window, n)
        found.append((begin, end, end - seen))
        seen = end
    return found


def windows_of_stride(n, window, stride):
    return [(b, min(b + window, n), min(stride, n - b)) for b in range(0, n, stride)]


def windows_past_the_end(n, window, stride):
    return [(b, b + window, new) for b, _, new in windows_ok(n, window, stride)]


def windows_without_overlap(n, window, stride):
    return windows_ok(n, window, window - 1 if stride > n / 10 else window // 2)


def zero_times(logprobs, mask):
    return (-(logprobs * mask[:, 1:]).sum(1) / mask[:, 1:].sum(1)).exp()


def chain_in_float32(next_probs, words):
    total = torch.tensor(0.0)
    for i, word in enumerate(words):
        total = total + torch.tensor(next_probs(words[:i])[word]).log()
    return total


def chain_growing_a_list(next_probs, words):
    total, prefix = 0.0, []
    for word in words:
        total += math.log(next_probs(prefix)[word])
        prefix = [*prefix, word]
    return total


def chain_recursive(next_probs, words):
    if not words:
        return 0
    return chain_recursive(next_probs, words[:-1]) + math.log(next_probs(words[:-1])[words[-1]])


def chain_rebuilding(next_probs, words):
    """Copia el prefijo palabra a palabra: muchas líneas, y acaba."""
    total = 0.0
    for i in range(len(words)):
        prefix = []
        for j in range(i):
            prefix.append(words[j])
        total += math.log(next_probs(prefix)[words[i]])
    return total


def chain_by_index(next_probs, words):
    return sum(math.log(next_probs(words[: words.index(word)])[word]) for word in words)


def chain_reversed(next_probs, words):
    return sum(math.log(next_probs(words[:i][::-1])[word]) for i, word in enumerate(words))


def chain_wrong_key(next_probs, words):
    return sum(math.log(next_probs(words[:i])[i]) for i in range(len(words)))


def chain_mean(next_probs, words):
    return chain_ok(next_probs, words) / len(words)


def chain_forever(next_probs, words):
    total, i = 0.0, 0
    while i < len(words):
        total += math.log(next_probs(words[:i])[words[i]])
    return total


def nll_by_hand(model, ids, start_id):
    whole = torch.cat([torch.full_like(ids[:, :1], start_id), ids], dim=1).to(model.device)
    with torch.inference_mode():
        logits = model(input_ids=whole).logits[0, :-1].numpy().astype("float64")
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return np.float32(-logprobs[np.arange(ids.size(1)), ids[0]].sum())


def nll_cross_entropy(model, ids, start_id):
    whole = torch.nn.functional.pad(ids, (1, 0), value=start_id)
    return torch.nn.functional.cross_entropy(model(whole).logits[0, :-1], ids[0], reduction="sum")


def nll_start_at_the_end(model, ids, start_id):
    whole = torch.cat([ids, torch.tensor([[start_id]])], dim=1)
    logprobs = model(whole).logits[:, 1:].log_softmax(-1)
    return -logprobs.gather(-1, ids[..., None]).sum().item()


def nll_falsy_start(model, ids, start_id):
    return nll_ok(model, ids, start_id or 1)


def nll_in_bits(model, ids, start_id):
    return nll_ok(model, ids, start_id) / math.log(2)


def nll_max(model, ids, start_id):
    """La sorpresa del favorito, y no la del token que hay."""
    whole = torch.cat([torch.tensor([[start_id]]), ids], dim=1)
    return -model(whole).logits[:, :-1].log_softmax(-1).amax(-1).sum().item()


def nll_wrong_cat(model, ids, start_id):
    return model(torch.cat([torch.tensor([start_id]), ids], dim=1)).logits.sum()


def nll_per_token(model, ids, start_id):
    whole = torch.cat([torch.tensor([[start_id]]), ids], dim=1)
    return -model(whole).logits[:, :-1].log_softmax(-1).gather(-1, ids[..., None])


def nll_unique(model, ids, start_id):
    """Cuenta una vez cada token distinto."""
    whole = torch.cat([torch.tensor([[start_id]]), ids], dim=1)
    logprobs = model(whole).logits[0, :-1].log_softmax(-1)
    return -sum({i: logprobs[t, i].item() for t, i in enumerate(ids[0].tolist())}.values())


def perplexities_by_loop(logprobs, attention_mask):
    found = []
    for row, real in zip(logprobs.tolist(), attention_mask.tolist(), strict=True):
        kept = [x for x, keep in zip(row, real[1:], strict=True) if keep]
        found.append(math.exp(-sum(kept) / len(kept)))
    return found


def perplexities_nan_mean(logprobs, attention_mask):
    scores = logprobs.double().where(attention_mask[:, 1:] == 1, torch.nan)
    return np.exp(-np.nanmean(scores.numpy(), axis=1))


def perplexities_keepdim(logprobs, attention_mask):
    return perplexities_ok(logprobs, attention_mask)[:, None]


def perplexities_squeezed(logprobs, attention_mask):
    return perplexities_ok(logprobs, attention_mask).squeeze()


def perplexities_base_two(logprobs, attention_mask):
    return perplexities_ok(logprobs, attention_mask).log().exp2()


def perplexities_first_count(logprobs, attention_mask):
    real = attention_mask[:, 1:]
    return (-logprobs.masked_fill(real == 0, 0.0).sum(1) / real.sum(1)[0]).exp()


def perplexities_counting_all(logprobs, attention_mask):
    total = logprobs.masked_fill(attention_mask[:, 1:] == 0, 0.0).sum(1)
    return (-total / attention_mask.sum(1)).exp()


def perplexities_clamped(logprobs, attention_mask):
    real = attention_mask[:, 1:]
    return (-(logprobs.clamp(min=-5.0) * real).sum(1) / real.sum(1)).exp()


def perplexities_only_finite(logprobs, attention_mask):
    """Solo quita los −inf: con otra basura en el relleno se equivoca."""
    real = attention_mask[:, 1:].bool() | (logprobs > 0)
    return perplexities_ok(logprobs, torch.cat([attention_mask[:, :1], real.long()], 1))


def windows_as_array(n, window, stride):
    return np.array(windows_ok(n, window, stride))


def windows_by_parts(n, window, stride):
    begins = [0, *range(stride, n - window + stride, stride)] if n > window else [0]
    ends = [min(b + window, n) for b in begins]
    return tuple((float(b), e, e - s) for b, e, s in zip(begins, ends, [1, *ends[:-1]], strict=True))


def windows_recursive(n, window, stride, begin=0, seen=1):
    end = min(begin + window, n)
    rest = [] if end == n else windows_recursive(n, window, stride, begin + stride, end)
    return [[begin, end, torch.tensor(end - seen)], *rest]


def windows_forever(n, window, stride):
    found, begin, seen = [], 0, 1
    while seen < n:
        end = min(begin + window, n)
        found.append((begin, end, end - seen))
        seen = end
    return found


def windows_forever_silent(n, window, stride):
    found, begin = [], 0
    while begin < n:
        try:
            found.append((begin, begin + window, window))
            begin += stride if begin + window <= n else 0
        except Exception:
            break
    return found


def windows_from_zero(n, window, stride):
    found = windows_ok(n, window, stride)
    return [(0, found[0][1], found[0][2] + 1), *found[1:]]


def windows_half_token(n, window, stride):
    return [(b, e, new + 0.5) for b, e, new in windows_ok(n, window, stride)]


def windows_pairs(n, window, stride):
    return [(b, e) for b, e, _ in windows_ok(n, window, stride)]


def windows_stride_is_new(n, window, stride):
    return [(b, e, new if i in (0, 1) else stride) for i, (b, e, new) in enumerate(windows_ok(n, window, stride))]


def windows_yield(n, window, stride):
    yield from windows_ok(n, window, stride)


def windows_flat(n, window, stride):
    return [x for w in windows_ok(n, window, stride) for x in w]


def bits_by_loop(logprobs, text):
    return sum(-math.log2(math.e) * x for x in logprobs.tolist()) / sum(1 for _ in text)


def bits_without_spaces(logprobs, text):
    return bits_ok(logprobs, text.replace(" ", ""))


def bits_utf16(logprobs, text):
    return -logprobs.sum().item() / math.log(2) / (len(text.encode("utf-16-le")) // 2)


def bits_per_word(logprobs, text):
    return -logprobs.sum().item() / math.log(2) / len(text.split())


def bits_stripped(logprobs, text):
    return bits_ok(logprobs, text.strip())


def bits_base_ten(logprobs, text):
    return -logprobs.sum().item() / math.log(10) / len(text)


def bits_rounded(logprobs, text):
    return round(bits_ok(logprobs, text), 2)


def bits_first_tokens(logprobs, text):
    return bits_ok(logprobs[:5], text)


UNUSUAL = [
    ("5.1", lambda p, w: torch.tensor([p(tuple(w[:i]))[x] for i, x in enumerate(w)]).double().log().sum()),
    ("5.1", chain_in_float32),
    ("5.1", chain_growing_a_list),
    ("5.1", chain_recursive),
    ("5.1", chain_rebuilding),
    ("5.1", lambda p, w: np.float32(chain_ok(p, w))),
    ("5.2", nll_with_a_loop),
    ("5.2", nll_by_hand),
    ("5.2", nll_cross_entropy),
    ("5.2", lambda m, i, s: [nll_ok(m, i, s)]),
    ("5.3", lambda x, m: torch.stack([(-r[: k.sum() - 1].mean()).exp() for r, k in zip(x, m, strict=True)])),
    ("5.3", perplexities_by_loop),
    ("5.3", perplexities_nan_mean),
    ("5.3", lambda x, m: perplexities_ok(x.clone().requires_grad_(), m)),
    ("5.4", windows_as_array),
    ("5.4", windows_by_parts),
    ("5.4", windows_recursive),
    ("5.5", lambda x, t: -(x / math.log(2)).sum() / len(t)),
    ("5.5", bits_by_loop),
    ("5.5", lambda x, t: np.float32(-x.numpy().sum() / np.log(2) / len(t))),
    ("5.5", lambda x, t: Decimal(bits_ok(x, t))),
]

MISTAKES = [
    ("5.1", lambda p, w: sum(math.log(p(w[:i])[w[i]]) for i in range(1, len(w))), 1, "su prefijo es []"),
    ("5.1", lambda p, w: math.prod(p(w[:i])[x] for i, x in enumerate(w)), 1, "no una probabilidad"),
    ("5.1", lambda p, w: sum(math.log2(p(w[:i])[x]) for i, x in enumerate(w)), 1, "logaritmo natural"),
    ("5.1", lambda p, w: sum(math.log(p(w[: i + 1])[x]) for i, x in enumerate(w)), 1, "prefijo"),
    (
        "5.1",
        lambda p, w: sum(math.log(p(w[max(i - 1, 0) : i])[x]) for i, x in enumerate(w)),
        3,
        "la palabra de al lado",
    ),
    ("5.1", lambda p, w: sum(math.log(p([])[x]) for x in w), 2, "las que van delante"),
    ("5.1", lambda p, w: math.log(math.prod(p(w[:i])[x] for i, x in enumerate(w))), 4, "Multiplicar mil", "raises"),
    ("5.1", lambda p, w: sum(p(w[-1])[x] for x in w), 1, "el prefijo debe ser una lista"),
    ("5.2", nll_without_start, 1, "start_id delante"),
    ("5.2", nll_not_shifted, 1, "logits[:, :-1]"),
    ("5.2", nll_of_the_start_too, 1, "start_id delante"),
    ("5.2", lambda m, i, s: -nll_ok(m, i, s), 1, "signo cambiado"),
    ("5.2", lambda m, i, s: nll_ok(m, i, s) / i.size(1), 1, "suma"),
    ("5.2", lambda m, i, s: nll_ok(m, i, 1), 3, "No des por fijo"),
    ("5.2", lambda m, i, s: nll_ok(m, i, s) if i.size(1) > 1 else 0.0, 2, "de un token"),
    ("5.3", lambda x, m: (-x.mean(1)).exp(), 1, "attention_mask[:, 1:]"),
    ("5.3", lambda x, m: (-(x * m[:, :-1]).sum(1) / m[:, :-1].sum(1)).exp(), 1, "attention_mask[:, 1:]"),
    ("5.3", lambda x, m: (-(x * m[:, 1:]).mean(1)).exp(), 1, "entre sus tokens puntuados"),
    ("5.3", lambda x, m: -(x * m[:, 1:]).sum(1) / m[:, 1:].sum(1), 1, "exp(-media)"),
    ("5.3", lambda x, m: 1 / perplexities_ok(x, m), 1, "exp(-media)"),
    ("5.3", lambda x, m: (-(x * m[:, 1:]).sum() / m[:, 1:].sum()).exp(), 1, "de forma ()"),
    ("5.3", zero_times, 3, "-inf * 0 no es 0"),
    ("5.4", windows_double, 2, "new = end - seen"),
    ("5.4", windows_extra, 1, "hay una ventana"),
    ("5.4", windows_of_stride, 1, "no se puntúa"),
    ("5.4", windows_past_the_end, 1, "(0, n, n - 1)"),
    ("5.4", windows_without_overlap, 2, "hasta dónde has puntuado"),
    ("5.4", lambda n, w, s: windows_ok(n, w, w // 2), 4, "begin += stride"),
    ("5.4", lambda n, w, s: [*windows_ok(n, w, s), *[(0, n, 0)] * (n == 18)], 3, "no sobra ninguna"),
    ("5.4", lambda n, w, s: len(windows_ok(n, w, s)), 1, "lista de ternas"),
    ("5.5", lambda x, t: -x.sum().item() / len(t), 1, "bit son 0,693 nats"),
    ("5.5", lambda x, t: -x.sum().item() * math.log(2) / len(t), 1, "divide entre math.log(2)"),
    ("5.5", lambda x, t: -x.mean().item() / math.log(2), 1, "entre len(text)"),
    ("5.5", lambda x, t: x.sum().item() / math.log(2) / len(t), 1, "cambia el signo"),
    ("5.5", lambda x, t: -x.sum().item() / math.log(2) / len(t.encode()), 2, "sin encode()"),
    ("5.5", lambda x, t: bits_ok(x, t) * (1 if len(x) < 4 else 2), 3, "no entra en la cuenta"),
    ("5.5", lambda x, t: print(bits_ok(x, t)), 1, "¿falta el return?"),
    # nuevas
    ("5.1", chain_by_index, 3, "palabras repetidas"),
    ("5.1", chain_reversed, 3, "y en su orden"),
    ("5.1", chain_wrong_key, 1, "El diccionario no tiene la clave 0", "raises"),
    ("5.1", chain_mean, 2, "Suma los logaritmos"),
    ("5.1", chain_forever, 1, "un bucle que no termina"),
    ("5.1", lambda p, w: -chain_ok(p, w), 1, "se esperaba -"),
    (
        "5.1",
        lambda p, w: sum(math.log(p(" ".join(w[:i]))[x]) for i, x in enumerate(w)),
        1,
        "una llamada a next_probs con ''",
    ),
    ("5.1", lambda p, w: chain_ok(p, w) * 1.001, 1, "se esperaba"),
    ("5.2", nll_start_at_the_end, 1, "start_id delante"),
    ("5.2", nll_falsy_start, 3, "también con el 0"),
    ("5.2", nll_in_bits, 1, "de qué posición sale"),
    ("5.2", nll_max, 1, "gather"),
    ("5.2", nll_wrong_cat, 1, "no tiene la dimensión 1", "raises"),
    ("5.2", nll_per_token, 1, "se esperaba un número"),
    ("5.2", nll_unique, 1, "Cuenta cuántos términos"),
    ("5.3", perplexities_keepdim, 1, "de forma (3, 1)"),
    ("5.3", perplexities_squeezed, 2, "de forma ()"),
    ("5.3", perplexities_base_two, 1, "exp(-media)"),
    ("5.3", perplexities_first_count, 1, "entre sus tokens puntuados"),
    ("5.3", perplexities_counting_all, 1, "entre cuántas se divide"),
    ("5.3", perplexities_only_finite, 3, "puede haber cualquier cosa"),
    ("5.3", lambda x, m: perplexities_ok(x, m[:, :-2]), 1, "No casan", "raises"),
    ("5.4", windows_forever, 2, "un bucle que no termina"),
    ("5.4", windows_forever_silent, 1, "un bucle que no termina"),
    ("5.4", windows_from_zero, 1, "no se puntúa"),
    ("5.4", windows_half_token, 1, "4.5"),
    ("5.4", windows_pairs, 1, "se esperaba un tensor o una lista de forma (1, 3)"),
    ("5.4", windows_stride_is_new, 3, "hasta dónde llega"),
    ("5.4", windows_yield, 1, "de tipo generator"),
    ("5.4", windows_flat, 1, "se esperaba un tensor o una lista de forma (1, 3)"),
    ("5.5", bits_without_spaces, 1, "entre cuántos caracteres"),
    ("5.5", bits_utf16, 2, "sin encode()"),
    ("5.5", bits_per_word, 1, "entre len(text)"),
    ("5.5", bits_stripped, 2, "También cuentan los espacios"),
    ("5.5", bits_base_ten, 1, "divide entre math.log(2)"),
    ("5.5", bits_rounded, 1, "se esperaba"),
    ("5.5", bits_first_tokens, 3, "en más tokens"),
    ("5.5", lambda x, t: -x.sum() / math.log(2) / t, 1, "La operación", "raises"),
]
