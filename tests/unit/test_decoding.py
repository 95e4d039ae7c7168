"""Piezas sueltas de la decodificación frente a verdades hechas a mano, y entradas que se rechazan."""

import math
from functools import partial
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from course_utils import decoding as d
from course_utils.scoring import token_logprobs

PROBS = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.1, 0.1, 0.2, 0.6]])
IDS = torch.tensor([[0, 1, 2], [3, 3, 0]])
PROMPT = torch.tensor([[4, 9, 1]])


def after(transform, probs=PROBS, ids=IDS):
    return transform(probs.log(), ids).softmax(-1)


# ---------------------------------------------------------------- transformaciones: distribuciones a mano
def test_temperature_is_a_power_of_the_probabilities():
    expected = PROBS**2 / (PROBS**2).sum(-1, keepdim=True)  # softmax(log p / 0.5) ∝ p²
    torch.testing.assert_close(after(d.temperature(0.5)), expected)


def test_top_k_keeps_the_best_and_the_ties():
    torch.testing.assert_close(after(d.top_k(2)), torch.tensor([[0.625, 0.375, 0, 0], [0, 0, 0.25, 0.75]]))
    tied = after(d.top_k(3))[1]
    torch.testing.assert_close(tied, torch.tensor([0.1, 0.1, 0.2, 0.6]))


@pytest.mark.parametrize(
    ("p", "kept"),
    [
        (0.4, [[1, 0, 0, 0], [0, 0, 0, 1]]),
        (0.6, [[1, 1, 0, 0], [0, 0, 0, 1]]),
        (0.79, [[1, 1, 0, 0], [0, 0, 1, 1]]),
        (0.9, [[1, 1, 1, 0], [1, 0, 1, 1]]),
        (1.0, [[1, 1, 1, 1], [1, 1, 1, 1]]),
    ],
)
def test_top_p_keeps_the_smallest_nucleus(p, kept):
    alive = (after(d.top_p(p)) > 0).int().tolist()
    assert alive[0] == kept[0] and sum(alive[1]) == sum(kept[1])  # con empates, cuál se va da igual


def test_top_p_always_keeps_the_best():
    assert (after(d.top_p(1e-9)) > 0).tolist() == [[True, False, False, False], [False, False, False, True]]


@settings(deadline=None, max_examples=60, derandomize=True, database=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=9, unique=True), st.floats(0.05, 0.99))
def test_top_p_equals_brute_force(weights, p):
    probs = torch.tensor([weights], dtype=torch.float64)
    probs /= probs.sum()
    kept = after(d.top_p(p), probs, torch.zeros(1, 1, dtype=torch.long))[0] > 0
    order, total, expected = probs[0].argsort(descending=True).tolist(), 0.0, set()
    for token in order:
        expected.add(token)
        total += probs[0, token].item()
        if total > p - 1e-9:
            break
    assert set(kept.nonzero().flatten().tolist()) == expected


def test_min_p_is_relative_to_the_best():
    assert (after(d.min_p(0.3)) > 0).tolist() == [[True, True, True, False], [False, False, True, True]]
    assert (after(d.min_p(1.0)) > 0).sum().item() == 2


def test_repetition_penalty_by_hand():
    logits = torch.tensor([[2.0, -2.0, 4.0, 1.0]])
    ids = torch.tensor([[0, 1, 1]])
    assert d.repetition_penalty(2.0)(logits, ids).tolist() == [[1.0, -4.0, 4.0, 1.0]]
    mask = torch.tensor([[0, 1, 1]])  # el 0 del principio es relleno: no cuenta
    assert d.repetition_penalty(2.0)(logits, ids, mask).tolist() == [[2.0, -4.0, 4.0, 1.0]]


@pytest.mark.parametrize(
    ("n", "ids", "banned"),
    [(1, [1, 3], {1, 3}), (2, [1, 2, 1], {2}), (2, [1, 2, 3], set()), (3, [0, 1, 2, 0, 1], {2}), (3, [0, 1], set())],
)
def test_no_repeat_ngram_by_hand(n, ids, banned):
    out = d.no_repeat_ngram(n)(torch.zeros(1, 4), torch.tensor([ids]))
    assert {i for i in range(4) if out[0, i] == -math.inf} == banned


@pytest.mark.parametrize(
    "transform",
    [d.temperature(0.5), d.top_k(2), d.top_p(0.7), d.min_p(0.2), d.repetition_penalty(1.5), d.no_repeat_ngram(1)],
)
def test_transforms_are_pure(transform):
    logits, ids = PROBS.log(), IDS.clone()
    transform(logits, ids)
    assert torch.equal(logits, PROBS.log()) and torch.equal(ids, IDS)


# ---------------------------------------------------------------- selectores
def test_sample_follows_the_distribution():
    generator = torch.Generator().manual_seed(0)
    n = 20_000
    counts = d.sample(PROBS[:1].log().expand(n, -1), generator).bincount(minlength=4) / n
    torch.testing.assert_close(counts, PROBS[0], atol=0.012, rtol=0)  # más de tres desviaciones típicas


def test_epsilon_is_the_probability_of_exploring():
    generator = torch.Generator().manual_seed(1)
    n, epsilon = 20_000, 0.3
    logits = PROBS[:1].log().expand(n, -1)
    share = (d.epsilon_greedy(epsilon, generator)(logits) == 0).float().mean().item()
    assert share == pytest.approx((1 - epsilon) + epsilon * 0.5, abs=0.012)
    assert torch.equal(d.epsilon_greedy(0)(logits), d.greedy(logits))
    explored = d.epsilon_greedy(1, generator)(logits).bincount(minlength=4) / n
    torch.testing.assert_close(explored, PROBS[0], atol=0.012, rtol=0)


def test_a_generator_leaves_the_global_state_alone(model):
    before = torch.get_rng_state()
    runs = []
    for _ in range(2):
        select = partial(d.sample, generator=torch.Generator().manual_seed(3))
        runs.append(d.generate(model, PROMPT, select=select, max_new_tokens=10).sequences)
    assert torch.equal(*runs) and torch.equal(before, torch.get_rng_state())


def test_sampling_with_every_token_banned_is_explained(model):
    with pytest.raises(ValueError, match="ningún token posible"):
        d.generate(model, torch.arange(23)[None], transforms=[d.no_repeat_ngram(1)], select=d.sample, max_new_tokens=1)


# ---------------------------------------------------------------- bucle
@pytest.mark.parametrize("use_cache", [True, False])
def test_logprobs_are_those_of_the_unmodified_model(model, use_cache):
    torch.manual_seed(0)
    transforms = [d.temperature(0.3), d.top_k(3)]
    out = d.generate(model, PROMPT, transforms=transforms, select=d.sample, max_new_tokens=9, use_cache=use_cache)
    with torch.no_grad():
        raw = model(out.sequences).logits[:, :-1].log_softmax(-1)
    expected = raw.gather(-1, out.sequences[:, 1:, None])[:, 2:, 0]
    torch.testing.assert_close(out.logprobs, expected, atol=1e-4, rtol=1e-4)


def test_the_cache_sees_each_token_once(model):
    lengths = []
    hook = model.register_forward_pre_hook(lambda m, a, k: lengths.append(k["input_ids"].size(1)), with_kwargs=True)
    try:
        d.generate(model, PROMPT, max_new_tokens=5)
        d.generate(model, PROMPT, max_new_tokens=3, use_cache=False)
    finally:
        hook.remove()
    assert lengths == [3, 1, 1, 1, 1, 3, 4, 5]


def test_transforms_receive_ordinary_tensors(model):
    """Una transformación casera puede escribir en los logits, y nada impide entrenar después con el modelo."""

    def ban_three(logits, ids):
        logits[:, 3] = float("-inf")
        return logits

    out = d.generate(model, PROMPT, transforms=[ban_three], max_new_tokens=8)
    expected = token_logprobs(model, out.sequences)[:, 2:]
    torch.testing.assert_close(out.logprobs, expected, atol=1e-4, rtol=1e-4)  # del modelo, no de la transformación
    assert 3 not in out.new_ids and not out.logprobs.is_inference() and not out.sequences.is_inference()
    assert not d.beam_search(model, PROMPT, num_beams=2, max_new_tokens=2).logprobs.is_inference()
    model(out.sequences, labels=out.sequences).loss.backward()
    model.zero_grad(set_to_none=True)


def test_a_single_transform_or_an_iterator_counts(model):
    expected = d.generate(model, PROMPT, transforms=[d.no_repeat_ngram(1)], max_new_tokens=8).sequences
    for transforms in (d.no_repeat_ngram(1), iter([d.no_repeat_ngram(1)])):
        assert torch.equal(d.generate(model, PROMPT, transforms=transforms, max_new_tokens=8).sequences, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(select=lambda z: z.argmax(-1, keepdim=True)), r"un id por fila, de forma \(1,\)"),
        (dict(select=lambda z: None), "un id por fila.*None"),
        (dict(transforms=[lambda z, ids: z[:, :3]]), r"forma \(1, 23\).*\(1, 3\)"),
        (dict(transforms=[lambda z, ids: None]), "None"),
    ],
)
def test_home_made_pieces_with_the_wrong_shape_are_explained(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        d.generate(model, PROMPT, max_new_tokens=2, **arguments)


def test_nothing_can_change_the_callers_ids(model):
    def vandal(logits, ids):
        ids.fill_(0)
        return logits

    ids = PROMPT.clone()
    d.generate(model, ids, transforms=[vandal], max_new_tokens=3)
    d.beam_search(model, ids, num_beams=1, transforms=[vandal], max_new_tokens=3)
    d.beam_search(model, ids, num_beams=2, transforms=[vandal], max_new_tokens=3)
    assert torch.equal(ids, PROMPT)


def test_the_trace_of_a_row_ends_with_its_eos(mini):
    model, tokenizer = mini
    batch = tokenizer(["El rey", "La noche estaba oscura y"], return_tensors="pt", padding=True)
    free = d.generate(model, **batch, max_new_tokens=12)
    eos = free.new_ids[0, 2].item()
    out = d.generate(model, **batch, max_new_tokens=12, eos_token_id=eos, pad_token_id=tokenizer.pad_token_id, top_n=2)
    for row in range(2):
        new = out.new_ids[row].tolist()
        length = new.index(eos) + 1 if eos in new else len(new)
        assert len(out.table(tokenizer, row)) == len(out.choices(tokenizer, row)) == length


def test_eos_may_be_a_tensor_or_a_list(model):
    eos = d.generate(model, PROMPT, max_new_tokens=6).new_ids[0, 2].item()
    kinds = (eos, [eos], torch.tensor([eos]), torch.tensor(eos), np.int64(eos), np.array([eos]), np.array(eos))
    for write in (d.generate, partial(d.beam_search, num_beams=2)):
        runs = [write(model, PROMPT, max_new_tokens=6, eos_token_id=e, pad_token_id=e) for e in kinds[:1]]
        runs += [write(model, PROMPT, max_new_tokens=6, eos_token_id=e) for e in kinds]
        assert all(torch.equal(run.sequences, runs[0].sequences) for run in runs)
    assert d.generate(model, PROMPT, max_new_tokens=6, eos_token_id=eos).new_ids.size(1) <= 3


def test_integers_and_numbers_of_numpy_count(model):
    i, x = np.int64, np.float32
    ours = [
        d.temperature(x(0.5)),
        d.top_k(i(9)),
        d.top_p(x(0.75)),
        d.min_p(x(0.125)),
        d.repetition_penalty(x(1.5)),
        d.no_repeat_ngram(i(2)),
    ]
    same = [
        d.temperature(0.5),
        d.top_k(9),
        d.top_p(0.75),
        d.min_p(0.125),
        d.repetition_penalty(1.5),
        d.no_repeat_ngram(2),
    ]
    out = d.generate(model, PROMPT, transforms=ours, max_new_tokens=i(6), pad_token_id=i(0), top_n=i(2))
    assert torch.equal(out.sequences, d.generate(model, PROMPT, transforms=same, max_new_tokens=6).sequences)
    out = d.beam_search(
        model, PROMPT, num_beams=i(3), max_new_tokens=i(6), length_penalty=x(0.5), num_return_sequences=i(2)
    )
    expected = d.beam_search(model, PROMPT, num_beams=3, max_new_tokens=6, length_penalty=0.5, num_return_sequences=2)
    assert torch.equal(out.sequences, expected.sequences)


def test_no_transforms_may_be_said_with_none(model):
    for write in (d.generate, partial(d.beam_search, num_beams=2)):
        expected = write(model, PROMPT, max_new_tokens=6).sequences
        assert torch.equal(write(model, PROMPT, max_new_tokens=6, transforms=None).sequences, expected)


def test_the_last_position_decides():
    """Con un modelo que ignora logits_to_keep y predice «el id de esa posición más uno», se ve qué posición se lee."""

    def successor(input_ids, **kwargs):
        logits = torch.nn.functional.one_hot((input_ids + 1) % 23, 23).float()
        return SimpleNamespace(logits=logits, past_key_values=None)

    assert d.generate(successor, torch.tensor([[9, 4]]), max_new_tokens=3).new_ids.tolist() == [[5, 6, 7]]


def test_stream_is_lazy_and_leaves_autograd_on(model):
    calls = []
    hook = model.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        steps = d.stream(model, PROMPT, max_new_tokens=10)
        assert not calls
        next(steps)
        assert len(calls) == 1 and torch.is_grad_enabled()
    finally:
        hook.remove()


def test_finished_rows_are_padded_and_score_zero(model):
    ids = torch.tensor([[4, 9, 1], [2, 2, 8]])
    free = d.generate(model, ids, max_new_tokens=8)
    eos = free.new_ids[0, 2].item()
    out = d.generate(model, ids, max_new_tokens=8, eos_token_id=eos, pad_token_id=22)
    for row in range(2):
        new = free.new_ids[row].tolist()
        length = new.index(eos) + 1 if eos in new else len(new)
        assert out.new_ids[row].tolist() == (new[:length] + [22] * 8)[: out.new_ids.size(1)]
        assert out.logprobs[row, length:].abs().sum() == 0 and (out.logprobs[row, :length] < 0).all()


def test_what_is_used_if_nothing_is_said():
    model = tiny_model(context=64)
    steps = list(d.stream(model, PROMPT))
    assert len(steps) == 50 and all(step.top_ids.shape == (1, 0) for step in steps)
    beams = d.beam_search(model, PROMPT, num_beams=3, max_new_tokens=4)
    again = d.beam_search(model, PROMPT, num_beams=3, max_new_tokens=4, length_penalty=1.0, num_return_sequences=1)
    assert len(beams.sequences) == 1 and torch.equal(beams.sequences, again.sequences)
    assert beams.scores.tolist() == pytest.approx((beams.logprobs.sum(1) / 4).tolist())


def test_top_n_and_table(mini):
    model, tokenizer = mini
    ids = tokenizer("Había una vez", return_tensors="pt").input_ids
    out = d.generate(model, ids, max_new_tokens=4, top_n=3)
    table = out.table(tokenizer)
    assert list(table.columns) == ["Entrada", "Elegido", "Opción 1", "Opción 2", "Opción 3"] and len(table) == 4
    read = [tokenizer.decode(out.sequences[0, : ids.size(1) + n]) for n in range(4)]
    assert table["Entrada"].tolist() == read and read[0] == "Había una vez" and list(table.index) == [1, 2, 3, 4]
    with torch.no_grad():
        best = model(ids).logits[0, -1].softmax(-1).topk(3)
    assert [p for _, p in out.choices(tokenizer)[0]] == pytest.approx(best.values.tolist(), abs=1e-5)
    shown = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    shown = [f"{d.show_token(tokenizer, i)} ({100 * p:.1f}\u00a0%)" for i, p in shown]
    assert table.iloc[0].tolist()[2:] == shown and table["Elegido"].iloc[0] == shown[0].split(" (")[0]
    with pytest.raises(ValueError, match="top_n=5"):
        d.generate(model, ids, max_new_tokens=1).table(tokenizer)
    assert out.text(tokenizer) == tokenizer.decode(out.sequences[0].tolist())


def test_show_token_shows_spaces_lines_and_bytes(mini):
    _, tokenizer = mini
    shown = "".join(d.show_token(tokenizer, i) for i in tokenizer(" vez\n🙂").input_ids)
    assert shown == "␣vez⏎⟨F0⟩⟨9F⟩⟨99⟩⟨82⟩"
    everything = [d.show_token(tokenizer, i) for i in range(len(tokenizer))]
    assert len(set(everything)) == len(everything)  # lo que se ve distingue lo que es


def sentencepiece():
    """Como los de Llama y Gemma: «▁» es el espacio y, lo que no está en el vocabulario, sus bytes."""
    from tokenizers import Tokenizer, decoders, models

    pieces = ["<unk>", "<s>", "▁casa", "casa", "▁", "▁▁", "\n", "ca▁sa", "�", *(f"<0x{b:02X}>" for b in range(256))]
    backend = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>"), pieces


def test_show_token_tells_sentencepiece_tokens_apart():
    tokenizer, pieces = sentencepiece()
    shown = {piece: d.show_token(tokenizer, i) for i, piece in enumerate(pieces)}
    assert tokenizer.decode([2]) == tokenizer.decode([3]) == "casa"  # lo que pasaba
    expected = {
        "▁casa": "␣casa",
        "casa": "casa",
        "▁": "␣",
        "▁▁": "␣␣",
        "\n": "⏎",
        "ca▁sa": "ca␣sa",
        "<s>": "<s>",
        "�": "�",
    }
    assert {piece: shown[piece] for piece in expected} == expected
    assert shown["<0xE2>"] == "⟨E2⟩" and shown["<0x0A>"] == "⟨0A⟩" and shown["<0x41>"] == "⟨41⟩"
    assert len(set(shown.values())) == len(pieces)


def test_a_vocabulary_larger_than_the_tokenizers():
    """Muchos modelos tienen filas de sobra en su tabla; con pesos al azar, se escriben."""
    tokenizer, pieces = sentencepiece()
    model = tiny_model(vocab=len(pieces) + 40)
    out = d.generate(model, torch.tensor([[2, 3]]), max_new_tokens=60 - 20, top_n=3)
    expected = model.generate(torch.tensor([[2, 3]]), max_new_tokens=40, do_sample=False, eos_token_id=None)
    assert torch.equal(out.sequences, expected)
    beyond = [i for i in out.new_ids[0].tolist() if i >= len(tokenizer)]
    assert beyond and d.show_token(tokenizer, beyond[0]) == f"⟨id {beyond[0]}⟩"
    assert set(out.table(tokenizer)["Elegido"]) == {d.show_token(tokenizer, i) for i in out.new_ids[0].tolist()}


# ---------------------------------------------------------------- búsqueda en haz frente a fuerza bruta
@pytest.mark.parametrize("seed", range(4))
def test_wide_beam_finds_the_true_optimum(seed):
    """Con tantos haces como prefijos posibles, la búsqueda en haz es exhaustiva."""
    model = tiny_model(seed, vocab=5)
    ids, n = torch.tensor([[1, 3]]), 3
    scores = {}
    for tail in product(range(5), repeat=n):
        full = torch.cat([ids, torch.tensor([tail])], 1)
        with torch.no_grad():
            raw = model(full).logits[:, :-1].log_softmax(-1)
        scores[tail] = raw.gather(-1, full[:, 1:, None])[0, 1:, 0].sum().item()
    best = max(scores, key=scores.get)
    out = d.beam_search(model, ids, num_beams=25, max_new_tokens=n, length_penalty=0.0)
    assert tuple(out.new_ids[0].tolist()) == best
    assert out.scores[0].item() == pytest.approx(scores[best], abs=1e-4)
    assert out.logprobs.sum().item() == pytest.approx(scores[best], abs=1e-4)


@pytest.mark.parametrize("beams", [2, 3, 5])
def test_when_every_token_ends_the_best_one_is_written(beams):
    model = tiny_model(1, vocab=5)
    out = d.beam_search(
        model, torch.tensor([[1, 3]]), num_beams=beams, max_new_tokens=4, eos_token_id=range(5), num_return_sequences=2
    )
    with torch.no_grad():
        best = model(torch.tensor([[1, 3]])).logits[0, -1].log_softmax(-1).topk(2)
    assert out.new_ids[:, 0].tolist() == best.indices.tolist() and out.new_ids.size(1) == 1
    torch.testing.assert_close(out.scores, best.values)


@pytest.mark.parametrize("beams", [2, 3])
def test_tree_is_consistent(model, beams):
    ids = torch.tensor([[4, 9, 1], [2, 2, 8]])
    out = d.beam_search(model, ids, num_beams=beams, max_new_tokens=6, eos_token_id=5)
    for row in range(2):
        ends = [n for n in out.tree if n.row == row and n.status == "terminada"]
        best = max(ends, key=lambda n: n.score)
        assert best.score == pytest.approx(out.scores[row].item(), abs=1e-5)
        path = []
        while True:
            path.append(best.token_id)
            if best.parent < 0:
                break
            child, best = best, out.tree[best.parent]
            assert best.step == child.step - 1 and best.row == row and best.status == "viva"
            assert child.total <= best.total
        assert path[::-1] == out.new_ids[row, : len(path)].tolist()
        for step in range(5):
            assert sum(n.status == "viva" for n in out.tree if n.row == row and n.step == step) <= beams


# ---------------------------------------------------------------- entradas que se rechazan sin calcular nada
class Untouchable:
    """Un modelo que no se deja llamar: el error debe llegar antes."""

    device = torch.device("cpu")
    config = SimpleNamespace(vocab_size=23, max_position_embeddings=48)

    def __call__(self, *args, **kwargs):
        raise AssertionError("se ha calculado algo antes de validar")


BAD = [
    (dict(input_ids="Había una vez"), r"Esperaba ids.*str.*'Había una vez'.*tokenizer"),
    (dict(input_ids=[[1, 2]]), r"Esperaba ids.*list"),
    (dict(input_ids=torch.empty(1, 0)), r"ningún token.*\(1, 0\)"),
    (dict(input_ids=torch.empty(0, 3, dtype=torch.long)), r"ningún token.*\(0, 3\)"),
    (dict(input_ids=torch.tensor([1, 2])), r"\(B, T\).*\(2,\).*ids\[None"),
    (dict(input_ids=torch.ones(1, 3)), r"enteros.*float32"),
    (dict(input_ids=torch.tensor([[1, 23]])), r"fuera del vocabulario.*0 a 22.*mayor 23"),
    (dict(input_ids=torch.tensor([[-1, 2]])), r"fuera del vocabulario.*menor es -1"),
    (
        dict(input_ids=torch.ones(1, 40, dtype=torch.long), max_new_tokens=9),
        r"40 tokens.*9 nuevos = 49.*48.*como mucho 8",
    ),
    (dict(max_new_tokens=0), r"max_new_tokens.*es 0"),
    (dict(max_new_tokens=2.5), r"max_new_tokens.*es 2\.5"),
    (dict(eos_token_id=23), r"eos_token_id.*\[23\]"),
    (dict(pad_token_id=-1), r"pad_token_id.*\[-1\]"),
    (dict(attention_mask=torch.ones(1, 2)), r"attention_mask.*\(1, 3\).*\(1, 2\)"),
    (dict(attention_mask=torch.tensor([[1, 1, 0]])), r"derecha.*padding_side"),
    (dict(attention_mask=torch.tensor([[0, 0, 0]])), r"filas \[0\] están vacías"),
    (dict(attention_mask=torch.tensor([[2, 1, 1]])), r"ceros y unos"),
    (dict(attention_mask=[[1, 1, 1]]), r"attention_mask.*\(1, 3\)"),
    (dict(pad_token_id=1), r"derecha.*pad_token_id a propósito"),
    (dict(eos_token_id=2.5), r"eos_token_id.*2\.5"),
    (dict(eos_token_id="fin"), r"eos_token_id.*'f'"),
    (dict(input_ids=PROMPT.to(torch.uint8)), r"enteros \(int64\).*uint8"),
    (dict(input_ids=PROMPT.bool()), r"enteros \(int64\).*bool"),
    (dict(transforms=[0.7]), r"transformación.*0\.7"),
    (dict(transforms=[d.greedy, None]), r"transformación.*None"),
    (dict(pad_token_id=[1, 2]), r"pad_token_id debe ser un solo id y es \[1, 2\]"),
    (dict(eos_token_id=True), r"eos_token_id.*True"),
    (dict(input_ids=PROMPT.to("meta")), r"modelo está en cpu y los ids en meta.*model\.device"),
]
BAD_STREAM = [
    (dict(top_n=-1), r"top_n.*-1"),
    (dict(select="greedy"), r"select debe ser una función.*'greedy'"),
]
BAD_BEAM = [
    (dict(num_beams=0), r"num_beams.*es 0"),
    (dict(num_beams=-2), r"num_beams.*es -2"),
    (dict(num_return_sequences=4), r"num_return_sequences.*entre 1 y num_beams \(3\).*es 4"),
    (dict(length_penalty="larga"), r"length_penalty.*'larga'"),
    (dict(length_penalty=float("nan")), r"length_penalty.*nan"),
    (dict(length_penalty=1e10), r"length_penalty.*10000000000"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD + BAD_STREAM)
@pytest.mark.parametrize("function", [d.stream, d.generate])
def test_bad_input_is_refused_before_computing(function, arguments, message):
    kwargs = {"input_ids": PROMPT, "max_new_tokens": 4} | arguments
    with pytest.raises(ValueError, match=message):
        function(Untouchable(), kwargs.pop("input_ids"), **kwargs)


@pytest.mark.parametrize(("arguments", "message"), BAD + BAD_BEAM)
def test_bad_input_to_beam_search(arguments, message):
    kwargs = {"input_ids": PROMPT, "max_new_tokens": 4, "num_beams": 3} | arguments
    with pytest.raises(ValueError, match=message):
        d.beam_search(Untouchable(), kwargs.pop("input_ids"), **kwargs)


@pytest.mark.parametrize(
    ("factory", "values", "word"),
    [
        (d.temperature, [0, -1.5, float("nan"), float("inf"), "0.7", None, True], "temperatura"),
        (d.top_k, [0, -3, 2.5, "5", None, True], "k debe"),
        (d.top_p, [0, 1.01, -0.2, float("nan"), "0.9"], r"\(0, 1\]"),
        (d.min_p, [0, 1.5, -1, None], r"\(0, 1\]"),
        (d.repetition_penalty, [0, -1, "2", float("nan")], "penalización"),
        (d.no_repeat_ngram, [0, -1, 1.5], "n debe"),
        (d.epsilon_greedy, [-0.1, 1.1, float("nan"), "0.5"], r"\[0, 1\]"),
    ],
)
def test_bad_parameters_name_the_value(factory, values, word):
    for value in values:
        with pytest.raises(ValueError, match=word) as error:
            factory(value)
        assert repr(value) in str(error.value)
