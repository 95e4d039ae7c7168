"""Las fichas de los modelos dicen lo que se midió, y sus muestras salen de los pesos que hay al lado."""

import json
import re
from pathlib import Path

import pytest

from course_utils import models, recordings
from tools.training import evaluate

ROOT = Path(models.__file__).parent / "checkpoints"


@pytest.fixture(scope="module")
def figures():
    return json.loads((ROOT / "evaluacion.json").read_text(encoding="utf-8"))


def card(role):
    return (ROOT / role / "README.md").read_text(encoding="utf-8")


def comma(value, digits):
    return f"{value:.{digits}f}".replace(".", ",")


def test_the_models_are_good_enough_to_teach_with(figures):
    bits = figures["bits_por_caracter"]
    assert bits["decoder"] < 1.4
    assert bits["decoder"] < bits["ppmd_orden_8"] < bits["xz_tras_leer_el_corpus"] < bits["xz"]
    assert bits["xz"] < bits["unigrama_de_tokens"] + 1  # el unigrama no ve el orden; xz solo ve este texto
    assert figures["muestras"]["n_grama_compartido_mas_largo"]["modelo"] <= 20  # no recita sus novelas


def test_with_15_per_cent_masked_the_encoder_still_wins(figures):
    """Cada hueco le quita contexto, y al decodificador ninguno."""
    hits = figures["aciertos"]
    assert hits["encoder"]["top5"] >= hits["decoder"]["top5"] + 0.2


def test_seeing_both_sides_helps_with_one_token_masked(figures):
    hits = figures["aciertos_con_una_mascara"]
    assert hits["posiciones"] >= 2000
    assert hits["encoder"]["top5"] >= hits["decoder"]["top5"] + 0.25
    assert hits["encoder"]["top1"] > hits["decoder"]["top1"]


def test_the_measured_weights_are_the_embedded_ones(figures):
    for role, expected in figures["sha256"].items():
        assert models.sha256(ROOT / role / "model.safetensors") == expected
    assert set(figures["sha256"]) == {"decoder", "encoder", "lstm"}


def test_the_decoder_card_has_every_figure(figures):
    text, bits, samples = card("decoder"), figures["bits_por_caracter"], figures["muestras"]
    for name in bits.keys() - {"lstm"}:  # la suya va en su ficha
        assert comma(bits[name], 3) in text
    for value in samples["repeticion"].values():
        assert f"{comma(100 * value, 1)} %" in text
    for group in ("n_grama_compartido_mas_largo", "n_grama_compartido_mediana"):
        for value in samples[group].values():
            assert re.search(rf"\b{value:g}\b".replace(".", ","), text)


def test_the_lstm_card_has_its_bits_and_what_reading_more_gives(figures):
    text = card("lstm")
    assert comma(figures["bits_por_caracter"]["lstm"], 3) in text
    for row in figures["segun_lo_leido"]:
        first, last = row["tramo"]
        ours, theirs, gap = (comma(row[name][0], 2) for name in ("lstm", "decoder", "diferencia"))
        low, high = (comma(value, 2) for value in row["diferencia"][1:])
        assert f"| {first}–{last} | {ours} | {theirs} | {gap} ({low}–{high}) |" in text
    size = sum(file.stat().st_size for file in (ROOT / "lstm").iterdir())
    parameters = [sum(p.numel() for p in models.load_model(role)[0].parameters()) for role in ("lstm", "decoder")]
    assert size < 18e6 and abs(parameters[0] / parameters[1] - 1) < 0.02  # como pide la comparación


def test_the_encoder_card_has_every_figure(figures):
    text = card("encoder")
    for measure in ("aciertos", "aciertos_con_una_mascara"):
        for role in ("encoder", "decoder"):
            for value in figures[measure][role].values():
                assert f"{comma(100 * value, 1)} %" in text
        assert f"{figures[measure]['posiciones']:,}".replace(",", " ") in text


def test_the_samples_of_the_cards_come_from_the_weights():
    samples = evaluate.samples_markdown()
    assert set(samples) == {"decoder", "encoder", "lstm"}
    assert [role for role, text in samples.items() if text not in card(role)] == []


@pytest.mark.parametrize("role", ["decoder", "encoder", "lstm"])
def test_the_cards_say_what_a_card_must_say(role):
    text = card(role)
    for topic in ("## Arquitectura", "## Datos y licencias", "## Cómo se entrenó", "## Límites y sesgos", "CC0"):
        assert topic in text
    assert "language: es" in text and "semilla 0" in text.lower()


@pytest.mark.parametrize("group", ["capitales", "ejemplos"])
def test_the_card_of_the_llm_says_the_hits_of_its_recordings(group):
    text = (ROOT / "mediano.md").read_text(encoding="utf-8")
    for condition, (right, asked) in recordings.hits(recordings.load(group)).items():
        assert f"| {condition} | {right} de {asked} |" in text


@pytest.mark.parametrize("page", ["docs/licencias.md", "notebooks/README.md"])
def test_every_card_is_reached_from_where_the_licences_are(page):
    package = ROOT.parent
    cards = [*package.glob("data/*.md"), *ROOT.glob("*/README.md"), ROOT / "mediano.md"]
    said = (package.parent / page).read_text(encoding="utf-8")
    assert len(cards) >= 15
    assert [card.name for card in cards if f"../{card.relative_to(package.parent).as_posix()}" not in said] == []
