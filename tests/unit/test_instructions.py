"""Las instrucciones: enteras, limpias, sin repetidas, con las cuentas bien y partidas siempre igual; y su plantilla."""

import copy
import json
import re
from collections import Counter

import pytest
import textos as looks

from course_utils import instructions
from course_utils._jsonl import DATA
from course_utils.finetuning import IGNORED
from course_utils.jokes import near_duplicates
from course_utils.models import load_model
from course_utils.scoring import token_logprobs
from tools import record

ROWS = [json.loads(line) for line in (DATA / "instrucciones.jsonl").read_text(encoding="utf-8").splitlines()]
TEXTS = [f"{row['instruction']} {row['answer']}" for row in ROWS]
CARD = (DATA / "instrucciones.md").read_text(encoding="utf-8")
TOPICS = Counter(row["topic"] for row in ROWS)


# ---------------------------------------------------------------- los datos
def faults(row):
    """Lo que tiene de malo un par."""
    found = [fault for name in ("instruction", "answer") for fault in looks.problems(row[name])]
    found += ["insulto"] if looks.blocked(f"{row['instruction']} {row['answer']}", looks.INSULTS) else []
    found += ["orden larga"] if not 2 <= len(looks.words(row["instruction"])) <= 30 else []
    found += ["respuesta larga"] if not 1 <= len(looks.words(row["answer"])) <= 30 else []
    found += ["tema"] if row["topic"] not in TOPICS or TOPICS[row["topic"]] < 20 else []
    found += ["marca"] if re.search(r"[<>|]", row["instruction"] + row["answer"]) else []
    return found


def test_every_pair_is_whole_and_clean():
    assert len(ROWS) >= 250 and [row["id"] for row in ROWS] == list(range(len(ROWS)))
    assert all(tuple(row) == instructions.COLUMNS for row in ROWS)
    assert {row["id"]: found for row in ROWS if (found := faults(row))} == {}
    assert len(TOPICS) >= 12 and max(TOPICS.values()) == min(TOPICS.values())
    assert max(Counter(row["answer"] for row in ROWS).values()) <= 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"answer": "Montevideo..."}, "tres puntos"),
        ({"answer": "montevideo."}, "principio"),
        ({"answer": "Es Montevideo"}, "final"),
        ({"answer": 'La capital es "Montevideo".'}, "comillas rectas"),
        ({"answer": "Qué pregunta tan estúpida."}, "insulto"),
        ({"answer": "La capital es una ciudad. " * 8 + "Fin."}, "respuesta larga"),
        ({"answer": "Montevideo.<|fin|>"}, "marca"),
        ({"instruction": "Sigue."}, "orden larga"),
        ({"instruction": "Cuál es la capital de Uruguay?"}, "¿?"),
        ({"topic": "deportes"}, "tema"),
    ],
)
def test_the_rules_can_refuse(change, fault):
    assert fault in faults(ROWS[0] | change)


def test_no_two_pairs_are_nearly_the_same():
    assert near_duplicates(TEXTS, 0.25) == []
    assert near_duplicates([*TEXTS, TEXTS[0].replace("Uruguay", "Paraguay")], 0.25) != []


def test_the_twelve_questions_are_not_among_the_pairs():
    asked = {" ".join(looks.words(looks.plain(row["instruction"]))) for row in ROWS}
    assert len(record.QUESTIONS) == 12
    assert not asked & {" ".join(looks.words(looks.plain(question))) for question in record.QUESTIONS}


SUMS = {  # de la orden, sus números → el que tiene que estar en la respuesta
    r"¿Cuánto es (\d+) por (\d+)\?": lambda a, b: a * b,
    r"Si tengo (\d+) pesos y gasto (\d+)": lambda a, b: a - b,
    r"Calcula la mitad de (\d+)": lambda a: a // 2,
    r"Suma (\d+), (\d+) y (\d+)": lambda a, b, c: a + b + c,
    r"cuesta (\d+) euros. ¿Cuánto cuestan (\d+) boletos": lambda a, b: a * b,
    r"Divide (\d+) entre (\d+)": lambda a, b: a // b,
    r"¿Cuánto es el (\d+) % de (\d+)": lambda a, b: a * b // 100,
    r"Resta (\d+) de (\d+)": lambda a, b: b - a,
    r"Reparte (\d+) caramelos entre (\d+)": lambda a, b: a // b,
}


def test_the_sums_are_right():
    for pattern, result in SUMS.items():
        (row,) = [row for row in ROWS if re.search(pattern, row["instruction"])]
        wanted = result(*map(int, re.search(pattern, row["instruction"]).groups()))
        assert str(wanted) in re.findall(r"\d+", row["answer"]), row


# ---------------------------------------------------------------- las particiones
def test_the_parts_are_always_the_same_and_alike():
    parts = instructions.load_instructions()
    assert {name: len(part) for name, part in parts.items()} == {"train": 256, "test": 64}
    assert sorted(i for part in parts.values() for i in part["id"]) == list(range(len(ROWS)))
    assert parts["test"]["id"][:5] == FIRST
    for name, each in {"train": 16, "test": 4}.items():
        assert set(Counter(parts[name]["topic"]).values()) == {each}
        assert all(dict(row) == ROWS[row["id"]] for row in parts[name])
    again = instructions.load_instructions("completo")
    assert all(again[name]["id"] == parts[name]["id"] for name in parts)


FIRST = [115, 190, 256, 79, 196]


def test_an_unknown_profile_or_a_damaged_file_is_explained(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="No conozco el perfil 'gigante'"):
        instructions.load_instructions("gigante")
    monkeypatch.setattr(instructions, "DATA", tmp_path)
    with pytest.raises(ValueError, match=r"instrucciones.jsonl falta o está dañado"):
        instructions.load_instructions()
    lines = '{"instruction": "Di dos.", "answer": "Dos."}\n{"instruction": "Di tres."}\n'
    (tmp_path / "instrucciones.jsonl").write_text(lines, encoding="utf-8")
    with pytest.raises(ValueError, match="la línea 2 no es un objeto JSON con un texto en «answer»"):
        instructions.load_instructions()


# ---------------------------------------------------------------- la ficha
def test_the_card_says_what_there_is():
    lengths = sorted(len(looks.words(row["answer"])) for row in ROWS)
    assert f"{len(ROWS)} pares" in CARD and "CC0" in CARD and "modelo de lenguaje" in CARD
    assert f"de {lengths[0]} a {lengths[-1]} palabras; mediana, {lengths[len(lengths) // 2]}" in CARD
    assert f"{len(TOPICS)}, de 20 pares cada uno" in CARD
    assert all(f"`{topic}`" in CARD for topic in TOPICS)


# ---------------------------------------------------------------- la plantilla y las etiquetas
@pytest.fixture(scope="module")
def marked():
    model, tokenizer = load_model("decoder", "mini")
    tokenizer.add_special_tokens({"additional_special_tokens": list(instructions.MARKS)})
    tokenizer.chat_template = instructions.TEMPLATE
    model.resize_token_embeddings(len(tokenizer))
    return model, tokenizer


def test_an_example_is_the_template_and_only_the_answer_counts(marked):
    _, tokenizer = marked
    pair = {"instruction": "Di dos colores.", "answer": "Rojo y azul."}
    text = f"{tokenizer.bos_token}<|usuario|>Di dos colores.<|fin|><|asistente|>Rojo y azul.<|fin|>"
    (row,) = instructions.chat_examples([pair], tokenizer, end="<|fin|>")
    assert row["input_ids"] == tokenizer(text, add_special_tokens=False).input_ids
    counted = [label for label in row["labels"] if label != IGNORED]
    assert tokenizer.decode(counted) == "Rojo y azul.<|fin|>"
    assert row["labels"] == [IGNORED] * (len(row["labels"]) - len(counted)) + counted
    (whole,) = instructions.chat_examples([pair], tokenizer, end="<|fin|>", answers_only=False)
    assert whole["labels"] == whole["input_ids"] == row["input_ids"]


def test_the_beginning_is_put_once_even_if_the_tokenizer_puts_it_too(marked):
    """El de Gemma lo pone delante de todo texto, y la plantilla ya lo lleva."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = copy.deepcopy(marked[1])
    bos, number = tokenizer.bos_token, tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, number)])
    assert tokenizer("Hola.").input_ids[0] == number
    pair = {"instruction": "Di dos colores.", "answer": "Rojo y azul."}
    made = [instructions.chat_examples([pair], t, end="<|fin|>") for t in (tokenizer, marked[1])]
    assert made[0] == made[1]


def test_the_loss_of_the_answers_is_the_one_of_the_model(marked):
    import torch

    model, tokenizer = marked
    rows = instructions.chat_examples(ROWS[:3], tokenizer, end="<|fin|>")
    for row, (nll, count) in zip(rows, instructions.answer_nll(model, rows), strict=True):
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        with torch.no_grad():
            loss = model(ids, labels=labels).loss.item()
        assert count == (labels != IGNORED).sum() and nll / count == pytest.approx(loss, abs=1e-4)
        assert nll == pytest.approx(-token_logprobs(model, ids)[0, -count:].sum().item(), abs=1e-3)


def test_the_template_of_gemma_is_its_text():
    messages = [("user", "Hola."), ("assistant", "Hola, ¿qué tal?"), ("user", "Bien.")]
    from transformers.utils.chat_template_utils import render_jinja_template

    chat = [{"role": role, "content": content} for role, content in messages]
    (text,), _ = render_jinja_template(
        [chat], chat_template=instructions.GEMMA_TEMPLATE, add_generation_prompt=True, bos_token="<bos>"
    )
    assert text == (
        "<bos><start_of_turn>user\nHola.<end_of_turn>\n<start_of_turn>model\nHola, ¿qué tal?<end_of_turn>\n"
        "<start_of_turn>user\nBien.<end_of_turn>\n<start_of_turn>model\n"
    )
