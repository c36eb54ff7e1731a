"""The contract of stores."""

import asyncio
import os
from typing import Any, Final

from attrs import evolve

from orchestrator.ledger.event_log import EventLog
from orchestrator.log.protocol import Changes, Store, StoreError, all_rows
from orchestrator.log.sqlite import SqliteStore
from orchestrator.log.stored_call_tables import TABLES
from orchestrator.log.stored_rows import Contents, Hold, MailboxRow, Select
from orchestrator.log.views import VIEWS
from orchestrator.testing.contracts.store_basis import adding, beside, contents, data_of, written
from orchestrator.testing.contracts.store_processes import ProcessesContract
from orchestrator.testing.contracts.store_rows import RowsContract
from orchestrator.testing.simulation.memory_log import log_over
from orchestrator.testing.simulation.scenario import CrashPoint

_SEED: Final = 15
"""Two runs that draw on accounts."""

_CRASHES: Final = (CrashPoint(5, "before"), CrashPoint(9, "inside"), CrashPoint(14, "after"))
_EXAMPLES: Final = 4
_STEPS: Final = 15


class StoreContract(RowsContract, ProcessesContract):
    """A store keeps rows as they are, in order, all of a member or nothing, and has every run once.

    Name the module in ``plugin`` and say in ``address`` where an empty store can be made.
    """

    def test_accounts_keep_their_laws(self) -> None:
        """Runs that take holds, end them and die, and caps that move: never beyond a cap, never a hold too many."""
        from hypothesis import HealthCheck, Phase, settings
        from hypothesis.stateful import run_state_machine_as_test

        from orchestrator.testing.state_machines.accounts import AccountMachine

        make = self.make_store

        class OnThisStore(AccountMachine):
            def make_log(self) -> EventLog:
                return log_over(make())

        examples = settings(
            max_examples=_EXAMPLES,
            stateful_step_count=_STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=tuple(HealthCheck),  # a server may be slow
        )
        run_state_machine_as_test(OnThisStore, settings=examples)

    def test_the_first_secret_counts_for_all(self) -> None:
        """Two logs that draw one at once have the same, and it stays."""
        store = self.make_store()
        logs = [log_over(store), log_over(store)]

        async def draw() -> list[bytes]:
            return list(await asyncio.gather(*(log.draw_secret(os.urandom) for log in logs)))

        first, second = asyncio.run(draw())
        written(store, beside(Changes(secret=b"of one that came late")))
        assert first == second == bytes(store.salt("") or b""), "the first secret did not stay"
        assert asyncio.run(draw()) == [first, second]

    def test_stored_calls_are_those_of_the_last_time(self) -> None:
        """They are disposable: those that were put there last of a run, with the hash of its event, or none."""
        store = self.make_store()
        written(store, adding("a", "1"), adding("b", "1"))
        last = store.last("a")
        assert last is not None
        for status in ("OPEN", "SUCCESS"):
            runs = [_columns("stored_runs", run_id=run, status=status, version=1) for run in ("a", "b")]
            calls = [_columns("stored_calls", run_id=run, call_id=status, latency_ms=0.5) for run in ("a", "b")]
            store.store_calls(runs, calls)
        late = _columns("stored_runs", run_id="b", status="LATE", version=9)
        store.store_calls([late], [])
        found = sorted(store.stored_runs())
        if found:  # a store may keep none
            assert found == [
                (*runs[0], last.hash),
                (*_columns("stored_runs", run_id="b", status="LATE", version=9), None),
            ]
            assert store.stored_calls() == calls[:1]
            assert len(store.stored_runs(limit=1)) == 1

    def test_a_simulated_run_is_the_same_as_in_memory(self) -> None:
        """With its crashes: the same events, the same heads, the same views, and the same holds at the end."""
        from orchestrator.testing.simulation.simulator import (  # needs the audit, which may be switched off
            Scenario,
            simulate,
        )

        scenario = evolve(Scenario.draw(_SEED), crashes=_CRASHES)
        found = []
        for make in (self.make_store, SqliteStore.in_memory):
            store: list[Store] = []

            def kept(make: Any = make, store: list[Store] = store) -> Store:
                store.append(make())
                return store[-1]

            report = simulate(scenario, make_store=kept)
            rows = [(row.stream, row.version, row.data, row.hash) for row in all_rows(store[0], Select())]
            views = {name: store[0].view(name) for name in VIEWS}
            assert report.crashes == len(_CRASHES), "it did not crash where it was to crash"
            found.append((rows, {name: [_without_position(row) for row in rows] for name, rows in views.items()}))
            holds = store[0].holds()
            assert holds == [], f"holds are left: {holds}"
        (rows, views), (expected_rows, expected_views) = found
        assert rows == expected_rows, "its events differ from those of a store in memory"
        for name in VIEWS:
            assert views[name] == expected_views[name], f"its view {name} differs from that of a store in memory"

    def test_a_log_moves_in_and_out(self) -> None:
        """It takes in what another store has, place by place, is closed until it is opened, and refuses writes then."""
        store = self.make_store()
        rows = [row._replace(position=row.position * 3) for row in _some_rows()]
        beside_them: dict[str, Any] = {
            "salts": [("a", b"\0s")],
            "texts": [("a", "d", b"\0t")],
            "holds": [Hold("a", 1, "account/org", 2**53 + 1)],
            "asked": [("a", MailboxRow(7, 1, "cancel", "it's"))],
            "pace": {"p": 5},
        }
        store.take_in(Contents(rows=rows, cached=(), **{**beside_them, "pace": [("p", 5)]}), "it's not finished: go on")
        assert store.closed == "it's not finished: go on"
        self._refuses_to_write(store, "it's not finished: go on")
        store.reopen()
        assert list(all_rows(store, Select())) == rows
        found = contents(store)
        assert {name: found[name] for name in ("salts", "texts", "holds", "pace")} == {
            name: beside_them[name] for name in ("salts", "texts", "holds", "pace")
        }
        assert store.asked("a") == [MailboxRow(7, 1, "cancel", "it's")]
        written(store, adding("b", "2"), beside(Changes(asked=(("a", "cancel", "", 2),))))
        assert store.high_water() > rows[-1].position
        self._closes(store)

    def _closes(self, store: Store) -> None:
        other = self.open_again(store)
        try:
            with store.closing("moved"):
                raise InterruptedError
        except InterruptedError:
            assert store.closed == "", "it is closed although what closed it failed"
        written(other, adding("b", "3"))
        with store.closing("moved to another"):
            assert data_of(store, "b")[-1] == "3"
        assert (store.closed, other.closed) == ("moved to another", "moved to another")
        self._refuses_to_write(other, "moved to another")

    @staticmethod
    def _refuses_to_write(store: Store, why: str) -> None:
        high = store.high_water()
        for member in (adding("a", "9"), beside(Changes(pace={"z": 1})), beside(Changes(forgotten=("a",)))):
            try:
                store.write([member])
            except StoreError as error:
                assert why in str(error), f"it does not say why it is closed, but: {error}"  # noqa: PT017 - without pytest
            else:
                raise AssertionError("a closed store was written")
        assert store.high_water() == high


def _some_rows() -> list[Any]:
    store = SqliteStore.in_memory()
    written(store, adding("a", "1", "2"), adding("b", "1"))
    return list(all_rows(store, Select()))


def _columns(table: str, **values: Any) -> tuple[Any, ...]:
    """A row of one of the tables of stored calls."""
    return tuple(values.get(column) for column in TABLES[table])


def _without_position(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "position" not in name}
