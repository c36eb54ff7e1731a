"""An event is shown with its position and its version wherever either is, and every command takes either."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.log.event_ids import event_name, read_event_id
from tests.cli.command import Ended, orchestrate, rows, scripted_spec

LARGEST = 10**18 - 1
UNKNOWN = {"role": "critic", "text": "Fine.", "usage": "none"}


@given(st.integers(1, LARGEST), st.integers(1, LARGEST))
def test_what_is_shown_is_what_is_taken(position: int, version: int) -> None:
    """Both parts of the name of an event can be given to a command, and name that event."""
    shown = re.fullmatch(r"(\d+) \((v\d+)\)", event_name(position, version))
    assert shown is not None
    for text in shown.groups():
        event = read_event_id(text)
        assert str(event) == text
        assert event.is_of(position, version)
        assert event.reached_by(position, version)
        assert not event.passed_by(position, version)
        assert event.passed_by(position + 1, version + 1)
        assert event.reached_by(position + 1, version + 1)
        assert not event.reached_by(position - 1, version - 1)


@given(st.integers(1, LARGEST), st.integers(1, LARGEST))
def test_a_position_is_no_version(position: int, version: int) -> None:
    """A bare number is never taken for a version, nor the other way round."""
    assert read_event_id(str(version)).is_of(position, version) is (position == version)
    assert read_event_id(f"v{position}").is_of(position, version) is (position == version)


@given(st.text(max_size=25) | st.from_regex(r"\A[vV+-]?[0-9_. ]{0,25}\Z"))
def test_any_other_text_is_refused_in_one_line(text: str) -> None:
    """What is no number from 1 of eighteen digits, with or without v before it, is an error that shows both forms."""
    stripped = text.strip()
    sound = re.fullmatch(r"v?[0-9]{1,18}", stripped, re.ASCII) and int(stripped.removeprefix("v")) > 0
    if sound:
        assert str(read_event_id(text)) == re.sub(r"^(v?)0+", r"\1", stripped)
        return
    with pytest.raises(ValueError, match="neither a position such as 275 nor a version such as v24") as refused:
        read_event_id(text)
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which positions and versions differ: the run is the second one, and has unreconciled money."""
    folder = tmp_path_factory.mktemp("events")
    for name in ("before", "run"):
        spec = scripted_spec(folder / name, answers=[UNKNOWN], project_id=name)
        assert orchestrate(folder / "home", "run", str(spec)).code == 0
    return folder / "home"


def events(home: Path) -> list[tuple[int, int, str]]:
    """Position, version and type of the run's events."""
    found: list[Any] = rows(home, "SELECT position, version, type FROM events WHERE stream = 'run' ORDER BY version")
    assert all(position != version for position, version, _ in found)
    return found


def at_event(home: Path, *words: str) -> Ended:
    """What a command says, which must go well."""
    ended = orchestrate(home, *words)
    assert ended.code == 0, ended.err
    return ended


def test_replay_takes_either(home: Path) -> None:
    """The run as it was after an event is the same by position and by version."""
    for position, version, _ in events(home)[:: len(events(home)) // 4]:
        by_position = at_event(home, "replay", "run", "--to", str(position), "--json")
        by_version = at_event(home, "replay", "run", "--to", f"v{version}", "--json")
        assert by_position.json == by_version.json
    refused = orchestrate(home, "replay", "run", "--to", "1")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "begins after event 1" in refused.err


def test_fork_takes_either_and_names_both(home: Path, tmp_path: Path) -> None:
    """Two forks at one event share the same past."""
    position, version, _ = events(home)[20]
    copy = shutil.copytree(home, tmp_path / "home")
    made = [
        at_event(copy, "fork", "run", "--at", text, "--project-id", name)
        for name, text in (("by-position", str(position)), ("by-version", f"v{version}"))
    ]
    names = {re.findall(r"up to event (\d+ \(v\d+\))", each.out)[0] for each in made}
    assert len(names) == 1
    assert tuple(map(int, re.findall(r"\d+", names.pop()))) in [(each[0], each[1]) for each in events(home)]


@pytest.mark.parametrize("how", ["position", "version", "call"])
@pytest.mark.parametrize("by_file", [False, True])
def test_reconcile_takes_either_or_the_calls_name(home: Path, tmp_path: Path, how: str, by_file: bool) -> None:
    """On the command line and in a file; the line that says so names both."""
    copy = shutil.copytree(home, tmp_path / "home")
    (found,) = at_event(copy, "costs", "reconcile", "run", "--json").json
    assert (found["position"], found["version"], "call.started") in events(home)
    text = f"v{found['version']}" if how == "version" else str(found[how])
    if by_file:
        bills = tmp_path / "bills.csv"
        bills.write_text(f"run,call,amount_usd\nrun,{text},0.5\n")
        done = at_event(copy, "costs", "reconcile", "--from", str(bills))
    else:
        done = at_event(copy, "costs", "reconcile", "run", text, "--amount", "0.5")
    assert f"run: call {found['position']} (v{found['version']}) cost $0.5" in done.err
    settled = rows(copy, "SELECT data ->> 'call' FROM events WHERE type = 'spend.reconciled'")
    assert settled == [(found["version"],)]


def test_wherever_one_is_shown_both_are(home: Path, tmp_path: Path) -> None:
    """log, explain, costs reconcile, report, audit and replay --verify; of a damaged log, too."""
    known = {(position, version) for position, version, _ in events(home)}
    lines = at_event(home, "log", "show", "run").lines
    assert {(int(a), int(b)) for a, b in (re.findall(r"^ *(\d+) +v(\d+) ", each)[0] for each in lines)} == known
    plain = [json.loads(each) for each in at_event(home, "log", "show", "run", "--json").lines]
    assert {(each["position"], each["version"]) for each in plain} == known
    explained = re.findall(r"^event (\d+) \(v(\d+)\), ", at_event(home, "explain", "run", "--all").out, re.MULTILINE)
    assert len(explained) > 3
    assert {(int(a), int(b)) for a, b in explained} <= known
    plain = at_event(home, "explain", "run", "--json").json
    assert {(each["position"], each["version"]) for each in plain} <= known
    attempts = [attempt for each in plain for attempt in each.get("attempts", ())]
    assert {(each["position"], each["version"]) for each in attempts} <= known
    listed = at_event(home, "costs", "reconcile", "run").out
    assert {(int(a), int(b)) for a, b in re.findall(r"(\d+) \(v(\d+)\)", listed)} <= known
    page = tmp_path / "page.html"
    at_event(home, "report", "run", "-o", str(page))
    choices = re.findall(r'"event":"(\d+) \(v(\d+)\)"', page.read_text())
    assert len(choices) > 3
    assert {(int(a), int(b)) for a, b in choices} <= known
    table = re.findall(r'\[(\d+),"v(\d+)",', page.read_text())
    assert {(int(a), int(b)) for a, b in table} == known


def test_an_error_names_both(home: Path, tmp_path: Path) -> None:
    """A changed event is named by position and version in the audit, in its JSON and wherever the run is refused."""
    from tests.log.project import unguarded

    copy = shutil.copytree(home, tmp_path / "home")
    position, version, _ = events(home)[7]
    connection = unguarded(copy)
    connection.execute("UPDATE events SET data = replace(data, '}', ' }') WHERE position = ?", [position])
    connection.close()
    name = f"{position} (v{version})"
    audited = orchestrate(copy, "audit", "verify", "run")
    assert audited.code == 6
    assert audited.lines[0] == f"first bad event: {name}"
    assert audited.lines[1].startswith(f"{name}: run: chain: ")
    found = orchestrate(copy, "audit", "verify", "run", "--json").json
    assert found["first_bad_event"] == {"position": position, "version": version}
    assert (found["findings"][0]["position"], found["findings"][0]["version"]) == (position, version)
    for words in (("resume", "run"), ("fork", "run", "--at", "v9"), ("replay", "run"), ("explain", "run")):
        assert f"event {name}" in orchestrate(copy, *words).err, words


@pytest.mark.parametrize(
    ("words", "option"), [(("replay",), "--to"), (("fork",), "--at"), (("costs", "reconcile"), "CALL")]
)
def test_the_help_says_so(tmp_path: Path, words: tuple[str, ...], option: str) -> None:
    """The help of each command that takes an event has both forms."""
    text = " ".join(at_event(tmp_path, *words, "--help").out.split())
    assert "275, its position in the log, or v24, its version in the run" in text
    assert option in text
