"""The command keeps the contract, and sums up the calls of runs."""

import json
from collections.abc import Callable

import orchestrator_daily

from orchestrator.testing import CommandContract, Played, called


class TestDaily(CommandContract):
    """The whole contract."""

    plugin = orchestrator_daily
    examples = ((), ("--since", "2026-11-01"))


def test_it_sums_up_the_calls_of_a_run(orchestrate_run: Callable[..., Played]) -> None:
    """Every call is in it, and what they cost is what the run cost."""
    played = orchestrate_run()
    found = json.loads(called(orchestrator_daily.daily, "--json", home=played.home).out)["items"]
    assert {each["model"] for each in found} == {"north", "south"}
    assert round(sum(each["usd"] for each in found) * 1e9) == played.state.spend.total.nano
    later = called(orchestrator_daily.daily, "--since", "9999-01-01", home=played.home)
    assert (later.code, later.out, later.err) == (0, "", "no calls\n")
