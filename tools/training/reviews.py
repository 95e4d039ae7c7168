"""Mide los sistemas de la sesión 06 y lo guarda donde lo lee el cuaderno: cada probabilidad, no solo la media.

    python -m tools.training.reviews llm         # lo que puntúa Gemma: data/resenas_llm.json
    python -m tools.training.reviews sistemas    # pliegues y curva de aprendizaje: data/clasificacion.json

Los sistemas son las celdas del cuaderno, por su nombre: lo que se mide es lo que se enseña. Cada parte tarda unos diez
o quince minutos en dos núcleos, y lo medido se guarda según sale.
"""

from __future__ import annotations

import datetime
import json
import sys

import numpy as np
import torch

from course_utils._files import atomic_write, sha256
from course_utils.jokes import DATA
from course_utils.models import checkpoint, load_model

from ..figures import cells

CELLS = ["importar", "datos", "suelos", "pliegues", "lstm-de-cero", "codificador", "vectores", "congelado", "ajuste"]
SYSTEMS = {"bolsa de palabras": "bag", "LSTM de cero": "lstm", "congelado": "frozen", "ajustado": "fine_tune"}
SEEDS = {"bolsa de palabras": 1, "LSTM de cero": 2, "congelado": 1, "ajustado": 1}
CURVE = ("bolsa de palabras", "congelado")
SIZES = (8, 32, 128)
SYSTEMS_FILE, LLM_FILE = DATA / "clasificacion.json", DATA / "resenas_llm.json"

TEMPLATE = "{text}\nEn resumen, una experiencia muy"
WORDS = (" mala", " buena")  # en el orden de las etiquetas, 0 y 1
EMPTY = ("N/A", "(sin reseña)", "…")  # reseñas que no dicen nada: lo que prefiere el modelo sin leer
SHOTS = 8


def notebook_names() -> dict:
    """Lo que definen las celdas del cuaderno."""
    return cells.run("06", CELLS, {})


# ---------------------------------------------------------------- los sistemas que aprenden
def few_labels(names: dict, known: np.ndarray, size: int, seed: int) -> np.ndarray:
    """``size`` reseñas de ``known``, la mitad de cada etiqueta, al azar."""
    rng = np.random.default_rng(seed)
    halves = [rng.permutation(known[names["y"][known] == label])[: size // 2] for label in (0, 1)]
    return rng.permutation(np.concatenate(halves))


def point(names: dict, system: str, size: int, fold: int) -> float:
    """Un punto de la curva: con ``size`` etiquetas de los otros pliegues, los aciertos en el pliegue ``fold``."""
    known, new = names["FOLDS"][fold]
    probs = names[SYSTEMS[system]](few_labels(names, known, size, fold), new, fold)
    return float(((probs > 0.5) == names["y"][new]).mean())


def measure_systems(names: dict, save) -> dict:
    """Mide lo que falte: lo que ya esté guardado, si es con este codificador, se queda."""
    encoder = sha256(checkpoint("encoder", "mini") + "/model.safetensors")
    found = json.loads(SYSTEMS_FILE.read_text(encoding="utf-8")) if SYSTEMS_FILE.is_file() else {}
    if found.get("encoder") != encoder:
        found = {
            "recipe": "python -m tools.training.reviews sistemas: las celdas de 06_clasificacion, en cinco pliegues",
            "encoder": encoder,
            "scores": {},
            "curve": {"sizes": list(SIZES), "accuracy": {name: [] for name in CURVE}},
        }
    for name, seeds in SEEDS.items():
        runs = found["scores"].setdefault(name, [])
        for seed in range(len(runs), seeds):
            runs.append([round(float(p), 4) for p in names["crossed"](names[SYSTEMS[name]], seed)])
            save(found)
    for name in CURVE:
        points = found["curve"]["accuracy"][name]
        for size in SIZES[len(points) :]:
            points.append([round(point(names, name, size, fold), 4) for fold in range(len(names["FOLDS"]))])
            save(found)
    return found


# ---------------------------------------------------------------- el LLM, que solo puntúa
def filled(text: str) -> str:
    return TEMPLATE.format(text=text)


def examples(names: dict) -> list[int]:
    """Los ``SHOTS`` ejemplos, de las de entrenar y la mitad de cada etiqueta: los primeros que salen."""
    return few_labels(names, names["train"], SHOTS, 0).tolist()


def shown(names: dict, chosen: list[int]) -> str:
    """Los ejemplos, resueltos, delante de lo que se pregunta."""
    return "".join(filled(names["texts"][i]) + WORDS[names["y"][i]] + "\n\n" for i in chosen)


@torch.inference_mode()
def label_logprobs(model, tokenizer, prompts, words=WORDS, *, rows: int = 4) -> list[list[float]]:
    """Log-probabilidad (nats) de cada palabra de ``words``, que es un token, detrás de cada *prompt*."""
    wanted = [tokenizer(word, add_special_tokens=False).input_ids for word in words]
    if any(len(ids) != 1 for ids in wanted):
        raise ValueError(f"Cada etiqueta ha de ser un token, y son {wanted}. Elige otras palabras.")
    wanted = [ids[0] for ids in wanted]
    whole = [tokenizer(prompt).input_ids for prompt in prompts]
    order, scores = sorted(range(len(whole)), key=lambda i: len(whole[i])), {}
    for start in range(0, len(order), rows):
        group = order[start : start + rows]
        count = torch.tensor([len(whole[i]) for i in group])
        ids = torch.tensor([whole[i] + [0] * (int(count.max()) - len(whole[i])) for i in group])  # relleno, detrás
        mask = (torch.arange(ids.size(1)) < count[:, None]).long()
        states = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        ends = states[torch.arange(len(group)), count - 1]
        logprobs = model.get_output_embeddings()(ends).float().log_softmax(-1)[:, wanted].tolist()
        scores |= {i: [round(value, 4) for value in values] for i, values in zip(group, logprobs, strict=True)}
    return [scores[i] for i in range(len(whole))]


def measure_llm(names: dict, save) -> dict:
    model, tokenizer = load_model("decoder", "mediano")
    texts = [str(text) for text in names["texts"]]
    old = json.loads(LLM_FILE.read_text(encoding="utf-8")) if LLM_FILE.is_file() else {}
    same = (old.get("template"), old.get("words")) == (TEMPLATE, list(WORDS))  # lo medido con otras palabras no vale
    found = {
        "recipe": "python -m tools.training.reviews llm",
        "model": "Gemma 3 270M (base), Q4_K_M → bfloat16",
        "date": datetime.date.today().isoformat(),
        "template": TEMPLATE,
        "words": list(WORDS),
        "empty_reviews": list(EMPTY),
        "zero": {
            "empty": label_logprobs(model, tokenizer, map(filled, EMPTY)),
            "scores": old["zero"]["scores"] if same else label_logprobs(model, tokenizer, map(filled, texts)),
        },
    }
    save(found)
    chosen = examples(names)
    prefix = shown(names, chosen)
    found["few"] = {
        "examples": chosen,
        "empty": label_logprobs(model, tokenizer, [prefix + filled(text) for text in EMPTY]),
        "scores": label_logprobs(model, tokenizer, [prefix + filled(texts[i]) for i in names["test"]]),
    }
    save(found)
    return found


def _saver(path):
    return lambda found: atomic_write(path, json.dumps(found, ensure_ascii=False, indent=None) + "\n")


def main(what: str) -> None:
    measure, path = {"sistemas": (measure_systems, SYSTEMS_FILE), "llm": (measure_llm, LLM_FILE)}[what]
    measure(notebook_names(), _saver(path))


if __name__ == "__main__":
    main(sys.argv[1])
