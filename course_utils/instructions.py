"""Las instrucciones del curso, pares de orden y respuesta, y la plantilla de chat que hace ejemplos de ellas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from . import scoring
from ._jsonl import DATA, as_dataset, read_jsonl
from .finetuning import IGNORED
from .models import Profile, get_profile

_TYPES = {"id": int, "instruction": str, "answer": str, "topic": str}
COLUMNS = tuple(_TYPES)
_TEST = 0.2  # el resto, para entrenar
_SEED = 2026
# La plantilla de los modelos de chat Gemma 3, en lo que aquí hace falta, y la del modelo pequeño, más corta.
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ message['content'] }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
GEMMA_END = "<end_of_turn>"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|asistente|>' if message['role'] == 'assistant' else '<|usuario|>' }}{{ message['content'] }}<|fin|>"
    "{% endfor %}{% if add_generation_prompt %}<|asistente|>{% endif %}"
)
MARKS = ("<|usuario|>", "<|asistente|>", "<|fin|>")
END = MARKS[-1]


def load_instructions(profile: str | Profile | None = None):
    """Las instrucciones en dos particiones, siempre las mismas y con la misma mezcla de temas.

    Parameters
    ----------
    profile : str or Profile, optional
        Todos los perfiles usan las del curso.

    Returns
    -------
    datasets.DatasetDict
        ``train`` y ``test`` (80 y 20 %), con ``id``, ``instruction``, ``answer`` y ``topic``.

    Raises
    ------
    ValueError
        Si el perfil no existe o el fichero está dañado (dice qué línea y qué hacer).

    Notes
    -----
    Se enseña en la sesión 07.
    """
    from datasets import DatasetDict

    get_profile(profile)
    parts = _split(read_jsonl(DATA / "instrucciones.jsonl", _TYPES, needed=("instruction", "answer")))
    return DatasetDict({name: as_dataset(rows, _TYPES) for name, rows in parts.items()})


def _split(rows: list[dict]) -> dict[str, list[dict]]:
    """Las dos particiones: de cada tema, la misma parte a cada una."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["topic"]].append(row)
    rng = np.random.default_rng(_SEED)
    parts = {"train": [], "test": []}
    for group in groups.values():
        order, size = rng.permutation(len(group)), round(_TEST * len(group))
        parts["test"] += [group[i] for i in order[:size]]
        parts["train"] += [group[i] for i in order[size:]]
    return {name: [part[i] for i in rng.permutation(len(part))] for name, part in parts.items()}


def chat_prompt(tokenizer, instruction: str) -> str:
    """La orden con la plantilla del tokenizador, hasta donde empieza la respuesta.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    asked = [{"role": "user", "content": instruction}]
    return tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)


def chat_examples(rows, tokenizer, *, end: str, answers_only: bool = True) -> list[dict[str, list[int]]]:
    """Cada par, con la plantilla, en ids; y sus etiquetas, que valen −100 en la orden.

    Parameters
    ----------
    rows : iterable of mapping
        Con ``instruction`` y ``answer``.
    tokenizer : PreTrainedTokenizer
        Con ``chat_template``.
    end : str
        El token que cierra un turno: cuenta en las etiquetas, para que se aprenda a parar.
    answers_only : bool
        Si no, cuenta también la orden.

    Returns
    -------
    list of dict
        ``input_ids`` y ``labels``, sin desplazar, de cada par.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    close, made = tokenizer.convert_tokens_to_ids(end), []
    for row in rows:
        prompt = tokenizer(chat_prompt(tokenizer, row["instruction"]), add_special_tokens=False).input_ids
        answer = [*tokenizer(row["answer"], add_special_tokens=False).input_ids, close]
        made.append(
            {
                "input_ids": prompt + answer,
                "labels": ([IGNORED] * len(prompt) if answers_only else prompt) + answer,
            }
        )
    return made


def answer_nll(model, examples: Sequence[Mapping]) -> list[tuple[float, int]]:
    """De cada ejemplo, la sorpresa de su respuesta, cierre incluido (nats), y cuántos tokens tiene.

    Notes
    -----
    Se enseña en la sesión 07.
    """
    found = []
    for example in examples:
        length = sum(label != IGNORED for label in example["labels"])
        ids = torch.tensor([example["input_ids"]], device=model.device)
        found.append((-scoring.token_logprobs(model, ids, last=length).sum().item(), length))
    return found
