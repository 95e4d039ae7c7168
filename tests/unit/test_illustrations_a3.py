"""Las ilustraciones de la sesión A3: dicen lo que se les da, y lo que no se puede dibujar se dice."""

import json
from pathlib import Path

import numpy as np
import pytest
from dibujos import close_figures, texts  # noqa: F401
from safetensors import safe_open
from tokenizers import Tokenizer

from course_utils.illustrations import session_a3 as drawn
from course_utils.models import checkpoint

FOLDER = Path(checkpoint("decoder", "mini"))


def test_the_cover_says_how_many_numbers_the_decoder_has():
    with safe_open(FOLDER / "model.safetensors", "pt") as file:
        count = sum(np.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    said = " ".join(texts(drawn.cover()))
    assert f"{count:,}".replace(",", "\u202f") in said or f"{count:,}".replace(",", " ") in said


def test_the_pieces_are_those_of_tokenizers():
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    merges = json.loads((FOLDER / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"]
    for word in ("reina", "trigales", "anteayer", "ñandú"):
        (shown, _), *_ = tokenizer.pre_tokenizer.pre_tokenize_str(word)
        assert drawn.merged(shown, merges) == tokenizer.encode(word).tokens
    assert drawn.merged("aaa", [("a", "a")]) == ["aa", "a"]


def test_a_row_of_chips_for_each_number_of_merges():
    said = texts(drawn.merging({0: ["Ġ", "t", "r"], 1: ["Ġ", "tr"], 2: ["Ġtr"]}))
    assert [text for text in said if "uniones" in text] == ["0 uniones", "1 uniones", "2 uniones"]
    assert said.count("␣") == 2 and "tr" in said and "␣tr" in said
    with pytest.raises(ValueError, match="al menos"):
        drawn.merging({})


def test_the_tower_adds_twice_in_each_layer():
    said = texts(drawn.tower(4))
    assert said.count("⊕") == 2 and said.count("ln") == 2 and "× 4 capas" in said
    assert {"ids", "wte + wpe", "atención", "MLP", "logits"} <= set(said)


def test_the_lens_says_what_each_layer_says():
    ax = drawn.lens([("␣la", 0.9), ("␣señora", 0.3), ("␣corte", 0.2)])
    assert [bar.get_width() for bar in ax.patches] == [0.9, 0.3, 0.2]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["entrada", "capa 1", "capa 2"]
    assert [text for text in texts(ax) if "«" in text] == ["«␣la» 90,0 %", "«␣señora» 30,0 %", "«␣corte» 20,0 %"]


def test_parameters_in_millions_and_per_cent():
    ax = drawn.parameters({"MLP": 3_000_000, "atención": 996_000, "LayerNorm": 4_000})
    assert [bar.get_width() for bar in ax.patches] == [3.0, 0.996, 0.004]
    assert [text for text in texts(ax) if "%" in text] == ["75 %", "25 %", "0,1 %"]


def test_losses_against_chance():
    ax = drawn.losses({"entero": 3.0, "sin puestos": 9.5}, chance=8.3)
    assert [bar.get_width() for bar in ax.patches] == [3.0, 9.5]
    assert 8.3 in [line.get_xdata()[0] for line in ax.lines]


def test_the_curve_and_its_lines():
    ax = drawn.learning([(0, 6.0), (50, 4.0)], {"al azar": 6.0, "unigrama": 5.2})
    assert ax.lines[0].get_ydata().tolist() == [6.0, 4.0]
    assert {"tu GPT: 4,00", "al azar: 6,00", "unigrama: 5,20"} <= set(texts(ax))


def test_only_the_past_is_drawn():
    scores = np.arange(9.0).reshape(3, 3)
    (ax,) = drawn.by_place({"RoPE": scores})
    seen = ax.images[0].get_array()
    assert seen.mask.tolist() == np.triu(np.ones((3, 3), bool), 1).tolist()
    assert seen.compressed().tolist() == [0, 3, 4, 6, 7, 8]


def test_shared_heads_are_counted():
    said = texts(drawn.shared_heads(8, 2))
    assert said.count("q") == 16 and said.count("k v") == 10 and "8 preguntan, 2 guardan" in said
    with pytest.raises(ValueError, match="8 cabezas no se reparten por igual entre 3"):
        drawn.shared_heads(8, 3)
