"""Handing a run over: its outputs, its summary and its table, written out of the log's texts."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from orchestrator import events as e
from orchestrator.engine.applications import Application, application
from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.engine.outputs.folder_readme import tables
from orchestrator.engine.outputs.folder_writing import OutputFolder
from orchestrator.engine.outputs.run_results import summary
from orchestrator.errors import DamagedLogError, MissingError, NoTextError, UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.plugins import Catalogue
from orchestrator.spec.canonical import restored
from orchestrator.state.run import RunState


@frozen
class RunPlace:
    """Where a run reads and writes on its machine; a text of its own, which no bundle holds."""

    folder: Path
    """What paths in the spec are relative to."""
    output: Path | None
    """The output folder, where the run has one."""
    spec: Path | None = None
    """The file of the spec, where it came from one."""
    paths: tuple[str, ...] = ()
    """The absolute paths of the spec, in whose places numbers stand in its text."""

    def text(self) -> str:
        """All in JSON, as absolute paths unless ``portable`` made them relative."""
        output, spec = (None if each is None else str(each) for each in (self.output, self.spec))
        stored: dict[str, Any] = {"folder": str(self.folder), "output": output, "spec": spec}
        if self.paths:
            stored["paths"] = list(self.paths)
        return json.dumps(stored, ensure_ascii=False, sort_keys=True)

    @property
    def absolute(self) -> "RunPlace":
        """The place on this machine."""
        output = None if self.output is None else self.output.absolute()
        return evolve(self, folder=self.folder.absolute(), output=output)

    def portable(self, work: Path) -> "RunPlace":
        """The place relative to a working folder, for whichever machine goes on with the run.

        What lies elsewhere is left out: of the spec's file the name stays, and the spec's folder is the working folder.
        """
        folder, output, spec = (_below(work, each) for each in (self.folder, self.output, self.spec))
        named = None if self.spec is None else Path(self.spec.name)
        return evolve(self, folder=folder or Path(), output=output, spec=spec or named)


def _below(work: Path, path: Path | None) -> Path | None:
    """A path relative to a folder that it lies below; else None."""
    whole = None if path is None else path.absolute()
    return None if whole is None or not whole.is_relative_to(work) else whole.relative_to(work)


def spec_of(log: EventLog, run: str, texts: Texts) -> str:
    """The spec that a run follows, in canonical JSON; where its place is not known here, without absolute paths.

    Raises:
        UsageError: the content of the run was deleted, or cannot be read here.
    """
    spec = _text(run, texts, _first(log, run).spec)
    try:
        return restored(spec, place_of(log, run, texts).paths)
    except UsageError:
        return spec


def place_of(log: EventLog, run: str, texts: Texts) -> RunPlace:
    """Where a run reads and writes.

    Raises:
        UsageError: it was deleted, or cannot be read here.
        DamagedLogError: the text is another one.
    """
    digest = _first(log, run).place
    return RunPlace(Path(), None) if digest is None else read_place(_text(run, texts, digest), run)


def read_place(text: str, run: str) -> RunPlace:
    """Where a run reads and writes, as it is stored.

    Raises:
        DamagedLogError: the text says something else.
    """
    try:
        stored = json.loads(text)
        output, spec = (None if stored.get(name) is None else Path(stored[name]) for name in ("output", "spec"))
        return RunPlace(Path(stored["folder"]), output, spec, tuple(stored.get("paths", ())))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedLogError(0, f"the text that says where {run} reads and writes is another one") from error


def _first(log: EventLog, run: str) -> e.RunStarted | e.RunForked:
    first = next(iter(log.read_own(run))).event
    if not isinstance(first, e.RunStarted | e.RunForked):
        raise MissingError("RunStarted or RunForked")
    return first


def _text(run: str, texts: Texts, digest: str) -> str:
    try:
        return texts.get(digest)
    except NoTextError as error:
        raise UsageError(f"the content of {run} {error.why}; without it nothing is written or gone on with") from None


def application_of(spec: str, catalogue: Catalogue) -> Application | None:
    """The application that a spec, in canonical JSON, builds; None where it builds none."""
    wanted = json.loads(spec).get("app")
    return None if wanted is None else application(str(wanted), cache(catalogue.scaffold))


@frozen
class Exported:
    """What came of writing a run's files."""

    warnings: tuple[str, ...]
    """A line per file that could not be written."""
    left: tuple[str, ...]
    """The outputs that are there with another content, and were left as they are."""


def export(
    state: RunState,
    run: str,
    head: str,
    texts: Texts,
    folder: OutputFolder,
    built: Application | None = None,
    *,
    replace: bool = False,
) -> Exported:
    """Write a run's summary and table, and its outputs that are missing; with ``replace`` those that differ, too.

    With an application (``built``) that was put together, what its scaffold and its manifest bring is written, too.
    Without one its outputs are written where they are missing, and compared with nothing.
    """
    warnings, left = [], []
    files = tables(summary(state, run, head, texts.get), is_app=state.settings.app is not None)
    outputs: dict[str, str] = {}
    placement = Placement(state, texts.get)
    for name in state.execution_order:
        outputs.update(placement.files(state.tasks[name]))
    is_known = state.settings.app is None
    if built is not None and state.verified is not None:
        try:
            outputs = built.files(outputs, state, texts.get)
            is_known = True
        except Exception as error:
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            warnings.append(f"what the scaffold brings cannot be written: {cause}")
    for target, content in outputs.items():
        if target in files:
            continue
        differs = is_known and folder.has_other(target, content)
        if folder.is_missing(target) or (differs and replace):
            files[target] = content
        elif differs:
            left.append(target)
    for target, content in files.items():
        try:
            folder.write(target, content)
        except OSError as error:
            warnings.append(
                f"{folder.path / target}: {error.strerror}; write it later with: orchestrate runs export {run}"
            )
    return Exported(tuple(warnings), tuple(left))
