"""JSON documents on stdout: their form and its version."""

import json
from collections.abc import Mapping
from typing import Any, Final

import click

from orchestrator.cli.terminal.terminal_output import clean, result

FORMAT_VERSION: Final = 1
"""Of every JSON document that a command prints; it changes when a field goes, or means something else."""


def result_json(value: Any, *, pretty: bool = True, form: str = "") -> None:
    """Write a value to stdout as a JSON document with ``format`` and ``format_version``: over several lines, or on one.

    Args:
        value: an object, whose fields are the document's, or a list, which is its ``items``. An object with a
            ``format`` of its own is the whole document.
        pretty: whether it takes several lines.
        form: what it is a document of; empty: of the command that works, such as ``runs list``.
    """
    fields = value if isinstance(value, Mapping) else {"items": value}
    head = {"format": f"orchestrate-{(form or _words()).replace(' ', '-')}", "format_version": FORMAT_VERSION}
    write_json(fields if "format" in fields else {**head, **fields}, pretty=pretty)


def write_json(value: Any, *, pretty: bool = True) -> None:
    """Write a value to stdout as JSON, as it is."""
    # JSON escapes every control character; what remains are letters
    result(clean(json.dumps(value, indent=2 if pretty else None, ensure_ascii=not pretty)), as_is=True)


def _words() -> str:
    """The words of the command that works, without the program's own name."""
    context = click.get_current_context(silent=True)
    words: list[str] = []
    while context is not None and (context.parent is not None or context.info_name != "orchestrate"):
        words.insert(0, context.info_name or "")
        context = context.parent
    return " ".join(words)
