"""Descargar del Hub: qué se guarda, qué se reutiliza y qué se dice cuando algo va mal.

Un Hub mudo no contesta nunca: si a algo le falta su plazo, la prueba se queda esperando y la para `timeout`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import datasets
import huggingface_hub
import pytest
import torch
from hub_server import Hub
from huggingface_hub import constants, file_download, hf_hub_download, snapshot_download
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    safetensors_conversion,
)

from course_utils import hub as hub_module
from course_utils import jokes
from course_utils.models import Profile, checkpoint, download, get_profile, hub_reachable, load_model

pytestmark = pytest.mark.timeout(120)
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
        GPT2LMHeadModel(gpt2).save_pretrained(folder / "4", max_shard_size="20KB")
        pieces = {file.name: file.read_bytes() for file in (folder / "4").iterdir()}
        made["en trozos"] = {**pieces, **{k: v for k, v in made["nuevo"].items() if k.startswith("tokenizer")}}
    lines = (jokes.DATA / "chistes.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    rows = [{**json.loads(line), "funny": 3} for line in lines]
    card = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n---\n"
    for start in (0, 20):
        datasets.Dataset.from_list(rows[start : start + 20]).to_parquet(folder / f"{start}.parquet")
    one, two = ((folder / f"{start}.parquet").read_bytes() for start in (0, 20))
    made["dos trozos"] = {"data/train-00000-of-00002.parquet": one, "data/train-00001-of-00002.parquet": two}
    made["dos trozos"]["README.md"] = card
    return {**made, f"datasets/{JOKES}": {"data/train-00000-of-00001.parquet": one, "README.md": card}}


@pytest.fixture
def hub(repos, tmp_path, monkeypatch):
    """El Hub de mentira, encendido, y una caché vacía en `hub.cache`; los plazos son de un segundo."""
    with Hub() as hub:
        for name, files in repos.items():
            if "/" in name:
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
        monkeypatch.setattr(hub_module, "PATIENCE", 1)
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


def test_what_is_in_the_hub_may_bring_json_of_any_kind(hub, repos):
    extra = {"modules.json": b"[1]", "special_tokens_map.json": b"{}", "notas.json": b"// no lo lee nadie"}
    hub.add(f"models/{DECODER}", {**repos[f"models/{DECODER}"], **extra})
    load_model("decoder", "completo")


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
    with pytest.raises(ValueError, match=r"no está entero en la caché y HF_HUB_OFFLINE.*Quita.*«mini»"):
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


# ---------------------------------------------------------------- lo que otros programas dejan a medias
def sizes():
    return [len(part) for part in jokes.load_jokes("completo").values()]


PARTIAL = {  # quién dejó en la caché uno de los dos trozos, y si hay lista de ficheros con que saberlo
    "hf_hub_download": lambda: hf_hub_download(JOKES, "data/train-00000-of-00002.parquet", repo_type="dataset"),
    "snapshot_download": lambda: snapshot_download(JOKES, repo_type="dataset", allow_patterns="data/train-00000*"),
}


@pytest.fixture
def two(hub, repos):
    """Los chistes, en dos trozos: 20 y 20."""
    hub.add(f"datasets/{JOKES}", repos["dos trozos"])
    return hub


@pytest.mark.parametrize("who", PARTIAL)
def test_one_shard_of_two_is_completed(two, who):
    """Con uno solo salían 14, 3 y 3, y no se decía nada."""
    PARTIAL[who]()
    two.requests.clear()
    assert sizes() == [28, 6, 6]
    assert len([line for line in two.downloads() if "/cdn/" in line]) == 1  # el otro no se baja otra vez
    two.__exit__()
    assert sizes() == [28, 6, 6]


@pytest.mark.parametrize("who", PARTIAL)
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("apagado", "no hay conexión"),
        ("sin permiso", "no está entero en la caché y HF_HUB_OFFLINE"),
        (503, "contesta 503: el problema es suyo|no contesta como debe, y sin él no se sabe"),
        ("calla", "se ha cortado o va demasiado lenta|no contesta como debe, y sin él no se sabe"),
    ],
)
def test_one_shard_of_two_is_never_taken_for_the_whole(two, who, how, message, monkeypatch):
    PARTIAL[who]()
    if how == "apagado":
        two.__exit__()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", how == "sin permiso")
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.3)
    two.faults.append(("/api/", how))
    with pytest.raises(ValueError, match=rf"No he podido descargar .*({message}).*«mini»"):
        sizes()


def test_a_whole_cache_without_a_list_is_checked_once_with_the_hub(two, repos):
    """Lo que dejaban las versiones de `huggingface_hub` que no guardaban la lista: está todo, y no se sabe."""
    for name in repos["dos trozos"]:
        hf_hub_download(JOKES, name, repo_type="dataset")
    two.requests.clear()
    assert sizes() == [28, 6, 6] and two.downloads() == []
    two.__exit__()
    assert sizes() == [28, 6, 6]


def test_a_file_of_another_size_is_also_seen_when_it_was_there_before_the_list(two):
    Path(PARTIAL["hf_hub_download"]()).resolve().write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"train-00000-of-00002\.parquet de .* truncado .*Borra la carpeta"):
        sizes()


@pytest.mark.parametrize("on", [True, False])
def test_a_model_in_pieces_with_one_missing_is_not_whole(hub, repos, on):
    hub.add(f"models/{DECODER}", repos["en trozos"])
    names = sorted(repos["en trozos"])
    last = max(name for name in names if name.startswith("model-"))
    assert sum(name.startswith("model-") for name in names) > 1
    for name in names:
        if name != last:
            hf_hub_download(DECODER, name)
    if on:
        hub.requests.clear()
        model, _ = load_model("decoder", "completo")
        assert len(hub.downloads()) == 1  # el que faltaba
        plain = AutoModelForCausalLM.from_pretrained(checkpoint("decoder", "completo"), use_safetensors=True)
        assert weight(model) == weight(plain)
    hub.__exit__()
    if on:
        assert weight(load_model("decoder", "completo")[0]) == weight(model)
    else:
        with pytest.raises(ValueError, match=r"No he podido descargar .* no hay conexión"):
            load_model("decoder", "completo")


@pytest.mark.parametrize("other", ["adapter_model.safetensors", "onnx/model.safetensors", "model.fp16.safetensors"])
def test_other_safetensors_are_not_the_weights(hub, repos, other):
    files = {k: v for k, v in repos[f"models/{DECODER}"].items() if k != "model.safetensors"}
    hub.add(f"models/{DECODER}", {**files, other: b"otra cosa"})
    pinned = Profile("propio", {"decoder": DECODER}, {"decoder": "main"})
    with pytest.raises(ValueError, match=r"le falta alguna de estas cosas: .*pesos en safetensors"):
        checkpoint("decoder", pinned)


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


@pytest.mark.parametrize("gone", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_repository_without_a_part_of_the_model_says_so(hub, repos, gone):
    hub.add(f"models/{DECODER}", {k: v for k, v in repos[f"models/{DECODER}"].items() if k != gone})
    with pytest.raises(ValueError, match=r"le falta alguna de estas cosas: config\.json, tokenizador y pesos.*«mini»"):
        download(DECODER, "main")


# ---------------------------------------------------------------- lo que va mal
FILES = "GET .*(/resolve/|/cdn/)"
FAULTS = {
    "no hay Hub": (".", "calla", "no hay conexión con http://127"),
    "portal": (".", "portal", "contesta algo que no es el Hub: .*portal de acceso"),
    "portal en los ficheros": ("HEAD .*/resolve/", "portal", "contesta algo que no es el Hub: .*portal de acceso"),
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


FETCH = {"decoder": lambda: checkpoint("decoder", "completo"), "jokes": lambda: str(download(JOKES, kind="dataset"))}


@pytest.mark.parametrize("what", FETCH)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_failure_has_its_remedy_and_the_next_try_works(hub, what, fault, monkeypatch):
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)  # las esperas entre reintentos
    pattern, kind, message = FAULTS[fault]
    if kind == "calla":
        for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
            monkeypatch.setattr(constants, name, 0.3)
    hub.faults.append((pattern, kind))
    with pytest.raises(ValueError, match=rf"No he podido descargar .*{message}.* «mini»") as caught:
        FETCH[what]()
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    assert [file.name for file in kept(hub) if "incomplete" in file.name or "tmp" in file.name] == []
    if "/api/" in pattern or pattern == ".":
        assert kept(hub) == []
    hub.faults.clear()
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 5)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 5)
    assert Path(FETCH[what]()).is_dir()


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


@pytest.mark.parametrize("what", FETCH)
def test_a_file_of_another_size_in_the_cache_is_named_and_can_be_replaced(hub, what):
    folder = Path(FETCH[what]())
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) == (5 if what == "decoder" else 2)
    for file in files:
        data = file.read_bytes()
        file.resolve().write_bytes(data[: len(data) // 2])
        found = rf"{file.name} de .* está truncado .*mide {len(data) // 2} bytes y debería medir {len(data)}\."
        with pytest.raises(ValueError, match=rf"{found} Borra la carpeta .*(models|datasets)--") as caught:
            FETCH[what]()
        if file != files[-1]:
            file.resolve().write_bytes(data)
    shutil.rmtree(re.search(r"Borra la carpeta (.*) y repite", str(caught.value))[1])  # lo que dice, y basta
    assert Path(FETCH[what]()).is_dir()


def test_damage_that_keeps_the_size_is_seen_on_reading(hub):
    folder = Path(checkpoint("decoder", "completo"))
    for name, pattern in {
        "model.safetensors": r"model\.safetensors.*truncado",
        "config.json": "No he podido leer",
    }.items():
        data = (folder / name).read_bytes()
        (folder / name).resolve().write_bytes(b'{"nada": 1}'.ljust(len(data)))
        with pytest.raises(ValueError, match=rf"{pattern}.*Borra la carpeta .*models--DeepESP"):
            load_model("decoder", "completo")
        (folder / name).resolve().write_bytes(data)
    file = next(download(JOKES, kind="dataset").rglob("*.parquet"))
    file.resolve().write_bytes(b"PAR1 roto".ljust(file.stat().st_size))
    with pytest.raises(ValueError, match=r"No he podido leer los datos .*Borra la carpeta .*datasets--mrm8488"):
        jokes.load_jokes("completo")


def test_a_hub_data_set_that_changed_is_refused(hub):
    hub.add(f"datasets/{JOKES}", {"train.jsonl": b'{"text": "hola"}\n'})
    with pytest.raises(ValueError, match=r"le faltan las columnas \['id', 'keywords'"):
        jokes.load_jokes("completo")


def test_names_that_are_not_in_the_hub(hub):
    with pytest.raises(ValueError, match="contesta 401: o no existe"):
        load_model("decoder", Profile("propio", {"decoder": "nadie/no-existe"}))
    for name in ("a/b/c", "con espacios", "dueño/nombre"):
        with pytest.raises(ValueError, match="no es un identificador del Hub"):
            download(name)


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
    unseen = []
    monkeypatch.setattr(threading, "excepthook", unseen.append)  # lo que un hilo dejaría en la pantalla
    assert hub_reachable()
    hub.faults.append((".", 503))
    assert hub_reachable()  # contesta, aunque mal
    hub.faults[:] = [(".", "calla")]
    assert not hub_reachable(timeout=0.5)
    hub.faults.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert not hub_reachable()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.__exit__()
    assert not hub_reachable()
    assert unseen == []


def test_a_dns_that_does_not_answer_does_not_keep_anyone_waiting(hub, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: hub.closing.wait())
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
    huggingface_hub.utils.close_session()
    assert not hub_reachable(timeout=0.5)
    waiting = set(threading.enumerate()) - {threading.main_thread()}
    assert waiting and all(thread.daemon for thread in waiting)  # ni al salir del programa


def test_requests_keep_their_own_time_limits(hub):
    """`_impatient` solo pone límite donde no lo hay, y lo quita al salir."""
    session = huggingface_hub.utils.get_session()
    before, seen = session.event_hooks, []
    with hub_module._impatient():
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
    code = "from course_utils import jokes, models\nprint(models.checkpoint('decoder'))\n"
    code += "print(jokes.download(models.get_profile().sources['jokes'], kind='dataset'))"
    for _ in range(2):  # la segunda, con el Hub apagado
        done = subprocess.run([sys.executable, "-c", code], **run)
        assert done.returncode == 0, done.stderr
        assert all(line.startswith(str(tmp_path / "casa")) for line in done.stdout.splitlines())
        model, data = map(Path, done.stdout.splitlines())
        assert (model / "model.safetensors").is_file() and list(data.rglob("*.parquet"))
        hub.__exit__()
