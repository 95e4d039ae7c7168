"""Los adaptadores del ejemplo de estilo, entrenados otra vez, miden lo que dice su receta."""

import pytest

from tools.training import project as recipe


@pytest.mark.parametrize("name", recipe.WORKS)
def test_training_again_measures_the_same(name):
    assert recipe.check(name, recipe.load_parts()) == []
