"""``Workspace``: what the issue's program does, and what each method gives, refuses and leaves behind."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orchestrator import Budget, ProjectStatus, Workspace
from orchestrator.engine.loop import Loop
from orchestrator.errors import NotAllowedError, OutputError, RunLockedError, SpecError, UsageError
from orchestrator.past_runs.run_list import RunSummaries
from orchestrator.python_api.answering_questions import OpenQuestion
from orchestrator.python_api.run_handle import RunHandle
from orchestrator.spec import read_spec
from tests.cli.command import finish, orchestrate, rows, scripted_spec, start, wait_until
from tests.python_api.stepping import a_spec

T = TypeVar("T")


def _in(home: Path, scene: Callable[[Workspace], Awaitable[T]]) -> T:
    """What a scene in an open workspace gives."""

    async def main() -> T:
        async with Workspace.open(home) as ws:
            return await scene(ws)

    return asyncio.run(main())


def _plain_spec(folder: Path, **keys: Any) -> dict[str, Any]:
    """The keys of a spec as a dict, with the path of its answers whole."""
    keys = {**json.loads(a_spec(folder).read_text()), **keys}
    keys["providers"] = {"scripted": {"answers": str(folder / "answers.json")}}
    return keys


@pytest.mark.parametrize("form", ["path", "text", "dict", "spec"])
def test_a_run_from_every_form_of_a_spec(tmp_path: Path, form: str) -> None:
    """A path, its text, a dict and a ``Spec`` start the same run; the budget given is its ceiling, and filled in."""
    path = a_spec(tmp_path)
    forms: dict[str, Any] = {"path": path, "text": str(path), "dict": _plain_spec(tmp_path), "spec": read_spec(path)}
    budget = Budget(max_usd=1.5, max_time_seconds=300)

    async def scene(ws: Workspace) -> None:
        run = await ws.start(forms[form], budget=budget)
        assert ws.runs(limit=1)[0].run_id == run.id  # it has begun
        state = await run.result(timeout=60)
        assert (state.status, state.project_id) == (ProjectStatus.SUCCESS, run.id)
        assert state.budget is budget
        assert 0 < budget.spent_usd <= 1.5
        assert run.summary().cap_usd == "1.500000000"

    _in(tmp_path / "home", scene)


def test_more_money_for_a_run_that_ran_out(tmp_path: Path) -> None:
    """It is found by its status, goes on with the money added, and the handle knows its new end."""

    async def scene(ws: Workspace) -> None:
        run = await ws.start(a_spec(tmp_path, tasks=2), budget=Budget(max_usd=0.002))
        assert (await run.result(timeout=60)).status is ProjectStatus.BUDGET_EXHAUSTED
        assert [each.run_id for each in ws.runs(status="BUDGET_EXHAUSTED", limit=20)] == [run.id]
        assert ws.runs(status="success") == []
        again = ws.run("last")
        assert await again.resume(add_budget=1.0) is again
        assert (await again.result(timeout=60)).status is ProjectStatus.SUCCESS
        assert (await run.result(timeout=60)).status is ProjectStatus.SUCCESS
        with pytest.raises(UsageError, match="SUCCESS; it needs neither money nor time"):
            await again.resume(add_budget=1.0)
        assert (await again.result()).status is ProjectStatus.SUCCESS  # what was refused ended nothing

    _in(tmp_path / "home", scene)


def test_what_is_asked_of_a_run(tmp_path: Path) -> None:
    """Reasons, costs, the page, the replay and what would have been equal what the commands of those names print."""
    home = tmp_path / "home"

    async def scene(ws: Workspace) -> None:
        run = await ws.start(a_spec(tmp_path, tasks=2, project_id="two"))
        await run.result(timeout=60)
        explained = await run.explain("t2")
        assert {each["task"] for each in explained} == {"t2"}
        assert len(await run.explain()) > len(explained)
        costs = [each.plain("task") for each in await run.costs(by="task")]
        found = await run.whatif(budget=0.001)
        assert found["then"]["status"] == "BUDGET_EXHAUSTED"
        page = await run.report(tmp_path / "two.html")
        assert b"multi-llm-orchestrator report" in page.read_bytes()
        verified = await run.replay(verify=True)
        assert (verified.differences, verified.not_recomputable) == ((), ())
        assert verified.decisions > 20
        assert (await run.replay()).status is ProjectStatus.SUCCESS
        assert orchestrate(home, "explain", "two", "t2", "--json").json == json.loads(json.dumps(explained))
        assert orchestrate(home, "costs", "two", "--by", "task", "--json").json == costs
        assert orchestrate(home, "whatif", "two", "--budget", "0.001", "--json").json == {
            key: value for key, value in found.items() if key != "backend_is_here"
        }
        for refused, text in ((run.explain("t9"), "no task 't9'"), (run.costs(by="mood"), "say one of model")):
            with pytest.raises(UsageError, match=text):
                await refused
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UsageError, match="limit is 0 or more"):
            ws.runs(limit=-1)
        with pytest.raises(UsageError, match="may not be negative"):
            await run.whatif(budget=-1)
        with pytest.raises(OutputError, match="is not a report"):
            await run.report(tmp_path / "mine.txt")

    _in(home, scene)


def test_a_fork_goes_on_with_other_settings(tmp_path: Path) -> None:
    """It shares the past up to the event, is a run of its own, and plays once it is resumed."""

    async def scene(ws: Workspace) -> None:
        run = await ws.start(a_spec(tmp_path, tasks=2, project_id="first"))
        await run.result(timeout=60)
        versions = [event.version async for event in run.events() if event.name == "task.finished"]
        middle = versions[0]
        fork = await run.fork(at=middle, sets=["budget_usd=3"], project_id="other")
        assert (fork.id, fork.summary().status) == ("other", "interrupted")
        await fork.resume()
        assert (await fork.result(timeout=60)).status is ProjectStatus.SUCCESS
        events = [event async for event in fork.events()]
        cut = next(event.version for event in events if event.name == "run.forked")
        assert cut <= middle + 1
        shared = [event.to_dict() async for event in run.events()][: cut - 1]
        assert [event.to_dict() for event in events[: cut - 1]] == shared
        with pytest.raises(UsageError, match="no step of first ends there"):
            await run.fork(at="1")

    _in(tmp_path / "home", scene)


def test_leaving_interrupts_what_goes_on(tmp_path: Path) -> None:
    """A run in the middle of a long call is ended and recorded, and goes on in the next workspace."""
    slow = {"role": "generator", "try": 1, "text": "```python\nx = 1\n```", "delay_ms": 60_000}
    spec = a_spec(tmp_path, answers=[slow], project_id="long")

    async def left(ws: Workspace) -> None:
        run = await ws.start(spec)
        async for event in run.events():
            if event.name == "call.started":
                break
        with pytest.raises(RunLockedError, match="is being run"):
            await ws.run("long").resume()
        with pytest.raises(TimeoutError):
            await run.result(timeout=0.05)
        assert run.summary().status == "running"

    async def goes_on(ws: Workspace) -> None:
        run = ws.run("long")
        assert (await run.state()).is_open
        assert [event.event.cause async for event in run.events() if event.name == "run.interrupted"] == ["closed"]  # type: ignore[attr-defined]
        with pytest.raises(UsageError, match="nothing to stop"):
            await run.cancel()
        await run.resume()
        assert (await run.result(timeout=60)).status is ProjectStatus.SUCCESS

    _in(tmp_path / "home", left)
    a_spec(tmp_path, project_id="long")  # its answers come at once now
    _in(tmp_path / "home", goes_on)


def test_what_cannot_start_leaves_nothing(tmp_path: Path) -> None:
    """One error says every problem; there is no run, no task, and the workspace serves the next one."""

    async def scene(ws: Workspace) -> None:
        tasks = asyncio.all_tasks()
        wrong: list[tuple[Any, type[Exception], str]] = [
            (tmp_path / "none.yaml", SpecError, "none.yaml"),
            ({"project": "x"}, SpecError, "criteria"),
            ({**_plain_spec(tmp_path), "budget_uds": 1}, SpecError, "budget_usd"),
            (3, SpecError, "not int"),
        ]
        for spec, kind, text in wrong:
            with pytest.raises(kind, match=text):
                await ws.start(spec)
        with pytest.raises(SpecError, match="budget_usd"):
            await ws.start(_plain_spec(tmp_path), budget=Budget(max_usd=-1))
        with pytest.raises(UsageError, match="there is no run 'nope'"):
            ws.run("nope")
        with pytest.raises(UsageError, match=r"there are no runs; see: ws\.runs\(\)$"):
            ws.run("last")
        with pytest.raises(UsageError, match="did you mean 'SUCCESS'"):
            ws.runs(status="SUCCES")
        assert (ws.runs(), asyncio.all_tasks()) == ([], tasks)
        keys = _plain_spec(tmp_path, project_id="named")
        assert (await (await ws.start(keys)).result(60)).status is ProjectStatus.SUCCESS
        with pytest.raises(UsageError, match=r'resume with: await ws\.run\("named"\)\.resume\(\).*new_project=True'):
            await ws.start({**keys, "criteria": "another"})
        with pytest.raises(NotAllowedError) as refused:
            await ws.start({**keys, "validators": {"sandbox": "none"}}, source="a request", new_project=True)
        assert "orchestrate " not in str(refused.value).replace("orchestrate trust", "")

    _in(tmp_path / "home", scene)


def test_a_dict_of_others_is_trusted_as_little_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a source, what it wants has to be agreed to, and the user's ceiling holds; without, it is your own word."""
    (tmp_path / "config.toml").write_text("ceiling_usd = 2\n")
    monkeypatch.setenv("ORCHESTRATE_CONFIG", str(tmp_path / "config.toml"))
    keys = {**_plain_spec(tmp_path), "budget_usd": 5}

    async def scene(ws: Workspace) -> None:
        with pytest.raises(NotAllowedError, match="budget"):
            await ws.start(keys, source="a request")
        assert ws.runs() == []
        assert (await (await ws.start(keys)).result(60)).status is ProjectStatus.SUCCESS

    _in(tmp_path / "home", scene)


def _risky(folder: Path) -> Path:
    """A spec whose forecast is 86 % of its ceiling, though it costs less."""
    tasks = [{"id": f"t{n}", "type": "code_generation", "prompt": "Write x."} for n in range(8)]
    return scripted_spec(folder, budget_usd=0.014, project_id="risky", tasks=tasks)


async def _asked(run: RunHandle) -> OpenQuestion:
    """The question that the run asks."""
    async for event in run.events():
        if event.name == "question.asked":
            break
    return run.questions()[0]


def test_questions_wait_for_the_program(tmp_path: Path) -> None:
    """A forecast of high risk is a question: a no interrupts the run, a yes lets it go on; others are refused."""

    async def scene(ws: Workspace) -> None:
        run = await ws.start(_risky(tmp_path), ask=True)
        question = await _asked(run)
        assert question.to_dict()["name"] == "forecast/1"
        assert question.text == "start the tasks although the money may not suffice?"
        with pytest.raises(UsageError, match=r"no question 'forecast/7'; open questions: forecast/1"):
            await run.answer("forecast/7")
        await run.answer(question, False)
        assert (await run.result(timeout=60)).is_open
        with pytest.raises(UsageError, match="asks no question"):
            await run.answer(question)
        await run.resume(ask=True)
        await run.answer(await _asked(run))
        assert (await run.result(timeout=60)).status is ProjectStatus.SUCCESS
        assert (await run.replay(verify=True)).differences == ()

    _in(tmp_path / "home", scene)


def test_an_approval_is_given_from_python(tmp_path: Path) -> None:
    """A run that waits for its plan to be approved goes on at a yes, from its own process or from another one."""
    home = tmp_path / "home"
    keys = _plain_spec(tmp_path, approve=["plan"])

    async def own(ws: Workspace) -> None:
        run = await ws.start({**keys, "project_id": "own"})
        question = await _asked(run)
        assert (question.name, question.text[:27]) == ("approve_plan/1", "start the plan of 1 task, e")
        await run.answer(question.version)
        assert run.questions() == ()
        assert (await run.result(timeout=60)).status is ProjectStatus.SUCCESS

    async def theirs(ws: Workspace) -> None:
        run = ws.run("theirs")
        assert (await _asked(run)).name == "approve_plan/1"
        await run.answer("approve_plan/1", True)
        assert (await run.result(timeout=60)).status is ProjectStatus.SUCCESS

    _in(home, own)
    (tmp_path / "theirs.json").write_text(json.dumps({**keys, "project_id": "theirs"}))
    process = start(home, "run", str(tmp_path / "theirs.json"), "-q")
    wait_until(
        lambda: bool(rows(home, "SELECT 1 FROM events WHERE type = 'question.asked' AND stream = 'theirs'")), process
    )
    _in(home, theirs)
    assert finish(process).code == 0


def test_without_ask_nothing_is_asked_and_yes_agrees(tmp_path: Path) -> None:
    """A question that was asked and has no answer is a no afterwards; ``yes=True`` is ``--yes``."""

    async def scene(ws: Workspace) -> None:
        run = await ws.start(_risky(tmp_path), ask=True)
        await _asked(run)
        await run.cancel()
        await run.resume()
        assert (await run.result(timeout=60)).is_open
        await run.resume(yes=True)
        assert (await run.result(timeout=60)).status is ProjectStatus.SUCCESS
        with pytest.raises(UsageError, match="exclude each other"):
            await run.resume(yes=True, ask=True)

    _in(tmp_path / "home", scene)
    alone = _in(tmp_path / "other", lambda ws: _ended(ws, _risky(tmp_path)))
    assert alone is ProjectStatus.SUCCESS


async def _ended(ws: Workspace, spec: Path) -> ProjectStatus:
    return (await (await ws.start(spec)).result(timeout=60)).status


def test_everything_shows_itself_in_a_notebook(tmp_path: Path) -> None:
    """Runs, lists of runs, events, states and results have HTML, with what is in them escaped."""

    async def scene(ws: Workspace) -> None:
        run = await ws.start(_plain_spec(tmp_path, project="<script>alert(1)</script>"))
        state = await run.result(timeout=60)
        event = [event async for event in run.events()][-1]
        shown = [run, ws.runs(), ws.runs()[0], event, state, *state.results.values()]
        for each in shown:
            html = each._repr_html_()  # type: ignore[attr-defined]
            assert "<table>" in html
            assert "<script>" not in html
        assert "SUCCESS" in state._repr_html_()
        assert isinstance(ws.runs(), RunSummaries)

    _in(tmp_path / "home", scene)


def test_a_workspace_that_is_not_open_says_how_to_open_it(tmp_path: Path) -> None:
    """One line; and ``with`` opens it for programs that only read."""
    with pytest.raises(UsageError, match=r"async with Workspace\.open"):
        Workspace.open(tmp_path / "home").runs()
    with Workspace.open(tmp_path / "home") as ws:
        assert ws.runs() == []
    with pytest.raises(UsageError, match="not open"):
        ws.runs()


def test_an_error_in_the_middle_of_a_run_is_raised_by_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever ends a session as an error reaches who waits for the run, and the workspace stays usable."""
    from orchestrator.engine.loop import Loop

    real = Loop._append

    async def failing(self: Loop, expected: int, *more: Any) -> None:
        if expected > 4:
            raise RuntimeError("planted")
        await real(self, expected, *more)

    async def scene(ws: Workspace) -> None:
        with monkeypatch.context() as planted:
            planted.setattr(Loop, "_append", failing)
            run = await ws.start(a_spec(tmp_path))
            with pytest.raises(RuntimeError, match="planted"):
                await run.result(timeout=60)
        await run.resume()
        assert (await run.result(timeout=60)).status is ProjectStatus.SUCCESS

    with caplog.at_level(logging.ERROR, "asyncio"):
        _in(tmp_path / "home", scene)
    assert caplog.records == []


def test_runs_side_by_side_go_on_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one commit made durable for several runs does not go on at once: a round has one of them."""
    turns: list[tuple[int, int]] = []
    rounds = 0

    class Counted(Loop):
        """Counts in which round of the event loop a run hears of its events."""

        async def _append(self, *step: Any) -> None:
            self.observers = [*self.observers, lambda *_: turns.append((rounds, id(self)))]
            try:
                await super()._append(*step)
            finally:
                self.observers = self.observers[:-1]

    async def scene(ws: Workspace) -> None:
        def counted() -> None:
            nonlocal rounds
            rounds += 1
            one_round()

        loop: Any = asyncio.get_running_loop()
        one_round, loop._run_once = loop._run_once, counted
        runs = await asyncio.gather(*(ws.start(spec) for _ in range(5)))
        await asyncio.gather(*(run.result(timeout=120) for run in runs))

    spec = a_spec(tmp_path, tasks=2)
    monkeypatch.setattr("orchestrator.engine.session.Loop", Counted)
    _in(tmp_path / "home", scene)
    by_round = {at: {run for when, run in turns if when == at} for at, _ in turns}
    assert len({run for _, run in turns}) == 5
    assert {len(found) for found in by_round.values()} == {1}
