"""Ajuste fino de un decodificador con textos cortos: tokens con EOS, lotes sin desperdicio y un ``Trainer`` preparado.

El EOS se distingue del relleno por la máscara de atención, nunca por su id: así el modelo aprende a parar aunque el
tokenizador use el mismo token para las dos cosas.
"""

from __future__ import annotations

import math
import re
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

IGNORED = -100  # el índice que la entropía cruzada de PyTorch no cuenta
_WORD = re.compile(r"\w+")
_LORA_MODULES = ("c_attn", "c_proj", "c_fc")  # las matrices de los bloques de GPT-2


def tokenize(texts: Sequence[str], tokenizer, *, max_length: int):
    """Cada texto entre dos EOS: el primero dice «empieza un texto» y el último, «aquí se acaba».

    Parameters
    ----------
    texts : sequence of str
        Los textos.
    tokenizer : PreTrainedTokenizer
        Con ``eos_token_id``.
    max_length : int
        Tokens como mucho, EOS incluidos (normalmente, el contexto del modelo).

    Returns
    -------
    datasets.Dataset
        Una fila por texto, con ``input_ids`` (lista de ids) y ``length`` (tokens). Un texto más largo se corta por el
        final y pierde el EOS: no acaba ahí.

    Raises
    ------
    ValueError
        Si no hay textos, alguno está vacío, el tokenizador no tiene EOS o ``max_length`` es menor que 3.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    from datasets import Dataset

    texts = [texts] if isinstance(texts, str) else list(texts)
    wrong = [text for text in texts if not isinstance(text, str) or not text.strip()]
    if not texts or wrong:
        raise ValueError(f"Esperaba una lista de textos con algo escrito y he recibido {(wrong or texts)[:1]!r}.")
    eos = getattr(tokenizer, "eos_token_id", None)
    if eos is None:
        raise ValueError(f"El tokenizador {type(tokenizer).__name__} no tiene EOS. Ponle uno: tokenizer.eos_token = …")
    if not isinstance(max_length, int) or max_length < 3:
        raise ValueError(
            f"max_length debe ser un entero mayor que 2 y es {max_length!r}: hay que dejar sitio a los EOS."
        )
    pieces = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    rows = [[eos, *ids, eos][:max_length] for ids in pieces]
    return Dataset.from_dict({"input_ids": rows, "length": [len(row) for row in rows]})


def pack(dataset, max_length: int):
    """Junta textos enteros en filas de hasta ``max_length`` tokens, sin que ninguno vea a los demás.

    Reparte de mayor a menor, cada texto en la primera fila en que quepa. Las posiciones vuelven a 0 en cada texto: con
    eso, y sin máscara de atención, transformers separa los textos de una fila. La pérdida es la misma que sin juntar.

    Returns
    -------
    datasets.Dataset
        Con ``input_ids``, ``position_ids`` y ``length``.

    Raises
    ------
    ValueError
        Si algún texto no cabe.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    from datasets import Dataset

    rows = sorted(dataset["input_ids"], key=len, reverse=True)
    if rows and len(rows[0]) > max_length:
        raise ValueError(
            f"Hay un texto de {len(rows[0])} tokens y max_length es {max_length}: no cabe. Tokeniza con él."
        )
    packed, positions = [], []
    for row in rows:
        place = next((i for i, other in enumerate(packed) if len(other) + len(row) <= max_length), None)
        if place is None:
            packed, positions, place = [*packed, []], [*positions, []], len(packed)
        packed[place] += row
        positions[place] += range(len(row))
    return Dataset.from_dict({"input_ids": packed, "position_ids": positions, "length": [len(row) for row in packed]})


def collator(pad_token_id: int, pad_to: int | None = None) -> Callable[[list[Mapping]], dict[str, torch.Tensor]]:
    """Fabrica la función que hace un lote: relleno a la derecha hasta la fila más larga, y −100 solo en el relleno.

    Parameters
    ----------
    pad_token_id : int
        El id del relleno; puede ser el del EOS.
    pad_to : int, optional
        Rellena siempre hasta aquí (tokens) en vez de hasta la más larga. Solo sirve para medir lo que se desperdicia.

    Returns
    -------
    callable
        De una lista de filas con ``input_ids`` a ``input_ids``, ``attention_mask`` y ``labels``, (B, T). Si las filas
        traen ``position_ids`` (``pack``), van en lugar de la máscara.

    Notes
    -----
    Se enseña en la sesión 04.
    """

    def collate(rows: list[Mapping]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)
        width = max(width, pad_to or 0)

        def padded(values, fill):  # una fila más corta acaba en `fill`
            return torch.tensor([[*row, *[fill] * (width - len(row))] for row in values])

        ids = [row["input_ids"] for row in rows]
        batch = {"input_ids": padded(ids, pad_token_id), "labels": padded(ids, IGNORED)}
        if "position_ids" not in rows[0]:
            return batch | {"attention_mask": padded([[1] * len(row) for row in ids], 0)}
        positions = padded([row["position_ids"] for row in rows], 0)
        batch["labels"][positions == 0] = IGNORED  # el primero de un texto no se predice desde el texto anterior
        return batch | {"position_ids": positions}

    return collate


def padding_share(lengths: Sequence[int], batches: Sequence[Sequence[int]], pad_to: int | None = None) -> float:
    """Qué parte de los tokens de unos lotes es relleno, entre 0 y 1.

    Parameters
    ----------
    lengths : sequence of int
        Tokens de cada texto.
    batches : sequence of sequence of int
        Los lotes: qué textos (índices) lleva cada uno.
    pad_to : int, optional
        Hasta dónde se rellena (tokens); si falta, hasta el más largo del lote.

    Raises
    ------
    ValueError
        Si no hay lotes.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    if not len(batches):
        raise ValueError("Hace falta al menos un lote para medir el relleno; he recibido 0.")
    real = sum(lengths[i] for batch in batches for i in batch)
    paid = sum(len(batch) * (pad_to or max(lengths[i] for i in batch)) for batch in batches)
    return 1 - real / paid


def build_trainer(
    model,
    tokenizer,
    datasets: Mapping,
    *,
    output_dir: str | Path,
    epochs: float = 10,
    batch_size: int = 8,
    learning_rate: float = 5e-4,
    patience: int | None = 2,
    packing: bool = False,
    lora_rank: int | None = None,
    seed: int = 0,
    progress: bool = True,
    **arguments,
):
    """Un ``transformers.Trainer`` listo para ``.train()``: evalúa cada época, guarda la mejor y sabe cuándo parar.

    Parameters
    ----------
    model, tokenizer : PreTrainedModel, PreTrainedTokenizer
        El decodificador, que se entrena *en su sitio*, y su tokenizador.
    datasets : mapping
        ``"train"`` y ``"validation"``, cada uno con una columna ``text`` (por ejemplo, ``load_jokes()``).
    output_dir : str or Path
        Carpeta de trabajo: un punto de control por época.
    epochs, batch_size, learning_rate
        Lo habitual. La tasa sube durante el primer 10 % de los pasos y baja linealmente hasta cero.
    patience : int, optional
        Épocas sin mejorar antes de parar; ``None`` llega hasta el final.
    packing : bool
        Junta varios textos por fila (``pack``). Sin él, cada lote lleva textos de longitud parecida.
    lora_rank : int, optional
        Con un número, entrena adaptadores LoRA de ese rango (peft) y deja quietos los pesos del modelo.
    seed : int
        Semilla del orden y del azar del entrenamiento.
    progress : bool
        Barra de progreso y tabla por época.
    **arguments
        Cualquier otro de ``transformers.TrainingArguments``: manda sobre los de aquí.

    Returns
    -------
    transformers.Trainer
        ``state.log_history`` lleva, por época, ``loss`` y ``eval_nll``: la media por token (nats) de toda la
        validación, que no depende de cómo se hagan los lotes. Es la que decide la mejor época.

    Raises
    ------
    ValueError
        Si falta una partición, un número no vale o en ``output_dir`` no se puede escribir o no cabe lo que se guarda:
        todo antes de entrenar.

    Notes
    -----
    Hu et al. (2021), arXiv:2106.09685 (LoRA). Se enseña en la sesión 04.
    """
    from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments

    _check_training(datasets, epochs, batch_size, learning_rate, patience, lora_rank)
    check_output_dir(output_dir, needed=_bytes_needed(model, save_only_model=arguments.get("save_only_model", False)))
    context = model.config.max_position_embeddings
    sets = {name: tokenize(datasets[name]["text"], tokenizer, max_length=context) for name in ("train", "validation")}
    if packing:
        sets["train"] = pack(sets["train"], context)
    model.loss_type = "ForCausalLM"  # la que usaría de todos modos, pero con un aviso
    if lora_rank:
        model = add_lora(model, lora_rank, seed=seed)
    defaults = {
        "output_dir": str(output_dir),
        "num_train_epochs": epochs,
        "per_device_train_batch_size": batch_size,
        "per_device_eval_batch_size": 2 * batch_size,
        "learning_rate": learning_rate,
        "warmup_steps": 0.1,  # una fracción: el 10 % de los pasos
        "weight_decay": 0.01,
        "train_sampling_strategy": "random" if packing else "group_by_length",
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "logging_strategy": "epoch",
        "save_total_limit": 2,  # la mejor y la última
        "load_best_model_at_end": True,
        "metric_for_best_model": "nll",
        "greater_is_better": False,
        "label_names": ["labels"],
        "remove_unused_columns": False,
        "restore_callback_states_from_checkpoint": True,  # al continuar, la paciencia va por donde iba
        "dataloader_pin_memory": torch.cuda.is_available(),
        "disable_tqdm": not progress,
        "report_to": "none",
        "seed": seed,
    }
    stop = [EarlyStoppingCallback(early_stopping_patience=patience)] if patience else []
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**defaults | arguments),
        data_collator=collator(pad),
        train_dataset=sets["train"],
        eval_dataset=sets["validation"],
        processing_class=tokenizer,
        compute_metrics=_mean_nll,
        preprocess_logits_for_metrics=_nll_per_row,
        callbacks=stop,
    )
    trainer.remove_callback(PrinterCallback)  # sin barra, escribiría un diccionario por época
    return trainer


def add_lora(model, rank: int, *, seed: int = 0):
    """El modelo con adaptadores LoRA de rango ``rank`` en las matrices de sus bloques; solo ellos se entrenan.

    Cambia el modelo recibido por dentro; ``.merge_and_unload()`` suma los adaptadores a los pesos y lo devuelve entero.

    Raises
    ------
    ValueError
        Si el rango no es un entero positivo o el modelo no tiene las matrices de GPT-2.

    Notes
    -----
    Hu et al. (2021), arXiv:2106.09685. Se enseña en la sesión 04.
    """
    from peft import LoraConfig, get_peft_model

    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise ValueError(f"El rango de LoRA debe ser un entero positivo y es {rank!r}. Prueba con 8.")
    if not any(name.endswith(_LORA_MODULES) for name, _ in model.named_modules()):
        raise ValueError(
            f"No sé dónde poner LoRA en {type(model).__name__}: busco las matrices {_LORA_MODULES} de GPT-2."
        )
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=list(_LORA_MODULES), fan_in_fan_out=True, task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng(), warnings.catch_warnings():  # la semilla no toca el azar de fuera
        warnings.simplefilter("ignore", FutureWarning)  # de peft a transformers: no es cosa de quien entrena
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def longest_shared(training: Sequence[str], samples: Sequence[str]) -> list[int]:
    """De cada muestra, cuántas palabras seguidas tiene su trozo más largo que está igual en el entrenamiento.

    No distingue mayúsculas y se salta la puntuación. Un trozo no puede pasar de un texto de entrenamiento al siguiente.

    Parameters
    ----------
    training, samples : sequence of str
        Los textos de entrenamiento y las muestras.

    Returns
    -------
    list of int
        Una cuenta de palabras por muestra.

    Notes
    -----
    Carlini et al. (2022), arXiv:2202.07646, discuten qué cuenta como memorizar. Se enseña en la sesión 04.
    """
    training, samples = ([texts] if isinstance(texts, str) else texts for texts in (training, samples))
    numbers: dict[str, int] = {}
    # Entre textos, un número que no es de ninguna palabra (impar: si no, dos seguidos se anularían en el hash).
    border = np.array([0xD1B54A32D192ED03], dtype=np.uint64)
    texts = [[numbers.setdefault(w, len(numbers) + 1) for w in _WORD.findall(text.lower())] for text in training]
    source = np.concatenate([part for ids in texts for part in (np.array(ids, dtype=np.uint64), border)] or [border])
    rows = [np.array([numbers.get(w, 0) for w in _WORD.findall(s.lower())], dtype=np.uint64) for s in samples]
    base, longest, n = np.uint64(0x9E3779B97F4A7C15), [0] * len(samples), 0
    source_hash, row_hashes = np.zeros_like(source), [np.zeros_like(row) for row in rows]
    alive = set(range(len(rows)))
    while alive:
        n += 1

        def extend(hashes, values, n=n):  # hash de cada n-grama a partir del de n − 1: módulo 2⁶⁴
            return hashes[: max(len(values) - n + 1, 0)] * base + values[n - 1 :]

        source_hash = extend(source_hash, source)
        row_hashes = [extend(h, r) for h, r in zip(row_hashes, rows, strict=True)]
        wanted = np.unique(np.concatenate([row_hashes[i] for i in alive]))
        if not len(wanted):
            break
        place = np.searchsorted(wanted, source_hash).clip(max=len(wanted) - 1)
        found = np.unique(wanted[place[wanted[place] == source_hash]])
        for i in sorted(alive):
            if np.isin(row_hashes[i], found).any():
                longest[i] = n
            else:
                alive.remove(i)
    return longest


def check_output_dir(folder: str | Path, *, needed: int = 0) -> Path:
    """Crea la carpeta si falta y comprueba, escribiendo, que se puede usar y que hay sitio.

    Parameters
    ----------
    folder : str or Path
        La carpeta.
    needed : int
        Bytes libres que hacen falta.

    Raises
    ------
    ValueError
        Si no se puede escribir en ella o no queda tanto sitio.

    Notes
    -----
    Se usa en la sesión 04.
    """
    folder = Path(folder)
    probe = folder / ".prueba-de-escritura"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ValueError(f"No puedo escribir en {folder} ({type(error).__name__}). Elige otra carpeta.") from error
    if free < needed:
        raise ValueError(
            f"En {folder} quedan {free / 1e6:.0f} MB libres y el entrenamiento necesita unos {needed / 1e6:.0f} MB. "
            "Libera espacio o elige una carpeta de otro disco."
        )
    return folder


def _bytes_needed(model, *, save_only_model: bool) -> int:
    """Tres puntos de control (dos que se conservan y el que se está escribiendo), con los dos momentos de Adam."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return 3 * weights * (1 if save_only_model else 3)


def _check_training(datasets, epochs, batch_size, learning_rate, patience, lora_rank) -> None:
    missing = [name for name in ("train", "validation") if not isinstance(datasets, Mapping) or name not in datasets]
    if missing:
        raise ValueError(
            f"Faltan las particiones {missing} en lo recibido ({type(datasets).__name__}). Usa load_jokes() o un "
            'diccionario con "train" y "validation".'
        )
    numbers = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    numbers |= {k: v for k, v in {"patience": patience, "lora_rank": lora_rank}.items() if v is not None}
    for name, value in numbers.items():
        real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not real or value <= 0 or (name in ("batch_size", "patience", "lora_rank") and value != int(value)):
            raise ValueError(f"{name} debe ser un número positivo y es {value!r}.")


def _nll_per_row(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(B, T, V) y (B, T) → (B, 2): suma de la NLL de cada fila (nats) y cuántos tokens cuenta."""
    logits = logits[0] if isinstance(logits, tuple) else logits
    targets = labels[:, 1:]
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
    )
    return torch.stack([loss.sum(1), (targets != IGNORED).sum(1).float()], dim=1)


def _mean_nll(prediction) -> dict[str, float]:
    """NLL media por token de toda la validación: cada token pesa lo mismo, esté en el lote que esté."""
    total, tokens = prediction.predictions.reshape(-1, 2).astype(np.float64).sum(0)
    return {"nll": float(total / tokens)}
