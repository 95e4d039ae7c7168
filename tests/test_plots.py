"""Los dibujos dicen lo que dicen los datos, respetan ``ax`` y no tocan la configuración global."""

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from course_utils import plots


@pytest.fixture(autouse=True)
def close():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


DRAWINGS = [
    lambda ax: plots.plot_distribution({"␣la": 0.5, "␣un": 0.2}, highlight="␣un", title="T", ax=ax),
    lambda ax: plots.plot_trace(
        [[("a", 0.9), ("b", 0.1)], [("c", 0.5), ("d", 0.3)]], chosen=["a", "x"], title="T", ax=ax
    ),
    lambda ax: plots.plot_epsilon_sweep([0, 0.5, 1], {"m": [-1, -2, -3]}, ylabel="y", title="T", ax=ax),
    lambda ax: plots.plot_times([10, 20], {"sin": [1, 4], "con": [1, 2]}, title="T", ax=ax),
]


@pytest.mark.parametrize("draw", DRAWINGS)
def test_draws_on_the_given_axes_or_a_new_one(draw):
    _, ax = plt.subplots()
    assert draw(ax) is ax and ax.get_title() == "T"
    fresh = draw(None)
    assert fresh is not ax
    fresh.figure.canvas.draw()  # se dibuja de verdad, sin avisos


def texts(ax):
    return [t.get_text() for t in ax.texts]


def test_distribution_shows_the_numbers():
    ax = DRAWINGS[0](None)
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.2]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["␣la", "␣un"]
    assert texts(ax) == ["50.0 %", "20.0 % ◀"]
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # la primera, arriba


def test_dollar_signs_are_plain_text_and_no_series_is_lost():
    plots.plot_distribution([("$$", 0.5), ("a$b$", 0.1)]).figure.canvas.draw()
    plots.plot_trace([[("$$", 0.5)]], chosen=["$x$"]).figure.canvas.draw()
    ax = plots.plot_times([1, 2], {str(i): [i, i] for i in range(7)})
    assert len(ax.lines) == 7


def test_trace_shows_choices_and_what_was_chosen():
    ax = DRAWINGS[1](None)
    assert {"a  90 %", "d  30 %", "← x"} <= set(texts(ax))
    assert len(ax.patches) == 1  # un marco: «a» estaba entre las opciones; «x», no


def test_lines_carry_the_data_and_a_legend():
    ax = DRAWINGS[3](None)
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 4], [1, 2]]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["sin", "con"]
    assert len({line.get_linestyle() for line in ax.lines}) == 2  # se distinguen también sin color


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.plot_distribution({}),
        lambda: plots.plot_distribution({"a": 1.5}),
        lambda: plots.plot_trace([]),
        lambda: plots.plot_trace([[("a", 0.1)], [("a", 0.1), ("b", 0.2)]]),
        lambda: plots.plot_trace([[("a", 0.1)]], chosen=["a", "b"]),
        lambda: plots.plot_times([], {"m": []}),
        lambda: plots.plot_epsilon_sweep([0, 1], {"m": [1]}, ylabel="y"),
        lambda: plots.plot_times([1, 2], {}),
    ],
)
def test_bad_data(draw):
    with pytest.raises(ValueError, match="recib"):
        draw()
