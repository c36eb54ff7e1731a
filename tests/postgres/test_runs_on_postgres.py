from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from orchestrator.ledger.event_log import EventLog
from orchestrator.log.protocol import Store
from orchestrator.testing.simulation.memory_log import log_over
from orchestrator.testing.simulation.scenario import Scenario
from orchestrator.testing.simulation.simulator import simulate
from orchestrator.testing.state_machines.accounts import AccountMachine
from orchestrator_postgres.store import PostgresStore

STEPS = 25

Opened = Callable[..., PostgresStore]


def _written(store: Store) -> list[tuple[Any, ...]]:
    return [(row.position, row.stream, row.version, row.data, row.hash) for row in store.raw()]


def _same(seed: int, opened: Opened) -> None:
    one = simulate(Scenario.draw(seed))
    other = simulate(Scenario.draw(seed), make_store=opened)
    assert _written(other.world.store.inner) == _written(one.world.store.inner)
    assert other.crashes == one.crashes


@pytest.mark.parametrize("seed", [0, 5])
def test_simulated_runs_write_the_same_log(opened: Opened, seed: int) -> None:
    """Event by event with the same hashes at the same positions, crashes included."""
    _same(seed, opened)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(10, 40))
def test_many_simulated_runs_write_the_same_log(opened: Opened, seed: int) -> None:
    """The same of other worlds."""
    _same(seed, opened)


def _check_accounts(url: str, examples: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        [schema] = connection.execute("SELECT current_schema()").fetchone() or ("",)

        class OnPostgres(AccountMachine):
            def make_log(self) -> EventLog:
                """An empty schema for one example."""
                connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
                connection.execute(f"CREATE SCHEMA {schema}")
                return log_over(PostgresStore(url, write=True))

            def teardown(self) -> None:
                """Close it."""
                super().teardown()
                self.log.close()

        run_state_machine_as_test(OnPostgres, settings=settings(max_examples=examples, stateful_step_count=STEPS))


def test_accounts_are_exact_whatever_runs_do(url: str) -> None:
    """The machine of the accounts' laws, on this store."""
    _check_accounts(url, 4)


@pytest.mark.heavy
def test_accounts_are_exact_in_many_histories(url: str) -> None:
    """The same, longer."""
    _check_accounts(url, 100)
