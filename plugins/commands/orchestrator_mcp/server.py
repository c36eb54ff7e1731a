"""The tools, over one open workspace. What a client sends is trusted as little as a file from elsewhere."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from orchestrator import Workspace
from orchestrator.cli.kit import VERSION
from orchestrator.errors import NotAllowedError, OrchestrateError
from orchestrator.money import Usd

P = ParamSpec("P")
T = TypeVar("T")

SOURCE: Final = "mcp"
"""What the specs of clients are called: their capabilities are never the user's own word."""
_RAISED: Final = "approve_ceiling/"
"""What the names of questions for more money begin with."""
_INSTRUCTIONS: Final = (
    "Runs break a project into tasks and have models of several vendors do them within a budget in US dollars."
    " run_spec begins a run and returns at once; ask status until it has ended. explain says why each model was chosen,"
    " costs what was spent. Where status lists open questions, put them to the user and pass their word to answer."
)


async def serve(home: Path, allow: Sequence[str] = ()) -> None:
    """Serve a data folder over stdin and stdout until stdin ends."""
    async with Workspace.open(home, allow=allow) as ws:
        await server_of(ws).run_stdio_async()


def server_of(ws: Workspace) -> MCPServer:
    """The server of an open workspace."""
    server = MCPServer("multi-llm-orchestrator", instructions=_INSTRUCTIONS, version=VERSION, log_level="WARNING")
    for tool in _tools(ws):
        server.add_tool(_refusing(tool))
    return server


def _refusing(tool: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The tool, whose refusals reach the client in one line, as on the command line."""

    @wraps(tool)
    async def called(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return await tool(*arguments, **options)
        except OrchestrateError as error:
            raise ToolError(str(error)) from error

    return called


def _tools(ws: Workspace) -> tuple[Callable[..., Awaitable[dict[str, Any]]], ...]:
    async def run_spec(spec: dict[str, Any] | str, output: str | None = None) -> dict[str, Any]:
        """Begin a run and return at once with its id; it goes on in the background.

        Args:
            spec: the keys of a spec: at least project and criteria, with budget_usd as the ceiling in US dollars; or
                the path of a spec file.
            output: a folder for the results; without it they are only in the log, and in status.
        """
        run = await ws.start(spec, output=output, ask=True, source=None if isinstance(spec, str) else SOURCE)
        return run.summary().to_dict()

    async def status(run: str = "last", outputs: bool = False) -> dict[str, Any]:
        """How a run stands: status, money, each task with its score, and the questions that wait for an answer.

        Args:
            run: the id of a run, a unique beginning of it, or last.
            outputs: whether the texts that were written are wanted, too.
        """
        handle = ws.run(run)
        state = await handle.state()
        tasks = [
            {
                "id": name,
                "status": "open" if result is None else result.status.value,
                "score": None if result is None else result.score,
                "model": None if result is None else result.model_used.value,
                **({"output": result.output} if outputs and result is not None else {}),
            }
            for name in state.execution_order
            for result in (state.results.get(name),)
        ]
        questions = [each.to_dict() for each in handle.questions()]
        return {**handle.summary().to_dict(), "results": tasks, "questions": questions}

    async def explain(run: str = "last", task: str | None = None) -> dict[str, Any]:
        """Why each model was chosen: every candidate, its score, and why it was not chosen.

        Args:
            run: the id of a run, or last.
            task: the id of a task, or plan, enhance, advise, verify; without it all of them.
        """
        handle = ws.run(run)
        return {"run_id": handle.id, "explained": await handle.explain(task)}

    async def costs(run: str = "last", by: str = "model") -> dict[str, Any]:
        """What a run spent, dearest first; amounts are US dollars.

        Args:
            run: the id of a run, or last.
            by: model, phase, task, provider, run or team.
        """
        handle = ws.run(run)
        return {"run_id": handle.id, "costs": [each.plain(by) for each in await handle.costs(by)]}

    async def answer(question: str, accepted: bool, run: str = "last") -> dict[str, Any]:
        """Pass the user's word on a question that status lists.

        Args:
            question: its name, such as forecast/1.
            accepted: whether the user says yes.
            run: the id of a run that was begun here, or last.
        """
        handle = ws.run(run)
        if accepted:
            _keep_the_ceiling(ws, handle.id, question)
        await handle.answer(question, accepted)
        return handle.summary().to_dict()

    return run_spec, status, explain, costs, answer


def _keep_the_ceiling(ws: Workspace, run: str, question: str) -> None:
    """Refuse a yes that would raise a run's ceiling above its user's: that is for the user's own hands.

    Raises:
        NotAllowedError: it would.
    """
    handle = ws.run(run)
    asked = next((each for each in handle.questions() if question in (each.name, str(each.version))), None)
    if asked is None or asked.amount_usd is None or not asked.name.startswith(_RAISED):
        return
    ceiling, wanted = ws.ceiling_usd, Usd.parse(handle.summary().cap_usd) + Usd.parse(asked.amount_usd)
    if ceiling is not None and wanted > ceiling:
        way = f"orchestrate answer {run} yes"
        text = f"{wanted.trimmed} would be more than your ceiling of {ceiling.trimmed}; the user can agree with: {way}"
        raise NotAllowedError(text, [])
