"""Lo que la sesión 08 mide y guarda: las preguntas y sus pasajes, el buscador y lo que escribió Gemma."""

import json
import math
import re
import unicodedata
from collections import Counter

import bm25s
import numpy as np
import pytest
import torch
from answers import published

from course_utils.constrained import json_only, token_bytes
from course_utils.jokes import DATA
from course_utils.models import load_model
from tools.training import passages as snapshot
from tools.training import prompts

PASSAGES, QUESTIONS = prompts.lines("pasajes.jsonl"), prompts.lines("preguntas.jsonl")
STORED = json.loads(prompts.FILE.read_text(encoding="utf-8"))


# ---------------------------------------------------------------- las preguntas
def test_each_question_has_its_answer_in_its_passage():
    assert [p["id"] for p in PASSAGES] == list(range(len(PASSAGES))) and len({q["text"] for q in QUESTIONS}) == 60
    for question in QUESTIONS:
        if question["passage"] is None:
            assert question["answers"] == []
        else:
            text = PASSAGES[question["passage"]]["text"].casefold()
            assert any(answer.casefold() in text for answer in question["answers"]), question["text"]


def test_the_card_counts_them():
    card = (DATA / "preguntas.md").read_text(encoding="utf-8")
    known = sum(question["passage"] is not None for question in QUESTIONS)
    for said in (f"{len(QUESTIONS)} preguntas", f"{len(PASSAGES)} pasajes", f"| {known},", f"| {60 - known},"):
        assert said in card
    for row in [*QUESTIONS, *PASSAGES]:
        assert unicodedata.is_normalized("NFC", row["text"]) and row["text"] == row["text"].strip()


def test_the_passages_come_from_the_pages():
    """Las páginas cambian y la foto no, pero tiene que parecerse a ellas."""
    now = {row["text"] for row in snapshot.passages()}
    assert sum(row["text"] in now for row in PASSAGES) > 0.6 * len(PASSAGES)


# ---------------------------------------------------------------- el buscador, a lo bruto
def words(text):
    (row,) = bm25s.tokenize([text], stopwords="es", show_progress=False, return_ids=False)
    return row


def by_hand(question, texts, k1=1.5, b=0.75):
    rows = [words(text) for text in texts]
    mean = sum(map(len, rows)) / len(rows)
    found = []
    for row in rows:
        counts, total = Counter(row), 0.0
        for word in words(question):
            n = sum(word in other for other in rows)
            idf = math.log(1 + (len(rows) - n + 0.5) / (n + 0.5))
            total += idf * counts[word] / (counts[word] + k1 * (1 - b + b * len(row) / mean))
        found.append(total)
    return np.array(found)


@pytest.mark.parametrize("question", QUESTIONS[::12], ids=lambda q: str(q["id"]))
def test_the_search_is_the_formula(question):
    texts = [row["text"] for row in PASSAGES]
    points = by_hand(question["text"], texts)
    (found,) = prompts.search(PASSAGES, [question["text"]], 5)
    np.testing.assert_allclose(points[found], np.sort(points)[::-1][:5], atol=1e-4)


def test_the_passage_is_found():
    ranked = prompts.search(PASSAGES, [question["text"] for question in QUESTIONS], 10)
    gold = [question["passage"] for question in QUESTIONS]
    hit_at_k = published("08")["8.2"]
    known = [(row, right) for row, right in zip(ranked, gold, strict=True) if right is not None]
    for k in (1, 3, 10):
        brute = np.mean([any(i == right for i in row[:k]) for row, right in known])
        assert hit_at_k(ranked, gold, k) == pytest.approx(brute)
    assert hit_at_k(ranked, gold, 3) > 0.85


# ---------------------------------------------------------------- la máscara del ejercicio es la del paquete
@pytest.mark.parametrize("written", ["", "po", "posi", "nega", "positiva", "negativa"])
def test_the_mask_of_the_exercise_is_the_one_of_the_package(written):
    _, tokenizer = load_model("decoder", "mini")
    start = '{"etiqueta": "'
    ids = tokenizer(start + written, add_special_tokens=False).input_ids
    alive = json_only({"etiqueta": ["positiva", "negativa"]}, tokenizer, 0)(torch.zeros(1, 4096), torch.tensor([ids]))[
        0
    ]
    pieces = [None if data is None else data.decode("utf-8", errors="replace") for data in token_bytes(tokenizer)]
    letters = [(k, piece) for k, piece in enumerate(pieces) if piece and piece.isalpha()]
    mask = published("08")["8.1"]([piece for _, piece in letters], written, ["positiva", "negativa"])
    assert [bool(alive[k] > -1) for k, _ in letters] == mask


# ---------------------------------------------------------------- lo guardado
def test_everything_stored_is_whole():
    assert STORED["opiniones"]["templates"] == prompts.TEMPLATES and STORED["opiniones"]["empty"] == prompts.EMPTY
    for rows in STORED["opiniones"]["scores"].values():
        assert len(rows) == prompts.REVIEWS + 1 >= 41 and all(value < 0 for row in rows for value in row)
    assert STORED["cuentas"]["problems"] == prompts.problems() and len(prompts.problems()) == 40
    assert STORED["preguntas"]["asked"] == [row["id"] for row in prompts.asked()]
    assert STORED["preguntas"]["found"] == prompts.found_passages()
    assert [len(rows) for rows in STORED["preguntas"]["answers"].values()] == [40, 40]


def test_every_stored_answer_has_its_form_and_cites_a_passage_that_exists():
    for how, rows in STORED["cuentas"]["answers"].items():
        assert all(list(json.loads(row["text"])) == list(prompts.SUMS[how]) for row in rows)
    for row in STORED["preguntas"]["answers"]["buscando"] + STORED["intrusos"]["answers"]:
        assert json.loads(row["text"])["pasaje"] in ("1", "2", "3", "ninguno")


def test_each_problem_has_the_answer_it_says():
    for problem in prompts.problems():
        numbers = [int(digits) for digits in re.findall(r"\d+", problem["text"])]
        told = numbers[0] * numbers[1] if problem["kind"] == "producto" else numbers[0] + numbers[1] - numbers[2]
        assert told == problem["answer"]
