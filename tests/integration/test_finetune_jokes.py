"""La orden «finetune» en diminuto: de principio a fin, cortada y continuada, con dos procesos y con mal uso."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--epochs", "4", "--lr", "0.01", "--patience", "3", "--cpu"]
LAUNCH = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
          "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0")  # fmt: skip


@pytest.fixture(scope="module")
def start(mini, tmp_path_factory):
    """Un GPT-2 diminuto con el tokenizador del curso."""
    folder = tmp_path_factory.mktemp("modelo con eñe") / "m"
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=4096, n_positions=256, n_embd=16, n_layer=1, n_head=2, bos_token_id=0,
                        eos_token_id=0, pad_token_id=1, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    mini[1].save_pretrained(folder)
    return folder


def run(start, output, *options, launcher=()):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        *launcher,
        "-m",
        "course_utils",
        "finetune",
        "--model",
        str(start),
        "--output",
        str(output),
        *TINY,
        *options,
    ]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out, err


def result(output):
    return json.loads((output / "resultado.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    output = tmp_path_factory.mktemp("entero") / "chistes"
    out, err = finish(run(start, output))
    assert "perplejidad_despues" in out and "%" in err  # escribe el resultado, y hubo barra de progreso
    return output


def test_it_learns_and_leaves_a_model_that_loads(whole):
    figures = result(whole)
    assert figures["procesos"] == 1
    assert figures["perplejidad_despues"]["chistes"] < 0.75 * figures["perplejidad_antes"]["chistes"]
    assert figures["perplejidad_antes"].keys() == {"chistes", "literarios"}
    model = AutoModelForCausalLM.from_pretrained(whole / "modelo", use_safetensors=True)
    assert model.config.use_cache and AutoTokenizer.from_pretrained(whole / "modelo").eos_token == "<|endoftext|>"
    assert not [p for p in (whole / "modelo").iterdir() if p.suffix in {".bin", ".pt", ".pth"}]


def wait_for_checkpoint(process, output):
    for _ in range(4000):
        if list(output.glob("checkpoint-*/trainer_state.json")) or process.poll() is not None:
            return
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_interrupted_and_resumed_ends_like_one_never_interrupted(start, whole, tmp_path, number):
    output = tmp_path / "chistes"
    process = run(start, output)
    wait_for_checkpoint(process, output)
    assert process.poll() is None, "ha terminado antes de la señal: la prueba no prueba nada"
    process.send_signal(number)
    _, err = finish(process, -signal.SIGKILL if number == signal.SIGKILL else 130)
    assert not (output / "resultado.json").exists()
    if number == signal.SIGINT:
        assert "Continúa con --resume" in err and "Traceback" not in err
    _, err = finish(run(start, output), 1)  # sin --resume no pisa lo hecho
    assert "ya hay un entrenamiento" in err and "Traceback" not in err
    half = output / "checkpoint-99999"  # uno que se quedó a medio escribir
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"\x10")
    _, err = finish(run(start, output, "--resume"))
    assert "Continúo desde checkpoint-" in err and "Descarto checkpoint-99999" in err
    expected, found = result(whole), result(output)
    assert found["nll_validacion"] == pytest.approx(expected["nll_validacion"], abs=1e-3)
    assert found["mejor_epoca"] == expected["mejor_epoca"]
    assert found["perplejidad_despues"] == pytest.approx(expected["perplejidad_despues"], rel=1e-3)


def test_two_processes_reach_the_loss_of_one(start, whole, tmp_path):
    output = tmp_path / "chistes"
    finish(run(start, output, launcher=LAUNCH))
    expected, found = result(whole), result(output)
    assert found["procesos"] == 2 and expected["procesos"] == 1
    assert found["nll_validacion"] == pytest.approx(expected["nll_validacion"], rel=0.02)
    assert found["perplejidad_antes"] == pytest.approx(expected["perplejidad_antes"], rel=1e-3)  # la media es exacta


def test_lora_leaves_an_adapter_and_a_whole_model(start, tmp_path):
    output = tmp_path / "lora"
    finish(run(start, output, "--lora", "4", "--packing"))
    assert (output / "adaptador" / "adapter_model.safetensors").is_file()
    base, tuned = (AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (start, output / "modelo"))
    assert base.keys() == tuned.keys()
    changed = {name for name in base if not torch.allclose(base[name], tuned[name])}
    assert changed and all(name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")) for name in changed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume", "--seed", "5"], "--seed 0 (ahora 5)"),
        (["--resume", "--lora"], "--lora None (ahora 8)"),
        ([], "ya hay un entrenamiento"),
    ],
)
def test_another_training_in_the_same_folder_is_refused(start, whole, options, message):
    before = sorted(p.name for p in whole.iterdir())
    _, err = finish(run(start, whole, *options), 1)
    assert message in err and "Traceback" not in err
    assert sorted(p.name for p in whole.iterdir()) == before


def test_an_unusable_folder_is_reported_before_training(start, tmp_path):
    (tmp_path / "fichero").write_text("no soy una carpeta")
    _, err = finish(run(start, tmp_path / "fichero" / "t"), 1)
    assert "No puedo escribir en" in err and "Traceback" not in err


@pytest.mark.skipif(os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="monta un disco")
def test_a_full_disk_is_reported_before_training(start, tmp_path):
    disk = tmp_path / "disco"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("aquí no se puede montar un disco")
    try:
        _, err = finish(run(start, disk / "t"), 1)
        assert "MB libres y el entrenamiento necesita" in err and "Traceback" not in err
        assert not list(disk.glob("t/checkpoint-*"))
    finally:
        subprocess.run(["umount", disk], check=True)
