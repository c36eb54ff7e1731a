"""What models really write, through the command: the delivered files, the verdict of the gate, and the log."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine.answers import read_answer
from orchestrator.engine.checks import selector_for
from orchestrator.events import Reading
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.models import TaskStatus
from orchestrator.settings import SandboxChoice
from tests.cli.command import MODELS, ROOT, orchestrate, rows, scripted_spec
from tests.scripted import orchestrator, run

SHARED = ROOT.parent / "shared" / "cases" / "answers"

CODE = {"id": "only", "type": "code_generation", "prompt": "Write f.", "hard_validators": ["python_syntax"]}
DATA = {"id": "only", "type": "data_extraction", "prompt": "Extract it.", "hard_validators": ["json_schema"]}
F = "def f():\n    return 1\n"
USAGE = "```python\nresult = f()\nprint('a far longer example of how it is used', result)\n```\n"
ONE, TWO = "task_001_code_generation.py", "task_001_code_generation/"
JSON = "task_001_data_extraction.json"


def answered(folder: Path, text: str, task: dict[str, Any], *answers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A run whose drafts and revisions are that text: what the command says, its files, and its summary's row."""
    given = [{"role": role, "text": text} for role in ("generator", "reviser")]
    spec = scripted_spec(folder / "spec", answers=[*given, *answers], tasks=[task], project_id="r", **fields)
    ended = orchestrate(folder / "home", "run", str(spec), "-o", str(folder / "out"))
    (row,) = json.loads((folder / "out" / "summary.json").read_text())["tasks"]
    ours = ("summary.json", "README.md", ".orchestrate-run")
    files = {
        str(path.relative_to(folder / "out")): path.read_bytes().decode()
        for path in sorted((folder / "out").rglob("*"))
        if path.is_file() and path.name not in ours
    }
    return {"ended": ended, "files": files, "row": row}


DELIVERED = [
    (CODE, f"```python\n{F}```\nThat is all, it's good.\n".replace("\n", "\r\n"), {ONE: F}, True),
    (CODE, f"1. Write this:\n\n   ```python\n   {F.replace(chr(10), chr(10) + '   ').rstrip()}\n   ```\n", {ONE: F}, True),  # noqa: E501
    (CODE, f"~~~python\n{F}~~~~\nDone.\n", {ONE: F}, True),
    (
        CODE,
        '```python\ndef f(x):\n    """Double.\n\n    ```\n    f(2)\n    ```\n    """\n    return 2 * x\n```\n',
        {ONE: 'def f(x):\n    """Double.\n\n    ```\n    f(2)\n    ```\n    """\n    return 2 * x\n'},
        True,
    ),
    (
        CODE,
        "1. `src/app.py`\n```python\nx = 1\n```\nCreate `my b.py`:\n```python\ny = 2\n```\n",
        {f"{TWO}src/app.py": "x = 1\n", f"{TWO}my b.py": "y = 2\n"},
        True,
    ),
    (CODE, f"```python\n{F}```\nUse it:\n{USAGE}", {ONE: F}, True),
    (CODE, f"{USAGE}with:\n```python\n{F}```\n", {ONE: F}, True),
    ({**CODE, "hard_validators": []}, "```kotlin\nfun f() = 1\n```\n", {"task_001_code_generation.kt": "fun f() = 1\n"}, True),  # noqa: E501
    ({**CODE, "hard_validators": []}, "```klingon\nQapla'\n```\n", {"task_001_code_generation.txt": "Qapla'\n"}, True),
    (CODE, f"<think>\n```python\nlonger = 'than it'\nz = 0\n```\n</think>\n```python\n{F}```\n", {ONE: F}, True),
    (DATA, '```json\n{"a": 12345678901234567.89, "b": [0.10, 1E5]}\n```\n', {JSON: '{\n  "a": 12345678901234567.89,\n  "b": [\n    0.10,\n    1E5\n  ]\n}\n'}, True),  # noqa: E501
    (DATA, '{"a": NaN}', {JSON: '{"a": NaN}\n'}, False),
    (DATA, '```json\n{"a": Infinity}\n```\n', {JSON: '{"a": Infinity}\n'}, False),
    (DATA, '{"a": 1, "a": 2}', {JSON: '{"a": 1, "a": 2}\n'}, False),
]  # fmt: skip


@pytest.mark.parametrize(("task", "text", "files", "gate"), DELIVERED)
def test_what_the_gate_judged_is_what_is_delivered(
    tmp_path: Path, task: dict[str, Any], text: str, files: dict[str, str], gate: bool
) -> None:
    """The right files, and the gate's verdict on these."""
    found = answered(tmp_path, text, task)
    assert found["files"] == files
    assert found["row"]["gate_passed"] is gate
    assert (found["ended"].code == 0) is gate


def test_blocks_that_are_in_no_file_are_said_and_shown(tmp_path: Path) -> None:
    """On the terminal, in the summary and in the table; the log has their number."""
    found = answered(tmp_path, f"```python\n{F}```\n{USAGE}{USAGE}", CODE)
    assert (
        "only: 2 code blocks of the answer went into no file; summary.json has the whole answer\n" in found["ended"].err
    )
    assert (found["row"]["blocks_left_out"], USAGE in found["row"]["output"]) == (2, True)
    assert "(2 code blocks of the answer left out)" in (tmp_path / "out" / "README.md").read_text()
    read = [
        json.loads(data[0])["reading"]
        for data in rows(tmp_path / "home", "SELECT data FROM events WHERE type = 'call.succeeded'")
    ]
    assert {each["left_out"] for each in read} == {0, 2}


def test_a_name_that_shadows_is_said_and_not_laid_beside_tests(tmp_path: Path) -> None:
    """The tests get Python's own module and no configuration; the files are delivered all the same."""
    if selector_for(SandboxChoice.AUTO).level() is None:
        pytest.skip("no sandbox holds on this machine")
    names = ("random.py", "conftest.py", "pytest.py")
    text = (
        "".join(f"`{name}`\n```python\nraise SystemExit\n```\n" for name in names)
        + f"`code.d/f.py`\n```python\n{F}```\n"
    )
    tests = "import random\nimport f\n\ndef test_f():\n    assert f.f() == 1 and random.random() < 1\n"
    found = answered(tmp_path, text.replace("code.d/", ""), {**CODE, "hard_validators": ["pytest"], "tests": tests})
    assert found["row"]["gate_passed"], found["ended"].err
    assert set(found["files"]) == {f"{TWO}{name}" for name in (*names, "f.py")}
    assert sorted(found["row"]["shadowing"]) == sorted(names)
    assert (
        "only: random.py has the name of a module that Python or pytest needs; it is not laid beside tests\n"
        in found["ended"].err
    )
    assert (
        "only: conftest.py has the name of pytest's configuration; it is not laid beside tests\n" in found["ended"].err
    )


def test_thinking_is_said_once_and_kept_in_the_log(tmp_path: Path) -> None:
    """For a model that is not declared to write it; one that is, is nothing to speak of."""
    thinking = f"<think>Hm.</think>\n```python\n{F}```\n"
    found = answered(tmp_path / "a", thinking, CODE)
    assert found["ended"].err.count("writes its thinking into its answers") == 1
    assert found["row"]["output"] == f"```python\n{F}```\n"
    (data,) = rows(
        tmp_path / "a" / "home", "SELECT data FROM events WHERE type = 'call.succeeded' ORDER BY version LIMIT 1"
    )
    log = EventLog.open_to_read(tmp_path / "a" / "home")
    try:
        texts = Texts(log, "r", bytes, log.redactor)
        assert texts.get(json.loads(data[0])["thoughts"]) == "<think>Hm.</think>\n"
    finally:
        log.close()
    declared = [{"id": model["id"], "provider": "scripted", "abilities": ["inline_thinking"]} for model in MODELS]
    found = answered(tmp_path / "b", thinking, CODE, models=declared)
    assert found["files"] == {ONE: F}
    assert "thinking" not in found["ended"].err


@pytest.mark.parametrize(
    ("verdict", "score"),
    [
        ('The config\n```json\n{"name": "x"}\n```\nis right.\n```json\n{"score": 9, "reasons": "ok"}\n```\n', 0.9),
        ('{"score": 0.9, "reasons": "line one\nline two"}', 0.9),
        ('{"score": 9, "reasons": "the "x" is fine"}', 0.9),
        ('{"score": 9, "reasons": "it was cut', 0.9),
        ("Score: 0,9", 0.9),
        ("9 out of 10", 0.9),
        ('{"score": 0.9}\n{"score": 0.5}', None),
    ],
)
def test_a_verdict_is_read_or_refused(tmp_path: Path, verdict: str, score: float | None) -> None:
    """In every form; two that differ are none."""
    found = answered(tmp_path, f"```python\n{F}```", CODE, {"role": "evaluator", "text": verdict})
    assert found["row"]["score"] == score
    assert found["row"]["reason"] == (None if score else "unscored")


def test_an_answer_that_cannot_be_read_is_in_the_log_with_its_settlement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event has the answer, what it cost, and that reading it failed; the run goes on."""

    def fails(text: str) -> Reading:
        raise RuntimeError("a defect of the reader")

    monkeypatch.setattr(read_answer, "read_score", fails)
    state = run(orchestrator(tmp_path), project_id="r")
    assert state.results["only"].status is TaskStatus.DEGRADED
    sql = "SELECT data FROM events WHERE type = 'call.succeeded' AND data LIKE '%unreadable%'"
    found = [json.loads(data[0]) for data in rows(tmp_path / "home", sql)]
    assert found
    assert all(each["reading"]["problem"] == "unreadable" and each["answer"] and each["settled"] for each in found)


CASES = {
    "01-crlf-fence": {ONE: F},
    "02-docstring-fence": {ONE: 'def f(x):\n    """Double.\n\n    ```\n    f(2)\n    ```\n    """\n    return 2 * x\n'},
    "05-numbered-file-names": {f"{TWO}src/app.py": "x = 1\n", f"{TWO}src/b.py": "y = 2\n"},
    "08-score-after-quoted-json": {ONE: "x = 1\n"},
    "10-raw-newline-in-score": {ONE: "x = 1\n"},
    "14-extraction-number-rounded": {JSON: '{\n  "price": 12345678901234567.89,\n  "tax": 0.10,\n  "exp": 1E5\n}\n'},
}


@pytest.mark.parametrize("case", CASES)
def test_a_shared_case_has_the_right_value(tmp_path: Path, case: str) -> None:
    """Where the cases are beside the project."""
    if not (SHARED / case).is_dir():
        pytest.skip("the shared cases are not beside the project")
    shutil.copytree(SHARED / case, tmp_path / "case")
    ended = orchestrate(tmp_path / "home", "run", "spec.yaml", "-o", "out", cwd=tmp_path / "case")
    assert ended.code == 0, ended.err
    for name, content in CASES[case].items():
        assert (tmp_path / "case" / "out" / name).read_text() == content
