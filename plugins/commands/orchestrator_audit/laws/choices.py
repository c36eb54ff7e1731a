"""Laws of the choice among several results: what may be chosen, what each pair rests on, and when it is settled."""

from attrs import define

from orchestrator import events as e
from orchestrator.models import PairChoice, Verdict
from orchestrator_audit.laws.shadow_state import ShadowState

_AGREED = {(PairChoice.A, PairChoice.B): 0, (PairChoice.B, PairChoice.A): 1}
"""By what a judge answered in both orders: which of the two results won."""


@define
class Choices(ShadowState):
    """Results that were compared in pairs."""

    def compared(self, event: e.Compared) -> None:
        """Once per task, before its output is chosen; the choice follows from what the judges answered."""
        first = event.task not in self.choices and event.task not in self.chosen
        self.require("intents", first, f"the results of {event.task} are compared twice, or too late")
        outputs = {number: self.output_version(event.task, number) for number in event.candidates}
        scored = any((event.task, number) in self.scored for number in event.candidates)
        self.require("gates", None not in outputs.values(), f"a candidate of {event.task} has no output")
        self.require("gates", not scored, f"a candidate of {event.task} was scored before")
        self.require("gates", self._are_different(event), f"equal results of {event.task} are compared")
        self.require("gates", event.call == outputs.get(event.iteration), "the call is not that of the chosen result")
        self._stands_best(event)
        for pair in event.pairs:
            self._pair(event, pair, outputs)
        self._is_settled(event)
        self.choices[event.task] = event

    def _are_different(self, event: e.Compared) -> bool:
        made = [self.output_of(event.task, number) for number in event.candidates]
        forms = [each.equivalence for each in made if each is not None and each.equivalence is not None]
        return len(forms) == len(set(forms)) and list(event.candidates) == sorted(set(event.candidates))

    def _stands_best(self, event: e.Compared) -> None:
        """A result that a check objects to is chosen only where there is no other."""
        failed = [number for number in event.candidates if self._fails(event.task, number)]
        fair = event.iteration not in failed or len(failed) == len(event.candidates)
        self.require("gates", fair, f"a result of {event.task} is chosen that failed a check")

    def _fails(self, task: str, iteration: int) -> bool:
        version = self.output_version(task, iteration)
        found = {} if version is None else self.verdicts_of(task, version)
        return any(each.verdict is Verdict.FAILED and not each.vote for each in found.values())

    def _pair(self, event: e.Compared, pair: e.ComparedPair, outputs: dict[int, int | None]) -> None:
        both = pair.earlier < pair.later and {pair.earlier, pair.later} <= outputs.keys()
        self.require("gates", both, f"a pair of {event.task} is none of its candidates")
        one, other = outputs.get(pair.earlier), outputs.get(pair.later)
        seen = tuple(self.preferred.get((event.task, *shown)) for shown in ((one, other), (other, one)))  # type: ignore[arg-type]
        self.require("gates", pair.verdicts == seen, f"the verdicts on a pair of {event.task} are other ones")
        won = _AGREED.get(pair.verdicts)  # type: ignore[arg-type]
        winner = None if won is None else (pair.earlier, pair.later)[won]
        self.require("gates", pair.winner == winner, f"a pair of {event.task} has another winner")

    def _is_settled(self, event: e.Compared) -> None:
        """The chosen one has the most wins, of equals it is the earliest; left out is what could not change that."""
        wins = {number: sum(pair.winner == number for pair in event.pairs) for number in event.candidates}
        made = {number: sum(number in (p.earlier, p.later) for p in event.pairs) for number in event.candidates}
        most = (wins.get(event.iteration, -1), -event.iteration)
        self.require(
            "gates", all((wins[n], -n) <= most for n in wins), f"another result of {event.task} has won more pairs"
        )
        reach = [(wins[n] + len(wins) - 1 - made[n], -n) for n in wins if n != event.iteration]
        whole = event.stopped is not None or all(each < most for each in reach)
        self.require("limits", whole, f"a pair of {event.task} was not compared that could have changed the choice")
