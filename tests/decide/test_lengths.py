"""How much a model may write: at first by what was measured of it, once more after a cut, never beyond a limit."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.decide.answer_lengths import FIRST_TOKENS, call_sizes
from orchestrator.models import MAX_TOKENS, ROLE_MAX_TOKENS, Finish, ModelInfo, Role, TaskType
from orchestrator.money import Usage
from orchestrator.replay import verify
from orchestrator.settings import RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.laws import broken_laws

CODE, JUDGED = TaskType.CODE_GEN, TaskType.EVALUATION
ROLES = (Role.GENERATOR, Role.REVISER, Role.CRITIC, Role.EVALUATOR, Role.DECOMPOSER)


def prior(kind: TaskType | None, *lengths: e.Length, name: str = "a", calls: int = 20) -> e.Prior:
    """What earlier runs measured of a model."""
    return e.Prior(name, kind, calls, 0.9, None, 1000.0, 1.0, lengths=lengths)


def p95(role: Role, tokens: int) -> e.Length:
    """A measured length."""
    return e.Length(role, 20, tokens, tokens)


def begun(settings: RunSettings, info: ModelInfo, *priors: e.Prior, tasks: int = 1) -> Stage:
    """A run of tasks of code whose first session knows these priors."""
    made = Stage(settings, (info,), [task(f"t{number}", CODE) for number in range(tasks)])
    started = e.RunStarted(1, settings, "0" * 64, "0" * 64, "0" * 64, tuple(made.plan or ()))
    made.step(started, evolve(made.opening(), priors=priors))
    return made


def sizes(
    priors: tuple[e.Prior, ...], role: Role, settings: RunSettings | None = None, **facts: Any
) -> tuple[int, int]:
    """The first and the largest size of a call."""
    info = model("a", **facts)
    made = begun(settings or RunSettings(routing={}), info, *priors)
    found = call_sizes(made.state, info, role, None if role is Role.DECOMPOSER else CODE)
    return found.first, found.most


@pytest.mark.parametrize("role", ROLES)
def test_what_is_usual_is_asked_for_until_something_is_measured(role: Role) -> None:
    """The limit of the role or the type bounds it, and is what an answer may have after a cut."""
    usual, limit = FIRST_TOKENS.get(role, FIRST_TOKENS[CODE]), ROLE_MAX_TOKENS.get(role, MAX_TOKENS[CODE])
    assert sizes((), role) == (usual, limit)
    assert sizes((prior(CODE, p95(Role.ENHANCER, 3000)),), role) == (usual, limit)


@pytest.mark.parametrize(
    ("measured", "first", "most"),
    [
        (1, 512, 8192),
        (341, 512, 8192),
        (342, 513, 8192),
        (1000, 1500, 8192),
        (5461, 8192, 16384),
        (9000, 8192, 16384),
    ],
)
def test_a_first_call_follows_the_measured_length(measured: int, first: int, most: int) -> None:
    """Half as much again as the p95, 512 at the least; after a cut only one that begins at its limit may exceed it."""
    assert sizes((prior(CODE, p95(Role.GENERATOR, measured)),), Role.GENERATOR) == (first, most)


def test_lengths_are_told_apart_by_role_and_type() -> None:
    """Scores are measured for all types together, like everything else of them."""
    measured = (
        prior(CODE, p95(Role.GENERATOR, 2000), p95(Role.CRITIC, 400)),
        prior(JUDGED, p95(Role.EVALUATOR, 500)),
        prior(None, p95(Role.DECOMPOSER, 3000)),
    )
    found = [sizes(measured, role)[0] for role in ROLES]
    assert found == [3000, FIRST_TOKENS[CODE], 600, 750, 4500]


def test_a_limit_of_the_user_is_sent_as_it_is() -> None:
    """Whatever is usual or measured."""
    limits = {**MAX_TOKENS, CODE: 300}
    settings = RunSettings(routing={}, max_tokens=limits, fixed_types=(CODE,))
    assert sizes((prior(CODE, p95(Role.GENERATOR, 5000)),), Role.GENERATOR, settings) == (300, 300)
    assert sizes((), Role.CRITIC, settings)[0] == FIRST_TOKENS[Role.CRITIC]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"thinking_tokens": {"low": 4000, "high": 9000}, "effort": "low"}, (5024, 12_192)),
        ({"thinking_tokens": {"low": 4000, "high": 9000}, "effort": "high"}, (10_024, 17_192)),
        ({"thinking_tokens": {"low": 4000, "high": 9000}, "effort": "utter"}, (10_024, 17_192)),
        ({"thinking_tokens": {"default": 700}}, (1724, 8892)),
        ({"thinking_tokens": {"low": 4000}, "effort": "low", "max_output": 6000}, (5024, 6000)),
        ({"thinking_tokens": {"low": 4000}, "effort": "low", "thinking_in_limit": False}, (1024, 8192)),
    ],
)
def test_room_for_thinking_is_added_within_what_a_model_can_write(
    facts: dict[str, Any], expected: tuple[int, int]
) -> None:
    """By its effort; of one without a number the most that is declared; nothing where it counts apart."""
    assert sizes((), Role.GENERATOR, **facts) == expected


def test_a_run_measures_for_itself_from_ten_answers_on() -> None:
    """Until then earlier runs count; thinking is left out."""
    info = model("a", max_output=100_000)
    made = begun(RunSettings(routing={}, concurrency=1), info, prior(CODE, p95(Role.GENERATOR, 2000)), tasks=12)
    made.play(lambda started: {"usage": Usage(input=10, output=800, reasoning=50)} if _is_draft(started) else {})
    asked = [each.max_tokens for each in made.all(e.CallStarted) if _is_draft(each)]
    assert asked == [3000] * 10 + [1200] * 2


def _is_draft(started: e.CallStarted) -> bool:
    return started.role is Role.GENERATOR


_FACTS = st.fixed_dictionaries(
    {
        "max_output": st.none() | st.integers(1, 20_000),
        "context": st.none() | st.integers(300, 30_000),
        "thinking_tokens": st.sampled_from([{}, {"default": 1}, {"default": 4000}]),
    }
)


@given(
    _FACTS,
    st.integers(1, 30_000),
    st.integers(1, 10_000),
    st.booleans(),
    st.integers(1, 60_000),
    st.lists(st.booleans(), max_size=6),
)
def test_no_call_exceeds_limit_model_or_window_and_one_alone_grows(
    facts: dict[str, Any], measured: int, limit: int, fixed: bool, body: int, cuts: list[bool]
) -> None:
    """Whatever was measured, declared or set, and however often answers are cut off."""
    info = model("a", **facts)
    settings = RunSettings(
        routing={}, max_tokens={**MAX_TOKENS, CODE: limit}, fixed_types=(CODE,) if fixed else (), concurrency=1
    )
    made = begun(settings, info, prior(CODE, p95(Role.GENERATOR, measured)))
    made.prepare(body)
    left = list(cuts)
    made.play(lambda started: {"finish": Finish.LENGTH} if left and left.pop() else {})
    most = limit if fixed or min(max(-(-measured * 3 // 2), 512), limit) < limit else 2 * limit
    drafts = [each for each in made.all(e.CallStarted) if each.role is Role.GENERATOR and each.iteration == 1]
    for each in drafts:
        assert each.max_tokens <= most + info.thinking
        assert info.max_output is None or each.max_tokens <= info.max_output
        assert info.context is None or each.max_tokens <= info.context - each.body_bytes // 3
    grown = [each for each in drafts if each.larger]
    assert len(drafts) <= 2
    assert grown == drafts[1:]
    assert broken_laws(made.history) == []
    assert verify(made.history, lambda session: None).differences == ()
