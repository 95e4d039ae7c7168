"""Entrenar en un trabajo: el ajuste de la sesión 04 en una línea, con su evidencia, y adaptadores guardados."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import _files, _validate, finetuning
from ..models import checkpoint, load_model
from .evidence import Evidence, evidence, written

FOLDER = Path(__file__).parents[1] / "grabaciones" / "proyecto"


def tune(
    parts: Mapping[str, Sequence[str]],
    *,
    seed: int,
    epochs: int = 4,
    lora_rank: int | None = None,
    learning_rate: float | None = None,
    keep: str | Path | None = None,
    progress: bool = True,
):
    """El decodificador del curso, ajustado con ``parts["train"]``; se queda con la mejor época de ``"validation"``.

    Parte siempre de cero: llamarla dos veces no entrena el doble.

    Parameters
    ----------
    parts : mapping of str to sequence of str
        Lo que da ``split``.
    seed, epochs, lora_rank, learning_rate, progress
        Los de ``finetuning.build_trainer``.
    keep : str or Path, optional
        Con LoRA, carpeta donde guardar el adaptador, en float16.

    Returns
    -------
    PreTrainedModel
        En modo evaluación; si era LoRA, con el adaptador sumado a los pesos.

    Raises
    ------
    ValueError
        Los de ``build_trainer``, o si se pide guardar un adaptador sin LoRA.

    Notes
    -----
    Se usa en el trabajo final.
    """
    _validate.require(
        keep is None or lora_rank is not None, f"keep={keep} guarda un adaptador, y sin lora_rank no lo hay."
    )
    model, tokenizer = load_model("decoder")
    sets = {name: {"text": list(parts[name])} for name in ("train", "validation") if name in parts}
    with tempfile.TemporaryDirectory() as folder:
        trainer = finetuning.build_trainer(
            model,
            tokenizer,
            sets,
            output_dir=folder,
            epochs=epochs,
            lora_rank=lora_rank,
            learning_rate=learning_rate,
            seed=seed,
            progress=progress,
        )
        trainer.train()
    model = trainer.model
    if lora_rank is not None:
        if keep is not None:
            model.half().save_pretrained(keep)
            _portable(Path(keep))
            model.float()
        model = model.merge_and_unload()
    return model.eval()


def _portable(folder: Path) -> None:
    """El adaptador sin la carpeta de esta máquina, y sin la ficha de peft: la suya la escribe quien lo publica."""
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = "course_utils/checkpoints/decoder"
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_tuned(name: str, folder: Path = FOLDER):
    """El decodificador con un adaptador ya entrenado, sumado a los pesos. Los guarda ``tools.training.project``.

    Raises
    ------
    ValueError
        Si no está o se entrenó sobre otros pesos.

    Notes
    -----
    Se usa en el trabajo final.
    """
    from peft import PeftModel

    place = Path(folder) / name
    there = sorted(path.parent.name for path in Path(folder).glob("*/adapter_model.safetensors"))
    _validate.require(name in there, f"No hay ningún adaptador {name!r}. Los que hay: {', '.join(there) or 'ninguno'}.")
    recipe = json.loads((place / "receta.json").read_text(encoding="utf-8"))
    found = base_hash()
    _validate.require(
        recipe["model"] == found,
        f"El adaptador {name!r} se entrenó sobre unos pesos ({recipe['model'][:12]}…) y los que hay son otros "
        f"({found[:12]}…). Entrénalo otra vez: python -m tools.training.project.",
    )
    model, _ = load_model("decoder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # de peft a transformers: no es cosa de quien lo usa
        return PeftModel.from_pretrained(model, place).merge_and_unload().eval()


def base_hash() -> str:
    """El SHA-256 de los pesos del decodificador de los que se parte."""
    return _files.sha256(Path(checkpoint("decoder")) / "model.safetensors")


def training(*, seed: int, how: str, model: str | None = None) -> Evidence:
    """Cómo se entrenó: la semilla, lo que hace falta para repetirlo y de qué modelo se parte (si falta, el del curso).

    Raises
    ------
    ValueError
        Si falta algo.

    Notes
    -----
    Se usa en el trabajo final.
    """
    _validate.count("seed", seed, 0)
    model = f"decodificador del curso, {base_hash()[:16]}" if model is None else model
    written(how=how, model=model)
    rows = {"cómo": how, "semilla": seed, "modelo de partida": model}
    return evidence("training", rows=rows, caption="El entrenamiento", seed=seed, how=how, model=model)
