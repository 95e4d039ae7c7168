"""Lo que la sesión A1 escribe a mano frente a torch.nn, y sus gradientes frente al producto exacto de jacobianos."""

import textwrap

import pytest
import torch
from answers import published
from cuadernos import code
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = st.integers(1, 6)


@pytest.fixture(scope="module")
def names():
    """Las funciones que se leen en el cuaderno."""
    found = {"torch": torch, "drawing": pytest.importorskip("course_utils.drawing"), "print": lambda *_: None}
    for cell in code("A1", "rnn-a-mano", "hacia-atras", "medir-el-olvido"):
        exec(textwrap.dedent(cell), found)
    return found


def _read(cell, step, x, parts):
    """Lee x (B, T, E) con un paso escrito a mano, capa a capa, y devuelve las salidas (B, T, H)."""
    for layer in range(cell.num_layers):
        weights = [getattr(cell, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        given = *weights[:2], weights[2] + weights[3]
        state, outputs = [torch.zeros(len(x), cell.hidden_size) for _ in range(parts)], []
        for t in range(x.size(1)):
            found = step(x[:, t], *state, *given)
            state = [found] if parts == 1 else list(found)
            outputs.append(state[0])
        x = torch.stack(outputs, 1)
    return x


@settings(max_examples=40, deadline=None)
@given(batch=SIZES, length=st.integers(1, 9), size=SIZES, hidden=SIZES, layers=st.integers(1, 3), seed=SIZES)
@pytest.mark.parametrize(("kind", "parts"), [(torch.nn.RNN, 1), (torch.nn.LSTM, 2)])
def test_the_cells_by_hand_are_the_ones_of_torch(names, kind, parts, batch, length, size, hidden, layers, seed):
    torch.manual_seed(seed)
    cell = kind(size, hidden, layers, batch_first=True)
    x = torch.randn(batch, length, size)
    step = names["rnn_step"] if parts == 1 else published("A1")["A1.2"]
    with torch.no_grad():
        torch.testing.assert_close(_read(cell, step, x, parts), cell(x)[0], atol=1e-6, rtol=0)


def _by_jacobians(cell, x):
    """El gradiente de la suma del último estado, multiplicando los jacobianos exactos de cada paso: (T,)."""
    weights = cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0 + cell.bias_hh_l0
    lstm, n = isinstance(cell, torch.nn.LSTM), cell.hidden_size
    step = published("A1")["A1.2"]

    def forward(memory, token):
        if lstm:
            return torch.cat([part[0] for part in step(token[None], memory[None, :n], memory[None, n:], *weights)])
        return torch.tanh(token @ weights[0].T + memory @ weights[1].T + weights[2])

    memory, pairs = torch.zeros(2 * n if lstm else n), []
    for token in x[0]:
        pairs.append(torch.autograd.functional.jacobian(forward, (memory, token)))
        memory = forward(memory, token).detach()
    product, sizes = torch.cat([torch.ones(n), torch.zeros(len(memory) - n)]), []
    for by_memory, by_token in reversed(pairs):
        sizes.append((product @ by_token).norm().item())
        product = product @ by_memory
    return torch.tensor(sizes)


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.LSTM])
@pytest.mark.parametrize("stretch", [0.5, 0.9, 1.0, 1.1])
def test_the_curves_are_the_exact_product_of_jacobians(names, kind, stretch):
    cell, x = names["recurrent"](kind, stretch, 4.0, -4.0), names["xs"][None]
    exact = _by_jacobians(cell, x)
    torch.testing.assert_close(names["forgetting"](cell, x[0]), exact / exact[0], rtol=2e-4, atol=1e-9)
    torch.testing.assert_close(published("A1")["A1.1"](cell, x), exact, rtol=2e-4, atol=1e-9)


def test_the_matrix_stretches_everything_by_its_spectral_radius(names):
    values = torch.linalg.eigvals(1.1 * names["turn"]).abs()
    torch.testing.assert_close(values, torch.full_like(values, 1.1), atol=1e-5, rtol=0)
