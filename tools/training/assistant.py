"""Ajusta el perfil mediano con las instrucciones del curso: LoRA, y la pérdida solo en las respuestas (sesión 07).

    python -m tools.training.assistant --output asistente

En la carpeta quedan ``adaptador/`` y, lo último, ``resultado.json``: las opciones, la curva, lo que costó y, de cada
par de prueba, la sorpresa de su respuesta antes y después. El adaptador sale de los pesos de Gemma: no se reparte.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import time
from pathlib import Path

import torch
from transformers import DataCollatorForSeq2Seq, PrinterCallback, Trainer, TrainingArguments, logging

from course_utils._files import atomic_write, fingerprint
from course_utils._machine import peak_memory
from course_utils.finetuning import add_lora, check_output_dir
from course_utils.instructions import GEMMA_END, GEMMA_TEMPLATE, answer_nll, chat_examples, load_instructions
from course_utils.models import load_model

OPTIONS = {"rank": 8, "epochs": 2, "batch": 8, "lr": 0.0005, "warmup": 0.1, "seed": 0}


def texts() -> dict:
    """Los pares: cuántos hay en cada partición, y la suma de todos en su orden."""
    parts = {name: [[row["instruction"], row["answer"]] for row in part] for name, part in load_instructions().items()}
    return {name: len(part) for name, part in parts.items()} | {"sha256": fingerprint(parts)}


def tune(output: Path, options: dict = OPTIONS) -> dict:
    """Ajusta y mide; deja el adaptador en ``output`` y devuelve lo que guarda en ``resultado.json``.

    Raises
    ------
    ValueError
        Si no se puede escribir en la carpeta, o lo de ``load_model``.
    """
    logging.set_verbosity_error()
    check_output_dir(output, needed=100_000_000)
    model, tokenizer = load_model("decoder", "mediano")
    tokenizer.chat_template = GEMMA_TEMPLATE
    sets = {name: chat_examples(part, tokenizer, end=GEMMA_END) for name, part in load_instructions().items()}
    before = answer_nll(model, sets["test"])
    model.loss_type = "ForCausalLM"  # la que usaría de todos modos, pero con un aviso
    model = add_lora(model, options["rank"], seed=options["seed"])
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(output),
            num_train_epochs=options["epochs"],
            per_device_train_batch_size=options["batch"],
            learning_rate=options["lr"],
            warmup_steps=options["warmup"],
            train_sampling_strategy="group_by_length",
            logging_steps=1,
            save_strategy="no",
            seed=options["seed"],
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            remove_unused_columns=False,
            report_to="none",
        ),
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),
        train_dataset=sets["train"],
    )
    trainer.remove_callback(PrinterCallback)
    clock = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - clock
    model.eval()
    lora = model.peft_config["default"]
    result = {
        "options": options,
        "texts": texts(),
        "lora": {"r": lora.r, "lora_alpha": lora.lora_alpha, "lora_dropout": lora.lora_dropout}
        | {"matrices": sorted(lora.target_modules), "trained": model.get_nb_trainable_parameters()[0]},
        "curve": [[e["step"], round(e["loss"], 4)] for e in trainer.state.log_history if "loss" in e],
        "cost": {"seconds": round(seconds, 1), "peak_gb": round(peak_memory() / 1e9, 1)},
        "threads": torch.get_num_threads(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
        "answers": {
            "tokens": [length for _, length in before],
            "before": [round(nll, 2) for nll, _ in before],
            "after": [round(nll, 2) for nll, _ in answer_nll(model, sets["test"])],
        },
    }
    model.save_pretrained(output / "adaptador")
    atomic_write(output / "resultado.json", json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.training.assistant", description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="CARPETA")
    try:
        result = tune(parser.parse_args(argv).output)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    total = sum(result["answers"]["tokens"])
    for when in ("before", "after"):
        print(f"{when}: {sum(result['answers'][when]) / total:.3f} nats por token")
    print(f"{result['cost']['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
