"""Puntuar texto: cuánta probabilidad da un modelo a cada token. Una sola primitiva; lo demás la suma."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from tqdm.auto import tqdm


@torch.no_grad()
def token_logprobs(
    model, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, *, last: int | None = None
) -> torch.Tensor:
    """Log-probabilidad (nats) de cada token dados los anteriores: ``log P(y_t | y_<t)``.

    Parameters
    ----------
    model : PreTrainedModel
        Un decodificador (``AutoModelForCausalLM``).
    input_ids : torch.Tensor
        Ids, (B, T) con T ≥ 2.
    attention_mask : torch.Tensor, optional
        (B, T), 0 donde hay relleno, a la izquierda o a la derecha.
    last : int, optional
        Solo las últimas columnas, de 1 a T - 1: los logits de las demás ni se calculan (si el modelo lo admite).

    Returns
    -------
    torch.Tensor
        (B, T - 1) o (B, last), float32: la columna ``t`` puntúa el token ``t + 1``. Vale 0 donde el token es relleno y
        también en el primero de verdad tras un relleno a la izquierda, que no tiene contexto.

    Raises
    ------
    ValueError
        Si los ids no son un tensor (B, T) de enteros del vocabulario, T < 2, la secuencia no cabe en el contexto o
        ``last`` no está entre 1 y T - 1.

    Notes
    -----
    Se enseña en las sesiones 02 y 05.
    """
    _check(model, input_ids, attention_mask)
    width = input_ids.size(1) - 1
    last = width if last is None else last
    if not _is_count(last, 1) or last > width:
        raise ValueError(f"last debe ser un entero entre 1 y T - 1, {width}, y es {last!r}.")
    inputs = {"input_ids": input_ids}
    if last < width and "logits_to_keep" in inspect.signature(getattr(model, "forward", model)).parameters:
        inputs["logits_to_keep"] = last + 1
    if attention_mask is not None and not bool(attention_mask.all()):
        positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        inputs |= {"attention_mask": attention_mask, "position_ids": positions}
    logits = model(**inputs, use_cache=False).logits[:, -last - 1 : -1].float()  # (B, last, V): la T no predice nada
    targets = input_ids[:, -last:].long()
    scores = logits.gather(-1, targets[..., None])[..., 0] - logits.logsumexp(-1)
    if attention_mask is None:
        return scores
    real = attention_mask.bool()
    return torch.where((real[:, 1:] & real[:, :-1])[:, -last:], scores, 0.0)


def sequence_logprob(
    model, input_ids: torch.Tensor, *, prompt_length: int = 0, attention_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Log-probabilidad (nats) de cada secuencia: la suma de **todos** los tokens tras el *prompt*, el primero incluido.

    Parameters
    ----------
    model : PreTrainedModel
        Un decodificador.
    input_ids : torch.Tensor
        Ids, (B, T).
    prompt_length : int
        Cuántos tokens de verdad, sin contar el relleno, forman el *prompt* y no se puntúan. Con 0 se puntúan todos; el
        primero, tras el token inicial del modelo (BOS o, si no hay, EOS), que se pone delante.
    attention_mask : torch.Tensor, optional
        (B, T), 0 donde hay relleno, a la izquierda o a la derecha.

    Returns
    -------
    torch.Tensor
        (B,), float32.

    Raises
    ------
    ValueError
        Si ``prompt_length`` no deja ningún token que puntuar en alguna fila, si hace falta un token inicial y el modelo
        no lo tiene, o por lo mismo que ``token_logprobs``.

    Notes
    -----
    Se enseña en las sesiones 03 y 05.
    """
    _check(model, input_ids, attention_mask, shortest=1)
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask.long()
    shortest = int(mask.sum(-1).min())
    if not isinstance(prompt_length, int) or not 0 <= prompt_length < shortest:
        raise ValueError(
            f"prompt_length debe ser un entero desde 0 y menor que los tokens de la fila más corta ({shortest}), para "
            f"que quede algo que puntuar; es {prompt_length!r}."
        )
    if prompt_length == 0:
        start = _start_token(model.config, "el modelo", "deja en prompt_length el primer token, que así es el contexto")
        input_ids, mask = (torch.nn.functional.pad(t, (1, 0)) for t in (input_ids, mask))
        before = mask.argmax(-1, keepdim=True) - 1  # justo delante del primer token de verdad
        input_ids, mask = input_ids.scatter(1, before, start), mask.scatter(1, before, 1)
    scored = mask.cumsum(-1)[:, 1:] > max(prompt_length, 1)
    return (token_logprobs(model, input_ids, mask) * scored).sum(-1)


@dataclass(frozen=True)
class Perplexity:
    """Lo que le cuesta un corpus a un modelo; con ``+`` se juntan dos corpus, como si fueran uno.

    Parameters
    ----------
    nll : float
        Suma de ``-log P`` de los tokens puntuados, en nats.
    n_tokens : int
        Tokens puntuados.
    n_chars : int
        Caracteres de los textos.
    per_text : tuple of Perplexity
        Lo mismo de cada texto, en el orden en que llegaron; vacía si este resultado es el de un solo texto.

    Notes
    -----
    Se enseña en la sesión 05.
    """

    nll: float
    n_tokens: int
    n_chars: int
    per_text: tuple[Perplexity, ...] = ()

    @property
    def value(self) -> float:
        """La perplejidad, ``exp(nll / n_tokens)``: 1 es acertar siempre; V, no saber nada."""
        return math.exp(self.nll / self.n_tokens)

    @property
    def bits_per_char(self) -> float:
        """Bits por carácter: se puede comparar entre tokenizadores. (Sin token inicial, el primer token no se paga.)"""
        return self.nll / math.log(2) / self.n_chars

    def __add__(self, other: Perplexity) -> Perplexity:
        if not isinstance(other, Perplexity):
            return NotImplemented
        parts = (self.per_text or (self,)) + (other.per_text or (other,))
        totals = (self.nll + other.nll, self.n_tokens + other.n_tokens, self.n_chars + other.n_chars)
        return Perplexity(*totals, parts)

    def __radd__(self, other) -> Perplexity:
        return self if other == 0 else NotImplemented  # así funciona sum(...)


def perplexity(
    model,
    tokenizer,
    texts: Iterable[str],
    *,
    window: int | None = None,
    stride: int | None = None,
    add_start_token: bool = True,
    batch_size: int = 8,
    progress: bool = False,
) -> Perplexity:
    """Perplejidad exacta de unos textos, con ventana deslizante: cada token se puntúa una vez y solo una.

    La ventana ``k`` empieza en el token ``k · stride`` y solo puntúa los tokens que la anterior no vio; los demás son
    contexto. Se juntan por longitud, en lotes, y nunca hay en memoria más logits que los de un lote.

    Parameters
    ----------
    model, tokenizer
        Un decodificador, en modo evaluación, y su tokenizador (no hace falta que tenga token de relleno). Se calcula
        donde esté el modelo: ``model.to("cuda")`` antes, si tienes GPU.
    texts : iterable of str
        Los textos, del largo que sea.
    window : int, optional
        Tokens que ve el modelo a la vez, 2 o más; por defecto, todo su contexto.
    stride : int, optional
        Lo que avanza la ventana, de 1 a ``window``; por defecto, la mitad. Si avanza entera, un token de la anterior
        se repite como contexto, para que el primero no se quede sin puntuar.
    add_start_token : bool
        Pone delante el BOS (o, si no hay, el EOS), y así cuenta también el primer token. Sin él se puntúan T - 1.
    batch_size : int
        Ventanas llenas por lote; de las más cortas caben más, hasta sumar los mismos tokens.
    progress : bool
        Muestra una barra de progreso, en lotes.

    Raises
    ------
    ValueError
        Antes de calcular nada: si no hay textos o alguno no tiene tokens que puntuar, si la ventana no cabe en el
        contexto, el avance no cabe en la ventana, falta el token inicial, los ids no son del vocabulario del modelo o
        este está en modo entrenamiento.

    Notes
    -----
    Jelinek et al. (1977), *Perplexity—a measure of the difficulty of speech recognition tasks*. Se enseña en la
    sesión 05.
    """
    texts = list(texts) if isinstance(texts, Iterable) and not isinstance(texts, str) else texts
    rows = _encode(model, tokenizer, texts, add_start_token)
    window, stride = _check_window(model, window, stride, batch_size, longest=max(map(len, rows)))
    spans = [(row, *span) for row, ids in enumerate(rows) for span in _windows(len(ids), window, stride)]
    # Las largas, primero: si algo no cabe, se sabe enseguida. Y juntas las que puntúan lo mismo.
    spans.sort(key=lambda span: (span[1] - span[2], span[3]))
    nll = [0.0] * len(rows)
    for batch in tqdm(_batches(spans, batch_size * window), desc="puntuar", unit="lote", disable=not progress):
        # El relleno va a la derecha, y un decodificador no mira a la derecha: no hace falta máscara.
        padded = torch.zeros(len(batch), batch[0][2] - batch[0][1], dtype=torch.long)
        for k, (row, begin, end, _) in enumerate(batch):
            padded[k, : end - begin] = torch.tensor(rows[row][begin:end])
        skipped = min(end - begin - 1 - new for _, begin, end, new in batch)  # columnas que solo son contexto
        last = padded.size(1) - 1 - skipped
        scores = token_logprobs(model, padded.to(getattr(model, "device", "cpu")), last=last).double().cpu()
        for k, (row, begin, end, new) in enumerate(batch):
            stop = end - begin - 1 - skipped
            nll[row] -= scores[k, stop - new : stop].sum().item()
    parts = tuple(Perplexity(x, len(ids) - 1, len(t)) for x, ids, t in zip(nll, rows, texts, strict=True))
    return Perplexity(math.fsum(nll), sum(p.n_tokens for p in parts), sum(p.n_chars for p in parts), parts)


def _windows(n: int, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """De un texto de n tokens, sus ventanas: (principio, fin, cuántos tokens nuevos puntúa, los últimos)."""
    begin, seen = 0, 1  # el primer token no tiene contexto
    while seen < n:
        end = min(begin + window, n)
        yield begin, end, end - seen
        begin, seen = min(begin + stride, end - 1), end


def _batches(spans: list[tuple], budget: int) -> list[list[tuple]]:
    """Lotes de ventanas ya ordenadas: con su relleno, ninguno pasa de ``budget`` tokens (o lleva una sola)."""
    batches, i = [], 0
    while i < len(spans):
        size = max(budget // (spans[i][2] - spans[i][1]), 1)  # la primera es la más larga
        batches.append(spans[i : i + size])
        i += size
    return batches


def _start_token(owner, name: str, remedy: str) -> int:
    ids = [getattr(owner, key, None) for key in ("bos_token_id", "eos_token_id")]
    found = [i for i in ids if isinstance(i, int)]
    if not found:
        raise ValueError(
            f"Para puntuar el primer token hace falta uno inicial, y {name} no tiene BOS ni EOS: {remedy}."
        )
    return found[0]


def _encode(model, tokenizer, texts, add_start_token: bool) -> list[list[int]]:
    """Los ids de cada texto, comprobados."""
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"Hace falta una lista con al menos un texto y he recibido {str(texts)[:60]!r}. ¿[texto]?")
    if getattr(model, "training", False):
        raise ValueError(
            "El modelo está en modo entrenamiento, que apaga neuronas al azar. Llama antes a model.eval()."
        )
    remedy = "usa add_start_token=False"
    start = [_start_token(tokenizer, "el tokenizador", remedy)] if add_start_token else []
    rows = [start + ids for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]
    for i, ids in enumerate(rows):
        if len(ids) < 2:
            raise ValueError(
                f"El texto {i}, {texts[i]!r}, da {len(ids) - len(start)} tokens y no queda ninguno que puntuar. Quítalo"
                + ("." if add_start_token else " o usa add_start_token=True.")
            )
    vocab, highest = getattr(getattr(model, "config", None), "vocab_size", None), max(map(max, rows))
    if vocab is not None and highest >= vocab:
        raise ValueError(f"El id {highest} no está en el vocabulario del modelo ({vocab}): ¿es su tokenizador?")
    return rows


def _check_window(model, window, stride, batch_size, longest: int) -> tuple[int, int]:
    context = getattr(getattr(model, "config", None), "max_position_embeddings", None) or max(longest, 2)
    window = context if window is None else window
    if not _is_count(window, 2) or window > context:
        raise ValueError(f"window debe ser un entero entre 2 y el contexto del modelo, {context}, y es {window!r}.")
    stride = max(window // 2, 1) if stride is None else stride
    if not _is_count(stride, 1) or stride > window:
        raise ValueError(
            f"stride debe ser un entero entre 1 y la ventana, {window}: si no, se salta tokens. Es {stride!r}."
        )
    if not _is_count(batch_size, 1):
        raise ValueError(f"batch_size debe ser un entero mayor que 0 y es {batch_size!r}.")
    return window, stride


def _is_count(value, minimum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def _check(model, ids, mask, shortest: int = 2) -> None:
    if not callable(model):
        raise ValueError(f'Esperaba un modelo y he recibido {model!r}. Cárgalo con load_model("decoder").')
    if not isinstance(ids, torch.Tensor):
        raise ValueError(
            f"Esperaba ids, un tensor (B, T), y he recibido {type(ids).__name__}: {str(ids)[:40]!r}. "
            'Conviértelo antes con tokenizer(texto, return_tensors="pt").input_ids.'
        )
    if ids.dim() != 2 or ids.numel() == 0 or ids.size(1) < shortest:
        raise ValueError(
            f"Los ids deben tener forma (B, T) con T ≥ {shortest} y tienen {tuple(ids.shape)}: un texto de un solo "
            "token no tiene nada que puntuar; ponle delante el EOS."
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
