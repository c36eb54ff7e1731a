"""The mailbox of a run while a session is open: what other processes ask of it is brought in."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from orchestrator import events as e
from orchestrator.engine.answers_from_outside import read_request
from orchestrator.engine.loop import Loop
from orchestrator.engine.plan_editing import edited_plan
from orchestrator.engine.session import Session
from orchestrator.engine.vendors.environment import application_word
from orchestrator.errors import LogError, SpecError
from orchestrator.ledger.mailbox_requests import ANSWER, CANCEL, EDIT, RELEASE, MailboxRequest

_LOOKS: Final = 0.5
"""Seconds between two looks into the mailbox of a run."""


async def heed(session: Session, loop: Loop) -> None:
    """Look into the run's mailbox, and bring in what it holds, until another process asks for the session's end."""
    taken: set[MailboxRequest] = set()
    while True:
        await asyncio.sleep(_LOOKS)
        with suppress(LogError):
            for request in _last_words(session.stream.log.asked(session.stream.run)):
                if request not in taken and session.state.is_open:
                    taken.add(request)
                    _take(session, loop, request)
                if request.kind in (CANCEL, RELEASE):
                    return


def kept_edits(session: Session) -> list[e.PlanEdited]:
    """The plan that the mailbox has kept for this session; it comes before any answer about another plan."""
    kept = [request for request in session.stream.log.asked(session.stream.run) if request.kind == EDIT]
    with suppress(SpecError, ValueError, TypeError):
        return [edited_plan(session.state, session.stream.texts, each.text, each.number) for each in kept[-1:]]
    return []


def _take(session: Session, loop: Loop, request: MailboxRequest) -> None:
    """Bring in what is asked; what no command of ours has put in is left alone."""
    if request.kind in (CANCEL, RELEASE):
        loop.interrupt(request.kind, application_word(request.text))
    elif request.kind == ANSWER and (found := read_request(request.text)) is not None:
        session.resources.replies.put(*found)
    elif request.kind == EDIT:
        with suppress(SpecError, ValueError, TypeError):
            loop.bring(edited_plan(session.state, session.stream.texts, request.text, request.number))


def _last_words(requests: Sequence[MailboxRequest]) -> list[MailboxRequest]:
    """The requests without each answer that a later one to the same question has replaced."""
    readable = [(each, read_request(each.text)) for each in requests if each.kind == ANSWER]
    last = {found[0]: each for each, found in readable if found is not None}
    return [each for each in requests if each.kind != ANSWER or each in last.values()]
