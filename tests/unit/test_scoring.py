"""Puntuar, frente a una pasada por prefijo y frente a distribuciones conocidas."""

import math
from types import SimpleNamespace

import pytest
import torch
from conftest import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decoding_parity import peak_of_tensors
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from course_utils import scoring
from course_utils.scoring import Perplexity, perplexity, sequence_logprob, token_logprobs


def brute_force(model, ids):
    """log P(y_t | y_<t) con una pasada del modelo por cada prefijo: (T,) -> (T - 1,)."""
    with torch.no_grad():
        return torch.stack([model(ids[None, :t]).logits[0, -1].log_softmax(-1)[ids[t]] for t in range(1, len(ids))])


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
    found = token_logprobs(model, ids, mask, last=last)
    hook.remove()
    torch.testing.assert_close(found, token_logprobs(model, ids, mask)[:, -last:], atol=1e-5, rtol=1e-5)
    assert sizes == [last + 1]


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
LETTERS = "abcdefghijklmnopqrstuv"


def letters(padding_side="right"):
    """Un token por letra, 23 con el inicial, y sin token de relleno."""
    core = Tokenizer(models.WordLevel({"<s>": 0} | {c: i for i, c in enumerate(LETTERS, 1)}, unk_token="<s>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", padding_side=padding_side)


def text_of(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return "".join(LETTERS[i] for i in torch.randint(0, 22, (n,), generator=generator).tolist())


def brute_force_nll(model, ids, window, stride):
    """Una pasada por token, (T - 1,): su contexto empieza donde la primera ventana que lo alcanza."""
    step = min(stride, window - 1)  # si la ventana avanza entera, repite un token como contexto
    begins = {t: step * max(0, math.ceil((t - window + 1) / step)) for t in range(1, len(ids))}
    by_length = {}  # los prefijos igual de largos van juntos, cada uno en su fila: así la prueba tarda menos
    for t, begin in begins.items():
        by_length.setdefault(t - begin, []).append(t)
    scores = {}
    for length, places in by_length.items():
        with torch.no_grad():
            last = model(torch.tensor([ids[t - length : t] for t in places])).logits[:, -1].log_softmax(-1)
        scores |= {t: -row[ids[t]].item() for t, row in zip(places, last, strict=True)}
    return [scores[t] for t in range(1, len(ids))]


def assert_equals_brute_force(n, window, stride, start):
    model, text = tiny_model(), text_of(n)
    ids = [0] * start + [LETTERS.index(c) + 1 for c in text]
    expected = brute_force_nll(model, ids, window, stride)
    found = perplexity(model, letters(), [text], window=window, stride=stride, add_start_token=start, batch_size=3)
    assert found.n_tokens == len(expected) == n - 1 + start and found.n_chars == n
    assert found.nll == pytest.approx(sum(expected), abs=1e-4 * len(expected))
    assert found.value == pytest.approx(math.exp(sum(expected) / len(expected)), rel=1e-4)


@st.composite
def window_and_stride(draw):
    window = draw(st.integers(2, 48))
    return window, draw(st.integers(1, window))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 110), sizes=window_and_stride(), start=st.booleans())
def test_equals_one_pass_per_prefix_for_any_window_and_stride(n, sizes, start):
    assert_equals_brute_force(n, *sizes, start)


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
def test_equals_one_pass_per_prefix_at_the_edges_and_in_long_texts(n, window, stride):
    assert_equals_brute_force(n, window, stride, True)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 300), sizes=window_and_stride(), batch_size=st.integers(1, 5))
def test_each_token_is_scored_exactly_once(n, sizes, batch_size):
    text, seen = text_of(n, seed=n), []

    def weigh(model, ids, last):  # cada token «cuesta» su id al cubo: repetir uno y olvidar otro se nota
        seen.append(ids.shape)
        return -(ids[:, -last:].double() ** 3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "token_logprobs", weigh)
        found = perplexity(tiny_model(), letters(), [text], window=sizes[0], stride=sizes[1], batch_size=batch_size)
    assert found.nll == sum((LETTERS.index(c) + 1) ** 3 for c in text) and found.n_tokens == n
    assert all(length <= sizes[0] and rows * length <= batch_size * sizes[0] for rows, length in seen)


TEXTS = [text_of(n, seed=n) for n in (1, 90, 3, 47, 48, 49, 12, 12, 200, 5)]


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


def nothing_computed(**attributes):
    """Un modelo que falla si se le llama: la comprobación tiene que ir antes."""

    def model(*args, **kwargs):
        raise AssertionError("se ha calculado algo antes de validar")

    model.config = SimpleNamespace(vocab_size=23, max_position_embeddings=48)
    vars(model).update(attributes)
    return model


def without_start():
    tokenizer = letters()
    tokenizer.bos_token = None
    return tokenizer


BAD_CORPUS = [
    ([], {}, r"al menos un texto.*\[\]"),
    (None, {}, r"al menos un texto.*None"),
    ("abc", {}, r"al menos un texto.*'abc'.*\[texto\]"),
    (["abc", 3], {}, r"al menos un texto"),
    (["abc", ""], {}, r"texto 1, '', da 0 tokens.*Quítalo\."),
    (["a"], {"add_start_token": False}, r"texto 0, 'a', da 1 tokens.*add_start_token=True"),
    (["abc"], {"window": 49}, r"window.*contexto del modelo, 48, y es 49"),
    (["abc"], {"window": 1}, r"window.*es 1"),
    (["abc"], {"window": 10, "stride": 11}, r"stride.*la ventana, 10.*Es 11"),
    (["abc"], {"stride": 49}, r"stride.*la ventana, 48.*Es 49"),
    (["abc"], {"stride": 0}, r"stride.*Es 0"),
    (["abc"], {"stride": 2.5}, r"stride.*Es 2\.5"),
    (["abc"], {"batch_size": 0}, r"batch_size.*es 0"),
    (["abc"], {"batch_size": True}, r"batch_size.*es True"),
]


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
    with pytest.raises(ValueError, match=r"id 22 no está en el vocabulario del modelo \(5\)"):
        perplexity(nothing_computed(config=small), letters(), ["abv"])
