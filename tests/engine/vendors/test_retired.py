"""Names that a vendor no longer serves are refused with what to use instead."""

from typing import Any

import pytest

from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.session_providers import Connected, connect
from orchestrator.errors import SpecError
from orchestrator.plugins import Catalogue
from orchestrator.spec import spec_from


def connected(**fields: Any) -> Connected:
    """What a session with a key of Anthropic and of OpenAI is connected to."""
    keys = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}
    return connect(Catalogue.discover(), spec_from("p", "c", **fields), Environment(keys, {}, lambda key: None))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"routing": {"table": {"code_generation": ["gpt-4o", "gpt-4-turbo"]}}},
            r"routing\.table\.code_generation: gpt-4-turbo is no longer served; use gpt-6\.1-sol",
        ),
        (
            {"policies": [{"name": "ours", "allowed_models": ["claude-3-opus-20240229"]}]},
            r"policies: ours\.allowed_models: claude-3-opus-20240229 is no longer served; use claude-opus-5-5",
        ),
        ({"models": [{"id": "o1-mini", "provider": "openai"}]}, r"models: o1-mini is no longer served; use gpt-6-luna"),
    ],
)
def test_a_retired_name_is_refused_with_its_replacement(fields: dict[str, Any], message: str) -> None:
    """Wherever a spec relies on it, the message names the place and the model to use."""
    with pytest.raises(SpecError, match=message):
        connected(**fields)


def test_a_retired_name_with_a_price_of_its_own_is_the_users() -> None:
    """Another server may still serve it."""
    declared = {"id": "gpt-4", "provider": "openai", "price": {"input": 30, "output": 60}}
    found = connected(models=[declared], routing={"table": {"code_generation": ["gpt-4"]}})

    assert "gpt-4" in {model.id for model in found.models}


def test_the_specifications_own_dated_names_are_no_retired_names() -> None:
    """They stand for their slots, which models of today fill."""
    found = connected(routing={"table": {"code_generation": ["claude-3-5-sonnet-20241022"]}})

    assert found.slots["claude-sonnet"] == "claude-sonnet-5-5"
    assert found.slots["gpt-4o"] in {model.id for model in found.models}


def test_every_slot_of_two_vendors_is_filled_by_a_model_with_a_price() -> None:
    """With two keys every provider with a key is used, and its slots are filled."""
    found = connected()

    prices = {model.id: model.price for model in found.models}
    assert set(found.providers) == {"anthropic", "openai"}
    assert set(found.slots) == {"gpt-4o", "gpt-4o-mini", "claude-opus", "claude-sonnet", "claude-haiku"}
    assert all(prices[model] is not None for model in found.slots.values())
