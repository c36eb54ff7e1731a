"""Questions on a terminal: asked on stderr, answered on stdin, without a thread that could not be stopped."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

from attrs import define

from orchestrator.cli.terminal.terminal_output import line, money, notice, on_terminal
from orchestrator.cli.wording.approval_texts import question_of, shown_with
from orchestrator.engine.answers_from_outside import QuestionReply
from orchestrator.engine.questions import Agreeing, ApprovalQuestion, Asker, Offer, RiskForecast
from orchestrator.models import AnsweredBy

if TYPE_CHECKING:
    from orchestrator.cli.progress.progress_display import Display

_YES: Final = ("y", "yes")
_NO: Final = ("n", "no")
_LONGEST_LINE: Final = 4096
_STOPPED: Final = QuestionReply(False, AnsweredBy.STOPPED, rest=True)


def asker_for(display: "Display", *, yes: bool, silent: bool) -> "Terminal | Agreeing | None":
    """Who asks; None where everything is agreed to, or where there is no terminal."""
    if yes:
        return Agreeing()
    return Terminal(display) if on_terminal() and not silent else None


@define
class Terminal(Asker):
    """Asks the person at the terminal; the progress rests meanwhile."""

    display: "Display"
    _line: "asyncio.Future[str | None] | None" = None

    async def ask(self, offer: Offer) -> QuestionReply:
        """Yes, no, or no more questions (Ctrl-C, Ctrl-D)."""
        self.display.pause()
        try:
            notice(f"\nsuggestion {offer.number} of {offer.of} ({offer.kind.value}): {line(offer.title)}")
            for mark, text in (("description", offer.description), ("criteria", offer.criteria)):
                if text:
                    notice(f"  add to the {mark}: {line(text)}")
            stopped = "no more questions; the other suggestions are refused"
            return await self._answer("Take it? [Y/n] ", _YES[0], stopped)
        finally:
            self.display.go_on()

    async def approve(self, outlook: RiskForecast) -> QuestionReply:
        """Yes or no; Enter, Ctrl-C and Ctrl-D are a no."""
        self.display.pause()
        try:
            total, cap = outlook.total, outlook.cap
            part = f"{total.nano * 100 // cap.nano} % of the" if cap else "beyond the"
            share = f"{money(total)}, {part} ceiling of {money(cap)}"
            notice(f"\nthe run is expected to cost {share}; the money may not suffice")
            return await self._answer("Start the tasks? [y/N] ", _NO[0], "no answer is a no")
        finally:
            self.display.go_on()

    async def confirm(self, question: ApprovalQuestion) -> QuestionReply:
        """Yes or no; Enter, Ctrl-C and Ctrl-D are a no."""
        self.display.pause()
        try:
            notice("")
            for each in shown_with(question.asked, question.state, question.text_of):
                notice(f"  {each}")
            words = question_of(question.asked, question.state)
            return await self._answer(f"{words[:1].upper()}{words[1:]} [y/N] ", _NO[0], "no answer is a no")
        finally:
            self.display.go_on()

    async def _answer(self, question: str, default: str, stopped: str) -> QuestionReply:
        """The person's word; Enter stands for the default."""
        while True:
            sys.stderr.write(question)
            sys.stderr.flush()
            typed = await self._typed()
            if typed is None:
                notice(f"\n{stopped}")
                return _STOPPED
            word = typed.strip().lower() or default
            if word in _YES or word in _NO:
                return QuestionReply(word in _YES)

    async def _typed(self) -> str | None:
        """A line from the terminal; None where the person stops."""
        loop = asyncio.get_running_loop()
        descriptor = sys.stdin.fileno()
        self._line = waiting = loop.create_future()

        def read() -> None:
            try:
                found = os.read(descriptor, _LONGEST_LINE)
            except OSError:  # the terminal has gone
                found = b""
            if not waiting.done():
                waiting.set_result(found.decode(errors="replace") if found else None)

        loop.add_reader(descriptor, read)
        try:
            typed: str | None = await waiting
            return typed
        finally:
            loop.remove_reader(descriptor)
            self._line = None

    def stop(self) -> bool:
        """Take Ctrl-C as an answer; False where nothing is being asked."""
        if self._line is None or self._line.done():
            return False
        self._line.set_result(None)
        return True
