"""Perfiles, puntos de control y sus errores."""

import json
import shutil
import socket
from copy import deepcopy

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer
from transformers.utils import logging

from course_utils import models
from course_utils.models import Profile, checkpoint, load_model


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Una copia del decodificador embebido que se puede romper y que el paquete toma por la suya."""
    monkeypatch.setattr(models, "_CHECKPOINTS", tmp_path)
    return shutil.copytree(checkpoint("decoder", "mini"), tmp_path / "con espacio y eñe")


@pytest.fixture
def mine(tmp_path, mini):
    """La carpeta de alguien que ha guardado un modelo: el embebido en trozos, y su tokenizador."""
    folder = tmp_path / "mis modelos" / "el de los chistes"
    for part in mini:
        part.save_pretrained(folder, **({"max_shard_size": "1MB"} if part is mini[0] else {}))
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 2
    return folder


def broken(directory):
    return Profile("roto", {"decoder": str(directory)})


def refused(directory, pattern, load=checkpoint):
    """El mensaje con el que no se admite una carpeta de alguien: nunca manda restaurar los modelos del curso."""
    with pytest.raises(ValueError, match=pattern) as caught:
        load("decoder", broken(directory))
    assert "git checkout" not in str(caught.value)
    return str(caught.value)


AUTO = {"decoder": AutoModelForCausalLM, "encoder": AutoModelForMaskedLM}
both = pytest.mark.parametrize("role", AUTO)


@both
def test_mini_loads_with_plain_hugging_face_classes_in_float32(role):
    model = AUTO[role].from_pretrained(checkpoint(role))
    tokenizer = AutoTokenizer.from_pretrained(checkpoint(role))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert len(tokenizer) == model.config.vocab_size
    assert [tokenizer.eos_token, tokenizer.pad_token, tokenizer.mask_token] == ["<|endoftext|>", "<|pad|>", "<mask>"]


def test_both_models_share_one_vocabulary():
    decoder, encoder = (AutoTokenizer.from_pretrained(checkpoint(role)) for role in AUTO)
    assert decoder.get_vocab() == encoder.get_vocab()
    text = "El ventero, que era socarrón, le dijo: «¿Qué tal, señor?»"
    ids = encoder(text).input_ids
    assert ids == [encoder.cls_token_id, *decoder(text).input_ids, encoder.sep_token_id]
    assert encoder(text, text).input_ids == ids + ids[1:]
    assert (decoder.padding_side, encoder.padding_side) == ("left", "right")


def test_the_encoder_fills_a_mask_and_looks_at_both_sides():
    model, tokenizer = load_model("encoder")
    assert type(model).__name__ == "BertForMaskedLM"
    with torch.no_grad():
        probs = [
            model(**tokenizer(text, return_tensors="pt")).logits[0, 3].softmax(-1)
            for text in ("En la<mask> de la iglesia", "En la<mask> de febrero")
        ]
    assert all(p.sum().item() == pytest.approx(1, abs=1e-4) for p in probs)
    assert tokenizer("En la<mask> de").input_ids[3] == tokenizer.mask_token_id
    assert (probs[0] - probs[1]).abs().sum() > 0.1  # lo que viene después cambia la respuesta


def test_load_model_is_ready_to_use(mini):
    model, tokenizer = mini
    assert not model.training and model.dtype == torch.float32 and model.device.type == "cpu"
    text = "¡Qué pingüino! —dijo el ñandú 🙂"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


@pytest.mark.parametrize("enabled", [True, False])
def test_loading_shows_no_progress_bar_and_leaves_them_as_they_were(capfd, enabled):
    (logging.enable_progress_bar if enabled else logging.disable_progress_bar)()
    try:
        load_model("decoder")
        assert logging.is_progress_bar_enabled() is enabled
    finally:
        logging.disable_progress_bar()
    assert capfd.readouterr().err == ""


@both
def test_mini_works_without_any_socket(monkeypatch, role):
    def refuse(*args, **kwargs):
        raise AssertionError("intento de conexión")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    load_model(role, "mini")


def test_environment_chooses_and_the_argument_wins(monkeypatch):
    monkeypatch.setenv("CURSO_PERFIL", "completo")
    assert models.get_profile().sources["decoder"] == "DeepESP/gpt2-spanish"
    assert models.get_profile().sources["encoder"] == "dccuchile/bert-base-spanish-wwm-cased"
    with pytest.raises(ValueError, match=r"No he podido descargar 'DeepESP/gpt2-spanish'"):  # las pruebas van sin red
        checkpoint("decoder")
    assert checkpoint("decoder", "mini").endswith("decoder")
    monkeypatch.setenv("CURSO_PERFIL", "")
    assert models.get_profile().name == "mini"


def test_unknown_names_list_the_valid_ones(monkeypatch):
    with pytest.raises(ValueError, match=r"'traductor'.*decoder"):
        checkpoint("traductor")
    with pytest.raises(ValueError, match=r"'jokes'.*decoder, encoder"):
        checkpoint("jokes", "completo")
    with pytest.raises(ValueError, match=r"\['mini'\].*mini, mediano, completo"):
        checkpoint("decoder", ["mini"])
    with pytest.raises(ValueError, match=r"'maxi'.*mini, mediano, completo.*CURSO_PERFIL"):
        checkpoint("decoder", "maxi")
    monkeypatch.setenv("CURSO_PERFIL", "enorme")
    with pytest.raises(ValueError, match=r"'enorme'.*mini, mediano, completo"):
        load_model("decoder")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "generation_config.json"])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ValueError, match=f"Falta el fichero {name}.*git checkout"):
        load_model("decoder", broken(copy))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("ours", [True, False])
def test_truncated_file_is_named(copy, monkeypatch, name, ours):
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    if not ours:
        (copy / "sha256.json").unlink()
        monkeypatch.undo()
    with pytest.raises(ValueError, match=f"{name}.*truncado.*{'git checkout' if ours else 'save_pretrained'}"):
        load_model("decoder", broken(copy))


def test_altered_weights_are_refused(copy):
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.safetensors.*alterado"):
        checkpoint("decoder", broken(copy))


@pytest.mark.parametrize("content", ["", "[1]", '{"config.json": nu', "ñ".encode("latin-1"), "{}"])
def test_broken_manifest_of_hashes_is_named(copy, content):
    (copy / "sha256.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"sha256\.json.*dañado.*git checkout"):
        checkpoint("decoder", broken(copy))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("value", ["fuera", None])
def test_a_manifest_that_forgets_a_file_checks_nothing_and_is_refused(copy, name, value):
    hashes = json.loads((copy / "sha256.json").read_text(encoding="utf-8")) | {name: value}
    if value:
        del hashes[name]
    (copy / "sha256.json").write_text(json.dumps(hashes))
    with pytest.raises(ValueError, match=rf"sha256\.json no dice el SHA-256 de {name}\. .*git checkout"):
        checkpoint("decoder", broken(copy))


def test_the_models_of_the_course_never_go_without_their_hashes(copy):
    (copy / "sha256.json").unlink()
    with pytest.raises(ValueError, match=r"Falta el fichero sha256\.json.*git checkout"):
        checkpoint("decoder", broken(copy))


def test_weights_without_parameters_are_not_replaced_by_random_ones(copy, monkeypatch):
    from safetensors.torch import load_file, save_file

    monkeypatch.undo()
    (copy / "sha256.json").unlink()
    weights = load_file(copy / "model.safetensors")
    weights.pop("transformer.h.3.attn.c_attn.weight")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    refused(copy, r"faltan parámetros \(transformer\.h\.3.*save_pretrained", load_model)


# ---------------------------------------------------------------- la carpeta de alguien
def test_a_model_saved_in_pieces_loads_like_the_whole_one(mine, mini):
    """Lo que hace `save_pretrained` con un modelo grande."""
    model, tokenizer = load_model("decoder", broken(mine))
    ids = tokenizer("Había una vez un", return_tensors="pt").input_ids
    with torch.no_grad():
        assert torch.equal(model(ids).logits, mini[0](ids).logits)
    assert not model.training and model.name_or_path == str(mine)


def test_it_is_float32_whatever_the_precision_it_was_saved_in(mine, mini):
    deepcopy(mini[0]).half().save_pretrained(mine)
    assert json.loads((mine / "config.json").read_text())["dtype"] == "float16"
    assert {p.dtype for p in load_model("decoder", broken(mine))[0].parameters()} == {torch.float32}


def piece(folder):
    return max(folder.glob("model-*-of-*.safetensors"))


@pytest.mark.parametrize("damage", ["falta", "truncado", "vacío"])
def test_a_piece_that_is_not_whole_is_named(mine, damage):
    name = piece(mine).name
    data = piece(mine).read_bytes()
    piece(mine).unlink()
    if damage != "falta":
        (mine / name).write_bytes(data[: len(data) // 2] if damage == "truncado" else b"")
    refused(mine, rf"{'Falta el fichero ' if damage == 'falta' else ''}{name}.*save_pretrained")


@pytest.mark.parametrize(
    "content", ['{"weight_map": {}}', '{"metadata": {}}', '{"weight_map": {"a": 1}}', '{"weight', "{}"]
)
def test_an_index_that_does_not_say_where_the_weights_are(mine, content):
    (mine / "model.safetensors.index.json").write_text(content)
    refused(mine, r"model\.safetensors\.index\.json.*truncado o dañado.*save_pretrained")


def test_an_old_index_beside_the_whole_weights_is_not_used(mine, mini):
    """`from_pretrained` prefiere el fichero entero; los trozos que sobran no tienen que estar."""
    mini[0].save_pretrained(mine)
    assert not list(mine.glob("model-*")) and (mine / "model.safetensors").is_file()
    (mine / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00001.safetensors"}}')
    load_model("decoder", broken(mine))


def test_hashes_of_a_model_in_pieces_are_checked_piece_by_piece(mine):
    hashes = {file.name: models.sha256(file) for file in mine.iterdir()}
    (mine / "sha256.json").write_text(json.dumps(hashes))
    assert checkpoint("decoder", broken(mine)) == str(mine)
    (mine / "sha256.json").write_text(json.dumps({k: v for k, v in hashes.items() if k != piece(mine).name}))
    refused(mine, f"no dice el SHA-256 de {piece(mine).name}")
    (mine / "sha256.json").write_text(json.dumps(hashes | {piece(mine).name: "0" * 64}))
    refused(mine, f"{piece(mine).name}.*alterado.*000000.*save_pretrained")


def test_config_of_another_kind_is_explained(mine):
    (mine / "config.json").write_text('{"nada": 1}')
    refused(mine, r"No he podido leer el modelo.*save_pretrained", load_model)


@pytest.mark.parametrize(
    ("gone", "pattern"),
    [
        ("config.json", r"Falta el fichero config\.json"),
        ("tokenizer*", r"Falta el tokenizador \(tokenizer\.json\)"),
        ("model*", r"Falta el fichero model\.safetensors"),  # también si solo hay pesos en pickle
    ],
)
def test_what_is_missing_is_named_and_can_be_saved_again(mine, gone, pattern):
    for file in mine.glob(gone):
        file.unlink()
    (mine / "pytorch_model.bin").write_bytes(b"pickle")
    refused(mine, rf"{pattern}.*save_pretrained")


def test_a_tokenizer_in_its_older_files_is_a_tokenizer(mine, mini):
    """GPT-2 y los suyos lo guardan en dos ficheros: el vocabulario y las fusiones."""
    (mine / "tokenizer.json").unlink()
    mini[1].backend_tokenizer.model.save(str(mine))
    assert (mine / "vocab.json").is_file()
    assert checkpoint("decoder", broken(mine)) == str(mine)


def test_other_json_files_only_have_to_be_readable(mine):
    """Un `special_tokens_map.json` vacío o una lista son normales; medio fichero, no."""
    (mine / "special_tokens_map.json").write_text("{}")
    (mine / "modules.json").write_text("[1, 2]")
    load_model("decoder", broken(mine))
    (mine / "modules.json").write_text("[1, 2")
    refused(mine, r"modules\.json.*truncado o dañado.*save_pretrained")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", ["{}", "[1]", "null"])
def test_a_configuration_that_says_nothing_is_damaged(mine, name, content):
    (mine / name).write_text(content)
    refused(mine, rf"{name}.*truncado o dañado.*save_pretrained")


def test_an_adapter_is_not_a_model_and_the_message_says_how_to_use_it(tmp_path, model):
    from peft import LoraConfig, PeftModel, get_peft_model

    folder = tmp_path / "adaptador"
    get_peft_model(deepcopy(model), LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)).save_pretrained(
        folder
    )
    assert f"peft.PeftModel.from_pretrained(modelo, {str(folder)!r})" in refused(folder, r"adaptador \(LoRA\)")
    PeftModel.from_pretrained(deepcopy(model), folder)  # y la receta vale
    shutil.copytree(checkpoint("decoder", "mini"), folder, dirs_exist_ok=True)
    refused(folder, "merge_and_unload")  # con un modelo al lado, from_pretrained cargaría otra cosa


def test_the_code_that_a_model_brings_is_never_executed(mine, tmp_path):
    (mine / "codigo.py").write_text(f"open({str(tmp_path / 'ejecutado')!r}, 'w')")
    names = {"AutoConfig": "codigo.Config", "AutoModelForCausalLM": "codigo.Model"}
    (mine / "config.json").write_text(json.dumps({"model_type": "raro", "auto_map": names}))
    refused(mine, "No he podido leer el modelo", load_model)
    assert not (tmp_path / "ejecutado").exists()


@pytest.mark.parametrize("new", [["<fin>"], ["<chiste>", "<fin>"]])
def test_tokens_added_without_making_room_for_them(mine, mini, new):
    model, tokenizer = map(deepcopy, mini)
    tokenizer.add_tokens(new)
    tokenizer.save_pretrained(mine)
    size = model.config.vocab_size
    last = size + len(new) - 1
    refused(mine, rf"llega hasta el id {last} y el modelo solo admite {size} tokens.*resize_token_emb", load_model)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(mine)
    model, tokenizer = load_model("decoder", broken(mine))
    assert model(tokenizer("<fin>", return_tensors="pt").input_ids).logits.shape[-1] == last + 1


def test_what_does_not_fit_in_memory_is_said_before_reading_it(mine, monkeypatch):
    numbers = sum(tensor.numel() for piece in mine.glob("*.safetensors") for tensor in load_file(piece).values())
    needed = 4 * numbers + 15 * (mine / "tokenizer.json").stat().st_size
    monkeypatch.setattr(models, "free_memory", lambda: needed)
    load_model("decoder", broken(mine))
    monkeypatch.setattr(models, "free_memory", lambda: 1 / 0)  # donde no se sabe cuánta queda, se intenta
    load_model("decoder", broken(mine))
    monkeypatch.setattr(models, "free_memory", lambda: needed - 1)
    refused(mine, r"no cabe en la memoria: hacen falta .* y quedan .*Cierra programas", load_model)
    (mine / "tokenizer.json").unlink()
    assert models._check_memory(mine, "") == 4 * numbers


@pytest.mark.parametrize("way", ["entera", "relativa", "personal"])
def test_a_mistyped_folder_does_not_exist_and_the_like_are_listed(mine, monkeypatch, way):
    monkeypatch.chdir(mine.parent)
    monkeypatch.setenv("HOME", str(mine.parent))
    monkeypatch.setenv("USERPROFILE", str(mine.parent))
    base = {"entera": str(mine.parent), "relativa": ".", "personal": "~"}[way]
    checkpoint("decoder", broken(f"{base}/{mine.name}"))  # sin la errata, va
    mine.with_name("el de los chites.txt").touch()  # se parece más, pero no es una carpeta
    for path in ("el de los chites", "el de los chites/dentro"):
        message = refused(
            f"{base}/{path}", rf"No existe la carpeta .*{path}: .*'el de los chites': el de los chistes\."
        )
        assert str(mine.parent.resolve()) in message and "descargar" not in message
    assert "se parecen" not in refused(f"{base}/zzz", "No existe la carpeta .*zzz. Corrige")


@pytest.mark.parametrize("name", ["a/b/c", "con espacios", "..", "carpeta/", "C:\\modelos\\uno"])
def test_what_cannot_be_a_name_of_the_hub_is_a_folder(tmp_path, monkeypatch, name):
    (tmp_path / "dentro").mkdir()
    monkeypatch.chdir(tmp_path / "dentro")
    refused(name, "Falta el fichero" if name == ".." else "No existe la carpeta .*«dueño/nombre»")


def test_a_name_like_those_of_the_hub_may_be_a_mistyped_folder(mine, monkeypatch):
    monkeypatch.chdir(mine.parents[1])
    mine.rename(mine.with_name("chistes"))
    message = refused("mis_modelos/chites", r"No he podido descargar 'mis_modelos/chites'.*en .* se parecen a 'mis_m")
    assert message.endswith(": mis modelos.")
    assert "se parecen" not in refused("nadie/zzz", r"No he podido descargar 'nadie/zzz'")


def test_a_folder_that_exists_wins_over_a_name_of_the_hub(mine, monkeypatch):
    monkeypatch.chdir(mine.parents[1])
    mine.rename("modelo")
    assert checkpoint("decoder", broken("modelo")) == "modelo"


def test_a_file_is_not_a_folder(mine):
    refused(mine / "config.json", rf"config\.json es un fichero\. Pon la carpeta .*{mine.name}\.")


# ---------------------------------------------------------------- el Hub y el paquete
def test_hub_without_network_says_how_to_go_on():
    with pytest.raises(ValueError, match=r"No he podido descargar .*sigue con el perfil «mini»"):
        load_model("decoder", Profile("falso", {"decoder": "nadie/este-modelo-no-existe"}))


def test_checkpoints_are_small_safe_and_described():
    root = models._CHECKPOINTS
    files = [f for f in root.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 60e6
    assert {f.suffix for f in files} <= {".json", ".safetensors", ".md"}
    assert {f.parent.name for f in files} == {root.name, "decoder", "encoder", "lstm"}
    assert {f.name for f in files if f.parent == root} == {"evaluacion.json", "mediano.md"}
    for directory in {f.parent for f in files} - {root}:
        hashes = json.loads((directory / "sha256.json").read_text(encoding="utf-8"))
        assert {f.name for f in directory.iterdir()} - set(hashes) == {"sha256.json", "README.md"}
        assert all(models.sha256(directory / name) == value for name, value in hashes.items())


@both
def test_weights_are_half_precision_on_disk(role):
    from safetensors import safe_open

    with safe_open(f"{checkpoint(role, 'mini')}/model.safetensors", framework="pt") as weights:
        assert {weights.get_tensor(k).dtype for k in weights.keys()} == {torch.float16}  # noqa: SIM118


def test_the_model_continues_in_spanish(mini):
    """«Había una vez» sigue con palabras de verdad: la mayoría están en el vocabulario común del propio texto."""
    model, tokenizer = mini
    from course_utils import decoding

    ids = tokenizer("Había una vez", return_tensors="pt").input_ids
    torch.manual_seed(0)
    transforms = [decoding.temperature(0.7), decoding.top_k(40)]
    out = decoding.generate(model, ids.repeat(8, 1), transforms=transforms, select=decoding.sample, max_new_tokens=80)
    words = " ".join(out.text(tokenizer, row).lower() for row in range(8)).split()
    frequent = (
        "de la que el en y a los se no un por con una su para es al lo como más del le las me él si mi ya era había"
    )
    share = sum(word.strip(".,;:¡!¿?—-") in frequent.split() for word in words) / len(words)
    assert share > 0.3  # en español escrito, entre un 35 y un 45 %
