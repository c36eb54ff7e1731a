"""Limits per minute: one number for every provider, or one by the name of each."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from orchestrator.settings import EVERY
from orchestrator.spec.container_kinds import MapOf
from orchestrator.spec.value_kinds import Kind, NameOf, Place, Reference, Whole, described


class _ProviderOrEvery(Reference):
    """The name of a provider, or ``*`` for all others."""

    def read(self, value: Any, at: Place) -> str:
        """See ``Kind``."""
        return EVERY if value == EVERY else super().read(value, at)


_PROVIDER: Final = _ProviderOrEvery(NameOf.PROVIDER)


@frozen
class PerProvider(Kind[dict[str, int]]):
    """A whole number from 1, or a mapping from providers (``*``: all others) to such numbers."""

    most: int

    def _number(self) -> Whole:
        return Whole(1, self.most)

    def read(self, value: Any, at: Place) -> dict[str, int]:
        """See ``Kind``."""
        if isinstance(value, Mapping):
            return MapOf[str, int](self._number(), least=1, name=_PROVIDER).read(value, at)
        if isinstance(value, int) and not isinstance(value, bool):
            return {EVERY: self._number().read(value, at)}
        raise at.refuse(
            f"expected a whole number, or a mapping from providers to such numbers, found {described(value)}"
        )

    def dump(self, value: dict[str, int]) -> int | dict[str, int]:
        """The number where it holds for every provider."""
        return value[EVERY] if list(value) == [EVERY] else dict(value)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        mapping = MapOf[str, int](self._number(), least=1, name=_PROVIDER).schema()
        return {**self._number().schema(), **mapping, "type": ["integer", "object"]}
