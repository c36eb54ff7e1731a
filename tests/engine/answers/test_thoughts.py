"""Thinking in answers: what opens an answer is taken off, what follows the first text is content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.answers.thoughts import without_thoughts

CODE = "```python\nx = 1\n```\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"<think>Hm.</think>\n\n{CODE}", CODE),
        (f"\n<Thinking>\nHm.\n</Thinking>{CODE}", CODE),
        (f"<reasoning>Hm.</reasoning>\n<think>More.</think>\n{CODE}", CODE),
        (f"<think>a <think>b</think> c</think>\n{CODE}", CODE),
        (f"Okay:\n```python\ny = 0\nlonger = 2\n```\nHm, no.\n</think>\n\n{CODE}", CODE),
        (f"<think>\n```html\n</think>\n```\nHm.\n</think>\n{CODE}", CODE),
        (f"<think>\n```python\nnever closed\n</think>\n{CODE}", CODE),
        ("</think>\n\n</think>a </think> b", "a </think> b"),
        ("<think>never closed", ""),
        ("<think></think>", ""),
        ("<think>Hm.</think>   - a list\n", "- a list\n"),
        ("<think>Hm.</think>\n   ```\n   x\n   ```\n", "   ```\n   x\n   ```\n"),
    ],
)
def test_thinking_is_taken_off(text: str, answer: str) -> None:
    """A block that opens the answer, and all before a lone closing tag; fences among the thoughts go with them."""
    parted = without_thoughts(text)
    assert parted.answer == answer
    assert parted.thoughts + parted.answer == text


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "",
        "An answer. <think>This is an example.</think> More.",
        "```html\n<think>x</think>\n```\n",
        "Hm:\n```html\n</think>\n```\nDone.",
        "It ends with `</think>`.",
        "text.split('</think>')[-1]",
        "<b>think</b>",
        "<thinker>x</thinker>",
    ],
)
def test_other_tags_are_content(text: str) -> None:
    """Those after the first text, in fences and in quotes."""
    assert without_thoughts(text).answer == text


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "a", "\n", "```\n", "~~~\n", "`", " ", "<reasoning>"])).map(
        "".join
    )
)
def test_nothing_is_lost(text: str) -> None:
    """Every character is in the answer or in the thinking, in its order."""
    parted = without_thoughts(text)
    assert parted.thoughts + parted.answer == text


@pytest.mark.parametrize("piece", ["<think></think>", "<think>", "</think>a", "<think>\n```\n</think>\n", "\n<think>"])
def test_what_begins_over_and_over_is_gone_through_once(piece: str) -> None:
    """However often, the end comes."""
    parted = without_thoughts(piece * 20_000)
    assert len(parted.thoughts + parted.answer) == len(piece) * 20_000
