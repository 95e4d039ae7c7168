"""``python -m course_utils doctor``: cada comprobación, con lo que recibe escrito a mano, y la orden entera."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import FrozenInstanceError
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from course_utils import doctor, models

pytestmark = pytest.mark.timeout(120)  # lo que no contesta no contesta nunca: si falta un plazo, se ve aquí
ROOT = Path(__file__).resolve().parents[2]
RANGES = ["torch>=2.4", "numpy>=1.26", 'jupyterlab<4.6,>=4.5; extra == "lab"', 'pytest>=8.0; extra == "dev"']
GOOD = {"torch": "2.13.0+cpu", "Numpy": "2.1.3", "jupyterlab": "4.5.11", "pytest": "1.0"}


def course(python=">=3.11", tested=("3.11", "3.12")):
    message = Message()
    message["Requires-Python"] = python
    for minor in tested:
        message["Classifier"] = f"Programming Language :: Python :: {minor}"
    return message


def run(*arguments, python=sys.executable, **environ):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **environ}
    command = [python, "-B", "-m", "course_utils", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, env=environ, check=False)


def only(results, status):
    return [result for result in results if result.status == status]


# --- Python y paquetes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "status"), [((3, 11, 0), "ok"), ((3, 12, 9), "ok"), ((3, 10, 14), "error"), ((3, 15, 0), "warning")]
)
def test_python_is_judged_by_the_metadata(version, status):
    result = doctor.check_python(course(), version)
    assert result.status == status
    assert ".".join(map(str, version)) in result.detail and ">=3.11" in result.detail and "3.11, 3.12" in result.detail
    assert bool(result.remedy) == (status != "ok")


def test_without_metadata_it_says_how_to_install_the_course(monkeypatch):
    result = doctor.check_python(None)
    assert result.status == "error" and "no está instalado" in result.detail and "pip install -e ." in result.remedy

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "metadata", missing)
    monkeypatch.setattr(doctor, "_output", lambda *_: ("", 0))
    results = {result.key: result for result in doctor.diagnose()}
    assert results["python"].status == "error" and not any(key.startswith("package.") for key in results)


def test_ranges_are_those_of_pyproject():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    source = (ROOT / "course_utils" / "doctor.py").read_text(encoding="utf-8")
    for text in [*project["dependencies"], *project["optional-dependencies"]["lab"]]:
        if text.startswith("course-utils["):  # otro extra del propio curso: no tiene rango
            continue
        results = doctor.check_packages([text], {}, {})
        assert results[0].status == "error" and all(
            part in results[0].detail for part in text.split(">=")[1].split(",")
        )
        assert text not in source  # ni un rango escrito dos veces


def test_good_packages_pass_and_the_maintainers_ones_are_not_looked_at():
    results = doctor.check_packages(RANGES, GOOD, {"torch": "", "numpy": ""})
    assert [result.key for result in results] == ["package.torch", "package.numpy", "package.jupyterlab"]
    assert all(result.status == "ok" and not result.remedy for result in results)


@pytest.mark.parametrize(
    ("installed", "imports", "status", "detail", "remedy"),
    [
        ({"torch": None}, {}, "error", "no está instalado", 'pip install "torch>=2.4"'),
        ({"torch": "2.3.1"}, {}, "error", "2.3.1 (hace falta >=2.4)", 'pip install "torch>=2.4"'),
        ({}, {"torch": "OSError: libc10.so"}, "error", "no se puede importar: OSError: libc10.so", "--force-reinstall"),
        ({"torch": "2.5.0a0+git"}, {}, "ok", "2.5.0a0+git", ""),
        ({"jupyterlab": "4.6.0"}, {}, "warning", "4.6.0 (hace falta <4.6,>=4.5)", "jupyterlab<4.6,>=4.5"),
        ({"jupyterlab": None}, {}, "warning", "no está instalado", "make env"),
    ],
)
def test_bad_package(installed, imports, status, detail, remedy):
    results = doctor.check_packages(RANGES, {k: v for k, v in (GOOD | installed).items() if v}, imports)
    name = "jupyterlab" if "jupyterlab" in installed else "torch"
    result = next(result for result in results if result.key == f"package.{name}")
    assert (result.status, detail in result.detail, remedy in result.remedy) == (status, True, True)
    assert len(only(results, "ok")) == 2 + (status == "ok")


def test_a_package_without_a_range_asks_for_none():
    """El paquete del curso se pide a sí mismo con sus extras, sin versión."""
    (result,) = doctor.check_packages(["torch[extra]"], GOOD, {"torch": ""})
    assert result.detail == GOOD["torch"]


@pytest.fixture
def broken(tmp_path):
    """Una carpeta con un torch falso que hace de todo menos importarse."""

    def write(code):
        (tmp_path / "torch.py").write_text(code, encoding="utf-8")
        return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

    return write


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise ImportError('libcudnn.so.9: no existe')", "ImportError: libcudnn.so.9: no existe"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os; os.abort()", "se cae (código -"),
    ],
)
def test_broken_torch_is_a_result_and_not_a_traceback(broken, monkeypatch, code, problem):
    monkeypatch.setenv("PYTHONPATH", broken(code)["PYTHONPATH"])
    imports = doctor.try_imports(["torch", "json"])
    torch = doctor.check_packages(["torch>=2.4"], GOOD, imports)[0]
    assert torch.status == "error" and problem in torch.detail and "--force-reinstall" in torch.remedy
    assert doctor.check_device(imports).status == "error"
    assert imports.get("json") == (None if "abort" in code else "")  # lo demás se mira igual


def test_the_report_does_not_need_torch(broken):
    result = run("--json", **broken("import os; os.abort()"))
    assert result.returncode == 1 and b"Traceback" not in result.stderr
    status = {check["key"]: check["status"] for check in json.loads(result.stdout)["checks"]}
    assert status["package.torch"] == status["device"] == "error"
    assert status["models"] == status["data"] == status["kernel"] == status["hub"] == "ok"


def test_slow_torch_is_a_warning_and_does_not_hold_the_report(broken, monkeypatch):
    monkeypatch.setattr(doctor, "SECONDS", 1.0)
    monkeypatch.setenv("PYTHONPATH", broken("import time; time.sleep(600)")["PYTHONPATH"])
    imports = doctor.try_imports(["json", "torch", "numpy"])
    assert imports == {"json": ""}
    result = doctor.check_device(imports)
    assert result.status == "warning" and "repite" in result.remedy


@pytest.mark.parametrize(
    ("device", "status", "shown"),
    [
        ([8], "ok", "CPU (8 de"),
        ([1], "warning", "CPU (1 de"),
        ([4, "GPU de prueba", "MPS"], "ok", "GPU de prueba, MPS, CPU"),
    ],
)
def test_device(device, status, shown):
    result = doctor.check_device({"torch": "", "device": device})
    assert result.status == status and shown in result.detail


# --- Memoria, disco, modelos y datos -----------------------------------------------------------------


def test_memory_that_cannot_be_read_is_a_warning(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    result = doctor.check_memory()
    assert (
        result.status == "warning" and "no se ha podido leer (ModuleNotFoundError)" in result.detail and result.remedy
    )


def test_memory_needed():
    assert doctor.check_memory(0).status == "ok"
    little = doctor.check_memory(10**6)
    assert little.status == "warning" and "Cierra programas" in little.remedy


@pytest.mark.parametrize(("key", "remedy"), [("temporary", "TMPDIR"), ("home", "Jupyter")])
def test_folder_without_space_or_that_is_not_there(tmp_path, key, remedy):
    assert doctor.check_folder(key, tmp_path, 0).status == "ok"
    for result in (doctor.check_folder(key, tmp_path, 10**9), doctor.check_folder(key, tmp_path / "no", 0 + 1)):
        assert result.status == "error" and remedy in result.remedy and str(tmp_path) in result.detail
    assert list(tmp_path.iterdir()) == []


def test_truncated_model_names_the_file_and_the_remedy(tmp_path, monkeypatch):
    assert doctor.check_models().status == "ok"
    source = Path(models.checkpoint("decoder", "mini"))
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 1000 if file.suffix == ".safetensors" else None])
    sources = {"decoder": str(tmp_path), "encoder": str(source)}
    monkeypatch.setitem(models.PROFILES, "mini", models.Profile("mini", sources))
    monkeypatch.setattr(models, "_CHECKPOINTS", tmp_path)
    result = doctor.check_models()
    assert result.status == "error" and "model.safetensors" in result.detail and "SHA-256" in result.detail
    assert result.remedy.startswith("Restáuralo con «git checkout") and "Restáuralo" not in result.detail


def test_every_text_of_the_course_is_in_the_list_of_hashes():
    """Si has cambiado un texto a propósito, pon su SHA-256 nuevo en course_utils/data/sha256.json."""
    texts = {path.name for path in doctor._DATA.iterdir() if path.suffix in {".jsonl", ".txt"}}
    assert set(json.loads((doctor._DATA / "sha256.json").read_text(encoding="utf-8"))) == texts
    assert doctor.check_data().status == "ok"


def test_altered_and_missing_data_are_named(tmp_path):
    shutil.copytree(doctor._DATA, tmp_path, dirs_exist_ok=True)
    lines = (tmp_path / "chistes.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "chistes.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")  # cortado entre dos líneas
    (tmp_path / "novela.txt").unlink()
    result = doctor.check_data(tmp_path)
    assert result.status == "error" and "git checkout" in result.remedy
    assert "chistes.jsonl" in result.detail and "novela.txt" in result.detail and "literarios" not in result.detail


# --- Núcleo y Hub ------------------------------------------------------------------------------------


def register(monkeypatch, tmp_path, argv):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))


def test_kernel_of_this_interpreter():
    assert doctor.check_kernel().status == "ok"


def test_kernel_of_another_interpreter_is_a_warning(tmp_path, monkeypatch):
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", tmp_path / "otro"], check=True
    )
    other = tmp_path / "otro" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    register(monkeypatch, tmp_path, [str(other), "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    packages = [path for path in sys.path if path.endswith("site-packages")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(packages))  # ve los mismos paquetes, pero es otro
    result = doctor.check_kernel()
    assert result.status == "warning" and "otro Python" in result.detail and str(other) in result.detail
    assert "make lab" in result.remedy and "ipykernel install" in result.remedy


def test_kernel_whose_interpreter_was_deleted_is_an_error(tmp_path, monkeypatch):
    register(monkeypatch, tmp_path, [str(tmp_path / "borrado" / "python"), "-m", "ipykernel_launcher"])
    result = doctor.check_kernel()
    assert result.status == "error" and "no arranca" in result.detail and "ipykernel install" in result.remedy


@pytest.fixture
def server():
    """Un servidor que contesta a HEAD con el código de la ruta; «/0» deja esperando."""

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            status = int(self.path.strip("/") or 200)
            if status:
                self.send_response(status)
                self.end_headers()
            else:
                gone.wait()

        def log_message(self, *args):
            pass

    gone, server = threading.Event(), HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    gone.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("path", "status"), [("", "ok"), ("/404", "ok"), ("/503", "warning"), ("/0", "warning")])
def test_hub_is_at_most_a_warning(server, online, monkeypatch, path, status):
    monkeypatch.setenv("HF_ENDPOINT", server + path)
    if path == "/0":  # no contesta nunca: la para el plazo
        monkeypatch.setattr(doctor, "SECONDS", 1.0)
    result = doctor.check_hub()
    assert result.status == status
    assert ("perfil completo" in result.remedy) == (status == "warning")


@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("ON", True), ("yes", True), ("True", True), ("0", False), ("", False), ("false", False)],
)
def test_offline_means_the_same_as_for_hugging_face(server, online, monkeypatch, value, offline):
    """«false» contaba como puesta."""
    monkeypatch.setenv("HF_ENDPOINT", server)
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert doctor.check_hub().detail == ("no se consulta: HF_HUB_OFFLINE está puesta" if offline else "se llega")


def test_offline_nothing_is_asked(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # aquí no contesta nadie
    assert doctor.check_hub().status == "ok"


# --- El informe ---------------------------------------------------------------------------------------


def test_results_are_frozen():
    with pytest.raises(FrozenInstanceError):
        doctor.Result("python", "ok", "3.11").status = "error"


def test_a_check_that_breaks_is_one_more_result(monkeypatch):
    def explode():
        raise RuntimeError("¡pum!")

    monkeypatch.setattr(doctor, "check_memory", explode)
    monkeypatch.setattr(doctor, "_output", lambda *_: ("", 0))
    result = next(result for result in doctor.diagnose() if result.key == "memory")
    assert result.status == "error" and "RuntimeError: ¡pum!" in result.detail and result.remedy


def test_report_has_a_mark_a_title_and_a_remedy():
    results = [
        doctor.Result("python", "ok", "3.11.7"),
        doctor.Result("package.torch", "error", "no está instalado", "Instálalo."),
        doctor.Result("hub", "warning", "no se llega", "No hace falta."),
    ]
    lines = doctor.render(results).splitlines()
    assert lines[:3] == ["✅ Python: 3.11.7", "❌ torch: no está instalado", "   Qué hacer: Instálalo."]
    assert lines[3].startswith("⚠️ Hub") and lines[-1].startswith("Arregla lo que lleva ❌")
    assert not doctor.ready(results) and doctor.ready([results[0], results[2]])
    assert doctor.render(results[:1]).endswith("Todo listo.")


def test_another_python_answers_with_accents_whatever_the_terminal(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert doctor._output(sys.executable, "print('Cálculo y años')") == (f"Cálculo y años{os.linesep}", 0)


def test_json_is_one_object_with_stable_keys_and_nothing_else():
    result = run("--json", PYTHONIOENCODING="ascii")
    report = json.loads(result.stdout)
    assert result.returncode == 0, [check for check in report["checks"] if check["status"] == "error"]
    assert set(report) == {"ok", "checks"} and report["ok"] is True
    assert all(set(check) == {"key", "status", "detail", "remedy"} for check in report["checks"])
    keys = [check["key"] for check in report["checks"]]
    fixed = ["python", "device", "memory", "temporary", "home", "models", "mediano", "data", "kernel", "hub"]
    assert [key for key in keys if not key.startswith("package.")] == fixed
    assert len(set(keys)) == len(keys) and "package.torch" in keys
    assert all(check["remedy"] for check in report["checks"] if check["status"] != "ok")


def test_a_windows_terminal_shows_words_instead_of_emojis():
    code = "from course_utils import doctor; import runpy\n"
    code += "doctor.diagnose = lambda: [doctor.Result('kernel', s, 'año', 'haz') for s in doctor.MARKS]\n"
    code += "runpy.run_module('course_utils', run_name='__main__')"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"}
    result = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, env=environ, check=False)
    lines = result.stdout.decode("cp1252").splitlines()
    assert result.returncode == 1 and result.stderr == b""
    assert lines[0::2][:3] == [f"[{word}] Núcleo de Jupyter: año" for word in ("bien", "aviso", "error")]
    assert lines[-1] == "Arregla lo que lleva [error] antes de la clase."
