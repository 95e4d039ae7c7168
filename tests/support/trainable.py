"""Modelos diminutos al azar de muchas arquitecturas: lo que no depende de GPT-2 se prueba en todas."""

import torch
import transformers as tr

VOCAB, CONTEXT = 64, 48
_COMMON = dict(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2, max_position_embeddings=CONTEXT)
_LLAMA = dict(**_COMMON, num_attention_heads=2, intermediate_size=32, num_key_value_heads=1)
_WIDE = dict(**_LLAMA, head_dim=8)
_SHORT = dict(vocab_size=VOCAB, n_embd=16, n_layer=2, n_head=2, n_positions=CONTEXT)
_SHORTER = dict(vocab_size=VOCAB, n_layer=2, n_head=2)
_BART = dict(vocab_size=VOCAB, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
             decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32)  # fmt: skip
_BERT = dict(**_COMMON, num_attention_heads=2, intermediate_size=32)

CAUSAL = {
    "gpt2": (tr.GPT2LMHeadModel, tr.GPT2Config, _SHORT),
    "gptj": (tr.GPTJForCausalLM, tr.GPTJConfig, dict(**_SHORT, rotary_dim=4)),
    "neox": (tr.GPTNeoXForCausalLM, tr.GPTNeoXConfig, _BERT),
    "llama": (tr.LlamaForCausalLM, tr.LlamaConfig, _LLAMA),
    "mistral": (tr.MistralForCausalLM, tr.MistralConfig, dict(**_LLAMA, sliding_window=4)),
    "qwen3": (tr.Qwen3ForCausalLM, tr.Qwen3Config, _WIDE),
    "gemma3": (tr.Gemma3ForCausalLM, tr.Gemma3TextConfig, dict(**_WIDE, sliding_window=4)),
    "phi": (tr.PhiForCausalLM, tr.PhiConfig, _BERT),
    "opt": (tr.OPTForCausalLM, tr.OPTConfig, dict(**_COMMON, num_attention_heads=2, ffn_dim=32,
                                                  word_embed_proj_dim=16)),
    "bloom": (tr.BloomForCausalLM, tr.BloomConfig, dict(**_SHORTER, hidden_size=16)),
    "falcon": (tr.FalconForCausalLM, tr.FalconConfig, dict(**_COMMON, num_attention_heads=2)),
    "mpt": (tr.MptForCausalLM, tr.MptConfig, dict(vocab_size=VOCAB, d_model=16, n_layers=2, n_heads=2, max_seq_len=48)),
    "mamba": (tr.MambaForCausalLM, tr.MambaConfig, dict(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2,
                                                        state_size=4)),
    "lfm2": (tr.Lfm2ForCausalLM, tr.Lfm2Config, dict(**_LLAMA, full_attn_idxs=[1])),
    "gptoss": (tr.GptOssForCausalLM, tr.GptOssConfig, dict(**_WIDE, num_local_experts=2, num_experts_per_tok=1,
                                                           sliding_window=4)),
}  # fmt: skip
NOT_CAUSAL = {
    "bert": (tr.BertForMaskedLM, tr.BertConfig, _BERT),
    "bert como decodificador": (tr.BertLMHeadModel, tr.BertConfig, _BERT),
    "t5": (tr.T5ForConditionalGeneration, tr.T5Config, dict(vocab_size=VOCAB, d_model=16, d_kv=8, d_ff=32, num_layers=1,
                                                            num_heads=2)),
    "bart": (tr.BartForConditionalGeneration, tr.BartConfig, _BART),
}  # fmt: skip


def build(name: str, *, vocab: int = VOCAB, seed: int = 0, spread: float = 1.0):
    """El modelo, en modo evaluación; ``spread`` multiplica sus pesos, para que las distribuciones no sean planas."""
    kind, config, options = (CAUSAL | NOT_CAUSAL)[name]
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind(config(**options | {"vocab_size": vocab} | ends)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight *= spread
    return model
