"""The effects: what a decision calls for, performed, and brought back as one outcome each."""

import errno
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol, cast

from attrs import Factory, define, field

from orchestrator import events as e
from orchestrator.confinement import is_allowed
from orchestrator.deadlines import EscapedError
from orchestrator.deadlines.awaiting import contained
from orchestrator.engine.answers.context import files_of
from orchestrator.engine.answers.marks import cut, marks_of
from orchestrator.engine.answers.prompts import build_prompt
from orchestrator.engine.answers.requests import Prompt, read_prompt
from orchestrator.engine.answers.reuse import ResponseCache
from orchestrator.engine.answers.taking import Read, Taken, taken_in
from orchestrator.engine.applications import Application
from orchestrator.engine.batches import Batches
from orchestrator.engine.checks import Checks
from orchestrator.engine.outputs.placement import Placement
from orchestrator.engine.outputs.verification import Verifier, verified
from orchestrator.engine.ports import Ports
from orchestrator.engine.questions import Asker, QuestionAnswering, answered
from orchestrator.engine.readers import reader_of
from orchestrator.engine.replies import Replies
from orchestrator.errors import Billed, ErrorKind, ExhaustedError, MissingError, ProviderError, present
from orchestrator.models import CacheUse, Finish, Lane, ModelInfo, ScorerProblem
from orchestrator.money import Usage, Usd
from orchestrator.spi import (
    Body,
    CallContext,
    CallRef,
    Candidate,
    Provider,
    Reply,
    Request,
    Score,
    Scorer,
    ScorerContext,
    Validator,
)
from orchestrator.state.calls import Answer, CallKey, LogicalCall, Selection
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

if TYPE_CHECKING:
    import httpx

    from orchestrator.log.cache import Entries, Found

_LOGGER: Final = logging.getLogger("orchestrator.effects")

OnText = Callable[[e.CallStarted, str], None]
"""Called with a call in flight and the next piece of its visible text."""
_LONGEST_DETAILS: Final = 16_000
_LONGEST_ASSEMBLY: Final = 1_000_000
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


class TextStore(Protocol):
    """The texts of the run."""

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text for the next append, and return its digest."""

    def fingerprint(self, text: str) -> str:
        """A salted digest by which equal texts are known; nothing is stored."""

    def get(self, digest: str) -> str:
        """The text of a digest."""

    def stored(self, text: str) -> str:
        """A text as ``put`` would store it; from any thread."""

    def digest(self, text: str) -> str:
        """The digest that ``put`` would return for a text; from any thread."""


class Writer(Protocol):
    """Where files go."""

    def write(self, name: str, content: str) -> int:
        """Write a file whole or not at all; returns its size in bytes."""


@define
class Effects:
    """Performs what decisions open. Reads the state, never changes it."""

    run: str
    state: RunState
    texts: TextStore
    ports: Ports
    providers: Mapping[str, Provider]
    validators: Sequence[str]
    validator: Callable[[str], Validator]
    """The validator of a name; raises what loading it raises."""
    writer: Writer | None
    http: "httpx.AsyncClient | None"
    """None where every provider only pretends."""
    on_text: OnText = lambda call, text: None
    checks: Checks = Factory(Checks)
    task_paths: Mapping[str, str] = Factory(dict)
    """Where the user wants the files of a plan's tasks."""
    verify_cmd: str | None = None
    """The command that judges the result as a whole."""
    verifier: Verifier | None = None
    """None where there is no output folder."""
    application: Application | None = None
    scorer: Scorer | None = None
    """Gives the score of outputs, where the spec names one."""
    cache: ResponseCache | None = None
    asker: Asker | None = None
    """How a person is asked; None where none can be asked."""
    replies: Replies = Factory(Replies)
    """What other processes answer."""
    batches: Batches = field(init=False)
    _placed: tuple[int, Placement] | None = None

    @batches.default
    def _batches_of_session(self) -> Batches:
        return Batches(self.run, self.state, self.texts, self.ports, self.providers, self.http, self._batched_body)

    async def perform(self, version: int, opened: e.Event) -> e.Outcome:
        """Perform one effect and return its outcome."""
        match opened:
            case e.ModelSelected():
                return self.prepare(version, opened)
            case e.CallStarted():
                return await self._call(version, opened)
            case e.BatchStarted():
                return await self.batches.submit(version, opened)
            case e.CheckStarted():
                return await self._check(version, opened)
            case e.ProbeStarted():
                return await self._probe(version, opened)
            case e.ScoringStarted():
                return await self._score(version, opened)
            case e.OutputChosen():
                return await self._write(version, opened)
            case e.VerificationStarted():
                return await self._verify(version, opened)
            case e.QuestionAsked():
                answering = QuestionAnswering(self.state, self.texts, self.asker, self.replies)
                return await answered(answering, version, opened)
            case _:
                raise TypeError(f"{type(opened).__name__} opens no effect")

    def prepare(self, version: int, selected: e.ModelSelected) -> e.CallPrepared:
        """Build the prompt, shape the body and look into the cache; waits for nothing."""
        guidance = None if self.application is None else self.application.guidance
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
            _LOGGER.warning("%s could not shape a request: %s", self.label("provider", model.provider), said)
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
        return str(getattr(self.providers[model.provider], "base_url", None) or "")

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
        body: object = self.providers[model.provider].encode(request)
        if not isinstance(body, Body) or not isinstance(body.content, bytes):
            raise TypeError(f"encode returned {type(body).__name__}, not a Body of bytes")
        return body

    async def _call(self, version: int, started: e.CallStarted) -> e.Outcome:
        began = self.ports.monotonic()
        try:
            reply = await (self._reply(started) if started.lane is Lane.INTERACTIVE else self._collected(version))
            latency = self._latency(version, began)
            taken = await taken_in(reply.text, self._reader(started), self.texts, self.ports)
            return self._succeeded(version, started, reply, taken, latency)
        except ProviderError as error:
            return self._failed(version, started, error, self._latency(version, began))

    async def _collected(self, version: int) -> Reply:
        return self._check_reply(await self.batches.reply(version), self.state.batched[version].model.provider)

    def _batched_body(self, started: e.CallStarted, model: ModelInfo) -> Body:
        where = CallRef(started.node, started.role, started.iteration, started.sample, started.try_)
        return self._body(model, started, where)

    def _latency(self, version: int, began: float) -> int:
        """The microseconds since a call began; one of a batch may have begun in an earlier session."""
        batched = self.state.batched.get(version)
        return self._since(began) if batched is None else max(0, self.ports.clock() - batched.at)

    def _model(self, version: int, started: e.CallStarted) -> ModelInfo:
        """The model that an open call was started with."""
        batched = self.state.batched.get(version)
        return self.state.models[started.model] if batched is None else batched.model

    def _since(self, began: float) -> int:
        return max(0, round((self.ports.monotonic() - began) * 1_000_000))

    async def _reply(self, started: e.CallStarted) -> Reply:
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
            http=cast("httpx.AsyncClient", self.http),  # simulated providers do not use it
            timeout=seconds,
            sleep=self.ports.sleep,
            idempotency_key=_key(logical, started.model, body.content),
            on_text=lambda text: self.on_text(started, text),
        )
        provider = self.providers[started.provider]
        try:
            reply: object = await contained(lambda: provider.call(body, context), seconds)
        except ProviderError as error:
            if isinstance(error.kind, ErrorKind) and isinstance(error.billed, Billed):
                raise self._reached_nothing(error) from error.__cause__
            text = f"{self.label('provider', started.provider)} raised an error of no known kind: {error}"
            raise ProviderError(text, kind=ErrorKind.PLUGIN, retryable=True) from error
        except TimeoutError as error:
            text = f"no answer within {seconds:g} s"
            raise ProviderError(text, kind=ErrorKind.TIMEOUT, retryable=True) from error
        except ExhaustedError as error:
            raise ProviderError(str(error), kind=ErrorKind.UNSENT, retryable=True, billed=Billed.NO) from error
        except Exception as error:
            said = str(error) if isinstance(error, EscapedError) else f"{type(error).__name__}: {error}"
            text = f"{self.label('provider', started.provider)} raised {said}"
            raise ProviderError(text, kind=ErrorKind.PLUGIN, retryable=True) from error
        return self._check_reply(reply, started.provider)

    def _check_reply(self, reply: object, provider: str) -> Reply:
        if not isinstance(reply, Reply) or not isinstance(reply.text, str):
            text = f"{self.label('provider', provider)} returned {type(reply).__name__}, not a Reply"
            raise ProviderError(text, kind=ErrorKind.PLUGIN)
        return reply

    def _reached_nothing(self, error: ProviderError) -> ProviderError:
        """A provider's error; where no connection was made, with what the client knows of the reason."""
        if self.http is None or error.kind is not ErrorKind.CONNECTION:
            return error
        from orchestrator.engine.vendors.reaching import as_unreachable

        return as_unreachable(error)

    def label(self, kind: str, name: str) -> str:
        """Whose plugin it is, with its distribution and version, as the session has them."""
        used = self.state.session.plugins if self.state.session is not None else ()
        if kind == "provider":
            name = (
                next((each.provider_type for each in self.state.models.values() if each.provider == name), None) or name
            )
        return next(
            (
                each.label
                for each in used
                if each.kind == kind and name in (each.name, f"{each.distribution}:{each.name}")
            ),
            f"the {kind} {name!r}",
        )

    def _body(self, model: ModelInfo, started: e.CallStarted, where: CallRef) -> Body:
        prepared = self._prepared(started)
        try:
            body = self._encode(model, self._sent(prepared), started.max_tokens, where)
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}"
            text = f"{self.label('provider', started.provider)} could not shape the request: {said}"
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
        usage = _believable(reply)
        settled, unreconciled = self._settle(version, started, usage)
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
        )

    def _reader(self, call: e.ModelSelected | e.CallStarted) -> Read:
        """Reads answers to a call; it looks at nothing that changes, so that a thread may call it."""
        return reader_of(self.state, self.texts, self._placement(), call, self.validators, self.task_paths)

    def _settle(self, version: int, started: e.CallStarted, usage: Usage | None) -> tuple[Usd, Usd]:
        """(settled, unreconciled): the exact cost, or the hold where it is unknown."""
        price = self._model(version, started).price_in(started.lane)
        if usage is None or price is None:
            return Usd.ZERO, started.hold
        return price.cost(usage, self.ports.clock()), Usd.ZERO

    def _failed(self, version: int, started: e.CallStarted, error: ProviderError, latency: int) -> e.CallFailed:
        settled, unreconciled = self._cost_of_failure(version, started, error)
        return e.CallFailed(
            call=version,
            kind=error.kind,
            retryable=error.retryable,
            outage=error.kind not in _NO_OUTAGE and not self._is_unreachable(version, started, error),
            by_vendor=error.kind is not ErrorKind.CANCELLED and not self._is_unreachable(version, started, error),
            settled=settled,
            unreconciled=unreconciled,
            retry_after=_microseconds(error.retry_after),
            status=error.status,
            error=self.texts.put(cut(str(error), _LONGEST_DETAILS), shapes=True),
            latency=latency,
        )

    def _cost_of_failure(self, version: int, started: e.CallStarted, error: ProviderError) -> tuple[Usd, Usd]:
        """(settled, unreconciled): nothing where the vendor certainly bills nothing."""
        if error.billed is Billed.NO:
            return Usd.ZERO, Usd.ZERO
        usage = error.usage if error.usage is not None and error.usage.is_sane else None
        return self._settle(version, started, usage)

    def _is_unreachable(self, version: int, started: e.CallStarted, error: ProviderError) -> bool:
        """Whether nothing but the way to the vendor has failed: then no attempt of the call is used up."""
        has_host = self._model(version, started).host is not None
        return error.kind is ErrorKind.UNREACHABLE and error.billed is Billed.NO and has_host

    async def _check(self, version: int, started: e.CheckStarted) -> e.Validated:
        began = self.ports.monotonic()
        task = self.state.tasks[started.task]
        candidate = self._candidate(task, self.texts.get(_answer(task, started.call).digest))
        label = self.label("validator", started.validator)
        offload = self.ports.offload_foreign
        finding, sandbox = await self.checks.judge(started.validator, self.validator, candidate, offload, label)
        return e.Validated(
            check=version,
            verdict=finding.verdict,
            details=self.texts.put(cut(finding.details, _LONGEST_DETAILS)) if finding.details else None,
            latency=self._since(began),
            sandbox=sandbox,
            permanent=finding.permanent,
            vote=started.vote,
            passed_tests=finding.passed_tests,
            total_tests=finding.total_tests,
        )

    async def _probe(self, version: int, started: e.ProbeStarted) -> e.Probed:
        began, task = self.ports.monotonic(), self.state.tasks[started.task]
        candidate = self._candidate(task, self.texts.get(_answer(task, started.call).digest))
        found = _answer(task, started.critique).reading.defects or ()
        defects = [json.loads(self.texts.get(defect.text)) if defect.counterexample else {} for defect in found]
        results, sandbox = await self.checks.probe(candidate, defects, self.ports.offload_foreign)
        return e.Probed(version, results, self._since(began), sandbox)

    async def _score(self, version: int, started: e.ScoringStarted) -> e.Scored:
        began, task = self.ports.monotonic(), self.state.tasks[started.task]
        if self.scorer is None:  # the decision is of an earlier session, which had one
            return e.Scored(version, None, ScorerProblem.ABSENT, None, 0)
        candidate = self._candidate(task, self.texts.get(_answer(task, started.call).digest))
        given = ScorerContext(self.texts.get(task.planned.prompt), self.texts.get(self.state.first.criteria))
        label = self.label("scorer", started.scorer)
        offload = self.ports.offload_foreign
        found, said, sandbox = await self.checks.score(self.scorer, candidate, given, offload, label)
        if isinstance(found, ScorerProblem):
            _LOGGER.warning("%s: %s", started.task, said)
        return e.Scored(
            scoring=version,
            score=found.value if isinstance(found, Score) else None,
            problem=found if isinstance(found, ScorerProblem) else None,
            reasons=self.texts.put(cut(said, _LONGEST_DETAILS)) if said else None,
            latency=self._since(began),
            sandbox=sandbox,
        )

    def _candidate(self, task: TaskState, text: str) -> Candidate:
        planned = task.planned
        files = self._placement().files_of(task, text)
        return Candidate(
            task=task.name,
            type=planned.type,
            text=text,
            content=next(iter(files.values()), ""),
            schema=json.loads(self.texts.get(planned.schema)) if planned.schema else None,
            files=files,
            tests=self.texts.get(planned.tests) if planned.tests else None,
            dependencies={**self._given(task), **self._placement().dependencies(task)},
        )

    def _given(self, task: TaskState) -> dict[str, str]:
        """The user's files that a task needs, by name, where they may be laid beside its output."""
        given = ((self.texts.get(each.name), each.text) for each in files_of(self.state, task.planned))
        return {name: self.texts.get(text) for name, text in given if is_allowed(name)}

    def _placement(self) -> Placement:
        """Where the files of the tasks go; what it has looked up is kept."""
        if self._placed is None or self._placed[0] != self.state.plan_version:
            self._placed = self.state.plan_version, Placement(self.state, self.texts.get)
        return self._placed[1]

    async def _write(self, version: int, chosen: e.OutputChosen) -> e.FileWritten:
        files, writer = self._placement().files(self.state.tasks[chosen.task]), self.writer
        if writer is None:
            return e.FileWritten(version, 0, "no_folder")
        try:
            size = await self.ports.offload(lambda: sum(writer.write(name, text) for name, text in files.items()))
        except OSError as error:
            return e.FileWritten(version, 0, errno.errorcode.get(error.errno or 0, "OSError"))
        return e.FileWritten(version, size, None)

    async def _verify(self, version: int, started: e.VerificationStarted) -> e.ResultVerified:
        began, command = self.ports.monotonic(), self.verify_cmd
        longest = _LONGEST_DETAILS
        if self.application is not None:
            command, longest = command or "", _LONGEST_ASSEMBLY  # it is judged by its own trial as well
        tasks = [self.state.tasks[name] for name in self.state.execution_order]
        outputs = {name: text for task in tasks for name, text in self._placement().files(task).items()}
        seconds = started.timeout / 1_000_000
        found = await verified(self.verifier, command, outputs, seconds, self.ports.offload_foreign)
        return e.ResultVerified(
            verification=version,
            verdict=found.verdict,
            command=self.texts.put(command) if command else None,
            code=found.code,
            problem=found.problem,
            details=self.texts.put(cut(found.output, longest)) if found.output else None,
            latency=self._since(began),
            sandbox=found.sandbox,
        )


def _answer(task: TaskState, version: int) -> Answer:
    """The answer of a task whose identity is that version."""
    return next(answer for call in task.calls.values() for answer in call.answers if answer.version == version)


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


def _believable(reply: Reply) -> Usage | None:
    """The usage, or None where it is missing or absurd: no tokens for a text, or no input at all."""
    usage = reply.usage
    if not isinstance(usage, Usage) or not usage.is_sane or usage.input_tokens == 0:
        return None
    return None if reply.text and usage.output_tokens == 0 else usage


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
