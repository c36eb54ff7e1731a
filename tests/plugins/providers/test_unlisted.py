"""The list of what the price list has and the vendors' files lack: information, never a failure."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from genai_prices import data

from orchestrator_providers import openai, unlisted


def entry(name: str, *, deprecated: bool = False, **prices: Any) -> SimpleNamespace:
    """A model of a price list."""
    given = prices or {"input_mtok": 1, "output_mtok": 2}
    matches = {"id": name, "deprecated": deprecated, "prices": SimpleNamespace(**given)}
    return SimpleNamespace(is_match=lambda text: text == name.lower(), **matches)


def test_what_chats_and_is_in_no_file_is_listed() -> None:
    """Not what is named, retired or said to be gone, nor what draws, speaks or is sold by other measures."""
    models = [
        entry("gpt-7-nova"),
        entry("gpt-6-luna"),
        entry("gpt-4-turbo"),
        entry("gpt-7-old", deprecated=True),
        entry("gpt-7-image"),
        entry("gpt-7-realtime"),
        entry("gpt-7-hours", audio_hour=3),
        entry("claude-opus-9"),
    ]
    assert list(unlisted.unlisted(openai.CATALOGUE, models)) == ["gpt-7-nova"]


def test_the_command_prints_a_line_for_each_vendor() -> None:
    """With the installed price list, whatever it holds."""
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator_providers.unlisted"], capture_output=True, text=True, check=True
    )
    assert [line.partition(":")[0] for line in ended.stdout.splitlines()] == [
        *("openai", "anthropic", "google", "moonshot", "deepseek", "minimax", "zhipu"),
    ]
    assert ended.stderr == ""


def test_a_price_list_of_another_shape_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A newer list must not break the build."""
    monkeypatch.setattr(data, "providers", [SimpleNamespace(id="openai", models=[object()])])
    unlisted.main()
    assert "cannot be compared" in capsys.readouterr().out
