"""Lo que la sesión 08 guarda de Gemma, delante de Gemma: se puntúa otra vez y se repite cada elección.

Una de cada ocho: con dos núcleos es un par de minutos. Sin el perfil mediano se salta en un portátil y falla en
integración continua.
"""

import json

import pytest
import torch
from absent import missing

from course_utils import mediano
from course_utils.constrained import Grammar, json_only
from course_utils.models import load_model
from course_utils.reviews import load_reviews
from tools.training import prompts

pytestmark = pytest.mark.xdist_group("mediano")  # que no se cargue en varios procesos
STORED = json.loads(prompts.FILE.read_text(encoding="utf-8"))
EVERY = 8


@pytest.fixture(scope="module")
def llm():
    if not mediano.is_installed() and not mediano.is_ready(mediano.ready_folder()):
        missing("no está instalado el perfil mediano (make llm)")
    return load_model("decoder", "mediano")


@pytest.mark.parametrize("name", prompts.TEMPLATES)
def test_the_labels_have_the_stored_scores(llm, name):
    texts = list(load_reviews()["test"]["text"])[: prompts.REVIEWS][:: 2 * EVERY]
    again = prompts.label_scores(*llm, prompts.TEMPLATES[name], texts)
    said = STORED["opiniones"]["scores"][name]
    torch.testing.assert_close(
        torch.tensor(again), torch.tensor([*said[:-1][:: 2 * EVERY], said[-1]]), atol=0.02, rtol=0
    )


@torch.inference_mode()
def problems(model, tokenizer, prompt, schema, answer):
    """Qué token no es el que tocaba, o qué puntuación no sale."""
    before, ids = tokenizer(prompt).input_ids, answer["ids"]
    new = [*ids, tokenizer.eos_token_id]
    logits = model(torch.tensor([before + ids]), logits_to_keep=len(new)).logits[0].float()
    transform, total = json_only(schema, tokenizer, len(before)), 0.0
    for k, token in enumerate(new):
        valid = transform(logits[k : k + 1], torch.tensor([before + ids[:k]]))[0]
        if valid.max() - valid[token] > 0.02:
            return f"el token {k}, {tokenizer.decode([token])!r}, no es el más probable de los válidos"
        total += logits[k].log_softmax(-1)[token].item() if k < len(ids) else 0
    if tokenizer.decode(ids) != answer["text"]:
        return f"los ids no dan {answer['text']!r}"
    return None if abs(total - answer["logprob"]) < 0.05 else f"puntúa {total:.3f} y se guardó {answer['logprob']}"


def cases():
    sums = STORED["cuentas"]
    for how, rows in sums["answers"].items():
        for problem, answer in zip(sums["problems"], rows, strict=True):
            yield f"cuentas, {how}", prompts.sum_prompt(how, problem["text"]), prompts.SUMS[how], answer
    asked = prompts.question_prompts()
    for how, schema in {"sin buscar": prompts.OPEN, "buscando": prompts.CITED}.items():
        for prompt, answer in zip(asked[how], STORED["preguntas"]["answers"][how], strict=True):
            yield f"preguntas, {how}", prompt, schema, answer
    for prompt, answer in zip(prompts.intruder_prompts(), STORED["intrusos"]["answers"], strict=True):
        yield "intrusos", prompt, prompts.CITED, answer


def test_each_answer_is_what_the_model_writes_with_the_mask(llm):
    grammars = {}
    found = []
    for where, prompt, schema, answer in list(cases())[::EVERY]:
        grammar = grammars.setdefault(json.dumps(schema, default=repr), Grammar(schema))
        if said := problems(*llm, prompt, grammar, answer):
            found.append(f"{where}: {said}")
    assert found == []


def test_an_altered_answer_is_seen(llm):
    _, prompt, schema, answer = next(cases())
    other = {**answer, "logprob": answer["logprob"] - 0.5}
    assert "se guardó" in problems(*llm, prompt, Grammar(schema), other)


# ---------------------------------------------------------------- su tokenizador
def test_with_its_tokenizer_any_walk_is_json(llm):
    _, tokenizer = llm
    grammar = Grammar({"etiqueta": ["sí", "no"], "motivo": prompts.Text(6), "n": prompts.Number(2)})
    transform, generator = json_only(grammar, tokenizer, 0), torch.Generator().manual_seed(0)
    for _ in range(20):
        ids = []
        while not ids or ids[-1] != tokenizer.eos_token_id:
            alive = transform(torch.zeros(1, 262144), torch.tensor([ids]).long())[0] > -1
            choices = alive.nonzero()[:, 0]
            ids.append(int(choices[torch.randint(len(choices), (1,), generator=generator)]))
        card = json.loads(tokenizer.decode(ids[:-1]))
        assert list(card) == ["etiqueta", "motivo", "n"] and len(card["motivo"]) <= 6
