"""Las ilustraciones de la sesión 04: el −100 cae donde dice cada receta, y LoRA está de verdad a escala."""

import pytest
from dibujos import close_figures, texts  # noqa: F401

from course_utils.illustrations import forgetting, labels_shifted, lora_to_scale, side_by_side
from course_utils.illustrations.session_04 import IGNORED, cover

ROW = ["EOS", "—", "Hola", "EOS", "EOS", "EOS"]  # cuatro de verdad y dos de relleno


@pytest.mark.parametrize("vertical", [False, True])
def test_the_end_is_lost_by_its_id_and_kept_by_the_mask(vertical):
    shown = texts(labels_shifted(ROW, 4, vertical=vertical))
    # Cinco etiquetas por receta: por el id se pierden el final y los dos rellenos; por la máscara, solo los rellenos.
    assert shown.count(IGNORED) == 3 + 2
    assert shown.count("EOS") == 3 + 1  # los tres que se leen y la etiqueta buena
    assert shown.count("Hola") == 1 + 2


@pytest.mark.parametrize(("tokens", "length"), [(ROW, 6), (ROW, 1), (["EOS", "a", "b", "EOS"], 3)])
def test_a_row_without_padding_like_its_end_is_refused(tokens, length):
    with pytest.raises(ValueError, match=r"relleno|length"):
        labels_shifted(tokens, length)


@pytest.mark.parametrize("vertical", [False, True])
def test_every_number_takes_the_same_room(vertical):
    matrices, rank = {"a": (256, 768), "b": (256, 256), "c": (1024, 256)}, 8
    patches = lora_to_scale(matrices, rank, vertical=vertical).patches
    areas = [patch.get_width() * patch.get_height() for patch in patches]
    drawn = sorted(areas)
    wanted = sorted(
        size for rows, columns in matrices.values() for size in (rows * columns, rank * rows, rank * columns)
    )
    unit = drawn[-1] / wanted[-1]
    assert drawn == pytest.approx([unit * size for size in wanted])


def test_the_shares_are_right_and_nothing_is_no_matrix():
    assert {"6,2 %", "4,2 %"} <= set(texts(lora_to_scale({"a": (256, 256), "b": (256, 768)}, 8)))
    with pytest.raises(ValueError, match="al menos una matriz"):
        lora_to_scale({}, 8)
    with pytest.raises(ValueError, match="rank"):
        lora_to_scale({"a": (2, 2)}, 0)


def test_the_cover_ends_only_once():
    assert texts(cover()).count("EOS") == 1


def test_bars_of_the_same_models_share_their_panel_scale_and_say_their_number():
    panels = {"A": {"antes": 0, "después": 49}, "B": {"antes": 2, "después": 40}}
    figure = side_by_side(panels, ["grey", "green"], ["de 50", "%"])
    assert [texts(ax) for ax in figure.axes] == [["0 de 50", "49 de 50"], ["2 %", "40 %"]]
    limited = side_by_side(panels, ["grey", "green"], ["de 50", "%"], full=[50, 100])
    assert [ax.get_xlim()[1] for ax in limited.axes] == [85, 170]
    assert [list(ax.lines[0].get_xdata()) for ax in limited.axes] == [[50, 50], [100, 100]]
    for wrong in ({"A": {"x": 1}, "B": {"y": 1}}, {}):
        with pytest.raises(ValueError, match="los mismos"):
            side_by_side(wrong, ["grey"], ["%", "%"])


def test_forgetting_says_what_changed_and_which_way_is_better():
    ax = forgetting({"chistes": (50.0, 40.0), "novela": (30.0, 45.0)})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["chistes", "novela"]
    told = [text for text in ax.texts if text.get_text()]
    assert [text.get_text() for text in told] == ["50,0 → 40,0 (−20 %)", "30,0 → 45,0 (+50 %)"]
    assert told[0].get_color() != told[1].get_color()
    with pytest.raises(ValueError, match="mayores que cero"):
        forgetting({"x": (0.0, 1.0)})


def test_what_hardly_changes_is_neither_good_nor_bad():
    ax = forgetting({"baja": (50.0, 40.0), "sube": (30.0, 45.0), "igual": (42.9, 43.2)})
    assert len({text.get_color() for text in ax.texts if text.get_text()}) == 3
