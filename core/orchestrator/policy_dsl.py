"""Policies in files, and what contradicts itself in them.

One file holds the policies of the organisation, of teams, of jobs and of nodes (a task by its id, or ``plan``)::

    global:                       # or: org
      - {name: gdpr, allow_training_on_output: false}
    team:
      eng: [{name: eu_only, allowed_regions: [eu, global]}]
    job:
      job_001: [{name: cost_cap, max_cost_per_task_usd: 0.50, max_latency_ms: 5000}]
    node:
      parse: [{name: cheap, allowed_models: [deepseek-chat], enforcement_mode: soft}]
    capabilities:                 # what specs may do beside calling models; deny wins
      allow: ["address=https://*.corp.example"]
      deny: ["sandbox=none"]
    retention: {keep: 180d, hold: [run-7]}    # how long texts are kept; log gc deletes the older ones
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from orchestrator.documents import Address, LineOf, expanded, read_text
from orchestrator.engine.reading_given_files import check_given_files
from orchestrator.errors import NotAllowedError, OrchestrateError, SpecError
from orchestrator.policy import CapabilityRules, Policy, PolicyHierarchy, Retention
from orchestrator.policy_analysis import AnalysisReport, PolicyAnalyzer
from orchestrator.spec import Spec
from orchestrator.spec.parsing import parse_policies, refuse_unknown_node
from orchestrator.spec.policy_keys import POLICIES, RETENTION
from orchestrator.spec.value_kinds import NAME, NameUse, Place, Refused, described, suggestion
from orchestrator.spi import Loader
from orchestrator.trust import Admission
from orchestrator.trust.user_configuration import PATTERNS
from orchestrator.trust.wanted_capabilities import reading

__all__ = [
    "AnalysisReport",
    "PolicyAnalyzer",
    "PolicyFile",
    "PolicyFileError",
    "bind",
    "load_policy_file",
    "parse_hierarchy",
    "parse_policies",
    "read_policy_file",
    "retention_in_force",
    "retention_of",
    "rules_of",
    "with_policies",
]

_LEVELS = ("global", "org", "team", "job", "node", "capabilities", "retention")
_RULES = ("allow", "deny")

LoaderFor = Callable[[str], Loader]
"""Gives the loader for a file name's ending such as ``.yaml``."""


class PolicyFileError(SpecError, ValueError):
    """A policy file cannot be used; a ValueError too, as the specification has it."""


@frozen
class PolicyFile:
    """The policies of one file, and where each stands."""

    source: str
    hierarchy: PolicyHierarchy
    lines: Mapping[Address, int]
    uses: tuple[NameUse, ...] = ()
    """The names of models, providers and regions in it."""

    def place(self, *address: str | int) -> str:
        """``FILE:LINE`` of an address such as ``("team", "eng", 0)``, ``FILE`` where the line is not known."""
        line = self.lines.get(address)
        return self.source if line is None else f"{self.source}:{line}"

    def places(self, level: str, name: str = "") -> tuple[str, ...]:
        """Where the policies of a level (``org``, ``team``, ``job``, ``node``) stand, in the hierarchy's order."""
        if level != "org":
            count = len(getattr(self.hierarchy, level).get(name, ()))
            return tuple(self.place(level, name, number) for number in range(count))
        under = {key: sum(1 for at in self.lines if len(at) == 2 and at[0] == key) for key in ("global", "org")}
        found = [self.place(key, number) for key, count in under.items() for number in range(count)]
        return tuple(found) if len(found) == len(self.hierarchy.org) else (self.source,) * len(self.hierarchy.org)


def load_policy_file(path: Path | str, loader_for: LoaderFor | None = None) -> PolicyHierarchy:
    """The policies in a file.

    Without ``loader_for`` the installed policy loader plugins are asked.

    Raises:
        PolicyFileError: no loader reads such files, or the content cannot be used; all problems together.
    """
    return read_policy_file(path, loader_for).hierarchy


def read_policy_file(path: Path | str, loader_for: LoaderFor | None = None) -> PolicyFile:
    """The policies in a file with their lines; see ``load_policy_file``.

    Raises:
        PolicyFileError: no loader reads such files, or the content cannot be used; all problems together.
    """
    path = Path(path)
    source = str(path)
    try:
        loader = (loader_for or _installed)(path.suffix.lower())
    except (OrchestrateError, LookupError, ValueError) as error:
        reason = " ".join(str(error).split()) or f"nothing reads {path.suffix!r} files"
        raise PolicyFileError([f"{source}:1: {reason}; write policies in a .yaml, .yml or .json file"]) from error
    try:
        value, lines = _loaded(loader, read_text(path), source)
        place = Place(source, lines.get)
        return PolicyFile(source, _hierarchy(value, place), lines, tuple(place.uses))
    except SpecError as error:
        raise PolicyFileError(error.problems) from error


def _loaded(loader: Loader, text: str, source: str) -> tuple[Any, Mapping[Address, int]]:
    """What a plugin makes of a text; whatever it does wrong is a problem of the file."""
    try:
        value, lines = loader.load(text, source)
        return value, dict(lines)
    except SpecError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise SpecError([f"{source}:1: the policy loader {type(loader).__name__} failed: {reason}"]) from error


def parse_hierarchy(value: Any, source: str, line_of: LineOf | None = None) -> PolicyHierarchy:
    """The hierarchy that a policy file's data means.

    Raises:
        SpecError: it cannot be used, or asks for what nothing enforces yet; all problems together.
    """
    return _hierarchy(value, Place(source, line_of))


def _hierarchy(value: Any, place: Place) -> PolicyHierarchy:
    if not isinstance(value, Mapping):
        place.report(f"expected a mapping with the keys global, team, job and node, found {described(value)}")
        raise place.error()
    for name in value:
        if name not in _LEVELS:
            near = suggestion(name, dict.fromkeys(_LEVELS))
            place.below(str(name)).report(
                f"unknown key{near or '; known are global (or org), team, job, node, capabilities and retention'}"
            )
    whole_org = (*_policies(value, "global", place), *_policies(value, "org", place))
    team, job, node = (_groups(value.get(level), place.below(level)) for level in ("team", "job", "node"))
    rules = _rules(value.get("capabilities"), place.below("capabilities"))
    retention = _retention(value.get("retention"), place.below("retention"))
    if place.problems:
        raise place.error()
    return PolicyHierarchy(org=whole_org, team=team, job=job, node=node, capabilities=rules, retention=retention)


def _retention(value: Any, place: Place) -> Retention:
    """What a file says of texts and their age; problems are recorded, not raised."""
    try:
        return Retention() if value is None else RETENTION.read(value, place)
    except Refused:
        return Retention()


def _rules(value: Any, place: Place) -> CapabilityRules:
    """What a file says of capabilities; problems are recorded, not raised."""
    if value is None:
        return CapabilityRules()
    if not isinstance(value, Mapping):
        place.report(f"expected a mapping with the keys allow and deny, found {described(value)}")
        return CapabilityRules()
    for name in value:
        if name not in _RULES:
            near = suggestion(name, dict.fromkeys(_RULES))
            place.below(str(name)).report(f"unknown key{near or '; known are allow and deny'}")
    allow, deny = (_patterns(value.get(name), place.below(name)) for name in _RULES)
    return CapabilityRules(allow, deny)


def _patterns(value: Any, place: Place) -> tuple[str, ...]:
    try:
        return () if value is None else PATTERNS.read(value, place)
    except Refused:
        return ()


def _installed(suffix: str) -> Loader:
    from orchestrator.plugins import Catalogue  # the catalogue is read only where no loader was passed in

    return Catalogue.discover().loader_for_suffix(suffix)


def _policies(value: Mapping[Any, Any], name: str, place: Place) -> tuple[Policy, ...]:
    raw = value.get(name)
    if raw is None:
        return ()
    try:
        return POLICIES.read(raw, place.below(name))
    except Refused:
        return ()


def _groups(value: Any, place: Place) -> dict[str, tuple[Policy, ...]]:
    """The policies of each team, job or node; problems are recorded, not raised."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        place.report(f"expected a mapping of names to lists of policies, found {described(value)}")
        return {}
    groups: dict[str, tuple[Policy, ...]] = {}
    for name in value:
        try:
            groups[NAME.read(name, place.below(str(name)))] = _policies(value, name, place)
        except Refused:
            continue
    return groups


def with_policies(spec: Spec, files: Iterable[Path] = (), loader_for: LoaderFor | None = None) -> Spec:
    """The spec with the policies that bind it from files and from its ``policy_files``, before its own.

    They are those of the organisation, of the spec's team and of its job, and those of single nodes. Policies of
    a team or a job that the spec does not name, or of a node that its plan lacks, would bind nothing: then the file is
    refused, because its author expects them to bind.

    Raises:
        SpecError: a file cannot be used, or has levels to which the spec does not say where it belongs.
        NotAllowedError: the spec names a file outside its folder, and its user has not agreed to that.
    """
    policies: list[Policy] = []
    nodes, retention = PolicyHierarchy(), spec.retention
    _refuse_foreign(spec)
    check_given_files(spec, spec.policy_files)
    uses = list(spec.uses)
    own = [Path(spec.folder) / expanded(name) for name in spec.policy_files]
    for path in (*files, *own):
        file = read_policy_file(path, loader_for)
        hierarchy = file.hierarchy
        uses.extend(file.uses)
        _refuse_unbound(path, hierarchy, spec)
        _refuse_unknown_nodes(file, spec)
        retention = retention.merged(hierarchy.retention)
        policies.extend(hierarchy.policies_for(team=spec.team or "", job_id=spec.job_id or "").policies)
        nodes = nodes.merged(PolicyHierarchy(node=hierarchy.node, capabilities=hierarchy.capabilities))
    bound = nodes.merged(PolicyHierarchy(node=spec.node_policies)).node
    rules = CapabilityRules(deny=(*spec.rules.deny, *nodes.capabilities.deny))  # no spec may allow itself anything
    return evolve(
        spec,
        policies=(*policies, *spec.policies),
        node_policies=bound,
        policy_files=(),
        retention=retention,
        rules=rules,
        uses=tuple(uses),
    )


def _refuse_foreign(spec: Spec) -> None:
    """Refuse to read what no admission has admitted."""
    if spec.source is None:
        return
    granted = {(each.kind, each.value) for each in spec.grants or ()}
    for name in spec.policy_files:
        for wanted in reading(name, spec, lambda path: Path(os.path.realpath(path))):
            if (wanted.kind, wanted.value) not in granted:
                text = f"{spec.source} wants to {wanted.described}, outside its folder; give {wanted.flag}"
                raise NotAllowedError(text, [wanted.text])


def rules_of(files: Iterable[Path], loader_for: LoaderFor | None = None) -> CapabilityRules:
    """What the user's own policy files say of capabilities, together.

    Raises:
        SpecError: a file cannot be used.
    """
    rules = CapabilityRules()
    for path in files:
        rules = rules.merged(read_policy_file(path, loader_for).hierarchy.capabilities)
    return rules


def retention_of(files: Iterable[Path], loader_for: LoaderFor | None = None) -> Retention:
    """What policy files say of texts and their age, together.

    Raises:
        SpecError: a file cannot be used.
    """
    found = Retention()
    for path in files:
        found = found.merged(read_policy_file(path, loader_for).hierarchy.retention)
    return found


def retention_in_force(files: Iterable[Path], variables: Mapping[str, str]) -> Retention:
    """What the user's configuration, its policy files and these files say of texts and their age.

    Raises:
        SpecError: a file cannot be used.
    """
    from orchestrator.trust.user_configuration import read_configuration

    configuration = read_configuration(variables)
    named = map(configuration.named, configuration.policy_files)
    return configuration.retention.merged(retention_of([*named, *files]))


def bind(
    spec: Spec,
    admission: Admission,
    files: Iterable[Path] = (),
    loader_for: LoaderFor | None = None,
    output: Path | None = None,
    *,
    is_run: bool = True,
) -> Spec:
    """The spec admitted by a user's admission, and bound by the policies of the user's files and of its own.

    Args:
        spec: the spec.
        admission: the user's; what ``files`` say of capabilities holds for it from now on.
        files: policy files of the user, beside those of the configuration.
        loader_for: see ``load_policy_file``.
        output: the output folder that is used.
        is_run: whether it is run, or only looked at.

    Raises:
        NotAllowedError: the spec wants what its user has not agreed to.
        SpecError: as for ``with_policies``.
    """
    users = (*map(admission.configuration.named, admission.configuration.policy_files), *files)
    admission.rules = rules_of(users, loader_for)
    admit = admission.admit if is_run else admission.admit_reading
    return with_policies(admit(spec, output), users, loader_for)


def _refuse_unknown_nodes(file: PolicyFile, spec: Spec) -> None:
    place = Place(file.source, file.lines.get)
    for node in file.hierarchy.node:
        refuse_unknown_node(spec, node, place.below("node").below(node))
    if place.problems:
        raise place.error()


def _refuse_unbound(path: Path, hierarchy: PolicyHierarchy, spec: Spec) -> None:
    levels = (
        ("team", hierarchy.team, spec.team, "team: NAME"),
        ("job", hierarchy.job, spec.job_id, "job_id: NAME"),
    )
    unbound = [(level, key) for level, policies, name, key in levels if policies and not name]
    if unbound:
        names = " and ".join(f"{level}:" for level, _ in unbound)
        keys = " and ".join(key for _, key in unbound)
        raise SpecError([f"{path}: the spec does not say which policies under {names} bind it; give it {keys}"])
