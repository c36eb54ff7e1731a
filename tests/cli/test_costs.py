import csv
from pathlib import Path

import pytest

from orchestrator.money import Usd
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.cli.conftest import Finished

NAMES = {
    "model": {"north", "south"},
    "phase": {"generation", "cross_review", "evaluation"},
    "task": {"only"},
    "provider": {"scripted"},
    "run": {"done"},
    "team": {"(no team)"},
}


@pytest.mark.parametrize("by", NAMES)
def test_every_sum_is_the_spend_of_the_run(finished: Finished, by: str) -> None:
    """By whatever it is summed, the amounts add up to the run's spend, to the last digit."""
    found = orchestrate(finished.home, "costs", "done", "--by", by, "--json").json
    assert {each[by] for each in found} == NAMES[by]
    total = sum((Usd.parse(each["total_usd"]) for each in found), Usd.ZERO)
    assert [(total.nano, 5)] == [
        (settled, sum(each["calls"] for each in found))
        for (settled,) in rows(finished.home, "SELECT settled_nano FROM runs WHERE run_id = 'done'")
    ]


def test_the_table_has_shares_and_a_total(finished: Finished) -> None:
    """Dearest first, then the total; simulated spend is said to be that."""
    shown = orchestrate(finished.home, "costs", "done", "--by", "task")
    heads, row, total = shown.lines
    assert heads.split() == ["task", "calls", "settled", "held", "total", "share"]
    assert row.startswith("only ")
    assert row.endswith("100.0 %")
    assert total.split()[0] == "total"
    assert total.split()[1:] == row.split()[1:]
    assert "simulated: nothing was paid" in shown.err


def test_csv_has_exact_amounts(finished: Finished) -> None:
    """A header, then a line per name with nine decimals."""
    lines = list(csv.DictReader(orchestrate(finished.home, "costs", "done", "--csv").lines))
    plain = orchestrate(finished.home, "costs", "done", "--json").json
    assert [{name: str(value) for name, value in each.items()} for each in plain] == lines


def test_all_runs_keep_simulated_and_real_apart(finished: Finished) -> None:
    """Simulated spend is in no sum of real money, which is said; it has a sum of its own."""
    real = orchestrate(finished.home, "costs", "--all")
    assert (real.code, real.out) == (0, "")
    assert "1 simulated run left out; see them with --simulated" in real.err
    simulated = orchestrate(finished.home, "costs", "--all", "--simulated", "--by", "task", "--json").json
    assert [each["task"] for each in simulated] == ["done/only"]


def test_several_runs_are_added_up(tmp_path: Path) -> None:
    """Two runs of one spec cost twice as much as one."""
    spec = scripted_spec(tmp_path)
    for name in ("a", "b"):
        assert orchestrate(tmp_path / "home", "run", str(spec), "--project-id", name).code == 0
    (one,) = orchestrate(tmp_path / "home", "costs", "a", "--by", "provider", "--json").json
    (both,) = orchestrate(tmp_path / "home", "costs", "--all", "--simulated", "--by", "provider", "--json").json
    assert Usd.parse(both["total_usd"]).nano == 2 * Usd.parse(one["total_usd"]).nano


def test_what_does_not_go_together_is_refused(finished: Finished) -> None:
    """A run and --all, two formats, an unknown run, an unknown sum."""
    for words in (
        ["done", "--all"],
        ["nope"],
        ["done", "--by", "vendor"],
        ["done", "--simulated"],
    ):
        refused = orchestrate(finished.home, "costs", *words)
        assert (refused.code, refused.out) == (2, ""), words
    both = orchestrate(finished.home, "costs", "done", "--csv", "--json")
    assert (both.code, both.json["error"]["code"]) == (2, 2)
