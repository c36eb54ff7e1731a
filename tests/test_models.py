"""The vocabulary and the specification's tables."""

import pytest

from orchestrator.models import (
    MAX_ITERATIONS,
    MAX_TOKENS,
    PHASE_OF,
    PHASE_SHARES,
    ROLE_MAX_TOKENS,
    ROUTING_TABLE,
    SLOT_ALIASES,
    SLOTS,
    THRESHOLDS,
    Budget,
    Model,
    Phase,
    ProjectStatus,
    Role,
    TaskType,
)
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator.testing.decide_by_hand import model


def test_every_table_speaks_of_every_type_of_task() -> None:
    """A type without a row, a limit or a threshold would have no rules."""
    for table in (ROUTING_TABLE, MAX_TOKENS, THRESHOLDS, MAX_ITERATIONS):
        assert set(table) == set(TaskType)


def test_every_row_names_slots_once_and_ends_with_the_two_last() -> None:
    """Rows are of known slots, and MiniMax and Zhipu stand last."""
    for row in ROUTING_TABLE.values():
        assert set(row) <= set(SLOTS)
        assert len(set(row)) == len(row)
        assert row[-2:] == ("minimax-3", "glm-4")


def test_aliases_stand_for_slots_and_are_none_themselves() -> None:
    """A dated name is never the name of a slot."""
    assert set(SLOT_ALIASES.values()) <= set(SLOTS)
    assert not set(SLOT_ALIASES) & set(SLOTS)


def test_phases_share_the_whole_budget() -> None:
    """5 / 45 / 25 / 15 / 10 percent, and every role belongs to one."""
    assert [round(100 * PHASE_SHARES[phase]) for phase in Phase] == [5, 45, 25, 15, 10]
    assert set(PHASE_OF) == set(Role)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", list(TaskType))
def test_every_role_has_an_output_limit(role: Role, kind: TaskType) -> None:
    """The role's own, else that of the task's type."""
    expected = ROLE_MAX_TOKENS.get(role, MAX_TOKENS[kind])
    assert RunSettings().output_limit(role, kind) == expected


def test_named_models_are_strings_with_a_value() -> None:
    """The specification's attributes, and any other name."""
    assert Model.KIMI_K2_5.value == "moonshot-v1"
    assert Model("anything").value == "anything"
    assert {getattr(Model, name) for name in vars(Model) if name.isupper()} == set(SLOTS)


def test_only_two_ends_are_closed() -> None:
    """Whatever halted a run can be removed; success cannot."""
    closed = {status for status in ProjectStatus if status.is_closed}
    assert closed == {ProjectStatus.SUCCESS, ProjectStatus.PARTIAL_SUCCESS}


def test_what_bounds_an_output() -> None:
    """The limit sent where thinking counts inside it, else the declared ceiling, else nothing."""
    assert model("m").output_bound(100) == 100
    assert model("m", thinking_in_limit=False, max_output=9000).output_bound(100) == 9000
    assert model("m", thinking_in_limit=False).output_bound(100) is None
    assert model("m", wire_name="sent").sent_name == "sent"
    assert model("m").sent_name == "m"


def test_a_budget_counts_what_a_run_used() -> None:
    """What is left, by dollars and seconds."""
    budget = Budget(max_usd=2.0, max_time_seconds=10.0)
    assert budget.can_afford(2.0)
    assert budget.time_remaining()
    budget.record(Usd.parse("1.5"), {"generation": Usd.parse(1)}, 11.0)
    assert (budget.spent_usd, budget.remaining_usd, budget.elapsed_seconds) == (1.5, 0.5, 11.0)
    assert budget.phase_spent == {"generation": 1.0}
    assert not budget.can_afford(0.6)
    assert not budget.time_remaining()
