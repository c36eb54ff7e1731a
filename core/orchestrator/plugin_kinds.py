"""The kinds of plugins, and what their objects must look like, checked before anything depends on them.

Types say this where they are checked; an author of a plugin may not check them. Each function takes what a
hook returned and hands it back under its type, or raises ``ContractError`` with a line that says what to change.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import frozen

from orchestrator import spi
from orchestrator.python_trees import tree_of

if TYPE_CHECKING:
    import click

    from orchestrator.log.protocol import StoreKind

INTERFACE_NAME: Final = "orchestrator_interface"
"""The name in a plugin's module that holds the range of interface versions it is made for."""

_PLAIN: Final = re.compile(rf"""^{INTERFACE_NAME}[^=\n]*=[ \t]*(["'])([^"'\\\n]*)\1[ \t]*(?:#.*)?$""", re.MULTILINE)
_CLAUSE: Final = re.compile(r"(>=|<=|==|!=|>|<)\s*(\d{1,6})(?:\.(\d{1,6}))?")


class ContractError(TypeError):
    """Something of a plugin is not what the contract asks for."""


class InterfaceError(ContractError):
    """A plugin is made for another version of the plugin interface."""


def check_interface(declared: object, version: tuple[int, int] = spi.INTERFACE) -> None:
    """Refuse a range of interface versions that leaves a version out; None is no range, and allows every one.

    Raises:
        InterfaceError: it does.
        ContractError: it is no range.
    """
    if declared is None:
        return
    if not _includes(declared, version):
        here = ".".join(map(str, version))
        raise InterfaceError(f"it is made for version {declared} of the plugin interface; this program has {here}")


def _includes(declared: object, version: tuple[int, int]) -> bool:
    if not isinstance(declared, str):
        raise ContractError(f'{INTERFACE_NAME} must be text such as ">=1,<2", not {type(declared).__name__}')
    return False not in [_holds(clause.strip(), version, declared) for clause in declared.split(",")]


def _holds(clause: str, version: tuple[int, int], declared: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise ContractError(f'{INTERFACE_NAME} = {declared!r} is no range; write it as ">=1,<2"')
    sign, major, minor = match.groups()
    bound = (int(major),) if minor is None else (int(major), int(minor))
    ours = version[: len(bound)]
    match sign:
        case ">=":
            return ours >= bound
        case "<=":
            return ours <= bound
        case ">":
            return ours > bound
        case "<":
            return ours < bound
        case "==":
            return ours == bound
    return ours != bound


def declared_interface(source: str) -> object:
    """The range that the source of a module declares, read without running it; None: it declares none that can be read.

    Read like this, it is known also of a module that cannot be imported because it is made for another version.
    """
    if INTERFACE_NAME not in source:
        return None
    try:
        tree = tree_of(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = _PLAIN.search(source)  # written for another Python, perhaps: what it is made for is known all the same
        return None if found is None else found[2]
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(each, ast.Name) and each.id == INTERFACE_NAME for each in targets):
            value = node.value  # type: ignore[attr-defined]
            return value.value if isinstance(value, ast.Constant) else None
    return None


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


def scorer(made: object) -> spi.Scorer:
    """Check a scorer."""
    if made is None or isinstance(made, type) or not callable(made):
        raise ContractError(f"it must return a function of (candidate, context), not {_shown(made)}")
    if is_async(made):
        raise ContractError("it returned an async function; a scorer is a plain one")
    _check_arguments(made, 2, "the scorer")
    return cast(spi.Scorer, made)


def backend(made: object) -> spi.Backend:
    """Check a backend."""
    rank = None if isinstance(made, type) else getattr(made, "rank", None)
    if _takes(rank, 2) and not _takes(rank, 3):
        raise InterfaceError(
            "its `rank` takes (candidates, telemetry); it must take (candidates, telemetry, draw),"
            " where draw is a number from 0 up to 1 for backends that explore"
        )
    _check_methods(made, {"rank": 3})
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


def loaded(made: object) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
    """Check what a policy loader read: a mapping, and the lines of paths in it; lines that are none are left out."""
    if not isinstance(made, tuple) or len(made) != 2 or not all(isinstance(each, Mapping) for each in made):
        raise ContractError(f"`load` must return (mapping, lines), not {_shown(made)}")
    data, lines = made
    wrong = sorted({type(key).__name__ for key in data if not isinstance(key, str)})
    if wrong:
        raise ContractError(f"`load` returned keys that are no text but {', '.join(wrong)}")
    sound = {path: line for path, line in lines.items() if isinstance(path, tuple) and isinstance(line, int)}
    return data, sound


def exporter(made: object) -> spi.Exporter:
    """Check an exporter; only ``export`` is required."""
    methods = {"export": 1, "observe": 1, "close": 0}
    if made is not None:
        methods = {name: count for name, count in methods.items() if name == "export" or hasattr(made, name)}
    _check_methods(made, methods)
    for method in methods:
        if is_async(getattr(made, method)):
            raise ContractError(f"`{method}` is async; it is a plain method")
    return cast(spi.Exporter, made)


def scaffold(made: object) -> spi.Scaffold:
    """Check a scaffold."""
    _check_methods(made, {"skeleton": 1})
    if is_async(cast(spi.Scaffold, made).skeleton):
        raise ContractError("`skeleton` is async; it is a plain method")
    return cast(spi.Scaffold, made)


def store(made: object) -> "StoreKind":
    """Check what opens the stores of a kind."""
    _check_methods(made, {"exists": 1})
    if not callable(getattr(made, "open", None)):
        raise ContractError(f"the {type(made).__name__} it returned has no method `open`")
    return cast("StoreKind", made)


def executor(made: object) -> spi.Executor:
    """Check an executor."""
    _check_methods(made, {"scale": 1, "status": 1})
    for method in ("scale", "status"):
        if is_async(getattr(made, method)):
            raise ContractError(f"`{method}` is async; it is a plain method")
    return cast(spi.Executor, made)


def command(made: object) -> "click.Command":
    """Check a command, and every command below it."""
    import click

    if not isinstance(made, click.Command):
        raise ContractError(f"it must return a click command, not {_shown(made)}")
    if is_async(made.callback):
        raise ContractError(f"the command {made.name!r} is async; it is a plain function")
    if isinstance(made, click.Group):
        for below in made.commands.values():
            command(below)
    return made


def _check_methods(made: object, methods: Mapping[str, int]) -> None:
    if made is None or isinstance(made, type):
        raise ContractError(f"it must return an object with {_listed(methods)}, not {_shown(made)}")
    for method, arguments in methods.items():
        function = getattr(made, method, None)
        if not callable(function):
            raise ContractError(f"the {type(made).__name__} it returned has no method `{method}`")
        _check_arguments(function, arguments, f"`{method}`")


def _takes(function: object, count: int) -> bool:
    if not callable(function):
        return False
    try:
        _check_arguments(function, count, "")
    except ContractError:
        return False
    return True


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


@frozen
class PluginKind:
    """A kind of plugin. The catalogue, loading, ``plugins`` and the generated pages go by what stands here.

    Its hook is specified in ``orchestrator.spi.hookspecs``; its template is the folder of its name in
    ``orchestrator/cli/templates``.
    """

    name: str
    check: Callable[[object], Any]
    """Takes what the hook returned; returns it, or raises ContractError."""
    suite: str
    """The contract suite: ``module:class`` in ``orchestrator.testing.contracts``."""
    example: str
    """The name of the plugin in the guide's tutorial."""
    has_deadlines: bool = False
    """Whether whatever asks for one does so in a thread with a deadline of its own."""

    @property
    def group(self) -> str:
        """The entry-point group."""
        return f"orchestrator.{self.name}s"

    @property
    def hook(self) -> str:
        """The name of the hook, one per module."""
        return f"orchestrator_{self.name}"

    def load_suite(self) -> Any:
        """The contract suite; it needs the extra ``testing``."""
        module, _, name = self.suite.partition(":")
        return getattr(import_module(f"orchestrator.testing.contracts.{module}"), name)


KINDS: Final[Mapping[str, PluginKind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            PluginKind("provider", provider, "providers:ProviderContract", "gateway"),
            PluginKind("validator", validator, "validators:ValidatorContract", "brief_words", has_deadlines=True),
            PluginKind("scorer", scorer, "scorers:ScorerContract", "brevity"),
            PluginKind("backend", backend, "backends:BackendContract", "thrifty"),
            PluginKind("policy_loader", policy_loader, "policy_loaders:LoaderContract", "tomlish"),
            PluginKind("exporter", exporter, "exporters:ExporterContract", "lines", has_deadlines=True),
            PluginKind("scaffold", scaffold, "scaffolds:ScaffoldContract", "notes"),
            PluginKind("executor", executor, "executors:ExecutorContract", "polite"),
            PluginKind("store", store, "stores:StoreContract", "ledger"),
            PluginKind("command", command, "commands:CommandContract", "calls"),
        )
    }
)
"""Every kind of plugin by its name, in the order in which they are listed."""
