"""What one run amounts to, kept while its events arrive."""

from collections.abc import Iterable

from attrs import Factory, define

from orchestrator.cli.kit import Trust
from orchestrator.errors import DamagedLogError
from orchestrator.exchanges import DAMAGED, DELETED, ExchangeReader
from orchestrator.reading import Recorded, RunState, Texts, event_name
from orchestrator_insight.explanation import Explainer
from orchestrator_insight.report.calls import Timeline, TimelineReader


@define
class RunReading:
    """One run as far as it was read.

    Attributes:
        run: its id.
        trust: how far it can be trusted, found when it was first read.
        texts: its texts.
        position: of the last event that was read.
        head: the hash of that event.
        positions: of each event, by its version.
    """

    run: str
    trust: Trust
    texts: Texts
    explainer: Explainer = Factory(Explainer)
    chronicler: TimelineReader = Factory(TimelineReader)
    exchanges: ExchangeReader = Factory(ExchangeReader)
    position: int = 0
    head: str = ""
    positions: dict[int, int] = Factory(dict)

    @property
    def state(self) -> RunState:
        """What the events fold to."""
        return self.explainer.state

    @property
    def timeline(self) -> Timeline:
        """Sessions and attempts."""
        return self.chronicler.line

    def take(self, records: Iterable[Recorded]) -> None:
        """Read on."""
        for record in records:
            event = record.event
            self.explainer.take(record.at, event)
            self.chronicler.take(record.at, event)
            self.exchanges.take(record.version, event)
            self.positions[record.version] = self.position = record.position
            self.head = record.hash

    def event(self, version: int) -> str:
        """An event of the run, as people name it."""
        return event_name(self.positions.get(version), version)

    def text(self, digest: str | None) -> str | None:
        """A text, or a note where it is gone; None where there is none."""
        return None if digest is None else text_or_note(self.texts, digest)


def text_or_note(texts: Texts, digest: str) -> str:
    """A text, or a note where it is gone."""
    try:
        return texts.get(digest)
    except KeyError:
        return DELETED
    except DamagedLogError:
        return DAMAGED


def title_of(texts: Texts, digest: str) -> str:
    """The first line of a project's description; empty where there is none."""
    lines = text_or_note(texts, digest).strip().splitlines()
    return lines[0] if lines else ""
