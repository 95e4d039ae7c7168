"""Las cifras de los recorridos del laboratorio, calculadas con PyTorch y transformers: la otra cuenta de numbers.js."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from itertools import pairwise

import torch
from cuadernos import ROOT
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from course_utils import decoding
from course_utils.attention import capture_attention

LAB = ROOT / "docs" / "lab"
PLAIN = {"temperature": 1, "topK": 0, "topP": 1, "minP": 0}
PLACEHOLDER = re.compile(r"\{([^{}|]+)(?:\|([^{}]*))?\}")
EOS = "<|endoftext|>"


def load_tours() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((LAB / "tours").glob("*.json"))}


def load_passages() -> list[dict]:
    return json.loads((LAB / "panels" / "passages.json").read_text(encoding="utf-8"))


def read_number(shown: str) -> float:
    """El número que hay en una cifra: «17,2 %», «−2,60», «una vez de cada 16,1 millones»."""
    digits = re.search(r"−?[\d\u202f\u00a0]+(?:,\d+)?(?=\D*$)", shown.replace("<", ""))[0]
    value = float(re.sub(r"[\u202f\u00a0]", "", digits).replace("−", "-").replace(",", "."))
    return value * 1e6 if "millones" in shown else value


def decimals(shown: str) -> int:
    found = re.search(r",(\d+)", shown)
    return len(found[1]) if found else 0


def agrees(shown: str, truth: float | str) -> bool:
    """Si una cifra de la página es la de aquí, con la última cifra redondeada."""
    if isinstance(truth, str):
        return shown == truth
    unit = 10 ** -decimals(shown) * (1e6 if "millones" in shown else 1)
    if shown.startswith("<"):
        return 0 <= truth < read_number(shown)
    return abs(read_number(shown) - truth) <= 0.5 * unit + 2e-4 * abs(truth) + 1e-9


class Truth:
    """Lo que dice el modelo, para un texto dado por sus ids."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.names = [decoding.show_token(tokenizer, token) for token in range(model.config.vocab_size)]

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text.replace("⟨EOS⟩", EOS)).input_ids or [self.tokenizer.eos_token_id]

    def token(self, shown: str) -> int:
        return self.tokenizer.eos_token_id if shown == "EOS" else self.names.index(shown)

    @torch.inference_mode()
    def logits(self, ids: list[int]) -> torch.Tensor:
        """(T, V), en doble precisión desde los logits del modelo."""
        return self.model(torch.tensor([ids])).logits[0].double()

    def probs(self, ids: list[int]) -> torch.Tensor:
        return self.logits(ids)[-1].softmax(-1)

    def filtered(self, ids: list[int], settings: dict) -> torch.Tensor:
        """Los logits tras los filtros de Hugging Face, en su orden: (V,)."""
        steps = LogitsProcessorList()
        if settings["temperature"] not in (0, 1):
            steps.append(TemperatureLogitsWarper(float(settings["temperature"])))
        if settings["topK"]:
            steps.append(TopKLogitsWarper(settings["topK"]))
        if settings["topP"] < 1:
            steps.append(TopPLogitsWarper(settings["topP"]))
        if settings["minP"]:
            steps.append(MinPLogitsWarper(settings["minP"]))
        return steps(torch.tensor([ids]), self.logits(ids)[-1:].float())[0]

    def bits(self, ids: list[int]) -> list[float]:
        """La sorpresa de cada token con algo delante: (T - 1,)."""
        logprobs = self.logits(ids).log_softmax(-1)
        return [-logprobs[k, token].item() / math.log(2) for k, token in enumerate(ids[1:])]

    def search(self, ids: list[int], beams: int, depth: int) -> tuple[list[int], float]:
        """Los ids nuevos de ``generate`` con esos haces y la suma de su log P, en nats."""
        options = {"do_sample": False, "num_beams": beams, "max_new_tokens": depth, "eos_token_id": None}
        out = self.model.generate(torch.tensor([ids]), **options, pad_token_id=1, early_stopping=False)[0].tolist()
        return out[len(ids) :], -math.log(2) * sum(self.bits(out)[len(ids) - 1 :])

    def passage(self, number: int) -> tuple[list[int], list[int]]:
        """Los ids de un pasaje, con el EOS delante, y en qué puestos se apuesta: diez palabras desde la séptima."""
        ids = [self.tokenizer.eos_token_id, *self.ids(load_passages()[number - 1]["text"])]
        starts = [k for k, token in enumerate(ids) if k > 1 and re.match(r"␣[^\W\d_]", self.names[token])]
        return ids, starts[5:15]


def figures(truth: Truth) -> dict[str, Callable]:
    """Nombre de cada cifra → su valor, dados los ids del texto, cuántos son del prompt, los mandos y sus argumentos."""

    def prob(ids, token, settings=None):
        probs = truth.probs(ids) if settings is None else truth.filtered(ids, settings).softmax(-1)
        return probs[truth.token(token)].item()

    def changed(change):
        name, value = change.split("=")
        return PLAIN | {name: float(value)}

    def kept(ids, settings):
        return float(truth.filtered(ids, settings).isfinite().sum())

    def attention(ids, layer, head, seen, looker=None):
        shown = [truth.names[token] for token in ids]
        row = shown.index(looker) if looker else len(ids) - 1
        column = int(seen[1:]) - 1 if seen.startswith("#") else shown.index(seen)
        maps = capture_attention(truth.model, torch.tensor([ids]))  # (capas, 1, cabezas, T, T)
        return 100 * maps[int(layer) - 1, 0, int(head) - 1, row, column].item()

    def best(ids, place):
        return truth.logits(ids)[-1].sort(descending=True, stable=True).indices[int(place) - 1].item()

    def top_sum(ids, count):
        return truth.probs(ids).topk(int(count)).values.sum().item()

    def pairs(ids):
        return len(set(pairwise(ids))) / (len(ids) - 1)

    def ppl(ids):
        found = truth.bits(ids)
        return 2 ** (sum(found) / len(found))

    def highest(ids, start, token):
        probs = truth.logits(ids).softmax(-1)[start - 1 : -1, truth.token(token)]
        return 1 / probs.max().item()

    def rank(ids, token):
        logits = truth.logits(ids)[-1]
        return 1.0 + (logits > logits[truth.token(token)]).sum().item()

    def novel(number):
        ids, asked = truth.passage(int(number))
        found = truth.bits(ids)
        return sum(found[k - 1] for k in asked) / len(asked)

    text = truth.tokenizer.decode
    config = truth.model.config
    return {
        "p": lambda s, token: 100 * prob(s.ids, token),
        "q": lambda s, token: 100 * prob(s.ids, token, s.settings),
        "at": lambda s, change, token: 100 * prob(s.ids, token, changed(change)),
        "one": lambda s, token: 1 / prob(s.ids, token),
        "rank": lambda s, token: rank(s.ids, token),
        "top": lambda s, k: truth.names[best(s.ids, k)],
        "ptop": lambda s, k: 100 * truth.probs(s.ids)[best(s.ids, k)].item(),
        "sum": lambda s, k: 100 * top_sum(s.ids, k),
        "tail": lambda s, k: 100 * (1 - top_sum(s.ids, k)),
        "kept": lambda s, change=None: kept(s.ids, changed(change) if change else s.settings),
        "att": lambda s, *args: attention(s.ids, *args),
        "maps": lambda s: float(config.n_layer * config.n_head),
        "vocab": lambda s: float(config.vocab_size),
        "dice": lambda s: math.log2(config.vocab_size),
        "n": lambda s: float(len(s.ids)),
        "scored": lambda s: float(len(s.ids) - 1),
        "new": lambda s: float(len(s.ids) - s.start),
        "tok": lambda s, place: truth.names[s.ids[int(place) - 1]],
        "last": lambda s: truth.names[s.ids[-1]],
        "plast": lambda s: 100 * 2 ** -truth.bits(s.ids)[-1],
        "blast": lambda s: truth.bits(s.ids)[-1],
        "brest": lambda s: sum(truth.bits(s.ids)[:-1]) / (len(s.ids) - 2),
        "total": lambda s: sum(truth.bits(s.ids)),
        "mean": lambda s: sum(truth.bits(s.ids)) / (len(s.ids) - 1),
        "ppl": lambda s: ppl(s.ids),
        "bpc": lambda s: sum(truth.bits(s.ids)) / len(text(s.ids, skip_special_tokens=True)),
        "ratio": lambda s, other: ppl(s.ids) / ppl(truth.ids(other)),
        "distinct": lambda s: 100 * pairs(s.ids[s.start :]),
        "count": lambda s, words: float(text(s.ids[s.start :]).count(words)),
        "highest": lambda s, token: highest(s.ids, s.start, token),
        "seed": lambda s: float(s.settings["seed"]),
        "beam": lambda s, k, n: truth.search(s.ids, int(k), int(n))[1],
        "beamp": lambda s, k, n: 100 * math.exp(truth.search(s.ids, int(k), int(n))[1]),
        "beamtext": lambda s, k, n: text(truth.search(s.ids, int(k), int(n))[0]),
        "greedy": lambda s, n: truth.search(s.ids, 1, int(n))[1],
        "greedyp": lambda s, n: 100 * math.exp(truth.search(s.ids, 1, int(n))[1]),
        "greedytext": lambda s, n: text(truth.search(s.ids, 1, int(n))[0]),
        "novel": lambda s, number: novel(number),
    }
