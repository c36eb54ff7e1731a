"""Verification of a whole result: the user's command, run in the sandbox on a copy of the output folder."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from orchestrator.allowed_file_names import UnsafeNameError, checked_name, read_file
from orchestrator.deadlines.awaiting import Offload
from orchestrator.engine.checks import GRACE_SECONDS
from orchestrator.engine.outputs.folder_writing import OutputFolder, is_own_mark
from orchestrator.errors import SandboxError
from orchestrator.models import Verdict, VerificationProblem
from orchestrator.spi import Job, Sandbox
from orchestrator.suites import keeps_from_running, takes_place_of_runner

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of all the files that are copied; of more, nothing is verified."""
MOST_FILES: Final = 5_000
_SHELL: Final = "/bin/sh"


@frozen
class Verified:
    """What came of a verification."""

    verdict: Verdict
    code: int | None = None
    """The command's exit status."""
    problem: VerificationProblem | None = None
    """The code of why nothing is known; see ``ResultVerified``."""
    output: str = ""
    sandbox: str | None = None


Verifier = Callable[[str, Mapping[str, str], float], Verified]
"""Runs a command (for the shell) within so many seconds; ``outputs`` are the files that must be there. Blocks."""


async def verified(
    verifier: Verifier | None, command: str | None, outputs: Mapping[str, str], seconds: float, offload: Offload
) -> Verified:
    """What the user's command says of the outputs. Nothing that goes wrong makes this raise."""
    if command is None:
        return Verified(Verdict.UNKNOWN, problem=VerificationProblem.NO_COMMAND)
    if verifier is None:
        return Verified(Verdict.UNKNOWN, problem=VerificationProblem.NO_FOLDER)
    try:
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            return await offload(lambda: verifier(command, outputs, seconds))
    except TimeoutError:
        return Verified(Verdict.UNKNOWN, problem=VerificationProblem.TIME)
    except Exception as error:
        return Verified(Verdict.UNKNOWN, problem=VerificationProblem.RAISED, output=f"{type(error).__name__}: {error}")


class TooLargeError(Exception):
    """The folder holds more than is copied."""


@frozen
class FolderVerifier:
    """Verifies what lies in an output folder. The command gets a copy: whatever it does to it is thrown away."""

    folder: OutputFolder
    selector: Sandbox

    def __call__(self, command: str, outputs: Mapping[str, str], seconds: float) -> Verified:
        """Write what is missing of the outputs, copy the folder, and run the command there."""
        try:
            for name, content in outputs.items():
                if self.folder.is_missing(name):
                    with suppress(OSError):  # then it is missing in what is delivered, too
                        self.folder.write(name, content)
            files = _without_runners(copied(self.folder.path), command)
        except TooLargeError as error:
            return _unknown(VerificationProblem.TOO_LARGE, str(error))
        except OSError as error:
            return _unknown(VerificationProblem.UNREADABLE, str(error))
        if "pytest" in command and (idle := keeps_from_running(files)):
            return Verified(Verdict.FAILED, output=f"tampering: {', '.join(idle)} keeps pytest from running any test")
        try:
            level, ran = self.selector.run(Job((_SHELL, "-c", command), files, seconds=seconds))
        except SandboxError as error:
            return _unknown(VerificationProblem.NO_SANDBOX, str(error))
        if ran.code is None:
            return Verified(
                Verdict.UNKNOWN,
                None,
                VerificationProblem(ran.ended or VerificationProblem.STOPPED),
                ran.output,
                level.value,
            )
        verdict = Verdict.PASSED if ran.code == 0 else Verdict.FAILED
        return Verified(verdict, ran.code, None, ran.output, level.value)


def _without_runners(files: dict[str, bytes], command: str) -> dict[str, bytes]:
    """The files less those that would take the place of what the command runs with ``python -m``."""
    hidden = set(takes_place_of_runner(files, command))
    return {name: content for name, content in files.items() if name not in hidden}


def _unknown(problem: VerificationProblem, why: str) -> Verified:
    return Verified(Verdict.UNKNOWN, None, problem, why)


def copied(folder: Path, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> dict[str, bytes]:
    """The regular files of a folder by their names. Links are left out, and what could not be an output's name.

    Raises:
        TooLargeError: there are more files, or more bytes, than that.
        OSError: a folder cannot be read.
    """
    files: dict[str, bytes] = {}
    left = most_bytes
    for name in _names(folder):
        content = read_file(folder, name, left)
        if content is None and not _is_larger(folder / name, left):
            continue  # a link, a pipe, or gone since
        if content is None or len(files) >= most_files:
            raise TooLargeError(
                f"{folder} holds more than {most_files} files or {most_bytes >> 20} MiB; it is tried on a copy"
            )
        files[name] = content
        left -= len(content)
    return files


def _names(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=fail):
        below = Path(place).relative_to(folder)
        folders[:] = sorted(each for each in folders if _is_allowed((below / each).as_posix()))
        for each in sorted(names):
            name = (below / each).as_posix()
            if _is_allowed(name) and not is_own_mark(name):
                yield name


def _is_allowed(name: str) -> bool:
    try:
        checked_name(name)
    except UnsafeNameError:
        return False
    return True


def _is_larger(path: Path, limit: int) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size > limit
    except OSError:
        return False
