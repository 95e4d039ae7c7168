"""Cada comprobación frente a la solución, al hueco sin tocar y a errores típicos."""

import pytest
import torch

from course_utils import checks, decoding
from course_utils.checks import rules, session_02


# ---------------------------------------------------------------- soluciones
def temperature_ok(logits, t):
    return torch.softmax(logits / t, dim=-1)


def top_k_ok(logits, k):
    return logits.masked_fill(logits < logits.topk(k).values[:, -1:], float("-inf"))


def until_eos_ok(model, ids, eos_token_id, max_new_tokens):
    for _ in range(max_new_tokens):
        new = model(ids).logits[:, -1].argmax(-1, keepdim=True)
        ids = torch.cat([ids, new], 1)
        if new.item() == eos_token_id:
            break
    return ids


def cached_ok(model, ids, max_new_tokens):
    cache, new = None, ids
    for _ in range(max_new_tokens):
        out = model(new, past_key_values=cache, use_cache=True)
        cache, new = out.past_key_values, out.logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, new], 1)
    return ids


# ---------------------------------------------------------------- errores típicos: (respuesta, qué debe decir)
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
    return decoding.generate(model.model, ids, max_new_tokens=max_new_tokens).sequences


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
    return decoding.generate(model.model, ids, max_new_tokens=max_new_tokens).sequences


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


SOLUTIONS = {"2.1": temperature_ok, "2.2": top_k_ok, "2.3": until_eos_ok, "2.4": cached_ok}
WRONG = [
    ("2.1", lambda z, t: torch.softmax(z * t, -1), "divide los logits"),
    ("2.1", lambda z, t: torch.softmax(z / t, 0), "dim=-1"),
    ("2.1", lambda z, t: torch.softmax(z, -1) / t, "antes del softmax"),
    ("2.1", lambda z, t: z / t, "Aplica softmax"),
    ("2.1", without_return, "¿falta el return?"),
    ("2.1", in_place_temperature, "logits /= t"),
    ("2.1", lambda z, t: z.numpy().tolist(), "de tipo list"),
    ("2.1", lambda z, t: z.sotfmax(-1), "AttributeError"),
    ("2.2", lambda z, k: z.topk(k).values, "de forma (2, 2)"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values.min(), float("-inf")), "de su propia fila"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values[0, -1], float("-inf")), "de su propia fila"),
    ("2.2", lambda z, k: z.masked_fill(z < z.flatten().topk(k).values[-1], float("-inf")), "de su propia fila"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values[:, -1:], 0.0), "-inf"),
    ("2.2", lambda z, k: z.masked_fill(z <= z.topk(k).values[:, -1:], float("-inf")), "-inf"),
    ("2.2", lambda z, k: z.masked_fill(z < z.topk(k).values[:, :1], float("-inf")), "-inf"),
    ("2.2", in_place_top_k, "masked_fill"),
    ("2.3", eos_not_kept, "Añade el token"),
    ("2.3", eos_ignored, "break"),
    ("2.3", eos_anywhere, "solo con el token que acabas de elegir"),
    ("2.3", while_forever, "el bucle no termina"),
    ("2.3", first_position, "se esperaba"),
    ("2.3", trims_at_the_end, "llamadas al modelo cuando bastaban"),
    ("2.3", zero_is_false, "cuenta como falso"),
    ("2.3", checks_before_choosing, "nunca con los ids del prompt"),
    ("2.4", no_cache, "solo el token nuevo"),
    ("2.4", forgets_cache, "past_key_values"),
    ("2.4", cache_and_everything, "past_key_values"),
    ("2.4", delegates, "0 llamadas al modelo"),
    ("2.4", uses_generate, "no hace falta model.generate"),
    ("2.4", only_new, "el prompt y los n tokens nuevos"),
]


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_solution_is_accepted(exercise, capsys):
    checks.check(exercise, SOLUTIONS[exercise], strict=True)
    out = capsys.readouterr().out
    assert "resuelto" in out and "❌" not in out and out.count("✅") == len(checks.EXERCISES[exercise])


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


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("2.1", lambda z, t: torch.nn.functional.softmax(z.double() / t, dim=1)),
        ("2.1", lambda z, t: (z / t).exp() / (z / t).exp().sum(1, keepdim=True)),
        ("2.2", other_top_k),
        ("2.2", lambda z, k: torch.where(z >= z.sort(descending=True).values[:, k - 1 : k], z, float("-inf"))),
        ("2.3", other_eos),
        ("2.4", torch.no_grad()(cached_ok)),
    ],
)
def test_other_right_answers_are_accepted(exercise, answer):
    checks.check(exercise, answer, strict=True)


def test_solutions_agree_on_the_embedded_vocabulary_size():
    logits = torch.randn(3, 4096, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(top_k_ok(logits, 50), decoding.top_k(50)(logits, None))


@pytest.mark.parametrize("exercise", checks.EXERCISES)
def test_stub_is_pending_and_never_raises(exercise, capsys):
    def one(logits, t): ...

    def two(model, ids, eos_token_id, max_new_tokens):
        """Con documentación."""
        # Escribe aquí tu código

    for stub in (one, two, torch.no_grad()(two), None, ...):
        checks.check(exercise, stub)
        assert "pendiente" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="pendiente"):
        checks.check(exercise, one, strict=True)


@pytest.mark.parametrize(("exercise", "answer", "fragment"), WRONG)
def test_typical_mistake_gets_its_hint(exercise, answer, fragment, assert_hint):
    assert_hint(exercise, answer, fragment)


def test_every_exercise_has_a_solution_and_three_mistakes():
    assert set(SOLUTIONS) == set(session_02.EXERCISES)
    for exercise in session_02.EXERCISES:
        assert sum(name == exercise for name, *_ in WRONG) >= 3


def test_careless_answers_change_nothing_and_never_stop_the_notebook(capsys):
    def vandal(model, ids, eos_token_id, max_new_tokens):
        ids[:] = 1
        return ids

    before = session_02.PROMPT.clone()
    checks.check("2.3", vandal)
    checks.check("2.3", lambda *a: exit())
    assert torch.equal(session_02.PROMPT, before)
    assert "SystemExit" in capsys.readouterr().out
    checks.check("2.3", until_eos_ok, strict=True)


def test_unknown_exercise_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'9\.9'.*2\.1"):
        checks.check("9.9", None)


def test_checks_leave_the_random_state_alone():
    rules.toy_model.cache_clear()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    checks.check("2.3", until_eos_ok)
    assert torch.equal(before, torch.get_rng_state())
