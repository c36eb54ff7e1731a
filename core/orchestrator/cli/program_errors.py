"""What is said of an error: the lines of a command that is refused, and one line with a file for what is a defect."""

import os
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.exit_codes import DEFECT, SYSTEM
from orchestrator.cli.plugin_commands import whose
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.terminal_output import OutputClosedError, line, notice

_LONGEST: Final = 300


def refused(lines: Sequence[str], code: int, as_json: bool) -> int:
    """Say on stderr why a command cannot be carried out; with ``--json`` on stdout, too, for programs."""
    for each in lines:
        notice(f"orchestrate: {each}")
    if as_json:
        with suppress(OutputClosedError):
            result_json({"error": {"code": code, "messages": list(lines)}}, pretty=False, form="error")
    return code


def lines_of(error: Exception) -> Sequence[str]:
    """The lines of an error: every problem of a file, or one message."""
    problems = getattr(error, "problems", ())
    return problems or (str(error) or type(error).__name__,)


def advised(error: click.ClickException) -> str:
    """Click's message on one line, with the way to the help where it is about usage."""
    message = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    return f"{message.rstrip('.')} (see: {context.command_path} --help)"


def say(error: Exception) -> int:
    """Say what happened in one line, and give the exit code."""
    if isinstance(error, MemoryError):
        notice("orchestrate: the memory is used up")
        return SYSTEM
    if isinstance(error, OSError) and error.strerror:
        notice(f"orchestrate: {_of_the_machine(error)}")
        return SYSTEM
    text = _redacted("".join(traceback.format_exception(error)))
    saved = _saved(text)
    what = line(_redacted(f"{type(error).__name__}: {error}"), _LONGEST)
    notice(f"orchestrate: a defect of {whose()}: {what}; the traceback is in {saved or 'what follows'}")
    if saved is None:
        notice(text)
    return DEFECT


def _of_the_machine(error: OSError) -> str:
    """An error of the operating system, with the file where it has one."""
    with suppress(OSError):
        Path.cwd()
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return "the working folder does not exist any more; change into one that does"


def _saved(text: str) -> Path | None:
    """The file in which a traceback is left: in the data folder, else among the temporary files; None: in neither."""
    name = f"defect-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    for folder in (_data_folder(), Path(tempfile.gettempdir())):
        with suppress(OSError):
            if folder is not None and folder.is_dir():
                descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                    file.write(text)
                return folder / name
    return None


def _data_folder() -> Path | None:
    """The data folder, as far as it is known which one."""
    from orchestrator.cli.options.shared_options import home_of_latest
    from orchestrator.engine.vendors.environment import data_folder

    try:
        return data_folder(home_of_latest(), os.environ)
    except Exception:
        return None


def _redacted(text: str) -> str:
    """The text without keys; whole where the redaction is what has failed."""
    with suppress(Exception):
        from orchestrator.log.redaction import Redactor

        redactor = Redactor()
        for name, value in os.environ.items():
            if name.endswith(("_KEY", "_TOKEN", "_PASSWORD", "_SECRET")):
                redactor.add(value)
        return redactor.shapes(text)
    return text
