"""Hypothesis strategies for answers as models write them, each with what is right to read in it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from hypothesis import strategies as st

Strategy = st.SearchStrategy

LINE_ENDS: Final = ("\n", "\r\n", "\r")

NAMED_ABOVE: Final = (
    "`{name}`",
    "1. `{name}`",
    "Create `{name}`:",
    "**{name}**",
    "**`{name}`**",
    "### File: {name}",
    "## `{name}`",
    "File: `{name}`",
    "`{name}` (a helper):",
)
"""Lines that name the block below them."""

NAMED_BESIDE: Final = ("python title={name}", 'python title="{name}"', "python file='{name}'", "python:{name}")
"""Info lines that name their block; the first only names without blanks."""

_LISTS: Final = ("", "1. ", "- ", "10) ", "  * ")
_MARKS: Final = ("```", "~~~")
_LINES: Final = (
    "x = 1",
    "def f(a, b):",
    "    return a",
    "",
    "        deep(1)",
    "- not a list",
    "> not a quote",
    "`code` and ``more``",
    "# Heading",
    "\u00fcml\u00e4ut = '\u20ac'",
)
_INNER: Final = ("```", "~~~", "```python", "````")


@frozen
class WrittenFiles:
    """An answer that names files.

    Attributes:
        text: the answer.
        files: what each name stands for, line feeds at the ends of its lines.
    """

    text: str
    files: Mapping[str, str]


@frozen
class WrittenJson:
    """An answer that holds a JSON document.

    Attributes:
        text: the answer, with such faults as models make.
        value: what the document says.
    """

    text: str
    value: Any


def file_names() -> Strategy[str]:
    """Names of Python files, in folders and with blanks among them."""
    stems = st.sampled_from(["a", "app", "my module", "test_app", "util_2", "Main", "__init__"])
    folders = st.sampled_from(["", "src/", "src/pkg/", "my folder/"])
    return st.builds(lambda folder, stem: f"{folder}{stem}.py", folders, stems)


@st.composite
def file_contents(draw: st.DrawFn) -> str:
    """Lines of code, fences in docstrings and fences without any among them."""
    lines = draw(st.lists(st.sampled_from(_LINES), min_size=1, max_size=6))
    if draw(st.booleans()):
        inner = draw(st.sampled_from(_INNER))
        lines += ["def g():", '    """Say.', "", f"    {inner}", "    g()", f"    {inner[:3]}", '    """']
    return "".join(f"{line}\n" for line in lines)


@st.composite
def written_files(draw: st.DrawFn, least: int = 2) -> WrittenFiles:
    """Answers that name files: every style of fence and name, in lists, with any ends of lines, with inner fences."""
    names = draw(st.lists(file_names(), min_size=least, max_size=4, unique_by=str.casefold))
    files = {name: draw(file_contents()) for name in names}
    blocks = [draw(_written(name, content)) for name, content in files.items()]
    between = draw(st.sampled_from(["", "\n", "\nSome words.\n\n"]))
    text = "Here they are.\n\n" + between.join(blocks) + draw(st.sampled_from(["", "\nThat is all.\n"]))
    return WrittenFiles(text.replace("\n", draw(st.sampled_from(LINE_ENDS))), files)


@st.composite
def _written(draw: st.DrawFn, name: str, content: str) -> str:
    """One block with its name."""
    beside = draw(st.booleans())
    styles = NAMED_BESIDE[1:3] if " " in name else NAMED_BESIDE
    info = draw(st.sampled_from(styles)).format(name=name) if beside else draw(st.sampled_from(["python", "py", ""]))
    marks = draw(st.sampled_from(_MARKS))
    longest = max((len(line) for line in content.split() if set(line) == {marks[0]}), default=0)
    opening = marks[0] * max(len(marks), longest + 1 + draw(st.integers(0, 2)))
    closing = opening + marks[0] * draw(st.integers(0, 2))
    mark = draw(st.sampled_from(_LISTS))
    above = "" if beside else draw(st.sampled_from(NAMED_ABOVE)).format(name=name) + "\n"
    indent = " " * (len(mark) if mark else draw(st.integers(0, 3)))
    body = "".join(f"{indent}{line}" if line.strip() else line for line in content.splitlines(keepends=True))
    first = f"{mark}{above or 'A file:' + chr(10)}" if mark else above
    return f"{first}\n{indent}{opening}{info}\n{body}{indent}{closing}\n"


def json_values() -> Strategy[Any]:
    """Objects and lists of everything that JSON has, as they are after a round trip."""
    plain = (
        st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
    )
    texts = st.text(alphabet=st.sampled_from('ab"\\\n\t{}[],:/#\u00e9\U0001f600 '), max_size=12)
    inner = st.recursive(
        plain | texts,
        lambda each: st.lists(each, max_size=3) | st.dictionaries(texts, each, max_size=3),
        max_leaves=10,
    )
    return st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)


@st.composite
def written_json(draw: st.DrawFn, values: "Strategy[Any] | None" = None) -> WrittenJson:
    """Answers that hold a document in prose, in a fence or alone: with trailing commas, comments, raw line breaks."""
    value = draw(json_values() if values is None else values)
    damage = _Damage(*(draw(st.booleans()) for _ in range(4)))
    document = damage.rendered(value, 0)
    around = draw(
        st.sampled_from(["{}", "```json\n{}\n```", "Here it is:\n\n{}\n", 'As asked, 5" wide: {}\n\nDone.', "{}\n"])
    )
    before, _, after = around.partition("{}")
    return WrittenJson(f"{before}{document}{after}", value)


@frozen
class _Damage:
    """How a document is written."""

    trailing_commas: bool
    comments: bool
    raw_breaks: bool
    python_words: bool

    def rendered(self, value: Any, depth: int) -> str:
        if isinstance(value, dict):
            items = [f"{self._text(key)}: {self.rendered(each, depth + 1)}" for key, each in value.items()]
            return self._container("{", items, "}", depth)
        if isinstance(value, list):
            return self._container("[", [self.rendered(each, depth + 1) for each in value], "]", depth)
        if isinstance(value, str):
            return self._text(value)
        return repr(value) if self.python_words and (value is None or isinstance(value, bool)) else json.dumps(value)

    def _container(self, opening: str, items: list[str], closing: str, depth: int) -> str:
        comment = " // a comment, with {\n" if self.comments else ""
        end = "," if self.trailing_commas and items else ""
        between = ",\n" + "  " * (depth + 1) + (" /* or [ */ " if self.comments else "")
        return f"{opening}{comment}{between.join(items)}{end}{closing}"

    def _text(self, text: str) -> str:
        written = json.dumps(text, ensure_ascii=False)
        return (
            written.replace("\\n", "\n").replace("\\t", "\t") if self.raw_breaks and "\\\\" not in written else written
        )
