"""An answer that imports what it defines from the file that it becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.answers.result_block import Wanted
from orchestrator.engine.outputs.files_in_answer import delivery
from orchestrator.engine.outputs.own_imports import without_own_imports
from orchestrator.models import TaskType

TESTS = "from numbers_of import f\n\ndef test_f():\n    assert f(1) == 2\n"
CODE = "def f(x):\n    return 2 * x\n"


def code_of(head: str, path: str | None = "solution.py", tests: str = TESTS) -> str:
    """The file of an answer that begins with some lines."""
    text = f"```python\n{head}{CODE}```"
    return next(iter(delivery(1, TaskType.CODE_GEN, text, path, Wanted("", tests)).files.values()))


@pytest.mark.parametrize(
    ("head", "path"),
    [
        ("from solution import f\n\n", "solution.py"),
        ("from solution import (\n    f,\n)\n", "solution.py"),
        ("from solution import f  # as the tests do\n", "solution.py"),
        ("from .solution import f\r\n", "solution.py"),
        ("from solution import f\n", "pkg/solution.py"),
        ("from pkg.solution import f\n", "src/pkg/solution.py"),
        ("from pkg import f\n", "pkg/__init__.py"),
        ("from numbers_of import f\n", "other.py"),
        ("from solution import f\n", None),
        ("from numbers_of import f\n", None),
    ],
)
def test_an_import_of_oneself_is_left_out(head: str, path: str | None) -> None:
    """The code then runs under every name that tests know it by."""
    content = code_of(head, path)
    assert content.replace("\r\n", "\n") == CODE
    exec(compile(content, "solution.py", "exec"), {})


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ("A, B", "A, (B, *REST) = 1, (2, 3)\n"),
        ("A", "if True:\n    A = 1\nelse:\n    A = 2\n"),
        ("A", "try:\n    import tomllib\n    A = 1\nexcept ImportError:\n    A = 2\n"),
        ("g", "try:\n    pass\nfinally:\n    def g():\n        pass\n"),
    ],
)
def test_a_name_may_be_defined_in_any_way(names: str, code: str) -> None:
    """Several names at once, and definitions in branches, are definitions, too."""
    content = code_of(f"from solution import {names}\n{code}")
    assert content == code + CODE
    exec(compile(content, "solution.py", "exec"), {})


@pytest.mark.parametrize(
    "head",
    [
        "from math import floor\n",
        "from solution import a\na.b = 1\n",
        "from solution import g\nif True:\n    from elsewhere import g\n",
        "from solution import g\n",
        "from solution import f, g\n",
        "from solution import f as other\n",
        "from elsewhere import f\n",
        "from ..solution import f\n",
        "from solution import f; x = 1\n",
        "def broken(:\nfrom solution import f\n",
        "TEXT = '''\nfrom solution import f\n'''\n",
        "if True:\n    from solution import f\n",
    ],
)
def test_any_other_import_stays(head: str) -> None:
    """Nothing is taken from code that this cannot mend."""
    assert code_of(head) == head + CODE


def test_files_that_know_each_other_keep_their_imports() -> None:
    """Of several files each is its own module only."""
    second = "from a import f\nfrom b import g\ndef g():\n    return f(1)\n"
    text = f"`a.py`\n```python\n{CODE}```\n`b.py`\n```python\n{second}```"
    files = delivery(1, TaskType.CODE_GEN, text, "app/", Wanted("", TESTS)).files
    assert files["app/a.py"] == CODE
    assert files["app/b.py"] == "from a import f\ndef g():\n    return f(1)\n"


@given(
    st.lists(
        st.sampled_from(["from solution import f", "x = 1", CODE.strip(), "\x0c", "'''", "# \u2028", ""]), max_size=8
    )
)
def test_only_whole_lines_go(lines: list[str]) -> None:
    """What is left is the content without some of its lines that import, and doing it again changes nothing."""
    content = "\n".join(lines) + "\n"
    left = without_own_imports("solution.py", content, None)
    assert left.replace("\n", "") == content.replace("\n", "") or "from solution" in content
    assert left.replace("from solution import f", "").replace("\n", "") == content.replace(
        "from solution import f", ""
    ).replace("\n", "")
    assert without_own_imports("solution.py", left, None) == left
