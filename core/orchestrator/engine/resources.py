"""What the effects of one session work with, named once."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from attrs import Factory, frozen

from orchestrator import events as e
from orchestrator.engine.answers_from_outside import Replies
from orchestrator.engine.applications import Application
from orchestrator.engine.checks import Checks
from orchestrator.engine.outputs.verification import Verifier
from orchestrator.engine.questions import Asker
from orchestrator.engine.vendors.session_providers import Connected
from orchestrator.spi import Validator

if TYPE_CHECKING:
    import httpx

OnText = Callable[[e.CallStarted, str], None]
"""Called with a call in flight and the next piece of its visible text."""


class TextStore(Protocol):
    """The texts of the run."""

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text for the next append, and return its digest."""

    def fingerprint(self, text: str) -> str:
        """A salted digest by which equal texts are known; nothing is stored."""

    def get(self, digest: str) -> str:
        """The text of a digest."""

    def stored(self, text: str) -> str:
        """A text as ``put`` would store it; from any thread."""

    def digest(self, text: str) -> str:
        """The digest that ``put`` would return for a text; from any thread."""


class Writer(Protocol):
    """Where files go."""

    def write(self, name: str, content: str) -> int:
        """Write a file whole or not at all; returns its size in bytes."""


@frozen
class Resources:
    """What a session lends to its effects."""

    connected: Connected
    """The providers, and what the session uses."""
    validator: Callable[[str], Validator]
    """The validator of a name; raises what loading it raises."""
    writer: Writer | None
    """None where there is no output folder."""
    http: "httpx.AsyncClient | None"
    """None where every provider only pretends."""
    on_text: OnText = lambda call, text: None
    checks: Checks = Factory(Checks)
    task_paths: Mapping[str, str] = Factory(dict)
    """Where the user wants the files of a plan's tasks."""
    verify_cmd: str | None = None
    """The command that judges the result as a whole."""
    verifier: Verifier | None = None
    """None where there is no output folder."""
    application: Application | None = None
    """What is built, where the run builds one."""
    asker: Asker | None = None
    """How a person is asked; None where none can be asked."""
    replies: Replies = Factory(Replies)
    """What other processes answer."""
