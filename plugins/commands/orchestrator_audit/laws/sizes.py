"""Laws of sizes: what a call holds, how it shrinks, what it leaves for the evaluation."""

from typing import Final

from attrs import define

from orchestrator import events as e
from orchestrator.decide.answer_lengths import FIRST_TOKENS
from orchestrator.decide.compliance import binding, violated
from orchestrator.decide.retries_and_circuits import is_off
from orchestrator.decide.spending import BYTES_PER_TOKEN
from orchestrator.models import Lane, Role, SelectionReason
from orchestrator.money import Usd
from orchestrator.settings import SECOND
from orchestrator_audit.laws.batches import BatchLaws
from orchestrator_audit.laws.shadow_state import Call

_LONGEST_WAIT: Final = 60 * SECOND


@define
class Sizes(BatchLaws):
    """The hold of a call, and the spending order where it does not fit."""

    def sizes(self, event: e.CallStarted, call: Call, selection: e.ModelSelected) -> None:
        """Asked for no more than before nor less than may be; held for the most it can cost."""
        model, full = self.models.get(event.model), selection.max_tokens
        if model is not None and model.max_output is not None:
            full = min(full, model.max_output)
            within = event.max_tokens <= model.max_output
            self.require("limits", within, f"asked for more than {model.id} can write")
        left = None if model is None or model.context is None else model.context - event.body_bytes // BYTES_PER_TOKEN
        if left is not None:
            full = min(full, left)
        tokens = event.body_bytes // BYTES_PER_TOKEN
        fits = model is None or model.max_input is None or tokens <= model.max_input
        self.require("limits", fits, "a prompt is longer than the model takes")
        least = 0
        if call.cut:
            self.require("limits", not call.shrunk, "a shrunk answer is asked for again, and larger")
            larger = event.max_tokens > call.cut[-1]
            self.require("limits", larger, "an answer that was cut off is asked for again, no larger")
            self.require("limits", len(call.cut) == 1, "an answer that was cut off twice is asked for again")
            full, least = max(full, selection.most_tokens), call.cut[-1]
            if model is not None and model.max_output is not None:
                full = min(full, model.max_output)
            full = full if left is None else min(full, left)
        self._grows_once(event, call)
        call.full = full
        before = full if call.smallest is None else call.smallest
        self.require("limits", event.max_tokens <= before, "asked larger than before")
        # another session may have known a lower limit of the model: the call stays as small as it was asked then
        floor = min(full, before, least or max(-(-full // 4), 256))  # after a cut, more than it is enough
        self.require("limits", event.max_tokens >= floor, "shrunk below the floor")
        price = None if model is None else model.price_in(event.lane)
        if model is None or price is None:
            return
        bound = model.output_bound(event.max_tokens)
        tokens_in, tokens_out = event.body_bytes + model.hidden_tokens, event.max_tokens if bound is None else bound
        possible = [price, *(rate for rate in price.rates if tokens_in > rate.over)]
        nano = max(
            tokens_in * max(each.input, each.cached_input, each.cache_write).nano
            + tokens_out * max(each.output, each.reasoning).nano
            for each in possible
        )
        self.require("holds", event.hold == Usd(-(-nano // 1_000_000)), "the hold is not the bound")

    def _grows_once(self, event: e.CallStarted, call: Call) -> None:
        """More room than before for a model only after a cut, once in a logical call, and said so."""
        before = call.largest.get(event.model)
        if before is not None and event.max_tokens > before:
            self.require("limits", event.larger, "asked with more room, which is not said")
            self.require("limits", event.model not in call.grown, "asked with more room twice")
            call.grown.add(event.model)
        elif event.larger:
            cut = call.first_cut.get(event.model, event.max_tokens)
            more = event.model in call.grown and event.max_tokens > cut
            self.require("limits", more, "said to ask with more room, and does not")
        call.largest[event.model] = max(event.max_tokens, before or 0)

    def within_limits(self, event: e.ModelSelected) -> None:
        """At most the limit of the role or type is asked for, thinking aside; what a user set, exactly."""
        settings, model = self.state.settings, self.models.get(event.model)
        kind = self.planned[event.node].type if event.node in self.planned else None
        limit = settings.output_limit(event.role, kind)
        thinking = 0 if model is None else model.thinking
        ceiling = None if model is None else model.max_output
        ends = (event.max_tokens - thinking, max(event.most_tokens, event.max_tokens) - thinking)
        if settings.is_fixed(event.role, kind):
            exact = set(ends) == {limit} or event.max_tokens == ceiling or event.reason is SelectionReason.REASK
            self.require("limits", exact, "a limit that the user set is not what is asked for")
        again = event.reason is SelectionReason.REASK
        self.require("limits", ends[0] <= (2 * limit if again else limit), "asked for more than the limit")
        most = limit if ends[0] < limit and not again else 2 * limit
        self.require("limits", ends[1] <= most, "may be asked for more than the limit")

    def waits_and_shrinks(self, event: e.CallStarted, call: Call) -> None:
        """After a refusal: the same amount only after a growing pause, for a minute; smaller at once, and only once."""
        if not call.refusals:
            return
        amounts = [refusal.need for _, refusal in call.refusals]
        last_at, last = call.refusals[-1]
        if event.hold >= last.need:
            same = [at for at, refusal in call.refusals if refusal.need == last.need]
            pause = min((SECOND // 2) << (len(same) - 1), same[0] + _LONGEST_WAIT - last_at)
            self.require("limits", self.at >= last_at + pause, "an account is asked again too soon")
            lasting = last_at < same[0] + _LONGEST_WAIT
            self.require("limits", lasting, "an account is asked for longer than a minute")
        elif event.hold <= last.free and event.hold < amounts[0]:
            once = len(set(amounts)) == 1 or event.hold < amounts[-1]
            self.require("limits", once, "shrunk twice for an account")

    @property
    def judge_length(self) -> int:
        """What a judge may say at first that was never measured, in tokens, thinking aside."""
        settings = self.state.settings
        limit = settings.role_max_tokens[Role.EVALUATOR]
        return limit if Role.EVALUATOR in settings.fixed_roles else min(limit, FIRST_TOKENS[Role.EVALUATOR])

    def leaves_an_evaluation(self, event: e.CallStarted) -> None:
        """Beside the hold the cheapest evaluation that could be called fits."""
        settings = self.state.settings
        limit = self.judge_length
        estimates = []
        for model in self.models.values():
            slots = [slot for slot, filled_by in self.session.slots.items() if filled_by == model.id]  # type: ignore[union-attr]
            record = self.state.records.get(model.id)
            asked = limit + model.thinking
            asked = min(asked, model.max_output or asked)
            bound = model.output_bound(asked)
            if bound is None and settings.allow_unbounded:
                bound = asked
            lane = Lane.INTERACTIVE if model.batch_price is None else self.wanted_lane(event.node)
            price = model.price_in(lane)
            if price is None or bound is None or is_off(record):
                continue
            if violated(binding(settings, event.node), model, slots, record) is None:
                estimates.append(price.bound(4 * event.max_tokens + 4096 + model.hidden_tokens, bound))
        free = self.cap - self.settled - self.held
        self.require("limits", not estimates or free >= min(estimates), "no money is left for an evaluation")
