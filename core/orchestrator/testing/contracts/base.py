"""What all contract suites share: how a plugin is built, what is watched meanwhile, and how a suite is played."""

import contextlib
import io
import logging
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final
from unittest import SkipTest

from attrs import define, field, frozen

from orchestrator import plugin_kinds
from orchestrator.errors import SpecError

CANARY: Final = "sk-canary-3b9d51f0c7aa"
"""The key that suites lend; it may be seen in a request's header and nowhere else."""

PATIENCE: Final = 20.0
"""Seconds after which a suite says that something hangs; nothing good takes as long on a slow machine."""


class PluginContract:
    """What holds for every plugin. Inherit from the suite of its kind, and name the module in ``plugin``.

    A method whose name begins with ``test_`` is a test. None needs a fixture, so any runner of tests will do.
    """

    kind: ClassVar[str]
    """The kind of plugin that is tested, such as ``validator``."""
    plugin: ModuleType | None = None
    """The module that the entry point names; not needed where ``make`` is overridden."""
    options: ClassVar[Mapping[str, Any]] = {}
    """What a spec says for it; parameters of a backend."""

    def build(self, **arguments: object) -> Any:
        """Ask the plugin's hook for its object, and check its shape, as a run does."""
        if self.plugin is None:
            raise SkipTest("no plugin: name its module in `plugin`, or override `make`")
        kind = plugin_kinds.KINDS[self.kind]
        return kind.check(getattr(self.plugin, kind.hook)(**arguments))

    def test_the_module_has_the_hook_of_its_kind(self) -> None:
        """The module has one function of the hook's name, marked with ``hookimpl`` and not async."""
        module = self._module()
        hook = getattr(module, f"orchestrator_{self.kind}", None)
        assert callable(hook), f"{module.__name__} has no function orchestrator_{self.kind}"
        assert hasattr(hook, "orchestrator_impl"), f"orchestrator_{self.kind} is not marked with hookimpl"
        assert not plugin_kinds.is_async(hook), f"orchestrator_{self.kind} is async; hooks are plain functions"

    def test_it_is_made_for_this_interface(self) -> None:
        """The range of interface versions that the module declares includes this one."""
        plugin_kinds.check_interface(getattr(self._module(), plugin_kinds.INTERFACE_NAME, None))

    def keeps_options(self, use: Callable[[dict[str, Any]], object]) -> None:
        """Fail where what is built of options, and used, changes them: a spec and others have them too."""
        given = deepcopy(dict(self.options))
        before = deepcopy(given)
        use(given)
        assert given == before, "it changed its options, which a spec and others have too; copy what you change"

    def odd_options(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The options with one of them of an unexpected kind, and what is odd."""
        odds: tuple[Any, ...] = (None, "", "odd", -1, 0.5, float("nan"), True, [], [None], {}, {"odd": {}})
        for name in self.options:
            for odd in odds:
                yield f"{name}: {odd!r}", {**self.options, name: deepcopy(odd)}

    def refuses_odd_options(self, build: Callable[[dict[str, Any]], object]) -> None:
        """Fail where unexpected options are anything but taken or refused with a SpecError."""
        for what, options in self.odd_options():
            try:
                build(options)
            except SpecError:
                continue
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                raise AssertionError(f"{what} raises {said}; raise SpecError, which tells the user"[:300]) from error

    def _module(self) -> ModuleType:
        if self.plugin is None:
            raise SkipTest("only an object was given, no module")
        return self.plugin


@define
class Seen:
    """What was printed and logged while something ran."""

    printed: str = ""
    logged: str = ""
    left: tuple[str, ...] = ()
    """Files that were left in the working folder or in that for temporary files."""
    shown: str = ""
    """What is in those files."""


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        with contextlib.suppress(Exception):
            self.lines.append(f"{record.name}: {record.getMessage()} {record.exc_info or ''}")


@contextlib.contextmanager
def watched() -> Iterator[Seen]:
    """Watch what is printed and logged, in an empty working folder of its own."""
    seen, records, printed = Seen(), _Records(), io.StringIO()
    root = logging.getLogger()
    level, before = root.level, Path.cwd()
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        root.addHandler(records)
        root.setLevel(logging.DEBUG)
        os.chdir(folder)
        temporary, tempfile.tempdir = tempfile.tempdir, folder
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                yield seen
        finally:
            tempfile.tempdir = temporary
            os.chdir(before)
            root.setLevel(level)
            root.removeHandler(records)
            seen.printed, seen.logged = printed.getvalue(), "\n".join(records.lines)
            files = sorted(Path(folder).rglob("*"))
            seen.left = tuple(str(path.relative_to(folder)) for path in files)
            seen.shown = "\n".join(path.read_text(errors="replace") for path in files if path.is_file())


@contextlib.contextmanager
def unchanged(**values: Any) -> Iterator[None]:
    """Fail where one of the values is another one afterwards."""
    before = deepcopy(values)
    yield
    for name, value in values.items():
        assert value == before[name], f"it changed its argument `{name}`"


@contextlib.contextmanager
def no_sleep(why: str) -> Iterator[None]:
    """Fail where ``time.sleep`` is called in this thread."""
    real, here, called = time.sleep, threading.get_ident(), []

    def sleep(seconds: Any) -> None:
        if threading.get_ident() == here:
            called.append(seconds)
        else:
            real(seconds)

    time.sleep = sleep
    try:
        yield
    finally:
        time.sleep = real
    assert not called, why


class EscapeError(AssertionError):
    """A function hangs, or wants the program to end; a suite says so in its own words."""


class HangError(EscapeError):
    """A function has not come back."""


def in_time(function: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What a function returns or raises, within so many seconds; else it hangs, and the test fails."""
    ended: list[tuple[Any, BaseException | None]] = []

    def work() -> None:
        try:
            ended.append((function(), None))
        except BaseException as error:
            ended.append((None, error))

    thread = threading.Thread(target=work, daemon=True, name="contract")
    thread.start()
    thread.join(seconds)
    if not ended:
        raise HangError(f"it has not come back within {seconds:g} s")
    result, error = ended[0]
    if isinstance(error, SystemExit):
        raise EscapeError(f"it called sys.exit({error.code!r})")
    if error is not None:
        raise error
    return result


@frozen
class ContractResult:
    """How one test of a suite ended."""

    test: str
    passed: bool
    skipped: str = ""
    """Why it was left out; then it has not passed."""
    problem: str = ""
    """What is wrong, on one line."""
    error: BaseException | None = field(default=None, eq=False, repr=False)


def names_of_tests(suite: type[PluginContract]) -> tuple[str, ...]:
    """The names of a suite's tests, in alphabetical order."""
    return tuple(sorted(name for name in dir(suite) if name.startswith("test_") and callable(getattr(suite, name))))


def play(suite: type[PluginContract]) -> tuple[ContractResult, ...]:
    """Play every test of a suite once, without a runner of tests; nothing that a plugin raises ends this.

    After a test in which something hangs, those that follow are left out: what hangs goes on in its thread.
    """
    results: list[ContractResult] = []
    for name in names_of_tests(suite):
        hung = next((each.test for each in results if isinstance(each.error, HangError)), None)
        results.append(
            play_one(suite, name) if hung is None else ContractResult(name, False, f"something hangs: see {hung}")
        )
    return tuple(results)


def play_one(suite: type[PluginContract], name: str) -> ContractResult:
    """Play one test of a suite, without a runner of tests; nothing that a plugin raises ends this."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            getattr(suite(), name)()
    except SkipTest as skip:
        return ContractResult(name, False, skipped=str(skip) or "left out")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = lines[0] if lines else type(error).__name__
        return ContractResult(
            name,
            False,
            problem=said if isinstance(error, AssertionError) else f"{type(error).__name__}: {said}",
            error=error,
        )
    return ContractResult(name, True)
