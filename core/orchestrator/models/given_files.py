"""The files a user gives to a run."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

MOST_CONTEXT_BYTES: Final = 1_000_000
"""Of one file."""
MOST_CONTEXT_BYTES_IN_SUM: Final = 16_000_000
MOST_CONTEXT_FILES: Final = 2_000


class LeftOutReason(StrEnum):
    """Why a file that was named, or lies in what was named, is not part of a run's context."""

    BINARY = "binary"
    TOO_LARGE = "too_large"
    BEYOND_SUM = "beyond_sum"
    TOO_MANY = "too_many"
    LINK = "link"
    SECRET = "secret"
    UNREADABLE = "unreadable"
    NAME = "name"


LEFT_OUT_FILES: Final[Mapping[LeftOutReason, str]] = MappingProxyType(
    {
        LeftOutReason.BINARY: "no text in UTF-8",
        LeftOutReason.TOO_LARGE: f"larger than {MOST_CONTEXT_BYTES // 1_000_000} MB",
        LeftOutReason.BEYOND_SUM: f"all files together may have {MOST_CONTEXT_BYTES_IN_SUM // 1_000_000} MB",
        LeftOutReason.TOO_MANY: f"there may be {MOST_CONTEXT_FILES:,} files",
        LeftOutReason.LINK: "a link, and those are not followed in a folder",
        LeftOutReason.SECRET: "it may hold keys; name it itself to give it",
        LeftOutReason.UNREADABLE: "it cannot be read",
        LeftOutReason.NAME: "its name cannot be used, or is another file's",
    }
)
"""The codes of why a file is left out, in words."""
