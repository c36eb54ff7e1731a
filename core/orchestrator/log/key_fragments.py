"""Parts of keys in a text, however they are written: cut, in capitals, with spaces or marks between the letters."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from orchestrator.models import SHORTEST_SECRET

FRAGMENT: Final = 12
"""Characters of a key's secret part that count as the key."""

_HALF: Final = FRAGMENT // 2
_DIGITS: Final = 2
_DISTINCT: Final = 8
_PREFIX: Final = re.compile(
    r"sk-ant-[a-z]+[0-9]{2}-|sk-(?:proj|svcacct|admin|or-v1)-|sk-|pk-|rk-|gsk_|xai-|AIza(?:Sy)?|hf_|gh[opsu]_"
    r"|github_pat_|glpat-|nvapi-|pplx-|tgp_v1_"
)
"""How vendors begin their keys, which is no secret."""
_SEPARATORS: Final = re.compile("[^A-Za-z0-9]+")


def secret_part(value: str) -> str:
    """A key without what its vendor begins every key with; the whole of it where little else is left."""
    found = _PREFIX.match(value)
    rest = value[found.end() :] if found else value
    return rest if len(rest) >= SHORTEST_SECRET else value


@frozen
class Fragments:
    """The secret parts of keys: as they are, and as letters and digits alone."""

    exact: tuple[str, ...]
    plain: tuple[str, ...]
    """In lower case; only of keys that no ordinary words could spell."""

    @classmethod
    def of(cls, values: Iterable[str]) -> "Fragments":
        """The fragments of keys."""
        parts = sorted({secret_part(value) for value in values})
        plain = {_plain(part) for part in parts}
        return cls(tuple(part for part in parts if len(part) >= FRAGMENT), tuple(sorted(filter(_looks_random, plain))))

    def hits(self, text: str) -> bool:
        """Whether a fragment may be in a text."""
        if any(block in text for part in self.exact for block in _blocks(part)):
            return True
        if not self.plain:
            return False
        plain = _plain(text)
        return any(block in plain for part in self.plain for block in _blocks(part))

    def without(self, text: str, mark: str) -> str:
        """The text with ``mark`` in the place of every fragment."""
        for part in self.exact:
            if any(block in text for block in _blocks(part)):
                text = _cut(text, list(range(len(text))), text, part, mark)
        for part in self.plain:
            plain = _plain(text)
            if any(block in plain for block in _blocks(part)):
                places = [place for place, letter in enumerate(text) if letter.isascii() and letter.isalnum()]
                text = _cut(text, places, plain, part, mark)
        return text


def _plain(text: str) -> str:
    return _SEPARATORS.sub("", text).lower()


def _looks_random(part: str) -> bool:
    digits = sum(letter.isdigit() for letter in part)
    return len(part) >= FRAGMENT and _DIGITS <= digits < len(part) and len(set(part)) >= _DISTINCT


def _blocks(part: str) -> Iterator[str]:
    """Pieces of which every fragment has at least one."""
    return (part[start : start + _HALF] for start in range(0, len(part) - _HALF + 1, _HALF))


def _cut(text: str, places: list[int], letters: str, part: str, mark: str) -> str:
    """The text without the runs of ``letters`` that are fragments of ``part``; ``places``: where each letter is."""
    done, kept = 0, []
    for start, end in _runs(letters, part):
        kept.append(text[done : places[start]])
        kept.append(mark)
        done = places[end - 1] + 1
    return "".join((*kept, text[done:]))


def _runs(text: str, part: str) -> Iterator[tuple[int, int]]:
    """The places of every run of ``FRAGMENT`` or more characters that is in ``part``, in order."""
    start = 0
    while start + FRAGMENT <= len(text):
        end = start + FRAGMENT
        if text[start:end] not in part:
            start += 1
            continue
        while end < len(text) and text[start : end + 1] in part:
            end += 1
        yield start, end
        start = end
