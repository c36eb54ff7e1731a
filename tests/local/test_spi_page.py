"""docs/spi.md is what its script writes, and every field and member of the interface has a meaning there."""

import enum
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest

from orchestrator import spi
from tests.cli.command import ROOT

SCRIPT = ROOT / "docs" / "spi_reference.py"


def _reference() -> Any:
    found = spec_from_file_location("spi_reference", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


REFERENCE = _reference()
CLASSES = [name for name in spi.__all__ if isinstance(getattr(spi, name), type)]


def test_the_page_is_what_the_script_writes() -> None:
    """Run: python docs/spi_reference.py > docs/spi.md."""
    written = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "spi.md").read_text(encoding="utf-8") == written


def test_every_name_is_on_the_page_once() -> None:
    """In one chapter."""
    named = [name for names in REFERENCE.GROUPS.values() for name in names]
    assert sorted(named) == sorted(spi.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_every_field_has_a_meaning_and_it_is_said_who_fills_it(name: str) -> None:
    """A field without a docstring, or a class of which it is not said who makes its objects, fails."""
    cls = getattr(spi, name)
    if issubclass(cls, enum.Enum):
        said = REFERENCE._said(cls)
        assert [member.name for member in cls if not said.get(member.name)] == []
        return
    fields = list(REFERENCE.fields_of(cls))
    assert [field for field, _, _, meaning in fields if not meaning] == []
    assert name in REFERENCE.FILLED or not fields or issubclass(cls, BaseException)
