"""Decodificación: de los logits de un modelo a un texto, con funciones puras que se componen.

    transformaciones (temperature, top_k, …)  →  selector (greedy, sample, …)  →  siguiente id

``stream`` da un paso cada vez, ``generate`` los reúne y ``beam_search`` explora varias ramas. Con los mismos
argumentos y la misma semilla, los ids son los de ``model.generate`` de Hugging Face, uno por uno: esa igualdad
es la especificación de este módulo. Dimensiones: B lote, T tokens, V vocabulario, K haces, N tokens nuevos.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

Transform = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (logits (B, V), ids (B, T)) -> (B, V)
Selector = Callable[[torch.Tensor], torch.Tensor]  # logits (B, V) -> ids (B,)
NEVER = -1e9  # puntuación de lo que no debe elegirse: finita, para que las sumas no den nan


# ---------------------------------------------------------------- transformaciones
def _require(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_count(value, minimum: int = 1) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= minimum


def temperature(t: float) -> Transform:
    """Divide los logits entre ``t``: por debajo de 1 afila la distribución y por encima la aplana.

    Ackley, Hinton y Sejnowski (1985). Se enseña en las sesiones 02 y 03.

    Parameters
    ----------
    t : float
        Temperatura, mayor que 0 (sin unidades).

    Raises
    ------
    ValueError
        Si ``t`` no es un número mayor que 0: el límite ``t → 0`` es la búsqueda voraz (``greedy``).
    """
    _require(
        _is_number(t) and 0 < t < float("inf"),
        f"La temperatura debe ser un número mayor que 0 y es {t!r}. Para no dejar nada al azar usa select=greedy.",
    )
    return lambda logits, ids: logits / t


def top_k(k: int) -> Transform:
    """Deja vivos los ``k`` logits mayores (y sus empates) y pone los demás a -inf.

    Fan, Lewis y Dauphin (2018). Se enseña en las sesiones 02 y 03.

    Raises
    ------
    ValueError
        Si ``k`` no es un entero mayor o igual que 1.
    """
    _require(_is_count(k), f"k debe ser un entero mayor o igual que 1 y es {k!r}. Para no filtrar, quita top_k.")

    def apply(logits, ids):
        smallest_kept = logits.topk(min(k, logits.size(-1))).values[:, -1:]  # (B, 1)
        return logits.masked_fill(logits < smallest_kept, float("-inf"))

    return apply


def top_p(p: float) -> Transform:
    """Muestreo de núcleo: deja el menor conjunto de tokens cuya probabilidad suma al menos ``p``.

    Holtzman et al. (2020). Se enseña en la sesión 03.

    Raises
    ------
    ValueError
        Si ``p`` no está en (0, 1].
    """
    _require(_is_number(p) and 0 < p <= 1, f"p debe estar en (0, 1] y es {p!r}. Para no filtrar, quita top_p o usa 1.")

    def apply(logits, ids):
        if p == 1:
            return logits
        ascending, order = logits.sort()  # la cola primero: se suma desde lo más improbable
        tail = ascending.softmax(-1).cumsum(-1)  # (B, V)
        drop = tail <= 1 - p
        drop[:, -1] = False  # el más probable se queda siempre
        return logits.masked_fill(torch.zeros_like(drop).scatter(1, order, drop), float("-inf"))

    return apply


def min_p(p: float) -> Transform:
    """Quita los tokens con probabilidad menor que ``p`` veces la del más probable.

    Nguyen et al. (2024). Se enseña en la sesión 03.

    Raises
    ------
    ValueError
        Si ``p`` no está en (0, 1].
    """
    _require(_is_number(p) and 0 < p <= 1, f"min_p debe estar en (0, 1] y es {p!r}. Para no filtrar, quita min_p.")

    def apply(logits, ids):
        probs = logits.softmax(-1)
        best = probs.amax(-1, keepdim=True)  # (B, 1)
        return logits.masked_fill((probs < p * best) & (probs < best), float("-inf"))

    return apply


def repetition_penalty(r: float) -> Transform:
    """Aleja de lo ya escrito: divide entre ``r`` los logits positivos ya vistos y multiplica los negativos.

    El relleno del principio no cuenta como visto: ``stream`` y ``beam_search`` le pasan la ``attention_mask`` del lote.
    Keskar et al. (2019), CTRL. Se enseña en la sesión 03.

    Raises
    ------
    ValueError
        Si ``r`` no es un número mayor que 0.
    """
    _require(
        _is_number(r) and 0 < r < float("inf"),
        f"La penalización debe ser un número mayor que 0 y es {r!r}. Con 1 no cambia nada; prueba con 1.2.",
    )

    def apply(logits, ids, attention_mask=None):
        real = torch.ones_like(ids) if attention_mask is None else attention_mask.cumsum(1) > 0  # tras el relleno
        seen = torch.zeros_like(logits).scatter_add(1, ids.long(), real.to(logits.dtype))  # veces que está: (B, V)
        return torch.where(seen > 0, torch.where(logits < 0, logits * r, logits / r), logits)

    apply.uses_attention_mask = True
    return apply


def no_repeat_ngram(n: int) -> Transform:
    """Prohíbe el token que repetiría un n-grama de la secuencia (el *prompt* incluido).

    Paulus, Xiong y Socher (2018). Se enseña en la sesión 03.

    Raises
    ------
    ValueError
        Si ``n`` no es un entero mayor o igual que 1.
    """
    _require(_is_count(n), f"n debe ser un entero mayor o igual que 1 y es {n!r}. Para no prohibir nada, quítalo.")

    def apply(logits, ids):
        length = ids.size(1)
        if length < n:
            return logits
        windows = ids.unfold(1, n, 1)  # (B, T - n + 1, n)
        suffix = ids[:, length - n + 1 :]  # (B, n - 1): lo que el siguiente token completaría
        row, start = (windows[:, :, :-1] == suffix[:, None]).all(-1).nonzero(as_tuple=True)
        banned = torch.zeros_like(logits, dtype=torch.bool)
        banned[row, windows[row, start, -1]] = True
        return logits.masked_fill(banned, float("-inf"))

    return apply


# ---------------------------------------------------------------- selectores
def greedy(logits: torch.Tensor) -> torch.Tensor:
    """Búsqueda voraz: el token más probable de cada fila. (B, V) -> (B,). Se enseña en la sesión 02."""
    return logits.argmax(-1)


def sample(logits: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """Muestreo: un token al azar según softmax(logits). (B, V) -> (B,). Se enseña en la sesión 02.

    Parameters
    ----------
    generator : torch.Generator, optional
        Fuente de azar; sin ella se usa la global de torch (la que fija ``torch.manual_seed``). Para usarlo
        como selector: ``functools.partial(sample, generator=g)``.

    Raises
    ------
    ValueError
        Si las transformaciones no han dejado ningún token vivo en alguna fila.
    """
    probs = logits.softmax(-1)
    _require(
        not bool(probs[:, 0].isnan().any()),  # una fila sin ningún token posible es toda nan
        f"No se puede muestrear: con logits de forma {tuple(logits.shape)}, alguna fila no tiene ningún token posible "
        "(todo -inf, o nan). Suaviza las transformaciones, por ejemplo no_repeat_ngram con un n mayor.",
    )
    return torch.multinomial(probs, 1, generator=generator).squeeze(1)


def epsilon_greedy(epsilon: float, generator: torch.Generator | None = None) -> Selector:
    """Con probabilidad ``epsilon`` explora (muestrea de la distribución); si no, explota (``greedy``).

    Es la convención del aprendizaje por refuerzo: ``epsilon=0`` es búsqueda voraz y ``epsilon=1`` es muestreo
    (con la misma semilla no da los ids de ``sample``, porque tirar la moneda también gasta azar).
    Cada fila del lote tira su propia moneda. Sutton y Barto (2018), cap. 2. Se enseña en la sesión 02.

    Raises
    ------
    ValueError
        Si ``epsilon`` no está en [0, 1].
    """
    _require(
        _is_number(epsilon) and 0 <= epsilon <= 1,
        f"epsilon es una probabilidad: debe estar en [0, 1] y es {epsilon!r}.",
    )

    def select(logits):
        coin = torch.rand(logits.size(0), generator=generator, device=generator.device if generator else logits.device)
        return torch.where(coin.to(logits.device) < epsilon, sample(logits, generator), greedy(logits))

    return select


# ---------------------------------------------------------------- resultados
@dataclass(frozen=True, eq=False)
class Step:
    """Un paso de la generación: lo elegido y, si se pidió ``top_n``, las mejores candidatas del modelo.

    ``ids`` y ``logprobs`` son (B,); ``top_ids`` y ``top_logprobs``, (B, top_n). Las probabilidades logarítmicas
    (nats) son las del modelo *sin* transformar. ``finished`` (B,) dice qué filas habían terminado antes de este paso:
    en ellas ``ids`` es relleno y ``logprobs`` vale 0.
    """

    index: int
    ids: torch.Tensor
    logprobs: torch.Tensor
    top_ids: torch.Tensor
    top_logprobs: torch.Tensor
    finished: torch.Tensor


@dataclass(frozen=True)
class BeamNode:
    """Un nodo del árbol de la búsqueda en haz. ``parent`` es su índice en la lista (-1: el *prompt*).

    ``total`` es la suma de log-probabilidades (nats) y ``score`` esa suma entre longitud**length_penalty.
    ``status``: «viva» (sigue en el haz), «podada» o «terminada».
    """

    row: int
    step: int
    parent: int
    token_id: int
    total: float
    score: float
    status: str


@dataclass(frozen=True, eq=False)
class Generation:
    """Lo generado: ``sequences`` (B, T) con el *prompt*, ``logprobs`` (B, N) del modelo sin transformar (nats).

    ``logprobs`` vale 0 tras el EOS, de modo que su suma es la log-probabilidad de lo escrito. La búsqueda en haz
    añade ``scores`` (B,), la suma (tras transformar) normalizada por longitud, y ``tree``, los nodos.
    """

    sequences: torch.Tensor
    prompt_length: int
    logprobs: torch.Tensor
    steps: tuple[Step, ...] = ()
    scores: torch.Tensor | None = None
    tree: tuple[BeamNode, ...] = ()

    @property
    def new_ids(self) -> torch.Tensor:
        """Los ids generados, sin el *prompt*: (B, N)."""
        return self.sequences[:, self.prompt_length :]

    def text(self, tokenizer, row: int = 0, *, skip_special_tokens: bool = True) -> str:
        """El texto completo de una fila, con todos sus ids decodificados a la vez."""
        return tokenizer.decode(self.sequences[row].tolist(), skip_special_tokens=skip_special_tokens)

    def choices(self, tokenizer, row: int = 0) -> list[list[tuple[str, float]]]:
        """Las ``top_n`` candidatas de cada paso de una fila, con su probabilidad según el modelo.

        Raises
        ------
        ValueError
            Si se generó con ``top_n=0``.
        """
        _require(
            bool(self.steps) and self.steps[0].top_ids.size(1) > 0,
            "No hay candidatas que mostrar porque top_n era 0. Genera otra vez con top_n=5.",
        )
        written = [s for s in self.steps if not s.finished[row]]
        tops = [(s.top_ids[row].tolist(), s.top_logprobs[row].exp().tolist()) for s in written]
        return [[(show_token(tokenizer, i), p) for i, p in zip(*top, strict=True)] for top in tops]

    def table(self, tokenizer, row: int = 0):
        """Traza de una fila, un ``DataFrame``: por paso, el texto de entrada, lo elegido y las ``top_n`` candidatas.

        Raises
        ------
        ValueError
            Si se generó con ``top_n=0``.
        """
        import pandas as pd

        lines = []
        for step, choices in zip(self.steps, self.choices(tokenizer, row), strict=False):
            so_far = self.sequences[row, : self.prompt_length + step.index].tolist()
            line = {"Entrada": tokenizer.decode(so_far, skip_special_tokens=True)}
            line["Elegido"] = show_token(tokenizer, step.ids[row].item())
            lines.append(line | {f"Opción {n}": f"{t} ({100 * p:.1f}\u00a0%)" for n, (t, p) in enumerate(choices, 1)})
        return pd.DataFrame(lines, index=pd.RangeIndex(1, len(lines) + 1, name="Paso"))


def show_token(tokenizer, token_id: int) -> str:
    """Un token que se deja ver: «␣» es espacio, «⏎» fin de línea y «⟨C3⟩» un byte que no es letra por sí solo."""
    text = tokenizer.decode([token_id])
    if "\ufffd" not in text:
        return text.replace(" ", "␣").replace("\n", "⏎")
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {symbol: byte for byte, symbol in bytes_to_unicode().items()}  # el alfabeto de los BPE de bytes
    symbols = tokenizer.convert_ids_to_tokens(token_id)
    shown = ("␣" if byte_of.get(s) == 0x20 else f"⟨{byte_of[s]:02X}⟩" if s in byte_of else s for s in symbols)
    return "".join(shown)


# ---------------------------------------------------------------- comprobaciones
def _check_ids(model, input_ids, max_new_tokens: int, specials: Sequence[int]) -> None:
    """Comprueba la entrada antes de calcular nada; el error dice qué valor llegó y qué hacer."""
    # Sin _require donde el mensaje escribe un modelo o un tensor: formatearlo cada vez sería lo más lento del bucle.
    if not callable(model):
        raise ValueError(f"Esperaba un modelo y he recibido {model!r}. Cárgalo con load_model('decoder').")
    if not isinstance(input_ids, torch.Tensor):
        raise ValueError(
            f"Esperaba ids, un tensor (B, T), y he recibido {type(input_ids).__name__}: {str(input_ids)[:40]!r}. "
            'Conviértelo antes con tokenizer(texto, return_tensors="pt").input_ids.'
        )
    shape = tuple(input_ids.shape)
    _require(
        input_ids.numel() > 0, f"El prompt está vacío: forma {shape}. Escribe al menos un token, por ejemplo el EOS."
    )
    _require(
        input_ids.dim() == 2, f"Los ids deben tener forma (B, T) y tienen {shape}. Una sola secuencia: ids[None, :]."
    )
    _require(
        input_ids.dtype in (torch.int64, torch.int32),
        f"Los ids deben ser enteros (int64) y son {input_ids.dtype}. Usa los input_ids del tokenizador, sin convertir.",
    )
    _require(
        _is_count(max_new_tokens), f"max_new_tokens debe ser un entero mayor o igual que 1 y es {max_new_tokens!r}."
    )
    device = getattr(model, "device", input_ids.device)
    _require(
        input_ids.device == device,
        f"El modelo está en {device} y los ids en {input_ids.device}. Llévalos juntos: ids.to(model.device).",
    )
    config, unlimited = getattr(model, "config", None), float("inf")
    vocab = getattr(config, "vocab_size", unlimited)
    context = getattr(config, "max_position_embeddings", None) or unlimited
    low, high = input_ids.min().item(), input_ids.max().item()
    _require(
        low >= 0 and high < vocab,
        f"Hay ids fuera del vocabulario (de 0 a {vocab - 1}): el menor es {low} y el mayor {high}. "
        "¿Vienen del tokenizador de este mismo modelo?",
    )
    _require(
        all(_is_count(i, 0) and i < vocab for i in specials) and len(specials) <= vocab,
        f"eos_token_id y pad_token_id deben estar entre 0 y {vocab - 1} (y dejar algún token libre); son {specials}.",
    )
    total = input_ids.size(1) + max_new_tokens
    _require(
        total <= context,
        f"{input_ids.size(1)} tokens de prompt + {max_new_tokens} nuevos = {total}, y el contexto del modelo es "
        f"{context}. Acorta el prompt o pide como mucho {max(context - input_ids.size(1), 0)} tokens nuevos.",
    )


def _check_mask(mask, input_ids) -> None:
    shape = tuple(input_ids.shape)
    _require(
        isinstance(mask, torch.Tensor) and tuple(mask.shape) == shape,
        f"attention_mask debe tener la forma de los ids, {shape}, y tiene {tuple(getattr(mask, 'shape', ()))}. "
        "Usa la que devuelve el tokenizador.",
    )
    _require(
        mask.device == input_ids.device,
        f"attention_mask está en {mask.device} y los ids en {input_ids.device}. Llévalos juntos.",
    )
    _require(bool(((mask == 0) | (mask == 1)).all()), f"attention_mask solo lleva ceros y unos, y es {mask.tolist()}.")
    empty = (mask == 0).all(1).nonzero().flatten().tolist()
    _require(
        not empty, f"Las filas {empty} están vacías: todo es relleno. Escribe al menos un token, por ejemplo el EOS."
    )
    _require(
        bool(mask[:, -1].all()),
        f"El relleno está a la derecha: la última columna es {mask[:, -1].long().tolist()}. Para generar pon "
        "tokenizer.padding_side = 'left' (y si el prompt acaba en pad_token_id a propósito, pasa attention_mask).",
    )


def _prepare(model, input_ids, attention_mask, transforms, max_new_tokens, eos_token_id, pad_token_id):
    """Valida y normaliza: máscara (None si no hay relleno), transformaciones, EOS y relleno."""
    eos = eos_token_id.tolist() if isinstance(eos_token_id, torch.Tensor) else eos_token_id
    eos = [] if eos is None else list(eos) if isinstance(eos, Iterable) else [eos]
    pad = pad_token_id if pad_token_id is not None else eos[0] if eos else None
    _check_ids(model, input_ids, max_new_tokens, list(dict.fromkeys([*eos, *([] if pad is None else [pad])])))
    transforms = tuple(transforms) if isinstance(transforms, Iterable) else (transforms,)
    _require(
        all(map(callable, transforms)),
        f"Cada transformación debe ser una función y he recibido {transforms!r}. Por ejemplo: [temperature(0.7)].",
    )
    mask = attention_mask
    if mask is None and pad_token_id is not None and pad_token_id not in eos:
        mask = input_ids != pad_token_id  # como Hugging Face: el relleno se reconoce por su id
    if mask is not None:
        _check_mask(mask, input_ids)
        mask = None if bool(mask.all()) else mask.long()
    return mask, transforms, torch.tensor(eos, dtype=torch.long, device=input_ids.device), pad


# ---------------------------------------------------------------- el bucle
@torch.inference_mode()  # más ligero que no_grad: aquí nadie va a derivar
def _next_logits(model, ids, new, attention_mask, cache, use_cache: bool):
    """Logits del siguiente token, (B, V) en float32, y la caché ampliada: por el modelo solo pasa lo nuevo."""
    inputs = {"input_ids": new if use_cache else ids}
    if attention_mask is not None:  # con relleno, la posición 0 es la del primer token de verdad
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        inputs |= {"attention_mask": attention_mask, "position_ids": positions[:, -inputs["input_ids"].size(1) :]}
    out = model(**inputs, past_key_values=cache, use_cache=use_cache, logits_to_keep=1)
    return out.logits[:, -1].float(), out.past_key_values if use_cache else None


def _apply(transforms: Sequence[Transform], logits, ids, attention_mask):
    shape = logits.shape
    for transform in transforms:
        padded = attention_mask is not None and getattr(transform, "uses_attention_mask", False)
        logits = transform(logits, ids, attention_mask) if padded else transform(logits, ids)
        if not isinstance(logits, torch.Tensor) or logits.shape != shape:
            raise ValueError(
                f"Una transformación debe devolver logits de forma {tuple(shape)} y {transform} ha devuelto "
                f"{tuple(logits.shape) if isinstance(logits, torch.Tensor) else repr(logits)}."
            )
    return logits


def _grow(mask):
    """Añade una columna de unos: el token nuevo se atiende."""
    return None if mask is None else torch.nn.functional.pad(mask, (0, 1), value=1)


def stream(
    model,
    input_ids: torch.Tensor,
    *,
    attention_mask: torch.Tensor | None = None,
    transforms: Sequence[Transform] = (),
    select: Selector = greedy,
    max_new_tokens: int = 50,
    eos_token_id: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
    top_n: int = 0,
    use_cache: bool = True,
) -> Iterator[Step]:
    """Genera paso a paso: cada ``Step`` llega en cuanto se elige su token. Se enseña en la sesión 02.

    Parameters
    ----------
    model : PreTrainedModel
        Un decodificador (``AutoModelForCausalLM``).
    input_ids : torch.Tensor
        Ids del *prompt*, (B, T); el relleno, a la izquierda.
    attention_mask : torch.Tensor, optional
        (B, T), 0 donde hay relleno. Sin ella, y con un ``pad_token_id`` distinto del EOS, se deduce de los ids.
    transforms : sequence of Transform
        En orden; el de Hugging Face: repetition_penalty, no_repeat_ngram, temperature, top_k, top_p, min_p.
    select : Selector
        ``greedy``, ``sample``, ``epsilon_greedy(…)`` o cualquier función (B, V) -> (B,).
    max_new_tokens : int
        Tokens nuevos como mucho.
    eos_token_id : int or sequence of int, optional
        Con él, una fila termina al escribirlo; sin él, se escriben todos los tokens.
    pad_token_id : int, optional
        Con qué se rellenan las filas terminadas (por defecto, el EOS).
    top_n : int
        Cuántas candidatas del modelo guarda cada paso.
    use_cache : bool
        Guardar claves y valores (rápido) o recalcularlo todo en cada paso (lento; mismo resultado).

    Raises
    ------
    ValueError
        Antes de calcular nada, si la entrada no vale (vacía, fuera del vocabulario, más larga que el contexto, …).
    """
    mask, transforms, eos, pad = _prepare(
        model, input_ids, attention_mask, transforms, max_new_tokens, eos_token_id, pad_token_id
    )
    _require(_is_count(top_n, 0), f"top_n debe ser un entero mayor o igual que 0 y es {top_n!r}.")
    _require(callable(select), f"select debe ser una función, como greedy o sample, y es {select!r}.")
    return _steps(model, input_ids.clone(), mask, transforms, select, max_new_tokens, eos, pad, top_n, use_cache)


def _steps(model, ids, mask, transforms, select, max_new_tokens, eos, pad, top_n, use_cache) -> Iterator[Step]:
    cache, new, stops = None, ids, len(eos) > 0
    finished = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    top_ids, top_logprobs = ids.new_empty(len(ids), 0), torch.empty(len(ids), 0, device=ids.device)
    for index in range(max_new_tokens):
        logits, cache = _next_logits(model, ids, new, mask, cache, use_cache)  # (B, V)
        # Se transforma una copia, que ya es un tensor normal: las probabilidades que se anotan son las del modelo.
        chosen = select(_apply(transforms, logits.clone(), ids, mask))  # (B,)
        if not isinstance(chosen, torch.Tensor) or chosen.shape != finished.shape or chosen.is_floating_point():
            raise ValueError(
                f"select debe devolver un id por fila, de forma {tuple(finished.shape)}, y ha devuelto {chosen!r}."
            )
        logprobs = -torch.nn.functional.cross_entropy(logits, chosen.long(), reduction="none")
        if top_n:
            top_logprobs, top_ids = logits.log_softmax(-1).topk(min(top_n, logits.size(-1)))
        del logits  # que no ocupe sitio mientras se calcula el paso siguiente
        if stops:
            chosen, logprobs = torch.where(finished, pad, chosen), torch.where(finished, 0.0, logprobs)
        yield Step(index, chosen, logprobs, top_ids, top_logprobs, finished)
        if stops:
            finished = finished | torch.isin(chosen, eos)
            if finished.all():
                return
        new = chosen[:, None]
        ids, mask = torch.cat([ids, new], 1), _grow(mask)


def generate(model, input_ids: torch.Tensor, **kwargs) -> Generation:
    """Reúne los pasos de ``stream`` (mismos argumentos) en una ``Generation``. Se enseña en la sesión 02."""
    return _collect(input_ids, stream(model, input_ids, **kwargs))


def _collect(input_ids, steps: Iterator[Step]) -> Generation:
    steps = tuple(steps)
    new_ids = torch.stack([step.ids for step in steps], 1)  # (B, N)
    logprobs = torch.stack([step.logprobs for step in steps], 1)
    return Generation(torch.cat([input_ids, new_ids], 1), input_ids.size(1), logprobs, steps)


# ---------------------------------------------------------------- búsqueda en haz
def beam_search(
    model,
    input_ids: torch.Tensor,
    *,
    num_beams: int,
    max_new_tokens: int,
    attention_mask: torch.Tensor | None = None,
    eos_token_id: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
    length_penalty: float = 1.0,
    transforms: Sequence[Transform] = (),
    num_return_sequences: int = 1,
) -> Generation:
    """Búsqueda en haz: en cada paso conserva las ``num_beams`` continuaciones de mayor log-probabilidad acumulada.

    La puntuación final es la suma de log-probabilidades entre ``longitud ** length_penalty``. Devuelve
    ``num_return_sequences`` filas por *prompt*, de mejor a peor, con ``scores`` y ``tree`` (el árbol de la búsqueda).
    Como en Hugging Face: con un haz es la búsqueda voraz, y la búsqueda para cuando ninguna rama viva puede,
    a su longitud actual, mejorar la peor de las terminadas. Graves (2012); Wu et al. (2016). Sesión 03.

    Raises
    ------
    ValueError
        Lo mismo que ``stream`` y, además, si ``num_beams`` < 1 o ``num_return_sequences`` > ``num_beams``.
    """
    mask, transforms, eos, pad = _prepare(
        model, input_ids, attention_mask, transforms, max_new_tokens, eos_token_id, pad_token_id
    )
    _require(_is_count(num_beams), f"num_beams debe ser un entero mayor o igual que 1 y es {num_beams!r}.")
    _require(
        _is_number(length_penalty) and abs(length_penalty) <= 100,
        f"length_penalty debe ser un número entre -100 y 100 y es {length_penalty!r}; lo normal es de 0 a 2.",
    )
    _require(
        _is_count(num_return_sequences) and num_return_sequences <= num_beams,
        f"num_return_sequences debe estar entre 1 y num_beams ({num_beams}) y es {num_return_sequences!r}.",
    )
    if num_beams == 1:  # nada que podar: es la búsqueda voraz, y no hay árbol
        found = _collect(
            input_ids,
            _steps(model, input_ids.clone(), mask, transforms, greedy, max_new_tokens, eos, pad, 0, True),
        )
        length = torch.stack([~step.finished for step in found.steps], 1).sum(1)  # (B,)
        return replace(found, steps=(), scores=found.logprobs.sum(1) / length ** float(length_penalty))

    batch, prompt_length = input_ids.shape
    rows = torch.arange(batch, device=input_ids.device)[:, None]  # (B, 1)
    live = input_ids.repeat_interleave(num_beams, 0).view(batch, num_beams, prompt_length)
    live_total = torch.full((batch, num_beams), NEVER, device=input_ids.device)
    live_total[:, 0] = 0  # al principio todas las ramas son la misma: solo cuenta la primera
    live_logprobs = live_total.new_zeros(batch, num_beams, 0)  # del modelo sin transformar
    fill = (pad or eos[0].item()) if len(eos) else -1  # pad 0 cede ante el EOS: así lo hace Hugging Face
    done = torch.cat([live, live.new_full((batch, num_beams, max_new_tokens), fill)], -1)
    done_score = torch.full_like(live_total, NEVER)
    done_logprobs = live_total.new_zeros(batch, num_beams, max_new_tokens)
    done_length, done_ended = torch.zeros_like(live_total, dtype=torch.long), torch.zeros_like(live_total).bool()
    improvable = torch.ones(batch, dtype=torch.bool, device=input_ids.device)
    mask = None if mask is None else mask.repeat_interleave(num_beams, 0)
    leaves, tree, cache = [[-1] * num_beams for _ in range(batch)], [], None
    # Cada EOS puede agotar un candidato por rama: con estos de más siempre quedan num_beams ramas vivas.
    width = max(2, 1 + len(eos)) * num_beams

    for step in range(max_new_tokens):
        flat = live.flatten(0, 1)  # (B·K, t)
        logits, cache = _next_logits(model, flat, flat if cache is None else flat[:, -1:], mask, cache, True)
        raw = logits.log_softmax(-1)  # (B·K, V)
        scores = _apply(transforms, raw.clone(), flat, mask).view(batch, num_beams, -1) + live_total[..., None]
        total, index = scores.flatten(1).topk(width)  # (B, width), de mejor a peor
        parent, token = index // raw.size(-1), index % raw.size(-1)
        own = raw.view(batch, num_beams, -1)[rows, parent, token]
        candidates = torch.cat([live[rows, parent], token[..., None]], -1)
        candidate_logprobs = torch.cat([live_logprobs[rows, parent], own[..., None]], -1)
        ends = torch.isin(token, eos) if step + 1 < max_new_tokens else torch.ones_like(token, dtype=torch.bool)

        # Terminan las que acaban aquí, si están entre las num_beams mejores y su fila aún puede mejorar.
        score = total / (step + 1) ** length_penalty
        finishing = ends & (torch.arange(width, device=ends.device) < num_beams)
        entering = score + (~improvable[:, None]).float() * NEVER + (~finishing).float() * NEVER
        best = torch.cat([done_score, entering], 1).topk(num_beams).indices
        rest = max_new_tokens - step - 1
        padded = torch.nn.functional.pad(candidates, (0, rest), value=fill)
        padded_logprobs = torch.nn.functional.pad(candidate_logprobs, (0, rest))
        lengths = torch.full_like(token, step + 1)
        done, done_logprobs, done_score, done_length, done_ended = (
            torch.cat([old, new], 1)[rows, best]
            for old, new in [
                (done, padded),
                (done_logprobs, padded_logprobs),
                (done_score, entering),
                (done_length, lengths),
                (done_ended, finishing),
            ]
        )

        # Siguen vivas las num_beams mejores que no acaban.
        live_total, alive = (total + ends.float() * NEVER).topk(num_beams)
        live, live_logprobs = candidates[rows, alive], candidate_logprobs[rows, alive]
        leaves = _grow_tree(tree, leaves, step, parent, token, total, score, finishing, ends, alive)
        cache.reorder_cache((parent[rows, alive] + rows * num_beams).flatten())
        mask = _grow(mask)

        # ¿Puede alguna rama viva, a esta longitud, superar a la peor terminada?
        reachable = live_total[:, :1] / (step + 1) ** length_penalty
        worst = torch.where(done_ended, done_score.amin(1, keepdim=True), NEVER)
        improvable = improvable & (reachable > worst).any(1)
        if not improvable.any() or ends.all():
            break

    length = int(done_length[:, :num_return_sequences].max())
    best_ids = done[:, :num_return_sequences, : prompt_length + length].flatten(0, 1)
    best_logprobs = done_logprobs[:, :num_return_sequences, :length].flatten(0, 1)
    best_scores = done_score[:, :num_return_sequences].flatten()
    return Generation(best_ids, prompt_length, best_logprobs, scores=best_scores, tree=tuple(tree))


def _grow_tree(tree, leaves, step, parent, token, total, score, finishing, ends, alive) -> list[list[int]]:
    """Añade al árbol los candidatos de este paso y devuelve qué nodo es la hoja de cada rama viva."""
    new_leaves = []
    for row, kept in enumerate(alive.tolist()):
        first = len(tree)
        columns = zip(*(t[row].tolist() for t in (parent, token, total, score, finishing, ends)), strict=True)
        for column, (origin, token_id, total_, score_, finished, ended) in enumerate(columns):
            living = column in kept and not ended and total_ > NEVER / 2  # y no una rama de las que no existen
            status = "terminada" if finished else "viva" if living else "podada"
            tree.append(BeamNode(row, step, leaves[row][origin], token_id, total_, score_, status))
        new_leaves.append([first + column for column in kept])
    return new_leaves
