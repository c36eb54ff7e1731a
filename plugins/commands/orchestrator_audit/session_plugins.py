"""The plugins of a session again: they must follow from the spec, and be of the program that they came with."""

from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator import events as e
from orchestrator.engine.vendors.instances import instances_of
from orchestrator.errors import OrchestrateError
from orchestrator.plugins import Catalogue
from orchestrator.plugins.registry import DISTRIBUTION
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
    listed = [(each.kind, each.name, each.distribution) for each in event.plugins]
    if len(set(listed)) < len(listed):
        yield "a plugin is listed twice"
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
    validators = [each.name for each in by_kind["validator"] if ":" not in each.name]
    if validators != sorted(validators):
        yield "the validators are in another order than a session has them"
    for kind, named in (("exporter", tuple(spec.exporters)), ("scorer", (spec.evaluate.scorer,))):
        others = [each.name for each in by_kind[kind] if each.distribution and each.name not in named]
        if others:
            yield f"the spec names no {kind} {others[0]}"


def _providers(event: e.SessionOpened, used: Sequence[e.PluginUsed], spec: Spec, catalogue: Catalogue) -> Iterator[str]:
    names = [each.name for each in used]
    missing = sorted({model.provider_type or model.provider for model in event.models} - set(names))
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
    names = [name for name in names if name not in handed]
    if names != wanted:
        yield f"the providers are {', '.join(names) or 'none'}, the spec names {', '.join(wanted)}"
    unnamed = sorted(set(event.local) - handed - {each.name for each in instances})
    if unnamed:
        yield f"the spec names no provider {unnamed[0]}, which is said to be on this machine"


def _backend(used: Sequence[e.PluginUsed], spec: Spec) -> Iterator[str]:
    if len(used) != 1:
        yield f"a session has one backend, and this one has {len(used)}"
        return
    wanted = spec.routing.backend or "greedy"
    if used[0].distribution and used[0].name != wanted:
        yield f"the backend is {used[0].name}, the spec names {wanted}"
    parameters = dict(spec.routing.parameters)
    if used[0].distribution and used[0].parameters != parameters and _PATH not in str(parameters):
        yield "the parameters of the backend are others than the spec says"
