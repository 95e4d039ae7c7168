"""Respuestas de la sesión A1: el gradiente según la distancia y un paso de LSTM."""

import numpy as np
import torch

from answers import published

gradient_ok, step_ok = published("A1").values()


# ---------------------------------------------------------------- A1.1
def by_backward(cell, x):
    x = x.clone().requires_grad_()
    cell(x)[0][:, -1].sum().backward()
    return [row.norm().item() for row in reversed(x.grad[0])]


def by_jacobian(cell, x):
    whole = torch.autograd.functional.jacobian(lambda read: cell(read)[0][0, -1].sum(), x)
    return whole[0].norm(dim=-1).flip(0).numpy()


def by_differences(cell, x):
    """Sin gradientes: mueve cada número un poco hacia los dos lados."""
    cell, x = cell.double(), x.double()
    sizes = []
    with torch.no_grad():
        for t in reversed(range(x.size(1))):
            slopes = []
            for e in range(x.size(2)):
                moved = torch.zeros_like(x)
                moved[0, t, e] = 1e-6
                slopes.append((cell(x + moved)[0][:, -1].sum() - cell(x - moved)[0][:, -1].sum()) / 2e-6)
            sizes.append(torch.stack(slopes).norm())
    return sizes


def each_token_apart(cell, x):
    parts = [part.clone().requires_grad_() for part in x.split(1, dim=1)]
    loss = cell(torch.cat(parts, 1))[0][:, -1].sum()
    return torch.stack([g.norm() for g in torch.autograd.grad(loss, parts)[::-1]])


def in_order_of_reading(cell, x):
    return gradient_ok(cell, x).flip(0)


def of_every_output(cell, x):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cell(x)[0].sum(), x)
    return gradient[0].norm(dim=-1).flip(0)


def of_the_first_output(cell, x):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cell(x)[0][:, 0].sum(), x)
    return gradient[0].norm(dim=-1).flip(0)


def of_the_mean(cell, x):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cell(x)[0][:, -1].mean(), x)
    return gradient[0].norm(dim=-1).flip(0)


def of_the_size(cell, x):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cell(x)[0][:, -1].norm(), x)
    return gradient[0].norm(dim=-1).flip(0)


def whole_gradient(cell, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(cell(x)[0][:, -1].sum(), x)[0]


def added_up(cell, x):
    return whole_gradient(cell, x)[0].sum(-1).flip(0)


def squared(cell, x):
    return gradient_ok(cell, x) ** 2


def largest(cell, x):
    return whole_gradient(cell, x)[0].abs().amax(-1).flip(0)


def wrong_axis(cell, x):
    return whole_gradient(cell, x)[0].norm(dim=0).flip(0)


def asks_for_gradient_in_place(cell, x):
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(cell(x)[0][:, -1].sum(), x)
    return gradient[0].norm(dim=-1).flip(0)


def changes_the_input(cell, x):
    found = gradient_ok(cell, x)
    x.zero_()
    return found


def only_rnn(cell, x):
    x = x.clone().requires_grad_()
    _, h = cell(x)
    (gradient,) = torch.autograd.grad(h.sum(), x)
    return gradient[0].norm(dim=-1).flip(0)


def only_last_layer_of_lstm(cell, x):
    x = x.clone().requires_grad_()
    _, state = cell(x)
    h = state[0] if isinstance(state, tuple) else state
    (gradient,) = torch.autograd.grad(h.sum(), x)  # con varias capas, suma las de todas
    return gradient[0].norm(dim=-1).flip(0)


def by_name(cell, x):
    W = cell.weight_hh_l0
    return gradient_ok(cell, x) if W.size(0) == W.size(1) else torch.zeros(x.size(1))


def divided_by_the_first(cell, x):
    found = gradient_ok(cell, x)
    return found / found[0]


def one_number(cell, x):
    return gradient_ok(cell, x).sum()


def nothing(cell, x):
    gradient_ok(cell, x)


def forgot_the_last(cell, x):
    return gradient_ok(cell, x)[1:]


# ---------------------------------------------------------------- A1.2
def with_the_cell_of_pytorch(x, h, c, W, U, b):
    cell = torch.nn.LSTMCell(x.size(-1), h.size(-1))
    weights = {"weight_ih": W, "weight_hh": U, "bias_ih": b, "bias_hh": torch.zeros_like(b)}
    return torch.func.functional_call(cell, weights, (x, (h, c)))


def with_numpy(x, h, c, W, U, b):
    x, h, c, W, U, b = (value.double().numpy() for value in (x, h, c, W, U, b))
    i, f, g, o = np.split(x @ W.T + h @ U.T + b, 4, axis=-1)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def row_by_row(x, h, c, W, U, b):
    n, states, belts = h.size(-1), [], []
    for k in range(len(x)):
        z = W @ x[k] + U @ h[k] + b
        belts.append(torch.sigmoid(z[n : 2 * n]) * c[k] + torch.sigmoid(z[:n]) * torch.tanh(z[2 * n : 3 * n]))
        states.append(torch.sigmoid(z[3 * n :]) * torch.tanh(belts[-1]))
    return [torch.stack(states), torch.stack(belts)]


def glued(x, h, c, W, U, b):
    """Una sola matriz para el token y el estado, y la sigmoide a partir de la tangente."""
    z = torch.cat([x, h], -1) @ torch.cat([W, U], -1).mT + b
    i, f, g, o = z.view(len(x), 4, -1).unbind(1)
    i, f, o = (0.5 + 0.5 * torch.tanh(z / 2) for z in (i, f, o))
    c = f * c + i * g.tanh()
    return o * c.tanh(), c


def _gates(x, h, c, W, U, b):
    return (x @ W.T + h @ U.T + b).chunk(4, dim=-1)


def order_ifog(x, h, c, W, U, b):
    i, f, o, g = _gates(x, h, c, W, U, b)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def order_figo(x, h, c, W, U, b):
    f, i, g, o = _gates(x, h, c, W, U, b)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def new_with_sigmoid(x, h, c, W, U, b):
    i, f, g, o = _gates(x, h, c, W, U, b)
    c = f.sigmoid() * c + i.sigmoid() * g.sigmoid()
    return o.sigmoid() * c.tanh(), c


def new_without_tanh(x, h, c, W, U, b):
    i, f, g, o = _gates(x, h, c, W, U, b)
    c = f.sigmoid() * c + i.sigmoid() * g
    return o.sigmoid() * c.tanh(), c


def gates_with_tanh(x, h, c, W, U, b):
    i, f, g, o = _gates(x, h, c, W, U, b)
    c = f.tanh() * c + i.tanh() * g.tanh()
    return o.tanh() * c.tanh(), c


def gates_without_sigmoid(x, h, c, W, U, b):
    i, f, g, o = _gates(x, h, c, W, U, b)
    c = f * c + i * g.tanh()
    return o * c.tanh(), c


def forgets_the_other_way(x, h, c, W, U, b):
    i, f, g, o = _gates(x, h, c, W, U, b)
    c = (1 - f.sigmoid()) * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def without_bias(x, h, c, W, U, b):
    return step_ok(x, h, c, W, U, 0 * b)


def without_state(x, h, c, W, U, b):
    return step_ok(x, 0 * h, c, W, U, b)


def shows_the_old_belt(x, h, c, W, U, b):
    _, new = step_ok(x, h, c, W, U, b)
    o = _gates(x, h, c, W, U, b)[3]
    return o.sigmoid() * c.tanh(), new


def shows_without_tanh(x, h, c, W, U, b):
    _, c = step_ok(x, h, c, W, U, b)
    return _gates(x, h, c, W, U, b)[3].sigmoid() * c, c


def shows_everything(x, h, c, W, U, b):
    _, c = step_ok(x, h, c, W, U, b)
    return c.tanh(), c


def the_other_way_round(x, h, c, W, U, b):
    h, c = step_ok(x, h, c, W, U, b)
    return c, h


def only_the_state(x, h, c, W, U, b):
    return step_ok(x, h, c, W, U, b)[0]


def everything_at_once(x, h, c, W, U, b):
    h, c = step_ok(x, h, c, W, U, b)
    return h, c, h


def no_return(x, h, c, W, U, b):
    step_ok(x, h, c, W, U, b)


def fixed_size(x, h, c, W, U, b):
    z = x @ W.T + h @ U.T + b
    i, f, g, o = z[:, :4], z[:, 4:8], z[:, 8:12], z[:, 12:]
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def swapped_when_square(x, h, c, W, U, b):
    return step_ok(h, x, c, W, U, b) if x.shape == h.shape else step_ok(x, h, c, W, U, b)


def untransposed(x, h, c, W, U, b):
    parts = (x @ W + h @ U + b).chunk(4, dim=-1)
    return parts[3], c


def split_by_rows(x, h, c, W, U, b):
    return (x @ W.T + h @ U.T + b).chunk(4, dim=0)


def in_place(x, h, c, W, U, b):
    i, f, g, o = _gates(x, h, c, W, U, b)
    c *= f.sigmoid()
    c += i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def squashes_the_state_it_gets(x, h, c, W, U, b):
    found = step_ok(x, h, c, W, U, b)
    h.tanh_()
    return found


UNUSUAL = [
    ("A1.1", by_backward),
    ("A1.1", by_jacobian),
    ("A1.1", by_differences),
    ("A1.1", each_token_apart),
    ("A1.2", with_the_cell_of_pytorch),
    ("A1.2", with_numpy),
    ("A1.2", row_by_row),
    ("A1.2", glued),
]

MISTAKES = [
    ("A1.1", whole_gradient, 1, "se piden T números"),
    ("A1.1", wrong_axis, 1, "un número por token"),
    ("A1.1", one_number, 1, "un número por token"),
    ("A1.1", forgot_the_last, 1, "(5,)"),
    ("A1.1", lambda cell, x: cell(x)[0], 1, "(1, 6, 4)"),
    ("A1.1", nothing, 1, "¿falta el return?"),
    ("A1.1", in_order_of_reading, 2, "del revés"),
    ("A1.1", of_every_output, 2, "de la suma del último estado"),
    ("A1.1", of_the_first_output, 2, "outputs[:, -1].sum()"),
    ("A1.1", of_the_mean, 2, "outputs[:, -1].sum()"),
    ("A1.1", of_the_size, 2, "outputs[:, -1].sum()"),
    ("A1.1", added_up, 2, "se esperaba"),
    ("A1.1", squared, 2, "se esperaba"),
    ("A1.1", largest, 2, "se esperaba"),
    ("A1.1", divided_by_the_first, 2, "se esperaba [1.0"[:11]),
    ("A1.1", only_rnn, 3, "torch.nn.LSTM", "raises"),
    ("A1.1", only_last_layer_of_lstm, 3, "torch.nn.GRU"),
    ("A1.1", by_name, 3, "torch.nn.LSTM"),
    ("A1.1", asks_for_gradient_in_place, 4, "requires_grad=True"),
    ("A1.1", changes_the_input, 4, "el x de entrada cambiado"),
    ("A1.2", only_the_state, 1, "(2, 2, 4)"),
    ("A1.2", everything_at_once, 1, "(3, 2, 4)"),
    ("A1.2", no_return, 1, "¿falta el return?"),
    ("A1.2", split_by_rows, 1, "de la forma de h"),
    ("A1.2", untransposed, 1, "", "raises"),
    ("A1.2", order_ifog, 2, "en el orden i, f, g, o"),
    ("A1.2", order_figo, 2, "en el orden i, f, g, o"),
    ("A1.2", new_with_sigmoid, 2, "la tangente hiperbólica"),
    ("A1.2", new_without_tanh, 2, "la tangente hiperbólica"),
    ("A1.2", gates_with_tanh, 2, "pasan por la sigmoide"),
    ("A1.2", gates_without_sigmoid, 2, "pasan por la sigmoide"),
    ("A1.2", forgets_the_other_way, 2, "f.sigmoid() * c"),
    ("A1.2", without_bias, 2, "se esperaba"),
    ("A1.2", without_state, 2, "se esperaba"),
    ("A1.2", the_other_way_round, 2, "en primer lugar"),
    ("A1.2", shows_the_old_belt, 3, "de la cinta nueva"),
    ("A1.2", shows_without_tanh, 3, "la tangente hiperbólica"),
    ("A1.2", shows_everything, 3, "o.sigmoid() * c.tanh()"),
    ("A1.2", fixed_size, 4, "cualquier", "raises"),
    ("A1.2", swapped_when_square, 4, "W va con x"),
    ("A1.2", in_place, 5, "c cambiado a"),
    ("A1.2", squashes_the_state_it_gets, 5, "h cambiado a"),
]
