"""An account without money, a key that is refused, a request that is declined: said once, and asked once."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine.runs import Engine
from orchestrator.spec import parse_spec
from tests.cli.command import Ended, orchestrate, rows
from tests.e2e.test_real_http import PRICE, models_file
from tests.plugins.providers.refusals import QUOTA, WINDOWS, Refusal
from tests.servers.local import LocalServer, Received
from tests.servers.openai_server import Fault, OpenAIServer, role_of
from tests.servers.roles import play

TASKS = [{"id": name, "type": "summarization", "prompt": f"Sum {name} up."} for name in ("one", "two", "three", "four")]
BROKE = [row for row in QUOTA if row.vendor == "openai_compatible"][::4]


def run(home: Path, server: OpenAIServer, *arguments: str, **keys: Any) -> Ended:
    """Four given tasks on three models of one server; ``keys`` go into the spec."""
    home.mkdir()
    spec = home / "spec.json"
    spec.write_text(json.dumps({"project": "x", "criteria": "y", "tasks": TASKS, "concurrency": 1, **keys}))
    return orchestrate(
        home,
        *("run", str(spec), "--project-id", "r", "--models", str(models_file(home)), *arguments),
        environ={"OPENAI_COMPATIBLE_BASE_URL": server.base_url, "OPENAI_COMPATIBLE_API_KEY": "sk-of-the-account-1234"},
    )


def others(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same models at another instance of the provider, for more money."""
    price = {"input": 0.5, "output": 2.0}
    return [{**model, "provider": "other", "price": price, "slots": []} for model in models]


def opened(home: Path) -> list[dict[str, Any]]:
    """The circuits that were opened."""
    return [json.loads(data) for (data,) in rows(home, "SELECT data FROM events WHERE type = 'breaker.opened'")]


def verified(home: Path) -> bool:
    """Whether every decision is recomputed, and no law is broken."""
    replayed = orchestrate(home, "replay", "r", "--verify", "--strict")
    audited = orchestrate(home, "audit", "verify", "r")
    assert (replayed.code, audited.code) == (0, 0), replayed.err + audited.out + audited.err
    return True


@pytest.mark.parametrize("row", BROKE, ids=lambda row: row.name)
def test_an_account_without_money_is_asked_once_for_all_its_models(tmp_path: Path, row: Refusal) -> None:
    """One call of four tasks and three models; one line with provider, address and cure; exit 3, and nothing spent."""
    with OpenAIServer(lambda request: Fault(row.status, row.body)) as server:
        ended = run(tmp_path / "home", server)
        host = server.address.removeprefix("http://")

    assert ended.code == 3, ended.err
    assert len(server.ledger) == 1
    (line,) = [line for line in ended.err.splitlines() if "no money or quota is left" in line]
    assert f"openai_compatible at {host}" in line
    assert "its 3 models are off for this session; add credit or raise the limit there, or use another key" in line
    (event,) = opened(tmp_path / "home")
    assert (event["reason"], event["until"], event["host"]) == ("quota", None, None)
    assert rows(tmp_path / "home", "SELECT settled_nano, held_nano FROM runs") == [(0, 0)]
    assert verified(tmp_path / "home")


def test_the_accounts_of_a_session_are_told_apart_and_their_keys_are_in_no_log(tmp_path: Path) -> None:
    """Equal for the models of one provider, of no use without the data folder's secret."""
    seen = []
    with OpenAIServer() as server:
        for home in (tmp_path / "one", tmp_path / "two"):
            assert run(home, server).code in (0, 1)
            (data,) = rows(home, "SELECT data FROM events WHERE type = 'session.opened'")
            models = json.loads(data[0])["models"]
            assert {model["host"] for model in models} == {server.address.removeprefix("http://")}
            (account,) = {model["account"] for model in models}
            assert re.fullmatch("[0-9a-f]{32}", account)
            seen.append(account)
    assert seen[0] != seen[1]
    assert not any(b"sk-of-the-account-1234" in path.read_bytes() for path in tmp_path.rglob("*.db*"))


def test_runs_that_begin_at_once_name_an_account_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever draws the secret of a new data folder first, draws it for all of them."""
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_COMPATIBLE_BASE_URL", server.base_url)
        models = json.loads(models_file(tmp_path).read_text())["models"]
        content = {"project": "x", "criteria": "y", "tasks": TASKS[:1], "models": models, "loop": "plain"}

        async def play() -> None:
            workspace = Engine.open(tmp_path / "home")
            try:
                specs = [parse_spec({**content, "project_id": f"r{number}"}, "spec") for number in range(3)]
                await asyncio.gather(*(workspace.start(spec) for spec in specs))
            finally:
                workspace.close()

        asyncio.run(play())
    found = rows(tmp_path / "home", "SELECT data FROM events WHERE type = 'session.opened'")
    assert len(found) == 3
    assert len({model["account"] for (data,) in found for model in json.loads(data)["models"]}) == 1


def test_another_account_goes_on(tmp_path: Path) -> None:
    """The models of the dead one are asked once in all, those of the other do the work."""
    home = tmp_path / "home"
    home.mkdir()
    broke = Fault(429, {"error": {"message": "no money", "type": "billing_not_active", "code": "billing_not_active"}})
    with OpenAIServer(lambda request: broke) as dead, OpenAIServer() as alive:
        models = json.loads(models_file(home).read_text())["models"]
        table = {"summarization": [model["id"] for model in models]}
        spec = {
            "project": "x",
            "criteria": "y",
            "tasks": TASKS,
            "models": [*({**model, "slots": []} for model in models), *others(models)],
            "routing": {"table": table},
            "concurrency": 1,
            "providers": {
                "openai_compatible": {"base_url": dead.base_url},
                "other": {"type": "openai_compatible", "base_url": alive.base_url},
            },
        }
        (home / "spec.json").write_text(json.dumps(spec))
        ended = orchestrate(home, "run", "spec.json", "--project-id", "r")

    assert ended.code in (0, 1), ended.err
    assert len(dead.ledger) == 1
    assert alive.ledger
    assert rows(home, "SELECT count(*) FROM events WHERE type = 'task.finished'") == [(4,)]
    assert verified(home)


def test_a_key_that_two_models_are_refused_for_is_no_key(tmp_path: Path) -> None:
    """The first refusal is the model's, the second the key's: two calls, and the line says what to correct."""
    wrong = Fault(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})
    with OpenAIServer(lambda request: wrong) as server:
        ended = run(tmp_path / "home", server)

    assert ended.code == 3, ended.err
    assert len(server.ledger) == 2
    assert "the key is refused" in ended.err
    assert "orchestrate doctor shows the variable" in ended.err
    assert verified(tmp_path / "home")


def _calls(home: Path) -> list[tuple[Any, ...]]:
    return rows(home, "SELECT model, count(*) FROM calls WHERE role = 'generator' GROUP BY task_id, model")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(400, {"error": {"message": "declined", "code": "content_filter"}}), "content_filter"),
        (Fault(WINDOWS[0].status, WINDOWS[0].body), "context_length"),
        (
            Fault(
                429,
                {
                    "error": {
                        "message": "Request too large for x on tokens per min (TPM): Limit 300, Requested 600.",
                        "code": "rate_limit_exceeded",
                    }
                },
            ),
            "rate_limit",
        ),
        (Fault(400, {"error": {"message": "Invalid model name passed in model=x", "code": "400"}}), "unknown_model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_pass_is_not_tried_again(tmp_path: Path, fault: Fault, kind: str) -> None:
    """Each model is asked once for the draft; only an unknown model opens a circuit, and that of the model alone."""

    def answer(request: Mapping[str, Any]) -> str | Fault:
        return fault if request["model"] == "alpha" and role_of(request) == "generator" else play(request)

    with OpenAIServer(answer) as server:
        ended = run(tmp_path / "home", server, routing={"table": {"summarization": ["alpha", "beta", "gamma"]}})

    assert ended.code in (0, 1), ended.err
    failed = rows(
        tmp_path / "home",
        "SELECT json_extract(data, '$.kind'), json_extract(data, '$.retryable'), count(*) FROM events"
        " WHERE type = 'call.failed' GROUP BY 1, 2",
    )
    assert failed == [(kind, 0, 1 if kind == "unknown_model" else len(TASKS))]
    assert [event["reason"] for event in opened(tmp_path / "home")] == (
        ["unknown_model"] if kind == "unknown_model" else []
    )
    assert all(count == 1 for _, count in _calls(tmp_path / "home"))


DECLINED = {
    "anthropic": {
        "type": "error",
        "error": {"type": "api_error", "message": "Output blocked by content filtering policy"},
    },
    "openai": {
        "type": "response.failed",
        "response": {
            "id": "resp_1",
            "status": "failed",
            "output": [],
            "error": {"code": "cyber_policy", "message": "This request was declined."},
        },
    },
}


class Declining(LocalServer):
    """Begins a stream with status 200 whatever it is asked, and says in it that the model declines."""

    def __init__(self, vendor: str) -> None:
        super().__init__()
        self.vendor = vendor
        self.asked: list[str] = []

    def respond(self, received: Received) -> Fault:
        """What to send for a request."""
        if received.method == "GET":
            return Fault(404, {"error": {"message": "no list"}})
        self.asked.append(json.loads(received.body)["model"])
        event = json.dumps(DECLINED[self.vendor])
        return Fault(200, f"event: error\ndata: {event}\n\n", {"content-type": "text/event-stream"})


@pytest.mark.parametrize(("vendor", "options"), [("anthropic", {"stream": True}), ("openai", {"api": "responses"})])
def test_a_refusal_inside_a_stream_is_one(tmp_path: Path, vendor: str, options: dict[str, Any]) -> None:
    """Each model is asked once, none twice, and no circuit opens; what was made of tokens is unreconciled."""
    with Declining(vendor) as server:
        spec = {
            "project": "x",
            "criteria": "y",
            "tasks": TASKS[:1],
            "providers": {vendor: {"base_url": f"{server.address}/v1", "api_key_env": "THE_KEY", **options}},
            "models": [
                {"id": f"m{number}", "provider": vendor, "price": PRICE, "context": 100_000, "max_output": 8_000}
                for number in range(3)
            ],
        }
        (tmp_path / "spec.json").write_text(json.dumps(spec))
        key = {"THE_KEY": "sk-of-the-account-1234"}
        agreed = ("--allow", f"key=THE_KEY@{server.address.removeprefix('http://')}")
        ended = orchestrate(tmp_path, "run", "spec.json", "--project-id", "r", *agreed, environ=key)
    assert ended.code == 3, ended.err
    assert sorted(server.asked) == ["m0", "m1", "m2"]
    assert opened(tmp_path) == []
    failed = "SELECT DISTINCT json_extract(data, '$.kind'), json_extract(data, '$.retryable') FROM events"
    assert rows(tmp_path, f"{failed} WHERE type = 'call.failed'") == [("content_filter", 0)]
    assert verified(tmp_path)


def test_a_run_that_found_no_money_goes_on_when_there_is_some(tmp_path: Path) -> None:
    """``resume`` asks the account again, as the line says."""
    broke = Fault(BROKE[0].status, BROKE[0].body)
    has_money: list[bool] = []
    with OpenAIServer(lambda request: play(request) if has_money else broke) as server:
        assert run(tmp_path / "home", server).code == 3
        has_money.append(True)
        address = {"OPENAI_COMPATIBLE_BASE_URL": server.base_url}
        resumed = orchestrate(tmp_path / "home", "resume", "r", environ=address)
    assert resumed.code in (0, 1), resumed.err
    assert verified(tmp_path / "home")
