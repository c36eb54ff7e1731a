"""What commands are made of: every name of the kit and of the reading face is there, and is loaded when it is used."""

import subprocess
import sys
from types import ModuleType

import pytest

from orchestrator import events, reading
from orchestrator.cli import kit
from orchestrator.testing import Scenario, simulate


@pytest.mark.parametrize("face", [kit, reading], ids=["kit", "reading"])
def test_every_name_is_there(face: ModuleType) -> None:
    """Those that are promised, in alphabetical order; others are an AttributeError."""
    assert len(face.__all__) == len(set(face.__all__))
    assert [name for name in face.__all__ if getattr(face, name, None) is None] == []
    with pytest.raises(AttributeError, match="has no attribute 'nothing_of_the_kind'"):
        _ = face.nothing_of_the_kind


def test_importing_the_kit_imports_what_is_used_only() -> None:
    """A command that needs an option does not pay for the engine."""
    script = (
        "import sys; from orchestrator.cli.kit import json_option; print([n for n in sys.modules if 'engine' in n])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_reading_face_rebuilds_a_run_and_decides_again() -> None:
    """Folding a history gives the state it ended in; events are those of the log."""
    report = simulate(Scenario.draw(1))
    for run, history in report.histories.items():
        state: reading.RunState | None = None
        for at, event in history:
            assert isinstance(event, events.Event)
            state = reading.fold([(at, event)], state)
        assert state == reading.fold(history) == report.states[run]
