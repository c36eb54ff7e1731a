"""Asking again: tries, pauses, breakers, fallbacks, money."""

from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve as changed
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.decide.retries_and_circuits import draw, ready_at
from orchestrator.errors import ErrorKind
from orchestrator.models import ProjectStatus, Role, SpendLimit, TaskStatus, TaskType
from orchestrator.money import Price, Usage, Usd
from orchestrator.settings import SECOND, Limits, RunSettings
from orchestrator.testing.decide_by_hand import CHEAP, Stage, model, task

FIXED: Any = {"fixed_types": tuple(TaskType), "fixed_roles": tuple(Role)}
"""Answers are asked for at their limits."""
DEAR = Price(Usd.parse(50), Usd.parse(200))
BOTH = (model("a", "north"), model("b", "south", price=Price(Usd.parse("0.2"), Usd.parse("0.8"))))


def stage(*models: Any, tasks: int = 1, **settings: Any) -> Stage:
    """Independent tasks, the first draft prepared."""
    made = Stage(RunSettings(**FIXED, routing={}, **settings), models or BOTH, [task(f"t{n}") for n in range(tasks)])
    made.begin()
    made.prepare()
    return made


def test_a_model_is_tried_three_times_then_the_next() -> None:
    """Tries go on over models, attempts count from one, and the fallback is counted for the author."""
    made = stage(limits=Limits(breaker_failures=99))
    for _ in range(3):
        made.fail()
        if made.open(e.ModelSelected):
            made.prepare()
        else:
            made.wait()
    started = made.all(e.CallStarted)
    assert [(each.model, each.attempt, each.try_) for each in started] == [
        ("a", 1, 1),
        ("a", 2, 2),
        ("a", 3, 3),
        ("b", 4, 4),
    ]
    assert made.last(e.ModelSelected).reason == "fallback"
    assert made.state.tasks["t0"].fallbacks == 1


def test_a_call_ends_after_its_attempts() -> None:
    """Twelve ends by vendors, or however many the limits say, and the call is given up."""
    models = tuple(model(f"m{number}") for number in range(6))
    made = stage(*models, limits=Limits(tries=3, attempts=7, breaker_failures=99))
    made.play(lambda started: ErrorKind.SERVER)
    assert len(made.all(e.CallStarted)) == 7
    assert made.last(e.TaskFinished).reason == "failed"
    assert made.last(e.RunFinished).status is ProjectStatus.SYSTEM_FAILURE


def test_an_end_by_cancelling_counts_in_no_limit() -> None:
    """The attempt's number goes on, the try does not."""
    made = stage()
    hold = made.last(e.CallStarted).hold
    made.fail(kind=ErrorKind.CANCELLED, outage=False, by_vendor=False, unreconciled=hold)
    assert (made.last(e.CallStarted).attempt, made.last(e.CallStarted).try_) == (2, 1)


def test_the_pauses_of_a_fresh_model_begin_anew() -> None:
    """After three attempts of another model its first pause is at most a second; under older rules eight."""
    made = stage(limits=Limits(breaker_failures=99))
    while made.last(e.CallStarted).model == "a":
        made.fail()
        made.prepare() if made.open(e.ModelSelected) else made.wait()
    made.fail()
    call = next(iter(made.state.tasks["t0"].calls.values()))
    assert call.failure is not None
    assert (call.ended, call.tries["b"]) == (4, 1)
    assert SECOND // 2 <= ready_at(made.state, call) - call.failure.at < SECOND
    assert made.state.session is not None
    made.state.session = changed(made.state.session, rules=3)
    assert 4 * SECOND <= ready_at(made.state, call) - call.failure.at < 8 * SECOND


WAITS = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 60, 8: 60, 9: 60, 10: 60, 11: 60, 12: 60}
"""Seconds, by the number of attempts that have ended: what each pause is at most; it is half as long at least."""


def paused(ended: int, seed: int, retry_after: int | None = None) -> int:
    """The pause after so many attempts of a run with this seed, in microseconds."""
    made = stage(model("a"))
    made.state.start = changed(made.last(e.RunStarted), seed=seed)
    made.fail(retry_after=retry_after)
    call = next(iter(made.state.tasks["t0"].calls.values()))
    call.ended = call.tries["a"] = ended
    assert call.failure is not None
    return ready_at(made.state, call) - call.failure.at


@pytest.mark.parametrize(("ended", "whole"), WAITS.items())
@given(seed=st.integers(0, 2**63))
def test_every_pause_is_between_the_half_and_the_whole(ended: int, whole: int, seed: int) -> None:
    """One second, doubled with each attempt, a minute at most."""
    assert whole * SECOND // 2 <= paused(ended, seed) < whole * SECOND


@pytest.mark.parametrize("ended", WAITS)
def test_every_pause_is_drawn_anew(ended: int) -> None:
    """Runs that failed together do not come back together: the draws of forty seeds reach all quarters of the range."""
    half = WAITS[ended] * SECOND // 2
    quarters = {(paused(ended, seed) - half) * 4 // half for seed in range(40)}
    assert quarters == {0, 1, 2, 3}


@given(st.integers(1, 12), st.integers(0, 2**40), st.integers(0, 10**10))
def test_a_vendor_may_ask_for_a_longer_pause(ended: int, seed: int, retry_after: int) -> None:
    """Retry-After counts up to a minute, and never shortens the pause."""
    assert paused(ended, seed, retry_after) == max(paused(ended, seed), min(retry_after, 60 * SECOND))


def test_no_attempt_starts_before_its_pause_is_over() -> None:
    """A microsecond before nothing is decided; at the time the attempt starts."""
    made = stage(model("a"), limits=Limits(tries=12, breaker_failures=99, call_total=10**12))
    for ended in range(1, 12):
        made.fail()
        ready = ready_at(made.state, next(iter(made.state.tasks["t0"].calls.values())))
        assert made.waits_until == ready
        made.now = ready - 1
        assert made.step() == []
        made.now = ready
        assert [type(event) for event in made.step()] == [e.CallStarted]
        assert made.last(e.CallStarted).attempt == ended + 1


@given(st.integers(), st.text(max_size=5), st.integers(1, 5))
def test_draws_depend_on_their_arguments_only(seed: int, node: str, number: int) -> None:
    """Equal arguments give equal draws, below 2⁶⁴."""
    assert draw(seed, "x", node, number) == draw(seed, "x", node, number)
    assert 0 <= draw(seed, "x", node, number) < 2**64
    assert draw(seed, "x", node, number) != draw(seed, "x", node, number + 1)


def test_a_long_retry_after_moves_on_where_somebody_else_is_left() -> None:
    """Beyond a minute the next model is asked; the last one is waited for, a minute at most."""
    made = stage()
    made.fail(kind=ErrorKind.RATE_LIMIT, outage=False, retry_after=4000 * SECOND)
    assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).reason) == ("b", "fallback")
    made.prepare()
    failed_at = made.now
    made.fail(kind=ErrorKind.RATE_LIMIT, outage=False, retry_after=4000 * SECOND)
    assert made.waits_until is not None
    assert made.waits_until - failed_at <= 60 * SECOND + 1


@pytest.mark.parametrize("kind", [ErrorKind.AUTHENTICATION, ErrorKind.QUOTA, ErrorKind.UNKNOWN_MODEL])
def test_a_model_without_access_is_off_for_the_session(kind: ErrorKind) -> None:
    """It is switched off at once, listed as ``off``, and tried again by the next session."""
    made = stage()
    made.fail(kind=kind, retryable=False, outage=False)
    opened = made.last(e.BreakerOpened)
    assert (opened.model, opened.reason, opened.until) == ("a", kind.value, None)
    rejection = {candidate.model: candidate.rejection for candidate in made.last(e.ModelSelected).candidates}
    assert rejection["a"] == "off"
    made.step(e.SessionFailed("0" * 64))
    made.step(made.opening())
    made.prepare()
    made.play()
    assert made.last(e.RunFinished).status is ProjectStatus.SUCCESS
    assert any(selected.model == "a" for selected in made.all(e.ModelSelected)[2:])


def test_rate_limits_open_no_breaker() -> None:
    """Three 429 are no failures of the model."""
    made = stage()
    made.play(lambda started: ErrorKind.RATE_LIMIT if started.attempt <= 3 and started.role is Role.GENERATOR else {})
    assert made.all(e.BreakerOpened) == []


def test_an_answer_begins_the_count_of_failures_anew() -> None:
    """Two outages, an answer, two outages: no breaker opens; a third in a row opens it."""
    made = stage(model("a"), limits=Limits(tries=12), tasks=2, concurrency=1)

    def outage() -> None:
        made.prepare()
        while not made.open(e.CallStarted):
            made.wait()
        made.fail()

    outage()
    outage()
    while not made.open(e.CallStarted):
        made.wait()
    made.answer()
    outage()
    outage()
    assert made.all(e.BreakerOpened) == []
    outage()
    assert [opened.reason for opened in made.all(e.BreakerOpened)] == ["failures"]


def test_a_breaker_opens_probes_and_closes() -> None:
    """Three failures in a row open it; alone, the call waits a minute; one probe, whose answer closes it."""
    made = stage(model("a"), limits=Limits(tries=12), tasks=2)
    while not made.all(e.BreakerOpened):
        made.fail() if made.open(e.CallStarted) else made.wait()
    opened = made.last(e.BreakerOpened)
    assert (opened.reason, opened.until) == ("failures", made.now + 60 * SECOND)
    while made.open(e.CallStarted):
        made.fail(kind=ErrorKind.RATE_LIMIT, outage=False)
    while not made.open(e.CallStarted):
        made.wait()
    assert made.now >= (opened.until or 0)
    assert [call.probe for _, call in made.open(e.CallStarted)] == [True]
    made.answer()
    assert made.last(e.BreakerClosed).model == "a"


def test_a_failed_probe_opens_the_breaker_again() -> None:
    """One outage of the probe is enough."""
    made = stage(model("a"), limits=Limits(tries=12, breaker_failures=1))
    made.fail()
    while not made.open(e.CallStarted):
        made.wait()
    made.fail()
    assert [opened.reason for opened in made.all(e.BreakerOpened)] == ["failures", "probe"]


def test_a_candidate_behind_a_breaker_is_skipped_while_another_is_left() -> None:
    """The call moves on with the reason ``breaker``."""
    made = stage(limits=Limits(breaker_failures=1))
    made.fail()
    assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).reason) == ("b", "breaker")


def test_a_prompt_that_does_not_fit_goes_to_the_next_model() -> None:
    """Bytes/3 must leave 256 tokens of the window; the reason is ``context``."""
    made = Stage(RunSettings(**FIXED, routing={}), (model("small", context=2000), BOTH[1]), [task("t")])
    made.begin()
    made.prepare(3 * (2000 - 255))
    assert (made.all(e.ModelSelected)[1].model, made.all(e.ModelSelected)[1].reason) == ("b", "context")


@pytest.mark.parametrize(
    ("limit", "left", "asked"),
    [(1024, 256, 256), (1024, 1023, 1023), (1024, 1024, 1024), (1024, 9000, 1024), (100, 100, 100)],
)
def test_the_answer_gets_what_the_prompt_leaves_of_the_window(limit: int, left: int, asked: int) -> None:
    """A model whose window is no larger than the usual limit is asked all the same."""
    settings = RunSettings(**FIXED, routing={}, max_tokens=dict.fromkeys(TaskType, limit))
    made = Stage(settings, (model("small", context=left + 500), BOTH[1]), [task("t")])
    made.begin()
    made.prepare(1_500)
    started = made.last(e.CallStarted)
    assert (started.model, started.max_tokens) == ("small", asked)


def test_a_body_that_cannot_be_shaped_goes_to_the_next_model() -> None:
    """Nothing is held for it."""
    made = Stage(RunSettings(**FIXED, routing={}), BOTH, [task("t")])
    made.begin()
    made.step(e.CallPrepared(made.open(e.ModelSelected)[0][0], "0" * 64, 0, "not_encoded"))
    assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).reason) == ("b", "fallback")
    assert made.all(e.CallStarted) == []


# ── money ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _evaluation(price: Price, max_tokens: int) -> Usd:
    return price.bound(4 * max_tokens + 4096 + 512, 1024)


def test_a_draft_leaves_room_for_its_evaluation() -> None:
    """At one nano-dollar less than hold and estimate together the draft is shrunk."""
    full = CHEAP.bound(100 + 512, 1024)
    judge = _evaluation(CHEAP, 1024)
    alone = (model("a"),)
    exact = stage(*alone, cap=full + judge)
    assert exact.last(e.CallStarted).max_tokens == 1024
    short = stage(*alone, cap=full + judge - Usd(1))
    assert 256 <= short.last(e.CallStarted).max_tokens < 1024


@given(st.integers(0, 2_000_000))
def test_a_shrunk_call_is_never_below_the_floor(nano: int) -> None:
    """Not below a quarter of the role's limit nor 256, and as large as the money allows."""
    made = stage(model("a"), cap=Usd(nano))
    for started in made.all(e.CallStarted)[:1]:
        assert 256 <= started.max_tokens <= 1024
        if started.max_tokens < 1024:
            more = CHEAP.bound(612, started.max_tokens + 1) + _evaluation(CHEAP, started.max_tokens + 1)
            assert more > Usd(nano)
    if not made.all(e.CallStarted):
        assert CHEAP.bound(612, 256) + _evaluation(CHEAP, 256) > Usd(nano)
        assert made.last(e.SpendRefused).limit == "run"


def test_a_shrunk_answer_is_never_asked_again_larger() -> None:
    """After a raise of the money the same model is asked at the size it had."""
    made = stage(model("a"), cap=CHEAP.bound(612, 1024) + _evaluation(CHEAP, 1024) - Usd(1))
    shrunk = made.last(e.CallStarted).max_tokens
    made.fail()
    made.state.cap = Usd.parse(100)
    made.wait()
    assert made.last(e.CallStarted).max_tokens == shrunk


def test_a_cheaper_path_is_taken_before_money_is_refused() -> None:
    """A run that cannot pay its first model asks one it can pay: reason ``budget``, nothing refused."""
    made = Stage(
        RunSettings(**FIXED, routing={TaskType.SUMMARIZATION: ("dear",)}, cap=Usd.parse("0.02")),
        (model("dear", "north", price=DEAR), model("cheap", "south")),
        [task("t")],
    )
    made.begin()
    made.prepare()
    assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).reason) == ("cheap", "budget")
    made.play()
    refused = made.all(e.SpendRefused)
    assert all(each.role is not Role.GENERATOR for each in refused)
    assert made.state.tasks["t"].output is not None


def test_a_call_waits_for_money_in_flight_and_no_later_one_starts() -> None:
    """The second task waits at full size; the third, which would fit, does not overtake it."""
    hold, judge = CHEAP.bound(612, 1024), _evaluation(CHEAP, 1024)
    small = task("t2", TaskType.SUMMARIZATION)
    tasks = [task("t0"), task("t1"), small]
    made = Stage(RunSettings(**FIXED, routing={}, cap=hold + judge, concurrency=3), (model("a"),), tasks)
    made.begin()
    made.prepare()
    assert [started.node for started in made.all(e.CallStarted)] == ["t0"]
    made.answer(usage=Usage(input=1, output=1))
    made.prepare()
    assert made.all(e.CallStarted)[1].node in ("t0", "t1")
    assert made.all(e.SpendRefused) == []


@pytest.mark.parametrize("role", [Role.GENERATOR, Role.CRITIC, Role.REVISER, Role.EVALUATOR])
def test_what_a_refusal_means_for_each_role(role: Role) -> None:
    """No draft: failed. No critique or revision: the draft stands. No evaluation: no score."""
    made = stage()

    def respond(started: e.CallStarted) -> dict[str, Any]:
        return {}

    while not any(selected.role is role for _, selected in made.open(e.ModelSelected)):
        if made.open(e.ModelSelected):
            made.prepare()
        elif role is Role.GENERATOR:
            break
        else:
            made.answer(score=0.95 if made.open(e.CallStarted)[0][1].role is Role.EVALUATOR else None)
    if role is Role.GENERATOR:
        made = stage(cap=Usd(10))
    else:
        made.state.cap = made.state.spend.total + Usd(1)
        made.prepare()
    while made.state.finished is None:
        if made.open(e.ModelSelected):
            made.prepare()
        elif made.open(e.CallStarted):
            made.answer(score=0.95)
        else:
            made.wait()
    refused = [each for each in made.all(e.SpendRefused) if each.role is role]
    assert refused
    end = made.last(e.TaskFinished)
    if role is Role.GENERATOR:
        assert (end.status, end.reason) == (TaskStatus.FAILED, "budget")
        assert made.last(e.RunFinished).status is ProjectStatus.BUDGET_EXHAUSTED
    else:
        assert end.status is TaskStatus.DEGRADED
    if role in (Role.CRITIC, Role.REVISER):
        assert made.all(e.StepSkipped)[0].reason == "budget"
    if role is Role.EVALUATOR:
        assert made.all(e.Evaluated)[0].score is None


def test_money_is_refused_once_and_again_after_a_raise() -> None:
    """One SpendRefused per logical call, one more when a raise was not enough."""
    made = stage(cap=Usd(10))
    assert len(made.all(e.SpendRefused)) == 1
    made.step(e.BudgetRaised(Usd(20), ("t0",)), made.opening())
    made.prepare()
    assert len(made.all(e.SpendRefused)) == 2
    made.step(e.BudgetRaised(Usd.parse(1), ("t0",)), made.opening())
    assert made.play().status is ProjectStatus.SUCCESS


def test_an_excess_is_recorded_and_stops_the_model() -> None:
    """A vendor that bills beyond a hold is reported once, and called no more."""
    made = stage()
    started = made.last(e.CallStarted)
    made.answer(usage=Usage(input=10, output=started.max_tokens * 10))
    exceeded = made.last(e.SpendExceeded)
    assert (exceeded.model, exceeded.hold) == ("a", started.hold)
    assert made.state.excess == exceeded.settled - exceeded.hold
    made.play()
    assert {each.model for each in made.all(e.CallStarted)[1:]} == {"b"}


def test_phases_warn_at_their_shares_and_stop_nothing() -> None:
    """80, 100 and 200 percent of a soft share are recorded once each."""
    made = stage(cap=Usd.parse("0.002"))
    made.play(lambda started: {"usage": Usage(input=started.body_bytes, output=started.max_tokens)})
    warned = [(warning.phase, warning.percent) for warning in made.all(e.BudgetWarned)]
    assert len(warned) == len(set(warned)) > 0
    assert {percent for _, percent in warned} <= {80, 100, 200}


# ── accounts ───────────────────────────────────────────────────────────────────────────────────────────────────


def _full(free: Usd, in_flight: Usd) -> Any:
    def refuse(call: e.CallStarted) -> e.AccountRefused | None:
        return e.AccountRefused(call, "org", call.hold, free, in_flight) if call.hold > free else None

    return refuse


def _with_account(free: Usd, in_flight: Usd, *models: Any) -> Stage:
    made = Stage(RunSettings(**FIXED, routing={}, accounts=("org",)), models or (model("a"),), [task("t")])
    made.full_accounts = _full(free, in_flight)
    made.begin()
    made.prepare()
    return made


def test_an_account_is_asked_again_with_growing_pauses_for_a_minute() -> None:
    """0.5, 1, 2, 4 … seconds, 60 in all; then, where no size fits, the money is refused."""
    made = _with_account(Usd(1), Usd.parse(1))
    began = made.now
    while made.state.finished is None:
        made.wait()
    times = [at for at, event in made.history if isinstance(event, e.AccountRefused)]
    pauses = [round((after - before) / SECOND, 1) for before, after in pairwise(times)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 28.5]
    assert round((times[-1] - began) / SECOND) == 60
    assert (made.last(e.SpendRefused).limit, made.last(e.SpendRefused).name) == (SpendLimit.ACCOUNT, "org")
    assert made.all(e.CallStarted) == []


def test_money_that_cannot_become_free_is_not_waited_for() -> None:
    """Unreconciled money never counts: the call shrinks at once to what the account has."""
    free = CHEAP.bound(612, 600)
    made = _with_account(free, Usd.ZERO)
    assert len(made.all(e.AccountRefused)) == 1
    assert made.last(e.CallStarted).max_tokens == 600
    assert made.last(e.CallStarted).hold <= free


def test_a_call_shrinks_once_for_an_account_then_the_next_model_is_asked() -> None:
    """When the smaller size is refused too, the candidate is given up with the reason ``budget``."""
    made = Stage(
        RunSettings(**FIXED, routing={}, accounts=("org",)),
        (model("a"), model("b", "south", price=Price(Usd.parse("0.2"), Usd.parse("0.8")))),
        [task("t")],
    )
    made.full_accounts = lambda call: e.AccountRefused(
        call, "org", call.hold, CHEAP.bound(612, 600) if call.max_tokens > 600 else Usd.ZERO, Usd.ZERO
    )
    made.begin()
    version = made.open(e.ModelSelected)[0][0]
    made.step(e.CallPrepared(version, "0" * 64, 100, None))
    assert [refused.call.max_tokens for refused in made.all(e.AccountRefused)] == [1024, 600]
    assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).reason) == ("b", "budget")


def test_an_account_that_gets_room_lets_the_call_start_at_full_size() -> None:
    """The wait ends with the hold that was asked for; no attempt was used up."""
    made = _with_account(Usd(1), Usd.parse(1))
    made.full_accounts = lambda call: None
    made.wait()
    assert (made.last(e.CallStarted).max_tokens, made.last(e.CallStarted).attempt) == (1024, 1)


# ── one deadline for all attempts ──────────────────────────────────────────────────────────────────────────────


def test_all_attempts_at_a_call_share_one_time() -> None:
    """What earlier attempts took is taken from the next one's time-out; when nothing is left the call is given up."""
    limits = Limits(breaker_failures=99, call_timeout=600 * SECOND, call_total=1000 * SECOND)
    made = stage(*(model(f"m{number}") for number in range(4)), limits=limits)
    for took in (600, 390, 9):
        made.fail(kind=ErrorKind.TIMEOUT, latency=took * SECOND)
        made.wait()
    assert [each.timeout // SECOND for each in made.all(e.CallStarted)] == [600, 400, 30]
    made = stage(*(model(f"m{number}") for number in range(4)), limits=limits)
    made.fail(kind=ErrorKind.TIMEOUT, latency=600 * SECOND)
    made.wait()
    made.fail(kind=ErrorKind.TIMEOUT, latency=400 * SECOND)
    assert made.last(e.TaskFinished).reason == "failed"
    assert len(made.all(e.CallStarted)) == 2


def test_pauses_take_nothing_from_the_time_of_a_call() -> None:
    """Only what attempts took counts: a call that waits for its iteration loses nothing."""
    made = stage(limits=Limits(breaker_failures=99, call_timeout=600 * SECOND, call_total=1000 * SECOND))
    made.now += 2000 * SECOND
    made.fail(latency=SECOND)
    made.wait()
    assert made.last(e.CallStarted).timeout == 600 * SECOND


def test_the_time_of_an_attempt_follows_from_what_is_asked_for_and_the_pace_of_the_model() -> None:
    """Before the first answer a slow pace is taken; a slow model gets more time than a fast one; a limit is kept."""
    made = stage()
    first = made.last(e.CallStarted)
    assert first.max_tokens / 10 * SECOND < first.timeout < first.max_tokens / 10 * SECOND + 200 * SECOND
    slow, fast = (_second_timeout(latency) for latency in (100 * SECOND, SECOND))
    assert slow > fast >= 120 * SECOND
    made = stage(limits=Limits(call_timeout=7 * SECOND))
    assert made.last(e.CallStarted).timeout == 7 * SECOND


def _second_timeout(latency: int) -> int:
    """The time-out of the critic's call, where the only model took so long for a thousand tokens."""
    made = stage(model("m0"))
    made.answer(usage=Usage(input=10, output=1000), latency=latency)
    made.prepare()
    critic = made.last(e.CallStarted)
    assert (critic.model, critic.role) == ("m0", Role.CRITIC)
    return critic.timeout
