"""Plugins with one bug each, and the test of the contract that must notice; beside each kind a sound one."""

import asyncio
import itertools
import json
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx
from attrs import evolve, frozen

from orchestrator import spi
from orchestrator.errors import SandboxError, SpecError
from orchestrator.models import TaskType
from orchestrator.spi import (
    App,
    Billed,
    Body,
    CallContext,
    Candidate,
    ErrorKind,
    Exporter,
    Finding,
    Finish,
    Metrics,
    ModelInfo,
    ModelTelemetry,
    ProviderConfig,
    ProviderError,
    Ranked,
    Reply,
    Request,
    RoutingCandidate,
    RunEvent,
    Skeleton,
    Usage,
    ValidatorContext,
    Verdict,
)
from orchestrator.testing import (
    BackendContract,
    ExporterContract,
    LoaderContract,
    PluginContract,
    ProviderContract,
    Recording,
    ScaffoldContract,
    ValidatorContract,
)


@frozen
class Bug:
    """A planted bug: a suite of a plugin that has it, and the test that must fail."""

    name: str
    suite: type[PluginContract]
    noticed_by: str


def _suite(base: type[PluginContract], make: Callable[..., object]) -> type[PluginContract]:
    """The suite of what ``make`` gives."""
    return type("Planted", (base,), {"make": lambda self, *given: make(*given)})


# ── validators ─────────────────────────────────────────────────────────────────────────────────────────────────

GOOD: Final = Candidate("t", TaskType.SUMMARIZATION, "good news", "good news")
BAD: Final = Candidate("t", TaskType.SUMMARIZATION, "bad", "bad")


def judge(candidate: Candidate, context: ValidatorContext) -> Finding:
    """A sound validator that asks a tool."""
    linter = context.tool("lint")
    if linter is None:
        return Finding.skipped("lint is not installed")
    if "good" not in candidate.content:
        return Finding.failed("say something good")
    try:
        ran = context.run((linter, "-"), {"x": b""}, seconds=min(5.0, context.timeout), executes=False)
    except SandboxError:
        return Finding.unknown("no sandbox")
    return Finding.passed() if ran.code in (0, 1) else Finding.unknown("lint was ended")


class SoundValidator(ValidatorContract):
    """The suite of the sound validator."""

    passing: ClassVar[Sequence[Candidate]] = (GOOD,)
    failing: ClassVar[Sequence[Candidate]] = (BAD,)

    def make(self) -> spi.Validator:
        """The sound one."""
        return judge

    def _real(self) -> ValidatorContext:
        return ValidatorContext(30.0, lambda *a, **k: spi.Ran(0, ""), {}, lambda name: "/usr/bin/lint")


def _with_tool(candidate: Candidate, context: ValidatorContext, **options: Any) -> Finding:
    tool = context.tool("lint") or "lint"
    try:
        context.run((tool,), {}, **options)
    except SandboxError:
        return Finding.passed()
    return Finding.passed()


def _odd(value: Any) -> Any:
    return value


def _mutating(candidate: Candidate, context: ValidatorContext) -> Finding:
    candidate.files.clear()  # type: ignore[attr-defined]
    return Finding.passed()


def _writing(candidate: Candidate, context: ValidatorContext) -> Finding:
    Path("left.txt").write_text("x")
    return Finding.passed()


def _printing(candidate: Candidate, context: ValidatorContext) -> Finding:
    print("checking")  # noqa: T201
    return Finding.passed()


def _quitting(candidate: Candidate, context: ValidatorContext) -> Finding:
    return Finding.passed() if candidate.content.strip() else sys.exit("nothing to judge")


_COUNT: Final = itertools.count()
_HOSTILE: Final = "test_hostile_outputs_get_a_verdict"
VALIDATORS: Final[Mapping[str, tuple[Callable[..., Any], str]]] = {
    "raises on odd text": (lambda c, x: Finding.passed(str(c.content.encode())[:0]), _HOSTILE),
    "recurses into nesting": (lambda c, x: Finding.passed(str(json.loads(c.content or "1"))[:0]), _HOSTILE),
    "returns a bool": (lambda c, x: True, _HOSTILE),
    "returns None": (lambda c, x: None, _HOSTILE),
    "verdict is text": (lambda c, x: Finding(_odd("fine"), ""), _HOSTILE),
    "details are a list": (lambda c, x: Finding(Verdict.FAILED, _odd(["wrong"])), _HOSTILE),
    "fails without a word": (lambda c, x: Finding.failed(" "), _HOSTILE),
    "calls sys.exit": (_quitting, _HOSTILE),
    "draws": (lambda c, x: Finding.failed(str(random.random())), "test_equal_outputs_get_equal_verdicts"),
    "counts": (lambda c, x: Finding.failed(f"no {next(_COUNT)}"), "test_equal_outputs_get_equal_verdicts"),
    "passes what is bad": (lambda c, x: Finding.passed(), "test_good_and_bad_outputs_are_told_apart"),
    "fails what is good": (lambda c, x: Finding.failed("no"), "test_good_and_bad_outputs_are_told_apart"),
    "changes the files": (_mutating, "test_its_arguments_stay_as_they_are"),
    "prints": (_printing, "test_it_leaves_nothing_behind"),
    "writes a file": (_writing, "test_it_leaves_nothing_behind"),
    "passes without its tool": (lambda c, x: _with_tool(c, x), "test_a_missing_tool_is_said"),
    "passes without a sandbox": (lambda c, x: _with_tool(c, x), "test_a_tool_that_was_ended_proves_nothing"),
    "takes more time than it has": (lambda c, x: _with_tool(c, x, seconds=60.0), "test_it_keeps_to_its_time"),
    "runs a bare name": (lambda c, x: Finding.unknown(str(x.run(("lint",), {}).code)), "test_it_keeps_to_its_time"),
}

# ── backends ───────────────────────────────────────────────────────────────────────────────────────────────────

Candidates = Sequence[RoutingCandidate]
Telemetry = Mapping[str, ModelTelemetry]


class Backend:
    """A sound backend: the row's order."""

    def rank(self, candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
        """By place."""
        return [Ranked(each.model, -float(each.place)) for each in sorted(candidates, key=lambda each: each.place)]


class SoundBackend(BackendContract):
    """The suite of the sound backend."""

    shrinks: ClassVar[bool] = False

    def make(self) -> Backend:
        """The sound one."""
        return Backend()


def _backend(rank: Callable[[Candidates, Telemetry], Any]) -> Callable[[], object]:
    return lambda: type("Planted", (), {"rank": lambda self, candidates, telemetry: rank(candidates, telemetry)})()


def _placed(candidates: Candidates) -> list[Ranked]:
    return list(Backend().rank(candidates, {}))


def _clearing(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    ranking = _placed(candidates)
    telemetry.clear()  # type: ignore[attr-defined]
    return ranking


def _sorting_in_place(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    if isinstance(candidates, list):
        candidates.reverse()
    return _placed(candidates)


def _remembering() -> object:
    seen: dict[str, int] = {}

    def rank(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
        for each in candidates:
            seen[each.model] = seen.get(each.model, 0) + each.place
        return sorted((Ranked(each.model, -float(seen[each.model])) for each in candidates), key=lambda r: -r.score)

    return _backend(rank)()


def _shuffled(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    ranking = _placed(candidates)
    random.shuffle(ranking)
    return ranking


_BEGAN: Final = time.time()


def _by_clock(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    ranking = _placed(candidates)
    return ranking if time.time() < _BEGAN + 1e7 or not ranking else [*ranking[1:], ranking[0]]


def _sleeping(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    if len(candidates) > 100:
        time.sleep(1.5)
    return _placed(candidates)


def _printing_backend(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    print(len(candidates))  # noqa: T201
    return _placed(candidates)


_PLACES: Final = "test_every_candidate_has_one_place"
_EQUAL: Final = "test_equal_arguments_give_equal_rankings"
BACKENDS: Final[Mapping[str, tuple[Callable[[], object], str]]] = {
    "leaves the last out": (_backend(lambda c, t: _placed(c)[:-1] or _placed(c)), _PLACES),
    "names one twice": (_backend(lambda c, t: [*_placed(c), *_placed(c)[:1]]), _PLACES),
    "invents a model": (_backend(lambda c, t: [*_placed(c), Ranked("better", 1.0)]), _PLACES),
    "scores with NaN": (_backend(lambda c, t: [evolve(each, score=float("nan")) for each in _placed(c)]), _PLACES),
    "raises on the unmeasured": (
        _backend(
            lambda c, t: (
                [*_placed(c), t[""]] if not c else [r for r in _placed(c) if _odd(t[r.model].quality) > -1 or True]
            )
        ),
        _PLACES,
    ),
    "returns names": (_backend(lambda c, t: [each.model for each in c]), _PLACES),
    "raises on nobody": (_backend(lambda c, t: [c[0], *_placed(c)][1:]), "test_nobody_is_ranked_where_there_is_nobody"),
    "invents one for nobody": (
        _backend(lambda c, t: _placed(c) or [Ranked("m", 1)]),
        "test_nobody_is_ranked_where_there_is_nobody",
    ),
    "shuffles": (_backend(_shuffled), _EQUAL),
    "remembers": (_remembering, _EQUAL),
    "keeps the order it is given": (
        _backend(lambda c, t: [Ranked(each.model, -float(n)) for n, each in enumerate(c)]),
        "test_the_order_of_the_arguments_is_no_argument",
    ),
    "sorts in place": (_backend(_sorting_in_place), "test_its_arguments_stay_as_they_are"),
    "clears the telemetry": (_backend(_clearing), "test_its_arguments_stay_as_they_are"),
    "looks at the clock": (_backend(_by_clock), "test_no_clock_has_a_say"),
    "is slow with many": (_backend(_sleeping), "test_it_comes_back_in_time"),
    "prints": (_backend(_printing_backend), "test_it_touches_nothing"),
    "leaves some out in a run": (
        _backend(lambda c, t: _placed(c)[:1]),
        "test_under_the_rules_nobody_forbidden_is_asked",
    ),
}

# ── policy loaders ─────────────────────────────────────────────────────────────────────────────────────────────


class Loader:
    """A sound loader of lines ``name=value``."""

    suffixes: tuple[str, ...] = (".pol",)

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
        """One mapping of texts."""
        data: dict[str, Any] = {}
        lines: dict[tuple[str | int, ...], int] = {}
        for number, line in enumerate(text.split("\n"), 1):
            name, equals, value = line.partition("=")
            if equals:
                data[name], lines[name,] = value, number
            elif line.strip():
                raise SpecError([f"{source}:{number}: write NAME=VALUE"])
        return data, lines


class SoundLoader(LoaderContract):
    """The suite of the sound loader."""

    samples: ClassVar[Sequence[tuple[str, Mapping[str, Any]]]] = (("a=1\n\nb=2\n", {"a": "1", "b": "2"}),)

    def make(self) -> spi.Loader:
        """The sound one."""
        return Loader()


def _loader(load: Callable[[str, str], Any], suffixes: Any = (".pol",)) -> Callable[[], object]:
    planted = {"suffixes": suffixes, "load": lambda self, text, source: load(text, source)}
    return lambda: type("Planted", (), planted)()


def _evaluating(text: str, source: str) -> Any:
    try:
        eval(text)
    except BaseException:
        return {}, {}
    return {}, {}


def _shouting(text: str, source: str) -> Any:
    print(source)  # noqa: T201
    return {}, {}


def _refusing(what: str) -> Callable[[str, str], Any]:
    def load(text: str, source: str) -> Any:
        raise SpecError([what])

    return load


_SHARED: Final[dict[str, Any]] = {}
_ANY: Final = "test_any_text_is_read_or_refused_with_a_line"
LOADERS: Final[Mapping[str, tuple[Callable[[], object], str]]] = {
    "raises what its parser raises": (_loader(lambda text, source: (json.loads(text), {})), _ANY),
    "says no line": (_loader(_refusing("wrong")), _ANY),
    "returns a list": (_loader(lambda text, source: ([], {})), _ANY),
    "returns objects": (_loader(lambda text, source: ({"a": object()}, {})), _ANY),
    "reads a sample wrongly": (_loader(lambda text, source: ({"a": "2"}, {})), "test_samples_are_read"),
    "names a line behind the end": (
        _loader(lambda text, source: ({"a": "1", "b": "2"}, {("a",): 9})),
        "test_samples_are_read",
    ),
    "names a path that is not there": (
        _loader(lambda text, source: ({"a": "1", "b": "2"}, {("z",): 1})),
        "test_samples_are_read",
    ),
    "hands out one mapping": (_loader(lambda text, source: (_SHARED, {})), "test_equal_texts_give_equal_data"),
    "draws": (_loader(lambda text, source: ({"a": random.random()}, {})), "test_equal_texts_give_equal_data"),
    "evaluates": (_loader(_evaluating), "test_a_text_runs_nothing"),
    "prints": (_loader(_shouting), "test_a_text_runs_nothing"),
    "no point in the suffix": (_loader(Loader().load, ("pol",)), "test_its_suffixes_are_usual"),
    "a suffix in capitals": (_loader(Loader().load, (".POL",)), "test_its_suffixes_are_usual"),
}

# ── exporters ──────────────────────────────────────────────────────────────────────────────────────────────────


class Collector(Exporter):
    """A sound exporter: one line per export."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def export(self, metrics: Metrics) -> None:
        """Say how many there are."""
        self._write(f"{len(metrics.runs)} runs, {len(metrics.models)} models")

    def observe(self, event: RunEvent) -> None:
        """Take it in."""

    def close(self) -> None:
        """Let go."""


class SoundExporter(ExporterContract):
    """The suite of the sound exporter."""

    planted: ClassVar[type[Collector]] = Collector

    def make(self, sink: Any = None) -> Exporter:
        """The one that is planted."""
        return self.planted(self.config(sink).write)


def _exporter(**methods: Any) -> type[PluginContract]:
    return type("Planted", (SoundExporter,), {"planted": type("Planted", (Collector,), methods)})


def _once_broken(self: Any, metrics: Metrics) -> None:
    if getattr(self, "broken", False):
        return
    try:
        self._write("x")
    except OSError:
        self.broken = True
        raise


def _growing(self: Any, metrics: Metrics) -> None:
    self.lines = [*getattr(self, "lines", []), "x"]
    self._write("".join(self.lines))


def _threaded(self: Any, write: Callable[[str], None]) -> None:
    self._write = write
    self.stop = threading.Event()
    threading.Thread(target=self.stop.wait, args=(30,), daemon=True).start()


def _left_running(self: Any, metrics: Metrics) -> None:
    threading.Thread(target=time.sleep, args=(1.0,), name="left", daemon=False).start()


def _opening(self: Any, write: Callable[[str], None]) -> None:
    self._write = write
    Path("metrics.txt").write_text("")


def _closing_once(self: Any) -> None:
    if getattr(self, "closed", False):
        raise ValueError("already closed")
    self.closed = True


def _clear_data(self: Any, event: RunEvent) -> None:
    event.data.clear()  # type: ignore[attr-defined]


def _clear_tasks(self: Any, metrics: Metrics) -> None:
    for run in metrics.runs:
        run.tasks.clear()  # type: ignore[attr-defined]


def _leak(self: Any, metrics: Metrics) -> None:
    logging.getLogger("planted").info("sk-canary-3b9d51f0c7aa")


_ANY_METRICS: Final = "test_any_metrics_can_be_exported"
EXPORTERS: Final[Mapping[str, tuple[type[PluginContract], str]]] = {
    "divides by the runs": (_exporter(export=lambda self, m: self._write(str(1 / len(m.runs)))), _ANY_METRICS),
    "adds what was never measured": (
        _exporter(export=lambda self, m: self._write(str(sum(each.cost_avg_usd for each in m.models)))),
        _ANY_METRICS,
    ),
    "calls sys.exit": (_exporter(export=lambda self, m: sys.exit(1)), _ANY_METRICS),
    "fails at the second export": (
        _exporter(export=lambda self, m: self.__dict__.setdefault("seen", 0) or self.__dict__.pop("_write")),
        "test_exports_go_on",
    ),
    "expects a field of every event": (
        _exporter(observe=lambda self, event: event.data["task"]),
        "test_any_event_can_be_observed",
    ),
    "knows only its own types": (
        _exporter(observe=lambda self, event: event.type.split(".")[1]),
        "test_any_event_can_be_observed",
    ),
    "clears events": (_exporter(observe=_clear_data), "test_its_arguments_stay_as_they_are"),
    "clears metrics": (_exporter(export=_clear_tasks), "test_its_arguments_stay_as_they_are"),
    "gives up after a failure": (_exporter(export=_once_broken), "test_a_failed_export_spoils_no_later_one"),
    "repeats what is old": (_exporter(export=_growing), "test_a_failed_export_spoils_no_later_one"),
    "prints": (_exporter(export=lambda self, m: print("x")), "test_it_prints_nothing_by_itself"),  # noqa: T201
    "logs the key": (_exporter(export=_leak), "test_it_prints_nothing_by_itself"),
    "starts a thread at once": (_exporter(__init__=_threaded), "test_building_it_opens_nothing"),
    "opens its file at once": (_exporter(__init__=_opening), "test_building_it_opens_nothing"),
    "closes only once": (_exporter(close=_closing_once), "test_closing_lets_go_of_everything"),
    "leaves a thread": (_exporter(export=_left_running), "test_closing_lets_go_of_everything"),
}

# ── scaffolds ──────────────────────────────────────────────────────────────────────────────────────────────────


def skeleton(app: App) -> Skeleton:
    """A sound skeleton."""
    return Skeleton({f"{app.name}/__init__.py": f"TITLE = {app.title!r}\n"}, "Write modules in the package.")


class SoundScaffold(ScaffoldContract):
    """The suite of the sound scaffold."""

    def make(self) -> spi.Scaffold:
        """The sound one."""
        return _scaffold(skeleton)()  # type: ignore[return-value]


def _scaffold(build: Callable[[App], Any]) -> Callable[[], object]:
    return lambda: type("Planted", (), {"skeleton": lambda self, app: build(app)})()


def _file(name: str, content: Any = "x") -> Callable[[], object]:
    return _scaffold(lambda app: Skeleton({name: content}, "guidance"))


_ONE: Final = Skeleton({"a.txt": "x"}, "guidance")


def _touching(app: App) -> Skeleton:
    Path("written.txt").write_text("x")
    return skeleton(app)


_CONFINED: Final = "test_its_files_stay_in_their_folder"
_READABLE: Final = "test_its_files_can_be_read_by_their_language"
_SAME: Final = "test_equal_applications_have_equal_skeletons"
SCAFFOLDS: Final[Mapping[str, tuple[Callable[[], object], str]]] = {
    "climbs out": (_file("../x.py"), _CONFINED),
    "an absolute path": (_file("/tmp/x.py"), _CONFINED),
    "bytes": (_file("x.bin", b"x"), _CONFINED),
    "too large": (_file("x.txt", "x" * 3_000_000), _CONFINED),
    "a file that is a folder": (_scaffold(lambda app: Skeleton({"a": "x", "a/b": "x"}, "g")), _CONFINED),
    "names that differ in case": (_scaffold(lambda app: Skeleton({"a": "x", "A": "x"}, "g")), _CONFINED),
    "a title that breaks a file": (_scaffold(lambda app: Skeleton({"a.py": f'T = "{app.title}"'}, "g")), _READABLE),
    "a title that becomes code": (_scaffold(lambda app: Skeleton({"a.py": f'"""{app.title}"""'}, "g")), _READABLE),
    "JSON that is none": (_file("package.json", "{'a': 1}"), _READABLE),
    "draws": (_scaffold(lambda app: Skeleton({"a": str(random.random())}, "g")), _SAME),
    "hands out one skeleton": (_scaffold(lambda app: _ONE), _SAME),
    "returns a dict": (_scaffold(lambda app: {}), _SAME),
    "no guidance": (_scaffold(lambda app: Skeleton({}, "")), "test_it_says_what_is_wanted"),
    "a privileged port": (
        _scaffold(lambda app: Skeleton({}, "g", launches=(spi.Launch(("x",), 80),))),
        "test_it_says_what_is_wanted",
    ),
    "writes files itself": (_scaffold(_touching), "test_it_touches_nothing"),
}

# ── providers ──────────────────────────────────────────────────────────────────────────────────────────────────

RECORDINGS: Final = (
    Recording("one", 200, {}, b'{"text": "one", "in": 5, "out": 2}', "one", usage=Usage(input=5, output=2)),
    Recording("two", 200, {}, b'{"text": "two", "in": 9, "out": 3}', "two", usage=Usage(input=9, output=3)),
    Recording("no", 401, {}, b"{}", error=ErrorKind.AUTHENTICATION, retryable=False, billed=Billed.NO),
)
_KINDS: Final = {
    400: ErrorKind.BAD_REQUEST,
    401: ErrorKind.AUTHENTICATION,
    403: ErrorKind.AUTHENTICATION,
    404: ErrorKind.UNKNOWN_MODEL,
    429: ErrorKind.RATE_LIMIT,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
}


class Gateway:
    """A sound provider of a small format of its own."""

    simulated = False
    url = "http://gateway.invalid/ask"

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self.key = config.secret("GATEWAY_KEY")

    def models(self) -> Sequence[ModelInfo]:
        """Those that are declared."""
        return self.config.models

    def encode(self, request: Request) -> Body:
        """As JSON."""
        fields = {
            "model": request.model.sent_name,
            "most": request.max_tokens,
            "prompt": [[each.author, each.text] for each in request.messages],
        }
        return Body(json.dumps(fields).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send it once."""
        return self.read(await self.send(body, ctx))

    async def send(self, body: Body, ctx: CallContext) -> httpx.Response:
        """The response, whatever its status."""
        try:
            return await ctx.http.post(
                self.url, content=body.content, headers={"x-key": self.key or ""}, timeout=ctx.timeout
            )
        except httpx.ConnectError as error:
            raise ProviderError("no connection", kind=ErrorKind.CONNECTION, retryable=True, billed=Billed.NO) from error
        except httpx.TimeoutException as error:
            raise ProviderError("silence", kind=ErrorKind.TIMEOUT, retryable=True) from error
        except httpx.HTTPError as error:
            raise ProviderError("broken connection", kind=ErrorKind.CONNECTION, retryable=True) from error

    def read(self, response: httpx.Response) -> Reply:
        """The reply, or the classified error."""
        status = response.status_code
        if status != 200:
            kind = _KINDS.get(status, ErrorKind.SERVER if status >= 500 else ErrorKind.BAD_REQUEST)
            wait = response.headers.get("retry-after", "")
            raise ProviderError(
                f"status {status}",
                kind=kind,
                retryable=status == 429 or status >= 500,
                retry_after=float(wait) if wait.isdigit() else None,
                billed=Billed.UNKNOWN if status == 504 or status < 400 else Billed.NO,
                status=status,
            )
        try:
            answer = json.loads(response.content)
            return Reply(answer["text"], Usage(input=answer["in"], output=answer["out"]), Finish.STOP)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ProviderError("no answer", kind=ErrorKind.BAD_ANSWER, retryable=True) from error


class SoundProvider(ProviderContract):
    """The suite of the sound provider, or of the one that is planted."""

    planted: ClassVar[type[Gateway]] = Gateway
    recordings: ClassVar[Sequence[Recording]] = RECORDINGS

    def make(self) -> spi.Provider:
        """The one that is planted."""
        return self.planted(self.config())


def _provider(**methods: Any) -> type[PluginContract]:
    return type("Planted", (SoundProvider,), {"planted": type("Planted", (Gateway,), methods)})


def _reading(change: Callable[[ProviderError], object]) -> type[PluginContract]:
    """One that changes its errors."""

    def read(self: Gateway, response: httpx.Response) -> Reply:
        try:
            return Gateway.read(self, response)
        except ProviderError as error:
            change(error)
            raise

    return _provider(read=read)


async def _retrying(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    try:
        return await Gateway.call(self, body, ctx)
    except ProviderError:
        return await Gateway.call(self, body, ctx)


async def _waiting(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    try:
        return await Gateway.call(self, body, ctx)
    except ProviderError:
        await ctx.sleep(1)
        raise


async def _blocking(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    time.sleep(0.01)  # noqa: ASYNC251
    return await Gateway.call(self, body, ctx)


async def _printing_call(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    print(body.content)  # noqa: T201
    return await Gateway.call(self, body, ctx)


async def _logging_call(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    logging.getLogger("planted").debug("headers: x-key=%s", self.key)
    return await Gateway.call(self, body, ctx)


async def _own_client(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    wire = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=b"{}")))
    async with wire as client:
        return self.read(await client.post("http://gateway.invalid", content=body.content))


async def _following(self: Gateway, body: Body, ctx: CallContext) -> httpx.Response:
    return await ctx.http.post(self.url, content=body.content, follow_redirects=True)


async def _adding(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    return await Gateway.call(self, Body(body.content + b" ", body.request), ctx)


async def _swallowing(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    try:
        return await Gateway.call(self, body, ctx)
    except asyncio.CancelledError:
        return Reply("", None)


async def _leaking(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    asyncio.get_running_loop().create_task(asyncio.sleep(30))
    return await Gateway.call(self, body, ctx)


async def _one_by_one(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    async with self.__dict__.setdefault("lock", asyncio.Lock()):
        return await Gateway.call(self, body, ctx)


async def _shared_state(self: Any, body: Body, ctx: CallContext) -> Reply:
    self.body = body
    await asyncio.sleep(0)
    return await Gateway.call(self, self.body, ctx)


def _strict(self: Gateway, response: httpx.Response) -> Reply:
    response.raise_for_status()
    return Gateway.read(self, response)


def _trusting(self: Gateway, response: httpx.Response) -> Reply:
    return Reply(response.text, None) if response.status_code == 200 else Gateway.read(self, response)


def _crossed(self: Gateway, response: httpx.Response) -> Reply:
    reply = Gateway.read(self, response)
    assert reply.usage is not None
    return evolve(reply, usage=Usage(input=reply.usage.output, output=reply.usage.input))


def _quoting(self: Gateway, response: httpx.Response) -> Reply:
    try:
        return Gateway.read(self, response)
    except ProviderError as error:
        raise ProviderError(f"{error}: {response.text}", kind=error.kind, billed=error.billed) from None


def _numbered(self: Gateway, request: Request) -> Body:
    body = Gateway.encode(self, request)
    return Body(body.content + os.urandom(4), request)


def _unlimited(self: Gateway, request: Request) -> Body:
    return Gateway.encode(self, evolve(request, max_tokens=1))


def _cut(self: Gateway, request: Request) -> Body:
    body = Gateway.encode(self, request)
    return Body(body.content[:500], request)


def _renamed(self: Gateway) -> Sequence[ModelInfo]:
    return [evolve(each, provider="somebody") for each in self.config.models]


_ONCE: Final = "test_a_call_is_made_once"
_KEY: Final = "test_the_key_travels_in_a_header_only"
_REFUSALS: Final = "test_refusals_are_classified"
PROVIDERS: Final[Mapping[str, tuple[type[PluginContract], str]]] = {
    "retries": (_provider(call=_retrying), _ONCE),
    "waits": (_provider(call=_waiting), _ONCE),
    "blocks the loop": (_provider(call=_blocking), _ONCE),
    "uses a client of its own": (_provider(call=_own_client), _ONCE),
    "adds a byte when sending": (_provider(call=_adding), _ONCE),
    "prints the request": (_provider(call=_printing_call), _KEY),
    "logs the key": (_provider(call=_logging_call), _KEY),
    "puts the key into the address": (_provider(url="http://gateway.invalid/?key=sk-canary-3b9d51f0c7aa"), _KEY),
    "quotes the vendor's words": (_provider(read=_quoting), _KEY),
    "follows redirects": (_provider(send=_following), "test_redirects_are_not_followed"),
    "lets errors of the client through": (
        _provider(send=lambda self, body, ctx: ctx.http.post(self.url, content=body.content)),
        "test_broken_connections_are_classified",
    ),
    "raises for a status": (_provider(read=_strict), _REFUSALS),
    "calls every refusal a server error": (_reading(lambda error: setattr(error, "kind", ErrorKind.SERVER)), _REFUSALS),
    "never lets anybody try again": (_reading(lambda error: setattr(error, "retryable", False)), _REFUSALS),
    "always lets them try again": (_reading(lambda error: setattr(error, "retryable", True)), _REFUSALS),
    "says a refusal was billed": (_reading(lambda error: setattr(error, "billed", Billed.YES)), _REFUSALS),
    "says nothing was billed": (
        _reading(lambda error: setattr(error, "billed", Billed.NO)),
        "test_rubbish_is_a_bad_answer",
    ),
    "takes anything for an answer": (_provider(read=_trusting), "test_rubbish_is_a_bad_answer"),
    "drops Retry-After": (
        _reading(lambda error: setattr(error, "retry_after", None)),
        "test_retry_after_is_passed_on",
    ),
    "waits for ever": (
        _reading(lambda error: setattr(error, "retry_after", float("inf"))),
        "test_retry_after_is_passed_on",
    ),
    "confuses the lanes": (_provider(read=_crossed), "test_recordings_are_read"),
    "shapes other bytes each time": (_provider(encode=_numbered), "test_equal_requests_have_equal_bytes"),
    "leaves max_tokens out": (_provider(encode=_unlimited), "test_the_bytes_hold_the_prompt_and_the_limit"),
    "cuts the prompt": (_provider(encode=_cut), "test_the_bytes_hold_the_prompt_and_the_limit"),
    "sells under another name": (_provider(models=_renamed), "test_its_models_are_models"),
    "sells one twice": (_provider(models=lambda self: self.config.models * 2), "test_its_models_are_models"),
    "swallows a cancellation": (_provider(call=_swallowing), "test_a_call_can_be_cancelled"),
    "leaves a task behind": (_provider(call=_leaking), "test_a_call_can_be_cancelled"),
    "answers one at a time": (_provider(call=_one_by_one), "test_calls_run_side_by_side"),
    "mixes calls up": (_provider(call=_shared_state), "test_calls_run_side_by_side"),
}

SOUND: Final = (SoundProvider, SoundValidator, SoundBackend, SoundLoader, SoundExporter, SoundScaffold)
BUGS: Final = (
    *(Bug(f"provider: {name}", suite, test) for name, (suite, test) in PROVIDERS.items()),
    *(
        Bug(f"validator: {name}", _suite(SoundValidator, lambda made=made: made), test)
        for name, (made, test) in VALIDATORS.items()
    ),
    *(Bug(f"backend: {name}", _suite(SoundBackend, made), test) for name, (made, test) in BACKENDS.items()),
    *(Bug(f"policy_loader: {name}", _suite(SoundLoader, made), test) for name, (made, test) in LOADERS.items()),
    *(Bug(f"exporter: {name}", suite, test) for name, (suite, test) in EXPORTERS.items()),
    *(Bug(f"scaffold: {name}", _suite(SoundScaffold, made), test) for name, (made, test) in SCAFFOLDS.items()),
)
