"""What is asked of models: a request prepared, sent, its answer read and settled."""

import logging
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from attrs import define, field

from orchestrator import events as e
from orchestrator.deadlines import EscapedError
from orchestrator.deadlines.awaiting import contained
from orchestrator.engine.answer_readers import reader_of
from orchestrator.engine.answers.cached_answers import ResponseCache
from orchestrator.engine.answers.prompt_marks import cut, marks_of
from orchestrator.engine.answers.prompts_by_role import build_prompt
from orchestrator.engine.answers.stored_prompts import Prompt, read_prompt
from orchestrator.engine.answers.timed_reading import Read, Taken, taken_in
from orchestrator.engine.batches import Batches
from orchestrator.engine.call_costs import believable_usage, cost_of_call, cost_of_failure
from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.engine.ports import Ports
from orchestrator.engine.resources import Resources, TextStore
from orchestrator.engine.session_pace import SharedPace
from orchestrator.errors import Billed, ErrorKind, ExhaustedError, MissingError, ProviderError, present
from orchestrator.models import CacheUse, Finish, Lane, ModelInfo
from orchestrator.money import Usd
from orchestrator.spi import Body, CallContext, CallRef, Reply, Request
from orchestrator.state.calls import CallKey, LogicalCall, Selection
from orchestrator.state.run import RunState

if TYPE_CHECKING:
    import httpx

    from orchestrator.ledger.cache import Entries, Found

_LOGGER: Final = logging.getLogger("orchestrator.effects")
LONGEST_DETAILS: Final = 16_000
"""Characters that are kept of what is said of a failure or a check."""
_NO_OUTAGE: Final = frozenset(
    {
        ErrorKind.RATE_LIMIT,
        ErrorKind.CONTENT_FILTER,
        ErrorKind.BAD_REQUEST,
        ErrorKind.CONTEXT_LENGTH,
        ErrorKind.QUOTA,
        ErrorKind.AUTHENTICATION,
        ErrorKind.UNKNOWN_MODEL,
        ErrorKind.UNSENT,
        ErrorKind.CANCELLED,
    }
)


@define
class Calls:
    """Prepares and makes calls. Reads the state, never changes it."""

    run: str
    state: RunState
    texts: TextStore
    ports: Ports
    resources: Resources
    placement: Placement
    """Where the files of the tasks go; what it has looked up is kept."""
    cache: ResponseCache | None = None
    batches: Batches = field(init=False)
    """Those that calls of the lane ``batch`` are in."""
    pace: SharedPace = field(init=False)
    """What the calls take of the paces of all runs."""
    reading: set[int] = field(factory=set, init=False)
    """The calls whose answers are there and are being read."""

    def __attrs_post_init__(self) -> None:
        providers, http = self.resources.connected.providers, self.resources.http
        self.batches = Batches(self.run, self.state, self.texts, self.ports, providers, http, self._batched_body)
        self.pace = SharedPace(self.state)

    def prepare(self, version: int, selected: e.ModelSelected) -> e.CallPrepared:
        """Build the prompt, shape the body and look into the cache; waits for nothing."""
        guidance = None if self.resources.application is None else self.resources.application.guidance
        prompt = build_prompt(self.state, selected, self.texts.get, guidance)
        stored = self.texts.put(prompt.stored())
        model = self.state.models.get(selected.model)
        if model is None:  # selected in an earlier session, which had it
            return e.CallPrepared(version, stored, 0, "no_model")
        key = CallKey(selected.node, selected.role, selected.iteration, selected.sample)
        try:
            body = self._encode(model, self._sent(stored), _largest(selected), CallRef(*key, 1))
        except (Exception, SystemExit) as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            _LOGGER.warning("%s could not shape a request: %s", label_of(self.state, "provider", model.provider), said)
            return e.CallPrepared(version, stored, 0, "not_encoded")
        if self.cache is None or not self.state.settings.cache:
            return e.CallPrepared(version, stored, len(body.content), cut=prompt.cut, files_cut=prompt.files_cut)
        cache_key = self._cache_key(model, key, stored, _largest(selected))
        found = None if cache_key is None else self.cache.find(version, cache_key)
        reused = None if found is None else self._reused(selected, *found)
        cache = CacheUse.HIT if reused else CacheUse.MISS
        return e.CallPrepared(
            version,
            stored,
            len(body.content),
            cache=cache,
            reused=reused,
            cut=prompt.cut,
            files_cut=prompt.files_cut,
        )

    def _address(self, model: ModelInfo) -> str:
        """Where a model is asked: two servers may have models of one name."""
        return str(getattr(self.resources.connected.providers[model.provider], "base_url", None) or "")

    def _reused(self, selected: e.ModelSelected, found: "Found", text: str) -> e.Reused | None:
        """Another run's answer as this one's, read again: another set of validators may be installed."""
        digest = self.texts.put(text)
        text = self.texts.get(digest)
        try:
            reading = self._reader(selected)(text, self.texts.put)
        except Exception as error:
            _LOGGER.warning("an answer of %s cannot be read again: %s", found.run, type(error).__name__)
            return None
        if reading.problem is not None:
            return None
        return e.Reused(found.run, found.call, digest, len(text.encode()), found.answer.finish, reading)

    def reusable(self, events: Sequence[e.Event]) -> "Entries | None":
        """What events that are about to be appended make reusable for other runs."""
        if self.cache is None or self.state.start is None or not self.state.settings.cache:
            return None
        if self.state.settings.encrypt:  # another run would hold the answer without this one's key
            return None
        return self.cache.entries(self.state, events, self._key_of)

    def _key_of(self, call: LogicalCall) -> str | None:
        """The cache key of a call that was prepared in an earlier session."""
        selection, prepared = call.selections[-1], call.prepared
        model = self.state.models.get(selection.model)
        if self.cache is None or model is None or prepared is None:
            return None
        return self._cache_key(model, call.key, prepared.prompt, _largest(selection))

    def _cache_key(self, model: ModelInfo, key: CallKey, stored: str, most: int) -> str | None:
        """The cache key of a stored prompt, equal in all runs that send it; None where it cannot be shaped."""
        if self.cache is None:
            raise MissingError("cache")
        tag = marks_of(self.state.first.seed, key.node).tag
        try:
            body = self._encode(model, self._sent(stored).compared(tag), most, CallRef(*key, 1))
        except (Exception, SystemExit):
            return None
        return self.cache.key(model, self._address(model), key, body.content)

    def _sent(self, stored: str) -> Prompt:
        """A stored prompt, read back, so that a resumed call sends what was held for, and the log has what is sent."""
        return read_prompt(self.texts.get(stored))

    def _encode(self, model: ModelInfo, prompt: Prompt, max_tokens: int, where: CallRef) -> Body:
        """The body of a prompt."""
        request = Request(
            model, prompt.messages, max_tokens, prompt.temperature, where, prompt.json_schema, prompt.seed
        )
        body: object = self.resources.connected.providers[model.provider].encode(request)
        if not isinstance(body, Body) or not isinstance(body.content, bytes):
            raise TypeError(f"encode returned {type(body).__name__}, not a Body of bytes")
        return body

    async def call(self, version: int, started: e.CallStarted) -> e.Outcome:
        """Ask the model, read its answer, and settle what it cost."""
        began = self.ports.monotonic()
        try:
            is_alone = started.lane is Lane.INTERACTIVE
            reply = await (self._reply(started) if is_alone else self.batches.reply(version))
            reply = self._check_reply(reply, started)
            latency = self._latency(version, began)
            self.reading.add(version)
            taken = await taken_in(reply.text, self._reader(started), self.texts, self.ports)
            return self._succeeded(version, started, reply, taken, latency)
        except ProviderError as error:
            return self._failed(version, started, error, self._latency(version, began))
        finally:
            self.reading.discard(version)

    def _latency(self, version: int, began: float) -> int:
        """The microseconds since a call began; one of a batch may have begun in an earlier session."""
        batched = self.state.batched.get(version)
        return since(self.ports, began) if batched is None else max(0, self.ports.clock() - batched.at)

    def _model(self, version: int, started: e.CallStarted) -> ModelInfo:
        """The model that an open call was started with."""
        batched = self.state.batched.get(version)
        return self.state.models[started.model] if batched is None else batched.model

    def _batched_body(self, started: e.CallStarted, model: ModelInfo) -> Body:
        where = CallRef(started.node, started.role, started.iteration, started.sample, started.try_)
        return self._body(model, started, where)

    async def _reply(self, started: e.CallStarted) -> object:
        """The provider's reply.

        Raises:
            ProviderError: whatever went wrong, classified.
        """
        model = self.state.models[started.model]
        where = CallRef(started.node, started.role, started.iteration, started.sample, started.try_)
        body = self._body(model, started, where)
        seconds = started.timeout / 1_000_000
        logical = f"{self.run}/{started.node}/{started.role.value}/{started.iteration}/{started.sample}"
        context = CallContext(
            http=cast("httpx.AsyncClient", self.resources.http),  # simulated providers do not use it
            timeout=seconds,
            sleep=self.ports.sleep,
            idempotency_key=_key(logical, started.model, body.content),
            on_text=lambda text: self.resources.on_text(started, text),
        )
        provider = self.resources.connected.providers[started.provider]
        try:
            return cast("object", await contained(lambda: provider.call(body, context), seconds))
        except ProviderError as error:
            if isinstance(error.kind, ErrorKind) and isinstance(error.billed, Billed):
                raise self._reached_nothing(error) from error.__cause__
            text = f"{label_of(self.state, 'provider', started.provider)} raised an error of no known kind: {error}"
            raise ProviderError(text, kind=ErrorKind.PLUGIN, retryable=True) from error
        except TimeoutError as error:
            text = f"no answer within {seconds:g} s"
            raise ProviderError(text, kind=ErrorKind.TIMEOUT, retryable=True) from error
        except ExhaustedError as error:
            raise ProviderError(str(error), kind=ErrorKind.UNSENT, retryable=True, billed=Billed.NO) from error
        except Exception as error:
            said = str(error) if isinstance(error, EscapedError) else f"{type(error).__name__}: {error}"
            text = f"{label_of(self.state, 'provider', started.provider)} raised {said}"
            raise ProviderError(text, kind=ErrorKind.PLUGIN, retryable=True) from error

    def _check_reply(self, reply: object, started: e.CallStarted) -> Reply:
        if not isinstance(reply, Reply) or not isinstance(reply.text, str):
            text = f"{label_of(self.state, 'provider', started.provider)} returned {type(reply).__name__}, not a Reply"
            raise ProviderError(text, kind=ErrorKind.PLUGIN)
        return reply

    def _reached_nothing(self, error: ProviderError) -> ProviderError:
        """A provider's error; where no connection was made, with what the client knows of the reason."""
        if self.resources.http is None or error.kind is not ErrorKind.CONNECTION:
            return error
        from orchestrator.engine.vendors.connection_errors import as_unreachable

        return as_unreachable(error)

    def _body(self, model: ModelInfo, started: e.CallStarted, where: CallRef) -> Body:
        prepared = self._prepared(started)
        try:
            body = self._encode(model, self._sent(prepared), started.max_tokens, where)
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}"
            text = f"{label_of(self.state, 'provider', started.provider)} could not shape the request: {said}"
            raise ProviderError(text, kind=ErrorKind.UNSENT, billed=Billed.NO) from error
        if len(body.content) > started.body_bytes:
            text = f"the request has {len(body.content)} bytes, {started.body_bytes} are held; it was not sent"
            raise ProviderError(text, kind=ErrorKind.UNSENT, billed=Billed.NO)
        return body

    def _prepared(self, started: e.CallStarted) -> str:
        node = self.state.node(started.node)
        call = present(node.call(started.role, started.iteration, started.sample), "call")
        if call.prepared is None:
            raise MissingError("prepared call")
        return call.prepared.prompt

    def _succeeded(
        self, version: int, started: e.CallStarted, reply: Reply, taken: Taken, latency: int
    ) -> e.CallSucceeded:
        usage = believable_usage(reply)
        settled, unreconciled = cost_of_call(self._model(version, started), started, usage, self.ports.clock)
        return e.CallSucceeded(
            call=version,
            answer=taken.answer,
            answer_bytes=taken.size,
            finish=reply.finish if isinstance(reply.finish, Finish) else Finish.OTHER,
            reading=taken.reading,
            usage=usage,
            settled=settled,
            unreconciled=unreconciled,
            latency=latency,
            request_id=self.texts.put(str(reply.request_id), shapes=True) if reply.request_id else None,
            thoughts=taken.thoughts,
            allowances=self.pace.news(started, reply.allowances),
        )

    def _reader(self, call: e.ModelSelected | e.CallStarted) -> Read:
        """Reads answers to a call; it looks at nothing that changes, so that a thread may call it."""
        return reader_of(
            self.state, self.texts, self.placement, call, self.resources.connected.validators, self.resources.task_paths
        )

    def _failed(self, version: int, started: e.CallStarted, error: ProviderError, latency: int) -> e.CallFailed:
        settled, unreconciled = cost_of_failure(self._model(version, started), started, error, self.ports.clock)
        unreachable = self._is_unreachable(version, started, error)
        return e.CallFailed(
            call=version,
            kind=error.kind,
            retryable=error.retryable,
            outage=error.kind not in _NO_OUTAGE and not unreachable,
            by_vendor=error.kind is not ErrorKind.CANCELLED and not unreachable,
            settled=settled,
            unreconciled=unreconciled,
            retry_after=_microseconds(error.retry_after),
            status=error.status,
            error=self.texts.put(cut(str(error), LONGEST_DETAILS), shapes=True),
            latency=latency,
        )

    def _is_unreachable(self, version: int, started: e.CallStarted, error: ProviderError) -> bool:
        """Whether nothing but the way to the vendor has failed: then no attempt of the call is used up."""
        has_host = self._model(version, started).host is not None
        return error.kind is ErrorKind.UNREACHABLE and error.billed is Billed.NO and has_host


def label_of(state: RunState, kind: str, name: str) -> str:
    """Whose plugin it is, with its distribution and version, as the session has them."""
    used = state.session.plugins if state.session is not None else ()
    if kind == "provider":
        name = next((each.provider_type for each in state.models.values() if each.provider == name), None) or name
    return next(
        (each.label for each in used if each.kind == kind and name in (each.name, f"{each.distribution}:{each.name}")),
        f"the {kind} {name!r}",
    )


def since(ports: Ports, began: float) -> int:
    """The microseconds that have gone by."""
    return max(0, round((ports.monotonic() - began) * 1_000_000))


def cancelled(version: int, started: e.CallStarted) -> e.CallFailed:
    """The outcome of a call that was ended here: what was billed is unknown, so its hold is unreconciled."""
    return e.CallFailed(
        call=version,
        kind=ErrorKind.CANCELLED,
        retryable=True,
        outage=False,
        by_vendor=False,
        settled=Usd.ZERO,
        unreconciled=started.hold,
        retry_after=None,
        status=None,
        error=None,
        latency=0,
    )


def _largest(selected: e.ModelSelected | Selection) -> int:
    """The largest limit that a selected model may be called with."""
    return max(selected.max_tokens, selected.most_tokens)


def _microseconds(seconds: float | None) -> int | None:
    """A wait a vendor asked for, where it is a sensible number; bounded, the decision bounds it further."""
    if seconds is None or not 0 <= seconds < 10_000_000:
        return None
    return round(seconds * 1_000_000)


def _key(logical: str, model: str, body: bytes) -> str:
    """SHA-256 of (logical call, model, body digest)."""
    return sha256(f"{logical}\x1f{model}\x1f{sha256(body).hexdigest()}".encode()).hexdigest()
