"""La página del laboratorio, tocada como una persona: lo comparten sus pruebas de cada día y las de la noche."""

from __future__ import annotations

import functools
from pathlib import Path
from urllib.parse import urlencode

from absent import missing
from cuadernos import ROOT
from paginas import LIMIT, watch
from playwright.sync_api import expect

from tools import lab

AXE = ROOT / "slides" / "node_modules" / "axe-core" / "axe.min.js"
# Lo que piden las WCAG 2.1 hasta el nivel AA. La última regla es de las que axe prueba solo si se le piden: quien habla
# a su teléfono pulsa un botón diciendo lo que ve en él.
RULES = """{ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
             rules: { "label-content-name-mismatch": { enabled: true } } }"""
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@functools.cache
def assembled(folder: Path) -> Path:
    """El laboratorio montado en ``folder``, una vez."""
    lab.assemble(folder)
    return folder


def serious(page) -> list:
    """Lo que axe encuentra de grave: cada regla y dónde."""
    if not AXE.is_file():
        missing("falta axe-core: ejecuta «npm ci» en slides/")
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(f"axe.run({RULES})")["violations"]
    return [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found if v["impact"] in ("serious", "critical")]


class Lab:
    """Una pestaña con el laboratorio, su perfil y lo que se ha visto de ella."""

    def __init__(self, browser, url: str, **options):
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(LIMIT)
        self.seen, self.url, self.page = watch(self.context), url, self.context.new_page()

    def open(self, query: str = "", **link) -> Lab:
        """Abre la página, con un enlace si se da, y espera a que el modelo haya leído; la primera vez lo descarga."""
        self.goto(query, **link)
        self.ready()
        return self

    def goto(self, query: str = "", **link) -> None:
        self.page.goto("about:blank")  # cambiar solo lo que va tras «#» no recarga
        self.page.goto(f"{self.url}{query}#{urlencode(link)}" if link else f"{self.url}{query}")

    def ready(self) -> None:
        load = self.page.locator("#load")
        expect(load.or_(self.page.locator("#run:visible")).first).to_be_enabled()
        if load.is_visible():
            load.click()
        expect(self.page.locator("#run")).to_be_visible(timeout=LIMIT)
        self.idle()

    def idle(self) -> None:
        """Espera a que no quede nada por hacer."""
        self.app("(app) => new Promise((done) => { const look = () => (!app.state.busy && app.state.node ? done() : "
                 "setTimeout(look, 20)); look(); })")  # fmt: skip

    def app(self, function: str, argument=None):
        """Lo que da ``function(app, argument)`` en la página, con la misma sesión que se ve."""
        return self.page.evaluate(
            f"async (argument) => ({function})((await import(new URL('app.js', document.baseURI))).app, argument)",
            argument,
        )

    def write(self, text: str) -> None:
        """Teclea un principio y espera a que se lea."""
        self.page.locator("#prompt").fill(text)
        self.app("(app, text) => new Promise((done) => { const look = () => (app.state.prompt === text ? done() : "
                 "setTimeout(look, 20)); look(); })", text)  # fmt: skip
        self.idle()

    def set(self, name: str, value: str) -> None:
        """Escribe un valor en la casilla de un mando."""
        box = self.page.locator(f"#set-{name}")
        box.fill(value)
        box.press("Enter")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.idle()

    def run(self) -> None:
        self.page.locator("#run").click()
        self.idle()

    @property
    def ids(self) -> list[int]:
        return self.app("(app) => app.engine.ids(app.state.node)")

    @property
    def text(self) -> str:
        return self.app("(app) => app.text()")

    @property
    def chips(self) -> list[str]:
        return self.page.locator(".chip-button bdi").all_text_contents()

    def close(self) -> None:
        self.context.close()
