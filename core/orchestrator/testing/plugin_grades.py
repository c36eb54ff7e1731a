"""The grades of a plugin: bronze, silver, gold. Each says what is missing for the next one.

Bronze keeps its contract. Silver is typed and documented, can be cancelled, and has examples for every test of the
contract, none of which needs a network. Gold ranks and judges the same in a replay, notices with its own examples when
it is broken on purpose, and streams. What does not concern a kind counts as held.
"""

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from attrs import evolve, frozen

from orchestrator.spi import Finding, Ranked, Reply, Score, Skeleton
from orchestrator.testing.contracts import ContractResult, PluginContract, names_of_tests, play
from orchestrator.testing.contracts.base import play_one


class Level(StrEnum):
    """The grades, lowest first."""

    NONE = "none"
    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"


@frozen
class Criterion:
    """One thing that a grade asks for."""

    level: Level
    name: str
    holds: bool
    why: str = ""
    """What is missing, on one line; or why it does not concern the plugin."""


def reached(criteria: Sequence[Criterion]) -> Level:
    """The highest grade all of whose criteria, and those of the grades below, hold."""
    found = Level.NONE
    for level in (Level.BRONZE, Level.SILVER, Level.GOLD):
        if not all(each.holds for each in criteria if each.level is level):
            break
        found = level
    return found


def graded(suite: type[PluginContract], results: Sequence[ContractResult] | None = None) -> tuple[Criterion, ...]:
    """Every criterion for the plugin of a suite.

    Args:
        suite: of one installed plugin; see ``suites_of``.
        results: of playing it; None: it is played.
    """
    results = play(suite) if results is None else results
    module = suite.plugin
    return (
        _contract(results),
        _of_source(Level.SILVER, "types", module, _untyped),
        _of_source(Level.SILVER, "docs", module, _undocumented),
        _cancel(suite, results),
        _offline(results),
        _pure(suite, results),
        _mutations(suite, results),
        _streaming(suite),
    )


def _contract(results: Sequence[ContractResult]) -> Criterion:
    wrong = [each for each in results if each.problem]
    return Criterion(Level.BRONZE, "contract", not wrong, f"{wrong[0].test}: {wrong[0].problem}" if wrong else "")


def _of_source(
    level: Level, name: str, module: ModuleType | None, lacking: Callable[[ast.Module], Iterable[str]]
) -> Criterion:
    try:
        tree = ast.parse(inspect.getsource(module)) if module is not None else None
    except (OSError, TypeError, SyntaxError):
        tree = None
    if tree is None:
        return Criterion(level, name, False, "its source cannot be read")
    missing = list(lacking(tree))
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return Criterion(level, name, not missing, f"{', '.join(missing[:3])}{more}" if missing else "")


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """(name, function, whether it is a method) of the functions at the top level and in its classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node, False
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{each.name}", each, True


def _untyped(tree: ast.Module) -> Iterator[str]:
    for name, function, is_method in _functions(tree):
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)
        named = given[1:] if is_method and not static else given
        if function.returns is None or any(each.annotation is None for each in named):
            yield f"{name} has no types"


def _undocumented(tree: ast.Module) -> Iterator[str]:
    if ast.get_docstring(tree) is None:
        yield "the module has no docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and ast.get_docstring(node) is None:
            yield f"{node.name} has no docstring"
    for name, function, _ in _functions(tree):
        if not any(part.startswith("_") for part in name.split(".")) and ast.get_docstring(function) is None:
            yield f"{name} has no docstring"


def _cancel(suite: type[PluginContract], results: Sequence[ContractResult]) -> Criterion:
    """A call of a provider can be cancelled: over HTTP, or with its program."""
    if suite.kind != "provider":
        return Criterion(Level.SILVER, "cancel", True, "it makes no calls")
    tests = [each for each in results if "cancelled" in each.test]
    if any(each.passed for each in tests) or getattr(suite.plugin, "simulated", False) or _is_simulated(suite):
        return Criterion(Level.SILVER, "cancel", all(not each.problem for each in tests))
    return Criterion(Level.SILVER, "cancel", False, "no test cancels a call; give `program`, or speak over ctx.http")


def _is_simulated(suite: type[PluginContract]) -> bool:
    try:
        return bool(suite().make().simulated)  # type: ignore[attr-defined]
    except Exception:
        return False


_NEEDS: Final = ("no outputs were given", "no recordings were given", "it needs options", "no recording is a reply")
"""How tests say that they lack an example of the plugin's."""


def _offline(results: Sequence[ContractResult]) -> Criterion:
    lacking = [each for each in results if each.skipped.startswith(_NEEDS)]
    why = f"{lacking[0].test} is left out: {lacking[0].skipped}" if lacking else ""
    return Criterion(Level.SILVER, "offline tests", not lacking, why)


def _pure(suite: type[PluginContract], results: Sequence[ContractResult]) -> Criterion:
    """The same twice, and by an object built anew; a backend also in whole runs that are verified afterwards."""
    tests = [each for each in results if "equal" in each.test or "same" in each.test]
    wrong = next((each for each in tests if not each.passed and not each.skipped), None)
    if wrong is not None:
        return Criterion(Level.GOLD, "replay-pure", False, f"{wrong.test}: {wrong.problem}")
    return _in_runs(suite) if suite.kind == "backend" else Criterion(Level.GOLD, "replay-pure", True)


_SEEDS: Final = range(3)


def _in_runs(suite: type[PluginContract]) -> Criterion:
    from orchestrator.engine.backend_guard import guard, run_here
    from orchestrator.replay import verify
    from orchestrator.testing.simulation.scenario import Scenario
    from orchestrator.testing.simulation.simulator import simulate

    make = suite().make  # type: ignore[attr-defined]
    for seed in _SEEDS:
        scenario = evolve(Scenario.draw(seed), backend_fails=0.0, decide_fails=0.0)
        for history in simulate(scenario, make_backend=make).histories.values():
            found = verify(history, lambda session: guard(make(), run_here))
            if found.differences:
                return Criterion(Level.GOLD, "replay-pure", False, f"seed {seed}: {found.differences[0].what}")
    return Criterion(Level.GOLD, "replay-pure", True)


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda made: lambda *arguments: value


def _with(method: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[[Any], Any]:
    """A mutation of one method of an object."""

    def mutated(made: Any) -> Any:
        names = [name for name in dir(made) if not name.startswith("_")]
        copied = SimpleNamespace(**{name: getattr(made, name) for name in names})
        setattr(copied, method, change(getattr(made, method)))
        return copied

    return mutated


def _other_reply(call: Callable[..., Any]) -> Callable[..., Any]:
    async def changed(*arguments: Any) -> Any:
        reply = await call(*arguments)
        return evolve(reply, text=f"{reply.text}!") if isinstance(reply, Reply) else reply

    return changed


def _without_usage(call: Callable[..., Any]) -> Callable[..., Any]:
    async def changed(*arguments: Any) -> Any:
        reply = await call(*arguments)
        return evolve(reply, usage=None) if isinstance(reply, Reply) else reply

    return changed


def _dropping(rank: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: tuple(rank(*arguments))[1:]


def _unfounded(rank: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: tuple(Ranked(each.model, float("nan"), each.reason) for each in rank(*arguments))


def _empty(load: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: ({}, {})


def _bare(skeleton: Callable[..., Any]) -> Callable[..., Any]:
    return lambda app: Skeleton({}, "")


_MUTATIONS: Final[Mapping[str, Mapping[str, Callable[[Any], Any]]]] = {
    "validator": {
        "passes everything": _always(Finding.passed()),
        "fails everything": _always(Finding.failed("no")),
    },
    "scorer": {"gives everything 1": _always(Score(1.0)), "gives everything 0": _always(Score(0.0))},
    "backend": {"drops the first": _with("rank", _dropping), "scores by no number": _with("rank", _unfounded)},
    "provider": {"changes the text": _with("call", _other_reply), "forgets the usage": _with("call", _without_usage)},
    "policy_loader": {"reads nothing": _with("load", _empty)},
    "scaffold": {"has nothing": _with("skeleton", _bare)},
}
"""Faults by kind: what a plugin's own examples have to notice."""


def _mutations(suite: type[PluginContract], results: Sequence[ContractResult]) -> Criterion:
    """Its contract, with its own examples, fails for each fault that is put into it."""
    if any(each.problem for each in results):
        return Criterion(Level.GOLD, "mutation list", False, "it does not keep its contract as it is")
    for what, mutate in _MUTATIONS.get(suite.kind, {}).items():
        if not _notices(suite, mutate):
            why = (
                f"its examples do not notice a {suite.kind.replace('_', ' ')} that {what}; add to {_GIVEN[suite.kind]}"
            )
            return Criterion(Level.GOLD, "mutation list", False, why)
    why = "" if suite.kind in _MUTATIONS else "there are no faults for its kind"
    return Criterion(Level.GOLD, "mutation list", True, why)


_GIVEN: Final = {
    "validator": "`passing` and `failing`",
    "scorer": "`better` and `worse`",
    "backend": "`options`",
    "provider": "`recordings`",
    "policy_loader": "`samples`",
    "scaffold": "the files that it makes",
}
"""Where the examples of a kind stand in ``orchestrator_contract``."""


def _notices(suite: type[PluginContract], mutate: Callable[[Any], Any]) -> bool:
    def make(self: Any) -> Any:
        return mutate(suite.make(self))  # type: ignore[attr-defined]

    mutated = type("Mutated", (suite,), {"make": make})
    return any(play_one(mutated, name).problem for name in names_of_tests(mutated))


def _streaming(suite: type[PluginContract]) -> Criterion:
    """A provider shows live text."""
    if suite.kind != "provider" or _is_simulated(suite):
        return Criterion(Level.GOLD, "streaming", True, "it has no text to show")
    try:
        shown = any(seen.during for _, seen in suite()._replies())  # type: ignore[attr-defined]
    except Exception as error:
        return Criterion(Level.GOLD, "streaming", False, str(error))
    return Criterion(Level.GOLD, "streaming", shown, "" if shown else "no recording makes it call ctx.on_text")
