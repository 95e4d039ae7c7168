"""Preentrena los modelos «mini» del curso: tokenizador BPE, decoder (GPT-2), encoder (BERT) y LSTM.

    python -m tools.training.pretrain --corpus CORPUS --output entrenamiento            # CPU o una GPU
    accelerate launch --multi_gpu --num_processes 2 -m tools.training.pretrain --corpus CORPUS …   # dos GPU, o --cpu
    python -m tools.training.pretrain --output entrenamiento --export course_utils/checkpoints/decoder
    python -m tools.training.pretrain --role encoder --tokenizer course_utils/checkpoints/decoder --corpus … --output …
    python -m tools.training.pretrain --role lstm --layers 2 --tokenizer course_utils/checkpoints/decoder --corpus … …

CORPUS es un directorio con `manifiesto.csv` (columnas `fichero` y `particion`) y un texto por obra, un
párrafo por línea. Solo se entrena con la partición `entrenamiento`; `validacion` sirve para medir.

Todo lo que hay en disco son safetensors, JSON y NumPy (nunca pickle). Un entrenamiento cortado, aunque
sea con SIGKILL, continúa desde el último punto de control al repetir la misma orden: el lote de cada paso
depende solo de la semilla y del número de paso, así que no se pierde más que lo posterior a ese punto.
La tasa de aprendizaje sube, se queda plana y baja linealmente al final: con `--steps` mayor se puede
seguir desde un punto de control anterior a la bajada (`--keep-before-decay` lo conserva).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tqdm.auto import tqdm
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from course_utils._files import atomic
from course_utils.models import sha256
from course_utils.recurrent import LSTMConfig, LSTMForCausalLM

EOS, PAD, MASK, CLS, SEP = SPECIAL = ["<|endoftext|>", "<|pad|>", "<mask>", "<cls>", "<sep>"]


# ---------------------------------------------------------------- datos
def read_works(corpus: Path, split: str) -> list[str]:
    """Lee las obras de una partición, cada una como un solo texto, en el orden del manifiesto."""
    manifest = corpus / "manifiesto.csv"
    if not manifest.is_file():
        raise ValueError(f"No encuentro {manifest}. Indica con --corpus el directorio que lo contiene.")
    with manifest.open(encoding="utf-8", newline="") as lines:
        names = [row["fichero"] for row in csv.DictReader(lines) if row["particion"] == split]
    return [(corpus / name).read_text(encoding="utf-8") for name in names]


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """BPE a nivel de bytes: ningún carácter queda fuera del vocabulario."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()  # «á» escrita como a + tilde suelta sería otra secuencia de bytes
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((line for text in texts for line in text.splitlines(keepends=True)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=EOS,
        eos_token=EOS,
        pad_token=PAD,
        mask_token=MASK,
        cls_token=CLS,
        sep_token=SEP,
        padding_side="left",  # el decodificador escribe a la derecha: el relleno va a la izquierda
        clean_up_tokenization_spaces=False,
    )


def encode_works(tokenizer, texts: list[str]) -> np.ndarray:
    """Concatena las obras como ids uint16: EOS obra EOS obra … EOS."""
    eos = tokenizer.eos_token_id
    ids = [np.array([eos], dtype=np.uint16)]
    for text in tqdm(texts, desc="tokenizar", disable=None):
        pieces = tokenizer(text.splitlines(keepends=True), add_special_tokens=False, verbose=False)["input_ids"]
        ids.append(np.array([i for piece in pieces for i in piece] + [eos], dtype=np.uint16))
    return np.concatenate(ids)


def split_at(step: int, short_steps: int, seed: int) -> int:
    """En cuántas partes se corta cada secuencia del encoder en el paso `step`.

    Al principio en 4: la atención empieza casi uniforme, y entre 60 vecinos se aprende antes a mirar los de al lado que
    entre 250. Después hay de todo, para que el modelo conozca lo largo y también las frases sueltas.
    """
    return 4 if step < short_steps else int(np.random.default_rng([seed, step, 2]).choice([1, 1, 2, 4]))


def positions_at(step: int, parts: int, short_steps: int, rows: int, width: int) -> torch.Tensor:
    """Posiciones, (rows, width): al principio cada parte conserva las que tenía en la secuencia entera.

    Si las partes cortas empezaran todas en 0, las posiciones altas no aprenderían nada. Después sí empiezan en 0,
    como cuando se usa el modelo.
    """
    shift = (torch.arange(rows) % parts) * (width - 2) if step < short_steps else torch.zeros(rows, dtype=torch.long)
    return shift[:, None] + torch.arange(width)


def mask_at(tokens: torch.Tensor, step: int, parts: int, rate: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ejemplos del encoder para el paso `step`: (entradas, blancos), las dos (parts · B, T).

    Cada parte va entre `<cls>` y `<sep>`. Una fracción `rate` de los tokens se tapa con `<mask>` y es blanco; el resto
    tiene blanco −100 y no cuenta en la pérdida.
    """
    rng = np.random.default_rng([seed, step, 1])
    width = tokens.size(1) // parts
    text = tokens[:, : parts * width].reshape(-1, width)
    places = rng.random(text.shape).argsort(axis=1)  # cada fila es una permutación: tantos tapados en todas
    hidden = torch.from_numpy(places < max(1, round(rate * width)))
    edges = text.new_tensor([SPECIAL.index(CLS), SPECIAL.index(SEP)]).expand(len(text), 2)
    inputs = torch.cat([edges[:, :1], text.masked_fill(hidden, SPECIAL.index(MASK)), edges[:, 1:]], dim=1)
    nothing = torch.full_like(edges[:, :1], -100)
    return inputs, torch.cat([nothing, text.masked_fill(~hidden, -100), nothing], dim=1)


def batch_at(ids: np.ndarray, step: int, batch: int, context: int, seed: int) -> torch.Tensor:
    """El lote del paso `step`, (batch, context + 1): función pura del paso y de la semilla.

    Cada época recorre todo el texto en trozos contiguos, en otro orden y con otro punto de corte.
    """
    windows = (len(ids) - 1) // context - 1
    per_epoch = max(windows // batch, 1)
    epoch, index = divmod(step, per_epoch)
    rng = np.random.default_rng([seed, epoch])
    offset = int(rng.integers(context))
    chosen = np.resize(rng.permutation(windows), per_epoch * batch)[index * batch : (index + 1) * batch]
    return torch.from_numpy(
        np.stack([ids[offset + w * context : offset + (w + 1) * context + 1] for w in chosen]).astype(np.int64)
    )


# ---------------------------------------------------------------- optimizador
def orthogonalize(g: torch.Tensor, dtype: torch.dtype, steps: int = 5) -> torch.Tensor:
    """Newton-Schulz de quinto grado: acerca todos los valores singulares de (N, R, C) a 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.to(dtype)
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(g.dtype)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024) para las matrices internas.

    `torch.optim.Muon` calcula Newton-Schulz en bfloat16, lentísimo en CPU que no lo tienen, y trata q, k y
    v como una sola matriz; aquí el tipo se elige y `blocks` separa las matrices fundidas.
    """

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.0, dtype=torch.float32):
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "blocks": 1, "transposed": False}
        )
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            updates = []
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                nesterov = p.grad.lerp(buffer, group["momentum"])  # (in, out): Conv1D de GPT-2
                updates += nesterov.chunk(group["blocks"], dim=-1)
            flat = orthogonalize(torch.stack(updates), self.dtype)  # todas las capas de una vez
            ratio = flat.size(-1) / flat.size(-2)
            scale = max(1, 1 / ratio if group["transposed"] else ratio) ** 0.5  # salidas entre entradas
            for i, p in enumerate(group["params"]):
                update = torch.cat(tuple(flat[i * group["blocks"] : (i + 1) * group["blocks"]]), dim=-1)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * scale)


def build_optimizers(model, args) -> list[torch.optim.Optimizer]:
    """Muon para las matrices de los bloques; AdamW para vectores (*embeddings*), sesgos y normas, y para la LSTM."""
    hidden = {n: p for n, p in model.named_parameters() if (".h." in n or ".layer." in n) and p.ndim == 2}
    rest = [p for n, p in model.named_parameters() if n not in hidden]
    adamw = torch.optim.AdamW(rest, lr=args.lr, betas=(0.9, 0.95), weight_decay=0.0)
    if not hidden:  # la LSTM, que con Muon sale más tarde de la pérdida del unigrama
        return [adamw]
    transposed = args.role == "encoder"  # nn.Linear de BERT es (out, in); Conv1D de GPT-2, (in, out)
    decay = dict.fromkeys(hidden, args.weight_decay)
    if args.weight_decay_qk is not None:
        decay |= {n: args.weight_decay_qk for n in hidden if ".query." in n or ".key." in n}
    kinds = dict.fromkeys((p.shape, decay[n]) for n, p in hidden.items())
    groups = [
        {
            "params": [p for n, p in hidden.items() if (p.shape, decay[n]) == (shape, rate)],
            "blocks": 3 if not transposed and shape[1] == 3 * shape[0] else 1,  # q, k y v fundidas en c_attn
            "transposed": transposed,
            "weight_decay": rate,
        }
        for shape, rate in kinds
    ]
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    muon = Muon(groups, lr=args.muon_lr, weight_decay=args.weight_decay, dtype=dtype)
    return [muon, adamw]


def lr_scale(step: int, *, steps: int, warmup: int, decay: int) -> float:
    """Factor de la tasa de aprendizaje: subida, meseta y bajada lineal hasta cero."""
    return min(1.0, (step + 1) / max(warmup, 1), (steps - step) / max(decay, 1))


# ---------------------------------------------------------------- puntos de control
def save_state(path: Path, model, optimizers, step: int, args) -> None:
    """Guarda de forma atómica: o está el punto de control entero o no está."""
    partial = path.with_name(path.name + ".parcial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    names = {p: n for n, p in model.named_parameters()}
    tensors = {f"modelo.{n}": p.detach().contiguous() for p, n in names.items()}
    for i, optimizer in enumerate(optimizers):
        for p, state in optimizer.state.items():
            tensors |= {f"opt{i}.{key}.{names[p]}": value.detach().contiguous() for key, value in state.items()}
    save_file(tensors, partial / "estado.safetensors")
    (partial / "estado.json").write_text(json.dumps({"paso": step, "argumentos": vars(args)}, default=str, indent=1))
    shutil.rmtree(path, ignore_errors=True)
    os.replace(partial, path)


def load_state(path: Path, model, optimizers) -> int:
    tensors = load_file(path / "estado.safetensors")
    params = dict(model.named_parameters())
    with torch.no_grad():
        for key, value in tensors.items():
            owner, name = key.split(".", 1)
            if owner == "modelo":
                params[name].copy_(value)
            else:
                field, name = name.split(".", 1)
                state = optimizers[int(owner[3:])].state[params[name]]
                state[field] = value.to(params[name].device) if value.ndim else value
    return json.loads((path / "estado.json").read_text())["paso"]


def check_same_run(path: Path, args) -> None:
    """Continuar con otro modelo, otro lote u otra semilla no sería el mismo entrenamiento."""
    saved = json.loads((path / "estado.json").read_text())["argumentos"]
    names = ("role", "seed", "batch", "context", "vocab_size", "width", "layers", "heads", "mask_rate", "short_steps")
    names += ("hidden",) if args.role == "lstm" else ()
    changed = [
        f"--{n.replace('_', '-')} {saved[n]} (ahora {getattr(args, n)})" for n in names if saved[n] != getattr(args, n)
    ]
    if changed:
        raise ValueError(
            f"{path.parent} tiene un entrenamiento con {', '.join(changed)}. Usa lo mismo u otro --output."
        )


def checkpoints(output: Path) -> list[Path]:
    return sorted(p for p in output.glob("paso-*") if (p / "estado.json").is_file() and p.suffix != ".parcial")


# ---------------------------------------------------------------- entrenamiento
def build_model(vocab_size: int, args) -> GPT2LMHeadModel | BertForMaskedLM | LSTMForCausalLM:
    torch.manual_seed(args.seed)
    if args.role == "lstm":
        config = LSTMConfig(
            vocab_size=vocab_size,
            embedding_size=args.width,
            hidden_size=args.hidden,
            num_hidden_layers=args.layers,
            dropout=args.dropout,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=1,
        )
        return LSTMForCausalLM(config)
    if args.role == "encoder":
        config = BertConfig(
            vocab_size=vocab_size,
            max_position_embeddings=args.context,
            hidden_size=args.width,
            intermediate_size=4 * args.width,
            num_hidden_layers=args.layers,
            num_attention_heads=args.heads,
            hidden_dropout_prob=args.dropout,
            attention_probs_dropout_prob=args.dropout,
            type_vocab_size=1,  # no se entrena con pares de frases
            pad_token_id=SPECIAL.index(PAD),
        )
        model = BertForMaskedLM(config)
        if args.cpu or not torch.cuda.is_available():
            model.set_attn_implementation("eager")  # en CPU y con trozos cortos, más rápida que sdpa
        look_at_neighbours(model)
        return model
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=args.context,
        n_embd=args.width,
        n_layer=args.layers,
        n_head=args.heads,
        activation_function="gelu_pytorch_tanh",  # la GELU de GPT-2 en una sola operación
        resid_pdrop=args.dropout,
        embd_pdrop=args.dropout,
        attn_pdrop=args.dropout,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    return GPT2LMHeadModel(config)


@torch.no_grad()
def look_at_neighbours(model: BertForMaskedLM, scale: float = 0.03, sharpness: float = 1.6) -> None:
    """Valores iniciales del encoder: las cabezas de la primera capa miran una o dos posiciones antes o después.

    Todos los `<mask>` son iguales: hasta que la atención no distingue a los vecinos, la pérdida se queda en la del
    unigrama, y con posiciones al azar eso cuesta miles de pasos. Aquí las posiciones empiezan siendo senos y
    cosenos (Vaswani et al., 2017), en los que «la de al lado» es siempre el mismo giro, y ese giro es el valor inicial
    de las consultas. Todo se entrena después.
    """
    config, layer = model.config, model.bert.encoder.layer[0].attention.self
    width, n = config.hidden_size, config.hidden_size // config.num_attention_heads // 2
    frequency = math.pi * torch.logspace(0, -3, width // 2)  # de π a π/1000 por posición
    angle = torch.arange(config.max_position_embeddings)[:, None] * frequency  # (T, H/2)
    model.bert.embeddings.position_embeddings.weight.copy_(scale * torch.cat([angle.sin(), angle.cos()], dim=1))
    layer.query.weight.zero_()
    layer.key.weight.zero_()
    for head in range(config.num_attention_heads):
        shift = (-1, 1, -2, 2)[head % 4] * frequency[:n]
        sines = torch.arange(n)  # las n frecuencias más altas: las que distinguen vecinos
        cosines, rows = sines + width // 2, sines + 2 * n * head
        layer.query.weight[rows, sines] = layer.query.weight[rows + n, cosines] = sharpness * shift.cos()
        layer.query.weight[rows, cosines] = sharpness * shift.sin()
        layer.query.weight[rows + n, sines] = -sharpness * shift.sin()
        layer.key.weight[rows, sines] = layer.key.weight[rows + n, cosines] = sharpness


def masked_states(bert, inputs: torch.Tensor, seen: torch.Tensor, positions=None) -> torch.Tensor:
    """Estados finales del encoder donde `seen` (B, T) es cierto, tantos en cada fila: (N, H).

    La última capa solo se calcula en esas posiciones, porque nadie mira las otras; las demás capas, en todas.
    """
    *early, last = bert.encoder.layer
    states = bert.embeddings(input_ids=inputs, position_ids=positions)  # (B, T, H)
    for layer in early:
        states = layer(states)
    asking, attention = states[seen].view(len(states), -1, states.size(-1)), last.attention.self  # (B, M, H)

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)  # (B, cabezas, T o M, D)

    q, k, v = heads(attention.query(asking)), heads(attention.key(states)), heads(attention.value(states))
    weights = (q @ k.mT * attention.scaling).softmax(dim=-1)
    mixed = (attention.dropout(weights) @ v).transpose(1, 2).flatten(2)  # (B, M, H)
    return last.feed_forward_chunk(last.attention.output(mixed, asking)).flatten(0, 1)


class Loss(torch.nn.Module):
    """Entropía cruzada media (nats por token con blanco) del modelo en un lote, (B, T) y (B, T)."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor, positions=None) -> torch.Tensor:
        if isinstance(self.model, BertForMaskedLM):  # la cabeza, solo donde hay algo que adivinar
            seen = targets != -100
            logits, targets = self.model.cls(masked_states(self.model.bert, inputs, seen, positions)), targets[seen]
        else:
            logits = self.model(input_ids=inputs, use_cache=False).logits  # (B, T, V)
        return F.cross_entropy(logits.float().flatten(0, -2), targets.flatten())


def prepare_data(args):
    """Tokenizador e ids: se calculan una vez y se reutilizan."""
    tok_dir, cache = args.output / "tokenizador", args.output / "ids.npy"
    if not (tok_dir / "tokenizer.json").is_file():
        if source := args.tokenizer or args.init:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
        else:
            tokenizer = train_tokenizer(read_works(args.corpus, "entrenamiento"), args.vocab_size)
        tokenizer.save_pretrained(tok_dir)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tok_dir)
    if not cache.is_file():
        ids = encode_works(tokenizer, read_works(args.corpus, "entrenamiento"))
        with atomic(cache) as partial, partial.open("wb") as file:
            np.save(file, ids)
    return tokenizer, np.load(cache, mmap_mode="r")


def train(args) -> float:
    """Entrena hasta `args.steps` y devuelve la pérdida media (nats/token) de los últimos pasos."""
    accelerator = Accelerator(mixed_precision=args.precision, cpu=args.cpu)
    world, rank = accelerator.num_processes, accelerator.process_index
    if args.batch % world:
        raise ValueError(f"El lote ({args.batch}) debe ser múltiplo del número de procesos ({world}).")
    if args.role == "encoder" and args.context < 10:
        raise ValueError(f"Con --role encoder el contexto debe ser al menos 10 y es {args.context}: se parte en 4.")
    args.output.mkdir(parents=True, exist_ok=True)
    with accelerator.main_process_first():
        tokenizer, ids = prepare_data(args)
    if len(ids) < 3 * args.context:
        raise ValueError(f"El corpus tiene {len(ids)} tokens: hacen falta al menos {3 * args.context}.")

    model = build_model(len(tokenizer), args)
    if args.init:
        weights = type(model).from_pretrained(args.init, dtype=torch.float32).state_dict()
        model.load_state_dict(weights)
    model.to(accelerator.device)
    optimizers = build_optimizers(model, args)
    done = checkpoints(args.output)
    start = 0
    if done:
        check_same_run(done[-1], args)
        start = load_state(done[-1], model, optimizers)
    if start >= args.steps:
        raise ValueError(f"Este entrenamiento ya llegó al paso {start}. Para seguir, pide más: --steps {2 * start}.")
    base = [[g["lr"] for g in o.param_groups] for o in optimizers]
    objective = Loss(model)
    if args.compile and args.role != "lstm":  # en una GPU, varias veces más rápido; la LSTM ya es una sola operación
        for part in model.bert.encoder.layer if args.role == "encoder" else [objective]:
            part.compile()
    objective = accelerator.prepare(objective) if world > 1 else objective
    objective.train()

    stop = []
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, lambda number, frame: stop.append(number))
    decay = round(args.steps * args.decay)
    recent = []
    log = (args.output / "registro.jsonl").open("a") if accelerator.is_main_process else None
    bar = tqdm(total=args.steps, initial=start, desc="preentrenar", disable=not accelerator.is_main_process)
    clock = time.time()
    for step in range(start, args.steps):
        scale = lr_scale(step, steps=args.steps, warmup=args.warmup, decay=decay)
        for optimizer, rates in zip(optimizers, base, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * scale
        if args.role == "encoder":
            tokens = batch_at(ids, step, args.batch, args.context - 2, args.seed)[:, 1:]
            rate = args.mask_rate + (args.mask_rate_end - args.mask_rate) * step / args.steps
            parts = split_at(step, args.short_steps, args.seed)
            whole = mask_at(tokens, step, parts, rate, args.seed)
            whole += (positions_at(step, parts, args.short_steps, *whole[0].shape),)
        else:
            tokens = batch_at(ids, step, args.batch, args.context, args.seed)
            whole = tokens[:, :-1], tokens[:, 1:]
        share = [tensor.chunk(world)[rank].to(accelerator.device) for tensor in whole]
        with accelerator.autocast():
            loss = objective(*share)
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        # La petición de parar se comparte: si un proceso parase solo, los demás lo esperarían para siempre.
        shared = torch.stack([loss.detach(), loss.new_tensor(float(bool(stop)))])
        mean, stopping = accelerator.reduce(shared, "mean").tolist()
        recent = [*recent[-99:], mean]
        bar.update()
        finished = step + 1 == args.steps
        if (step + 1) % args.save_every == 0 or finished or stopping:
            if accelerator.is_main_process:
                path = args.output / f"paso-{step + 1:07d}"
                save_state(path, model, optimizers, step + 1, args)
                keep = {path, *checkpoints(args.output)[-2:]}
                if args.keep_before_decay:  # el último de la meseta: para seguir entrenando otro día
                    keep |= set([p for p in checkpoints(args.output) if int(p.name[5:]) <= args.steps - decay][-1:])
                for old in set(checkpoints(args.output)) - keep:
                    shutil.rmtree(old)
                entry = {"paso": step + 1, "perdida": sum(recent) / len(recent), "segundos": time.time() - clock}
                entry["procesos"] = world
                log.write(json.dumps(entry) + "\n")
                log.flush()
                bar.set_postfix(pérdida=f"{entry['perdida']:.3f}")
            accelerator.wait_for_everyone()
        if stopping:
            print(f"Parada pedida: guardado el paso {step + 1}. Repite la orden para continuar.", file=sys.stderr)
            raise SystemExit(130)
    bar.close()
    return sum(recent) / max(len(recent), 1)


# ---------------------------------------------------------------- exportación
def export(args) -> None:
    """Escribe el modelo (pesos en fp16, `dtype` float32 en la configuración) y el tokenizador."""
    done = checkpoints(args.output)
    if not done:
        raise ValueError(f"No hay ningún punto de control en {args.output}: entrena antes de exportar.")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.output / "tokenizador")
    saved = json.loads((done[-1] / "estado.json").read_text())["argumentos"]
    for key in ("role", "context", "width", "layers", "heads", "dropout", "seed", "hidden"):
        setattr(args, key, type(getattr(args, key))(saved.get(key, getattr(args, key))))
    model = build_model(len(tokenizer), args)
    load_state(done[-1], model, build_optimizers(model, args))
    if args.role == "encoder":
        model.config.update({"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
        tokenizer.padding_side = "right"
        # Como en RoBERTa: la máscara se queda el espacio que tenga delante, y «la <mask> de» es lo que parece.
        tokenizer.add_special_tokens({"mask_token": AddedToken(MASK, lstrip=True, special=True)})
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(  # como BERT: frase o par de frases
            single=f"{CLS} $A {SEP}",
            pair=f"{CLS} $A {SEP} $B {SEP}",
            special_tokens=[(token, SPECIAL.index(token)) for token in (CLS, SEP)],
        )
    else:
        names = ["resid_pdrop", "embd_pdrop", "attn_pdrop"] if args.role == "decoder" else ["dropout"]
        model.config.update(dict.fromkeys(names, 0.0))
        model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=0, pad_token_id=1)
    model.half().save_pretrained(args.export)
    if args.role != "lstm":  # que no tiene tope
        tokenizer.model_max_length = args.context
    tokenizer.save_pretrained(args.export)
    edit_json(args.export / "config.json", {"dtype": "float32"})  # fp16 en disco, float32 en memoria
    # Solo lo que entienden todas las versiones desde la 5.0, y nada de la máquina en que se guardó.
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]}
    edit_json(args.export / "tokenizer_config.json", names, drop=["backend", "is_local", "local_files_only"])
    hashes = {f.name: sha256(f) for f in sorted(args.export.iterdir()) if f.suffix in {".json", ".safetensors"}}
    hashes.pop("sha256.json", None)
    (args.export / "sha256.json").write_text(json.dumps(hashes, indent=2) + "\n")
    print(f"Exportado el paso {int(done[-1].name[5:])} a {args.export}")


def edit_json(file: Path, changes: dict, drop: list[str] = ()) -> None:
    data = json.loads(file.read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in data.items() if key not in drop}
    file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="directorio con manifiesto.csv y los textos")
    parser.add_argument("--output", type=Path, required=True, help="directorio de trabajo (fuera del repositorio)")
    parser.add_argument("--export", type=Path, help="no entrena: exporta el último punto de control aquí")
    parser.add_argument("--tokenizer", type=Path, help="usa el tokenizador de este modelo en vez de aprender uno")
    parser.add_argument("--init", type=Path, help="parte de los pesos (y el tokenizador) de este modelo exportado")
    parser.add_argument("--role", choices=["decoder", "encoder", "lstm"], default="decoder", help="GPT-2, BERT o LSTM")
    parser.add_argument("--mask-rate", type=float, default=0.3, help="encoder: fracción de tokens tapados al empezar")
    parser.add_argument("--mask-rate-end", type=float, default=0.15, help="encoder: esa fracción al acabar")
    parser.add_argument("--short-steps", type=int, default=500, help="encoder: pasos con trozos 4 veces más cortos")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=16, help="secuencias por paso, entre todos los procesos")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=560, help="lstm: tamaño del estado")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--lr", type=float, default=2e-3, help="AdamW: vectores, sesgos y normas")
    parser.add_argument("--muon-lr", type=float, default=0.02, help="Muon: matrices internas")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--weight-decay-qk", type=float, help="encoder: el de consultas y claves (si no, el mismo)")
    parser.add_argument("--warmup", type=int, default=100, help="pasos de subida")
    parser.add_argument("--decay", type=float, default=0.4, help="fracción final de pasos en que baja la tasa")
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--save-every", type=int, default=250)
    parser.add_argument("--keep-before-decay", action="store_true")
    parser.add_argument("--precision", choices=["no", "bf16"], default="no")
    parser.add_argument("--compile", action="store_true", help="decoder y encoder: compila el modelo antes (GPU)")
    parser.add_argument("--cpu", action="store_true", help="no usar la GPU aunque la haya")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.export is None and args.corpus is None:
        parser.error("falta --corpus (o --export para exportar un entrenamiento hecho)")
    return args


def main(argv=None) -> None:
    args = parse(argv)
    if args.export:
        export(args)
    else:
        print(f"Pérdida final: {train(args):.4f} nats/token")


if __name__ == "__main__":
    main()
