"""Admission: no spec reads, sends, listens, writes or executes beyond what it may alone before its user has agreed."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import define, evolve

from orchestrator.errors import MissingError, NotAllowedError
from orchestrator.events import Grant
from orchestrator.models import CapabilityKind, GrantedBy
from orchestrator.policy import CapabilityRules
from orchestrator.spec import Spec
from orchestrator.trust.capabilities import Capability
from orchestrator.trust.grant_patterns import checked_patterns
from orchestrator.trust.grant_rules import Weighed, listed, refusal, weigh
from orchestrator.trust.remembered_grants import GrantStore
from orchestrator.trust.user_configuration import Configuration, configuration_path
from orchestrator.trust.wanted_capabilities import Surroundings, wants

Ask = Callable[[Sequence[str]], bool]
"""Shows the lines of what a spec wants to the person at the terminal; whether they agree."""


_READ: Final = (
    CapabilityKind.READ,
    CapabilityKind.OPTION,
    CapabilityKind.ADDRESS,
    CapabilityKind.KEY,
    CapabilityKind.PLUGIN,
)
"""Kinds that matter when a spec is only looked at: files are read, plugins asked, and servers for their models."""


@define
class Admission:
    """The word of one user, and where their specs are run."""

    store: GrantStore
    around: Surroundings
    configuration: Configuration = Configuration()
    flags: tuple[str, ...] = ()
    """What ``--allow`` gave."""
    rules: CapabilityRules = CapabilityRules()
    """What the user's own policy files say."""
    ask: Ask | None = None
    """How a person is asked; None where none can be asked."""
    show: Callable[[Sequence[str]], None] = lambda lines: None
    """Takes the lines of what an admitted spec wants."""

    def allow(self, flags: Sequence[str]) -> None:
        """Take what ``--allow`` gave.

        Raises:
            UsageError: it is not of the form ``KIND=VALUE``.
        """
        self.flags = (*self.flags, *checked_patterns(flags, "--allow"))

    def weighed(self, spec: Spec, output: Path | None = None) -> Weighed:
        """What a spec wants, weighed; nothing is asked, and no file that the spec names is read."""
        wanted = wants(spec, self.around, output)
        if not wanted:
            return Weighed((), (), ())
        rules = self.rules.merged(CapabilityRules(deny=spec.rules.deny))
        patterns: dict[GrantedBy, Sequence[str]] = {
            GrantedBy.OWN: [each.text for each in wanted if self._is_own(each, spec, output)],
            GrantedBy.FLAG: self.flags,
            GrantedBy.POLICY: rules.allow,
            GrantedBy.CONFIGURATION: self.configuration.allowed,
            GrantedBy.REMEMBERED: self.store.read().get(source_of(spec), ()),
            GrantedBy.ASKED: [Capability(each.kind, each.value).text for each in spec.grants or ()],
        }
        return weigh(wanted, patterns, (*rules.deny, *self.configuration.deny))

    def admit(self, spec: Spec, output: Path | None = None) -> Spec:
        """The spec with its grants, once its user has agreed to all that it wants; they are asked once, in one list.

        Raises:
            NotAllowedError: they have not, or a rule denies it.
        """
        return self._admitted(spec, self.weighed(spec, output))

    def admit_reading(self, spec: Spec, output: Path | None = None) -> Spec:
        """See ``admit``, for what reads the spec's files and asks its providers for their models, and runs nothing.

        All that the spec wants is shown; only that has to be agreed to.

        Raises:
            NotAllowedError: its user has not agreed, or a rule denies something.
        """
        weighed = self.weighed(spec, output)
        read = tuple(each for each in weighed.missing if each.kind in _READ)
        later = tuple(each for each in weighed.missing if each.kind not in _READ)
        admitted = self._admitted(spec, evolve(weighed, missing=read))
        self.show(listed(shown_source(spec), Weighed((), later, ())))
        return admitted

    def _admitted(self, spec: Spec, weighed: Weighed) -> Spec:
        if weighed.missing and not weighed.denied and self.ask is not None and self._agreed(spec, weighed):
            agreed = tuple(each.granted(GrantedBy.ASKED) for each in weighed.missing)
            return evolve(spec, grants=_joined(spec, (*weighed.granted, *agreed)))
        if not weighed.is_allowed:
            unmet = (*weighed.denied, *weighed.missing)
            file = self.configuration.path or configuration_path(os.environ)
            raise NotAllowedError(refusal(shown_source(spec), weighed, str(file)), [each.text for each in unmet])
        if spec.grants is None:
            self.show(listed(shown_source(spec), weighed))
        return evolve(spec, grants=_joined(spec, weighed.granted))

    def _agreed(self, spec: Spec, weighed: Weighed) -> bool:
        if self.ask is None:
            raise MissingError("way to ask")
        if not self.ask(listed(shown_source(spec), weighed)):
            return False
        source = source_of(spec)
        if source.startswith("/"):
            self.store.remember(source, [each.text for each in weighed.missing])
        return True

    def _is_own(self, capability: Capability, spec: Spec, output: Path | None) -> bool:
        """Whether it is the user's own word: keywords in Python, or a flag that changed the spec."""
        if spec.source is None:
            return True
        if spec.as_read is None:
            return False
        before = wants(spec.as_read, self.around, output)
        if capability.kind is CapabilityKind.KEY:  # another address is no agreement to send a key of the spec there
            named = {each.value.rpartition("@")[0] for each in before if each.kind is CapabilityKind.KEY}
            return capability.value.rpartition("@")[0] not in named
        return capability not in before


def _joined(spec: Spec, granted: Sequence[Grant]) -> tuple[Grant, ...]:
    """The grants a spec has already, and those that are new."""
    known = {(each.kind, each.value): each for each in (*granted, *(spec.grants or ()))}
    return tuple(known.values())


def source_of(spec: Spec) -> str:
    """What grants are remembered under: the resolved path of the spec, or what stands for it."""
    source = spec.source or ""
    return os.path.realpath(source) if source.startswith("/") else source


def shown_source(spec: Spec) -> str:
    """What the spec is called in messages."""
    return spec.source or "the call"
