"""The exit codes of every command."""

import errno
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.errors import OrchestrateError

EXIT_CODES: Final[Mapping[str, int]] = {
    "SUCCESS": 0,
    "PARTIAL_SUCCESS": 1,
    "SYSTEM_FAILURE": 3,
    "BUDGET_EXHAUSTED": 4,
    "TIMEOUT": 5,
}
"""What a command exits with that plays a run, by the status of the run (a ``ProjectStatus``)."""

USAGE: Final = 2
"""Bad usage, a bad spec or policy."""
SYSTEM: Final = 3
"""What the machine refuses, such as to write the results."""
DEFECT: Final = 70
"""A defect of the program or of its installation (``EX_SOFTWARE`` of ``sysexits.h``)."""
INTERRUPTED: Final = 130
"""After Ctrl-C."""
OUTPUT_CLOSED: Final = 141
"""The reader of stdout has gone."""

_OF_THE_PATH: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOTEMPTY,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EINVAL,
    }
)
"""What is wrong with a path that cannot be written, whatever machine it is on."""


def code_of(error: "OrchestrateError") -> int:
    """What a command exits with after an error.

    Where something could not be written, the cause decides: a path that cannot be used is bad usage; anything else,
    such as a permission, a full disk or a read-only one, is what the machine refuses.
    """
    from orchestrator.errors import LogError, OutputError

    cause = error.__cause__
    if not isinstance(cause, OSError) or not isinstance(error, OutputError | LogError):
        return error.exit_code
    if cause.errno in _OF_THE_PATH:
        return USAGE
    return SYSTEM if isinstance(error, OutputError) else error.exit_code
