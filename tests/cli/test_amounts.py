"""One way to print money: four decimals for people, all nine with ``--exact``; JSON is exact."""

import re
from pathlib import Path
from typing import Final

import pytest

from orchestrator.money import Usd
from tests.cli.command import orchestrate, scripted_spec
from tests.cli.conftest import Finished

_AMOUNT: Final = re.compile(r"\$\d[\d.]*\d")
_PRICES: Final = re.compile(r"\$\d[\d.]*/\$\d[\d.]*|price per million.*")
"""Prices per million tokens: rates, not amounts."""

COMMANDS: Final = (
    "runs list",
    "runs show done",
    "runs diff done done",
    "explain done",
    "explain done only --prompts",
    "costs show done --by phase",
    "costs reconcile",
    "metrics done",
    "log show done",
    "budget show",
    "replay done",
    "watch done",
    "whatif done",
    "plan ../spec.json --simulate 5",
)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_amount_has_four_decimals_or_all(finished: Finished, words: str) -> None:
    """Whatever prints it, on stdout and on stderr."""
    for flags, decimals in (((), 4), (("--exact",), 9)):
        shown = orchestrate(finished.home, *words.split(), *flags, cwd=finished.home)
        assert shown.code == 0, shown.err
        amounts = _AMOUNT.findall(_PRICES.sub("", shown.out + shown.err))
        assert [each for each in amounts if len(each.partition(".")[2]) != decimals] == []
        assert amounts or words in ("costs reconcile", "budget show", "metrics done")


def test_what_is_shown_is_the_exact_amount_rounded(finished: Finished) -> None:
    """The same run in JSON, exact, and for people."""
    state = orchestrate(finished.home, "runs", "show", "done", "--json").json
    spent = Usd.parse(state["spent_usd"])
    assert spent.shown in orchestrate(finished.home, "runs", "show", "done").out
    assert spent.exact in orchestrate(finished.home, "runs", "show", "done", "--exact").out
    assert spent.exact == f"${state['spent_usd']}"


def test_files_and_progress_print_it_the_same_way(tmp_path: Path) -> None:
    """The lines of a run, and the README.md beside its results."""
    spec = scripted_spec(tmp_path, project_id="seen")
    done = orchestrate(tmp_path / "home", "run", str(spec), "-o", "out", cwd=tmp_path)
    exact = orchestrate(tmp_path / "home", "run", str(spec), "--new-project", "--exact")
    readme = (tmp_path / "out" / "README.md").read_text()
    for text, decimals in ((done.out + done.err + readme, 4), (exact.out + exact.err, 9)):
        found = _AMOUNT.findall(text)
        assert found
        assert {len(each.partition(".")[2]) for each in found} == {decimals}
