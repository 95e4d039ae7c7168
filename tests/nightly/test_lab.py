"""El motor del laboratorio, entero: todos los casos con WebAssembly y sin él, todo Unicode y una tarde de uso.

Lo que solo ve esta prueba: un carácter que el navegador y la biblioteca tokenizers clasifican distinto, una diferencia
en alguna posición de un *prompt* largo y una memoria que crece. Con menos casos, tests/integration/test_lab_engine.py.
"""

import laboratorio
import pytest

from tools import lab as build_lab

MODES = {"simd": True, "javascript": False}
BROWSER_ARGUMENTS = ["--js-flags=--expose-gc", "--enable-precise-memory-info"]
LENGTHS = [*range(1, 26), *range(26, 256, 10), 255, 256]  # 50 largos, de 1 a 256 tokens


@pytest.fixture(scope="module")
def url(tmp_path_factory, serve):
    folder = tmp_path_factory.mktemp("laboratorio en español")
    build_lab.assemble(folder)
    laboratorio.write_page(folder)
    return serve(folder)


@pytest.fixture(scope="module", params=MODES.values(), ids=MODES)
def page(request, url, browser):
    context = browser.new_context()
    context.set_default_timeout(600_000)
    page = context.new_page()
    assert laboratorio.start(page, url, request.param)["simd"] is request.param
    yield page
    context.close()


def test_ids_and_texts(page, mini):
    laboratorio.check_tokenizer(page, mini[1], 3000)


def test_logits_in_every_position(page, mini):
    assert len(LENGTHS) == 50
    print(f"diferencia máxima: {laboratorio.check_logits(page, *mini, LENGTHS, every_position=True):.1e}")


def test_greedy_text(page, mini):
    laboratorio.check_greedy(page, *mini, range(1, 101, 2), 60)


def test_attention(page, mini):
    laboratorio.check_attention(page, *mini, [1, 2, 17, 64, 200])


def test_filters(page, mini):
    laboratorio.check_filters(page, *mini, 2000)


def test_beams(page, mini):
    laboratorio.check_beams(page, *mini, 30)


def test_every_character_of_unicode_is_split_alike(page, mini):
    """Cada carácter, pegado a una letra, a un número y a un espacio: así se ve de qué clase es y cómo se normaliza."""
    different = laboratorio.different_characters(page, mini[1])
    assert different == [], f"{len(different)}: {different[:20]}"


def test_memory_stays_flat_in_use(page):
    """Escribir, volver atrás, ramificar y buscar en haz durante un minuto no deja nada detrás."""
    used = page.evaluate(
        """async () => {
            const random = lab.rng(1);
            const settings = { temperature: 0.9, topK: 40 };
            const measure = async () => {
                for (let i = 0; i < 5; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
                return performance.memory.usedJSHeapSize;
            };
            const round = async () => {
                const text = Array.from({ length: 12 }, () => "abcde aeiou"[Math.floor(random() * 11)]).join("");
                let node = await engine.extend(null, engine.tokenizer.encode(`Había ${text}`));
                const start = node;
                for (let i = 0; i < 12; i++) {
                    const logits = lab.applyAll(lab.pipeline(settings), node.logits, engine.ids(node));
                    node = await engine.extend(node, [lab.sample(lab.softmax(logits), random)]);
                    node.attention(i % 6, i % 4);
                    if (i % 4 === 3) node = node.parent.parent;  // atrás, y por otra rama
                }
                for await (const level of lab.beamSearch(engine, start, { numBeams: 3, maxNewTokens: 4 })) level;
                engine.keep([node]);
            };
            const until = async (seconds) => {
                for (const end = performance.now() + 1000 * seconds; performance.now() < end;) await round();
                engine.keep([]);
                return measure();
            };
            const first = await until(15);
            return [first, await until(45), engine.nodes, engine.memory().bytes];
        }"""
    )
    first, last, nodes, engine_bytes = used
    print(f"montón de JavaScript: {first / 1e6:.2f} y {last / 1e6:.2f} MB; motor: {engine_bytes / 1e6:.1f} MB")
    assert nodes == 0
    assert last - first < 1e6
