"""The exit codes of every command."""

from collections.abc import Mapping
from typing import Final

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
