"""Decodificación: de los logits de un modelo a un texto, con funciones puras que se componen.

    transformaciones (temperature, top_k, …)  →  selector (greedy, sample, …)  →  siguiente id

``stream`` da un paso cada vez, ``generate`` los reúne y ``beam_search`` explora varias ramas. Con los mismos
argumentos y la misma semilla, los ids son los de ``model.generate`` de Hugging Face, uno por uno: esa igualdad
es la especificación de este módulo, y vale para cualquier decodificador de transformers. Lo que no se pasa no se
aplica: de ``model.generation_config`` (temperatura, ``top_k``, penalizaciones, EOS…), que ``model.generate`` sí lee,
aquí no se lee nada. Dimensiones: B lote, T tokens, V vocabulario, K haces, N tokens nuevos.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from . import _validate
from ._validate import is_count, is_number, require

Transform = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (logits (B, V), ids (B, T)) -> (B, V)
Selector = Callable[[torch.Tensor], torch.Tensor]  # logits (B, V) -> ids (B,)
NEVER = -1e9  # puntuación de lo que no debe elegirse: finita, para que las sumas no den nan


# ---------------------------------------------------------------- transformaciones
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
    require(
        is_number(t) and t > 0,
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
    require(is_count(k), f"k debe ser un entero mayor o igual que 1 y es {k!r}. Para no filtrar, quita top_k.")

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
    require(is_number(p) and 0 < p <= 1, f"p debe estar en (0, 1] y es {p!r}. Para no filtrar, quita top_p o usa 1.")

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
    require(is_number(p) and 0 < p <= 1, f"min_p debe estar en (0, 1] y es {p!r}. Para no filtrar, quita min_p.")

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
    require(
        is_number(r) and r > 0,
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
    require(is_count(n), f"n debe ser un entero mayor o igual que 1 y es {n!r}. Para no prohibir nada, quítalo.")

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
    require(
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
    require(
        is_number(epsilon) and 0 <= epsilon <= 1,
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
        require(
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
    """Un token que se deja ver: «␣» es espacio, «⏎» fin de línea y «⟨C3⟩» un byte que no es letra por sí solo.

    Tokens distintos se ven distintos: «casa» y «␣casa», el byte «⟨0A⟩» y el fin de línea. Un id que el tokenizador
    no conoce (hay modelos con más vocabulario que su tokenizador) se ve como «⟨id 4097⟩».
    """
    symbol = tokenizer.convert_ids_to_tokens(int(token_id))
    if symbol is None:
        return f"⟨id {token_id}⟩"
    text = tokenizer.decode([token_id], clean_up_tokenization_spaces=False)
    byte = re.fullmatch("<0x([0-9A-F]{2})>", symbol)
    if byte and text != symbol:  # SentencePiece: los bytes de lo que no está en su vocabulario
        return f"⟨{byte[1]}⟩"
    if "▁" in symbol:  # SentencePiece: al decodificar un solo token se pierde el espacio de delante
        text = symbol.replace("▁", " ")
    if "\ufffd" not in text:
        return text.replace(" ", "␣").replace("\n", "⏎")
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {symbol: byte for byte, symbol in bytes_to_unicode().items()}  # el alfabeto de los BPE de bytes
    return "".join("␣" if byte_of.get(s) == 0x20 else f"⟨{byte_of[s]:02X}⟩" if s in byte_of else s for s in symbol)


# ---------------------------------------------------------------- comprobaciones
OTHERS = ("cpmant", "reformer", "xlnet", "xlstm")  # familias que preparan lo que leen a su manera


def _family(model) -> str:
    return getattr(getattr(model, "config", None), "model_type", "")


def _prepare(model, input_ids, attention_mask, transforms, max_new_tokens, eos_token_id, pad_token_id):
    """Valida y normaliza: máscara (None si no hay relleno), transformaciones, EOS y relleno."""
    _validate.causal(model)
    virtual = getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False)  # prompt tuning
    require(
        not virtual and _family(model) not in OTHERS,
        f"{type(model).__name__} no lee el texto como los demás decodificadores: usa su model.generate.",
    )
    _validate.ids(model, input_ids)
    _validate.count("max_new_tokens", max_new_tokens)
    total, context = input_ids.size(1) + max_new_tokens, _validate.context_length(model)
    require(
        total <= context,
        f"{input_ids.size(1)} tokens de prompt + {max_new_tokens} nuevos = {total}, y el contexto del modelo es "
        f"{context}. Acorta el prompt o pide como mucho {max(context - input_ids.size(1), 0)} tokens nuevos.",
    )
    eos = _validate.special_ids(model, "eos_token_id", eos_token_id)
    pads = _validate.special_ids(model, "pad_token_id", pad_token_id)
    require(len(pads) <= 1, f"pad_token_id debe ser un solo id y es {pad_token_id!r}.")
    transforms = () if transforms is None else transforms
    transforms = tuple(transforms) if isinstance(transforms, Iterable) else (transforms,)
    require(
        all(map(callable, transforms)),
        f"Cada transformación debe ser una función y he recibido {transforms!r}. Por ejemplo: [temperature(0.7)].",
    )
    mask = _check_padding(model, input_ids, attention_mask, eos, pads)
    pad = (pads or eos or [None])[0]
    return mask, transforms, torch.tensor(eos, dtype=torch.long, device=input_ids.device), pad


def _check_padding(model, input_ids, mask, eos: list[int], pads: list[int]) -> torch.Tensor | None:
    """La máscara (B, T), o None si no hay relleno. Sin máscara se deduce de ``pad_token_id``, si no es el EOS."""
    if mask is None and pads and pads[0] not in eos:
        mask = input_ids != pads[0]  # como Hugging Face: el relleno se reconoce por su id
    if mask is None:
        own = getattr(getattr(model, "generation_config", None), "pad_token_id", None)
        known = [*pads, own] if own is not None else pads
        for pad in dict.fromkeys([*known, *eos]):
            first, last = ((ids == pad).cumprod(1).sum(1) for ids in (input_ids, input_ids.flip(1)))  # (B,): cuántos
            # Uno al principio de cada fila es un principio de texto; si no hay los mismos en todas, puede ser relleno.
            unequal = bool((first != first[0]).any()) or (pad in known and bool((last != last[0]).any()))
            if unequal or (pad in known and int(first[0]) > 1):
                raise ValueError(
                    f"No sé si el id {pad}, con el que empiezan o acaban algunas filas, es relleno o texto (delante "
                    f"hay {first.tolist()} y detrás {last.tolist()}). Pasa attention_mask, la del tokenizador."
                )
        return None
    _validate.mask(mask, input_ids)
    if not bool(mask[:, -1].all()):
        raise ValueError(
            f"El relleno está a la derecha: la última columna es {mask[:, -1].long().tolist()}. Para generar pon "
            "tokenizer.padding_side = 'left' (y si el prompt acaba en pad_token_id a propósito, pasa attention_mask)."
        )
    return None if bool(mask.all()) else mask.long()


# ---------------------------------------------------------------- el bucle
def _arguments(model) -> Collection[str]:
    """Con qué se puede llamar al modelo: lo que dice su ``forward`` o, si solo dice ``**kwargs``, el de su familia."""
    inner = getattr(model, "_orig_mod", model)  # con torch.compile y con LoRA, el de dentro
    inner = inner.get_base_model() if hasattr(inner, "get_base_model") else inner
    forwards = [vars(kind)["forward"] for kind in type(inner).__mro__ if "forward" in vars(kind)] or [inner]
    known = [inspect.signature(forward).parameters for forward in forwards]
    named = next((names for names in known if "attention_mask" in names), known[0])
    anything = any(p.kind is p.VAR_KEYWORD for p in named.values()) and "attention_mask" not in named
    return ("past_key_values", "attention_mask", "position_ids", "logits_to_keep") if anything else named


class _Reader:
    """El modelo leyendo un texto que crece: llamado con los ids, da los logits del siguiente token, (B, V) en float32.

    Guarda lo que cambia de un paso a otro, la máscara y la caché: por el modelo solo pasa lo que aún no ha leído. Si
    el modelo no tiene caché, pasa todo.
    """

    def __init__(self, model, mask, use_cache: bool):
        names = _arguments(model)
        # Casi todas las familias la llaman past_key_values; Mamba y RWKV, de otra manera.
        self.cache_name = next((n for n in ("past_key_values", "cache_params", "state") if n in names), None)
        self.recurrent = self.cache_name != "past_key_values"
        if self.recurrent and "cache_position" in names:  # Mamba en las primeras versiones 5 de transformers
            self.cache_name = None
        require(
            mask is None or ("attention_mask" in names and self.cache_name != "state"),
            f"{type(model).__name__} no mira attention_mask y leería el relleno como texto: genera fila por fila.",
        )
        self.model, self.mask, self.cache, self.positions = model, mask, None, "position_ids" in names
        self.use_cache = use_cache and self.cache_name is not None
        # Phi-3 cambia de frecuencias al pasar de este largo: lo que guardó con las otras ya no vale.
        self.longest = (
            getattr(model.config, "original_max_position_embeddings", None) if "phi" in _family(model) else None
        )
        self.fixed = {"use_cache": self.use_cache, "return_dict": True}
        self.fixed |= {"logits_to_keep": 1} if "logits_to_keep" in names else {}

    @torch.inference_mode()  # más ligero que no_grad: aquí nadie va a derivar
    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        if self.longest is not None and ids.size(1) == self.longest + 1:
            self.cache = None
        known = 0 if self.cache is None else ids.size(1) - 1  # lo que ya ha leído
        inputs = self.fixed | {"input_ids": ids[:, known:]}
        if known:
            inputs[self.cache_name] = self.cache
        if self.mask is not None and not (known and self.recurrent):  # un estado ya no distingue posiciones
            inputs["attention_mask"] = self.mask
        if self.positions:
            inputs["position_ids"] = self._position_ids(ids, known)
        out = self.model(**inputs)
        self.cache = getattr(out, self.cache_name, None) if self.use_cache else None
        return out.logits[:, -1].float()

    def _position_ids(self, ids, known: int) -> torch.Tensor:
        """Las de lo que falta por leer, (B, T - known); con relleno, la 0 es la del primer token de verdad."""
        if self.mask is not None:
            return (self.mask.cumsum(-1) - 1).clamp(min=0)[:, known:]
        return torch.arange(known, ids.size(1), device=ids.device).expand(len(ids), -1)

    def grow(self) -> None:
        """El token nuevo se atiende: una columna más de unos."""
        self.mask = None if self.mask is None else torch.nn.functional.pad(self.mask, (0, 1), value=1)

    @torch.inference_mode()
    def reorder(self, rows: torch.Tensor) -> None:
        """La fila k pasa a continuar lo que leyó ``rows[k]``; si la caché no sabe, se olvida y se relee todo."""
        if hasattr(self.cache, "reorder_cache"):
            self.cache.reorder_cache(rows)
        else:
            self.cache = None


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
    transforms : iterable of Transform, optional
        En orden; el de Hugging Face: repetition_penalty, no_repeat_ngram, temperature, top_k, top_p, min_p.
    select : Selector
        ``greedy``, ``sample``, ``epsilon_greedy(…)`` o cualquier función (B, V) -> (B,).
    max_new_tokens : int
        Tokens nuevos como mucho.
    eos_token_id : int, sequence of int or tensor, optional
        Con él, una fila termina al escribirlo; sin él, se escriben todos los tokens.
    pad_token_id : int, optional
        Con qué se rellenan las filas terminadas (por defecto, el EOS).
    top_n : int
        Cuántas candidatas del modelo guarda cada paso.
    use_cache : bool
        Guardar lo ya leído (rápido) o releerlo todo en cada paso (lento). En float32 se escribe lo mismo; en bfloat16,
        que redondea a tres cifras, algún token puede cambiar, y cambia igual que en ``model.generate``. Un modelo que
        no devuelve caché lo relee todo.

    Raises
    ------
    ValueError
        Antes de calcular nada, si la entrada no vale (vacía, fuera del vocabulario, más larga que el contexto, relleno
        que no se distingue del texto…) o si el modelo no es un decodificador.
    """
    mask, transforms, eos, pad = _prepare(
        model, input_ids, attention_mask, transforms, max_new_tokens, eos_token_id, pad_token_id
    )
    _validate.count("top_n", top_n, 0)
    require(callable(select), f"select debe ser una función, como greedy o sample, y es {select!r}.")
    reader = _Reader(model, mask, use_cache)
    return _steps(reader, input_ids.clone(), transforms, select, max_new_tokens, eos, pad, top_n)


def _steps(reader, ids, transforms, select, max_new_tokens, eos, pad, top_n) -> Iterator[Step]:
    stops = len(eos) > 0
    finished = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    top_ids, top_logprobs = ids.new_empty(len(ids), 0), torch.empty(len(ids), 0, device=ids.device)
    for index in range(max_new_tokens):
        logits = reader(ids)  # (B, V)
        # Se transforma una copia, que ya es un tensor normal: las probabilidades que se anotan son las del modelo.
        chosen = select(_apply(transforms, logits.clone(), ids, reader.mask))  # (B,)
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
        ids = torch.cat([ids, chosen[:, None]], 1)
        reader.grow()


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
    num_beams = _validate.count("num_beams", num_beams)
    require(
        is_number(length_penalty) and abs(length_penalty) <= 100,
        f"length_penalty debe ser un número entre -100 y 100 y es {length_penalty!r}; lo normal es de 0 a 2.",
    )
    require(
        is_count(num_return_sequences) and num_return_sequences <= num_beams,
        f"num_return_sequences debe estar entre 1 y num_beams ({num_beams}) y es {num_return_sequences!r}.",
    )
    reader = _Reader(model, mask if mask is None else mask.repeat_interleave(num_beams, 0), True)
    if num_beams == 1:  # nada que podar: es la búsqueda voraz, y no hay árbol
        steps = _steps(reader, input_ids.clone(), transforms, greedy, max_new_tokens, eos, pad, 0)
        found = _collect(input_ids, steps)
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
    leaves, tree = [[-1] * num_beams for _ in range(batch)], []

    for step in range(max_new_tokens):
        flat = live.flatten(0, 1)  # (B·K, t)
        raw = reader(flat).log_softmax(-1)  # (B·K, V)
        scores = _apply(transforms, raw.clone(), flat, reader.mask).view(batch, num_beams, -1) + live_total[..., None]
        # Cada EOS puede agotar un candidato por rama: con estos de más siempre quedan num_beams ramas vivas.
        width = min(max(2, 1 + len(eos)), raw.size(-1)) * num_beams
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
        reader.reorder((parent[rows, alive] + rows * num_beams).flatten())
        reader.grow()

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
