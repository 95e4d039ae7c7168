"""Figuras de la sesión 03: las mismas que dibuja el cuaderno, a la medida de una diapositiva."""

from functools import cache

import matplotlib.pyplot as plt
import torch

from course_utils import decoding, drawing, illustrations, plots
from course_utils.illustrations import session_03 as drawn
from course_utils.models import load_model

from . import cells

SURE, UNSURE = "El rey cerró la", "El rey"


@cache
def _decoder():
    return load_model("decoder")


def _ids(text):
    return _decoder()[1](text, return_tensors="pt").input_ids


def _show(token_id):
    return decoding.show_token(_decoder()[1], token_id)


@cache
def _probs(text):
    """La distribución del siguiente token tras un texto, (V,)."""
    with torch.no_grad():
        return _decoder()[0](_ids(text)).logits[0, -1].softmax(-1)


def _first(text, n=11):
    best = _probs(text).topk(n)
    return dict(zip(map(_show, best.indices.tolist()), best.values.tolist(), strict=True))


def portada():
    """La mesa de mezclas, sobre el azul de la portada."""
    return drawing.night(drawn.cover())


def estas_aqui():
    """El camino de una frase por un Transformer: hoy, la elección."""
    return illustrations.inside_transformer(here="choice")


def top_50():
    """Las cien primeras candidatas tras «Había una vez»: las cincuenta que deja ``generate`` y las que quita."""
    return drawn.top_k_cut(_probs("Había una vez").tolist(), 50, title="Los cien primeros tras «Había una vez»")


def _frames(frames):
    model = _decoder()[0]
    two = decoding.beam_search(model, _ids("Don Quijote"), num_beams=2, max_new_tokens=4)
    greedy = decoding.generate(model, _ids("Don Quijote"), max_new_tokens=4).new_ids[0].tolist()
    return drawn.beam_frames(two.tree, _show, root="Don Quijote", greedy=greedy, pruned=1, frames=frames)


def haz_empieza():
    """La búsqueda con dos haces tras «Don Quijote», pasos 1 y 2."""
    return _frames((0, 1))


def haz_acaba():
    """La misma, pasos 3 y 4: gana la rama que la búsqueda voraz no miró."""
    return _frames((2, 3))


def voraz_gana():
    """Las sumas de la rama voraz y del haz, paso a paso, en un caso en que el haz pierde."""
    model, start = _decoder()[0], "Aquel hombre no"
    greedy = decoding.generate(model, _ids(start), max_new_tokens=12).logprobs[0].cumsum(0).tolist()
    tree = decoding.beam_search(model, _ids(start), num_beams=2, max_new_tokens=12).tree
    return drawn.pruned_too_soon(greedy, tree, title=f"Tras «{start}»")


def copias():
    """Lo que da el modelo a cada copia de una frase que no ha leído nunca; la celda es la del cuaderno."""
    space = {"tokenizer": _decoder()[1], "model": _decoder()[0], "torch": torch, "plots": plots, "plt": plt}
    from course_utils.scoring import token_logprobs

    cells.run("03", ["copias-mas-probables"], space | {"token_logprobs": token_logprobs})
    return plt.gcf()


def escalera():
    """Los tres cortes sobre las mismas barras, con el modelo seguro y con dudas."""
    panels = {f"Seguro: «{SURE}»": _first(SURE, 10), f"Con dudas: «{UNSURE}»": _first(UNSURE, 10)}
    return drawn.nucleus_staircase(panels, k=5, p=0.5, min_p=0.2, vertical=False)


def espacio_final():
    """Las candidatas tras el mismo *prompt*, sin espacio al final y con él, en la misma escala."""
    fig, axes = plt.subplots(1, 2, figsize=(13, 4.4), layout="constrained")
    for ax, text, ending in zip(axes, (SURE, SURE + " "), ("sin espacio", "con espacio al final"), strict=True):
        plots.plot_distribution(_first(text, 6), xmax=max(_first(SURE).values()), title=f"«…cerró la», {ending}", ax=ax)
    return fig
