"""Las ilustraciones de la sesión A1: dicen lo que se les da, y lo que no se puede dibujar se dice."""

import pytest
from dibujos import close_figures, texts  # noqa: F401

from course_utils.illustrations import session_a1 as drawn


@pytest.mark.parametrize("count", [1, 3, 6])
def test_every_token_has_its_step_and_a_state_of_the_same_size(count):
    tokens = [f"t{i}" for i in range(count)]
    ax = drawn.unrolled(tokens, [[0.5, -1.0, 0.2]] * count)
    said = texts(ax)
    assert [text for text in said if text in tokens] == tokens and said.count("la misma red") == count
    frames = [patch for patch in ax.patches if getattr(patch, "get_fill", lambda: True)() is False]
    assert len(frames) == count and len({round(frame.get_width(), 6) for frame in frames}) == 1


def test_a_state_per_token():
    with pytest.raises(ValueError, match="2 tokens y 1 estados"):
        drawn.unrolled(["a", "b"], [[1.0]])


def test_the_taps_say_how_open_they_are():
    said = texts(drawn.conveyor(forget=0.98, write=0.02, show=0.5))
    assert [text for text in said if "%" in text] == ["98 %", "2 %", "50 %"]
    with pytest.raises(ValueError, match=r"write va de 0 .* y es 1.2"):
        drawn.conveyor(forget=0.5, write=1.2, show=0.5)


@pytest.mark.parametrize("vertical", [False, True])
def test_the_same_text_twice(vertical):
    said = texts(drawn.read_twice(["uno", "dos"], vertical=vertical))
    assert said.count("uno") == said.count("dos") == 2
