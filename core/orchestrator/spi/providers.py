"""Providers: what is asked of a vendor, what is lent for a call, what comes back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import frozen

from orchestrator.models import Allowances, Finish, ModelInfo, Role
from orchestrator.money import Usage

if TYPE_CHECKING:
    import httpx


@frozen
class Message:
    """One message of a conversation; ``author`` is ``system``, ``user`` or ``assistant``."""

    author: str
    """``system``, ``user`` or ``assistant``."""
    text: str
    """What it says."""


@frozen
class CallRef:
    """Which call of the run this is. A scripted provider answers by it; others may ignore it."""

    node: str
    """A task's id, or ``plan``."""
    role: Role
    """What the call is for."""
    iteration: int
    """The task's iteration, from 1."""
    sample: int
    """The number of an evaluation, from 1."""
    try_: int
    """1 + the attempts of this logical call that a vendor has ended."""


@frozen
class Request:
    """One question to one model."""

    model: ModelInfo
    """The model to call; ``sent_name`` is its name for the vendor."""
    messages: tuple[Message, ...]
    """In order; the first may be of ``system``."""
    max_tokens: int
    """The most tokens of the answer; it has to be sent, for the hold is computed from it."""
    temperature: float
    """From 0 to 1 or 2, as vendors take it."""
    call: CallRef
    """Which call of the run this is."""
    json_schema: Mapping[str, Any] | None = None
    """The JSON Schema the answer should meet, where one is wanted. The order of its keys is that of the answer."""
    seed: int | None = None
    """Tells apart samples that are otherwise drawn alike; for vendors that take one."""


@frozen
class Body:
    """What will be sent: the bytes the hold is computed from, and nothing else that the vendor could bill."""

    content: bytes
    """The bytes that are sent, all of them."""
    request: Request
    """The request that they were shaped from."""


@frozen
class Reply:
    """What came back. ``usage`` is None where the vendor did not say."""

    text: str
    """The answer, whole."""
    usage: Usage | None
    """Tokens by token class; None: unknown, which keeps the whole hold."""
    finish: Finish = Finish.STOP
    """Why the answer ends."""
    request_id: str | None = None
    """The vendor's id of the call, for its support."""
    allowances: Allowances | None = None
    """How often and how much the account may ask, as far as the vendor says."""


@frozen
class CallContext:
    """What a provider is lent for one call."""

    http: "httpx.AsyncClient"
    """The one client of the program. It follows no redirect and bounds what it reads."""
    timeout: float
    """Seconds after which the call is cancelled; a deadline for everything the provider does."""
    sleep: Callable[[float], Awaitable[None]]
    """The program's clock; virtual in the simulator."""
    idempotency_key: str
    """Equal for equal (logical call, model, body); for vendors that accept such a header."""
    on_text: Callable[[str], None] = lambda text: None
    """Live display of partial text; never recorded."""


@frozen
class ProviderConfig:
    """What the user set for a provider.

    ``secret`` returns a key's value from the environment and makes sure that it never reaches the log;
    ``variable`` returns any other variable. Both are None where it is unset or empty.
    """

    name: str
    """The name of the provider in the spec."""
    options: Mapping[str, Any]
    """The mapping under the provider's name in a spec."""
    models: tuple[ModelInfo, ...]
    """The models a spec or a models file declares for this provider."""
    secret: Callable[[str], str | None]
    """Looks up the value of a key by its variable."""
    variable: Callable[[str], str | None]
    """Looks up any other variable."""
    folder: str = "."
    """The folder against which relative paths in ``options`` are resolved: the spec's."""


@runtime_checkable
class Provider(Protocol):
    """Calls one vendor. It never retries, never logs and never counts money.

    Its calls share one event loop, which is not the run's: it may keep what belongs to a loop, from the first call on.
    It may have an attribute ``base_url``: then answers that one address gave are not reused for another, and a host
    that cannot be reached is left alone for all its models. It may have an attribute ``key``: with the address it tells
    one account from another.
    """

    @property
    def simulated(self) -> bool:
        """Whether its calls are simulated: no vendor is called."""

    def models(self) -> Sequence[ModelInfo]:
        """Its models, with the prices that are valid now."""

    def encode(self, request: Request) -> Body:
        """The request's bytes. Pure: equal requests give equal bytes, and no byte is added when sending."""

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send it once.

        Raises:
            ProviderError: the call failed; classified, see its attributes.
        """
