"""Whole runs with each vendor, in which one recorded refusal or broken answer stands in place of the first answer."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator.errors import Billed, ErrorKind
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from tests.faults.fast import play
from tests.plugins.providers.recorded import EXPECTED, Failed
from tests.plugins.providers.test_recordings import OWN, RECORDINGS, body_of, own_body
from tests.plugins.providers.vendor_server import Asked, VendorServer
from tests.plugins.providers.vendors import VENDORS, built
from tests.servers.local import Fault

HEADERS: Final = ("retry-after", "retry-after-ms", "content-type", "date")
"""What of a recording's headers is sent again, beside those of limits: lengths and connections are the server's own."""


def own() -> Iterator[Any]:
    """The errors of the project's own exchanges: one of each kind of a vendor in the usual line of tests."""
    for vendor in VENDORS:
        seen: set[str] = set()
        for case in json.loads((OWN / f"{vendor}.json").read_text()):
            kind = case["expect"].get("kind")
            if kind is None:
                continue
            usual = kind in ("rate_limit", "overloaded", "quota") and kind not in seen
            seen.add(kind)
            fault = Fault(case["status"], own_body(case), sent_again(case["headers"]), billed=True)
            yield pytest.param(
                *(vendor, fault, ErrorKind(kind), Billed(case["expect"]["billed"])),
                id=f"{vendor}/{case['case']}",
                marks=[] if usual else pytest.mark.heavy,
            )


def recorded() -> Iterator[Any]:
    """The errors that were recorded of the vendors themselves, where they are beside the checkout."""
    for name, expected in EXPECTED.items():
        vendor, _, _ = name.partition("/")
        path = RECORDINGS / f"{name}.json"
        if vendor not in VENDORS or not isinstance(expected, Failed) or not path.exists():
            continue
        recording = json.loads(path.read_text())
        if "/responses" in recording["request"]["url"]:
            continue
        response = recording["response"]
        fault = Fault(response["status"], body_of(response), sent_again(response["headers"]), billed=True)
        yield pytest.param(
            vendor, fault, expected.kind, expected.billed, id=f"recorded {name}", marks=pytest.mark.heavy
        )


def sent_again(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a recording that are sent again."""
    return {name: value for name, value in headers.items() if name in HEADERS or "ratelimit" in name}


@pytest.mark.parametrize(("vendor", "fault", "kind", "billed"), [*own(), *recorded()])
def test_a_recorded_error_is_classified_and_passes(
    vendor: str, fault: Fault, kind: ErrorKind, billed: Billed, tmp_path: Path
) -> None:
    """The attempt ends in its class with its money where it belongs, and the run goes on to a good end.

    Without money it ends: all models are of one vendor account.
    """
    left = [True]

    def first(asked: Asked, answer: Fault) -> Fault:
        return fault if left and left.pop() else answer

    with VendorServer(vendor, {model.id: model for model in built(vendor).models()}, first) as server:
        stream = "event-stream" in (fault.headers.get("content-type") or "")
        run = play(tmp_path, vendor, server.base_url, {"stream": True} if stream else {})
    finished, (failure, *_) = run.state.finished, run.failures

    assert finished is not None
    assert finished.status is (ProjectStatus.SYSTEM_FAILURE if kind is ErrorKind.QUOTA else ProjectStatus.SUCCESS)
    assert len(run.failures) == 1
    assert (failure.kind, failure.status) == (kind, fault.status)
    match billed:
        case Billed.NO:
            assert failure.unreconciled == failure.settled == Usd.ZERO
        case Billed.YES:
            assert failure.settled > Usd.ZERO
        case Billed.UNKNOWN:
            assert failure.unreconciled == run.attempts[0].hold
    assert len(run.attempts) == server.requests
