"""Policies in files: one file holds those of the organisation, of teams and of jobs.

::

    global:                       # or: org
      - {name: gdpr, allow_training_on_output: false}
    team:
      eng: [{name: eu_only, allowed_regions: [eu, global]}]
    job:
      job_001: [{name: fast, max_latency_ms: 5000}]
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.documents import Address, LineOf, read_text
from orchestrator.errors import OrchestrateError, SpecError
from orchestrator.policy import Policy, PolicyHierarchy
from orchestrator.spec.kinds import NAME, Place, Refused, described, suggestion
from orchestrator.spec.reading import parse_policies
from orchestrator.spec.vocabulary import POLICIES
from orchestrator.spi import Loader

__all__ = ["PolicyFileError", "load_policy_file", "parse_hierarchy", "parse_policies"]

_LEVELS = ("global", "org", "team", "job")


class PolicyFileError(SpecError, ValueError):
    """A policy file cannot be used; a ValueError too, as the specification has it."""


def load_policy_file(path: Path | str, loader_for: Callable[[str], Loader] | None = None) -> PolicyHierarchy:
    """The policies in a file.

    ``loader_for`` gives the loader for a file name's ending such as ``.yaml``; without it the installed policy loader
    plugins are asked.

    Raises:
        PolicyFileError: nobody reads such files, or the content cannot be used; all problems together.
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
        return parse_hierarchy(value, source, lines.get)
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
    place = Place(source, line_of)
    if not isinstance(value, Mapping):
        place.report(f"expected a mapping with the keys global, team and job, found {described(value)}")
        raise place.error()
    for name in value:
        if name == "node":
            place.below("node").report("policies of single nodes are not enforced yet; take them out")
        elif name not in _LEVELS:
            near = suggestion(name, dict.fromkeys(_LEVELS))
            place.below(str(name)).report(f"unknown key{near or '; known are global (or org), team and job'}")
    everybody = (*_policies(value, "global", place), *_policies(value, "org", place))
    team, job = (_groups(value.get(level), place.below(level)) for level in ("team", "job"))
    if place.problems:
        raise place.error()
    return PolicyHierarchy(org=everybody, team=team, job=job)


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
    """The policies of each team or job; problems are recorded, not raised."""
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
