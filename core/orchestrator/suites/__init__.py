"""Test suites that code under suspicion runs through: what passed is counted and signed, never read from its output.

The code under test runs in the process that counts, so neither exit status nor output proves anything. A collector of
ours runs pytest there and signs its report with a key that the code does not know; each test that the sources define
must be in it. Code written against this very collector could still find the key: what tests say of hostile code is
never stronger than that.
"""

from orchestrator.suites.defined import defined_tests, is_test_file, statements
from orchestrator.suites.signed import SignedReport, SignedRun

__all__ = ["SignedReport", "SignedRun", "defined_tests", "is_test_file", "statements"]
