"""Las comprobaciones de los ejercicios frente a todas las respuestas de tests/support/answers, buenas y malas."""

import importlib
import re
from collections import Counter

import cuadernos
import pytest
import torch
from answers import published

from course_utils import checks
from course_utils.checks import rules, session_01, session_02, session_05

SESSIONS = [path.stem[:2] for path in cuadernos.SESSIONS]
TABLES = [importlib.import_module(f"answers.session_{session.lower()}") for session in SESSIONS]
SOLUTIONS = {exercise: answer for session in SESSIONS for exercise, answer in published(session).items()}
UNUSUAL = [case for table in TABLES for case in table.UNUSUAL]
MISTAKES = [case for table in TABLES for case in table.MISTAKES]


def named(cases):
    return [pytest.param(*case, id=f"{case[0]}-{getattr(case[1], '__name__', 'objeto')}") for case in cases]


@pytest.mark.parametrize(("exercise", "answer"), named([*SOLUTIONS.items(), *UNUSUAL]))
def test_right_answers_are_accepted_however_they_are_written(exercise, answer, capsys):
    checks.check(exercise, answer, strict=True)
    out = capsys.readouterr().out
    assert "resuelto" in out and "❌" not in out and out.count("✅") == len(checks.EXERCISES[exercise])


@pytest.mark.parametrize(("exercise", "answer", "rule", "fragment", "raises"), named([(*c, "")[:5] for c in MISTAKES]))
def test_a_mistake_fails_where_it_should_and_is_told_so(exercise, answer, rule, fragment, raises, assert_hint):
    assert_hint(exercise, answer, fragment, rule=rule, raises=bool(raises))


def test_every_exercise_is_tried_with_enough_answers():
    unusual, mistakes = (Counter(case[0] for case in cases) for cases in (UNUSUAL, MISTAKES))
    assert set(SOLUTIONS) == set(checks.EXERCISES)
    for exercise in checks.EXERCISES:
        assert unusual[exercise] >= 3 and mistakes[exercise] >= 10, exercise


@pytest.mark.parametrize("exercise", checks.EXERCISES)
def test_every_rule_is_the_one_that_sees_some_mistake(exercise):
    seen = {rule for number, _, rule, *_ in MISTAKES if number == exercise}
    assert seen == set(range(1, len(checks.EXERCISES[exercise]) + 1))


@pytest.mark.parametrize("exercise", checks.EXERCISES)
def test_an_untouched_stub_is_pending_and_never_raises(exercise, capsys):
    def one(logits, t): ...

    def two(model, ids, eos_token_id, max_new_tokens):
        """Con documentación."""
        # Escribe aquí tu código

    for stub in (one, two, torch.no_grad()(two), None, ...):
        checks.check(exercise, stub)
        out = capsys.readouterr().out
        assert "⏳" in out and "pendiente" in out and "❌" not in out
    with pytest.raises(AssertionError, match="pendiente"):
        checks.check(exercise, one, strict=True)


@pytest.mark.parametrize("exercise", checks.EXERCISES)
def test_hints_go_from_where_to_look_to_how(exercise):
    for rule in checks.EXERCISES[exercise]:
        assert 1 <= len(rule.hints) <= 3 and len(set(rule.hints)) == len(rule.hints)
        assert not re.search(r"\w\(\w", rule.hints[0]), f"la primera pista ya da código: {rule.hints[0]}"


# ---------------------------------------------------------------- los modelos de juguete
def test_the_toy_distributions_add_up_to_one_and_depend_on_the_whole_prefix():
    for probs in (session_05.next_probs, session_05.rare_probs):
        for prefix in ([], ["el"], ["la", "el"], ["rey", "el"]):
            assert sum(probs(prefix).values()) == pytest.approx(1)
        assert probs(["la", "el"]) != probs(["rey", "el"]) and probs(["la", "el"]) != probs(["el", "la"])


def test_what_is_forbidden_exists():
    for exercise in ("A3.2", "1.1", "2.3", "2.4"):
        for name in checks.FORBIDDEN[exercise]:
            module, _, function = name.rpartition(".")
            owner = importlib.import_module(module)
            assert callable(getattr(owner, function, None) or getattr(owner.GenerationMixin, function))


@pytest.mark.parametrize("build", [rules.toy_model, session_01.toy_encoder])
def test_building_a_toy_model_leaves_the_random_state_alone(build):
    build.cache_clear()
    before = torch.get_rng_state()
    first = build().state_dict()
    assert torch.equal(before, torch.get_rng_state())
    build.cache_clear()
    torch.rand(1)  # otro azar, y el mismo modelo
    assert all(torch.equal(a, b) for a, b in zip(first.values(), build().state_dict().values(), strict=True))


def test_the_toy_model_writes_an_eos_halfway_and_the_id_0():
    """Sin eso las reglas de 2.3 no probarían nada."""
    eos, position = session_02._eos_and_position()
    assert 3 <= position < 12 and eos not in session_02.PROMPT
    assert 0 in session_02._new(session_02.PROMPT, 10)
