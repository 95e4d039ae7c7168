"""El Hub de Hugging Face: descargar un repositorio entero, y decir en español qué ha fallado y qué hacer.

Lo que es del Hub se descarga una vez, entero, y se usa desde la carpeta de la caché: así las clases de Hugging Face
trabajan sin red, con la revisión que diga el perfil. Que en la caché haya una carpeta no quiere decir que esté entera:
otros programas bajan solo los ficheros que les hacen falta. Está entera si están todos los de la lista que da el Hub,
que ``huggingface_hub`` guarda al lado; sin esa lista se le pregunta, y sin red no se usa.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from pathlib import Path

_USE_MINI = 'O sigue con el perfil «mini», sin red: quita la variable CURSO_PERFIL o usa profile="mini".'
PATIENCE = 5  # segundos que se espera a que el Hub dé señales de vida
# De un modelo, solo esto: nada de pesos en otros formatos.
_PATTERNS = {"model": ["*.json", "*.txt", "*.model", "*.safetensors"], "dataset": None}
# Lo que tiene que haber: un fichero, por lo menos, de cada grupo.
_NEEDED = {
    "model": (
        ("config.json",),
        ("model.safetensors", "model.safetensors.index.json"),
        ("tokenizer.json", "vocab.*", "*.model"),
    ),
    "dataset": (("**/*.parquet", "**/*.csv", "**/*.json", "**/*.jsonl", "**/*.arrow"),),
}


def download(repo_id: str, revision: str | None = None, kind: str = "model") -> Path:
    """Carpeta con un repositorio del Hub: la de la caché si consta que está entera y, si no, recién completada.

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
        qué hacer. Sin red lo dice en menos de 10 segundos y no deja nada a medias en la caché. También si un fichero
        de la caché no mide lo que debe.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, HFValidationError, LocalEntryNotFoundError

    pulls = Path(constants.HF_HUB_CACHE, f"{kind}s--{repo_id.replace('/', '--')}", "refs/refs/pr").glob("*")
    for cached in [revision] if revision else [None, *(f"refs/pr/{pull.name}" for pull in sorted(pulls))]:
        with contextlib.suppress(CachedRepoTreeNotFoundError, LocalEntryNotFoundError, HFValidationError):
            if folder := _snapshot(repo_id, cached, kind, local_files_only=True):
                return _check_sizes(folder, repo_id, kind)
    try:
        if not hub_reachable(PATIENCE):
            raise ConnectionError
        with _impatient():
            folder = _snapshot(repo_id, revision, kind)
            if folder is None and kind == "model" and revision is None:
                from transformers.safetensors_conversion import get_conversion_pr_reference

                folder = _snapshot(repo_id, get_conversion_pr_reference(HfApi(), repo_id), kind)
    except Exception as error:
        raise ValueError(f"No he podido descargar {repo_id!r}: {_why(error)} {_USE_MINI}") from error
    if folder is None:
        wanted = "config.json, tokenizador y pesos en safetensors" if kind == "model" else "datos"
        raise ValueError(f"Al repositorio {repo_id!r} le falta alguna de estas cosas: {wanted}. {_USE_MINI}")
    return _check_sizes(folder, repo_id, kind)


def _snapshot(repo_id: str, revision: str | None, kind: str, **options) -> Path | None:
    """La carpeta de una revisión entera; ``None`` si el repositorio no tiene lo que hace falta.

    ``snapshot_download`` mira que estén todos los ficheros de la lista; pero si no la tiene, y el Hub no contesta o no
    se le pregunta, da la carpeta como esté (huggingface_hub, issue 4624). Aquí, sin lista es un
    ``CachedRepoTreeNotFoundError``.
    """
    from huggingface_hub import get_cached_repo_tree, snapshot_download

    options |= {"repo_type": kind, "revision": revision, "allow_patterns": _PATTERNS[kind]}
    folder = Path(snapshot_download(repo_id, **options))
    get_cached_repo_tree(repo_id, repo_type=kind, revision=folder.name)  # la carpeta se llama como el commit
    return folder if all(any(any(folder.glob(n)) for n in names) for names in _NEEDED[kind]) else None


def _check_sizes(folder: Path, repo_id: str, kind: str) -> Path:
    """La misma carpeta, si cada fichero que hay mide lo que dice la lista del Hub."""
    from huggingface_hub import get_cached_repo_tree

    for entry in get_cached_repo_tree(repo_id, repo_type=kind, revision=folder.name):
        file = folder / entry.path
        if file.is_file() and (found := file.stat().st_size) != entry.size:
            raise ValueError(
                f"El fichero {entry.path} de {folder} está truncado o alterado: mide {found} bytes y debería medir "
                f"{entry.size}. {repeat_remedy(folder)}"
            )
    return folder


def repeat_remedy(folder: Path) -> str:
    """Qué hacer con una carpeta de la caché que está dañada."""
    return f"Borra la carpeta {folder.parents[1]} y repite: se descargará otra vez."


def _why(error: BaseException) -> str:
    """Por qué falla una descarga y qué hacer. Las clases van por su nombre: cambian de biblioteca con la versión."""
    from huggingface_hub import constants

    chain: list = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    names = {kind.__name__ for e in chain for kind in type(e).__mro__}
    status = next((e.response.status_code for e in chain if hasattr(e, "response")), 0)
    if "HFValidationError" in names:
        return "no es un identificador del Hub, que tiene la forma «dueño/nombre». Corrígelo en el perfil."
    if constants.HF_HUB_OFFLINE:
        return "no está entero en la caché y HF_HUB_OFFLINE no deja usar la red. Quita esa variable y repite."
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
    if "CachedRepoTreeNotFoundError" in names:  # el Hub no ha dado la lista de ficheros, y en la caché hay algunos
        return "el Hub no contesta como debe, y sin él no se sabe si lo que hay en la caché está entero. Repite luego."
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
