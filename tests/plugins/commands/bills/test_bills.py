"""A vendor's bill settles what the log could not know, to the nano-dollar, and says where the two differ."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import SpecError
from orchestrator.money import Usd
from orchestrator_bills.vendor_bills import ArchivedCalls, BilledCall, BilledLine, known_mappings, read_bill, reckon
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.plugins.commands.bills.test_reconcile import UNKNOWN

DAY = date(2026, 11, 29)
HEADERS = {
    "openai": "start_time,start_time_iso,amount_value,amount_currency,line_item,project_id\n"
    '1,2026-11-29T00:00:00+00:00,0.25,usd,"gpt-4o-mini-2024-07-18, input",p\n',
    "anthropic": "usage_date_utc,model,workspace,token_type,cost_usd\n2026-11-29,Claude Haiku 4.5,w,output,0.25\n",
    "google": "Usage start date,SKU description,Cost ($)\n2026-11-29,Gemini 2.5 Flash GA input tokens,0.25\n",
    "deepseek": "user_id,utc_date,model,cost,currency\n7,2026-11-29,deepseek-chat,0.25,USD\n",
    "openrouter": "generation_id,created_at,cost_total,model_permaslug\ng-1,2026-11-29 10:00,0.25,openai/gpt-4o-mini\n",
}
NAMES = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "google": "gemini-2.5-flash",
    "deepseek": "deepseek-chat",
    "openrouter": "openai/gpt-4o-mini",
}


def call(version: int, model: str, *, settled: int = 0, held: int = 0, request: str | None = None) -> BilledCall:
    """A call of the day, with amounts in nano-dollars."""
    return BilledCall("run", version, (model,), DAY, Usd(settled), Usd(held), request)


def billed(model: str, nano: int) -> BilledLine:
    """A line of the day."""
    return BilledLine(2, DAY, model, Usd(nano), Usd(0), None)


@pytest.mark.parametrize("vendor", known_mappings())
def test_each_known_bill_is_told_by_its_columns(vendor: str) -> None:
    """What the calls of known cost leave of a line is what the other one has cost."""
    lines = read_bill(HEADERS[vendor], "bill.csv", None)
    calls = [call(3, NAMES[vendor], settled=50_000_000), call(9, NAMES[vendor], held=900_000_000)]
    found = reckon(lines, calls, ["gpt-4o", "claude-haiku-4"])
    assert found.costs == {"run": {9: Usd(200_000_000)}}
    assert found.differences == []


def test_a_line_of_another_model_is_not_taken_for_one_of_a_shorter_name() -> None:
    """Neither where the longer name is known, nor where a word makes it another."""
    calls = [call(3, "gpt-4o", held=10)]
    for name in ("gpt-4o-mini-2024-07-18, input", "gpt-4o-2024-08-06 long, output"):
        found = reckon([billed(name, 5)], calls, ["gpt-4o", "gpt-4o-2024-08-06-long"])
        assert found.costs == {}
        assert {each.why for each in found.differences} == {
            "no call of the log",
            "not on the bill, and left unreconciled",
        }


@pytest.mark.parametrize(
    ("nano", "why"),
    [
        (5, "the bill has less than the calls of known cost; nothing is settled by it"),
        (111, "the bill has more than these calls can have cost; nothing is settled by it"),
    ],
)
def test_what_cannot_be_is_listed_and_settles_nothing(nano: int, why: str) -> None:
    """A bill of somebody else's calls, too, or of another day."""
    found = reckon([billed("m", nano)], [call(3, "m", settled=10), call(4, "m", held=60), call(5, "m", held=40)])
    assert (found.costs, [each.why for each in found.differences]) == ({}, [why])


@pytest.mark.parametrize(
    ("first", "simulated", "model"), [(1, False, "m"), (29, False, "m"), (1, True, "m"), (1, False, "n")]
)
def test_a_day_of_an_archived_run_settles_nothing(first: int, simulated: bool, model: str) -> None:
    """Its calls are on the bill, and only their sum is left here: what is over would be divided among others."""
    archived = [ArchivedCalls("old", model, date(2026, 11, first), DAY, simulated)]
    found = reckon([billed("m", 60)], [call(3, "m", settled=10), call(4, "m", held=60)], (), archived)
    if simulated or model != "m":
        assert found.costs == {"run": {4: Usd(50)}}
    else:
        assert found.costs == {}
        assert ["old, which is archived" in each.why for each in found.differences] == [True]


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=8), st.integers(0, 10**9), st.floats(0, 1))
def test_shares_are_exact_and_within_what_was_held(holds: list[int], known: int, part: float) -> None:
    """The settled amounts are the rest of the bill, to the nano-dollar, and none is above its hold."""
    rest = int(sum(holds) * part)
    calls = [call(1, "m", settled=known), *(call(at, "m", held=held) for at, held in enumerate(holds, 2))]
    costs = reckon([billed("m", known + rest)], calls).costs["run"]
    assert sum(each.nano for each in costs.values()) == rest
    assert all(0 <= costs[at].nano <= held for at, held in enumerate(holds, 2))


def test_a_bill_of_single_requests_names_the_call() -> None:
    """The request counts before day and model."""
    lines = read_bill(HEADERS["openrouter"], "bill.csv", None)
    calls = [call(3, "openai/gpt-4o-mini", held=10**9), call(4, "other", held=10**9, request="g-1")]
    assert reckon(lines, calls).costs == {"run": {4: Usd(250_000_000)}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "of no known bill"),
        ("utc_date,model,cost,currency\n2026-11-29,m,1,CNY\n", "is in CNY"),
        ("utc_date,model,cost,currency\n2026-11-29,m,-1,USD\n", "is no amount"),
        ("utc_date,model,cost,currency\n2026-11-29,m,nan,USD\n", "is no amount"),
        ("utc_date,model,cost,currency\nyesterday,m,1,USD\n", "bill.csv:2: 'yesterday' is no date"),
        ("", "of no known bill"),
    ],
)
def test_a_bill_that_cannot_be_read_is_said_to(text: str, message: str) -> None:
    """The line, and what is wrong with it."""
    with pytest.raises(SpecError, match=message):
        read_bill(text, "bill.csv", None)


def test_a_bill_settles_a_run_through_the_command(tmp_path: Path) -> None:
    """By a mapping of one's own; the log stays whole, and the same bill again changes nothing."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, answers=[UNKNOWN], project_id="monday")
    assert orchestrate(home, "run", str(spec)).code == 0
    (unknown,) = orchestrate(home, "costs", "reconcile", "--json").json
    known = rows(
        home, "SELECT coalesce(sum(settled_nano), 0) FROM calls WHERE model = ? AND held_nano = 0", unknown["model"]
    )[0][0]
    bill, mapping = tmp_path / "bill.csv", tmp_path / "mapping.yaml"
    mapping.write_text("{time: when, model: what, amount: usd}")
    day = unknown["started_at"][:10]
    bill.write_text(f"when,what,usd\n{day},{unknown['model']},{(known + 1234) / 10**9:.9f}\n{day},unheard-of,1\n")
    refused = orchestrate(home, "costs", "reconcile", "--from", str(bill))
    assert (refused.code, "--mapping" in refused.err) == (2, True)
    options = ("costs", "reconcile", "--from", str(bill), "--mapping", str(mapping), "--json")
    would = orchestrate(home, *options, "--dry-run")
    assert orchestrate(home, "costs", "reconcile", "--json").json == [unknown], "nothing is written"
    done = orchestrate(home, *options)
    assert (done.code, done.json) == (0, would.json), done.err
    (settled,) = done.json["settled"]
    assert (settled["call"], settled["settled_usd"]) == (unknown["call"], "0.000001234")
    assert [each["why"] for each in done.json["differences"]] == ["no call of the log"]
    again = orchestrate(home, *options)
    assert (again.code, again.json["settled"]) == (0, [])
    assert orchestrate(home, "audit", "verify").code == 0
    assert "unheard-of" in orchestrate(home, *options[:-1]).out
