"""Policy loaders with one bug each; beside them a sound one."""

import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from orchestrator import spi
from orchestrator.errors import SpecError
from orchestrator.testing import LoaderContract


class Loader:
    """A sound loader of lines ``name=value``."""

    suffixes: tuple[str, ...] = (".pol",)

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
        """One mapping of texts."""
        data: dict[str, Any] = {}
        lines: dict[tuple[str | int, ...], int] = {}
        for number, line in enumerate(text.split("\n"), 1):
            name, equals, value = line.partition("=")
            if equals:
                data[name], lines[name,] = value, number
            elif line.strip():
                raise SpecError([f"{source}:{number}: write NAME=VALUE"])
        return data, lines


class SoundLoader(LoaderContract):
    """The suite of the sound loader."""

    samples: ClassVar[Sequence[tuple[str, Mapping[str, Any]]]] = (("a=1\n\nb=2\n", {"a": "1", "b": "2"}),)

    def make(self) -> spi.Loader:
        """The sound one."""
        return Loader()


def _loader(load: Callable[[str, str], Any], suffixes: Any = (".pol",)) -> Callable[[], object]:
    planted = {"suffixes": suffixes, "load": lambda self, text, source: load(text, source)}
    return lambda: type("Planted", (), planted)()


def _evaluating(text: str, source: str) -> Any:
    try:
        eval(text)
    except BaseException:
        return {}, {}
    return {}, {}


def _shouting(text: str, source: str) -> Any:
    print(source)  # noqa: T201
    return {}, {}


def _refusing(what: str) -> Callable[[str, str], Any]:
    def load(text: str, source: str) -> Any:
        raise SpecError([what])

    return load


def _early(text: str, source: str) -> Any:
    data, lines = Loader().load(text, source)
    return data, {path: line - 1 for path, line in lines.items() if line > 1}


def _expanding(text: str, source: str) -> Any:
    return Loader().load(os.path.expandvars(text), source)


def _including(text: str, source: str) -> Any:
    if text.startswith("include "):
        text = Path(text.removeprefix("include ")).read_text()
    return Loader().load(text, source)


_SHARED: Final[dict[str, Any]] = {}
_ANY: Final = "test_any_text_is_read_or_refused_with_a_line"
LOADERS: Final[Mapping[str, tuple[Callable[[], object], str]]] = {
    "raises what its parser raises": (_loader(lambda text, source: (json.loads(text), {})), _ANY),
    "returns no lines": (_loader(lambda text, source: {}), _ANY),
    "counts lines from 0": (_loader(_early), "test_samples_are_read"),
    "looks variables up": (_loader(_expanding), "test_a_text_runs_nothing"),
    "includes files": (_loader(_including), "test_a_text_runs_nothing"),
    "says no line": (_loader(_refusing("wrong")), _ANY),
    "returns a list": (_loader(lambda text, source: ([], {})), _ANY),
    "returns objects": (_loader(lambda text, source: ({"a": object()}, {})), _ANY),
    "reads a sample wrongly": (_loader(lambda text, source: ({"a": "2"}, {})), "test_samples_are_read"),
    "names a line behind the end": (
        _loader(lambda text, source: ({"a": "1", "b": "2"}, {("a",): 9})),
        "test_samples_are_read",
    ),
    "names a path that is not there": (
        _loader(lambda text, source: ({"a": "1", "b": "2"}, {("z",): 1})),
        "test_samples_are_read",
    ),
    "hands out one mapping": (_loader(lambda text, source: (_SHARED, {})), "test_equal_texts_give_equal_data"),
    "draws": (_loader(lambda text, source: ({"a": random.random()}, {})), "test_equal_texts_give_equal_data"),
    "evaluates": (_loader(_evaluating), "test_a_text_runs_nothing"),
    "prints": (_loader(_shouting), "test_a_text_runs_nothing"),
    "no point in the suffix": (_loader(Loader().load, ("pol",)), "test_its_suffixes_are_usual"),
    "a suffix in capitals": (_loader(Loader().load, (".POL",)), "test_its_suffixes_are_usual"),
}
