import json
from pathlib import Path

import pytest

from tests.cli.command import orchestrate, rows, scripted_spec


def test_accounts_are_opened_set_raised_and_shown(tmp_path: Path) -> None:
    """What is set and raised is shown exactly, real accounts before simulated ones."""
    home = tmp_path / "home"
    assert orchestrate(home, "budget", "show").err.startswith("nothing caps the runs in")
    for name, amount in (("sim/org", "2"), ("org", "100"), ("team/eng", "30.5"), ("team/eng", "20"), ("job/a b", "1")):
        assert orchestrate(home, "budget", "set", name, amount).code == 0
    raised = orchestrate(home, "budget", "raise", "team/eng", "0.000000001")
    assert raised.err == "team/eng: a cap of $20.0000, $20.0000 of it left\n"
    shown = orchestrate(home, "budget", "show", "--json").json
    assert {each["account"]: each["cap_usd"] for each in shown} == {
        "org": "100.000000000",
        "team/eng": "20.000000001",
        "job/a b": "1.000000000",
        "sim/org": "2.000000000",
    }
    assert [each["account"] for each in shown][-1] == "sim/org"
    lines = orchestrate(home, "budget", "show").lines
    assert lines[0].split() == ["account", "cap", "spent", "in", "flight", "unreconciled", "left"]
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "enigneering", "1"), "'enigneering' is no account: write org, team/NAME, job/NAME or eval/NAME"),
        (("set", "team/", "1"), "is no account"),
        (("set", "sim/sim/org", "1"), "is no account"),
        (("set", "org", "0"), "not more than nothing"),
        (("set", "org", "-1"), "an amount may not be negative: -1"),
        (("raise", "sim/org", "-.5"), "an amount may not be negative: -.5"),
        (("set", "org", "1", "--sum"), "No such option '--sum'"),
        (("set", "org", "1e-12"), "more than nine decimals"),
        (("raise", "org", "1"), "there is no account 'org'"),
        (("raise", "sim/team/a", "1"), "there is no account 'sim/team/a'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exits_with_2(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Wrong names and amounts, and accounts that do not exist."""
    ended = orchestrate(tmp_path, "budget", *arguments)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert said in line


def test_a_spec_names_its_team_and_its_job(tmp_path: Path) -> None:
    """Its run draws on the accounts that exist, and ends where the tightest of them does; raising that helps."""
    home = tmp_path / "home"
    for name, amount in (("sim/org", "1"), ("sim/team/eng", "0.000001"), ("team/eng", "5")):
        orchestrate(home, "budget", "set", name, amount)
    spec = scripted_spec(tmp_path, project_id="r", team="eng", job_id="nightly")
    ended = orchestrate(home, "run", str(spec))
    assert ended.code == 4, ended.err
    assert "account sim/team/eng has" in ended.err
    ((settings,),) = rows(home, "SELECT json_extract(data, '$.settings.accounts') FROM events WHERE type='run.started'")
    assert json.loads(settings) == ["org", "team/eng"]
    ((caps,),) = rows(home, "SELECT json_extract(data, '$.caps') FROM events WHERE type = 'session.opened'")
    assert json.loads(caps) == {"org": 10**9, "team/eng": 1000}
    assert orchestrate(home, "budget", "raise", "sim/team/eng", "1").code == 0
    again = orchestrate(home, "resume", "r", "--add-budget", "0.000001")
    assert again.code == 0, again.err
    accounts = {each["account"]: each for each in orchestrate(home, "budget", "show", "--json").json}
    assert accounts["sim/org"]["settled_usd"] == accounts["sim/team/eng"]["settled_usd"] != "0.000000000"
    assert accounts["team/eng"]["settled_usd"] == "0.000000000"
    below = orchestrate(home, "budget", "set", "sim/org", "0.000001")
    assert below.code == 2
    assert "settled and held: its cap cannot be" in below.err


def test_an_advance_that_is_never_given_is_said(tmp_path: Path) -> None:
    """An account gives an advance while ten more are left beside it: below eleven of them it never does."""
    never = orchestrate(tmp_path, "budget", "set", "org", "0.5", "--advance", "0.05")
    assert (never.code, len(never.err.splitlines())) == (0, 2)
    assert "no run ever takes so much at once" in never.err
    assert "a cap above $0.5500" in never.err
    assert len(orchestrate(tmp_path, "budget", "raise", "org", "0.05").err.splitlines()) == 2
    assert len(orchestrate(tmp_path, "budget", "raise", "org", "0.000001").err.splitlines()) == 1


def test_a_run_takes_money_of_an_account_at_once(tmp_path: Path) -> None:
    """The account is moved less often than there are calls, and has in the end what they came to."""
    home = tmp_path / "home"
    opened = orchestrate(home, "budget", "set", "sim/org", "1", "--advance", "0.05")
    assert opened.err == "sim/org: a cap of $1.0000, $1.0000 of it left; a run takes $0.0500 at once\n"
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="r"))).code == 0
    ((calls,),) = rows(home, "SELECT count(*) FROM events WHERE stream = 'r' AND type = 'call.started'")
    ((moved,),) = rows(home, "SELECT count(*) FROM events WHERE type LIKE 'account.%'")
    assert moved - 1 < calls
    (account,) = orchestrate(home, "budget", "show", "--json").json
    ((settled,),) = rows(home, "SELECT sum(settled_nano) FROM calls")
    assert account["settled_usd"] == f"{settled / 10**9:.9f}"
    assert (account["in_flight_usd"], account["advance_usd"]) == ("0.000000000", "0.050000000")
    assert orchestrate(home, "budget", "show").lines[0].split()[-1] == "advance"
    assert orchestrate(home, "audit", "verify").code == 0
    assert orchestrate(home, "budget", "set", "sim/org", "1", "--advance", "0").code == 0
    assert orchestrate(home, "budget", "show").lines[0].split()[-1] == "left"
