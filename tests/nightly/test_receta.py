"""Las recetas de los modelos ajustados, seguidas otra vez: sale la misma curva, y lo escrito es igual de probable.

La de los chistes, doce minutos en dos núcleos tranquilos: siete de entrenar y cinco de medir; la del asistente, cinco.
Con los mismos hilos y las mismas versiones sale la misma curva, cifra por cifra, y el modelo elige lo mismo. Con otros,
las sumas se redondean de otro modo, y el modelo que sale se parece y no es el mismo: no se repite cada elección y la
tolerancia es mayor.
"""

import pytest
from absent import missing

from course_utils import mediano, recordings
from course_utils.models import load_model
from tools import record


@pytest.mark.timeout(3600)
def test_following_the_recipe_gives_the_model_that_wrote_them(tmp_path):
    if not mediano.is_installed() and not mediano.is_ready(mediano.ready_folder()):
        missing("no está instalado el perfil mediano (make llm)")
    made = [r for r in recordings.load("chistes") if r.recipe is not None]
    said = made[0].recipe
    model, tokenizer = load_model("decoder", "mediano")
    found, model = record.tune(said["command"], tmp_path / "ajuste", model, tokenizer)
    assert record.recipe_problems(said, found) == []
    same = all(found[name] == said[name] for name in ("threads", "versions"))
    options = {} if same else {"tolerance": record.RETRAINED, "choices": False}
    if same:
        assert found["curve"] == said["curve"]
    wrong = [f"{r.label}: {p}" for r in made for p in recordings.problems(r, model, tokenizer, **options)]
    assert wrong == []


@pytest.mark.timeout(3600)
def test_following_the_recipe_of_the_assistant_gives_the_model_that_answered(tmp_path):
    if not mediano.is_installed() and not mediano.is_ready(mediano.ready_folder()):
        missing("no está instalado el perfil mediano (make llm)")
    made = [r for r in recordings.load("asistente") if r.recipe is not None]
    said = made[0].recipe
    model, tokenizer = load_model("decoder", "mediano")
    found, model = record.tune_assistant(tmp_path / "ajuste", model)
    assert record.assistant_problems(said, found) == []
    same = all(found[name] == said[name] for name in ("threads", "versions"))
    options = {} if same else {"tolerance": record.RETRAINED, "choices": False}
    wrong = [f"{r.label}: {p}" for r in made for p in recordings.problems(r, model, tokenizer, **options)]
    assert wrong == []
