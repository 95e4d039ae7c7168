"""Ajuste fino de un decodificador con textos cortos: tokens con EOS, lotes sin desperdicio y un ``Trainer`` preparado.

El EOS se distingue del relleno por la máscara de atención, nunca por su id: así el modelo aprende a parar aunque el
tokenizador use el mismo token para las dos cosas.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import torch
from transformers import TrainerCallback

from . import _files, _validate
from ._look import number
from .cards import Table
from .memorization import longest_shared as longest_shared

IGNORED = -100  # el índice que la entropía cruzada de PyTorch no cuenta
MAX_LENGTH = 1024  # tokens por fila como mucho: con un contexto enorme, o sin tope, un lote no cabría en la memoria
_EVAL_LOGITS = 2**27  # los que se calculan a la vez al evaluar: 512 MiB en float32, y otro tanto de paso
_NO_LORA = {"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"}  # peft las rechaza, y ya a medio cambiar


def tokenize(texts: Sequence[str], tokenizer, *, max_length: int):
    """Cada texto entre dos EOS: el primero dice «empieza un texto» y el último, «aquí se acaba».

    Si el tokenizador tiene un token propio para empezar (BOS, como en Gemma o Llama), el primero es ese.

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

    texts = _validate.texts([texts] if isinstance(texts, str) else texts)
    empty = [text for text in texts if not text.strip()]
    _validate.require(not empty, f"Esperaba textos con algo escrito y he recibido {empty[:1]!r}.")
    eos = getattr(tokenizer, "eos_token_id", None)
    if eos is None:
        raise ValueError(f"El tokenizador {type(tokenizer).__name__} no tiene EOS. Ponle uno: tokenizer.eos_token = …")
    _validate.count("max_length", max_length, 3, remedy="Hay que dejar sitio a los EOS.")
    bos = eos if getattr(tokenizer, "bos_token_id", None) is None else tokenizer.bos_token_id
    pieces = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    rows = [[bos, *ids, eos][:max_length] for ids in pieces]
    return Dataset.from_dict({"input_ids": rows, "length": [len(row) for row in rows]})


def pack(dataset, max_length: int):
    """Junta textos enteros en filas de hasta ``max_length`` tokens, sin que ninguno vea a los demás.

    Reparte de mayor a menor, cada texto en la primera fila en que quepa. Las posiciones vuelven a 0 en cada texto: con
    eso, y sin máscara de atención ni caché, transformers separa los textos de una fila en casi todos los modelos, y la
    pérdida es la misma que sin juntar. En los que no los separa, nadie avisa: compruébalo con ``check_packing``.

    Returns
    -------
    datasets.Dataset
        Con ``input_ids``, ``position_ids`` y ``length``.

    Raises
    ------
    ValueError
        Si algún texto no cabe o ``max_length`` no es un entero positivo.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    from datasets import Dataset

    _validate.count("max_length", max_length)
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

    Raises
    ------
    ValueError
        Si el relleno no es un id, no hay filas o alguna no cabe en ``pad_to``.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    _validate.count("pad_token_id", pad_token_id, 0, remedy="Si el tokenizador no tiene relleno, usa su EOS.")

    def collate(rows: list[Mapping]) -> dict[str, torch.Tensor]:
        width = _width([len(row["input_ids"]) for row in rows], pad_to)

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
        Si no hay lotes, alguno está vacío o lleva un texto que no hay, una longitud no es un entero positivo o un
        texto no cabe en ``pad_to``.

    Notes
    -----
    Se enseña en la sesión 04.
    """
    batches = [list(batch) for batch in batches]
    _validate.require(bool(batches), "Hace falta al menos un lote para medir el relleno; he recibido 0.")
    unknown = [i for batch in batches for i in batch if not _validate.is_count(i, 0) or i >= len(lengths)]
    _validate.require(
        not unknown, f"Los lotes llevan textos que no hay: {unknown[:3]}. Hay {len(lengths)}, desde el 0."
    )
    rows = [[_validate.count("La longitud de un texto", lengths[i]) for i in batch] for batch in batches]
    return 1 - sum(map(sum, rows)) / sum(len(row) * _width(row, pad_to) for row in rows)


def _width(lengths: Sequence[int], pad_to: int | None) -> int:
    """Tokens por fila de un lote: los de la más larga o, si se pide, ``pad_to``."""
    _validate.require(bool(lengths), "Un lote lleva al menos una fila, y este está vacío.")
    if pad_to is None:
        return max(lengths)
    return _validate.count("pad_to", pad_to, max(lengths), remedy="La fila más larga tiene que caber.")


def build_trainer(
    model,
    tokenizer,
    datasets: Mapping,
    *,
    output_dir: str | Path,
    epochs: float = 10,
    batch_size: int = 8,
    learning_rate: float | None = None,
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
        El decodificador, que se entrena *en su sitio*, y su tokenizador. Una fila tiene, como mucho, los tokens de
        ``row_length(model)``.
    datasets : mapping
        ``"train"`` y ``"validation"``, cada uno con una columna ``text`` (por ejemplo, ``load_jokes()``).
    output_dir : str or Path
        Carpeta de trabajo: un punto de control por época.
    epochs, batch_size, learning_rate
        Lo habitual. La tasa (sin decir nada, 2e-4; con LoRA, que mueve menos números, 5e-4) sube durante el primer 10 %
        de los pasos y baja linealmente hasta cero.
    patience : int, optional
        Épocas sin mejorar antes de parar; ``None`` llega hasta el final.
    packing : bool
        Junta varios textos por fila (``pack``), si el modelo los separa. Sin él, cada lote lleva textos de longitud
        parecida.
    lora_rank : int, optional
        Con un número, entrena adaptadores LoRA de ese rango (peft) y deja quietos los pesos del modelo.
    seed : int
        Semilla del orden y del azar del entrenamiento.
    progress : bool
        Barra de progreso y, en un cuaderno, tabla por época (``Progress``).
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
        Si el modelo no es un decodificador, falta una partición, un número no vale, en ``output_dir`` no se puede
        escribir o no cabe lo que se guarda, o se pide empaquetar y el modelo mezcla los textos: todo antes de entrenar.

    Notes
    -----
    Hu et al. (2021), arXiv:2106.09685 (LoRA). Se enseña en la sesión 04.
    """
    from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments
    from transformers.utils.import_utils import is_in_notebook

    _validate.causal(model)
    if learning_rate is None:
        learning_rate = 2e-4 if lora_rank is None else 5e-4
    _check_training(epochs, batch_size, learning_rate, patience, seed)
    texts = _texts(datasets)
    save_only_model = arguments.get("save_only_model", False)
    check_output_dir(output_dir, needed=bytes_needed(model, lora_rank, save_only_model=save_only_model))
    context = row_length(model)
    sets = {name: tokenize(part, tokenizer, max_length=context) for name, part in texts.items()}
    if packing:
        check_packing(model, sets["train"], use_cache=arguments.get("use_cache", False))
        sets["train"] = pack(sets["train"], context)
    model.loss_type = "ForCausalLM"  # la que usaría de todos modos, pero con un aviso
    if lora_rank is not None:
        model = add_lora(model, lora_rank, seed=seed)
    defaults = {
        "output_dir": str(output_dir),
        # Números de Python: el estado se guarda en JSON, que no sabe de los de numpy.
        "num_train_epochs": int(epochs) if epochs == int(epochs) else float(epochs),
        "per_device_train_batch_size": int(batch_size),
        "per_device_eval_batch_size": _eval_rows(model, sets["validation"], batch_size),
        "learning_rate": float(learning_rate),
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
        "disable_tqdm": not progress or is_in_notebook(),  # en un cuaderno, la barra es la nuestra
        "report_to": "none",
        "seed": int(seed),
    }
    callbacks = [EarlyStoppingCallback(early_stopping_patience=int(patience))] if patience is not None else []
    callbacks += [Progress()] if progress and is_in_notebook() else []
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
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # sin barra, escribiría un diccionario por época
    return trainer


@dataclass
class Training:
    """Por dónde va un entrenamiento: se ve como barra y tabla en un cuaderno, y como texto en lo demás.

    Parameters
    ----------
    title : str
        Qué se entrena.
    total : int
        Cuántos pasos tiene.
    done : int
        Cuántos lleva.
    losses : dict of int to dict of str to float
        Época → pérdida (nats por token) de «entrenamiento» y, si se mide, de «validación».

    Notes
    -----
    Se enseña en la sesión 04.
    """

    title: str
    total: int
    done: int = 0
    losses: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        """La pérdida de cada época, con coma decimal."""
        names = [name for name in ("entrenamiento", "validación") if any(name in row for row in self.losses.values())]
        rows = [
            (str(epoch), *(number(row[name], 2) if name in row else "" for name in names))
            for epoch, row in self.losses.items()
        ]
        return Table(("época", *names), tuple(rows))

    def __repr__(self) -> str:
        state = f"{self.title}: {self.done} de {self.total} pasos"
        return f"{state}\n{self.table!r}" if self.losses else state

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self.done}" max="{self.total}" style="width:12em"></progress>'
        state = f"<div>{escape(self.title)}: {bar} {self.done} de {self.total} pasos</div>"
        return state + (self.table._repr_html_() if self.losses else "")


class Progress(TrainerCallback):
    """La barra y la tabla por época de un ``Trainer``, en español; las suyas se quitan con ``disable_tqdm=True``.

    Parameters
    ----------
    title : str
        Qué se entrena, delante de la barra.

    Notes
    -----
    Se enseña en la sesión 04.
    """

    def __init__(self, title: str = "Entrenando"):
        self.title = title

    def on_train_begin(self, args, state, control, **kwargs):
        from IPython.display import display

        self.training = Training(self.title, state.max_steps)
        self._show = display(self.training, display_id=True)

    def on_step_end(self, args, state, control, **kwargs):
        before, self.training.done = self.training.done, state.global_step
        if 50 * before // self.training.total != 50 * state.global_step // self.training.total:
            self._update()

    def on_log(self, args, state, control, logs=None, **kwargs):
        names = {"entrenamiento": ("loss",), "validación": ("eval_nll", "eval_loss")}
        for name, keys in names.items():
            found = [logs[key] for key in keys if key in (logs or {})]
            if found and hasattr(self, "training"):
                self.training.losses.setdefault(round(state.epoch), {})[name] = found[0]
                self._update()

    def on_train_end(self, args, state, control, **kwargs):
        self._update()
        del self.training  # lo que se evalúe después no es de este entrenamiento

    def _update(self):
        if self._show is not None:  # fuera de un cuaderno no hay dónde
            self._show.update(self.training)


def add_lora(model, rank: int, *, seed: int = 0):
    """El modelo con adaptadores LoRA de rango ``rank`` en todas las matrices de sus bloques; solo ellos se entrenan.

    En todas, y no en las que pone peft si no se le dice nada (en GPT-2, una por bloque): es lo que acerca LoRA al
    ajuste entero. La de salida, que convierte vectores en logits, se queda quieta.

    Cambia el modelo recibido por dentro; ``.merge_and_unload()`` suma los adaptadores a los pesos y lo devuelve entero.

    Raises
    ------
    ValueError
        Si el rango no es un entero positivo o el modelo no es un decodificador en el que peft sepa poner LoRA.

    Notes
    -----
    Hu et al. (2021), arXiv:2106.09685. Se enseña en la sesión 04.
    """
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    matrices = _lora_matrices(model, rank)
    transposed = any(isinstance(model.get_submodule(name), Conv1D) for name in matrices)  # las de GPT-2: (entra, sale)
    config = LoraConfig(
        r=int(rank),
        lora_alpha=2 * int(rank),
        target_modules="all-linear",
        fan_in_fan_out=transposed,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), warnings.catch_warnings():  # la semilla no toca el azar de fuera
        warnings.simplefilter("ignore", FutureWarning)  # de peft a transformers: no es cosa de quien entrena
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def _lora_matrices(model, rank: int) -> dict[str, torch.Tensor]:
    """Los pesos que llevarían adaptador, por el nombre de su módulo: las matrices del modelo menos la de salida."""
    from transformers import PreTrainedModel
    from transformers.pytorch_utils import Conv1D

    _validate.count("El rango de LoRA", rank, remedy="Prueba con 8.")
    _validate.causal(model)
    name, kind = type(model).__name__, getattr(getattr(model, "config", None), "model_type", None)
    _validate.require(
        isinstance(model, PreTrainedModel) and kind not in _NO_LORA,
        f"No sé dónde poner LoRA en {name}: hace falta un decodificador de transformers, sin adaptadores todavía y de "
        "una arquitectura que peft admita. Ajústalo entero (lora_rank=None) o usa otro modelo.",
    )
    output = model.get_output_embeddings()
    matrices = {
        name: module.weight
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not output
    }
    _validate.require(bool(matrices), f"No sé dónde poner LoRA en {name}: no tiene matrices. Ajústalo entero.")
    return matrices


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Lo que ya ocupe un entrenamiento que se continúa no hay que pedirlo otra vez: se borra según se guarda.
        free = _files.writable(folder) + sum(file.stat().st_size for file in folder.glob("checkpoint-*/*"))
    except OSError as error:
        raise ValueError(f"No puedo escribir en {folder} ({type(error).__name__}). Elige otra carpeta.") from error
    if free < needed:
        raise ValueError(
            f"En {folder} quedan {free / 1e6:.0f} MB libres y el entrenamiento necesita unos {needed / 1e6:.0f} MB. "
            "Libera espacio o elige una carpeta de otro disco."
        )
    return folder


def bytes_needed(model, lora_rank: int | None = None, *, save_only_model: bool = False) -> int:
    """Bytes de tres puntos de control: los dos que se conservan y el que se está escribiendo.

    Cada uno lleva los pesos que se guardan y, salvo con ``save_only_model``, los dos momentos de Adam de los que se
    entrenan. Con LoRA, solo los adaptadores: ``lora_rank`` × (entradas + salidas) números por matriz.

    Raises
    ------
    ValueError
        Los de ``add_lora``.
    """
    if lora_rank is not None:
        saved = trained = 4 * int(lora_rank) * sum(sum(w.shape) for w in _lora_matrices(model, lora_rank).values())
    else:
        parameters = [(p.numel() * p.element_size(), p.requires_grad) for p in model.parameters()]
        trained = sum(size for size, trains in parameters if trains)
        saved = trained if hasattr(model, "peft_config") else sum(size for size, _ in parameters)
    return 3 * (saved + (0 if save_only_model else 2 * trained))


def row_length(model) -> int:
    """Tokens por fila como mucho: el contexto del modelo, y ``MAX_LENGTH`` si es mayor o no tiene tope."""
    return int(min(_validate.context_length(model), MAX_LENGTH))


def check_packing(model, dataset, *, use_cache: bool = False) -> None:
    """Que el modelo separe los textos empaquetados: en una fila con dos, cada uno predice lo mismo que solo.

    Los modelos que no hacen caso de las posiciones (OPT, Bloom, Mamba…) y los que reciben caché dejan que cada texto
    vea a los anteriores de su fila, sin ningún aviso. Se prueba con los dos textos más cortos, antes de entrenar.

    Parameters
    ----------
    model : PreTrainedModel
        El decodificador; se prueba en modo evaluación y queda como estaba.
    dataset : Dataset
        Los textos, de ``tokenize``. Con menos de dos no hay nada que comprobar.
    use_cache : bool
        Si se entrenará con caché.

    Raises
    ------
    ValueError
        Si no los separa.

    Notes
    -----
    Se usa en la sesión 04.
    """
    if len(dataset) < 2:
        return
    first, second = sorted(dataset["input_ids"], key=len)[:2]
    name, remedy = type(model).__name__, "Entrénalo sin empaquetar: packing=False."
    cut = len(first)

    def logits(*rows, **options):
        return model(input_ids=torch.tensor(rows, device=model.device), use_cache=use_cache, **options).logits

    with _evaluating(model), torch.no_grad():
        alone = torch.cat([logits(first)[0], logits(second)[0]])  # (T, V): la verdad
        both = logits([*first, *second], [*second, *first])  # la misma, con algo detrás: mide solo el redondeo
        again = torch.cat([both[0, :cut], both[1, : len(second)]])
        positions = torch.tensor([[*range(cut), *range(len(second))]], device=model.device)
        try:
            packed = logits([*first, *second], position_ids=positions)[0]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} no admite textos empaquetados: {error}. {remedy}") from error
    # En proporción a lo que varían los logits: también tiene que verse en un modelo con pesos pequeños.
    spread = alone.float().std().clamp_min(1e-30)
    rounding, difference = (((x - alone).abs().max() / spread).item() for x in (again, packed))
    _validate.require(
        difference <= 5 * rounding + 32 * torch.finfo(alone.dtype).eps,
        f"{name} no separa los textos de una fila empaquetada: cada uno ve a los anteriores y sus logits cambian hasta "
        f"{difference:.2g} desviaciones típicas. {remedy}",
    )


@contextmanager
def _evaluating(model):
    """El modelo en modo evaluación mientras dura; después, cada módulo como estaba."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _texts(datasets) -> dict[str, Sequence[str]]:
    """La columna ``text`` de las dos particiones con las que se entrena."""
    names = ("train", "validation")
    missing = [name for name in names if not isinstance(datasets, Mapping) or name not in datasets]
    _validate.require(
        not missing,
        f"Faltan las particiones {missing} en lo recibido ({type(datasets).__name__}). Usa load_jokes() o un "
        'diccionario con "train" y "validation".',
    )
    try:
        return {name: datasets[name]["text"] for name in names}
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(
            'Cada partición debe tener una columna "text" con los textos. Si se llama de otro modo: '
            'dataset.rename_column("como se llame", "text").'
        ) from error


def _check_training(epochs, batch_size, learning_rate, patience, seed) -> None:
    for name, value in {"epochs": epochs, "learning_rate": learning_rate}.items():
        positive = _validate.is_number(value) and value > 0
        _validate.require(positive, f"{name} debe ser un número positivo y es {value!r}.")
    _validate.count("batch_size", batch_size)
    _validate.count("seed", seed, 0)
    if patience is not None:
        _validate.count("patience", patience, remedy="Para no parar antes de tiempo, patience=None.")


def _eval_rows(model, dataset, batch_size: int) -> int:
    """Filas por lote al evaluar: el doble que al entrenar, que no hay gradientes, mientras quepan los logits."""
    room = _EVAL_LOGITS // (_validate.vocabulary_size(model) * max(dataset["length"]))
    return int(max(min(2 * batch_size, room), 1))


def _nll_per_row(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(B, T, V) y (B, T) → (B, 2): suma de la NLL de cada fila (nats) y cuántos tokens cuenta."""
    logits = logits[0] if isinstance(logits, tuple) else logits
    targets = labels[:, 1:]
    # Fila a fila, y no de una vez: con las clases en medio y 262 144 de ellas, seis veces más lento.
    loss = torch.stack(
        [
            torch.nn.functional.cross_entropy(row[:-1].float(), target, ignore_index=IGNORED, reduction="none")
            for row, target in zip(logits, targets, strict=True)
        ]
    )
    return torch.stack([loss.sum(1), (targets != IGNORED).sum(1).float()], dim=1)


def _mean_nll(prediction) -> dict[str, float]:
    """NLL media por token de toda la validación: cada token pesa lo mismo, esté en el lote que esté."""
    total, tokens = prediction.predictions.reshape(-1, 2).astype(np.float64).sum(0)
    return {"nll": float(total / tokens)}
