"""The form in which equal results are equal: code without its layout and comments, other texts without their margin."""

import ast
import json
from collections.abc import Mapping
from typing import Final

from orchestrator.suites import UNREADABLE, parse

LONGEST: Final = 200_000
"""Characters of code that are parsed; longer code is compared as text."""


def canonical_form(files: Mapping[str, str]) -> str:
    """A text that is the same for two answers where the files that they are delivered as mean the same.

    Python code means the same where its syntax tree is the same: comments, blank lines, quotes and line breaks are left
    out, docstrings are not. What cannot be parsed, and every other file, means its stripped text.
    """
    return json.dumps({name: _form(name, content) for name, content in sorted(files.items())}, ensure_ascii=False)


def _form(name: str, content: str) -> str:
    if name.endswith(".py") and len(content) <= LONGEST:
        try:
            return ast.dump(parse(content), annotate_fields=False)
        except UNREADABLE:
            pass
    return content.strip()
