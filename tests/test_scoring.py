"""token_logprobs frente a una pasada por prefijo y frente a distribuciones conocidas."""

import math
from types import SimpleNamespace

import pytest
import torch

from course_utils.scoring import token_logprobs


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
