"""Los ejercicios de la sesión 01 frente a la solución, al hueco sin tocar y a errores típicos."""

import math

import pytest
import torch

from course_utils import checks
from course_utils.checks import session_01

INF = float("inf")


# ---------------------------------------------------------------- soluciones
def mask_ok(t):
    return torch.ones(t, t, dtype=torch.bool).tril()


def weights_ok(q, k, mask):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    return scores.masked_fill(~mask, -INF).softmax(-1)


def last_layer(model, ids):
    with torch.no_grad():
        return model(ids, output_hidden_states=True).hidden_states[-1][0]


def moved_ok(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    distance = (last_layer(model, changed) - last_layer(model, ids)).abs().amax(-1)
    return (distance > 1e-4).nonzero().flatten().tolist()


def fill_ok(model, ids, mask_token_id, k):
    position = (ids[0] == mask_token_id).nonzero().item()
    return model(ids).logits[0, position].topk(k).indices


# ---------------------------------------------------------------- errores típicos
def strided(t):
    return torch.eye(t).bool() | torch.eye(t).roll(-1, 1).tril().bool()


def scaled_in_place(q, k, mask):
    q /= math.sqrt(q.size(-1))
    return (q @ k.transpose(-2, -1)).masked_fill(~mask, -INF).softmax(-1)


def no_return(q, k, mask):
    weights_ok(q, k, mask)


def moved_in_place(model, ids, position, new_id):
    before = last_layer(model, ids)
    ids[0, position] = new_id
    return ((last_layer(model, ids) - before).abs().amax(-1) > 1e-4).nonzero().flatten().tolist()


def moved_alias(model, ids, position, new_id):
    changed, before = ids, last_layer(model, ids)
    changed[0, position] = new_id
    return ((last_layer(model, changed) - before).abs().amax(-1) > 1e-4).nonzero().flatten().tolist()


def moved_ids(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    return (ids != changed)[0].nonzero().flatten().tolist()


def moved_tensor(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    return (last_layer(model, changed) - last_layer(model, ids)).abs().amax(-1) > 1e-4


def moved_wrong_axis(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    distance = (last_layer(model, changed) - last_layer(model, ids)).abs().amax(0)
    return (distance > 1e-4).nonzero().flatten().tolist()


def moved_only_gpt(model, ids, position, new_id):
    changed = ids.clone()
    changed[0, position] = new_id
    states = [model.transformer(x).last_hidden_state[0] for x in (ids, changed)]
    return ((states[1] - states[0]).abs().amax(-1) > 1e-4).nonzero().flatten().tolist()


def like_a_decoder(model, ids, mask_token_id, k):
    position = (ids[0] == mask_token_id).nonzero().item() - 1
    return model(ids).logits[0, position].topk(k).indices


SOLUTIONS = {"1.1": mask_ok, "1.2": weights_ok, "1.3": moved_ok, "1.4": fill_ok}
WRONG = [
    ("1.1", lambda t: torch.ones(t, t).tril(), "torch.float32"),
    ("1.1", lambda t: torch.ones(t, t).bool().triu(), "y no el de arriba, triu"),
    ("1.1", lambda t: torch.ones(t, t).bool().tril(-1), "a sí mismo"),
    ("1.1", lambda t: torch.ones(t, t).bool(), "columna <= fila"),
    ("1.1", lambda t: torch.eye(t).bool(), "no solo la anterior"),
    ("1.1", strided, "no solo la anterior"),
    ("1.1", lambda t: torch.ones(4, 4).bool().tril(), "en lugar de un tamaño fijo"),
    ("1.1", lambda t: torch.zeros(t, t).masked_fill(~mask_ok(t), -INF), "booleano"),
    ("1.1", lambda t: mask_ok(t).tolist(), "de tipo list"),
    ("1.1", lambda t: mask_ok(t)[None], "(1, 4, 4)"),
    ("1.2", lambda q, k, m: (q @ k.transpose(-2, -1)).masked_fill(~m, -INF).softmax(-1), "raíz cuadrada de D"),
    ("1.2", lambda q, k, m: (q @ k.mT / q.size(-1)).masked_fill(~m, -INF).softmax(-1), "raíz cuadrada de D"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(q.size(-2))).masked_fill(~m, -INF).softmax(-1), "q.size(-1)"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).masked_fill(~m, -INF).softmax(-2), "dim=-1"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).softmax(-1), "Tapa antes del softmax"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).softmax(-1) * m, "Tapa antes del softmax"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).masked_fill(~m, 0).softmax(-1), "Con 0 en lugar de -inf"),
    ("1.2", lambda q, k, m: (q @ k.mT / math.sqrt(8)).masked_fill(m, -INF).softmax(-1), "filas que suman"),
    (
        "1.2",
        lambda q, k, m: (q @ k.flatten(0, -2).T / math.sqrt(8)).masked_fill(~m, -INF).softmax(-1),
        "k.transpose(-2, -1)",
    ),
    ("1.2", lambda q, k, m: q @ k.mT / math.sqrt(8), "softmax por filas"),
    ("1.2", no_return, "¿falta el return?"),
    ("1.2", scaled_in_place, "q / x en vez de q /= x"),
    ("1.3", moved_in_place, "ids.clone()"),
    ("1.3", moved_alias, "los ids de entrada cambiados"),
    ("1.3", moved_ids, "[2]; se esperaba [2, 3, 4, 5]"),
    ("1.3", moved_tensor, ".tolist()"),
    ("1.3", moved_wrong_axis, "amax(-1)"),
    ("1.3", moved_only_gpt, "las dos familias"),
    ("1.3", lambda model, ids, p, new: list(range(p, ids.size(1))), "No des por hecho"),
    ("1.3", lambda model, ids, p, new: list(range(ids.size(1))), "se esperaba [2, 3, 4, 5]"),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, -1].topk(k).indices, "de esa misma posición"),
    ("1.4", like_a_decoder, "la respuesta sale donde está la pregunta"),
    ("1.4", lambda model, ids, m, k: fill_ok(model, ids, m, 1), "de mayor a menor"),
    ("1.4", lambda model, ids, m, k: fill_ok(model, ids, m, k).flip(0), "de mayor a menor"),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, 2].topk(k).indices, "No escribas la posición a mano"),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, 2].topk(k).values, "que no son ids"),
    ("1.4", lambda model, ids, m, k: model(ids).logits[0, 2].argsort()[:k], "topk(k).indices"),
    ("1.4", lambda model, ids, m, k: model(ids).logits.topk(k).indices, "de forma (1, 6, 1)"),
]


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_solution_is_accepted(exercise, capsys):
    checks.check(exercise, SOLUTIONS[exercise], strict=True)
    out = capsys.readouterr().out
    assert "resuelto" in out and "❌" not in out and out.count("✅") == len(checks.EXERCISES[exercise])


def by_comparison(t):
    places = torch.arange(t)
    return places[None] <= places[:, None]


def moved_by_logits(model, ids, position, new_id):
    changed = torch.cat([ids[:, :position], torch.tensor([[new_id]]), ids[:, position + 1 :]], 1)
    out = [model(input_ids=x).logits for x in (ids, changed)]
    return [t for t in range(ids.size(1)) if not torch.allclose(out[0][0, t], out[1][0, t], atol=1e-5)]


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("1.1", by_comparison),
        ("1.1", lambda t: ~torch.ones(t, t).triu(1).bool()),
        ("1.2", lambda q, k, m: torch.softmax((q / q.size(-1) ** 0.5) @ k.mT + torch.where(m, 0.0, -INF), -1)),
        ("1.2", lambda q, k, m: torch.softmax(q @ k.mT / q.shape[-1] ** 0.5 - 1e9 * (~m), dim=-1)),
        ("1.3", moved_by_logits),
        ("1.4", lambda model, ids, m, k: model(input_ids=ids).logits[ids == m].topk(k).indices[0].tolist()),
        ("1.4", lambda model, ids, m, k: model(ids).logits[0, ids[0].tolist().index(m)].argsort(descending=True)[:k]),
    ],
)
def test_other_right_answers_are_accepted(exercise, answer):
    checks.check(exercise, answer, strict=True)


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_stub_is_pending_and_never_raises(exercise, capsys):
    def stub(model, ids, position, new_id): ...

    for answer in (stub, None, ...):
        checks.check(exercise, answer)
        assert "pendiente" in capsys.readouterr().out


@pytest.mark.parametrize(("exercise", "answer", "fragment"), WRONG)
def test_typical_mistake_gets_its_hint(exercise, answer, fragment, assert_hint):
    assert_hint(exercise, answer, fragment)


def test_every_exercise_has_a_solution_and_three_mistakes():
    assert set(SOLUTIONS) == set(session_01.EXERCISES)
    for exercise in session_01.EXERCISES:
        assert sum(name == exercise for name, *_ in WRONG) >= 3


def test_careless_answers_change_nothing(capsys):
    before = session_01.IDS.clone()
    torch.manual_seed(0)
    session_01.toy_encoder.cache_clear()
    state = torch.get_rng_state()
    checks.check("1.3", moved_in_place)
    checks.check("1.4", lambda model, ids, m, k: ids.fill_(1))
    assert torch.equal(session_01.IDS, before) and torch.equal(torch.get_rng_state(), state)
    checks.check("1.3", moved_ok, strict=True)
    checks.check("1.4", fill_ok, strict=True)
