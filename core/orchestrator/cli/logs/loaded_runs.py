"""A run as commands read it from the log: its state, texts, head and status."""

import os

from attrs import frozen

from orchestrator.cli.logs.damaged_runs import ReadableTexts, Reader, Trust, trust_in
from orchestrator.cli.options.shared_options import existing_run
from orchestrator.errors import NoTextError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.past_runs.run_list import shown_status
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState


@frozen
class Loaded:
    """A run read from the log."""

    state: RunState
    texts: Texts
    head: str
    status: str
    trust: Trust

    def get(self, digest: str) -> str:
        """The text of a digest, or a note in its place where it cannot be had."""
        try:
            return self.texts.get(digest)
        except NoTextError as error:
            return error.mark


def load(log: Reader, run: str) -> Loaded:
    """The state, texts, head and status of a run; of a damaged one what can be read, after a warning.

    Raises:
        UsageError: there is no such run.
        DamagedLogError: nothing of it can be read.
    """
    trust = trust_in(log, existing_run(log, run))

    def read() -> tuple[RunState, str]:
        records = list(log.read(run))
        return fold((record.at, record.event) for record in records), records[-1].hash

    state, head = trust.read(read)
    texts = texts_of(log, run, trust)
    finished = state.finished.status.value if state.finished is not None else "open"
    return Loaded(state, texts, head, shown_status(log, run, finished), trust)


def texts_of(log: EventLog, run: str, trust: Trust) -> Texts:
    """The texts of a run; of a damaged one with notes in the place of those that cannot be read."""
    return (ReadableTexts if trust.damage else Texts)(log, run, os.urandom, log.redactor)
