"""What an address lists: the free question for the names of its models, and what follows from the answer."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from orchestrator.deadlines import OutOfTimeError, run_in_thread
from orchestrator.errors import ProviderError
from orchestrator.spi import Provider

if TYPE_CHECKING:
    import httpx

PATIENCE: Final = 10.0
"""Seconds a vendor may take to list what it serves."""

_MORE: Final = 5.0
"""Seconds after that in which the client is closed."""

_LOGGER: Final = logging.getLogger("orchestrator.providers")


@frozen
class ListedModels:
    """What a provider said when it was asked for its list of models, which costs nothing."""

    served: tuple[str, ...] | None
    """The names; None where it did not say."""
    seconds: float
    problem: str = ""


async def list_of(provider: Any, http: "httpx.AsyncClient", patience: float) -> ListedModels:
    """Ask a provider for its list of models, within so many seconds."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(patience):
            names = tuple(map(str, await provider.served(http)))
    except TimeoutError:
        return ListedModels(None, time.monotonic() - began, f"no answer within {patience:g} s")
    except Exception as error:  # a third-party plugin may raise anything
        shown = str(error) if isinstance(error, ProviderError) else f"{type(error).__name__}: {error}"
        return ListedModels(None, time.monotonic() - began, shown)
    return ListedModels(names, time.monotonic() - began)


def narrow(providers: Mapping[str, Provider], client: "Callable[[], httpx.AsyncClient]") -> dict[str, ListedModels]:
    """Let each vendor's provider at an address that is not the vendor's own offer only what is listed there.

    What the user declares stays. An address that gives no list offers nothing else; that is logged, and returned.
    """
    elsewhere = {name: each for name, each in providers.items() if getattr(each, "is_elsewhere", False)}
    if not elsewhere:
        return {}
    found = dict(zip(elsewhere, _lists_of(elsewhere.values(), client), strict=True))
    for name, each in elsewhere.items():
        each.narrow(found[name].served or ())  # type: ignore[attr-defined]
        if found[name].served is None:
            _LOGGER.warning("%s", unlisted(name, each, found[name]))
    return found


def unlisted(name: str, provider: Provider, answer: ListedModels) -> str:
    """That an address gave no list, why, and what to do."""
    address = getattr(provider, "base_url", "its address")
    return (
        f"{name}: {address} gave no list of models ({answer.problem}); only models that are declared for {name} "
        "(models: in the spec, or --models FILE) can be called there"
    )


def _lists_of(providers: Iterable[Any], client: "Callable[[], httpx.AsyncClient]") -> list[ListedModels]:
    asked = tuple(providers)

    async def ask() -> list[ListedModels]:
        async with client() as http:
            return await asyncio.gather(*(list_of(each, http, PATIENCE) for each in asked))

    try:
        return run_in_thread(lambda: asyncio.run(ask()), PATIENCE + _MORE)
    except OutOfTimeError as error:
        return [ListedModels(None, PATIENCE, str(error))] * len(asked)
