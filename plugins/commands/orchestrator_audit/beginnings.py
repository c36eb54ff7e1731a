"""The beginning of a run again: its rules, its plan and its slots must follow from its spec."""

import json
from collections.abc import Iterator

from attrs import Factory, define, evolve, fields

from orchestrator import events as e
from orchestrator.decide import RULES
from orchestrator.engine.delivering import read_place
from orchestrator.engine.first_event import InputStage, run_started, settings_after
from orchestrator.engine.session import VERSION
from orchestrator.engine.vendors.session_providers import slots_of
from orchestrator.errors import DamagedLogError, OrchestrateError
from orchestrator.log import Texts
from orchestrator.plugins import Catalogue
from orchestrator.settings import RunSettings
from orchestrator.spec import Spec, parse_spec
from orchestrator.state.run import RunState
from orchestrator_audit.session_plugins import contradictions, departures, unlisted

_COMPARED = ("project", "criteria", "given_plan", "words")


class _Digests:
    """Stands for the texts of a run where nothing is to be stored."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def put(self, text: str, shapes: bool = False) -> str:
        """The digest of a text."""
        return self._texts.digest(text)


@define
class Beginnings:
    """Takes a run's events one by one, each with the state before it.

    Args:
        texts: of the run.
        catalogue: the installed plugins.
    """

    texts: Texts
    catalogue: Catalogue
    foreign: bool = False
    """Whether a session was of another program or of other rules, which may have had other rules by default."""
    _spec: Spec | None = None
    _waiting: tuple[str, ...] = ()
    """What is wrong with the event that began the run, until a session says whose rules it had."""
    _session: e.SessionOpened | None = None
    _checks: dict[int, str] = Factory(dict)
    """The validators of checks, by the versions of their CheckStarted."""

    def take(self, version: int, event: e.Event, state: RunState) -> Iterator[str]:
        """What is wrong with how a run, a fork or a session begins."""
        if isinstance(event, e.RunStarted | e.RunForked) and event.place is not None:
            yield from self._place(event.place)
        match event:
            case e.RunStarted():
                self._spec = self._read(event.spec)
                self._waiting = () if self._spec is None else tuple(self._started(event, self._spec))
            case e.RunForked():
                old, self._spec = self._spec, self._read(event.spec)
                self._waiting = (
                    () if old is None or self._spec is None else tuple(_forked(event, state, old, self._spec))
                )
            case e.SessionOpened():
                yield from contradictions(event)
                self.foreign = self.foreign or (event.rules, event.program) != (RULES, VERSION)
                waiting, self._waiting = self._waiting, ()
                if not self.foreign:
                    yield from waiting
                    if event.slots != slots_of(event.models):
                        yield "the slots of the session are filled by other models than say so"
                    if self._spec is not None:
                        yield from departures(event, self._spec, self.catalogue)
                self._session = event
            case e.CheckStarted():
                self._checks[version] = event.validator
            case e.Validated() if self._spec is not None and self._session is not None and not self.foreign:
                yield from unlisted(self._session, self._checks.get(event.check), event)

    def _place(self, digest: str) -> Iterator[str]:
        """The text may be missing; where it is there, it names folders."""
        try:
            text = self.texts.get(digest)
        except (KeyError, DamagedLogError):
            return  # it may be missing; the check of the texts names one that is damaged
        try:
            read_place(text, "the run")
        except DamagedLogError as error:
            yield str(error)

    def _read(self, digest: str) -> Spec | None:
        try:
            return parse_spec(json.loads(self.texts.get(digest)), "the spec")
        except (KeyError, DamagedLogError, OrchestrateError, ValueError):
            return None  # the check of the texts names it

    def _started(self, event: e.RunStarted, spec: Spec) -> Iterator[str]:
        expected = run_started(
            evolve(spec, prompts=None),
            _Digests(self.texts),  # type: ignore[arg-type]
            InputStage(event.settings.enhance, event.settings.advise),
            output=None,
            simulated=event.settings.simulated,
            accounts=event.settings.accounts,
            random_bytes=bytes,
            seed=event.seed,
            ask_above=event.settings.approve.forecast_above,  # the user's configuration says it, and no spec
        )
        wrong = [name for name in _COMPARED if _without_files(expected, name) != _without_files(event, name)]
        yield from _differing(event.settings, evolve(expected.settings, prompts=event.settings.prompts))
        if wrong:
            yield f"the run began with {', '.join(wrong)} other than its spec says"


def _without_files(event: e.RunStarted, name: str) -> object:
    """A field of the event; which files its tasks need was read from the disk, which is gone."""
    value = getattr(event, name)
    return tuple(evolve(task, context=None) for task in value) if name == "given_plan" and value is not None else value


def _forked(event: e.RunForked, state: RunState, old: Spec, new: Spec) -> Iterator[str]:
    yield from _differing(event.settings, settings_after(state, old, new))


def _differing(found: RunSettings, expected: RunSettings) -> Iterator[str]:
    wrong = [each.name for each in fields(RunSettings) if getattr(found, each.name) != getattr(expected, each.name)]
    if wrong:
        yield f"the run had rules other than follow from its spec: {', '.join(wrong)}"
