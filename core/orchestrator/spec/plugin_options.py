"""What a spec says to providers and exporters: what their plugins know, and the keys that the program reads itself."""

from typing import Any, Final

from orchestrator.spec.container_kinds import FreeMapping
from orchestrator.spec.value_kinds import NameOf, Place, Real, Reference

PROVIDER: Final = Reference(NameOf.PROVIDER)
_EVERY: Final = Real(0, 86_400)


class ProviderOptions(FreeMapping):
    """What a provider is built with; which plugin it is of is the program's to know."""

    def read(self, value: Any, at: Place) -> dict[str, Any]:
        """See ``Kind``."""
        options = super().read(value, at)
        if "type" in options:
            options["type"] = PROVIDER.read(options["type"], at.below("type"))
        return options

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {**super().schema(), "properties": {"type": PROVIDER.schema()}}


class ExporterOptions(FreeMapping):
    """What an exporter is built with; how often it exports is the program's to know."""

    def read(self, value: Any, at: Place) -> dict[str, Any]:
        """See ``Kind``."""
        options = super().read(value, at)
        if "every_seconds" in options:
            options["every_seconds"] = _EVERY.read(options["every_seconds"], at.below("every_seconds"))
        return options

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {**super().schema(), "properties": {"every_seconds": _EVERY.schema()}}
