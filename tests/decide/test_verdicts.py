"""The order of checks, and how long their verdicts hold."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.decide.due_validators import cost_of, holds_for_others, next_checks
from orchestrator.models import Verdict
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Check

NAMES = ["pytest", "ruff", "python_syntax", "length", "json_schema", "latex", "house_style"]
PASSED, FAILED = Verdict.PASSED, Verdict.FAILED


def test_cheap_checks_come_first_whatever_the_plan_says() -> None:
    """Syntax before the linter before the tests; what takes the same is started side by side."""
    plan = ["pytest", "ruff", "length", "python_syntax", "house_style"]
    assert next_checks(plan) == ("length", "python_syntax")
    assert next_checks(plan, {"length": PASSED, "python_syntax": None}) == ()
    assert next_checks(plan, {"length": PASSED, "python_syntax": Verdict.SKIPPED}) == ("ruff",)
    known = {"length": PASSED, "python_syntax": PASSED, "ruff": Verdict.UNKNOWN}
    assert next_checks(plan, known) == ("pytest", "house_style")
    assert next_checks(plan, {**known, "pytest": None}) == ("house_style",)
    assert next_checks(plan, {"python_syntax": FAILED, "length": PASSED}) == ()
    assert next_checks([]) == ()


VERDICTS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([None, *Verdict]))


@given(st.lists(st.sampled_from(NAMES), unique=True), VERDICTS)
def test_no_check_is_started_beside_or_after_a_cheaper_one_that_may_fail(
    plan: list[str], known: dict[str, Verdict | None]
) -> None:
    """Whatever is known: a started one is missing, of the plan, and no cheaper one failed, is missing or at work."""
    for name in next_checks(plan, known):
        assert name in plan
        assert name not in known
        cheaper = [each for each in plan if cost_of(each) < cost_of(name)]
        assert all(known.get(each) not in (None, FAILED) for each in cheaper)


@given(st.lists(st.sampled_from(NAMES), unique=True), st.sets(st.sampled_from(NAMES)))
def test_every_check_is_started_in_the_end(plan: list[str], failing: set[str]) -> None:
    """Going on until nothing is started, each has its verdict, or one failed and no dearer one was started."""
    known: dict[str, Verdict | None] = {}
    while started := next_checks(plan, known):
        known |= {name: FAILED if name in failing else PASSED for name in started}
    failed = [cost_of(name) for name in known if name in failing]
    assert set(known) == {name for name in plan if not failed or cost_of(name) <= min(failed)}


def test_a_verdict_holds_for_others_within_its_session() -> None:
    """A later session may have another validator, sandbox or library."""
    state = RunState(session_version=10)
    assert holds_for_others(state, Check(11, FAILED))
    assert not holds_for_others(state, Check(10, FAILED))
