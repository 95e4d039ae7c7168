"""Respuestas de la sesión 02: temperatura, top-k, EOS y caché."""

import functools
import math

import numpy as np
import torch
from transformers import DynamicCache

from answers import published
from course_utils import decoding

temperature_ok, top_k_ok, until_ok, cached_ok = published("02").values()
INF = float("inf")


# ---------------------------------------------------------------- piezas
def other_eos(model, ids, eos_token_id, max_new_tokens):
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        for _ in range(max_new_tokens):
            new = model(input_ids=ids.to(device)).logits[0, -1].argmax().view(1, 1)
            ids = torch.cat((ids, new), dim=-1)
            if int(new) == eos_token_id:
                return ids
        return ids


def other_top_k(logits, k):
    out = torch.full_like(logits, float("-inf"))
    values, where = logits.topk(k)
    return out.scatter(1, where, values)


def eos_not_kept(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        new = model(ids).logits[:, -1].argmax(-1, keepdim=True)
        if new.item() == eos_token_id:
            break
        ids = torch.cat([ids, new], 1)
    return ids


def eos_anywhere(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
        if eos_token_id in ids[0].tolist():
            break
    return ids


def eos_ignored(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    return ids


def while_forever(model, ids, eos_token_id, max_new_tokens):
    while ids[0, -1] != eos_token_id:
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    return ids


def first_position(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        new = model(ids).logits[:, 0].argmax(-1, keepdim=True)
        ids = torch.cat([ids, new], 1)
        if new.item() == eos_token_id:
            break
    return ids


def no_cache(model, ids, max_new_tokens):
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
    return ids


def forgets_cache(model, ids, max_new_tokens):
    new = ids
    for _ in range(max_new_tokens):
        new = model(new).logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, new], 1)
    return ids


def cache_and_everything(model, ids, max_new_tokens):
    cache = None
    for _ in range(max_new_tokens):
        out = model(ids, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        ids = torch.cat([ids, out.logits[:, -1:].argmax(-1)], 1)
    return ids


def only_new(model, ids, max_new_tokens):
    return cached_ok(model, ids, max_new_tokens)[:, ids.size(1) :]


def trims_at_the_end(model, ids, eos_token_id, max_new_tokens):
    length = ids.size(1)
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    new = ids[0, length:].tolist()
    return ids[:, : length + new.index(eos_token_id) + 1] if eos_token_id in new else ids


def zero_is_false(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        new = model(ids).logits[:, -1].argmax(-1, keepdim=True)
        ids = torch.cat([ids, new], 1)
        if eos_token_id and new.item() == eos_token_id:
            break
    return ids


def checks_before_choosing(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        if ids[0, -1] == eos_token_id:
            break
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    return ids


def delegates(model, ids, max_new_tokens):
    return decoding.generate(model, ids, max_new_tokens=max_new_tokens).sequences


def uses_generate(model, ids, max_new_tokens):
    return model.generate(ids, max_new_tokens=max_new_tokens)


def in_place_temperature(logits, t):
    logits /= t
    return logits.softmax(-1)


def in_place_top_k(logits, k):
    logits[logits < logits.topk(k).values[:, -1:]] = float("-inf")
    return logits


def without_return(logits, t):
    torch.softmax(logits / t, dim=-1)


SOLUTIONS = {"2.1": temperature_ok, "2.2": top_k_ok, "2.3": until_ok, "2.4": cached_ok}


def temperature_by_loop(logits, t):
    rows = []
    for row in logits.tolist():
        grown = [math.exp(z / t) for z in row]
        rows.append([x / sum(grown) for x in grown])
    return rows


def temperature_first_row(logits, t):
    return temperature_ok(logits[:1], t).expand_as(logits)


def temperature_only_below_one(logits, t):
    return temperature_ok(logits, min(t, 1.0))


def temperature_wrong_name(logits, t):
    probs = torch.softmax(logits / temperature, dim=-1)  # noqa: F821
    return probs


def top_k_by_loop(logits, k):
    out = logits.double().numpy().copy()
    for row in out:
        row[np.argsort(row)[:-k]] = -np.inf
    return out


def top_k_first_two_rows(logits, k):
    kept = top_k_ok(logits, k)
    return torch.cat([kept[:2], logits[2:]])


def top_k_mask(logits, k):
    return logits >= logits.topk(k).values[:, -1:]


def top_k_sorted(logits, k):
    return torch.nn.functional.pad(logits.topk(k).values, (0, logits.size(1) - k), value=-INF)


def top_k_next(logits, k):
    """Corta por el siguiente, que con k = V no existe."""
    ordered = logits.sort(descending=True).values
    return logits.masked_fill(logits <= ordered[:, k : k + 1], -INF) if k < 99 else logits


def top_k_past_the_end(logits, k):
    threshold = logits.sort(descending=True).values[:, k]
    return logits.masked_fill(logits <= threshold[:, None], -INF)


def until_with_cache(model, ids, eos_token_id, max_new_tokens):
    cache, new = None, ids.to(model.device)
    while max_new_tokens > 0:
        out = model(new, past_key_values=cache, use_cache=True)
        cache, new, max_new_tokens = out.past_key_values, out.logits[:, -1:].argmax(-1), max_new_tokens - 1
        ids = torch.cat([ids, new], dim=1)
        if (new == eos_token_id).all():
            break
    return ids


def until_as_lists(model, ids, eos_token_id, max_new_tokens):
    row = ids[0].tolist()
    for _ in range(max_new_tokens):
        row.append(int(model.forward(torch.tensor([row])).logits[0, -1].argmax()))
        if row[-1] == eos_token_id:
            break
    return [row]


def until_samples(model, ids, eos_token_id, max_new_tokens):
    generator = torch.Generator().manual_seed(0)
    for _ in range(max_new_tokens):
        new = torch.multinomial(model(ids).logits[:, -1].softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, new], 1)
        if new.item() == eos_token_id:
            break
    return ids


def until_one_more(model, ids, eos_token_id, max_new_tokens):
    return until_ok(model, ids, eos_token_id, max_new_tokens + 1)


def until_counts_the_prompt(model, ids, eos_token_id, max_new_tokens):
    return until_ok(model, ids, eos_token_id, max_new_tokens - ids.size(1))


def until_typo(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        new = model(ids).logits[:, -1].argmax(-1, keepdim=True)  # noqa: F841
        ids = torch.cat([ids, nuevo], 1)  # noqa: F821
    return ids


def until_without_keepdim(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1)], 1)
    return ids


def until_forever_silent(model, ids, eos_token_id, max_new_tokens):
    while True:
        try:
            new = model(ids).logits[:, -1].argmax(-1, keepdim=True)
            ids = torch.cat([ids, new], 1)
        except Exception:
            continue


def until_with_generate(model, ids, eos_token_id, max_new_tokens):
    return decoding.generate(model, ids, eos_token_id=eos_token_id, max_new_tokens=max_new_tokens).sequences


def until_with_stream(model, ids, eos_token_id, max_new_tokens):
    steps = list(decoding.stream(model, ids, eos_token_id=eos_token_id, max_new_tokens=max_new_tokens))
    return torch.cat([ids] + [step.ids[:, None] for step in steps], 1)


def until_with_model_generate(model, ids, eos_token_id, max_new_tokens):
    return model.generate(ids, do_sample=False, eos_token_id=eos_token_id, max_new_tokens=max_new_tokens)


def cached_with_an_object(model, ids, max_new_tokens):
    cache, new = DynamicCache(config=model.config), ids
    with torch.inference_mode():
        for _ in range(max_new_tokens):
            new = model(input_ids=new, past_key_values=cache).logits[:, -1].argmax(-1)[:, None]
            ids = torch.cat([ids, new], -1)
    return ids.numpy()


def cached_first_apart(model, ids, max_new_tokens):
    out = model.forward(ids, use_cache=True)
    written = [out["logits"][0, -1].argmax().item()]
    while len(written) < max_new_tokens:
        out = model(torch.tensor([[written[-1]]]), past_key_values=out.past_key_values)
        written.append(out.logits[0, -1].argmax().item())
    return torch.tensor([ids[0].tolist() + written])


def cached_one_by_one(model, ids, max_new_tokens):
    """El prompt también, token a token."""
    cache = None
    for t in range(ids.size(1)):
        out = model(ids[:, t : t + 1], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
    new = out.logits[:, -1:].argmax(-1)
    ids = torch.cat([ids, new], 1)
    for _ in range(max_new_tokens - 1):
        new = model(new, past_key_values=cache).logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, new], 1)
    return ids


def cached_two_tokens(model, ids, max_new_tokens):
    """Vuelve a pasar el último token del prompt: repite una posición."""
    cache = model(ids, use_cache=True).past_key_values
    for _ in range(max_new_tokens):
        out = model(ids[:, -1:], past_key_values=cache, use_cache=True)
        cache, ids = out.past_key_values, torch.cat([ids, out.logits[:, -1:].argmax(-1)], 1)
    return ids


def cached_fixed_start(model, ids, max_new_tokens):
    return cached_ok(model, ids[:, :3], max_new_tokens)


def cached_at_least_two(model, ids, max_new_tokens):
    return cached_ok(model, ids, max(max_new_tokens, 2))


def cached_crops(model, ids, max_new_tokens):
    """Con caché, pero la vacía en cada paso."""
    for _ in range(max_new_tokens):
        out = model(ids, use_cache=True)
        ids = torch.cat([ids, out.logits[:, -1:].argmax(-1)], 1)
    return ids


def cached_with_generate(model, ids, max_new_tokens):
    return decoding.generate(model, ids, max_new_tokens=max_new_tokens, use_cache=True).sequences


UNUSUAL = [
    ("2.1", lambda z, t: torch.nn.functional.softmax(z.double() / t, dim=1)),
    ("2.1", lambda z, t: (z / t).exp() / (z / t).exp().sum(1, keepdim=True)),
    ("2.1", temperature_by_loop),
    ("2.1", lambda z, t: temperature_ok(z, t).numpy().astype("float16")),
    ("2.1", functools.partial(lambda scale, z, t: temperature_ok(z * scale, t), 1)),
    ("2.2", other_top_k),
    ("2.2", lambda z, k: torch.where(z >= z.sort(descending=True).values[:, k - 1 : k], z, -INF)),
    ("2.2", top_k_by_loop),
    ("2.2", lambda z, k: top_k_ok(z.half(), k)),
    ("2.2", lambda z, k: decoding.top_k(k)(z, None)),
    ("2.3", other_eos),
    ("2.3", until_with_cache),
    ("2.3", until_as_lists),
    ("2.3", lambda model, ids, eos, n: until_ok(model, ids.int(), eos, n)),
    ("2.4", torch.no_grad()(cached_ok)),
    ("2.4", cached_with_an_object),
    ("2.4", cached_first_apart),
]

MISTAKES = [
    ("2.1", lambda z, t: torch.softmax(z * t, -1), 3, "divide los logits"),
    ("2.1", lambda z, t: torch.softmax(z / t, 0), 1, "dim=-1"),
    ("2.1", lambda z, t: torch.softmax(z, -1) / t, 3, "antes del softmax"),
    ("2.1", lambda z, t: z / t, 1, "Aplica softmax"),
    ("2.1", without_return, 1, "¿falta el return?"),
    ("2.1", in_place_temperature, 5, "logits /= t"),
    ("2.1", lambda z, t: z.numpy().tolist(), 1, "filas que suman"),
    ("2.1", lambda z, t: z.sotfmax(-1), 1, "no tiene «sotfmax»", "raises"),
    ("2.2", lambda z, k: z.topk(k).values, 1, "de forma (2, 2)"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values.min(), float("-inf")), 1, "de su propia fila"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values[0, -1], float("-inf")), 1, "de su propia fila"),
    ("2.2", lambda z, k: z.masked_fill(z < z.flatten().topk(k).values[-1], float("-inf")), 1, "de su propia fila"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values[:, -1:], 0.0), 1, "-inf"),
    ("2.2", lambda z, k: z.masked_fill(z <= z.topk(k).values[:, -1:], float("-inf")), 1, "-inf"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values[:, :1], float("-inf")), 1, "-inf"),
    ("2.2", in_place_top_k, 5, "masked_fill"),
    ("2.3", eos_not_kept, 1, "Añade el token"),
    ("2.3", eos_ignored, 1, "break"),
    ("2.3", eos_anywhere, 4, "solo con el token que acabas de elegir"),
    ("2.3", while_forever, 3, "el modelo ya va por"),
    ("2.3", first_position, 1, "el primer token nuevo"),
    ("2.3", trims_at_the_end, 1, "llamadas al modelo cuando bastaban"),
    ("2.3", zero_is_false, 2, "cuenta como falso"),
    ("2.3", checks_before_choosing, 4, "nunca con los ids del prompt"),
    ("2.4", no_cache, 3, "solo el token nuevo"),
    ("2.4", forgets_cache, 1, "past_key_values"),
    ("2.4", cache_and_everything, 1, "past_key_values"),
    ("2.4", delegates, 1, "sin decoding.generate"),
    ("2.4", uses_generate, 1, "sin model.generate"),
    ("2.4", only_new, 1, "el prompt y los n tokens nuevos"),
    # nuevas
    ("2.1", temperature_first_row, 2, "Con t = 1"),
    ("2.1", temperature_only_below_one, 4, "divide los logits"),
    ("2.1", temperature_wrong_name, 1, "«probs = torch.softmax(logits / temperature, dim=-1)", "raises"),
    ("2.1", lambda z, t: temperature_ok(z, t)[0], 1, "de forma (5,)"),
    ("2.1", lambda z, t: torch.softmax(z, -1), 3, "La temperatura divide"),
    ("2.1", lambda z, t: torch.log_softmax(z / t, -1), 1, "filas que suman"),
    ("2.1", lambda z, t: (z / t).argmax(-1), 1, "de forma (2,)"),
    ("2.2", top_k_first_two_rows, 1, "tensor (3, 4)"),
    ("2.2", top_k_mask, 1, "torch.bool"),
    ("2.2", top_k_sorted, 1, "fila por fila"),
    ("2.2", lambda z, k: top_k_ok(z, k).squeeze(), 4, "con una sola fila"),
    ("2.2", top_k_past_the_end, 3, "el índice no se sale", "raises"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values[:, -1:], -1e9), 1, "vale -inf"),
    ("2.2", lambda z, k: top_k_ok(z, 2), 2, "el último de los k valores"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values[:, k], -INF), 1, "El índice", "raises"),
    ("2.2", lambda z, k: top_k_ok(z, k).softmax(-1), 1, "vale -inf"),
    ("2.3", until_samples, 1, "el de mayor logit"),
    ("2.3", until_one_more, 3, "range(max_new_tokens)"),
    ("2.3", until_counts_the_prompt, 3, "no cuenta los del prompt"),
    ("2.3", until_typo, 1, "El nombre «nuevo» no existe", "raises"),
    ("2.3", until_without_keepdim, 1, "keepdim=True", "raises"),
    ("2.3", until_forever_silent, 1, "el modelo ya va por"),
    ("2.3", until_with_generate, 1, "sin decoding.generate"),
    ("2.3", until_with_stream, 1, "sin decoding.stream"),
    ("2.3", until_with_model_generate, 1, "sin model.generate"),
    ("2.3", lambda model, ids, eos, n: until_ok(model, ids, eos, n)[0], 1, "de forma"),
    ("2.3", lambda model, ids, eos, n: until_ok(model, ids, eos, n)[:, ids.size(1) :], 1, "Devuelve el prompt"),
    ("2.4", cached_one_by_one, 3, "lleva el prompt entero"),
    ("2.4", cached_two_tokens, 1, "logits[:, -1]"),
    ("2.4", cached_fixed_start, 1, "que no empieza por el prompt"),
    ("2.4", cached_at_least_two, 2, "ya da los logits"),
    ("2.4", cached_crops, 3, "solo el token nuevo"),
    ("2.4", cached_with_generate, 1, "sin decoding.generate"),
    ("2.4", lambda model, ids, n: cached_ok(model, ids, n - 1), 1, "se esperaba"),
    ("2.4", lambda model, ids, n: model(ids).past_key_value, 1, "no tiene «past_key_value»", "raises"),
]
