"""Counterexamples run on a draft in the real sandbox: true, false and hostile ones, and drafts that cheat."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from orchestrator.deadlines.awaiting import in_daemon_thread
from orchestrator.engine.checks import Checks, selector_for
from orchestrator.engine.counterexample_runs import MOST
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Candidate
from tests.plugins.validators.contained import candidate, levels

DRAFT = "```python\ndef mean(values):\n    return sum(values) / (len(values) - 1)\n```"


def probe(given: Candidate, *defects: Mapping[str, Any], choice: SandboxChoice | None = None) -> list[str]:
    """What the defects are worth, on the best sandbox level or on the one named."""
    choice = choice or next(iter(levels()), None)
    if choice is None:
        pytest.skip("no sandbox holds on this machine")
    probing = Checks(selector_for(choice)).probe(given, defects, in_daemon_thread)
    results, level = asyncio.run(probing)
    assert level in (None, choice.value)
    return [result.value for result in results]


def defect(given: object, expected: object, actual: object) -> dict[str, Any]:
    """A defect with a counterexample."""
    example = {"input": given, "expected": expected, "actual": actual}
    return {"where": "mean", "problem": "it is wrong", "counterexample": example}


@pytest.mark.parametrize("choice", [SandboxChoice.BWRAP, SandboxChoice.LANDLOCK])
def test_true_ones_are_confirmed_and_false_ones_refuted(choice: SandboxChoice) -> None:
    """Each defect gets its result, in order; one without a counterexample is unverified."""
    if choice not in levels():
        pytest.skip(f"{choice.value} does not hold on this machine")
    assert probe(
        candidate(DRAFT),
        defect("mean([1, 2, 3])", "2.0", "3.0"),
        defect("mean([1, 2])", "1.5", "0.0"),
        {"where": "line 1", "problem": "no docstring", "counterexample": None},
        defect("mean([1])", "1.0", "ZeroDivisionError"),
        defect("mean([0, 0])", "0.0", "1.0"),
        choice=choice,
    ) == ["confirmed", "refuted", "unverified", "confirmed", "refuted"]


HOSTILE: Sequence[object] = (
    "__import__('os').system('touch {0}')",
    "mean(__import__('pathlib').Path('{0}').touch())",
    "mean.__globals__['__builtins__']['open']('{0}', 'w')",
    "exec(\"open('{0}', 'w')\")",
    "mean([0] * 10**12)",
    "mean(" + "[" * 900 + "]" * 900 + ")",
    ["x" * 100_000],
    {"values": {"__class__": "mean"}},
    None,
    b"mean([1])",
)


def test_hostile_ones_are_not_run(tmp_path: Path) -> None:
    """Whatever a critique brings as an input, nothing outside is touched and no defect is confirmed by it."""
    mark = tmp_path / "touched"
    tmp_path.chmod(0o777)
    given = [each.format(mark) if isinstance(each, str) else each for each in HOSTILE]
    results = [probe(candidate(DRAFT), defect(each, "1", "2"))[0] for each in given]
    assert "confirmed" not in results
    assert not mark.exists()


def test_an_endless_call_takes_no_other_with_it() -> None:
    """What does not come to its end is unverified; the calls around it are judged."""
    endless = "```python\ndef f(x):\n    while x:\n        pass\n    return x\n```"
    found = probe(candidate(endless), defect("f(0)", "1", "0"), defect("f(1)", "0", "1"), defect("f([])", "0", "[]"))
    assert found == ["confirmed", "unverified", "confirmed"]


def test_a_huge_result_is_unverified() -> None:
    """Neither its memory nor its length harms anything."""
    huge = "```python\ndef f(x):\n    return 'x' * x\ndef g(x):\n    return bytearray(x)\n```"
    found = probe(candidate(huge), defect("f(100000)", "''", "'x'"), defect("g(4000000000)", "1", "MemoryError"))
    assert found == ["unverified", "confirmed"]


CHEATS = {
    "exit": "import os\ndef f(x):\n    os._exit(0)",
    "leave": "import sys\nsys.exit(0)\ndef f(x):\n    return 3",
    "print": "def f(x):\n    print('[[\"3\", []]]')\n    import os\n    os._exit(0)",
    "report": "def f(x):\n    open('../report.json', 'w').write('{\"seen\": [[\"3\", []]]}')\n    return 1",
    "broken": "def f(x:",
    "missing": "import no_such_library\ndef f(x):\n    return 1",
    "swallow": "def f(x):\n    while True:\n        try:\n            while True: pass\n"
    "        except BaseException: pass",
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_draft_cannot_speak_for_itself(cheat: str) -> None:
    """A draft that ends the process, prints, writes a report, or cannot be imported leaves the defect unverified."""
    given = candidate(f"```python\n{CHEATS[cheat]}\n```")
    assert probe(given, defect("f(1)", "3", "1")) == ["unverified"]


def test_what_a_draft_imports_lies_beside_it() -> None:
    """Dependencies' files, and the other files of an answer, are there."""
    text = "```python\nfrom rates import RATE\ndef tax(x):\n    return x * RATE\n```"
    given = evolve(candidate(text), dependencies={"rates.py": "RATE = 3\n"})
    assert probe(given, defect("tax(2)", "4", "6")) == ["confirmed"]
    several = "```python main.py\nfrom part import half\ndef f(x):\n    return half(x)\n```\n"
    several += "```python part.py\ndef half(x):\n    return x // 2\n```\n"
    assert probe(candidate(several), defect("half(3)", "1.5", "1"), defect("f(3)", "1", "1.5")) == [
        "confirmed",
        "refuted",
    ]


def test_without_a_sandbox_nothing_is_run() -> None:
    """The defects are unverified, and that is all."""
    results, level = asyncio.run(
        Checks().probe(candidate(DRAFT), [defect("mean([1, 2])", "1", "3.0")], in_daemon_thread)
    )
    assert ([result.value for result in results], level) == (["unverified"], None)


def test_few_are_run() -> None:
    """A critique with more counterexamples than are run has the rest unverified."""
    found = probe(candidate(DRAFT), *[defect("mean([1, 2, 3])", "2.0", "3.0")] * (MOST + 2))
    assert found == ["confirmed"] * MOST + ["unverified"] * 2
