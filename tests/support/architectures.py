"""Decodificadores diminutos al azar, uno por arquitectura: con caché, sin ella, con ventana y con estado recurrente."""

import functools

import torch
import transformers as hf

from course_utils import recurrent

VOCAB = 23
NO_SPECIALS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
LLAMA = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
} | NO_SPECIALS
GPT2 = {"vocab_size": VOCAB, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2} | NO_SPECIALS
BERT = LLAMA | {"is_decoder": True, "type_vocab_size": 1, "pad_token_id": 1}
MAMBA = {"vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4, "expand": 2} | NO_SPECIALS
MOE = {"num_experts": 2, "num_local_experts": 2, "num_experts_per_tok": 1}
LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.1, 1.3, 1.7],
    "long_factor": [2.0, 5.0, 9.0, 20.0],
    "original_max_position_embeddings": 10,
    "factor": 4.0,
}

# nombre: (clase de la configuración, clase del modelo, argumentos)
ARCHITECTURES = {
    "GPT-2": ("GPT2Config", "GPT2LMHeadModel", GPT2),
    "Llama": ("LlamaConfig", "LlamaForCausalLM", LLAMA),
    "Gemma 3": (  # una capa con ventana y otra sin ella
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        LLAMA | {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "Qwen3": ("Qwen3Config", "Qwen3ForCausalLM", LLAMA),
    "GPT-NeoX": ("GPTNeoXConfig", "GPTNeoXForCausalLM", LLAMA),
    "OPT": ("OPTConfig", "OPTForCausalLM", LLAMA | {"ffn_dim": 24, "word_embed_proj_dim": 16}),
    "Bloom": (
        "BloomConfig",
        "BloomForCausalLM",
        {"vocab_size": VOCAB, "hidden_size": 16, "n_layer": 2, "n_head": 2} | NO_SPECIALS,
    ),
    "Mistral, ventana 4": ("MistralConfig", "MistralForCausalLM", LLAMA | {"sliding_window": 4}),
    "Falcon": (
        "FalconConfig",
        "FalconForCausalLM",
        {"vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2} | NO_SPECIALS,
    ),
    "GPT-Neo, local": (
        "GPTNeoConfig",
        "GPTNeoForCausalLM",
        LLAMA | {"num_layers": 2, "num_heads": 2, "window_size": 4, "attention_types": [[["global", "local"], 1]]},
    ),
    "Phi-3, dos frecuencias": (  # pasa de unas a otras en mitad del texto
        "Phi3Config",
        "Phi3ForCausalLM",
        LLAMA | {"original_max_position_embeddings": 10, "rope_parameters": LONG_ROPE},
    ),
    "RoBERTa": ("RobertaConfig", "RobertaForCausalLM", BERT),
    "Mamba": ("MambaConfig", "MambaForCausalLM", MAMBA | {"time_step_rank": 2}),
    "Mamba 2": (
        "Mamba2Config",
        "Mamba2ForCausalLM",
        MAMBA | {"num_heads": 4, "head_dim": 8, "n_groups": 2, "chunk_size": 4},
    ),
    "RWKV": (
        "RwkvConfig",
        "RwkvForCausalLM",
        {"vocab_size": VOCAB, "hidden_size": 16, "attention_hidden_size": 16, "num_hidden_layers": 2} | NO_SPECIALS,
    ),
    "LSTM": (  # la del curso
        "LSTMConfig",
        "LSTMForCausalLM",
        {"vocab_size": VOCAB, "embedding_size": 12, "hidden_size": 16, "num_hidden_layers": 2} | NO_SPECIALS,
    ),
    "Jamba": (  # atención y Mamba
        "JambaConfig",
        "JambaForCausalLM",
        LLAMA
        | MOE
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "mamba_d_state": 4,
            "mamba_dt_rank": 2,
        },
    ),
    "LFM2": (
        "Lfm2Config",
        "Lfm2ForCausalLM",
        LLAMA | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    ),
    "GPT, sin caché": ("OpenAIGPTConfig", "OpenAIGPTLMHeadModel", GPT2),
}


@functools.cache
def tiny(name: str, seed: int = 0, dtype: torch.dtype = torch.float32):
    """El modelo, en modo evaluación, con pesos al azar grandes: que las distribuciones no sean planas."""
    config, model, arguments = ARCHITECTURES[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        home = recurrent if hasattr(recurrent, model) else hf
        model = getattr(home, model)(getattr(home, config)(**arguments, tie_word_embeddings=False)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0, 0.25)
            model.get_input_embeddings().weight.normal_()
    model.generation_config = hf.GenerationConfig()
    return model.to(dtype)
