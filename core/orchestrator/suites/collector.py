"""What runs in the sandbox: imports the code under test, counts what passed, and signs it.

It is handed in as a file and imports nothing of the program. Whatever stands in its folder is hostile.
"""

import hashlib
import importlib
import importlib.util
import json
import os
import signal
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

_SHOWN = 10
_LONGEST = 3000
_MESSAGE = 1500
_LINE = 300
_REPR = 10_000
CALL_SECONDS = 2.0
_SKIPS = ("skip", "skipif", "xfail")


class _Recorder:
    """Notes what is collected and the end of every test, as pytest reports it.

    Args:
        controls: files of tests that must fail; what comes of them is kept apart.
        guard: watches the process.
        witness: has notes of the tests.
    """

    def __init__(self, controls: list[str], guard: Any, witness: Any) -> None:
        self.collected: list[str] = []
        self.marked: list[str] = []
        self.outcomes: list[list[str]] = []
        self.controls: list[list[str]] = []
        self.problems: list[str] = []
        self.failures: list[list[str]] = []
        self.keys: dict[str, str] = {}
        self._apart, self._guard, self._witness = controls, guard, witness

    def pytest_sessionstart(self) -> None:
        self._guard.remember([_Recorder, type(self._guard), type(self._witness)])

    def pytest_collection_finish(self, session: Any) -> None:
        items = [item for item in session.items if not self._is_apart(item)]
        self.collected = [item.nodeid for item in items]
        self.marked = [item.nodeid for item in items if any(item.get_closest_marker(each) for each in _SKIPS)]
        self.keys = {item.nodeid: self._witness.key_of(item) for item in items}
        self._guard.compare()

    def pytest_collectreport(self, report: Any) -> None:
        if self._is_apart(report):
            return
        if report.skipped:
            self.outcomes.append([report.nodeid, report.outcome])
        if report.failed:
            self._note(report, report.longreprtext[-_LONGEST:], ": ")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call":
            self._guard.compare()
            self._witness.hold()
        if self._is_apart(report):
            if report.when == "call":
                self.controls.append([report.nodeid, report.outcome])
            return
        if report.when == "call" or report.outcome != "passed":
            self.outcomes.append([report.nodeid, report.outcome])
        if report.failed:
            self._note(report, report.longreprtext[:_LONGEST], "\n")

    def pytest_sessionfinish(self) -> None:
        self._guard.compare()  # afterwards pytest takes back what its own plugins replaced

    def _is_apart(self, report: Any) -> bool:
        return report.nodeid.partition("::")[0] in self._apart

    def _note(self, report: Any, text: str, between: str) -> None:
        self.problems.append(f"{report.nodeid}{between}{text}")
        if len(self.failures) < _SHOWN:
            self.failures.append([report.nodeid, *_taken_apart(report)])


def _taken_apart(report: Any) -> list[str]:
    """(the test's line, the message, the last line of the code under test), as far as pytest has them."""
    entries = getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", ())
    crash = getattr(report.longrepr, "reprcrash", None)
    places = [(str(each.reprfileloc.path), _first(each.lines), each) for each in entries if _is_placed(each)]
    name = report.nodeid.partition("::")[0]
    line = next((line for path, line, _ in reversed(places) if path.endswith(name)), "")
    at = ""
    if places and not places[-1][0].endswith(name):
        path, inner, entry = places[-1]
        at = f"{os.path.basename(path)}:{entry.reprfileloc.lineno}: {inner}"  # noqa: PTH119
    message = str(crash.message) if crash is not None else _errors(report.longreprtext)
    return [line[:_LINE], message[:_MESSAGE], at[:_LINE]]


def _is_placed(entry: Any) -> bool:
    """Whether a step of the way to a failure lies among the files that were handed in."""
    place = getattr(entry, "reprfileloc", None)
    return place is not None and os.path.abspath(str(place.path)).startswith(os.getcwd() + os.sep)  # noqa: PTH100, PTH109


def _first(lines: Any) -> str:
    return next((str(line).strip() for line in lines if not str(line).startswith("E ")), "")


def _errors(text: str) -> str:
    """The lines in which pytest says what is wrong; the end of the text where there are none."""
    lines = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return "\n".join(lines) or text[-_MESSAGE:]


def _run_tests(task: dict[str, Any], guard: Any, witness: Any) -> dict[str, Any]:
    import unittest  # noqa: F401 - before the code under test: the guard remembers it

    import pytest

    recorder = _Recorder(task["controls"], guard, witness)
    options = ["-q", "--no-header", "--tb=short", "--color=no", "-p", "no:cacheprovider"]
    here = os.getcwd()  # noqa: PTH109
    options += ["--rootdir", here, "--confcutdir", here, "-c", os.devnull, "-o", "addopts=", "--maxfail=60"]
    first, last = task["controls"][:1], task["controls"][1:]
    status = pytest.main([*options, *task["options"], *first, *task["tests"], *last], plugins=[recorder])
    passed = list(dict.fromkeys(name for name, outcome in recorder.outcomes if outcome == "passed"))
    failed = any(outcome != "passed" for _, outcome in recorder.outcomes)
    return {
        "collected": recorder.collected,
        "marked": recorder.marked,
        "outcomes": recorder.outcomes,
        "controls": recorder.controls,
        "unwitnessed": witness.unwitnessed([recorder.keys.get(name, "") for name in passed], failed),
        "problems": recorder.problems[:_SHOWN],
        "failures": recorder.failures,
        "more": max(0, len(recorder.problems) - _SHOWN),
        "internal": int(status) == int(pytest.ExitCode.INTERNAL_ERROR),
    }


def _import(module: str) -> dict[str, Any]:
    found: dict[str, Any] = {"collected": [], "marked": [], "outcomes": [], "problems": [], "failures": [], "more": 0}
    try:
        importlib.import_module(module)
    except BaseException as error:
        trace, here = error.__traceback__, os.getcwd()  # noqa: PTH109
        while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(here):
            trace = trace.tb_next
        lines = traceback.format_exception(type(error), error, trace)
        said = traceback.format_exception_only(type(error), error)[-1].strip()
        inside = [each for each in traceback.extract_tb(trace) if each.filename.startswith(here)]
        at = f"{os.path.basename(inside[-1].filename)}:{inside[-1].lineno}: {inside[-1].line}" if inside else ""  # noqa: PTH119
        found["problems"] = ["".join(lines)[-_LONGEST:]]
        found["failures"] = [[module, "", said[:_MESSAGE], at[:_LINE]]]
    else:
        found["outcomes"] = [[module, "passed"]]
    return {**found, "internal": False}


def _found(task: dict[str, Any], guard: Any, witness: Any) -> dict[str, Any]:
    if task["tests"]:
        return _run_tests(task, guard, witness)
    return _probe(task["probes"]) if task["probes"] else _import(task["module"])


class _LateError(BaseException):
    """A call takes too long."""


def _probe(probes: list[list[str]]) -> dict[str, Any]:
    """Make the calls, one after the other; what does not come to its end in time gives nothing."""

    def late(number: int, frame: Any) -> None:
        raise _LateError

    signal.signal(signal.SIGALRM, late)
    return {"seen": [_give(module, expression) for module, expression in probes]}


def _give(module: str, expression: str) -> list[Any] | None:
    """What a call gives: [its repr, []] or ["", the names of the exception's classes]; None where that is unknown."""
    try:
        names = vars(importlib.import_module(module))
    except BaseException:
        return None
    try:
        signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS, 0.1)
        try:
            text = repr(eval(expression, names))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _LateError:
        return None
    except BaseException as error:
        return ["", [each.__name__ for each in type(error).__mro__]]
    return [text, []] if type(text) is str and len(text) <= _REPR else None


def _beside(name: str) -> Any:
    """A module that lies beside this file; no import finds it."""
    spec = importlib.util.spec_from_file_location(name, os.path.abspath(f"{name}.py"))  # noqa: PTH100
    if spec is None or spec.loader is None:
        raise ImportError("the module beside the collector cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _signer(key: bytes) -> Callable[[bytes], str]:
    """Signs as HMAC with SHA-256 does, and calls nothing that could be replaced."""
    padded, digest = key.ljust(64, b"\0"), hashlib.sha256
    inner, outer = bytes(each ^ 0x36 for each in padded), bytes(each ^ 0x5C for each in padded)
    return lambda body: digest(outer + digest(inner + body).digest()).hexdigest()


def _writer() -> Callable[[Any], str]:
    """Writes JSON, and calls nothing that could be replaced."""
    quoted, kind = json.encoder.encode_basestring_ascii, type

    def text(value: Any) -> str:
        if kind(value) is list or kind(value) is tuple:
            return "[" + ",".join([text(each) for each in value]) + "]"
        if kind(value) is dict:
            return "{" + ",".join([f"{quoted(name)}:{text(each)}" for name, each in value.items()]) + "}"
        if value is None:
            return "null"
        if kind(value) is bool:
            return "true" if value else "false"
        return f"{value}" if kind(value) is int else quoted("" + value)

    return text


def main() -> None:
    """Read what to do, do it, and leave ``report.json`` with a signature that the code under test never gets."""
    with open("task.json", "rb") as file:  # noqa: PTH123
        task = json.load(file)
    os.unlink("task.json")  # noqa: PTH108
    written, signed, leave = _writer(), _signer(bytes.fromhex(task.pop("key"))), os._exit
    with open("started", "x"):  # noqa: PTH123
        pass
    sys.argv = ["pytest"]
    if task["tests"]:
        importlib.import_module("pytest")  # before a file of that name can take its place
    guards, witnesses, notes = _beside("process_guard"), _beside("pass_evidence"), _beside("rewriting_tests")
    os.chdir("src")
    here = os.getcwd()  # noqa: PTH109
    tests = [os.path.join(here, name) for name in (*task["tests"], *task["controls"])]  # noqa: PTH118
    guard = guards.Guard(here + os.sep, tests)
    witness = witnesses.Witness(here + os.sep, tests[: len(task["tests"])], guard.say, notes)
    if task["tests"]:
        witness.install()
    sys.path[:0] = [here, *(os.path.join(here, root) for root in task["roots"])]  # noqa: PTH118
    mine, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
    guard.watch()
    found = _found(task, guard, witness)
    body = written({**found, "tampered": guard.found})
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open("../report.json", flags, 0o600)
    os.write(descriptor, f"{signed(body.encode())}\n{body}".encode())
    sys.stdout.flush()
    del mine
    leave(0)


if __name__ == "__main__":
    main()
