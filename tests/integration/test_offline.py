"""Sin red: el lanzador que la quita y cuenta los intentos, y lo que hace el curso cuando no la hay."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from absent import missing

from tools import offline as launcher

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def isolated():
    """Las pruebas que necesitan el aislamiento se saltan donde no existe; en integración continua, fallan."""
    if reason := launcher.why_not():
        missing(f"aquí no se puede quitar la red: {reason}")


def offline(*command, timeout=120, **environment):
    """Ejecuta una orden con el lanzador; las variables que valen None se quitan."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    env = {name: value for name, value in env.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-m", "tools.offline", *command],
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python(code, **options):
    return offline(sys.executable, "-c", textwrap.dedent(code), **options)


# ---------------------------------------------------------------- el lanzador
def test_status_output_and_arguments_pass_through(isolated):
    done = python("import sys; print(sys.argv[1:]); print('aviso', file=sys.stderr); sys.exit(7)")
    assert (done.returncode, done.stdout, done.stderr) == (7, "[]\n", "aviso\n")
    done = offline(sys.executable, "-c", "import sys; print(sys.argv[1:])", "con espacio", "--opción")
    assert (done.returncode, done.stdout, done.stderr) == (0, "['con espacio', '--opción']\n", "")
    killed = python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.returncode == 128 + 9


def test_a_signal_reaches_the_command(isolated):
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *a: sys.exit(5)); print('ya', flush=True)"
    command = [sys.executable, "-m", "tools.offline", sys.executable, "-c", code + "; time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ya\n"
        process.terminate()
        assert process.wait(timeout=20) == 5


def test_without_a_command_it_explains_itself():
    done = offline()
    assert done.returncode == 2 and "tools.offline ORDEN" in done.stderr


@pytest.mark.parametrize("kind", ["no existe", "no se puede ejecutar"])
def test_a_command_that_cannot_run_is_said_without_a_traceback(tmp_path, kind):
    command = tmp_path / "orden"
    if kind != "no existe":
        command.write_text("esto no es un programa", encoding="utf-8")
    done = offline(str(command))
    assert done.returncode == 127
    assert f"No puedo ejecutar «{command}»" in done.stderr and "Traceback" not in done.stderr


def test_loopback_works_and_does_not_count(isolated):
    done = python("""
        import socket, threading
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            server = socket.socket(family); server.bind((address, 0)); server.listen()
            threading.Thread(target=lambda s=server: s.accept()[0].sendall(b"hola")).start()
            name = "localhost" if family == socket.AF_INET else address
            client = socket.create_connection((name, server.getsockname()[1]), timeout=5)
            print(client.recv(9).decode())
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hola\nhola\n", "")


ATTEMPTS = {
    "TCP": ("socket.create_connection(('192.0.2.1', 443), timeout=3)", "192.0.2.1:443"),
    "TCP por IPv6": ("socket.create_connection(('2001:db8::1', 443), timeout=3)", "2001:db8::1:443"),
    "UDP": ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'hola', ('192.0.2.1', 53))", "192.0.2.1:53"),
    "UDP por IPv6": (
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'hola', ('2001:db8::1', 53))",
        "2001:db8::1:53",
    ),
    "red local": ("socket.create_connection(('10.1.2.3', 80), timeout=3)", "10.1.2.3:80"),
    "multidifusión": ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'hola', ('224.0.0.251', 5353))", "224.0.0.251"),
    "DNS local": ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'hola', ('127.0.0.53', 53))", ""),
    "nombre": ("socket.getaddrinfo('huggingface.co', 443)", "huggingface.co"),
    "HTTP": ("__import__('urllib.request').request.urlopen('http://192.0.2.1/', timeout=3)", "192.0.2.1:80"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_every_kind_of_attempt_is_caught_although_the_command_hides_it(isolated, attempt):
    code, target = ATTEMPTS[attempt]
    done = python(f"import socket\ntry: {code}\nexcept OSError: pass\nprint('todo bien')")
    assert done.returncode == 1 and done.stdout == "todo bien\n"
    assert re.search(r"La orden intentó salir a la red (1 vez|[1-9]\d* veces)", done.stderr)
    if target:
        assert target in done.stderr and "<string>:2 <module>" in done.stderr  # a dónde llamó y desde qué línea


def test_the_status_of_a_command_that_fails_is_kept(isolated):
    done = python("import socket, sys\ntry: socket.create_connection(('192.0.2.1', 9))\nexcept OSError: sys.exit(3)")
    assert done.returncode == 3 and "intentó salir" in done.stderr


def test_an_attempt_of_a_compiled_program_is_caught(isolated):
    """bash abre él mismo /dev/tcp; curl, si está. Ninguno es Python."""
    done = offline("bash", "-c", "exec 3<>/dev/tcp/192.0.2.1/80 || true")
    assert done.returncode == 1 and "1 vez" in done.stderr and "No fue el código de Python" in done.stderr
    if shutil.which("curl"):
        done = offline("sh", "-c", "curl -s -m 3 http://192.0.2.1/; true")
        assert done.returncode == 1 and "intentó salir" in done.stderr


def test_an_attempt_of_a_compiled_library_is_caught(isolated, tmp_path):
    """La biblioteca con la que el Hub reparte los ficheros grandes está en Rust y no pasa por `socket`."""
    pytest.importorskip("hf_xet")
    code = """
        import hf_xet, os, sys, threading
        from huggingface_hub.utils._xet import get_xet_session
        threading.Timer(3, os._exit, [0]).start()  # si no, lo intenta durante minutos
        with get_xet_session().new_file_download_group(
            endpoint="http://192.0.2.1", token="x", token_expiry_unix_secs=9999999999
        ) as group:
            group.start_download_file(hf_xet.XetFileInfo("a" * 64, 10), sys.argv[1])
    """
    done = offline(sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "nada"))
    assert "intentó salir" in done.stderr and "No fue el código de Python" in done.stderr


def test_what_would_hide_an_attempt_is_removed(isolated):
    hidden = {"HTTP_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    done = python(
        "import os; print([os.environ.get(n) for n in ('HTTP_PROXY', 'https_proxy', 'HF_HUB_OFFLINE')])", **hidden
    )
    assert done.stdout == "[None, None, None]\n"


def test_the_sitecustomize_that_there_was_still_runs(isolated, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('el de antes')", encoding="utf-8")
    done = python("print('y la orden')", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "el de antes\nel de antes\ny la orden\n")  # el lanzador y la orden


def test_where_it_is_not_possible_it_says_so_and_ci_fails(monkeypatch, capfd):
    monkeypatch.setattr(launcher.sys, "platform", "darwin")
    monkeypatch.delenv("CI", raising=False)
    command = [sys.executable, "-c", "print('hola'); raise SystemExit(4)"]
    assert launcher.main(command) == 4
    out, err = capfd.readouterr()
    assert out == "hola\n" and "hace falta Linux" in err and "La ejecuto con red" in err
    monkeypatch.setenv("CI", "true")
    assert launcher.main(command) == 1
    out, err = capfd.readouterr()
    assert out == "" and "En integración continua es obligatorio" in err


def test_counters_of_the_kernel_are_read_by_name(monkeypatch, tmp_path):
    (tmp_path / "snmp").write_text("Ip: Uno OutNoRoutes\nIp: 5 3\nUdp: NoPorts Otro\nUdp: 2 9\n")
    (tmp_path / "snmp6").write_text("Ip6OutRequests \t8\nIp6OutNoRoutes \t4\n")
    monkeypatch.setattr(launcher, "Path", lambda *parts: tmp_path / parts[-1])
    assert launcher.attempts() == {"IPv4": 3, "IPv6": 4, "DNS local": 2}


# ---------------------------------------------------------------- el curso sin red
def write_notebook(path, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)
    return path


def nbval(path, **environment):
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    return offline(sys.executable, *arguments, "--nbval-kernel-startup-timeout=180", str(path), **environment)


def test_a_fresh_kernel_runs_and_its_attempts_are_caught(isolated, tmp_path):
    """Con la misma orden que `make test`: el cuaderno pasa y aun así el estado dice que no."""
    code = "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 443))\nexcept OSError:\n    pass"
    noisy = nbval(write_notebook(tmp_path / "inquieto.ipynb", code))
    assert noisy.returncode == 1 and "1 passed" in noisy.stdout
    assert "intentó salir a la red 1 vez" in noisy.stderr and "192.0.2.1:443" in noisy.stderr


def test_the_mini_profile_does_not_try(isolated, tmp_path):
    done = python(
        """
        from course_utils import jokes, models
        for role in ("decoder", "encoder"):
            models.load_model(role)
        jokes.load_jokes()
        """,
        CURSO_PERFIL=None, HF_HOME=str(tmp_path / "casa"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


LOADERS = re.compile(r"(?<!def )\b(checkpoint|load_model|load_jokes)\(|(?<!recordings\.)\bload\(")
RUNNER = """
import json, sys, time
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.showtraceback = lambda *args, **kwargs: None
for cells in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
    for code in cells:
        start = time.perf_counter()
        error = shell.run_cell(code).error_in_exec
        if error:
            break
    print("RESULTADO", json.dumps([type(error).__name__, str(error), time.perf_counter() - start]), flush=True)
"""


def test_completo_without_network_ends_in_one_error_in_spanish(isolated, tmp_path):
    """Los cargadores y la primera celda de cada cuaderno que carga algo, con `from_pretrained` a la vista."""
    jobs = [
        ["from course_utils.models import load_model; load_model('decoder')"],
        ["load_model('encoder')"],
        ["from course_utils.jokes import load_jokes; load_jokes()"],
    ]
    for path in NOTEBOOKS:
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        loads = (i for i, code in enumerate(cells) if LOADERS.search(code) and '"mini")' not in code)
        if (first := next(loads, None)) is not None:  # alguna de las de antes no carga nada, o solo los del curso
            jobs.append([*cells[:first], cells[first]])
    (tmp_path / "celdas.json").write_text(json.dumps(jobs), encoding="utf-8")
    home = tmp_path / "casa"
    environment = {"CURSO_PERFIL": "completo", "HF_HOME": str(home), "HF_HUB_CACHE": None, "HF_DATASETS_CACHE": None}
    done = offline(
        sys.executable, "-c", f"import os; os.chdir({str(ROOT / 'notebooks')!r})\n" + RUNNER, tmp_path / "celdas.json",
        timeout=400, MPLBACKEND="agg", **environment,
    )  # fmt: skip
    results = [json.loads(line[10:]) for line in done.stdout.splitlines() if line.startswith("RESULTADO ")]
    assert len(results) == len(jobs) == 12, done.stderr
    for kind, message, seconds in results:
        assert kind == "ValueError" and seconds < 10
        assert re.fullmatch(r"No he podido descargar '[^']+': no hay conexión con https://\S+ .* «mini».*", message)
    assert [str(path) for path in home.rglob("*") if path.is_file()] == []
    assert "Traceback" not in done.stderr and "Retrying" not in done.stderr
