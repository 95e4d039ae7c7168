"""Atención: la operación escrita a mano, la máscara causal y los mapas de atención de un modelo.

    pesos = softmax(q · kᵀ / √D)   →   salida = pesos · v

Dimensiones: B lote, L capas, H cabezas, T posiciones que preguntan, S posiciones que responden (si es autoatención, T),
D tamaño de cada consulta y cada clave.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping

import torch

from . import _validate
from ._validate import require


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def causal_mask(t: int) -> torch.Tensor:
    """Máscara causal (T, T), booleana: ``True`` donde la fila puede atender a la columna, es decir, hasta su diagonal.

    Vaswani et al. (2017), apartado 3.2.3. Se enseña en la sesión 01.

    Parameters
    ----------
    t : int
        Número de posiciones (tokens).

    Raises
    ------
    ValueError
        Si ``t`` no es un entero mayor o igual que 1.
    """
    t = _validate.count("t", t, remedy="Es el número de tokens.")
    return torch.ones(t, t, dtype=torch.bool).tril()


def attention_weights(q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Cuánto atiende cada posición a cada otra: ``softmax(q · kᵀ / √D)``, (…, T, S). Cada fila suma 1.

    Vaswani et al. (2017), ecuación 1. Se enseña en la sesión 01.

    Parameters
    ----------
    q : torch.Tensor
        Consultas, (…, T, D).
    k : torch.Tensor
        Claves, (…, S, D), con las mismas dimensiones delante.
    mask : torch.Tensor, optional
        Booleana, de forma (T, S) o ampliable a (…, T, S): ``True`` = puede atender. Lo que no puede recibe peso 0, y
        una fila sin nada a lo que atender se queda entera a 0, como en PyTorch.

    Raises
    ------
    ValueError
        Si las formas o los tipos de ``q`` y ``k`` no casan, o si la máscara no es booleana o no tiene ese tamaño.
    """
    _check_tensors(q=q, k=k)
    require(
        q.shape[:-2] == k.shape[:-2] and q.size(-1) == k.size(-1),
        f"q {_shape(q)} y k {_shape(k)} deben coincidir en todo menos en el número de posiciones (la penúltima "
        "dimensión): mismo lote, mismas cabezas y mismo tamaño D. ¿Has dividido las dos en cabezas igual?",
    )
    size = (*q.shape[:-1], k.size(-2))  # (…, T, S)
    if mask is not None:
        _check_mask(mask, size)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))  # (…, T, S)
    if mask is None:
        return scores.softmax(-1)
    mask = mask.to(scores.device)  # causal_mask la crea en la CPU
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)  # una fila sin nada daría 0/0


def scaled_dot_product_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Atención por producto escalar escalado: cada posición se lleva una media ponderada de los valores, (…, T, E).

    Es ``torch.nn.functional.scaled_dot_product_attention`` escrita a mano. Vaswani et al. (2017), ecuación 1. Se enseña
    en la sesión 01.

    Parameters
    ----------
    q : torch.Tensor
        Consultas, (…, T, D).
    k : torch.Tensor
        Claves, (…, S, D).
    v : torch.Tensor
        Valores, (…, S, E); lo habitual es E = D.
    mask : torch.Tensor, optional
        Booleana, de forma (T, S) o ampliable a (…, T, S): ``True`` = puede atender (véase ``attention_weights``).

    Raises
    ------
    ValueError
        Si las formas o los tipos de ``q``, ``k`` y ``v`` no casan, o la máscara no es booleana o no es de ese tamaño.
    """
    _check_tensors(q=q, k=k, v=v)
    require(
        v.shape[:-1] == k.shape[:-1],
        f"Cada clave necesita su valor: k {_shape(k)} y v {_shape(v)} deben coincidir en todo menos en la última "
        "dimensión.",
    )
    return attention_weights(q, k, mask) @ v


@torch.no_grad()
def capture_attention(model, inputs) -> torch.Tensor:
    """Los pesos de atención de todas las capas y cabezas del modelo, (L, B, H, T, T).

    La fila es la posición que pregunta y la columna, a la que atiende. La versión rápida de la atención (``"sdpa"``)
    no guarda los pesos: durante la llamada se usa la versión ``"eager"``, en modo evaluación, y al acabar el modelo
    vuelve a quedar como estaba. Con relleno, a un lado o a otro, los pesos entre tokens de verdad son los del texto sin
    relleno. Vaswani et al. (2017). Se enseña en la sesión 01.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Un codificador (BERT) o un decodificador (GPT-2).
    inputs : mapping or torch.Tensor
        Lo que devuelve ``tokenizer(texto, return_tensors="pt")``, o solo los ids, (B, T).

    Raises
    ------
    ValueError
        Si el modelo no tiene autoatención o si los ids no son un tensor (B, T) de enteros que quepa en su contexto.
    """
    config = getattr(model, "config", None)
    require(
        hasattr(model, "set_attn_implementation")
        and bool(getattr(_validate.text_config(model), "num_attention_heads", 0))
        and not getattr(config, "is_encoder_decoder", False),
        f"Hace falta un modelo con autoatención, un codificador o un decodificador, y he recibido "
        f"{type(model).__name__}. Cárgalo con load_model('encoder') o load_model('decoder').",
    )
    inputs = _model_inputs(model, inputs)
    implementation, training = model.config._attn_implementation, [m for m in model.modules() if m.training]  # noqa: SLF001
    try:
        model.eval().set_attn_implementation("eager")
        attentions = model(**inputs, output_attentions=True, return_dict=True).attentions
    finally:
        model.set_attn_implementation(implementation)
        for module in training:
            module.training = True
    require(
        bool(attentions) and all(a is not None for a in attentions),
        f"{type(model).__name__} no devuelve sus pesos de atención. Prueba con load_model('encoder') o con 'decoder'.",
    )
    return torch.stack(tuple(attentions))


def _model_inputs(model, inputs) -> dict[str, torch.Tensor]:
    """Los tensores que recibe el modelo, comprobados, en su dispositivo y con las posiciones que pide el relleno."""
    inputs = dict(inputs) if isinstance(inputs, Mapping) else {"input_ids": inputs}
    inputs = {k: v.to(model.device) if isinstance(v, torch.Tensor) else v for k, v in inputs.items()}
    ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
    _validate.ids(model, ids)
    if mask is not None:
        _validate.mask(mask, ids)
        # La familia de RoBERTa numera a su manera (desde el id de relleno, que reconoce): a ella no se le dice nada.
        own = any(hasattr(module, "create_position_ids_from_input_ids") for module in model.modules())
        left = bool((mask[:, 0] == 0).any())  # con el relleno a la derecha valen las posiciones de siempre
        if left and "position_ids" in inspect.signature(model.forward).parameters and not own:
            inputs.setdefault("position_ids", (mask.long().cumsum(-1) - 1).clamp(min=0))
    return {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}


# ---------------------------------------------------------------- comprobaciones
def _check_tensors(**tensors) -> None:
    """Tensores de números reales, del mismo tipo y con al menos dos dimensiones."""
    for name, x in tensors.items():
        require(
            isinstance(x, torch.Tensor) and x.dim() >= 2 and x.is_floating_point() and x.size(-1) > 0,
            f"{name} debe ser un tensor de números reales de forma (…, posiciones, tamaño) y es "
            + (f"{_shape(x)} de tipo {x.dtype}." if isinstance(x, torch.Tensor) else f"{type(x).__name__}."),
        )
    kinds = {name: (x.dtype, x.device.type) for name, x in tensors.items()}
    require(len(set(kinds.values())) == 1, f"Todos deben ser del mismo tipo y estar en el mismo sitio: {kinds}.")


def _check_mask(mask, size: tuple[int, ...]) -> None:
    require(
        isinstance(mask, torch.Tensor) and mask.dtype == torch.bool,
        f"La máscara debe ser un tensor booleano (True = puede atender) y es de tipo "
        f"{mask.dtype if isinstance(mask, torch.Tensor) else type(mask).__name__}. Conviértela con mask.bool().",
    )
    try:
        fits = torch.broadcast_shapes(mask.shape, size) == size
    except RuntimeError:
        fits = False
    require(
        fits and mask.dim() >= 2,
        f"La máscara tiene forma {_shape(mask)} y debe ser {size[-2:]}, una fila por posición que pregunta y una "
        f"columna por posición a la que se atiende, o ampliarse a {size}.",
    )
