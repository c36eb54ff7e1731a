"""The contract of exporters."""

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from attrs import Factory, define, evolve

from orchestrator.errors import ErrorKind, SpecError
from orchestrator.log import encode
from orchestrator.models import TaskType
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator.spi import Exporter, ExporterConfig, Metrics, ModelMetrics, RunEvent, RunMetrics
from orchestrator.testing.contracts.base import CANARY, EscapeError, PluginContract, in_time, watched
from orchestrator.testing.contracts.leftovers import nothing_left
from orchestrator.testing.contracts.side_effects import overheard, shared_state_kept
from orchestrator.testing.decide_by_hand import Stage, model, task

NAMES: Final = ("plain", 'quote"d', "back\\slash", "two\nlines", "ünï-čødé 👋", "{}", "", " ", "a,b", "<b>", "$(id)")
"""Names of runs and models that break formats which do not escape."""


def some_metrics(runs: int = 2, models: int = 3) -> Metrics:
    """Metrics with every field set, under names that have to be escaped."""
    return Metrics(
        at=1_800_000_000_000_000,
        runs=tuple(_run(NAMES[place % len(NAMES)] + str(place or ""), place) for place in range(runs)),
        models=tuple(_model(NAMES[place % len(NAMES)] + str(place or ""), place) for place in range(models)),
        run="plain",
    )


def _run(name: str, place: int) -> RunMetrics:
    return RunMetrics(
        run=name,
        status="open" if place % 2 else "SUCCESS",
        simulated=bool(place % 3),
        started_at=1_700_000_000_000_000 + place,
        active_seconds=1.5 * place,
        sessions_total=1,
        tasks={"pending": place, "completed": 2},
        calls_total=10 * place,
        calls_failed_total=1,
        calls_in_flight=0,
        answers_reused_total=0,
        input_tokens_total=100,
        output_tokens_total=50,
        cap_usd=Usd.parse("8"),
        settled_usd=Usd.parse("0.123456789"),
        unreconciled_usd=Usd.ZERO,
        in_flight_usd=Usd.ZERO,
        budget_warnings_total=0,
    )


def _model(name: str, place: int) -> ModelMetrics:
    if place == 0:
        return ModelMetrics(name, "p", "v")  # never asked
    return ModelMetrics(name, "p", "v", 5, 0.5, 100.0, 200.0, 0.9, 0.99, 0.001, 1, 2, 10**12, 7, Usd.parse("1.5"))


@define
class Sink:
    """Where an exporter shows what it has to say; it can be full."""

    texts: list[str] = Factory(list)
    full: bool = False

    def write(self, text: str) -> None:
        """Keep a text, or fail as a full disk does."""
        if self.full:
            raise OSError(28, "No space left on device")
        self.texts.append(text)


class ExporterContract(PluginContract):
    """An exporter publishes what it is given, survives its own failures, and lets go of everything.

    Name the module in ``plugin`` and what a spec says in ``options``. Whatever goes wrong inside is raised, as the
    program warns of it; it must not make the next export worse.
    """

    kind = "exporter"
    environment: ClassVar[Mapping[str, str]] = {}
    """Variables that are set."""
    may_fail: ClassVar[tuple[type[Exception], ...]] = (OSError,)
    """What an export may raise where no server listens, as in a suite without one."""

    def make(self, sink: Sink | None = None) -> Exporter:
        """The exporter."""
        exporter: Exporter = self.build(config=self.config(sink))
        return exporter

    def config(self, sink: Sink | None = None, options: Mapping[str, Any] | None = None) -> ExporterConfig:
        """What it is built with."""
        return ExporterConfig(
            "under_test",
            dict(self.options if options is None else options),
            lambda variable: self.environment.get(variable, CANARY),
            self.environment.get,
            (sink or Sink()).write,
        )

    def test_options_that_make_no_sense_are_refused(self) -> None:
        """An option that it does not know is a SpecError."""
        self._module()
        try:
            self.build(config=self.config(options={**self.options, "no_such_option": 1}))
        except SpecError:
            return
        raise AssertionError("it takes an option it does not know; raise SpecError, so that a typing error shows")

    def test_odd_options_are_refused_in_words(self) -> None:
        """An option of an unexpected kind is taken, or is a SpecError; never another error."""
        self.refuses_odd_options(lambda options: self.build(config=self.config(options=options)))

    def test_building_it_opens_nothing(self) -> None:
        """It is built without a file, a thread or a word; those come with the first export."""
        before = threading.active_count()
        with watched() as seen:
            self.make()
        assert threading.active_count() <= before, "building it starts a thread; start it in `export`"
        assert not seen.left, f"building it writes {', '.join(seen.left)}; write in `export`"
        assert not seen.printed, f"building it prints {seen.printed[:80]!r}"

    def test_any_metrics_can_be_exported(self) -> None:
        """Nothing, much, names that need escaping, values never measured: each export comes back."""
        huge = some_metrics()
        huge = evolve(huge, runs=tuple(evolve(each, calls_total=2**62, active_seconds=1e300) for each in huge.runs))
        for metrics in (Metrics(0), some_metrics(), some_metrics(11, 11), some_metrics(200, 200), huge, Metrics(0)):
            with self._opened() as exporter:
                self._export(exporter, metrics)

    def test_exports_go_on(self) -> None:
        """An exporter exports again and again, and takes in events in between."""
        with self._opened() as exporter:
            for runs in (0, 1, 5, 2):
                self._export(exporter, some_metrics(runs))
                for event in some_events():
                    self._observe(exporter, event)

    def test_any_event_can_be_observed(self) -> None:
        """Events of any type, also of one that is yet to come, are taken in."""
        with self._opened() as exporter:
            for event in (*some_events(), _event("a.type.of.tomorrow"), _event("")):
                self._observe(exporter, event)

    def test_its_arguments_stay_as_they_are(self) -> None:
        """Neither metrics nor events are changed."""
        metrics, event = some_metrics(), some_events()[-1]
        before = deepcopy((metrics, event))
        with self._opened() as exporter:
            self._export(exporter, metrics)
            self._observe(exporter, event)
        assert metrics == before[0], "it changed the metrics, which other exporters see as well"
        assert event == before[1], "it changed the event, which other exporters see as well"

    def test_a_failed_export_spoils_no_later_one(self) -> None:
        """Where it cannot write once, the next export is as good as any."""
        sink = Sink()
        with self._opened(sink) as exporter:
            self._export(exporter, some_metrics())
            usual = list(sink.texts)
            sink.full = True
            with contextlib.suppress(Exception):
                in_time(lambda: exporter.export(some_metrics()))
            sink.full = False
            sink.texts.clear()
            self._export(exporter, some_metrics())
        assert len(sink.texts) >= len(usual), "after an export that failed it writes nothing any more"
        assert not usual or sink.texts[-1] == usual[-1], "after an export that failed it writes something else"

    def test_it_prints_nothing_by_itself(self) -> None:
        """What is for the user goes through ``config.write``; no key is in it; what others share stays as it is."""
        sink = Sink()
        with watched() as seen, shared_state_kept(), overheard() as side_effects:
            exporter = self.make(sink)
            self._export(exporter, some_metrics())
            getattr(exporter, "close", int)()
        assert not side_effects.programs, f"it starts {side_effects.programs[0]!r}"
        assert CANARY not in seen.shown, "the key is in a file that it writes"
        assert not seen.printed, f"it printed {seen.printed[:80]!r}; use config.write"
        assert CANARY not in seen.printed + seen.logged + "".join(sink.texts), "the key is in what it shows or logs"

    def test_closing_lets_go_of_everything(self) -> None:
        """``close`` comes back, twice, also where nothing was exported, and no thread keeps the program alive."""
        before, opened = set(threading.enumerate()), _open_files()
        with watched():
            for exports in (0, 1):
                exporter = self.make()
                if exports:
                    self._export(exporter, some_metrics())
                close: Callable[[], object] | None = getattr(exporter, "close", None)
                for _ in range(2):
                    if close is not None:
                        self._tolerated(close, "close")
        left = [
            each.name for each in threading.enumerate() if each not in before and each.is_alive() and not each.daemon
        ]
        left = [name for name in left if name != "contract"]
        forgotten = sorted(set(_open_files()) - set(opened))
        assert not forgotten, f"after `close` a file is left open: {forgotten[0]}"
        assert not left, f"after `close` a thread is left that keeps the program alive: {', '.join(left)}"

    def test_it_leaves_nothing_running(self) -> None:
        """After ``close`` no thread and no connection is left, and signals, and what others share, are as they were."""
        with nothing_left("after `close` it"), self._opened() as exporter:
            for event in some_events()[:3]:
                self._observe(exporter, event)
            self._export(exporter, some_metrics())

    def test_its_options_stay_as_they_are(self) -> None:
        """What a spec says for it is not changed, by building or by exporting."""
        self._module()

        def use(options: dict[str, Any]) -> None:
            with watched():
                exporter = self.build(config=self.config(options=options))
                self._export(exporter, some_metrics())
                self._tolerated(getattr(exporter, "close", int), "close")

        self.keeps_options(use)

    @contextlib.contextmanager
    def _opened(self, sink: Sink | None = None) -> Any:
        with watched():
            exporter = self.make(sink)
            try:
                yield exporter
            finally:
                close = getattr(exporter, "close", None)
                if close is not None:
                    self._tolerated(close, "close")

    def _export(self, exporter: Exporter, metrics: Metrics) -> None:
        self._tolerated(lambda: exporter.export(metrics), "export")

    def _observe(self, exporter: Exporter, event: RunEvent) -> None:
        observe = getattr(exporter, "observe", None)
        if observe is not None:
            self._tolerated(lambda: observe(event), "observe")

    def _tolerated(self, call: Callable[[], object], what: str) -> None:
        try:
            in_time(call)
        except self.may_fail:
            return  # no server listens here
        except EscapeError as error:
            raise type(error)(f"{what}: {error}") from error
        except Exception as error:
            raise AssertionError(f"{what} raised {type(error).__name__}: {error}"[:300]) from error


def _open_files() -> tuple[str, ...]:
    """The regular files that the process has open, where the system says so."""
    found = []
    with contextlib.suppress(OSError):
        for each in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if each.is_file():
                    found.append(str(each.readlink()))
    return tuple(found)


@cache
def some_events() -> tuple[RunEvent, ...]:
    """The events of a small run, as an exporter gets them: some calls fail, a check is made, a file is written."""
    tasks = [task("t0", TaskType.CODE_GEN, validators=("python_syntax",)), task("t1", TaskType.SUMMARIZATION, "t0")]
    stage = Stage(
        RunSettings(cap=Usd.parse("8"), simulated=True), [model("m1"), model("m2", "south")], tasks, files=True
    )
    stage.begin()
    failures = [ErrorKind.SERVER]
    stage.play(lambda started: failures.pop() if failures else {})
    encoded = ((version, at, *encode(event)) for version, (at, event) in enumerate(stage.history, 1))
    return tuple(RunEvent("run", version, at, name, json.loads(data)) for version, at, name, _, data in encoded)


def _event(name: str) -> RunEvent:
    return RunEvent("run", 7, 1_800_000_000_000_000, name, {"task": "t", "cost": 5, "odd": None, "more": [1, {"a": 2}]})
