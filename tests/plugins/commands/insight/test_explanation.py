import pytest

from orchestrator import events as e
from orchestrator.money import Usd
from orchestrator.state.fold import fold
from orchestrator.testing.simulation.simulator import Scenario, simulate
from orchestrator_insight.explained_choices import BackendFallback, ModelChoice, SpendRefusal
from orchestrator_insight.explaining_history import about, explain


@pytest.mark.parametrize("seed", range(12))
def test_any_history_is_explained_to_the_last_cent(seed: int) -> None:
    """Crashes, faults, raises and refusals included: every choice is told, and the attempts cost what the run spent."""
    for history in simulate(Scenario.draw(seed)).histories.values():
        state = fold(history)
        explained = explain(history)
        selected = [event for _, event in history if isinstance(event, e.ModelSelected)]
        choices = [each for each in explained if isinstance(each, ModelChoice)]
        assert [(each.node, each.role, each.model) for each in choices] == [
            (each.node, each.role, each.model) for each in selected
        ]
        attempts = [attempt for choice in choices for attempt in choice.attempts]
        assert sum((attempt.cost for attempt in attempts), Usd.ZERO) == state.spend.total
        assert {attempt.end for attempt in attempts} <= {"settled", "released", "unreconciled"}
        refused = [event for _, event in history if isinstance(event, e.SpendRefused | e.AccountRefused)]
        assert len([each for each in explained if isinstance(each, SpendRefusal)]) == len(refused)
        fallen = [event for _, event in history if isinstance(event, e.BackendFailed)]
        assert len([each for each in explained if isinstance(each, BackendFallback)]) == len(fallen)


@pytest.mark.parametrize("seed", range(4))
def test_every_model_of_the_session_stands_in_every_choice(seed: int) -> None:
    """Later choices of a call list only what changed; the explanation lists everybody, exactly one of them chosen."""
    for history in simulate(Scenario.draw(seed)).histories.values():
        known: set[str] = set()
        opened = {version: event for version, (_, event) in enumerate(history, 1)}
        choices = {each.version: each for each in explain(history) if isinstance(each, ModelChoice)}
        for version, event in opened.items():
            if isinstance(event, e.SessionOpened):
                known = {model.id for model in event.models}
            if version in choices:
                choice = choices[version]
                assert known <= {each.model for each in choice.considered}
                assert [each.model for each in choice.considered if each.rejection is None] == [choice.model]


def test_one_task_can_be_asked_about() -> None:
    """Only what concerns it is left."""
    (history, *_) = simulate(Scenario.draw(1)).histories.values()
    explained = explain(history)
    (node, *_) = [each.node for each in explained if isinstance(each, ModelChoice)]
    found = about(explained, node)
    assert found
    assert all(isinstance(each, BackendFallback) or each.node == node for each in found)
    assert about(explained, None) == explained
