"""Comparar estrategias de decodificación con las mismas medidas: lo probable, lo variado y lo repetido.

Cada estrategia es un nombre y sus opciones (``transforms``, ``select``, ``num_beams``, ``length_penalty``). Con todas
se escriben los mismos textos, desde el mismo *prompt* y con la misma semilla, y se miden igual.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch

from . import _validate, decoding
from ._validate import is_count, is_number

OPTIONS = ("transforms", "select", "num_beams", "length_penalty")
STRATEGIES: dict[str, dict] = {
    "voraz": {},
    "haz (4)": {"num_beams": 4},
    "haz (4), sin repetir 3-gramas": {"num_beams": 4, "transforms": [decoding.no_repeat_ngram(3)]},
    "muestreo": {"select": decoding.sample},
    "τ = 0,75": {"select": decoding.sample, "transforms": [decoding.temperature(0.75)]},
    "top-k = 50": {"select": decoding.sample, "transforms": [decoding.top_k(50)]},
    "top-p = 0,9": {"select": decoding.sample, "transforms": [decoding.top_p(0.9)]},
    "min-p = 0,1": {"select": decoding.sample, "transforms": [decoding.min_p(0.1)]},
}


def distinct_n(ids: Sequence[int], n: int) -> float:
    """Proporción de n-gramas distintos de una secuencia, entre 0 y 1; 0 si no hay ninguno.

    ``1 - distinct_n(ids, 4)`` es la tasa de repetición (seq-rep-4) de Welleck et al. (2020).
    Li et al. (2016). Se enseña en la sesión 03.

    Raises
    ------
    ValueError
        Si ``n`` no es un entero mayor o igual que 1.
    """
    n = _validate.count("n", n, remedy="Para bigramas, n=2.")
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[str]) -> float:
    """Lo que se parecen entre sí unos textos: la media del BLEU (0 a 100) de cada uno con los demás de referencia.

    100 es que todos son iguales; cuanto más bajo, más variados. Lo calcula sacrebleu (frase a frase, con
    suavizado exponencial). Zhu et al. (2018), Texygen. Se enseña en la sesión 03.

    Raises
    ------
    ValueError
        Si no hay al menos dos textos.
    """
    if isinstance(texts, str) or len(texts) < 2:
        raise ValueError(f"self-BLEU compara varios textos entre sí y he recibido {texts!r}. Pásale al menos dos.")
    from sacrebleu.metrics import BLEU

    bleu = BLEU(effective_order=True)  # los textos muy cortos se puntúan con los n-gramas que tengan
    others = [[*texts[:i], *texts[i + 1 :]] for i in range(len(texts))]
    return sum(bleu.sentence_score(t, rest).score for t, rest in zip(texts, others, strict=True)) / len(texts)


def compare_strategies(
    model,
    tokenizer,
    prompt: str,
    strategies: Iterable[str] | Mapping[str, Mapping] = tuple(STRATEGIES),
    *,
    samples: int = 20,
    max_new_tokens: int = 40,
    eos_token_id: int | Sequence[int] | None = None,
    seed: int = 0,
):
    """Escribe ``samples`` textos con cada estrategia y los mide; una fila por estrategia.

    Parameters
    ----------
    model, tokenizer
        Un decodificador y su tokenizador.
    prompt : str
        El principio común de todos los textos.
    strategies : iterable of str, or mapping of str to mapping
        Nombres de ``STRATEGIES`` o, para las tuyas, nombre → opciones: ``transforms``, ``select``, ``num_beams`` y
        ``length_penalty``, las de ``decoding.generate`` y ``decoding.beam_search``.
    samples : int
        Textos por estrategia, 2 o más.
    max_new_tokens : int
        Tokens nuevos por texto, como mucho.
    eos_token_id : int, sequence of int or tensor, optional
        Con él, cada texto acaba al escribirlo, y lo que sigue no cuenta.
    seed : int
        Semilla de cada estrategia. El azar global queda como estaba.

    Returns
    -------
    pandas.DataFrame
        Columnas «log-prob. por token» (nats, del modelo sin transformar), «distinct-1» y «distinct-2» (media por
        texto), «repetición» (4-gramas repetidos, de 0 a 1), «self-BLEU» (0 a 100) y «tokens/s» (depende de la
        máquina). En ``attrs["textos"]``, lo escrito por cada estrategia.

    Raises
    ------
    ValueError
        Antes de calcular nada, si algo de una estrategia no existe o no vale, o el modelo no es un decodificador.

    Notes
    -----
    Se enseña en la sesión 03.
    """
    import pandas as pd

    _validate.causal(model)
    plans = _check_strategies(strategies)
    if not isinstance(prompt, str) or not prompt:
        raise ValueError(f"El prompt debe ser un texto con al menos una letra y es {prompt!r}.")
    if not is_count(samples, 2) or not is_count(seed, 0):
        raise ValueError(f"samples debe ser un entero desde 2 y seed desde 0; son {samples!r} y {seed!r}.")
    ids = tokenizer(prompt, return_tensors="pt").input_ids.to(model.device).repeat(int(samples), 1)  # (B, T)
    common = {
        "attention_mask": torch.ones_like(ids),  # todas las filas son el prompt: no hay relleno
        "max_new_tokens": max_new_tokens,
        "eos_token_id": eos_token_id,
    }
    decoding.stream(model, ids, **common)  # comprueba la entrada; aún no calcula nada
    eos = _validate.special_ids(model, "eos_token_id", eos_token_id)

    rows, texts = {}, {}
    for name, options in plans.items():
        write = decoding.beam_search if options.get("num_beams", 1) > 1 else decoding.generate
        given = {k: v for k, v in options.items() if write is decoding.beam_search or k in ("transforms", "select")}
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(int(seed))
            start = time.perf_counter()
            result = write(model, ids, **common, **given)
            seconds = time.perf_counter() - start
        written = [_until(row, eos) for row in result.new_ids.tolist()]
        n_tokens = sum(map(len, written))
        texts[name] = [tokenizer.decode(row, skip_special_tokens=True) for row in written]
        rows[name] = {
            "log-prob. por token": result.logprobs.sum().item() / n_tokens,
            "distinct-1": sum(distinct_n(row, 1) for row in written) / samples,
            "distinct-2": sum(distinct_n(row, 2) for row in written) / samples,
            "repetición": sum(1 - distinct_n(row, 4) for row in written if len(row) >= 4) / samples,
            "self-BLEU": self_bleu(texts[name]),
            "tokens/s": n_tokens / seconds,
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("estrategia")
    table.attrs["textos"] = texts
    return table


def _check_strategies(strategies) -> dict[str, dict]:
    """Nombre → opciones, ya comprobadas."""
    if not isinstance(strategies, Mapping):
        names = [strategies] if isinstance(strategies, str) else list(strategies)
        unknown = [name for name in names if name not in STRATEGIES]
        if unknown or not names:
            raise ValueError(
                f"No conozco las estrategias {unknown}; he recibido {names}. Las que hay son: {', '.join(STRATEGIES)}. "
                "Para una tuya, pasa un diccionario: {'mía': {'transforms': […], 'select': decoding.sample}}."
            )
        strategies = {name: STRATEGIES[name] for name in names}
    if not strategies:
        raise ValueError(f"No hay estrategias que comparar: he recibido {strategies!r}.")
    plans = {}
    for name, options in strategies.items():
        unknown = [key for key in options if key not in OPTIONS] if isinstance(options, Mapping) else [options]
        if unknown:
            raise ValueError(f"La estrategia {name!r} trae {unknown}. Las opciones que hay son: {', '.join(OPTIONS)}.")
        options = dict(options)
        if isinstance(options.get("transforms"), Iterator):  # se leerá varias veces
            options["transforms"] = tuple(options["transforms"])
        transforms, select = options.get("transforms"), options.get("select", decoding.greedy)
        num_beams, length_penalty = options.get("num_beams", 1), options.get("length_penalty", 1.0)
        if transforms is not None and (not isinstance(transforms, Iterable) or not all(map(callable, transforms))):
            raise ValueError(
                f"En la estrategia {name!r}, transforms debe ser una lista de transformaciones y es {transforms!r}. "
                "Por ejemplo: [decoding.temperature(0.7)]."
            )
        if not callable(select) or not is_count(num_beams) or not is_number(length_penalty):
            raise ValueError(
                f"En la estrategia {name!r}, select debe ser una función (decoding.sample), num_beams un entero desde "
                f"1 y length_penalty un número; son {select!r}, {num_beams!r} y {length_penalty!r}."
            )
        if (num_beams > 1 and "select" in options) or (num_beams == 1 and "length_penalty" in options):
            raise ValueError(
                f"La estrategia {name!r} mezcla opciones que no van juntas, {list(options)}: con haces (num_beams > 1) "
                "no hay select, y sin ellos no hay length_penalty. Quita lo que sobra."
            )
        plans[name] = options
    return plans


def _until(ids: list[int], eos: Sequence[int]) -> list[int]:
    """Lo escrito, hasta su primer EOS incluido."""
    end = next((i for i, token in enumerate(ids) if token in eos), len(ids))
    return ids[: end + 1]
