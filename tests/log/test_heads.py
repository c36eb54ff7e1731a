import os
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
    append_head(tmp_path, "c", "d" * 64, 1)
    assert read_heads(tmp_path)[2:] == [Head("c", "d" * 64, 1)]


def test_a_head_that_is_written_in_part_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk may take some bytes of the line and no more."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:9]))
    with pytest.raises(LogError, match="No space left on device"):
        append_head(tmp_path, "a", "f" * 64, 3)
    monkeypatch.undo()

    append_head(tmp_path, "b", "e" * 64, 9)
    assert read_heads(tmp_path) == [Head("b", "e" * 64, 9)]


def test_heads_that_cannot_be_read_are_an_error_of_the_log(tmp_path: Path) -> None:
    """A folder in the file's place, say."""
    (tmp_path / "heads.jsonl").mkdir()
    with pytest.raises(LogError, match="make it readable"):
        read_heads(tmp_path)


def test_a_head_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    """The error contains the head, so that it is not lost."""
    with pytest.raises(LogError, match="ffff"):
        append_head(tmp_path / "missing", "a", "f" * 64, 3)
