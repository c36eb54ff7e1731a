"""Who agrees to what: grants, rules and flags weighed against what a spec wants. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from orchestrator.events import Grant
from orchestrator.models import GrantedBy
from orchestrator.trust.capabilities import Capability
from orchestrator.trust.consent_sentences import AGREED_BY
from orchestrator.trust.grant_patterns import covered

_ORDER: Final = (
    GrantedBy.OWN,
    GrantedBy.FLAG,
    GrantedBy.POLICY,
    GrantedBy.CONFIGURATION,
    GrantedBy.REMEMBERED,
    GrantedBy.ASKED,
)
_PATTERNS: Final = (GrantedBy.FLAG, GrantedBy.POLICY, GrantedBy.CONFIGURATION)
"""Those whose word may hold a ``*``; the others agreed to exact values."""


@frozen
class Weighed:
    """What a spec wants, weighed."""

    granted: tuple[Grant, ...]
    missing: tuple[Capability, ...]
    """Neither agreed to nor denied."""
    denied: tuple[Capability, ...]
    """A rule of the user denies it; no flag and no answer helps."""

    @property
    def is_allowed(self) -> bool:
        """Whether the spec may be run."""
        return not self.missing and not self.denied

    @property
    def plain(self) -> list[dict[str, str | bool | None]]:
        """Every capability as JSON, with who agreed to it, if anyone has."""
        agreed = [(each.kind.value, each.value, each.by.value, False) for each in self.granted]
        missing = [(each.kind.value, each.value, None, False) for each in self.missing]
        denied = [(each.kind.value, each.value, None, True) for each in self.denied]
        names = ("kind", "value", "granted_by", "denied")
        return [dict(zip(names, each, strict=True)) for each in (*agreed, *missing, *denied)]


def weigh(
    wanted: Sequence[Capability],
    patterns: Mapping[GrantedBy, Collection[str]],
    deny: Iterable[str] = (),
) -> Weighed:
    """Weigh what is wanted against what is agreed to, by who agreed, and what is denied; deny wins."""
    deny = tuple(deny)
    denied = tuple(each for each in wanted if covered(each, deny))
    found = {each: by for each in wanted if each not in denied if (by := _by(each, patterns)) is not None}
    missing = tuple(each for each in wanted if each not in denied and each not in found)
    return Weighed(tuple(each.granted(by) for each, by in found.items()), missing, denied)


def _by(capability: Capability, patterns: Mapping[GrantedBy, Collection[str]]) -> GrantedBy | None:
    return next((by for by in _ORDER if _agrees(capability, patterns.get(by, ()), by)), None)


def _agrees(capability: Capability, agreed: Collection[str], by: GrantedBy) -> bool:
    return covered(capability, agreed) if by in _PATTERNS else capability.text in agreed


def listed(source: str, weighed: Weighed) -> list[str]:
    """What a spec wants, a line each, the first line saying whose; empty where it wants nothing."""
    lines = [
        *(f"  {Capability(each.kind, each.value).described} ({AGREED_BY[each.by]})" for each in weighed.granted),
        *(f"  {each.described} (not agreed to yet: {each.flag})" for each in weighed.missing),
        *(f"  {each.described} (denied by your rules)" for each in weighed.denied),
    ]
    return [f"{source} wants to:", *lines] if lines else []


def refusal(source: str, weighed: Weighed, file: str) -> str:
    """What to say of a spec that may not be run, with the flags or the line of the configuration that would agree."""
    if weighed.denied:
        named = "\n".join(f"  {each.described} ({each.text})" for each in weighed.denied)
        return f"{source} wants what your policy files or your configuration deny:\n{named}"
    width = max(len(each.described) for each in weighed.missing)
    named = "\n".join(f"  {each.described:<{width}}  {each.flag}" for each in weighed.missing)
    quoted = ", ".join(_toml(each.text) for each in weighed.missing)
    return (
        f"{source} wants what you have not agreed to:\n{named}\n"
        f"run it on a terminal to be asked, give these flags, or add to {file}: allow = [{quoted}]"
    )


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
