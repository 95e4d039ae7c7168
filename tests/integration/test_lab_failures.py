"""El motor del laboratorio cuando algo va mal: qué dice, en español, y que después siga. Y su archivo único.

Cada fallo se provoca de verdad: un bit cambiado en los pesos, un servidor que no contesta, un Chromium sin WebAssembly.
"""

import json

import laboratorio
import pytest

from tools import lab as build_lab
from tools import slides as build_slides

LOAD = "(options) => lab.load(options).then(() => null, (error) => [error.name, error.code, error.message])"
ASK = "(call) => (0, eval)(`(async () => { ${call} })()`).then(() => null, (e) => [e.name, e.code, e.message])"


@pytest.fixture(scope="module")
def url(tmp_path_factory, serve):
    folder = tmp_path_factory.mktemp("laboratorio en español")
    build_lab.assemble(folder)
    laboratorio.write_page(folder)
    return serve(folder)


@pytest.fixture
def blank(url, open_page):
    """Una página con el motor importado y sin cargar; ``prepare(page)`` la estropea antes."""

    def open_it(prepare=lambda page: None):
        page, seen = open_page()
        prepare(page)
        page.goto(url + "prueba.html")
        page.wait_for_function("window.lab")
        return page, seen

    return open_it


def answer(name: str, **response):
    return lambda page: page.route(f"**/modelo/{name}", lambda route: route.fulfill(**response))


FAILURES = {
    "sin tokenizador": (answer("tokenizer.json", status=404, body=""), "missing", ["modelo/tokenizer.json", "404"]),
    "sin pesos": (answer("model.safetensors", status=404, body=""), "missing", ["modelo/model.safetensors"]),
    "un servidor que falla": (answer("config.json", status=500, body=""), "network", ["500", "modelo/config.json"]),
    "sin red": (lambda page: page.route("**/modelo/*", lambda route: route.abort()), "network", ["¿Hay red?"]),
    "la página de una wifi": (answer("sha256.json", body="<html>Entra"), "altered", ["sha256.json", "<html>Entra"]),
}


@pytest.mark.parametrize(("prepare", "code", "words"), FAILURES.values(), ids=FAILURES)
def test_a_model_that_does_not_arrive_well(prepare, code, words, blank):
    page, _ = blank(prepare)
    name, found, message = page.evaluate(LOAD, {})
    assert (name, found) == ("LabError", code)
    assert all(word in message for word in words), message
    assert "ecarga la página" in message  # el remedio
    page.unroute_all()
    assert page.evaluate(LOAD, {}) is None  # y con todo en su sitio, a la siguiente carga


def one_bit(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


SPOILT = {
    "un bit": (one_bit, ["model.safetensors", "SHA-256", "93adc3e4…"]),
    "cortado": (lambda body: body[:-1000], ["model.safetensors", "17588536", "17589536"]),
    "con algo de más": (lambda body: body + b"x", ["model.safetensors", "17589537", "17589536"]),
}


@pytest.mark.parametrize(("edit", "words"), SPOILT.values(), ids=SPOILT)
def test_spoilt_weights(edit, words, tmp_path, serve, open_page):
    build_lab.assemble(tmp_path / "lab")
    laboratorio.write_page(tmp_path / "lab")
    weights = tmp_path / "lab/modelo/model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(edit(good))
    page, _ = open_page(serve(tmp_path / "lab") + "prueba.html")
    page.wait_for_function("window.lab")
    name, code, message = page.evaluate(LOAD, {})
    assert (name, code) == ("LabError", "altered")
    assert all(word in message for word in [*words, "Recarga la página"]), message
    weights.write_bytes(good)
    assert page.evaluate(LOAD, {}) is None


def test_without_webassembly_it_computes_in_javascript_or_says_so(blank):
    page, seen = blank(lambda page: page.add_init_script("delete globalThis.WebAssembly"))
    assert page.evaluate("typeof WebAssembly") == "undefined"
    assert page.evaluate("async () => (await lab.load()).simd") is False
    assert page.evaluate("async () => (await lab.load({ simd: false })).simd") is False
    name, code, message = page.evaluate(LOAD, {"simd": True})
    assert (name, code) == ("LabError", "unsupported") and "WebAssembly" in message and "Actualízalo" in message
    assert page.evaluate(LOAD, {"simd": "sí"})[1] == "settings"
    seen.assert_clean()


NO_MEMORY = {
    "WebAssembly": "WebAssembly.Memory = function () { throw new RangeError('could not allocate memory'); };",
    "JavaScript": """{ const Real = Float32Array; globalThis.Float32Array = new Proxy(Real, { construct(target, args) {
        if (args[0] > 5e6) throw new RangeError('Array buffer allocation failed');
        return Reflect.construct(target, args); } }); }""",
}


@pytest.mark.parametrize("kind", NO_MEMORY)
def test_when_there_is_no_memory(kind, blank):
    page, _ = blank(lambda page: page.add_init_script(NO_MEMORY[kind]))
    name, code, message = page.evaluate(LOAD, {"simd": kind == "WebAssembly"})
    assert (name, code) == ("LabError", "memory") and "39,5\u00a0MB" in message and "Cierra otras pestañas" in message


def test_the_second_visit_downloads_nothing_and_a_spoilt_cache_is_mended(url, open_page):
    page, seen = open_page()
    first = laboratorio.start(page, url, "auto")
    assert not first["cached"] and first["bytes"] == 826 + 266753 + 17589536
    assert laboratorio.start(page, url, "auto") == first | {"cached": True}
    counts = "async () => { const all = []; await lab.load({ onProgress: (...one) => all.push(one) }); return all; }"
    assert page.evaluate(counts) == [[some, first["bytes"]] for some in (826, 826 + 266753, first["bytes"])]
    assert sum(request.endswith("model.safetensors") for request in seen.requests) == 1
    page.evaluate(
        """async () => {
            const cache = await caches.open((await caches.keys()).find((name) => name.startsWith("laboratorio-")));
            const [key] = (await cache.keys()).filter(({ url }) => url.endsWith("safetensors"));
            const bytes = new Uint8Array(await (await cache.match(key)).arrayBuffer());
            bytes[9999999] ^= 1;
            await cache.put(key, new Response(bytes));
            await caches.open("laboratorio-de otra versión");
        }"""
    )
    assert not laboratorio.start(page, url, "auto")["cached"]
    assert sum(request.endswith("model.safetensors") for request in seen.requests) == 2
    assert laboratorio.start(page, url, "auto")["cached"]
    assert len(page.evaluate("caches.keys()")) == 1  # las de otras versiones se borran
    seen.assert_clean()


def test_a_download_can_be_cancelled(blank):
    page, _ = blank()
    stopped = page.evaluate(
        """async () => {
            const control = new AbortController();
            const seen = [];
            const onProgress = (...counts) => { seen.push(counts); if (counts[0] > 1e6) control.abort(); };
            const options = { onProgress, signal: control.signal };
            return await lab.load(options).then(() => null, (error) => [error.name, seen.at(-1)]);
        }"""
    )
    name, (received, total) = stopped
    assert name == "AbortError" and 1e6 < received < total == 826 + 266753 + 17589536


# --- Con el motor ya en marcha ------------------------------------------------------------------------

MISTAKES = {
    "await engine.extend(null, Array(257).fill(5))": ("context", ["257", "256", "Acorta"]),
    "await engine.extend(await engine.extend(null, [5, 6]), Array(255).fill(5))": ("context", ["257", "256"]),
    "await engine.extend(null, engine.tokenizer.encode('palabra '.repeat(5000)))": ("context", ["256", "Acorta"]),
    "await engine.extend(null, [4096])": ("settings", ["4096", "4095"]),
    "await engine.extend(null, [1.5])": ("settings", ["1.5"]),
    "const n = await engine.extend(null, [9]); engine.release(n); await engine.extend(n, [1])": (
        "settings",
        ["soltado"],
    ),
    "(await engine.extend(null, [9])).attention(6, 0)": ("settings", ["capa 6", "6 capas"]),
    "engine.tokenizer.decode([5000])": ("settings", ["5000"]),
    "lab.pipeline({ temperature: -1 })": ("settings", ["-1", "mayor que 0"]),
    "lab.pipeline({ topK: 2.5 })": ("settings", ["2.5", "entero"]),
    "lab.pipeline({ topP: 0 })": ("settings", ["(0, 1]"]),
    "lab.pipeline({ minP: 2 })": ("settings", ["(0, 1]"]),
    "lab.pipeline({ repetitionPenalty: 0, temperature: 0 })": ("settings", ["penalización"]),
    "lab.rng(-1)": ("settings", ["semilla"]),
    "lab.sample([0, 0], Math.random)": ("settings", ["ningún token"]),
    "lab.topP(NaN)": ("settings", ["NaN"]),
    "await lab.beamSearch(engine, await engine.extend(null, [9]), { numBeams: 0 }).next()": ("settings", ["haces"]),
    "await lab.beamSearch(engine, null).next()": ("settings", ["extend"]),
    "await lab.beamSearch(engine, await engine.extend(null, [9]), { maxNewTokens: 256 }).next()": ("context", ["255"]),
}


def test_every_mistake_is_told_with_its_value_and_the_engine_goes_on(url, open_page):
    page, seen = open_page()
    laboratorio.start(page, url, "auto")
    for call, (code, words) in MISTAKES.items():
        name, found, message = page.evaluate(ASK, call) or (None, None, "no ha fallado")
        assert (name, found) == ("LabError", code), (call, message)
        assert all(word in message for word in words), (call, message)
    assert page.evaluate("async () => (await engine.extend(null, [5, 6, 7])).depth") == 3
    seen.assert_clean()


def test_the_tree_shares_what_is_read_and_lets_go_of_what_is_not_wanted(url, open_page):
    page, seen = open_page()
    laboratorio.start(page, url, "auto")
    found = page.evaluate(
        """async () => {
            const seen = [];
            const a = await engine.extend(null, [50, 60, 70]);
            const again = await engine.extend(null, [50, 60, 70], { onProgress: (...counts) => seen.push(counts) });
            const b = await engine.extend(a.parent, [80]);
            const [c, d] = await Promise.all([engine.extend(null, [50, 60, 90, 91]), engine.extend(a, [10, 11])]);
            const alone = async (ids) => { const other = await engine.extend(null, [9]); engine.keep([]);
              return (await engine.extend(null, ids)).logits; };
            const paths = [a, b, c, d].map((node) => engine.ids(node));
            const nodes = engine.nodes, memory = engine.memory();
            const logits = [b, c, d].map((node) => node.logits);
            const before = b.parent.logits;
            const sums = [b.logprob, before[80] - Math.log(before.reduce((sum, x) => sum + Math.exp(x), 0))];
            engine.keep([d]);
            const kept = engine.nodes;
            engine.release(d.parent);
            const left = engine.nodes;
            const worst = [];
            for (const [i, ids] of paths.slice(1).entries()) {
              const again = await alone(ids);
              worst.push(Math.max(...again.map((x, j) => Math.abs(x - logits[i][j]))));
            }
            engine.keep([]);
            const empty = await engine.extend(null, []);
            return { same: a === again, seen, paths, nodes, kept, left, sums, worst, released: c.logits === null,
                     first: [empty.token, empty.depth, String(empty.logprob)], memory, ids: engine.ids(null) };
        }"""
    )
    assert found["same"] and found["seen"] == [[3, 3]]  # lo ya leído no se calcula otra vez
    assert found["paths"] == [[50, 60, 70], [50, 60, 80], [50, 60, 90, 91], [50, 60, 70, 10, 11]]
    assert found["nodes"] == 8 and found["kept"] == 5 and found["left"] == 3 and found["released"]
    assert found["memory"]["nodes"] == 8 and 39e6 < found["memory"]["bytes"] < 40e6
    assert abs(found["sums"][0] - found["sums"][1]) < 1e-4
    assert max(found["worst"]) < laboratorio.TOLERANCE  # por ramas o de un tirón, los mismos logits
    assert found["first"] == [0, 1, "NaN"] and found["ids"] == []
    seen.assert_clean()


def test_when_there_are_many_the_oldest_unused_are_let_go(url, open_page):
    page, _ = open_page()
    laboratorio.start(page, url, "auto")
    found = page.evaluate(
        """async () => {
            const read = (...ids) => engine.extend(null, ids);
            const [kept, old, used, last] = [await read(1, 2), await read(3, 4), await read(5, 6), await read(7, 8)];
            const seen = [kept, kept.parent, old, old.parent, used, used.parent, last];
            const on = () => seen.map((node) => node.logits !== null);
            await read(5, 6, 60);
            engine.trim(9, []);
            const enough = [engine.nodes, on()]; // nueve caben
            engine.trim(8, [kept]);
            const { logits } = used;
            const after = [engine.nodes, on(), (await read(5, 6)).logits === logits, (await read(3, 4)).depth];
            engine.keep([]);
            const long = await read(...Array(20).fill(9));
            engine.trim(10, [long]); // no cabe, y no se suelta
            return { enough, after, long: [engine.nodes, long.logits !== null] };
        }"""
    )
    assert found["enough"] == [9, [True] * 7]
    # Quedan el que se pide y su padre, y la rama que se usó la última, con los tres suyos.
    assert found["after"] == [5, [True, True, False, False, True, True, False], True, 2]
    assert found["long"] == [20, True]


def test_reading_yields_to_the_page_and_can_be_cancelled(url, open_page):
    page, _ = open_page()
    laboratorio.start(page, url, False)
    found = page.evaluate(
        """async () => {
            const ids = Array.from({ length: 100 }, (_, i) => 100 + i);
            let ticks = 0;
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => { ticks++; port2.postMessage(0); };
            port2.postMessage(0);
            await engine.extend(null, ids);
            port1.close();
            engine.keep([]);
            const control = new AbortController();
            const onProgress = (done) => done >= 32 && control.abort();
            const name = await engine.extend(null, ids, { signal: control.signal, onProgress }).catch((e) => e.name);
            const nodes = engine.nodes;
            return [ticks, name, nodes, (await engine.extend(null, ids)).depth];
        }"""
    )
    ticks, name, nodes, depth = found
    assert ticks >= 5  # mientras leía, la página ha podido atender a otras cosas
    assert name == "AbortError" and nodes == 32 and depth == 100


# --- El núcleo y el archivo único ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def modules():
    from diapositivas import tools_or_missing

    tools_or_missing()
    return build_slides.install_node_modules(build_lab.ROOT / "slides")


def test_the_kernel_is_the_one_that_its_source_gives(modules):
    stored = build_lab.KERNEL.with_name("kernel_bytes.js").read_text(encoding="utf-8")
    assert build_lab.kernel_module() == stored


def test_a_single_file_works_without_server(modules, tmp_path, url, open_page):
    """Montado con la página de las pruebas: el mismo programa, los mismos datos, desde file://."""
    folder = tmp_path / "lab"
    build_lab.assemble(folder)
    laboratorio.write_page(folder)
    (folder / "index.html").write_text((folder / "prueba.html").read_text("utf-8").replace("prueba.js", "./prueba.js"))
    alone = tmp_path / "un solo archivo.html"
    alone.write_text(build_lab.bundle_page(folder, modules), encoding="utf-8")
    write = """async () => {
        window.engine = await lab.load();
        const ids = engine.tokenizer.encode("En un lugar de la Mancha");
        return [engine.simd, engine.hash, engine.tokenizer.decode(await greedy(engine, ids, 20))];
    }"""
    served, _ = open_page(url + "prueba.html")
    served.wait_for_function("window.lab")
    page, seen = open_page(alone.as_uri())
    found = page.evaluate(write)
    assert found == served.evaluate(write) and found[0] is True and len(found[2]) > 20
    assert seen.requests == [alone.as_uri()]
    seen.assert_clean()


def test_the_real_page_in_a_single_file_writes_without_server(modules, tmp_path, open_page):
    alone = tmp_path / "laboratorio.html"
    size = build_lab.single(alone)
    assert size == alone.stat().st_size < 26e6
    page, seen = open_page(alone.as_uri())
    page.get_by_role("button", name="Descargar").click()
    page.locator("#candidates").wait_for()
    assert page.get_by_role("link", name="El curso").count() == 0  # no está al lado
    assert seen.requests == [alone.as_uri()]
    seen.assert_clean()


def test_the_folder_has_everything_and_no_folder_of_yours_is_erased(tmp_path):
    size = build_lab.assemble(tmp_path / "lab")
    assert build_lab.assemble(tmp_path / "lab") == size  # dos veces, lo mismo
    stored = json.loads((tmp_path / "lab/modelo/sha256.json").read_text("utf-8"))
    checkpoint = json.loads((build_lab.CHECKPOINT / "sha256.json").read_text("utf-8"))
    for name, entry in stored["files"].items():
        assert entry["bytes"] == (tmp_path / "lab/modelo" / name).stat().st_size
        assert entry["sha256"] == checkpoint.get(name, entry["sha256"])
    (tmp_path / "mía").mkdir()
    (tmp_path / "mía" / "tesis.txt").write_text("no me borres")
    with pytest.raises(ValueError, match="no está vacía"):
        build_lab.assemble(tmp_path / "mía")
    assert (tmp_path / "mía" / "tesis.txt").exists()
