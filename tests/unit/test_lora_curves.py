"""Las curvas guardadas para comparar LoRA con el ajuste entero: completas, y una se vuelve a entrenar."""

import json

import pytest
import torch
from transformers import TrainerCallback

from course_utils import finetuning, jokes
from course_utils.models import load_model
from course_utils.scoring import perplexity

CURVES = json.loads((jokes.DATA / "lora.json").read_text(encoding="utf-8"))


def measure(model, tokenizer):
    novel = (jokes.DATA / "novela.txt").read_text(encoding="utf-8")
    texts = {"chistes": jokes.load_jokes()["test"]["text"], "imitada": jokes.load_literary(), "novela": [novel]}
    return {name: perplexity(model, tokenizer, group).value for name, group in texts.items()}


def test_every_way_has_the_same_seeds_and_epochs():
    ways = {}
    for run in CURVES["runs"]:
        ways.setdefault((run["how"], run["learning_rate"], run["lora_rank"]), []).append(run["seed"])
        assert [set(epoch) for epoch in run["epochs"]] == [{"chistes", "imitada", "novela"}] * 3
    assert len(ways) == 3 and all(seeds == [0, 1, 2] for seeds in ways.values())


def test_the_model_before_is_the_one_that_comes_with_the_course():
    model, tokenizer = load_model("decoder", "mini")
    assert measure(model, tokenizer) == pytest.approx(CURVES["before"], rel=2e-3)


@pytest.mark.slow
def test_one_run_trained_again_gives_the_stored_first_epoch(tmp_path):
    class OneEpoch(TrainerCallback):
        def on_epoch_end(self, args, state, control, **kwargs):
            control.should_training_stop = True  # el calendario sigue siendo el de tres

    run = next(run for run in CURVES["runs"] if run["how"] == "LoRA" and run["seed"] == 0)
    model, tokenizer = load_model("decoder", "mini")
    trainer = finetuning.build_trainer(
        model, tokenizer, jokes.load_jokes("mini"), output_dir=tmp_path, epochs=3, batch_size=8, patience=None,
        learning_rate=run["learning_rate"], lora_rank=run["lora_rank"], seed=run["seed"], progress=False,
        eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
    )  # fmt: skip
    trainer.add_callback(OneEpoch())
    trainer.train()
    with torch.no_grad():
        found = measure(trainer.model.eval(), tokenizer)
    assert found == pytest.approx(run["epochs"][0], rel=0.05)  # el orden de las sumas cambia de máquina a máquina
