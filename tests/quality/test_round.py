"""A round through the command, against a local server: what is graded, counted, kept and never shown."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from benchmarks.quality.__main__ import main

from tests.servers.openai_server import OpenAIServer, text_of

SECRET = "hidden_and_never_sent"


def problem(name: str, returned: str) -> dict[str, str]:
    """A function without arguments that returns a number."""
    return {
        "id": name,
        "prompt": f"Write {name}, which returns {returned}.",
        "entry_point": name,
        "header": "",
        "examples": f"from solution import {name}\n\n\ndef test_example_1():\n    assert {name}() > 0\n",
        "hidden": f"def check(candidate):\n    {SECRET} = {returned}\n    assert candidate() == {SECRET}\n",
    }


def answer(request: Mapping[str, Any]) -> str:
    """Code that is right for ``one`` and passes only the example of ``two``; every judge writes prose first."""
    prompt = text_of(request, "system") + text_of(request, "user")
    schema = json.dumps(request.get("response_format", ""))
    if "score" in schema:
        return "no idea"
    name = "one" if "Write one" in prompt else "two"
    return f"```python\ndef {name}():\n    return 1\n```"


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The command's words but for the server."""
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(problem(*each)) + "\n" for each in (("one", "1"), ("two", "2"))))
    return ["--problems", str(path), "--model", "m", "--arms", "default", "--out", str(tmp_path / "q.json")]


def test_a_round_is_graded_counted_and_goes_on(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hidden tests decide, not the examples; a second round makes no call; no request holds a hidden test."""
    with OpenAIServer(answer) as server:
        assert main([*words, "--base-url", server.base_url]) == 0
        made = len(server.ledger)
        table = capsys.readouterr().out
        assert main([*words, "--base-url", server.base_url]) == 0
        assert capsys.readouterr().out == table
        assert len(server.ledger) == made
        assert all(SECRET.encode() not in each.body for each in server.ledger)
        asked = sum(each.usage.input_tokens + each.usage.output_tokens for each in server.ledger)
    assert "| default | 2 | 1 (" in table
    cells = {cell["problem"]: cell for cell in json.loads((tmp_path / "q.json").read_text())["cells"]}
    assert {name: (cell["solved"], cell["right"]) for name, cell in cells.items()} == {
        "one": (True, 1),
        "two": (False, 0),
    }
    assert sum(cell["calls"] for cell in cells.values()) >= made
    assert sum(cell["tokens_in"] + cell["tokens_out"] for cell in cells.values()) >= asked
    assert all(cell["unreadable"] == cell["judgements"] for cell in cells.values())


def test_the_prompts_of_a_problem_are_equal_in_every_round(words: list[str], tmp_path: Path) -> None:
    """So the arms are paired: the first request of a problem is answered once, whatever runs it."""
    with OpenAIServer(answer) as server:
        main([*words, "--limit", "1", "--base-url", server.base_url])
        made = len(server.ledger)
        (tmp_path / "q.json").unlink()
        main([*words, "--limit", "1", "--base-url", server.base_url])
        assert len(server.ledger) == made > 0


def test_an_unknown_arm_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused before anything runs."""
    assert main([*words, "--base-url", "http://127.0.0.1:9/v1", "--arms", "no_such_strategy"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("quality: ")
    assert "loop" in said


def test_a_server_that_is_gone_leaves_no_cell(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run without an answer proves nothing of an arm."""
    with OpenAIServer() as server:
        address = server.base_url
    assert main([*words, "--limit", "1", "--base-url", address]) == 3
    assert "no model answered" in capsys.readouterr().err
    assert not (tmp_path / "q.json").exists()
