"""Reglas de los ejercicios de la sesión A3: aplicar las uniones de un tokenizador BPE y las cabezas causales."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import torch

from .rules import Rule, every, hinted, unchanged
from .values import Diagnosis, as_tensor, expect, show

FORBIDDEN = {"A3.2": {"torch._C._nn.scaled_dot_product_attention": "scaled_dot_product_attention"}}


# ---------------------------------------------------------------- ejercicio A3.1: uniones
def _pieces(received, pieces: list[str], expected: list[str]):
    """Que sean esos trozos, en una lista o en algo que se recorra igual."""
    given = f"con los trozos {show(pieces)}: "
    if isinstance(received, str):
        return Diagnosis(
            f"{given}{show(received)}, de tipo str; se esperaba la lista {show(expected)}",
            (
                "Devuelves un texto. Se pide la lista de trozos.",
                "Los trozos se unen de dos en dos; el resto se queda suelto en la lista.",
                "Devuelve la lista tal cual, sin join.",
            ),
        )
    if not isinstance(received, list | tuple | np.ndarray):
        return f"{given}{show(received)}, de tipo {type(received).__name__}; se esperaba la lista {show(expected)}"
    if not all(isinstance(piece, str) for piece in received):
        return Diagnosis(
            f"{given}{show(received)}; se esperaba {show(expected)}",
            (
                "Mira qué hay en tu lista: tiene que ser de textos.",
                "Unir es poner un texto detrás de otro: de «t» y «r» sale «tr».",
                "Es pair[0] + pair[1], y no la pareja ni su número.",
            ),
        )
    found = list(received)
    if found == expected:
        return None
    before, after = Counter("".join(pieces)), Counter("".join(found))
    for label, letters in (("falta", before - after), ("sobra", after - before)):
        if letters and pieces != expected:
            return Diagnosis(
                f"{given}{show(found)}, donde {label} «{''.join(letters.elements())}»; se esperaba {show(expected)}",
                (
                    "Junta tus trozos: tiene que salir lo mismo que había.",
                    "Mira qué pasa al final de la lista y justo después de unir: de los dos vecinos sale uno, y los "
                    "demás siguen como estaban.",
                    "Al unir en el puesto i, pieces[i : i + 2] se cambia por un solo trozo; el resto se copia.",
                ),
            )
    return f"{given}{show(found)}; se esperaba {show(expected)}"


def _joins(*cases: tuple[list[str], list[tuple[str, str]], list[str]]):
    """Trozos, uniones y lo que sale."""

    def test(answer):
        for pieces, merges, expected in cases:
            problem = _pieces(answer(list(pieces), list(merges)), list(pieces), expected)
            if problem is not None:
                return problem
        return None

    return test


TWISTER = [  # lo que se aprende del trabalenguas del cuaderno
    *[("Ġ", "t"), ("Ġt", "r"), ("e", "s"), ("Ġtr", "i"), ("s", "t"), ("g", "a"), ("r", "es"), ("Ġtr", "a")],
    *[("Ġtri", "st"), ("Ġtrist", "es"), ("a", "n"), ("b", "an")],
]


# ---------------------------------------------------------------- ejercicio A3.2: cabezas
def _random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _case(batch: int, length: int, size: int, heads: int) -> tuple:
    """q, k, v y heads. La última palabra llama la atención de todas: si alguna puede mirarla, se nota."""
    q, k, v = (_random(seed, batch, length, size) for seed in (1, 2, 3))
    q, k = q + 1.0, k.clone()
    k[:, -1] += 2.0
    return q, k, v, heads


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, cabezas, T, D / cabezas)


def _join(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


def _striped(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (-1, heads)).movedim(-1, 1)


def _cut(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.reshape(x.size(0), heads, x.size(1), -1)


def _attention(q, k, v, heads, split=_split, join=_join, **options):
    """Con la atención de PyTorch, que a quien contesta no se le deja usar."""
    parts = (split(part, heads) for part in (q, k, v))
    return join(torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=True, **options))


_IN_ROW = (
    "Las cabezas están bien. Mira cómo las vuelves a poner en fila.",
    "Tienes (B, cabezas, T, D / cabezas): antes de juntar las dos últimas, las cabezas van detrás de las palabras.",
    "mixed.transpose(1, 2).flatten(2)",
)
_SPLIT_HINTS = (
    "Mira qué números van a cada cabeza.",
    "Las tandas son seguidas: con D = 12 y 3 cabezas, la primera se lleva los números 0, 1, 2 y 3 de cada palabra.",
    "part.unflatten(-1, (heads, -1)).transpose(1, 2): primero se parte D, y después se cambian de sitio T y cabezas.",
)
_MIXED_UP = (
    "Mira qué hay en cada cabeza: ahí dentro se han mezclado palabras.",
    "Cambiar la forma no mueve los números: si de (B, T, D) pasas de golpe a (B, cabezas, T, …), cada cabeza se lleva "
    "trozos de unas palabras y no de otras.",
    _SPLIT_HINTS[2],
)
_LOOKS_LIKE = (  # errores que se conocen por su resultado
    (
        lambda q, k, v, heads: _attention(q, k, v, heads, scale=q.size(-1) ** -0.5),
        (
            "Las tandas están bien. Mira entre qué divides las notas.",
            "Se divide entre la raíz de lo que mide la tanda, D / cabezas, y no de D.",
            "Con las tandas ya hechas, q.size(-1) ** 0.5.",
        ),
    ),
    (lambda *case: _attention(*case, split=_split, join=lambda x: x.reshape(x.size(0), x.size(2), -1)), _IN_ROW),
    (lambda *case: _attention(*case, join=lambda x: x.permute(0, 2, 3, 1).flatten(2)), _IN_ROW),
    (lambda *case: _attention(*case, split=_striped, join=lambda x: x.permute(0, 2, 3, 1).flatten(2)), _SPLIT_HINTS),
    (lambda *case: _attention(*case, split=_striped), _SPLIT_HINTS),
    (lambda *case: _attention(*case, split=_cut, join=lambda x: x.reshape(x.size(0), x.size(2), -1)), _MIXED_UP),
    (lambda *case: _attention(*case, split=_cut), _MIXED_UP),
)


def _with(heads: int) -> str:
    return f"con {heads} cabeza{'s' * (heads > 1)}"


def _shaped(*cases: tuple):
    def test(answer):
        for case in cases:
            received, (batch, length, size), heads = answer(*copy.deepcopy(case)), case[0].shape, case[3]
            problem = expect(received, torch.zeros(batch, length, size))
            found = as_tensor(received)
            shape = () if found is None else tuple(found.shape)
            if shape == (batch, heads, length, size // heads):
                return Diagnosis(
                    f"forma {shape}, {_with(heads)}; se esperaba {(batch, length, size)}",
                    (
                        "Las cabezas siguen separadas. Falta ponerlas otra vez en fila.",
                        _IN_ROW[1],
                        _IN_ROW[2],
                    ),
                )
            text = problem.received if isinstance(problem, Diagnosis) else problem
            if text is not None and "se esperaba un tensor" in text:
                return f"{_with(heads)}: {text}"
        return None

    return test


def _blind(answer):
    """Que nadie mire al futuro: la primera solo se ve a sí misma, y lo que se cambie detrás no cambia lo de antes."""
    case = _case(1, 5, 6, 1)
    before = as_tensor(answer(*copy.deepcopy(case)))
    if before.isnan().any():
        return Diagnosis(
            f"nan en lo que devuelves: {show(before[0, 0])} en la fila 0",
            (
                "Hay nan en lo que devuelves. Mira qué le queda por mirar a la primera palabra.",
                "Cada palabra se ve a sí misma: la diagonal no se tapa. Y −∞ por cero es nan: no multipliques.",
                "El futuro es torch.ones(T, T).triu(1), con el 1, y se tapa con masked_fill.",
            ),
        )
    for place in range(1, 5):
        q, k, v, heads = copy.deepcopy(case)
        q[:, place], k[:, place], v[:, place] = -q[:, place], 3.0, 5.0
        after = as_tensor(answer(q, k, v, heads))
        for row in range(place):
            if expect(after[0, row], before[0, row]) is not None:
                return f"al cambiar la palabra {place}, cambia la fila {row}, que va antes"
    problem = expect(before[0, 0], case[2][0, 0])
    return f"en la fila 0, que solo se ve a sí misma: {problem}" if problem else None


def _equal(*cases: tuple):
    def test(answer):
        for case in cases:
            problem = expect(received := answer(*copy.deepcopy(case)), _attention(*case))
            if problem is None:
                continue
            batch, length, size = case[0].shape
            where = f"{_with(case[3])}, B = {batch}, T = {length} y D = {size}: "
            text = where + (problem.received if isinstance(problem, Diagnosis) else problem)
            looks = (hints for wrong, hints in _LOOKS_LIKE if case[3] > 1 and expect(received, wrong(*case)) is None)
            hints = next(looks, None)
            return Diagnosis(text, hints) if hints else text
        return None

    return test


_FORMULA = (
    "Con una sola cabeza es la atención de siempre. Compárala con la fórmula, factor por factor.",
    "Cada consulta por cada clave, entre la raíz de lo que mide la tanda; softmax, y mezcla de los valores.",
    "scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5, y después scores.softmax(-1) @ v, con el futuro tapado.",
)

EXERCISES: dict[str, tuple[Rule, ...]] = {
    "A3.1": (
        Rule(
            "Une una pareja y devuelve la lista de trozos",
            _joins(
                (list("un trigal"), [("r", "i")], [*"un t", "ri", *"gal"]),
                (list("olé"), [("l", "é")], ["o", "lé"]),
                (list("tren"), [("t", "r")], ["tr", "e", "n"]),
            ),
            (
                "Prueba con una palabra y una sola pareja, y mira qué devuelves.",
                "Donde estaban los dos vecinos queda un solo trozo, que es uno detrás de otro; lo demás no cambia.",
                "El trozo nuevo es pair[0] + pair[1], y ocupa el sitio de los dos.",
            ),
        ),
        Rule(
            "La une allí donde aparezca, de izquierda a derecha",
            _joins(
                (list("trastrocar"), [("t", "r")], ["tr", "a", "s", "tr", *"ocar"]),
                (list("arte"), [("t", "r")], list("arte")),
                (list("jajaja"), [("a", "j")], ["j", "aj", "aj", "a"]),
                (list("aaa"), [("a", "a")], ["aa", "a"]),
                (list("aaaaa"), [("a", "a")], ["aa", "aa", "a"]),
            ),
            (
                "Mira cuántas veces sale la pareja, en qué orden va y quién se la lleva cuando se pisan.",
                "Una pareja tiene orden: «t» y «r» no es «r» y «t». Y en «aaa», los dos primeros se unen y el tercero "
                "se queda suelto.",
                "Recorre los trozos de izquierda a derecha: si el último que guardaste y este son la pareja, únelos; "
                "si no, guárdalo.",
            ),
        ),
        Rule(
            "Sigue uniendo lo ya unido",
            _joins(
                (list("tres"), [("t", "r"), ("e", "s"), ("tr", "es")], ["tres"]),
                (list("aaaaa"), [("a", "a"), ("aa", "aa")], ["aaaa", "a"]),
                (list("trigo"), [("t", "r"), ("tr", "i"), ("tri", "g")], ["trig", "o"]),
            ),
            (
                "Mira si queda alguna pareja de las aprendidas en lo que devuelves.",
                "Al unir salen trozos nuevos, que también tienen vecinos: hay que volver a buscar en la lista nueva.",
                "Un while que busque las parejas en los trozos de ahora, y acabe cuando no haya ninguna.",
            ),
        ),
        Rule(
            "Primero, la pareja que se aprendió antes",
            every(
                _joins(
                    (list("abc"), [("b", "c"), ("a", "b")], ["a", "bc"]),
                    (list("abcabab"), [("b", "c"), ("a", "b")], ["a", "bc", "ab", "ab"]),
                    (list("bca"), [("c", "a"), ("b", "c")], ["b", "ca"]),
                    (list("cab"), [("c", "a"), ("a", "b")], ["ca", "b"]),
                    (list("abcd"), [("a", "b"), ("c", "d"), ("b", "c"), ("ab", "c")], ["ab", "cd"]),
                    (list("Ġtristestres"), TWISTER, ["Ġtristes", "t", "res"]),
                    (list("Ġtrigales"), TWISTER, ["Ġtri", "ga", "l", "es"]),
                    (list("Ġtraban"), TWISTER, ["Ġtra", "ban"]),
                ),
                hinted(
                    _joins((["ab", "c", "a", "bc"], [("a", "bc")], ["ab", "c", "abc"])),
                    "Aquí los trozos no son letras sueltas. Mira con qué comparas cada pareja.",
                    "«ab» y «c» no son «a» y «bc», aunque juntos digan lo mismo.",
                    "Compara las dos partes: (pieces[i], pieces[i + 1]) == pair.",
                ),
            ),
            (
                "Mira qué pareja unes primero cuando hay dos que se disputan un trozo.",
                "No manda cuál sale antes en el texto, ni cuántas veces, ni cuál es más larga: manda el puesto en "
                "merges.",
                "rank = {pair: k for k, pair in enumerate(merges)}, y de las que haya, min(found, key=rank.get).",
            ),
        ),
        Rule(
            "Vale también cuando no hay nada que unir",
            _joins(
                (list("ñu"), [], ["ñ", "u"]),
                (list("ñu"), [("u", "ñ")], ["ñ", "u"]),
                (["ñ"], [("ñ", "u")], ["ñ"]),
                ([], [("ñ", "u")], []),
            ),
            (
                "Prueba sin uniones, sin trozos y con un solo trozo.",
                "Sin parejas que unir se devuelve lo que había, en una lista.",
                "Pregunta si hay alguna antes de buscar la menor, o de mirar el primer trozo.",
            ),
            symptoms=(ValueError, IndexError, KeyError, TypeError, StopIteration),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("pieces", "merges", case=(list("tres tristes"), [("t", "r"), ("e", "s"), ("tr", "es")])),
            (
                "Imprime lo que recibe tu función antes y después de llamarla.",
                "pieces es la lista de quien te llama: si la cambias, también cambia fuera.",
                "Empieza con pieces = list(pieces), que es otra lista.",
            ),
        ),
    ),
    "A3.2": (
        Rule(
            "Devuelve un tensor (B, T, D)",
            _shaped(_case(1, 5, 6, 1), _case(1, 5, 12, 3)),
            (
                "Mira la forma de lo que devuelves, .shape, con una cabeza y con tres.",
                "Sale lo que entra: un vector de D números por palabra, en el que van todas las cabezas en fila.",
                "Acaba con return mixed.transpose(1, 2).flatten(2), y nada más.",
            ),
        ),
        Rule(
            "Nadie mira al futuro",
            _blind,
            (
                "Mira la primera palabra: solo se ve a sí misma, y tiene que llevarse su valor entero.",
                "Lo que viene después se tapa con −∞ antes del softmax; la fila es quien mira, y la columna, a quién. "
                "Softmax reparte por columnas: cada fila suma 1.",
                "future = torch.ones(T, T, dtype=torch.bool).triu(1), y scores.masked_fill(future, "
                "float('-inf')).softmax(-1) @ v.",
            ),
        ),
        Rule("Con una cabeza, es la atención de producto", _equal(_case(1, 5, 6, 1), _case(1, 4, 4, 1)), _FORMULA),
        Rule(
            "Con varias cabezas, cada una mira por su cuenta",
            _equal(_case(1, 5, 12, 3), _case(1, 6, 8, 4)),
            (
                "Con una cabeza sale bien. Mira cómo repartes los D números y cómo los juntas.",
                _SPLIT_HINTS[1],
                _SPLIT_HINTS[2],
            ),
            symptoms=(RuntimeError, ValueError, IndexError),
        ),
        Rule(
            "Vale para lotes y para cualquier tamaño",
            every(
                _equal(_case(2, 3, 6, 2), _case(3, 4, 8, 4)),
                hinted(
                    _equal(_case(2, 1, 4, 2), _case(2, 3, 3, 3), _case(1, 2, 2, 2)),
                    "Prueba con una sola palabra, y con tandas de un solo número.",
                    "Toma los tamaños de lo que recibes, y no quites dimensiones que midan 1.",
                ),
            ),
            (
                "Prueba con dos textos en el lote: cada uno, con lo suyo.",
                "La primera dimensión es el lote, y no se toca. Toma todos los tamaños de lo que recibes.",
                "B, T, D = q.shape, y traspón solo las dos últimas dimensiones de k, k.transpose(-2, -1).",
            ),
            symptoms=(RuntimeError, ValueError, IndexError),
        ),
        Rule(
            "No modifica lo que recibe",
            unchanged("q", "k", "v", case=_case(2, 4, 6, 2)),
            (
                "Imprime q, k y v antes y después de llamar a tu función.",
                "Las operaciones como /= y las que acaban en guion bajo cambian el tensor que reciben.",
                "Usa las que hacen otro: q / x en vez de q /= x.",
            ),
        ),
    ),
}
