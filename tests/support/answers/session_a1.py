"""Respuestas de la sesión A1: el gradiente según la distancia y un paso de LSTM."""

import numpy as np
import torch

from answers import published

gradient_ok, step_ok, last_ok, mix_ok = published("A1").values()


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


def with_numpy_backwards(cell, x):
    x = x.clone().requires_grad_()
    cell(x)[0][:, -1].sum().backward()
    return np.linalg.norm(x.grad[0].numpy(), axis=-1)[::-1]  # un array de pasos negativos


def with_func(cell, x):
    return tuple(torch.func.grad(lambda read: cell(read)[0][:, -1].sum())(x)[0].norm(dim=-1).flip(0).tolist())


def without_asking_for_gradient(cell, x):
    (gradient,) = torch.autograd.grad(cell(x)[0][:, -1].sum(), x)
    return gradient[0].norm(dim=-1).flip(0)


def without_adding_up(cell, x):
    x = x.clone().requires_grad_()
    cell(x)[0][:, -1].backward()
    return x.grad[0].norm(dim=-1).flip(0)


def of_the_last_number(cell, x):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cell(x)[0][..., -1].sum(), x)
    return gradient[0].norm(dim=-1).flip(0)


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


# ---------------------------------------------------------------- A1.3
def last_by_loop(outputs, lengths):
    return [row[n - 1] for row, n in zip(outputs, lengths, strict=True)]


def last_by_gather(outputs, lengths):
    place = (lengths - 1)[:, None, None].expand(-1, 1, outputs.size(-1))
    return outputs.gather(1, place).squeeze(1)


def last_by_mask(outputs, lengths):
    return (outputs * (torch.arange(outputs.size(1)) == lengths[:, None] - 1)[..., None]).sum(1)


def last_with_numpy(outputs, lengths):
    return outputs.numpy()[np.arange(len(outputs)), lengths.numpy() - 1]


def last_column(outputs, lengths):
    return outputs[:, -1]


def last_before_padding_of_the_longest(outputs, lengths):
    return outputs[:, int(lengths.max()) - 1]


def one_too_many(outputs, lengths):
    return outputs[torch.arange(len(outputs)), lengths]


def one_too_few(outputs, lengths):
    return outputs[torch.arange(len(outputs)), lengths - 2]


def first_column(outputs, lengths):
    return outputs[:, 0]


def every_pair(outputs, lengths):
    return outputs[:, lengths - 1]


def of_the_first_row(outputs, lengths):
    return outputs[0, lengths - 1]


def the_mean(outputs, lengths):
    real = torch.arange(outputs.size(1)) < lengths[:, None]
    return (outputs * real[..., None]).sum(1) / lengths[:, None]


def mean_with_padding(outputs, lengths):
    return outputs.mean(1)


def the_highest(outputs, lengths):
    return outputs.amax(1)


def a_column_more(outputs, lengths):
    return last_ok(outputs, lengths)[:, None]


def only_a_number(outputs, lengths):
    return last_ok(outputs, lengths).sum(-1)


def cut_short(outputs, lengths):
    return outputs[torch.arange(len(outputs)), lengths - 1, :1]


def last_nothing(outputs, lengths):
    last_ok(outputs, lengths)


def only_two_rows(outputs, lengths):
    return torch.stack([outputs[k, lengths[k] - 1] for k in range(2)])


def last_when_uneven(outputs, lengths):
    return outputs[:, -1] if lengths.min() == lengths.max() else last_ok(outputs, lengths)


def lengths_in_place(outputs, lengths):
    lengths -= 1
    return outputs[torch.arange(len(outputs)), lengths]


def blanks_the_padding(outputs, lengths):
    found = last_ok(outputs, lengths).clone()
    outputs[:, int(lengths.min()) :] = 0
    return found


# ---------------------------------------------------------------- A1.4
def mixed_by_loop(layers, scores, scale):
    shares = scores.exp() / scores.exp().sum()
    total = 0
    for share, layer in zip(shares, layers, strict=True):
        total = total + share * layer
    return (scale * total).tolist()


def mixed_by_einsum(layers, scores, scale):
    return torch.einsum("k...,k->...", layers, scale * torch.softmax(scores, -1))


def mixed_by_product(layers, scores, scale):
    return scale * torch.tensordot(scores.softmax(0), layers, dims=1)


def mixed_with_numpy(layers, scores, scale):
    shares = np.exp(scores.numpy() - scores.numpy().max())
    return scale * np.average(layers.numpy(), axis=0, weights=shares)


def plain_sum(layers, scores, scale):
    return layers.sum(0)


def raw_scores(layers, scores, scale):
    return scale * (scores[:, None, None, None] * layers).sum(0)


def not_added(layers, scores, scale):
    return scale * scores.softmax(0)[:, None, None, None] * layers


def added_elsewhere(layers, scores, scale):
    return scale * (scores.softmax(0)[:, None, None, None] * layers).sum(1)


def averaged(layers, scores, scale):
    return scale * (scores.softmax(0)[:, None, None, None] * layers).mean(0)


def just_the_mean(layers, scores, scale):
    return scale * layers.mean(0)


def only_the_last(layers, scores, scale):
    return scale * layers[-1]


def only_the_best(layers, scores, scale):
    return scale * layers[scores.argmax()]


def sigmoids(layers, scores, scale):
    return scale * (scores.sigmoid()[:, None, None, None] * layers).sum(0)


def exponentials(layers, scores, scale):
    return scale * (scores.exp()[:, None, None, None] * layers).sum(0)


def backwards(layers, scores, scale):
    return mix_ok(layers, scores.flip(0), scale)


def along_the_numbers(layers, scores, scale):
    shares = scores.softmax(0)
    return scale * (shares * layers).sum(0) if len(shares) == layers.size(-1) else mix_ok(layers, scores, scale)


def no_scale(layers, scores, scale):
    return mix_ok(layers, scores, 1.0)


def scaled_scores(layers, scores, scale):
    return mix_ok(layers, scores * scale, 1.0)


def scale_added(layers, scores, scale):
    return mix_ok(layers, scores, 1.0) + scale - 1.0


def shares_without_dimensions(layers, scores, scale):
    return scale * (scores.softmax(0) * layers.permute(1, 2, 3, 0)).sum()


def mix_nothing(layers, scores, scale):
    mix_ok(layers, scores, scale)


def layers_in_place(layers, scores, scale):
    layers *= scores.softmax(0)[:, None, None, None]
    return scale * layers.sum(0)


def scores_in_place(layers, scores, scale):
    found = mix_ok(layers, scores, scale)
    scores.copy_(scores.softmax(0))
    return found


UNUSUAL = [
    ("A1.1", by_backward),
    ("A1.1", by_jacobian),
    ("A1.1", by_differences),
    ("A1.1", each_token_apart),
    ("A1.1", with_numpy_backwards),
    ("A1.1", with_func),
    ("A1.2", with_the_cell_of_pytorch),
    ("A1.2", with_numpy),
    ("A1.2", row_by_row),
    ("A1.2", glued),
    ("A1.3", last_by_loop),
    ("A1.3", last_by_gather),
    ("A1.3", last_by_mask),
    ("A1.3", last_with_numpy),
    ("A1.4", mixed_by_loop),
    ("A1.4", mixed_by_einsum),
    ("A1.4", mixed_by_product),
    ("A1.4", mixed_with_numpy),
]

MISTAKES = [
    ("A1.1", whole_gradient, 1, "se piden T números"),
    ("A1.1", wrong_axis, 1, "un número por token"),
    ("A1.1", one_number, 1, "un número por token"),
    ("A1.1", forgot_the_last, 1, "(5,)"),
    ("A1.1", lambda cell, x: cell(x)[0], 1, "(1, 6, 4)"),
    ("A1.1", nothing, 1, "¿falta el return?"),
    ("A1.1", in_order_of_reading, 2, "del revés"),
    ("A1.1", without_asking_for_gradient, 1, "pídelo antes de la cuenta", "raises"),
    ("A1.1", without_adding_up, 1, "suma antes", "raises"),
    ("A1.1", of_the_last_number, 2, "de la suma del último estado"),
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
    ("A1.3", every_pair, 1, "un paso distinto en cada fila"),
    ("A1.3", a_column_more, 1, "(2, 1, 2)"),
    ("A1.3", only_a_number, 1, "un solo estado"),
    ("A1.3", cut_short, 1, "(2, 1)"),
    ("A1.3", last_nothing, 1, "¿falta el return?"),
    ("A1.3", last_column, 2, "En la última columna hay relleno"),
    ("A1.3", last_before_padding_of_the_longest, 2, "lengths - 1"),
    ("A1.3", one_too_many, 2, "se cuentan desde 0"),
    ("A1.3", one_too_few, 2, "se cuentan desde 0"),
    ("A1.3", first_column, 2, "se esperaba"),
    ("A1.3", of_the_first_row, 2, "se esperaba"),
    ("A1.3", the_mean, 2, "se esperaba"),
    ("A1.3", mean_with_padding, 2, "se esperaba"),
    ("A1.3", the_highest, 2, "se esperaba"),
    ("A1.3", only_two_rows, 2, "(3, 2)"),
    ("A1.3", last_when_uneven, 3, "todas del mismo largo"),
    ("A1.3", lengths_in_place, 4, "lengths cambiado a"),
    ("A1.3", blanks_the_padding, 4, "outputs cambiado a"),
    ("A1.4", not_added, 1, "que es la primera"),
    ("A1.4", added_elsewhere, 1, ".sum(0)"),
    ("A1.4", mix_nothing, 1, "¿falta el return?"),
    ("A1.4", shares_without_dimensions, 1, "se han juntado en una"),
    ("A1.4", plain_sum, 2, "las partes suman 1"),
    ("A1.4", raw_scores, 2, "no son el reparto"),
    ("A1.4", averaged, 2, "las partes suman 1"),
    ("A1.4", only_the_last, 2, "se esperaba"),
    ("A1.4", only_the_best, 2, "se esperaba"),
    ("A1.4", sigmoids, 2, "softmax"),
    ("A1.4", exponentials, 2, "softmax"),
    ("A1.4", just_the_mean, 3, "va con layers[k]"),
    ("A1.4", backwards, 3, "qué capa multiplica cada parte"),
    ("A1.4", along_the_numbers, 3, "shares[:, None, None, None]"),
    ("A1.4", no_scale, 4, "distinto de 1"),
    ("A1.4", scaled_scores, 4, "y no las puntuaciones"),
    ("A1.4", scale_added, 4, "multiplica la mezcla"),
    ("A1.4", layers_in_place, 5, "layers cambiado a"),
    ("A1.4", scores_in_place, 5, "scores cambiado a"),
]
