"""The file of a round: what was asked, and the cells that are done. A round that is stopped goes on where it was."""

import json
from pathlib import Path
from typing import Any

from attrs import Factory, asdict, define

from benchmarks.quality.cells import Cell
from benchmarks.quality.specs import Settings


class ResultsError(ValueError):
    """A file of results cannot be used; the message says why and what to do."""


@define
class Results:
    """The cells that are done, by problem and arm."""

    settings: Settings
    path: Path
    cells: dict[tuple[str, str], Cell] = Factory(dict)

    @classmethod
    def open(cls, path: Path, settings: Settings) -> "Results":
        """The results of a file, which is new or of a round with the same settings.

        Raises:
            ResultsError: it is of other settings, or no file of results.
        """
        if not path.exists():
            return cls(settings, path)
        try:
            value: Any = json.loads(path.read_text(encoding="utf-8"))
            found = {(cell.problem, cell.arm): cell for cell in (Cell(**each) for each in value["cells"])}
            before = Settings(**{**value["settings"], "models": tuple(value["settings"]["models"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ResultsError(f"{path}: not a file of results ({error}); choose another --out") from error
        if before != settings:
            raise ResultsError(f"{path}: of a round with other settings ({before}); choose another --out")
        return cls(settings, path, found)

    def add(self, cell: Cell) -> None:
        """Record a cell, durably as far as the file system goes: the file is whole at every time."""
        self.cells[cell.problem, cell.arm] = cell
        value = {"settings": asdict(self.settings), "cells": [asdict(each) for each in self.cells.values()]}
        temporary = self.path.with_name(self.path.name + ".part")
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)
