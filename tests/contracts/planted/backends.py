"""Backends with one bug each; beside them a sound one."""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from attrs import evolve

from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.testing import BackendContract
from tests.contracts.planted.bug import odd

Candidates = Sequence[RoutingCandidate]
Telemetry = Mapping[str, ModelTelemetry]


class Backend:
    """A sound backend: the row's order."""

    def rank(self, candidates: Candidates, telemetry: Telemetry, draw: float) -> Sequence[Ranked]:
        """By place."""
        return [Ranked(each.model, -float(each.place)) for each in sorted(candidates, key=lambda each: each.place)]


class SoundBackend(BackendContract):
    """The suite of the sound backend."""

    shrinks: ClassVar[bool] = False

    def make(self) -> Backend:
        """The sound one."""
        return Backend()


class ExploringBackend:
    """A sound backend that explores: one call in ten goes to a candidate that the draw names."""

    def rank(self, candidates: Candidates, telemetry: Telemetry, draw: float) -> Sequence[Ranked]:
        """By place, with the one that is tried before all others."""
        row = sorted(candidates, key=lambda each: each.place)
        if row and draw < 0.1:
            row.insert(0, row.pop(int(draw * 10 * len(row))))
        return [Ranked(each.model, -float(number)) for number, each in enumerate(row)]


class SoundExploringBackend(BackendContract):
    """Its suite."""

    shrinks: ClassVar[bool] = False

    def make(self) -> ExploringBackend:
        """The sound one."""
        return ExploringBackend()


def _drawing(rank: Callable[[Candidates, float], Any]) -> Callable[[], object]:
    return lambda: type("Planted", (), {"rank": lambda self, candidates, telemetry, draw: rank(candidates, draw)})()


def _beyond(candidates: Candidates, draw: float) -> Sequence[Ranked]:
    ranking = _placed(candidates)
    return ranking if draw < 0.999 else ranking[1:]


def _drawing_more(candidates: Candidates, draw: float) -> Sequence[Ranked]:
    return [Ranked(each.model, draw + random.random()) for each in candidates]


def _backend(rank: Callable[[Candidates, Telemetry], Any]) -> Callable[[], object]:
    return lambda: type(
        "Planted", (), {"rank": lambda self, candidates, telemetry, draw: rank(candidates, telemetry)}
    )()


def _placed(candidates: Candidates) -> list[Ranked]:
    return list(Backend().rank(candidates, {}, 0.5))


def _clearing(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    ranking = _placed(candidates)
    telemetry.clear()  # type: ignore[attr-defined]
    return ranking


def _sorting_in_place(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    if isinstance(candidates, list):
        candidates.reverse()
    return _placed(candidates)


def _remembering() -> object:
    seen: dict[str, int] = {}

    def rank(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
        for each in candidates:
            seen[each.model] = seen.get(each.model, 0) + each.place
        return sorted((Ranked(each.model, -float(seen[each.model])) for each in candidates), key=lambda r: -r.score)

    return _backend(rank)()


def _shuffled(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    ranking = _placed(candidates)
    random.shuffle(ranking)
    return ranking


_BEGAN: Final = time.time()


def _by_clock(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    ranking = _placed(candidates)
    return ranking if time.time() < _BEGAN + 1e7 or not ranking else [*ranking[1:], ranking[0]]


def _sleeping(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    if len(candidates) > 100:
        time.sleep(1.5)
    return _placed(candidates)


def _printing_backend(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    print(len(candidates))  # noqa: T201
    return _placed(candidates)


_LATER: Final = datetime.now() + timedelta(days=100)


def _by_date(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    return _placed(candidates) if datetime.now() < _LATER else [Ranked(each.model, 0.0) for each in candidates][::-1]


def _by_hash(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    return [Ranked(each.model, 0.0) for each in sorted(candidates, key=lambda each: hash(each.model))]


def _by_file(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    Path(os.devnull).read_text()
    return _placed(candidates)


def _undaunted(candidates: Candidates, telemetry: Telemetry) -> Sequence[Ranked]:
    scored = [Ranked(each.model, telemetry[each.model].cost or 0.0) for each in candidates]
    return sorted(scored, key=lambda each: -each.score)


_PLACES: Final = "test_every_candidate_has_one_place"
_EQUAL: Final = "test_equal_arguments_give_equal_rankings"
BACKENDS: Final[Mapping[str, tuple[Callable[[], object], str]]] = {
    "lets odd numbers through": (_backend(_undaunted), _PLACES),
    "ranks the wrong way round": (_backend(lambda c, t: _placed(c)[::-1]), _PLACES),
    "goes by the hash": (_backend(_by_hash), "test_another_process_ranks_alike"),
    "looks at the date": (_backend(_by_date), "test_no_clock_has_a_say"),
    "reads a file": (_backend(_by_file), "test_it_touches_nothing"),
    "changes the environment": (
        _backend(lambda c, t: os.environ.setdefault("PLANTED", "1") and _placed(c)),
        "test_it_touches_nothing",
    ),
    "leaves the last out": (_backend(lambda c, t: _placed(c)[:-1] or _placed(c)), _PLACES),
    "names one twice": (_backend(lambda c, t: [*_placed(c), *_placed(c)[:1]]), _PLACES),
    "invents a model": (_backend(lambda c, t: [*_placed(c), Ranked("better", 1.0)]), _PLACES),
    "scores with NaN": (_backend(lambda c, t: [evolve(each, score=float("nan")) for each in _placed(c)]), _PLACES),
    "raises on the unmeasured": (
        _backend(
            lambda c, t: (
                [*_placed(c), t[""]] if not c else [r for r in _placed(c) if odd(t[r.model].quality) > -1 or True]
            )
        ),
        _PLACES,
    ),
    "returns names": (_backend(lambda c, t: [each.model for each in c]), _PLACES),
    "raises without candidates": (_backend(lambda c, t: [c[0], *_placed(c)][1:]), "test_no_candidates_give_no_ranking"),
    "invents one without candidates": (
        _backend(lambda c, t: _placed(c) or [Ranked("m", 1)]),
        "test_no_candidates_give_no_ranking",
    ),
    "shuffles": (_backend(_shuffled), _EQUAL),
    "remembers": (_remembering, _EQUAL),
    "keeps the order it is given": (
        _backend(lambda c, t: [Ranked(each.model, -float(n)) for n, each in enumerate(c)]),
        "test_the_order_of_the_arguments_is_no_argument",
    ),
    "sorts in place": (_backend(_sorting_in_place), "test_its_arguments_stay_as_they_are"),
    "clears the telemetry": (_backend(_clearing), "test_its_arguments_stay_as_they_are"),
    "looks at the clock": (_backend(_by_clock), "test_no_clock_has_a_say"),
    "is slow with many": (_backend(_sleeping), "test_it_comes_back_in_time"),
    "prints": (_backend(_printing_backend), "test_it_touches_nothing"),
    "leaves one out at the highest draw": (_drawing(_beyond), _PLACES),
    "draws beside the draw": (_drawing(_drawing_more), _EQUAL),
    "leaves some out in a run": (
        _backend(lambda c, t: _placed(c)[:1]),
        "test_under_the_rules_no_forbidden_model_is_called",
    ),
}
