"""The input stage as a person at a terminal meets it: suggestions, advice, and runs to go on with."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.events import (
    ArchitectureDecided,
    Event,
    QuestionAnswered,
    QuestionAsked,
    RunFinished,
    RunStarted,
    SpecEnhanced,
)
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.e2e.terminal import Terminal
from tests.plugins.providers.vendor_server import VendorServer
from tests.servers.deepseek import deepseek_server, reaching

PROJECT = ("--project", "Build a REST API", "--criteria", "tests pass")
TAKE = r"suggestion {} of 3 \({}\)(?s:.)*?Take it\? \[Y/n\] $"


@pytest.fixture(scope="module")
def vendor() -> Iterator[VendorServer]:
    """A vendor for all of these tests."""
    with deepseek_server() as server:
        yield server


def history(home: Path, run: str | None = None) -> tuple[list[Event], RunState, Texts]:
    """The events of a run (the only one), what they amount to, and its texts."""
    log = EventLog.open_to_read(home)
    try:
        name = run or log.streams()[0]
        records = list(log.read(name))
        state = fold((record.at, record.event) for record in records)
        texts = Texts(log, name, os.urandom, Redactor())
        for digest in (state.project, state.criteria):
            texts.get(digest)  # remembered, so that the log can be closed
        return [record.event for record in records], state, texts
    finally:
        log.close()


def only(events: list[Event], kind: type[Any]) -> Any:
    """The one event of a kind."""
    (found,) = (event for event in events if isinstance(event, kind))
    return found


def verified(home: Path) -> None:
    """Every run of a data folder is recomputed decision by decision, and is unbroken."""
    for (run,) in rows(home, "SELECT run_id FROM runs"):
        assert orchestrate(home, "replay", run, "--verify").code == 0
    assert orchestrate(home, "audit", "verify").code == 0


def test_suggestions_are_taken_refused_and_stopped(tmp_path: Path, vendor: VendorServer) -> None:
    """Enter takes, n refuses, Ctrl-C refuses the rest; the run goes on with what was agreed on, and the log has it."""
    home = tmp_path / "home"
    before = vendor.billed
    with Terminal(home, *PROJECT, environ=reaching(vendor)) as terminal:
        terminal.wait_for(TAKE.format(1, "completeness"))
        assert "add to the description: Every entry has an id and a title." in terminal.text
        terminal.type("what?\r")
        terminal.wait_for(r"Take it\? \[Y/n\] what\?\n+Take it\? \[Y/n\] $")
        terminal.type("\r")
        terminal.wait_for(TAKE.format(2, "criteria"))
        assert "add to the criteria: the tests cover every branch" in terminal.text
        terminal.type("n\r")
        terminal.wait_for(TAKE.format(3, "risk"))
        terminal.type("\x03")
        assert terminal.wait() == 0
        text = terminal.text
    assert "no more questions; the other suggestions are refused" in text
    assert "suggestions: 1 of 3 taken" in text
    assert "🏗 Architecture Decision (deepseek" in text
    assert "Pattern: Layered  │  Topology: Monolith  │  API: REST  │  Storage: Relational" in text
    assert re.search(r"input stage +\$0\.00", text)
    events, state, texts = history(home)
    assert texts.get(state.project) == "Build a REST API. Every entry has an id and a title."
    assert texts.get(state.criteria) == "tests pass"
    ended = only(events, SpecEnhanced)
    assert (ended.taken, ended.refused) == ((1,), (2, 3))
    assert [event.how for event in events if isinstance(event, QuestionAnswered)] == ["person", "person", "stopped"]
    assert only(events, ArchitectureDecided).problem is None
    finished = only(events, RunFinished)
    assert finished.status is ProjectStatus.SUCCESS
    nodes = (*state.before_tasks.values(), *state.tasks.values())
    assert finished.settled == vendor.billed - before == Usd(sum(node.spend.total.nano for node in nodes))
    assert state.enhance.spend.total > Usd.ZERO
    assert state.advise.spend.total > Usd.ZERO
    verified(home)


def test_killed_at_a_question_it_is_asked_again(tmp_path: Path, vendor: VendorServer) -> None:
    """What was answered stays answered, the open question is asked again, and no suggestion is paid twice."""
    home = tmp_path / "home"
    with Terminal(home, *PROJECT, environ=reaching(vendor)) as terminal:
        terminal.wait_for(TAKE.format(1, "completeness"))
        terminal.type("y\r")
        terminal.wait_for(TAKE.format(2, "criteria"))
    with Terminal(home, *PROJECT, environ=reaching(vendor)) as terminal:
        terminal.wait_for(r"Found the same project, run-\w+: resuming it \(--new-project starts a new run\)")
        terminal.wait_for(TAKE.format(2, "criteria"))
        terminal.type("Y\r")
        terminal.wait_for(TAKE.format(3, "risk"))
        terminal.type("\x04")
        assert terminal.wait() == 0
        assert "suggestion 1 of 3" not in terminal.text
    events, state, texts = history(home)
    assert texts.get(state.criteria) == "tests pass; the tests cover every branch"
    assert only(events, SpecEnhanced).taken == (1, 2)
    assert [event.number for event in events if isinstance(event, QuestionAsked)] == [1, 2, 3]
    assert rows(home, "SELECT count(*) FROM calls WHERE task_id = 'enhance'") == [(1,)]
    verified(home)


def killed(home: Path, vendor: VendorServer, *arguments: str) -> None:
    """Begin a project and kill it at its first question."""
    with Terminal(home, *arguments, environ=reaching(vendor)) as terminal:
        terminal.wait_for(TAKE.format(1, "completeness"))


def test_a_similar_project_is_asked_about(tmp_path: Path, vendor: VendorServer) -> None:
    """One is offered, several are a list; no starts anew, --new-project is not asked."""
    home = tmp_path / "home"
    killed(home, vendor, "-p", "Build a FastAPI auth service", "-c", "tests pass", "--project-id", "first")
    like = ("-p", "Build a FastAPI auth service with JWT", "-c", "tests pass")
    with Terminal(home, *like, "--no-enhance", "--no-advise", environ=reaching(vendor)) as terminal:
        terminal.wait_for(r"first: Build a FastAPI auth service \(interrupted, .* ago, 0\.8\d alike\)")
        terminal.wait_for(r"Found similar project - Resume it\? \[Y/n\]: $")
        terminal.type("n\r")
        assert terminal.wait() == 0
    killed(home, vendor, *like, "--project-id", "second")
    with Terminal(home, *like[:2], "-c", "it works", "--yes", environ=reaching(vendor)) as terminal:
        terminal.wait_for(r"1  second: (?s:.)*2  first: (?s:.)*Resume which one\? \[1–2 / n\]: $")
        terminal.type("7\r")
        terminal.wait_for(r"\]: 7\n+Resume which one")
        terminal.type("2\r")
        assert terminal.wait() == 0
        assert "resuming first" in terminal.text
    assert only(history(home, "first")[0], SpecEnhanced).taken == (1, 2, 3)
    with Terminal(home, *like, "-N", environ=reaching(vendor)) as terminal:
        terminal.wait_for(TAKE.format(1, "completeness"))
        assert "Found" not in terminal.text
        terminal.type("\x04")
        assert terminal.wait() == 0
    statuses = dict(rows(home, "SELECT run_id, status FROM runs"))
    assert len(statuses) == 4
    assert statuses.pop("second") == "open"
    assert set(statuses.values()) == {"SUCCESS"}


def test_the_same_project_with_other_limits_is_asked_about(tmp_path: Path, vendor: VendorServer) -> None:
    """A run keeps its limits, so a command that gives others learns what would not hold; Enter resumes."""
    home = tmp_path / "home"
    killed(home, vendor, *PROJECT)
    with Terminal(home, *PROJECT, "--budget", "2", "--yes", environ=reaching(vendor)) as terminal:
        terminal.wait_for(r"it keeps its own: budget_usd(?s:.)*Found similar project - Resume it\? \[Y/n\]: $")
        terminal.type("\r")
        assert terminal.wait() == 0
    assert rows(home, "SELECT count(*) FROM runs") == [(1,)]


def test_without_a_terminal_no_question_is_asked(tmp_path: Path, vendor: VendorServer) -> None:
    """Nothing is suggested and nothing resumed; the architecture is decided on all the same, unless unwanted."""
    home = tmp_path / "home"
    killed(home, vendor, *PROJECT)
    done = orchestrate(home, *PROJECT, environ=reaching(vendor))
    assert done.code == 0, done.err
    assert "🏗 Architecture Decision (deepseek" in done.err
    plain = orchestrate(home, *PROJECT, "--no-advise", environ=reaching(vendor))
    assert "Architecture" not in plain.err
    runs = [run for (run,) in rows(home, "SELECT run_id FROM runs")]
    assert len(runs) == 3
    events, state, _ = history(home, runs[1])
    assert not any(isinstance(event, QuestionAsked | SpecEnhanced) for event in events)
    assert state.settings.advise
    assert not history(home, runs[2])[1].settings.advise


def test_yes_takes_everything(tmp_path: Path, vendor: VendorServer) -> None:
    """With --yes every suggestion is taken, without a terminal too, and each question is in the log."""
    home = tmp_path / "home"
    done = orchestrate(home, *PROJECT, "--yes", environ=reaching(vendor))
    assert done.code == 0, done.err
    assert "suggestions: 3 of 3 taken" in done.err
    events, state, texts = history(home)
    assert [event.how for event in events if isinstance(event, QuestionAnswered)] == ["flag"] * 3
    assert texts.get(state.criteria) == "tests pass; the tests cover every branch; a test fills the disk"
    assert isinstance(events[0], RunStarted)
    assert events[0].words == 4


def test_a_spec_is_enhanced_and_advised_on_where_it_says_so(tmp_path: Path) -> None:
    """`run` does what the spec or a flag says; an answer that cannot be read costs what it costs, and is reported."""
    plan = {"tasks": [{"id": "a", "type": "code_generation", "prompt": "Write x."}]}
    answers = [
        {"role": "decomposer", "text": json.dumps(plan)},
        {"role": "enhancer", "text": "It is perfect."},
        {"role": "advisor", "text": "Any."},
    ]
    spec = scripted_spec(tmp_path, answers=answers, advise=True)
    data = json.loads(spec.read_text())
    del data["tasks"]
    spec.write_text(json.dumps(data))
    done = orchestrate(tmp_path / "home", "run", str(spec), "--enhance", "--yes")
    assert done.code == 0, done.err
    assert "! no suggestions: the answer could not be read; the description is unchanged" in done.err
    assert "! no advice on the architecture: the answer could not be read; the defaults are used" in done.err
    assert "🏗 Architecture Decision (defaults):" in done.err
    spent = dict(
        rows(tmp_path / "home", "SELECT task_id, settled_nano FROM spend WHERE role IN ('enhancer', 'advisor')")
    )
    assert set(spent) == {"enhance", "advise"}
    assert all(nano > 0 for nano in spent.values())
    plain = orchestrate(tmp_path / "other", "run", str(spec), "--no-advise")
    assert plain.code == 0, plain.err
    assert rows(
        tmp_path / "other", "SELECT count(*) FROM events WHERE type IN ('spec.enhanced', 'architecture.decided')"
    ) == [(0,)]
