from pathlib import Path

import pytest

from orchestrator.errors import LogError
from orchestrator.log import Head, append_head, read_heads


def test_heads_are_kept_in_order(tmp_path: Path) -> None:
    """Every head is a line of its own, and a cut last line does not hide the others."""
    assert read_heads(tmp_path) == []
    append_head(tmp_path, "a", "f" * 64, 3)
    append_head(tmp_path, "b", "e" * 64, 9)
    with (tmp_path / "heads.jsonl").open("a") as file:
        file.write('{"run":"c","he')

    assert read_heads(tmp_path) == [Head("a", "f" * 64, 3), Head("b", "e" * 64, 9)]


def test_a_head_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    """The error contains the head, so that it is not lost."""
    with pytest.raises(LogError, match="ffff"):
        append_head(tmp_path / "missing", "a", "f" * 64, 3)
