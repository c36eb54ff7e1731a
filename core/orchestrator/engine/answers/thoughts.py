"""Thinking that a model wrote into its answer, told apart from the answer itself."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import define, frozen

from orchestrator.documents.fenced import fenced_blocks

MOST_CHARACTERS: Final = 1024 * 1024
"""Of an answer that readers look at; what follows is neither thinking nor found."""

_NAMES: Final = "think|thinking|reasoning"
_OPENING: Final = re.compile(rf"\s*+<(?P<name>{_NAMES})>", re.IGNORECASE)
_TAG: Final = re.compile(rf"<(?P<end>/?)(?P<name>{_NAMES})>", re.IGNORECASE)
_GAP: Final = re.compile(r"(?:[ \t]*+[\r\n])*+(?:[ \t]++(?=[^ \t`~]))?+")
"""Blank lines before the answer, and blanks before its first words; the indentation of a fence belongs to it."""
_MARKS: Final = frozenset("`\"'")


@frozen
class Parted:
    """An answer without its thinking, and the thinking."""

    answer: str
    thoughts: str = ""
    """Its tags included; empty where there is none."""


def without_thoughts(text: str) -> Parted:
    """Part an answer from the thinking that opens it.

    Thinking is a block ``<think>``, ``<thinking>`` or ``<reasoning>`` that opens the answer (to the end of the text
    where it is never closed), and all that precedes a closing tag that no opening one precedes. Fences among the
    thoughts go with them; tags inside other fences, in quotes and after the first text are content.
    """
    looked = text[:MOST_CHARACTERS]
    if _TAG.search(looked) is None:
        return Parted(text)
    end = _end_of_thoughts(looked)
    if end == 0:
        return Parted(text)
    end += len(_GAP.match(text, end).group())  # type: ignore[union-attr]
    return Parted(text[end:], text[:end])


def _end_of_thoughts(text: str) -> int:
    """Where the answer begins; 0 where no thinking precedes it."""
    tags = _Tags(list(_tags(text)))
    place = 0
    while (opening := _OPENING.match(text, place)) is not None:
        end = tags.end_of(opening)
        if end is None:
            return _hidden_end(text, opening)
        place = end
    return _lone_end(text, place, tags.rest())


@define
class _Tags:
    """The tags of an answer, gone through once."""

    tags: Sequence[re.Match[str]]
    at: int = 0

    def end_of(self, opening: re.Match[str]) -> int | None:
        """Where the block ends that an opening tag begins, blocks of its name within it passed over."""
        depth = 0
        while self.at < len(self.tags):
            tag = self.tags[self.at]
            self.at += 1
            if tag.start() < opening.end() or tag["name"].lower() != opening["name"].lower():
                continue
            depth += -1 if tag["end"] else 1
            if depth < 0:
                return tag.end()
        return None

    def rest(self) -> Sequence[re.Match[str]]:
        """The tags that are left."""
        return self.tags[self.at :]


def _hidden_end(text: str, opening: re.Match[str]) -> int:
    """The end of a block whose closing tag is inside a fence that the thoughts never close; else that of the text."""
    hidden = re.compile(rf"</{opening['name']}>", re.IGNORECASE).search(text, opening.end())
    return len(text) if hidden is None else hidden.end()


def _lone_end(text: str, place: int, tags: Sequence[re.Match[str]]) -> int:
    """Where the closing tags end that no opening one precedes; ``place`` where there are none."""
    end = place
    for tag in tags:
        if not tag["end"] or (end > place and text[end : tag.start()].strip()):
            break
        end = tag.end()
    return end


def _tags(text: str) -> Iterator[re.Match[str]]:
    """The tags that are outside every fence, and not in quotes."""
    blocks, at = fenced_blocks(text), 0
    for tag in _TAG.finditer(text):
        while at < len(blocks) and blocks[at].end <= tag.start():
            at += 1
        is_outside = at == len(blocks) or tag.start() < blocks[at].start
        if is_outside and not _is_quoted(text, tag):
            yield tag


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    before, after = text[max(0, tag.start() - 1) : tag.start()], text[tag.end() : tag.end() + 1]
    return before == after and before in _MARKS
