"""Comprobación de los ejercicios: ``check("2.1", respuesta)`` contesta ✅, ❌ con una pista o ⏳ pendiente.

Cada ejercicio es una lista de reglas (qué se pide, prueba, pistas), en un módulo por sesión. La prueba devuelve
``None`` si se cumple y, si no, lo que ha recibido, para que el mensaje lo nombre. Las pistas van por orden: la primera
vez que una regla falla, dónde mirar; la segunda, qué mirar; de la tercera en adelante, cómo se hace.
"""

from __future__ import annotations

from collections import Counter

from . import (
    session_01,
    session_02,
    session_03,
    session_04,
    session_05,
    session_06,
    session_07,
    session_08,
    session_09,
    session_a1,
    session_a2,
    session_a3,
)
from .rules import Outcome, Rule
from .running import Answer, Stopped, undisturbed
from .values import Diagnosis, show

_SESSIONS = (
    session_a1,
    session_a2,
    session_a3,
    session_01,
    session_02,
    session_03,
    session_04,
    session_05,
    session_06,
    session_07,
    session_08,
    session_09,
)
EXERCISES: dict[str, tuple[Rule, ...]] = {k: v for session in _SESSIONS for k, v in session.EXERCISES.items()}
FORBIDDEN = {k: v for session in _SESSIONS for k, v in getattr(session, "FORBIDDEN", {}).items()}
OUR_FAULT = (
    "Es un fallo de la comprobación y no de tu código. Avisa a quien mantiene el curso, y adjunta tu función.",
)

_failures: Counter[tuple] = Counter()  # cuántas veces se ha dado cada serie de pistas desde que se abrió el núcleo


def check(exercise: str, answer, *, strict: bool = False) -> None:
    """Comprueba la respuesta a un ejercicio y escribe el resultado; nunca lanza una excepción salvo con ``strict``.

    Parameters
    ----------
    exercise : str
        Número del ejercicio, por ejemplo ``"2.1"``.
    answer : object
        La función que pide el enunciado, sin llamarla. Sin tocar (``...``) sale «⏳ pendiente».
    strict : bool
        Lanza ``AssertionError`` si la respuesta no es correcta, con la pista más completa. Lo usan los cuadernos
        resueltos. No cuenta como intento.

    Raises
    ------
    ValueError
        Si el ejercicio no existe.

    Notes
    -----
    Se usa en todas las sesiones. Se cuentan los intentos de cada regla mientras dure el núcleo, para que las pistas
    vayan de menos a más; al reiniciarlo se empieza de cero.
    """
    outcomes = review(exercise, answer)
    solved = outcomes is not None and all(outcome.received is None for outcome in outcomes)
    report = _report(exercise, outcomes, solved, strict)
    if strict and not solved:
        raise AssertionError(report)
    print(report)


def points(exercise: str, answer) -> int:
    """Los puntos de una respuesta: 2 si cumple todas las reglas, 1 si cumple la mitad o más y 0 si no.

    No escribe nada ni cuenta como intento. Las reglas van de lo general a lo fino: la mitad es tenerlo casi.

    Raises
    ------
    ValueError
        Si el ejercicio no existe.
    """
    outcomes = review(exercise, answer) or ()
    passed, count = sum(outcome.received is None for outcome in outcomes), len(EXERCISES[exercise])
    return (2 * passed >= count) + (passed == count)


def _report(exercise: str, outcomes: list[Outcome] | None, solved: bool, strict: bool) -> str:
    if outcomes is None:
        return (
            f"⏳ Ejercicio {exercise}: pendiente. Sustituye los puntos suspensivos por tu código y vuelve a ejecutar."
        )
    lines, more = [], False
    for outcome in outcomes:
        lines.append(f"{'✅' if outcome.received is None else '❌'} {outcome.rule.description}")
        if outcome.received is not None:
            hint, more = _next_hint(exercise, outcome, strict)
            lines += [f"   He recibido: {outcome.received}", f"   Pista: {hint}"]
    if solved:
        return "\n".join([*lines, f"¡Ejercicio {exercise} resuelto!"])
    end = " Si no sale, la siguiente pista dirá más." if more else ""
    return "\n".join([*lines, f"Ejercicio {exercise}: casi; corrige y prueba otra vez.{end}"])


def _next_hint(exercise: str, outcome: Outcome, strict: bool) -> tuple[str, bool]:
    """La pista que toca y si quedan más. Cada regla, y cada diagnóstico dentro de ella, lleva su cuenta."""
    if strict:
        return outcome.hints[-1], False
    key = (exercise, outcome.rule.description, outcome.hints)
    _failures[key] += 1
    return outcome.hints[min(_failures[key], len(outcome.hints)) - 1], _failures[key] < len(outcome.hints)


def review(exercise: str, answer) -> list[Outcome] | None:
    """Aplica las reglas en orden hasta la primera que falla; ``None`` si la respuesta está sin tocar.

    ``answer`` puede ser ya una ``Answer``: la de quien corrige entregas llama a la función en otro proceso.

    Raises
    ------
    ValueError
        Si el ejercicio no existe: el mensaje enumera los que hay.
    """
    if not isinstance(exercise, str) or exercise not in EXERCISES:
        raise ValueError(f"No conozco el ejercicio {exercise!r}. Los que hay son: {', '.join(EXERCISES)}.")
    if not isinstance(answer, Answer):
        answer = Answer(answer, FORBIDDEN.get(exercise, {}))
    if answer.untouched:
        return None
    outcomes = []
    with undisturbed():
        for rule in EXERCISES[exercise]:
            outcomes.append(_apply(rule, answer))
            if outcomes[-1].received is not None:
                break
    return outcomes


def _apply(rule: Rule, answer: Answer) -> Outcome:
    """El resultado de una regla. Lo que falla dentro de la respuesta es del estudiante; lo demás, nuestro."""
    if not callable(answer.function):
        given = answer.function
        received = f"{show(given)}, de tipo {type(given).__name__}; se esperaba tu función"
        return Outcome(rule, received, ("Pasa la función sin llamarla, solo su nombre, como estaba en la celda.",))
    try:
        received = rule.test(answer)
    except Stopped as stop:
        received = stop.diagnosis
        if isinstance(stop.error, rule.symptoms):
            received = received.received
    except Exception as error:
        message = str(error).split("\n")[0][:200]
        received = Diagnosis(f"algo que no he sabido comprobar ({type(error).__name__}: {message})", OUR_FAULT)
    return Outcome(rule, *received) if isinstance(received, Diagnosis) else Outcome(rule, received, rule.hints)
