"""From a spec file and the flags of the command line to the spec that is run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from orchestrator.errors import SpecError
from orchestrator.policy import Policy, PolicyHierarchy
from orchestrator.spec import Spec, parse_spec, read_models, read_spec

if TYPE_CHECKING:
    from orchestrator.plugins import Catalogue


def spec_of_file(path: Path, sets: Sequence[str], flags: dict[str, Any], models: Path | None) -> Spec:
    """The spec in a file; ``--set`` changes the file's keys, then flags (keys with their values) win.

    Raises:
        SpecError: the file, or the models file, cannot be used.
        UsageError: a ``--set`` cannot be applied.
    """
    spec = read_spec(path, sets)
    return with_models(with_flags(spec, flags), models)


def with_flags(spec: Spec, flags: dict[str, Any]) -> Spec:
    """The spec with the flags that were given in the place of its keys.

    Raises:
        SpecError: a flag's value cannot be used.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    identifier = given.get("project_id")
    if identifier is not None:  # read like the key of a file, so that the same names are allowed
        checked = parse_spec({"project": "-", "criteria": "-", "project_id": identifier}, "--project-id")
        given["project_id"] = checked.project_id
    return evolve(spec, **given)


def with_models(spec: Spec, path: Path | None) -> Spec:
    """The spec with the models of a file added; one of the same id and provider replaces the spec's.

    Raises:
        SpecError: the file cannot be used.
    """
    if path is None:
        return spec
    found = read_models(path)
    named = {(model.provider, model.id) for model in found}
    kept = (model for model in spec.models if (model.provider, model.id) not in named)
    return evolve(spec, models=(*found, *kept))


def with_policies(spec: Spec, flags: Sequence[Path], catalogue: "Catalogue") -> Spec:
    """The spec with the policies of ``--policy`` files and of its ``policy_files`` before its own.

    Raises:
        SpecError: a file cannot be used, or has policies that nothing binds yet.
    """
    from orchestrator.policy_dsl import load_policy_file

    files = [*flags, *(Path(spec.folder) / name for name in spec.policy_files)]
    policies: list[Policy] = []
    for path in files:
        hierarchy = load_policy_file(path, catalogue.loader_for_suffix)
        _refuse_unbound(path, hierarchy)
        policies.extend(hierarchy.org)
    return evolve(spec, policies=(*policies, *spec.policies), policy_files=())


def _refuse_unbound(path: Path, hierarchy: PolicyHierarchy) -> None:
    levels = {"team": hierarchy.team, "job": hierarchy.job, "node": hierarchy.node}
    unbound = [name for name, policies in levels.items() if policies]
    if unbound:
        names = " and ".join(f"{name}:" for name in unbound)
        raise SpecError(
            [f"{path}: nothing binds policies under {names} to a run yet; write those that hold under global:"]
        )
