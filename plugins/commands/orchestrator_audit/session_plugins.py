"""The plugins of a session again: they must follow from the spec, and be of the program that they came with."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from orchestrator import events as e
from orchestrator.engine.vendors.instances import instances_of
from orchestrator.errors import OrchestrateError
from orchestrator.models import Verdict
from orchestrator.plugins import Catalogue
from orchestrator.plugins.plugin_status import DISTRIBUTION, normalised
from orchestrator.spec import Spec

_KINDS: Final = ("provider", "backend", "validator", "scorer", "exporter", "scaffold")
"""In the order in which a session lists them."""
_PATH: Final = "path:"
"""How what stands for an absolute path begins, in the stored text of a spec."""


def contradictions(event: e.SessionOpened) -> Iterator[str]:
    """What cannot be together in one session, whatever its spec says."""
    for each in event.plugins:
        if each.distribution == DISTRIBUTION and each.version != event.program:
            yield f"{each.label} came with the program, which is {event.program}"
        if each.distribution and (each.qualified_name or each.source_digest):
            yield f"{each.label} has the name or the digest of a file, and came with a distribution"
    ids = [model.id for model in event.models]
    if len(set(ids)) < len(ids):
        yield "a model is listed twice"


def departures(event: e.SessionOpened, spec: Spec, catalogue: Catalogue) -> Iterator[str]:
    """Where the plugins of a session of this program are others than its spec and this program have.

    Args:
        event: it opens the session.
        spec: of the run.
        catalogue: the installed plugins, those of this program among them.
    """
    kinds = [each.kind for each in event.plugins]
    strange = sorted(set(kinds) - set(_KINDS))
    if strange or kinds != sorted(kinds, key=_KINDS.index):
        yield f"the plugins are of other kinds, or in another order, than a session has them: {', '.join(kinds)}"
        return
    by_kind = {kind: [each for each in event.plugins if each.kind == kind] for kind in _KINDS}
    known = {(each.kind, each.name) for each in catalogue.entries() if each.distribution == DISTRIBUTION}
    for each in event.plugins:
        if each.distribution == DISTRIBUTION and (each.kind, each.name) not in known:
            yield f"{each.label} is no plugin of this program"
    yield from _providers(event, by_kind["provider"], spec, catalogue)
    yield from _backend(by_kind["backend"], spec)
    yield from _validators(by_kind["validator"], spec)
    if any(_lists_twice(by_kind[kind]) for kind in ("scorer", "scaffold")):
        yield "a plugin is listed twice"
    for kind, named in (("exporter", tuple(spec.exporters)), ("scorer", (spec.evaluate.scorer,))):
        others = [each.name for each in by_kind[kind] if each.distribution and not _is_named(each, named)]
        if others:
            yield f"the spec names no {kind} {others[0]}"


def unlisted(session: e.SessionOpened, validator: str | None, event: e.Validated) -> Iterator[str]:
    """A check that came to a verdict ran a validator that its session has; one that is missing says nothing."""
    if validator is None or event.verdict is Verdict.UNKNOWN:
        return
    if not any(each.kind == "validator" and _is_named(each, [validator]) for each in session.plugins):
        yield f"the session has no validator {validator}, which came to a verdict"


def _is_named(used: e.PluginUsed, names: Iterable[str | None]) -> bool:
    """Whether one of the names is the plugin's, alone or after its distribution."""
    return bool({used.name, f"{used.distribution}:{used.name}"} & {_address(name) for name in names if name})


def _address(name: str) -> str:
    """A name as it is compared: a distribution before it is written as installed ones are."""
    distribution, colon, short = name.rpartition(":")
    return f"{normalised(distribution)}:{short}" if colon else name


def _lists_twice(plugins: Sequence[e.PluginUsed]) -> bool:
    listed = [(each.name, each.distribution) for each in plugins]
    return len(set(listed)) < len(listed)


def _validators(used: Sequence[e.PluginUsed], spec: Spec) -> Iterator[str]:
    """Those that are alone with their name, in the order of names; then those that tasks name with a distribution."""
    addressed = dict.fromkeys(name for task in spec.tasks for name in task.hard_validators if ":" in name)
    alone = list(used)
    for name in reversed(addressed):
        if alone and _is_named(alone[-1], [name]):
            alone.pop()
    names = [each.name for each in alone]
    if names != sorted(names):
        yield "the validators are in another order than a session has them"
    if _lists_twice(alone):
        yield "a plugin is listed twice"


def _providers(event: e.SessionOpened, used: Sequence[e.PluginUsed], spec: Spec, catalogue: Catalogue) -> Iterator[str]:
    types = {model.provider_type or model.provider for model in event.models}
    missing = sorted(each for each in types if not any(_is_named(plugin, [each]) for plugin in used))
    if missing:
        yield f"models are of the provider {missing[0]}, which is no plugin of the session"
    if not spec.providers:
        return
    try:
        instances = instances_of(spec.providers, catalogue.names("provider"))
    except OrchestrateError:
        return  # a plugin that is installed now has the name of an instance
    handed = {each.name for each in used if not each.distribution}  # objects and files, beside those of the spec
    wanted = [name for name in dict.fromkeys(each.type for each in instances) if name not in handed]
    installed = [each for each in used if each.name not in handed]
    if len(installed) != len(wanted) or not all(map(_is_named, installed, zip(wanted))):
        names = ", ".join(each.name for each in installed) or "none"
        yield f"the providers are {names}, the spec names {', '.join(wanted)}"
    unnamed = sorted(set(event.local) - handed - {each.name for each in instances})
    if unnamed:
        yield f"the spec names no provider {unnamed[0]}, which is said to be on this machine"


def _backend(used: Sequence[e.PluginUsed], spec: Spec) -> Iterator[str]:
    if len(used) != 1:
        yield f"a session has one backend, and this one has {len(used)}"
        return
    wanted = spec.routing.backend or "greedy"
    if used[0].distribution and not _is_named(used[0], [wanted]):
        yield f"the backend is {used[0].name}, the spec names {wanted}"
    parameters = dict(spec.routing.parameters)
    if used[0].distribution and used[0].parameters != parameters and _PATH not in str(parameters):
        yield "the parameters of the backend are others than the spec says"
