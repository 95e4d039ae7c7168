"""Descuidos de clase, hechos de verdad sobre los cuadernos: todo sigue o lo dice en español, y el repositorio, intacto.

Celdas fuera de orden, un entrenamiento cortado y repetido, un núcleo reiniciado, un clon de solo lectura y una carpeta
personal llena. Las celdas son las de los cuadernos del alumnado; se habla con el núcleo directamente, y no con
nbclient, porque hay que interrumpirlo y reiniciarlo a mitad de una celda. Los descuidos que no necesitan un núcleo
están en ``tests/unit/test_descuidos.py``.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
from cuadernos import NOTEBOOKS, code
from jupyter_client.manager import KernelManager
from machine import ROOT, namespace, tree

from course_utils.runner import this_python


@pytest.fixture(scope="module", autouse=True)
def repository_is_left_alone():
    before = tree()
    yield
    assert tree() == before


SETUP = ("instalar-en-colab", "importar")


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
    definition, checking = code(2, "ejercicio-2-1", "comprueba-2-1")
    assert kernel.run(checking)[1] == "NameError: name 'check' is not defined"
    assert kernel.run(*code(2, "voraz-se-repite"))[1].startswith("NameError")  # la sección 2, antes que nada
    kernel.works(*code(2, *SETUP))
    assert kernel.run(checking)[1] == "NameError: name 'apply_temperature' is not defined"
    assert "pendiente" in kernel.works(definition, checking)
    assert "❌" in kernel.works("def apply_temperature(logits, t):\n    return modelo", checking)  # otro NameError
    table = (NOTEBOOKS / "fuente" / "05_perplejidad.md").read_text(encoding="utf-8")
    assert "| `NameError: name '…' is not defined` |" in table.split("## Errores comunes")[1]


def test_after_a_restart_the_setup_and_the_section_are_enough(kernel):
    section = code(2, "cargar-modelo", "softmax")
    before = kernel.works(*code(2, *SETUP), *section)
    kernel.restart()
    assert kernel.run(section[1])[1].startswith("NameError")
    assert kernel.works(*code(2, *SETUP), *section) == before
    assert "pendiente" in kernel.works(*code(2, "ejercicio-2-1", "comprueba-2-1"))


# --- Entrenamiento cortado --------------------------------------------------------------------------

SMALLER = """
data = {"train": data["train"].select(range(64)), "validation": data["validation"].select(range(8))}
"""
TRAINING = ("cargar-chistes", "tokenizar", "etiquetas-comparadas")


def test_interrupted_training_starts_again_from_scratch(kernel):
    kernel.restart()
    kernel.works(*code(4, *SETUP, *TRAINING), SMALLER, *code(4, "entrenador"))
    (training,) = code(4, "entrenamiento")
    seen = []

    def interrupt(message):  # en cuanto la barra dice que ha dado un paso
        steps = re.search(r": (\d+) de 8 pasos", str(message["content"].get("data", {}).get("text/plain", "")))
        seen.append(int(steps[1]) if steps else 0)
        if seen[-1] and not any(seen[:-1]):
            kernel.manager.interrupt_kernel()

    assert kernel.run(training, on_output=interrupt)[1].startswith("KeyboardInterrupt")
    assert 0 < max(seen) < 8
    assert kernel.run("tuned")[1].startswith("NameError")  # de lo que quedó a medias no hay nada
    weights = "print(sum(p.double().sum() for p in tuned.parameters()).item())"
    assert "8 de 8 pasos" in kernel.works(training)
    again = kernel.works(weights)
    kernel.works(training)
    assert kernel.works(weights) == again  # cada vez, desde el principio
    folder = Path(kernel.works("print(Path(workdir.name).resolve(), end='')"))
    assert ROOT not in folder.parents  # los puntos de control no van al repositorio


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
    assert "entran (1, 4)" in poor.works(*code(2, *SETUP, "cargar-modelo"))
    assert "Había una vez" in poor.works(*code(2, "voraz-bucle"))
    assert "<Figure" in poor.works(*code(2, "prediccion-por-posicion", "bucle-dibujo"))


def test_session_04_trains_without_home_nor_writable_clone(poor):
    poor.works(*code(4, *SETUP, *TRAINING), SMALLER, *code(4, "entrenador"))
    assert "8 de 8 pasos" in poor.works(*code(4, "entrenamiento"))
    for folder in ("pathlib.Path.home() / 'chistes'", "'chistes'"):  # la casa llena y el clon de solo lectura
        error = poor.run(f"import pathlib\nfinetuning.build_trainer(tuned, tokenizer, jokes, output_dir={folder})")[1]
        assert error.startswith("ValueError: No puedo escribir en") and error.endswith("Elige otra carpeta.")


def test_the_metric_says_where_it_does_not_fit(poor):
    poor.works("import evaluate\nfrom course_utils import metrics")
    error = poor.run(*code(5, "metrica-de-evaluate"))[1]
    assert error.startswith("ValueError: evaluate copia la métrica en") and "HF_HOME" in error
