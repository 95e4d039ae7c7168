"""Páginas de verdad en un navegador de verdad: un servidor local, Chromium y un vigilante de lo que piden.

Las *fixtures* están en ``tests/conftest.py``, así que una prueba las usa sin importar nada:

    def test_the_page_says_hello(serve, open_page):
        page, seen = open_page(serve(folder) + "index.html", viewport={"width": 390, "height": 844})
        page.get_by_text("Hola").wait_for()
        seen.assert_clean()  # ni una petición fuera, ni un error en la consola

Cada servidor coge un puerto libre y cada ``open_page`` es un perfil nuevo, con sus cachés vacías: dos procesos de
pytest no se estorban, y todo se cierra al acabar. Sin navegador, la prueba se salta (``absent.missing``).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from absent import missing

from tools import browser as browser_script
from tools.serving import serving

LIMIT = 60_000  # ms: lo que espera Playwright, también en una máquina ocupada
LOCAL = ("127.0.0.1", "localhost", None)  # sin servidor: file:, data:, blob:


# --- El servidor --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    """``serve(folder)``: la URL de un servidor de esa carpeta, que vive lo que el archivo de pruebas."""
    with contextlib.ExitStack() as stack:
        yield functools.cache(lambda folder: stack.enter_context(serving(Path(folder))))


# --- El navegador -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(request):
    """Un Chromium (``Browser`` de Playwright) para todo el archivo de pruebas.

    Un archivo puede pedir otros argumentos con ``BROWSER_ARGUMENTS = [...]``.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("falta playwright: prepara el entorno con «make env»")
    executable = browser_script.find_browser() or missing(browser_script.MISSING)
    extra = getattr(request.module, "BROWSER_ARGUMENTS", [])
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=[*browser_script.ARGUMENTS, *extra])
        yield chromium
        chromium.close()


# --- El vigilante -------------------------------------------------------------------------------------


@dataclass
class Seen:
    """Lo que ha hecho una página: qué ha pedido (``requests``, ``outside``) y de qué se ha quejado (``errors``)."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def outside(self) -> list[str]:
        """Las peticiones que no eran a esta máquina."""
        return [url for url in self.requests if urlsplit(url).hostname not in LOCAL]

    def assert_clean(self) -> None:
        assert self.outside == []
        assert self.errors == []


def watch(context) -> Seen:
    """Vigila un contexto de Playwright: sus páginas, sus *workers* y las páginas que abran."""
    seen = Seen()
    context.on("request", lambda request: seen.requests.append(request.url))
    context.on("weberror", lambda error: seen.errors.append(str(error.error)))
    context.on("console", lambda message: message.type == "error" and seen.errors.append(message.text))

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # lo que la propia página deja de pedir no es un error
            seen.errors.append(f"no llega {request.url}: {request.failure}")

    context.on("requestfailed", failed)
    return seen


@pytest.fixture
def open_page(browser):
    """``open_page(url=None, **context)``: una página en un perfil nuevo y lo que se ve de ella, ``(page, seen)``.

    Lo demás va a ``browser.new_context``: ``viewport``, ``color_scheme``, ``reduced_motion``, ``java_script_enabled``…
    Sin ``url`` no abre nada: es el momento de preparar ``page.route`` o ``page.add_init_script``.
    """
    contexts = []

    def open_it(url: str | None = None, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(LIMIT)
        seen = watch(context)
        page = context.new_page()
        if url is not None:
            page.goto(url)
        return page, seen

    yield open_it
    for context in contexts:
        context.close()
