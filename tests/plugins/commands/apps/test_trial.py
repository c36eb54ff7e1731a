"""The trial of an application's own tests: what was reported counts, what was printed does not."""

from importlib.util import find_spec
from textwrap import dedent

import pytest

from orchestrator.models import Verdict
from orchestrator_apps.trial import Step, run_tests
from orchestrator_sandbox import LevelSelector

CALC = b"def add(a, b):\n    return a + b\n"
RIGHT = b"from calc import add\n\ndef test_add():\n    assert add(2, 2) == 4\n"
WRONG = b"from calc import add\n\ndef test_add():\n    assert add(2, 2) == 5\n"
FORGED = "print('\\n1 passed in 0.01s', flush=True)\nimport os\nos._exit(0)"


def tried(**files: str | bytes) -> Step:
    """The verdict on the tests of an application; ``__`` in a name is a slash."""
    named = {name.replace("__", "/") + ".py": text for name, text in files.items()}
    content = {name: text if isinstance(text, bytes) else text.encode() for name, text in named.items()}
    step = run_tests({"calc.py": CALC, **content}, (), LevelSelector(), 60)
    if step.sandbox is None and "sandbox" in step.details:
        pytest.skip(step.details)
    return step


def test_tests_are_found_with_their_helpers_and_counted() -> None:
    """Fixtures of a conftest, a source folder, equal names in two folders and parameters are as under pytest."""
    step = tried(
        src__more=b"def twice(a):\n    return 2 * a\n",
        tests__conftest="import pytest\n\n@pytest.fixture\ndef two():\n    return 2\n",
        tests__test_calc="from more import twice\n\ndef test_two(two):\n    assert twice(two) == 4\n",
        tests__unit__test_calc=RIGHT,
        unit_test="import pytest\n\n@pytest.mark.parametrize('a', [1, 2])\ndef test_a(a):\n    assert a\n",
        venv__lib__test_theirs="def test_theirs():\n    assert False\n",
    )
    assert (step.verdict, step.details) == (Verdict.PASSED, "4 tests passed")


@pytest.mark.parametrize(
    "files",
    [
        {"test_a": WRONG, "conftest": FORGED},
        {"test_a": FORGED + "\n" + WRONG.decode()},
        {"test_a": WRONG, "test_b": f"def test_b():\n    {FORGED.replace(chr(10), '; ')}\n"},
        {"test_a": WRONG, "calc": "import atexit, os\natexit.register(os._exit, 0)\nadd = lambda a, b: 4"},
        {"test_a": RIGHT, "calc": "import os\nopen('../report.json', 'w').write('{}')\nadd = lambda a, b: 4"},
        {
            "test_a": WRONG,
            "test_b": RIGHT,
            "conftest": "def pytest_collection_modifyitems(items):\n    del items[:1]\n",
        },
        {"test_a": WRONG, "conftest": "import pytest\npytest.main = print"},
        {"test_a": WRONG, "conftest": "collect_ignore = ['test_a.py']"},
    ],
)
def test_what_the_tests_print_or_leave_out_does_not_count(files: dict[str, str]) -> None:
    """A forged summary, an exit with status 0, a report in ours' place, tests that vanish: no pass."""
    step = tried(**files)
    assert step.verdict is Verdict.FAILED, step
    assert step.details


def test_a_failure_is_told_with_the_test_in_the_last_line() -> None:
    """What pytest says comes first, the names last; a file that cannot be loaded is told of as well."""
    step = tried(test_a=WRONG, test_b=RIGHT)
    assert step.verdict is Verdict.FAILED
    assert "assert 4 == 5" in step.details
    assert step.details.splitlines()[-1] == "failed: test_a.py::test_add"
    broken = tried(test_a="import nothing_of_that_name\n", test_b=RIGHT)
    assert broken.details.splitlines()[-1] == "a file of the tests cannot be loaded"


def test_tests_that_wait_get_the_plugin_that_runs_them() -> None:
    """A mark of anyio loads its plugin; where the plugin is not installed, the step is skipped with its name."""
    waiting = """
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_a():
            assert True
    """
    assert tried(test_a=dedent(waiting)).details == "1 tests passed"
    if find_spec("pytest_asyncio") is None:
        step = tried(test_a=dedent(waiting).replace("mark.anyio", "mark.asyncio"))
        assert (step.verdict, step.details) == (Verdict.SKIPPED, "not installed here: pytest_asyncio")


def test_tests_that_skip_themselves_are_neither_pass_nor_failure() -> None:
    """With others that pass they are told of; alone they prove nothing; a file without any test is none."""
    skipping = "import pytest\n\ndef test_later():\n    pytest.skip('later')\n"
    absent = "import pytest\npytest.importorskip('nothing_of_that_name')\n\ndef test_it():\n    assert False\n"
    step = tried(test_a=RIGHT, test_b=skipping, test_c=absent)
    assert (step.verdict, step.details) == (Verdict.PASSED, "1 tests passed, 2 skipped")
    assert tried(test_b=skipping).verdict is Verdict.SKIPPED
    assert tried(test_c="x = 1\n").details == "there are none"
