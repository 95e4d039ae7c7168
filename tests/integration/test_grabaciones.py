"""Las grabaciones del curso, delante del modelo que las hizo: se puntúan otra vez y se repite cada elección.

Sin el perfil mediano (``make llm``) se saltan en un portátil y fallan en integración continua: lo grabado se comprueba
siempre. Las de un modelo ajustado están en ``tests/nightly``.
"""

import dataclasses

import pytest
import torch
from absent import missing

from course_utils import instructions, mediano, recordings
from course_utils.models import load_model
from tools import record

NAMES = record.recorded()
pytestmark = pytest.mark.xdist_group("mediano")  # que no se cargue en varios procesos


@pytest.fixture(scope="module")
def llm():
    if not mediano.is_installed() and not mediano.is_ready(mediano.ready_folder()):
        missing("no está instalado el perfil mediano (make llm)")
    return load_model("decoder", "mediano")


def same_randomness() -> bool:
    """¿Da torch, en esta máquina, el azar con el que se grabó?"""
    generator = torch.Generator().manual_seed(0)
    draws = [torch.multinomial(torch.ones(262144), 1, generator=generator).item() for _ in range(3)]
    return draws == [202043, 150058, 49492]


def plain(recording):
    """¿La escribió el modelo sin ajustar?"""
    return recording.recipe is None


@pytest.mark.parametrize("name", NAMES)
def test_a_group_holds_what_the_tool_would_record(name):
    made = [r for r in recordings.load(name) if plain(r)]
    wanted = list(record.GROUPS[name]())
    assert [(r.label, r.prompt or r.text, dict(r.settings), r.seed, r.expected) for r in made] == wanted


@pytest.mark.parametrize(("name", "many"), [("chistes", 10), ("asistente", 12)])
def test_after_tuning_the_same_is_recorded(name, many):
    before, after = ([r for r in recordings.load(name) if plain(r) is kind] for kind in (True, False))
    assert len(before) == many
    assert [(r.label, r.prompt, r.settings, r.seed) for r in before] == [
        (r.label, r.prompt, r.settings, r.seed) for r in after
    ]


@pytest.fixture
def recipe():
    (first, *others) = [r.recipe for r in recordings.load("chistes") if not plain(r)]
    assert all(other == first for other in others)
    return first


def test_the_recipe_is_the_one_of_the_tool_with_the_jokes_of_now(recipe):
    """Que al seguirla salga lo mismo se prueba en ``tests/nightly``; aquí, que sea esa y esté entera."""
    assert record.recipe_problems(recipe, {**recipe, "command": record.COMMAND, "texts": record.texts()}) == []
    assert recipe["lora"]["r"] == 8 and recipe["lora"]["lora_alpha"] == 16
    steps = -(-recipe["texts"]["train"] // 8)  # lotes de 8, una época
    assert [step for step, _ in recipe["curve"]["entrenamiento"]] == list(range(1, steps + 1))
    assert [step for step, _ in recipe["curve"]["validacion"]] == [steps]
    assert recipe["bits_per_char"]["after"] < recipe["bits_per_char"]["before"] - 0.1
    assert recipe["cost"]["seconds"] > 60 and recipe["cost"]["peak_gb"] > 1


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("command", lambda r: r["command"].replace("--seed 0", "--seed 1")),
        ("texts", lambda r: {**r["texts"], "sha256": "0" * 16}),
        ("lora", lambda r: {**r["lora"], "lora_alpha": 8}),
        (
            "curve, validacion, paso 49",
            lambda r: {**r["curve"], "validacion": [[49, r["curve"]["validacion"][0][1] - 0.1]]},
        ),
        ("curve, entrenamiento", lambda r: {**r["curve"], "entrenamiento": r["curve"]["entrenamiento"][:-1]}),
        ("bits_per_char, after", lambda r: {**r["bits_per_char"], "after": r["bits_per_char"]["after"] + 0.1}),
    ],
)
def test_a_changed_recipe_is_named(recipe, field, change):
    said = record.recipe_problems({**recipe, field.partition(",")[0]: change(recipe)}, recipe)
    assert len(said) == 1 and said[0].startswith(f"{field}: ")


@pytest.fixture
def assistant():
    (first, *others) = [r.recipe for r in recordings.load("asistente") if not plain(r)]
    assert all(other == first for other in others)
    return first


def test_the_recipe_of_the_assistant_is_the_one_of_the_tool_with_the_pairs_of_now(assistant):
    now = {**assistant, "options": record.assistant.OPTIONS, "texts": record.assistant.texts()}
    assert record.assistant_problems(assistant, now) == []
    steps = -(-assistant["texts"]["train"] // assistant["options"]["batch"]) * assistant["options"]["epochs"]
    assert [step for step, _ in assistant["curve"]] == list(range(1, steps + 1))
    answers = assistant["answers"]
    assert len(answers["tokens"]) == len(answers["before"]) == len(answers["after"]) == assistant["texts"]["test"]
    assert sum(answers["after"]) < 0.6 * sum(answers["before"])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("options", lambda r: {**r["options"], "epochs": 3}),
        ("texts", lambda r: {**r["texts"], "sha256": "0" * 16}),
        ("lora", lambda r: {**r["lora"], "r": 4}),
        ("curve", lambda r: r["curve"][:-1]),
        ("answers, after", lambda r: {**r["answers"], "after": [x + 1 for x in r["answers"]["after"]]}),
        ("answers", lambda r: {**r["answers"], "tokens": [1, *r["answers"]["tokens"][1:]]}),
    ],
)
def test_a_changed_recipe_of_the_assistant_is_named(assistant, field, change):
    said = record.assistant_problems({**assistant, field.partition(",")[0]: change(assistant)}, assistant)
    assert len(said) == 1 and said[0].startswith(f"{field}: ")


def test_the_answers_before_tuning_cost_what_the_recipe_says(llm, assistant):
    """Las primeras diez, sin el ajuste, frente a lo guardado: las demás, con él, en ``tests/nightly``."""
    model, tokenizer = llm
    tokenizer.chat_template = instructions.GEMMA_TEMPLATE
    rows = instructions.load_instructions()["test"].select(range(10))
    found = instructions.answer_nll(model, instructions.chat_examples(rows, tokenizer, end=instructions.GEMMA_END))
    assert [length for _, length in found] == assistant["answers"]["tokens"][:10]
    assert [nll for nll, _ in found] == pytest.approx(assistant["answers"]["before"][:10], abs=0.2)


def test_every_group_is_recorded():
    assert set(NAMES) == set(record.GROUPS)


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_what_the_model_writes(llm, name):
    found = [f"{r.label}: {p}" for r in recordings.load(name) if plain(r) for p in recordings.problems(r, *llm)]
    seeds = [line for line in found if ", semilla " in line]
    assert [line for line in found if line not in seeds] == []
    if seeds and not same_randomness():
        missing(f"el azar de torch {torch.__version__} no es aquí el de la grabación: las semillas no se comprueban")
    assert seeds == []


def test_an_altered_recording_is_seen_with_the_real_model(llm):
    """Un dígito, la semilla, el prompt: cada cambio se señala."""
    found = next(r for r in recordings.load("temperatura") if r.settings["temperature"] == 1.0)
    digits = (*found.logprobs[:4], found.logprobs[4] - 0.02, *found.logprobs[5:])
    (said,) = recordings.problems(dataclasses.replace(found, logprobs=digits), *llm)
    assert "log-probabilidad del token 4" in said
    (said,) = recordings.problems(dataclasses.replace(found, seed=found.seed + 1), *llm)
    assert f"semilla {found.seed + 1}" in said
    (said,) = recordings.problems(dataclasses.replace(found, prompt=found.prompt + " no"), *llm)
    assert "lo han cambiado" in said
