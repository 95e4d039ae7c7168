"""`make bench`: chistes por segundo al ajustar, al lado de la receta conocida (rellenar siempre, lotes de 2).

Los dos métodos dan los mismos pasos de entrenamiento (ida, vuelta y AdamW) con los mismos chistes, intercalados en un
mismo proceso. No se afirma ningún tiempo: se imprime la tabla, y se comprueba que la memoria no es mayor.
"""

import statistics

import pytest
import torch
from measuring import interleaved, peak_of_tensors
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.trainer_pt_utils import get_length_grouped_indices

from course_utils import finetuning
from course_utils.jokes import load_jokes
from course_utils.models import load_model


def gpt2_small():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=None, pad_token_id=None))


def mini_model():
    return load_model("decoder", "mini")[0]


def train_steps(model, optimizer, collate, rows, size):
    for i in range(0, len(rows), size):
        batch = collate(rows[i : i + size])
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
        torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(
    ("name", "build", "pad_to", "batches", "rounds"),
    [("GPT-2 small al azar", gpt2_small, 512, 1, 2), ("mini", mini_model, 256, 6, 5)],
    ids=["gpt2-small", "mini"],
)
def test_jokes_per_second(name, build, pad_to, batches, rounds, mini, capsys):
    model = build().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    data = finetuning.tokenize(load_jokes("mini")["train"]["text"], mini[1], max_length=256)
    order = get_length_grouped_indices(data["length"], 8, generator=torch.Generator().manual_seed(0))
    groups = [order[i : i + 8] for i in range(0, len(order) - 8, 8)]
    middle = sorted(groups, key=lambda group: sum(data["length"][i] for i in group))  # de los cortos a los largos
    chosen = [
        middle[(2 * k + 1) * len(middle) // (2 * batches)] for k in range(batches)
    ]  # repartidos por todo el orden
    rows = [data[i] for group in chosen for i in group]
    methods = {
        "curso": (finetuning.collator(1), 8),
        f"siempre {pad_to}, de 2 en 2": (finetuning.collator(1, pad_to=pad_to), 2),
    }

    def run(method, some=rows):
        collate, size = methods[method]
        train_steps(model, optimizer, collate, some, size)

    for method in methods:  # calentamiento; y las dos cuentas aprenden de los mismos tokens
        run(method, rows[: methods[method][1]])
    labels = {
        m: sum((collate([r])["labels"] != -100).sum().item() for r in rows) for m, (collate, _) in methods.items()
    }
    assert len(set(labels.values())) == 1
    times = interleaved(run, methods, rounds)
    memory = {m: peak_of_tensors(lambda m=m: run(m, rows[: methods[m][1]])) for m in methods}  # un paso
    with capsys.disabled():
        print(f"\n{name}: {len(rows)} chistes por vuelta, {rounds} vueltas, {torch.get_num_threads()} hilos")
        print(f"  {'método':28}{'chistes/s':>10}{'veces':>8}{'memoria (MiB)':>16}")
        recipe = statistics.median(times[list(methods)[1]])
        for method, values in times.items():
            median = statistics.median(values)
            print(f"  {method:28}{len(rows) / median:10.2f}{recipe / median:8.1f}{memory[method] / 2**20:16.0f}")
    ours, theirs = (memory[method] for method in methods)
    assert ours <= theirs
