"""El perfil mediano, frente a ``model.generate`` y a la suma a mano: lo mismo, token por token y nat por nat."""

import itertools
import math
import re
from pathlib import Path

import pytest
import torch
from absent import missing

from course_utils import attention, decoding, mediano, models, scoring
from course_utils.jokes import load_jokes, load_literary
from course_utils.models import load_model
from tools import record

PROMPTS = [
    "Había una vez",
    "La capital de Francia es",
    "Me gusta el café con ",
    "En un lugar de la Mancha",
    "Para hacer una tortilla hacen falta",
    "¿Qué le dijo un pez a otro?",
    "—Doctor, doctor,",
    "El gobierno anunció ayer",
    "1, 2, 3, 4,",
    "Querida abuela:\n",
    "def suma(a, b):\n    return",
    "Una pingüina y un ñandú 🐧",
    "Érase",
    "La temperatura máxima de hoy",
    "«Nunca», respondió ella,",
    "Ingredientes:\n- ",
    "Si llueve mañana, entonces",
    "The translation of «gato» is",
    "El primer presidente de México fue",
    "Y colorín, colorado,",
]


@pytest.fixture(scope="module")
def llm():
    if not mediano.is_installed() and not mediano.is_ready(mediano.ready_folder()):
        missing("no está instalado el perfil mediano (make llm)")
    return load_model("decoder", "mediano")


def encode(tokenizer, prompt):
    return tokenizer(prompt, return_tensors="pt").input_ids


def options(tokenizer):
    return {"max_new_tokens": 20, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_three_strategies_write_what_hugging_face_writes(llm, prompt):
    model, tokenizer = llm
    ids, common = encode(tokenizer, prompt), options(tokenizer)
    theirs = {"attention_mask": torch.ones_like(ids), "top_k": 0, **common}
    ours = decoding.generate(model, ids, **common)
    assert torch.equal(ours.sequences, model.generate(ids, do_sample=False, **theirs))
    ours = decoding.beam_search(model, ids, num_beams=4, **common)
    assert torch.equal(ours.sequences, model.generate(ids, do_sample=False, num_beams=4, **theirs))
    torch.manual_seed(5)
    transforms = [decoding.temperature(0.8), decoding.top_p(0.9)]
    ours = decoding.generate(model, ids, select=decoding.sample, transforms=transforms, **common)
    torch.manual_seed(5)
    sampled = model.generate(ids, do_sample=True, temperature=0.8, top_p=0.9, **theirs)
    assert torch.equal(ours.sequences, sampled)


def test_a_batch_with_padding_writes_the_same(llm):
    model, tokenizer = llm
    tokenizer.padding_side = "left"
    batch = tokenizer(PROMPTS[:6], return_tensors="pt", padding=True)
    ours = decoding.generate(model, **batch, **options(tokenizer))
    assert torch.equal(ours.sequences, model.generate(**batch, do_sample=False, top_k=0, **options(tokenizer)))


def test_perplexity_is_the_sum_by_hand(llm):
    model, tokenizer = llm
    texts = [*load_jokes("mini")["test"]["text"][:5], *load_literary()[:5]]
    found = scoring.perplexity(model, tokenizer, texts, batch_size=1)
    for text, part in zip(texts, found.per_text, strict=True):
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]])
        with torch.inference_mode():
            logits = model(ids).logits[0].double()
        nll = sum(-logits[t].log_softmax(-1)[ids[0, t + 1]].item() for t in range(ids.size(1) - 1))
        assert part.nll / part.n_tokens == pytest.approx(nll / (ids.size(1) - 1), abs=1e-3)
        assert part.bits_per_char == pytest.approx(nll / math.log(2) / len(text), rel=1e-4)


def test_attention_can_be_looked_at(llm):
    model, tokenizer = llm
    ids = encode(tokenizer, "El gato se comió el pescado")
    maps = attention.capture_attention(model, ids)  # (L, B, H, T, T)
    assert maps.shape == (18, 1, 4, ids.size(1), ids.size(1))
    assert torch.allclose(maps.sum(-1), torch.ones(maps.shape[:-1]), atol=1e-4)
    assert maps.triu(1).abs().max() == 0


def test_the_tokenizer_is_the_one_of_the_file(llm, tmp_path):
    """SentencePiece a mano: lo que el fichero da por hecho (saltos de línea, huecos, etiquetas) es un token entero; lo
    demás se parte en letras y se une, cada vez, la pareja que forma el token de mayor puntuación."""
    import gguf

    mediano._join(mediano.GEMMA, tmp_path / "model.gguf")
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    tokens = [bytes(fields["tokenizer.ggml.tokens"].parts[i]).decode() for i in fields["tokenizer.ggml.tokens"].data]
    scores, kinds = (
        [fields[f"tokenizer.ggml.{name}"].parts[i].item() for i in fields[f"tokenizer.ggml.{name}"].data]
        for name in ("scores", "token_type")
    )
    index = {token: i for i, token in enumerate(tokens)}
    whole = [token for token, kind in zip(tokens, kinds, strict=True) if kind == gguf.TokenType.USER_DEFINED]
    whole = re.compile("|".join(map(re.escape, sorted(whole, key=len, reverse=True))))

    def merge(text):
        pieces = list(text.replace(" ", "▁"))
        while True:
            pairs = [(index.get(a + b), place) for place, (a, b) in enumerate(itertools.pairwise(pieces))]
            found = [(scores[token], -place) for token, place in pairs if token is not None]
            if not found:
                break
            place = -max(found)[1]
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        single = [
            [index[piece]] if piece in index else [index[f"<0x{b:02X}>"] for b in piece.encode()] for piece in pieces
        ]
        return [token for tokens_ in single for token in tokens_]

    def by_hand(text):
        ids, begin = [], 0
        for found in whole.finditer(text):
            ids += [*merge(text[begin : found.start()]), index[found[0]]]
            begin = found.end()
        return ids + merge(text[begin:])

    odd = ["a  b   c", "<table>\n\n\n   hola</td>", "\t\tx\t", "7\u00a0000 € ‰", " ", "¡Ñ!\r\n"]
    for text in [*PROMPTS, *load_jokes("mini")["test"]["text"], *load_literary(), *odd]:
        ids = llm[1](text, add_special_tokens=False).input_ids
        assert ids == by_hand(text), text
        assert llm[1].decode(ids) == text


def test_the_card_says_the_bits_per_character_of_both_models(llm):
    text = (Path(models.__file__).parent / "checkpoints" / "mediano.md").read_text(encoding="utf-8")
    small, large = record.figures(*load_model("decoder", "mini")), record.figures(*llm)
    for name in small:
        row = f"| {name} | {small[name]:.2f} | {large[name]:.2f} |".replace(".", ",")
        assert row in text
