"""Un Gemma 3 diminuto al azar, en GGUF y repartido en paquetes de pip de mentira, como el de verdad."""

import base64
import hashlib
from pathlib import Path

import numpy as np
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

NAME = "gemma-de-mentira"
WORDS = ["▁en", "▁un", "▁lugar", "▁de", "▁la", "▁mancha", "en", "un", "la", "de", "lu", "gar", "lugar", "man", "cha"]
TEXT = "en un lugar de la mancha"
# De los nombres de transformers a los de GGUF, dentro de cada capa.
_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def vocabulary() -> tuple[list[str], list[int]]:
    """Los tokens y su clase: 3, de control; 6, un byte; 1, normal."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz"]
    pieces = sorted({word[:end] for word in WORDS for end in range(2, len(word) + 1)})
    tokens = special + [f"<0x{byte:02X}>" for byte in range(256)] + pieces + letters
    return tokens, [3] * 5 + [6] * 256 + [1] * (len(pieces) + len(letters))


def network(seed: int = 0) -> Gemma3ForCausalLM:
    """Dos capas, con pesos grandes y ya redondeados a bfloat16, que es en lo que se guardan."""
    config = Gemma3TextConfig(
        vocab_size=len(vocabulary()[0]),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=128,
        sliding_window=64,
        query_pre_attn_scalar=256,
        initializer_range=0.3,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Gemma3ForCausalLM(config).eval()
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    return model


def write_gguf(path: Path, model: Gemma3ForCausalLM) -> None:
    import gguf

    config, (tokens, kinds) = model.config, vocabulary()
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_sliding_window(config.sliding_window)
    writer.add_rope_freq_base(1e6)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(index) for index in range(len(tokens))])
    writer.add_token_types(kinds)
    for name, index in {"pad": 0, "eos": 1, "bos": 2, "unk": 3}.items():
        getattr(writer, f"add_{name}_token_id")(index)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":  # es la misma que la de entrada
            continue
        array = value.float().numpy().astype(np.float32)
        writer.add_tensor(_gguf_name(name), array + 1 if "norm" in name else array)  # llama.cpp guarda 1 + peso
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()


def _gguf_name(name: str) -> str:
    name = name.removeprefix("model.").removesuffix(".weight")
    if name.startswith("layers."):
        _, layer, rest = name.split(".", 2)
        return f"blk.{layer}.{_LAYER[rest]}.weight"
    return {"embed_tokens": "token_embd", "norm": "output_norm"}[name] + ".weight"


def install(site: Path, data: bytes, pieces: int = 4) -> list[Path]:
    """Los paquetes, como los deja pip: uno que pide los demás, y en cada uno un trozo. Ninguno se puede importar."""
    size, parts = -(-len(data) // pieces), []
    names = [f"{NAME}-part{k}" for k in range(1, pieces + 1)]
    _distribution(site, NAME, {"data/GEMMA_TERMS.html": b"<p>Condiciones</p>"}, [f"{name}==1.0.0" for name in names])
    for k, name in enumerate(names):
        file = f"data/modelo.gguf.part{k:02d}"
        _distribution(site, name, {file: data[k * size : (k + 1) * size]})
        parts.append(site / name.replace("-", "_") / file)
    return parts


def _distribution(site: Path, name: str, files: dict[str, bytes], requires: list[str] = ()) -> None:
    module, record = name.replace("-", "_"), []
    for path, content in {"__init__.py": b"raise SystemExit('se ha importado')\n", **files}.items():
        target = site / module / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.append(f"{module}/{path},sha256={digest},{len(content)}\n")
    info = site / f"{module}-1.0.0.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n"
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "RECORD").write_text("".join(record), encoding="utf-8")
