"""Los pares mínimos y los textos del detector: completos, equilibrados y limpios, y puntuados como se dice."""

import json
import math
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import textos as looks
import torch

from course_utils import detector, pairs, recordings
from course_utils._jsonl import DATA
from course_utils.models import load_model

ROWS = [json.loads(line) for line in (DATA / "pares.jsonl").read_text(encoding="utf-8").splitlines()]
CARD = (DATA / "pares.md").read_text(encoding="utf-8")
PLAIN = [json.loads(line) for line in (DATA / "llanos.jsonl").read_text(encoding="utf-8").splitlines()]


def filled(row, side):
    return row["text"].replace(pairs.SLOT, row[side])


# ---------------------------------------------------------------- los datos
def faults(row):
    """Lo que tiene de malo un par."""
    found = [] if row["text"].count(pairs.SLOT) == 1 else ["hueco"]
    found += [fault for side in ("a", "b") for fault in looks.problems(filled(row, side))]
    found += ["iguales"] if row["a"] == row["b"] else []
    found += ["clase"] if row["kind"] not in pairs.KINDS else []
    found += ["insulto"] if looks.blocked(filled(row, "a") + " " + filled(row, "b"), looks.INSULTS) else []
    return found


def test_every_pair_is_whole_clean_and_new():
    assert len(ROWS) >= 60 and [row["id"] for row in ROWS] == list(range(len(ROWS)))
    assert {row["id"]: found for row in ROWS if (found := faults(row))} == {}
    texts = [frozenset((filled(row, "a"), filled(row, "b"))) for row in ROWS]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"text": "Mi hermana cosía."}, "hueco"),
        ({"a": "Mi hermano", "b": "Mi hermano"}, "iguales"),
        ({"kind": "otra"}, "clase"),
        ({"text": "{x} cosía camisas"}, "final"),
        ({"text": "{x} era un idiota."}, "insulto"),
    ],
)
def test_the_rules_can_refuse(change, fault):
    assert fault in faults(ROWS[0] | change)


def test_kinds_and_groups_are_balanced_and_the_card_says_so():
    kinds, groups = Counter(row["kind"] for row in ROWS), Counter((row["kind"], row["group"]) for row in ROWS)
    assert set(kinds) == set(pairs.KINDS) and f"{len(ROWS)} pares" in CARD and "CC0" in CARD
    for kind, count in kinds.items():
        assert f"| `{kind}` | {count} |" in CARD
    for kind in ("oficio", "oficio-control", "flexión"):
        assert groups[kind, "mujer"] == groups[kind, "hombre"] == kinds[kind] / 2
    assert {groups["país", code] for code in ("MX", "AR", "CO", "CL", "PE")} == {8} and kinds["país"] == 40


def test_the_jobs_say_no_gender_and_both_groups_share_the_people():
    jobs = [row for row in ROWS if row["kind"] in pairs.SHARED]
    people = {group: Counter(row["a"] for row in jobs if row["group"] == group and row["kind"] == "oficio")
              for group in ("mujer", "hombre")}  # fmt: skip
    assert people["mujer"] == people["hombre"]
    for row in jobs:
        rest = row["text"].removeprefix("{x} ")
        assert re.match(r"\w+(ía|aba)\b", rest) and not re.search(r"\b(era|fue|estaba|ella|él)\b", rest), rest
        assert looks.words(row["a"])[0] in ("Mi", "La") and row["text"].startswith("{x} ")


def test_the_plain_texts_are_whole_clean_and_alike_in_length():
    assert Counter(row["group"] for row in PLAIN) == {"sencillo": 16, "aprendiz": 16}
    assert {row["id"]: found for row in PLAIN if (found := looks.problems(row["text"]))} == {}
    lengths = [len(row["text"].split()) for row in PLAIN]
    assert min(lengths) >= detector.SHORTEST
    assert f"de {min(lengths)} a {max(lengths)} palabras" in (DATA / "llanos.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------- puntuar
@pytest.fixture(scope="module")
def models():
    return {role: load_model(role) for role in ("decoder", "encoder", "lstm")}


@pytest.mark.parametrize("role", ["decoder", "lstm"])
@pytest.mark.parametrize("number", [0, 60, 75, 100])
def test_a_decoder_scores_what_its_logits_say(models, role, number):
    model, tokenizer = models[role]
    row = ROWS[number]
    expected = []
    for side in ("a", "b"):
        ids = [tokenizer.bos_token_id, *tokenizer(filled(row, side), add_special_tokens=False).input_ids]
        first = 1
        if row["kind"] in pairs.SHARED:  # el trozo de después del hueco, entero
            first += len(tokenizer(row["text"].split(pairs.SLOT)[0] + row[side], add_special_tokens=False).input_ids)
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        expected.append(sum(logprobs[t - 1, ids[t]].item() for t in range(first, len(ids))))
    np.testing.assert_allclose(pairs.score_pairs(model, tokenizer, [row])[0], expected, atol=1e-3)


@pytest.mark.parametrize("number", [0, 60, 100])
def test_an_encoder_masks_one_token_at_a_time(models, number):
    model, tokenizer = models["encoder"]
    row = ROWS[number]
    expected = []
    for side in ("a", "b"):
        encoded = tokenizer(filled(row, side), return_tensors="pt")
        ids, total = encoded.input_ids, 0.0
        inside = len(tokenizer(row["text"].split(pairs.SLOT)[0] + row[side], add_special_tokens=False).input_ids)
        for t in range(ids.size(1)):
            if ids[0, t] in tokenizer.all_special_ids or (row["kind"] in pairs.SHARED and t <= inside):
                continue
            hidden = ids.clone()
            hidden[0, t] = tokenizer.mask_token_id
            with torch.no_grad():
                total += model(hidden).logits[0, t].double().log_softmax(-1)[ids[0, t]].item()
        expected.append(total)
    np.testing.assert_allclose(pairs.score_pairs(model, tokenizer, [row])[0], expected, atol=1e-3)


def test_both_sides_swapped_give_the_same_swapped(models):
    rows = ROWS[:4] + ROWS[-4:]
    swapped = [row | {"a": row["b"], "b": row["a"]} for row in rows]
    ours, theirs = (pairs.score_pairs(*models["decoder"], some) for some in (rows, swapped))
    np.testing.assert_allclose(ours, theirs[:, ::-1], atol=1e-6)


def test_mistakes_are_explained(models):
    with pytest.raises(ValueError, match="No conozco la clase de pares"):
        pairs.load_pairs("animales")
    with pytest.raises(ValueError, match="un hueco"):
        pairs.score_pairs(*models["decoder"], [ROWS[0] | {"text": "Sin hueco."}])
    with pytest.raises(ValueError, match="No conozco el grupo 'raro'"):
        detector.load_plain("raro")
    assert [row["kind"] for row in pairs.load_pairs("rara")] == ["rara"] * 8


# ---------------------------------------------------------------- los textos del detector
def test_fragments_keep_whole_sentences_and_lose_only_the_last():
    text = "Uno dos tres. Cuatro cinco.\n¿Seis? Siete ocho nueve diez.\nOnce."
    assert detector.fragments(text, 4) == ["Uno dos tres. Cuatro cinco.", "¿Seis? Siete ocho nueve diez."]
    # Con las justas basta, y cada frase se une a la de delante.
    three = ["Uno dos tres cuatro.", "Cinco seis siete ocho.", "Nueve. Diez once. Doce trece."]
    assert detector.fragments(" ".join(three), 4) == three
    with pytest.raises(ValueError, match="words"):
        detector.fragments(text, 0)


def test_the_groups_have_long_enough_texts_and_no_repeats():
    groups = detector.load_groups()
    assert list(groups) == ["novela", "sencillo", "aprendiz", "chistes", "reseñas", "LLM"]
    for name, texts in groups.items():
        assert len(texts) == len(set(texts)) >= 16 and min(len(t.split()) for t in texts) >= 20, name
    taped = [r.settings for r in recordings.load("temperatura") if r.prompt + r.text in groups["LLM"]]
    assert taped and all(s["do_sample"] and s.get("temperature", 1) <= 1 for s in taped)
    assert [detector._sampled(s) for s in ({}, {"do_sample": False}, {"do_sample": True})] == [False, False, True]
    assert [detector._sampled({"do_sample": True, "temperature": t}) for t in (1, 1.01)] == [True, False]


def test_of_each_group_the_first_forty_of_twenty_words(monkeypatch):
    texts = [f"{word} " * n for n in (19, 20, 21) for word in map(str, range(25))]
    long = texts[25:]
    data = {"test": {"text": texts}, "train": {"text": ["otro " * 30]}}
    for name in ("load_jokes", "load_reviews"):
        monkeypatch.setattr(detector, name, lambda profile: data)
    groups = detector.load_groups()
    assert groups["chistes"] == groups["reseñas"] == long[:40]
    settings = {"do_sample": True}
    taped = [SimpleNamespace(prompt="", text=text, recipe=None, settings=settings) for text in texts]
    taped += [SimpleNamespace(prompt="", text="receta " * 20, recipe={}, settings=settings)]
    monkeypatch.setattr(recordings, "load", lambda name: taped)
    assert detector.load_groups()["LLM"] == long


# ---------------------------------------------------------------- lo guardado y las soluciones
def test_the_stored_scores_are_whole():
    stored = pairs.stored_scores()
    assert stored["scores"].shape == (len(ROWS), 2) and (stored["scores"] < 0).all()
    sizes = {name: len(texts) for name, texts in detector.load_groups().items()}
    assert {name: len(values) for name, values in stored["perplexities"].items()} == sizes
    assert all(value > 1 for values in stored["perplexities"].values() for value in values)


def test_the_published_answers_are_the_textbook_ones():
    from answers import published

    bias, innocents = published("09").values()
    rng = np.random.default_rng(0)
    a, b, picks = rng.normal(size=20), rng.normal(size=20), rng.integers(20, size=(3000, 20))
    mean, low, high = bias(a, b, picks)
    error = (a - b).std() / math.log(2) / math.sqrt(20)  # el de la teoría, para muchas veces
    assert mean == pytest.approx((a - b).mean() / math.log(2)) and high - low == pytest.approx(
        2 * 1.96 * error, rel=0.1
    )
    people = rng.random(200_000) < 0.1
    flagged = np.where(people, rng.random(200_000) < 0.8, rng.random(200_000) < 0.05)
    count, share = innocents(200_000, 0.1, 0.8, 0.05)
    assert (flagged & ~people).sum() == pytest.approx(count, rel=0.05)
    assert (flagged & ~people).sum() / flagged.sum() == pytest.approx(share, abs=0.01)
