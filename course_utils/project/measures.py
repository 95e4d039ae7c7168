"""Lo que se mide en un trabajo, con su evidencia: puntuar, comparar por parejas, elegir y leer sin escoger."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from .. import _validate, decoding, scoring
from .._files import fingerprint
from .._look import number, percent
from ..memorization import longest_shared
from .evidence import BETTER, Evidence, evidence

RESAMPLES = 2000


def measure(model, tokenizer, texts: Sequence[str], *, when: str, part: str = "test", window=None) -> Evidence:
    """Perplejidad y bits por carácter de unos textos, con las cuentas de las que salen.

    Parameters
    ----------
    model, tokenizer
        El decodificador, en modo evaluación, y su tokenizador.
    texts : sequence of str
        Los textos: los mismos antes y después.
    when : str
        «antes» o «después» (o el nombre de lo que se mide).
    part : str
        De qué parte son.
    window : int, optional
        La de ``scoring.perplexity``.

    Returns
    -------
    Evidence
        ``values["per_text"]`` lleva los bits por carácter de cada texto, para ``compare``.

    Notes
    -----
    Se usa en el trabajo final.
    """
    texts = _validate.texts(texts)
    found = scoring.perplexity(model, tokenizer, texts, window=window)
    per_text = [round(p.bits_per_char, 5) for p in (found.per_text or (found,))]
    values = {"nll": round(found.nll, 3), "n_tokens": found.n_tokens, "n_chars": found.n_chars}
    values |= {"perplexity": round(found.value, 4), "bits_per_char": round(found.bits_per_char, 5)}
    rows = {
        "textos": f"{len(texts)} de «{part}», {found.n_chars} caracteres, {found.n_tokens} tokens",
        "perplejidad": number(found.value, 2),
        "bits por carácter": number(found.bits_per_char, 3),
    }
    about = {"when": when, "part": part, "fingerprint": fingerprint(texts)}
    return evidence("measure", rows=rows, caption=f"Medida: {when}", **about, **values, per_text=per_text)


def compare(
    what: str, values: Mapping[str, Sequence[float]], *, better: str, seed: int = 0, digits: int = 3
) -> Evidence:
    """Dos condiciones medidas en lo mismo, por parejas: la diferencia media y su intervalo del 95 %.

    Se remuestrean parejas enteras (*bootstrap*), 2000 veces.

    Parameters
    ----------
    what : str
        La medida.
    values : mapping of str to sequence of float
        Las dos condiciones, en el mismo orden de textos. La diferencia es la segunda menos la primera.
    better : str
        «menor» o «mayor».
    seed : int
        La del remuestreo.
    digits : int
        Cifras tras la coma.

    Raises
    ------
    ValueError
        Si no son dos, no miden lo mismo o hay menos de dos parejas.

    Notes
    -----
    Se usa en el trabajo final; el intervalo se enseña en la sesión 06.
    """
    _better(better)
    _validate.require(len(values) == 2, f"compare compara dos condiciones y he recibido {len(values)}: {list(values)}.")
    (first, a), (second, b) = ((name, np.asarray(x, dtype=float)) for name, x in values.items())
    _validate.require(
        a.shape == b.shape and a.ndim == 1 and len(a) > 1,
        f"Hacen falta dos listas igual de largas, con una cifra por texto; miden {a.shape} y {b.shape}.",
    )
    gaps = b - a
    draws = np.random.default_rng(seed).integers(len(gaps), size=(RESAMPLES, len(gaps)))
    low, high = np.quantile(gaps[draws].mean(1), [0.025, 0.975])
    same = low <= 0 <= high
    wins = np.mean(gaps > 0 if better == "mayor" else gaps < 0)
    rows = {f"{what}, {name}": number(x.mean(), digits) for name, x in ((first, a), (second, b))}
    interval = f"de {number(low, digits, sign=True)} a {number(high, digits, sign=True)}"
    gap = number(gaps.mean(), digits, sign=True)
    rows |= {f"diferencia ({len(a)} parejas)": f"{gap}, intervalo del 95 % {interval}"}
    rows |= {f"gana «{second}» (mejor, {better})": f"en el {percent(wins, 0)} de las parejas"}
    rows |= {"¿se distinguen?": "no: el intervalo contiene el cero" if same else "sí: el intervalo no contiene el cero"}
    numbers = {"means": [round(float(x.mean()), 6) for x in (a, b)], "difference": round(float(gaps.mean()), 6)}
    numbers |= {"low": round(float(low), 6), "high": round(float(high), 6), "pairs": len(a)}
    about = {"what": what, "names": [first, second], "better": better, "seed": seed}
    return evidence("compare", rows=rows, caption="Por parejas", **about, **numbers)


def choose(what: str, values: Mapping[str, Sequence[float]], *, better: str, chosen: str, reason: str = "") -> Evidence:
    """La elección de una manera de decodificar (o de otra cosa) con una medida: la media de cada opción.

    Parameters
    ----------
    what : str
        La medida.
    values : mapping of str to sequence of float
        De cada opción, una cifra por texto; el mismo número en todas.
    better : str
        «menor» o «mayor».
    chosen : str
        La que te quedas.
    reason : str
        Si no es la mejor según la medida, por qué.

    Raises
    ------
    ValueError
        Si hay menos de dos opciones, no tienen las mismas cifras o la elegida no está.

    Notes
    -----
    Se usa en el trabajo final.
    """
    _better(better)
    sizes = {len(list(x)) for x in values.values()}
    _validate.require(len(values) > 1, f"Para elegir hacen falta dos opciones o más y he recibido {list(values)}.")
    _validate.require(len(sizes) == 1 and 0 not in sizes, f"Las opciones no tienen las mismas cifras: {sorted(sizes)}.")
    _validate.require(chosen in values, f"La elegida, {chosen!r}, no está entre las comparadas: {list(values)}.")
    means = {name: round(float(np.mean(list(x))), 6) for name, x in values.items()}
    rows = {name: number(mean, 3) + (" ← elegida" if name == chosen else "") for name, mean in means.items()}
    rows |= {"motivo": reason} if reason else {}
    about = {"what": what, "better": better, "chosen": chosen, "reason": reason, "samples": sizes.pop()}
    return evidence("choice", rows=rows, caption=f"{what} (mejor, {better})", **about, means=means)


def write_texts(
    model, tokenizer, prompt: str = "", *, transforms=(), seeds=range(6), max_new_tokens: int = 60
) -> list[str]:
    """Un texto por semilla, muestreado; el azar de fuera queda como estaba. Sin ``prompt``, empieza de cero.

    Raises
    ------
    ValueError
        Los de ``decoding.generate``.

    Notes
    -----
    Se usa en el trabajo final.
    """
    generators = [torch.Generator(model.device).manual_seed(int(seed)) for seed in seeds]

    def select(logits: torch.Tensor) -> torch.Tensor:  # (B, V) → (B,): cada fila, con su azar
        rows = zip(logits.split(1), generators, strict=True)
        return torch.cat([decoding.sample(row, generator) for row, generator in rows])

    ids = tokenizer(prompt or tokenizer.eos_token, return_tensors="pt").input_ids.to(model.device)  # (1, T)
    ids = ids.repeat(len(generators), 1)  # (B, T)
    found = decoding.generate(
        model,
        ids,
        attention_mask=torch.ones_like(ids),
        transforms=list(transforms),
        select=select,
        max_new_tokens=max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return [prompt + tokenizer.decode(row, skip_special_tokens=True) for row in found.new_ids.tolist()]


def read_texts(
    texts: Sequence[str],
    *,
    seeds: Sequence[int],
    strategy: str,
    training: Sequence[str] = (),
    held_out: Sequence[str] = (),
) -> Evidence:
    """Los textos tal como salieron, con su semilla, y cuántas palabras seguidas comparte cada uno con el entrenamiento.

    Parameters
    ----------
    texts : sequence of str
        Los textos, sin escoger.
    seeds : sequence of int
        La semilla (o el número) de cada uno.
    strategy : str
        Con qué se escribieron.
    training, held_out : sequence of str
        Los textos de entrenar, donde se busca lo copiado, y los de prueba, que nadie copió: la referencia.

    Raises
    ------
    ValueError
        Si no hay una semilla por texto.

    Notes
    -----
    Se usa en el trabajo final.
    """
    texts, seeds = _validate.texts(texts), [int(seed) for seed in seeds]
    _validate.require(len(texts) == len(seeds), f"Hay {len(texts)} textos y {len(seeds)} semillas: una por texto.")
    shared = longest_shared(training, texts) if len(training) else None
    usual = longest_shared(training, held_out) if len(training) and len(held_out) else None
    rows = {}
    for k, (seed, text) in enumerate(zip(seeds, texts, strict=True)):
        copied = f" · comparte {shared[k]} palabras seguidas" if shared else ""
        rows[f"{seed}{copied}"] = text.strip()
    values = {"seeds": seeds, "strategy": strategy, "texts": list(texts), "longest_shared": shared}
    values["reference"] = None if usual is None else [statistics.median(usual), max(usual)]
    if usual is not None:
        rows["(los de prueba)"] = f"mediana, {number(values['reference'][0], 0)} palabras; el que más, {max(usual)}"
    return evidence("texts", rows=rows, caption=f"Sin escoger: {strategy}", **values)


def _better(better: str) -> None:
    _validate.require(better in BETTER, f"better es «menor» o «mayor», hacia donde mejora la medida; es {better!r}.")
