"""The provider ``kimi``: Moonshot AI's Kimi.

Needs ``KIMI_API_KEY`` or ``MOONSHOT_API_KEY``; ``KIMI_BASE_URL`` or ``MOONSHOT_BASE_URL`` names another address.
``KIMI_MODEL`` chooses the model that fills the slot ``moonshot-v1``. Options: ``region: international`` (the default)
or ``china``, whose keys are not interchangeable, ``base_url``, ``api_key_env``, ``stream``, ``idle_seconds`` and
``effort``.
"""

from collections.abc import Collection
from typing import Any, Final

from orchestrator.spi import ModelInfo, Provider, ProviderConfig, Request, hookimpl
from orchestrator_providers.keys_and_addresses import (
    CALLING,
    REACHING,
    check_options,
    choose_region,
    find_access,
    read_manner,
)
from orchestrator_providers.model_catalogue import Catalogue, Listed, in_region
from orchestrator_providers.openai_family import OpenAIFamily

SLOT: Final = "moonshot-v1"
HOSTS: Final = {"international": "https://api.moonshot.ai/v1", "china": "https://api.moonshot.cn/v1"}

_JSON: Final = ("json_schema", "json_object")
# From k2.5 on, one temperature is accepted, which the vendor takes by itself.
_FIXED: Final = (*_JSON, "no_temperature")

_NOW: Final = "kimi-k3.1-pro"

CATALOGUE: Final = Catalogue(
    vendor="moonshot",
    checked="2026-11-29",
    price_list="moonshotai",
    effort="low",
    thinking={"low": 8192, "high": 16_384, "max": 32_768, "default": 8192},
    models=(
        Listed(_NOW, (SLOT,), "premium", (*_FIXED, "reasoning", "effort"), max_output=1_048_576),
        Listed("kimi-k3.1-pro-highspeed", (), "premium", (*_FIXED, "reasoning", "effort"), max_output=1_048_576),
        Listed("kimi-k3", (SLOT,), "premium", (*_FIXED, "reasoning", "effort"), max_output=1_048_576),
        # K2 is closed to new accounts; other sources than the vendor say that it ends in December.
        Listed(
            "kimi-k2.6",
            (SLOT,),
            "standard",
            (*_FIXED, "thinking_switch"),
            max_output=262_144,
            retires="2026-12",
            instead=_NOW,
            is_open=False,
        ),
        Listed(
            "kimi-k2.7-code",
            (),
            "standard",
            (*_FIXED, "reasoning"),
            max_output=262_144,
            retires="2026-12",
            instead=_NOW,
            is_open=False,
        ),
        Listed(
            "kimi-k2.7-code-highspeed",
            (),
            "standard",
            (*_FIXED, "reasoning"),
            max_output=262_144,
            retires="2026-12",
            instead=_NOW,
            is_open=False,
        ),
    ),
    retired={
        **dict.fromkeys(
            (
                "kimi-latest",
                "kimi-k2",
                "kimi-k2-0711-preview",
                "kimi-k2-0905-preview",
                "kimi-k2-turbo-preview",
            ),
            _NOW,
        ),
        **dict.fromkeys(("kimi-thinking-preview", "kimi-k2-thinking", "kimi-k2-thinking-turbo"), _NOW),
    },
)


class Kimi(OpenAIFamily):
    """Speaks to Moonshot AI."""

    hosts = tuple(HOSTS.values())

    limit_field = "max_completion_tokens"
    temperatures = (0.0, 1.0)

    def thinking(self, request: Request) -> dict[str, Any]:
        """Models with a switch do not think; the others take an effort or decide by themselves."""
        if "thinking_switch" in request.model.abilities:
            return {"thinking": {"type": "disabled"}}
        return super().thinking(request)


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where there is no key."""
    check_options(config, (*REACHING, *CALLING, "region"))
    region = choose_region(config, HOSTS)
    access = find_access(
        config,
        keys=("KIMI_API_KEY", "MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY"),
        addresses=("KIMI_BASE_URL", "MOONSHOT_BASE_URL"),
        default=HOSTS[region],
        own=HOSTS.values(),
    )
    if access is None:
        return None
    chosen = config.variable("KIMI_MODEL")

    def sold(served: Collection[str] | None = None) -> tuple[ModelInfo, ...]:
        models = CATALOGUE.today(config, served=served)
        if chosen is not None:
            models = CATALOGUE.named(config, chosen, SLOT, models, "KIMI_MODEL")
        return in_region(models, region)

    made = Kimi(access, sold(), read_manner(config))
    made.choose = sold
    made.retired = CATALOGUE.retired_now()
    return made
