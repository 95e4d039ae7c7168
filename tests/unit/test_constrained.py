"""Lo que deja pasar ``json_only`` se puede terminar siempre, y lo terminado es JSON del esquema."""

import functools
import json
import operator
import random
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import decoding
from course_utils.constrained import Grammar, Number, Text, calculate, json_only, token_bytes
from course_utils.models import load_model

EXAMPLE = {"etiqueta": ["positiva", "negativa"], "estrellas": Number(1), "motivo": Text(20), "seguro": bool}

keys = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=4)
leaves = st.one_of(
    st.just(bool),
    st.lists(keys, min_size=1, max_size=4, unique=True),
    st.builds(Text, st.integers(1, 5), st.none() | st.just("01+ ")),
    st.builds(Number, st.integers(1, 4), st.integers(0, 2), st.booleans()),
)
schemas = st.recursive(
    st.dictionaries(keys, leaves, min_size=1, max_size=3),
    lambda inner: st.dictionaries(keys, leaves | inner, min_size=1, max_size=3),
    max_leaves=4,
)


def fits(value, schema) -> bool:
    """¿Es del esquema? Escrito aparte: mira valores de Python, no bytes."""
    if isinstance(schema, dict):
        return (
            isinstance(value, dict) and list(value) == list(schema) and all(fits(value[k], schema[k]) for k in schema)
        )
    if schema is bool:
        return isinstance(value, bool)
    if isinstance(schema, list):
        return value in schema
    if isinstance(schema, Text):
        return isinstance(value, str) and len(value) <= schema.longest and set(value) <= set(schema.only or value)
    text = json.dumps(value)
    whole, _, rest = text.lstrip("-").partition(".")
    return (
        not isinstance(value, bool)
        and isinstance(value, int | float)
        and (schema.negative or not text.startswith("-"))
        and len(whole) <= schema.digits
        and (not rest or rest == "0" or len(rest) <= schema.decimals)
    )


@pytest.fixture(scope="module")
def mini():
    return load_model("decoder", "mini")


# ---------------------------------------------------------------- el autómata
@settings(max_examples=150, deadline=None)
@given(schema=schemas, seed=st.integers(0, 10**6))
def test_any_walk_can_be_finished_and_what_is_finished_is_json_of_the_schema(schema, seed):
    grammar, rng, state, text = Grammar(schema), random.Random(seed), None, b""
    state = grammar.start
    while state != grammar.end:
        byte = rng.choice([k for k in range(256) if grammar.table[state, k] >= 0])  # sin ninguno, falla
        text, state = text + bytes([byte]), int(grammar.table[state, byte])
    assert len(text) <= grammar.longest and fits(json.loads(text.decode("utf-8")), schema)


@settings(max_examples=60, deadline=None)
@given(schema=schemas)
def test_nothing_follows_the_end_and_every_state_leads_to_it(schema):
    grammar = Grammar(schema)
    reaches = {grammar.end}
    for state in range(1, len(grammar.table)):
        targets = {int(t) for t in grammar.table[state, :256] if t >= 0}
        assert targets <= reaches, "un estado solo lleva a otros hechos antes, que ya llegan al final"
        reaches |= {state}
    assert all(grammar.walk(bytes([byte]), grammar.end) is None for byte in range(256))


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='"\\'), max_size=6))
def test_any_text_that_fits_is_accepted_and_its_longer_version_is_not(text):
    grammar = Grammar({"a": Text(6)})
    assert grammar.walk(json.dumps({"a": text}, ensure_ascii=False).encode()) == grammar.end
    assert grammar.walk(json.dumps({"a": text + "x" * (7 - len(text))}, ensure_ascii=False).encode()) is None


@pytest.mark.parametrize("broken", [b'\xc3"', b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\n", b"\\"])
def test_broken_utf8_and_what_json_forbids_are_stopped(broken):
    assert Grammar({"a": Text(9)}).walk(b'{"a": "' + broken) is None


def test_a_text_takes_byte_by_byte_what_python_reads_as_utf8():
    """Cada primer byte con cada segundo y, detrás de los segundos del borde, cada tercero y cada cuarto."""
    grammar = Grammar({"a": Text(9)})
    inside, seen = grammar.walk(b'{"a": "'), 0

    def reads(data: bytes) -> bool:
        try:
            return all(letter >= " " and letter not in '"\\' for letter in data.decode("utf-8"))
        except UnicodeDecodeError:
            return False

    def valid(data: bytes) -> bool:  # o lo es ya o lo es con lo que falte de su último carácter
        return any(reads(data + tail * k) for k in range(4) for tail in (b"\x80", b"\xbf"))

    def explore(data: bytes, deep: int) -> None:
        nonlocal seen
        alive = [byte for byte in range(256) if valid(data + bytes([byte]))]
        quote = [ord('"')] if reads(data) else []  # las comillas, solo entre caracteres, acaban el texto
        state = grammar.walk(data, inside)
        assert [byte for byte in range(256) if grammar.table[state, byte] >= 0] == sorted(alive + quote), data
        seen += 1
        for byte in (alive[-100:] if deep == 3 else {alive[0], alive[-1]}) if deep else ():
            explore(data + bytes([byte]), deep - 1)

    explore(b"", 3)
    assert seen > 300


@settings(max_examples=100, deadline=None)
@given(digits=st.integers(1, 3), decimals=st.integers(0, 2), negative=st.booleans(), text=st.text("0123.-", max_size=6))
def test_a_number_is_the_one_of_the_pattern(digits, decimals, negative, text):
    sign, tail = "-?" if negative else "", rf"(\.\d{{1,{decimals}}})?" if decimals else ""
    wanted = re.fullmatch(rf"{sign}(0|[1-9]\d{{0,{digits - 1}}}){tail}", text) is not None
    grammar = Grammar({"a": Number(digits, decimals, negative)})
    assert (grammar.walk(f'{{"a": {text}}}'.encode()) == grammar.end) is wanted


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({}, "al menos una clave"),
        ({1: bool}, "que sean textos"),
        ([], "textos distintos"),
        (["a", "a"], "textos distintos"),
        ({"a": int}, "dict, lista de textos, bool, Text o Number"),
        ({"a": None}, "None"),
        (Number(2), "no puede ir solo"),
    ],
)
def test_a_schema_that_is_none_is_said(schema, said):
    with pytest.raises(ValueError, match=said):
        Grammar(schema)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Text(0),
        lambda: Text(3, only=""),
        lambda: Text(3, only='a"'),
        lambda: Text(3, only="ñ"),
        lambda: Number(0),
        lambda: Number(2, -1),
    ],
)
def test_sizes_and_letters_that_are_not_are_said(make):
    with pytest.raises(ValueError, match=r"debe|admite|caben|vacío"):
        make()


# ---------------------------------------------------------------- los tokens
@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.integers(5, 4095), min_size=1, max_size=12))
def test_the_bytes_of_the_tokens_are_those_of_the_text(ids):
    _, tokenizer = load_mini()
    joined = b"".join(token_bytes_mini()[k] for k in ids)
    assert joined.decode("utf-8", errors="replace") == tokenizer.decode(ids, clean_up_tokenization_spaces=False)


@functools.cache
def load_mini():
    return load_model("decoder", "mini")


@functools.cache
def token_bytes_mini():
    return token_bytes(load_mini()[1])


def test_the_bytes_of_a_tokenizer_like_that_of_gemma():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    texts = {"▁casas": " casas", "ñ": "ñ", "▁▁": "  ", "\n": "\n", "<a": "<a", "a>": "a>", "<0x0A": "<0x0A"}
    wanted = {piece: text.encode() for piece, text in texts.items()}
    wanted |= {f"<0x{byte:02X}>": bytes([byte]) for byte in range(256)}
    wanted |= dict.fromkeys(["<unk>", "<s>", "<start_of_turn>", "<b>"])
    backend = Tokenizer(models.BPE({p: k for k, p in enumerate(wanted)}, [], unk_token="<unk>", byte_fallback=True))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>")
    assert dict(zip(wanted, token_bytes(tokenizer), strict=True)) == wanted


def test_the_mask_is_the_one_of_trying_every_token(mini):
    """A lo bruto: un token vale si lo escrito con él sigue siendo el principio de algo."""
    _, tokenizer = mini
    small = {"tono": ["sí", "no"], "motivo": Text(3), "n": Number(1)}
    grammar, pieces, rng = Grammar(small), token_bytes(tokenizer), random.Random(0)
    transform, ids = json_only(grammar, tokenizer, 0), []
    for _ in range(200):
        found = transform(torch.zeros(1, 4096), torch.tensor([ids]).long())[0] > -1
        written = b"".join(pieces[k] for k in ids)
        valid = [k for k, data in enumerate(pieces) if data and grammar.walk(written + data) is not None]
        assert found.nonzero()[:, 0].tolist() == (valid or [tokenizer.eos_token_id])
        if not valid:
            break
        ids.append(rng.choice(valid))
    assert fits(json.loads(tokenizer.decode(ids)), small)


def test_a_letter_may_come_in_two_halves(mini):
    _, tokenizer = mini
    halves = [token_bytes(tokenizer).index(bytes([byte])) for byte in "ñ".encode()]
    start = tokenizer('{"a": "', add_special_tokens=False).input_ids
    transform = json_only({"a": Text(1)}, tokenizer, 0)
    whole = transform(torch.zeros(1, 4096), torch.tensor([start]))[0]
    assert whole[halves[0]] == 0 and whole[halves[1]] == -torch.inf  # la segunda mitad no puede ir delante
    after = transform(torch.zeros(1, 4096), torch.tensor([[*start, halves[0]]]))[0]
    valid = [token_bytes(tokenizer)[k] for k in (after > -1).nonzero()[:, 0].tolist()]
    assert after[halves[1]] == 0 and all(0x80 <= data[0] <= 0xBF for data in valid)


# ---------------------------------------------------------------- con el modelo
SETTINGS = {
    "templado": [decoding.temperature(0.5)],
    "tal cual": [],
    "delirante": [decoding.temperature(5.0)],
    "núcleo": [decoding.temperature(1.5), decoding.top_p(0.7)],
    "pocas": [decoding.top_k(2)],
}


@pytest.mark.slow
@pytest.mark.parametrize("filters", SETTINGS.values(), ids=SETTINGS)
def test_a_hundred_of_a_hundred_are_json(mini, filters):
    model, tokenizer = mini
    grammar = Grammar({"tono": ["sí", "no"], "m": Text(5), "n": Number(2)})
    ids = tokenizer(["Opinión: ¡qué rico el ñoqui!\nJSON: "] * 100, return_tensors="pt").input_ids
    select = functools.partial(decoding.sample, generator=torch.Generator().manual_seed(0))
    out = decoding.generate(
        model, ids, transforms=[json_only(grammar, tokenizer, ids.size(1)), *filters], select=select,
        max_new_tokens=grammar.longest + 1, eos_token_id=0, pad_token_id=1, attention_mask=torch.ones_like(ids),
    )  # fmt: skip
    for row in out.new_ids:
        assert fits(json.loads(tokenizer.decode(row, skip_special_tokens=True)), grammar.schema)


def test_the_beams_are_json_too(mini):
    model, tokenizer = mini
    grammar = Grammar({"etiqueta": ["sí", "no", "no lo sé"], "n": Number(2)})
    ids = tokenizer(["Hola.\nJSON: ", "Adiós.\nJSON: "], return_tensors="pt", padding=True, padding_side="left")
    width = ids.input_ids.size(1)
    out = decoding.beam_search(
        model, ids.input_ids, attention_mask=ids.attention_mask, num_beams=4, num_return_sequences=4,
        transforms=[json_only(grammar, tokenizer, width)], max_new_tokens=grammar.longest + 1,
        eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    texts = [tokenizer.decode(row, skip_special_tokens=True) for row in out.new_ids]
    assert len(texts) == 8 and all(fits(json.loads(text), grammar.schema) for text in texts)


def test_a_filter_in_front_may_leave_nothing(mini):
    """La razón de que vaya la primera."""
    model, tokenizer = mini
    ids = tokenizer("Había una vez", return_tensors="pt").input_ids
    transforms = [decoding.top_k(1), json_only({"a": bool}, tokenizer, ids.size(1))]
    with pytest.raises(ValueError, match="no tiene ningún token posible"):
        decoding.generate(model, ids, transforms=transforms, select=decoding.sample, max_new_tokens=4, eos_token_id=0)


def test_it_is_a_transform_like_the_others(mini):
    _, tokenizer = mini
    logits, ids = torch.randn(3, 4096), torch.tensor([[9, 9]] * 3)
    before, transform = (logits.clone(), ids.clone()), json_only(EXAMPLE, tokenizer, 2)
    found = transform(logits, ids)
    assert torch.equal(logits, before[0]) and torch.equal(ids, before[1])
    alive = found > -torch.inf
    assert found.shape == (3, 4096) and torch.equal(found[alive], logits[alive])
    with pytest.raises(ValueError, match="ya no puede ser un JSON"):
        json_only(EXAMPLE, tokenizer, 0)(logits, ids)
    with pytest.raises(ValueError, match="prompt_length"):
        json_only(EXAMPLE, tokenizer, -1)


# ---------------------------------------------------------------- la calculadora
trees = st.recursive(
    st.integers(0, 99).map(lambda n: (str(n), n)),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda t: (
            f"({t[0][0]} {t[1]} {t[2][0]})",
            {"+": operator.add, "-": operator.sub, "*": operator.mul}[t[1]](t[0][1], t[2][1]),
        )
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(trees)
def test_a_sum_is_what_it_was_built_to_be(tree):
    assert calculate(tree[0]) == tree[1]


def test_divisions_and_signs():
    assert calculate("7 / 2") == 3.5 and calculate("-3 + 1") == -2 and calculate(" 2*(3+4) ") == 14


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "2 ** 9", "__import__('os')", "abs(3)", "'a' * 9", "True", "x", "(1, 2)", "1 if 1 else 2", "[1][0]",
     "9" * 300, "(" * 190, "1 / 0", "1 // 2", "3 4", None],
)  # fmt: skip
def test_what_is_not_a_sum_is_not_run(text):
    with pytest.raises(ValueError, match=r"cuenta|entre cero"):
        calculate(text)
