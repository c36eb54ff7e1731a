"""The fenced blocks of an answer: which one is the result, and which files an answer names."""

from pathlib import PurePosixPath

from orchestrator.allowed_file_names import UnsafeNameError, checked_name
from orchestrator.documents.fenced import fenced_blocks
from orchestrator.engine.answers.block_names import labelled
from orchestrator.engine.answers.languages import suffix_of
from orchestrator.engine.answers.result_block import NOTHING, Block, Wanted, chosen_block
from orchestrator.engine.answers.thoughts import MOST_CHARACTERS
from orchestrator.models import TaskType


def blocks(text: str) -> list[Block]:
    """The fenced blocks of an answer in their order; the last one may lack its end.

    A block that is not closed within the part of an answer that is looked at goes on to the end of the answer.
    """
    found = []
    for fenced in fenced_blocks(text[:MOST_CHARACTERS]):
        is_cut = not fenced.closed and fenced.end == MOST_CHARACTERS < len(text)
        content = fenced.content + text[MOST_CHARACTERS:] if is_cut else fenced.content
        found.append(Block(*labelled(fenced.info, fenced.above, fenced.content), content))
    return found


def content_of(text: str, kind: TaskType | None = None, wanted: Wanted = NOTHING) -> str:
    """The content of the block that is the result, or the text where there is no block."""
    chosen = chosen_block(blocks(text), kind, wanted)
    return text if chosen is None else chosen.content


def named_files(text: str) -> dict[str, str]:
    """The files of an answer that names at least two; else nothing.

    A name said twice is the later block. A name that must not be used is replaced by ``unnamed_N``; so is one that
    differs from an earlier one by upper and lower case alone, or is a folder of another.
    """
    return files_of(blocks(text))


def files_of(found: list[Block]) -> dict[str, str]:
    """As ``named_files``, of blocks."""
    named = [(number, block, _name_of(block)) for number, block in enumerate(found, 1) if block.name is not None]
    folders = {str(parent).casefold() for _, _, name in named if name for parent in PurePosixPath(name).parents}
    files: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for number, block, name in named:
        if name is None or name.casefold() in folders or spelled.setdefault(name.casefold(), name) != name:
            name = f"unnamed_{number}{suffix_of(block.language)}"
            spelled[name.casefold()] = name
        files[name] = block.content
    return files if len(files) > 1 else {}


def refused_names(found: list[Block]) -> int:
    """How many blocks have a name that must not be used."""
    return sum(1 for block in found if block.name is not None and _name_of(block) is None)


def _name_of(block: Block) -> str | None:
    """The name a block may be written under."""
    try:
        return checked_name((block.name or "").replace("\\", "/").removeprefix("./"))
    except UnsafeNameError:
        return None
