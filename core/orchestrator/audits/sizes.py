"""Laws of sizes: what a call holds, how it shrinks, what it leaves for the evaluation."""

from typing import Final

from attrs import define

from orchestrator import events as e
from orchestrator.audits.shadow_state import Call, ShadowState
from orchestrator.decide.compliance import binding, violated
from orchestrator.decide.retry import is_off
from orchestrator.decide.spending import BYTES_PER_TOKEN
from orchestrator.models import Role
from orchestrator.money import Usd
from orchestrator.settings import SECOND

_LONGEST_WAIT: Final = 60 * SECOND


@define
class Sizes(ShadowState):
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
            full, least = min(2 * call.cut[-1], max(full, selection.most_tokens)), call.cut[-1]
            full = full if left is None else min(full, left)
        call.full = full
        before = full if call.smallest is None else call.smallest
        self.require("limits", event.max_tokens <= before, "asked larger than before")
        # another session may have known a lower limit of the model: the call stays as small as it was asked then
        floor = min(full, before, max(-(-full // 4), 256, least))
        self.require("limits", event.max_tokens >= floor, "shrunk below the floor")
        if model is None or model.price is None:
            return
        bound = model.output_bound(event.max_tokens)
        tokens_in, tokens_out = event.body_bytes + model.hidden_tokens, event.max_tokens if bound is None else bound
        possible = [model.price, *(rate for rate in model.price.rates if tokens_in > rate.over)]
        nano = max(
            tokens_in * max(each.input, each.cached_input, each.cache_write).nano
            + tokens_out * max(each.output, each.reasoning).nano
            for each in possible
        )
        self.require("holds", event.hold == Usd(-(-nano // 1_000_000)), "the hold is not the bound")

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

    def leaves_an_evaluation(self, event: e.CallStarted) -> None:
        """Beside the hold the cheapest evaluation that could be called fits."""
        settings = self.state.settings
        limit = settings.role_max_tokens[Role.EVALUATOR]
        estimates = []
        for model in self.models.values():
            slots = [slot for slot, filled_by in self.session.slots.items() if filled_by == model.id]  # type: ignore[union-attr]
            record = self.state.records.get(model.id)
            bound = model.output_bound(min(limit, model.max_output or limit))
            if bound is None and settings.allow_unbounded:
                bound = min(limit, model.max_output or limit)
            if model.price is None or bound is None or is_off(record):
                continue
            if violated(binding(settings, event.node), model, slots, record) is None:
                estimates.append(model.price.bound(4 * event.max_tokens + 4096 + model.hidden_tokens, bound))
        free = self.cap - self.settled - self.held
        self.require("limits", not estimates or free >= min(estimates), "no money is left for an evaluation")
