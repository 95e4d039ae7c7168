"""Salida con forma: una transformación que solo deja pasar JSON válido de un esquema.

    esquema  →  autómata de bytes  →  qué tokens pueden seguir  →  (logits (B, V), ids (B, T)) → (B, V)

Los tokens se miran byte a byte, así que da igual que un token traiga dos llaves, media palabra o media eñe. Todo lo que
se deja escribir se puede terminar, y todo lo terminado es JSON del esquema: eso es lo que prueban ``tests/unit``. Se
enseña en la sesión 08. Es una versión pequeña de lo que hacen Outlines, XGrammar, llguidance o lm-format-enforcer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from weakref import WeakKeyDictionary

import numpy as np
import torch

from ._validate import is_count, require
from .decoding import Transform

_DIGITS = b"0123456789"
_UTF8 = (  # primer byte y rangos de los siguientes: los caracteres válidos de 2, 3 y 4 bytes (Unicode 15, tabla 3-7)
    ((0xC2, 0xDF), (0x80, 0xBF)),
    ((0xE0, 0xE0), (0xA0, 0xBF), (0x80, 0xBF)),
    ((0xE1, 0xEC), (0x80, 0xBF), (0x80, 0xBF)),
    ((0xED, 0xED), (0x80, 0x9F), (0x80, 0xBF)),
    ((0xEE, 0xEF), (0x80, 0xBF), (0x80, 0xBF)),
    ((0xF0, 0xF0), (0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)),
    ((0xF1, 0xF3), (0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)),
    ((0xF4, 0xF4), (0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)),
)


# ---------------------------------------------------------------- el esquema
@dataclass(frozen=True)
class Text:
    """Un texto de hasta ``longest`` caracteres, sin comillas, barras ni saltos; con ``only``, solo de esos caracteres.

    Raises
    ------
    ValueError
        Si ``longest`` no es un entero desde 1, o ``only`` tiene algo que no cabe tal cual entre comillas.
    """

    longest: int
    only: str | None = None

    def __post_init__(self):
        require(is_count(self.longest), f"Un texto admite un número de caracteres, 1 o más, y es {self.longest!r}.")
        for letter in self.only or ():
            require(
                letter.isascii() and letter >= " " and letter not in '"\\',
                f"En only caben caracteres ASCII que no sean comillas ni barra invertida, y hay {letter!r}.",
            )
        require(self.only is None or self.only, "only no puede estar vacío: pon los caracteres, o quítalo.")


@dataclass(frozen=True)
class Number:
    """Un número de hasta ``digits`` cifras y, si se pide, ``decimals`` tras el punto; con ``negative``, con signo.

    Raises
    ------
    ValueError
        Si ``digits`` no es un entero desde 1 o ``decimals`` desde 0.
    """

    digits: int
    decimals: int = 0
    negative: bool = False

    def __post_init__(self):
        require(is_count(self.digits), f"digits debe ser un entero desde 1 y es {self.digits!r}.")
        require(is_count(self.decimals, 0), f"decimals debe ser un entero desde 0 y es {self.decimals!r}.")


Schema = Mapping | Text | Number | list | tuple | type


class Grammar:
    """Un esquema, hecho autómata: estados y, en cada uno, a cuál lleva cada byte.

    Parameters
    ----------
    schema : dict, list, Text, Number or bool
        Un ``dict`` es un objeto con esas claves, en ese orden; una lista de textos, uno de ellos; ``bool``, verdadero o
        falso. Los valores de un objeto pueden ser objetos.

    Raises
    ------
    ValueError
        Si el esquema tiene algo que no es nada de eso (dice qué).

    Notes
    -----
    No hay espacios donde se podrían poner: uno detrás de cada coma y de cada dos puntos, y ni uno más. Se enseña en la
    sesión 08.
    """

    def __init__(self, schema: Schema):
        self.schema = schema
        self._rows: list[dict[int, int]] = [{}]  # el estado 0 es el final: de él no se sale
        self.start = self._state(self._any(schema, {None: 0}))
        self.end = 0

    # Cada pieza se monta sabiendo lo que viene detrás, «after»: una fila byte → estado, o {None: 0} si no viene nada.
    def _state(self, row: dict) -> int:
        if None in row:
            return 0
        self._rows.append(row)
        return len(self._rows) - 1

    def _literal(self, text: bytes, after: dict) -> dict:
        for byte in reversed(text):
            after = {byte: self._state(after)}
        return after

    def _any(self, schema: Schema, after: dict) -> dict:
        if isinstance(schema, Mapping):
            return self._object(schema, after)
        if schema is bool:
            return self._one_of([b"true", b"false"], after)
        if isinstance(schema, list | tuple):
            require(
                bool(schema) and all(isinstance(x, str) for x in schema) and len(set(schema)) == len(schema),
                f"Una lista de opciones lleva textos distintos, uno al menos, y es {schema!r}.",
            )
            return self._one_of([_quoted(option) for option in schema], after)
        if isinstance(schema, Text):
            return self._text(schema, after)
        require(
            isinstance(schema, Number),
            f"Un esquema lleva dict, lista de textos, bool, Text o Number, y hay {schema!r}.",
        )
        require(None not in after, "Un número no puede ir solo: ponlo dentro de un objeto, para saber dónde acaba.")
        return self._number(schema, after)

    def _object(self, schema: Mapping, after: dict) -> dict:
        require(
            bool(schema) and all(isinstance(key, str) for key in schema),
            f"Un objeto necesita al menos una clave, y que sean textos; es {schema!r}.",
        )
        after = self._literal(b"}", after)
        pairs = list(schema.items())
        for place, (key, value) in reversed(list(enumerate(pairs))):
            before = b"{" if place == 0 else b", "
            after = self._literal(before + _quoted(key) + b": ", self._any(value, after))
        return after

    def _one_of(self, options: list[bytes], after: dict) -> dict:
        """Un árbol de prefijos: ninguna opción es el principio de otra, que acaban en comillas o son true y false."""
        end, tree = self._state(after), {}
        for option in options:
            node = tree
            for byte in option[:-1]:
                node = node.setdefault(byte, {})
            node[option[-1]] = end

        def build(node: dict) -> dict:
            return {k: v if isinstance(v, int) else self._state(build(v)) for k, v in node.items()}

        return build(tree)

    def _text(self, schema: Text, after: dict) -> dict:
        end = self._state(after)
        row = {ord('"'): end}  # sin sitio para más letras, solo las comillas
        for _ in range(schema.longest):
            letter = self._state(row)
            row = {ord('"'): end}
            if schema.only is not None:
                row |= dict.fromkeys(schema.only.encode(), letter)
                continue
            row |= {byte: letter for byte in range(0x20, 0x80) if byte not in b'"\\'}
            for (low, high), *rest in _UTF8:
                target = letter
                for a, b in reversed(rest):
                    target = self._state(dict.fromkeys(range(a, b + 1), target))
                row |= dict.fromkeys(range(low, high + 1), target)
        return {ord('"'): self._state(row)}

    def _number(self, schema: Number, after: dict) -> dict:
        if schema.decimals:
            row = after
            for k in range(schema.decimals):
                row = dict.fromkeys(_DIGITS, self._state(row)) | (after if k < schema.decimals - 1 else {})
            after = after | {ord("."): self._state(row)}
        zero = self._state(after)
        row = after
        for _ in range(schema.digits - 1):
            row = after | dict.fromkeys(_DIGITS, self._state(row))
        first = dict.fromkeys(b"123456789", self._state(row)) | {ord("0"): zero}
        return first | ({ord("-"): self._state(dict(first))} if schema.negative else {})

    @cached_property
    def table(self) -> np.ndarray:
        """A qué estado lleva cada byte, (estados, 256): -1, a ninguno."""
        table = np.full((len(self._rows), 256), -1, dtype=np.int32)
        for state, row in enumerate(self._rows):
            for byte, target in row.items():
                table[state, byte] = target
        return table

    def walk(self, data: bytes, state: int | None = None) -> int | None:
        """El estado en el que se queda tras esos bytes; ``None`` si por ahí ya no sale nada válido."""
        state = self.start if state is None else state
        for byte in data:
            state = int(self.table[state, byte])
            if state < 0:
                return None
        return state

    @cached_property
    def longest(self) -> int:
        """Bytes del texto válido más largo. Un token trae uno por lo menos: con ``longest + 1`` caben él y el EOS."""
        length: dict[int, int] = {0: 0}

        # Cada estado se hizo después de aquellos a los que lleva: en ese orden no hace falta recursión.
        for state, row in enumerate(self._rows):
            if row:
                length[state] = 1 + max(length[target] for target in row.values())
        return length[self.start]


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8")


# ---------------------------------------------------------------- los tokens
def token_bytes(tokenizer) -> list[bytes | None]:
    """Los bytes que escribe cada token; ``None`` en los especiales, que no son texto.

    Vale para los tokenizadores por bytes (GPT-2, el del curso) y para los que guardan «▁» por espacio y ``<0xNN>`` por
    byte (Gemma). Se enseña en la sesión 08.
    """
    vocabulary = tokenizer.get_vocab()
    fallback = "<0x0A>" in vocabulary
    letters = None if fallback else _byte_letters()
    special = set(tokenizer.all_special_ids)
    found: list[bytes | None] = [None] * (max(vocabulary.values()) + 1)
    for token, k in vocabulary.items():
        if k in special or (fallback and token.startswith("<") and token.endswith(">") and not _is_byte(token)):
            continue  # <unused12>, <start_of_turn>…: nunca hacen falta para escribir JSON
        if fallback:
            found[k] = bytes([int(token[3:5], 16)]) if _is_byte(token) else token.replace("▁", " ").encode("utf-8")
        elif all(letter in letters for letter in token):
            found[k] = bytes(letters[letter] for letter in token)
    return found


def _is_byte(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _byte_letters() -> dict[str, int]:
    """La letra con la que GPT-2 escribe cada byte (Radford et al., 2019): los visibles, tal cual; los demás, detrás."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + k): byte for k, byte in enumerate(hidden)}


class _Vocabulary:
    """Los bytes de todos los tokens, en una tabla, para mirarlos a la vez."""

    def __init__(self, tokenizer):
        self.masks: WeakKeyDictionary[Grammar, dict[int, torch.Tensor]] = WeakKeyDictionary()
        self.bytes = token_bytes(tokenizer)
        known = [(k, data) for k, data in enumerate(self.bytes) if data]
        self.ids = np.array([k for k, _ in known])
        width = max(len(data) for _, data in known)
        self.table = np.full((len(known), width), 256, dtype=np.int16)
        for row, (_, data) in enumerate(known):
            self.table[row, : len(data)] = list(data)

    def alive(self, grammar: Grammar, state: int) -> np.ndarray:
        """Los ids de los tokens que pueden seguir en ese estado."""
        rows, states, whole = np.arange(len(self.ids)), np.full(len(self.ids), state, dtype=np.int32), []
        for column in range(self.table.shape[1]):
            ended = self.table[rows, column] == 256
            whole.append(rows[ended])
            rows, states = rows[~ended], states[~ended]
            states = grammar.table[states, self.table[rows, column]]
            rows, states = rows[states >= 0], states[states >= 0]
            if not len(rows):
                break
        return self.ids[np.sort(np.concatenate([*whole, rows]))]


@lru_cache(maxsize=4)
def _vocabulary(tokenizer) -> _Vocabulary:
    """Segundos con 262 144 tokens: una vez por tokenizador."""
    return _Vocabulary(tokenizer)


# ---------------------------------------------------------------- la transformación
def json_only(schema: Schema | Grammar, tokenizer, prompt_length: int) -> Transform:
    """Solo deja vivos los tokens con los que lo escrito sigue siendo el principio de un JSON válido del esquema.

    Ponla **la primera**: los filtros que van detrás (``top_p``, ``top_k``) escogen entre lo que ella deja. Con
    ``max_new_tokens=Grammar(esquema).longest + 1``, ``generate`` da siempre el JSON entero.

    Parameters
    ----------
    schema : Schema or Grammar
        Lo que se admite.
    tokenizer
        El del modelo. Hace falta que tenga token de fin: se permite cuando el JSON está cerrado, y solo entonces.
    prompt_length : int
        Columnas de ``ids`` que son el *prompt*, con su relleno: desde ahí se mira.

    Raises
    ------
    ValueError
        Si el esquema no vale, el tokenizador no tiene EOS o ``prompt_length`` no es un entero desde 0. Y, al aplicarla,
        si lo escrito ya no puede acabar en un JSON válido.

    Notes
    -----
    Willard y Louf (2023). Se enseña en la sesión 08.
    """
    grammar = schema if isinstance(schema, Grammar) else Grammar(schema)
    eos = tokenizer.eos_token_id
    require(is_count(prompt_length, 0), f"prompt_length debe ser un entero desde 0 y es {prompt_length!r}.")
    require(eos is not None, "El tokenizador no tiene token de fin (EOS), y sin él no se puede acabar. Usa otro.")
    vocabulary = _vocabulary(tokenizer)
    masks = vocabulary.masks.setdefault(grammar, {})  # de un esquema, se calculan una vez por estado

    def allowed(state: int, size: int) -> torch.Tensor:
        if state not in masks:
            mask = torch.zeros(size, dtype=torch.bool)
            mask[
                torch.tensor([eos]) if state == grammar.end else torch.from_numpy(vocabulary.alive(grammar, state))
            ] = True
            masks[state] = mask
        return masks[state]

    def state_of(ids: list[int]) -> int:
        state = grammar.start
        for k, token in enumerate(ids):
            if state == grammar.end:  # el EOS, o el relleno de una fila acabada
                return state
            data = vocabulary.bytes[token] if token < len(vocabulary.bytes) else None
            following = grammar.walk(data, state) if data else None
            require(
                following is not None,
                f"Lo escrito ya no puede ser un JSON del esquema: falla en el token nuevo {k}, "
                f"{tokenizer.decode([token])!r}. Pon json_only la primera, y en prompt_length, los tokens del prompt.",
            )
            state = following
        return state

    def apply(logits, ids):
        rows = [allowed(state_of(row), logits.size(-1)) for row in ids[:, prompt_length:].tolist()]
        return logits.masked_fill(~torch.stack(rows).to(logits.device), float("-inf"))

    return apply


# ---------------------------------------------------------------- una herramienta
def calculate(expression: str) -> float:
    """El resultado de una cuenta: números, ``+ - * /`` y paréntesis, y nada más. No usa ``eval``.

    Raises
    ------
    ValueError
        Si no es una cuenta, se divide entre cero o el texto pasa de 200 caracteres.

    Notes
    -----
    Se enseña en la sesión 08: lo que escribe un modelo es texto de un desconocido, y no se ejecuta.
    """
    import ast
    import operator

    known = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
    remedy = "Solo se admiten números, + - * / y paréntesis."

    def value(node: ast.AST) -> float:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in known:
            return known[type(node.op)](value(node.left), value(node.right))
        raise ValueError(f"En {expression!r} hay algo que no es una cuenta. {remedy}")

    require(isinstance(expression, str) and len(expression) <= 200, f"No es una cuenta: {expression!r:.60}. {remedy}")
    try:
        return value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(f"No entiendo la cuenta {expression!r}. {remedy}") from error
    except ZeroDivisionError as error:
        raise ValueError(f"En {expression!r} se divide entre cero, y no se puede.") from error
