"""What was sent to a model and what it answered, for people."""

import json
from collections.abc import Iterator
from typing import Final

from orchestrator.cli.terminal.stdout import stdout
from orchestrator.cli.terminal.terminal_output import clean, line, money, seconds
from orchestrator.cli.terminal.text_fitting import width_of
from orchestrator.cli.wording.code_words import DOING
from orchestrator.models import Lane, sample_words
from orchestrator.money import Usd
from orchestrator.past_runs.exchanges import SentRequest, Shown

_RULE: Final = 100


def lines_of(shown: Shown) -> Iterator[str]:
    """The request and its answers, part by part, each under a heading."""
    prompt, exchange = shown.prompt, shown.exchange
    if prompt is None:
        yield _heading("request")
        yield shown.missing
    else:
        for message in prompt.messages:
            yield _heading(f"request: {message.author}")
            yield clean(message.text)
        if prompt.json_schema is not None:
            yield _heading("request: JSON Schema of the answer")
            yield json.dumps(prompt.json_schema, ensure_ascii=False)
    for sent in exchange.attempts:
        yield from _answer(shown, sent)
    if exchange.reused is not None:
        yield _heading(f"answer of {line(exchange.reused.run)}, reused from the cache")
        yield clean(shown.reused or "")
    if exchange.refused is not None:
        yield f"the plan was refused: {exchange.refused}"


def title_of(shown: Shown, event: str) -> str:
    """Which call it is, in one line; ``event`` names the event that began it."""
    exchange, prompt = shown.exchange, shown.prompt
    settings = "" if prompt is None else f", temperature {prompt.temperature:g}"
    seed = "" if prompt is None or prompt.seed is None else f", seed {prompt.seed}"
    what = f"{exchange.node}, {DOING[exchange.role]}, iteration {exchange.iteration}{sample_words(exchange.sample)}"
    return f"{event}: {line(what)}: {line(exchange.model)}{settings}{seed}"


def _answer(shown: Shown, sent: SentRequest) -> Iterator[str]:
    """One attempt: a heading with how it ended, then what was said."""
    what = {"answered": "answer", "open": "no answer yet", "lost": "no answer: the session was lost"}
    name = what.get(sent.end, f"no answer: {sent.error}")
    yield _heading(f"{name} (attempt {sent.attempt}, at most {sent.max_tokens} tokens{_amounts(sent)})")
    text = shown.answer(sent)
    if text is None:
        text = shown.said(sent) or ""
    if text:
        yield clean(text)
    if sent.problem is not None:
        yield f"it could not be used: {sent.problem}"


def _amounts(sent: SentRequest) -> str:
    parts = [] if sent.lane is Lane.INTERACTIVE else ["in a batch"]
    if sent.usage is not None:
        parts.append(f"{sent.usage.input_tokens} read, {sent.usage.output_tokens} written")
    if sent.finish is not None:
        parts.append(f"ended by {sent.finish.value}")
    if sent.end != "open":
        parts.append(f"cost {money(sent.settled)}")
    if sent.unreconciled != Usd.ZERO:
        parts.append(f"{money(sent.unreconciled)} unreconciled")
    if sent.latency is not None:
        parts.append(seconds(sent.latency))
    return "".join(f"; {each}" for each in parts)


def _heading(text: str) -> str:
    return f"── {line(text)} ".ljust(min(_RULE, width_of(stdout()) or _RULE), "─")
