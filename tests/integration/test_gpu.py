"""Ninguna función da por hecho dónde está el modelo. Sin GPU, con una de mentira que no deja mezclar dispositivos.

No es una GPU: no prueba CUDA, ni el `Trainer` en ella, ni sus redondeos. Prueba que todo lo que el paquete crea va
donde está el modelo, que es el fallo que de verdad aparece al abrir un cuaderno con GPU.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "notebooks" / "fuente").rglob("*.md"))

PRELUDE = """
import copy, sys, torch, traceback
from gpu_de_mentira import DEVICE, Machine, OnGpu
from course_utils import attention, decoding, scoring, strategies
from course_utils.models import load_model

cpu, tokenizer = load_model("decoder", "mini")
cpu.set_attn_implementation("eager")  # SDPA elige núcleo según el dispositivo, y este no existe
ids = torch.tensor([tokenizer(text).input_ids[:3] for text in ("La noche estaba", "El rey de aquel")])
with Machine(), torch.no_grad():
    gpu, x = copy.deepcopy(cpu).to("gpu"), ids.to("gpu")
    assert gpu.device == x.device == DEVICE
"""
TRANSFORMS = (
    "[decoding.temperature(0.8), decoding.top_k(20), decoding.top_p(0.9), decoding.min_p(0.01),"
    " decoding.repetition_penalty(1.2), decoding.no_repeat_ngram(2)]"
)
CASES = {
    "generate": f"""
        def run(model, ids):
            options = dict(max_new_tokens=8, transforms={TRANSFORMS}, eos_token_id=tokenizer.eos_token_id, top_n=3)
            return decoding.generate(model, ids, **options)
        assert run(gpu, x).sequences.tolist() == run(cpu, ids).sequences.tolist()
        assert len(run(gpu, x[:1]).table(tokenizer)) == 8
        assert run(gpu, x).text(tokenizer, 1) == run(cpu, ids).text(tokenizer, 1)""",
    "muestreo": """
        for select in (decoding.sample, decoding.epsilon_greedy(0.3)):
            out = decoding.generate(gpu, x, select=select, max_new_tokens=4)
            assert out.sequences.device == DEVICE and out.logprobs.device == DEVICE""",
    "haz": """
        options = dict(num_beams=3, max_new_tokens=6, eos_token_id=tokenizer.eos_token_id)
        found, wanted = decoding.beam_search(gpu, x, **options), decoding.beam_search(cpu, ids, **options)
        assert found.sequences.tolist() == wanted.sequences.tolist()""",
    "puntuar": """
        found, wanted = scoring.sequence_logprob(gpu, x), scoring.sequence_logprob(cpu, ids)
        assert found.device == DEVICE and torch.allclose(found.cpu(), wanted, atol=1e-4)
        texts = ["Érase una vez un rey.", "La casa"]
        options = dict(window=16, stride=8, batch_size=2)
        values = [scoring.perplexity(model, tokenizer, texts, **options).nll for model in (gpu, cpu)]
        assert abs(values[0] - values[1]) < 1e-2""",
    "atención": """
        inputs = tokenizer("La noche", return_tensors="pt")
        maps = [attention.capture_attention(model, inputs) for model in (gpu, cpu)]
        assert torch.allclose(maps[0].cpu(), maps[1], atol=1e-4)
        q = torch.randn(1, 4, 8).to("gpu")
        attention.scaled_dot_product_attention(q, q, q, attention.causal_mask(4))""",
    "mezclar se nota": """
        for mixed in (lambda: x + ids, lambda: gpu(ids), lambda: x.numpy(), lambda: torch.ones(3)[x]):
            try:
                mixed()
            except (RuntimeError, TypeError, IndexError):
                continue
            raise AssertionError("la GPU de mentira no nota una mezcla")
        try:
            scoring.sequence_logprob(gpu, ids)
        except ValueError as error:
            assert "ids.to(model.device)" in str(error)""",
}


@pytest.fixture(scope="module")
def outcome():
    """La salida de ejecutar todos los casos en un solo proceso: arrancarlo es lo que más tarda."""
    environment = dict(
        os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")]), PYTHONUTF8="1"
    )
    code = PRELUDE  # los casos llevan ocho espacios: van dentro de su `with` y de un `try`
    for name, case in CASES.items():
        code += f"""
    try:{case}
        print("bien:", {name!r})
    except Exception:
        traceback.print_exc(file=sys.stdout)
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    return result.stdout


@pytest.mark.parametrize("case", CASES)
def test_everything_goes_where_the_model_is(outcome, case):
    assert f"bien: {case}\n" in outcome, outcome[-4000:]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_notebooks_ask_for_a_gpu_only_if_there_is_one(path):
    """«cuda» solo aparece como `"cuda" if torch.cuda.is_available() else "cpu"`, y nadie fija la CPU."""
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    code = re.sub(r"^(\s*)[%!].*$", r"\1pass", "\n".join(cells), flags=re.M)
    tree = ast.parse(code)
    guarded = {
        id(node.body)
        for node in ast.walk(tree)
        if isinstance(node, ast.IfExp) and ast.unparse(node.test) == "torch.cuda.is_available()"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("cuda"):
            assert id(node) in guarded, ast.unparse(node)
        if isinstance(node, ast.Call):
            assert not ast.unparse(node.func).endswith(".cuda"), ast.unparse(node)
            assert not any(keyword.arg in ("use_cpu", "no_cuda") for keyword in node.keywords), ast.unparse(node)
