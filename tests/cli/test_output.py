from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.terminal.terminal_output import clean, line, money, seconds, timestamp
from orchestrator.money import Usd


def test_no_untrusted_text_commands_the_terminal() -> None:
    """Escape sequences, C1 controls, carriage returns and marks that turn the writing around are replaced."""
    hostile = "a\x1b[31mb\x9b2Jc\rd\x07e\u202ef\u2066g\x00h\u2028i\ud800j"
    shown = clean(hostile)
    assert [each for each in shown if not each.isprintable() and each != "\ufffd"] == []
    assert "".join(each for each in shown if each != "\ufffd") == "a[31mb2Jcdefghij"


def test_lines_and_tabs_stay() -> None:
    """Line breaks, tabs and letters of any script are left alone."""
    assert clean("één\tδύο\n三 ✓") == "één\tδύο\n三 ✓"


def test_a_line_is_one_line() -> None:
    """White space becomes single spaces, and what is too long is cut with an ellipsis."""
    assert line(" a\n\tb  c ") == "a b c"
    assert line("abcdef", 4) == "abc…"
    assert line("abcd", 4) == "abcd"


def test_an_amount_is_printed_one_way() -> None:
    """Four decimals, whatever its size; what is less than they show, and not nothing, says so."""
    amounts = ("0", "8", "1.5", "12.3456", "0.0246485", "0.00005", "0.000000007", "-0.5", "-0.00001", "0.9999999")
    assert [money(Usd.parse(text)) for text in amounts] == [
        "$0.0000",
        "$8.0000",
        "$1.5000",
        "$12.3456",
        "$0.0246",
        "$0.0001",
        "<$0.0001",
        "-$0.5000",
        "-<$0.0001",
        "$1.0000",
    ]


@given(st.integers(-(10**15), 10**15))
def test_an_amount_is_as_near_as_it_can_be_said(nano: int) -> None:
    """What is shown is within half of the last decimal; what is exact is read back as the same amount."""
    amount = Usd(nano)
    shown = amount.shown.replace("$", "")
    if "<" in shown:
        assert 0 < abs(nano) < 50_000
    else:
        assert abs(Usd.parse(shown).nano - nano) <= 50_000
        assert bool(Usd.parse(shown)) == bool(amount)
    assert Usd.parse(amount.exact.replace("$", "")) == amount


def test_durations_are_for_people() -> None:
    """Short durations have a decimal, long ones minutes and hours."""
    shown = [seconds(value * 1_000_000) for value in (0, 12, 120, 300, 330, 3600, 5400)]
    assert shown == ["0.0 s", "12 s", "2 min", "5 min", "5 min 30 s", "1 h", "1 h 30 min"]
    assert seconds(840_000) == "0.8 s"


def test_moments_are_exact() -> None:
    """Microseconds are shown to the microsecond."""
    assert timestamp(1_795_363_488_000_007) == "2026-11-22T16:04:48.000007Z"
