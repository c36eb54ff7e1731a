"""The same specs over real sockets: `openai_compatible` against a vendor on this machine that keeps a ledger."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.state.fold import fold
from orchestrator.testing.simulation.equal_outcomes import RunOutcome, outcome_of, same_outcome
from tests.cli.command import ROOT, Ended, orchestrate, rows
from tests.servers.openai_server import OpenAIServer

OWN = sorted((ROOT / "tests" / "data" / "specs").glob("*.yaml"))
GIVEN = sorted((ROOT.parent / "shared" / "specs").glob("*.yaml"))
PRICE = {"input": 0.25, "output": 1.25}


def models_file(folder: Path, **changes: Any) -> Path:
    """Three models of three vendors that fill the slots of the routing table; ``changes`` are for the first."""
    slots = {
        "alpha": ["deepseek-chat", "deepseek-reasoner", "gemini-2.5-flash"],
        "beta": ["moonshot-v1", "claude-opus", "gpt-4o-mini"],
        "gamma": ["gpt-4o", "claude-sonnet"],
    }
    common = {"provider": "openai_compatible", "price": PRICE, "context": 131072, "max_output": 16384}
    models = [
        {"id": name, "vendor": name, **common, "slots": filled, "trains_on_data": False}
        for name, filled in slots.items()
    ]
    models[0].update(changes)
    path = folder / "models.json"
    path.write_text(json.dumps({"models": models}))
    return path


def run_spec(home: Path, spec: Path, server: OpenAIServer, *arguments: str, **changes: Any) -> Ended:
    """Run a spec against the server, with results in a folder of the data folder."""
    home.mkdir()
    models = models_file(home, **changes)
    given = ["run", str(spec), "--models", str(models), "-o", "out", *arguments]
    return orchestrate(home, *given, environ={"OPENAI_COMPATIBLE_BASE_URL": server.base_url})


def outcome(home: Path) -> RunOutcome:
    """What the only run of a data folder amounts to."""
    log = EventLog.open_to_read(home)
    try:
        (run,) = log.streams()
        state = fold((record.at, record.event) for record in log.read(run))
        return outcome_of(state, Texts(log, run, os.urandom, Redactor()).get)
    finally:
        log.close()


def check_money(home: Path, server: OpenAIServer) -> None:
    """The vendor's ledger and the log agree on every nano-dollar and every byte.

    Held for is the body at the largest limit that may be asked for, four digits of it.
    """
    assert rows(home, "SELECT settled_nano, held_nano FROM runs") == [(server.billed.nano, 0)]
    bodies = "SELECT json_extract(data, '$.body_bytes'), json_extract(data, '$.max_tokens') FROM events"
    held = Counter(rows(home, f"{bodies} WHERE type = 'call.started'"))
    spare = {served.max_tokens: 4 - len(str(served.max_tokens)) for served in server.ledger}
    sent = ((len(served.body) + spare[served.max_tokens], served.max_tokens) for served in server.ledger)
    assert Counter(sent) == held


@pytest.mark.parametrize("spec", [*OWN, *GIVEN], ids=lambda path: path.stem)
def test_a_spec_runs_to_its_end_the_same_way_twice(tmp_path: Path, spec: Path) -> None:
    """A spec ends in two data folders with the same outcome, and the ledger of each is what the log settled."""
    outcomes = []
    for name in ("one", "two"):
        with OpenAIServer() as server:
            done = run_spec(tmp_path / name, spec, server)
            assert done.code in (0, 1), done.err
            check_money(tmp_path / name, server)
            local = "SELECT json_extract(data, '$.local') FROM events WHERE type = 'session.opened'"
            assert rows(tmp_path / name, local) == [('["openai_compatible"]',)]
        assert (tmp_path / name / "out" / "summary.json").is_file()
        assert "simulated" not in done.out
        outcomes.append(outcome(tmp_path / name))
    assert same_outcome(*outcomes) == []
    assert orchestrate(tmp_path / "one", "audit", "verify").code == 0
    ((run,),) = rows(tmp_path / "one", "SELECT run_id FROM runs")
    assert orchestrate(tmp_path / "one", "replay", run, "--verify", "--strict").code == 0


def test_the_given_specs_are_there() -> None:
    """The specs of the specification's authors are run above where they are at hand."""
    if not GIVEN:
        pytest.skip("the given specs are not beside this checkout; only those of tests/data/specs were run")
    assert len(GIVEN) >= 9


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "not_alpha", "blocked_models": ["alpha"]},
        {"name": "eu", "allowed_regions": ["eu"]},
        {"name": "no_training", "allow_training_on_output": False},
    ],
    ids=lambda rule: str(rule["name"]),
)
def test_a_hard_policy_is_seen_in_the_vendors_ledger(tmp_path: Path, rule: dict[str, Any]) -> None:
    """A model that a policy rules out is called neither according to the log nor according to the vendor."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"global": [rule]}))
    with OpenAIServer() as server:
        home = tmp_path / "home"
        home.mkdir()
        models = json.loads(models_file(home).read_text())["models"]
        for model in models:
            model["regions"] = ["us"] if model["id"] == "alpha" else ["eu"]
            model["trains_on_data"] = model["id"] == "alpha"
        (home / "models.json").write_text(json.dumps({"models": models}))
        done = orchestrate(
            home,
            *("run", str(OWN[-1]), "--models", "models.json", "--policy", str(rules)),
            environ={"OPENAI_COMPATIBLE_BASE_URL": server.base_url},
        )
        assert done.code in (0, 1), done.err
        assert {served.model for served in server.ledger} == {"beta", "gamma"}
    assert {model for (model,) in rows(home, "SELECT model FROM calls")} == {"beta", "gamma"}
    considered = [json.loads(found) for (found,) in rows(home, "SELECT candidates FROM decisions")]
    alpha = [each for found in considered for each in found if each["model"] == "alpha"]
    assert {(each["rejection"], each["policy"]) for each in alpha} == {("policy", rule["name"])}


def test_a_key_reaches_its_vendor_and_nothing_else(tmp_path: Path) -> None:
    """A key of `.env` in the working folder goes out in a header; neither the log, the files nor the screen has it."""
    secret = "sk-secret-0123456789abcdef"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text(f"OPENAI_COMPATIBLE_API_KEY={secret}\n")
    with OpenAIServer() as server:
        models = models_file(tmp_path)
        done = orchestrate(
            home,
            *("run", str(OWN[-1]), "--models", str(models), "--verbose", "-o", "out"),
            environ={"OPENAI_COMPATIBLE_BASE_URL": server.base_url},
        )
        assert done.code in (0, 1), done.err
        assert {served.headers["authorization"] for served in server.ledger} == {f"Bearer {secret}"}
    (home / ".env").unlink()
    assert secret not in done.out + done.err
    for path in (path for path in home.rglob("*") if path.is_file()):
        assert secret.encode() not in path.read_bytes(), path
