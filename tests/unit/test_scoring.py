"""Puntuar, frente a una pasada por prefijo y frente a distribuciones conocidas."""

import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from architectures import ARCHITECTURES, LLAMA, tiny
from conftest import tiny_model
from corpora import BAD_CORPUS, LETTERS, TEXTS, brute_force, letters, nothing_computed, text_of
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import peak_of_tensors

from course_utils import scoring
from course_utils.scoring import Perplexity, perplexity, sequence_logprob, token_logprobs


def test_equals_one_pass_per_prefix(model):
    ids = torch.randint(0, 23, (3, 12), generator=torch.Generator().manual_seed(0))
    expected = torch.stack([brute_force(model, row) for row in ids])
    torch.testing.assert_close(token_logprobs(model, ids), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_count(model, side):
    short, long = torch.tensor([5, 3, 8]), torch.tensor([1, 2, 3, 4, 5, 6])
    ids, mask = torch.zeros(2, 6, dtype=torch.long), torch.zeros(2, 6, dtype=torch.long)
    where = slice(3, 6) if side == "left" else slice(0, 3)
    ids[0, where], mask[0, where], ids[1], mask[1] = short, 1, long, 1
    scores = token_logprobs(model, ids, mask)
    assert scores.shape == (2, 5)
    torch.testing.assert_close(scores[1], brute_force(model, long), atol=1e-4, rtol=1e-4)
    kept = scores[0, 3:] if side == "left" else scores[0, :2]
    torch.testing.assert_close(kept, brute_force(model, short), atol=1e-4, rtol=1e-4)
    assert scores[0].count_nonzero() == 2


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("last", [1, 3, 4])
def test_last_gives_the_last_columns_and_skips_the_other_logits(model, side, last):
    ids, mask = torch.tensor([[5, 3, 8, 1, 2, 4], [1, 2, 3, 4, 5, 6]]), torch.ones(2, 6, dtype=torch.long)
    mask[0, slice(0, 2) if side == "left" else slice(4, 6)] = 0
    sizes = []
    hook = model.lm_head.register_forward_hook(lambda *call: sizes.append(call[2].size(1)))
    padded, whole = token_logprobs(model, ids, mask, last=last), token_logprobs(model, ids, last=last)
    hook.remove()
    torch.testing.assert_close(padded, token_logprobs(model, ids, mask)[:, -last:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(whole, token_logprobs(model, ids)[:, -last:], atol=1e-5, rtol=1e-5)
    assert sizes[1] == last + 1 and sizes[0] <= last + 1 + 2  # dos de relleno


# ---------------------------------------------------------------- otras arquitecturas
SIZES = {"vocab_size": 23, "d_model": 16, "pad_token_id": 0, "decoder_start_token_id": 0}
SOFTCAP = transformers.Gemma2Config(**LLAMA, sliding_window=4, final_logit_softcapping=3.0, initializer_range=0.6)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", [*ARCHITECTURES, "Gemma 2"])  # la salida de Gemma 2 es más que una matriz
def test_any_decoder_padded_on_any_side_equals_one_pass_per_prefix(name, side, monkeypatch):
    model = transformers.Gemma2ForCausalLM(SOFTCAP).eval() if name == "Gemma 2" else tiny(name)
    rows = [[5, 3, 8], [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]]
    expected = [brute_force(model, torch.tensor(row)) for row in rows]
    ids, mask = fill(rows, side)
    for room in (2**26, 23 * 4):  # de una vez, y con sitio para los logits de cuatro tokens
        monkeypatch.setattr(scoring, "_LOGITS", room)
        scores = token_logprobs(model, ids, mask)
        short = scores[0, -2:] if side == "left" else scores[0, :2]
        torch.testing.assert_close(short, expected[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(scores[1], expected[1], atol=1e-4, rtol=1e-4)
        assert scores[0].count_nonzero() == 2


def not_causal(name):
    """Modelos que no predicen el token siguiente, con una probabilidad para cada token que no quiere decir nada."""
    kinds = {
        "codificador": lambda t: t.BertForMaskedLM(t.BertConfig(**LLAMA)),
        "BertLMHeadModel": lambda t: t.BertLMHeadModel(t.BertConfig(**LLAMA)),
        "BART": lambda t: t.BartForConditionalGeneration(t.BartConfig(**SIZES, encoder_layers=1, decoder_layers=1)),
        "T5": lambda t: t.T5ForConditionalGeneration(t.T5Config(**SIZES, d_ff=16, num_layers=1)),
    }
    return kinds[name](transformers).eval()


@pytest.mark.parametrize("name", ["codificador", "BertLMHeadModel", "BART", "T5"])
def test_only_decoders_are_scored(name):
    model, ids = not_causal(name), torch.tensor([[1, 2, 3]])
    calls = (token_logprobs, sequence_logprob, lambda m, _: perplexity(m, letters(), ["abc"]))
    for call in calls:
        with pytest.raises(ValueError, match=r"es un codificador.*load_model\(\"decoder\"\)"):
            call(model, ids)


def test_training_mode_is_refused():
    model = tiny_model(seed=5).train()
    for call in (token_logprobs, functools.partial(sequence_logprob, prompt_length=1)):
        with pytest.raises(ValueError, match=r"modo entrenamiento.*model\.eval"):
            call(model, torch.tensor([[1, 2, 3]]))


def test_a_bfloat16_model_is_scored_in_float32():
    model, ids = tiny("Llama", dtype=torch.bfloat16), torch.tensor([[5, 3, 8, 1, 2, 4]])
    with torch.no_grad():
        expected = model(ids).logits.float().log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(token_logprobs(model, ids), expected)  # también el tipo


def test_one_token_after_the_first_and_the_rest_padding(model):
    ids, mask = torch.tensor([[5, 3, 0]]), torch.tensor([[1, 1, 0]])
    score = brute_force(model, torch.tensor([5, 3])).item()
    assert token_logprobs(model, ids, mask).tolist() == [[pytest.approx(score, abs=1e-5), 0]]
    assert token_logprobs(model, ids, mask, last=1).tolist() == [[0]]


def test_a_mask_with_holes_scores_what_is_left():
    ids, mask = torch.tensor([[5, 3, 9, 8, 2]]), torch.tensor([[1, 1, 0, 1, 1]])
    scores = token_logprobs(tiny_model(), ids, mask)[0]
    expected = brute_force(tiny_model(), torch.tensor([5, 3, 8, 2]))
    assert scores.tolist() == pytest.approx([expected[0].item(), 0, 0, expected[2].item()], abs=1e-5)


def test_numpy_integers_are_integers(model):
    ids, three = torch.tensor([[1, 2, 3, 4, 5]]), np.int64(3)
    assert token_logprobs(model, ids, last=three).equal(token_logprobs(model, ids, last=3))
    found = sequence_logprob(model, ids, prompt_length=three)
    assert found.equal(sequence_logprob(model, ids, prompt_length=3))
    options = {"window": 9, "stride": 3, "batch_size": 3}
    as_numpy = {name: np.int32(value) for name, value in options.items()}
    assert perplexity(model, letters(), TEXTS, **as_numpy) == perplexity(model, letters(), TEXTS, **options)


# ---------------------------------------------------------------- memoria
@pytest.mark.parametrize("last", [None, 3])
def test_logits_never_take_more_than_their_share(monkeypatch, last):
    """Muchas filas, o una sola en la que no caben: los mismos números con la memoria que se diga."""
    model, generator = tiny_model(vocab=4000, context=300), torch.Generator().manual_seed(0)
    for shape in ((64, 20), (1, 300)):
        ids = torch.randint(0, 4000, shape, generator=generator)
        whole = token_logprobs(model, ids, last=last)
        monkeypatch.setattr(scoring, "_LOGITS", 2**17)
        assert peak_of_tensors(lambda ids=ids: token_logprobs(model, ids, last=last)) < 2 * 4 * 2**17
        torch.testing.assert_close(token_logprobs(model, ids, last=last), whole, atol=1e-4, rtol=1e-4)
        monkeypatch.undo()


def test_a_model_that_cannot_skip_logits_has_the_same_bound(monkeypatch):
    def slow(input_ids, **kwargs):
        sizes.append(input_ids.numel())
        return tiny_model()(input_ids)

    slow.config, sizes = tiny_model().config, []
    monkeypatch.setattr(scoring, "_LOGITS", 23 * 40)
    ids = torch.randint(0, 23, (7, 12), generator=torch.Generator().manual_seed(0))
    found = token_logprobs(slow, ids, last=2)
    torch.testing.assert_close(found, token_logprobs(tiny_model(), ids, last=2), atol=1e-5, rtol=1e-5)
    assert max(sizes) <= 40 and len(sizes) == 3


def test_64_short_texts_and_a_vocabulary_of_262_144_take_256_mebibytes():
    """Los logits de 256 tokens. Con todo el lote a la vez eran 8,1 GB."""

    def gemma(input_ids, **kwargs):
        sizes.append(input_ids.numel())
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 23))

    gemma.config, sizes = SimpleNamespace(vocab_size=262_144, max_position_embeddings=32_768), []
    for options in ({}, {"batch_size": 64}):
        perplexity(gemma, letters(), [text_of(30, seed=i) for i in range(64)], **options)
    assert max(sizes) * 262_144 * 4 <= 2**28 and max(sizes) > 200


def test_memory_does_not_grow_with_the_context_nor_with_the_texts():
    """64 textos cortos no pueden pedir más con un contexto de 32 000 que con uno de 48; ni 640."""
    texts = [text_of(30, seed=i) for i in range(64)]
    small, large = tiny_model(), tiny_model(context=32_000)
    peaks = [
        peak_of_tensors(lambda m=m, t=t: perplexity(m, letters(), t))
        for m, t in [(small, texts), (large, texts), (large, texts * 10)]
    ]
    assert max(peaks) <= 1.05 * peaks[0]


def windows_seen(model, texts, **options):
    """Las formas de los lotes que se puntúan."""
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            scoring, "token_logprobs", lambda _, ids, last: seen.append(ids.shape) or torch.zeros(len(ids), last)
        )
        perplexity(model, letters(), texts, **options)
    return [tuple(shape) for shape in seen]


def test_the_default_window_is_the_context_up_to_2048():
    def longest(model):
        return max(length for _, length in windows_seen(model, [text_of(5000)]))

    unlimited = nothing_computed(config=SimpleNamespace(vocab_size=23))
    assert (longest(tiny_model()), longest(tiny_model(context=32_000)), longest(unlimited)) == (48, 2048, 2048)
    assert windows_seen(tiny_model(context=32_000), [text_of(5000)], window=4000)[0] == (1, 4000)


@pytest.mark.parametrize("window", [2, 3, 9, 48])
def test_the_default_stride_is_half_a_window(model, window):
    ids = [0] + [LETTERS.index(c) + 1 for c in TEXTS[1]]
    found = perplexity(model, letters(), [TEXTS[1]], window=window).nll
    assert found == pytest.approx(sum(brute_force_nll(model, ids, window, window // 2)), rel=1e-5)


def test_batches_have_512_tokens_or_the_rows_that_are_asked_for(model):
    texts = [text_of(15, seed=i) for i in range(70)]
    assert windows_seen(model, texts) == [(32, 16), (32, 16), (6, 16)]
    assert windows_seen(model, texts, batch_size=60) == [(60, 16), (10, 16)]
    assert windows_seen(tiny_model(context=1000), [text_of(700)] * 2, window=600)[0] == (1, 600)
    spans = [(row, 0, 16, 15) for row in range(600)]
    assert [len(batch) for batch in scoring._batches(spans, None, torch.device("cuda"))] == [512, 88]  # 8192 tokens


@pytest.mark.parametrize("side", ["left", "right"])
def test_many_tokens_keep_their_order_beside_the_padding(model, side):
    """Con pocos, cualquier manera de ordenar los deja como estaban."""
    rows = [torch.randint(1, 23, (n,), generator=torch.Generator().manual_seed(n)) for n in (47, 30, 18)]
    ids, mask = torch.zeros(3, 47, dtype=torch.long), torch.zeros(3, 47, dtype=torch.long)
    for k, row in enumerate(rows):
        where = slice(47 - len(row), 47) if side == "left" else slice(0, len(row))
        ids[k, where], mask[k, where] = row, 1
    scores = token_logprobs(model, ids, mask)
    for row, found in zip(rows, scores, strict=True):
        kept = found[len(found) + 1 - len(row) :] if side == "left" else found[: len(row) - 1]
        torch.testing.assert_close(kept, brute_force(model, row), atol=1e-4, rtol=1e-4)
        assert found.count_nonzero() == len(row) - 1


def test_long_windows_go_first_and_those_that_score_the_same_together(model, monkeypatch):
    seen, batches = [], scoring._batches
    monkeypatch.setattr(scoring, "_batches", lambda spans, *rest: seen.extend(spans) or batches(spans, *rest))
    texts = [text_of(n, seed=n) for n in (5, 40, 12, 23)]
    options = {"window": 12, "stride": 4}
    found = perplexity(model, letters(), texts, batch_size=3, **options)
    order = [(end - begin, new) for _, begin, end, new in seen]
    assert order == sorted(order, key=lambda pair: (-pair[0], pair[1])) and len(set(order)) > 3
    alone = [perplexity(model, letters(), [text], batch_size=1, **options).nll for text in texts]
    assert [part.nll for part in found.per_text] == pytest.approx(alone, rel=1e-5)


# ---------------------------------------------------------------- lo que no vale
@pytest.mark.parametrize("last", [0, 3, 1.0, True])
def test_bad_last(model, last):
    with pytest.raises(ValueError, match=r"last debe ser un entero entre 1 y T - 1, 2, y es"):
        token_logprobs(model, torch.tensor([[1, 2, 3]]), last=last)


def test_uniform_model_gives_minus_log_v():
    def uniform(input_ids, **kwargs):
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 8))

    scores = token_logprobs(uniform, torch.tensor([[1, 5, 7]]))
    torch.testing.assert_close(scores, torch.full((1, 2), -math.log(8)))


def test_no_gradient_and_same_mode(model):
    scores = token_logprobs(model, torch.tensor([[1, 2, 3]]))
    assert not scores.requires_grad and not model.training


@pytest.mark.parametrize(
    ("ids", "mask", "message"),
    [
        ("hola", None, r"Esperaba ids.*'hola'.*tokenizer"),
        (torch.tensor([1, 2]), None, r"\(2,\)"),
        (torch.tensor([[1]]), None, r"\(1, 1\).*EOS"),
        (torch.empty(1, 0), None, r"\(1, 0\)"),
        (torch.tensor([[1, 23]]), None, r"vocabulario.*mayor 23"),
        (torch.ones(1, 49, dtype=torch.long), None, r"49 tokens.*48"),
        (torch.empty(0, 3, dtype=torch.long), None, r"\(0, 3\)"),
        (torch.ones(1, 3), None, r"enteros \(int64\).*float32"),
        (torch.tensor([[1, 2]]), [[1, 1]], r"attention_mask.*list"),
        (torch.tensor([[1, 2]]), torch.ones(1, 3), r"attention_mask.*\(1, 3\)"),
        (torch.tensor([[1, 2]]).to("meta"), None, r"modelo está en cpu y los ids en meta"),
    ],
)
def test_bad_input(model, ids, mask, message):
    if isinstance(ids, torch.Tensor) and ids.device.type == "meta":

        def model(*args, **kwargs):
            raise AssertionError("se ha calculado algo antes de validar")

        model.device = torch.device("cpu")
    with pytest.raises(ValueError, match=message):
        token_logprobs(model, ids, mask)


# ---------------------------------------------------------------- sequence_logprob
def fill(rows, side, pad=0):
    """Filas de ids de distinta longitud → ids y máscara, (B, T), con el relleno en el lado pedido."""
    longest = max(map(len, rows))
    ids, mask = torch.full((len(rows), longest), pad), torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(longest - len(row), None) if side == "left" else slice(0, len(row))
        ids[i, where], mask[i, where] = torch.tensor(row), 1
    return ids, mask


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(0, 22), min_size=3, max_size=14), min_size=1, max_size=4),
    side=st.sampled_from(["left", "right"]),
    prompt_length=st.integers(1, 2),
)
def test_sequence_logprob_sums_every_token_after_the_prompt(rows, side, prompt_length):
    model = tiny_model()
    ids, mask = fill(rows, side, pad=7)
    scores = sequence_logprob(model, ids, prompt_length=prompt_length, attention_mask=mask)
    expected = [brute_force(model, torch.tensor(row))[prompt_length - 1 :].sum() for row in rows]
    torch.testing.assert_close(scores, torch.stack(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_without_prompt_the_first_token_counts_too(mini, side):
    model, tokenizer = mini
    rows = tokenizer(["Había una vez un rey.", "No."]).input_ids
    ids, mask = fill(rows, side, pad=tokenizer.pad_token_id)
    expected = [brute_force(model, torch.tensor([model.config.bos_token_id, *row])).sum() for row in rows]
    got = sequence_logprob(model, ids, attention_mask=mask)
    torch.testing.assert_close(got, torch.stack(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_sequence_logprobs_of_all_continuations_add_up_to_one(length):
    model = tiny_model(vocab=3)
    model.config.bos_token_id = 1
    prompt = [1] * length
    every = torch.tensor([[*prompt, a, b, c] for a in range(3) for b in range(3) for c in range(3)])
    try:
        total = sequence_logprob(model, every, prompt_length=length).exp().sum().item()
    finally:
        model.config.bos_token_id = None
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        ([[1, 2, 3]], {}, r"el modelo no tiene BOS ni EOS.*prompt_length"),
        ([[1, 2, 3]], {"prompt_length": 3}, r"menor que los tokens de la fila más corta \(3\).*es 3"),
        ([[1, 2, 3]], {"prompt_length": -1}, r"es -1"),
        ([[1, 2, 3]], {"prompt_length": 1.0}, r"es 1\.0"),
        ([[1, 2, 3]], {"prompt_length": 2, "attention_mask": torch.tensor([[0, 1, 1]])}, r"fila más corta \(2\)"),
        ([[1, 99]], {"prompt_length": 1}, r"vocabulario"),
    ],
)
def test_sequence_logprob_bad_input(model, ids, options, message):
    with pytest.raises(ValueError, match=message):
        sequence_logprob(model, torch.tensor(ids), **options)


# ---------------------------------------------------------------- perplexity
def brute_force_nll(model, ids, window, stride, start=()):
    """Una pasada por token: su contexto empieza donde la primera ventana que lo alcanza, tras ``start`` si lo hay.

    Sin ``start``, el primero no tiene contexto y no se puntúa.
    """
    step = min(stride, window - 1)  # si la ventana avanza entera, repite un token como contexto, o el inicial
    room, first = window - len(start), 1 - len(start)
    begins = {t: step * max(0, math.ceil((t - room + 1) / step)) for t in range(first, len(ids))}
    by_length = {}  # los prefijos igual de largos van juntos, cada uno en su fila: así la prueba tarda menos
    for t, begin in begins.items():
        by_length.setdefault(t - begin, []).append(t)
    scores = {}
    for length, places in by_length.items():
        with torch.no_grad():
            rows = torch.tensor([[*start, *ids[t - length : t]] for t in places])
            last = model(rows).logits[:, -1].log_softmax(-1)
        scores |= {t: -row[ids[t]].item() for t, row in zip(places, last, strict=True)}
    return [scores[t] for t in range(first, len(ids))]


def assert_equals_brute_force(n, window, stride, start, every=False):
    model, text = tiny_model(), text_of(n)
    ids = [LETTERS.index(c) + 1 for c in text]
    expected = brute_force_nll(model, ids if every else [0] * start + ids, window, stride, [0] * every)
    options = {"add_start_token": start, "start_every_window": every, "batch_size": 3}
    found = perplexity(model, letters(), [text], window=window, stride=stride, **options)
    assert found.n_tokens == len(expected) == n - 1 + start and found.n_chars == n
    assert found.nll == pytest.approx(sum(expected), abs=1e-4 * len(expected))
    assert found.value == pytest.approx(math.exp(sum(expected) / len(expected)), rel=1e-4)


@st.composite
def window_and_stride(draw):
    window = draw(st.integers(2, 48))
    return window, draw(st.integers(1, window))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 110), sizes=window_and_stride(), start=st.sampled_from(["no", "una vez", "siempre"]))
def test_equals_one_pass_per_prefix_for_any_window_and_stride(n, sizes, start):
    assert_equals_brute_force(n, *sizes, start != "no", start == "siempre")


@pytest.mark.parametrize(
    ("n", "window", "stride"),
    [
        (1, 48, 24),  # un solo token
        (47, 48, 24),  # cabe justo, con el inicial
        (48, 48, 24),  # ya no cabe
        (48, 48, 48),
        (95, 48, 47),
        (96, 48, 48),
        (2000, 48, 24),
        (2000, 48, 48),
        (1999, 7, 3),
        (1000, 2, 1),
    ],
)
@pytest.mark.parametrize("every", [False, True])
def test_equals_one_pass_per_prefix_at_the_edges_and_in_long_texts(n, window, stride, every):
    assert_equals_brute_force(n, window, stride, True, every)


def fussy(input_ids, **kwargs):
    """Como un modelo entrenado siempre con BOS: con él (el 0) delante acierta casi siempre; sin él no sabe nada."""
    knows = torch.nn.functional.one_hot(input_ids.roll(-1, 1), 23) * 5.0
    return SimpleNamespace(logits=torch.where((input_ids[:, :1] == 0)[..., None], knows, 0.0))


@pytest.mark.parametrize(
    ("adds_start", "options", "every"),
    [
        (True, {}, True),  # Llama, Gemma…
        (False, {}, False),  # GPT-2, el del curso
        (False, {"start_every_window": True}, True),
        (True, {"start_every_window": False}, False),
    ],
)
def test_models_trained_with_a_bos_find_it_in_every_window(adds_start, options, every):
    """Gemma 3 270M con ventana 16 y avance 8: 1022,8 con el BOS solo en la primera; 33,4 con él en todas."""
    tokenizer, text = letters(adds_start=adds_start), text_of(300)
    found = perplexity(fussy, tokenizer, [text], window=16, stride=8, **options)
    knows = 1 + 22 * math.exp(-5)  # uno con logit 5 y 22 con 0
    blind = 0 if every else 300 - 15  # los que puntúan las ventanas que siguen a la primera
    assert found.n_tokens == 300
    assert found.nll == pytest.approx((300 - blind) * math.log(knows) + blind * math.log(23), rel=1e-5)


def test_without_a_start_token_no_window_has_one():
    ids = letters(adds_start=True)(TEXTS[1], add_special_tokens=False).input_ids
    found = perplexity(tiny_model(), letters(adds_start=True), [TEXTS[1]], window=9, stride=4, add_start_token=False)
    assert found.nll == pytest.approx(sum(brute_force_nll(tiny_model(), ids, 9, 4)), rel=1e-5)


def test_the_embedded_model_does_not_repeat_its_start(mini):
    """La cifra de su ficha se midió así."""
    text = "Llegó a la venta cuando anochecía. " * 40
    found, once = (perplexity(*mini, [text], start_every_window=option) for option in (None, False))
    assert found == once != perplexity(*mini, [text], start_every_window=True)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 300), sizes=window_and_stride(), batch_size=st.integers(1, 5), every=st.booleans())
def test_each_token_is_scored_exactly_once(n, sizes, batch_size, every):
    text, seen = text_of(n, seed=n), []

    def weigh(model, ids, last):  # cada token «cuesta» su id al cubo: repetir uno y olvidar otro se nota
        seen.append(ids.shape)
        return -(ids[:, -last:].double() ** 3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "token_logprobs", weigh)
        options = {"window": sizes[0], "stride": sizes[1], "batch_size": batch_size, "start_every_window": every}
        found = perplexity(tiny_model(), letters(), [text], **options)
    assert found.nll == sum((LETTERS.index(c) + 1) ** 3 for c in text) and found.n_tokens == n
    assert all(length <= sizes[0] and rows <= batch_size for rows, length in seen)


@settings(max_examples=15, deadline=None)
@given(batch_size=st.integers(1, 12), order=st.permutations(range(len(TEXTS))), side=st.sampled_from(["left", "right"]))
def test_batch_size_order_and_padding_side_change_nothing(batch_size, order, side):
    model, alone = tiny_model(), [perplexity(tiny_model(), letters(), [text], batch_size=1) for text in TEXTS]
    found = perplexity(model, letters(side), [TEXTS[i] for i in order], batch_size=batch_size)
    for i, part in zip(order, found.per_text, strict=True):
        assert part.nll == pytest.approx(alone[i].nll, rel=1e-5)
        assert (part.n_tokens, part.n_chars) == (alone[i].n_tokens, alone[i].n_chars)
    assert found.value == pytest.approx(sum(alone).value, rel=1e-5)


def test_texts_can_be_any_iterable(model):
    assert perplexity(model, letters(), (text for text in TEXTS)) == perplexity(model, letters(), tuple(TEXTS))


def test_padding_of_real_text_does_not_count(mini):
    texts = ["Sí.", "Llegó a la venta cuando anochecía, y pidió de cenar; no había más que truchuelas."]
    together = perplexity(*mini, texts)
    for text, part in zip(texts, together.per_text, strict=True):
        ids = torch.tensor([mini[1].eos_token_id, *mini[1](text).input_ids])
        assert part.nll == pytest.approx(-brute_force(mini[0], ids).sum().item(), rel=1e-5)


def test_pooled_corpora_equal_one_pass(model):
    left, right = (perplexity(model, letters(), part) for part in (TEXTS[:4], TEXTS[4:]))
    whole, pooled = perplexity(model, letters(), TEXTS), left + right
    assert pooled.nll == pytest.approx(whole.nll, rel=1e-6) and pooled.value == pytest.approx(whole.value, rel=1e-6)
    assert (pooled.n_tokens, pooled.n_chars, len(pooled.per_text)) == (whole.n_tokens, whole.n_chars, len(TEXTS))
    assert sum([left, right]) == pooled and sum(whole.per_text).per_text == whole.per_text
    with pytest.raises(TypeError):
        left + 1


def test_known_distributions():
    def known(input_ids, **kwargs):
        probs = torch.tensor([0.5, 0.25, 0.125, 0.125])  # el inicial, a, b, c
        return SimpleNamespace(logits=probs.log().expand(*input_ids.shape, 4))

    found = perplexity(known, letters(), ["aab", "c"], window=2, stride=1)
    assert found.nll == pytest.approx(math.log(4) * 2 + math.log(8) * 2)
    assert found.value == pytest.approx(2 ** (10 / 4)) and found.bits_per_char == pytest.approx(10 / 4)
    assert [p.value for p in found.per_text] == pytest.approx([2 ** (7 / 3), 8])
    assert Perplexity(nll=3 * math.log(7), n_tokens=3, n_chars=1).value == pytest.approx(7)


def test_memory_is_one_batch_however_long_the_text(model):
    def peak(n):
        options = {"window": 48, "stride": 24, "batch_size": 2}
        return peak_of_tensors(lambda: perplexity(model, letters(), [text_of(n)], **options))

    short, long = peak(100), peak(2000)
    assert short > 2 * 48 * 23 * 4 and long <= short * 1.05


def test_model_and_randomness_stay_as_they_were(model, capsys):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    perplexity(model, letters(), TEXTS)
    assert torch.equal(before, torch.get_rng_state()) and not model.training
    assert capsys.readouterr().err == ""
    perplexity(model, letters(), TEXTS, progress=True)
    assert "puntuar" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no hay GPU")
def test_gpu_gives_the_same():
    import copy

    gpu = copy.deepcopy(tiny_model()).to("cuda")
    assert perplexity(gpu, letters(), TEXTS).nll == pytest.approx(
        perplexity(tiny_model(), letters(), TEXTS).nll, rel=1e-4
    )


def without_start():
    tokenizer = letters()
    tokenizer.bos_token = None
    return tokenizer


@pytest.mark.parametrize(("texts", "options", "message"), BAD_CORPUS)
def test_bad_corpus_is_refused_before_computing(texts, options, message):
    with pytest.raises(ValueError, match=message):
        perplexity(nothing_computed(), letters(), texts, **options)


def test_bad_model_or_tokenizer_is_refused_before_computing():
    with pytest.raises(ValueError, match=r"tokenizador no tiene BOS ni EOS.*add_start_token=False"):
        perplexity(nothing_computed(), without_start(), ["abc"])
    with pytest.raises(ValueError, match=r"modo entrenamiento.*model\.eval"):
        perplexity(nothing_computed(training=True), letters(), ["abc"])
    small = SimpleNamespace(vocab_size=5, max_position_embeddings=48)
    with pytest.raises(ValueError, match=r"fuera del vocabulario \(de 0 a 4\).*mayor 22.*tokenizador"):
        perplexity(nothing_computed(config=small), letters(), ["abv"])
    with pytest.raises(ValueError, match=r"Esperaba un modelo.*'decoder'.*load_model"):
        perplexity("decoder", letters(), ["abc"])
