"""Tests that must fail, run before and after the others: where one passes, what forges results has been at work."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

_WORDS: Final = ("basic", "empty", "large", "order", "small", "twice", "valid", "wrong", "zero", "edge", "many", "none")
_SOURCE: Final = """import math
import unittest

import pytest


def test_{0}():
    assert [1][0] == 2


def test_{1}():
    assert isinstance(1, str) or all(each for each in [0]) or any([0]) or len([1]) == 2


def test_{2}():
    with pytest.raises(ValueError):
        abs(1)


def test_{3}():
    assert math.isclose(1.0, 2.0) or 1.0 == pytest.approx(2.0)


class Test{4}(unittest.TestCase):
    def test_{0}(self):
        self.assertEqual(1, 2)

    def test_{1}(self):
        self.assertTrue(False)
"""
_NAMES: Final = ("test_{0}", "test_{1}", "test_{2}", "test_{3}", "Test{4}::test_{0}", "Test{4}::test_{1}")


@frozen
class Controls:
    """Two files of such tests, under names that no one can foresee.

    Attributes:
        files: their sources by name, in the order in which they are run.
        names: pytest's name of each test.
    """

    files: Mapping[str, bytes]
    names: tuple[str, ...]

    @classmethod
    def made(cls) -> "Controls":
        """New ones."""
        pick = secrets.SystemRandom()
        files, names = {}, []
        for _ in range(2):
            words = [f"{word}_{secrets.token_hex(3)}" for word in pick.sample(_WORDS, 5)]
            path = f"test_{words[-1]}.py"
            files[path] = _SOURCE.format(*words).encode()
            names += [f"{path}::{name.format(*words)}" for name in _NAMES]
        return cls(files, tuple(names))

    def not_failed(self, outcomes: Iterable[Sequence[str]]) -> list[str]:
        """The tests among them that were not reported as failed."""
        failed = {name for name, outcome in outcomes if outcome == "failed"}
        return [name for name in self.names if name not in failed]
