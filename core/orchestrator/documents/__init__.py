"""Untrusted documents, read within bounds: YAML and JSON as plain data, with the line of everything.

Whatever the input is, reading it ends within seconds in a ``Document`` or in a ``SpecError`` whose problems start with
``source:LINE:``. The bounds: 1 MB of UTF-8 from a regular file, 64 levels of nesting, 100,000 values and 4,000,000
characters after aliases are expanded, one document, text keys, no duplicate keys, no tags, no merge keys.

Of Markdown only the fenced blocks are read, in time proportional to the text; ``fenced_blocks`` refuses nothing.
"""

from orchestrator.documents.bounded_files import read_bytes, read_document, read_stream, read_text
from orchestrator.documents.document import (
    MAX_BYTES,
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_VALUES,
    Address,
    Document,
    LineOf,
)
from orchestrator.documents.fenced import Fenced, fenced_blocks
from orchestrator.documents.json_text import load_json, parse_json
from orchestrator.documents.paths import expanded
from orchestrator.documents.yaml_scalars import read_value

__all__ = [
    "MAX_BYTES",
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "MAX_VALUES",
    "Address",
    "Document",
    "Fenced",
    "LineOf",
    "expanded",
    "fenced_blocks",
    "load_json",
    "load_yaml",
    "parse_json",
    "read_bytes",
    "read_document",
    "read_stream",
    "read_text",
    "read_value",
]


def load_yaml(text: str, source: str) -> Document:
    """The one YAML 1.2 document in ``text``; an empty one has the value None.

    Plain scalars are null, true, false, numbers or text, as in YAML's core schema: dates, ``yes`` and ``off`` are text.

    Raises:
        SpecError: not YAML, or beyond the bounds.
    """
    from orchestrator.documents.yaml_text import compose  # ruamel.yaml costs a tenth of a second to import

    return compose(text, source)
