"""``python -m course_utils finetune``: la sesión 04 desde la línea de órdenes, y los cortes no le importan.

    python -m course_utils finetune --output chistes                  # CPU, o la GPU si hay una
    python -m course_utils finetune --output chistes --resume         # sigue donde se cortó
    python -m course_utils finetune --output chistes-lora --lora 8    # solo adaptadores LoRA
    accelerate launch --multi_gpu --num_processes 2 -m course_utils finetune --output chistes   # dos GPU, o --cpu

En la carpeta de ``--output`` quedan los puntos de control, ``modelo/`` (el de la mejor época, entero y con su
tokenizador: se carga con ``AutoModelForCausalLM.from_pretrained``), ``adaptador/`` si es LoRA y ``resultado.json`` con
las cifras. El último en escribirse es ``resultado.json``: si está, está todo. Con LoRA y el perfil mediano queda solo
el adaptador, que se pone encima del modelo con ``peft.PeftModel.from_pretrained(modelo, ".../adaptador")``.

Ctrl+C guarda lo hecho y para; un corte más brusco deja el último punto de control, uno por época. Con ``--resume``
acaba igual que si no se hubiera cortado: los mismos pesos y las mismas evaluaciones. Un punto de control a medio
escribir se descarta. Los puntos de control llevan el estado del optimizador en el formato de PyTorch y no salen de esta
máquina; lo que se comparte es ``modelo/``, en safetensors.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import safetensors
import torch
import torch.distributed as dist
from transformers import TrainerCallback, logging

from . import _validate, mediano
from ._files import atomic_write
from ._machine import peak_memory
from .finetuning import build_trainer, bytes_needed, check_output_dir, row_length, tokenize
from .jokes import load_jokes, load_literary
from .models import get_profile, load_model

SAME = ("profile", "model", "epochs", "lora", "batch", "lr", "patience", "packing", "seed")  # lo que no puede cambiar


class StopOnSignal(TrainerCallback):
    """Con Ctrl+C o SIGTERM: guarda al acabar el paso y para. Todos los procesos paran en el mismo paso.

    A media época no se evalúa: una evaluación que sin el corte no existiría contaría para la paciencia y para elegir
    la mejor (transformers la haría, y guardaría otra vez). Al final de una época se evalúa y se guarda como siempre.
    Es un contexto: fuera de él, las señales hacen lo de antes.
    """

    def __init__(self):
        self.received = self.stopping = self.mid_epoch = False

    def __enter__(self):
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        self.received = True

    def on_step_end(self, args, state, control, train_dataloader, **kwargs):
        self.stopping = self.received
        if dist.is_available() and dist.is_initialized():
            flag = torch.tensor(float(self.received), device=args.device)
            dist.all_reduce(flag)
            self.stopping = bool(flag.item())
        self.mid_epoch = state.global_step % len(train_dataloader) != 0 and state.global_step < state.max_steps
        control.should_save = control.should_save or (self.stopping and self.mid_epoch)

    def on_epoch_end(self, args, state, control, **kwargs):
        if self.stopping and self.mid_epoch:
            control.should_log = control.should_evaluate = control.should_save = False

    def on_save(self, args, state, control, **kwargs):
        # Después de guardar y no antes: el punto de control no debe recordar que había que parar.
        control.should_training_stop = control.should_training_stop or self.stopping


class SameRandomness(TrainerCallback):
    """Que el azar dependa solo de la semilla, la época (el orden de los textos) y el paso (lo que apaga el *dropout*).

    Así se continúa igual desde cualquier punto sin guardar el estado del azar, que además habría que restaurar antes o
    después de barajar según dónde se cortó: transformers acierta en un caso de los dos.
    """

    def on_epoch_begin(self, args, state, control, train_dataloader, **kwargs):
        _set_seed(args.seed, "época", state.global_step // len(train_dataloader))

    def on_step_begin(self, args, state, control, **kwargs):
        _set_seed(args.seed, "paso", state.global_step, args.process_index)


def _set_seed(*where) -> None:
    torch.manual_seed(zlib.crc32(repr(where).encode()))


def last_checkpoint(output: Path) -> Path | None:
    """El último punto de control entero, listo para continuar; los que se quedaron a medias se borran."""
    for folder in sorted(output.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]), reverse=True):
        try:
            state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))  # lo último que se escribe
            with safetensors.safe_open(next(folder.glob("*.safetensors")), framework="np"):
                pass
        except (OSError, ValueError, StopIteration, safetensors.SafetensorError):
            print(f"Descarto {folder.name}: se quedó a medio escribir.", file=sys.stderr)
            shutil.rmtree(folder)
            continue
        for random_state in folder.glob("rng_state*.pth"):  # con él, el orden de la época sería otro: SameRandomness
            random_state.unlink(missing_ok=True)
        best = state.get("best_global_step") and str(output / f"checkpoint-{state['best_global_step']}")
        if (
            state.get("best_model_checkpoint") != best
        ):  # la carpeta se ha movido: la mejor época se perdería en silencio
            atomic_write(folder / "trainer_state.json", json.dumps(state | {"best_model_checkpoint": best}, indent=2))
        return folder
    return None


def finished_epochs(folder: Path) -> int | None:
    """Las épocas enteras de un punto de control en el que el entrenamiento ya había acabado; ``None`` si no había."""
    state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    done = state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]
    return int(state["epoch"]) if done else None


def check_same_run(output: Path, args) -> None:
    """Continuar con otras opciones no sería el mismo entrenamiento.

    Raises
    ------
    ValueError
        Si cambia alguna de ``SAME``, si hay un entrenamiento y no se ha pedido ``--resume``, o si el que hay no lo hizo
        esta orden.
    """
    file = output / "argumentos.json"
    if not any(output.glob("checkpoint-*")):
        return
    if not file.is_file():
        raise ValueError(f"En {output} hay puntos de control que no ha hecho esta orden. Elige otra carpeta.")
    if not args.resume:
        raise ValueError(f"En {output} ya hay un entrenamiento. Continúalo con --resume o elige otra carpeta.")
    saved = json.loads(file.read_text(encoding="utf-8"))
    now = options(args)
    changed = [f"--{name} {saved[name]} (ahora {now[name]})" for name in SAME if saved[name] != now[name]]
    if changed:
        raise ValueError(f"El entrenamiento de {output} es con {', '.join(changed)}. Usa lo mismo u otra carpeta.")


def options(args) -> dict:
    """Las opciones de ``SAME``, tal como se leerían de ``argumentos.json``."""
    return json.loads(json.dumps({name: getattr(args, name) for name in SAME}, default=str))


def run(args) -> dict | None:
    """Entrena y mide; devuelve las cifras que guarda en ``resultado.json``, o ``None`` si una señal lo ha parado.

    Raises
    ------
    ValueError
        Los de ``check_same_run``, ``load_model`` y ``build_trainer``, todos antes de entrenar; y, al acabar, si la
        pérdida ha dejado de ser un número.
    """
    trainer, sets, start = _prepare(args)
    main = trainer.is_world_process_zero()
    before = _perplexities(trainer, sets)
    clock = time.perf_counter()
    with StopOnSignal() as stop:
        trainer.add_callback(stop)
        trainer.add_callback(SameRandomness())
        trainer.train(resume_from_checkpoint=start and str(start))
    if stop.stopping:
        if main:
            print(f"Parada pedida en el paso {trainer.state.global_step}. Continúa con --resume.", file=sys.stderr)
        return None
    seconds = time.perf_counter() - clock
    result = {
        "procesos": trainer.args.world_size,
        **_best(trainer.state),
        "perplejidad_antes": before,
        "perplejidad_despues": _perplexities(trainer, sets),
        "curva": _curve(trainer.state),
        "segundos": round(seconds, 1),  # si se continuó, los del último tramo
        "memoria_gb": round(peak_memory() / 1e9, 1),
    }
    if main:
        _save(trainer, args.output, result, whole=not _adapter_only(args))
    return result


def _prepare(args):
    """El ``Trainer``, los textos con los que se mide y el punto de control del que se sigue, si lo hay."""
    profile = get_profile(args.profile)
    if args.model:
        args.model = args.model.resolve()
        profile = replace(profile, sources={**profile.sources, "decoder": str(args.model)})
    args.profile, args.output = profile.name, args.output.resolve()
    processes = int(os.environ.get("WORLD_SIZE", 1))  # lo pone accelerate launch
    if args.batch % processes:
        raise ValueError(f"El lote ({args.batch}) debe ser múltiplo del número de procesos ({processes}).")
    if args.log_steps is not None:
        _validate.count("--log-steps", args.log_steps)
    check_same_run(args.output, args)
    jokes = load_jokes(profile)
    model, tokenizer = load_model("decoder", profile)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    trainer = build_trainer(
        model,
        tokenizer,
        jokes,
        output_dir=args.output,
        epochs=args.epochs,
        batch_size=args.batch // processes,
        learning_rate=args.lr,
        patience=args.patience,
        packing=args.packing,
        lora_rank=args.lora,
        seed=args.seed,
        use_cpu=args.cpu,
        **({"logging_strategy": "steps", "logging_steps": args.log_steps} if args.log_steps else {}),
    )
    whole = 0 if _adapter_only(args) else weights  # al final, modelo/
    check_output_dir(args.output, needed=bytes_needed(trainer.model) + whole)
    main = trainer.is_world_process_zero()
    if main:
        atomic_write(args.output / "argumentos.json", json.dumps(options(args), indent=1) + "\n")
    with trainer.args.main_process_first(desc="puntos de control"):
        start = last_checkpoint(args.output) if args.resume else None
    if args.resume and main:
        print(f"Continúo desde {start.name}." if start else "No hay nada que continuar: empiezo.", file=sys.stderr)
    if start and (epochs := finished_epochs(start)) is not None:
        trainer.args.num_train_epochs = epochs  # no queda ninguna: solo falta volver a la mejor
    held_out = {"chistes": jokes["test"]["text"], "literarios": load_literary()}
    sets = {name: tokenize(texts, tokenizer, max_length=row_length(model)) for name, texts in held_out.items()}
    return trainer, sets, start


def _perplexities(trainer, sets) -> dict[str, float]:
    """Con nombre propio: una evaluación que se llamara como la de validación parecería una época más."""
    return {
        name: math.exp(trainer.evaluate(data, metric_key_prefix=name)[f"{name}_nll"]) for name, data in sets.items()
    }


def _best(state) -> dict[str, float]:
    """La época elegida y su NLL de validación, según quien la eligió."""
    if not state.best_global_step:
        raise ValueError(
            "La pérdida ha dejado de ser un número. Repite con una tasa de aprendizaje (--lr) más pequeña."
        )
    epochs = {e["step"]: e["epoch"] for e in state.log_history if "eval_nll" in e}
    return {"mejor_epoca": epochs[state.best_global_step], "nll_validacion": state.best_metric}


def _curve(state) -> dict[str, list]:
    """La pérdida de entrenamiento y la NLL de validación, en nats por token: parejas de paso y valor.

    La de entrenamiento es la media desde el punto anterior; en una época que se cortó, desde el corte.
    """
    names = {"entrenamiento": "loss", "validacion": "eval_nll"}
    return {name: [[e["step"], round(e[key], 4)] for e in state.log_history if key in e] for name, key in names.items()}


def _adapter_only(args) -> bool:
    """¿Queda solo el adaptador? Con LoRA, si el modelo viene en un paquete: entero pesa 1 GB y ya lo tienes."""
    packaged = not args.model and get_profile(args.profile).sources["decoder"].startswith(mediano.PIP)
    return packaged and args.lora is not None


def _save(trainer, output: Path, result: dict, whole: bool = True) -> None:
    model = trainer.model
    if hasattr(model, "peft_config"):
        model.save_pretrained(output / "adaptador")
        model = model.merge_and_unload() if whole else None
    if model is not None:
        model.config.use_cache = True  # el Trainer la apaga para entrenar
        model.save_pretrained(output / "modelo")
        trainer.processing_class.save_pretrained(output / "modelo")
    text = json.dumps(result, ensure_ascii=False, indent=1)
    atomic_write(output / "resultado.json", text + "\n")
    print(text)


def main(args) -> int:
    """Atiende la orden; devuelve el código de salida: 130 si la ha parado una señal."""
    logging.set_verbosity_error()  # los avisos de transformers hablan a quien programa, no a quien entrena
    try:
        return 0 if run(args) else 130
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
