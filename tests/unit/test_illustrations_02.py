"""Las ilustraciones de la sesión 02: lo que cuentan sale bien contado, y lo que no se puede dibujar se dice."""

import itertools

import pytest
from dibujos import close_figures, texts  # noqa: F401

from course_utils.illustrations import session_02 as drawn


def _tokens(count):
    return [f"t{i}" for i in range(count)]


@pytest.mark.parametrize(("prompt", "new"), [(4, 6), (1, 3), (5, 1)])
def test_the_frames_of_the_cache_count_every_token_that_passes(prompt, new):
    """Un bucle de verdad, de fuera a dentro: se pasa todo el texto o solo lo que aún no se ha pasado."""
    passed, kept, without, cached = prompt, 0, [], []
    for _ in range(new):
        without.append(passed)
        cached.append(passed - kept)
        kept, passed = passed, passed + 1
    said = [text for text in texts(drawn.cache_frames(_tokens(prompt + new - 1), prompt)) if text.isdigit()]
    expected = zip(itertools.accumulate(without), itertools.accumulate(cached), strict=True)
    assert said == [str(total) for pair in expected for total in pair]


def test_the_curves_of_the_cache_are_the_counts_of_the_loop():
    ax = drawn.cache_count([2, 30], 3)
    without, cached = sum(3 + i for i in range(30)), 3 + 29
    assert [line.get_ydata()[-1] for line in ax.lines] == [without, without, cached, cached]


def test_every_logit_is_written_and_the_largest_of_each_row_stands_out():
    logits = [[0.5, -1.25, 3.0], [4.0, 2.0, -7.5]]
    ax = drawn.logits_grid(logits, ["Ha", "bía"], {2: "x", 0: "y"})
    said = texts(ax)
    assert said.count("?") == 1 and said.count("bía") == 2 and said.count("Ha") == 1
    assert {"3,0", "0,5", "−7,5", "4,0"} <= set(said) and "−1,3" not in said  # la columna 1 no se pide
    bold = {text.get_text() for text in ax.texts if text.get_fontweight() == "bold"}
    assert {"3,0", "4,0"} <= bold and not {"0,5", "−7,5"} & bold


def test_the_loop_adds_the_first_candidate_of_each_turn():
    steps = [[("b", 0.5), ("z", 0.1)], [("c", 0.4), ("y", 0.2)]]
    for first in (1, 2):
        said = texts(drawn.loop_frames(["a"], steps, first=first))
        shown = 3 - first  # vueltas que se ven
        assert said.count("modelo") == shown and said.count("a") == shown + 1
        assert said.count("c") == 2 and said.count("y") == 1 and said.count("z") == (first == 1)


def test_a_split_letter_is_never_split_between_rows():
    tokens = ["largo_de_verdad"] * 2 + ["⟨F0⟩", "⟨9F⟩", "⟨99⟩"]
    ax = drawn.half_letter(tokens, tokens, {(2, 4): "carita"})
    heights = {text.get_position()[1] for text in ax.texts if text.get_text() in tokens[2:]}
    assert len(heights) == 2  # la ficha y lo que se lee sola


def test_the_echo_says_the_geometric_mean_of_the_ratios_of_each_group():
    said = texts(drawn.echo({"sí misma": [[0.1, 0.2, 0.4], [0.01, 0.08, 0.09]], "otras": [[0.1, 0.1, 0.1]] * 2}))
    assert {"× 4,0", "sí misma\n× 6,0", "× 1,0", "otras\n× 1,0"} <= set(said)  # √(2·8) y √(4·9)


def test_the_bet_does_not_give_its_answer_away():
    assert set(texts(drawn.bet())) == {"Hab", "ía", "␣una", "␣vez", "?", "… hasta 200", "siempre el más probable"}


@pytest.mark.parametrize(
    ("draw", "received"),
    [
        (lambda: drawn.loop_frames(["a"], [[("b", 0.5)]], first=2), "2"),
        (lambda: drawn.logits_grid([[0.0] * 9], ["a", "b"], {0: "c"}), "2 tokens"),
        (lambda: drawn.logits_grid([[0.0, 1.0]], ["a"], {0: "c"}), r"\[1\]"),
        (lambda: drawn.echo({"a": [[0.1, 0.0]]}), "0.0"),
        (lambda: drawn.echo({"a": [[0.1]], "b": [[0.1, 0.2]]}), "0.2"),
        (lambda: drawn.echo({"a": [[0.1]], "b": [[0.1], [0.2]]}), "mismas frases"),
        (lambda: drawn.variety_dots({"a": [1.5]}), "1.5"),
        (lambda: drawn.growing_text(["a"] * 3, ["b"] * 3), "3"),
        (lambda: drawn.cache_frames(["a", "b"], 3), "3"),
        (lambda: drawn.cache_count([50, 25], 4), "50, 25"),
        (lambda: drawn.half_letter(["a"], [], {}), "1 tokens"),
        (lambda: drawn.context_strip(256, 253), "253"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_that_says_what_was_received(draw, received):
    with pytest.raises(ValueError, match=received):
        draw()
