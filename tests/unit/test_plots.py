"""Los dibujos dicen lo que dicen los datos, respetan ``ax`` y no tocan la configuración global."""

import matplotlib.pyplot as plt
import pytest
from dibujos import close_figures, texts  # noqa: F401
from matplotlib.colors import same_color, to_rgba

from course_utils import plots

DRAWINGS = [
    lambda ax: plots.plot_distribution({"␣la": 0.5, "␣un": 0.2}, highlight="␣un", title="T", ax=ax),
    lambda ax: plots.plot_trace(
        [[("a", 0.9), ("b", 0.1)], [("c", 0.5), ("d", 0.3)]], chosen=["a", "x"], title="T", ax=ax
    ),
    lambda ax: plots.plot_epsilon_sweep([0, 0.5, 1], {"m": [-1, -2, -3]}, ylabel="y", title="T", ax=ax),
    lambda ax: plots.plot_times([10, 20], {"sin": [1, 4], "con": [1, 2]}, title="T", ax=ax),
    lambda ax: plots.plot_attention([[1.0, 0.0], [0.25, 0.75]], ["$un", "␣a$"], title="T", ax=ax),
]


@pytest.mark.parametrize("draw", DRAWINGS)
def test_draws_on_the_given_axes_or_a_new_one(draw):
    _, ax = plt.subplots()
    assert draw(ax) is ax and ax.get_title() == "T"
    fresh = draw(None)
    assert fresh is not ax
    fresh.figure.canvas.draw()  # se dibuja de verdad, sin avisos


def test_distribution_shows_the_numbers():
    ax = DRAWINGS[0](None)
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.2]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["␣la", "␣un"]
    assert texts(ax) == ["50,0 %", "20,0 % ◀"]
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
    assert ax.get_legend() is None and texts(ax) == ["con", "sin"]  # el nombre, al final de su línea
    assert [t.get_color() for t in ax.texts] == [line.get_color() for line in reversed(ax.lines)]
    near = plots.plot_times([1, 2], {"a": [1, 2.0], "b": [1, 2.01]})
    low, high = (t.get_position()[1] for t in near.texts)
    assert high - low > 0.08  # no se pisan
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


def test_attention_map_has_the_weights_and_masks_have_marks():
    ax = DRAWINGS[4](None)
    assert ax.images[0].get_array().tolist() == [[1, 0], [0.25, 0.75]] and not texts(ax)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["$un", "␣a$"]
    mask = plots.plot_attention([[True, False], [True, True]], ["a", "b"])
    assert texts(mask) == ["✓", "·", "✓", "✓"]


@pytest.mark.parametrize("weights", [[[1.0]], [[1, 0, 0], [1, 0, 0]], [1, 0], [[2.0, 0], [1, 0]], [[-1.0, 0], [1, 0]]])
def test_attention_map_needs_a_square_of_weights(weights):
    with pytest.raises(ValueError, match="Con 2 tokens hace falta una matriz cuadrada"):
        plots.plot_attention(weights, ["a", "b"])


# ---------------------------------------------------------------- sesión 04
def test_padding_draws_what_is_paid_for():
    ax = plots.plot_padding([[3, 4], [5]], 10, xmax=20)
    widths = [p.get_width() for p in ax.patches]
    assert sum(widths) == 20 and sorted(widths) == [3, 3, 4, 5, 5]  # dos filas de 10: tres textos y dos rellenos
    assert sum(p.get_width() for p in ax.patches if p.get_hatch()) == 8
    with pytest.raises(ValueError, match="caber en 4"):
        plots.plot_padding([[5]], 4)


def test_learning_curves_mark_the_best_epoch():
    ax = plots.plot_learning_curves([4, 3, 2], [4, 3.5, 3.7])
    assert texts(ax) == ["la mejor: época 2", "sobreajuste", "entrenamiento", "validación"]
    assert "sobreajuste" in [t.get_text() for t in ax.texts]
    assert "sobreajuste" not in [t.get_text() for t in plots.plot_learning_curves([4, 3], [4, 3]).texts]
    close = plots.plot_learning_curves(None, [4, 3.5, 3.75])
    assert {"4,000", "3,500", "3,750"} <= {t.get_text() for t in close.texts}
    for train, validation in [([1, 2], [1]), (None, [])]:
        with pytest.raises(ValueError, match="un valor por época"):
            plots.plot_learning_curves(train, validation)


# ---------------------------------------------------------------- sesión 05
DRAWINGS_05 = [
    lambda ax: plots.plot_bars({"$a$": 4096.0, "b": 1.547}, xlabel="x", reference=("azar", 2), title="T", ax=ax),
    lambda ax: plots.plot_pairs({"reales": [10, 30, 20], "barajadas": [100, 400, 200]}, ylabel="y", title="T", ax=ax),
    lambda ax: plots.plot_windows([8, 16, 32], {"a": [9, 8, 7], "b": [8, 7, 6]}, title="T", ax=ax),
]


@pytest.mark.parametrize("draw", DRAWINGS_05)
def test_session_05_draws_on_the_given_axes_or_a_new_one(draw):
    test_draws_on_the_given_axes_or_a_new_one(draw)


def test_bars_show_names_numbers_and_the_reference():
    ax = DRAWINGS_05[0](None)
    assert [bar.get_width() for bar in ax.patches] == [4096, 1.547]
    assert {"4096", "1,55", " azar"} <= set(texts(ax))
    assert [line.get_xdata()[0] for line in ax.lines] == [2]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # la primera, arriba


def test_the_highlighted_bar_is_orange():
    ax = plots.plot_bars({"uno": 1, "otro": 2}, xlabel="x", highlight="otro")
    first, second = (bar.get_facecolor() for bar in ax.patches)
    assert first == to_rgba(plots.BLUE) and second == to_rgba(plots.ORANGE)


def test_pairs_have_a_line_per_case_and_the_median():
    ax = DRAWINGS_05[1](None)
    assert [list(line.get_ydata()) for line in ax.lines] == [[10, 100], [30, 400], [20, 200], [20, 200]]
    assert texts(ax) == ["mediana 20", "mediana 200"] and ax.get_yscale() == "log"


def test_windows_are_on_a_logarithmic_axis_with_their_sizes():
    ax = DRAWINGS_05[2](None)
    assert ax.get_xscale() == "log" and [t.get_text() for t in ax.get_xticklabels()] == ["8", "16", "32"]


def test_surprise_is_escaped_and_can_be_read_without_html():
    shown = plots.Surprise(["␣a", "<b>", "&", "$"], [0.04, 16.0, 99.0, 8.0])
    assert repr(shown) == "␣a(0,0) <b>(16,0) &(99,0) $(8,0)"
    html = shown._repr_html_()
    assert "<b>" not in html and "&lt;b&gt;" in html and "&amp;<" in html and "<script" not in html
    for bits in ("0,0", "16,0", "99,0", "8,0"):
        assert f"<small>{bits}</small>" in html
    assert html.count("background:#FFFFFF") == 0 and html.count("background:#E69F00") == 2  # 16 bits o más
    assert html.count("<span") == html.count("</span>") == 4


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.plot_bars({}, xlabel="x"),
        lambda: plots.plot_bars({"a": -1.0}, xlabel="x"),
        lambda: plots.plot_pairs({"a": [1]}, ylabel="y"),
        lambda: plots.plot_pairs({"a": [1, 2], "b": [1]}, ylabel="y"),
        lambda: plots.plot_pairs({"a": [1], "b": [0]}, ylabel="y"),
        lambda: plots.plot_windows([8], {"a": [1, 2]}),
        lambda: plots.Surprise([], []),
        lambda: plots.Surprise(["a"], [1.0, 2.0]),
    ],
)
def test_session_05_bad_data(draw):
    with pytest.raises(ValueError, match="recib"):
        draw()


def test_an_interval_is_as_long_as_it_says_and_orange_when_it_does_not_touch_the_line():
    rows = {"sí": (0.7, 0.1, 1.3), "no": (0.2, -0.2, 0.6), "al revés": (-1.0, -1.5, -0.5), "por ver": None}
    ax = plots.plot_intervals(rows, xlabel="bits", reference=("igual", 0), ends=("menos", "más"), sign=True)
    bars = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 4]
    assert [tuple(bar.get_xdata()) for bar in bars] == [row[1:] for row in rows.values() if row]
    assert [same_color(bar.get_color(), plots.ORANGE) for bar in bars] == [True, False, True]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(rows)
    assert [text.get_text() for text in ax.texts] == ["+0,7", "+0,2", "−1,0", "?", " igual"]
    assert ax.get_title(loc="left") == "← menos" and ax.get_title(loc="right") == "más →"
    styled = plots.plot_intervals({"a": (2.0, 1.5, 2.5)}, xlabel="nats", styles={"a": (plots.RED, "s")}, digits=2)
    assert same_color(styled.lines[0].get_color(), plots.RED) and styled.texts[0].get_text() == "2,00"
    for bad in ({}, {"x": (3, 0, 1)}):
        with pytest.raises(ValueError, match="el valor dentro"):
            plots.plot_intervals(bad, xlabel="bits")
