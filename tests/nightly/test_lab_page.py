"""La página del laboratorio en condiciones malas: un teléfono lento con mala red, dos pestañas a la vez y una tarde.

La tarde son diez minutos; con ``CURSO_TARDE=120``, dos horas.
"""

import os
import random
import time

import pytest
import torch
from lab_page import PHONE, Lab, assembled
from paginas import LIMIT
from playwright.sync_api import expect

from course_utils.models import load_model

BROWSER_ARGUMENTS = ["--js-flags=--expose-gc", "--enable-precise-memory-info"]
MINUTES = float(os.environ.get("CURSO_TARDE", "10"))
PROMPT = "Aquella noche, en la plaza,"
TOKENS = 20


@pytest.fixture(scope="module")
def url(serve, tmp_path_factory):
    return serve(assembled(tmp_path_factory.mktemp("laboratorio") / "lab")) + "index.html"


@pytest.fixture(scope="module")
def written():
    """Lo que escribe PyTorch, sin azar."""
    model, tokenizer = load_model("decoder", "mini")
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    mask = torch.ones_like(ids)
    return model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=TOKENS)[0].tolist()


def prepare(lab: Lab) -> None:
    lab.write(PROMPT)
    lab.set("temperature", "0")
    lab.set("maxNewTokens", str(TOKENS))


def test_a_slow_phone_on_a_slow_network_writes_the_same(browser, url, written):
    lab = Lab(browser, url, **PHONE)
    devtools = lab.context.new_cdp_session(lab.page)
    devtools.send("Network.enable")
    slow = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
    devtools.send("Network.emulateNetworkConditions", slow)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    lab.goto()
    lab.page.locator("#load").click()
    bar = lab.page.get_by_role("progressbar")
    expect(bar).to_be_visible()
    lab.page.wait_for_timeout(5000)
    first = bar.get_attribute("value")
    lab.page.wait_for_timeout(5000)
    assert float(bar.get_attribute("value")) > float(first) > 0  # se ve que avanza
    expect(lab.page.locator("#run")).to_be_visible(timeout=4 * LIMIT)
    lab.idle()
    prepare(lab)
    lab.run()
    assert lab.ids == written
    lab.seen.assert_clean()
    lab.close()


def test_two_tabs_write_at_once_without_mixing(browser, url, written):
    one = Lab(browser, url).open()
    two = Lab.__new__(Lab)
    two.context, two.seen, two.url, two.page = one.context, one.seen, url, one.context.new_page()
    two.open()  # la segunda, con lo que guardó la primera
    for lab in (one, two):
        prepare(lab)
    two.write("Querida suegra:")
    for lab in (one, two):
        lab.page.locator("#run").click()
    for lab in (one, two):
        lab.idle()
    assert one.ids == written and two.ids[: len(two.ids) - TOKENS] != one.ids[: len(one.ids) - TOKENS]
    assert len(two.ids) - TOKENS == len(two.app("(app) => app.engine.tokenizer.encode('Querida suegra:')"))
    one.seen.assert_clean()
    one.close()


def measure(lab: Lab) -> dict[str, float]:
    """Lo que ocupa la página después de recoger lo que no usa."""
    return lab.page.evaluate(
        """async () => {
            for (let i = 0; i < 5; i++) { gc(); await new Promise((done) => setTimeout(done, 50)); }
            const { app } = await import(new URL("app.js", document.baseURI));
            return { javascript: performance.memory.usedJSHeapSize / 1e6, motor: app.engine.memory().bytes / 1e6,
                     elementos: document.querySelectorAll("*").length };
        }"""
    )


@pytest.mark.timeout(60 * MINUTES + 600)
def test_an_afternoon_of_use_does_not_fill_the_memory(browser, url):
    """Como quien explora: escribe, sigue, vuelve, cambia de rama y de mandos y busca en haz, sin recargar."""
    lab, rng = Lab(browser, url).open(), random.Random(0)
    prompts = [PROMPT, "Había una vez", "Querida suegra:", "El coronel abrió la puerta y"]
    seen, rounds, start = [], 0, time.monotonic()
    while (spent := time.monotonic() - start) < 60 * MINUTES:
        if len(seen) <= 10 * spent / (60 * MINUTES):
            lab.write(PROMPT)
            seen.append(measure(lab))
            print(
                f"{spent / 60:.0f} min, {rounds} vueltas:", {name: round(value, 1) for name, value in seen[-1].items()}
            )
        lab.write(f"{rng.choice(prompts)} {rng.randrange(1000)}")
        lab.set("temperature", rng.choice(["0", "0,7", "1,3"]))
        lab.set("topK", rng.choice(["0", "40"]))
        lab.set("maxNewTokens", str(rng.randrange(5, 40)))
        lab.run()
        for _ in range(3):
            lab.press("Atrás")
        lab.page.locator("button.bar").nth(rng.randrange(5)).click()
        lab.idle()
        lab.run()
        lab.page.wait_for_timeout(1000 * rng.uniform(0.5, 3))
        rounds += 1
    print(f"{rounds} vueltas; como mucho,", *(f"{name} {max(x[name] for x in seen):.1f}" for name in seen[0]))
    assert rounds > 5 * MINUTES
    # Sube mientras caben más nodos, hasta mil (39 MB); entonces se sueltan los viejos y vuelve a empezar.
    for name, room in (("javascript", 45), ("motor", 45), ("elementos", 100)):
        assert max(x[name] for x in seen) < seen[0][name] + room
    lab.seen.assert_clean()
    lab.close()
