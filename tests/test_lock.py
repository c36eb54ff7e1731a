"""The lock file of development: all that the project asks for, in versions it allows, with hashes, from any index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements" / "dev.lock").read_text()
PINNED = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^ \\;]+)[^\n]*\\\n(?P<hashes>(?: +--hash=[^\n]+\n?)+)", re.M
)


def _wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    found, waiting = [*project["dependencies"]], ["dev"]
    while waiting:
        for text in extras[waiting.pop()]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                waiting += sorted(requirement.extras)
            else:
                found.append(text)
    return [Requirement(text) for text in found]


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


@pytest.mark.parametrize("wanted", _wanted(), ids=lambda each: each.name)
def test_what_is_asked_for_is_locked(wanted: Requirement) -> None:
    """In a version that ``pyproject.toml`` allows."""
    locked = {found["name"]: found["version"] for found in PINNED.finditer(LOCK)}
    assert wanted.specifier.contains(locked[_name(wanted.name)], prereleases=True)


def test_every_file_has_its_hash_and_no_address() -> None:
    """Nothing but pins, each with SHA-256, and comments: neither a path nor an index of some machine."""
    rest = PINNED.sub("", LOCK)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    assert "://" not in LOCK
    for found in PINNED.finditer(LOCK):
        for line in found["hashes"].splitlines():
            assert re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}(?: \\)?", line)


def test_ci_installs_the_locked_packages() -> None:
    """By their hashes, before anything else is installed."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    installs = [line for line in lines if "pip install" in line]
    assert "--require-hashes -r requirements/dev.lock" in installs[0]
