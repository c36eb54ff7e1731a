"""The provider ``minimax``: MiniMax.

Needs ``MINIMAX_API_KEY``; ``MINIMAX_BASE_URL`` names another address. Options: ``region: international`` (the default)
or ``china``, ``base_url``, ``api_key_env``, ``stream``, ``idle_seconds``, ``effort``.
"""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.spi import Billed, ErrorKind, Provider, ProviderConfig, ProviderError, Request, Usage, hookimpl
from orchestrator_providers.error_meanings import Cause, classify
from orchestrator_providers.keys_and_addresses import (
    CALLING,
    REACHING,
    check_options,
    choose_region,
    find_access,
    read_manner,
)
from orchestrator_providers.model_catalogue import Catalogue, Listed, in_region
from orchestrator_providers.openai_family import OpenAIFamily, number_at_the_end
from orchestrator_providers.text_without_keys import message_of, one_line, words_of
from orchestrator_providers.wait_times import reset_in_text

HOSTS: Final = {"international": "https://api.minimax.io/v1", "china": "https://api.minimaxi.com/v1"}

_THINKS: Final = ("inline_thinking", "reasoning_split", "reasoning")

_NOW: Final = "MiniMax-M3.1-Flash"

CATALOGUE: Final = Catalogue(
    vendor="minimax",
    checked="2026-11-29",
    price_list="minimax",
    effort="low",
    thinking={"low": 2048, "medium": 4096, "high": 8192, "xhigh": 16_384, "max": 32_768, "default": 8192},
    models=(
        Listed(_NOW, ("minimax-3",), "economy", (*_THINKS, "effort"), max_output=524_288),
        Listed(
            "MiniMax-M3",
            ("minimax-3",),
            "standard",
            ("inline_thinking", "reasoning_split", "thinking_switch"),
            max_output=128_000,
        ),
        Listed("MiniMax-M2.7", (), "standard", _THINKS, max_output=131_072, until="2026-11-18", instead=_NOW),
        Listed("MiniMax-M2.7-highspeed", (), "standard", _THINKS, max_output=131_072, until="2026-11-18", instead=_NOW),
    ),
    retired={
        **dict.fromkeys(("abab6.5", "abab6.5s-chat", "abab7-chat", "MiniMax-Text-01", "MiniMax-M1"), "MiniMax-M3"),
        **dict.fromkeys(("MiniMax-M2.5", "MiniMax-M2.5-highspeed"), _NOW),
    },
)

_NO: Final = Billed.NO
_CODES: Final[Mapping[int, Cause]] = {
    1000: Cause(ErrorKind.SERVER, True),
    1001: Cause(ErrorKind.TIMEOUT, True),
    1002: Cause(ErrorKind.RATE_LIMIT, True, _NO),
    1004: Cause(ErrorKind.AUTHENTICATION, billed=_NO),
    1008: Cause(ErrorKind.QUOTA, billed=_NO),
    1013: Cause(ErrorKind.SERVER, True),
    1024: Cause(ErrorKind.SERVER, True),
    1026: Cause(ErrorKind.CONTENT_FILTER),
    1027: Cause(ErrorKind.CONTENT_FILTER),
    1033: Cause(ErrorKind.SERVER, True),
    1039: Cause(ErrorKind.CONTEXT_LENGTH, billed=_NO),
    1041: Cause(ErrorKind.RATE_LIMIT, True, _NO),
    1042: Cause(ErrorKind.BAD_REQUEST, billed=_NO),
    2045: Cause(ErrorKind.RATE_LIMIT, True, _NO),
    2049: Cause(ErrorKind.AUTHENTICATION, billed=_NO),
    2056: Cause(ErrorKind.RATE_LIMIT, True, _NO),
    2064: Cause(ErrorKind.OVERLOADED, True, _NO),
}
"""What the vendor's numbers mean. 2013 stands for several things, which its words tell apart."""


class MiniMax(OpenAIFamily):
    """Speaks to MiniMax."""

    hosts = tuple(HOSTS.values())

    limit_field = "max_completion_tokens"
    temperatures = (0.01, 1.0)

    def fields(self, request: Request) -> dict[str, Any]:
        """The body of a request, with one system message, at its beginning."""
        fields = super().fields(request)
        system = [each["content"] for each in fields["messages"] if each["role"] == "system"]
        others = [each for each in fields["messages"] if each["role"] != "system"]
        first = [{"role": "system", "content": "\n\n".join(system)}] if system else []
        return {**fields, "messages": [*first, *others]}

    def thinking(self, request: Request) -> dict[str, Any]:
        """Thinking is kept out of the text, and switched off where it can be; else the model takes an effort."""
        abilities = request.model.abilities
        split = {"reasoning_split": True} if "reasoning_split" in abilities else {}
        if "thinking_switch" in abilities:
            return {**split, "thinking": {"type": "disabled"}}
        return {**split, **super().thinking(request)}

    def cause(self, status: int, error: Any, headers: Mapping[str, str]) -> Cause:
        """Why it refused: by the number, which stands in ``base_resp`` or at the end of the message."""
        base = error.get("base_resp") if isinstance(error, dict) else None
        if isinstance(base, dict):
            return self._numbered(base.get("status_code"), base.get("status_msg"), status, headers)
        message = message_of(error)
        return self._numbered(number_at_the_end(message), message, status, headers, words_of(error))

    def _numbered(
        self, code: Any, message: Any, status: int, headers: Mapping[str, str], words: str | None = None
    ) -> Cause:
        words = str(message).lower() if words is None else words
        if code == 2013:
            return classify(400, words)
        cause = _CODES.get(code) if type(code) is int else None
        if cause is None:
            return classify(status, words)
        return Cause(cause.kind, cause.retryable, cause.billed, reset_in_text(str(message), headers))

    def check(self, answer: Mapping[str, Any], usage: Usage | None, headers: Mapping[str, str]) -> None:
        """Raise the error that an answer with a status of success may hold, in ``base_resp`` most of all."""
        super().check(answer, usage, headers)
        base = answer.get("base_resp")
        if not isinstance(base, dict) or base.get("status_code") in (0, None):
            return
        cause = self.cause(500, answer, headers)
        # Refused for its number before any work, unless there is an answer beside it.
        billed = Billed.UNKNOWN if cause.billed is None or answer.get("choices") else cause.billed
        raise ProviderError(
            one_line(f"an error inside an answer: {base.get('status_msg')} ({base['status_code']})", self.key),
            kind=cause.kind,
            retryable=cause.retryable,
            retry_after=cause.wait,
            billed=Billed.YES if usage is not None else billed,
            usage=usage,
        )


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where there is no key."""
    check_options(config, (*REACHING, *CALLING, "region"))
    region = choose_region(config, HOSTS)
    access = find_access(
        config,
        keys=("MINIMAX_API_KEY",),
        addresses=("MINIMAX_BASE_URL",),
        default=HOSTS[region],
        own=HOSTS.values(),
    )
    if access is None:
        return None
    made = MiniMax(access, in_region(CATALOGUE.today(config), region), read_manner(config))
    made.choose = lambda served: in_region(CATALOGUE.today(config, served=served), region)
    made.retired = CATALOGUE.retired_now()
    return made
