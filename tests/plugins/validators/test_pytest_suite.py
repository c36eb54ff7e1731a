import asyncio

import pytest

from orchestrator.deadlines.awaiting import in_daemon_thread
from orchestrator.engine.checks import Checks
from orchestrator.models import Verdict
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Ran, SandboxLevel, ValidatorContext
from orchestrator.suites import defined_tests, imported, is_installed
from orchestrator_sandbox import LevelSelector
from orchestrator_validators.pytest_suite import pytest_suite
from tests.plugins.validators.contained import candidate, judge, levels

TESTS = """from calc import add

def test_add():
    assert add(2, 2) == 4

def test_zero():
    assert add(0, 0) == 0
"""


def fenced(code: str) -> str:
    """An answer of a model."""
    return f"Here it is.\n\n```python\n{code}\n```\n"


@pytest.mark.parametrize("choice", [SandboxChoice.BWRAP, SandboxChoice.LANDLOCK])
def test_code_that_passes_the_tasks_tests_passes(choice: SandboxChoice) -> None:
    """On each sandbox level: right code passes; wrong code fails with what pytest says of it."""
    if choice not in levels():
        pytest.skip(f"{choice.value} does not hold on this machine")
    assert judge(pytest_suite, candidate(fenced("def add(a, b):\n    return a + b"), TESTS), choice).details == (
        "2 tests passed"
    )
    wrong = judge(pytest_suite, candidate(fenced("def add(a, b):\n    return a - b"), TESTS), choice)
    assert wrong.verdict is Verdict.FAILED
    assert wrong.details == "1 of 2 tests passed. Failing:\ntest_add: add(2, 2) returned 0, expected 4"
    assert (wrong.passed_tests, wrong.total_tests, wrong.permanent) == (1, 2, False)


FORGERIES = {
    "exit status": "import os\nos._exit(0)",
    "exit": "import sys\nsys.exit(0)",
    "output": "print('2 passed in 0.01s')\nimport os\nos._exit(0)",
    "report": "import os\nopen('../report.json', 'w').write('{\"outcomes\": []}')\ndef add(a, b):\n    return a + b",
    "link": "import os\nos.symlink('/etc/passwd', '../report.json')\ndef add(a, b):\n    return a + b",
    "pipe": "import os\nos.mkfifo('../report.json')\ndef add(a, b):\n    return a + b",
    "skip": "import pytest\ndef add(a, b):\n    pytest.skip('not today')",
    "no tests": "import sys\ndef add(a, b):\n    return 0\nm = sys.modules.get('test_task')\nm.__dict__.update("
    "test_add=None, test_zero=None) if m else None\nimport _pytest.python as p\n"
    "p.Module.collect = lambda self: []",
    "kill": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b):\n    return 0",
    "shadow": "import sys\nsys.modules['hmac'] = None\ndef add(a, b):\n    return 0",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_the_code_says_of_itself_does_not_count(forgery: str) -> None:
    """An exit status, an output, a report put in place, skipped or vanished tests: none of it passes."""
    finding = judge(pytest_suite, candidate(fenced(FORGERIES[forgery]), TESTS))
    assert finding.verdict in (Verdict.FAILED, Verdict.UNKNOWN)
    assert finding.details


def test_without_tests_the_code_is_imported() -> None:
    """An import that works passes, one that raises fails with the line, one that ends the process fails."""
    assert judge(pytest_suite, candidate(fenced("x = 1"))).details.endswith("can be imported; no tests")
    broken = judge(pytest_suite, candidate(fenced("x = 1\ny = x / 0")))
    assert broken.verdict is Verdict.FAILED
    assert "ZeroDivisionError" in broken.details
    assert judge(pytest_suite, candidate(fenced("import os\nos._exit(0)"))).verdict is Verdict.FAILED


def test_a_missing_library_is_told_from_a_missing_import() -> None:
    """What is really imported and not installed skips the import and leaves tests unknown; a pretence fails."""
    assert judge(pytest_suite, candidate(fenced("import no_such_library"))).verdict is Verdict.SKIPPED
    with_tests = judge(pytest_suite, candidate(fenced("import no_such_library\ndef add(a, b): ..."), TESTS))
    assert with_tests.verdict is Verdict.UNKNOWN
    assert "no_such_library is not installed" in with_tests.details
    pretence = "raise ModuleNotFoundError(\"No module named 'no_such_library'\")"
    assert judge(pytest_suite, candidate(fenced(pretence))).verdict is Verdict.FAILED


def test_an_answer_may_bring_its_own_tests() -> None:
    """Of several files those named for tests are run against the others."""
    text = "```python calc.py\ndef add(a, b):\n    return a + b\n```\n```python test_calc.py\n" + TESTS + "```\n"
    assert judge(pytest_suite, candidate(text)).details == "2 tests passed"
    broken = judge(pytest_suite, candidate(text.replace("a + b", "a * b + 1")))
    assert broken.verdict is Verdict.FAILED


def test_without_a_sandbox_the_code_is_not_run() -> None:
    """Where no sandbox level holds the verdict is unknown, with what to install."""
    selector = LevelSelector(
        SandboxChoice.AUTO, dict.fromkeys((SandboxLevel.BWRAP, SandboxLevel.LANDLOCK), (None, "not here"))
    )
    given = candidate(fenced("x = 1"))
    finding, used = asyncio.run(Checks(selector).judge("pytest", lambda name: pytest_suite, given, in_daemon_thread))
    assert finding.verdict is Verdict.UNKNOWN
    assert "install bubblewrap" in finding.details
    assert used is None


@pytest.mark.parametrize("ended", ["time", "disk", "stopped"])
def test_a_check_that_was_ended_is_unknown(ended: str) -> None:
    """Running out of time or space is neither a pass nor a failure."""
    context = ValidatorContext(run=lambda *args, **kwargs: Ran(None, "…", {}, ended))
    assert pytest_suite(candidate(fenced("x = 1")), context).verdict is Verdict.UNKNOWN


def test_tests_are_counted_in_their_source() -> None:
    """Functions and methods count; fixtures and what is marked as skipped do not."""
    source = (
        "import pytest\ndef test_a(): ...\nasync def test_b(): ...\n@pytest.fixture\ndef test_data(): ...\n"
        "@pytest.mark.skip\ndef test_c(): ...\nclass TestD:\n    def test_e(self): ...\n    def other(self): ...\n"
    )
    assert defined_tests(source) == {"test_a", "test_b", "TestD::test_e"}
    assert defined_tests("def (") == set()
    assert imported("import a.b\nfrom c.d import e\nfrom . import f\ndef g():\n    import h") == {"a", "c", "h"}
    assert is_installed("json")
    assert not is_installed("no_such_library")
