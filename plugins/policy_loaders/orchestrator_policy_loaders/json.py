"""The policy loader for JSON files."""

from collections.abc import Mapping
from typing import Any

from orchestrator.documents import Address, load_json
from orchestrator.errors import SpecError
from orchestrator.spi import Loader, hookimpl


class JsonLoader:
    """Reads policy files in JSON, within the bounds of ``orchestrator.documents``."""

    suffixes: tuple[str, ...] = (".json",)

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[Address, int]]:
        """See ``Loader``."""
        document = load_json(text, source)
        if not isinstance(document.value, Mapping):
            raise SpecError([f"{source}:1: a policy file is a mapping with the keys global, team, job and node"])
        return document.value, document.lines()


@hookimpl
def orchestrator_policy_loader() -> Loader:
    """Return the loader."""
    return JsonLoader()
