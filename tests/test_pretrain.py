"""El preentrenamiento, en diminuto: reanudar tras SIGKILL, dos procesos, exportar y medir."""

import importlib.util
import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from course_utils.models import Profile, load_model

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "pretrain.py"
TINY = "--vocab-size 300 --context 16 --width 16 --layers 2 --heads 2 --batch 16 --warmup 5 --lr 0.01 --cpu".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def pretrain():
    spec = importlib.util.spec_from_file_location("pretrain", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Tres obras inventadas con palabras de un puñado de frases; una es de validación."""
    root = tmp_path_factory.mktemp("corpus con eñe y espacio")
    words = "el ñandú cruzó la pampa y la niña miró al cielo mientras llovía en el jardín".split()  # noqa: SIM905
    rng = random.Random(0)
    rows = ["fichero,particion"]
    for name, split in [("a.txt", "entrenamiento"), ("b.txt", "entrenamiento"), ("c.txt", "validacion")]:
        lines = [" ".join(rng.choices(words, k=12)).capitalize() + "." for _ in range(150)]
        (root / name).write_text("\n".join(lines), encoding="utf-8")
        rows.append(f"{name},{split}")
    (root / "manifiesto.csv").write_text("\n".join(rows), encoding="utf-8")
    return root


def run(corpus, output, *options, launcher=(), **kwargs):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parent.parent)}
    command = [
        sys.executable,
        *launcher,
        str(SCRIPT),
        "--corpus",
        str(corpus),
        "--output",
        str(output),
        *TINY,
        *options,
    ]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs
    )


def final_loss(output):
    return json.loads((output / "registro.jsonl").read_text().splitlines()[-1])["perdida"]


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """Un entrenamiento de 120 pasos que nadie interrumpe."""
    output = tmp_path_factory.mktemp("entero") / "t"
    process = run(corpus, output, "--steps", "120", "--save-every", "30")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Pérdida final" in out and "preentrenar" in err  # hay barra de progreso
    return output


def test_it_learns(whole):
    entries = [json.loads(line)["perdida"] for line in (whole / "registro.jsonl").read_text().splitlines()]
    assert entries[-1] < 0.8 * math.log(300) and entries[-1] < entries[0]


def weights(output):
    from safetensors.torch import load_file

    return load_file(sorted(output.glob("paso-*"))[-1] / "estado.safetensors")


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_killed_and_resumed_ends_like_one_never_killed(whole, corpus, tmp_path, signal_number):
    output = tmp_path / "t"
    process = run(corpus, output, "--steps", "120", "--save-every", "10")
    for _ in range(2400):
        if len(list(output.glob("paso-*/estado.json"))) >= 2 or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGSTOP)  # quieto mientras se mira que aún le quedaban pasos
    saved = sorted(output.glob("paso-*[0-9]"))[-1].name
    assert saved < "paso-0000120", "ha terminado antes de la señal: la prueba no prueba nada"
    process.send_signal(signal_number)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == (-signal.SIGKILL if signal_number == signal.SIGKILL else 130)
    if signal_number == signal.SIGTERM:
        assert "Repite la orden para continuar" in err
    process = run(corpus, output, "--steps", "120", "--save-every", "10")
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    expected, found = weights(whole), weights(output)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=1e-3)
    assert not list(output.glob("*.parcial")) and len(list(output.glob("paso-*"))) <= 3


def test_two_processes_reach_the_loss_of_one(whole, corpus, tmp_path):
    output = tmp_path / "t"
    launcher = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
                "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0")  # fmt: skip
    process = run(corpus, output, "--steps", "120", "--save-every", "30", launcher=launcher)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert final_loss(output) == pytest.approx(final_loss(whole), abs=1e-2)


def test_batches_depend_only_on_step_and_seed_and_cover_the_text(pretrain):
    ids = np.arange(1000, dtype=np.uint16)
    batches = [pretrain.batch_at(ids, step, 4, 10, seed=3) for step in range(24)]
    assert all(b.shape == (4, 11) for b in batches)
    assert torch.equal(batches[7], pretrain.batch_at(ids, 7, 4, 10, seed=3))
    starts = [row[0].item() for b in batches for row in b]
    assert len(set(starts)) == len(starts) == 96  # una época no repite ningún trozo
    assert not torch.equal(batches[0], pretrain.batch_at(ids, 24, 4, 10, seed=3))
    assert all((row.diff() == 1).all() for b in batches for row in b)


def test_learning_rate_rises_stays_and_falls(pretrain):
    scale = [pretrain.lr_scale(s, steps=100, warmup=10, decay=40) for s in range(100)]
    assert scale[0] == pytest.approx(0.1) and set(scale[9:60]) == {1.0}
    assert all(a > b for a, b in itertools.pairwise(scale[60:])) and 0 < scale[-1] < 0.05


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 8, 20), (3, 20, 8)])
def test_orthogonalize_pushes_singular_values_towards_one(pretrain, shape):
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(pretrain.orthogonalize(g, torch.float32))
    assert values.shape[-1] == 8 and values.min() > 0.3 and values.max() < 1.3


def test_export_and_evaluate(whole, corpus, tmp_path, pretrain):
    target = tmp_path / "decodificador"
    pretrain.main(["--output", str(whole), "--export", str(target)])
    model, tokenizer = load_model("decoder", Profile("propio", {"decoder": str(target)}))
    assert AutoModelForCausalLM.from_pretrained(target).dtype == torch.float32
    assert AutoTokenizer.from_pretrained(target).padding_side == "left"
    state = weights(whole)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p, state[f"modelo.{name}"], atol=1e-3, rtol=1e-3)
    text = "El ñandú miró al cielo.\nLa niña cruzó la pampa."
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    validation = pretrain.read_works(corpus, "validacion")
    bits = pretrain.bits_per_char(model, tokenizer, validation, batch_size=3)
    assert bits == pytest.approx(brute_force_bits(model, tokenizer, validation[0][:200]), rel=0.25)
    short = validation[0][:30]
    assert pretrain.bits_per_char(model, tokenizer, [short]) == pytest.approx(
        brute_force_bits(model, tokenizer, short), rel=1e-3
    )


def brute_force_bits(model, tokenizer, text):
    """Un token cada vez, con todo el contexto que cabe."""
    ids, total = [tokenizer.eos_token_id, *tokenizer(text).input_ids], 0.0
    for t in range(1, len(ids)):
        start = max(0, t - model.config.n_positions + 1)
        with torch.no_grad():
            total -= model(torch.tensor([ids[start:t]])).logits[0, -1].log_softmax(-1)[ids[t]].item()
    return total / math.log(2) / len(text)


def test_every_token_is_scored_once(pretrain, monkeypatch, mini):
    model, tokenizer = mini
    seen = []

    def count(model, batch):
        seen.append(batch)
        return torch.full((batch.size(0), batch.size(1) - 1), -math.log(2))

    monkeypatch.setattr(pretrain, "token_logprobs", count)
    for text in ["corto", "El caballo blanco. " * 200, "a" * 1024]:
        n = len(tokenizer(text).input_ids)
        assert pretrain.bits_per_char(model, tokenizer, [text]) == pytest.approx(n / len(text))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--corpus", "/no/existe"], "No encuentro"),
        (["--export", "salida"], "entrena antes de exportar"),
        (["--evaluate", "--export", "salida"], "--evaluate necesita"),
    ],
)
def test_mistakes_are_explained(pretrain, tmp_path, options, message, capsys):
    with pytest.raises((ValueError, SystemExit)) as error:
        pretrain.main(["--output", str(tmp_path / "t"), "--cpu", *options])
    assert message in str(error.value) + capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--steps", "120"], "ya llegó al paso 120"), (["--steps", "200", "--seed", "5"], r"--seed 0 \(ahora 5\)")],
)
def test_another_run_in_the_same_directory_is_refused(pretrain, whole, corpus, options, message):
    with pytest.raises(ValueError, match=message):
        pretrain.main(["--corpus", str(corpus), "--output", str(whole), *TINY, *options])
