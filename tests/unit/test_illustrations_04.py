"""Las ilustraciones de la sesión 04: el −100 cae donde dice cada receta, y LoRA está de verdad a escala."""

import matplotlib.pyplot as plt
import pytest

from course_utils.illustrations import labels_shifted, lora_to_scale
from course_utils.illustrations.session_04 import IGNORED, cover

ROW = ["EOS", "—", "Hola", "EOS", "EOS", "EOS"]  # cuatro de verdad y dos de relleno


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def _texts(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("vertical", [False, True])
def test_the_end_is_lost_by_its_id_and_kept_by_the_mask(vertical):
    shown = _texts(labels_shifted(ROW, 4, vertical=vertical))
    # Cinco etiquetas por receta: por el id se pierden el final y los dos rellenos; por la máscara, solo los rellenos.
    assert shown.count(IGNORED) == 3 + 2
    assert shown.count("EOS") == 3 + 1  # lo que se lee: el del principio, el del final y un relleno; y la etiqueta buena
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
    assert {"6,2 %", "4,2 %"} <= set(_texts(lora_to_scale({"a": (256, 256), "b": (256, 768)}, 8)))
    with pytest.raises(ValueError, match="al menos una matriz"):
        lora_to_scale({}, 8)
    with pytest.raises(ValueError, match="rank"):
        lora_to_scale({"a": (2, 2)}, 0)


def test_the_cover_ends_only_once():
    assert _texts(cover()).count("EOS") == 1
