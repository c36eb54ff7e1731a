"""The contract of backends."""

import math
import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from orchestrator.deadlines import run_in_thread
from orchestrator.decide import BackendError
from orchestrator.engine.rank import guard
from orchestrator.errors import SpecError
from orchestrator.money import Price, Usd
from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.testing.contracts.base import PluginContract, in_time, unchanged, watched
from orchestrator.testing.routing import RoutingRules
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

    def test_every_candidate_has_one_place(self) -> None:
        """Any candidates with any telemetry: each stands once, with a finite number, best first."""
        backend = self.make()

        @self._calm()
        @given(fields_of_candidates(odd=True))
        def holds(field: Field) -> None:
            ranking = self._ranked(backend, field)
            assert sorted(each.model for each in ranking) == sorted(each.model for each in field[0]), (
                f"{len(field[0])} candidates came in, these came out: {[each.model for each in ranking]}"
            )
            assert all(math.isfinite(each.score) for each in ranking), "a score is no finite number"

        in_time(holds, _PATIENCE)

    def test_nobody_is_ranked_where_there_is_nobody(self) -> None:
        """No candidates, no ranking, no error."""
        assert list(self.make().rank((), {})) == [], "a ranking of nobody has somebody in it"

    def test_equal_arguments_give_equal_rankings(self) -> None:
        """Asked twice, asked in between about others, asked of an object built anew: the same ranking."""
        backend = self.make()

        @self._calm()
        @given(fields_of_candidates(), fields_of_candidates(), st.integers(0, 2**32))
        def holds(field: Field, other: Field, seed: int) -> None:
            state = random.getstate()
            try:
                first = self._ranked(backend, field)
                random.seed(seed)
                self._ranked(backend, other)
                assert self._ranked(backend, field) == first, "asked again, it ranks otherwise: it remembers or draws"
                assert self._ranked(self.make(), field) == first, "built anew, it ranks otherwise"
            finally:
                random.setstate(state)

        in_time(holds, _PATIENCE)

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

        in_time(holds, _PATIENCE)

    def test_its_arguments_stay_as_they_are(self) -> None:
        """Neither the candidates nor the telemetry are changed."""
        backend = self.make()

        @self._calm()
        @given(fields_of_candidates())
        def holds(field: Field) -> None:
            candidates, telemetry = list(field[0]), dict(field[1])
            with unchanged(candidates=candidates, telemetry=telemetry):
                tuple(backend.rank(candidates, telemetry))

        in_time(holds, _PATIENCE)

    def test_no_clock_has_a_say(self) -> None:
        """The same ranking a year later."""
        import time

        backend, real = self.make(), (time.time, time.monotonic, time.time_ns, time.perf_counter)
        field = _many(12)
        first = self._ranked(backend, field)
        try:
            time.time = lambda: real[0]() + 3.2e7
            time.monotonic = lambda: real[1]() + 3.2e7
            time.time_ns = lambda: real[2]() + 32 * 10**15
            time.perf_counter = lambda: real[3]() + 3.2e7
            later = self._ranked(backend, field)
        finally:
            time.time, time.monotonic, time.time_ns, time.perf_counter = real
        assert later == first, "a year later it ranks otherwise: it looks at a clock"

    def test_it_comes_back_in_time(self) -> None:
        """Two hundred candidates are ranked within the second a run gives it."""
        candidates, telemetry = _many(200)
        try:
            guard(self.make(), run_in_thread)(candidates, telemetry)
        except BackendError as error:
            raise AssertionError(f"a run would go on without it: {error}") from error

    def test_it_touches_nothing(self) -> None:
        """It prints nothing and leaves no file."""
        with watched() as seen:
            self._ranked(self.make(), _many(20))
        assert not seen.printed, f"it printed {seen.printed[:80]!r}"
        assert not seen.left, f"it left files: {', '.join(seen.left)}"

    def test_under_the_rules_nobody_forbidden_is_asked(self) -> None:
        """In runs that are answered, fail and are restricted, the real rules with this backend keep every policy."""
        checked = _Checked(self.make())
        rules = type("Rules", (RoutingRules,), {"backend": checked, "refuses_dominated": self.refuses_dominated})
        in_time(lambda: run_state_machine_as_test(rules, settings=_RUNS), _PATIENCE)
        assert not checked.problem, checked.problem

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

    def _ranked(self, backend: Backend, field: Field) -> tuple[Ranked, ...]:
        candidates, telemetry = field
        ranking: Any = backend.rank(tuple(candidates), dict(telemetry))
        ranking = tuple(ranking)
        assert all(isinstance(each, Ranked) for each in ranking), "what it ranks is no Ranked"
        assert all(isinstance(each.score, int | float) for each in ranking), "a score is no number"
        return deepcopy(ranking)


class _Checked:
    """The backend, whose failures are remembered: a run would go on without it, and hide them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.problem = ""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """What the backend says, looked at."""
        try:
            ranking = tuple(self._backend.rank(candidates, telemetry))
        except Exception as error:
            self.problem = f"in a run it raised {type(error).__name__}: {error}"
            raise
        named = sorted(each.model for each in ranking)
        if named != sorted(each.model for each in candidates):
            self.problem = f"in a run it returned {named}, which are not the candidates once each"
        return ranking


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
