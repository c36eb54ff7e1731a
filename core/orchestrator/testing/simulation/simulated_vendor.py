"""A vendor that only pretends: answers, latencies, faults and bills drawn from a seed and the logical call's try."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from attrs import Factory, define, frozen

from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.models import (
    APP_TYPES,
    Finish,
    ModelInfo,
    Role,
    StructuralPattern,
    SuggestionKind,
    TaskType,
    Topology,
    is_comparison,
)
from orchestrator.money import Usage, Usd
from orchestrator.settings import SECOND
from orchestrator.spi import Body, CallContext, CallRef, Reply, Request

FAULTS: Final[dict[str, dict[str, Any]]] = {
    "rate_limit": {"kind": ErrorKind.RATE_LIMIT, "retryable": True, "billed": Billed.NO, "status": 429},
    "overloaded": {"kind": ErrorKind.OVERLOADED, "retryable": True, "billed": Billed.NO, "status": 529},
    "server": {"kind": ErrorKind.SERVER, "retryable": True, "billed": Billed.NO, "status": 500},
    "gateway": {"kind": ErrorKind.SERVER, "retryable": True, "billed": Billed.UNKNOWN, "status": 504},
    "connection": {"kind": ErrorKind.CONNECTION, "retryable": True, "billed": Billed.NO},
    "cut": {"kind": ErrorKind.CONNECTION, "retryable": True, "billed": Billed.UNKNOWN},
    "authentication": {"kind": ErrorKind.AUTHENTICATION, "billed": Billed.NO, "status": 401},
    "quota": {"kind": ErrorKind.QUOTA, "billed": Billed.NO, "status": 429},
    "unknown_model": {"kind": ErrorKind.UNKNOWN_MODEL, "billed": Billed.NO, "status": 404},
    "content_filter": {"kind": ErrorKind.CONTENT_FILTER, "billed": Billed.NO, "status": 400},
    "bad_request": {"kind": ErrorKind.BAD_REQUEST, "billed": Billed.NO, "status": 400},
    "bad_answer": {"kind": ErrorKind.BAD_ANSWER, "retryable": True, "billed": Billed.UNKNOWN, "status": 200},
}
"""The classified errors the vendor can be made to give."""

_CONNECTING: Final = 0.01
"""Seconds until a connection is refused."""

ODDITIES: Final = (
    "long_retry_after",
    "hang",
    "raise",
    "rubbish",
    "no_usage",
    "zero_usage",
    "absurd_usage",
    "over_bound",
    "settled_error",
    "empty",
    "unreadable",
    "cyclic_plan",
    "not_encoded",
)
"""What else it can be made to do wrong."""


@frozen
class Bill:
    """One request as the vendor bills it, written when it arrives."""

    run: str
    call: CallRef
    model: str
    sent: int
    """Bytes."""
    max_tokens: int
    billed: Usd
    answers: bool
    """Whether an answer will be sent, should anybody still wait for it."""
    fault: str | None
    """What went wrong at the vendor's, if anything."""


@define
class SimulatedVendor:
    """A provider whose behaviour is a pure function of (seed, logical call, model, try).

    Attributes:
        catalogue: what it sells.
        faults: names of FAULTS and ODDITIES that may happen.
        rate: how likely one of them is, per attempt.
        by_model: whether answers depend on the model too; without, an outcome after a crash can equal one without.
        bills: every request that reached it.
        fired: how often each fault happened.
    """

    seed: int
    catalogue: Sequence[ModelInfo]
    faults: Sequence[str] = ()
    rate: float = 0.0
    by_model: bool = False
    tasks: int = 5
    """How many tasks it plans."""
    slowest: float = 20.0
    """Seconds."""
    epoch: int = 0
    """The clock, in microseconds UTC, when the loop's time is 0: prices may depend on it."""
    cut_rate: float = 0.0
    """How many of its answers are long: below what one needs it is cut off at the call's limit."""
    calls_per_minute: int | None = None
    """How often a run may ask it; beyond, it answers 429."""
    calls_per_second: int | None = None
    """How often all runs together may ask it; beyond, it answers 429."""
    outages: Sequence[tuple[str, float, float]] = ()
    """(host, from, to): between these virtual seconds no connection to the host can be made."""
    broke: Sequence[str] = ()
    """The accounts without money: each request is refused."""
    bills: list[Bill] = Factory(list)
    fired: Counter[str] = Factory(Counter)
    _arrivals: dict[str, deque[float]] = Factory(dict)
    """By run, the virtual seconds of the requests of the last minute."""

    def for_run(self, run: str = "run") -> "VendorOfRun":
        """The vendor as a run sees it: a provider, whose requests are in ``bills`` under the run's name."""
        return VendorOfRun(self, run)

    def encode(self, request: Request) -> Body:
        """JSON of everything that is asked."""
        if self._cannot_encode(request.call, request.model.id):
            raise ValueError("this request cannot be encoded")
        messages = [[message.author, message.text] for message in request.messages]
        content = json.dumps([request.model.id, messages, f"{request.max_tokens:7}"]).encode()
        return Body(content, request)

    async def call(self, run: str, body: Body, ctx: CallContext) -> Reply:
        """Answer, or do what the fault of this try says. What is billed is billed as soon as the request arrives."""
        where, model = body.request.call, body.request.model
        await self._connect(model, ctx)
        draw = self._draw(where, model.id, "answer")
        latency = draw.uniform(0.001, self.slowest)
        fault = "quota" if model.account in self.broke else self._fault_of(where, model.id)
        if self._is_too_often(run):
            fault = "too_often"
        if fault is not None:
            self.fired[fault] += 1
        text = "" if fault == "empty" else self._text(where, fault, draw)
        usage = self._usage(body, text, draw, fault)
        finish = Finish.STOP
        if fault is None and body.request.max_tokens < self._needed(where):
            self.fired["cut"] += 1
            text, finish = text[: len(text) // draw.choice([1, 2, 2, 1000])], Finish.LENGTH
            usage = Usage(input=usage.input_tokens, output=body.request.max_tokens)
        free = fault in FAULTS or fault in ("long_retry_after", "too_often")
        answered = self.epoch + round((asyncio.get_running_loop().time() + latency) * SECOND)
        billed = Usd.ZERO if free or model.price is None else model.price.cost(usage, answered)
        answers = not free and fault not in ("hang", "raise", "rubbish", "settled_error")
        sent, most = len(body.content), body.request.max_tokens
        self.bills.append(Bill(run, where, model.id, sent, most, billed, answers, fault))
        await ctx.sleep(latency)
        if fault == "too_often":
            raise ProviderError("simulated", **FAULTS["rate_limit"])
        if fault in FAULTS:
            wait = draw.choice([None, None, 0.5, 3.0])
            raise ProviderError(f"simulated {fault}", retry_after=wait, **FAULTS[fault])
        return await self._odd(fault, text, usage, ctx, finish)

    async def _connect(self, model: ModelInfo, ctx: CallContext) -> None:
        """Fail where the model's host cannot be reached now: the request does not arrive."""
        now = asyncio.get_running_loop().time()
        if any(host == model.host and begins <= now < ends for host, begins, ends in self.outages):
            self.fired["unreachable"] += 1
            await ctx.sleep(_CONNECTING)
            raise ProviderError("simulated", kind=ErrorKind.UNREACHABLE, retryable=True, billed=Billed.NO)

    async def _odd(self, fault: str | None, text: str, usage: Usage, ctx: CallContext, finish: Finish) -> Reply:
        match fault:
            case "hang":
                await ctx.sleep(10_000_000.0)
            case "raise":
                raise RuntimeError("a simulated bug of the provider")
            case "rubbish":
                return "not a Reply"  # type: ignore[return-value]
            case "long_retry_after":
                raise ProviderError("simulated", retry_after=4000.0, **FAULTS["rate_limit"])
            case "settled_error":
                kind, billed = ErrorKind.BAD_ANSWER, Billed.YES
                raise ProviderError("simulated", kind=kind, retryable=True, billed=billed, usage=usage)
        usages = {"no_usage": None, "zero_usage": Usage(), "absurd_usage": Usage(input=-5, output=10)}
        return Reply(text, usages.get(fault or "", usage), finish, f"req-{len(self.bills)}")

    def _draw(self, where: CallRef, model: str, purpose: str) -> Random:
        who = model if self.by_model else ""
        return Random(
            f"{self.seed}/{purpose}/{where.node}/{where.role}/{where.iteration}/{where.sample}/{where.try_}/{who}"
        )

    def _needed(self, where: CallRef) -> int:
        """The tokens that the whole of an answer takes, whatever is asked of it and how often."""
        draw = Random(f"{self.seed}/long/{where.node}/{where.role}/{where.iteration}/{where.sample}")
        return round(10 ** draw.uniform(2.5, 4.5)) if draw.random() < self.cut_rate else 0

    def _is_too_often(self, run: str) -> bool:
        """Whether a run, or all together, ask more often than the vendor lets them."""
        alone = self._exceeds(self.calls_per_minute, run, 59.9)  # its clock and the caller's differ a little
        together = self._exceeds(self.calls_per_second, "", 0.999)
        return alone or together

    def _exceeds(self, most: int | None, who: str, window: float) -> bool:
        """Whether this is one request too many within so many seconds; it counts whatever becomes of it."""
        if most is None:
            return False
        now, arrivals = asyncio.get_running_loop().time(), self._arrivals.setdefault(who, deque())
        while arrivals and arrivals[0] < now - window:
            arrivals.popleft()
        arrivals.append(now)
        return len(arrivals) > most

    def _fault_of(self, where: CallRef, model: str) -> str | None:
        draw = self._draw(where, model, "fault")
        if "cyclic_plan" in self.faults and where.role is Role.DECOMPOSER and draw.random() < 0.9:
            return "cyclic_plan"  # there are few plans in a run: at the rate of the others it would hardly ever happen
        if not self.faults or draw.random() >= self.rate:
            return None
        fault = draw.choice(list(self.faults))
        if fault == "cyclic_plan" and where.role is not Role.DECOMPOSER:
            return None
        return None if fault == "not_encoded" else fault

    def _cannot_encode(self, where: CallRef, model: str) -> bool:
        draw = Random(f"{self.seed}/not_encoded/{where.node}/{where.role}/{where.iteration}/{where.sample}/{model}")
        happens = "not_encoded" in self.faults and draw.random() < self.rate / 4
        self.fired["not_encoded"] += happens
        return happens

    def _text(self, where: CallRef, fault: str | None, draw: Random) -> str:
        if fault == "unreadable":
            return "I would rather not say."
        if where.role is Role.DECOMPOSER:
            return json.dumps({"tasks": plan(self.tasks, draw, cyclic=fault == "cyclic_plan")})
        if where.role is Role.ENHANCER:
            return json.dumps({"suggestions": [_suggestion(number, draw) for number in range(draw.randint(0, 9))]})
        if where.role is Role.ADVISOR:
            return json.dumps(_advice(draw))
        if where.role is Role.EVALUATOR and is_comparison(where.sample):
            return json.dumps({"reasons": "simulated", "better": draw.choice(["A", "B", "B", "A", "tie"])})
        if where.role is Role.EVALUATOR:
            stable = Random(f"{self.seed}/score/{where.node}/{where.iteration}")
            worst = Random(f"{self.seed}/quality").choice([0.5, 0.7, 0.88])
            return json.dumps({"score": round(stable.uniform(worst, 1.0), 3), "reasons": "simulated"})
        if where.role is Role.CRITIC and draw.random() < 0.7:
            return _critique(draw)
        name = f"{where.node} {where.role.value} {where.iteration} {where.sample} {where.try_}"
        return f"{name}: {'x' * draw.randint(1, 60)}"

    def _usage(self, body: Body, text: str, draw: Random, fault: str | None) -> Usage:
        """Real tokens: never more than a byte each, never more output than was asked for or the model can give."""
        model, limit = body.request.model, body.request.max_tokens
        most_in = len(body.content) + model.hidden_tokens
        if fault == "over_bound":
            return Usage(input=most_in, output=(model.output_bound(limit) or limit) * 2)
        read = draw.randint(max(1, most_in // 8), most_in)
        cached = draw.randint(0, read - 1) if draw.random() < 0.3 else 0
        wrote = min(limit, max(1, len(text)))
        most_out = limit if model.thinking_in_limit else max(limit, model.max_output or limit)
        thought = draw.randint(0, most_out - wrote) if draw.random() < 0.3 else 0
        return Usage(input=read - cached, cached_input=cached, output=wrote, reasoning=thought)


def _suggestion(number: int, draw: Random) -> dict[str, Any]:
    kind = draw.choice([kind.value for kind in SuggestionKind])
    patches = draw.choice([("Say more.", ""), ("", "more is said"), ("Say it.", "it is said")])
    return {"type": kind, "title": f"Number {number}", "patch_description": patches[0], "patch_criteria": patches[1]}


def _critique(draw: Random) -> str:
    """No defect, or some, with or without a counterexample."""
    example = {"input": "f(1)", "expected": "1", "actual": "2"}
    defects = [
        {"where": "f", "problem": "simulated", "counterexample": draw.choice([None, example])}
        for _ in range(draw.randint(0, 2))
    ]
    return json.dumps({"defects": defects})


def _advice(draw: Random) -> dict[str, Any]:
    return {
        "app_type": draw.choice([*APP_TYPES, "unheard_of"]),
        "structural_pattern": draw.choice([*StructuralPattern, "unheard of"]),
        "topology": draw.choice(list(Topology)),
        "rationale": "simulated",
    }


@frozen
class VendorOfRun:
    """The vendor as one run sees it: a provider. The vendor's bills name the run."""

    vendor: SimulatedVendor
    run: str

    @property
    def simulated(self) -> bool:
        """Always."""
        return True

    def models(self) -> Sequence[ModelInfo]:
        """What the vendor sells."""
        return self.vendor.catalogue

    def encode(self, request: Request) -> Body:
        """The request's bytes."""
        return self.vendor.encode(request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send it once."""
        return await self.vendor.call(self.run, body, ctx)


def plan(tasks: int, draw: Random, *, cyclic: bool = False, validators: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A plan of so many tasks with random types and dependencies, as a model would write it."""
    kinds = [kind.value for kind in TaskType]
    items: list[dict[str, Any]] = [
        {
            "id": f"t{number}",
            "type": draw.choice(kinds),
            "title": f"Task {number}",
            "prompt": f"Do part {number}.",
            "dependencies": [f"t{other}" for other in range(1, number) if draw.random() < min(0.4, 2 / number)],
            "hard_validators": [name for name in validators if draw.random() < 0.5],
        }
        for number in range(1, tasks + 1)
    ]
    if cyclic:
        items[0]["dependencies"] = [items[-1]["id"]]
        items[-1]["dependencies"] = [items[0]["id"]]
    return items
