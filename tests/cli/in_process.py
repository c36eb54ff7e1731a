"""The command in this process, where nothing but its words and its exit code matters."""

import signal

import pytest

from orchestrator.cli import main
from tests.cli.command import Ended


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Run a command line to its end; signals, which a run takes for good, do again what they did before."""
    capsys.readouterr()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, out, err)
