"""La LSTM del curso: la cuenta, contra las ecuaciones escritas a mano; el estado, y lo que se niega a leer.

Que escribe lo mismo que ``model.generate`` lo prueba ``test_decoding_architectures``.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from course_utils.recurrent import LSTMConfig, LSTMForCausalLM, State
from course_utils.scoring import perplexity, token_logprobs


def make(layers=2, embedding=6, hidden=5, vocabulary=11, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LSTMForCausalLM(LSTMConfig(vocabulary, embedding, hidden, layers)).eval()


def some_ids(rows, length, vocabulary=11, seed=0):
    return torch.randint(vocabulary, (rows, length), generator=torch.Generator().manual_seed(seed))


def by_hand(model, ids):
    """Las ecuaciones de la LSTM, token a token y capa a capa."""
    weights = dict(model.named_parameters())
    size, layers = model.config.hidden_size, model.config.num_hidden_layers
    logits = []
    h = [[torch.zeros(size) for _ in range(layers)] for _ in ids]
    c = [[torch.zeros(size) for _ in range(layers)] for _ in ids]
    for row, tokens in enumerate(ids.tolist()):
        logits.append([])
        for token in tokens:
            x = weights["embeddings.weight"][token]
            for k in range(layers):
                z = weights[f"lstm.weight_ih_l{k}"] @ x + weights[f"lstm.bias_ih_l{k}"]
                z = z + weights[f"lstm.weight_hh_l{k}"] @ h[row][k] + weights[f"lstm.bias_hh_l{k}"]
                i, f, g, o = z[:size].sigmoid(), z[size : 2 * size].sigmoid(), z[2 * size : 3 * size], z[3 * size :]
                c[row][k] = f * c[row][k] + i * g.tanh()
                h[row][k] = o.sigmoid() * c[row][k].tanh()
                x = h[row][k]
            x = weights["projection.weight"] @ x + weights["projection.bias"]
            logits[-1].append(weights["embeddings.weight"] @ x)
    return torch.stack([torch.stack(row) for row in logits])


@settings(deadline=None, max_examples=25)
@given(
    layers=st.integers(1, 3), hidden=st.integers(1, 7), rows=st.integers(1, 3), length=st.integers(1, 6),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_it_computes_the_equations_of_the_lstm(layers, hidden, rows, length, seed):
    model, ids = make(layers=layers, hidden=hidden, seed=seed), some_ids(rows, length, seed=seed)
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, by_hand(model, ids), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_reading_in_two_parts_is_reading_the_whole(cut):
    model, ids = make(), some_ids(3, 9)
    with torch.no_grad():
        first = model(ids[:, :cut], use_cache=True)
        second = model(ids[:, cut:], state=first.state)
        whole = model(ids)
    torch.testing.assert_close(torch.cat([first.logits, second.logits], 1), whole.logits)
    assert whole.state is None and [part.shape for part in first.state] == [(2, 3, 5)] * 2


def test_the_loss_is_the_mean_surprise_and_only_the_last_logits_are_given_if_asked():
    model, ids = make(), some_ids(2, 7)
    with torch.no_grad():
        out = model(ids, labels=ids)
        torch.testing.assert_close(out.loss, -token_logprobs(model, ids).mean())
        torch.testing.assert_close(model(ids, logits_to_keep=1).logits, out.logits[:, -1:])
        few = ids.clone()
        few[:, 3:] = -100
        torch.testing.assert_close(model(ids, labels=few).loss, -token_logprobs(model, ids)[:, :2].mean())


def test_padding_is_read_only_where_it_does_no_harm():
    model, ids = make(), some_ids(2, 6)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1] * 6])
    with torch.no_grad():
        logits = model(ids, attention_mask=mask).logits
        torch.testing.assert_close(logits[0, :4], model(ids[:1, :4]).logits[0])
    with pytest.raises(ValueError, match=r"Las filas \[0\] empiezan por relleno.*a la derecha"):
        model(ids, attention_mask=mask.flip(1))


def test_beam_search_carries_each_row_with_its_memory():
    parts = [torch.arange(12.0).reshape(2, 3, 2) + k for k in (0, 100)]  # (capas, B, H)
    state, rows = State(parts), [2, 2, 0]
    state.reorder_cache(torch.tensor(rows))
    assert [part.tolist() for part in state] == [part[:, rows].tolist() for part in parts]


def test_it_starts_remembering():
    model = make(layers=2, hidden=5)
    for k in range(2):
        bias = getattr(model.lstm, f"bias_ih_l{k}")
        assert bias.tolist() == [0] * 5 + [1] * 5 + [0] * 10  # entrada, olvido, candidata y salida
        assert getattr(model.lstm, f"bias_hh_l{k}").tolist() == [0] * 20


def test_it_is_saved_and_loaded_as_any_other(tmp_path):
    model, ids = make(), some_ids(1, 5)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is LSTMForCausalLM and loaded.head.weight is loaded.embeddings.weight
    with torch.no_grad():
        assert torch.equal(loaded.eval()(ids).logits, model(ids).logits)


def test_a_text_longer_than_any_context_can_be_scored(mini):
    tokenizer = mini[1]
    model = make(vocabulary=4096)
    text = "Llegó a la venta cuando anochecía, y pidió de cenar. " * 30
    ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(text).input_ids]])
    with torch.no_grad():
        expected = -token_logprobs(model, ids).sum().item()
    assert ids.size(1) > 256
    assert perplexity(model, tokenizer, [text]).nll == pytest.approx(expected, rel=1e-5)


def test_dropout_only_acts_while_training():
    torch.manual_seed(0)
    model = LSTMForCausalLM(LSTMConfig(11, 6, 5, 2, dropout=0.5))
    ids = some_ids(2, 7)
    assert torch.equal(model.eval()(ids).logits, model(ids).logits)
    assert not torch.equal(model.train()(ids).logits, model(ids).logits)


@pytest.mark.parametrize("length", [1, 4])
def test_reading_leaves_the_settings_of_pytorch_as_they_were(length):
    before = torch.backends.mkldnn.enabled
    make()(some_ids(1, length))
    assert torch.backends.mkldnn.enabled is before is True


def test_its_two_ends_are_read_and_changed_by_the_names_of_transformers():
    model = LSTMForCausalLM(LSTMConfig(7, 4, 5, 1))
    assert model.get_input_embeddings() is model.embeddings and model.get_output_embeddings() is model.head
    embeddings, head = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7, bias=False)
    model.set_input_embeddings(embeddings)
    model.set_output_embeddings(head)
    assert model.embeddings is embeddings and model.head is head
    assert model.get_input_embeddings() is embeddings and model.get_output_embeddings() is head


def test_its_first_weights_are_small_and_the_forget_gate_is_open():
    model = make(layers=1, embedding=16, hidden=25, vocabulary=50)
    for name, p in model.lstm.named_parameters():
        if "weight" in name:
            assert 0.18 < p.abs().max() <= 0.2  # 1/√25
        else:  # las puertas, en orden: entrada, olvido, candidata y salida
            wanted = [0.0, float("ih" in name), 0.0, 0.0]
            assert p.view(4, 25).unique(dim=1).flatten().tolist() == wanted
    for matrix, width in ((model.embeddings.weight, 16), (model.projection.weight, 25), (model.head.weight, 16)):
        assert matrix.std().item() == pytest.approx(width**-0.5, rel=0.15)
    assert not model.projection.bias.any()
