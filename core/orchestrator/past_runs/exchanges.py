"""What was sent to models and what they answered: every call of a run as its log has it.

Nothing here touches a network, a clock or a provider. The prompt of a call is the very text from which the provider
shaped its request, so what is shown is what was sent.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.engine.answers.stored_prompts import Prompt, read_prompt
from orchestrator.errors import DamagedLogError, NoTextError
from orchestrator.models import Finish, Lane, Role
from orchestrator.money import Usage, Usd

Get = Callable[[str], str]
"""The text of a digest; raises NoTextError where it cannot be had."""

DAMAGED: Final = "(this text is damaged)"


@define
class SentRequest:
    """One attempt: what was sent at which limit, and what came of it."""

    version: int
    """Of its CallStarted."""
    attempt: int
    max_tokens: int
    lane: Lane
    ended: int | None = None
    """Version of the event that ended it; None where that was the end of its session, or none yet."""
    answer: str | None = None
    """Digest of the answer."""
    finish: Finish | None = None
    problem: str | None = None
    """Code of why the answer could not be used."""
    usage: Usage | None = None
    settled: Usd = Usd.ZERO
    unreconciled: Usd = Usd.ZERO
    error: str | None = None
    """The kind of the failure."""
    said: str | None = None
    """Digest of the failure's text."""
    latency: int | None = None
    """Microseconds."""

    @property
    def end(self) -> str:
        """How it ended: ``answered``, ``failed``, ``lost`` with its session, or ``open``."""
        if self.answer is not None:
            return "answered"
        return "open" if self.error is None else "lost" if self.error == _LOST else "failed"


_LOST: Final = "session lost"


@define
class Exchange:
    """A model was selected for a call, and what was said to it and by it."""

    version: int
    """Of its ModelSelected."""
    node: str
    role: Role
    iteration: int
    sample: int
    model: str
    prepared: int | None = None
    """Version of its CallPrepared."""
    prompt: str | None = None
    """Digest of the prompt; None before it is prepared."""
    attempts: list[SentRequest] = Factory(list)
    reused: e.Reused | None = None
    """The answer of another run that spared the call."""
    refused: str | None = None
    """Code of why the plan made of its answer was refused."""

    @property
    def versions(self) -> list[int]:
        """Of all its events."""
        ends = (version for sent in self.attempts for version in (sent.version, sent.ended))
        return [each for each in (self.version, self.prepared, *ends) if each is not None]


def exchanges(history: Iterable[tuple[int, e.Event]]) -> list[Exchange]:
    """Every exchange of a run's history (pairs of version and event), in order."""
    reader = ExchangeReader()
    for version, event in history:
        reader.take(version, event)
    return list(reader.by_selection.values())


@define
class ExchangeReader:
    """Reads the exchanges out of a history, one event after the other."""

    by_selection: dict[int, Exchange] = Factory(dict)
    by_start: dict[int, tuple[Exchange, SentRequest]] = Factory(dict)

    def take(self, version: int, event: e.Event) -> None:
        """Look at one event."""
        match event:
            case e.ModelSelected():
                key = (event.node, event.role, event.iteration, event.sample)
                self.by_selection[version] = Exchange(version, *key, event.model)
            case e.CallPrepared(selected=selected):
                found = self.by_selection[selected]
                found.prepared, found.prompt, found.reused = version, event.prompt, event.reused
            case e.CallStarted(selected=selected):
                found = self.by_selection[selected]
                sent = SentRequest(version, event.attempt, event.max_tokens, event.lane)
                found.attempts.append(sent)
                self.by_start[version] = (found, sent)
            case e.CallSucceeded() | e.CallFailed():
                self._ended(version, event)
            case e.SessionOpened(ended=ended) | e.SessionLost(ended=ended):
                for lost in ended:
                    sent = self.by_start[lost.call][1]
                    sent.error, sent.unreconciled = _LOST, lost.amount
            case e.SpendReconciled(call=call, settled=settled):
                sent = self.by_start[call][1]
                sent.settled, sent.unreconciled = settled, Usd.ZERO
            case e.PlanRefused(call=call, problem=problem):
                found = self.by_start[call][0] if call in self.by_start else self.by_selection[call]
                found.refused = problem

    def _ended(self, version: int, event: e.CallSucceeded | e.CallFailed) -> None:
        sent = self.by_start[event.call][1]
        sent.ended, sent.latency = version, event.latency
        sent.settled, sent.unreconciled = event.settled, event.unreconciled
        if isinstance(event, e.CallSucceeded):
            sent.answer, sent.finish, sent.usage = event.answer, event.finish, event.usage
            sent.problem = event.reading.problem
        else:
            sent.error, sent.said = event.kind.value, event.error


@frozen
class Shown:
    """An exchange with its texts."""

    exchange: Exchange
    prompt: Prompt | None
    """None before it is prepared, or where its text is gone; ``missing`` says why."""
    missing: str
    texts: Mapping[str, str]
    """By digest."""

    def answer(self, sent: SentRequest) -> str | None:
        """What was answered."""
        return None if sent.answer is None else self.texts[sent.answer]

    def said(self, sent: SentRequest) -> str | None:
        """What a failure said."""
        return None if sent.said is None else self.texts[sent.said]

    @property
    def reused(self) -> str | None:
        """The answer that was taken from the cache."""
        return None if self.exchange.reused is None else self.texts[self.exchange.reused.answer]

    def plain(self) -> dict[str, Any]:
        """It as JSON has it."""
        exchange, reused = self.exchange, self.exchange.reused
        return {
            "version": exchange.version,
            "task": exchange.node,
            "role": exchange.role.value,
            "iteration": exchange.iteration,
            "sample": exchange.sample,
            "model": exchange.model,
            "request": None if self.prompt is None else _plain_prompt(self.prompt),
            "missing": self.missing or None,
            "calls": [self._plain_sent(sent) for sent in exchange.attempts],
            "reused": None if reused is None else {"run": reused.run, "version": reused.call, "answer": self.reused},
            "plan_refused": exchange.refused,
        }

    def _plain_sent(self, sent: SentRequest) -> dict[str, Any]:
        usage = sent.usage
        return {
            "version": sent.version,
            "attempt": sent.attempt,
            "max_tokens": sent.max_tokens,
            "lane": sent.lane.value,
            "end": sent.end,
            "answer": self.answer(sent),
            "finish": None if sent.finish is None else sent.finish.value,
            "problem": sent.problem,
            "usage": None if usage is None else {"input": usage.input_tokens, "output": usage.output_tokens},
            "settled_usd": str(sent.settled),
            "unreconciled_usd": str(sent.unreconciled),
            "error": sent.error,
            "error_text": self.said(sent),
            "latency_ms": None if sent.latency is None else sent.latency / 1000,
        }


def _plain_prompt(prompt: Prompt) -> dict[str, Any]:
    return {
        "messages": [{"role": each.author, "content": each.text} for each in prompt.messages],
        "temperature": prompt.temperature,
        "json_schema": prompt.json_schema,
        "seed": prompt.seed,
    }


def with_texts(exchange: Exchange, get: Get) -> Shown:
    """An exchange with its texts, each deleted or damaged one replaced by a note."""
    digests = [each for sent in exchange.attempts for each in (sent.answer, sent.said) if each is not None]
    if exchange.reused is not None:
        digests.append(exchange.reused.answer)
    texts = {digest: _text(digest, get) for digest in digests}
    if exchange.prompt is None:
        return Shown(exchange, None, "(its prompt was not made)", texts)
    stored = _text(exchange.prompt, get)
    try:
        return Shown(exchange, read_prompt(stored), "", texts)
    except (ValueError, KeyError, TypeError):  # deleted or damaged: a note is there instead
        return Shown(exchange, None, stored, texts)


def note(error: NoTextError) -> str:
    """What stands in the place of a text that cannot be had."""
    return f"(this text {error.why})"


def _text(digest: str, get: Get) -> str:
    try:
        return get(digest)
    except NoTextError as error:
        return note(error)
    except DamagedLogError:
        return DAMAGED
