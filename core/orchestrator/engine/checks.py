"""Performing a check: the validator in a thread, lent the sandbox and bounded in time."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Unpack

from attrs import Factory, define, frozen

from orchestrator.engine.ports import Offload
from orchestrator.errors import SandboxError
from orchestrator.models import Verdict
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Candidate, Finding, Ran, RunOptions, Validator, ValidatorContext

if TYPE_CHECKING:
    from orchestrator.engine.sandbox import LevelSelector

CHECK_SECONDS: Final = 30.0
GRACE_SECONDS: Final = 15.0
"""What starting and ending a sandbox may take beyond the check's own time, on a busy machine."""


@cache
def selector_for(choice: SandboxChoice) -> "LevelSelector":
    """The one selector of the process for a choice, so that each sandbox level is probed once."""
    from orchestrator.engine.sandbox import LevelSelector

    return LevelSelector(choice)


@frozen
class Checks:
    """What validators are lent."""

    selector: "LevelSelector | None" = None
    settings: Mapping[str, Mapping[str, Any]] = Factory(dict)
    seconds: float = CHECK_SECONDS

    async def judge(
        self, name: str, load: Callable[[str], Validator], candidate: Candidate, offload: Offload, label: str = ""
    ) -> tuple[Finding, str | None]:
        """The finding, and the sandbox level where the validator ran anything. No validator makes this raise.

        ``label`` is who is to blame: the validator with its distribution and version, else its name.
        """
        label = label or name
        lent = _Lent(self.selector, self.seconds)
        try:
            async with asyncio.timeout(self.seconds + GRACE_SECONDS):
                found: Any = await offload(lambda: load(name)(candidate, self._context(name, lent)))
        except TimeoutError:
            return Finding.unknown(f"{label} took longer than {self.seconds:g} s"), lent.level
        except SandboxError as error:
            return Finding.unknown(f"{name} was not run: {error}"), lent.level
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a third-party plugin may raise anything
            return Finding.unknown(f"{label} raised {type(error).__name__}: {error}"), lent.level
        if not isinstance(found, Finding) or not isinstance(found.verdict, Verdict):
            return Finding.unknown(f"{label} returned {type(found).__name__}, not a Finding"), lent.level
        lasting = found.permanent is True and found.verdict in (Verdict.FAILED, Verdict.UNKNOWN)
        return Finding(found.verdict, str(found.details), lasting), lent.level

    def _context(self, name: str, lent: "_Lent") -> ValidatorContext:
        return ValidatorContext(timeout=self.seconds, run=lent.run, settings=deepcopy(self.settings.get(name, {})))


@define
class _Lent:
    """The sandbox as one validator sees it; remembers which sandbox level it used."""

    selector: "LevelSelector | None"
    most: float
    level: str | None = None

    def run(self, argv: Sequence[str], files: Mapping[str, bytes], **options: Unpack[RunOptions]) -> Ran:
        """See ``orchestrator.spi.Run``."""
        from orchestrator.engine.sandbox import Job

        if self.selector is None:
            raise SandboxError("this run has no sandbox")
        seconds = options.get("seconds")
        wanted = self.most if seconds is None or not math.isfinite(seconds) else min(self.most, max(0.1, seconds))
        job = Job(tuple(argv), dict(files), tuple(options.get("take", ())), wanted)
        level, ran = self.selector.run(job, options.get("executes", True))
        self.level = level.value
        return ran
