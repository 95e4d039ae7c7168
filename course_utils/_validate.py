"""Las reglas de lo que entra: modelos, ids, máscaras, cuentas y números. Las usa todo el paquete, y no hay otras.

Se mira antes de calcular nada. Lo que no vale es un ``ValueError`` en español que dice qué ha llegado y qué hacer. Un
entero de numpy es un entero; ``True`` no es un número.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable

import torch


def require(ok: bool, message: str) -> None:
    """Lo que tiene que cumplirse. Donde escribir el mensaje cueste (lleva un tensor entero), mejor un ``if``.

    Raises
    ------
    ValueError
        Con ``message``, si no se cumple.
    """
    if not ok:
        raise ValueError(message)


# ---------------------------------------------------------------- números
def is_count(value, minimum: int = 1) -> bool:
    """Un entero, de Python o de numpy, desde ``minimum``."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= minimum


def is_number(value) -> bool:
    """Un número real y finito, de Python o de numpy."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def count(name: str, value, minimum: int = 1, *, remedy: str = "") -> int:
    """``value`` como ``int``.

    Raises
    ------
    ValueError
        Si no es un entero desde ``minimum``.
    """
    require(
        is_count(value, minimum),
        f"{name} debe ser un entero mayor o igual que {minimum} y es {value!r}. {remedy}".rstrip(),
    )
    return int(value)


# ---------------------------------------------------------------- textos
def texts(values, minimum: int = 1) -> list[str]:
    """``values``, en cualquier iterable, como lista de textos.

    Raises
    ------
    ValueError
        Si hay menos de ``minimum``, si algo no es un texto o si un texto no es Unicode válido.
    """
    found = list(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else None
    if found is None or len(found) < minimum or not all(isinstance(text, str) for text in found):
        received = values if found is None else found
        raise ValueError(f"Hace falta una lista con al menos un texto y he recibido {str(received)[:60]!r}. ¿[texto]?")
    for i, text in enumerate(found):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"El texto {i}, {text[:40]!r}, tiene en la posición {error.start} media letra suelta (un sustituto de "
                'UTF-16) y no se puede leer. Quítala: text.encode("utf-8", "ignore").decode("utf-8").'
            ) from None
    return found


# ---------------------------------------------------------------- modelos
def vocabulary_size(model) -> float:
    """Cuántos ids distintos admite el modelo: las filas de su tabla de entrada; sin ella, lo que diga su ``config``."""
    embeddings = getattr(model, "get_input_embeddings", lambda: None)()
    config = text_config(model)
    return getattr(embeddings, "num_embeddings", None) or getattr(config, "vocab_size", None) or math.inf


def context_length(model) -> float:
    """Cuántos tokens caben en el contexto del modelo; infinito si no tiene tope."""
    return getattr(text_config(model), "max_position_embeddings", None) or math.inf


def text_config(model):
    """La configuración de la parte de texto (hay modelos que llevan además la de imágenes); ``None`` si no tiene."""
    config = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def causal(model) -> None:
    """Solo modelos que predicen el token siguiente sin ver lo que viene después.

    Raises
    ------
    ValueError
        Si no es un modelo, o es un codificador (BERT), un codificador-decodificador (T5, BART) u otra cosa.
    """
    if not callable(model):
        raise ValueError(f'Esperaba un modelo y he recibido {model!r}. Cárgalo con load_model("decoder").')
    config, name = getattr(model, "config", None), type(model).__name__
    require(
        not getattr(config, "is_encoder_decoder", False),
        f"{name} es un codificador-decodificador: escribe a partir de otro texto, y aquí solo se admiten "
        'decodificadores. Usa su model.generate, o un decodificador: load_model("decoder").',
    )
    require(
        not name.endswith("ForMaskedLM") and not _looks_both_ways(config),
        f"{name} es un codificador: mira también a la derecha y no sabe predecir el token siguiente. Usa un "
        'decodificador, AutoModelForCausalLM o load_model("decoder").',
    )
    require(
        not hasattr(model, "can_generate") or model.can_generate(),
        f"{name} no da logits del vocabulario en cada posición, y sin ellos no hay token siguiente. Carga el "
        'decodificador entero: AutoModelForCausalLM o load_model("decoder").',
    )


def _looks_both_ways(config) -> bool:
    """Las familias de BERT tienen también clase de decodificador, que sin ``is_decoder`` mira a los dos lados."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    bidirectional = getattr(config, "model_type", None) in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return bidirectional and not getattr(config, "is_decoder", False)


def not_training(model) -> None:
    """El modelo, en modo evaluación.

    Raises
    ------
    ValueError
        Si está en modo entrenamiento.
    """
    require(
        not getattr(model, "training", False),
        "El modelo está en modo entrenamiento, que apaga neuronas al azar. Llama antes a model.eval().",
    )


# ---------------------------------------------------------------- ids y máscaras
def ids(model, input_ids, *, shortest: int = 1) -> None:
    """Un tensor (B, T) de ids del vocabulario del modelo, en su dispositivo, con T entre ``shortest`` y el contexto.

    Raises
    ------
    ValueError
        Si no lo es: dice qué ha llegado.
    """
    if not isinstance(input_ids, torch.Tensor):
        raise ValueError(
            f"Esperaba ids, un tensor (B, T), y he recibido {type(input_ids).__name__}: {str(input_ids)[:40]!r}. "
            'Conviértelo antes con tokenizer(texto, return_tensors="pt").input_ids.'
        )
    shape = tuple(input_ids.shape)
    require(input_ids.numel() > 0, f"No hay ningún token: forma {shape}. Escribe al menos uno, por ejemplo el EOS.")
    require(
        input_ids.dim() == 2, f"Los ids deben tener forma (B, T) y tienen {shape}. Una sola secuencia: ids[None, :]."
    )
    require(
        shape[1] >= shortest,
        f"Los ids deben tener forma (B, T) con T ≥ {shortest} y tienen {shape}: ponles delante el EOS.",
    )
    require(
        input_ids.dtype in (torch.int64, torch.int32),
        f"Los ids deben ser enteros (int64) y son {input_ids.dtype}. Usa los input_ids del tokenizador, sin convertir.",
    )
    device = getattr(model, "device", input_ids.device)
    require(
        input_ids.device == device,
        f"El modelo está en {device} y los ids en {input_ids.device}. Llévalos juntos: ids.to(model.device).",
    )
    vocabulary, context = vocabulary_size(model), context_length(model)
    low, high = input_ids.min().item(), input_ids.max().item()
    require(
        low >= 0 and high < vocabulary,
        f"Hay ids fuera del vocabulario (de 0 a {vocabulary - 1}): el menor es {low} y el mayor {high}. ¿Vienen del "
        "tokenizador de este mismo modelo? Si le has añadido tokens: model.resize_token_embeddings(len(tokenizer)).",
    )
    require(
        shape[1] <= context,
        f"La secuencia tiene {shape[1]} tokens y el contexto del modelo es de {context}. Acórtala o pártela en trozos.",
    )


def special_ids(model, name: str, value) -> list[int]:
    """Los ids de ``value`` (un entero, varios, un tensor o ``None``), en una lista.

    Raises
    ------
    ValueError
        Si alguno no es un id del vocabulario del modelo.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    found = [] if value is None else list(value) if isinstance(value, Iterable) else [value]
    vocabulary = vocabulary_size(model)
    require(
        all(is_count(i, 0) and i < vocabulary for i in found),
        f"{name} debe estar entre 0 y {vocabulary - 1} y es {found}. Si le has añadido tokens al tokenizador: "
        "model.resize_token_embeddings(len(tokenizer)).",
    )
    return [int(i) for i in found]


def mask(attention_mask, input_ids: torch.Tensor) -> None:
    """Una máscara de atención de la forma de los ids, de ceros y unos, sin filas vacías.

    Raises
    ------
    ValueError
        Si no lo es: dice qué ha llegado.
    """
    shape = tuple(input_ids.shape)
    require(
        isinstance(attention_mask, torch.Tensor) and tuple(attention_mask.shape) == shape,
        f"attention_mask debe tener la forma de los ids, {shape}, y es {type(attention_mask).__name__} de forma "
        f"{tuple(getattr(attention_mask, 'shape', ()))}. Usa la que devuelve el tokenizador.",
    )
    require(
        attention_mask.device == input_ids.device,
        f"attention_mask está en {attention_mask.device} y los ids en {input_ids.device}. Llévalos juntos.",
    )
    if not bool(((attention_mask == 0) | (attention_mask == 1)).all()):
        raise ValueError(f"attention_mask solo lleva ceros y unos, y es {attention_mask.tolist()}.")
    empty = (attention_mask == 0).all(1).nonzero().flatten().tolist()
    require(
        not empty, f"Las filas {empty} están vacías: todo es relleno. Escribe al menos un token, por ejemplo el EOS."
    )
