"""Running what models wrote: a ladder of sandboxes, of which the best that proves itself is used.

Every rung gives a clean environment, a session of its own, limits, an unprivileged user where the program is root, a
temporary folder, a deadline, bounded output and the end of whatever it started. What the rungs add stands in
``docs/validators.md``.
"""

from orchestrator.engine.sandbox.job import Job, Rung
from orchestrator.engine.sandbox.ladder import Ladder, Survey

__all__ = ["Job", "Ladder", "Rung", "Survey"]
