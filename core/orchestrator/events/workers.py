"""The events in the stream of a worker, ``worker/NAME``: that it began, and that it ended in order.

Which runs it had stands in the runs: ``by`` of their SessionOpened is its name.
"""

from attrs import frozen

from orchestrator.events.kinds import WorkerEvent


@frozen
class WorkerStarted(WorkerEvent):
    """A process begins to take runs that no process has."""

    process: int
    """Its number on its machine."""
    host: str
    """Digest of the machine's name."""
    jobs: int
    """Runs that it plays at once, at most."""
    program: str
    """The version of the program."""


@frozen
class WorkerStopped(WorkerEvent):
    """It ended, with no run left in its hands. A worker that was killed has no such event."""

    cause: str
    """``idle``, or the name of the signal that it was sent."""
    released: int
    """Runs that it gave back before they had ended."""
