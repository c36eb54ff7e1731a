"""``orchestrate costs reconcile``: unreconciled money becomes spend, in the run and in the accounts above it."""

import time
from pathlib import Path

import pytest

from tests.cli.command import finish, orchestrate, rows, scripted_spec, start, wait_until

UNKNOWN = {"role": "critic", "text": "Fine.", "usage": "none"}
"""A critique whose vendor does not say what it used: its hold is unreconciled."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended, with one call of unknown cost, under an account."""
    folder = tmp_path_factory.mktemp("unreconciled")
    home = folder / "home"
    assert orchestrate(home, "budget", "set", "sim/org", "1").code == 0
    spec = scripted_spec(folder, answers=[UNKNOWN], project_id="monday")
    assert orchestrate(home, "run", str(spec)).code == 0
    return home


def _money(home: Path) -> tuple[int, int, int]:
    """Settled, held and kept in the run, as its view has them."""
    ((settled, held, unreconciled),) = rows(
        home, "SELECT settled_nano, held_nano, unreconciled_nano FROM runs WHERE run_id = 'monday'"
    )
    return settled, held, unreconciled


def _org(home: Path) -> dict[str, str]:
    (account,) = orchestrate(home, "budget", "show", "--json").json
    return dict(account)


def test_unreconciled_money_is_listed_settled_and_proved(home: Path) -> None:
    """Listed with its number; settled to the nano-dollar everywhere; the log stays whole and recomputable."""
    (unreconciled,) = orchestrate(home, "costs", "reconcile", "--json").json
    assert (unreconciled["run"], unreconciled["call"]) == ("monday", "only/critic/1/1/1")
    assert unreconciled["unreconciled_usd"] == _org(home)["unreconciled_usd"] != "0.000000000"
    settled, held, before = _money(home)
    assert held == before > 0

    done = orchestrate(home, "costs", "reconcile", "monday", str(unreconciled["position"]), "--amount", "0.000123456")

    assert done.code == 0
    assert f"call {unreconciled['position']} (v{unreconciled['version']}) cost $0.0001" in done.err
    assert _money(home) == (settled + 123456, 0, 0)
    account = _org(home)
    assert (account["unreconciled_usd"], account["excess_usd"]) == ("0.000000000", "0.000000000")
    assert round(float(account["settled_usd"]) * 1e9) == settled + 123456
    assert orchestrate(home, "costs", "reconcile", "--json").json == []
    assert orchestrate(home, "replay", "monday", "--verify", "--strict").code == 0
    assert orchestrate(home, "audit", "verify").code == 0
    shown = orchestrate(home, "log", "show", "monday").lines[-1]
    assert "spend.reconciled" in shown
    again = orchestrate(home, "costs", "reconcile", "monday", f"v{unreconciled['version']}", "--amount", "0")
    assert again.code == 2
    assert f"nothing is unreconciled for call {unreconciled['version']} of monday" in again.err


def test_a_file_may_settle_more_than_was_held(tmp_path: Path) -> None:
    """The excess is recorded; a wrong line changes nothing and names its line."""
    home = tmp_path / "home"
    assert orchestrate(home, "budget", "set", "sim/org", "0.02").code == 0
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, answers=[UNKNOWN], project_id="monday"))).code == 0
    ((call, unreconciled),) = rows(
        home,
        "SELECT json_extract(data, '$.call'), json_extract(data, '$.unreconciled') FROM events"
        " WHERE type = 'call.succeeded' AND json_extract(data, '$.unreconciled') > 0",
    )
    bills = tmp_path / "bills.csv"
    bills.write_text(f"run,call,amount_usd\nmonday,v{call},1.5\nmonday,v{call},-2\n")
    refused = orchestrate(home, "costs", "reconcile", "--from", str(bills))
    assert refused.code == 2
    assert "bills.csv:3:" in refused.err
    assert _money(home)[2] == unreconciled

    bills.write_text(f"call,run,amount_usd\nv{call},monday,1.5\n")
    done = orchestrate(home, "costs", "reconcile", "--from", str(bills), "--json")

    assert [each["settled_usd"] for each in done.json] == ["1.500000000"]
    assert float(_org(home)["excess_usd"]) == pytest.approx(1.5 - unreconciled / 1e9, abs=1e-9)


def test_a_run_that_is_going_on_is_left_alone_and_a_dead_one_is_ended_first(tmp_path: Path) -> None:
    """While it is alive: one line, exit 2. Killed with a call in flight: SessionLost, then the settlement."""
    home = tmp_path / "home"
    slow = scripted_spec(tmp_path, project_id="monday", delay_ms=30_000)
    process = start(home, "run", str(slow))
    try:
        wait_until(lambda: (home / "events.db").exists() and _started(home), process)
        (call,) = _started(home)
        alive = orchestrate(home, "costs", "reconcile", "monday", f"v{call}", "--amount", "0")
        assert alive.code == 2
        assert "monday" in alive.err
    finally:
        process.kill()
        finish(process)
    time.sleep(0.05)

    done = orchestrate(home, "costs", "reconcile", "monday", f"v{call}", "--amount", "0")

    assert done.code == 0, done.err
    last = [kind for (kind,) in rows(home, "SELECT type FROM events WHERE stream = 'monday' ORDER BY version")][-2:]
    assert last == ["session.lost", "spend.reconciled"]
    assert _money(home) == (0, 0, 0)
    assert orchestrate(home, "replay", "monday", "--verify", "--strict").code == 0


def _started(home: Path) -> list[int]:
    try:
        return [int(version) for (version,) in rows(home, "SELECT version FROM events WHERE type = 'call.started'")]
    except Exception:
        return []


def test_bad_usage_is_told_on_one_line(home: Path) -> None:
    """An amount without a call, a file beside a run, a run or a call that does not exist."""
    for words, problem in (
        (("monday", "5"), "CALL and --amount belong together"),
        (("monday", "--from", "x.csv"), "--from names runs and calls"),
        (("unknown", "5", "--amount", "1"), "there is no run 'unknown'"),
        (
            ("monday", "only/reviser/9/1/1", "--amount", "1"),
            "nothing is unreconciled for call only/reviser/9/1/1 of monday",
        ),
        (("monday", "5", "--amount", "-1"), "an amount may not be negative: -1"),
        (("monday", "1", "--amount", "1"), "nothing is unreconciled for call 1 of monday"),
    ):
        ended = orchestrate(home, "costs", "reconcile", *words)
        assert (ended.code, problem in ended.err) == (2, True), ended.err
        assert len(ended.err.splitlines()) == 1
