"""El trozo copiado más largo frente a la fuerza bruta y a cuentas hechas a mano."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import finetuning
from course_utils.memorization import longest_shared

words = st.lists(st.sampled_from("ab"), max_size=12).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(training=st.lists(words, max_size=3), sample=words)
def test_longest_shared_equals_brute_force(training, sample):
    parts, expected = sample.split(), 0
    for i in range(len(parts)):
        for j in range(i + 1, len(parts) + 1):
            if any(f" {' '.join(parts[i:j])} " in f" {text} " for text in training):
                expected = max(expected, j - i)
    assert longest_shared(training, [sample]) == [expected]


def test_longest_shared_ignores_case_and_punctuation_and_stays_inside_a_text():
    found = longest_shared("¡Ay de mí!, dijo.", ["Ay, de MÍ", "zas", "él dijo que ay de ti"])
    assert found == [3, 0, 2]
    assert longest_shared(["b", ""], ["a a b"]) == [1]  # dos fronteras seguidas no son dos palabras desconocidas
    assert longest_shared(["uno dos", "tres cuatro"], ["dos tres", "uno dos tres cuatro"]) == [1, 2]


def test_words_are_whole_and_accents_count():
    training = ["El niño comió piñas."]
    assert longest_shared(training, ["un niñ", "nino", "NIÑO COMIÓ", "niño, comió; piñas"]) == [0, 0, 2, 3]
    assert longest_shared(training, ["", "¡…!"]) == [0, 0] and longest_shared(training, []) == []
    assert longest_shared([], ["algo"]) == [0] and longest_shared(iter(training), iter(["niño"])) == [1]


def test_long_copies_are_counted_whole():
    words = [f"w{i % 97}" for i in range(600)]
    text, other = " ".join(words), " ".join(reversed(words))
    assert longest_shared([other, text], [text, f"{text} fin", f"fin {' '.join(words[100:])}"]) == [600, 600, 500]


@pytest.mark.parametrize(("training", "samples"), [([3], ["a"]), (["a"], [None]), (None, ["a"]), (["a"], 7)])
def test_what_is_not_text_is_refused(training, samples):
    with pytest.raises(ValueError, match="Hace falta una lista"):
        longest_shared(training, samples)


def test_the_name_that_notebook_04_uses_is_the_same_function():
    assert finetuning.longest_shared is longest_shared
