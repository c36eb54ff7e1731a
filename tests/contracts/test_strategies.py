"""What the strategies draw is what they say."""

from hypothesis import given, settings

from orchestrator.events import Event, RunStarted
from orchestrator.spi import ModelTelemetry, RoutingCandidate
from orchestrator.state.fold import fold
from orchestrator.testing.strategies import fields_of_candidates, histories


@settings(max_examples=15)
@given(histories())
def test_histories_are_those_of_runs(history: tuple[tuple[int, Event], ...]) -> None:
    """They begin with the start of a run, time never goes back, and they can be folded."""
    times = [at for at, _ in history]
    assert isinstance(history[0][1], RunStarted)
    assert times == sorted(times)
    assert fold(history).version == len(history)


@settings(max_examples=15)
@given(fields_of_candidates(odd=True))
def test_fields_have_telemetry_for_every_candidate(
    field: tuple[tuple[RoutingCandidate, ...], dict[str, ModelTelemetry]],
) -> None:
    """Names and places are different, and each has its measurements."""
    candidates, telemetry = field
    assert [each.place for each in candidates] == list(range(len(candidates)))
    assert set(telemetry) == {each.model for each in candidates}
