"""What the objects of plugins must look like, checked before anything depends on them.

Types say this to whoever checks them; a plugin may come from somebody who does not. Each function takes what a
hook returned and hands it back under its type, or raises ``ContractError`` with a line that says what to change.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from orchestrator import spi


class ContractError(TypeError):
    """Something of a plugin is not what the contract asks for."""


def provider(made: object) -> spi.Provider | None:
    """Check a provider, or the None of one that has no key."""
    if made is None:
        return None
    _check_methods(made, {"models": 0, "encode": 1, "call": 2})
    if not isinstance(getattr(made, "simulated", None), bool):
        raise ContractError(
            f"the {type(made).__name__} it returned does not say in `simulated` whether it only pretends"
        )
    return cast(spi.Provider, made)


def validator(made: object) -> spi.Validator:
    """Check a validator."""
    if made is None or isinstance(made, type) or not callable(made):
        raise ContractError(f"it must return a function of (candidate, context), not {_shown(made)}")
    if is_async(made):
        raise ContractError("it returned an async function; a validator is a plain one")
    _check_arguments(made, 2, "the validator")
    return cast(spi.Validator, made)


def backend(made: object) -> spi.Backend:
    """Check a backend."""
    _check_methods(made, {"rank": 2})
    if is_async(cast(spi.Backend, made).rank):
        raise ContractError("`rank` is async; it is a plain method")
    return cast(spi.Backend, made)


def policy_loader(made: object) -> spi.Loader:
    """Check a policy loader."""
    _check_methods(made, {"load": 2})
    suffixes = getattr(made, "suffixes", None)
    proper = isinstance(suffixes, tuple) and all(isinstance(each, str) and each.startswith(".") for each in suffixes)
    if not proper or not suffixes:
        raise ContractError(f"`suffixes` must be a tuple of endings such as ('.yaml',), not {suffixes!r}")
    return cast(spi.Loader, made)


def _check_methods(made: object, methods: Mapping[str, int]) -> None:
    if made is None or isinstance(made, type):
        raise ContractError(f"it must return an object with {_listed(methods)}, not {_shown(made)}")
    for method, arguments in methods.items():
        function = getattr(made, method, None)
        if not callable(function):
            raise ContractError(f"the {type(made).__name__} it returned has no method `{method}`")
        _check_arguments(function, arguments, f"`{method}`")


def _check_arguments(function: Callable[..., object], count: int, what: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # written in C: it does not say
    try:
        signature.bind(*range(count))
    except TypeError as error:
        raise ContractError(f"{what} cannot be called with {count} positional arguments: {error}") from error


def is_async(function: object) -> bool:
    """Whether calling it gives a coroutine, as far as its definition tells."""
    call = getattr(function, "__call__", None)  # noqa: B004 - the method itself is wanted
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _shown(made: object) -> str:
    return f"the class {made.__name__}" if isinstance(made, type) else type(made).__name__


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
