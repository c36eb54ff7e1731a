"""A models file wherever a run starts, and what is refused for want of a price."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator import Budget, Orchestrator, StateManager
from orchestrator.engine.vendors.price_age import old_prices
from orchestrator.models import ModelInfo
from orchestrator.money import Price, Usd
from tests.cli.command import Ended, orchestrate, rows
from tests.e2e.test_instances import a_model, spec_file
from tests.servers.openai_server import OpenAIServer

VARIABLE: Final = "ORCHESTRATE_MODELS"
EVERY_SLOT: Final = ["deepseek-chat", "deepseek-reasoner", "gemini-2.5-flash", "moonshot-v1", "claude-opus", "gpt-4o"]


def models_file(folder: Path, name: str = "mine") -> Path:
    """A file with one model of the local server, for every slot."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"models": [a_model("openai_compatible", name, slots=EVERY_SLOT)]}))
    return path


STARTS: Final = {
    "run": ("run", "SPEC"),
    "the flag --file": ("--file", "SPEC"),
    "the flag --project": ("--project", "Write x.", "--criteria", "x is there", "--no-enhance", "--no-advise"),
    "plan --decompose": ("plan", "SPEC", "--decompose"),
    "build": ("build", "Write x.", "--spec", "SPEC", "-o", "app", "--type", "library"),
    "pool": ("pool", "SPEC", "--loop", "plain", "--loop", "reviewed"),
}


@pytest.mark.parametrize("by", ["flag", "variable"])
@pytest.mark.parametrize("name", STARTS)
def test_the_file_counts_wherever_a_run_starts(name: str, by: str, tmp_path: Path) -> None:
    """By --models or by the variable: the model of the file is called, and no other is known."""
    home = tmp_path / "home"
    path = models_file(home)
    with OpenAIServer() as server:
        spec = spec_file(home) if "decompose" not in name else spec_file(home, tasks=None)
        arguments = [str(spec) if each == "SPEC" else each for each in STARTS[name]]
        given = ["--models", str(path)] if by == "flag" else []
        environ = {"OPENAI_COMPATIBLE_BASE_URL": server.base_url, **({} if by == "flag" else {VARIABLE: str(path)})}
        ended = orchestrate(home, *arguments, *given, environ=environ)
    assert "Traceback" not in ended.err, ended.err
    assert {model for (model,) in rows(home, "SELECT DISTINCT model FROM calls")} == {"mine"}, ended.err


def test_the_flag_wins_over_the_variable(tmp_path: Path) -> None:
    """The variable is what --models is by default, and adds nothing to another file."""
    home = tmp_path / "home"
    usual, other = models_file(home, "usual"), models_file(home, "other")
    with OpenAIServer() as server:
        environ = {"OPENAI_COMPATIBLE_BASE_URL": server.base_url, VARIABLE: str(usual)}
        ended = orchestrate(home, "run", str(spec_file(home)), "--models", str(other), "-o", "out", environ=environ)
        listed = orchestrate(home, "models", "list", "--available", "--json", environ=environ)
    assert ended.code == 0, ended.err
    assert rows(home, "SELECT DISTINCT model FROM calls") == [("other",)]
    assert [model["id"] for model in listed.json] == ["usual"]


def test_from_python_the_variable_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Orchestrator` starts runs as well."""
    with OpenAIServer() as server:
        monkeypatch.setenv(VARIABLE, str(models_file(tmp_path)))
        monkeypatch.setenv("OPENAI_COMPATIBLE_BASE_URL", server.base_url)
        home = tmp_path / "home"
        orchestrator = Orchestrator(Budget(max_usd=5.0), state_manager=StateManager(home))
        state = asyncio.run(orchestrator.run_project("Write x.", "x is there"))
    assert state.status is not None
    assert rows(home, "SELECT DISTINCT model FROM calls") == [("mine",)]


def test_a_fork_may_have_other_models(tmp_path: Path) -> None:
    """`fork --models` puts the file into the fork's spec; a resumed run keeps its own models, and says so."""
    home = tmp_path / "home"
    usual, other = models_file(home, "usual"), models_file(home, "other")
    with OpenAIServer() as server:
        environ = {"OPENAI_COMPATIBLE_BASE_URL": server.base_url}
        spec = str(spec_file(home))
        ran = orchestrate(home, "run", spec, "--project-id", "r", "--models", str(usual), "-o", "out", environ=environ)
        assert ran.code == 0, ran.err
        forked = orchestrate(home, "fork", "r", "--at", "9", "--models", str(other), "--project-id", "f")
        assert forked.code == 0, forked.err
        assert orchestrate(home, "resume", "f", "-o", "fork", environ=environ).code == 0
    opened = rows(home, "SELECT data FROM events WHERE type = 'session.opened' ORDER BY position")
    assert [[model["id"] for model in json.loads(data)["models"]] for (data,) in opened] == [
        ["usual"],
        ["other", "usual"],
    ]
    refused = orchestrate(home, "--resume", "r", "--models", str(other))
    assert refused.code == 2
    assert "a run keeps its models" in refused.err


@pytest.mark.parametrize("name", STARTS)
def test_a_file_that_cannot_be_read_is_refused_wherever_a_run_starts(name: str, tmp_path: Path) -> None:
    """One line, exit code 2, and nothing recorded; for a command that starts no run the variable means nothing."""
    home = tmp_path / "home"
    spec = spec_file(home)
    arguments = [str(spec) if each == "SPEC" else each for each in STARTS[name]]
    ended = orchestrate(home, *arguments, environ={VARIABLE: str(home / "missing.yaml")})
    assert ended.code == 2, ended.err
    assert "missing.yaml" in ended.err
    assert orchestrate(home, "runs", "list", environ={VARIABLE: str(home / "missing.yaml")}).code == 0


# ── prices ─────────────────────────────────────────────────────────────────────────────────────────────────────


def refused(home: Path, *arguments: str, **fields: Any) -> Ended:
    """A command on a spec for a server that is never called."""
    return orchestrate(
        home,
        *(str(spec_file(home, **fields)) if each == "SPEC" else each for each in arguments),
        environ={"OPENAI_COMPATIBLE_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "sk-0123456789"},
    )


UNPRICED: Final = {"id": "m", "provider": "openai_compatible", "context": 8192}


@pytest.mark.parametrize("command", [("run", "SPEC"), ("plan", "SPEC"), ("--file", "SPEC")])
@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"models": [UNPRICED]}, "m"),
        ({"models": [{**UNPRICED, "slots": ["gpt-4o"]}, a_model("openai_compatible", "n")]}, "m"),
        (
            {
                "providers": {"lab": {"type": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}},
                "models": [{**UNPRICED, "provider": "lab"}],
            },
            "lab/m",
        ),
        ({"models": [{"id": "gpt-99", "provider": "openai"}]}, "gpt-99"),
    ],
)
def test_a_model_without_a_price_is_refused_at_the_start(
    command: tuple[str, ...], fields: dict[str, Any], name: str, tmp_path: Path
) -> None:
    """Exit code 2 and one line that names the model and the key to set; nothing is recorded, nothing is called."""
    ended = refused(tmp_path / "home", *command, **fields)
    assert ended.code == 2, ended.err
    (line,) = [line for line in ended.err.splitlines() if line.strip()]
    assert f"models: {name} has no price" in line
    assert "price: {input: 0.25, output: 1}" in line
    assert not (tmp_path / "home" / "events.db").exists() or not rows(tmp_path / "home", "SELECT 1 FROM runs")


def test_many_models_without_a_price_are_one_line(tmp_path: Path) -> None:
    """The first few are named, and how many more there are."""
    models = [{**UNPRICED, "id": f"m{number}"} for number in range(9)]
    ended = refused(tmp_path / "home", "run", "SPEC", models=models)
    assert ended.code == 2
    assert "m0, m1, m2, m3, m4 and 4 more have no price" in ended.err


def test_a_price_of_nothing_is_a_price(tmp_path: Path) -> None:
    """A server of one's own may cost nothing; only an unknown price is refused."""
    home = tmp_path / "home"
    free = a_model("openai_compatible", "m", price={"input": 0, "output": 0})
    with OpenAIServer() as server:
        ended = orchestrate(
            home,
            *("run", str(spec_file(home, models=[free])), "-o", "out"),
            environ={"OPENAI_COMPATIBLE_BASE_URL": server.base_url},
        )
    assert ended.code == 0, ended.err
    assert rows(home, "SELECT DISTINCT settled_nano FROM runs") == [(0,)]


def run_with_price_of(home: Path, day: str | None) -> Ended:
    """A run with a model whose price was last known to hold on a day."""
    dated = {} if day is None else {"price_date": day}
    with OpenAIServer() as server:
        environ = {"OPENAI_COMPATIBLE_BASE_URL": server.base_url}
        spec = spec_file(home, models=[a_model("openai_compatible", "m", **dated)])
        return orchestrate(home, "run", str(spec), "-o", "out", environ=environ)


def test_a_price_older_than_ninety_days_is_said(tmp_path: Path) -> None:
    """A line names the model, the day and what to do; the run goes on. A price without a date has no age."""
    old = run_with_price_of(tmp_path / "old", "2020-02-29")
    assert old.code == 0
    assert "prices older than 90 days: m (the oldest of 2020-02-29)" in old.err
    for name, day in (("today", datetime.now(UTC).date().isoformat()), ("none", None)):
        assert "prices older" not in run_with_price_of(tmp_path / name, day).err


def test_the_age_is_counted_in_days() -> None:
    """Ninety days are not old, ninety-one are; the oldest come first, and the first few are named."""
    price, today = Price(Usd.ZERO, Usd.ZERO), date(2026, 11, 29)

    def of(day: date, name: str) -> ModelInfo:
        return ModelInfo(name, "p", "v", price, price_date=day.isoformat())

    assert old_prices([of(today - timedelta(90), "a")], today) is None
    many = [of(today - timedelta(91 + number), f"m{number}") for number in range(7)]
    said = old_prices([*many, ModelInfo("unpriced", "p", "v", price_date="2020-01-01")], today)
    assert said is not None
    assert "m6, m5, m4, m3, m2 and 2 more (the oldest of 2026-08-24)" in said


@pytest.mark.parametrize("day", ["2026-13-01", "yesterday", 20261129, "2026-11-29T12:00"])
def test_a_price_date_that_is_no_day_is_refused(day: Any, tmp_path: Path) -> None:
    """With the key's place."""
    ended = refused(tmp_path / "home", "run", "SPEC", models=[a_model("openai_compatible", "m", price_date=day)])
    assert ended.code == 2
    assert "models[0].price_date" in ended.err


def test_a_prompt_longer_than_the_input_limit_goes_to_a_model_that_takes_it(tmp_path: Path) -> None:
    """The window of the context alone would take it: the model is left out for its context, and never called."""
    home = tmp_path / "home"
    narrow = a_model("openai_compatible", "narrow", max_input=20, slots=EVERY_SLOT, price={"input": 0, "output": 0})
    with OpenAIServer() as server:
        environ = {"OPENAI_COMPATIBLE_BASE_URL": server.base_url}
        spec = spec_file(home, models=[narrow, a_model("openai_compatible", "wide")])
        ended = orchestrate(home, "run", str(spec), "--project-id", "r", "-o", "out", environ=environ)
    assert ended.code == 0, ended.err
    assert rows(home, "SELECT DISTINCT model FROM calls") == [("wide",)]
    assert orchestrate(home, "audit", "verify", "r").code == 0
    assert orchestrate(home, "replay", "r", "--verify", "--strict").code == 0
