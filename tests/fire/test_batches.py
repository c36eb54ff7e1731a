"""``kill -9`` around batches: nothing is submitted twice, every result is settled once, the bill is the log."""

from pathlib import Path

import pytest

from tests.fire.batches import (
    RUN,
    SELLING,
    Trap,
    assert_accounted,
    command_of,
    evaluate_over_kills,
    server_of,
    spec,
)
from tests.fire.harness import assert_sound, finish

pytestmark = pytest.mark.heavy

LATER = {"openai": ("look", "looked", "given"), "anthropic": ("look", "looked", "given"), "google": ("look", "looked")}
"""The steps after a batch is made; Google gives the results with the look."""


@pytest.mark.parametrize("name", SELLING)
def test_a_run_that_is_killed_at_every_step_waits_for_the_same_batch(name: str, tmp_path: Path) -> None:
    """Killed as the vendor takes the batch, and at each later step in turn, the run ends as if it had not been."""
    trap = Trap()
    with server_of(name, on=trap) as server:
        command = command_of(tmp_path, server)
        for number, step in enumerate(("created", *LATER[name])):
            process = command.start(*(("resume", RUN) if number else ("run", str(spec(tmp_path)))))
            trap.arm(process, step)
            assert finish(process).code == -9, step
        trap.disarm()
        ended = command.run("resume", RUN)
        assert ended.code == 0, ended.stderr
        assert len(server.batches) == 1
        spent = assert_accounted(command.home, [RUN], server)
        assert spent == assert_sound(command, RUN).spend.settled == server.billed
        assert command.run("audit", "verify").code == 0


def test_an_evaluation_in_batches_costs_half_over_kills(tmp_path: Path) -> None:
    """Each case counts once, the vendor's ledger is the log, and the bill is half the list's; see benchmarks."""
    found = evaluate_over_kills("anthropic", tmp_path, cases=12, kills=3)
    assert 1 <= found.kills <= 3  # an evaluation that ends early is killed less often
    assert found.solved == 12
    assert float(found.spent) <= 0.55 * float(found.list_price)
