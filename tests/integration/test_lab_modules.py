"""Los módulos del laboratorio que no dibujan, en Chromium y sin modelo: cuentas hechas a mano, y qué pasa en un límite.

Lo que hacen con el modelo de verdad lo miran las demás pruebas del laboratorio; aquí, lo que allí no llega a verse.
"""

import base64
import json
import math

import laboratorio
import numpy as np
import pytest

from tools import lab as build_lab


@pytest.fixture(scope="module")
def page(browser, serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("laboratorio en español")
    build_lab.assemble(folder)
    (folder / "vacia.html").write_text('<!doctype html><html lang="es"><title>Nada</title></html>', encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(serve(folder) + "vacia.html")
    yield page
    context.close()


def ask(page, module: str, expressions: list[str], argument=None) -> list:
    """Lo que valen unas expresiones: ``m`` es el módulo; ``x``, el argumento; y un error, su mensaje."""
    code = f"""async (x) => {{
        const m = await import(new URL({json.dumps(module)}, document.baseURI));
        const node = (parent, logprob) => ({{ parent, logprob, depth: parent ? parent.depth + 1 : 1 }});
        const values = [];
        for (const one of [{", ".join(f"async () => ({one})" for one in expressions)}])
            values.push(await one().catch((error) => error.message));
        return values;
    }}"""
    return page.evaluate(code, argument)


def check(page, module: str, expected: dict) -> None:
    found = ask(page, module, list(expected))
    wrong = {e: (got, want) for (e, want), got in zip(expected.items(), found, strict=True) if not same(got, want)}
    assert not wrong


def same(got, want) -> bool:
    if isinstance(want, str) and isinstance(got, str) and want.startswith("…"):  # de un mensaje, un trozo
        return want[1:] in got
    if isinstance(want, float) and isinstance(got, int | float):
        return math.isclose(got, want, rel_tol=1e-6) or (math.isnan(got) and math.isnan(want))
    if isinstance(want, list) and isinstance(got, list):
        return len(got) == len(want) and all(map(same, got, want))
    return got == want


# --- Cómo se escribe y cómo se mide -------------------------------------------------------------------


def test_numbers_are_written_in_spanish(page):
    thin = "\u202f"
    check(page, "format.js", {
        "m.number(12345.67)": f"12{thin}345,7", "m.number(1234567.8, 0)": f"1{thin}234{thin}568",
        "m.number(1549)": "1549,0", "m.number(9999.4, 0)": "9999", "m.number(9999.6, 0)": f"10{thin}000",
        "m.number(-12345.67, 2)": f"−12{thin}345,67", "m.number(-0.96, 2)": "−0,96", "m.number(-0.04)": "0,0",
        "m.number(0, 0)": "0", "m.number(NaN)": "—", "m.number(null)": "—", "m.number(undefined)": "—",
        "m.number(Infinity)": "∞", "m.number(-Infinity)": "−∞",
        "m.percent(0.1214)": f"12,1{thin}%", "m.percent(1, 0)": f"100{thin}%", "m.percent(0)": f"0,0{thin}%",
        "m.percent(0.00049)": f"<{thin}0,1{thin}%", "m.percent(0.00051)": f"0,1{thin}%",
        "m.percent(0.000049, 2)": f"<{thin}0,01{thin}%", "m.percent(0.000051, 2)": f"0,01{thin}%",
        "m.percent(0.0049, 0)": f"<{thin}1{thin}%", "m.percent(0.0009)": f"0,1{thin}%",
        "m.megabytes(17943210)": f"17,9{thin}MB",
        "m.count(1, 'token', 'tokens')": "1 token", "m.count(0, 'token', 'tokens')": "0 tokens",
        "m.count(12345, 'token', 'tokens')": f"12{thin}345 tokens",
    })  # fmt: skip


def test_the_measures_of_a_text_are_the_ones_done_by_hand(page):
    """Tres tokens: el primero, que nadie predijo; otro, de probabilidad 1/4, y otro, de 1/16."""
    text = (
        "[node(null, NaN)].flatMap((a) => { const b = node(a, -Math.log(4)); return [a, b, node(b, -Math.log(16))]; })"
    )
    check(page, "ui/measures.js", {
        f"m.path({text}[2]).map((one) => one.depth)": [1, 2, 3], f"m.bits({text}[2])": 4.0,
        "m.characters('a😀ñ')": 3, "m.rank([1, 3, 3, 0, 5], 1)": 2, "m.rank([1, 3, 3, 0, 5], 4)": 1,
        f"Object.values(m.measure({text}, 12))": [2, 6.0, 8.0, 0.5], f"m.measure({text}, 0).bitsPerCharacter": math.nan,
        f"Object.values(m.measure({text}.slice(0, 1), 12))": [0, 0.0, math.nan, math.nan],
    })  # fmt: skip
    check(page, "panels/measures.js", {
        f"m.surprises({text})": [2.0, 4.0], f"m.perplexity({text})": 8.0, f"m.logP({text}.slice(1))": -math.log(64),
        "m.ranking([1, 3, 0, 3])": [1, 3, 0, 2], "m.rankOf([1, 3, 0, 3], 3)": 2, "m.rankOf([1, 3, 0, 3], 1)": 1,
        "m.rankOf([1, 3, 0, 3], 2)": 4, "m.kept([0, -Infinity, -9])": 2, "m.bits(0.125)": 3.0, "m.mean([1, 2, 6])": 3.0,
        "m.distinctPairs([1, 2, 1, 2, 3])": 0.75, "m.distinctPairs([1, 1, 1])": 0.5,
        "m.tokenId({config: {eos: 7, vocab_size: 3}, tokenizer: {show: (id) => 'abc'[id]}}, 'EOS')": 7,
        "m.tokenId({config: {eos: 7, vocab_size: 3}, tokenizer: {show: (id) => 'abca'[id]}}, 'c')": 2,
        "m.tokenId({config: {eos: 7, vocab_size: 3}, tokenizer: {show: (id) => 'abcd'[id]}}, 'd')": "…«d»",
        "[...m.attention({attention: (layer, head) => Float32Array.of(layer, head)}, 3, 1, 2)]": [3, 1],
        "[...m.attention({attention: (layer, head) => Float32Array.of(layer, head)}, 3, 2, 2)]": [3.0, 0.5],
    })  # fmt: skip


# --- El dado ------------------------------------------------------------------------------------------


def test_the_dice_is_the_same_in_every_browser(page):
    seeds = [0, 1, 2**31 - 1, 2**40 + 3, 2**53 - 1]
    roll = "x.map((seed) => { const roll = m.rng(seed); return Array.from({ length: 50 }, () => roll()); })"
    assert ask(page, "engine/decoding.js", [roll], seeds)[0] == [laboratorio.splitmix(seed, 50) for seed in seeds]
    check(page, "engine/decoding.js", {"m.rng(2 ** 53)": "…semilla", "m.rng(-1)": "…semilla", "m.rng(0.5)": "…semilla"})


def test_what_the_dice_chooses_and_how_much_doubt_there_is(page):
    probs = "Float32Array.of(0, 0.25, 0, 0.5, 0.25, 0)"
    rolls = {0: 1, 0.2499: 1, 0.25: 3, 0.7499: 3, 0.75: 4, 0.9999999: 4, 1: 4}
    check(page, "engine/decoding.js", {
        **{f"m.sample({probs}, () => {roll})": chosen for roll, chosen in rolls.items()},
        "m.sample(Float32Array.of(2, 2, 4), () => 0.5)": 2, "m.sample([0, 0], () => 0)": "…ningún token",
        f"m.entropy({probs})": 1.5, "m.entropy([1, 0])": 0.0, "m.argmax([-3, -1, -1])": 1, "m.argmax([-3])": 0,
        "[...m.softmax([0, Math.log(3), -Infinity])]": [0.25, 0.75, 0.0], "[...m.softmax([-1000, -1000])]": [0.5, 0.5],
    })  # fmt: skip


# --- Mandos, enlaces y Python -------------------------------------------------------------------------

LIMITS = {
    "temperature": (0, 5), "topK": (0, 4096), "topP": (0.01, 1), "minP": (0, 1), "repetitionPenalty": (1, 3),
    "seed": (0, 2**31 - 1), "maxNewTokens": (1, 256),
}  # fmt: skip
WHOLE = ("topK", "seed", "maxNewTokens")


@pytest.mark.parametrize("name", LIMITS)
def test_a_setting_admits_its_limits_and_nothing_beyond(page, name):
    least, most = LIMITS[name]
    step = 1 if name in WHOLE else 0.001
    shown = " y ".join(str(limit).replace(".", ",") for limit in (least, most))
    kind = "un número entero" if name in WHOLE else "un número"
    outside = (least - step, most + step, "'1'")
    check(page, "ui/settings.js", {
        **{f"m.validate({{ {name}: {value} }}).{name}": value for value in (least, most)},
        **{f"m.validate({{ {name}: {value} }})": f"…{kind} entre {shown}" for value in outside},
        f"m.validate({{ {name}: 1.5 }})": {name: 1.5} if name not in WHOLE and most > 1.5 else f"…{kind}",
    })  # fmt: skip
    off = {"temperature": 1, "topK": 0, "topP": 1, "minP": 0, "repetitionPenalty": 1}
    first = off | {"temperature": 0.8, "topK": 40, "seed": 0, "maxNewTokens": 40}
    check(page, "ui/settings.js", {"m.validate({ otro: 1 })": "…«otro»", "m.OFF": off, "m.INITIAL": first})


def test_a_link_gives_back_what_was_put_in_it(page):
    settings = {"temperature": 0.8, "topK": 40, "topP": 0.95, "minP": 0.05, "repetitionPenalty": 1.3, "seed": 7}
    settings["maxNewTokens"] = 12
    whole = {"prompt": 'a #&=+%41 "ñ" 😀\n', "settings": settings, "written": [0, 12, 4095]}
    found = ask(page, "ui/permalink.js", ["m.decode(m.encode(x), 4096)", "m.encode(x)"], whole)
    assert found[0] == whole and found[1].startswith("#prompt=a+")
    assert "&top_p=0.95&" in found[1] and found[1].endswith("&ids=0.12.4095")
    check(page, "ui/permalink.js", {
        "m.encode({ prompt: 'a', settings: {}, written: [] }).includes('ids')": False,
        "m.decode('#prompt=a', 4096)": {"prompt": "a", "settings": {}, "written": []}, "m.decode('#', 4096).prompt": "",
        "m.decode('#prompt=' + 'a'.repeat(5000), 4096).prompt.length": 5000,
        "m.decode('#prompt=' + 'a'.repeat(5001), 4096)": "…5001 caracteres y aquí caben 5000",
        "m.decode('#min_p=1e-7', 4096).settings.minP": 1e-7, "m.decode('#min_p=1e+7', 4096)": "…no es un número",
        "m.decode('#min_p=' + '1'.repeat(20), 4096)": "…«11111111111111111111», que",
        "m.decode('#min_p=' + '1'.repeat(21), 4096)": "…«11111111111111111111…», que",
        "m.decode('#seed=1.5', 4096)": "…entre 0 y 2147483647. Pide otra vez",
        "m.decode('#ids=4095', 4096).written": [4095], "m.decode('#ids=4096', 4096)": "…el 1.º, que no es de los 4096",
        "m.decode('#ids=1.-1', 4096)": "…el 2.º", "m.decode('#ids=1..2', 4096)": "…el 2.º",
        "m.decode('#ids=', 4096).written": [],
        "m.decode('#ids=' + Array(256).fill(4095).join('.'), 4096).written.length": 256,
        "m.decode('#ids=' + Array(257).fill(4095).join('.'), 4096)": "…más de 256 ids",
        "['#prompt=', '#a=1&prompt=x'].map(m.isPermalink)": [True, True],
        "['#recorrido=1', '#', '', 'prompt='].map(m.isPermalink)": [False, False, False, False],
    })  # fmt: skip


def test_the_python_says_what_is_on_and_nothing_else(page):
    plain = {"temperature": 1, "topK": 0, "topP": 1, "minP": 0, "repetitionPenalty": 1, "seed": 3, "maxNewTokens": 9}
    cases = {
        "todo apagado": ({}, ["do_sample=True", "top_k=0"], "[]", "sample"),
        "voraz": ({"temperature": 0, "topK": 4, "topP": 0.5, "minP": 0.5}, ["do_sample=False"], "[]", "greedy"),
        "voraz y penalización": (
            {"temperature": 0, "repetitionPenalty": 1.5},
            ["do_sample=False", "repetition_penalty=1.5"],
            "[repetition_penalty(1.5)]",
            "greedy",
        ),
        "todo": (
            {"temperature": 2, "topK": 4, "topP": 0.5, "minP": 0.25, "repetitionPenalty": 3},
            ["do_sample=True", "repetition_penalty=3.0", "temperature=2.0", "top_k=4", "top_p=0.5", "min_p=0.25"],
            "[repetition_penalty(3.0), temperature(2.0), top_k(4), top_p(0.5), min_p(0.25)]",
            "sample",
        ),
    }
    for changes, options, transforms, select in cases.values():
        state = {"prompt": "Hola", "ids": None, "settings": plain | changes, "room": 5}
        generate, course = ask(page, "ui/python.js", ["m.snippets(x)"], state)[0]
        given = [line.strip(" ,") for line in generate["code"].splitlines() if line.startswith("    ")]
        assert given[2:] == [*options, "max_new_tokens=5"]
        assert f"    transforms={transforms},\n    select={select},\n    max_new_tokens=5,\n" in course["code"]
        names = sorted(["generate", select, *(one.split("=")[0] for one in options if "sample" not in one)])
        if "top_k=0" in options:
            names.remove("top_k")
        assert f"from course_utils.decoding import {', '.join(names)}\n" in course["code"]
        for code in (generate["code"], course["code"]):
            assert ("manual_seed(3)" in code) == (select == "sample")
            assert 'prompt = "Hola"\nids = tokenizer(prompt' in code and "torch.tensor([[" not in code
    for ids, prompt, expected in (([5, 6], "Hola", "tensor([[5, 6]])"), (None, "", "[[tokenizer.eos_token_id]])")):
        state = {"prompt": prompt, "ids": ids, "settings": plain, "room": 50}
        for one in ask(page, "ui/python.js", ["m.snippets(x)"], state)[0]:
            assert expected in one["code"] and "prompt =" not in one["code"] and "max_new_tokens=9," in one["code"]


def test_what_each_setting_has_done_is_said_with_its_numbers(page):
    def stage(name, removed=0, kept=9, entropies=(1.25, 2)):
        return {"name": name, "removed": removed, "kept": kept, "entropies": list(entropies)}

    say = "m.describeStages({ stages: x.stages, greedy: x.greedy ?? false }, x.settings, x.ids ?? [])"
    bits = "el reparto, de 1,25 a 2,00 bits; no quita ninguna."
    cases = [
        ([stage("temperature")], {"temperature": 0.8}, [f"Temperatura 0,8: afila {bits}"]),
        ([stage("temperature")], {"temperature": 1.2}, [f"Temperatura 1,2: aplana {bits}"]),
        ([stage("topK", 4095, 1)], {"topK": 1}, ["Top-k 1: quita 4095 y queda 1."]),
        ([stage("topP", 3, 20)], {"topP": 0.95}, ["Top-p 0,95: quita 3 y quedan 20."]),
        ([stage("minP", 0, 20)], {"minP": 0.05}, ["Min-p 0,05: no quita ninguna más."]),
        ([], {}, ["Ningún mando encendido: se tira el dado con todas, tal como las da el modelo."]),
    ]  # fmt: skip
    for stages, settings, lines in cases:
        assert ask(page, "ui/words.js", [say], {"stages": stages, "settings": settings})[0] == lines
    state = {"stages": [stage("repetitionPenalty")], "settings": {"repetitionPenalty": 1.25}, "greedy": True}
    for ids, words in (([5, 5], "1 token que ya ha salido"), ([5, 6], "2 tokens que ya han salido")):
        first, last = ask(page, "ui/words.js", [say], state | {"ids": ids})[0]
        assert first == f"Penalización 1,25: aleja {words}; no quita ninguno." and last.startswith(
            "Temperatura 0, voraz"
        )
    check(page, "ui/words.js", {"[40, 0.8, 0.123456].map(m.decimals)": [0, 1, 4]})


# --- Ramas, ficha y juego -----------------------------------------------------------------------------


def test_a_branch_is_kept_once_and_whole(page):
    texts = [[1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 2], [1, 2, 5], [1, 2, 3], [7, 8, 9]]
    keep = """x.reduce((kept, ids) => { all.remember({ length: 2, ids });
              return [...kept, all.items.map((one) => one.ids)]; }, [])"""
    code = f"((all) => {keep})(m.createBranches())"
    found = ask(page, "ui/branches-store.js", [code], texts)[0]
    long = [1, 2, 3, 4]
    assert found == [
        [],
        [[1, 2, 3]],
        [long],
        [long],
        [long, [1, 2, 5]],
        [long, [1, 2, 5]],
        [long, [1, 2, 5], [7, 8, 9]],
    ]
    check(page, "ui/branches-store.js", {
        """((all) => { const [a, b] = [[1, 2], [1, 3]].map((ids) => ({ length: 1, ids })); all.remember(null);
           all.remember(a); all.remember(b); all.forget(a);
           return all.items.map((one) => one.ids); })(m.createBranches())""": [[1, 3]],
        "m.isPrefix([], [1])": True, "m.isPrefix([1], [1])": True, "m.isPrefix([1, 2], [1])": False,
        "m.isPrefix([2], [1, 2])": False,
    })  # fmt: skip


CARD = """---
licence: cc0
---
# Título

## Uno

Un párrafo con `code`, **negrita**, *cursiva* y [un enlace](https://x.y).
Sigue.
- uno
  y medio
- <b>dos</b>

> cita
>
> > otra

```text
# no es un título

a | b
```
| a | |
|---|---|
| `<|x|>` | 2 * 3 |
### Tres
Fin"""
HTML = (
    "<h3>Uno</h3>"
    "<p>Un párrafo con <code>code</code>, <strong>negrita</strong>, <em>cursiva</em> y un enlace. Sigue.</p>"
    "<ul><li>uno y medio</li><li>&lt;b&gt;dos&lt;/b&gt;</li></ul>"
    "<blockquote><p>cita</p><blockquote><p>otra</p></blockquote></blockquote>"
    '<pre tabindex="0"><code># no es un título\n\na | b</code></pre>'
    '<div class="table-box" tabindex="0" role="region" aria-label="Tabla de la ficha"><table>'
    '<thead><tr><th scope="col">a</th><td></td></tr></thead>'
    '<tbody><tr><th scope="row"><code>&lt;|x|&gt;</code></th><td>2 * 3</td></tr></tbody></table></div>'
    "<h4>Tres</h4><p>Fin</p>"
)


def test_the_little_markdown_of_the_card(page):
    html = "m.markdown(x).map((one) => one.outerHTML).join('')"
    assert ask(page, "ui/markdown.js", [html], CARD)[0] == HTML
    assert ask(page, "ui/markdown.js", [html], CARD.replace("\n", "\r\n"))[0].endswith("<h4>Tres</h4><p>Fin</p>")
    assert ask(page, "ui/markdown.js", [html], "| | |\n|---|---|\n| a | b |")[0].count("<th") == 1  # sin cabecera


def test_a_bet_is_its_first_token_and_costs_its_bits(page):
    tokenizer = (
        "{ encode: (text) => [...text].map((c) => c.codePointAt(0)), show: (id) => ['␣a', 'b', '␣1', '␣', '␣ñ'][id] }"
    )
    space, a = ord(" "), ord("a")
    check(page, "panels/guess-game.js", {
        f"m.firstToken({tokenizer}, 'x', 'a')": space, f"m.firstToken({tokenizer}, 'x', '1')": space,
        f"m.firstToken({tokenizer}, 'x', ', a')": ord(","), f"m.firstToken({tokenizer}, '', 'a')": a,
        **{f"m.firstToken({tokenizer}, 'x{c}', 'a')": a for c in " ¿¡«(-—"},
        f"m.firstToken({tokenizer}, 'x', '')": None, f"m.firstToken({tokenizer}, 'x', '  ')": None,
        "m.playerBits(4097, { bet: 1, truth: 1, confidence: 0.5 })": 1.0,
        "m.playerBits(4096, { bet: 1, truth: 2, confidence: null })": 12.0,
        "m.playerBits(4097, { bet: 1, truth: 2, confidence: 0.5 })": 13.0, "m.diceBits(4096)": 12.0,
        f"m.wordStarts({tokenizer}, [0, 1, 2, 3, 4, 0])": [0, 4, 5], "m.summary([], 4096, 'own')": [],
        "m.summary([{ scored: { player: 1, model: 2 } }, { scored: { player: 2, model: 6 } }], 4096, 'own')": [
            ["Tú", 1.5], ["El modelo, con su favorita", 4.0], ["Un dado de 4096 caras", 12.0]],
        "m.summary([{ scored: { player: 1, model: 2 } }], 4096, 'novel')[1][0]": "El modelo",
    })  # fmt: skip


def test_the_live_numbers_of_a_text(page):
    def live(key, name, args, text):
        return {"key": key, "name": name, "args": args, "text": text}

    check(page, "panels/numbers.js", {
        "m.parse('a {p:␣que} b {att:1:2|Hola, } c')": [
            "a ", live("p:␣que", "p", ["␣que"], None), " b ", live("att:1:2", "att", ["1", "2"], "Hola, "), " c"],
        "m.parse('{n}{n|}')": [live("n", "n", [], None), live("n", "n", [], "")], "m.parse('nada')": ["nada"],
        "m.parse('')": [],
        "m.oneIn(1 / 467)": "una vez de cada 467", "m.oneIn(1 / 46700000)": "una vez de cada 46,7 millones",
        "m.oneIn(0.00000099)": "una vez de cada 1,0 millones", "m.oneIn(0.00000101)": "una vez de cada 990\u202f099",
        "m.fill({}, { name: 'nadie', args: [], text: null })": "…«nadie»",
    })  # fmt: skip


# --- La búsqueda en haz, en un idioma de cuatro tokens ------------------------------------------------

# Tras cualquier token, los mismos logits: `x.logits`. El 0 es el fin de texto.
LANGUAGE = """{ config: { vocab_size: x.logits.length, n_positions: 4, eos: 0 },
    extend: async (node, ids) => ({ logits: Float32Array.from(x.logits), depth: (node?.depth ?? 0) + ids.length,
      logSum: Math.log(x.logits.reduce((sum, one) => sum + Math.exp(one), 0)) }) }"""
SEARCH = f"""(async (engine) => {{
    const search = m.beamSearch(engine, await engine.extend(null, [1]), x.options);
    for (;;) {{
      const {{ value, done }} = await search.next();
      if (done) return [value.tree.map((one) => [one.parent, one.token, one.status, Boolean(one.node)]), value.best];
    }}
  }})({LANGUAGE})"""


def test_in_a_tie_beams_go_by_branch_and_by_id(page):
    options = {"numBeams": 2, "maxNewTokens": 2}
    tree, best = ask(page, "engine/beams.js", [SEARCH], {"logits": [-1, -1, -1, -1], "options": options})[0]
    assert tree == [
        [-1, 0, "terminada", False], [-1, 1, "viva", True], [-1, 2, "viva", True], [-1, 3, "podada", False],
        [1, 0, "terminada", False], [1, 1, "terminada", False], [1, 2, "podada", False], [1, 3, "podada", False],
    ]  # fmt: skip
    assert [one["ids"] for one in best] == [[0], [1, 0]]
    assert all(math.isclose(one["score"], -math.log(4)) for one in best)


def test_what_a_search_admits(page):
    def search(**options):
        return ask(page, "engine/beams.js", [SEARCH], {"logits": [3, 2, 1, 0], "options": options})[0]

    assert [one["ids"] for one in search(numBeams=1, maxNewTokens=3)[1]] == [[0]]
    assert len(search(numBeams=2, maxNewTokens=3, lengthPenalty=-100, eos=None)[1]) == 2
    for options, words in (
        ({"numBeams": 3}, "entero entre 1 y 2 y son 3"),
        ({"numBeams": 1.5}, "son 1.5"),
        ({"maxNewTokens": 0}, "1 o más, y son 0"),
        ({"maxNewTokens": 4}, "pide 3 como mucho"),
        ({"lengthPenalty": 101}, "es 101"),
        ({"lengthPenalty": "1"}, "es 1"),
    ):
        assert words in search(**{"numBeams": 2, "maxNewTokens": 1} | options), options


# --- Lo que el motor admite ---------------------------------------------------------------------------


def test_what_each_transform_admits(page):
    fine = {
        "temperature": [1e-9, 100],
        "topK": [1, 5000],
        "topP": [1e-9, 1],
        "minP": [1e-9, 1],
        "repetitionPenalty": [1e-9, 9],
    }
    out = {
        "temperature": [0, -1],
        "topK": [0, 1.5, -1],
        "topP": [0, 1.001],
        "minP": [0, 1.001],
        "repetitionPenalty": [0, -1],
    }
    for name, values in fine.items():
        check(page, "engine/decoding.js", {f"typeof m.{name}({value})": "function" for value in values})
        wrong = [*out[name], "Infinity", "NaN", "'1'"]
        check(page, "engine/decoding.js", {f"m.{name}({value})": f"… es {value}".replace("'", "") for value in wrong})
    names = "m.pipeline(x).map((one) => one.name)"
    plain = {"temperature": 1, "topK": 0, "topP": 1, "minP": 0, "repetitionPenalty": 1}
    on = {"repetitionPenalty": 2, "temperature": 2, "topK": 2, "topP": 0.5, "minP": 0.5}
    for given, expected in ((plain, []), (on, list(on)), (on | {"temperature": 0}, ["repetitionPenalty"]), ({}, [])):
        assert ask(page, "engine/decoding.js", [names], given)[0] == expected


TREE = """((tree) => {
    const add = (parent, token) => new m.Node(tree, parent, token, Float32Array.of(0, 1, 2), Float32Array.of(1));
    const [a, z] = [add(null, 1), add(null, 2)], [b, c] = [add(a, 0), add(a, 2)], d = add(c, 1);
    const count = () => [tree.nodes, a, z, b, c, d].map((one) => one.state ? 1 : one.state === null ? 0 : one);
    return [a.depth, d.depth, d.path().map((one) => one.token), [a, b, c].map((one) => one.logprob), m.keep(tree, [c]),
            count(), m.release(tree, c), count(), m.release(tree, c), a.children.size, tree.roots.size,
            m.keep(tree, []), count()];
  })({ config: { n_layer: 1, n_head: 1, n_embd: 1 }, roots: new Map(), nodes: 0, nextId: 0 })"""


def test_the_tree_counts_what_it_lets_go(page):
    total = math.log(1 + math.e + math.e**2)
    first, last, path, logprobs, *counts = ask(page, "engine/tree.js", [TREE])[0]
    assert (first, last, path) == (1, 3, [1, 2, 1]) and math.isnan(logprobs[0])
    assert logprobs[1:] == pytest.approx([-total, 2 - total])
    kept, after = [2, 1, 0, 0, 1, 0], [1, 1, 0, 0, 0, 0]
    assert counts == [3, kept, 1, after, 0, 0, 1, 1, [0] * 6]
    assert ask(page, "engine/tree.js", ["m.logSumExp([-1000, -1000])"])[0] == pytest.approx(-1000 + math.log(2))


@pytest.mark.parametrize("place", [(-1, 0), (2, 0), (0, -1), (0, 2), (0.5, 0), (0, 0.5)])
def test_attention_is_asked_of_a_layer_and_a_head_that_exist(page, place):
    node = """((tree) => new m.Node(tree, null, 1, Float32Array.of(0), Float32Array.from({ length: 48 }, () => 1)))({
        config: { n_layer: 2, n_head: 2, n_embd: 8 }, roots: new Map(), nodes: 0, nextId: 0 })"""
    check(page, "engine/tree.js", {
        f"{node}.attention({place[0]}, {place[1]})": f"…capa {place[0]}, cabeza {place[1]}: hay 2 capas y 2 cabezas",
        f"[...{node}.attention(1, 1)]": [1],
    })  # fmt: skip


def safetensors(**arrays) -> bytes:
    """Un archivo safetensors, hecho a mano."""
    header, data = {}, b""
    for name, array in arrays.items():
        dtype = {"f2": "F16", "f4": "F32", "i2": "I16"}[array.dtype.str[1:]]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_the_65536_numbers_of_16_bits_are_read_as_numpy_reads_them(page):
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    floats = np.array([[1.5, -2.25, 1e-30]], dtype=np.float32)
    body = safetensors(a=halves, b=floats, c=np.zeros(2, np.int16))
    read = """((bytes) => { const read = m.openTensors(bytes);
      const text = (array) => String.fromCharCode(...new Uint8Array(array.buffer));
      return (name, shape) => btoa([...read(name, shape)].map((one) => text(Float32Array.of(one))).join("")); })(
        Uint8Array.from(atob(x.file), (c) => c.charCodeAt(0)))"""

    def ask_file(call, file=body):
        return ask(page, "engine/weights.js", [f"{read}{call}"], {"file": base64.b64encode(file).decode()})[0]

    found = np.frombuffer(base64.b64decode(ask_file("('a', [65536])")), dtype="<f4")
    assert np.array_equal(found, halves.astype(np.float32), equal_nan=True)
    signed = ~np.isnan(halves)  # también el del cero; el de lo que no es un número da igual
    assert np.array_equal(np.signbit(found)[signed], np.signbit(halves)[signed])
    assert np.array_equal(np.frombuffer(base64.b64decode(ask_file("('b', [1, 3])")), dtype="<f4"), floats[0])
    for call, words in {
        "('b', [3, 1])": "«b» mide 1,3 y debería medir 3,1", "('z', [1])": "le falta «z»", "('c', [2])": "«c» es I16",
    }.items():  # fmt: skip
        assert words in ask_file(call), call
    assert "«c» está cortado" in ask_file("('c', [2])", body[:-1])
    assert "solo tiene 7 bytes" in ask_file("", body[:7]) and "su cabecera" in ask_file("", body[:8])
    assert "«a» está cortado" in ask_file("('a', [2])", safetensors(a=halves[:2]).replace(b"4]", b"3]"))


def test_a_matrix_goes_in_bands_of_eight_columns(page):
    """De (entradas, salidas) a bandas de ocho columnas; y lo mismo desde la traspuesta."""
    matrix = np.arange(3 * 16).reshape(3, 16)
    expected = matrix.reshape(3, 2, 8).swapaxes(0, 1).ravel().tolist()
    pack = "((target) => {{ m.{}(target, x, 3, 16); return [...target]; }})(new Float32Array(48))"
    assert ask(page, "engine/weights.js", [pack.format("packMatrix")], matrix.ravel().tolist())[0] == expected
    assert ask(page, "engine/weights.js", [pack.format("packTransposed")], matrix.T.ravel().tolist())[0] == expected


def test_only_the_tokenizer_of_the_course_is_read(page):
    good = json.loads((build_lab.CHECKPOINT / "tokenizer.json").read_text(encoding="utf-8"))
    read = "new m.Tokenizer(x).encode('Hola')"
    assert (
        ask(page, "engine/tokenizer.js", [read], good)[0]
        == ask(page, "engine/tokenizer.js", [read], good | {"x": 1})[0]
    )
    added = good["added_tokens"]
    wrong = [
        {"model": good["model"] | {"type": "Unigram"}}, {"normalizer": {"type": "NFKC"}},
        {"normalizer": None},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"pre_tokenizer": good["pre_tokenizer"] | {"add_prefix_space": True}},
        *({"added_tokens": [*added, added[0] | {name: name != "special"}]}
          for name in ("special", "lstrip", "rstrip", "single_word")),
    ]  # fmt: skip
    for change in wrong:
        assert "no es un BPE de bytes con NFC" in ask(page, "engine/tokenizer.js", [read], good | change)[0], change


def test_a_game_does_not_ask_for_the_word_it_starts_with(page):
    """Con un espacio delante, la primera palabra también lo parece; las diez apuestas empiezan en la séptima."""
    engine = """{ config: { eos: 9 }, extend: async (node, ids) => ids, ids: (ids) => ids,
      tokenizer: { encode: (text) => [...text].map((_, id) => id % 2), show: (id) => ['␣a', 'b'][id],
                   decode: (ids) => ids.join('') } }"""
    game = f"m.openGame({engine}, {{ text: 'x'.repeat(40), source: 'a' }})"
    check(page, "panels/guess-game.js", {
        f"{game}.then((one) => one.places)": list(range(12, 32, 2)),
        f"{game}.then((one) => [one.truth, one.word, one.read()])": [0, "01", "9010101010101"],
        f"{game}.then(async (one) => {{ await one.advance(); return [one.round, one.truth, one.node]; }})":
            [1, 0, [0, 1]],
    })  # fmt: skip
