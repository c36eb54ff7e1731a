"""What a plan is expected to cost and to take: typical calls of each strategy, and the pace of a local server."""

from typing import Any

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.decide.strategies import STRATEGIES
from orchestrator.models import JudgeMethod, Phase, PlannedTask, TaskType
from orchestrator.money import Price, Usd
from orchestrator.settings import SECOND, Evaluation, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task

CODE, TEXT = TaskType.CODE_GEN, TaskType.SUMMARIZATION
AUTHOR = model("author", "north", price=Price(Usd.parse(1), Usd.parse(10)))
JUDGE = model("judge", "south", price=Price(Usd.parse(2), Usd.parse(20)))
DRAFT = 300 * 1000 + 250 * 10_000
"""Nano-dollars of a draft of code on the author: 300 tokens around a prompt of no length, and 250 written."""
REVIEW = 550 * 2000 + 60 * 20_000
"""The same of a critique or an evaluation of it on the judge."""


def coded(name: str = "t", *after: str, **facts: Any) -> PlannedTask:
    """A task of code whose prompt has no length."""
    return task(name, CODE, *after, prompt_bytes=0, **facts)


def forecast(
    settings: RunSettings, *plan: PlannedTask, local: tuple[str, ...] = (), priors: tuple[e.Prior, ...] = ()
) -> e.ForecastMade:
    """The forecast of a run of this plan."""
    rules = evolve(settings, routing={CODE: ("author",), TEXT: ("author",), TaskType.EVALUATION: ("judge",)})
    stage = Stage(rules, [AUTHOR, JUDGE], plan or [coded()])
    started = e.RunStarted(1, rules, "0" * 64, "0" * 64, "0" * 64, tuple(stage.plan or ()))
    stage.step(started, evolve(stage.opening(), local=local, priors=priors))
    return stage.last(e.ForecastMade)


def of(name: str, **fields: Any) -> RunSettings:
    """The settings under which one strategy holds for all types."""
    return RunSettings(loop=dict.fromkeys(TaskType, evolve(STRATEGIES[name], **fields)))


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        (of("reviewed"), (150, 100, 200)),
        (of("plain"), (100, 0, 0)),
        (of("best_of", method=JudgeMethod.SCORES), (175, 0, 200)),
        (of("best_of", samples=1), (100, 0, 200)),
        (of("best_of", runs=0), (175, 0, 0)),
        (of("cascade", runs=1), (175, 0, 100)),
        (of("repair"), (150, 0, 200)),
    ],
)
def test_the_calls_follow_the_strategy(settings: RunSettings, calls: tuple[int, int, int]) -> None:
    """So many drafts, critiques and evaluations in the hundred, each at the price of the model that comes first."""
    made = forecast(settings)
    drafts, critiques, evaluations = calls
    assert made.phases == {
        Phase.GENERATION: Usd(DRAFT * drafts // 100),
        Phase.CROSS_REVIEW: Usd(REVIEW * critiques // 100),
        Phase.EVALUATION: Usd(REVIEW * evaluations // 100),
    }
    assert made.duration == sum(calls) * 2 * SECOND // 100


PAIR = REVIEW + 250 * 2000
"""The same of a comparison, which reads two drafts."""


@pytest.mark.parametrize(
    ("settings", "drafts", "critiques"),
    [
        (of("best_of"), 300, 0),
        (of("best_of", samples=4), 400, 0),
        (evolve(of("reviewed"), evaluation=Evaluation(judge=JudgeMethod.PAIRS)), 450, 300),
    ],
)
def test_all_samples_and_each_pair_in_both_orders_are_expected(
    settings: RunSettings, drafts: int, critiques: int
) -> None:
    """And the score of the one that is chosen; where given tests decide, what is usual."""
    made, samples = forecast(settings), 4 if drafts == 400 else 3
    assert made.phases == {
        Phase.GENERATION: Usd(DRAFT * drafts // 100),
        Phase.CROSS_REVIEW: Usd(REVIEW * critiques // 100),
        Phase.EVALUATION: Usd(2 * REVIEW + samples * (samples - 1) * PAIR),
    }
    tested = forecast(settings, coded(tests="1" * 64, validators=("pytest",)))
    assert tested.phases[Phase.EVALUATION] == Usd(REVIEW)


@pytest.mark.parametrize(("decide", "evaluations"), [(True, 1), (False, 2)])
def test_given_tests_leave_one_evaluation(decide: bool, evaluations: int) -> None:
    """A second one is skipped where the tests are the score, and only there."""
    tested = coded(tests="1" * 64, validators=("pytest",))
    made = forecast(RunSettings(evaluation=Evaluation(tests_decide=decide)), tested)
    assert made.phases[Phase.EVALUATION] == Usd(REVIEW * evaluations)


def test_a_longer_prompt_and_outputs_built_on_are_read() -> None:
    """Four bytes are a token, and a dependency's output is as long as its type's typical one."""
    alone, after = forecast(of("plain"), coded()), forecast(of("plain"), coded(), coded("u", "t"))
    assert after.expected.nano - 2 * alone.expected.nano == 250 * 1000
    long = forecast(of("plain"), task("t", CODE, prompt_bytes=4000))
    assert long.expected.nano - alone.expected.nano == 1000 * 1000


def test_a_short_limit_bounds_the_typical_answer() -> None:
    """No answer is longer than what is asked for."""
    made = forecast(evolve(of("plain"), max_tokens={**RunSettings().max_tokens, CODE: 100}))
    assert made.expected == Usd(300 * 1000 + 100 * 10_000)


def test_a_server_on_this_machine_reads_and_writes_at_its_pace() -> None:
    """90 tokens read and 20 written a second; a summary is shorter than code; another machine takes two seconds."""
    code = forecast(of("plain"), local=("simulated",))
    assert code.duration == 300 * SECOND // 90 + 250 * SECOND // 20
    text = forecast(of("plain"), task("t", TEXT, prompt_bytes=0), local=("simulated",))
    assert text.duration == 300 * SECOND // 90 + 150 * SECOND // 20
    assert forecast(of("plain"), local=("other",)).duration == 2 * SECOND
    assert code.expected == forecast(of("plain")).expected


def test_calls_side_by_side_share_the_time() -> None:
    """Independent tasks divide it by the concurrency; dependent ones wait for each other."""
    settings, plan = evolve(of("plain"), concurrency=2), [coded(f"t{n}") for n in range(4)]
    assert forecast(settings, *plan).duration == 4 * SECOND
    assert forecast(settings, coded("a"), coded("b", "a"), coded("c", "b")).duration == 6 * SECOND


@pytest.mark.parametrize(("calls", "is_measured"), [(9, False), (10, True)])
def test_what_was_measured_stands_before_what_is_typical(calls: int, is_measured: bool) -> None:
    """From ten calls on the averages count, of a local model too."""
    prior = e.Prior("author", CODE, calls, 0.9, 0.5, 7000.0, 1.0)
    made = forecast(of("plain"), local=("simulated",), priors=(prior,))
    assert (made.expected == Usd.parse("0.5"), made.duration == 7 * SECOND) == (is_measured, is_measured)


def test_a_task_on_a_small_model_is_within_a_factor_of_three() -> None:
    """Tasks of code with tests were measured to take about 1,300 tokens, prompts and answers together."""
    plan = [task("t", CODE, prompt_bytes=600, tests="1" * 64, validators=("pytest",))]
    stage = Stage(RunSettings(), [model("only", price=Price(Usd.parse(1), Usd.parse(1)))], plan)
    stage.begin()
    tokens = stage.last(e.ForecastMade).expected.nano // 1000
    assert 1300 / 3 <= tokens <= 1300 * 3
