"""Performing a check: the validator in a thread, lent the sandbox and bounded in time."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, Final, Unpack

from attrs import Factory, define, evolve, frozen

from orchestrator.deadlines import EscapedError
from orchestrator.deadlines.awaiting import Offload
from orchestrator.engine.counterexample_runs import probed
from orchestrator.errors import ExhaustedError, SandboxError
from orchestrator.models import ProbeResult, ScorerProblem, Verdict
from orchestrator.plugins import has_part, part
from orchestrator.settings import SandboxChoice
from orchestrator.spi import (
    Candidate,
    Finding,
    Job,
    LevelProbe,
    Ran,
    RunOptions,
    Sandbox,
    SandboxLevel,
    Score,
    Scorer,
    ScorerContext,
    Validator,
    ValidatorContext,
)

_SANDBOX: Final = "sandbox"
_NO_PACKAGE: Final = "the package orchestrator_sandbox is switched off or not installed"
CHECK_SECONDS: Final = 30.0
GRACE_SECONDS: Final = 15.0
"""What starting and ending a sandbox may take beyond the check's own time, on a busy machine."""
_PLACES: Final = 6
"""Decimal places of a score that are kept, as many as scores are compared to."""


def selector_for(choice: SandboxChoice) -> Sandbox:
    """The one sandbox of the process for a choice, so that each of its levels is probed once."""
    return _sandbox(choice) if has_part(_SANDBOX) else NoSandbox()


@cache
def _sandbox(choice: SandboxChoice) -> Sandbox:
    made: Sandbox = part(_SANDBOX)(choice)
    return made


@frozen
class NoSandbox:
    """Stands where no package brings a sandbox: it runs nothing."""

    def level(self) -> SandboxLevel | None:
        """None."""
        return None

    def run(self, job: Job, executes: bool = True) -> tuple[SandboxLevel, Ran]:
        """Refuse; see ``Sandbox.run``."""
        raise SandboxError(f"{_NO_PACKAGE}: nothing can be run")

    def surveys(self) -> Sequence[LevelProbe]:
        """None of them can be used."""
        return [LevelProbe(level, False, _NO_PACKAGE) for level in SandboxLevel]


@frozen
class Checks:
    """What validators are lent."""

    selector: Sandbox | None = None
    settings: Mapping[str, Mapping[str, Any]] = Factory(dict)
    seconds: float = CHECK_SECONDS
    limits: Mapping[str, float] = Factory(dict)
    """Other time limits, in seconds, by validator."""

    async def judge(
        self, name: str, load: Callable[[str], Validator], candidate: Candidate, offload: Offload, label: str = ""
    ) -> tuple[Finding, str | None]:
        """The finding, and the sandbox level where the validator ran anything. No validator makes this raise.

        ``label`` is who is to blame: the validator with its distribution and version, else its name.
        """
        label = label or name
        seconds = self.limits.get(name, self.seconds)
        lent = _Lent(self.selector, seconds)
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS):
                found: Any = await offload(lambda: load(name)(candidate, self._context(name, lent)))
        except TimeoutError:
            return Finding.unknown(f"{label} took longer than {seconds:g} s"), lent.level
        except SandboxError as error:
            permanent = (
                self.selector is None or self.selector.level() is None
            )  # else it may have been the moment's fault
            return Finding.unknown(f"{name} was not run: {error}", permanent=permanent), lent.level
        except asyncio.CancelledError:
            raise
        except ExhaustedError as error:
            return Finding.unknown(f"{name} was not run: {error}"), lent.level
        except EscapedError as error:
            return Finding.unknown(f"{label} was ended: {error}"), lent.level
        except Exception as error:
            return Finding.unknown(f"{label} raised {type(error).__name__}: {error}"), lent.level
        if not isinstance(found, Finding) or not isinstance(found.verdict, Verdict):
            return Finding.unknown(f"{label} returned {type(found).__name__}, not a Finding"), lent.level
        return _believed(found), lent.level

    async def score(
        self, scorer: Scorer, candidate: Candidate, given: ScorerContext, offload: Offload, label: str
    ) -> tuple[Score | ScorerProblem, str, str | None]:
        """The score or why there is none, what is to be said of it, and the sandbox level where anything was run.

        No scorer makes this raise. ``given`` has the words that the scorer may read.
        """
        lent = _Lent(self.selector, self.seconds)
        context = evolve(given, timeout=self.seconds, run=lent.run)
        try:
            async with asyncio.timeout(self.seconds + GRACE_SECONDS):
                found: Any = await offload(lambda: scorer(candidate, context))
        except TimeoutError:
            return ScorerProblem.TIMEOUT, f"{label} took longer than {self.seconds:g} s", lent.level
        except (SandboxError, ExhaustedError) as error:
            return ScorerProblem.NO_SANDBOX, f"{label} was not run: {error}", lent.level
        except asyncio.CancelledError:
            raise
        except Exception as error:
            said = str(error) if isinstance(error, EscapedError) else f"{type(error).__name__}: {error}"
            return ScorerProblem.RAISED, f"{label} raised {said}", lent.level
        if not isinstance(found, Score) or not _is_share(found.value):
            shown = f"Score({found.value!r:.40})" if isinstance(found, Score) else type(found).__name__
            return ScorerProblem.NO_SCORE, f"{label} returned {shown}, not a Score from 0 to 1", lent.level
        return Score(round(float(found.value), _PLACES), str(found.reasons)), str(found.reasons), lent.level

    async def probe(
        self, candidate: Candidate, defects: Sequence[Mapping[str, Any]], offload: Offload
    ) -> tuple[tuple[ProbeResult, ...], str | None]:
        """What the counterexamples of a critique's defects are worth on a draft, and the sandbox level that was used.

        Where they cannot be run, all are unverified. Nothing the draft or a counterexample does makes this raise.
        """
        lent = _Lent(self.selector, self.seconds)
        try:
            async with asyncio.timeout(self.seconds + GRACE_SECONDS):
                return await offload(lambda: probed(candidate, defects, lent.run, self.seconds)), lent.level
        except Exception:
            return (ProbeResult.UNVERIFIED,) * len(defects), lent.level

    def _context(self, name: str, lent: "_Lent") -> ValidatorContext:
        return ValidatorContext(timeout=lent.most, run=lent.run, settings=deepcopy(self.settings.get(name, {})))


def _is_share(value: object) -> bool:
    """Whether a value is a number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _believed(found: Finding) -> Finding:
    """A validator's finding with values of the right types: it is code of a third party."""
    passed, total = found.passed_tests, found.total_tests
    counted = type(passed) is int and type(total) is int and 0 <= passed <= total
    return Finding(
        found.verdict,
        str(found.details),
        found.permanent is True and found.verdict in (Verdict.FAILED, Verdict.UNKNOWN),
        passed if counted else None,
        total if counted else None,
    )


@define
class _Lent:
    """The sandbox as one validator sees it; remembers which sandbox level it used."""

    selector: Sandbox | None
    most: float
    level: str | None = None

    def run(self, argv: Sequence[str], files: Mapping[str, bytes], **options: Unpack[RunOptions]) -> Ran:
        """See ``orchestrator.spi.Run``."""
        if self.selector is None:
            raise SandboxError("this run has no sandbox")
        seconds = options.get("seconds")
        wanted = self.most if seconds is None or not math.isfinite(seconds) else min(self.most, max(0.1, seconds))
        job = Job(tuple(argv), dict(files), tuple(options.get("take", ())), wanted)
        level, ran = self.selector.run(job, options.get("executes", True))
        self.level = level.value
        return ran
