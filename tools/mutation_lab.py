"""Pruebas de mutación del laboratorio: estropea su JavaScript de una en una cosa y mira si alguna prueba se queja.

    python -m tools.mutation_lab --seed 0 --sample 160          sortea mutantes entre los módulos que no dibujan
    python -m tools.mutation_lab --only engine/tree.js          solo en esos módulos
    python -m tools.mutation_lab --again                        repite los que sobrevivieron

Un mutante es un módulo con un cambio pequeño: un «<» que pasa a «<=», un número que crece en uno, una instrucción
borrada (``tools/mutation_lab.cjs`` dice cuáles caben). Se sirve el laboratorio con ese módulo y se le pasan, hasta la
primera que falle, las pruebas que tienen que ver con él (``TESTS``), con PyTorch, el modelo y Chromium cargados una
vez para todos. Tardar mucho más de lo normal es morir. Cada módulo pone mutantes en proporción a sus líneas. Los
resultados quedan en build/mutaciones_lab/; lo que sale y por qué sobrevive lo que sobrevive, en docs/lab/README.md.
Solo en Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from course_utils._files import atomic_write

from . import ROOT
from . import browser as browser_script
from . import lab as build_lab

RESULTS = ROOT / "build" / "mutaciones_lab"  # un JSON por mutante: dos partes del trabajo no se estorban
COMMON = [16, 18, 264]  # «,», «.» y « de»
LIMIT = 20_000  # ms: lo que se espera en la página a que pase algo
ENGINE, FAILURES = "tests/integration/test_lab_engine.py", "tests/integration/test_lab_failures.py"
PAGE, PANELS = "tests/integration/test_lab_page.py", "tests/integration/test_lab_panels.py"
MODULES = "tests/integration/test_lab_modules.py"
SITE = ((PAGE, ""), (PANELS, ""))
CORE = ((ENGINE, ""), (FAILURES, "not single_file and not kernel_is"))
SMALL = (ENGINE, MODULES, PAGE)  # los archivos de pruebas a los que les vale cualquier modelo
# Módulo → sus pruebas, (archivo, lo que va tras -k), de la que antes lo mata a la que más tarda.
TESTS = {
    "engine/beams.js": [(MODULES, "tie or search_admits"), (ENGINE, "beams and simd"), (FAILURES, "mistake")],
    "engine/decoding.js": [(MODULES, "dice or transform"), (ENGINE, "filters and javascript"), (FAILURES, "mistake")],
    "engine/errors.js": [(FAILURES, "mistake or not_arrive or no_memory")],
    "engine/forward.js": [(ENGINE, "(logits or attention) and javascript"), (FAILURES, "yields or mistake or tree")],
    "engine/kernel.js": [
        (ENGINE, "logits and javascript"),
        (ENGINE, "logits and simd"),
        (FAILURES, "no_memory or webassembly"),
    ],
    "engine/model.js": [
        (ENGINE, "logits and javascript"),
        (FAILURES, "tree or yields or mistake or cancelled or second or arrive"),
    ],
    "engine/pause.js": [(FAILURES, "yields or cancelled")],
    "engine/source.js": [(FAILURES, "not_arrive or spoilt or second_visit or cancelled")],
    "engine/tokenizer.js": [(MODULES, "tokenizer"), (ENGINE, "ids_and_texts and javascript"), (FAILURES, "mistake")],
    "engine/tree.js": [
        (MODULES, "tree or attention"),
        (ENGINE, "(logits or attention) and javascript"),
        (FAILURES, "tree or mistake"),
    ],
    "engine/weights.js": [(MODULES, "65536 or bands"), (ENGINE, "logits and javascript"), (FAILURES, "spoilt")],
    "format.js": [(MODULES, "spanish")],
    "panels/guess-game.js": [(MODULES, "bet or game"), (PANELS, "against or tour_says")],
    "panels/measures.js": [(MODULES, "measures"), (PANELS, "attention_is or beams_are")],
    "panels/numbers.js": [(MODULES, "live"), (PANELS, "tour_says")],
    "ui/branches-store.js": [(MODULES, "branch")],
    "ui/distribution.js": [(PAGE, "dice or greedily or settings_keep or link_gives")],
    "ui/markdown.js": [(MODULES, "markdown"), (PAGE, "card")],
    "ui/measures.js": [(MODULES, "measures")],
    "ui/permalink.js": [(MODULES, "link")],
    "ui/python.js": [(MODULES, "python"), (PAGE, "python")],
    "ui/session.js": [
        (
            PAGE,
            "skips or stops or not_a_number or greedily or back_branch or context_is or five or keyboard or hidden_tab",
        )
    ],
    "ui/settings.js": [(MODULES, "setting_admits")],
    "ui/words.js": [(MODULES, "each_setting")],
}


def sites(source: str) -> list[dict]:
    """Los cambios que caben en un módulo: ``[{from, to, line, changes: [{name, text}]}]``."""
    command = ["node", "--expose-internals", str(Path(__file__).with_suffix(".cjs"))]
    done = subprocess.run(command, input=source, capture_output=True, text=True, encoding="utf-8", check=True)
    return json.loads(done.stdout)


def draw(modules: list[str], sample: int, seed: int) -> list[dict]:
    """Los mutantes del sorteo: ``sample`` entre todos, por líneas; en cada módulo, como mucho uno por sitio."""
    sources = {name: (build_lab.SOURCE / name).read_text(encoding="utf-8") for name in modules}
    lines = {name: source.count("\n") for name, source in sources.items()}
    drawn, owed = [], 0.0
    for name, source in sources.items():
        owed += sample * lines[name] / sum(lines.values())
        dice = random.Random(f"{seed}:{name}")  # noqa: S311
        places = sites(source)
        count = min(round(owed), len(places))
        owed -= count
        for one in sorted(dice.sample(places, count), key=lambda one: (one["from"], one["to"])):
            change = dice.choice(one["changes"])
            mutated = source[: one["from"]] + change["text"] + source[one["to"] :]
            mutant = {"key": f"{name}:{one['from']}:{one['to']}:{change['name']}", "module": name, "line": one["line"]}
            mutant |= {"change": change["name"], "before": source[one["from"] : one["to"]], "source": mutated}
            drawn.append(mutant | {"place": source.splitlines()[one["line"] - 1].strip()})
    return drawn


class Browser:
    """El Chromium de todos los mutantes: lo que se abre en él recibe el módulo cambiado en lugar del suyo."""

    def __init__(self, chromium):
        self.chromium, self.mutant = chromium, None

    def new_context(self, **options):
        context = self.chromium.new_context(**options)
        if self.mutant:
            answer = {"body": self.mutant["source"], "content_type": "text/javascript"}
            context.route(f"**/{self.mutant['module']}", lambda route: route.fulfill(**answer))
        return context

    def close_all(self) -> None:
        for context in self.chromium.contexts:
            context.close()


class Watcher:
    """Complemento de pytest: apunta la primera prueba que falla."""

    failed = ""

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed = self.failed or report.nodeid.removeprefix("tests/integration/")


def kill_pages() -> None:
    """Mata las páginas que este programa tiene abiertas: una que no sale de un bucle no se deja cerrar."""
    parents, pages = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[folder.name] = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if b"--type=renderer" in (folder / "cmdline").read_bytes():
                pages.append(folder.name)
    for page in pages:
        above = page
        while above in parents and above != str(os.getpid()):
            above = parents[above]
        if above == str(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(int(page), signal.SIGKILL)


class Bench:
    """Donde se prueban los mutantes."""

    def __init__(self, browser: Browser, use: Callable[[bool], None], real: bool):
        self.browser, self.use, self.real = browser, use, real
        self.usual: dict[tuple, float] = {}  # lo que tardan unas pruebas sin mutante

    def pytest(self, test: tuple[str, str], limit: float) -> tuple[str, str]:
        """«bien», «fallo» o «tiempo», y la prueba que falla."""
        watcher, late = Watcher(), threading.Event()

        def stop():
            late.set()
            kill_pages()

        clock = threading.Timer(limit, stop)
        clock.start()
        file, chosen = test
        self.use(not self.real and file in SMALL)
        self.said = io.StringIO()
        options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", f"--rootdir={ROOT}", str(ROOT / file), "-k", chosen]
        try:
            with contextlib.redirect_stdout(self.said), contextlib.redirect_stderr(self.said):
                status = int(pytest.main(options, plugins=[watcher]))
        finally:
            clock.cancel()
            self.browser.close_all()
        return ("bien" if status == 0 else "tiempo" if late.is_set() else "fallo"), watcher.failed

    def judge(self, mutant: dict, tests) -> tuple[str, str]:
        """«fallo» o «tiempo», y la prueba que lo mata; «vivo», si ninguna."""
        for test in tests:
            known = RESULTS / f"tarda-{hashlib.sha256(repr((self.real, test)).encode()).hexdigest()[:16]}.json"
            if test not in self.usual and known.exists():
                self.usual[test] = json.loads(known.read_text())
            if test not in self.usual:
                self.browser.mutant, start = None, time.monotonic()
                if self.pytest(test, 900)[0] != "bien":
                    raise ValueError(f"Sin mutantes, {test} tiene que pasar:\n{self.said.getvalue()[-3000:]}")
                self.usual[test] = time.monotonic() - start
                atomic_write(known, json.dumps(self.usual[test]))
                print(f"    {test}: {self.usual[test]:.0f} s", flush=True)
            self.browser.mutant = mutant
            outcome, by = self.pytest(test, 40 + 2 * self.usual[test])
            if outcome != "bien":
                return outcome, by
        return "vivo", ""


def write_small(folder: Path) -> None:
    """Un GPT-2 diminuto, con pesos al azar y el tokenizador del de verdad: para la mayoría de los mutantes basta."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    shutil.copytree(build_lab.CHECKPOINT, folder)
    torch.manual_seed(0)
    size = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "vocab_size": 4096}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | size
    model = GPT2LMHeadModel(GPT2Config(**config | {"initializer_range": 0.3}))
    with torch.no_grad():  # que unos pocos salgan a menudo, como en un texto
        model.transformer.ln_f.bias += 2 * model.transformer.wte.weight[COMMON].sum(0)
    model.half().save_pretrained(folder)


@contextlib.contextmanager
def prepared() -> Iterator[tuple[Browser, Callable[[bool], None]]]:
    """PyTorch, el modelo y Chromium, que las pruebas encuentran ya cargados; y con qué elegir el modelo diminuto."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "support")]
    import paginas
    import torch
    from playwright.sync_api import sync_playwright
    from transformers import AutoModelForCausalLM

    from course_utils import models

    torch.set_num_threads(1)
    load, assemble = models.load_model, build_lab.assemble
    model, tokenizer = load("decoder", "mini")
    with sync_playwright() as driver, tempfile.TemporaryDirectory(prefix="mutaciones-") as temporary:
        folder = Path(temporary) / "modelo"
        write_small(folder)
        small = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()

        def use(little: bool) -> None:
            models.load_model = lambda *names: (
                (small if little else model, tokenizer) if names[1:] == ("mini",) else load(*names)
            )
            build_lab.assemble = lambda output: assemble(output, folder if little else build_lab.CHECKPOINT)

        executable = browser_script.find_browser()
        browser = Browser(driver.chromium.launch(executable_path=executable, args=browser_script.ARGUMENTS))
        paginas.browser, paginas.LIMIT = pytest.fixture(scope="module")(lambda: browser), LIMIT
        yield browser, use
        browser.chromium.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation_lab", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="semilla del sorteo")
    parser.add_argument("--sample", type=int, default=160, help="cuántos mutantes")
    parser.add_argument("--only", nargs="+", default=list(TESTS), metavar="MÓDULO", help="solo estos módulos")
    parser.add_argument("--again", action="store_true", help="solo los que sobrevivieron")
    parser.add_argument("--whole", action="store_true", help="con el modelo de verdad y, al final, todas las pruebas")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="solo esta parte, para repartir el trabajo")
    options = parser.parse_args()

    RESULTS.mkdir(parents=True, exist_ok=True)
    drawn = draw(options.only, options.sample, options.seed)
    part, parts = map(int, options.part.split("/"))
    mutants = drawn[len(drawn) * (part - 1) // parts : len(drawn) * part // parts]
    mutants = [one for one in mutants if result(one).get("outcome") == ("vivo" if options.again else None)]
    with prepared() as (browser, use):
        bench = Bench(browser, use, options.whole)
        for number, mutant in enumerate(mutants, 1):
            name = mutant["module"]
            whole = CORE if name.startswith("engine") else SITE
            tests = [*TESTS[name], *(whole if options.whole else ())]
            start = time.monotonic()
            outcome, by = bench.judge(mutant, tests)
            found = {k: v for k, v in mutant.items() if k != "source"} | {"outcome": outcome, "by": by}
            atomic_write(place(mutant), json.dumps(found, ensure_ascii=False, indent=1))
            took = time.monotonic() - start
            print(f"{number}/{len(mutants)} {outcome:6} {took:5.1f} s  {mutant['key']}  {by}", flush=True)
    return report([result(one) for one in drawn if result(one)])


def place(mutant: dict) -> Path:
    return RESULTS / f"{hashlib.sha256((mutant['key'] + mutant['source']).encode()).hexdigest()[:16]}.json"


def result(mutant: dict) -> dict:
    """Lo que pasó con un mutante la última vez; vacío, si no se ha probado."""
    return json.loads(place(mutant).read_text("utf-8")) if place(mutant).exists() else {}


def report(results: list[dict]) -> int:
    """Cuántos mueren en cada módulo, y los que no."""
    for name in TESTS:
        ours = [one for one in results if one["module"] == name]
        if ours:
            print(f"{name:24} {sum(one['outcome'] != 'vivo' for one in ours):3} de {len(ours)}")
    alive = [one for one in results if one["outcome"] == "vivo"]
    for one in alive:
        print(f"{one['module']}:{one['line']}: {one['change']} en «{one['before'][:60]}»\n    {one['place']}")
    print(f"Mueren {len(results) - len(alive)} de {len(results)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
