"""What of a spec is refused before anything is recorded: unknown names, models without a price, what cannot be run."""

import os
from pathlib import Path
from typing import Final

from orchestrator.allowed_file_names import UnsafeNameError, checked_name
from orchestrator.engine.answers.prompt_templates import read_templates
from orchestrator.engine.checks import selector_for
from orchestrator.engine.reading_given_files import check_given_files
from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.known_names import unknown_names
from orchestrator.engine.vendors.session_providers import Connected
from orchestrator.errors import LogError, PluginError, PluginNotFoundError, SandboxError, SpecError
from orchestrator.models import AUTO, ModelInfo
from orchestrator.plugins import Catalogue
from orchestrator.settings import EVERY, SandboxChoice
from orchestrator.spec import Spec
from orchestrator.trust import stricter

_SHOWN: Final = 5
_DESCRIPTORS: Final = 12
"""The database with its WAL, the locks, the event loop, and a few connections."""


def check_descriptors() -> None:
    """Refuse to begin where a session could not even open what it always needs.

    Raises:
        LogError: too few files may be open at once.
    """
    opened: list[int] = []
    try:
        for _ in range(_DESCRIPTORS):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        text = f"a run needs {_DESCRIPTORS} open files: {error.strerror}; raise the limit: ulimit -n 256"
        raise LogError(text) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def check_names(spec: Spec, catalogue: Catalogue, environment: Environment) -> None:
    """Refuse a spec in which a model, provider, region or plugin is misspelt, or a file is named that is not there.

    Raises:
        SpecError: one is; all of them together.
    """
    check_given_files(spec)
    problems = unknown_names(spec.uses, catalogue, environment, spec)
    if problems:
        raise SpecError(problems)


def check_spec(spec: Spec, connected: Connected, catalogue: Catalogue) -> None:
    """Refuse a spec that names what is not installed, or what has no price: such a name would bind nothing.

    Raises:
        SpecError: it does.
    """
    check_prices(spec, connected)
    _check_validators(spec, connected, catalogue)
    _check_limits(spec, catalogue)
    _check_app(spec, catalogue)
    _check_paths(spec)
    templates_of(spec)


def check_able(spec: Spec, connected: Connected, floor: SandboxChoice) -> None:
    """Refuse to go on, in this process, with a run that lacks a plugin or a sandbox here.

    Raises:
        SpecError: it names a plugin that is not installed.
        SandboxError: what models write would be run, and no sandbox that the run allows holds on this machine.
    """
    _check_validators(spec, connected, connected.catalogue)
    _check_app(spec, connected.catalogue)
    choice = stricter(spec.validators.sandbox, floor)
    if choice is SandboxChoice.NONE or (choice is SandboxChoice.AUTO and not _runs_code(spec)):
        return
    if selector_for(choice).level() is None:
        raise SandboxError(f"no sandbox holds on this machine (sandbox: {choice.value}); see: orchestrate doctor")


def _runs_code(spec: Spec) -> bool:
    """Whether a run will run what models write, as far as its spec tells."""
    ran = (spec.verify_cmd, spec.app, spec.validators.commands)
    return any(ran) or any(task.tests or "pytest" in task.hard_validators for task in spec.tasks)


def check_prices(spec: Spec, connected: Connected) -> None:
    """Refuse a model that the user relies on and whose cost nothing could bound: it would silently be left out.

    Raises:
        SpecError: a declared model, one of the routing table, or one that fills a slot has no price.
    """
    if connected.simulated:
        return  # nothing is billed, and a script may leave a model out on purpose
    found = [model.id for model in connected.models if model.price is None and _is_relied_on(model, spec)]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        names = ", ".join(found[:_SHOWN]) + more + (" has" if len(found) == 1 else " have")
        text = f"models: {names} no price, and none is published under that name; declare one, in US dollars per "
        raise SpecError([text + "million tokens, such as price: {input: 0.25, output: 1} (0 where it costs nothing)"])


def _is_relied_on(model: ModelInfo, spec: Spec) -> bool:
    names = {model.id, model.id.removeprefix(f"{model.provider}/")}
    declared = any(each.provider == model.provider and each.id in names for each in spec.models)
    return declared or bool(model.slots) or any(names & set(row) for row in spec.routing.table.values())


def _check_validators(spec: Spec, connected: Connected, catalogue: Catalogue) -> None:
    """A given plan may only name validators that are installed."""
    named = {
        "tasks": {name for task in spec.tasks for name in task.hard_validators},
        "validators.settings": set(spec.validators.settings),
    }
    for where, names in named.items():
        unknown = sorted(names - set(connected.validators))
        if unknown:
            _refuse_unusable(where, catalogue, "validator", unknown[0])
            known = ", ".join(connected.validators)
            raise SpecError([f"{where}: no validator is called {', '.join(map(repr, unknown))}; installed are {known}"])


def _refuse_unusable(where: str, catalogue: Catalogue, kind: str, name: str) -> None:
    """Say why what is installed cannot be used: in conflict, switched off, or made for another interface.

    Raises:
        SpecError: it is installed, and cannot be used as it is named.
    """
    if not any(name in (entry.name, f"{entry.distribution}:{entry.name}") for entry in catalogue.entries()):
        return
    try:
        catalogue.load(kind, name)
    except PluginNotFoundError as error:
        if "switched off" in str(error):
            raise SpecError([f"{where}: {error}"]) from error
    except PluginError as error:
        raise SpecError([f"{where}: {error}"]) from error


def _check_app(spec: Spec, catalogue: Catalogue) -> None:
    """An application is built by a scaffold that is installed; one without a folder cannot be put together."""
    known = (AUTO, *catalogue.names("scaffold"))
    if spec.app is not None and spec.app not in known:
        _refuse_unusable("app", catalogue, "scaffold", spec.app)
        raise SpecError([f"app: no scaffold is called {spec.app!r}; there are {', '.join(known)}"])


def _check_paths(spec: Spec) -> None:
    """A file that the user names is written under that name, or the run does not begin."""
    problems = []
    for task, path in spec.task_paths.items():
        try:
            checked_name(path.rstrip("/"))
        except UnsafeNameError as error:
            problems.append(f"task_paths.{task}: {path!r:.80} cannot be used: {error}")
    if problems:
        raise SpecError(problems)


def _check_limits(spec: Spec, catalogue: Catalogue) -> None:
    """Limits per provider may only name providers that there are: a mistyped one would limit nothing."""
    installed = tuple(dict.fromkeys((*spec.providers, *catalogue.names("provider"))))
    for where in ("requests_per_minute", "tokens_per_minute"):
        unknown = sorted(getattr(spec.limits, where).keys() - {EVERY, *installed})
        if unknown:
            known, names = ", ".join(installed), ", ".join(map(repr, unknown))
            raise SpecError([f"limits.{where}: no provider is called {names}; installed are {known}"])


def templates_of(spec: Spec) -> dict[str, str]:
    """The templates of prompts that the spec brings, by name.

    Raises:
        SpecError: its folder cannot be read, or holds something else.
    """
    return {} if spec.prompts is None else read_templates(Path(spec.folder) / Path(spec.prompts).expanduser())
