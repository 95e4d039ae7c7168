"""El Transformer por dentro: los números puestos son los del decodificador, y «estás aquí» sale donde se pide."""

import pytest
import torch
from dibujos import close_figures, texts  # noqa: F401

from course_utils.attention import capture_attention
from course_utils.decoding import show_token
from course_utils.illustrations import changed_word, families, inside_transformer, qkv_strips, who_moved
from course_utils.illustrations.session_01 import STAGES, THE_KING
from course_utils.models import load_model


def test_the_numbers_are_the_decoders_own():
    model, tokenizer = load_model("decoder", "mini")
    ids = tokenizer("El rey y la", return_tensors="pt").input_ids
    with torch.no_grad():
        out = model(ids, output_hidden_states=True)
    best = out.logits[0, -1].softmax(-1).topk(4)
    assert tuple(show_token(tokenizer, i) for i in ids[0].tolist()) == THE_KING.tokens
    size = len(THE_KING.final)
    for state, drawn in [
        (out.hidden_states[0][0], THE_KING.vectors),
        (out.hidden_states[-1][0, -1:], [THE_KING.final]),
    ]:
        torch.testing.assert_close(state[:, :size], torch.tensor(drawn), atol=0.0051, rtol=0)
    shared = capture_attention(model, ids)[-1, 0, 0, -1]
    torch.testing.assert_close(shared, torch.tensor(THE_KING.attention), atol=0.00051, rtol=0)
    assert [show_token(tokenizer, i) for i in best.indices.tolist()] == [name for name, _ in THE_KING.choices]
    torch.testing.assert_close(best.values, torch.tensor([p for _, p in THE_KING.choices]), atol=0.00051, rtol=0)
    assert (model.config.n_layer, model.config.vocab_size) == (THE_KING.layers, THE_KING.vocabulary)


@pytest.mark.parametrize("vertical", [False, True])
def test_every_stage_is_named_and_only_the_asked_one_is_here(vertical):
    titles = {title for title, _ in STAGES.values()}
    plain = texts(inside_transformer(vertical=vertical))
    assert titles <= set(plain) and "estás aquí" not in plain
    seen = []
    for stage in STAGES:
        ax = inside_transformer(stage, vertical=vertical)
        (pill,) = [text for text in ax.texts if text.get_text() == "estás aquí"]
        (title,) = [text for text in ax.texts if text.get_text() == STAGES[stage][0]]
        gap = abs(pill.get_position()[vertical] - title.get_position()[vertical])
        assert gap < 0.8, "la señal está lejos de su etapa"
        seen.append(pill.get_position())
    assert len(set(seen)) == len(STAGES)


@pytest.mark.parametrize(("vertical", "learning"), [(False, False), (True, False), (False, True)])
def test_nothing_is_drawn_outside_or_on_top(vertical, learning):
    ax = inside_transformer("choice", vertical=vertical, learning=learning)
    ax.figure.canvas.draw()
    frame = ax.figure.bbox
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes)
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            assert not one.padded(-2).overlaps(other.padded(-2))


def test_learning_compares_with_what_came_and_nothing_is_added():
    said = " ".join(texts(inside_transformer("logits", learning=True)))
    assert "Lo que venía" in said and "la corrección vuelve" in said
    assert "Elección" not in said and "vuelta a empezar" not in said
    with pytest.raises(ValueError, match="learning=True"):
        inside_transformer(vertical=True, learning=True)


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match=r"tokens, embeddings.*'cabeza'"):
        inside_transformer("cabeza")


def test_strips_need_one_key_value_score_and_weight_per_token():
    good = {"tokens": ["El", "␣rey"], "query": [1.0, -1.0], "keys": [[1, 2], [3, 4]], "values": [[1, 2], [3, 4]]}
    good |= {"weights": [0.25, 0.75], "scores": [0.0, 1.1], "result": [2.5, 3.5]}
    drawn = texts(qkv_strips(**good))
    assert {"25 %", "75 %", "0,0", "1,1"} <= set(drawn)
    with pytest.raises(ValueError, match=r"Hay 2 tokens.*\[2, 2, 1, 2\]"):
        qkv_strips(**good | {"weights": [1.0]})


def test_who_moved_uses_one_scale_and_marks_the_change():
    fig = who_moved({"Codificador": (["a", "b"], [1.0, 2.0], 1), "Decodificador": (["a"], [8.0], 0)})
    limits = [ax.get_xlim() for ax in fig.axes]
    assert limits[0] == limits[1] and limits[0][1] > 8
    assert [[text.get_text() for text in ax.texts] for ax in fig.axes] == [["1,0", "2,0 ◀ cambio"], ["8,0 ◀ cambio"]]
    with pytest.raises(ValueError, match="GPT: hay 1 tokens y 2 distancias"):
        who_moved({"GPT": (["a"], [1, 2], 0)})


@pytest.mark.parametrize("vertical", [False, True])
def test_the_bet_shows_both_words_and_asks_for_the_others(vertical):
    drawn = texts(changed_word(["El", "␣rey", "."], 1, "␣paje", vertical=vertical))
    assert {"El", "␣rey", "␣paje", "."} <= set(drawn) and drawn.count("?") == 2 and drawn.count("!") == 1
    with pytest.raises(ValueError, match="de 0 a 2, y es 3"):
        changed_word(["El", "␣rey", "."], 3, "x")


def test_families_put_each_model_in_its_lane_and_year():
    ax = families(
        [("BERT", 2018, "codificador"), ("GPT", 2018, "decodificador"), ("T5", 2019, "codificador-decodificador")]
    )
    places = {text.get_text(): text.get_position() for text in ax.texts}
    assert places["BERT"][0] < places["T5"][0] < places["GPT"][0]
    assert places["BERT"][1] == places["GPT"][1] > places["T5"][1]
    with pytest.raises(ValueError, match="hay enano"):
        families([("X", 2020, "enano")])
