"""The texts of a run, as many as one page can carry."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from attrs import define

from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.errors import DamagedLogError, NoTextError
from orchestrator.past_runs.exchanges import DAMAGED, note
from orchestrator.state.run import RunState
from orchestrator_insight.report.drawing import TaskRow

_LONGEST_RESULT: Final = 30_000
_LONGEST_TEXT: Final = 200_000
_MOST_TEXT: Final = 24_000_000


@define
class PageTexts:
    """The texts of a run, as many as one page can carry.

    Args:
        get: the text of a digest; raises NoTextError where it cannot be had.
    """

    get: Callable[[str], str]
    left: int = _MOST_TEXT
    left_out: int = 0
    """How many texts did not fit."""

    def read(self, digest: str | None) -> str | None:
        """A text, cut where it is very long; None where there is none."""
        if digest is None:
            return None
        try:
            text = self.get(digest)
        except NoTextError as error:
            return note(error)
        except DamagedLogError:
            return DAMAGED
        if self.left < len(text):
            self.left_out += 1
            return "(left out: the page has enough; orchestrate runs export writes every output)"
        if len(text) > _LONGEST_TEXT:
            text = f"{text[:_LONGEST_TEXT]}\n(cut: {len(text)} characters in all)"
        self.left -= len(text)
        return text


def results_of(state: RunState, rows: Iterable[TaskRow], texts: PageTexts) -> Iterator[dict[str, Any]]:
    """Each task with the files that it delivers: (name, text) pairs, the main one first."""
    placement = Placement(state, lambda digest: texts.read(digest) or "")
    for row in rows:
        found = placement.files(state.tasks[row.name])
        files = [
            (name, text if len(text) <= _LONGEST_RESULT else f"{text[:_LONGEST_RESULT]}…")
            for name, text in found.items()
        ]
        yield {"task": row, "files": files}
