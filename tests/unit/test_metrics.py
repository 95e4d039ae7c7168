"""La métrica local de ``evaluate``: sin red, sin token de relleno y con las cuentas de ``scoring``."""

import doctest

import evaluate
import pytest
import torch
from corpora import BAD_CORPUS, TEXTS, brute_force, letters, nothing_computed

from course_utils import metrics
from course_utils.scoring import perplexity


@pytest.fixture(scope="module")
def metric():
    return evaluate.load(metrics.path("perplejidad"))


def test_path_knows_the_metrics():
    assert metrics.path("perplejidad").endswith("perplejidad")
    with pytest.raises(ValueError, match=r"'perplexity'.*perplejidad"):
        metrics.path("perplexity")


def test_the_folder_of_the_copies_is_made_if_it_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.config.HF_MODULES_CACHE", str(tmp_path / "caché" / "módulos"))
    assert metrics.path("perplejidad").endswith("perplejidad") and (tmp_path / "caché" / "módulos").is_dir()
    (tmp_path / "archivo").touch()
    monkeypatch.setattr("evaluate.config.HF_MODULES_CACHE", str(tmp_path / "archivo"))
    with pytest.raises(ValueError, match="ahí no se puede escribir"):
        metrics.path("perplejidad")


def test_equals_one_pass_per_prefix_without_a_pad_token(metric, model):
    tokenizer = letters()
    assert tokenizer.pad_token is None
    short = [text for text in TEXTS if len(text) < 48]
    result = metric.compute(predictions=short, model=model, tokenizer=tokenizer)
    nll = [-brute_force(model, torch.tensor([0, *tokenizer(text).input_ids])).sum() for text in short]
    sizes = torch.tensor([len(text) for text in short])
    each = (torch.stack(nll) / sizes).exp()
    assert set(result) == {"perplexities", "mean_perplexity", "corpus_perplexity"}
    assert result["perplexities"] == pytest.approx(each.tolist(), rel=1e-4)
    assert result["mean_perplexity"] == pytest.approx(each.mean().item(), rel=1e-4)
    assert result["corpus_perplexity"] == pytest.approx((sum(nll) / sizes.sum()).exp().item(), rel=1e-4)


def test_options_reach_scoring_and_the_order_is_kept(metric, model):
    options = {"window": 9, "stride": 4, "add_start_token": False, "batch_size": 3, "progress": False}
    texts = TEXTS[1:]  # el primero, de un token, no tiene nada que puntuar sin token inicial
    result = metric.compute(predictions=texts, model=model, tokenizer=letters(), **options)
    expected = perplexity(model, letters(), texts, **options)
    assert result["perplexities"] == pytest.approx([part.value for part in expected.per_text])
    assert result["corpus_perplexity"] == pytest.approx(expected.value)


def test_texts_can_be_any_iterable(metric, model):
    options = {"model": model, "tokenizer": letters()}
    expected = metric.compute(predictions=TEXTS, **options)
    assert metric.compute(predictions=(text for text in TEXTS), **options) == expected
    assert metric.compute(predictions=tuple(TEXTS), **options) == expected


def formula_of_evaluate(model, tokenizer, texts):
    """La cuenta de la métrica perplexity de evaluate: relleno a la derecha, BOS delante y entropía cruzada."""
    batch = [[tokenizer.bos_token_id, *tokenizer(text).input_ids] for text in texts]
    longest = max(map(len, batch))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return ((losses * mask[:, 1:]).sum(1) / mask[:, 1:].sum(1)).exp()


def test_equals_the_formula_of_evaluate(metric, mini):
    model, tokenizer = mini
    texts = ["Había una vez un rey.", "—¿Quién llama? —dijo la ventera, que no esperaba a nadie.", "No."]
    result = metric.compute(predictions=texts, model=model, tokenizer=tokenizer)
    expected = formula_of_evaluate(model, tokenizer, texts)
    assert result["perplexities"] == pytest.approx(expected.tolist(), rel=1e-4)
    assert result["mean_perplexity"] == pytest.approx(expected.mean().item(), rel=1e-4)


@pytest.mark.parametrize(("texts", "options", "message"), BAD_CORPUS)
def test_bad_corpus_is_refused_in_spanish_and_the_metric_still_works(metric, model, texts, options, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(predictions=texts, model=nothing_computed(), tokenizer=letters(), **options)
    assert len(metric.compute(predictions=["abc"], model=model, tokenizer=letters())["perplexities"]) == 1


def test_the_example_of_the_documentation_runs(metric):
    example = doctest.DocTestParser().get_doctest(metric.inputs_description, {}, "ejemplo", None, 0)
    assert len(example.examples) == 8
    assert doctest.DocTestRunner().run(example).failed == 0
    assert "Jelinek" in metric.citation and "Los textos" in metric.inputs_description
    assert "perplejidad" in metric.description
