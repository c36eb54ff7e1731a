"""Building every prompt again: what is said to have been sent must follow from the texts, and so must its size."""

import json
from collections.abc import Callable, Iterator

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.decide import RULES
from orchestrator.engine.answers.prompts_by_role import build_prompt
from orchestrator.engine.answers.stored_prompts import Prompt, read_prompt
from orchestrator.engine.delivering import RunPlace, application_of, place_of, spec_of
from orchestrator.engine.session import VERSION
from orchestrator.engine.vendors.instances import instances_of
from orchestrator.errors import DamagedLogError, OrchestrateError, UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.plugins import Catalogue
from orchestrator.spec import Spec, parse_spec
from orchestrator.spi import CallRef, ModelInfo, Provider, Request
from orchestrator.state.run import RunState

_A_KEY = "-"
"""Stands in for every key: none is sent anywhere, and no body holds one."""


@define
class Bodies:
    """Encodes requests as the providers of a run do; nothing is sent.

    Args:
        catalogue: the installed plugins.
        spec: of the run.
        place: where the run read; None: it is not known here, and no provider may be built.
    """

    catalogue: Catalogue
    spec: Spec
    place: RunPlace | None
    problems: dict[str, str] = Factory(dict)
    """Why no body of a provider can be made again, by its name in the run."""
    _built: dict[str, Provider | None] = Factory(dict)

    def size(self, session: e.SessionOpened, model: ModelInfo, selected: e.ModelSelected, prompt: Prompt) -> int | None:
        """The bytes of the largest body of a selection; None where it cannot be made here."""
        provider = self._provider(session, model)
        if provider is None:
            return None
        most = max(selected.max_tokens, selected.most_tokens)
        where = CallRef(selected.node, selected.role, selected.iteration, selected.sample, 1)
        request = Request(model, prompt.messages, most, prompt.temperature, where, prompt.json_schema, prompt.seed)
        try:
            return len(provider.encode(request).content)
        except (Exception, SystemExit) as error:
            self.problems[model.provider] = f"{type(error).__name__}: {error}"
            return None

    def _provider(self, session: e.SessionOpened, model: ModelInfo) -> Provider | None:
        name = model.provider
        if name not in self._built:
            try:
                self._built[name] = self._made(session, model)
            except OrchestrateError as error:
                self._built[name] = None
                self.problems[name] = str(error)
        return self._built[name]

    def _made(self, session: e.SessionOpened, model: ModelInfo) -> Provider | None:
        if self.place is None:
            return None
        kind = model.provider_type or model.provider
        if self.catalogue.used("provider", kind) not in session.plugins:
            raise UsageError("it is of another version than in the run")
        instances = instances_of(self.spec.providers, self.catalogue.names("provider"))
        instance = next(each for each in instances if each.name == model.provider)
        folder = str(self.place.folder)
        config = instance.config(self.spec.models, lambda name: _A_KEY, lambda name: None, folder)
        return self.catalogue.provider(instance.type, config)


@define
class Prompts:
    """Takes a run's events one by one, each with the state before it.

    Args:
        texts: of the run.
        guidance: what the scaffold of an application says for the decomposer.
        bodies: encodes requests; None: the sizes of bodies are only bounded.
    """

    texts: Texts
    guidance: Callable[[RunState, Callable[[str], str]], str] | None
    bodies: Bodies | None
    foreign: bool = False
    """Whether a session was of another program or of other rules, whose prompts were worded otherwise."""
    _session: e.SessionOpened | None = None
    _selected: dict[int, e.ModelSelected] = Factory(dict)

    def take(self, version: int, event: e.Event, state: RunState) -> Iterator[str]:
        """What is wrong with a prompt that was prepared with an event."""
        if isinstance(event, e.SessionOpened):
            self._session = event
            self.foreign = self.foreign or (event.rules, event.program) != (RULES, VERSION)
        elif isinstance(event, e.ModelSelected):
            self._selected[version] = event
        elif isinstance(event, e.CallPrepared) and event.selected in self._selected and not self.foreign:
            yield from self._check(self._selected[event.selected], event, state)

    def _check(self, selected: e.ModelSelected, event: e.CallPrepared, state: RunState) -> Iterator[str]:
        what = f"the prompt of the {selected.role.value} for {selected.node}"
        try:
            prompt = build_prompt(state, selected, self.texts.get, self.guidance)
            sent = read_prompt(self.texts.get(event.prompt))
        except (KeyError, DamagedLogError):
            return  # the check of the texts names it
        except (ValueError, TypeError, LookupError) as error:
            yield f"{what} cannot be built again: {type(error).__name__}: {error}"
            return
        if self.texts.digest(prompt.stored()) != event.prompt:
            yield f"{what} is another than follows from the texts"
        elif prompt.cut != event.cut:
            yield f"{what} leaves out of {list(prompt.cut)}, the event says {list(event.cut)}"
        elif prompt.files_cut != event.files_cut:
            yield f"{what} does not hold {prompt.files_cut} files whole, the event says {event.files_cut}"
        elif event.problem is None:
            yield from self._sized(what, selected, event, sent, state)

    def _sized(
        self, what: str, selected: e.ModelSelected, event: e.CallPrepared, sent: Prompt, state: RunState
    ) -> Iterator[str]:
        model = state.models.get(selected.model)
        if model is None or self._session is None:
            return
        least = sum(len(each.text.encode()) for each in sent.messages)
        size = None if self.bodies is None else self.bodies.size(self._session, model, selected, sent)
        if size is not None and size != event.body_bytes:
            yield f"the body of {what.removeprefix('the ')} has {size} bytes, the event says {event.body_bytes}"
        elif self.bodies is None and event.body_bytes < least:
            yield f"{what} has {least} bytes, and its body is said to have {event.body_bytes}"


def prompts_of(log: EventLog, run: str, texts: Texts, catalogue: Catalogue, *, builds: bool) -> Prompts:
    """What builds the prompts of a run again.

    Args:
        log: it has the run.
        run: its id.
        texts: of the run.
        catalogue: the installed plugins.
        builds: whether providers may be built by what the spec says, which reads the files that it names.
    """
    try:
        text = spec_of(log, run, texts)
        spec = parse_spec(json.loads(text), f"the spec of {run}")
    except (OrchestrateError, ValueError, AssertionError, StopIteration):
        return Prompts(texts, None, None)  # the check of the texts names it
    application = application_of(text, catalogue)
    place = _place(log, run, texts) if builds else None
    bodies = Bodies(catalogue, spec, place)
    return Prompts(texts, None if application is None else application.guidance, bodies)


def _place(log: EventLog, run: str, texts: Texts) -> RunPlace | None:
    try:
        return place_of(log, run, texts)
    except (OrchestrateError, ValueError, LookupError, TypeError, AssertionError):
        return None


__all__ = ["Bodies", "Prompts", "prompts_of"]
