"""La orden «finetune» en diminuto: de principio a fin, cortada de todas las maneras, con dos procesos y con mal uso.

Casi todo se ejecuta en este proceso, con 32 textos: un corte brusco es una excepción que nadie recoge, que deja en el
disco lo mismo que una señal 9. Con procesos de verdad se prueba lo que no se puede imitar: la señal 9 y accelerate.
"""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import peft
import pytest
import torch
import trainable
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, TrainerCallback, TrainerState

from course_utils import finetune
from course_utils.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
          "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0")  # fmt: skip
THINGS = ("la vaca", "un loro", "el médico", "mi suegra", "el tren", "un pato", "la luna", "el cura")
TRAIN = [f"—¿Qué dijo {thing} {where}?\n—Nada." for thing in THINGS for where in ("ayer", "en Cali", "al irse", "")]
STEPS = 8  # por época: 32 textos de 4 en 4


def small_model(dropout):
    config = GPT2Config(vocab_size=4096, n_positions=64, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0,
                        pad_token_id=1, resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout)  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GPT2LMHeadModel(config)


# ---------------------------------------------------------------- en este proceso
class At(TrainerCallback):
    """Hace algo, una sola vez, cuando llega un suceso del entrenamiento en cierto paso."""

    def __init__(self, event, step, act):
        setattr(self, event, self._maybe)
        self.step, self.act, self.done = step, act, False

    def _maybe(self, args, state, control, **kwargs):
        if state.global_step == self.step and not self.done:
            self.done = True
            self.act()


class Killed(BaseException):
    """Lo que nadie recoge."""


def kill():
    raise Killed


@pytest.fixture
def small(mini, monkeypatch):
    """32 chistes, validación que empeora pronto, un modelo con dropout, y los cortes que se pidan: ``small(At(…))``."""
    jokes = {"train": TRAIN, "validation": [TRAIN[1], "Otra cosa que no se parece."], "test": TRAIN[:4]}
    monkeypatch.setattr(finetune, "load_jokes", lambda profile: {k: {"text": v} for k, v in jokes.items()})
    monkeypatch.setattr(finetune, "load_literary", lambda: ["El mar estaba en calma.", "Llovía sobre la plaza."])
    monkeypatch.setattr(finetune, "load_model", lambda role, profile: (small_model(0.1), mini[1]))
    build, cuts = finetune.build_trainer, []

    def build_and_cut(*args, **options):
        trainer = build(*args, **options)
        for cut in cuts:
            trainer.add_callback(cut)
        return trainer

    monkeypatch.setattr(finetune, "build_trainer", build_and_cut)
    return lambda *callbacks: cuts.__setitem__(slice(None), callbacks)


def train(output, *options):
    return main(
        ["finetune", "--output", str(output), "--epochs", "6", "--batch", "4", "--lr", "0.03", "--cpu", *options]
    )


def result(output):
    return json.loads((output / "resultado.json").read_text(encoding="utf-8"))


def history(output):
    """Todas las evaluaciones de validación, según el último punto de control."""
    last = max(output.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    log = json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return [(e["step"], e["eval_nll"]) for e in log if "eval_nll" in e]


def same(found, expected):
    """El mismo final, sin un bit de diferencia: pesos, época elegida y toda la historia."""
    a, b = (load_file(folder / "modelo" / "model.safetensors") for folder in (found, expected))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert history(found) == history(expected)
    machine = {"segundos", "memoria_gb", "curva"}  # la pérdida de una época cortada es la media desde el corte
    timeless = [{k: v for k, v in result(folder).items() if k not in machine} for folder in (found, expected)]
    assert timeless[0] == timeless[1]


VARIANTS = {"entero": (), "lora": ("--lora", "4", "--lr", "0.1"), "empaquetado": ("--packing", "--batch", "1")}


@pytest.fixture(scope="module")
def never_cut(tmp_path_factory):
    """De cada variante, un entrenamiento que nadie ha cortado (se hace la primera vez que se pide)."""
    folder = tmp_path_factory.mktemp("sin cortes")

    def get(variant):
        if not (folder / variant).exists():
            assert train(folder / variant, *VARIANTS[variant]) == 0
        return folder / variant

    return get


def test_the_case_is_a_hard_one(small, never_cut):
    """Sin esto, los cortes no probarían nada: la paciencia actúa, la mejor no es la última y el dropout cuenta."""
    curve = history(never_cut("entero"))
    best = min(curve, key=lambda e: e[1])
    assert len(curve) < 6 and curve.index(best) == len(curve) - 3 and best[0] % STEPS == 0


SIGNALS = [signal.SIGINT, signal.SIGTERM]
CUTS = {
    "a media época": ("on_step_end", STEPS + 3),
    "en el primer paso": ("on_step_end", 1),
    "en el último paso de una época": ("on_step_end", 2 * STEPS),
    "mientras se evalúa": ("on_evaluate", STEPS),
    "al guardar una época": ("on_save", STEPS),
    "al empezar un paso": ("on_step_begin", 2 * STEPS + 5),
}


@pytest.mark.parametrize(
    ("cut", "number"), [*((cut, signal.SIGINT) for cut in CUTS), ("a media época", signal.SIGTERM)]
)
def test_a_signal_stops_and_resuming_ends_the_same(small, never_cut, tmp_path, capsys, cut, number):
    handlers = [signal.getsignal(n) for n in SIGNALS]
    small(At(*CUTS[cut], lambda: signal.raise_signal(number)))
    assert train(tmp_path) == 130
    assert [signal.getsignal(n) for n in SIGNALS] == handlers  # las señales vuelven a hacer lo de antes
    assert "Continúa con --resume" in capsys.readouterr().err and not (tmp_path / "resultado.json").exists()
    small()
    assert train(tmp_path, "--resume") == 0
    assert "Continúo desde checkpoint-" in capsys.readouterr().err
    same(tmp_path, never_cut("entero"))


@pytest.mark.parametrize(
    "cut", ["en el primer paso", "mientras se evalúa", "al guardar una época", "al empezar un paso"]
)
def test_a_kill_loses_nothing_but_time(small, never_cut, tmp_path, capsys, cut):
    small(At(*CUTS[cut], kill))
    with pytest.raises(Killed):
        train(tmp_path)
    small()
    assert train(tmp_path, "--resume") == 0
    assert ("Continúo desde" in capsys.readouterr().err) == (CUTS[cut][1] >= STEPS and cut != "mientras se evalúa")
    same(tmp_path, never_cut("entero"))


def cut_with(small, callback, output, *options):
    """Un entrenamiento que ``callback`` corta."""
    small(callback)
    if callback.act is kill:
        with pytest.raises(Killed):
            train(output, *options)
    else:
        assert train(output, *options) == 130
    small()


@pytest.mark.parametrize("variant", ["lora", "empaquetado"])
def test_cuts_in_other_trainings(small, never_cut, tmp_path, variant):
    options = *VARIANTS[variant], "--resume"
    cut_with(small, At("on_step_end", 3, lambda: signal.raise_signal(signal.SIGINT)), tmp_path, *options)
    cut_with(small, At("on_step_end", 5, lambda: signal.raise_signal(signal.SIGTERM)), tmp_path, *options)  # otra vez
    cut_with(small, At("on_evaluate", 2 * STEPS, kill), tmp_path, *options)
    assert train(tmp_path, *options) == 0
    same(tmp_path, never_cut(variant))


@pytest.mark.parametrize("options", [(), ("--epochs", "1.4")], ids=["parada", "fracción"])
def test_killed_when_it_had_already_finished(small, tmp_path, options):
    """La paciencia ya había dicho basta, o no quedaban épocas: al continuar no se da ni un paso más."""
    assert train(tmp_path / "a", *options) == 0
    last = history(tmp_path / "a")[-1][0]
    cut_with(small, At("on_train_end", last, kill), tmp_path / "b", *options)
    small(At("on_step_begin", last, lambda: pytest.fail("ha seguido entrenando")))
    assert train(tmp_path / "b", *options, "--resume") == 0
    same(tmp_path / "b", tmp_path / "a")


def test_a_signal_in_the_very_last_step(small, tmp_path):
    """Con una fracción de época, el último paso no es el último de su época, y aun así toca evaluar."""
    assert train(tmp_path / "a", "--epochs", "1.4") == 0
    last = history(tmp_path / "a")[-1][0]
    assert last % STEPS
    cut_with(
        small, At("on_step_end", last, lambda: signal.raise_signal(signal.SIGINT)), tmp_path / "b", "--epochs", "1.4"
    )
    assert train(tmp_path / "b", "--epochs", "1.4", "--resume") == 0
    same(tmp_path / "b", tmp_path / "a")


def test_a_checkpoint_half_written_is_discarded(small, never_cut, tmp_path, capsys, monkeypatch):
    """Se corta mientras se escribe el segundo: los pesos están, y lo último, que es el estado, no."""
    real = TrainerState.save_to_json
    monkeypatch.setattr(
        TrainerState, "save_to_json", lambda s, path: kill() if s.global_step > STEPS else real(s, path)
    )
    with pytest.raises(Killed):
        train(tmp_path)
    monkeypatch.setattr(TrainerState, "save_to_json", real)
    assert (tmp_path / f"checkpoint-{2 * STEPS}" / "model.safetensors").is_file()
    (tmp_path / "checkpoint-99999").mkdir()
    (tmp_path / "checkpoint-99999" / "trainer_state.json").write_text("{")
    assert train(tmp_path, "--resume") == 0
    err = capsys.readouterr().err
    assert f"Descarto checkpoint-{2 * STEPS}:" in err and "Descarto checkpoint-99999:" in err
    assert f"Continúo desde checkpoint-{STEPS}." in err
    same(tmp_path, never_cut("entero"))


def test_a_folder_that_moves_keeps_its_best_epoch(small, never_cut, tmp_path):
    cut_with(small, At("on_step_begin", 3 * STEPS, kill), tmp_path / "aquí")  # la mejor es la 2; la última, la 3
    shutil.move(tmp_path / "aquí", tmp_path / "allí")
    assert train(tmp_path / "allí", "--resume") == 0
    same(tmp_path / "allí", never_cut("entero"))


def test_the_report_is_of_the_epoch_that_was_chosen(small, never_cut):
    """Los chistes de prueba de aquí son de entrenamiento: su pérdida es menor que todas las de validación.

    Tomar la menor de todo lo evaluado daba la época 4.0 y 1,96, que es la de prueba; la buena es la 2.0, con 4,53.
    """
    found, curve = result(never_cut("entero")), history(never_cut("entero"))
    step, best = min(curve, key=lambda e: e[1])
    assert (found["mejor_epoca"], found["nll_validacion"]) == (step / STEPS, best) and step == 2 * STEPS
    wrong = math.log(found["perplejidad_despues"]["chistes"])
    assert wrong < best - 1 and curve[-1][0] / STEPS == 4
    model = AutoModelForCausalLM.from_pretrained(never_cut("entero") / "modelo")  # y el modelo es el de esa época
    chosen = load_file(never_cut("entero") / f"checkpoint-{step}" / "model.safetensors")
    assert all(torch.equal(model.state_dict()[name], weight) for name, weight in chosen.items())


def test_it_leaves_a_model_that_loads(small, never_cut, capfd):
    output = never_cut("entero")
    figures = result(output)
    assert figures["procesos"] == 1 and figures["perplejidad_antes"].keys() == {"chistes", "literarios"}
    assert figures["perplejidad_despues"]["chistes"] < 0.1 * figures["perplejidad_antes"]["chistes"]
    model = AutoModelForCausalLM.from_pretrained(output / "modelo", use_safetensors=True)
    assert model.config.use_cache and AutoTokenizer.from_pretrained(output / "modelo").eos_token == "<|endoftext|>"
    assert not [p for p in (output / "modelo").iterdir() if p.suffix in {".bin", ".pt", ".pth"}]


def test_lora_leaves_an_adapter_and_a_whole_model(small, never_cut):
    output = never_cut("lora")
    assert (output / "adaptador" / "adapter_model.safetensors").is_file()
    base = small_model(0).state_dict()
    tuned = AutoModelForCausalLM.from_pretrained(output / "modelo").state_dict()
    assert base.keys() == tuned.keys()
    changed = {name for name in base if not torch.equal(base[name], tuned[name])}
    assert changed == {name for name in base if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))}
    assert not list(output.glob("checkpoint-*/model*.safetensors"))  # de los puntos de control, solo el adaptador


def test_a_model_of_a_package_leaves_only_the_adapter(small, mini, tmp_path, monkeypatch):
    """El modelo entero no cabría, y no hace falta: el adaptador, encima del de partida, da lo que se midió."""
    usage = type(shutil.disk_usage(tmp_path))
    weights = sum(p.numel() * 4 for p in small_model(0).parameters())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, weights // 2))
    assert train(tmp_path, "--profile", "mediano", "--lora", "1", "--lr", "0.1", "--epochs", "1") == 0
    assert not (tmp_path / "modelo").exists() and result(tmp_path)["mejor_epoca"] == 1
    tuned = peft.PeftModel.from_pretrained(small_model(0), tmp_path / "adaptador").eval()
    rows = [finetune.tokenize([text], mini[1], max_length=64)["input_ids"] for text in TRAIN[:4]]
    total = tokens = 0
    for row in rows:
        ids = torch.tensor(row)
        with torch.no_grad():
            total += tuned(ids, labels=ids).loss.item() * (ids.size(1) - 1)
        tokens += ids.size(1) - 1
    assert math.exp(total / tokens) == pytest.approx(result(tmp_path)["perplejidad_despues"]["chistes"], rel=1e-4)


def test_the_curve_has_every_step_and_every_epoch(small, never_cut, tmp_path):
    assert train(tmp_path, "--epochs", "2", "--log-steps", "1") == 0
    curve = result(tmp_path)["curva"]
    assert [step for step, _ in curve["entrenamiento"]] == list(range(1, 2 * STEPS + 1))
    assert curve["validacion"] == [[step, round(nll, 4)] for step, nll in history(tmp_path)]
    by_epoch = result(never_cut("entero"))["curva"]["entrenamiento"]
    assert [step for step, _ in by_epoch] == [STEPS * n for n in range(1, len(by_epoch) + 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume", "--seed", "5"], r"--seed 0 \(ahora 5\)"),
        (["--resume", "--lora"], r"--lora None \(ahora 8\)"),
        (["--resume", "--packing", "--patience", "4"], r"--patience 2 \(ahora 4\), --packing False \(ahora True\)"),
        ([], "ya hay un entrenamiento"),
    ],
)
def test_another_training_in_the_same_folder_is_refused(small, never_cut, capsys, options, message):
    output = never_cut("entero")
    before = sorted((p, p.stat().st_mtime_ns) for p in output.rglob("*"))
    assert train(output, *options) == 1
    assert re.search(f"Error: .*{message}", capsys.readouterr().err)
    assert sorted((p, p.stat().st_mtime_ns) for p in output.rglob("*")) == before


def test_checkpoints_of_someone_else_are_left_alone(small, tmp_path, capsys):
    (tmp_path / "checkpoint-7").mkdir()
    for options in ([], ["--resume"]):
        assert train(tmp_path, *options) == 1
        assert "que no ha hecho esta orden" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-7"]


def test_resuming_nothing_is_starting(small, never_cut, tmp_path, capsys):
    assert train(tmp_path, "--resume") == 0
    assert "No hay nada que continuar: empiezo." in capsys.readouterr().err
    same(tmp_path, never_cut("entero"))


def test_a_loss_that_is_not_a_number_is_said(small, tmp_path, capsys):
    assert train(tmp_path, "--lr", "1e30") == 1
    assert "La pérdida ha dejado de ser un número" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "0"], "batch_size debe ser un entero mayor o igual que 1 y es 0"),
        (["--profile", "enorme"], "No conozco el perfil 'enorme'"),
        (["--epochs", "nan"], "epochs debe ser un número positivo y es nan"),
        (["--lora", "-1"], "rango de LoRA"),
        (["--log-steps", "0"], "--log-steps debe ser un entero mayor o igual que 1 y es 0"),
    ],
)
def test_mistakes_are_explained_before_training(small, tmp_path, capsys, options, message):
    assert train(tmp_path / "t", *options) == 1
    assert message in capsys.readouterr().err and not list(tmp_path.rglob("checkpoint-*"))


def test_an_encoder_is_refused_before_anything(small, mini, tmp_path, capsys, monkeypatch):
    encoder = trainable.build("bert como decodificador", vocab=4096)
    monkeypatch.setattr(finetune, "load_model", lambda role, profile: (encoder, mini[1]))
    assert train(tmp_path / "t") == 1
    assert "BertLMHeadModel es un codificador" in capsys.readouterr().err and not (tmp_path / "t").exists()


def test_an_unusable_folder_is_reported_before_training(small, tmp_path, capsys):
    (tmp_path / "fichero").write_text("no soy una carpeta")
    assert train(tmp_path / "fichero" / "t") == 1
    assert "No puedo escribir en" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "enough"), [((), 5), (("--lora", "1"), 1.5)], ids=["entero", "lora"])
def test_a_full_disk_is_reported_before_training(small, tmp_path, capsys, monkeypatch, options, enough):
    """Con LoRA hace falta sitio para el modelo entero del final, y apenas nada más; sin él, para tres con su Adam."""
    weights = sum(p.numel() * 4 for p in small_model(0).parameters())
    usage = type(shutil.disk_usage(tmp_path))
    for times, code in ((0.9, 1), (enough, 1 if not options else 0), (11, 0)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=int(times * weights): usage(10**9, 0, free))
        assert train(tmp_path / str(times), *options, "--epochs", "0.1") == code
        assert ("MB libres y el entrenamiento necesita" in capsys.readouterr().err) == bool(code)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "falta --output"),
        (["--output"], "--output necesita un valor"),
        (["--output", "x", "--batch", "dos"], "--batch no admite 'dos'"),
        (["--output", "x", "--nada"], "no conozco --nada"),
    ],
)
def test_the_command_line_speaks_spanish(capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        main(["finetune", *arguments])
    err = capsys.readouterr().err
    assert exit_.value.code == 2 and f"Error: {message}\n" in err and "uso: python -m course_utils" in err


def test_the_help_says_what_it_costs_and_does_not_load_torch():
    code = "import sys; from course_utils.__main__ import main\ntry: main(['finetune', '--help'])\n" \
           "finally: sys.exit(int('torch' in sys.modules))"  # fmt: skip
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert process.returncode == 0
    assert re.search(r"\d+ (min|segundos)", process.stdout) and re.search(r"\d GB", process.stdout)
    assert not re.search(r"usage|options|show this|default|optional", process.stdout)


# ---------------------------------------------------------------- en procesos de verdad, con los chistes del curso
COURSE = ("--epochs", "2", "--batch", "64", "--lr", "0.01", "--cpu")


@pytest.fixture(scope="module")
def start(mini, tmp_path_factory):
    """Un GPT-2 diminuto con el tokenizador del curso."""
    folder = tmp_path_factory.mktemp("modelo con eñe") / "m"
    small_model(0.1).save_pretrained(folder)
    mini[1].save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """Sin cortes y en este proceso, con un hilo, como los otros: si no, las sumas se redondean de otro modo."""
    output, threads = tmp_path_factory.mktemp("entero") / "chistes", torch.get_num_threads()
    torch.set_num_threads(1)
    assert main(["finetune", "--model", str(start), "--output", str(output), *COURSE]) == 0
    torch.set_num_threads(threads)
    return output


def run(start, output, *options, launcher=()):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, "-m", "course_utils", "finetune", "--model", str(start), "--output",
               str(output), *COURSE, *options]  # fmt: skip
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code and "Traceback" not in err, err
    return out, err


def test_a_real_kill(start, whole, tmp_path):
    """Cuando aparece el primer punto de control, en el momento que caiga."""
    output = tmp_path / "chistes"
    process = run(start, output)
    while process.poll() is None and not list(output.glob("checkpoint-*/trainer_state.json")):
        time.sleep(0.02)
    assert process.poll() is None, "ha terminado antes de la señal: la prueba no prueba nada"
    process.kill()
    process.communicate()
    assert not (output / "resultado.json").exists()
    out, err = finish(run(start, output, "--resume"))
    assert "perplejidad_despues" in out and "%" in err  # escribe el resultado, y hubo barra de progreso
    assert "Continúo desde checkpoint-" in err
    same(output, whole)


def test_two_processes_reach_the_loss_of_one(start, whole, tmp_path):
    output = tmp_path / "chistes"
    finish(run(start, output, launcher=LAUNCH))
    expected, found = result(whole), result(output)
    assert found["procesos"] == 2 and expected["procesos"] == 1
    assert found["nll_validacion"] == pytest.approx(expected["nll_validacion"], rel=0.02)
    assert found["perplejidad_antes"] == pytest.approx(expected["perplejidad_antes"], rel=1e-3)  # la media es exacta
