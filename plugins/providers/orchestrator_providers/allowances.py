"""How often an account may ask, as the rate headers of answers say. What cannot be read says nothing."""

from collections.abc import Mapping
from typing import Final

from orchestrator.spi import Allowance, Allowances
from orchestrator_providers.wait_times import duration, seconds, spoken

_MINUTE: Final = 60.0
_DAY: Final = 86_400.0
_NEAR: Final = 0.1
"""How far from a day, as a share of it, the time may be in which a limit becomes fresh that is one of a day."""


def allowances(headers: Mapping[str, str]) -> Allowances | None:
    """The requests and tokens an account may take, by the headers of OpenAI and those like it, or Anthropic's.

    None where they say nothing of either.
    """
    found = Allowances(_of(headers, "requests"), _of(headers, "tokens"))
    return None if found == Allowances() else found


def _of(headers: Mapping[str, str], kind: str) -> Allowance | None:
    """One limit. Headers do not name its period: it is a minute, unless it becomes fresh as slowly as one of a day."""
    most = seconds(spoken(headers, f"x-ratelimit-limit-{kind}"))
    left = seconds(spoken(headers, f"x-ratelimit-remaining-{kind}"))
    reset = duration(spoken(headers, f"x-ratelimit-reset-{kind}") or "")
    if most is None:  # Anthropic's are of a minute, and say by a time of the day when they are fresh
        most = seconds(spoken(headers, f"anthropic-ratelimit-{kind}-limit"))
    if most is None or most < 1:
        return None
    period = _MINUTE
    if left is not None and reset is not None and left < most:
        whole = reset * most / (most - left)
        if abs(whole / _DAY - 1) <= _NEAR:
            period = _DAY
        elif reset > _MINUTE:
            return None
    return Allowance(int(most), round(period * 1_000_000))
