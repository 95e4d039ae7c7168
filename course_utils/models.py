"""Perfiles y modelos: de un papel («decoder», «encoder», «lstm») a un modelo y su tokenizador.

El perfil «mini» usa modelos pequeños y reales que viajan con el curso; «mediano», un LLM de verdad que llega en un
paquete de pip; «completo», los del Hub. La variable de entorno ``CURSO_PERFIL`` elige y un argumento manda más que
ella. Nunca se cambia de perfil sin decirlo.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import math
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import mediano
from ._files import sha256
from ._machine import free_memory, in_gb, out_of_memory
from .hub import download, hub_reachable, repeat_remedy

__all__ = [
    "PROFILES", "Profile", "checkpoint", "download", "get_profile", "hub_reachable", "load_model", "sha256",
]  # fmt: skip

_CHECKPOINTS = Path(__file__).parent / "checkpoints"
_CLASSES = {"decoder": "AutoModelForCausalLM", "encoder": "AutoModelForMaskedLM", "lstm": "AutoModelForCausalLM"}
_RESTORE = "Restáuralo con «git checkout -- course_utils/checkpoints» o vuelve a instalar el paquete."
_SAVE = "Guarda en ella el modelo y el tokenizador, los dos con save_pretrained, o cópiala otra vez."


@dataclass(frozen=True)
class Profile:
    """De dónde sale cada cosa: ``sources`` lleva del papel a un directorio, a «pip:paquete» o a un nombre del Hub.

    ``revisions`` fija, para los papeles que quieras, la revisión del repositorio del Hub (el *commit*, una etiqueta o
    una rama); los demás usan ``main``. El perfil «completo» no fija ninguna.
    """

    name: str
    sources: Mapping[str, str]
    revisions: Mapping[str, str] = field(default_factory=dict)


PROFILES = {
    "mini": Profile("mini", {role: str(_CHECKPOINTS / role) for role in _CLASSES}),
    "mediano": Profile("mediano", {"decoder": mediano.PIP + mediano.GEMMA.package}),
    "completo": Profile(
        "completo",
        {
            "decoder": "DeepESP/gpt2-spanish",
            "encoder": "dccuchile/bert-base-spanish-wwm-cased",
            "jokes": "mrm8488/CHISTES_spanish_jokes",
        },
    ),
}


def get_profile(profile: str | Profile | None = None) -> Profile:
    """El perfil pedido; sin argumento, el de ``CURSO_PERFIL``; sin ella, «mini».

    Raises
    ------
    ValueError
        Si no existe: el mensaje enumera los que hay.
    """
    if isinstance(profile, Profile):
        return profile
    name = profile if profile is not None else os.environ.get("CURSO_PERFIL") or "mini"
    if not isinstance(name, str) or name not in PROFILES:
        raise ValueError(
            f"No conozco el perfil {name!r}. Los perfiles son: {', '.join(PROFILES)}. "
            "Elige uno con la variable de entorno CURSO_PERFIL o con el argumento profile."
        )
    return PROFILES[name]


def checkpoint(role: str, profile: str | Profile | None = None) -> str:
    """Directorio que cualquier ``from_pretrained`` acepta.

    Se comprueba antes de devolverlo: ni falta un fichero ni está truncado. Un modelo del Hub se descarga la primera
    vez; después se usa la caché, sin red.

    Parameters
    ----------
    role : str
        «decoder», «encoder» o «lstm».
    profile : str or Profile, optional
        «mini», «mediano», «completo» o un ``Profile`` propio.

    Raises
    ------
    ValueError
        Si el papel o el perfil no existen, si el directorio está incompleto o dañado (dice qué fichero) o si el modelo
        no se puede descargar (dice por qué y qué hacer).

    Notes
    -----
    Se enseña en la sesión 02.
    """
    return str(_find(role, profile)[0])


def _find(role: str, profile: str | Profile | None) -> tuple[Path, str, str]:
    """La carpeta de un papel, ya comprobada; de dónde sale y qué hacer si está dañada."""
    chosen = get_profile(profile)
    roles = [r for r in chosen.sources if r in _CLASSES]
    if role not in roles:
        raise ValueError(
            f"No conozco el papel {role!r} en el perfil {chosen.name!r}. Los que hay son: {', '.join(roles)}."
            + (' Pide el del perfil mini: profile="mini".' if role in PROFILES["mini"].sources else "")
        )
    source = os.path.expanduser(chosen.sources[role])
    if source == mediano.PIP + mediano.GEMMA.package:
        folder = mediano.model_folder()
        remedy = mediano.damaged_remedy(folder)
        sure = _check_hashes(folder, remedy)
    elif _is_local(source):
        folder = Path(source)
        remedy = _RESTORE if _is_ours(folder) else _SAVE
        _check_exists(folder)
        sure = _check_hashes(folder, remedy)
    else:
        folder = _download(source, chosen.revisions.get(role))
        remedy = repeat_remedy(folder)
        sure = [file.name for file in folder.iterdir()]
    _check_parts(folder, sure, remedy)
    return folder, source, remedy


def _is_local(source: str) -> bool:
    """Una carpeta de esta máquina, exista o no; lo demás tiene la forma de un identificador del Hub."""
    return Path(source).exists() or not re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", source)


def _is_ours(folder: Path) -> bool:
    return folder.resolve().is_relative_to(_CHECKPOINTS.resolve())


def _download(source: str, revision: str | None) -> Path:
    """La carpeta de la caché del Hub; si no se puede, y el nombre se parece al de una carpeta, también lo dice."""
    try:
        return download(source, revision)
    except ValueError as error:
        if near := _similar(Path(source)):
            raise ValueError(f"{error} Y si querías una carpeta de este ordenador, {near}.") from error
        raise


def _check_exists(folder: Path) -> None:
    """Que la carpeta de un modelo local exista; si no, cuál hay que se le parezca."""
    if folder.is_file():
        raise ValueError(f"{folder} es un fichero. Pon la carpeta en la que está: {folder.parent}.")
    if not folder.is_dir():
        near = _similar(folder)
        raise ValueError(
            f"No existe la carpeta {folder}{near and f': {near}'}. Corrige el nombre en el perfil; uno del Hub sería "
            "«dueño/nombre»."
        )


def _similar(path: Path) -> str:
    """Qué se parece a una ruta que no existe, en la última carpeta de la ruta que sí; «» si nada."""
    there = next((parent for parent in path.parents if parent.is_dir()), path)
    wanted = path.parts[len(there.parts)] if there != path else ""
    try:
        near = difflib.get_close_matches(wanted, [p.name for p in there.iterdir() if p.is_dir()])
    except OSError:  # no existe o no se puede leer
        near = []
    return f"en {there.resolve()} se parecen a {wanted!r}: {', '.join(near)}" if near else ""


def load_model(role: str, profile: str | Profile | None = None):
    """Carga ``(modelo, tokenizador)``: en modo evaluación, float32, en CPU y solo desde safetensors.

    Es ``AutoModelFor….from_pretrained(checkpoint(role))`` con las opciones del curso.

    Raises
    ------
    ValueError
        Lo mismo que ``checkpoint`` y, además, si los ficheros no forman un modelo entero o no cabe en la memoria (dice
        cuánta hace falta).

    Notes
    -----
    Se enseña en la sesión 02.
    """
    folder, source, remedy = _find(role, profile)
    needed = _check_memory(folder, remedy)
    import torch
    import transformers

    from . import recurrent  # noqa: F401 (transformers no trae ninguna LSTM: así conoce la del curso)

    try:
        with _quiet():
            model, info = getattr(transformers, _CLASSES[role]).from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        if out_of_memory(error):  # quien la limita no siempre lo dice antes
            raise ValueError(_no_memory(folder, needed)) from error
        raise ValueError(f"No he podido leer el modelo de {folder}: {error}. {remedy}") from error
    if info["missing_keys"]:
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise ValueError(f"A los pesos de {folder} les faltan parámetros ({missing}, …). {remedy}")
    _check_vocabulary(model, tokenizer, folder)
    model.name_or_path = source  # un adaptador guardado dirá de qué modelo del Hub es, y no de qué carpeta
    return model.eval(), tokenizer


def _check_vocabulary(model, tokenizer, folder: Path) -> None:
    """Que el modelo tenga una fila para cada token; si no, el primer texto con uno de los que sobran fallaría."""
    from ._validate import vocabulary_size

    rows, last = vocabulary_size(model), max(tokenizer.get_vocab().values())
    if last >= rows:
        raise ValueError(
            f"El tokenizador de {folder} llega hasta el id {last} y el modelo solo admite {rows} tokens. Si le has "
            "añadido tokens, llama a model.resize_token_embeddings(len(tokenizer)) y guarda los dos otra vez."
        )


@contextlib.contextmanager
def _quiet():
    """Sin barra de progreso al leer del disco: dura un instante y ensuciaría las salidas del cuaderno."""
    from transformers.utils import logging

    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()


def _check_hashes(folder: Path, remedy: str) -> dict[str, str]:
    """Los SHA-256 de ``sha256.json``, ya comprobados. Los modelos del curso lo llevan siempre; los demás, si quieren.

    Ha de decir el de los pesos, la configuración y el tokenizador: una lista a la que le falten no comprueba nada.
    """
    manifest = folder / "sha256.json"
    if not manifest.is_file() and not _is_ours(folder):
        return {}
    hashes = _read_json(manifest, remedy)
    required = ["config.json", "tokenizer.json", *_weight_files(folder, remedy)]
    if missing := [name for name in required if not isinstance(hashes.get(name), str)]:
        raise ValueError(f"El fichero {manifest} no dice el SHA-256 de {', '.join(missing)}. {remedy}")
    for name, expected in hashes.items():
        _check_file(folder / name, remedy)
        if (found := sha256(folder / name)) != expected:
            raise ValueError(
                f"El fichero {name} de {folder} está truncado o alterado: su SHA-256 empieza por {found[:12]} y "
                f"debería empezar por {str(expected)[:12]}. {remedy}"
            )
    return hashes


def _check_parts(folder: Path, sure: Collection[str], remedy: str) -> None:
    """Que estén la configuración, los pesos y el tokenizador, y que cada fichero se pueda leer.

    De los de ``sure`` ya consta que son los que deben ser; los pesos se miran siempre.
    """
    if (folder / "adapter_config.json").is_file():
        raise ValueError(
            f"En {folder} hay un adaptador (LoRA), que no es un modelo entero. Ponlo sobre su modelo con "
            f"peft.PeftModel.from_pretrained(modelo, {str(folder)!r}), o guarda en otra carpeta el resultado de "
            "merge_and_unload()."
        )
    _check_file(folder / "config.json", remedy)
    weights = _weight_files(folder, remedy)
    for name in weights:
        _check_file(folder / name, remedy)
    if not any(any(folder.glob(name)) for name in ("tokenizer.json", "vocab.*", "*.model")):
        raise ValueError(f"Falta el tokenizador (tokenizer.json) en {folder}. {remedy}")
    for file in sorted(folder.glob("*.json")):
        if file.name not in sure:
            _read_json(file, remedy, needed=file.name in ("config.json", "tokenizer.json"))
    for name in weights:
        _check_safetensors(folder / name, remedy)


def _weight_files(folder: Path, remedy: str) -> list[str]:
    """Los ficheros de los pesos: uno o, en un modelo grande, los trozos que enumera su índice."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file() or not index.is_file():
        return ["model.safetensors"]
    names = _read_json(index, remedy).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise ValueError(
            f"El fichero {index.name} de {folder} está truncado o dañado: no dice dónde están los pesos. {remedy}"
        )
    return sorted(set(names.values()))


def _check_file(file: Path, remedy: str) -> None:
    if not file.is_file():
        raise ValueError(f"Falta el fichero {file.name} en {file.parent}. {remedy}")


def _read_json(file: Path, remedy: str, *, needed: bool = True) -> dict:
    """Lo que hay en un fichero JSON; si ``needed``, ha de ser un objeto que no esté vacío."""
    _check_file(file, remedy)
    try:
        data, whole = json.loads(file.read_text(encoding="utf-8")), True
    except ValueError:  # JSON cortado o que no es UTF-8
        data, whole = None, False
    if not whole or (needed and not (isinstance(data, dict) and data)):
        raise ValueError(f"El fichero {file.name} de {file.parent} está truncado o dañado. {remedy}")
    return data


def _check_safetensors(file: Path, remedy: str) -> None:
    import safetensors

    try:
        with safetensors.safe_open(file, framework="np"):
            pass
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"El fichero {file.name} de {file.parent} está truncado o dañado ({error}). {remedy}"
        ) from error


def _check_memory(folder: Path, remedy: str) -> int:
    """Que quepan el modelo y su tokenizador. Devuelve los bytes que hacen falta.

    Cada parámetro ocupa 4 bytes (float32), estén como estén guardados; leer un tokenizador, unas quince veces lo que su
    fichero (medido con el de 262 144 tokens: 0,45 GB para 33 MB).
    """
    import safetensors

    needed = 15 * (folder / "tokenizer.json").stat().st_size if (folder / "tokenizer.json").is_file() else 0
    for name in _weight_files(folder, remedy):
        with safetensors.safe_open(folder / name, framework="np") as file:
            needed += sum(4 * math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    free = needed
    with contextlib.suppress(Exception):  # si no se sabe cuánta queda, se intenta
        free = free_memory()
    if free < needed:
        raise ValueError(_no_memory(folder, needed, f" y quedan {in_gb(free)}"))
    return needed


def _no_memory(folder: Path, needed: int, free: str = "") -> str:
    return (
        f"El modelo de {folder} no cabe en la memoria: hacen falta {in_gb(needed)}{free}. Cierra programas y otros "
        "cuadernos, o usa Colab."
    )
