"""``orchestrate mcp``: a client of the official SDK starts the command and calls its tools over stdin and stdout."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import clean_environment, orchestrate, scripted_spec
from tests.python_api.stepping import a_spec

mcp = pytest.importorskip("mcp", reason="the extra `mcp` is not installed")

TOOLS = {"run_spec", "status", "explain", "costs", "answer"}
Call = Callable[..., Awaitable[dict[str, Any]]]


class RefusedError(Exception):
    """The tool said no."""


def _with_client(folder: Path, scene: Callable[[Call], Awaitable[None]], **environ: str) -> None:
    """Play a scene with a client of the command, run in this folder."""
    home = folder / "home"
    home.mkdir(exist_ok=True)

    async def main() -> None:
        server = mcp.StdioServerParameters(
            command=sys.executable,
            args=["-m", "orchestrator", "mcp"],
            env=clean_environment(home, **environ),
            cwd=folder,
        )
        async with mcp.Client(server) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS

            async def call(tool: str, **arguments: Any) -> dict[str, Any]:
                result = await client.call_tool(tool, arguments)
                text = result.content[0].text
                if result.is_error:
                    raise RefusedError(text)
                found: dict[str, Any] = json.loads(text)
                return found

            await scene(call)

    asyncio.run(asyncio.wait_for(main(), 90))


async def _ended(call: Call, run: str) -> dict[str, Any]:
    """The status of a run once it has ended."""
    while (status := await call("status", run=run))["status"] == "running" and not status["questions"]:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return status


def test_a_client_runs_a_spec_and_asks_why(tmp_path: Path) -> None:
    """It begins at once, ends in the background, and its reasons and costs are those of the command line."""
    spec = str(a_spec(tmp_path, tasks=2, project_id="asked"))

    async def scene(call: Call) -> None:
        begun = await call("run_spec", spec=spec)
        assert begun["run_id"] == "asked"
        ended = await _ended(call, "asked")
        assert ended["status"] == "SUCCESS"
        assert [each["id"] for each in ended["results"]] == ["t1", "t2"]
        assert "output" not in ended["results"][0]
        whole = await call("status", outputs=True)
        assert "x = " in whole["results"][0]["output"]
        explained = await call("explain", task="t1")
        assert {each["task"] for each in explained["explained"]} == {"t1"}
        costs = await call("costs", by="task")
        assert {each["task"] for each in costs["costs"]} == {"t1", "t2"}
        for tool, arguments, text in (
            ("status", {"run": "nope"}, "there is no run 'nope'"),
            ("explain", {"task": "t9"}, "no task 't9'"),
            ("costs", {"by": "mood"}, "say one of model"),
            ("answer", {"question": "forecast/1", "accepted": True}, "asks no question"),
            ("run_spec", {"spec": {"project": "x"}}, "criteria"),
        ):
            with pytest.raises(RefusedError, match=text):
                await call(tool, **arguments)

    _with_client(tmp_path, scene)
    assert orchestrate(tmp_path / "home", "audit", "verify", "asked").code == 0


def test_a_call_beyond_the_ceiling_is_refused_by_the_ceiling(tmp_path: Path) -> None:
    """The user's ceiling holds for what a client sends as keys and as a file; below it the run begins."""
    (tmp_path / "config.toml").write_text("ceiling_usd = 2\n")
    path = a_spec(tmp_path, budget_usd=50)
    keys = json.loads(path.read_text())

    async def scene(call: Call) -> None:
        for spec in (keys, str(path), {**keys, "budget_usd": 2.01}):
            with pytest.raises(RefusedError, match=r"spend up to \$[0-9]+\.[0-9]{2}, more than your ceiling"):
                await call("run_spec", spec=spec)
        with pytest.raises(RefusedError, match="there are no runs"):
            await call("status")
        begun = await call("run_spec", spec={**keys, "budget_usd": 2})
        assert begun["cap_usd"] == "2.000000000"
        assert (await _ended(call, begun["run_id"]))["status"] == "SUCCESS"

    _with_client(tmp_path, scene, ORCHESTRATE_CONFIG=str(tmp_path / "config.toml"))


def test_no_answer_of_a_client_goes_beyond_the_ceiling(tmp_path: Path) -> None:
    """A question for more money may be answered with yes only up to the user's ceiling; a no always counts."""
    (tmp_path / "config.toml").write_text("ceiling_usd = 0.001\n")
    tasks = [{"id": f"t{n}", "type": "code_generation", "prompt": "Write x."} for n in range(3)]
    asking: dict[str, Any] = {
        "approve": [{"ceiling": True}],
        "budget_usd": 0.0009,
        "project_id": "poor",
    }
    spec = str(scripted_spec(tmp_path, tasks=tasks, **asking))

    async def scene(call: Call) -> None:
        await call("run_spec", spec=spec)
        (question,) = (await _ended(call, "poor"))["questions"]
        if question["name"] == "forecast/1":  # its risk is high
            await call("answer", question="forecast/1", accepted=True, run="poor")
            (question,) = (await _ended(call, "poor"))["questions"]
        assert question["name"] == "approve_ceiling/1"
        for named in (question["name"], str(question["version"])):
            with pytest.raises(RefusedError, match=r"more than your ceiling of \$0\.001"):
                await call("answer", question=named, accepted=True, run="poor")
        assert (await call("status", run="poor"))["cap_usd"] == "0.000900000"
        await call("answer", question=question["name"], accepted=False, run="poor")

    _with_client(tmp_path, scene, ORCHESTRATE_CONFIG=str(tmp_path / "config.toml"))


def test_a_client_is_trusted_as_little_as_a_file(tmp_path: Path) -> None:
    """What it wants beside calling models is refused where its user has not agreed, with what to agree to."""
    keys = json.loads(a_spec(tmp_path).read_text())
    keys["validators"] = {"sandbox": "none"}

    async def scene(call: Call) -> None:
        with pytest.raises(RefusedError, match="sandbox"):
            await call("run_spec", spec=keys)

    _with_client(tmp_path, scene)


def test_a_question_is_answered_by_the_client(tmp_path: Path) -> None:
    """A forecast of high risk waits for the word that the client passes on."""
    tasks = [{"id": f"t{n}", "type": "code_generation", "prompt": "Write x."} for n in range(8)]
    spec = str(scripted_spec(tmp_path, budget_usd=0.014, project_id="risky", tasks=tasks))

    async def scene(call: Call) -> None:
        await call("run_spec", spec=spec)
        asked = await _ended(call, "risky")
        assert [each["name"] for each in asked["questions"]] == ["forecast/1"]
        await call("answer", question="forecast/1", accepted=True)
        assert (await _ended(call, "risky"))["status"] == "SUCCESS"

    _with_client(tmp_path, scene)


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    """Exit code 2, and the command line goes on to work."""
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "mcp.py").write_text("raise ImportError('no mcp here')\n")
    done = orchestrate(tmp_path / "home", "mcp", environ={"PYTHONPATH": str(tmp_path / "shadow")})
    assert done.code == 2
    assert "pip install 'multi-llm-orchestrator[mcp]'" in done.err
