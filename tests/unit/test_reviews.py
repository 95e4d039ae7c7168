"""Las reseñas: completas, equilibradas, limpias, sin repetidos, partidas siempre igual y no demasiado fáciles."""

import itertools
import json
import math
import re
from collections import Counter

import numpy as np
import pytest
import textos as looks

from course_utils import reviews
from course_utils._jsonl import DATA
from course_utils.jokes import near_duplicates

ROWS = [json.loads(line) for line in (DATA / "resenas.jsonl").read_text(encoding="utf-8").splitlines()]
TEXTS = [row["text"] for row in ROWS]
CARD = (DATA / "resenas.md").read_text(encoding="utf-8")
TOPICS = {"cine", "comida", "apps", "transporte", "libros", "alojamiento"}
DIFFICULTIES = {"directa", "negación", "ironía", "mixta"}


def count(*names, rows=ROWS):
    return Counter(tuple(row[name] for name in names) for row in rows)


# ---------------------------------------------------------------- los datos
def faults(row):
    """Lo que tiene de malo una reseña."""
    found = looks.problems(row["text"])
    found += ["palabras"] if not 15 <= len(looks.words(row["text"])) <= 60 else []
    found += ["etiqueta"] if row["label"] not in reviews.LABELS else []
    found += ["tema"] if row["topic"] not in TOPICS else []
    found += ["dificultad"] if row["difficulty"] not in DIFFICULTIES else []
    found += ["país"] if not re.fullmatch("[A-Z]{2}", row["country"]) else []
    found += ["insulto"] if looks.blocked(row["text"], looks.INSULTS) else []
    return found


def test_every_review_is_whole_and_clean():
    assert len(ROWS) >= 600 and [row["id"] for row in ROWS] == list(range(len(ROWS)))
    assert all(tuple(row) == reviews.COLUMNS for row in ROWS)
    assert {row["id"]: found for row in ROWS if (found := faults(row))} == {}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"text": "Muy rica la sopa."}, "palabras"),
        ({"text": TEXTS[0] + " Y otra cosa..."}, "tres puntos"),
        ({"text": TEXTS[0] + " Un idiota, el de la taquilla."}, "insulto"),
        ({"label": "neutra"}, "etiqueta"),
        ({"topic": "ropa"}, "tema"),
        ({"difficulty": "fácil"}, "dificultad"),
        ({"country": "España"}, "país"),
    ],
)
def test_the_rules_can_refuse(change, fault):
    assert fault in faults(ROWS[0] | change)


def test_labels_topics_difficulties_and_countries_are_balanced():
    assert len(set(count("label", "topic").values())) == 1  # la etiqueta no se adivina por el tema…
    assert count("topic", "difficulty", "label") == {  # …ni por la dificultad
        (topic, difficulty, label): count("difficulty")[difficulty,] / 12
        for topic in TOPICS
        for difficulty in DIFFICULTIES
        for label in reviews.LABELS
    }
    hard = 1 - count("difficulty")["directa",] / len(ROWS)
    assert hard > 0.4
    countries = count("country")
    assert len(countries) >= 12 and 0.12 < countries["ES",] / len(ROWS) < 0.25
    for (country,), total in countries.items():
        assert 0.35 < count("country", "label")[country, "positiva"] / total < 0.65, country
    assert max(Counter(tuple(looks.words(text)[:2]) for text in TEXTS).values()) <= 15  # no empiezan igual


def test_no_two_reviews_are_nearly_the_same():
    assert near_duplicates(TEXTS, 0.12) == []
    assert near_duplicates([*TEXTS, TEXTS[3].replace("ascensor", "elevador")], 0.12) != []


# ---------------------------------------------------------------- una bolsa de palabras
def grams(text):
    words = looks.words(looks.plain(text))
    return set(words) | set(itertools.pairwise(words))


def bag_of_words(rows, folds=10, seed=0):
    """Qué reseñas acierta una bolsa de palabras y parejas (Bayes ingenuo), entrenada con las de los otros pliegues."""
    order = np.random.default_rng(seed).permutation(len(rows))
    right = np.zeros(len(rows), dtype=bool)
    for fold in range(folds):
        exam = set(order[fold::folds].tolist())
        seen = {label: Counter() for label in reviews.LABELS}
        for i, row in enumerate(rows):
            if i not in exam:
                seen[row["label"]].update(grams(row["text"]))
        for i in exam:
            bad, good = (
                sum(math.log(seen[label][gram] + 1) for gram in grams(rows[i]["text"])) for label in reviews.LABELS
            )
            right[i] = (good > bad) == (rows[i]["label"] == "positiva")
    return right


def test_a_bag_of_words_is_better_than_chance_and_far_from_perfect():
    right = bag_of_words(ROWS)
    rng = np.random.default_rng(0)
    low, high = np.quantile(rng.choice(right, (2000, len(right))).mean(1), [0.025, 0.975])
    assert low > 0.5 and high < 0.9
    assert f"{100 * right.mean():.1f} %".replace(".", ",") in CARD
    assert f"de {100 * low:.0f} a {100 * high:.0f} %" in CARD
    easy = [{"text": f"{text} {row['label']}", "label": row["label"]} for text, row in zip(TEXTS, ROWS, strict=True)]
    assert bag_of_words(easy[::2]).mean() > 0.9  # un conjunto fácil lo notaría


# ---------------------------------------------------------------- las particiones
FIRST = [384, 418, 541, 185, 248]


def test_the_parts_are_always_the_same_and_alike():
    parts = reviews.load_reviews()
    assert {name: len(part) for name, part in parts.items()} == {"train": 420, "validation": 72, "test": 120}
    ids = [i for part in parts.values() for i in part["id"]]
    assert sorted(ids) == list(range(len(ROWS))) and parts["test"]["id"][:5] == FIRST
    for part in parts.values():
        rows = list(part)
        assert set(Counter(row["label"] for row in rows).values()) == {len(rows) // 2}
        assert {row["topic"] for row in rows} == TOPICS and {row["difficulty"] for row in rows} == DIFFICULTIES
        assert part.features["label"].names == list(reviews.LABELS)
        for row in rows:
            assert row | {"label": reviews.LABELS[row["label"]]} == ROWS[row["id"]]
    again = reviews.load_reviews("completo")
    assert all(again[name]["id"] == parts[name]["id"] for name in parts)


def test_an_unknown_profile_or_a_damaged_file_is_explained(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="No conozco el perfil 'gigante'"):
        reviews.load_reviews("gigante")
    monkeypatch.setattr(reviews, "DATA", tmp_path)
    with pytest.raises(ValueError, match=r"resenas.jsonl falta o está dañado"):
        reviews.load_reviews()
    (tmp_path / "resenas.jsonl").write_text('{"text": "Bien."}\n{"text": 3}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="la línea 2 no es un objeto JSON con un texto"):
        reviews.load_reviews()


# ---------------------------------------------------------------- la ficha
def test_the_card_says_what_there_is():
    lengths = sorted(len(looks.words(text)) for text in TEXTS)
    assert f"{len(ROWS)} reseñas" in CARD and "CC0" in CARD and "modelo de lenguaje" in CARD
    assert f"de {lengths[0]} a {lengths[-1]} palabras; mediana, {lengths[len(lengths) // 2]}" in CARD
    for (difficulty,), total in count("difficulty").items():
        assert f"{difficulty}, {total}" in CARD
    for (country,), total in count("country").items():
        assert f"`{country}` {total}" in CARD
