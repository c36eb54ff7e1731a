"""Performing a probe: the counterexamples of a critique are run on the draft, in one process of the sandbox."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from orchestrator.engine.counterexamples import calls_of, draft_of, judged, together
from orchestrator.models import ProbeResult
from orchestrator.spi import Candidate, Run
from orchestrator.suites import CallResult, Layout, SandboxedCall, SignedRun, laid_out

MOST: Final = 8
"""Counterexamples of one critique that are run; later ones stay unverified."""
SECONDS: Final = 10.0
"""For all of them together; one call has ``CALL_SECONDS`` of the collector."""


def probed(
    candidate: Candidate, defects: Sequence[Mapping[str, Any]], run: Run, seconds: float
) -> tuple[ProbeResult, ...]:
    """What each defect's counterexample is worth, in order. Blocks.

    Raises:
        SandboxError: there is no sandbox to run them in.
    """
    layout = laid_out(candidate.content, candidate.files, candidate.dependencies)
    draft = draft_of(layout)
    calls = [
        () if example is None else calls_of(example["input"], str(defect.get("where") or ""), draft)
        for defect, example in _examples(defects)
    ]
    seen = _seen(layout, list(dict.fromkeys(call for each in calls for call in each)), run, min(SECONDS, seconds))
    return tuple(
        together([judged(seen.get(call), example["expected"], example["actual"]) for call in each])
        if example is not None
        else ProbeResult.UNVERIFIED
        for (_, example), each in zip(_examples(defects), calls, strict=True)
    )


def _examples(
    defects: Sequence[Mapping[str, Any]],
) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    """Each defect with its counterexample, where it is complete and among the first ones."""
    for number, defect in enumerate(defects):
        example = defect.get("counterexample")
        whole = isinstance(example, Mapping) and {"input", "expected", "actual"} <= example.keys()
        yield defect, example if whole and number < MOST else None


def _seen(
    layout: Layout, calls: Sequence[SandboxedCall], run: Run, seconds: float
) -> Mapping[SandboxedCall, CallResult]:
    """What the draft gave for each call, as far as that is known."""
    if not calls:
        return {}
    signed = SignedRun((), roots=layout.roots, probes=tuple(calls))
    inside = signed.inside({name: text.encode(errors="replace") for name, text in layout.files.items()})
    ran = run(signed.argv, inside, take=signed.take, seconds=seconds)
    return signed.seen(ran.files)
