"""How an application is to be built."""

from enum import StrEnum
from typing import Final

from attrs import frozen


class StructuralPattern(StrEnum):
    """How the code of an application is divided."""

    LAYERED = "layered"
    HEXAGONAL = "hexagonal"
    CQRS = "CQRS"
    EVENT_DRIVEN = "event-driven"
    MVC = "MVC"
    SCRIPT = "script"


class Topology(StrEnum):
    """Into what an application is deployed."""

    MONOLITH = "monolith"
    MICROSERVICES = "microservices"
    SERVERLESS = "serverless"
    BFF = "BFF"
    LIBRARY = "library"


class ApiParadigm(StrEnum):
    """How others talk to an application."""

    REST = "REST"
    GRAPHQL = "GraphQL"
    GRPC = "gRPC"
    CLI = "CLI"
    NONE = "none"


class DataParadigm(StrEnum):
    """How an application keeps what it knows."""

    RELATIONAL = "relational"
    DOCUMENT = "document"
    TIME_SERIES = "time-series"
    KEY_VALUE = "key-value"
    NONE = "none"


AUTO: Final = "auto"
"""The application type that leaves the choice to the architecture advisor."""

APP_TYPES: Final = ("fastapi", "flask", "django", "cli", "library", "html", "react", "nextjs", "generic")
"""The kinds of application the advisor tells apart; the last is any other."""


@frozen
class ArchitectureProfile:
    """The architecture of an application. Without advice the defaults are used."""

    app_type: str = "generic"
    """One of ``APP_TYPES``."""
    structural_pattern: StructuralPattern = StructuralPattern.LAYERED
    """How the code is divided."""
    topology: Topology = Topology.MONOLITH
    """How the parts run."""
    api: ApiParadigm = ApiParadigm.NONE
    """How it is called."""
    data: DataParadigm = DataParadigm.NONE
    """How it keeps data."""
    storage: str = ""
    """What keeps the data, such as ``PostgreSQL``; empty: nothing. In events the digest, as in the next three."""
    caching: str = ""
    """Digest of what it caches, in words; empty: nothing."""
    queuing: str = ""
    """Digest of what it queues, in words; empty: nothing."""
    rationale: str = ""
    """Digest of why; empty: it was not said."""
