"""El preentrenamiento, en diminuto: reanudar tras SIGKILL, dos procesos, exportar y medir."""

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
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from course_utils.models import Profile, load_model, sha256
from tools.training import pretrain

ROOT = Path(__file__).resolve().parents[2]
TINY = "--vocab-size 300 --context 16 --width 16 --layers 2 --heads 2 --batch 16 --warmup 5 --lr 0.01 --cpu".split()  # noqa: SIM905


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


ENCODER = "--role encoder --context 34 --short-steps 20".split()  # noqa: SIM905
ROLES = {"decoder": [], "encoder": ENCODER, "lstm": ["--role", "lstm", "--hidden", "24"]}


def run(corpus, output, *options, launcher=(), **kwargs):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        *launcher,
        "-m",
        "tools.training.pretrain",
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


def processes(output):
    return {json.loads(line)["procesos"] for line in (output / "registro.jsonl").read_text().splitlines()}


@pytest.fixture(scope="module", params=ROLES)
def whole(request, corpus, tmp_path_factory):
    """Un entrenamiento de 120 pasos que nadie interrumpe: (papel, directorio)."""
    output = tmp_path_factory.mktemp("entero") / "t"
    process = run(corpus, output, "--steps", "120", "--save-every", "30", *ROLES[request.param])
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Pérdida final" in out and "preentrenar" in err  # hay barra de progreso
    return request.param, output


def test_it_learns(whole):
    role, output = whole
    entries = [json.loads(line)["perdida"] for line in (output / "registro.jsonl").read_text().splitlines()]
    assert entries[-1] < (0.95 if role == "encoder" else 0.8) * math.log(300) and entries[-1] < entries[0]


def weights(output):
    from safetensors.torch import load_file

    return load_file(sorted(output.glob("paso-*"))[-1] / "estado.safetensors")


def loss_of(role, output):
    """Pérdida del último punto de control en un lote que nunca cambia."""
    args = pretrain.parse(["--output", str(output), "--corpus", "x", *TINY, *ROLES[role]])
    model = pretrain.build_model(300, args)
    pretrain.load_state(sorted(output.glob("paso-*"))[-1], model, pretrain.build_optimizers(model, args))
    tokens = pretrain.batch_at(np.load(output / "ids.npy"), 0, 8, 32, seed=9)[:, 1:]
    pair = pretrain.mask_at(tokens, 0, 1, 0.3, 0) if role == "encoder" else (tokens[:, :16], tokens[:, 1:17])
    with torch.no_grad():
        return pretrain.Loss(model)(*pair).item()


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_killed_and_resumed_ends_like_one_never_killed(whole, corpus, tmp_path, signal_number):
    role, unbroken = whole
    output = tmp_path / "t"
    process = run(corpus, output, "--steps", "120", "--save-every", "10", *ROLES[role])
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
    process = run(corpus, output, "--steps", "120", "--save-every", "10", *ROLES[role])
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert loss_of(role, output) == pytest.approx(loss_of(role, unbroken), abs=1e-3)
    expected, found = weights(unbroken), weights(output)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=1e-3)
    assert not list(output.glob("*.parcial")) and len(list(output.glob("paso-*"))) <= 3


def test_two_processes_reach_the_loss_of_one(whole, corpus, tmp_path):
    role, alone = whole
    output = tmp_path / "t"
    # --multi_gpu: con --cpu, accelerate lanza un solo proceso; así usa torchrun, y el --cpu del programa hace el resto
    launcher = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
                "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0")  # fmt: skip
    process = run(corpus, output, "--steps", "120", "--save-every", "30", *ROLES[role], launcher=launcher)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert processes(output) == {2} and processes(alone) == {1}
    assert final_loss(output) == pytest.approx(final_loss(alone), abs=1e-2)


def test_batches_depend_only_on_step_and_seed_and_cover_the_text():
    ids = np.arange(1000, dtype=np.uint16)
    batches = [pretrain.batch_at(ids, step, 4, 10, seed=3) for step in range(24)]
    assert all(b.shape == (4, 11) for b in batches)
    assert torch.equal(batches[7], pretrain.batch_at(ids, 7, 4, 10, seed=3))
    starts = [row[0].item() for b in batches for row in b]
    assert len(set(starts)) == len(starts) == 96  # una época no repite ningún trozo
    assert not torch.equal(batches[0], pretrain.batch_at(ids, 24, 4, 10, seed=3))
    assert all((row.diff() == 1).all() for b in batches for row in b)


def test_learning_rate_rises_stays_and_falls():
    scale = [pretrain.lr_scale(s, steps=100, warmup=10, decay=40) for s in range(100)]
    assert scale[0] == pytest.approx(0.1) and set(scale[9:60]) == {1.0}
    assert all(a > b for a, b in itertools.pairwise(scale[60:])) and 0 < scale[-1] < 0.05


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 8, 20), (3, 20, 8)])
def test_orthogonalize_pushes_singular_values_towards_one(shape):
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(pretrain.orthogonalize(g, torch.float32))
    assert values.shape[-1] == 8 and values.min() > 0.3 and values.max() < 1.3


def test_export(whole, tmp_path):
    role, output = whole
    target = tmp_path / role
    pretrain.main(["--output", str(output), "--export", str(target)])
    model, tokenizer = load_model(role, Profile("propio", {role: str(target)}))
    auto = AutoModelForMaskedLM if role == "encoder" else AutoModelForCausalLM
    assert auto.from_pretrained(target).dtype == torch.float32
    state = weights(output)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p, state[f"modelo.{name}"], atol=1e-3, rtol=1e-3)
    text = "El ñandú miró al cielo.\nLa niña cruzó la pampa."
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert AutoTokenizer.from_pretrained(target).padding_side == ("right" if role == "encoder" else "left")
    edges = [tokenizer.cls_token_id, tokenizer.sep_token_id]
    assert ([ids[0], ids[-1]] == edges) == (role == "encoder")
    hashes = json.loads((target / "sha256.json").read_text())
    assert hashes["model.safetensors"] == sha256(target / "model.safetensors") and "sha256.json" not in hashes


def test_masks_depend_only_on_step_and_seed():
    tokens = torch.arange(5, 5 + 4 * 32).view(4, 32)
    for parts, rate in [(1, 0.3), (4, 0.15), (16, 0.3)]:
        inputs, targets = pretrain.mask_at(tokens, 7, parts, rate, seed=1)
        assert inputs.shape == targets.shape == (4 * parts, 32 // parts + 2)
        assert (inputs[:, 0] == 3).all() and (inputs[:, -1] == 4).all() and (targets[:, [0, -1]] == -100).all()
        hidden = targets != -100
        assert (hidden.sum(1) == max(1, round(rate * (32 // parts)))).all()
        assert (inputs[hidden] == 2).all()
        restored = torch.where(hidden, targets, inputs)[:, 1:-1].reshape(4, 32)
        assert torch.equal(restored, tokens)  # lo tapado y lo visto, juntos, son el texto
        again = pretrain.mask_at(tokens, 7, parts, rate, seed=1)
        assert torch.equal(again[0], inputs)
    assert not torch.equal(pretrain.mask_at(tokens, 8, 1, 0.3, 1)[0], pretrain.mask_at(tokens, 7, 1, 0.3, 1)[0])


def test_short_pieces_come_first():
    parts = [pretrain.split_at(step, 10, seed=0) for step in range(200)]
    assert set(parts[:10]) == {4} and set(parts[10:]) == {1, 2, 4}


def test_short_pieces_keep_their_place_and_later_ones_start_at_zero():
    tokens = torch.arange(5, 5 + 2 * 32).view(2, 32)
    inputs, _ = pretrain.mask_at(tokens, 0, 4, 0.15, seed=0)
    early = pretrain.positions_at(0, 4, 10, *inputs.shape)
    assert early[:, 0].tolist() == [0, 8, 16, 24] * 2 and (early.diff(dim=1) == 1).all()
    place = early[:, 1:-1].reshape(2, 32)  # sin <cls> ni <sep>, cada token está donde estaba (tras el primer <cls>)
    assert torch.equal(place, torch.arange(1, 33).expand(2, 32))
    assert early.max() == 33  # cabe en el contexto de 34
    late = pretrain.positions_at(20, 4, 10, *inputs.shape)
    assert torch.equal(late, torch.arange(10).expand(8, 10))


def test_the_loss_of_the_encoder_is_that_of_hugging_face():
    args = pretrain.parse(["--role", "encoder", "--output", "x", "--corpus", "x", "--context", "34", *TINY[4:]])
    model = pretrain.build_model(300, args)
    tokens = torch.randint(5, 300, (4, 32), generator=torch.Generator().manual_seed(0))
    inputs, targets = pretrain.mask_at(tokens, 0, 2, 0.3, 0)
    expected = model(input_ids=inputs, labels=targets).loss
    torch.testing.assert_close(pretrain.Loss(model)(inputs, targets), expected)
    late = pretrain.positions_at(99, 2, 1, *inputs.shape)
    torch.testing.assert_close(pretrain.Loss(model)(inputs, targets, late), expected)


def test_the_first_layer_of_the_encoder_starts_by_looking_at_its_neighbours():
    args = pretrain.parse(["--role", "encoder", "--output", "x", "--corpus", "x", "--layers", "2"])
    model = pretrain.build_model(4096, args).eval()
    model.set_attn_implementation("eager")
    ids = torch.randint(5, 4096, (2, 256), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = model(input_ids=ids, output_attentions=True).attentions
    for head, shift in enumerate((-1, 1, -2, 2)):
        assert first[:, head].diagonal(shift, -2, -1).mean() > 0.4
        assert second[:, head].diagonal(shift, -2, -1).mean() < 0.02


def test_queries_and_keys_can_have_their_own_decay():
    args = ["--role", "encoder", "--output", "x", "--corpus", "x", "--weight-decay", "0.2", "--weight-decay-qk", "0"]
    args = pretrain.parse(args)
    model = pretrain.build_model(300, args)
    names = {p: name for name, p in model.named_parameters()}
    muon, _ = pretrain.build_optimizers(model, args)
    found = {names[p]: group["weight_decay"] for group in muon.param_groups for p in group["params"]}
    assert len(found) == 6 * 6 and set(found.values()) == {0.2, 0.0}
    for name, decay in found.items():
        assert (decay == 0) == (".query." in name or ".key." in name)


def test_muon_scales_linear_and_conv1d_alike():
    """La misma matriz, guardada al derecho (nn.Linear) o al revés (Conv1D), recibe el mismo cambio."""
    g = torch.randn(8, 24, generator=torch.Generator().manual_seed(0))  # (in, out)
    conv, linear = torch.nn.Parameter(torch.zeros(8, 24)), torch.nn.Parameter(torch.zeros(24, 8))
    conv.grad, linear.grad = g.clone(), g.T.clone()
    pretrain.Muon([{"params": [conv]}], lr=0.1).step()
    pretrain.Muon([{"params": [linear], "transposed": True}], lr=0.1).step()
    torch.testing.assert_close(conv.data, linear.data.T)
    assert conv.data.norm() > 0


def test_starts_from_other_weights_and_tokenizer(whole, corpus, tmp_path):
    role, output = whole
    exported = tmp_path / "modelo"
    pretrain.main(["--output", str(output), "--export", str(exported)])
    options = ["--steps", "1", "--warmup", "1000000", "--init", str(exported), *ROLES[role]]
    process = run(corpus, tmp_path / "t", *options)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    before, after = weights(output), weights(tmp_path / "t")
    for name in (n for n in before if n.startswith("modelo.")):
        torch.testing.assert_close(after[name], before[name], atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--corpus", "/no/existe"], "No encuentro"),
        (["--export", "salida"], "entrena antes de exportar"),
        (["--corpus", "da igual", "--role", "encoder", "--context", "8"], "al menos 10 y es 8"),
    ],
)
def test_mistakes_are_explained(tmp_path, options, message, capsys):
    with pytest.raises((ValueError, SystemExit)) as error:
        pretrain.main(["--output", str(tmp_path / "t"), "--cpu", *options])
    assert message in str(error.value) + capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--steps", "120"], "ya llegó al paso 120"), (["--steps", "200", "--seed", "5"], r"--seed 0 \(ahora 5\)")],
)
def test_another_run_in_the_same_directory_is_refused(whole, corpus, options, message):
    role, output = whole
    with pytest.raises(ValueError, match=message):
        pretrain.main(["--corpus", str(corpus), "--output", str(output), *TINY, *ROLES[role], *options])


def test_the_other_role_in_the_same_directory_is_refused(whole, corpus):
    role, output = whole
    other = {"decoder": "encoder", "encoder": "lstm", "lstm": "decoder"}[role]
    with pytest.raises(ValueError, match=f"--role {role} .ahora {other}."):
        options = ["--context", "34", "--role", other, "--steps", "200"]
        pretrain.main(["--corpus", str(corpus), "--output", str(output), *TINY, *options])
