"""``AppBuilder`` and ``orchestrate build``: applications from scripted answers are put together, tested, started."""

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import AppBuilder, ProjectStatus, StateManager
from orchestrator.errors import OutputError, SpecError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.log.redaction import Redactor
from orchestrator.models import Verdict
from orchestrator.spi import SandboxLevel
from orchestrator_apps.builder import AppResult
from orchestrator_sandbox import LevelSelector
from tests.cli.command import Ended, count, orchestrate, start, wait_until
from tests.cli.test_damage import DAMAGES
from tests.cli.test_reading import tamper
from tests.plugins.commands.apps.scripts import GREETER, GREETER_DESCRIPTION, NOTES, NOTES_DESCRIPTION, fields
from tests.sql import sqlite_of

_NODE_MODULES = os.environ.get("ORCHESTRATE_TEST_NODE_MODULES")


def built(folder: Path, advised: str, outputs: Mapping[str, str], description: str, **more: Any) -> AppResult:
    """Build an application into ``folder/out``; the advisor names its type."""
    builder = AppBuilder(None, StateManager(folder / "home"), **fields(folder / "script", advised, outputs))
    return asyncio.run(builder.build(description, "it works", folder / "out", **more))


def steps(result: AppResult) -> dict[str, Verdict]:
    """The verdicts of the trial."""
    return {step.name: step.verdict for step in result.assembly.steps}


def files_in(folder: Path) -> dict[str, str]:
    """The files of a folder, but those that are of the run itself."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(folder / ".orchestrate")]
    paths.remove(folder / ".orchestrate-run")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_a_fastapi_application_is_tested_started_and_asked(tmp_path: Path) -> None:
    """Its own tests and the scaffold's pass, uvicorn serves it on a private network, and what it needs is named."""
    if LevelSelector().level() is not SandboxLevel.BWRAP:
        pytest.skip("a private network needs bubblewrap, which does not work here")
    result = built(tmp_path, "fastapi", NOTES, NOTES_DESCRIPTION)
    assert result.success
    assert (result.profile.app_type, result.profile.structural_pattern) == ("fastapi", "layered")
    assert steps(result) == {"tests": Verdict.PASSED, "start": Verdict.PASSED}
    assert '["/openapi.json", 200]' in result.assembly.steps[1].details
    assert result.assembly.steps[1].sandbox == "bwrap"
    assert set(result.assembly.files_written) >= {*NOTES, "pyproject.toml", "notes_service/__init__.py"}
    assert {"fastapi", "uvicorn"} <= set(result.assembly.dependencies)
    for name in result.assembly.files_written:
        assert (tmp_path / "out" / name).is_file(), name


def test_a_command_is_built_from_the_command_line(tmp_path: Path) -> None:
    """``orchestrate build`` prints the architecture and the steps; the built command runs; the log proves it."""
    spec = tmp_path / "more.json"
    keys = fields(tmp_path / "script", "cli", GREETER)
    spec.write_text(json.dumps({"project": "-", "criteria": "-", **keys}))
    more = ("--spec", str(spec), "--project-id", "greet")
    ended = orchestrate(tmp_path, "build", GREETER_DESCRIPTION, "-o", "app", *more)
    assert ended.code == 0, ended.err
    assert "start passed" in ended.lines
    assert "Layered" in ended.err
    assert "Hello" in (tmp_path / "app" / "greeter" / "cli.py").read_text()
    run = orchestrate(tmp_path, "runs", "show", "greet", "--json").json
    log = orchestrate(tmp_path, "log", "show", "greet", "--json")
    types = [json.loads(line)["type"] for line in log.lines]
    assert types.count("verification.started") == types.count("result.verified") == 1
    assert run["status"] == "SUCCESS"
    verified = orchestrate(tmp_path, "replay", "greet", "--verify")
    assert (verified.code, "all as recorded" in verified.out) == (0, True), verified.out
    assert orchestrate(tmp_path, "runs", "export", "greet", "-o", "app").code == 0  # nothing there differs
    assert orchestrate(tmp_path, "runs", "export", "greet", "-o", "again").code == 0
    assert orchestrate(tmp_path, "resume", "greet", "-o", "anew").code == 0
    whole = files_in(tmp_path / "app")
    assert whole == files_in(tmp_path / "again") == files_in(tmp_path / "anew")
    assert "pyproject.toml" in whole


def test_the_architecture_is_shown_as_the_command_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The block of the specification, on standard error or wherever it is wanted, with the type that was given."""
    outputs = {"words/hello.py": "```python\ndef hello() -> str:\n    return 'hello'\n```"}
    result = built(tmp_path, "cli", outputs, "Words", app_type="library")
    assert result.success, result.assembly
    block = capsys.readouterr().err.splitlines()
    head, choices, app = block[:3]
    assert head.startswith("\U0001f3d7 Architecture Decision (")
    assert choices.startswith("    Pattern: Layered  │  Topology: Monolith")
    assert app.startswith("    App: library")
    assert "─" * 78 in block
    keys = fields(tmp_path / "command", "cli", outputs)
    (tmp_path / "more.json").write_text(json.dumps({"project": "-", "criteria": "-", **keys}))
    more = ("--spec", str(tmp_path / "more.json"), "--type", "library", "--project-id", "words")
    command = orchestrate(tmp_path, "build", "Words", "-o", "app", *more)
    assert command.code == 0, command.err
    shown = [line.strip() for line in command.err.splitlines()]
    assert [line for line in block if line.strip() not in shown] == []
    lines: list[str] = []
    script = fields(tmp_path / "quiet", "cli", outputs)
    builder = AppBuilder(None, StateManager(tmp_path / "home"), write=lines.append, **script)
    asyncio.run(builder.build("Words", "it works", tmp_path / "other", "library"))
    assert "\n".join(lines).splitlines() == block
    assert capsys.readouterr().err == ""
    explained = orchestrate(tmp_path, "explain", "words", "advise").out
    assert "ordered by the chain deepseek-chat → deepseek-reasoner → moonshot-v1 → claude-opus → gpt-4o" in explained


@pytest.mark.parametrize(("app_type", "given"), [("library", True), ("auto", False), (None, False)])
def test_the_advisor_is_given_the_type(tmp_path: Path, app_type: str | None, given: bool) -> None:
    """What was sent to it says a given type; otherwise it chooses among all."""
    outputs = {"words/hello.py": "```python\ndef hello() -> str:\n    return 'hello'\n```"}
    keys = {**fields(tmp_path / "script", "library", outputs), "project_id": "words"}
    builder = AppBuilder(None, StateManager(tmp_path / "home"), **keys)
    asyncio.run(builder.build("Words", "it works", tmp_path / "out", app_type))
    sent = orchestrate(tmp_path / "home", "explain", "words", "advise", "--prompts").out
    assert "app_type is one of: fastapi, " in sent
    assert ("The type is given: app_type is library. Decide on the rest." in sent) is given
    assert ("The type is given" in sent) is given


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({"": GREETER["greeter/cli.py"]}, "the plan gives no task a file of the application"),
        (
            {"greeter/cli.py": "", "": GREETER["greeter/cli.py"]},
            "the application holds none of the tasks' results",
        ),
    ],
    ids=["no path", "no result"],
)
def test_an_application_without_results_is_no_success(tmp_path: Path, outputs: Mapping[str, str], problem: str) -> None:
    """What the scaffold brings runs, and is not what was asked for."""
    result = built(tmp_path, "cli", outputs, GREETER_DESCRIPTION)
    assert not result.success
    assert result.state.status is ProjectStatus.PARTIAL_SUCCESS
    assert result.assembly.problems[0] == problem
    assert steps(result)["start"] is Verdict.PASSED


def test_the_tables_of_the_run_lie_beside_the_application(tmp_path: Path) -> None:
    """The application has a README of its own, and links of the table lead to its files."""
    outputs = {**GREETER, "README.md": "# Greeter\n\nSays hello."}
    result = built(tmp_path, "cli", outputs, GREETER_DESCRIPTION)
    assert result.success, result.assembly
    out = tmp_path / "out"
    assert "Says hello." in (out / "README.md").read_text()
    assert not (out / "summary.json").exists()
    assert {path.name for path in (out / ".orchestrate").iterdir()} == {"README.md", "summary.json"}
    table = (out / ".orchestrate" / "README.md").read_text()
    assert "[greeter/cli.py](../greeter/cli.py)" in table
    assert not any(name.startswith(".orchestrate") for name in result.assembly.files_written)


def test_a_damaged_build_is_exported_with_the_application_s_own_files(tmp_path: Path) -> None:
    """That its log is damaged is said in the run's tables, and its ``README.md`` stays the application's."""
    outputs = {**GREETER, "README.md": "# Greeter\n\nSays hello."}
    keys = {**fields(tmp_path / "script", "cli", outputs), "project_id": "greeter"}
    builder = AppBuilder(None, StateManager(tmp_path / "home"), **keys)
    asyncio.run(builder.build(GREETER_DESCRIPTION, "it works", tmp_path / "out"))
    tamper(tmp_path / "home", DAMAGES["money"])
    again = tmp_path / "again"
    assert orchestrate(tmp_path / "home", "runs", "export", "greeter", "-o", str(again)).code == 6
    assert (again / "README.md").read_text() == (tmp_path / "out" / "README.md").read_text()
    assert not (again / "summary.json").exists()
    assert "is damaged" in (again / ".orchestrate" / "README.md").read_text().splitlines()[0]
    assert json.loads((again / ".orchestrate" / "summary.json").read_text())["damaged"][0]["run_id"] == "greeter"


def test_an_application_that_does_not_start_is_no_success(tmp_path: Path) -> None:
    """The run is closed as partial, the step says why, and what was written stays."""
    broken = {"greeter/cli.py": "```python\nraise RuntimeError('no greeting today')\n```"}
    result = built(tmp_path, "cli", broken, GREETER_DESCRIPTION)
    assert not result.success
    assert result.state.status is ProjectStatus.PARTIAL_SUCCESS
    assert steps(result)["start"] is Verdict.FAILED
    assert "no greeting today" in "".join(step.details for step in result.assembly.steps)
    assert (tmp_path / "out" / "greeter" / "cli.py").exists()


def test_a_forged_summary_is_no_pass(tmp_path: Path) -> None:
    """A conftest that prints what pytest would and ends the process with status 0: the run is no success."""
    lying = {
        **GREETER,
        "conftest.py": "```python\nimport os\n\nprint('\\n3 passed in 0.01s', flush=True)\nos._exit(0)\n```",
        "tests/test_truth.py": "```python\ndef test_truth():\n    assert False\n```",
    }
    result = built(tmp_path, "cli", lying, GREETER_DESCRIPTION)
    assert not result.success
    assert steps(result)["tests"] is Verdict.FAILED
    assert "nothing they said counts" in result.assembly.steps[0].details


def test_answers_that_no_parser_takes_are_problems_not_a_crash(tmp_path: Path) -> None:
    """Files nested too deeply, and names that climb or that a tool would run, end as one line or a harmless name."""
    hostile = {
        "greeter/cli.py": "```python\n" + "-" * 100_000 + "1\n```",
        "pyproject.toml": "```toml\na = " + "[" * 50_000 + "\n```",
        "../outside.py": "```python\nx = 1\n```",
        ".git/hooks/pre-commit": "```python\nx = 1\n```",
    }
    result = built(tmp_path, "cli", hostile, GREETER_DESCRIPTION)
    assert result.state.status is ProjectStatus.PARTIAL_SUCCESS
    named = [problem.partition(":")[0] for problem in result.assembly.problems]
    assert named == ["greeter/cli.py", "pyproject.toml"]
    assert not (tmp_path / "outside.py").exists()
    assert not (tmp_path / "out" / ".git").exists()
    assert {"task_003_code_generation.py", "task_004_code_generation.py"} <= set(result.assembly.files_written)


def test_a_file_that_imports_what_is_not_there_is_named(tmp_path: Path) -> None:
    """A local module that no task wrote is a problem of the assembly."""
    outputs = {"greeter/cli.py": "```python\nfrom greeter.words import HELLO\n\n\ndef main(a=None):\n    return 0\n```"}
    result = built(tmp_path, "cli", outputs, GREETER_DESCRIPTION)
    assert result.assembly.problems == ("greeter/cli.py: imports greeter.words, which no file defines",)
    assert not result.success


def test_a_type_that_cannot_be_tried_here_says_so(tmp_path: Path) -> None:
    """A React application without its packages is written, with package.json, and its build is skipped and said."""
    app = "```tsx\nimport { useState } from 'react';\nexport default function App() { return useState(1)[0]; }\n```"
    result = built(tmp_path, "cli", {"src/App.tsx": app}, "A counter", app_type="react")
    assert result.profile.app_type == "react", "the type that was asked for wins over the advisor's"
    assert steps(result) == {"tests": Verdict.SKIPPED, "start": Verdict.SKIPPED}
    assert "node_modules" in result.assembly.steps[1].details
    manifest = json.loads((tmp_path / "out" / "package.json").read_text())
    assert set(manifest["dependencies"]) == {"react", "react-dom"}
    assert manifest["scripts"]["build"] == "vite build"
    assert "useState" in (tmp_path / "out" / "src" / "App.tsx").read_text()


@pytest.mark.skipif(
    _NODE_MODULES is None or shutil.which("node") is None,
    reason="ORCHESTRATE_TEST_NODE_MODULES names no folder with react, react-dom and vite, or node is absent",
)
def test_a_react_application_is_built_where_its_packages_are(tmp_path: Path) -> None:
    """With ``node_modules`` in the folder, Vite builds the component inside the sandbox, on a copy."""
    assert _NODE_MODULES is not None
    shutil.copytree(_NODE_MODULES, tmp_path / "out" / "node_modules", symlinks=True)
    app = "```tsx\nimport { useState } from 'react';\nexport default function App() { return useState(1)[0]; }\n```"
    result = built(tmp_path, "react", {"src/App.tsx": app}, "A counter", force=True)
    assert result.success, result.assembly
    assert steps(result)["start"] is Verdict.PASSED
    assert "modules transformed" in result.assembly.steps[1].details
    assert not (tmp_path / "out" / "dist").exists(), "the trial was on a copy"


def test_a_folder_with_something_else_is_not_written_into(tmp_path: Path) -> None:
    """Without force nothing is asked and nothing changes; an unknown type is one clear line."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="force"):
        built(tmp_path, "cli", GREETER, GREETER_DESCRIPTION)
    with pytest.raises(SpecError, match="no scaffold is called 'cobol'"):
        built(tmp_path, "cli", GREETER, GREETER_DESCRIPTION, app_type="cobol", force=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert built(tmp_path, "cli", GREETER, GREETER_DESCRIPTION, force=True).success
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", ["architecture.decided", "file.written", "verification.started"])
def test_a_build_that_is_killed_goes_on_where_it_was(tmp_path: Path, kind: str) -> None:
    """``kill -9`` in the input stage, between files and in the trial; ``resume`` ends it like an undisturbed one."""
    spec = tmp_path / "more.json"
    keys = fields(tmp_path / "script", "cli", GREETER)
    answers = Path(keys["providers"]["scripted"]["answers"])
    answers.write_text(json.dumps({**json.loads(answers.read_text()), "delay_ms": 150}))
    spec.write_text(json.dumps({"project": "-", "criteria": "-", **keys}))
    more = ("--spec", str(spec), "--project-id", "greet")
    process = start(tmp_path, "build", GREETER_DESCRIPTION, "-o", "app", *more)
    wait_until(lambda: count(tmp_path, kind), process)
    process.kill()
    process.communicate()
    ended: Ended = orchestrate(tmp_path, "resume", "greet")
    assert ended.code == 0, ended.err
    assert orchestrate(tmp_path, "replay", "greet", "--verify").code == 0
    assert (tmp_path / "app" / "greeter" / "cli.py").exists()
    assert count(tmp_path, "architecture.decided") == 1


def test_what_a_spec_says_stands_where_the_command_line_says_nothing(tmp_path: Path) -> None:
    """Its type and its criteria are used; without a description nothing is built."""
    outputs = {"words/hello.py": "```python\ndef hello() -> str:\n    return 'hello'\n```"}
    keys = {**fields(tmp_path / "script", "cli", outputs), "app": "library", "criteria": "it greets politely"}
    spec = tmp_path / "more.json"
    spec.write_text(json.dumps({"project": "-", **keys}))
    more = ("--spec", str(spec), "--project-id", "words")
    for empty in ("", " \n"):
        refused = orchestrate(tmp_path, "build", empty, "-o", "app", *more)
        assert (refused.code, refused.err) == (
            2,
            "orchestrate: the description is empty: say in a sentence what the application is to do\n",
        )
    ended = orchestrate(tmp_path, "build", "Words", "-o", "out dir ünï", *more)
    assert ended.code == 0, ended.err
    assert (tmp_path / "out dir ünï" / "words" / "py.typed").exists(), "as libraries have it"
    log = EventLog.open_to_read(tmp_path)
    try:
        ((digest,),) = sqlite_of(log).query(
            "SELECT json_extract(data, '$.criteria') FROM events WHERE type = 'run.started'"
        )
        assert Texts(log, "words", bytes, Redactor()).get(digest) == "it greets politely"
    finally:
        log.close()


def test_what_is_wrong_with_an_application_is_told_in_words(tmp_path: Path) -> None:
    """The line of the verification names the steps, not the record of them; of a long sentence one line is kept."""
    keys = fields(tmp_path / "script", "cli", {"greeter/cli.py": "```python\nraise RuntimeError('no')\n```"})
    spec = tmp_path / "more.json"
    spec.write_text(json.dumps({"project": "-", "criteria": "-", **keys}))
    ended = orchestrate(
        tmp_path, "build", "Greeter " + "of the " * 5_000, "-o", "app", "--spec", str(spec), "--project-id", "long"
    )
    assert ended.code == 1
    (reported,) = [each for each in ended.err.splitlines() if each.startswith("! verification failed")]
    assert ": tests failed; start failed" in reported
    assert (tmp_path / "app" / "pyproject.toml").stat().st_size < 2_000
