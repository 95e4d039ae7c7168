"""Perfiles y modelos: de un papel («decoder», «encoder») a un modelo y su tokenizador.

El perfil «mini» usa modelos pequeños y reales que viajan con el curso; «completo», los del Hub. La variable de
entorno ``CURSO_PERFIL`` elige y un argumento manda más que ella. Nunca se cambia de perfil sin decirlo.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CHECKPOINTS = Path(__file__).parent / "checkpoints"
_CLASSES = {"decoder": "AutoModelForCausalLM", "encoder": "AutoModelForMaskedLM"}
_REQUIRED = ("config.json", "model.safetensors", "tokenizer.json")
_RESTORE = "Restáuralo con «git checkout -- course_utils/checkpoints» o vuelve a instalar el paquete."


@dataclass(frozen=True)
class Profile:
    """De dónde sale cada cosa: ``sources`` lleva del papel a un directorio o a un identificador del Hub."""

    name: str
    sources: Mapping[str, str]


PROFILES = {
    "mini": Profile("mini", {role: str(_CHECKPOINTS / role) for role in ("decoder", "encoder")}),
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
    """Directorio o identificador del Hub que cualquier ``from_pretrained`` acepta.

    Los directorios se comprueban antes de devolverlos: ni falta un fichero ni está truncado.

    Parameters
    ----------
    role : str
        «decoder» o «encoder».
    profile : str or Profile, optional
        «mini», «completo» o un ``Profile`` propio.

    Raises
    ------
    ValueError
        Si el papel o el perfil no existen, o si el directorio está incompleto o dañado (dice qué fichero).

    Notes
    -----
    Se enseña en la sesión 02.
    """
    chosen = get_profile(profile)
    roles = [r for r in chosen.sources if r in _CLASSES]
    if role not in roles:
        raise ValueError(
            f"No conozco el papel {role!r} en el perfil {chosen.name!r}. Los que hay son: {', '.join(roles)}."
        )
    source = str(chosen.sources[role])
    if _is_local(source):
        _check_directory(Path(source))
    return source


def _is_local(source: str) -> bool:
    """Un directorio de esta máquina y no un identificador del Hub."""
    return Path(source).is_absolute() or Path(source).exists()


def load_model(role: str, profile: str | Profile | None = None):
    """Carga ``(modelo, tokenizador)``: en modo evaluación, float32, en CPU y solo desde safetensors.

    Es ``AutoModelFor….from_pretrained(checkpoint(role))`` con las opciones del curso.

    Raises
    ------
    ValueError
        Lo mismo que ``checkpoint`` y, con un modelo del Hub, si no se puede descargar.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    source = checkpoint(role, profile)
    import torch
    import transformers

    local = _is_local(source)
    try:
        with _quiet() if local else contextlib.nullcontext():
            model, info = getattr(transformers, _CLASSES[role]).from_pretrained(
                source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:
        if local:
            raise ValueError(f"No he podido leer el modelo de {source}: {error}. {_RESTORE}") from error
        if not isinstance(error, OSError):
            raise
        raise ValueError(
            f"No he podido cargar {source!r} ({type(error).__name__}). Si no tienes red, sigue con el perfil «mini»: "
            'quita la variable CURSO_PERFIL o usa profile="mini".'
        ) from error
    if info["missing_keys"]:
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise ValueError(f"A los pesos de {source} les faltan parámetros ({missing}, …). {_RESTORE}")
    return model.eval(), tokenizer


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


def _check_directory(directory: Path) -> None:
    """Comprueba que están todos los ficheros y, si hay ``sha256.json``, que son los que deben ser."""
    manifest = directory / "sha256.json"
    hashes = _read_json(manifest) if manifest.is_file() else {}
    for name in dict.fromkeys([*_REQUIRED, *hashes]):
        file = directory / name
        if not file.is_file():
            raise ValueError(f"Falta el fichero {name} en {directory}. {_RESTORE}")
        if name in hashes and (found := sha256(file)) != hashes[name]:
            raise ValueError(
                f"El fichero {name} de {directory} está truncado o alterado: su SHA-256 empieza por {found[:12]} "
                f"y debería empezar por {hashes[name][:12]}. {_RESTORE}"
            )
    for file in sorted(directory.glob("*.json")):
        if file.name not in hashes:  # el hash ya dice que los demás están enteros
            _read_json(file)
    _check_safetensors(directory / "model.safetensors")


def _read_json(file: Path) -> dict:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # JSON cortado o que no es UTF-8
        data = None
    if not isinstance(data, dict) or not data:
        raise ValueError(f"El fichero {file.name} de {file.parent} está truncado o dañado. {_RESTORE}")
    return data


def _check_safetensors(file: Path) -> None:
    import safetensors

    try:
        with safetensors.safe_open(file, framework="np"):
            pass
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"El fichero {file.name} de {file.parent} está truncado o dañado ({error}). {_RESTORE}"
        ) from error


def hub_reachable(timeout: float = 3) -> bool:
    """Si el Hub (o lo que diga ``HF_ENDPOINT``) contesta algo antes de ``timeout`` segundos; no lanza errores.

    Con ``HF_HUB_OFFLINE=1`` no lo intenta y dice que no.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    answers = []

    def ask():
        with contextlib.suppress(Exception):  # sin ruta, sin DNS, sin certificado, sin permiso…: no contesta
            answers.append(get_session().head(constants.ENDPOINT, timeout=timeout))

    # En un hilo, porque buscar el nombre en un DNS que no contesta no tiene límite de tiempo.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return bool(answers)


def sha256(file: Path) -> str:
    """SHA-256 de un fichero, en hexadecimal."""
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
