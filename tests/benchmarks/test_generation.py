"""`make bench`: cuánto tarda nuestro bucle al lado de otros, como cociente de medianas de vueltas intercaladas.

Las vueltas se alternan en un mismo proceso, así que un frenazo de la máquina afecta a todos por igual. Aquí no se
afirma ningún tiempo: solo se imprime la tabla, y se comprueba que todos escriben lo mismo.
"""

import statistics

import pytest
import torch
from measuring import interleaved, peak_of_tensors
from transformers import GPT2Config, GPT2LMHeadModel

from course_utils import decoding
from course_utils.models import load_model

NEW_TOKENS, PROMPT_LENGTH = 100, 32


def recompute_and_sort(model, ids):
    """El bucle de muchos tutoriales: recalcula todo en cada paso y ordena el vocabulario entero."""
    for _ in range(NEW_TOKENS):
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits[:, -1]
        ranked = logits.softmax(-1).sort(descending=True)
        ids = torch.cat([ids, ranked.indices[:, :1]], 1)
    return ids


@torch.inference_mode()
def barest(model, ids):
    """Lo mínimo: modelo y argmax, con su caché."""
    cache, new = None, ids
    for _ in range(NEW_TOKENS):
        out = model(input_ids=new, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, new = out.past_key_values, out.logits[:, -1].argmax(-1, keepdim=True)
        ids = torch.cat([ids, new], 1)
    return ids


METHODS = {
    "curso": lambda model, ids: decoding.generate(model, ids, max_new_tokens=NEW_TOKENS).sequences,
    "model.generate": lambda model, ids: model.generate(
        ids, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None, pad_token_id=0
    ),
    "bucle mínimo": barest,
    "recalcular y ordenar": recompute_and_sort,
}


@pytest.fixture(scope="module")
def gpt2_small():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=None)).eval()


@pytest.mark.parametrize(("name", "rounds"), [("mini", 21), ("GPT-2 small al azar", 5)])
def test_generation_ratios(name, rounds, mini, gpt2_small, capsys):
    model = mini[0] if name == "mini" else gpt2_small
    ids = torch.randint(5, 4000, (1, PROMPT_LENGTH), generator=torch.Generator().manual_seed(0))
    outputs = {method: METHODS[method](model, ids) for method in METHODS}  # calentamiento
    assert all(torch.equal(out, outputs["curso"]) for out in outputs.values()), "los métodos no escriben lo mismo"

    times = interleaved(lambda method: METHODS[method](model, ids), METHODS, rounds)
    memory = {m: peak_of_tensors(lambda m=m: METHODS[m](model, ids)) for m in ("curso", "model.generate")}
    ours = statistics.median(times["curso"])
    with capsys.disabled():
        print(
            f"\n{name}: voraz, prompt de {PROMPT_LENGTH} tokens y {NEW_TOKENS} nuevos, "
            f"{torch.get_num_threads()} hilos, {rounds} vueltas intercaladas"
        )
        print(f"  {'método':24}{'mediana (s)':>12}{'veces el curso':>16}")
        for method, values in times.items():
            median = statistics.median(values)
            print(f"  {method:24}{median:12.3f}{median / ours:16.2f}")
        share = memory["curso"] / memory["model.generate"]
        print(
            f"  memoria máxima en tensores: {memory['curso'] / 2**20:.2f} MiB, {share:.2f} veces la de model.generate"
        )


def test_what_a_token_costs_to_the_lstm_and_to_the_decoder(mini, capsys):
    """Lo que cuenta la sesión A1: escribir un token más, con poco y con mucho leído."""
    models, tokens, rounds = {"LSTM": load_model("lstm", "mini")[0], "Transformer": mini[0]}, 40, 15
    read = {n: torch.randint(5, 4000, (1, n), generator=torch.Generator().manual_seed(0)) for n in (16, 215)}

    def write(case):
        name, n = case
        return decoding.generate(models[name], read[n], max_new_tokens=tokens).sequences

    cases = [(name, n) for name in models for n in read]
    assert all(write(case).size(1) == case[1] + tokens for case in cases)  # calentamiento
    times = interleaved(write, cases, rounds)
    middle = {case: statistics.median(values) for case, values in times.items()}
    with capsys.disabled():
        print(f"\n{tokens} tokens nuevos tras leer 16 o 215, {torch.get_num_threads()} hilos, {rounds} vueltas")
        print(f"  {'modelo':14}{'tras 16 (s)':>12}{'tras 215 (s)':>14}{'veces':>8}{'veces la LSTM':>16}")
        for name in models:
            little, much = middle[name, 16], middle[name, 215]
            print(f"  {name:14}{little:12.3f}{much:14.3f}{much / little:8.2f}{much / middle['LSTM', 215]:16.2f}")
