"""Lo que viaja entre quien juzga y la respuesta: vuelve igual, y lo que no es un dato no se ejecuta."""

import collections
import socket
import struct
import threading
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from course_utils.checks.values import as_tensor, show
from course_utils.grade import wire


def travel(value):
    """El valor, después de pasar por un canal de verdad."""
    one, two = socket.socketpair()
    writer = wire.Writer()
    message = ({"value": writer.write(value)}, writer.tensors)
    with one, two:
        thread = threading.Thread(target=wire.send, args=(one, message))
        thread.start()
        tree, tensors = wire.receive(two)
        thread.join()
    return wire.Reader(tensors).read(tree["value"])


class Named(list):
    pass


Text, Number, Table = type("Text", (str,), {}), type("Number", (float,), {}), type("Table", (dict,), {})

Pair = collections.namedtuple("Pair", "a b")
PLAIN = [
    *(
        None,
        True,
        3,
        -(10**60),
        1.5,
        float("inf"),
        "ñandú\n",
        "",
        ...,
        2 + 3j,
        Fraction(1, 3),
        Decimal("0.10"),
        range(3),
    ),
    *([], [1, [2.0, None, "x"]], (1, (2,)), {1, 2}, {"a": [1], 2: None}, {(1, "a"): 0}, Named([1, 2]), Pair(1, 2)),
    *(np.str_("ñ"), Text("a"), Number(0.5), Table(a=[Text("b")]), False, 0, -0.0, Decimal("-Infinity")),
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values_come_back_the_same(value):
    found = travel(value)
    assert found == value and type(found).__name__ == type(value).__name__ and show(found) == show(value)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_tensors_come_back_bit_by_bit(dtype, shape):
    value = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3).to(dtype)
    found = travel(value)
    assert found.dtype == dtype and found.shape == value.shape and torch.equal(found, value)


def test_tensors_keep_whether_they_want_a_gradient_and_views_do_not_matter():
    value = torch.arange(6.0).view(2, 3).t().requires_grad_()
    found = travel([value, value[0], value.detach().expand(4, 3, 2)])
    assert found[0].requires_grad and torch.equal(found[0], value) and torch.equal(found[2][3], value)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3)[:, ::-1],
        np.array(3),
        np.float32(1.5),
        np.bool_(True),
        np.array(["á", "bc"]),
        np.array([1, 2], dtype=np.uint16),
        np.array([], dtype=np.int64),
    ],
    ids=repr,
)
def test_arrays_come_back_the_same(value):
    found = travel(value)
    assert type(found) is type(value) and found.dtype == value.dtype and np.array_equal(found, value)


def test_complex_tensors_come_back_and_those_of_a_strange_kind_are_looked_at():
    value = torch.tensor([[1 + 2j, 3j]])
    assert torch.equal(travel(value), value) and torch.equal(travel(value.conj()), value.conj())
    assert isinstance(travel(torch.tensor([1], dtype=torch.uint16)), wire.Opaque)
    assert torch.equal(travel(torch.eye(2).to_sparse()), torch.eye(2))
    assert not travel(torch.tensor([1.0])).requires_grad


def test_an_array_of_things_keeps_its_shape():
    for value in (np.array([["a", None], [1, 2.5]], dtype=object), np.array([["á", "b"]]), np.array(["x"] * 3)):
        found = travel(value)
        assert found.tolist() == value.tolist() and found.dtype == value.dtype and found.shape == value.shape


def test_what_is_not_data_is_carried_by_somebody_else_and_its_name_is_cut():
    long = type("A" * 100, (), {"__repr__": lambda self: "x" * 500})()
    tree = wire.Writer().write(long)
    assert tree == {"is": "object", "name": "A" * 80, "shown": show(long)}
    assert repr(wire.Reader({}).read({"is": "object", "name": "A\0b", "shown": "x" * 500})) == "x" * 400
    assert type(wire.Reader({}).read({"is": "list", "of": [], "name": 3})) is list
    other = lambda writer, value: {"is": "mine", "of": len(writer.tensors)} if value is long else None  # noqa: E731
    assert wire.Writer(other).write([torch.ones(1), long])["of"][1] == {"is": "mine", "of": 1}
    assert wire.Reader({}, lambda reader, tree: tree["of"]).read({"is": "mine", "of": 1}) == 1
    with pytest.raises(wire.Broken, match="un 'mine'"):
        wire.Reader({}).read({"is": "mine", "of": 1})


def test_what_reads_as_an_array_still_does():
    found = travel(pd.Series([1.0, 2.0], name="x"))
    assert torch.equal(as_tensor(found), torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert type(found).__name__ == "Series" and len(found) == 2 and found[1] == 2.0


def test_an_object_is_seen_and_cannot_be_called():
    found = travel(torch.softmax)
    assert not callable(found) and show(found) == show(torch.softmax)
    assert type(found).__name__ == type(torch.softmax).__name__


def test_impossible_objects_are_only_looked_at():
    class Yes:
        __class__ = torch.Tensor

        def __getattr__(self, name):
            return self

        def __call__(self, *arguments, **options):
            return self

        def __eq__(self, other):
            return True

        __hash__ = None

    assert isinstance(travel(Yes()), wire.Opaque) and isinstance(travel([Yes()])[0], wire.Opaque)


def test_what_does_not_fit_is_not_sent():
    deep = []
    for _ in range(40):
        deep = [deep]
    assert travel(deep) == deep  # hasta el tope, cabe
    column = pd.Series([None], dtype=object)
    column[0] = column  # una columna que se contiene
    with pytest.raises(wire.TooBig):
        wire.Writer().write(column)
    for kind in (list, tuple, lambda x: {0: x[0]}):
        with pytest.raises(wire.TooBig):
            wire.Writer().write(kind([deep]))


@pytest.mark.parametrize(
    ("fits", "not_"),
    [
        ([0] * 199_999, [0] * 200_000),  # con la lista
        (dict.fromkeys(range(99_999), 0), dict.fromkeys(range(100_000), 0)),
        ("x" * 10**6, "x" * (10**6 + 1)),
    ],
    ids=["lista", "diccionario", "texto"],
)
def test_the_limits_of_what_is_sent(fits, not_):
    wire.Writer().write(fits)
    with pytest.raises(wire.TooBig):
        wire.Writer().write(not_)


def test_the_limits_of_what_is_received():
    tree = lambda n: {"is": "list", "of": [0] * n}  # noqa: E731
    assert len(wire.Reader({}).read(tree(399_999))) == 399_999
    with pytest.raises(wire.Broken, match="demasiados elementos"):
        wire.Reader({}).read(tree(400_000))
    for shape in ((2**25, 0), (0, 2**25), (1,)):
        wire.Reader({"0": torch.empty(shape)})
    for shape in ((2**25 + 1, 0), (0, 2, 2**24 + 1)):
        with pytest.raises(wire.Broken, match="un tensor imposible"):
            wire.Reader({"0": torch.empty(shape)})


def test_a_number_with_too_many_figures_is_only_looked_at():
    assert travel(2**9999 - 1) == 2**9999 - 1
    assert isinstance(travel(2**9999), wire.Opaque)


@pytest.mark.parametrize("figures", [2000, 2001])
def test_a_fraction_with_too_many_figures_is_only_looked_at(figures):
    for value in (Fraction(10 ** (figures - 1) + 1, 3), Decimal("1" * figures), Decimal("0." + "1" * figures)):
        found = travel(value)
        assert (found == value) if figures == 2000 else isinstance(found, wire.Opaque)


def test_nothing_bigger_than_thirty_two_megas_is_received():
    for head, body in ((2**25, 1), (1, 2**25), (2**25 + 1, 0)):
        one, two = socket.socketpair()
        with one, two:
            one.sendall(struct.pack("<II", head, body))
            with pytest.raises(wire.Broken, match=f"un mensaje de {2**25 + 1} bytes"):
                wire.receive(two)
    one, two = socket.socketpair()
    with two:
        with one:
            one.sendall(struct.pack("<II", 2**25, 0))
        with pytest.raises(wire.Broken, match="se ha cortado"):
            wire.receive(two)


@pytest.mark.parametrize("way", ["mandar", "recibir"])
@pytest.mark.parametrize(("error", "seen"), [(TimeoutError(), TimeoutError), (OSError(32, "roto"), wire.Broken)])
def test_if_the_other_side_is_late_it_is_not_that_it_is_gone(way, error, seen):
    class Channel:
        def fail(self, *_):
            raise error

        sendall = recv = fail

    with pytest.raises(seen) as found:
        wire.send(Channel(), ([], {})) if way == "mandar" else wire.receive(Channel())
    assert seen is TimeoutError or "roto" in str(found.value)


def test_a_message_fits_up_to_the_byte(monkeypatch):
    message = ["hola"], {"0": torch.arange(3)}
    size = len('["hola"]') + len(wire.pack(message[1]))
    one, two = socket.socketpair()
    with one, two:
        monkeypatch.setattr(wire, "MAX_BYTES", size)
        wire.send(one, message)
        tree, tensors = wire.receive(two)
        assert tree == message[0] and torch.equal(tensors["0"], message[1]["0"])
        wire.send(one, message)
        monkeypatch.setattr(wire, "MAX_BYTES", size - 1)
        with pytest.raises(wire.Broken, match=f"un mensaje de {size} bytes"):
            wire.receive(two)
        with pytest.raises(wire.TooBig, match=f"{size} bytes; caben {size - 1}"):
            wire.send(one, message)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"xx",
        struct.pack("<II", 2**31, 0),
        struct.pack("<II", 2, 0) + b"{]",
        struct.pack("<II", 2, 9) + b"{}" + b"\xff" * 9,
        struct.pack("<II", 200_000, 0) + b"[" * 200_000,
    ],
)
def test_noise_in_the_channel_is_an_error_and_nothing_else(raw):
    one, two = socket.socketpair()
    with two:
        one.sendall(raw)
        one.close()
        with pytest.raises(wire.Broken):
            wire.receive(two)


@pytest.mark.parametrize(
    "tree",
    [
        [1],
        {"is": "tensor", "of": "7"},
        {"is": "object"},
        {"is": "model"},
        {"is": "dict", "of": [[{"is": "list", "of": []}, 1]]},
        {"is": "cells", "of": [1], "shape": [9], "dtype": "<U1"},
        {"is": "Fraction", "of": "1/0"},
        {"is": "Fraction", "of": "1e999999999"},
        {},
    ],
    ids=str,
)
def test_a_tree_that_is_not_one_is_an_error_and_nothing_else(tree):
    if tree == {"is": "object"}:
        with pytest.raises(wire.Broken):
            wire.Reader({}).read({"is": "list", "of": [{"is": "nada"}]})
    else:
        with pytest.raises(wire.Broken):
            wire.Reader({}).read(tree)


def test_a_tensor_of_nothing_and_endless_rows_is_refused():
    with pytest.raises(wire.Broken):
        wire.Reader({"0": torch.empty(2**40, 0)})


def test_changes_in_place_reach_the_same_object():
    tensor, array, rows, named = torch.zeros(2), np.zeros(2), [[1], [2]], {"a": 1}
    case = (tensor, array, rows, (tensor, rows))
    wire.copy_into(tensor, torch.tensor([1.0, 2.0, 3.0]).requires_grad_())
    wire.copy_into(array, np.ones(2))
    wire.copy_into(rows, [[3]])
    wire.copy_into(named, {"b": 2})
    assert case[0].tolist() == [1, 2, 3] and tensor.requires_grad and array.tolist() == [1, 1]
    assert case[3][1] == [[3]] and named == {"b": 2}


KINDS = {
    "tensor": lambda n: torch.tensor([1.0, n]),
    "matriz": lambda n: np.array([1.0, n]),
    "lista": lambda n: [1, n],
    "diccionario": lambda n: {"a": n},
    "tupla": lambda n: ([1, n], 2),
    "número": lambda n: n,
}


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_an_answer_changes_in_place_is_changed_in_the_same_object(kind, other):
    """Y si lo cambia por algo de otra clase, lo que había se queda como estaba."""
    original, untouched = KINDS[kind](2), KINDS[kind](2)
    inside = original[0] if kind == "tupla" else None
    wire.copy_into(original, KINDS[other](3))
    expected = KINDS[kind](3) if kind == other != "número" else untouched
    assert str(original) == str(expected)
    assert inside is None or inside is original[0]


def test_an_array_of_another_shape_is_not_copied():
    original = np.zeros(2)
    wire.copy_into(original, np.ones(1))  # np.copyto lo repetiría
    assert original.tolist() == [0, 0]
