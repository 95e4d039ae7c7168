"""Los paneles, los recorridos y la portada en un navegador, con el modelo de verdad; la otra cuenta la hace PyTorch."""

import json
import math
import re
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import cifras
import pytest
import torch
from cuadernos import ROOT
from lab_page import serious
from paginas import LIMIT, watch
from playwright.sync_api import expect

from course_utils import decoding
from tools import lab as build_lab
from tools import portada

PHONE = {"viewport": {"width": 360, "height": 740}}
TOURS = cifras.load_tours()


@pytest.fixture(scope="module")
def truth(mini):
    return cifras.Truth(*mini)


@pytest.fixture(scope="module")
def site(tmp_path_factory, serve):
    """Una carpeta con la portada y, al lado, el laboratorio: la URL."""
    folder = tmp_path_factory.mktemp("sitio")
    build_lab.assemble(folder / "lab")
    for path in (ROOT / "docs").glob("portada.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    head = '<!doctype html><html lang="es"><head><meta charset="utf-8"><title>Portada</title>'
    head += '<link rel="icon" href="data:,">'
    body = (
        '</head><body><main><h1>Curso</h1><div id="portada-viva"></div></main><script defer src="portada.js"></script>'
    )
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    (folder / "index.html").write_text(f"{head}{view}{body}</body></html>", encoding="utf-8")
    return serve(folder)


def open_lab(page, url):
    page.goto(url)
    page.locator("#load:not([disabled])").click()
    page.locator(".tour-list li").nth(4).wait_for()
    page.evaluate("async () => { globalThis.lab = (await import('./app.js')).app; }")


@pytest.fixture(scope="module")
def lab(site, browser):
    """El laboratorio abierto, en un teléfono; al final, ni una petición fuera ni un error en la consola."""
    context = browser.new_context(**PHONE, reduced_motion="reduce")
    context.set_default_timeout(LIMIT)
    seen = watch(context)
    page = context.new_page()
    open_lab(page, site + "lab/index.html")
    yield page
    seen.assert_clean()
    context.close()


def set_prompt(page, text):
    page.evaluate("(text) => lab.setPrompt(text)", text)


def written_ids(page):
    return page.evaluate("lab.engine.ids(lab.state.node)")


def table_rows(table):
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# --- Atención -----------------------------------------------------------------------------------------


def test_attention_is_that_of_pytorch_and_moves_with_the_arrows(lab, truth):
    text = "El rey y la reina vivían en un palacio"
    ids = truth.ids(text)
    with torch.inference_mode():
        truth.model.set_attn_implementation("eager")
        maps = torch.stack(truth.model(torch.tensor([ids]), output_attentions=True).attentions)[:, 0]  # (6, 4, T, T)
    set_prompt(lab, text)
    panel = lab.locator("#panel-attention")
    panel.scroll_into_view_if_needed()
    panel.locator(".att-chip").nth(len(ids) - 1).wait_for()

    def check(layer, head, looker):
        table = panel.locator("table")
        where = "media de las cabezas" if head == 4 else f"cabeza {head + 1}"
        assert f"Capa {layer + 1}, {where}" in table.locator("caption").text_content()
        weights = maps[layer].mean(0) if head == 4 else maps[layer, head]
        rows = table.locator("tbody tr td").all_text_contents()
        assert len(rows) == looker + 1
        assert all(abs(cifras.read_number(row) - 100 * w) < 0.011 for row, w in zip(rows, weights[looker].tolist()))  # noqa: B905

    panel.locator("[role=radio][aria-checked=true]").focus()
    check(5, 0, len(ids) - 1)
    for key, place in [("ArrowRight", (5, 1)), ("ArrowUp", (4, 1)), ("ArrowLeft", (4, 0)), ("ArrowLeft", (4, 0))]:
        lab.keyboard.press(key)
        check(*place, len(ids) - 1)
    for _ in range(4):
        lab.keyboard.press("ArrowRight")
    check(4, 4, len(ids) - 1)
    panel.locator(".att-chip").nth(3).click()
    check(4, 4, 3)
    chips = panel.locator(".att-chip")
    assert chips.nth(4).inner_text().splitlines()[-1] == "no la ve" and "▲" in chips.nth(3).inner_text()
    shown = [truth.names[i] for i in ids]
    share = r"\d+\s%"
    said = [(2, share), (3, rf"{share} a sí misma: es la que mira"), (4, "no la ve")]
    for place, words in said:  # empieza por lo que se ve
        expect(chips.nth(place)).to_have_accessible_name(re.compile(rf"^{shown[place]} {words}$"))


def test_attention_follows_the_text(lab, truth):
    set_prompt(lab, "Había una vez")
    chips = lab.locator("#panel-attention .att-token")
    chips.nth(4).wait_for(state="detached")
    assert chips.all_inner_texts() == [truth.names[i] for i in truth.ids("Había una vez")]


# --- Búsqueda en haz ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "beams", "depth", "penalty", "ending"),
    [("Don Quijote", 2, 4, 1, "none"), ("—¿Quién llama?", 3, 6, 2, "line"), ("Aquel hombre no", 2, 12, 1, "none")],
)
def test_beams_are_those_of_generate(lab, truth, text, beams, depth, penalty, ending):
    ids = truth.ids(text)
    eos = truth.token("⏎") if ending == "line" else None
    set_prompt(lab, text)
    panel = lab.locator("#panel-beams")
    for name, value in {"numBeams": beams, "depth": depth, "lengthPenalty": penalty}.items():
        panel.locator(f"[name={name}]").fill(str(value))
    panel.get_by_label("Una rama acaba").select_option(ending)
    panel.get_by_role("button", name="Buscar").click()
    lines = panel.locator(".beam-line")
    lines.nth(1).wait_for()

    options = {"num_beams": beams, "max_new_tokens": depth, "eos_token_id": eos, "length_penalty": float(penalty)}
    tensor = torch.tensor([ids])
    best = truth.model.generate(tensor, do_sample=False, pad_token_id=1, early_stopping=False, **options)[0].tolist()
    new = [token for token in best[len(ids) :] if token != 1]
    greedy = decoding.generate(truth.model, tensor, max_new_tokens=depth, eos_token_id=eos)
    for line, found in ((0, new), (1, greedy.new_ids[0].tolist())):
        assert lines.nth(line).locator(".beam-word").all_inner_texts() == [truth.names[i] for i in found]
        total = -math.log(2) * sum(truth.bits([*ids, *found])[len(ids) - 1 :])
        shown = re.search(r"log P = (\S+) nats", lines.nth(line).inner_text())[1]
        assert abs(cifras.read_number(shown) - total) < 0.006
    tree = decoding.beam_search(truth.model, tensor, **options).tree
    panel.locator("summary").evaluate("(summary) => { summary.parentElement.open = true; }")
    rows = table_rows(panel.locator("table"))
    assert [(int(row[0]), row[4]) for row in rows] == [(node.step + 1, node.status) for node in tree]
    for row, node in zip(rows, tree, strict=True):
        assert row[1].split(" ")[-1] == truth.names[node.token_id]
        assert abs(cifras.read_number(row[2]) - node.total) < 0.006
        assert abs(cifras.read_number(row[3]) - node.score) < 0.006
    assert fits(lab)


def test_a_lost_search_says_where_and_a_branch_is_written_by_keyboard(lab, truth):
    panel = lab.locator("#panel-beams")  # como lo dejó la anterior: «Aquel hombre no», dos haces
    assert "Pierde el haz" in panel.get_by_role("status").inner_text()
    assert "se podó en el paso 4" in panel.get_by_role("status").inner_text()
    panel.locator(".beam-node[tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowUp", "ArrowDown", "ArrowRight"):
        lab.keyboard.press(key)
    chosen = lab.evaluate("document.activeElement.title")
    node = panel.locator(".beam-node:focus")
    seen = [re.escape(node.locator(part).inner_text()) for part in (".beam-token", ".beam-total")]
    expect(node).to_have_accessible_name(re.compile(rf"^{' '.join(seen)} nats, (viva|podada|terminada)"))
    expect(node).to_have_accessible_description(chosen)
    expect(panel.get_by_role("button", name="Escribirla (la rama de la búsqueda en haz)", exact=True)).to_be_visible()
    lab.keyboard.press("Enter")
    lab.wait_for_timeout(50)
    lab.evaluate("lab.stop()")
    new = written_ids(lab)[len(truth.ids("Aquel hombre no")) :]
    assert len(new) == 2 and chosen.startswith(" ".join(truth.names[i] for i in new) + ":")


# Pulsa «Parar» en cuanto hay una ficha en el árbol: en una máquina rápida, una persona no llega a tiempo.
STOP_AT_ONCE = """() => {
  const panel = document.querySelector("#panel-beams");
  new MutationObserver((changes, observer) => {
    const stop = [...panel.querySelectorAll("button")].find((button) => button.textContent === "Parar");
    if (!panel.querySelector(".beam-node") || !stop?.checkVisibility()) return;
    observer.disconnect();
    stop.click();
  }).observe(panel, { attributes: true, childList: true, subtree: true });
}"""


def test_a_search_stops(lab):
    set_prompt(lab, "En un lugar de la Mancha")
    panel = lab.locator("#panel-beams")
    panel.locator("[name=numBeams]").fill("6")
    panel.locator("[name=depth]").fill("99")  # se queda en lo que se admite
    lab.evaluate(STOP_AT_ONCE)
    panel.get_by_role("button", name="Buscar").click()
    assert panel.locator("[name=depth]").input_value() == "20"
    panel.get_by_text("Parado").wait_for()


# --- Adivina ------------------------------------------------------------------------------------------


def test_with_your_text_the_candidates_hide_until_you_bet(lab, truth):
    text = "El rey cerró la"
    set_prompt(lab, text)
    panel = lab.locator("#panel-guess")
    panel.get_by_role("button", name="Con tu texto").click()
    assert not lab.locator("#candidates").is_visible()
    panel.get_by_label("¿Qué viene ahora?").fill("ventana")
    assert "«␣ventana»" in panel.locator("#guess-token").inner_text()
    lab.keyboard.press("Enter")
    panel.get_by_role("button", name="Siguiente apuesta").wait_for()
    assert lab.locator("#candidates").is_visible()
    probs = truth.probs(truth.ids(text))
    mine, best = probs[truth.token("␣ventana")].item(), probs.max().item()
    said = panel.locator(".panel-said").inner_text()
    rank, p, bits = re.search(r"puesto (\S+), P = ([^%]+%), (\S+) bits", said).groups()
    assert cifras.agrees(rank, float((probs > mine).sum()) + 1)
    assert cifras.agrees(p, 100 * mine) and cifras.agrees(bits, -math.log2(mine))
    rows = dict(table_rows(panel.locator("table")))
    assert cifras.agrees(rows["Tú"], -math.log2(mine))
    assert cifras.agrees(rows["El modelo, con su favorita"], -math.log2(best))
    assert cifras.agrees(rows["Un dado de 4096 caras"], 12.0)
    panel.get_by_role("button", name="Siguiente apuesta").click()
    panel.get_by_label("¿Qué viene ahora?").wait_for()
    assert written_ids(lab) == [*truth.ids(text), int(probs.argmax())]
    panel.get_by_role("button", name="Dejar de jugar").click()
    assert lab.locator("#candidates").is_visible()


def test_you_against_the_model_with_a_novel(lab, truth):
    """Diez apuestas: unas acertadas, otras no, con cada confianza; los bits de cada cual, hechos a mano."""
    panel = lab.locator("#panel-guess")
    panel.get_by_role("button", name="Con una novela").click()
    ids, asked = truth.passage(1)
    bits = truth.bits(ids)
    trusts = ["0.9", "0.5", "0.1", "null", "0.9", "0.5", "0.1", "0.5", "0.9", "0.1"]
    player = []
    for round_, (place, trust) in enumerate(zip(asked, trusts, strict=True)):
        bet = truth.tokenizer.decode(ids[place]).strip() if round_ % 2 else "murciélago"
        panel.get_by_label("¿Qué viene ahora?").fill(bet)
        panel.locator(f"[name=trust][value='{trust}']").check()
        panel.get_by_role("button", name="Apostar").click()
        panel.locator(".guess-score caption", has_text=f"en {round_ + 1} de 10").wait_for()
        first = truth.ids(" " + bet)[0]
        q = 1 / 4096 if trust == "null" else float(trust) if first == ids[place] else (1 - float(trust)) / 4095
        player.append(-math.log2(q))
        rows = dict(table_rows(panel.locator("table")))
        assert cifras.agrees(rows["Tú"], sum(player) / len(player))
        assert cifras.agrees(rows["El modelo"], sum(bits[k - 1] for k in asked[: round_ + 1]) / (round_ + 1))
        if round_ < 9:
            panel.get_by_role("button", name="Siguiente apuesta").click()
    panel.get_by_role("button", name="Otra partida").wait_for()
    panel.get_by_role("button", name="Dejar de jugar").click()


def test_the_passages_are_in_the_novel_that_the_model_has_not_read():
    novel = (ROOT / "course_utils" / "data" / "novela.txt").read_text(encoding="utf-8")
    passages = cifras.load_passages()
    assert len(passages) >= 5 and all(one["text"] in novel for one in passages)
    card = (ROOT / "course_utils" / "data" / "novela.md").read_text(encoding="utf-8")
    assert "dominio público" in card and all("(1874)" in one["source"] for one in passages)


# --- Los recorridos -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", TOURS)
def test_a_tour_says_what_pytorch_says(lab, truth, code):
    """De principio a fin, con el teclado: cada cifra de la página frente a la de PyTorch."""
    tour, measure = TOURS[code], cifras.figures(truth)
    assert len(tour["steps"]) == 5
    lab.locator(".tour-list button", has_text=code).focus()
    lab.keyboard.press("Enter")
    dock = lab.locator(".tour")
    assert f"recorrido={code}" in lab.url
    checked = 0
    for number, step in enumerate(tour["steps"]):
        assert dock.locator("h3").inner_text() == step["title"] == lab.evaluate("document.activeElement.innerText")
        if number == 0:
            dock.locator(".tour-bet input").nth(tour["bet"]["right"]).check()
        dock.locator(".tour-action").focus()
        lab.keyboard.press("Enter")
        dock.locator(".tour-told:not(:empty)", has_not_text="Un momento").wait_for()
        state = page_state(lab, truth, step["action"])
        expected = [match for match in cifras.PLACEHOLDER.finditer(step["tell"]) if match[1] != "bet"]
        shown = dock.locator(".live").all_inner_texts()
        assert len(shown) == len(expected)
        for match, text in zip(expected, shown, strict=True):
            name, *args = match[1].split(":")
            ids = state.ids if match[2] is None else truth.ids(match[2])
            there = SimpleNamespace(
                ids=ids, start=state.start if match[2] is None else len(ids), settings=state.settings
            )
            value = measure[name](there, *args)
            assert cifras.agrees(text, value), (code, number + 1, match[0], text, value)
            checked += 1
        if number == 4:
            assert "acertaste" in dock.locator(".tour-told").inner_text()
            link = dock.get_by_role("link", name=f"Ir a la sesión {code}").get_attribute("href")
            assert link == f"../sesiones/{next((ROOT / 'notebooks').glob(f'{code}_*.ipynb')).stem}.html"
        assert fits(lab)
        dock.locator(".tour-next").focus()
        lab.keyboard.press("Enter")
    assert dock.is_hidden() and "recorrido" not in lab.url and checked > 12


def page_state(page, truth, action):
    """El texto y los mandos en que un paso deja la página, comprobando que son los que pide."""
    settings = cifras.PLAIN | {"seed": 0} | action.get("settings", {})
    found = page.evaluate("({ ids: lab.engine.ids(lab.state.node), settings: lab.state.settings })")
    assert {name: found["settings"][name] for name in cifras.PLAIN} == {name: settings[name] for name in cifras.PLAIN}
    prompt = truth.ids(action["prompt"])
    new = found["ids"][len(prompt) :]
    assert found["ids"][: len(prompt)] == prompt and len(new) == action.get("run", 0)
    if new and settings["temperature"] == 0:
        greedy = decoding.generate(truth.model, torch.tensor([prompt]), max_new_tokens=len(new))
        assert new == greedy.new_ids[0].tolist()
    return SimpleNamespace(ids=found["ids"], start=len(prompt), settings=settings)


def test_the_numbers_of_a_tour_are_never_typed():
    """Fuera de las cifras vivas solo hay números que nombran: una capa, un mando, un argumento."""
    allowed = r"[Cc]apa \d|cabeza \d|La cabeza \d|top_k=\d+|top-p 0,9|temperatura 0,8|min_new_tokens=1|−100"
    for code, tour in TOURS.items():
        for step in tour["steps"]:
            assert not cifras.PLACEHOLDER.search(step["ask"]), (code, step["title"])  # la pregunta no se rellena
            for text in (step["ask"], step["tell"]):
                rest = re.sub(allowed, "", cifras.PLACEHOLDER.sub("", text))
                assert not re.search(r"\d", rest), (code, step["title"], rest)


@pytest.mark.parametrize(
    ("code", "step", "wanted"),
    [
        ("02", 1, "#candidates .bar.favourite"),
        ("02", 3, ".chip-group.written .chip"),
        ("03", 4, ".beam-scroll"),
        ("04", 4, ".chips-area.surprise .chip small"),
    ],
)
def test_what_a_step_talks_about_is_seen_above_it(site, open_page, code, step, wanted):
    """En un teléfono el recorrido tapa media pantalla: lo que ha salido tiene que quedar en la otra media."""
    page, seen = open_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    open_lab(page, site + f"lab/index.html?recorrido={code}")
    for _ in range(step - 1):
        page.locator(".tour-next").click()
    page.locator(".tour-action").click()
    page.locator(".tour-told:not(:empty)", has_not_text="Un momento").wait_for()
    box = page.locator(wanted).first.bounding_box()
    assert box["y"] >= 0 and box["y"] + 30 < page.locator(".tour").bounding_box()["y"]
    seen.assert_clean()


def test_on_a_wide_screen_what_a_step_tells_starts_in_sight(site, open_page):
    page, seen = open_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    open_lab(page, site + "lab/index.html?recorrido=05")
    page.locator(".tour-action").click()
    told = page.locator(".tour-told:not(:empty)", has_not_text="Un momento")
    told.wait_for()
    assert told.bounding_box()["y"] >= page.locator(".tour-head").bounding_box()["y"] + 30
    seen.assert_clean()


def test_a_link_opens_a_tour(site, open_page):
    page, seen = open_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    open_lab(page, site + "lab/index.html?recorrido=03")
    page.locator(".tour h2", has_text="03").wait_for()
    page.locator(".tour-action").click()
    page.locator(".tour-told:not(:empty)", has_not_text="Un momento").wait_for()
    page.evaluate("lab.panels.beams.show({ numBeams: 2, depth: 3 })")
    page.locator("#panel-attention").scroll_into_view_if_needed()
    assert serious(page) == []
    seen.assert_clean()


def test_on_a_phone_nothing_serious_for_axe(lab):
    lab.evaluate("lab.panels.guess.show({ mode: 'novel' })")
    lab.locator("#panel-attention").scroll_into_view_if_needed()
    lab.locator(".tour-list button").first.click()
    assert serious(lab) == [] and fits(lab)
    lab.get_by_label("Cerrar el recorrido").click()
    lab.locator("#panel-guess").get_by_role("button", name="Dejar de jugar").click()


# --- La portada ---------------------------------------------------------------------------------------


def recorded():
    return json.loads(portada.OUTPUT.read_text(encoding="utf-8"))


def test_every_probability_of_the_front_page_is_that_of_the_model(truth):
    data = recorded()
    files = json.loads(build_lab.manifest())["files"]
    assert data["model"] == files["model.safetensors"]["sha256"][:16]
    assert data["bytes"] == sum(files[name]["bytes"] for name in ("config.json", "tokenizer.json", "model.safetensors"))
    assert data["vocab"] == 4096 and len(data["trees"]) >= 3

    for tree in data["trees"]:
        level = [(truth.ids(tree["prompt"]), tree["next"])]
        for width in (1, 6, 36):
            assert len(level) == width
            with torch.inference_mode():  # todos los textos de un nivel miden lo mismo: van en un lote
                logits = truth.model(torch.tensor([ids for ids, _ in level])).logits[:, -1]
            for (_, branches), probs in zip(level, logits.double().softmax(-1), strict=True):
                assert [one[0] for one in branches] == probs.topk(6).indices.tolist()
                for token, p, *_ in branches:
                    assert abs(p - probs[token].item()) < 1e-3 * p + 1e-6
                    assert data["names"][str(token)] == truth.names[token]
            level = [([*ids, token], next_) for ids, some in level for token, _, *more in some for next_ in more]
        assert level == []
    assert sum(path.stat().st_size for path in (ROOT / "docs").glob("portada.*")) < 30_000


def test_the_front_page_writes_without_the_model_and_goes_on_in_the_lab(site, open_page, truth):
    page, seen = open_page(**PHONE, color_scheme="dark")
    page.route("**/modelo/**", lambda route: route.abort())
    page.goto(site + "index.html")
    page.get_by_role("button", name="Se comió el").click()
    for _ in range(3):
        page.locator(".pv-candidates button").nth(1).focus()
        page.keyboard.press("Enter")
    tree = next(one for one in recorded()["trees"] if one["prompt"] == "Se comió el")
    ids, path = [], tree["next"]
    for _ in range(3):
        ids.append(path[1][0])
        path = path[1][2] if len(path[1]) > 2 else []
    text = truth.tokenizer.decode([*truth.ids("Se comió el"), *ids])
    assert page.locator(".pv-text").inner_text().strip() == text.strip()
    assert page.evaluate("document.activeElement.className") == "pv-go"  # donde se sigue
    assert serious(page) == [] and fits(page)
    go = page.get_by_role("link", name="Sigue con el modelo de verdad (17,9")
    fields = parse_qs(urlsplit(go.get_attribute("href")).fragment)
    assert fields["prompt"] == ["Se comió el"] and fields["ids"] == [".".join(map(str, ids))]
    assert not [url for url in seen.requests if "modelo" in url]
    page.unroute("**/modelo/**")
    open_lab(page, site + go.get_attribute("href"))
    page.locator("#text").get_by_text(truth.names[ids[0]], exact=True).first.wait_for()
    assert written_ids(page) == [*truth.ids("Se comió el"), *ids]
    seen.assert_clean()
