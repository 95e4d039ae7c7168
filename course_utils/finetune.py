"""Ajusta el decodificador del curso para que cuente chistes: lo mismo que la sesión 04, desde la línea de órdenes.

    python -m course_utils finetune --output chistes                  # CPU, o la GPU si hay una
    python -m course_utils finetune --output chistes --resume         # sigue donde se cortó
    python -m course_utils finetune --output chistes-lora --lora 8    # solo adaptadores LoRA
    accelerate launch --multi_gpu --num_processes 2 -m course_utils finetune --output chistes   # dos GPU, o --cpu

En la carpeta de `--output` quedan los puntos de control, `modelo/` (el de la mejor época, entero y con su tokenizador:
se carga con `AutoModelForCausalLM.from_pretrained`), `adaptador/` si es LoRA y `resultado.json` con las cifras.

Ctrl+C guarda lo hecho y para; un corte más brusco deja el último punto de control, uno por época. Con `--resume`
continúa igual que si no se hubiera cortado. Un punto de control a medio escribir se descarta. Los puntos de control
llevan el estado del optimizador en el formato de PyTorch y no salen de esta máquina; lo que se comparte es `modelo/`,
en safetensors.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import safetensors
import torch
import torch.distributed as dist
from transformers import TrainerCallback, logging

from .finetuning import build_trainer, tokenize
from .jokes import load_jokes, load_literary
from .models import PROFILES, get_profile, load_model

SAME = ("profile", "model", "epochs", "lora", "batch", "lr", "patience", "packing", "seed")  # lo que no puede cambiar


class StopOnSignal(TrainerCallback):
    """Con Ctrl+C o SIGTERM: guarda al acabar el paso y para. Todos los procesos paran en el mismo paso."""

    def __init__(self):
        self.received = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number, frame):
        self.received = True

    def on_step_end(self, args, state, control, **kwargs):
        if dist.is_available() and dist.is_initialized():
            flag = torch.tensor(float(self.received), device=args.device)
            dist.all_reduce(flag)
            self.received = bool(flag.item())
        control.should_save = control.should_save or self.received

    def on_save(self, args, state, control, **kwargs):
        # Después de guardar y no antes: el punto de control no debe recordar que había que parar.
        control.should_training_stop = control.should_training_stop or self.received


class SameOrder(TrainerCallback):
    """Que el orden de una época dependa solo de la semilla y de la época: así, cortada por la mitad, se continúa igual.

    El Trainer restaura el azar guardado *después* de repartir los chistes si se cortó a media época, y *antes* si fue
    entre dos. Con esto, a media época basta la semilla, y entre dos no hace falta nada guardado.
    """

    def on_epoch_begin(self, args, state, control, train_dataloader, **kwargs):
        torch.manual_seed(1000 * args.seed + state.global_step // len(train_dataloader))

    def on_save(self, args, state, control, train_dataloader, **kwargs):
        if state.global_step % len(train_dataloader) == 0:
            name = f"rng_state_{args.process_index}.pth" if args.world_size > 1 else "rng_state.pth"
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / name).unlink(missing_ok=True)


def last_checkpoint(output: Path) -> str | None:
    """El último punto de control entero; los que se quedaron a medias se borran. `None` si no hay ninguno."""
    for folder in sorted(output.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]), reverse=True):
        try:
            json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))  # lo último que se escribe
            weights = next(folder.glob("*.safetensors"))
            with safetensors.safe_open(weights, framework="np"):
                return str(folder)
        except (OSError, ValueError, StopIteration, safetensors.SafetensorError):
            print(f"Descarto {folder.name}: se quedó a medio escribir.", file=sys.stderr)
            shutil.rmtree(folder)
    return None


def check_same_run(output: Path, args) -> None:
    """Continuar con otras opciones no sería el mismo entrenamiento.

    Raises
    ------
    ValueError
        Si cambia alguna de `SAME`, o si hay un entrenamiento y no se ha pedido `--resume`.
    """
    file = output / "argumentos.json"
    if not any(output.glob("checkpoint-*")) or not file.is_file():
        return
    if not args.resume:
        raise ValueError(f"En {output} ya hay un entrenamiento. Continúalo con --resume o elige otra carpeta.")
    saved = json.loads(file.read_text(encoding="utf-8"))
    now = options(args)
    changed = [f"--{name} {saved[name]} (ahora {now[name]})" for name in SAME if saved[name] != now[name]]
    if changed:
        raise ValueError(f"El entrenamiento de {output} es con {', '.join(changed)}. Usa lo mismo u otra carpeta.")


def options(args) -> dict:
    return json.loads(json.dumps({name: getattr(args, name) for name in SAME}, default=str))


def run(args) -> dict:
    """Entrena y mide; devuelve las cifras que guarda en `resultado.json`."""
    profile = get_profile(args.profile)
    if args.model:
        profile = replace(profile, sources={**profile.sources, "decoder": str(args.model.resolve())})
    args.profile, args.output = profile.name, args.output.resolve()
    if args.batch % args.processes:
        raise ValueError(f"El lote ({args.batch}) debe ser múltiplo del número de procesos ({args.processes}).")
    check_same_run(args.output, args)
    jokes = load_jokes(profile)
    model, tokenizer = load_model("decoder", profile)
    trainer = build_trainer(
        model,
        tokenizer,
        jokes,
        output_dir=args.output,
        epochs=args.epochs,
        batch_size=args.batch // args.processes,
        learning_rate=args.lr,
        patience=args.patience,
        packing=args.packing,
        lora_rank=args.lora,
        seed=args.seed,
        use_cpu=args.cpu,
    )
    main = trainer.is_world_process_zero()
    if main:
        (args.output / "argumentos.json").write_text(json.dumps(options(args), indent=1) + "\n", encoding="utf-8")
    with trainer.args.main_process_first(desc="puntos de control"):
        start = last_checkpoint(args.output) if args.resume else None
    if args.resume and main:
        print(
            f"Continúo desde {Path(start).name}." if start else "No hay nada que continuar: empiezo.", file=sys.stderr
        )
    context = model.config.max_position_embeddings
    held_out = {"chistes": jokes["test"]["text"], "literarios": load_literary()}
    sets = {name: tokenize(texts, tokenizer, max_length=context) for name, texts in held_out.items()}
    before = {name: math.exp(trainer.evaluate(data)["eval_nll"]) for name, data in sets.items()}
    stop = StopOnSignal()
    trainer.add_callback(stop)
    trainer.add_callback(SameOrder())
    clock = time.perf_counter()
    trainer.train(resume_from_checkpoint=start)
    if stop.received:
        if main:
            print(f"Parada pedida en el paso {trainer.state.global_step}. Continúa con --resume.", file=sys.stderr)
        raise SystemExit(130)
    seconds = time.perf_counter() - clock
    after = {name: math.exp(trainer.evaluate(data)["eval_nll"]) for name, data in sets.items()}
    best = min((e for e in trainer.state.log_history if "eval_nll" in e and "epoch" in e), key=lambda e: e["eval_nll"])
    result = {
        "procesos": trainer.args.world_size,
        "mejor_epoca": best["epoch"],
        "nll_validacion": best["eval_nll"],
        "perplejidad_antes": before,
        "perplejidad_despues": after,
        "segundos": round(seconds, 1),
    }
    if main:
        tuned = trainer.model
        if args.lora:
            tuned.save_pretrained(args.output / "adaptador")
            tuned = tuned.merge_and_unload()
        tuned.config.use_cache = True  # el Trainer la apaga para entrenar
        tuned.save_pretrained(args.output / "modelo")
        tokenizer.save_pretrained(args.output / "modelo")
        text = json.dumps(result, ensure_ascii=False, indent=1)
        (args.output / "resultado.json").write_text(text + "\n", encoding="utf-8")
        print(text)
    return result


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m course_utils finetune", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="carpeta de trabajo y de resultados")
    parser.add_argument("--profile", choices=list(PROFILES), help="por defecto, el de CURSO_PERFIL o mini")
    parser.add_argument("--model", type=Path, help="parte del modelo de esta carpeta y no del decodificador del perfil")
    parser.add_argument("--epochs", type=float, default=10, help="épocas como mucho")
    parser.add_argument("--lora", type=int, nargs="?", const=8, metavar="RANGO", help="adaptadores LoRA (rango 8)")
    parser.add_argument("--batch", type=int, default=8, help="chistes por paso, entre todos los procesos")
    parser.add_argument("--lr", type=float, default=5e-4, help="tasa de aprendizaje")
    parser.add_argument("--patience", type=int, default=2, help="épocas sin mejorar antes de parar")
    parser.add_argument("--packing", action="store_true", help="varios chistes por fila")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="continúa el entrenamiento que haya en --output")
    parser.add_argument("--cpu", action="store_true", help="no usar la GPU aunque la haya")
    args = parser.parse_args(argv)
    args.processes = int(os.environ.get("WORLD_SIZE", 1))  # lo pone accelerate launch
    return args


def main(argv=None) -> int:
    logging.set_verbosity_error()  # los avisos de transformers hablan a quien programa, no a quien entrena
    try:
        run(parse(argv))
        return 0
    except ValueError as error:
        raise SystemExit(f"Error: {error}") from None
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
