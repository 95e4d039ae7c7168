"""Los mandos de los cuadernos, llamando a lo que llaman sus botones: enseñan lo que dan decoding y scoring."""

import html
import re

import ipywidgets
import matplotlib.pyplot as plt
import pytest
import torch

from course_utils import decoding, scoring
from course_utils.cards import Card
from course_utils.drawing import number, percent
from course_utils.widgets import EpochSlider, Explorer, SentenceBox


@pytest.fixture
def explorer(mini):
    return Explorer(*mini, "El rey", top_n=5)


def test_starts_with_the_prompt_and_the_model_distribution(explorer, mini):
    model, tokenizer = mini
    assert "El rey" in explorer.text.value and explorer.message.value == ""
    result = decoding.generate(model, explorer.ids, max_new_tokens=1, top_n=5)
    assert explorer.candidates() == pytest.approx(dict(result.choices(tokenizer)[0]), rel=1e-4)
    assert not plt.get_fignums()  # nada que Jupyter vuelva a enseñar


def test_buttons_choose_as_decoding_does(explorer, mini):
    model, tokenizer = mini
    start = explorer.ids
    best, draw, undo, restart = explorer.buttons
    for _ in range(3):
        best.click()
    assert torch.equal(explorer.ids, decoding.generate(model, start, max_new_tokens=3).sequences)
    restart.click()
    assert torch.equal(explorer.ids, start)
    texts = []
    for _ in range(2):
        restart.click()
        before = torch.get_rng_state()
        for _ in range(4):
            draw.click()
        assert torch.equal(before, torch.get_rng_state())  # azar propio
        texts.append(explorer.ids)
    assert torch.equal(*texts)
    written = re.sub("<[^>]*>", "", explorer.text.value).replace("▶", "")
    assert tokenizer.decode(texts[0][0].tolist()) == html.unescape(written)
    undo.click()
    assert torch.equal(explorer.ids, texts[0][:, :-1])
    draw.click()
    assert torch.equal(explorer.ids, texts[0])  # el azar también se deshace
    for _ in range(9):
        undo.click()
    assert torch.equal(explorer.ids, start)


def test_sliders_transform_the_candidates(explorer):
    flat = explorer.candidates()
    picture = explorer.bars[0].value
    explorer.temperature.value = 0.5
    assert max(explorer.candidates().values()) > max(flat.values())
    assert explorer.bars[0].value != picture
    explorer.temperature.value = 1
    explorer.top_k.value = 2
    assert len(explorer.candidates()) == 2 and sum(explorer.candidates().values()) == pytest.approx(1)
    explorer.top_k.value = 0
    explorer.min_p.value = 1.0
    assert len(explorer.candidates()) == 1
    explorer.min_p.value = 0.0
    explorer.top_p.value = 0.05
    assert len(explorer.candidates()) == 1
    assert len(explorer.transforms()) == 1


@pytest.mark.parametrize(
    ("control", "value", "good", "message"),
    [
        ("temperature", 0, 1, "no hay dado que tirar"),
        ("top_p", 0, 1, "Con top-p 0 no quedaría"),
        ("prompt", "", "El rey", "No hay ningún token"),
        ("prompt", "no " * 400, "El rey", "contexto del modelo"),
    ],
)
def test_a_bad_value_is_said_in_the_widget_and_can_be_undone(explorer, control, value, good, message):
    getattr(explorer, control).value = value
    assert message in explorer.message.value and message in explorer.error
    assert not any(bar.value for bar in explorer.bars)  # no quedan las barras de antes
    assert not re.search(r"select|greedy|max_new_tokens|[a-z]_[a-z]", explorer.message.value)  # habla de lo que se ve
    explorer.buttons[0].click()  # tampoco aquí se calla ni se rompe
    assert message in explorer.message.value
    getattr(explorer, control).value = good
    assert explorer.message.value == explorer.error == ""
    explorer.buttons[0].click()
    assert explorer.ids.size(1) > 1


def test_an_unexpected_error_is_shown_and_raised(explorer):
    def broken(*args, **kwargs):
        raise RuntimeError("sin memoria <b>")

    broken.device = torch.device("cpu")
    explorer.model = broken
    with pytest.raises(RuntimeError, match="sin memoria"):
        explorer.best()
    assert "RuntimeError: sin memoria &lt;b&gt;" in explorer.message.value


@pytest.mark.parametrize("top_n", [0, -1, 2.5])
def test_bad_top_n(mini, top_n):
    with pytest.raises(ValueError, match="top_n"):
        Explorer(*mini, top_n=top_n)


def test_displays_the_widget_and_says_what_it_is_without_javascript(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    explorer._ipython_display_()
    assert "Explorador" in shown[0]["text/plain"]
    assert shown[0]["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.view.model_id
    assert isinstance(explorer.view, ipywidgets.VBox)


# --- Explorador: las barras ----------------------------------------------------------------------------


def widths(bar):
    """Lo que ocupan la barra y su fantasma, de 0 a 1, y lo que dice."""
    full, ghost = (float(found) / 70 for found in re.findall(r"width:([\d.]+)%;(?:background|border)", bar.value))
    return full, ghost, re.search(r">([^<>]+)</span>", bar.value)[1]


def test_bars_have_one_scale_and_the_model_behind(explorer):
    explorer.temperature.value = 3
    explorer.top_k.value = 3
    probs = {button.description: widths(bar) for button, bar in zip(explorer.choices, explorer.bars, strict=True)}
    explorer.temperature.value, explorer.top_k.value = 1, 0
    plain = explorer.candidates()
    assert list(probs)[:-1] == list(plain) and list(probs)[-1] == "las otras 4091"
    for name, p in plain.items():
        assert probs[name][1] == pytest.approx(p, abs=1e-3)
    assert probs["las otras 4091"][1] == pytest.approx(1 - sum(plain.values()), abs=1e-3)
    assert sum(full for full, _, _ in probs.values()) == pytest.approx(1, abs=1e-3)
    cut = [name for name in plain if probs[name][2] == "✂ cortada"]
    assert len(cut) == 2 and all(probs[name][0] == 0 for name in cut)
    first = next(iter(plain))
    assert widths(explorer.bars[0])[2] == f"{percent(plain[first])} ◀"


def test_a_candidate_is_chosen_with_its_button_unless_it_is_cut(explorer, mini):
    explorer.top_k.value = 2
    assert [button.disabled for button in explorer.choices] == [False, False, True, True, True, True]
    second = explorer.choices[1].description
    explorer.choices[1].click()
    assert decoding.show_token(mini[1], explorer.ids[0, -1].item()) == second


def test_a_trailing_space_is_warned_of(explorer):
    assert explorer.warning.value == ""
    explorer.prompt.value = "El rey "
    assert "acaba en un espacio" in explorer.warning.value
    explorer.prompt.value = "El rey"
    assert explorer.warning.value == ""


# --- Épocas y frases -----------------------------------------------------------------------------------


def test_the_slider_shows_the_text_of_its_moment():
    cards = [Card("Uno", (" <b>",)), Card("Uno", (" dos",))]
    slider = EpochSlider(zip(["antes", "época 1"], cards, strict=True))
    assert slider.text.value == cards[0].to_html() and "&lt;b&gt;" in slider.text.value
    slider.slider.value = 1
    assert slider.text.value == cards[1].to_html()
    with pytest.raises(ValueError, match="dos momentos o más, y hay 1"):
        EpochSlider([("antes", cards[0])])


def test_the_box_scores_the_sentence_as_perplexity_does(mini):
    box = SentenceBox(*mini, "Hola")
    for text in ("Era una noche oscura.", "ñandú 🐧 <b>"):
        box.text.value = text
        found = scoring.perplexity(*mini, [text])
        assert f"<b>{number(found.value, 0)} caras</b>" in box.output.value and box.error == ""
        assert f"{number(found.bits_per_char, 2)} bits por carácter" in box.output.value
        chips = [float(bits.replace(",", ".")) for bits in re.findall(r"<small>([\d,]+)</small>", box.output.value)]
        assert sum(chips) == pytest.approx(found.bits_per_char * len(text), abs=0.05 * len(chips) + 0.01)
        assert "<b>rey" not in box.output.value and box.output.value.count("<b>") == 1
    box.text.value = ""
    assert "Escribe una frase" in box.error and "Escribe una frase" in box.output.value
    box.text.value = "Hola"
    assert box.error == ""
