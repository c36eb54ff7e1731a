"""Validators: what they judge, the sandbox they are lent, their verdicts."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypedDict, Unpack

from attrs import Factory, frozen

from orchestrator.errors import SandboxError
from orchestrator.models import TaskType, Verdict

_FENCE: Final = re.compile(r"(?:```|~~~)[^\n]*\n(.*?)\n?(?:```|~~~)", re.DOTALL)


@frozen
class Candidate:
    """An output that a validator judges."""

    task: str
    """The id of the task."""
    type: TaskType
    """The type of the task."""
    text: str
    """The model's answer as it came, fences included."""
    content: str
    """The answer without the code fence around it: what would be written to a file."""
    schema: Mapping[str, Any] | None = None
    """The task's JSON Schema, where it has one."""
    files: Mapping[str, str] = Factory(dict)
    """The files the answer amounts to, by relative name: one or, where the answer names them, several."""
    tests: str | None = None
    """The tests the plan has for the task, as the text of a Python module for pytest."""
    dependencies: Mapping[str, str] = Factory(dict)
    """The delivered files of all tasks that the task depends on, transitively: relative name to text. A validator
    that executes or imports the output puts them beside it; where both have a file of one name, the output's counts."""

    @classmethod
    def of(cls, text: str, kind: TaskType = TaskType.CODE_GEN, *, name: str | None = None) -> "Candidate":
        """A candidate of one file, such as a test needs.

        Args:
            text: the model's answer, with or without a code fence around it.
            kind: the type of its task.
            name: the file's; None: ``output.py`` for generated code, else ``output.md``.
        """
        fenced = _FENCE.fullmatch(text.strip())
        content = text if fenced is None else fenced[1]
        file = name or ("output.py" if kind is TaskType.CODE_GEN else "output.md")
        return cls("task", kind, text, content, files={file: content})


@frozen
class Ran:
    """How a command in the sandbox ended. All of it may have been made up by the code that ran."""

    code: int | None
    """Its exit status, a signal as a negative number; None where it was ended from outside."""
    output: str
    """The first 64 KiB of what it wrote to its standard output and error."""
    files: Mapping[str, bytes] = Factory(dict)
    """Those of the wanted files that are there as regular files."""
    ended: str = ""
    """Why it was ended from outside: ``time``, ``disk`` or ``stopped``."""
    seconds: float = 0.0
    """How long it ran."""


class RunOptions(TypedDict, total=False):
    """How a command is run in the sandbox; all of it may be left out."""

    take: Sequence[str]
    """Names of files wanted afterwards."""
    seconds: float | None
    """Its deadline, at most the check's; None: the check's."""
    executes: bool
    """False says that it only reads what a model wrote: then it may run where there is no sandbox."""


class Run(Protocol):
    """Runs a command in the sandbox: no network, no key, no file of the user's, nothing that outlives it."""

    def __call__(self, argv: Sequence[str], files: Mapping[str, bytes], **options: Unpack[RunOptions]) -> Ran:
        """Run ``argv`` (an absolute path first) in an empty folder that holds ``files``; blocks.

        Raises:
            SandboxError: there is no sandbox to run it in. Let it through: the verdict is then *unknown*.
        """


def no_sandbox(argv: Sequence[str], files: Mapping[str, bytes], **options: Unpack[RunOptions]) -> Ran:
    """Refuse, as ``Run`` does where there is no sandbox."""
    raise SandboxError("this check was started without a sandbox")


def find_tool(name: str) -> str | None:
    """The absolute path of an installed program: beside the running interpreter, else on ``PATH``."""
    beside = Path(sys.executable).parent / name
    if beside.is_file() and os.access(beside, os.X_OK):
        return str(beside)
    return shutil.which(name)


@frozen
class ValidatorContext:
    """What a validator is lent for one check."""

    timeout: float = 30.0
    """Seconds after which its verdict no longer counts."""
    run: Run = no_sandbox
    """Runs a command in the sandbox."""
    settings: Mapping[str, Any] = Factory(dict)
    """What the spec says under ``validators.settings`` and the validator's name."""
    tool: Callable[[str], str | None] = find_tool
    """The absolute path of an installed program, or None."""


@frozen
class Finding:
    """A verdict and the details for people and for the next revision (a few lines; longer is cut)."""

    verdict: Verdict
    """What the validator says."""
    details: str = ""
    """For people and for the next draft."""
    permanent: bool = False
    """With *failed* or *unknown*: trying again cannot change it, as where the given tests cannot run at all."""
    passed_tests: int | None = None
    """How many tests passed, where tests were run."""
    total_tests: int | None = None
    """Of how many; those that skip themselves are left out."""

    @classmethod
    def passed(cls, details: str = "") -> "Finding":
        """Nothing to object to."""
        return cls(Verdict.PASSED, details)

    @classmethod
    def failed(cls, details: str, *, permanent: bool = False) -> "Finding":
        """The output must not pass; say why."""
        return cls(Verdict.FAILED, details, permanent)

    @classmethod
    def skipped(cls, details: str) -> "Finding":
        """The tool is absent."""
        return cls(Verdict.SKIPPED, details)

    @classmethod
    def unknown(cls, details: str, *, permanent: bool = False) -> "Finding":
        """The check could not be made; neither a pass nor a failure."""
        return cls(Verdict.UNKNOWN, details, permanent)


Validator = Callable[[Candidate, ValidatorContext], Finding]
"""Judges an output. Called in a thread; it may block. What it raises makes the verdict *unknown*."""
