"""One run of a suite in the sandbox, and the report that only our collector can have signed."""

import hashlib
import hmac
import json
import secrets
import sys
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from attrs import Factory, frozen

from orchestrator.suites.control_tests import Controls
from orchestrator.suites.failed_tests import FailedTest
from orchestrator.suites.tests_in_source import defined_tests, skipping_tests, skips_itself

_INSIDE: Final = ("collector", "process_guard", "pass_evidence", "rewriting_tests")
_NAMED: Final = 5
GATE: Final = ("--noconftest",)
"""Options of pytest for sources that bring nothing but code and tests."""


@frozen
class SignedReport:
    """What the collector counted.

    Attributes:
        outcomes: pytest's name of each test, and ``passed``, ``failed`` or ``skipped``, in the order of their ends.
        problems: what pytest says of the first failures.
        more: how many problems are left out.
        internal: whether pytest itself failed.
        collected: pytest's name of each test that it collected.
        marked: those among them that bear a mark which may skip them, an empty parametrization included.
        failures: the first failures, taken apart.
        tampered: what code under test did to what judges it; where there is any, nothing counts.
    """

    outcomes: tuple[tuple[str, str], ...]
    problems: tuple[str, ...] = ()
    more: int = 0
    internal: bool = False
    collected: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    failures: tuple[FailedTest, ...] = ()
    tampered: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The problems as a text; empty where there are none."""
        return "\n\n".join(self.problems) + (f"\n\nand {self.more} more" if self.more else "")

    def having(self, outcome: str) -> set[str]:
        """The tests with an outcome, those of one function under its name."""
        return {name.partition("[")[0] for name, each in self.outcomes if each == outcome}

    def missing(self, sources: Mapping[str, str]) -> list[str]:
        """The tests that should have passed and were not reported so, sorted.

        Those are the certain tests of the sources (by path), and all that pytest collected; less what the sources
        themselves may skip, where it was skipped.
        """
        wanted = {f"{path}::{test}" for path, source in sources.items() for test in defined_tests(source)}
        wanted |= {name.partition("[")[0] for name in self.collected}
        return sorted(wanted - self.having("passed") - self._excused(sources, wanted))

    def counted(self, sources: Mapping[str, str]) -> tuple[int, int]:
        """(passed, in all), each parametrized case for itself; skipped ones that may be skipped count in neither."""
        names = set(self.collected) or {
            f"{p}::{test}" for p, source in sources.items() for test in defined_tests(source)
        }
        excused = self._excused(sources, {name.partition("[")[0] for name in names})
        failed = {name for name, outcome in self.outcomes if outcome == "failed"}
        passed = {name for name, outcome in self.outcomes if outcome == "passed"} & names - failed
        skipped = {name for name in names if name not in passed | failed and name.partition("[")[0] in excused}
        return len(passed), len(names - skipped)

    def _excused(self, sources: Mapping[str, str], names: set[str]) -> set[str]:
        """Those of the tests that were skipped, and may be."""
        skipped = self.having("skipped")
        marked = {name.partition("[")[0] for name in self.marked}
        may_skip = {path: skipping_tests(source) for path, source in sources.items()}
        whole = {path for path, source in sources.items() if path in skipped and skips_itself(source)}
        return {
            name
            for name in names
            if (name in skipped and (name in marked or name.rpartition("::")[2] in may_skip.get(_path(name), ())))
            or _path(name) in whole
        }


def _path(name: str) -> str:
    return name.partition("::")[0]


def _signed_by(key: bytes, content: bytes) -> Any:
    """What a report says, where it is signed with the key; else None."""
    signature, _, body = content.partition(b"\n")
    genuine = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
    return json.loads(body) if hmac.compare_digest(signature, genuine) else None


@frozen
class SandboxedCall:
    """A call to be made: an expression, and the module in whose names it is evaluated."""

    module: str
    expression: str


@frozen
class CallResult:
    """What a call gave.

    Attributes:
        text: the ``repr`` of what it returned.
        raised: where it raised, the names of the exception's class and of its bases.
    """

    text: str = ""
    raised: tuple[str, ...] = ()


@frozen
class SignedRun:
    """A run of the tests among some sources; where there are none, of some calls; else the import of a module.

    Attributes:
        tests: the test files, by their paths among the sources.
        module: what is imported where there are none.
        options: further options of pytest.
        roots: folders among the sources whose modules can be imported, beside the one that holds all.
        probes: calls to be made where there are no tests.
    """

    tests: tuple[str, ...]
    module: str = ""
    options: tuple[str, ...] = GATE
    roots: tuple[str, ...] = ()
    probes: tuple[SandboxedCall, ...] = ()
    _key: bytes = Factory(lambda: secrets.token_bytes(32))
    _controls: Controls = Factory(Controls.made)

    argv = (sys.executable, "-I", "collector.py")
    """What is run, in the folder of the files."""
    take = ("started", "report.json")
    """What is wanted from there afterwards."""

    def inside(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """The files to put in, with the sources among them."""
        controls = self._controls.files if self.tests and self.options == GATE else {}
        task = {
            "key": self._key.hex(),
            "tests": self.tests,
            "module": self.module,
            "options": self.options,
            "roots": self.roots,
            "probes": [[each.module, each.expression] for each in self.probes],
            "controls": list(controls),
        }
        own = {f"{name}.py": files("orchestrator.suites").joinpath(f"{name}.py").read_bytes() for name in _INSIDE}
        return {
            **{f"src/{path}": content for path, content in {**sources, **controls}.items()},
            "task.json": json.dumps(task).encode(),
            **own,
        }

    def report(self, taken: Mapping[str, bytes]) -> SignedReport | None:
        """The collector's own report among what was taken out; None where there is none, or another's."""
        found = _signed_by(self._key, taken.get("report.json", b""))
        if found is None:
            return None
        return SignedReport(
            outcomes=tuple([(str(name), str(outcome)) for name, outcome in found["outcomes"]]),
            problems=tuple(found["problems"]),
            more=found["more"],
            internal=found["internal"],
            collected=tuple(found["collected"]),
            marked=tuple(found["marked"]),
            failures=tuple([FailedTest(*each) for each in found["failures"]]),
            tampered=(*found["tampered"], *self._forged(found)),
        )

    def _forged(self, found: Mapping[str, Any]) -> list[str]:
        """What speaks against the tests that are reported as passed."""
        if all(outcome != "passed" for _, outcome in found["outcomes"]) or not self.tests:
            return []
        wrong = [] if self.options != GATE else self._controls.not_failed(found["controls"])
        unseen = [str(each) for each in found["unwitnessed"]][:_NAMED]
        return [
            *([f"tests that must fail did not ({len(wrong)})"] if wrong else []),
            *([f"reported as passed without their assertions: {', '.join(unseen)}"] if unseen else []),
        ]

    def seen(self, taken: Mapping[str, bytes]) -> dict[SandboxedCall, CallResult]:
        """What each probe gave, out of the collector's own report; those are left out that gave nothing in time."""
        found = _signed_by(self._key, taken.get("report.json", b"")) or {"seen": []}
        pairs = zip(self.probes, found["seen"], strict=False)
        return {probe: CallResult(str(each[0]), tuple(map(str, each[1]))) for probe, each in pairs if each is not None}

    def began(self, taken: Mapping[str, bytes]) -> bool:
        """Whether the collector came as far as the code under test."""
        return any(name in taken for name in self.take)
