"""Mide los modelos «mini» en la partición de validación, junto a varias anclas y en la misma ejecución.

    python -m tools.training.evaluate --corpus CORPUS --report course_utils/checkpoints/evaluacion.json
    python -m tools.training.evaluate --samples     # solo las muestras de las fichas (semillas 0 a 4), en Markdown

Bits por carácter del decoder (cada token una vez, tras un EOS inicial; todos los caracteres se pagan y el EOS
final no se cuenta); aciertos del encoder con tokens tapados, siempre los mismos, en toda la validación, y los del
decoder en las mismas posiciones (con el 15 % tapado y con un solo token tapado); repetición y copia en 100 muestras.
De la LSTM, los bits por carácter de todo y, como los del decoder, según cuántos tokens lleva leídos.
Anclas: PPMd de orden 8 y xz, a los que se da a leer antes el texto de entrenamiento, xz a secas y un unigrama. Las
fichas de los modelos citan estas cifras.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pyppmd
import torch
from tqdm.auto import tqdm
from transformers.convert_slow_tokenizer import bytes_to_unicode

from course_utils._files import atomic_write
from course_utils.decoding import generate, sample, show_token, temperature, top_k
from course_utils.memorization import longest_shared
from course_utils.models import Profile, checkpoint, load_model, sha256
from course_utils.scoring import perplexity, token_logprobs
from course_utils.strategies import distinct_n

from .pretrain import encode_works, read_works

MASK_RATE, MASK_SEED = 0.15, 0
SAMPLES, SAMPLE_TOKENS, PROMPT_TOKENS = 100, 100, 8


# ---------------------------------------------------------------- anclas
def _in_parallel(function, items: list, name: str) -> list:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # los compresores sueltan el candado de Python
        return list(tqdm(pool.map(function, items), total=len(items), desc=name, disable=None))


def ppmd_bits(train: str, texts: list[str], *, order: int = 8, memory: int = 1 << 30) -> float:
    """Bits por carácter de PPMd después de leer `train`; cada texto empieza sin haber visto los otros."""

    def compressed(text: str) -> int:
        encoder = pyppmd.Ppmd7Encoder(order, memory)
        encoder.encode(train.encode("utf-8"))
        return len(encoder.encode(text.encode("utf-8"))) + len(encoder.flush())

    return 8 * sum(_in_parallel(compressed, texts, "PPMd")) / sum(map(len, texts))


def xz_bits(train: str, texts: list[str]) -> float:
    """Bits por carácter que añade cada texto al final de `train`, con un diccionario en el que cabe todo."""
    size = len(train.encode("utf-8")) + max(len(t.encode("utf-8")) for t in texts)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": max(size + 4096, 1 << 16)}]

    def compressed(text: str) -> int:
        return len(lzma.compress(text.encode("utf-8"), format=lzma.FORMAT_RAW, filters=filters))

    base, *sizes = _in_parallel(compressed, [train, *(train + text for text in texts)], "xz")
    return 8 * sum(size - base * bool(train) for size in sizes) / sum(map(len, texts))


def unigram_bits(train: np.ndarray, ids: np.ndarray, n_chars: int, vocab_size: int) -> float:
    """Bits por carácter de un unigrama de tokens con una cuenta de más por tipo."""
    counts = np.bincount(train, minlength=vocab_size) + 1.0
    return float(-np.log2(counts / counts.sum())[ids].sum() / n_chars)


# ---------------------------------------------------------------- según lo leído
STRETCHES = ((1, 1), (2, 3), (4, 7), (8, 15), (16, 31), (32, 63), (64, 127), (128, 255))  # del primer token al 255


def characters(tokenizer) -> np.ndarray:
    """Cuántos caracteres empiezan en cada token, (V,): los bytes que no continúan otro (UTF-8)."""
    byte_of = {symbol: byte for byte, symbol in bytes_to_unicode().items()}
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return np.array([sum(byte_of.get(symbol, 0x80) & 0xC0 != 0x80 for symbol in token) for token in tokens])


@torch.no_grad()
def window_bits(model, tokenizer, works: list[np.ndarray], width: int = 255, batch_size: int = 16):
    """Los tokens de las obras en trozos que no se pisan, cada uno tras un EOS, y sus bits: (N, width) los dos.

    Al empezar cada trozo no se ha leído nada: la columna t tiene t tokens delante, y el EOS.
    """
    rows = [ids[i : i + width] for ids in works for i in range(0, len(ids) - width + 1, width)]
    tokens = torch.from_numpy(np.stack(rows).astype(np.int64))
    whole = torch.nn.functional.pad(tokens, (1, 0), value=tokenizer.eos_token_id)
    parts = tqdm(whole.split(batch_size), desc=type(model).__name__, leave=False, disable=None)
    return tokens.numpy(), torch.cat([-token_logprobs(model, part) for part in parts]).numpy() / np.log(2)


def by_position(bits: dict[str, np.ndarray], counts: np.ndarray, stretches=STRETCHES, draws: int = 1000) -> list[dict]:
    """Bits por carácter de cada modelo en cada tramo del trozo, y los de la diferencia entre los dos primeros.

    `bits` y `counts` (caracteres) son (N, T). El intervalo, del 95 %, sale de volver a sortear los N trozos, los mismos
    para todos los modelos.
    """
    chosen = np.random.default_rng(0).integers(len(counts), size=(draws, len(counts)))
    rows = []
    for first, last in stretches:
        chars = counts[:, first - 1 : last].sum(1)  # (N,)
        sums = {name: values[:, first - 1 : last].sum(1) for name, values in bits.items()}
        drawn = {name: values[chosen].sum(1) / chars[chosen].sum(1) for name, values in sums.items()}
        one, other = list(drawn)[:2]
        row = {"tramo": [first, last]}
        for name in bits:
            row[name] = [sums[name].sum() / chars.sum(), *np.quantile(drawn[name], [0.025, 0.975])]
        gap = drawn[other] - drawn[one]
        row["diferencia"] = [row[other][0] - row[one][0], *np.quantile(gap, [0.025, 0.975])]
        rows.append({name: [float(v) if name != "tramo" else v for v in values] for name, values in row.items()})
    return rows


# ---------------------------------------------------------------- aciertos
def masked_windows(n: int, width: int, work: int) -> list[tuple[int, np.ndarray]]:
    """Trozos contiguos de hasta `width` tokens: (dónde empieza, posiciones tapadas dentro); siempre los mismos."""
    windows = []
    for start in range(0, n, width):
        size = min(width, n - start)
        rng = np.random.default_rng([MASK_SEED, work, start])
        windows.append((start, np.sort(rng.permutation(size)[: max(1, round(MASK_RATE * size))])))
    return windows


def single_windows(n: int, width: int, work: int, repeats: int = 3) -> list[tuple[int, np.ndarray]]:
    """Los mismos trozos, cada uno `repeats` veces y con una sola posición tapada; siempre las mismas."""
    windows = []
    for start in range(0, n, width):
        size = min(width, n - start)
        chosen = np.random.default_rng([MASK_SEED, work, start, 1]).permutation(size)[:repeats]
        windows += [(start, np.array([position])) for position in chosen]
    return windows


def _ranks(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cuántos tokens tienen más logit que el verdadero: 0 es acertar. `logits` (N, V), `targets` (N,)."""
    return (logits > logits.gather(1, targets[:, None])).sum(dim=1)


@torch.no_grad()
def encoder_ranks(model, tokenizer, ids: np.ndarray, windows, batch_size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Posiciones tapadas de una obra y rango del token verdadero en cada una."""
    width = model.config.max_position_embeddings - 2
    positions, ranks = [], []
    for i in tqdm(range(0, len(windows), batch_size), desc="encoder", leave=False, disable=None):
        group = windows[i : i + batch_size]
        longest = max(min(width, len(ids) - start) for start, _ in group)
        inputs = torch.full((len(group), longest + 2), tokenizer.pad_token_id)
        attention = torch.zeros_like(inputs)
        for row, (start, hidden) in enumerate(group):
            tokens = torch.from_numpy(ids[start : start + width].astype(np.int64))
            tokens[torch.from_numpy(hidden)] = tokenizer.mask_token_id
            edges = torch.tensor([tokenizer.cls_token_id]), torch.tensor([tokenizer.sep_token_id])
            inputs[row, : len(tokens) + 2] = torch.cat([edges[0], tokens, edges[1]])
            attention[row, : len(tokens) + 2] = 1
        logits = model(input_ids=inputs, attention_mask=attention).logits
        for row, (start, hidden) in enumerate(group):
            targets = torch.from_numpy(ids[start + hidden].astype(np.int64))
            positions.append(start + hidden)
            ranks.append(_ranks(logits[row, torch.from_numpy(hidden) + 1], targets).numpy())
    return np.concatenate(positions), np.concatenate(ranks)


@torch.no_grad()
def decoder_ranks(model, tokenizer, ids: np.ndarray) -> np.ndarray:
    """Rango de cada token de una obra dado lo anterior: al menos medio contexto, o todo lo que haya."""
    context = model.config.n_positions
    whole = torch.from_numpy(np.concatenate([[tokenizer.eos_token_id], ids]).astype(np.int64))
    ranks = np.empty(len(ids), dtype=np.int64)
    done = 0
    for start in tqdm(range(0, len(ids), context // 2), desc="decoder", leave=False, disable=None):
        end = min(start + context, len(ids))
        if end == done:  # la ventana anterior ya llegó al final
            break
        logits = model(input_ids=whole[None, start:end]).logits[0]  # la posición t predice ids[start + t]
        ranks[done:end] = _ranks(logits[done - start :], whole[done + 1 : end + 1]).numpy()
        done = end
    return ranks


def accuracy(ranks: np.ndarray) -> dict[str, float]:
    return {"top1": float((ranks < 1).mean()), "top5": float((ranks < 5).mean())}


# ---------------------------------------------------------------- muestras
def starts(tokenizer, texts: list[str], n: int, prompt: int, continuation: int) -> tuple[list, list]:
    """`n` párrafos de validación a distancias iguales: su principio (`prompt` tokens) y lo que sigue."""
    long = []
    for text in texts:
        for line in text.splitlines():
            ids = tokenizer(line, add_special_tokens=False)["input_ids"]
            if len(ids) >= prompt + continuation:
                long.append(ids)
    if not long:
        raise ValueError(f"Ningún párrafo de validación llega a {prompt + continuation} tokens.")
    chosen = [long[i * len(long) // n] for i in range(n)]
    return [c[:prompt] for c in chosen], [c[prompt : prompt + continuation] for c in chosen]


def sample_continuations(model, tokenizer, prompts: list[list[int]], batch_size: int = 20) -> list[list[int]]:
    """Una continuación por *prompt*: temperatura 0,8 y top-k 40, con la semilla del lote."""
    out = []
    for i in tqdm(range(0, len(prompts), batch_size), desc="muestras", disable=None):
        ids = torch.tensor(prompts[i : i + batch_size])
        generator = torch.Generator().manual_seed(i)
        result = generate(
            model,
            ids,
            transforms=[temperature(0.8), top_k(40)],
            select=partial(sample, generator=generator),
            max_new_tokens=SAMPLE_TOKENS,
        )
        out += result.new_ids.tolist()
    return out


SENTENCES = (
    "El médico subió la escalera despacio, con el sombrero en la mano, y llamó a la puerta.",
    "Doña Rosa no quiso contestar a la carta de su sobrino hasta después de la feria.",
    "Llovía tanto aquella noche que los caballos no podían pasar el río.",
    "Cuando el capitán oyó el nombre de su hermano, se puso pálido y dejó caer el vaso.",
    "En el pueblo todos sabían que el hijo del alcalde estaba enamorado de la molinera.",
)


def decoder_samples(model, tokenizer) -> list[str]:
    """«Había una vez» y 80 tokens más: temperatura 0,8 y top-k 40, semillas 0 a 4."""
    ids = tokenizer("Había una vez", return_tensors="pt").input_ids
    texts = []
    for seed in range(5):
        select = partial(sample, generator=torch.Generator().manual_seed(seed))
        result = generate(model, ids, transforms=[temperature(0.8), top_k(40)], select=select, max_new_tokens=80)
        texts.append(result.text(tokenizer).strip())
    return texts


@torch.no_grad()
def encoder_samples(model, tokenizer) -> list[tuple[str, str, list[str]]]:
    """De cada frase, con su número por semilla: (la frase con un token tapado al azar, el token, cinco candidatas)."""
    rows = []
    for seed, sentence in enumerate(SENTENCES):
        ids = tokenizer(sentence, return_tensors="pt").input_ids  # (1, T), con <cls> y <sep>
        place = 1 + int(np.random.default_rng(seed).integers(ids.size(1) - 2))
        truth = ids[0, place].item()
        ids[0, place] = tokenizer.mask_token_id
        best = model(input_ids=ids).logits[0, place].topk(5).indices.tolist()
        left, right = (tokenizer.decode(part.tolist()) for part in (ids[0, 1:place], ids[0, place + 1 : -1]))
        shown = f"{left}[…]{right}"
        rows.append((shown, show_token(tokenizer, truth), [show_token(tokenizer, i) for i in best]))
    return rows


def samples_markdown(profile: Profile | None = None) -> dict[str, str]:
    """Las muestras tal como van en las fichas: no se escogen, se copian de aquí."""
    lines = ["| semilla | frase | había | cinco candidatas |", "|---|---|---|---|"]
    for seed, (shown, truth, best) in enumerate(encoder_samples(*load_model("encoder", profile))):
        lines.append(f"| {seed} | {shown} | `{truth}` | {' '.join(f'`{b}`' for b in best)} |")
    samples = {"encoder": "\n".join(lines)}
    for role in ("decoder", "lstm"):
        quoted = ["> " + text.replace("\n", "\n>\n> ") for text in decoder_samples(*load_model(role, profile))]
        samples[role] = "\n\n".join(f"**Semilla {seed}**\n\n{text}" for seed, text in enumerate(quoted))
    return samples


# ---------------------------------------------------------------- informe
def report(corpus: Path, profile: Profile | None = None) -> dict:
    """Todas las cifras, en un diccionario que se puede guardar como JSON."""
    decoder, tokenizer = load_model("decoder", profile)
    encoder, encoder_tokenizer = load_model("encoder", profile)
    lstm, _ = load_model("lstm", profile)
    training, texts = "".join(read_works(corpus, "entrenamiento")), read_works(corpus, "validacion")
    n_chars = sum(map(len, texts))
    works = [encode_works(tokenizer, [text])[1:-1] for text in texts]
    width = encoder.config.max_position_embeddings - 2
    masks = {"aciertos": masked_windows, "aciertos_con_una_mascara": single_windows}
    hits = {name: {"encoder": [], "decoder": []} for name in masks}
    for number, ids in enumerate(works):
        every = decoder_ranks(decoder, tokenizer, ids)
        for name, windows in masks.items():
            positions, ranks = encoder_ranks(encoder, encoder_tokenizer, ids, windows(len(ids), width, number))
            hits[name]["encoder"].append(ranks)
            hits[name]["decoder"].append(every[positions])
    ranks = {name: {role: np.concatenate(r) for role, r in roles.items()} for name, roles in hits.items()}
    prompts, real = starts(tokenizer, texts, SAMPLES, PROMPT_TOKENS, SAMPLE_TOKENS)
    written = sample_continuations(decoder, tokenizer, prompts)
    copies = {
        name: longest_shared([training], [tokenizer.decode(p + c) for p, c in zip(prompts, rows, strict=True)])
        for name, rows in {"modelo": written, "novelas": real}.items()
    }
    train_ids = encode_works(tokenizer, [training])
    measured = {
        name: window_bits(model, tokenizer, works) for name, model in {"decoder": decoder, "lstm": lstm}.items()
    }
    counts = characters(tokenizer)[measured["decoder"][0]]
    weights = {role: Path(checkpoint(role, profile)) / "model.safetensors" for role in ("decoder", "encoder", "lstm")}
    return {
        "sha256": {role: sha256(file) for role, file in weights.items()},
        "validacion": {"caracteres": n_chars, "tokens": int(sum(map(len, works))), "obras": len(texts)},
        "bits_por_caracter": {
            "decoder": perplexity(decoder, tokenizer, texts, progress=True).bits_per_char,
            "lstm": perplexity(lstm, tokenizer, texts, progress=True).bits_per_char,
            "ppmd_orden_8": ppmd_bits(training, texts),
            "xz_tras_leer_el_corpus": xz_bits(training, texts),
            "xz": xz_bits("", texts),
            "unigrama_de_tokens": unigram_bits(train_ids, np.concatenate(works), n_chars, len(tokenizer)),
        },
        "segun_lo_leido": by_position({name: bits for name, (_, bits) in measured.items()}, counts),
        **{
            name: {"posiciones": len(roles["encoder"]), **{role: accuracy(r) for role, r in roles.items()}}
            for name, roles in ranks.items()
        },
        "muestras": {
            "numero": SAMPLES,
            "tokens": SAMPLE_TOKENS,
            "repeticion": {
                "modelo": float(np.mean([1 - distinct_n(ids, 4) for ids in written])),
                "novelas": float(np.mean([1 - distinct_n(ids, 4) for ids in real])),
            },
            "n_grama_compartido_mas_largo": {name: max(values) for name, values in copies.items()},
            "n_grama_compartido_mediana": {name: float(np.median(values)) for name, values in copies.items()},
        },
    }


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="directorio con manifiesto.csv y los textos")
    parser.add_argument("--report", type=Path, help="guarda aquí las cifras, en JSON")
    parser.add_argument("--samples", action="store_true", help="no mide: escribe las muestras de las fichas")
    args = parser.parse_args(argv)
    if args.samples:
        print("\n\n".join(samples_markdown().values()))
        return
    if args.corpus is None:
        parser.error("falta --corpus (o --samples para las muestras)")
    figures = report(args.corpus)
    text = json.dumps(figures, ensure_ascii=False, indent=2) + "\n"
    if args.report:
        atomic_write(args.report, text)
    print(text)


if __name__ == "__main__":
    main()
