"""La página del laboratorio en condiciones malas: un teléfono lento con mala red, y dos pestañas a la vez."""

import pytest
import torch
from lab_page import PHONE, Lab, assembled
from paginas import LIMIT
from playwright.sync_api import expect

from course_utils.models import load_model

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
