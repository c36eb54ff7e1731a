"""Reusing answers: what a run finds in the response cache of its data folder, and what it leaves there.

An answer becomes reusable with the event that shows that it was good for something: the plan, the suggestions or the
architecture that were made of it, the score of an iteration whose gate it passed, or the choice among several. It must
have ended by itself and have been read.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, field

from orchestrator import events as e
from orchestrator.errors import LogError, MissingError
from orchestrator.models import Finish, ModelInfo
from orchestrator.state.calls import CallKey, LogicalCall
from orchestrator.state.run import RunState

if TYPE_CHECKING:
    from orchestrator.ledger.cache import Entries, Found
    from orchestrator.ledger.event_log import EventLog

_SECRET_BYTES: Final = 32


@define
class ResponseCache:
    """The response cache as one session uses it. It holds nothing that a decision depends on.

    Equal requests are those with equal bytes to the same model at the same address, for the same role, iteration and
    sample: two evaluations of one output, and the drafts of two iterations, are meant to differ.
    """

    log: "EventLog"
    random: Callable[[int], bytes]
    simulated: bool
    _secret: bytes | None = field(default=None, init=False)
    _is_stored: bool = field(default=False, init=False)
    _keys: dict[int, str] = field(factory=dict, init=False)
    """Of the requests that were not found, by the version of their ModelSelected."""

    def key(self, model: ModelInfo, address: str, call: CallKey, content: bytes) -> str:
        """The key of a request: what is sent, to which model, and which of several equal requests it is."""
        from orchestrator.ledger.cache import key_of, request_of

        which = (call.role.value, call.iteration, call.sample)
        return key_of(self._with(), self.simulated, request_of(model.provider, address, model.id, *which, content))

    def find(self, selected: int, key: str) -> "tuple[Found, str] | None":
        """A stored answer to a request and its text, or None; then the request is remembered by its selection."""
        try:
            found = self.log.cached(key)
            text = None if found is None else self._text(found)
        except (LogError, KeyError):
            found = text = None  # a row that leads nowhere is as good as none
        if found is None or text is None:
            self._keys[selected] = key
            return None
        return found, text

    def entries(
        self, state: RunState, events: Sequence[e.Event], compute: Callable[[LogicalCall], str | None]
    ) -> "Entries | None":
        """What these events, folded already, make reusable. ``compute`` gives the key of an earlier session's call."""
        calls: dict[str, int] = {}
        for call in _proven(state, events):
            answer = call.answers[-1]
            key = self._keys.pop(call.selections[-1].version, None) or compute(call)
            if key is not None:
                calls[key] = answer.version
        if not calls:
            return None
        from orchestrator.ledger.cache import Entries

        return Entries(self._with(), calls)

    def _with(self) -> bytes:
        """The data folder's secret; drawn here where it has none yet."""
        if not self._is_stored:
            stored = self.log.cache_secret()
            self._is_stored = stored is not None
            self._secret = stored or self._secret or self.random(_SECRET_BYTES)
        if self._secret is None:
            raise MissingError("secret")
        return self._secret

    def _text(self, found: "Found") -> str | None:
        from orchestrator.log import Texts

        if self.log.salt(found.run) is None:
            return None
        return Texts(self.log, found.run, self.random, self.log.redactor).get(found.answer.answer)


def _proven(state: RunState, events: Sequence[e.Event]) -> Iterator[LogicalCall]:
    """The calls whose answers these events make reusable."""
    shared = state.forked.version if state.forked is not None else 0
    for event in events:
        calls: list[LogicalCall] = []
        if isinstance(event, (e.PlanMade, e.SpecEnhanced, e.ArchitectureDecided)):
            before = (call for node in (state.enhance, state.advise, state.plan) for call in node.calls.values())
            calls = [call for call in before if call.answers and call.answers[-1].version == event.call]
        elif isinstance(event, e.Evaluated) and event.gate:
            calls = [call for key, call in state.tasks[event.task].calls.items() if key.iteration == event.iteration]
        elif isinstance(event, e.Compared):
            calls = [call for key, call in state.tasks[event.task].calls.items() if key.iteration in event.candidates]
        for call in calls:
            answer = call.answers[-1] if call.answers else None
            if answer is None or answer.reused or answer.version <= shared:
                continue
            if answer.finish is Finish.STOP and answer.reading.problem is None:
                yield call
