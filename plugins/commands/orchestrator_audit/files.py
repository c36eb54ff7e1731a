"""The files of a run, where its output folder is there: they are what its outputs are written as."""

from collections.abc import Iterator
from pathlib import Path

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.allowed_file_names import UnsafeNameError, read_file
from orchestrator.engine.delivering import place_of
from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.engine.outputs.folder_writing import LARGEST_FILE, MARKER
from orchestrator.errors import DamagedLogError, OrchestrateError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.state.run import RunState


@define
class Files:
    """Takes a run's events one by one, and at the end compares the files.

    Args:
        run: its id.
        folder: its output folder; None: it is not here.
        texts: of the run.
    """

    run: str
    folder: Path | None
    texts: Texts
    _chosen: dict[int, e.OutputChosen] = Factory(dict)
    _written: dict[str, int] = Factory(dict)
    """By task the version of the FileWritten that tells of its latest files."""
    _sizes: dict[str, int] = Factory(dict)

    def take(self, version: int, event: e.Event) -> None:
        """Remember what was written."""
        if isinstance(event, e.OutputChosen):
            self._chosen[version] = event
        elif isinstance(event, e.FileWritten) and event.problem is None and event.chosen in self._chosen:
            task = self._chosen[event.chosen].task
            self._written[task], self._sizes[task] = version, event.size

    def finish(self, state: RunState) -> Iterator[tuple[int, str]]:
        """Version and message of everything that is otherwise; sizes also where the folder is not here."""
        if state.settings.app is not None:
            return  # what an application's scaffold brings may replace a file
        placement = Placement(state, self.texts.get)
        wanted: dict[str, tuple[int, bytes]] = {}
        for name in state.execution_order:
            if name not in self._written:
                continue
            try:
                files = placement.files(state.tasks[name])
            except (KeyError, DamagedLogError):
                continue  # the check of the texts names it
            version, size = self._written[name], sum(len(each.encode(errors="replace")) for each in files.values())
            if size != self._sizes[name]:
                yield version, f"the files of {name} have {size} bytes, the event says {self._sizes[name]}"
            wanted |= {each: (version, text.encode(errors="replace")) for each, text in files.items()}
        if self.folder is not None:
            yield from self._compared(self.folder, wanted)

    def _compared(self, folder: Path, wanted: dict[str, tuple[int, bytes]]) -> Iterator[tuple[int, str]]:
        owner = read_file(folder, MARKER, 1000) if folder.is_dir() else None
        if owner is None or owner.decode(errors="replace").strip() != self.run:
            return  # another run, or its user, has the folder now
        for name, (version, content) in wanted.items():
            try:
                found = read_file(folder, name, LARGEST_FILE)
            except UnsafeNameError:
                continue
            if found is None:
                yield version, f"the file {name} of its output folder is missing, or is no file"
            elif found != content:
                yield version, f"the file {name} of its output folder is not what was written"


def output_folder(log: EventLog, run: str, texts: Texts) -> Path | None:
    """The output folder of a run; None where it has none, or where it is not known here."""
    try:
        return place_of(log, run, texts).output
    except (OrchestrateError, ValueError, LookupError, TypeError, AssertionError):
        return None
