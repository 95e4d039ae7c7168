"""Descuidos de clase, hechos de verdad sobre los cuadernos: todo sigue o lo dice en español, y el repositorio, intacto.

Celdas fuera de orden, un *prompt* de 5000 palabras, un entrenamiento cortado y repetido, un núcleo reiniciado, un clon
de solo lectura y una carpeta personal llena. Las celdas son las de los cuadernos del alumnado; se habla con el núcleo
directamente, y no con nbclient, porque hay que interrumpirlo y reiniciarlo a mitad de una celda.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch
from jupyter_client.manager import KernelManager
from machine import ROOT, namespace, tree

from course_utils import decoding, scoring, strategies
from course_utils.attention import capture_attention
from course_utils.checks import EXERCISES, check
from course_utils.models import load_model
from course_utils.runner import this_python
from course_utils.widgets import Explorer

NOTEBOOKS = ROOT / "notebooks"
LONG = "Había una vez un rey que no sabía callar. " * 556  # 5004 palabras


@pytest.fixture(scope="module", autouse=True)
def repository_is_left_alone():
    before = tree()
    yield
    assert tree() == before


@cache
def code(number):
    notebook = nbformat.read(next(NOTEBOOKS.glob(f"{number:02d}_*.ipynb")), as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def cell(number, text):
    """La única celda de código de una sesión que contiene un texto."""
    found = [source for source in code(number) if text in source]
    assert len(found) == 1, f"sesión {number}: {len(found)} celdas con «{text}»"
    return found[0]


def setup(number):
    return code(number)[:2]  # la de Colab y la de los import


class Kernel:
    """Un núcleo de este Python en ``notebooks/``. ``mounts``: órdenes que preparan los discos que verá solo él."""

    def __init__(self, folder, mounts="", **environ):
        prefix = [*namespace(), "sh", "-ec", mounts + '\nexec "$@"', "sh"] if mounts else []
        self.manager = KernelManager(
            kernel_name="python3",
            kernel_spec_manager=this_python(prefix),
            connection_file=str(folder / "conexion.json"),
        )
        settings = {"HF_HUB_OFFLINE": "1", "CURSO_PERFIL": "mini", "PYTHONPATH": str(ROOT)}
        settings |= {"PYTHONDONTWRITEBYTECODE": "1", "IPYTHONDIR": str(folder / "ipython")}
        environ = {**os.environ, **settings, **environ}
        environ.pop("MPLBACKEND", None)
        self.manager.start_kernel(env=environ, cwd=str(NOTEBOOKS), stderr=subprocess.DEVNULL)
        self._connect()

    def _connect(self):
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=180)

    def run(self, *sources, on_output=lambda message: None):
        """Lo que escriben las celdas, y el error de la última («» si no hay); las anteriores no pueden fallar."""
        shown, error = [], ""

        def listen(message):
            nonlocal error
            content = message["content"]
            shown.append(content.get("text") or content.get("data", {}).get("text/plain", ""))
            if message["msg_type"] == "error":
                error = f"{content['ename']}: {content['evalue']}"
            on_output(message)

        for source in sources:
            assert not error, error
            self.client.execute_interactive(source, allow_stdin=False, output_hook=listen, timeout=600)
        return "".join(shown), error

    def works(self, *sources):
        shown, error = self.run(*sources)
        assert not error, error
        return shown

    def restart(self):
        self.client.stop_channels()
        self.manager.restart_kernel(now=True)
        self._connect()

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("nucleo"))
    yield kernel
    kernel.close()


# --- Fuera de orden y núcleo reiniciado -------------------------------------------------------------


def test_cells_out_of_order_break_nothing_that_running_the_ones_above_does_not_mend(kernel):
    definition, checking = cell(2, "def apply_temperature"), cell(2, 'check("2.1"')
    assert kernel.run(checking)[1] == "NameError: name 'check' is not defined"
    assert kernel.run(cell(2, "long_ids = greedy_loop"))[1].startswith("NameError")  # la sección 2, antes que nada
    kernel.works(*setup(2))
    assert kernel.run(checking)[1] == "NameError: name 'apply_temperature' is not defined"
    assert "pendiente" in kernel.works(definition, checking)
    assert "❌" in kernel.works("def apply_temperature(logits, t):\n    return modelo", checking)  # otro NameError
    table = (NOTEBOOKS / "fuente" / "04_ajuste_fino.md").read_text(encoding="utf-8")
    assert "| `NameError: name '…' is not defined` |" in table.split("## Errores comunes")[1]


def test_after_a_restart_the_setup_and_the_section_are_enough(kernel):
    section = [cell(2, "AutoTokenizer.from_pretrained(checkpoint"), cell(2, "b, s, v = logits.shape")]
    before = kernel.works(*setup(2), *section)
    kernel.restart()
    assert kernel.run(section[1])[1].startswith("NameError")
    assert kernel.works(*setup(2), *section) == before
    assert "pendiente" in kernel.works(cell(2, "def apply_temperature"), cell(2, 'check("2.1"'))


# --- Respuestas raras -------------------------------------------------------------------------------


class Hostile:
    """Un objeto que no se deja ni mirar."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __call__(self, *args, **kwargs):
        raise KeyError("no")

    __repr__ = __eq__ = __bool__ = __call__
    __hash__ = None


def recursive(*args, **kwargs):
    return recursive(*args, **kwargs)


def looped(*args, **kwargs):
    return None


looped.__wrapped__ = looped
ODD = {
    "número": 3,
    "nan": float("nan"),
    "texto": "hola",
    "lista": [1, "a", None],
    "módulo": os,
    "clase": int,
    "tensor": torch.ones(2, 3),
    "generador": (i for i in "abc"),
    "hostil": Hostile(),
    "devuelve algo hostil": lambda *args, **kwargs: Hostile(),
    "recursiva": recursive,
    "envuelta en sí misma": looped,
    "cierra el intérprete": sys.exit,
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_check_answers_anything_without_raising(answer, capsys):
    for exercise in EXERCISES:
        check(exercise, answer)
        out = capsys.readouterr().out
        assert "❌" in out and "Pista: " in out and "pendiente" not in out


# --- Un prompt de 5000 palabras ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_prompt(mini):
    return mini[1](LONG, return_tensors="pt", verbose=False).input_ids


@pytest.mark.parametrize(
    "write",
    [
        lambda model, ids: decoding.generate(model, ids, max_new_tokens=5),
        lambda model, ids: decoding.stream(model, ids, max_new_tokens=5),
        lambda model, ids: decoding.beam_search(model, ids, num_beams=4, max_new_tokens=5),
        lambda model, ids: scoring.token_logprobs(model, ids),
        lambda model, ids: scoring.sequence_logprob(model, ids),
    ],
    ids=["generate", "stream", "beam_search", "token_logprobs", "sequence_logprob"],
)
def test_a_prompt_of_5000_words_is_refused_with_both_numbers(mini, long_prompt, write):
    context = mini[0].config.max_position_embeddings
    assert long_prompt.size(1) > 5000
    with pytest.raises(ValueError, match=rf"{long_prompt.size(1)} tokens.* {context}\. Ac[oó]rta"):
        write(mini[0], long_prompt)


def test_5000_words_can_be_scored_with_a_window(mini):
    model, tokenizer = mini
    result = scoring.perplexity(model, tokenizer, [LONG], batch_size=2)
    assert result.n_tokens == len(tokenizer(LONG, verbose=False).input_ids)
    assert 1 < result.value < 60


def test_strategies_and_explorer_say_that_5000_words_do_not_fit(mini, long_prompt):
    model, tokenizer = mini
    with pytest.raises(ValueError, match=f"{long_prompt.size(1)} tokens de prompt"):
        strategies.compare_strategies(model, tokenizer, LONG, ["voraz"], samples=2)
    explorer = Explorer(model, tokenizer)
    explorer.prompt.value = LONG
    assert f"{long_prompt.size(1)} tokens de prompt" in explorer.error and "Acorta" in explorer.message.value
    explorer.prompt.value = "Había una vez"
    assert not explorer.error
    explorer.best()
    assert not explorer.error


def test_attention_of_5000_words_is_refused_too():
    for role in ("decoder", "encoder"):
        model, tokenizer = load_model(role, "mini")
        inputs = tokenizer(LONG, return_tensors="pt", verbose=False)
        with pytest.raises(ValueError, match=str(model.config.max_position_embeddings)):
            capture_attention(model, inputs.input_ids)


# --- Entrenamiento cortado --------------------------------------------------------------------------

SMALLER = """
few = {"train": jokes["train"].select(range(32)), "validation": jokes["validation"].select(range(16))}
jokes = datasets.DatasetDict(few)
options |= {"learning_rate": 5e-3, "patience": 1}  # con tan pocos chistes, para que el sobreajuste llegue enseguida
trainer = new_trainer("entero", **options)
"""


def test_interrupted_training_starts_again_from_scratch(kernel):
    kernel.restart()
    kernel.works(
        *setup(4), cell(4, "jokes = load_jokes()\nfor name"), cell(4, 'model, tokenizer = load_model("decoder")')
    )
    kernel.works(cell(4, "def new_trainer"), SMALLER)
    training = cell(4, "trainer.train()\n\nlog")
    epochs = []

    def interrupt(message):  # en cuanto la tabla de épocas tiene una fila
        epochs.append("Validation Loss" in str(message["content"].get("data", {}).get("text/html", "")))
        if epochs.count(True) == 1 and epochs[-1]:
            kernel.manager.interrupt_kernel()

    assert kernel.run(training, on_output=interrupt)[1].startswith("KeyboardInterrupt")
    steps = int(kernel.works("print(trainer.state.global_step)"))
    assert steps > 0
    shown = kernel.works("cut = trainer", training)
    assert "mejor época" in shown
    report = kernel.works(
        "evaluations = {e['epoch']: e['eval_nll'] for e in trainer.state.log_history if 'eval_nll' in e}\n"
        "with_end = [text + tokenizer.eos_token for text in jokes['validation']['text']]\n"
        "now = math.log(perplexity(trainer.model.eval(), tokenizer, with_end).value)\n"
        "assert trainer is not cut  # ni sigue con el modelo a medias\n"
        "print(list(evaluations), abs(now - min(evaluations.values())) < 1e-3, Path(workdir.name).resolve(), sep='|')"
    )
    epochs, is_the_best, folder = report.strip().split("|")
    assert epochs == str([float(n) for n in range(1, epochs.count(",") + 2)])  # cada época, una vez
    assert is_the_best == "True"
    assert ROOT not in Path(folder).parents  # los puntos de control no van al repositorio


# --- Clon de solo lectura y carpeta personal llena ----------------------------------------------------


@pytest.fixture(scope="module")
def poor(tmp_path_factory):
    """Un núcleo con el clon de solo lectura y la carpeta personal llena: 64 KB y ni uno libre.

    El perfil de IPython está en otro sitio: sin poder escribirlo, Jupyter no arranca ningún núcleo. Eso no lo puede
    arreglar el curso; lo dice ``python -m course_utils doctor``.
    """
    folder = tmp_path_factory.mktemp("pobre")
    home = folder / "casa"
    home.mkdir()
    mounts = f"""
        mount --bind '{ROOT}' '{ROOT}'
        mount -o remount,ro,bind '{ROOT}'
        mount -t tmpfs -o size=64k tmpfs '{home}'
        dd if=/dev/zero of='{home}/lleno' bs=4k 2>/dev/null || true
        cd '{NOTEBOOKS}'"""
    unset = {name: "" for name in ("HF_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR") if name in os.environ}
    kernel = Kernel(folder, mounts, HOME=str(home), **unset)
    yield kernel
    kernel.close()


def test_the_poor_machine_is_really_poor(poor):
    assert poor.works("import os\nprint(bool(os.statvfs('.').f_flag & os.ST_RDONLY))") == "True\n"  # sin escribir nada
    assert poor.run("import pathlib\n(pathlib.Path.home() / 'x').write_text('x' * 5000)")[1].startswith(
        "OSError: [Errno 28]"
    )
    doctor = "from course_utils import doctor\nprint(doctor.check_folder('home', pathlib.Path.home(), 50))"
    shown = poor.works(doctor)
    assert "status='error'" in shown and "no se puede escribir" in shown and "Libera espacio" in shown


def test_session_02_works_without_home_nor_writable_clone(poor):
    assert "ids: " in poor.works(*setup(2), cell(2, "AutoTokenizer.from_pretrained(checkpoint"))
    assert "Había una vez" in poor.works(cell(2, "def greedy_loop"))
    poor.works(cell(2, "trace = decoding.generate"), cell(2, "plots.plot_trace"))


def test_session_04_trains_without_home_nor_writable_clone(poor):
    poor.works(
        *setup(4), cell(4, "jokes = load_jokes()\nfor name"), cell(4, 'model, tokenizer = load_model("decoder")')
    )
    poor.works(cell(4, "def new_trainer"))
    poor.works(SMALLER.replace('trainer = new_trainer("entero", **options)', 'options["epochs"] = 1'))
    assert "1.0" in poor.works('trainer = new_trainer("corto", **options)\ntrainer.train()\nprint(trainer.state.epoch)')
    for folder in ("pathlib.Path.home() / 'chistes'", "'chistes'"):  # la casa llena y el clon de solo lectura
        error = poor.run(f"import pathlib\nfinetuning.build_trainer(model, tokenizer, jokes, output_dir={folder})")[1]
        assert error.startswith("ValueError: No puedo escribir en") and error.endswith("Elige otra carpeta.")


def test_session_05_says_where_the_metric_does_not_fit(poor):
    poor.works(*setup(5))
    error = poor.run(cell(5, "evaluate.load("))[1]
    assert error.startswith("ValueError: evaluate copia la métrica en") and "HF_HOME" in error
