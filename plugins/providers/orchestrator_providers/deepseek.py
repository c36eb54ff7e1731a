"""The provider ``deepseek``: DeepSeek.

Needs ``DEEPSEEK_API_KEY``; ``DEEPSEEK_BASE_URL`` names another address. Options: ``base_url``, ``api_key_env``,
``stream``, ``idle_seconds``, ``effort``. Prices depend on weekday and hour: a call is held at the dearest and settled
at the one of its end. Public holidays in China, which are off-peak, count as any other day.
"""

from typing import Any, Final

from orchestrator.spi import Provider, ProviderConfig, Request, hookimpl
from orchestrator_providers.keys_and_addresses import CALLING, REACHING, check_options, find_access, read_manner
from orchestrator_providers.model_catalogue import Catalogue, Listed
from orchestrator_providers.openai_family import OpenAIFamily

CATALOGUE: Final = Catalogue(
    vendor="deepseek",
    checked="2026-11-29",
    price_list="deepseek",
    effort="high",
    thinking={"low": 8192, "high": 16_384, "max": 32_768},
    regions=("cn",),
    peak_days=(1, 2, 3, 4, 5),
    models=(
        Listed("deepseek-flash", ("deepseek-chat",), "economy", ("json_object", "thinking_switch"), max_output=393_216),
        Listed(
            "deepseek-v4-pro",
            ("deepseek-reasoner",),
            "standard",
            ("json_object", "thinking_switch", "reasoning", "effort", "no_temperature"),
            max_output=393_216,
        ),
        # An older name of deepseek-flash, at its price.
        Listed("deepseek-v4-flash", (), "economy", ("json_object", "thinking_switch"), max_output=393_216),
    ),
    retired={
        "deepseek-coder": "deepseek-flash",
        "deepseek-v3": "deepseek-flash",
        "deepseek-v3.2": "deepseek-flash",
        "deepseek-r1": "deepseek-v4-pro",
    },
)


class DeepSeek(OpenAIFamily):
    """Speaks to DeepSeek."""

    def response_format(self, request: Request) -> dict[str, Any] | None:
        """JSON without a schema, and only where the prompt speaks of it: the vendor refuses it elsewhere."""
        spoken = any("json" in message.text.lower() for message in request.messages)
        return super().response_format(request) if spoken else None

    def thinking(self, request: Request) -> dict[str, Any]:
        """Thinking is switched by a field; where it is on, how much is said."""
        abilities = request.model.abilities
        if "thinking_switch" not in abilities:
            return {}
        if "reasoning" not in abilities:
            return {"thinking": {"type": "disabled"}}
        effort = self.effort(request.model, usual="high")
        return {"thinking": {"type": "enabled"}, **({} if effort is None else {"reasoning_effort": effort})}


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where there is no key."""
    check_options(config, (*REACHING, *CALLING))
    access = find_access(
        config, keys=("DEEPSEEK_API_KEY",), addresses=("DEEPSEEK_BASE_URL",), default="https://api.deepseek.com"
    )
    if access is None:
        return None
    made = DeepSeek(access, CATALOGUE.today(config), read_manner(config))
    made.choose = lambda served: CATALOGUE.today(config, served=served)
    made.retired = CATALOGUE.retired_now()
    return made
