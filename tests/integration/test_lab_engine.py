"""El motor del laboratorio en un Chromium de verdad, con WebAssembly y sin él, frente a PyTorch y transformers.

Con todos los casos, en ``tests/nightly/test_lab.py``.
"""

import laboratorio
import pytest

from tools import lab as build_lab

MODES = {"simd": True, "javascript": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("laboratorio en español")
    build_lab.assemble(folder)
    laboratorio.write_page(folder)
    return folder


@pytest.fixture(scope="module", params=MODES.values(), ids=MODES)
def page(request, folder, serve, browser):
    context = browser.new_context()
    page = context.new_page()
    assert laboratorio.start(page, serve(folder), request.param)["simd"] is request.param
    page.simd = request.param
    yield page
    context.close()


# --- Lo mismo que Python ------------------------------------------------------------------------------


def test_ids_and_texts_are_those_of_the_tokenizers_library(page, mini):
    laboratorio.check_tokenizer(page, mini[1], 1000)


def test_logits_are_those_of_pytorch(page, mini):
    lengths = [1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 64, 100, 256] if page.simd else [1, 4, 17, 40]
    laboratorio.check_logits(page, *mini, lengths, every_position=True)


def test_greedy_text_is_that_of_generate(page, mini):
    laboratorio.check_greedy(page, *mini, range(1, 51) if page.simd else range(1, 30, 6), 8)


def test_attention_is_that_of_pytorch(page, mini):
    laboratorio.check_attention(page, *mini, [1, 2, 33] if page.simd else [5])


def test_filters_keep_what_generate_keeps(page, mini):
    laboratorio.check_filters(page, *mini, 500 if page.simd else 100)


def test_beams_are_those_of_generate_and_of_the_course(page, mini):
    laboratorio.check_beams(page, *mini, 10 if page.simd else 2)
