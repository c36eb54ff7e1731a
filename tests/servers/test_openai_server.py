import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from orchestrator.models import TaskType, Verdict
from orchestrator.money import Price, Usd
from orchestrator.spi import Candidate, ValidatorContext
from orchestrator_validators.json_schema import json_schema
from orchestrator_validators.python_syntax import python_syntax
from tests.servers.openai_server import Fault, OpenAIServer
from tests.servers.roles import draft, play


def asked(role: str, user: str = "Do it.", model: str = "m", max_tokens: int = 1000) -> dict[str, Any]:
    """A request in one of the roles."""
    messages = [{"role": "system", "content": f"Role: {role}\nMore."}, {"role": "user", "content": user}]
    return {"model": model, "messages": messages, "max_tokens": max_tokens}


def post(server: OpenAIServer, request: Mapping[str, Any]) -> httpx.Response:
    """One request over a socket of its own."""
    return httpx.post(f"{server.base_url}/chat/completions", json=request, trust_env=False)


def test_the_ledger_has_every_request_and_its_bill() -> None:
    """What arrived, what was asked for and what it costs by the model's price, to the nano-dollar."""
    price = Price(Usd.parse("1"), Usd.parse("2"))
    with OpenAIServer(lambda request: "8 bytes.", prices={"m": price}) as server:
        usage = post(server, asked("generator")).json()["usage"]
        (served,) = server.ledger

    assert (served.role, served.model, served.max_tokens) == ("generator", "m", 1000)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (-(-len(served.body) // 4), 2)
    assert server.billed == served.billed == price.cost(served.usage)


def test_faults_are_billed_only_where_they_say_so() -> None:
    """A refusal costs nothing; a connection cut after the work costs its tokens."""
    faults = iter([Fault(503), Fault(cut=-1, billed=True)])
    with OpenAIServer(lambda request: next(faults)) as server:
        assert post(server, asked("critic")).status_code == 503
        with pytest.raises(httpx.RemoteProtocolError):
            post(server, asked("critic"))
        first, second = server.ledger

    assert first.billed == Usd.ZERO
    assert second.billed == server.billed > Usd.ZERO


def test_an_answer_function_that_raises_is_seen() -> None:
    """A mistake in a test's own function is an error 500 with its text, not a hang."""
    with OpenAIServer(lambda request: str(1 / 0)) as server:
        response = post(server, asked("critic"))

    assert response.status_code == 500
    assert "ZeroDivisionError" in response.text


def test_the_end_wakes_a_stalled_answer() -> None:
    """Leaving the block ends what still stalls."""
    with OpenAIServer(lambda request: Fault(stall=600)) as server, pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.base_url}/chat/completions", json={"a": 1}, timeout=0.1, trust_env=False)

    assert len(server.ledger) == 1


def test_the_default_vendor_plays_every_role() -> None:
    """A plan that holds together, an agreeing score, and an output of the task's type."""
    tasks = json.loads(play(asked("decomposer")))["tasks"]
    names = [task["id"] for task in tasks]

    assert len(tasks) == 5
    assert all(set(task["dependencies"]) <= set(names[:at]) for at, task in enumerate(tasks))
    assert json.loads(play(asked("evaluator")))["score"] == 0.93
    assert play(asked("critic"))
    assert play(asked("generator", "evaluation\n=== BEGIN TASK (code_generation) 1 ===")).count("```python") == 1
    assert play(asked("reviser", "Task type: data_extraction")).count("```json") == 1
    assert play(asked("generator", "a")) == play(asked("generator", "a")) != play(asked("generator", "b"))


def test_the_default_drafts_pass_their_gates() -> None:
    """Code compiles, JSON parses."""
    code, data = (draft(kind, "1").split("\n", 1)[1] for kind in (TaskType.CODE_GEN, TaskType.DATA_EXTRACTION))
    code = code.partition("```python\n")[2].partition("```")[0]
    data = data.partition("\n```")[0]

    for check, text in ((python_syntax, code), (json_schema, data)):
        finding = check(Candidate("t", TaskType.CODE_GEN, text, text), ValidatorContext())
        assert finding.verdict is Verdict.PASSED
