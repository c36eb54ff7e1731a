"""A provider of a spec that cannot be used: the message says what is missing, and nothing that is there."""

from typing import Any, Final

import pytest

from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.session_providers import connect
from orchestrator.errors import NoProviderError
from orchestrator.plugins import Catalogue
from orchestrator.spec import spec_from

HOUSE: Final = {"type": "openai_compatible", "base_url": "http://127.0.0.1:4000/v1", "api_key_env": "LITELLM_KEY"}
HEADER: Final = {**HOUSE, "headers": {"X-Org": "env:LAB_ORG", "X-Title": "nightly"}}
ADDRESS: Final = "has no address; set OPENAI_COMPATIBLE_BASE_URL, or its base_url in the spec"
NAMED: Final = "cannot be used: the spec names"


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (HOUSE, {}, f"{NAMED} LITELLM_KEY for it, which is not set"),
        (HOUSE, {"LITELLM_KEY": " "}, f"{NAMED} LITELLM_KEY for it, which is not set"),
        (HEADER, {}, f"{NAMED} LAB_ORG and LITELLM_KEY for it, which are not set"),
        (HEADER, {"LITELLM_KEY": "k" * 20}, f"{NAMED} LAB_ORG for it, which is not set"),
        ({"type": "openai_compatible"}, {}, ADDRESS),
        ({"type": "anthropic"}, {}, "has no key; set ANTHROPIC_API_KEY"),
        ({"type": "anthropic"}, {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}, "has no key; set ANTHROPIC_API_KEY"),
        ({"type": "anthropic", "api_key_env": "MINE"}, {}, f"{NAMED} MINE for it, which is not set"),
    ],
)
def test_the_message_says_what_is_missing(options: dict[str, Any], variables: dict[str, str], said: str) -> None:
    """Of that provider alone, whatever others looked for before it."""
    spec = spec_from("p", "c", providers={"openai": {"api_key_env": "OTHER"}, "house": options})
    environment = Environment({**variables, "OTHER": "o" * 20}, {}, lambda secret: None)
    with pytest.raises(NoProviderError) as raised:
        connect(Catalogue.discover(), spec, environment)
    assert str(raised.value) == f"provider 'house' {said}"
