"""Los textos y las tablas que se enseñan en los cuadernos, y cómo se escribe un número."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from course_utils import cards, decoding, plots
from course_utils.drawing import check_mark, number, percent


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (12.14, {}, "12,1"),
        (-0.964, {"decimals": 2}, "−0,96"),
        (-0.04, {}, "0,0"),
        (1549, {"decimals": 0}, "1549"),
        (12345.678, {"decimals": 1}, "12\u202f345,7"),
        (np.float32(0.5), {"decimals": 1, "sign": True}, "+0,5"),
        (torch.tensor(-3), {"decimals": 0, "sign": True}, "−3"),
        (math.inf, {}, "∞"),
        (-math.inf, {}, "−∞"),
        (math.nan, {}, "—"),
    ],
)
def test_numbers_are_written_in_spanish(value, options, text):
    assert number(value, **options) == text


def test_a_probability_is_a_percentage():
    assert percent(0.1214) == "12,1 %" and percent(torch.tensor(1.0), 0) == "100 %"
    assert [check_mark(right) for right in (True, False)] == ["✓", "✗"]


def test_axes_write_commas_and_true_minus():
    ax = plots.plot_bars({"a": 0.5}, xlabel="x")
    ax.set_xlim(-0.5, 0.5)
    ax.figure.canvas.draw()
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert "−0,4" in labels and not any("." in label or "-" in label for label in labels)
    plt.close("all")


def test_the_style_sheet_uses_the_letter_of_the_course():
    with plt.style.context("course_utils.curso"):
        assert plt.rcParams["font.family"][0] == "Atkinson Hyperlegible"
        assert cards is not None and plt.rcParams["font.size"] >= 13


# --- Textos -----------------------------------------------------------------------------------------


def test_a_generation_is_shown_with_its_prompt_apart_and_tinted(mini):
    model, tokenizer = mini
    ids = tokenizer("Había una vez", return_tensors="pt").input_ids
    out = decoding.generate(model, ids, max_new_tokens=5)
    shown = cards.show_text(out, tokenizer, labels=["voraz"])
    text = tokenizer.decode(out.sequences[0])
    assert repr(shown) == f"[voraz] Había una vez▶{text.removeprefix('Había una vez')}"
    page = shown._repr_html_()
    assert page.count("title=") == 5 and page.count(percent(math.exp(out.logprobs[0, 0].item()))) >= 1
    assert "<script" not in page and "<style" not in page
    plain = cards.show_text(out.sequences, tokenizer, prompt_length=ids.shape[1])
    assert repr(plain) == repr(shown).removeprefix("[voraz] ") and "title=" not in plain._repr_html_()
    assert repr(cards.show_text(out.sequences[0], tokenizer, prompt_length=ids.shape[1])) == repr(plain)


def test_nothing_written_by_a_model_is_html():
    page = cards.Card("<b>", ("<script>", "\n&"), (-1.0, -2.0), "<i>", "<u>").to_html()
    assert "&lt;b&gt;" in page and "&lt;script&gt;" in page and "<br>&amp;" in page
    assert "<script" not in page and "&lt;i&gt;" in page and "&lt;u&gt;" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "prompt_length dice cuántos de los 4 ids"),
        ({"prompt_length": 5}, "y es 5"),
        ({"prompt_length": True, "labels": ["a"]}, "Hay 2 textos y 1 títulos"),
    ],
)
def test_mistakes_are_explained(mini, options, message):
    with pytest.raises(ValueError, match=message):
        cards.show_text(torch.ones(2, 4, dtype=torch.long), mini[1], **options)


# --- Tablas -----------------------------------------------------------------------------------------


def test_a_table_is_left_aligned_and_has_commas():
    frame = pd.DataFrame({"token": ["<a>", "b"], "p": [0.5, -1.25], "n": [3, 12000], "bien": [True, False]})
    shown = cards.show_table(frame, caption="Dos")
    assert repr(shown).splitlines() == [
        "Dos", "token | p     | n      | bien", "<a>   | 0,50  | 3      | ✓", "b     | −1,25 | 12\u202f000 | ✗",
    ]  # fmt: skip
    page = shown._repr_html_()
    assert page.count("text-align:left") == 12 and "&lt;a&gt;" in page and "<a>" not in page
    named = cards.show_table(frame.set_index("token"), precision=1)
    assert named.head == shown.head and named.rows[1] == ("b", "−1,2", "12\u202f000", "✗")
    assert cards.show_table(frame.to_dict("records")).rows == shown.rows


def test_an_empty_table_is_an_error():
    with pytest.raises(ValueError, match="ninguna fila"):
        cards.show_table([])
