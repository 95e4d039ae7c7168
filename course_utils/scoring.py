"""Puntuar texto: cuánta probabilidad da un modelo a cada token. Una sola primitiva; lo demás la suma."""

from __future__ import annotations

import torch


@torch.no_grad()
def token_logprobs(model, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Log-probabilidad (nats) de cada token dados los anteriores: ``log P(y_t | y_<t)``.

    Parameters
    ----------
    model : PreTrainedModel
        Un decodificador (``AutoModelForCausalLM``).
    input_ids : torch.Tensor
        Ids, (B, T) con T ≥ 2.
    attention_mask : torch.Tensor, optional
        (B, T), 0 donde hay relleno, a la izquierda o a la derecha.

    Returns
    -------
    torch.Tensor
        (B, T - 1), float32: la columna ``t`` puntúa el token ``t + 1``. Vale 0 donde el token es relleno y también en
        el primero de verdad tras un relleno a la izquierda, que no tiene contexto.

    Raises
    ------
    ValueError
        Si los ids no son un tensor (B, T) de enteros del vocabulario, T < 2 o la secuencia no cabe en el contexto.

    Notes
    -----
    Se enseña en las sesiones 02 y 05.
    """
    _check(model, input_ids, attention_mask)
    inputs = {"input_ids": input_ids}
    if attention_mask is not None and not bool(attention_mask.all()):
        positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        inputs |= {"attention_mask": attention_mask, "position_ids": positions}
    logits = model(**inputs, use_cache=False).logits[:, :-1].float()  # (B, T - 1, V): el último no predice nada
    targets = input_ids[:, 1:].long()
    scores = logits.gather(-1, targets[..., None])[..., 0] - logits.logsumexp(-1)
    if attention_mask is None:
        return scores
    real = attention_mask.bool()
    return torch.where(real[:, 1:] & real[:, :-1], scores, 0.0)


def _check(model, ids, mask) -> None:
    if not callable(model):
        raise ValueError(f'Esperaba un modelo y he recibido {model!r}. Cárgalo con load_model("decoder").')
    if not isinstance(ids, torch.Tensor):
        raise ValueError(
            f"Esperaba ids, un tensor (B, T), y he recibido {type(ids).__name__}: {str(ids)[:40]!r}. "
            'Conviértelo antes con tokenizer(texto, return_tensors="pt").input_ids.'
        )
    if ids.dim() != 2 or ids.numel() == 0 or ids.size(1) < 2:
        raise ValueError(
            f"Los ids deben tener forma (B, T) con T ≥ 2 y tienen {tuple(ids.shape)}: un texto de un solo token no "
            "tiene nada que puntuar; ponle delante el EOS."
        )
    if ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"Los ids deben ser enteros (int64) y son {ids.dtype}. Usa los input_ids del tokenizador.")
    if ids.device != getattr(model, "device", ids.device):
        raise ValueError(
            f"El modelo está en {model.device} y los ids en {ids.device}. Llévalos juntos: ids.to(model.device)."
        )
    config = getattr(model, "config", None)
    vocab, context = getattr(config, "vocab_size", None), getattr(config, "max_position_embeddings", None)
    low, high = ids.min().item(), ids.max().item()
    if low < 0 or (vocab is not None and high >= vocab):
        raise ValueError(
            f"Hay ids fuera del vocabulario (de 0 a {(vocab or 0) - 1}): el menor es {low} y el mayor {high}."
        )
    if context is not None and ids.size(1) > context:
        raise ValueError(
            f"La secuencia tiene {ids.size(1)} tokens y el contexto del modelo es {context}. Pártela en trozos."
        )
    if mask is not None and (
        not isinstance(mask, torch.Tensor) or mask.shape != ids.shape or mask.device != ids.device
    ):
        raise ValueError(
            f"attention_mask debe ser un tensor con la forma de los ids, {tuple(ids.shape)}, y en su dispositivo, "
            f"{ids.device}; he recibido {type(mask).__name__} de forma {tuple(getattr(mask, 'shape', ()))}."
        )
