"""`make bench`: puntuar un corpus con `perplexity` y con el bucle de costumbre, un texto y una ventana cada vez.

Los dos con sus valores por defecto, en vueltas intercaladas de un mismo proceso, y cociente de medianas, como en
test_generation.py. Los dos dan los mismos números; con dos núcleos, en 200 textos cortos y 5 largos, todos distintos,
`perplexity` debe ir al menos el doble de deprisa. Con uno solo no llega: casi todo su tiempo son multiplicaciones, y
son las mismas; solo se ahorra lo que cuesta cada llamada.
"""

import statistics

import pytest
import torch
from measuring import interleaved

from course_utils import scoring

WINDOW, STRIDE, ROUNDS = 256, 128, 7  # el contexto del modelo y la mitad
PIECES = (
    "El ventero dijo que no había más cena que unas truchuelas. ",
    "—¿Y quién ha de pagarlas? —preguntó la moza, que no se fiaba de nadie. ",
    "Llovía sobre los tejados del pueblo, y el cura, que volvía de la ermita, apretó el paso. ",
    "Nadie supo nunca de dónde había salido aquel caballo blanco. ",
    "—Señor, si vuestra merced no manda otra cosa, yo me voy a dormir. ",
)


def corpus():
    """200 textos cortos, de una o dos frases, y 5 largos, de algo más de dos ventanas."""
    pick = torch.Generator().manual_seed(0)

    def text(number, n_pieces):
        pieces = torch.randint(len(PIECES), (n_pieces,), generator=pick).tolist()
        return f"{number}. " + "".join(PIECES[i] for i in pieces)

    return [text(i, 1 + i % 2) for i in range(200)], [text(i, 24 + i) for i in range(5)]


def usual_loop(model, tokenizer, texts):
    """El bucle de la documentación de Hugging Face (perplexity): etiquetas -100 para lo que ya se puntuó."""
    total = 0.0
    for text in texts:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, verbose=False).input_ids]])
        previous = 0
        for begin in range(0, ids.size(1), STRIDE):
            end = min(begin + WINDOW, ids.size(1))
            window = ids[:, begin:end]
            labels = window.clone()
            labels[:, : previous - begin] = -100
            with torch.no_grad():
                loss = model(window, labels=labels).loss
            total += loss.item() * (labels[:, 1:] != -100).sum().item()
            previous = end
            if end == ids.size(1):
                break
    return total


def ours(model, tokenizer, texts):
    return scoring.perplexity(model, tokenizer, texts).nll


METHODS = {"curso": ours, "bucle de costumbre": usual_loop}


def test_at_least_twice_the_usual_loop(mini, capsys):
    model, tokenizer = mini
    short, long = corpus()
    groups = {"200 cortos": short, "5 largos": long, "todos": short + long}
    ratios = {}
    for name, texts in groups.items():
        sizes = sorted(len(tokenizer(text, verbose=False).input_ids) for text in texts)
        found = {method: METHODS[method](model, tokenizer, texts) for method in METHODS}  # calentamiento
        assert found["curso"] == pytest.approx(found["bucle de costumbre"], rel=1e-5)
        times = interleaved(lambda m, texts=texts: METHODS[m](model, tokenizer, texts), METHODS, ROUNDS)
        median = {method: statistics.median(values) for method, values in times.items()}
        ratios[name] = median["bucle de costumbre"] / median["curso"]
        with capsys.disabled():
            print(
                f"\n{name}: de {sizes[0]} a {sizes[-1]} tokens (mediana {sizes[len(sizes) // 2]}), "
                f"{torch.get_num_threads()} hilos, {ROUNDS} vueltas intercaladas"
            )
            for method, seconds in median.items():
                print(f"  {method:20}{seconds:9.3f} s{sum(sizes) / seconds:9.0f} tokens/s")
            print(f"  el curso va {ratios[name]:.2f} veces más deprisa")
    assert ratios["todos"] >= (2 if torch.get_num_threads() > 1 else 1.3)
