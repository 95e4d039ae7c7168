"""Pruebas de mutación: estropea el código del paquete de una en una cosa y mira si alguna prueba se queja.

    pip install -c constraints.txt -r tools/mutation_versions.txt
    python -m tools.mutation --seed 0 --sample 300          sortea mutantes entre todos los módulos
    python -m tools.mutation --only decoding scoring        solo en esos módulos
    python -m tools.mutation --again                        repite los que sobrevivieron la última vez

Se puede cortar y seguir: lo probado se guarda.

Un mutante es el código con un cambio pequeño: un ``<`` que pasa a ``<=``, un número que crece en uno, una instrucción
borrada. Si las pruebas siguen pasando, el mutante sobrevive: o el cambio no se nota, o falta una prueba. Los cambios
los hace cosmic-ray. Cada módulo pone mutantes en proporción a sus líneas; dentro de él se sortea primero el sitio y
después el cambio.

Cargar torch tarda más que casi cualquier prueba, así que se carga una vez y cada mutante se prueba en un proceso hijo
(``fork``: no vale en Windows), sobre una copia del curso en una carpeta temporal. Se le pasan primero las pruebas que
ejecutan la línea cambiada y, si no lo matan, todas las de los archivos que tocan el módulo; ninguna ``slow``. Tardar
mucho más de lo normal es morir. Qué prueba ejecuta qué línea lo dice coverage, y se guarda con los resultados en
build/mutaciones/.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import hashlib
import importlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from . import ROOT, write_if_changed
from .intervals import wilson

OUTPUT = ROOT / "build" / "mutaciones"
TESTS = "tests/unit/test_*.py"
CHECKS = ("tests/unit/test_checks_engine.py", "tests/unit/test_checks.py")
# Pruebas que no ayudan: las de las herramientas y las de lo que dibuja.
USELESS = ("build_", "evaluate", "mutation", "nbgrader", "illustrations_", "plots", "drawing", "widgets")
ALIVE = ("vivo", "sin pruebas")
CASES = 200  # los casos que se prueban antes que sus archivos enteros
# Lo que dibuja, que se mira con los ojos, y lo que solo tiene pruebas de integración: órdenes, descargas y procesos.
DRAWN = ("illustrations/", "drawing.py", "plots.py", "_look.py", "widgets.py", "cards.py", "project/looks.py")
INTEGRATION = ("__main__.py", "doctor.py", "hub.py", "mediano.py", "runner.py", "finetune.py", "_machine.py")
INTEGRATION += tuple(f"grade/{name}.py" for name in ("command", "inside", "judging", "sandbox", "seccomp"))
INTEGRATION += ("metrics/perplejidad",)  # evaluate carga una copia suya
# Las reglas de cada ejercicio son sobre todo ejemplos, y otro ejemplo vale igual: las prueba tests/unit/test_checks.py.
SKIPPED = (*DRAWN, *INTEGRATION, "checks/session_")
PRELOADED = ("numpy", "torch", "transformers.models.gpt2.modeling_gpt2", "transformers.generation.utils", "datasets")
PRELOADED += ("peft", "evaluate", "pandas", "matplotlib.pyplot", "sklearn.linear_model", "hypothesis", "sacrebleu")
PRELOADED += ("IPython.display", "ipywidgets", "nbformat", "jupytext", "playwright.sync_api", "coverage")
MEMORY = 24 << 30  # direcciones, no memoria usada: para un mutante que no para de crecer
SWAPS = {
    "Binary": "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul BitOr_BitAnd BitAnd_BitOr LShift_RShift",
    "Comparison": "Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is",
    "Unary": "USub_UAdd Delete_Not Invert_Not",
}
BINARY = ("expr", "xor_expr", "and_expr", "shift_expr", "arith_expr", "term", "power")
OTHERS = "AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd ReplaceBreakWithContinue "
OTHERS += "ReplaceContinueWithBreak ExceptionReplacer NumberReplacer RemoveDecorator ZeroIterationForLoop"


@dataclass(frozen=True)
class Mutant:
    """Un cambio en un archivo; ``name`` lo identifica mientras el archivo no cambie."""

    path: str
    operator: str
    occurrence: int
    line: int
    source: str

    @property
    def name(self) -> str:
        return f"{self.path}:{self.operator}:{self.occurrence}"

    @property
    def key(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]


def operators() -> dict[str, object]:
    """Los cambios que se hacen: los de cosmic-ray que se parecen a un descuido, y dos que no tiene."""
    from cosmic_ray.operators.operator import Operator
    from cosmic_ray.plugins import get_operator
    from parso.python.tree import Keyword

    class Own(Operator):
        @classmethod
        def examples(cls):
            return ()

        def mutation_positions(self, node):
            if self.applies(node):
                yield node.start_pos, node.end_pos

    class SwapIn(Own):
        def applies(self, node):
            return node.type == "keyword" and node.value == "in" and node.parent.type == "comparison"

        def mutate(self, node, index):
            node.value = "not in"
            return node

    class DeleteStatement(Own):
        """Quita una instrucción. Dar valor a una variable no se quita: sin ella casi nada puede seguir."""

        def applies(self, node):
            if node.type != "simple_stmt":
                return False
            first = node.children[0]
            if first.type == "expr_stmt":  # «x += 1», «self.x = 1», «x[0] = 1»; no «x = 1» ni «a, b = c»
                target, sign = first.children[:2]
                return target.type == "atom_expr" or (sign.type == "operator" and sign.value != "=")
            return first.type in ("atom_expr", "raise_stmt", "return_stmt", "assert_stmt", "del_stmt")

        def mutate(self, node, index):
            leaf = node.get_first_leaf()
            node.children[0] = Keyword("pass", leaf.start_pos, prefix=leaf.prefix)
            return node

    names = [f"Replace{kind}Operator_{swap}" for kind, swaps in SWAPS.items() for swap in swaps.split()]
    found = {name: get_operator(f"core/{name}")() for name in [*names, *OTHERS.split()]}
    return found | {"SwapIn": SwapIn(), "DeleteStatement": DeleteStatement()}


def meaning(source: str) -> str:
    """El código sin lo que no se ejecuta: formato y anotaciones."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def sites(source: str) -> dict[tuple, list[tuple[str, int]]]:
    """Los cambios que caben en un código, por sitio: el operador y cuál de sus veces es."""
    from cosmic_ray.ast import ast_nodes, get_ast

    found, counts, known = defaultdict(list), defaultdict(int), operators()
    for node in ast_nodes(get_ast(source)):
        for name, operator in known.items():
            for start, end in operator.mutation_positions(node):
                if "Binary" not in name or node.parent.type in BINARY:  # «f(*, a)» no es una multiplicación
                    found[start, end].append((name, counts[name]))
                counts[name] += 1
    return dict(found)


def draw(path: str, source: str, seed: int) -> Iterator[Mutant]:
    """Los mutantes de un archivo en el orden del sorteo, como mucho uno por sitio."""
    from cosmic_ray.mutating import mutate_code

    dice, known, before = random.Random(f"{seed}:{path}"), operators(), meaning(source)  # noqa: S311
    places = sorted(sites(source).items())
    for (start, _), changes in dice.sample(places, len(places)):
        operator, occurrence = dice.choice(changes)
        mutated = mutate_code(source, known[operator], occurrence)
        try:
            if mutated is not None and meaning(mutated) != before:
                yield Mutant(path, operator, occurrence, start[0], mutated)
        except SyntaxError:
            continue


def quotas(lines: dict[str, int], sample: int) -> dict[str, int]:
    """Cuántos mutantes pone cada archivo: en proporción a sus líneas, y los que sobran, a los restos mayores."""
    total = sum(lines.values())
    exact = {path: sample * n / total for path, n in lines.items()}
    chosen = {path: int(value) for path, value in exact.items()}
    for path in sorted(exact, key=lambda p: (chosen[p] - exact[p], p))[: sample - sum(chosen.values())]:
        chosen[path] += 1
    return chosen


ours: dict = {}  # lo de cada proceso


class Bench:
    """Una copia del curso en la que se prueban los mutantes, cada uno en un proceso hijo de este."""

    def __init__(self, root: Path, folder: Path, package: str = "course_utils", patience: float = 20):
        self.root, self.copy, self.package, self.patience = root, folder / "curso", package, patience
        ignored = shutil.ignore_patterns(".git", ".venv*", "node_modules", "__pycache__", "build", ".*_cache")
        shutil.copytree(root, self.copy, ignore=ignored)
        self.log = folder / "salida.txt"

    def pytest(self, chosen: Iterable[str], limit: float, record: Path | None = None) -> tuple[int | None, float]:
        """Pasa unas pruebas en un proceso hijo: su estado (``None`` si no acaba a tiempo) y cuánto tardó."""
        start = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._child(list(chosen), record)
        done = (0, 0)
        try:
            while (done := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() - start < limit:
                time.sleep(0.02)
        finally:
            with contextlib.suppress(ProcessLookupError):  # él, si sigue, y los procesos que haya dejado
                os.killpg(pid, signal.SIGKILL)
            if done[0] == 0:
                os.waitpid(pid, 0)
        return (os.waitstatus_to_exitcode(done[1]) if done[0] else None), time.monotonic() - start

    def _child(self, chosen: list[str], record: Path | None) -> None:
        status = 99
        try:
            os.setsid()
            with contextlib.suppress(ImportError, OSError, ValueError):  # donde se puede
                import resource

                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            out = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(out, 1), os.dup2(out, 2)
            os.chdir(self.copy)
            ours = (self.package, "tools")
            for name in [name for name in sys.modules if name.split(".")[0] in ours]:
                del sys.modules[name]
            sys.path[:] = [str(self.copy), *(p for p in sys.path if p and Path(p) != self.root)]
            os.environ["PYTHONPATH"] = str(self.copy)
            options = ["-q", "-p", "no:cacheprovider", "-m", "not slow", "-n", "0", *(["-x"] if record is None else [])]
            with recorded(self.copy / self.package, record) as plugins:
                for path in sorted((self.copy / self.package).rglob("*.py")) if record else ():
                    # Antes que las pruebas: lo que se ejecuta al importar no es de la primera que importa.
                    name = path.relative_to(self.copy).with_suffix("").as_posix().replace("/", ".")
                    with contextlib.suppress(Exception):
                        importlib.import_module(name.removesuffix(".__init__"))
                status = int(pytest.main([*options, *chosen], plugins=plugins))
        finally:
            sys.stdout.flush()
            os._exit(status)

    def measure(self, test: str) -> dict:
        """Qué casos de un archivo de pruebas ejecutan cada línea del paquete, y cuánto tarda.

        De ``CHECKS`` solo se mide el tiempo: mira el código como lo mira coverage, y se estorban.
        """
        record = None if test in CHECKS else self.log.with_name("lineas.json")
        status, seconds = self.pytest([test], 900, record)
        # A alguna prueba le estorba que la vigilen; sin vigilar tiene que pasar.
        if status not in (0, 5) and self.pytest([test], 900)[0] not in (0, 5):
            raise ValueError(f"Sin mutantes, {test} tiene que pasar:\n{self.log.read_text('utf-8')[-3000:]}")
        return {"seconds": seconds, "lines": json.loads(record.read_text("utf-8")) if record else {}}

    def judge(self, mutant: Mutant, measured: dict) -> dict:
        """Prueba un mutante: «fallo» o «tiempo» si muere, «vivo» si no y «sin pruebas» si nada toca su archivo."""
        found = {test: data["lines"][mutant.path] for test, data in measured.items() if mutant.path in data["lines"]}
        near = {name for lines in found.values() for name in lines.get(str(mutant.line), []) if name}
        # Lo que se ejecuta al importar no es de nadie: cuentan los archivos en los que una prueba ejecuta algo más.
        files = [test for test, lines in found.items() if any(name for names in lines.values() for name in names)]
        files = sorted({name.split("::")[0] for name in near} or files, key=lambda test: measured[test]["seconds"])
        first = sorted(near, key=lambda name: (files.index(name.split("::")[0]), name))[:CASES]
        if "/checks/" in mutant.path:
            files += [test for test in CHECKS if test in measured]
        if session := re.search(r"checks/session_(\w+)\.py$", mutant.path):
            first, files = [], [CHECKS[1], "-k", f"[{session[1].lstrip('0').upper()}."]
        result = {
            "name": mutant.name,
            "key": mutant.key,
            "line": mutant.line,
            "near": len(near),
            "files": files,
            "seconds": 0.0,
        }
        target = self.copy / mutant.path
        original = target.read_text(encoding="utf-8")
        changed = difflib.unified_diff(original.splitlines(), mutant.source.splitlines(), lineterm="", n=0)
        result["diff"] = [line for line in changed if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        outcome = "vivo" if files else "sin pruebas"
        try:
            target.write_text(mutant.source, encoding="utf-8")
            for chosen in filter(None, (first, files)):
                usual = sum(measured[t]["seconds"] for t in {name.split("::")[0] for name in chosen} & set(measured))
                status, seconds = self.pytest(chosen, self.patience + 4 * usual)
                result["seconds"] = round(result["seconds"] + seconds, 2)
                if status == 4 and chosen is first:  # un caso que se llama por lo que calcula, y ya no existe
                    continue
                if status not in (0, 5):
                    outcome = "tiempo" if status is None else "fallo"
                    break
        finally:
            target.write_text(original, encoding="utf-8")
        return result | {"outcome": outcome}


@contextlib.contextmanager
def recorded(package: Path, record: Path | None):
    """Complementos de pytest que apuntan en ``record`` qué pruebas ejecutan cada línea; ninguno, si no se pide."""
    if record is None:
        yield []
        return
    from coverage import Coverage

    class Switch:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self, item):
            cover.stop()  # las comprobaciones de los ejercicios vigilan a su manera, y eso la deja ciega
            cover.start()
            cover.switch_context(item.nodeid)
            return (yield)

    cover = Coverage(data_file=None, source=[str(package)], config_file=False)
    cover.start()  # sin contexto: lo que aún no es de ninguna prueba
    yield [Switch()]
    cover.stop()
    data, lines = cover.get_data(), {}
    for file in data.measured_files():
        by_line = {str(line): sorted(names) for line, names in data.contexts_by_lineno(file).items() if names}
        lines[Path(file).relative_to(package.parent).as_posix()] = by_line
    record.write_text(json.dumps(lines), encoding="utf-8")


def modules(only: list[str]) -> dict[str, str]:
    """Los archivos que se mutan, con su código: todos los del paquete menos ``SKIPPED``, o los que se piden."""
    base = ROOT / "course_utils"
    paths = [p.relative_to(base).as_posix() for p in sorted(base.rglob("*.py"))]
    if only:
        paths = [p for p in paths if any(name in (p.removesuffix(".py"), p.split("/")[0]) for name in only)]
    else:
        paths = [p for p in paths if not p.startswith(SKIPPED)]
    return {f"course_utils/{p}": (base / p).read_text(encoding="utf-8") for p in paths}


def fingerprint(test: str) -> str:
    """Lo que, si cambia, obliga a medir otra vez un archivo de pruebas."""
    files = [ROOT / test, *sorted((ROOT / "course_utils").rglob("*.py"))]
    return hashlib.sha256(b"\0".join(f.read_bytes() for f in files)).hexdigest()


def stored(path: Path) -> dict:
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def save(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_if_changed(path, json.dumps(value, ensure_ascii=False, indent=1))


def prepare(folder: str, measured: dict) -> None:
    """Lo que cada proceso necesita: su copia del curso y lo medido."""
    ours["bench"], ours["measured"] = Bench(ROOT, Path(tempfile.mkdtemp(dir=folder))), measured


def measure(test: str) -> tuple[str, dict]:
    return test, ours["bench"].measure(test)


def judge(mutant: Mutant) -> dict:
    return ours["bench"].judge(mutant, ours["measured"])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Pruebas de mutación del paquete.")
    parser.add_argument("--seed", type=int, default=0, help="semilla del sorteo")
    parser.add_argument("--sample", type=int, default=300, help="cuántos mutantes")
    parser.add_argument("--only", nargs="+", default=[], metavar="MÓDULO", help="solo estos módulos o carpetas")
    parser.add_argument("--again", action="store_true", help="solo los que sobrevivieron la última vez")
    parser.add_argument("--jobs", type=int, default=1, help="cuántos procesos a la vez")
    options = parser.parse_args(argv)
    for name in PRELOADED:
        importlib.import_module(name)

    report, lines = OUTPUT / f"resultados-{options.seed}.json", OUTPUT / "lineas.json"
    past, measured, results = stored(report), stored(lines), {}
    sources = modules(options.only)
    share = quotas({path: source.count("\n") for path, source in sources.items()}, options.sample)
    drawn = [m for path, n in share.items() for m in islice(draw(path, sources[path], options.seed), n)]
    if options.again:
        drawn = [m for m in drawn if past.get(m.name, {}).get("outcome") in ALIVE]
    else:
        results = {m.name: past[m.name] for m in drawn if past.get(m.name, {}).get("key") == m.key}
        drawn = [m for m in drawn if m.name not in results]
    random.Random(options.seed).shuffle(drawn)  # noqa: S311 (si se corta, lo hecho sigue siendo una muestra)
    tests = {p.relative_to(ROOT).as_posix(): p for p in sorted(ROOT.glob(TESTS))}
    keys = {test: fingerprint(test) for test, p in tests.items() if not p.stem.startswith(USELESS, len("test_"))}
    measured = {test: data for test, data in measured.items() if keys.get(test) == data["key"]}
    processes = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="mutantes-") as folder:
        if pending := [test for test in keys if test not in measured]:
            with processes.Pool(options.jobs, prepare, (folder, {})) as pool:
                for test, data in pool.imap_unordered(measure, pending):
                    measured[test] = data | {"key": keys[test]}
                    save(lines, measured)
                    print(f"{test}: {data['seconds']:.1f} s", flush=True)
        with processes.Pool(options.jobs, prepare, (folder, measured)) as pool:
            for number, result in enumerate(pool.imap_unordered(judge, drawn), 1):
                results[result["name"]] = result
                save(report, past | results)
                outcome, seconds = result["outcome"], result["seconds"]
                print(f"{number}/{len(drawn)} {outcome:11} {seconds:6.1f} s  {result['name']}", flush=True)

    alive = [r for r in results.values() if r["outcome"] in ALIVE]
    for result in alive:
        print(f"\n{result['outcome']}: {result['name']} (línea {result['line']})", *result["diff"], sep="\n  ")
    if results:
        killed = len(results) - len(alive)
        low, high = wilson(killed, len(results))
        score = f"{killed / len(results):.1%} (intervalo del 95 %: {low:.1%}–{high:.1%})"
        print(f"\nMueren {killed} de {len(results)}: {score}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
