"""The commands. Each parses its arguments, calls a package below and prints.

Results go to stdout, progress, warnings and errors to stderr. Nothing but click is imported until a command needs it.
"""

import io
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import click

from orchestrator.cli.exit_codes import INTERRUPTED, OUTPUT_CLOSED, SYSTEM, USAGE, code_of
from orchestrator.cli.root import root
from orchestrator.cli.terminal.terminal_output import OutputClosedError, notice

_THREADS_SECONDS: Final = 2.0
"""How long threads may take to end once everything else has."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (the process's own where None) and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows another
    code = _finish(carry_out(root, arguments))
    if arguments is None:
        _leave_threads(code)
    sys.exit(code)


def _leave_threads(code: int) -> None:
    """End the process at once where the interpreter would wait for ever: a plugin's thread is still running."""
    threading = sys.modules.get("threading")
    if threading is None:
        return
    until = time.monotonic() + _THREADS_SECONDS
    for thread in threading.enumerate():
        if thread.daemon or thread is threading.main_thread() or thread.name.startswith("orchestrate"):
            continue
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            notice(f"orchestrate: the thread {thread.name!r}, which a plugin began, is left behind")
            os._exit(code)


def carry_out(commands: click.Group, arguments: Sequence[str] | None) -> int:
    """The exit code of a command line. A defect is one line with its traceback in a file, unless errors are wanted."""
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words[: words.index("--") if "--" in words else None]
    try:
        code = commands.main(None if arguments is None else [*arguments], "orchestrate", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except getattr(click.exceptions, "NoArgsIsHelpError", ()) as error:
        notice(error.format_message())
        return USAGE
    except click.ClickException as error:
        from orchestrator.cli import program_errors

        return program_errors.refused([program_errors.advised(error)], error.exit_code, as_json)
    except (click.Abort, KeyboardInterrupt):
        notice("orchestrate: interrupted")
        return INTERRUPTED
    except OutputClosedError as error:
        return _closed(error)
    except Exception as error:
        from orchestrator.cli import program_errors
        from orchestrator.errors import OrchestrateError

        if not isinstance(error, OrchestrateError):
            return _unforeseen(error)
        return program_errors.refused(program_errors.lines_of(error), code_of(error), as_json)


def _unforeseen(error: Exception) -> int:
    """The exit code after an error that no room below has made a line of."""
    from orchestrator.cli import program_errors
    from orchestrator.plugins import RAISE

    if os.environ.get(RAISE, "") not in ("", "0"):
        raise error
    if isinstance(error, OSError) and error.filename is None and _is_stdout_closed():  # click prints the help itself
        return _closed(OutputClosedError(error))
    return program_errors.say(error)


def _closed(error: OutputClosedError) -> int:
    """The exit code where stdout takes nothing more."""
    _discard_output()
    if not error.reason:
        return OUTPUT_CLOSED
    notice(f"orchestrate: {error.reason}")
    return SYSTEM


def _is_stdout_closed() -> bool:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return True
    return False


def _finish(code: int) -> int:
    """Flush what is buffered; a reader who has gone is no error."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        notice(f"orchestrate: stdout: {error.strerror}")
        _discard_output()
        return code or SYSTEM
    return code


def _discard_output() -> None:
    """Let the interpreter's own flush at its end find something to write to."""
    with suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
