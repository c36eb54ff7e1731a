"""What the vendors of OpenAI's chat format share: one shape of request, of answer and of stream.

Where they differ (the name of the limit, rules for the temperature, thinking, JSON, error codes), the vendor's own
file says so.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from orchestrator.spi import ErrorKind, Finish, ProviderError, Reply, Request, Usage
from orchestrator_providers.error_meanings import bad_answer, billed_of_usage, refused_answer
from orchestrator_providers.live_answer import Gathering
from orchestrator_providers.one_call import Vendor
from orchestrator_providers.openai_answers import (
    BROKEN_OFF,
    FILTERED,
    ChatGathering,
    first_choice,
    read_usage,
    text_of,
)
from orchestrator_providers.structured_output import is_closed, is_object, is_strict, unbounded
from orchestrator_providers.text_without_keys import clean

_FINISH: Final = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
}


class OpenAIFamily(Vendor):
    """Speaks ``/chat/completions``."""

    request_ids = (
        "x-request-id",
        "request-id",
        "msh-request-id",
        "x-ds-trace-id",
        "minimax-request-id",
        "trace-id",
        "x-log-id",
    )
    limit_field: ClassVar[str] = "max_tokens"
    """The name of the output limit in a request."""
    takes_any_schema: ClassVar[bool] = False
    """Whether any JSON Schema may be sent, its bounds included: local servers enforce them."""
    temperatures: ClassVar[tuple[float, float]] = (0.0, 2.0)
    """The lowest and the highest temperature the vendor takes."""

    def url(self, request: Request) -> str:
        """Where a request goes."""
        return f"{self.access.base_url}/chat/completions"

    def headers(self) -> dict[str, str]:
        """The key as a bearer."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    def fields(self, request: Request) -> dict[str, Any]:
        """The body of a request."""
        abilities = request.model.abilities
        fields: dict[str, Any] = {
            "model": request.model.sent_name,
            "messages": [{"role": each.author, "content": clean(each.text)} for each in request.messages],
            self.limit_field: request.max_tokens,
        }
        if "no_temperature" not in abilities:
            low, high = self.temperatures
            fields["temperature"] = min(max(request.temperature, low), high)
        if self.streams(request.model):
            fields["stream"] = True
            fields["stream_options"] = {"include_usage": True}
        form = self.response_format(request)
        if form is not None:
            fields["response_format"] = form
        return {**fields, **self.thinking(request)}

    def response_format(self, request: Request) -> dict[str, Any] | None:
        """How JSON is asked for: by schema where the model takes one, else as JSON alone, else not at all."""
        schema, abilities = request.json_schema, request.model.abilities
        if schema is None:
            return None
        if "json_schema" in abilities and (self.takes_any_schema or is_object(schema)):
            return {"type": "json_schema", "json_schema": self.wanted(schema)}
        # JSON alone means an object: a list could not be answered then
        return {"type": "json_object"} if "json_object" in abilities and is_object(schema) else None

    def wanted(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """A schema with its name: strict where the vendor's strict mode takes it, without bounds then."""
        if self.takes_any_schema:
            return {"name": "answer", "schema": schema, **({"strict": True} if is_closed(schema) else {})}
        if is_strict(schema):
            return {"name": "answer", "schema": unbounded(schema), "strict": True}
        return {"name": "answer", "schema": schema}

    def thinking(self, request: Request) -> dict[str, Any]:
        """The fields that say how much the model should think."""
        effort = self.effort(request.model)
        return {} if effort is None else {"reasoning_effort": effort}

    def gathering(self) -> Gathering:
        """An empty stream."""
        return _Checked(self)

    def reply(self, answer: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        """The reply in a parsed answer."""
        self.check(answer, read_usage(answer.get("usage"), text=""), headers)
        choice = first_choice(answer)
        message = choice.get("message")
        if not isinstance(message, dict):
            usage = read_usage(answer.get("usage"), text="")
            raise bad_answer("there is no choice with a message in the answer", usage)
        text = text_of(message.get("content"))
        usage = read_usage(answer.get("usage"), text=text or "")
        if text is None:
            raise bad_answer("the content of the answer is neither text nor a list of parts", usage)
        self._check_choice(choice, text, message.get("refusal"), usage, headers)
        reason = choice.get("finish_reason")
        finish = _FINISH.get(reason, Finish.OTHER) if isinstance(reason, str) else Finish.OTHER
        return Reply(text, usage, finish, self.request_id(headers, answer.get("id")))

    def _check_choice(
        self, choice: Mapping[str, Any], text: str, refusal: Any, usage: Usage | None, headers: Mapping[str, str]
    ) -> None:
        if choice.get("error"):
            raise self.error_inside(choice["error"], usage, headers)
        reason = choice.get("finish_reason")
        if reason in BROKEN_OFF:
            raise ProviderError(
                f"the server broke off: {reason}",
                kind=ErrorKind.SERVER,
                retryable=True,
                billed=billed_of_usage(usage),
                usage=usage,
            )
        if reason in FILTERED or (refusal and not text):
            raise refused_answer(refusal or reason, usage, self.key)

    def check(self, answer: Mapping[str, Any], usage: Usage | None, headers: Mapping[str, str]) -> None:
        """Raise the error that an answer or a chunk with a status of success may hold."""
        if answer.get("error"):
            raise self.error_inside(answer["error"], usage, headers)


class _Checked(ChatGathering):
    """A chat stream whose chunks may hold an error."""

    def __init__(self, family: OpenAIFamily) -> None:
        super().__init__()
        self._family = family

    def add(self, event: dict[str, Any] | None) -> str:
        """Take one chunk in; an error in it ends the stream, and what was billed is unknown."""
        if event is not None:
            self._family.check(event, None, {})
        return super().add(event)


_BRACKETED: Final = re.compile(r"\((\d{4})\)\s*$")


def number_at_the_end(message: Any) -> int | None:
    """The four digits in brackets with which some vendors end a message."""
    match = _BRACKETED.search(message) if isinstance(message, str) else None
    return None if match is None else int(match[1])
