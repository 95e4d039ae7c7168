"""El laboratorio, medido: primer token, tokens por segundo, memoria y bytes, también con una red lenta.

    .venv/bin/python -m pytest -s tests/benchmarks/test_lab.py

Con ``CURSO_RIVALES=carpeta``, además, onnxruntime-web y transformers.js con el mismo modelo, en la misma pasada:
primero tienen que escribir los mismos ids y después se miden por turnos. La carpeta lleva ``node_modules``, con esos
dos paquetes de npm, y ``modelo_onnx``, que hace ``python -m tools.lab_onnx`` (docs/lab/README.md).
"""

import os
import statistics
from pathlib import Path

import laboratorio
import pytest

from tools import lab as build_lab
from tools.serving import serving

BROWSER_ARGUMENTS = ["--enable-blink-features=ForceEagerMeasureMemory"]  # que mida la memoria cuando se le pide
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
PROMPT = "En un lugar de la Mancha, de cuyo nombre no quiero"
NEW, ROUNDS = 40, 15
SLOW = {"offline": False, "latency": 100, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}  # 1,6 Mbit/s
RIVALS = os.environ.get("CURSO_RIVALES")
OURS = """
import * as lab from "./engine/index.js";
const engine = await lab.load({ simd: SIMD });
const prompt = engine.tokenizer.encode(PROMPT);
window.write = async (count) => {
  engine.keep([]);
  let node = await engine.extend(null, prompt);
  const ids = [lab.argmax(node.logits)];
  while (ids.length < count) { node = await engine.extend(node, [ids.at(-1)]); ids.push(lab.argmax(node.logits)); }
  return ids;
};
"""
ONNX = """
import * as ort from "./rivales/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { Tokenizer } from "./engine/index.js";
ort.env.wasm.numThreads = 1;
const json = await (await fetch("modelo/tokenizer.json")).json();
const prompt = new Tokenizer(json).encode(PROMPT);
const path = "rivales/modelo_onnx/onnx/model.onnx";
const session = await ort.InferenceSession.create(path, { executionProviders: ["wasm"] });
const whole = (list) => new ort.Tensor("int64", BigInt64Array.from(list, BigInt), [1, list.length]);
const past = session.inputNames.filter((name) => name.startsWith("past"));
window.write = async (count) => {
  const ids = [];
  const nothing = () => new ort.Tensor("float32", [], [1, 4, 0, 80]);
  let fresh = prompt, read = 0, feeds = Object.fromEntries(past.map((name) => [name, nothing()]));
  while (ids.length < count) {
    const total = read + fresh.length;
    const position_ids = whole(fresh.map((_, i) => read + i));
    const inputs = { ...feeds, input_ids: whole(fresh), position_ids, attention_mask: whole(Array(total).fill(1)) };
    const out = await session.run(inputs);
    const last = out.logits.data.subarray(-4096);
    ids.push(last.indexOf(last.reduce((a, b) => Math.max(a, b))));
    feeds = Object.fromEntries(past.map((name) => [name, out[name.replace("past_key_values", "present")]]));
    [fresh, read] = [[ids.at(-1)], total];
  }
  return ids;
};
"""
TRANSFORMERS = """
import * as hf from "./rivales/node_modules/@huggingface/transformers/dist/transformers.min.js";
const { env, AutoTokenizer, AutoModelForCausalLM } = hf;
env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "rivales/";
env.backends.onnx.wasm.wasmPaths = new URL("rivales/node_modules/onnxruntime-web/dist/", location).href;
env.backends.onnx.wasm.numThreads = 1;
const tokenizer = await AutoTokenizer.from_pretrained("modelo_onnx");
const model = await AutoModelForCausalLM.from_pretrained("modelo_onnx", { dtype: "fp32", device: "wasm" });
const inputs = await tokenizer(PROMPT);
window.write = async (count) => {
  const out = await model.generate({ ...inputs, max_new_tokens: count, do_sample: false });
  return Array.from(out.data, Number).slice(-count);
};
"""
ENGINES = {
    "laboratorio, con SIMD": OURS.replace("SIMD", "true"),
    "laboratorio, sin SIMD": OURS.replace("SIMD", "false"),
}
if RIVALS:
    ENGINES |= {"onnxruntime-web": ONNX, "transformers.js": TRANSFORMERS}
START = "window.onunhandledrejection = (event) => { window.failed = String(event.reason); };\nconst PROMPT = %r;\n"
END = "\nawait write(1);\nwindow.ready = performance.now();\n"  # el primer token, en ms desde que se abrió la página


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("laboratorio")
    build_lab.assemble(folder)
    if RIVALS:
        (folder / "rivales").symlink_to(Path(RIVALS).resolve())
    for number, code in enumerate(ENGINES.values()):
        (folder / f"motor{number}.html").write_text(laboratorio.PAGE.replace("prueba.js", f"motor{number}.js"), "utf-8")
        (folder / f"motor{number}.js").write_text(START % PROMPT + code + END, "utf-8")
    with serving(folder, ISOLATED) as url:
        yield url


class Engine:
    """Un motor en su página, en un perfil suyo, con lo que ha descargado."""

    def __init__(self, browser, url: str, number: int, network=None):
        self.url = f"{url}motor{number}.html"
        self.context = browser.new_context()
        self.context.set_default_timeout(900_000)
        self.open(network)

    def open(self, network=None):
        self.page, self.bytes, self.failed = self.context.new_page(), 0, []
        self.page.on("pageerror", lambda error: self.failed.append(str(error)))
        client = self.context.new_cdp_session(self.page)
        client.send("Network.enable")
        client.on("Network.loadingFinished", self.count)
        if network:
            client.send("Network.emulateNetworkConditions", network)
        self.page.goto(self.url)

    def count(self, event):
        self.bytes += event["encodedDataLength"]

    def wait(self) -> float:
        """Segundos desde que se abrió la página hasta el primer token."""
        self.page.wait_for_function("window.ready || window.failed")
        assert self.failed == [] and self.page.evaluate("window.failed") is None
        return self.page.evaluate("window.ready") / 1000

    def write(self) -> tuple[list[int], float]:
        """Los ids que escribe y cuántos segundos tarda."""
        return self.page.evaluate(
            "async (n) => { const start = performance.now(); const ids = await write(n);"
            " return [ids, (performance.now() - start) / 1000]; }",
            NEW,
        )

    def memory(self) -> float:
        return self.page.evaluate("async () => (await performance.measureUserAgentSpecificMemory()).bytes")


def test_the_lab_by_the_clock(url, browser, mini):
    model, tokenizer = mini
    ids = tokenizer(PROMPT, return_tensors="pt")
    expected = model.generate(**ids, max_new_tokens=NEW, do_sample=False)[0, ids.input_ids.size(1) :].tolist()
    rows, engines = {name: {} for name in ENGINES}, {}
    for number, name in enumerate(ENGINES):
        engine = engines[name] = Engine(browser, url, number)
        rows[name]["primer token, en frío (s)"] = engine.wait()
        rows[name]["descarga (MB)"] = engine.bytes / 1e6
        engine.page.close()
        engine.open()
        rows[name]["otra visita (s)"] = engine.wait()
        rows[name]["descarga, otra visita (MB)"] = engine.bytes / 1e6
        assert engine.write()[0] == expected, name  # antes de medir, que escriban lo mismo
    times = {name: [] for name in ENGINES}
    for turn in range(ROUNDS):
        for name in list(ENGINES)[:: 1 if turn % 2 else -1]:
            times[name].append(engines[name].write()[1])
    first = next(iter(ENGINES))
    for name in ENGINES:
        rows[name]["tokens/s (mediana)"] = NEW / statistics.median(times[name])
        ratios = [mine / theirs for mine, theirs in zip(times[name], times[first], strict=True)]
        rows[name]["tiempo, frente al primero"] = statistics.median(ratios)
        rows[name]["memoria (MB)"] = engines[name].memory() / 1e6
    for engine in engines.values():
        engine.context.close()
    slow = [Engine(browser, url, number, SLOW) for number in range(len(ENGINES))]  # a la vez: cada una, su red lenta
    for name, engine in zip(ENGINES, slow, strict=True):
        rows[name]["primer token a 1,6 Mbit/s (s)"] = engine.wait()
        engine.context.close()
    show(rows)
    assert rows["laboratorio, sin SIMD"]["tiempo, frente al primero"] > 1.2


def show(rows: dict) -> None:
    """La tabla, en Markdown, con coma."""
    print(f"\n| | {' | '.join(rows)} |\n|---|{'---|' * len(rows)}")
    for what in next(iter(rows.values())):
        print(f"| {what} |", " | ".join(f"{row[what]:.3g}".replace(".", ",") for row in rows.values()), "|")
