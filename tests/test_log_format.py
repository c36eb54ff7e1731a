"""docs/log-format.md: its test vectors are what the program computes, and what the independent verifier computes."""

import re
from pathlib import Path
from typing import Final

from orchestrator.log import chain
from orchestrator.log.texts import digest_of

PAGE: Final = (Path(__file__).parent.parent / "docs" / "log-format.md").read_text(encoding="utf-8")


def test_the_vectors_of_the_page_hold() -> None:
    """Genesis, two linked events and a text, in the order of the page."""
    vectors = re.findall(r"^\| .* \| `([0-9a-f]{64})` \|$", PAGE, re.MULTILINE)
    first = chain.link(chain.GENESIS, "run-1", 1, "task.started", 1, 1700000000000000, '{"task":"a"}')
    second = chain.link(first, "run-1", 2, "task.started", 1, 1700000000000001, '{"task":"é"}')
    assert vectors == [chain.GENESIS, first, second, digest_of(bytes(range(32)), "Grüße".encode())]
