"""Grabaciones, hechas aquí con el modelo embebido: que se comprueban, y que lo alterado se señala."""

import copy
import dataclasses
import html.parser
import json
import math
import re
from types import SimpleNamespace

import pytest
import torch

from course_utils import cards, recordings
from course_utils._look import tint
from course_utils.recordings import Shown, dump, load, problems, record

ABOUT = {"label": "de prueba", "name": "el embebido", "profile": "mini", "date": "2026-01-01"}
PROMPT = "Había una vez un <b>rey</b> & su ñandú que"
SETTINGS = {
    "voraz": ({"max_new_tokens": 25}, None),
    "muestreo": ({"do_sample": True, "temperature": 0.8, "max_new_tokens": 25}, 3),
    "filtros": ({"do_sample": True, "temperature": 1.5, "top_k": 40, "top_p": 0.8, "max_new_tokens": 25}, 4),
    "min-p": ({"do_sample": True, "repetition_penalty": 1.3, "min_p": 0.1, "max_new_tokens": 25}, 5),
    "sin repetir": ({"no_repeat_ngram": 2, "max_new_tokens": 40}, None),
    "haz": ({"num_beams": 4, "max_new_tokens": 12}, None),
}


@pytest.fixture(scope="module")
def made(mini):
    return {name: record(*mini, PROMPT, settings, seed, **ABOUT) for name, (settings, seed) in SETTINGS.items()}


@pytest.fixture(scope="module")
def scored(mini):
    return record(*mini, "", {"scored": True}, text="No por mucho madrugar 🦙 amanece.", **ABOUT)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_recording_is_what_hugging_face_writes(mini, made, name):
    model, tokenizer = mini
    settings, seed = SETTINGS[name]
    options = {"top_k": 0, "do_sample": False, "pad_token_id": tokenizer.pad_token_id} | settings
    options["no_repeat_ngram_size"] = options.pop("no_repeat_ngram", 0)
    with torch.random.fork_rng():
        torch.manual_seed(seed or 0)
        out = model.generate(**tokenizer(PROMPT, return_tensors="pt"), **options)
    found = made[name]
    assert (*found.prompt_ids, *found.ids) == tuple(out[0].tolist())
    assert found.text == tokenizer.decode(out[0], skip_special_tokens=True)[len(PROMPT) :]
    assert len(found.tokens) == len(found.ids) == len(found.logprobs)
    assert problems(found, model, tokenizer) == []


def test_its_logprobs_are_those_of_the_model_untransformed(mini, made):
    model, found = mini[0], made["filtros"]
    with torch.no_grad():
        logits = model(torch.tensor([[*found.prompt_ids, *found.ids]])).logits[0, len(found.prompt_ids) - 1 : -1]
    expected = -torch.nn.functional.cross_entropy(logits, torch.tensor(found.ids), reduction="none")
    assert found.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
    assert found.logprobs == tuple(round(value, 4) for value in found.logprobs)  # con cuatro decimales basta
    assert found.logprobs != tuple(round(value, 3) for value in found.logprobs)


def test_a_scored_text_is_paid_from_its_first_token(mini, scored):
    model, tokenizer = mini
    ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(scored.text, add_special_tokens=False).input_ids]])
    with torch.no_grad():
        loss = model(ids, labels=ids).loss.item()
    assert scored.text == "No por mucho madrugar 🦙 amanece." and scored.prompt == ""
    assert -sum(scored.logprobs) / len(scored.ids) == pytest.approx(loss, abs=1e-3)
    assert "" in scored.tokens  # la llama ocupa varios tokens, y se ve cuando está entera
    assert problems(scored, model, tokenizer) == []


def test_it_ends_at_the_eos_and_keeps_it(mini):
    model, tokenizer = mini[0], copy.deepcopy(mini[1])
    tokenizer.eos_token = ","  # algo que el modelo escribe enseguida
    found = record(model, tokenizer, "Había una vez", {"max_new_tokens": 60}, **ABOUT)
    assert len(found.ids) < 60 and [*found.ids].index(tokenizer.eos_token_id) == len(found.ids) - 1
    assert problems(found, model, tokenizer) == []


def test_it_can_end_at_another_token_too(mini):
    model, tokenizer = mini
    (comma,) = tokenizer(",", add_special_tokens=False).input_ids
    settings = {"max_new_tokens": 60, "stop": tokenizer.convert_ids_to_tokens(comma)}
    found = record(model, tokenizer, "Había una vez", settings, **ABOUT)
    assert len(found.ids) < 60 and [*found.ids].index(comma) == len(found.ids) - 1
    whole = record(model, tokenizer, "Había una vez", {"max_new_tokens": 60}, **ABOUT)
    assert found.ids == whole.ids[: len(found.ids)] and problems(found, model, tokenizer) == []


def test_recording_touches_no_global_randomness(mini):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second = (record(*mini, PROMPT, *SETTINGS["muestreo"], **ABOUT) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert first == second


# ---------------------------------------------------------------- lo alterado
def altered(recording, **changes):
    return dataclasses.replace(recording, **changes)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("k", [0, 5, -1])
def test_an_altered_digit_is_named_with_its_token(mini, made, name, k):
    found = made[name]
    logprobs = list(found.logprobs)
    logprobs[k] -= 0.02
    said = problems(altered(found, logprobs=tuple(logprobs)), *mini)
    assert len(said) == 1 and f"token {k % len(logprobs)}, " in said[0] and f"{logprobs[k]}" in said[0]


def test_a_looser_check_of_a_model_that_was_trained_again(mini, made):
    found = made["muestreo"]
    near = altered(found, seed=found.seed + 1, logprobs=tuple(x - 0.2 for x in found.logprobs))
    assert problems(near, *mini, tolerance=0.25, choices=False) == []
    assert len(problems(near, *mini, tolerance=0.15, choices=False)) == len(found.ids)
    assert "semilla" in problems(near, *mini, tolerance=0.25)[0]


def test_a_logprob_that_is_not_a_number_is_wrong_too(mini, made):
    found = made["voraz"]
    said = problems(altered(found, logprobs=(math.nan, *found.logprobs[1:])), *mini)
    assert len(said) == 1 and "token 0, " in said[0]


def test_a_swapped_seed_is_named(mini, made):
    for name in ("muestreo", "filtros", "min-p"):
        seed = made[name].seed + 1
        said = problems(altered(made[name], seed=seed), *mini)
        assert len(said) == 1 and f"semilla {seed}" in said[0]


def test_a_greedy_tie_is_whatever_each_processor_says(mini):
    """El segundo del podio vale si está a menos de la tolerancia; a más, no."""
    model, tokenizer = mini
    logits = recordings._logits(model, [*tokenizer("Había una vez").input_ids, 5], 1)
    best, second = logits[0].topk(2).indices.tolist()
    ids = tuple(tokenizer("Había una vez").input_ids)
    found = recordings.Recording("x", "x", "mini", "Había una vez", {"max_new_tokens": 1}, None, ids, (second,),
                                 recordings.pieces(tokenizer, ids, [second]), (0.0,), "2026-01-01")  # fmt: skip
    for gap, wrong in ((0.009, 0), (0.011, 1)):
        close = logits.clone()
        close[0, second] = close[0, best] - gap
        assert len(list(recordings._wrong_choices(found, model, tokenizer, close, 0.01))) == wrong


def test_a_changed_prompt_is_named(mini, made):
    said = problems(altered(made["voraz"], prompt="Había una vez una reina"), *mini)
    assert said == ["el prompt 'Había una vez una reina' no da los ids grabados: lo han cambiado"]
    ids = tuple(mini[1]("Había una vez una reina").input_ids)  # con sus ids y todo
    said = problems(altered(made["voraz"], prompt="Había una vez una reina", prompt_ids=ids), *mini)
    assert said and "la log-probabilidad del token 0" in said[0]


def test_changed_settings_are_named(mini, made):
    found = made["filtros"]
    for change in ({"temperature": 0.3}, {"top_k": 1}, {"top_p": 0.01}):
        said = problems(altered(found, settings={**found.settings, **change}), *mini)
        assert len(said) == 1 and recordings.describe({**found.settings, **change}, found.seed) in said[0]
    said = problems(altered(made["muestreo"], settings={"max_new_tokens": 25}, seed=None), *mini)
    assert len(said) == 1 and "búsqueda voraz" in said[0]


def test_a_token_outside_its_filter_is_named(mini, made):
    found = altered(made["muestreo"], settings={**made["muestreo"].settings, "top_k": 1})
    assert "está fuera de sus filtros" in problems(found, *mini)[0]


def test_a_beam_that_is_not_the_one_found(mini, made):
    said = problems(altered(made["voraz"], settings={"num_beams": 4, "max_new_tokens": 25}), *mini)
    assert len(said) == 1 and "la búsqueda en haz da" in said[0]


def test_an_empty_text_starts_at_the_first_token_and_an_empty_recording_is_wrong(mini, made):
    class Tokenizer(SimpleNamespace):
        def __call__(self, text):
            return SimpleNamespace(input_ids=[])

    assert recordings._prompt_ids(Tokenizer(bos_token_id=3, eos_token_id=5), "") == [3]
    assert recordings._prompt_ids(Tokenizer(bos_token_id=None, eos_token_id=5), "") == [5]
    (wrong,) = problems(altered(made["voraz"], ids=(), tokens=(), logprobs=()), *mini)
    assert wrong == "hay 0 ids, 0 tokens y 0 log-probabilidades"


def test_changed_text_and_missing_pieces(mini, made):
    found = made["voraz"]
    said = problems(altered(found, tokens=(" otra", *found.tokens[1:])), *mini)
    assert len(said) == 1 and "los ids no dan el texto grabado" in said[0]
    said = problems(altered(found, ids=found.ids[:-1]), *mini)
    assert said == ["hay 24 ids, 25 tokens y 25 log-probabilidades"]


def test_a_change_of_ids_with_their_text_is_seen_in_the_logprobs(mini, made):
    model, tokenizer = mini
    found = made["voraz"]
    ids = (*found.ids[:3], (found.ids[3] + 1) % 4000, *found.ids[4:])
    pieces = cards.pieces(tokenizer, found.prompt_ids, ids)
    assert "log-probabilidad del token 3" in problems(altered(found, ids=ids, tokens=pieces), model, tokenizer)[0]


# ---------------------------------------------------------------- el fichero
def test_what_is_saved_is_what_is_read(made, scored, tmp_path):
    everything = [*made.values(), scored]
    (tmp_path / "grupo.json").write_text(dump(everything), encoding="utf-8")
    assert load("grupo", tmp_path) == tuple(everything)


@pytest.mark.parametrize(
    "change", [("0.8", "0.7"), ('"seed": 3', '"seed": 4'), ("ñandú", "avestruz"), ("2026", "2025")]
)
def test_an_edited_file_is_not_opened(made, tmp_path, change):
    lines = dump([made["voraz"], made["muestreo"]]).splitlines(keepends=True)
    assert change[0] in lines[2]
    (tmp_path / "grupo.json").write_text(
        "".join([*lines[:2], lines[2].replace(*change, 1), lines[3]]), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"La grabación 1 de 'grupo' .* editado a mano.*tools\.record grupo"):
        load("grupo", tmp_path)


def test_one_digit_of_one_logprob_is_enough(made, tmp_path):
    rows = json.loads(dump([made["voraz"]]))
    rows[0]["logprobs"][7] = round(rows[0]["logprobs"][7] + 1e-4, 4)
    (tmp_path / "grupo.json").write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(ValueError, match="editado a mano"):
        load("grupo", tmp_path)


def test_an_unknown_group_says_which_there_are(made, tmp_path):
    (tmp_path / "unicornios.json").write_text(dump([made["voraz"]]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"'unicornio'\. Las que hay: unicornios"):
        load("unicornio", tmp_path)


# ---------------------------------------------------------------- lo que no se graba
def test_bad_settings_are_refused(mini):
    with pytest.raises(ValueError, match=r"No conozco los ajustes \['temperatura'\]"):
        record(*mini, PROMPT, {"temperatura": 1, "max_new_tokens": 3}, **ABOUT)
    with pytest.raises(ValueError, match="hace falta una semilla"):
        record(*mini, PROMPT, {"do_sample": True, "max_new_tokens": 3}, **ABOUT)


# ---------------------------------------------------------------- enseñarlas
class Reader(html.parser.HTMLParser):
    """Lo que queda cuando alguien quita los estilos: las etiquetas y el texto."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.text += "\n" * (tag in {"br", "p", "div", "blockquote"})

    def handle_data(self, data):
        self.text += data


def test_it_is_shown_beside_the_small_model_live(mini, made, monkeypatch, tmp_path):
    (tmp_path / "grupo.json").write_text(dump([made["muestreo"]]), encoding="utf-8")
    monkeypatch.setattr(recordings.load, "__defaults__", (tmp_path,))
    shown = recordings.show("grupo")
    assert shown.recordings == (made["muestreo"],)
    assert shown.live[0].ids == made["muestreo"].ids  # aquí el modelo grabado es el mismo
    assert shown.live[0].model != made["muestreo"].model
    assert repr(shown).splitlines()[0] == "── de prueba ──" and repr(shown).count(made["muestreo"].text) == 2


def test_the_page_has_everything_escaped_and_no_script_nor_style_sheet(made, scored):
    odd = altered(made["muestreo"], label="<script>alert(1)</script>", model='m"<x>')
    page = Shown((odd, scored), (odd, scored))._repr_html_()
    reader = Reader(page)
    assert set(reader.tags) <= {"div", "p", "strong", "em", "small", "blockquote", "span", "br", "b"}
    assert "<script>" not in page and "<b>rey</b>" not in page
    for text in (odd.label, odd.model, PROMPT, "temperatura 0,8, semilla 3", "bits por carácter"):
        assert text in reader.text
    assert odd.text.replace("\n", "") in reader.text.replace("\n", "")
    assert not re.search(r"\bon\w+=|javascript:|<style|width:\s*\d{3,}px(?<!max-width:960px)", page)


ANSWERS = {  # condición · pregunta → lo escrito; la respuesta es siempre «sal»
    "cero · ¿Qué falta?": " pimienta\nsal",
    "cero · ¿Y aquí?": "",
    "dos · ¿Qué falta?": "\n sal <gorda>\nFin",
    "dos · ¿Y aquí?": "Sal",
    "cuatro · ¿Qué falta?": "sal",
    "cuatro · ¿Y aquí?": " salada",
}


@pytest.fixture
def answered(made):
    return tuple(altered(made["voraz"], label=k, tokens=(v,), expected="sal") for k, v in ANSWERS.items())


def test_right_answers_are_counted_by_condition(answered, made):
    assert recordings.hits(answered) == {"cero": (0, 2), "dos": (1, 2), "cuatro": (2, 2)}
    with pytest.raises(ValueError, match="en 'de prueba': no tiene expected"):
        recordings.hits([*answered, made["voraz"]])


def test_what_has_an_answer_is_a_table_with_its_hits(answered):
    live = tuple(altered(r, model="el chico", tokens=("nada",)) for r in answered)
    page = Shown(answered, live)._repr_html_()
    assert set(Reader(page).tags) <= {"div", "p", "em", "small", "blockquote", "table", "tr", "th", "td", "br"}
    rows = [re.findall(r"<t[hd] [^>]*>([^<]*)<", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert rows[:4] == [
        ["", "cero", "dos", "cuatro"],
        ["¿Qué falta? (sal)", "✗ pimienta", "✓ sal &lt;gorda&gt;", "✓ sal"],
        ["¿Y aquí? (sal)", "✗ (nada)", "✗ Sal", "✓ salada"],
        ["aciertos", "0 de 2", "1 de 2", "2 de 2"],
    ]
    assert rows[7] == ["aciertos", "0 de 2", "0 de 2", "0 de 2"] and len(rows) == 8
    assert page.count("<blockquote>") == 3 and "de la primera fila, dos" in Reader(page).text  # lo que cambia
    text = repr(Shown(answered, live))
    assert "── el embebido: dos, 1 de 2 ──\n✓ sal <gorda> ← ¿Qué falta?\n✗ Sal ← ¿Y aquí?\n" in text
    assert "── el chico: cuatro, 0 de 2 ──" in text


def test_the_same_with_another_model_goes_in_the_same_row(made):
    recipe = {
        "command": "finetune --lr 0.0005",
        "cost": {"seconds": 90, "peak_gb": 3.5},
        "curve": {"entrenamiento": [[step, 3.25 + step % 2] for step in range(10)] + [[10, 2.5]], "validacion": []},
        "bits_per_char": {"before": 1.75, "after": 1.5},
    }
    before = tuple(altered(made[name], label=name) for name in ("voraz", "muestreo"))
    after = tuple(altered(r, model="el ajustado", recipe=recipe) for r in before)
    shown = Shown((*before, *after), tuple(altered(r, model="el chico") for r in before))
    models = [[r.model for r in those] for those in shown.rows.values()]
    assert list(shown.rows) == ["voraz", "muestreo"] and models == [["el embebido", "el ajustado", "el chico"]] * 2
    said = (
        "el ajustado: python -m course_utils finetune --lr 0.0005. 2 minutos, 3,5 GB de memoria. La pérdida, media "
        "de cada diez pasos: 3,75 → 2,50. Los chistes de prueba, de 1,75 a 1,50 bits por carácter."
    )
    for text in (repr(shown), Reader(shown._repr_html_()).text):
        assert text.count(said) == 1


def test_the_recipe_of_an_assistant_says_its_answers(made):
    recipe = {
        "command": "python -m tools.training.assistant",
        "cost": {"seconds": 240, "peak_gb": 4.0},
        "curve": [[step, 4.0] for step in range(10)] + [[10, 2.0]],
        "answers": {"tokens": [4, 6], "before": [20.0, 30.0], "after": [10.0, 15.0]},
    }
    after = altered(made["voraz"], model="el ajustado", recipe=recipe)
    shown = Shown((after,), (altered(made["voraz"], model="el chico"),))
    said = (
        "el ajustado: python -m tools.training.assistant. 4 minutos, 4,0 GB de memoria. La pérdida, media de cada diez "
        "pasos: 4,00 → 2,00. Las respuestas de prueba, de 5,00 a 2,50 nats por token."
    )
    assert repr(shown).count(said) == 1


def test_only_some_are_shown(made, monkeypatch, tmp_path):
    group = [altered(made["voraz"], label=label) for label in ("cuento, 0,3", "cuento, 1,5", "noticia, 0,3")]
    group.append(altered(group[0], model="el ajustado"))
    (tmp_path / "grupo.json").write_text(dump(group), encoding="utf-8")
    monkeypatch.setattr(recordings.load, "__defaults__", (tmp_path,))
    some = recordings.show("grupo", only=["noticia", "cuento, 0"])
    assert list(some.recordings) == [group[0], group[2], group[3]] and len(some.live) == 2
    assert recordings.show("grupo", only="noticia").recordings == (group[2],)
    with pytest.raises(ValueError, match=r"empieza por 'receta'\. Las que hay: cuento, 0,3; cuento, 1,5; noticia, 0,3"):
        recordings.show("grupo", only=["cuento", "receta"])


def test_lines_are_kept(made):
    odd = altered(made["voraz"], tokens=("uno\n", "dos", *[""] * (len(made["voraz"].ids) - 2)))
    assert "uno<br>" in Shown((odd,), (odd,))._repr_html_()


def test_tints_go_from_white_to_orange():
    assert [tint(bits) for bits in (0.0, 16.0, 99.0)] == ["#FFFFFF", "#E69F00", "#E69F00"]


def test_settings_in_spanish():
    describe = recordings.describe
    assert describe({"max_new_tokens": 3}) == "búsqueda voraz"
    assert describe({"num_beams": 4, "max_new_tokens": 3}) == "haz de 4"
    settings = {"do_sample": True, "temperature": 1.5, "top_p": 0.9, "max_new_tokens": 3}
    assert describe(settings, 0) == "muestreo, temperatura 1,5, top-p 0,9, semilla 0"
    assert describe({"scored": True}) == "texto puntuado"
