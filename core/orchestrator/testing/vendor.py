"""A vendor that only pretends: answers, latencies, faults and bills drawn from a seed and the logical call's try."""

import json
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from attrs import Factory, define, frozen

from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.models import Finish, ModelInfo, Role, TaskType
from orchestrator.money import Usage, Usd
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
"""The classified errors the vendor can be told to give."""

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
"""What else it can be told to do wrong."""


@frozen
class Bill:
    """One request as the vendor's own books have it."""

    call: CallRef
    model: str
    sent: int
    """Bytes."""
    max_tokens: int
    billed: Usd
    answered: bool


@define
class SimulatedVendor:
    """A provider whose behaviour is a pure function of (seed, logical call, model, try).

    Attributes:
        catalogue: what it sells.
        faults: names of FAULTS and ODDITIES that may happen.
        rate: how likely one of them is, per attempt.
        by_model: whether answers depend on the model too; without, an outcome after a crash can equal one without.
        books: every request that reached it.
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
    books: list[Bill] = Factory(list)
    fired: Counter[str] = Factory(Counter)

    @property
    def simulated(self) -> bool:
        """Always."""
        return True

    def models(self) -> Sequence[ModelInfo]:
        """What it sells."""
        return self.catalogue

    def encode(self, request: Request) -> Body:
        """JSON of everything that is asked."""
        if self._fault(request.call, request.model.id, "not_encoded"):
            raise ValueError("this request cannot be encoded")
        messages = [[message.author, message.text] for message in request.messages]
        content = json.dumps([request.model.id, messages, request.max_tokens]).encode()
        return Body(content, request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Answer, or do what the fault of this try says."""
        request = body.request
        where, model = request.call, request.model
        draw = self._draw(where, model.id, "answer")
        await ctx.sleep(draw.uniform(0.001, self.slowest))
        fault = self._drawn(where, model.id)
        if fault is not None:
            self.fired[fault] += 1
        if fault in FAULTS:
            self._book(body, Usd.ZERO, answered=False)
            wait = draw.choice([None, None, 0.5, 3.0])
            raise ProviderError(f"simulated {fault}", retry_after=wait, **FAULTS[fault])
        return await self._odd(fault, body, ctx, draw)

    async def _odd(self, fault: str | None, body: Body, ctx: CallContext, draw: Random) -> Reply:
        request = body.request
        text = "" if fault == "empty" else self._text(request.call, fault, draw)
        usage: Usage | None = self._usage(body, text, draw)
        if fault == "hang":
            self._book(body, self._cost(request.model, usage), answered=False)
            await ctx.sleep(10_000_000.0)
        if fault == "raise":
            self._book(body, self._cost(request.model, usage), answered=False)
            raise RuntimeError("a simulated bug of the provider")
        if fault == "rubbish":
            self._book(body, self._cost(request.model, usage), answered=False)
            return "not a Reply"  # type: ignore[return-value]
        if fault == "long_retry_after":
            self._book(body, Usd.ZERO, answered=False)
            raise ProviderError("simulated", retry_after=4000.0, **FAULTS["rate_limit"])
        if fault == "settled_error":
            self._book(body, self._cost(request.model, usage), answered=False)
            raise ProviderError("simulated", kind=ErrorKind.BAD_ANSWER, retryable=True, billed=Billed.YES, usage=usage)
        if fault == "over_bound":
            usage = Usage(input=len(body.content) + request.model.hidden_tokens, output=request.max_tokens * 2)
        self._book(body, self._cost(request.model, usage), answered=True)
        odd_usage = {"no_usage": None, "zero_usage": Usage(), "absurd_usage": Usage(input=-5, output=10)}
        return Reply(text, odd_usage.get(fault or "", usage), Finish.STOP, f"req-{len(self.books)}")

    # ── what is drawn ────────────────────────────────────────────────────────────────────────────────────────────

    def _draw(self, where: CallRef, model: str, purpose: str) -> Random:
        who = model if self.by_model else ""
        return Random(f"{self.seed}/{purpose}/{where.node}/{where.role}/{where.turn}/{where.sample}/{where.try_}/{who}")

    def _drawn(self, where: CallRef, model: str) -> str | None:
        draw = self._draw(where, model, "fault")
        if not self.faults or draw.random() >= self.rate:
            return None
        fault = draw.choice(list(self.faults))
        if fault == "cyclic_plan" and where.role is not Role.DECOMPOSER:
            return None
        return None if fault == "not_encoded" else fault

    def _fault(self, where: CallRef, model: str, fault: str) -> bool:
        draw = Random(f"{self.seed}/{fault}/{where.node}/{where.role}/{where.turn}/{where.sample}/{model}")
        happens = fault in self.faults and draw.random() < self.rate / 4
        self.fired[fault] += happens
        return happens

    def _text(self, where: CallRef, fault: str | None, draw: Random) -> str:
        if fault == "unreadable":
            return "I would rather not say."
        if where.role is Role.DECOMPOSER:
            return json.dumps({"tasks": plan(self.tasks, draw, cyclic=fault == "cyclic_plan")})
        if where.role is Role.EVALUATOR:
            stable = Random(f"{self.seed}/score/{where.node}/{where.turn}")
            return json.dumps({"score": round(stable.uniform(0.5, 1.0), 3), "reasons": "simulated"})
        name = f"{where.node} {where.role.value} {where.turn} {where.sample} {where.try_}"
        return f"{name}: {'x' * draw.randint(1, 60)}"

    def _usage(self, body: Body, text: str, draw: Random) -> Usage:
        """Real tokens: never more than a byte each, never more output than was asked for."""
        most_in = len(body.content) + body.request.model.hidden_tokens
        read = draw.randint(max(1, most_in // 8), most_in)
        cached = draw.randint(0, read - 1) if draw.random() < 0.3 else 0
        wrote = min(body.request.max_tokens, max(1, len(text)))
        thought = draw.randint(0, body.request.max_tokens - wrote) if draw.random() < 0.3 else 0
        return Usage(input=read - cached, cached_input=cached, output=wrote, reasoning=thought)

    def _cost(self, model: ModelInfo, usage: Usage | None) -> Usd:
        return Usd.ZERO if usage is None or model.price is None else model.price.cost(usage)

    def _book(self, body: Body, billed: Usd, *, answered: bool) -> None:
        request = body.request
        self.books.append(Bill(request.call, request.model.id, len(body.content), request.max_tokens, billed, answered))


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
