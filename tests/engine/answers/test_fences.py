"""Fenced blocks: where they begin and end, what they are called, and which one is the result."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.documents.fenced import fenced_blocks, scan
from orchestrator.engine.answers.block_names import labelled
from orchestrator.engine.answers.blocks_as_files import blocks, content_of, named_files
from orchestrator.engine.answers.languages import suffix_of
from orchestrator.engine.answers.result_block import Wanted
from orchestrator.models import TaskType
from orchestrator.testing.answers import WrittenFiles, written_files

CODE = TaskType.CODE_GEN

HOSTILE = [
    "~",
    "`",
    "```\n",
    "~~~\n",
    '```py\n"""\n',
    "```md\n```x\n",
    "```md\n```x\n```\n",
    "- ",
    "1) ",
    "> ",
    "> ```\n",
    "\r",
    "\t",
    "'",
    '"\\',
]
"""What is repeated, and mixed, to make a scanner go back again and again."""


def contents(text: str) -> list[str]:
    """The contents of a text's blocks."""
    return [block.content for block in fenced_blocks(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```python\r\nx = 1\r\n```\r\nIt's done.\r\n", ["x = 1\n"]),
        ("```\rx\r```\ry", ["x\n"]),
        ("````\n```\n````", ["```\n"]),
        ("```\nx\n`````\ny", ["x\n"]),
        ("```\n~~~\n```", ["~~~\n"]),
        ("~~~ a `b`\nx\n~~~", ["x\n"]),
        ("``` a `b`\nx", []),
        ("  ```\n    x\n   y\n z\n  ```", ["  x\n y\nz\n"]),
        ("```\nx\n    ```\n```", ["x\n    ```\n"]),
        ("    ```\n    x\n    ```", []),
        ("1. A:\n\n   ```py\n   def f():\n       return 1\n   ```\n", ["def f():\n    return 1\n"]),
        ("- A\n  1. B\n\n     ```py\n     x\n     ```\n", ["x\n"]),
        ("- ```py\n  x\n  ```\n", ["x\n"]),
        ("> ```py\n> x\n> ```\nafter\n```\ny\n```", ["x\n", "y\n"]),
        ("> ```py\n> x\nafter", ["x\n"]),
        ("```\nopen", ["open"]),
        ("```\n```", [""]),
        ("```\n\n```", ["\n"]),
    ],
)
def test_a_block_is_where_commonmark_has_it(text: str, found: list[str]) -> None:
    """Closing runs, indentation, ends of lines, lists, quotes, and what is no fence at all."""
    assert contents(text) == found


DOCUMENTED = 'def f():\n    """F.\n\n    ```\n    f()\n    ```\n    """\n'
AT_THE_MARGIN = '"""F.\n\n```\nf()\n```\n"""\nx = 1\n'
PAGE = "# T\n\n```bash\nls\n```\n\nend\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"```python\n{DOCUMENTED}```\n", [DOCUMENTED]),
        (f"```python\n{AT_THE_MARGIN}```\nafter", [AT_THE_MARGIN]),
        (f"```markdown\n{PAGE}```\n\nafter\n", [PAGE]),
        (f"````markdown\n{PAGE}````\n", [PAGE]),
        ('```python\ns = \'"""\'\n```\n```python\nt = \'"""\'\n```\n', ['s = \'"""\'\n', 't = \'"""\'\n']),
        ('```python\n# """\n```\n```python\ny = 2\n```\n', ['# """\n', "y = 2\n"]),
        ('```python\nx = """cut\n```\n```python\ny = 2\n```\n', ['x = """cut\n', "y = 2\n"]),
        ("```markdown\n```bash\nls\n```\n```python\nx\n```\n", ["```bash\nls\n", "x\n"]),
    ],
)
def test_inner_fences_belong_to_what_they_are_written_in(text: str, found: list[str]) -> None:
    """Those of docstrings and of Markdown do not end the block; where that reading has no end, CommonMark's holds."""
    assert contents(text) == found


@settings(max_examples=300)
@given(written_files())
def test_files_that_are_written_are_read(written: WrittenFiles) -> None:
    """Whatever the fences, the indentation, the ends of lines and the style of the names: each file is as it was."""
    assert named_files(written.text) == dict(written.files)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*HOSTILE, "x", "\n", "    ", "```python\n"]), max_size=60).map("".join))
@example('```md\n"""\n```x\n```\n```')
def test_no_character_is_looked_at_more_than_four_times(text: str) -> None:
    """The scanner counts what it looks at."""
    assert scan(text).visited <= 4 * len(text)


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("end", ["", "\n```\n", "x"])
def test_long_hostile_texts_are_gone_through_once(piece: str, end: str) -> None:
    """65,000 tildes, and whatever else begins over and over."""
    text = piece * (65_000 // len(piece)) + end
    assert scan(text).visited <= 4 * len(text)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("above", "name"),
    [
        ("1. `src/app.py`", "src/app.py"),
        ("Create `src/app.py`:", "src/app.py"),
        ("**a.py**", "a.py"),
        ("a.py (helper)", "a.py"),
        ("`my module.py`", "my module.py"),
        ("File: my module.py", "my module.py"),
        ("**my module.py**", "my module.py"),
        ("**Updated app.py**", "app.py"),
        ("### `pkg/__init__.py`", "pkg/__init__.py"),
        ("`__init__.py`", "__init__.py"),
        ("File: __init__.py", "__init__.py"),
        ("1. ### File: pkg/__main__.py", "pkg/__main__.py"),
        ("File: __tests__/app.js", "__tests__/app.js"),
        ("File: __app.py__", "app.py"),
        ("Create `my_mod.py` (new):", "my_mod.py"),
        ("- `a.py` \u2013 the helper", "a.py"),
        ("Now create src/app.py:", "src/app.py"),
        ("Dockerfile", "Dockerfile"),
        ("`.gitignore`:", ".gitignore"),
        ("Run it with `python app.py`:", None),
        ("Save this as `app.py` and run:", None),
        ("This imports from `utils.py`:", None),
        ("`a.py` and `b.py`:", None),
        ("`numpy.array`:", None),
        ("e.g.", None),
        ("Version 1.2", None),
        ("x" * 300 + " `a.py`:", None),
    ],
)
def test_names_above_a_block(above: str, name: str | None) -> None:
    """A name in a list, a sentence, a heading or bold, with blanks; not one that is only spoken of."""
    assert labelled("python", above, "x = 1\n") == ("python", name)


@pytest.mark.parametrize(
    ("info", "language", "name"),
    [
        ("python title=app.py", "python", "app.py"),
        ('python title="my app.py"', "python", "my app.py"),
        ("python:app.py", "python", "app.py"),
        ("python app.py", "python", "app.py"),
        ("src/app.ts", "ts", "src/app.ts"),
        ("{.python .numberLines}", "python", None),
        ('{.python title="a.py"}', "python", "a.py"),
        ("rust,no_run", "rust", None),
        ("js {1,3}", "js", None),
        ("C++", "c++", None),
        ("", "", None),
    ],
)
def test_names_and_languages_in_the_info_line(info: str, language: str, name: str | None) -> None:
    """As attributes, behind a colon, alone; a language with what follows it."""
    assert labelled(info, "", "x = 1\n") == (language, name)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("# a.py\nx", "a.py"),
        ("// src/a.js\nx", "src/a.js"),
        ("/* a.css */\nx", "a.css"),
        ("<!-- a.html -->\nx", "a.html"),
        ("#!/usr/bin/env python3\n# a.py\nx", "a.py"),
        ("# File: my tool.py\nx", "my tool.py"),
        ("# a.py (helper)\nx", "a.py"),
        ("# This is a.py\nx", None),
        ("# Usage: python a.py\nx", None),
        ("#include <stdio.h>\nx", None),
    ],
)
def test_names_in_the_first_comment(content: str, name: str | None) -> None:
    """In the comments of several languages, behind a shebang; not in a sentence."""
    assert labelled("", "", content)[1] == name


def test_a_command_below_a_files_name_is_not_that_file() -> None:
    """What is run is no content of what is named."""
    assert labelled("bash", "`app.py`:", "python app.py\n") == ("bash", None)
    assert labelled("bash", "`run.sh`:", "python app.py\n") == ("bash", "run.sh")


@pytest.mark.parametrize(
    ("language", "suffix"),
    [
        *(("c++", ".cpp"), ("c#", ".cs"), ("kotlin", ".kt"), ("ruby", ".rb"), ("powershell", ".ps1"), ("go", ".go")),
        *(
            ("rust", ".rs"),
            ("java", ".java"),
            ("sql", ".sql"),
            ("toml", ".toml"),
            ("text", ".txt"),
            ("klingon", ".txt"),
        ),
        *(("", ".py"), ("swift", ".swift"), ("f#", ".fs")),
    ],
)
def test_a_language_has_an_ending(language: str, suffix: str) -> None:
    """Common ones their own, unknown ones ``.txt``, none Python's."""
    assert suffix_of(language) == suffix


# ── choice ───────────────────────────────────────────────────────────────────────────────────────────────────────────

THING = "```python\ndef parse(text):\n    return []\n```\n"
USAGE = "```python\ntext = 'some text'\nresult = parse(text)\nprint('a far longer example of its use', result)\n```\n"


@pytest.mark.parametrize("text", [f"{THING}\nUse it:\n\n{USAGE}", f"For this use:\n\n{USAGE}\nwrite:\n\n{THING}"])
@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(
            "Write a parser.",
            "from p import parse\n\ndef test_parse():\n    result = parse('x')\n    assert not result\n",
        ),
        Wanted("Write parse(text), which returns a list."),
        Wanted("Do it."),
    ],
)
def test_the_thing_is_delivered_and_not_an_example_of_its_use(text: str, wanted: Wanted) -> None:
    """What the tests name, what the task names, and where neither does, what the other block uses."""
    assert content_of(text, CODE, wanted).startswith("def parse")


def test_a_language_that_the_task_names_comes_before_python() -> None:
    """Python is only a guess."""
    text = "```rust\nfn main() {}\n```\n```python\nprint('a longer block that calls cargo run')\n```\n"
    assert content_of(text, CODE, Wanted("A program in Rust.")) == "fn main() {}\n"
    assert content_of(text, CODE, Wanted("A program.")).startswith("print")


def test_of_blocks_that_are_named_alike_the_last_counts() -> None:
    """A model that corrects itself says the name again."""
    text = "```python a.py\nx = 1  # a long remark that is wrong\n```\nBetter:\n```python a.py\nx = 2\n```\n"
    assert content_of(text, CODE) == "x = 2\n"


def test_blocks_without_a_difference_are_told_apart_by_length() -> None:
    """The last resort."""
    assert content_of("```\nab\n```\n```\nabc\n```\n", CODE) == "abc\n"
    assert [block.content for block in blocks("```\nab\n```\n```\nabc\n```\n")] == ["ab\n", "abc\n"]
