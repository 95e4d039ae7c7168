"""Las medidas de los modelos mini, contra la fuerza bruta y cuentas hechas a mano."""

import math

import numpy as np
import pyppmd
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from course_utils import scoring
from tools.training import evaluate


@pytest.fixture(scope="module")
def tiny_encoder():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=4096, max_position_embeddings=22, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, type_vocab_size=1, initializer_range=0.5, pad_token_id=1,
    )  # fmt: skip
    return BertForMaskedLM(config).eval()


@pytest.fixture(scope="module")
def tiny_decoder():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=4096, n_positions=20, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5)
    return GPT2LMHeadModel(config).eval()


# ---------------------------------------------------------------- anclas
TRAIN = "En la torre vieja del castillo vivía una lechuza que contaba las horas. " * 40


def test_ppmd_is_a_real_compressor_and_reading_before_helps():
    text = "En la torre vieja vivía otra lechuza; contaba despacio las horas del castillo."
    primed, alone = evaluate.ppmd_bits(TRAIN, [text], memory=1 << 24), evaluate.ppmd_bits("", [text], memory=1 << 24)
    assert primed < 0.7 * alone
    encoder, decoder = pyppmd.Ppmd7Encoder(8, 1 << 24), pyppmd.Ppmd7Decoder(8, 1 << 24)
    whole = (TRAIN + text).encode()
    data = encoder.encode(whole) + encoder.flush()
    assert decoder.decode(data, len(whole)) == whole  # los bytes que se cuentan bastan para recuperar el texto
    before = pyppmd.Ppmd7Encoder(8, 1 << 24)
    expected = 8 * (len(data) - len(before.encode(TRAIN.encode()))) / len(text)
    assert primed == pytest.approx(expected)


def test_ppmd_texts_do_not_see_each_other():
    text = "Una frase cualquiera, que se repite entera y tal cual."
    once, twice = (evaluate.ppmd_bits(TRAIN, [text] * n, memory=1 << 24) for n in (1, 2))
    assert once == pytest.approx(twice)


def test_xz_counts_what_the_text_adds():
    assert evaluate.xz_bits(TRAIN, [TRAIN]) < 0.1 < evaluate.xz_bits("", [TRAIN])
    noise = "".join(map(chr, np.random.default_rng(0).integers(33, 127, 4000)))
    assert evaluate.xz_bits("", [noise]) > math.log2(94)


def test_unigram_by_hand():
    # cuentas 3, 1, 0 y una de más por tipo: 4/7, 2/7, 1/7
    bits = evaluate.unigram_bits(np.array([0, 0, 0, 1]), np.array([0, 2]), n_chars=5, vocab_size=3)
    assert bits == pytest.approx((math.log2(7 / 4) + math.log2(7)) / 5)


# ---------------------------------------------------------------- bits por carácter
def brute_force_bits(model, tokenizer, text):
    """Un token cada vez, con todo el contexto que cabe."""
    ids, total = [tokenizer.eos_token_id, *tokenizer(text).input_ids], 0.0
    for t in range(1, len(ids)):
        start = max(0, t - model.config.n_positions + 1)
        with torch.no_grad():
            total -= model(torch.tensor([ids[start:t]])).logits[0, -1].log_softmax(-1)[ids[t]].item()
    return total / math.log(2) / len(text)


def test_bits_per_char_of_a_short_text_is_exact(mini):
    text = "Llegó a la venta cuando anochecía, y pidió de cenar; el ventero le dijo que no había más que truchuelas."
    assert evaluate.perplexity(*mini, [text]).bits_per_char == pytest.approx(brute_force_bits(*mini, text), rel=1e-4)
    twice = evaluate.perplexity(*mini, [text, text]).bits_per_char
    assert twice == pytest.approx(evaluate.perplexity(*mini, [text]).bits_per_char, rel=1e-6)


def test_bits_per_char_of_a_long_text_uses_at_least_half_a_context(tiny_decoder, mini):
    _, tokenizer = mini
    text = "".join(f"{n}. El caballo blanco corría por la llanura. " for n in range(1, 9))
    ids = torch.tensor([tokenizer.eos_token_id, *tokenizer(text).input_ids])
    total = 0.0
    with torch.no_grad():
        for t in range(1, len(ids)):
            start = 0 if t < 20 else 10 * ((t - 20) // 10 + 1)
            total -= tiny_decoder(ids[None, start:t]).logits[0, -1].log_softmax(-1)[ids[t]].item()
    assert len(ids) > 4 * 20
    result = evaluate.perplexity(tiny_decoder, tokenizer, [text], batch_size=3)
    assert result.bits_per_char == pytest.approx(total / math.log(2) / len(text), rel=1e-4)


def test_every_token_is_scored_once(monkeypatch, mini):
    model, tokenizer = mini

    def bit(model, batch, last):
        return torch.full((batch.size(0), last), -math.log(2))

    monkeypatch.setattr(scoring, "token_logprobs", bit)
    for text in ["corto", "El caballo blanco. " * 200, "a" * 1024]:
        n = len(tokenizer(text).input_ids)
        assert evaluate.perplexity(model, tokenizer, [text]).bits_per_char == pytest.approx(n / len(text))


# ---------------------------------------------------------------- aciertos
def test_masks_are_always_the_same_and_15_per_cent():
    windows = evaluate.masked_windows(1000, 254, work=2)
    again = evaluate.masked_windows(1000, 254, work=2)
    assert [s for s, _ in windows] == [0, 254, 508, 762]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(windows, again, strict=True))
    assert [len(h) for _, h in windows] == [38, 38, 38, 36]
    assert all(len(set(h)) == len(h) and h.min() >= 0 and h.max() < 254 for _, h in windows)
    assert not np.array_equal(windows[0][1], evaluate.masked_windows(1000, 254, work=3)[0][1])


def test_single_masks_are_three_per_window_and_always_the_same():
    windows = evaluate.single_windows(600, 254, work=1)
    assert [s for s, _ in windows] == [0] * 3 + [254] * 3 + [508] * 3 and all(len(h) == 1 for _, h in windows)
    assert len({s + h[0] for s, h in windows}) == 9 and max(h[0] for s, h in windows if s == 508) < 92
    again = evaluate.single_windows(600, 254, work=1)
    assert [h[0] for _, h in windows] == [h[0] for _, h in again]


@pytest.mark.parametrize("n", [7, 20, 93])
@pytest.mark.parametrize("windows_of", [lambda e: e.masked_windows, lambda e: e.single_windows], ids=["15 %", "una"])
def test_encoder_ranks_equal_one_window_at_a_time(tiny_encoder, mini, n, windows_of):
    _, tokenizer = mini
    ids = np.random.default_rng(n).integers(5, 4096, n).astype(np.uint16)
    windows = windows_of(evaluate)(n, 20, 0)
    positions, ranks = evaluate.encoder_ranks(tiny_encoder, tokenizer, ids, windows, batch_size=3)
    expected = {}
    for start, hidden in windows:
        tokens = ids[start : start + 20].astype(np.int64)
        seen = tokens.copy()
        seen[hidden] = tokenizer.mask_token_id
        with torch.no_grad():
            logits = tiny_encoder(torch.tensor([[tokenizer.cls_token_id, *seen, tokenizer.sep_token_id]])).logits[0]
        for h in hidden:
            order = logits[h + 1].argsort(descending=True).tolist()
            expected[start + h] = order.index(tokens[h])
    assert dict(zip(positions.tolist(), ranks.tolist(), strict=True)) == expected


@pytest.mark.parametrize("n", [1, 19, 20, 57])
def test_decoder_ranks_equal_one_token_at_a_time(tiny_decoder, mini, n):
    _, tokenizer = mini
    ids = np.random.default_rng(n).integers(5, 4096, n).astype(np.uint16)
    whole = [tokenizer.eos_token_id, *ids.tolist()]
    ranks = evaluate.decoder_ranks(tiny_decoder, tokenizer, ids)
    assert len(ranks) == n
    for t in range(n):
        start = 0 if t < 20 else 10 * ((t - 20) // 10 + 1)  # la primera ventana que llega hasta aquí
        with torch.no_grad():
            logits = tiny_decoder(torch.tensor([whole[start : t + 1]])).logits[0, -1]
        assert ranks[t] == logits.argsort(descending=True).tolist().index(ids[t])
        assert t < 20 or t + 1 - start >= 10


def test_accuracy_by_hand():
    assert evaluate.accuracy(np.array([0, 4, 5, 0])) == {"top1": 0.5, "top5": 0.75}


# ---------------------------------------------------------------- muestras
def test_samples_are_reproducible_and_long_enough(mini):
    model, tokenizer = mini
    text = "El ventero, que no conocía a don Quijote, tan admirado le tenía su locura como su buen humor. " * 12
    prompts, real = evaluate.starts(tokenizer, [text + "\n" + text], 3, prompt=8, continuation=20)
    assert [len(p) for p in prompts] == [8] * 3 and [len(r) for r in real] == [20] * 3
    first, again = (evaluate.sample_continuations(model, tokenizer, prompts) for _ in range(2))
    assert first == again and len({tuple(c) for c in first}) == 3 and len(first[0]) == 100
    with pytest.raises(ValueError, match="Ningún párrafo"):
        evaluate.starts(tokenizer, ["corto"], 3, prompt=8, continuation=20)


# ---------------------------------------------------------------- según lo leído
def test_characters_are_counted_where_they_begin(mini):
    tokenizer = mini[1]
    counts = evaluate.characters(tokenizer)
    for text in ("¿Qué ñandú? —dijo.\n", "🐧 y «señor»", "a"):
        assert counts[tokenizer(text).input_ids].sum() == len(text)
    assert counts[tokenizer.eos_token_id] == len("<|endoftext|>")  # no sale en las obras


def test_the_bits_of_each_window_are_those_of_reading_it_alone(mini, tiny_decoder):
    works = [np.arange(5, 42), np.arange(100, 118), np.arange(7, 12)]
    tokens, bits = evaluate.window_bits(tiny_decoder, mini[1], works, width=9, batch_size=2)
    assert tokens[:, 0].tolist() == [5, 14, 23, 32, 100, 109] and tokens.shape == bits.shape == (6, 9)
    for row, found in zip(tokens, bits, strict=True):
        alone = torch.tensor([[mini[1].eos_token_id, *row.tolist()]])
        expected = -scoring.token_logprobs(tiny_decoder, alone)[0] / math.log(2)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_each_stretch_is_bits_between_characters_with_a_paired_interval():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 4, (40, 7))
    bits = {"decoder": rng.random((40, 7)) * 5, "otro": np.empty((40, 7))}
    bits["otro"] = bits["decoder"] + 2.0 * counts  # dos bits más por carácter, siempre
    first, second = evaluate.by_position(bits, counts, stretches=((1, 1), (4, 7)))
    assert second["tramo"] == [4, 7] and first["decoder"][0] == pytest.approx(
        bits["decoder"][:, 0].sum() / counts[:, 0].sum()
    )
    for row in (first, second):
        assert row["diferencia"] == pytest.approx([2, 2, 2])  # se sortean los mismos trozos para los dos
        value, low, high = row["decoder"]
        assert low < value < high and high - low < 1.5
