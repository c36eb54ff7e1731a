"""Scaffolds: the fixed parts of applications, and how these are started."""

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from orchestrator.models import ArchitectureProfile


@frozen
class App:
    """What an application is to be."""

    name: str
    """A Python identifier in lower case, for packages and folders."""
    title: str
    """One line of its description."""
    profile: ArchitectureProfile
    """The architecture that was decided on."""


@frozen
class Ask:
    """A request to a started application, and the statuses that show that it works."""

    path: str = "/"
    """The path of the request."""
    below: int = 500
    """The status has to be below this."""


@frozen
class Launch:
    """How an application is started in the sandbox, and how it shows that it works.

    A server listens on ``port`` of 127.0.0.1 and is asked; a program without a port must end with status 0.
    """

    argv: tuple[str, ...]
    """``python`` in the first place stands for the interpreter that runs the check."""
    port: int | None = None
    """The port on which it listens; None: it is a command that ends."""
    asks: tuple[Ask, ...] = (Ask(),)
    """What is requested once it listens."""
    modules: tuple[str, ...] = ()
    """Python modules that must be importable; where one is not, the application is not started, and that is said."""
    tools: tuple[str, ...] = ()
    """Programs that must be there."""
    folders: tuple[str, ...] = ()
    """Folders of the application that must be there, such as ``node_modules``."""


@frozen
class Skeleton:
    """The fixed part of an application. What a task writes under one of its names takes its place."""

    files: Mapping[str, str]
    """Content by path within the application's folder."""
    guidance: str
    """For who plans the tasks: which files are wanted, and how they fit together."""
    dependencies: tuple[str, ...] = ()
    """Distributions of the language's registry that the skeleton itself needs."""
    launches: tuple[Launch, ...] = ()
    """What is tried at the end, in order."""


class Scaffold(Protocol):
    """Provides the fixed part of applications of one type."""

    def skeleton(self, app: App) -> Skeleton:
        """The fixed part of an application; equal arguments give equal skeletons."""
