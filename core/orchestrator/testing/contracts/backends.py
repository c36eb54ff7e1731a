"""The contract of backends."""

import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar, Final

from attrs import evolve
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from orchestrator.deadlines import run_in_thread
from orchestrator.decide import BackendError
from orchestrator.engine.backend_guard import guard
from orchestrator.errors import SpecError
from orchestrator.money import Price, Usd
from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.testing.contracts.base import PluginContract, in_time, unchanged, watched
from orchestrator.testing.contracts.leftovers import nothing_left
from orchestrator.testing.contracts.side_effects import (
    SharedStateError,
    a_year_later,
    overheard,
    salted,
    shared_state_kept,
)
from orchestrator.testing.state_machines.routing import RoutingRules
from orchestrator.testing.strategies import fields_of_candidates

EXAMPLES: Final = 30
"""How many drawn fields each property is tried on."""

_RUNS: Final = settings(
    max_examples=8,
    stateful_step_count=20,
    phases=(Phase.generate,),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)

_DRAWS: Final = (0.0, 0.05, 0.5, math.nextafter(1.0, 0.0))
"""The lowest and the highest draw, and two between."""

_PATIENCE: Final = 300.0
"""Seconds for all examples of a property, and for finding the smallest that fails."""

Field = tuple[Sequence[RoutingCandidate], Mapping[str, ModelTelemetry]]
"""Candidates, and what was measured of each."""


class BackendContract(PluginContract):
    """A backend is a pure function that gives every candidate one place, whatever was measured of it.

    Name the module in ``plugin`` and its parameters in ``options``.
    """

    kind = "backend"
    refuses_dominated: ClassVar[bool] = False
    """Whether it promises never to put a candidate first that another beats in quality, trust and cost."""

    shrinks: ClassVar[bool] = True
    """Whether the smallest failing example is looked for, which takes a while."""

    def make(self) -> Backend:
        """The backend."""
        backend: Backend = self.build(parameters=dict(self.options))
        return backend

    def test_parameters_that_make_no_sense_are_refused(self) -> None:
        """A parameter that it does not know is a SpecError."""
        self._module()
        try:
            self.build(parameters={**self.options, "no_such_parameter": 1})
        except SpecError:
            return
        raise AssertionError("it takes a parameter it does not know; raise SpecError, so that a typing error shows")

    def test_odd_parameters_are_refused_in_words(self) -> None:
        """A parameter of an unexpected kind is a SpecError, or what is built of it works."""
        self.refuses_odd_options(lambda options: self._ranked(self.build(parameters=options), _many(3)))

    def test_every_candidate_has_one_place(self) -> None:
        """Any candidates with any telemetry: each stands once, with a finite number, the highest first."""
        backend = self.make()

        def check(field: Field) -> None:
            for draw in _DRAWS:
                self._check_places(field, self._ranked(backend, field, draw))

        for number in _ODD_NUMBERS:
            check(_odd_field(number))
        holds = self._calm()(given(fields_of_candidates(odd=True))(check))
        self._hold(holds)

    def test_no_candidates_give_no_ranking(self) -> None:
        """No candidates, no ranking, no error."""
        assert list(self.make().rank((), {}, 0.5)) == [], "a ranking of no candidates is not empty"

    def test_equal_arguments_give_equal_rankings(self) -> None:
        """Asked twice, asked in between about others, asked of an object built anew: the same ranking."""
        backend = self.make()

        @self._calm()
        @given(fields_of_candidates(), fields_of_candidates(), st.sampled_from(_DRAWS), st.integers(0, 2**32))
        def holds(field: Field, other: Field, draw: float, seed: int) -> None:
            state = random.getstate()
            try:
                first = self._ranked(backend, field, draw)
                random.seed(seed)
                self._ranked(backend, other)
                assert self._ranked(backend, field, draw) == first, (
                    "asked again, it ranks otherwise: it remembers, or draws beside `draw`"
                )
                assert self._ranked(self.make(), field, draw) == first, "built anew, it ranks otherwise"
            finally:
                random.setstate(state)

        self._hold(holds)

    def test_another_process_ranks_alike(self) -> None:
        """Nothing hangs on hashes of texts, which are others in each process: on the order of a set, or on ``hash``."""
        for candidates, telemetry in (_many(12), _level(12)):
            rankings = []
            for salt in range(4):
                name = salted(salt)
                field = (
                    tuple(evolve(each, model=name(each.model)) for each in candidates),
                    {name(model): seen for model, seen in telemetry.items()},
                )
                rankings.append([str(each.model) for each in self._ranked(self.make(), field)])
            assert all(each == rankings[0] for each in rankings), (
                "another process ranks otherwise: it depends on hash(), or on the order of a set; break ties by `place`"
            )

    def test_the_order_of_the_arguments_is_no_argument(self) -> None:
        """Candidates and telemetry in another order give the same ranking; a candidate's place is in it."""
        backend = self.make()

        @self._calm()
        @given(fields_of_candidates(), st.randoms(use_true_random=False))
        def holds(field: Field, draw: random.Random) -> None:
            candidates, telemetry = field
            mixed, keys = list(candidates), list(telemetry)
            draw.shuffle(mixed)
            draw.shuffle(keys)
            other = self._ranked(backend, (mixed, {key: telemetry[key] for key in keys}))
            assert [each.model for each in other] == [each.model for each in self._ranked(backend, field)], (
                "candidates in another order are ranked otherwise: break ties by `place`"
            )

        self._hold(holds)

    def test_its_arguments_stay_as_they_are(self) -> None:
        """Neither the candidates nor the telemetry are changed."""
        backend = self.make()

        @self._calm()
        @given(fields_of_candidates())
        def holds(field: Field) -> None:
            candidates, telemetry = list(field[0]), dict(field[1])
            with unchanged(candidates=candidates, telemetry=telemetry):
                tuple(backend.rank(candidates, telemetry, 0.5))

        self._hold(holds)

    def test_no_clock_has_a_say(self) -> None:
        """The same ranking a year later."""
        backend, field = self.make(), _many(12)
        first = self._ranked(backend, field)
        with a_year_later(self.plugin, sys.modules.get(type(backend).__module__)):
            later = self._ranked(backend, field)
        assert later == first, "a year later it ranks otherwise: it looks at a clock"

    def test_it_comes_back_in_time(self) -> None:
        """Two hundred candidates are ranked within the second a run gives it."""
        candidates, telemetry = _many(200)
        try:
            guard(self.make(), run_in_thread)(candidates, telemetry, 0.5)
        except BackendError as error:
            raise AssertionError(f"a run would go on without it: {error}") from error

    def test_it_touches_nothing(self) -> None:
        """It prints nothing, opens no file or connection, starts nothing and changes nothing that others share."""
        backend = self.make()
        with watched() as seen:
            self._ranked(backend, _many(20))  # what it imports only now is imported
            with overheard() as side_effects:
                self._ranked(backend, _many(20))
        assert not side_effects.read, f"it reads {side_effects.read[0]!r}; all it may know is in its arguments"
        assert not side_effects.programs, f"it starts {side_effects.programs[0]!r}; all it may know is in its arguments"
        assert not side_effects.connections, (
            f"it connects to {side_effects.connections[0]!r}; all it may know is in its arguments"
        )
        assert not seen.printed, f"it printed {seen.printed[:80]!r}"
        assert not seen.left, f"it left files: {', '.join(seen.left)}"

    def test_it_leaves_nothing_running(self) -> None:
        """No thread and no connection is left, nothing is printed past ``sys.stdout``, and signals are left alone."""
        with nothing_left():
            self._ranked(self.make(), _many(20))

    def test_its_parameters_stay_as_they_are(self) -> None:
        """What it is built with is not changed, by building or by ranking."""
        self._module()
        self.keeps_options(lambda options: self._ranked(self.build(parameters=options), _many(3)))

    def test_under_the_rules_no_forbidden_model_is_called(self) -> None:
        """In runs that are answered, fail and are restricted, the real rules with this backend keep every policy."""
        own = {"make_backend": lambda rules: self.make(), "refuses_dominated": self.refuses_dominated}
        rules = type("Rules", (RoutingRules,), own)
        in_time(lambda: run_state_machine_as_test(rules, settings=_RUNS), _PATIENCE)

    def _check_places(self, field: Field, ranking: tuple[Ranked, ...]) -> None:
        assert sorted(each.model for each in ranking) == sorted(each.model for each in field[0]), (
            f"{len(field[0])} candidates came in, these came out: {[each.model for each in ranking]}"
        )
        scores = [each.score for each in ranking]
        assert all(math.isfinite(each) for each in scores), "a score is no finite number"
        assert scores == sorted(scores, reverse=True), f"the best comes first, with the highest score: not {scores}"

    def _calm(self) -> settings:
        return settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink) if self.shrinks else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )

    def _hold(self, holds: Callable[[], object]) -> None:
        """Try a property; what is tried twice and ends in two ways is said in words."""
        try:
            in_time(holds, _PATIENCE)
        except Flaky as error:
            said = "asked the same again, it ranks otherwise: it remembers, or draws beside `draw`"
            raise AssertionError(said) from error

    def _ranked(self, backend: Backend, field: Field, draw: float = 0.5) -> tuple[Ranked, ...]:
        candidates, telemetry = field
        try:
            with shared_state_kept():
                ranking: Any = tuple(backend.rank(tuple(candidates), dict(telemetry), draw))
        except SharedStateError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"[:200]
            hint = "any number in the telemetry may be None, negative, endless or NaN"
            raise AssertionError(f"ranking {len(candidates)} candidates it raised {said}; {hint}") from error
        assert all(isinstance(each, Ranked) for each in ranking), "what it ranks is no Ranked"
        assert all(isinstance(each.score, int | float) for each in ranking), "a score is no number"
        return deepcopy(ranking)


_ODD_NUMBERS: Final = (None, 0.0, -1.0, float("nan"), float("inf"), float("-inf"), 1.7e308, 5e-324)


def _odd_field(number: Any) -> Field:
    """One candidate with this number in every field, beside some of which everything is known, or nothing."""
    candidates, telemetry = _many(3)
    odd = ModelTelemetry(0, number, 1.0 if number is None else number, number, number, number, number)
    return candidates, {**telemetry, "m0": ModelTelemetry(), "m1": odd}


def _level(count: int) -> Field:
    """Candidates that differ only in their places."""
    candidates, _ = _many(count)
    return candidates, {each.model: ModelTelemetry(50, 0.5, 1.0, 0.01, 100.0, 200.0, 1.0) for each in candidates}


def _many(count: int) -> Field:
    draw = random.Random(count)
    candidates = tuple(
        RoutingCandidate(f"m{n}", "p", f"v{n % 3}", Price(Usd(draw.randrange(10**9)), Usd(draw.randrange(10**9))), n)
        for n in range(count)
    )
    telemetry = {
        each.model: ModelTelemetry(50, draw.random(), draw.random(), draw.random(), draw.random() * 1000)
        for each in candidates
    }
    return candidates, telemetry
