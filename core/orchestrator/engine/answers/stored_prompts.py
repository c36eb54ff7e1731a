"""A prompt as the run's texts hold it: exactly what a provider gets to shape its request of."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from attrs import frozen

from orchestrator.engine.answers.prompt_marks import BLANK
from orchestrator.spi import Message


@frozen
class Prompt:
    """What is sent to a model, before a vendor's format is put around it."""

    messages: tuple[Message, ...]
    temperature: float
    json_schema: Mapping[str, Any] | None = None
    cut: tuple[str, ...] = ()
    """The dependencies whose results were too long to be in it whole; not part of what is sent."""
    files_cut: int = 0
    """How many of the task's files are not in it whole; not part of what is sent either."""
    seed: int | None = None
    """Tells apart samples that are otherwise drawn alike, where the vendor takes one."""

    def stored(self) -> str:
        """The text that is put into the log."""
        fields = {
            "messages": [[message.author, message.text] for message in self.messages],
            "temperature": self.temperature,
            "schema": self.json_schema,
            **({} if self.seed is None else {"seed": self.seed}),
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    def compared(self, tag: str) -> "Prompt":
        """The prompt without what two runs of one request differ in: the marks' tag and the seed."""
        messages = tuple(Message(each.author, each.text.replace(tag, BLANK)) for each in self.messages)
        return Prompt(messages, self.temperature, self.json_schema)


def read_prompt(text: str) -> Prompt:
    """The prompt of a stored text."""
    parts = orjson.loads(text)
    messages = tuple(Message(author, content) for author, content in parts["messages"])
    return Prompt(messages, parts["temperature"], parts["schema"], seed=parts.get("seed"))
