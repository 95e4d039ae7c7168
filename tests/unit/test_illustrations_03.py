"""Las ilustraciones de la sesión 03: que digan lo que dan los filtros, el haz y el asistente, y que avisen."""

from functools import partial

import numpy as np
import pytest
import torch
from dibujos import close_figures  # noqa: F401

from course_utils import decoding
from course_utils.drawing import percent
from course_utils.illustrations import session_03 as drawn
from course_utils.models import load_model


def said(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts if text.get_text()]


# ---------------------------------------------------------------- la escalera
PROBS = [0.4, 0.2, 0.15, 0.1, 0.06, 0.05, 0.025, 0.015]  # sin empates


@pytest.mark.parametrize(("k", "p", "min_p"), [(5, 0.5, 0.2), (1, 0.41, 0.45), (3, 0.9, 0.3), (8, 0.39, 1.0)])
def test_the_staircase_keeps_what_the_filters_keep(k, p, min_p):
    logits = torch.tensor([PROBS], dtype=torch.float64).log()
    cuts = (decoding.top_k(k), decoding.top_p(p), decoding.min_p(min_p))
    expected = [int(cut(logits, None).isfinite().sum()) for cut in cuts]
    figure = drawn.nucleus_staircase({"todas": {f"t{i}": x for i, x in enumerate(PROBS)}}, k=k, p=p, min_p=min_p)
    texts = said(figure)
    assert texts.count("✓") == sum(expected) and texts.count("✗") == 3 * len(PROBS) - sum(expected)
    assert [int(text) for text in texts if text.isdigit()] == expected


def test_each_step_begins_where_the_last_one_ends_and_both_panels_share_the_scale():
    bars = {f"t{i}": x for i, x in enumerate(PROBS)}
    figure = drawn.nucleus_staircase({"una": bars, "otra": bars}, vertical=False)
    assert len({ax.get_xlim() for ax in figure.axes}) == 1
    starts = [patch.get_x() for patch in figure.axes[0].patches]
    assert np.allclose(starts, [0, *np.cumsum(PROBS)[:-1]])


@pytest.mark.parametrize(
    ("panels", "says"),
    [
        ({}, "al menos una distribución"),
        ({"mal": {"a": 0.1, "b": 0.3}}, "de mayor a menor"),
        ({"corta": {"a": 0.3, "b": 0.1}}, "faltan candidatas"),
    ],
)
def test_a_staircase_that_cannot_be_drawn_says_so(panels, says):
    with pytest.raises(ValueError, match=says):
        drawn.nucleus_staircase(panels)


# ---------------------------------------------------------------- el haz
@pytest.fixture(scope="module")
def quixote():
    model, tokenizer = load_model("decoder", "mini")
    ids = tokenizer("Don Quijote", return_tensors="pt").input_ids
    two = decoding.beam_search(model, ids, num_beams=2, max_new_tokens=4)
    greedy = decoding.generate(model, ids, max_new_tokens=4)
    return two, greedy, partial(decoding.show_token, tokenizer)


def test_the_last_frame_ends_in_the_winner_and_points_at_the_greedy_path(quixote):
    two, greedy, label = quixote
    figure = drawn.beam_frames(two.tree, label, root="Don Quijote", greedy=greedy.new_ids[0].tolist())
    assert len(figure.axes) == 4
    last = [text.get_text() for text in figure.axes[-1].texts]
    assert f"cha ★  {percent(two.logprobs.sum().exp(), 2)}" in last
    assert sum("voraz" in text for text in last) == 1
    first = [text.get_text() for text in figure.axes[0].texts]
    assert f",  {percent(greedy.logprobs[0, 0].exp(), 2)}" in first


def test_what_was_pruned_is_gone_in_the_next_frame(quixote):
    two, _, label = quixote
    figure = drawn.beam_frames(two.tree, label, root="Don Quijote")
    seen = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert any(text.startswith("␣se ✗") for text in seen[0])
    assert not any("✗" in text and text.startswith("␣se") for text in seen[2] + seen[3])
    assert all(sum("✗" in text for text in texts) == 2 for texts in seen)


def test_frames_can_be_chosen_and_checked(quixote):
    two, _, label = quixote
    assert len(drawn.beam_frames(two.tree, label, root="x", frames=(1,)).axes) == 1
    with pytest.raises(ValueError, match="pasos 0 a 3"):
        drawn.beam_frames(two.tree, label, root="x", frames=(4,))
    with pytest.raises(ValueError, match="un solo prompt"):
        drawn.beam_frames((), label, root="x")


def test_the_pruning_is_pointed_at_where_it_happens():
    model, tokenizer = load_model("decoder", "mini")
    ids = tokenizer("Aquel hombre no", return_tensors="pt").input_ids
    greedy = decoding.generate(model, ids, max_new_tokens=12)
    beam = decoding.beam_search(model, ids, num_beams=2, max_new_tokens=12)
    path = greedy.new_ids[0].tolist()
    alive = {  # los principios que siguen en el haz, leídos del árbol de abajo arriba
        (node.step, tuple(_ids(beam.tree, i))) for i, node in enumerate(beam.tree) if node.status != "podada"
    }
    gone = next(step for step in range(12) if (step, tuple(path[: step + 1])) not in alive)
    ax = drawn.pruned_too_soon(greedy.logprobs[0].cumsum(0).tolist(), beam.tree)
    assert f"paso {gone + 1}: aquí se poda" in [text.get_text() for text in ax.texts]
    with pytest.raises(ValueError, match="no hay poda"):
        drawn.pruned_too_soon([0.0] * 12, beam.tree)


def _ids(tree, i):
    path = []
    while i != -1:
        path.append(tree[i].token_id)
        i = tree[i].parent
    return path[::-1]


# ---------------------------------------------------------------- lo demás
def test_the_hidden_cut_says_how_much_stays_and_how_much_goes():
    probs = np.random.default_rng(0).dirichlet(np.full(300, 0.3)).tolist()
    ax = drawn.top_k_cut(probs, 50)
    texts = " ".join(text.get_text() for text in ax.texts)
    best = sum(sorted(probs)[-50:])
    assert percent(best) in texts and percent(1 - best) in texts and "los otros 250" in texts
    for k in (0, 100, 301):
        with pytest.raises(ValueError, match="Hace falta 0 < k"):
            drawn.top_k_cut(probs, k)


def test_the_dialogue_shows_what_is_accepted_and_what_the_model_puts():
    ax = drawn.speculative_dialogue([(["a", "b", "c"], 1, "z"), (["d"], 1, "e")], prompt="hola")
    texts = [text.get_text() for text in ax.texts]
    assert [texts.count(token) for token in "abcdez"] == [2, 1, 1, 2, 1, 1]
    assert "✓ 1, y corrige" in texts and "✓ todo, y sigue" in texts
    for rounds in ([], [(["a"], 2, "b")]):
        with pytest.raises(ValueError, match="se acepta una parte"):
            drawn.speculative_dialogue(rounds)


def test_the_batch_pads_on_the_left_of_each_prompt():
    rows = [["<pad>", "<pad>", "El", "x"], ["La", "noche", "es", "y"]]
    ax = drawn.left_padded(rows, [1, 3], 3)
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("–") == 2 and "<pad>" not in texts
    with pytest.raises(ValueError, match="filas igual de largas"):
        drawn.left_padded([["a"], ["a", "b"]], [1, 1], 1)


def test_each_knob_is_drawn_at_its_means_with_its_interval():
    x, y = np.array([1.0, 3.0, 5.0]), np.array([-2.0, -2.5, -3.0])
    ax = drawn.knob_curves({"temperatura": [(x, y, "0,5"), (x + 1, y, "1,0")]}, xlabel="x", ylabel="y")
    line = ax.containers[0].lines[0]
    assert np.allclose(line.get_xdata(), [3, 4]) and np.allclose(line.get_ydata(), [-2.5, -2.5])
    width = ax.containers[0].lines[2][0].get_segments()[0]  # (2, 2): los extremos del intervalo en x
    assert np.isclose(width[1][0] - width[0][0], 2 * 1.96 * x.std(ddof=1) / 3**0.5)
    with pytest.raises(ValueError, match="de uno a 4"):
        drawn.knob_curves({}, xlabel="x", ylabel="y")


def test_the_cover_names_its_knobs():
    texts = {text.get_text() for text in drawn.cover().texts}
    assert {"τ", "top-k", "top-p", "min-p", "haces", "?"} <= texts
