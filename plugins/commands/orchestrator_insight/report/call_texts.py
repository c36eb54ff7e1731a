"""What was said in a call, as titles and texts."""

import json
from collections.abc import Iterator

from orchestrator.engine.answers.stored_prompts import read_prompt
from orchestrator.past_runs.exchanges import Exchange
from orchestrator_insight.task_history import Read


def said_in(exchange: Exchange, read: Read) -> Iterator[tuple[str, str]]:
    """(title, text) of each part of an exchange: the request, answers, failures."""
    prompt = read(exchange.prompt)
    if prompt is not None:
        yield from _request(prompt)
    for sent in exchange.attempts:
        answer = read(sent.answer)
        if answer is not None:
            yield f"answer of attempt {sent.attempt}" + (f" ({sent.problem})" if sent.problem else ""), answer
        said = read(sent.said)
        if said is not None:
            yield f"failure of attempt {sent.attempt}", said
    if exchange.reused is not None:
        yield f"answer of {exchange.reused.run}, reused", read(exchange.reused.answer) or ""
    if exchange.refused is not None:
        yield "the plan was refused", exchange.refused


def _request(stored: str) -> Iterator[tuple[str, str]]:
    try:
        prompt = read_prompt(stored)
    except (ValueError, KeyError, TypeError):  # deleted, damaged or left out: the note says so
        yield "request", stored
        return
    for message in prompt.messages:
        yield f"request: {message.author}", message.text
    if prompt.json_schema is not None:
        yield "request: JSON Schema of the answer", json.dumps(prompt.json_schema, ensure_ascii=False)
