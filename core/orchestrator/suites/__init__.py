"""Test suites that code under suspicion runs through: what passed is counted and signed, never read from its output.

The code under test runs in the process that counts, so neither exit status nor output proves anything. A collector of
ours runs pytest there and signs its report with a key that the code never gets; and each test that the sources define
must be in it. Code written against this very collector could still find the key: what tests say of hostile code is
never stronger than that.
"""

from orchestrator.suites.failed_tests import FailedTest, failure_lines, short
from orchestrator.suites.file_layout import Layout, laid_out
from orchestrator.suites.imports import imported, imported_from, imported_modules, is_installed
from orchestrator.suites.python_source import UNREADABLE, parse, statements, unwarned
from orchestrator.suites.shadowing_files import keeps_from_running, shadowing, takes_place_of_runner, within
from orchestrator.suites.signed_reports import CallResult, SandboxedCall, SignedReport, SignedRun
from orchestrator.suites.tests_in_source import defined_tests, is_test_file

__all__ = [
    "UNREADABLE",
    "CallResult",
    "FailedTest",
    "Layout",
    "SandboxedCall",
    "SignedReport",
    "SignedRun",
    "defined_tests",
    "failure_lines",
    "imported",
    "imported_from",
    "imported_modules",
    "is_installed",
    "is_test_file",
    "keeps_from_running",
    "laid_out",
    "parse",
    "shadowing",
    "short",
    "statements",
    "takes_place_of_runner",
    "unwarned",
    "within",
]
