"""The command in this process, where nothing but its words and its exit code matters."""

import pytest

from orchestrator.cli import main
from tests.cli.command import Ended


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Run a command line to its end."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, out, err)
