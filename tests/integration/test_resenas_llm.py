"""Lo que el LLM puntuó de las reseñas de la sesión 06, delante del modelo que lo hizo: una de cada veinte, otra vez.

Sin el perfil mediano (``make llm``) se salta en un portátil y falla en integración continua, como las grabaciones.
"""

import json

import pytest
import torch
from absent import missing

from course_utils import mediano
from course_utils.models import load_model
from tools.training import reviews as measured

LLM = json.loads(measured.LLM_FILE.read_text(encoding="utf-8"))
pytestmark = pytest.mark.xdist_group("mediano")  # que no se cargue en varios procesos


@pytest.fixture(scope="module")
def llm():
    if not mediano.is_installed() and not mediano.is_ready(mediano.ready_folder()):
        missing("no está instalado el perfil mediano (make llm)")
    return load_model("decoder", "mediano")


@pytest.fixture(scope="module")
def names():
    return measured.cells.run("06", ["importar", "datos", "suelos", "pliegues"], {})


@torch.no_grad()
def alone(llm, prompt: str) -> list[float]:
    """Sin lote y sin caché: el texto entero de una vez."""
    model, tokenizer = llm
    logits = model(**tokenizer(prompt, return_tensors="pt"), logits_to_keep=1).logits[0, -1].float().log_softmax(-1)
    return [logits[tokenizer(word, add_special_tokens=False).input_ids[0]].item() for word in measured.WORDS]


def test_without_examples(llm, names):
    for i in range(0, 612, 20):
        assert alone(llm, measured.filled(names["texts"][i])) == pytest.approx(LLM["zero"]["scores"][i], abs=1e-2), i
    for text, stored in zip(measured.EMPTY, LLM["zero"]["empty"], strict=True):
        assert alone(llm, measured.filled(text)) == pytest.approx(stored, abs=1e-2)


def test_with_eight_examples(llm, names):
    prefix = measured.shown(names, LLM["few"]["examples"])
    for place in range(0, 120, 10):
        found = alone(llm, prefix + measured.filled(names["texts"][names["test"][place]]))
        assert found == pytest.approx(LLM["few"]["scores"][place], abs=1e-2), place
    assert alone(llm, prefix + measured.filled(measured.EMPTY[0])) == pytest.approx(LLM["few"]["empty"][0], abs=1e-2)
