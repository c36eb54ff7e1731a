"""What rate headers say of an account; the headers are those that vendors document, and wrong ones."""

from collections.abc import Mapping

import pytest

from orchestrator.spi import Allowance, Allowances
from orchestrator_providers.allowances import allowances

_MINUTE = 60_000_000
_DAY = 1440 * _MINUTE

OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-remaining-tokens": "159976",
    "x-ratelimit-reset-tokens": "9ms",
}
DAILY = {
    "x-ratelimit-limit-requests": "14400",
    "x-ratelimit-remaining-requests": "14370",
    "x-ratelimit-reset-requests": "2m59.56s",
    "x-ratelimit-limit-tokens": "18000",
    "x-ratelimit-remaining-tokens": "17997",
    "x-ratelimit-reset-tokens": "7.66ms",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-11-30T04:00:02Z",
    "anthropic-ratelimit-tokens-limit": "80000",
}


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        (OPENAI, Allowance(5000, _MINUTE), Allowance(160_000, _MINUTE)),
        (DAILY, Allowance(14_400, _DAY), Allowance(18_000, _MINUTE)),
        (ANTHROPIC, Allowance(50, _MINUTE), Allowance(80_000, _MINUTE)),
        ({f"llm_provider-{name}": value for name, value in OPENAI.items()}, Allowance(5000, _MINUTE), None),
        ({"x-ratelimit-limit-requests": "60"}, Allowance(60, _MINUTE), None),
        ({**OPENAI, "x-ratelimit-reset-requests": "5h"}, None, Allowance(160_000, _MINUTE)),
    ],
)
def test_limits_are_read_with_their_period(
    headers: Mapping[str, str], requests: Allowance | None, tokens: Allowance | None
) -> None:
    """A minute, or a day where the limit becomes fresh as slowly as that; of an unknown period: nothing."""
    found = allowances(headers)
    assert found is not None
    assert found.requests == requests
    assert tokens is None or found.tokens == tokens


@pytest.mark.parametrize("value", ["", "-1", "0", "many", "1e999", "٦٠"])
def test_what_cannot_be_read_says_nothing(value: str) -> None:
    """No number, or none that limits."""
    assert allowances({"x-ratelimit-limit-requests": value}) is None
    assert allowances({}) is None


def test_a_reset_that_cannot_be_read_leaves_a_minute() -> None:
    """A limit alone is one of a minute, as those of most vendors are."""
    odd = {"x-ratelimit-remaining-requests": "x", "x-ratelimit-reset-requests": "soon"}
    assert allowances({**odd, "x-ratelimit-limit-requests": "9"}) == Allowances(requests=Allowance(9, _MINUTE))
