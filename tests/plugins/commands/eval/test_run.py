"""``orchestrate eval`` from the outside: a run, the log it leaves, its results and its exit codes."""

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema  # type: ignore[import-untyped]
import pytest

from orchestrator import events as e
from orchestrator.errors import LogError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.money import Usd
from orchestrator_eval.result_json import schema
from tests.cli.command import PATIENCE, ROOT, Ended, finish, orchestrate, rows, start
from tests.plugins.commands.eval.suites import MARK, MODELS, SCRIPTED, answer, case, write
from tests.sql import sqlite_of

SMALL = ROOT / "examples" / "eval" / "small.yaml"


def run(folder: Path, suite: Path, *words: str, command: str = "run") -> Ended:
    """``orchestrate eval run`` on the folder's data folder."""
    return orchestrate(folder / "home", "eval", command, str(suite), *words)


def events(folder: Path, stream: str) -> list[e.Event]:
    """The events of a stream."""
    log = EventLog.open_to_read(folder / "home")
    try:
        return [record.event for record in log.read_own(stream)]
    finally:
        log.close()


def arms(document: Any) -> dict[str, Any]:
    """The arms of a result by name."""
    return {arm["name"]: arm for arm in document["arms"]}


def test_the_shipped_suite_runs_offline_over_every_type_of_task(tmp_path: Path) -> None:
    """Every case is graded in every arm, the figures are those of the cells, and the document meets its schema."""
    ended = run(tmp_path, SMALL, "--vary", "loop=reviewed,best_of", "--json")
    assert ended.code == 0, ended.err
    document = ended.json
    jsonschema.validate(document, schema())
    assert {each["type"] for each in document["cases"]} == {
        "code_generation", "code_review", "complex_reasoning", "creative_writing", "data_extraction", "summarization",
        "evaluation",
    }  # fmt: skip
    found = arms(document)
    assert list(found) == ["loop=reviewed", "loop=best_of", "plain", "single summit-large"]
    assert [found[name]["solved"] for name in found] == [11, 8, 7, 10]
    assert all(arm["errors"] == arm["open"] == 0 for arm in found.values())
    assert found["plain"]["control"]
    assert not found["loop=reviewed"]["control"]
    assert found["loop=best_of"]["dominated_by"] == "single summit-large"
    assert found["plain"]["dominated_by"] is None
    for arm in found.values():
        own = [cell for cell in document["cells"] if cell["arm"] == arm["name"]]
        assert arm["calls"] == sum(cell["calls"] for cell in own)
        assert arm["tokens"] == sum(cell["tokens_in"] + cell["tokens_out"] for cell in own)
        assert arm["per_solved"]["tokens"] == arm["tokens"] / arm["solved"]
    assert all(cell["run"] for cell in document["cells"])


def test_every_cell_is_an_audited_run_and_the_log_is_whole(tmp_path: Path) -> None:
    """The audit of the log passes, replay verifies a cell's decisions, and money adds up to the account."""
    suite = write(tmp_path, [case(1), case(2)], [answer(1), answer(2, "wrong")])
    document = run(tmp_path, suite, "--json").json
    audit = orchestrate(tmp_path / "home", "audit", "verify")
    assert audit.code == 0, audit.out + audit.err
    for cell in document["cells"]:
        replayed = orchestrate(tmp_path / "home", "replay", cell["run"], "--verify")
        assert replayed.code == 0, replayed.out + replayed.err
    spent = sum(float(cell["settled_usd"]) for cell in document["cells"])
    assert float(document["money"]["settled_usd"]) == pytest.approx(spent, abs=1e-9)
    shown = orchestrate(tmp_path / "home", "budget", "show", "--json").json
    assert "sim/eval/tried" in json.dumps(shown)


def test_no_prompt_holds_what_graders_know(tmp_path: Path) -> None:
    """Neither a grader's text nor the oracle is in any request of any run: proved from the log."""
    secret = {
        "pytest": f"from solution import word\n\ndef test_word():\n    assert word() == '{MARK}-1'\n",
    }
    code = case(
        1, type="code_generation", path="solution.py", prompt="Write solution.py with word().", grade=secret,
        oracle=f"```python\ndef word():\n    return '{MARK}-1'\n```",
    )  # fmt: skip
    wrong = answer(1, "```python\ndef word():\n    return 'no'\n```")
    suite = write(tmp_path, [code, case(2)], [wrong, answer(2, "no")])
    ended = run(tmp_path, suite, "--vary", "loop=reviewed,best_of,repair")
    assert ended.code == 0, ended.err
    log = EventLog.open_to_read(tmp_path / "home")
    runs = [name for (name,) in sqlite_of(log).query("SELECT run_id FROM runs")]
    assert len(runs) == 2 * 5
    prompts = 0
    for name in runs:
        texts = Texts(log, name, lambda size: b"\0" * size, Redactor())
        for record in log.read(name, types=[e.CallPrepared]):
            assert isinstance(record.event, e.CallPrepared)
            prompt = texts.get(record.event.prompt)
            assert MARK not in prompt
            assert "test_word" not in prompt
            prompts += 1
    log.close()
    assert prompts > len(runs)


def test_a_grader_that_raises_is_an_error_and_no_failure(tmp_path: Path) -> None:
    """The cell is listed apart and counts nowhere; with the grader mended, only the grades are made anew."""
    breaks = (
        "import sys\ntext = open('answer.txt').read()\nassert 'quokka' in text\n"
        "if 'breaks' in text:\n    raise RuntimeError('the grader is broken')\n"
    )
    mended = breaks.replace("raise RuntimeError('the grader is broken')", "sys.exit(1)")
    rule: dict[str, Any] = {"command": {"run": "python check.py", "files": {"check.py": breaks}}}
    cases = [case(1, grade=rule), case(2)]
    suite = write(tmp_path, cases, [answer(1, "quokka breaks"), answer(2)])
    ended = run(tmp_path, suite, "--no-controls", "--json")
    assert ended.code == 3
    arm = arms(ended.json)["default"]
    assert (arm["solved"], arm["failed"], arm["errors"], arm["solved_at_1"]) == (1, 0, 1, 1.0)
    assert [cell["problem"] for cell in ended.json["cells"]] == ["grader", None]
    assert "the grader is broken" in ended.json["cells"][0]["details"]

    spent = ended.json["money"]["settled_usd"]
    cases[0]["grade"] = {"command": {"run": "python check.py", "files": {"check.py": mended}}}
    suite = write(tmp_path, cases, [])  # not a single answer: no model is called
    again = run(tmp_path, suite, "--again", "--json", command="grade")
    assert again.code == 0, again.err
    arm = arms(again.json)["default"]
    assert (arm["solved"], arm["failed"], arm["errors"]) == (1, 1, 0)
    assert again.json["money"]["settled_usd"] == spent


def test_cells_of_a_vendor_that_fails_are_errors_and_run_again_alone(tmp_path: Path) -> None:
    """``retry --errors`` runs what failed under a new id, and nothing else."""
    dead = {"task": "case-01", "role": "generator", "error": "server", "retryable": False}
    limits = {"limits": {"tries": 1, "attempts": 2}}
    suite = write(tmp_path, [case(1), case(2)], [dead, answer(2)], spec=limits)
    ended = run(tmp_path, suite, "--no-controls", "--json")
    assert ended.code == 3
    assert [(cell["outcome"], cell["problem"]) for cell in ended.json["cells"]] == [
        ("error", "vendor"),
        ("solved", None),
    ]

    write(tmp_path, [case(1), case(2)], [answer(1), answer(2, "never asked again")], spec=limits)
    again = orchestrate(tmp_path / "home", "eval", "retry", "tried", "--errors", "--json")
    assert again.code == 0, again.err
    assert [(cell["outcome"], cell["attempt"]) for cell in again.json["cells"]] == [("solved", 2), ("solved", 1)]


def test_the_ceiling_is_hard_and_more_money_goes_on(tmp_path: Path) -> None:
    """Cells that it changes are errors, exit 4, nothing is spent beyond it; with more money they are run again."""
    numbers = range(1, 7)
    suite = write(tmp_path, [case(n) for n in numbers], [answer(n) for n in numbers])
    rich = run(tmp_path / "rich", suite, "--no-controls", "--json").json
    holds = [
        each.hold
        for cell in rich["cells"]
        for each in events(tmp_path / "rich", cell["run"])
        if isinstance(each, e.CallStarted)
    ]
    ceiling = max(holds) + Usd.parse(rich["cells"][0]["settled_usd"]) + Usd.parse(rich["cells"][1]["settled_usd"])

    little = run(tmp_path, suite, "--no-controls", "--budget", str(ceiling), "--jobs", "1", "--json")
    assert little.code == 4, little.err
    assert Usd.parse(little.json["money"]["settled_usd"]) <= ceiling
    arm = arms(little.json)["default"]
    assert (arm["solved"], arm["failed"], arm["errors"], arm["open"]) == (2, 0, 1, 3)
    assert little.json["cells"][2]["problem"] == "budget"

    more = orchestrate(tmp_path / "home", "eval", "retry", "tried", "--budget", "1", "--json")
    assert more.code == 0, more.err
    assert arms(more.json)["default"]["solved"] == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oracle": "something else"}, "case case-01: the oracle does not pass its own grader"),
        ({"grade": {"regex": ".*"}}, "case case-01: an empty answer passes"),
        ({"grade": {"regex": "("}}, "cases[0].grade.regex: this is no regular expression"),
        ({"grade": {"regexp": "x"}}, "did you mean 'regex'?"),
        ({"grade": {}}, "a case needs a grader"),
        ({"grade": {"pytest": "def"}}, "the tests are no Python"),
        ({"type": "poem"}, "cases[0].type: expected"),
        ({"prompt": ""}, "cases[0].prompt: the text is empty"),
        ({"hard_validators": ["nothing_such"]}, "'nothing_such'"),
        ({"grade": {"judge": {"model": "absent-1", "rubric": "good"}}}, "the judge 'absent-1' is no model here"),
        ({"grade": {"pytest": {"file": "missing.py"}}}, "missing.py:1: the file cannot be read"),
        ({"extra": 1}, "cases[0].extra: unknown key"),
    ],
)
def test_a_wrong_suite_costs_nothing(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """What is wrong is said on one line with file and line, exit 2, before any run or account exists."""
    suite = write(tmp_path, [case(1, **changes), case(2)], [])
    ended = run(tmp_path, suite)
    assert ended.code == 2, ended.err
    lines = [each for each in ended.err.splitlines() if each.startswith("orchestrate: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert f"{suite}:" in lines[0] or "validator" in lines[0]
    assert not any((tmp_path / "home").glob("locks/*"))


def test_a_case_without_an_oracle_is_run_and_said(tmp_path: Path) -> None:
    """Its empty answer must fail all the same."""
    bare = {key: value for key, value in case(1).items() if key != "oracle"}
    ended = run(tmp_path, write(tmp_path, [bare, case(2)], [answer(1), answer(2)]), "--no-controls")
    assert ended.code == 0, ended.err
    assert "! no oracle: whether the graders of case-01 can be passed is not known" in ended.err
    loose = write(tmp_path / "loose", [{**bare, "grade": {"regex": ".*"}}], [])
    assert "case case-01: an empty answer passes" in run(tmp_path, loose).err


def test_the_bar_and_the_baseline_end_with_100(tmp_path: Path) -> None:
    """``--fail-below`` and a case that was solved and no longer is."""
    cases = [case(1), case(2)]
    suite = write(tmp_path, cases, [answer(1), answer(2)])
    base = tmp_path / "base.json"
    assert run(tmp_path, suite, "--no-controls", "--out", str(base), "--fail-below", "100%").code == 0
    suite = write(tmp_path, cases, [answer(1), answer(2, "wrong")])
    worse = run(tmp_path, suite, "--no-controls", "--baseline", str(base))
    assert worse.code == 100
    assert "default beside tried: REGRESSION: +0 −1 of 2" in worse.out
    assert "lost: case-02" in worse.out
    low = run(tmp_path, suite, "--no-controls", "--fail-below", "0.6")
    assert low.code == 100
    assert "default solves 1 of 2, below 60%" in low.err
    assert run(tmp_path, suite, "--no-controls", "--fail-below", "50%").code == 0


def test_forms_of_the_result(tmp_path: Path) -> None:
    """Markdown keeps what models wrote from being markup; JUnit is a suite for each arm, errors and failures apart."""
    dead = {"task": "case-03", "role": "generator", "error": "server", "retryable": False}
    suite = write(
        tmp_path,
        [case(1), case(2), case(3)],
        [answer(1), answer(2, "<b>|no|</b>"), dead],
        spec={"limits": {"tries": 1, "attempts": 2}},
    )
    page, report = tmp_path / "result.md", tmp_path / "result.xml"
    ended = run(tmp_path, suite, "--no-controls", "--markdown", str(page), "--junit", str(report))
    assert ended.code == 3
    text = page.read_text()
    assert "| default | 1/2 50%" in text
    assert "### Errors" in text
    assert "<b>" not in text
    [junit] = ElementTree.parse(report).getroot()
    assert (junit.get("tests"), junit.get("failures"), junit.get("errors")) == ("3", "1", "1")
    [name] = [each["name"] for each in orchestrate(tmp_path / "home", "eval", "show", "--json").json]
    whole = tmp_path / "result.json"
    forms = (("--markdown", page), ("--junit", report), ("--out", whole))
    for option, target in (*forms, *forms):  # the second time each replaces its own
        assert orchestrate(tmp_path / "home", "eval", "show", name, option, str(target)).code in (0, 3)
        before = suite.read_bytes()
        refused = orchestrate(tmp_path / "home", "eval", "show", name, option, str(suite))
        assert (refused.code, "exists and is no" in refused.err) == (2, True), refused
        assert suite.read_bytes() == before


def test_repetitions_are_counted_by_case(tmp_path: Path) -> None:
    """Repetitions have seeds of their own, pass^k is there, and the interval is that of the cases."""
    suite = write(tmp_path, [case(1), case(2)], [answer(1), answer(2, "wrong")])
    document = run(tmp_path, suite, "--repeat", "3", "--no-controls", "--json").json
    arm = arms(document)["default"]
    assert (arm["solved"], arm["cases"], arm["solved_at_1"], arm["pass_all"]) == (3, 2, 0.5, 0.5)
    seeds = {}
    for cell in document["cells"]:
        [first] = [each for each in events(tmp_path, cell["run"]) if isinstance(each, e.RunStarted)]
        seeds[cell["case"], cell["repetition"]] = first.seed
    assert len(set(seeds.values())) == len(seeds)


def test_arms_of_a_case_share_their_seed_and_learn_from_nothing(tmp_path: Path) -> None:
    """Paired cells begin alike: the same run seed, and nothing that earlier runs measured, taught grades included."""
    numbers = range(1, 13)
    suite = write(tmp_path, [case(n) for n in numbers], [answer(n) for n in numbers])
    first = run(tmp_path, suite, "--vary", "loop=plain,reviewed", "--teach", "--json").json
    seeds: dict[str, set[int]] = {}
    for cell in first["cells"]:
        history = events(tmp_path, cell["run"])
        assert isinstance(history[0], e.RunStarted)
        seeds.setdefault(cell["case"], set()).add(history[0].seed)
    assert all(len(each) == 1 for each in seeds.values())

    second = run(tmp_path, suite, "--case", "case-01", "--json").json
    ordinary = {"project": "p", "criteria": "c", "project_id": "ordinary", "providers": SCRIPTED, "loop": "plain"}
    task = {"id": "case-01", "type": "summarization", "prompt": "-"}
    (tmp_path / "spec.json").write_text(json.dumps({**ordinary, "tasks": [task]}))
    assert orchestrate(tmp_path / "home", "run", str(tmp_path / "spec.json"), "--quiet").code == 0
    assert all(not priors_of(tmp_path, cell["run"]) for cell in second["cells"])
    assert priors_of(tmp_path, "ordinary")


def priors_of(folder: Path, name: str) -> tuple[e.Prior, ...]:
    """What a run knew from earlier ones when it began."""
    [opened] = [each for each in events(folder, name) if isinstance(each, e.SessionOpened)]
    return opened.priors


def test_an_evaluation_that_is_done_is_not_run_again_under_its_name(tmp_path: Path) -> None:
    """The same name shows the result; another plan under it is refused; without a name a new one is numbered."""
    suite = write(tmp_path, [case(1)], [answer(1)])
    first = run(tmp_path, suite, "--name", "mine", "--no-controls", "--json").json
    again = run(tmp_path, suite, "--name", "mine", "--no-controls", "--json").json
    assert again == first
    other = run(tmp_path, suite, "--name", "mine", "--repeat", "2", "--no-controls")
    assert other.code == 2
    assert "choose another --name" in other.err
    names = [run(tmp_path, suite, "--no-controls", "--json").json["name"] for _ in range(2)]
    assert names == ["tried", "tried-2"]
    listed = orchestrate(tmp_path / "home", "eval", "show", "--json").json
    assert [each["name"] for each in listed] == ["mine", "tried", "tried-2"]


def test_a_judge_is_a_run_under_the_same_ceiling(tmp_path: Path) -> None:
    """Its verdict decides, its run is in the log, and what it costs is in the account."""
    rule = {"judge": {"model": "large-1", "rubric": "The word is right.", "at_least": 0.8}}
    suite = write(
        tmp_path,
        [case(1, grade=rule), case(2, grade=[rule, {"regex": MARK}])],
        [
            answer(1),
            answer(2),
            {"task": "judge-case-01", "role": "generator", "text": '{"reasons": "right", "score": 9}'},
            {"task": "judge-case-02", "role": "generator", "text": '{"reasons": "wrong word", "score": 3}'},
        ],
    )
    ended = run(tmp_path, suite, "--no-controls", "--json")
    assert ended.code == 0, ended.err
    assert [cell["outcome"] for cell in ended.json["cells"]] == ["solved", "failed"]
    assert "wrong word" in ended.json["cells"][1]["details"]
    graded = [each for each in events(tmp_path, "eval/tried") if isinstance(each, e.Graded)]
    judges = [name for each in graded for name in each.judges]
    assert len(judges) == 2
    [selected] = [each for each in events(tmp_path, judges[0]) if isinstance(each, e.ModelSelected)]
    assert selected.model == "large-1"
    cells = sum(float(cell["settled_usd"]) for cell in ended.json["cells"])
    assert float(ended.json["money"]["settled_usd"]) > cells


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--baseline", "suite.json"], "this is no result of an evaluation"),
        (["--baseline", "absent.json"], "the baseline cannot be read"),
        (["--out", "absent/result.json"], "its folder does not exist"),
        (["--junit", "."], "it is a folder"),
        (["--vary", "looop=plain"], "did you mean 'loop'?"),
        (["--vary", "loop=plan"], "no strategy is named"),
        (["--vary", "model=absent-1"], "there is no such model; there are large-1, small-1"),
        (["--vary", "backend=absent"], "absent"),
        (["--set", "tasks=x"], "tasks"),
        (["--case", "absent"], "has no such case"),
        (["--tag", "absent"], "no case of"),
        (["--name", "a/b"], "--name a/b"),
        (["--fail-below", "1.5"], "no share"),
    ],
)
def test_what_cannot_be_done_is_refused_before_money_is_spent(tmp_path: Path, words: list[str], message: str) -> None:
    """One line, exit 2, and no event."""
    suite = write(tmp_path, [case(1)], [answer(1)])
    ended = orchestrate(tmp_path / "home", "eval", "run", str(suite), *words, cwd=tmp_path)
    assert ended.code == 2, ended.err
    lines = [each for each in ended.err.splitlines() if each.startswith("orchestrate: ")]
    assert len(lines) == 1
    assert message in lines[0]
    database = tmp_path / "home" / "events.db"
    assert not database.exists() or rows(tmp_path / "home", "SELECT count(*) FROM events") == [(0,)]


def test_an_interrupted_evaluation_goes_on(tmp_path: Path) -> None:
    """Ctrl-C records the calls in flight and exits 130; the same command finishes, each cell once."""
    numbers = range(1, 9)
    suite = write(tmp_path, [case(n) for n in numbers], [answer(n, delay_ms=300) for n in numbers])
    words = ["eval", "run", str(suite), "--no-controls", "--jobs", "2"]
    process = start(tmp_path / "home", *words)
    wait_for(lambda: len(graded(tmp_path)) >= 2)
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.code == 130, ended.err
    assert "the same command goes on" in ended.err
    assert "cells have no grade yet" in ended.out
    document = orchestrate(tmp_path / "home", *words, "--json").json
    assert document["complete"]
    assert document["name"] == "tried"
    assert [cell["outcome"] for cell in document["cells"]] == ["solved"] * 8
    assert all(cell["attempt"] == 1 for cell in document["cells"])
    assert len(graded(tmp_path)) == 8


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second process is refused, and the first one is not disturbed."""
    suite = write(tmp_path, [case(1), case(2)], [answer(n, delay_ms=1500) for n in (1, 2)])
    words = ["eval", "run", str(suite), "--no-controls", "--jobs", "1"]
    first = start(tmp_path / "home", *words)
    wait_for(lambda: bool(rows(tmp_path / "home", "SELECT 1 FROM events WHERE type = 'call.started'")))
    second = orchestrate(tmp_path / "home", *words)
    assert second.code == 2
    assert "eval/tried is being run by process" in second.err
    assert finish(first).code == 0


def graded(folder: Path) -> list[e.Event]:
    """The grades that are recorded."""
    return [each for each in events(folder, "eval/tried") if isinstance(each, e.Graded)]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds; what cannot be read yet does not."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with suppress(LogError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError("it has not come to hold")


def test_a_suite_is_not_trusted_with_its_users_machine(tmp_path: Path) -> None:
    """What a suite wants beside calling models needs the user's word, before anything is run; a flag is their own."""
    suite = write(tmp_path, [case(1)], [answer(1)], spec={"validators": {"sandbox": "none"}})
    refused = run(tmp_path, suite, "--no-controls")
    assert refused.code == 2
    assert "--allow sandbox=none" in refused.err
    assert not list((tmp_path / "home").glob("locks/*"))
    assert run(tmp_path, suite, "--no-controls", "--allow", "sandbox=none").code == 0
    suite = write(tmp_path, [case(1)], [answer(1)])
    own = run(tmp_path, suite, "--no-controls", "--set", "validators.sandbox=none")
    assert own.code == 0, own.err


def test_policy_files_of_a_suite_bind_its_cells(tmp_path: Path) -> None:
    """They are read, and not left out: a model that they block is not called."""
    (tmp_path / "rules.yaml").write_text("global:\n  - {name: no small, blocked_models: [small-1]}\n")
    suite = write(tmp_path, [case(1)], [answer(1)], spec={"policy_files": ["rules.yaml"], "loop": "plain"})
    document = run(tmp_path, suite, "--no-controls", "--json").json
    assert [cell["author"] for cell in document["cells"]] == ["large-1"]


@pytest.mark.parametrize("given", ["--models", "ORCHESTRATE_MODELS"])
def test_a_models_file_counts_where_an_evaluation_starts(tmp_path: Path, given: str) -> None:
    """The calls of an evaluation are settled at the prices of its user's file."""
    suite = write(tmp_path, [case(1)], [answer(1)], spec={"loop": "plain"})
    dear = {**MODELS[0], "provider": "scripted", "price": {"input": 1000, "output": 4000}}
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"models": [dear]}))
    words, environ = ((given, str(file)), {}) if given == "--models" else ((), {given: str(file)})
    usual = run(tmp_path / "a", suite, "--no-controls", "--json").json
    command = ("eval", "run", str(suite), "--no-controls", "--json", *words)
    changed = orchestrate(tmp_path / "b" / "home", *command, environ=environ).json
    before, after = (Decimal(str(each["cells"][0]["settled_usd"])) for each in (usual, changed))
    assert after == before * 10_000 > 0
