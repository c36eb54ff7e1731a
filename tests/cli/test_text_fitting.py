"""Text on a screen: no line is wider than it, in any script, and nothing of the text is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.terminal import tables
from orchestrator.cli.terminal.text_fitting import columns_of, wrapped

TITLES = st.text(st.sampled_from("ab 字標é\u0301한あ,"), min_size=40, max_size=300)


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("字a", 3), ("한あ", 4), ("e\u0301", 1), ("\u200b", 0), ("é", 1)]
)
def test_a_text_takes_the_columns_that_a_terminal_gives_it(text: str, columns: int) -> None:
    """Wide characters take two, combining ones none."""
    assert columns_of(text) == columns


@given(TITLES, st.integers(20, 120))
def test_a_title_fits_whatever_its_script(text: str, width: int) -> None:
    """Its lines are no wider than the screen, and have its letters in their order."""
    lines = wrapped(text, width, "", is_title=True)
    assert all(columns_of(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text(st.sampled_from("abc-/ "), min_size=40, max_size=300), st.integers(20, 120))
def test_elsewhere_no_word_of_letters_breaks(text: str, width: int) -> None:
    """A path, an id or an address stays in one piece."""
    assert [word for line in wrapped(text, width, "") for word in line.split()] == text.split()


@given(st.text(st.sampled_from("字標한あ"), min_size=61, max_size=300), st.integers(20, 120))
def test_words_of_wide_characters_break(text: str, width: int) -> None:
    """They have no spaces to break at."""
    lines = wrapped(text, width, "")
    assert max(map(columns_of, lines)) <= width
    assert "".join(lines) == text


@pytest.mark.parametrize("title", ["為一個小型圖書館編寫借書系統並附上完整的測試與說明文件以及部署方式", "x" * 150])
def test_a_table_with_a_long_title_stays_a_table(
    title: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One title without spaces does not turn the rows of all others into lines of name and value."""
    monkeypatch.setattr(tables, "width_of", lambda stream: 80)
    monkeypatch.setattr(tables, "painted", lambda text, style: text)
    heads = ("run", "status", "spend", "title")
    tables.print_table(heads, [("first", "SUCCESS", "$0.0259", "short"), ("second", "SUCCESS", "$0.0259", title)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == list(heads)
    assert max(map(columns_of, lines)) <= 80
    at = columns_of(lines[0][: lines[0].index("title")])
    assert "".join(line[at:].strip() for line in lines[2:]) == title
