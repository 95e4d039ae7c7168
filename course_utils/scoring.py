"""Puntuar texto: cuánta probabilidad da un modelo a cada token. Una sola primitiva; lo demás la suma."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from tqdm.auto import tqdm

from . import _validate as valid

WINDOW = 2048  # la ventana por defecto, si en el contexto del modelo cabe otra mayor
_LOGITS = 2**26  # los que se calculan a la vez: 256 MiB en float32
_TOKENS = {"cpu": 512}  # por lote: con más, lo intermedio no cabe en la memoria rápida y va más despacio
_TOKENS_ELSEWHERE = 8192  # una GPU necesita lotes grandes


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
        Si el modelo no es un decodificador o está en modo entrenamiento, si los ids no son un tensor (B, T) de enteros
        del vocabulario, T < 2, la secuencia no cabe en el contexto o ``last`` no está entre 1 y T - 1.

    Notes
    -----
    Los logits ocupan tokens × vocabulario. Aquí nunca hay más de 256 MiB a la vez (256 tokens de un vocabulario de
    262 144, en float32) y un cuarto más de paso: las filas que no caben van en otra pasada, y una que sola no cabe se
    calcula por trozos; entera, solo si la salida del modelo es más que una matriz, como en Gemma 2.

    Se enseña en las sesiones 02 y 05.
    """
    _check(model, input_ids, attention_mask, shortest=2)
    width = input_ids.size(1) - 1
    last = width if last is None else last
    valid.require(
        valid.is_count(last) and last <= width, f"last debe ser un entero entre 1 y T - 1, {width}, y es {last!r}."
    )
    last = int(last)
    if attention_mask is None or bool(attention_mask.all()):
        return _scores(model, input_ids, last)
    # Los de verdad, delante: un decodificador no mira a la derecha, y así no hay que pedirle que se salte el relleno
    # (los hay que no saben).
    real = attention_mask.bool()
    order = (~real).long().argsort(dim=1, stable=True)[:, : real.sum(1).max()]
    needed = order.size(1) - int(real[:, :-last].sum(1).min().clamp(min=1))
    scores = torch.zeros(input_ids.shape, device=input_ids.device)
    if needed > 0:
        scores.scatter_(1, order[:, -needed:], _scores(model, input_ids.gather(1, order), needed))
    return torch.where(real[:, 1:] & real[:, :-1], scores[:, 1:], 0.0)[:, -last:]


def _scores(model, ids: torch.Tensor, last: int) -> torch.Tensor:
    """Las últimas columnas, (B, last), por grupos de filas: los logits de cada grupo caben en ``_LOGITS``."""
    room = int(_LOGITS // valid.vocabulary_size(model))  # de cuántos tokens caben los logits
    keeps = "logits_to_keep" in inspect.signature(getattr(model, "forward", model)).parameters
    columns = last + 1 if keeps else ids.size(1)
    parts = _linear_parts(model, ids) if columns > room else None
    scores = []
    for rows in ids.split(max(room // columns, 1)):
        if parts:  # ni una fila cabe: se calcula el estado de todos los tokens, y los logits, luego, por trozos
            body, to_logits = parts
            states = body(input_ids=rows, use_cache=False).last_hidden_state
        else:
            keep = {"logits_to_keep": columns} if keeps else {}
            states, to_logits = model(input_ids=rows, **keep, use_cache=False).logits, torch.nn.Identity()
        states, targets = states[:, -last - 1 : -1], rows[:, -last:].long()  # la última columna no predice nada
        size = max(room // 4 // len(rows), 1)  # lo de paso (exponenciales, copias en float32), aún menos
        pieces = zip(states.split(size, 1), targets.split(size, 1), strict=True)
        scores.append(torch.cat([_pick(to_logits(piece).float(), target) for piece, target in pieces], 1))
    return torch.cat(scores)


def _pick(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Logits (B, T, V) y tokens (B, T) → log-probabilidades (B, T)."""
    return logits.gather(-1, targets[..., None])[..., 0] - logits.logsumexp(-1)


def _linear_parts(model, ids: torch.Tensor):
    """El cuerpo del modelo y su salida, si con dar lo del uno a la otra salen los mismos logits; si no, ``None``."""
    body, head = getattr(model, "base_model", model), getattr(model, "get_output_embeddings", lambda: None)()
    if body is model or head is None:
        return None
    few = {"input_ids": ids[:1, :8], "use_cache": False}
    states = getattr(body(**few), "last_hidden_state", None)
    same = states is not None and torch.equal(head(states), model(**few).logits)
    return (body, head) if same else None


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
    valid.require(
        valid.is_count(prompt_length, 0) and prompt_length < shortest,
        f"prompt_length debe ser un entero desde 0 y menor que los tokens de la fila más corta ({shortest}), para "
        f"que quede algo que puntuar; es {prompt_length!r}.",
    )
    if prompt_length == 0:
        config, remedy = valid.text_config(model), "deja en prompt_length el primer token, que así es el contexto"
        start = _start_token(config, "el modelo", remedy)
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
    start_every_window: bool | None = None,
    batch_size: int | None = None,
    progress: bool = False,
) -> Perplexity:
    """Perplejidad exacta de unos textos, con ventana deslizante: cada token se puntúa una vez y solo una.

    La ventana ``k`` empieza en el token ``k · stride`` y solo puntúa los tokens que la anterior no vio; los demás son
    contexto. Se juntan por longitud, en lotes; ni el lote ni el orden cambian nada.

    Parameters
    ----------
    model, tokenizer
        Un decodificador, en modo evaluación, y su tokenizador (no hace falta que tenga token de relleno). Se calcula
        donde esté el modelo: ``model.to("cuda")`` antes, si tienes GPU.
    texts : iterable of str
        Los textos, del largo que sea.
    window : int, optional
        Tokens que ve el modelo a la vez, 2 o más; por defecto, todo su contexto, hasta 2048 (``WINDOW``): los modelos
        que admiten 32 768, o los que no tienen tope, tardarían mucho más y ganarían poco. Compara solo cifras con la
        misma ventana.
    stride : int, optional
        Lo que avanza la ventana, de 1 a ``window``; por defecto, la mitad. Si avanza entera, un token de la anterior
        se repite como contexto, para que el primero no se quede sin puntuar.
    add_start_token : bool
        Pone delante el BOS (o, si no hay, el EOS), y así cuenta también el primer token. Sin él se puntúan T - 1.
    start_every_window : bool, optional
        Repite ese token delante de cada ventana, dentro de ella. Por defecto, solo si el tokenizador lo pone al
        principio de cada texto, como los de Llama o Gemma; véanse las notas.
    batch_size : int, optional
        Ventanas por lote, como mucho. Por defecto, las que sumen 512 tokens (en una GPU, 8192), lo más rápido.
    progress : bool
        Muestra una barra de progreso, en lotes.

    Raises
    ------
    ValueError
        Antes de calcular nada: si el modelo no es un decodificador o está en modo entrenamiento, si no hay textos o
        alguno no tiene tokens que puntuar o no es Unicode, si la ventana no cabe en el contexto, el avance no cabe en
        la ventana, falta el token inicial o los ids no son del vocabulario del modelo.

    Notes
    -----
    Memoria: además de lo que ocupe el modelo al leer un lote, 256 MiB de logits como mucho (véase
    ``token_logprobs``), sean cuantos sean los textos y largo el contexto.

    Hay modelos que se entrenaron con el BOS al principio de **cada** ejemplo, y sin él lo que predicen no vale nada:
    Gemma 3 270M, con ventana 16 y avance 8, da 1022,8 si solo lo lleva la primera ventana y 33,4 si lo llevan todas
    (33,96 sin partir el texto). Los que se entrenaron con textos seguidos, como GPT-2 y el del curso, no lo esperan en
    mitad de una frase. Con el token repetido, la ventana ve ``window - 1`` tokens del texto, y el contexto de un token
    es el inicial y lo que va desde el principio de la primera ventana que lo alcanza.

    Jelinek et al. (1977), *Perplexity—a measure of the difficulty of speech recognition tasks*. Se enseña en la
    sesión 05.
    """
    texts = valid.texts(texts)
    valid.causal(model)
    valid.not_training(model)
    start = [_start_token(tokenizer, "el tokenizador", "usa add_start_token=False")] if add_start_token else []
    rows = _encode(model, tokenizer, texts, start)
    window, stride = _window_and_stride(model, window, stride)
    batch_size = None if batch_size is None else valid.count("batch_size", batch_size)
    if _every_window(tokenizer, start, start_every_window):
        prefix = start
    else:
        prefix, rows = [], [start + row for row in rows]
    spans = [(row, *span) for row, ids in enumerate(rows) for span in _windows(len(ids), window, stride, len(prefix))]
    # Las largas, primero: si algo no cabe, se sabe enseguida. Y juntas las que puntúan lo mismo.
    spans.sort(key=lambda span: (span[1] - span[2], span[3]))
    device = torch.device(getattr(model, "device", "cpu"))
    nll = [0.0] * len(rows)
    for batch in tqdm(_batches(spans, batch_size, device), desc="puntuar", unit="lote", disable=not progress):
        for row, scores in _score_batch(model, rows, prefix, batch, device):
            nll[row] -= scores
    counts = [len(ids) - (not prefix) for ids in rows]  # sin token delante, el primero no tiene contexto
    parts = tuple(Perplexity(x, n, len(text)) for x, n, text in zip(nll, counts, texts, strict=True))
    return Perplexity(math.fsum(nll), sum(counts), sum(p.n_chars for p in parts), parts)


def _score_batch(model, rows: list, prefix: list[int], batch: list[tuple], device) -> Iterator[tuple[int, float]]:
    """De cada ventana del lote, (de qué texto es, la suma de las log-probabilidades de sus tokens nuevos)."""
    # El relleno va a la derecha, y un decodificador no mira a la derecha: no hace falta máscara.
    pieces = [torch.tensor(prefix + rows[row][begin:end]) for row, begin, end, _ in batch]
    padded = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)
    skipped = min(len(piece) - 1 - new for piece, (*_, new) in zip(pieces, batch, strict=True))  # solo son contexto
    scores = token_logprobs(model, padded.to(device), last=padded.size(1) - 1 - skipped).double().cpu()
    for piece, line, (row, _, _, new) in zip(pieces, scores, batch, strict=True):
        stop = len(piece) - 1 - skipped
        yield row, line[stop - new : stop].sum().item()


def _windows(n: int, window: int, stride: int, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """De un texto de n tokens, sus ventanas: (principio, fin, cuántos tokens nuevos puntúa, los últimos).

    Con ``start=1``, cada ventana lleva además delante un token inicial, que también ocupa sitio.
    """
    begin, seen = 0, 1 - start  # sin token inicial, el primero no tiene contexto
    while seen < n:
        end = min(begin + window - start, n)
        yield begin, end, end - seen
        begin, seen = min(begin + stride, end - 1 + start), end


def _batches(spans: list[tuple], batch_size: int | None, device: torch.device) -> list[list[tuple]]:
    """Lotes de ventanas ya ordenadas: de ``batch_size``, o los que no pasan de unos tokens con su relleno."""
    tokens = _TOKENS.get(device.type, _TOKENS_ELSEWHERE)
    batches, i = [], 0
    while i < len(spans):
        longest = spans[i][2] - spans[i][1]  # la primera es la más larga
        size = batch_size or max(tokens // longest, 1)
        batches.append(spans[i : i + size])
        i += size
    return batches


def _start_token(owner, name: str, remedy: str) -> int:
    found = [i for key in ("bos_token_id", "eos_token_id") if valid.is_count(i := getattr(owner, key, None), 0)]
    valid.require(
        bool(found), f"Para puntuar el primer token hace falta uno inicial, y {name} no tiene BOS ni EOS: {remedy}."
    )
    return found[0]


def _every_window(tokenizer, start: list[int], asked: bool | None) -> bool:
    """Si el token inicial va en cada ventana: lo que se pida o, si no, lo que haga el tokenizador con cada texto."""
    valid.require(
        bool(start) or not asked,
        "start_every_window=True repite el token inicial, y con add_start_token=False no lo hay. Quita uno de los dos.",
    )
    return bool(start) and tokenizer("a")["input_ids"][:1] == start if asked is None else asked


def _encode(model, tokenizer, texts: list[str], start: list[int]) -> list[list[int]]:
    """Los ids de cada texto, sin el inicial, comprobados."""
    rows = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    for i, ids in enumerate(rows):
        valid.require(
            len(start) + len(ids) >= 2,
            f"El texto {i}, {texts[i]!r}, da {len(ids)} tokens y no queda ninguno que puntuar. Quítalo"
            + ("." if start else " o usa add_start_token=True."),
        )
    highest = max(max(start + ids) for ids in rows)
    valid.ids(model, torch.tensor([[highest]], device=getattr(model, "device", None)))
    return rows


def _window_and_stride(model, window, stride) -> tuple[int, int]:
    context = valid.context_length(model)
    window = min(context, WINDOW) if window is None else window
    valid.require(
        valid.is_count(window, 2) and window <= context,
        f"window debe ser un entero entre 2 y el contexto del modelo, {context}, y es {window!r}.",
    )
    stride = max(window // 2, 1) if stride is None else stride
    valid.require(
        valid.is_count(stride) and stride <= window,
        f"stride debe ser un entero entre 1 y la ventana, {window}: si no, se salta tokens. Es {stride!r}.",
    )
    return int(window), int(stride)


def _check(model, ids, mask, shortest: int) -> None:
    valid.causal(model)
    valid.not_training(model)
    valid.ids(model, ids, shortest=shortest)
    if mask is not None:
        valid.mask(mask, ids)
