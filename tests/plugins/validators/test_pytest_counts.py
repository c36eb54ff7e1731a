"""The validator ``pytest`` counts as plain pytest does, says when tests cannot run at all, and keeps it short."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.models import TaskType, Verdict
from orchestrator.spi import Candidate
from orchestrator.suites import FailedTest, defined_tests, failure_lines, laid_out
from orchestrator.suites.failed_tests import LONGEST, SHOWN
from orchestrator_validators.pytest_suite import pytest_suite
from tests.plugins.validators.contained import candidate, judge

CODE = "```python\ndef f(x):\n    return 2 * x\n```\n"
HEAD = "import sys, unittest\nimport pytest\nfrom solution import f\n\n"

SUITES = {
    "inherited": "class Base:\n    def test_a(self):\n        assert f(1) == 2\n\nclass TestX(Base):\n    pass\n",
    "inherited twice": "class A:\n    def test_a(self): assert f(1) == 2\nclass B(A): pass\nclass TestX(B): pass\n",
    "inherited from unittest": "class Base(unittest.TestCase):\n    def test_a(self): self.assertEqual(f(1), 2)\n"
    "class More(Base):\n    def test_b(self): pass\n",
    "conditional": "if sys.version_info >= (3, 8):\n    def test_new():\n        assert f(1) == 2\n",
    "conditional, not met": "if sys.version_info < (3, 8):\n    def test_old(): assert False\n"
    "def test_a(): assert f(1) == 2\n",
    "tried": "try:\n    import no_such_library\nexcept ImportError:\n    def test_a(): assert f(1) == 2\n",
    "parametrized": "@pytest.mark.parametrize('x', [1, 2, 3])\ndef test_a(x): assert f(x) == 2 * x\n",
    "no cases": "@pytest.mark.parametrize('x', [])\ndef test_a(x): assert False\ndef test_b(): assert f(1) == 2\n",
    "no cases by name": "CASES = []\n@pytest.mark.parametrize('x', CASES)\ndef test_a(x): assert False\n"
    "def test_b(): assert f(1) == 2\n",
    "made in a loop": "for n in range(3):\n    globals()[f'test_{n}'] = lambda n=n: None if f(n) == 2 * n else 1 / 0\n",
    "assigned": "def check():\n    assert f(1) == 2\ntest_a = check\n",
    "bound again": "def test_a(): assert False\ntest_a = None\ndef test_b(): assert f(1) == 2\n",
    "deleted": "def test_a(): assert False\ndel test_a\ndef test_b(): assert f(1) == 2\n",
    "no test by its own word": "class TestX:\n    __test__ = False\n    def test_a(self): assert False\n"
    "def test_b(): assert f(1) == 2\n",
    "skipped class": "@pytest.mark.skip\nclass TestX:\n    def test_a(self): assert False\n"
    "def test_b(): assert f(1) == 2\n",
    "skipping body": "def test_a():\n    pytest.skip('not here')\ndef test_b(): assert f(1) == 2\n",
    "skipping fixture": "@pytest.fixture\ndef there():\n    pytest.importorskip('no_such_library')\n"
    "def test_a(there): assert False\ndef test_b(): assert f(1) == 2\n",
    "skipped, if": "@pytest.mark.skipif(True, reason='x')\ndef test_a(): assert False\n"
    "def test_b(): assert f(1) == 2\n",
    "expected to fail": "@pytest.mark.xfail\ndef test_a(): assert False\ndef test_b(): assert f(1) == 2\n",
    "nested": "class TestX:\n    class TestY:\n        def test_a(self): assert f(1) == 2\n",
    "async fixture of none": "class Testing:\n    @staticmethod\n    def test_a(): assert f(1) == 2\n",
}


def plain(tests: str, folder: Path) -> int:
    """The number of tests that plain pytest passes; nothing fails."""
    (folder / "solution.py").write_text("def f(x):\n    return 2 * x\n")
    (folder / "test_task.py").write_text(tests)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", "/dev/null"]
    said = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout
    return int(said.rpartition(" passed")[0].rpartition("\n")[2].split()[-1])


@pytest.mark.parametrize("suite", SUITES)
def test_right_code_passes_what_plain_pytest_passes(suite: str, tmp_path: Path) -> None:
    """As many tests count as plain pytest passes, however the tests come about."""
    finding = judge(pytest_suite, candidate(CODE, HEAD + SUITES[suite]))
    assert finding.verdict is Verdict.PASSED, finding.details
    assert finding.passed_tests == finding.total_tests == plain(HEAD + SUITES[suite], tmp_path)


@pytest.mark.parametrize("suite", ["inherited", "conditional", "tried", "parametrized", "made in a loop", "nested"])
def test_wrong_code_fails_however_the_tests_come_about(suite: str) -> None:
    """No way of writing tests makes them vain."""
    finding = judge(pytest_suite, candidate(CODE.replace("2 * x", "3 * x + 1"), HEAD + SUITES[suite]))
    assert finding.verdict is Verdict.FAILED


CHEATS = {
    "skip": "import pytest\ndef f(x):\n    pytest.skip('not today')",
    "collect nothing": "import _pytest.python as p\np.Module.collect = lambda self: []\ndef f(x):\n    return 0",
    "drop the items": "import _pytest.main as m\nm.Session.items = property(lambda self: [], lambda self, v: None)\n"
    "def f(x):\n    return 0",
    "leave": "import os\nos._exit(0)",
    "skip the module": "import pytest\npytest.skip('not today', allow_module_level=True)",
}


@pytest.mark.parametrize("cheat", CHEATS)
@pytest.mark.parametrize("suite", ["inherited", "conditional"])
def test_no_cheat_passes(cheat: str, suite: str) -> None:
    """A draft that skips, hides or leaves passes none of them, conditional and made ones included."""
    finding = judge(pytest_suite, candidate(f"```python\n{CHEATS[cheat]}\n```", HEAD + SUITES[suite]))
    assert finding.verdict in (Verdict.FAILED, Verdict.UNKNOWN)


def test_a_test_that_the_draft_skips_is_missing() -> None:
    """One of two tests that only pytest itself can find is skipped by the code under test: that is no pass."""
    code = "import pytest\ndef f(x):\n    return 2 * x if x == 1 else pytest.skip('not today')"
    tests = HEAD + "if True:\n    def test_a(): assert f(1) == 2\n    def test_b(): assert f(2) == 4\n"
    finding = judge(pytest_suite, candidate(f"```python\n{code}\n```", tests))
    assert finding.details == "1 of 2 tests were not reported as passed: test_task.py::test_b"
    assert (finding.verdict, finding.passed_tests, finding.total_tests) == (Verdict.FAILED, 1, 2)


def test_a_file_in_pytests_place_counts_nothing() -> None:
    """A draft called ``pytest.py`` does not run the tests itself."""
    code = (
        "class ExitCode:\n    INTERNAL_ERROR = 3\ndef main(options, plugins):\n"
        "    plugins[0].outcomes = [['test_task.py::test_a', 'passed']]\n    return 0\n"
    )
    given = Candidate(
        "t", TaskType.CODE_GEN, code, code, files={"pytest.py": code}, tests="def test_a(): assert False\n"
    )
    assert judge(pytest_suite, given).verdict is Verdict.FAILED


VAIN = {
    "def test_a(:\n    pass": "the task's tests cannot be read: line 1",
    "import no_such_library\ndef test_a(): assert f(1) == 2": "no_such_library is not installed",
    "import no_such_library\nfrom output import f\ndef test_a(): assert f(1) == 2": "no_such_library is not installed",
    "x = 1": "pytest collects none",
    "import pytest\npytest.importorskip('no_such_library')\ndef test_a(): pass": "all of them skip themselves",
    "import pytest\n@pytest.mark.skip\ndef test_a(): pass": "all of them skip themselves",
}


@pytest.mark.parametrize("tests", VAIN)
def test_tests_that_cannot_run_are_a_permanent_unknown(tests: str) -> None:
    """A syntax error, a missing library of the tests' own, no test: no output can change that."""
    head = "" if "import f" in tests or "test_a(:" in tests else "from solution import f\n"
    finding = judge(pytest_suite, candidate(CODE, head + tests))
    assert (finding.verdict, finding.permanent) == (Verdict.UNKNOWN, True), finding.details
    assert VAIN[tests] in finding.details


def test_what_another_output_may_change_is_not_permanent() -> None:
    """A library that only the output needs, an error in it, a hang: the next output may do without."""
    tests = HEAD + "def test_a(): assert f(1) == 2\n"
    for code in ("import no_such_library\ndef f(x): return 2 * x", "def f(x:", "raise ValueError"):
        finding = judge(pytest_suite, candidate(f"```python\n{code}\n```", tests))
        assert not finding.permanent
        assert finding.verdict is not Verdict.PASSED
        assert finding.passed_tests == 0


def test_failures_are_few_and_short() -> None:
    """The numbers, three failures of at most 300 characters with call, result and expectation, and how many more."""
    tests = HEAD + "".join(f"def test_{n}(): assert f({n}) == {n + 1}\n" for n in range(8))
    finding = judge(pytest_suite, candidate(CODE, tests))
    assert (finding.passed_tests, finding.total_tests) == (1, 8)
    assert finding.details.splitlines() == [
        "1 of 8 tests passed. Failing:",
        "test_0: f(0) returned 0, expected 1",
        "test_2: f(2) returned 4, expected 3",
        "test_3: f(3) returned 6, expected 4",
        "and 4 more",
    ]


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("assert f(3) == 5, 'why'", "test_a: f(3) returned 6, expected 5"),
        ("assert 5 == f(3)", "test_a: f(3) returned 6, expected 5"),
        ("assert f(3) is None", "test_a: f(3) returned 6, expected None"),
        ("assert not f(3)", "test_a: f(3) returned 6, expected a false value"),
        ("assert f('a') == 'a'", "test_a: f('a') returned 'aa', expected 'a'"),
        ("assert [f('a')] == ['a']", "test_a: `assert [f('a')] == ['a']`: AssertionError: assert ['aa'] == ['a']"),
        ("assert 'a' == f('a')", "test_a: f('a') returned 'aa', expected 'a'"),
        ("assert f('a') == ' == '", "test_a: `assert f('a') == ' == '`: AssertionError: assert 'aa' == ' == '"),
        ("assert f(3) in (1, 2)", "test_a: `assert f(3) in (1, 2)`: assert 6 in (1, 2); where 6 = f(3)"),
        ("unittest.TestCase().assertEqual(f(3), 5)", ("test_a: `unittest.TestCase().assertEqual(f(3), 5)`: "
         "AssertionError: 6 != 5")),
        ("f(None)", ("test_a: `f(None)`: TypeError: unsupported operand type(s) for *: 'int' and 'NoneType' "
         "(at solution.py:2: return 2 * x)")),
        ("pytest.raises(ValueError, f, 1)", ("test_a: `pytest.raises(ValueError, f, 1)`: Failed: DID NOT RAISE "
         "ValueError")),
    ],
)  # fmt: skip
def test_what_is_said_of_a_failure(test: str, said: str) -> None:
    """The call, what it returned and what was expected, where pytest shows them; else the line and the message."""
    finding = judge(pytest_suite, candidate(CODE, f"{HEAD}def test_a():\n    {test}\n"))
    assert finding.details.splitlines()[1].replace("<class 'ValueError'>", "ValueError") == said


@given(st.lists(st.builds(FailedTest, st.text(), st.text(), st.text(), st.text()), max_size=6), st.integers(0, 3))
def test_failures_never_take_more_room(failures: list[FailedTest], more: int) -> None:
    """Whatever a test run says, it is a few lines of bounded length."""
    lines = failure_lines(failures, more).split("\n")
    assert len(lines) <= SHOWN + 1
    assert all(len(line) <= LONGEST for line in lines)


def test_tests_are_counted_in_their_source() -> None:
    """What pytest surely collects; neither fixtures, nor what may skip itself, nor what is bound again."""
    source = (
        "class Base:\n    def test_a(self): ...\n    def test_b(self): ...\n    def test_c(self): ...\n"
        "class TestOne(Base):\n    test_b = None\n    def test_c(self): ...\n"
        "class TestTwo(Unknown):\n    def test_d(self): ...\n"
        "class TestThree:\n    def __init__(self): ...\n    def test_e(self): ...\n"
        "if x:\n    def test_f(): ...\n    TestTwo.__test__ = False\n"
        "def test_g():\n    return skip_words('skip')\n"
    )
    assert defined_tests(source) == {"TestOne::test_a", "TestOne::test_c", "test_g"}
    assert defined_tests("import pytest\npytestmark = pytest.mark.skip\ndef test_a(): ...") == set()


@given(st.text(max_size=80))
def test_counting_never_raises(source: str) -> None:
    """Not even for what is no Python."""
    assert isinstance(defined_tests(source), set)


NAMES = st.lists(
    st.sampled_from(["a.py", "a/b.py", "a/c.py", "a", "b.py", "src/b.py", "x/test_y.py", "d.json"]), max_size=5
)


@given(NAMES, NAMES)
def test_an_outputs_own_files_always_lie_there(own: list[str], others: list[str]) -> None:
    """Every file of the output is there; a dependency's is there or said to be left out, and none is a folder."""
    layout = laid_out("x = 1", dict.fromkeys(own, "own"), dict.fromkeys(others, "other"))
    assert layout.main in layout.own or (not layout.own and len(set(own)) > 1)
    assert {text for name, text in layout.files.items() if name not in others} <= {"x = 1", "own"}
    assert all(name in layout.left_out or layout.files[name] == "other" for name in others)
    names = set(layout.files)
    assert not any(f"{name}/" == other[: len(name) + 1] for name in names for other in names if len(set(own)) < 2)
