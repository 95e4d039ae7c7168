"""Las imágenes de la portada del repositorio, hechas con lo de verdad: un cuaderno, una diapositiva, el sitio y el
laboratorio.

    make site && make slides
    python -m tools.screenshots                      # escribe docs/capturas/
    python -m tools.screenshots --site otra/carpeta  # con un sitio que está en otra parte

El cuaderno se abre en un JupyterLab propio, con las salidas que ya trae. Nada sale de esta máquina.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path

from . import ROOT, browser, exit_code
from .serving import JupyterLab, serving

OUTPUT = ROOT / "docs" / "capturas"
NAMES = ("cuaderno", "diapositiva", "sitio", "laboratorio")
VIEW, WIDTH, LIMIT = {"width": 1280, "height": 800}, 960, 150_000  # lo que se ve, lo que mide la imagen y sus bytes
NOTEBOOK, HEADING = "02_bucle_de_generacion", "2. Cuatro líneas"
SLIDE = 6


def see_notebook(page, lab: JupyterLab) -> None:
    page.goto(f"{lab.url}/lab/tree/{NOTEBOOK}.ipynb?token={lab.token}&reset")
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
    # Lo que no se ve no se dibuja, y al dibujarlo todo se mueve: la imagen saldría corrida.
    page.add_style_tag(content=".jp-Cell { content-visibility: visible !important }")
    page.wait_for_timeout(1500)
    page.locator(".jp-RenderedHTMLCommon h2", has_text=HEADING).evaluate("title => title.scrollIntoView()")
    page.wait_for_timeout(500)


def see_slide(page, url: str) -> None:
    page.set_viewport_size({"width": VIEW["width"], "height": VIEW["width"] * 9 // 16})
    page.goto(f"{url}{NOTEBOOK}.html#{SLIDE}")
    page.add_style_tag(content=".bespoke-marp-osc { display: none !important }")  # los botones
    page.wait_for_timeout(1000)


def see_site(page, url: str) -> None:
    page.goto(url + "index.html")
    page.get_by_role("button", name="que").first.click()
    page.wait_for_timeout(800)


def see_lab(page, url: str) -> None:
    page.goto(url + "lab/index.html")
    page.locator("#load").click()
    page.locator("#run").wait_for()
    page.locator("#run").click()
    page.wait_for_timeout(6000)
    page.evaluate("scrollTo(0, 0)")


def save(page, name: str, output: Path) -> str | None:
    """Guarda lo que se ve, en WebP y a su ancho; dice si pesa demasiado."""
    from PIL import Image

    image = Image.open(io.BytesIO(page.screenshot()))
    image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}.webp"
    image.convert("RGB").save(path, quality=82, method=6)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    return f"{path.name} pesa más de {LIMIT // 1000} kB." if path.stat().st_size > LIMIT else None


def shoot(site: Path, decks: Path, output: Path) -> list[str]:
    """Hace las cuatro imágenes; devuelve las que pesan demasiado.

    Raises
    ------
    ValueError
        Si falta el navegador, el sitio o las diapositivas.
    """
    chrome = browser.find_browser()
    if not chrome:
        raise ValueError(browser.MISSING)
    for path, order in ((site / "lab" / "index.html", "make site"), (decks / f"{NOTEBOOK}.html", "make slides")):
        if not path.is_file():
            raise ValueError(f"Falta {path}. Hazlo con «{order}» y repite la orden.")
    from playwright.sync_api import sync_playwright

    problems = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        at_site, at_decks = stack.enter_context(serving(site)), stack.enter_context(serving(decks))
        lab = stack.enter_context(JupyterLab(folder))
        driver = stack.enter_context(sync_playwright())
        chromium = driver.chromium.launch(executable_path=chrome, args=browser.ARGUMENTS)
        ways = (
            lambda page: see_notebook(page, lab),
            lambda page: see_slide(page, at_decks),
            lambda page: see_site(page, at_site),
            lambda page: see_lab(page, at_site),
        )
        for name, see in zip(NAMES, ways, strict=True):
            context = chromium.new_context(viewport=VIEW, locale="es-ES", color_scheme="light")
            see(page := context.new_page())
            problems.append(save(page, name, output))
            context.close()
        chromium.close()
    return [problem for problem in problems if problem]


def main(argv: list[str] | None = None) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    parser = argparse.ArgumentParser(description="Hace las imágenes de la portada del repositorio.")
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "site", help="el sitio, ya hecho (build/site)")
    parser.add_argument("--slides", type=Path, default=ROOT / "slides" / "dist", help="las diapositivas, ya hechas")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="dónde se dejan (docs/capturas)")
    options = parser.parse_args(argv)
    return exit_code(lambda: shoot(options.site, options.slides, options.output), "Baja la calidad o recorta.")


if __name__ == "__main__":
    sys.exit(main())
