"""What a run does when a vendor fails, through the front doors: it says so, goes on, and loses nothing."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import scripted
from tests.cli.command import Ended, count, orchestrate, rows, scripted_spec
from tests.e2e.test_real_http import models_file
from tests.servers.openai_server import Fault, OpenAIServer, role_of
from tests.servers.roles import play

LOW = [{"role": "evaluator", "iteration": 1, "text": '{"score": 0.4, "reasons": "thin"}'}]


def types(home: Path) -> list[str]:
    """The stored names of a log's events, in order."""
    return [name for (name,) in rows(home, "SELECT type FROM events ORDER BY position")]


def test_an_outage_of_all_reviewers_is_told_and_criticism_goes_on(tmp_path: Path) -> None:
    """An iteration without a reviewer is scored and says so; the next iteration and the next task are reviewed."""
    failing = [{"role": "critic", "task": "only", "iteration": 1, "error": "server", "message": "down"}]
    tasks: list[dict[str, Any]] = [
        {"id": "only", "type": "code_generation", "prompt": "Write x."},
        {"id": "next", "type": "code_generation", "prompt": "Write y.", "dependencies": ["only"]},
    ]
    limits = {"tries": 1, "breaker": {"failures": 99}}
    spec = scripted_spec(tmp_path, answers=[*LOW, *failing], tasks=tasks, limits=limits)
    ended = orchestrate(tmp_path / "home", "run", str(spec), "--project-id", "r")
    assert ended.code == 0, ended.err
    assert "only: critique skipped: no answer" in ended.err
    skipped = rows(tmp_path / "home", "SELECT data FROM events WHERE type = 'step.skipped'")
    reasons = [(json.loads(data)["task"], json.loads(data)["reason"]) for (data,) in skipped]
    assert reasons == [("only", "failed"), ("next", "equal")]  # a draft that was reviewed is not reviewed again
    asked = rows(
        tmp_path / "home",
        "SELECT task_id, outcome, count(*) FROM calls WHERE role = 'critic' GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert asked == [("next", "answered", 1), ("only", "answered", 1), ("only", "failed", 2)]
    assert orchestrate(tmp_path / "home", "replay", "r", "--verify", "--strict").code == 0


def test_an_outage_of_one_reviewer_brings_in_the_next(tmp_path: Path) -> None:
    """Where the reviewer of another vendor is down, the author's own vendor reviews, and the waiver is recorded."""
    failing = [{"role": "critic", "model": "south", "error": "server", "message": "down"}]
    spec = scripted_spec(tmp_path, answers=failing, limits={"tries": 1})
    ended = orchestrate(tmp_path / "home", "run", str(spec))
    assert ended.code == 0, ended.err
    chosen = rows(tmp_path / "home", "SELECT data FROM events WHERE type = 'model.selected'")
    critics = [each for (data,) in chosen if (each := json.loads(data))["role"] == "critic"]
    assert [(each["model"], each["reason"], each["waiver"]) for each in critics] == [
        ("south", "first", None),
        ("north", "fallback", "same_model"),
    ]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, {"message": "Incorrect API key provided", "type": "invalid_request_error"}, "authentication"),
        (404, {"message": "The model does not exist", "code": "model_not_found"}, "unknown_model"),
    ],
    ids=["key", "model"],
)
def test_a_model_without_access_is_switched_off_and_the_run_says_so(
    tmp_path: Path, status: int, error: dict[str, Any], kind: str
) -> None:
    """It is asked once; the others do its work; the screen, the log and ``explain`` name the reason."""

    def answer(request: Mapping[str, Any]) -> str | Fault:
        return Fault(status, {"error": error}) if request["model"] == "alpha" else play(request)

    home, ended = _run(tmp_path, answer)
    assert ended.code in (0, 1), ended.err
    assert f"alpha: circuit open for this session ({kind})" in ended.err
    assert rows(home, "SELECT count(*) FROM calls WHERE model = 'alpha'") == [(1,)]
    opened = rows(home, "SELECT data FROM events WHERE type = 'breaker.opened'")
    assert [json.loads(data)["reason"] for (data,) in opened] == [kind]
    assert "switched off for the session" in orchestrate(home, "explain", "r", "--all").out


def _run(folder: Path, answer: Any, *arguments: str, **keys: Any) -> tuple[Path, Ended]:
    """One task, given and not decomposed, against a server that answers so."""
    home, spec = folder / "home", folder / "spec.json"
    home.mkdir()
    task = {"id": "only", "type": "summarization", "prompt": "Sum it up."}
    spec.write_text(json.dumps({"project": "x", "criteria": "y", "tasks": [task], **keys}))
    with OpenAIServer(answer) as server:
        ended = orchestrate(
            home,
            *("run", str(spec), "--project-id", "r", "--models", str(models_file(home)), *arguments),
            environ={"OPENAI_COMPATIBLE_BASE_URL": server.base_url},
        )
        (home / "ledger.json").write_text(
            json.dumps([[role_of(each.request), each.model, each.max_tokens, len(each.body)] for each in server.ledger])
        )
    return home, ended


def test_an_answer_cut_off_at_its_limit_is_asked_for_again_with_more_room(tmp_path: Path) -> None:
    """The whole of it is the output; the vendor saw the limits 512 and 1024, and no body longer than was held for."""
    long = "word " * 600  # 3000 bytes, 750 tokens: the first limit of a summary is 512

    def answer(request: Mapping[str, Any]) -> str:
        return long if role_of(request) in ("generator", "reviser") else play(request)

    home, ended = _run(tmp_path, answer, "-o", "out")
    assert ended.code == 0, ended.err
    assert "reached the limit of 512 tokens; its answer is cut off" in ended.err
    ledger = json.loads((home / "ledger.json").read_text())
    assert [limit for role, _, limit, _ in ledger if role == "generator"] == [512, 1024]
    assert [limit for role, _, limit, _ in ledger if role == "reviser"] == [512, 1024]
    held = sorted(rows(home, "SELECT json_extract(data, '$.body_bytes') FROM events WHERE type = 'call.started'"))
    sent = sorted(size for *_, size in ledger)
    assert all(size <= most <= size + 2 for size, (most,) in zip(sent, held, strict=True))
    (written,) = [path for path in (home / "out").iterdir() if path.name.startswith("task_001")]
    assert written.read_text().strip() == long.strip()
    assert orchestrate(home, "replay", "r", "--verify", "--strict").code == 0
    assert "cut off at its limit" in orchestrate(home, "explain", "r", "--all").out


def test_a_run_waits_for_its_limit_and_its_time_goes_on(tmp_path: Path) -> None:
    """Three calls a minute: the fourth waits; when the time of the run is up it ends, with what it has."""
    spec = scripted_spec(tmp_path, limits={"requests_per_minute": {"scripted": 3}})
    ended = orchestrate(tmp_path / "home", "run", str(spec), "--time", "2", "--project-id", "r")
    assert ended.code == 5, ended.err
    assert types(tmp_path / "home").count("call.started") == 3
    assert orchestrate(tmp_path / "home", "replay", "r", "--verify", "--strict").code == 0


def test_a_limit_of_an_unknown_provider_is_refused(tmp_path: Path) -> None:
    """A mistyped name would limit no provider."""
    spec = scripted_spec(tmp_path, limits={"tokens_per_minute": {"scriptd": 3}})
    ended = orchestrate(tmp_path / "home", "run", str(spec))
    assert ended.code == 2
    assert "limits.tokens_per_minute.scriptd: there is no provider 'scriptd'; did you mean 'scripted'?" in ended.err


def test_a_cancelled_run_records_it_and_stays_cancelled(tmp_path: Path) -> None:
    """The caller gets the cancellation, the log closes the session, and the same id goes on later."""
    made = scripted.orchestrator(tmp_path, **scripted.fields(tmp_path, delay_ms=20_000))

    async def cancel() -> None:
        running = asyncio.create_task(made.run_project("Write x.", "x is there", "r"))
        while not await asyncio.to_thread(count, tmp_path / "home", "call.started"):  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancel())
    assert types(tmp_path / "home")[-2:] == ["call.failed", "run.interrupted"]
    (last,) = rows(tmp_path / "home", "SELECT data FROM events ORDER BY position DESC LIMIT 1")
    assert json.loads(last[0])["cause"] == "cancelled"
    again = scripted.orchestrator(tmp_path, **scripted.fields(tmp_path))
    state = asyncio.run(again.run_project("Write x.", "x is there", "r"))
    assert state.status == "SUCCESS"
