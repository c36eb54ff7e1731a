"""The exit codes that do not follow from the status of a run."""

from typing import Final

USAGE: Final = 2
"""Bad usage, a bad spec or policy."""
SYSTEM: Final = 3
"""What the machine refuses."""
DEFECT: Final = 70
"""A defect of the program or of its installation (``EX_SOFTWARE`` of ``sysexits.h``)."""
INTERRUPTED: Final = 130
"""After Ctrl-C."""
OUTPUT_CLOSED: Final = 141
"""The reader of stdout has gone."""
