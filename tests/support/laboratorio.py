"""El motor del laboratorio frente a PyTorch, tokenizers y transformers: las mismas comprobaciones, pocas o todas.

Cada función compara lo que calcula el navegador con lo que calcula Python en ese momento; cuántos casos, lo dice quien
llama: unos pocos en ``tests/integration/test_lab_engine.py`` y todos en ``tests/nightly/test_lab.py``.
"""

import base64
import json
import math
import random
import unicodedata
from pathlib import Path

import numpy as np
import torch
from cuadernos import ROOT
from textos_raros import ODD, PIECES
from transformers import GenerationConfig

from course_utils import decoding

# La página de las pruebas: el motor y nada más, en `lab`; `pack` y `unpack` pasan números sin perder ninguno.
PAGE = """<!doctype html><html lang="es"><meta charset="utf-8"><link rel="icon" href="data:,"><title>Motor</title>
<body></body><script type="module" src="prueba.js"></script></html>
"""
SCRIPT = """
import * as lab from "./engine/index.js";
const text = (bytes) => { let all = ""; for (let i = 0; i < bytes.length; i += 32768)
  all += String.fromCharCode(...bytes.subarray(i, i + 32768)); return btoa(all); };
Object.assign(window, {
  lab,
  pack: (arrays) => text(new Uint8Array(Float32Array.from(arrays.flatMap((one) => [...one])).buffer)),
  greedy: async (engine, ids, count) => {
    let node = await engine.extend(null, ids);
    const written = [];
    while (written.length < count) {
      const next = lab.argmax(node.logits);
      written.push(next);
      if (next === engine.config.eos || written.length === count) break;
      node = await engine.extend(node, [next]);
    }
    return written;
  },
});
"""
TOLERANCE = 1e-4  # entre los logits de aquí y los de PyTorch


def write_page(folder: Path) -> None:
    """Deja en un laboratorio ya montado la página de las pruebas, ``prueba.html``."""
    (folder / "prueba.html").write_text(PAGE, encoding="utf-8")
    (folder / "prueba.js").write_text(SCRIPT, encoding="utf-8")


def start(page, url: str, simd) -> dict:
    """Abre la página de las pruebas y carga el motor en ``window.engine``; devuelve lo que dice de sí mismo."""
    page.goto(url + "prueba.html")
    page.wait_for_function("window.lab")
    return page.evaluate(
        """async (simd) => {
            window.engine = await lab.load({ simd });
            const { simd: used, hash, bytes, cached, nodes } = engine;
            return { simd: used, hash, bytes, cached, nodes };
        }""",
        simd,
    )


def ask(page, function: str, argument=None):
    """``page.evaluate`` por JSON: con listas de miles de números, Playwright solo tarda mucho más."""
    call = f"async (text) => JSON.stringify(await ({function})(JSON.parse(text)))"
    return json.loads(page.evaluate(call, json.dumps(argument)))


def unpack(text: str) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype="<f4").copy())


# --- Textos -------------------------------------------------------------------------------------------


def embedded_texts() -> list[str]:
    """Los textos del curso: la novela, los chistes y los demás."""
    data = ROOT / "course_utils" / "data"
    texts = [line for line in (data / "novela.txt").read_text(encoding="utf-8").split("\n") if line]
    for path in sorted(data.glob("*.jsonl")):
        texts += [json.loads(line).get("text", "") for line in path.read_text(encoding="utf-8").splitlines()]
    return [text for text in texts if text]


def strings(count: int) -> list[str]:
    """``count`` textos: los raros, la mitad de los demás al azar con piezas difíciles y la otra mitad, del curso."""
    rng = random.Random(19)
    made = ["".join(rng.choices(PIECES, k=rng.randint(1, 40))) for _ in range((count - len(ODD)) // 2)]
    texts = embedded_texts()
    return [*ODD, *made, *rng.sample(texts, count - len(ODD) - len(made))]


def prompts(tokenizer, lengths: list[int]) -> list[list[int]]:
    """Un trozo de la novela de cada largo, en ids."""
    text = (ROOT / "course_utils" / "data" / "novela.txt").read_text(encoding="utf-8")
    ids, rng = tokenizer(text).input_ids, random.Random(1605)
    return [ids[start : start + n] for n in lengths for start in [rng.randrange(len(ids) - n)]]


# --- El tokenizador -----------------------------------------------------------------------------------


def check_tokenizer(page, tokenizer, count: int) -> None:
    """Ids y textos iguales, de ida y de vuelta; ``count`` textos y otras tantas listas de ids al azar."""
    texts = strings(count)
    assert len(set(texts)) > 0.98 * count and any(unicodedata.normalize("NFC", text) != text for text in texts)
    expected = [tokenizer(text).input_ids for text in texts]
    found = ask(page, "(texts) => texts.map((text) => engine.tokenizer.encode(text))", texts)
    assert [text for text, a, b in zip(texts, found, expected, strict=True) if a != b] == []
    rng = random.Random(3)
    lists = expected + [[rng.randrange(len(tokenizer)) for _ in range(rng.randint(1, 30))] for _ in range(count)]
    for skip in (True, False):
        decoded = ask(
            page,
            "([lists, skipSpecial]) => lists.map((ids) => engine.tokenizer.decode(ids, { skipSpecial }))",
            [lists, skip],
        )
        assert decoded == tokenizer.batch_decode(lists, skip_special_tokens=skip)
    shown = ask(page, "() => Array.from({ length: 4100 }, (_, id) => engine.tokenizer.show(id))")
    assert shown == [decoding.show_token(tokenizer, i) for i in range(4100)]


def different_characters(page, tokenizer) -> list[str]:
    """Los caracteres de Unicode que no se parten, o no se normalizan, igual aquí que en la biblioteca tokenizers."""
    codes = [
        *range(0xD800),
        *range(0xE000, 0x40000),
        *range(0xE0000, 0xE0200),
        0xF0000,
        0x10FFFF,
    ]  # más allá no hay nada
    characters = [chr(code) for code in codes]
    different = []
    for start in range(0, len(characters), 50000):
        some = characters[start : start + 50000]
        expected = tokenizer([f"a{c}b {c}1{c} \n{c}" for c in some]).input_ids
        found = ask(page, "(all) => all.map((c) => engine.tokenizer.encode(`a${c}b ${c}1${c} \\n${c}`))", some)
        different += [f"U+{ord(c):04X}" for c, a, b in zip(some, found, expected, strict=True) if a != b]
    return different


# --- El modelo ----------------------------------------------------------------------------------------


def check_logits(page, model, tokenizer, lengths: list[int], *, every_position: bool) -> float:
    """La mayor diferencia con los logits de PyTorch, en *prompts* de esos largos."""
    worst = 0.0
    for ids in prompts(tokenizer, lengths):
        with torch.inference_mode():
            expected = model(torch.tensor([ids])).logits[0]
        packed = ask(
            page,
            """async ([ids, all]) => {
                const node = await engine.extend(null, ids);
                const logits = node.path().map((one) => one.logits);
                engine.keep([]);
                return pack(all ? logits : logits.slice(-1));
            }""",
            [ids, every_position],
        )
        found = unpack(packed).view(-1, model.config.vocab_size)
        expected = expected if every_position else expected[-1:]
        assert found.shape == expected.shape
        worst = max(worst, (found - expected).abs().max().item())
    assert worst <= TOLERANCE
    return worst


def check_greedy(page, model, tokenizer, lengths: list[int], new: int) -> None:
    """El mismo texto que ``generate`` sin muestreo, desde *prompts* de esos largos."""
    for ids in prompts(tokenizer, lengths):
        expected = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=new, do_sample=False
        )
        found = ask(page, "([ids, count]) => greedy(engine, ids, count)", [ids, new])
        assert tokenizer.decode(found) == tokenizer.decode(expected[0, len(ids) :])
        assert found == expected[0, len(ids) :].tolist()
    page.evaluate("engine.keep([])")


def check_attention(page, model, tokenizer, lengths: list[int]) -> None:
    """Los pesos de atención de cada capa, cabeza y token, frente a ``output_attentions``."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        for ids in prompts(tokenizer, lengths):
            with torch.inference_mode():
                expected = torch.stack(model(torch.tensor([ids]), output_attentions=True).attentions)[
                    :, 0
                ]  # (L, H, T, T)
            packed = ask(
                page,
                """async (ids) => {
                    const path = (await engine.extend(null, ids)).path();
                    const { n_layer, n_head } = engine.config;
                    const rows = [];
                    for (let layer = 0; layer < n_layer; layer++) for (let head = 0; head < n_head; head++)
                      for (const node of path)
                        rows.push([...node.attention(layer, head), ...Array(path.length - node.depth).fill(0)]);
                    return pack(rows);
                }""",
                ids,
            )
            assert (unpack(packed).view(expected.shape) - expected).abs().max() < 1e-5
    finally:
        model.set_attn_implementation(before)


# --- El dado ------------------------------------------------------------------------------------------


def splitmix(seed: int, count: int) -> list[float]:
    """SplitMix32, en enteros de Python."""
    mask, numbers = 0xFFFFFFFF, []
    state = (seed ^ (seed >> 32)) & mask
    for _ in range(count):
        state = (state + 0x9E3779B9) & mask
        mixed = (state ^ (state >> 16)) * 0x21F0AAAD & mask
        mixed = (mixed ^ (mixed >> 15)) * 0x735A2D97 & mask
        numbers.append((mixed ^ (mixed >> 15)) / 2**32)
    return numbers


# --- Los filtros --------------------------------------------------------------------------------------


def random_settings(rng: random.Random) -> dict:
    """Unos ajustes cualesquiera; los que no hacen nada salen a menudo."""
    return {
        "temperature": rng.choice([1.0, 1.0, 0.01, 0.3, 0.7, 1.3, 2.0, 10.0, rng.uniform(0.05, 3)]),
        "topK": rng.choice([0, 0, 1, 2, 5, 40, 4095, 4096, 5000, rng.randrange(1, 4097)]),
        "topP": rng.choice([1.0, 1.0, 0.05, 0.5, 0.9, 0.95, 0.999, rng.uniform(0.01, 1)]),
        "minP": rng.choice([0.0, 0.0, 0.01, 0.05, 0.5, 1.0, rng.uniform(0.001, 1)]),
        "repetitionPenalty": rng.choice([1.0, 1.0, 1.2, 0.8, 2.0, rng.uniform(0.5, 3)]),
    }


def huggingface(model, settings: dict, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Los logits tras los procesadores que monta ``generate`` con esos ajustes, en su orden: (V,)."""
    names = {"topK": "top_k", "topP": "top_p", "minP": "min_p", "repetitionPenalty": "repetition_penalty"}
    options = {names.get(name, name): value for name, value in settings.items()}
    greedy = options["temperature"] == 0
    config = GenerationConfig(
        do_sample=not greedy, **({"repetition_penalty": options["repetition_penalty"]} if greedy else options)
    )
    config._eos_token_tensor = None
    processors = model._get_logits_processor(
        config,
        input_ids_seq_length=ids.size(1),
        encoder_input_ids=None,
        prefix_allowed_tokens_fn=None,
        logits_processor=[],
    )
    return processors(ids, logits[None].clone())[0]


def check_filters(page, model, tokenizer, count: int) -> None:
    """Quedan los mismos tokens y logits con ``count`` ajustes al azar; en uno de cada cinco, con empates."""
    rng = random.Random(2020)
    contexts = prompts(tokenizer, [1, 5, 20, 60, 120])
    made = ask(
        page,
        """async (contexts) => {
            window.vectors = [];
            for (const ids of contexts) vectors.push((await engine.extend(null, ids)).logits.slice());
            for (const logits of vectors.slice()) vectors.push(logits.map((logit) => Math.round(logit)));
            engine.keep([]);
            return pack(vectors);
        }""",
        contexts,
    )
    vectors = unpack(made).view(len(contexts) * 2, -1)
    cases = []
    for number in range(count):
        which = rng.randrange(len(contexts)) + (len(contexts) if number % 5 == 0 else 0)
        settings = random_settings(rng) | ({"temperature": 0} if number % 25 == 0 else {})
        cases.append([settings, contexts[which % len(contexts)], which])
    found = ask(
        page,
        """(cases) => cases.map(([settings, ids, which]) => {
            return pack([lab.applyAll(lab.pipeline(settings), vectors[which], ids)]);
        })""",
        cases,
    )
    filtered = 0
    for (settings, ids, which), packed in zip(cases, found, strict=True):
        expected, logits = huggingface(model, settings, torch.tensor([ids]), vectors[which]), unpack(packed)
        differ = logits != expected
        if which >= len(contexts) and settings["topP"] < 1:  # de los que empatan en el límite, torch quita cualesquiera
            kept = torch.cat([logits[differ], expected[differ]])
            assert len(kept[kept.isfinite()].unique()) <= 1, settings
            logits, expected = logits.sort().values, expected.sort().values
        assert torch.equal(logits, expected), (settings, which, int(differ.sum()))
        filtered += bool(expected.isneginf().any())
    assert filtered > count / 2


# --- La búsqueda en haz -------------------------------------------------------------------------------


def beam_cases(tokenizer, count: int) -> list[dict]:
    """Anchuras de 2 a 8, penalizaciones por longitud, fines de texto que llegan pronto y el final del contexto."""
    rng = random.Random(7)
    ends = [tokenizer.encode(text)[0] for text in (".", ",", " de")]
    cases = []
    for number in range(count):
        new = rng.randint(3, 10)
        length = 256 - new if number % 10 == 9 else rng.randint(1, 40)
        options = {"numBeams": 2 + number % 7, "maxNewTokens": new, "lengthPenalty": rng.choice([1, 0, 0.5, 2, -1])}
        cases.append({"ids": prompts(tokenizer, [length + 1])[0][1:], **options, "eos": rng.choice([0, *ends])})
    return cases


def check_beams(page, model, tokenizer, count: int) -> None:
    """Las mismas secuencias y puntuaciones que ``generate`` y el mismo árbol que ``course_utils``."""
    ended = 0
    for case in beam_cases(tokenizer, count):
        ids, width = torch.tensor([case["ids"]]), case["numBeams"]
        options = dict(num_beams=width, max_new_tokens=case["maxNewTokens"], length_penalty=case["lengthPenalty"])
        options |= dict(eos_token_id=case["eos"], pad_token_id=1, num_return_sequences=width)
        expected = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, early_stopping=False,
            return_dict_in_generate=True, output_scores=True, **options,
        )  # fmt: skip
        levels, tree, best = ask(
            page,
            """async ({ ids, ...options }) => {
                engine.keep([]);
                const search = lab.beamSearch(engine, await engine.extend(null, ids), options);
                const levels = [];
                for (;;) {
                    const { value, done } = await search.next();
                    if (!done) { levels.push(value.length); continue; }
                    const plain = value.tree.map(({ node, ...entry }) => ({ ...entry, read: Boolean(node) }));
                    return [levels, plain, value.best];
                }
            }""",
            case,
        )
        new = expected.sequences[:, ids.size(1) :].tolist()
        for row, (found, sequence) in enumerate(zip(best, new, strict=True)):
            assert found["ids"] == sequence[: len(found["ids"])], (case, row)
            assert set(sequence[len(found["ids"]) :]) <= {1}, (case, row)  # lo demás es relleno
            ended += case["eos"] in found["ids"]
        scores = torch.tensor([found["score"] for found in best])
        assert torch.allclose(scores, expected.sequences_scores, atol=1e-4), case
        check_tree(tree, levels, decoding.beam_search(model, ids, **options).tree, case)
    assert ended > 0


def check_tree(found: list[dict], levels: list[int], expected, case) -> None:
    assert sum(levels) == len(found) == len(expected) and set(levels) == {2 * case["numBeams"]}
    for index, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        assert mine["index"] == index
        names = ("parent", "token_id", "step", "status")
        assert [mine[name.removesuffix("_id")] for name in names] == [getattr(theirs, name) for name in names], (
            case,
            index,
        )
        for name in ("total", "score"):  # con penalización negativa, la puntuación multiplica
            assert math.isclose(mine[name], getattr(theirs, name), rel_tol=1e-5, abs_tol=1e-4), (mine, theirs, case)
        assert not mine["read"] or mine["status"] == "viva"
