"""Comprobación de los ejercicios: ``check("2.1", respuesta)`` contesta ✅, ❌ con una pista o ⏳ pendiente.

Cada ejercicio es una lista de reglas (qué se pide, prueba, pista). La prueba devuelve ``None`` si se cumple y, si no,
lo que ha recibido, para que el mensaje lo nombre. Las reglas están en un módulo por sesión.
"""

from __future__ import annotations

import dis
import inspect
import types

from . import session_01, session_02, session_03, session_04, session_05
from .rules import Outcome, Rule

EXERCISES: dict[str, tuple[Rule, ...]] = {
    **session_01.EXERCISES,
    **session_02.EXERCISES,
    **session_03.EXERCISES,
    **session_04.EXERCISES,
    **session_05.EXERCISES,
}


def check(exercise: str, answer, *, strict: bool = False) -> None:
    """Comprueba la respuesta a un ejercicio y escribe el resultado; nunca lanza una excepción salvo con ``strict``.

    Parameters
    ----------
    exercise : str
        Número del ejercicio, por ejemplo ``"2.1"``.
    answer : object
        Lo que pide el enunciado: una función o un valor. Sin tocar (``...``) sale «⏳ pendiente».
    strict : bool
        Lanza ``AssertionError`` si la respuesta no es correcta. Lo usan los cuadernos resueltos.

    Raises
    ------
    ValueError
        Si el ejercicio no existe.

    Notes
    -----
    Se usa en todas las sesiones.
    """
    outcomes = review(exercise, answer)
    if outcomes is None:
        report = (
            f"⏳ Ejercicio {exercise}: pendiente. Sustituye los puntos suspensivos por tu código y vuelve a ejecutar."
        )
    else:
        lines = []
        for outcome in outcomes:
            lines.append(f"{'✅' if outcome.received is None else '❌'} {outcome.rule.description}")
            if outcome.received is not None:
                lines += [f"   He recibido: {outcome.received}", f"   Pista: {outcome.rule.hint}"]
        solved = all(outcome.received is None for outcome in outcomes)
        lines.append(
            f"¡Ejercicio {exercise} resuelto!" if solved else f"Ejercicio {exercise}: casi; corrige y prueba otra vez."
        )
        report = "\n".join(lines)
    if strict and (outcomes is None or any(outcome.received is not None for outcome in outcomes)):
        raise AssertionError(report)
    print(report)


def review(exercise: str, answer) -> list[Outcome] | None:
    """Aplica las reglas en orden hasta la primera que falla; ``None`` si la respuesta está sin tocar.

    Raises
    ------
    ValueError
        Si el ejercicio no existe: el mensaje enumera los que hay.
    """
    if not isinstance(exercise, str) or exercise not in EXERCISES:
        raise ValueError(f"No conozco el ejercicio {exercise!r}. Los que hay son: {', '.join(EXERCISES)}.")
    if _untouched(answer):
        return None
    outcomes = []
    for rule in EXERCISES[exercise]:
        try:
            received = rule.test(answer)
        except (
            Exception,
            SystemExit,
        ) as error:  # el código es del estudiante: cualquier error es una respuesta que comentar
            message = str(error).split("\n")[0][:200]
            received = f"un error al ejecutar tu código, {type(error).__name__}: {message}"
        outcomes.append(Outcome(rule, received))
        if received is not None:
            break
    return outcomes


def _untouched(answer) -> bool:
    """Un valor ``...`` o ``None``, o una función cuyo cuerpo es solo ``...``."""
    try:
        answer = inspect.unwrap(answer) if callable(answer) else answer  # @torch.no_grad() lo envuelve
    except Exception:  # un objeto tan raro que ni eso admite: no es el hueco
        return False
    if not isinstance(answer, types.FunctionType):
        return answer is None or answer is ...
    empty = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    steps = list(dis.get_instructions(answer))
    return all(i.opname in empty and (i.argval in (None, ...) or "CONST" not in i.opname) for i in steps)
