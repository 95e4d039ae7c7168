"""La página del laboratorio con el modelo de verdad: lo que se escribe, se ve y se copia es lo que dice PyTorch."""

import contextlib
import io
import math
import re

import laboratorio
import pytest
import torch
from cuadernos import ROOT
from lab_page import PHONE, Lab, assembled, serious
from paginas import LIMIT
from playwright.sync_api import expect

from course_utils import decoding, scoring
from tools.lab import CHECKPOINT, MODEL_FILES

LAB = ROOT / "docs" / "lab"


@pytest.fixture(scope="module")
def url(serve, tmp_path_factory):
    return serve(assembled(tmp_path_factory.mktemp("laboratorio") / "lab")) + "index.html"


@pytest.fixture(scope="module")
def shared(browser, url):
    """Una pestaña para todas las pruebas que no necesitan un perfil nuevo: el modelo se descarga una vez."""
    lab = Lab(browser, url, viewport={"width": 1280, "height": 900})
    yield lab
    lab.seen.assert_clean()
    lab.close()


@pytest.fixture
def lab(shared):
    """La pestaña, con la página recién cargada."""
    return shared.open()


FACTS = r"perplejidad ([\d,]+) · ([\d,]+) bits"


def greedy(mini, prompt: str, n: int) -> list[int]:
    model, tokenizer = mini
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    return model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=n)[0].tolist()


def next_logits(mini, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return mini[0](torch.tensor([ids])).logits[:, -1]


# --- Escribir -----------------------------------------------------------------------------------------


def test_typing_and_running_greedily_writes_what_generate_writes(lab, mini):
    lab.write("Don Quijote abrió el computador y")
    lab.set("temperature", "0")
    lab.set("maxNewTokens", "30")
    lab.run()
    ids = greedy(mini, "Don Quijote abrió el computador y", 30)
    assert lab.ids == ids
    assert lab.chips == [decoding.show_token(mini[1], i) for i in ids]
    lab.press("Ver como texto")
    assert lab.page.locator(".plain").text_content() == mini[1].decode(ids, skip_special_tokens=True)
    assert "39 de 256" in lab.page.locator(".room").text_content()


def test_back_branch_and_force_never_lose_what_was_written(lab, mini):
    tokenizer = mini[1]
    lab.set("temperature", "0")
    lab.set("maxNewTokens", "8")
    lab.run()
    first = lab.ids
    lab.press("Atrás")
    assert lab.ids == first[:-1]
    # Desde la segunda ficha escrita, con su globo.
    lab.page.locator(".chips.written .chip-button").nth(1).click()
    lab.press("Seguir desde aquí")
    assert lab.ids == first[:6]
    # La quinta candidata no es la favorita: nace otra rama.
    bar = lab.page.locator("button.bar").nth(4)
    token = int(bar.get_attribute("data-token"))
    assert token == next_logits(mini, first[:6]).topk(5).indices[0, 4].item()
    bar.click()
    lab.idle()
    assert lab.ids == [*first[:6], token]
    branch = lab.page.locator(".branch")
    assert branch.count() == 1 and tokenizer.decode(first[4:]).strip() in " ".join(branch.all_text_contents())
    branch.click()
    lab.idle()
    assert lab.ids == first  # y la otra queda apuntada
    assert lab.page.locator(".branch").count() == 1


def test_a_chip_tells_its_id_probability_and_bits(lab, mini):
    model, tokenizer = mini
    ids = tokenizer("Había una vez", return_tensors="pt").input_ids
    logprobs = scoring.token_logprobs(model, ids)[0]
    popover = lab.page.locator(".popover")
    lab.page.locator(".chip-button").nth(2).click()
    said = popover.text_content().replace("\u202f", "").replace(",", ".")
    assert f"id {ids[0, 2]}" in said and "3.º de 4" in said
    assert f"{100 * logprobs[1].exp():.2f}%" in said and f"{-logprobs[1] / math.log(2):.1f} bits" in said
    lab.page.keyboard.press("Escape")
    expect(popover).to_be_hidden()
    lab.page.locator(".chip-button").first.click()
    assert "nadie lo predijo" in popover.text_content()


def test_perplexity_and_bits_per_character_are_those_of_the_package(lab, mini):
    model, tokenizer = mini
    prompt = "El coronel, que cenaba ñoquis, abrió la puerta 😀"
    lab.write(prompt)
    expected = scoring.perplexity(model, tokenizer, [prompt], add_start_token=False)
    facts = lab.page.locator(".chip-group.prompt .facts").text_content().replace("\u202f", "")
    value, bits = (float(x.replace(",", ".")) for x in re.search(FACTS, facts).groups())
    assert value == pytest.approx(expected.value, rel=1e-3, abs=0.51)
    assert bits == pytest.approx(expected.bits_per_char, abs=0.006)
    # Lo escrito, aparte: la suma de sus log-probabilidades entre sus caracteres.
    lab.set("maxNewTokens", "12")
    lab.run()
    ids = lab.ids
    start = len(tokenizer(prompt).input_ids)
    nats = -scoring.sequence_logprob(model, torch.tensor([ids]), prompt_length=start).item()
    facts = lab.page.locator(".chip-group.written .facts").text_content().replace("\u202f", "")
    value, bits = (float(x.replace(",", ".")) for x in re.search(FACTS, facts).groups())
    new = tokenizer.decode(ids, skip_special_tokens=True)[len(prompt) :]
    assert value == pytest.approx(math.exp(nats / 12), abs=0.51)
    assert bits == pytest.approx(nats / math.log(2) / len(new), abs=0.006)


# --- Los mandos ---------------------------------------------------------------------------------------

SETTINGS = [
    {"temperature": 0.7, "topK": 40},
    {"temperature": 1, "topK": 0, "topP": 0.9},
    {"temperature": 1.5, "topK": 0, "minP": 0.05},
    {"temperature": 2, "topK": 300, "topP": 0.8, "minP": 0.01, "repetitionPenalty": 1.3},
    {"temperature": 1, "topK": 0},
]
FACTORIES = [
    ("repetitionPenalty", decoding.repetition_penalty, 1),
    ("temperature", decoding.temperature, 1),
    ("topK", decoding.top_k, 0),
    ("topP", decoding.top_p, 1),
    ("minP", decoding.min_p, 0),
]


def filtered(mini, ids: list[int], settings: dict) -> torch.Tensor:
    """Las probabilidades que dejan esos mandos según course_utils, (V,)."""
    logits, row = next_logits(mini, ids), torch.tensor([ids])
    for name, factory, off in FACTORIES:
        if settings.get(name, off) != off:
            logits = factory(settings[name])(logits, row)
    return logits.softmax(-1)[0]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_settings_keep_what_pytorch_keeps(shared, mini, settings):
    lab = shared if shared.page.url.startswith("http") else shared.open()
    lab.press("Como al principio")
    for name, value in settings.items():
        lab.set(name, str(value).replace(".", ","))
    ids = lab.ids
    after = filtered(mini, ids, settings)
    kept = int((after > 0).sum())
    summary = lab.page.locator("#candidates .summary").text_content().replace("\u202f", "")
    assert re.match(rf"Quedan? {kept} de 4096", summary), summary
    top = next_logits(mini, ids).topk(9).indices[0].tolist()
    for place, token in enumerate(top):
        row = lab.page.locator("button.bar").nth(place)
        assert int(row.get_attribute("data-token")) == token
        said = row.locator(".value").text_content()
        if after[token] == 0:
            assert said == "fuera" and row.locator(".note").text_content()
        else:
            least = 0.1 if said.startswith("<") else 0.06  # «< 0,1 %»
            said = float(said.strip("<\u202f%").replace(",", "."))
            assert said == pytest.approx(100 * after[token].item(), abs=least)
    # Y una por una, las 4096.
    shown = lab.app(
        "async (app) => Array.from((await import(new URL('ui/distribution.js', document.baseURI)))"
        ".look(app.state.node.logits, app.engine.ids(app.state.node), app.state.settings).after)"
    )
    assert torch.allclose(torch.tensor(shown), after, atol=2e-5)
    assert ((torch.tensor(shown) > 0) == (after > 0)).all()


def test_what_is_not_a_number_is_said_beside_it_and_changes_nothing(lab):
    for text in ("hola", "-1", "7", ""):
        lab.set("temperature", text)
        message = lab.page.locator("#error-temperature")
        assert f"«{text}»" in message.text_content() and "entre 0 y 5" in message.text_content()
    assert lab.app("(app) => app.state.settings.temperature") == 0.8
    lab.app("(app) => app.setSettings({ temperature: 9 })")  # y si no viene de una casilla, en el aviso de la página
    expect(lab.page.locator("#message")).to_contain_text("«9»")
    assert lab.app("(app) => app.state.settings.temperature") == 0.8
    lab.set("temperature", "1.25")
    assert lab.app("(app) => app.state.settings.temperature") == 1.25
    expect(lab.page.locator("#error-temperature")).to_be_hidden()
    assert lab.page.locator("#set-temperature").input_value() == "1,25"


# --- Enlaces y Python ---------------------------------------------------------------------------------

PROMPT = 'Dijo «"hola"», \\n y \n un emoji 😀 &ids=1#x+y%41'


def test_a_link_gives_the_same_screen(lab):
    lab.write(PROMPT)
    lab.set("temperature", "1,2")
    lab.set("topP", "0,95")
    lab.set("maxNewTokens", "6")
    lab.run()
    lab.page.locator("button.bar").nth(3).click()
    lab.idle()
    before = (lab.ids, lab.text, lab.page.locator("#candidates .summary").text_content())
    lab.press("Un paso")
    then = lab.ids
    lab.press("Atrás")
    lab.page.wait_for_timeout(700)  # la dirección sigue a lo que se ve
    address = lab.page.url
    lab.page.goto("about:blank")
    lab.page.goto(address)
    lab.ready()
    assert (lab.ids, lab.text, lab.page.locator("#candidates .summary").text_content()) == before
    assert lab.page.locator("#prompt").input_value() == PROMPT
    lab.press("Un paso")  # el dado depende de la semilla y del lugar: sigue igual
    assert lab.ids == then


@pytest.mark.parametrize(
    ("link", "fragment"),
    [
        ({"prompt": "Hola", "temperature": "<img src=x>"}, "«<img src=x>», que no es un número"),
        ({"prompt": "Hola", "temperature": "-3"}, "entre 0 y 5"),
        ({"prompt": "Hola", "top_k": "1000000"}, "entre 0 y 4096"),
        ({"prompt": "Hola", "seed": "1.5"}, "un número entero"),
        ({"prompt": "Hola", "ids": "5.4096"}, "el 2.º"),
        ({"prompt": "Hola", "ids": "5.-1.__proto__"}, "el 2.º"),
        ({"prompt": "Hola", "ids": ".".join(["5"] * 300)}, "más de 256 ids"),
        ({"prompt": "a" * 6000}, "6000 caracteres"),
        ({"prompt": "Hola", "ids": ".".join(["5"] * 256)}, "al modelo le caben 256"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_broken_link_is_told_and_the_lab_still_works(shared, link, fragment):
    shared.goto("", **link)
    expect(shared.page.locator("#message")).to_contain_text(fragment)
    assert shared.page.locator("#message img").count() == 0
    shared.write("Una vez")
    expect(shared.page.locator("#message")).to_be_hidden()
    assert shared.ids == shared.app("(app) => app.engine.tokenizer.encode('Una vez')")


def snippets(lab) -> list[str]:
    lab.page.locator("#open-python").click()
    return lab.page.locator("#python pre code").all_text_contents()


def execute(code: str) -> tuple[str, dict]:
    out, space = io.StringIO(), {}
    with contextlib.redirect_stdout(out):
        exec(compile(code, "copiado", "exec"), space)
    return out.getvalue().removesuffix("\n"), space


def test_the_copied_python_writes_the_same_greedily(lab):
    lab.write('El gato miró al notario y le dijo: "hola"\u202e\n')
    lab.set("temperature", "0")
    lab.set("repetitionPenalty", "1,3")
    lab.set("maxNewTokens", "20")
    lab.run()
    text = lab.text
    for code in snippets(lab):
        assert "\u202e" not in code  # lo que no se ve va escrito con su código
        assert execute(code)[0] == text
    # Desde lo escrito: los ids, y sigue por donde iba.
    lab.page.get_by_label("Desde lo que hay escrito").check()
    codes = lab.page.locator("#python pre code").all_text_contents()
    lab.page.keyboard.press("Escape")
    lab.run()
    for code in codes:
        assert f"torch.tensor([[{lab.ids[0]}, " in code
        assert execute(code)[0] == lab.text


def test_the_copied_python_samples_from_the_same_distribution(lab, mini, monkeypatch):
    for name, value in {
        "temperature": "2",
        "topK": "50",
        "topP": "0,9",
        "minP": "0,02",
        "repetitionPenalty": "1,2",
    }.items():
        lab.set(name, value)
    with_transformers, with_course = snippets(lab)
    settings = {"temperature": 2, "topK": 50, "topP": 0.9, "minP": 0.02, "repetitionPenalty": 1.2}
    expected = filtered(mini, lab.ids, settings)
    seen = []
    original = type(mini[0]).generate

    def generate(self, *args, **kwargs):
        out = original(self, *args, **kwargs, output_scores=True, return_dict_in_generate=True)
        seen.append(out.scores[0][0].softmax(-1))
        return out.sequences

    def transforms_of(model, ids, *, transforms, **kwargs):
        seen.append(decoding._apply(transforms, next_logits(mini, ids[0].tolist()), ids, None)[0].softmax(-1))
        return course(model, ids, transforms=transforms, **kwargs)

    course = decoding.generate
    monkeypatch.setattr(type(mini[0]), "generate", generate)
    monkeypatch.setattr(decoding, "generate", transforms_of)
    texts = [execute(code)[0] for code in (with_transformers, with_course)]
    assert texts[0] == texts[1] and texts[0].startswith("Había una vez")
    for found in seen:
        assert torch.allclose(found, expected, atol=1e-6)
    assert "no es la misma" in lab.page.locator("#python").text_content()


def test_off_in_python_is_off(lab, mini):
    lab.press("Solo el dado")
    lab.write("")
    lab.set("maxNewTokens", "5")
    assert lab.chips == ["<|endoftext|>"]
    codes = snippets(lab)
    assert "top_k=0" in codes[0] and "transforms=[]" in codes[1]
    assert execute(codes[0])[0] == execute(codes[1])[0]


# --- Lo que se escribe no se ejecuta, no se corta y no se pierde --------------------------------------


@pytest.mark.parametrize(
    "prompt",
    [
        '<script>window.fired = 1</script><img src=x onerror="window.fired = 1">',
        "שלום עולם \u202eal revés\u202c y مرحبا",
        "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 n\u0303 ﬁn\u00a0\u200b",
        "<|endoftext|><mask> a\tb\r\nc",
    ],
    ids=["html", "derecha a izquierda", "emojis", "especiales"],
)
def test_a_hostile_prompt_is_just_text(lab, mini, prompt):
    lab.page.locator("#prompt").fill(prompt)
    prompt = lab.page.locator("#prompt").input_value()  # una casilla deja \n donde había \r\n
    lab.write(prompt)
    lab.press("Sorpresa")
    lab.press("Un paso")
    ids = mini[1](prompt).input_ids
    assert lab.ids[:-1] == ids
    assert lab.chips[:-1] == [decoding.show_token(mini[1], i) for i in ids]
    assert lab.page.locator("main script, main img").count() == 0
    assert lab.page.evaluate("window.fired") is None
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_five_thousand_words_are_counted_and_not_cut(lab):
    lab.page.locator("#prompt").fill("palabra " * 5000)
    note = lab.page.locator("#prompt-note")
    expect(note).to_contain_text("al modelo le caben 256")
    assert "No corto nada" in note.text_content()
    lab.page.locator("#run").click()
    expect(lab.page.locator("#message")).to_contain_text("al modelo le caben 256")
    assert lab.chips == ["Hab", "ía", "␣una", "␣vez"]  # lo de antes, y se dice


def test_the_context_is_said_before_it_is_full(lab, mini):
    ids = mini[1]("Había una vez").input_ids
    lab.set("maxNewTokens", "200")
    lab.app(
        "(app, ids) => app.restore({prompt: 'Había una vez', written: ids}).then(() => null)", [264] * (246 - len(ids))
    )
    assert "246 de 256 tokens: caben 10 más" in lab.page.locator(".room").text_content()
    assert lab.page.locator("#run").text_content() == "Escribir 10"
    lab.run()
    assert len(lab.ids) == 256 and "el contexto está lleno" in lab.page.locator(".room").text_content()
    lab.press("Un paso")
    assert len(lab.ids) == 256 and "257 tokens" in lab.page.locator("#message").text_content()
    lab.app("(app) => app.run().then(() => null)")
    expect(lab.page.locator("#message")).to_contain_text("257 tokens")


# --- Teclado, teléfono y lectores de pantalla ---------------------------------------------------------


def test_everything_by_keyboard(lab, mini):
    page = lab.page
    press = page.keyboard.press
    page.locator("#prompt").focus()
    press("ControlOrMeta+a")
    page.keyboard.type("Querida suegra:")
    press("ControlOrMeta+Shift+Enter")
    lab.idle()
    ids = lab.ids
    assert ids[:-1] == mini[1]("Querida suegra:").input_ids
    # Tab lleva a las fichas: una parada; las flechas, de una a otra; el globo, sin soltar el teclado.
    for _ in range(40):
        press("Tab")
        if page.evaluate("document.activeElement.className").startswith("chip chip-button"):
            break
    press("Home")
    press("ArrowRight")
    expect(page.locator(".popover")).to_be_visible()
    assert page.evaluate("document.activeElement.dataset.token") == str(ids[1])
    press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Seguir desde aquí"
    press("Escape")
    expect(page.locator(".popover")).to_be_hidden()
    assert page.evaluate("document.activeElement.dataset.token") == str(ids[1])
    # Cambiar el último: el foco pasa a las candidatas, y Intro escribe la tercera.
    press("End")
    press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Cambiar este token"
    press("Enter")
    lab.idle()
    assert lab.ids == ids[:-1]
    expect(page.locator("button.bar").first).to_be_focused()
    press("ArrowDown")
    press("ArrowDown")
    third = int(page.evaluate("document.activeElement.dataset.token"))
    press("Enter")
    lab.idle()
    assert lab.ids == [*ids[:-1], third]
    # Un mando con las flechas: a la izquierda del todo, voraz.
    page.get_by_label("Temperatura, deslizador").focus()
    press("Home")
    assert lab.app("(app) => app.state.settings.temperature") == 0
    assert page.get_by_label("Temperatura, deslizador").get_attribute("aria-valuetext") == "0, voraz"
    press("ControlOrMeta+Enter")
    lab.idle()
    assert len(lab.ids) == len(ids) + 40
    # Los diálogos se abren, se cierran con Escape y devuelven el foco.
    for opener in ("#open-help", "#open-card", "#open-python"):
        page.locator(opener).focus()
        press("Enter")
        expect(page.locator("dialog[open]")).to_have_count(1)
        press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
        expect(page.locator(opener)).to_be_focused()


def test_a_button_is_called_as_what_is_seen_in_it(lab, mini):
    """Lo que oye un lector de pantalla empieza por lo que se ve; lo demás va detrás."""
    shown, bits, share = [decoding.show_token(mini[1], i) for i in lab.ids], r"\d+,\d bits", r"[\d,]+\s%"
    for pressed in (False, True):
        if pressed:
            lab.press("Sorpresa")
        for place, token in enumerate(shown):
            name = rf"^{token} {bits}, {share}$" if place else rf"^{token} — es el primero$"
            expect(lab.page.locator(".chip-button").nth(place)).to_have_accessible_name(re.compile(name))
    lab.set("topK", "2")
    said = [
        rf"{share} daba {share} y es la favorita$",
        rf"{share} daba {share}$",
        rf"fuera Top-k 2 y el modelo daba {share}$",
    ]
    for place, name in enumerate(said):
        bar = lab.page.locator("button.bar").nth(place)
        expect(bar).to_have_accessible_name(re.compile(rf"^{bar.locator('bdi').text_content()} {name}"))


def test_what_is_written_is_announced_and_drawings_have_a_table(lab):
    said = lab.page.locator("#announcer")
    lab.press("Un paso")
    expect(said).to_contain_text("%")
    lab.run()
    expect(said).to_contain_text("Escrito:")
    for section, columns in (("#text", 5), ("#candidates", 5)):
        lab.page.locator(section).get_by_text("Ver como tabla").click()
        table = lab.page.locator(f"{section} table")
        expect(table.locator("thead th")).to_have_count(columns)  # se llena al abrirla
        assert table.locator("tbody tr").count() == (45 if section == "#text" else 40)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_360_without_scrolling_sideways_and_without_serious_findings(browser, url, scheme):
    lab = Lab(browser, url, color_scheme=scheme, reduced_motion="reduce", **PHONE)
    lab.goto()
    assert serious(lab.page) == []
    lab.ready()
    lab.press("Sorpresa")
    lab.run()

    def fits():
        assert lab.page.evaluate("document.documentElement.scrollWidth") <= 360

    fits()
    lab.page.locator(".chip-button").nth(12).tap()
    expect(lab.page.locator(".popover")).to_be_visible()
    fits()
    assert serious(lab.page) == []
    small = lab.page.evaluate(
        "[...document.querySelectorAll('header button, #writing button, #candidates button, "
        "#controls :is(button, input), #branches button, summary')].filter((one) => one.offsetParent)"
        ".map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])"
        ".filter(([, box]) => box.height < 43.5 || box.width < 43.5).map(([html]) => html)"
    )
    assert small == []
    lab.page.keyboard.press("Escape")
    lab.page.locator("#text summary").click()
    lab.page.locator("#candidates summary").click()
    lab.set("topK", "hola")
    for opener in ("#open-help", "#open-card", "#open-python"):
        lab.page.locator(opener).click()
        fits()
        assert serious(lab.page) == []
        lab.page.keyboard.press("Escape")
    fits()
    assert serious(lab.page) == []
    lab.seen.assert_clean()
    lab.close()


# --- La descarga --------------------------------------------------------------------------------------


def test_download_is_announced_stopped_resumed_and_remembered(browser, url):
    lab = Lab(browser, url)
    page = lab.page
    lab.goto()
    size = sum((CHECKPOINT / name).stat().st_size for name in MODEL_FILES if name != "README.md")
    expect(page.locator("#size")).to_have_text(f"{size / 1e6:.1f}".replace(".", ",") + "\u202fMB")
    assert not [one for one in lab.seen.requests if "modelo/" in one]  # nada se baja sin pedirlo
    held = []
    page.route("**/model.safetensors", lambda route: held.append(route))
    page.locator("#load").click()
    expect(page.locator("#load-text")).to_contain_text("MB de")
    page.locator("#load-stop").click()
    expect(page.locator("#load-text")).to_contain_text("Parado")
    page.unroute("**/model.safetensors")
    page.locator("#load").click()
    expect(page.locator("#run")).to_be_visible()
    lab.seen.requests.clear()
    page.reload()
    expect(page.locator("#run")).to_be_visible()  # sin pulsar nada
    assert not [one for one in lab.seen.requests if one.endswith(".safetensors")]
    # Otra pestaña del mismo perfil, a la vez: cada una con lo suyo.
    other = lab.context.new_page()
    other.goto(url + "#prompt=Otra")
    expect(other.locator("#run")).to_be_visible()
    expect(other.locator(".chip-button").first).to_contain_text("O")
    lab.ready()
    lab.run()
    assert other.locator("#prompt").input_value() == "Otra" and page.locator("#prompt").input_value() != "Otra"
    assert lab.seen.outside == []
    lab.close()


def test_a_failed_download_is_told_in_spanish_where_you_look(browser, url):
    lab = Lab(browser, url)
    page = lab.page
    lab.goto()
    page.route("**/tokenizer.json", lambda route: route.fulfill(status=404))
    page.locator("#load").click()
    expect(page.locator("#load-error")).to_contain_text("tokenizer.json")
    page.unroute("**/tokenizer.json")
    page.route("**/model.safetensors", lambda route: route.fulfill(body=b"\0" * 17_589_536))
    page.get_by_role("button", name="Probar otra vez").click()
    expect(page.locator("#load-error")).to_contain_text("SHA-256", timeout=LIMIT)
    page.unroute("**/model.safetensors")
    page.get_by_role("button", name="Probar otra vez").click()
    expect(page.locator("#run")).to_be_visible()
    lab.close()


def test_the_dice_writes_what_it_says(lab, mini):
    """Cada lugar tiene su tirada, la de la semilla: con las probabilidades de PyTorch sale el mismo texto."""
    lab.set("seed", "7")
    lab.set("maxNewTokens", "8")
    ids = lab.ids
    lab.run()
    for roll in laboratorio.splitmix(7, 8):
        shares = filtered(mini, ids, {"temperature": 0.8, "topK": 40}).double().cumsum(0)
        ids = [*ids, int((shares <= roll * shares[-1]).sum())]
    assert lab.ids == ids


def test_a_chosen_token_stops_what_is_being_written(lab):
    lab.set("maxNewTokens", "100")
    longest = "Math.max(...app.branches.items.map((one) => one.ids.length))"
    assert lab.app(f"async (app) => {{ app.run(); await app.force(5); return {longest}; }}") < 10


def test_another_prompt_skips_what_was_waiting(lab):
    events = lab.app(
        """async (app) => {
            let count = 0;
            const stop = app.on("node", () => count++);
            for (let i = 0; i < 5; i++) app.step();
            await app.setPrompt("Otra");
            stop();
            return count;
        }"""
    )
    assert events <= 2 and lab.text == "Otra"  # como mucho el paso que estaba a medias, y el principio nuevo


def test_a_run_survives_a_hidden_tab(lab, mini):
    lab.set("temperature", "0")
    # Escondida, una pestaña no da fotogramas: la espera no puede depender de ellos.
    lab.page.evaluate("window.requestAnimationFrame = () => 0")
    lab.set("maxNewTokens", "12")
    lab.run()
    assert lab.ids == greedy(mini, "Había una vez", 16 - 4)


def test_mini_shows_only_the_essential(browser, url):
    lab = Lab(browser, url, **PHONE).open("?mini")
    for gone in (".top", "#branches", "#set-topK", ".toolbar", "footer", "#panel-tours"):
        expect(lab.page.locator(gone).first).to_be_hidden()
    for there in ("#prompt", ".chip-button", "button.bar", "#set-temperature", "#step", "#run"):
        expect(lab.page.locator(there).first).to_be_visible()
    lab.page.locator("#step").click()
    lab.idle()
    assert len(lab.ids) == 5 and "#" not in lab.page.url
    lab.seen.assert_clean()
    lab.close()


# --- Lo que dice la página ----------------------------------------------------------------------------


def test_the_card_in_the_page_says_what_the_card_says(lab):
    card = (CHECKPOINT / "README.md").read_text(encoding="utf-8")
    lab.page.locator("#open-card").click()
    short = lab.page.locator(".card-facts").text_content()
    for fact in ("8,79 millones", "87 obras", "1840–1920", "CC0 1.0"):
        assert fact in short and fact in card
    lab.page.get_by_text("La ficha completa").click()
    whole = lab.page.locator(".card-text")
    expect(whole.locator("h3").last).to_have_text("Límites y sesgos")
    assert whole.locator("table").count() == len(re.findall(r"^\|[-|]+\|$", card, re.M))
    plain = re.sub(r"\s+", "", re.sub(r"[`*|]", "", card.split("## Límites y sesgos")[1]).replace("\n- ", "\n"))
    assert plain in re.sub(r"\s+", "", whole.text_content())


def test_the_page_runs_nothing_from_outside_nor_inline():
    page = (LAB / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|\son\w+=|style=|<script(?! type=\"module\" src=)", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert "default-src 'self'" in policy and "unsafe-inline" not in policy and "'unsafe-eval'" not in policy
    for path in [*LAB.glob("*.js"), *LAB.glob("ui/*.js")]:
        code = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://", code
        ), path
        assert len(code.splitlines()) <= 220, path
