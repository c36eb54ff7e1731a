"""``orchestrate limits``, and a run whose calls take turns: through the front door."""

import json
from pathlib import Path

import pytest

from orchestrator import events as e
from orchestrator.cli.progress.progress_lines import Progress
from orchestrator.models import Role
from orchestrator.money import Usd
from orchestrator.settings import SECOND
from tests.cli.command import orchestrate, rows, scripted_spec


def test_limits_are_set_shown_and_taken_away(tmp_path: Path) -> None:
    """Each number stays as it is until another is given for it; 0 takes it away."""
    assert orchestrate(tmp_path, "limits", "show").err.startswith("no calls take turns in")
    said = orchestrate(tmp_path, "limits", "set", "openai", "--requests", "500", "--tokens", "200000")
    assert said.err == "openai: 500 requests and 200,000 tokens a minute for each account\n"
    orchestrate(tmp_path, "limits", "set", "openai", "--burst", "1.5")
    orchestrate(tmp_path, "limits", "set", "sim/scripted", "--requests", "7")
    found = orchestrate(tmp_path, "limits", "set", "openai", "--tokens", "0", "--json").json
    assert (found["requests_per_minute"], found["tokens_per_minute"], found["burst_seconds"]) == (500, None, 1.5)
    shown = orchestrate(tmp_path, "limits", "show", "--json").json
    assert [(each["provider"], each["account"], each["requests_per_minute"]) for each in shown] == [
        ("openai", None, 500),
        ("sim/scripted", None, 7),
    ]
    lines = orchestrate(tmp_path, "limits", "show").lines
    assert lines[0].split() == ["provider", "account", "requests/min", "tokens/min", "burst", "next", "call"]
    assert lines[1].split() == ["openai", "–", "500", "–", "1.5", "s", "now"]


@pytest.mark.parametrize("numbers", [("--requests", "0"), ("--tokens", "0"), ("--burst", "0"), ("--burst", "1e-9")])
def test_the_last_limit_is_taken_away(numbers: tuple[str, str], tmp_path: Path) -> None:
    """Of a provider that had one, and of one that never had any: nothing is left to be listed."""
    orchestrate(tmp_path, "limits", "set", "openai", numbers[0], "5")
    for provider in ("openai", "scripted"):
        said = orchestrate(tmp_path, "limits", "set", provider, *numbers)
        assert said.code == 0, said.err
        assert said.err == f"{provider}: any number of requests and any number of tokens a minute for each account\n"
    assert orchestrate(tmp_path, "limits", "show", "--json").json == []


def test_a_limit_is_set_where_the_log_is(tmp_path: Path) -> None:
    """In the store that all workers have, and not in the data folder."""
    home, store = tmp_path / "home", f"sqlite:{tmp_path / 'elsewhere'}"
    said = orchestrate(home, "limits", "set", "openai", "--requests", "500", "--store", store)
    assert said.code == 0, said.err
    (shown,) = orchestrate(home, "limits", "show", "--json", environ={"ORCHESTRATE_STORE": store}).json
    assert (shown["provider"], shown["requests_per_minute"]) == ("openai", 500)
    assert not (home / "events.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "openai"), "nothing is to be set: give --requests, --tokens or --burst"),
        (("set", "", "--requests", "1"), "is no provider"),
        (("set", "sim/", "--requests", "1"), "is no provider"),
        (("set", "a/b", "--requests", "1"), "'a/b' is no provider"),
        (("set", "a\nb", "--requests", "1"), "is no provider"),
        (("set", "openai", "--requests", "-1"), "-1 is not in the range"),
        (("set", "openai", "--requests", "1.5"), "'1.5' is not a valid integer"),
        (("set", "openai", "--burst", "nan"), "nan"),
    ],
)
def test_what_cannot_be_set_is_one_line_and_exits_with_2(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Names that cannot be a provider's, numbers that limit nothing; no log is made for them."""
    ended = orchestrate(tmp_path, "limits", *arguments)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert said in line
    assert not (tmp_path / "events.db").exists()


def test_a_name_that_no_installed_provider_has_is_said(tmp_path: Path) -> None:
    """It is set all the same: a spec can give a provider any name."""
    said = orchestrate(tmp_path, "limits", "set", "opnai", "--requests", "5")
    assert said.code == 0
    assert said.err.startswith("no provider called opnai is installed")


def test_a_run_that_shares_its_pace_waits_for_its_turns_and_stays_verifiable(tmp_path: Path) -> None:
    """The waits are in the log, the next call has the ticket; without the key of the spec no call waits."""
    home = tmp_path / "home"
    orchestrate(home, "limits", "set", "sim/scripted", "--requests", "3000")
    for name, limits in (("plain", {}), ("shared", {"shared": True})):
        spec = scripted_spec(tmp_path / name, limits=limits, project_id=name)
        assert orchestrate(home, "run", str(spec)).code == 0
    stored = rows(home, "SELECT stream, version, data FROM events WHERE type = 'pace.refused' ORDER BY version")
    assert {stream for stream, _, _ in stored} == {"shared"}
    assert {json.loads(data)["scope"] for _, _, data in stored} == {"sim/scripted/requests"}
    started = rows(home, "SELECT data FROM events WHERE type = 'call.started' AND stream = 'shared'")
    tickets = {json.loads(data).get("ticket") for (data,) in started} - {None}
    assert tickets <= {version for _, version, _ in stored}
    assert tickets
    assert orchestrate(home, "replay", "shared", "--verify", "--strict").code == 0
    assert orchestrate(home, "audit", "verify").code == 0
    assert "next call" in orchestrate(home, "limits", "show").out


def test_only_a_long_wait_for_other_runs_is_said() -> None:
    """A line names the provider and the seconds; waits of a moment would fill the screen."""
    call = e.CallStarted(1, "task", Role.GENERATOR, 1, 1, 1, 1, "openai", "m", 9, 9, Usd(5), 9)
    progress = Progress(lambda digest: "", "run")
    short, long = (e.PaceRefused(call, "openai/requests", seconds * SECOND) for seconds in (9, 25))
    assert list(progress._notes(short)) == []
    (note,) = progress._notes(long)
    assert note.text == "calls of other runs come first: openai is called in 25 s"
