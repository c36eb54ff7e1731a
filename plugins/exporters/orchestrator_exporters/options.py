"""Reading the options of an exporter: one problem per option, all reported together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.documents import expanded
from orchestrator.errors import UsageError
from orchestrator.spi import ExporterConfig, SpecError


class Options:
    """Takes options one by one; ``done`` says what is wrong with them, or left over."""

    def __init__(self, config: ExporterConfig) -> None:
        self._where = f"exporters.{config.name}"
        self._left: dict[str, Any] = dict(config.options)
        self._known: list[str] = []
        self._problems: list[str] = []

    def text(self, name: str) -> str | None:
        """A text that is not blank, or None where it was not given."""
        value = self._take(name)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self._refuse(name, "expected a text", value)
        return None

    def path(self, name: str) -> Path | None:
        """A path, with the home folder for a ``~``, or None where it was not given."""
        text = self.text(name)
        try:
            return None if text is None else expanded(text)
        except UsageError as error:
            self._problems.append(f"{self._where}.{name}: {error}")
            return None

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds, or None where it was not given."""
        value = self._take(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most):
            return value
        self._refuse(name, f"expected a whole number between {least} and {most}", value)
        return None

    def texts(self, name: str) -> Mapping[str, str]:
        """A mapping of texts to texts; empty where it was not given."""
        value = self._take(name)
        if value is None:
            return {}
        if isinstance(value, Mapping) and all(isinstance(each, str) for pair in value.items() for each in pair):
            return dict(value)
        self._refuse(name, "expected a mapping of texts", value)
        return {}

    def names(self, name: str) -> tuple[str, ...]:
        """A list of texts that are not blank; empty where it was not given."""
        value = self._take(name)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(each, str) and each.strip() for each in value):
            return tuple(value)
        self._refuse(name, "expected a list of names", value)
        return ()

    def refuse(self, message: str) -> None:
        """Note what is wrong with the options together."""
        self._problems.append(f"{self._where}: {message}")

    def done(self) -> None:
        """Make sure that everything given was understood.

        Raises:
            SpecError: it was not.
        """
        known = f"known are {', '.join(self._known)}" if self._known else "it takes no options"
        self._problems.extend(f"{self._where}.{name}: unknown option; {known}" for name in sorted(self._left))
        if self._problems:
            raise SpecError(self._problems)

    def _take(self, name: str) -> Any:
        self._known.append(name)
        return self._left.pop(name, None)

    def _refuse(self, name: str, wanted: str, value: object) -> None:
        self._problems.append(f"{self._where}.{name}: {wanted}, found {value!r:.60}")
