"""El curso como lo ve una persona: JupyterLab de verdad, en español, en un navegador de verdad.

Cada cuaderno del alumnado se abre y se ejecuta entero desde el menú; se contesta a su cuestionario, se resuelve un
ejercicio escribiendo en su celda y, en la sesión 03, se mueve el explorador. Nada sale de esta máquina. Con
``CURSO_CAPTURAS=carpeta`` las imágenes de la pantalla se guardan ahí (por defecto, en ``build/pantallazos``).
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import hostil
import nbformat
import psutil
import pytest
from absent import missing
from cuadernos import NOTEBOOKS, ROOT, SESSIONS, STUDENT, read
from jupyter_client import BlockingKernelClient
from nbformat.v4 import new_code_cell, new_notebook

from tools import browser as browser_script
from tools.serving import JupyterLab

SHOTS = Path(os.environ.get("CURSO_CAPTURAS") or ROOT / "build" / "pantallazos")
SECOND = 1000  # Playwright cuenta en milisegundos
RUN_LIMIT = 900 * SECOND  # ejecutar un cuaderno entero, también en una máquina ocupada
LIMIT = 120 * SECOND  # todo lo demás


# --- JupyterLab y el navegador ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    settings = Path(sys.prefix, "share", "jupyter", "lab", "settings", "overrides.json")
    if not settings.exists():
        missing("este entorno no lo ha preparado tools/environment.py: JupyterLab estaría en inglés")
    folder = tmp_path_factory.mktemp("clase con ñandú")
    env = {name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "CI")}
    env |= {"JUPYTER_PREFER_ENV_PATH": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    env |= {"CURSO_PERFIL": "mini", "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))}
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # en una máquina ocupada, esperar girando lo hace todo eterno
    # La lista de tipos de letra de matplotlib, propia y ya hecha: la de la cuenta puede ser de otro entorno.
    env["MPLCONFIGDIR"] = str(folder / "matplotlib")
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], env=env, check=True)
    with JupyterLab(folder, env) as lab:
        yield lab


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("falta playwright: prepara el entorno con «make env»")
    executable = browser_script.find_browser() or missing(browser_script.MISSING)
    with sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("perfil")),
            executable_path=executable,
            args=browser_script.ARGUMENTS,
            viewport={"width": 1400, "height": 1600},
        )
        context.set_default_timeout(LIMIT)
        yield context
        context.close()


def is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", None)


class Screen:
    """Un cuaderno abierto en una pestaña, y lo que una persona puede hacer con él."""

    def __init__(self, lab: JupyterLab, context, name: str):
        self.lab, self.name = lab, name
        self.book = nbformat.read(lab.notebooks / name, as_version=4)
        self.outside, self.problems = [], []
        self.page = context.new_page()
        self.page.route(lambda url: not is_local(url), self._block)
        self.page.on("pageerror", self._page_error)
        self.page.on("console", self._console)
        self.page.goto(f"{lab.url}/lab/tree/{quote(name)}?token={lab.token}&reset")
        self.notebook = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.notebook.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
        self.cells = self.notebook.locator(".jp-Cell")
        self.cells.nth(len(self.book.cells) - 1).wait_for(state="attached")
        assert self.cells.count() == len(self.book.cells)
        # JupyterLab deja sin dibujar lo que no se ve, y al dibujarlo todo se mueve: las imágenes saldrían corridas.
        self.page.add_style_tag(content=".jp-Cell { content-visibility: visible !important }")

    def _block(self, route):
        self.outside.append(route.request.url)
        route.abort()

    def _page_error(self, error):
        # jupyterquiz 2.9 mira `MathJax.version[0]` sin ver antes si existe; las preguntas ya están puestas.
        if "(reading '0')" not in str(error):
            self.problems.append(str(error))

    def _console(self, message):
        # Lo que se ha cortado aquí arriba no es un fallo de la página.
        if message.type == "error" and "net::ERR_FAILED" not in message.text:
            self.problems.append(message.text)

    def close(self):
        self.page.close()
        self.lab.stop_kernels()

    def shot(self, what: str, where=None):
        SHOTS.mkdir(parents=True, exist_ok=True)
        (where or self.page).screenshot(path=SHOTS / f"{Path(self.name).stem}-{what}.png")

    def position(self, name: str) -> int:
        """El lugar de la celda que se llama así."""
        return [cell.id for cell in self.book.cells].index(name)

    def menu(self, bar: str, entry: str):
        """Pulsa una entrada de un menú por su nombre (el paquete de idioma deja algunos en inglés)."""
        self.page.locator(".lm-MenuBar-itemLabel").get_by_text(re.compile(f"^({bar})$")).click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(re.compile(f"^({entry})$")).click()

    def run_all(self):
        """Borra las salidas guardadas, ejecuta todo desde el menú y espera a la última celda."""
        self.menu("Editar", "Clear Outputs of All Cells|(Limpiar|Borrar) .*todas las celdas")
        self.page.wait_for_function("() => !document.querySelector('.jp-Notebook .jp-OutputArea-output')")
        self.menu("Run|Ejecutar", "Ejecutar todas las celdas")
        ended = self.page.wait_for_function(
            """() => {
                const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                    .map(prompt => prompt.textContent.trim()).filter(Boolean);  // las celdas plegadas no lo enseñan
                const failed = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
                const done = prompts.every(prompt => /^\\[\\d+\\]:$/.test(prompt));
                return failed ? 'error' : done && 'done';
            }""",
            timeout=RUN_LIMIT,
        )
        if ended.json_value() == "done":  # tras un error ya no hay más que esperar
            self.notebook.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()

    def outputs(self, mime: str):
        return self.notebook.locator(f'.jp-OutputArea-output[data-mime-type="{mime}"]')

    def failures(self) -> list[str]:
        """Los errores y avisos a la vista, en las salidas y en la consola del navegador."""
        kinds = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
        return [text for kind in kinds for text in self.outputs(kind).all_text_contents()] + self.problems

    def write(self, index: int, code: str):
        """Sustituye el código de una celda como quien lo pega."""
        self.cells.nth(index).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(code)

    def run_cell(self, index: int):
        """Ejecuta una celda con el teclado; devuelve su locator cuando ha terminado."""
        cell = self.cells.nth(index)
        before = cell.locator(".jp-InputPrompt").text_content()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(
            "([i, before]) => { const text = document.querySelectorAll('.jp-Notebook .jp-Cell')[i]"
            ".querySelector('.jp-InputPrompt').textContent.trim();"
            " return text !== before.trim() && /^\\[\\d+\\]:$/.test(text); }",
            arg=[index, before],
        )
        return cell


@pytest.fixture
def open_notebook(lab, browser):
    screens = []

    def open_it(name):
        screens.append(Screen(lab, browser, name))
        return screens[-1]

    yield open_it
    for screen in screens:
        screen.shot("final")  # si algo ha fallado, así se veía
        screen.close()


# --- Los cuadernos ------------------------------------------------------------------------------------


def answer_quiz(screen, index: int, questions: list):
    """Falla y acierta la primera pregunta del cuestionario de una celda: cada respuesta contesta en español."""
    quiz = screen.cells.nth(index).locator(".jp-OutputArea")
    assert quiz.locator(".Quiz").count() == len(questions)
    first = quiz.locator(".Quiz").first
    for right in (False, True):
        answer = next(a for a in questions[0]["answers"] if a["correct"] is right)
        first.locator("label.MCButton").get_by_text(answer["answer"], exact=True).click()
        first.locator(".Feedback").get_by_text(answer["feedback"], exact=True).wait_for()
    screen.shot("cuestionario", quiz)


def solve(screen, name: str):
    """Un ejercicio pendiente («a1-1») pasa a estar bien al escribir su solución y repetir la comprobación."""
    names, number = [f"{kind}-{name}" for kind in ("ejercicio", "comprueba")], name.replace("-", ".").upper()
    exercise, check = map(screen.position, names)
    (solved,) = (cell for cell in read(NOTEBOOKS / "soluciones" / screen.name).cells if cell.id == names[0])
    assert f"⏳ Ejercicio {number}: pendiente" in screen.cells.nth(check).locator(".jp-OutputArea").text_content()
    screen.write(exercise, solved.source)
    screen.run_cell(exercise)
    output = screen.run_cell(check).locator(".jp-OutputArea")
    output.get_by_text("✅").wait_for()
    assert "pendiente" not in output.text_content()
    screen.shot("ejercicio", screen.cells.nth(check))


def move_the_explorer(screen):
    """Sesión 03: los mandos cambian el dibujo, los botones escriben, y un mal valor se explica."""
    from playwright.sync_api import expect

    area = screen.run_cell(screen.position("explorador")).locator(".jp-OutputArea")
    text, handle = area.locator("blockquote"), area.locator(".noUi-handle").first
    bar = area.locator("div[style*=width]").filter(has_text="%").first

    def moved(before):
        screen.page.wait_for_function("([bar, before]) => bar.innerHTML !== before", arg=[bar.element_handle(), before])

    before = bar.inner_html()
    handle.press("ArrowLeft")  # un paso: temperatura 0,95
    moved(before)
    assert area.locator(".widget-readout").first.text_content() == "0.95"
    start = text.text_content()
    area.get_by_role("button", name="La favorita").click()
    expect(text).not_to_have_text(start, timeout=LIMIT)
    assert text.text_content().startswith(start) and len(text.text_content()) > len(start)
    screen.shot("explorador", area)
    area.get_by_role("button", name="Deshacer").click()
    handle.press("Home")
    area.get_by_text("no hay dado que tirar").wait_for()
    screen.shot("explorador-error", area)
    handle.press("End")
    area.get_by_text("no hay dado que tirar").wait_for(state="detached")
    area.locator("input[type=text]").first.fill(hostil.HOSTILE)
    area.locator("input[type=text]").first.press("Enter")
    area.locator("blockquote").get_by_text(hostil.HOSTILE).wait_for()
    assert screen.page.evaluate("window.fired") is None


def see_the_surprise(screen):
    """Sesión 05: cada token, con su color y su número."""
    area = screen.cells.nth(screen.position("caja-de-frases")).locator(".jp-OutputArea")
    tokens = area.locator("span[style*=background]")
    texts = tokens.all_text_contents()
    assert len(texts) > 5 and all(re.search(r"\S\s*\d+,\d$", text) for text in texts)
    colours = tokens.evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert len(set(colours)) > 3
    screen.shot("sorpresa", area)


# Lo único que las páginas piden fuera, y sin lo que todo se ve: el botón de Colab (queda su texto) y las fórmulas de
# jupyterquiz, que en nuestros cuestionarios no hay.
FROM_OUTSIDE = {"/assets/colab-badge.svg", "/npm/mathjax@3/es5/tex-svg.js"}
EXTRA = {"03": move_the_explorer, "05": see_the_surprise}


@pytest.mark.parametrize("path", STUDENT, ids=lambda path: path.relative_to(NOTEBOOKS).as_posix())
def test_a_student_runs_the_notebook(path, open_notebook):
    session = path.stem[:2]
    screen = open_notebook(path.relative_to(NOTEBOOKS).as_posix())
    screen.shot("abierto")
    screen.run_all()
    screen.shot("ejecutado")
    assert screen.failures() == []
    figures = sum("image/png" in o.get("data", {}) for c in screen.book.cells for o in c.get("outputs", []))
    assert screen.outputs("image/png").count() >= figures > 0
    assert all(screen.outputs("image/png").locator("img").evaluate_all("all => all.map(one => one.naturalWidth)"))
    for when in ("antes", "despues") if path in SESSIONS else ():
        questions = json.loads((NOTEBOOKS / "quizzes" / f"{session}_{when}.json").read_text(encoding="utf-8"))
        assert "$" not in json.dumps(questions)
        answer_quiz(screen, screen.position(f"cuestionario-{when}"), questions)
    if path in SESSIONS:
        first = next(cell.id for cell in screen.book.cells if cell.id.startswith("ejercicio-"))
        solve(screen, first.removeprefix("ejercicio-"))
    if session in EXTRA and path in SESSIONS:
        EXTRA[session](screen)
    assert screen.failures() == []
    assert {urlsplit(url).path for url in screen.outside} <= FROM_OUTSIDE


# --- Lo que escribe un modelo no se ejecuta -------------------------------------------------------------


def test_html_from_a_model_or_a_student_is_shown_not_run(lab, open_notebook):
    code = [
        *hostil.CELLS,
        "from IPython.display import HTML\nHTML('<img src=no-existe.png onerror=\"window.control=1\">')",
    ]
    code += ["import sys\n_ = sys.stderr.write('un aviso')", "raise ValueError('un error')"]
    cells = [new_code_cell(text, id=f"celda-{i}") for i, text in enumerate(code)]
    book = new_notebook(cells=cells, metadata=read(STUDENT[0]).metadata)
    nbformat.write(book, lab.notebooks / "hostil.ipynb")
    screen = open_notebook("hostil.ipynb")
    screen.run_all()
    # Los testigos: esta página sí ejecuta el HTML que se le da, y `failures` ve los avisos y los errores.
    screen.page.wait_for_function("window.control === 1")
    failures = "\n".join(screen.failures())
    assert "un aviso" in failures and "un error" in failures
    for index in range(1, len(hostil.CELLS)):
        area = screen.cells.nth(index).locator(".jp-OutputArea")
        split = "SentenceBox" in hostil.CELLS[index]  # enseña el texto token a token
        area.get_by_text("dado" if split else "<script>window.fired").first.wait_for()
        assert area.locator("script, img[onerror]").count() == 0, hostil.CELLS[index]
    screen.shot("salidas")
    assert screen.page.evaluate("window.fired") is None


# --- Una tarde larga ----------------------------------------------------------------------------------

WRITES = """
import torch
from course_utils.models import load_model
model, tokenizer = load_model("decoder")
ids = tokenizer("Había una vez", return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, do_sample=False, max_new_tokens=20)[0]))
"""


def test_thirty_kernels_one_after_another_leave_nothing_behind(lab):
    """Cada uno carga el modelo, escribe lo mismo y se cierra: ni procesos, ni archivos, ni memoria del servidor."""
    lab.stop_kernels()
    server, runtime = psutil.Process(lab.process.pid), lab.runtime
    texts, memory = set(), []
    files = len(list(runtime.iterdir()))
    for _ in range(30):
        kernel = lab.api("api/kernels", "POST")["id"]
        client = BlockingKernelClient(connection_file=str(runtime / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.start_channels(hb=False)  # en una máquina ocupada, un latido que tarda no es una muerte
        client.wait_for_ready(timeout=120)
        said = []
        client.execute_interactive(WRITES, timeout=300, output_hook=lambda m, said=said: said.append(m["content"]))
        client.stop_channels()
        texts.add("".join(content.get("text", "") for content in said))
        lab.api(f"api/kernels/{kernel}", "DELETE")
        memory.append(server.memory_full_info().uss / 1e6)
    print("memoria del servidor (MB):", *(f"{mb:.1f}" for mb in memory[::5]), f"y {memory[-1]:.1f}")
    assert len(texts) == 1 and texts.pop().startswith("Había una vez")
    assert server.children(recursive=True) == [] and len(list(runtime.iterdir())) == files
    assert memory[-1] - memory[4] < 10  # los cinco primeros, de calentamiento
