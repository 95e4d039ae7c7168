"""La atención a mano es la de PyTorch y la de los modelos, y capturarla no deja huella."""

import copy
import math

import architectures
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import tiny_model
from transformers import BertConfig, BertForMaskedLM

from course_utils.attention import attention_weights, capture_attention, causal_mask, scaled_dot_product_attention
from course_utils.models import PROFILES, load_model


def tiny_encoder(attn="sdpa"):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = BertConfig(
            vocab_size=23,
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=48,
            initializer_range=0.6,
            attn_implementation=attn,
        )
        return BertForMaskedLM(config).eval()


def random_qkv(shape, s=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    other = (*shape[:-2], s or shape[-2], shape[-1])
    return [torch.randn(size, generator=generator) for size in (shape, other, other)]


IDS = torch.tensor([[5, 3, 8, 1, 9, 2], [7, 7, 4, 0, 22, 6]])


# ---------------------------------------------------------------- máscara causal
@pytest.mark.parametrize("t", [1, 2, 5, 17, np.int64(3)])
def test_causal_mask_sees_the_past_and_itself(t):
    mask = causal_mask(t)
    assert mask.dtype == torch.bool and mask.shape == (t, t)
    assert mask.tolist() == [[column <= row for column in range(t)] for row in range(t)]


@pytest.mark.parametrize("bad", [0, -3, 2.0, "4", True, None])
def test_causal_mask_needs_a_count(bad):
    with pytest.raises(ValueError, match="entero mayor o igual que 1"):
        causal_mask(bad)


# ---------------------------------------------------------------- la operación
SHAPES = [(4, 8), (1, 8), (2, 5, 4), (2, 3, 7, 16), (1, 4, 33, 64), (2, 1, 3, 9, 5)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["sin máscara", "causal", "relleno", "al azar"])
def test_equals_pytorch(shape, kind):
    q, k, v = random_qkv(shape)
    t = shape[-2]
    mask = None
    if kind == "causal":
        mask = causal_mask(t)
    elif kind == "relleno":
        mask = (torch.arange(t) < max(1, t - 2))[None]  # (1, S): nadie mira las dos últimas
    elif kind == "al azar":
        mask = (torch.rand(*shape[:-1], t, generator=torch.Generator().manual_seed(3)) < 0.6) | torch.eye(t).bool()
    ours = scaled_dot_product_attention(q, k, v, mask)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(q, k, v, attn_mask=mask), atol=1e-5, rtol=0)
    if kind == "causal":
        theirs = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_cross_attention_other_sizes_and_double_precision():
    q, k, _ = random_qkv((2, 3, 4, 8), s=7)
    v = torch.randn(2, 3, 7, 5, generator=torch.Generator().manual_seed(1))
    ours = scaled_dot_product_attention(q, k, v)
    assert ours.shape == (2, 3, 4, 5)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(q, k, v), atol=1e-5, rtol=0)
    double = scaled_dot_product_attention(q.double(), k.double(), v.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), ours, atol=1e-5, rtol=0)


def test_weights_by_hand():
    q, k = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    e = math.exp(1 / math.sqrt(2))
    assert attention_weights(q, k)[0].tolist() == pytest.approx([e / (e + 1), 1 / (e + 1)])
    masked = attention_weights(q, k, torch.tensor([[False, True]]))
    assert masked[0].tolist() == [0, 1]


def test_rows_add_up_and_the_future_weighs_nothing():
    q, k, _ = random_qkv((2, 3, 6, 4))
    weights = attention_weights(q, k, causal_mask(6))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 6))
    assert (weights.triu(1) == 0).all() and (weights[..., 0, 0] == 1).all()


def test_a_row_that_sees_nothing_is_zero_and_gradients_are_finite():
    q, k, v = (x.requires_grad_() for x in random_qkv((3, 4)))
    mask = torch.tensor([[False] * 3, [True] * 3, [True, False, False]])
    out = scaled_dot_product_attention(q, k, v, mask)
    assert (out[0] == 0).all() and torch.equal(out[2], v[0])
    out.sum().backward()
    assert torch.isfinite(v.grad).all()


def test_changes_neither_inputs_nor_mask():
    q, k, v = random_qkv((2, 4, 8))
    mask = causal_mask(4)
    before = [x.clone() for x in (q, k, v, mask)]
    scaled_dot_product_attention(q, k, v, mask)
    assert all(torch.equal(a, b) for a, b in zip(before, (q, k, v, mask), strict=True))


Q = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Q, Q[..., :6], Q), r"q \(2, 4, 8\) y k \(2, 4, 6\)"),
        ((Q, Q[:1], Q[:1]), r"q \(2, 4, 8\) y k \(1, 4, 8\)"),
        ((Q, Q, Q[:, :3]), r"k \(2, 4, 8\) y v \(2, 3, 8\)"),
        ((Q, Q, Q, causal_mask(5)), r"\(5, 5\) y debe ser \(4, 4\)"),
        ((Q, Q, Q, torch.ones(3, 4, 4).bool()), r"\(3, 4, 4\).*\(2, 4, 4\)"),
        ((Q, Q, Q, torch.ones(2, 2, 4, 4).bool()), r"\(2, 2, 4, 4\)"),
        ((Q, Q, Q, torch.ones(4, 4)), r"booleano.*float32.*mask\.bool"),
        ((Q, Q, Q, [[True]]), "booleano.*list"),
        ((Q.long(), Q, Q), "q debe ser un tensor de números reales.*int64"),
        ((Q[0, 0], Q, Q), r"q debe ser.*\(8,\)"),
        ((Q.tolist(), Q, Q), "q debe ser.*list"),
        ((Q, Q.double(), Q), "mismo tipo"),
        ((Q[..., :0], Q[..., :0], Q), r"q debe ser.*\(2, 4, 0\)"),
    ],
)
def test_bad_input_is_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        scaled_dot_product_attention(*arguments)


# ---------------------------------------------------------------- capturar la de un modelo
def models():
    return [("codificador", tiny_encoder()), ("decodificador", copy.deepcopy(tiny_model()))]  # el segundo se comparte


@pytest.mark.parametrize("attn", ["sdpa", "eager"])
def test_capture_is_the_models_own(attn):
    for _, model in models():
        model.set_attn_implementation("eager")
        with torch.no_grad():
            own = torch.stack(model(IDS, output_attentions=True).attentions)
        model.set_attn_implementation(attn)
        captured = capture_attention(model, IDS)
        layers, heads = model.config.num_hidden_layers, model.config.num_attention_heads
        assert captured.shape == (layers, 2, heads, 6, 6) and not captured.requires_grad
        torch.testing.assert_close(captured, own, atol=1e-5, rtol=0)
        assert model.config._attn_implementation == attn


def test_the_encoder_looks_both_ways_and_the_decoder_only_back():
    (_, encoder), (_, decoder) = models()
    assert (capture_attention(encoder, IDS).triu(1).sum((-1, -2)) > 0).all()
    assert (capture_attention(decoder, IDS).triu(1) == 0).all()


def test_capture_respects_the_attention_mask():
    for name, model in models():
        mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
        captured = capture_attention(model, {"input_ids": IDS, "attention_mask": mask})
        assert captured[:, 0, :, :4, 4:].abs().max() < 1e-6, name
        torch.testing.assert_close(
            captured[:, 0, :, :4, :4], capture_attention(model, IDS[:1, :4])[:, 0], atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "OPT", "Bloom", "GPT-NeoX", "Qwen3", "RoBERTa"])
def test_left_padding_changes_no_weight_of_a_decoder(name):
    """En un lote con relleno a la izquierda, cada fila es la de su texto solo."""
    left_padding_changes_nothing(architectures.tiny(name), pad=1)


def test_left_padding_changes_no_weight_of_an_encoder():
    left_padding_changes_nothing(tiny_encoder(), pad=0)


def left_padding_changes_nothing(model, pad):
    ids, mask = IDS.clone(), torch.ones_like(IDS)
    ids[0, 1] = 3  # que el id de relleno no salga en el texto
    ids[0, 3] = 11
    ids[0, :2], mask[0, :2] = pad, 0
    captured = capture_attention(model, {"input_ids": ids, "attention_mask": mask})
    alone = capture_attention(model, ids[:1, 2:])
    assert alone.std() > 0.05
    torch.testing.assert_close(captured[:, 0, :, 2:, 2:], alone[:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(captured[:, 1], capture_attention(model, ids[1:])[:, 0], atol=1e-5, rtol=0)


def test_capture_equals_attention_by_hand_in_every_layer_of_the_encoder():
    model = tiny_encoder()
    captured = capture_attention(model, IDS)
    with torch.no_grad():
        states = model(IDS, output_hidden_states=True).hidden_states
    for layer, (block, x) in enumerate(zip(model.bert.encoder.layer, states, strict=False)):
        attention = block.attention.self
        q, k = (
            project(x).unflatten(-1, (2, 8)).transpose(1, 2).detach() for project in (attention.query, attention.key)
        )
        torch.testing.assert_close(attention_weights(q, k), captured[layer], atol=1e-5, rtol=0)


def test_capture_leaves_the_model_as_it_was():
    for _, model in models():
        model.eval()
        modules = list(model.modules())
        modules[3].train()  # modos mezclados: hay que devolver cada uno a su sitio
        modes, weights = [m.training for m in modules], {k: v.clone() for k, v in model.state_dict().items()}
        torch.manual_seed(0)
        state, config = torch.get_rng_state(), model.config.to_dict()
        capture_attention(model, IDS)
        assert [m.training for m in modules] == modes and model.config.to_dict() == config
        assert torch.equal(torch.get_rng_state(), state) and model.config._attn_implementation == "sdpa"
        assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
        model.eval()


def test_capture_in_training_mode_is_deterministic():
    model = tiny_encoder()
    calm = capture_attention(model, IDS)
    model.train()
    torch.testing.assert_close(capture_attention(model, IDS), calm)
    assert model.training and all(m.training for m in model.modules())


def test_capture_leaves_the_model_as_it_was_also_on_error(monkeypatch):
    model = tiny_encoder().train()
    monkeypatch.setattr(type(model.bert), "forward", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        capture_attention(model, IDS)
    assert model.config._attn_implementation == "sdpa" and all(m.training for m in model.modules())


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("hola", "he recibido str"),
        ({"texto": IDS}, "he recibido NoneType"),
        (IDS[0], r"\(B, T\) y tienen \(6,\)"),
        (IDS.float(), "float32"),
        (IDS[:, :0], r"\(2, 0\)"),
        (torch.zeros(1, 49).long(), "49 tokens.*48"),
        (torch.tensor([[23]]), "de 0 a 22.*mayor 23"),
        ({"input_ids": IDS, "attention_mask": IDS[:, :2]}, r"attention_mask.*\(2, 6\).*\(2, 2\)"),
    ],
)
def test_bad_inputs_are_explained_before_computing(inputs, message, monkeypatch):
    model = tiny_encoder()
    monkeypatch.setattr(type(model), "forward", lambda *a, **k: pytest.fail("no debía calcular"))
    with pytest.raises(ValueError, match=message):
        capture_attention(model, inputs)


def test_models_without_attention_are_refused():
    from transformers import T5Config, T5ForConditionalGeneration

    t5 = T5ForConditionalGeneration(T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))
    for model in (torch.nn.Linear(2, 2), None, t5):
        with pytest.raises(ValueError, match="un modelo con autoatención"):
            capture_attention(model, IDS)


# ---------------------------------------------------------------- con los modelos del curso
@torch.no_grad()
def test_by_hand_equals_every_layer_of_the_embedded_decoder(mini):
    model, tokenizer = mini
    inputs = tokenizer(["En un lugar de la Mancha", "Era una noche de invierno"], return_tensors="pt", padding=True)
    captured = capture_attention(model, inputs)
    out = model(**inputs, output_hidden_states=True)
    mask = causal_mask(inputs.input_ids.size(1)) & inputs.attention_mask[:, None, None].bool()
    real = inputs.attention_mask.bool()
    for layer, block in enumerate(model.transformer.h):
        normed = block.ln_1(out.hidden_states[layer])
        parts = block.attn.c_attn(normed).split(model.config.n_embd, dim=-1)
        q, k, v = (part.unflatten(-1, (model.config.n_head, -1)).transpose(1, 2) for part in parts)
        weights = attention_weights(q, k, mask).transpose(1, 2)[real]
        torch.testing.assert_close(weights, captured[layer].transpose(1, 2)[real], atol=1e-5, rtol=0)
        ours = block.attn.c_proj(scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2))
        torch.testing.assert_close(ours[real], block.attn(normed, attention_mask=mask)[0][real], atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_by_hand_equals_every_layer_of_the_embedded_encoder():
    if "encoder" not in PROFILES["mini"].sources:
        pytest.skip("el codificador mini no está en este perfil")
    model, tokenizer = load_model("encoder", "mini")
    inputs = tokenizer(["En un lugar de la Mancha", "Era de noche"], return_tensors="pt", padding=True)
    captured = capture_attention(model, inputs)
    states = model(**inputs, output_hidden_states=True).hidden_states
    mask, real = inputs.attention_mask[:, None, None].bool(), inputs.attention_mask.bool()
    assert (captured[..., 0, 1:].sum(-1) > 0).all()  # ve también la derecha
    for layer, block in enumerate(model.bert.encoder.layer):
        attention, seen = block.attention.self, []
        q, k, v = (
            project(states[layer]).unflatten(-1, (model.config.num_attention_heads, -1)).transpose(1, 2)
            for project in (attention.query, attention.key, attention.value)
        )
        torch.testing.assert_close(attention_weights(q, k, mask), captured[layer], atol=5e-5, rtol=0)
        hook = attention.register_forward_hook(lambda module, args, out, seen=seen: seen.append(out[0]))
        model(**inputs)
        hook.remove()
        ours = scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        torch.testing.assert_close(ours[real], seen[0][real], atol=1e-4, rtol=1e-5)
