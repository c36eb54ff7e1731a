"""The first event of a run, RunStarted: its settings, its files, its grants, and where it writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import evolve, fields, frozen

from orchestrator import events as e
from orchestrator.engine.answers.given_files_in_prompts import map_of
from orchestrator.engine.answers.suggested_improvements import count_words
from orchestrator.engine.delivering import RunPlace
from orchestrator.engine.plan_editing import planned_task
from orchestrator.engine.ports import Ports
from orchestrator.engine.reading_given_files import Gathered, gather
from orchestrator.engine.spec_checks import templates_of
from orchestrator.log import Texts
from orchestrator.models import CapabilityKind
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator.spec import Spec, TaskSpec
from orchestrator.spec.canonical import portable
from orchestrator.state.run import RunState

_SEED_BYTES: Final = 7
_PRIVATE: Final = (
    CapabilityKind.COMMAND,
    CapabilityKind.OPTION,
    CapabilityKind.READ,
    CapabilityKind.WRITE,
    CapabilityKind.OUTPUT,
    CapabilityKind.PLUGIN,
)
"""Kinds whose values are texts, or name the machine."""


@frozen
class InputStage:
    """What comes before the plan."""

    enhance: bool
    advise: bool


def stage_of(spec: Spec, *, by_default: bool, can_ask: bool) -> InputStage:
    """What the spec wants before the plan; where it does not say, ``by_default``, unless it brings its own plan.

    An application is always advised on.
    """
    wanted, advised = (each and not spec.tasks for each in (by_default, by_default or spec.app is not None))
    return InputStage(
        enhance=can_ask and (wanted if spec.enhance is None else spec.enhance),
        advise=advised if spec.advise is None else spec.advise,
    )


def run_started(
    spec: Spec,
    texts: Texts,
    stage: InputStage,
    *,
    output: Path | None,
    simulated: bool,
    accounts: tuple[str, ...],
    random_bytes: Callable[[int], bytes],
    seed: int | None = None,
    gathered: Gathered | None = None,
    ask_above: Usd | None = None,
    work: Path | None = None,
) -> e.RunStarted:
    """The first event of a run; the texts of the spec and of the user's files are staged for the append.

    Without a seed it is drawn. With ``work``, a working folder, the run's place is recorded relative to it.
    """
    canonical, paths = portable(spec.canonical())
    here = place_for(spec, output)
    place = here.absolute if work is None else here.portable(work)
    return e.RunStarted(
        seed=int.from_bytes(random_bytes(_SEED_BYTES)) if seed is None else seed,
        settings=evolve(
            spec.settings(simulated),
            approve=evolve(spec.approve, forecast_above=ask_above),
            accounts=accounts,
            enhance=stage.enhance,
            advise=stage.advise,
            prompts={name: texts.put(text) for name, text in templates_of(spec).items()},
        ),
        spec=texts.put(canonical),
        project=texts.put(spec.project),
        criteria=texts.put(spec.criteria),
        given_plan=tuple(
            evolve(
                planned_task(task, texts.put, spec.task_paths.get(task.id) or spec.task_paths.get(str(number))),
                context=files_needed(task, spec, gathered),
            )
            for number, task in enumerate(spec.tasks, 1)
        )
        or None,
        words=count_words(spec.project),
        place=texts.put(evolve(place, paths=paths).text()),
        grants=recorded_grants(spec, texts),
        context=None if gathered is None else run_context(gathered, texts.put),
    )


_MOST_LEFT_OUT: Final = 100
"""Files left out that are listed one by one."""


async def gathered_files(spec: Spec, ports: Ports) -> Gathered | None:
    """The files that a spec names, read now; None where it names none.

    Raises:
        SpecError: one cannot be taken.
    """
    if not spec.named_files:
        return None
    return await ports.offload(lambda: gather(spec.named_files, Path(spec.folder), spec.stdin))


def run_context(gathered: Gathered, put: Callable[[str], str]) -> e.RunContext:
    """The user's files as a run records them; ``put`` stores a text and returns its digest."""
    listed = gathered.left_out[:_MOST_LEFT_OUT]
    return e.RunContext(
        files=tuple(e.ContextFile(put(each.name), put(each.text), len(each.text.encode())) for each in gathered.files),
        map=put(map_of([(each.name, each.text) for each in gathered.files])),
        left_out=tuple(e.LeftOut(put(each.name), each.reason) for each in listed),
        more_left_out=len(gathered.left_out) - len(listed),
    )


def files_needed(task: TaskSpec, spec: Spec, gathered: Gathered | None) -> tuple[int, ...] | None:
    """The numbers of the files that a task of the spec names; where it names none itself, all of the spec's own."""
    if gathered is None:
        return None
    entries = spec.context if task.context is None else task.context
    return tuple(sorted({number for each in entries for number in gathered.members[each]}))


def settings_after(state: RunState, old: Spec, new: Spec) -> RunSettings:
    """The parent's settings as they stand, with what the changed spec says otherwise."""
    simulated = state.settings.simulated
    was, becomes = old.settings(simulated), new.settings(simulated)
    standing = evolve(state.settings, cap=state.cap, time_limit=state.time_limit)
    changes = {
        each.name: getattr(becomes, each.name)
        for each in fields(RunSettings)
        if getattr(was, each.name) != getattr(becomes, each.name)
    }
    encrypt = state.settings.encrypt or becomes.encrypt  # it holds what its parent does
    return evolve(standing, **{**changes, "encrypt": encrypt})


def place_for(spec: Spec, output: Path | None) -> RunPlace:
    """Where a run of a spec reads and writes."""
    is_file = spec.source is not None and Path(spec.source).is_absolute()
    return RunPlace(Path(spec.folder), output, Path(str(spec.source)) if is_file else None)


def recorded_grants(spec: Spec, texts: Texts) -> tuple[e.Grant, ...]:
    """The grants of a spec as an event has them: no text and no path of the machine, but its digest."""
    return tuple(
        evolve(each, value=texts.put(each.value)) if each.kind in _PRIVATE else each for each in spec.grants or ()
    )
