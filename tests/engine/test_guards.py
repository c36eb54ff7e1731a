"""What the engine refuses to send, to believe and to record, on the simulated machine."""

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from attrs import Factory, define, evolve

from orchestrator import events as e
from orchestrator.engine.loop import Loop
from orchestrator.engine.session import Session
from orchestrator.errors import ErrorKind
from orchestrator.models import AnsweredBy, Finish, Verdict
from orchestrator.money import Usage, Usd
from orchestrator.spi import Body, CallContext, Reply, Request
from orchestrator.testing.laws import Laws
from orchestrator.testing.simulation.simulated_vendor import SimulatedVendor
from orchestrator.testing.simulation.simulator import World
from tests.engine.test_loop import first_session, scenario

History = list[tuple[int, e.Event]]


async def to_the_end(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
    """A session as it comes."""
    await loop.run(opening)


def of_vendor(kind: type[SimulatedVendor], **fields: Any) -> tuple[World, History]:
    """A run of three tasks at another vendor, to its end."""
    world = World(scenario())
    own = {name: getattr(world.vendor, name) for name in ("seed", "catalogue", "tasks", "slowest", "epoch")}
    world.vendor = kind(**own, **fields)
    return world, first_session(world, to_the_end)


def lawful(history: History) -> bool:
    """Whether the history keeps every law."""
    laws = Laws()
    for at, event in history:
        laws.take(at, event)
    return laws.problems == []


# ── sent ───────────────────────────────────────────────────────────────────────────────────────────────────────


@define
class Growing(SimulatedVendor):
    """Shapes the body of a call longer than the one that was prepared."""

    more: int = 0
    shaped: Counter[str] = Factory(Counter)

    def encode(self, request: Request) -> Body:
        """The body, with ``more`` bytes in every one but the first of a call and model."""
        body = SimulatedVendor.encode(self, request)
        key = f"{evolve(request.call, try_=1)} {request.model.id}"
        self.shaped[key] += 1
        return body if self.shaped[key] == 1 else Body(body.content + b" " * self.more, body.request)


@pytest.mark.parametrize("more", [1, 2, 10_000])
def test_a_body_larger_than_what_is_held_is_not_sent(more: int) -> None:
    """One byte is enough: no request reaches the vendor, and every hold is released."""
    world, history = of_vendor(Growing, more=more)
    assert world.vendor.bills == []
    failed = [event for _, event in history if isinstance(event, e.CallFailed)]
    assert failed
    assert {(each.kind, each.settled, each.unreconciled) for each in failed} == {(ErrorKind.UNSENT, Usd.ZERO, Usd.ZERO)}
    assert lawful(history)


def test_a_body_of_the_size_that_is_held_is_sent() -> None:
    """The bound itself is within the bound."""
    world, history = of_vendor(Growing, more=0)
    assert world.vendor.bills
    assert not any(isinstance(event, e.CallFailed) for _, event in history)


# ── believed ───────────────────────────────────────────────────────────────────────────────────────────────────


@define
class Reporting(SimulatedVendor):
    """Answers everything with one text and one usage."""

    text: str = ""
    usage: Any = None

    async def call(self, run: str, body: Body, ctx: CallContext) -> Reply:
        """The answer."""
        return Reply(self.text, self.usage, Finish.STOP, "req")


@pytest.mark.parametrize(
    ("text", "usage", "believed"),
    [
        ("text", Usage(input=9, output=1), True),
        ("text", Usage(cached_input=9, reasoning=1), True),
        ("", Usage(input=9), True),
        ("text", Usage(input=9), False),
        ("t", Usage(input=9, cached_input=4), False),
        ("text", Usage(output=9), False),
        ("text", Usage(), False),
        ("text", Usage(input=9, output=-1), False),
        ("text", Usage(input=9, output=10**9), False),
        ("text", Usage(input=9, output=1.5), False),  # type: ignore[arg-type]
        ("text", {"input": 9, "output": 1}, False),
        ("text", None, False),
    ],
)
def test_a_usage_that_cannot_be_is_not_believed(text: str, usage: Any, believed: bool) -> None:
    """A text of no output tokens, an answer to no input, a negative count: nothing is settled, the hold is kept."""
    _, history = of_vendor(Reporting, text=text, usage=usage)
    holds = {version: event.hold for version, (_, event) in enumerate(history, 1) if isinstance(event, e.CallStarted)}
    answers = [event for _, event in history if isinstance(event, e.CallSucceeded)]
    assert answers
    for answer in answers:
        assert answer.usage == (usage if believed else None)
        if not believed:
            assert (answer.settled, answer.unreconciled) == (Usd.ZERO, holds[answer.call])
        else:
            assert answer.unreconciled == Usd.ZERO
    assert lawful(history)


# ── recorded ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pace", [0, -1, -1_000_000])
def test_each_step_has_a_later_time_than_the_one_before(pace: int) -> None:
    """Also where the clock stands still or runs backwards: equal times in a log mean one step."""
    appended: list[int] = []

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        now, append = session.ports.clock(), loop.log.append

        async def noting(expected: int, at: int, events: Sequence[e.Event]) -> Any:
            appended.append(at)
            return await append(expected, at, events)

        loop.log = cast("Any", SimpleNamespace(append=noting))
        loop.ports = evolve(session.ports, clock=lambda: now + pace * len(appended))
        await loop.run(opening)

    history = first_session(World(scenario()), body)
    assert isinstance(history[-1][1], e.RunFinished)
    assert len(appended) > 10
    assert appended == sorted(set(appended))
    assert {at for at, _ in history} == set(appended)


LATE = [
    e.CallPrepared(999, "0", 1),
    e.CallSucceeded(999, "0" * 64, 1, Finish.STOP, e.Reading(), None, Usd.ZERO, Usd(7), 1),
    e.CallFailed(999, ErrorKind.SERVER, True, True, True, Usd.ZERO, Usd(7), None, None, None, 1),
    e.Validated(999, Verdict.PASSED, None, 1),
    e.FileWritten(999, 1, None),
    e.ResultVerified(999, Verdict.PASSED, None, 0, None, None, 1),
    e.QuestionAnswered(999, True, AnsweredBy.PERSON, False),
]


@pytest.mark.parametrize("outcome", LATE, ids=lambda outcome: type(outcome).__name__)
def test_a_late_outcome_of_any_kind_is_dropped(outcome: e.Outcome) -> None:
    """The outcome of an effect that is no longer pending leaves no event, and the run goes on to its end."""

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        loop.bring(outcome)
        await loop.run(opening)

    history = first_session(World(scenario()), body)
    assert outcome not in [event for _, event in history]
    assert isinstance(history[-1][1], e.RunFinished)
    assert lawful(history)
