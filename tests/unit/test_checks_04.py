"""Los ejercicios de la sesión 04 frente a la solución, otras soluciones, el hueco y errores típicos."""

import difflib
import re

import pytest
import torch

from course_utils import checks, finetuning
from course_utils.checks import session_04


# ---------------------------------------------------------------- soluciones
def labels_ok(input_ids, attention_mask):
    return input_ids.masked_fill(attention_mask == 0, -100)


def collate_ok(rows, pad_id):
    width = max(len(row) for row in rows)
    ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels_ok(ids, mask)}


def stopping_ok(losses, patience):
    best, where = float("inf"), 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, where = loss, epoch
        elif epoch - where == patience:
            return where, epoch
    return where, len(losses)


def copy_ok(sample, text):
    mine, source = re.findall(r"\w+", sample.lower()), re.findall(r"\w+", text.lower())
    longest = 0
    for i in range(len(mine)):
        for j in range(i + 1, len(mine) + 1):
            if any(source[k : k + j - i] == mine[i:j] for k in range(len(source))):
                longest = max(longest, j - i)
    return longest


SOLUTIONS = {"4.1": labels_ok, "4.2": collate_ok, "4.3": stopping_ok, "4.4": copy_ok}


# ---------------------------------------------------------------- errores típicos
def labels_by_id(input_ids, attention_mask):
    return input_ids.masked_fill(input_ids == session_04.EOS, -100)


def labels_shifted(input_ids, attention_mask):
    labels = labels_ok(input_ids, attention_mask)
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], dim=1)


def labels_in_place(input_ids, attention_mask):
    return input_ids.masked_fill_(attention_mask == 0, -100)


def labels_from_the_right(input_ids, attention_mask):
    labels = input_ids.clone()
    for row, n in zip(labels, attention_mask.sum(1).tolist(), strict=True):
        row[n:] = -100
    return labels


def collate_with(**changes):
    def wrong(rows, pad_id):
        batch = collate_ok(rows, pad_id)
        return batch | {key: change(batch, pad_id) for key, change in changes.items()}

    return wrong


def collate_left(rows, pad_id):
    width = max(map(len, rows))
    ids = torch.tensor([[pad_id] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels_ok(ids, mask)}


def collate_in_place(rows, pad_id):
    width, lengths = max(map(len, rows)), [len(row) for row in rows]
    for row in rows:
        row += [pad_id] * (width - len(row))
    mask = torch.tensor([[1] * n + [0] * (width - n) for n in lengths])
    return {"input_ids": torch.tensor(rows), "attention_mask": mask, "labels": labels_ok(torch.tensor(rows), mask)}


def stopping_argmin(losses, patience):
    return losses.index(min(losses)) + 1, len(losses)


def stopping_from_zero(losses, patience):
    best, last = stopping_ok(losses, patience)
    return best - 1, last - 1


def stopping_total(losses, patience):
    """Cuenta todas las épocas malas, sin reiniciar."""
    best, where, bad = float("inf"), 0, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, where = loss, epoch
        else:
            bad += 1
            if bad == patience:
                return where, epoch
    return where, len(losses)


def stopping_ties(losses, patience):
    best, where = float("inf"), 0
    for epoch, loss in enumerate(losses, 1):
        if loss <= best:
            best, where = loss, epoch
        elif epoch - where == patience:
            return where, epoch
    return where, len(losses)


def copy_substring(sample, text):
    mine = re.findall(r"\w+", sample.lower())
    text = " ".join(re.findall(r"\w+", text.lower()))
    runs = [mine[i:j] for i in range(len(mine)) for j in range(i + 1, len(mine) + 1)]
    return max((len(run) for run in runs if " ".join(run) in text), default=0)


def copy_bag(sample, text):
    return len(set(re.findall(r"\w+", sample.lower())) & set(re.findall(r"\w+", text.lower())))


def copy_split(sample, text):
    mine, source = sample.split(), text.split()
    match = difflib.SequenceMatcher(None, mine, source, autojunk=False).find_longest_match()
    return match.size


WRONG = [
    ("4.1", labels_by_id, "el EOS de verdad también se borra"),
    ("4.1", lambda ids, mask: ids.clone(), "donde la máscara vale 0"),
    ("4.1", labels_shifted, "se esperaba"),
    ("4.1", labels_in_place, "masked_fill"),
    ("4.1", labels_from_the_right, "No cuentes desde el final"),
    ("4.1", lambda ids, mask: ids.masked_fill(mask == 1, -100), "donde la máscara vale 0"),
    ("4.1", lambda ids, mask: ids * mask, "donde la máscara vale 0"),
    ("4.2", collate_left, "ancho - len(row)"),
    ("4.2", lambda rows, pad: collate_ok([*rows, [pad] * 9], pad), "*este* lote"),
    ("4.2", lambda rows, pad: collate_ok(rows, pad)["input_ids"], "diccionario"),
    ("4.2", collate_with(attention_mask=lambda b, pad: b["input_ids"].ne(0).long()), "con las longitudes"),
    ("4.2", collate_with(labels=lambda b, pad: b["input_ids"]), "−100 donde la máscara es 0"),
    (
        "4.2",
        collate_with(labels=lambda b, pad: b["input_ids"].masked_fill(b["input_ids"] == pad, -100)),
        "no con pad_id",
    ),
    ("4.2", collate_in_place, "listas nuevas"),
    ("4.2", collate_with(input_ids=lambda b, pad: b["input_ids"].float()), "se esperaban enteros"),
    ("4.2", lambda rows, pad: torch.tensor(rows), "ValueError"),
    ("4.3", stopping_argmin, "lo que venga después ya no se ve"),
    ("4.3", stopping_from_zero, "Recorre las pérdidas"),
    ("4.3", stopping_total, "vuelve a 0"),
    ("4.3", stopping_ties, "estrictamente"),
    ("4.3", lambda losses, patience: stopping_ok(losses, 2), "Usa patience"),
    ("4.3", lambda losses, patience: stopping_ok(losses, patience)[0], "Recorre las pérdidas"),
    ("4.4", copy_substring, "listas de palabras"),
    ("4.4", copy_bag, "tal cual"),
    ("4.4", copy_split, "minúscula y sin puntuación"),
    ("4.4", lambda sample, text: min(copy_ok(sample, text), 4), "no se incluye"),
    ("4.4", lambda sample, text: len(sample), "el más largo"),
]


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_solution_is_accepted(exercise, capsys):
    checks.check(exercise, SOLUTIONS[exercise], strict=True)
    out = capsys.readouterr().out
    assert "resuelto" in out and "❌" not in out and out.count("✅") == len(checks.EXERCISES[exercise])


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("4.1", lambda ids, mask: torch.where(mask.bool(), ids, -100)),
        ("4.2", lambda rows, pad: finetuning.collator(pad)([{"input_ids": row} for row in rows])),
        ("4.3", lambda losses, patience: list(stopping_ok(losses, patience))),
        ("4.4", lambda sample, text: finetuning.longest_shared([text], [sample])[0]),
    ],
)
def test_other_right_answers_are_accepted(exercise, answer):
    checks.check(exercise, answer, strict=True)


@pytest.mark.parametrize(("exercise", "answer", "fragment"), WRONG)
def test_typical_mistake_gets_its_hint(exercise, answer, fragment, assert_hint):
    assert_hint(exercise, answer, fragment)


def stub(*arguments): ...


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_an_untouched_stub_is_pending(exercise, capsys):
    checks.check(exercise, stub)
    out = capsys.readouterr().out
    assert "⏳" in out and "pendiente" in out and "❌" not in out


def test_every_exercise_has_a_solution_and_three_mistakes():
    assert set(SOLUTIONS) == set(session_04.EXERCISES)
    for exercise in session_04.EXERCISES:
        assert sum(name == exercise for name, *_ in WRONG) >= 3
