"""What the tests of the seven vendors share: how each is reached, and how each is built."""

import importlib
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from orchestrator.spi import ModelInfo, ProviderConfig
from orchestrator_providers.one_call import Vendor

CANARY: Final = "sk-canary-7f3a9c+/=Zq"
"""A key that must never be seen anywhere but in a header."""


@frozen
class Reached:
    """How a vendor is reached."""

    key: str
    address: str
    header: str
    """The header the key travels in."""
    slots: tuple[str, ...]


VENDORS: Final[Mapping[str, Reached]] = {
    "openai": Reached("OPENAI_API_KEY", "OPENAI_BASE_URL", "authorization", ("gpt-4o", "gpt-4o-mini")),
    "anthropic": Reached(
        "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "x-api-key", ("claude-opus", "claude-sonnet", "claude-haiku")
    ),
    "google": Reached("GOOGLE_API_KEY", "GOOGLE_BASE_URL", "x-goog-api-key", ("gemini-2.5-pro", "gemini-2.5-flash")),
    "kimi": Reached("KIMI_API_KEY", "KIMI_BASE_URL", "authorization", ("moonshot-v1",)),
    "deepseek": Reached(
        "DEEPSEEK_API_KEY", "DEEPSEEK_BASE_URL", "authorization", ("deepseek-chat", "deepseek-reasoner")
    ),
    "minimax": Reached("MINIMAX_API_KEY", "MINIMAX_BASE_URL", "authorization", ("minimax-3",)),
    "zhipu": Reached("ZHIPU_API_KEY", "ZHIPU_BASE_URL", "authorization", ("glm-4",)),
}


def built(
    name: str,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    models: tuple[ModelInfo, ...] = (),
) -> Vendor:
    """The provider of a vendor; without an environment, with the canary as its key."""
    made = build(name, {VENDORS[name].key: CANARY} if environment is None else environment, options, models)
    assert made is not None
    return made


def build(
    name: str,
    environment: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    models: tuple[ModelInfo, ...] = (),
) -> Vendor | None:
    """What the hook of a vendor returns."""
    variables = dict(environment)
    config = ProviderConfig(name, options or {}, models, variables.get, variables.get)
    made: Vendor | None = importlib.import_module(f"orchestrator_providers.{name}").orchestrator_provider(config)
    return made


def slot_model(vendor: Vendor, slot: str) -> ModelInfo:
    """The model that fills a slot, or that is called so."""
    return next(model for model in vendor.models() if slot in (*model.slots, model.id))
