"""Perfiles y modelos: de un papel («decoder», «encoder») a un modelo y su tokenizador.

El perfil «mini» usa modelos pequeños y reales que viajan con el curso; «completo», los del Hub. La variable de
entorno ``CURSO_PERFIL`` elige y un argumento manda más que ella. Nunca se cambia de perfil sin decirlo.

Lo que es del Hub se descarga una vez, entero, y se usa desde la carpeta de la caché: así las clases de Hugging Face
trabajan sin red, con la revisión que diga el perfil, y los fallos de la descarga salen todos de aquí, en español.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_CHECKPOINTS = Path(__file__).parent / "checkpoints"
_CLASSES = {"decoder": "AutoModelForCausalLM", "encoder": "AutoModelForMaskedLM"}
_REQUIRED = ("config.json", "model.safetensors", "tokenizer.json")
_USE_MINI = 'O sigue con el perfil «mini», sin red: quita la variable CURSO_PERFIL o usa profile="mini".'
_RESTORE = "Restáuralo con «git checkout -- course_utils/checkpoints» o vuelve a instalar el paquete."


@dataclass(frozen=True)
class Profile:
    """De dónde sale cada cosa: ``sources`` lleva del papel a un directorio o a un identificador del Hub.

    ``revisions`` fija, para los papeles que quieras, la revisión del repositorio del Hub (el *commit*, una etiqueta o
    una rama); los demás usan ``main``. El perfil «completo» no fija ninguna.
    """

    name: str
    sources: Mapping[str, str]
    revisions: Mapping[str, str] = field(default_factory=dict)


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
    """Directorio que cualquier ``from_pretrained`` acepta.

    Se comprueba antes de devolverlo: ni falta un fichero ni está truncado. Un modelo del Hub se descarga la primera
    vez; después se usa la caché, sin red.

    Parameters
    ----------
    role : str
        «decoder» o «encoder».
    profile : str or Profile, optional
        «mini», «completo» o un ``Profile`` propio.

    Raises
    ------
    ValueError
        Si el papel o el perfil no existen, si el directorio está incompleto o dañado (dice qué fichero) o si el modelo
        no se puede descargar (dice por qué y qué hacer).

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
    folder = download(source, chosen.revisions.get(role))
    for file in sorted(folder.glob("*.safetensors")):
        _check_safetensors(file, _remedy(source, folder))
    return str(folder)


def _is_local(source: str) -> bool:
    """Un directorio de esta máquina y no un identificador del Hub."""
    return Path(source).is_absolute() or Path(source).exists()


def _remedy(source: str, folder: Path) -> str:
    """Cómo arreglar una carpeta dañada: la del curso se restaura; la de la caché del Hub se descarga otra vez."""
    return _RESTORE if _is_local(source) else f"Borra la carpeta {folder.parents[1]} y repite: se descargará otra vez."


def load_model(role: str, profile: str | Profile | None = None):
    """Carga ``(modelo, tokenizador)``: en modo evaluación, float32, en CPU y solo desde safetensors.

    Es ``AutoModelFor….from_pretrained(checkpoint(role))`` con las opciones del curso.

    Raises
    ------
    ValueError
        Lo mismo que ``checkpoint`` y, además, si los ficheros no forman un modelo entero.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    folder = checkpoint(role, profile)
    source = str(get_profile(profile).sources[role])
    import torch
    import transformers

    try:
        with _quiet():
            model, info = getattr(transformers, _CLASSES[role]).from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise ValueError(
            f"No he podido leer el modelo de {folder}: {error}. {_remedy(source, Path(folder))}"
        ) from error
    if info["missing_keys"]:
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise ValueError(
            f"A los pesos de {folder} les faltan parámetros ({missing}, …). {_remedy(source, Path(folder))}"
        )
    model.name_or_path = source  # un adaptador guardado dirá de qué modelo del Hub es, y no de qué carpeta
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


def _check_safetensors(file: Path, remedy: str = _RESTORE) -> None:
    import safetensors

    try:
        with safetensors.safe_open(file, framework="np"):
            pass
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"El fichero {file.name} de {file.parent} está truncado o dañado ({error}). {remedy}"
        ) from error


def download(repo_id: str, revision: str | None = None, kind: str = "model") -> Path:
    """Carpeta con un repositorio del Hub: la de la caché si ya está entero y, si no, recién descargada.

    De un modelo solo se bajan la configuración, el tokenizador y los pesos en safetensors. Si no los tiene en ese
    formato, se usan los que prepara el robot de conversión de Hugging Face, igual que hace ``from_pretrained``.

    Parameters
    ----------
    repo_id : str
        Identificador en el Hub, como ``DeepESP/gpt2-spanish``.
    revision : str, optional
        *Commit*, etiqueta o rama; sin ella, ``main``. Lo que ya está en la caché no se actualiza.
    kind : str
        «model» o «dataset».

    Raises
    ------
    ValueError
        Si no se puede descargar: dice por qué (sin red, sin permiso, no existe, fallo del Hub, conexión cortada…) y
        qué hacer. Sin red lo dice en menos de 10 segundos y no deja nada a medias en la caché.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    patterns = ["*.json", "*.txt", "*.model", "*.safetensors"] if kind == "model" else None

    def fetch(revision, **options):
        folder = snapshot_download(repo_id, repo_type=kind, revision=revision, allow_patterns=patterns, **options)
        return Path(folder) if _is_complete(Path(folder), kind) else None

    pulls = Path(constants.HF_HUB_CACHE, f"{kind}s--{repo_id.replace('/', '--')}", "refs/refs/pr").glob("*")
    for cached in [revision] if revision else [None, *(f"refs/pr/{pull.name}" for pull in sorted(pulls))]:
        with contextlib.suppress(LocalEntryNotFoundError, ValueError):
            if folder := fetch(cached, local_files_only=True):
                return folder
    try:
        if not constants.HF_HUB_OFFLINE and not hub_reachable(timeout=5):
            raise ConnectionError
        with _impatient():
            folder = fetch(revision)
            if folder is None and kind == "model" and revision is None:
                from transformers.safetensors_conversion import get_conversion_pr_reference

                folder = fetch(get_conversion_pr_reference(HfApi(), repo_id))
    except Exception as error:
        raise ValueError(f"No he podido descargar {repo_id!r}: {_why(error)} {_USE_MINI}") from error
    if folder is None:
        wanted = "config.json, tokenizador y pesos en safetensors" if kind == "model" else "datos"
        raise ValueError(f"Al repositorio {repo_id!r} le falta alguna de estas cosas: {wanted}. {_USE_MINI}")
    return folder


def _is_complete(folder: Path, kind: str) -> bool:
    """Lo que tiene que haber; que cada fichero esté entero lo asegura la caché, que los renombra al acabar."""
    groups = [("config.json",), ("*.safetensors",), ("tokenizer.json", "vocab.*", "*.model")]
    if kind == "dataset":
        groups = [("*.parquet", "*.csv", "*.json", "*.jsonl", "*.arrow")]
    return all(any(file.is_file() for name in names for file in folder.rglob(name)) for names in groups)


def _why(error: BaseException) -> str:
    """Por qué falla una descarga y qué hacer. Las clases van por su nombre: cambian de biblioteca con la versión."""
    from huggingface_hub import constants

    chain: list = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    names = {kind.__name__ for e in chain for kind in type(e).__mro__}
    status = next((e.response.status_code for e in chain if hasattr(e, "response")), 0)
    if "OfflineModeIsEnabled" in names:
        return "no está en la caché y HF_HUB_OFFLINE no deja usar la red. Quita esa variable y repite."
    if status in (401, 403):
        return (
            f"el Hub contesta {status}: o no existe o es privado o de acceso restringido. Comprueba el nombre, pide "
            "acceso en su página del Hub e identifícate con «hf auth login»."
        )
    if status == 404:
        return "el Hub contesta 404: el nombre o la revisión no existen. Comprueba los dos en el perfil."
    if status == 429:
        return "el Hub contesta 429: demasiadas peticiones. Espera unos minutos, o entra con «hf auth login», y repite."
    if status >= 500:
        return f"el Hub contesta {status}: el problema es suyo. Repite dentro de un rato."
    if any(isinstance(e, OSError) and e.errno == errno.ENOSPC for e in chain):
        return f"no queda sitio en el disco de {constants.HF_HUB_CACHE}. Libera espacio y repite."
    if type(error) is ConnectionError or names & {"ConnectError", "ConnectTimeout", "ProxyError"}:
        return f"no hay conexión con {constants.ENDPOINT}. Comprueba la red y repite."
    if names & {"TimeoutException", "TransportError"} or "Consistency check" in str(error):
        return "la conexión se ha cortado o va demasiado lenta. Repite: los ficheros que llegaron enteros se conservan."
    if names & {"FileMetadataError", "JSONDecodeError"}:
        return (
            f"en {constants.ENDPOINT} contesta algo que no es el Hub: quizá la red tiene un portal de acceso. Abre una "
            "página en el navegador para identificarte y repite."
        )
    if "HFValidationError" in names:
        return "no es un identificador del Hub, que tiene la forma «dueño/nombre». Corrígelo en el perfil."
    return f"{type(error).__name__}: {str(error).rstrip('.')}."


@contextlib.contextmanager
def _impatient():
    """Un límite de tiempo en las peticiones al Hub que no lo tienen: sin él, un servidor mudo las deja esperando."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    def limit(request):
        limits = request.extensions.get("timeout") or {}
        patience = constants.HF_HUB_ETAG_TIMEOUT
        request.extensions["timeout"] = {k: limits.get(k) or patience for k in ("connect", "read", "write", "pool")}

    session = get_session()
    before = session.event_hooks
    session.event_hooks = {**before, "request": [*before["request"], limit]}
    try:
        yield
    finally:
        session.event_hooks = before


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
