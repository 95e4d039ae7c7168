"""Los ejercicios de la sesión 05 frente a la solución, otras soluciones, el hueco y errores típicos."""

import math

import pytest
import torch

from course_utils import checks, scoring
from course_utils.checks import session_05


# ---------------------------------------------------------------- soluciones
def chain_ok(next_probs, words):
    return sum(math.log(next_probs(words[:i])[word]) for i, word in enumerate(words))


def nll_ok(model, ids, start_id):
    with_start = torch.cat([torch.tensor([[start_id]]), ids], dim=1)
    with torch.no_grad():
        logprobs = model(with_start).logits[:, :-1].log_softmax(-1)
    return -logprobs.gather(-1, ids[..., None]).sum().item()


def perplexities_ok(logprobs, attention_mask):
    real = attention_mask[:, 1:]
    return (-logprobs.masked_fill(real == 0, 0.0).sum(1) / real.sum(1)).exp()


def windows_ok(n, window, stride):
    found, begin, seen = [], 0, 1
    while seen < n:
        end = min(begin + window, n)
        found.append((begin, end, end - seen))
        begin, seen = begin + stride, end
    return found


def bits_ok(logprobs, text):
    return -logprobs.sum().item() / math.log(2) / len(text)


SOLUTIONS = {"5.1": chain_ok, "5.2": nll_ok, "5.3": perplexities_ok, "5.4": windows_ok, "5.5": bits_ok}


# ---------------------------------------------------------------- errores típicos
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


WRONG = [
    ("5.1", lambda p, w: sum(math.log(p(w[:i])[w[i]]) for i in range(1, len(w))), "su prefijo es []"),
    ("5.1", lambda p, w: math.prod(p(w[:i])[x] for i, x in enumerate(w)), "no una probabilidad"),
    ("5.1", lambda p, w: sum(math.log2(p(w[:i])[x]) for i, x in enumerate(w)), "logaritmo natural"),
    ("5.1", lambda p, w: sum(math.log(p(w[: i + 1])[x]) for i, x in enumerate(w)), "prefijo"),
    ("5.1", lambda p, w: sum(math.log(p(w[max(i - 1, 0) : i])[x]) for i, x in enumerate(w)), "la palabra de al lado"),
    ("5.1", lambda p, w: sum(math.log(p([])[x]) for x in w), "las que van delante"),
    ("5.1", lambda p, w: math.log(math.prod(p(w[:i])[x] for i, x in enumerate(w))), "Multiplicar mil"),
    ("5.1", lambda p, w: sum(p(w[-1])[x] for x in w), "el prefijo debe ser una lista"),
    ("5.2", nll_without_start, "start_id delante"),
    ("5.2", nll_not_shifted, "logits[:, :-1]"),
    ("5.2", nll_of_the_start_too, "start_id delante"),
    ("5.2", lambda m, i, s: -nll_ok(m, i, s), "signo cambiado"),
    ("5.2", lambda m, i, s: nll_ok(m, i, s) / i.size(1), "suma"),
    ("5.2", lambda m, i, s: nll_ok(m, i, 1), "No des por fijo"),
    ("5.2", lambda m, i, s: nll_ok(m, i, s) if i.size(1) > 1 else 0.0, "de un token"),
    ("5.3", lambda x, m: (-x.mean(1)).exp(), "attention_mask[:, 1:]"),
    ("5.3", lambda x, m: (-(x * m[:, :-1]).sum(1) / m[:, :-1].sum(1)).exp(), "attention_mask[:, 1:]"),
    ("5.3", lambda x, m: (-(x * m[:, 1:]).mean(1)).exp(), "entre sus tokens puntuados"),
    ("5.3", lambda x, m: -(x * m[:, 1:]).sum(1) / m[:, 1:].sum(1), "exp(-media)"),
    ("5.3", lambda x, m: 1 / perplexities_ok(x, m), "exp(-media)"),
    ("5.3", lambda x, m: (-(x * m[:, 1:]).sum() / m[:, 1:].sum()).exp(), "de forma ()"),
    ("5.3", zero_times, "-inf * 0 no es 0"),
    ("5.4", windows_double, "new = end - seen"),
    ("5.4", windows_extra, "hay una ventana"),
    ("5.4", windows_of_stride, "no se puntúa"),
    ("5.4", windows_past_the_end, "(0, n, n - 1)"),
    ("5.4", windows_without_overlap, "hasta dónde has puntuado"),
    ("5.4", lambda n, w, s: windows_ok(n, w, w // 2), "begin += stride"),
    ("5.4", lambda n, w, s: [*windows_ok(n, w, s), *[(0, n, 0)] * (n == 18)], "no sobra ninguna"),
    ("5.4", lambda n, w, s: len(windows_ok(n, w, s)), "lista de ternas"),
    ("5.5", lambda x, t: -x.sum().item() / len(t), "bit son 0,693 nats"),
    ("5.5", lambda x, t: -x.sum().item() * math.log(2) / len(t), "divide entre math.log(2)"),
    ("5.5", lambda x, t: -x.mean().item() / math.log(2), "entre len(text)"),
    ("5.5", lambda x, t: x.sum().item() / math.log(2) / len(t), "cambia el signo"),
    ("5.5", lambda x, t: -x.sum().item() / math.log(2) / len(t.encode()), "sin encode()"),
    ("5.5", lambda x, t: bits_ok(x, t) * (1 if len(x) < 4 else 2), "no entra en la cuenta"),
    ("5.5", lambda x, t: print(bits_ok(x, t)), "¿falta el return?"),
]


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_solution_is_accepted(exercise, capsys):
    checks.check(exercise, SOLUTIONS[exercise], strict=True)
    out = capsys.readouterr().out
    assert "resuelto" in out and "❌" not in out and out.count("✅") == len(checks.EXERCISES[exercise])


def nll_with_a_loop(model, ids, start_id):
    total, so_far = 0.0, [start_id]
    for token in ids[0].tolist():
        total -= model(torch.tensor([so_far])).logits[0, -1].double().softmax(-1)[token].log().item()
        so_far.append(token)
    return torch.tensor(total)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("5.1", lambda p, w: torch.tensor([p(tuple(w[:i]))[x] for i, x in enumerate(w)]).double().log().sum()),
        ("5.2", nll_with_a_loop),
        ("5.3", lambda x, m: torch.stack([(-r[: k.sum() - 1].mean()).exp() for r, k in zip(x, m, strict=True)])),
        ("5.4", lambda n, w, s: list(map(list, scoring._windows(n, w, s)))),
        ("5.5", lambda x, t: -(x / math.log(2)).sum() / len(t)),
    ],
)
def test_other_right_answers_are_accepted(exercise, answer):
    checks.check(exercise, answer, strict=True)


@pytest.mark.parametrize(("exercise", "answer", "fragment"), WRONG)
def test_typical_mistake_gets_its_hint(exercise, answer, fragment, assert_hint):
    assert_hint(exercise, answer, fragment)


def test_every_exercise_has_a_solution_and_three_mistakes():
    assert set(SOLUTIONS) == set(session_05.EXERCISES)
    for exercise in session_05.EXERCISES:
        assert sum(name == exercise for name, *_ in WRONG) >= 3


def test_the_toy_distributions_add_up_to_one_and_depend_on_the_whole_prefix():
    for prefix in ([], ["el"], ["la", "el"], ["rey", "el"]):
        assert sum(session_05.next_probs(prefix).values()) == pytest.approx(1)
    assert session_05.next_probs(["la", "el"]) != session_05.next_probs(["rey", "el"])
    assert session_05.next_probs(["la", "el"]) != session_05.next_probs(["el", "la"])
