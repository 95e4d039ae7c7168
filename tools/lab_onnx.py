"""El decodificador embebido en ONNX, para medir el laboratorio junto a quienes leen ese formato.

    python -m tools.lab_onnx --output rivales/modelo_onnx

Necesita el paquete ``onnx``, que el curso no instala. Los pesos van en 16 bits, como en el laboratorio, y las cuentas
en 32; con claves y valores anteriores y los nombres que espera transformers.js. Al final se compara con transformers.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

from course_utils.models import load_model

from . import exit_code
from .lab import CHECKPOINT

TOLERANCE = 1e-4


class PlainGPT2(torch.nn.Module):
    """GPT-2 escrito con operaciones sueltas, que son las que ONNX entiende."""

    def __init__(self, model):
        super().__init__()
        self.config = model.config
        for name, value in model.state_dict().items():
            self.register_buffer(name.replace(".", "__"), value.half())

    def weight(self, name: str) -> torch.Tensor:
        return getattr(self, f"transformer.{name}".replace(".", "__")).float()

    def linear(self, x, name: str):
        return x @ self.weight(f"{name}.weight") + self.weight(f"{name}.bias")

    def norm(self, x, name: str):
        size, epsilon = (self.config.n_embd,), self.config.layer_norm_epsilon
        return F.layer_norm(x, size, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), epsilon)

    def attend(self, x, name: str, past_key, past_value, hidden):
        """Lo que recoge cada token, (B, T, E), y las claves y valores con los nuevos, (B, H, P + T, E / H)."""
        batch, length, size = x.shape
        parts = self.linear(x, name).split(size, -1)
        query, key, value = (p.view(batch, length, self.config.n_head, -1).transpose(1, 2) for p in parts)
        key, value = torch.cat([past_key, key], 2), torch.cat([past_value, value], 2)
        weights = (query @ key.transpose(-1, -2) / math.sqrt(size // self.config.n_head) + hidden).softmax(-1)
        return (weights @ value).transpose(1, 2).reshape(x.shape), key, value

    def forward(self, input_ids, attention_mask, position_ids, *past):
        x = self.weight("wte.weight")[input_ids] + self.weight("wpe.weight")[position_ids]
        places = torch.arange(past[0].size(2) + input_ids.size(1))[None, None, None, :]
        hidden = torch.where(places <= position_ids[:, None, :, None], 0.0, -1e9)  # lo que viene después no se mira
        hidden = hidden + (1.0 - attention_mask[:, None, None, :].float()) * -1e9
        present = []
        for i in range(self.config.n_layer):
            read, *stored = self.attend(
                self.norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn", *past[2 * i : 2 * i + 2], hidden
            )
            present += stored
            x = x + self.linear(read, f"h.{i}.attn.c_proj")
            wide = F.gelu(self.linear(self.norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"), approximate="tanh")
            x = x + self.linear(wide, f"h.{i}.mlp.c_proj")
        return (self.norm(x, "ln_f") @ self.weight("wte.weight").T, *present)


def export(folder: Path) -> float:
    """Escribe el modelo y su configuración; devuelve la mayor diferencia de logits con transformers."""
    model, _ = load_model("decoder", "mini")
    plain, config = PlainGPT2(model), model.config
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(CHECKPOINT / name, folder / name)
    names = [f"{i}.{part}" for i in range(config.n_layer) for part in ("key", "value")]
    inputs = ["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{name}" for name in names)]
    outputs = ["logits", *(f"present.{name}" for name in names)]
    ids, past = torch.arange(5, 10)[None], torch.zeros(1, config.n_head, 3, config.n_embd // config.n_head)
    arguments = (ids, torch.ones(1, 8, dtype=torch.long), torch.arange(3, 8)[None], *[past] * len(names))
    axes = {name: {0: "batch", 2 if "." in name else 1: f"length of {name}"} for name in [*inputs, *outputs]}
    options = {"dynamo": False, "opset_version": 17, "do_constant_folding": False, "dynamic_axes": axes}
    path = str(folder / "onnx" / "model.onnx")
    torch.onnx.export(plain, arguments, path, input_names=inputs, output_names=outputs, **options)
    with torch.inference_mode():
        found = plain(ids, torch.ones_like(ids), torch.arange(5)[None], *[past[:, :, :0]] * len(names))[0]
        return (found - model(ids).logits).abs().max().item()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.lab_onnx", description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="CARPETA", help="dónde dejar el modelo")
    options = parser.parse_args()

    def work() -> list[str]:
        difference = export(options.output)
        print(f"{options.output}: diferencia máxima con transformers, {difference:.0e}")
        return [] if difference < TOLERANCE else [f"Los logits difieren en {difference:.0e}, más de {TOLERANCE:.0e}."]

    return exit_code(work, "")


if __name__ == "__main__":
    sys.exit(main())
