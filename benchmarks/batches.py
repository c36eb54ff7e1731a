"""An evaluation in batches under kills, on a local vendor: the bill beside the list's price."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.fire.batches import SELLING, evaluate_over_kills

from benchmarks.measure import Row

_CASES: Final = 200
_KILLS: Final = 50


def run(rounds: int) -> Iterator[Row]:
    """Evaluate 200 cases in batches of each vendor over 50 kills; once. Any difference in money is an error."""
    for name in SELLING:
        with tempfile.TemporaryDirectory() as scratch:
            found = evaluate_over_kills(name, Path(scratch), _CASES, _KILLS)
        ratio = float(found.spent) / float(found.list_price)
        note = f"{found.kills} kills, 16 cells at once; {found.solved} solved; the vendor's ledger is the log's"
        what = f"{_CASES} cases in batches of {name}, beside the price of single calls"
        yield Row(what, f"${found.spent}", f"${found.list_price}", ratio, (ratio, ratio), 0.55, True, note)
