"""El árbol grabado de la portada del sitio: lo que el modelo espera tras unos principios, sin descargarlo.

    python -m tools.lab --portada           escribe docs/portada.json

De cada principio se guardan los tres primeros pasos, con las seis candidatas de cada uno y su probabilidad; la página
(docs/portada.js) deja recorrerlo y después abre el laboratorio en ese mismo texto. Una prueba vuelve a puntuar todas
las probabilidades con el modelo embebido.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from course_utils.decoding import show_token
from course_utils.models import load_model

from . import ROOT, write_if_changed

OUTPUT = ROOT / "docs" / "portada.json"
PROMPTS = ("Había una vez", "El rey y la", "Se comió el", "En un lugar de la Mancha, de cuyo nombre no quiero")
LEVELS, WIDTH = 3, 6


@torch.inference_mode()
def branches(model, ids: torch.Tensor, levels: int = LEVELS, width: int = WIDTH) -> list[list]:
    """Las ``width`` candidatas tras cada fila de ``ids`` (B, T), con su probabilidad y, hasta ``levels``, lo que sigue.

    Returns
    -------
    list
        Por fila, una lista de ``[id, probabilidad]`` o ``[id, probabilidad, lo que sigue]``, de más a menos probable.
    """
    best = model(ids).logits[:, -1].float().softmax(-1).topk(width)  # (B, width)
    found = [
        [[token, float(f"{p:.4g}")] for token, p in zip(*row, strict=True)]
        for row in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    if levels > 1:
        longer = torch.cat([ids.repeat_interleave(width, 0), best.indices.reshape(-1, 1)], 1)  # (B·width, T + 1)
        following = iter(branches(model, longer, levels - 1, width))
        found = [[[*one, next(following)] for one in row] for row in found]
    return found


def recorded(fingerprint: str, size: int) -> dict:
    """Lo que guarda ``portada.json``: de qué pesos sale, cuántos bytes se descargan, y el árbol de cada principio.

    Raises
    ------
    ValueError
        Si una candidata no es texto por sí sola (media letra): la portada no podría escribirla.
    """
    model, tokenizer = load_model("decoder", "mini")
    trees = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids  # (1, T)
        trees.append({"prompt": prompt, "tokens": ids.size(1), "next": branches(model, ids)[0]})
    used = sorted({token for tree in trees for token in tokens_in(tree["next"])})
    names = {token: show_token(tokenizer, token) for token in used}
    if broken := [name for name in names.values() if "⟨" in name]:
        raise ValueError(f"no se puede escribir «{broken[0]}» por sí solo: cambia PROMPTS, en tools/portada.py.")
    return {"model": fingerprint, "bytes": size, "vocab": model.config.vocab_size, "names": names, "trees": trees}


def tokens_in(tree: list) -> set[int]:
    """Los ids que salen en un árbol."""
    return {token for one in tree for token in ({one[0]} | (tokens_in(one[2]) if len(one) > 2 else set()))}


def write(manifest: str, output: Path = OUTPUT) -> bool:
    """Escribe el árbol, con la huella de los pesos y el tamaño que dice ``manifest`` (sha256.json); si ha cambiado."""
    described = json.loads(manifest)["files"]
    size = sum(one["bytes"] for name, one in described.items() if name != "README.md")
    found = recorded(described["model.safetensors"]["sha256"][:16], size)
    return write_if_changed(output, json.dumps(found, ensure_ascii=False, separators=(",", ":")))
