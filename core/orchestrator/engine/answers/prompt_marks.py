"""Marks: how a text of a user or a model stands in a prompt, so that it cannot end itself and pose as instructions."""

import hmac
import re
from typing import Final

from attrs import frozen

_DIGITS: Final = 4
BLANK: Final = "-" * (2 * _DIGITS + 1)
"""What stands in the place of a tag where requests are compared."""

_NOT_IN_LABELS: Final = re.compile(r"[^\w .:/()+-]")


@frozen
class Marks:
    """The marks of one node.

    Attributes:
        tag: no text from before the run can hold it. All roles and iterations of a node share it, so that their prompts
            begin alike. It has no letters: a weak model that has to name something takes a word that it sees.
    """

    tag: str

    def quoted(self, label: str, text: str) -> str:
        """A text between marks that it cannot contain; a tag that has leaked into it is blanked."""
        label = _NOT_IN_LABELS.sub("?", label)
        inside = text.replace(self.tag, BLANK)
        return f"=== BEGIN {label} {self.tag} ===\n{inside}\n=== END {label} {self.tag} ==="

    def taken_out(self, text: str) -> str:
        """A text without the tag, where a model has copied it into one."""
        return re.sub(rf"[-_ ]?{self.tag}", "", text)


def marks_of(seed: int, node: str) -> Marks:
    """The marks of a node in the run of this seed: a keyed function, so that one node's tag says nothing of another."""
    number = int.from_bytes(hmac.digest(str(seed).encode(), node.encode(errors="replace"), "sha256"))
    first, second = divmod(number % 10 ** (2 * _DIGITS), 10**_DIGITS)
    return Marks(f"{first:0{_DIGITS}}-{second:0{_DIGITS}}")


def cut(text: str, longest: int) -> str:
    """A text of bounded length: its head (60 %) and its tail, with a mark where the middle is missing."""
    if len(text) <= longest:
        return text
    head = longest * 6 // 10
    tail = longest - head
    return f"{text[:head]}\n[… {len(text) - longest} characters left out …]\n{text[-tail:]}"
