"""Modelos diminutos al azar para las pruebas: baratos, deterministas y sin red."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # antes de cargar torch; con varios procesos, mucho más rápido
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import functools

import pytest
import torch
from paginas import browser, open_page, serve  # noqa: F401 (las fixtures de las pruebas con navegador)
from transformers import GPT2Config, GPT2LMHeadModel, logging

logging.set_verbosity_error()
logging.disable_progress_bar()


@functools.cache
def tiny_model(seed: int = 0, vocab: int = 23, context: int = 48) -> GPT2LMHeadModel:
    """GPT-2 de dos capas con pesos al azar grandes, para que las distribuciones no sean planas."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = GPT2Config(
            vocab_size=vocab,
            n_positions=context,
            n_embd=16,
            n_layer=2,
            n_head=2,
            bos_token_id=None,
            eos_token_id=None,
            initializer_range=0.6,
        )
        return GPT2LMHeadModel(config).eval()


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture(scope="session")
def mini():
    """El decodificador embebido y su tokenizador."""
    from course_utils.models import load_model

    return load_model("decoder", "mini")


@pytest.fixture
def assert_hint(capsys):
    """Que la comprobación conteste a un error con lo recibido y las pistas de su regla, sin culpas que no toquen.

    ``raises`` declara que la respuesta falla con un error de Python: solo entonces se puede hablar de un error al
    ejecutar su código. Se pregunta tres veces, que son las pistas que hay; ``fragment`` tiene que salir en alguna.
    """
    from course_utils import checks

    def assert_it(exercise, answer, fragment, *, rule=None, raises=False):
        checks._failures.clear()
        told = []
        for _ in range(3):
            checks.check(exercise, answer)
            told.append(capsys.readouterr().out)
        for out in told:
            assert out.count("❌") == 1 and "He recibido: " in out and "Pista: " in out and "resuelto" not in out
            assert checks.OUR_FAULT[0] not in out
            assert ("un error al ejecutar tu código" in out) == raises, out
            if rule is not None:
                assert f"❌ {checks.EXERCISES[exercise][rule - 1].description}\n" in out
        assert fragment in "".join(told), "".join(told)
        with pytest.raises(AssertionError, match="Pista"):
            checks.check(exercise, answer, strict=True)

    return assert_it
