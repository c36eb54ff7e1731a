"""Scripted builds: the answers of an architect, a planner, and who writes the files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.cli.command import ANSWERS, MODELS

FASTAPI_MAIN: Final = '''```python
"""A service that remembers notes."""

from fastapi import FastAPI

from notes_service.store import Store

app = FastAPI(title="Notes")
store = Store()


@app.get("/notes")
def notes() -> list[str]:
    """Every note."""
    return store.all()


@app.post("/notes/{text}")
def add(text: str) -> list[str]:
    """Add a note."""
    store.add(text)
    return store.all()
```'''

STORE: Final = '''```python
"""Where the notes are kept."""


class Store:
    """Notes in memory."""

    def __init__(self) -> None:
        self._notes: list[str] = []

    def add(self, text: str) -> None:
        """Keep a note."""
        self._notes.append(text)

    def all(self) -> list[str]:
        """Every note, oldest first."""
        return list(self._notes)
```'''

TESTS: Final = '''```python
"""The store keeps what it is given."""

from notes_service.store import Store


def test_a_note_is_kept() -> None:
    """What was added is there."""
    store = Store()
    store.add("milk")
    assert store.all() == ["milk"]
```'''

NOTES: Final[Mapping[str, str]] = {
    "notes_service/store.py": STORE,
    "notes_service/main.py": FASTAPI_MAIN,
    "tests/test_store.py": TESTS,
}
"""The files of a small FastAPI application; its description is ``NOTES_DESCRIPTION``."""

NOTES_DESCRIPTION: Final = "Notes service"

GREETER: Final[Mapping[str, str]] = {
    "greeter/cli.py": '''```python
"""Greets."""

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a greeting."""
    parser = argparse.ArgumentParser(prog="greeter")
    parser.add_argument("name", nargs="?", default="world")
    print(f"Hello, {parser.parse_args(arguments).name}!")
    return 0
```''',
}
"""The one file of a command; its description is ``GREETER_DESCRIPTION``."""

GREETER_DESCRIPTION: Final = "Greeter"


def profile(app_type: str) -> dict[str, str]:
    """What the advisor answers."""
    return {
        "app_type": app_type,
        "structural_pattern": "layered",
        "topology": "monolith",
        "api_paradigm": "REST",
        "data_paradigm": "none",
        "storage": "",
        "caching": "",
        "queuing": "",
        "rationale": "It is small.",
    }


def fields(folder: Path, app_type: str, outputs: Mapping[str, str], *extra: dict[str, Any]) -> dict[str, Any]:
    """Spec keys of a scripted build: a plan with one task per file, and a task per answer."""
    plan = [
        {
            "id": f"t{number}",
            "type": "code_generation",
            "title": path,
            "prompt": f"Write {path}.",
            "dependencies": [],
            "hard_validators": [],
            "path": path,
        }
        for number, path in enumerate(outputs, 1)
    ]
    answers = [
        *ANSWERS,
        {"role": "advisor", "text": json.dumps(profile(app_type))},
        {"role": "decomposer", "text": json.dumps({"tasks": plan})},
        *(
            {"task": f"task_{number:03d}", "role": role, "text": text}
            for number, text in enumerate(outputs.values(), 1)
            for role in ("generator", "reviser")
        ),
        *extra,
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "answers.json"
    path.write_text(json.dumps({"models": MODELS, "answers": answers}))
    return {"providers": {"scripted": {"answers": str(path)}}}
