"""Los ejercicios de la sesión 03 frente a la solución, otras soluciones, el hueco y errores típicos."""

import pytest
import torch

from course_utils import checks, decoding, strategies
from course_utils.checks import session_03


# ---------------------------------------------------------------- soluciones
def score_ok(model, ids, prompt_length, length_penalty):
    with torch.no_grad():
        logprobs = model(ids).logits[:, :-1].log_softmax(-1)
    new = logprobs.gather(-1, ids[:, 1:, None])[0, prompt_length - 1 :, 0]
    return new.sum() / len(new) ** length_penalty


def nucleus_ok(logits, p):
    ordered, order = logits.sort(dim=-1, descending=True)
    probs = ordered.softmax(-1)
    drop = probs.cumsum(-1) - probs >= p
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), float("-inf"))


def pad_ok(sequences, pad_id):
    longest = max(len(s) for s in sequences)
    ids = [[pad_id] * (longest - len(s)) + s for s in sequences]
    mask = [[0] * (longest - len(s)) + [1] * len(s) for s in sequences]
    return torch.tensor(ids), torch.tensor(mask)


def distinct_ok(ids, n):
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def trim_ok(prompt):
    return prompt.rstrip(" ")


SOLUTIONS = {"3.1": score_ok, "3.3": nucleus_ok, "3.4": pad_ok, "3.2": distinct_ok, "3.5": trim_ok}


# ---------------------------------------------------------------- errores típicos
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


WRONG = [
    ("3.1", _score(lambda p: p), "primer token nuevo"),  # pierde el primero
    ("3.1", _score(lambda p: 0), "ninguno del prompt"),
    ("3.1", _score(lambda p: p - 1, log=False), "log_softmax"),
    ("3.1", _score(lambda p: p - 1, ids_from=0), "t + 1"),
    ("3.1", _score(lambda p: p - 1, penalty=lambda n, t, a: t**a), "sin contar el prompt"),
    ("3.1", _score(lambda p: p - 1, penalty=lambda n, t, a: n * a if a else 1), "no suma / (n * length_penalty)"),
    ("3.1", _score(lambda p: 2), "usa prompt_length"),
    ("3.1", lambda model, *a: model.generate(*a), "no hace falta model.generate"),
    ("3.3", nucleus_crossing, "el que cruza el límite se queda"),
    ("3.3", nucleus_unsorted, "a su sitio"),
    ("3.3", nucleus_threshold, "suma de los que van *delante*"),
    ("3.3", nucleus_of_the_first_row, "En cada fila"),
    ("3.3", lambda z, p: nucleus_ok(z, 0.9), "no un valor fijo"),
    ("3.3", nucleus_in_place, "masked_fill"),
    ("3.3", nucleus_crossing_all, "el que cruza"),
    ("3.3", lambda z, p: nucleus_ok(z, p).softmax(-1), "se esperaba"),
    ("3.4", pad_right, "[pad_id] * (más_larga - len(s)) + s"),
    ("3.4", pad_mask_from_ids, "con las longitudes"),
    ("3.4", lambda s, p: pad_ok(s, 0), "No escribas un 0 fijo"),
    ("3.4", lambda s, p: pad_ok(s, p)[0], "dos tensores"),
    ("3.4", lambda s, p: tuple(t.float() for t in pad_ok(s, p)), "se esperaban enteros"),
    ("3.4", pad_in_place, "listas nuevas"),
    ("3.4", lambda s, p: torch.tensor(s), "ValueError"),
    ("3.2", lambda ids, n: len({tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}) / len(ids), "no len(ids)"),
    ("3.2", lambda ids, n: distinct_ok(ids, 2), "No des n por fijo"),
    ("3.2", lambda ids, n: len(set(zip(ids, ids[n - 1 :], strict=False))) / max(len(ids) - n + 1, 1), "cualquier n"),
    (
        "3.2",
        lambda ids, n: len({tuple(sorted(ids[i : i + n])) for i in range(len(ids) - n + 1)}) / max(len(ids) - n + 1, 1),
        "se esperaba 0.5",
    ),
    ("3.2", lambda ids, n: len({tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}) / (len(ids) - n + 1), "0.0"),
    ("3.2", lambda ids, n: 1 - distinct_ok(ids, n) if n > 1 else 0.6, "No des n por fijo"),
    ("3.2", lambda ids, n: sum(distinct_ok(ids, n) for _ in range(2)), "len(set(...))"),
    ("3.5", lambda p: p.strip(), "los dos lados"),
    ("3.5", lambda p: p.rstrip(), "salto de línea"),
    ("3.5", lambda p: p[:-1], "rstrip"),
    ("3.5", lambda p: p.replace(" ", ""), "rstrip"),
    ("3.5", lambda p: p[:-2], "No cortes por posición"),
    ("3.5", lambda p: p.rstrip(" ") and None, "¿falta el return?"),
]


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_solution_is_accepted(exercise, capsys):
    checks.check(exercise, SOLUTIONS[exercise], strict=True)
    out = capsys.readouterr().out
    assert "resuelto" in out and "❌" not in out and out.count("✅") == len(checks.EXERCISES[exercise])


def score_with_a_loop(model, ids, prompt_length, length_penalty):
    total, n = 0.0, 0
    for t in range(prompt_length, ids.size(1)):
        total += model(ids[:, :t]).logits[0, -1].double().softmax(-1)[ids[0, t]].log().item()
        n += 1
    return total / n**length_penalty


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("3.1", score_with_a_loop),
        ("3.1", lambda *a: score_ok(*a).view(1)),
        ("3.3", lambda z, p: decoding.top_p(p)(z, None)),
        ("3.4", lambda s, p: list(pad_ok(s, p))),
        ("3.2", strategies.distinct_n),
        ("3.2", lambda ids, n: distinct_ok(ids, n) or 0),
        ("3.5", lambda p: p if not p.endswith(" ") else p.rstrip(" ")),
    ],
)
def test_other_right_answers_are_accepted(exercise, answer):
    checks.check(exercise, answer, strict=True)


@pytest.mark.parametrize(("exercise", "answer", "fragment"), WRONG)
def test_typical_mistake_gets_its_hint(exercise, answer, fragment, assert_hint):
    assert_hint(exercise, answer, fragment)


def test_every_exercise_has_a_solution_and_three_mistakes():
    assert set(SOLUTIONS) == set(session_03.EXERCISES)
    for exercise in session_03.EXERCISES:
        assert sum(name == exercise for name, *_ in WRONG) >= 3
