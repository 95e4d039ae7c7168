"""El explorador, llamando a lo que llaman sus botones y mandos: lo que enseña es lo que da decoding."""

import ipywidgets
import matplotlib.pyplot as plt
import pytest
import torch

from course_utils import decoding
from course_utils.widgets import Explorer


@pytest.fixture
def explorer(mini):
    return Explorer(*mini, "El rey", top_n=5)


def test_starts_with_the_prompt_and_the_model_distribution(explorer, mini):
    model, tokenizer = mini
    assert "El rey" in explorer.text.value and explorer.message.value == ""
    assert bytes(explorer.image.value).startswith(b"\x89PNG")
    result = decoding.generate(model, explorer.ids, max_new_tokens=1, top_n=5)
    assert explorer.candidates() == pytest.approx(dict(result.choices(tokenizer)[0]), rel=1e-4)
    assert not plt.get_fignums()  # nada que Jupyter vuelva a enseñar


def test_buttons_choose_as_decoding_does(explorer, mini):
    model, tokenizer = mini
    start = explorer.ids
    best, draw, restart = explorer.buttons
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
    assert tokenizer.decode(texts[0][0].tolist()) in explorer.text.value.replace("&#x27;", "'")


def test_sliders_transform_the_candidates(explorer):
    flat = explorer.candidates()
    picture = bytes(explorer.image.value)
    explorer.temperature.value = 0.5
    assert max(explorer.candidates().values()) > max(flat.values())
    assert bytes(explorer.image.value) != picture
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
        ("temperature", 0, 1, "La temperatura debe ser"),
        ("top_p", 0, 1, "p debe estar en (0, 1]"),
        ("prompt", "", "El rey", "No hay ningún token"),
        ("prompt", "no " * 400, "El rey", "contexto del modelo"),
    ],
)
def test_a_bad_value_is_said_in_the_widget_and_can_be_undone(explorer, control, value, good, message):
    getattr(explorer, control).value = value
    assert message in explorer.message.value and message in explorer.error
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
