"""What a run tells a build server: JUnit XML, GitHub's step summary, annotations."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.terminal.junit import CaseOutcome, JunitCase, JunitSuite, junit_xml
from tests.cli.command import Ended, orchestrate

MODEL = {"id": "m-1", "vendor": "v", "price": {"input": 1, "output": 1}, "context": 64000, "max_output": 4096}
HOSTILE = "::error::owned | <img src=x> `a` @team [x](y) $z$"


def spec(folder: Path, answer: str, **keys: Any) -> Path:
    """A spec of two tasks: the first is answered as given and checked, the second needs the first."""
    answers = [
        {"task": "task_001", "role": "generator", "text": answer},
        {"role": "generator", "text": "A sentence."},
        {"role": "critic", "text": '{"defects": []}'},
        {"role": "evaluator", "text": '{"reasons": "It does.", "score": 9}'},
    ]
    (folder / "answers.json").write_text(json.dumps({"models": [MODEL], "delay_ms": 0, "answers": answers}))
    tasks = [
        {"id": "task_001", "type": "data_extraction", "prompt": "Give a list.", "title": HOSTILE,
         "hard_validators": ["json_schema"], "schema": {"type": "array"}},
        {"id": "task_002", "type": "summarization", "prompt": "Say it.", "dependencies": ["task_001"]},
    ]  # fmt: skip
    document = {"project": "p", "criteria": "c", "providers": {"scripted": {"answers": "answers.json"}}, "tasks": tasks}
    path = folder / "spec.json"
    path.write_text(json.dumps({**document, **keys}))
    return path


def played(folder: Path, answer: str, *words: str, summary: bool = True) -> Ended:
    """The run of such a spec under GitHub, with a JUnit file."""
    environ = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md")} if summary else {}
    command = ("run", str(spec(folder, answer)), "--junit", str(folder / "junit.xml"), "--github", *words)
    return orchestrate(folder / "home", *command, environ=environ)


def cases(folder: Path) -> dict[str, ElementTree.Element]:
    """The cases of the JUnit file by class and first word."""
    root = ElementTree.parse(folder / "junit.xml").getroot()
    return {f"{each.get('classname')}/{(each.get('name') or '').split()[0]}": each for each in root.iter("testcase")}


def test_a_case_for_each_task_and_each_check(tmp_path: Path) -> None:
    """What passes is a case without children, and the counts are those of the cases."""
    ended = played(tmp_path, "[1, 2]")
    assert ended.code == 0, ended.err
    found = cases(tmp_path)
    assert {"tasks/task_001", "tasks/task_002", "checks.task_001/json_schema"} < set(found)
    assert all(len(case) == 0 for case in found.values())
    for suite in ElementTree.parse(tmp_path / "junit.xml").getroot():
        assert int(suite.get("tests", "")) == len(suite) > 0
        assert [suite.get(name) for name in ("failures", "errors", "skipped")] == ["0", "0", "0"]


def test_what_fails_says_why(tmp_path: Path) -> None:
    """A failed check is a failure with its details, its task too, and the run; GitHub gets an annotation."""
    ended = played(tmp_path, "no list at all")
    assert ended.code != 0
    found = cases(tmp_path)
    failed = found["checks.task_001/json_schema"].find("failure")
    assert failed is not None
    assert failed.text
    task = found["tasks/task_001"]
    assert "a check did not pass" in "".join(child.get("message", "") for child in task)
    assert any(len(case) for name, case in found.items() if name.startswith("run/"))
    assert re.search(r"^::(error|warning) title=task_001 .*::.*a check did not pass", ended.err, re.MULTILINE)


def test_a_run_without_a_plan_is_annotated_too(tmp_path: Path) -> None:
    """There is no task to annotate: the run itself is, and it is the only case."""
    path = spec(tmp_path, "unused")
    document = json.loads(path.read_text())
    del document["tasks"]
    path.write_text(json.dumps({**document, "limits": {"single_task_fallback": False}}))
    words = ("run", str(path), "--junit", str(tmp_path / "junit.xml"), "--github")
    ended = orchestrate(tmp_path / "home", *words, environ={"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")})
    assert ended.code == 3
    assert re.search(r"^::error title=run::SYSTEM_FAILURE: no plan could be made$", ended.err, re.MULTILINE)
    (name,) = cases(tmp_path)
    assert name.startswith("run/")
    assert "no plan could be made" in (tmp_path / "summary.md").read_text()


def test_nothing_that_a_model_or_a_spec_wrote_commands_github(tmp_path: Path) -> None:
    """Commands are stopped but for our annotations; in the summary a text is a text."""
    ended = played(tmp_path, "no list at all", "--verbose")
    lines = ended.err.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    obeyed, annotated = False, 0
    for text in lines:
        if text in (f"::{token}::", f"::stop-commands::{token}"):
            obeyed = text == f"::{token}::"
        elif obeyed:
            annotated += 1
            assert re.match(r"::(error|warning) title=[^:,]*::", text), text
    assert obeyed
    assert annotated > 0
    summary = (tmp_path / "summary.md").read_text()
    assert "| task\\_001 |" in summary
    for planted in ("<img", "`a`", " @team", "[x](y)", "$z$", "owned |"):
        assert planted not in summary


def test_outside_of_github_the_summary_is_left_out_and_said(tmp_path: Path) -> None:
    """There is no file to write it to."""
    ended = played(tmp_path, "[1]", summary=False)
    assert ended.code == 0
    assert "GITHUB_STEP_SUMMARY is not set" in ended.err


def test_a_file_that_cannot_be_written_is_refused_before_money_is_spent(tmp_path: Path) -> None:
    """A folder, a file in a folder that does not exist, or a file that holds something else, which stays."""
    path = spec(tmp_path, "[1]")
    (tmp_path / "page.html").write_text("<?xml version='1.0'?><html>&lt;testsuites></html>")
    kept = {each: each.read_bytes() for each in (path, tmp_path / "page.html")}
    for name in (tmp_path, tmp_path / "none" / "junit.xml", *kept):
        ended = orchestrate(tmp_path / "home", "run", str(path), "--junit", str(name))
        assert (ended.code, ended.out) == (2, "")
        assert "name another file" in ended.err
    assert kept == {each: each.read_bytes() for each in kept}
    assert not (tmp_path / "home" / "events.db").exists()


@pytest.mark.parametrize(
    "beginning",
    ["", "<testsuite name='pytest'/>", '<?xml version="1.0" encoding="utf-8"?>\n<!-- of a job -->\n<testsuites>'],
    ids=["empty", "one suite", "a comment"],
)
def test_an_earlier_junit_file_is_replaced(tmp_path: Path, beginning: str) -> None:
    """A build server writes its own again and again; that of another program and an empty one go, too."""
    (tmp_path / "junit.xml").write_text(beginning)
    assert played(tmp_path, "[1]").code == 0
    assert "tasks/task_001" in cases(tmp_path)


def test_resume_writes_them_too(tmp_path: Path) -> None:
    """Of a run that is closed the files can be had later."""
    played(tmp_path, "[1]")
    (tmp_path / "junit.xml").unlink()
    ended = orchestrate(tmp_path / "home", "resume", "last", "--junit", str(tmp_path / "junit.xml"))
    assert ended.code == 0, ended.err
    assert "tasks/task_001" in cases(tmp_path)


@given(st.lists(st.tuples(st.text(), st.sampled_from(CaseOutcome), st.text(), st.text()), max_size=5), st.text())
def test_any_text_makes_xml_that_can_be_read(texts: list[tuple[str, CaseOutcome, str, str]], name: str) -> None:
    """No text breaks the document, and the counts are right."""
    suite = JunitSuite(name, [JunitCase(name, *each) for each in texts])
    root = ElementTree.fromstring(junit_xml(name, [suite]).encode())
    (found,) = root
    counts = {key: int(found.get(key, "")) for key in ("tests", "failures", "errors", "skipped")}
    assert counts["tests"] == len(texts)
    for key, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert counts[key] == sum(each[1] == outcome for each in texts) == len(found.findall(f"testcase/{outcome}"))


@pytest.mark.parametrize("text", ["☃ 😀", "a\tb"])
def test_letters_are_kept(text: str) -> None:
    """Only what XML cannot hold is replaced."""
    root = ElementTree.fromstring(junit_xml("n", [JunitSuite("s", [JunitCase("c", text)])]).encode())
    (case,) = root.iter("testcase")
    assert case.get("name") == text
