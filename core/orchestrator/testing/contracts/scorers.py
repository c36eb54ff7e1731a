"""The contract of scorers."""

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar
from unittest import SkipTest

from orchestrator.errors import SandboxError
from orchestrator.models import TaskType
from orchestrator.spi import Candidate, Ran, Score, Scorer, ScorerContext
from orchestrator.testing.contracts.base import EscapeError, PluginContract, in_time, unchanged, watched
from orchestrator.testing.contracts.leftovers import nothing_left
from orchestrator.testing.contracts.side_effects import shared_state_kept
from orchestrator.testing.contracts.validators import HOSTILE, FakeRun

_RANS = (None, Ran(0, "fine"), Ran(1, "wrong\n" * 100), Ran(None, "", ended="time"))


class ScorerContract(PluginContract):
    """A scorer gives everything a score from 0 to 1, the same twice, keeps to its time and touches nothing.

    Name the module in ``plugin``; give a ``better`` and a ``worse`` output where you can.
    """

    kind = "scorer"
    better: ClassVar[str | Candidate | None] = None
    """An output whose score is higher than that of ``worse``."""
    worse: ClassVar[str | Candidate | None] = None

    def make(self) -> Scorer:
        """The scorer."""
        scorer: Scorer = self.build(parameters=deepcopy(dict(self.options)))
        return scorer

    def test_hostile_outputs_get_a_score_or_an_error(self) -> None:
        """Whatever a model wrote: a score from 0 to 1, or an error that means there is none; nothing hangs or quits."""
        for what, candidate, context in self._trials():
            self._scored(what, self.make(), candidate, context)

    def test_equal_outputs_get_equal_scores(self) -> None:
        """The same output gets the same score and reasons, twice, and by an object built anew."""
        for what, candidate, context in self._trials():
            scorer = self.make()
            first = self._scored(what, scorer, candidate, context)
            again = self._scored(what, scorer, deepcopy(candidate), context)
            assert first == again, f"{what}: {first} first and {again} then"
            anew = self._scored(what, self.make(), deepcopy(candidate), context)
            assert first == anew, f"{what}: an object built anew says {anew}, not {first}"

    def test_a_better_output_has_a_higher_score(self) -> None:
        """What is better scores higher, and what is worse says why."""
        if self.better is None or self.worse is None:
            raise SkipTest("no outputs were given in `better` and `worse`")
        scorer = self.make()
        found = []
        for output in (self.better, self.worse):
            candidate = output if isinstance(output, Candidate) else Candidate.of(output, TaskType.SUMMARIZATION)
            score = self._scored("the output", scorer, candidate, ScorerContext(run=FakeRun(Ran(0, ""))))
            if score is None:
                raise SkipTest("it cannot score on this machine")
            found.append(score)
        assert found[0].value > found[1].value, f"better has {found[0].value:g}, worse has {found[1].value:g}"
        assert found[1].reasons.strip(), "a score below the best says no reasons to who improves the output"

    def test_it_leaves_things_as_they_are(self) -> None:
        """It changes no argument, prints nothing, and leaves no file, thread or open socket."""
        candidate, context = Candidate.of("some words", TaskType.SUMMARIZATION), ScorerContext(run=FakeRun(Ran(0, "")))
        scorer = self.make()
        with watched() as seen, nothing_left("the scorer"), shared_state_kept(), unchanged(candidate=candidate):
            self._scored("an output", scorer, candidate, context)
        assert not seen.printed, f"it printed {seen.printed[:80]!r}"
        assert not seen.left, f"it leaves files behind: {', '.join(seen.left[:3])}"

    def test_odd_parameters_are_refused_in_words(self) -> None:
        """Parameters of an unexpected kind are taken, or refused with a SpecError."""
        self.refuses_odd_options(lambda options: self.build(parameters=options))

    def test_its_parameters_stay_as_they_are(self) -> None:
        """What it is built from is the spec's, and others have it, too."""
        self.keeps_options(lambda options: self.build(parameters=options))

    def _trials(self) -> Iterator[tuple[str, Candidate, ScorerContext]]:
        for what, text in HOSTILE.items():
            yield what, Candidate.of(text), ScorerContext("Write it.", "It is good.", run=FakeRun(Ran(0, "")))
        for ran in _RANS:
            yield f"a tool that gives {ran}", Candidate.of("words"), ScorerContext(run=FakeRun(ran))
        yield "no tool", Candidate.of("words"), ScorerContext(run=FakeRun(), tool=lambda name: None)

    @staticmethod
    def _scored(what: str, scorer: Scorer, candidate: Candidate, context: ScorerContext) -> Score | None:
        """The score; None where it raises, which means that there is none."""
        try:
            found: Any = in_time(partial(scorer, candidate, context))
        except EscapeError as error:
            raise AssertionError(f"{what}: {error}") from error
        except SandboxError:
            return None
        except Exception:
            return None
        assert isinstance(found, Score), f"{what}: it returned {type(found).__name__}, not a Score"
        number = isinstance(found.value, int | float) and not isinstance(found.value, bool)
        assert number, f"{what}: its value is {type(found.value).__name__}, not a number"
        assert 0 <= found.value <= 1, f"{what}: its value is {found.value}, not from 0 to 1"
        assert isinstance(found.reasons, str), f"{what}: its reasons are no text"
        return found
