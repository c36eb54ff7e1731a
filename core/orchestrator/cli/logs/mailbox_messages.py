"""Speaking to a run from another process: what it asks, and what is put into its mailbox."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

from attrs import evolve, frozen

from orchestrator.cli.logs.opening_logs import open_log
from orchestrator.cli.options.shared_options import existing_run, home
from orchestrator.engine.answers_from_outside import QuestionReply, request_of
from orchestrator.engine.vendors.environment import called_by
from orchestrator.events import QuestionAsked
from orchestrator.ledger.mailbox_requests import ANSWER
from orchestrator.log import Texts
from orchestrator.plugins.store_of_folder import open_log as open_log_to_write
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState

_PATIENCE: Final = 15.0
"""Seconds for which a live run is waited for until it has taken in what it was sent."""
_PAUSE: Final = 0.1


@frozen
class SpokenTo:
    """A run as another process sees it."""

    run: str
    state: RunState
    texts: Texts
    is_live: bool
    """Whether a process has it."""
    waiting: tuple[str, ...]
    """The kinds of what its mailbox holds."""

    @property
    def question(self) -> tuple[int, QuestionAsked] | None:
        """(version, question) that it asks; None where it asks nothing."""
        found = ((version, opened) for version, opened in self.state.pending.items())
        return next(((version, each) for version, each in found if isinstance(each, QuestionAsked)), None)


def spoken_to(run: str) -> SpokenTo:
    """A run of the data folder, as its log has it now.

    Raises:
        UsageError: there is no such run.
    """
    log = open_log(run)
    existing_run(log, run)
    state = fold((record.at, record.event) for record in log.read(run))
    kinds = tuple(request.kind for request in log.asked(run))
    return SpokenTo(run, state, Texts(log, run, os.urandom, log.redactor), log.locks.is_held(run), kinds)


def send(run: str, kind: str, text: str, is_taken: Callable[[RunState], bool]) -> bool:
    """Put a request into the mailbox of a run, and wait for a live one to take it in; whether it has.

    Raises:
        LogError: the log cannot be written.
    """
    log = open_log_to_write(home())
    try:
        asyncio.run(log.ask(run, kind, at=time.time_ns() // 1000, text=text))
        until = time.monotonic() + _PATIENCE
        while log.locks.is_held(run) and time.monotonic() < until:
            if is_taken(fold((record.at, record.event) for record in log.read(run))):
                return True
            time.sleep(_PAUSE)
        return is_taken(fold((record.at, record.event) for record in log.read(run)))
    finally:
        log.close()


def send_answer(run: str, question: int, reply: QuestionReply) -> bool:
    """Answer a question of a run; whether a live process has taken the answer in.

    Raises:
        LogError: the log cannot be written.
    """
    reply = evolve(reply, by=called_by(os.environ))
    return send(run, ANSWER, request_of(question, reply), lambda state: question not in state.pending)
