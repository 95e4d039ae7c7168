"""Descargar del Hub: qué se guarda, qué se reutiliza y qué se dice cuando algo va mal."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import datasets
import huggingface_hub
import pytest
import torch
from hub_server import Hub
from huggingface_hub import constants, file_download, hf_hub_download
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    safetensors_conversion,
)

from course_utils import jokes, models
from course_utils.models import Profile, checkpoint, download, get_profile, hub_reachable, load_model

ROOT = Path(__file__).resolve().parents[2]
DECODER, ENCODER, JOKES = get_profile("completo").sources.values()


def save(model, role, folder):
    """Los ficheros con los que un modelo está en el Hub: los suyos y los del tokenizador del curso."""
    model.save_pretrained(folder)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    for name in ("tokenizer.json", "tokenizer_config.json"):
        files[name] = Path(checkpoint(role, "mini"), name).read_bytes()
    return {**files, "README.md": b"# Modelo\n", "tf_model.h5": b"no se usa", "pytorch_model.bin": b"no se usa"}


@pytest.fixture(scope="module")
def repos(tmp_path_factory):
    """Modelos diminutos (dos versiones del decodificador) y unos chistes en Parquet, como en el Hub."""
    small = dict(vocab_size=len(AutoTokenizer.from_pretrained(checkpoint("decoder", "mini"))))
    gpt2 = GPT2Config(**small, n_embd=4, n_layer=1, n_head=1, n_positions=32)
    bert = BertConfig(
        **small, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4,
        max_position_embeddings=32,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp("modelos")
        made = {
            f"models/{DECODER}": save(GPT2LMHeadModel(gpt2), "decoder", folder / "1"),
            "nuevo": save(GPT2LMHeadModel(gpt2), "decoder", folder / "2"),
            f"models/{ENCODER}": save(BertForMaskedLM(bert), "encoder", folder / "3"),
        }
    lines = (jokes._DATA / "chistes.jsonl").read_text(encoding="utf-8").splitlines()[:20]
    rows = [{**json.loads(line), "funny": 3} for line in lines]
    datasets.Dataset.from_list(rows).to_parquet(folder / "train.parquet")
    card = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n---\n"
    data = {"data/train-00000-of-00001.parquet": (folder / "train.parquet").read_bytes(), "README.md": card}
    return {**made, f"datasets/{JOKES}": data}


@pytest.fixture
def hub(repos, tmp_path, monkeypatch):
    """El Hub de mentira, encendido, y una caché vacía en `hub.cache`; los plazos son de un segundo."""
    with Hub() as hub:
        for name, files in repos.items():
            if name != "nuevo":
                hub.add(name, files)
        hub.cache = tmp_path / "hub"
        for name, value in {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(hub.cache),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_ETAG_TIMEOUT": 1,
            "HF_HUB_DOWNLOAD_TIMEOUT": 1,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", hub.url)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
        yield hub


def weight(model):
    return model.state_dict()["transformer.wte.weight"][0].tolist()


def kept(hub):
    """Los ficheros que hay en la caché, sin los candados."""
    return [p for p in hub.cache.rglob("*") if p.is_file() and ".locks" not in p.parts]


LOAD = {
    "decoder": lambda profile="completo": load_model("decoder", profile),
    "encoder": lambda profile="completo": load_model("encoder", profile),
    "jokes": lambda profile="completo": jokes.load_jokes(profile),
}
everything = pytest.mark.parametrize("what", LOAD)


# ---------------------------------------------------------------- lo que va bien
def test_models_are_downloaded_without_what_is_not_used(hub):
    model, tokenizer = load_model("decoder", "completo")
    assert not model.training and model.dtype == torch.float32 and tokenizer("Había").input_ids
    assert model.name_or_path == DECODER
    folder = Path(checkpoint("decoder", "completo"))
    assert folder.is_dir() and {f.name for f in folder.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert type(load_model("encoder", "completo")[0]).__name__ == "BertForMaskedLM"


def test_jokes_are_downloaded_and_split(hub):
    data = jokes.load_jokes("completo")
    assert {name: len(part) for name, part in data.items()} == {"train": 14, "validation": 3, "test": 3}
    assert tuple(data["train"].column_names) == jokes.COLUMNS and set(data["test"]["funny"]) == {3}


@everything
def test_the_second_time_nothing_is_asked_and_the_hub_may_be_gone(hub, what):
    first = LOAD[what]()
    assert len(hub.downloads()) == len(set(hub.downloads())) > 0
    hub.requests.clear()
    again = LOAD[what]()
    assert hub.requests == []
    hub.__exit__()
    LOAD[what]()
    assert len(first) == len(again)


@everything
def test_offline_mode_uses_the_cache_and_says_what_is_missing(hub, what, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"no está en la caché y HF_HUB_OFFLINE.*Quita.*«mini»"):
        LOAD[what]()
    assert hub.requests == [] and kept(hub) == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    LOAD[what]()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    LOAD[what]()


def test_a_pinned_revision_is_the_one_that_loads(hub, repos):
    old = hub.repos[f"models/{DECODER}"].refs["main"]
    new = hub.add(f"models/{DECODER}", repos["nuevo"])
    hub.repos[f"models/{DECODER}"].refs["v1"] = old
    pinned = {name: Profile("propio", {"decoder": DECODER}, {"decoder": name}) for name in (old, "v1", new)}
    weights = {name: weight(load_model("decoder", profile)[0]) for name, profile in pinned.items()}
    assert weights[old] == weights["v1"] != weights[new] == weight(load_model("decoder", "completo")[0])
    plain = AutoModelForCausalLM.from_pretrained(checkpoint("decoder", pinned[old]), use_safetensors=True)
    assert weight(plain) == weights[old]
    hub.__exit__()
    assert weight(load_model("decoder", pinned["v1"])[0]) == weights[old]


def test_what_is_cached_stays_although_the_hub_moves_on(hub, repos):
    before = weight(load_model("decoder", "completo")[0])
    hub.add(f"models/{DECODER}", repos["nuevo"])
    assert weight(load_model("decoder", "completo")[0]) == before


def test_jokes_can_be_pinned(hub, repos):
    old = hub.repos[f"datasets/{JOKES}"].refs["main"]
    hub.add(f"datasets/{JOKES}", {"README.md": b"# Sin datos\n"})
    with pytest.raises(ValueError, match="le falta alguna de estas cosas: datos"):
        jokes.load_jokes("completo")
    assert len(jokes.load_jokes(Profile("propio", {"jokes": JOKES}, {"jokes": old}))["train"]) == 14


def test_a_cache_that_others_left_half_done_is_completed(hub):
    """`from_pretrained` solo baja lo que una clase necesita: aquí falta el tokenizador."""
    for name in ("config.json", "model.safetensors"):
        hf_hub_download(DECODER, name)
    load_model("decoder", "completo")
    assert len([line for line in hub.downloads() if "/cdn/" in line]) == 1  # los pesos no se bajan otra vez


def test_without_safetensors_it_uses_the_converted_ones(hub, repos, monkeypatch):
    """El repositorio solo tiene pickle; el robot de Hugging Face propuso los mismos pesos en safetensors."""
    files = repos[f"models/{DECODER}"]
    hub.repos.clear()
    name = f"models/{DECODER}"
    main = hub.add(name, {k: v for k, v in files.items() if k != "model.safetensors"})
    hub.add(name, files, ref="refs/pr/7")
    hub.repos[name].pulls[7] = ("Adding `safetensors` variant of this model", "SFconvertbot")
    assert hub.repos[name].refs["main"] == main
    model, _ = load_model("decoder", "completo")
    assert Path(checkpoint("decoder", "completo"), "model.safetensors").is_file()
    assert not any("pytorch_model" in line for line in hub.downloads())
    hub.__exit__()
    assert weight(load_model("decoder", "completo")[0]) == weight(model)


def test_without_any_safetensors_it_says_so(hub, repos, monkeypatch):
    monkeypatch.setattr(safetensors_conversion, "spawn_conversion", lambda *args: None)  # no sabe convertirlo
    hub.repos.clear()
    hub.add(f"models/{DECODER}", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with pytest.raises(ValueError, match=r"No he podido descargar .*«mini»"):
        load_model("decoder", "completo")
    pinned = Profile("propio", {"decoder": DECODER}, {"decoder": "main"})
    with pytest.raises(ValueError, match=r"le falta alguna de estas cosas: config\.json, tokenizador y pesos"):
        load_model("decoder", pinned)


# ---------------------------------------------------------------- lo que va mal
FILES = "GET .*(/resolve/|/cdn/)"
FAULTS = {
    "no hay Hub": (".", "calla", "no hay conexión con http://127"),
    "portal": (".", "portal", "contesta algo que no es el Hub: .*portal de acceso"),
    "500": ("/api/", 500, "contesta 500: el problema es suyo"),
    "503": ("/api/", 503, "contesta 503: el problema es suyo"),
    "503 al preguntar por un fichero": ("HEAD .*/resolve/", 503, "contesta 503: el problema es suyo"),
    "503 en un fichero": (FILES, 503, "contesta 503: el problema es suyo"),
    "404": ("/api/", 404, "contesta 404: el nombre o la revisión no existen"),
    "404 en un fichero": (FILES, 404, "contesta 404"),
    "401": ("/api/", 401, "contesta 401: .* privado .*hf auth login"),
    "403": ("/api/", 403, "contesta 403: .* restringido.*pide acceso.*hf auth login"),
    "429": ("/api/.*/revision/", 429, "contesta 429: demasiadas peticiones. Espera"),
    "el Hub se queda mudo": ("/api/", "calla", "se ha cortado o va demasiado lenta. Repite"),
    "el árbol se queda mudo": ("/tree/", "calla", "se ha cortado o va demasiado lenta. Repite"),
    "un fichero se queda mudo": (FILES, "calla", "se ha cortado o va demasiado lenta. Repite"),
    "se corta": (FILES, "corta", "se ha cortado o va demasiado lenta. Repite: .* se conservan"),
    "llega de menos": (FILES, "de menos", "se ha cortado o va demasiado lenta. Repite"),
}


@pytest.mark.parametrize("what", ["decoder", "jokes"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_failure_has_its_remedy_and_the_next_try_works(hub, what, fault, monkeypatch):
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)  # las esperas entre reintentos
    pattern, kind, message = FAULTS[fault]
    if kind == "calla":
        for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
            monkeypatch.setattr(constants, name, 0.3)
    hub.faults.append((pattern, kind))
    start = time.perf_counter()
    with pytest.raises(ValueError, match=rf"No he podido descargar .*{message}.* «mini»") as caught:
        LOAD[what]()
    assert time.perf_counter() - start < 30  # con los plazos de un segundo de estas pruebas
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    assert [file.name for file in kept(hub) if "incomplete" in file.name or "tmp" in file.name] == []
    if "/api/" in pattern or pattern == ".":
        assert kept(hub) == []
    hub.faults.clear()
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 5)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 5)
    assert len(LOAD[what]()) > 0


def test_what_arrived_whole_is_not_downloaded_again(hub, monkeypatch):
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    hub.faults.append(("GET .*/cdn/", "corta"))
    with pytest.raises(ValueError, match="se ha cortado"):
        load_model("decoder", "completo")
    hub.faults.clear()
    hub.requests.clear()
    load_model("decoder", "completo")
    assert [line for line in hub.downloads() if "/cdn/" not in line] == []


def test_a_short_cut_is_resumed_where_it_was(hub, monkeypatch):
    """Un solo corte no llega a verse: huggingface_hub pide lo que falta."""
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: hub.faults.clear())
    hub.faults.append(("GET .*/cdn/", "corta"))
    load_model("decoder", "completo")
    assert len([line for line in hub.downloads() if "/cdn/" in line]) == 2


@everything
def test_a_download_left_half_done_is_not_taken_for_whole(hub, what, monkeypatch):
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    hub.faults.append(("GET .*/cdn/", "corta"))
    with pytest.raises(ValueError, match="se ha cortado"):
        LOAD[what]()
    hub.__exit__()
    with pytest.raises(ValueError, match="no hay conexión"):
        LOAD[what]()


def test_damaged_weights_in_the_cache_are_named_and_can_be_replaced(hub):
    file = Path(checkpoint("decoder", "completo"), "model.safetensors")
    data = file.read_bytes()
    file.resolve().write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"model\.safetensors.*truncado.*Borra la carpeta .*models--DeepESP"):
        load_model("decoder", "completo")
    file.with_name("config.json").resolve().write_text('{"nada": 1}')
    file.resolve().write_bytes(data)
    with pytest.raises(ValueError, match=r"No he podido leer el modelo.*Borra la carpeta .*models--DeepESP"):
        load_model("decoder", "completo")


def test_damaged_data_in_the_cache_are_named(hub):
    file = next(download(JOKES, kind="dataset").rglob("*.parquet"))
    file.resolve().write_bytes(b"PAR1 roto")
    with pytest.raises(ValueError, match=r"No he podido leer los datos .*Borra la carpeta .*datasets--mrm8488"):
        jokes.load_jokes("completo")


def test_a_hub_data_set_that_changed_is_refused(hub):
    hub.add(f"datasets/{JOKES}", {"train.jsonl": b'{"text": "hola"}\n'})
    with pytest.raises(ValueError, match=r"le faltan las columnas \['id', 'keywords'"):
        jokes.load_jokes("completo")


@pytest.mark.parametrize("name", ["nadie/no-existe", "a/b/c", "con espacios"])
def test_names_that_are_not_in_the_hub(hub, name):
    message = "contesta 401: o no existe" if name == "nadie/no-existe" else "no es un identificador del Hub"
    with pytest.raises(ValueError, match=message):
        load_model("decoder", Profile("propio", {"decoder": name}))


def test_a_revision_that_does_not_exist(hub):
    with pytest.raises(ValueError, match="contesta 404: el nombre o la revisión no existen"):
        load_model("decoder", Profile("propio", {"decoder": DECODER}, {"decoder": "v99"}))


def test_a_full_disk_is_named(hub, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_download, "http_get", full)
    with pytest.raises(ValueError, match="no queda sitio en el disco"):
        load_model("decoder", "completo")


# ---------------------------------------------------------------- si el Hub contesta
def test_hub_reachable(hub, monkeypatch):
    assert hub_reachable()
    hub.faults.append((".", 503))
    assert hub_reachable()  # contesta, aunque mal
    hub.faults[:] = [(".", "calla")]
    start = time.perf_counter()
    assert not hub_reachable(timeout=0.5) and time.perf_counter() - start < 3
    hub.faults.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert not hub_reachable()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.__exit__()
    assert not hub_reachable()


def test_a_dns_that_does_not_answer_does_not_keep_anyone_waiting(hub, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: hub.closing.wait(30))
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
    huggingface_hub.utils.close_session()
    start = time.perf_counter()
    assert not hub_reachable(timeout=0.5) and time.perf_counter() - start < 3


def test_requests_keep_their_own_time_limits(hub):
    """`_impatient` solo pone límite donde no lo hay, y lo quita al salir."""
    session = huggingface_hub.utils.get_session()
    before, seen = session.event_hooks, []
    with models._impatient():
        hooks = session.event_hooks["request"]
        session.event_hooks = {"request": [*hooks, lambda request: seen.append(request.extensions["timeout"])]}
        session.get(hub.url, timeout=None)
        session.get(hub.url, timeout=7)
    assert [set(limits.values()) for limits in seen] == [{1}, {7}]
    assert session.event_hooks == before


# ---------------------------------------------------------------- en un proceso de verdad
def test_a_fresh_process_with_the_environment_variables(hub, tmp_path):
    """Lo mismo que hará quien use el perfil «completo»: variables de entorno y ningún parche."""
    environment = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "HF_HUB_CACHE")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "casa"), "CURSO_PERFIL": "completo"}
    environment |= {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    run = dict(env=environment, capture_output=True, text=True, timeout=120, check=False)
    code = "from course_utils import jokes, models; from transformers import AutoModelForCausalLM, AutoTokenizer\n"
    code += "folder = models.checkpoint('decoder'); AutoTokenizer.from_pretrained(folder)\n"
    code += "AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)\n"
    code += "print(len(models.load_model('encoder')), len(jokes.load_jokes()['train']))"
    done = subprocess.run([sys.executable, "-c", code], **run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 14"
    count = len(hub.requests)
    hub.__exit__()
    code = "from course_utils import models; print(models.checkpoint('decoder'))"
    done = subprocess.run([sys.executable, "-c", code], **run)
    assert done.returncode == 0 and done.stdout.startswith(str(tmp_path / "casa")), done.stderr
    assert len(hub.requests) == count
