"""One run of a suite in the sandbox, and the report that only our collector can have signed."""

import hashlib
import hmac
import json
import secrets
import sys
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from attrs import Factory, frozen

from orchestrator.suites.defined import defined_tests

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
    """

    outcomes: tuple[tuple[str, str], ...]
    problems: tuple[str, ...] = ()
    more: int = 0
    internal: bool = False

    @property
    def said(self) -> str:
        """The problems as a text; empty where there are none."""
        return "\n\n".join(self.problems) + (f"\n\nand {self.more} more" if self.more else "")

    def having(self, outcome: str) -> set[str]:
        """The tests with an outcome, those of one function under its name."""
        return {name.partition("[")[0] for name, each in self.outcomes if each == outcome}

    def missing(self, sources: Mapping[str, str]) -> list[str]:
        """The tests that the sources (by path) define and that were not reported as passed, sorted."""
        wanted = {f"{path}::{test}" for path, source in sources.items() for test in defined_tests(source)}
        return sorted(wanted - self.having("passed"))


@frozen
class SignedRun:
    """A run of the tests among some sources, or where there are none the import of a module.

    Attributes:
        tests: the test files, by their paths among the sources.
        module: what is imported where there are none.
        options: further options of pytest.
        roots: folders among the sources whose modules can be imported, beside the one that holds all.
    """

    tests: tuple[str, ...]
    module: str = ""
    options: tuple[str, ...] = GATE
    roots: tuple[str, ...] = ()
    _key: bytes = Factory(lambda: secrets.token_bytes(32))

    argv = (sys.executable, "-I", "collector.py")
    """What is run, in the folder of the files."""
    take = ("started", "report.json")
    """What is wanted from there afterwards."""

    def inside(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """The files to put in, with the sources among them."""
        task = {
            "key": self._key.hex(),
            "tests": self.tests,
            "module": self.module,
            "options": self.options,
            "roots": self.roots,
        }
        return {
            **{f"src/{path}": content for path, content in sources.items()},
            "task.json": json.dumps(task).encode(),
            "collector.py": files("orchestrator.suites").joinpath("collector.py").read_bytes(),
        }

    def report(self, taken: Mapping[str, bytes]) -> SignedReport | None:
        """The collector's own report among what was taken out; None where there is none, or another's."""
        signature, _, body = taken.get("report.json", b"").partition(b"\n")
        genuine = hmac.new(self._key, body, hashlib.sha256).hexdigest().encode()
        if not hmac.compare_digest(signature, genuine):
            return None
        found = json.loads(body)
        outcomes = tuple([(str(name), str(outcome)) for name, outcome in found["outcomes"]])
        return SignedReport(outcomes, tuple(found["problems"]), found["more"], found["internal"])

    def began(self, taken: Mapping[str, bytes]) -> bool:
        """Whether the collector came as far as the code under test."""
        return any(name in taken for name in self.take)
