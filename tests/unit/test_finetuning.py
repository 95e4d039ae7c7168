"""El ajuste fino frente a cuentas hechas a mano, a Hugging Face y a la fuerza bruta."""

import copy
import itertools
import math
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import tiny_model
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from trainable import CAUSAL, NOT_CAUSAL, build
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.trainer_pt_utils import LengthGroupedSampler

from course_utils import finetuning as f

TEXTS = [
    "Un pato entra.",
    "—¿Qué hora es?\n—La de siempre.",
    "El loro no contestó.",
    "¡Ay!",
    "La vaca dijo que no, gracias.",
]


@pytest.fixture(scope="module")
def tokenizer(mini):
    return mini[1]


@pytest.fixture(scope="module")
def gpt2_style(mini):
    """Un tokenizador como el de GPT-2: el relleno es el EOS."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=mini[1].backend_tokenizer, eos_token="<|endoftext|>")
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def small_model(seed=0):
    """GPT-2 diminuto con el vocabulario del curso."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = GPT2Config(vocab_size=4096, n_positions=64, n_embd=16, n_layer=2, n_head=2, initializer_range=0.1,
                            resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
                            bos_token_id=0, eos_token_id=0, pad_token_id=1)  # fmt: skip
        return GPT2LMHeadModel(config)


def datasets(train=TEXTS * 6, validation=TEXTS[:3]):
    return {"train": {"text": train}, "validation": {"text": validation}}


# ---------------------------------------------------------------- tokenizar
def test_every_text_stands_between_two_eos(tokenizer):
    data = f.tokenize(TEXTS, tokenizer, max_length=64)
    for text, ids, length in zip(TEXTS, data["input_ids"], data["length"], strict=True):
        assert ids[0] == ids[-1] == tokenizer.eos_token_id and ids.count(tokenizer.eos_token_id) == 2
        assert tokenizer.decode(ids[1:-1]) == text and length == len(ids)


def test_there_is_room_for_a_token_between_the_two_eos(tokenizer):
    (row,) = f.tokenize("hola", tokenizer, max_length=3)["input_ids"]
    assert len(row) == 3 and row[0] == tokenizer.eos_token_id
    with pytest.raises(ValueError, match=r"max_length.*3.*es 2.*sitio a los EOS"):
        f.tokenize("hola", tokenizer, max_length=2)


def test_a_text_that_is_cut_does_not_end_in_eos(tokenizer):
    whole, cut = (f.tokenize(["hola " * 40], tokenizer, max_length=n)["input_ids"][0] for n in (500, 10))
    assert len(cut) == 10 and cut == whole[:10] and cut[-1] != tokenizer.eos_token_id


def test_a_token_of_its_own_for_the_beginning_goes_first():
    """Gemma o Llama: sin su BOS delante, un texto les sorprende muchísimo más. Y los suyos no se ponen dos veces."""
    words = Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, "hola": 3}, unk_token="<unk>"))
    words.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    plain = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>")
    with_start = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>")
    rows = [f.tokenize("hola", tokenizer, max_length=9)["input_ids"] for tokenizer in (plain, with_start)]
    assert rows == [[[2, 3, 2]], [[1, 3, 2]]]


# ---------------------------------------------------------------- lotes
@pytest.mark.parametrize("which", ["tokenizer", "gpt2_style"])
def test_every_eos_is_a_label(which, request):
    tokenizer = request.getfixturevalue(which)
    data = f.tokenize(TEXTS, tokenizer, max_length=64)
    batch = f.collator(tokenizer.pad_token_id)(list(data))
    for row, ids in zip(range(len(TEXTS)), data["input_ids"], strict=True):
        n = len(ids)
        assert batch["labels"][row, :n].tolist() == batch["input_ids"][row, :n].tolist() == ids
        assert ids[-1] == tokenizer.eos_token_id and batch["labels"][row, n - 1] == tokenizer.eos_token_id
        assert (batch["labels"][row, n:] == -100).all() and batch["attention_mask"][row].tolist() == [1] * n + [0] * (
            batch["labels"].size(1) - n
        )


def test_the_usual_collator_hides_the_end_when_pad_is_eos(gpt2_style):
    """Lo que hace la receta conocida: por esto existe el nuestro."""
    from transformers import DataCollatorForLanguageModeling

    data = f.tokenize(TEXTS, gpt2_style, max_length=64).remove_columns("length")
    usual = DataCollatorForLanguageModeling(gpt2_style, mlm=False)(list(data))
    ours = f.collator(gpt2_style.pad_token_id)(list(data))
    eos = gpt2_style.eos_token_id
    assert not (usual["labels"] == eos).any()
    assert (ours["labels"] == eos).sum() == 2 * len(TEXTS)


def test_batches_are_as_wide_as_their_longest_row(tokenizer):
    data = f.tokenize(TEXTS, tokenizer, max_length=64)
    assert f.collator(1)(list(data))["input_ids"].shape == (5, max(data["length"]))
    assert f.collator(1, pad_to=64)(list(data))["input_ids"].shape == (5, 64)


def test_padding_does_not_change_the_loss(tokenizer):
    model = small_model().eval()
    data = f.tokenize(TEXTS, tokenizer, max_length=64)
    with torch.no_grad():
        losses = [model(**f.collator(1, pad_to=n)(list(data)), use_cache=False).loss.item() for n in (None, 40, 64)]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-5)


def total_nll(model, rows):
    with torch.no_grad():
        batch = f.collator(1)(rows)
        return f._nll_per_row(model(**batch, use_cache=False).logits, batch["labels"]).double().sum(0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 22), min_size=2, max_size=20), min_size=1, max_size=8), st.integers(20, 48))
def test_packing_keeps_every_text_and_its_loss(texts, width):
    model = tiny_model()
    alone = Dataset.from_dict({"input_ids": texts, "length": [len(t) for t in texts]})
    packed = f.pack(alone, width)
    assert max(packed["length"]) <= width and sum(packed["length"]) == sum(map(len, texts))
    pieces = []
    for ids, positions in zip(packed["input_ids"], packed["position_ids"], strict=True):
        starts = [i for i, p in enumerate(positions) if p == 0] + [len(ids)]
        pieces += [ids[a:b] for a, b in itertools.pairwise(starts)]
    assert sorted(pieces) == sorted(texts)
    separate = sum(total_nll(model, [row]) for row in alone)  # cada texto solo, sin relleno: la verdad
    torch.testing.assert_close(total_nll(model, list(packed)), separate, atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(total_nll(model, list(alone)), separate, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(("epochs", "kept"), [(3, 3), (np.int64(3), 3), (2.0, 2), (0.5, 0.5), (np.float32(1.5), 1.5)])
def test_epochs_may_be_a_part_of_one_and_are_numbers_of_python(tokenizer, tmp_path, epochs, kept):
    trainer = f.build_trainer(small_model(), tokenizer, datasets(), output_dir=tmp_path, epochs=epochs, progress=False)
    found = trainer.args.num_train_epochs
    assert found == kept and type(found) is type(kept)


def test_what_is_used_if_nothing_is_said(tokenizer, tmp_path):
    trainer = f.build_trainer(small_model(), tokenizer, datasets(), output_dir=tmp_path)
    used, wanted = (
        trainer.args.to_dict(),
        {
            "num_train_epochs": 10,
            "per_device_train_batch_size": 8,
            "warmup_steps": 0.1,
            "weight_decay": 0.01,
            "train_sampling_strategy": "group_by_length",
            "save_total_limit": 2,
            "load_best_model_at_end": True,
            "metric_for_best_model": "nll",
            "greater_is_better": False,
            "disable_tqdm": False,
            "seed": 0,
        },
    )
    assert {name: used[name] for name in wanted} == wanted
    (patience,) = [c for c in trainer.callback_handler.callbacks if hasattr(c, "early_stopping_patience")]
    assert patience.early_stopping_patience == 2


def test_packing_fills_better_than_padding(tokenizer):
    data = f.tokenize(TEXTS * 10, tokenizer, max_length=64)
    packed = f.pack(data, 64)
    lengths = packed["length"]
    by_four = [range(i, min(i + 4, len(packed))) for i in range(0, len(packed), 4)]
    assert f.padding_share(lengths, by_four) < 0.1
    with pytest.raises(ValueError, match="no cabe"):
        f.pack(data, 8)


def test_padding_share_by_hand():
    assert f.padding_share([2, 4, 6], [[0, 1], [2]]) == pytest.approx(1 - 12 / 14)
    assert f.padding_share(np.array([2, 4, 6]), [range(2), [np.int64(2)]]) == pytest.approx(1 - 12 / 14)
    assert f.padding_share([2, 4, 6], [[0, 1, 2]], pad_to=10) == pytest.approx(1 - 12 / 30)
    assert f.padding_share([6, 6], [[0, 1]]) == f.padding_share([6], [[0]], pad_to=6) == 0


@pytest.mark.parametrize(
    ("lengths", "batches", "pad_to", "message"),
    [
        ([10], [[0]], 5, "pad_to.*mayor o igual que 10 y es 5"),  # daba −1: «más texto que hueco»
        ([3, 10], [[0], [1]], 5, "mayor o igual que 10"),
        ([3, 10], [[0, 1]], 5, "mayor o igual que 10"),
        ([3], [[0]], 0, "pad_to.*es 0"),
        ([3], [[0]], 4.0, "pad_to.*4.0"),
        ([3], [[0]], True, "pad_to.*True"),
        ([3], [], None, "al menos un lote"),
        ([3], [[0], []], None, "vacío"),
        ([3], [[1]], None, r"no hay: \[1\]\. Hay 1"),
        ([3], [[-1]], None, r"\[-1\]"),
        ([0], [[0]], None, "longitud.*es 0"),
    ],
)
def test_impossible_batches_have_no_padding_share(lengths, batches, pad_to, message):
    with pytest.raises(ValueError, match=message):
        f.padding_share(lengths, batches, pad_to)


def test_the_collator_refuses_what_it_cannot_pad():
    rows = [{"input_ids": [1, 2, 3]}]
    with pytest.raises(ValueError, match=r"pad_to.*mayor o igual que 3 y es 2"):
        f.collator(0, pad_to=2)(rows)
    with pytest.raises(ValueError, match=r"pad_token_id.*None.*usa su EOS"):
        f.collator(None)
    with pytest.raises(ValueError, match="vacío"):
        f.collator(0)([])
    with pytest.raises(ValueError, match=r"max_length.*es 0"):
        f.pack(Dataset.from_dict({"input_ids": [[1]]}), 0)


# ---------------------------------------------------------------- empaquetar en otras arquitecturas
SEPARATE = ["gpt2", "gptj", "neox", "llama", "mistral", "qwen3", "gemma3", "phi"]
MIX = ["opt", "bloom", "falcon", "mpt", "mamba", "lfm2", "gptoss"]
ROWS = [[0, 9, 23, 40, 12, 0], [0, 31, 7, 5, 0], [0, 8, 44, 45, 46, 47, 0]]


def texts_of(rows):
    return Dataset.from_dict({"input_ids": rows, "length": [len(row) for row in rows]})


def mean_loss(model, rows, use_cache):
    with torch.no_grad():
        batch = f.collator(1)(list(rows))
        logits = model(**{k: v for k, v in batch.items() if k != "labels"}, use_cache=use_cache).logits
        total, n = f._nll_per_row(logits, batch["labels"]).double().sum(0)
        return (total / n).item()


@pytest.mark.parametrize("spread", [1.0, 12.0], ids=["pesos pequeños", "pesos grandes"])
@pytest.mark.parametrize("use_cache", [False, True], ids=["sin caché", "con caché"])
@pytest.mark.parametrize("name", CAUSAL)
def test_packing_is_refused_just_where_it_changes_the_loss(name, use_cache, spread):
    """La pérdida buena (cada texto solo) al lado de la contaminada: quien las tiene iguales, y nadie más, empaqueta."""
    model = build(name, spread=spread)
    apart = mean_loss(model, texts_of(ROWS), False)
    packed = mean_loss(model, f.pack(texts_of(ROWS), 40), use_cache)
    if name in SEPARATE and not use_cache:
        assert packed == pytest.approx(apart, abs=1e-5)
        f.check_packing(model, texts_of(ROWS))
        return
    if spread > 1:
        assert packed != pytest.approx(apart, abs=1e-3)
    with pytest.raises(ValueError, match=r"no separa los textos.*desviaciones típicas.*packing=False"):
        f.check_packing(model, texts_of(ROWS), use_cache=use_cache)


def test_every_architecture_is_on_one_side():
    assert {*SEPARATE, *MIX} == set(CAUSAL) and not {*SEPARATE} & {*MIX}


def test_looking_at_packing_changes_nothing_and_needs_two_texts():
    model = build("gpt2").train()
    model.transformer.h[0].eval()
    before = [(name, module.training) for name, module in model.named_modules()]
    state = torch.get_rng_state()
    f.check_packing(model, texts_of(ROWS))  # con dropout, si no se apagara, ninguna cuenta saldría igual
    assert [(name, module.training) for name, module in model.named_modules()] == before
    assert torch.equal(torch.get_rng_state(), state)
    f.check_packing(build("opt"), texts_of(ROWS[:1]))
    with pytest.raises(ValueError, match="OPTForCausalLM"):
        f.check_packing(model := build("opt").train(), texts_of(ROWS))
    assert model.training


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_is_not_mixing(dtype):
    f.check_packing(build("llama", spread=12.0).to(dtype), texts_of(ROWS))
    with pytest.raises(ValueError, match="no separa"):
        f.check_packing(build("opt", spread=12.0).to(dtype), texts_of(ROWS))


def test_a_model_without_positions_is_refused():
    model = build("gpt2")
    original = model.forward
    model.forward = lambda input_ids, use_cache: original(input_ids=input_ids, use_cache=use_cache)
    with pytest.raises(ValueError, match=r"no admite textos empaquetados.*position_ids"):
        f.check_packing(model, texts_of(ROWS))


@pytest.mark.parametrize("options", [{}, {"lora_rank": 2}])
def test_build_trainer_refuses_to_mix(tokenizer, tmp_path, options):
    model = build("opt", vocab=4096)
    names = list(model.state_dict())
    with pytest.raises(ValueError, match="no separa los textos"):
        f.build_trainer(model, tokenizer, datasets(), output_dir=tmp_path, packing=True, **options)
    assert list(model.state_dict()) == names  # sin adaptadores a medias
    with pytest.raises(ValueError, match="no separa los textos"):
        f.build_trainer(small_model(), tokenizer, datasets(), output_dir=tmp_path, packing=True, use_cache=True)


# ---------------------------------------------------------------- Trainer
@pytest.fixture(scope="module")
def trained(tokenizer, tmp_path_factory):
    model = small_model()
    folder = tmp_path_factory.mktemp("con espacio y eñe ñ")
    trainer = f.build_trainer(model, tokenizer, datasets(), output_dir=folder, epochs=40, batch_size=4,
                              learning_rate=3e-2, patience=2, progress=False)  # fmt: skip
    trainer.train()
    return trainer, folder


def history(trainer):
    return [e["eval_nll"] for e in trainer.state.log_history if "eval_nll" in e]


def test_it_learns_and_keeps_the_best_epoch(trained, tokenizer):
    trainer, _ = trained
    curve = history(trainer)
    assert min(curve) < 0.7 * curve[0]
    if len(curve) < 40:  # se paró sola: las dos últimas no mejoraron
        assert min(curve[-2:]) >= min(curve)
    # el modelo que queda es el de la mejor época, y la cuenta es la de token_logprobs, texto a texto
    from course_utils.scoring import token_logprobs

    rows = f.tokenize(TEXTS[:3], tokenizer, max_length=64)["input_ids"]
    scores = [token_logprobs(trainer.model.eval(), torch.tensor([ids])) for ids in rows]
    mean = -sum(s.sum().item() for s in scores) / sum(s.numel() for s in scores)
    assert mean == pytest.approx(min(curve), abs=1e-4)


def test_early_stopping_stops_by_itself(tokenizer, tmp_path):
    """Con una validación que solo puede empeorar, para tras `patience` épocas y devuelve la primera."""
    unlike = ["zzz qqq xxx " * 6]
    trainer = f.build_trainer(small_model(), tokenizer, datasets(validation=unlike), output_dir=tmp_path, epochs=60,
                              batch_size=4, learning_rate=3e-2, patience=3, progress=False)  # fmt: skip
    trainer.train()
    curve = history(trainer)
    best = curve.index(min(curve))
    assert len(curve) == best + 1 + 3 < 60
    assert trainer.evaluate()["eval_nll"] == pytest.approx(min(curve), abs=1e-4)


def test_the_mean_does_not_depend_on_the_batch(tokenizer, tmp_path):
    values = []
    for size in (1, 2, 5):
        trainer = f.build_trainer(small_model(), tokenizer, datasets(validation=TEXTS), output_dir=tmp_path / str(size),
                                  batch_size=size, per_device_eval_batch_size=size, progress=False)  # fmt: skip
        values.append(trainer.evaluate()["eval_nll"])
    assert values == pytest.approx([values[0]] * 3, abs=1e-5)


@pytest.mark.parametrize("rows", [0.5, 3])
def test_a_large_vocabulary_is_evaluated_by_few_rows_and_gives_the_same(tokenizer, tmp_path, monkeypatch, rows):
    """Los logits de un lote no pasan de lo que se dice, o son los de una fila; la media no cambia."""
    seen = []

    def nll():
        options = {"output_dir": tmp_path, "batch_size": 4, "progress": False}
        trainer = f.build_trainer(small_model(), tokenizer, datasets(validation=TEXTS), **options)
        trainer.model.register_forward_hook(lambda module, args, output: seen.append(output.logits.numel()))
        return trainer.evaluate()["eval_nll"]

    whole = nll()
    assert len(seen) == 1  # las cinco, en un lote
    limit = int(seen.pop() / len(TEXTS) * rows)
    monkeypatch.setattr(f, "_EVAL_LOGITS", limit)
    assert nll() == pytest.approx(whole, abs=1e-5)
    assert len(seen) == (5 if rows < 1 else 2) and (rows < 1 or max(seen) <= limit)


def test_rows_of_a_batch_have_similar_lengths(tokenizer, tmp_path):
    texts = [("la vaca " * (1 + i % 12)).strip() for i in range(320)]
    trainer = f.build_trainer(small_model(), tokenizer, datasets(train=texts), output_dir=tmp_path, batch_size=8)
    assert isinstance(trainer._get_train_sampler(trainer.train_dataset), LengthGroupedSampler)
    batches = list(trainer.get_train_dataloader())
    real = sum(b["attention_mask"].sum().item() for b in batches)
    grouped = 1 - real / sum(b["attention_mask"].numel() for b in batches)
    lengths = trainer.train_dataset["length"]
    in_order = f.padding_share(lengths, [range(i, i + 8) for i in range(0, 320, 8)])
    assert grouped < 0.5 * in_order


def test_packed_training_learns(tokenizer, tmp_path):
    trainer = f.build_trainer(small_model(), tokenizer, datasets(), output_dir=tmp_path, epochs=8, batch_size=2,
                              learning_rate=6e-2, packing=True, progress=False)  # fmt: skip
    assert "position_ids" in trainer.train_dataset.column_names
    trainer.train()
    assert min(history(trainer)) < 0.7 * history(trainer)[0]


def test_same_seed_same_training(tokenizer, tmp_path):
    results = []
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        trainer = f.build_trainer(small_model(), tokenizer, datasets(), output_dir=tmp_path / name, epochs=1,
                                  batch_size=8, seed=seed, progress=False)  # fmt: skip
        trainer.train()
        results.append(history(trainer))
    assert results[0] == pytest.approx(results[1], abs=1e-6) and results[0] != pytest.approx(results[2], abs=1e-6)


def test_nothing_outside_changes(tokenizer, tmp_path):
    torch.manual_seed(7)
    before, mode = torch.get_rng_state(), tokenizer.padding_side
    f.tokenize(TEXTS, tokenizer, max_length=64)
    f.add_lora(small_model(), 4, seed=3)
    assert torch.equal(torch.get_rng_state(), before) and tokenizer.padding_side == mode


@pytest.mark.parametrize("name", ["llama", "gemma3", "opt", "bloom", "mpt", "mamba"])
def test_other_architectures_train_and_measure(tokenizer, tmp_path, name):
    """Con o sin ``max_position_embeddings``. La NLL de la validación, frente a la de cada texto solo."""
    model = build(name, vocab=4096)
    rows = f.tokenize(TEXTS[:3], tokenizer, max_length=64)["input_ids"]
    with torch.no_grad():
        losses = [model(input_ids=(ids := torch.tensor([row])), labels=ids, use_cache=False).loss for row in rows]
    expected = sum(loss.item() * (len(row) - 1) for loss, row in zip(losses, rows, strict=True))
    trainer = f.build_trainer(model, tokenizer, datasets(TEXTS), output_dir=tmp_path, epochs=np.int64(1),
                              batch_size=np.int64(2), learning_rate=np.float64(1e-2), patience=np.int64(1),
                              seed=np.int64(3), progress=False)  # fmt: skip
    assert trainer.evaluate()["eval_nll"] == pytest.approx(expected / sum(len(row) - 1 for row in rows), rel=1e-4)
    trainer.train()
    assert len(history(trainer)) == 1 and history(trainer)[0] < expected / sum(len(row) - 1 for row in rows)


def test_a_row_is_as_long_as_the_context_up_to_a_limit():
    assert f.row_length(build("gpt2")) == 48
    assert f.row_length(build("bloom")) == f.row_length(build("mamba")) == f.MAX_LENGTH == 1024
    config = build("llama").config
    config.max_position_embeddings = 131072
    assert f.row_length(type(build("llama"))(config)) == 1024


# ---------------------------------------------------------------- LoRA
def test_lora_trains_only_adapters_and_merges_exactly(tokenizer, tmp_path):
    base = small_model()
    frozen = {name: p.clone() for name, p in base.state_dict().items()}
    trainer = f.build_trainer(base, tokenizer, datasets(), output_dir=tmp_path / "t", epochs=12, batch_size=4,
                              learning_rate=3e-2, lora_rank=4, progress=False)  # fmt: skip
    names = [n for n, p in trainer.model.named_parameters() if p.requires_grad]
    assert names and all("lora_" in n for n in names)
    # rango 4 en cuatro matrices por capa: r · (entradas + salidas)
    expected = 2 * 4 * ((16 + 48) + (16 + 16) + (16 + 64) + (64 + 16))
    assert sum(p.numel() for p in trainer.model.parameters() if p.requires_grad) == expected
    trainer.train()
    assert min(history(trainer)) < 0.9 * history(trainer)[0]
    ids = torch.tensor([tokenizer("El pato y la vaca").input_ids])
    trainer.model.eval()
    with torch.no_grad():
        adapted = trainer.model(input_ids=ids).logits
        trainer.model.save_pretrained(tmp_path / "adaptador")
        merged = trainer.model.merge_and_unload()
        assert not torch.allclose(small_model().eval()(input_ids=ids).logits, adapted, atol=1e-2)
        torch.testing.assert_close(merged(input_ids=ids).logits, adapted, atol=1e-4, rtol=1e-4)
    for name, p in merged.state_dict().items():  # lo que no lleva adaptador no se ha movido
        if not name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            torch.testing.assert_close(p, frozen[name], atol=0, rtol=0)
    merged.save_pretrained(tmp_path / "entero")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "entero", use_safetensors=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=ids).logits, adapted, atol=1e-4, rtol=1e-4)
    assert not [p for p in (tmp_path / "adaptador").iterdir() if p.suffix in {".bin", ".pt", ".pth"}]


@pytest.mark.parametrize("name", [name for name in CAUSAL if name != "mamba"])
def test_lora_goes_in_every_matrix_but_the_last(name):
    model = build(name, spread=8.0)
    ids = torch.tensor(ROWS[:1])
    with torch.no_grad():
        base = model(input_ids=ids, use_cache=False).logits
    needed = f.bytes_needed(model, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # peft avisa si fan_in_fan_out no es el de las matrices
        adapted = f.add_lora(model, 2)
    trainable = {n: p for n, p in adapted.named_parameters() if p.requires_grad}
    assert trainable and all("lora_" in n and "lm_head" not in n and "embed_out" not in n for n in trainable)
    assert needed == 9 * sum(p.numel() * p.element_size() for p in trainable.values())
    assert len({n.split(".lora_")[0] for n in trainable}) >= 2 * 3  # en dos bloques, tres matrices o más
    with torch.no_grad():
        torch.testing.assert_close(adapted(input_ids=ids, use_cache=False).logits, base)  # B empieza en cero
        for n, p in trainable.items():
            p += 0.1 if "lora_B" in n else 0
        changed = adapted(input_ids=ids, use_cache=False).logits
        assert not torch.allclose(changed, base, atol=1e-3)
        merged = adapted.merge_and_unload()(input_ids=ids, use_cache=False).logits
    torch.testing.assert_close(merged, changed, atol=1e-3, rtol=1e-3)


def test_only_the_adapter_is_saved_and_the_disk_is_asked_only_for_it(tokenizer, tmp_path, monkeypatch):
    model = small_model()
    needed, whole = f.bytes_needed(model, 1), f.bytes_needed(model)
    assert needed < whole / 20
    usage = type(shutil.disk_usage(tmp_path))(total=10**9, used=0, free=whole // 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="MB libres y el entrenamiento necesita"):
        f.build_trainer(model, tokenizer, datasets(), output_dir=tmp_path / "entero")
    trainer = f.build_trainer(model, tokenizer, datasets(), output_dir=tmp_path / "lora", epochs=2, lora_rank=1,
                              progress=False)  # fmt: skip
    trainer.train()
    names = {p.name for p in (tmp_path / "lora").rglob("*.safetensors")}
    used = sum(p.stat().st_size for p in (tmp_path / "lora").rglob("*") if p.suffix in {".safetensors", ".pt"})
    assert names == {"adapter_model.safetensors"} and used <= needed + 2 * 40_000  # dos, con sus cabeceras


def test_an_adapted_model_is_as_light_as_one_to_adapt():
    assert f.bytes_needed(f.add_lora(small_model(), 3)) == f.bytes_needed(small_model(), 3)
    model = small_model()
    model.transformer.requires_grad_(False)  # todo se guarda; los momentos, solo de lo que se entrena: nada
    assert f.bytes_needed(model) == f.bytes_needed(model, save_only_model=True)


def test_lora_is_refused_whole_where_peft_cannot():
    model = build("mamba")
    names = list(model.state_dict())
    with pytest.raises(ValueError, match="No sé dónde poner LoRA en MambaForCausalLM"):
        f.add_lora(model, 4)
    assert list(model.state_dict()) == names and all(p.requires_grad for p in model.parameters())
    with pytest.raises(ValueError, match="no tiene matrices"):
        f.add_lora(GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=4, n_head=1, n_layer=0)), 4)
    with pytest.raises(ValueError, match="sin adaptadores todavía"):
        f.add_lora(f.add_lora(small_model(), 4), 4)


# ---------------------------------------------------------------- errores
class Untouchable(GPT2LMHeadModel):
    def forward(self, *args, **kwargs):
        raise AssertionError("se ha calculado algo antes de comprobar los argumentos")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"datasets": {"train": {"text": TEXTS}}}, "validation"),
        ({"datasets": TEXTS}, "particiones"),
        ({"epochs": 0}, "epochs.*es 0"),
        ({"epochs": float("nan")}, "epochs"),
        ({"batch_size": 2.5}, r"batch_size.*2\.5"),
        ({"batch_size": -1}, "batch_size.*-1"),
        ({"learning_rate": "mucha"}, "learning_rate.*mucha"),
        ({"patience": -2}, "patience"),
        ({"lora_rank": 0.5}, "rango de LoRA"),
        ({"lora_rank": 0}, "rango de LoRA.*es 0"),
        ({"batch_size": True}, "batch_size.*True"),
        ({"epochs": "3"}, "epochs.*'3'"),
        ({"patience": 0}, "patience.*es 0.*patience=None"),
        ({"seed": -1}, "seed.*-1"),
        ({"datasets": {"train": {"texto": TEXTS}, "validation": {"texto": TEXTS}}}, 'columna "text"'),
        ({"datasets": {"train": TEXTS, "validation": TEXTS}}, 'columna "text"'),
        ({"datasets": datasets(train=["", "algo"])}, "algo escrito"),
        ({"datasets": datasets(train=[])}, "al menos un texto"),
        ({"datasets": datasets(train=["algo", " \n"])}, "algo escrito"),
    ],
)
def test_mistakes_are_explained_before_training(tokenizer, tmp_path, options, message):
    model = Untouchable(small_model().config)
    arguments = {"datasets": datasets(), "output_dir": tmp_path / "t", **options}
    with pytest.raises(ValueError, match=message):
        f.build_trainer(model, tokenizer, **arguments)


@pytest.mark.parametrize("name", NOT_CAUSAL)
@pytest.mark.parametrize("call", ["build_trainer", "add_lora"])
def test_what_does_not_predict_the_next_token_is_refused(tokenizer, tmp_path, name, call):
    model = build(name)
    names = list(model.state_dict())
    with pytest.raises(ValueError, match="codificador"):
        if call == "add_lora":
            f.add_lora(model, 2)
        else:
            f.build_trainer(model, tokenizer, datasets(), output_dir=tmp_path / "t")
    assert list(model.state_dict()) == names and not (tmp_path / "t").exists()


def test_a_tokenizer_without_eos_is_refused(mini):
    bare = PreTrainedTokenizerFast(tokenizer_object=mini[1].backend_tokenizer)
    with pytest.raises(ValueError, match="no tiene EOS"):
        f.tokenize(TEXTS, bare, max_length=64)


@pytest.mark.parametrize("length", [2, 0, 2.5, True, None])
def test_too_short_a_length_is_refused(tokenizer, length):
    with pytest.raises(ValueError, match="max_length"):
        f.tokenize(TEXTS, tokenizer, max_length=length)


def test_an_unusable_folder_is_reported_first(tokenizer, tmp_path):
    (tmp_path / "fichero").write_text("no soy una carpeta")
    with pytest.raises(ValueError, match="No puedo escribir en"):
        f.build_trainer(small_model(), tokenizer, datasets(), output_dir=tmp_path / "fichero" / "t")


def test_several_processes_can_look_at_the_same_folder(tmp_path):
    """Con un nombre fijo, uno borraba la prueba del otro y le hacía creer que no podía escribir."""
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: f.check_output_dir(tmp_path / "t"), range(300))) == {tmp_path / "t"}
    assert not list((tmp_path / "t").iterdir())


def test_what_a_training_already_takes_is_not_asked_for_again(tmp_path, monkeypatch):
    usage = type(shutil.disk_usage(tmp_path))(total=10**9, used=10**9 - 1000, free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="necesita"):
        f.check_output_dir(tmp_path, needed=5000)
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-3" / "model.safetensors").write_bytes(b"x" * 4000)
    assert f.check_output_dir(tmp_path, needed=5000) == tmp_path
    with pytest.raises(ValueError, match="necesita"):
        f.check_output_dir(tmp_path, needed=5001)


def test_a_full_disk_is_reported_first(tokenizer, tmp_path, monkeypatch):
    usage = type(shutil.disk_usage(tmp_path))(total=10**9, used=10**9 - 1000, free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="quedan 0 MB libres y el entrenamiento necesita"):
        f.build_trainer(small_model(), tokenizer, datasets(), output_dir=tmp_path)


def test_the_space_asked_for_is_what_training_leaves(trained):
    trainer, folder = trained
    used = sum(file.stat().st_size for file in folder.rglob("*") if file.suffix in {".safetensors", ".pt"})
    needed = f.bytes_needed(trainer.model)
    assert used <= needed * 1.05 and math.isclose(used, needed * 2 / 3, rel_tol=0.1)


@pytest.mark.parametrize("rank", [0, -1, 2.5, True])
def test_a_strange_rank_is_refused(rank):
    with pytest.raises(ValueError, match="rango"):
        f.add_lora(small_model(), rank)


def test_lora_needs_the_matrices_of_gpt2():
    with pytest.raises(ValueError, match="No sé dónde poner LoRA en Linear"):
        f.add_lora(torch.nn.Linear(2, 2), 4)


# ---------------------------------------------------------------- la barra en español
def test_the_bar_counts_its_steps_and_writes_each_epoch_with_a_comma(monkeypatch):
    shown = []

    class Handle:
        def update(self, thing):
            shown.append((repr(thing), thing._repr_html_()))

    monkeypatch.setattr("IPython.display.display", lambda thing, display_id: Handle())
    bar = f.Progress("Los chistes")
    state = SimpleNamespace(max_steps=4, global_step=0, epoch=0.0)
    bar.on_train_begin(None, state, None)
    for step in range(1, 5):
        state.global_step, state.epoch = step, step / 2
        bar.on_step_end(None, state, None)
        if step % 2 == 0:
            bar.on_log(None, state, None, logs={"loss": 4.0 / step, "learning_rate": 0.1})
            bar.on_log(None, state, None, logs={"eval_loss": 3.456, "eval_runtime": 1.0})
    bar.on_train_end(None, state, None)
    last_text, last_html = shown[-1]
    assert last_text.splitlines()[0] == "Los chistes: 4 de 4 pasos"
    cells = [[cell.strip() for cell in line.split("|")] for line in last_text.splitlines()[1:]]
    assert cells == [["época", "entrenamiento", "validación"], ["1", "2,00", "3,46"], ["2", "1,00", "3,46"]]
    assert 'value="4" max="4"' in last_html and "1,00" in last_html
    before = len(shown)
    bar.on_log(None, state, None, logs={"eval_loss": 9.0})  # lo que se evalúe al acabar no es del entrenamiento
    assert len(shown) == before


@pytest.mark.parametrize(("steps", "drawn"), [(200, 50), (1000, 50), (7, 7)])
def test_the_bar_is_drawn_fifty_times_at_most_and_ends_full(monkeypatch, steps, drawn):
    shown = []
    handle = SimpleNamespace(update=lambda thing: shown.append(thing.done))
    monkeypatch.setattr("IPython.display.display", lambda thing, display_id: handle)
    bar, state = f.Progress(), SimpleNamespace(max_steps=steps, global_step=0)
    bar.on_train_begin(None, state, None)
    for step in range(1, steps + 1):
        state.global_step = step
        bar.on_step_end(None, state, None)
    assert len(shown) == drawn and shown[-1] == steps and shown == sorted(shown)


@pytest.mark.parametrize("notebook", [True, False])
@pytest.mark.parametrize("progress", [True, False])
def test_in_a_notebook_the_bar_is_ours_and_outside_theirs(tokenizer, tmp_path, monkeypatch, progress, notebook):
    monkeypatch.setattr("transformers.utils.import_utils.is_in_notebook", lambda: notebook)
    trainer = f.build_trainer(small_model(), tokenizer, datasets(), output_dir=tmp_path, progress=progress)
    ours = [isinstance(callback, f.Progress) for callback in trainer.callback_handler.callbacks]
    assert sum(ours) == (progress and notebook)
    assert trainer.args.disable_tqdm == (notebook or not progress)


@pytest.mark.parametrize(("rank", "rate"), [(None, 2e-4), (4, 5e-4)])
def test_the_default_rate_is_lower_for_the_whole_model(tmp_path, mini, rank, rate):
    texts = {name: Dataset.from_dict({"text": ["Uno.", "Dos."]}) for name in ("train", "validation")}
    model = copy.deepcopy(mini[0])  # LoRA lo cambia en su sitio
    trainer = f.build_trainer(model, mini[1], texts, output_dir=tmp_path, lora_rank=rank, progress=False)
    assert trainer.args.learning_rate == rate
