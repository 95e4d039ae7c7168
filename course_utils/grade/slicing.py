"""Qué sentencias de un cuaderno hacen falta para que exista una función: ella, y lo que usa, y lo que eso usa.

Ejecutar el cuaderno entero sería lento, y una celda rota o que no acaba castigaría una respuesta buena. Ejecutar solo
la celda de la respuesta castigaría a quien escribió una función auxiliar más arriba. Así que se sigue el hilo de los
nombres: las funciones, los ``import`` y los valores de los que depende, y nada más.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Sequence
from dataclasses import dataclass

_MAGIC = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)


@dataclass(frozen=True)
class Statement:
    """Una sentencia: en qué celda, en qué puesto, qué nombres pone, cuáles toca y cuáles necesita."""

    cell: int
    place: int
    binds: frozenset[str]
    needs: frozenset[str]
    calls: str = ""  # el nombre de quien es el método, en una línea como «lista.append(3)»


def plain(source: str) -> str:
    """El código sin las órdenes de IPython, y con las mismas líneas."""
    if source.lstrip().startswith("%%"):
        first, _, rest = source.lstrip().partition("\n")
        return "\n" + plain(rest) if first.split()[0] in ("%%time", "%%timeit", "%%capture") else ""
    return _MAGIC.sub(r"\1pass", source)


def parse(source: str) -> list[ast.stmt] | None:
    """Las sentencias de una celda; ``None`` si no es Python."""
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def statements(cells: Sequence[str]) -> list[Statement]:
    """Las de todas las celdas, en orden. Las celdas que no son Python se pasan por alto."""
    found = []
    for number, source in enumerate(cells):
        for place, node in enumerate(parse(source) or ()):
            found.append(Statement(number, place, frozenset(_binds(node)), frozenset(_needs(node)), _calls(node)))
    return found


def needed(found: Sequence[Statement], function: str, last: int) -> list[Statement]:
    """Las que hacen falta para que exista ``function`` al acabar la celda ``last``, y funcione.

    Lo que no está definido hasta ahí se busca después: en un cuaderno las celdas se ejecutan en cualquier orden.
    """
    places = _index(found)
    wanted, chosen, seen = [function], set(), {function}
    while wanted:
        name = wanted.pop()
        mine = [s for s in places.get(name, ()) if s.cell <= last]
        if not any(name in s.binds for s in mine):
            mine += [s for s in places.get(name, ()) if s.cell > last]
        for statement in (*mine, *places.get("*", ())):
            if statement not in chosen:
                chosen.add(statement)
                fresh = statement.needs - seen
                seen |= fresh
                wanted += sorted(fresh)
    return sorted(chosen, key=lambda s: (s.cell > last, s.cell, s.place))


def _index(found: Sequence[Statement]) -> dict[str, list[Statement]]:
    """De cada nombre, las sentencias que lo ponen o lo tocan."""
    places: dict[str, list[Statement]] = {}
    for statement in found:
        for name in statement.binds | {statement.calls} - {""}:
            places.setdefault(name, []).append(statement)
    return places


def _binds(node: ast.stmt) -> set[str]:
    """Los nombres que pone o toca una sentencia en el cuaderno; «*» es un ``import *``."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    found, pending = set(), [node]
    while pending:
        inner = pending.pop()
        if isinstance(inner, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in inner.names}
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store | ast.Del):
            found.add(inner.id)
        elif isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store | ast.Del):
            found |= {_base(inner)} - {""}
        elif isinstance(inner, ast.ExceptHandler) and inner.name:
            found.add(inner.name)
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(inner.name)
        elif not isinstance(inner, ast.Lambda):
            pending += ast.iter_child_nodes(inner)
    return found


def _base(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _calls(node: ast.stmt) -> str:
    call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    return _base(call.func) if call is not None and isinstance(call.func, ast.Attribute) else ""


def _needs(node: ast.stmt) -> set[str]:
    """Los nombres del cuaderno que usa una sentencia, también dentro de sus funciones."""
    try:
        table = symtable.symtable(ast.unparse(node), "celda", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    found, pending = {s.get_name() for s in table.get_symbols() if s.is_referenced()}, list(table.get_children())
    while pending:
        inner = pending.pop()
        found |= {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_referenced()}
        pending += inner.get_children()
    return found
