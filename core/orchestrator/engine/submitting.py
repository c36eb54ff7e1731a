"""Submitting a run: its first event alone, for whichever worker goes on with it."""

from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from orchestrator.documents import expanded, read_text
from orchestrator.engine.first_event import gathered_files, run_started, stage_of
from orchestrator.engine.runs import Engine
from orchestrator.engine.scripted_answers import SCRIPTED
from orchestrator.engine.session import RunLog
from orchestrator.engine.spec_checks import check_names, check_spec
from orchestrator.engine.vendors.session_providers import connect
from orchestrator.errors import NoProviderError, UsageError
from orchestrator.spec import Spec, differences


@frozen
class Submission:
    """What became of a spec that was submitted."""

    run: str
    is_new: bool
    """False: there was a run of its id with this very spec."""


async def submit(
    engine: Engine,
    spec: Spec,
    *,
    output: Path | None = None,
    new_project: bool = False,
    input_stage: bool = False,
) -> Submission:
    """Write RunStarted alone: what the spec says, the files it names, and the grants of its user.

    Nothing is called and nothing is played. Without a key the spec is checked as far as that goes; the worker that
    takes the run checks it again.

    Args:
        engine: an open data folder.
        spec: admitted and bound.
        output: the output folder that the spec names; recorded where it lies below the working folder.
        new_project: whether a new run begins though there is one of the spec's ``project_id``.
        input_stage: as for ``Engine.start``.

    Raises:
        UsageError: there is a run of this id with another spec.
        NotAllowedError: the spec wants what its user has not agreed to.
        OrchestrateError: whatever else keeps it from beginning; nothing is recorded then.
    """
    run = spec.project_id or engine.new_id()
    spec = _with_scripts(engine.admission.admit(spec, output))
    if engine.log.last(run) is not None:
        if not new_project:
            return _again(engine, spec, run)
        run = engine.next_id(run)
    simulated = _is_simulated(engine, spec)
    lock = engine.log.locks.acquire(run)
    try:
        gathered = await gathered_files(spec, engine.ports)
        names = await engine.accounts_of(spec, simulated, None, ())
        texts = engine.texts(run)
        started = run_started(
            spec,
            texts,
            stage_of(spec, by_default=input_stage, can_ask=False),
            output=output,
            simulated=simulated,
            accounts=names,
            random_bytes=engine.ports.random_bytes,
            gathered=gathered,
            ask_above=engine.admission.configuration.ask_above_usd if engine.asks_above else None,
            work=Path.cwd(),
        )
        if spec.encrypt:
            engine.log.keys.make(run)
        await RunLog(engine.log, run, texts, names, simulated).append(0, engine.ports.clock(), [started])
    finally:
        lock.release()
    return Submission(run, True)


def _with_scripts(spec: Spec) -> Spec:
    """The spec with the text of each file of scripted answers in the place of its path: workers read no such file.

    Raises:
        SpecError: one cannot be read.
    """
    providers: dict[str, dict[str, Any]] = {}
    for name, options in spec.providers.items():
        answers = options.get("answers")
        if options.get("type", name) == SCRIPTED and isinstance(answers, str):
            text = read_text(Path(spec.folder) / expanded(answers))
            options = {**{key: each for key, each in options.items() if key != "answers"}, "script": text}
        providers[name] = dict(options)
    return evolve(spec, providers=providers)


def _is_simulated(engine: Engine, spec: Spec) -> bool:
    """Whether the providers pretend, after the checks of a start; where no key is here, they do not."""
    check_names(spec, engine.catalogue, engine.environment)
    try:
        connected = connect(engine.catalogue, spec, engine.environment, engine.backend)
    except NoProviderError:
        return False
    check_spec(spec, connected, connected.catalogue)
    return connected.simulated


def _again(engine: Engine, spec: Spec, run: str) -> Submission:
    engine.check(run)
    changes = differences(engine.spec(run), spec.canonical())
    if changes:
        raise UsageError(
            f"run {run} exists with another spec:\n  "
            + "\n  ".join(changes)
            + "\nsubmit it anew with --new-project, or with another project_id"
        )
    return Submission(run, False)


__all__ = ["Submission", "submit"]
