"""El motor de las comprobaciones: enseñar y comparar valores, culpas, bucles sin fin, pistas por orden y limpieza."""

import functools
import itertools
import math
import random
import sys
import threading
from collections import OrderedDict
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from answers import published, session_01
from hypothesis import given
from hypothesis import strategies as st

from course_utils import checks
from course_utils.checks import errors, running, values
from course_utils.checks.rules import Rule, agrees, counted, toy_model, unchanged
from course_utils.checks.running import Answer, Endless, Stopped, undisturbed
from course_utils.checks.values import Diagnosis, as_tensor, expect, show

BLAME = "un error al ejecutar tu código"


class Hostile:
    """Un objeto que no se deja ni mirar."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __call__(self, *args, **kwargs):
        raise KeyError("no")

    __repr__ = __eq__ = __bool__ = __iter__ = __len__ = __float__ = __call__
    __hash__ = None


LOOPED = [1]
LOOPED.append(LOOPED)
ODD = [
    None,
    3,
    -1.5,
    math.nan,
    10**5000,
    1e300,
    True,
    2 + 3j,
    "hola" * 100,
    b"bytes",
    [1, "a", None],
    [[1], [2, 3]],
    LOOPED,
    {},
    {"a": 1},
    {1, 2},
    (i for i in "abc"),
    print,
    int,
    lambda: 0,
    functools.partial(print, 1),
    torch,
    Hostile(),
    [Hostile()],
    np.array(["a", None]),
    np.datetime64("2024-01-01"),
    np.float32(0.1),
    np.zeros((0, 3)),
    torch.ones(2, 3, 4, 5, 6),
    torch.tensor(math.inf),
    torch.empty(0),
    torch.ones(3, requires_grad=True),
    torch.ones(2, 2).to_sparse(),
    torch.ones(2, device="meta"),
    torch.tensor([1 + 2j]),
    torch.ones(2, dtype=torch.bfloat16),
]


# ---------------------------------------------------------------- enseñar
@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_show_says_something_short_of_anything(value):
    assert 0 < len(show(value)) <= values.LONGEST


def test_what_fits_is_shown_whole_and_the_rest_is_cut():
    class Shown:
        def __repr__(self):
            return "x" * self.size

    thing = Shown()
    for size, text in ((160, "x" * 160), (161, "x" * 159 + "…")):
        thing.size = size
        assert show(thing) == text


@given(st.recursive(st.none() | st.floats() | st.integers() | st.text(), lambda x: st.lists(x) | st.tuples(x, x)))
def test_show_never_fails_with_nested_data(value):
    assert isinstance(show(value), str) and len(show(value)) <= values.LONGEST


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.3333"),
        (3.0, "3.0"),
        (-2.0, "-2.0"),
        (7, "7"),
        (True, "True"),
        (1e30, "1e+30"),
        (-math.inf, "-inf"),
        ("a'b", '"a\'b"'),
        ((1, 2.5), "(1, 2.5)"),
        (torch.tensor([[0.12345, -math.inf]]), "[[0.1235, -inf]]"),
        (torch.tensor(2.5), "2.5"),
        (np.float64(0.1), "0.1"),
        (np.arange(3), "[0, 1, 2]"),
        (torch.zeros(2, 3, 4), "un tensor de forma (2, 3, 4) que empieza por 0.0, 0.0, 0.0, 0.0…"),
        (list(range(20)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, …]"),
        (OrderedDict(a=1, b=2), "un diccionario con las claves a, b"),
        (math.log, "la función log"),
        (int, "la clase int"),
        (Hostile(), "un objeto de tipo Hostile"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_show_is_readable(value, text):
    assert show(value) == text


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor], ids=lambda kind: kind.__name__)
def test_up_to_sixteen_numbers_are_shown_whole(kind):
    sixteen, seventeen = (show(kind(range(n))) for n in (16, 17))
    inside = ", ".join(map(str, range(16)))
    assert sixteen.strip("[()]") == inside
    rest = (
        "un tensor de forma (17,) que empieza por 0, 1, 2, 3…" if kind in (np.array, torch.tensor) else f"{inside}, …"
    )
    assert seventeen.strip("[]") == rest or seventeen.strip("()") == rest
    wrong = torch.zeros(16), torch.zeros(17)
    assert expect(kind([1] * 16), wrong[0]) == f"{show(kind([1] * 16))}; se esperaba {show(wrong[0])}"
    assert expect(kind([1] * 17), wrong[1]).startswith("en la casilla (0,), ")
    shape = " o una lista de forma (1,)"
    for n, said in ((16, show(kind([1] * 16))), (17, "números")):
        assert expect(kind([1] * n), torch.zeros(1)) == f"{said}, de forma ({n},); se esperaba un tensor{shape}"


@pytest.mark.parametrize(("received", "expected"), [(0.123451, 0.123449), (1 + 3e-4, 1.0), (0.1, 0.10002)])
def test_as_many_figures_as_it_takes_to_see_the_difference(received, expected):
    shown = expect(received, expected) or f"{received}; se esperaba {expected}"
    one, two = shown.split("; se esperaba ")
    assert one != two and (float(one), float(two)) == pytest.approx((received, expected), rel=1e-6)


@pytest.mark.parametrize(("off", "fits"), [(1.0e-4, True), (1.2e-4, False), (-1.0e-4, True), (-1.2e-4, False)])
def test_a_ten_thousandth_is_the_same_and_near_zero_a_hundred_thousandth(off, fits):
    for dtype in (torch.float64, torch.float32):
        assert (expect(torch.tensor(10 * (1 + off), dtype=dtype), 10.0) is None) == fits
        assert (expect(torch.tensor(off / 10, dtype=dtype), 0.0) is None) == fits
    assert expect(torch.tensor(10 * (1 + off), dtype=torch.float16), 10.0) is None  # no llega a verlo


# ---------------------------------------------------------------- comparar
TWO = torch.tensor([[0.25, 0.75], [1.0, -math.inf]])


@pytest.mark.parametrize(
    "value",
    [
        TWO,
        TWO.double(),
        TWO.half(),
        TWO.bfloat16(),
        TWO.clone().requires_grad_(),
        TWO.numpy(),
        TWO.tolist(),
        tuple(map(tuple, TWO.tolist())),
        list(TWO),
        [list(row) for row in TWO.numpy()],
        TWO.to_sparse(),
        TWO + 1e-6,
        [[Fraction(1, 4), Decimal("0.75")], [1, -math.inf]],
    ],
)
def test_the_same_values_are_accepted_in_any_type(value):
    assert expect(value, TWO) is None


@pytest.mark.parametrize(
    "value", [2, 2.0, np.int64(2), np.float16(2), Fraction(2), torch.tensor([[2]]), [2.0], Decimal(2)]
)
def test_any_number_is_a_number(value):
    assert expect(value, 2) is None and expect(value, 2.0) is None


@pytest.mark.parametrize(
    ("value", "expected", "fragment"),
    [
        (TWO * 1.001, TWO, "se esperaba [[0.25, 0.75], [1.0, -inf]]"),
        (TWO[0], TWO, "de forma (2,)"),
        (TWO[:1], TWO, "de forma (1, 2)"),
        (TWO[None], TWO, "de forma (1, 2, 2)"),
        (TWO.nan_to_num(neginf=-1e30), TWO, "-1e+30"),
        (torch.full_like(TWO, math.nan), TWO, "nan"),
        (TWO.to(torch.complex64), TWO, "se esperaba un tensor o una lista"),
        ("0.25", 0.25, "de tipo str; se esperaba un número"),
        (True, 1, "de tipo torch.bool"),
        ([1, 2], 1, "de forma (2,); se esperaba un número"),
        (1.0001, 1.0, None),
        (1.001, 1.0, "1.001; se esperaba 1.0"),
        (1.00012, 1.0, "1.00012; se esperaba 1.0"),
        (2000.1, 2000.0, None),
        (2001.0, 2000.0, "2001.0; se esperaba 2000.0"),
        (0.000005, 0.0, None),
        (0.0001, 0.0, "0.0001"),
        (np.array([1.0, 1.01], dtype="float16"), [1.0, 1.0], "1.01"),
        (torch.arange(20), torch.arange(20).roll(1), "en la casilla (0,), 0; se esperaba 19"),
    ],
)
def test_other_values_are_not(value, expected, fragment):
    assert (fragment is None and expect(value, expected) is None) or fragment in str(expect(value, expected))


def test_the_type_counts_when_the_statement_fixes_it():
    ids = torch.tensor([[3, -100]])
    for same in (ids, ids.int(), ids.to(torch.int8)):
        assert expect(same, ids, integers=True, tensor=True) is None
    for other in (ids.float(), ids.bool()):
        received, hints = expect(other, ids, integers=True)
        assert "se esperaban enteros" in received and hints == values.INTEGER_HINTS
    for other in (ids.tolist(), ids.numpy()):
        assert "se esperaba un tensor de forma (1, 2)" in expect(other, ids, tensor=True)


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_comparing_anything_never_fails(value):
    assert expect(value, TWO) is not None
    assert as_tensor(value) is None or isinstance(as_tensor(value), torch.Tensor)


# ---------------------------------------------------------------- de quién es el error
@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("exercise", checks.EXERCISES)
def test_an_odd_answer_or_result_is_told_without_blame(exercise, value, capsys):
    for answer in (value, lambda *arguments: value):
        checks.check(exercise, answer)
        out = capsys.readouterr().out
        assert "pendiente" in out if answer is None else "❌" in out and "Pista: " in out
        assert checks.OUR_FAULT[0] not in out
        assert BLAME not in out or callable(value)  # la que se llama y falla es la suya


def broken_rule(answer):
    return 1 / 0


def broken_reading(answer):
    return answer(1).append(0)


@pytest.mark.parametrize("test", [broken_rule, broken_reading])
def test_an_error_of_ours_is_not_put_on_the_student(test, monkeypatch, capsys):
    monkeypatch.setitem(checks.EXERCISES, "0.0", (Rule("Nuestra regla", test, ("Pista nuestra",)),))
    checks.check("0.0", lambda t: t)
    out = capsys.readouterr().out
    assert "❌ Nuestra regla" in out and BLAME not in out and "Pista nuestra" not in out
    assert "no he sabido comprobar" in out and "Avisa a quien mantiene el curso" in out and "resuelto" not in out


def fails_on_its_third_line(t):
    a = t + 1
    return a / (t - t)


def fails_inside_a_helper(t):
    return 1 + fails_on_its_third_line(t)


@torch.no_grad()
def fails_decorated(t):
    return {}[t]


@pytest.mark.parametrize(
    ("function", "fragments"),
    [
        (fails_on_its_third_line, ["con (4)", "en la línea 3 de fails_on_its_third_line, «return a / (t - t)»: Zero"]),
        (fails_inside_a_helper, ["en la línea 3 de fails_on_its_third_line"]),
        (fails_decorated, ["en la línea 3 de fails_decorated, «return {}[t]»: KeyError: 4"]),
        (functools.partial(fails_on_its_third_line), ["en la línea 3 de"]),
        (lambda t: torch.ones(2) @ torch.ones(t), ["en la línea 1 de tu función", "RuntimeError"]),
        (lambda: 3, ["TypeError", "takes 0 positional arguments"]),
        (eval("lambda t: t.nada"), ["en la línea 1 de tu función: AttributeError"]),
        (sys.exit, ["SystemExit: 4"]),
    ],
)
def test_an_error_of_theirs_says_its_line(function, fragments):
    with pytest.raises(Stopped) as stop:
        Answer(function)(4)
    received, hints = stop.value.diagnosis
    assert received.startswith(BLAME) and all(fragment in received for fragment in fragments), received
    assert hints == (errors.explain(stop.value.error),)


def test_the_call_is_shown_only_when_it_is_short():
    for arguments, shown in (((2, "a "), " con (2, 'a ')"), ((torch.ones(1),), ""), ((["a" * 50] * 3,), "")):
        with pytest.raises(Stopped) as stop:
            Answer(lambda *a: 1 / 0)(*arguments)
        assert f"{BLAME}{shown}, en la" in stop.value.diagnosis.received


def test_nothing_returned_is_told():
    with pytest.raises(Stopped) as stop:
        Answer(lambda t: None)(4)
    assert stop.value.diagnosis == Diagnosis("None con (4) (¿falta el return?)", running.NOTHING_HINTS)


def test_the_value_without_the_function_is_told(capsys):
    checks.check("2.1", torch.ones(2))
    out = capsys.readouterr().out
    assert "se esperaba tu función" in out and "sin llamarla" in out and BLAME not in out


def undefined():
    return missing  # noqa: F821


def too_early():
    total += 1  # noqa: F821, F841


def forever_down(n=0):
    return forever_down(n + 1)


ids = torch.ones(2, 5, dtype=torch.long)


@pytest.mark.parametrize(
    ("mistake", "fragment"),
    [
        (undefined, "El nombre «missing» no existe"),
        (too_early, "«total» se usa antes"),
        (lambda: importlib_missing(), "«importlib_missing»"),  # noqa: F821
        (lambda: __import__("nadie"), "Falla un import"),
        (lambda: None.shape, "algo que vale None"),
        (lambda: ids.sotfmax(-1), "Un objeto de tipo Tensor no tiene «sotfmax»"),
        (lambda: torch.sotfmax, "torch no tiene «sotfmax»"),
        (lambda: fails_on_its_third_line(), "Faltan argumentos en una llamada: 't'"),
        (lambda: undefined(1), "admite 0 argumentos y recibe 1"),
        (lambda: undefined(a=1), "ningún argumento «a»"),
        (lambda: 1 + "a", "La operación + no existe entre int y str"),
        (lambda: ids.shape(0), "no se llama"),
        (lambda: list(3), "no tiene elementos"),
        (lambda: undefined[0], "no los admite"),
        (lambda: len(3), "no tiene longitud"),
        (lambda: ODD["a"], "son enteros"),
        (lambda: range(2.5), "Ahí hace falta un entero"),
        (lambda: {[1]}, "usa una tupla"),
        (lambda: [1] + (2,), "Se mezclan tipos"),
        (lambda: "a" + 1, "Se mezclan tipos"),
        (lambda: ~ids.float(), "~ solo niega"),
        (lambda: torch.cat([1, 2]), "alguno no lo es"),
        (lambda: torch.softmax([1.0], -1), "no admite esos argumentos"),
        (lambda: [][0], "Un índice se sale"),
        (lambda: ""[-1], "Un índice se sale"),
        (lambda: ids[:, 9], "El índice 9 se sale: la dimensión 1 mide 5"),
        (lambda: ids.sum(2), "no tiene la dimensión 2"),
        (lambda: ids[0, 0, 0], "más índices que dimensiones tiene el tensor, 2"),
        (lambda: ids[torch.ones(3, 5).bool()], "no tiene la forma"),
        (lambda: torch.nn.Embedding(1, 2)(ids), "se sale del vocabulario"),
        (lambda: {"a": 1}["b"], "no tiene la clave 'b'"),
        (lambda: 1 / 0, "trata ese caso aparte"),
        (lambda: math.log(0), "mayores que 0"),
        (lambda: (lambda a, b: a)(*[1]), "Faltan argumentos"),
        (lambda: [a for a, b in [(1,)]], "cuéntalos"),
        (lambda: [1].index(2), "Buscas 2"),
        (lambda: max([]), "lista vacía"),
        (lambda: torch.tensor([[1, 2, 3], [4]]), "una de 3 y otra de 1"),
        (forever_down, "se llama a sí misma"),
        (lambda: torch.ones(2, 3) @ torch.ones(2, 3), "las formas (2, 3) y (2, 3)"),
        (lambda: torch.ones(2, 3) + torch.ones(2, 4), "los tamaños 3 y 4 en la dimensión 1"),
        (lambda: torch.ones(1, 2, 3) @ torch.ones(1, 2, 3), "No casan las formas de lo que multiplicas"),
        (lambda: torch.cat([ids, ids[0]], 1), "un tensor de 2 dimensiones con otro de 1"),
        (lambda: torch.cat([ids, ids[:1]], 1), "por la dimensión 1"),
        (lambda: ids.view(3, 4), "10 números no caben en la forma [3, 4]"),
        (lambda: ids[None].float().gather(-1, ids), "tantas dimensiones"),
        (lambda: ids.float().gather(1, ids.repeat(2, 1)), "No casan las formas"),
        (lambda: ids.expand(2, 7), "No casan las formas"),
        (lambda: ids.topk(6), "topk pide más"),
        (lambda: 1 if ids else 0, "un solo sí o no"),
        (lambda: ids.item(), "el tensor tiene 10"),
        (lambda: ids.masked_fill(ids, 0), "tiene que ser booleana"),
        (lambda: torch.ones(2, requires_grad=True).numpy(), "lleva gradiente"),
        (lambda: torch.ones(2, 2) @ torch.ones(2, 2).double(), "No casan los tipos"),
        (lambda: ids.softmax(-1), "No casan los tipos"),
        (lambda: torch.nn.Embedding(9, 2)(ids.float()), "No casan los tipos"),
        (lambda: torch.ones(2, device="meta") + torch.ones(2, 1), "dispositivos distintos"),
        (lambda: chr(-1), errors.UNKNOWN),
    ],
)
def test_the_usual_errors_are_explained_in_spanish(mistake, fragment):
    """Con los errores de verdad de esta versión de Python y de PyTorch, por si cambian sus mensajes."""
    with pytest.raises(Exception) as error:
        mistake()
    assert fragment in errors.explain(error.value)


# ---------------------------------------------------------------- bucles sin fin
def spins(*arguments):
    while True:
        pass


def counts(*arguments):
    return [i for i in itertools.count() if i < 0]


def yields(*arguments):
    def forever():
        while True:
            yield 1

    return sum(forever())


def helper_spins(*arguments):
    return spins()


def swallows(*arguments):
    while True:
        try:
            sum(())
        except Exception:
            continue


ENDLESS = [spins, counts, yields, helper_spins, swallows, functools.partial(spins, 1), torch.no_grad()(spins)]


@pytest.mark.parametrize("exercise", checks.EXERCISES)
def test_an_endless_loop_is_stopped_in_any_exercise(exercise, capsys):
    checks.check(exercise, spins)
    out = capsys.readouterr().out
    assert (
        "un bucle que no termina" in out and "en la línea" in out and BLAME not in out and "condición de salida" in out
    )
    assert sys.gettrace() is None


@pytest.mark.parametrize("function", ENDLESS)
def test_any_endless_loop_is_stopped(function):
    with pytest.raises(Stopped, match="un bucle que no termina") as stop:
        Answer(function)(1)
    assert stop.value.diagnosis.hints == running.ENDLESS_HINTS and sys.gettrace() is None


def test_a_loop_is_stopped_also_outside_the_main_thread():
    told = []

    def work():
        try:
            Answer(spins)(1)
        except Stopped as stop:
            told.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(120)
    assert len(told) == 1


def test_long_but_finite_loops_are_left_to_finish():
    def long(lines):
        for _ in range(lines // 2 - 2):
            pass
        return "hecho"

    assert Answer(long)(running.MAX_LINES) == "hecho"
    with pytest.raises(Stopped, match="no termina"):
        Answer(long)(2 * running.MAX_LINES)


def test_library_code_does_not_count():
    def heavy():
        for _ in range(10):
            torch.testing.assert_close(torch.ones(300), torch.ones(300))
        return random.sample(range(10**6), 10 * running.MAX_LINES)[0] >= 0

    assert Answer(heavy)()


def test_a_debugger_keeps_its_trace():
    seen = []

    def debugger(frame, event, arg):
        if frame.f_code is fails_on_its_third_line.__code__:
            seen.append(event)
        return debugger

    sys.settrace(debugger)
    try:
        with pytest.raises(Stopped):
            Answer(fails_on_its_third_line)(4)
        assert sys.gettrace() is debugger and "line" in seen
    finally:
        sys.settrace(None)


def test_the_model_counts_its_calls_however_it_is_called():
    model, lengths = counted()
    one, three = torch.tensor([[1]]), torch.tensor([[1, 2, 3]])
    model(three), model(input_ids=one), model.forward(three), model.transformer(one), model.base_model(three)
    assert lengths == [3, 1, 3, 1, 3]
    with pytest.raises(Endless):
        while True:
            model(one)


def test_an_interruption_is_not_swallowed():
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.check("2.1", interrupted)
    assert sys.gettrace() is None


# ---------------------------------------------------------------- pistas por orden
@pytest.fixture
def toy(monkeypatch):
    rules = (
        Rule("Es un 1", agrees(lambda t: 1, (0,)), ("uno, dónde", "uno, qué", "uno, cómo"), (ZeroDivisionError,)),
        Rule("Y no cambia", unchanged("t", case=([1],)), ("dos, dónde", "dos, cómo")),
    )
    monkeypatch.setitem(checks.EXERCISES, "0.0", rules)
    monkeypatch.setitem(checks.EXERCISES, "0.1", rules)
    monkeypatch.setattr(checks, "_failures", checks.Counter())


def hint(capsys, exercise, answer):
    checks.check(exercise, answer)
    out = capsys.readouterr().out
    assert "resuelto" not in out and "casi" in out
    return out.split("Pista: ")[1].split("\n")[0], "la siguiente pista dirá más" in out


def vandal(t):
    if t:
        t.append(0)
    return 1


def test_hints_say_more_each_time(toy, capsys):
    wrong = [hint(capsys, "0.0", lambda t: 2) for _ in range(4)]
    assert wrong == [("uno, dónde", True), ("uno, qué", True), ("uno, cómo", False), ("uno, cómo", False)]
    assert [hint(capsys, "0.0", vandal) for _ in range(3)] == [
        ("dos, dónde", True),
        ("dos, cómo", False),
        ("dos, cómo", False),
    ]
    assert hint(capsys, "0.1", lambda t: 2) == ("uno, dónde", True)  # cada ejercicio lleva su cuenta


def test_strict_gives_the_last_hint_and_does_not_count(toy, capsys):
    for _ in range(3):
        with pytest.raises(AssertionError, match="Pista: uno, cómo"):
            checks.check("0.0", lambda t: 2, strict=True)
    assert hint(capsys, "0.0", lambda t: 2) == ("uno, dónde", True)


def test_an_error_in_the_code_gets_its_explanation_and_not_the_rules_hint(toy, capsys):
    explanation = errors.explain(NameError("name 'missing' is not defined"))
    for _ in range(3):
        assert hint(capsys, "0.0", lambda t: undefined()) == (explanation, False)
    assert hint(capsys, "0.0", lambda t: 1 / t) == ("uno, dónde", True)  # salvo el que la regla busca
    assert hint(capsys, "0.0", lambda t: 2) == ("uno, qué", True)


def test_a_wrong_answer_that_passes_one_rule_is_not_solved(toy, capsys):
    checks.check("0.0", vandal)
    out = capsys.readouterr().out
    assert "✅ Es un 1\n❌ Y no cambia\n   He recibido: t cambiado a [1, 0]\n" in out and "resuelto" not in out
    checks.check("0.0", lambda t: 1)
    assert capsys.readouterr().out == "✅ Es un 1\n✅ Y no cambia\n¡Ejercicio 0.0 resuelto!\n"


def test_unknown_exercise_lists_the_known_ones():
    for exercise in ("9.9", 2.1, None, ["2.1"]):
        with pytest.raises(ValueError, match=r"No conozco el ejercicio .*2\.1"):
            checks.check(exercise, None)


# ---------------------------------------------------------------- sin dejar huella
def random_state():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


def test_a_careless_answer_spoils_neither_the_notebook_nor_the_next_check(capsys):
    before = random_state()
    careless = session_01.fill_breaking_things
    for _ in range(2):
        checks.check("1.4", careless, strict=True)

    def careless_with_everything(*arguments):
        for x in arguments:
            if isinstance(x, torch.Tensor):
                x.zero_()
            elif isinstance(x, torch.nn.Module):
                torch.nn.init.zeros_(next(x.train().parameters()))
            elif isinstance(x, list):
                x.clear()
        random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return 0

    for exercise in checks.EXERCISES:
        checks.check(exercise, careless_with_everything)
    after = random_state()
    assert before == after
    assert torch.get_default_dtype() is torch.float32 and torch.is_grad_enabled()
    for session in ("01", "02", "03", "04", "05"):
        for exercise, answer in published(session).items():
            checks.check(exercise, answer, strict=True)


def test_what_the_notebook_has_set_does_not_change_the_check():
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), torch.device("meta"):
            for exercise, answer in {**published("01"), **published("02"), **published("05")}.items():
                checks.check(exercise, answer, strict=True)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_undisturbed_restores_even_after_an_error():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), undisturbed():
        torch.rand(1)
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        raise ZeroDivisionError
    assert torch.equal(state, torch.get_rng_state()) and torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()


# ---------------------------------------------------------------- los puntos
def test_points_follow_the_rules_and_count_no_attempt(capsys):
    def with_logits_changed(logits, t):
        logits /= t
        return logits.softmax(-1)

    rules = len(checks.EXERCISES["2.1"])
    passed = sum(one.received is None for one in checks.review("2.1", with_logits_changed))
    assert 0 < passed < rules
    checks._failures.clear()
    assert checks.points("2.1", lambda logits, t: (logits / t).softmax(-1)) == 2
    assert checks.points("2.1", with_logits_changed) == int(passed >= rules / 2)
    assert [checks.points("2.1", wrong) for wrong in (lambda logits, t: logits, 3, ..., None)] == [0, 0, 0, 0]
    assert capsys.readouterr().out == "" and not checks._failures
    with pytest.raises(ValueError, match="No conozco el ejercicio"):
        checks.points("99.1", ...)


@pytest.mark.parametrize(("met", "worth"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)])
def test_half_of_the_rules_are_worth_a_point(met, worth, monkeypatch):
    rules = [
        checks.Rule(f"regla {i}", lambda answer, i=i: None if i < met else "otra cosa", ("pista",)) for i in range(4)
    ]
    monkeypatch.setitem(checks.EXERCISES, "0.1", tuple(rules))
    assert checks.points("0.1", lambda: 1) == worth


# ---------------------------------------------------------------- modelos de juguete
def test_a_counted_model_answers_sixty_times_and_is_another():
    original = toy_model()
    twin, lengths = counted()
    ids = torch.zeros(2, 3, dtype=torch.long)
    for _ in range(60):
        found = twin(ids).logits
    with pytest.raises(Endless, match="un bucle que no termina: el modelo ya va por 60 llamadas"):
        twin(ids)
    assert lengths == [3] * 60 and torch.equal(found, original(ids).logits) and not found.requires_grad
    assert twin is not original and all(p.requires_grad for p in original.parameters())


def test_the_toy_model_is_always_the_same_and_never_touches_the_dice():
    state = torch.get_rng_state()
    model = toy_model.__wrapped__()
    assert torch.equal(state, torch.get_rng_state()) and not model.training
    assert all(map(torch.equal, model.parameters(), toy_model().parameters()))
