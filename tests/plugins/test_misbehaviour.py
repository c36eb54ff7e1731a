"""A plugin that misbehaves costs its own task or export, is named with its version, and harms neither run nor log."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator import events as e
from orchestrator.deadlines import awaiting
from orchestrator.engine import backend_guard, checks, exporting
from orchestrator.engine.vendors import isolated_provider, isolation_thread
from orchestrator.errors import OrchestrateError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.models import ProjectStatus, TaskStatus, Verdict
from orchestrator.plugin_kinds import KINDS
from orchestrator.plugins import GROUPS, Catalogue, loading
from orchestrator_apps import application
from tests.plugins.bad import DISTRIBUTION, HOOKS, NAMES, VERSION, entry_points, modules
from tests.plugins.installed import installed

IN_THREADS: Final = [kind.name for kind in KINDS.values() if kind.has_deadlines]

TWO: Final = [
    {"id": "victim", "type": "code_generation", "prompt": "Write x."},
    {"id": "other", "type": "code_generation", "prompt": "Write y."},
]


def some(kind: str) -> list[Any]:
    """The bad plugins of a kind; those behind the first three are for the long line of tests."""
    return [pytest.param(n, marks=[pytest.mark.heavy] if place > 2 else []) for place, n in enumerate(NAMES[kind])]


@pytest.fixture(scope="module")
def bad_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the path with every bad plugin."""
    site = tmp_path_factory.mktemp("bad")
    installed(site, DISTRIBUTION, VERSION, entry_points(dict(GROUPS)), modules())
    return site


@pytest.fixture(autouse=True)
def impatient(bad_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bad plugins are installed, and every deadline is short."""
    monkeypatch.syspath_prepend(bad_site)
    contained = awaiting.contained
    monkeypatch.setattr(awaiting.contained, "__defaults__", (0.3,))
    monkeypatch.setattr(
        "orchestrator.engine.calls.contained", lambda call, seconds: contained(call, min(seconds, 0.15))
    )
    real = checks.Checks
    monkeypatch.setattr(
        "orchestrator.engine.session_lifetime.Checks", lambda selector, settings: real(selector, settings, seconds=0.1)
    )
    monkeypatch.setattr(checks, "GRACE_SECONDS", 0.1)
    limits = exporting.ExportLimits(0.2, 0.3, 1000, 0.0)
    monkeypatch.setattr(exporting, "ExportLimits", lambda: limits)
    monkeypatch.setattr(application, "SECONDS", 0.2)
    monkeypatch.setattr(backend_guard, "SECONDS", 0.3)
    monkeypatch.setattr(isolated_provider, "BEGIN_SECONDS", 0.1)
    monkeypatch.setattr(isolated_provider, "ENCODE_SECONDS", 0.2)
    monkeypatch.setattr(isolated_provider, "MODELS_SECONDS", 0.3)
    monkeypatch.setattr(isolation_thread, "END_SECONDS", 0.2)
    monkeypatch.setattr(loading, "PATIENCE", 0.5)


def sound(played: Any) -> None:
    """The run came to its end, its log is whole, and its spend is accounted for."""
    assert played.status is not None
    assert not played.all(e.SessionFailed)
    log = EventLog.open_to_read(played.home)
    try:
        assert log.verify() == []
    finally:
        log.close()


def texts_of(played: Any) -> str:
    """Every text the run has stored."""
    digests = {getattr(event, field, None) for event in played.events for field in ("error", "details")}
    log = EventLog.open_to_read(played.home)
    try:
        texts = Texts(log, played.run, bytes, Redactor())
        return " ".join(texts.get(digest) for digest in digests if digest)
    finally:
        log.close()


def named(text: str) -> bool:
    """Whether a text says whose plugin it was."""
    return f"{DISTRIBUTION} {VERSION}" in text


def used(played: Any) -> list[tuple[str, str]]:
    """The bad plugins that the session recorded, with their version."""
    return [
        (p.name, p.version) for s in played.all(e.SessionOpened) for p in s.plugins if p.distribution == DISTRIBUTION
    ]


@pytest.mark.parametrize("name", some("provider"))
def test_a_bad_provider_costs_the_task_it_is_asked_for(
    name: str, orchestrate_run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The other task is completed, and the failed calls are events with a class of their own."""
    limits = {"tries": 1, "attempts": 2}
    played = orchestrate_run(providers={f"bad_{name}": {}}, tasks=TWO, limits=limits, concurrency=2, cache=False)
    sound(played)
    assert played.task("other").status is TaskStatus.COMPLETED
    assert (f"bad_{name}", VERSION) in used(played)
    failed = played.all(e.CallFailed)
    unshaped = [each for each in played.all(e.CallPrepared) if each.problem]
    if name not in ("returns_odd_usage", "returns_no_text_at_all"):
        assert failed or unshaped
        assert played.task("victim").status is TaskStatus.FAILED
    if any(each.kind == "plugin" for each in failed):
        assert named(texts_of(played))
    if unshaped:
        assert named(caplog.text)


@pytest.mark.parametrize("name", some("validator"))
def test_a_bad_validator_costs_the_gate_of_its_task(name: str, orchestrate_run: Callable[..., Any]) -> None:
    """Its verdict is unknown, the output stands, and the task beside it is completed."""
    tasks = [{**TWO[0], "hard_validators": [f"bad_{name}"]}, TWO[1]]
    played = orchestrate_run(tasks=tasks)
    sound(played)
    assert {each.verdict for each in played.all(e.Validated)} == {Verdict.UNKNOWN}
    assert {each.permanent for each in played.all(e.Validated)} == {name == "is_permanent"}
    assert played.task("victim").status is TaskStatus.DEGRADED
    assert played.task("other").status is TaskStatus.COMPLETED
    assert (f"bad_{name}", VERSION) in used(played)
    if name in ("raises", "quits", "hangs", "returns_none", "raises_a_base_exception"):
        assert named(texts_of(played))


@pytest.mark.parametrize("name", some("backend"))
def test_a_bad_backend_costs_the_ranking(name: str, orchestrate_run: Callable[..., Any]) -> None:
    """The row's order counts from then on, and the failure is an event with what was wrong."""
    played = orchestrate_run(routing={"backend": f"bad_{name}"})
    sound(played)
    assert played.status is ProjectStatus.SUCCESS
    (failed,) = played.all(e.BackendFailed)
    assert failed.backend == f"bad_{name}"
    assert named(texts_of(played))
    assert (f"bad_{name}", VERSION) in used(played)


@pytest.mark.parametrize("name", some("exporter"))
def test_a_bad_exporter_costs_its_exports(
    name: str, orchestrate_run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The run succeeds, and a warning names the exporter with its version."""
    with caplog.at_level(logging.WARNING):
        played = orchestrate_run(exporters={f"bad_{name}": {}})
    sound(played)
    assert played.status is ProjectStatus.SUCCESS
    assert named(caplog.text)
    assert (f"bad_{name}", VERSION) in used(played)


@pytest.mark.parametrize("name", some("scaffold"))
def test_a_bad_scaffold_costs_its_application(name: str, orchestrate_run: Callable[..., Any], tmp_path: Path) -> None:
    """The tasks are carried out, and nothing is written outside the output folder."""
    plan = '{"tasks": [{"id": "a", "type": "code_generation", "prompt": "Write x.", "path": "x.py"}]}'
    answers = [{"role": "decomposer", "text": plan}]
    played = orchestrate_run(app=f"bad_{name}", tasks=None, answers=answers, advise=False)
    sound(played)
    assert [each.status for each in played.all(e.TaskFinished)] == [TaskStatus.COMPLETED]
    assert not list(tmp_path.rglob("climbed.txt"))
    assert (f"bad_{name}", VERSION) in used(played)


@pytest.mark.parametrize("name", some("policy_loader"))
def test_a_bad_policy_loader_keeps_a_run_from_starting_with_one_line(name: str, tmp_path: Path) -> None:
    """Policies that cannot be read are no reason to go on without them: an error for the user, and no traceback."""
    from orchestrator.cli.running.spec_from_options import with_policies
    from orchestrator.spec import parse_spec

    file = tmp_path / f"policies.{name}"
    file.write_text("x")
    spec = parse_spec({"project": "x", "criteria": "y"}, "spec")
    with pytest.raises(OrchestrateError) as refused:
        with_policies(spec, (file,), Catalogue.discover({}))
    assert str(refused.value)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", GROUPS)
def test_a_bad_hook_breaks_its_plugin_only(kind: str, hook: str) -> None:
    """Whatever the hook does in the place of building its object, the error names distribution and version."""
    from orchestrator.errors import PluginLoadError
    from orchestrator.spi import ExporterConfig, ProviderConfig

    catalogue = Catalogue.discover({})
    config = ProviderConfig("x", {}, (), lambda name: None, lambda name: None)
    make = {
        "provider": lambda name: catalogue.provider(name, config),
        "backend": lambda name: catalogue.backend(name, {}),
        "scorer": lambda name: catalogue.scorer(name, {}),
        "exporter": lambda name: catalogue.exporter(name, ExporterConfig("x")),
    }.get(kind) or getattr(catalogue, kind)
    if hook == "hangs" and kind in IN_THREADS:
        return  # these are built in a thread with a deadline: the next test
    with pytest.raises(PluginLoadError) as refused:
        make(f"bad_hook_{hook}")
    assert named(str(refused.value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", IN_THREADS)
def test_a_hook_that_hangs_in_a_thread_of_its_own_harms_no_run(
    kind: str, orchestrate_run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A validator's verdict is unknown, an exporter is done without."""
    tasks = [{**TWO[0], "hard_validators": ["bad_hook_hangs"]}, TWO[1]] if kind == "validator" else TWO
    played = orchestrate_run(tasks=tasks, exporters={"bad_hook_hangs": {}} if kind == "exporter" else {})
    sound(played)
    assert played.task("other").status is TaskStatus.COMPLETED
    if kind == "validator":
        assert {each.verdict for each in played.all(e.Validated)} == {Verdict.UNKNOWN}
    assert named(texts_of(played) if kind == "validator" else caplog.text)


def test_there_are_twelve_of_each() -> None:
    """As was promised."""
    assert all(len(names) >= 12 for names in NAMES.values())


# ── containment ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_that_will_not_be_cancelled_is_left_behind() -> None:
    """Its caller is not blocked; neither by its time nor by a cancellation from outside."""
    let_go = threading.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    async def both() -> None:
        with pytest.raises(TimeoutError):
            await awaiting.contained(stubborn, 0.05, 0.05)
        waiting = asyncio.ensure_future(awaiting.contained(stubborn, 60, 0.05))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        let_go.set()
        await asyncio.sleep(0.05)

    asyncio.run(both())
