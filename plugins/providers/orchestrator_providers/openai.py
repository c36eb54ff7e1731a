"""The provider ``openai``: OpenAI's chat completions, or its responses.

Needs ``OPENAI_API_KEY``; ``OPENAI_BASE_URL`` names another address. Options: ``base_url``, ``api_key_env``, ``stream``,
``idle_seconds``, ``effort``, ``batches: false`` where none are sold, and ``api: chat`` (the default) or
``api: responses``.
"""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.spi import Provider, ProviderConfig, Reply, Request, SpecError, hookimpl
from orchestrator_providers.batching import read_batches_option
from orchestrator_providers.keys_and_addresses import CALLING, REACHING, check_options, find_access, read_manner
from orchestrator_providers.live_answer import Gathering
from orchestrator_providers.model_catalogue import Catalogue, Listed
from orchestrator_providers.one_call import conversation
from orchestrator_providers.openai_batches import OpenAIBatches
from orchestrator_providers.openai_family import OpenAIFamily
from orchestrator_providers.openai_responses import ResponseGathering, read_response
from orchestrator_providers.structured_output import is_object

_JSON: Final = ("json_schema", "json_object")
_REASONS: Final = (*_JSON, "reasoning", "effort", "no_temperature")

_LUNA: Final = "gpt-6-luna"
_SOL: Final = "gpt-6.1-sol"

CATALOGUE: Final = Catalogue(
    vendor="openai",
    checked="2026-11-29",
    price_list="openai",
    effort="low",
    thinking={"none": 0, "minimal": 1024, "low": 4096, "medium": 8192, "high": 16_384, "xhigh": 32_768},
    trains_on_data=False,
    models=(
        Listed(_SOL, ("gpt-4o",), "standard", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-6.1-terra", (), "standard", _REASONS, 1_050_000, 128_000, 922_000),
        Listed(_LUNA, ("gpt-4o-mini",), "economy", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-6-sol", (), "standard", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-6-astra", (), "premium", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-5.6-sol", (), "premium", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-5.6-terra", (), "standard", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-5.6-luna", (), "economy", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-5.5", (), "premium", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-5.4", (), "standard", _REASONS, 1_050_000, 128_000, 922_000),
        Listed("gpt-5.4-mini", (), "economy", _REASONS, 400_000, 128_000, 272_000),
        Listed("gpt-5.4-nano", (), "economy", _REASONS, 400_000, 128_000, 272_000, until="2027-04-01", instead=_LUNA),
        Listed("gpt-5.2", (), "standard", _REASONS, 400_000, 128_000, 272_000),
        Listed("gpt-5.1", (), "standard", _REASONS, 400_000, 128_000, 272_000, until="2027-04-01", instead=_SOL),
        Listed("gpt-5", (), "standard", _REASONS, 400_000, 128_000, 272_000, until="2026-12-11", instead=_SOL),
        Listed("gpt-5-mini", (), "economy", _REASONS, 400_000, 128_000, 272_000, until="2026-12-11", instead=_LUNA),
        Listed("gpt-5-nano", (), "economy", _REASONS, 400_000, 128_000, 272_000, until="2026-12-11", instead=_LUNA),
        Listed("o3", (), "premium", _REASONS, 200_000, 100_000, until="2026-12-11", instead=_SOL),
        Listed("gpt-4o", ("gpt-4o",), "standard", _JSON, 128_000, 16_384, until="2027-01-14", instead=_LUNA),
        Listed("gpt-4o-mini", ("gpt-4o-mini",), "economy", _JSON, 128_000, 16_384, until="2027-01-14", instead=_LUNA),
        Listed("gpt-4.1", (), "standard", _JSON, max_output=32_768, until="2027-01-14", instead=_LUNA),
        Listed("gpt-4.1-mini", (), "economy", _JSON, max_output=32_768, until="2027-01-14", instead=_LUNA),
    ),
    retired={
        **dict.fromkeys(("gpt-3.5-turbo", "gpt-4.1-nano", "o3-mini", "o4-mini", "o1-mini"), _LUNA),
        **dict.fromkeys(
            ("gpt-4", "gpt-4-turbo", "gpt-4-32k", "o1", "o1-preview", "gpt-5.2-chat-latest", "gpt-5.3-chat-latest"),
            _SOL,
        ),
    },
)


class OpenAI(OpenAIBatches, OpenAIFamily):
    """Speaks to OpenAI's chat completions."""

    limit_field = "max_completion_tokens"
    # Its reasoning models say nothing while they think.
    idle_seconds = 300.0


class OpenAIResponses(OpenAI):
    """Speaks to OpenAI's responses."""

    def url(self, request: Request) -> str:
        """Where a request goes."""
        return f"{self.access.base_url}/responses"

    def fields(self, request: Request) -> dict[str, Any]:
        """The body of a request; nothing of it is stored at the vendor's."""
        abilities, effort = request.model.abilities, self.effort(request.model)
        system, messages = conversation(request)
        fields: dict[str, Any] = {
            "model": request.model.sent_name,
            "input": messages,
            "max_output_tokens": request.max_tokens,
            "store": False,
        }
        if system:
            fields["instructions"] = system
        if "no_temperature" not in abilities:
            fields["temperature"] = request.temperature
        if effort is not None:
            fields["reasoning"] = {"effort": effort}
        if self.streams(request.model):
            fields["stream"] = True
        schema = request.json_schema
        if schema is not None and "json_schema" in abilities and is_object(schema):
            fields["text"] = {"format": {"type": "json_schema", "strict": False, **self.wanted(schema)}}
        return fields

    def gathering(self) -> Gathering:
        """An empty stream."""
        return ResponseGathering(self)

    def reply(self, answer: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        """The reply in a parsed answer."""
        return read_response(self, answer, headers)


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where there is no key."""
    check_options(config, (*REACHING, *CALLING, "api", "batches"))
    api = config.options.get("api", "chat")
    if api not in ("chat", "responses"):
        raise SpecError([f"providers.{config.name}.api: say chat or responses"])
    access = find_access(
        config, keys=("OPENAI_API_KEY",), addresses=("OPENAI_BASE_URL",), default="https://api.openai.com/v1"
    )
    if access is None:
        return None
    made = (OpenAI if api == "chat" else OpenAIResponses)(access, CATALOGUE.today(config), read_manner(config))
    made.sells_batches = read_batches_option(config)
    made.choose = lambda served: CATALOGUE.today(config, served=served)
    made.retired = CATALOGUE.retired_now()
    return made
