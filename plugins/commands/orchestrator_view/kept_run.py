"""What one run amounts to, kept while its events arrive."""

from collections.abc import Iterable

from attrs import Factory, define

from orchestrator.cli.kit import Trust
from orchestrator.errors import DamagedLogError, NoTextError
from orchestrator.past_runs.exchanges import DAMAGED, note
from orchestrator.reading import Recorded, Texts
from orchestrator.reading import events as e
from orchestrator_insight.decisions_in_words import DecisionShown, shown
from orchestrator_insight.explaining_history import about
from orchestrator_insight.run_history import RunHistory, uncollected
from orchestrator_view.questions import QuestionShown, answered, asked


@define(kw_only=True)
class RunReading(RunHistory):
    """One run as far as it was read.

    Attributes:
        run: its id.
        trust: how far it can be trusted, found when it was first read.
        texts: its texts.
        questions: what a person was asked, by the version of the question.
    """

    run: str
    trust: Trust
    texts: Texts
    questions: dict[int, QuestionShown] = Factory(dict)

    def read_on(self, records: Iterable[Recorded]) -> None:
        """Read the next events."""
        with uncollected():
            for record in records:
                self.take(record)
                self._note_question(record)

    def _note_question(self, record: Recorded) -> None:
        match record.event:
            case e.QuestionAsked() as event:
                self.questions[record.version] = asked(event, self.state, record.at)
            case e.QuestionAnswered(question=version) as event if version in self.questions:
                self.questions[version] = answered(self.questions[version], event)

    def decisions(self, node: str | None, first: int = 0, most: int = 2**31) -> tuple[list[DecisionShown], int]:
        """Some of the decisions about a task, or about all, in words; and how many there are."""
        found = about(self.explainer.explained, node)
        return [shown(each) for each in found[first : first + most]], len(found)

    def text(self, digest: str | None) -> str | None:
        """A text, or a note where it is gone; None where there is none."""
        return None if digest is None else text_or_note(self.texts, digest)


def text_or_note(texts: Texts, digest: str) -> str:
    """A text, or a note where it is gone."""
    try:
        return texts.get(digest)
    except NoTextError as error:
        return note(error)
    except DamagedLogError:
        return DAMAGED


def title_of(texts: Texts, digest: str) -> str:
    """The first line of a project's description; empty where there is none."""
    lines = text_or_note(texts, digest).strip().splitlines()
    return lines[0] if lines else ""
